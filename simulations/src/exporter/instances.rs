//! Metrics with one value per unit.
//!
//! **In:** units of a service at a scrape, and what faults do to its exporter.
//! **Out:** values by unit, as a query that groups by instance answers.
//! **Not here:** metrics of a whole service ([`super::series`]), which unit is which
//! ([`crate::world`]).

use super::ExporterKnobs;
use crate::chance::{fraction, mix};
use crate::world::UnitSeen;

/// Most units of one service that are shown. Why 1,000: what the agent looks at of one target.
pub const INSTANCES_MAX: usize = 1_000;

/// How much measurements of units that are alike differ, either way. Why 5 %: what p95 over a
/// scrape of some thousand requests scatters.
const SCATTER: f64 = 0.05;

/// What can be asked of every unit of a service. The name is what an input's `query` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceMetric {
    /// `instance_latency_p95_seconds`; none for a unit without traffic.
    LatencyP95,
    /// `instance_error_ratio`, `0..=1`; none for a unit without traffic.
    ErrorRatio,
    /// `instance_up`: 1 for a unit whose health check is green, else 0.
    Up,
}

impl InstanceMetric {
    /// All of them.
    pub const ALL: [InstanceMetric; 3] =
        [InstanceMetric::LatencyP95, InstanceMetric::ErrorRatio, InstanceMetric::Up];

    /// As a query has it.
    pub fn name(self) -> &'static str {
        match self {
            InstanceMetric::LatencyP95 => "instance_latency_p95_seconds",
            InstanceMetric::ErrorRatio => "instance_error_ratio",
            InstanceMetric::Up => "instance_up",
        }
    }

    /// The metric of that name.
    pub fn parse(name: &str) -> Option<InstanceMetric> {
        InstanceMetric::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What a query by instance answers.
#[derive(Clone, Debug, PartialEq)]
pub enum InstancesReading {
    /// Units by number, and their values; `sampled_at` as in [`super::Reading`].
    Sample { values: Vec<(u32, f64)>, sampled_at: i64 },
    /// The answer has no series.
    NoSeries,
    /// The backend did not answer.
    BackendDown,
}

/// One unit at one scrape.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitSample {
    id: u32,
    values: [Option<f64>; InstanceMetric::ALL.len()],
}

impl UnitSample {
    /// As a scrape finds it; `luck` fixes how it scatters.
    pub(super) fn of(unit: &UnitSeen, luck: u64) -> UnitSample {
        let has_traffic = unit.is_ready && !unit.is_drained && 0 < unit.weight;
        let scatter = 1.0 + SCATTER * (2.0 * fraction(mix(luck ^ mix(u64::from(unit.id)))) - 1.0);
        let up = if unit.is_ready { 1.0 } else { 0.0 };
        UnitSample {
            id: unit.id,
            values: [
                has_traffic.then_some(unit.latency_p95_seconds * scatter),
                has_traffic.then_some((unit.error_ratio * scatter).min(1.0)),
                Some(up),
            ],
        }
    }

    /// What a lying exporter makes of it; the rest of the knobs is about the whole series.
    pub(super) fn falsify(&mut self, knobs: &ExporterKnobs, is_even: bool) {
        for (metric, value) in InstanceMetric::ALL.into_iter().zip(&mut self.values) {
            let Some(value) = value else { continue };
            if knobs.reads_zero && metric != InstanceMetric::Up {
                *value = 0.0;
            }
            *value *= knobs.factor;
            if knobs.is_garbled {
                *value = if is_even { f64::NAN } else { -1.0 - value.abs() };
            }
        }
    }

    /// Its number and its value of a metric.
    pub(super) fn value(&self, metric: InstanceMetric) -> Option<(u32, f64)> {
        let value = self.values.get(metric as usize).copied().flatten()?;
        Some((self.id, value))
    }
}
