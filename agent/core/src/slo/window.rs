//! Windows of budgets: rolling, or aligned with the calendar of a time zone.
//!
//! **In:** a length, and for a calendar window the local time it began at first.
//! **Out:** the period that an instant is in, as instants.
//! **Not here:** what is counted in it ([`super::ledger`]), how windows are written
//! ([`crate::documents`]).

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Over which time a budget is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Always the last so much time.
    Rolling(SignedDuration),
    /// Periods that follow each other.
    Calendar(CalendarWindow),
}

/// Periods of equal calendar length, as the clocks of a zone show them.
#[derive(Clone, Debug, PartialEq)]
pub struct CalendarWindow {
    /// When one began, local time. Periods before it exist too.
    pub start: DateTime,
    /// Whose clocks.
    pub zone: TimeZone,
    /// How long one is.
    pub length: PeriodLength,
}

/// How long a period is. `>= 1` of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodLength {
    /// So much time, whatever clocks show.
    Minutes(i64),
    /// Days of the calendar: 23 to 25 hours where clocks change.
    Days(i64),
    /// Months of the calendar. A period that began on the 31st begins on the last day of
    /// shorter months.
    Months(i64),
}

/// From one instant to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first instant of it.
    pub from: Timestamp,
    /// The first after it.
    pub until: Timestamp,
}

impl Period {
    /// How long it is.
    pub fn length(self) -> SignedDuration {
        self.until.duration_since(self.from)
    }
}

impl Window {
    /// The period that `now` is in: of a rolling window the one that ends now.
    pub fn period(&self, now: Timestamp) -> Period {
        match self {
            Window::Rolling(length) => {
                Period { from: now.checked_sub(*length).unwrap_or(Timestamp::MIN), until: now }
            }
            Window::Calendar(it) => it.period(now),
        }
    }

    /// How long the period is that `now` is in.
    pub fn length(&self, now: Timestamp) -> SignedDuration {
        self.period(now).length()
    }

    /// Whether what is spent comes back bit by bit.
    pub fn is_rolling(&self) -> bool {
        matches!(self, Window::Rolling(_))
    }
}

impl CalendarWindow {
    /// The period that `now` is in.
    pub fn period(&self, now: Timestamp) -> Period {
        // An estimate from mean lengths, then corrected: never more than a few steps off.
        let first = self.begins(0);
        let seconds = now.duration_since(first).as_secs();
        let mut nth = seconds.div_euclid(self.length.mean_seconds());
        while now < self.begins(nth) {
            nth -= 1;
        }
        while self.begins(nth + 1) <= now {
            nth += 1;
        }
        Period { from: self.begins(nth), until: self.begins(nth + 1) }
    }

    /// When the nth period begins; the 0th at `start`. Counted from `start` and not from the
    /// one before, so that a month that began on the 31st is not shorter for ever after a
    /// February. A local time that does not exist is the instant after the gap.
    fn begins(&self, nth: i64) -> Timestamp {
        let limit = if nth < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let instant = |local: DateTime| self.zone.to_ambiguous_timestamp(local).compatible();
        match self.length {
            PeriodLength::Minutes(n) => instant(self.start)
                .ok()
                .and_then(|it| {
                    it.checked_add(SignedDuration::from_mins(n.saturating_mul(nth))).ok()
                })
                .unwrap_or(limit),
            PeriodLength::Days(n) => Span::new()
                .try_days(n.saturating_mul(nth))
                .and_then(|span| self.start.checked_add(span))
                .and_then(instant)
                .unwrap_or(limit),
            PeriodLength::Months(n) => Span::new()
                .try_months(n.saturating_mul(nth))
                .and_then(|span| self.start.checked_add(span))
                .and_then(instant)
                .unwrap_or(limit),
        }
    }
}

impl PeriodLength {
    /// How long one is on the average; `>= 1`.
    fn mean_seconds(self) -> i64 {
        match self {
            PeriodLength::Minutes(n) => n.saturating_mul(60),
            PeriodLength::Days(n) => n.saturating_mul(86_400),
            // 400 years have 146,097 days and 4,800 months.
            PeriodLength::Months(n) => n.saturating_mul(2_629_746),
        }
        .max(1)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Rolling(length) => {
                write!(f, "the last {}", crate::units::show_duration(*length))
            }
            Window::Calendar(it) => {
                let (n, unit) = match it.length {
                    PeriodLength::Minutes(n) => (n, "minute"),
                    PeriodLength::Days(n) => (n, "day"),
                    PeriodLength::Months(n) => (n, "month"),
                };
                let zone = it.zone.iana_name().unwrap_or("UTC");
                let plural = if n == 1 { "" } else { "s" };
                write!(f, "{n} calendar {unit}{plural} ({zone})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(start: &str, zone: &str, length: PeriodLength, now: &str, expected: &Expect) {
        let it = CalendarWindow {
            start: start.parse().unwrap(),
            zone: TimeZone::get(zone).unwrap(),
            length,
        };
        let period = it.period(now.parse().unwrap());
        expected.assert_eq(&format!("{} .. {}", period.from, period.until));
    }

    #[test]
    fn a_month_begins_at_local_midnight_on_both_sides_of_summer_time() {
        let month = PeriodLength::Months(1);
        check(
            "2026-01-01T00:00",
            "Europe/Berlin",
            month,
            "2026-03-15T12:00:00Z",
            &expect!["2026-02-28T23:00:00Z .. 2026-03-31T22:00:00Z"],
        );
        check(
            "2026-01-01T00:00",
            "America/New_York",
            month,
            "2026-11-01T04:30:00Z",
            &expect!["2026-11-01T04:00:00Z .. 2026-12-01T05:00:00Z"],
        );
    }

    #[test]
    fn a_day_has_23_hours_when_clocks_go_forward() {
        let day = PeriodLength::Days(1);
        check(
            "2026-01-01T00:00",
            "Europe/Berlin",
            day,
            "2026-03-29T12:00:00Z",
            &expect!["2026-03-28T23:00:00Z .. 2026-03-29T22:00:00Z"],
        );
    }

    #[test]
    fn a_month_that_began_on_the_31st_is_not_shorter_for_ever_after_february() {
        let month = PeriodLength::Months(1);
        check(
            "2026-01-31T00:00",
            "UTC",
            month,
            "2026-03-01T00:00:00Z",
            &expect!["2026-02-28T00:00:00Z .. 2026-03-31T00:00:00Z"],
        );
        check(
            "2026-01-31T00:00",
            "UTC",
            month,
            "2026-04-10T00:00:00Z",
            &expect!["2026-03-31T00:00:00Z .. 2026-04-30T00:00:00Z"],
        );
    }

    #[test]
    fn there_are_periods_before_the_first() {
        let week = PeriodLength::Days(7);
        check(
            "2026-01-05T00:00",
            "UTC",
            week,
            "2025-12-31T00:00:00Z",
            &expect!["2025-12-29T00:00:00Z .. 2026-01-05T00:00:00Z"],
        );
        let quarter = PeriodLength::Months(3);
        check(
            "2026-01-01T00:00",
            "UTC",
            quarter,
            "2026-12-31T23:59:59Z",
            &expect!["2026-10-01T00:00:00Z .. 2027-01-01T00:00:00Z"],
        );
    }
}
