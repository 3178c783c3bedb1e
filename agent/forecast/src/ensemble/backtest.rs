//! What every member would have said at rolling origins.
//!
//! **In:** a past and the members to try.
//! **Out:** a [`Backtest`]: per member its forecasts at each origin and at the end.
//! **Not here:** what follows from it ([`super::weights`]).

use crate::members::naive::mean;
use crate::members::{Fitted, Kind, Past};

/// One candidate's forecasts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) name: &'static str,
    /// Forecast at each rolling origin, as long as the horizon, if there is one.
    pub(crate) at_origins: Vec<Option<Vec<f64>>>,
    /// Forecast from the end of the past.
    pub(crate) ahead: Option<Vec<f64>>,
    /// The member itself, unless it is a global model.
    pub(crate) fitted: Option<Fitted>,
    /// Why there is nothing from the end of the past.
    pub(crate) dropped: Option<String>,
}

/// All candidates of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backtest {
    /// Lengths of the past at which forecasts were made, ascending.
    pub(crate) origins: Vec<usize>,
    pub(crate) tracks: Vec<Track>,
    /// Mean absolute seasonal difference (or step to step) of the past before the first origin;
    /// what errors are divided by. Above zero.
    pub(crate) scale: f64,
    /// Width of a global model's band at each origin, per step; empty without one.
    pub(crate) widths: Vec<Option<Vec<f64>>>,
    /// The same after the end of the past.
    pub(crate) width: Option<Vec<f64>>,
}

/// The most rolling origins.
///
/// Why 12: a dozen windows tell a lucky member from a good one; each costs every member a
/// forecast and some of them a fit.
const ORIGINS_MAX: usize = 12;

/// Rolling origins for a past of `n` values, ascending: at least half a horizon apart, spread
/// over the newest quarter of the past; none for fewer than four values.
///
/// Why half a horizon: every step is tested at two leads, and the oldest origin, which has the
/// least to learn from, is not so far back. Why spread: six hours tested within one day say
/// nothing about the other days.
pub(crate) fn origins(n: usize, horizon: usize) -> Vec<usize> {
    if n < 4 {
        return Vec::new();
    }
    let window = horizon.min(n / 4).max(1);
    let step = window.div_ceil(2);
    // At least five, so that one odd window does not decide; that may take half of the past.
    let count = (1 + (n / 4).saturating_sub(window) / step).clamp(5, ORIGINS_MAX);
    let stride = ((n / 4).saturating_sub(window) / (count - 1)).max(step);
    let mut origins: Vec<usize> = (0..count)
        .map_while(|k| n.checked_sub(window + k * stride))
        .take_while(|origin| *origin >= n / 2)
        .collect();
    origins.reverse();
    origins
}

impl Backtest {
    pub(crate) fn run(
        past: &Past,
        seasons: &[usize],
        horizon: usize,
        kinds: &[Kind],
        origins: Vec<usize>,
    ) -> Backtest {
        let n = past.len();
        let ends: Vec<usize> = origins.iter().copied().chain([n]).collect();
        let tracks = kinds
            .iter()
            .map(|kind| {
                let mut fits = kind.fit(past, seasons, &ends);
                let last = fits.pop();
                let at_origins = fits
                    .into_iter()
                    .zip(&origins)
                    .map(|(fit, origin)| {
                        fit.and_then(|member| member.forecast(&past.values[..*origin], 0, horizon))
                            .ok()
                    })
                    .collect();
                let end = match last {
                    Some(Ok(member)) => member
                        .forecast(&past.values, 0, horizon)
                        .map(|ahead| (Some(ahead), Some(member))),
                    Some(Err(unfit)) => Err(unfit),
                    None => Ok((None, None)),
                };
                let ((ahead, fitted), dropped) = match end {
                    Ok(end) => (end, None),
                    Err(unfit) => ((None, None), Some(unfit.to_string())),
                };
                Track { name: kind.name(), at_origins, ahead, fitted, dropped }
            })
            .collect();
        let scale = scale(&past.values[..origins.first().copied().unwrap_or(n)], seasons);
        Backtest { origins, tracks, scale, widths: Vec::new(), width: None }
    }
}

/// Mean absolute difference over the shortest season, else over one step, else 1.
fn scale(values: &[f64], seasons: &[usize]) -> f64 {
    seasons
        .first()
        .into_iter()
        .chain(&[1])
        .map(|lag| {
            let later = values.get(*lag..).unwrap_or(&[]);
            mean(&values.iter().zip(later).map(|(a, b)| (b - a).abs()).collect::<Vec<_>>())
        })
        .find(|scale| scale.is_normal())
        .unwrap_or(1.0)
}
