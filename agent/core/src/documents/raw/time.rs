//! Local times and time zones.
//!
//! **In:** one node.
//! **Out:** a time on the clock on the wall, a time zone that exists; which
//! instant a local time is, with a warning where the clock changes.
//! **Not here:** durations ([`super::scalar`]), schedules
//! ([`crate::documents::Schedule`]).

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde_json::{Value as Json, json};

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node};
use crate::documents::raw::scalar::{ShortText, text};
use crate::documents::raw::{Place, Read, nearest};
use crate::documents::schedule;

/// The years that a local time may be in. Why these: nothing older is learned
/// from, and nobody plans further ahead.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2100;

/// A date and a time of day, as a clock on the wall shows them.
pub(in crate::documents) struct LocalTime(pub(in crate::documents) DateTime);

impl Read for LocalTime {
    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$",
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<LocalTime> {
        let expected = "a local time such as `2026-11-27T00:00`";
        let text = text(node, place, expected, faults)?;
        let (message, hint) = if has_form(text) {
            match text.parse::<DateTime>() {
                Ok(time) if YEARS.contains(&time.year()) => return Some(LocalTime(time)),
                Ok(_) => (
                    format!("is not between {} and {}", YEARS.start(), YEARS.end()),
                    "check the year".to_owned(),
                ),
                Err(_) => (
                    "is no date and time of day that exist".to_owned(),
                    "check the month, the day and the hour".to_owned(),
                ),
            }
        } else if let Some(local) = without_offset(text) {
            (
                "has an offset; local times follow `time_zone`".to_owned(),
                format!("write `{local}`, as the clock there shows it"),
            )
        } else if has_form(&text.replacen([' ', 't'], "T", 1)) {
            ("is not a local time".to_owned(), "write a `T` between date and time".to_owned())
        } else if has_form(&format!("{text}T00:00")) {
            ("has no time of day".to_owned(), format!("write `{text}T00:00` for midnight"))
        } else {
            ("is not a local time".to_owned(), "write for example `2026-11-27T00:00`".to_owned())
        };
        faults.error(node.at, format!("`{place}`: {} {message}", quoted(text)), hint);
        None
    }
}

impl LocalTime {
    /// As the clock shows it.
    pub(super) fn civil(&self) -> DateTime {
        self.0
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.0))
    }
}

/// As people write it: without seconds where they are 0.
fn shown(time: DateTime) -> String {
    let text = time.to_string();
    match text.strip_suffix(":00") {
        Some(short) if has_form(short) => short.to_owned(),
        Some(_) | None => text,
    }
}

/// `2026-11-27T00:00`, with or without seconds.
fn has_form(text: &str) -> bool {
    let form = match text.len() {
        16 => "dddd-dd-ddTdd:dd",
        19 => "dddd-dd-ddTdd:dd:dd",
        _ => return false,
    };
    text.bytes().zip(form.bytes()).all(|(it, form)| match form {
        b'd' => it.is_ascii_digit(),
        other => it == other,
    })
}

/// `text` before its `Z` or `+01:00`, if it is a local time but for that.
fn without_offset(text: &str) -> Option<&str> {
    [16, 19].into_iter().find_map(|length| {
        let (local, offset) = text.split_at_checked(length)?;
        let is_offset = offset.starts_with(['Z', 'z', '+', '-', '[']);
        (is_offset && has_form(local)).then_some(local)
    })
}

/// Which of two instants a repeated local time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::documents) enum Repeated {
    /// Where something starts.
    First,
    /// Where something ends.
    Second,
}

/// The instant of a local time. One that the clock skips is as much later, as in
/// a schedule; one that it shows twice is the one that `repeated` says. Both
/// get a warning that says which `field` it is about.
pub(in crate::documents) fn instant(
    local: &At<LocalTime>,
    zone: &TimeZone,
    repeated: Repeated,
    field: &str,
    faults: &mut Faults,
) -> Option<Timestamp> {
    let LocalTime(time) = local.value;
    let found = zone.to_ambiguous_timestamp(time);
    let time = shown(time);
    let (offset, name) = (found.offset(), zone.iana_name().unwrap_or("the time zone"));
    let instant = match repeated {
        Repeated::First => found.compatible(),
        // Of a repeated hour the later, of a skipped one the same as above.
        Repeated::Second => found.later(),
    };
    let instant = match instant {
        Ok(instant) => instant,
        // Years are bounded, so this cannot be.
        Err(error) => {
            faults.error(local.at, format!("`{field}`: {error}"), "write another time");
            return None;
        }
    };
    match offset {
        AmbiguousOffset::Unambiguous { .. } => {}
        AmbiguousOffset::Gap { .. } => {
            let used = shown(zone.to_datetime(instant));
            faults.warning(
                local.at,
                format!("`{field}`: the clock of {name} skips {time}; {used} is used"),
                format!("write `{used}`"),
            );
        }
        AmbiguousOffset::Fold { .. } => {
            let which = match repeated {
                Repeated::First => "first",
                Repeated::Second => "second",
            };
            faults.warning(
                local.at,
                format!("`{field}`: the clock of {name} shows {time} twice; the {which} is used"),
                "write a time outside of the repeated hour, if that is not meant",
            );
        }
    }
    Some(instant)
}

/// The name of a time zone that exists.
pub(in crate::documents) struct Zone {
    pub(in crate::documents) name: String,
    pub(in crate::documents) zone: TimeZone,
}

impl Read for Zone {
    fn schema() -> Json {
        ShortText::schema()
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Zone> {
        let ShortText(name) = ShortText::read(node, place, faults)?;
        match schedule::zone(&name) {
            Ok(zone) => Some(Zone { name, zone }),
            Err(error) => {
                let hint = match near_zone(&name, faults) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write a name of the IANA database, or `UTC`".to_owned(),
                };
                faults.error(node.at, format!("`{place}`: {error}"), hint);
                None
            }
        }
    }
}

fn near_zone(name: &str, faults: &Faults) -> Option<String> {
    // Hundreds of names are compared: not for what is not shown.
    if faults.is_full() {
        return None;
    }
    let known: Vec<String> =
        TimeZoneDatabase::bundled().available().map(|it| it.as_str().to_owned()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    // `Berlin` alone is what people write; the rest is for slips of the finger.
    let city = known.iter().copied().find(|it| {
        it.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name.trim()))
    });
    city.or_else(|| nearest(name, &known)).map(str::to_owned)
}
