//! The arithmetic of the Kubernetes HorizontalPodAutoscaler.
//!
//! **In:** a metric, units by their condition, and what was recommended before.
//! **Out:** the units that HPA would set.
//! **Not here:** where the metric comes from, bounds, and how often anyone looks
//! ([`crate::capacity::Hpa`], [`crate::pilot::Hpa`]).
//!
//! Source: `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` of Kubernetes
//! 1.31, with the default `behavior`.

use std::collections::VecDeque;

/// Relative distance from the target inside which nothing changes; HPA's default.
const TOLERANCE: f64 = 0.1;
/// Look-back for shrinking; HPA's default.
const STABILIZATION_SECONDS: i64 = 300;
/// Growth within one period: at most this many units or a doubling; HPA's default.
const GROWTH_UNITS: u32 = 4;
/// The period of the growth policies; HPA's default.
const GROWTH_PERIOD_SECONDS: i64 = 15;
/// Added before a share is cut to whole percents. Why: `0.57 * 100.0` is a hair below 57;
/// Kubernetes counts in whole thousandths of a core and has no such hair.
const HAIR: f64 = 1e-9;

/// Units of one target as HPA sorts its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pods {
    /// Units that it is set to.
    pub(crate) current: u32,
    /// Units with a metric.
    pub(crate) ready: u32,
    /// Units that never were ready so far ("pending", "unready"): 0 % when growing, not
    /// counted when shrinking.
    pub(crate) unready: u32,
    /// Units that run without a metric: 0 % when growing, 100 % when shrinking.
    pub(crate) missing: u32,
}

/// From a use of units to a count, before any look back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calculator {
    /// Target utilisation in percent, `> 0`.
    pub(crate) target_percent: f64,
    /// Whether a mean use is cut to whole percents, as Kubernetes does. The capacity benchmark
    /// does not, since the figures that it is compared with were measured without.
    pub(crate) is_whole_percent: bool,
}

impl Calculator {
    /// The count for a mean use of ready units (1 is all of one unit). `None` without a ready
    /// unit: HPA has no metric then.
    pub(crate) fn recommended(&self, pods: Pods, ready_use: f64) -> Option<u32> {
        let Pods { current, ready, unready, missing } = pods;
        if ready == 0 {
            return None;
        }
        let ratio = self.ratio(ready_use);
        let counts_unready = 0 < unready && 1.0 < ratio;
        if !counts_unready && missing == 0 {
            let wanted = ceil_units(ratio * f64::from(ready));
            return Some(if is_near(ratio) { current } else { wanted });
        }
        if !(ratio < 1.0 || 1.0 < ratio) {
            return Some(current);
        }
        // Above 100 % it is the target that stands in for what is missing.
        let filled_use = (self.target_percent / 100.0).max(1.0);
        let filled = if ratio < 1.0 { filled_use * f64::from(missing) } else { 0.0 };
        let unready = if counts_unready { unready } else { 0 };
        let counted = f64::from(ready.saturating_add(missing).saturating_add(unready));
        let again = self.ratio((ready_use * f64::from(ready) + filled) / counted);
        let is_turned = (ratio < 1.0 && 1.0 < again) || (1.0 < ratio && again < 1.0);
        if is_near(again) || is_turned {
            return Some(current);
        }
        let wanted = ceil_units(again * counted);
        let is_turned = (again < 1.0 && current < wanted) || (1.0 < again && wanted < current);
        Some(if is_turned { current } else { wanted })
    }

    fn ratio(&self, share: f64) -> f64 {
        if self.is_whole_percent {
            return (share * 100.0 + HAIR).floor() / self.target_percent;
        }
        share / (self.target_percent / 100.0)
    }
}

/// The count for an external metric with an `AverageValue` of `per_unit`: units that are not
/// ready count like any other.
pub(crate) fn recommended_for_total(current: u32, total: f64, per_unit: f64) -> u32 {
    let ratio = total / (per_unit * f64::from(current));
    if is_near(ratio) { current } else { ceil_units(total / per_unit) }
}

fn is_near(ratio: f64) -> bool {
    (ratio - 1.0).abs() <= TOLERANCE
}

/// What HPA remembers of one target: recommendations, and how it grew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behavior {
    /// Of the last 5 min, before the newest.
    recommendations: VecDeque<(i64, u32)>,
    /// In the last period.
    growth: VecDeque<(i64, u32)>,
}

