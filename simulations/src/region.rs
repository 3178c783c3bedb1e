//! A made-up region: services, their exporter, their provider, and the truth.
//!
//! **In:** a seed and a start; then instants to advance to, and capacities to set.
//! **Out:** samples as an exporter shows them (lies included), capacity as a provider says it,
//! incidents in words, and the truth for a scorecard.
//! **Not here:** how one service behaves (see `service`), what it is like (see
//! [`crate::spec`]), and anything that decides a capacity.

use jiff::{SignedDuration, Timestamp};

use crate::chance::fnv1a;
use crate::incident::{Incident, Scripted, demo_script};
use crate::service::Service;
use crate::spec::{ServiceKind, ServiceSpec, SpecError, demo_services};

/// Most units one service may have.
///
/// Why: the quota of the made-up provider; it keeps a mistaken capacity from eating the memory.
pub const UNITS_MAX: u32 = 5_000;

/// Most simulated time one [`Region::advance`] passes.
///
/// Why 40 days: a laptop that slept for half a day under a clock 60 times as fast wakes 30 days
/// later; a timestamp farther away is a mistake and must not compute for hours.
pub const ADVANCE_MAX: SignedDuration = SignedDuration::from_hours(40 * 24);

/// Most points one [`Region::history`] gives: the newest of those asked for.
pub const HISTORY_POINTS_MAX: usize = 200_000;

/// One measurement as an exporter shows it at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the metric; its unit is the last part of the name.
    pub metric: &'static str,
    /// The service it is about.
    pub service: String,
    /// The value; finite. During an incident it may be a lie.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
}

/// What is true of one service, whatever its exporter shows: for scorecards, never for the agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Arrivals per second now.
    pub load: f64,
    /// Units that serve now.
    pub ready: u32,
    /// Units that exist now, ready or not.
    pub current: u32,
    /// Requests answered within the objective, of all that arrived since the start:
    /// `0.0 ..= 1.0`. `None` before anything arrived.
    pub slo_good_ratio: Option<f64>,
    /// Requests that were never served, of all that arrived since the start: `0.0 ..= 1.0`.
    /// `None` before anything arrived.
    pub unserved_ratio: Option<f64>,
    /// Price of all units since the start, from when they were asked for until they left.
    pub cost_usd: f64,
}

/// Why the provider did not do as it was told. In each case nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// There is no such service.
    #[error("the region has no service `{service}`; it has {known}")]
    NoSuchService {
        /// The name that was asked for.
        service: String,
        /// The names there are.
        known: String,
    },
    /// Somebody has changed the capacity since it was read.
    #[error(
        "service `{service}` has {current} units, not the expected {expected}; \
         read it again and decide anew"
    )]
    Changed {
        /// The service.
        service: String,
        /// What the caller decided on.
        expected: u32,
        /// What there is.
        current: u32,
    },
    /// More than the provider has.
    #[error("service `{service}`: {asked} units are above the quota of {quota}; ask for less")]
    AboveQuota {
        /// The service.
        service: String,
        /// What was asked for.
        asked: u32,
        /// [`UNITS_MAX`].
        quota: u32,
    },
}

/// A made-up region. It moves only when told to: by [`Region::advance`], in steps of one second.
///
/// Cost: about 2 us per simulated second and service in a release build.
#[derive(Clone, Debug)]
pub struct Region {
    start: Timestamp,
    start_second: i64,
    /// Seconds since the start.
    second: i64,
    services: Vec<Service>,
    /// All that the script will bring, earliest first.
    script: Vec<Incident>,
    n_incidents: usize,
    fingerprint: u64,
}

impl Region {
    /// The demo's region: five services, and two incidents within two hours.
    ///
    /// `start` is cut to a whole second. The load follows UTC's day and week: a start on a
    /// weekday at 07:00 shows capacity growing.
    pub fn new(seed: u64, start: Timestamp) -> Region {
        Region::build(seed, start, demo_services(), &demo_script())
    }

