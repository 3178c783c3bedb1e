//! Why a change was refused or limited, as structure and as a sentence.
//!
//! **In:** what [`super::review`] and [`super::review_step`] found.
//! **Out:** [`Refusal`] and [`Limit`], for explanations, records and metrics.
//! **Not here:** finding it ([`super`]).

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::arbiter::Ruling;
use crate::documents::Autonomy;
use crate::ids::{
    Actor, BudgetId, EffectId, GuardrailId, OverrideId, PlaybookId, RunId, ThresholdName,
};
use crate::overrides::OverrideKind;
use crate::quality::Quality;
use crate::units::{Bounds, Capacity};

/// What made the permitted capacity differ from the proposed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum Limit {
    /// Outside the target's bounds.
    Bounds { proposed: Capacity, bounds: Bounds },
    /// More than one step.
    Step { proposed: Capacity, units_max: u32 },
    /// More than may leave the guardrail's scope at the moment.
    BlastRadius { proposed: Capacity, units_left: u32, guardrail: Option<GuardrailId> },
}

/// Why a proposal was refused. The order is the order of precedence: the first
/// that applies is the one that is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// The break-glass file is there, or cannot be read.
    BreakGlass {
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        since: Timestamp,
        cause: String,
    },
    /// A guardrail protects the target from any change.
    Protected { guardrail: GuardrailId },
    /// A person's override (freeze, hold or no-scale-down) is in force.
    Overridden {
        id: OverrideId,
        // Not flattened: a pin's capacity would hide the refusal's own fields.
        override_kind: OverrideKind,
        actor: Actor,
        reason: String,
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        ends_at: Timestamp,
    },
    /// A freeze window of a guardrail.
    FreezeWindow {
        guardrail: GuardrailId,
        window: String,
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        ends_at: Timestamp,
    },
    /// An earlier effect has not ended for sure.
    InFlight { id: EffectId, desired: Capacity, is_unknown: bool },
    /// The signals are not good enough to remove capacity.
    Doubt { quality: Quality },
    /// They are, but have not been for the whole stabilization window.
    Unsettled {
        #[schemars(with = "Option<String>")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        until: Option<Timestamp>,
    },
    /// Too soon after the last change.
    CoolingDown {
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        until: Timestamp,
    },
    /// The last effects on this target did not happen; trying again later.
    BackingOff {
        n_attempts: u32,
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        until: Timestamp,
    },
    /// Nothing more may leave the guardrail's scope at the moment.
    BlastRadius {
        guardrail: Option<GuardrailId>,
        removed_units: u64,
        units_max: u64,
        window: String,
        #[schemars(with = "Option<String>")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        more_at: Option<Timestamp>,
    },
    /// The policy does not let the agent act by itself.
    Autonomy { autonomy: Autonomy },
    /// Too much is wrong at once for anything destructive.
    Storm {
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        since: Timestamp,
        why: String,
    },
    /// Too many of the target's instances would be out of service.
    EjectionLimit { n_out: u32, n_instances: u32, share_max: f64 },
    /// A run of a playbook has the target.
    LockedByRun { run: RunId, playbook: PlaybookId },
    /// People had it in hand, it expired, and nobody handed it back.
    Lapsed {
        #[schemars(with = "String")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        since: Timestamp,
        why: String,
    },
    /// A budget stops growth, and nothing that comes before cost needs it.
    OverBudget { ruling: Ruling },
    /// An error budget is so far spent that nothing is taken away without a person.
    Tightened { budget: BudgetId, threshold: ThresholdName, why: String },
}

impl Refusal {
    /// Every answer of [`Refusal::name`] that a review can give, so that a metric
    /// can show each from the start.
    pub const NAMES: [&'static str; 20] = [
        "break_glass",
        "protected",
        "frozen",
        "taken_over",
        "held",
        "no_scale_down",
        "freeze_window",
        "in_flight",
        "doubt",
        "unsettled",
        "cooling_down",
        "backing_off",
        "blast_radius",
        "autonomy",
        "storm",
        "ejection_limit",
        "locked_by_run",
        "lapsed",
        "over_budget",
        "tightened",
    ];

