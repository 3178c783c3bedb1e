//! Who may open a journal, and which journal it is.
//!
//! **In:** second writers, other keys and origins, older copies, key files.
//! **Out:** one writer on its own journal, or a clear refusal.
//! **Not here:** damaged files (see [`crate::faults`]).

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use evenkeel_store::{KeyError, SigningKey, Store, StoreError, VerifyingKey};
use expect_test::{Expect, expect};

use crate::support::*;

#[track_caller]
fn check_refused(path: &std::path::Path, origin: &str, key: SigningKey, expected: &Expect) {
    let error = Store::open(path, origin, key, at(300)).unwrap_err();
    let pid = std::process::id().to_string();
    expected.assert_eq(&told(&error, path.parent().unwrap()).replace(&pid, "PID"));
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_it() {
    let dir = scratch();
    let path = journal_in(&dir);
    let store = open(&path);
    let refusal = expect![[r#"
        journal `DIR/journal.db` is in use by process PID
        hint: stop process PID first, or give this daemon its own journal"#]];
    check_refused(&path, ORIGIN, key(), &refusal);
    let link = dir.path().join("link.db");
    symlink(&path, &link).unwrap();
    check_refused(&link, ORIGIN, key(), &refusal);
    drop(store);
    open(&path);
}

#[test]
fn another_origin_or_key_is_refused() {
    let dir = scratch();
    let path = journal_in(&dir);
    append_ten(&mut open(&path), 0);
    check_refused(
        &path,
        "example.com/evenkeel/eu-2",
        key(),
        &expect![[r#"
            journal `DIR/journal.db` is of origin `example.com/evenkeel/eu-1`, not `example.com/evenkeel/eu-2`
            hint: check the region and the journal path in the configuration"#]],
    );
    check_refused(
        &path,
        ORIGIN,
        SigningKey::from_seed([8; 32]),
        &expect![[r#"
        journal `DIR/journal.db` is signed by key fe812c12f3ab4ce6ac5db69ac352f906cb1b11ef43fb33e252ef7ff552263889, not by the given key 5c29b78f10a35a49a6231d08ee840a04bcc3a37a4f9d46df327dec56b8a9b7c9
        hint: restore the key that started the journal, or move the journal away to start a new one"#]],
    );
    assert_eq!(open(&path).last_seq(), 10);
}

#[test]
fn an_origin_must_be_a_key_name() {
    let dir = scratch();
    for origin in ["", "a b", "a+b", "a\nb", &"x".repeat(256)] {
        let error = Store::open(&journal_in(&dir), origin, key(), at(0)).unwrap_err();
        assert!(matches!(error, StoreError::Origin { .. }), "{error}");
    }
    assert_eq!(files(dir.path()), []);
}

#[test]
fn an_older_copy_is_refused_while_newer_notes_exist() {
    let dir = scratch();
    let path = journal_in(&dir);
    append_ten(&mut open(&path), 0);
    let older = fs::read(&path).unwrap();
    let mut store = open(&path);
    append_ten(&mut store, 60);
    store.checkpoint(at(70)).unwrap();
    drop(store);
    fs::write(&path, older).unwrap();
    check_refused(
        &path,
        ORIGIN,
        key(),
        &expect![[r#"
        journal `DIR/journal.db` ends at record 10, but checkpoint `DIR/journal.db.checkpoints/20.note` covers 20: an older copy was restored, or the end was cut off
        hint: restore the newest copy; to go on with the older one knowingly, move the newer note files away"#]],
    );
    fs::remove_file(dir.path().join("journal.db.checkpoints/20.note")).unwrap();
    assert_eq!(open(&path).last_seq(), 10, "knowingly");
}

#[test]
fn a_missing_journal_is_not_started_anew_while_its_notes_exist() {
    let dir = scratch();
    let path = journal_in(&dir);
    append_ten(&mut open(&path), 0);
    fs::remove_file(&path).unwrap();
    check_refused(
        &path,
        ORIGIN,
        key(),
        &expect![[r#"
        journal `DIR/journal.db` is missing, but `DIR/journal.db.checkpoints/0.note` exists
        hint: restore the journal from a copy, or move what remains away to start a new journal"#]],
    );
}

#[test]
fn a_new_journal_is_for_its_owner_only() {
    let dir = scratch();
    let _store = open(&journal_in(&dir));
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(format!("{name} {mode:o}"), format!("{name} 600"));
    }
}

#[test]
fn a_directory_that_does_not_exist_is_told() {
    let dir = scratch();
    let error = Store::open(&dir.path().join("none/journal.db"), ORIGIN, key(), at(0)).unwrap_err();
    assert!(error.to_string().starts_with("cannot find directory"), "{error}");
}

#[test]
fn a_key_is_made_once_and_kept() {
    let dir = scratch();
    let path = dir.path().join("key");
    let made = SigningKey::load_or_create(&path).unwrap().verifying_key(ORIGIN);
    assert_eq!(SigningKey::load_or_create(&path).unwrap().verifying_key(ORIGIN), made);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(files(dir.path()).len(), 1, "no draft is left");
    assert_ne!(
        SigningKey::load_or_create(&dir.path().join("other")).unwrap().verifying_key(ORIGIN),
        made
    );
}

#[test]
fn a_key_that_others_may_touch_is_refused() {
    let dir = scratch();
    let path = dir.path().join("key");
    SigningKey::load_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o660, 0o666, 0o644, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = SigningKey::load_or_create(&path).unwrap_err();
        assert!(
            matches!(error, KeyError::Permissions { mode: found, .. } if found == mode),
            "{error}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    SigningKey::load_or_create(&path).unwrap();
}

#[test]
fn what_is_not_a_key_is_never_replaced() {
    let dir = scratch();
    let path = dir.path().join("key");
    let good = "evenkeel-signing-key-v1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    for content in ["", "x", "\u{fffd}", &good[1..], &good[..60], &good.repeat(9)] {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = SigningKey::load_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyError::NotAKey { .. }), "{content:?}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    fs::write(&path, good).unwrap();
    SigningKey::load_or_create(&path).unwrap();
}

#[test]
fn a_secret_is_not_shown() {
    let shown = format!("{:?}", key());
    assert!(
        shown.contains("fingerprint") && !shown.contains("7, 7") && !shown.contains("0707"),
        "{shown}"
    );
    let dir = scratch();
    assert!(!format!("{:?}", open(&journal_in(&dir))).contains("7, 7"));
}

#[test]
fn verifier_key_text_reads_back_and_wrong_text_is_refused() {
    let text = public().to_text();
    assert_eq!(VerifyingKey::from_text(&format!("{text}\n")).unwrap(), public());
    let (name, rest) = text.split_once('+').unwrap();
    for wrong in
        ["", "a+b", name, &text[..text.len() - 1], &format!("other+{rest}"), &text.to_uppercase()]
    {
        assert!(VerifyingKey::from_text(wrong).is_err(), "{wrong}");
    }
}