    /// A region of other services with another script.
    ///
    /// # Errors
    ///
    /// When two services share a name, a number is out of its range, or the script names a
    /// service that is not there.
    pub fn with(
        seed: u64,
        start: Timestamp,
        services: Vec<ServiceSpec>,
        script: &[Scripted],
    ) -> Result<Region, SpecError> {
        for (n, spec) in services.iter().enumerate() {
            spec.check()?;
            if services.iter().take(n).any(|earlier| earlier.name == spec.name) {
                return Err(SpecError::Duplicate { service: spec.name.clone() });
            }
        }
        for scripted in script {
            if !services.iter().any(|spec| spec.name == scripted.service) {
                return Err(SpecError::UnknownService { service: scripted.service.clone() });
            }
        }
        Ok(Region::build(seed, start, services, script))
    }

    fn build(seed: u64, start: Timestamp, specs: Vec<ServiceSpec>, script: &[Scripted]) -> Region {
        let start_second = start.as_second();
        let start = Timestamp::from_second(start_second).unwrap_or(start);
        let services = specs
            .into_iter()
            .map(|spec| {
                let own = script.iter().filter(|it| it.service == spec.name).cloned().collect();
                Service::new(seed, start_second, spec, own, UNITS_MAX)
            })
            .collect();
        let mut script: Vec<Incident> = script.iter().flat_map(|it| it.incidents(start)).collect();
        script.sort_by_key(|incident| incident.at);
        let mut region = Region {
            start,
            start_second,
            second: 0,
            services,
            script,
            n_incidents: 0,
            fingerprint: seed,
        };
        region.settle();
        region
    }

