//! A condition with the values that decided it.
//!
//! **In:** the text, the names in it and a [`Lookup`].
//! **Out:** one line: `error_ratio (0.12) < params.limit (unknown)`.
//! **Not here:** whether it holds.

use std::collections::BTreeMap;

use super::lexer::{Lexer, Token};
use super::quantity::shown;
use super::{Kind, Lookup, instances};

/// Longest line. Why 3,000: the longest text with fifty values, and what a chat message holds.
const LINE_BYTES_MAX: usize = 3_000;

pub(super) fn with_values(
    text: &str,
    names: &BTreeMap<String, Kind>,
    lookup: &dyn Lookup,
) -> String {
    let mut line = String::new();
    let mut lexer = Lexer::new(text);
    let mut copied = 0;
    // The text was parsed, so it has no fault; it would be copied from there on.
    while let Ok((token, span)) = lexer.next() {
        let named = match token {
            Token::Name(name) => names.get_key_value(name),
            Token::End => break,
            Token::Number(_) | Token::Text(_) | Token::Truth(_) | Token::Symbol(_) => None,
        };
        let Some((name, kind)) = named else { continue };
        // A name may be a function's name too; then it is followed by its arguments.
        if text.get(span.end..).is_some_and(|it| it.trim_start().starts_with('(')) {
            continue;
        }
        push_line(&mut line, text.get(copied..span.end).unwrap_or_default());
        copied = span.end;
        line.push_str(&format!(" ({})", value(name, *kind, lookup)));
        if LINE_BYTES_MAX < line.len() {
            break;
        }
    }
    push_line(&mut line, text.get(copied..).unwrap_or_default());
    bounded(line)
}

/// Line breaks and their indentation become one space.
fn push_line(line: &mut String, piece: &str) {
    let mut was_break = false;
    for it in piece.chars() {
        if it.is_control() || (was_break && it == ' ') {
            if !was_break && !line.ends_with(' ') {
                line.push(' ');
            }
            was_break = true;
        } else {
            line.push(it);
            was_break = false;
        }
    }
}

fn bounded(mut line: String) -> String {
    let is_long = LINE_BYTES_MAX < line.len();
    if is_long {
        let mut end = LINE_BYTES_MAX - '…'.len_utf8();
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

fn value(name: &str, kind: Kind, lookup: &dyn Lookup) -> String {
    let unknown = || "unknown".to_owned();
    match kind {
        Kind::Number(unit) => {
            let value = lookup.number(name).filter(|it| it.is_finite());
            value.map_or_else(unknown, |it| shown(it, unit))
        }
        Kind::Instances(unit) => {
            let Some(values) = lookup.instances(name) else { return unknown() };
            let of = |it| instances::summary(it, values).map(|it| shown(it, unit));
            let count = match values.len() {
                1 => "1 instance".to_owned(),
                n => format!("{n} instances"),
            };
            match (of(instances::Summary::Lowest), of(instances::Summary::Worst)) {
                (Some(lowest), Some(worst)) => format!("{count}, {lowest} to {worst}"),
                _ if values.is_empty() => count,
                _ => format!("{count}, values unknown"),
            }
        }
    }
}
