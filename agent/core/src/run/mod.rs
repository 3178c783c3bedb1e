//! One execution of a playbook: a state machine that survives everything.
//!
//! **In:** events, each of them a durable record.
//! **Out:** the phase that follows; what is impossible is said, never guessed.
//! **Not here:** what to do in a phase ([`crate::heal`]), the plan ([`plan`]), whether a
//! step is allowed ([`crate::guard`]).
//!
//! A run knows its whole plan, undo included, from the record that holds it: a playbook
//! that is edited or deleted meanwhile changes nothing about what a run does or undoes.

mod by_step;
pub mod plan;
mod transition;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::{Action, Seen};
use crate::documents::Autonomy;
use crate::ids::{
    Actor, EffectId, IncidentId, InstanceName, ParameterName, PlaybookId, RunId, TargetId,
};
use plan::Plan;

/// One execution of a playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number, never used twice.
    pub id: RunId,
    /// Of which playbook.
    pub playbook: PlaybookId,
    /// The playbook's text that it is pinned to.
    pub playbook_sha256: String,
    /// On which target.
    pub target: TargetId,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// Why it began.
    pub cause: RunCause,
    /// Parameters, all of them.
    pub parameters: BTreeMap<ParameterName, f64>,
    /// Whether only its plan is wanted: it then ends without touching anything.
    pub is_dry: bool,
    /// What the agent might do by itself when it began.
    pub autonomy: Autonomy,
    /// When it began.
    pub opened_at: Timestamp,
    /// Where it is.
    pub phase: Phase,
    /// What it does; `None` until it was made.
    pub plan: Option<Plan>,
    /// How often a plan was made.
    pub n_plans: u32,
    /// People's answers to the plan in force. A new plan clears them.
    pub approvals: Vec<Approval>,
    /// The gates of this plan that were passed, by step.
    pub passed: Vec<u16>,
    /// What was read before each step that was sent, by step.
    #[serde(deserialize_with = "by_step::deserialize")]
    pub befores: BTreeMap<u16, Seen>,
    /// Steps that were sent, done or not, in order: what is to be undone.
    pub touched: Vec<u16>,
    /// How often each step was sent.
    #[serde(deserialize_with = "by_step::deserialize")]
    pub n_sent: BTreeMap<u16, u32>,
    /// How often each undo was sent.
    #[serde(deserialize_with = "by_step::deserialize")]
    pub n_undos_sent: BTreeMap<u16, u32>,
    /// A person's word that ends it, heard while an effect was on its way: it holds as
    /// soon as that has ended.
    pub aborted: Option<(Actor, String)>,
}

/// Why a run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum RunCause {
    /// Its trigger's condition was true; with the values.
    Triggered { why: String },
    /// Its schedule.
    Scheduled,
    /// A person.
    ByHand { actor: Actor, reason: String },
}

/// A person's yes to one gate of one run and one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approval {
    /// Who.
    pub actor: Actor,
    /// When.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// Before which step.
    pub step: u16,
    /// What they saw.
    pub plan_hash: String,
    /// Whether they passed the gate alone, against its quorum.
    pub is_break_glass: bool,
}

/// How often one step, or one undo, may be sent when its effects are lost and surely did
/// not happen. Why 3: twice is a crash and bad luck.
pub const SENDS_MAX: u32 = 3;

/// Where a run is. Data that only one phase has is in that phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Looking at what is there, to make a plan.
    Planning { since: Timestamp },
    /// Waiting for people before a step.
    AwaitingApproval {
        step: u16,
        since: Timestamp,
        escalates_at: Timestamp,
        expires_at: Timestamp,
        is_escalated: bool,
    },
    /// Doing a step.
    Running { step: u16, at: StepPhase },
    /// All steps done; waiting for the verification.
    Verifying { since: Timestamp, until: Timestamp },
    /// Undoing, last step first. `position` counts into [`Run::touched`].
    Undoing { position: u16, at: StepPhase, why: Why },
    /// An undo failed. The target is blocked until a person has looked at it.
    Stuck { step: u16, since: Timestamp, why: String },
    /// Over.
    Ended { ending: Ending, at: Timestamp },
}

