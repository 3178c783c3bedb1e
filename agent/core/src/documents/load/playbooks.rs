//! What playbooks need from targets, and where two of them meet.
//!
//! **In:** all documents, read without a fault.
//! **Out:** faults: steps that no target has an actuator for, labels that targets do not
//! have, playbooks that do the same on one target and are equally important.
//! **Not here:** people ([`super::gates`]), the playbook itself
//! ([`crate::documents::raw::playbook`]).

use std::collections::{BTreeMap, BTreeSet};

use super::people::shown;
use super::{Drafts, Placed, SourceText};
use crate::action::ActionClass;
use crate::documents::fault::Faults;
use crate::documents::positions::Position;
use crate::documents::{Playbook, StepKind, Target, Template, TemplatePart, Undo};
use crate::ids::AllowedName;

pub(super) fn check(drafts: &Drafts, sources: &[SourceText<'_>], faults: &mut Faults) {
    let targets: Vec<&Target> = drafts.targets.iter().map(|it| &it.value).collect();
    let selected: Vec<Vec<usize>> = drafts
        .playbooks
        .iter()
        .map(|it| {
            let indexed = targets.iter().enumerate();
            indexed.filter(|(_, at)| it.value.selector.selects(at)).map(|(nth, _)| nth).collect()
        })
        .collect();
    for ((playbook, places), selected) in
        drafts.playbooks.iter().zip(&drafts.playbook_places).zip(&selected)
    {
        faults.source = playbook.source;
        let its: Vec<&Target> =
            selected.iter().filter_map(|it| targets.get(*it).copied()).collect();
        if !its.is_empty() {
            let steps = playbook.value.steps.iter().zip(&places.steps);
            for (step, place) in steps {
                let undo = match &step.undo {
                    Undo::Step(kind) => Some(kind.as_ref()),
                    Undo::Before | Undo::Nothing { .. } => None,
                };
                let about = (&playbook.value, step.name.as_str(), place.name_at);
                actuators(about, &step.kind, undo, &its, faults);
                labels(about, &step.kind, undo, &its, faults);
            }
        }
    }
    conflicts(drafts, &selected, sources, faults);
}

/// A playbook, one of its steps and where that is.
type About<'a> = (&'a Playbook, &'a str, Position);

/// Which of a target's actuators something needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needed {
    Instances,
    Traffic,
    Deployment,
    Tenants,
}

impl Needed {
    fn by(class: ActionClass) -> Option<Needed> {
        match class {
            ActionClass::RestartInstances | ActionClass::ReplaceInstances => {
                Some(Needed::Instances)
            }
            ActionClass::ShiftTraffic | ActionClass::Drain => Some(Needed::Traffic),
            ActionClass::RollBack => Some(Needed::Deployment),
            ActionClass::ThrottleTenant => Some(Needed::Tenants),
            ActionClass::SetCapacity
            | ActionClass::RunCommand
            | ActionClass::CallWebhook
            | ActionClass::ApplyTerraform => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Needed::Instances => "instances",
            Needed::Traffic => "traffic",
            Needed::Deployment => "deployment",
            Needed::Tenants => "tenants",
        }
    }

    fn is_there(self, target: &Target) -> bool {
        match self {
            Needed::Instances => target.actuators.instances.is_some(),
            Needed::Traffic => target.actuators.traffic.is_some(),
            Needed::Deployment => target.actuators.deployment.is_some(),
            Needed::Tenants => target.actuators.tenants.is_some(),
        }
    }
}

fn actuators(
    (playbook, step, at): About<'_>,
    kind: &StepKind,
    undo: Option<&StepKind>,
    targets: &[&Target],
    faults: &mut Faults,
) {
    let classes = [kind.class(), undo.and_then(StepKind::class)].into_iter().flatten();
    let needed: BTreeSet<Needed> = classes.filter_map(Needed::by).collect();
    for needed in needed {
        let name = needed.name();
        let without: Vec<&Target> =
            targets.iter().copied().filter(|it| !needed.is_there(it)).collect();
        let Some(first) = without.first() else { continue };
        let (target, id) = (&first.id, &playbook.id);
        let hint = format!(
            "give the target its `actuators.{name}`, or narrow the selector of the playbook"
        );
        if without.len() < targets.len() {
            let message = format!(
                "playbook `{id}`: step `{step}` cannot be done on {} of {} targets: target `{target}` has no `{name}` actuator",
                without.len(),
                targets.len()
            );
            faults.warning(at, message, hint);
        } else {
            let message = format!(
                "playbook `{id}`: step `{step}` can never be done: target `{target}`{} has no `{name}` actuator",
                more(without.len())
            );
            faults.error(at, message, hint);
        }
    }
}

fn more(n: usize) -> String {
    match n {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    }
}

