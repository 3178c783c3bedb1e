//! What one run of the simulator was like, in numbers.
//!
//! **In:** sums of a run.
//! **Out:** [`Scorecard`], whose JSON is a contract.
//! **Not here:** computing them ([`crate::capacity`]), tables for people (the command line's).

use serde::Serialize;

/// Scores of one run. Percentages are of the scored time; the first days of a capacity
/// scenario are history and not scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scorecard {
    /// The scenario's name.
    pub scenario: String,
    /// What fixed all chance. A capacity scenario has no chance: every seed gives the same.
    pub seed: u64,
    /// Who decided, such as `evenkeel` or `hpa:70`.
    pub controller: String,
    /// Virtual time that passed, history included.
    pub simulated_seconds: i64,
    /// Real time that it took; 0 until whoever has a clock fills it in.
    pub wall_seconds: f64,
    /// Ready units times time times price, over the scored part.
    pub cost_usd: f64,
    /// The same for demanded units: what one who knows the future would have paid.
    pub oracle_cost_usd: f64,
    /// Cost divided by the oracle's, `sum of ready / sum of demand`; also where units are free.
    pub cost_ratio: f64,
    /// Mean of `(demand - ready)+ / demand` over time, in percent.
    pub theta_u: f64,
    /// Mean of `(ready - demand)+ / demand` over time, in percent.
    pub theta_o: f64,
    /// Share of the time with less ready than demanded, in percent.
    pub tau_u: f64,
    /// Share of the time with more ready than demanded, in percent.
    pub tau_o: f64,
    /// Share of the load above what ready units carry, `0.0 ..= 1.0`.
    pub unserved_ratio: f64,
    /// Share of the time with enough ready capacity, `0.0 ..= 1.0`.
    pub slo_good_ratio: f64,
    /// How often the desired capacity changed.
    pub capacity_changes: u32,
    /// How often a person was called.
    pub pages: u32,
    /// Mean time to detect an incident; `None` where nothing breaks.
    pub mttd_seconds: Option<f64>,
    /// Mean time to repair it; `None` where nothing breaks.
    pub mttr_seconds: Option<f64>,
    /// Seconds in which a service that people wait for missed its objective, all of them added.
    pub slo_bad_seconds: u64,
    /// Requests that were given up for good.
    pub lost_requests: f64,
    /// Whether the run was interrupted: everything is about the part that ran.
    pub partial: bool,
    /// What must never happen and did; at most the first 100.
    pub violations: Vec<Violation>,
    /// Hex SHA-256 over the text of all events, equal for equal input.
    pub trace_sha256: String,
}

/// Something that must never happen and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Unix seconds.
    pub at: i64,
    /// Which invariant.
    pub invariant: &'static str,
    /// What happened instead.
    pub what: String,
}

impl Violation {
    /// The invariant that capacity catches up with demand in time. Every other one is about
    /// safety.
    pub const LIVENESS: &'static str = "under_demand_too_long";

    /// The invariant that a region is good again after its faults have ended.
    pub const NOT_RECOVERED: &'static str = "not_recovered";

    /// Whether it is about what did not come in time, and not about what must never happen.
    pub fn is_liveness(&self) -> bool {
        self.invariant == Violation::LIVENESS
            || self.invariant == Violation::NOT_RECOVERED
            || self.invariant.starts_with("must: ")
    }
}
