//! `spec:` of a `Calendar`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Calendar`] of instants, whose schedules mean something.
//! **Not here:** who uses it ([`crate::documents::load`]), what is learned from
//! it (`evenkeel-forecast`).

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::documents::calendar::PER_YEAR_MAX;
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Position};
use crate::documents::raw::guardrail::cron_reason;
use crate::documents::raw::scalar::{Duration, ShortText, Uplift};
use crate::documents::raw::time::{LocalTime, Repeated, Zone, instant};
use crate::documents::raw::{List, fields};
use crate::documents::{Calendar, ENTRIES_MAX, Event, Incident, RepeatingEvent, Schedule};
use crate::ids::CalendarId;
use crate::units::show_duration;

/// Most repeating events of one calendar. Why 64: each is looked up in every fit
/// of every model that uses the calendar.
const REPEATING_MAX: usize = 64;

/// Longest event or incident, in seconds. Why 92 days: a quarter; what lasts
/// longer is how things are now, and is learned from the load.
const LASTS_SECONDS_MAX: i64 = 92 * 86_400;

fields! {
    /// Events that change the load, and incidents whose load says nothing about
    /// normal days.
    struct RawCalendar {
        /// An IANA time zone, such as `Europe/Berlin` or `UTC`. All times of the
        /// document are read off its clock.
        required time_zone: Zone,
        /// Launches, sales, holidays. How much load an event brings or takes is
        /// learned from earlier occurrences of the same name, so keep past ones.
        defaulted(json!([])) events: List<RawEvent, 0, ENTRIES_MAX>,
        /// Outages and tests whose load must not be learned from.
        defaulted(json!([])) incidents: List<RawIncident, 0, ENTRIES_MAX>,
    }
}

fields! {
    /// An event, with a date (`starts`) or again and again (`cron`).
    struct RawEvent {
        /// What kind of event: all with the same name are learned from together.
        required name: ShortText,
        /// When it starts, by the clock of `time_zone`, such as `2026-11-27T00:00`.
        /// A time that the clock skips is as much later, of one that it shows twice
        /// the first is used; both get a warning.
        optional starts: LocalTime,
        /// When it starts each time, in five fields: minute, hour, day of month,
        /// month, day of week. At most 60 times a year: what comes oftener is a
        /// season, which a forecast finds by itself.
        optional cron: ShortText,
        /// How long it lasts, at most 92 days, as time passes: `24h` is an hour
        /// off midnight on the day on which the clock changes.
        required lasts: Duration<60, LASTS_SECONDS_MAX>,
        /// Load during the event / load without, as you expect it: 2.5 is two and
        /// a half times as much, 0.6 is four tenths less. Used until one
        /// occurrence has been seen; left out, nothing is expected before that.
        optional uplift: Uplift,
    }
    also(json!({"oneOf": [{"required": ["starts"]}, {"required": ["cron"]}]}))
}

fields! {
    /// A span whose load must not be learned from.
    struct RawIncident {
        /// What happened, for people.
        required name: ShortText,
        /// When it began, by the clock of `time_zone`. Of a time that the clock
        /// shows twice, the first.
        required starts: LocalTime,
        /// When it was over. Of a time that the clock shows twice, the second.
        required ends: LocalTime,
    }
}

/// When an event happens.
enum When {
    Dated(Event),
    Repeating(RepeatingEvent),
}

/// A checked event and where it was written.
struct Written {
    name_at: Position,
    when: When,
}

impl RawCalendar {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(
        self,
        id: CalendarId,
        faults: &mut Faults,
    ) -> Option<Calendar> {
        let RawCalendar { time_zone, events, incidents } = self;
        let Zone { name: time_zone, zone } = time_zone.value;
        let (events, incidents) = (events.value.0, incidents.value.0);
        let (n_events, n_incidents) = (events.len(), incidents.len());
        spellings(&events, faults);
        let events: Vec<Written> = events
            .into_iter()
            .filter_map(|it| checked_event(it, &time_zone, &zone, faults))
            .collect();
        let mut incidents: Vec<Incident> = incidents
            .into_iter()
            .filter_map(|it| checked_incident(it.value, &zone, faults))
            .collect();
        let mut is_good = events.len() == n_events && incidents.len() == n_incidents;
        is_good &= few_repeating(&events, faults);
        is_good &= apart(&events, faults);
        incidents.sort_by_key(|it| it.starts_at);
        let (mut dated, mut repeating) = (Vec::new(), Vec::new());
        for Written { when, .. } in events {
            match when {
                When::Dated(event) => dated.push(event),
                When::Repeating(event) => repeating.push(event),
            }
        }
        dated.sort_by_key(|it| it.starts_at);
        is_good.then_some(Calendar { id, time_zone, dated, repeating, incidents })
    }
}

