//! What monitoring shows of a region: late, with gaps, and sometimes untrue.
//!
//! **In:** the truth of every second, and what faults do to exporters and to the backend.
//! **Out:** a [`Reading`] per service and [`Metric`], as a query of a metrics backend answers.
//! **Not here:** PromQL (a signal's query is the name of a metric), what is true
//! ([`crate::world`]), what follows from a reading (the controllers).

mod instances;
mod past;
mod series;
#[cfg(test)]
mod tests;

use crate::chance::stream_key;
#[cfg(test)]
use crate::world::Truth;
use crate::world::{ServiceKind, UnitSeen, Upkeep, World};

pub use instances::{INSTANCES_MAX, InstanceMetric, InstancesReading};
use series::Series;

/// What can be asked of a service. The name is what a signal's `query` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// `http_requests_per_second` of web services, caches and databases: everything that
    /// arrived, retries and junk included.
    Requests,
    /// `queue_arrivals_per_second` of workers.
    QueueArrivals,
    /// `good_requests_per_second`.
    Good,
    /// `error_ratio`: errors of all that arrived, `0..=1`. No series where nothing arrived:
    /// no traffic is neither good nor bad.
    ErrorRatio,
    /// `latency_p95_seconds`.
    LatencyP95,
    /// `queue_depth`: work that waits.
    QueueDepth,
    /// `cpu_ratio` of ready units, `0..=1`.
    Cpu,
    /// `busy_ratio`: slots in use, `0..=1`.
    Busy,
    /// `hit_ratio` of caches.
    HitRatio,
    /// `replica_lag_seconds` of databases.
    ReplicaLag,
    /// `disk_used_ratio`, `0..=1`.
    DiskUsed,
    /// `certificate_expires_seconds`; 0 when it is too late.
    CertificateExpires,
    /// `spend_usd_per_hour`: units times their price.
    Spend,
    /// `revision_age_seconds`: since the newest deployment.
    RevisionAge,
    /// `requests_total`, a counter: tries that ended, retries and junk included. It counts what
    /// was refused as well, but no junk of a tenant that is limited.
    RequestsTotal,
    /// `requests_good_total`, a counter: of these, answered without error within the objective.
    /// Nobody who counts answers can tell that junk is worth nothing.
    RequestsGoodTotal,
    /// `requests_bad_total`, a counter: the others.
    RequestsBadTotal,
    /// `unit_price_usd_per_hour`.
    UnitPrice,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 18] = [
        Metric::Requests,
        Metric::QueueArrivals,
        Metric::Good,
        Metric::ErrorRatio,
        Metric::LatencyP95,
        Metric::QueueDepth,
        Metric::Cpu,
        Metric::Busy,
        Metric::HitRatio,
        Metric::ReplicaLag,
        Metric::DiskUsed,
        Metric::CertificateExpires,
        Metric::Spend,
        Metric::RevisionAge,
        Metric::RequestsTotal,
        Metric::RequestsGoodTotal,
        Metric::RequestsBadTotal,
        Metric::UnitPrice,
    ];

    /// As a signal's query has it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Requests => "http_requests_per_second",
            Metric::QueueArrivals => "queue_arrivals_per_second",
            Metric::Good => "good_requests_per_second",
            Metric::ErrorRatio => "error_ratio",
            Metric::LatencyP95 => "latency_p95_seconds",
            Metric::QueueDepth => "queue_depth",
            Metric::Cpu => "cpu_ratio",
            Metric::Busy => "busy_ratio",
            Metric::HitRatio => "hit_ratio",
            Metric::ReplicaLag => "replica_lag_seconds",
            Metric::DiskUsed => "disk_used_ratio",
            Metric::CertificateExpires => "certificate_expires_seconds",
            Metric::Spend => "spend_usd_per_hour",
            Metric::RevisionAge => "revision_age_seconds",
            Metric::RequestsTotal => "requests_total",
            Metric::RequestsGoodTotal => "requests_good_total",
            Metric::RequestsBadTotal => "requests_bad_total",
            Metric::UnitPrice => "unit_price_usd_per_hour",
        }
    }

    /// Whether it only grows, until who counts begins anew.
    pub fn is_counter(self) -> bool {
        use Metric::{RequestsBadTotal, RequestsGoodTotal, RequestsTotal};
        matches!(self, RequestsTotal | RequestsGoodTotal | RequestsBadTotal)
    }

    /// The metric of that name.
    pub fn parse(name: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// How often and how late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExporterSpec {
    /// From scrape to scrape, in seconds, `>= 1`. Rates are means since the scrape before.
    pub scrape_seconds: i64,
    /// From a scrape until a query sees it, in seconds, `0 ..=` [`LAG_SECONDS_MAX`].
    pub lag_seconds: i64,
    /// Share of scrapes that fail on an ordinary day: the newest sample is then an older one.
    pub misses_ratio: f64,
}

