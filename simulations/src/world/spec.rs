//! What a region of services is like.
//!
//! **In:** numbers, from a scenario or from code. **Out:** [`WorldSpec`], checked by
//! [`WorldSpec::check`].
//! **Not here:** how the region behaves over time ([`crate::world`]), what breaks
//! ([`crate::fault`]), YAML ([`crate::scenario`]).

use std::collections::BTreeSet;

use crate::load::LoadCurve;

use super::cache::Popularities;

/// A region: zones, services that call each other, and what the provider can launch.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldSpec {
    /// Names of the zones that units are spread over, `1 ..= ZONES_MAX`.
    pub zones: Vec<String>,
    /// Its services. A service may only call services that come after it: the call graph has
    /// no circles by construction.
    pub services: Vec<ServiceSpec>,
    /// How fast the provider launches units, all services together.
    pub launches_per_minute_max: f64,
    /// Most units that one zone holds, all services together.
    pub zone_units_max: u32,
    /// The load balancer stops believing health checks when more than this share of a service's
    /// units fails them at once, `0.0 ..= 1.0`; 0.5 is Envoy's panic threshold. 1 never does.
    pub fail_open_ratio: f64,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its name; unique in the region. Every stream of chance of it is named after it.
    pub name: String,
    /// How it takes its work.
    pub kind: ServiceKind,
    /// What comes from outside; `None` for a service that only others call.
    pub load: Option<LoadCurve>,
    /// What one request of it asks of other services, one after the other.
    pub calls: Vec<CallSpec>,
    /// What one unit can do.
    pub unit: UnitSpec,
    /// Units when the run starts, all ready; and how many there may be.
    pub units_start: u32,
    /// Fewest units that a controller may ask for.
    pub units_min: u32,
    /// Most units that a controller may ask for, `>= units_min`.
    pub units_max: u32,
    /// Median of the time from launch to ready, in seconds.
    pub boot_median_seconds: f64,
    /// Sigma of its logarithm: 0.3 puts 95 % within a factor of 1.8.
    pub boot_sigma: f64,
    /// Calls that one unit makes to each service of `calls` while it starts, spread over its
    /// first [`START_CALLS_SECONDS`] seconds of being ready: caches filled, connections opened.
    pub start_calls: f64,
    /// What callers (people, or other services) do when a request fails.
    pub retries: RetrySpec,
    /// A request is good when it is answered without error within this many seconds.
    pub objective_seconds: f64,
    /// Share of requests that shall be good, `0.0 .. 1.0`.
    pub objective_ratio: f64,
    /// Price of one unit, ready or not, for an hour; `>= 0`.
    pub unit_usd_per_hour: f64,
    /// Whether a controller may set its units.
    pub is_scaled: bool,
    /// Whether people must never lose it to save money.
    pub is_critical: bool,
}

/// Seconds over which a started unit makes its first calls.
pub const START_CALLS_SECONDS: f64 = 10.0;

/// How a service takes its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServiceKind {
    /// Somebody waits for every answer.
    Web {
        /// Requests that wait per unit before more are turned away.
        queue_per_unit_max: f64,
        /// How long a caller waits. Who has given up is still served, in vain: that is what
        /// keeps an overload alive after its cause is gone.
        timeout_seconds: f64,
    },
    /// Work waits until a unit takes it; nothing is lost below `queue_max`.
    Workers {
        /// Pieces of work that the queue holds; more are lost.
        queue_max: f64,
    },
    /// Nodes that answer from memory; a miss becomes a request to each of `calls`.
    Cache {
        /// Different things that are asked for.
        items: f64,
        /// Exponent of their popularity (Zipf), `0.0 ..= 2.0`.
        zipf_exponent: f64,
        /// Things that one node holds.
        items_per_unit: f64,
        /// As for `Web`.
        timeout_seconds: f64,
    },
    /// A primary with replicas, all serving.
    Database {
        /// As for `Web`.
        queue_per_unit_max: f64,
        /// As for `Web`.
        timeout_seconds: f64,
        /// Writes among its requests, `0.0 ..= 1.0`: what is lost when a replica that lags is
        /// promoted.
        writes_ratio: f64,
    },
}

impl ServiceKind {
    /// Whether callers wait for the answer. A job is handed over and done later.
    pub fn is_awaited(&self) -> bool {
        match self {
            ServiceKind::Web { .. } | ServiceKind::Cache { .. } | ServiceKind::Database { .. } => {
                true
            }
            ServiceKind::Workers { .. } => false,
        }
    }
}

