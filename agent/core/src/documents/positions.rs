//! YAML as a tree that knows where each of its parts was written.
//!
//! **In:** the text of one file.
//! **Out:** its YAML documents, each a [`Node`] or the [`Fault`] that stopped it.
//! **Not here:** what the fields mean ([`super::raw`]).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::fault::Fault;

/// Deepest nesting of lists and mappings. Why 32: our deepest field is at 8.
const DEPTH_MAX: usize = 32;
/// Most values in one document. Why 100,000: a `Tenants` document for 10,000 tenants has
/// about 90,000.
const NODES_MAX: usize = 100_000;
/// Most text in one document. Why 1 MiB: as above, with long names.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most values that aliases of one document may repeat. Why 10,000: sharing a
/// block among signals is fine; multiplying one without end is an attack.
const REPEATED_MAX: usize = 10_000;

/// Where something is, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) const START: Position = Position { line: 1, column: 1 };

    fn of(location: Location) -> Option<Position> {
        let line = usize::try_from(location.line()).ok().filter(|it| 1 <= *it)?;
        let column = usize::try_from(location.column()).ok().filter(|it| 1 <= *it)?;
        Some(Position { line, column })
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Position,
}

/// One value.
pub(super) type Node = At<Value>;

/// One `key: value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: At<String>,
    pub(super) node: Node,
}

/// What YAML's core schema makes of a value; `yes` and `on` are text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i64),
    /// May be NaN or infinite.
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Value {
    /// For "found …" in messages; never the value itself, it may be a secret.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "`true` or `false`",
            Value::Whole(_) | Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// The part of a file that holds one YAML document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub(super) text: &'a str,
    /// How many lines of the file come before it.
    lines_before: usize,
}

/// Cuts a file at `---` and `...`. These end a document wherever they start a
/// line, even inside quotes, so the cut needs no parser, and a mistake in one
/// document hides no mistake in the next. Documents of only comments are left out.
pub(super) fn split(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut chunks = Vec::new();
    let (mut start, mut lines_before) = (0, 0);
    let mut end = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let begins = is_marker(line, "---");
        let ends = is_marker(line, "...");
        if begins || ends {
            chunks.push(Chunk { text: &text[start..end], lines_before });
            start = if begins { end } else { end + line.len() };
            lines_before = if begins { number } else { number + 1 };
        }
        end += line.len();
    }
    chunks.push(Chunk { text: &text[start..], lines_before });
    chunks.into_iter().filter(|it| !it.is_blank())
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

