//! A region that runs beside a real daemon: the demo's, a test's, a benchmark's.
//!
//! **In:** a scenario or a spec with faults, a seed and a start; then instants to advance to,
//! and capacities to set.
//! **Out:** what monitoring shows (late, with gaps and lies, as it is), what the provider says,
//! incidents in words, and the truth for whoever watches.
//! **Not here:** the parts themselves ([`crate::world`], [`crate::exporter`],
//! [`crate::provider`], [`crate::fault`]); runs in which the controller is simulated too
//! ([`crate::run`]). Faults of the agent itself are of such runs only; here nothing comes of
//! them, and nobody is paged.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::exporter::{Exporter, ExporterSpec, Metric, Reading};
use crate::fault::{Fault, Happenings, Schedule};
use crate::provider::{Answer, Inventory, Provider};
use crate::scenario::region::RegionScenario;
use crate::world::{ServiceKind, ServiceSpec, SpecError, World, WorldSpec};

/// Most simulated time one [`Region::advance`] passes.
///
/// Why 40 days: a laptop that slept for half a day under a clock 60 times as fast wakes 30 days
/// later; a timestamp farther away is a mistake and must not compute for hours.
pub const ADVANCE_MAX: SignedDuration = SignedDuration::from_hours(40 * 24);

/// Seconds that a region of [`Region::with`] runs before its start. Why 60: four scrapes, so
/// that monitoring has something to show of every service, also where one scrape fails.
const WARM_UP_SECONDS: i64 = 60;

/// What is true of one service, whatever monitoring shows: for whoever watches, never for the
/// agent. Sums are since the region's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// First tries per second in the last second.
    pub load: f64,
    /// Units that serve now.
    pub ready: u32,
    /// Units that exist now, ready or not.
    pub current: u32,
    /// Share of first tries that were answered without error within the objective,
    /// `0.0 ..= 1.0`. `None` before anything arrived.
    pub slo_good_ratio: Option<f64>,
    /// Share of first tries that were given up, `0.0 ..= 1.0`. `None` before anything arrived.
    pub unserved_ratio: Option<f64>,
    /// Price of all units that existed.
    pub cost_usd: f64,
}

/// Something that began or ended, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub at: Timestamp,
    /// What, with the names of the services: one phrase without a full stop.
    pub what: String,
}

/// The metrics backend did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metrics backend does not answer")]
pub struct BackendDown;

/// Why the provider did not do as it was told, or did not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// There is no such service; nothing has changed.
    #[error("the region has no service `{service}`; it has {known}")]
    NoSuchService {
        /// The name that was asked for.
        service: String,
        /// The names there are, the first of them where there are many.
        known: String,
    },
    /// It said no: not what was expected, above the quota, too many calls, or down. Nothing has
    /// changed.
    #[error("{0}")]
    Rejected(String),
    /// No answer: it may have happened or not.
    #[error("{0}")]
    NoAnswer(String),
}

/// A region. It moves only when told to: by [`Region::advance`], in steps of one second.
///
/// Cost: about 0.2 us per simulated second and service in a release build.
#[derive(Clone, Debug)]
pub struct Region {
    world: World,
    exporter: Exporter,
    provider: Provider,
    schedule: Schedule,
    places: BTreeMap<String, usize>,
    start: Timestamp,
    /// Seconds from the world's start to the region's.
    warm_up: i64,
    incidents: Vec<Incident>,
}

impl Region {
    /// The region of a scenario, with what breaks in it. Its scored part begins at `start` (cut
    /// to a whole second) instead of the scenario's own time; the load follows UTC's day and
    /// week. Its warm-up has passed. What the scenario says of people, of a swarm and of what
    /// must come of it has no part in this.
    ///
    /// # Errors
    ///
    /// A spec that [`WorldSpec::check`] refuses; a scenario that was read from a file has none.
    pub fn from_scenario(
        scenario: &RegionScenario,
        seed: u64,
        start: Timestamp,
    ) -> Result<Region, SpecError> {
        let RegionScenario { world, exporter, faults, warm_up, .. } = scenario;
        Region::build(seed, start, world.clone(), *exporter, faults.clone(), *warm_up)
    }

