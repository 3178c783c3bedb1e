//! A smooth average period, moved to today's level.
//!
//! **In:** values without gaps, the seasons.
//! **Out:** per phase of the season a weighted mean over the last periods and over neighbouring
//! phases, plus the level of the last steps, which fades into the level of the last day.
//! **Not here:** regression on lags.
//!
//! Repeating one noisy day repeats its noise; the mean of several has less.

#![expect(clippy::cast_precision_loss, reason = "counts are bounded by PAST_MAX")]

use super::{Past, Unfit, naive::mean};

/// Weight of a period relative to the one after it.
///
/// Why 0.8: five periods make up two thirds of the profile, so a week of days is seen and last
/// month's is nearly gone.
const FADE: f64 = 0.8;

/// Periods that are looked at.
const PERIODS_MAX: usize = 14;

/// A season and how much of it to smooth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    season: usize,
    /// Phases on either side that are averaged.
    reach: usize,
    /// Share of a deviation from the profile that is left one step later.
    persistence: f64,
}

impl Profile {
    pub(crate) fn fit(past: &Past, seasons: &[usize]) -> Result<Profile, Unfit> {
        // The longest season that has been seen twice.
        let season =
            seasons.iter().rev().copied().find(|season| past.len() >= 2 * season).ok_or_else(
                || match seasons.first() {
                    Some(season) => Unfit::TooShort { needed: 2 * season, found: past.len() },
                    None => Unfit::NoSeason,
                },
            )?;
        let reach = seasons.first().copied().unwrap_or(season) / 96;
        let mut profile = Profile { season, reach, persistence: 0.0 };
        // How the last two periods deviate from the profile before them tells how long a
        // deviation lasts.
        let cut = past.len() - season.min(past.len() / 2);
        let shape = profile.shape(&past.values[..cut]);
        let off: Vec<f64> = past.values[cut..]
            .iter()
            .enumerate()
            .map(|(at, value)| value - shape[at % shape.len().max(1)])
            .collect();
        let window = profile.window();
        let blocks: Vec<f64> = off.chunks_exact(window).map(mean).collect();
        let squares: f64 = blocks.iter().map(|v| v * v).sum();
        let products: f64 = blocks.windows(2).map(|v| v[0] * v[1]).sum();
        let ratio = products / squares;
        profile.persistence =
            if ratio.is_finite() { ratio.clamp(0.0, 1.0).powf(1.0 / window as f64) } else { 0.0 };
        Ok(profile)
    }

    /// Steps whose mean deviation is today's.
    fn window(&self) -> usize {
        (2 * self.reach + 1).max(2)
    }

    /// One period; element 0 is the phase of the step after `values`.
    fn shape(&self, values: &[f64]) -> Vec<f64> {
        let n = values.len();
        let periods = (n / self.season).clamp(1, PERIODS_MAX);
        let mut raw = vec![0.0; self.season];
        let mut total = 0.0;
        let mut weight = 1.0;
        for period in 1..=periods {
            let Some(from) = n.checked_sub(period * self.season) else { break };
            for (sum, value) in raw.iter_mut().zip(&values[from..]) {
                *sum += weight * value;
            }
            total += weight;
            weight *= FADE;
        }
        if total <= 0.0 {
            return vec![mean(values); self.season];
        }
        let width = 2 * self.reach + 1;
        let start = self.season - self.reach % self.season;
        let mut sum: f64 = (0..width).map(|k| raw[(start + k) % self.season]).sum::<f64>();
        (0..self.season)
            .map(|phase| {
                let smooth = sum / (width as f64 * total);
                sum +=
                    raw[(start + phase + width) % self.season] - raw[(start + phase) % self.season];
                smooth
            })
            .collect()
    }

    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        if values.len() < self.season || self.season == 0 {
            return Err(Unfit::TooShort { needed: self.season.max(1), found: values.len() });
        }
        let shape = self.shape(values);
        let window = self.window().min(values.len());
        let recent = &values[values.len() - window..];
        let expected: Vec<f64> =
            (0..window).map(|at| shape[(self.season * 2 - window + at) % self.season]).collect();
        let off = mean(recent) - mean(&expected);
        let mut left = 1.0;
        Ok((0..horizon)
            .map(|step| {
                left *= self.persistence;
                shape[step % self.season] + off * left
            })
            .collect())
    }
}
