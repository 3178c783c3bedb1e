//! Who sets the units of a region, other than the agent.
//!
//! **In:** what monitoring and the provider show ([`Look`]). **Out:** [`Deed`]s.
//! **Not here:** the agent ([`crate::run`] drives it), the capacity world's controllers
//! ([`crate::capacity`]).
//!
//! Two kinds: alternatives that people use (HPA, target tracking, a fixed peak, nobody, and the
//! oracle as the yardstick), and three naive automations, each of which does what made an
//! incident of the museum worse (`hpa` among them).

mod fixed;
#[cfg(test)]
mod fixture;
mod healer;
mod hpa;
mod kind;
mod oracle;
mod reflex;
mod sizing;
mod tracking;

use crate::world::{World, WorldSpec};

pub use fixed::{Nobody, Peak};
pub use healer::Healer;
pub use hpa::Hpa;
pub use kind::{PilotKind, PilotKindError};
pub use oracle::Oracle;
pub use reflex::Reflex;
pub use tracking::{CronRule, Minimum, Tracking};

/// What a pilot sees of one service. `None` where monitoring or the provider has no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceLook {
    /// Requests per second that one unit can do when nothing is broken, calls included.
    pub unit_rps: f64,
    /// Units that the provider is set to.
    pub desired: Option<u32>,
    /// Units that serve.
    pub ready: Option<u32>,
    /// Processor use of ready units relative to what they use when saturated: what a person
    /// sets as the request of a pod. `0..=1` (a lie may be anything).
    pub cpu_ratio: Option<f64>,
    /// Arrivals per second.
    pub arrived_rps: Option<f64>,
    /// 95th percentile of latency in seconds.
    pub latency_p95_seconds: Option<f64>,
    /// Work that waits.
    pub queue_depth: Option<f64>,
    /// Errors of all that arrived.
    pub error_ratio: Option<f64>,
    /// Share of units whose health check fails (as the load balancer sees it).
    pub unhealthy_ratio: f64,
    /// Seconds that replicas lag.
    pub replica_lag_seconds: Option<f64>,
}

/// What a pilot sees.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Seconds since the scored part began.
    pub second: i64,
    /// Unix seconds.
    pub unix_second: i64,
    /// Services, bounds and prices.
    pub spec: &'a WorldSpec,
    /// One per service.
    pub services: &'a [ServiceLook],
    /// The truth; for the oracle only, `None` for everybody else.
    pub world: Option<&'a World>,
}

/// What a pilot does. Units are clamped to the spec's bounds by the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// Asks the provider for units.
    SetUnits { service: usize, units: u32 },
    /// Restarts a share of the ready units, at once.
    Restart { service: usize, ratio: f64 },
    /// Kills a share of the ready units, so that new ones are launched.
    Replace { service: usize, ratio: f64 },
    /// Promotes a replica.
    Promote { service: usize },
    /// Drains a zone.
    Drain { zone: usize },
    /// Takes it back.
    Undrain { zone: usize },
}

/// Something that sets units.
pub trait Pilot {
    /// As it is called on the command line, such as `hpa:70`.
    fn label(&self) -> String;

    /// From look to look in seconds, `>= 1`.
    fn period_seconds(&self) -> i64;

    /// What to do now.
    fn look(&mut self, look: &Look<'_>) -> Vec<Deed>;
}
