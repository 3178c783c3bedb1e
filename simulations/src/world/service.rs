//! One service: what it is like, and what it remembers from second to second.
//!
//! **In:** its spec, its units, knobs. **Out:** [`Truth`] and [`Sums`], and a [`View`] for its
//! callers.
//! **Not here:** what happens in a second ([`flow`]), the queue's order ([`super::lane`]), units
//! ([`super::units`]), the order of services ([`super::World::tick`]).

mod flow;
mod second;

use super::cache::{Memory, Popularities};
use super::lane::{Jobs, Lane, TRIES};
use super::names::UnitSeen;
use super::spec::{START_CALLS_SECONDS, ServiceKind, ServiceSpec};
use super::station::{Shape, part_of};
use super::tenants::Door;
use super::truth::{Knobs, NEEDED_UTILISATION, Sums, Truth};
use super::units::{Fleet, Traffic, Zones};
use super::upkeep::Kept;

/// Requests per slot that wait before a cache's node turns more away. Why 16: its spec has no
/// such number; an answer takes a millisecond, so that is a few milliseconds of wait.
const CACHE_QUEUE_PER_SLOT: f64 = 16.0;

/// How a service did, as its callers see it in the next second.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Seconds that a call takes, retries included.
    pub(super) seconds: f64,
    /// Share of calls that succeed in the end.
    pub(super) success_ratio: f64,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    service: usize,
    per_request: f64,
    is_needed: bool,
    /// Not made: it fails at once.
    is_broken: bool,
}

/// Where work waits.
#[derive(Clone, Debug)]
enum Work {
    /// Callers wait; the second lane is that of gray units.
    Lanes([Lane; 2]),
    /// Nobody waits.
    Jobs([Jobs; 2]),
}

/// A service with everything that it remembers.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) truth: Truth,
    pub(super) sums: Sums,
    pub(super) knobs: Knobs,
    pub(super) fleet: Fleet,
    /// Whether units or knobs have changed since the last second.
    pub(super) is_stale: bool,
    /// Knobs within their ranges.
    turned: Knobs,
    shape: Shape,
    work: Work,
    retry: [f64; TRIES],
    retries: usize,
    budget_ratio: f64,
    calls: Box<[Call]>,
    start_calls: f64,
    service_seconds: f64,
    cpu_ratio: f64,
    slots_per_unit: u32,
    queue_per_unit: f64,
    /// Fixed size of the queue, for workers.
    queue_max: f64,
    timeout: f64,
    objective_seconds: f64,
    objective_ratio: f64,
    units_max: u32,
    /// Units per request and second.
    units_per_rps: f64,
    memory: Option<Memory>,
    /// Writes among requests; `None` but for databases.
    writes_ratio: Option<f64>,
    writes_rps: f64,
    lag_falls: f64,
    is_promoted: bool,
    pub(super) leak: f64,
    healed: u32,
    /// How many turned gray when the fault began.
    turned_gray: Option<u32>,
    /// Answers without error that were too late to be good, since the start or `restart_sums`.
    pub(super) slow: f64,
    pub(super) kept: Kept,
    /// Where tenants come in; `None` for a service without any.
    pub(super) door: Option<Box<Door>>,
    /// Whether it matters which unit is which.
    pub(super) has_names: bool,
    /// Latency (p95, seconds) and share of errors of well units and of gray ones; only with names.
    lanes_seen: [(f64, f64); 2],
}

