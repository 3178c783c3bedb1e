//! `gate:` of a step.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Gate`] whose approvers are still names of people and groups.
//! **Not here:** whether they exist and suffice ([`crate::documents::load`]).

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::json;

use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::scalar::{Duration, Name, Whole};
use crate::documents::raw::{List, fields};
use crate::documents::{Gate, Role};
use crate::ids::Actor;

/// Most approvals of one gate. Why 10: more is a meeting.
const APPROVALS_MAX: u32 = 10;
/// Most names of approvers. Why 100: more is a group.
const APPROVERS_MAX: usize = 100;

fields! {
    /// Who must agree before the step.
    struct RawGate {
        /// How many different people; whoever asked for the run does not count.
        defaulted(json!(1)) approvals: Whole<1, APPROVALS_MAX>,
        /// The role they need on the target.
        defaulted(json!("operator")) role: Role,
        /// People and groups, by name. Without it, everybody with the role.
        optional approvers: List<Name<Actor>, 1, APPROVERS_MAX>,
        /// No answer within this time means no.
        defaulted(json!("30m")) expires_after: Duration<60, 259_200>,
    }
}

/// Where a gate is, and whom it names.
#[derive(Clone)]
pub(in crate::documents) struct GatePlaces {
    pub(in crate::documents) at: Position,
    pub(in crate::documents) approvers: Vec<At<Actor>>,
}

impl RawGate {
    /// `None` after a fault.
    pub(super) fn checked(self, at: Position, faults: &mut Faults) -> Option<(Gate, GatePlaces)> {
        let RawGate { approvals, role, approvers, expires_after } = self;
        if role.value == Role::Viewer {
            let message = "a gate for role `viewer`: who may only read cannot approve";
            faults.error(role.at, message, "write `operator` or `admin`");
            return None;
        }
        let approvers: Vec<At<Actor>> = approvers
            .map(|it| it.value.0)
            .unwrap_or_default()
            .into_iter()
            .map(|At { value: Name(name), at }| At { value: name, at })
            .collect();
        let gate = Gate {
            n_approvals: approvals.value.0,
            role: role.value,
            approvers: approvers.iter().map(|it| it.value.clone()).collect(),
            expires_after: expires_after.value.0,
        };
        Some((gate, GatePlaces { at, approvers }))
    }
}

/// The gate of a step that needs one and names none: one operator, within half an hour.
pub(in crate::documents) fn default_gate() -> Gate {
    Gate {
        n_approvals: 1,
        role: Role::Operator,
        approvers: BTreeSet::new(),
        expires_after: SignedDuration::from_mins(30),
    }
}
