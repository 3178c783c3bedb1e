//! How good past forecasts would have been.
//!
//! **In:** whole series, and whatever forecasts them.
//! **Out:** [`Backtest`]: errors and coverage per horizon over rolling origins, beside those of
//! persistence and seasonal naive; the newest origin to look at.
//! **Not here:** choosing members by such errors ([`crate::ensemble`] does, on the past only),
//! tables and plots (the command line's).

mod measures;
mod naive;

use crate::Series;
use crate::batch::{Forecast, ForecastError, Request};

pub use measures::Accuracy;
use measures::Sums;
use naive::Naive;

/// The most origins. Why 100: more take minutes and say the same.
pub const ORIGINS_MAX: usize = 100;

/// Forecasts series that end at an origin. The truth behind the origin is never passed.
pub type Forecaster<'a> =
    dyn FnMut(&[Series], &Request) -> Vec<Result<Forecast, ForecastError>> + 'a;

/// How good past forecasts would have been.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtest {
    /// Steps between origins.
    pub stride: usize,
    /// From how many origins; all of them are as far from the end as in the longest series.
    pub origins: usize,
    /// Over ranges of steps, nearest first, each twice as long as the one before; every step is
    /// in exactly one.
    pub by_horizon: Vec<Accuracy>,
    /// Over all steps.
    pub overall: Accuracy,
    /// Forecasts that were asked for.
    pub asked: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many of the others abstained.
    pub abstained: usize,
    /// The newest origin of the first series that could be forecast from there.
    pub newest: Option<Newest>,
}

/// One forecast and what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    /// Which series.
    pub index: usize,
    /// Position of the first step after the origin in its values.
    pub origin: usize,
    /// The forecast; the truth is in the series.
    pub forecast: Forecast,
}

/// Why there is no backtest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BacktestError {
    /// No origin with a past and a future.
    #[error(
        "the longest series has {found} values, a backtest over {horizon} steps needs at least \
         {needed}; look fewer steps ahead"
    )]
    TooShort {
        /// Values of the longest series.
        found: usize,
        /// Steps to look ahead.
        horizon: usize,
        /// The least.
        needed: usize,
    },
    /// No origin, or too many.
    #[error("{asked} origins, must be 1 to {ORIGINS_MAX}")]
    Origins {
        /// What was asked for.
        asked: usize,
    },
    /// Every forecast failed.
    #[error("none of {asked} forecasts was made")]
    NothingForecast {
        /// How many there could have been.
        asked: usize,
        /// Why the first failed.
        #[source]
        first: Option<ForecastError>,
    },
}

/// Forecasts from `origins` past instants, and measures against what came.
///
/// The newest origin leaves exactly the horizon; the others lie before it, at most a horizon
/// apart, so that at least half of each series is always past. A series in which an origin
/// leaves less past than the horizon is left out there. `progress` hears how many origins of how
/// many are done. Equal input gives an equal result if the forecaster does.
///
/// # Errors
///
/// [`BacktestError`].
pub fn backtest(
    series: &[Series],
    request: &Request,
    origins: usize,
    forecaster: &mut Forecaster<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Backtest, BacktestError> {
    if !(1..=ORIGINS_MAX).contains(&origins) {
        return Err(BacktestError::Origins { asked: origins });
    }
    let horizon = request.horizon.max(1);
    let longest = series.iter().map(|it| it.values.len()).max().unwrap_or(0);
    let needed = horizon.saturating_mul(2);
    if longest < needed {
        return Err(BacktestError::TooShort { found: longest, horizon, needed });
    }
    // The oldest origin leaves half of the longest series as past.
    let spread = longest.saturating_sub(longest / 2).saturating_sub(horizon);
    let stride = match origins - 1 {
        0 => horizon,
        between => (spread / between).clamp(1, horizon),
    };
    let mut run = Run::new(request, horizon);
    for nth in (0..origins).rev() {
        let behind = horizon + nth * stride;
        run.origin(series, behind, forecaster);
        progress(origins - nth, origins);
    }
    if run.asked == run.failed {
        return Err(BacktestError::NothingForecast { asked: run.asked, first: run.first_error });
    }
    let by_horizon = ranges(horizon).into_iter().map(|it| run.sums.over(it)).collect();
    Ok(Backtest {
        stride,
        origins,
        by_horizon,
        overall: run.sums.over(0..horizon),
        asked: run.asked,
        failed: run.failed,
        abstained: run.abstained,
        newest: run.newest,
    })
}

/// `0..1`, `1..2`, `2..4`, `4..8`, … up to the horizon.
fn ranges(horizon: usize) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while from < horizon {
        let to = (from * 2).max(from + 1).min(horizon);
        ranges.push(from..to);
        from = to;
    }
    ranges
}

struct Run<'a> {
    request: &'a Request,
    horizon: usize,
    sums: Sums,
    asked: usize,
    failed: usize,
    abstained: usize,
    first_error: Option<ForecastError>,
    newest: Option<Newest>,
}

impl Run<'_> {
    fn new(request: &Request, horizon: usize) -> Run<'_> {
        Run {
            request,
            horizon,
            sums: Sums::new(horizon, &request.levels),
            asked: 0,
            failed: 0,
            abstained: 0,
            first_error: None,
            newest: None,
        }
    }

    /// Forecasts every series from `behind` steps before its end.
    fn origin(&mut self, series: &[Series], behind: usize, forecaster: &mut Forecaster<'_>) {
        let mut pasts = Vec::new();
        let mut indices = Vec::new();
        for (index, one) in series.iter().enumerate() {
            let origin = one.values.len().saturating_sub(behind);
            if origin < self.horizon.max(2) {
                continue;
            }
            let values = one.values.get(..origin).unwrap_or_default().to_vec();
            pasts.push(Series { values, ..one.clone() });
            indices.push(index);
        }
        let forecasts = forecaster(&pasts, self.request);
        self.newest = None;
        for ((past, index), forecast) in pasts.iter().zip(indices).zip(forecasts) {
            self.asked += 1;
            let forecast = match forecast {
                Ok(forecast) => forecast,
                Err(error) => {
                    self.failed += 1;
                    self.first_error.get_or_insert(error);
                    continue;
                }
            };
            self.abstained += usize::from(forecast.report.abstains.is_some());
            let origin = past.values.len();
            let Some(one) = series.get(index) else { continue };
            let truth = one.values.get(origin..).unwrap_or_default();
            let truth = truth.get(..self.horizon).unwrap_or(truth);
            let naive = Naive::of(past, self.request.seasons.as_deref(), &forecast.report.seasons);
            self.sums.add(index, truth, &forecast, &naive);
            if self.newest.is_none() {
                self.newest = Some(Newest { index, origin, forecast });
            }
        }
    }
}
