//! Which members speak for one series, and how loudly.
//!
//! **In:** the past of one [`Series`] and [`Settings`].
//! **Out:** a fitted [`Ensemble`] that forecasts from that past or a slightly newer one.
//! **Not here:** the members (`members`), models over many series (`global`),
//! and the width of bands over time (`live` keeps that current between refits).

pub(crate) mod backtest;
pub(crate) mod weights;

use crate::Series;
use crate::batch::{ForecastError, HORIZON_MAX, Report};
use crate::members::past::PAST_MAX;
use crate::members::{Fitted, Kind, Past};
use crate::seasons;
use backtest::Backtest;
use weights::Weighing;

/// How much work a fit may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Members that fit within milliseconds, for refits of a daemon.
    Quick,
    /// Every member: files and backtests.
    Thorough,
}

impl Effort {
    /// Members that are tried.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        const QUICK: [Kind; 10] = [
            Kind::Persistence,
            Kind::Flat,
            Kind::SeasonalShort,
            Kind::SeasonalLong,
            Kind::Leveled,
            Kind::Profile,
            Kind::Ridge,
            Kind::RidgeLog,
            Kind::RidgeCoarse,
            Kind::RidgeCoarseLog,
        ];
        match self {
            Effort::Quick => &QUICK,
            Effort::Thorough => &Kind::ALL,
        }
    }
}

/// How an [`Ensemble`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Steps ahead that the weights are chosen for, `1..=`[`HORIZON_MAX`].
    pub horizon: usize,
    /// Season lengths in steps, ascending; `None` detects them.
    pub seasons: Option<Vec<usize>>,
    /// How much work the fit may be.
    pub effort: Effort,
}

/// Members of one series with their weights; small (coefficients and seasonal profiles only).
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    /// Members with a weight above zero.
    members: Vec<(f64, Fitted)>,
    residuals: Vec<Vec<f64>>,
    /// Lowest forecast that makes sense: 0 for series that never were negative.
    floor: f64,
    /// Season by which gaps are filled.
    season: Option<usize>,
    report: Report,
}

impl Ensemble {
    /// Fits every member and weighs it by its errors at rolling origins.
    ///
    /// One finite value suffices: with fewer than four, the last value is repeated.
    ///
    /// # Errors
    ///
    /// [`ForecastError`] when settings are out of range or the series has no finite value.
    pub fn fit(series: &Series, settings: &Settings) -> Result<Ensemble, ForecastError> {
        Ensemble::of(series, settings, settings.effort.kinds())
    }

    /// As [`Ensemble::fit`], of the named members only (see [`crate::batch::MemberReport`]);
    /// repeats the last value when none of them exists. What one member costs is the difference
    /// to no name at all.
    ///
    /// # Errors
    ///
    /// As [`Ensemble::fit`].
    pub fn fit_only(
        series: &Series,
        settings: &Settings,
        names: &[&str],
    ) -> Result<Ensemble, ForecastError> {
        let kinds: Vec<Kind> =
            Kind::ALL.into_iter().filter(|kind| names.contains(&kind.name())).collect();
        Ensemble::of(series, settings, &kinds)
    }

    fn of(series: &Series, settings: &Settings, kinds: &[Kind]) -> Result<Ensemble, ForecastError> {
        check(settings.horizon, settings.seasons.as_deref())?;
        let prepared = Prepared::new(series, settings.seasons.as_deref())?;
        let backtest = prepared.backtest(settings.horizon, kinds);
        let weighing = backtest.weigh(&prepared.past, settings.horizon);
        let report = prepared.report(&backtest, &weighing);
        let members = weighing
            .weights
            .iter()
            .zip(backtest.tracks)
            .filter(|(weight, _)| **weight > 0.0)
            .filter_map(|(weight, track)| track.fitted.map(|fitted| (*weight, fitted)))
            .collect();
        Ok(Ensemble {
            members,
            residuals: weighing.residuals(settings.horizon),
            floor: prepared.floor,
            season: prepared.seasons.first().copied(),
            report,
        })
    }

