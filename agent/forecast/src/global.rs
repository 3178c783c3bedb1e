//! A model learned from many series at once.
//!
//! **In:** pasts with equal seasons, the horizon, and the rolling origins of each.
//! **Out:** its forecast for every series, at its end and at its rolling origins.
//! **Not here:** how much it counts for one series ([`crate::ensemble`]).
//!
//! One series shows a few hundred examples of how its week goes on; two hundred series show a
//! hundred thousand. The model is told each series in units of its own daily change, so that it
//! learns shapes, not sizes.

pub(crate) mod features;
pub(crate) mod trees;

use crate::members::Past;
use crate::members::ridge::Scale;
use features::{COLUMNS, Frame};
use trees::{Boosted, Growth, ROWS_MAX, Table};

/// Rows below which nothing is learned.
///
/// Why 2,000: forty leaves of fifty; the trees would repeat the rows.
const ROWS_MIN: usize = 2_000;

/// Origins per series that the model learns from, one shortest season apart.
///
/// Why 14: two weeks of days; more made M4 Hourly slower and no better (OWA 0.4154 with 40
/// origins 7 h apart, 0.4062 with 14; the half at hand, 2026-11-21).
const ORIGINS_MAX: usize = 14;

/// Leads per origin that the model learns from; longer horizons are thinned evenly.
const LEADS_MAX: usize = 48;

/// The quantile whose loss is the absolute error.
pub(crate) const MEDIAN: f32 = 0.5;

/// How the trees grow; see [`crate::global`] for what was compared.
pub(crate) const GROWTH: Growth = Growth {
    quantile: MEDIAN,
    rounds: 300,
    rate: 0.05,
    leaves: 31,
    leaf_rows_min: 50,
    row_share: 0.7,
    column_share: 0.5,
    seed: 1,
};

/// One trained model: what it forecasts on and how.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    scale: Scale,
    horizon: usize,
    seasons: Vec<usize>,
    model: Boosted,
}

impl Global {
    /// Learns from everything before `cuts[i]` of `pasts[i]`. `None` when that is too little.
    pub(crate) fn train(
        pasts: &[&Past],
        cuts: &[usize],
        seasons: &[usize],
        horizon: usize,
        scale: Scale,
        quantile: f32,
    ) -> Option<Global> {
        let leads = leads(horizon);
        let per_origin = leads[0].len().max(1);
        let origins_max = (ROWS_MAX / (per_origin * pasts.len().max(1))).min(ORIGINS_MAX);
        if origins_max == 0 {
            return None;
        }
        let mut table = Table::new(COLUMNS);
        let mut targets = Vec::new();
        for (past, cut) in pasts.iter().zip(cuts) {
            let Some(frame) = Frame::new(&past.values[..*cut], seasons, scale) else { continue };
            for k in 0..origins_max {
                let back = horizon + k * seasons.first().copied().unwrap_or(1);
                let Some(origin) = cut.checked_sub(back).filter(|at| *at >= frame.reach()) else {
                    break;
                };
                let view = frame.view(origin);
                for lead in &leads[k % leads.len()] {
                    let at = origin + lead;
                    if past.known[at] {
                        frame.push(&view, *lead, &mut table.values);
                        targets.push(frame.target(origin, *lead));
                    }
                }
            }
        }
        if table.rows() < ROWS_MIN {
            return None;
        }
        let model = Boosted::train(&table, &targets, &Growth { quantile, ..GROWTH })?;
        Some(Global { scale, horizon, seasons: seasons.to_vec(), model })
    }

    /// The horizon after the oldest `origin` values of `past`; `None` where the series is too
    /// short or constant.
    pub(crate) fn forecast(&self, past: &Past, origin: usize) -> Option<Vec<f64>> {
        let frame = Frame::new(past.values.get(..origin)?, &self.seasons, self.scale)?;
        if origin < frame.reach() {
            return None;
        }
        let view = frame.view(origin);
        let mut row = Vec::with_capacity(COLUMNS);
        let ahead: Vec<f64> = (0..self.horizon)
            .map(|lead| {
                row.clear();
                frame.push(&view, lead, &mut row);
                frame.value(origin, lead, self.model.value(&row))
            })
            .collect();
        ahead.iter().all(|value| value.is_finite()).then_some(ahead)
    }
}

/// Which leads are learned from at origin 0, 1, …, in turn.
fn leads(horizon: usize) -> Vec<Vec<usize>> {
    let stride = horizon.div_ceil(LEADS_MAX).max(1);
    (0..stride).map(|offset| (offset..horizon).step_by(stride).collect()).collect()
}
