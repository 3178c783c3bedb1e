//! Forecasts of one or many series: what the command line and backtests call.
//!
//! **In:** [`Series`] on fixed grids and one [`Request`].
//! **Out:** per series a [`Forecast`] with bands and a [`Report`] that says how it came about.
//! **Not here:** the members (`members`), their weights ([`crate::ensemble`]) and the
//! streaming forecaster of the daemon.

mod fleet;
mod pool;

use crate::Series;
use crate::ensemble::backtest::Backtest;
use crate::ensemble::weights::{Weighing, blend, spread};
use crate::ensemble::{Effort, Prepared, check};
use crate::intervals::{Ahead, Pool, Sizes};

/// The longest horizon, in steps.
///
/// Why 2,880: 48 h in minutes; farther than two days a daily rhythm repeats itself anyway.
pub const HORIZON_MAX: usize = 2_880;

/// What is asked of [`forecast`].
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Steps to look ahead, `1..=`[`HORIZON_MAX`].
    pub horizon: usize,
    /// Season lengths in steps, ascending, each at least 2; `None` detects them per series. Those
    /// longer than the newest 20,160 values, which is all that is used, have no effect.
    pub seasons: Option<Vec<usize>>,
    /// Coverages of the bands, e.g. `[0.80, 0.95]`, each in `(0, 1)`.
    pub levels: Vec<f64>,
}

/// A central interval around the mean: the next value of a step lies inside with chance `level`.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Coverage in `(0, 1)`.
    pub level: f64,
    /// Lower ends, one per step.
    pub lo: Vec<f64>,
    /// Upper ends, one per step; never below `lo`.
    pub hi: Vec<f64>,
}

/// The future of one series. All vectors have one entry per step of the horizon.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Expected values, in the unit of the series; always finite.
    pub mean: Vec<f64>,
    /// In the order of [`Request::levels`]; a higher level contains a lower one.
    pub bands: Vec<Band>,
    /// How this forecast came about.
    pub report: Report,
}

/// One member of the ensemble and how it did at the rolling origins.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberReport {
    /// Constant name, e.g. `ridge_log`.
    pub name: &'static str,
    /// Share in the forecast, `0..=1`; all shares of a forecast sum to 1.
    pub weight: f64,
    /// Mean absolute error at each rolling origin, oldest first, divided by the mean absolute
    /// seasonal difference of the training part (1.0 is as bad as repeating the last season).
    pub errors: Vec<f64>,
    /// Why the member has no part, if it has none.
    pub dropped: Option<String>,
}

/// The ensemble is not clearly better than a naive forecast, so nobody should act on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Abstention {
    /// Error of the ensemble over the rolling origins, scaled as in [`MemberReport::errors`].
    pub ensemble: f64,
    /// Error of what it had to beat, same scale: the better horizontal line, or repeating a
    /// season. Where the forecast misses most of what there is, both are shares of that instead,
    /// and this is 1.0, what forecasting 0 would miss.
    pub naive: f64,
    /// The ensemble's error had to be below `naive` times this.
    pub ratio_max: f64,
    /// The same in words, for `explain`.
    pub reason: String,
}

/// How a forecast came about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Seasons used, in steps, ascending; empty when there are none.
    pub seasons: Vec<usize>,
    /// Every member that was tried, in a fixed order.
    pub members: Vec<MemberReport>,
    /// Error of the weighted ensemble over the rolling origins, scaled as in
    /// [`MemberReport::errors`]; `None` when the past was too short for a single origin.
    pub error: Option<f64>,
    /// Why nobody should act on this forecast, if so.
    pub abstains: Option<Abstention>,
    /// Values that were used: the newest ones of the series.
    pub used: usize,
    /// How many of `used` were gaps and were filled for features.
    pub gaps: usize,
}

/// Why there is no forecast. One variant per check.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// Horizon of 0 or too far.
    #[error("horizon is {asked} steps, must be 1 to {max}; use a wider step to look farther")]
    Horizon {
        /// What was asked.
        asked: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// A level outside `(0, 1)` or not a number.
    #[error("level is {asked}, must be above 0 and below 1; write `95` as `0.95`")]
    Level {
        /// What was asked.
        asked: f64,
    },
    /// Seasons not ascending, or shorter than two steps.
    #[error("seasons must ascend and be at least 2 steps, but `{found}` follows `{before}`")]
    Seasons {
        /// The offending length.
        found: usize,
        /// The one before it, or 1.
        before: usize,
    },
    /// Fewer finite values than a forecast needs.
    #[error("{found} finite values, at least {needed} are needed; wait for more of the series")]
    TooFew {
        /// Finite values in the series.
        found: usize,
        /// The least number.
        needed: usize,
    },
}

/// Forecasts every series with the ensemble and, where there are several with equal seasons, a
/// global model learned from all of them. `progress` hears how many of all steps of work are
/// done.
///
/// The result has one entry per series, in order, and does not depend on the number of threads.
pub fn forecast(
    series: &[Series],
    request: &Request,
    progress: &mut dyn FnMut(usize, usize),
) -> Vec<Result<Forecast, ForecastError>> {
    forecast_on(pool::threads(), series, request, progress)
}