/// Longest lag. Why 600: samples wait in memory until they are seen, and monitoring that is ten
/// minutes behind is of no more use to a controller than none.
pub const LAG_SECONDS_MAX: i64 = 600;

impl Default for ExporterSpec {
    fn default() -> ExporterSpec {
        ExporterSpec { scrape_seconds: 15, lag_seconds: 2, misses_ratio: 0.002 }
    }
}

/// What faults do to the exporter of one service. The default does nothing.
///
/// Of several at once: a scrape that fails shows nothing new; else a series that is gone is gone;
/// else a frozen one repeats what it showed last, lies included; else it is zero, then
/// multiplied, then garbled. A counter that reads zero has begun anew: when that is over it goes
/// on from zero; a factor multiplies what it counts from then on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExporterKnobs {
    /// The series is gone.
    pub is_gone: bool,
    /// Load (good requests and errors with it), latency, queue, CPU and busy slots read 0; the
    /// hit ratio and the replicas' lag do not.
    pub reads_zero: bool,
    /// The last value before the fault is scraped again and again, with a fresh time.
    pub is_frozen: bool,
    /// Times every value: a wrong unit, a counter that is counted twice.
    pub factor: f64,
    /// NaN, and a negative number every other scrape: a counter that was reset under a bad rate.
    pub is_garbled: bool,
    /// Scrapes fail: no new samples, the old one ages.
    pub is_stale: bool,
}

impl Default for ExporterKnobs {
    fn default() -> ExporterKnobs {
        ExporterKnobs {
            is_gone: false,
            reads_zero: false,
            is_frozen: false,
            factor: 1.0,
            is_garbled: false,
            is_stale: false,
        }
    }
}

/// What faults do to the metrics backend. The default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BackendKnobs {
    /// Queries fail.
    pub is_down: bool,
    /// Queries succeed with an empty answer.
    pub is_empty: bool,
    /// Its clock is ahead by this many seconds (behind when negative).
    pub skew_seconds: i64,
}

/// What a query for one metric of one service answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// The newest sample, which may be a lie, not a number, or old. `sampled_at` is in seconds
    /// since the world's start, by the backend's clock.
    Sample { value: f64, sampled_at: i64 },
    /// The answer has no series for it.
    NoSeries,
    /// The backend did not answer.
    BackendDown,
}

/// Exporters of all services, and the backend that scrapes them.
///
/// Services are not scraped in the same second: each has its own place in the interval, fixed by
/// the seed and its place in the spec, as Prometheus spreads its targets. No
/// allocation after [`Exporter::new`], unless the world's units have names.
#[derive(Clone, Debug)]
pub struct Exporter {
    spec: ExporterSpec,
    /// Whether what was scraped is kept for [`Exporter::read_at`].
    keeps_past: bool,
    backend: BackendKnobs,
    series: Vec<Series>,
    /// Whether the kinds of the services are known.
    has_begun: bool,
}

impl Exporter {
    /// Nothing scraped yet. A number of `spec` that is out of its range counts as the nearest
    /// one in it: [`Exporter::spec`] says what holds.
    pub fn new(seed: u64, spec: ExporterSpec, n_services: usize) -> Exporter {
        let spec = ExporterSpec {
            scrape_seconds: spec.scrape_seconds.max(1),
            lag_seconds: spec.lag_seconds.clamp(0, LAG_SECONDS_MAX),
            misses_ratio: spec.misses_ratio,
        };
        let series = (0..n_services)
            .map(|service| Series::new(stream_key(seed, &format!("exporter/{service}")), &spec))
            .collect();
        let backend = BackendKnobs::default();
        Exporter { spec, keeps_past: false, backend, series, has_begun: false }
    }

    /// From now on the last hours are kept for [`Exporter::read_at`].
    pub fn keep_past(&mut self) {
        self.keeps_past = true;
    }

    /// How often and how late.
    pub fn spec(&self) -> &ExporterSpec {
        &self.spec
    }

    /// Takes note of the second that just passed, and scrapes when it is time. To be called
    /// once after every [`World::tick`].
    pub fn tick(&mut self, world: &World) {
        let second = world.second();
        let services = &world.spec().services;
        if !self.has_begun {
            self.begin(second, services.iter().map(|it| it.kind));
        }
        for service in 0..self.series.len().min(services.len()) {
            let (Some(series), Some(spec)) = (self.series.get_mut(service), services.get(service))
            else {
                continue;
            };
            series.record_tenants(world.tenants(service));
            // A backend that is down scrapes nothing.
            let keeps_past = self.keeps_past.then_some(!self.backend.is_down);
            series.record(&self.spec, second, world.truth(service), keeps_past, || {
                let has_names = world.has_names();
                let units =
                    if has_names { world.units(service, INSTANCES_MAX) } else { Vec::new() };
                Some(Extras {
                    upkeep: world.upkeep(service),
                    unit_price: spec.unit_usd_per_hour,
                    units,
                })
            });
        }
    }

