//! Walking the chain, and what a writer needs to know before it continues one.
//!
//! **In:** a connection that passed the checks of [`crate::schema`], and the key.
//! **Out:** the durable end of the chain, or the first reason not to trust it.
//! **Not here:** collecting every fault of the whole file (see [`crate::verify`]).

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::chain::{Columns, Link, chain_genesis, next_link};
use crate::checkpoint::{Checkpoint, Prune};
use crate::error::{StoreError, sqlite};
use crate::key::VerifyingKey;
use crate::retention::SNAPSHOT_KIND;

/// Where the remaining chain begins: after record `first_seq - 1`, whose link is `link`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    pub(crate) first_seq: u64,
    pub(crate) link: Link,
}

impl Base {
    /// The base before any pruning.
    pub(crate) fn genesis(origin: &str) -> Base {
        Base { first_seq: 1, link: chain_genesis(origin) }
    }
}

/// The durable end of a chain that was checked.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) base: Base,
    pub(crate) last_seq: u64,
    pub(crate) last_link: Link,
    pub(crate) last_checkpoint: Option<(Checkpoint, String)>,
    pub(crate) last_prune: Option<(Prune, String)>,
}

/// One row as the walk found it.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) seq: u64,
    pub(crate) link: Link,
    pub(crate) fault: Option<String>,
}

/// Visits the rows from `from` on in order, each with the first thing wrong with it.
///
/// A fault does not stop the walk: the next row is compared with the stored link,
/// so that each fault is reported where it is.
pub(crate) fn walk(
    conn: &Connection,
    from: &Base,
    visit: &mut dyn FnMut(Walked) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, at_us, kind, target_id, link, body FROM records WHERE ?1 <= seq ORDER BY seq",
    )?;
    let mut rows = statement.query([as_sql(from.first_seq)])?;
    let (mut expected, mut before) = (from.first_seq, from.link);
    while let Some(row) = rows.next()? {
        let walked = match columns(row)? {
            Err(seq) => Walked {
                seq,
                link: before,
                fault: Some("a column has the wrong type or length".into()),
            },
            Ok((columns, link)) => {
                let fault = if columns.seq != expected {
                    Some(format!("record {expected} is missing before it"))
                } else if next_link(&before, &columns) != link {
                    Some("the record or its link was changed".into())
                } else {
                    None
                };
                Walked { seq: columns.seq, link, fault }
            }
        };
        (expected, before) = (walked.seq.saturating_add(1), walked.link);
        if visit(walked).is_break() {
            break;
        }
    }
    Ok(())
}

// Raw bytes, because a changed row need not be valid UTF-8 to be reported.
fn columns<'a>(row: &'a Row<'_>) -> rusqlite::Result<Result<(Columns<'a>, Link), u64>> {
    let seq = row.get_ref(0)?.as_i64().ok().and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0);
    let parts = || -> Option<(Columns<'a>, Link)> {
        let columns = Columns {
            seq,
            at_us: row.get_ref(1).ok()?.as_i64().ok()?,
            kind: row.get_ref(2).ok()?.as_bytes().ok()?,
            target_id: row.get_ref(3).ok()?.as_bytes_or_null().ok()?,
            body: row.get_ref(5).ok()?.as_blob().ok()?,
        };
        let link = row.get_ref(4).ok()?.as_blob().ok()?.try_into().ok()?;
        Some((columns, link))
    };
    Ok(parts().ok_or(seq))
}

/// SQLite's integers are signed; no journal reaches the half that does not fit.
pub(crate) fn as_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(crate) fn link_of(conn: &Connection, seq: u64) -> rusqlite::Result<Option<Link>> {
    let mut statement = conn.prepare_cached("SELECT link FROM records WHERE seq = ?1")?;
    let link = statement.query_row([as_sql(seq)], |row| {
        Ok(row.get_ref(0)?.as_blob().ok().and_then(|link| link.try_into().ok()))
    });
    Ok(link.optional()?.flatten())
}

/// First and last sequence number in the table; `None` when it has no row.
pub(crate) fn ends(conn: &Connection) -> rusqlite::Result<Option<(u64, u64)>> {
    let end = |sql| -> rusqlite::Result<Option<i64>> {
        conn.prepare_cached(sql)?.query_row([], |row| row.get(0))
    };
    let first = end("SELECT min(seq) FROM records")?;
    let last = end("SELECT max(seq) FROM records")?;
    Ok(first
        .zip(last)
        .map(|(first, last)| (u64::try_from(first).unwrap_or(0), u64::try_from(last).unwrap_or(0))))
}

