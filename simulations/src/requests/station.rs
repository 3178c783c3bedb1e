//! One service as one station: its servers, its queue, its chance, and its tally.
//!
//! **In:** instants in nanoseconds, and the spec of the service. **Out:** draws, and integrals
//! that are brought up to an instant.
//! **Not here:** what follows from an event ([`super::engine`]).

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::arena::NONE;
use super::tally::{Mark, ServiceTally};
use super::{ERROR_TIME_RATIO, ServiceSteps};
use crate::chance::{fraction, generator};
use crate::world::{Knobs, RetrySpec, ServiceKind, ServiceSpec};

const NANOSECONDS: f64 = 1e9;

/// Seconds as whole nanoseconds; below 0 and NaN are 0, and what is too long is the longest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) fn nanoseconds(seconds: f64) -> u64 {
    (seconds * NANOSECONDS) as u64
}

/// A count rounded down; the highest where it is too large.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) fn whole(count: f64) -> u32 {
    count as u32
}

/// Requests per slot that wait in a cache before more are turned away. Why 16: its spec has no
/// such number, and the fluid model has this one.
const CACHE_QUEUE_PER_SLOT: f64 = 16.0;

/// One millionth of a retry.
const RETRY: u64 = 1_000_000;

/// How many retries are left: first tries pay in, retries take out.
///
/// What was paid in and not used is kept for this second and the one before, and one retry is
/// kept for longer: else a service with few requests would never have any.
#[derive(Debug)]
struct Budget {
    /// Millionths of a retry for every first try; `None` sets no bound.
    share: Option<u64>,
    left: u64,
    second: u64,
    paid: u64,
    paid_before: u64,
}

impl Budget {
    fn new(spec: RetrySpec) -> Budget {
        // 1e6 times the ratio, in whole numbers.
        let share = spec.budget_ratio.map(|it| nanoseconds(it / 1e3));
        Budget { share, left: 0, second: 0, paid: 0, paid_before: 0 }
    }

    fn turn(&mut self, now: u64) {
        let second = now / 1_000_000_000;
        if self.second < second {
            self.paid_before = if self.second + 1 == second { self.paid } else { 0 };
            self.paid = 0;
            self.second = second;
        }
        self.left = self.left.min((self.paid + self.paid_before).max(RETRY));
    }

    fn pay(&mut self, now: u64) {
        let Some(share) = self.share else { return };
        self.paid += share;
        self.left += share;
        self.turn(now);
    }

    fn take(&mut self, now: u64) -> bool {
        if self.share.is_none() {
            return true;
        }
        self.turn(now);
        let is_enough = RETRY <= self.left;
        if is_enough {
            self.left -= RETRY;
        }
        is_enough
    }
}

/// State of one service.
#[derive(Debug)]
pub(super) struct Station {
    slots: u32,
    service_seconds: f64,
    kind: ServiceKind,
    retries: u32,
    objective: u64,
    hit_ratio: f64,
    has_calls: bool,
    /// How long callers wait; `None` for ever.
    pub(super) timeout: Option<u64>,
    pub(super) load_rps: f64,
    pub(super) knobs: Knobs,
    pub(super) servers: u32,
    queue_max: u32,
    pub(super) busy: u32,
    in_system: u32,
    /// The queue: first, last, and how many.
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) queued: u32,
    /// Time-outs to come with request and generation. In order, because all wait equally long.
    pub(super) timeouts: VecDeque<(u64, u32, u32)>,
    /// Whether an event for the first time-out is on its way.
    pub(super) is_armed: bool,
    /// Grows when the load changes: arrivals drawn before are void.
    pub(super) epoch: u32,
    budget: Budget,
    arrivals: ChaCha8Rng,
    work: ChaCha8Rng,
    calls: ChaCha8Rng,
    changed_at: u64,
    minute_at: u64,
    mark: Mark,
    pub(super) tally: ServiceTally,
}

impl Station {
    pub(super) fn new(seed: u64, spec: &ServiceSpec, steps: &ServiceSteps) -> Station {
        let chance = |purpose: &str| generator(seed, &format!("requests/{purpose}/{}", spec.name));
        let timeout = match spec.kind {
            ServiceKind::Web { timeout_seconds, .. }
            | ServiceKind::Cache { timeout_seconds, .. }
            | ServiceKind::Database { timeout_seconds, .. } => Some(nanoseconds(timeout_seconds)),
            ServiceKind::Workers { .. } => None,
        };
        let mut station = Station {
            slots: spec.unit.slots,
            service_seconds: spec.unit.service_seconds,
            kind: spec.kind,
            retries: spec.retries.retries,
            objective: nanoseconds(spec.objective_seconds),
            hit_ratio: match spec.kind {
                ServiceKind::Cache { .. } => steps.hit_ratio,
                ServiceKind::Web { .. }
                | ServiceKind::Workers { .. }
                | ServiceKind::Database { .. } => 0.0,
            },
            has_calls: !spec.calls.is_empty(),
            timeout,
            load_rps: 0.0,
            knobs: Knobs::default(),
            servers: 0,
            queue_max: 0,
            busy: 0,
            in_system: 0,
            first: NONE,
            last: NONE,
            queued: 0,
            timeouts: VecDeque::new(),
            is_armed: false,
            epoch: 0,
            budget: Budget::new(spec.retries),
            arrivals: chance("arrivals"),
            work: chance("work"),
            calls: chance("calls"),
            changed_at: 0,
            minute_at: 0,
            mark: Mark::default(),
            tally: ServiceTally::default(),
        };
        station.set_units(spec.units_start);
        station
    }

