//! Removing the oldest records so that the rest still verifies.
//!
//! **In:** the first record to keep.
//! **Out:** a signed note of what was removed, from which verification starts, and a
//! smaller file.
//! **Not here:** when and how much to keep (the daemon).

use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::checkpoint::{Checkpoint, Prune};
use crate::error::{StoreError, io, sqlite};
use crate::export::{self, Place};
use crate::store::Store;
use crate::tail::{self, Base, as_sql};

/// Kind of the records from which the whole state can be rebuilt.
///
/// Why here: it is the only kind the store knows, because retention and the check at
/// open must not lose or skip the newest one.
pub const SNAPSHOT_KIND: &str = "snapshot";

/// Pages given back to the file system per step.
///
/// Why 4,096: 16 MiB, so the write-ahead log stays small while the file shrinks.
const PAGES_PER_STEP: u32 = 4096;

/// What a prune did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Records removed; 0 when there was nothing before `keep_from_seq`.
    pub removed: u64,
    /// First record that remains.
    pub first_seq: u64,
    /// Size of the main file before and after, in bytes.
    pub file_bytes: (u64, u64),
}

impl Store {
    /// Removes the records before `keep_from_seq`, after signing what it removes.
    ///
    /// The prefix is verified first, so that a changed record is never pruned out of
    /// sight; the note and the removal are one transaction; then the file shrinks. The
    /// time is in proportion to the records removed, about 5 us each: a caller that must
    /// not wait prunes in steps, each of which leaves a note of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::WouldLoseState`] when the newest snapshot is before
    /// `keep_from_seq` or there is none; [`StoreError::Changed`] when the prefix does
    /// not verify; otherwise as [`Store::append`]. After an error nothing was removed,
    /// unless it is about exporting the note, which the next open repeats.
    pub fn prune(&mut self, keep_from_seq: u64, now: Timestamp) -> Result<Pruned, StoreError> {
        self.refuse_poisoned()?;
        let before = self.file_bytes()?;
        let first_seq = self.base.first_seq;
        if keep_from_seq <= first_seq {
            return Ok(Pruned { removed: 0, first_seq, file_bytes: (before, before) });
        }
        let snapshot_seq = tail::newest_snapshot(&self.conn).map_err(sqlite(&self.path, "read"))?;
        if snapshot_seq.is_none_or(|snapshot| snapshot < keep_from_seq) {
            return Err(StoreError::WouldLoseState { keep_from_seq, snapshot_seq });
        }

        let link = self.verified_link_before(keep_from_seq)?;
        let prune =
            Prune { first_seq: keep_from_seq, link, removed: keep_from_seq - first_seq, at: now };
        let note = prune.sign(self.verifying_key.name(), &self.key);
        if let Err(error) = remove(&mut self.conn, &prune, &note) {
            return Err(self.after_failure("prune", error));
        }
        self.base = Base { first_seq: keep_from_seq, link };

        // The records are gone and signed for; a file that stays large is no failure.
        let _ = shrink(&self.conn);
        export::export(&self.path, Place::Prune(keep_from_seq), &note)?;
        Ok(Pruned {
            removed: prune.removed,
            first_seq: keep_from_seq,
            file_bytes: (before, self.file_bytes()?),
        })
    }

    /// The link of record `seq - 1`, once the chain from the first record through it
    /// leads to a signed checkpoint or to the end that this writer knows.
    fn verified_link_before(&self, seq: u64) -> Result<[u8; 32], StoreError> {
        let failed = |error| sqlite(&self.path, "read")(error);
        let changed = |seq: u64, what: &str| StoreError::Changed {
            path: self.path.clone(),
            seq: Some(seq),
            what: format!("record {seq}: {what}"),
        };
        let signed = next_checkpoint(&self.conn, seq - 1).map_err(failed)?;
        let until = match signed {
            None => {
                Checkpoint { size: self.last_seq, link: self.last_link, at: Timestamp::UNIX_EPOCH }
            }
            Some(note) => Checkpoint::open(&note, &self.verifying_key)
                .map_err(|error| changed(seq, &format!("the checkpoint after it: {error}")))?,
        };
        let mut link = None;
        let mut fault = Some(changed(until.size, "it is missing"));
        tail::walk(&self.conn, &self.base, &mut |walked| {
            if walked.seq + 1 == seq {
                link = Some(walked.link);
            }
            if let Some(what) = walked.fault {
                fault = Some(changed(walked.seq, &what));
            } else if walked.seq == until.size {
                fault = (walked.link != until.link)
                    .then(|| changed(walked.seq, "it is not the one that was signed"));
            } else {
                return ControlFlow::Continue(());
            }
            ControlFlow::Break(())
        })
        .map_err(failed)?;
        match (fault, link) {
            (Some(fault), _) => Err(fault),
            (None, Some(link)) => Ok(link),
            (None, None) => Err(changed(seq - 1, "it is missing")),
        }
    }

    fn file_bytes(&self) -> Result<u64, StoreError> {
        std::fs::metadata(&self.path)
            .map(|metadata| metadata.len())
            .map_err(io(&self.path, "measure"))
    }
}

fn next_checkpoint(conn: &Connection, seq: u64) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension as _;
    conn.query_row(
        "SELECT note FROM checkpoints WHERE ?1 <= size ORDER BY size LIMIT 1",
        [as_sql(seq)],
        |row| row.get(0),
    )
    .optional()
}

fn remove(conn: &mut Connection, prune: &Prune, note: &str) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let first_seq = as_sql(prune.first_seq);
    tx.execute("INSERT INTO prunes (first_seq, note) VALUES (?1, ?2)", params![first_seq, note])?;
    tx.execute("DELETE FROM records WHERE seq < ?1", [first_seq])?;
    // A checkpoint over exactly the removed records still fits the signed link.
    tx.execute("DELETE FROM checkpoints WHERE size + 1 < ?1", [first_seq])?;
    tx.commit()
}

/// Gives free pages back, a step at a time, and empties the write-ahead log.
fn shrink(conn: &Connection) -> rusqlite::Result<()> {
    let free = || conn.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0));
    let mut left = free()?;
    while 0 < left {
        let mut statement =
            conn.prepare(&format!("PRAGMA incremental_vacuum({PAGES_PER_STEP})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        let now_left = free()?;
        if left <= now_left {
            break;
        }
        left = now_left;
    }
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
