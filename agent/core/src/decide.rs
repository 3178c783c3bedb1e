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
use crate::foresight::{Covers, ForecastFinding};
use crate::ids::{OverrideId, SignalName};
use crate::look_back::LookBack;
use crate::quality::{Absence, Doubt, Quality};
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
    /// What is expected of it; `None` where nothing is forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastFinding>,
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
    /// What forecasts ask for; `None` where all abstain or there are none.
    pub ahead: Option<LookAhead>,
}

/// What the forecasts of all signals together ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct LookAhead {
    /// Capacity to ask for now, so that it is there in time.
    pub grow_to: Capacity,
    /// Capacity below which nothing may leave; at least `grow_to`.
    pub keep: Capacity,
    /// The signal that asks for the most.
    pub leading: SignalName,
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
    /// The forecast of this signal asks for this: more than there is now, or less
    /// but more than the signals alone.
    ForecastDemand { signal: SignalName },
    /// The signals ask for less, but the forecast of this one says that it will
    /// be needed before it could be had again.
    ForecastKeeps { signal: SignalName, formula: Capacity },
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
/// unit`, with `headroom_ratio` 0 where a forecast takes its place. `QueueDepth`: `value / (rate per unit * drained_within)`.
/// `LatencyObjective`: above the objective `ready * min(value / objective, 2)`, at
/// least the current capacity (twice is the most that one look justifies, as in
/// HPA's default step; units that still boot have had no say in the latency, so
/// they are not multiplied); within the tolerance below it the current capacity;
/// lower, nothing.
pub fn demand(
    rule: Rule,
    value: f64,
    headroom_ratio: f64,
    tolerance_ratio: f64,
    current: Capacity,
    ready: Option<Capacity>,
) -> Option<f64> {
    match rule {
        Rule::ValuePerUnit { value_per_unit } => {
            Some(value * (1.0 + headroom_ratio) / value_per_unit)
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
            } else if 1.0 - tolerance_ratio <= ratio {
                Some(f64::from(current))
            } else {
                None
            }
        }
    }
}

/// Most that a latency above its objective multiplies the ready capacity by.
///
/// Why 2: whether units help shows when they are there, and only then may more come.
const LATENCY_RATIO_MAX: f64 = 2.0;

/// Most that a latency asks for, of what the load needs, where a load is measured.
///
/// Why 2.5: a dependency that takes twice the time may need twice the units that wait for
/// it, and some to work off what waits. Beyond that the cause is elsewhere.
const LATENCY_OF_LOAD_MAX: f64 = 2.5;

/// 11 units for 10 are `0.10000000000000009` more: still a tolerance of 0.1.
const ROUNDING_ERROR: f64 = 1e-9;

/// What the findings together ask for.
///
/// The largest demand wins, but for work that waits: it is there on top of what
/// arrives, so the largest demand of a queue is added to the largest of a load.
pub fn recommend(
    policy: &ScalingPolicy,
    current: Capacity,
    findings: &[SignalFinding],
) -> Recommendation {
    let quality = findings.iter().map(|it| it.quality).max().unwrap_or(Quality::Missing);
    let largest = |kind: Kind, units: &dyn Fn(&SignalFinding) -> Option<f64>| {
        findings
            .iter()
            .filter(|it| Kind::of(policy, &it.signal) == Some(kind))
            .filter_map(|it| Some((units(it)?, &it.signal)))
            .max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let load = largest(Kind::Load, &|it| it.demand);
    let waiting = largest(Kind::Waiting, &|it| it.demand);
    let waiting_units = waiting.map_or(0.0, |it| it.0);
    let work = match (load, waiting) {
        (Some(load), Some(waiting)) => {
            let leading = if load.0 < waiting.0 { waiting.1 } else { load.1 };
            Some((load.0 + waiting.0, leading))
        }
        (one, None) | (None, one) => one,
    };
    let latency = largest(Kind::Latency, &|it| it.demand).map(|(units, signal)| {
        // A latency that so many more than the load needs do not lower has another cause.
        let most = work
            .filter(|_| quality == Quality::Good)
            .map_or(f64::INFINITY, |it| (it.0 * LATENCY_OF_LOAD_MAX).max(f64::from(current)));
        (units.min(most), signal)
    });
    let most = [work, latency].into_iter().flatten().max_by(|a, b| a.0.total_cmp(&b.0));
    let ahead = largest(Kind::Load, &|it| Some(it.covers()?.grow_to)).map(|(grow_to, signal)| {
        let keep = largest(Kind::Load, &|it| Some(it.covers()?.keep)).map_or(grow_to, |it| it.0);
        LookAhead {
            grow_to: Capacity::covering(grow_to + waiting_units),
            keep: Capacity::covering(keep.max(grow_to) + waiting_units),
            leading: signal.clone(),
        }
    });
    let Some((units, signal)) = most else {
        let leading = None;
        let is_within_tolerance = false;
        return Recommendation { capacity: current, leading, quality, is_within_tolerance, ahead };
    };
    // A forecast has its own hysteresis, and its floor is a floor.
    let is_within_tolerance = ahead.is_none()
        && current != Capacity(0)
        && (units / f64::from(current) - 1.0).abs() <= policy.tolerance_ratio + ROUNDING_ERROR;
    let capacity = if is_within_tolerance { current } else { Capacity::covering(units) };
    Recommendation { capacity, leading: Some(signal.clone()), quality, is_within_tolerance, ahead }
}

/// What a signal measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Load,
    Waiting,
    Latency,
}

