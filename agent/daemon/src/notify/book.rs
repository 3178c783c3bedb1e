//! Which notices are on their way, and how those before ended.
//!
//! **In:** notices that begin, and each channel's last word on them.
//! **Out:** each notice's [`Delivery`], once; the same again when it is asked for again.
//! **Not here:** what waits for which channel ([`super::line`]).

use std::collections::BTreeMap;

use evenkeel_core::ids::NoticeId;
use evenkeel_core::notice::Delivery;

/// How many ended notices are remembered, to know one that comes again. Why 2,000: four
/// times what the core remembers.
const ENDED_KEPT: usize = 2_000;

/// All notices of this process.
#[derive(Debug, Default)]
pub(super) struct Book {
    under_way: BTreeMap<NoticeId, Progress>,
    ended: BTreeMap<NoticeId, Delivery>,
}

#[derive(Debug)]
struct Progress {
    /// Channels that have not ended with it.
    n_left: usize,
    /// Whether any took it.
    was_taken: bool,
}

/// What to do with a notice that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Send it.
    New,
    /// It is being sent.
    UnderWay,
    /// It has ended, perhaps just now because nobody wants it.
    Ended(Delivery),
}

impl Book {
    /// A notice comes in that `n_channels` want. One that nobody wants has ended well.
    pub(super) fn begin(&mut self, id: NoticeId, n_channels: usize) -> Begun {
        if let Some(delivery) = self.ended.get(&id) {
            return Begun::Ended(*delivery);
        }
        if self.under_way.contains_key(&id) {
            return Begun::UnderWay;
        }
        if n_channels == 0 {
            self.end(id, Delivery::Delivered);
            return Begun::Ended(Delivery::Delivered);
        }
        self.under_way.insert(id, Progress { n_left: n_channels, was_taken: false });
        Begun::New
    }

    /// One channel has ended with it. Answers how the notice ended when that was the last.
    pub(super) fn ended_on_a_channel(&mut self, id: NoticeId, taken: bool) -> Option<Delivery> {
        let progress = self.under_way.get_mut(&id)?;
        progress.was_taken |= taken;
        progress.n_left = progress.n_left.saturating_sub(1);
        if 0 < progress.n_left {
            return None;
        }
        let delivery = if progress.was_taken { Delivery::Delivered } else { Delivery::GivenUp };
        self.under_way.remove(&id);
        self.end(id, delivery);
        Some(delivery)
    }

    fn end(&mut self, id: NoticeId, delivery: Delivery) {
        self.ended.insert(id, delivery);
        if ENDED_KEPT < self.ended.len() {
            // Numbers grow, so the first is the oldest.
            self.ended.pop_first();
        }
    }
}
