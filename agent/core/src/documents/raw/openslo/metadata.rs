//! `metadata:` of OpenSLO documents.
//!
//! **In:** the mapping as written.
//! **Out:** a name, a display name, and the annotations that are for us.
//! **Not here:** what is named so (the neighbouring modules).

use serde_json::{Value as Json, json};

use super::{Fields, OrNothing, fields, nearest, quoted, text, wrong_type};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Position, Value};
use crate::documents::raw::scalar::{Name, ShortText};
use crate::documents::raw::{Place, Read};
use crate::ids::SloId;

/// Most labels, and most annotations. Why 64: they are for people.
const ENTRIES_MAX: usize = 64;
/// Longest name of a label, and of an annotation after its prefix. Source: OpenSLO v1.
const KEY_CHARS_MAX: usize = 63;
/// Longest prefix of an annotation. Source: OpenSLO v1.
const PREFIX_CHARS_MAX: usize = 253;
/// How our own annotations begin.
const PREFIX: &str = "evenkeel.io/";
const CRITICAL: &str = "evenkeel.io/critical";
const ALERTING: &str = "evenkeel.io/alerting";

fields! {
    /// What the document is called.
    struct RawMetadata {
        /// Unique among the documents of its kind.
        required name: Name<SloId>,
        /// What people call it.
        optional display_name = "displayName": ShortText,
        /// Only for the reader.
        #[expect(dead_code, reason = "only its form matters to us")]
        optional labels: OrNothing<RawLabels>,
        /// On an `SLO`, those that begin with `evenkeel.io/` are for Evenkeel:
        /// `critical: "true"` keeps its service from being starved to save money, and
        /// `alerting: "none"` leaves it without alerts.
        optional annotations: OrNothing<RawAnnotations>,
    }
}

/// What annotations of an SLO say to us.
#[derive(Clone, Copy, Default)]
pub(in crate::documents) struct Settings {
    pub(in crate::documents) is_critical: bool,
    /// Whether it shall have no alert policies at all.
    pub(in crate::documents) is_silent: bool,
}

impl RawMetadata {
    pub(in crate::documents) fn name(&self) -> &str {
        self.name.value.0.as_str()
    }

    pub(in crate::documents) fn name_at(&self) -> Position {
        self.name.at
    }

    /// What people call it; its name where it has no display name.
    pub(in crate::documents) fn shown(&self) -> String {
        self.display_name.as_ref().map_or_else(|| self.name().to_owned(), |it| it.value.0.clone())
    }

    fn ours(&self) -> &[(At<String>, At<String>)] {
        match &self.annotations {
            Some(At { value: OrNothing(Some(it)), .. }) => &it.ours,
            Some(At { value: OrNothing(None), .. }) | None => &[],
        }
    }

    /// Reports annotations for us where we read none.
    pub(in crate::documents) fn refuse_ours(&self, faults: &mut Faults) {
        for (key, _) in self.ours() {
            let message = format!("annotation {} is read on an `SLO` only", quoted(&key.value));
            faults.error(key.at, message, "move it to the SLO, or remove it");
        }
    }

    /// The annotations for us, each of which must be known: a slip must not be silent.
    pub(in crate::documents) fn settings(&self, faults: &mut Faults) -> Option<Settings> {
        let mut settings = Some(Settings::default());
        for (key, value) in self.ours() {
            let read = match (key.value.as_str(), value.value.as_str()) {
                (CRITICAL, "true") => Ok(Settings { is_critical: true, ..Settings::default() }),
                (CRITICAL, "false") => Ok(Settings::default()),
                (ALERTING, "none") => Ok(Settings { is_silent: true, ..Settings::default() }),
                (CRITICAL, _) => Err("write `\"true\"` or `\"false\"`"),
                (ALERTING, _) => Err("write `none`, or remove it"),
                _ => {
                    let hint = match nearest(&key.value, &[CRITICAL, ALERTING]) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("there are `{CRITICAL}` and `{ALERTING}`"),
                    };
                    let message = format!("unknown annotation {}", quoted(&key.value));
                    faults.error(key.at, message, hint);
                    settings = None;
                    continue;
                }
            };
            match (read, &mut settings) {
                (Ok(one), Some(all)) => {
                    all.is_critical |= one.is_critical;
                    all.is_silent |= one.is_silent;
                }
                (Ok(_), None) => {}
                (Err(hint), _) => {
                    let (key, value_shown) = (&key.value, quoted(&value.value));
                    let message = format!("annotation `{key}` cannot be {value_shown}");
                    faults.error(value.at, message, hint);
                    settings = None;
                }
            }
        }
        settings
    }
}

/// Names to a text or several.
pub(in crate::documents) struct RawLabels;

fn key_pattern() -> String {
    format!("[A-Za-z0-9]([A-Za-z0-9_.-]{{0,{}}}[A-Za-z0-9])?", KEY_CHARS_MAX - 2)
}

