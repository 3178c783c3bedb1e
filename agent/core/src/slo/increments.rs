//! From counters as they are read to what each slot counted.
//!
//! **In:** series of a query on a grid of instants, with gaps.
//! **Out:** one [`SlotReading`] per step of the grid.
//! **Not here:** asking a metrics backend (the shell's), slices of time ([`super::slices`]).

use jiff::{SignedDuration, Timestamp};

use super::{Counts, SlotReading};
use crate::documents::Indicator;

/// Most series of one query. Why 10,000: one per instance of what one daemon serves; beyond
/// that the query must add up, and the reading says so by being missing.
pub const SERIES_MAX: usize = 10_000;

/// The largest number of events that is read. Why 2^53: beyond it a counter no longer counts
/// single events, and sums could leave what a number can hold.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

fn is_count(it: f64) -> bool {
    (0.0..=COUNT_MAX).contains(&it)
}

/// Instants at which series are read: `n` of them, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// The first; a whole multiple of `step` since the epoch.
    pub first: Timestamp,
    /// From one to the next.
    pub step: SignedDuration,
    /// How many.
    pub n: usize,
}

impl Grid {
    /// The nth instant.
    pub fn at(&self, nth: usize) -> Timestamp {
        let seconds = self.step.as_secs().saturating_mul(i64::try_from(nth).unwrap_or(i64::MAX));
        self.first.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }
}

/// The values of one series on a grid; not finite is not there.
pub type SeriesOnGrid = Vec<Option<f64>>;

/// What one query counted: per step that ends at each instant but the first, and over gaps.
#[derive(Clone, Debug, Default, PartialEq)]
struct Increments {
    steps: Vec<Option<f64>>,
    carried: Vec<f64>,
}

/// What each step of the grid counted, from the answers to the indicator's queries in the
/// order of [`Indicator::queries`]. The first instant of the grid is only a beginning.
pub fn slot_readings(
    indicator: &Indicator,
    grid: Grid,
    answers: &[Vec<SeriesOnGrid>],
) -> Vec<SlotReading> {
    let series = |nth: usize| answers.get(nth).map_or(&[][..], Vec::as_slice);
    let seconds = grid.step.as_secs_f64();
    match indicator {
        Indicator::GoodOfTotal { is_counter, .. } | Indicator::BadOfTotal { is_counter, .. } => {
            let of = |nth: usize| {
                if *is_counter {
                    counted(series(nth), grid.n)
                } else {
                    rated(series(nth), grid.n, seconds)
                }
            };
            let (part, total) = (of(0), of(1));
            let part_is_good = matches!(indicator, Indicator::GoodOfTotal { .. });
            (1..grid.n)
                .map(|k| SlotReading {
                    at: grid.at(k),
                    counts: paired(step(&part, k), step(&total, k), part_is_good),
                    carried: carried(&part, &total, k, part_is_good),
                })
                .collect()
        }
        Indicator::Raw { is_success, .. } => samples(grid, series(0), |ratio| {
            let bad = if *is_success { 1.0 - ratio } else { ratio };
            bad.clamp(0.0, 1.0)
        }),
        Indicator::Threshold { op, value, .. } => {
            samples(grid, series(0), |measured| f64::from(u8::from(!op.holds(measured, *value))))
        }
    }
}

fn step(of: &Increments, k: usize) -> Option<f64> {
    of.steps.get(k).copied().flatten()
}

/// Good and bad of one step. Good beyond all is no good event: whoever counts both apart may
/// be a scrape ahead with one of them, so it is taken as all.
///
/// A step without the total was not observed. With it, and without the part: bad events that
/// no series counts yet are none (a counter of errors often begins with the first); good
/// events that no series counts may be none or not be read, so nothing is known.
fn paired(part: Option<f64>, total: Option<f64>, part_is_good: bool) -> Option<Counts> {
    let total = total?.max(0.0);
    let part = if part_is_good { part? } else { part.unwrap_or_default() };
    let part = part.clamp(0.0, total);
    let bad = if part_is_good { total - part } else { part };
    Some(Counts { bad, total })
}

fn carried(part: &Increments, total: &Increments, k: usize, part_is_good: bool) -> Option<Counts> {
    let of = |it: &Increments| it.carried.get(k).copied().unwrap_or_default();
    let total = of(total);
    (0.0 < total).then(|| paired(Some(of(part)), Some(total), part_is_good)).flatten()
}

/// Counters: increments per series, corrected for resets, added up.
fn counted(series: &[SeriesOnGrid], n: usize) -> Increments {
    let mut sums = Increments { steps: vec![None; n], carried: vec![0.0; n] };
    if SERIES_MAX < series.len() {
        return sums;
    }
    for values in series {
        let mut last: Option<(usize, f64)> = None;
        for (k, value) in values.iter().copied().enumerate().take(n) {
            let Some(value) = value.filter(|it| is_count(*it)) else { continue };
            if let Some((before_k, before)) = last {
                // A counter that is lower than before began anew from zero.
                let increment = if value < before { value } else { value - before };
                if before_k + 1 == k {
                    if let Some(step) = sums.steps.get_mut(k) {
                        *step = Some(step.unwrap_or_default() + increment);
                    }
                } else if let Some(carried) = sums.carried.get_mut(k) {
                    *carried += increment;
                }
            }
            last = Some((k, value));
        }
    }
    sums
}

/// Rates per second: what they amount to over a step, added up over series.
fn rated(series: &[SeriesOnGrid], n: usize, seconds: f64) -> Increments {
    let mut sums = Increments { steps: vec![None; n], carried: vec![0.0; n] };
    if SERIES_MAX < series.len() {
        return sums;
    }
    for values in series {
        for (step, value) in sums.steps.iter_mut().zip(values) {
            if let Some(value) = value.filter(|it| is_count(*it)) {
                *step = Some(step.unwrap_or_default() + value * seconds);
            }
        }
    }
    sums
}

/// Samples: each is one event, bad by what `badness` says.
fn samples(grid: Grid, series: &[SeriesOnGrid], badness: impl Fn(f64) -> f64) -> Vec<SlotReading> {
    (1..grid.n)
        .map(|k| {
            let mut counts: Option<Counts> = None;
            for values in series.iter().take(SERIES_MAX) {
                let value = values.get(k).copied().flatten().filter(|it| it.is_finite());
                if let Some(value) = value {
                    let one = Counts { bad: badness(value), total: 1.0 };
                    counts = Some(counts.unwrap_or_default().plus(one));
                }
            }
            SlotReading { at: grid.at(k), counts, carried: None }
        })
        .collect()
}
