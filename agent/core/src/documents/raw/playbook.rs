//! `spec:` of a `Playbook`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Playbook`] whose parts fit together, with every default filled in.
//! **Not here:** targets, people and other playbooks ([`crate::documents::load`]).

mod expression;
pub(in crate::documents) mod gate;
mod inputs;
mod kinds;
pub(in crate::documents) mod secret;
mod select;
mod steps;
mod template;
mod tenant;
mod trigger;
mod undo;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use self::expression::{Expression, condition};
use self::inputs::{RawInput, RawParameters};
use self::kinds::RawStep;
pub(in crate::documents) use self::steps::StepPlaces;
use self::template::Sentence;
use self::trigger::RawTrigger;
use crate::action::ActionClass;
use crate::condition::Environment;
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::scalar::{Duration, PrometheusLabel, Whole};
use crate::documents::raw::selector::RawSelector;
use crate::documents::raw::{List, fields};
use crate::documents::{
    Autonomy, NamedCondition, Parameter, Playbook, PlaybookInput, PlaybookStep, RunLimits, Undo,
    Verification,
};
use crate::ids::{ParameterName, PlaybookId};
use crate::incident::Severity;
use crate::units::show_duration;

/// Most inputs of one playbook. Why 32: each is one query per period.
const INPUTS_MAX: usize = 32;
/// Most steps of one playbook. Why 32: a person reads the plan before approving.
const STEPS_MAX: usize = 32;
/// Most conditions of one playbook. Why 16: each is one more reason that nothing happens.
const CONDITIONS_MAX: usize = 16;

fields! {
    /// What to do when something is wrong, and who is asked.
    struct RawPlaybook {
        /// What it is for, in a sentence.
        required about: Sentence,
        /// The page for people: a path in the repository, or an address.
        required runbook: Sentence,
        /// How bad it is when it is triggered: `info`, `ticket` or `page`.
        required severity: Severity,
        /// The targets it is for.
        required selector: RawSelector,
        /// How much the agent may do by itself.
        defaulted(json!("observe")) autonomy: Autonomy,
        /// Up to where evidence may raise that, by a person's word. Without it, `autonomy`.
        optional autonomy_max: Autonomy,
        /// The label of the queries' results that names the target: it equals the
        /// target's own label of that name or, without one, the target's name.
        required target_label: PrometheusLabel,
        /// Among those that are triggered in one incident, the highest goes first.
        defaulted(json!(50)) priority: Whole<0, 100>,
        /// Numbers that a person may change for one run: `params.NAME` in conditions.
        defaulted(json!({})) parameters: RawParameters,
        /// What conditions are about.
        defaulted(json!([])) inputs: List<RawInput, 0, INPUTS_MAX>,
        /// When it is triggered.
        required trigger: RawTrigger,
        /// All of these must be true before a run, and again before its first effect.
        defaulted(json!([])) conditions: List<RawNamedCondition, 0, CONDITIONS_MAX>,
        /// What it does, in order.
        required steps: List<RawStep, 1, STEPS_MAX>,
        /// What must hold afterwards; else everything is undone.
        required verification: RawVerification,
        /// How often and how many at once.
        defaulted(json!({})) limits: RawLimits,
    }
}

fields! {
    /// A condition with a name.
    struct RawNamedCondition {
        /// What people call it.
        required name: Sentence,
        /// It.
        required that: Expression,
    }
}

fields! {
    /// What must hold for the run to have helped.
    struct RawVerification {
        /// What.
        required that: Expression,
        /// Without a gap for this long, at most an hour.
        defaulted(json!("1m")) holds_for: Duration<0, 3_600>,
        /// By then, at most a day; longer than `holds_for`.
        defaulted(json!("10m")) within: Duration<1, 86_400>,
    }
}

fields! {
    /// How often and how many at once.
    struct RawLimits {
        /// Runs per target within `window`; after that, a person.
        defaulted(json!(2)) attempts: Whole<1, 100>,
        /// The window, from a minute to a day; at least `cooldown`.
        defaulted(json!("1h")) window: Duration<60, 86_400>,
        /// Runs of this playbook at once, over all targets.
        defaulted(json!(1)) concurrency: Whole<1, 1_000>,
        /// After a run on a target, none starts there for this long.
        defaulted(json!("10m")) cooldown: Duration<0, 86_400>,
    }
}

/// What names stand for in the playbook that is being checked.
pub(super) struct Scope<'a> {
    inputs: &'a [PlaybookInput],
    parameters: &'a BTreeMap<ParameterName, Parameter>,
    environment: Environment,
}

/// Where parts of a playbook are, for faults that need other documents.
pub(in crate::documents) struct PlaybookPlaces {
    /// Of `autonomy`, or of the document where that is left out.
    pub(in crate::documents) autonomy_at: Position,
    /// One for each step.
    pub(in crate::documents) steps: Vec<StepPlaces>,
}