    /// When the region began.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// How far it has come: the whole second that the last [`Region::advance`] reached.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.start_second.saturating_add(self.second))
            .unwrap_or(Timestamp::MAX)
    }

    /// Its services, in the order they were given.
    pub fn services(&self) -> impl Iterator<Item = &ServiceSpec> {
        self.services.iter().map(|service| &service.spec)
    }

    /// Lets time pass until `to`, second by second; an instant that has passed changes nothing.
    /// At most [`ADVANCE_MAX`] in one call; then call again. [`Region::now`] says how far it came.
    ///
    /// In how many calls a span is passed makes no difference to any number.
    pub fn advance(&mut self, to: Timestamp) {
        let until = to.as_second().saturating_sub(self.start_second);
        let until = until.min(self.second.saturating_add(ADVANCE_MAX.as_secs()));
        while self.second < until {
            self.second += 1;
            for service in &mut self.services {
                service.pass_second(self.start_second, self.second);
            }
            self.settle();
        }
    }

    /// What an exporter shows of all services now, lies included, in a fixed order.
    pub fn scrape(&self) -> Vec<Sample> {
        let at = self.now();
        let sample = |service: &Service, (metric, value)| Sample {
            metric,
            service: service.spec.name.clone(),
            value,
            at,
        };
        self.services
            .iter()
            .flat_map(|service| exported(service).map(move |it| sample(service, it)))
            .collect()
    }

    /// One value of [`Region::scrape`]; `None` when there is no such metric of that service.
    pub fn metric(&self, metric: &str, service: &str) -> Option<f64> {
        exported(self.find(service)?).find(|(name, _)| *name == metric).map(|(_, value)| value)
    }

    /// The load of the `days` before the region's start, every `step`, earliest first, as
    /// [`ServiceSpec::load_metric`] would have shown it. Ends before the start.
    ///
    /// Empty for an unknown service or a `step` below one second. Asking for more days does not
    /// change the later ones.
    pub fn history(&self, service: &str, days: u32, step: SignedDuration) -> Vec<(Timestamp, f64)> {
        let (Some(service), 1..) = (self.find(service), step.as_secs()) else {
            return Vec::new();
        };
        let n_points = i64::from(days) * 86_400 / step.as_secs();
        let n_points = n_points.min(i64::try_from(HISTORY_POINTS_MAX).unwrap_or(i64::MAX));
        (1..=n_points)
            .rev()
            .filter_map(|back| {
                let second = self.start_second.checked_sub(back.checked_mul(step.as_secs())?)?;
                Some((Timestamp::from_second(second).ok()?, service.load.at(second)))
            })
            .collect()
    }

    /// Units of `service` that exist, ready or not, as its provider says.
    pub fn current_capacity(&self, service: &str) -> Option<u32> {
        self.find(service).map(Service::current)
    }

    /// Makes `capacity` units of `service` exist. New ones boot for 60 to 180 s; surplus leaves
    /// at once. Absolute and idempotent: told the same again, it changes nothing.
    ///
    /// With `expected`, only when that many exist now.
    ///
    /// # Errors
    ///
    /// When there is no such service, `expected` is not what there is, or `capacity` is above
    /// [`UNITS_MAX`]. Nothing has changed then.
    pub fn set_capacity(
        &mut self,
        service: &str,
        capacity: u32,
        expected: Option<u32>,
    ) -> Result<(), ProviderFault> {
        let second = self.second;
        let known: Vec<&str> = self.services().map(|spec| spec.name.as_str()).collect();
        let no_such_service =
            ProviderFault::NoSuchService { service: service.to_owned(), known: known.join(", ") };
        let place = self.services.iter_mut().find(|it| it.spec.name == service);
        let place = place.ok_or(no_such_service)?;
        let (service, current) = (service.to_owned(), place.current());
        if let Some(expected) = expected
            && expected != current
        {
            return Err(ProviderFault::Changed { service, expected, current });
        }
        if UNITS_MAX < capacity {
            return Err(ProviderFault::AboveQuota { service, asked: capacity, quota: UNITS_MAX });
        }
        place.set_capacity(second, capacity);
        Ok(())
    }

    /// What the script has brought so far, earliest first; it only grows.
    pub fn incidents(&self) -> &[Incident] {
        self.script.get(..self.n_incidents).unwrap_or_default()
    }

    /// What is true of `service`, whatever its exporter shows.
    pub fn truth(&self, service: &str) -> Option<Truth> {
        let service = self.find(service)?;
        let sums = service.sums;
        let of_arrived = |part: f64| (0.0 < sums.arrived).then(|| (part / sums.arrived).min(1.0));
        #[expect(clippy::cast_precision_loss, reason = "5,000 units reach 2^53 in 57,000 years")]
        let unit_hours = sums.unit_seconds as f64 / 3_600.0;
        Some(Truth {
            load: service.now.load,
            ready: service.ready,
            current: service.current(),
            slo_good_ratio: of_arrived(sums.good),
            unserved_ratio: of_arrived(sums.unserved),
            cost_usd: unit_hours * service.spec.unit_usd_per_hour,
        })
    }

    /// A number that stands for everything that was measured in every second so far: equal runs
    /// have equal fingerprints, and runs that ever differed do not.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn find(&self, service: &str) -> Option<&Service> {
        self.services.iter().find(|it| it.spec.name == service)
    }

    /// Takes note of the second that was reached.
    fn settle(&mut self) {
        let now = self.now();
        while self.script.get(self.n_incidents).is_some_and(|incident| incident.at <= now) {
            self.n_incidents += 1;
        }
        for service in &self.services {
            for number in [
                service.now.load.to_bits(),
                service.now.latency_p95_seconds.to_bits(),
                service.now.waiting.to_bits(),
                u64::from(service.ready),
                u64::from(service.current()),
            ] {
                self.fingerprint = fnv1a(self.fingerprint, &number.to_le_bytes());
            }
        }
    }
}

/// What the exporter of one service shows: what the service says of itself, which may be a lie,
/// and what the provider says of its units, which is not.
fn exported(service: &Service) -> impl Iterator<Item = (&'static str, f64)> {
    let now = service.now;
    let shown = |value: f64| if now.is_lying { 0.0 } else { value };
    let queue = match service.spec.kind {
        ServiceKind::Web { .. } => None,
        // A queue is counted in messages, and none is waiting in part.
        ServiceKind::Worker { .. } => Some(("queue_depth", shown(now.waiting.round()))),
    };
    [
        Some((service.spec.load_metric(), shown(now.load))),
        Some(("latency_p95_seconds", shown(now.latency_p95_seconds))),
        queue,
        Some(("ready_capacity", f64::from(service.ready))),
        Some(("current_capacity", f64::from(service.current()))),
    ]
    .into_iter()
    .flatten()
}