impl Service {
    /// A service at the start. `nominal_seconds` is the time a request takes when nothing is
    /// broken, callees included.
    pub(super) fn new(
        spec: &ServiceSpec,
        fleet: Fleet,
        nominal_seconds: f64,
        popularities: &mut Popularities,
    ) -> Service {
        let (queue_per_unit, queue_max, timeout) = match spec.kind {
            ServiceKind::Web { queue_per_unit_max, timeout_seconds }
            | ServiceKind::Database { queue_per_unit_max, timeout_seconds, .. } => {
                (queue_per_unit_max, 0.0, timeout_seconds)
            }
            ServiceKind::Workers { queue_max } => (0.0, queue_max, f64::INFINITY),
            ServiceKind::Cache { timeout_seconds, .. } => {
                (CACHE_QUEUE_PER_SLOT * f64::from(spec.unit.slots), 0.0, timeout_seconds)
            }
        };
        let work = match spec.kind {
            ServiceKind::Workers { .. } => Work::Jobs(Default::default()),
            ServiceKind::Web { .. } | ServiceKind::Cache { .. } | ServiceKind::Database { .. } => {
                Work::Lanes(Default::default())
            }
        };
        let memory = match spec.kind {
            ServiceKind::Cache { items, zipf_exponent, items_per_unit, .. } => {
                let popularity = popularities.of(items, zipf_exponent);
                Some(Memory::warm(popularity, items_per_unit, fleet.ready))
            }
            ServiceKind::Web { .. }
            | ServiceKind::Workers { .. }
            | ServiceKind::Database { .. } => None,
        };
        let writes_ratio = match spec.kind {
            ServiceKind::Database { writes_ratio, .. } => Some(writes_ratio),
            ServiceKind::Web { .. } | ServiceKind::Workers { .. } | ServiceKind::Cache { .. } => {
                None
            }
        };
        let calls = spec.calls.iter().map(|it| Call {
            service: it.service,
            per_request: it.per_request,
            is_needed: it.is_needed,
            is_broken: false,
        });
        let slots = f64::from(spec.unit.slots);
        Service {
            truth: Truth { hit_ratio: memory.as_ref().map(Memory::hit_ratio), ..Truth::default() },
            sums: Sums::default(),
            knobs: Knobs::default(),
            fleet,
            is_stale: true,
            turned: Knobs::default(),
            shape: Shape::default(),
            work,
            retry: [0.0; TRIES],
            retries: usize::try_from(spec.retries.retries).unwrap_or(0).min(TRIES - 1),
            budget_ratio: spec.retries.budget_ratio.unwrap_or(f64::INFINITY),
            calls: calls.collect(),
            start_calls: spec.start_calls / START_CALLS_SECONDS,
            service_seconds: spec.unit.service_seconds,
            cpu_ratio: spec.unit.cpu_ratio,
            slots_per_unit: spec.unit.slots,
            queue_per_unit,
            queue_max,
            timeout,
            objective_seconds: spec.objective_seconds,
            objective_ratio: spec.objective_ratio,
            units_max: spec.units_max.max(1),
            units_per_rps: nominal_seconds / slots / NEEDED_UTILISATION,
            memory,
            writes_ratio,
            writes_rps: 0.0,
            lag_falls: 0.0,
            is_promoted: false,
            leak: 0.0,
            healed: 0,
            turned_gray: None,
            slow: 0.0,
            kept: Kept::new(),
            door: None,
            has_names: false,
            lanes_seen: [(0.0, 0.0); 2],
        }
    }

