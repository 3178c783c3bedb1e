//! A diagnostic for a person at a terminal.
//!
//! **In:** a [`Diagnostic`].
//! **Out:** plain text of several lines.
//! **Not here:** JSON (serde's), colours.

use std::fmt::Write as _;

use super::diagnostic::{Diagnostic, Severity};

/// The diagnostic with its line, a caret and the hint. Ends without a line break.
pub fn show(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, file, line, column, message, hint, snippet } = diagnostic;
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut shown = format!("{severity}: {message}\n  --> {file}:{line}:{column}\n");
    if !snippet.is_empty() {
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // Writing to a string cannot fail.
        let _ = writeln!(shown, "{gutter} |");
        let _ = writeln!(shown, "{number} | {snippet}");
        // A line that was cut may end before the column.
        if *column <= snippet.chars().count() + 1 {
            let _ = writeln!(shown, "{gutter} | {}^", " ".repeat(column.saturating_sub(1)));
        }
    }
    shown.push_str("hint: ");
    shown.push_str(hint);
    shown
}
