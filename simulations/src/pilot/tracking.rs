//! AWS' target tracking with a schedule, on a region.
//!
//! **In:** CPU of ready units once a minute, and the clock.
//! **Out:** units.
//! **Not here:** the alarms and the schedule's arithmetic ([`crate::tracking_rule`]).

use super::sizing::{clamp, units_for_peak};
use super::{Deed, Look, Pilot};
use crate::hpa_rule::ceil_units;
use crate::tracking_rule::{DATAPOINT_SECONDS, TrackingRule, minimum_in_force};
use crate::world::WorldSpec;

pub use crate::tracking_rule::{CronRule, Minimum};

/// Share of the peak's units that there are at least in business hours. Why 0.6: at both ends of
/// [`business_hours`] a curve is 56 % of the way from its trough to its peak.
const BUSINESS_RATIO: f64 = 0.6;
/// Minutes of business before and after the peak's hour.
const BUSINESS_HALF_MINUTES: u16 = 6 * 60;
const DAY_MINUTES: u16 = 24 * 60;

/// One policy per scaled service, on CPU in percent, and one schedule for all of them.
#[derive(Clone, Debug)]
pub struct Tracking {
    target_percent: f64,
    schedule: Vec<CronRule>,
    services: Vec<TrackingRule>,
    /// Units that each service needs at its peak; empty before the first look.
    peak_units: Vec<u32>,
}

impl Tracking {
    /// Policies at a target of CPU in percent, `> 0`.
    pub fn new(target_percent: f64, schedule: Vec<CronRule>) -> Tracking {
        Tracking { target_percent, schedule, services: Vec::new(), peak_units: Vec::new() }
    }
}

/// The schedule that people set by hand: from six hours before the highest curve's peak until six
/// hours after it, at least 60 % of what the peak needs; otherwise the fewest there may be. From
/// Monday to Friday where weekends are quieter, and every day where they are not. Empty where
/// nothing comes from outside.
pub(super) fn business_hours(spec: &WorldSpec) -> Vec<CronRule> {
    let curves = spec.services.iter().filter_map(|it| it.load);
    let Some(curve) = curves.max_by(|a, b| a.peak_rps.total_cmp(&b.peak_rps)) else {
        return Vec::new();
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float-to-int `as` saturates, and the remainder is taken below"
    )]
    let peak = (curve.peak_hour * 60.0) as u16 % DAY_MINUTES;
    let weekdays =
        if curve.weekend_ratio < 1.0 { CronRule::MONDAY_TO_FRIDAY } else { CronRule::DAILY };
    let begins = (peak + DAY_MINUTES - BUSINESS_HALF_MINUTES) % DAY_MINUTES;
    let ends = (peak + BUSINESS_HALF_MINUTES) % DAY_MINUTES;
    vec![
        CronRule {
            minute_of_day_utc: begins,
            weekdays,
            minimum: Minimum::PeakRatio(BUSINESS_RATIO),
        },
        CronRule {
            minute_of_day_utc: ends,
            weekdays: CronRule::DAILY,
            minimum: Minimum::PeakRatio(0.0),
        },
    ]
}

impl Pilot for Tracking {
    fn label(&self) -> String {
        format!("tracking:{}", self.target_percent)
    }

    fn period_seconds(&self) -> i64 {
        DATAPOINT_SECONDS
    }