/// Requests to another service.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSpec {
    /// Its place in [`WorldSpec::services`]; behind the caller's.
    pub service: usize,
    /// Calls per request, `>= 0`; 0.2 is one in five.
    pub per_request: f64,
    /// Whether a request fails when the call does.
    pub is_needed: bool,
}

/// What one unit can do. Alone and unhindered it serves `slots / service_seconds` per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitSpec {
    /// Requests it serves at the same time. A slot is held while a request waits for the
    /// services it calls.
    pub slots: u32,
    /// Mean time of its own work on a request, in seconds, `> 0`.
    pub service_seconds: f64,
    /// Share of that time on the processor, `0.0 ..= 1.0`. At 1 a unit with all slots at work is
    /// at 100 %.
    pub cpu_ratio: f64,
}

impl UnitSpec {
    /// Requests per second of one unit when nothing hinders it.
    pub fn rps(&self) -> f64 {
        f64::from(self.slots) / self.service_seconds
    }
}

/// What callers do about a failed request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrySpec {
    /// Tries after the first, `0 ..= RETRIES_MAX`.
    pub retries: u32,
    /// Retries may be at most this share of first tries; `None` sets no budget.
    pub budget_ratio: Option<f64>,
}

/// Most zones.
pub const ZONES_MAX: usize = 8;
/// Most services of a region.
pub const SERVICES_MAX: usize = 20_000;
/// Most units of one service.
pub const UNITS_MAX: u32 = 5_000;
/// Most retries of one request.
pub const RETRIES_MAX: u32 = 4;

/// Most slots of one unit. Why 1024: with [`UNITS_MAX`] units, waits are still looked up in a
/// table that takes milliseconds to fill.
pub const SLOTS_MAX: u32 = 1_024;
/// Longest time-out. Why an hour: who waits longer is a job in a queue, not a caller; and a
/// service remembers each second of waiting callers.
pub const TIMEOUT_SECONDS_MAX: f64 = 3_600.0;
/// Longest service time, boot and objective.
const SECONDS_MAX: f64 = 86_400.0;

/// Why there can be no such region. `service` is empty where it is about the region.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}{field} is `{value}`; it must be {allowed}", place = place(service))]
pub struct SpecError {
    /// The service, by name.
    pub service: String,
    /// The field, as in [`WorldSpec`] and [`ServiceSpec`].
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What would be right.
    pub allowed: String,
}

fn place(service: &str) -> String {
    if service.is_empty() { String::new() } else { format!("service `{service}`: ") }
}

impl WorldSpec {
    /// Checks every number against the range that its field names, and that names are unique.
    ///
    /// # Errors
    ///
    /// The first that is out of its range.
    pub fn check(&self) -> Result<(), SpecError> {
        let WorldSpec { zones, services, launches_per_minute_max, zone_units_max, fail_open_ratio } =
            self;
        let region = Checker { service: "" };
        region.that("zones", zones.len(), (1..=ZONES_MAX).contains(&zones.len()), || {
            format!("1 to {ZONES_MAX} names")
        })?;
        let mut names = BTreeSet::new();
        for zone in zones {
            let is_new = !zone.is_empty() && names.insert(zone.as_str());
            region.that("zones", zone, is_new, || "a name of its own for each zone".to_owned())?;
        }
        region.that(
            "services",
            services.len(),
            (1..=SERVICES_MAX).contains(&services.len()),
            || format!("1 to {SERVICES_MAX} services"),
        )?;
        region.within("launches_per_minute_max", *launches_per_minute_max, 0.0, 1e6)?;
        region.within("fail_open_ratio", *fail_open_ratio, 0.0, 1.0)?;
        let mut names = BTreeSet::new();
        for (place, service) in services.iter().enumerate() {
            let is_new = !service.name.is_empty() && names.insert(service.name.as_str());
            let checker = Checker { service: &service.name };
            checker.that("name", &service.name, is_new, || "a name of its own".to_owned())?;
            service.check(&checker)?;
            for call in &service.calls {
                let is_behind = place < call.service && call.service < services.len();
                checker.that("calls.service", call.service, is_behind, || {
                    let behind = place + 1;
                    if behind < services.len() {
                        format!("the place of a later service, {behind} to {}", services.len() - 1)
                    } else {
                        "left out: the last service calls nobody".to_owned()
                    }
                })?;
            }
        }
        let units: u64 = services.iter().map(|it| u64::from(it.units_start)).sum();
        let room = u64::from(*zone_units_max) * u64::try_from(zones.len()).unwrap_or(0);
        region.that("zone_units_max", zone_units_max, units <= room, || {
            format!("enough for the {units} units that the services start with")
        })
    }

