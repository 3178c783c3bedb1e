//! The tables of a journal, and how its file is opened.
//!
//! **In:** the path of a journal.
//! **Out:** a connection that has passed every check that needs no chain: the file is
//! a journal, of this format, with exactly these tables and triggers.
//! **Not here:** the chain (see [`crate::tail`], [`crate::verify`]).

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{StoreError, io, sqlite};
use crate::export::{sync_directory_of, with_suffix};
use crate::key::VerifyingKey;

/// `application_id` of the file: "EvKl".
const APPLICATION_ID: i64 = 0x4576_4b6c;

/// `user_version` of the file.
pub(crate) const FORMAT: i64 = 1;

/// How long one process waits for another's SQLite lock.
///
/// Why 2 s: only short steps (recovery, a WAL checkpoint) ever hold one.
const BUSY: Duration = Duration::from_secs(2);

/// Bytes the write-ahead log keeps after it was larger.
///
/// Why 16 MiB: the usual log is 4 MiB; a snapshot should not leave its size behind.
const WAL_KEEP_BYTES: u32 = 16 * 1024 * 1024;

/// Records per block of the index by target are two to this power.
///
/// Why blocks: entries in plain target order would make a batch about 100 targets
/// write 100 pages of 4 KiB. Within a block of 1,024 they share about six; a reader
/// looks into each block, about 1,000 per million records (measured: 3 ms).
pub(crate) const BLOCK_BITS: u32 = 10;

