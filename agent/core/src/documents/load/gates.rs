//! Whether there is anybody to answer at the gates of playbooks.
//!
//! **In:** playbooks with the names of their approvers, people, groups and grants.
//! **Out:** gates with approvers resolved to people; faults where nobody, or too few, can
//! approve.
//! **Not here:** counting approvals of a run ([`crate::heal`]).

use std::collections::{BTreeMap, BTreeSet};

use super::Drafts;
use super::people::nearest_unless_full;
use crate::action::ActionClass;
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::playbook::PlaybookPlaces;
use crate::documents::raw::playbook::gate::{GatePlaces, default_gate};
use crate::documents::{Access, Autonomy, Gate, Grant, Playbook, PlaybookStep, Role, Target, Undo};
use crate::ids::Actor;

/// Resolves approvers and counts who can approve. Without any `Access` document in the set,
/// names are left as they are and nobody is counted.
pub(super) fn check(
    drafts: &mut Drafts,
    access: Option<&Access>,
    all_read: bool,
    faults: &mut Faults,
) {
    if drafts.playbooks.is_empty() {
        return;
    }
    let targets: Vec<&Target> = drafts.targets.iter().map(|it| &it.value).collect();
    let grants = access.map(|it| Grants::new(it, &targets));
    let names: BTreeSet<&Actor> =
        access.iter().flat_map(|it| &it.people).map(|it| &it.name).collect();
    let known: Vec<&str> =
        names.iter().map(|it| it.as_str()).chain(drafts.groups.keys().map(Actor::as_str)).collect();
    for (placed, places) in drafts.playbooks.iter_mut().zip(&drafts.playbook_places) {
        faults.source = placed.source;
        let playbook = &mut placed.value;
        let id = playbook.id.clone();
        let Some(grants) = &grants else {
            if let Some(at) = first_gate(playbook, places) {
                let message = format!(
                    "playbook `{id}` waits for people, and no `Access` document says who they are"
                );
                let hint = "check it together with the documents of kind `Access`; without any, \
                            only the daemon's own account can approve";
                faults.warning(at, message, hint);
            }
            continue;
        };
        if !all_read {
            continue;
        }
        for (step, place) in playbook.steps.iter_mut().zip(&places.steps) {
            let (Some(gate), Some(GatePlaces { approvers, .. })) = (&mut step.gate, &place.gate)
            else {
                continue;
            };
            let about = format!("playbook `{id}`: the gate of step `{}`", step.name);
            gate.approvers = resolved(&about, approvers, &names, &drafts.groups, &known, faults);
        }
        let selected: BTreeSet<usize> = targets
            .iter()
            .zip(&grants.class_of)
            .filter(|(it, _)| playbook.selector.selects(it))
            .map(|(_, class)| *class)
            .collect();
        for (gate, at, about) in gates(playbook, places) {
            enough(&gate, at, &about, playbook, &selected, grants, faults);
        }
    }
}

/// The gates of a playbook, each with its place and what it is called: those that are
/// written, and the one that its autonomy implies.
fn gates(playbook: &Playbook, places: &PlaybookPlaces) -> Vec<(Gate, Position, String)> {
    let mut gates = Vec::new();
    for (step, place) in playbook.steps.iter().zip(&places.steps) {
        let Some(gate) = &step.gate else { continue };
        // A group without members is reported, and must not count as everybody.
        if let Some(GatePlaces { approvers, .. }) = &place.gate
            && !approvers.is_empty()
            && gate.approvers.is_empty()
        {
            continue;
        }
        let at = place.gate.as_ref().map_or(place.name_at, |it| it.at);
        gates.push((gate.clone(), at, format!("step `{}`", step.name)));
    }
    let implied = playbook.steps.iter().find(|it| needs_implied_gate(it, playbook));
    if let Some(step) = implied {
        gates.push((default_gate(), places.autonomy_at, format!("step `{}`", step.name)));
    }
    gates
}

fn first_gate(playbook: &Playbook, places: &PlaybookPlaces) -> Option<Position> {
    gates(playbook, places).first().map(|(_, at, _)| *at)
}

