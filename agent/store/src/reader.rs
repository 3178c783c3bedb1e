//! Reading a journal, live or as a copy, without changing it.
//!
//! **In:** the path of a journal, and filters.
//! **Out:** records as they were appended.
//! **Not here:** proving them unchanged (see [`crate::verify`]).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::chain::Link;
use crate::error::{StoreError, sqlite};
use crate::key::VerifyingKey;
use crate::retention::SNAPSHOT_KIND;
use crate::store::embedded_key;
use crate::tail::{as_sql, ends};
use crate::{QUERY_BYTES_MAX, QUERY_RECORDS_MAX, schema};

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Position in the journal; the first record ever is 1, and none is left out.
    pub seq: u64,
    /// When it happened, to the microsecond.
    pub at: Timestamp,
    /// What it is.
    pub kind: String,
    /// The target it is about.
    pub target_id: Option<String>,
    /// Its bytes, as appended.
    pub body: Vec<u8>,
    /// Link of the chain: commits to this record and all before it.
    pub link: Link,
}

/// Which records to return. All conditions must hold; the default filter has none.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only records about exactly this target.
    pub target_id: Option<String>,
    /// Only records of exactly this kind.
    pub kind: Option<String>,
    /// Only records at or after this time.
    pub from: Option<Timestamp>,
    /// Only records before this time.
    pub to: Option<Timestamp>,
    /// Only records after this position, exclusive.
    pub after_seq: Option<u64>,
    /// Only records before this position, exclusive.
    pub before_seq: Option<u64>,
    /// Newest first, which also decides which ones fall under `limit`.
    pub newest_first: bool,
    /// Most records to return; at most [`QUERY_RECORDS_MAX`], whatever it says.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            target_id: None,
            kind: None,
            from: None,
            to: None,
            after_seq: None,
            before_seq: None,
            newest_first: false,
            limit: QUERY_RECORDS_MAX,
        }
    }
}

/// A read-only connection. Each call sees one consistent state of the journal.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    conn: Connection,
    key: VerifyingKey,
}

