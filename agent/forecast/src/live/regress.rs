//! Regression that learns one row at a time and forgets.
//!
//! **In:** rows of features with the value that came, each with a weight.
//! **Out:** weights of the features; solved now and then, not at every row.
//! **Not here:** what the features are ([`super::features`]).
//!
//! Sums of products instead of recursive least squares: they stay positive
//! definite in `f32` whatever comes, forget without blowing up when nothing new
//! is learned, and cost 120 multiplications per row.

use serde::{Deserialize, Serialize};

/// Exponentially forgetting ridge regression towards a prior.
///
/// The first features may be a regression of their own, the short one: their sums are
/// the first of all sums, so it costs nothing but its weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Regression {
    n: usize,
    n_short: usize,
    /// Lower triangle of the sums of products, row by row; sums towards the values;
    /// the weights; those of the short one.
    cells: Vec<f32>,
}

/// Most features. Why 15: what the middle of a forecast has.
const N_MAX: usize = 15;

const fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}

impl Regression {
    /// One that answers `prior` until it has learned otherwise; its first `n_short`
    /// features are the short one. At most [`N_MAX`] features are used.
    pub(crate) fn new(prior: &[f32], n_short: usize) -> Regression {
        let prior = prior.get(..N_MAX).unwrap_or(prior);
        let n = prior.len();
        let mut cells = vec![0.0; triangle(n) + n];
        cells.reserve_exact(n + n_short);
        cells.extend_from_slice(prior);
        cells.extend(prior.iter().take(n_short));
        Regression { n, n_short: n_short.min(n), cells }
    }

    /// The value expected for `row`.
    pub(crate) fn expect(&self, row: &[f64]) -> f64 {
        dot(self.cells.get(triangle(self.n) + self.n..).unwrap_or_default(), self.n, row)
    }

    /// The value that the short one expects for the start of `row`.
    pub(crate) fn expect_short(&self, row: &[f64]) -> f64 {
        dot(self.cells.get(triangle(self.n) + 2 * self.n..).unwrap_or_default(), self.n_short, row)
    }

    /// Learns one row; `keep` in `(0, 1)` is what remains of the past.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "sums of about four days of rows need no more than seven digits"
    )]
    pub(crate) fn learn(&mut self, row: &[f64], value: f64, weight: f64, keep: f64) {
        let keep = keep as f32;
        let mut narrow = [0.0_f32; N_MAX];
        for (to, from) in narrow.iter_mut().zip(row) {
            *to = *from as f32;
        }
        let mut rest = self.cells.as_mut_slice();
        for (i, left) in row.iter().take(self.n).enumerate() {
            let scaled = (left * weight) as f32;
            let Some((products, after)) = rest.split_at_mut_checked(i + 1) else { return };
            for (product, right) in products.iter_mut().zip(&narrow) {
                *product = *product * keep + scaled * *right;
            }
            rest = after;
        }
        for (it, sum) in row.iter().take(self.n).zip(rest) {
            *sum = *sum * keep + (it * weight * value) as f32;
        }
    }

    /// Finds the weights: Cholesky of `products + ridge`, towards `prior`. Begins anew
    /// should anything not be finite.
    #[expect(clippy::cast_possible_truncation, reason = "kept as f32 to save memory")]
    pub(crate) fn solve(&mut self, prior: &[f32], ridge: f64) {
        let (n, n_short) = (self.n.min(prior.len()).min(N_MAX), self.n_short);
        let at = |i: usize, j: usize| triangle(i) + j;
        let mut factor = [0.0; triangle(N_MAX)];
        for (to, from) in factor.iter_mut().zip(self.cells.iter().take(triangle(n))) {
            *to = f64::from(*from);
        }
        let mut solution = [0.0; N_MAX];
        let towards = self.cells.iter().skip(triangle(n)).take(n);
        for ((to, sum), prior) in solution.iter_mut().zip(towards).zip(prior) {
            *to = f64::from(*sum) + ridge * f64::from(*prior);
        }
        for i in 0..n {
            // A feature that hardly varies gets a ridge of its own size.
            factor[at(i, i)] = factor[at(i, i)] * (1.0 + 1e-4) + ridge;
            for j in 0..=i {
                let mut sum = factor[at(i, j)];
                for k in 0..j {
                    sum -= factor[at(i, k)] * factor[at(j, k)];
                }
                factor[at(i, j)] =
                    if i == j { sum.max(1e-12).sqrt() } else { sum / factor[at(j, j)] };
            }
        }
        for i in 0..n {
            for k in 0..i {
                solution[i] -= factor[at(i, k)] * solution[k];
            }
            solution[i] /= factor[at(i, i)];
        }
        // Up to here the short one is the start of the whole.
        let backwards = |n: usize| {
            let mut solution = solution;
            for i in (0..n).rev() {
                for k in i + 1..n {
                    solution[i] -= factor[at(k, i)] * solution[k];
                }
                solution[i] /= factor[at(i, i)];
            }
            solution
        };
        let (whole, short) = (backwards(n), backwards(n_short));
        let found = whole.iter().take(n).chain(short.iter().take(n_short));
        if found.clone().all(|it| it.is_finite() && it.abs() < 1e6) {
            for (to, it) in self.cells.iter_mut().skip(triangle(n) + n).zip(found) {
                *to = *it as f32;
            }
        } else {
            *self = Regression::new(prior, n_short);
        }
    }

    /// Has it the shape that a prior of `n` features gives?
    pub(crate) fn has_shape(&self, n: usize, n_short: usize) -> bool {
        (self.n, self.n_short) == (n, n_short) && self.cells.len() == triangle(n) + 2 * n + n_short
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<f32>()
    }
}

fn dot(weights: &[f32], n: usize, row: &[f64]) -> f64 {
    weights.iter().take(n).zip(row).map(|(weight, it)| f64::from(*weight) * it).sum()
}