impl Chunk<'_> {
    fn is_blank(&self) -> bool {
        self.text.lines().all(|line| {
            let line = if is_marker(line, "---") { &line[3..] } else { line };
            line.trim_start().is_empty() || line.trim_start().starts_with('#')
        })
    }

    /// Its first line.
    pub(super) fn start(&self) -> Position {
        self.in_file(Position::START)
    }

    fn in_file(&self, at: Position) -> Position {
        Position { line: at.line + self.lines_before, ..at }
    }

    /// The document as a tree. Of two equal keys the tree has the first.
    ///
    /// Returns the tree, if there is one, and what is wrong with the YAML itself.
    pub(super) fn parse(&self) -> (Option<Node>, Option<Fault>) {
        if let Some(at) = self.directive() {
            let message = "directives such as `%YAML` are not read".to_owned();
            let hint = "remove the line; every document is YAML 1.2".to_owned();
            return (None, Some(Fault::error(self.in_file(at), message, hint)));
        }
        match self.parse_with(DuplicateKeyPolicy::Error) {
            Ok(node) => (Some(node), None),
            Err(error) => {
                let duplicate = matches!(inner(&error), Error::DuplicateMappingKey { .. });
                let node = if duplicate {
                    self.parse_with(DuplicateKeyPolicy::FirstWins).ok()
                } else {
                    None
                };
                (node, Some(self.fault(&error)))
            }
        }
    }

    fn directive(&self) -> Option<Position> {
        let mut lines = self.text.lines().enumerate();
        let (number, _) = lines.find(|(_, line)| line.starts_with('%'))?;
        let before = self.text.lines().take(number);
        let first = before.into_iter().all(|line| line.trim().is_empty() || line.starts_with('#'));
        first.then_some(Position { line: number + 1, column: 1 })
    }

    fn parse_with(&self, duplicate_keys: DuplicateKeyPolicy) -> Result<Node, Error> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: DEPTH_MAX,
                flow_nesting_limit: DEPTH_MAX,
                max_nodes: NODES_MAX,
                max_events: 3 * NODES_MAX,
                max_total_scalar_bytes: TEXT_BYTES_MAX,
                max_aliases: REPEATED_MAX,
                max_anchors: REPEATED_MAX,
                max_recorded_anchor_events: 3 * NODES_MAX,
                max_recorded_anchor_bytes: TEXT_BYTES_MAX,
            },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: REPEATED_MAX,
            },
            duplicate_keys: duplicate_keys,
            merge_keys: MergeKeyPolicy::AsOrdinary,
            non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        let spanned: Spanned<RawValue> = serde_saphyr::from_str_with_options(self.text, options)?;
        Ok(self.placed(spanned, Position::START))
    }

    /// `fallback` is for values whose own place is not known.
    fn placed(&self, spanned: Spanned<RawValue>, fallback: Position) -> Node {
        let at = Position::of(spanned.referenced).unwrap_or(fallback);
        let value = match spanned.value {
            RawValue::Plain(value) => value,
            RawValue::List(items) => {
                Value::List(items.into_iter().map(|it| self.placed(it, at)).collect())
            }
            RawValue::Map(entries) => {
                let entries = entries.into_iter().map(|(key, value)| {
                    let key_at = Position::of(key.referenced).unwrap_or(at);
                    Entry {
                        key: At { value: key.value, at: self.in_file(key_at) },
                        node: self.placed(value, key_at),
                    }
                });
                Value::Map(entries.collect())
            }
        };
        At { value, at: self.in_file(at) }
    }

    fn fault(&self, error: &Error) -> Fault {
        let at = error.location().and_then(Position::of).unwrap_or(Position::START);
        let (message, hint) = explained(inner(error));
        Fault::error(self.in_file(at), message, hint)
    }
}

fn inner(error: &Error) -> &Error {
    let error = error.without_snippet();
    if let Error::AliasError { error, .. } = error { inner(error) } else { error }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enums are not exhaustive")]
fn explained(error: &Error) -> (String, String) {
    use serde_saphyr::budget::BudgetBreach;
    let split = "split it into several documents with `---`".to_owned();
    let write_out = "write the values out instead of repeating them with `*`".to_owned();
    match error {
        Error::DuplicateMappingKey { key, .. } => (
            match key {
                Some(key) => format!("duplicate key `{key}`"),
                None => "duplicate key".to_owned(),
            },
            "remove one of the two".to_owned(),
        ),
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => (
                format!("nested deeper than {DEPTH_MAX} levels"),
                "no field of a document is that deep; check brackets and indentation".to_owned(),
            ),
            BudgetBreach::ScalarBytes { .. } => {
                (format!("a document has more than {TEXT_BYTES_MAX} bytes of text"), split)
            }
            BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => {
                (format!("a document has more than {NODES_MAX} values"), split)
            }
            _ => (format!("aliases repeat more than {REPEATED_MAX} values"), write_out),
        },
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            (format!("aliases repeat more than {REPEATED_MAX} values"), write_out)
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("an alias contains itself".to_owned(), write_out)
        }
        Error::UnknownAnchor { .. } => (
            "an alias names an anchor that this document does not have".to_owned(),
            "define it with `&` above; anchors do not reach across `---`".to_owned(),
        ),
        Error::UnsupportedTag { tag, .. } => {
            (format!("the tag `{tag}` is not read"), "remove the tag".to_owned())
        }
        Error::Eof { .. } => {
            ("the document ends too early".to_owned(), "check brackets and quotes".to_owned())
        }
        Error::ExternalMessage { msg, .. } if msg.contains("recursion") => (
            format!("nested deeper than {DEPTH_MAX} levels"),
            "no field of a document is that deep; check brackets and indentation".to_owned(),
        ),
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => {
            (format!("not YAML: {msg}"), "check indentation, quotes and brackets".to_owned())
        }
        other => (
            // The position is already in the diagnostic.
            format!("not YAML: {}", without_position(&other.to_string())),
            "check indentation, quotes and brackets".to_owned(),
        ),
    }
}

