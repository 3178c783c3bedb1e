//! Bands from what the same ensemble missed by at its rolling origins.
//!
//! **In:** residuals per lead of one series, or of many that are forecast together.
//! **Out:** [`Bands`]: how far below and above the mean each band reaches at each lead.
//! **Not here:** keeping the coverage right while new values arrive (`live`).
//!
//! Split conformal prediction (Vovk et al. 2005; Lei et al. 2018) with residuals that are scaled
//! by their local size, so that many leads and many series can share one set of quantiles. The
//! margins are additive: on spiky traces multiplicative ones cost two to four times the optimum.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of residuals are bounded by horizon times origins times series"
)]

use crate::members::naive::mean;

/// Parts that a horizon is divided into; steps of one part share their size.
const CELLS: usize = 48;

/// Distance of leads, as a share of the horizon, at which a residual counts 0.6 as much.
///
/// Why: 1/4 had the lowest interval score of 1/24, 1/8, 1/4 and 2 on M4 Hourly at three earlier
/// windows (2026-11-21), as 1/12 of a season had for phases.
const LEAD_WIDTH: f64 = 0.25;

/// Distance in the phase of the season, as a share of it, at which a residual counts 0.6 as much.
const PHASE_WIDTH: f64 = 1.0 / 12.0;

/// All residuals of a series together count as this many near ones.
const PRIOR: f64 = 2.0;

/// Share (geometric) of the size that members' disagreement about a step decides.
///
/// Why 0.25: 0 and 0.5 had higher interval scores (M4 Hourly, three earlier windows, 6.45
/// against 6.51 and 6.57; 2026-11-21).
const SPREAD_SHARE: f64 = 0.25;

/// Share (geometric) of the size that a global model's band decides, where there is one.
///
/// Why 0.25: it takes the interval score at three earlier windows of M4 Hourly from 6.49 to 6.42;
/// 0.4 and 0.6 make the most unlike of them worse (2026-11-21).
const WIDTH_SHARE: f64 = 0.25;

/// Width of a 95% band of a normal variable over its mean absolute value: makes sizes with and
/// without a global model alike.
const WIDTH_PER_SIZE: f64 = 4.9;

/// What is known about the steps after an origin before they happen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ahead {
    /// How far apart the members are, per lead.
    pub(crate) spread: Vec<f64>,
    /// Width of a global model's band, per lead.
    pub(crate) width: Option<Vec<f64>>,
}

/// What one test at an origin showed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tested {
    /// Length of the past.
    pub(crate) origin: usize,
    /// `value - forecast` per lead; NaN where the value is not known.
    pub(crate) residuals: Vec<f64>,
    /// What was known before.
    pub(crate) ahead: Ahead,
}

/// Expected size of the residual per lead for one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sizes {
    /// For the steps after the past.
    ahead: Vec<f64>,
    /// Scaled residuals, each by a size that knows no overlapping test.
    scaled: Vec<f64>,
    /// Tests that `scaled` comes from.
    tests: usize,
}

/// Sums of absolute residuals and of spreads, and how many, per cell of a test.
struct Cells {
    origin: usize,
    sums: Vec<(f64, f64)>,
    spread: f64,
}

impl Sizes {
    /// `end` is what is known about the steps after the past of `n` values.
    pub(crate) fn new(tests: &[Tested], n: usize, end: &Ahead, season: Option<usize>) -> Sizes {
        let horizon = end.spread.len();
        let steps = horizon.div_ceil(CELLS).max(1);
        let cells: Vec<Cells> = tests
            .iter()
            .map(|test| Cells {
                origin: test.origin,
                sums: test
                    .residuals
                    .chunks(steps)
                    .map(|cell| {
                        let known = cell.iter().filter(|residual| residual.is_finite());
                        known.fold((0.0, 0.0), |(sum, n), r| (sum + r.abs(), n + 1.0))
                    })
                    .collect(),
                spread: mean(&test.ahead.spread),
            })
            .collect();
        let near = Near::new(horizon, steps, season);
        let ahead = near.sizes(cells.iter(), n, end);
        let mut scaled = Vec::new();
        for test in tests {
            let apart = |cell: &&Cells| cell.origin.abs_diff(test.origin) >= horizon;
            let mut others: Vec<&Cells> = cells.iter().filter(apart).collect();
            if others.is_empty() {
                others = cells.iter().filter(|cell| cell.origin != test.origin).collect();
            }
            if others.is_empty() {
                others = cells.iter().collect();
            }
            let sizes = near.sizes(others.into_iter(), test.origin, &test.ahead);
            let pairs = test.residuals.iter().zip(&sizes);
            scaled.extend(pairs.map(|(r, size)| r / size).filter(|r| r.is_finite()));
        }
        Sizes { ahead, scaled, tests: tests.len() }
    }
}

/// How much a residual says about another lead and phase.
struct Near {
    /// Steps per cell.
    steps: usize,
    /// By distance in cells.
    by_lead: Vec<f64>,
    /// By distance in phase, in steps; empty without a season.
    by_phase: Vec<f64>,
}

