//! Verdicts of alert policies: firing, quiet, or not known.
//!
//! **In:** counts over each condition's window, the verdict before.
//! **Out:** a [`Verdict`] with its numbers, and what changed.
//! **Not here:** counting ([`super::meter`]), telling people ([`crate::budget`]), the same
//! as Prometheus rules ([`super::rules`]).

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::burn::{burn_rate, is_significant};
use super::ring::WindowCounts;
use crate::documents::{AlertPolicy, BurnCondition, Comparison};

/// What an alert policy says at one instant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All conditions hold, for as long as they must, on enough events.
    Firing,
    /// They hold, but not for as long as they must yet.
    Pending,
    /// At least one does not hold, or the events are too few to tell.
    Quiet,
    /// There were no events in a window: neither good nor bad.
    NoTraffic,
    /// A window was not observed at all.
    NoData,
}

impl Verdict {
    /// As in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Firing => "firing",
            Verdict::Pending => "pending",
            Verdict::Quiet => "quiet",
            Verdict::NoTraffic => "no_traffic",
            Verdict::NoData => "no_data",
        }
    }
}

/// One window of a policy and what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConditionFinding {
    /// The condition.
    pub condition: BurnCondition,
    /// The counts of its window.
    pub window: WindowCounts,
    /// Its burn rate; `None` without events.
    pub burn_rate: Option<f64>,
    /// Whether it holds; `None` when that is not known.
    pub holds: Option<bool>,
    /// Whether the events are enough to say so. Only asked of the longest window.
    pub is_significant: bool,
}

/// What is remembered of a policy from one evaluation to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Since when all conditions hold.
    pub since: Option<Timestamp>,
}

/// Judges one policy at `now`. `counted` says whether single events were counted, so that
/// few of them may be chance; slices of time and samples of a threshold may not.
///
/// `counts` gives what the window of that length holds.
pub fn judge(
    policy: &AlertPolicy,
    error_budget: f64,
    counted: bool,
    now: Timestamp,
    held: &mut Held,
    counts: impl Fn(SignedDuration) -> (WindowCounts, Option<f64>),
) -> (Verdict, Vec<ConditionFinding>) {
    judge_by(policy, now, held, counts, |condition, window| {
        !counted || is_significant(window.counts, error_budget, condition.threshold)
    })
}

/// As [`judge`], with the question whether the events are enough left to the caller. It is
/// asked of the longest window only, and not of conditions that ask for a low burn rate.
pub(super) fn judge_by(
    policy: &AlertPolicy,
    now: Timestamp,
    held: &mut Held,
    counts: impl Fn(SignedDuration) -> (WindowCounts, Option<f64>),
    is_enough: impl Fn(&BurnCondition, WindowCounts) -> bool,
) -> (Verdict, Vec<ConditionFinding>) {
    let longest = policy.conditions.iter().map(|it| it.lookback).max();
    let findings: Vec<ConditionFinding> = policy
        .conditions
        .iter()
        .map(|condition| {
            let (window, burn_rate) = counts(condition.lookback);
            let is_upper = matches!(condition.op, Comparison::Gt | Comparison::Gte);
            let must_be_significant = is_upper && Some(condition.lookback) == longest;
            ConditionFinding {
                condition: *condition,
                window,
                burn_rate,
                holds: burn_rate.map(|it| condition.op.holds(it, condition.threshold)),
                is_significant: !must_be_significant || is_enough(condition, window),
            }
        })
        .collect();
    let holds = findings.iter().all(|it| it.holds == Some(true) && it.is_significant);
    held.since = holds.then(|| held.since.unwrap_or(now));
    let after = policy.conditions.iter().map(|it| it.alert_after).max().unwrap_or_default();
    let verdict = if let Some(since) = held.since {
        if after <= now.duration_since(since) { Verdict::Firing } else { Verdict::Pending }
    } else if findings.iter().any(|it| it.window.n_observed == 0) {
        Verdict::NoData
    } else if findings.iter().any(|it| it.holds == Some(false) || !it.is_significant) {
        Verdict::Quiet
    } else {
        Verdict::NoTraffic
    };
    (verdict, findings)
}

/// [`burn_rate`] of a window.
pub fn window_burn_rate(window: WindowCounts, error_budget: f64) -> Option<f64> {
    burn_rate(window.counts, error_budget)
}
