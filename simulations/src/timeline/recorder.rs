//! Gathers a timeline in bounded memory.
//!
//! **In:** stretches of equal values per service, and events.
//! **Out:** a [`Timeline`].
//! **Not here:** what the values mean ([`super::Bin`]), drawing ([`crate::report`]).

use std::collections::VecDeque;

use super::{BINS_MAX, Bin, EVENTS_MAX, Event, ServiceTimeline, Timeline};

/// Longest first bin and longest timeline, in seconds. Why: 2^52 seconds and 1,024 times a bin
/// that ends there stay far inside `i64`, and every whole second is exact in an `f64`.
const SECONDS_MAX: i64 = 1 << 52;

/// Events that are kept from the beginning of a run; as many are kept from its end.
const EVENTS_FIRST: usize = EVENTS_MAX / 2;

/// What was true of one service over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// True load, in the timeline's unit.
    pub load: f64,
    /// What was expected for now: 10 %, 50 %, 90 % quantile of load.
    pub forecast: Option<[f64; 3]>,
    /// Units that serve.
    pub ready: u32,
    /// Units asked for.
    pub desired: u32,
    /// Units that are needed.
    pub needed: u32,
    /// Offered per second.
    pub offered: f64,
    /// Good of these per second.
    pub good: f64,
    /// 95th percentile of latency, in seconds.
    pub latency_p95_seconds: Option<f64>,
    /// Spent per second.
    pub cost_usd: f64,
}

/// Gathers a timeline. Memory does not depend on how long it is.
#[derive(Debug)]
pub struct Recorder {
    begins_at: i64,
    bin_seconds: i64,
    load_unit: String,
    services: Vec<Track>,
    first: Vec<Event>,
    newest: VecDeque<Event>,
    events_left_out: u64,
}

/// One service's part.
#[derive(Debug)]
struct Track {
    service: ServiceTimeline,
    /// Seconds since the beginning, gaps included.
    elapsed: i64,
    sums: Vec<Sums>,
}

/// A bin before it is divided by its seconds.
#[derive(Clone, Copy, Debug)]
struct Sums {
    seconds: i64,
    load: f64,
    load_max: f64,
    forecast_seconds: i64,
    forecast: [f64; 3],
    ready_min: u32,
    desired: u32,
    needed_max: u32,
    offered: f64,
    good: f64,
    latency_p95_seconds: Option<f64>,
    cost_usd: f64,
}

impl Recorder {
    /// Begins at Unix second `begins_at` with bins of `bin_seconds` (at least 1), which double
    /// whenever [`BINS_MAX`] of them are full. `services` say what is fixed; their bins are
    /// dropped.
    pub fn new(
        begins_at: i64,
        bin_seconds: i64,
        load_unit: &str,
        services: Vec<ServiceTimeline>,
    ) -> Recorder {
        let track = |mut service: ServiceTimeline| {
            service.bins = Vec::new();
            Track { service, elapsed: 0, sums: Vec::with_capacity(BINS_MAX) }
        };
        Recorder {
            begins_at,
            bin_seconds: bin_seconds.clamp(1, SECONDS_MAX),
            load_unit: load_unit.to_owned(),
            services: services.into_iter().map(track).collect(),
            first: Vec::with_capacity(EVENTS_FIRST),
            newest: VecDeque::with_capacity(EVENTS_MAX - EVENTS_FIRST),
            events_left_out: 0,
        }
    }

    /// Adds `seconds` in which `moment` was true of the service at position `service`. Does
    /// nothing for other positions or when `seconds` is not positive.
    pub fn second(&mut self, service: usize, seconds: i64, moment: &Moment) {
        self.pass(service, seconds, Some(moment));
    }

    /// Lets `seconds` pass of which nothing is known.
    pub fn gap(&mut self, service: usize, seconds: i64) {
        self.pass(service, seconds, None);
    }

    fn pass(&mut self, service: usize, seconds: i64, moment: Option<&Moment>) {
        let Some(elapsed) = self.services.get(service).map(|track| track.elapsed) else {
            return;
        };
        let ends = elapsed.saturating_add(seconds.max(0)).min(SECONDS_MAX);
        while length(BINS_MAX).saturating_mul(self.bin_seconds) < ends {
            self.join_neighbours();
        }
        let Some(track) = self.services.get_mut(service) else { return };
        while track.elapsed < ends {
            let index = track.elapsed / self.bin_seconds;
            let bin_ends = (index + 1) * self.bin_seconds;
            let part = ends.min(bin_ends) - track.elapsed;
            if length(track.sums.len()) <= index {
                track.sums.push(Sums::EMPTY);
            }
            if let (Some(sums), Some(moment)) = (track.sums.last_mut(), moment) {
                sums.add(part, moment);
            }
            track.elapsed += part;
        }
    }

