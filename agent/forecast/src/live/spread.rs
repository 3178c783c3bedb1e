//! How far a forecast is off: the scale of its errors now, and their shape.
//!
//! **In:** errors as they become known, with the scale that had been promised.
//! **Out:** a scale for the next one; quantiles of error / scale.
//! **Not here:** the middle of the forecast ([`super::regress`]).
//!
//! The shape is a forgetting histogram, so its quantiles are conformal over the
//! last week or so: a level that was exceeded too often moves outwards by itself
//! (Gibbs and Candès, *Adaptive Conformal Inference Under Distribution Shift*, 2021,
//! in the form of Vovk's online quantiles over a window). Errors are scaled before,
//! which makes intervals narrow at night and wide in a storm.

use serde::{Deserialize, Serialize};

/// Bins of the histogram.
///
/// Why 128 on an asinh scale: 0.04 scales wide in the middle, 0.25 at 3 scales,
/// and errors of 60 scales still have a bin.
const N_BINS: usize = 128;
const HALF_RANGE: f64 = 5.6;
const BEND: f64 = 0.5;

/// A forgetting histogram of scaled errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Shape {
    counts: Vec<f32>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "bin numbers from 0 to 127, clamped before"
)]
mod bins {
    use super::{BEND, HALF_RANGE, N_BINS};

    pub(super) fn of(z: f64) -> usize {
        let place = ((z / BEND).asinh() + HALF_RANGE) / (2.0 * HALF_RANGE) * N_BINS as f64;
        place.clamp(0.0, (N_BINS - 1) as f64) as usize
    }

    pub(super) fn edge(place: f64) -> f64 {
        (place / N_BINS as f64 * 2.0 * HALF_RANGE - HALF_RANGE).sinh() * BEND
    }

    pub(super) fn number(bin: usize) -> f64 {
        bin as f64
    }

    pub(super) fn narrow(value: f64) -> f32 {
        value as f32
    }
}

/// What an unknown shape weighs, in errors. Why 60: an hour of errors outvotes it.
const PRIOR_ERRORS: f64 = 60.0;

impl Shape {
    /// A Laplace distribution with mean absolute value 1, until errors say more.
    pub(crate) fn new() -> Shape {
        let mut counts = vec![0.0; N_BINS];
        for (bin, count) in counts.iter_mut().enumerate() {
            let (low, high) = (bins::edge(bins::number(bin)), bins::edge(bins::number(bin) + 1.0));
            let mass = |z: f64| if z < 0.0 { 0.5 * z.exp() } else { 1.0 - 0.5 * (-z).exp() };
            *count = bins::narrow((mass(high) - mass(low)) * PRIOR_ERRORS);
        }
        Shape { counts }
    }

    /// Takes in one scaled error; `keep` in `(0, 1)` is what remains of the past.
    pub(crate) fn learn(&mut self, z: f64, keep: f64) {
        if !z.is_finite() {
            return;
        }
        let keep = bins::narrow(keep);
        for count in &mut self.counts {
            *count *= keep;
        }
        if let Some(count) = self.counts.get_mut(bins::of(z)) {
            *count += 1.0;
        }
    }

    /// Quantiles of the scaled error, one per level; levels in `(0, 1)` that ascend.
    pub(crate) fn quantiles_at<const N: usize>(&self, levels: [f64; N]) -> [f64; N] {
        let total: f64 = self.counts.iter().map(|it| f64::from(*it)).sum();
        let mut found = [0.0; N];
        let mut bin = 0;
        let mut below = 0.0;
        for (level, quantile) in levels.iter().zip(&mut found) {
            let wanted = level * total;
            while bin + 1 < N_BINS && below + self.count(bin) < wanted {
                below += self.count(bin);
                bin += 1;
            }
            let inside = ((wanted - below) / self.count(bin).max(1e-9)).clamp(0.0, 1.0);
            *quantile = bins::edge(bins::number(bin) + inside);
        }
        found
    }

    fn count(&self, bin: usize) -> f64 {
        self.counts.get(bin).map_or(0.0, |it| f64::from(*it))
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.counts.len() == N_BINS && self.counts.iter().all(|it| it.is_finite() && 0.0 <= *it)
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.counts.len() * size_of::<f32>()
    }
}
