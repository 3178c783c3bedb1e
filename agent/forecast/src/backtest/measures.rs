//! Errors and coverage, summed per series and step.
//!
//! **In:** forecasts and what came.
//! **Out:** [`Accuracy`] over a range of steps.
//! **Not here:** where the forecasts come from ([`super`]).

#![expect(clippy::cast_precision_loss, reason = "counts of values are far below 2^52")]

use std::collections::BTreeMap;
use std::ops::Range;

use super::naive::Naive;
use crate::batch::Forecast;

/// How good forecasts were over a range of steps. Each measure is taken per series and averaged
/// over series, so that none rules because it is large. `None` where it is undefined everywhere:
/// no known truth, or division by 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// First step, from 1.
    pub from: usize,
    /// Last step.
    pub to: usize,
    /// How many known values were compared.
    pub values: usize,
    /// Sum of absolute errors by the sum of absolute values. 0 is perfect; accuracy is
    /// `1 - wape`, which is below 0 for a forecast worse than 0 everywhere.
    pub wape: Option<f64>,
    /// The same of seasonal naive.
    pub wape_seasonal: Option<f64>,
    /// The same of persistence.
    pub wape_persistence: Option<f64>,
    /// Mean absolute error by the mean absolute seasonal difference of the past. Below 1 is
    /// better than repeating the last season. Source: Hyndman and Koehler (2006).
    pub mase: Option<f64>,
    /// Twice the pinball loss by the sum of absolute values, averaged over the mean (as median)
    /// and both ends of every interval. Source: the weighted quantile loss of Salinas et al.,
    /// *DeepAR* (2020), section 4.
    pub pinball: Option<f64>,
    /// Share of values inside the interval, per level of the request.
    pub coverage: Vec<Option<f64>>,
}

/// Sums of one series at one step.
#[derive(Clone, Debug, Default)]
struct Sum {
    n: usize,
    truth: f64,
    error: f64,
    error_seasonal: f64,
    error_persistence: f64,
    n_scaled: usize,
    error_scaled: f64,
    pinball: f64,
    inside: Vec<usize>,
}

impl Sum {
    fn join(&mut self, other: &Sum) {
        let Sum {
            n,
            truth,
            error,
            error_seasonal,
            error_persistence,
            n_scaled,
            error_scaled,
            pinball,
            inside,
        } = other;
        self.n += n;
        self.truth += truth;
        self.error += error;
        self.error_seasonal += error_seasonal;
        self.error_persistence += error_persistence;
        self.n_scaled += n_scaled;
        self.error_scaled += error_scaled;
        self.pinball += pinball;
        self.inside.resize(self.inside.len().max(inside.len()), 0);
        for (all, n) in self.inside.iter_mut().zip(inside) {
            *all += n;
        }
    }
}

/// All sums.
#[derive(Debug)]
pub(super) struct Sums {
    horizon: usize,
    levels: Vec<f64>,
    by_series: BTreeMap<usize, Vec<Sum>>,
}

impl Sums {
    pub(super) fn new(horizon: usize, levels: &[f64]) -> Sums {
        Sums { horizon, levels: levels.to_vec(), by_series: BTreeMap::new() }
    }

    /// Adds one forecast of one series.
    pub(super) fn add(
        &mut self,
        index: usize,
        truth: &[f64],
        forecast: &Forecast,
        naive: &Naive<'_>,
    ) {
        let sums =
            self.by_series.entry(index).or_insert_with(|| vec![Sum::default(); self.horizon]);
        for (step, (sum, truth)) in sums.iter_mut().zip(truth).enumerate() {
            let Some(mean) = forecast.mean.get(step).filter(|_| truth.is_finite()) else {
                continue;
            };
            let error = (truth - mean).abs();
            sum.n += 1;
            sum.truth += truth.abs();
            sum.error += error;
            sum.error_seasonal += (truth - naive.seasonal(step)).abs();
            sum.error_persistence += (truth - naive.persistence()).abs();
            if let Some(scale) = naive.scale {
                sum.n_scaled += 1;
                sum.error_scaled += error / scale;
            }
            let mut pinball = error / 2.0;
            sum.inside.resize(self.levels.len(), 0);
            for ((level, band), inside) in
                self.levels.iter().zip(&forecast.bands).zip(&mut sum.inside)
            {
                let Some((lo, hi)) = band.lo.get(step).zip(band.hi.get(step)) else { continue };
                *inside += usize::from(lo <= truth && truth <= hi);
                let tail = (1.0 - level) / 2.0;
                pinball += loss(*truth, *lo, tail) + loss(*truth, *hi, 1.0 - tail);
            }
            sum.pinball += pinball / (1 + 2 * forecast.bands.len()) as f64;
        }
    }

    /// Over a range of steps, from 0.
    pub(super) fn over(&self, steps: Range<usize>) -> Accuracy {
        let per_series: Vec<Sum> = self
            .by_series
            .values()
            .map(|sums| {
                let mut all = Sum::default();
                for sum in sums.get(steps.clone()).unwrap_or_default() {
                    all.join(sum);
                }
                all
            })
            .collect();
        let mean = |of: &dyn Fn(&Sum) -> Option<f64>| {
            let known: Vec<f64> = per_series.iter().filter_map(of).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        let share = |part: f64, all: f64| (0.0 < all).then(|| part / all);
        Accuracy {
            from: steps.start + 1,
            to: steps.end,
            values: per_series.iter().map(|it| it.n).sum(),
            wape: mean(&|it| share(it.error, it.truth)),
            wape_seasonal: mean(&|it| share(it.error_seasonal, it.truth)),
            wape_persistence: mean(&|it| share(it.error_persistence, it.truth)),
            mase: mean(&|it| share(it.error_scaled, it.n_scaled as f64)),
            pinball: mean(&|it| share(2.0 * it.pinball, it.truth)),
            coverage: (0..self.levels.len())
                .map(|level| {
                    mean(&|it| share(it.inside.get(level).map_or(0.0, |n| *n as f64), it.n as f64))
                })
                .collect(),
        }
    }
}

/// Pinball loss of `quantile` as a forecast of the `tau` quantile.
fn loss(truth: f64, quantile: f64, tau: f64) -> f64 {
    let above = truth - quantile;
    if 0.0 <= above { tau * above } else { (tau - 1.0) * above }
}
