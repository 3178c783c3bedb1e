//! Whatever is changed behind the journal's back, `verify` finds it.
//!
//! **In:** one journal with several checkpoints and a prune, copied per case.
//! **Out:** a fault for each change that any column, row or note can suffer.
//! **Not here:** damage that is not logical (see [`crate::faults`]).

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::OnceLock;

use evenkeel_store::{
    Filter, KeySource, Reader, SigningKey, Store, StoreError, StoredRecord, verify,
};
use proptest::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::support::*;

/// 40 records, the first 13 pruned in two steps; checkpoints over 0 (pruned), 10 (pruned), 20, 30, 38.
fn template() -> &'static [(PathBuf, Vec<u8>)] {
    static TEMPLATE: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let dir = scratch();
        let mut store = open(&journal_in(&dir));
        for round in 0..3 {
            append_ten(&mut store, round * 60);
            store.checkpoint(at(round * 60 + 50)).expect("signed");
        }
        store.prune(4, at(200)).expect("pruned");
        store.prune(14, at(201)).expect("pruned");
        for minute in 0..8 {
            store.append(&[entry(210 + minute, "effect", None, b"{}")]).expect("appended");
        }
        store.checkpoint(at(230)).expect("signed");
        store
            .append(&[entry(231, "effect", None, b"{}"), entry(232, "effect", None, b"{}")])
            .expect("appended");
        drop(store);
        files(dir.path())
    })
}

/// The columns of a table, with its primary key first.
const TABLES: [(&str, &[&str]); 4] = [
    ("records", &["seq", "at_us", "kind", "target_id", "link", "body"]),
    ("checkpoints", &["size", "note"]),
    ("prunes", &["first_seq", "note"]),
    ("journal", &["id", "verifier_key"]),
];

/// Every cell of the template: table, column and primary key.
fn cells() -> &'static [(&'static str, &'static str, i64)] {
    static CELLS: OnceLock<Vec<(&'static str, &'static str, i64)>> = OnceLock::new();
    CELLS.get_or_init(|| {
        let dir = lay_out(template());
        let conn = Connection::open(journal_in(&dir)).expect("opens");
        let mut cells = Vec::new();
        for (table, columns) in TABLES {
            let sql = format!("SELECT {} FROM {table}", columns[0]);
            let mut statement = conn.prepare(&sql).expect("valid");
            let keys: Vec<i64> = statement
                .query_map([], |row| row.get(0))
                .expect("runs")
                .collect::<Result<_, _>>()
                .expect("integers");
            cells.extend(
                keys.iter().flat_map(|key| columns.iter().map(|column| (table, *column, *key))),
            );
        }
        cells
    })
}

/// `value` with one byte changed, inserted or removed, or turned into or from NULL.
fn changed(value: &Value, at: usize, xor: u8) -> Value {
    let bytes = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if bytes.is_empty() {
            bytes.push(xor);
        } else {
            let at = at % bytes.len();
            bytes[at] ^= xor;
        }
        bytes
    };
    match value {
        Value::Null => Value::Text(if xor.is_multiple_of(2) { String::new() } else { "x".into() }),
        Value::Integer(number) => {
            let mut parts = number.to_le_bytes();
            parts[at % 8] ^= xor;
            Value::Integer(i64::from_le_bytes(parts))
        }
        Value::Real(_) => unreachable!("no column holds a real number"),
        Value::Text(text) => Value::Blob(bytes(text.as_bytes())),
        Value::Blob(blob) => Value::Blob(bytes(blob)),
    }
}

