//! Proving a whole journal, offline.
//!
//! **In:** a journal or a copy of one, and the key to trust if the reader has it.
//! **Out:** whether every record is as it was appended, and every fault found.
//! **Not here:** the shorter check that a writer does at open (see [`crate::tail`]).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;

use crate::chain::Link;
use crate::checkpoint::{Checkpoint, Prune};
use crate::error::{StoreError, sqlite};
use crate::export::{self, Place};
use crate::hex::to_hex;
use crate::key::VerifyingKey;
use crate::schema;
use crate::store::embedded_key;
use crate::tail::{self, Base};

/// Most faults that one verification lists; more are only counted.
///
/// Why 100: enough to see the pattern, and bounded for a file that is all faults.
pub const FAULTS_MAX: usize = 100;

/// Where the verifying key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The caller gave it: the signatures prove who wrote the journal.
    Given,
    /// The journal names it: the signatures prove only that the file fits itself.
    Embedded,
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The record it is about; `None` when it is about the file as a whole.
    pub seq: Option<u64>,
    /// What is wrong, as a phrase.
    pub what: String,
}

/// The newest checkpoint whose signature, size and link hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// When it was signed.
    pub at: Timestamp,
    /// Records it covers.
    pub size: u64,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// No fault of any kind.
    pub intact: bool,
    /// Name of the journal.
    pub origin: String,
    /// Records in the file.
    pub records: u64,
    /// First record; `None` without records.
    pub first_seq: Option<u64>,
    /// Last record; `None` without records.
    pub last_seq: Option<u64>,
    /// Link of the last record as hexadecimal; the link before the first when there is none.
    pub last_link: String,
    /// Checkpoints in the file whose signature, size and link hold.
    pub checkpoints: u64,
    /// Exported note files beside the journal that hold.
    pub exported_notes: u64,
    /// The newest of the checkpoints that hold.
    pub last_checkpoint: Option<LastCheckpoint>,
    /// Records after that checkpoint: chained, but not signed yet. Cutting off the end
    /// can only be found down to the last checkpoint.
    pub records_after_last_checkpoint: u64,
    /// Retention removed the records before this one, by signed note.
    pub pruned_before: Option<u64>,
    /// SHA-256 of the public key used, as hexadecimal.
    pub key_fingerprint: String,
    /// C2SP verifier-key text of the key used.
    pub verifier_key: String,
    /// Where that key came from.
    pub key_source: KeySource,
    /// The first [`FAULTS_MAX`] faults, in the order found.
    pub faults: Vec<Fault>,
    /// Faults beyond those listed.
    pub faults_unlisted: u64,
}

/// Verifies the whole journal at `path`: schema, every record, link, signed note, and
/// the exported notes beside it. Reads one consistent state of a live journal and
/// changes nothing.
///
/// Without `key` the one that the journal names is used; then a journal that was
/// rewritten as a whole under a new key still looks intact.
///
/// # Errors
///
/// Only when there is no journal to verify: [`StoreError::Io`], [`StoreError::Empty`],
/// [`StoreError::NotAJournal`], [`StoreError::Format`], [`StoreError::Corrupt`] in its
/// first page, or [`StoreError::Changed`] when no key is given and the journal names none.
/// Everything else is a fault in the answer.
pub fn verify(path: &Path, key: Option<&VerifyingKey>) -> Result<Verification, StoreError> {
    let path = schema::resolve(path)?;
    let (verification, immutable) = verify_once(&path, key)?;
    // A daemon that started meanwhile may have written below an immutable reader.
    if immutable && schema::has_wal(&path) {
        return verify_once(&path, key).map(|(verification, _)| verification);
    }
    Ok(verification)
}

fn verify_once(
    path: &Path,
    given: Option<&VerifyingKey>,
) -> Result<(Verification, bool), StoreError> {
    // Listed before the transaction: a note's row is committed before its file appears.
    let exported = export::list(path)?;
    let (conn, immutable) = schema::connect_reader(path)?;
    // One read transaction, so that a writer moves nothing in between.
    let tx = conn.unchecked_transaction().map_err(sqlite(path, "read"))?;
    let mut faults = Faults::default();

    let embedded = embedded_key(&tx, path);
    let (key, key_source) = match given {
        None => (embedded?, KeySource::Embedded),
        Some(given) => {
            check_given(given, embedded, &mut faults);
            (given.clone(), KeySource::Given)
        }
    };
    check_file(&tx, &mut faults);
    let prunes = read_prunes(&tx, &key, &mut faults);
    let base = prunes.last().map_or_else(
        || Base::genesis(key.name()),
        |prune| Base { first_seq: prune.first_seq, link: prune.link },
    );
    let checkpoints = read_checkpoints(&tx, &key, &base, &mut faults);
    let exported_notes = check_exported(&exported, &key, &base, &checkpoints, &prunes, &mut faults);
    let chain = check_chain(&tx, base, &checkpoints, &mut faults);

    let last_seq = chain.ends.map(|(_, last)| last);
    let signed_to = chain.last_checkpoint.map_or(base.first_seq - 1, |last| last.size);
    Ok((
        Verification {
            intact: faults.listed.is_empty(),
            origin: key.name().into(),
            records: chain.records,
            first_seq: chain.ends.map(|(first, _)| first),
            last_seq,
            last_link: to_hex(&chain.last_link),
            checkpoints: chain.checkpoints,
            exported_notes,
            last_checkpoint: chain.last_checkpoint,
            records_after_last_checkpoint: last_seq
                .map_or(0, |last| last.saturating_sub(signed_to)),
            pruned_before: prunes.last().map(|prune| prune.first_seq),
            key_fingerprint: key.fingerprint(),
            verifier_key: key.to_text(),
            key_source,
            faults: faults.listed,
            faults_unlisted: faults.unlisted,
        },
        immutable,
    ))
}

