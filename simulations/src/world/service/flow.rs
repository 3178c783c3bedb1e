//! What happens in a second: what arrives, what is served, what becomes of it.
//!
//! **In:** first tries from outside and from callers, and how the callees did in the second
//! before. **Out:** the second's truth, calls to callees, and how callers see it.
//! **Not here:** how long answers take ([`super::second`]), in which order the queue is served
//! ([`crate::world::lane`]).

use super::second::{Dependence, Second, Station, Timing};
use super::{Service, View, Work};
use crate::world::lane::{Jobs, Outcome, TRIES, Tries};
use crate::world::station::{Shape, Slots};
use crate::world::tenants::AtTheDoor;
use crate::world::wait::Waits;

/// Share of its own time that an answer with an error takes less. Why 0.9: an error is found
/// before the work is done, as a rule, so it takes a tenth.
const ERROR_SAVES: f64 = 0.9;

/// Most that leaks away. Why: what is left still answers its health check.
const LEAK_MAX: f64 = 0.95;

/// Seconds in which replicas catch up.
const CATCH_UP_SECONDS: f64 = 60.0;

/// What a second hands on.
pub(in crate::world) struct Passed {
    /// Requests that made their calls.
    calls: f64,
    /// First calls of started units, to each callee.
    start_calls: f64,
    pub(in crate::world) view: View,
}

impl Service {
    /// One second. `outside` and `inside` are first tries from people and from callers.
    pub(in crate::world) fn pass_second(
        &mut self,
        now: i64,
        outside: f64,
        inside: f64,
        views: &[View],
        waits: &mut Waits,
    ) -> Passed {
        let outside = outside * self.turned.load_factor;
        let first = outside + inside;
        let turned = &self.turned;
        let at_the_door = self
            .door
            .as_mut()
            .map_or_else(AtTheDoor::default, |it| it.pass_second(outside, turned));
        let mut lost = at_the_door.refused;
        let (arrivals, retried_ratio) = self.arrivals(first, at_the_door, &mut lost);
        let misses = self.memory.as_ref().map_or(1.0, |it| 1.0 - it.hit_ratio());
        let depends = self.dependence(views, misses);
        let AtTheDoor { refused, .. } = at_the_door;
        let shed = (first - refused) * self.turned.shed_ratio;
        let mut outcome = Outcome { errors: shed + refused, ..Outcome::default() };
        let error_ratio = self.turned.error_ratio;
        let success_ratio = (1.0 - error_ratio) * depends.success_ratio;
        let work = self.service_seconds * (1.0 - ERROR_SAVES * (1.0 - success_ratio));
        let mut second =
            Second { now, work, success_ratio, depends, wait: 0.0, p95: 0.0, busy: 0.0 };
        second.depends.seconds *= 1.0 - error_ratio;
        second.depends.variance *= 1.0 - error_ratio;
        let is_stopped = self.kept.stops(now, &self.turned);
        let is_down = self.turned.is_down && !self.is_promoted || is_stopped;
        let queue = self.serve(&arrivals, is_down, &mut second, waits, &mut outcome);

        if 0.0 < outcome.errors {
            for (n, failed) in outcome.failed.iter().enumerate() {
                match self.retry.get_mut(n + 1) {
                    Some(next) if n < self.retries => *next = *failed,
                    Some(_) | None => lost += *failed,
                }
            }
        }
        let view = self.view(&arrivals, retried_ratio, &outcome, &second);
        self.remember(&outcome, is_down);
        self.conclude(first, lost, queue, &outcome, &second);
        self.truth.arrived_rps = arrivals.total() + shed + refused;
        if let Some(door) = &mut self.door {
            door.conclude(outcome.good, first - refused);
        }
        let passed_on = outcome.served * (1.0 - error_ratio) * misses;
        Passed {
            calls: passed_on,
            start_calls: self.start_calls * f64::from(self.fleet.starting),
            view,
        }
    }

    /// Adds the calls of one second to what reaches the callees.
    pub(in crate::world) fn call(&self, passed: &Passed, inflows: &mut [f64]) {
        for call in self.calls.iter().filter(|it| !it.is_broken) {
            if let Some(inflow) = inflows.get_mut(call.service) {
                *inflow += passed.calls * call.per_request + passed.start_calls;
            }
        }
    }

    /// First tries, retries as far as the budget goes, and junk; and the share of retries that
    /// was allowed.
    fn arrivals(&mut self, first: f64, at_the_door: AtTheDoor, lost: &mut f64) -> (Tries, f64) {
        let AtTheDoor { refused, junk } = at_the_door;
        let mut tries = Tries { by: [0.0; TRIES], junk: self.turned.junk_rps + junk };
        let let_in = first - refused;
        let shed = let_in * self.turned.shed_ratio;
        *lost += shed;
        let [first_tries, ..] = &mut tries.by;
        *first_tries = let_in - shed;
        let wanted: f64 = self.retry.iter().sum();
        if wanted <= 0.0 {
            return (tries, 1.0);
        }
        let allowed = (self.budget_ratio * first).min(wanted);
        let ratio = allowed / wanted;
        for (it, retry) in tries.by.iter_mut().zip(&mut self.retry).skip(1) {
            *it = *retry * ratio;
            *retry = 0.0;
        }
        *lost += wanted - allowed;
        (tries, ratio)
    }

