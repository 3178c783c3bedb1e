//! A region of services, request by request: the event model that checks the fluid one.
//!
//! **In:** a [`RequestSpec`]: what the region is like, what arrives, which knobs are turned when.
//! **Out:** a [`ServiceTally`] per service: counts, integrals, histograms and a line per minute.
//! **Not here:** boots, launch queues, zones, single units, caches that fill, lag: a service is
//! one station with as many servers as its ready units have slots, and a cache has a hit ratio
//! that is given. Those belong to [`crate::world`], whose arithmetic this module checks.
//!
//! What a request does, in order:
//!
//! 1. A first try arrives (Poisson) and takes a free slot, or the end of one queue per service,
//!    or is turned away when the queue is full.
//! 2. In its slot it does a tenth of its own work (exponential), makes its calls one after the
//!    other, and then does the rest; the slot is held throughout. An error of its own, or a
//!    needed call that fails, ends it there: the calls behind it are not made and the rest is
//!    not done, which is why an error takes a tenth of the time. A hit in a cache makes no calls.
//!    A call to workers is answered as soon as the job is in their queue.
//! 3. Its caller gives up after the time-out. The request is not told: it waits, works and
//!    calls on in vain.
//! 4. A failed try (turned away, timed out, answered with an error) is tried again after
//!    [`BACKOFF_SECONDS`], as often as `retries` says, while the budget has something left. A
//!    caller that is a request itself holds its own slot all that time.
//!
//! Equal specs give equal tallies, to the bit, on one machine.

mod arena;
mod engine;
mod events;
mod station;
mod tally;

use crate::world::{Knobs, SpecError, WorldSpec};

pub use tally::{Histogram, Minute, ServiceTally};

/// Seconds from a failed try to the next one.
///
/// Why 1: the fluid model moves in steps of one second, and a retry can come in its next step
/// at the earliest.
pub const BACKOFF_SECONDS: f64 = 1.0;

/// Share of its own work that a request does before its calls, and all that one with an error
/// does; see [`Knobs::error_ratio`].
pub const ERROR_TIME_RATIO: f64 = 0.1;

/// Most requests in the region at one time, tries in backoff included. Why 5 million: at about
/// 60 bytes each that is 300 MB, and a queue of that size says all that it has to say.
pub const IN_SYSTEM_MAX: usize = 5_000_000;

/// Longest run, in seconds. Why 30 days: the series has a line per minute and service.
pub const LASTS_MAX: i64 = 30 * 86_400;

/// Highest rate of one service from outside, per second. Why a million: the mean gap is then a
/// thousand of the steps in which time is counted.
pub const LOAD_RPS_MAX: f64 = 1e6;

/// What happens in one run. Instants are whole seconds since its start.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSpec {
    /// The region. Its load curves are not followed; `units_start` is.
    pub world: WorldSpec,
    /// Fixes all chance, in one stream per service and purpose.
    pub seed: u64,
    /// One per service of the region, in its order.
    pub services: Vec<ServiceSteps>,
    /// From here on is counted; what came before is warm-up. `0 .. lasts`.
    pub measured_from: i64,
    /// Where it ends, `1 ..= LASTS_MAX`.
    pub lasts: i64,
    /// Most requests in the region at one time, `1 ..= IN_SYSTEM_MAX`.
    pub in_system_max: usize,
}

impl RequestSpec {
    /// A run of `lasts` seconds without any load, everything counted, nothing broken, and all
    /// that a cache is asked for missed.
    pub fn quiet(world: WorldSpec, seed: u64, lasts: i64) -> RequestSpec {
        let services = vec![ServiceSteps::default(); world.services.len()];
        let in_system_max = IN_SYSTEM_MAX;
        RequestSpec { world, seed, services, measured_from: 0, lasts, in_system_max }
    }
}

/// What changes for one service, and when. Each step holds until the next one; steps are in
/// order of time, and of two at the same second the later one in the list holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceSteps {
    /// First tries from outside per second, `0 ..= LOAD_RPS_MAX`; 0 before the first step.
    pub load_rps: Vec<(i64, f64)>,
    /// Knobs: `load_factor`, `slow_factor`, `error_ratio` and `is_down`. The others must be as
    /// they are by default: this model has no single units.
    pub knobs: Vec<(i64, Knobs)>,
    /// Ready units; the spec's `units_start` before the first step. Work that is being done on
    /// units that leave is finished.
    pub units: Vec<(i64, u32)>,
    /// Share of a cache's requests that make no calls, `0.0 ..= 1.0`; of no meaning elsewhere.
    pub hit_ratio: f64,
}

