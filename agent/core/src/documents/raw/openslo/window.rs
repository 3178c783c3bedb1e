//! `timeWindow:` of an `SLO`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Window`].
//! **Not here:** which period an instant is in ([`crate::slo::window`]).

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde_json::{Value as Json, json};

use super::fields;
use super::scalar::Shorthand;
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Position, Value};
use crate::documents::raw::time::{LocalTime, Zone};
use crate::documents::raw::{Place, Read};
use crate::slo::window::{CalendarWindow, Window};
use crate::units::show_duration;

/// The shortest window. Why an hour: below it a budget is an alert, and `1m` is nearly
/// always meant as a month.
const WINDOW_MIN: SignedDuration = SignedDuration::from_hours(1);
/// The longest. Why 366 days: a year, leap years included; nobody waits longer.
const WINDOW_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);
/// What is used where none is given. Why 28 days: four whole weeks, so that every window
/// has the same weekends in it.
const WINDOW_DEFAULT: SignedDuration = SignedDuration::from_hours(28 * 24);

fields! {
    /// Rolling, or aligned with a calendar.
    struct RawWindow {
        /// How long: a whole number and one of m, h, d, w, M, Q, Y. `m` is minutes.
        required duration: Shorthand,
        /// When the first one began; the next follows right after it.
        optional calendar: RawCalendarStart,
        /// Whether it is always the time just past. `false` where there is a `calendar`.
        optional is_rolling = "isRolling": bool,
    }
}

fields! {
    /// When the first period began, and whose clocks are meant.
    struct RawCalendarStart {
        /// Local time.
        required start_time = "startTime": StartTime,
        /// A name of the IANA database.
        required time_zone = "timeZone": Zone,
    }
}

/// A local time, with a space or a `T` between date and time.
pub(in crate::documents) struct StartTime(DateTime);

impl Read for StartTime {
    fn schema() -> Json {
        let time = "[0-9]{2}:[0-9]{2}(:[0-9]{2})?";
        json!({"type": "string", "pattern": format!("^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{time}$")})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<StartTime> {
        let value = match &node.value {
            Value::Text(text) if text.as_bytes().get(10) == Some(&b' ') => {
                Value::Text(text.replacen(' ', "T", 1))
            }
            Value::Text(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::List(_)
            | Value::Map(_) => node.value.clone(),
        };
        LocalTime::read(&At { value, at: node.at }, place, faults).map(|it| StartTime(it.civil()))
    }
}

/// The window of an SLO whose document has none. The specification does not say which.
pub(in crate::documents) fn default_window(at: Position, faults: &mut Faults) -> Window {
    let shown = "the last 28 days are used";
    let message = format!("`spec` has no `timeWindow`: {shown}");
    faults.warning(at, message, "add `timeWindow: [{ duration: 4w, isRolling: true }]`");
    Window::Rolling(WINDOW_DEFAULT)
}

impl RawWindow {
    pub(in crate::documents) fn checked(self, at: Position, faults: &mut Faults) -> Option<Window> {
        let RawWindow { duration, calendar, is_rolling } = self;
        let is_long_enough = checked_length(&duration, faults);
        let window = match (calendar, is_rolling) {
            (None, Some(At { value: true, .. })) => Window::Rolling(duration.value.rolling()),
            (Some(calendar), Some(At { value: true, .. })) => {
                let message = "`timeWindow` has a `calendar` and `isRolling: true`";
                faults.error(calendar.at, message, "remove one of the two");
                return None;
            }
            (Some(calendar), Some(At { value: false, .. }) | None) => {
                let RawCalendarStart { start_time, time_zone } = calendar.value;
                Window::Calendar(CalendarWindow {
                    start: start_time.value.0,
                    zone: time_zone.value.zone,
                    length: duration.value.calendar(),
                })
            }
            (None, None) if faults.has_slip(at) => return None,
            (None, is_rolling) => {
                let message = "`timeWindow` is neither rolling nor has a `calendar`";
                let hint = "write `isRolling: true`, or add `calendar:` with `startTime` and \
                            `timeZone`";
                faults.error(is_rolling.map_or(at, |it| it.at), message, hint);
                return None;
            }
        };
        is_long_enough.then_some(window)
    }
}

fn checked_length(duration: &At<Shorthand>, faults: &mut Faults) -> bool {
    let length = duration.value.rolling();
    let shown = duration.value;
    if length < WINDOW_MIN {
        let message = format!(
            "`timeWindow` is {}, it must be at least {}",
            show_duration(length),
            show_duration(WINDOW_MIN)
        );
        let hint = match shown.in_months() {
            Some(months) => format!("`{shown}` is minutes; months are `{months}`"),
            None => "write for example `4w`".to_owned(),
        };
        faults.error(duration.at, message, hint);
        return false;
    }
    if WINDOW_MAX < length {
        let message = format!(
            "`timeWindow` is `{shown}`, which is {} days; it must be at most {}",
            length.as_hours() / 24,
            WINDOW_MAX.as_hours() / 24
        );
        faults.error(duration.at, message, "write for example `1Y`");
        return false;
    }
    true
}
