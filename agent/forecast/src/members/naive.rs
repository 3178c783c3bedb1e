//! Members that repeat what was.
//!
//! **In:** values without gaps.
//! **Out:** the last value, the last period, or the last period moved to today's level.
//! **Not here:** averages over periods ([`super::profile`]).

use super::{Past, Unfit};

/// Repeats the last value. Needs one value, so it always serves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Persistence;

impl Persistence {
    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        let last = values.last().ok_or(Unfit::TooShort { needed: 1, found: 0 })?;
        Ok(vec![*last; horizon])
    }
}

/// Repeats the median of the last values: what a person would say who knows the size of a series
/// and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flat {
    window: usize,
}

impl Flat {
    /// Over one shortest season, or the newer quarter of a past without one.
    pub(crate) fn fit(past: &Past, season: Option<usize>) -> Flat {
        Flat { window: season.unwrap_or(past.len() / 4).max(1) }
    }

    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        let mut newest = values[values.len().saturating_sub(self.window)..].to_vec();
        if newest.is_empty() {
            return Err(Unfit::TooShort { needed: 1, found: 0 });
        }
        let middle = newest.len() / 2;
        let median = *newest.select_nth_unstable_by(middle, f64::total_cmp).1;
        Ok(vec![median; horizon])
    }
}

/// Repeats the last period.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seasonal {
    season: usize,
}

impl Seasonal {
    pub(crate) fn fit(past: &Past, season: Option<usize>) -> Result<Seasonal, Unfit> {
        let season = season.ok_or(Unfit::NoSeason)?;
        if past.len() < season {
            return Err(Unfit::TooShort { needed: season, found: past.len() });
        }
        Ok(Seasonal { season })
    }

    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        let period = last_period(values, self.season)?;
        Ok(period.iter().cycle().take(horizon).copied().collect())
    }
}

/// The last `season` values.
pub(crate) fn last_period(values: &[f64], season: usize) -> Result<&[f64], Unfit> {
    if season == 0 || values.len() < season {
        return Err(Unfit::TooShort { needed: season.max(1), found: values.len() });
    }
    Ok(&values[values.len() - season..])
}

/// Repeats the last period of the longest season, multiplied by (or, where a level is not
/// positive, plus) how much the level has changed since one such season ago.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leveled {
    season: usize,
    /// Values whose mean is a level: the shortest season, or a quarter of the only one.
    window: usize,
}

/// A level may grow or shrink by this factor at most.
///
/// Why 5: flash crowds are larger, but do not last a day; a forecast of five times last week's
/// load is already one that a person should look at.
const LEVEL_RATIO_MAX: f64 = 5.0;

impl Leveled {
    pub(crate) fn fit(past: &Past, seasons: &[usize]) -> Result<Leveled, Unfit> {
        let season = *seasons.last().ok_or(Unfit::NoSeason)?;
        let window = match seasons {
            [only] => only.div_ceil(4),
            [shortest, ..] => *shortest,
            [] => return Err(Unfit::NoSeason),
        };
        let needed = season + window;
        if past.len() < needed {
            return Err(Unfit::TooShort { needed, found: past.len() });
        }
        Ok(Leveled { season, window })
    }

    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        let period = last_period(values, self.season)?;
        let needed = self.season + self.window;
        if values.len() < needed {
            return Err(Unfit::TooShort { needed, found: values.len() });
        }
        let now = mean(&values[values.len() - self.window..]);
        let then = mean(&values[values.len() - needed..values.len() - self.season]);
        let moved: Vec<f64> = if now > 0.0 && then > 0.0 {
            let ratio = (now / then).clamp(1.0 / LEVEL_RATIO_MAX, LEVEL_RATIO_MAX);
            period.iter().map(|value| value * ratio).collect()
        } else {
            period.iter().map(|value| value + now - then).collect()
        };
        Ok(moved.iter().cycle().take(horizon).copied().collect())
    }
}

/// Arithmetic mean; 0 for an empty slice.
#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}
