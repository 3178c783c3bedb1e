//! The answer of `audit verify` for people.
//!
//! **In:** a [`VerifyReport`].
//! **Out:** the verdict, what it covers, what it does not, every fault.
//! **Not here:** how it was found (see [`crate::audit`]).

use crate::audit::VerifyReport;
use crate::failure::Failure;
use crate::table::count;
use crate::terminal::{Mark, Stream, Terminal, visible};
use crate::times;

/// Shows `report`; `is_offline` when it is about a file named by the caller.
///
/// # Errors
///
/// [`Failure::Stdout`].
pub(crate) fn show(
    report: &VerifyReport,
    is_offline: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    terminal.data(&text(report, terminal))?;
    if report.intact && report.key_source != "given" {
        terminal.hint(
            "without `--public-key` this proves that the journal fits itself, not who wrote it: \
             compare the key above with one kept elsewhere",
        );
    }
    if !report.intact && is_offline {
        terminal.hint(
            "keep the file as evidence; restore a copy that verifies, and compare the two with \
             `evenkeel audit export --store FILE`",
        );
    }
    if !report.intact && !is_offline {
        terminal.hint(
            "keep the journal as evidence: stop the agent, copy the file with its -wal, and \
             verify the copy with `--store FILE --public-key TEXT`",
        );
    }
    Ok(())
}

fn text(report: &VerifyReport, terminal: &Terminal) -> String {
    let records = match (report.first_seq, report.last_seq) {
        (Some(first), Some(last)) => {
            format!("{} ({first} to {last})", plural(report.records, "record"))
        }
        _ => "no records".to_owned(),
    };
    let mut lines = Vec::new();
    if report.intact {
        let word = terminal.mark(Stream::Out, Mark::Good, "intact");
        lines.push(format!("{word}: {records}"));
    } else {
        let word = terminal.mark(Stream::Out, Mark::Bad, "not intact");
        let n = u64::try_from(report.faults.len()).unwrap_or(u64::MAX);
        let n = n.saturating_add(report.faults_unlisted);
        lines.push(format!("{word}: {} in {records}", plural(n, "fault")));
        // What is wrong names the record, where there is one.
        lines.extend(report.faults.iter().map(|it| format!("  {}", visible(&it.what))));
        if 0 < report.faults_unlisted {
            lines.push(format!("  … and {} more", report.faults_unlisted));
        }
    }
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("  {name:12}{}", visible(value)));
        }
    };
    line("journal", &report.origin);
    line("last link", &report.last_link);
    let notes = match report.exported_notes {
        0 => String::new(),
        n => format!(", {} beside the file", plural(n, "note")),
    };
    let newest = match (report.last_checkpoint_at, report.last_checkpoint_size) {
        (Some(at), Some(size)) => {
            let signed = format!("; the newest, of {}, covers {size}", times::full(at));
            match report.records_after_last_checkpoint {
                0 => signed,
                n => format!("{signed}; {n} after it are chained but not signed yet"),
            }
        }
        _ => String::new(),
    };
    line("signed", &format!("{}{notes}{newest}", plural(report.checkpoints, "checkpoint")));
    if let Some(before) = report.pruned_before {
        line("removed", &format!("records before {before}, by retention, with a signed note"));
    }
    let source = if report.key_source == "given" { " (given)" } else { " (named by the journal)" };
    if !report.verifier_key.is_empty() {
        line("key", &format!("{}{source}", report.verifier_key));
    }
    lines.join("\n")
}

fn plural(n: u64, noun: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), noun)
}
