//! A restart-and-replace script: naive on purpose.
//!
//! **In:** errors, latency, health checks, what the provider shows. **Out:** restarts,
//! replacements, promotions and drains, at once and in full.
//! **Not here:** scaling, and any question whether the cure fits: causes, capacity left, lag, its
//! own part in what it sees.
//!
//! Each rule is what made an incident worse (`anchors/resilience.md`, by number):
//!
//! - 7 and 8: errors or latency restart everything at once; what was slow is then gone, the herd
//!   comes back together, and retries meet an empty fleet (Google 2025-06).
//! - 9 and 19: what fails its health check is killed, however many, although the checker may be
//!   what is broken (AWS 2025-10).
//! - 18: a database with errors gets a new primary, whatever the replica has not seen yet
//!   (GitHub 2018).
//! - 5 and 11: a fleet that is half there is torn down to start afresh: half of it may only be
//!   missing from the inventory, or wait in the launch queue (Reddit 2016, AWS 2025-10).
//! - 1 and 23: silence reads as death, and is restarted.
//! - 17 and 20: a fall of ready units reads as a broken zone, and one is drained without a look
//!   at what the others can carry; which one, it does not know either.

use super::{Deed, Look, Pilot, ServiceLook};
use crate::world::{ServiceKind, ServiceSpec};

/// From look to look in seconds: a cron job that sleeps once.
const PERIOD_SECONDS: i64 = 30;
/// Above this share of errors a service "hangs".
const ERROR_RATIO: f64 = 0.05;
/// Above so many times its objective as well.
const LATENCY_FACTOR: f64 = 3.0;
/// The same service is restarted, rebuilt or failed over again after so many seconds. Why 300:
/// "give it five minutes" is all the patience that runbooks had.
const AGAIN_SECONDS: i64 = 300;
/// And what fails its health check is replaced again after so many.
const REPLACE_AGAIN_SECONDS: i64 = 60;
/// Above this share of errors a database's primary is "dead".
const DEAD_RATIO: f64 = 0.5;
/// Below this share of what is set, for [`SHORT_SECONDS`], a fleet is "stuck".
const SHORT_RATIO: f64 = 0.5;
/// So long.
const SHORT_SECONDS: i64 = 60;
/// After so long without any metric a service is "dead".
const SILENT_SECONDS: i64 = 120;
/// A fall by more than this share between two looks is a "broken zone". Why 0.25: a third is what
/// one of three zones holds.
const ZONE_RATIO: f64 = 0.25;
/// A drained zone is taken back after so many seconds.
const DRAINED_SECONDS: i64 = 1_800;
/// So long after its own restarts and drains a fall of ready units is its own doing: that much
/// its author saw in the first test.
const SETTLE_SECONDS: i64 = 300;

/// Restarts, replaces, promotes and drains.
#[derive(Clone, Debug, Default)]
pub struct Healer {
    services: Vec<State>,
    /// Zones that it drained, and when.
    drained: Vec<(usize, i64)>,
    /// The zone that it would drain next.
    zone: usize,
    /// Its last deed that takes units.
    acted_at: Option<i64>,
}

/// What is remembered of one service.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    restarted_at: Option<i64>,
    replaced_at: Option<i64>,
    rebuilt_at: Option<i64>,
    promoted_at: Option<i64>,
    /// Since when less than half is ready.
    short_since: Option<i64>,
    /// Since when nothing is measured.
    silent_since: Option<i64>,
    /// Ready units at the last look.
    ready: Option<u32>,
}

impl Pilot for Healer {
    fn label(&self) -> String {
        "healer".to_owned()
    }

    fn period_seconds(&self) -> i64 {
        PERIOD_SECONDS
    }

    fn look(&mut self, look: &Look<'_>) -> Vec<Deed> {
        self.services.resize(look.spec.services.len(), State::default());
        let mut deeds = self.zones(look);
        let services = look.spec.services.iter().zip(look.services).zip(&mut self.services);
        for (service, ((spec, seen), state)) in services.enumerate() {
            state.heal(look.second, service, spec, seen, &mut deeds);
        }
        if deeds.iter().any(|deed| !matches!(deed, Deed::Undrain { .. })) {
            self.acted_at = Some(look.second);
        }
        deeds
    }
}

