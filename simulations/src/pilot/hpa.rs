//! The Kubernetes HorizontalPodAutoscaler on a region.
//!
//! **In:** CPU of ready units; for workers, the work that waits.
//! **Out:** units, every 15 s.
//! **Not here:** HPA's arithmetic ([`crate::hpa_rule`]).
//!
//! It knows neither people's overrides nor whether somebody else changed the units meanwhile.

use super::sizing::clamp;
use super::{Deed, Look, Pilot, ServiceLook};
use crate::hpa_rule::{Behavior, Calculator, Pods, recommended_for_total};
use crate::world::{ServiceKind, ServiceSpec};

/// From look to look in seconds; `--horizontal-pod-autoscaler-sync-period`'s default.
const PERIOD_SECONDS: i64 = 15;
/// Work that may wait per unit, as time of one unit. Why 60: what operators of queues write as
/// "a minute of backlog"; HPA has no default for it.
const BACKLOG_SECONDS: f64 = 60.0;

/// One HPA per scaled service: CPU against a target, or for workers `queue_depth` as an external
/// metric with an `AverageValue`.
#[derive(Clone, Debug)]
pub struct Hpa {
    calculator: Calculator,
    services: Vec<State>,
}

/// What is remembered of one service.
#[derive(Clone, Debug, Default)]
struct State {
    behavior: Behavior,
    /// Units that have been ready, of those that there are.
    begun: u32,
}

impl Hpa {
    /// HPA at a target of CPU in percent, `> 0`.
    pub fn new(target_percent: f64) -> Hpa {
        let calculator = Calculator { target_percent, is_whole_percent: true };
        Hpa { calculator, services: Vec::new() }
    }
}

impl Pilot for Hpa {
    fn label(&self) -> String {
        format!("hpa:{}", self.calculator.target_percent)
    }

    fn period_seconds(&self) -> i64 {
        PERIOD_SECONDS
    }

    fn look(&mut self, look: &Look<'_>) -> Vec<Deed> {
        self.services.resize_with(look.spec.services.len(), State::default);
        let scaled = look.spec.services.iter().zip(look.services).zip(&mut self.services);
        (0..)
            .zip(scaled)
            .filter(|(_, ((spec, _), _))| spec.is_scaled)
            .filter_map(|(service, ((spec, seen), state))| {
                let units = state.desired(self.calculator, look.second, spec, seen)?;
                (seen.desired != Some(units)).then_some(Deed::SetUnits { service, units })
            })
            .collect()
    }
}

