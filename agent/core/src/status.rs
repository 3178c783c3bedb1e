//! What each target is like at the moment: the answer to `evenkeel status`.
//!
//! **In:** an agent and a time; nothing is changed.
//! **Out:** [`TargetStatus`]: mode, owner, capacity, next intended action.
//! **Not here:** why ([`crate::explain`]), carrying it anywhere ([`crate::api`]).

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::documents::{Autonomy, Target};
use crate::explain::{Conclusion, Explanation};
use crate::guard::freeze_window_of;
use crate::ids::{Actor, EffectId, PolicyId, Region, TargetId};
use crate::overrides::{Override, OverrideKind, OverrideState, in_force};
use crate::units::{Bounds, Capacity};

/// What rules a target at the moment, from most to least restrictive.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The break-glass file is in force.
    BreakGlass,
    /// A guardrail protects it.
    Protected,
    /// A person froze it.
    Freeze,
    /// A person took it over.
    Takeover,
    /// A freeze window.
    FreezeWindow,
    /// A person (or a change from outside) holds it.
    Hold,
    /// It may only grow.
    NoScaleDown,
    /// A person pinned it.
    Pin,
    /// No policy selects it.
    Unmanaged,
    /// Recorded only.
    Observe,
    /// Suggested only.
    Suggest,
    /// Waits for people.
    Approve,
    /// The agent acts.
    Auto,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::BreakGlass => "break-glass",
            Mode::Protected => "protected",
            Mode::Freeze => "freeze",
            Mode::Takeover => "takeover",
            Mode::FreezeWindow => "freeze-window",
            Mode::Hold => "hold",
            Mode::NoScaleDown => "no-scale-down",
            Mode::Pin => "pin",
            Mode::Unmanaged => "unmanaged",
            Mode::Observe => "observe",
            Mode::Suggest => "suggest",
            Mode::Approve => "approve",
            Mode::Auto => "auto",
        })
    }
}

/// One target at the moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetStatus {
    /// Which target.
    pub target: TargetId,
    /// Its region.
    pub region: Region,
    /// What rules it.
    pub mode: Mode,
    /// Who decides about it: a person, or `evenkeel`; `nobody` when unmanaged.
    pub owner: String,
    /// Its policy.
    pub policy: Option<PolicyId>,
    /// What the provider says there is; `None` before it was asked.
    pub current: Option<Capacity>,
    /// What of it serves.
    pub ready: Option<Capacity>,
    /// What the agent would like.
    pub desired: Option<Capacity>,
    /// The target's bounds.
    pub bounds: Bounds,
    /// Load expected at the end of the lead time (the median, in the unit of the
    /// policy's first signal with a forecast); `None` where nothing is forecast.
    pub forecast: Option<f64>,
    /// What comes next, in a sentence.
    pub next_action: String,
    /// The effect that has not ended.
    pub in_flight: Option<InFlightEffect>,
    /// Every override that covers it and is in force or pending.
    pub overrides: Vec<Override>,
    /// When it was last evaluated.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub evaluated_at: Option<Timestamp>,
}

/// An effect that was sent and has not ended for sure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InFlightEffect {
    /// Which effect.
    pub id: EffectId,
    /// On which target.
    pub target: TargetId,
    /// From which capacity.
    pub from: Capacity,
    /// To which capacity.
    pub to: Capacity,
    /// Since when.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// Whether its outcome is unknown and being read back.
    pub is_unknown: bool,
}