/// Whether a step without a gate of its own may have to wait for a person.
fn needs_implied_gate(step: &PlaybookStep, playbook: &Playbook) -> bool {
    let Some(class) = step.kind.class() else { return false };
    let is_never_automatic = match class {
        ActionClass::RestartInstances | ActionClass::ReplaceInstances => true,
        ActionClass::SetCapacity
        | ActionClass::ShiftTraffic
        | ActionClass::Drain
        | ActionClass::RollBack
        | ActionClass::ThrottleTenant
        | ActionClass::RunCommand
        | ActionClass::CallWebhook
        | ActionClass::ApplyTerraform => matches!(step.undo, Undo::Nothing { .. }),
    };
    let may_wait = playbook.autonomy <= Autonomy::Approve || is_never_automatic;
    step.gate.is_none() && Autonomy::Approve <= playbook.autonomy_max && may_wait
}

/// The people that names of people and groups stand for.
fn resolved(
    about: &str,
    approvers: &[At<Actor>],
    names: &BTreeSet<&Actor>,
    groups: &BTreeMap<Actor, BTreeSet<Actor>>,
    known: &[&str],
    faults: &mut Faults,
) -> BTreeSet<Actor> {
    let mut people = BTreeSet::new();
    let mut all_known = true;
    for At { value: name, at } in approvers {
        if let Some(members) = groups.get(name) {
            people.extend(members.iter().cloned());
        } else if names.contains(name) {
            people.insert(name.clone());
        } else {
            let hint = match nearest_unless_full(name.as_str(), known, faults) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it under `people` or `groups` of an `Access` document".to_owned(),
            };
            faults.error(*at, format!("{about}: nobody is called `{name}`"), hint);
            all_known = false;
        }
    }
    if let Some(first) = approvers.first().filter(|_| people.is_empty() && all_known) {
        let message = format!("{about} can never be passed: its groups have no members");
        faults.error(first.at, message, "add members, or name others");
    }
    people
}

/// Who may do what, by classes of targets: those that the same grants select.
struct Grants<'a> {
    /// For each target, its class.
    class_of: Vec<usize>,
    /// For each class, a target in it and the grants that hold there.
    classes: Vec<(&'a Target, Vec<&'a Grant>)>,
}

impl<'a> Grants<'a> {
    fn new(access: &'a Access, targets: &[&'a Target]) -> Grants<'a> {
        let mut numbers: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut grants =
            Grants { class_of: Vec::with_capacity(targets.len()), classes: Vec::new() };
        for target in targets {
            let held = access.grants.iter().enumerate();
            // An admin has every role everywhere.
            let held = held
                .filter(|(_, it)| it.role == Role::Admin || it.selector.selects(target))
                .map(|(index, _)| index);
            let held: Vec<usize> = held.collect();
            let next = grants.classes.len();
            let class = match numbers.get(&held) {
                Some(class) => *class,
                None => {
                    let held_here = held.iter().filter_map(|it| access.grants.get(*it)).collect();
                    grants.classes.push((target, held_here));
                    numbers.insert(held, next);
                    next
                }
            };
            grants.class_of.push(class);
        }
        grants
    }
}

/// Reports the target on which the fewest people can pass the gate, if they are too few.
fn enough(
    gate: &Gate,
    at: Position,
    about: &str,
    playbook: &Playbook,
    selected: &BTreeSet<usize>,
    grants: &Grants<'_>,
    faults: &mut Faults,
) {
    let able = selected.iter().filter_map(|it| grants.classes.get(*it)).map(|(target, held)| {
        let people: BTreeSet<&Actor> = held
            .iter()
            .filter(|it| gate.role <= it.role)
            .flat_map(|it| &it.people)
            .filter(|it| gate.approvers.is_empty() || gate.approvers.contains(it))
            .collect();
        (people.len(), *target)
    });
    let Some((n_able, target)) = able.min_by_key(|(n_able, _)| *n_able) else { return };
    let needed = usize::try_from(gate.n_approvals).unwrap_or(usize::MAX);
    let (id, target, role) = (&playbook.id, &target.id, gate.role);
    let whom = if gate.approvers.is_empty() { "" } else { " of its approvers" };
    let have = if n_able == 1 { format!("person{whom} has") } else { format!("people{whom} have") };
    if n_able < needed {
        let message = format!(
            "playbook `{id}`: {about} can never be approved on target `{target}`: it needs {needed}, and {n_able} {have} role `{role}` there"
        );
        let hint = "grant the role in an `Access` document, or ask for fewer `approvals`";
        faults.error(at, message, hint);
    } else if n_able == needed && playbook.trigger.by_hand {
        let message = format!(
            "playbook `{id}`: {about} needs the approval of {needed} on target `{target}`, and {n_able} {have} role `{role}` there: if one of them asks for the run, too few are left"
        );
        let hint = "whoever asks for a run does not approve it: grant the role to one more person";
        faults.warning(at, message, hint);
    }
}