fn without_position(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

/// As [`Value`], with the places in the parser's own form.
enum RawValue {
    Plain(Value),
    List(Vec<Spanned<RawValue>>),
    Map(Vec<(Spanned<String>, Spanned<RawValue>)>),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawValue, D::Error> {
        deserializer.deserialize_any(RawValueVisitor)
    }
}

struct RawValueVisitor;

impl<'de> Visitor<'de> for RawValueVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Plain(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Plain(Value::Whole(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Plain(match i64::try_from(value) {
            Ok(value) => Value::Whole(value),
            Err(_) => Value::Number(value.to_string().parse().map_err(E::custom)?),
        }))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Plain(Value::Number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Plain(Value::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<RawValue, E> {
        Ok(RawValue::Plain(Value::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
            if NODES_MAX < items.len() {
                return Err(A::Error::custom(format!("a list has more than {NODES_MAX} items")));
            }
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(RawValue::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let chunks: Vec<(usize, &str)> = split(text).map(|it| (it.start().line, it.text)).collect();
        assert_eq!(chunks, expected, "{text:?}");
    }

    #[test]
    fn a_file_is_cut_where_yaml_cuts_it() {
        check("", &[]);
        check("# only\n---\n# comments\n...\n", &[]);
        check("a: 1", &[(1, "a: 1")]);
        check("\u{feff}a: 1\n", &[(1, "a: 1\n")]);
        check("---\na: 1\n---\nb: 2\n", &[(1, "---\na: 1\n"), (3, "---\nb: 2\n")]);
        check("a: 1\r\n---\r\nb: 2", &[(1, "a: 1\r\n"), (2, "---\r\nb: 2")]);
        check("a: 1\n...\nb: 2\n", &[(1, "a: 1\n"), (3, "b: 2\n")]);
        check("--- {a: 1}\n--- # c\nb: 2\n", &[(1, "--- {a: 1}\n"), (2, "--- # c\nb: 2\n")]);
        // Not at the start of a line, or not alone: part of the text.
        check("a: |\n  ---\n  b\n", &[(1, "a: |\n  ---\n  b\n")]);
        check("a: 1\n---b\n", &[(1, "a: 1\n---b\n")]);
    }

    #[test]
    fn positions_are_those_in_the_file() {
        let text = "# first\n---\na: 1\n---\nb:\n  - [x, *y]\n  - {c: d}\n";
        let (root, fault) = split(text).last().unwrap().parse();
        assert_eq!(root, None);
        let shown = format!("{:?}", fault.unwrap());
        assert!(shown.contains("Position { line: 6, column: 9 }"), "{shown}");
        let text = text.replace("*y", "y");
        let (root, fault) = split(&text).last().unwrap().parse();
        assert_eq!(fault, None);
        let mut all = Vec::new();
        places(&root.unwrap(), &mut all);
        assert_eq!(all, [(5, 1), (6, 3), (6, 5), (6, 6), (6, 9), (7, 5), (7, 9)]);
    }

    fn places(node: &Node, all: &mut Vec<(usize, usize)>) {
        all.push((node.at.line, node.at.column));
        if let Value::List(items) = &node.value {
            items.iter().for_each(|it| places(it, all));
        }
        if let Value::Map(entries) = &node.value {
            entries.iter().for_each(|it| places(&it.node, all));
        }
    }
}
