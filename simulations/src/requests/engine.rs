//! The events of a region, one after the other.
//!
//! **In:** a spec that was checked. **Out:** the tallies of a whole run.
//! **Not here:** what is counted how ([`super::tally`]), draws and servers ([`super::station`]).

use std::collections::VecDeque;

use super::arena::{Arena, NONE};
use super::events::{Events, What};
use super::station::{Station, nanoseconds};
use super::{BACKOFF_SECONDS, RequestSpec, Requests, RequestsError};
use crate::world::{CallSpec, Knobs};

const NANOSECONDS: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * NANOSECONDS;

/// Stands in `arrived_at` of a failed try that waits for its next one.
const IN_BACKOFF: u64 = u64::MAX;

/// One thing that changes for one service.
#[derive(Clone, Copy, Debug)]
enum Change {
    Load(f64),
    Knobs(Knobs),
    Units(u32),
}

/// A region in the middle of a run.
pub(super) struct Engine<'a> {
    spec: &'a RequestSpec,
    /// Nanoseconds since the start.
    now: u64,
    measured_from: u64,
    events: Events,
    n_events: u64,
    requests: Arena,
    stations: Vec<Station>,
    changes: Vec<(u64, usize, Change)>,
    /// Callers whose call has ended, and whether well. A list, not a call back, because a
    /// request whose calls all fail at once would call back as deep as it has calls.
    resumes: Vec<(u32, bool)>,
    /// Tries to come, in order, because all wait equally long.
    backoffs: VecDeque<(u64, u32)>,
    is_backoff_armed: bool,
}

fn at_second(second: i64) -> u64 {
    u64::try_from(second).unwrap_or(0).saturating_mul(NANOSECONDS)
}

fn place(service: usize) -> u32 {
    u32::try_from(service).unwrap_or(NONE)
}

