//! The faults of one run, second by second.
//!
//! **In:** faults in any order, and every second of the run. **Out:** knobs turned, one-off
//! happenings carried out, and [`Happenings`] for the run.
//! **Not here:** what the knobs come to ([`super::board`]), words ([`super::words`]).

use super::board::{Board, Reach, next_turn};
use super::words::words;
use super::{AgentFault, Fault, FaultKind, Happenings};
use crate::exporter::Exporter;
use crate::provider::Provider;
use crate::world::{World, WorldSpec};

/// The faults of one run in order of time.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// By `from`.
    faults: Vec<Fault>,
    /// When nobody is paged, half-open.
    silent: Vec<(i64, i64)>,
    /// The last second that was applied.
    last: Option<i64>,
    /// The next second at which anything changes.
    next_at: i64,
    /// What is turned now, and what may be.
    turned: Option<(Reach, Board)>,
}

/// What is to be done to the world once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Once {
    Kill { service: usize, ratio: f64 },
    Restart { service: usize, ratio: f64 },
    Flush { service: usize },
}

/// What one second changes.
struct Change {
    /// Before and now.
    boards: (Option<Board>, Board),
    once: Vec<Once>,
    happenings: Happenings,
}

impl Schedule {
    /// Faults in any order. One whose `until` is not after its `from` never lasts; what happens
    /// once happens all the same.
    pub fn new(mut faults: Vec<Fault>) -> Schedule {
        faults.sort_by_key(|it| it.from);
        let silent = faults
            .iter()
            .filter(|it| matches!(it.kind, FaultKind::PagerDead))
            .map(|it| (it.from, it.until))
            .collect();
        Schedule { faults, silent, last: None, next_at: i64::MIN, turned: None }
    }

    /// All of them, by when they begin.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// When the last one has ended; 0 where there is none.
    pub fn healed_at(&self) -> i64 {
        self.faults.iter().map(|it| it.until).max().unwrap_or(0)
    }

    /// Whether somebody would be paged at `second`.
    pub fn pager_works(&self, second: i64) -> bool {
        !self.silent.iter().any(|(from, until)| *from <= second && second < *until)
    }

    /// Turns the knobs as they have to be at `second`, counted from the beginning of the scored
    /// part (negative before it). To be called once for every second in order, before
    /// [`World::tick`]; a second that comes again changes nothing. Knobs that no fault of this
    /// schedule turns, and every `shed_ratio`, are left alone.
    pub fn apply(
        &mut self,
        second: i64,
        world: &mut World,
        exporter: &mut Exporter,
        provider: &mut Provider,
    ) -> Happenings {
        if second < self.next_at {
            return Happenings::default();
        }
        let Change { boards: (before, now), once, happenings } = self.advance(second, world.spec());
        now.write(before.as_ref(), world, exporter, provider);
        for it in once {
            match it {
                Once::Kill { service, ratio } => {
                    world.kill(service, ratio);
                }
                Once::Restart { service, ratio } => {
                    world.restart(service, ratio);
                }
                Once::Flush { service } => world.flush(service),
            }
        }
        happenings
    }

    /// Everything that changes after the last second that was applied, up to `second`.
    fn advance(&mut self, second: i64, spec: &WorldSpec) -> Change {
        let n_services = spec.services.len();
        let after = self.last.unwrap_or(i64::MIN);
        let is_new = |at: i64| after < at && at <= second;
        let mut happenings = Happenings::default();
        let mut once = Vec::new();
        let mut clock_moved = false;
        for fault in self.faults.iter().take_while(|it| it.from <= second) {
            let begins = is_new(fault.from);
            let ends = is_new(fault.until) && fault.from < fault.until;
            if begins {
                happenings.began.push(words(&fault.kind, spec));
                once.extend(once_of(&fault.kind, n_services));
                happenings.agent.extend(agent_fault(fault));
            }
            if ends && !fault.kind.is_once() {
                happenings.ended.push(format!("over: {}", words(&fault.kind, spec)));
            }
            clock_moved |= (begins || ends) && matches!(fault.kind, FaultKind::AgentClock { .. });
            if let FaultKind::OtherAutomation { service, units, .. } = fault.kind
                && service < n_services
                && last_set(fault, second).is_some_and(is_new)
            {
                happenings.set_units.push((service, units));
            }
        }
        if clock_moved {
            let seconds = self.active(second).filter_map(clock_of).sum();
            happenings.agent.push(AgentFault::ClockIsOff { seconds });
        }
        let (reach, before) = match self.turned.take() {
            Some((reach, board)) => (reach, Some(board)),
            None => (Reach::of(&self.faults, n_services), None),
        };
        let now = Board::at(second, self.active(second), &reach);
        self.last = Some(second.max(after));
        self.next_at = self.next_change(second);
        self.turned = Some((reach, now.clone()));
        Change { boards: (before, now), once, happenings }
    }

    fn active(&self, second: i64) -> impl Iterator<Item = &Fault> {
        self.faults
            .iter()
            .take_while(move |it| it.from <= second)
            .filter(move |it| second < it.until)
    }

    fn next_change(&self, second: i64) -> i64 {
        let is_later = |at: &i64| second < *at;
        let edges = self.faults.iter().flat_map(|it| [it.from, it.until]).filter(is_later);
        let turns = self.active(second).filter_map(|it| next_turn(second, it));
        let sets = self.active(second).filter_map(|it| next_set(it, second));
        edges.chain(turns).chain(sets).min().unwrap_or(i64::MAX)
    }
}

fn once_of(kind: &FaultKind, n_services: usize) -> Option<Once> {
    let (service, once) = if let FaultKind::Crash { service, ratio } = *kind {
        (service, Once::Kill { service, ratio })
    } else if let FaultKind::Restart { service, ratio } = *kind {
        (service, Once::Restart { service, ratio })
    } else if let FaultKind::Flush { service } = *kind {
        (service, Once::Flush { service })
    } else {
        return None;
    };
    (service < n_services).then_some(once)
}

fn agent_fault(fault: &Fault) -> Option<AgentFault> {
    if let FaultKind::AgentDies { point } = fault.kind {
        Some(AgentFault::Dies { point, back_at: fault.until })
    } else {
        matches!(fault.kind, FaultKind::JournalFails)
            .then_some(AgentFault::JournalFails { until: fault.until })
    }
}

fn clock_of(fault: &Fault) -> Option<i64> {
    if let FaultKind::AgentClock { seconds } = fault.kind { Some(seconds) } else { None }
}

/// When another automation last set its units, at `second` or before.
fn last_set(fault: &Fault, second: i64) -> Option<i64> {
    let FaultKind::OtherAutomation { every, .. } = fault.kind else { return None };
    let every = every.max(1);
    let second = second.min(fault.until - 1);
    (fault.from <= second).then(|| second - (second - fault.from) % every)
}

/// When it will set them next, after `second`.
fn next_set(fault: &Fault, second: i64) -> Option<i64> {
    let FaultKind::OtherAutomation { every, .. } = fault.kind else { return None };
    let next = last_set(fault, second)? + every.max(1);
    (next < fault.until).then_some(next)
}

#[cfg(test)]
pub(super) mod tests;
