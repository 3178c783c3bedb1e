//! Money, shares and windows, as budgets, price books and tenants have them.
//!
//! **In:** one node.
//! **Out:** a value inside its range, or a fault that names the range.
//! **Not here:** other single values ([`super::scalar`]), what holds between fields
//! ([`super::budget`], [`super::price_book`], [`super::tenants`]).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::Node;
use crate::documents::raw::scalar::{Duration, number, out_of_range, ranged, text};
use crate::documents::raw::time::{LocalTime, Repeated, Zone, instant};
use crate::documents::raw::{Place, Read, fields, one_of};
use crate::slo::window::{CalendarWindow, PeriodLength, Window};
use crate::spend::money::Currency;

ranged! {
    /// What may be spent. Why from a millionth to 9 billion: less is nothing in a
    /// [`crate::spend::money::Money`], and sums are exact up to there.
    Amount: "a number from 0.000001 to 9000000000", |it| (1e-6..=9e9).contains(&it),
    {"minimum": 0.000_001, "maximum": 9_000_000_000_i64}
}
ranged! {
    /// What one of something costs, in any currency. Why at most a billion: a unit for
    /// 100,000 US dollars, in the currency that has the most to the dollar.
    Cost: "a number from 0 to 1000000000", |it| (0.0..=1e9).contains(&it),
    {"minimum": 0, "maximum": 1_000_000_000}
}
ranged! {
    /// The share that is taken off a price.
    DiscountRatio: "a number from 0 to below 1", |it| (0.0..1.0).contains(&it),
    {"minimum": 0, "exclusiveMaximum": 1}
}
ranged! {
    /// A share of a budget that is spent. Why at most 10: who has spent ten times the
    /// amount was told before.
    SpentRatio: "a number above 0 and at most 10", |it| 0.0 < it && it <= 10.0,
    {"exclusiveMinimum": 0, "maximum": 10}
}
ranged! {
    /// Spend now / spend as usual. Why 1.1 to 100: less than a tenth more is noise, and
    /// nobody waits for a hundred times.
    Growth: "a number from 1.1 to 100", |it| (1.1..=100.0).contains(&it),
    {"minimum": 1.1, "maximum": 100}
}
ranged! {
    /// A share of the requests of a service.
    ShareRatio: "a number from 0 to 1", |it| (0.0..=1.0).contains(&it),
    {"minimum": 0, "maximum": 1}
}
ranged! {
    /// What the requests of a tenant are worth, against those of others.
    Worth: "a number from 0 to 1000000000", |it| (0.0..=1e9).contains(&it),
    {"minimum": 0, "maximum": 1_000_000_000}
}
ranged! {
    /// Requests per second that are allowed.
    Quota: "a number above 0 and at most 1000000000", |it| 0.0 < it && it <= 1e9,
    {"exclusiveMinimum": 0, "maximum": 1_000_000_000}
}

impl Read for Currency {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[A-Z]{3}$"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Currency> {
        let code = text(node, place, "text such as `USD`", faults)?;
        if let Ok(currency) = Currency::new(code) {
            return Some(currency);
        }
        let message = format!("`{place}`: {} is not a currency", quoted(code));
        let hint = match Currency::new(&code.trim().to_ascii_uppercase()) {
            Ok(currency) => format!("did you mean `{currency}`?"),
            Err(_) => "write the three capital letters of ISO 4217, such as `USD`".to_owned(),
        };
        faults.error(node.at, message, hint);
        None
    }
}

/// The word `true`, where anything else would mean nothing.
pub(in crate::documents) struct True;

