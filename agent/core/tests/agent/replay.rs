//! What is in the journal is all there is to know.
//!
//! **In:** arbitrary streams of every input.
//! **Out:** the state after a replay equals the state that was live.
//! **Not here:** storing records (`evenkeel-store`).

use evenkeel_core::record::Record;
use evenkeel_core::state::State;
use proptest::prelude::*;

use crate::stream::{EVERYTHING, Entry, cases, run, streams};

fn records(history: &[Entry]) -> Vec<Record> {
    history
        .iter()
        .filter_map(|it| match it {
            Entry::Recorded(records) => Some(records.clone()),
            Entry::Documents(_) | Entry::Restarted | Entry::Observed(..) => None,
        })
        .flatten()
        .collect()
}

fn from_newest_snapshot(journal: &[Record]) -> &[Record] {
    let newest = journal.iter().rposition(|it| matches!(it, Record::Snapshot { .. }));
    &journal[newest.unwrap_or(0)..]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn replay_equals_the_live_state_at_every_prefix(steps in streams(EVERYTHING, 60)) {
        run(&steps, |rig| assert_eq!(&State::replay(&rig.journal), rig.agent.state()));
    }

    #[test]
    fn replay_from_the_newest_snapshot_equals_the_live_state(steps in streams(EVERYTHING, 60)) {
        run(&steps, |rig| {
            assert_eq!(&State::replay(from_newest_snapshot(&rig.journal)), rig.agent.state());
        });
    }

    #[test]
    fn records_survive_the_journal_s_json(steps in streams(EVERYTHING, 60)) {
        let journal = records(&run(&steps, |_| ()));
        let texts: Vec<String> =
            journal.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
        let read: Vec<Record> = texts.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
        prop_assert_eq!(&read, &journal);
        prop_assert_eq!(State::replay(&read), State::replay(&journal));
    }

    // A piece of old journal that is read again, from a backup or twice, must
    // not bring back an override, nor send anything back into flight.
    #[test]
    fn records_that_come_again_bring_nothing_back(
        steps in streams(EVERYTHING, 60), from in 0usize..100, n in 1usize..40,
    ) {
        let journal = records(&run(&steps, |_| ()));
        let mut state = State::replay(&journal);
        let (overrides, in_flight) = (ids(&state), in_flight(&state));
        let (next_override, next_effect) = (state.next_override(), state.next_effect());
        let latest_at = state.latest_at();
        let again = journal.iter().skip(from % journal.len()).take(n);
        for record in again.filter(|it| it.at() < latest_at) {
            state.apply(record);
        }
        prop_assert!(ids(&state).iter().all(|it| overrides.contains(it)));
        prop_assert!(in_flight.len() >= self::in_flight(&state).len());
        prop_assert_eq!((state.next_override(), state.next_effect()), (next_override, next_effect));
    }
}

fn ids(state: &State) -> Vec<evenkeel_core::ids::OverrideId> {
    state.overrides().map(|it| it.id).collect()
}

fn in_flight(state: &State) -> Vec<evenkeel_core::ids::EffectId> {
    state.in_flight().map(|(_, it)| it.id).collect()
}