/// As [`forecast`], on at most that many threads (at least one).
pub fn forecast_on(
    threads: usize,
    series: &[Series],
    request: &Request,
    progress: &mut dyn FnMut(usize, usize),
) -> Vec<Result<Forecast, ForecastError>> {
    if let Err(error) = check_request(request) {
        return series.iter().map(|_| Err(error.clone())).collect();
    }
    let tracks = tracks(threads, series, request, series.len() > 1, progress);
    finish(tracks, request)
}

/// What every member alone would say, the global models included: for benchmarks, and for people
/// who wonder what the others thought. One list per series, empty where there is no forecast.
pub fn each_member(series: &[Series], request: &Request) -> Vec<Vec<(&'static str, Vec<f64>)>> {
    if check_request(request).is_err() {
        return series.iter().map(|_| Vec::new()).collect();
    }
    tracks(pool::threads(), series, request, series.len() > 1, &mut |_, _| ())
        .into_iter()
        .map(|tracks| match tracks {
            Ok((_, backtest)) => backtest
                .tracks
                .into_iter()
                .filter_map(|track| Some((track.name, track.ahead?)))
                .collect(),
            Err(_) => Vec::new(),
        })
        .collect()
}

/// Forecasts one series from its own past only.
///
/// # Errors
///
/// [`ForecastError`] when the request is out of range or the series has too few finite values.
pub fn forecast_one(series: &Series, request: &Request) -> Result<Forecast, ForecastError> {
    check_request(request)?;
    let tracks = tracks(1, std::slice::from_ref(series), request, false, &mut |_, _| ());
    finish(tracks, request).pop().unwrap_or(Err(ForecastError::TooFew { found: 0, needed: 1 }))
}

/// Forecasts of every member, at rolling origins and ahead.
fn tracks(
    threads: usize,
    series: &[Series],
    request: &Request,
    global: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Vec<Tracks> {
    let horizon = request.horizon;
    // A training takes about as long as all members of one series, for every series.
    let trainings = if global { fleet::trainings(&request.levels) } else { 0 };
    let of = series.len() * (1 + trainings);
    let mut done = 0;
    let mut report = |n: usize| {
        done = (done + n).min(of);
        progress(done, of);
    };
    let mut tracks: Vec<Tracks> = pool::map(threads, series, &mut |_| report(1), |one| {
        let prepared = Prepared::new(one, request.seasons.as_deref())?;
        let backtest = prepared.backtest(horizon, Effort::Thorough.kinds());
        Ok((prepared, backtest))
    });
    if global {
        fleet::add(threads, &mut tracks, request, &mut report);
    }
    report(of);
    tracks
}

/// From tracks to forecasts.
fn finish(tracks: Vec<Tracks>, request: &Request) -> Vec<Result<Forecast, ForecastError>> {
    let weighed: Vec<Result<Weighed, ForecastError>> = tracks
        .into_iter()
        .map(|tracks| {
            tracks.map(|(prepared, backtest)| Weighed::new(prepared, backtest, request.horizon))
        })
        .collect();
    let pool = Pool::new(weighed.iter().flatten().map(|weighed| &weighed.sizes));
    weighed.into_iter().map(|weighed| Ok(weighed?.forecast(request, &pool))).collect()
}

fn check_request(request: &Request) -> Result<(), ForecastError> {
    check(request.horizon, request.seasons.as_deref())?;
    match request.levels.iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
        Some(level) => Err(ForecastError::Level { asked: *level }),
        None => Ok(()),
    }
}

/// A series, and what its members say about it.
type Tracks = Result<(Prepared, Backtest), ForecastError>;

/// A series with its weights.
struct Weighed {
    prepared: Prepared,
    backtest: Backtest,
    weighing: Weighing,
    mean: Vec<f64>,
    sizes: Sizes,
}

impl Weighed {
    fn new(prepared: Prepared, backtest: Backtest, horizon: usize) -> Weighed {
        let weighing = backtest.weigh(&prepared.past, horizon);
        let last = prepared.past.last();
        let ahead = |track: usize| backtest.tracks[track].ahead.as_deref();
        let mean = blend(&weighing.weights, ahead).unwrap_or_else(|| vec![last; horizon]);
        let spread = spread(&weighing.weights, &mean, ahead);
        let season = prepared.seasons.first().copied();
        let end = Ahead { spread, width: backtest.width.clone() };
        let sizes = Sizes::new(&weighing.tests, prepared.past.len(), &end, season);
        Weighed { prepared, backtest, weighing, mean, sizes }
    }

    fn forecast(self, request: &Request, pool: &Pool) -> Forecast {
        let Weighed { prepared, backtest, weighing, mean, sizes } = self;
        let last = prepared.past.last();
        let sane = |value: f64| if value.is_finite() { value.max(prepared.floor) } else { last };
        let mean: Vec<f64> = mean.into_iter().map(sane).collect();
        let bands = request
            .levels
            .iter()
            .map(|level| {
                let ends = pool.band(&sizes, *level);
                let end = |pick: fn(&(f64, f64)) -> f64| -> Vec<f64> {
                    mean.iter().zip(&ends).map(|(mean, ends)| sane(mean + pick(ends))).collect()
                };
                Band { level: *level, lo: end(|ends| ends.0), hi: end(|ends| ends.1) }
            })
            .collect();
        Forecast { mean, bands, report: prepared.report(&backtest, &weighing) }
    }
}
