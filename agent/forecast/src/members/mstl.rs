//! Seasonal-trend decomposition with several seasons, by `augurs-mstl`.
//!
//! **In:** values without gaps and the seasons.
//! **Out:** the last period of every seasonal component on top of a level that settles.
//! **Not here:** `augurs`' exponential smoothing, whose seasonal variant panics.
//!
//! Source: Bandara, Hyndman, Bergmeir (2021), *MSTL*. The trend is held; the remainder decays
//! like a first-order autoregression, because a level that is off now will be off for a while.

use std::panic::{AssertUnwindSafe, catch_unwind};

use augurs_core::Fit;
use augurs_mstl::{MSTLModel, stlrs};

use super::{Past, Unfit, naive::mean};

/// Periods of the longest season that are decomposed.
///
/// Why 4: LOESS over more costs more and forgets what changed.
const PERIODS_MAX: usize = 4;

/// Longest season that is decomposed, in steps.
///
/// Why 400: a day at 5 min takes 3 ms for all origins, a week at 5 min 20 ms, and no trace was
/// forecast better for it (2026-11-21).
const SEASON_MAX: usize = 400;

/// Components of the decomposition that a forecast needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mstl {
    /// Last period of each seasonal component; element 0 is for the step after the fit.
    seasonal: Vec<Vec<f64>>,
    trend: f64,
    /// Share of the remainder that is left after one step, `0..1`.
    persistence: f64,
}

impl Mstl {
    pub(crate) fn fit(past: &Past, seasons: &[usize]) -> Result<Mstl, Unfit> {
        let shortest = *seasons.first().ok_or(Unfit::NoSeason)?;
        // Seasons that were not seen twice yet wait.
        let seen =
            seasons.partition_point(|season| *season <= SEASON_MAX && 2 * season < past.len());
        let seasons = &seasons[..seen];
        let Some(longest) = seasons.last() else {
            if shortest > SEASON_MAX {
                return Err(Unfit::SeasonLong { found: shortest, max: SEASON_MAX });
            }
            return Err(Unfit::TooShort { needed: 2 * shortest + 1, found: past.len() });
        };
        let values = &past.values[past.len().saturating_sub(PERIODS_MAX * longest)..];
        let center = mean(values);
        let spread = mean(&values.iter().map(|v| (v - center).abs()).collect::<Vec<_>>());
        if spread.is_nan() || spread <= 0.0 {
            return Err(Unfit::NoSeason);
        }
        let scaled: Vec<f64> = values.iter().map(|value| (value - center) / spread).collect();
        let mut loess = stlrs::params();
        // One pass of the inner loop: a second changes forecasts by less than their third digit.
        loess.inner_loops(1);
        let mut params = stlrs::MstlParams::new();
        params.stl_params(loess).iterations(1);
        let model = MSTLModel::naive(seasons.to_vec()).mstl_params(params);
        // The library is not ours: whatever it does, this member alone is dropped.
        let fitted = catch_unwind(AssertUnwindSafe(|| model.fit(&scaled)))
            .map_err(|_| Unfit::Decomposition { cause: "the library panicked".to_owned() })?
            .map_err(|error| Unfit::Decomposition { cause: error.to_string() })?;
        let parts = fitted.fit();
        let back = |value: f32| f64::from(value) * spread;
        let seasonal = parts
            .seasonal()
            .iter()
            .zip(seasons)
            .map(|(component, season)| {
                component[component.len().saturating_sub(*season)..]
                    .iter()
                    .map(|value| back(*value))
                    .collect()
            })
            .collect();
        let remainder: Vec<f64> = parts.remainder().iter().map(|value| back(*value)).collect();
        let trend = parts.trend().last().map_or(center, |last| back(*last) + center);
        Ok(Mstl { seasonal, trend, persistence: autocorrelation(&remainder) })
    }

    pub(crate) fn forecast(
        &self,
        values: &[f64],
        since_fit: usize,
        horizon: usize,
    ) -> Result<Vec<f64>, Unfit> {
        let last = values.last().ok_or(Unfit::TooShort { needed: 1, found: 0 })?;
        // `steps` after the value that `values` ends with; every season has its own phase.
        let season_at = |steps: usize| -> f64 {
            self.seasonal
                .iter()
                .filter(|period| !period.is_empty())
                .map(|period| {
                    period[(since_fit % period.len() + period.len() - 1 + steps) % period.len()]
                })
                .sum::<f64>()
        };
        let now = season_at(0);
        let mut off = last - now - self.trend;
        Ok((0..horizon)
            .map(|step| {
                off *= self.persistence;
                self.trend + season_at(step + 1) + off
            })
            .collect())
    }
}

/// First-order autocorrelation, clamped to `0..=0.999`.
fn autocorrelation(values: &[f64]) -> f64 {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let products: f64 = values.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let ratio = products / squares;
    if ratio.is_finite() { ratio.clamp(0.0, 0.999) } else { 0.0 }
}
