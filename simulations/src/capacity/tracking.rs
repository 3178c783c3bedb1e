//! Target tracking with a schedule, as a team on AWS sets it up by hand.
//!
//! **In:** load per ready unit, as one datapoint a minute.
//! **Out:** the units that the policy and the schedule would set.
//! **Not here:** their arithmetic ([`crate::tracking_rule`]).

use super::{Controller, Look, Trace, units_for};
use crate::tracking_rule::{CronRule, DATAPOINT_SECONDS, Minimum, TrackingRule, minimum_in_force};

const HOURS: usize = 24;

/// Target tracking on load per ready unit, in percent of what a unit carries, with one scheduled
/// action per hour: in the scored part there are never fewer units than the same hour of the
/// history needed at most. That is the schedule of a person who looked at two days of graphs
/// once: it knows the hours, not the weekdays, and never learns anything new.
#[derive(Clone, Debug)]
pub struct Tracking {
    target_percent: f64,
    rule: TrackingRule,
    /// Sum and number of looks in this minute.
    sum: f64,
    n_looks: u32,
    minute_ends_at: Option<i64>,
    /// Most units that the history needed in each hour of the day (UTC); 0 where it has no such
    /// hour.
    most: [u32; HOURS],
    /// What the person wrote down when the history was over.
    schedule: Vec<CronRule>,
}

impl Tracking {
    /// A policy at a target utilisation in percent, `> 0`.
    pub fn new(target_percent: f64) -> Tracking {
        Tracking {
            target_percent,
            rule: TrackingRule::new(target_percent),
            sum: 0.0,
            n_looks: 0,
            minute_ends_at: None,
            most: [0; HOURS],
            schedule: Vec::new(),
        }
    }

    /// The mean of the minute that ends now; `None` when it ends in a gap.
    fn datapoint(&mut self, look: &Look) -> Option<f64> {
        let (sum, n_looks) = (std::mem::take(&mut self.sum), std::mem::take(&mut self.n_looks));
        look.sample.map(|_| sum / f64::from(n_looks.max(1)))
    }

    fn minimum(&mut self, look: &Look) -> u32 {
        if !look.is_scored {
            if let Some(sample) = look.sample
                && let Ok(hour) = usize::try_from(look.now.rem_euclid(86_400) / 3_600)
                && let Some(most) = self.most.get_mut(hour)
            {
                *most = units_for(sample.value, look.unit).max(*most);
            }
            return 1;
        }
        if self.schedule.is_empty() {
            self.schedule = (0u16..)
                .zip(self.most)
                .map(|(hour, most)| CronRule {
                    minute_of_day_utc: hour * 60,
                    weekdays: CronRule::DAILY,
                    minimum: Minimum::Units(most),
                })
                .collect();
        }
        match minimum_in_force(&self.schedule, look.now) {
            Some(Minimum::Units(units)) => units.max(1),
            Some(Minimum::PeakRatio(_)) | None => 1,
        }
    }
}

impl Controller for Tracking {
    fn label(&self) -> String {
        format!("tracking:{}", self.target_percent)
    }

    fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
        if let Some(sample) = look.sample {
            self.sum += 100.0 * sample.value / (look.unit * f64::from(look.ready.max(1)));
            self.n_looks += 1;
        }
        let minute_ends_at =
            *self.minute_ends_at.get_or_insert(look.now.saturating_add(DATAPOINT_SECONDS));
        let mut desired = look.current;
        if minute_ends_at <= look.now {
            self.minute_ends_at = Some(look.now.saturating_add(DATAPOINT_SECONDS));
            let metric = self.datapoint(look);
            desired = self.rule.datapoint(look.now, look.current, metric);
        }
        desired.max(self.minimum(look))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Sample;

    /// Changes of desired capacity (second, units) when one unit carries 10 and everything is
    /// ready at once; `value` is the load at a second, `None` in a gap.
    fn play(
        evaluation_period: i64,
        seconds: i64,
        scored_from: i64,
        value: impl Fn(i64) -> Option<f64>,
    ) -> Vec<(i64, u32)> {
        let (mut tracking, mut trace) = (Tracking::new(50.0), Trace::default());
        let (mut units, mut changes) = (10, Vec::new());
        let mut now = 0;
        while now < seconds {
            let look = Look {
                now,
                sample: value(now).map(|value| Sample { at: now, value }),
                current: units,
                ready: units,
                unit: 10.0,
                is_scored: scored_from <= now,
            };
            let desired = tracking.evaluate(&look, &mut trace);
            if desired != units {
                changes.push((now, desired));
            }
            units = desired;
            now += evaluation_period;
        }
        changes
    }

    #[test]
    fn looks_are_gathered_into_minutes() {
        // 60 % for three minutes, then at the target.
        let load = |now| Some(if now <= 180 { 60.0 } else { 50.0 });
        for evaluation_period in [1, 15, 60] {
            assert_eq!(play(evaluation_period, 600, 0, load), [(180, 12)], "{evaluation_period}");
        }
        // Looks that are further apart are datapoints of their own.
        assert_eq!(play(90, 600, 0, load), []);
        // A mean above the target is above it, whatever its parts are.
        let flutter = |now| Some(if now % 30 == 0 { 90.0 } else { 20.0 });
        assert_eq!(play(15, 240, 0, flutter), [(180, 11)]);
    }

    #[test]
    fn a_minute_that_ends_in_a_gap_does_nothing() {
        let load = |now| (now % 120 != 0).then_some(20.0);
        assert_eq!(play(15, 7_200, 0, load), []);
    }

    #[test]
    fn the_history_becomes_a_schedule_of_hours() {
        // Two days: 50 units at 9:30 on the second one, 2 otherwise; the third day is idle.
        const DAY: i64 = 86_400;
        const HALF_PAST_NINE: i64 = 9 * 3_600 + 1_800;
        let load = |now| Some(if now == DAY + HALF_PAST_NINE { 500.0 } else { 20.0 });
        let changes = play(60, 3 * DAY, 2 * DAY, load);
        let scored: Vec<_> = changes.into_iter().filter(|(at, _)| 2 * DAY <= *at).collect();
        let nine = 2 * DAY + 9 * 3_600;
        assert_eq!(scored.first(), Some(&(nine, 50)), "{scored:?}");
        // When it ends, the alarm has been on for long: it shrinks within a minute or two.
        assert_eq!(scored.get(1).map(|(at, _)| *at), Some(nine + 3_600), "{scored:?}");
    }

    #[test]
    fn without_history_there_is_no_schedule() {
        assert_eq!(play(60, 86_400, 0, |_| Some(50.0)), []);
    }
}
