//! Budgets and SLOs over the wire.
//!
//! **In and out:** JSON bodies of `/v1/slos` and `/v1/budgets`, and of `--output json`.
//! **Not here:** how the numbers come about ([`crate::budget`], [`crate::slo`],
//! [`crate::spend`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::exhaustion::Exhaustion;
use crate::documents::{BudgetScope, Consequence};
use crate::ids::{BudgetId, ServiceName, SloId, TenantName, ThresholdName};
use crate::incident::Severity;
use crate::slo::alert::Verdict;
use crate::spend::money::{Currency, Money};

/// `GET /v1/slos`: every SLO, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SloReport {
    /// When.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// The SLOs.
    pub slos: Vec<SloStatus>,
}

/// One SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SloStatus {
    /// Which.
    pub slo: SloId,
    /// What people call it.
    pub display_name: String,
    /// Whose.
    pub service: ServiceName,
    /// Its window, in words.
    pub window: String,
    /// Whether its service is never starved to save money.
    pub is_critical: bool,
    /// Its objectives in order; of a composite, the whole last.
    pub objectives: Vec<ObjectiveStatus>,
}

/// One objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectiveStatus {
    /// What people call it.
    pub name: String,
    /// The share that must be good.
    pub target: f64,
    /// Why it is not measured; `None` when it is.
    pub unread: Option<String>,
    /// Bad events in the window.
    pub bad: f64,
    /// All events in the window.
    pub total: f64,
    /// What is left of its error budget: 1 is all, below 0 is overspent; `None` without
    /// events.
    pub budget_left: Option<f64>,
    /// For how much of the window so far there are observations.
    pub coverage: f64,
    /// Burn rates by window: `5m`, `1h`, `6h`, `1d`, `3d`; `None` without events.
    pub burn_rates: BTreeMap<String, Option<f64>>,
    /// The end of the newest slot that was observed.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub observed_until: Option<Timestamp>,
    /// When the budget will be spent.
    pub exhaustion: Option<Exhaustion>,
    /// Its alert policies.
    pub alerts: Vec<AlertStatus>,
}

/// One alert policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlertStatus {
    /// Its name.
    pub policy: String,
    /// How urgent.
    pub severity: Severity,
    /// What it says now.
    pub verdict: Verdict,
    /// Since when it is not quiet.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub since: Option<Timestamp>,
    /// Its windows in words: `1h 20.1x of 14.4x, 5m 33.0x of 14.4x`.
    pub why: String,
}

/// `GET /v1/budgets`: every budget, and what is being spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BudgetReport {
    /// When.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// Of every amount.
    pub currency: Currency,
    /// What everything costs per hour now; `None` before it was known.
    pub per_hour: Option<f64>,
    /// The budgets, by name.
    pub budgets: Vec<BudgetStatus>,
    /// What each service costs.
    pub services: Vec<ServiceSpend>,
    /// What belonged to no service, by day, oldest first.
    #[serde(default)]
    pub unallocated: Vec<DaySpend>,
    /// What each tenant uses and costs, the dearest first.
    pub tenants: Vec<TenantSpend>,
    /// How far the last bill that was read differs from what was metered, as a share of it;
    /// `None` before one was.
    #[serde(default)]
    pub bill_drift_ratio: Option<f64>,
    /// What is not known or estimated, and why: prices, usage, tenants beyond the bound.
    pub notes: Vec<String>,
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BudgetStatus {
    /// Which.
    pub budget: BudgetId,
    /// Whose money; `None` for an error budget.
    pub scope: Option<BudgetScope>,
    /// Whose errors; `None` for money.
    pub slo: Option<SloId>,
    /// Its window, in words.
    pub window: String,
    /// When its period began.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub from: Timestamp,
    /// When it ends (for a rolling window: now).
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub until: Timestamp,
    /// How much may be spent: money, or bad events at the traffic so far.
    pub allowance: f64,
    /// How much was.
    pub spent: f64,
    /// `spent / allowance`; `None` when nothing may be spent yet (no traffic).
    pub spent_ratio: Option<f64>,
    /// What is spent per hour now; `None` for errors.
    pub per_hour: Option<f64>,
    /// Burn rates by window: `5m`, `1h`, `6h`, `1d`, `3d`. For money, 1.0 spends what is left
    /// by the end of the period.
    pub burn_rates: BTreeMap<String, Option<f64>>,
    /// When it will be spent.
    pub exhaustion: Option<Exhaustion>,
    /// Whether some of it is estimated: prices or capacities that were not read.
    pub is_estimated: bool,
    /// Whether spend grows and good requests do not, in words; `None` for errors.
    pub runaway: Option<String>,
    /// Its thresholds.
    pub thresholds: Vec<ThresholdStatus>,
}

/// One threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ThresholdStatus {
    /// Its name.
    pub name: ThresholdName,
    /// What it looks at: `spent_ratio`, `burn_rate`, `exhausts_within` or `runaway`.
    pub kind: String,
    /// When it is crossed, in words.
    pub when: String,
    /// What follows.
    pub then: Vec<Consequence>,
    /// Since when it is crossed.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub crossed_since: Option<Timestamp>,
    /// Why, when it is.
    pub why: Option<String>,
}

/// What one service costs and buys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceSpend {
    /// Which.
    pub service: ServiceName,
    /// Whether an SLO marks it as critical.
    pub is_critical: bool,
    /// Per hour now.
    pub per_hour: f64,
    /// What 1,000 good requests cost over the last day; `None` without any.
    pub per_thousand_good: Option<f64>,
    /// What 1,000 more would cost, from how both moved over the last six hours; `None`
    /// where they did not move enough.
    pub per_thousand_more: Option<f64>,
    /// Sums of the last days, by date (UTC), oldest first.
    pub days: Vec<DaySpend>,
}

/// What was spent on one day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DaySpend {
    /// Midnight UTC at its beginning.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub from: Timestamp,
    /// How much.
    pub amount: Money,
    /// For how many hours it was metered.
    pub hours: f64,
}

/// What one tenant uses and costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantSpend {
    /// Which.
    pub tenant: TenantName,
    /// Whose requests are worth more.
    pub value: f64,
    /// Requests per second.
    pub rps: f64,
    /// Its share of all requests, in `[0, 1]`.
    pub share_ratio: f64,
    /// Most requests per second; `None` without a quota.
    pub quota_rps: Option<f64>,
    /// Whether it is above its quota.
    pub is_over_quota: bool,
    /// What it costs per hour now.
    pub per_hour: f64,
}

/// `POST /v1/budgets/fits`: whether a drill that spends so much would be admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FitsRequest {
    /// Whose error budget it would spend.
    pub slo: SloId,
    /// The share of the whole budget that it is expected to spend, in `(0, 1]`.
    pub spends_ratio: f64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FitsAnswer {
    /// Whether it is admitted.
    pub fits: bool,
    /// What is left.
    pub budget_left: Option<f64>,
    /// Why, or why not.
    pub why: String,
}