impl<'a> Engine<'a> {
    pub(super) fn new(spec: &'a RequestSpec) -> Engine<'a> {
        let services = spec.world.services.iter().zip(&spec.services);
        let stations = services.map(|(it, steps)| Station::new(spec.seed, it, steps)).collect();
        let mut changes = Vec::new();
        for (service, steps) in spec.services.iter().enumerate() {
            let load = steps.load_rps.iter().map(|it| (it.0, Change::Load(it.1)));
            let knobs = steps.knobs.iter().map(|it| (it.0, Change::Knobs(it.1)));
            let units = steps.units.iter().map(|it| (it.0, Change::Units(it.1)));
            let of_service = load.chain(knobs).chain(units);
            changes.extend(of_service.map(|(at, change)| (at_second(at), service, change)));
        }
        changes.sort_by_key(|it| it.0);
        Engine {
            spec,
            now: 0,
            measured_from: 0,
            events: Events::default(),
            n_events: 0,
            requests: Arena::new(),
            stations,
            changes,
            resumes: Vec::new(),
            backoffs: VecDeque::new(),
            is_backoff_armed: false,
        }
    }

    pub(super) fn run(mut self) -> Result<Requests, RequestsError> {
        for place in 0..self.changes.len() {
            let what = What::Step { place: u32::try_from(place).unwrap_or(NONE) };
            self.events.push(self.changes[place].0, what);
        }
        self.events.push(at_second(self.spec.measured_from), What::Measure);
        self.events.push(at_second(self.spec.lasts), What::End);
        self.events.push(MINUTE, What::Minute);
        while let Some((at, what)) = self.events.pop() {
            self.now = at;
            match what {
                What::Arrival { service, epoch } => self.arrival(service, epoch),
                What::Worked { request } => self.worked(request),
                What::TimeOut { service } => self.time_out(service),
                What::Backoff => self.backoff(),
                What::Step { place } => self.step(place as usize),
                What::Measure => self.measure(),
                What::Minute => self.minute(),
                What::End => break,
            }
            while let Some((caller, is_well)) = self.resumes.pop() {
                self.resume(caller, is_well);
            }
            self.n_events += 1;
            if self.spec.in_system_max < self.requests.len() {
                let (in_system, limit) = (self.requests.len(), self.spec.in_system_max);
                let second = self.now / NANOSECONDS;
                return Err(RequestsError::TooMany { in_system, second, limit });
            }
        }
        Ok(self.end())
    }

    // The outside.

    fn arrival(&mut self, service: u32, epoch: u32) {
        if self.stations[service as usize].epoch == epoch {
            self.draw_arrival(service);
            self.first_try(service, NONE);
        }
    }

    fn draw_arrival(&mut self, service: u32) {
        let station = &mut self.stations[service as usize];
        if let Some(gap) = station.gap() {
            let what = What::Arrival { service, epoch: station.epoch };
            self.events.push(self.now.saturating_add(gap), what);
        }
    }

    fn step(&mut self, place_of_change: usize) {
        let (_, service, change) = self.changes[place_of_change];
        let station = &mut self.stations[service];
        station.advance(self.now);
        let is_load_changed = match change {
            Change::Load(load_rps) => {
                station.load_rps = load_rps;
                true
            }
            Change::Knobs(knobs) => {
                station.knobs = knobs;
                true
            }
            Change::Units(units) => {
                station.set_units(units);
                false
            }
        };
        if is_load_changed {
            station.epoch = station.epoch.wrapping_add(1);
            self.draw_arrival(place(service));
        }
        if self.stations[service].knobs.is_down {
            self.fail_queue(service);
        }
        self.fill(service);
    }

    // A try.

    fn first_try(&mut self, service: u32, caller: u32) {
        self.stations[service as usize].first_try(self.now);
        let request = self.requests.add(service, caller, 0);
        self.arrive(request);
    }

    fn arrive(&mut self, request: u32) {
        let try_of = self.requests.at_mut(request);
        try_of.arrived_at = self.now;
        let (service, generation) = (try_of.service, try_of.generation);
        let station = &mut self.stations[service as usize];
        station.tally.arrived += 1;
        if station.knobs.is_down || station.is_full() {
            station.tally.turned_away += 1;
            self.failed(request);
            self.requests.remove(request);
            return;
        }
        station.enter(self.now);
        if station.is_handed_over() {
            // Whoever hands over a job does not wait until it is done.
            let caller = std::mem::replace(&mut try_of.caller, NONE);
            if caller != NONE {
                self.resumes.push((caller, true));
            }
        }
        if let Some(timeout) = station.timeout {
            let at = self.now.saturating_add(timeout);
            station.timeouts.push_back((at, request, generation));
            if !station.is_armed {
                station.is_armed = true;
                self.events.push(at, What::TimeOut { service });
            }
        }
        if station.busy < station.servers {
            self.begin(request);
            return;
        }
        let last = std::mem::replace(&mut station.last, request);
        station.queued += 1;
        if last == NONE {
            station.first = request;
        } else {
            self.requests.at_mut(last).next = request;
        }
    }

    /// Takes the first out of the queue.
    fn unqueue(&mut self, service: usize) -> Option<u32> {
        let station = &mut self.stations[service];
        let first = station.first;
        if first == NONE {
            return None;
        }
        let next = std::mem::replace(&mut self.requests.at_mut(first).next, NONE);
        station.first = next;
        if next == NONE {
            station.last = NONE;
        }
        station.queued -= 1;
        Some(first)
    }

    /// Gives free slots to those who wait.
    fn fill(&mut self, service: usize) {
        while self.stations[service].busy < self.stations[service].servers {
            let Some(request) = self.unqueue(service) else { return };
            self.begin(request);
        }
    }

    fn begin(&mut self, request: u32) {
        let try_of = self.requests.at_mut(request);
        let station = &mut self.stations[try_of.service as usize];
        station.advance(self.now);
        station.busy += 1;
        station.tally.waits.add(self.now - try_of.arrived_at);
        let (is_error, own, rest) = station.own_work();
        try_of.is_error = is_error;
        try_of.rest = rest;
        let taken = station.take_time(own);
        self.events.push(self.now.saturating_add(taken), What::Worked { request });
    }

    fn worked(&mut self, request: u32) {
        let try_of = self.requests.at(request);
        let station = &mut self.stations[try_of.service as usize];
        if try_of.is_error || station.knobs.is_down {
            self.leave(request, false);
        } else if try_of.rest == 0 {
            self.leave(request, true);
        } else if station.is_hit() {
            self.work_on(request);
        } else {
            self.call_on(request);
        }
    }

    /// Does the own work that comes after the calls.
    fn work_on(&mut self, request: u32) {
        let try_of = self.requests.at_mut(request);
        let rest = std::mem::take(&mut try_of.rest);
        let taken = self.stations[try_of.service as usize].take_time(rest);
        self.events.push(self.now.saturating_add(taken), What::Worked { request });
    }

    /// Makes the next call, or goes on with its own work when there is none.
    fn call_on(&mut self, request: u32) {
        loop {
            let try_of = self.requests.at_mut(request);
            let service = try_of.service as usize;
            let calls: &'a [CallSpec] = &self.spec.world.services[service].calls;
            if try_of.calls_left == 0 {
                let Some(call) = calls.get(try_of.calls_next as usize) else {
                    self.work_on(request);
                    return;
                };
                try_of.calls_left = self.stations[service].n_calls(call.per_request);
                try_of.is_call_needed = call.is_needed;
                try_of.calls_next += 1;
                continue;
            }
            try_of.calls_left -= 1;
            if let Some(call) = calls.get(try_of.calls_next as usize - 1) {
                self.first_try(place(call.service), request);
            }
            return;
        }
    }

    fn resume(&mut self, caller: u32, is_well: bool) {
        if is_well || !self.requests.at(caller).is_call_needed {
            self.call_on(caller);
        } else {
            self.leave(caller, false);
        }
    }

    /// The end of a request that had a slot.
    fn leave(&mut self, request: u32, is_well: bool) {
        let try_of = *self.requests.at(request);
        let service = try_of.service as usize;
        let station = &mut self.stations[service];
        station.exit(self.now, try_of.arrived_at, self.measured_from);
        station.busy -= 1;
        station.tally.served += 1;
        if try_of.is_given_up {
            station.tally.served_in_vain += 1;
        } else if is_well && !station.knobs.is_down {
            station.answered(self.now - try_of.arrived_at);
            if try_of.caller != NONE {
                self.resumes.push((try_of.caller, true));
            }
        } else {
            self.failed(request);
        }
        self.requests.remove(request);
        self.fill(service);
    }

    // Failures.

    /// What the caller does about a failed try: another one, or none.
    fn failed(&mut self, request: u32) {
        let try_of = *self.requests.at(request);
        let station = &mut self.stations[try_of.service as usize];
        station.tally.errors += 1;
        if !station.may_retry(self.now, try_of.tries) {
            station.tally.lost += 1;
            if try_of.caller != NONE {
                self.resumes.push((try_of.caller, false));
            }
            return;
        }
        let next = self.requests.add(try_of.service, try_of.caller, try_of.tries + 1);
        self.requests.at_mut(next).arrived_at = IN_BACKOFF;
        let at = self.now.saturating_add(nanoseconds(BACKOFF_SECONDS));
        self.backoffs.push_back((at, next));
        if !self.is_backoff_armed {
            self.is_backoff_armed = true;
            self.events.push(at, What::Backoff);
        }
    }

    fn backoff(&mut self) {
        while let Some((at, request)) = self.backoffs.front().copied() {
            if self.now < at {
                self.events.push(at, What::Backoff);
                return;
            }
            self.backoffs.pop_front();
            self.arrive(request);
        }
        self.is_backoff_armed = false;
    }

    fn time_out(&mut self, service: u32) {
        loop {
            let station = &mut self.stations[service as usize];
            let Some((at, request, generation)) = station.timeouts.front().copied() else {
                station.is_armed = false;
                return;
            };
            let is_over = self.requests.at(request).generation != generation;
            if !is_over && self.now < at {
                self.events.push(at, What::TimeOut { service });
                return;
            }
            station.timeouts.pop_front();
            if !is_over {
                station.tally.timed_out += 1;
                self.failed(request);
                self.requests.at_mut(request).is_given_up = true;
            }
        }
    }

    /// A service that is down fails all who wait.
    fn fail_queue(&mut self, service: usize) {
        while let Some(request) = self.unqueue(service) {
            let try_of = *self.requests.at(request);
            self.stations[service].exit(self.now, try_of.arrived_at, self.measured_from);
            if !try_of.is_given_up {
                self.failed(request);
            }
            self.requests.remove(request);
        }
    }

    // Counting.

    fn minute(&mut self) {
        self.stations.iter_mut().for_each(|it| it.close_minute(self.now));
        self.events.push(self.now.saturating_add(MINUTE), What::Minute);
    }

    fn measure(&mut self) {
        self.measured_from = self.now;
        self.stations.iter_mut().for_each(|it| it.clear(self.now));
        for request in self.requests.iter().filter(|it| !it.is_given_up) {
            self.stations[request.service as usize].tally.open_at_start += 1;
        }
    }

    fn end(mut self) -> Requests {
        for station in &mut self.stations {
            station.close_minute(self.now);
            let counted = u128::from(self.now - self.measured_from);
            station.tally.seconds = super::tally::float(counted) / 1e9;
        }
        for request in self.requests.iter() {
            let tally = &mut self.stations[request.service as usize].tally;
            tally.open_at_end += u64::from(!request.is_given_up);
            if request.arrived_at != IN_BACKOFF {
                let since = request.arrived_at.max(self.measured_from);
                tally.sojourns_sum += u128::from(self.now - since);
            }
        }
        let services = self.stations.into_iter().map(|it| it.tally).collect();
        Requests { services, events: self.n_events }
    }
}
