//! SLOs as Prometheus rules: the same counts, the same windows, the same alerts.
//!
//! **In:** checked SLOs.
//! **Out:** a [`RuleFile`]: recording rules and alerts whose states are the verdicts of
//! [`super::alert`], and the SLOs that Prometheus cannot be told of.
//! **Not here:** reading metrics, counting in this process ([`super::meter`]).
//!
//! ```text
//!  slo:sli_source:value ─► slo:sli_{bad,total}:delta30s ─► [slo:slice_{bad,total}:delta30s]
//!      ─► slo:sli_{bad,total}:sum1h … ─► slo:burn_rate:1h … ─► EvenkeelSloBurn
//! ```
//!
//! Each SLO is a group of its own; the rules of a group are evaluated one after the other,
//! so that each reads what those before it have just recorded. What differs from the agent:
//!
//! - Prometheus evaluates a group every 30 seconds, but not at whole multiples of them:
//!   its slots are the agent's, shifted by less than one.
//! - `slo:error_budget_left:ratio` does not have the events that a gap of the counters hid;
//!   the agent's ledger does. It is there for rolling windows of at most 30 days.
//! - The agent keeps shares with seven digits: where a sum of shares is exactly at a
//!   threshold, the last bit decides here as there, but not always alike. Whole counts are
//!   exact.
//! - A query of more than [`super::increments::SERIES_MAX`] series is evaluated.
//! - What the recording rules have not seen, before they were loaded or while Prometheus
//!   was down, is a gap for them.

mod alerts;
mod promql;
mod records;
mod yaml;

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::SLOT;
use super::window::Window;
use crate::documents::Slo;
use crate::ids::SloId;

/// The runbook of [`BURN_ALERT`], for annotations.
pub const BURN_RUNBOOK: &str = "runbooks/alerts/EvenkeelSloBurn.md";

/// The alert that an alert policy becomes; its label `severity` says how urgent it is.
pub const BURN_ALERT: &str = "EvenkeelSloBurn";

/// The runbook of [`NO_DATA_ALERT`], for annotations.
pub const NO_DATA_RUNBOOK: &str = "runbooks/alerts/EvenkeelSloNoData.md";

/// The alert of policies that tell when there is no data.
pub const NO_DATA_ALERT: &str = "EvenkeelSloNoData";

/// The longest window of which Prometheus is asked for the budget. Why 30 days: the sum
/// over a longer one takes more samples than a query may load on a small server.
pub const BUDGET_WINDOW_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often what is left of a budget is computed. Why every five minutes: it sums up 86,400
/// samples per objective, and changes by less than a hundredth of a percent of the time.
const BUDGET_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// Everything for one rule file of Prometheus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleFile {
    /// One or two per SLO, in the order of the SLOs.
    pub groups: Vec<RuleGroup>,
    /// SLOs without rules.
    pub skipped: Vec<Skipped>,
}

/// An SLO that Prometheus cannot be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub slo: SloId,
    /// Why.
    pub reason: String,
}

/// Rules that are evaluated one after the other: all records, then all alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroup {
    /// Unique in the file.
    pub name: String,
    /// How often.
    pub interval: SignedDuration,
    /// What is recorded.
    pub records: Vec<RecordingRule>,
    /// What people are told of.
    pub alerts: Vec<AlertingRule>,
}

/// A recording rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRule {
    /// The name of what is recorded.
    pub record: String,
    /// PromQL.
    pub expr: String,
    /// Labels in addition to those of the expression.
    pub labels: BTreeMap<String, String>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertingRule {
    /// Its name.
    pub alert: String,
    /// PromQL.
    pub expr: String,
    /// For how long it must hold.
    pub hold_for: SignedDuration,
    /// Labels in addition to those of the expression; Go templates.
    pub labels: BTreeMap<String, String>,
    /// Texts; Go templates.
    pub annotations: BTreeMap<String, String>,
}

impl RuleFile {
    /// The file's text; the same for the same SLOs.
    pub fn to_yaml(&self) -> String {
        yaml::write(self)
    }
}

/// The rules of these SLOs.
pub fn rules<'a>(slos: impl Iterator<Item = &'a Slo>) -> RuleFile {
    let mut file = RuleFile::default();
    for slo in slos {
        if let Some(reason) = refusal(slo) {
            file.skipped.push(Skipped { slo: slo.id.clone(), reason });
            continue;
        }
        file.groups.push(RuleGroup {
            name: format!("slo:{}", slo.id),
            interval: SLOT,
            records: records::of(slo),
            alerts: alerts::of(slo),
        });
        match &slo.window {
            Window::Rolling(length) if *length <= BUDGET_WINDOW_MAX => {
                file.groups.push(RuleGroup {
                    name: format!("slo:{}:budget", slo.id),
                    interval: BUDGET_INTERVAL,
                    records: records::budget_left(slo, *length),
                    alerts: Vec::new(),
                });
            }
            Window::Rolling(_) | Window::Calendar(_) => {}
        }
    }
    file
}

/// Why an SLO has no rules; `None` when it has.
fn refusal(slo: &Slo) -> Option<String> {
    slo.objectives.iter().find_map(|it| {
        let source_type = it.indicator.unread()?;
        Some(format!(
            "objective `{}` is measured by a source of type `{source_type}`, which Prometheus \
             cannot evaluate; export only SLOs with queries for Prometheus",
            it.name
        ))
    })
}
