//! `Calendar`: what is known of the past and the future that load alone cannot say.
//!
//! **In:** a checked document, and a span of time.
//! **Out:** occurrences of events (launches, holidays) whose uplift is learned,
//! and incidents whose load is left out of training.
//! **Not here:** freeze windows ([`crate::documents::Guardrail`]), learning the
//! uplift (`evenkeel-forecast`).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::documents::Schedule;
use crate::ids::CalendarId;

/// The most events, and the most incidents, of one calendar.
///
/// Why 1,000: ten years of two a week; more is an export gone wrong.
pub const ENTRIES_MAX: usize = 1_000;

/// The most occurrences of one repeating event that are looked up at once.
///
/// Why 1,000: at most [`PER_YEAR_MAX`] fall into a year, so this is more than
/// sixteen years.
const OCCURRENCES_MAX: usize = 1_000;

/// The most occurrences of one repeating event within 366 days.
///
/// Why 60: what comes oftener than once a week is a season, which a forecast
/// finds in the load itself.
pub(super) const PER_YEAR_MAX: usize = 60;

/// A calendar that passed every check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calendar {
    /// Its name, unique among all documents.
    pub id: CalendarId,
    /// IANA name of the time zone of the local times in the document.
    pub time_zone: String,
    /// Events with their own dates, ascending by `starts_at`. Those with the same
    /// name do not overlap.
    pub dated: Vec<Event>,
    /// Events that come again by a schedule, in the order of the document.
    pub repeating: Vec<RepeatingEvent>,
    /// Spans whose load says nothing about normal days, ascending by `starts_at`.
    /// They may overlap.
    pub incidents: Vec<Incident>,
}

/// One occurrence of an event. Half-open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What kind of event; the same for all its occurrences. The uplift of the
    /// earlier ones is expected of the later.
    pub name: String,
    /// First instant, from local time in the document's time zone.
    pub starts_at: Timestamp,
    /// First instant after it; `starts_at < ends_at`.
    pub ends_at: Timestamp,
    /// Load during the event / load without, as people expect it; used until an
    /// occurrence has been seen. `> 0`; `None` expects nothing before that.
    pub uplift_ratio: Option<f64>,
}

/// An event that comes again by a schedule, at most 60 times a year.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepeatingEvent {
    /// As in [`Event`].
    pub name: String,
    /// When it starts, in the document's time zone.
    pub schedule: Schedule,
    /// How long each occurrence lasts, as time passes: 24 h also on the day on
    /// which the clock changes. From 1 min to 92 days.
    pub lasts: SignedDuration,
    /// As in [`Event`].
    pub uplift_ratio: Option<f64>,
}

/// A span that is masked from training. Half-open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// What happened, for people.
    pub name: String,
    /// First instant.
    pub starts_at: Timestamp,
    /// First instant after it; `starts_at < ends_at`.
    pub ends_at: Timestamp,
}

impl Calendar {
    /// Every occurrence of every event that overlaps `[from, until)`, ascending
    /// by `starts_at`, then by name; those that began before `from` or end after
    /// `until` are whole. Nothing when `until <= from`.
    ///
    /// Bounded: of each repeating event the first 1,000, which are more than
    /// sixteen years.
    pub fn occurrences(&self, from: Timestamp, until: Timestamp) -> Vec<Event> {
        let overlaps = |it: &&Event| it.starts_at < until && from < it.ends_at && from < until;
        let mut all: Vec<Event> = self.dated.iter().filter(overlaps).cloned().collect();
        for event in &self.repeating {
            all.extend(event.occurrences(from, until));
        }
        all.sort_by(|a, b| (a.starts_at, &a.name).cmp(&(b.starts_at, &b.name)));
        all
    }

    /// Whether load at `at` is left out of training.
    pub fn is_masked(&self, at: Timestamp) -> bool {
        self.incidents.iter().any(|it| it.starts_at <= at && at < it.ends_at)
    }
}