    /// Units that `rps` needs when nothing is broken.
    pub(super) fn needed(&self, rps: f64) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates, and the rest is clamped"
        )]
        let units = (rps * self.units_per_rps - 1e-9).ceil() as u32;
        units.clamp(1, self.units_max)
    }

    /// A launch changes what exists, not what serves.
    pub(super) fn count_units(&mut self) {
        self.truth.current = self.fleet.current();
        self.truth.desired = self.fleet.desired;
    }

    /// Takes over what knobs and units have become.
    pub(super) fn reshape(&mut self, now: i64, fail_open_ratio: f64) {
        self.is_stale = false;
        self.turned = self.knobs.within_ranges();
        self.kept.follow(now, &mut self.turned);
        if !self.turned.is_down {
            self.is_promoted = false;
        }
        if self.turned.gray_ratio <= 0.0 {
            (self.healed, self.turned_gray) = (0, None);
        }
        // So many turned gray when it began; units that come later are well.
        let ratio = self.turned.gray_ratio;
        let is_new = self.turned_gray.is_none();
        let turned_gray = *self.turned_gray.get_or_insert_with(|| part_of(self.fleet.ready, ratio));
        let gray_units = turned_gray.saturating_sub(self.healed);
        if ratio <= 0.0 {
            self.turned_gray = None;
        }
        let traffic = if self.has_names {
            if ratio <= 0.0 {
                self.fleet.turn_well();
            } else if is_new {
                self.fleet.turn_gray(turned_gray);
            }
            self.fleet.traffic()
        } else {
            Traffic { gray: gray_units, ..Traffic::default() }
        };
        self.shape.follow(
            &self.fleet,
            &self.turned,
            fail_open_ratio,
            self.slots_per_unit,
            &traffic,
        );
        if self.has_names {
            self.shape.gray_share = traffic.gray_share;
        }
        if let Some(memory) = &mut self.memory {
            memory.set_units(self.shape.serving);
        }
        self.truth.ready = self.shape.serving;
        self.truth.current = self.fleet.current();
        self.truth.desired = self.fleet.desired;
    }

    /// Units settle at `now`.
    pub(super) fn settle(&mut self, now: i64, zones: &mut Zones) {
        self.fleet.settle(now, self.leak, zones);
    }

    /// First tries that have not ended: they wait, or will be tried again.
    pub(super) fn open_tries(&self) -> f64 {
        let waiting = match &self.work {
            Work::Lanes(lanes) => lanes.iter().map(Lane::open_tries).sum::<f64>(),
            Work::Jobs(lanes) => lanes.iter().map(Jobs::open_tries).sum(),
        };
        waiting + self.retry.iter().sum::<f64>()
    }

    /// Gray units among those that serve, as of the last second.
    pub(super) fn gray_units(&self) -> u32 {
        self.shape.gray_units
    }

    /// `n` gray units are gray no more.
    pub(super) fn heal(&mut self, n: u32) {
        self.healed = self.healed.saturating_add(n);
    }

    /// From now on it matters which unit is which.
    pub(super) fn name_units(&mut self) {
        if !self.has_names {
            self.has_names = true;
            let gray = self.turned_gray.unwrap_or(0).saturating_sub(self.healed);
            self.fleet.turn_gray(gray);
        }
    }

    /// What can be seen of the oldest units.
    pub(super) fn units_seen(&self, most: usize) -> Vec<UnitSeen> {
        let n_unhealthy = part_of(self.fleet.ready, self.turned.unhealthy_ratio);
        self.fleet.seen(most, &self.lanes_seen, n_unhealthy)
    }

    /// Retries may be at most this share of first tries.
    pub(super) fn limit_retries(&mut self, budget_ratio: Option<f64>) {
        self.budget_ratio = budget_ratio.filter(|it| 0.0 <= *it).unwrap_or(f64::INFINITY);
    }

    /// Calls to one service fail at once, or no longer.
    pub(super) fn set_breaker(&mut self, callee: usize, is_broken: bool) {
        for call in self.calls.iter_mut().filter(|it| it.service == callee) {
            call.is_broken = is_broken;
        }
    }

    /// Fills a cache as far as it goes.
    pub(super) fn warm(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.refill();
            self.truth.hit_ratio = Some(memory.hit_ratio());
        }
    }

    /// Forgets what a cache holds.
    pub(super) fn flush(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.flush();
            self.truth.hit_ratio = Some(0.0);
        }
    }

    /// A replica becomes the primary.
    pub(super) fn promote(&mut self) {
        if self.writes_ratio.is_some() {
            self.sums.lost_writes += self.truth.replica_lag_seconds * self.writes_rps;
            self.truth.replica_lag_seconds = 0.0;
            self.is_promoted = self.knobs.is_down;
            self.is_stale = true;
        }
    }
}
