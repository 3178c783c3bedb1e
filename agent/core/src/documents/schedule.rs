//! Recurring local times.
//!
//! **In:** a cron expression and the name of a time zone.
//! **Out:** [`Schedule`]: the instants at which it comes, one after the other.
//! **Not here:** what begins then ([`super::guardrail`], [`super::calendar`]).

use std::fmt;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A cron expression on the clock of a time zone. Equal when written equally.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Schedule {
    /// Local wall-clock times at which it comes, parsed as if in UTC.
    cron: Crontab,
    /// From the database that is compiled in, so that every host agrees.
    zone: TimeZone,
    written: Written,
}

/// A schedule as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    cron: String,
    time_zone: String,
}

/// A cron expression or time zone was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// What the parser said.
    pub message: String,
}

/// The time zone called `name`, from the database that is compiled in.
///
/// # Errors
///
/// [`ScheduleError`] when there is none.
pub(super) fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| ScheduleError {
        message: format!("`{name}` is not an IANA time zone such as `Europe/Berlin`"),
    })
}

/// How many overlapping or repeated starts of one schedule are followed.
pub(super) const OVERLAPS_MAX: usize = 64;

impl Schedule {
    /// A schedule from `cron` (five fields: minute, hour, day of month, month,
    /// day of week) in an IANA `time_zone`.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] when the expression or the time zone is not valid.
    pub fn new(cron: &str, time_zone: &str) -> Result<Schedule, ScheduleError> {
        let n_fields = cron.split_whitespace().count();
        if n_fields != 5 {
            return Err(ScheduleError {
                message: format!(
                    "`{cron}` has {n_fields} fields, a schedule has 5: minute, hour, day of month, month, day of week"
                ),
            });
        }
        let zone = zone(time_zone)?;
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let parsed = cronexpr::parse_crontab_with(cron, options)
            .map_err(|error| ScheduleError { message: error.to_string() })?;
        let written = Written { cron: cron.to_owned(), time_zone: time_zone.to_owned() };
        Ok(Schedule { cron: parsed, zone, written })
    }

    /// The cron expression as written.
    pub fn cron(&self) -> &str {
        &self.written.cron
    }

    /// The time zone as written.
    pub fn time_zone(&self) -> &str {
        &self.written.time_zone
    }

    /// Whether there is any time at which it comes; `0 0 31 2 *` has none.
    pub fn comes_ever(&self) -> bool {
        self.next_after(Timestamp::UNIX_EPOCH).is_some()
    }

    /// The first instant after `after` at which it comes; `None` when it does not
    /// within four years, which is where the parser stops looking. A local time that the clock skips comes as much later; one
    /// that it repeats comes at the first of the two.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut local = TimeZone::UTC.to_timestamp(self.zone.to_datetime(after)).ok()?;
        for _ in 0..OVERLAPS_MAX {
            local = self.cron.find_next(MakeTimestamp(local)).ok()?.timestamp();
            let start = self.zone.to_timestamp(TimeZone::UTC.to_datetime(local)).ok()?;
            // Where the clock repeats an hour, a later local time can be an earlier instant.
            if after < start {
                return Some(start);
            }
        }
        None
    }
}

impl TryFrom<Written> for Schedule {
    type Error = ScheduleError;
    fn try_from(Written { cron, time_zone }: Written) -> Result<Schedule, ScheduleError> {
        Schedule::new(&cron, &time_zone)
    }
}

impl From<Schedule> for Written {
    fn from(schedule: Schedule) -> Written {
        schedule.written
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Schedule) -> bool {
        self.written == other.written
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule(`{}` {})", self.cron(), self.time_zone())
    }
}
