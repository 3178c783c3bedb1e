//! Has the series looked like this before?
//!
//! **In:** the last rows of the series.
//! **Out:** how far the newest stretch is from the stretches it resembles most.
//! **Not here:** how far is too far ([`super::tail`]).
//!
//! The distance to the nearest neighbours among earlier stretches, as in KNN-CAD (Burnaev and
//! Ishimtsev, *Conformalized density- and distance-based anomaly detection in time-series data*,
//! 2016) and in discords of the matrix profile; with absolute differences instead of a
//! Mahalanobis distance (no matrix to invert), at two lengths: a few rows, and a third of a day.

use super::rows::{Rows, make_room, mean};
use serde::{Deserialize, Serialize};

/// Earlier stretches that are compared.
///
/// Why 700: with both lengths 20,000 subtractions per row, under 10 us (bench `nab`).
const STRETCHES: usize = 700;

/// Rows in a short stretch, and the distance between starts of earlier ones.
///
/// Why 16 and 3: an hour and a quarter at 5 min; 700 of them reach back a week.
pub(super) const SHORT_ROWS: usize = 16;
const SHORT_STRIDE: usize = 3;

/// Rows between a short stretch and the earlier ones it is compared with.
///
/// Why 60: a stretch always resembles itself an hour ago, so an anomaly would excuse itself.
const SHORT_APART: usize = 60;

/// Neighbours that count, for short and long stretches.
///
/// Why not 1: what has happened once before is still news; what has happened five times is not.
const SHORT_NEIGHBOURS: usize = 5;
const LONG_NEIGHBOURS: usize = 3;

/// A long stretch is 12 means of 8 rows: 8 hours at 5 min, enough to know the time of the day.
const LONG_MEANS: usize = 12;
const LONG_MEAN_ROWS: usize = 8;

/// Rows in a long stretch.
pub(super) const LONG_ROWS: usize = LONG_MEANS * LONG_MEAN_ROWS;

/// Rows between the means that are remembered; half of [`LONG_MEAN_ROWS`], so that a stretch is
/// every second of them.
const LONG_STRIDE: usize = LONG_MEAN_ROWS / 2;

/// Remembered means between a long stretch and the earlier ones: 100 rows, its own length.
const LONG_APART: usize = 25;

/// Remembered means: those that start a stretch, and those that a stretch or the distance needs.
const LONG_KEPT: usize = STRETCHES + LONG_APART + 2 * LONG_MEANS;

/// Earlier stretches needed before a distance means anything.
const STRETCHES_MIN: usize = 50;

/// The sum of the distances to the nearest [`SHORT_NEIGHBOURS`] earlier stretches of
/// [`SHORT_ROWS`], in the unit of the series; `None` while there are too few.
pub(super) fn short_distance(rows: &Rows) -> Option<f64> {
    let now: &[f32; SHORT_ROWS] = rows.newest(SHORT_ROWS)?.try_into().ok()?;
    let values = rows.values();
    let earlier = values.get(..values.len().checked_sub(SHORT_APART)?)?;
    let mut nearest = Nearest::<SHORT_NEIGHBOURS>::new();
    let mut end = earlier.len();
    for _ in 0..STRETCHES {
        let Some(then) = end.checked_sub(SHORT_ROWS).and_then(|from| earlier.get(from..end)) else {
            break;
        };
        nearest.offer(now.iter().zip(then).map(|(a, b)| (a - b).abs()).sum());
        end = end.saturating_sub(SHORT_STRIDE);
    }
    nearest.sum()
}

/// The means of which long stretches are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LongPattern {
    /// Means of [`LONG_MEAN_ROWS`] rows, one every [`LONG_STRIDE`] rows, oldest first.
    means: Vec<f32>,
    rows_since: usize,
}

impl LongPattern {
    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.means.capacity() * size_of::<f32>()
    }

    /// Call once per row, after `rows` has it.
    pub(super) fn learn(&mut self, rows: &Rows) {
        self.rows_since += 1;
        if self.rows_since < LONG_STRIDE {
            return;
        }
        self.rows_since = 0;
        if let Some(newest) = rows.newest(LONG_MEAN_ROWS) {
            if self.means.len() >= LONG_KEPT {
                self.means.drain(..self.means.len() + 1 - LONG_KEPT);
            }
            make_room(&mut self.means);
            self.means.push(mean(newest) as f32);
        }
    }

    /// The sum of the distances to the nearest [`LONG_NEIGHBOURS`] earlier long stretches, per
    /// mean, in the unit of the series; `None` while there are too few.
    pub(super) fn distance(&self, rows: &Rows) -> Option<f64> {
        let newest = rows.newest(LONG_ROWS)?;
        let mut now = [0.0_f32; LONG_MEANS];
        for (slot, chunk) in now.iter_mut().zip(newest.chunks(LONG_MEAN_ROWS)) {
            *slot = mean(chunk) as f32;
        }
        let earlier = self.means.get(..self.means.len().checked_sub(LONG_APART)?)?;
        let mut nearest = Nearest::<LONG_NEIGHBOURS>::new();
        for then in earlier.windows(2 * LONG_MEANS - 1) {
            let then = then.iter().step_by(2);
            nearest.offer(now.iter().zip(then).map(|(a, b)| (a - b).abs()).sum());
        }
        nearest.sum()
    }
}

/// The smallest `K` distances offered.
struct Nearest<const K: usize> {
    distances: [f32; K],
    offered: usize,
}

impl<const K: usize> Nearest<K> {
    fn new() -> Nearest<K> {
        Nearest { distances: [f32::INFINITY; K], offered: 0 }
    }

    /// A distance of this or more changes nothing.
    fn farthest(&self) -> f32 {
        self.distances.last().copied().unwrap_or(0.0)
    }

    fn offer(&mut self, distance: f32) {
        self.offered += 1;
        if distance >= self.farthest() {
            return;
        }
        let mut distance = distance;
        for kept in &mut self.distances {
            if distance < *kept {
                std::mem::swap(kept, &mut distance);
            }
        }
    }

    fn sum(&self) -> Option<f64> {
        (self.offered >= STRETCHES_MIN)
            .then(|| self.distances.iter().map(|&distance| f64::from(distance)).sum())
    }
}