    /// The variant's name, for metrics and tables.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::BreakGlass { .. } => "break_glass",
            Refusal::Protected { .. } => "protected",
            Refusal::Overridden { override_kind, .. } => match override_kind {
                OverrideKind::Freeze => "frozen",
                OverrideKind::Takeover => "taken_over",
                OverrideKind::Hold => "held",
                OverrideKind::NoScaleDown => "no_scale_down",
                OverrideKind::Pin { .. } => "pinned",
            },
            Refusal::FreezeWindow { .. } => "freeze_window",
            Refusal::InFlight { .. } => "in_flight",
            Refusal::Doubt { .. } => "doubt",
            Refusal::Unsettled { .. } => "unsettled",
            Refusal::CoolingDown { .. } => "cooling_down",
            Refusal::BackingOff { .. } => "backing_off",
            Refusal::BlastRadius { .. } => "blast_radius",
            Refusal::Autonomy { .. } => "autonomy",
            Refusal::Storm { .. } => "storm",
            Refusal::EjectionLimit { .. } => "ejection_limit",
            Refusal::LockedByRun { .. } => "locked_by_run",
            Refusal::Lapsed { .. } => "lapsed",
            Refusal::OverBudget { .. } => "over_budget",
            Refusal::Tightened { .. } => "tightened",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::BreakGlass { since, cause } => {
                write!(f, "break-glass since {since:.0}: {cause}")
            }
            Refusal::Protected { guardrail } => write!(f, "guardrail {guardrail} protects it"),
            Refusal::Overridden { id, override_kind, actor, reason, ends_at } => {
                let verb = match override_kind {
                    OverrideKind::Freeze => "frozen".to_owned(),
                    OverrideKind::Takeover => "taken over".to_owned(),
                    OverrideKind::Hold => "held".to_owned(),
                    OverrideKind::NoScaleDown => "no scale-down".to_owned(),
                    OverrideKind::Pin { capacity } => format!("pinned at {capacity}"),
                };
                write!(f, "{verb} by {actor} until {ends_at:.0} ({id}): {reason}")
            }
            Refusal::FreezeWindow { guardrail, window, ends_at } => {
                write!(f, "freeze window {window} of guardrail {guardrail} until {ends_at:.0}")
            }
            Refusal::InFlight { id, desired, is_unknown: false } => {
                write!(f, "effect {id} to {desired} has not ended")
            }
            Refusal::InFlight { id, desired, is_unknown: true } => {
                write!(f, "the outcome of effect {id} to {desired} is unknown; reading back first")
            }
            Refusal::Doubt { quality } => {
                write!(f, "signals are {quality}; capacity is never removed on those")
            }
            Refusal::Unsettled { until } => {
                f.write_str("signals have not been good for the whole stabilization window")?;
                match until {
                    Some(until) => write!(f, ", earliest {until:.0}"),
                    None => Ok(()),
                }
            }
            Refusal::CoolingDown { until } => write!(f, "cooling down until {until:.0}"),
            Refusal::BackingOff { n_attempts, until } => {
                write!(
                    f,
                    "backing off until {until:.0}: the last {n_attempts} effects did not happen"
                )
            }
            Refusal::BlastRadius { guardrail, removed_units, units_max, window, more_at } => {
                match guardrail {
                    Some(guardrail) => write!(f, "guardrail {guardrail}")?,
                    None => f.write_str("the built-in blast radius")?,
                }
                write!(f, " allows {units_max} units to leave in {window}, {removed_units} have")?;
                match more_at {
                    Some(at) => write!(f, "; more may from {at:.0}"),
                    None => Ok(()),
                }
            }
            Refusal::Autonomy { autonomy: Autonomy::Approve } => {
                f.write_str("autonomy is approve: a person must do it, for example with a pin")
            }
            Refusal::Autonomy { autonomy } => {
                write!(f, "autonomy is {autonomy}: the agent only says what it would do")
            }
            Refusal::Storm { since, why } => {
                write!(f, "storm since {since:.0}, nothing destructive: {why}")
            }
            Refusal::EjectionLimit { n_out, n_instances, share_max } => {
                let percent = share_max * 100.0;
                write!(
                    f,
                    "{n_out} of {n_instances} instances would be out of service, at most \
                     {percent:.0} % may be"
                )
            }
            Refusal::LockedByRun { run, playbook } => {
                write!(f, "{run} of playbook {playbook} has it; `evenkeel abort {run}` ends that")
            }
            Refusal::Lapsed { since, why } => write!(
                f,
                "{why} at {since:.0} and was not handed back; `evenkeel handback` resumes"
            ),
            Refusal::OverBudget { ruling } => write!(f, "no growth: {ruling}"),
            Refusal::Tightened { budget, threshold, why } => write!(
                f,
                "budget {budget} ({threshold}) leaves nothing to lose, a person must take \
                 capacity away: {why}"
            ),
        }
    }
}
