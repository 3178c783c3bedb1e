//! What a test of playbooks found, for people.
//!
//! **In:** one [`Walked`] per playbook and target.
//! **Out:** a table of all, then each time that one would have been triggered.
//! **Not here:** JSON, which is the values themselves ([`super`]).

use evenkeel_core::condition::Truth;
use evenkeel_core::units::show_duration;
use jiff::SignedDuration;

use super::walk::{Firing, Walked};
use crate::table::Table;
use crate::terminal::visible;
use crate::times;

/// Times of one playbook and target that are shown in full. Why 20: what fires more often is
/// wrong, and the first ones show how.
const FIRINGS_SHOWN: usize = 20;

/// The whole report, without a line break at the end.
pub(super) fn shown(walked: &[Walked]) -> String {
    let mut table = Table::new([
        "playbook",
        "target",
        "triggered",
        "runs",
        "true %",
        "unknown %",
        "longest unknown",
    ]);
    for it in walked {
        let n_runs = it.firings.iter().filter(|it| it.run_at.is_some()).count();
        table.row([
            it.playbook.to_string(),
            it.target.to_string(),
            it.firings.len().to_string(),
            n_runs.to_string(),
            format!("{:.3}", 100.0 * it.true_ratio),
            format!("{:.3}", 100.0 * it.unknown_ratio),
            seconds(it.unknown_longest_seconds),
        ]);
    }
    let mut parts = vec![table.text()];
    for it in walked {
        let firings = it.firings.iter().take(FIRINGS_SHOWN);
        parts.extend(firings.map(|firing| firing_shown(it, firing)));
        if FIRINGS_SHOWN < it.firings.len() {
            let more = it.firings.len() - FIRINGS_SHOWN;
            parts.push(format!("{} on {}: and {more} more", it.playbook, it.target));
        }
    }
    parts.join("\n\n")
}

fn firing_shown(walked: &Walked, firing: &Firing) -> String {
    let Firing {
        began_at,
        at,
        detection_seconds,
        ended_at,
        lasted_seconds,
        what,
        conditions,
        run_at,
        kept_by,
        plan,
    } = firing;
    let mut lines = vec![format!(
        "{} on {}, {}: {}",
        walked.playbook,
        walked.target,
        times::full(*at),
        visible(what)
    )];
    let lasted = seconds(*lasted_seconds);
    lines.push(match ended_at {
        Some(ended_at) => format!(
            "  first bad sample {}, seen after {}, over {} after {lasted}",
            times::full(*began_at),
            seconds(*detection_seconds),
            times::full(*ended_at),
        ),
        None => format!(
            "  first bad sample {}, seen after {}, still so when the recording ends, after {lasted}",
            times::full(*began_at),
            seconds(*detection_seconds),
        ),
    });
    for it in conditions {
        let truth = match it.truth {
            Truth::True => "true",
            Truth::False => "FALSE",
            Truth::Unknown => "UNKNOWN",
        };
        lines.push(format!("  {truth}: {}: {}", visible(&it.name), visible(&it.what)));
    }
    match (run_at, kept_by) {
        (Some(run_at), None) => lines.push(format!("  a run at {}:", times::full(*run_at))),
        (Some(run_at), Some(why)) => {
            lines.push(format!("  kept at first: {}", visible(why)));
            lines.push(format!("  a run at {}:", times::full(*run_at)));
        }
        (None, Some(why)) => lines.push(format!("  no run: {}", visible(why))),
        (None, None) => lines.push("  no run".to_owned()),
    }
    lines.extend((1..).zip(plan).map(|(n, it): (usize, _)| format!("    {n}. {}", visible(it))));
    lines.join("\n")
}

fn seconds(seconds: i64) -> String {
    show_duration(SignedDuration::from_secs(seconds))
}
