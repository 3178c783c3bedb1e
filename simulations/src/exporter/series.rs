//! The samples of one service.
//!
//! **In:** the truth of every second, and what faults do to the exporter.
//! **Out:** [`Sample`]s, as many as a query may still ask for.
//! **Not here:** the backend's own faults, and its answers ([`crate::exporter`]).

use crate::chance::{fraction, mix, seconds_f64};
use crate::world::{ServiceKind, Truth};

use super::instances::UnitSample;
use super::past::Past;
use super::{ExporterKnobs, ExporterSpec, Extras, Metric};

/// Failed scrapes after which rates begin anew instead of averaging over the whole gap.
///
/// Why 4: `rate()` over four scrape intervals is what Prometheus' users are told to write; what
/// lies farther back than its window has no say in what it answers after a gap.
const GAP_SCRAPES_MAX: i64 = 4;

/// One number for every metric, at `metric as usize`.
type Values = [f64; Metric::ALL.len()];

/// What one scrape brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Seconds since the world's start.
    pub(super) at: i64,
    /// Which metrics it has: [`bit`]s.
    has: u32,
    values: Values,
}

impl Sample {
    /// Its value of a metric; `None` where it has no such series.
    pub(super) fn value(&self, metric: Metric) -> Option<f64> {
        (self.has & bit(metric) != 0).then(|| self.values[metric as usize])
    }
}

/// Sums since the last scrape that succeeded.
#[derive(Clone, Debug, Default)]
struct Interval {
    seconds: u32,
    arrived: f64,
    good: f64,
    errors: f64,
    latency_p95: f64,
    cpu: f64,
    busy: f64,
    /// What each tenant asked for.
    tenants: Vec<f64>,
}

/// What one service's exporter counts, and what the backend has of it.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// When it is scraped next; seconds since the world's start.
    due_at: i64,
    interval: Interval,
    /// Metrics that a service of its kind has: [`bit`]s. None before [`Series::begin`].
    has: u32,
    pub(super) knobs: ExporterKnobs,
    key: u64,
    /// The latest samples in a ring, `newest` the place of the last one.
    samples: Box<[Sample]>,
    newest: usize,
    n_samples: usize,
    /// Of every sample, its units; nothing where they have no names.
    units: Box<[Vec<UnitSample>]>,
    /// And what each tenant asked for per second; nothing where there are none.
    tenants: Box<[Vec<f64>]>,
    /// Tries that ended and that ended well, since who counts began.
    counted: Counted,
    pub(super) past: Past,
}

/// Counters of answers.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    ended: f64,
    fine: f64,
    /// Not the difference of the two: rounding would let it fall, and a counter that falls has
    /// begun anew.
    bad: f64,
}

impl Series {
    /// Nothing scraped yet. `spec` must be in range.
    pub(super) fn new(key: u64, spec: &ExporterSpec) -> Series {
        // So many scrapes are too fresh to be seen, and one more is seen.
        let fresh_max = (spec.lag_seconds - 1).div_euclid(spec.scrape_seconds) + 1;
        let n = usize::try_from(fresh_max).unwrap_or(0) + 1;
        Series {
            due_at: i64::MAX,
            interval: Interval::default(),
            has: 0,
            knobs: ExporterKnobs::default(),
            key,
            samples: vec![Sample::default(); n].into_boxed_slice(),
            newest: 0,
            n_samples: 0,
            units: vec![Vec::new(); n].into_boxed_slice(),
            tenants: vec![Vec::new(); n].into_boxed_slice(),
            counted: Counted::default(),
            past: Past::default(),
        }
    }

    /// Learns what it has to show. `second` is the first that will be recorded.
    pub(super) fn begin(&mut self, spec: &ExporterSpec, second: i64, kind: ServiceKind) {
        self.has = metrics_of(kind);
        self.due_at = self.due_from(spec, second);
    }

    /// First second at or after `second` in which it is scraped.
    fn due_from(&self, spec: &ExporterSpec, second: i64) -> i64 {
        let place = i64::try_from(mix(self.key) >> 1).unwrap_or(0) % spec.scrape_seconds;
        second
            .saturating_add((place - second % spec.scrape_seconds).rem_euclid(spec.scrape_seconds))
    }

