//! Damaged files are told apart, and never replaced.
//!
//! **In:** files that are empty, cut off, of another program, or garbage.
//! **Out:** an error that names the file and what to do; the file as it was.
//! **Not here:** changes that leave a sound file (see [`crate::tampering`]).

use std::fs;
use std::path::Path;

use evenkeel_store::{Reader, Store, StoreError, verify};
use expect_test::{Expect, expect};
use rusqlite::Connection;

use crate::support::*;

/// A closed journal of about 1 MiB, damaged by `damage`: what opening it to write says.
#[track_caller]
fn check(damage: impl FnOnce(&Path), expected: &Expect) {
    let dir = scratch();
    let path = journal_in(&dir);
    let mut store = open(&path);
    for round in 0..100 {
        append_ten(&mut store, round);
    }
    store.checkpoint(at(200)).unwrap();
    drop(store);
    damage(&path);
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path, ORIGIN, key(), at(300)).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), before, "the file stays as evidence");
    expected.assert_eq(&told(&error, dir.path()));
}

fn overwrite(path: &Path, at: usize, with: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_empty_file_is_a_fault() {
    check(
        |path| fs::write(path, "").unwrap(),
        &expect![[r#"
        journal `DIR/journal.db` is empty (0 bytes)
        hint: keep the file and its -wal for analysis, run `evenkeel audit verify` on a copy, then restore the newest copy that verifies"#]],
    );
}

#[test]
fn an_empty_file_with_a_log_is_a_fault() {
    check(
        |path| {
            fs::write(path, "").unwrap();
            fs::write(path.with_file_name("journal.db-wal"), [7; 5_000]).unwrap();
        },
        &expect![[r#"
            journal `DIR/journal.db` is empty (0 bytes), but its write-ahead log is not
            hint: keep the file and its -wal for analysis, run `evenkeel audit verify` on a copy, then restore the newest copy that verifies"#]],
    );
}

#[test]
fn garbage_in_the_header_is_a_fault() {
    check(
        |path| overwrite(path, 0, &[0xa5; 100]),
        &expect![[r#"
            `DIR/journal.db` is not an Evenkeel journal
            hint: check the path in the configuration; if it is the right file, its header is damaged: restore the newest copy that `evenkeel audit verify` accepts"#]],
    );
}

#[test]
fn text_is_no_journal() {
    check(
        |path| fs::write(path, "hello\n".repeat(2_000)).unwrap(),
        &expect![[r#"
            `DIR/journal.db` is not an Evenkeel journal
            hint: check the path in the configuration; if it is the right file, its header is damaged: restore the newest copy that `evenkeel audit verify` accepts"#]],
    );
}

#[test]
fn the_database_of_another_program_is_no_journal() {
    check(
        |path| {
            fs::remove_file(path).unwrap();
            Connection::open(path).unwrap().execute_batch("CREATE TABLE records (seq)").unwrap();
        },
        &expect![[r#"
            `DIR/journal.db` is not an Evenkeel journal
            hint: check the path in the configuration; if it is the right file, its header is damaged: restore the newest copy that `evenkeel audit verify` accepts"#]],
    );
}

#[test]
fn a_later_format_is_told() {
    check(
        |path| Connection::open(path).unwrap().pragma_update(None, "user_version", 2).unwrap(),
        &expect![[r#"
            journal `DIR/journal.db` has format 2, this program reads format 1
            hint: use the version of Evenkeel that wrote it, or a newer one"#]],
    );
}

#[test]
fn a_cut_off_file_is_a_fault() {
    check(
        |path| fs::File::options().write(true).open(path).unwrap().set_len(600_000).unwrap(),
        &expect![[r#"
            journal `DIR/journal.db` is damaged: cannot read
              cause: database disk image is malformed
              cause: Error code 11: database disk image is malformed
            hint: keep the file and its -wal for analysis, run `evenkeel audit verify` on a copy, then restore the newest copy that verifies"#]],
    );
}

#[test]
fn garbage_in_the_newest_records_is_a_fault() {
    check(
        |path| {
            let length = fs::read(path).unwrap().len();
            overwrite(path, length - 4096, &[0xa5; 4096]);
        },
        &expect![[r#"
            journal `DIR/journal.db` is damaged: cannot read
              cause: database disk image is malformed
              cause: Error code 11: database disk image is malformed
            hint: keep the file and its -wal for analysis, run `evenkeel audit verify` on a copy, then restore the newest copy that verifies"#]],
    );
}

// Opening reads only what the state is rebuilt from; the whole file is for `verify`.
#[test]
fn garbage_in_old_records_is_found_by_verify() {
    let dir = scratch();
    let path = journal_in(&dir);
    let mut store = open(&path);
    for round in 0..100 {
        append_ten(&mut store, round);
    }
    store.checkpoint(at(200)).unwrap();
    drop(store);
    let length = fs::read(&path).unwrap().len();
    overwrite(&path, length / 2 / 4096 * 4096, &[0xa5; 4096]);
    let found = verify(&path, Some(&public())).unwrap();
    assert!(!found.intact && !found.faults.is_empty());
}

#[test]
fn readers_refuse_the_same_files() {
    let dir = scratch();
    let path = journal_in(&dir);
    let refused = |expected: &str| {
        for error in [Reader::open(&path).unwrap_err(), verify(&path, None).unwrap_err()] {
            let error = told(&error, dir.path());
            assert!(error.starts_with(expected), "{error}");
        }
    };
    refused("cannot open journal `DIR/journal.db`\n  cause: No such file");
    fs::write(&path, "").unwrap();
    refused("journal `DIR/journal.db` is empty (0 bytes)");
    fs::write(&path, "hello\n".repeat(2_000)).unwrap();
    refused("`DIR/journal.db` is not an Evenkeel journal");
    assert_eq!(files(dir.path()).len(), 1, "nothing was made");
}

#[test]
fn every_error_that_a_person_can_act_on_has_a_hint() {
    let error = StoreError::Empty { path: "journal.db".into(), has_wal: false };
    assert!(error.hint().is_some_and(|hint| hint.contains("evenkeel audit verify")));
}
