//! `Guardrail`: what must never happen, whatever a policy wants.
//!
//! **In:** a checked document and a time.
//! **Out:** freeze windows in force, how much may be removed per window.
//! **Not here:** counting removals ([`crate::blast_radius`]), the verdict
//! ([`crate::guard`]).

use jiff::{SignedDuration, Timestamp};

use crate::documents::schedule::OVERLAPS_MAX;
use crate::documents::{Schedule, ScheduleError, Selector};
use crate::ids::GuardrailId;

/// A guardrail that passed every check.
#[derive(Clone, Debug)]
pub struct Guardrail {
    /// Its name, unique among all documents.
    pub id: GuardrailId,
    /// The targets it is for.
    pub selector: Selector,
    /// The agent never changes these targets, and no person can ask it to.
    pub protected: bool,
    /// Calendar rules that act like a freeze.
    pub freeze_windows: Vec<FreezeWindow>,
    /// How much capacity may leave the selected targets together.
    pub blast_radius: Option<BlastRadius>,
}

/// Largest removal of capacity, counted over all targets that the guardrail
/// selects and over every policy and person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlastRadius {
    /// Removals are counted over this long, `(now - window, now]`.
    pub window: SignedDuration,
    /// Fraction, in `(0, 1]`, of the capacity that would be there had nothing
    /// been removed within the window: what is there now and what left. The
    /// product is rounded down, but one unit may always leave.
    pub removed_ratio_max: f64,
}

impl BlastRadius {
    /// In force where no guardrail of the documents has a blast radius for a
    /// target.
    ///
    /// Why a quarter in ten minutes: losing one of four zones is what a service
    /// is usually built to survive, and ten minutes is time to be paged and
    /// freeze.
    pub const BUILT_IN: BlastRadius =
        BlastRadius { window: SignedDuration::from_mins(10), removed_ratio_max: 0.25 };
}

/// A recurring time in which nothing changes.
#[derive(Clone, Debug)]
pub struct FreezeWindow {
    /// What people call it.
    pub name: String,
    /// When it begins.
    pub schedule: Schedule,
    /// How long it lasts.
    pub duration: SignedDuration,
}

impl FreezeWindow {
    /// A window from `cron` (five fields: minute, hour, day of month, month,
    /// day of week) in an IANA `time_zone`.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] when the expression or the time zone is not valid.
    pub fn new(
        name: &str,
        cron: &str,
        time_zone: &str,
        duration: SignedDuration,
    ) -> Result<FreezeWindow, ScheduleError> {
        let schedule = Schedule::new(cron, time_zone)?;
        Ok(FreezeWindow { name: name.to_owned(), schedule, duration })
    }

    /// When the window in force at `now` ends, or `None` when none is. Windows
    /// are half-open: `[start, start + duration)`. Overlapping ones run on.
    pub fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        let earliest = now.checked_sub(self.duration).ok()?;
        // The first start strictly after `now - duration` is in force iff it is not after `now`.
        let mut start = self.schedule.next_after(earliest)?;
        if now < start {
            return None;
        }
        // Later starts up to now prolong it. Bounded: an author who starts a
        // window every minute for days gets a slightly early end shown, and the
        // next evaluation looks again.
        for _ in 0..OVERLAPS_MAX {
            match self.schedule.next_after(start) {
                Some(later) if later <= now => start = later,
                Some(_) | None => break,
            }
        }
        start.checked_add(self.duration).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(cron: &str, zone: &str, hours: i64, times: &[&str], expected: &Expect) {
        let window = FreezeWindow::new("w", cron, zone, SignedDuration::from_hours(hours)).unwrap();
        let mut shown = String::new();
        for time in times {
            let now: Timestamp = time.parse().unwrap();
            match window.ends_at(now) {
                Some(end) => shown.push_str(&format!("{now} frozen until {end}\n")),
                None => shown.push_str(&format!("{now} open\n")),
            }
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_weekend_freeze_follows_local_time_across_the_clock_change() {
        // Berlin leaves summer time on Sunday, 2026-10-25 at 01:00 UTC.
        check(
            "0 18 * * FRI",
            "Europe/Berlin",
            62,
            &[
                "2026-10-16T15:59:59Z",
                "2026-10-16T16:00:00Z",
                "2026-10-19T05:59:59Z",
                "2026-10-19T06:00:00Z",
                "2026-10-30T16:30:00Z",
                "2026-10-30T17:00:00Z",
            ],
            &expect![[r#"
                2026-10-16T15:59:59Z open
                2026-10-16T16:00:00Z frozen until 2026-10-19T06:00:00Z
                2026-10-19T05:59:59Z frozen until 2026-10-19T06:00:00Z
                2026-10-19T06:00:00Z open
                2026-10-30T16:30:00Z open
                2026-10-30T17:00:00Z frozen until 2026-11-02T07:00:00Z
            "#]],
        );
    }

    #[test]
    fn overlapping_windows_run_on() {
        check(
            "0 * * * *",
            "UTC",
            2,
            &["2026-10-16T10:30:00Z"],
            &expect![[r#"
                2026-10-16T10:30:00Z frozen until 2026-10-16T12:00:00Z
            "#]],
        );
    }

    #[test]
    fn a_schedule_that_means_nothing_is_refused() {
        for (cron, zone) in [
            ("0 18 * *", "UTC"),
            ("0 18 * * FRI 2026", "UTC"),
            ("61 18 * * FRI", "UTC"),
            ("0 18 * * FRI", "Mars/Olympus"),
            ("0 18 * * FRI", "UTC+25"),
        ] {
            let error = FreezeWindow::new("w", cron, zone, SignedDuration::from_hours(1));
            assert!(error.is_err(), "{cron} {zone}");
        }
    }
}