    /// Another number of ready units.
    pub(super) fn set_units(&mut self, units: u32) {
        self.servers = units.saturating_mul(self.slots);
        self.queue_max = match self.kind {
            ServiceKind::Web { queue_per_unit_max, .. }
            | ServiceKind::Database { queue_per_unit_max, .. } => {
                whole(queue_per_unit_max * f64::from(units))
            }
            ServiceKind::Workers { queue_max } => whole(queue_max),
            ServiceKind::Cache { .. } => whole(CACHE_QUEUE_PER_SLOT * f64::from(self.servers)),
        };
    }

    /// Whether callers go on as soon as their request is in the queue.
    pub(super) fn is_handed_over(&self) -> bool {
        matches!(self.kind, ServiceKind::Workers { .. })
    }

    /// Whether an arrival finds neither a slot nor a place in the queue.
    pub(super) fn is_full(&self) -> bool {
        self.servers <= self.busy && self.queue_max <= self.queued
    }

    /// Brings the integrals up to `now`. To be called before a number in them changes.
    pub(super) fn advance(&mut self, now: u64) {
        let passed = u128::from(now - self.changed_at);
        self.changed_at = now;
        self.tally.in_system_integral += u128::from(self.in_system) * passed;
        self.tally.busy_integral += u128::from(self.busy) * passed;
        self.tally.slots_integral += u128::from(self.servers) * passed;
    }

    /// One more in the station.
    pub(super) fn enter(&mut self, now: u64) {
        self.advance(now);
        self.in_system += 1;
    }

    /// One less, which was there since `arrived_at`; counting began at `measured_from`.
    pub(super) fn exit(&mut self, now: u64, arrived_at: u64, measured_from: u64) {
        self.advance(now);
        self.in_system -= 1;
        self.tally.sojourns_sum += u128::from(now - arrived_at.max(measured_from));
    }

    /// Counts an answer without error.
    pub(super) fn answered(&mut self, response: u64) {
        self.tally.responses.add(response);
        if response <= self.objective {
            self.tally.good += 1;
        } else {
            self.tally.late += 1;
        }
    }

    /// A first try, which pays for retries.
    pub(super) fn first_try(&mut self, now: u64) {
        self.tally.first_tries += 1;
        self.budget.pay(now);
    }

    /// Whether a try that failed after `tries` others is tried again.
    pub(super) fn may_retry(&mut self, now: u64, tries: u32) -> bool {
        tries < self.retries && self.budget.take(now)
    }

    /// Draws the gap to the next first try; `None` when there is no load.
    pub(super) fn gap(&mut self) -> Option<u64> {
        let rate = self.load_rps * self.knobs.load_factor;
        if rate <= 0.0 {
            return None;
        }
        Some(nanoseconds(exponential(&mut self.arrivals) / rate))
    }

    /// Draws a request's own work: whether it ends in an error, and its nanoseconds before and
    /// after its calls. Where there are none, all of it comes before.
    pub(super) fn own_work(&mut self) -> (bool, u64, u64) {
        let error_ratio = self.knobs.error_ratio;
        let is_error = 0.0 < error_ratio && fraction(self.work.next_u64()) < error_ratio;
        let own = exponential(&mut self.work) * self.service_seconds;
        if is_error {
            return (true, nanoseconds(own * ERROR_TIME_RATIO), 0);
        }
        if !self.has_calls {
            return (false, nanoseconds(own), 0);
        }
        // One at least: 0 says that nothing is left to do.
        let rest = nanoseconds(own * (1.0 - ERROR_TIME_RATIO)).max(1);
        (false, nanoseconds(own * ERROR_TIME_RATIO), rest)
    }

    /// Counts own work that begins, and returns how long it takes with what the slow factor adds.
    pub(super) fn take_time(&mut self, own: u64) -> u64 {
        self.tally.work_sum += u128::from(own);
        nanoseconds(super::tally::float(u128::from(own)) / NANOSECONDS * self.knobs.slow_factor)
    }

    /// Draws whether a cache has what is asked for.
    pub(super) fn is_hit(&mut self) -> bool {
        0.0 < self.hit_ratio && fraction(self.calls.next_u64()) < self.hit_ratio
    }

    /// Draws a number of calls with the mean `per_request`.
    pub(super) fn n_calls(&mut self, per_request: f64) -> u32 {
        let floor = per_request.floor();
        let rest = per_request - floor;
        let is_one_more = 0.0 < rest && fraction(self.calls.next_u64()) < rest;
        whole(floor) + u32::from(is_one_more)
    }

    /// Ends a minute of the series, if any time has passed in it.
    pub(super) fn close_minute(&mut self, now: u64) {
        self.advance(now);
        if self.minute_at < now {
            let seconds = super::tally::float(u128::from(now - self.minute_at)) / NANOSECONDS;
            let mark = Mark::of(&self.tally);
            self.tally.minutes.push(mark.since(&self.mark, seconds));
            self.mark = mark;
            self.minute_at = now;
        }
    }

    /// Begins to count anew.
    pub(super) fn clear(&mut self, now: u64) {
        self.close_minute(now);
        self.tally.clear();
        self.mark = Mark::default();
    }
}

/// A draw from the exponential distribution with mean 1.
fn exponential(chance: &mut ChaCha8Rng) -> f64 {
    // 1 - fraction is in (0, 1], so the logarithm is finite.
    -(1.0 - fraction(chance.next_u64())).ln()
}
