//! From signals to a proposed capacity.
//!
//! **In:** findings on a policy's signals, the current capacity, and past
//! recommendations.
//! **Out:** a [`Proposal`] that always says why, also when it proposes no change.
//! **Not here:** bounds, steps, cooldowns, blast radius and overrides (see
//! [`crate::guard`]); judging what was observed (see [`crate::sight`]).

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::{Rule, ScalingPolicy};
use crate::ids::{OverrideId, SignalName};
use crate::quality::{Absence, Doubt, Quality};
use crate::sight::TargetSight;
use crate::units::Capacity;

/// One signal as judged, with the demand that follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignalFinding {
    /// Which signal.
    pub signal: SignalName,
    /// How far it may be trusted.
    pub quality: Quality,
    /// In the signal's unit; `None` when missing.
    pub value: Option<f64>,
    /// When the backend sampled it.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub sampled_at: Option<Timestamp>,
    /// Units of capacity that it asks for; `None` when it asks for nothing.
    pub demand: Option<f64>,
    /// Why it is suspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// Why it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
}

/// What the signals together ask for at one instant, before any look back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// Units, rounded up; the current capacity when inside the tolerance.
    pub capacity: Capacity,
    /// The signal with the largest demand; `None` when none asks for anything.
    pub leading: Option<SignalName>,
    /// The worst of the signals.
    pub quality: Quality,
    /// Whether the demand was inside the tolerance.
    pub is_within_tolerance: bool,
}

/// A capacity the agent would like, with its reason. Not yet permitted.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a proposal does nothing until the guard turns it into a permit"]
pub struct Proposal {
    /// Absolute capacity, never a difference.
    pub desired: Capacity,
    /// Why `desired` has this value.
    pub reason: Reason,
    /// How far the signals behind it may be trusted.
    pub quality: Quality,
}

/// Why a proposal has the capacity it has. One variant per branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// This signal asks for the most.
    Demand { signal: SignalName },
    /// The demand is close enough to the current capacity.
    WithinTolerance { signal: SignalName },
    /// The current capacity is what is asked for.
    Sufficient { signal: SignalName },
    /// No signal asks for any capacity, so none is taken away on their account.
    NothingAsked,
    /// The signals ask for less, but are not good enough to remove capacity.
    HeldOnQuality { formula: Capacity, quality: Quality },
    /// No signal has a usable value.
    NoUsableSignal,
    /// They ask for less (or more), but have not done so for the whole
    /// stabilization window.
    Stabilizing {
        formula: Capacity,
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        until: Timestamp,
    },
    /// A person pinned it.
    Pinned { by: OverrideId },
    /// No policy selects this target.
    NoPolicy,
}

/// What the value of a signal asks for, in units; `None` when for nothing.
///
/// `value` is finite and `>= 0`. `ValuePerUnit`: `value * (1 + headroom) / per
/// unit`. `QueueDepth`: `value / (rate per unit * drained_within)`.
/// `LatencyObjective`: above the objective `ready * min(value / objective, 2)`, at
/// least the current capacity (twice is the most that one look justifies, as in
/// HPA's default step; units that still boot have had no say in the latency, so
/// they are not multiplied); within the tolerance below it the current capacity;
/// lower, nothing.
pub fn demand(
    policy: &ScalingPolicy,
    rule: Rule,
    value: f64,
    current: Capacity,
    ready: Option<Capacity>,
) -> Option<f64> {
    match rule {
        Rule::ValuePerUnit { value_per_unit } => {
            Some(value * (1.0 + policy.headroom_ratio) / value_per_unit)
        }
        Rule::QueueDepth { drained_within, rate_per_unit } => {
            Some(value / (rate_per_unit * drained_within.as_secs_f64()))
        }
        Rule::LatencyObjective { objective_seconds } => {
            let ratio = value / objective_seconds;
            if 1.0 < ratio {
                // A target at 0 has no latency to speak of, but if it does, 1 unit is a start.
                let serving = f64::from(ready.unwrap_or(current).max(Capacity(1)));
                Some((serving * ratio.min(LATENCY_RATIO_MAX)).max(f64::from(current)))
            } else if 1.0 - policy.tolerance_ratio <= ratio {
                Some(f64::from(current))
            } else {
                None
            }
        }
    }
}

/// Most that a latency above its objective multiplies the ready capacity by.
const LATENCY_RATIO_MAX: f64 = 2.0;

/// 11 units for 10 are `0.10000000000000009` more: still a tolerance of 0.1.
const ROUNDING_ERROR: f64 = 1e-9;

/// What the findings together ask for. The largest demand wins.
pub fn recommend(
    policy: &ScalingPolicy,
    current: Capacity,
    findings: &[SignalFinding],
) -> Recommendation {
    let quality = findings.iter().map(|it| it.quality).max().unwrap_or(Quality::Missing);
    let largest = findings
        .iter()
        .filter_map(|it| Some((it.demand?, &it.signal)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((units, signal)) = largest else {
        return Recommendation {
            capacity: current,
            leading: None,
            quality,
            is_within_tolerance: false,
        };
    };
    let is_within_tolerance = current != Capacity(0)
        && (units / f64::from(current) - 1.0).abs() <= policy.tolerance_ratio + ROUNDING_ERROR;
    let capacity = if is_within_tolerance { current } else { Capacity::covering(units) };
    Recommendation { capacity, leading: Some(signal.clone()), quality, is_within_tolerance }
}

/// Proposes a capacity from the newest recommendation and those before it.
///
/// Postcondition: with any quality but good, `desired >= current`.
pub fn propose(
    now: Timestamp,
    policy: &ScalingPolicy,
    current: Capacity,
    recommendation: &Recommendation,
    sight: &TargetSight,
) -> Proposal {
    let quality = recommendation.quality;
    let formula = recommendation.capacity;
    let keep = |reason| Proposal { desired: current, reason, quality };
    let Some(signal) = recommendation.leading.clone() else {
        let has_value = quality != Quality::Missing;
        return keep(if has_value { Reason::NothingAsked } else { Reason::NoUsableSignal });
    };
    if formula == current {
        return keep(if recommendation.is_within_tolerance {
            Reason::WithinTolerance { signal }
        } else {
            Reason::Sufficient { signal }
        });
    }
    if current < formula {
        let window = policy.scale_up.stabilization;
        let (at, lowest) = sight.lowest_since(now, window).unwrap_or((now, formula));
        if lowest <= current {
            return keep(Reason::Stabilizing { formula, until: later(at, window) });
        }
        return Proposal { desired: lowest, reason: Reason::Demand { signal }, quality };
    }
    if quality != Quality::Good {
        return keep(Reason::HeldOnQuality { formula, quality });
    }
    let window = policy.scale_down.stabilization;
    // Without good signals for the whole window nobody knows the highest demand in it.
    let Some(covered_at) = sight.good_since().map(|it| later(it, window)) else {
        return keep(Reason::HeldOnQuality { formula, quality });
    };
    if now < covered_at {
        return keep(Reason::Stabilizing { formula, until: covered_at });
    }
    let (at, highest) = sight.highest_since(now, window).unwrap_or((now, formula));
    if current <= highest {
        return keep(Reason::Stabilizing { formula, until: later(at, window) });
    }
    Proposal { desired: highest, reason: Reason::Demand { signal }, quality }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
