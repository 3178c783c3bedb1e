//! `evenkeel audit export`: the journal as lines of JSON.
//!
//! **In:** a journal on disk, or the agent's.
//! **Out:** one record per line, oldest first, each with its number and its link.
//! The field `record` has the very bytes that the link commits to.
//! **Not here:** verifying (see [`crate::audit`]).

use std::ops::ControlFlow;
use std::path::Path;

use evenkeel_store::{Reader, StoredRecord, to_hex};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::{Common, ExportArgs};
use crate::audit::AUDIT_PATIENCE;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

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

/// Exports. `--output` makes no difference: lines of JSON are for both.
///
/// # Errors
///
/// [`Failure::Store`]; as [`Client::stream`]. What was written before is good.
pub(crate) fn run(
    args: &ExportArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    match &args.store {
        Some(path) => export(path, args.from_seq, terminal)?,
        None => {
            let client = Client::patient(common, terminal, AUDIT_PATIENCE)?;
            let query = [("from_seq", args.from_seq.to_string())];
            client.stream(&["audit", "export"], &query, &mut |piece| terminal.bytes(&[piece]))?;
        }
    }
    Ok(Exit::Done)
}

fn export(path: &Path, from_seq: u64, terminal: &Terminal) -> Result<(), Failure> {
    let mut written = Ok(());
    Reader::open(path)?.scan(from_seq, &mut |record| match line(&record)
        .and_then(|it| terminal.bytes(&[it.as_bytes(), b"\n"]))
    {
        Ok(flow) => flow,
        Err(failure) => {
            written = Err(failure);
            ControlFlow::Break(())
        }
    })?;
    written
}

fn line(record: &StoredRecord) -> Result<String, Failure> {
    let StoredRecord { seq, at, kind, target_id, body, link } = record;
    // A record that is no JSON, or spans lines, is shown as text rather than left out.
    let as_text;
    let body: &RawValue = match serde_json::from_slice(body) {
        Ok(raw) if !body.contains(&b'\n') => raw,
        Ok(_) | Err(_) => {
            as_text = serde_json::value::to_raw_value(&String::from_utf8_lossy(body))
                .map_err(Failure::Json)?;
            &as_text
        }
    };
    let (target, link) = (target_id.as_deref(), to_hex(link));
    serde_json::to_string(&Line { seq: *seq, at: *at, kind, target, record: body, link })
        .map_err(Failure::Json)
}
