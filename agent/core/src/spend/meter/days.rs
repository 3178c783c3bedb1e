//! Sums by service and day, for the bill.
//!
//! **In:** rates over stretches of time.
//! **Out:** what each service cost on each of the last days, UTC.
//! **Not here:** what the bill says ([`crate::spend::reconcile`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::ServiceName;

/// How many days are kept. Why 40: a bill is final some days after its month.
pub const DAYS_KEPT: i64 = 40;

/// Most services of one day; what further ones cost is unallocated. Why 4,096: twice what
/// rates have, for services that come and go.
const SERVICES_MAX: usize = 4_096;

/// Seconds of a day, UTC.
pub(crate) const DAY: i64 = 86_400;

/// What was spent on one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DaySum {
    /// By service.
    pub by_service: BTreeMap<ServiceName, f64>,
    /// What belongs to none.
    pub unallocated: f64,
    /// For how many of its seconds something was metered; a whole day has 86,400.
    pub metered_seconds: f64,
}

/// The last [`DAYS_KEPT`] days, by their number since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Days {
    by_day: BTreeMap<i64, DaySum>,
}

impl Days {
    /// What somebody else has summed up: days since 1 January 1970, service, amount, and for
    /// how many seconds of the day that was metered. The longest of a day counts for the day;
    /// what was paid for no service has none. For comparing an answer of the API with a bill.
    pub fn of_sums<'a>(
        sums: impl IntoIterator<Item = (i64, Option<&'a ServiceName>, f64, f64)>,
    ) -> Days {
        let mut days = Days::default();
        for (day, service, amount, seconds) in sums {
            let sum = days.by_day.entry(day).or_default();
            match service {
                Some(service) => {
                    *sum.by_service.entry(service.clone()).or_default() += amount;
                }
                None => sum.unallocated += amount,
            }
            sum.metered_seconds = sum.metered_seconds.max(seconds);
        }
        days
    }

    /// The days, oldest first, as days since 1 January 1970.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &DaySum)> {
        self.by_day.iter().map(|(day, sum)| (*day, sum))
    }

    /// What was spent on a day.
    pub fn on(&self, day: i64) -> Option<&DaySum> {
        self.by_day.get(&day)
    }

    pub(super) fn spend<'a>(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        services: impl Iterator<Item = (&'a ServiceName, f64)>,
        unallocated_per_hour: f64,
    ) {
        let last = until.as_second().div_euclid(DAY);
        let parts = by_day(from, until, last - DAYS_KEPT + 1);
        for (day, seconds) in &parts {
            let sum = self.by_day.entry(*day).or_default();
            sum.metered_seconds += seconds;
            sum.unallocated += unallocated_per_hour * seconds / 3600.0;
        }
        for (service, rate) in services {
            for (day, seconds) in &parts {
                let Some(sum) = self.by_day.get_mut(day) else { continue };
                let amount = rate * seconds / 3600.0;
                if sum.by_service.contains_key(service) || sum.by_service.len() < SERVICES_MAX {
                    *sum.by_service.entry(service.clone()).or_default() += amount;
                } else {
                    sum.unallocated += amount;
                }
            }
        }
        self.by_day.retain(|day, _| last - DAYS_KEPT < *day);
    }
}

/// The days that a stretch of time touches, from `first` on, with the seconds in each.
pub(crate) fn by_day(from: Timestamp, until: Timestamp, first: i64) -> Vec<(i64, f64)> {
    let mut parts = Vec::new();
    let start = Timestamp::from_second(first.saturating_mul(DAY)).unwrap_or(Timestamp::MIN);
    let mut at = from.max(start);
    while at < until {
        let day = at.as_second().div_euclid(DAY);
        let end = Timestamp::from_second((day + 1).saturating_mul(DAY)).unwrap_or(until);
        let end = end.min(until);
        if end <= at {
            break;
        }
        parts.push((day, end.duration_since(at).as_secs_f64()));
        at = end;
    }
    parts
}
