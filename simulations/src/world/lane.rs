//! A station where work waits its turn: servers, a queue, and callers who give up.
//!
//! **In:** what arrives in a second, what can be served in it, how long an answer takes.
//! **Out:** [`Outcome`]: what became of the tries that ended. **Not here:** where servers and
//! arrivals come from ([`super::service`]), the wait of a steady state ([`super::wait`]).
//!
//! First come, first served. The queue remembers by the second when work came, so whoever waits
//! longer than the time-out is known: that try has failed, and the work is still in the queue,
//! to be served in vain. Source of the mechanism: Bronson et al., *Metastable Failures in
//! Distributed Systems* (HotOS 2021); Huang et al. (OSDI 2022).

use std::collections::VecDeque;

use super::spec::RETRIES_MAX;

/// Tries of one request: the first and its retries.
pub(super) const TRIES: usize = RETRIES_MAX as usize + 1;

/// Work below this is nothing: a billionth of a request.
const NOTHING: f64 = 1e-9;

/// Amounts of work per try (0 is the first), and work that is worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tries {
    pub(super) by: [f64; TRIES],
    pub(super) junk: f64,
}

impl Tries {
    /// All but junk.
    pub(super) fn worth(&self) -> f64 {
        self.by.iter().sum()
    }

    pub(super) fn total(&self) -> f64 {
        self.worth() + self.junk
    }

    pub(super) fn times(mut self, share: f64) -> Tries {
        for it in &mut self.by {
            *it *= share;
        }
        self.junk *= share;
        self
    }

    fn add(&mut self, other: &Tries) {
        for (it, other) in self.by.iter_mut().zip(other.by) {
            *it += other;
        }
        self.junk += other.junk;
    }
}

/// How long answers take that do not wait in the queue, and how many succeed.
///
/// The time of an answer is taken as a constant and an exponential part with the same mean and
/// deviation. That is exact for M/M/1 and for an exponential time without waiting, and close
/// between: a tail that needs one exponential function instead of many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response {
    /// Mean seconds.
    pub(super) mean: f64,
    /// Standard deviation in seconds, above 0, at most the mean.
    pub(super) deviation: f64,
    /// Share of answers without error.
    pub(super) success_ratio: f64,
    /// Seconds in which an answer is good.
    pub(super) objective: f64,
    /// Seconds that callers wait; infinite where nobody does.
    pub(super) timeout: f64,
}

impl Response {
    /// Share of answers within so many seconds.
    fn within(&self, seconds: f64) -> f64 {
        /// Beyond it the tail is below 10^-15.
        const NO_TAIL: f64 = 36.0;
        let along = (seconds - (self.mean - self.deviation)) / self.deviation;
        if along <= 0.0 {
            0.0
        } else if NO_TAIL < along {
            1.0
        } else {
            1.0 - (-along).exp()
        }
    }
}

/// What became of tries in one second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Worked off, useful or not.
    pub(super) served: f64,
    /// Answered without error before the caller gave up; of these, within the objective.
    pub(super) answered: f64,
    pub(super) good: f64,
    /// The same two with junk.
    pub(super) replied: f64,
    pub(super) fine: f64,
    /// Failed, by try.
    pub(super) failed: [f64; TRIES],
    /// Turned away, timed out or failed, junk included.
    pub(super) errors: f64,
    /// Turned away because the queue was full; part of `errors`.
    pub(super) turned_away: f64,
    /// Seconds that answered tries took; seconds that callers spent on all that ended.
    pub(super) answered_seconds: f64,
    pub(super) held_seconds: f64,
}

impl Outcome {
    /// Every one of them fails at once.
    pub(super) fn turn_away(&mut self, tries: &Tries) {
        for (failed, n) in self.failed.iter_mut().zip(tries.by) {
            *failed += n;
        }
        let total = tries.total();
        self.errors += total;
        self.turned_away += total;
    }