/// Changes one cell. `None` when SQLite itself refuses the result (a key that exists).
fn change_cell(cell: (&str, &str, i64), at: usize, xor: u8) -> Option<tempfile::TempDir> {
    let dir = lay_out(template());
    let (table, column, key) = cell;
    let primary = TABLES.iter().find(|(name, _)| *name == table).expect("known").1[0];
    let done = tamper(&journal_in(&dir), |conn| {
        let sql = format!("SELECT {column}, typeof({column}) FROM {table} WHERE {primary} = ?1");
        let (old, kind): (Value, String) =
            conn.query_row(&sql, [key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let new = changed(&old, at, xor);
        assert_ne!(old, new, "a change changes something");
        let cast = if kind == "text" { "CAST(?1 AS TEXT)" } else { "?1" };
        conn.execute(
            &format!("UPDATE {table} SET {column} = {cast} WHERE {primary} = ?2"),
            params![new, key],
        )
    });
    match done {
        Ok(rows) => {
            assert_eq!(rows, 1);
            Some(dir)
        }
        Err(error) => {
            assert_eq!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::ConstraintViolation),
                "{error}"
            );
            None
        }
    }
}

#[track_caller]
fn check_found(dir: &tempfile::TempDir, what: &str) {
    let found = verify(&journal_in(dir), Some(&public())).expect("readable");
    assert!(!found.intact, "not found: {what}");
    assert!(!found.faults.is_empty());
    // The same without the exported notes and without a key: a lone copy must tell too.
    let _ = fs::remove_dir_all(dir.path().join("journal.db.checkpoints"));
    if let Ok(found) = verify(&journal_in(dir), None) {
        assert!(!found.intact, "not found in a lone copy: {what}");
    }
}

#[test]
fn the_untouched_template_verifies() {
    let dir = lay_out(template());
    let found = verify(&journal_in(&dir), Some(&public())).unwrap();
    assert_eq!(found.faults, []);
    assert!(found.intact);
    assert_eq!(
        (found.records, found.first_seq, found.last_seq, found.pruned_before),
        (27, Some(14), Some(40), Some(14))
    );
    assert_eq!((found.checkpoints, found.exported_notes), (3, 7));
    assert_eq!(found.last_checkpoint.map(|last| (last.size, last.at)), Some((38, at(230))));
    assert_eq!((found.records_after_last_checkpoint, found.key_source), (2, KeySource::Given));
    assert_eq!(found.verifier_key, public().to_text());
}

