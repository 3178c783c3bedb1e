//! Collecting what is wrong while reading goes on.
//!
//! **In:** positions and messages, in any order.
//! **Out:** [`Diagnostic`]s in the order of the files, with the line shown.
//! **Not here:** what is a fault ([`super::raw`], [`super::load`]).

use super::diagnostic::{Diagnostic, Severity};
use super::load::SourceText;
use super::positions::Position;

/// Most errors, and most warnings, of one run. Why 1,000: nobody reads more, and a generated
/// folder can have a mistake in each of 20,000 documents.
const DIAGNOSTICS_MAX: usize = 1_000;
/// Longest line shown, in characters.
const SNIPPET_CHARS_MAX: usize = 200;
/// Longest piece of an author's text inside a message, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// How well-known kinds of secrets begin: keys of AWS, tokens of GitHub, GitLab and Slack,
/// keys of Google and Stripe, PEM files, JSON web tokens.
pub(super) const SECRET_MARKS: [&str; 14] = [
    "AKIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "hooks.slack.com/services/",
    "AIza",
    "sk_live_",
    "-----BEGIN",
    "eyJhbGciOi",
    "eyJ0eXAiOi",
];

/// Words after which a line may hold a secret.
const SECRET_WORDS: [&str; 21] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret:",
    "secret=",
    "secret\"",
    "secret'",
    "secret,",
    "api_key",
    "api-key",
    "apikey",
    "private_key",
    "private-key",
    "access_key",
    "accesskey",
    "secretkey",
    "connectiondetails",
    "credential",
    "sha256:",
    "://",
];

/// Something wrong at one position of the current file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    severity: Severity,
    at: Position,
    message: String,
    hint: String,
    /// What stands at the position must not be shown.
    secret: bool,
    /// Text from `at` up to the fault. Where the file has just that there, and not the
    /// same in other words (escapes, folded lines), the fault is shown after it.
    after: String,
}

impl Fault {
    pub(super) fn error(at: Position, message: String, hint: String) -> Fault {
        let (severity, secret, after) = (Severity::Error, false, String::new());
        Fault { severity, at, message, hint, secret, after }
    }

    /// The same, with nothing of its line shown.
    pub(super) fn without_line(self) -> Fault {
        Fault { at: Position { column: 1, ..self.at }, secret: true, ..self }
    }
}

/// All faults so far. Only ever grows.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<(usize, Fault)>,
    n_errors: usize,
    n_warnings: usize,
    /// Index of the file that positions are about.
    pub(super) source: usize,
    /// What the current document is called, put before every message.
    pub(super) about: String,
    /// Mappings with a field that was most likely meant to be another.
    slips: Vec<(usize, Position)>,
}

impl Faults {
    /// Keeps the fault, or only counts it when there are many of its severity,
    /// so that warnings cannot crowd out an error.
    pub(super) fn push(&mut self, mut fault: Fault) {
        let n_same = match fault.severity {
            Severity::Error => &mut self.n_errors,
            Severity::Warning => &mut self.n_warnings,
        };
        *n_same += 1;
        if DIAGNOSTICS_MAX < *n_same {
            return;
        }
        if !self.about.is_empty() {
            fault.message = format!("{}: {}", self.about, fault.message);
        }
        self.faults.push((self.source, fault));
    }

