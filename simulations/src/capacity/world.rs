//! Units that take time to become ready and leave at once.
//!
//! **In:** how many there shall be, and time.
//! **Out:** how many there are, and how many of them serve.
//! **Not here:** who decides ([`super::Controller`]), what the load is.

use std::collections::VecDeque;

/// The units. Surplus is taken from those that still boot, the newest first, then from those
/// that are ready: a unit that was asked for by mistake costs nothing, as when Kubernetes
/// shrinks a ReplicaSet. It follows that `ready` is the least that was desired over the
/// last boot time.
#[derive(Clone, Debug)]
pub(super) struct World {
    ready: u32,
    /// When, and how many; ascending.
    booting: VecDeque<(i64, u32)>,
    booting_total: u32,
    boot: i64,
}

impl World {
    pub(super) fn new(ready: u32, boot: i64) -> World {
        World { ready, booting: VecDeque::new(), booting_total: 0, boot }
    }

    /// Units asked for and not given back.
    pub(super) fn current(&self) -> u32 {
        self.ready.saturating_add(self.booting_total)
    }

    /// Units that serve.
    pub(super) fn ready(&self) -> u32 {
        self.ready
    }

    /// When the next units become ready.
    pub(super) fn next_ready_at(&self) -> Option<i64> {
        self.booting.front().map(|(at, _)| *at)
    }

    /// What was due by `now` is ready.
    pub(super) fn advance(&mut self, now: i64) {
        while let Some((_, n)) = self.booting.front().copied().filter(|(at, _)| *at <= now) {
            self.booting.pop_front();
            self.booting_total = self.booting_total.saturating_sub(n);
            self.ready = self.ready.saturating_add(n);
        }
    }

    /// From `now` on there shall be `desired` units.
    pub(super) fn set(&mut self, now: i64, desired: u32) {
        let current = self.current();
        if current < desired {
            let n = desired - current;
            self.booting.push_back((now.saturating_add(self.boot), n));
            self.booting_total += n;
            self.advance(now);
            return;
        }
        let mut surplus = current - desired;
        while 0 < surplus
            && let Some((_, newest)) = self.booting.back_mut()
        {
            let n = surplus.min(*newest);
            *newest -= n;
            surplus -= n;
            self.booting_total -= n;
            if *newest == 0 {
                self.booting.pop_back();
            }
        }
        self.ready = self.ready.saturating_sub(surplus);
    }
}