/// Where one step (or its undo) is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum StepPhase {
    /// Its turn has come.
    Ready { since: Timestamp },
    /// Its intent is durable; the effect is on its way.
    Sent { effect: EffectId, since: Timestamp },
    /// How it ended is not known; to be read back.
    Unknown { effect: EffectId, since: Timestamp, unknown_since: Timestamp },
    /// Waiting for a condition.
    Waiting { since: Timestamp, until: Timestamp },
}

/// Why a run is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// A step failed.
    StepFailed { step: u16, detail: String },
    /// It did not help.
    NotVerified { detail: String },
    /// A person ended it.
    Aborted { actor: Actor, reason: String },
    /// A person said no to a later step.
    Denied { actor: Actor, reason: String },
    /// Nobody answered in time before a later step.
    Expired,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// Verified.
    Succeeded,
    /// Everything was undone.
    RolledBack { why: String },
    /// It never touched anything, because…
    Refused { why: String },
    /// A person said no before anything was touched.
    Denied { actor: Actor, reason: String },
    /// Nobody answered before anything was touched: that is a no.
    Expired,
    /// A person ended it; what was touched is undone.
    Aborted { actor: Actor, reason: String },
    /// A person took the target over; nothing was undone, they have it in hand.
    TakenOver { actor: Actor },
    /// It was stuck, and a person has looked at it.
    Cleared { actor: Actor, reason: String },
}

impl Ending {
    /// As in records, tables and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Ending::Succeeded => "succeeded",
            Ending::RolledBack { .. } => "rolled_back",
            Ending::Refused { .. } => "refused",
            Ending::Denied { .. } => "denied",
            Ending::Expired => "expired",
            Ending::Aborted { .. } => "aborted",
            Ending::TakenOver { .. } => "taken_over",
            Ending::Cleared { .. } => "cleared",
        }
    }
}

/// What can happen to a run after it was opened. Each is a durable record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The plan was made.
    Planned { plan: Box<Plan> },
    /// There will be no plan, or it is out of date: nothing was touched.
    Refused { why: String },
    /// People are asked before a step.
    ApprovalAsked { step: u16, escalates_at: Timestamp, expires_at: Timestamp },
    /// Half of the time has passed.
    ApprovalEscalated,
    /// A person said yes. Whether that is enough, the next event says.
    Approved { approval: Approval },
    /// Enough people have.
    GatePassed { step: u16 },
    /// A person said no.
    Denied { actor: Actor, reason: String },
    /// Nobody answered in time.
    ApprovalExpired,
    /// What people saw is not what is there any more.
    PlanVoided { why: String },
    /// The intent: what is about to be done, and what was there before.
    Sent {
        step: u16,
        is_undo: bool,
        effect: EffectId,
        action: Action,
        before: Option<Seen>,
        takes_units: u32,
    },
    /// An effect whose outcome was unknown was read back.
    ReadBack { effect: EffectId, happened: bool },
    /// A wait began.
    WaitBegan { step: u16, until: Timestamp },
    /// A step without an effect is done, or one whose effect was not needed any more.
    StepDone { step: u16, why: String },
    /// A step cannot be done.
    StepFailed { step: u16, why: String },
    /// What should hold, holds.
    Verified,
    /// It does not, or cannot be told.
    NotVerified { why: String },
    /// A person ended it.
    Aborted { actor: Actor, reason: String },
    /// A person took the target over.
    TakenOver { actor: Actor },
    /// An undo step has nothing to do.
    UndoSkipped { step: u16, why: String },
    /// An undo failed for good.
    UndoFailed { step: u16, why: String },
    /// People were told how it ended, and autonomy has learned from it.
    Reported,
}

impl RunEvent {
    /// The kind of its record in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            RunEvent::Planned { .. } => "run_planned",
            RunEvent::Refused { .. } => "run_refused",
            RunEvent::ApprovalAsked { .. } => "approval_asked",
            RunEvent::ApprovalEscalated => "approval_escalated",
            RunEvent::Approved { .. } => "run_approved",
            RunEvent::GatePassed { .. } => "gate_passed",
            RunEvent::Denied { .. } => "run_denied",
            RunEvent::ApprovalExpired => "approval_expired",
            RunEvent::PlanVoided { .. } => "plan_voided",
            RunEvent::Sent { .. } => "step_sent",
            RunEvent::ReadBack { .. } => "step_read_back",
            RunEvent::WaitBegan { .. } => "wait_began",
            RunEvent::StepDone { .. } => "step_done",
            RunEvent::StepFailed { .. } => "step_failed",
            RunEvent::Verified => "run_verified",
            RunEvent::NotVerified { .. } => "run_not_verified",
            RunEvent::Aborted { .. } => "run_aborted",
            RunEvent::TakenOver { .. } => "run_taken_over",
            RunEvent::UndoSkipped { .. } => "undo_skipped",
            RunEvent::UndoFailed { .. } => "undo_failed",
            RunEvent::Reported => "run_reported",
        }
    }
}