impl Healer {
    fn zones(&mut self, look: &Look<'_>) -> Vec<Deed> {
        let now = look.second;
        let (back, drained): (Vec<_>, Vec<_>) =
            self.drained.iter().partition(|(_, since)| since + DRAINED_SECONDS <= now);
        self.drained = drained;
        let mut deeds: Vec<Deed> =
            back.into_iter().map(|(zone, _)| Deed::Undrain { zone }).collect();
        let (mut before, mut after) = (0.0, 0.0);
        for (state, seen) in self.services.iter_mut().zip(look.services) {
            if let (Some(was), Some(is)) = (state.ready, seen.ready) {
                before += f64::from(was);
                after += f64::from(is);
            }
            state.ready = seen.ready;
        }
        let is_settled = self.acted_at.is_none_or(|at| at + SETTLE_SECONDS <= now);
        let n_zones = look.spec.zones.len();
        let is_fallen = after < before * (1.0 - ZONE_RATIO);
        if is_fallen && is_settled && self.drained.len() + 1 < n_zones {
            let zone = (0..n_zones)
                .map(|step| (self.zone + step) % n_zones)
                .find(|zone| self.drained.iter().all(|(it, _)| it != zone));
            if let Some(zone) = zone {
                self.zone = zone + 1;
                self.drained.push((zone, now));
                deeds.push(Deed::Drain { zone });
            }
        }
        deeds
    }
}

impl State {
    fn heal(
        &mut self,
        now: i64,
        service: usize,
        spec: &ServiceSpec,
        seen: &ServiceLook,
        deeds: &mut Vec<Deed>,
    ) {
        let errors = seen.error_ratio.unwrap_or(0.0);
        let latency = seen.latency_p95_seconds.unwrap_or(0.0);
        let is_hanging = ERROR_RATIO < errors || spec.objective_seconds * LATENCY_FACTOR < latency;
        let is_dead = match spec.kind {
            ServiceKind::Database { .. } => DEAD_RATIO < errors,
            ServiceKind::Web { .. } | ServiceKind::Workers { .. } | ServiceKind::Cache { .. } => {
                false
            }
        };
        let measured = [seen.error_ratio, seen.latency_p95_seconds, seen.arrived_rps];
        let is_silent = measured.iter().all(Option::is_none);
        let silent_for = since(&mut self.silent_since, is_silent, now);
        if is_dead {
            if again(&mut self.promoted_at, AGAIN_SECONDS, now) {
                deeds.push(Deed::Promote { service });
            }
        } else if (is_hanging || silent_for.is_some_and(|it| SILENT_SECONDS <= it))
            && again(&mut self.restarted_at, AGAIN_SECONDS, now)
        {
            deeds.push(Deed::Restart { service, ratio: 1.0 });
        }
        if 0.0 < seen.unhealthy_ratio && again(&mut self.replaced_at, REPLACE_AGAIN_SECONDS, now) {
            deeds.push(Deed::Replace { service, ratio: seen.unhealthy_ratio.min(1.0) });
        }
        let is_short = seen
            .desired
            .zip(seen.ready)
            .is_some_and(|(desired, ready)| f64::from(ready) < f64::from(desired) * SHORT_RATIO);
        let short_for = since(&mut self.short_since, is_short, now);
        if short_for.is_some_and(|it| SHORT_SECONDS <= it)
            && again(&mut self.rebuilt_at, AGAIN_SECONDS, now)
        {
            deeds.push(Deed::Replace { service, ratio: 1.0 });
        }
    }
}

/// For how long it is so, in seconds; `None` when it is not.
fn since(begun_at: &mut Option<i64>, is_so: bool, now: i64) -> Option<i64> {
    if !is_so {
        *begun_at = None;
        return None;
    }
    Some(now - *begun_at.get_or_insert(now))
}

