//! Units: zones, launches, boots, and what makes them slow or gone.

use evenkeel_sim::world::{RegionKnobs, World};
use jiff::Timestamp;

use super::{DATABASE, WEB, line, pass, service, spec, world};

#[test]
fn a_lost_zone_is_refilled_in_the_others() {
    let mut world = world(vec![service("a", WEB, 200.0, &[])]);
    world.tick();
    world.set_region_knobs(RegionKnobs { lost_zones: vec![0], ..RegionKnobs::default() });
    assert_eq!((world.truth(0).ready, world.truth(0).desired), (6, 10));
    pass(&mut world, 300);
    assert_eq!((world.truth(0).ready, world.truth(0).current), (10, 10));
    // None of them is in the zone that was lost.
    world.drain(1);
    assert_eq!(world.truth(0).ready, 5);
    world.drain(2);
    assert_eq!(world.truth(0).ready, 0);
    pass(&mut world, 300);
    assert_eq!((world.truth(0).current, world.truth(0).desired), (0, 10), "no zone is open");
    world.undrain(1);
    pass(&mut world, 300);
    assert_eq!(world.truth(0).ready, 10);
}

#[test]
fn the_launch_queue_keeps_its_pace_and_its_order() {
    let services = vec![service("a", WEB, 10.0, &[]), service("b", WEB, 10.0, &[])];
    let mut world = world(services);
    let knobs = RegionKnobs { launches_per_minute_max: Some(6.0), ..RegionKnobs::default() };
    world.set_region_knobs(knobs);
    world.set_units(0, 15);
    world.set_units(1, 12);
    let mut seen = Vec::new();
    for _ in 0..9 {
        pass(&mut world, 10);
        seen.push((world.truth(0).current, world.truth(1).current));
    }
    assert_eq!(
        format!("{seen:?}"),
        "[(11, 10), (12, 10), (13, 10), (14, 10), (15, 10), (15, 11), (15, 12), (15, 12), (15, 12)]"
    );
}

#[test]
fn boot_times_have_the_median_and_spread_of_the_spec() {
    let mut it = service("a", WEB, 10.0, &[]);
    it.units_start = 0;
    it.boot_median_seconds = 200.0;
    it.boot_sigma = 0.3;
    let mut spec = spec(vec![it]);
    spec.launches_per_minute_max = 1e6;
    spec.services[0].units_max = 4_000;
    spec.zone_units_max = 4_000;
    let mut world = World::new(3, Timestamp::UNIX_EPOCH, spec).unwrap();
    world.set_units(0, 4_000);
    // The quantiles of a lognormal, 200 s times e^(0.3 z) for z of -1, 0 and 2.
    for (second, share) in [(148, 0.1587), (200, 0.5), (364, 0.9772)] {
        while world.second() <= second {
            world.tick();
        }
        let ready = f64::from(world.truth(0).ready) / 4_000.0;
        // Four standard errors are 0.032 at most.
        assert!((ready - share).abs() < 0.032, "{second}: {ready} for {share}");
    }
}

#[test]
fn launches_that_fail_are_tried_again() {
    let mut world = world(vec![service("a", WEB, 10.0, &[])]);
    world.set_region_knobs(RegionKnobs { launch_failures_ratio: 0.5, ..RegionKnobs::default() });
    world.set_units(0, 60);
    pass(&mut world, 90);
    assert!(world.truth(0).ready < 50, "{:?}", world.truth(0));
    pass(&mut world, 3_600);
    assert_eq!(world.truth(0).ready, 60);
    assert!(world.sums(0).unit_seconds < 60 * 3_690);
}

#[test]
fn surplus_leaves_at_once_and_first_what_is_not_ready() {
    let mut world = world(vec![service("a", WEB, 10.0, &[])]);
    world.tick();
    world.set_units(0, 20);
    world.tick();
    assert_eq!((world.truth(0).ready, world.truth(0).current), (10, 20));
    world.set_units(0, 12);
    assert_eq!((world.truth(0).ready, world.truth(0).current), (10, 12));
    world.set_units(0, 6);
    assert_eq!((world.truth(0).ready, world.truth(0).current), (6, 6));
    // Two are left in each zone.
    for zone in 0..3 {
        let mut world = world.clone();
        world.drain(zone);
        assert_eq!(world.truth(0).ready, 4);
    }
    assert_eq!((world.kill(0, 0.01), world.kill(0, 1.0), world.kill(0, 1.0)), (1, 5, 0));
}

#[test]
fn checks_of_too_many_units_are_not_believed() {
    let mut world = world(vec![service("a", WEB, 200.0, &[])]);
    world.knobs_mut(0).unhealthy_ratio = 0.5;
    world.tick();
    assert_eq!(world.truth(0).ready, 5);
    world.knobs_mut(0).unhealthy_ratio = 0.6;
    world.tick();
    assert_eq!(world.truth(0).ready, 10);
}

#[test]
fn a_gray_unit_hurts_its_share_of_the_requests_until_it_is_replaced() {
    let mut world = world(vec![service("a", WEB, 200.0, &[])]);
    world.knobs_mut(0).gray_ratio = 0.1;
    world.knobs_mut(0).gray_factor = 20.0;
    pass(&mut world, 60);
    let truth = *world.truth(0);
    assert_eq!(truth.ready, 10, "its health check is green");
    assert!((truth.good_rps / 200.0 - 0.9).abs() < 0.02, "{truth:?}");
    assert_eq!(world.replace_gray(0, 5), 1);
    pass(&mut world, 300);
    assert_eq!(world.truth(0).ready, 10);
    assert!(world.truth(0).is_good, "{}", line(&world, 0));
}

#[test]
fn a_leak_slows_units_until_they_are_restarted() {
    let mut world = world(vec![service("a", WEB, 200.0, &[])]);
    world.knobs_mut(0).leak_per_hour = 0.2;
    pass(&mut world, 2 * 3_600);
    let busy = world.truth(0).busy_ratio;
    // Half of the slots at full speed; 40 % of the capacity has leaked away.
    assert!((busy - 0.5 / 0.6).abs() < 0.01, "{busy}");
    world.restart(0, 1.0);
    pass(&mut world, 300);
    assert!(world.truth(0).busy_ratio < 0.52, "{}", world.truth(0).busy_ratio);
}

#[test]
fn beyond_a_hidden_limit_more_units_serve_less() {
    let mut world = world(vec![service("a", WEB, 300.0, &[])]);
    world.knobs_mut(0).hidden_limit_units = 10;
    pass(&mut world, 60);
    assert!(world.truth(0).is_good);
    world.set_units(0, 20);
    pass(&mut world, 600);
    assert!(!world.truth(0).is_good, "{}", line(&world, 0));
}

#[test]
fn started_units_call_before_anybody_calls_them() {
    let mut a = service("a", WEB, 1.0, &[(1, 1.0)]);
    a.start_calls = 100.0;
    a.boot_sigma = 0.0;
    let mut world = world(vec![a, service("b", DATABASE, 0.0, &[])]);
    pass(&mut world, 10);
    assert!(world.truth(1).arrived_rps < 1.1);
    world.set_units(0, 15);
    let before = world.sums(1).offered;
    let mut most = 0.0f64;
    for _ in 0..100 {
        world.tick();
        most = most.max(world.truth(1).arrived_rps);
    }
    // Five units times a hundred calls over ten seconds.
    assert!((most - 51.0).abs() < 0.1, "{most}");
    assert!((world.sums(1).offered - before - 600.0).abs() < 1.0);
}
