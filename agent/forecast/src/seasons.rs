//! Which seasons a series has.
//!
//! **In:** values without gaps and the width of a step.
//! **Out:** season lengths in steps, ascending; none where nothing repeats.
//! **Not here:** modelling them (`members`).
//!
//! The calendar is tried first (a day, a week, an hour), because people live by it; then the
//! strongest peak of the autocorrelation, for machines that do not.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts are bounded by PAST_MAX"
)]

use jiff::SignedDuration;

use crate::members::naive::mean;

/// Autocorrelation at the season that is asked of the calendar's seasons.
///
/// Why 0.2: the controls without a cycle stay below 0.12 at one day, the noisiest trace with one
/// is at 0.4 (2026-11-21).
const CALENDAR_MIN: f64 = 0.2;

/// Autocorrelation that is asked of any other season; higher, because the best of many lags is
/// high by chance.
const OTHER_MIN: f64 = 0.4;

/// Autocorrelation at a week that is asked of what a day leaves unexplained.
const WEEK_MIN: f64 = 0.15;

/// Blocks that the search over all lags works on.
const BLOCKS_MAX: usize = 1_000;

/// Detects up to two seasons of `values` (finite), each seen at least twice.
pub fn detect(values: &[f64], step: SignedDuration) -> Vec<usize> {
    let steps_of = |hours: i64| -> Option<usize> {
        let step_ms = step.as_millis();
        let span_ms = i128::from(hours) * 3_600_000;
        if step_ms <= 0 || span_ms % step_ms != 0 {
            return None;
        }
        usize::try_from(span_ms / step_ms).ok().filter(|n| *n >= 4 && 2 * n <= values.len())
    };
    let flat = without_trend(values);
    let day = steps_of(24).filter(|day| autocorrelation(&flat, *day) >= CALENDAR_MIN);
    if let Some(day) = day {
        let week = steps_of(168).filter(|week| {
            let rest = without_period(&flat, day);
            autocorrelation(&rest, *week) >= WEEK_MIN
        });
        return [Some(day), week].into_iter().flatten().collect();
    }
    if let Some(week) = steps_of(168).filter(|week| autocorrelation(&flat, *week) >= OTHER_MIN) {
        return vec![week];
    }
    let hour = steps_of(1).filter(|hour| autocorrelation(&flat, *hour) >= OTHER_MIN);
    if let Some(hour) = hour.filter(|hour| is_peak(&flat, *hour)) {
        return vec![hour];
    }
    strongest(&flat).into_iter().collect()
}

/// Values minus a straight line through the means of both halves.
fn without_trend(values: &[f64]) -> Vec<f64> {
    let half = values.len() / 2;
    let (low, high) = (mean(&values[..half]), mean(&values[half..]));
    let slope = if half > 0 { (high - low) / half as f64 } else { 0.0 };
    let center = mean(values);
    let middle = (values.len() as f64 - 1.0) / 2.0;
    values
        .iter()
        .enumerate()
        .map(|(at, value)| value - center - slope * (at as f64 - middle))
        .collect()
}

/// Values minus the mean of their phase.
fn without_period(values: &[f64], season: usize) -> Vec<f64> {
    let means: Vec<f64> = (0..season)
        .map(|phase| mean(&values.iter().skip(phase).step_by(season).copied().collect::<Vec<_>>()))
        .collect();
    values.iter().enumerate().map(|(at, value)| value - means[at % season]).collect()
}

/// Correlation of values with those `lag` steps before, around zero; 0 for constants.
fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    if lag >= values.len() {
        return 0.0;
    }
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let products: f64 = values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum();
    // Scaled as if all values had a partner, so long lags are not at a disadvantage.
    let ratio = products / squares * values.len() as f64 / (values.len() - lag) as f64;
    if ratio.is_finite() { ratio } else { 0.0 }
}

/// Whether the autocorrelation at `lag` exceeds that at one half and three halves of it clearly.
fn is_peak(values: &[f64], lag: usize) -> bool {
    let here = autocorrelation(values, lag);
    let around =
        autocorrelation(values, lag / 2).max(autocorrelation(values, (lag + lag / 2).max(1)));
    here > around + 0.2
}

/// The lag with the highest peak of the autocorrelation, if that is high enough.
fn strongest(values: &[f64]) -> Option<usize> {
    let block = values.len().div_ceil(BLOCKS_MAX).max(1);
    let coarse: Vec<f64> = values.chunks_exact(block).map(mean).collect();
    let lags = coarse.len() / 3;
    let all: Vec<f64> = (0..lags).map(|lag| autocorrelation(&coarse, lag)).collect();
    // The peak of lag 0 is no season: start where it has gone down first.
    let from = all.iter().position(|r| *r < OTHER_MIN / 2.0)?;
    let (best, height) = all
        .iter()
        .enumerate()
        .skip(from.max(4))
        .map(|(lag, r)| (lag, *r))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    if height < OTHER_MIN {
        return None;
    }
    let span = ((best as f64 * 0.02) as usize + 1) * block;
    let around = (best * block).saturating_sub(span).max(4)..=(best * block + span);
    around
        .map(|lag| (lag, autocorrelation(values, lag)))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .map(|(lag, _)| lag)
        .filter(|lag| 2 * lag <= values.len())
}
