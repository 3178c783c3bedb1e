//! Target tracking as AWS Auto Scaling does it, and scheduled actions.
//!
//! **In:** one datapoint a minute, and rules by the clock.
//! **Out:** the units that the two would set.
//! **Not here:** what the metric is, which schedule a person would write
//! ([`crate::capacity::Tracking`], [`crate::pilot::Tracking`]).
//!
//! Source: the user guide of Amazon EC2 Auto Scaling (*target tracking scaling policies*,
//! *default instance warmup*, *scheduled scaling*), and the alarms that a policy creates: three
//! one-minute datapoints above the target, fifteen below 90 % of it.

use std::collections::VecDeque;

use crate::hpa_rule::ceil_units;

/// Seconds from datapoint to datapoint; that of the alarms.
pub(crate) const DATAPOINT_SECONDS: i64 = 60;
/// Datapoints above the target until the alarm goes off.
const ABOVE_DATAPOINTS: u32 = 3;
/// Datapoints below the target until the alarm goes off.
const BELOW_DATAPOINTS: u32 = 15;
/// Below this share of the target counts as below.
const BELOW_RATIO: f64 = 0.9;
/// Seconds in which a new unit does not count yet, and nothing shrinks. Why 300: the default
/// cooldown, which is what most groups were created with.
const WARMUP_SECONDS: i64 = 300;

const DAY_SECONDS: i64 = 86_400;

/// One target's alarms, and what warms up.
#[derive(Clone, Debug)]
pub(crate) struct TrackingRule {
    /// In the metric's unit, `> 0`.
    target: f64,
    /// Datapoints above the target, without a break.
    above: u32,
    /// Datapoints below, without a break.
    below: u32,
    /// Until when, and how many units; ascending.
    warming: VecDeque<(i64, u32)>,
    /// Units at the last datapoint.
    last: Option<u32>,
}

impl TrackingRule {
    pub(crate) fn new(target: f64) -> TrackingRule {
        TrackingRule { target, above: 0, below: 0, warming: VecDeque::new(), last: None }
    }

    /// Takes the datapoint of the minute that ends at `now`, and says how many units there
    /// shall be; `current` for no change. `None` is a minute without a metric: an alarm with
    /// insufficient data, which does nothing and begins to count anew.
    pub(crate) fn datapoint(&mut self, now: i64, current: u32, metric: Option<f64>) -> u32 {
        self.warm(now, current);
        let Some(metric) = metric.filter(|it| it.is_finite()) else {
            (self.above, self.below) = (0, 0);
            return current;
        };
        self.above = if self.target < metric { self.above.saturating_add(1) } else { 0 };
        let is_below = metric < self.target * BELOW_RATIO;
        self.below = if is_below { self.below.saturating_add(1) } else { 0 };
        let warming: u32 = self.warming.iter().map(|(_, n)| *n).sum();
        let scaled = |units: u32| ceil_units(f64::from(units) * metric / self.target).max(1);
        if ABOVE_DATAPOINTS <= self.above {
            // What warms up was added for this very load: it must not be added twice.
            return scaled(current.saturating_sub(warming).max(1)).max(current);
        }
        if BELOW_DATAPOINTS <= self.below && warming == 0 {
            return scaled(current).min(current);
        }
        current
    }

    /// Notes what was added and taken since the last datapoint, by whomever.
    fn warm(&mut self, now: i64, current: u32) {
        self.warming.retain(|(until, _)| now < *until);
        let last = self.last.replace(current).unwrap_or(current);
        if last < current {
            self.warming.push_back((now + WARMUP_SECONDS, current - last));
        }
        let mut gone = last.saturating_sub(current);
        while 0 < gone
            && let Some((_, newest)) = self.warming.back_mut()
        {
            let n = gone.min(*newest);
            *newest -= n;
            gone -= n;
            if *newest == 0 {
                self.warming.pop_back();
            }
        }
    }
}

/// A scheduled action: from that minute on, the fewest units are others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CronRule {
    /// Minutes since midnight in UTC, `0 .. 1440`.
    pub minute_of_day_utc: u16,
    /// Days on which it happens: bit 0 is Monday, bit 6 is Sunday.
    pub weekdays: u8,
    /// The fewest units from then on, until the next rule's time.
    pub minimum: Minimum,
}

/// How a person writes down the fewest units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Minimum {
    /// A share of what the peak needs, `0.0 ..= 1.0`; 0 is the fewest there may be.
    PeakRatio(f64),
    /// So many.
    Units(u32),
}

impl CronRule {
    /// Every day.
    pub const DAILY: u8 = 0b111_1111;
    /// Monday to Friday.
    pub const MONDAY_TO_FRIDAY: u8 = 0b001_1111;

    /// When it last happened, in Unix seconds; `None` when it has no day.
    fn last_at(&self, unix_second: i64) -> Option<i64> {
        let today = unix_second.div_euclid(DAY_SECONDS);
        (0..=7).map(|back| today - back).find_map(|day| {
            // 1970-01-01 was a Thursday, the fourth day from Monday.
            let weekday = (day + 3).rem_euclid(7);
            let at = day * DAY_SECONDS + i64::from(self.minute_of_day_utc) * 60;
            (self.weekdays >> weekday & 1 == 1 && at <= unix_second).then_some(at)
        })
    }
}

