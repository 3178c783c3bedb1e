//! Quantities that must not be mixed up.
//!
//! **In:** numbers from documents and observations.
//! **Out:** newtypes whose value was checked once, with named conversions.
//! **Not here:** instants and durations, which are `jiff`'s.

use std::fmt;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Units of capacity (instances, tasks, pods). Absolute, never a difference
/// and never a percentage.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Capacity(pub u32);

impl Capacity {
    /// Units above `other`; 0 when this is not larger.
    pub fn above(self, other: Capacity) -> u32 {
        self.0.saturating_sub(other.0)
    }

    /// `ceil(units)`, saturating at [`u32::MAX`]; NaN and negative give 0. The
    /// guard clamps to bounds long before saturation matters.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float-to-int `as` saturates and maps NaN to 0, which is what is documented"
    )]
    pub fn covering(units: f64) -> Capacity {
        // A demand of exactly 3 units must not become 4 through 2.9999999999999996 + 4e-16.
        const ROUNDING_ERROR_RATIO: f64 = 1e-9;
        Capacity((units * (1.0 - ROUNDING_ERROR_RATIO)).ceil() as u32)
    }
}

impl From<Capacity> for f64 {
    fn from(capacity: Capacity) -> f64 {
        f64::from(capacity.0)
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Bounds of a target's capacity, both inclusive. Invariant: `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bounds {
    /// Never go below this.
    pub min: Capacity,
    /// Never go above this.
    pub max: Capacity,
}

impl Bounds {
    /// The nearest capacity inside the bounds.
    pub fn clamp(self, capacity: Capacity) -> Capacity {
        // Not `Ord::clamp`, which panics on `max < min`.
        capacity.min(self.max).max(self.min)
    }

    /// Whether `capacity` is inside.
    pub fn contain(self, capacity: Capacity) -> bool {
        self.min <= capacity && capacity <= self.max
    }
}

/// A duration as people write it in documents and on the command line: `90s`,
/// `5m`, `1h30m`, `2d`. Always with a unit. Never negative.
///
/// # Errors
///
/// The message to show, without the text itself.
pub fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a duration must not be empty; write for example `5m`".to_owned());
    }
    if text.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
        return Err(format!("`{text}` has no unit; write for example `{text}s` or `{text}m`"));
    }
    let total = duration_seconds(text).ok_or_else(|| {
        format!("`{text}` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`")
    })?;
    i64::try_from(total)
        .ok()
        .filter(|seconds| *seconds <= DURATION_SECONDS_MAX)
        .map(SignedDuration::from_secs)
        .ok_or_else(|| format!("`{text}` is longer than 400 days"))
}

/// Longest duration a person can ask for. Why 400 days: more than a year of
/// history, and far from any overflow.
const DURATION_SECONDS_MAX: i64 = 400 * 86_400;

fn duration_seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match rest.get(..letters)? {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        // Largest unit first, each once: `30m1h` is more likely a slip than a wish.
        if last_unit <= unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(letters..)?;
    }
    Some(total)
}

/// A duration in the form that [`parse_duration`] reads: `1h30m`, `0s`.
/// Sub-second parts are cut off.
pub fn show_duration(duration: SignedDuration) -> String {
    let mut seconds = duration.as_secs().unsigned_abs();
    let mut shown = if duration.as_secs() < 0 { "-".to_owned() } else { String::new() };
    for (unit, letter) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
        if unit <= seconds {
            shown.push_str(&format!("{}{letter}", seconds / unit));
            seconds %= unit;
        }
    }
    if shown.is_empty() || shown == "-" { "0s".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    #[track_caller]
    fn check_duration(text: &str, expected: &Expect) {
        let shown = match parse_duration(text) {
            Ok(duration) => show_duration(duration),
            Err(message) => format!("error: {message}"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn durations_carry_units() {
        check_duration("90s", &expect!["1m30s"]);
        check_duration("1h30m", &expect!["1h30m"]);
        check_duration("72h", &expect!["3d"]);
        check_duration("2w", &expect!["14d"]);
        check_duration("0s", &expect!["0s"]);
        check_duration("5", &expect!["error: `5` has no unit; write for example `5s` or `5m`"]);
        check_duration("", &expect!["error: a duration must not be empty; write for example `5m`"]);
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["-5m", "5 m", "m", "5x", "30m1h", "5m5m", "1.5h", "99999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration("401d").is_err());
    }

    #[test]
    fn capacity_covers_demand_and_no_more() {
        for (units, expected) in [
            (0.0, 0),
            (0.1, 1),
            (3.0, 3),
            (3.000_000_000_4, 3),
            (3.01, 4),
            (f64::NAN, 0),
            (-2.0, 0),
            (f64::INFINITY, u32::MAX),
        ] {
            assert_eq!(Capacity::covering(units), Capacity(expected), "{units}");
        }
    }

    proptest! {
        #[test]
        fn durations_read_back_what_they_print(seconds in 0i64..=DURATION_SECONDS_MAX) {
            let duration = SignedDuration::from_secs(seconds);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }
}