/// An event that cannot happen in the phase that the run is in: a bug. It is recorded, the
/// run stays as it is, and people are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to a run that is {phase}")]
pub struct Impossible {
    /// The event's kind.
    pub event: &'static str,
    /// The phase's name.
    pub phase: &'static str,
}

impl Phase {
    /// The phase's name.
    pub fn name(&self) -> &'static str {
        match self {
            Phase::Planning { .. } => "planning",
            Phase::AwaitingApproval { .. } => "awaiting_approval",
            Phase::Running { .. } => "running",
            Phase::Verifying { .. } => "verifying",
            Phase::Undoing { .. } => "undoing",
            Phase::Stuck { .. } => "stuck",
            Phase::Ended { .. } => "ended",
        }
    }

    /// Whether nothing will happen any more.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Phase::Ended { .. })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Run {
    /// The effect that is on its way or unknown.
    pub fn effect(&self) -> Option<EffectId> {
        match &self.phase {
            Phase::Running { at, .. } | Phase::Undoing { at, .. } => match at {
                StepPhase::Sent { effect, .. } | StepPhase::Unknown { effect, .. } => Some(*effect),
                StepPhase::Ready { .. } | StepPhase::Waiting { .. } => None,
            },
            Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Verifying { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. } => None,
        }
    }

    /// The effect that is on its way.
    pub fn sent(&self) -> Option<EffectId> {
        match &self.phase {
            Phase::Running { at: StepPhase::Sent { effect, .. }, .. }
            | Phase::Undoing { at: StepPhase::Sent { effect, .. }, .. } => Some(*effect),
            Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Undoing { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. } => None,
        }
    }

    /// Whether its plan sets the capacity of its target, or may when it is made.
    pub fn sets_capacity(&self) -> bool {
        self.plan.as_ref().is_none_or(|plan| {
            plan.steps.iter().any(|it| {
                matches!(&it.kind, plan::PlannedKind::Act { action: Action::SetCapacity { .. } })
            })
        })
    }

    /// Whether its plan touches nothing but the limits of tenants: then units that are no
    /// longer needed may leave meanwhile, which is what it is for.
    pub fn only_throttles(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| {
            plan.steps.iter().all(|it| match &it.kind {
                plan::PlannedKind::Act { action } => {
                    matches!(action, Action::LimitTenants { .. })
                }
                plan::PlannedKind::Wait { .. }
                | plan::PlannedKind::Notify { .. }
                | plan::PlannedKind::Ask { .. }
                | plan::PlannedKind::Skip { .. } => true,
            })
        })
    }

    /// Instances that its steps took out of traffic so far.
    pub(crate) fn drained_instances(&self) -> BTreeSet<InstanceName> {
        let steps = self.plan.iter().flat_map(|it| it.steps.iter().enumerate());
        let mut drained = BTreeSet::new();
        for (index, step) in steps {
            let is_touched = self.touched.iter().any(|it| usize::from(*it) == index);
            if let plan::PlannedKind::Act {
                action: Action::SetDrained { instances, is_drained: true },
            } = &step.kind
                && is_touched
            {
                drained.extend(instances.iter().cloned());
            }
        }
        drained
    }

    /// The step that is being undone.
    pub fn undoing_step(&self) -> Option<u16> {
        let Phase::Undoing { position, .. } = &self.phase else { return None };
        self.touched.get(usize::from(*position)).copied()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::StepFailed { step, detail } => {
                write!(f, "step {} failed: {detail}", step.saturating_add(1))
            }
            Why::NotVerified { detail } => write!(f, "it did not help: {detail}"),
            Why::Aborted { actor, reason } => write!(f, "aborted by {actor}: {reason}"),
            Why::Denied { actor, reason } => write!(f, "denied by {actor}: {reason}"),
            Why::Expired => f.write_str("nobody answered in time"),
        }
    }
}
