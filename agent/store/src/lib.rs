//! The durable, hash-chained journal: one SQLite file, one writer.
//!
//! **In:** record bodies as opaque bytes, with time, kind and target; a signing
//! key; the time of each call. Nothing here reads a clock.
//! **Out:** records that are on disk when [`Store::append`] returns, in one order
//! that [`verify`] can prove unchanged from the file alone.
//! **Not here:** what a record means (`evenkeel-core`), when to append, checkpoint
//! or prune (the daemon), and how any of it is printed (the command line).
//!
//! Everything blocks; an asynchronous caller gives the store its own thread.

mod chain;
mod checkpoint;
mod error;
mod export;
mod hex;
mod key;
mod lock;
mod note;
mod reader;
mod retention;
mod schema;
mod store;
mod tail;
mod verify;

pub use chain::{Link, chain_genesis};
pub use checkpoint::{Checkpoint, Prune};
pub use error::StoreError;
pub use hex::{from_hex, to_hex};
pub use key::{KeyError, SigningKey, VerifyingKey};
pub use note::NoteError;
pub use reader::{Filter, Reader, StoredRecord};
pub use retention::{Pruned, SNAPSHOT_KIND};
pub use store::{Entry, Options, Store};
pub use verify::{FAULTS_MAX, Fault, KeySource, LastCheckpoint, Verification, verify};

/// Most bytes in one record body.
///
/// Why 16 MiB: a snapshot of 10,000 targets is about 2 MiB; eight times that
/// leaves room, and one record still fits in memory many times over.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most bytes in a record kind.
///
/// Why 64: kinds are short constant words, and each row and index entry repeats one.
pub const KIND_BYTES_MAX: usize = 64;

/// Most bytes in a target id.
///
/// Why 512: an Amazon resource name of an Auto Scaling group is below 400 bytes.
pub const TARGET_ID_BYTES_MAX: usize = 512;

/// Most records in one append.
///
/// Why 10,000: one evaluation pass may change every target of a daemon once.
pub const ENTRIES_PER_APPEND_MAX: usize = 10_000;

/// Most records one [`Reader::query`] returns, whatever its limit says.
///
/// Why 10,000: what a page of history or an export step needs; more is a second query.
pub const QUERY_RECORDS_MAX: usize = 10_000;

/// Body bytes after which [`Reader::query`] returns what it has.
///
/// Why 64 MiB: four bodies of the largest size; it bounds a reader's memory.
pub const QUERY_BYTES_MAX: usize = 64 * 1024 * 1024;
