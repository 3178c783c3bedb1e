//! Nothing acknowledged is lost, and no batch is there in part.
//!
//! **In:** a writer that is killed, and copies of its files cut off anywhere.
//! **Out:** a journal that opens, verifies and holds whole batches only.
//! **Not here:** what a power cut does below the file system.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use evenkeel_store::{SNAPSHOT_KIND, Store, verify};
use proptest::prelude::*;

use crate::support::*;

/// Names the directory of the journal to the child process.
const CHILD_DIR: &str = "EVENKEEL_STORE_TEST_DIR";

// Not a test of its own: the parent below runs this in a second process and kills it.
#[test]
fn child_that_appends_until_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let mut store = open(&std::path::Path::new(&dir).join("journal.db"));
    let body = vec![b'x'; 3_000];
    for minute in 0..1_000_000 {
        let mut batch = vec![entry(minute, "effect", Some("checkout-api"), &body); 3];
        if minute % 10 == 0 {
            batch[0].kind = SNAPSHOT_KIND;
        }
        let seq = store.append(&batch).unwrap();
        if minute % 10 == 0 {
            store.prune(seq - 2, at(minute)).unwrap();
        }
        if minute % 7 == 0 {
            store.checkpoint(at(minute)).unwrap();
        }
        // Through the handle, because the test harness captures the macro.
        use std::io::Write as _;
        writeln!(std::io::stdout(), "acknowledged {seq}").unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let dir = scratch();
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_appends_until_killed", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < 20 * round {
            let line = lines.next().expect("the child goes on").unwrap();
            if let Some((_, seq)) = line.split_once("acknowledged ") {
                acknowledged = seq.parse().unwrap();
                heard += 1;
            }
        }
        child.kill().unwrap();
        // What it still said before it died counts too.
        for line in lines.map_while(Result::ok) {
            if let Some(seq) =
                line.split_once("acknowledged ").and_then(|(_, seq)| seq.parse().ok())
            {
                acknowledged = seq;
            }
        }
        child.wait().unwrap();

        let found = verify(&journal_in(&dir), Some(&public())).unwrap();
        assert!(found.intact, "{:?}", found.faults);
        let store = open(&journal_in(&dir));
        assert!(
            acknowledged <= store.last_seq(),
            "{acknowledged} was acknowledged, {} is there",
            store.last_seq()
        );
        assert!(store.last_seq() <= acknowledged + 3, "at most the batch in flight is more");
        assert_eq!(store.last_seq() % 3, 0, "only whole batches");
        assert_eq!(Some(store.last_seq()), store.reader().unwrap().last_seq().unwrap());
    }
}

/// Batches of 1, 2, … 8 records, still open, with everything in the write-ahead log.
fn live() -> (tempfile::TempDir, Store) {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    for size in 1..=8 {
        let body = vec![b'x'; 700 * size];
        store.append(&vec![entry(0, "effect", None, &body); size]).unwrap();
    }
    (dir, store)
}

#[test]
fn a_copy_of_a_live_journal_verifies_and_opens() {
    let (dir, store) = live();
    let copy = lay_out(&files(dir.path()));
    let found = verify(&journal_in(&copy), Some(&public())).unwrap();
    assert_eq!((found.intact, found.last_seq), (true, Some(36)));
    assert_eq!(open(&journal_in(&copy)).last_seq(), store.last_seq());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    // What a crash leaves of the log: any part of its end may be missing or garbage.
    #[test]
    fn a_torn_log_leaves_whole_batches(cut in any::<prop::sample::Index>(), garbage in any::<bool>()) {
        let (dir, store) = live();
        let mut content = files(dir.path());
        drop(store);
        content.retain(|(name, _)| !name.ends_with("journal.db-shm"));
        let wal = content.iter_mut().find(|(name, _)| name.ends_with("journal.db-wal")).expect("a log");
        let cut = cut.index(wal.1.len());
        if garbage {
            wal.1[cut..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        } else {
            wal.1.truncate(cut);
        }
        let copy = lay_out(&content);
        let store = open(&journal_in(&copy));
        let last = store.last_seq();
        prop_assert!([0, 1, 3, 6, 10, 15, 21, 28, 36].contains(&last), "{} records", last);
        drop(store);
        prop_assert!(verify(&journal_in(&copy), None).expect("readable").intact);
    }
}

// The row of a checkpoint is committed before its file appears.
#[test]
fn a_note_that_a_crash_left_unexported_is_exported_at_the_next_open() {
    let dir = scratch();
    let mut store = open(&journal_in(&dir));
    append_ten(&mut store, 0);
    store.checkpoint(at(20)).unwrap();
    store.prune(4, at(21)).unwrap();
    drop(store);
    let notes = dir.path().join("journal.db.checkpoints");
    let before = files(&notes);
    fs::remove_file(notes.join("10.note")).unwrap();
    fs::remove_file(notes.join("prune-4.note")).unwrap();
    open(&journal_in(&dir));
    assert_eq!(files(&notes), before);
}
