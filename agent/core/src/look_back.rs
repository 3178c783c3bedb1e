//! What one target's signals asked for over the last while.
//!
//! **In:** one recommended capacity per evaluation, with whether its signals were good.
//! **Out:** the lowest and the highest of a window, and since when all was good.
//! **Not here:** what a signal asks for ([`crate::decide`]), anything that must
//! survive a restart ([`crate::state`]).

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::units::Capacity;

/// Longest silence between two good evaluations that still counts as one
/// uninterrupted run. Why 1 min: four default evaluation periods.
pub const GAP_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Recommendations kept per target. Why 3,700: the longest stabilization window
/// (1 h) at the shortest evaluation period (1 s), and some.
const RECOMMENDATIONS_MAX: usize = 3_700;

/// One recommendation.
#[derive(Clone, Copy, Debug)]
struct Recommended {
    at: Timestamp,
    capacity: Capacity,
    /// Whether a load asked for it, and not a latency or a queue.
    is_load_led: bool,
}

/// The past recommendations of one target, bounded.
#[derive(Clone, Debug, Default)]
pub struct LookBack {
    recommendations: VecDeque<Recommended>,
    good_since: Option<Timestamp>,
    observed_at: Option<Timestamp>,
}

impl LookBack {
    /// Adds the recommendation of one evaluation, and forgets those older than
    /// `window`.
    pub fn push(
        &mut self,
        now: Timestamp,
        capacity: Capacity,
        is_load_led: bool,
        is_good: bool,
        window: SignedDuration,
    ) {
        let is_interrupted = self.is_interrupted(now);
        if !is_good {
            self.good_since = None;
        } else if is_interrupted || self.good_since.is_none() {
            self.good_since = Some(now);
        }
        self.observed_at = Some(now);
        self.recommendations.push_back(Recommended { at: now, capacity, is_load_led });
        while self.recommendations.front().is_some_and(|it| window < now.duration_since(it.at))
            || RECOMMENDATIONS_MAX < self.recommendations.len()
        {
            self.recommendations.pop_front();
        }
    }

    /// Whether the evaluation before `now` is more than [`GAP_MAX`] ago; false
    /// before the first.
    pub fn is_interrupted(&self, now: Timestamp) -> bool {
        self.observed_at.is_some_and(|it| GAP_MAX < now.duration_since(it))
    }

    /// Time since the evaluation before `now`; `None` before the first.
    pub fn since_last(&self, now: Timestamp) -> Option<SignedDuration> {
        self.observed_at.map(|it| now.duration_since(it))
    }

    /// The evaluation could not be made: what was good has ended.
    pub fn interrupt(&mut self) {
        self.good_since = None;
    }

    /// Starts anew, as when another policy may mean another unit.
    pub fn clear(&mut self) {
        self.recommendations.clear();
        self.good_since = None;
    }

    /// The lowest recommendation of the last `window` and when it was newest.
    pub fn lowest_since(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> Option<(Timestamp, Capacity)> {
        self.within(now, window).min_by_key(|(at, it)| (*it, std::cmp::Reverse(*at)))
    }

    /// The highest that a latency or a queue asked for within the last `window`, and when it was
    /// newest.
    pub fn highest_led_by_others_since(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> Option<(Timestamp, Capacity)> {
        let others = self.recent(now, window).filter(|it| !it.is_load_led);
        others.map(|it| (it.at, it.capacity)).max_by_key(|(at, it)| (*it, *at))
    }

    /// The highest recommendation of the last `window` and when it was newest.
    pub fn highest_since(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> Option<(Timestamp, Capacity)> {
        self.within(now, window).max_by_key(|(at, it)| (*it, *at))
    }

    fn within(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> impl Iterator<Item = (Timestamp, Capacity)> {
        self.recent(now, window).map(|it| (it.at, it.capacity))
    }

    fn recent(&self, now: Timestamp, window: SignedDuration) -> impl Iterator<Item = &Recommended> {
        // The newest one always counts, also with a window of 0.
        self.recommendations
            .iter()
            .filter(move |it| it.at == now || now.duration_since(it.at) < window)
    }

    /// Since when every evaluation had good signals, without a gap; `None` when
    /// the newest one had not.
    pub fn good_since(&self) -> Option<Timestamp> {
        self.good_since
    }
}