impl Kind {
    fn of(policy: &ScalingPolicy, signal: &SignalName) -> Option<Kind> {
        let it = policy.signals.iter().find(|it| it.name == *signal)?;
        Some(match it.rule {
            Rule::ValuePerUnit { .. } => Kind::Load,
            Rule::QueueDepth { .. } => Kind::Waiting,
            Rule::LatencyObjective { .. } => Kind::Latency,
        })
    }
}

impl SignalFinding {
    /// What its forecast asks for, unless it abstains.
    fn covers(&self) -> Option<&Covers> {
        self.forecast.as_ref()?.covers.as_ref()
    }
}

/// The look back for removals while a forecast drives capacity, if the policy's is
/// longer.
///
/// Why 1 min: load is sampled about once a minute, so the newest two samples have
/// to agree. The forecast's interval does the rest: with the policy's 5 min removals
/// cost 0.3% and a tenth more changes (the capacity bench, 2026-11-21).
const LOOK_BACK_BESIDE_FORECAST: SignedDuration = SignedDuration::from_mins(1);

/// What a demand falls to within the policy's look back when nothing is wrong.
///
/// Why 0.8: the steepest hour of the traces at hand loses a twentieth in 5 min, noise
/// included; callers that fail take two fifths of a load away within one.
const ORDINARY_FALL_RATIO: f64 = 0.8;

/// Proposes a capacity from the newest recommendation and those before it.
///
/// Postcondition: with any quality but good, `desired >= current`.
pub fn propose(
    now: Timestamp,
    policy: &ScalingPolicy,
    current: Capacity,
    recommendation: &Recommendation,
    look_back: &LookBack,
) -> Proposal {
    let quality = recommendation.quality;
    let formula = recommendation.capacity;
    let ahead = recommendation.ahead.as_ref();
    let keep = |reason| Proposal { desired: current, reason, quality };
    let Some(signal) = recommendation.leading.clone() else {
        let has_value = quality != Quality::Missing;
        return keep(if has_value { Reason::NothingAsked } else { Reason::NoUsableSignal });
    };
    // Capacity for what is expected has to be asked for before the look back could
    // see any of it.
    if let Some(ahead) = ahead.filter(|it| current < it.grow_to && formula < it.grow_to) {
        let reason = Reason::ForecastDemand { signal: ahead.leading.clone() };
        return Proposal { desired: ahead.grow_to, reason, quality };
    }
    if formula == current {
        return keep(if recommendation.is_within_tolerance {
            Reason::WithinTolerance { signal }
        } else {
            Reason::Sufficient { signal }
        });
    }
    if current < formula {
        let window = policy.scale_up.stabilization;
        let (at, lowest) = look_back.lowest_since(now, window).unwrap_or((now, formula));
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
    let Some(covered_at) = look_back.good_since().map(|it| later(it, window)) else {
        return keep(Reason::HeldOnQuality { formula, quality });
    };
    if now < covered_at {
        return keep(Reason::Stabilizing { formula, until: covered_at });
    }
    // Where a forecast says what load comes, the look back for loads only has to outlast one
    // sample. Nobody forecasts a latency or a queue.
    // Nor a load that falls off a cliff: whoever sends it may be broken, and back in minutes.
    let (_, before) = look_back.highest_since(now, window).unwrap_or((now, formula));
    let is_ordinary = f64::from(before) * ORDINARY_FALL_RATIO <= f64::from(formula);
    let short = match ahead {
        Some(_) if is_ordinary => window.min(LOOK_BACK_BESIDE_FORECAST),
        Some(_) | None => window,
    };
    let (at, highest) = look_back.highest_since(now, short).unwrap_or((now, formula));
    let others = look_back.highest_led_by_others_since(now, window);
    let (at, highest, window) = match others {
        Some((at, others)) if highest < others => (at, others, window),
        Some(_) | None => (at, highest, short),
    };
    if current <= highest {
        return keep(Reason::Stabilizing { formula, until: later(at, window) });
    }
    // Removal only where the interval and the reactive rule agree.
    let kept = ahead.map_or(highest, |it| it.keep.max(highest));
    if current <= kept {
        let signal = ahead.map_or(signal, |it| it.leading.clone());
        return keep(Reason::ForecastKeeps { signal, formula });
    }
    let reason = match ahead.filter(|it| highest < it.keep) {
        Some(ahead) => Reason::ForecastDemand { signal: ahead.leading.clone() },
        None => Reason::Demand { signal },
    };
    Proposal { desired: kept, reason, quality }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
