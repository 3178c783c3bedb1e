//! Retention removes a prefix, and what remains still proves itself.
//!
//! **In:** journals with and without snapshots.
//! **Out:** removals that are signed for, and refusals of those that would lose state.
//! **Not here:** tampering with what remains (see [`crate::tampering`], whose journal is pruned).

use evenkeel_store::{Pruned, SNAPSHOT_KIND, StoreError, verify};
use proptest::prelude::*;

use crate::support::*;

#[test]
fn what_remains_verifies_and_goes_on() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    append_ten(&mut store, 60);
    let pruned = store.prune(14, at(90)).unwrap();
    assert_eq!((pruned.removed, pruned.first_seq, store.first_seq()), (13, 14, 14));
    append_ten(&mut store, 120);
    store.checkpoint(at(150)).unwrap();
    let found = verify(&journal_in(&dir), Some(&public())).unwrap();
    assert_eq!(
        (found.intact, found.records, found.pruned_before),
        (true, 17, Some(14)),
        "{:?}",
        found.faults
    );
    drop(store);
    let store = open(&journal_in(&dir));
    assert_eq!((store.first_seq(), store.last_seq()), (14, 30));
}

#[test]
fn pruning_beyond_the_newest_snapshot_is_refused() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    store.append(&[entry(0, "a", None, b""), entry(1, "b", None, b"")]).unwrap();
    let error = store.prune(2, at(2)).unwrap_err();
    expect_test::expect![[r#"
        cannot remove records before 2: there is no snapshot, so every record is needed to rebuild the state
        hint: append a snapshot first, then prune at most up to it"#]].assert_eq(&told(&error, dir.path()));

    append_ten(&mut store, 0);
    let error = store.prune(7, at(2)).unwrap_err();
    expect_test::expect![[r#"
        cannot remove records before 7: the newest snapshot is record 6, and the state is rebuilt from there
        hint: append a snapshot first, then prune at most up to it"#]].assert_eq(&told(&error, dir.path()));
    assert!(store.prune(u64::MAX, at(2)).is_err());
    assert_eq!(store.reader().unwrap().count().unwrap(), 12);
    assert_eq!(store.prune(6, at(2)).unwrap().removed, 5);
}

#[test]
fn pruning_what_is_gone_does_nothing() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    store.prune(4, at(20)).unwrap();
    for keep in [0, 1, 4] {
        let Pruned { removed, first_seq, .. } = store.prune(keep, at(21)).unwrap();
        assert_eq!((removed, first_seq), (0, 4));
    }
    drop(store);
    assert!(verify(&journal_in(&dir), None).unwrap().intact);
}

#[test]
fn the_file_shrinks() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    let body = vec![b'x'; 300];
    for minute in 0..10 {
        store.append(&vec![entry(minute, "effect", Some("checkout-api"), &body); 2_000]).unwrap();
    }
    let keep = store.append(&[entry(10, SNAPSHOT_KIND, None, b"all")]).unwrap();
    let Pruned { removed, file_bytes: (before, after), .. } = store.prune(keep, at(11)).unwrap();
    assert_eq!(removed, 20_000);
    assert!(6_000_000 < before && after < 100_000, "{before} -> {after} bytes");
}

#[test]
fn a_changed_record_is_not_pruned_out_of_sight() {
    for (sql, what) in [
        (
            "UPDATE records SET body = x'00' WHERE seq = 2",
            "record 2: the record or its link was changed",
        ),
        ("DELETE FROM records WHERE seq = 2", "record 3: record 2 is missing before it"),
        (
            "UPDATE records SET link = zeroblob(32) WHERE seq = 1",
            "record 1: the record or its link was changed",
        ),
    ] {
        let dir = scratch();
        let path = journal_in(&dir);
        let mut store = open(&path);
        append_ten(&mut store, 0);
        store.checkpoint(at(20)).unwrap();
        drop(store);
        tamper(&path, |conn| conn.execute(sql, [])).unwrap();
        // Before the newest snapshot, so opening does not look there.
        let mut store = open(&path);
        let error = store.prune(4, at(21)).unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
        assert_eq!(store.first_seq(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_work_leaves_a_journal_that_verifies(
        steps in proptest::collection::vec((0u8..5, 0u64..60), 1..30),
    ) {
        let dir = scratch();
        let path = journal_in(&dir);
        let mut store = open(&path);
        for (minute, (step, number)) in steps.into_iter().enumerate() {
            let minute = i64::try_from(minute).expect("few");
            match step {
                0 => drop(append_ten(&mut store, minute)),
                1 => drop(store.append(&[entry(minute, "effect", None, b"1")]).expect("appended")),
                2 => drop(store.checkpoint(at(minute)).expect("signed")),
                3 => {
                    let before = store.first_seq();
                    match store.prune(number, at(minute)) {
                        Ok(pruned) => prop_assert_eq!(pruned.first_seq, before.max(number)),
                        Err(error) => prop_assert!(matches!(error, StoreError::WouldLoseState { .. }), "{}", error),
                    }
                }
                _ => {
                    let last = store.last_seq();
                    drop(store);
                    store = open(&path);
                    prop_assert_eq!(store.last_seq(), last);
                }
            }
        }
        let found = verify(&path, Some(&public())).expect("readable");
        prop_assert!(found.intact, "{:?}", found.faults);
        prop_assert_eq!(found.last_seq.unwrap_or(0), store.last_seq());
        drop(store);
        let found = verify(&path, Some(&public())).expect("readable");
        prop_assert!(found.intact, "{:?}", found.faults);
    }
}
