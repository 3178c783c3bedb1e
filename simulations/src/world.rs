//! A region of services under virtual time: the fluid model.
//!
//! **In:** a seed, a start and a [`WorldSpec`]; then seconds to pass, [`Knobs`] that faults
//! turn, and levers that controllers and people pull.
//! **Out:** what is true in every second ([`Truth`]), and sums over all of them ([`Sums`]).
//! **Not here:** what an exporter makes of it ([`crate::exporter`]), the provider's API and its
//! failures ([`crate::provider`]), when something breaks ([`crate::fault`]), single requests
//! ([`crate::requests`], which checks this model).
//!
//! Everything moves in steps of one second. Work is a fluid: rates, not requests. Equal seeds
//! and equal calls give equal numbers, to the bit, on one machine.

//!
//! Order of a second: units become ready or fail, the launch queue moves, then each service in
//! the order of the spec takes what people and its callers ask of it and calls its callees.
//! So demand reaches the last callee in the same second, while a callee's latency and failures
//! reach its callers with the next one.
//!
//! What is simplified: a failed try is tried again one second later; a request's calls are made
//! when it is served, and their latency is held in a slot; jobs for workers are handed over without
//! waiting for them; who has given up (after `timeout_seconds` from his try to the answer) is
//! served in vain; shed tries and those beyond the retry budget are lost, not tried again.

mod cache;
mod demand;
mod lane;
mod launches;
mod levers;
mod names;
mod service;
pub mod spec;
mod station;
mod tenants;
mod truth;
mod units;
mod upkeep;
mod wait;

use jiff::{SignedDuration, Timestamp};

use crate::workload::Workload;

use cache::Popularities;
use demand::Demand;
use launches::Launches;
use service::{Service, View};
use units::{Fleet, Zones};
use wait::Waits;

pub use names::{UnitSeen, WEIGHT_FULL};
pub use spec::{CallSpec, RetrySpec, ServiceKind, ServiceSpec, SpecError, UnitSpec, WorldSpec};
pub use tenants::{TENANTS_MAX, TenantSpec, TenantSums};
pub use truth::{Knobs, NEEDED_UTILISATION, Sums, Truth};
pub use upkeep::{BadDeployment, Upkeep};

/// Most points that [`World::history`] gives: the newest of those asked for. Why: 90 days of
/// one every minute, and some.
pub const HISTORY_POINTS_MAX: usize = 200_000;

/// What faults do to the region. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionKnobs {
    /// Zones that are lost: their units are gone, and none can be launched there.
    pub lost_zones: Vec<usize>,
    /// Launches per minute instead of the spec's.
    pub launches_per_minute_max: Option<f64>,
    /// Share of launches that fail after half the boot time, and are tried again.
    pub launch_failures_ratio: f64,
    /// Times the boot time of units launched now; 0 counts as 1.
    pub boot_factor: f64,
}

/// A region. It moves only when told to.
///
/// Cost: about 0.1 us per second and service in a release build, whatever the number of units.
#[derive(Clone, Debug)]
pub struct World {
    spec: WorldSpec,
    start: Timestamp,
    second: i64,
    demand: Demand,
    services: Vec<Service>,
    /// How each service did, for its callers.
    views: Vec<View>,
    /// What callers ask of each service in this second.
    inflows: Vec<f64>,
    waits: Waits,
    zones: Zones,
    launches: Launches,
    /// The next second in which a unit of any service changes.
    next_event: i64,
    knobs: RegionKnobs,
    fingerprint: u64,
    /// Stand-ins for services that are not there.
    nowhere: (Truth, Sums, Knobs),
}

impl World {
    /// A region at `start` (cut to a whole second) where everything works, queues are empty
    /// and caches are warm.
    ///
    /// # Errors
    ///
    /// As [`WorldSpec::check`].
    pub fn new(seed: u64, start: Timestamp, spec: WorldSpec) -> Result<World, SpecError> {
        spec.check()?;
        let start = Timestamp::from_second(start.as_second()).unwrap_or(start);
        let mut popularities = Popularities::default();
        let nominal = nominal_seconds(&spec, &mut popularities);
        let mut zones = Zones::new(spec.zones.len(), spec.zone_units_max);
        let services: Vec<Service> = spec
            .services
            .iter()
            .zip(&nominal)
            .map(|(it, seconds)| {
                let fleet = Fleet::new(seed, it, &mut zones);
                Service::new(it, fleet, *seconds, &mut popularities)
            })
            .collect();
        let views = spec.services.iter().zip(nominal).map(|(it, seconds)| View {
            seconds: if it.kind.is_awaited() { seconds } else { 0.0 },
            success_ratio: 1.0,
        });
        let mut world = World {
            start,
            second: 0,
            demand: Demand::new(seed, &spec),
            views: views.collect(),
            inflows: vec![0.0; services.len()],
            services,
            waits: Waits::default(),
            zones,
            launches: Launches::new(spec.launches_per_minute_max),
            next_event: i64::MAX,
            knobs: RegionKnobs::default(),
            fingerprint: 0,
            nowhere: Default::default(),
            spec,
        };
        world.look_first();
        Ok(world)
    }