impl Near {
    fn new(horizon: usize, steps: usize, season: Option<usize>) -> Near {
        let bell = |distance: f64| (-0.5 * distance * distance).exp();
        let width = (LEAD_WIDTH * horizon as f64 / steps as f64).max(0.5);
        let by_lead = (0..horizon.div_ceil(steps)).map(|cell| bell(cell as f64 / width)).collect();
        let by_phase = season.map_or_else(Vec::new, |season| {
            let width = (PHASE_WIDTH * season as f64).max(0.5);
            (0..season).map(|d| bell(d.min(season - d) as f64 / width)).collect()
        });
        Near { steps, by_lead, by_phase }
    }

    /// Size per lead after `origin`, from what `tests` showed.
    fn sizes<'a>(
        &self,
        tests: impl Iterator<Item = &'a Cells>,
        origin: usize,
        ahead: &Ahead,
    ) -> Vec<f64> {
        let tests: Vec<&Cells> = tests.collect();
        let all = tests
            .iter()
            .flat_map(|test| &test.sums)
            .fold((0.0, 0.0), |all, cell| (all.0 + cell.0, all.1 + cell.1));
        let overall = if all.1 > 0.0 { all.0 / all.1 } else { 0.0 };
        let usual = mean(&tests.iter().map(|test| test.spread).collect::<Vec<_>>());
        let season = self.by_phase.len();
        let cells: Vec<f64> = (0..self.by_lead.len())
            .map(|cell| {
                let mut near = (PRIOR * overall, PRIOR);
                for test in &tests {
                    for (other, sum) in test.sums.iter().enumerate() {
                        let mut weight = self.by_lead[cell.abs_diff(other)];
                        if season > 0 {
                            let here = origin + cell * self.steps;
                            let there = test.origin + other * self.steps;
                            weight *= self.by_phase[here.abs_diff(there) % season];
                        }
                        near.0 += weight * sum.0;
                        near.1 += weight * sum.1;
                    }
                }
                near.0 / near.1
            })
            .collect();
        let width_at = |lead: usize| ahead.width.as_ref().and_then(|width| width.get(lead));
        ahead
            .spread
            .iter()
            .enumerate()
            .map(|(lead, spread)| {
                let near = cells[lead / self.steps];
                // No wider apart than ten times the usual, no closer than a hundredth.
                let ratio = (spread / usual).clamp(0.01, 10.0);
                let apart = overall * if ratio.is_finite() { ratio } else { 1.0 };
                // A model that is sure of itself is believed down to a thousandth.
                let width =
                    width_at(lead).map_or(near, |width| width / WIDTH_PER_SIZE + 1e-3 * overall);
                near.powf(1.0 - SPREAD_SHARE - WIDTH_SHARE)
                    * apart.powf(SPREAD_SHARE)
                    * width.powf(WIDTH_SHARE)
            })
            .map(|size| if size.is_finite() { size } else { 0.0 })
            .collect()
    }
}

/// Quantiles of scaled residuals, sorted once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pool {
    sorted: Vec<f64>,
    /// Tests that the residuals come from.
    tests: usize,
}

impl Pool {
    /// Pools one or many series.
    pub(crate) fn new<'a>(series: impl Iterator<Item = &'a Sizes>) -> Pool {
        let mut pool = Pool { sorted: Vec::new(), tests: 0 };
        for sizes in series {
            pool.sorted.extend_from_slice(&sizes.scaled);
            pool.tests += sizes.tests;
        }
        pool.sorted.sort_by(f64::total_cmp);
        pool
    }

    /// Lower and upper scaled residual of a central band of coverage `level`; lower is at most
    /// 0, upper at least 0.
    fn ends(&self, level: f64) -> (f64, f64) {
        let n = self.sorted.len();
        if n == 0 {
            return (0.0, 0.0);
        }
        let tail = (1.0 - level) / 2.0;
        // The conformal rank: a share of n + 1, so few residuals mean wide bands.
        let rank = (((n + 1) as f64) * tail).floor() as usize;
        let low = self.sorted[rank.saturating_sub(1).min(n - 1)];
        let high = self.sorted[(n - rank.min(n)).min(n - 1)];
        let few = self.correction(level);
        (few * low.min(0.0), few * high.max(0.0))
    }

    /// How much wider a band must be because its quantiles come from few tests: the quantile of
    /// Student's t over that of the normal distribution, `1 + (z² + 1) / (4 ν)`.
    ///
    /// Residuals of one test are alike, so tests are counted, not residuals: a dozen tests of one
    /// series make a 95% band wider by a ninth, a thousand of many series not at all.
    ///
    /// Source: Fisher and Cornish (1960) for t; Tukey's lambda for the normal quantile.
    fn correction(&self, level: f64) -> f64 {
        let p = f64::midpoint(1.0, level);
        let z = 4.91 * (p.powf(0.14) - (1.0 - p).powf(0.14));
        let freedom = self.tests.saturating_sub(1).max(1) as f64;
        1.0 + (z * z + 1.0) / (4.0 * freedom)
    }

    /// Distances to the lower (at most 0) and the upper end (at least 0) per lead.
    pub(crate) fn band(&self, sizes: &Sizes, level: f64) -> Vec<(f64, f64)> {
        let (low, high) = self.ends(level);
        sizes.ahead.iter().map(|size| (low * size, high * size)).collect()
    }
}
