//! What people are told of budgets and SLOs, in words.
//!
//! **In:** what crossed, fired, cleared or differs.
//! **Out:** a [`Notice`] with the numbers and how to go on.
//! **Not here:** when it is told ([`super::watch`]), delivery (the shell's).

use crate::documents::{Budget, Consequence, Threshold};
use crate::heal::notices::notice as blank;
use crate::ids::SloId;
use crate::incident::Severity;
use crate::notice::{Notice, Topic};

fn notice(severity: Severity, topic: Topic, title: String, body: String, runbook: &str) -> Notice {
    let runbook = Some(format!("runbooks/alerts/{runbook}.md"));
    Notice { runbook, ..blank(severity, topic, title, body) }
}

/// An alert policy of an SLO.
pub(crate) struct AlertWords {
    pub(crate) slo: SloId,
    /// The objective's name, `/`, the policy's.
    pub(crate) policy: String,
    pub(crate) severity: Severity,
    pub(crate) why: String,
}

/// Most SLOs that one notice names. Why 10: whoever reads it looks at `evenkeel slo` then.
const NAMED_MAX: usize = 10;

/// Alerts that began at once: one notice each, or one for all where there are many, as when
/// a whole region is out.
pub(crate) fn slos_burn(alerts: &[AlertWords]) -> Vec<Notice> {
    if NAMED_MAX < alerts.len() {
        let severity = alerts.iter().map(|it| it.severity).max().unwrap_or(Severity::Ticket);
        let title = format!("{} SLOs burn at once", alerts.len());
        let body = named(alerts);
        let it = notice(severity, Topic::SloBurn, title, body, "EvenkeelSloBurn");
        return vec![Notice { answers: vec!["evenkeel slo".to_owned()], ..it }];
    }
    let one = |it: &AlertWords| Notice {
        answers: vec![format!("evenkeel slo {}", it.slo)],
        ..notice(
            it.severity,
            Topic::SloBurn,
            format!("SLO {} burns: {}", it.slo, it.policy),
            it.why.clone(),
            "EvenkeelSloBurn",
        )
    };
    alerts.iter().map(one).collect()
}

/// SLOs without data: one notice, whatever their number: they mostly have one cause.
pub(crate) fn slos_without_data(alerts: &[AlertWords]) -> Option<Notice> {
    let severity = alerts.iter().map(|it| it.severity).max()?;
    let title = match alerts {
        [one] => format!("SLO {} has no data", one.slo),
        _ => format!("{} SLOs have no data", alerts.len()),
    };
    let body = format!("Nobody can tell whether these are met.\n{}", named(alerts));
    let it = notice(severity, Topic::SloBurn, title, body, "EvenkeelSloNoData");
    Some(Notice { answers: vec!["evenkeel slo".to_owned()], ..it })
}

/// An alert that is over.
pub(crate) fn slo_recovered(it: &AlertWords) -> Notice {
    let title = format!("SLO {}: {} is over", it.slo, it.policy);
    notice(Severity::Info, Topic::SloBurn, title, it.why.clone(), "EvenkeelSloBurn")
}

fn named(alerts: &[AlertWords]) -> String {
    let mut lines: Vec<String> = alerts
        .iter()
        .take(NAMED_MAX)
        .map(|it| format!("{} {}: {}", it.slo, it.policy, it.why))
        .collect();
    if NAMED_MAX < alerts.len() {
        lines.push(format!("and {} more", alerts.len() - NAMED_MAX));
    }
    lines.join("\n")
}

/// A threshold that was crossed.
pub(crate) fn threshold_crossed(
    budget: &Budget,
    threshold: &Threshold,
    why: &str,
    is_runaway: bool,
) -> Notice {
    let title = format!("budget {}: {} crossed", budget.id, threshold.name);
    let effects: Vec<&str> = threshold.then.iter().filter_map(|it| follows(*it)).collect();
    let body = if effects.is_empty() {
        why.to_owned()
    } else {
        format!("{why}\nUntil it is cleared: {}.", effects.join("; "))
    };
    let runbook = if is_runaway { "EvenkeelRunawaySpend" } else { "EvenkeelBudgetThreshold" };
    Notice {
        answers: vec![
            format!("evenkeel budget status {}", budget.id),
            format!("evenkeel budget forecast {}", budget.id),
        ],
        ..notice(threshold.severity, Topic::BudgetThreshold, title, body, runbook)
    }
}

fn follows(consequence: Consequence) -> Option<&'static str> {
    match consequence {
        Consequence::Notify => None,
        Consequence::TightenAutonomy => Some("playbooks in its scope ask a person first"),
        Consequence::FreezePlaybooks => {
            Some("playbooks that may take something away wait, unless a person starts them")
        }
        Consequence::BlockDrills => Some("no drill is admitted"),
        Consequence::StopScalingOut => {
            Some("capacity in its scope does not grow, unless an SLO needs it")
        }
    }
}

/// A bill that differs.
pub(crate) fn bill_drifts(source: &str, drift_ratio: f64, differences: &[String]) -> Notice {
    let percent = drift_ratio * 100.0;
    let title = format!("the bill {source} differs by {percent:.0} % from what was metered");
    let body = differences.join("\n");
    Notice {
        answers: vec![format!("evenkeel budget reconcile {source}")],
        ..notice(Severity::Ticket, Topic::BillDrift, title, body, "EvenkeelBillDrift")
    }
}