impl RepeatingEvent {
    /// As [`Calendar::occurrences`], of this event alone.
    pub fn occurrences(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Event> + '_ {
        // The first start strictly after `from - lasts` ends after `from`.
        let mut after = from.checked_sub(self.lasts).unwrap_or(Timestamp::MIN);
        let starts = std::iter::from_fn(move || {
            let start = self.schedule.next_after(after)?;
            after = start;
            Some(start)
        });
        let starts = starts.take_while(move |it| from < until && *it < until);
        starts.take(OCCURRENCES_MAX).filter_map(|starts_at| {
            Some(Event {
                name: self.name.clone(),
                starts_at,
                ends_at: starts_at.checked_add(self.lasts).ok()?,
                uplift_ratio: self.uplift_ratio,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn event(name: &str, starts_at: &str, ends_at: &str) -> Event {
        let (starts_at, ends_at) = (at(starts_at), at(ends_at));
        Event { name: name.to_owned(), starts_at, ends_at, uplift_ratio: Some(2.5) }
    }

    fn repeating(name: &str, cron: &str, hours: i64) -> RepeatingEvent {
        RepeatingEvent {
            name: name.to_owned(),
            schedule: Schedule::new(cron, "Europe/Berlin").unwrap(),
            lasts: SignedDuration::from_hours(hours),
            uplift_ratio: None,
        }
    }

    fn shop() -> Calendar {
        Calendar {
            id: CalendarId::new("shop").unwrap(),
            time_zone: "Europe/Berlin".to_owned(),
            dated: vec![
                event("black-friday", "2025-11-27T23:00:00Z", "2025-11-28T23:00:00Z"),
                event("black-friday", "2026-11-26T23:00:00Z", "2026-11-27T23:00:00Z"),
            ],
            repeating: vec![
                repeating("new-year", "0 0 1 1 *", 24),
                repeating("leap", "0 2 29 2 *", 1),
            ],
            incidents: vec![Incident {
                name: "db-outage".to_owned(),
                starts_at: at("2026-10-02T12:05:00Z"),
                ends_at: at("2026-10-02T13:40:00Z"),
            }],
        }
    }

    #[track_caller]
    fn check(from: &str, until: &str, expected: &Expect) {
        let mut shown = String::new();
        for Event { name, starts_at, ends_at, uplift_ratio } in
            shop().occurrences(at(from), at(until))
        {
            shown.push_str(&format!("{name} {starts_at} to {ends_at} {uplift_ratio:?}\n"));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn dated_and_repeating_events_come_in_the_order_of_time() {
        check(
            "2024-01-01T12:00:00Z",
            "2026-12-31T23:00:01Z",
            &expect![[r#"
                new-year 2023-12-31T23:00:00Z to 2024-01-01T23:00:00Z None
                leap 2024-02-29T01:00:00Z to 2024-02-29T02:00:00Z None
                new-year 2024-12-31T23:00:00Z to 2025-01-01T23:00:00Z None
                black-friday 2025-11-27T23:00:00Z to 2025-11-28T23:00:00Z Some(2.5)
                new-year 2025-12-31T23:00:00Z to 2026-01-01T23:00:00Z None
                black-friday 2026-11-26T23:00:00Z to 2026-11-27T23:00:00Z Some(2.5)
                new-year 2026-12-31T23:00:00Z to 2027-01-01T23:00:00Z None
            "#]],
        );
    }

    #[test]
    fn what_only_touches_the_span_is_not_in_it() {
        check("2025-01-01T23:00:00Z", "2025-11-27T23:00:00Z", &expect![[""]]);
        check(
            "2025-01-01T22:59:59Z",
            "2025-11-27T23:00:01Z",
            &expect![[r#"
                new-year 2024-12-31T23:00:00Z to 2025-01-01T23:00:00Z None
                black-friday 2025-11-27T23:00:00Z to 2025-11-28T23:00:00Z Some(2.5)
            "#]],
        );
    }

    #[test]
    fn a_span_that_is_empty_or_turned_round_has_no_events() {
        check("2026-11-27T12:00:00Z", "2026-11-27T12:00:00Z", &expect![[""]]);
        check("2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z", &expect![[""]]);
    }

    #[test]
    fn the_longest_span_there_is_ends() {
        let n_all = shop().occurrences(Timestamp::MIN, Timestamp::MAX).len();
        assert!(n_all <= 2 + 2 * OCCURRENCES_MAX, "{n_all}");
        let daily = repeating("daily", "0 0 * * *", 1);
        assert_eq!(daily.occurrences(at("2020-01-01T00:00:00Z"), Timestamp::MAX).count(), 1_000);
    }

    #[test]
    fn an_incident_masks_its_first_instant_and_not_its_last() {
        for (time, expected) in [
            ("2026-10-02T12:04:59Z", false),
            ("2026-10-02T12:05:00Z", true),
            ("2026-10-02T13:39:59Z", true),
            ("2026-10-02T13:40:00Z", false),
        ] {
            assert_eq!(shop().is_masked(at(time)), expected, "{time}");
        }
    }

    #[test]
    fn a_calendar_survives_being_written_and_read() {
        let text = serde_json::to_string(&shop()).unwrap();
        assert_eq!(serde_json::from_str::<Calendar>(&text).unwrap(), shop());
        let broken = text.replace("0 0 1 1 *", "0 0 1 1");
        assert!(serde_json::from_str::<Calendar>(&broken).is_err());
    }
}
