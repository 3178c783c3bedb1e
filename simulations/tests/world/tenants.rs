//! Tenants: how they share a service, what a limit refuses, and that nothing is lost count of.

use evenkeel_sim::world::{TenantSpec, World};
use proptest::prelude::*;

use super::{WEB, pass, service, world};

/// Tenants `a`, `b`, … with these shares, of 300 requests/s to ten units that can serve 400.
fn shared(shares: &[f64]) -> World {
    let mut world = world(vec![service("web", WEB, 300.0, &[])]);
    let names = ["a", "b", "c", "d"];
    let tenants: Vec<TenantSpec> = names
        .iter()
        .zip(shares)
        .map(|(name, share)| TenantSpec { name: (*name).to_owned(), share_ratio: *share })
        .collect();
    world.share_out(0, &tenants);
    world
}

/// What each tenant asks for, and the share of its first tries that was good.
fn shown(world: &World) -> String {
    let tenants: Vec<String> = world
        .tenants(0)
        .enumerate()
        .map(|(place, (name, rps))| {
            let sums = world.tenant_sums(0, place);
            let (good, refused) = (sums.good / sums.offered, sums.refused / sums.offered);
            format!("{name} {rps:.0}/s good {good:.3} refused {refused:.3}")
        })
        .collect();
    tenants.join(", ")
}

#[test]
fn tenants_share_the_load_and_nobody_is_hurt_without_a_limit() {
    let mut world = shared(&[0.5, 0.3]);
    pass(&mut world, 60);
    assert_eq!(shown(&world), "a 150/s good 1.000 refused 0.000, b 90/s good 1.000 refused 0.000");
}

#[test]
fn a_limit_turns_away_its_own_tenant_and_saves_the_others() {
    let mut world = shared(&[0.5, 0.3, 0.2]);
    world.knobs_mut(0).tenants_junk_rps[2] = 600.0;
    pass(&mut world, 300);
    let starved = world.tenant_sums(0, 0);
    assert!(starved.good < 0.7 * starved.offered, "{}", shown(&world));
    world.limit_tenant(0, "c", Some(66.0)).unwrap();
    // What waited is gone after its time-out.
    pass(&mut world, 30);
    world.restart_sums();
    pass(&mut world, 300);
    assert_eq!(
        shown(&world),
        "a 150/s good 1.000 refused 0.000, b 90/s good 1.000 refused 0.000, \
         c 660/s good 0.100 refused 0.900"
    );
    assert_eq!(world.tenant_limits(0).into_iter().collect::<Vec<_>>(), [("c", 66.0)]);
    // Worthless ones that are refused arrive nowhere, first tries that are refused are errors.
    assert!((world.truth(0).arrived_rps - 360.0).abs() < 0.5);
    assert!((world.truth(0).errors_rps - 54.0).abs() < 0.5);
    assert!((world.truth(0).served_rps - 306.0).abs() < 0.5);
    world.limit_tenant(0, "c", None).unwrap();
    assert!(world.tenant_limits(0).is_empty());
}

#[test]
fn a_limit_of_nobody_is_an_error() {
    let mut world = shared(&[1.0]);
    assert_eq!(
        world.limit_tenant(0, "z", Some(1.0)).unwrap_err(),
        "service number 0 has no tenant `z`"
    );
}

proptest! {
    /// Whatever the shares, the junk and the limits: what is asked for is let in or refused, what
    /// is let in keeps to the limit, and good answers are the tenants' together.
    #[test]
    fn nothing_is_lost_count_of(
        weights in prop::collection::vec(0.01..1.0_f64, 1..4),
        junk in prop::collection::vec(0.0..500.0_f64, 4),
        limits in prop::collection::vec(prop::option::of(0.0..400.0_f64), 4),
        seconds in 1..200_u32,
    ) {
        let sum: f64 = weights.iter().sum();
        let shares: Vec<f64> = weights.iter().map(|it| it / sum).collect();
        let mut world = shared(&shares);
        for place in 0..shares.len() {
            world.knobs_mut(0).tenants_junk_rps[place] = junk[place];
            world.limit_tenant(0, ["a", "b", "c", "d"][place], limits[place]).unwrap();
        }
        pass(&mut world, seconds);
        let sums = *world.sums(0);
        let of: Vec<_> = (0..shares.len()).map(|it| world.tenant_sums(0, it)).collect();
        let total = |part: fn(&evenkeel_sim::world::TenantSums) -> f64| -> f64 {
            of.iter().map(part).sum()
        };
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + a.abs());
        prop_assert!(near(total(|it| it.offered), sums.offered), "{of:?} {sums:?}");
        prop_assert!(near(total(|it| it.good), sums.good), "{of:?} {sums:?}");
        prop_assert!(total(|it| it.refused) <= sums.lost + 1e-6);
        for (it, limit) in of.iter().zip(&limits) {
            prop_assert!(it.refused <= it.offered && it.junk_refused <= it.junk);
            let let_in = it.offered - it.refused + it.junk - it.junk_refused;
            if let Some(limit) = limit {
                prop_assert!(let_in <= limit * f64::from(seconds) + 1e-6, "{it:?} {limit}");
            }
        }
        // What ended, waits, or came to be tried again is what was let in.
        let ended = sums.good + sums.lost + world.slow_answers(0) + world.open_tries(0);
        prop_assert!(near(ended, sums.offered), "{ended} {sums:?}");
    }
}