    /// Fills in what is true before the first second: units, and what they should be.
    fn look_first(&mut self) {
        let unix_second = self.start.as_second();
        let load: Vec<f64> =
            (0..self.services.len()).map(|it| self.demand.of(it, unix_second)).collect();
        let rps = self.spec.steady_rps(&load);
        for (service, rps) in self.services.iter_mut().zip(rps) {
            service.reshape(self.second, self.spec.fail_open_ratio);
            service.truth.is_good = true;
            service.truth.needed = service.needed(rps);
        }
    }

    /// Load from a recording in place of the curves: the recording's value at the same time
    /// since its start, for the first service that has a load; the others follow in proportion
    /// to their curves' peaks. Values are scaled so that their 99.5th percentile is the curve's
    /// peak times `scale`. A value holds until the next sample's time; the last one for ever.
    pub fn follow(&mut self, workload: &Workload, scale: f64) {
        self.demand.follow(workload, scale);
        self.demand.advance(self.second);
        if self.second == 0 {
            self.look_first();
        }
    }

    /// What it is made of.
    pub fn spec(&self) -> &WorldSpec {
        &self.spec
    }

    /// When it began.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Seconds since the start.
    pub fn second(&self) -> i64 {
        self.second
    }

    /// The instant it has come to.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.start.as_second().saturating_add(self.second))
            .unwrap_or(Timestamp::MAX)
    }

    /// Lets one second pass.
    pub fn tick(&mut self) {
        let now = self.second;
        if self.next_event <= now {
            self.settle_units();
        }
        self.launches.pass_second();
        if self.launches.is_due() {
            self.launch();
        }
        self.demand.advance(now);
        let unix_second = self.start.as_second().saturating_add(now);
        let mut fingerprint = self.fingerprint;
        for (place, service) in self.services.iter_mut().enumerate() {
            if service.is_stale {
                service.reshape(now, self.spec.fail_open_ratio);
            }
            let outside = self.demand.of(place, unix_second);
            let inside = self.inflows.get_mut(place).map_or(0.0, std::mem::take);
            let passed = service.pass_second(now, outside, inside, &self.views, &mut self.waits);
            service.call(&passed, &mut self.inflows);
            if let Some(view) = self.views.get_mut(place) {
                *view = passed.view;
            }
            fingerprint = stamp(fingerprint, &service.truth);
        }
        self.fingerprint = fingerprint;
        self.second += 1;
    }

    /// What was true in the last second; zeros for a service that is not there.
    pub fn truth(&self, service: usize) -> &Truth {
        self.services.get(service).map_or(&self.nowhere.0, |it| &it.truth)
    }

    /// Sums of one service; zeros for one that is not there.
    pub fn sums(&self, service: usize) -> &Sums {
        self.services.get(service).map_or(&self.nowhere.1, |it| &it.sums)
    }

    /// First tries of a service that have not ended: they wait in its queue, or failed and will
    /// be tried again. What was offered is good, answered too late to be good, lost, or this.
    pub fn open_tries(&self, service: usize) -> f64 {
        self.services.get(service).map_or(0.0, Service::open_tries)
    }

    /// First tries that were answered without error but too late to be good, over the same
    /// seconds as [`World::sums`].
    pub fn slow_answers(&self, service: usize) -> f64 {
        self.services.get(service).map_or(0.0, |it| it.slow)
    }

    /// Sums begin anew: what passed so far is history.
    pub fn restart_sums(&mut self) {
        for service in &mut self.services {
            service.sums = Sums::default();
            service.slow = 0.0;
            if let Some(door) = &mut service.door {
                door.restart_sums();
            }
        }
    }

    /// Arrivals that `service` would have had in the `days` before the start, every `step`,
    /// earliest first, when nothing was broken: [`WorldSpec::steady_rps`] of the curves (or of
    /// the recording's first value where one is followed). At most [`HISTORY_POINTS_MAX`], the
    /// newest; a step below a second counts as one.
    pub fn history(
        &self,
        service: usize,
        days: u32,
        step: SignedDuration,
    ) -> Vec<(Timestamp, f64)> {
        self.history_until(self.start, service, days, step)
    }

    /// As [`World::history`], before another instant than the start.
    pub fn history_until(
        &self,
        end: Timestamp,
        service: usize,
        days: u32,
        step: SignedDuration,
    ) -> Vec<(Timestamp, f64)> {
        let step = step.as_secs().max(1);
        let end = end.as_second();
        let n_asked = i64::from(days) * 86_400 / step;
        let n = n_asked.min(i64::try_from(HISTORY_POINTS_MAX).unwrap_or(i64::MAX));
        // What arrives is linear in each load: one of 1 per second tells its share.
        let mut shares = Vec::new();
        let mut load = vec![0.0; self.services.len()];
        for place in self.spec.callers_of(service) {
            if self.spec.services.get(place).is_none_or(|it| it.load.is_none()) {
                continue;
            }
            if let Some(one) = load.get_mut(place) {
                *one = 1.0;
            }
            let share = self.spec.steady_rps(&load).get(service).copied().unwrap_or(0.0);
            if let Some(one) = load.get_mut(place) {
                *one = 0.0;
            }
            if 0.0 < share {
                shares.push((place, share));
            }
        }
        let points = (1..=n).rev().filter_map(|back| {
            let second = end.checked_sub(back.checked_mul(step)?)?;
            let at = Timestamp::from_second(second).ok()?;
            let rps =
                shares.iter().map(|(place, share)| share * self.demand.before(*place, second));
            Some((at, rps.sum()))
        });
        points.collect()
    }

    /// What faults do to one service, to be changed; nothing for one that is not there.
    pub fn knobs_mut(&mut self, service: usize) -> &mut Knobs {
        match self.services.get_mut(service) {
            Some(it) => {
                it.is_stale = true;
                &mut it.knobs
            }
            None => &mut self.nowhere.2,
        }
    }

    /// First tries per second that come to every service from outside at an instant to come,
    /// when nothing is broken. For the oracle.
    pub fn outside_rps_at(&self, unix_second: i64) -> Vec<f64> {
        let since_start = unix_second.saturating_sub(self.start.as_second());
        (0..self.services.len())
            .map(|place| self.demand.at(place, unix_second, since_start))
            .collect()
    }

    /// A number that stands for everything that was true in every second so far: equal runs
    /// have equal fingerprints, and runs that ever differed do not.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// Seconds that a request of each service takes when nothing is broken and nothing waits.
