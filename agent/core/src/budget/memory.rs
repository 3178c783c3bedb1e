//! What must not be forgotten of budgets: thresholds that are crossed, alerts that fire.
//!
//! **In:** records, one at a time, from [`crate::state::State::apply`].
//! **Out:** the memory that they lead to.
//! **Not here:** what was counted (it is read again, or kept by the shell), decisions
//! ([`super::watch`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::Consequence;
use crate::ids::{BudgetId, SloId, ThresholdName};
use crate::incident::Severity;

/// The memory of budgets. Equal records give equal memories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetMemory {
    crossed: BTreeMap<BudgetId, BTreeMap<ThresholdName, Crossed>>,
    alerts: BTreeMap<SloId, BTreeMap<String, AlertState>>,
}

/// A threshold that is crossed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Crossed {
    /// Since when.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// Why, in numbers.
    pub why: String,
    /// What follows as long as it is.
    pub then: BTreeSet<Consequence>,
    /// Of a runaway, what was usual before: it lasts until spend is near that again, or buys
    /// something. Nothing of another threshold.
    #[serde(default)]
    pub runaway_from: Option<Usual>,
}

/// What was usual before spend ran away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usual {
    /// Money per hour.
    pub spend_per_hour: f64,
    /// Good requests per second; `None` where they were not known.
    pub good_rps: Option<f64>,
}

impl Crossed {
    /// Whether money grows and what it buys does not.
    pub fn is_runaway(&self) -> bool {
        self.runaway_from.is_some()
    }
}

/// An alert policy that is not quiet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlertState {
    /// Since when.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// How urgent.
    pub severity: Severity,
    /// Whether it fires; else there is no data.
    pub is_firing: bool,
    /// Why, in numbers.
    pub why: String,
}

/// What can happen to a threshold of a budget. Each is a durable record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum BudgetEvent {
    /// It was crossed.
    Crossed {
        why: String,
        then: BTreeSet<Consequence>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runaway_from: Option<Usual>,
    },
    /// It has not been for long enough, or its document is gone.
    Cleared { why: String },
}

impl BudgetEvent {
    /// The kind of its record in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            BudgetEvent::Crossed { .. } => "budget_crossed",
            BudgetEvent::Cleared { .. } => "budget_cleared",
        }
    }
}

/// What can happen to an alert policy of an SLO. Each is a durable record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SloAlertEvent {
    /// It fires.
    Fired { severity: Severity, why: String },
    /// There is no data to say whether it should.
    NoData { severity: Severity, why: String },
    /// Neither any more.
    Resolved { why: String },
}

impl SloAlertEvent {
    /// The kind of its record in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            SloAlertEvent::Fired { .. } => "slo_alert_fired",
            SloAlertEvent::NoData { .. } => "slo_alert_no_data",
            SloAlertEvent::Resolved { .. } => "slo_alert_resolved",
        }
    }
}

impl BudgetMemory {
    pub(crate) fn apply_budget(
        &mut self,
        at: Timestamp,
        budget: &BudgetId,
        threshold: &ThresholdName,
        event: &BudgetEvent,
    ) {
        match event {
            BudgetEvent::Crossed { why, then, runaway_from } => {
                let crossed = Crossed {
                    since: at,
                    why: why.clone(),
                    then: then.clone(),
                    runaway_from: *runaway_from,
                };
                let of_budget = self.crossed.entry(budget.clone()).or_default();
                of_budget.insert(threshold.clone(), crossed);
            }
            BudgetEvent::Cleared { .. } => {
                if let Some(of_budget) = self.crossed.get_mut(budget) {
                    of_budget.remove(threshold);
                    if of_budget.is_empty() {
                        self.crossed.remove(budget);
                    }
                }
            }
        }
    }

    pub(crate) fn apply_alert(
        &mut self,
        at: Timestamp,
        slo: &SloId,
        policy: &str,
        event: &SloAlertEvent,
    ) {
        let (severity, is_firing, why) = match event {
            SloAlertEvent::Fired { severity, why } => (*severity, true, why.clone()),
            SloAlertEvent::NoData { severity, why } => (*severity, false, why.clone()),
            SloAlertEvent::Resolved { .. } => {
                if let Some(of_slo) = self.alerts.get_mut(slo) {
                    of_slo.remove(policy);
                    if of_slo.is_empty() {
                        self.alerts.remove(slo);
                    }
                }
                return;
            }
        };
        let state = AlertState { since: at, severity, is_firing, why };
        self.alerts.entry(slo.clone()).or_default().insert(policy.to_owned(), state);
    }

    /// A threshold, when it is crossed.
    pub fn crossed(&self, budget: &BudgetId, threshold: &ThresholdName) -> Option<&Crossed> {
        self.crossed.get(budget)?.get(threshold)
    }

    /// Every threshold that is crossed, by budget and name.
    pub fn all_crossed(&self) -> impl Iterator<Item = (&BudgetId, &ThresholdName, &Crossed)> {
        self.crossed
            .iter()
            .flat_map(|(budget, it)| it.iter().map(move |(name, it)| (budget, name, it)))
    }

    /// An alert policy of an SLO (the objective's name, `/`, the policy's), when it is not
    /// quiet.
    pub fn alert(&self, slo: &SloId, policy: &str) -> Option<&AlertState> {
        self.alerts.get(slo)?.get(policy)
    }

    /// Every alert policy that is not quiet, by SLO and name.
    pub fn alerts(&self) -> impl Iterator<Item = (&SloId, &str, &AlertState)> {
        self.alerts
            .iter()
            .flat_map(|(slo, it)| it.iter().map(move |(name, it)| (slo, name.as_str(), it)))
    }

    /// Those of one SLO.
    pub fn alerts_of(&self, slo: &SloId) -> impl Iterator<Item = (&str, &AlertState)> {
        self.alerts.get(slo).into_iter().flatten().map(|(name, it)| (name.as_str(), it))
    }
}
