//! A stored record as a line of JSON.
//!
//! **In:** a record of a journal on disk.
//! **Out:** what the API answers for it, with the record's own bytes: the link
//! commits to those, and no other spelling of the same JSON.
//! **Not here:** a line for people (see [`crate::record_line`]).

use evenkeel_store::{StoredRecord, to_hex};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// As [`evenkeel_core::api::HistoryRecord`], without taking the record apart.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: Timestamp,
    kind: &'a str,
    target: Option<&'a str>,
    record: &'a RawValue,
    link: String,
}

/// The line, without a line break.
///
/// # Errors
///
/// [`Failure::Json`], which cannot happen for such values.
pub(crate) fn journal_line(record: &StoredRecord) -> Result<String, Failure> {
    let StoredRecord { seq, at, kind, target_id, body, link } = record;
    // Whatever is no JSON, or spans lines, is shown all the same: this is evidence.
    let as_text;
    let record: &RawValue = match serde_json::from_slice(body) {
        Ok(raw) if !body.contains(&b'\n') => raw,
        Ok(_) | Err(_) => {
            as_text = serde_json::value::to_raw_value(&String::from_utf8_lossy(body))
                .map_err(Failure::Json)?;
            &as_text
        }
    };
    let (target, link) = (target_id.as_deref(), to_hex(link));
    serde_json::to_string(&Line { seq: *seq, at: *at, kind, target, record, link })
        .map_err(Failure::Json)
}
