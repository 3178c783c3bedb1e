//! The last rows of a series: their values in order, and sorted.
//!
//! **In:** finite values.
//! **Out:** the newest values as a slice, their median and spread.
//! **Not here:** time.

use serde::{Deserialize, Serialize};

/// Values that are remembered.
///
/// Why 3,072: ten days at 5 min, so that every weekday and a weekend are among them; 12 KiB.
pub(super) const ROWS: usize = 3_072;

/// Values kept beyond [`ROWS`] before the oldest are dropped together.
///
/// Why 256: dropping moves 12 KiB; once in 256 rows nobody notices.
const SLACK: usize = 256;

/// Values needed before the median means anything.
pub(super) const MEDIAN_ROWS_MIN: usize = 20;

/// The last [`ROWS`] values, relative to an origin.
///
/// Relative, so that `f32` is enough for a counter near 1e9 that moves by 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rows {
    origin: f64,
    /// Oldest first.
    values: Vec<f32>,
    /// The last [`ROWS`] of `values`, ascending.
    sorted: Vec<f32>,
}

impl Rows {
    /// Nothing yet; values will be kept relative to `origin`.
    pub(super) fn new(origin: f64) -> Rows {
        Rows { origin, ..Rows::default() }
    }

    /// The value that [`Rows::push`] made relative.
    pub(super) fn absolute(&self, value: f64) -> f64 {
        value + self.origin
    }

    /// Remembers a finite value and forgets one that is too old. Returns it as it is remembered,
    /// relative to the origin; magnitudes above 1e36 are cut there, so that sums of differences
    /// stay finite.
    pub(super) fn push(&mut self, value: f64) -> f32 {
        let value = (value - self.origin).clamp(-1e36, 1e36) as f32;
        if self.values.len() >= ROWS {
            let old = self.values.len().checked_sub(ROWS).and_then(|at| self.values.get(at));
            if let Some(&old) = old {
                let place = self.sorted.partition_point(|&other| other < old);
                if place < self.sorted.len() {
                    self.sorted.remove(place);
                }
            }
        }
        if self.values.len() >= ROWS + SLACK {
            self.values.drain(..self.values.len() - ROWS);
        }
        make_room(&mut self.values);
        self.values.push(value);
        make_room(&mut self.sorted);
        let place = self.sorted.partition_point(|&other| other < value);
        self.sorted.insert(place, value);
        value
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        (self.values.capacity() + self.sorted.capacity()) * size_of::<f32>()
    }

    /// All remembered values, oldest first.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The `count` newest values, oldest first; `None` while there are fewer.
    pub(super) fn newest(&self, count: usize) -> Option<&[f32]> {
        self.values.len().checked_sub(count).and_then(|from| self.values.get(from..))
    }

    /// The quantile `ratio` in [0, 1]; `None` with fewer than [`MEDIAN_ROWS_MIN`] values.
    pub(super) fn quantile(&self, ratio: f64) -> Option<f64> {
        if self.sorted.len() < MEDIAN_ROWS_MIN {
            return None;
        }
        let place = ((self.sorted.len() - 1) as f64 * ratio).round() as usize;
        self.sorted.get(place).map(|&value| f64::from(value))
    }
}

/// Makes room for one more without doubling: a state that grew to its bound wastes nothing.
pub(super) fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(64);
    }
}

/// The mean; 0 of nothing.
pub(super) fn mean(values: &[f32]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}
