//! Why something did or did not happen to a target, in a form people can read.
//!
//! **In:** everything one evaluation looked at and concluded.
//! **Out:** [`Explanation`], as structure for machines and as sentences.
//! **Not here:** the conclusions themselves ([`crate::decide`], [`crate::guard`]).

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::arbiter::Ruling;
use crate::decide::{Reason, SignalFinding};
use crate::documents::Autonomy;
use crate::guard::{Limit, Refusal};
use crate::ids::{EffectId, PolicyId, TargetId};
use crate::units::{Bounds, Capacity, show_duration};

/// Why one evaluation of one target ended as it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// Whose.
    pub target: TargetId,
    /// When the target was last evaluated with this conclusion.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// When it first was, without another conclusion in between.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// Its policy.
    pub policy: Option<PolicyId>,
    /// How much that policy lets the agent do.
    pub autonomy: Option<Autonomy>,
    /// What the provider said there is.
    pub current: Option<Capacity>,
    /// What of it serves.
    pub ready: Option<Capacity>,
    /// What the agent would like, before limits.
    pub proposed: Option<Capacity>,
    /// Why it would like that.
    pub reason: Option<Reason>,
    /// How it ended.
    pub conclusion: Conclusion,
    /// What made the permitted capacity differ from the proposed one.
    pub limits: Vec<Limit>,
    /// The target's bounds.
    pub bounds: Option<Bounds>,
    /// The signals it looked at.
    pub signals: Vec<SignalFinding>,
    /// Who went first, where a budget asked to stop a growth that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbitration: Option<Ruling>,
}

/// How one evaluation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "conclusion", rename_all = "snake_case")]
pub enum Conclusion {
    /// A change was planned, and sent once its record was durable.
    Planned { effect: EffectId, desired: Capacity },
    /// Nothing to change.
    NoChange,
    /// Something would have changed, but must not.
    Refused { refusal: Refusal, would: Capacity },
    /// The provider did not say what there is, or said it before the last
    /// change, so nothing can be decided.
    CapacityUnknown { message: String },
    /// An effect whose outcome was unknown was read back.
    ReadBack { effect: EffectId, desired: Capacity, happened: bool },
    /// Somebody else changed the capacity.
    ChangedOutside { expected: Capacity, is_held: bool },
}

impl Conclusion {
    /// The variant's name (for a refusal, the refusal's), for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Conclusion::Planned { .. } => "planned",
            Conclusion::NoChange => "no_change",
            Conclusion::Refused { refusal, .. } => refusal.name(),
            Conclusion::CapacityUnknown { .. } => "capacity_unknown",
            Conclusion::ReadBack { .. } => "read_back",
            Conclusion::ChangedOutside { .. } => "changed_outside",
        }
    }
}

impl Explanation {
    /// Whether it concludes the same as `other`, so that only the newer of the
    /// two need be kept. Signals may differ.
    pub fn says_the_same(&self, other: &Explanation) -> bool {
        self.conclusion == other.conclusion
            && self.current == other.current
            && self.proposed == other.proposed
            && self.policy == other.policy
            && std::mem::discriminant(&self.reason) == std::mem::discriminant(&other.reason)
    }

    /// One sentence: what happens and why. The same in logs, `status`, the
    /// demo and the record of an effect.
    pub fn sentence(&self) -> String {
        let current = self.current.map_or_else(|| "?".to_owned(), |it| it.to_string());
        match &self.conclusion {
            Conclusion::Planned { desired, .. } => {
                format!(
                    "scaling {current} -> {desired}: {}{}{}",
                    self.because(),
                    self.limited(),
                    self.arbitrated()
                )
            }
            Conclusion::NoChange => {
                format!("keeping {current}: {}{}", self.because(), self.limited())
            }
            Conclusion::Refused { refusal, would } if Some(*would) == self.current => {
                format!("keeping {current}: {refusal}")
            }
            Conclusion::Refused { refusal, would } => {
                format!("not scaling {current} -> {would}: {refusal} ({})", self.because())
            }
            Conclusion::CapacityUnknown { message } => {
                format!("holding, for the current capacity is not known: {message}")
            }
            Conclusion::ReadBack { effect, desired, happened: true } => {
                format!("read back: {effect} to {desired} has happened")
            }
            Conclusion::ReadBack { effect, desired, happened: false } => {
                format!("read back: {effect} to {desired} has not happened, capacity is {current}")
            }
            Conclusion::ChangedOutside { expected, is_held: true } => {
                format!("changed outside of Evenkeel: {expected} -> {current}; holding for people")
            }
            Conclusion::ChangedOutside { expected, is_held: false } => {
                format!("changed outside of Evenkeel: {expected} -> {current}; adopted")
            }
        }
    }

