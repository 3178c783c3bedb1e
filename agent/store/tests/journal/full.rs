//! A full disk: refused clearly, nothing lost, and work goes on when there is space.
//!
//! **In:** a size limit, which SQLite reports exactly as it does a full disk.
//! **Out:** [`StoreError::Full`], and a writer that agrees with the file.
//! **Not here:** other failures of a write (see [`crate::writing`]).

use evenkeel_store::{SNAPSHOT_KIND, Store, StoreError, verify};

use crate::support::*;

/// Appends until there is no space; returns the last acknowledged record.
fn fill(store: &mut Store) -> (u64, StoreError) {
    let body = vec![b'x'; 3_000];
    for minute in 0..10_000 {
        if let Err(error) = store.append(&[entry(minute, "effect", Some("t"), &body); 2]) {
            return (store.last_seq(), error);
        }
    }
    panic!("the limit was never reached");
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let dir = scratch();
    let mut store = open_limited(&journal_in(&dir), 400_000).unwrap();
    let (last, error) = fill(&mut store);
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    expect_test::expect![[r#"
        no space to write journal `DIR/journal.db` (its limit is 400000 bytes)
          cause: database or disk is full
          cause: Error code 13: database or disk is full
        hint: free space or raise the limit; records are then accepted at once, and none that was acknowledged is lost"#]]
    .assert_eq(&told(&error, dir.path()));
    assert!(10 < last && last % 2 == 0, "{last}");
    assert!(!store.is_poisoned());
    assert_eq!(
        store.reader().unwrap().last_seq().unwrap(),
        Some(last),
        "no half of the refused batch"
    );

    // Still full, still consistent.
    assert_eq!(fill(&mut store).0, last);
    drop(store);
    let found = verify(&journal_in(&dir), Some(&public())).unwrap();
    assert_eq!((found.intact, found.last_seq), (true, Some(last)));
}

#[test]
fn records_are_accepted_again_once_there_is_space() {
    let dir = scratch();
    let mut store = open_limited(&journal_in(&dir), 400_000).unwrap();
    store.append(&[entry(0, "a", None, b"")]).unwrap();
    let (last, _) = fill(&mut store);
    drop(store);

    let mut store = open_limited(&journal_in(&dir), 800_000).unwrap();
    assert_eq!(store.append(&[entry(1, SNAPSHOT_KIND, None, b"all")]).unwrap(), last + 1);
    let (second, _) = fill(&mut store);
    assert!(last + 10 < second);

    // Retention makes space in the same writer.
    store.prune(last + 1, at(60)).unwrap();
    let (third, _) = fill(&mut store);
    assert!(second + 10 < third, "{second} {third}");
    drop(store);
    let found = verify(&journal_in(&dir), Some(&public())).unwrap();
    assert_eq!(
        (found.intact, found.first_seq, found.last_seq),
        (true, Some(last + 1), Some(third))
    );
}
