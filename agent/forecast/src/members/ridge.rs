//! Ridge regression on seasonal lags, one step ahead, repeated over the horizon.
//!
//! **In:** values without gaps, a mask, the seasons.
//! **Out:** coefficients; a forecast from the newest values costs lags times horizon.
//! **Not here:** averages over several steps ([`super::coarse`]).
//!
//! The lags are those of a multiplicative seasonal autoregression: yesterday's and last week's
//! value, and how far yesterday, last week, and last week's yesterday were from what they were a
//! step or two before. Eleven of them did better on M4 Hourly than nineteen that cover the days
//! between (OWA 0.454 against 0.506, the half at hand, 2026-11-21).

#![expect(clippy::cast_precision_loss, reason = "counts of rows are bounded by PAST_MAX")]

use super::{Fitted, Past, Unfit};

/// Penalty on coefficients, as a share of the variance of the target times the number of rows.
///
/// Why 3e-4: a series that repeats itself needs coefficients that sum to 1, and 1e-2 shrinks
/// them visibly (M4 Hourly OWA 0.529 against 0.454, 2026-11-21).
const PENALTY: f64 = 3e-4;

/// How far outside the range of the past a forecast may go, as a share of that range.
///
/// Why 0.1: a new high happens, a forecast that runs away must not.
const OVERSHOOT: f64 = 0.1;

/// What the regression works on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// The values.
    Plain,
    /// Their logarithms, for series that never go below zero.
    Log,
}

/// How values become what is regressed, and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transform {
    /// `value - center`: keeps sums of squares small.
    Shift { center: f64 },
    /// `ln(value + offset)`.
    Log { offset: f64 },
}

impl Transform {
    /// For `values`, which are finite.
    pub(crate) fn new(scale: Scale, values: &[f64]) -> Result<Transform, Unfit> {
        match scale {
            Scale::Plain => Ok(Transform::Shift { center: super::naive::mean(values) }),
            Scale::Log => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                if low < 0.0 {
                    return Err(Unfit::Negative);
                }
                // A series with zeros needs a step up; a tenth of its mean keeps noise near
                // zero from becoming most of the variance.
                let offset = if low > 0.0 { 0.0 } else { 0.1 * super::naive::mean(values) };
                if offset > 0.0 || low > 0.0 {
                    Ok(Transform::Log { offset })
                } else {
                    Err(Unfit::Singular)
                }
            }
        }
    }

    /// Into what is regressed.
    pub(crate) fn there(self, value: f64) -> f64 {
        match self {
            Transform::Shift { center } => value - center,
            // A newer past may hold values that the fitted one did not.
            Transform::Log { offset } => (value + offset).max(f64::MIN_POSITIVE).ln(),
        }
    }

    /// Back into the unit of the series.
    pub(crate) fn back(self, value: f64) -> f64 {
        match self {
            Transform::Shift { center } => value + center,
            Transform::Log { offset } => value.exp() - offset,
        }
    }
}

/// A fitted regression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ridge {
    lags: Vec<usize>,
    coefficients: Vec<f64>,
    intercept: f64,
    transform: Transform,
    /// Allowed range of forecasts, transformed.
    low: f64,
    high: f64,
}

/// The lags for these seasons, ascending, that leave rows enough in `n` values.
fn lags(seasons: &[usize], n: usize) -> Vec<usize> {
    let mut seasons = seasons;
    loop {
        let mut lags = vec![1, 2];
        match seasons {
            [] => lags.extend([3, 4]),
            [only] => {
                lags.extend([*only, only + 1, only + 2]);
            }
            [short, .., long] => {
                for base in [*short, *long, short + long] {
                    lags.extend([base, base + 1, base + 2]);
                }
            }
        }
        lags.sort_unstable();
        lags.dedup();
        let reach = lags.last().copied().unwrap_or(0);
        // Rows for one shortest season, and three per coefficient.
        let rows = seasons.first().copied().unwrap_or(0).max(3 * lags.len());
        if n >= reach + rows || seasons.is_empty() {
            return lags;
        }
        seasons = &seasons[..seasons.len() - 1];
    }
}

/// Fits one regression per origin (ascending lengths of the past), sharing the sums.
pub(crate) fn fit(
    past: &Past,
    seasons: &[usize],
    origins: &[usize],
    scale: Scale,
) -> Vec<Result<Fitted, Unfit>> {
    let transform = match Transform::new(scale, &past.values) {
        Ok(transform) => transform,
        Err(unfit) => return origins.iter().map(|_| Err(unfit.clone())).collect(),
    };
    let values: Vec<f64> = past.values.iter().map(|value| transform.there(*value)).collect();
    let mut fits: Vec<Result<Fitted, Unfit>> = Vec::with_capacity(origins.len());
    // Origins with equal lags share one pass; usually that is all of them.
    let mut from = 0;
    while from < origins.len() {
        let lags = lags(seasons, origins[from]);
        let mut to = from + 1;
        while to < origins.len() && self::lags(seasons, origins[to]) == lags {
            to += 1;
        }
        fits.extend(
            one_pass(&values, &past.known, &lags, &origins[from..to], transform)
                .into_iter()
                .map(|fit| fit.map(Fitted::Ridge)),
        );
        from = to;
    }
    fits
}

