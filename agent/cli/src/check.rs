//! `evenkeel check`: are these documents right?
//!
//! **In:** files, directories or stdin; no agent.
//! **Out:** every fault, for people or as JSON; exit 1 when one is an error.
//! **Not here:** finding the files (see [`crate::sources`]), the checks
//! themselves ([`evenkeel_core::documents::load`]).

use evenkeel_core::documents::{self, Diagnostic, Severity, SourceText};
use serde::Serialize;

use crate::args::{CheckArgs, Common, Output};
use crate::failure::{Exit, Failure};
use crate::sources;
use crate::table::count;
use crate::terminal::{Mark, Stream, Terminal, visible};

/// What `--output json` prints. The fields are a contract.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    documents: usize,
    diagnostics: Vec<Line<'a>>,
}

/// One diagnostic of it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    severity: Severity,
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
    hint: &'a str,
}

impl<'a> Line<'a> {
    fn of(diagnostic: &'a Diagnostic) -> Line<'a> {
        let Diagnostic { severity, file, line, column, message, hint, snippet: _ } = diagnostic;
        Line { severity: *severity, file, line: *line, column: *column, message, hint }
    }
}

/// Checks, and says what was found.
///
/// # Errors
///
/// Only [`Failure::Stdout`]; faults of files are diagnostics.
pub(crate) fn run(args: &CheckArgs, common: &Common, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.schema {
        terminal.json(&documents::json_schema())?;
        return Ok(Exit::Done);
    }
    let read = sources::read(&args.paths);
    let texts: Vec<SourceText<'_>> =
        read.found.iter().map(|it| SourceText { file: &it.file, text: &it.text }).collect();
    let loaded = documents::load(&texts);
    let diagnostics: Vec<&Diagnostic> = read.faults.iter().chain(&loaded.diagnostics).collect();
    let n_errors = diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
    let ok = n_errors == 0 && loaded.documents.is_some();

    match common.output {
        Output::Json => terminal.json(&Report {
            ok,
            documents: loaded.n_documents,
            diagnostics: diagnostics.iter().map(|it| Line::of(it)).collect(),
        })?,
        Output::Text => {
            for diagnostic in &diagnostics {
                terminal.talk(&format!("{}\n", shown(diagnostic, terminal)));
            }
            let read = format!(
                "{} in {}",
                count(loaded.n_documents, "document"),
                count(read.found.len(), "file")
            );
            let errors = count(n_errors, "error");
            let warnings = count(diagnostics.len() - n_errors, "warning");
            let word = if ok {
                terminal.mark(Stream::Out, Mark::Good, "ok")
            } else {
                terminal.mark(Stream::Out, Mark::Bad, "invalid")
            };
            terminal.data(&format!("{word}: {read}, {errors}, {warnings}"))?;
        }
    }
    Ok(if ok { Exit::Done } else { Exit::Refused })
}

/// The diagnostic as the core shows it, with its first word in colour.
fn shown(diagnostic: &Diagnostic, terminal: &Terminal) -> String {
    let text = documents::show(diagnostic);
    let lines: Vec<String> = text.lines().map(visible).collect();
    let text = lines.join("\n");
    let (word, mark) = match diagnostic.severity {
        Severity::Error => ("error", Mark::Bad),
        Severity::Warning => ("warning", Mark::Doubtful),
    };
    match text.strip_prefix(word) {
        Some(rest) => format!("{}{rest}", terminal.mark(Stream::Talk, mark, word)),
        None => text,
    }
}
