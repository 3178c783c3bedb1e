//! One run in words.
//!
//! **In:** the agent's [`RunReport`].
//! **Out:** what it is, where it is, its plan, and how to answer it.
//! **Not here:** asking for it ([`crate::runs`]), tables of several ([`crate::incidents`]).

use evenkeel_core::api::healing::RunReport;
use evenkeel_core::run::RunCause;

use crate::terminal::visible;
use crate::times;

/// The word of a run that has ended.
pub(crate) const ENDED: &str = "ended";

/// The word of a run that waits for people.
const AWAITING_APPROVAL: &str = "awaiting_approval";

/// All that is known of it, without a line break at the end.
pub(crate) fn shown(run: &RunReport) -> String {
    let mut lines = vec![format!("{}, {}: {}", head(run), phase(run), visible(&run.sentence))];
    lines.push(format!("  {}, since {}", cause(&run.cause), times::full(run.opened_at)));
    if !run.parameters.is_empty() {
        let all = run.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        lines.push(format!("  with {}", all.collect::<Vec<_>>().join(", ")));
    }
    for it in &run.approvals {
        let glass = if it.is_break_glass { ", by break-glass" } else { "" };
        lines.push(format!(
            "  approved by {} before step {}, {}{glass}",
            visible(it.actor.as_str()),
            // Counted from 0 on the wire, as in records.
            it.step.saturating_add(1),
            times::full(it.at)
        ));
    }
    if let Some(hash) = &run.plan_hash {
        lines.push(format!("  plan {}", visible(hash)));
    }
    lines.extend((1..).zip(&run.plan).map(|(step, it)| {
        let mark = if run.step == Some(step) { '>' } else { ' ' };
        format!("  {mark} {step}. {}", visible(it))
    }));
    if let Some(at) = run.approval_expires_at.filter(|_| is_awaiting(run)) {
        lines.push(format!("  without an answer by {} that is a no", times::full(at)));
    }
    lines.join("\n")
}

/// `run-7: restart-slow on checkout-api, for inc-3`.
fn head(run: &RunReport) -> String {
    let incident = run.incident.map_or_else(String::new, |it| format!(", for {it}"));
    format!("{}: {} on {}{incident}", run.id, run.playbook, run.target)
}

/// Its phase; of one that is over, how it ended.
pub(crate) fn phase(run: &RunReport) -> String {
    visible(run.ending.as_ref().unwrap_or(&run.phase))
}

fn cause(cause: &RunCause) -> String {
    match cause {
        RunCause::Triggered { why } => format!("triggered: {}", visible(why)),
        RunCause::Scheduled => "on schedule".to_owned(),
        RunCause::ByHand { actor, reason } => {
            format!("by {}: {}", visible(actor.as_str()), visible(reason))
        }
    }
}

/// Whether it waits for people.
pub(crate) fn is_awaiting(run: &RunReport) -> bool {
    run.phase == AWAITING_APPROVAL
}

/// How to answer one that waits for people, as it is typed.
pub(crate) fn answers(run: &RunReport) -> Option<String> {
    let hash = run.plan_hash.as_ref().filter(|_| is_awaiting(run))?;
    Some(format!(
        "`evenkeel approve {} --plan {}`, or `evenkeel deny {}`",
        run.id,
        visible(hash),
        run.id
    ))
}
