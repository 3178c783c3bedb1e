//! What can go wrong with a journal, and what to do about it.
//!
//! **In:** errors of SQLite and of the file system.
//! **Out:** one variant per kind of fault; [`StoreError::hint`] says what to do.
//! **Not here:** faults that `verify` finds in a readable file (see [`crate::Fault`]).

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::ErrorCode;

/// Why a journal operation did not happen. Nothing acknowledged is ever lost by one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds the journal open for writing.
    #[error("journal `{path}` is in use by process {}", pid_text(*.pid))]
    InUse { path: PathBuf, pid: Option<u32> },
    /// A file operation failed.
    #[error("cannot {what} `{path}`")]
    Io {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// SQLite failed for another reason than the ones below.
    #[error("cannot {what} journal `{path}`")]
    Sqlite {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// Another program holds SQLite's own lock on the file for longer than ours ever do.
    #[error("cannot {what} journal `{path}`: another program keeps it locked")]
    Locked {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// The origin cannot be a C2SP key name.
    #[error("origin `{origin}` must have 1 to 255 bytes without spaces, control characters or `+`")]
    Origin { origin: String },
    /// The file is empty: a journal never is, not even before its first record.
    #[error("journal `{path}` is empty (0 bytes){}", if *.has_wal { ", but its write-ahead log is not" } else { "" })]
    Empty { path: PathBuf, has_wal: bool },
    /// The file is missing while what belongs to it is still there.
    #[error("journal `{path}` is missing, but `{remains}` exists")]
    Missing { path: PathBuf, remains: PathBuf },
    /// Not an SQLite file, or one of another program.
    #[error("`{path}` is not an Evenkeel journal")]
    NotAJournal { path: PathBuf },
    /// Written by a version of this program with another format.
    #[error("journal `{path}` has format {found}, this program reads format {supported}")]
    Format { path: PathBuf, found: i64, supported: i64 },
    /// The file is damaged.
    #[error("journal `{path}` is damaged: {what}")]
    Corrupt {
        path: PathBuf,
        what: String,
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// A record or note is not what the chain or a signature says.
    #[error("journal `{path}` was changed: {what}")]
    Changed { path: PathBuf, seq: Option<u64>, what: String },
    /// An exported checkpoint knows more records than the file has.
    #[error(
        "journal `{path}` ends at record {last_seq}, but checkpoint `{note}` covers {size}: \
         an older copy was restored, or the end was cut off"
    )]
    RolledBack { path: PathBuf, last_seq: u64, note: PathBuf, size: u64 },
    /// The journal belongs to another origin.
    #[error("journal `{path}` is of origin `{found}`, not `{given}`")]
    OtherOrigin { path: PathBuf, found: String, given: String },
    /// The journal was started with another key.
    #[error("journal `{path}` is signed by key {found}, not by the given key {given}")]
    OtherKey { path: PathBuf, found: String, given: String },
    /// No space: on the disk, or under the size limit of [`crate::Options`].
    #[error("no space to write journal `{path}`{}", limit_text(*.size_limit_bytes))]
    Full {
        path: PathBuf,
        size_limit_bytes: Option<u64>,
        #[source]
        source: rusqlite::Error,
    },
    /// An earlier write failed in a way that leaves open what is on disk.
    #[error("journal `{path}` takes no more records since a write failed at record {last_seq}")]
    Poisoned { path: PathBuf, last_seq: u64 },
    /// A part of an entry is longer than allowed.
    #[error("{part} of entry {index} has {bytes} bytes, at most {max} are allowed")]
    TooLong { part: &'static str, index: usize, bytes: usize, max: usize },
    /// An entry without a kind.
    #[error("entry {index} has an empty kind")]
    NoKind { index: usize },
    /// More entries in one append than allowed.
    #[error("{entries} entries in one append, at most {max} are allowed")]
    TooMany { entries: usize, max: usize },
    /// Pruning would remove the newest snapshot, or there is none.
    #[error(
        "cannot remove records before {keep_from_seq}: {}",
        snapshot_text(*.snapshot_seq)
    )]
    WouldLoseState { keep_from_seq: u64, snapshot_seq: Option<u64> },
    /// A note file of this name exists with another content.
    #[error("note `{path}` exists and differs from the one to export")]
    NoteDiffers { path: PathBuf },
    /// A filter whose bounds exclude everything.
    #[error("`from` ({from}) is not before `to` ({to})")]
    EmptyRange { from: Timestamp, to: Timestamp },
}

