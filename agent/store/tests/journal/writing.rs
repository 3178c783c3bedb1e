//! What an append promises, and what it refuses.
//!
//! **In:** entries at and beyond every bound, and failures behind the store's back.
//! **Out:** all of a batch or none, and a writer that knows what is on disk.
//! **Not here:** a full disk (see [`crate::full`]) and crashes (see [`crate::crash`]).

use std::fs;

use evenkeel_store::{
    BODY_BYTES_MAX, ENTRIES_PER_APPEND_MAX, Entry, KIND_BYTES_MAX, Reader, StoreError,
    TARGET_ID_BYTES_MAX, verify,
};
use rusqlite::Connection;

use crate::support::*;

#[test]
fn records_read_back_as_they_were_appended() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    let body = [0, 255, 10];
    let seq = store
        .append(&[
            entry(0, "a", None, b""),
            entry(1, "b", Some("t"), &body),
            entry(2, "c", Some(""), b"x"),
        ])
        .unwrap();
    assert_eq!((seq, store.last_seq()), (3, 3));
    let records = store.reader().unwrap().query(&Default::default()).unwrap();
    let seen: Vec<_> = records
        .iter()
        .map(|r| (r.seq, r.at, r.kind.as_str(), r.target_id.as_deref(), r.body.as_slice()))
        .collect();
    assert_eq!(
        seen,
        [
            (1, at(0), "a", None, b"".as_slice()),
            (2, at(1), "b", Some("t"), &body),
            (3, at(2), "c", Some(""), b"x")
        ]
    );
}

#[test]
fn an_empty_batch_changes_nothing() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    assert_eq!(store.append(&[]).unwrap(), 0);
    store.append(&[entry(0, "a", None, b"")]).unwrap();
    assert_eq!(store.append(&[]).unwrap(), 1);
}

#[track_caller]
fn check_refused(entries: &[Entry<'_>], expected: &str) {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    store.append(&[entry(0, "a", None, b"")]).unwrap();
    let error = store.append(entries).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!((store.last_seq(), store.is_poisoned()), (1, false));
    assert_eq!(store.append(&[entry(1, "a", None, b"")]).unwrap(), 2, "usable afterwards");
}

#[test]
fn each_bound_is_checked_and_both_numbers_are_told() {
    let good = entry(0, "a", None, b"");
    let kind = "k".repeat(KIND_BYTES_MAX + 1);
    let target = "t".repeat(TARGET_ID_BYTES_MAX + 1);
    let body = vec![0; BODY_BYTES_MAX + 1];
    check_refused(
        &[good, entry(0, &kind, None, b"")],
        "kind of entry 1 has 65 bytes, at most 64 are allowed",
    );
    check_refused(
        &[good, entry(0, "a", Some(&target), b"")],
        "target id of entry 1 has 513 bytes, at most 512 are allowed",
    );
    check_refused(
        &[good, entry(0, "a", None, &body)],
        "body of entry 1 has 16777217 bytes, at most 16777216 are allowed",
    );
    check_refused(&[good, entry(0, "", None, b"")], "entry 1 has an empty kind");
    check_refused(
        &vec![good; ENTRIES_PER_APPEND_MAX + 1],
        "10001 entries in one append, at most 10000 are allowed",
    );
}

#[test]
fn the_largest_of_everything_fits() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    let kind = "k".repeat(KIND_BYTES_MAX);
    let target = "t".repeat(TARGET_ID_BYTES_MAX);
    let body = vec![7; BODY_BYTES_MAX];
    store.append(&[entry(0, &kind, Some(&target), &body)]).unwrap();
    store.append(&vec![entry(1, "a", None, b"x"); ENTRIES_PER_APPEND_MAX]).unwrap();
    store.checkpoint(at(2)).unwrap();
    drop(store);
    assert!(verify(&journal_in(&dir), None).unwrap().intact);
    assert_eq!(open(&journal_in(&dir)).last_seq(), 10_001);
}

#[test]
fn a_checkpoint_is_signed_once_per_size_and_exported_write_once() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    let first = store.checkpoint(at(20)).unwrap();
    assert_eq!(store.checkpoint(at(30)).unwrap(), first, "nothing was appended since");
    let path = store.path().with_file_name("journal.db.checkpoints/10.note");
    let note = fs::read_to_string(&path).unwrap();
    assert_eq!(evenkeel_store::Checkpoint::open(&note, &public()), Ok(first));
    assert!(fs::metadata(&path).unwrap().permissions().readonly());

    fs::remove_file(&path).unwrap();
    store.checkpoint(at(40)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), note, "exported again as it was");
}

#[test]
fn another_note_of_the_same_name_is_never_replaced() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    let path = store.path().with_file_name("journal.db.checkpoints/10.note");
    fs::write(&path, "another history\n").unwrap();
    let error = store.checkpoint(at(20)).unwrap_err();
    assert!(matches!(error, StoreError::NoteDiffers { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "another history\n");
    append_ten(&mut store, 30);
    store.checkpoint(at(50)).unwrap();
    drop(store);
    assert!(!verify(&journal_in(&dir), None).unwrap().intact);
}

// A shell that writes behind the writer's back makes its next record collide.
#[test]
fn a_record_from_elsewhere_ends_the_writer() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    Connection::open(journal_in(&dir))
        .unwrap()
        .execute(
            "INSERT INTO records SELECT 11, at_us, kind, target_id, link, body FROM records WHERE seq = 10",
            [],
        )
        .unwrap();
    assert!(store.append(&[entry(1, "a", None, b"")]).is_err());
    assert!(store.is_poisoned());
    check_poisoned(&mut store);
    drop(store);
    let found = verify(&journal_in(&dir), None).unwrap();
    assert_eq!(found.faults.iter().map(|fault| fault.seq).collect::<Vec<_>>(), [Some(11)]);
}

// Any failure that is not known to come before the commit leaves the disk in doubt.
#[test]
fn an_unexplained_failure_ends_the_writer_and_keeps_what_was_acknowledged() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    let shell = Connection::open(journal_in(&dir)).unwrap();
    shell.execute_batch("ALTER TABLE records RENAME TO elsewhere").unwrap();
    assert!(store.append(&[entry(1, "a", None, b"")]).is_err());
    check_poisoned(&mut store);
    shell.execute_batch("ALTER TABLE elsewhere RENAME TO records").unwrap();
    check_poisoned(&mut store);
    assert_eq!(Reader::open(&journal_in(&dir)).unwrap().last_seq().unwrap(), Some(10));
}

#[track_caller]
fn check_poisoned(store: &mut evenkeel_store::Store) {
    let told = |error: StoreError| {
        assert!(matches!(error, StoreError::Poisoned { last_seq: 10, .. }), "{error}");
    };
    told(store.append(&[entry(1, "a", None, b"")]).unwrap_err());
    told(store.checkpoint(at(2)).unwrap_err());
    told(store.prune(4, at(2)).unwrap_err());
}

#[test]
fn a_lock_held_by_a_shell_is_told_and_passes() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    let shell = Connection::open(journal_in(&dir)).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append(&[entry(1, "a", None, b"")]).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    shell.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.append(&[entry(1, "a", None, b"")]).unwrap(), 11);
}

#[test]
fn writer_and_reader_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<evenkeel_store::Store>();
    is_send::<Reader>();
    is_send::<StoreError>();
}