    fn time_out(&mut self, tries: &Tries, timeout: f64) {
        for (failed, n) in self.failed.iter_mut().zip(tries.by) {
            *failed += n;
        }
        self.errors += tries.total();
        self.held_seconds += tries.worth() * timeout;
    }

    /// They are served after a wait of `wait` seconds.
    fn serve(&mut self, tries: &Tries, wait: f64, response: &Response) {
        let Response { mean, success_ratio, objective, timeout, .. } = *response;
        let ok = success_ratio * response.within(timeout - wait);
        let good = if objective < timeout {
            success_ratio * response.within(objective - wait)
        } else {
            ok
        };
        let worth = tries.worth();
        let total = worth + tries.junk;
        let seconds = (wait + mean).min(timeout);
        self.served += total;
        self.answered += worth * ok;
        self.good += worth * good;
        self.replied += total * ok;
        self.fine += total * good;
        self.answered_seconds += worth * ok * seconds;
        self.held_seconds += worth * seconds;
        if ok < 1.0 {
            self.errors += total * (1.0 - ok);
            for (failed, n) in self.failed.iter_mut().zip(tries.by) {
                *failed += n * (1.0 - ok);
            }
        }
    }
}

/// Work that came in one second and still waits.
#[derive(Clone, Copy, Debug)]
struct Cohort {
    came_at: i64,
    /// Seconds that it would wait, as it looked when it came.
    wait: f64,
    tries: Tries,
}

/// A queue with callers who give up.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// Work whose caller has given up; it came before all others.
    in_vain: f64,
    cohorts: VecDeque<Cohort>,
    /// Work in `cohorts`.
    waiting: f64,
    /// Work that waits by chance, below capacity.
    pub(super) by_chance: f64,
}

impl Lane {
    /// Work that waits because more came than could be served.
    pub(super) fn queue(&self) -> f64 {
        self.in_vain + self.waiting
    }

    /// Tries that wait and have not been given up.
    pub(super) fn open_tries(&self) -> f64 {
        self.cohorts.iter().map(|it| it.tries.worth()).sum()
    }

    /// Nobody is left to serve them: all fail, the queue is empty.
    pub(super) fn fail_all(&mut self, outcome: &mut Outcome) {
        for cohort in self.cohorts.drain(..) {
            outcome.turn_away(&cohort.tries);
        }
        self.in_vain = 0.0;
        self.waiting = 0.0;
        self.by_chance = 0.0;
    }

    /// One second with `capacity` served in it at most, and a queue of at most `room`.
    /// Returns the wait of what came now.
    #[inline]
    pub(super) fn pass_second(
        &mut self,
        now: i64,
        arrivals: &Tries,
        capacity: f64,
        room: f64,
        response: &Response,
        outcome: &mut Outcome,
    ) -> f64 {
        let arrived = arrivals.total();
        if self.in_vain <= 0.0 && self.cohorts.is_empty() && arrived <= capacity {
            outcome.serve(arrivals, 0.0, response);
            return 0.0;
        }
        self.pass_busy_second(now, arrivals, capacity, room, response, outcome)
    }

    fn pass_busy_second(
        &mut self,
        now: i64,
        arrivals: &Tries,
        capacity: f64,
        room: f64,
        response: &Response,
        outcome: &mut Outcome,
    ) -> f64 {
        self.give_up(now, response.timeout, outcome);
        let arrived = arrivals.total();
        let queue = self.queue();
        // In the middle of the second half of what is more than is served has piled up.
        let wait = if 0.0 < capacity {
            ((queue + 0.5 * (arrived - capacity)).min(room.max(queue)) / capacity).max(0.0)
        } else {
            response.timeout
        };
        let mut left = capacity;
        let in_vain = self.in_vain.min(left);
        self.in_vain -= in_vain;
        left -= in_vain;
        outcome.served += in_vain;
        left = self.serve_waiting(now, left, response, outcome);
        let now_share = if arrived <= left { 1.0 } else { left / arrived };
        if 0.0 < now_share {
            outcome.serve(&arrivals.times(now_share), wait.min(1.0), response);
        }
        let rest = arrivals.times(1.0 - now_share);
        let n_rest = rest.total();
        if NOTHING < n_rest {
            let fits = ((room - self.queue()) / n_rest).clamp(0.0, 1.0);
            outcome.turn_away(&rest.times(1.0 - fits));
            if 0.0 < fits {
                let tries = rest.times(fits);
                self.waiting += tries.total();
                self.cohorts.push_back(Cohort { came_at: now, wait, tries });
            }
        } else {
            // What rounding leaves over has been served.
            outcome.serve(&rest, 0.0, response);
        }
        wait
    }

