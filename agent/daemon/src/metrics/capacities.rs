//! Two series per target, as long as there are few enough targets.
//!
//! **In:** the capacities of all targets after a pass.
//! **Out:** `evenkeel_target_current_capacity` and `…_desired_capacity`.
//! **Not here:** everything without a `target_id` ([`super`]).

use std::fmt;
use std::sync::{Mutex, PoisonError};

use evenkeel_core::ids::TargetId;
use evenkeel_core::units::Capacity;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// With more targets than this, none has a series of its own.
///
/// Why 1,000: two series each are what a scrape every 15 s carries without
/// notice; at 10,000 they would be most of a small Prometheus.
pub const TARGET_SERIES_MAX: usize = 1_000;

/// What one target has and should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCapacity {
    /// Which target.
    pub target: TargetId,
    /// What the provider says there is; `None` while unknown.
    pub current: Option<Capacity>,
    /// What the agent would like; `None` before the first evaluation.
    pub desired: Option<Capacity>,
}

/// The capacities as they were last told, in one piece: a scrape never sees half.
#[derive(Debug, Default)]
pub(super) struct TargetCapacities(Mutex<Vec<TargetCapacity>>);

impl TargetCapacities {
    /// Replaces all of them; by none when they are too many.
    pub(super) fn replace(&self, capacities: Vec<TargetCapacity>) {
        let kept = if TARGET_SERIES_MAX < capacities.len() { Vec::new() } else { capacities };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

/// Name, help and value of one metric.
type CapacityMetric = (&'static str, &'static str, fn(&TargetCapacity) -> Option<Capacity>);

impl Collector for TargetCapacities {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Copied, so that a slow scrape does not hold the loop up.
        let capacities = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let metrics: [CapacityMetric; 2] = [
            (
                "target_current_capacity",
                "Capacity that the provider says a target has; only with up to 1000 targets",
                |it| it.current,
            ),
            (
                "target_desired_capacity",
                "Capacity that the agent would like a target to have; only with up to 1000 targets",
                |it| it.desired,
            ),
        ];
        for (name, help, of) in metrics {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for it in &capacities {
                if let Some(capacity) = of(it) {
                    let labels = [("target_id", it.target.as_str())];
                    family.encode_family(&labels)?.encode_gauge(&i64::from(capacity.0))?;
                }
            }
        }
        Ok(())
    }
}
