//! The expectation for the next two days: what people are shown, and what a plan
//! beyond the lead time can be checked against.
//!
//! **In:** the slow steps of the past; a fit of the batch ensemble, made elsewhere.
//! **Out:** [`Expected`] values at steps, with a 95% interval.
//! **Not here:** the next hour ([`super::state`]), the ensemble ([`crate::batch`]).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::past::{DAYS_BACK, Past, seconds_since_local};
use super::{Expected, Refit, RefitTask};
use crate::Series;
use crate::batch::{Request, forecast_one};

/// Hours that a fit reaches.
pub(super) const HOURS: usize = 48;

/// A fit is due again after this. Why 6 h: four a day move the two days ahead by an
/// eighth each; at 5 ms a fit, 10,000 series take 0.2% of a core.
pub(super) const REFIT_EVERY: SignedDuration = SignedDuration::from_hours(6);

/// Slow steps before the first fit: one day of 5 min.
const STEPS_MIN: usize = 288;

/// What a fit expects, hour by hour: middle, low, high.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Hours {
    /// Start of the first hour.
    pub(super) starts_at: Timestamp,
    pub(super) values: Vec<[f32; 3]>,
}

impl Hours {
    /// Between the middles of the hours around `at`; `None` beyond them.
    fn at(&self, at: Timestamp) -> Option<[f64; 3]> {
        let seconds = at.as_second() - self.starts_at.as_second() - 1_800;
        let left = usize::try_from(seconds.div_euclid(3_600).max(0)).ok()?;
        let a = self.values.get(left)?;
        let b = self.values.get(left + 1).unwrap_or(a);
        #[expect(clippy::cast_precision_loss, reason = "seconds of an hour")]
        let share = if seconds < 0 { 0.0 } else { seconds.rem_euclid(3_600) as f64 / 3_600.0 };
        let mut between = [0.0; 3];
        for ((to, a), b) in between.iter_mut().zip(a).zip(b) {
            *to = f64::from(*a) + share * (f64::from(*b) - f64::from(*a));
        }
        Some(between)
    }
}

/// The slow past as a series that owns its values; empty before there is a day.
pub(super) fn task(
    past: &Past,
    seasons: Option<&[SignedDuration]>,
    made_at: Option<Timestamp>,
) -> RefitTask {
    let step = past.pace.slow;
    let (Some(oldest), Some(newest)) = (past.slow.oldest(), past.slow.newest()) else {
        return RefitTask { made_at, series: None, seasons: None };
    };
    let values: Vec<f64> = (oldest..=newest).map(|slot| past.slow.get(slot)).collect();
    let seasons = seasons.map(|all| {
        all.iter()
            .filter_map(|it| usize::try_from(it.as_secs() / step).ok())
            .filter(|it| 2 <= *it)
            .collect()
    });
    let series = Series {
        starts_at: Timestamp::from_second(oldest.saturating_mul(step)).ok(),
        step: SignedDuration::from_secs(step),
        values,
    };
    RefitTask { made_at, series: (STEPS_MIN <= series.values.len()).then_some(series), seasons }
}

/// Runs the batch ensemble; nothing is found where it refuses.
pub(super) fn run(task: RefitTask) -> Refit {
    let RefitTask { made_at, series, seasons } = task;
    let nothing = Refit { made_at, hours: None, members_dropped: Vec::new() };
    let Some(series) = series else { return nothing };
    let step = series.step.as_secs().max(1);
    let per_hour = usize::try_from(3_600 / step).unwrap_or(1).max(1);
    let n = i64::try_from(series.values.len()).unwrap_or(i64::MAX);
    let ends_at = series
        .starts_at
        .and_then(|it| Timestamp::from_second(it.as_second().saturating_add(n * step)).ok());
    let request = Request { horizon: HOURS * per_hour, seasons, levels: vec![0.95] };
    let (Some(starts_at), Ok(forecast)) = (ends_at, forecast_one(&series, &request)) else {
        return nothing;
    };
    let Some(band) = forecast.bands.first() else { return nothing };
    let mut values = Vec::with_capacity(HOURS);
    let hours = forecast.mean.chunks(per_hour);
    for ((middle, low), high) in hours.zip(band.lo.chunks(per_hour)).zip(band.hi.chunks(per_hour)) {
        values.push([mean(middle), mean(low), mean(high)]);
    }
    let members = forecast.report.members.iter();
    let members_dropped = members.filter(|it| it.dropped.is_some()).map(|it| it.name).collect();
    Refit { made_at, hours: Some(Hours { starts_at, values }), members_dropped }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a few values of an hour; kept as f32"
)]
fn mean(values: &[f64]) -> f32 {
    (values.iter().sum::<f64>() / values.len().max(1) as f64).max(0.0) as f32
}

/// Every slow step from `now`; what no fit reaches is as at the same local time on
/// the days before.
pub(super) fn expected(
    past: &Past,
    hours: Option<&Hours>,
    zone: &TimeZone,
    now: Timestamp,
    horizon: SignedDuration,
) -> Vec<Expected> {
    let horizon = horizon.clamp(SignedDuration::ZERO, SignedDuration::from_hours(48));
    let step = past.pace.slow;
    let first = now.as_second().div_euclid(step).saturating_add(1);
    let mut found = Vec::new();
    for i in 0..horizon.as_secs() / step {
        let seconds = first.saturating_add(i).saturating_mul(step);
        let Ok(at) = Timestamp::from_second(seconds) else { break };
        let fitted = hours.and_then(|it| it.at(at));
        let Some([middle, low, high]) = fitted.or_else(|| usual(past, zone, seconds)) else {
            continue;
        };
        let (low, high) = (low.min(middle), high.max(middle));
        if [low, middle, high].iter().all(|it| it.is_finite()) {
            found.push(Expected { at, middle, low, high });
        }
    }
    found
}

/// Mean of the same local time on the days before, and the range of those days.
fn usual(past: &Past, zone: &TimeZone, seconds: i64) -> Option<[f64; 3]> {
    let (mut sum, mut n) = (0.0, 0.0);
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for ago in (1_i64..).take(DAYS_BACK + 2) {
        let then = seconds.saturating_sub(seconds_since_local(seconds, ago, zone));
        let value = past.slow.get(then.div_euclid(past.pace.slow));
        if !value.is_nan() {
            sum += value;
            n += 1.0;
            low = low.min(value);
            high = high.max(value);
        }
    }
    (0.0 < n).then(|| [sum / n, low, high])
}