    /// Takes note of what was true in `second`, and scrapes when it is time. With `keeps_past`
    /// the sample is kept, or (where it is false) that the backend did not take any.
    pub(super) fn record(
        &mut self,
        spec: &ExporterSpec,
        second: i64,
        truth: &Truth,
        keeps_past: Option<bool>,
        extras: impl FnOnce() -> Option<Extras>,
    ) {
        let Interval { seconds, arrived, good, errors, latency_p95, cpu, busy, tenants: _ } =
            &mut self.interval;
        *seconds = seconds.saturating_add(1);
        *arrived += truth.arrived_rps;
        *good += truth.good_rps;
        *errors += truth.errors_rps;
        *latency_p95 += truth.latency_p95_seconds;
        *cpu += truth.cpu_ratio;
        *busy += truth.busy_ratio;
        if self.knobs.reads_zero {
            self.counted = Counted::default();
        } else {
            self.counted.ended += truth.ended_rps * self.knobs.factor;
            self.counted.fine += truth.fine_rps * self.knobs.factor;
            let bad = (truth.ended_rps - truth.fine_rps).max(0.0);
            self.counted.bad += bad * self.knobs.factor;
        }
        if self.due_at <= second {
            let is_scraped = self.scrape(spec, second, truth, extras);
            if let Some(backend_is_up) = keeps_past {
                let sample = (is_scraped && backend_is_up).then(|| self.samples[self.newest]);
                self.past.push(second, sample);
            }
        }
    }

    /// The newest sample that was scraped at `until` or before.
    pub(super) fn newest(&self, until: i64) -> Option<&Sample> {
        let n = self.samples.len();
        (0..self.n_samples)
            .map(|back| &self.samples[(self.newest + n - back) % n])
            .find(|sample| sample.at <= until)
    }

    /// When the newest sample that was scraped at `until` or before was, and its units.
    pub(super) fn newest_units(&self, until: i64) -> Option<(i64, &[UnitSample])> {
        let n = self.samples.len();
        (0..self.n_samples)
            .map(|back| (self.newest + n - back) % n)
            .find(|place| self.samples[*place].at <= until)
            .map(|place| (self.samples[place].at, self.units[place].as_slice()))
    }

    /// Takes note of what each tenant asked for in the second that is recorded next.
    pub(super) fn record_tenants<'a>(&mut self, asked: impl Iterator<Item = (&'a str, f64)>) {
        let sums = &mut self.interval.tenants;
        for (place, (_, rps)) in asked.enumerate() {
            match sums.get_mut(place) {
                Some(it) => *it += rps,
                None => sums.push(rps),
            }
        }
    }

    /// When the newest sample that was scraped at `until` or before was, and what each tenant
    /// asked for.
    pub(super) fn newest_tenants(&self, until: i64) -> Option<(i64, &[f64])> {
        let n = self.samples.len();
        let mut places = (0..self.n_samples).map(|back| (self.newest + n - back) % n);
        let place = places.find(|it| self.samples[*it].at <= until)?;
        let tenants = self.tenants[place].as_slice();
        (!tenants.is_empty()).then(|| (self.samples[place].at, tenants))
    }

    /// Whether it brought something.
    fn scrape(
        &mut self,
        spec: &ExporterSpec,
        second: i64,
        truth: &Truth,
        extras: impl FnOnce() -> Option<Extras>,
    ) -> bool {
        self.due_at = self.due_from(spec, second.saturating_add(1));
        let number = u64::from_le_bytes(second.div_euclid(spec.scrape_seconds).to_le_bytes());
        // A hash and not a generator: no scrape's luck depends on how often others were drawn.
        let is_missed = fraction(mix(self.key ^ mix(number))) < spec.misses_ratio;
        if is_missed || self.knobs.is_stale {
            let gap_max = spec.scrape_seconds.saturating_mul(GAP_SCRAPES_MAX);
            if gap_max <= i64::from(self.interval.seconds) {
                self.interval = Interval::default();
            }
            return false;
        }
        let extras = extras();
        let shown = self.shown(number, truth, extras.as_ref());
        let Interval { seconds, mut tenants, .. } = std::mem::take(&mut self.interval);
        let is_shown = shown.is_some();
        if let Some((has, values)) = shown {
            let units = self.shown_units(number, extras.as_ref());
            self.newest = (self.newest + 1) % self.samples.len();
            self.n_samples = (self.n_samples + 1).min(self.samples.len());
            self.samples[self.newest] = Sample { at: second, has, values };
            self.units[self.newest] = units;
            for it in &mut tenants {
                *it /= f64::from(seconds.max(1));
            }
            self.tenants[self.newest] = tenants;
        }
        is_shown
    }

    /// Units as a scrape that succeeds finds them.
    fn shown_units(&self, number: u64, extras: Option<&Extras>) -> Vec<UnitSample> {
        let Some(units) = extras.map(|it| &it.units).filter(|it| !it.is_empty()) else {
            return Vec::new();
        };
        if self.knobs.is_gone {
            return Vec::new();
        }
        if self.knobs.is_frozen {
            return self.newest_units(i64::MAX).map_or_else(Vec::new, |(_, it)| it.to_vec());
        }
        let luck = mix(self.key ^ mix(number.wrapping_add(1)));
        let is_even = number.is_multiple_of(2);
        let shown = units.iter().map(|unit| {
            let mut sample = UnitSample::of(unit, luck);
            sample.falsify(&self.knobs, is_even);
            sample
        });
        shown.collect()
    }

    /// What a scrape that succeeds finds; `None` for a series that froze before its first one.
    fn shown(&self, number: u64, truth: &Truth, extras: Option<&Extras>) -> Option<(u32, Values)> {
        let ExporterKnobs { is_gone, reads_zero, is_frozen, factor, is_garbled, is_stale: _ } =
            self.knobs;
        if is_gone {
            return Some((0, Values::default()));
        }
        if is_frozen {
            let last = self.newest(i64::MAX)?;
            return Some((last.has, last.values));
        }
        let (mut has, mut values) = measured(self.has, &self.interval, self.counted, truth, extras);
        if reads_zero {
            has |= self.has & bit(Metric::ErrorRatio);
            for metric in ZEROED {
                values[metric as usize] = 0.0;
            }
        }
        for (metric, value) in Metric::ALL.into_iter().zip(&mut values) {
            if !metric.is_counter() {
                *value *= factor;
            }
            if is_garbled {
                *value = if number.is_multiple_of(2) { f64::NAN } else { -1.0 - value.abs() };
            }
        }
        Some((has, values))
    }
}

