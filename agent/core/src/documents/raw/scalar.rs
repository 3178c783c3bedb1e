//! Single values: text, names, numbers in a range, durations.
//!
//! **In:** one node.
//! **Out:** a value inside its range, or a fault that names the range.
//! **Not here:** fields ([`super`]).

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde_json::json;

use crate::condition::Unit;
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::{Place, Read, listed, nearest, wrong_type};
use crate::documents::{Autonomy, Role};
use crate::ids::{Labels, NAME_BYTES_MAX, NameError, TargetId};
use crate::incident::Severity;
use crate::units::{parse_duration, show_duration};

/// Longest text of one field, such as a group's name or a URL, in bytes. Why
/// 512: AWS allows 255 characters, and a URL needs some more.
const SHORT_TEXT_BYTES_MAX: usize = 512;

/// The text of `node`, or a fault.
pub(super) fn text<'a>(
    node: &'a Node,
    place: &Place<'_>,
    expected: &str,
    faults: &mut Faults,
) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    wrong_type(node, place, expected, faults);
    None
}

/// Text of one line, not empty, without control characters.
pub(in crate::documents) struct ShortText(pub(in crate::documents) String);

impl Read for ShortText {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "minLength": 1, "maxLength": SHORT_TEXT_BYTES_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let text = text(node, place, "text", faults)?;
        let message = if text.trim().is_empty() {
            format!("`{place}` is empty")
        } else if SHORT_TEXT_BYTES_MAX < text.len() {
            let bytes = text.len();
            format!("`{place}` has {bytes} bytes, at most {SHORT_TEXT_BYTES_MAX} are allowed")
        } else if text.chars().any(char::is_control) {
            format!("`{place}` contains a line break or another control character")
        } else {
            return Some(ShortText(text.to_owned()));
        };
        faults.error(node.at, message, "write one short line of text");
        None
    }
}

/// A name as [`crate::ids`] has them.
pub(in crate::documents) struct Name<T>(pub(in crate::documents) T);

