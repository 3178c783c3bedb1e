//! `evenkeel audit export`: the journal as lines of JSON.
//!
//! **In:** a journal on disk, or the agent's.
//! **Out:** one record per line, oldest first, each with its number and its link.
//! **Not here:** verifying (see [`crate::audit`]), the line itself (see
//! [`crate::journal_line`]).

use std::ops::ControlFlow;
use std::path::Path;

use evenkeel_store::Reader;

use crate::args::{Common, ExportArgs};
use crate::audit::AUDIT_PATIENCE;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::journal_line::journal_line;
use crate::terminal::Terminal;

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
    Reader::open(path)?.scan(from_seq, &mut |record| match journal_line(&record)
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