    /// A region of `spec` with ordinary monitoring. Faults count from `start`; those of services
    /// that are not there do nothing.
    ///
    /// # Errors
    ///
    /// As [`WorldSpec::check`].
    pub fn with(
        seed: u64,
        start: Timestamp,
        spec: WorldSpec,
        faults: Vec<Fault>,
    ) -> Result<Region, SpecError> {
        Region::build(seed, start, spec, ExporterSpec::default(), faults, WARM_UP_SECONDS)
    }

    fn build(
        seed: u64,
        start: Timestamp,
        spec: WorldSpec,
        exporter: ExporterSpec,
        faults: Vec<Fault>,
        warm_up: i64,
    ) -> Result<Region, SpecError> {
        let start = Timestamp::from_second(start.as_second()).unwrap_or(start);
        let begins_at = start.saturating_sub(SignedDuration::from_secs(warm_up)).unwrap_or(start);
        let world = World::new(seed, begins_at, spec)?;
        let services = &world.spec().services;
        let places = services.iter().zip(0..).map(|(it, place)| (it.name.clone(), place)).collect();
        let exporter = Exporter::new(seed, exporter, services.len());
        let mut region = Region {
            start,
            // Shorter at the edge of time.
            warm_up: start.as_second().saturating_sub(world.start().as_second()),
            exporter,
            provider: Provider::new(seed, &world),
            schedule: Schedule::new(faults),
            places,
            incidents: Vec::new(),
            world,
        };
        while region.world.second() < region.warm_up {
            region.pass_second();
        }
        region.world.restart_sums();
        Ok(region)
    }

    /// When the region began: after its warm-up.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// How far it has come: the whole second that the last [`Region::advance`] reached.
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Its services, in the order of the spec.
    pub fn services(&self) -> impl Iterator<Item = &ServiceSpec> {
        self.world.spec().services.iter()
    }

    /// Lets time pass until `to`, second by second; an instant that has passed changes nothing.
    /// At most [`ADVANCE_MAX`] in one call; then call again. [`Region::now`] says how far it came.
    ///
    /// In how many calls a span is passed makes no difference to any number.
    pub fn advance(&mut self, to: Timestamp) {
        let until = to.as_second().saturating_sub(self.world.start().as_second());
        let until = until.min(self.world.second().saturating_add(ADVANCE_MAX.as_secs()));
        while self.world.second() < until {
            self.pass_second();
        }
    }

    /// Faults turn knobs; the region moves; exporters scrape and late changes take effect;
    /// others pull levers. The order of [`crate::run`].
    fn pass_second(&mut self) {
        let Region { world, exporter, provider, schedule, .. } = self;
        let at = world.second().saturating_sub(self.warm_up);
        let now = world.now();
        let Happenings { agent: _, set_units, began, ended } =
            schedule.apply(at, world, exporter, provider);
        world.tick();
        exporter.tick(world);
        provider.tick(world);
        for (service, units) in set_units {
            // Another automation does not care whether it was heard: it comes again.
            let _ = provider.set_units(world, service, units, None);
        }
        let told = ended.into_iter().chain(began).map(|what| Incident { at: now, what });
        self.incidents.extend(told);
    }

    /// What a query for one metric of one service answers now: the newest sample, which may be a
    /// lie or old, and when it was taken by the backend's clock. `None` where there is no such
    /// series. The names are those of [`Metric`].
    ///
    /// # Errors
    ///
    /// The backend did not answer.
    pub fn metric(
        &self,
        metric: &str,
        service: &str,
    ) -> Result<Option<(f64, Timestamp)>, BackendDown> {
        let (Some(metric), Some(place)) = (Metric::parse(metric), self.place(service)) else {
            return Ok(None);
        };
        match self.exporter.read(self.world.second(), place, metric) {
            Reading::Sample { value, sampled_at } => {
                let since_start = SignedDuration::from_secs(sampled_at);
                let at = self.world.start().saturating_add(since_start);
                Ok(at.ok().map(|at| (value, at)))
            }
            Reading::NoSeries => Ok(None),
            Reading::BackendDown => Err(BackendDown),
        }
    }

