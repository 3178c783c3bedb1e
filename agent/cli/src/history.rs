//! `evenkeel history`: what happened, newest first.
//!
//! **In:** the agent's records, or those of a journal on disk.
//! **Out:** a line per record, or all of it as JSON.
//! **Not here:** whether they are as they were written (see [`crate::audit`]).

use std::path::Path;

use evenkeel_core::api::{HistoryAnswer, HistoryRecord};
use evenkeel_core::ids::TargetId;
use evenkeel_store::{Filter, Reader, StoredRecord, to_hex};
use jiff::Timestamp;

use crate::args::{Common, HistoryArgs, Output, When};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::record_line::record_line;
use crate::table::{Table, or_none};
use crate::terminal::Terminal;
use crate::times;

/// Asks or reads, and shows.
///
/// # Errors
///
/// As [`Client::get`]; with a journal, [`Failure::Store`].
pub(crate) fn run(
    args: &HistoryArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    if let Some(path) = &args.store {
        let answer = HistoryAnswer { records: read(path, args)? };
        match common.output {
            Output::Json => terminal.json(&answer)?,
            Output::Text => show(&answer, terminal)?,
        }
        return Ok(Exit::Done);
    }
    let client = Client::new(common, terminal)?;
    let target = args.target.as_ref().map(TargetId::as_str);
    let instant = |when: Option<When>| when.map(|it| client.instant(it, target)).transpose();
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(target.map(|it| ("target", it.to_owned())));
    query.extend(args.kind.as_ref().map(|it| ("kind", it.clone())));
    query.extend(instant(args.from)?.map(|it| ("from", it.to_string())));
    query.extend(instant(args.to)?.map(|it| ("to", it.to_string())));
    let answer = client.get::<HistoryAnswer>(&["history"], &query)?;
    match common.output {
        Output::Json => terminal.data(answer.json.trim_end())?,
        Output::Text => show(&answer.value, terminal)?,
    }
    Ok(Exit::Done)
}

fn show(answer: &HistoryAnswer, terminal: &Terminal) -> Result<(), Failure> {
    if answer.records.is_empty() {
        terminal.talk("no such records");
        return Ok(());
    }
    let mut table = Table::new(["record", "at", "kind", "target", "what"]);
    for it in &answer.records {
        table.row([
            it.seq.to_string(),
            times::full(it.at),
            it.kind.clone(),
            or_none(it.target.as_ref()),
            record_line(it),
        ]);
    }
    terminal.data(&table.text())
}

/// Records of a journal on disk. "Ago" is before this host's now.
fn read(path: &Path, args: &HistoryArgs) -> Result<Vec<HistoryRecord>, Failure> {
    let instant = |when: When| match when {
        When::At(at) => at,
        When::Ago(ago) => Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN),
    };
    let filter = Filter {
        target_id: args.target.as_ref().map(ToString::to_string),
        kind: args.kind.clone(),
        from: args.from.map(instant),
        to: args.to.map(instant),
        newest_first: true,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        ..Filter::default()
    };
    let reader = Reader::open(path)?;
    let mut records = Vec::new();
    // An answer of the reader is bounded in bytes too, so it may be a part.
    let mut filter = filter;
    while 0 < filter.limit {
        let part = reader.query(&filter)?;
        let Some(last) = part.last() else { break };
        filter.before_seq = Some(last.seq);
        filter.limit = filter.limit.saturating_sub(part.len());
        records.extend(part.into_iter().map(record));
    }
    Ok(records)
}

/// A stored record as the API shows it; a body that is no JSON as text.
fn record(stored: StoredRecord) -> HistoryRecord {
    let StoredRecord { seq, at, kind, target_id, body, link } = stored;
    let record = serde_json::from_slice(&body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    let target = target_id.and_then(|it| TargetId::new(&it).ok());
    HistoryRecord { seq, at, kind, target, record, link: to_hex(&link) }
}
