//! The single writer of a journal.
//!
//! **In:** batches of entries, and the time of each checkpoint.
//! **Out:** durable records, one transaction per batch, and signed checkpoints.
//! **Not here:** reading (see [`crate::reader`]), retention (see [`crate::retention`]),
//! and proving the whole file (see [`crate::verify`]).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use crate::chain::{Columns, Link, next_link};
use crate::checkpoint::Checkpoint;
use crate::error::{StoreError, io, sqlite};
use crate::export::{self, Place, with_suffix};
use crate::key::{SigningKey, VerifyingKey, is_origin};
use crate::lock::WriterLock;
use crate::reader::Reader;
use crate::schema;
use crate::tail::{self, Base, as_sql};
use crate::{BODY_BYTES_MAX, ENTRIES_PER_APPEND_MAX, KIND_BYTES_MAX, TARGET_ID_BYTES_MAX};

/// One record to append.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When it happened; kept to the microsecond.
    pub at: Timestamp,
    /// What it is, 1 to [`KIND_BYTES_MAX`] bytes.
    pub kind: &'a str,
    /// The target it is about, at most [`TARGET_ID_BYTES_MAX`] bytes.
    pub target_id: Option<&'a str>,
    /// Opaque bytes, at most [`BODY_BYTES_MAX`].
    pub body: &'a [u8],
}

/// What may differ between two ways to open a journal.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Largest size of the main file in bytes, rounded down to whole pages of 4 KiB.
    /// Beyond it every append is [`StoreError::Full`]; `None` leaves it to the disk.
    pub size_limit_bytes: Option<u64>,
}

/// The writer. There is one per journal; a second one is refused at open.
#[derive(Debug)]
pub struct Store {
    pub(crate) path: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) verifying_key: VerifyingKey,
    // Before the lock, so that SQLite is closed when another process may enter.
    pub(crate) conn: Connection,
    pub(crate) base: Base,
    pub(crate) last_seq: u64,
    pub(crate) last_link: Link,
    last_checkpoint: Option<Checkpoint>,
    options: Options,
    poisoned: bool,
    _lock: WriterLock,
}

impl Store {
    /// Opens the journal at `path`, or starts one when there is none. See [`Store::open_with`].
    ///
    /// # Errors
    ///
    /// As [`Store::open_with`].
    pub fn open(
        path: &Path,
        origin: &str,
        key: SigningKey,
        now: Timestamp,
    ) -> Result<Store, StoreError> {
        Store::open_with(path, origin, key, now, Options::default())
    }

    /// Opens the journal at `path` for writing, or starts one when there is none.
    ///
    /// Takes the lock, recovers what a crash left, and verifies every record that the
    /// state will be rebuilt from, up to the last signed checkpoint and beyond. A new
    /// journal gets its first checkpoint, over 0 records, at `now`.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] when another writer has it; one variant each for a file
    /// that is empty, missing, damaged, changed, older than its exported checkpoints, of
    /// another program, format, origin or key. An existing file is never replaced.
    pub fn open_with(
        path: &Path,
        origin: &str,
        key: SigningKey,
        now: Timestamp,
        options: Options,
    ) -> Result<Store, StoreError> {
        if !is_origin(origin) {
            return Err(StoreError::Origin { origin: origin.into() });
        }
        let path = schema::resolve(path)?;
        let verifying_key = key.verifying_key(origin);
        let lock = WriterLock::take(&path)?;
        let exported = export::list(&path)?;

        let exists = path.try_exists().map_err(io(&path, "open journal"))?;
        if !exists {
            let wal = with_suffix(&path, "-wal");
            let remains = exported
                .first()
                .map(|(_, note)| note.clone())
                .or_else(|| wal.exists().then_some(wal));
            if let Some(remains) = remains {
                return Err(StoreError::Missing { path, remains });
            }
            schema::create(&path, &verifying_key)?;
        }
        let conn = schema::connect_writer(&path, options.size_limit_bytes)?;
        check_owner(&conn, &path, &verifying_key)?;
        let tail = tail::read(&conn, &path, &verifying_key)?;

        let newest = exported.iter().rev().find_map(|(place, note)| match place {
            Place::Checkpoint(size) => Some((*size, note)),
            Place::Prune(_) => None,
        });
        if let Some((size, note)) = newest.filter(|(size, _)| tail.last_seq < *size) {
            return Err(StoreError::RolledBack {
                path,
                last_seq: tail.last_seq,
                note: note.clone(),
                size,
            });
        }
        // A crash or a full disk may have come between a note's row and its file.
        for (place, note) in [
            tail.last_checkpoint
                .as_ref()
                .map(|(signed, note)| (Place::Checkpoint(signed.size), note)),
            tail.last_prune.as_ref().map(|(prune, note)| (Place::Prune(prune.first_seq), note)),
        ]
        .into_iter()
        .flatten()
        {
            match export::export(&path, place, note) {
                Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::StorageFull => {}
                exported => drop(exported?),
            }
        }

        let mut store = Store {
            path,
            key,
            verifying_key,
            conn,
            base: tail.base,
            last_seq: tail.last_seq,
            last_link: tail.last_link,
            last_checkpoint: tail.last_checkpoint.map(|(checkpoint, _)| checkpoint),
            options,
            poisoned: false,
            _lock: lock,
        };
        if store.last_checkpoint.is_none() && store.last_seq == 0 {
            store.checkpoint(now)?;
        }
        Ok(store)
    }