/// Warns of names that are most likely meant to be one: nothing is learned from
/// the one for the other.
fn spellings(events: &[At<RawEvent>], faults: &mut Faults) {
    let mut seen: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    for At { value: RawEvent { name, .. }, .. } in events {
        let ShortText(text) = &name.value;
        let plain = text.chars().filter(|it| it.is_alphanumeric());
        let plain: String = plain.flat_map(char::to_lowercase).collect();
        let (first, line) = *seen.entry(plain).or_insert((text, name.at.line));
        if first != text {
            faults.warning(
                name.at,
                format!(
                    "events {} and {} (line {line}) are of two kinds",
                    quoted(text),
                    quoted(first)
                ),
                "write the same name, if the one says something about the other",
            );
        }
    }
}

fn checked_event(
    raw: At<RawEvent>,
    time_zone: &str,
    zone: &TimeZone,
    faults: &mut Faults,
) -> Option<Written> {
    let At { value: RawEvent { name, starts, cron, lasts, uplift }, at } = raw;
    let At { value: ShortText(name), at: name_at } = name;
    let (Duration(lasts), uplift_ratio) = (lasts.value, uplift.map(|it| it.value.0));
    let when = match (starts, cron) {
        (Some(starts), None) => {
            let starts_at = instant(&starts, zone, Repeated::First, "starts", faults)?;
            let ends_at = starts_at.checked_add(lasts).ok()?;
            When::Dated(Event { name, starts_at, ends_at, uplift_ratio })
        }
        (None, Some(cron)) => {
            let schedule = checked_schedule(&cron, time_zone, lasts, faults)?;
            When::Repeating(RepeatingEvent { name, schedule, lasts, uplift_ratio })
        }
        (Some(starts), Some(cron)) => {
            let message = format!("event {} has both `starts` and `cron`", quoted(&name));
            let hint = "keep `starts` for one date, or `cron` for one that comes again";
            faults.error(starts.at.max(cron.at), message, hint);
            return None;
        }
        (None, None) => {
            let message = format!("event {} has no time", quoted(&name));
            let hint = "add `starts: 2026-11-27T00:00`, or `cron:` for one that comes again";
            faults.error(at, message, hint);
            return None;
        }
    };
    Some(Written { name_at, when })
}

fn checked_schedule(
    cron: &At<ShortText>,
    time_zone: &str,
    lasts: SignedDuration,
    faults: &mut Faults,
) -> Option<Schedule> {
    let At { value: ShortText(text), at } = cron;
    let schedule = match Schedule::new(text, time_zone) {
        Ok(schedule) => schedule,
        Err(error) => {
            let hint = "write for example `0 0 1 1 *` for the first of January";
            faults.error(*at, format!("`cron`: {}", cron_reason(&error)), hint);
            return None;
        }
    };
    let starts = sample(&schedule);
    if starts.is_empty() {
        let message = format!("`cron`: {} never comes", quoted(text));
        faults.error(*at, message, "check the day of the month and the month");
        return None;
    }
    let year = SignedDuration::from_hours(366 * 24);
    let within = |n: usize, span: SignedDuration| {
        let mut pairs = starts.iter().zip(starts.iter().skip(n));
        pairs.find(|(first, last)| last.duration_since(**first) < span)
    };
    if within(PER_YEAR_MAX, year).is_some() {
        let message =
            format!("`cron`: {} comes more than {PER_YEAR_MAX} times a year", quoted(text));
        let hint = "remove it: what comes oftener than weekly is a season, which a forecast finds \
                    in the load";
        faults.error(*at, message, hint);
        return None;
    }
    if let Some((first, next)) = within(1, lasts) {
        let (lasts, again) = (show_duration(lasts), show_duration(next.duration_since(*first)));
        let message = format!("the event lasts {lasts}, but `cron` starts it again after {again}");
        faults.error(*at, message, "shorten `lasts`, or start it less often");
        return None;
    }
    Some(schedule)
}

