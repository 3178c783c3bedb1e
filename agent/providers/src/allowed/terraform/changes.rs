//! How one change of a plan reads.
//!
//! **In:** a change as Terraform gives it.
//! **Out:** one line for the person who approves, such as
//! `update aws_autoscaling_group.web: desired_capacity 2 -> 3`.
//! **Not here:** whether it is allowed ([`super::plan`]).
//!
//! Values that Terraform marks as sensitive are never shown, nor those that look like a
//! secret. Characters that could make a terminal show something else are written out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plan::{Change, Delta, Verb};
use crate::allowed::digest::{canonical, sha256};
use crate::allowed::mask::masked;

/// Longest line, in bytes. Why 2,000: a screen.
const LINE_BYTES_MAX: usize = 2_000;

/// Longest value that is shown whole, in bytes. Why 120: a terminal's line.
const VALUE_BYTES_MAX: usize = 120;

/// Most attributes shown of one change. Why 40: more than any change that heals.
const ATTRIBUTES_MAX: usize = 40;

const SENSITIVE: &str = "(sensitive)";

/// The change in one line.
pub(super) fn line_of(change: &Change) -> String {
    let Delta { actions, before, after, after_unknown, before_sensitive, after_sensitive, .. } =
        &change.delta;
    let address = visible(&change.address);
    let verb = change.verb();
    let head = match (verb, change.previous_address.as_deref()) {
        (Verb::Nothing, _) => format!("leave {address}"),
        (Verb::Create, _) => format!("create {address}"),
        (Verb::Update, None) if change.delta.importing.is_some() => {
            format!("import and update {address}")
        }
        (Verb::Update, None) => format!("update {address}"),
        (Verb::Update, Some(from)) => format!("move {} to and update {address}", visible(from)),
        (Verb::Adopt, Some(from)) => format!("move {} to {address}", visible(from)),
        (Verb::Adopt, None) => format!("import {address}"),
        (Verb::Destroy, _) => format!("{} {address}", visible(&actions.join(" and "))),
    };
    if verb == Verb::Destroy {
        return crate::provider::one_line(&head, LINE_BYTES_MAX);
    }
    let mut found = Vec::new();
    let sides = Sides {
        before,
        after,
        unknown: after_unknown,
        sensitive: [before_sensitive, after_sensitive],
    };
    // Providers copy values to where no mark follows them.
    let mut secrets = BTreeSet::new();
    marked(before, before_sensitive, &mut secrets);
    marked(after, after_sensitive, &mut secrets);
    collect(sides, "", &secrets, &mut found);
    let more = found.len().saturating_sub(ATTRIBUTES_MAX);
    found.truncate(ATTRIBUTES_MAX);
    if 0 < more {
        found.push(format!("and {more} more attributes"));
    }
    let line = if found.is_empty() { head } else { format!("{head}: {}", found.join(", ")) };
    crate::provider::one_line(&line, LINE_BYTES_MAX)
}

/// The same place in all trees that describe a change.
#[derive(Clone, Copy)]
struct Sides<'a> {
    before: &'a Value,
    after: &'a Value,
    /// `true` where the value is known only after the apply.
    unknown: &'a Value,
    /// `true` where the value must not be shown; before and after.
    sensitive: [&'a Value; 2],
}

impl<'a> Sides<'a> {
    /// What lies below, one step down.
    fn below(self, at: impl Fn(&'a Value) -> Option<&'a Value>) -> Sides<'a> {
        // A mark on the whole is a mark on each of its parts.
        let marks = |it: &'a Value| if is_true(it) { it } else { at(it).unwrap_or(&Value::Null) };
        Sides {
            before: at(self.before).unwrap_or(&Value::Null),
            after: at(self.after).unwrap_or(&Value::Null),
            unknown: marks(self.unknown),
            sensitive: self.sensitive.map(marks),
        }
    }

    fn all(self) -> [&'a Value; 5] {
        [self.before, self.after, self.unknown, self.sensitive[0], self.sensitive[1]]
    }
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true)
}