    fn join_neighbours(&mut self) {
        self.bin_seconds *= 2;
        for track in &mut self.services {
            let bins = track.sums.len();
            for joined in 0..bins.div_ceil(2) {
                let mut sums = track.sums[2 * joined];
                if let Some(next) = track.sums.get(2 * joined + 1) {
                    sums.join(next);
                }
                track.sums[joined] = sums;
            }
            track.sums.truncate(bins.div_ceil(2));
        }
    }

    /// Adds an event; events come in order of time.
    pub fn event(&mut self, event: Event) {
        if self.first.len() < EVENTS_FIRST {
            self.first.push(event);
            return;
        }
        if EVENTS_MAX - EVENTS_FIRST <= self.newest.len() {
            self.newest.pop_front();
            self.events_left_out += 1;
        }
        self.newest.push_back(event);
    }

    /// What was gathered.
    pub fn finish(self) -> Timeline {
        let services = self.services.into_iter().map(|Track { mut service, sums, .. }| {
            service.bins = sums.iter().map(Sums::bin).collect();
            service
        });
        let mut events = self.first;
        events.extend(self.newest);
        Timeline {
            begins_at: self.begins_at,
            bin_seconds: self.bin_seconds,
            load_unit: self.load_unit,
            services: services.collect(),
            events,
            events_left_out: self.events_left_out,
        }
    }
}

impl Sums {
    const EMPTY: Sums = Sums {
        seconds: 0,
        load: 0.0,
        load_max: f64::NEG_INFINITY,
        forecast_seconds: 0,
        forecast: [0.0; 3],
        ready_min: u32::MAX,
        desired: 0,
        needed_max: 0,
        offered: 0.0,
        good: 0.0,
        latency_p95_seconds: None,
        cost_usd: 0.0,
    };

    fn add(&mut self, seconds: i64, moment: &Moment) {
        let times = float(seconds);
        let scaled = |values: [f64; 3]| values.map(|value| value * times);
        self.join(&Sums {
            seconds,
            load: moment.load * times,
            load_max: moment.load,
            forecast_seconds: if moment.forecast.is_some() { seconds } else { 0 },
            forecast: moment.forecast.map_or([0.0; 3], scaled),
            ready_min: moment.ready,
            desired: moment.desired,
            needed_max: moment.needed,
            offered: moment.offered * times,
            good: moment.good * times,
            latency_p95_seconds: moment.latency_p95_seconds,
            cost_usd: moment.cost_usd * times,
        });
    }

    /// Adds what came later.
    fn join(&mut self, later: &Sums) {
        if later.seconds == 0 {
            return;
        }
        self.seconds += later.seconds;
        self.load += later.load;
        self.load_max = self.load_max.max(later.load_max);
        self.forecast_seconds += later.forecast_seconds;
        for (sum, more) in self.forecast.iter_mut().zip(later.forecast) {
            *sum += more;
        }
        self.ready_min = self.ready_min.min(later.ready_min);
        self.desired = later.desired;
        self.needed_max = self.needed_max.max(later.needed_max);
        self.offered += later.offered;
        self.good += later.good;
        self.latency_p95_seconds = match (self.latency_p95_seconds, later.latency_p95_seconds) {
            (Some(here), Some(there)) => Some(here.max(there)),
            (here, there) => here.or(there),
        };
        self.cost_usd += later.cost_usd;
    }

    fn bin(&self) -> Bin {
        if self.seconds == 0 {
            return Bin::default();
        }
        let known = 0 < self.forecast_seconds;
        let expected = float(self.forecast_seconds);
        Bin {
            seconds: self.seconds,
            load: self.load / float(self.seconds),
            load_max: self.load_max,
            forecast: known.then(|| self.forecast.map(|sum| sum / expected)),
            ready_min: self.ready_min,
            desired: self.desired,
            needed_max: self.needed_max,
            good_ratio: (0.0 < self.offered).then(|| self.good / self.offered),
            latency_p95_seconds: self.latency_p95_seconds,
            cost_usd: self.cost_usd,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no sum of seconds is above 2^53")]
fn float(seconds: i64) -> f64 {
    seconds as f64
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