impl Behavior {
    /// Takes what there is as the first recommendation, so that a controller that was just
    /// started does not shrink at once.
    pub(crate) fn begin(&mut self, now: i64, current: u32) {
        if self.recommendations.is_empty() {
            self.recommendations.push_back((now, current));
        }
    }

    /// What shall be set when `wanted` is recommended at `now` (seconds, never going back).
    pub(crate) fn settle(&mut self, now: i64, current: u32, wanted: u32) -> u32 {
        let from = now - STABILIZATION_SECONDS;
        self.recommendations.retain(|(at, _)| from <= *at);
        let highest = self.recommendations.iter().map(|(_, it)| *it).max().unwrap_or(wanted);
        self.recommendations.push_back((now, wanted));
        // Growing has no look back; shrinking goes to the highest of the window.
        if current < wanted {
            let desired = wanted.min(self.growth_limit(now, current)).max(current);
            if current < desired {
                self.growth.push_back((now, desired - current));
            }
            return desired;
        }
        current.min(highest.max(wanted))
    }

    fn growth_limit(&mut self, now: i64, current: u32) -> u32 {
        let from = now - GROWTH_PERIOD_SECONDS;
        self.growth.retain(|(at, _)| from < *at);
        let grown: u32 = self.growth.iter().map(|(_, n)| *n).sum();
        let at_start = current.saturating_sub(grown);
        at_start.saturating_mul(2).max(at_start.saturating_add(GROWTH_UNITS))
    }
}