    /// Appends `entries` in order, in one transaction that is on disk when this returns.
    /// Returns the sequence number of the last record; of the last existing one when
    /// `entries` is empty.
    ///
    /// # Errors
    ///
    /// After any error no entry was appended. [`StoreError::Full`] leaves the store
    /// usable. When SQLite cannot say what is on disk (an I/O error), every later call
    /// is [`StoreError::Poisoned`] until the journal is opened anew.
    pub fn append(&mut self, entries: &[Entry<'_>]) -> Result<u64, StoreError> {
        self.refuse_poisoned()?;
        check_entries(entries)?;
        if entries.is_empty() {
            return Ok(self.last_seq);
        }
        // Hashed before the transaction, which then only writes.
        let mut links = Vec::with_capacity(entries.len());
        let (mut seq, mut link) = (self.last_seq, self.last_link);
        for entry in entries {
            seq += 1;
            link = next_link(
                &link,
                &Columns {
                    seq,
                    at_us: entry.at.as_microsecond(),
                    kind: entry.kind.as_bytes(),
                    target_id: entry.target_id.map(str::as_bytes),
                    body: entry.body,
                },
            );
            links.push(link);
        }
        match insert(&mut self.conn, self.last_seq, entries, &links) {
            Ok(()) => {
                (self.last_seq, self.last_link) = (seq, link);
                Ok(seq)
            }
            Err(error) => Err(self.after_failure("append to", error)),
        }
    }

    /// Signs the current end of the chain, keeps the note in the journal and exports it
    /// write-once to `<path>.checkpoints/<size>.note`. When nothing was appended since
    /// the last one, returns that one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoteDiffers`] when the file exists with another content;
    /// [`StoreError::Io`] when it cannot be written (the next call or open tries again);
    /// otherwise as [`Store::append`].
    pub fn checkpoint(&mut self, now: Timestamp) -> Result<Checkpoint, StoreError> {
        self.refuse_poisoned()?;
        let checkpoint = match self.last_checkpoint {
            Some(last) if last.size == self.last_seq => last,
            _ => Checkpoint { size: self.last_seq, link: self.last_link, at: now },
        };
        let note = checkpoint.sign(self.verifying_key.name(), &self.key);
        if self.last_checkpoint != Some(checkpoint) {
            let inserted = self.conn.execute(
                "INSERT INTO checkpoints (size, note) VALUES (?1, ?2)",
                params![as_sql(checkpoint.size), note],
            );
            if let Err(error) = inserted {
                return Err(self.after_failure("checkpoint", error));
            }
            self.last_checkpoint = Some(checkpoint);
        }
        export::export(&self.path, Place::Checkpoint(checkpoint.size), &note)?;
        Ok(checkpoint)
    }

    /// Sequence number of the last durable record; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Sequence number of the first record that retention left, or of the next one
    /// when there is none.
    pub fn first_seq(&self) -> u64 {
        self.base.first_seq
    }

    /// The last signed checkpoint.
    pub fn last_checkpoint(&self) -> Option<Checkpoint> {
        self.last_checkpoint
    }

    /// Whether an earlier failure ended this writer; the journal must be opened anew.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The public key that the journal names, with its origin.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// Where the journal is, with its directory resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A second connection that only reads. It sees every append that returned before
    /// each of its calls.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path)
    }

