//! `undo:` of a step.
//!
//! **In:** `before`, a step, or `{ nothing: why }`; what the step does.
//! **Out:** an [`Undo`] that can reverse it.
//! **Not here:** carrying it out, in reverse order ([`crate::heal`]).

use serde_json::{Value as Json, json};

use super::Scope;
use super::kinds::{
    Nothing, RawApplyTerraform, RawCallWebhook, RawKind, RawRunCommand, RawSetCapacity,
};
use super::select::{RawSelecting, RawShift};
use super::template::Sentence;
use crate::action::ActionClass;
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Position, Value};
use crate::documents::raw::{Place, Read, one_of, wrong_type};
use crate::documents::{StepKind, Undo};
use crate::ids::StepName;

/// What reverses a step, as written.
pub(in crate::documents) enum RawUndo {
    Before,
    Other(Box<RawOther>),
}

one_of! {
    /// A step that reverses another, or the reason why nothing does.
    enum RawOther {
        /// Nothing reverses it, for this reason; such a step always waits for a person.
        Nothing = "nothing" (Sentence),
        /// Set the capacity.
        SetCapacity = "set_capacity" (RawSetCapacity),
        /// Restart instances.
        RestartInstances = "restart_instances" (RawSelecting),
        /// Replace instances.
        ReplaceInstances = "replace_instances" (RawSelecting),
        /// Change weights.
        ShiftTraffic = "shift_traffic" (RawShift),
        /// Take instances out of traffic.
        Drain = "drain" (RawSelecting),
        /// Put every drained instance back.
        Restore = "restore" (Nothing),
        /// Deploy the revision before the current one.
        RollBack = "roll_back" (Nothing),
        /// Run a command.
        RunCommand = "run_command" (RawRunCommand),
        /// Call a webhook.
        CallWebhook = "call_webhook" (RawCallWebhook),
        /// Plan and apply a Terraform change.
        ApplyTerraform = "apply_terraform" (RawApplyTerraform),
    }
}

/// Steps that change nothing, so that they reverse nothing.
const CHANGE_NOTHING: [&str; 3] = ["wait_for", "notify", "ask"];

/// What can be written.
const FORMS: &str = "`before`, `{ nothing: why }` or a step such as `{ restore: {} }`";

impl Read for RawUndo {
    fn schema() -> Json {
        json!({"oneOf": [{"const": "before"}, RawOther::schema()]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawUndo> {
        match &node.value {
            Value::Text(text) if text == "before" => Some(RawUndo::Before),
            Value::Text(text) => {
                let hint = if text == "nothing" {
                    "say why: `undo: { nothing: why }`".to_owned()
                } else {
                    format!("write {FORMS}")
                };
                faults.error(node.at, format!("`{place}`: {} is no undo", quoted(text)), hint);
                None
            }
            Value::Map(entries) => {
                let idle =
                    entries.iter().find(|it| CHANGE_NOTHING.contains(&it.key.value.as_str()));
                if let Some(entry) = idle {
                    let message = format!("`{place}`: `{}` reverses nothing", entry.key.value);
                    faults.error(entry.key.at, message, format!("write {FORMS}"));
                    return None;
                }
                RawOther::read(node, place, faults).map(|it| RawUndo::Other(Box::new(it)))
            }
            Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Number(_) | Value::List(_) => {
                wrong_type(node, place, FORMS, faults);
                None
            }
        }
    }
}

impl RawUndo {
    pub(super) fn checked(self, scope: &Scope<'_>, faults: &mut Faults) -> Option<Undo> {
        let other = match self {
            RawUndo::Before => return Some(Undo::Before),
            RawUndo::Other(other) => *other,
        };
        let kind = match other {
            RawOther::Nothing(Sentence(why)) => return Some(Undo::Nothing { why }),
            RawOther::SetCapacity(raw) => RawKind::SetCapacity(raw),
            RawOther::RestartInstances(raw) => RawKind::RestartInstances(raw),
            RawOther::ReplaceInstances(raw) => RawKind::ReplaceInstances(raw),
            RawOther::ShiftTraffic(raw) => RawKind::ShiftTraffic(raw),
            RawOther::Drain(raw) => RawKind::Drain(raw),
            RawOther::Restore(Nothing) => RawKind::Restore,
            RawOther::RollBack(Nothing) => RawKind::RollBack,
            RawOther::RunCommand(raw) => RawKind::RunCommand(raw),
            RawOther::CallWebhook(raw) => RawKind::CallWebhook(raw),
            RawOther::ApplyTerraform(raw) => RawKind::ApplyTerraform(raw),
        };
        kind.checked(scope, faults).map(|it| Undo::Step(Box::new(it)))
    }
}

/// The undo of a step that does `kind`; every step that changes something must have one.
pub(super) fn undo(
    raw: Option<At<RawUndo>>,
    name: &StepName,
    kind_at: Position,
    kind: &StepKind,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<Undo> {
    match (raw, kind.class()) {
        (None, None) => Some(Undo::Nothing { why: "it changes nothing".to_owned() }),
        (Some(raw), None) => {
            let message = format!("step `{name}` changes nothing, so there is nothing to undo");
            faults.error(raw.at, message, "remove `undo`");
            None
        }
        // What else should a limit become than what it was?
        (None, Some(ActionClass::ThrottleTenant)) => Some(Undo::Before),
        (None, Some(class)) => {
            let message = format!("step `{name}` (`{class}`) does not say how it is undone");
            let hint = if class.is_reversible() {
                "write `undo: before`, another step, or `undo: { nothing: why }`"
            } else {
                "write a step that reverses it, or `undo: { nothing: why }`"
            };
            faults.error(kind_at, message, hint);
            None
        }
        (Some(At { value: RawUndo::Before, at }), Some(class)) if !class.is_reversible() => {
            let message =
                format!("step `{name}`: the state before `{class}` cannot be brought back");
            faults.error(at, message, "write a step that reverses it, or `undo: { nothing: why }`");
            None
        }
        (Some(raw), Some(_)) => raw.value.checked(scope, faults),
    }
}