fn one_pass(
    values: &[f64],
    known: &[bool],
    lags: &[usize],
    origins: &[usize],
    transform: Transform,
) -> Vec<Result<Ridge, Unfit>> {
    let reach = lags.last().copied().unwrap_or(1);
    let mut sums = Sums::new(lags.len());
    let mut row = vec![0.0; lags.len()];
    let mut next = reach;
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut seen = 0;
    origins
        .iter()
        .map(|origin| {
            let origin = (*origin).min(values.len());
            for value in &values[seen.min(origin)..origin] {
                low = low.min(*value);
                high = high.max(*value);
            }
            seen = seen.max(origin);
            while next < origin {
                if known[next] && lags.iter().all(|lag| known[next - lag]) {
                    for (cell, lag) in row.iter_mut().zip(lags) {
                        *cell = values[next - lag];
                    }
                    sums.add(&row, values[next]);
                }
                next += 1;
            }
            let (coefficients, intercept) = sums.solve(PENALTY)?;
            let margin = OVERSHOOT * (high - low);
            Ok(Ridge {
                lags: lags.to_vec(),
                coefficients,
                intercept,
                transform,
                low: low - margin,
                high: high + margin,
            })
        })
        .collect()
}

impl Ridge {
    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        let reach = self.lags.last().copied().unwrap_or(1);
        if values.len() < reach {
            return Err(Unfit::TooShort { needed: reach, found: values.len() });
        }
        let mut path: Vec<f64> = Vec::with_capacity(reach + horizon);
        path.extend(
            values[values.len() - reach..].iter().map(|value| self.transform.there(*value)),
        );
        for step in reach..reach + horizon {
            let sum: f64 = self
                .lags
                .iter()
                .zip(&self.coefficients)
                .map(|(lag, coefficient)| coefficient * path[step - lag])
                .sum();
            let next = (sum + self.intercept).clamp(self.low, self.high);
            if !next.is_finite() {
                return Err(Unfit::NotFinite);
            }
            path.push(next);
        }
        Ok(path[reach..].iter().map(|value| self.transform.back(*value)).collect())
    }
}

/// Sums of products of features and target, for normal equations.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    /// Features.
    n: usize,
    rows: f64,
    /// Sums of features, then of the target.
    first: Vec<f64>,
    /// Sums of products, lower triangle of the features and the target, row after row.
    second: Vec<f64>,
}

impl Sums {
    pub(crate) fn new(n: usize) -> Sums {
        Sums { n, rows: 0.0, first: vec![0.0; n + 1], second: vec![0.0; (n + 1) * (n + 2) / 2] }
    }

    /// Adds one row.
    pub(crate) fn add(&mut self, row: &[f64], target: f64) {
        self.rows += 1.0;
        let mut at = 0;
        for (index, value) in row.iter().chain([&target]).enumerate() {
            self.first[index] += value;
            for (sum, other) in
                self.second[at..=at + index].iter_mut().zip(row.iter().chain([&target]))
            {
                *sum += value * other;
            }
            at += index + 1;
        }
    }

    /// Coefficients and intercept; the penalty is relative to the variance of the target.
    pub(crate) fn solve(&self, penalty: f64) -> Result<(Vec<f64>, f64), Unfit> {
        let n = self.n;
        if self.rows < 3.0 * n as f64 {
            // Fewer rows than this fit noise.
            return Err(Unfit::FewRows { needed: 3 * n });
        }
        let mean: Vec<f64> = self.first.iter().map(|sum| sum / self.rows).collect();
        let covariance = |i: usize, j: usize| {
            let (i, j) = if i < j { (j, i) } else { (i, j) };
            self.second[i * (i + 1) / 2 + j] / self.rows - mean[i] * mean[j]
        };
        let variance = covariance(n, n);
        if variance.is_nan() || variance <= 0.0 {
            return Err(Unfit::Singular);
        }
        let matrix: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                (0..=i)
                    .map(|j| covariance(i, j) + if i == j { penalty * variance } else { 0.0 })
                    .collect()
            })
            .collect();
        let right: Vec<f64> = (0..n).map(|i| covariance(n, i)).collect();
        let coefficients = solve_positive(matrix, right).ok_or(Unfit::Singular)?;
        let explained: f64 = coefficients.iter().zip(&mean).map(|(c, m)| c * m).sum();
        let intercept = mean[n] - explained;
        if intercept.is_finite() && coefficients.iter().all(|c| c.is_finite()) {
            Ok((coefficients, intercept))
        } else {
            Err(Unfit::NotFinite)
        }
    }
}

/// Solves a positive definite system given by its lower triangle (Cholesky); `None` when it is
/// not positive definite.
pub(crate) fn solve_positive(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let products = matrix[i][..j].iter().zip(&matrix[j][..j]).map(|(a, b)| a * b);
            let sum = matrix[i][j] - products.sum::<f64>();
            if i == j {
                if sum.is_nan() || sum <= 0.0 {
                    return None;
                }
                matrix[i][i] = sum.sqrt();
            } else {
                matrix[i][j] = sum / matrix[j][j];
            }
        }
    }
    for i in 0..n {
        for k in 0..i {
            right[i] -= matrix[i][k] * right[k];
        }
        right[i] /= matrix[i][i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            right[i] -= matrix[k][i] * right[k];
        }
        right[i] /= matrix[i][i];
    }
    Some(right)
}
