//! What was true of one service a while ago.
//!
//! **In:** inventories with the second they held at the end of.
//! **Out:** the inventory of an earlier second, for stale reads.
//! **Not here:** when a read is stale ([`crate::provider`]).

use std::collections::VecDeque;

use super::Inventory;

/// Longest time that a read can be behind, in seconds; longer counts as this.
///
/// Why 600: it outlasts several decisions about any service, and what is kept must not grow with
/// the run. It bounds the memory to one entry per second and service.
pub const STALE_SECONDS_MAX: i64 = 600;

/// The inventories of the last [`STALE_SECONDS_MAX`] seconds, kept where they changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// Second and what held from its end on, earliest first; seconds rise strictly.
    changes: VecDeque<(i64, Inventory)>,
}

impl Past {
    /// Takes note of what holds at `second`; a later note of the same second replaces it.
    pub(super) fn note(&mut self, second: i64, inventory: Inventory) {
        match self.changes.back_mut() {
            Some((_, last)) if *last == inventory => return,
            Some((at, last)) if *at == second => *last = inventory,
            Some(_) | None => self.changes.push_back((second, inventory)),
        }
        // The entry in front of the oldest second that can be asked for is still needed.
        let oldest = second.saturating_sub(STALE_SECONDS_MAX);
        while self.changes.get(1).is_some_and(|(at, _)| *at <= oldest) {
            self.changes.pop_front();
        }
    }

    /// What held at `second`, or the earliest that is known; `None` before the first note.
    pub(super) fn at(&self, second: i64) -> Option<Inventory> {
        let later = self.changes.partition_point(|(at, _)| *at <= second);
        self.changes.get(later.saturating_sub(1)).map(|(_, inventory)| *inventory)
    }

    /// How many entries it keeps.
    #[cfg(test)]
    pub(super) fn n_kept(&self) -> usize {
        self.changes.len()
    }
}