    /// The metric that shows the load of a service; `None` for one that is not there.
    pub fn load_metric(&self, service: &str) -> Option<Metric> {
        let spec = self.world.spec().services.get(self.place(service)?)?;
        Some(match spec.kind {
            ServiceKind::Workers { .. } => Metric::QueueArrivals,
            ServiceKind::Web { .. } | ServiceKind::Cache { .. } | ServiceKind::Database { .. } => {
                Metric::Requests
            }
        })
    }

    /// What would have arrived in the `days` before the region's start, every `step` (at least a
    /// second), earliest first; see [`World::history`]. Empty for a service that is not there.
    ///
    /// Asking for more days does not change the later ones.
    pub fn history(&self, service: &str, days: u32, step: SignedDuration) -> Vec<(Timestamp, f64)> {
        self.place(service)
            .map_or_else(Vec::new, |place| self.world.history_until(self.start, place, days, step))
    }

    /// What the provider says of a service now: units that it is set to, and units that serve.
    ///
    /// # Errors
    ///
    /// There is no such service, or the provider refuses the call.
    pub fn inventory(&mut self, service: &str) -> Result<Inventory, ProviderFault> {
        let place = self.known(service)?;
        self.provider.read(&self.world, place).map_err(ProviderFault::Rejected)
    }

    /// Asks the provider for `units` of a service, absolute and idempotent. New ones boot;
    /// surplus leaves at once. With `expected`, only when the service is set to that now.
    ///
    /// # Errors
    ///
    /// [`ProviderFault`]. Only after no answer it may have happened.
    pub fn set_capacity(
        &mut self,
        service: &str,
        units: u32,
        expected: Option<u32>,
    ) -> Result<(), ProviderFault> {
        let place = self.known(service)?;
        match self.provider.set_units(&mut self.world, place, units, expected).answer {
            Answer::Done => Ok(()),
            Answer::Rejected(why) => Err(ProviderFault::Rejected(why)),
            Answer::Unknown(why) => Err(ProviderFault::NoAnswer(why)),
        }
    }

    /// What began and ended so far, earliest first; it only grows.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// What is true of `service`, whatever monitoring shows.
    pub fn truth(&self, service: &str) -> Option<Truth> {
        let place = self.place(service)?;
        let (now, sums) = (self.world.truth(place), self.world.sums(place));
        let price = self.world.spec().services.get(place)?.unit_usd_per_hour;
        let of_offered = |part: f64| (0.0 < sums.offered).then(|| (part / sums.offered).min(1.0));
        #[expect(clippy::cast_precision_loss, reason = "5,000 units reach 2^53 in 57,000 years")]
        let unit_hours = sums.unit_seconds as f64 / 3_600.0;
        Some(Truth {
            load: now.offered_rps,
            ready: now.ready,
            current: now.current,
            slo_good_ratio: of_offered(sums.good),
            unserved_ratio: of_offered(sums.lost),
            cost_usd: unit_hours * price,
        })
    }

    /// A number that stands for everything that was true in every second so far: equal runs
    /// have equal fingerprints, and runs that ever differed do not.
    pub fn fingerprint(&self) -> u64 {
        self.world.fingerprint()
    }

    fn place(&self, service: &str) -> Option<usize> {
        self.places.get(service).copied()
    }

    fn known(&self, service: &str) -> Result<usize, ProviderFault> {
        /// Why 20: a line that a person still reads.
        const NAMES_SHOWN: usize = 20;
        self.place(service).ok_or_else(|| {
            let names: Vec<&str> =
                self.services().take(NAMES_SHOWN).map(|it| it.name.as_str()).collect();
            let more = if names.len() < self.places.len() { ", …" } else { "" };
            let known = names.join(", ") + more;
            ProviderFault::NoSuchService { service: service.to_owned(), known }
        })
    }
}