    /// Requests per second that one unit of each service does when nothing is broken: its slots
    /// over the time that a request holds one, the calls it waits for included.
    pub fn unit_rps(&self) -> Vec<f64> {
        let seconds = super::nominal_seconds(self, &mut Popularities::default());
        self.services
            .iter()
            .zip(seconds)
            .map(|(it, seconds)| f64::from(it.unit.slots) / seconds.max(1e-9))
            .collect()
    }

    /// Place of a service by name.
    pub fn find(&self, service: &str) -> Option<usize> {
        self.services.iter().position(|it| it.name == service)
    }

    /// The service itself and all that call it, directly or through others, in order of place;
    /// empty for a service that is not there.
    pub(super) fn callers_of(&self, service: usize) -> Vec<usize> {
        if self.services.len() <= service {
            return Vec::new();
        }
        let mut callers = BTreeSet::from([service]);
        // Who calls it comes before it, so one pass from it to the front finds all.
        for (place, it) in self.services.iter().enumerate().take(service).rev() {
            if it.calls.iter().any(|call| callers.contains(&call.service)) {
                callers.insert(place);
            }
        }
        callers.into_iter().collect()
    }

    /// Requests per second that reach every service when `load[i]` comes to service `i` from
    /// outside, everything works and caches are as warm as they get with the units they start
    /// with. A missing or unusable load counts as 0.
    pub fn steady_rps(&self, load: &[f64]) -> Vec<f64> {
        let outside = |place: usize| {
            load.get(place).copied().filter(|it| it.is_finite() && 0.0 < *it).unwrap_or(0.0)
        };
        let mut rps: Vec<f64> = (0..self.services.len()).map(outside).collect();
        let mut popularities = Popularities::default();
        for (place, service) in self.services.iter().enumerate() {
            let arrives = rps.get(place).copied().unwrap_or(0.0);
            if arrives <= 0.0 {
                continue;
            }
            let passed_on = arrives * service.misses_when_warm(&mut popularities);
            for call in &service.calls {
                if let Some(callee) = rps.get_mut(call.service) {
                    *callee += passed_on * call.per_request;
                }
            }
        }
        rps
    }
}

impl ServiceSpec {
    /// Share of requests that reach its callees: 1 but for caches.
    pub(crate) fn misses_when_warm(&self, popularities: &mut Popularities) -> f64 {
        match self.kind {
            ServiceKind::Web { .. }
            | ServiceKind::Workers { .. }
            | ServiceKind::Database { .. } => 1.0,
            ServiceKind::Cache { items, zipf_exponent, items_per_unit, .. } => {
                let resident = items_per_unit * f64::from(self.units_start);
                1.0 - popularities.of(items, zipf_exponent).hit_ratio(resident)
            }
        }
    }

    fn check(&self, checker: &Checker<'_>) -> Result<(), SpecError> {
        let ServiceSpec {
            name: _,
            kind,
            load,
            calls,
            unit,
            units_start,
            units_min,
            units_max,
            boot_median_seconds,
            boot_sigma,
            start_calls,
            retries,
            objective_seconds,
            objective_ratio,
            unit_usd_per_hour,
            is_scaled: _,
            is_critical: _,
        } = self;
        check_kind(checker, kind)?;
        if let Some(curve) = load {
            check_curve(checker, curve)?;
        }
        for call in calls {
            checker.within("calls.per_request", call.per_request, 0.0, 1_000.0)?;
        }
        let UnitSpec { slots, service_seconds, cpu_ratio } = *unit;
        checker.that("unit.slots", slots, (1..=SLOTS_MAX).contains(&slots), || {
            format!("1 to {SLOTS_MAX}")
        })?;
        checker.above_0("unit.service_seconds", service_seconds, SECONDS_MAX)?;
        checker.within("unit.cpu_ratio", cpu_ratio, 0.0, 1.0)?;
        checker.that("units_max", units_max, *units_max <= UNITS_MAX, || {
            format!("at most {UNITS_MAX}")
        })?;
        checker.that("units_min", units_min, units_min <= units_max, || {
            format!("at most units_max, {units_max}")
        })?;
        checker.that("units_start", units_start, units_start <= units_max, || {
            format!("at most units_max, {units_max}")
        })?;
        checker.above_0("boot_median_seconds", *boot_median_seconds, SECONDS_MAX)?;
        checker.within("boot_sigma", *boot_sigma, 0.0, 2.0)?;
        checker.within("start_calls", *start_calls, 0.0, 1e6)?;
        let RetrySpec { retries, budget_ratio } = *retries;
        checker.that("retries.retries", retries, retries <= RETRIES_MAX, || {
            format!("at most {RETRIES_MAX}")
        })?;
        if let Some(ratio) = budget_ratio {
            checker.within("retries.budget_ratio", ratio, 0.0, 100.0)?;
        }
        checker.above_0("objective_seconds", *objective_seconds, SECONDS_MAX)?;
        let is_ratio = 0.0 <= *objective_ratio && *objective_ratio < 1.0;
        checker.that("objective_ratio", objective_ratio, is_ratio, || {
            "at least 0 and below 1".to_owned()
        })?;
        checker.within("unit_usd_per_hour", *unit_usd_per_hour, 0.0, 1e6)
    }
}