    /// Callers who have waited for too long give up; their work stays.
    fn give_up(&mut self, now: i64, timeout: f64, outcome: &mut Outcome) {
        while let Some(oldest) = self.cohorts.front() {
            // It came in the middle of its second.
            if crate::chance::seconds_f64(now - oldest.came_at) - 0.5 <= timeout {
                break;
            }
            outcome.time_out(&oldest.tries, timeout);
            let n = oldest.tries.total();
            self.in_vain += n;
            self.waiting = (self.waiting - n).max(0.0);
            self.cohorts.pop_front();
        }
    }

    /// Serves what waits, the oldest first; returns how much could have been served besides.
    fn serve_waiting(
        &mut self,
        now: i64,
        mut left: f64,
        response: &Response,
        outcome: &mut Outcome,
    ) -> f64 {
        while let Some(oldest) = self.cohorts.front_mut() {
            if left <= 0.0 {
                break;
            }
            let n = oldest.tries.total();
            let age = crate::chance::seconds_f64(now - oldest.came_at);
            // As it looked when it came, unless capacity has changed since.
            let wait = oldest.wait.clamp(age - 1.0, age + 1.0);
            if left < n {
                outcome.serve(&oldest.tries.times(left / n), wait, response);
                oldest.tries = oldest.tries.times(1.0 - left / n);
                self.waiting = (self.waiting - left).max(0.0);
                return 0.0;
            }
            outcome.serve(&oldest.tries, wait, response);
            left -= n;
            self.waiting = (self.waiting - n).max(0.0);
            self.cohorts.pop_front();
        }
        if self.cohorts.is_empty() {
            self.waiting = 0.0;
        }
        left
    }
}

/// A queue where nobody waits for the answer: nothing is given up for its age.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    waiting: Tries,
    /// Work that waits by chance, below capacity.
    pub(super) by_chance: f64,
}

impl Jobs {
    /// Work that waits.
    pub(super) fn queue(&self) -> f64 {
        self.waiting.total()
    }

    /// Tries that wait.
    pub(super) fn open_tries(&self) -> f64 {
        self.waiting.worth()
    }

    /// One second with `capacity` served in it at most, and a queue of at most `room`.
    /// Returns the wait of what is served now.
    pub(super) fn pass_second(
        &mut self,
        arrivals: &Tries,
        capacity: f64,
        room: f64,
        response: &Response,
        outcome: &mut Outcome,
    ) -> f64 {
        let queue = self.queue();
        if queue <= NOTHING && arrivals.total() <= capacity {
            self.waiting.add(arrivals);
            let all = std::mem::take(&mut self.waiting);
            outcome.serve(&all, 0.0, response);
            return 0.0;
        }
        let wait = if 0.0 < capacity { queue / capacity } else { 0.0 };
        self.waiting.add(arrivals);
        let all = self.queue();
        let share = if all <= capacity { 1.0 } else { capacity / all };
        outcome.serve(&self.waiting.times(share), wait, response);
        let rest = self.waiting.times(1.0 - share);
        let n_rest = rest.total();
        let fits = if n_rest <= room { 1.0 } else { room / n_rest };
        if fits < 1.0 {
            outcome.turn_away(&rest.times(1.0 - fits));
        }
        self.waiting = rest.times(fits);
        wait
    }
}