impl RawPlaybook {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(
        self,
        id: PlaybookId,
        sha256: String,
        faults: &mut Faults,
    ) -> Option<(Playbook, PlaybookPlaces)> {
        let RawPlaybook {
            about,
            runbook,
            severity,
            selector,
            autonomy,
            autonomy_max,
            target_label,
            priority,
            parameters,
            inputs,
            trigger,
            conditions,
            steps,
            verification,
            limits,
        } = self;
        let target_label = target_label.value.0;
        let RawParameters(parameters) = parameters.value;
        let runbook = checked_runbook(runbook, faults);
        let max = checked_autonomy(&autonomy, autonomy_max.as_ref(), faults);
        let limits = limits.value.checked(faults);
        // Without its inputs, every condition would have faults that are none.
        let inputs = inputs::checked(inputs.value.0, &target_label, faults)?;
        let environment = Playbook::environment(&inputs, &parameters);
        let scope = Scope { inputs: &inputs, parameters: &parameters, environment };
        let trigger = trigger::checked(trigger, &scope, faults);
        let conditions = checked_conditions(conditions.value.0, &scope, faults);
        let steps = steps::checked(steps.value.0, &scope, faults);
        let verification = verification.value.checked(&scope, faults);
        let (steps, step_places) = steps?;
        let autonomy_max = max?;
        if autonomy_max == Autonomy::Auto {
            never_automatic(&steps, autonomy.at, faults);
        }
        let places = PlaybookPlaces { autonomy_at: autonomy.at, steps: step_places };
        let playbook = Playbook {
            id,
            sha256,
            about: about.value.0,
            runbook: runbook?,
            severity: severity.value,
            selector: selector.value.checked(),
            autonomy: autonomy.value,
            autonomy_max,
            target_label,
            priority: priority.value.0,
            trigger: trigger?,
            conditions: conditions?,
            steps,
            verification: verification?,
            limits: limits?,
            parameters,
            inputs,
        };
        Some((playbook, places))
    }
}

/// A page that a reader of a notification can find.
fn checked_runbook(raw: At<Sentence>, faults: &mut Faults) -> Option<String> {
    let At { value: Sentence(text), at } = raw;
    let is_address = text.starts_with("https://") || text.starts_with("http://");
    let leaves = text.starts_with(['/', '~']) || text.split('/').any(|it| it == "..");
    if text.contains(char::is_whitespace) || !is_address && leaves {
        let message = "`spec.runbook` is neither an address nor a path within the repository";
        faults.error(at, message, "write for example `runbooks/playbooks/gray-node.md`");
        return None;
    }
    Some(text)
}

fn checked_autonomy(
    autonomy: &At<Autonomy>,
    max: Option<&At<Autonomy>>,
    faults: &mut Faults,
) -> Option<Autonomy> {
    let Some(max) = max else { return Some(autonomy.value) };
    if autonomy.value <= max.value {
        return Some(max.value);
    }
    let message =
        format!("`autonomy_max` ({}) is below `autonomy` ({})", max.value, autonomy.value);
    faults.error(max.at, message, "raise it, or leave it out");
    None
}

/// Steps that wait for a person also where the rest is automatic.
fn never_automatic(steps: &[PlaybookStep], at: Position, faults: &mut Faults) {
    for step in steps.iter().filter(|it| it.gate.is_none()) {
        let why = match (&step.undo, step.kind.class()) {
            (_, Some(ActionClass::RestartInstances | ActionClass::ReplaceInstances)) => {
                "is destructive"
            }
            (Undo::Nothing { .. }, Some(_)) => "cannot be undone",
            (Undo::Nothing { .. } | Undo::Before | Undo::Step(_), _) => continue,
        };
        let message = format!("step `{}` {why}, so it waits for a person all the same", step.name);
        faults.warning(at, message, "give it a `gate` that says for whom, or write `approve`");
    }
}

fn checked_conditions(
    raw: Vec<At<RawNamedCondition>>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<Vec<NamedCondition>> {
    let mut seen = BTreeSet::new();
    let mut conditions = Some(Vec::new());
    for At { value: RawNamedCondition { name, that }, .. } in raw {
        let At { value: Sentence(name), at } = name;
        let checked = condition(&that, &scope.environment, faults);
        let is_new = seen.insert(name.clone());
        if !is_new {
            faults.error(at, format!("condition `{name}` is there twice"), "rename one of the two");
        }
        match (checked, is_new, &mut conditions) {
            (Some(condition), true, Some(conditions)) => {
                conditions.push(NamedCondition { name, condition });
            }
            _ => conditions = None,
        }
    }
    conditions
}

impl RawVerification {
    fn checked(self, scope: &Scope<'_>, faults: &mut Faults) -> Option<Verification> {
        let RawVerification { that, holds_for, within } = self;
        let condition = condition(&that, &scope.environment, faults);
        let (Duration(holds), Duration(by)) = (&holds_for.value, &within.value);
        if by <= holds {
            let (holds, by) = (show_duration(*holds), show_duration(*by));
            let message =
                format!("`verification.within` ({by}) is not longer than `holds_for` ({holds})");
            let at = holds_for.at.max(within.at);
            faults.error(at, message, "give it time to come true and to hold");
            return None;
        }
        Some(Verification { condition: condition?, holds_for: *holds, within: *by })
    }
}

impl RawLimits {
    fn checked(self, faults: &mut Faults) -> Option<RunLimits> {
        let RawLimits { attempts, window, concurrency, cooldown } = self;
        let (Duration(window_is), Duration(cooldown_is)) = (&window.value, &cooldown.value);
        if window_is < cooldown_is {
            let (shorter, longer) = (show_duration(*window_is), show_duration(*cooldown_is));
            let message =
                format!("`limits.window` ({shorter}) is shorter than `cooldown` ({longer})");
            let hint = "within a cooldown there is one attempt at most; lengthen the window";
            faults.error(window.at.max(cooldown.at), message, hint);
            return None;
        }
        Some(RunLimits {
            attempts_max: attempts.value.0,
            window: *window_is,
            concurrency_max: concurrency.value.0,
            cooldown: *cooldown_is,
        })
    }
}