impl Read for RawLabels {
    fn schema() -> Json {
        let text = ShortText::schema();
        json!({
            "type": "object",
            "maxProperties": ENTRIES_MAX,
            "propertyNames": {"pattern": format!("^{}$", key_pattern())},
            "additionalProperties": {
                "anyOf": [text, {"type": "array", "items": text, "maxItems": ENTRIES_MAX}],
            },
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawLabels> {
        let mut is_good = true;
        for entry in entries(node, place, "labels", faults)? {
            is_good &= key(&entry.key, &entry.key.value, place, faults);
            let place = place.field(&entry.key.value);
            match &entry.node.value {
                Value::List(items) if items.len() <= ENTRIES_MAX => {
                    for (index, item) in items.iter().enumerate() {
                        is_good &= ShortText::read(item, &place.item(index), faults).is_some();
                    }
                }
                Value::List(items) => {
                    let n = items.len();
                    let message = format!("`{place}` has {n} values, at most {ENTRIES_MAX}");
                    faults.error(entry.node.at, message, "remove some");
                    is_good = false;
                }
                Value::Text(_) => {
                    is_good &= ShortText::read(&entry.node, &place, faults).is_some();
                }
                Value::Null
                | Value::Bool(_)
                | Value::Whole(_)
                | Value::Number(_)
                | Value::Map(_) => {
                    wrong_type(&entry.node, &place, "text or a list of text", faults);
                    is_good = false;
                }
            }
        }
        is_good.then_some(RawLabels)
    }
}

/// Names with an optional prefix to text. Only ours are kept.
pub(in crate::documents) struct RawAnnotations {
    ours: Vec<(At<String>, At<String>)>,
}

impl Read for RawAnnotations {
    fn schema() -> Json {
        let (key, middle) = (key_pattern(), PREFIX_CHARS_MAX - 2);
        let prefix = format!("[A-Za-z0-9]([A-Za-z0-9.-]{{0,{middle}}}[A-Za-z0-9])?");
        json!({
            "type": "object",
            "maxProperties": ENTRIES_MAX,
            "propertyNames": {"pattern": format!("^({prefix}/)?{key}$")},
            "properties": {CRITICAL: {"enum": ["true", "false"]}, ALERTING: {"enum": ["none"]}},
            "additionalProperties": {"type": "string"},
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawAnnotations> {
        let mut ours = Vec::new();
        let mut is_good = true;
        for entry in entries(node, place, "annotations", faults)? {
            let full = &entry.key.value;
            let (prefix, name) = full.rsplit_once('/').unwrap_or(("", full));
            is_good &= key(&entry.key, name, place, faults);
            let allowed = |it: char| it.is_ascii_alphanumeric() || it == '.' || it == '-';
            let ends = |it: Option<char>| it.is_none_or(|it| it.is_ascii_alphanumeric());
            let is_domain = prefix.chars().all(allowed)
                && ends(prefix.chars().next())
                && ends(prefix.chars().last())
                && prefix.len() <= PREFIX_CHARS_MAX
                && (full == name || !prefix.is_empty());
            if !is_domain {
                let message =
                    format!("`{place}`: the prefix of {} is not a domain name", quoted(full));
                faults.error(entry.key.at, message, "write for example `example.com/owner`");
                is_good = false;
            }
            let Some(value) = text(&entry.node, &place.field(full), "text", faults) else {
                is_good = false;
                continue;
            };
            if full.to_ascii_lowercase().starts_with(PREFIX) {
                let value = At { value: value.to_owned(), at: entry.node.at };
                ours.push((entry.key.clone(), value));
            }
        }
        is_good.then_some(RawAnnotations { ours })
    }
}

fn entries<'a>(
    node: &'a Node,
    place: &'a Place<'a>,
    noun: &str,
    faults: &mut Faults,
) -> Option<&'a [crate::documents::positions::Entry]> {
    let Value::Map(entries) = &node.value else {
        // Says what a mapping is.
        Fields::open(node, place, &[], faults)?;
        return None;
    };
    if ENTRIES_MAX < entries.len() {
        let n = entries.len();
        let message = format!("`{place}` has {n} {noun}, at most {ENTRIES_MAX} are allowed");
        faults.error(node.at, message, "remove some");
        return None;
    }
    Some(entries)
}

fn key(at: &At<String>, name: &str, place: &Place<'_>, faults: &mut Faults) -> bool {
    let allowed = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let ends = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
    let is_good = name.len() <= KEY_CHARS_MAX
        && name.chars().all(allowed)
        && ends(name.chars().next())
        && ends(name.chars().last());
    if !is_good {
        let message = format!(
            "`{place}`: {} is not a name of at most {KEY_CHARS_MAX} letters, digits and `-_.` \
             that begins and ends with a letter or digit",
            quoted(name)
        );
        faults.error(at.at, message, "write for example `cost-centre`");
    }
    is_good
}
