//! One writer per journal.
//!
//! **In:** the path of the journal.
//! **Out:** a lock that lasts until it is dropped or the process ends, however it ends.
//! **Not here:** SQLite's own locks, which order readers against the writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{StoreError, io};
use crate::export::with_suffix;

/// Exclusive `flock` on `<journal>.lock`. The file stays; only the lock counts.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock and writes this process's id into the file.
    pub(crate) fn take(journal: &Path) -> Result<WriterLock, StoreError> {
        let path = with_suffix(journal, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path, "open lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // The holder wrote its id after locking; for an instant it may not be there yet.
                let mut pid = String::new();
                let _ = file.take(20).read_to_string(&mut pid);
                return Err(StoreError::InUse {
                    path: journal.into(),
                    pid: pid.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(&path, "lock")(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io(&path, "write lock file"))?;
        Ok(WriterLock { _file: file })
    }
}
