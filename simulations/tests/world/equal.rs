//! Equal runs are equal; recordings and history.

use evenkeel_sim::load::LoadCurve;
use evenkeel_sim::workload::{Sample, Workload};
use evenkeel_sim::world::{RetrySpec, World, WorldSpec};
use jiff::{SignedDuration, Timestamp};

use super::{DATABASE, WEB, WORKERS, flat, pass, service, spec, world};

/// Three services that call each other, with noise and everything switched on.
fn lively() -> WorldSpec {
    let mut a = service("a", WEB, 100.0, &[(1, 0.5), (2, 1.0)]);
    a.load = Some(LoadCurve { peak_rps: 300.0, noise_ratio: 0.3, ..flat(100.0) });
    a.retries = RetrySpec { retries: 2, budget_ratio: Some(0.2) };
    let b = service("b", WORKERS, 0.0, &[(2, 1.0)]);
    spec(vec![a, b, service("c", DATABASE, 0.0, &[])])
}

fn shake(world: &mut World, second: i64) {
    match second % 1_000 {
        100 => world.set_units(0, 20),
        200 => world.knobs_mut(2).slow_factor = 4.0,
        300 => *world.knobs_mut(2) = Default::default(),
        400 => drop(world.kill(2, 0.5)),
        500 => world.knobs_mut(0).load_factor = 4.0,
        600 => *world.knobs_mut(0) = Default::default(),
        700 => world.set_units(0, 8),
        _ => {}
    }
}

fn run(world: &mut World, seconds: i64) {
    for _ in 0..seconds {
        let second = world.second();
        shake(world, second);
        world.tick();
    }
}

#[test]
fn equal_seeds_are_equal_split_or_not_and_others_differ() {
    let run_of = |seed, parts: &[i64]| {
        let mut world = World::new(seed, Timestamp::UNIX_EPOCH, lively()).unwrap();
        for part in parts {
            run(&mut world, *part);
            world = world.clone();
        }
        world.fingerprint()
    };
    assert_eq!(run_of(1, &[3_000]), run_of(1, &[1_234, 1, 1_765]));
    assert_ne!(run_of(1, &[3_000]), run_of(2, &[3_000]));
    assert_ne!(run_of(1, &[3_000]), run_of(1, &[2_999]));
}

#[test]
fn a_service_that_is_added_at_the_end_leaves_the_others_alone() {
    let mut more = lively();
    more.services.push(service("d", WEB, 50.0, &[]));
    let mut few = World::new(1, Timestamp::UNIX_EPOCH, lively()).unwrap();
    let mut many = World::new(1, Timestamp::UNIX_EPOCH, more).unwrap();
    run(&mut few, 2_000);
    run(&mut many, 2_000);
    for service in 0..3 {
        assert_eq!(few.truth(service), many.truth(service));
        assert_eq!(few.sums(service), many.sums(service));
    }
}

#[test]
fn a_recording_is_scaled_to_the_peaks_and_its_last_value_holds() {
    let samples = [(1_000, 5.0), (1_060, 10.0), (1_120, 2.5)];
    let samples = samples.map(|(at, value)| Sample { at, value }).to_vec();
    let workload = Workload::new("test", samples).unwrap();
    let services = vec![service("a", WEB, 100.0, &[]), service("b", WEB, 40.0, &[])];
    let mut world = world(services);
    world.follow(&workload, 2.0);
    let mut seen = Vec::new();
    for seconds in [60, 60, 60, 3_600] {
        pass(&mut world, seconds);
        seen.push((world.truth(0).offered_rps.round(), world.truth(1).offered_rps.round()));
    }
    // The 99.5th percentile is 9.95, a little below the largest value.
    assert_eq!(format!("{seen:?}"), "[(101.0, 40.0), (201.0, 80.0), (50.0, 20.0), (50.0, 20.0)]");
}

#[test]
fn history_is_what_would_have_arrived_and_is_the_same_whenever_it_is_asked_for() {
    let mut world = World::new(1, Timestamp::UNIX_EPOCH, lively()).unwrap();
    let step = SignedDuration::from_mins(5);
    let before = world.history(2, 2, step);
    run(&mut world, 500);
    assert_eq!(before, world.history(2, 2, step));
    assert_eq!(before.len(), 576);
    assert_eq!(before[575].0, Timestamp::from_second(-300).unwrap());
    let a = world.history(0, 2, step);
    // One call, and half a call by way of the workers.
    assert!(a.iter().zip(&before).all(|(a, c)| (1.5 * a.1 - c.1).abs() < 1e-6));
}