pub(crate) fn newest_snapshot(conn: &Connection) -> rusqlite::Result<Option<u64>> {
    // The kind is spelled out because only then the index of snapshots applies.
    let sql = format!("SELECT max(seq) FROM records WHERE kind = '{SNAPSHOT_KIND}'");
    let seq: Option<i64> = conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
}

/// Reads the end of the chain and verifies every record that the state will be
/// rebuilt from: from the newest snapshot, or from the last checkpoint when that is
/// older, to the end.
pub(crate) fn read(conn: &Connection, path: &Path, key: &VerifyingKey) -> Result<Tail, StoreError> {
    let failed = |error| sqlite(path, "read")(error);
    let changed = |seq, what: String| StoreError::Changed { path: path.into(), seq, what };

    let newest = |sql| -> Result<Option<(u64, String)>, StoreError> {
        conn.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
            .optional()
            .map_err(failed)
            .map(|found| found.map(|(place, note)| (u64::try_from(place).unwrap_or(0), note)))
    };

    let mut base = Base::genesis(key.name());
    let mut last_prune = None;
    if let Some((first_seq, note)) =
        newest("SELECT first_seq, note FROM prunes ORDER BY first_seq DESC LIMIT 1")?
    {
        let prune = Prune::open(&note, key).map_err(|error| {
            changed(None, format!("prune note before record {first_seq}: {error}"))
        })?;
        if prune.first_seq != first_seq {
            return Err(changed(
                None,
                format!("prune note in row {first_seq} is about record {}", prune.first_seq),
            ));
        }
        base = Base { first_seq, link: prune.link };
        last_prune = Some((prune, note));
    }

    let (first_seq, last_seq) = match ends(conn).map_err(failed)? {
        Some(ends) => ends,
        None => (base.first_seq, base.first_seq - 1),
    };
    if first_seq != base.first_seq || (last_seq < base.first_seq && last_prune.is_some()) {
        return Err(changed(
            Some(first_seq),
            format!("the first record is {first_seq}, it should be {}", base.first_seq),
        ));
    }

    let mut last_checkpoint = None;
    if let Some((size, note)) =
        newest("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1")?
    {
        let checkpoint = Checkpoint::open(&note, key).map_err(|error| {
            changed(Some(size), format!("checkpoint over {size} records: {error}"))
        })?;
        if checkpoint.size != size {
            return Err(changed(
                Some(size),
                format!("checkpoint in row {size} covers {}", checkpoint.size),
            ));
        }
        if last_seq < size {
            return Err(changed(
                Some(last_seq),
                format!("the last record is {last_seq}, the last checkpoint covers {size}"),
            ));
        }
        last_checkpoint = Some((checkpoint, note));
    }
    let signed = last_checkpoint.as_ref().map(|(checkpoint, _)| *checkpoint);

    let start = match newest_snapshot(conn).map_err(failed)? {
        Some(snapshot) => signed
            .map_or(base.first_seq, |signed| snapshot.min(signed.size + 1))
            .max(base.first_seq),
        None => base.first_seq,
    };
    let before = if start == base.first_seq {
        base.link
    } else {
        link_of(conn, start - 1)
            .map_err(failed)?
            .ok_or_else(|| changed(Some(start - 1), format!("record {} is missing", start - 1)))?
    };
    let against = |seq: u64, link: &Link| match signed {
        Some(signed) if signed.size == seq && signed.link != *link => Err(changed(
            Some(seq),
            format!("record {seq} is not the one that the last checkpoint signed"),
        )),
        _ => Ok(()),
    };
    against(start - 1, &before)?;

    let mut found = Ok((start - 1, before));
    walk(conn, &Base { first_seq: start, link: before }, &mut |walked| {
        let seq = walked.seq;
        found = match walked.fault {
            Some(fault) => Err(changed(Some(seq), format!("record {seq}: {fault}"))),
            None => against(seq, &walked.link).map(|()| (seq, walked.link)),
        };
        if found.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .map_err(failed)?;
    let (last_seq, last_link) = found?;
    Ok(Tail { base, last_seq, last_link, last_checkpoint, last_prune })
}