    /// What a query at `second` answers: now, which is the last tick's second or later. Whether
    /// the sample is too old to be of use is for the caller to judge.
    pub fn read(&self, second: i64, service: usize, metric: Metric) -> Reading {
        if self.backend.is_down {
            return Reading::BackendDown;
        }
        if self.backend.is_empty {
            return Reading::NoSeries;
        }
        let scraped_until = second.saturating_sub(self.spec.lag_seconds);
        let newest = self.series.get(service).and_then(|it| it.newest(scraped_until));
        match newest.and_then(|sample| sample.value(metric).map(|value| (sample.at, value))) {
            Some((at, value)) => {
                Reading::Sample { value, sampled_at: at.saturating_add(self.backend.skew_seconds) }
            }
            None => Reading::NoSeries,
        }
    }

    /// What a query over a range, asked at `second`, answers for one of its instants (seconds
    /// since the world's start, by the backend's clock); nothing unless [`Exporter::keep_past`]
    /// was called before. `None` where no sample is fresh enough, or the last scrape failed.
    ///
    /// # Errors
    ///
    /// [`Reading::NoSeries`] and [`Reading::BackendDown`], as reasons why there is no answer at
    /// all.
    pub fn read_at(
        &self,
        second: i64,
        service: usize,
        metric: Metric,
        instant: i64,
    ) -> Result<Option<f64>, Reading> {
        if self.backend.is_down {
            return Err(Reading::BackendDown);
        }
        if self.backend.is_empty {
            return Err(Reading::NoSeries);
        }
        let scraped_until = second.saturating_sub(self.spec.lag_seconds);
        let instant = instant.saturating_sub(self.backend.skew_seconds);
        let series = self.series.get(service);
        Ok(series.and_then(|it| it.past.at(instant, scraped_until, metric)))
    }

    /// `tenant_requests_per_second` of one service: what each of its tenants asks for, let in or
    /// not, in the order of [`World::tenants`], as the mean since the scrape before; and when it
    /// was sampled. Exporters' faults spare it: it is counted at the door.
    ///
    /// # Errors
    ///
    /// As [`Exporter::read_at`]; [`Reading::NoSeries`] for a service without tenants too.
    pub fn read_tenants(&self, second: i64, service: usize) -> Result<(&[f64], i64), Reading> {
        if self.backend.is_down {
            return Err(Reading::BackendDown);
        }
        let scraped_until = second.saturating_sub(self.spec.lag_seconds);
        let series = self.series.get(service).filter(|_| !self.backend.is_empty);
        let (at, values) =
            series.and_then(|it| it.newest_tenants(scraped_until)).ok_or(Reading::NoSeries)?;
        Ok((values, at.saturating_add(self.backend.skew_seconds)))
    }

    /// As [`Exporter::read`], with one value per unit. Nothing before
    /// [`World::name_units`].
    pub fn read_instances(
        &self,
        second: i64,
        service: usize,
        metric: InstanceMetric,
    ) -> InstancesReading {
        if self.backend.is_down {
            return InstancesReading::BackendDown;
        }
        let scraped_until = second.saturating_sub(self.spec.lag_seconds);
        let series = self.series.get(service).filter(|_| !self.backend.is_empty);
        let Some((at, units)) = series.and_then(|it| it.newest_units(scraped_until)) else {
            return InstancesReading::NoSeries;
        };
        let values: Vec<(u32, f64)> = units.iter().filter_map(|it| it.value(metric)).collect();
        if values.is_empty() {
            return InstancesReading::NoSeries;
        }
        InstancesReading::Sample {
            values,
            sampled_at: at.saturating_add(self.backend.skew_seconds),
        }
    }

    /// What faults do to the exporter of one service, to be changed. They tell with the next
    /// scrape, when they begin as when they end.
    ///
    /// # Panics
    ///
    /// When there is no such service.
    pub fn knobs_mut(&mut self, service: usize) -> &mut ExporterKnobs {
        &mut self.series[service].knobs
    }

    /// What faults do to the backend, to be changed. They tell with the next read.
    pub fn backend_mut(&mut self) -> &mut BackendKnobs {
        &mut self.backend
    }

    /// Learns what there is to scrape; `second` is the first that will be recorded.
    fn begin(&mut self, second: i64, kinds: impl Iterator<Item = ServiceKind>) {
        self.has_begun = true;
        for (series, kind) in self.series.iter_mut().zip(kinds) {
            series.begin(&self.spec, second, kind);
        }
    }

    /// [`Exporter::tick`] for one service of which nothing but its traffic is known.
    #[cfg(test)]
    fn record(&mut self, second: i64, service: usize, truth: &Truth) {
        if let Some(series) = self.series.get_mut(service) {
            series.record(&self.spec, second, truth, self.keeps_past.then_some(true), || None);
        }
    }
}

/// What is measured only when it is scraped.
#[derive(Debug)]
struct Extras {
    upkeep: Upkeep,
    unit_price: f64,
    /// Empty where units have no names.
    units: Vec<UnitSeen>,
}