impl StoreError {
    /// What the operator can do about it, without a full stop.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            StoreError::InUse { pid: Some(pid), .. } => {
                return Some(format!(
                    "stop process {pid} first, or give this daemon its own journal"
                ));
            }
            StoreError::InUse { pid: None, .. } => {
                "stop the other daemon first, or give this one its own journal"
            }
            StoreError::Locked { .. } => {
                "close the program that has it open for writing, such as `sqlite3`; the daemon tries again"
            }
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free space; the next call tries again, and no record that was acknowledged is lost"
            }
            StoreError::Io { .. } => {
                "check that the directory exists and belongs to the user of the daemon"
            }
            StoreError::Sqlite { .. } | StoreError::Poisoned { .. } => {
                "check the disk, then restart the daemon; every acknowledged record is kept"
            }
            StoreError::Origin { .. } => "use a name such as `example.com/evenkeel/eu-central-1`",
            StoreError::Empty { .. } | StoreError::Corrupt { .. } => {
                "keep the file and its -wal for analysis, run `evenkeel audit verify` on a copy, then restore the newest copy that verifies"
            }
            StoreError::Missing { .. } => {
                "restore the journal from a copy, or move what remains away to start a new journal"
            }
            StoreError::NotAJournal { .. } => {
                "check the path in the configuration; if it is the right file, its header is damaged: restore the newest copy that `evenkeel audit verify` accepts"
            }
            StoreError::Format { .. } => {
                "use the version of Evenkeel that wrote it, or a newer one"
            }
            StoreError::Changed { .. } => {
                "keep the file as evidence, run `evenkeel audit verify` on a copy for all faults, then restore a copy that verifies"
            }
            StoreError::RolledBack { .. } => {
                "restore the newest copy; to go on with the older one knowingly, move the newer note files away"
            }
            StoreError::OtherOrigin { .. } => {
                "check the region and the journal path in the configuration"
            }
            StoreError::OtherKey { .. } => {
                "restore the key that started the journal, or move the journal away to start a new one"
            }
            StoreError::Full { .. } => {
                "free space or raise the limit; records are then accepted at once, and none that was acknowledged is lost"
            }
            StoreError::WouldLoseState { .. } => {
                "append a snapshot first, then prune at most up to it"
            }
            StoreError::NoteDiffers { .. } => {
                "keep both: two signed notes for one position show that the journal has two histories"
            }
            StoreError::EmptyRange { .. } => "swap the two",
            StoreError::TooLong { .. } | StoreError::NoKind { .. } | StoreError::TooMany { .. } => {
                return None;
            }
        };
        Some(hint.into())
    }
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".into(), |pid| pid.to_string())
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map_or_else(String::new, |bytes| format!(" (its limit is {bytes} bytes)"))
}

fn snapshot_text(seq: Option<u64>) -> String {
    seq.map_or_else(
        || "there is no snapshot, so every record is needed to rebuild the state".into(),
        |seq| format!("the newest snapshot is record {seq}, and the state is rebuilt from there"),
    )
}

/// Turns an SQLite error into the variant a person can act on.
pub(crate) fn sqlite(
    path: &Path,
    what: &'static str,
) -> impl FnOnce(rusqlite::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { path, size_limit_bytes: None, source },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked { path, what, source }
        }
        Some(ErrorCode::NotADatabase) => StoreError::NotAJournal { path },
        Some(ErrorCode::DatabaseCorrupt) => {
            StoreError::Corrupt { path, what: format!("cannot {what}"), source: Some(source) }
        }
        _ => StoreError::Sqlite { path, what, source },
    }
}

/// Names the file and step of an I/O error.
pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Io { path, what, source }
}