/// Why there is no tally.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RequestsError {
    /// The region itself is not possible.
    #[error("cannot count requests in this region")]
    World(#[source] SpecError),
    /// A number of the run is out of its range.
    #[error("{place}: `{value}`; it must be {allowed}")]
    Range {
        /// Where it stands.
        place: String,
        /// What was given.
        value: String,
        /// What would be right.
        allowed: String,
    },
    /// More requests than the limit are in the region.
    #[error("{in_system} requests are in the region at second {second}, the limit is {limit}")]
    TooMany {
        /// How many there would be.
        in_system: usize,
        /// When.
        second: u64,
        /// `in_system_max`.
        limit: usize,
    },
}

/// What one run counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// One per service, in the region's order.
    pub services: Vec<ServiceTally>,
    /// Events that were worked off, all services together.
    pub events: u64,
}

/// Runs `spec` from an empty region to its end.
///
/// Costs time in proportion to the number of events (a request makes two or three), and memory
/// in proportion to the most requests there were at one time plus the arrivals within one
/// time-out.
///
/// # Errors
///
/// A spec that is out of its ranges, or more requests than `in_system_max`: an overload without
/// a queue cap or a time-out that lasts.
pub fn simulate(spec: &RequestSpec) -> Result<Requests, RequestsError> {
    check(spec)?;
    engine::Engine::new(spec).run()
}

fn check(spec: &RequestSpec) -> Result<(), RequestsError> {
    spec.world.check().map_err(RequestsError::World)?;
    let n_services = spec.world.services.len();
    let within = |is_right: bool, place: &str, value: String, allowed: String| {
        let place = place.to_owned();
        if is_right { Ok(()) } else { Err(RequestsError::Range { place, value, allowed }) }
    };
    let RequestSpec { world, seed: _, services, measured_from, lasts, in_system_max } = spec;
    let is_right = (1..=LASTS_MAX).contains(lasts);
    within(is_right, "lasts", lasts.to_string(), format!("1 to {LASTS_MAX} seconds"))?;
    let is_right = (0..*lasts).contains(measured_from);
    within(is_right, "measured_from", measured_from.to_string(), format!("0 to below {lasts}"))?;
    let is_right = (1..=IN_SYSTEM_MAX).contains(in_system_max);
    let allowed = format!("1 to {IN_SYSTEM_MAX}");
    within(is_right, "in_system_max", in_system_max.to_string(), allowed)?;
    let is_right = services.len() == n_services;
    within(is_right, "services", services.len().to_string(), format!("{n_services} steps"))?;
    for (steps, service) in services.iter().zip(&world.services) {
        let ServiceSteps { load_rps, knobs, units, hit_ratio } = steps;
        let at = |field: &str| format!("service `{}`: {field}", service.name);
        let is_right = (0.0..=1.0).contains(hit_ratio);
        within(is_right, &at("hit_ratio"), hit_ratio.to_string(), "0 to 1".to_owned())?;
        let times = [
            ("load_rps", load_rps.iter().map(|it| it.0).collect::<Vec<i64>>()),
            ("knobs", knobs.iter().map(|it| it.0).collect()),
            ("units", units.iter().map(|it| it.0).collect()),
        ];
        for (field, times) in times {
            let is_right = times.is_sorted() && times.iter().all(|it| 0 <= *it);
            let allowed = "instants from 0 on, in order".to_owned();
            within(is_right, &at(field), format!("{times:?}"), allowed)?;
        }
        for (_, load_rps) in load_rps {
            let is_right = (0.0..=LOAD_RPS_MAX).contains(load_rps);
            let allowed = format!("0 to {LOAD_RPS_MAX}");
            within(is_right, &at("load_rps"), load_rps.to_string(), allowed)?;
        }
        for (_, units) in units {
            let is_right = *units <= crate::world::spec::UNITS_MAX;
            let allowed = format!("at most {}", crate::world::spec::UNITS_MAX);
            within(is_right, &at("units"), units.to_string(), allowed)?;
        }
        for (_, knobs) in knobs {
            let Knobs { load_factor, slow_factor, error_ratio, is_down, .. } = *knobs;
            let rest = Knobs { load_factor, slow_factor, error_ratio, is_down, ..Knobs::default() };
            let allowed = "as by default, but for load_factor, slow_factor, error_ratio, is_down";
            let is_right = *knobs == rest;
            within(is_right, &at("knobs"), format!("{knobs:?}"), allowed.to_owned())?;
            let is_right = (0.0..=1.0).contains(&error_ratio);
            within(is_right, &at("error_ratio"), error_ratio.to_string(), "0 to 1".to_owned())?;
            for (field, factor) in [("load_factor", load_factor), ("slow_factor", slow_factor)] {
                let is_right = (0.0..=1e4).contains(&factor);
                within(is_right, &at(field), factor.to_string(), "0 to 10000".to_owned())?;
            }
        }
    }
    Ok(())
}