/// What the rule says that happened last; of several at the same time, the last one in the
/// list. `None` without rules: the schedule is taken to have been in force for more than a week.
pub(crate) fn minimum_in_force(rules: &[CronRule], unix_second: i64) -> Option<Minimum> {
    rules
        .iter()
        .filter_map(|rule| rule.last_at(unix_second).map(|at| (at, rule.minimum)))
        .max_by_key(|(at, _)| *at)
        .map(|(_, minimum)| minimum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A policy at 50 with 10 units, one datapoint a minute, everything that it asks for done at
    /// once: units after each datapoint; `None` is a minute without data.
    fn play(metrics: impl IntoIterator<Item = Option<f64>>) -> Vec<u32> {
        let mut rule = TrackingRule::new(50.0);
        let mut units = 10;
        (0..)
            .zip(metrics)
            .map(|(minute, metric)| {
                units = rule.datapoint(minute * DATAPOINT_SECONDS, units, metric);
                units
            })
            .collect()
    }

    #[track_caller]
    fn check(metrics: impl IntoIterator<Item = Option<f64>>, expected: &[u32]) {
        assert_eq!(play(metrics), expected);
    }

    #[test]
    fn three_datapoints_above_the_target_add_units() {
        check([60.0, 60.0, 60.0].map(Some), &[10, 10, 12]);
        check([60.0, 60.0, 50.0, 60.0, 60.0, 60.0].map(Some), &[10, 10, 10, 10, 10, 12]);
        check([50.0, 50.0, 50.0, 50.0].map(Some), &[10; 4]);
    }

    #[test]
    fn what_warms_up_is_not_added_twice_but_more_load_adds_more() {
        // 12 for 60, although the metric stays: the new units are not counted yet; 80 needs 16.
        check([60.0, 60.0, 60.0, 60.0, 60.0, 80.0].map(Some), &[10, 10, 12, 12, 12, 16]);
    }

    #[test]
    fn after_five_minutes_new_units_count() {
        // Added at minute 2, seen at minute 3, counted from minute 8 on: 12 times 60 / 50.
        let units = play([Some(60.0); 10]);
        assert_eq!(units, [10, 10, 12, 12, 12, 12, 12, 12, 15, 15]);
    }

    #[test]
    fn fifteen_datapoints_below_nine_tenths_of_the_target_remove_units() {
        let mut expected = vec![10; 14];
        expected.extend([8, 7, 6]);
        check([Some(40.0); 17], &expected);
        check([Some(45.0); 30], &[10; 30]);
    }

    #[test]
    fn a_minute_without_data_does_nothing_and_breaks_the_count() {
        let mut metrics = vec![Some(40.0); 14];
        metrics.push(None);
        metrics.extend([Some(40.0); 14]);
        check(metrics, &[10; 29]);
        check([Some(60.0), Some(60.0), None, Some(60.0), Some(60.0)], &[10; 5]);
        check([Some(60.0), Some(60.0), Some(f64::NAN)], &[10; 3]);
        check([None; 60], &[10; 60]);
    }

    #[test]
    fn nothing_is_removed_while_something_warms_up() {
        let mut rule = TrackingRule::new(50.0);
        for minute in 0..14 {
            assert_eq!(rule.datapoint(minute * 60, 10, Some(20.0)), 10);
        }
        // Somebody adds ten by hand: five minutes pass before the alarm is obeyed.
        let units: Vec<u32> =
            (14..21).map(|minute| rule.datapoint(minute * 60, 20, Some(20.0))).collect();
        assert_eq!(units, [20, 20, 20, 20, 20, 8, 8]);
    }

    /// Rules at 8:00 from Monday to Friday (12 units) and at 20:00 on every day (2).
    const RULES: [CronRule; 2] = [
        CronRule {
            minute_of_day_utc: 480,
            weekdays: CronRule::MONDAY_TO_FRIDAY,
            minimum: Minimum::Units(12),
        },
        CronRule {
            minute_of_day_utc: 1_200,
            weekdays: CronRule::DAILY,
            minimum: Minimum::Units(2),
        },
    ];

    #[test]
    fn the_rule_that_happened_last_is_in_force() {
        let check = |instant: &str, expected| {
            let at: jiff::Timestamp = instant.parse().unwrap();
            let found = minimum_in_force(&RULES, at.as_second());
            assert_eq!(found, Some(Minimum::Units(expected)), "{instant}");
        };
        check("2026-11-20T07:59:59Z", 2); // a Friday
        check("2026-11-20T08:00:00Z", 12);
        check("2026-11-20T19:59:59Z", 12);
        check("2026-11-20T20:00:00Z", 2);
        check("2026-11-21T12:00:00Z", 2); // Saturday
        check("2026-11-22T12:00:00Z", 2); // Sunday
        check("2026-11-23T12:00:00Z", 12); // Monday
        assert_eq!(minimum_in_force(&[], 0), None);
        let never = CronRule { weekdays: 0, ..RULES[0] };
        assert_eq!(minimum_in_force(&[never], 0), None);
    }

    #[test]
    fn of_two_rules_at_one_time_the_later_one_counts() {
        let later = CronRule { minimum: Minimum::PeakRatio(0.5), ..RULES[0] };
        let at = 4 * DAY_SECONDS + 480 * 60; // Monday, 1970-01-05
        assert_eq!(minimum_in_force(&[RULES[0], later], at), Some(Minimum::PeakRatio(0.5)));
        assert_eq!(minimum_in_force(&[later, RULES[0]], at), Some(Minimum::Units(12)));
    }

    proptest! {
        #[test]
        fn it_moves_towards_the_target_or_not_at_all(
            metrics in prop::collection::vec(prop::option::of(0.0f64..200.0), 1..80),
        ) {
            let mut before = 10;
            for (units, metric) in play(metrics.clone()).into_iter().zip(metrics) {
                match metric {
                    None => prop_assert_eq!(units, before),
                    Some(it) if it < 45.0 => prop_assert!(units <= before),
                    Some(it) if 50.0 < it => prop_assert!(before <= units),
                    Some(_) => prop_assert_eq!(units, before),
                }
                prop_assert!(1 <= units);
                before = units;
            }
        }
    }
}