    fn look(&mut self, look: &Look<'_>) -> Vec<Deed> {
        if self.peak_units.is_empty() {
            self.peak_units = units_for_peak(look.spec);
        }
        let rule = TrackingRule::new(self.target_percent);
        self.services.resize(look.spec.services.len(), rule);
        let minimum = minimum_in_force(&self.schedule, look.unix_second);
        let mut deeds = Vec::new();
        let peaks = self.peak_units.iter().zip(&mut self.services);
        let seen = look.spec.services.iter().zip(look.services).zip(peaks);
        for (service, ((spec, seen), (peak, rule))) in seen.enumerate() {
            // Without the group's size there is nothing that could be changed.
            let Some(current) = seen.desired.filter(|_| spec.is_scaled) else { continue };
            let metric = seen.cpu_ratio.map(|it| it * 100.0);
            let least = match minimum {
                Some(Minimum::PeakRatio(ratio)) => ceil_units(f64::from(*peak) * ratio),
                Some(Minimum::Units(units)) => units,
                None => 0,
            };
            let units = clamp(spec, rule.datapoint(look.second, current, metric).max(least));
            if units != current {
                deeds.push(Deed::SetUnits { service, units });
            }
        }
        deeds
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::ServiceLook;
    use super::super::fixture::{SHOP, calm, look_at, region};
    use super::*;

    const MINUTE: i64 = 60;

    /// When the shop's units change within a day of CPU at that many percent: minute and units.
    fn day(cpu: impl Fn(i64) -> Option<f64>, schedule: Vec<CronRule>) -> Vec<(i64, u32)> {
        let mut tracking = Tracking::new(70.0, schedule);
        let (mut units, mut changes) = (10, Vec::new());
        for minute in 0..24 * 60 {
            let shop = ServiceLook {
                desired: Some(units),
                cpu_ratio: cpu(minute),
                ..ServiceLook::default()
            };
            let unknown = ServiceLook::default();
            for deed in look_at(&mut tracking, minute * MINUTE, &[shop, unknown, unknown]) {
                let Deed::SetUnits { service: SHOP, units: set } = deed else {
                    unreachable!("only the shop's size is known: {deed:?}")
                };
                units = set;
                changes.push((minute, units));
            }
        }
        changes
    }

    #[test]
    fn it_follows_its_alarms() {
        assert_eq!(day(|_| Some(0.7), Vec::new()), []);
        let burst = |minute| Some(if (100..103).contains(&minute) { 0.9 } else { 0.65 });
        assert_eq!(day(burst, Vec::new()), [(102, 13)]);
        let short = |minute| Some(if (100..102).contains(&minute) { 0.9 } else { 0.65 });
        assert_eq!(day(short, Vec::new()), []);
        let lull = |minute| Some(if (100..116).contains(&minute) { 0.35 } else { 0.65 });
        assert_eq!(day(lull, Vec::new()), [(114, 5), (115, 3)]);
        assert_eq!(day(|_| None, Vec::new()), []);
    }

    #[test]
    fn the_schedule_raises_and_allows() {
        // 60 % of 50 units from 8:00 to 20:00; then low CPU is obeyed down to the fewest.
        let changes = day(|minute| (1_200 <= minute).then_some(0.2), business_hours(&region()));
        assert_eq!(changes, [(480, 30), (1_214, 9), (1_215, 3), (1_216, 2)]);
        assert_eq!(day(|_| None, business_hours(&region())), [(480, 30)]);
    }

    #[test]
    fn people_set_business_hours_around_the_highest_peak() {
        let shown = |spec: &WorldSpec| format!("{:?}", business_hours(spec));
        expect!["[CronRule { minute_of_day_utc: 480, weekdays: 31, minimum: PeakRatio(0.6) }, CronRule { minute_of_day_utc: 1200, weekdays: 127, minimum: PeakRatio(0.0) }]"]
            .assert_eq(&shown(&region()));
        let mut late = region();
        if let Some(curve) = late.services[SHOP].load.as_mut() {
            (curve.peak_hour, curve.weekend_ratio) = (20.5, 1.0);
        }
        expect!["[CronRule { minute_of_day_utc: 870, weekdays: 127, minimum: PeakRatio(0.6) }, CronRule { minute_of_day_utc: 150, weekdays: 127, minimum: PeakRatio(0.0) }]"]
            .assert_eq(&shown(&late));
        late.services.clear();
        assert_eq!(business_hours(&late), []);
    }

    #[test]
    fn units_that_somebody_set_below_the_schedule_are_raised_again() {
        let mut tracking = Tracking::new(70.0, business_hours(&region()));
        let noon = 12 * 3_600;
        let shop = ServiceLook { desired: Some(4), ..calm() };
        let unknown = ServiceLook::default();
        let deeds = look_at(&mut tracking, noon, &[shop, unknown, unknown]);
        assert_eq!(deeds, [Deed::SetUnits { service: SHOP, units: 30 }]);
    }
}