fn nominal_seconds(spec: &WorldSpec, popularities: &mut Popularities) -> Vec<f64> {
    let mut seconds = vec![0.0; spec.services.len()];
    for (place, service) in spec.services.iter().enumerate().rev() {
        let misses = service.misses_when_warm(popularities);
        let awaited = service
            .calls
            .iter()
            .filter(|call| spec.services.get(call.service).is_some_and(|it| it.kind.is_awaited()));
        let calls: f64 = awaited
            .map(|it| it.per_request * misses * seconds.get(it.service).copied().unwrap_or(0.0))
            .sum();
        if let Some(it) = seconds.get_mut(place) {
            *it = service.unit.service_seconds + calls;
        }
    }
    seconds
}

/// Mixes a second's truth into the fingerprint. Products of odd numbers, as in a multiplicative
/// hash: one pass over every bit of a value, and order counts.
fn stamp(fingerprint: u64, truth: &Truth) -> u64 {
    const ODD: [u64; 4] = [
        0x9E37_79B9_7F4A_7C15,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
        0xD6E8_FEB8_6659_FD93,
    ];
    let [a, b, c, d] = ODD;
    let counts = u64::from(truth.ready)
        ^ (u64::from(truth.current) << 16)
        ^ (u64::from(truth.desired) << 32)
        ^ (u64::from(truth.needed) << 48);
    let rates = truth.arrived_rps.to_bits().wrapping_mul(a)
        ^ truth.served_rps.to_bits().wrapping_mul(b).rotate_left(21)
        ^ truth.good_rps.to_bits().wrapping_mul(c).rotate_left(42);
    let rest = truth.queue.to_bits().wrapping_mul(d)
        ^ truth.latency_mean_seconds.to_bits().wrapping_mul(a).rotate_left(21)
        ^ truth.lost_rps.to_bits().wrapping_mul(b).rotate_left(42)
        ^ truth.replica_lag_seconds.to_bits().rotate_left(13)
        ^ counts.wrapping_mul(c);
    let mixed = (fingerprint.rotate_left(25) ^ rates).wrapping_mul(a);
    (mixed.rotate_left(29) ^ rest).wrapping_mul(d)
}
