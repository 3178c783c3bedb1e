//! When a series is fitted: not all at once, and not again and again.
//!
//! **In:** whether a refit is due, and how the last ones ended.
//! **Out:** whether to ask for one now.
//! **Not here:** whether a refit is due (the forecaster says so), whose turn it is
//! among those that ask ([`super::books`]).

use jiff::{SignedDuration, Timestamp};

/// Time over which refits that become due at once are spread.
///
/// Why 15 min: 10,000 fits of 5 ms are then 6% of one core, and a fit may wait
/// that long: updates between refits follow the level.
const SPREAD: SignedDuration = SignedDuration::from_mins(15);

/// A series is not fitted again sooner.
const REST: SignedDuration = SignedDuration::from_mins(1);

/// Wait after a failed refit; doubled with each further one, up to [`BACKOFF_MAX`].
///
/// Why 10 min: a fit that fails on these points fails on nearly the same points
/// too, and two new ones have come by then.
const BACKOFF: SignedDuration = SignedDuration::from_mins(10);

/// The longest wait after failed refits.
const BACKOFF_MAX: SignedDuration = SignedDuration::from_hours(6);

/// Doublings after which [`BACKOFF_MAX`] is reached for sure.
const DOUBLINGS_MAX: u32 = 8;

/// The refits of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refits {
    fitted_at: Option<Timestamp>,
    due_since: Option<Timestamp>,
    /// Between asking for one and its end.
    is_asked: bool,
    n_failed: u32,
    not_before: Option<Timestamp>,
}

impl Refits {
    /// As known after a restart.
    pub(super) fn last_at(fitted_at: Option<Timestamp>) -> Refits {
        Refits { fitted_at, ..Refits::default() }
    }

    /// When the last one that worked ended.
    pub(super) fn fitted_at(&self) -> Option<Timestamp> {
        self.fitted_at
    }

    /// Whether to ask for a refit now; if so it counts as asked for until
    /// [`Refits::end`]. `fraction` in `[0, 1)` is the place of the series among all.
    pub(super) fn ask(&mut self, now: Timestamp, is_due: bool, fraction: f64) -> bool {
        if self.is_asked {
            return false;
        }
        if !is_due {
            self.due_since = None;
            return false;
        }
        let since = *self.due_since.get_or_insert(now);
        // The first one at once: until then there is nothing to go by.
        let wait = match self.fitted_at {
            Some(fitted_at) if now.duration_since(fitted_at) < REST => return false,
            Some(_) => SPREAD.as_secs_f64() * fraction,
            None => 0.0,
        };
        let is_backed_off = self.not_before.is_some_and(|it| now < it);
        self.is_asked = !is_backed_off && wait <= now.duration_since(since).as_secs_f64();
        self.is_asked
    }

    /// The refit that was asked for ended; false when none was.
    pub(super) fn end(&mut self, now: Timestamp, is_done: bool) -> bool {
        if !std::mem::take(&mut self.is_asked) {
            return false;
        }
        self.due_since = None;
        if is_done {
            self.fitted_at = Some(now);
            (self.n_failed, self.not_before) = (0, None);
        } else {
            let wait = BACKOFF.saturating_mul(1 << self.n_failed.min(DOUBLINGS_MAX));
            self.n_failed = self.n_failed.saturating_add(1);
            self.not_before = now.checked_add(wait.min(BACKOFF_MAX)).ok();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + minute * 60).unwrap()
    }

    /// The first minute from `from` on at which it asks.
    fn asks_at(refits: &mut Refits, from: i64, fraction: f64) -> Option<i64> {
        (from..from + 1_000).find(|it| refits.ask(at(*it), true, fraction))
    }

    #[test]
    fn the_first_is_at_once_and_later_ones_are_spread() {
        for (fraction, spread) in [(0.0, 0), (0.5, 8), (0.99, 15)] {
            let mut refits = Refits::default();
            assert_eq!(asks_at(&mut refits, 0, fraction), Some(0));
            assert_eq!(asks_at(&mut refits, 1, fraction), None, "it is under way");
            assert!(refits.end(at(2), true));
            assert!(!refits.ask(at(3), false, fraction), "none is due");
            assert_eq!(asks_at(&mut refits, 360, fraction), Some(360 + spread));
        }
    }

    #[test]
    fn what_always_seems_due_is_not_fitted_without_rest() {
        let mut refits = Refits::default();
        assert!(refits.ask(at(0), true, 0.0));
        refits.end(at(0), true);
        assert!(!refits.ask(at(0), true, 0.0));
        assert!(refits.ask(at(1), true, 0.0));
    }

    #[test]
    fn failures_wait_longer_and_longer_until_one_works() {
        let mut refits = Refits::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let asked = asks_at(&mut refits, now, 0.0).unwrap();
            waits.push(asked - now);
            now = asked;
            refits.end(at(now), false);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 360], "in minutes");
        now += 360;
        assert!(refits.ask(at(now), true, 0.0));
        refits.end(at(now), true);
        assert!(refits.ask(at(now + 1), true, 0.0));
        refits.end(at(now + 1), false);
        assert_eq!(asks_at(&mut refits, now + 2, 0.0), Some(now + 11), "from the beginning");
    }

    #[test]
    fn an_end_that_nobody_waits_for_is_no_end() {
        let mut refits = Refits::last_at(Some(at(0)));
        assert!(!refits.end(at(5), true));
        assert_eq!(refits.fitted_at(), Some(at(0)));
    }
}
