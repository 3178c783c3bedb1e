//! What must hold after a story, read from its files alone.
//!
//! **In:** the journal, the platform's file, and what people were told.
//! **Out:** the first thing that is not as it should be.
//! **Not here:** where anything died ([`crate::parent`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use evenkeel_core::ids::EffectId;
use evenkeel_core::incident::Severity;
use evenkeel_core::notice::Topic;
use evenkeel_core::record::Record;
use evenkeel_core::state::State;
use evenkeel_store::{Reader, verify};

use crate::parent::{Played, intent_in};
use crate::platform::deeds;
use crate::stories::Story;
use crate::worker::{journal_in, key, phase, records, sha256_of};

/// Judges a story.
pub(crate) fn judge(folder: &Path, story: Story, played: &Played) -> Result<(), String> {
    let path = journal_in(folder);
    let reader = Reader::open(&path).map_err(|error| error.to_string())?;
    let public = key().verifying_key(reader.origin());
    let records = records(&reader);
    drop(reader);
    // First what happened, then what is remembered: the first fault is the one that is told.
    every_effect_has_one_intent_and_happened_once(folder, story, &records)?;
    let found = verify(&path, Some(&public)).map_err(|error| error.to_string())?;
    if !found.intact {
        return Err(format!("the chain is broken: {:?}", found.faults));
    }
    // Snapshots must not be needed, nor say anything else.
    let state = State::replay(records.iter().filter(|it| it.kind() != Record::SNAPSHOT));
    for told in &played.overrides {
        let found = state.find_override(told.id);
        if found != Some(told) {
            return Err(format!("{told:?} was acknowledged, the journal has {found:?}"));
        }
    }
    if played.overrides.is_empty() {
        return Err("no override was set".to_owned());
    }
    let rebuilt = sha256_of(&state);
    if rebuilt != played.state_sha256 {
        return Err(format!("rebuilt the state is {rebuilt}, it was {}", played.state_sha256));
    }
    let runs: Vec<&str> = state.healing().runs().map(phase).collect();
    if runs != [story.ending()] || played.ending != story.ending() {
        let told = records.iter().filter(|it| it.kind() != Record::SNAPSHOT);
        let all: Vec<String> = told.map(|it| format!("{it:?}")).collect();
        let all = all.join("\n");
        return Err(format!("runs ended as {runs:?}, not as {}:\n{all}", story.ending()));
    }
    if state.in_flight().next().is_some() {
        return Err("something is still in flight".to_owned());
    }
    people_were_paged_if_it_is_stuck(story, &records)
}

fn every_effect_has_one_intent_and_happened_once(
    folder: &Path,
    story: Story,
    records: &[Record],
) -> Result<(), String> {
    let mut intents = BTreeSet::new();
    for record in records {
        let Some((effect, _)) = intent_in(record) else { continue };
        if intents.last().is_some_and(|it| effect <= *it) {
            return Err(format!("{effect} was given out again"));
        }
        intents.insert(effect);
    }
    let mut times: BTreeMap<(u64, u16, bool), u32> = BTreeMap::new();
    let mut happened: BTreeSet<EffectId> = BTreeSet::new();
    for deed in deeds(folder) {
        if !intents.contains(&deed.effect) {
            return Err(format!("{} happened without an intent", deed.effect));
        }
        if deed.has_only_begun {
            continue;
        }
        *times.entry((deed.run.0, deed.step, deed.is_undo)).or_default() += 1;
        if !happened.insert(deed.effect) {
            return Err(format!("{} happened 2 times", deed.effect));
        }
    }
    let mut expected = BTreeMap::new();
    for step in 0..=story.step() {
        if !story.begins_first {
            expected.insert((1, step, false), 1);
        }
        if story.is_undone {
            expected.insert((1, step, true), 1);
        }
    }
    for (step, n) in &times {
        if 1 < *n {
            return Err(format!("(run, step, undo) {step:?} happened {n} times"));
        }
    }
    if times != expected {
        return Err(format!("(run, step, undo) happened {times:?}, not {expected:?}"));
    }
    Ok(())
}

fn people_were_paged_if_it_is_stuck(story: Story, records: &[Record]) -> Result<(), String> {
    let was_paged = records.iter().any(|it| {
        matches!(it, Record::NoticeRaised { notice, .. }
            if notice.topic == Topic::RunStuck && notice.severity == Severity::Page)
    });
    if was_paged == story.begins_first {
        return Ok(());
    }
    Err(format!("people were paged that it is stuck: {was_paged}"))
}