    fn dependence(&self, views: &[View], misses: f64) -> Dependence {
        let mut depends = Dependence { seconds: 0.0, variance: 0.0, success_ratio: 1.0 };
        for call in &self.calls {
            let Some(view) = views.get(call.service) else {
                continue;
            };
            let n = call.per_request * misses;
            if call.is_broken {
                if call.is_needed {
                    depends.success_ratio *= (1.0 - n).max(0.0);
                }
                continue;
            }
            depends.seconds += n * view.seconds;
            // Below one call per request, whether there is one adds to the spread.
            depends.variance += n * (2.0 - n).max(1.0) * view.seconds * view.seconds;
            if call.is_needed && view.success_ratio < 1.0 {
                depends.success_ratio *= if n <= 1.0 {
                    1.0 - n * (1.0 - view.success_ratio)
                } else {
                    view.success_ratio.powf(n)
                };
            }
        }
        depends
    }

    /// Serves what can be served; returns the work that waits.
    fn serve(
        &mut self,
        arrivals: &Tries,
        is_down: bool,
        second: &mut Second,
        waits: &mut Waits,
        outcome: &mut Outcome,
    ) -> f64 {
        self.leak += self.turned.leak_per_hour / 3_600.0;
        let leaked = if 0.0 < self.leak {
            (self.leak - self.fleet.leak_mean).clamp(0.0, LEAK_MAX)
        } else {
            0.0
        };
        let slower = self.turned.slow_factor * self.shape.limit_factor / (1.0 - leaked);
        let Shape { serving, gray_share, fast, gray, .. } = &self.shape;
        let (serving, gray_share) = (*serving, *gray_share);
        let room = self.queue_max + self.queue_per_unit * f64::from(serving);
        let is_stopped = is_down || serving == 0;
        let spec = Timing { slower, objective: self.objective_seconds, timeout: self.timeout };
        let gray_spec = Timing { slower: slower * self.turned.gray_factor, ..spec };
        let sides = [(fast, 1.0 - gray_share, spec), (gray, gray_share, gray_spec)];
        let nothing = Slots::default();
        let mut queue = 0.0;
        match &mut self.work {
            Work::Lanes(lanes) => {
                if is_stopped {
                    outcome.turn_away(arrivals);
                    for lane in lanes {
                        lane.fail_all(outcome);
                    }
                    return 0.0;
                }
                let seen = self.lanes_seen.iter_mut();
                for ((lane, (slots, share, timing)), seen) in lanes.iter_mut().zip(sides).zip(seen)
                {
                    if slots.servers <= 0.0 {
                        // Its units have gone, and what waited for them.
                        if 0.0 < lane.queue() {
                            lane.fail_all(outcome);
                        }
                        continue;
                    }
                    let room = room * share;
                    let before = outcome.served;
                    let errors_before = outcome.errors;
                    let arrivals = &arrivals.times(share);
                    let station =
                        second.station(slots, arrivals, room, &timing, &mut lane.by_chance, waits);
                    let thinned;
                    let admitted = if 0.0 < station.full {
                        outcome.turn_away(&arrivals.times(station.full));
                        thinned = arrivals.times(1.0 - station.full);
                        &thinned
                    } else {
                        arrivals
                    };
                    let Station { capacity, response, .. } = &station;
                    let wait =
                        lane.pass_second(second.now, admitted, *capacity, room, response, outcome);
                    second.note(&station, outcome.served - before, wait, share);
                    queue += (lane.queue() + lane.by_chance).min(room.max(lane.queue()));
                    if self.has_names {
                        let errors = (outcome.errors - errors_before) / arrivals.total().max(1e-9);
                        *seen = (station.p95(wait).min(self.timeout), errors.clamp(0.0, 1.0));
                    }
                }
            }
            Work::Jobs(lanes) => {
                let seen = self.lanes_seen.iter_mut();
                for ((jobs, (slots, share, timing)), seen) in lanes.iter_mut().zip(sides).zip(seen)
                {
                    if share <= 0.0 && jobs.queue() <= 0.0 {
                        continue;
                    }
                    let slots = if is_stopped { &nothing } else { slots };
                    let before = outcome.served;
                    let arrivals = &arrivals.times(share);
                    let room = room * share;
                    let station =
                        second.station(slots, arrivals, room, &timing, &mut jobs.by_chance, waits);
                    let Station { capacity, response, .. } = &station;
                    let wait = jobs.pass_second(arrivals, *capacity, room, response, outcome);
                    second.note(&station, outcome.served - before, wait, share);
                    queue += (jobs.queue() + jobs.by_chance).min(room.max(jobs.queue()));
                    if self.has_names {
                        *seen = (station.p95(wait), 0.0);
                    }
                }
            }
        }
        queue
    }

