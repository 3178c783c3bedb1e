//! What the shell can be asked to do, and how it may end.
//!
//! **In:** a [`Permit`], which only the guard makes.
//! **Out:** absolute, idempotent instructions and their [`EffectOutcome`].
//! **Not here:** doing them (`evenkeel-providers`), deciding them
//! ([`crate::agent`]).
//!
//! Effects are not `Deserialize`: no file and no request can forge one.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::{Action, LookAt};
use crate::guard::{ActPermit, Permit};
use crate::ids::{EffectId, RunId, TargetId, Term};
use crate::notice::Notice;
use crate::units::Capacity;

/// One instruction to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Set the capacity of a target.
    SetCapacity(SetCapacity),
    /// Carry out a step of a run, or its undo.
    Act(Act),
    /// Look at what is there, for a run. Changes nothing.
    Look(Look),
    /// Tell people something.
    Notify(Box<Notice>),
}

impl Effect {
    /// The change of capacity, if it is one.
    pub fn into_set_capacity(self) -> Option<SetCapacity> {
        match self {
            Effect::SetCapacity(effect) => Some(effect),
            Effect::Act(_) | Effect::Look(_) | Effect::Notify(_) => None,
        }
    }
}

/// Carry out one action of a run. Like [`SetCapacity`], only the guard's permit makes one.
///
/// ```compile_fail,E0277
/// use evenkeel_core::effect::Act;
/// fn forge(text: &str) -> Option<Act> {
///     serde_json::from_str(text).ok()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    id: EffectId,
    run: RunId,
    target: TargetId,
    action: Action,
    is_undo: bool,
    term: Term,
    granted_at: Timestamp,
}

impl Act {
    /// The effect that `permit` allows, and no other.
    pub(crate) fn new(
        id: EffectId,
        term: Term,
        run: RunId,
        is_undo: bool,
        permit: ActPermit,
    ) -> Act {
        let (target, action, granted_at) = permit.redeem();
        Act { id, run, target, action, is_undo, term, granted_at }
    }

    /// Idempotency key: the same for every attempt at this effect.
    pub fn id(&self) -> EffectId {
        self.id
    }

    /// For which run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// On which target.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// What to do: absolute, idempotent.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// Whether it takes something back.
    pub fn is_undo(&self) -> bool {
        self.is_undo
    }

    /// Fencing token; see [`Term`].
    pub fn term(&self) -> Term {
        self.term
    }

    /// When the guard allowed it.
    pub fn granted_at(&self) -> Timestamp {
        self.granted_at
    }
}

/// Look at what is there. The answer is [`crate::agent::Input::Looked`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// For which run.
    pub run: RunId,
    /// For which of its steps.
    pub step: u16,
    /// At which target.
    pub target: TargetId,
    /// At what.
    pub at: LookAt,
}

/// Set the capacity of one target to exactly [`SetCapacity::desired`].
///
/// It can be read, but neither be made nor be read from text outside of the core:
///
/// ```
/// use evenkeel_core::effect::SetCapacity;
/// fn wanted(effect: &SetCapacity) -> u32 {
///     effect.desired().0
/// }
/// ```
///
/// ```compile_fail,E0624
/// use evenkeel_core::effect::SetCapacity;
/// use evenkeel_core::guard::Permit;
/// use evenkeel_core::ids::{EffectId, Term};
/// fn forge(permit: Permit) -> SetCapacity {
///     SetCapacity::new(EffectId(1), Term(1), permit)
/// }
/// ```
///
/// ```compile_fail,E0277
/// use evenkeel_core::effect::SetCapacity;
/// fn forge(text: &str) -> Option<SetCapacity> {
///     serde_json::from_str(text).ok()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCapacity {
    id: EffectId,
    target: TargetId,
    desired: Capacity,
    expected: Capacity,
    term: Term,
    granted_at: Timestamp,
}

impl SetCapacity {
    /// The effect that `permit` allows, and no other.
    pub(crate) fn new(id: EffectId, term: Term, permit: Permit) -> SetCapacity {
        let (target, desired, expected, granted_at) = permit.redeem();
        SetCapacity { id, target, desired, expected, term, granted_at }
    }

    /// Idempotency key: the same for every attempt at this effect.
    pub fn id(&self) -> EffectId {
        self.id
    }

    /// Whose capacity to set.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// Absolute capacity to set.
    pub fn desired(&self) -> Capacity {
        self.desired
    }

    /// The capacity it was decided on. Anything else at the provider means that
    /// the decision is out of date: the effect must then be rejected.
    pub fn expected(&self) -> Capacity {
        self.expected
    }

    /// Fencing token; see [`Term`].
    pub fn term(&self) -> Term {
        self.term
    }

    /// When the guard allowed it.
    pub fn granted_at(&self) -> Timestamp {
        self.granted_at
    }
}

/// How an effect ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EffectOutcome {
    /// The provider confirmed it.
    Done,
    /// It surely did not happen; nothing changed.
    Rejected,
    /// No answer, or one that does not say. It may or may not have happened:
    /// read back before deciding again.
    Unknown,
}

impl fmt::Display for EffectOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EffectOutcome::Done => "done",
            EffectOutcome::Rejected => "rejected",
            EffectOutcome::Unknown => "unknown",
        })
    }
}
