//! Deployments, disks, certificates, breakers: what breaks, and what mends it.

use evenkeel_sim::world::{BadDeployment, World};

use super::{CACHE, WEB, pass, service, world};

fn alone() -> World {
    let mut world = world(vec![service("a", WEB, 200.0, &[])]);
    pass(&mut world, 10);
    world
}

fn errors(world: &World) -> f64 {
    world.truth(0).errors_rps / world.truth(0).arrived_rps
}

#[test]
fn a_bad_deployment_is_bad_for_as_long_as_it_is_deployed() {
    let bad = BadDeployment { error_ratio: 0.3, slow_factor: 1.5 };
    let mut world = alone();
    assert_eq!(world.revisions(0), ("r1".to_owned(), None));
    world.knobs_mut(0).bad_deployment = Some(bad);
    pass(&mut world, 30);
    assert_eq!(world.revisions(0), ("r2".to_owned(), Some("r1".to_owned())));
    assert!((errors(&world) - 0.3).abs() < 0.01, "{}", errors(&world));
    assert!(world.upkeep(0).revision_age_seconds < 40);
    world.set_revision(0, "r1").unwrap();
    pass(&mut world, 30);
    assert!(errors(&world) < 1e-6);
    assert_eq!(world.revisions(0), ("r1".to_owned(), Some("r2".to_owned())));
    for none in ["r0", "r3", "r", "2", ""] {
        assert!(world.set_revision(0, none).is_err(), "{none}");
    }
    // Forward again it is as bad as before, until it is mended.
    world.set_revision(0, "r2").unwrap();
    pass(&mut world, 30);
    assert!(0.29 < errors(&world));
    world.knobs_mut(0).bad_deployment = None;
    pass(&mut world, 30);
    assert!(errors(&world) < 1e-6);
    assert_eq!(world.revisions(0).0, "r2");
}

#[test]
fn a_full_disk_stops_the_service_until_it_is_cleaned() {
    let mut world = alone();
    world.knobs_mut(0).disk_fill_per_hour = 6.0;
    pass(&mut world, 150);
    let used = world.upkeep(0).disk_used_ratio;
    assert!((used - 0.75).abs() < 1e-6, "{used}");
    assert!(199.0 < world.truth(0).good_rps);
    pass(&mut world, 160);
    assert!(world.truth(0).good_rps < 1e-9);
    // What filled it is over; it is still full.
    world.knobs_mut(0).disk_fill_per_hour = 0.0;
    pass(&mut world, 60);
    assert!(world.truth(0).good_rps < 1e-9);
    world.clean_disk(0);
    pass(&mut world, 60);
    assert!(199.0 < world.truth(0).good_rps);
    assert!((world.upkeep(0).disk_used_ratio - 0.3).abs() < 1e-9);
}

#[test]
fn a_certificate_that_ends_fails_every_request_until_it_is_renewed() {
    const DAY: i64 = 86_400;
    let mut world = alone();
    assert!(30 * DAY < world.upkeep(0).certificate_expires_seconds);
    world.knobs_mut(0).certificate_seconds = Some(100);
    pass(&mut world, 50);
    assert_eq!(world.upkeep(0).certificate_expires_seconds, 50);
    assert!(199.0 < world.truth(0).good_rps);
    pass(&mut world, 100);
    assert!(world.truth(0).good_rps < 1e-9);
    assert_eq!(world.upkeep(0).certificate_expires_seconds, 0);
    world.renew_certificate(0);
    pass(&mut world, 10);
    assert!(199.0 < world.truth(0).good_rps);
    assert_eq!(world.upkeep(0).certificate_expires_seconds, 90 * DAY - 10);
}

#[test]
fn an_open_breaker_fails_at_once_and_spares_the_callee() {
    let mut it = service("a", WEB, 200.0, &[(1, 1.0)]);
    it.calls[0].is_needed = false;
    let mut world = world(vec![it, service("b", WEB, 0.0, &[])]);
    pass(&mut world, 10);
    world.knobs_mut(1).slow_factor = 30.0;
    pass(&mut world, 120);
    assert!(world.truth(0).good_rps < 100.0, "{:?}", world.truth(0));
    world.set_breaker(0, 1, true);
    pass(&mut world, 120);
    assert!(199.0 < world.truth(0).good_rps, "{:?}", world.truth(0));
    assert!(world.truth(1).arrived_rps < 1e-9);
    world.knobs_mut(1).slow_factor = 1.0;
    world.set_breaker(0, 1, false);
    pass(&mut world, 120);
    assert!((world.truth(1).arrived_rps - 200.0).abs() < 1.0);
}

#[test]
fn spend_junk_and_caches_follow_their_levers() {
    let mut world = world(vec![service("a", WEB, 200.0, &[]), service("c", CACHE, 10.0, &[])]);
    pass(&mut world, 10);
    let price = world.spec().services[0].unit_usd_per_hour;
    assert!((world.upkeep(0).spend_usd_per_hour - 10.0 * price).abs() < 1e-9);
    world.knobs_mut(0).junk_rps = 500.0;
    pass(&mut world, 10);
    assert!(600.0 < world.truth(0).arrived_rps);
    world.block_junk(0, true);
    pass(&mut world, 10);
    assert!(world.truth(0).arrived_rps < 210.0);
    let warm = world.truth(1).hit_ratio;
    world.flush(1);
    assert_eq!(world.truth(1).hit_ratio, Some(0.0));
    world.warm(1);
    assert_eq!(world.truth(1).hit_ratio, warm);
}
