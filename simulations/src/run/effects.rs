//! Effects between their commit and their end.
//!
//! **In:** effects of the agent. **Out:** the same with the second in which they go on.
//! **Not here:** carrying them out ([`super::process`]), what must hold of them
//! ([`super::watch`]).

use evenkeel_core::action::Action;
use evenkeel_core::effect::{Act, EffectOutcome, Look, SetCapacity};
use evenkeel_core::ids::{EffectId, RunId, TargetId, Term};
use evenkeel_core::notice::Notice;
use jiff::Timestamp;

/// An act as it leaves: what its effect says, in plain values, so that tests can make one up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) id: EffectId,
    pub(super) run: RunId,
    pub(super) target: TargetId,
    pub(super) action: Action,
    pub(super) term: Term,
    pub(super) granted_at: Timestamp,
}

impl Sent {
    /// What the effect says.
    pub(super) fn of(act: &Act) -> Sent {
        Sent {
            id: act.id(),
            run: act.run(),
            target: act.target().clone(),
            action: act.action().clone(),
            term: act.term(),
            granted_at: act.granted_at(),
        }
    }
}

/// Something that changes a target.
#[derive(Debug)]
pub(super) enum Leaving {
    /// The units it is set to.
    Capacity(SetCapacity),
    /// Anything else.
    Act(Box<Sent>),
}

impl Leaving {
    pub(super) fn id(&self) -> EffectId {
        match self {
            Leaving::Capacity(effect) => effect.id(),
            Leaving::Act(sent) => sent.id,
        }
    }

    pub(super) fn granted_at(&self) -> Timestamp {
        match self {
            Leaving::Capacity(effect) => effect.granted_at(),
            Leaving::Act(sent) => sent.granted_at,
        }
    }
}

/// An effect between its commit and its end.
#[derive(Debug)]
pub(super) enum Underway {
    /// Can still be withdrawn.
    Waiting { starts_at: i64, effect: Leaving },
    /// At the provider. `ends_at` is when the agent hears.
    Running { ends_at: i64, id: EffectId, outcome: EffectOutcome, detail: String },
    /// Somebody looks, and answers then.
    Looking { answers_at: i64, look: Box<Look> },
    /// People are to be told; tried until somebody hears.
    Telling { tried_at: i64, notice: Box<Notice> },
}

impl Underway {
    /// When it goes on.
    pub(super) fn due_at(&self) -> i64 {
        match self {
            Underway::Waiting { starts_at: at, .. }
            | Underway::Running { ends_at: at, .. }
            | Underway::Looking { answers_at: at, .. }
            | Underway::Telling { tried_at: at, .. } => *at,
        }
    }
}

/// An act that left, and the target at that moment.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) sent: Sent,
    pub(super) outcome: EffectOutcome,
    /// Units that there were.
    pub(super) n_units: u32,
    /// Of these out of service before it: drained, not ready, or without any weight.
    pub(super) n_out_before: u32,
    /// And with those that it touches.
    pub(super) n_out: u32,
}
