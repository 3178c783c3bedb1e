//! What is wrong with a condition, and where.
//!
//! **In:** the text and the place in it.
//! **Out:** [`ConditionFault`], which says what to write instead.
//! **Not here:** finding faults (the lexer, the parser and the checker).

use std::ops::Range;

/// Why a text is not a condition or formula.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionFault {
    /// What is wrong, one line, lower case.
    pub message: String,
    /// What to do about it, one line, never empty.
    pub hint: String,
    /// Where: bytes of the text, at character boundaries. Empty at the end of the text.
    pub offset: Range<usize>,
}

/// Most characters of a line that [`ConditionFault::caret`] shows. Why 100: a terminal
/// that is shared with a pager.
const SHOWN_CHARS_MAX: usize = 100;

/// Most characters quoted in a message.
const QUOTED_CHARS_MAX: usize = 40;

impl ConditionFault {
    pub(super) fn new(
        offset: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> ConditionFault {
        ConditionFault { message: message.into(), hint: hint.into(), offset }
    }

    /// The faulty line of `text` (the text that was parsed) and below it a line with `^`
    /// under what is meant. Long lines are cut on both sides; control characters are
    /// shown as `·`.
    pub fn caret(&self, text: &str) -> String {
        let start = floor_boundary(text, self.offset.start);
        let end = floor_boundary(text, self.offset.end.max(start));
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = after.find('\n').map_or(text.len(), |at| start + at);
        let chars = |from: usize, to: usize| text.get(from..to).map_or(0, |it| it.chars().count());
        let n_before = chars(line_start, start);
        let n_marked = chars(start, end.min(line_end)).max(1);
        let line = text.get(line_start..line_end).unwrap_or_default();

        let n_line = line.chars().count();
        let first = if n_line <= SHOWN_CHARS_MAX {
            0
        } else {
            n_before.saturating_sub(SHOWN_CHARS_MAX / 3).min(n_line - SHOWN_CHARS_MAX)
        };
        let visible = |it: char| if it.is_control() { '·' } else { it };
        let cut_left = if first == 0 { "" } else { "…" };
        let cut_right = if n_line - first <= SHOWN_CHARS_MAX { "" } else { "…" };
        let shown: String = line.chars().skip(first).take(SHOWN_CHARS_MAX).map(visible).collect();
        let column = n_before - first + cut_left.chars().count();
        let n_carets = n_marked.min((SHOWN_CHARS_MAX + 1).saturating_sub(column).max(1));
        format!("{cut_left}{shown}{cut_right}\n{}{}", " ".repeat(column), "^".repeat(n_carets))
    }
}

/// The last character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A piece of the text in back-quotes: one line, cut when it is long.
pub(super) fn quoted(text: &str, span: &Range<usize>) -> String {
    format!("`{}`", piece(text, span))
}

/// A piece of the text: one line without control characters, cut when it is long.
pub(super) fn piece(text: &str, span: &Range<usize>) -> String {
    let words: Vec<&str> = text.get(span.clone()).unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    let mut shown: String =
        line.chars().take(QUOTED_CHARS_MAX).filter(|it| !it.is_control()).collect();
    if QUOTED_CHARS_MAX < line.chars().count() {
        shown.push('…');
    }
    shown
}
