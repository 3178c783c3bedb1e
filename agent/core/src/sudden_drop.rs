//! Recognises a load that falls too far too fast to be believed at once.
//!
//! **In:** the good values of one load signal, one after the other, and gaps.
//! **Out:** for each value, whether it is a [`Doubt::SuddenDrop`].
//! **Not here:** stale, future or missing samples ([`crate::quality`]), anomalies
//! in general (`evenkeel-forecast`).
//!
//! An exporter that restarts counts from zero, a broken scrape returns the last
//! value it had, a backend that comes back serves what it knew before. All three
//! look like an empty shop, and an agent that believes them at once removes
//! capacity that is needed a minute later (KEDA #965).

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::look_back::GAP_MAX;
use crate::quality::Doubt;

/// A fall below this fraction of the load before is suspect until it has lasted,
/// unless such low values are usual for the series.
///
/// Why 0.3: load that falls to a third within minutes is an outage in front of
/// the service or a broken exporter far more often than people going home.
pub const SUDDEN_DROP_RATIO: f64 = 0.3;

/// How long a low value must have been seen without a gap before it is believed.
///
/// Why 5 min: an exporter that restarts is back sooner (KEDA #965 took 3 min),
/// and five minutes of unneeded capacity cost little.
pub const LASTING: SignedDuration = SignedDuration::from_mins(5);

/// As [`LASTING`], for a value that is far below even the low values of its
/// history (below [`SUDDEN_DROP_RATIO`] of what is usual).
///
/// Why 30 min: two weeks have not seen the like, so it is an outage, of the
/// metrics or of the world. In either case the capacity is wanted when it ends,
/// and most end within half an hour.
pub const LASTING_UNHEARD_OF: SignedDuration = SignedDuration::from_mins(30);

/// How far back believed values count as the load before.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// Believed values kept, whatever the evaluation period: 10 min at 5 s.
const RECENT_MAX: usize = 120;

/// What one load signal was like.
#[derive(Clone, Debug, Default)]
pub struct LoadMemory {
    /// Believed values of the last [`RECENT`], oldest first.
    recent: VecDeque<(Timestamp, f64)>,
    /// The median of `recent` when it last had any: what an outage of the
    /// backend leaves behind.
    before: Option<f64>,
    /// Since when values have been too low to be believed, without a gap.
    low_since: Option<Timestamp>,
    /// When the newest value was taken in.
    taken_at: Option<Timestamp>,
}

impl LoadMemory {
    /// Takes in a value (finite, `>= 0`) and says whether it may be believed.
    /// `usual_low` is a low value that is usual for the series, if that is known.
    pub fn take(&mut self, now: Timestamp, value: f64, usual_low: Option<f64>) -> Option<Doubt> {
        let silent_since = self.taken_at.replace(now);
        if silent_since.is_some_and(|at| GAP_MAX < now.duration_since(at)) {
            // Nobody looked, for example because this process stood still.
            self.miss();
        }
        if self.recent.back().is_some_and(|(at, _)| RECENT < now.duration_since(*at)) {
            self.before = median(self.recent.iter().map(|(_, value)| *value));
        }
        while self.recent.front().is_some_and(|(at, _)| RECENT < now.duration_since(*at))
            || RECENT_MAX <= self.recent.len()
        {
            self.recent.pop_front();
        }
        if let Some(median) = median(self.recent.iter().map(|(_, value)| *value)) {
            self.before = Some(median);
        }
        // At the start there is no load before; what is usual stands for it.
        let before = self.before.or(usual_low).unwrap_or(0.0);
        let is_usual = usual_low.is_some_and(|low| low <= value);
        if value < SUDDEN_DROP_RATIO * before && !is_usual {
            let since = *self.low_since.get_or_insert(now);
            let is_unheard_of = usual_low.is_some_and(|low| value < SUDDEN_DROP_RATIO * low);
            let lasting = if is_unheard_of { LASTING_UNHEARD_OF } else { LASTING };
            if now.duration_since(since) < lasting {
                return Some(Doubt::SuddenDrop { recent: before });
            }
            // It has lasted: this is the load now.
            self.recent.clear();
        }
        self.low_since = None;
        self.recent.push_back((now, value));
        None
    }

    /// Takes in that there was no value: a low one afterwards must last anew.
    pub fn miss(&mut self) {
        self.low_since = None;
    }
}

