//! Records of the core on their way to and from the store.
//!
//! **In:** records to append; a store to rebuild the state from.
//! **Out:** durable records; [`State`]; checkpoints, snapshots and retention.
//! **Not here:** SQL and hashing (`evenkeel-store`), what a record means (the core).

use std::ops::ControlFlow;

use evenkeel_core::record::Record;
use evenkeel_core::state::State;
use evenkeel_store::{BODY_BYTES_MAX, ENTRIES_PER_APPEND_MAX, Entry, Filter, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

/// How often a checkpoint is signed while records arrive.
const CHECKPOINT_PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Records after which a snapshot is wanted, so that a start reads few.
///
/// Why 20,000: read back in well under 0.2 s, and a snapshot of 10,000 targets
/// (2 MiB) is then at most as large as the records it stands for.
const SNAPSHOT_RECORDS: u64 = 20_000;

/// Records forgotten at once.
///
/// Why 20,000: about 0.1 s, in which nobody is heard.
const PRUNE_RECORDS: u64 = 20_000;

/// Why the journal failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record cannot be read: written by a newer version, or by a bug.
    #[error("record {seq} ({kind}) cannot be read; was it written by a newer evenkeeld?")]
    Unreadable {
        seq: u64,
        kind: String,
        #[source]
        source: serde_json::Error,
    },
    /// A record cannot be written.
    #[error("a record of kind {kind} cannot be written")]
    Unwritable {
        kind: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl JournalError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            JournalError::Store(error) => error.hint(),
            JournalError::Unreadable { .. } => {
                Some("start the version that wrote it, or a newer one".to_owned())
            }
            JournalError::Unwritable { .. } => None,
        }
    }
}

/// The one writer of the journal.
#[derive(Debug)]
pub struct Journal {
    store: Store,
    checkpointed_at: Timestamp,
    snapshot_seq: u64,
    /// Records before this one are too old.
    prune_to: u64,
    retention: Option<SignedDuration>,
}

impl Journal {
    /// Takes over an open store. `retention` is how long records are kept; `None`
    /// keeps all.
    pub fn new(store: Store, now: Timestamp, retention: Option<SignedDuration>) -> Journal {
        Journal { store, checkpointed_at: now, snapshot_seq: 0, prune_to: 0, retention }
    }

    /// The sequence number of the newest record; 0 without any.
    pub fn last_seq(&self) -> u64 {
        self.store.last_seq()
    }