impl Reader {
    /// Opens a live journal or a copy of one. Needs no lock and changes neither file nor
    /// directory when the copy has no write-ahead log; with one, SQLite keeps an index
    /// of it beside the file (`-shm`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when there is no such file; one variant each for a file that is
    /// empty, damaged, or of another program or format.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let path = schema::resolve(path)?;
        let (conn, _) = schema::connect_reader(&path)?;
        let key = embedded_key(&conn, &path)?;
        Ok(Reader { path, conn, key })
    }

    /// Name of the journal.
    pub fn origin(&self) -> &str {
        self.key.name()
    }

    /// The public key that the journal names. It proves nothing about who wrote the file.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The newest record of `kind`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when the file is damaged there; [`StoreError::Sqlite`].
    pub fn latest_of_kind(&self, kind: &str) -> Result<Option<StoredRecord>, StoreError> {
        let filter =
            Filter { kind: Some(kind.into()), newest_first: true, limit: 1, ..Filter::default() };
        Ok(self.query(&filter)?.pop())
    }

    /// Passes every record from `from_seq` on to `visit`, in order, until it breaks. One
    /// record is in memory at a time. While it runs, the write-ahead log of a live
    /// journal cannot be reused: `visit` should not wait for anything slow.
    ///
    /// # Errors
    ///
    /// As [`Reader::latest_of_kind`]; the records before the fault were visited.
    pub fn scan(
        &self,
        from_seq: u64,
        visit: &mut dyn FnMut(StoredRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let failed = |error| sqlite(&self.path, "read")(error);
        let mut statement = self
            .conn
            .prepare_cached(
                "SELECT seq, at_us, kind, target_id, link, body FROM records WHERE ?1 <= seq ORDER BY seq",
            )
            .map_err(failed)?;
        let mut rows = statement.query([as_sql(from_seq)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if visit(self.record(row)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The records that match `filter`, in the order it names.
    ///
    /// At most [`QUERY_RECORDS_MAX`], and none more once their bodies exceed
    /// [`QUERY_BYTES_MAX`]: to go on, ask again with `after_seq` or `before_seq` set to
    /// the last one returned. An empty answer means that there are no more.
    ///
    /// # Errors
    ///
    /// [`StoreError::EmptyRange`] when `to` is not after `from`; otherwise as
    /// [`Reader::latest_of_kind`].
    pub fn query(&self, filter: &Filter) -> Result<Vec<StoredRecord>, StoreError> {
        let Filter { target_id, kind, from, to, after_seq, before_seq, newest_first, limit } =
            filter;
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            return Err(StoreError::EmptyRange { from: *from, to: *to });
        }
        let failed = |error| sqlite(&self.path, "read")(error);
        let micros = |at: &Timestamp| Value::Integer(ceil_microsecond(*at));
        let conditions = [
            ("target_id = ", target_id.clone().map(Value::Text)),
            // Spelled out because only then the index of snapshots applies.
            (
                "kind = 'snapshot' AND kind = ",
                kind.clone().filter(|kind| kind == SNAPSHOT_KIND).map(Value::Text),
            ),
            ("kind = ", kind.clone().filter(|kind| kind != SNAPSHOT_KIND).map(Value::Text)),
            ("at_us >= ", from.as_ref().map(micros)),
            ("at_us < ", to.as_ref().map(micros)),
            ("seq > ", after_seq.map(|seq| Value::Integer(as_sql(seq)))),
            ("seq < ", before_seq.map(|seq| Value::Integer(as_sql(seq)))),
        ];
        let mut sql = String::from("SELECT seq, at_us, kind, target_id, link, body FROM records");
        if target_id.is_some() {
            sql.push_str(" INDEXED BY records_by_target");
        }
        sql.push_str(" WHERE ");
        let mut values = Vec::new();
        for (condition, value) in conditions {
            if let Some(value) = value {
                sql.push_str(&format!("{condition}? AND "));
                values.push(value);
            }
        }
        // One statement without a target; with one, a statement per block of its index.
        sql.push_str(if target_id.is_some() { "seq >> 10 = ?" } else { "?" });
        sql.push_str(if *newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" });

        // One transaction, so that all blocks are of one state.
        let tx = self.conn.unchecked_transaction().map_err(failed)?;
        let blocks = match ends(&tx).map_err(failed)? {
            None => return Ok(Vec::new()),
            Some(_) if target_id.is_none() => 1..=1,
            Some((first, last)) => {
                let first = after_seq.map_or(first, |after| first.max(after.saturating_add(1)));
                let last = before_seq.map_or(last, |before| last.min(before.saturating_sub(1)));
                as_sql(first >> schema::BLOCK_BITS)..=as_sql(last >> schema::BLOCK_BITS)
            }
        };
        let mut page =
            Page { records: Vec::new(), bytes: 0, limit: (*limit).min(QUERY_RECORDS_MAX) };
        let mut statement = tx.prepare_cached(&sql).map_err(failed)?;
        let (mut up, mut down) = (blocks.clone(), blocks.rev());
        while !page.is_full()
            && let Some(block) = if *newest_first { down.next() } else { up.next() }
        {
            let block = [Value::Integer(block)];
            let mut rows =
                statement.query(params_from_iter(values.iter().chain(&block))).map_err(failed)?;
            while !page.is_full()
                && let Some(row) = rows.next().map_err(failed)?
            {
                page.push(self.record(row)?);
            }
        }
        Ok(page.records)
    }

    /// Sequence number of the first record that retention left; `None` without records.
    ///
    /// # Errors
    ///
    /// As [`Reader::latest_of_kind`].
    pub fn first_seq(&self) -> Result<Option<u64>, StoreError> {
        Ok(ends(&self.conn).map_err(sqlite(&self.path, "read"))?.map(|(first, _)| first))
    }

    /// Sequence number of the last record; `None` without records.
    ///
    /// # Errors
    ///
    /// As [`Reader::latest_of_kind`].
    pub fn last_seq(&self) -> Result<Option<u64>, StoreError> {
        Ok(ends(&self.conn).map_err(sqlite(&self.path, "read"))?.map(|(_, last)| last))
    }

    /// Records in the file, by counting rows: about 30 ms per million.
    ///
    /// # Errors
    ///
    /// As [`Reader::latest_of_kind`].
    pub fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self
            .conn
            .query_row("SELECT count(*) FROM records", [], |row| row.get(0))
            .map_err(sqlite(&self.path, "count"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn record(&self, row: &Row<'_>) -> Result<StoredRecord, StoreError> {
        record(row).map_err(|source| {
            let seq: i64 = row.get(0).unwrap_or(0);
            StoreError::Corrupt {
                path: self.path.clone(),
                what: format!("record {seq} is unreadable"),
                source: Some(source),
            }
        })
    }
}

/// An answer that grows up to its bounds.
struct Page {
    records: Vec<StoredRecord>,
    bytes: usize,
    limit: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.limit <= self.records.len() || QUERY_BYTES_MAX < self.bytes
    }

    fn push(&mut self, record: StoredRecord) {
        self.bytes += record.body.len();
        self.records.push(record);
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<StoredRecord> {
    let (seq, at_us): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(StoredRecord {
        seq: u64::try_from(seq).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, seq))?,
        at: Timestamp::from_microsecond(at_us)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, at_us))?,
        kind: row.get(2)?,
        target_id: row.get(3)?,
        link: row.get(4)?,
        body: row.get(5)?,
    })
}

// Times are stored to the microsecond, rounded down; a bound between two
// microseconds must therefore be rounded up.
fn ceil_microsecond(at: Timestamp) -> i64 {
    let floor = at.as_microsecond();
    if at.as_nanosecond() % 1000 == 0 { floor } else { floor.saturating_add(1) }
}
