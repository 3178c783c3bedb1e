//! Values of scenario files, and what is wrong with them.
//!
//! **In:** YAML scalars. **Out:** durations, checked numbers, and [`RawFault`]s with a place.
//! **Not here:** what the values are for.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use evenkeel_core::units::parse_duration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

/// What is wrong with a value that was read.
#[derive(Debug)]
pub(super) struct RawFault {
    pub(super) location: Location,
    pub(super) message: String,
    pub(super) hint: Cow<'static, str>,
}

impl RawFault {
    pub(super) fn new(
        location: Location,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) -> RawFault {
        RawFault { location, message: message.into(), hint: hint.into() }
    }
}

/// What to do about a number outside its limits.
pub(super) const CHANGE_IT: &str = "change it in the scenario";

/// `15s`, `5m`, `2d`; in seconds, `0 ..= 400 days`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length(pub(super) i64);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Length, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(|it| Length(it.as_secs())).map_err(D::Error::custom)
    }
}

/// A [`Length`] either way: `-5m` is five minutes behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset(pub(super) i64);

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Offset, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (sign, length) = match text.strip_prefix('-') {
            Some(length) => (-1, length),
            None => (1, text.as_str()),
        };
        parse_duration(length).map(|it| Offset(sign * it.as_secs())).map_err(D::Error::custom)
    }
}

/// A [`Length`], or milliseconds: `80ms`, `0.5ms`. In seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct FineLength(pub(super) f64);

impl<'de> Deserialize<'de> for FineLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FineLength, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Some(number) = text.trim().strip_suffix("ms") else {
            let seconds = parse_duration(&text).map_err(D::Error::custom)?.as_secs_f64();
            return Ok(FineLength(seconds));
        };
        let is_number = number.bytes().all(|it| it.is_ascii_digit() || it == b'.');
        match number.parse::<f64>() {
            Ok(ms) if is_number && ms.is_finite() => Ok(FineLength(ms / 1_000.0)),
            Ok(_) | Err(_) => {
                let message = format!("`{text}` is not a duration; write for example `80ms`");
                Err(D::Error::custom(message))
            }
        }
    }
}

/// The value, when it is within `allowed`.
pub(super) fn within<T: Copy + PartialOrd + Display>(
    field: &str,
    it: &Spanned<T>,
    allowed: RangeInclusive<T>,
) -> Result<T, RawFault> {
    if allowed.contains(&it.value) {
        return Ok(it.value);
    }
    let (least, most) = allowed.into_inner();
    let message = format!("`{field}` is {}, it must be {least} to {most}", it.value);
    Err(RawFault::new(it.referenced, message, CHANGE_IT))
}

/// The value, when it is above 0 and at most `most`.
pub(super) fn above_zero(field: &str, it: &Spanned<f64>, most: f64) -> Result<f64, RawFault> {
    if 0.0 < it.value && it.value <= most {
        return Ok(it.value);
    }
    let message = format!("`{field}` is {}, it must be above 0, at most {most}", it.value);
    Err(RawFault::new(it.referenced, message, CHANGE_IT))
}

/// Seconds, when they are within `allowed`.
pub(super) fn length(
    field: &str,
    it: &Spanned<Length>,
    allowed: RangeInclusive<i64>,
) -> Result<i64, RawFault> {
    let seconds = it.value.0;
    if allowed.contains(&seconds) {
        return Ok(seconds);
    }
    let (least, most) = allowed.into_inner();
    let (is, least, most) = (as_text(seconds), as_text(least), as_text(most));
    let message = format!("`{field}` is {is}, it must be {least} to {most}");
    Err(RawFault::new(it.referenced, message, CHANGE_IT))
}

/// Seconds as a person would write them: `90s`, `5m`, `1h30m`, `2d`.
pub(super) fn as_text(seconds: i64) -> String {
    let mut text = String::new();
    let mut rest = seconds;
    for (unit, width) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if width <= rest {
            text.push_str(&format!("{}{unit}", rest / width));
            rest %= width;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `name` is a name as everywhere in the agent.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(fits)
}

/// Longest name, as everywhere in the agent.
const NAME_BYTES_MAX: usize = 128;

/// What to do about a text that is none.
pub(super) const NAME_HINT: &str = "use letters, digits and `-_.`, at most 128 of them";

pub(super) fn name_fault(name: &Spanned<String>) -> RawFault {
    RawFault::new(name.referenced, format!("`{}` is not a name", name.value), NAME_HINT)
}