/// A template's label that is missing ends the plan, so it is missed before.
fn labels(
    (playbook, step, at): About<'_>,
    kind: &StepKind,
    undo: Option<&StepKind>,
    targets: &[&Target],
    faults: &mut Faults,
) {
    let templates = [Some(kind), undo].into_iter().flatten().flat_map(templates);
    let parts = templates.flat_map(|it| &it.parts);
    let used: BTreeSet<&str> = parts
        .filter_map(|it| match it {
            TemplatePart::Label(name) => Some(name.as_str()),
            TemplatePart::Text(_)
            | TemplatePart::Target
            | TemplatePart::Region
            | TemplatePart::Parameter(_)
            | TemplatePart::Run
            | TemplatePart::Incident => None,
        })
        .collect();
    for label in used {
        let mut without = targets.iter().filter(|it| !it.labels.contains_key(label));
        let Some(first) = without.next() else { continue };
        let n = 1 + without.count();
        let message = format!(
            "playbook `{}`: step `{step}` uses label `{label}`, which target `{}`{} does not have",
            playbook.id,
            first.id,
            more(n)
        );
        let hint = "add the label to the target, or narrow the selector of the playbook";
        if n < targets.len() {
            faults.warning(at, message, hint);
        } else {
            faults.error(at, message, hint);
        }
    }
}

fn templates(kind: &StepKind) -> Vec<&Template> {
    match kind {
        StepKind::RunCommand { arguments, .. } => arguments.iter().collect(),
        StepKind::CallWebhook { fields: templates, .. }
        | StepKind::ApplyTerraform { variables: templates, .. } => templates.values().collect(),
        StepKind::Notify { message: template, .. } | StepKind::Ask { question: template } => {
            vec![template]
        }
        StepKind::SetCapacity { .. }
        | StepKind::RestartInstances { .. }
        | StepKind::ReplaceInstances { .. }
        | StepKind::ShiftTraffic { .. }
        | StepKind::Drain { .. }
        | StepKind::Restore
        | StepKind::RollBack
        | StepKind::ThrottleTenant { .. }
        | StepKind::WaitFor { .. } => Vec::new(),
    }
}

/// What two playbooks can fight over: a class of actions and, where that is no more than a
/// way to act, what is acted with.
type Contested = (ActionClass, Option<AllowedName>);

/// Weights and drains are both about who gets traffic.
fn contested(playbook: &Playbook) -> BTreeSet<Contested> {
    let kinds = playbook.steps.iter().flat_map(|it| match &it.undo {
        Undo::Step(undo) => [Some(&it.kind), Some(undo.as_ref())],
        Undo::Before | Undo::Nothing { .. } => [Some(&it.kind), None],
    });
    kinds
        .flatten()
        .filter_map(|it| match it {
            StepKind::RunCommand { command: name, .. }
            | StepKind::CallWebhook { webhook: name, .. }
            | StepKind::ApplyTerraform { workspace: name, .. } => {
                Some((it.class()?, Some(name.clone())))
            }
            StepKind::Drain { .. } | StepKind::Restore => Some((ActionClass::ShiftTraffic, None)),
            StepKind::SetCapacity { .. }
            | StepKind::RestartInstances { .. }
            | StepKind::ReplaceInstances { .. }
            | StepKind::ShiftTraffic { .. }
            | StepKind::RollBack
            | StepKind::ThrottleTenant { .. }
            | StepKind::WaitFor { .. }
            | StepKind::Notify { .. }
            | StepKind::Ask { .. } => Some((it.class()?, None)),
        })
        .collect()
}

/// One warning per pair of playbooks, however many targets they share.
fn conflicts(
    drafts: &Drafts,
    selected: &[Vec<usize>],
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) {
    type Candidate<'a> = (&'a Placed<Playbook>, &'a [usize], BTreeSet<Contested>);
    let mut by_priority: BTreeMap<u32, Vec<Candidate<'_>>> = BTreeMap::new();
    for (placed, selected) in drafts.playbooks.iter().zip(selected) {
        let candidates = by_priority.entry(placed.value.priority).or_default();
        let classes = contested(&placed.value);
        for (other, theirs, other_classes) in candidates.iter() {
            let Some((class, name)) = classes.intersection(other_classes).next() else { continue };
            let what = match name {
                Some(name) => format!("`{class}` (`{name}`)"),
                None => format!("`{class}`"),
            };
            let Some(target) = first_common(selected, theirs) else { continue };
            let Some(target) = drafts.targets.get(target) else { continue };
            faults.source = placed.source;
            let place = shown((other.source, other.name_at), faults, sources);
            let message = format!(
                "playbooks `{}` ({place}) and `{}` both do {what} on target `{}` and have priority {}",
                other.value.id, placed.value.id, target.value.id, placed.value.priority
            );
            let hint = "one runs at a time, and at equal priority their names decide which: give \
                        one a higher `priority`";
            faults.warning(placed.name_at, message, hint);
        }
        candidates.push((placed, selected, classes));
    }
}

/// Both ascend.
fn first_common(one: &[usize], two: &[usize]) -> Option<usize> {
    let (mut one, mut two) = (one.iter().peekable(), two.iter().peekable());
    while let (Some(a), Some(b)) = (one.peek(), two.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => one.next(),
            std::cmp::Ordering::Greater => two.next(),
            std::cmp::Ordering::Equal => return Some(**a),
        };
    }
    None
}