fn check_kind(checker: &Checker<'_>, kind: &ServiceKind) -> Result<(), SpecError> {
    match *kind {
        ServiceKind::Web { queue_per_unit_max, timeout_seconds } => {
            checker.within("queue_per_unit_max", queue_per_unit_max, 0.0, 1e9)?;
            checker.above_0("timeout_seconds", timeout_seconds, TIMEOUT_SECONDS_MAX)
        }
        ServiceKind::Workers { queue_max } => checker.within("queue_max", queue_max, 0.0, 1e12),
        ServiceKind::Cache { items, zipf_exponent, items_per_unit, timeout_seconds } => {
            checker.within("items", items, 1.0, 1e12)?;
            checker.within("zipf_exponent", zipf_exponent, 0.0, 2.0)?;
            checker.above_0("items_per_unit", items_per_unit, 1e12)?;
            checker.above_0("timeout_seconds", timeout_seconds, TIMEOUT_SECONDS_MAX)
        }
        ServiceKind::Database { queue_per_unit_max, timeout_seconds, writes_ratio } => {
            checker.within("queue_per_unit_max", queue_per_unit_max, 0.0, 1e9)?;
            checker.above_0("timeout_seconds", timeout_seconds, TIMEOUT_SECONDS_MAX)?;
            checker.within("writes_ratio", writes_ratio, 0.0, 1.0)
        }
    }
}

fn check_curve(checker: &Checker<'_>, curve: &LoadCurve) -> Result<(), SpecError> {
    let LoadCurve { trough_rps, peak_rps, peak_hour, weekend_ratio, noise_ratio } = *curve;
    checker.within("load.trough_rps", trough_rps, 0.0, 1e9)?;
    checker.within("load.peak_rps", peak_rps, 0.0, 1e9)?;
    checker.that("load.peak_rps", peak_rps, trough_rps <= peak_rps, || {
        format!("at least trough_rps, {trough_rps}")
    })?;
    let is_hour = (0.0..24.0).contains(&peak_hour);
    checker.that("load.peak_hour", peak_hour, is_hour, || "at least 0 and below 24".to_owned())?;
    checker.within("load.weekend_ratio", weekend_ratio, 0.0, 100.0)?;
    checker.within("load.noise_ratio", noise_ratio, 0.0, 1.0)
}

/// Names the service in every error.
struct Checker<'a> {
    service: &'a str,
}

impl Checker<'_> {
    fn that(
        &self,
        field: &'static str,
        value: impl ToString,
        holds: bool,
        allowed: impl FnOnce() -> String,
    ) -> Result<(), SpecError> {
        if holds {
            return Ok(());
        }
        let service = self.service.to_owned();
        Err(SpecError { service, field, value: value.to_string(), allowed: allowed() })
    }

    fn within(&self, field: &'static str, value: f64, min: f64, max: f64) -> Result<(), SpecError> {
        // NaN is in no range.
        self.that(field, value, min <= value && value <= max, || format!("{min} to {max}"))
    }

    fn above_0(&self, field: &'static str, value: f64, max: f64) -> Result<(), SpecError> {
        self.that(field, value, 0.0 < value && value <= max, || {
            format!("above 0 and at most {max}")
        })
    }
}