    pub(crate) fn refuse_poisoned(&self) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned { path: self.path.clone(), last_seq: self.last_seq });
        }
        Ok(())
    }

    /// After a failed write: the last link in memory must be the durable one, or
    /// nothing more may be appended.
    pub(crate) fn after_failure(
        &mut self,
        what: &'static str,
        error: rusqlite::Error,
    ) -> StoreError {
        // A failed fsync leaves open whether the commit is on disk; only these are known
        // to have stopped before it.
        let undone = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TooBig
                    | ErrorCode::ReadOnly
            )
        );
        let rolled_back = self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok();
        let durable = self
            .conn
            .prepare_cached("SELECT seq, link FROM records ORDER BY seq DESC LIMIT 1")
            .and_then(|mut last| {
                last.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Link>(1)?)))
                    .optional()
            });
        let same = match durable {
            Ok(Some((seq, link))) => seq == as_sql(self.last_seq) && link == self.last_link,
            Ok(None) => self.last_seq == 0,
            Err(_) => false,
        };
        self.poisoned = !(undone && rolled_back && same);
        let mut told = sqlite(&self.path, what)(error);
        if let StoreError::Full { size_limit_bytes, .. } = &mut told {
            *size_limit_bytes = self.options.size_limit_bytes;
        }
        told
    }
}

fn insert(
    conn: &mut Connection,
    last_seq: u64,
    entries: &[Entry<'_>],
    links: &[Link],
) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = tx.prepare_cached(
            "INSERT INTO records (seq, at_us, kind, target_id, link, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let mut seq = as_sql(last_seq);
        for (entry, link) in entries.iter().zip(links) {
            seq += 1;
            statement.execute(params![
                seq,
                entry.at.as_microsecond(),
                entry.kind,
                entry.target_id,
                link,
                entry.body
            ])?;
        }
    }
    tx.commit()
}

fn check_entries(entries: &[Entry<'_>]) -> Result<(), StoreError> {
    if ENTRIES_PER_APPEND_MAX < entries.len() {
        return Err(StoreError::TooMany { entries: entries.len(), max: ENTRIES_PER_APPEND_MAX });
    }
    for (index, entry) in entries.iter().enumerate() {
        if entry.kind.is_empty() {
            return Err(StoreError::NoKind { index });
        }
        let target_bytes = entry.target_id.map_or(0, str::len);
        for (part, bytes, max) in [
            ("kind", entry.kind.len(), KIND_BYTES_MAX),
            ("target id", target_bytes, TARGET_ID_BYTES_MAX),
            ("body", entry.body.len(), BODY_BYTES_MAX),
        ] {
            if max < bytes {
                return Err(StoreError::TooLong { part, index, bytes, max });
            }
        }
    }
    Ok(())
}

fn check_owner(conn: &Connection, path: &Path, given: &VerifyingKey) -> Result<(), StoreError> {
    let found = embedded_key(conn, path)?;
    if found.name() != given.name() {
        return Err(StoreError::OtherOrigin {
            path: path.into(),
            found: found.name().into(),
            given: given.name().into(),
        });
    }
    if found != *given {
        return Err(StoreError::OtherKey {
            path: path.into(),
            found: found.fingerprint(),
            given: given.fingerprint(),
        });
    }
    Ok(())
}

pub(crate) fn embedded_key(conn: &Connection, path: &Path) -> Result<VerifyingKey, StoreError> {
    let text = schema::embedded_key_text(conn).map_err(sqlite(path, "read"))?;
    text.and_then(|text| VerifyingKey::from_text(&text).ok().filter(|key| key.to_text() == text))
        .ok_or_else(|| StoreError::Changed {
            path: path.into(),
            seq: None,
            what: "it does not name the key that signs it".into(),
        })
}
