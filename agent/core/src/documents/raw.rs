//! Documents as they are written, field by field.
//!
//! **In:** a tree of values with positions ([`super::positions`]).
//! **Out:** typed values, a fault for everything that has the wrong form, and
//! the JSON Schema. All three come from the one list of fields that `fields!`
//! gets, so they cannot drift apart.
//! **Not here:** what holds between fields or documents ([`super::load`]).

pub(super) mod access;
pub(super) mod actuators;
pub(super) mod amounts;
pub(super) mod budget;
pub(super) mod calendar;
pub(super) mod envelope;
pub(super) mod forecast;
pub(super) mod guardrail;
pub(super) mod openslo;
pub(super) mod playbook;
pub(super) mod policy;
pub(super) mod price_book;
pub(super) mod scalar;
pub(super) mod selector;
pub(super) mod target;
pub(super) mod tenants;
pub(super) mod time;

use std::fmt;

use serde_json::json;

use super::fault::{Faults, quoted};
use super::positions::{At, Entry, Node, Position, Value};

/// Something that can be read from YAML and described by a JSON Schema.
pub(super) trait Read: Sized {
    /// What is accepted.
    fn schema() -> serde_json::Value;

    /// The value, or `None` after at least one fault was reported.
    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self>;
}

/// The way from the document's root to a value, for messages: `spec.capacity.max`.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

impl<'a> Place<'a> {
    pub(super) const ROOT: &'static Place<'static> = &Place { parent: None, step: Step::Root };

    pub(super) fn field(&'a self, name: &'a str) -> Place<'a> {
        Place { parent: Some(self), step: Step::Field(name) }
    }

    fn item(&'a self, index: usize) -> Place<'a> {
        Place { parent: Some(self), step: Step::Item(index) }
    }

    /// ` in \`spec.capacity\``, or nothing for the root.
    fn inside(&self) -> String {
        match self.step {
            Step::Root => String::new(),
            Step::Field(_) | Step::Item(_) => format!(" in `{self}`"),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self.parent.filter(|it| !matches!(it.step, Step::Root));
        if let Some(parent) = parent {
            write!(f, "{parent}")?;
        }
        match self.step {
            Step::Root => f.write_str("the document"),
            Step::Field(name) if parent.is_some() => write!(f, ".{name}"),
            Step::Field(name) => f.write_str(name),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

/// Reports that `node` has not the form that `expected` names.
pub(super) fn wrong_type(node: &Node, place: &Place<'_>, expected: &str, faults: &mut Faults) {
    let hint = match &node.value {
        Value::Null => "write a value after the colon, or remove the line".to_owned(),
        Value::Bool(_) | Value::Whole(_) | Value::Number(_) if expected.starts_with("text") => {
            "put it in quotes".to_owned()
        }
        Value::Bool(_) | Value::Whole(_) | Value::Number(_) | Value::Text(_) => {
            format!("write {expected}")
        }
        Value::List(_) | Value::Map(_) => format!("write {expected}; check the indentation"),
    };
    let message = if node.value == Value::Null {
        format!("`{place}` has no value")
    } else {
        format!("`{place}` must be {expected}, found {}", node.value.kind())
    };
    faults.error(node.at, message, hint);
}

/// The mapping being read, and which of its fields are known.
pub(super) struct Fields<'a> {
    at: Position,
    entries: &'a [Entry],
    place: &'a Place<'a>,
    /// Fields that unknown ones were most likely meant to be.
    misspelled: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Opens a mapping and reports its unknown fields.
    pub(super) fn open(
        node: &'a Node,
        place: &'a Place<'a>,
        known: &[&str],
        faults: &mut Faults,
    ) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, place, "a mapping (`field: value` lines)", faults);
            return None;
        };
        let mut misspelled = Vec::new();
        for entry in entries.iter().filter(|it| !known.contains(&it.key.value.as_str())) {
            misspelled.extend(nearest(&entry.key.value, known).map(str::to_owned));
            unknown_field(entry, place, known, faults);
        }
        if !misspelled.is_empty() {
            faults.note_slip(node.at);
        }
        Some(Fields { at: node.at, entries, place, misspelled })
    }

    pub(super) fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|it| it.key.value == name)
    }

    pub(super) fn required<T: Read>(&self, name: &str, faults: &mut Faults) -> Option<At<T>> {
        match self.entry(name) {
            Some(entry) => self.value(entry, faults),
            // One slip, one fault.
            None if self.misspelled.iter().any(|it| it == name) => None,
            None => {
                faults.error(
                    self.at,
                    format!("missing field `{name}`{}", self.place.inside()),
                    format!("add `{name}:` here"),
                );
                None
            }
        }
    }

    /// The outer `None` after a fault, the inner one when the field is not there.
    #[expect(clippy::option_option, reason = "a fault and an absent field are different things")]
    pub(super) fn optional<T: Read>(
        &self,
        name: &str,
        faults: &mut Faults,
    ) -> Option<Option<At<T>>> {
        match self.entry(name) {
            Some(entry) => self.value(entry, faults).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn defaulted<T: Read>(
        &self,
        name: &str,
        default: &serde_json::Value,
        faults: &mut Faults,
    ) -> Option<At<T>> {
        match self.entry(name) {
            Some(entry) => self.value(entry, faults),
            None => {
                let node = from_json(default, self.at);
                let value = T::read(&node, &self.place.field(name), faults)?;
                Some(At { value, at: self.at })
            }
        }
    }

    fn value<T: Read>(&self, entry: &Entry, faults: &mut Faults) -> Option<At<T>> {
        let name = entry.key.value.as_str();
        let value = T::read(&entry.node, &self.place.field(name), faults)?;
        Some(At { value, at: entry.node.at })
    }
}

fn unknown_field(entry: &Entry, place: &Place<'_>, known: &[&str], faults: &mut Faults) {
    let name = &entry.key.value;
    let message = format!("unknown field {}{}", quoted(name), place.inside());
    let lower = name.to_ascii_lowercase();
    if lower.contains("token") && known.contains(&"token_hashes") {
        let hint = "a document holds only the hash of a token: run `evenkeel token` and put the \
                    `sha256:…` that it prints under `token_hashes`";
        return faults.error(entry.key.at, message, hint);
    }
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known fields here: {}", listed(known)),
    };
    faults.error(entry.key.at, message, hint);
}