    /// The next `horizon` values after `past`, at most [`HORIZON_MAX`].
    ///
    /// `past` ends `since_fit` steps after the end of the series that was fitted (0: the same
    /// past); it should reach back as far as that series did. Gaps are NaN. All finite; 0 where
    /// `past` holds no finite value at all.
    pub fn forecast(&self, past: &[f64], since_fit: usize, horizon: usize) -> Vec<f64> {
        let horizon = horizon.min(HORIZON_MAX);
        let Some(past) = Past::new(past, self.season) else { return vec![0.0; horizon] };
        let each: Vec<(f64, Option<Vec<f64>>)> = self
            .members
            .iter()
            .map(|(weight, member)| {
                (*weight, member.forecast(&past.values, since_fit, horizon).ok())
            })
            .collect();
        let weights: Vec<f64> = each.iter().map(|(weight, _)| *weight).collect();
        weights::blend(&weights, |member| each[member].1.as_deref())
            .unwrap_or_else(|| vec![past.last(); horizon])
            .into_iter()
            .map(|value| if value.is_finite() { value.max(self.floor) } else { past.last() })
            .collect()
    }

    /// What each member alone would say after `series`, for those that can be fitted: for
    /// benchmarks, and for people who wonder what the others thought.
    ///
    /// # Errors
    ///
    /// As [`Ensemble::fit`].
    pub fn each_member(
        series: &Series,
        settings: &Settings,
    ) -> Result<Vec<(&'static str, Vec<f64>)>, ForecastError> {
        check(settings.horizon, settings.seasons.as_deref())?;
        let prepared = Prepared::new(series, settings.seasons.as_deref())?;
        let kinds = settings.effort.kinds();
        let backtest =
            Backtest::run(&prepared.past, &prepared.seasons, settings.horizon, kinds, Vec::new());
        let tracks = backtest.tracks.into_iter();
        Ok(tracks.filter_map(|track| Some((track.name, track.ahead?))).collect())
    }

    /// Signed errors `value - forecast` at the rolling origins, `errors[lead - 1]` for lead
    /// steps `1..=horizon`; empty lists where none could be measured.
    ///
    /// The weights at each origin are those that the other origins suggest, so these errors are
    /// about as large as future ones.
    pub fn residuals(&self) -> &[Vec<f64>] {
        &self.residuals
    }

    /// How the members did and whether they abstain.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Checks what every entry point checks.
pub(crate) fn check(horizon: usize, seasons: Option<&[usize]>) -> Result<(), ForecastError> {
    if horizon == 0 || horizon > HORIZON_MAX {
        return Err(ForecastError::Horizon { asked: horizon, max: HORIZON_MAX });
    }
    let mut before = 1;
    for season in seasons.unwrap_or(&[]) {
        if *season <= before {
            return Err(ForecastError::Seasons { found: *season, before });
        }
        before = *season;
    }
    Ok(())
}

/// A series that is ready for members.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) past: Past<'static>,
    pub(crate) seasons: Vec<usize>,
    pub(crate) floor: f64,
}

impl Prepared {
    pub(crate) fn new(series: &Series, given: Option<&[usize]>) -> Result<Prepared, ForecastError> {
        let none = ForecastError::TooFew { found: 0, needed: 1 };
        let seasons = match given {
            // Longer ones were never seen once.
            Some(seasons) => seasons.iter().copied().filter(|s| *s <= PAST_MAX).collect(),
            None => {
                let straight = Past::new(&series.values, None).ok_or(none.clone())?;
                seasons::detect(&straight.values, series.step)
            }
        };
        let past = Past::new(&series.values, seasons.first().copied()).ok_or(none)?;
        let negative =
            past.values.iter().zip(past.known.iter()).any(|(value, known)| *known && *value < 0.0);
        let floor = if negative { f64::MIN } else { 0.0 };
        Ok(Prepared { past, seasons, floor })
    }

    pub(crate) fn backtest(&self, horizon: usize, kinds: &[Kind]) -> Backtest {
        let origins = backtest::origins(self.past.len(), horizon);
        Backtest::run(&self.past, &self.seasons, horizon, kinds, origins)
    }

    pub(crate) fn report(&self, backtest: &Backtest, weighing: &Weighing) -> Report {
        Report {
            seasons: self.seasons.clone(),
            members: weighing.members(&backtest.tracks),
            error: weighing.error,
            abstains: weighing.abstains.clone(),
            used: self.past.len(),
            gaps: self.past.known.iter().filter(|known| !**known).count(),
        }
    }
}
