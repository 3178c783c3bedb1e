//! HPA over all its targets: cost against time under demand.
//!
//! **In:** a workload and target percentages.
//! **Out:** [`Curve`], which says what HPA costs at any time under demand.
//! **Not here:** one run of it ([`super::hpa`]).

use super::{Hpa, Setup, SetupError, run};
use crate::workload::Workload;

/// One target of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Target utilisation in percent.
    pub target_percent: f64,
    /// Time under demand, in percent.
    pub tau_u: f64,
    /// Cost divided by the oracle's.
    pub cost_ratio: f64,
    /// Changes of desired capacity.
    pub capacity_changes: u32,
}

/// HPA's scores at several targets, in the order of the targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// One per target.
    pub points: Vec<CurvePoint>,
}

impl Curve {
    /// What HPA costs (cost / oracle) and how often it changes capacity when it is under
    /// demand for at most `tau_u` percent of the time, with its target chosen in hindsight:
    /// linear between the cheapest targets that are just below and just above. `None` when
    /// every target is under demand for longer.
    pub fn at_tau_u(&self, tau_u: f64) -> Option<(f64, f64)> {
        let by_cost = |a: &&CurvePoint, b: &&CurvePoint| a.cost_ratio.total_cmp(&b.cost_ratio);
        let inside = self.points.iter().filter(|it| it.tau_u <= tau_u).min_by(by_cost)?;
        // The next point that is cheaper still, and under demand for too long.
        let outside = self
            .points
            .iter()
            .filter(|it| tau_u < it.tau_u && it.cost_ratio < inside.cost_ratio)
            .max_by(by_cost);
        let changes = f64::from(inside.capacity_changes);
        let Some(outside) = outside else { return Some((inside.cost_ratio, changes)) };
        let along = (tau_u - inside.tau_u) / (outside.tau_u - inside.tau_u);
        let cost = inside.cost_ratio + along * (outside.cost_ratio - inside.cost_ratio);
        let changes = changes + along * (f64::from(outside.capacity_changes) - changes);
        Some((cost, changes))
    }
}

/// Runs HPA at every target of `targets_percent`, such as `50..=99`.
///
/// # Errors
///
/// As [`run`].
pub fn hpa_curve(
    workload: &Workload,
    setup: &Setup,
    targets_percent: impl IntoIterator<Item = u32>,
) -> Result<Curve, SetupError> {
    let mut points = Vec::new();
    for target in targets_percent {
        let target_percent = f64::from(target);
        let card = run(workload, setup, &mut Hpa::new(target_percent))?.scorecard;
        points.push(CurvePoint {
            target_percent,
            tau_u: card.tau_u,
            cost_ratio: card.cost_ratio,
            capacity_changes: card.capacity_changes,
        });
    }
    Ok(Curve { points })
}
