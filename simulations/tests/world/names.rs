//! Units by name: who is gray, drained, restarted, gone.

use evenkeel_sim::world::{UnitSeen, World};

use super::{WEB, pass, service, world};

/// Ten units, of which two are ten times as slow.
fn gray_world() -> World {
    let mut world = world(vec![service("a", WEB, 200.0, &[])]);
    world.name_units();
    pass(&mut world, 10);
    let knobs = world.knobs_mut(0);
    (knobs.gray_ratio, knobs.gray_factor) = (0.2, 10.0);
    pass(&mut world, 30);
    world
}

fn slow(world: &World) -> Vec<u32> {
    let units = world.units(0, 100);
    units.iter().filter(|it| 1.0 < it.latency_p95_seconds).map(|it| it.id).collect()
}

#[test]
fn who_is_gray_can_be_seen_and_the_rest_is_as_fast_as_ever() {
    let world = gray_world();
    let gray = slow(&world);
    assert_eq!(gray.len(), 2, "{gray:?}");
    let well = world.units(0, 100);
    let well: Vec<&UnitSeen> = well.iter().filter(|it| !gray.contains(&it.id)).collect();
    assert!(well.iter().all(|it| it.latency_p95_seconds < 0.5 && it.is_ready), "{well:?}");
    assert_eq!(world.unit_id(0, &world.unit_name(0, gray[0])), Some(gray[0]));
    for bad in ["b/1", "a/x", "a1", "a/", "/1"] {
        assert_eq!(world.unit_id(0, bad), None, "{bad}");
    }
}

#[test]
fn drained_units_get_no_load_and_do_not_count_as_serving() {
    let mut world = gray_world();
    let gray = slow(&world);
    let before = world.truth(0).good_rps;
    world.drain_units(0, &gray, true);
    assert_eq!((world.truth(0).ready, world.truth(0).current), (8, 10));
    pass(&mut world, 30);
    assert!(before < 190.0 && 199.9 < world.truth(0).good_rps, "{before}");
    assert_eq!(slow(&world), Vec::<u32>::new());
    let drained = |world: &World| world.units(0, 100).iter().filter(|it| it.is_drained).count();
    assert_eq!(drained(&world), 2);
    // Back in traffic they are as they were: a drain heals nobody.
    world.drain_units(0, &gray, false);
    pass(&mut world, 30);
    assert_eq!((slow(&world), drained(&world), world.truth(0).ready), (gray, 0, 10));
}

#[test]
fn replaced_units_are_gone_and_others_come_under_names_of_their_own() {
    let mut world = gray_world();
    let gray = slow(&world);
    assert_eq!(world.replace_units(0, &gray), 2);
    assert_eq!(world.replace_units(0, &gray), 0, "who is gone is gone");
    assert_eq!((world.truth(0).current, world.truth(0).desired), (8, 10));
    pass(&mut world, 300);
    let ids: Vec<u32> = world.units(0, 100).iter().map(|it| it.id).collect();
    assert_eq!((ids.len(), slow(&world)), (10, Vec::new()));
    assert_eq!(ids[8..], [10, 11]);
    let newest = world.units(0, 100)[9];
    assert!(40 <= newest.started_at, "{newest:?}");
}

#[test]
fn restarted_units_keep_their_names_and_are_well() {
    let mut world = gray_world();
    let gray = slow(&world);
    assert_eq!(world.restart_units(0, &gray), 2);
    assert_eq!((world.truth(0).ready, world.truth(0).current), (8, 10));
    pass(&mut world, 300);
    assert_eq!((slow(&world), world.truth(0).ready), (Vec::new(), 10));
    let units = world.units(0, 100);
    let started: Vec<u32> = units.iter().filter(|it| it.started_at == 40).map(|it| it.id).collect();
    assert_eq!(started, gray);
}

#[test]
fn weights_move_traffic_away_from_who_is_slow() {
    let mut world = gray_world();
    let weights: Vec<(u32, u32)> = slow(&world).into_iter().map(|id| (id, 10)).collect();
    let before = world.truth(0).good_rps;
    world.weigh_units(0, &weights);
    pass(&mut world, 60);
    let after = world.truth(0).good_rps;
    assert!(before < 190.0 && 196.0 < after, "{before} {after}");
    assert_eq!(world.truth(0).ready, 10);
    let none: Vec<(u32, u32)> = weights.iter().map(|(id, _)| (*id, 0)).collect();
    world.weigh_units(0, &none);
    assert_eq!(world.truth(0).ready, 8);
}

#[test]
fn names_alone_change_nothing() {
    let run = |has_names: bool| {
        let mut world =
            world(vec![service("a", WEB, 200.0, &[(1, 1.0)]), service("b", WEB, 0.0, &[])]);
        if has_names {
            world.name_units();
        }
        pass(&mut world, 100);
        let knobs = world.knobs_mut(1);
        (knobs.gray_ratio, knobs.gray_factor) = (0.3, 5.0);
        pass(&mut world, 100);
        world.set_units(1, 15);
        pass(&mut world, 200);
        world.knobs_mut(1).gray_ratio = 0.0;
        pass(&mut world, 100);
        world.fingerprint()
    };
    assert_eq!(run(true), run(false));
}
