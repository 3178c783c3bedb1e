//! Readers see what was appended, and leave no trace on a copy.
//!
//! **In:** live journals, copies, read-only directories, filters.
//! **Out:** records in the order asked for.
//! **Not here:** whether the records are unchanged (see [`crate::tampering`]).

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;

use evenkeel_store::{Filter, QUERY_RECORDS_MAX, Reader, SNAPSHOT_KIND, StoreError, verify};
use jiff::SignedDuration;

use crate::support::*;

#[track_caller]
fn check(filter: &Filter, expected: &[u64]) {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    append_ten(&mut store, 60);
    let reader = store.reader().unwrap();
    let found: Vec<u64> =
        reader.query(filter).unwrap().into_iter().map(|record| record.seq).collect();
    assert_eq!(found, expected);

    // The same from the plain meaning of the conditions.
    let mut plain = Vec::new();
    reader
        .scan(0, &mut |r| {
            let Filter { target_id, kind, from, to, after_seq, before_seq, .. } = filter;
            if (target_id.is_none() || *target_id == r.target_id)
                && kind.as_ref().is_none_or(|kind| *kind == r.kind)
                && from.is_none_or(|from| from <= r.at)
                && to.is_none_or(|to| r.at < to)
                && after_seq.is_none_or(|seq| seq < r.seq)
                && before_seq.is_none_or(|seq| r.seq < seq)
            {
                plain.push(r.seq);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    if filter.newest_first {
        plain.reverse();
    }
    plain.truncate(filter.limit);
    assert_eq!(plain, expected);
}

#[test]
fn filters_select_by_target_kind_time_and_position() {
    let all = Filter::default;
    let some = |text: &str| Some(text.to_owned());
    check(&Filter { target_id: some("checkout-api"), limit: 3, ..all() }, &[2, 5, 6]);
    check(
        &Filter { target_id: some("checkout-api"), limit: 3, newest_first: true, ..all() },
        &[20, 18, 16],
    );
    check(&Filter { target_id: some(""), ..all() }, &[3, 13]);
    check(
        &Filter { kind: some("effect"), target_id: some("checkout-api"), ..all() },
        &[5, 8, 15, 18],
    );
    check(&Filter { kind: some(SNAPSHOT_KIND), newest_first: true, limit: 1, ..all() }, &[14]);
    check(&Filter { from: Some(at(1)), to: Some(at(3)), ..all() }, &[2, 3, 4]);
    check(
        &Filter { from: Some(at(1) + SignedDuration::from_nanos(1)), to: Some(at(3)), ..all() },
        &[4],
    );
    check(
        &Filter { from: Some(at(1)), to: Some(at(3) + SignedDuration::from_nanos(1)), ..all() },
        &[2, 3, 4, 5],
    );
    check(&Filter { after_seq: Some(17), ..all() }, &[18, 19, 20]);
    check(&Filter { before_seq: Some(17), newest_first: true, limit: 2, ..all() }, &[16, 15]);
    check(&Filter { kind: some("nothing"), ..all() }, &[]);
    check(&Filter { limit: 0, ..all() }, &[]);
    check(&Filter { after_seq: Some(u64::MAX), ..all() }, &[]);
}

#[test]
fn a_range_that_is_empty_is_an_error() {
    let dir = scratch();
    let store = open(&journal_in(&dir));
    let filter = Filter { from: Some(at(3)), to: Some(at(3)), ..Filter::default() };
    let error = store.reader().unwrap().query(&filter).unwrap_err();
    assert!(matches!(error, StoreError::EmptyRange { .. }), "{error}");
}

#[test]
fn an_answer_is_bounded_in_records_and_bytes() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    store.append(&vec![entry(0, "a", None, b""); 10_000]).unwrap();
    store.append(&[entry(0, "a", None, b"")]).unwrap();
    let reader = store.reader().unwrap();
    let all = reader.query(&Filter { limit: usize::MAX, ..Filter::default() }).unwrap();
    assert_eq!(all.len(), QUERY_RECORDS_MAX);
    let rest = reader
        .query(&Filter { after_seq: all.last().map(|r| r.seq), ..Filter::default() })
        .unwrap();
    assert_eq!(rest.len(), 1);

    let body = vec![0; 16 * 1024 * 1024];
    for _ in 0..6 {
        store.append(&[entry(0, "large", None, &body)]).unwrap();
    }
    let large = reader.query(&Filter { kind: Some("large".into()), ..Filter::default() }).unwrap();
    assert_eq!(large.len(), 5, "64 MiB are exceeded after five");
}

#[test]
fn a_live_reader_sees_each_append_that_returned() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    let reader = store.reader().unwrap();
    assert_eq!(
        (reader.first_seq().unwrap(), reader.last_seq().unwrap(), reader.count().unwrap()),
        (None, None, 0)
    );
    assert!(reader.latest_of_kind(SNAPSHOT_KIND).unwrap().is_none());
    for round in 1..=3 {
        append_ten(&mut store, round);
        assert_eq!(reader.last_seq().unwrap(), Some(store.last_seq()));
        let snapshot = reader.latest_of_kind(SNAPSHOT_KIND).unwrap().unwrap();
        assert_eq!(snapshot.seq, store.last_seq() - 6);
    }
    assert_eq!((reader.first_seq().unwrap(), reader.count().unwrap()), (Some(1), 30));
    assert_eq!(reader.origin(), ORIGIN);
}

#[test]
fn a_scan_stops_when_told() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    let mut seen = Vec::new();
    let mut visit = |record: evenkeel_store::StoredRecord| {
        seen.push(record.seq);
        if record.seq < 7 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.reader().unwrap().scan(5, &mut visit).unwrap();
    assert_eq!(seen, [5, 6, 7]);
}

#[test]
fn a_copy_in_a_read_only_directory_is_read_without_a_trace() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    drop(store);
    // A name that would mean something else in a URI.
    let name = "copy %41?mode=memory#1.db";
    let copy = lay_out(&[(name.into(), fs::read(journal_in(&dir)).unwrap())]);
    let path = copy.path().join(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let before = files(copy.path());
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.last_seq().unwrap(), Some(10));
    assert!(verify(&path, Some(&public())).unwrap().intact);
    assert_eq!(files(copy.path()), before, "also when the user may write anywhere");
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_copy_with_a_log_is_read_through_it() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    for without in ["journal.db-shm", "nothing"] {
        let mut content = files(dir.path());
        content.retain(|(name, _)| !name.ends_with(without));
        let copy = lay_out(&content);
        assert_eq!(Reader::open(&journal_in(&copy)).unwrap().last_seq().unwrap(), Some(10));
        assert_eq!(verify(&journal_in(&copy), None).unwrap().last_seq, Some(10));
        let after = files(copy.path());
        for kept in content.iter().filter(|(name, _)| !name.ends_with("journal.db-shm")) {
            assert!(after.contains(kept), "{:?} is as it was", kept.0);
        }
    }
}

#[test]
fn verifying_a_live_journal_does_not_disturb_its_writer() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    for round in 0..5 {
        append_ten(&mut store, round);
        store.checkpoint(at(round)).unwrap();
        let found = verify(&journal_in(&dir), Some(&public())).unwrap();
        assert_eq!(
            (found.intact, found.last_seq),
            (true, Some(store.last_seq())),
            "{:?}",
            found.faults
        );
    }
}
