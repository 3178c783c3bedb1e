//! What the text of a cell means.
//!
//! **In:** the text of one cell, without space around it.
//! **Out:** an instant, or a number; NaN for a missing one.
//! **Not here:** where the cell stands (see [`super::rows`]).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Words that people and programs write for a missing value.
const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "none", "-", "."];

/// Why a cell is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTime {
    /// It is something else.
    Foreign,
    /// A number, but beyond the years -9999 to 9999.
    OutOfRange,
}

/// The instant that `text` says: Unix seconds, with or without a fraction, RFC 3339, or a date
/// with or without a time, which are taken as UTC.
pub(crate) fn time(text: &str) -> Result<Timestamp, NoTime> {
    let is_number = |it: char| it.is_ascii_digit() || matches!(it, '.' | '+' | '-' | 'e' | 'E');
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).map_err(|_| NoTime::OutOfRange);
    }
    if text.chars().all(is_number)
        && let Ok(seconds) = text.parse::<f64>()
    {
        return from_fraction(seconds).ok_or(NoTime::OutOfRange);
    }
    // An offset stands after the ten characters of the date.
    let after_date = text.get(10..).unwrap_or_default();
    if after_date.contains(['Z', 'z', '+', '-']) {
        return text.parse().map_err(|_| NoTime::Foreign);
    }
    let local: DateTime = text.parse().map_err(|_| NoTime::Foreign)?;
    Offset::UTC.to_timestamp(local).map_err(|_| NoTime::OutOfRange)
}

/// Rounded to microseconds: today, a float's own are a quarter of one apart.
fn from_fraction(seconds: f64) -> Option<Timestamp> {
    let us = (seconds * 1e6).round();
    // 2^62, above every time that there is.
    if !us.is_finite() || 4.6e18 < us.abs() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    let us = us as i64;
    Timestamp::from_microsecond(us).ok()
}

/// Whether `text` is a day as eight digits, which would pass for Unix seconds of 1970.
pub(crate) fn is_day_as_number(text: &str) -> bool {
    let is_day = |it: jiff::civil::Date| (1900..=2100).contains(&it.year());
    text.len() == 8 && text.bytes().all(|it| it.is_ascii_digit()) && text.parse().is_ok_and(is_day)
}

/// The number that `text` says; NaN where it says that there is none.
pub(crate) fn number(text: &str) -> Option<f64> {
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => MISSING.iter().any(|it| text.eq_ignore_ascii_case(it)).then_some(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn times_in_the_forms_that_people_have() {
        let table: String = [
            "1628640000",
            "-1",
            "1628640000.25",
            "1.62864e9",
            "2014-04-01 00:00:00",
            "2014-04-01T00:00:00Z",
            "2014-04-01 00:00:00.5+02:00",
            "2014-04-01T02:00:00-0530",
            "2014-04-01",
            "2014-04-01 12:30",
            "1628640000000",
            "1e300",
            "0001-01-01",
            "9999-12-31 23:59:59",
            "12:30",
            "yesterday",
            "04/01/2014",
            "",
            "-",
            "2014-02-30",
        ]
        .iter()
        .map(|text| match time(text) {
            Ok(at) => format!("{text}: {at}\n"),
            Err(why) => format!("{text}: {why:?}\n"),
        })
        .collect();
        expect![[r#"
            1628640000: 2021-08-11T00:00:00Z
            -1: 1969-12-31T23:59:59Z
            1628640000.25: 2021-08-11T00:00:00.25Z
            1.62864e9: 2021-08-11T00:00:00Z
            2014-04-01 00:00:00: 2014-04-01T00:00:00Z
            2014-04-01T00:00:00Z: 2014-04-01T00:00:00Z
            2014-04-01 00:00:00.5+02:00: 2014-03-31T22:00:00.5Z
            2014-04-01T02:00:00-0530: 2014-04-01T07:30:00Z
            2014-04-01: 2014-04-01T00:00:00Z
            2014-04-01 12:30: 2014-04-01T12:30:00Z
            1628640000000: OutOfRange
            1e300: OutOfRange
            0001-01-01: 0001-01-01T00:00:00Z
            9999-12-31 23:59:59: OutOfRange
            12:30: Foreign
            yesterday: Foreign
            04/01/2014: Foreign
            : Foreign
            -: Foreign
            2014-02-30: Foreign
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn numbers_and_missing_numbers() {
        for (text, expected) in [
            ("12", Some("12")),
            ("-1.5e3", Some("-1500")),
            ("", Some("NaN")),
            ("NA", Some("NaN")),
            ("nan", Some("NaN")),
            ("inf", Some("inf")),
            ("1e999", Some("inf")),
            ("1 000", None),
            ("twelve", None),
            ("0x10", None),
        ] {
            assert_eq!(number(text).map(|it| it.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_day_as_a_number_is_noticed() {
        assert!(is_day_as_number("20140401"));
        assert!(!is_day_as_number("20141401"));
        assert!(!is_day_as_number("1628640000"));
    }
}