/// Whether it is time to do it (again); if so, it is taken as done.
fn again(done_at: &mut Option<i64>, wait: i64, now: i64) -> bool {
    let is_due = done_at.is_none_or(|at| at + wait <= now);
    if is_due {
        *done_at = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::super::fixture::{MAIL, SHOP, STORE, calm, look_at};
    use super::*;

    /// What it does within half an hour and a bit when, from the third look on, a service is seen
    /// like that: one line per look with deeds.
    #[track_caller]
    fn check(service: usize, seen: ServiceLook, until: i64, expected: &Expect) {
        let mut healer = Healer::default();
        let mut shown = String::new();
        for second in (0..2_400).step_by(30) {
            let mut services = [calm(); 3];
            if (60..until).contains(&second) {
                services[service] = seen;
            }
            let deeds = look_at(&mut healer, second, &services);
            if !deeds.is_empty() {
                writeln!(shown, "{second}: {deeds:?}").unwrap();
            }
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn errors_or_latency_restart_everything_every_five_minutes() {
        check(
            SHOP,
            ServiceLook { error_ratio: Some(0.06), ..calm() },
            400,
            &expect![[r#"
                60: [Restart { service: 0, ratio: 1.0 }]
                360: [Restart { service: 0, ratio: 1.0 }]
            "#]],
        );
        check(
            SHOP,
            ServiceLook { latency_p95_seconds: Some(3.1), ..calm() },
            90,
            &expect![[r#"
                60: [Restart { service: 0, ratio: 1.0 }]
            "#]],
        );
        let well =
            ServiceLook { error_ratio: Some(0.05), latency_p95_seconds: Some(3.0), ..calm() };
        check(SHOP, well, 2_400, &expect![[""]]);
    }

    #[test]
    fn a_failed_health_check_replaces_that_share_every_minute() {
        check(
            MAIL,
            ServiceLook { unhealthy_ratio: 0.4, ..calm() },
            200,
            &expect![[r#"
                60: [Replace { service: 1, ratio: 0.4 }]
                120: [Replace { service: 1, ratio: 0.4 }]
                180: [Replace { service: 1, ratio: 0.4 }]
            "#]],
        );
    }

    #[test]
    fn a_database_with_errors_is_promoted_whatever_its_lag() {
        let seen =
            ServiceLook { error_ratio: Some(0.6), replica_lag_seconds: Some(900.0), ..calm() };
        check(
            STORE,
            seen,
            100,
            &expect![[r#"
            60: [Promote { service: 2 }]
        "#]],
        );
        // Half of the errors are no death yet, only a hang; and others have no replica.
        check(
            STORE,
            ServiceLook { error_ratio: Some(0.5), ..seen },
            90,
            &expect![[r#"
            60: [Restart { service: 2, ratio: 1.0 }]
        "#]],
        );
        check(
            SHOP,
            seen,
            90,
            &expect![[r#"
            60: [Restart { service: 0, ratio: 1.0 }]
        "#]],
        );
    }

    #[test]
    fn a_fleet_that_is_half_there_for_a_minute_is_torn_down() {
        let seen = ServiceLook { desired: Some(21), ..calm() };
        check(
            SHOP,
            seen,
            130,
            &expect![[r#"
            120: [Replace { service: 0, ratio: 1.0 }]
        "#]],
        );
        check(SHOP, seen, 120, &expect![[""]]);
        check(SHOP, ServiceLook { desired: Some(20), ..calm() }, 2_400, &expect![[""]]);
    }

    #[test]
    fn silence_for_two_minutes_is_death() {
        let silent = ServiceLook {
            error_ratio: None,
            latency_p95_seconds: None,
            arrived_rps: None,
            ..calm()
        };
        check(
            MAIL,
            silent,
            190,
            &expect![[r#"
            180: [Restart { service: 1, ratio: 1.0 }]
        "#]],
        );
        check(MAIL, silent, 180, &expect![[""]]);
        let heard = ServiceLook { arrived_rps: Some(0.0), ..silent };
        check(MAIL, heard, 2_400, &expect![[""]]);
        // Monitoring and the provider are both gone.
        check(
            MAIL,
            ServiceLook::default(),
            190,
            &expect![[r#"
            180: [Restart { service: 1, ratio: 1.0 }]
        "#]],
        );
    }

    #[test]
    fn a_fall_of_ready_units_drains_a_zone_for_half_an_hour() {
        // 23 and 22 of 30: three quarters are 22.5.
        let seen = |ready| ServiceLook { desired: Some(ready), ready: Some(ready), ..calm() };
        check(SHOP, seen(3), 2_400, &expect![[""]]);
        check(
            SHOP,
            seen(2),
            2_400,
            &expect![[r#"
            60: [Drain { zone: 0 }]
            1860: [Undrain { zone: 0 }]
        "#]],
        );
    }

    #[test]
    fn units_that_it_replaced_itself_are_no_broken_zone() {
        let mut healer = Healer::default();
        let mut look = |second, ready, unhealthy_ratio| {
            let seen = ServiceLook { ready: Some(ready), unhealthy_ratio, ..calm() };
            look_at(&mut healer, second, &[seen; 3]).len()
        };
        assert_eq!(look(0, 10, 0.0), 0);
        assert_eq!(look(30, 10, 0.5), 3); // half of all three
        assert_eq!(look(60, 5, 0.0), 0);
        assert_eq!(look(300, 10, 0.0), 0);
        assert_eq!(look(330, 5, 0.0), 1);
    }

    #[test]
    fn one_zone_is_always_left() {
        let mut healer = Healer::default();
        let mut drained = Vec::new();
        for look in 0..40 {
            // Everything falls by half again and again, six minutes apart.
            let ready = if look % 2 == 0 { 10 } else { 5 };
            let all = ServiceLook { desired: Some(ready), ready: Some(ready), ..calm() };
            let deeds = look_at(&mut healer, look * 360, &[all; 3]);
            drained.push(format!("{deeds:?}"));
        }
        expect![[r#"
            []
            [Drain { zone: 0 }]
            []
            [Drain { zone: 1 }]
            []
            []
            [Undrain { zone: 0 }]
            [Drain { zone: 2 }]
            [Undrain { zone: 1 }]
            [Drain { zone: 0 }]
            []
            []"#]]
        .assert_eq(&drained[..12].join("\n"));
    }
}