/// `a`, `b` and `c`, each in back-quotes.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "none".to_owned(),
    }
}

/// The name that somebody most likely meant, if any is close.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |it: &str| -> Vec<char> {
        let kept = it.chars().take(64).filter(|it| !matches!(it, '_' | '-' | ' '));
        kept.map(|it| it.to_ascii_lowercase()).collect()
    };
    let name = plain(name);
    known
        .iter()
        .map(|it| {
            let known = plain(it);
            // One slip for every three letters: `mx` is `max`, `foo` is not `to`.
            (edits(&name, &known), known.len().max(name.len()).div_ceil(3), *it)
        })
        .filter(|(edits, allowed, _)| edits <= allowed)
        .min_by_key(|(edits, _, _)| *edits)
        .map(|(_, _, it)| it)
}

/// Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(from != to)).min(left + 1).min(*above + 1);
            diagonal = *above;
            *above = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A default as if it had been written at `at`.
fn from_json(json: &serde_json::Value, at: Position) -> Node {
    let value = match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(it) => Value::Bool(*it),
        serde_json::Value::Number(it) => match (it.as_i64(), it.as_f64()) {
            (Some(whole), _) => Value::Whole(whole),
            (None, Some(number)) => Value::Number(number),
            (None, None) => Value::Null,
        },
        serde_json::Value::String(it) => Value::Text(it.clone()),
        serde_json::Value::Array(items) => {
            Value::List(items.iter().map(|it| from_json(it, at)).collect())
        }
        serde_json::Value::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, it)| Entry {
                    key: At { value: key.clone(), at },
                    node: from_json(it, at),
                })
                .collect(),
        ),
    };
    At { value, at }
}

/// A list of `MIN` to `MAX` items.
pub(super) struct List<T, const MIN: usize, const MAX: usize>(pub(super) Vec<At<T>>);

impl<T: Read, const MIN: usize, const MAX: usize> Read for List<T, MIN, MAX> {
    fn schema() -> serde_json::Value {
        json!({"type": "array", "items": T::schema(), "minItems": MIN, "maxItems": MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let Value::List(items) = &node.value else {
            wrong_type(node, place, "a list (`- item` lines)", faults);
            return None;
        };
        if items.len() < MIN || MAX < items.len() {
            let message =
                format!("`{place}` has {} items, it must have {MIN} to {MAX}", items.len());
            let hint = if items.len() < MIN { "add one" } else { "remove some" };
            faults.error(node.at, message, hint);
            return None;
        }
        let read: Vec<Option<At<T>>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let value = T::read(item, &place.item(index), faults)?;
                Some(At { value, at: item.at })
            })
            .collect();
        read.into_iter().collect::<Option<Vec<At<T>>>>().map(List)
    }
}

