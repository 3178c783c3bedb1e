//! One incident in words.
//!
//! **In:** the agent's [`IncidentReport`] and its runs.
//! **Out:** what it is, its times, its symptoms, its runs, what happened.
//! **Not here:** the page for the review afterwards
//! ([`evenkeel_core::heal::report::timeline_markdown`]).

use evenkeel_core::api::healing::{IncidentReport, RunReport};
use jiff::SignedDuration;

use crate::table::{Table, count};
use crate::terminal::visible;
use crate::{run_text, times};

/// All that is known of it, without a line break at the end.
pub(crate) fn shown(incident: &IncidentReport, runs: &[RunReport]) -> String {
    let mut parts = vec![head(incident)];
    let mut symptoms = Table::new(["symptom of", "on", "since", "until", "what"]);
    for it in &incident.symptoms {
        symptoms.row([
            it.playbook.to_string(),
            it.target.to_string(),
            times::full(it.began_at),
            it.ended_at.map_or_else(String::new, times::full),
            it.what.clone(),
        ]);
    }
    parts.push(symptoms.text());
    parts.extend(runs.iter().map(run_text::shown));
    if !incident.timeline.is_empty() {
        let mut timeline = Table::new(["at", "what"]);
        for it in &incident.timeline {
            timeline.row([times::full(it.at), it.what.clone()]);
        }
        parts.push(timeline.text());
    }
    parts.join("\n\n")
}

fn head(incident: &IncidentReport) -> String {
    let IncidentReport {
        id,
        severity,
        state,
        targets,
        symptoms: _,
        began_at,
        detected_at,
        acknowledged_at,
        acknowledged_by,
        resolved_at,
        mttd_seconds,
        mtta_seconds,
        mttr_seconds,
        n_reopened,
        runs,
        waiting_for,
        timeline: _,
    } = incident;
    let targets: Vec<&str> = targets.iter().map(|it| it.as_str()).collect();
    let mut lines = vec![
        format!("{id}: {severity}, {}, on {}", visible(state), targets.join(", ")),
        format!("  began         {}", times::full(*began_at)),
        format!("  detected      {}{}", times::full(*detected_at), after(Some(*mttd_seconds))),
    ];
    lines.push(match acknowledged_at {
        Some(at) => {
            let by = acknowledged_by.as_ref().map_or("somebody", |it| it.as_str());
            let after = after(*mtta_seconds);
            format!("  acknowledged  {}{after} by {}", times::full(*at), visible(by))
        }
        None => "  acknowledged  by nobody yet".to_owned(),
    });
    lines.push(match resolved_at {
        Some(at) => format!("  resolved      {}{}", times::full(*at), after(*mttr_seconds)),
        None => "  resolved      not yet".to_owned(),
    });
    if 0 < *n_reopened {
        let times = count(usize::try_from(*n_reopened).unwrap_or(usize::MAX), "time");
        lines.push(format!("  it came back {times}"));
    }
    if runs.is_empty() {
        lines.push("  no run".to_owned());
    }
    if let Some(why) = waiting_for {
        lines.push(format!("  waiting for: {}", visible(why)));
    }
    lines.join("\n")
}

/// `, after 45s`.
fn after(seconds: Option<f64>) -> String {
    let duration = seconds.and_then(|it| SignedDuration::try_from_secs_f64(it).ok());
    duration.map_or_else(String::new, |it| format!(", after {}", times::about(it)))
}
