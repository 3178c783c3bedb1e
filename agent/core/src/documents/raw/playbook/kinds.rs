//! What a step of a `Playbook` can do.
//!
//! **In:** a step as written: its name, one kind, undo, gate, `only_if`.
//! **Out:** a checked [`StepKind`].
//! **Not here:** the list of steps ([`super::steps`]), what reverses one ([`super::undo`]).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Scope;
use super::expression::{Expression, condition, formula};
use super::gate::RawGate;
use super::select::{RawSelecting, RawShift};
use super::template::{self, TemplateText};
use super::tenant::RawThrottle;
use super::undo::RawUndo;
use crate::condition::Unit;
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::scalar::{Duration, Name};
use crate::documents::raw::{List, Place, Read, fields, wrong_type};
use crate::documents::{StepKind, Template};
use crate::ids::{AllowedName, StepName};
use crate::incident::Severity;

/// Most arguments of one command. Why 64: more belongs into a file or a script.
const ARGUMENTS_MAX: usize = 64;
/// Most fields of one webhook, or variables of one Terraform change. Why 32: people read
/// them before they approve.
const FIELDS_MAX: usize = 32;

fields! {
    /// One step. Besides its name it has exactly one of the things it can do.
    struct RawStep {
        /// Unique within the playbook.
        required name: Name<StepName>,
        /// Set the capacity.
        optional set_capacity: RawSetCapacity,
        /// Restart instances in place.
        optional restart_instances: RawSelecting,
        /// Replace instances by new ones.
        optional replace_instances: RawSelecting,
        /// Change the weights of instances.
        optional shift_traffic: RawShift,
        /// Take instances out of traffic.
        optional drain: RawSelecting,
        /// Put every drained instance back into traffic.
        optional restore: Nothing,
        /// Deploy the revision before the current one.
        optional roll_back: Nothing,
        /// Limit how many requests of one tenant are served.
        optional throttle_tenant: RawThrottle,
        /// Run a command of the daemon's allow-list.
        optional run_command: RawRunCommand,
        /// Call a webhook of the daemon's allow-list.
        optional call_webhook: RawCallWebhook,
        /// Plan and apply a Terraform change.
        optional apply_terraform: RawApplyTerraform,
        /// Wait until a condition is true.
        optional wait_for: RawWaitFor,
        /// Tell people.
        optional notify: RawNotify,
        /// Ask people; without their yes it ends here.
        optional ask: RawAsk,
        /// What reverses it: `before` (the state that was read before it), another step, or
        /// `{ nothing: why }`. Every step that changes something says so, but for
        /// `throttle_tenant`, which without it is `before`.
        optional undo: RawUndo,
        /// Who must agree before it.
        optional gate: RawGate,
        /// Only if this is true when the plan is made.
        optional only_if: Expression,
    }
    also(json!({"oneOf": KINDS.map(|it| json!({"required": [it]}))}))
}

/// What a step can do, by the field that says so.
pub(super) const KINDS: [&str; 14] = [
    "set_capacity",
    "restart_instances",
    "replace_instances",
    "shift_traffic",
    "drain",
    "restore",
    "roll_back",
    "throttle_tenant",
    "run_command",
    "call_webhook",
    "apply_terraform",
    "wait_for",
    "notify",
    "ask",
];

fields! {
    /// A capacity.
    struct RawSetCapacity {
        /// In units, such as `target.current * 1.5`; rounded up, within bounds.
        required to: Expression,
    }
}

fields! {
    /// A command and its arguments, which no shell reads.
    struct RawRunCommand {
        /// Its name in the daemon's configuration.
        required command: Allowed,
        /// Its arguments; a value never becomes more than one of them.
        defaulted(json!([])) arguments: List<TemplateText, 0, ARGUMENTS_MAX>,
    }
}

fields! {
    /// A webhook and what it is told.
    struct RawCallWebhook {
        /// Its name in the daemon's configuration.
        required webhook: Allowed,
        /// Fields of the request.
        defaulted(json!({})) fields: RawTemplates,
    }
}

fields! {
    /// A Terraform change.
    struct RawApplyTerraform {
        /// Its name in the daemon's configuration.
        required workspace: Allowed,
        /// Variables of the plan.
        defaulted(json!({})) variables: RawTemplates,
    }
}

fields! {
    /// A condition to wait for.
    struct RawWaitFor {
        /// What must be true.
        required condition: Expression,
        /// By then; else the run is undone.
        required within: Duration<1, 86_400>,
    }
}

