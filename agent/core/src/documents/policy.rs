//! `ScalingPolicy`: what should hold for the targets it selects.
//!
//! **In:** a checked document.
//! **Out:** signals, the rule for each, and how fast capacity may change.
//! **Not here:** the arithmetic ([`crate::decide`]), limits across policies
//! ([`crate::documents::Guardrail`]).

use std::fmt;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::Selector;
use crate::ids::{CalendarId, PolicyId, SignalName};
use crate::units::Capacity;

/// A policy that passed every check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// Its name, unique among all documents.
    pub id: PolicyId,
    /// The targets it is for. A target has at most one policy.
    pub selector: Selector,
    /// How much the agent may do by itself.
    pub autonomy: Autonomy,
    /// The label of a query's result that names the target: it must equal the
    /// target's own label of that name, or, where the target has none, its name.
    pub target_label: String,
    /// At least one. The largest demand wins, and work that waits comes on top of
    /// load.
    pub signals: Vec<Signal>,
    /// Fraction added to a measured load before converting it to capacity, `>= 0`.
    /// With a `forecast`, only while that abstains.
    pub headroom_ratio: f64,
    /// Relative distance from the current capacity inside which nothing is
    /// proposed, in `[0, 1)`.
    pub tolerance_ratio: f64,
    /// How capacity may grow.
    pub scale_up: Behaviour,
    /// How capacity may shrink.
    pub scale_down: Behaviour,
    /// How far ahead of the load capacity shall be, and how often it may fall
    /// short; `None` reacts to what is measured only.
    pub forecast: Option<Foresight>,
    /// What to do when somebody else changed the capacity.
    pub outside_change: OutsideChange,
}

/// How a policy uses forecasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foresight {
    /// What one unit too few is worth against one too many.
    pub shortfall: Shortfall,
    /// Season lengths, ascending; `None` detects them.
    pub seasons: Option<Vec<SignedDuration>>,
    /// IANA name of the time zone whose clock the load follows.
    pub time_zone: String,
    /// Events and incidents that the load alone cannot tell.
    pub calendar: Option<CalendarId>,
}

/// The objective that decides which quantile of the forecast capacity covers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortfall {
    /// At most this share of the time may demand be above ready capacity, in
    /// `(0, 0.5)`: the error budget, spent on the peaks that cost most to cover.
    TimeRatio(f64),
    /// What one unit too few costs per hour, in US dollars, `> 0`; against the
    /// price of the target. The quantile is `cost / (cost + price)`, the
    /// newsvendor's critical ratio (Arrow, Harris, Marschak 1951).
    UsdPerUnitHour(f64),
}

impl ScalingPolicy {
    /// The value of `target_label` that belongs to `target`.
    pub fn label_value_of<'a>(&self, target: &'a crate::documents::Target) -> &'a str {
        target.labels.get(&self.target_label).map_or(target.id.as_str(), String::as_str)
    }
}

/// How much the agent may do by itself, from least to most.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// Record what it would do.
    Observe,
    /// Tell people what it would do.
    Suggest,
    /// Wait for a person's approval.
    Approve,
    /// Do it.
    Auto,
}

impl fmt::Display for Autonomy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Autonomy::Observe => "observe",
            Autonomy::Suggest => "suggest",
            Autonomy::Approve => "approve",
            Autonomy::Auto => "auto",
        })
    }
}

/// One named signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Unique within the policy.
    pub name: SignalName,
    /// PromQL that answers for all targets of the policy at once.
    pub query: String,
    /// Oldest sample that still counts.
    pub max_age: SignedDuration,
    /// How a value becomes a demand for capacity.
    pub rule: Rule,
}

/// How the value of a signal becomes a demand for capacity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The value is load of the whole target; one unit carries this much of it
    /// at its goal. `> 0`. Demand: `value * (1 + headroom) / value_per_unit`.
    ValuePerUnit { value_per_unit: f64 },
    /// The value is work waiting; it shall be gone within `drained_within`
    /// when one unit does `rate_per_unit` pieces per second, `> 0`.
    /// Demand: `value / (rate_per_unit * drained_within)`, on top of load.
    QueueDepth { drained_within: SignedDuration, rate_per_unit: f64 },
    /// The value is a latency; it shall stay at or below `objective_seconds`,
    /// `> 0`. Above it, demand is `ready * min(value / objective, 2)`; near it
    /// (within the tolerance) current capacity is kept; below, nothing is asked.
    /// It never asks for less than the other signals do.
    LatencyObjective { objective_seconds: f64 },
}

/// How capacity may change in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Look-back over past recommendations of which the safest is used: the
    /// lowest for growing, the highest for shrinking.
    pub stabilization: SignedDuration,
    /// Time after any change in which none of this direction starts.
    pub cooldown: SignedDuration,
    /// The largest single change.
    pub step: Step,
}

/// The largest single change: `max(units, ceil(ratio * current))`, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// In units of capacity.
    pub units: u32,
    /// As a fraction of the current capacity.
    pub ratio: f64,
}

impl Step {
    /// The largest change that is allowed from `current`, in units, `>= 1`.
    pub fn units_at(self, current: Capacity) -> u32 {
        Capacity::covering(self.ratio * f64::from(current)).0.max(self.units).max(1)
    }
}

/// What to do when the capacity is not what the agent last saw or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideChange {
    /// Leave it alone for this long, or until a person expires the hold.
    Hold(SignedDuration),
    /// Take the new value as the starting point and go on.
    Adopt,
}
