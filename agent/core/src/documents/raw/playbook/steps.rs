//! `steps:` of a `Playbook`.
//!
//! **In:** the list as written, and the names that conditions may use.
//! **Out:** [`PlaybookStep`]s of one kind each, with an undo.
//! **Not here:** whether targets have what they need ([`crate::documents::load`]), carrying
//! them out ([`crate::heal`]).

use std::collections::BTreeMap;

use super::Scope;
use super::expression::condition;
use super::gate::{GatePlaces, default_gate};
use super::inputs::Identifier;
use super::kinds::{KINDS, RawKind, RawStep};
use super::undo::undo;
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::raw::scalar::Name;
use crate::documents::raw::{listed, nearest};
use crate::documents::{PlaybookInput, PlaybookStep, StepKind};
use crate::ids::StepName;

/// Where a step and its gate are.
pub(in crate::documents) struct StepPlaces {
    pub(in crate::documents) name_at: Position,
    pub(in crate::documents) gate: Option<GatePlaces>,
}

/// The input of that name.
pub(super) fn input<'a>(
    name: &At<Identifier>,
    field: &str,
    scope: &Scope<'a>,
    faults: &mut Faults,
) -> Option<&'a PlaybookInput> {
    let Identifier(text) = &name.value;
    if let Some(input) = scope.inputs.iter().find(|it| it.name.as_str() == text) {
        return Some(input);
    }
    let known: Vec<&str> = scope.inputs.iter().map(|it| it.name.as_str()).collect();
    let hint = match nearest(text, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("inputs are {}", listed(&known)),
    };
    faults.error(name.at, format!("`{field}`: there is no input `{text}`"), hint);
    None
}

/// All steps and where they are; `None` after a fault in any.
pub(super) fn checked(
    raw: Vec<At<RawStep>>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<(Vec<PlaybookStep>, Vec<StepPlaces>)> {
    let mut seen: BTreeMap<StepName, usize> = BTreeMap::new();
    let mut steps = Some((Vec::new(), Vec::new()));
    let mut has_drained = false;
    for At { value, at } in raw {
        let (parts, kinds) = value.split();
        let Name(name) = parts.name.value;
        let name_at = parts.name.at;
        let mut is_good = true;
        if let Some(line) = seen.insert(name.clone(), name_at.line) {
            let message = format!("step `{name}` is named twice, first in line {line}");
            faults.error(name_at, message, "give each its own name");
            is_good = false;
        }
        let only_if = parts.only_if.map(|it| condition(&it, &scope.environment, faults));
        let gate = parts.gate.map(|it| it.value.checked(it.at, faults));
        let Some(kind) = only_kind(kinds, &name, at, faults) else {
            steps = None;
            continue;
        };
        if matches!(kind.value, RawKind::Restore) && !has_drained {
            let message = format!("step `{name}` restores what no step before it drained");
            faults.error(kind.at, message, "put a `drain` before it, or remove it");
            is_good = false;
        }
        has_drained |= matches!(kind.value, RawKind::Drain(_));
        let kind_at = kind.at;
        let Some(kind) = kind.value.checked(scope, faults) else {
            // What undoes it may have a fault of its own.
            let _ = parts.undo.map(|it| it.value.checked(scope, faults));
            steps = None;
            continue;
        };
        let undo = undo(parts.undo, &name, kind_at, &kind, scope, faults);
        is_good &= !matches!(gate, Some(None)) && !matches!(only_if, Some(None));
        match (undo, &mut steps) {
            (Some(undo), Some(steps)) if is_good => {
                let (steps, places) = steps;
                let (gate, gate_places) = gate.flatten().unzip();
                // A question always has somebody to answer it.
                let is_question = matches!(kind, StepKind::Ask { .. });
                let gate = gate.or_else(|| is_question.then(default_gate));
                places.push(StepPlaces { name_at, gate: gate_places });
                steps.push(PlaybookStep { name, kind, undo, gate, only_if: only_if.flatten() });
            }
            _ => steps = None,
        }
    }
    steps
}

fn only_kind(
    mut kinds: Vec<At<RawKind>>,
    name: &StepName,
    at: Position,
    faults: &mut Faults,
) -> Option<At<RawKind>> {
    kinds.sort_by_key(|it| it.at);
    let hint = || format!("write exactly one of {}", listed(&KINDS));
    if let [first, second, ..] = kinds.as_slice() {
        let (first, second_name) = (first.value.name(), second.value.name());
        let message = format!("step `{name}` does both `{first}` and `{second_name}`");
        faults.error(second.at, message, "make it two steps");
        return None;
    }
    let kind = kinds.pop();
    if kind.is_none() {
        faults.error(at, format!("step `{name}` does nothing"), hint());
    }
    kind
}