    /// Rebuilds the state: the newest snapshot, then every record after it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or a record is not understood. Guessing is
    /// not an option: the state would be a different one.
    pub fn recover(&mut self) -> Result<State, JournalError> {
        let reader = self.store.reader()?;
        let mut state = State::default();
        let mut from_seq = self.store.first_seq();
        if let Some(snapshot) = reader.latest_of_kind(Record::SNAPSHOT)? {
            state.apply(&parse(snapshot.seq, &snapshot.kind, &snapshot.body)?);
            self.snapshot_seq = snapshot.seq;
            from_seq = snapshot.seq + 1;
        }
        let mut failure = None;
        reader.scan(
            from_seq,
            &mut |stored| match parse(stored.seq, &stored.kind, &stored.body) {
                Ok(record) => {
                    state.apply(&record);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failure.map_or(Ok(state), Err)
    }

    /// Appends all records or none; durable when it returns.
    ///
    /// # Errors
    ///
    /// Any error of the store. The caller must stop: see
    /// [`evenkeel_core::agent::Outcome::commit`].
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        // More than one append is only ever needed for the first look at a large
        // region; its records (adoptions) stand on their own.
        for piece in records.chunks(ENTRIES_PER_APPEND_MAX) {
            self.append_piece(piece)?;
        }
        Ok(())
    }

    fn append_piece(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut bodies = Vec::with_capacity(records.len());
        for record in records {
            let body = serde_json::to_vec(record)
                .map_err(|source| JournalError::Unwritable { kind: record.kind(), source })?;
            if BODY_BYTES_MAX < body.len() && matches!(record, Record::Snapshot { .. }) {
                // It says nothing new: the records before it do. Starts take longer.
                warn!(
                    bytes = body.len(),
                    bytes_max = BODY_BYTES_MAX,
                    "snapshot left out: too large"
                );
                self.snapshot_seq = self.store.last_seq();
                continue;
            }
            bodies.push((record, body));
        }
        if bodies.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry<'_>> = bodies
            .iter()
            .map(|(record, body)| Entry {
                at: record.at(),
                kind: record.kind(),
                target_id: record.target().map(|it| it.as_str()),
                body,
            })
            .collect();
        let last_seq = self.store.append(&entries)?;
        if bodies.iter().any(|(record, _)| matches!(record, Record::Snapshot { .. })) {
            self.snapshot_seq = last_seq;
        }
        Ok(())
    }

    /// Whether enough was recorded since the last snapshot to want another.
    pub fn wants_snapshot(&self) -> bool {
        SNAPSHOT_RECORDS <= self.store.last_seq().saturating_sub(self.snapshot_seq)
    }

    /// Whether anything was recorded since the last snapshot.
    pub fn has_news(&self) -> bool {
        self.snapshot_seq < self.store.last_seq()
    }

    /// Whether it is time for a checkpoint.
    pub fn wants_checkpoint(&self, now: Timestamp) -> bool {
        CHECKPOINT_PERIOD <= now.duration_since(self.checkpointed_at)
    }

    /// Signs what is there, and notes what is older than the retention allows.
    ///
    /// # Errors
    ///
    /// When the checkpoint cannot be written.
    pub fn checkpoint(&mut self, now: Timestamp) -> Result<(), JournalError> {
        self.checkpointed_at = now;
        let checkpoint = self.store.checkpoint(now)?;
        info!(records = checkpoint.size, "checkpoint signed");
        if let Some(oldest) = self.retention.and_then(|it| now.checked_sub(it).ok()) {
            let filter = Filter { from: Some(oldest), limit: 1, ..Filter::default() };
            let first_kept = self.store.reader()?.query(&filter)?.first().map(|it| it.seq);
            // Never beyond the newest snapshot: the state is rebuilt from there.
            self.prune_to = first_kept.unwrap_or(u64::MAX).min(self.snapshot_seq);
        }
        Ok(())
    }

    /// Forgets a few of the records that [`Journal::checkpoint`] found too old;
    /// false when none is left. A removal that fails is only logged: it is tried
    /// again after the next checkpoint.
    pub fn forget_some(&mut self, now: Timestamp) -> bool {
        let first_seq = self.store.first_seq();
        if self.prune_to <= first_seq {
            return false;
        }
        let keep_from = self.prune_to.min(first_seq.saturating_add(PRUNE_RECORDS));
        match self.store.prune(keep_from, now) {
            Ok(pruned) => {
                info!(
                    removed = pruned.removed,
                    first_seq = pruned.first_seq,
                    "old records removed"
                );
            }
            Err(error) => {
                warn!(%error, "old records were not removed; trying again in an hour");
                self.prune_to = 0;
            }
        }
        self.store.first_seq() < self.prune_to
    }
}

fn parse(seq: u64, kind: &str, body: &[u8]) -> Result<Record, JournalError> {
    serde_json::from_slice(body).map_err(|source| JournalError::Unreadable {
        seq,
        kind: kind.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::units::Capacity;
    use evenkeel_store::SigningKey;
    use std::path::Path;

    fn open(folder: &Path, now: Timestamp, retention: Option<SignedDuration>) -> Journal {
        let key = SigningKey::load_or_create(&folder.join("key")).unwrap();
        let store = Store::open(&folder.join("journal.db"), "evenkeel/test", key, now).unwrap();
        Journal::new(store, now, retention)
    }

    fn adopted(at: Timestamp, n: i64) -> Record {
        let target = format!("service-{n}").parse().unwrap();
        Record::TargetAdopted { at, target, current: Capacity(3) }
    }

    fn snapshot(at: Timestamp, state: &State) -> Record {
        Record::Snapshot { at, state: Box::new(state.clone()) }
    }

    #[test]
    fn what_retention_leaves_rebuilds_the_same_state_and_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let start = Timestamp::UNIX_EPOCH;
        let mut journal = open(folder.path(), start, Some(SignedDuration::from_hours(96)));
        let mut state = State::default();
        for day in 0..10 {
            let at = start + SignedDuration::from_hours(24 * day);
            let record = adopted(at, day);
            state.apply(&record);
            journal.append(&[record]).unwrap();
            let record = snapshot(at, &state);
            state.apply(&record);
            journal.append(&[record]).unwrap();
            journal.checkpoint(at).unwrap();
            while journal.forget_some(at) {}
        }
        // Ten days of two records; four days are kept, from their first record on.
        assert_eq!((journal.store.first_seq(), journal.last_seq()), (11, 20));
        drop(journal);
        let verified = evenkeel_store::verify(&folder.path().join("journal.db"), None).unwrap();
        assert!(verified.intact, "{:?}", verified.faults);
        let mut journal = open(folder.path(), start, None);
        assert_eq!(journal.recover().unwrap(), state);
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused_and_not_guessed_at() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut journal = open(folder.path(), now, None);
        let body = br#"{"record":"teleported","at":"1970-01-01T00:00:00Z"}"#;
        let entry = Entry { at: now, kind: "teleported", target_id: None, body };
        journal.store.append(&[entry]).unwrap();
        let error = journal.recover().unwrap_err();
        assert_eq!(
            error.to_string(),
            "record 1 (teleported) cannot be read; was it written by a newer evenkeeld?"
        );
        assert!(error.hint().is_some());
    }
}