/// Faults so far: the first ones in full, the others counted.
#[derive(Default)]
struct Faults {
    listed: Vec<Fault>,
    unlisted: u64,
}

impl Faults {
    fn add(&mut self, seq: Option<u64>, what: impl Into<String>) {
        if self.listed.len() < FAULTS_MAX {
            self.listed.push(Fault { seq, what: what.into() });
        } else {
            self.unlisted += 1;
        }
    }
}

fn check_given(
    given: &VerifyingKey,
    embedded: Result<VerifyingKey, StoreError>,
    faults: &mut Faults,
) {
    match embedded {
        Ok(embedded) if embedded == *given => {}
        Ok(embedded) => faults.add(
            None,
            format!(
                "the journal names the key `{}`, not the given `{}`",
                embedded.to_text(),
                given.to_text()
            ),
        ),
        Err(_) => faults.add(None, "the journal does not name the key that signs it"),
    }
}

/// Schema, pages and indexes: a query answers from them, so a changed index hides records.
fn check_file(conn: &Connection, faults: &mut Faults) {
    match schema::schema_faults(conn) {
        Ok(found) => found.into_iter().for_each(|what| faults.add(None, what)),
        Err(error) => faults.add(None, format!("the schema cannot be read: {error}")),
    }
    let checked =
        conn.prepare(&format!("PRAGMA integrity_check({FAULTS_MAX})")).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let line: String = row.get(0)?;
                if line != "ok" {
                    faults.add(None, format!("damaged file: {line}"));
                }
            }
            Ok(())
        });
    if let Err(error) = checked {
        faults.add(None, format!("damaged file: {error}"));
    }
}

/// The rows `(place, note)` that `sql` selects, as far as they can be read.
fn read_notes(conn: &Connection, sql: &str, faults: &mut Faults) -> Vec<(u64, String)> {
    let mut notes = Vec::new();
    let read = conn.prepare(sql).and_then(|mut statement| {
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let place = row.get_ref(0)?.as_i64().ok().and_then(|place| u64::try_from(place).ok());
            match (place, row.get_ref(1)?.as_str()) {
                (Some(place), Ok(note)) => notes.push((place, note.to_owned())),
                (place, _) => faults.add(place, "a signed note is not text"),
            }
        }
        Ok(())
    });
    if let Err(error) = read {
        faults.add(None, format!("signed notes cannot be read: {error}"));
    }
    notes
}

/// The prune notes that hold, oldest first. Each must continue the one before.
fn read_prunes(conn: &Connection, key: &VerifyingKey, faults: &mut Faults) -> Vec<Prune> {
    let mut prunes: Vec<Prune> = Vec::new();
    for (row, note) in
        read_notes(conn, "SELECT first_seq, note FROM prunes ORDER BY first_seq", faults)
    {
        let prune = match Prune::open(&note, key) {
            Ok(prune) => prune,
            Err(error) => {
                faults.add(Some(row), format!("prune note before record {row}: {error}"));
                continue;
            }
        };
        if prune.first_seq != row {
            faults.add(
                Some(row),
                format!("prune note in row {row} is about record {}", prune.first_seq),
            );
        }
        let before = prunes.last().map_or(1, |before| before.first_seq);
        if before.checked_add(prune.removed) != Some(prune.first_seq) {
            faults.add(
                Some(prune.first_seq),
                format!(
                    "prune note before record {} removed {} records, but the notes before it end at {before}",
                    prune.first_seq, prune.removed
                ),
            );
        }
        prunes.push(prune);
    }
    prunes
}