/// Status of one target at `now`.
pub fn target_status(now: Timestamp, agent: &Agent, target: &Target) -> TargetStatus {
    let now = now.max(agent.state().latest_at());
    let documents = agent.documents();
    let policy = documents.policy_of(&target.id);
    let seen = agent.sight().target(&target.id);
    let reading = seen.and_then(|it| it.capacity()?.as_ref().ok());
    let explanation = agent.explanations().newest(&target.id);
    let memory = agent.state().target(&target.id);
    let ruling = in_force(agent.state().overrides(), target, now);
    let (mode, owner) = mode_and_owner(now, agent, target, ruling);
    TargetStatus {
        target: target.id.clone(),
        region: target.region.clone(),
        mode,
        owner,
        policy: policy.map(|it| it.id.clone()),
        current: agent.current_of(&target.id),
        ready: reading.and_then(|it| it.ready),
        desired: explanation.and_then(|it| it.proposed),
        bounds: target.bounds,
        forecast: seen
            .and_then(|it| it.findings().iter().find_map(|it| Some(it.forecast.as_ref()?.median))),
        next_action: next_action(explanation.map(AsRef::as_ref)),
        in_flight: memory
            .and_then(|it| it.in_flight.as_ref())
            .map(|it| in_flight_effect(&target.id, it)),
        overrides: agent
            .state()
            .overrides()
            .filter(|it| it.state(now) != OverrideState::Expired && it.scope.covers(target))
            .cloned()
            .collect(),
        evaluated_at: explanation.map(|it| it.at),
    }
}

/// What rules one target at `now`.
pub fn target_mode(now: Timestamp, agent: &Agent, target: &Target) -> Mode {
    let ruling = in_force(agent.state().overrides(), target, now);
    mode_and_owner(now, agent, target, ruling).0
}

/// The public form of an effect in flight.
pub fn in_flight_effect(target: &TargetId, it: &crate::state::InFlight) -> InFlightEffect {
    InFlightEffect {
        id: it.id,
        target: target.clone(),
        from: it.expected,
        to: it.desired,
        since: it.since,
        is_unknown: it.unknown_since.is_some(),
    }
}

fn mode_and_owner(
    now: Timestamp,
    agent: &Agent,
    target: &Target,
    ruling: Option<&Override>,
) -> (Mode, String) {
    let documents = agent.documents();
    let by_override = |mode, it: &Override| {
        let owner = if it.actor == Actor::agent() {
            "whoever changed it outside of Evenkeel".to_owned()
        } else {
            it.actor.to_string()
        };
        (mode, owner)
    };
    if agent.state().break_glass().is_some() {
        return (Mode::BreakGlass, "whoever broke the glass".to_owned());
    }
    if let Some(guardrail) = documents.guardrails_of(&target.id).find(|it| it.protected) {
        return (Mode::Protected, format!("guardrail {}", guardrail.id));
    }
    if let Some(it) = ruling.filter(|it| it.kind == OverrideKind::Freeze) {
        return by_override(Mode::Freeze, it);
    }
    if let Some((guardrail, _, _)) = freeze_window_of(documents, &target.id, now) {
        return (Mode::FreezeWindow, format!("guardrail {guardrail}"));
    }
    match ruling {
        Some(it) if it.kind == OverrideKind::Takeover => return by_override(Mode::Takeover, it),
        Some(it) if it.kind == OverrideKind::Hold => return by_override(Mode::Hold, it),
        Some(it) if it.kind == OverrideKind::NoScaleDown => {
            return by_override(Mode::NoScaleDown, it);
        }
        Some(it) => return by_override(Mode::Pin, it),
        None => (),
    }
    match documents.policy_of(&target.id).map(|it| it.autonomy) {
        None => (Mode::Unmanaged, "nobody".to_owned()),
        Some(Autonomy::Observe) => (Mode::Observe, "people".to_owned()),
        Some(Autonomy::Suggest) => (Mode::Suggest, "people".to_owned()),
        Some(Autonomy::Approve) => (Mode::Approve, "people".to_owned()),
        Some(Autonomy::Auto) => (Mode::Auto, Actor::agent().to_string()),
    }
}

fn next_action(explanation: Option<&Explanation>) -> String {
    match explanation {
        None => "waiting for the first evaluation".to_owned(),
        Some(it) if matches!(it.conclusion, Conclusion::NoChange) => {
            format!("none: {}", it.sentence())
        }
        Some(it) => it.sentence(),
    }
}