/// The least whole number of units that is not below; 0 for what is no number or negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float-to-int `as` saturates and maps NaN to 0"
)]
pub(crate) fn ceil_units(units: f64) -> u32 {
    units.ceil() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// HPA at 70 % in whole percents.
    const HPA: Calculator = Calculator { target_percent: 70.0, is_whole_percent: true };

    /// Ready, unready and missing of 10 units unless they add up to more; mean use of ready ones.
    #[track_caller]
    fn check(ready: u32, unready: u32, missing: u32, ready_use: f64, expected: Option<u32>) {
        let current = ready + unready + missing;
        let pods = Pods { current, ready, unready, missing };
        assert_eq!(HPA.recommended(pods, ready_use), expected, "{pods:?} at {ready_use}");
    }

    #[test]
    fn the_ratio_of_metric_and_target_scales_the_ready_units() {
        check(10, 0, 0, 0.70, Some(10));
        check(10, 0, 0, 1.00, Some(15)); // 100/70 of 10 is 14.3
        check(10, 0, 0, 0.35, Some(5));
        check(10, 0, 0, 0.36, Some(6)); // 5.14
        check(10, 0, 0, 0.0, Some(0));
        check(10, 0, 0, 2.10, Some(30));
    }

    #[test]
    fn within_a_tenth_of_the_target_nothing_changes() {
        check(10, 0, 0, 0.76, Some(10));
        check(10, 0, 0, 0.64, Some(10));
        check(10, 0, 0, 0.63, Some(10)); // 0.9, whose distance is a hair below a tenth
        check(10, 0, 0, 0.62, Some(9));
        check(10, 0, 0, 0.78, Some(12)); // 11.14
    }

    #[test]
    fn a_use_is_cut_to_whole_percents() {
        check(10, 0, 0, 0.769_9, Some(10)); // 76 %, not 76.99 %
        check(100, 0, 0, 0.57, Some(82)); // 57 %, although 0.57 * 100.0 is below 57
        check(100, 0, 0, 0.579_9, Some(82));
    }

    #[test]
    fn units_that_boot_count_nothing_when_growing() {
        // 100 % over 8 of 10 are 80 % of all, which is 1.14 of the target: 11.4 units.
        check(8, 2, 0, 1.0, Some(12));
        // Over 10 of 13: 76 % of all, within the tolerance.
        check(10, 3, 0, 1.0, Some(13));
        // Over 7 of 10: 70 % of all. Over half: below the target, the direction would turn.
        check(7, 3, 0, 1.0, Some(10));
        check(5, 5, 0, 1.0, Some(10));
    }

    #[test]
    fn units_that_boot_are_left_out_when_shrinking() {
        check(8, 2, 0, 0.35, Some(4));
        check(8, 2, 0, 0.70, Some(10)); // near: what is set, not what is ready
        check(8, 0, 2, 0.70, Some(10));
    }

    #[test]
    fn units_without_metrics_are_idle_when_growing_and_full_when_shrinking() {
        check(8, 0, 2, 1.0, Some(12));
        check(5, 0, 5, 1.0, Some(10));
        // 35 % over 8, 100 % over 2: 48 % of all, 6.9 units.
        check(8, 0, 2, 0.35, Some(7));
        // 50 % over 5, 100 % over 5: 75 % of all, the direction would turn.
        check(5, 0, 5, 0.50, Some(10));
        // Both: only missing ones count when shrinking.
        check(6, 2, 2, 0.35, Some(6)); // 51 % of 8 is 5.8 units
    }

    #[test]
    fn without_a_ready_unit_there_is_no_metric() {
        check(0, 10, 0, 0.0, None);
        check(0, 0, 10, 1.0, None);
    }

    #[test]
    fn an_external_metric_counts_every_unit() {
        let check = |current, total, expected| {
            assert_eq!(recommended_for_total(current, total, 100.0), expected, "{total}");
        };
        check(10, 1_000.0, 10);
        check(10, 1_099.0, 10);
        check(10, 1_101.0, 12);
        check(10, 899.0, 9);
        check(10, 0.0, 0);
        check(1, 1e12, u32::MAX);
        check(1, f64::NAN, 0);
    }

    #[test]
    fn it_grows_by_a_doubling_or_four_units_in_15_seconds() {
        let mut behavior = Behavior::default();
        let mut units = 1;
        let grown: Vec<u32> = (0..6)
            .map(|look| {
                units = behavior.settle(look * 15, units, 100);
                units
            })
            .collect();
        assert_eq!(grown, [5, 10, 20, 40, 80, 100]);
        // Looks that come faster share one period.
        let mut behavior = Behavior::default();
        assert_eq!(behavior.settle(0, 10, 100), 20);
        assert_eq!(behavior.settle(5, 20, 100), 20);
        assert_eq!(behavior.settle(15, 20, 100), 40);
    }

    #[test]
    fn it_shrinks_to_the_highest_of_five_minutes() {
        let mut behavior = Behavior::default();
        assert_eq!(behavior.settle(0, 10, 10), 10);
        assert_eq!(behavior.settle(15, 10, 4), 10);
        assert_eq!(behavior.settle(30, 10, 8), 10);
        assert_eq!(behavior.settle(300, 10, 4), 10);
        assert_eq!(behavior.settle(301, 10, 4), 8);
        assert_eq!(behavior.settle(330, 8, 4), 8);
        assert_eq!(behavior.settle(331, 8, 4), 4);
        // Growing looks at nothing but now.
        assert_eq!(behavior.settle(332, 4, 6), 6);
    }

    #[test]
    fn what_there_is_at_the_start_is_a_recommendation() {
        let mut behavior = Behavior::default();
        behavior.begin(0, 10);
        assert_eq!(behavior.settle(0, 10, 4), 10);
        behavior.begin(15, 50);
        assert_eq!(behavior.settle(301, 10, 4), 4);
    }

    proptest! {
        #[test]
        fn booting_and_silent_units_only_soften_what_the_ready_ones_say(
            ready in 1u32..500, unready in 0u32..500, missing in 0u32..500,
            ready_use in 0.0f64..2.0,
        ) {
            let current = ready + unready + missing;
            let pods = Pods { current, ready, unready, missing };
            let wanted = HPA.recommended(pods, ready_use).unwrap();
            if 0.70 < ready_use && 0 < unready + missing {
                prop_assert!(current <= wanted);
                // As if the ready ones alone carried the load.
                let alone = (f64::from(ready) * ready_use / 0.7).ceil();
                prop_assert!(f64::from(wanted) <= alone.max(f64::from(current)));
            }
            if ready_use < 0.69 {
                prop_assert!(wanted <= current);
            }
        }

        #[test]
        fn it_never_shrinks_below_what_it_recommends(
            steps in prop::collection::vec((1i64..60, 1u32..200), 1..60),
        ) {
            let mut behavior = Behavior::default();
            let (mut now, mut units) = (0, 10);
            for (step, wanted) in steps {
                now += step;
                let before = units;
                units = behavior.settle(now, units, wanted);
                prop_assert!(wanted.min(before) <= units);
                prop_assert!(units <= before.max(wanted));
                prop_assert!(units <= (2 * before).max(before + GROWTH_UNITS));
            }
        }
    }
}
