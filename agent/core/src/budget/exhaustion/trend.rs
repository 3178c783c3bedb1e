//! Whether a level grows or shrinks steadily, and where that leads.
//!
//! **In:** a [`Series`].
//! **Out:** a [`Trend`], when a straight line through logarithms tells nearly all of it.
//! **Not here:** steps ([`super::regime`]), and change without direction
//! ([`super::hindcast`]).

use super::hindcast::Pseudo;
use super::history::{Series, ratio};

/// Blocks that a line is drawn through. Why 12: wandering seldom looks as straight as that.
const BLOCKS: usize = 12;

/// Cells per block: spans of 6 hours, 1 and 3 days at five minutes.
const WIDTHS: [usize; 3] = [6, 24, 71];

/// The part of the variance that the line must tell.
const STRAIGHT: f64 = 0.9;

/// The least change over all blocks, as a logarithm.
const CHANGE_MIN: f64 = 0.25;

/// The chance that it goes on. Why 0.7: with it, simulated ramps and
/// simulated wanderings both keep their coverage (`tests/exhaustion`).
const GOES_ON: f64 = 0.7;

/// A level that changes by an even factor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trend {
    /// The log of the level now.
    level: f64,
    /// The change of it per second.
    slope: f64,
    /// The standard error of the slope, per second.
    slope_error: f64,
    /// The variance of the level now.
    variance: f64,
}

impl Trend {
    /// The straightest, when one is.
    #[expect(clippy::cast_precision_loss, reason = "a dozen")]
    pub(super) fn of(series: &Series, pseudo: Pseudo) -> Option<Trend> {
        let mut best: Option<(f64, Trend)> = None;
        for width in WIDTHS {
            let Some(from) = series.len().checked_sub(width * BLOCKS) else { continue };
            let logs: Vec<f64> = (0..BLOCKS)
                .map(|nth| series.sum(from + nth * width, from + (nth + 1) * width))
                .filter(|sum| 0.0 < sum.1 && (!pseudo.counts || 4.0 < sum.0))
                .map(|sum| pseudo.log(sum))
                .collect();
            if logs.len() < BLOCKS {
                continue;
            }
            let n = BLOCKS as f64;
            let mean = logs.iter().sum::<f64>() / n;
            let middle = (n - 1.0) / 2.0;
            let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
            for (nth, log) in logs.iter().enumerate() {
                let x = nth as f64 - middle;
                xx += x * x;
                xy += x * (log - mean);
                yy += (log - mean).powi(2);
            }
            let slope = xy / xx;
            let straight = ratio(xy * xy, xx * yy);
            if straight < STRAIGHT || (slope * n).abs() < CHANGE_MIN {
                continue;
            }
            let rest = (yy - slope * xy).max(0.0) / (n - 2.0) + 1e-4;
            let seconds = width as f64 * series.width;
            let trend = Trend {
                level: mean + slope * n / 2.0,
                slope: slope / seconds,
                slope_error: (rest / xx).sqrt() / seconds,
                variance: rest * (1.0 / n + n * n / 4.0 / xx),
            };
            if best.is_none_or(|it| it.0 < straight) {
                best = Some((straight, trend));
            }
        }
        best.map(|it| it.1)
    }

    /// How likely it goes on, with the log of the mean level over a time and its variance.
    pub(super) fn over(&self, ahead: f64) -> (f64, f64, f64) {
        // The mean of an exponential from 0 to `change` is (e^change - 1) / change.
        let change = (self.slope * ahead).clamp(-20.0, 20.0);
        let factor = if change.abs() < 1e-6 { 1.0 } else { change.exp_m1() / change };
        let variance = self.variance + (self.slope_error * ahead / 2.0).powi(2) + 0.002;
        (GOES_ON, self.level + factor.ln(), variance)
    }
}