/// What an exporter that started anew, or that asks the wrong place, shows as 0.
const ZEROED: [Metric; 8] = [
    Metric::Requests,
    Metric::QueueArrivals,
    Metric::Good,
    Metric::ErrorRatio,
    Metric::LatencyP95,
    Metric::QueueDepth,
    Metric::Cpu,
    Metric::Busy,
];

/// The metric's place in a set of metrics.
const fn bit(metric: Metric) -> u32 {
    1 << metric as u32
}

/// Metrics that services of a kind have.
fn metrics_of(kind: ServiceKind) -> u32 {
    let own = match kind {
        ServiceKind::Web { .. } => bit(Metric::Requests),
        ServiceKind::Workers { .. } => bit(Metric::QueueArrivals),
        ServiceKind::Cache { .. } => bit(Metric::Requests) | bit(Metric::HitRatio),
        ServiceKind::Database { .. } => bit(Metric::Requests) | bit(Metric::ReplicaLag),
    };
    own | bit(Metric::Good)
        | bit(Metric::ErrorRatio)
        | bit(Metric::LatencyP95)
        | bit(Metric::QueueDepth)
        | bit(Metric::Cpu)
        | bit(Metric::Busy)
        | bit(Metric::RequestsTotal)
        | bit(Metric::RequestsGoodTotal)
        | bit(Metric::RequestsBadTotal)
        | UPKEEP
}

/// What every service has, where it is measured.
const UPKEEP: u32 = bit(Metric::DiskUsed)
    | bit(Metric::CertificateExpires)
    | bit(Metric::Spend)
    | bit(Metric::RevisionAge)
    | bit(Metric::UnitPrice);

/// What is true: means over the interval of what is a rate or a share, the newest of the rest.
fn measured(
    has: u32,
    interval: &Interval,
    counted: Counted,
    truth: &Truth,
    extras: Option<&Extras>,
) -> (u32, Values) {
    let Interval { seconds, arrived, good, errors, latency_p95, cpu, busy, tenants: _ } = *interval;
    let mean = |sum: f64| sum / f64::from(seconds.max(1));
    let mut has = has;
    let error_ratio = if 0.0 < arrived {
        // A time-out can be counted in the interval after its arrival.
        (errors / arrived).min(1.0)
    } else {
        has &= !bit(Metric::ErrorRatio);
        0.0
    };
    if truth.hit_ratio.is_none() {
        has &= !bit(Metric::HitRatio);
    }
    if extras.is_none() {
        has &= !UPKEEP;
    }
    let upkeep = extras.map(|it| it.upkeep).unwrap_or_default();
    let mut values = Values::default();
    for metric in Metric::ALL {
        values[metric as usize] = match metric {
            Metric::Requests | Metric::QueueArrivals => mean(arrived),
            Metric::Good => mean(good),
            Metric::ErrorRatio => error_ratio,
            Metric::LatencyP95 => mean(latency_p95),
            Metric::QueueDepth => truth.queue,
            Metric::Cpu => mean(cpu),
            Metric::Busy => mean(busy),
            Metric::HitRatio => truth.hit_ratio.unwrap_or(0.0),
            Metric::ReplicaLag => truth.replica_lag_seconds,
            Metric::DiskUsed => upkeep.disk_used_ratio,
            Metric::CertificateExpires => seconds_f64(upkeep.certificate_expires_seconds),
            Metric::Spend => upkeep.spend_usd_per_hour,
            Metric::RevisionAge => seconds_f64(upkeep.revision_age_seconds),
            Metric::RequestsTotal => counted.ended,
            Metric::RequestsGoodTotal => counted.fine,
            Metric::RequestsBadTotal => counted.bad,
            Metric::UnitPrice => extras.map_or(0.0, |it| it.unit_price),
        };
    }
    (has, values)
}