    fn because(&self) -> String {
        let Some(reason) = &self.reason else { return "nothing was proposed".to_owned() };
        match reason {
            Reason::Demand { signal } => self.demand_of(signal.as_str()),
            Reason::ForecastDemand { signal } => self.forecast_of(signal.as_str()),
            Reason::ForecastKeeps { signal, formula } => {
                format!("{formula} would do now, but {}", self.forecast_of(signal.as_str()))
            }
            Reason::WithinTolerance { signal } => {
                format!("{}, within tolerance", self.demand_of(signal.as_str()))
            }
            Reason::Sufficient { signal } => self.demand_of(signal.as_str()),
            Reason::NothingAsked => "no signal asks for any capacity".to_owned(),
            Reason::HeldOnQuality { formula, quality } => {
                format!("{formula} would do, but signals are {quality}{}", self.worst_signal())
            }
            Reason::NoUsableSignal => format!("no usable signal{}", self.worst_signal()),
            Reason::Stabilizing { formula, until } => {
                let word = if Some(*formula) < self.current { "would do" } else { "are wanted" };
                format!("{formula} {word}; stabilizing until {until:.0}")
            }
            Reason::Pinned { by } => format!("pinned by {by}"),
            Reason::NoPolicy => "no policy selects it".to_owned(),
        }
    }

    fn demand_of(&self, signal: &str) -> String {
        let finding = self.signals.iter().find(|it| it.signal.as_str() == signal);
        match finding.and_then(|it| Some((it.value?, it.demand?))) {
            Some((value, demand)) => {
                format!("`{signal}` is {} and needs {demand:.1}", Significant(value))
            }
            None => format!("`{signal}` leads"),
        }
    }

    /// `at most 61.0 of `requests` (99.5%) is expected in 5m and needs 7`
    fn forecast_of(&self, signal: &str) -> String {
        let finding = self.signals.iter().find(|it| it.signal.as_str() == signal);
        let forecast = finding.and_then(|it| it.forecast.as_ref());
        let Some((forecast, covers)) = forecast.and_then(|it| Some((it, it.covers.as_ref()?)))
        else {
            return format!("the forecast of `{signal}` leads");
        };
        format!(
            "`{signal}` is expected to reach up to {} ({}%) within {} and needs {:.1}",
            Significant(covers.peak),
            Level(covers.level),
            show_duration(forecast.lead_time.duration()),
            covers.grow_to,
        )
    }

    /// Said where the growth goes on; a growth that is stopped says so as its refusal.
    fn arbitrated(&self) -> String {
        match &self.arbitration {
            Some(ruling @ Ruling::CostYields { .. }) => format!("; {ruling}"),
            Some(Ruling::Free | Ruling::Stopped { .. }) | None => String::new(),
        }
    }

    fn worst_signal(&self) -> String {
        let Some(worst) = self.signals.iter().max_by_key(|it| it.quality) else {
            return String::new();
        };
        match (&worst.absence, &worst.doubt) {
            (Some(absence), _) => format!(" (`{}`: {absence})", worst.signal),
            (None, Some(doubt)) => format!(" (`{}`: {doubt})", worst.signal),
            (None, None) => String::new(),
        }
    }

    fn limited(&self) -> String {
        let mut shown = String::new();
        for limit in &self.limits {
            shown.push_str(&match limit {
                Limit::Bounds { proposed, bounds } => {
                    format!("; {proposed} is outside the bounds {}..{}", bounds.min, bounds.max)
                }
                Limit::Step { proposed, units_max } => {
                    format!("; {proposed} is more than one step of {units_max}")
                }
                Limit::BlastRadius { proposed, units_left, .. } => {
                    format!("; {proposed} is beyond the blast radius, {units_left} may leave now")
                }
            });
        }
        shown
    }
}

/// A probability in percent, with the digits that tell 99.5 from 99.95.
struct Level(f64);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never 100: nothing is that sure.
        let shown = format!("{:.2}", (self.0 * 100.0).min(99.99));
        f.write_str(shown.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A number as people write it: few digits, no exponent.
struct Significant(f64);

impl fmt::Display for Significant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if !(0.0005..1_000.0).contains(&magnitude) {
            write!(f, "{:.0}", self.0)
        } else if 1.0 <= magnitude {
            write!(f, "{:.1}", self.0)
        } else {
            write!(f, "{:.3}", self.0)
        }
    }
}