/// The checkpoints in the file whose signature and row hold, by size.
fn read_checkpoints(
    conn: &Connection,
    key: &VerifyingKey,
    base: &Base,
    faults: &mut Faults,
) -> BTreeMap<u64, Checkpoint> {
    let mut checkpoints = BTreeMap::new();
    for (row, note) in read_notes(conn, "SELECT size, note FROM checkpoints ORDER BY size", faults)
    {
        match Checkpoint::open(&note, key) {
            Err(error) => faults.add(Some(row), format!("checkpoint over {row} records: {error}")),
            Ok(checkpoint) if checkpoint.size != row => {
                faults.add(
                    Some(row),
                    format!("checkpoint in row {row} covers {} records", checkpoint.size),
                );
            }
            Ok(_) if row + 1 < base.first_seq => {
                faults.add(
                    Some(row),
                    format!("checkpoint over {row} records should have been pruned"),
                );
            }
            Ok(checkpoint) => {
                checkpoints.insert(row, checkpoint);
            }
        }
    }
    checkpoints
}

/// Compares the note files beside the journal with the notes in it; returns how many hold.
/// They outlive a rollback of the file, which the file alone cannot show.
fn check_exported(
    exported: &[(Place, PathBuf)],
    key: &VerifyingKey,
    base: &Base,
    checkpoints: &BTreeMap<u64, Checkpoint>,
    prunes: &[Prune],
    faults: &mut Faults,
) -> u64 {
    let mut held = 0;
    for (place, path) in exported {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let note = match export::read(path) {
            Ok(note) => note.unwrap_or_default(),
            Err(_) => {
                faults.add(None, format!("exported note `{name}` cannot be read"));
                continue;
            }
        };
        let known = match place {
            Place::Checkpoint(size) => Checkpoint::open(&note, key).map(|checkpoint| {
                checkpoint.size == *size
                    && (size.saturating_add(1) < base.first_seq
                        || checkpoints.get(size) == Some(&checkpoint))
            }),
            Place::Prune(first_seq) => Prune::open(&note, key)
                .map(|prune| prune.first_seq == *first_seq && prunes.contains(&prune)),
        };
        match known {
            Ok(true) => held += 1,
            Ok(false) => faults.add(
                None,
                format!("exported note `{name}` is not in the journal: an older copy, or another history"),
            ),
            Err(error) => faults.add(None, format!("exported note `{name}`: {error}")),
        }
    }
    held
}

/// What the walk over all records found.
struct Chain {
    records: u64,
    ends: Option<(u64, u64)>,
    last_link: Link,
    checkpoints: u64,
    last_checkpoint: Option<LastCheckpoint>,
}

fn check_chain(
    conn: &Connection,
    base: Base,
    checkpoints: &BTreeMap<u64, Checkpoint>,
    faults: &mut Faults,
) -> Chain {
    let mut chain = Chain {
        records: 0,
        ends: None,
        last_link: base.link,
        checkpoints: 0,
        last_checkpoint: None,
    };
    match tail::ends(conn) {
        Ok(Some((first, _))) if first != base.first_seq => {
            faults.add(
                Some(first),
                format!("the first record is {first}, it should be {}", base.first_seq),
            );
        }
        Ok(None) if 1 < base.first_seq => {
            faults
                .add(None, format!("there are no records, the first should be {}", base.first_seq));
        }
        Ok(_) => {}
        Err(error) => faults.add(None, format!("the records cannot be read: {error}")),
    }

    let mut unseen = checkpoints.clone();
    let mut against = |seq: u64, link: &Link, chain: &mut Chain, faults: &mut Faults| {
        let Some(signed) = unseen.remove(&seq) else { return };
        if signed.link == *link {
            chain.checkpoints += 1;
            chain.last_checkpoint = Some(LastCheckpoint { at: signed.at, size: signed.size });
        } else {
            faults
                .add(Some(seq), format!("record {seq} is not the one that its checkpoint signed"));
        }
    };
    against(base.first_seq - 1, &base.link, &mut chain, faults);
    let walked = tail::walk(conn, &base, &mut |walked| {
        let seq = walked.seq;
        chain.records += 1;
        chain.ends = Some((chain.ends.map_or(seq, |(first, _)| first), seq));
        chain.last_link = walked.link;
        if let Some(fault) = walked.fault {
            faults.add(Some(seq), format!("record {seq}: {fault}"));
        }
        against(seq, &walked.link, &mut chain, faults);
        ControlFlow::Continue(())
    });
    let last = chain.ends.map_or(base.first_seq - 1, |(_, last)| last);
    if let Err(error) = walked {
        faults.add(Some(last), format!("the records after {last} cannot be read: {error}"));
    }
    for size in unseen.into_keys() {
        let what = if last < size { "the end was cut off" } else { "the record is missing" };
        faults.add(Some(size), format!("checkpoint over {size} records: {what}"));
    }
    chain
}
