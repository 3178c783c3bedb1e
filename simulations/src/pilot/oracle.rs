//! One who knows what comes: the yardstick, not a plan that anybody could carry out.
//!
//! **In:** the truth of now, and the load from outside of the next minutes.
//! **Out:** units, every 15 s.
//! **Not here:** what is needed now ([`crate::world::Truth::needed`]).

use std::collections::VecDeque;

use super::sizing::{clamp, units_for_load};
use super::{Deed, Look, Pilot};
use crate::hpa_rule::ceil_units;
use crate::world::{World, WorldSpec};

/// From look to look in seconds, and from one instant of the future to the next.
const PERIOD_SECONDS: i64 = 15;
/// How far it looks ahead, in medians of the boot time. Why 2: with a sigma of 0.3 one unit in
/// a hundred takes longer.
const AHEAD_BOOTS: f64 = 2.0;

/// Sets every scaled service to the most that is needed from now on until whatever is asked for
/// now is ready, without any margin. Faults it sees only when they are there: what is needed now
/// counts as well.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    /// Instants to come (Unix seconds) and what each service needs then; ascending. Kept from
    /// look to look, since one instant of a large region takes a while.
    ahead: VecDeque<(i64, Vec<u32>)>,
}

/// What the oracle knows and nobody else.
trait Foresight {
    /// First tries per second from outside, one per service, when nothing is broken.
    fn outside_rps_at(&self, unix_second: i64) -> Vec<f64>;
    /// Units that a service needs now.
    fn needed(&self, service: usize) -> u32;
}

impl Foresight for World {
    fn outside_rps_at(&self, unix_second: i64) -> Vec<f64> {
        World::outside_rps_at(self, unix_second)
    }

    fn needed(&self, service: usize) -> u32 {
        self.truth(service).needed
    }
}

impl Oracle {
    /// Units of every service, scaled or not.
    fn plan(&mut self, spec: &WorldSpec, now: i64, foresight: &dyn Foresight) -> Vec<u32> {
        let ends_at = |boot: f64| now + i64::from(ceil_units(boot * AHEAD_BOOTS));
        let boots = spec.services.iter().filter(|it| it.is_scaled).map(|it| it.boot_median_seconds);
        let last = ends_at(boots.fold(0.0, f64::max));
        self.ahead.retain(|(at, _)| now <= *at);
        let mut at = self.ahead.back().map_or(now, |(at, _)| at + PERIOD_SECONDS);
        while at < last + PERIOD_SECONDS {
            self.ahead.push_back((at, units_for_load(spec, &foresight.outside_rps_at(at))));
            at += PERIOD_SECONDS;
        }
        let most = |(service, it): (usize, &crate::world::ServiceSpec)| {
            let until = ends_at(it.boot_median_seconds) + PERIOD_SECONDS;
            let seen = self.ahead.iter().take_while(|(at, _)| *at < until);
            let ahead = seen.filter_map(|(_, units)| units.get(service)).max();
            clamp(it, ahead.copied().unwrap_or(0).max(foresight.needed(service)))
        };
        spec.services.iter().enumerate().map(most).collect()
    }
}

impl Pilot for Oracle {
    fn label(&self) -> String {
        "oracle".to_owned()
    }

    fn period_seconds(&self) -> i64 {
        PERIOD_SECONDS
    }

    fn look(&mut self, look: &Look<'_>) -> Vec<Deed> {
        let Some(world) = look.world else { return Vec::new() };
        let plan = self.plan(look.spec, look.unix_second, world);
        plan.into_iter()
            .enumerate()
            .zip(look.spec.services.iter().zip(look.services))
            .filter(|((_, units), (spec, seen))| spec.is_scaled && seen.desired != Some(*units))
            .map(|((service, units), _)| Deed::SetUnits { service, units })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::ServiceLook;
    use super::super::fixture::{SHOP, look_at, region};
    use super::*;

    /// 160 rps for the shop (10 units) but for a step to 320 at 1,000 s that lasts 60 s.
    #[derive(Default)]
    struct Step {
        needed: u32,
        asked: Cell<u32>,
    }

    impl Foresight for Step {
        fn outside_rps_at(&self, unix_second: i64) -> Vec<f64> {
            self.asked.set(self.asked.get() + 1);
            let shop = if (1_000..1_060).contains(&unix_second) { 320.0 } else { 160.0 };
            vec![shop, 8.0, 0.0]
        }

        fn needed(&self, service: usize) -> u32 {
            if service == SHOP { self.needed } else { 0 }
        }
    }

    #[track_caller]
    fn check(now: i64, needed: u32, expected: [u32; 3]) {
        let step = Step { needed, ..Step::default() };
        assert_eq!(Oracle::default().plan(&region(), now, &step), expected, "at {now}");
    }

    #[test]
    fn it_asks_two_boot_times_ahead() {
        check(0, 0, [10, 10, 3]);
        // The store boots for 120 s: 240 s ahead, to the next quarter of a minute.
        check(760, 0, [10, 10, 4]);
        check(745, 0, [10, 10, 3]);
        // The shop for 60 s.
        check(880, 0, [20, 10, 4]);
        check(865, 0, [10, 10, 4]);
        check(1_045, 0, [20, 10, 4]);
        check(1_060, 0, [10, 10, 3]);
    }

    #[test]
    fn what_is_needed_now_counts_and_bounds_hold() {
        check(0, 33, [33, 10, 3]);
        check(0, 1_000, [100, 10, 3]);
    }

    #[test]
    fn every_instant_is_computed_once() {
        let (mut oracle, step) = (Oracle::default(), Step::default());
        for look in 0..100 {
            let fresh = Oracle::default().plan(&region(), look * 15, &Step::default());
            assert_eq!(oracle.plan(&region(), look * 15, &step), fresh);
        }
        assert_eq!(step.asked.get(), 100 + 16);
    }

    #[test]
    fn without_the_truth_it_does_nothing() {
        assert_eq!(look_at(&mut Oracle::default(), 0, &[ServiceLook::default(); 3]), []);
    }
}