    /// What callers see of this second in the next.
    fn view(&self, arrivals: &Tries, retried: f64, outcome: &Outcome, second: &Second) -> View {
        match self.work {
            // Whoever hands over a job does not wait until it is done.
            Work::Jobs(..) => {
                let arrived = arrivals.total();
                let refused = if 0.0 < arrived { outcome.turned_away / arrived } else { 0.0 };
                View { seconds: 0.0, success_ratio: (1.0 - refused).clamp(0.0, 1.0) }
            }
            Work::Lanes(..) => {
                let failed: f64 = outcome.failed.iter().sum();
                let ended = outcome.answered + failed;
                if ended <= 1e-9 {
                    // Nobody knows better than what it takes to be served.
                    let waited = second.wait + second.work + second.depends.seconds;
                    let is_down = self.turned.is_down && !self.is_promoted;
                    let success_ratio = f64::from(u8::from(0 < self.shape.serving && !is_down));
                    return View { seconds: waited.min(self.timeout), success_ratio };
                }
                let seconds = (outcome.held_seconds / ended).min(self.timeout);
                let fails = failed / ended;
                if fails <= 1e-12 {
                    return View { seconds, success_ratio: 1.0 };
                }
                // Every retry comes a second later, as far as the budget goes.
                let again = fails * retried;
                let (mut reached, mut tries) = (1.0, 1.0);
                for _ in 0..self.retries {
                    reached *= again;
                    tries += reached;
                }
                View {
                    seconds: seconds * tries + (tries - 1.0),
                    success_ratio: ((1.0 - fails) * tries).clamp(0.0, 1.0),
                }
            }
        }
    }

    /// What outlasts the second: memory and replicas.
    fn remember(&mut self, outcome: &Outcome, is_down: bool) {
        if let Some(memory) = &mut self.memory {
            memory.fill(outcome.served);
            self.truth.hit_ratio = Some(memory.hit_ratio());
        }
        let Some(writes_ratio) = self.writes_ratio else {
            return;
        };
        if !is_down {
            self.writes_rps = outcome.served * writes_ratio;
        }
        let lag = &mut self.truth.replica_lag_seconds;
        if 0.0 < self.turned.lag_growth {
            *lag += self.turned.lag_growth;
            self.lag_falls = *lag / CATCH_UP_SECONDS;
        } else {
            *lag = (*lag - self.lag_falls).max(0.0);
        }
    }

    fn conclude(&mut self, first: f64, lost: f64, queue: f64, outcome: &Outcome, second: &Second) {
        let slow = outcome.answered - outcome.good;
        self.slow += slow;
        let mean = if 0.0 < outcome.answered {
            outcome.answered_seconds / outcome.answered
        } else {
            (second.wait + second.work + second.depends.seconds).min(self.timeout)
                * f64::from(u8::from(0.0 < outcome.served))
        };
        let slots = (self.shape.fast.servers + self.shape.gray.servers).max(1.0);
        let truth = &mut self.truth;
        truth.offered_rps = first;
        truth.served_rps = outcome.served;
        truth.good_rps = outcome.good;
        truth.lost_rps = lost;
        truth.errors_rps = outcome.errors;
        truth.ended_rps = outcome.replied + outcome.errors;
        truth.fine_rps = outcome.fine;
        truth.queue = queue;
        truth.latency_mean_seconds = mean;
        truth.latency_p95_seconds = second.p95.min(self.timeout).max(mean);
        truth.cpu_ratio = (outcome.served * second.work * self.cpu_ratio / slots).clamp(0.0, 1.0);
        truth.busy_ratio = (second.busy / slots).clamp(0.0, 1.0);
        let ended = match &self.work {
            // A backlog is no fault while jobs are done in time.
            Work::Jobs(..) if 0.0 < outcome.answered + lost => outcome.answered + lost,
            Work::Jobs(lanes) => first + lanes.iter().map(Jobs::open_tries).sum::<f64>(),
            Work::Lanes(..) => first.max(outcome.answered + lost),
        };
        truth.is_good = self.objective_ratio * ended <= outcome.good + 1e-9;
        let needed = self.needed(first);
        let truth = &mut self.truth;
        truth.needed = needed;

        let sums = &mut self.sums;
        sums.seconds += 1;
        sums.bad_seconds += u64::from(!truth.is_good);
        sums.offered += first;
        sums.good += outcome.good;
        sums.lost += lost;
        sums.unit_seconds += u64::from(truth.current);
        sums.needed_unit_seconds += u64::from(needed);
        let ready = truth.ready;
        if ready < needed {
            sums.under_seconds += 1;
            sums.short += f64::from(needed - ready) / f64::from(needed);
        } else if needed < ready {
            sums.over_seconds += 1;
            sums.surplus += f64::from(ready - needed) / f64::from(needed);
        }
    }
}