/// Every object of the schema, by name. The text is compared byte by byte, so a
/// dropped or weakened trigger is seen.
pub(crate) const OBJECTS: [(&str, &str); 14] = [
    (
        "journal",
        "CREATE TABLE journal (id INTEGER PRIMARY KEY CHECK (id = 1), verifier_key TEXT NOT NULL) STRICT",
    ),
    (
        "records",
        "CREATE TABLE records (seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, target_id TEXT, link BLOB NOT NULL, body BLOB NOT NULL) STRICT",
    ),
    (
        "records_by_target",
        "CREATE INDEX records_by_target ON records (seq >> 10, target_id) WHERE target_id IS NOT NULL",
    ),
    ("snapshots", "CREATE INDEX snapshots ON records (kind) WHERE kind = 'snapshot'"),
    (
        "checkpoints",
        "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
    ),
    ("prunes", "CREATE TABLE prunes (first_seq INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT"),
    (
        "records_no_update",
        "CREATE TRIGGER records_no_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    ),
    (
        "records_no_replace",
        "CREATE TRIGGER records_no_replace BEFORE INSERT ON records WHEN NEW.seq <= (SELECT max(seq) FROM records) BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    ),
    (
        "records_no_delete",
        "CREATE TRIGGER records_no_delete BEFORE DELETE ON records WHEN OLD.seq >= (SELECT coalesce(max(first_seq), 0) FROM prunes) BEGIN SELECT RAISE(ABORT, 'only retention removes records'); END",
    ),
    (
        "checkpoints_no_update",
        "CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are write-once'); END",
    ),
    (
        "checkpoints_no_delete",
        "CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints WHEN OLD.size + 1 >= (SELECT coalesce(max(first_seq), 0) FROM prunes) BEGIN SELECT RAISE(ABORT, 'only retention removes checkpoints'); END",
    ),
    (
        "prunes_no_update",
        "CREATE TRIGGER prunes_no_update BEFORE UPDATE ON prunes BEGIN SELECT RAISE(ABORT, 'prune notes are write-once'); END",
    ),
    (
        "prunes_no_delete",
        "CREATE TRIGGER prunes_no_delete BEFORE DELETE ON prunes BEGIN SELECT RAISE(ABORT, 'prune notes are kept'); END",
    ),
    (
        "journal_no_update",
        "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'a journal keeps its key'); END",
    ),
];

/// `path` with its directory resolved, so that two spellings share one lock and no
/// relative name is taken for a URI.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(found) = fs::canonicalize(path) {
        return Ok(found);
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let parent = fs::canonicalize(parent).map_err(io(parent, "find directory"))?;
    match path.file_name() {
        Some(name) => Ok(parent.join(name)),
        None => Err(io(path, "open")(std::io::ErrorKind::InvalidFilename.into())),
    }
}

/// Makes a journal without records at `path`, which must not exist.
///
/// Built under another name and renamed: a journal that exists has its tables, so an
/// empty file is always a fault and never quietly filled.
pub(crate) fn create(path: &Path, key: &VerifyingKey) -> Result<(), StoreError> {
    let draft = with_suffix(path, ".new");
    for leftover in [draft.clone(), with_suffix(path, ".new-journal")] {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(&leftover, "replace")(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(io(&draft, "create"))?;
    fill(&draft, key).map_err(sqlite(path, "create"))?;
    fs::rename(&draft, path).map_err(io(path, "create"))?;
    sync_directory_of(path).map_err(io(path, "sync directory of"))
}

fn fill(draft: &Path, key: &VerifyingKey) -> rusqlite::Result<()> {
    let mut conn = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", FORMAT)?;
    let tx = conn.transaction()?;
    for (_, sql) in OBJECTS {
        tx.execute(sql, [])?;
    }
    tx.execute("INSERT INTO journal (id, verifier_key) VALUES (1, ?1)", [key.to_text()])?;
    tx.commit()?;
    conn.close().map_err(|(_, error)| error)
}

/// The one connection that writes.
pub(crate) fn connect_writer(
    path: &Path,
    size_limit_bytes: Option<u64>,
) -> Result<Connection, StoreError> {
    refuse_empty(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(sqlite(path, "open"))?;
    check_format(&conn, path)?;
    configure_writer(&conn, size_limit_bytes).map_err(sqlite(path, "configure"))?;
    check_length(&conn, path)?;
    check_schema(&conn, path)?;
    Ok(conn)
}

fn configure_writer(conn: &Connection, size_limit_bytes: Option<u64>) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEEP_BYTES)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // 20 statements at most; the default cache holds 16.
    conn.set_prepared_statement_cache_capacity(32);
    if let Some(limit) = size_limit_bytes {
        let page_bytes: u64 =
            conn.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
        let pages = i64::try_from(limit / page_bytes.max(1))
            .unwrap_or(i64::MAX)
            .clamp(1, i64::from(u32::MAX - 2));
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

/// A connection that reads and changes nothing.
///
/// A copy without a write-ahead log is opened as immutable: SQLite then neither
/// locks nor creates files, so a read-only directory will do. With a log it must
/// be read through the log, or the newest records would be missing.
pub(crate) fn connect_reader(path: &Path) -> Result<(Connection, bool), StoreError> {
    refuse_empty(path)?;
    let immutable = !has_wal(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = if immutable {
        Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    }
    .map_err(sqlite(path, "open"))?;
    conn.busy_timeout(BUSY).map_err(sqlite(path, "configure"))?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
        .map_err(sqlite(path, "configure"))?;
    conn.pragma_update(None, "cell_size_check", true).map_err(sqlite(path, "configure"))?;
    check_format(&conn, path)?;
    Ok((conn, immutable))
}

/// Whether records may be in the write-ahead log. An empty log counts while its
/// index exists: a daemon may be about to write.
pub(crate) fn has_wal(path: &Path) -> bool {
    match fs::metadata(with_suffix(path, "-wal")) {
        Ok(wal) => 0 < wal.len() || with_suffix(path, "-shm").exists(),
        Err(_) => false,
    }
}

fn immutable_uri(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(*byte);
        } else {
            uri.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    uri.extend_from_slice(b"?immutable=1");
    OsString::from_vec(uri)
}

// Only `stat`: opening and closing the file here would drop the locks that another
// connection of this process holds on it.
fn refuse_empty(path: &Path) -> Result<(), StoreError> {
    let metadata = fs::metadata(path).map_err(io(path, "open journal"))?;
    if metadata.len() == 0 {
        let has_wal = fs::metadata(with_suffix(path, "-wal")).is_ok_and(|wal| 0 < wal.len());
        return Err(StoreError::Empty { path: path.into(), has_wal });
    }
    Ok(())
}

fn check_format(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(sqlite(path, "read"))? != APPLICATION_ID {
        return Err(StoreError::NotAJournal { path: path.into() });
    }
    let found = pragma("user_version").map_err(sqlite(path, "read"))?;
    if found != FORMAT {
        return Err(StoreError::Format { path: path.into(), found, supported: FORMAT });
    }
    Ok(())
}

// SQLite notices a file that was cut off only when it reads behind the end.
fn check_length(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let copied = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let (busy, log, done) = match copied {
        // A full disk must not keep the daemon from starting: it can still explain.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => return Ok(()),
        copied => copied.map_err(sqlite(path, "read"))?,
    };
    if busy != 0 || log != done {
        return Ok(());
    }
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let pages = pragma("page_count").map_err(sqlite(path, "read"))?;
    let page_bytes = pragma("page_size").map_err(sqlite(path, "read"))?;
    let expected = u64::from(pages) * u64::from(page_bytes);
    let length = fs::metadata(path).map_err(io(path, "open journal"))?.len();
    if length < expected {
        let what = format!("the file has {length} bytes, its header says {expected}");
        return Err(StoreError::Corrupt { path: path.into(), what, source: None });
    }
    Ok(())
}

fn check_schema(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    match schema_faults(conn).map_err(sqlite(path, "read"))?.into_iter().next() {
        None => Ok(()),
        Some(what) => Err(StoreError::Changed { path: path.into(), seq: None, what }),
    }
}

/// Differences between the schema in the file and [`OBJECTS`].
pub(crate) fn schema_faults(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut missing: Vec<_> = OBJECTS.to_vec();
    let mut faults = Vec::new();
    let mut statement =
        conn.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, sql): (String, String) = (row.get(0)?, row.get(1)?);
        match missing.iter().position(|(known, _)| *known == name) {
            None => faults.push(format!("unexpected table, index or trigger `{name}`")),
            Some(at) => {
                if missing.swap_remove(at).1 != sql {
                    faults.push(format!("`{name}` is not as this program created it"));
                }
            }
        }
    }
    faults.extend(
        missing.iter().map(|(name, _)| format!("table, index or trigger `{name}` is missing")),
    );
    Ok(faults)
}

/// The verifier-key text in the file; `None` when it is not exactly one row of text.
pub(crate) fn embedded_key_text(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = conn.prepare("SELECT id, verifier_key FROM journal")?;
    let mut rows = statement.query([])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().ok().map(str::to_owned);
        if found.is_some() || row.get_ref(0)?.as_i64().ok() != Some(1) {
            return Ok(None);
        }
        found = text;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    // No crash that a test can make tells these apart; a power cut does.
    #[test]
    fn a_writer_is_as_durable_as_sqlite_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        create(&path, &SigningKey::from_seed([7; 32]).verifying_key("example.com/eu-1")).unwrap();
        let conn = connect_writer(&path, None).unwrap();
        let number =
            |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        assert_eq!(number("synchronous"), 2, "2 is FULL");
        assert_eq!(number("auto_vacuum"), 2, "2 is INCREMENTAL");
        assert_eq!(number("page_size"), 4096);
    }

    #[test]
    fn a_block_of_the_index_is_as_its_constant_says() {
        let (_, sql) = OBJECTS.iter().find(|(name, _)| *name == "records_by_target").unwrap();
        assert!(sql.contains(&format!("(seq >> {BLOCK_BITS}, target_id)")));
    }
}
