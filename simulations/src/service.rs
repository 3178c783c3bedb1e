//! One service as time passes: units that boot, work that arrives, and what both add up to.
//!
//! **In:** seconds that pass, and capacity that is set.
//! **Out:** the instant's measurements and the sums since the start.
//! **Not here:** names of metrics and faults of the provider (see [`crate::region`]).

use rand_chacha::ChaCha8Rng;

use crate::chance::{generator, normal};
use crate::incident::Scripted;
use crate::load::Load;
use crate::spec::{ServiceKind, ServiceSpec};

/// Shortest and longest boot of a unit, in seconds.
const BOOT_SECONDS: (f64, f64) = (60.0, 180.0);

/// Spread of the logarithm of a boot's duration.
///
/// Why 0.28: with the median at the geometric middle, 104 s, nineteen of twenty draws then fall
/// between the two bounds, and the rest are put on them.
const BOOT_SIGMA: f64 = 0.28;

/// A service of the region. Seconds are counted from the region's start.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) spec: ServiceSpec,
    pub(crate) load: Load,
    script: Vec<Scripted>,
    boots: ChaCha8Rng,
    pub(crate) ready: u32,
    /// When each unit that is asked for becomes ready, earliest first.
    booting: Vec<i64>,
    /// Work that an overload has left behind: requests or messages, `>= 0`.
    backlog: f64,
    pub(crate) now: Measured,
    pub(crate) sums: Sums,
}

/// What is true at one instant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Arrivals per second.
    pub(crate) load: f64,
    pub(crate) latency_p95_seconds: f64,
    /// Work that waits: what an overload left behind and what waits in the steady state.
    pub(crate) waiting: f64,
    /// Share of the requests that arrive now and are answered within the objective.
    good_ratio: f64,
    /// Does the exporter show zeros instead of all this?
    pub(crate) is_lying: bool,
}

/// What has added up since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) arrived: f64,
    pub(crate) good: f64,
    pub(crate) unserved: f64,
    /// Units that existed, ready or not, times seconds: a whole number, so cost has no drift.
    pub(crate) unit_seconds: u64,
}

impl Service {
    /// The service at the region's start, with the units its load calls for, all ready.
    pub(crate) fn new(
        seed: u64,
        start_second: i64,
        spec: ServiceSpec,
        script: Vec<Scripted>,
        units_max: u32,
    ) -> Service {
        let load = Load::new(seed, &spec.name, spec.load);
        let per_unit = spec.unit_rps * spec.initial_utilisation;
        let ready = whole_units(load.at(start_second) / per_unit).clamp(2, units_max);
        let boots = generator(seed, &format!("boot/{}", spec.name));
        let mut service = Service {
            spec,
            load,
            script,
            boots,
            ready,
            booting: Vec::new(),
            backlog: 0.0,
            now: Measured::default(),
            sums: Sums::default(),
        };
        service.measure(start_second, 0);
        service
    }

    /// Units that exist, ready or not.
    pub(crate) fn current(&self) -> u32 {
        self.ready.saturating_add(u32::try_from(self.booting.len()).unwrap_or(u32::MAX))
    }

    /// Makes `capacity` units exist. New ones boot; surplus leaves at once, and of it first
    /// what would be ready last. Absolute: the same capacity again changes nothing.
    pub(crate) fn set_capacity(&mut self, second: i64, capacity: u32) {
        let current = self.current();
        for _ in current..capacity {
            let boot = self.boot_seconds();
            self.booting.push(second + boot);
        }
        self.booting.sort_unstable();
        let surplus = usize::try_from(current.saturating_sub(capacity)).unwrap_or(usize::MAX);
        self.booting.truncate(self.booting.len().saturating_sub(surplus));
        self.ready = self.ready.min(capacity);
    }

    /// Lets the second before `second` pass and measures anew.
    pub(crate) fn pass_second(&mut self, start_second: i64, second: i64) {
        self.serve();
        self.sums.unit_seconds = self.sums.unit_seconds.saturating_add(u64::from(self.current()));
        let n_booted = self.booting.partition_point(|ready_at| *ready_at <= second);
        self.booting.drain(..n_booted);
        self.ready = self.ready.saturating_add(u32::try_from(n_booted).unwrap_or(u32::MAX));
        self.measure(start_second, second);
    }

    /// One second of arrivals and service, at the rates of the last measurement.
    fn serve(&mut self) {
        let arrived = self.now.load;
        let capacity = self.spec.station(self.ready).capacity_rps();
        let backlog = (self.backlog + arrived - capacity).max(0.0);
        let backlog_max = match self.spec.kind {
            // Who would wait longer than the time-out has gone.
            ServiceKind::Web { timeout_seconds } => timeout_seconds * capacity,
            ServiceKind::Worker { queue_max } => queue_max,
        };
        self.backlog = backlog.min(backlog_max);
        let unserved = backlog - self.backlog;
        self.sums.arrived += arrived;
        self.sums.unserved += unserved;
        // What is refused now may have arrived before, when units have left in between.
        self.sums.good += (arrived - unserved).max(0.0) * self.now.good_ratio;
    }

    fn measure(&mut self, start_second: i64, second: i64) {
        let mut load = self.load.at(start_second.saturating_add(second));
        for scripted in &self.script {
            load *= scripted.load_factor(second);
        }
        let is_lying = self.script.iter().any(|scripted| scripted.is_lying(second));
        let spec = &self.spec;
        let station = spec.station(self.ready);
        let latency_max = spec.latency_max_seconds();
        self.now = if self.ready == 0 {
            let waiting = self.backlog;
            Measured { load, latency_p95_seconds: latency_max, waiting, good_ratio: 0.0, is_lying }
        } else {
            let behind = self.backlog / station.capacity_rps();
            let latency = spec.service_p95_seconds + behind + station.wait_p95_seconds(load);
            let patience = spec.objective_seconds - spec.service_p95_seconds - behind;
            let good_ratio = if patience < 0.0 {
                0.0
            } else {
                1.0 - station.waits_longer_probability(load, patience)
            };
            Measured {
                load,
                latency_p95_seconds: latency.min(latency_max),
                waiting: self.backlog + station.queue_mean(load),
                good_ratio,
                is_lying,
            }
        };
    }

    fn boot_seconds(&mut self) -> i64 {
        let (shortest, longest) = BOOT_SECONDS;
        let seconds = (shortest * longest).sqrt() * (BOOT_SIGMA * normal(&mut self.boots)).exp();
        #[expect(clippy::cast_possible_truncation, reason = "between 60 and 180")]
        let whole = seconds.clamp(shortest, longest).round() as i64;
        whole
    }
}

fn whole_units(units: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "finite and >= 0 by the checks of the spec; `as` saturates"
    )]
    let whole = units.ceil() as u32;
    whole
}