/// The lower median; `None` without values.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len().checked_sub(1)? / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Each step lasts a number of seconds with one value per second; `None` is a gap.
    #[track_caller]
    fn check(usual_low: Option<f64>, steps: &[(i64, Option<f64>)], expected: &Expect) {
        let mut memory = LoadMemory::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut shown = String::new();
        for (seconds, value) in steps {
            let mut n_suspect = 0;
            for _ in 0..*seconds {
                now += SignedDuration::from_secs(1);
                match value {
                    Some(value) => {
                        n_suspect += i32::from(memory.take(now, *value, usual_low).is_some());
                    }
                    None => memory.miss(),
                }
            }
            shown.push_str(&format!("{value:?} for {seconds} s: {n_suspect} suspect\n"));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_drop_is_suspect_until_it_has_lasted() {
        check(
            None,
            &[(30, Some(100.0)), (400, Some(0.0)), (10, Some(100.0)), (10, Some(0.0))],
            &expect![[r#"
                Some(100.0) for 30 s: 0 suspect
                Some(0.0) for 400 s: 300 suspect
                Some(100.0) for 10 s: 0 suspect
                Some(0.0) for 10 s: 0 suspect
            "#]],
        );
    }

    #[test]
    fn an_outage_of_the_backend_does_not_make_a_drop_believable() {
        check(
            None,
            &[(30, Some(100.0)), (10, Some(0.0)), (1_200, None), (290, Some(0.0))],
            &expect![[r#"
                Some(100.0) for 30 s: 0 suspect
                Some(0.0) for 10 s: 10 suspect
                None for 1200 s: 0 suspect
                Some(0.0) for 290 s: 290 suspect
            "#]],
        );
    }

    #[test]
    fn an_outage_right_after_the_first_value_does_not_either() {
        check(
            None,
            &[(1, Some(100.0)), (1_200, None), (10, Some(0.0))],
            &expect![[r#"
                Some(100.0) for 1 s: 0 suspect
                None for 1200 s: 0 suspect
                Some(0.0) for 10 s: 10 suspect
            "#]],
        );
    }

    #[test]
    fn a_low_value_before_and_after_a_standstill_has_not_lasted() {
        let mut memory = LoadMemory::default();
        let mut suspect = |seconds: i64, value| {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            memory.take(now, value, None).is_some()
        };
        assert!(!suspect(0, 100.0));
        assert!(suspect(15, 0.0));
        // The host was suspended for an hour; the exporter restarts with it.
        assert!(suspect(3_615, 0.0));
        assert!(suspect(3_630, 0.0));
    }

    #[test]
    fn what_is_usual_is_believed_at_once_and_what_is_far_below_is_not() {
        check(
            Some(10.0),
            &[(5, Some(0.0)), (30, Some(100.0)), (5, Some(12.0)), (5, Some(9.0)), (5, Some(1.0))],
            &expect![[r#"
                Some(0.0) for 5 s: 5 suspect
                Some(100.0) for 30 s: 0 suspect
                Some(12.0) for 5 s: 0 suspect
                Some(9.0) for 5 s: 5 suspect
                Some(1.0) for 5 s: 5 suspect
            "#]],
        );
    }

    #[test]
    fn what_two_weeks_have_not_seen_must_last_half_an_hour() {
        check(
            Some(50.0),
            &[(30, Some(100.0)), (2_000, Some(0.0)), (30, Some(100.0)), (400, Some(20.0))],
            &expect![[r#"
                Some(100.0) for 30 s: 0 suspect
                Some(0.0) for 2000 s: 1800 suspect
                Some(100.0) for 30 s: 0 suspect
                Some(20.0) for 400 s: 0 suspect
            "#]],
        );
    }

    #[test]
    fn people_going_home_are_believed() {
        let evening: Vec<(i64, Option<f64>)> =
            (0..30).map(|step| (60, Some(100.0 - 3.0 * f64::from(step)))).collect();
        let mut memory = LoadMemory::default();
        let mut now = Timestamp::UNIX_EPOCH;
        for (seconds, value) in evening {
            for _ in 0..seconds {
                now += SignedDuration::from_secs(1);
                assert_eq!(memory.take(now, value.unwrap_or(0.0), None), None, "{value:?}");
            }
        }
    }
}
