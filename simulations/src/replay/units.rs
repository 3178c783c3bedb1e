//! Units that take time to become ready and leave at once.
//!
//! **In:** how many there shall be, and time.
//! **Out:** how many there are, and how many of them serve.
//! **Not here:** who decides (the agent), what they carry ([`super::tally`]).

use std::collections::VecDeque;

/// The units of one target. Surplus is taken from those that still start, the newest first,
/// then from those that are ready, as in [`crate::capacity`].
#[derive(Clone, Debug)]
pub(super) struct Units {
    ready: u32,
    /// When they are ready, and how many; ascending.
    starting: VecDeque<(i64, u32)>,
    lead_time: i64,
}

impl Units {
    pub(super) fn new(ready: u32, lead_time: i64) -> Units {
        Units { ready, starting: VecDeque::new(), lead_time }
    }

    /// Units asked for and not given back.
    pub(super) fn current(&self) -> u32 {
        self.starting.iter().fold(self.ready, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Units that serve.
    pub(super) fn ready(&self) -> u32 {
        self.ready
    }

    /// When the next ones become ready.
    pub(super) fn next_ready_at(&self) -> Option<i64> {
        self.starting.front().map(|(at, _)| *at)
    }

    /// What was due by `now` is ready.
    pub(super) fn advance(&mut self, now: i64) {
        while let Some((_, n)) = self.starting.front().copied().filter(|(at, _)| *at <= now) {
            self.starting.pop_front();
            self.ready = self.ready.saturating_add(n);
        }
    }

    /// From `now` on there shall be `desired` units.
    pub(super) fn set(&mut self, now: i64, desired: u32) {
        let current = self.current();
        if current < desired {
            self.starting.push_back((now.saturating_add(self.lead_time), desired - current));
            self.advance(now);
            return;
        }
        let mut surplus = current - desired;
        while 0 < surplus
            && let Some((_, newest)) = self.starting.back_mut()
        {
            let n = surplus.min(*newest);
            *newest -= n;
            surplus -= n;
            if *newest == 0 {
                self.starting.pop_back();
            }
        }
        self.ready = self.ready.saturating_sub(surplus);
    }
}
