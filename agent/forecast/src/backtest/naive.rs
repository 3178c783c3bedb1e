//! The two forecasts that cost nothing, to compare with.
//!
//! **In:** the past of a series, and the seasons that it may have.
//! **Out:** persistence, the better-founded seasonal naive, and the scale of MASE.
//! **Not here:** the members of the ensemble ([`crate::ensemble`]).

use crate::Series;

/// Days and weeks are tried as seasons of a series with a clock, whatever was detected.
const CALENDAR_S: [i64; 2] = [86_400, 604_800];

/// Persistence and seasonal naive from one origin.
#[derive(Clone, Debug)]
pub(super) struct Naive<'a> {
    past: &'a [f64],
    last: f64,
    /// The season of seasonal naive, in steps; `None` when it has none.
    season: Option<usize>,
    /// Mean absolute difference over the shortest season (or one step without any) in the past.
    pub(super) scale: Option<f64>,
}

impl<'a> Naive<'a> {
    /// Of all seasons given, detected, and (with a clock) of the calendar, seasonal naive has
    /// the one with the least mean absolute difference in the past.
    pub(super) fn of(past: &'a Series, given: Option<&[usize]>, detected: &[usize]) -> Naive<'a> {
        let mut seasons: Vec<usize> = given.unwrap_or(detected).to_vec();
        let shortest = seasons.iter().min().copied();
        if past.starts_at.is_some() {
            let step_s = past.step.as_secs();
            for calendar_s in CALENDAR_S {
                if 0 < step_s && calendar_s % step_s == 0 {
                    seasons.extend(usize::try_from(calendar_s / step_s));
                }
            }
        }
        let values = past.values.as_slice();
        let differences = seasons.iter().filter(|it| 1 < **it).filter_map(|season| {
            // Fewer than two seasons say nothing about repeating.
            let difference = difference(values, *season).filter(|_| season * 2 <= values.len())?;
            Some((*season, difference))
        });
        let best = differences.min_by(|one, other| one.1.total_cmp(&other.1));
        let last = values.iter().rev().copied().find(|it| it.is_finite());
        let scale = difference(values, shortest.unwrap_or(1)).filter(|it| 0.0 < *it);
        Naive { past: values, last: last.unwrap_or(0.0), season: best.map(|it| it.0), scale }
    }

    /// The last known value.
    pub(super) fn persistence(&self) -> f64 {
        self.last
    }

    /// The value a whole number of seasons before step `index` (from 0); the last known value
    /// where there is a gap, or no season.
    pub(super) fn seasonal(&self, index: usize) -> f64 {
        let Some(season) = self.season else { return self.last };
        let back = season - index % season;
        let value = self.past.len().checked_sub(back).and_then(|it| self.past.get(it));
        value.copied().filter(|it| it.is_finite()).unwrap_or(self.last)
    }
}

/// Mean absolute difference of values `lag` apart; `None` without two such values.
fn difference(values: &[f64], lag: usize) -> Option<f64> {
    let later = values.get(lag..)?;
    let (mut mean, mut n) = (0.0, 0.0);
    for (earlier, later) in values.iter().zip(later) {
        let difference = (later - earlier).abs();
        if difference.is_finite() {
            n += 1.0;
            mean += (difference - mean) / n;
        }
    }
    (0.0 < n).then_some(mean)
}