#[test]
fn every_column_of_every_row_is_covered() {
    for cell in cells() {
        if let Some(dir) = change_cell(*cell, 0, 1) {
            check_found(&dir, &format!("{cell:?}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_of_any_column_is_found(
        cell in any::<prop::sample::Index>(),
        at in any::<usize>(),
        xor in 1u8..,
    ) {
        let cell = *cell.get(cells());
        if let Some(dir) = change_cell(cell, at, xor) {
            check_found(&dir, &format!("{cell:?} byte {at} ^ {xor}"));
        }
    }

    // Not every byte of a page means something; but then it changes no answer either.
    #[test]
    fn a_changed_byte_of_the_file_is_found_or_means_nothing(
        at in any::<prop::sample::Index>(),
        xor in 1u8..,
    ) {
        let mut content = template().to_vec();
        let journal = content.iter_mut().find(|(name, _)| name.ends_with("journal.db")).expect("there");
        let at = at.index(journal.1.len());
        journal.1[at] ^= xor;
        let dir = lay_out(&content);
        if let Ok(found) = verify(&journal_in(&dir), Some(&public()))
            && found.intact
        {
            prop_assert_eq!(all(&journal_in(&dir)), all(&journal_in(&lay_out(template()))), "byte {}", at);
        }
    }
}

fn all(path: &std::path::Path) -> Vec<StoredRecord> {
    let mut records = Vec::new();
    Reader::open(path)
        .expect("opens")
        .scan(0, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .expect("reads");
    records
}

#[test]
fn a_removed_record_is_found() {
    for seq in 14..=38 {
        let dir = lay_out(template());
        tamper(&journal_in(&dir), |conn| conn.execute("DELETE FROM records WHERE seq = ?1", [seq]))
            .unwrap();
        check_found(&dir, &format!("record {seq} removed"));
    }
}

#[test]
fn a_cut_off_end_is_found_down_to_the_last_checkpoint() {
    for seq in 14..=38 {
        let dir = lay_out(template());
        tamper(&journal_in(&dir), |conn| {
            conn.execute("DELETE FROM records WHERE ?1 <= seq", [seq])
        })
        .unwrap();
        check_found(&dir, &format!("records from {seq} removed"));
    }
}

// Removing the checkpoints too leaves a file that fits itself: only the exported notes tell.
#[test]
fn a_cut_off_end_without_its_checkpoints_is_found_by_the_exported_notes() {
    let dir = lay_out(template());
    tamper(&journal_in(&dir), |conn| {
        conn.execute_batch(
            "DELETE FROM records WHERE 30 < seq; DELETE FROM checkpoints WHERE 30 < size",
        )
    })
    .unwrap();
    let found = verify(&journal_in(&dir), None).unwrap();
    let told: Vec<_> = found.faults.iter().map(|fault| fault.what.as_str()).collect();
    assert_eq!(
        told,
        ["exported note `38.note` is not in the journal: an older copy, or another history"]
    );
}

#[test]
fn removed_notes_are_found() {
    for sql in [
        "DELETE FROM prunes WHERE first_seq = 4",
        "DELETE FROM prunes WHERE first_seq = 14",
        "DELETE FROM prunes",
        "DELETE FROM journal",
    ] {
        let dir = lay_out(template());
        tamper(&journal_in(&dir), |conn| conn.execute(sql, [])).unwrap();
        check_found(&dir, sql);
    }
}

// Somebody without the key can make the chain fit again, but not what was signed.
#[test]
fn a_record_changed_together_with_all_links_after_it_is_found_down_to_the_last_checkpoint() {
    for seq in 15..=40 {
        let dir = lay_out(template());
        let path = journal_in(&dir);
        tamper(&path, |conn| {
            conn.execute("UPDATE records SET body = x'32' WHERE seq = ?1", [seq])?;
            relink(conn, seq)
        })
        .unwrap();
        if seq <= 38 {
            let opened = Store::open(&path, ORIGIN, key(), at(300)).map(drop);
            assert!(
                opened.is_err_and(|error| matches!(error, StoreError::Changed { .. })),
                "{seq}"
            );
            check_found(&dir, &format!("{seq} and all links after it changed"));
        } else {
            // Not signed yet: this is what checkpoints are frequent for.
            let found = verify(&path, Some(&public())).unwrap();
            assert_eq!((found.intact, found.records_after_last_checkpoint), (true, 2), "{seq}");
        }
    }
}

// Queries answer from an index; one that lacks entries would hide records from people.
#[test]
fn an_index_that_hides_records_is_found() {
    let dir = lay_out(template());
    tamper(&journal_in(&dir), |conn| {
        let named = "name = 'records_by_target'";
        let sql: String =
            conn.query_row(&format!("SELECT sql FROM sqlite_schema WHERE {named}"), [], |row| {
                row.get(0)
            })?;
        conn.execute_batch(&format!(
            "DROP INDEX records_by_target; {sql} AND target_id = 'nobody'"
        ))?;
        conn.pragma_update(None, "writable_schema", true)?;
        conn.execute(&format!("UPDATE sqlite_schema SET sql = ?1 WHERE {named}"), [sql])
    })
    .unwrap();
    let filter = Filter { target_id: Some("checkout-api".into()), ..Filter::default() };
    let hidden = Reader::open(&journal_in(&dir)).unwrap().query(&filter).unwrap();
    assert_eq!(hidden, [], "the tampering works");
    check_found(&dir, "entries of an index removed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn exchanged_records_are_found(a in 14i64..=40, b in 14i64..=40) {
        prop_assume!(a != b);
        let dir = lay_out(template());
        tamper(&journal_in(&dir), |conn| {
            conn.execute("UPDATE records SET seq = -1 WHERE seq = ?1", [a])?;
            conn.execute("UPDATE records SET seq = ?1 WHERE seq = ?2", [a, b])?;
            conn.execute("UPDATE records SET seq = ?1 WHERE seq = -1", [b])
        })
        .expect("exchanged");
        check_found(&dir, &format!("{a} and {b} exchanged"));
    }

    #[test]
    fn an_inserted_record_is_found(seq in prop_oneof![-3i64..14, 41i64..100], like in 14i64..=40) {
        let dir = lay_out(template());
        tamper(&journal_in(&dir), |conn| {
            conn.execute(
                "INSERT INTO records (seq, at_us, kind, target_id, link, body)
                 SELECT ?1, at_us, kind, target_id, link, body FROM records WHERE seq = ?2",
                [seq, like],
            )
        })
        .expect("inserted");
        check_found(&dir, &format!("{seq} inserted like {like}"));
    }
}

#[test]
fn a_changed_schema_is_found() {
    for sql in [
        "DROP TRIGGER records_no_update",
        "DROP TRIGGER records_no_delete; CREATE TRIGGER records_no_delete BEFORE DELETE ON records BEGIN SELECT 1; END",
        "DROP INDEX records_by_target",
        "CREATE TABLE more (x)",
        "CREATE VIEW less AS SELECT * FROM records",
    ] {
        let dir = lay_out(template());
        Connection::open(journal_in(&dir)).unwrap().execute_batch(sql).unwrap();
        check_found(&dir, sql);
        assert!(Store::open(&journal_in(&dir), ORIGIN, key(), at(300)).is_err(), "{sql}");
    }
}

#[test]
fn a_journal_rewritten_under_another_key_verifies_only_without_ours() {
    let dir = scratch();
    let mut forged =
        Store::open(&journal_in(&dir), ORIGIN, SigningKey::from_seed([8; 32]), at(0)).unwrap();
    append_ten(&mut forged, 0);
    forged.checkpoint(at(9)).unwrap();
    let lone = verify(&journal_in(&dir), None).unwrap();
    assert_eq!((lone.intact, lone.key_source), (true, KeySource::Embedded));
    assert!(!verify(&journal_in(&dir), Some(&public())).unwrap().intact);
}

#[test]
fn tampering_is_refused_at_open_too() {
    for (sql, what) in [
        (
            "UPDATE records SET body = x'00' WHERE seq = 39",
            "record 39: the record or its link was changed",
        ),
        (
            "UPDATE records SET link = zeroblob(32) WHERE seq = 38",
            "record 38: the record or its link was changed",
        ),
        ("DELETE FROM records WHERE seq = 39", "record 40: record 39 is missing before it"),
        (
            "DELETE FROM records WHERE 35 < seq",
            "the last record is 35, the last checkpoint covers 38",
        ),
        ("DELETE FROM records WHERE seq = 14", "the first record is 15, it should be 14"),
        ("DELETE FROM prunes", "the first record is 14, it should be 1"),
        (
            "UPDATE checkpoints SET note = replace(note, '38', '37') WHERE size = 38",
            "checkpoint over 38 records: signature does not fit the text",
        ),
        ("DELETE FROM journal", "it does not name the key that signs it"),
    ] {
        let dir = lay_out(template());
        let path = journal_in(&dir);
        tamper(&path, |conn| conn.execute(sql, [])).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Store::open(&path, ORIGIN, key(), at(300)).unwrap_err();
        assert!(
            told(&error, dir.path())
                .starts_with(&format!("journal `DIR/journal.db` was changed: {what}")),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), before, "evidence is not touched");
    }
}

#[test]
fn sql_from_a_shell_is_refused_by_triggers() {
    let dir = lay_out(template());
    let conn = Connection::open(journal_in(&dir)).unwrap();
    for sql in [
        "UPDATE records SET body = x'00' WHERE seq = 20",
        "DELETE FROM records WHERE seq = 14",
        "DELETE FROM records WHERE seq = 40",
        "INSERT OR REPLACE INTO records SELECT seq, at_us, kind, target_id, link, x'00' FROM records WHERE seq = 20",
        "UPDATE checkpoints SET size = 39 WHERE size = 38",
        "DELETE FROM checkpoints WHERE size = 38",
        "DELETE FROM checkpoints WHERE size = 20",
        "UPDATE prunes SET first_seq = 15",
        "DELETE FROM prunes",
        "UPDATE journal SET verifier_key = ''",
    ] {
        let error = conn.execute(sql, []).unwrap_err();
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{sql}: {error}"
        );
    }
    drop(conn);
    assert!(verify(&journal_in(&dir), None).unwrap().intact);
}