impl Read for True {
    fn schema() -> Json {
        json!({"const": true})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<True> {
        if bool::read(node, place, faults)? {
            return Some(True);
        }
        let hint = "write `true`, or something else in its place";
        faults.error(node.at, format!("`{place}` is false, which means nothing"), hint);
        None
    }
}

/// A date, a time of day and an offset.
pub(in crate::documents) struct Instant(pub(in crate::documents) Timestamp);

impl Read for Instant {
    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$",
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Instant> {
        let text = text(node, place, "a time such as `2026-11-01T00:00:00Z`", faults)?;
        let parsed = text.parse::<Timestamp>().ok().filter(|_| has_form(text));
        if parsed.is_none() {
            let message = format!("`{place}`: {} is not a time with an offset", quoted(text));
            let hint = "write for example `2026-11-01T00:00:00Z` or `2026-11-01T00:00:00+01:00`";
            faults.error(node.at, message, hint);
        }
        parsed.map(Instant)
    }
}

/// As the schema of [`Instant`] says.
fn has_form(text: &str) -> bool {
    let form = match text.len() {
        20 => "20dd-dd-ddTdd:dd:ddZ",
        25 => "20dd-dd-ddTdd:dd:ddsdd:dd",
        _ => return false,
    };
    text.bytes().zip(form.bytes()).all(|(it, form)| match form {
        b'd' => it.is_ascii_digit(),
        b's' => b"+-".contains(&it),
        other => it == other,
    })
}

one_of! {
    /// Over which time: exactly one form.
    enum RawWindow {
        /// Always the last so much time, from 1 hour to 366 days.
        Rolling = "rolling" (Duration<3_600, 31_622_400>),
        /// Periods that follow each other on the clock of a time zone.
        Calendar = "calendar" (RawCalendarWindow),
    }
}

fields! {
    /// Periods that follow each other.
    struct RawCalendarWindow {
        /// How long one is: a number and `d`, `w`, `M` (months), `Q` (quarters) or `Y`
        /// (years), at most a year: `1M`.
        required every: Every,
        /// When one begins, such as `2026-01-01T00:00`. There are periods before it too.
        required start: LocalTime,
        /// An IANA time zone, such as `Europe/Berlin` or `UTC`.
        required time_zone: Zone,
    }
}

/// How long the periods of a calendar are.
pub(in crate::documents) struct Every(PeriodLength);

impl Read for Every {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[1-9][0-9]{0,2}[dwMQY]$"})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Every> {
        const EXPECTED: &str = "a number with one of `d`, `w`, `M`, `Q` and `Y`, such as `1M`";
        let text = text(node, place, EXPECTED, faults)?;
        let split = text.len().saturating_sub(1);
        let (digits, unit) = text.split_at_checked(split).unwrap_or_default();
        let is_whole = digits.bytes().all(|it| it.is_ascii_digit()) && !digits.starts_with('0');
        let n = digits.parse::<i64>().ok().filter(|_| is_whole);
        // Most of each unit in a year.
        let found = n.and_then(|n| match unit {
            "d" => Some((PeriodLength::Days(n), n, 366)),
            "w" => Some((PeriodLength::Days(n.saturating_mul(7)), n, 52)),
            "M" => Some((PeriodLength::Months(n), n, 12)),
            "Q" => Some((PeriodLength::Months(n.saturating_mul(3)), n, 4)),
            "Y" => Some((PeriodLength::Months(n.saturating_mul(12)), n, 1)),
            _ => None,
        });
        let (message, hint) = match found {
            Some((length, n, max)) if n <= max => return Some(Every(length)),
            Some((_, _, max)) => (
                format!("`{place}` is {}, it must be at most {max}{unit}", quoted(text)),
                format!("write a period of up to a year, such as `{max}{unit}`"),
            ),
            None => (
                format!("`{place}`: {} is not the length of a period", quoted(text)),
                match (n, unit) {
                    (Some(n), "m") => format!("write `{n}M` for months of the calendar"),
                    (Some(n), "y") => format!("write `{n}Y` for years of the calendar"),
                    (Some(n), "q") => format!("write `{n}Q` for quarters of the calendar"),
                    (Some(_) | None, _) => format!("write {EXPECTED}"),
                },
            ),
        };
        faults.error(node.at, message, hint);
        None
    }
}

impl RawWindow {
    /// The window, with a warning where the clock does not show its start.
    pub(super) fn checked(self, faults: &mut Faults) -> Option<Window> {
        match self {
            RawWindow::Rolling(Duration(length)) => Some(Window::Rolling(length)),
            RawWindow::Calendar(RawCalendarWindow { every, start, time_zone }) => {
                let zone: TimeZone = time_zone.value.zone;
                instant(&start, &zone, Repeated::First, "start", faults)?;
                let LocalTime(start) = start.value;
                let length = every.value.0;
                Some(Window::Calendar(CalendarWindow { start, zone, length }))
            }
        }
    }
}