impl<T: FromStr<Err = NameError>> Read for Name<T> {
    fn schema() -> serde_json::Value {
        json!({
            "type": "string",
            "pattern": format!("^[A-Za-z0-9_.@/+-]{{1,{NAME_BYTES_MAX}}}$"),
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let text = text(node, place, "text", faults)?;
        match text.parse() {
            Ok(name) => Some(Name(name)),
            Err(error) => {
                let hint = "write for example `checkout-api`";
                faults.error(node.at, format!("`{place}`: {error}"), hint);
                None
            }
        }
    }
}

/// A label of Prometheus: what `target_label` may be.
pub(in crate::documents) struct PrometheusLabel(pub(in crate::documents) String);

impl Read for PrometheusLabel {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": NAME_BYTES_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let text = text(node, place, "text", faults)?;
        let starts_well = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
        let goes_on_well = text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
        if starts_well && goes_on_well && text.len() <= NAME_BYTES_MAX {
            return Some(PrometheusLabel(text.to_owned()));
        }
        faults.error(
            node.at,
            format!("`{place}`: {} is not a label of Prometheus", quoted(text)),
            "a label has letters, digits and `_`, for example `service`",
        );
        None
    }
}

impl Read for bool {
    fn schema() -> serde_json::Value {
        json!({"type": "boolean"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<bool> {
        if let Value::Bool(value) = &node.value {
            return Some(*value);
        }
        wrong_type(node, place, "`true` or `false`", faults);
        None
    }
}

/// Units of capacity in a document. Why 1,000,000: no platform has more in one
/// group, and a slip of the finger does not become a bill.
pub(in crate::documents) struct Units(pub(in crate::documents) u32);

const UNITS_MAX: u32 = 1_000_000;

impl Read for Units {
    fn schema() -> serde_json::Value {
        json!({"type": "integer", "minimum": 0, "maximum": UNITS_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Units> {
        let expected = format!("a whole number from 0 to {UNITS_MAX}");
        match &node.value {
            Value::Whole(value) => match u32::try_from(*value).ok().filter(|it| *it <= UNITS_MAX) {
                Some(units) => return Some(Units(units)),
                None => out_of_range(node, place, value, &expected, faults),
            },
            // `3.0` is a whole number too; a schema says the same.
            Value::Number(value) => {
                match value.to_string().parse().ok().filter(|it| *it <= UNITS_MAX) {
                    Some(units) => return Some(Units(units)),
                    None => out_of_range(node, place, value, &expected, faults),
                }
            }
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                wrong_type(node, place, &expected, faults);
            }
        }
        None
    }
}

pub(super) fn out_of_range(
    node: &Node,
    place: &Place<'_>,
    value: &impl fmt::Display,
    expected: &str,
    faults: &mut Faults,
) {
    faults.error(
        node.at,
        format!("`{place}` is {value}, it must be {expected}"),
        format!("write {expected}"),
    );
}

pub(super) fn number(
    node: &Node,
    place: &Place<'_>,
    expected: &str,
    faults: &mut Faults,
) -> Option<f64> {
    match &node.value {
        Value::Number(value) => Some(*value),
        // Through text: every i64 has a nearest f64, and no cast needs excusing.
        Value::Whole(value) => value.to_string().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            wrong_type(node, place, expected, faults);
            None
        }
    }
}

/// A finite number in a range.
macro_rules! number {
    ($(#[doc = $doc:literal])+ $name:ident: $expected:literal, $within:expr, $schema:tt) => {
        $(#[doc = $doc])+
        pub(in crate::documents) struct $name(pub(in crate::documents) f64);

        impl Read for $name {
            fn schema() -> serde_json::Value {
                let mut schema = json!($schema);
                schema["type"] = json!("number");
                schema
            }

            fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<$name> {
                let within: fn(f64) -> bool = $within;
                let value = number(node, place, $expected, faults)?;
                if value.is_finite() && within(value) {
                    return Some($name(value));
                }
                out_of_range(node, place, &value, $expected, faults);
                None
            }
        }
    };
}

pub(super) use number as ranged;

number! {
    /// US dollars per hour. Why at most 100,000: no unit of anything costs more.
    Price: "a number from 0 to 100000", |it| (0.0..=100_000.0).contains(&it),
    {"minimum": 0, "maximum": 100_000}
}
number! {
    /// What one unit carries, or pieces of work per second of one unit.
    Rate: "a number above 0", |it| 0.0 < it,
    {"exclusiveMinimum": 0}
}
number! {
    /// Extra load to be ready for. Why at most 5: six times what is needed is
    /// a `min`, not headroom.
    Headroom: "a number from 0 to 5", |it| (0.0..=5.0).contains(&it),
    {"minimum": 0, "maximum": 5}
}
number! {
    /// Relative distance that is ignored.
    Tolerance: "a number from 0 to below 1", |it| (0.0..1.0).contains(&it),
    {"minimum": 0, "exclusiveMaximum": 1}
}
number! {
    /// Largest single change as a fraction. Why at most 100: the same as no limit.
    StepRatio: "a number from 0 to 100", |it| (0.0..=100.0).contains(&it),
    {"minimum": 0, "maximum": 100}
}
number! {
    /// Fraction that may be removed.
    RemovedRatio: "a number above 0 and at most 1", |it| 0.0 < it && it <= 1.0,
    {"exclusiveMinimum": 0, "maximum": 1}
}

number! {
    /// Share of the time in which demand may be above ready capacity. Why below
    /// a half: capacity for less than the usual load is no plan.
    ShortfallRatio: "a number above 0 and below 0.5", |it| 0.0 < it && it < 0.5,
    {"exclusiveMinimum": 0, "exclusiveMaximum": 0.5}
}
number! {
    /// US dollars per hour that one missing unit costs. Why at most a million:
    /// ten times what any unit may cost; more is `time_ratio_max` in disguise.
    ShortfallCost: "a number above 0 and at most 1000000", |it| 0.0 < it && it <= 1e6,
    {"exclusiveMinimum": 0, "maximum": 1_000_000}
}
number! {
    /// Load during an event / load without. Why at most 100: what multiplies
    /// load by more is no event but another service.
    Uplift: "a number above 0 and at most 100", |it| 0.0 < it && it <= 100.0,
    {"exclusiveMinimum": 0, "maximum": 100}
}

number! {
    /// Any finite number; its unit is a field of its own.
    Finite: "a finite number", |_| true,
    {}
}
number! {
    /// Ejection limit. Why at most a half: with less than half of a fleet left, what is
    /// wrong is not with single instances.
    ShareMax: "a number above 0 and at most 0.5", |it| 0.0 < it && it <= 0.5,
    {"exclusiveMinimum": 0, "maximum": 0.5}
}
number! {
    /// Fraction of the weight that is kept.
    WeightRatio: "a number from 0 to 1", |it| (0.0..=1.0).contains(&it),
    {"minimum": 0, "maximum": 1}
}
number! {
    /// Share that must be good.
    Objective: "a number above 0 and below 1", |it| 0.0 < it && it < 1.0,
    {"exclusiveMinimum": 0, "exclusiveMaximum": 1}
}
number! {
    /// Times the sustainable rate. Why at most 1000: that spends a month's budget in
    /// three quarters of an hour.
    BurnFactor: "a number above 0 and at most 1000", |it| 0.0 < it && it <= 1_000.0,
    {"exclusiveMinimum": 0, "maximum": 1_000}
}

/// A whole number from `MIN` to `MAX`.
pub(in crate::documents) struct Whole<const MIN: u32, const MAX: u32>(pub(in crate::documents) u32);

impl<const MIN: u32, const MAX: u32> Read for Whole<MIN, MAX> {
    fn schema() -> serde_json::Value {
        json!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let expected = format!("a whole number from {MIN} to {MAX}");
        let value = number(node, place, &expected, faults)?;
        match value.to_string().parse().ok().filter(|it| (MIN..=MAX).contains(it)) {
            Some(value) => Some(Whole(value)),
            None => {
                out_of_range(node, place, &value, &expected, faults);
                None
            }
        }
    }
}

/// One or more numbers with units, the largest unit first.
const DURATION_PATTERN: &str = "([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+(m|min))?([0-9]+s)?";

/// A duration from `MIN` to `MAX` seconds.
pub(in crate::documents) struct Duration<const MIN: i64, const MAX: i64>(
    pub(in crate::documents) SignedDuration,
);

impl<const MIN: i64, const MAX: i64> Read for Duration<MIN, MAX> {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": format!("^{DURATION_PATTERN}$"), "minLength": 2})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Whole(_) | Value::Number(_) => {
                no_unit(node, place, faults);
                return None;
            }
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {}
        }
        let text = text(node, place, "a duration such as `5m`", faults)?;
        let duration = match parse_duration(text) {
            Ok(duration) => duration,
            Err(message) => {
                not_a_duration(node, place, &message, faults);
                return None;
            }
        };
        if (MIN..=MAX).contains(&duration.as_secs()) {
            return Some(Duration(duration));
        }
        let show = |seconds| show_duration(SignedDuration::from_secs(seconds));
        let range = format!("from {} to {}", show(MIN), show(MAX));
        faults.error(
            node.at,
            format!("`{place}` is {}, it must be {range}", show_duration(duration)),
            format!("write a duration {range}"),
        );
        None
    }
}

fn no_unit(node: &Node, place: &Place<'_>, faults: &mut Faults) {
    let number = match &node.value {
        Value::Whole(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            return;
        }
    };
    faults.error(
        node.at,
        format!("`{place}` is {number}, a duration without a unit"),
        if number.bytes().all(|it| it.is_ascii_digit()) {
            format!("write for example `{number}s` or `{number}m`")
        } else {
            "write for example `90s`, `5m`, `1h30m` or `2d`".to_owned()
        },
    );
}

fn not_a_duration(node: &Node, place: &Place<'_>, message: &str, faults: &mut Faults) {
    // `parse_duration` says what is wrong and, after a semicolon, what to do.
    let (what, hint) = message.split_once("; ").unwrap_or((message, "write for example `5m`"));
    faults.error(node.at, format!("`{place}`: {what}"), hint);
}

/// A latency: a duration that may be in milliseconds, above 0, at most an hour.
pub(in crate::documents) struct Latency {
    pub(in crate::documents) seconds: f64,
}

impl Read for Latency {
    fn schema() -> serde_json::Value {
        json!({
            "type": "string",
            "pattern": format!("^([0-9]+ms|{DURATION_PATTERN})$"),
            "minLength": 2,
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Latency> {
        const MILLISECONDS_MAX: u32 = 3_600_000;
        let whole_ms = match &node.value {
            Value::Text(text) => text.strip_suffix("ms"),
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::List(_)
            | Value::Map(_) => None,
        };
        let Some(digits) = whole_ms else {
            let Duration(duration) = Duration::<1, 3_600>::read(node, place, faults)?;
            return Some(Latency { seconds: duration.as_secs_f64() });
        };
        let ms =
            digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|it| it.is_ascii_digit()));
        match ms {
            Some(ms) if 0 < ms && ms <= MILLISECONDS_MAX => {
                Some(Latency { seconds: f64::from(ms) / 1_000.0 })
            }
            Some(_) | None => {
                let message = format!(
                    "`{place}`: {} is not a latency from 1ms to 1h",
                    quoted(&format!("{digits}ms"))
                );
                faults.error(node.at, message, "write for example `250ms` or `2s`");
                None
            }
        }
    }
}

/// A word of a closed set.
pub(super) fn word<T: Copy>(
    node: &Node,
    place: &Place<'_>,
    words: &[(&'static str, T)],
    faults: &mut Faults,
) -> Option<T> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let expected = format!("one of {}", listed(&names));
    let text = text(node, place, &expected, faults)?;
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let hint = match nearest(text, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write {expected}"),
    };
    let message = format!("`{place}`: {} is not {expected}", quoted(text));
    faults.error(node.at, message, hint);
    None
}

macro_rules! words {
    ($type:ty: $($word:literal = $value:expr),+) => {
        impl Read for $type {
            fn schema() -> serde_json::Value {
                json!({"enum": [$($word),+]})
            }

            fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<$type> {
                word(node, place, &[$(($word, $value)),+], faults)
            }
        }
    };
}

words!(Autonomy:
    "observe" = Autonomy::Observe, "suggest" = Autonomy::Suggest,
    "approve" = Autonomy::Approve, "auto" = Autonomy::Auto);
words!(Severity:
    "info" = Severity::Info, "ticket" = Severity::Ticket, "page" = Severity::Page);
words!(Unit:
    "ratio" = Unit::Ratio, "count" = Unit::Count, "rps" = Unit::Rps, "seconds" = Unit::Seconds,
    "usd_per_hour" = Unit::UsdPerHour, "usd" = Unit::Usd, "bytes" = Unit::Bytes,
    "units" = Unit::Units);
words!(Role: "viewer" = Role::Viewer, "operator" = Role::Operator, "admin" = Role::Admin);

/// Labels: names to short text.
pub(in crate::documents) struct RawLabels(pub(in crate::documents) Labels);

/// Most labels of one target or selector. Why 32: people read them in a column.
const LABELS_MAX: usize = 32;

impl Read for RawLabels {
    fn schema() -> serde_json::Value {
        json!({
            "type": "object",
            "maxProperties": LABELS_MAX,
            "propertyNames": Name::<TargetId>::schema(),
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": NAME_BYTES_MAX},
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawLabels> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, place, "a mapping of labels, such as `team: payments`", faults);
            return None;
        };
        if LABELS_MAX < entries.len() {
            let message =
                format!("`{place}` has {} labels, at most {LABELS_MAX} are allowed", entries.len());
            faults.error(node.at, message, "remove some");
            return None;
        }
        let mut labels = Some(Labels::new());
        for entry in entries {
            let key = At { value: Value::Text(entry.key.value.clone()), at: entry.key.at };
            let key = Name::<TargetId>::read(&key, place, faults);
            let value = label_value(&entry.node, &place.field(&entry.key.value), faults);
            match (key, value, &mut labels) {
                (Some(Name(key)), Some(value), Some(labels)) => {
                    labels.insert(key.to_string(), value);
                }
                (None, _, _) | (_, None, _) | (_, _, None) => labels = None,
            }
        }
        labels.map(RawLabels)
    }
}

fn label_value(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<String> {
    let ShortText(value) = ShortText::read(node, place, faults)?;
    if value.len() <= NAME_BYTES_MAX && value.trim() == value {
        return Some(value);
    }
    let message = if NAME_BYTES_MAX < value.len() {
        format!("`{place}` has {} bytes, a label has at most {NAME_BYTES_MAX}", value.len())
    } else {
        format!("`{place}` begins or ends with a space")
    };
    faults.error(node.at, message, "shorten it");
    None
}