fields! {
    /// A message.
    struct RawNotify {
        /// What people are told.
        required message: TemplateText,
        /// Whom it wakes.
        defaulted(json!("info")) severity: Severity,
    }
}

fields! {
    /// A question.
    struct RawAsk {
        /// What people are asked; the step's gate says whom.
        required question: TemplateText,
    }
}

/// `{}`.
pub(in crate::documents) struct Nothing;

impl Read for Nothing {
    fn schema() -> Json {
        json!({"type": "object", "maxProperties": 0})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Nothing> {
        if node.value == Value::Map(Vec::new()) {
            return Some(Nothing);
        }
        faults.error(node.at, format!("`{place}` has no fields"), "write `{}`");
        None
    }
}

/// The name of something in the daemon's configuration. It may become part of a path or an
/// argument there, so it cannot lead anywhere else.
pub(in crate::documents) struct Allowed(pub(super) AllowedName);

impl Read for Allowed {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_@+][A-Za-z0-9_.@+-]{0,127}$"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Allowed> {
        let Name(name) = Name::<AllowedName>::read(node, place, faults)?;
        let text = name.as_str();
        if text.contains('/') || text.contains("..") || text.starts_with(['-', '.']) {
            let message = format!("`{place}`: {} looks like a path or an option", quoted(text));
            let hint =
                "write the name that the daemon's configuration gives it, without `/` and `..`";
            faults.error(node.at, message, hint);
            return None;
        }
        Some(Allowed(name))
    }
}

/// Templates by name.
pub(in crate::documents) struct RawTemplates(Vec<(String, At<TemplateText>)>);

impl Read for RawTemplates {
    fn schema() -> Json {
        json!({
            "type": "object",
            "maxProperties": FIELDS_MAX,
            "propertyNames": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,127}$"},
            "additionalProperties": TemplateText::schema(),
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawTemplates> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, place, "a mapping of names to texts", faults);
            return None;
        };
        if FIELDS_MAX < entries.len() {
            let n = entries.len();
            let message = format!("`{place}` has {n} entries, at most {FIELDS_MAX} are allowed");
            faults.error(node.at, message, "remove some");
            return None;
        }
        let mut templates = Some(Vec::new());
        for entry in entries {
            let key = entry.key.value.as_str();
            let starts_well = key.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
            let is_good = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
            let is_name = starts_well && key.chars().all(is_good) && key.len() <= 128;
            if !is_name {
                let message = format!("`{place}`: {} is not a name of a field", quoted(key));
                faults.error(entry.key.at, message, "use letters, digits, `_` and `-`");
            }
            let value = TemplateText::read(&entry.node, &place.field(key), faults);
            match (value, is_name, &mut templates) {
                (Some(value), true, Some(templates)) => {
                    templates.push((key.to_owned(), At { value, at: entry.node.at }));
                }
                _ => templates = None,
            }
        }
        templates.map(RawTemplates)
    }
}

impl RawTemplates {
    fn checked(self, scope: &Scope<'_>, faults: &mut Faults) -> Option<BTreeMap<String, Template>> {
        let checked = self.0.into_iter().map(|(name, it)| {
            template::checked(it, scope, faults).map(|template| (name, template))
        });
        let checked: Vec<Option<(String, Template)>> = checked.collect();
        checked.into_iter().collect()
    }
}

/// What a step does, as written.
pub(super) enum RawKind {
    SetCapacity(RawSetCapacity),
    RestartInstances(RawSelecting),
    ReplaceInstances(RawSelecting),
    ShiftTraffic(RawShift),
    Drain(RawSelecting),
    Restore,
    RollBack,
    ThrottleTenant(RawThrottle),
    RunCommand(RawRunCommand),
    CallWebhook(RawCallWebhook),
    ApplyTerraform(RawApplyTerraform),
    WaitFor(RawWaitFor),
    Notify(RawNotify),
    Ask(RawAsk),
}

/// What every step has beside its kind.
pub(super) struct StepParts {
    pub(super) name: At<Name<StepName>>,
    pub(super) undo: Option<At<RawUndo>>,
    pub(super) gate: Option<At<RawGate>>,
    pub(super) only_if: Option<At<Expression>>,
}