    pub(super) fn error(
        &mut self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Fault::error(at, message.into(), hint.into()));
    }

    pub(super) fn warning(
        &mut self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let fault = Fault::error(at, message.into(), hint.into());
        self.push(Fault { severity: Severity::Warning, ..fault });
    }

    /// An error at a value that must not be shown.
    pub(super) fn secret(
        &mut self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Fault { secret: true, ..Fault::error(at, message.into(), hint.into()) });
    }

    /// An error inside of the text that stands at `at`, after its part `after`.
    pub(super) fn inside(
        &mut self,
        at: Position,
        after: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let fault = Fault::error(at, message.into(), hint.into());
        self.push(Fault { after: after.to_owned(), ..fault });
    }

    /// Whether more would only be counted, so that a hint need not be worked out.
    pub(super) fn is_full(&self) -> bool {
        DIAGNOSTICS_MAX <= self.n_errors.max(self.n_warnings)
    }

    /// Notes that a field of the mapping at `at` is misspelled.
    pub(super) fn note_slip(&mut self, at: Position) {
        if self.slips.len() < DIAGNOSTICS_MAX {
            self.slips.push((self.source, at));
        }
    }

    /// Whether a field of the mapping at `at` is misspelled, so that what is missing there
    /// is probably not: one slip, one fault.
    pub(super) fn has_slip(&self, at: Position) -> bool {
        self.slips.contains(&(self.source, at))
    }

    pub(super) fn has_errors(&self) -> bool {
        0 < self.n_errors
    }

    pub(super) fn into_diagnostics(mut self, sources: &[SourceText<'_>]) -> Vec<Diagnostic> {
        self.faults.sort_by_key(|(source, fault)| (*source, fault.at));
        let mut diagnostics = Vec::with_capacity(self.faults.len());
        let mut faults = self.faults.into_iter().peekable();
        for (index, source) in sources.iter().enumerate() {
            if faults.peek().is_none_or(|(it, _)| *it != index) {
                continue;
            }
            let lines: Vec<&str> = source.text.lines().collect();
            while let Some((_, fault)) = faults.next_if(|(it, _)| *it == index) {
                // An unfinished document may be reported just after the last line.
                let line = fault.at.line.clamp(1, lines.len().max(1));
                let text = lines.get(line - 1).copied().unwrap_or_default();
                diagnostics.push(Diagnostic {
                    severity: fault.severity,
                    file: source.file.to_owned(),
                    line,
                    column: if line < fault.at.line {
                        text.chars().count() + 1
                    } else {
                        fault.at.column + n_chars_before(text, &fault)
                    },
                    message: one_line(&fault.message),
                    hint: one_line(&fault.hint),
                    snippet: snippet(text, fault.at.column, fault.secret),
                });
            }
        }
        let many = [
            (Severity::Error, self.n_errors, "errors"),
            (Severity::Warning, self.n_warnings, "warnings"),
        ];
        for (severity, n_faults, noun) in many {
            let Some(n_left_out @ 1..) = n_faults.checked_sub(DIAGNOSTICS_MAX) else { continue };
            diagnostics.push(Diagnostic {
                severity,
                file: sources.last().map_or_else(String::new, |it| it.file.to_owned()),
                line: 1,
                column: 1,
                message: format!("{n_left_out} more {noun} are not shown"),
                hint: "correct the ones above and check again".to_owned(),
                snippet: String::new(),
            });
        }
        diagnostics
    }
}

/// How many characters of the line, from the fault's position on, come before it.
fn n_chars_before(line: &str, fault: &Fault) -> usize {
    let mut rest = line.chars();
    // As many as there are columns before the position.
    if fault.after.is_empty() || (1..fault.at.column).any(|_| rest.next().is_none()) {
        return 0;
    }
    let rest = rest.as_str();
    let unquoted = rest.strip_prefix(['"', '\'']);
    match (rest.starts_with(&fault.after), unquoted) {
        (true, _) => fault.after.chars().count(),
        (false, Some(text)) if text.starts_with(&fault.after) => fault.after.chars().count() + 1,
        (false, _) => 0,
    }
}

/// An author's text for a message, in back-quotes, cut when long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Without characters that would move a terminal's cursor or forge a line of a log.
fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for it in text.chars() {
        if it.is_control() { shown.extend(it.escape_debug()) } else { shown.push(it) }
    }
    shown
}

fn snippet(line: &str, column: usize, secret: bool) -> String {
    let mut shown: String = line
        .chars()
        .take(SNIPPET_CHARS_MAX)
        .map(|it| if it == '\t' { ' ' } else { it })
        .map(|it| if it.is_control() { char::REPLACEMENT_CHARACTER } else { it })
        .collect();
    if secret {
        shown = shown.chars().take(column.saturating_sub(1)).collect();
        shown.push('…');
    }
    // Token forms are known, whatever stands before them.
    if let Some(found) = SECRET_MARKS.iter().filter_map(|it| shown.find(it)).min() {
        shown.truncate(found);
        shown.push('…');
    }
    let lower = shown.to_ascii_lowercase();
    // Whatever the fault is, its line may hold a secret beside it.
    for word in SECRET_WORDS {
        let Some(found) = lower.find(word) else { continue };
        if word == "://" && !lower[found..].contains('@') {
            continue;
        }
        let ends = lower[found..].find([':', '=', '"', '\'', ',']);
        let rest = ends.map_or(shown.len(), |it| found + it + 1);
        if rest < shown.trim_end().len() {
            shown.truncate(rest);
            shown.push_str(" …");
            break;
        }
    }
    shown
}