/// Where schedules are tried out, 2023-01-01. Why fixed: a document means the
/// same on every day.
const SAMPLE_BEGINS_AT: Timestamp = Timestamp::constant(1_672_531_200, 0);
/// Ten years, so that what comes on 29 February only comes twice.
const SAMPLE_SPAN: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// The first starts of a schedule: one more than a year may have, or those of ten
/// years, and empty only when it never comes.
fn sample(schedule: &Schedule) -> Vec<Timestamp> {
    let mut starts = Vec::new();
    let mut after = SAMPLE_BEGINS_AT;
    while let Some(start) = schedule.next_after(after) {
        starts.push(start);
        after = start;
        if PER_YEAR_MAX < starts.len() || SAMPLE_SPAN < start.duration_since(SAMPLE_BEGINS_AT) {
            break;
        }
    }
    starts
}

fn few_repeating(events: &[Written], faults: &mut Faults) -> bool {
    let mut repeating = events.iter().filter(|it| matches!(it.when, When::Repeating(_)));
    let Some(too_many) = repeating.nth(REPEATING_MAX) else { return true };
    let message = format!("more than {REPEATING_MAX} events have a `cron`");
    faults.error(too_many.name_at, message, "split the calendar, or write dates with `starts`");
    false
}

/// How many dates are looked up in schedules of the same name. Why 2,000: all
/// that a calendar can have, with two schedules; the check is only a kindness.
const LOOK_UPS_MAX: usize = 2_000;

/// Whether no two occurrences of one name overlap, as far as their dates say:
/// somebody copied a line and forgot the date.
fn apart(events: &[Written], faults: &mut Faults) -> bool {
    let mut dated: Vec<(&Event, Position)> = Vec::new();
    let mut repeating: BTreeMap<&str, Vec<(&RepeatingEvent, Position)>> = BTreeMap::new();
    for Written { name_at, when } in events {
        match when {
            When::Dated(event) => dated.push((event, *name_at)),
            When::Repeating(event) => {
                repeating.entry(&event.name).or_default().push((event, *name_at));
            }
        }
    }
    dated.sort_by_key(|(it, at)| (&it.name, it.starts_at, *at));
    let pairs = dated.iter().zip(dated.iter().skip(1));
    let pairs =
        pairs.filter(|((one, _), (two, _))| one.name == two.name && two.starts_at < one.ends_at);
    let mut overlaps: Vec<(&str, Position, Position)> =
        pairs.map(|((one, one_at), (_, two_at))| (one.name.as_str(), *one_at, *two_at)).collect();
    let pairs = dated.iter().flat_map(|(one, one_at)| {
        let same = repeating.get(one.name.as_str()).into_iter().flatten();
        same.map(move |(two, two_at)| (*one, *one_at, *two, *two_at))
    });
    for (one, one_at, two, two_at) in pairs.take(LOOK_UPS_MAX) {
        if two.occurrences(one.starts_at, one.ends_at).next().is_some() {
            overlaps.push((&one.name, one_at, two_at));
        }
    }
    for same in repeating.values() {
        for ((one, one_at), (two, two_at)) in same.iter().zip(same.iter().skip(1)) {
            if one.schedule == two.schedule {
                overlaps.push((&one.name, *one_at, *two_at));
            }
        }
    }
    for (name, one_at, two_at) in &overlaps {
        let (first, second) = (one_at.min(two_at), one_at.max(two_at));
        let message = format!(
            "event {} overlaps the one of the same name in line {}",
            quoted(name),
            first.line,
        );
        let hint = "correct the date, or give it another name if it is another kind";
        faults.error(*second, message, hint);
    }
    overlaps.is_empty()
}

fn checked_incident(raw: RawIncident, zone: &TimeZone, faults: &mut Faults) -> Option<Incident> {
    let RawIncident { name, starts, ends } = raw;
    let ShortText(name) = name.value;
    let starts_at = instant(&starts, zone, Repeated::First, "starts", faults);
    let ends_at = instant(&ends, zone, Repeated::Second, "ends", faults)?;
    let lasted = ends_at.duration_since(starts_at?);
    let message = if lasted <= SignedDuration::ZERO {
        let (starts, ends) = (&starts.value, &ends.value);
        format!("incident {} must end after it starts, found {ends} after {starts}", quoted(&name))
    } else if LASTS_SECONDS_MAX < lasted.as_secs() {
        let (lasted, max) = (lasted, SignedDuration::from_secs(LASTS_SECONDS_MAX));
        let (lasted, max) = (show_duration(lasted), show_duration(max));
        format!("incident {} lasted {lasted}, it must be at most {max}", quoted(&name))
    } else {
        return Some(Incident { name, starts_at: starts_at?, ends_at });
    };
    faults.error(ends.at, message, "correct one of the two");
    None
}