/// The texts below `value` that are marked as sensitive.
fn marked<'a>(value: &'a Value, marks: &Value, secrets: &mut BTreeSet<&'a str>) {
    let below = |mark: Option<&Value>| {
        if is_true(marks) { Value::Bool(true) } else { mark.cloned().unwrap_or_default() }
    };
    match value {
        Value::String(text) if is_true(marks) => {
            secrets.insert(text);
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                marked(item, &below(marks.get(at)), secrets);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                marked(field, &below(marks.get(name)), secrets);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `value` without what is marked as sensitive, and without copies of it.
fn redacted(value: &Value, marks: &Value, secrets: &BTreeSet<&str>) -> Value {
    match value {
        _ if is_true(marks) => Value::from(SENSITIVE),
        Value::String(text) if secrets.contains(text.as_str()) => Value::from(SENSITIVE),
        Value::Array(items) => {
            let below = |at: usize| marks.get(at).unwrap_or(&Value::Null);
            items.iter().enumerate().map(|(at, it)| redacted(it, below(at), secrets)).collect()
        }
        Value::Object(fields) => {
            let below = |name: &String| marks.get(name).unwrap_or(&Value::Null);
            let clean =
                fields.iter().map(|(name, it)| (name.clone(), redacted(it, below(name), secrets)));
            Value::Object(clean.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn collect(sides: Sides<'_>, path: &str, secrets: &BTreeSet<&str>, found: &mut Vec<String>) {
    let Sides { before, after, unknown, sensitive } = sides;
    let is_new = before.is_null();
    if is_true(unknown) {
        // Of something new, everything that the platform chooses is unknown.
        if !is_new {
            let before = shown(before, sensitive[0], secrets);
            found.push(format!("{path} {before} -> (known after apply)"));
        }
        return;
    }
    if sensitive.into_iter().any(is_true) {
        if before != after || sensitive[0] != sensitive[1] {
            found.push(told(path, is_new, SENSITIVE, SENSITIVE));
        }
        return;
    }
    let is_like = |is: fn(&Value) -> bool| {
        let fits = |it: &Value| is(it) || it.is_null();
        fits(before) && fits(after) && !(before.is_null() && after.is_null() && is_plain(unknown))
    };
    if is_like(Value::is_object) && !is_empty_side(sides) {
        let names: BTreeSet<&String> = sides
            .all()
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(serde_json::Map::keys)
            .collect();
        for name in names {
            let dot = if path.is_empty() { "" } else { "." };
            let below = sides.below(|it| it.get(name));
            collect(below, &format!("{path}{dot}{}", visible(name)), secrets, found);
        }
    } else if is_like(Value::is_array) && !is_empty_side(sides) {
        let length = sides.all().into_iter().filter_map(Value::as_array).map(Vec::len).max();
        for at in 0..length.unwrap_or(0) {
            collect(sides.below(|it| it.get(at)), &format!("{path}[{at}]"), secrets, found);
        }
    } else if before != after {
        let before = shown(before, sensitive[0], secrets);
        found.push(told(path, is_new, &before, &shown(after, sensitive[1], secrets)));
    }
}

/// Whether `null` turns into an empty list or object, or back: nothing lies below.
fn is_empty_side(sides: Sides<'_>) -> bool {
    let is_empty = |it: &Value| match it {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    is_empty(sides.before) && is_empty(sides.after) && is_plain(sides.unknown)
}

fn is_plain(marks: &Value) -> bool {
    !marks.is_object() && !marks.is_array()
}

fn told(path: &str, is_new: bool, before: &str, after: &str) -> String {
    if is_new { format!("{path} = {after}") } else { format!("{path} {before} -> {after}") }
}

/// A value as JSON; a long one by its start and its hash, so that two that differ late do
/// not look the same.
fn shown(value: &Value, marks: &Value, secrets: &BTreeSet<&str>) -> String {
    let clean = redacted(value, marks, secrets);
    if clean.as_str() == Some(SENSITIVE) {
        return SENSITIVE.to_owned();
    }
    let text = canonical(&clean);
    if text.len() <= VALUE_BYTES_MAX {
        return visible(&masked(&text));
    }
    let hash = sha256(text.as_bytes());
    let start = crate::provider::one_line(&text, VALUE_BYTES_MAX);
    let start = visible(&masked(&start));
    format!("{start} ({} bytes, SHA-256 {})", text.len(), hash.get(..12).unwrap_or_default())
}

/// `text` with what is not seen, or turns the order of what is seen, written out.
fn visible(text: &str) -> String {
    let is_hidden = |it: char| {
        it.is_control()
            || matches!(it, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, it| {
        if is_hidden(it) {
            out.extend(it.escape_unicode());
        } else {
            out.push(it);
        }
        out
    })
}
