//! What holds between documents.
//!
//! **In:** all documents that could be read.
//! **Out:** faults: names taken twice, policies that overlap, selectors that
//! select nothing, targets that nothing looks after, calls to targets that are not there.
//! **Not here:** people ([`super::people`]), what forecasts need
//! ([`super::forecasts`]), what playbooks need ([`super::playbooks`], [`super::gates`]).

use std::collections::{BTreeMap, BTreeSet};

use super::people::{nearest_unless_full, shown};
use super::{Drafts, Placed, SourceText, forecasts, playbooks};
use crate::documents::fault::Faults;
use crate::documents::positions::Position;
use crate::documents::{Selector, Target};
use crate::ids::TargetId;

pub(super) fn check(
    drafts: &mut Drafts,
    sources: &[SourceText<'_>],
    all_read: bool,
    faults: &mut Faults,
) {
    unique(&drafts.targets, "target", |it| it.id.as_str(), sources, faults);
    unique(&drafts.policies, "policy", |it| it.id.as_str(), sources, faults);
    unique(&drafts.guardrails, "guardrail", |it| it.id.as_str(), sources, faults);
    unique(&drafts.calendars, "calendar", |it| it.id.as_str(), sources, faults);
    unique(&drafts.playbooks, "playbook", |it| it.id.as_str(), sources, faults);
    let overlapping = overlaps(drafts, sources, faults);
    forecasts::check(drafts, sources, all_read, faults);
    // With a document missing, "selects nothing" may be a consequence, not a fault.
    if all_read {
        selectors(drafts, faults);
        unattended(drafts, &overlapping, faults);
        dependencies(drafts, faults);
        playbooks::check(drafts, sources, faults);
    }
}

/// What a target calls must be another one that is there. Circles are fine: services call
/// each other.
fn dependencies(drafts: &Drafts, faults: &mut Faults) {
    let names: Vec<&str> = drafts.targets.iter().map(|it| it.value.id.as_str()).collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    for (source, target, called) in &drafts.dependencies {
        faults.source = *source;
        let name = called.value.as_str();
        if called.value == *target {
            let message = format!("target `{target}` names itself under `depends_on`");
            faults.error(called.at, message, "remove it");
        } else if !known.contains(name) {
            let hint = match nearest_unless_full(name, &names, faults) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add a `Target` document for it, or remove it here".to_owned(),
            };
            let message = format!(
                "target `{target}` depends on target `{name}`, which no document describes"
            );
            faults.error(called.at, message, hint);
        }
    }
}

pub(super) fn unique<T>(
    all: &[Placed<T>],
    noun: &str,
    name: impl Fn(&T) -> &str,
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) {
    let mut seen: BTreeMap<&str, (usize, Position)> = BTreeMap::new();
    for placed in all {
        faults.source = placed.source;
        let name = name(&placed.value);
        match seen.get(name) {
            Some(first) => {
                let first = shown(*first, faults, sources);
                let message = format!("{noun} `{name}` is there twice, first in {first}");
                faults.error(placed.name_at, message, "rename or remove one of the two");
            }
            None => {
                seen.insert(name, (placed.source, placed.name_at));
            }
        }
    }
}

/// One fault per pair of policies, however many targets they share. Returns
/// the targets that have a policy.
fn overlaps(
    drafts: &Drafts,
    sources: &[SourceText<'_>],
    faults: &mut Faults,
) -> BTreeSet<TargetId> {
    let mut attended = BTreeSet::new();
    let mut shared: BTreeMap<(usize, usize), (&TargetId, usize)> = BTreeMap::new();
    for Placed { value: target, .. } in &drafts.targets {
        let selecting = drafts.policies.iter().enumerate();
        let mut selecting = selecting.filter(|(_, it)| it.value.selector.selects(target));
        let Some((first, _)) = selecting.next() else { continue };
        attended.insert(target.id.clone());
        for (other, _) in selecting {
            shared.entry((first, other)).or_insert((&target.id, 0)).1 += 1;
        }
    }
    for ((first, other), (target, n_targets)) in shared {
        let (Some(first), Some(other)) = (drafts.policies.get(first), drafts.policies.get(other))
        else {
            continue;
        };
        faults.source = other.source;
        let place = shown((first.source, first.selector_at), faults, sources);
        let (one, two) = (&first.value.id, &other.value.id);
        let more = match n_targets {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        faults.error(
            other.selector_at,
            format!("policies `{one}` ({place}) and `{two}` both select target `{target}`{more}"),
            "a target has one policy: narrow one selector, or merge the signals into one policy",
        );
    }
    attended
}

fn selectors(drafts: &Drafts, faults: &mut Faults) {
    let policies = drafts.policies.iter().map(|it| {
        (it.source, it.selector_at, format!("policy `{}`", it.value.id), &it.value.selector)
    });
    let guardrails = drafts.guardrails.iter().map(|it| {
        (it.source, it.selector_at, format!("guardrail `{}`", it.value.id), &it.value.selector)
    });
    let playbooks = drafts.playbooks.iter().map(|it| {
        (it.source, it.selector_at, format!("playbook `{}`", it.value.id), &it.value.selector)
    });
    let grants =
        drafts.granted.iter().map(|(source, at, it)| (*source, *at, "grant".to_owned(), it));
    let names: Vec<&str> = drafts.targets.iter().map(|it| it.value.id.as_str()).collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    let targets: Vec<&Target> = drafts.targets.iter().map(|it| &it.value).collect();
    for (source, at, about, selector) in policies.chain(guardrails).chain(playbooks).chain(grants) {
        faults.source = source;
        selector_warning(at, &about, selector, &targets, &names, &known, faults);
    }
}

pub(super) fn selector_warning(
    at: Position,
    about: &str,
    selector: &Selector,
    targets: &[&Target],
    names: &[&str],
    known: &BTreeSet<&str>,
    faults: &mut Faults,
) {
    if selector.is_empty() {
        let message = format!("{about} has an empty selector, which selects nothing");
        let hint = "write `everything: true` if that is meant, or add a condition";
        return faults.warning(at, message, hint);
    }
    // A file of policies alone is checked before there are targets.
    if targets.is_empty() {
        return;
    }
    if let Some(missing) = selector.targets.iter().find(|it| !known.contains(it.as_str())) {
        let hint = match nearest_unless_full(missing.as_str(), names, faults) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add a `Target` document for it, or remove it here".to_owned(),
        };
        let message = format!("{about} names target `{missing}`, which no document describes");
        return faults.warning(at, message, hint);
    }
    if !targets.iter().any(|it| selector.selects(it)) {
        let message = format!("{about} selects none of the {} targets", targets.len());
        faults.warning(at, message, "compare it with the labels and regions of the targets");
    }
}

fn unattended(drafts: &Drafts, attended: &BTreeSet<TargetId>, faults: &mut Faults) {
    // A file of targets alone is checked before there are policies.
    if drafts.policies.is_empty() {
        return;
    }
    for placed in drafts.targets.iter().filter(|it| !attended.contains(&it.value.id)) {
        faults.source = placed.source;
        faults.warning(
            placed.name_at,
            format!("target `{}` has no policy, so its capacity is left alone", placed.value.id),
            "select it in a `ScalingPolicy`, or remove it",
        );
    }
}
