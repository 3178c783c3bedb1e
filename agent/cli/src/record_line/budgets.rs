//! What records about budgets, SLOs and bills say, in one line.
//!
//! **In:** a record.
//! **Out:** a sentence.
//! **Not here:** all other records ([`super`]).

use evenkeel_core::budget::memory::{BudgetEvent, SloAlertEvent};
use evenkeel_core::ids::{BudgetId, SloId, ThresholdName};

pub(super) fn budget(budget: &BudgetId, threshold: &ThresholdName, change: &BudgetEvent) -> String {
    match change {
        BudgetEvent::Crossed { why, then, runaway_from: _ } => {
            let then: Vec<&str> = then.iter().map(|it| it.name()).collect();
            format!("budget {budget}: {threshold} crossed: {why} (then {})", then.join(", "))
        }
        BudgetEvent::Cleared { why } => format!("budget {budget}: {threshold} cleared: {why}"),
    }
}

pub(super) fn slo_alert(slo: &SloId, policy: &str, change: &SloAlertEvent) -> String {
    match change {
        SloAlertEvent::Fired { severity, why } => {
            format!("SLO {slo} ({severity}): {policy} fires: {why}")
        }
        SloAlertEvent::NoData { severity: _, why } => {
            format!("SLO {slo}: {policy} has no data: {why}")
        }
        SloAlertEvent::Resolved { why } => format!("SLO {slo}: {policy} is over: {why}"),
    }
}

pub(super) fn reconciled(source: &str, drift_ratio: f64, differences: &[String]) -> String {
    let percent = drift_ratio * 100.0;
    let more = if differences.is_empty() { String::new() } else { differences.join("; ") };
    let separator = if more.is_empty() { "" } else { ": " };
    format!("bill {source} differs by {percent:.1} % from what was metered{separator}{more}")
}