impl State {
    /// Units that there shall be; `None` where HPA does nothing.
    fn desired(
        &mut self,
        calculator: Calculator,
        now: i64,
        spec: &ServiceSpec,
        seen: &ServiceLook,
    ) -> Option<u32> {
        let (current, ready) = (seen.desired?, seen.ready?);
        let ready = ready.min(current);
        self.begun = self.begun.max(ready).min(current);
        self.behavior.begin(now, current);
        if current == 0 {
            // Somebody switched it off: HPA leaves it alone.
            return None;
        }
        if clamp(spec, current) != current {
            return Some(clamp(spec, current));
        }
        let wanted = match spec.kind {
            ServiceKind::Workers { .. } => {
                let waiting = seen.queue_depth.filter(|it| it.is_finite())?;
                recommended_for_total(current, waiting, seen.unit_rps * BACKLOG_SECONDS)
            }
            ServiceKind::Web { .. } | ServiceKind::Cache { .. } | ServiceKind::Database { .. } => {
                // What was ready and is not any more runs without a metric; the rest boots.
                let missing = self.begun - ready;
                let pods = Pods { current, ready, unready: current - self.begun, missing };
                let cpu = seen.cpu_ratio.filter(|it| it.is_finite())?;
                calculator.recommended(pods, cpu)?
            }
        };
        Some(clamp(spec, self.behavior.settle(now, current, wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MAIL, SHOP, STORE, calm, look_at};
    use super::*;

    /// What HPA at 70 % sets for one service within one look after five calm minutes.
    #[track_caller]
    fn check(service: usize, seen: ServiceLook, expected: Option<u32>) {
        let mut hpa = Hpa::new(70.0);
        // Of the five calm minutes only the last look is still remembered at 600 s.
        let mut services = [calm(), ServiceLook { queue_depth: Some(600.0), ..calm() }, calm()];
        assert_eq!(look_at(&mut hpa, 0, &services), []);
        services[service] = seen;
        let expected: Vec<Deed> =
            expected.map(|units| Deed::SetUnits { service, units }).into_iter().collect();
        assert_eq!(look_at(&mut hpa, 600, &services), expected, "{seen:?}");
    }

    #[test]
    fn cpu_above_the_target_adds_units() {
        check(SHOP, ServiceLook { cpu_ratio: Some(0.9), ..calm() }, Some(13));
        check(STORE, ServiceLook { cpu_ratio: Some(0.9), ..calm() }, Some(13));
        check(SHOP, ServiceLook { cpu_ratio: Some(0.76), ..calm() }, None);
    }

    #[test]
    fn cpu_below_the_target_removes_units_down_to_the_fewest() {
        check(SHOP, ServiceLook { cpu_ratio: Some(0.35), ..calm() }, Some(5));
        check(SHOP, ServiceLook { cpu_ratio: Some(0.0), ..calm() }, Some(2));
        check(STORE, ServiceLook { cpu_ratio: Some(0.0), ..calm() }, Some(3));
        check(STORE, ServiceLook { cpu_ratio: Some(-1.0), ..calm() }, Some(3));
    }

    #[test]
    fn a_metric_that_is_missing_blocks() {
        check(SHOP, ServiceLook { cpu_ratio: None, ..calm() }, None);
        check(SHOP, ServiceLook { cpu_ratio: Some(f64::NAN), ..calm() }, None);
        check(MAIL, ServiceLook { queue_depth: None, ..calm() }, None);
        check(SHOP, ServiceLook { desired: None, cpu_ratio: Some(0.9), ..calm() }, None);
        check(SHOP, ServiceLook { ready: Some(0), cpu_ratio: Some(0.0), ..calm() }, None);
    }

    #[test]
    fn workers_follow_the_work_that_waits() {
        // 60 pieces of work per unit.
        check(MAIL, ServiceLook { queue_depth: Some(650.0), ..calm() }, None);
        check(MAIL, ServiceLook { queue_depth: Some(900.0), ..calm() }, Some(15));
        check(MAIL, ServiceLook { queue_depth: Some(0.0), ..calm() }, Some(1));
        // Whatever their processors say.
        let busy = ServiceLook { cpu_ratio: Some(1.0), queue_depth: Some(600.0), ..calm() };
        check(MAIL, busy, None);
    }

    #[test]
    fn units_that_boot_are_no_reason_to_add_more() {
        // 10 of 20 are ready and full: half of all is below the target.
        let seen = ServiceLook { desired: Some(20), ready: Some(10), ..calm() };
        check(SHOP, ServiceLook { cpu_ratio: Some(1.0), ..seen }, None);
        // When shrinking they do not count: 10 at 35 % are 5 units.
        check(SHOP, ServiceLook { cpu_ratio: Some(0.35), ..seen }, Some(5));
    }

    #[test]
    fn units_that_were_lost_count_as_full_when_shrinking() {
        // Half of the ten are gone: 5 at 35 % and 5 at 100 % are 67 %, near the target.
        let seen = ServiceLook { ready: Some(5), cpu_ratio: Some(0.35), ..calm() };
        check(SHOP, seen, None);
    }

    #[test]
    fn what_is_out_of_bounds_is_brought_back_without_a_metric() {
        let blind = ServiceLook { cpu_ratio: None, ..calm() };
        check(SHOP, ServiceLook { desired: Some(120), ..blind }, Some(100));
        check(STORE, ServiceLook { desired: Some(2), ..blind }, Some(3));
        check(SHOP, ServiceLook { desired: Some(0), ready: Some(0), ..blind }, None);
    }

    #[test]
    fn it_doubles_at_most_and_shrinks_after_five_minutes() {
        let mut hpa = Hpa::new(50.0);
        let mut units = 4;
        let mut seen = Vec::new();
        for look in 0..50 {
            let cpu = if look < 3 { 1.0 } else { 0.0 };
            let shop = ServiceLook {
                desired: Some(units),
                ready: Some(units),
                cpu_ratio: Some(cpu),
                ..calm()
            };
            let blind = ServiceLook::default();
            for deed in look_at(&mut hpa, look * 15, &[shop, blind, blind]) {
                let Deed::SetUnits { service: SHOP, units: set } = deed else {
                    unreachable!("only the shop has a metric: {deed:?}")
                };
                units = set;
                seen.push((look * 15, units));
            }
        }
        // What was recommended at 30 s is forgotten after 330 s.
        assert_eq!(seen, [(0, 8), (15, 16), (30, 32), (345, 2)]);
    }

    #[test]
    fn it_overrules_a_person_at_its_next_look() {
        // Somebody set 40 by hand: the recommendation of ten is older than five minutes.
        let seen =
            ServiceLook { desired: Some(40), ready: Some(40), cpu_ratio: Some(0.17), ..calm() };
        check(SHOP, seen, Some(10));
    }
}
