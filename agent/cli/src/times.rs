//! Instants and durations for people.
//!
//! **In:** instants, always with the instant they are seen from: the agent's
//! clock, which under `--demo` is not this host's.
//! **Out:** UTC, in words.
//! **Not here:** reading them (see [`crate::args`]).

use evenkeel_core::units::show_duration;
use jiff::{SignedDuration, Timestamp};

/// `2026-11-20 03:40:00 UTC`.
pub(crate) fn full(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `until 03:40 UTC (in 4h)`; with the date when that is a day or more away.
pub(crate) fn until(ends_at: Timestamp, now: Timestamp) -> String {
    let left = ends_at.duration_since(now);
    let form = if left.abs() < SignedDuration::from_hours(24) {
        "%H:%M UTC"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    let ends = ends_at.strftime(form);
    if left <= SignedDuration::ZERO {
        format!("until {ends} ({} ago)", about(left.abs()))
    } else {
        format!("until {ends} (in {})", about(left))
    }
}

/// A duration to the second below two minutes, to the minute above.
pub(crate) fn about(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds < 120 {
        return show_duration(SignedDuration::from_secs(seconds));
    }
    // Rounded: an override of 4h is seen a moment later, and still lasts 4h.
    let minutes = seconds.saturating_add(30) / 60;
    show_duration(SignedDuration::from_mins(minutes))
}

/// As [`about`], and to the hour above two days, to the day above ten: for what is estimated.
pub(crate) fn roughly(duration: SignedDuration) -> String {
    let unit = match duration.as_hours().abs() {
        hours if 240 <= hours => 86_400,
        hours if 48 <= hours => 3_600,
        hours if 2 <= hours => 600,
        _ => return about(duration.max(SignedDuration::ZERO)),
    };
    let rounded = duration.as_secs().saturating_add(unit / 2).div_euclid(unit);
    show_duration(SignedDuration::from_secs(rounded.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_as_a_time_and_as_a_distance() {
        let now: Timestamp = "2026-11-19T23:40:00Z".parse().unwrap();
        for (seconds, shown) in [
            (14_400, "until 03:40 UTC (in 4h)"),
            (14_399, "until 03:39 UTC (in 4h)"),
            (100, "until 23:41 UTC (in 1m40s)"),
            (86_400, "until 2026-11-20 23:40 UTC (in 1d)"),
            (259_200, "until 2026-11-22 23:40 UTC (in 3d)"),
            (-300, "until 23:35 UTC (5m ago)"),
        ] {
            let ends_at = now + SignedDuration::from_secs(seconds);
            assert_eq!(until(ends_at, now), shown);
        }
    }
}
