//! `evenkeel history`: what happened, newest first.
//!
//! **In:** the agent's records, or those of a journal on disk.
//! **Out:** a line per record, or all of it as JSON.
//! **Not here:** whether they are as they were written (see [`crate::audit`]).

use std::path::Path;

use evenkeel_core::ids::TargetId;
use evenkeel_store::{Filter, Reader};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::{Common, HistoryArgs, Output, When};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::journal_line::journal_line;
use crate::record_line::record_line;
use crate::table::{Table, or_none};
use crate::terminal::Terminal;
use crate::times;

/// Most records asked for at once: the agent's own bound.
const PAGE_RECORDS: usize = 1_000;

/// As [`evenkeel_core::api::HistoryAnswer`], with each record as it came.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Records {
    records: Vec<Box<RawValue>>,
}

/// The fields of a record that people see.
#[derive(Debug, Deserialize)]
struct Shown {
    seq: u64,
    at: Timestamp,
    kind: String,
    target: Option<String>,
    record: Value,
}

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
    let found = match &args.store {
        Some(path) => read(path, args)?,
        None => ask(&Client::new(common, terminal)?, args)?,
    };
    match common.output {
        Output::Json => {
            terminal.data(&serde_json::to_string(&found).map_err(Failure::Json)?)?;
        }
        Output::Text if found.records.is_empty() => terminal.talk("no such records"),
        Output::Text => terminal.data(&text(&found)?)?,
    }
    Ok(Exit::Done)
}

fn text(found: &Records) -> Result<String, Failure> {
    let mut table = Table::new(["record", "at", "kind", "target", "what"]);
    for raw in &found.records {
        let it: Shown = serde_json::from_str(raw.get()).map_err(Failure::Json)?;
        let what = record_line(&it.kind, &it.record);
        table.row([it.seq.to_string(), times::full(it.at), it.kind, or_none(it.target), what]);
    }
    Ok(table.text())
}

/// The agent's records, page by page: a page may be short because it is large.
fn ask(client: &Client, args: &HistoryArgs) -> Result<Records, Failure> {
    let target = args.target.as_ref().map(TargetId::as_str);
    let instant = |when: Option<When>| when.map(|it| client.instant(it, target)).transpose();
    let mut filter = Vec::new();
    filter.extend(target.map(|it| ("target", it.to_owned())));
    filter.extend(args.kind.as_ref().map(|it| ("kind", it.clone())));
    filter.extend(instant(args.from)?.map(|it| ("from", it.to_string())));
    filter.extend(instant(args.to)?.map(|it| ("to", it.to_string())));

    let wanted = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut found = Records::default();
    let mut before_seq: Option<u64> = None;
    while found.records.len() < wanted {
        let limit = PAGE_RECORDS.min(wanted - found.records.len());
        let mut query = vec![("limit", limit.to_string())];
        query.extend(filter.iter().cloned());
        query.extend(before_seq.map(|it| ("before_seq", it.to_string())));
        let page = client.get::<Records>(&["history"], &query)?.value.records;
        let last: Option<Shown> = page
            .last()
            .map(|it| serde_json::from_str(it.get()))
            .transpose()
            .map_err(Failure::Json)?;
        // Pages go back in time; one that does not would be asked for for ever.
        let Some(last) = last.filter(|it| before_seq.is_none_or(|before| it.seq < before)) else {
            break;
        };
        before_seq = Some(last.seq);
        found.records.extend(page);
        if last.seq <= 1 {
            break;
        }
    }
    found.records.truncate(wanted);
    Ok(found)
}

/// Records of a journal on disk. "Ago" is before this host's now.
fn read(path: &Path, args: &HistoryArgs) -> Result<Records, Failure> {
    let instant = |when: When| match when {
        When::At(at) => at,
        When::Ago(ago) => Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN),
    };
    let mut filter = Filter {
        target_id: args.target.as_ref().map(ToString::to_string),
        kind: args.kind.clone(),
        from: args.from.map(instant),
        to: args.to.map(instant),
        newest_first: true,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        ..Filter::default()
    };
    let reader = Reader::open(path)?;
    let mut found = Records::default();
    // An answer of the reader is bounded in bytes too, so it may be a part.
    while 0 < filter.limit {
        let part = reader.query(&filter)?;
        let Some(last) = part.last() else { break };
        filter.before_seq = Some(last.seq);
        filter.limit = filter.limit.saturating_sub(part.len());
        for it in &part {
            let line = RawValue::from_string(journal_line(it)?).map_err(Failure::Json)?;
            found.records.push(line);
        }
    }
    Ok(found)
}