impl RawStep {
    /// What it does, which should be one thing, and the rest.
    pub(super) fn split(self) -> (StepParts, Vec<At<RawKind>>) {
        fn as_kind<T>(raw: Option<At<T>>, kind: fn(T) -> RawKind) -> Option<At<RawKind>> {
            raw.map(|At { value, at }| At { value: kind(value), at })
        }
        let RawStep {
            name,
            set_capacity,
            restart_instances,
            replace_instances,
            shift_traffic,
            drain,
            restore,
            roll_back,
            throttle_tenant,
            run_command,
            call_webhook,
            apply_terraform,
            wait_for,
            notify,
            ask,
            undo,
            gate,
            only_if,
        } = self;
        let kinds = [
            as_kind(set_capacity, RawKind::SetCapacity),
            as_kind(restart_instances, RawKind::RestartInstances),
            as_kind(replace_instances, RawKind::ReplaceInstances),
            as_kind(shift_traffic, RawKind::ShiftTraffic),
            as_kind(drain, RawKind::Drain),
            as_kind(restore, |Nothing| RawKind::Restore),
            as_kind(roll_back, |Nothing| RawKind::RollBack),
            as_kind(throttle_tenant, RawKind::ThrottleTenant),
            as_kind(run_command, RawKind::RunCommand),
            as_kind(call_webhook, RawKind::CallWebhook),
            as_kind(apply_terraform, RawKind::ApplyTerraform),
            as_kind(wait_for, RawKind::WaitFor),
            as_kind(notify, RawKind::Notify),
            as_kind(ask, RawKind::Ask),
        ];
        let kinds = kinds.into_iter().flatten().collect();
        (StepParts { name, undo, gate, only_if }, kinds)
    }
}

impl RawKind {
    /// The field that says so.
    pub(super) fn name(&self) -> &'static str {
        match self {
            RawKind::SetCapacity(_) => "set_capacity",
            RawKind::RestartInstances(_) => "restart_instances",
            RawKind::ReplaceInstances(_) => "replace_instances",
            RawKind::ShiftTraffic(_) => "shift_traffic",
            RawKind::Drain(_) => "drain",
            RawKind::Restore => "restore",
            RawKind::RollBack => "roll_back",
            RawKind::ThrottleTenant(_) => "throttle_tenant",
            RawKind::RunCommand(_) => "run_command",
            RawKind::CallWebhook(_) => "call_webhook",
            RawKind::ApplyTerraform(_) => "apply_terraform",
            RawKind::WaitFor(_) => "wait_for",
            RawKind::Notify(_) => "notify",
            RawKind::Ask(_) => "ask",
        }
    }

    /// `None` after a fault.
    pub(super) fn checked(self, scope: &Scope<'_>, faults: &mut Faults) -> Option<StepKind> {
        let environment = &scope.environment;
        Some(match self {
            RawKind::SetCapacity(RawSetCapacity { to }) => {
                StepKind::SetCapacity { to: formula(&to, environment, Unit::Units, faults)? }
            }
            RawKind::RestartInstances(raw) => {
                StepKind::RestartInstances { select: raw.checked(scope, faults)? }
            }
            RawKind::ReplaceInstances(raw) => {
                StepKind::ReplaceInstances { select: raw.checked(scope, faults)? }
            }
            RawKind::ShiftTraffic(raw) => raw.checked(scope, faults)?,
            RawKind::Drain(raw) => StepKind::Drain { select: raw.checked(scope, faults)? },
            RawKind::Restore => StepKind::Restore,
            RawKind::RollBack => StepKind::RollBack,
            RawKind::ThrottleTenant(raw) => raw.checked(scope, faults)?,
            RawKind::RunCommand(RawRunCommand { command, arguments }) => StepKind::RunCommand {
                command: command.value.0,
                arguments: template::checked_arguments(arguments.value.0, scope, faults)?,
            },
            RawKind::CallWebhook(RawCallWebhook { webhook, fields }) => StepKind::CallWebhook {
                webhook: webhook.value.0,
                fields: fields.value.checked(scope, faults)?,
            },
            RawKind::ApplyTerraform(RawApplyTerraform { workspace, variables }) => {
                StepKind::ApplyTerraform {
                    workspace: workspace.value.0,
                    variables: variables.value.checked(scope, faults)?,
                }
            }
            RawKind::WaitFor(RawWaitFor { condition: raw, within }) => StepKind::WaitFor {
                condition: condition(&raw, environment, faults)?,
                within: within.value.0,
            },
            RawKind::Notify(RawNotify { message, severity }) => StepKind::Notify {
                message: template::checked(message, scope, faults)?,
                severity: severity.value,
            },
            RawKind::Ask(RawAsk { question }) => {
                StepKind::Ask { question: template::checked(question, scope, faults)? }
            }
        })
    }
}
