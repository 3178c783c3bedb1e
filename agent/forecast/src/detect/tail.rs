//! How rare is a number, judged by the largest numbers of the same kind seen before?
//!
//! **In:** one non-negative statistic per row (a distance, a difference of means, …).
//! **Out:** its *surprise*, `-log10` of the estimated probability of a number at least as large.
//! **Not here:** which statistics are worth watching.
//!
//! Surprise makes unlike statistics of unlike series comparable: 3 means "one row in a thousand",
//! whatever the unit, the season and the noise. Beyond the largest numbers seen, the tail is
//! extrapolated by a generalised Pareto distribution over a high quantile, as in SPOT (Siffer et
//! al., *Anomaly Detection in Streams with Extreme Value Theory*, KDD 2017); its parameters come
//! from the mean and variance of the excesses (method of moments, Hosking and Wallis 1987) instead
//! of SPOT's maximum likelihood, because they are two sums and cannot fail to converge.

use super::rows::make_room;
use serde::{Deserialize, Serialize};
use std::f64::consts::LOG10_E;

/// Rows that are remembered.
///
/// Why 5,000: 17 days at 5 min, so that two weekends are in it. On NAB, 3,000 and 8,000 lose about
/// 2 points of the standard score (2026-11-21, bench `nab`, mean over thresholds near the best).
pub(super) const MEMORY_ROWS: u32 = 5_000;

/// Share of the remembered numbers that count as the tail.
///
/// Why 0.02: 100 numbers of [`MEMORY_ROWS`] are enough for two moments, and few enough to be
/// all from the tail (SPOT's authors use 0.02 as well).
const TAIL_RATIO: f64 = 0.02;

/// The fewest numbers a tail is fitted to.
const TAIL_MIN: usize = 5;

/// The most numbers kept: those of the tail, and as many again that take the place of the ones
/// that grow too old.
const KEPT_MAX: usize = 200;

/// Rows before anything is said.
///
/// Why 100: a tail of 5 numbers ([`TAIL_MIN`]) is then the twentieth part of what was seen.
pub(super) const WARM_UP_ROWS: u32 = 100;

/// Largest shape parameter of the tail.
///
/// Why 0.2: the shape of heavy tails cannot be told from 100 numbers, and the estimate of the
/// method of moments cannot pass 0.5; 0.2 keeps one extreme value from hiding the next ones. On
/// NAB, 0.1 to 0.4 score the same (2026-11-21, bench `nab`).
const SHAPE_MAX: f64 = 0.2;

/// The most surprising anything gets; keeps sums finite.
pub(super) const SURPRISE_MAX: f64 = 300.0;

/// One number that was large when it came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    number: f32,
    row: u32,
}

/// The largest numbers of one statistic among the last [`MEMORY_ROWS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// Largest first.
    kept: Vec<Kept>,
    rows: u32,
}

impl Tail {
    /// `-log10` of the probability of a number of at least `number`; 0 for anything ordinary.
    ///
    /// `grain` is a difference, in the unit of `number`, that nobody would call a difference: it
    /// keeps a statistic that is nearly always the same from making every ripple a surprise.
    pub(super) fn surprise(&self, number: f64, grain: f64) -> f64 {
        if self.rows < WARM_UP_ROWS || !number.is_finite() {
            return 0.0;
        }
        let remembered = f64::from(self.rows.min(MEMORY_ROWS));
        let tail = ((remembered * TAIL_RATIO).ceil() as usize).max(TAIL_MIN);
        // The first number that no longer belongs to the tail is where the tail begins.
        let Some(edge) = self.kept.get(tail).map(|kept| f64::from(kept.number)) else {
            return 0.0;
        };
        if number <= edge {
            let at_least = self.kept.partition_point(|kept| f64::from(kept.number) >= number);
            if at_least == self.kept.len() {
                return 0.0;
            }
            return -((at_least as f64 + 1.0) / (remembered + 1.0)).log10();
        }
        let excesses = || self.kept.iter().take(tail).map(|kept| f64::from(kept.number) - edge);
        let count = tail as f64;
        let mean = excesses().sum::<f64>() / count;
        let variance = excesses().map(|e| (e - mean) * (e - mean)).sum::<f64>() / count;
        let at_edge = -((count + 1.0) / (remembered + 1.0)).log10();
        let mean = mean.max(grain).max(edge.abs() * 1e-9).max(f64::MIN_POSITIVE);
        let shape = if variance > 0.0 { 0.5 * (1.0 - mean * mean / variance) } else { 0.0 };
        let shape = shape.clamp(1e-6, SHAPE_MAX);
        let scale = mean * (1.0 - shape);
        let beyond = (shape * (number - edge) / scale).ln_1p() / shape * LOG10_E;
        (at_edge + beyond).min(SURPRISE_MAX)
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.kept.capacity() * size_of::<Kept>()
    }

    /// Remembers the number of one more row.
    pub(super) fn learn(&mut self, number: f64) {
        self.rows = self.rows.saturating_add(1);
        if !number.is_finite() {
            return;
        }
        let row = self.rows;
        let number = number.clamp(-f64::from(f32::MAX), f64::from(f32::MAX)) as f32;
        let full = self.kept.len() >= KEPT_MAX;
        if full && self.kept.last().is_some_and(|least| number <= least.number) {
            return;
        }
        let oldest = row.saturating_sub(MEMORY_ROWS);
        self.kept.retain(|kept| kept.row > oldest);
        let place = self.kept.partition_point(|kept| kept.number >= number);
        self.kept.truncate(KEPT_MAX - 1);
        make_room(&mut self.kept);
        self.kept.insert(place.min(self.kept.len()), Kept { number, row });
    }
}