/// A struct, how it is read and what its schema is.
///
/// A field is `required`, `optional`, or `defaulted(JSON)`; the default is read
/// like anything that a person writes. It is written as its name here, or as the
/// text after `=`. `#[expect(dead_code)]` is for one that is checked and not kept. `also(JSON)` adds to the schema what
/// holds between fields; whoever uses the struct checks it.
macro_rules! fields {
    (
        $(#[doc = $about:literal])+
        struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[expect($($unread:tt)*)])?
                $kind:ident $( ($default:expr) )? $field:ident $( = $key:literal )? : $type:ty,
            )*
        }
        $( also($also:expr) )?
    ) => {
        $(#[doc = $about])+
        pub(in crate::documents) struct $name {
            $( $(#[doc = $doc])+ $(#[expect($($unread)*)])? pub(in crate::documents) $field:
                $crate::documents::raw::fields!(@type $kind $type), )*
        }

        impl $crate::documents::raw::Read for $name {
            fn schema() -> serde_json::Value {
                let required = [$((
                    $crate::documents::raw::fields!(@name $field $($key)?),
                    stringify!($kind) == "required",
                )),*];
                let required: Vec<&str> =
                    required.into_iter().filter(|(_, it)| *it).map(|(name, _)| name).collect();
                let mut properties = serde_json::Map::new();
                $(
                    let property = $crate::documents::raw::described(
                        <$type as $crate::documents::raw::Read>::schema(),
                        concat!($($doc),+),
                        $crate::documents::raw::fields!(@default $($default)?),
                    );
                    let name = $crate::documents::raw::fields!(@name $field $($key)?);
                    properties.insert(name.to_owned(), property);
                )*
                let mut schema = serde_json::json!({
                    "type": "object",
                    "description": concat!($($about),+).trim(),
                    "properties": properties,
                    "additionalProperties": false,
                });
                if !required.is_empty() {
                    schema["required"] = serde_json::json!(required);
                }
                $( $crate::documents::raw::merge(&mut schema, $also); )?
                schema
            }

            fn read(
                node: &$crate::documents::positions::Node,
                place: &$crate::documents::raw::Place<'_>,
                faults: &mut $crate::documents::fault::Faults,
            ) -> Option<Self> {
                let known = [$($crate::documents::raw::fields!(@name $field $($key)?)),*];
                let fields = $crate::documents::raw::Fields::open(node, place, &known, faults)?;
                // All are read before the first `?`, so that every fault is found.
                $(
                    let name = $crate::documents::raw::fields!(@name $field $($key)?);
                    let $field = fields.$kind(name, $(&$default,)? faults);
                )*
                Some($name { $( $field: $field?, )* })
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $key:literal) => { $key };
    (@type required $type:ty) => { $crate::documents::positions::At<$type> };
    (@type defaulted $type:ty) => { $crate::documents::positions::At<$type> };
    (@type optional $type:ty) => { Option<$crate::documents::positions::At<$type>> };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}
pub(super) use fields;

/// An enum of which a mapping gives exactly one, by its key.
macro_rules! one_of {
    (
        $(#[doc = $about:literal])+
        enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $key:literal ($type:ty), )*
        }
    ) => {
        $(#[doc = $about])+
        pub(in crate::documents) enum $name {
            $( $(#[doc = $doc])+ $variant($type), )*
        }

        impl $crate::documents::raw::Read for $name {
            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                $(
                    let property = $crate::documents::raw::described(
                        <$type as $crate::documents::raw::Read>::schema(),
                        concat!($($doc),+),
                        None,
                    );
                    properties.insert($key.to_owned(), property);
                )*
                serde_json::json!({
                    "type": "object",
                    "description": concat!($($about),+).trim(),
                    "properties": properties,
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1,
                })
            }

            fn read(
                node: &$crate::documents::positions::Node,
                place: &$crate::documents::raw::Place<'_>,
                faults: &mut $crate::documents::fault::Faults,
            ) -> Option<Self> {
                let known = [$($key),*];
                let entry = $crate::documents::raw::only_entry(node, place, &known, faults)?;
                let inside = place.field(&entry.key.value);
                match entry.key.value.as_str() {
                    $( $key => <$type as $crate::documents::raw::Read>::read(
                        &entry.node, &inside, faults).map($name::$variant), )*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use one_of;

/// The only entry of a mapping that must have one of the `known` keys.
fn only_entry<'a>(
    node: &'a Node,
    place: &'a Place<'a>,
    known: &[&str],
    faults: &mut Faults,
) -> Option<&'a Entry> {
    let fields = Fields::open(node, place, known, faults)?;
    let mut found = fields.entries.iter().filter(|it| known.contains(&it.key.value.as_str()));
    let hint = format!("write exactly one of {}", listed(known));
    match (found.next(), found.next()) {
        (Some(entry), None) => Some(entry),
        (Some(first), Some(second)) => {
            let (first, name) = (&first.key.value, &second.key.value);
            faults.error(second.key.at, format!("`{place}` has both `{first}` and `{name}`"), hint);
            None
        }
        (None, _) => {
            if fields.entries.is_empty() {
                faults.error(node.at, format!("`{place}` is empty"), hint);
            }
            None
        }
    }
}

/// `schema` with the documentation of the field and its default.
fn described(
    mut schema: serde_json::Value,
    doc: &str,
    default: Option<serde_json::Value>,
) -> serde_json::Value {
    schema["description"] = json!(doc.trim());
    if let Some(default) = default {
        schema["default"] = default;
    }
    schema
}

fn merge(schema: &mut serde_json::Value, also: serde_json::Value) {
    if let (Some(schema), serde_json::Value::Object(also)) = (schema.as_object_mut(), also) {
        schema.extend(also);
    }
}
