//! A journal with known content, and ways to copy and tamper with it.
//!
//! **In:** a temporary directory.
//! **Out:** stores, copies, and connections that get past the triggers.
//! **Not here:** any expectation.

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_store::{Entry, Options, SNAPSHOT_KIND, SigningKey, Store, StoreError, VerifyingKey};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub(crate) const ORIGIN: &str = "example.com/evenkeel/eu-1";

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

pub(crate) fn public() -> VerifyingKey {
    key().verifying_key(ORIGIN)
}

/// `minutes` after a fixed start, with microseconds that are not zero.
pub(crate) fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-07-01T12:00:00.123456Z".parse().expect("valid");
    start + SignedDuration::from_mins(minutes)
}

pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub(crate) fn journal_in(dir: &TempDir) -> PathBuf {
    dir.path().join("journal.db")
}

pub(crate) fn open(path: &Path) -> Store {
    Store::open(path, ORIGIN, key(), at(0)).expect("the journal opens")
}

pub(crate) fn open_limited(path: &Path, bytes: u64) -> Result<Store, StoreError> {
    Store::open_with(path, ORIGIN, key(), at(0), Options { size_limit_bytes: Some(bytes) })
}

pub(crate) fn entry<'a>(
    minutes: i64,
    kind: &'a str,
    target_id: Option<&'a str>,
    body: &'a [u8],
) -> Entry<'a> {
    Entry { at: at(minutes), kind, target_id, body }
}

/// Ten records of every shape the columns can have; the fourth is a snapshot.
pub(crate) fn append_ten(store: &mut Store, from_minute: i64) -> u64 {
    let long = vec![b'x'; 9_000];
    let m = from_minute;
    store
        .append(&[
            entry(m, "started", None, b""),
            entry(m + 1, "freeze", Some("checkout-api"), b"{\"by\":\"ana\"}"),
            entry(m + 1, "freeze", Some(""), b"\0\xff"),
            entry(m + 2, SNAPSHOT_KIND, None, &long),
            entry(m + 3, "effect", Some("checkout-api"), b"{\"desired\":14}"),
            entry(m + 4, "outcome", Some("checkout-api"), b"{\"outcome\":\"done\"}"),
            entry(m + 5, "effect", Some("caf\u{e9}"), b"{\"desired\":3}"),
            entry(m + 5, "effect", Some("checkout-api"), b"{\"desired\":14}"),
            entry(m + 6, "outcome", None, b"{}"),
            entry(m + 7, "expired", Some("checkout-api"), b"1"),
        ])
        .expect("appended")
}

/// Every file below `dir` with its content, by relative path.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").to_path_buf();
                found.push((name, fs::read(&path).expect("readable")));
            }
        }
    }
    found.sort();
    found
}

/// Writes `files` into a new directory.
pub(crate) fn lay_out(files: &[(PathBuf, Vec<u8>)]) -> TempDir {
    let dir = scratch();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below")).expect("created");
        fs::write(&path, content).expect("written");
    }
    dir
}

/// Runs `change` on the file with all triggers away, and puts them back as they were,
/// so that only the change itself is left to find.
pub(crate) fn tamper<T>(
    path: &Path,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "synchronous", "OFF")?;
    conn.pragma_update(None, "ignore_check_constraints", true)?;
    conn.execute_batch("BEGIN")?;
    let triggers: Vec<(String, String)> = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, _) in &triggers {
        conn.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    let changed = change(&conn)?;
    for (_, sql) in &triggers {
        conn.execute_batch(sql)?;
    }
    conn.execute_batch("COMMIT")?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(changed)
}

/// Computes the links from record `from` to the end anew, as somebody without the key
/// could. Written from the description of the format, not with the code under test.
pub(crate) fn relink(conn: &Connection, from: i64) -> rusqlite::Result<()> {
    let mut link: Vec<u8> =
        conn.query_row("SELECT link FROM records WHERE seq = ?1", [from - 1], |row| row.get(0))?;
    let text =
        |text: &[u8]| [&u64::try_from(text.len()).expect("short").to_le_bytes(), text].concat();
    let seqs: Vec<i64> = conn
        .prepare("SELECT seq FROM records WHERE ?1 <= seq ORDER BY seq")?
        .query_map([from], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for seq in seqs {
        let sql = "SELECT at_us, kind, target_id, body FROM records WHERE seq = ?1";
        let (at_us, kind, target_id, body): (i64, String, Option<String>, Vec<u8>) = conn
            .query_row(sql, [seq], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let target = target_id.map_or(vec![0], |id| [vec![1], text(id.as_bytes())].concat());
        let hashed = [
            link,
            seq.to_le_bytes().to_vec(),
            at_us.to_le_bytes().to_vec(),
            text(kind.as_bytes()),
            target,
            Sha256::digest(body).to_vec(),
        ]
        .concat();
        link = Sha256::digest(hashed).to_vec();
        conn.execute("UPDATE records SET link = ?1 WHERE seq = ?2", (&link, seq))?;
    }
    Ok(())
}

/// The error and everything below it, then the hint, as a person would read it.
pub(crate) fn told(error: &StoreError, dir: &Path) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("\n  cause: {cause}"));
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nhint: {hint}"));
    }
    let dir = fs::canonicalize(dir).expect("exists");
    text.replace(&dir.display().to_string(), "DIR")
}
