//! How good a forecast was.
//!
//! **In:** actual values, forecasts and the past they were made from, all of one series.
//! **Out:** the measures of the M4 competition and of this project's benchmarks.
//! **Not here:** choosing members (they use their own errors, [`crate::ensemble`]).
//!
//! Sources: Makridakis, Spiliotis, Assimakopoulos (2020), *The M4 Competition*; the organisers'
//! `M4-methods` repository for Naive2 and its seasonality test.

#![expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]

use crate::members::naive::mean;

/// Symmetric mean absolute percentage error, `0..=200`; a step where both are 0 counts as 0.
pub fn smape(actual: &[f64], forecast: &[f64]) -> f64 {
    mean_of(actual, forecast, |a, f| {
        let size = a.abs() + f.abs();
        if size > 0.0 { 200.0 * (a - f).abs() / size } else { 0.0 }
    })
}

/// Mean absolute error divided by [`seasonal_change`]; 1.0 is as good as repeating the last
/// season was in the past. Infinite or NaN where that past was exactly repetitive.
pub fn mase(actual: &[f64], forecast: &[f64], past: &[f64], season: usize) -> f64 {
    mean_of(actual, forecast, |a, f| (a - f).abs()) / seasonal_change(past, season)
}

/// Mean absolute difference between values one `season` apart; NaN for shorter pasts.
pub fn seasonal_change(past: &[f64], season: usize) -> f64 {
    match past.get(season..) {
        Some(later) if !later.is_empty() => mean_of(later, past, |a, b| (a - b).abs()),
        Some(_) | None => f64::NAN,
    }
}

/// Overall weighted average: mean of both measures relative to Naive2's, each averaged over all
/// series before dividing. 1.0 is Naive2; the M4 winner had 0.440 on the hourly series.
pub fn owa(smape: f64, mase: f64, naive2_smape: f64, naive2_mase: f64) -> f64 {
    f64::midpoint(smape / naive2_smape, mase / naive2_mase)
}

/// Mean scaled interval score of a central band of coverage `level`: width plus
/// `2 / (1 - level)` times every miss, divided by [`seasonal_change`].
pub fn msis(
    actual: &[f64],
    lo: &[f64],
    hi: &[f64],
    level: f64,
    past: &[f64],
    season: usize,
) -> f64 {
    let penalty = 2.0 / (1.0 - level);
    let scores: Vec<f64> = actual
        .iter()
        .zip(lo.iter().zip(hi))
        .map(|(a, (lo, hi))| hi - lo + penalty * ((lo - a).max(0.0) + (a - hi).max(0.0)))
        .collect();
    mean(&scores) / seasonal_change(past, season)
}

/// Share of the values inside the band, ends included, `0..=1`; NaN without values.
pub fn coverage(actual: &[f64], lo: &[f64], hi: &[f64]) -> f64 {
    let inside =
        actual.iter().zip(lo.iter().zip(hi)).filter(|(a, (lo, hi))| *lo <= *a && *a <= *hi);
    inside.count() as f64 / actual.len() as f64
}

/// Weighted absolute percentage error: sum of absolute errors over sum of absolute values, `0..`.
/// Steps whose actual value is NaN are left out; NaN when nothing is left or all of it is 0.
pub fn wape(actual: &[f64], forecast: &[f64]) -> f64 {
    let known = || actual.iter().zip(forecast).filter(|(a, _)| a.is_finite());
    let missed: f64 = known().map(|(a, f)| (a - f).abs()).sum();
    let size: f64 = known().map(|(a, _)| a.abs()).sum();
    if size > 0.0 { missed / size } else { f64::NAN }
}

/// Mean pinball loss of `forecast` as the `quantile` (in `(0, 1)`) of `actual`, in its unit.
pub fn pinball(actual: &[f64], forecast: &[f64], quantile: f64) -> f64 {
    mean_of(
        actual,
        forecast,
        |a, f| {
            if a >= f { quantile * (a - f) } else { (1.0 - quantile) * (f - a) }
        },
    )
}

/// Naive2 of the M4 competition: the last value, seasonally adjusted where the series passes a
/// 90% test for seasonality, with multiplicative indices of a classical decomposition.
///
/// Returns `horizon` values; repeats 0 for an empty past.
pub fn naive2(past: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    let n = past.len();
    let last = past.last().copied().unwrap_or(0.0);
    match seasonal_indices(past, season) {
        Some(indices) => {
            let level = last / indices[(n - 1) % season];
            (0..horizon).map(|step| level * indices[(n + step) % season]).collect()
        }
        None => vec![last; horizon],
    }
}

/// Repeats the last period; the whole past where that is shorter.
pub fn seasonal_naive(past: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    let period = &past[past.len().saturating_sub(season.max(1))..];
    period.iter().cycle().take(horizon).copied().collect()
}

/// Multiplicative indices by phase (of the past's first value), mean 1; `None` when the past is
/// too short, fails the test, or has a moving average or index of 0.
fn seasonal_indices(past: &[f64], season: usize) -> Option<Vec<f64>> {
    let n = past.len();
    // As the organisers' code: three periods, else no season is assumed.
    if season < 2 || n < 3 * season || !is_seasonal(past, season) {
        return None;
    }
    let half = season / 2;
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); season];
    for at in half..n - half {
        let average = if season.is_multiple_of(2) {
            let ends = f64::midpoint(past[at - half], past[at + half]);
            (past[at - half + 1..at + half].iter().sum::<f64>() + ends) / season as f64
        } else {
            mean(&past[at - half..=at + half])
        };
        ratios[at % season].push(past[at] / average);
    }
    let raw: Vec<f64> = ratios.iter().map(|ratios| mean(ratios)).collect();
    let center = mean(&raw);
    let indices: Vec<f64> = raw.iter().map(|index| index / center).collect();
    indices.iter().all(|index| index.is_normal()).then_some(indices)
}

/// Whether the autocorrelation at `season` exceeds its 90% limit under the autocorrelations at
/// shorter lags (Bartlett).
fn is_seasonal(past: &[f64], season: usize) -> bool {
    let center = mean(past);
    let squares: f64 = past.iter().map(|value| (value - center).powi(2)).sum();
    let at = |lag: usize| {
        let products = past.iter().zip(&past[lag..]).map(|(a, b)| (a - center) * (b - center));
        products.sum::<f64>() / squares
    };
    let shorter: f64 = (1..season).map(|lag| at(lag).powi(2)).sum();
    let limit = 1.645 * ((1.0 + 2.0 * shorter) / past.len() as f64).sqrt();
    at(season).abs() > limit
}

fn mean_of(a: &[f64], b: &[f64], measure: impl Fn(f64, f64) -> f64) -> f64 {
    let each: Vec<f64> = a.iter().zip(b).map(|(a, b)| measure(*a, *b)).collect();
    if each.is_empty() { f64::NAN } else { mean(&each) }
}
