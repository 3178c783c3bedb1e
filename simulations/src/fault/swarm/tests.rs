//! What seeds draw.
//!
//! **In:** seeds. **Out:** faults and people. **Not here:** what comes of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::fault::schedule::tests::small_world;
use crate::people::{Deed, When};

const SWARM: Swarm = Swarm { faults_per_hour: 6.0, longest: 900, has_people: true };
const HOUR: i64 = 3_600;

fn deed_name(deed: &Deed) -> &'static str {
    match deed {
        Deed::Freeze { .. } => "freeze",
        Deed::Hold { .. } => "hold",
        Deed::NoScaleDown { .. } => "no_scale_down",
        Deed::Pin { .. } => "pin",
        Deed::ExpireAll => "expire_all",
        Deed::SetByHand { .. } => "set_by_hand",
        Deed::Shed { .. } => "shed",
        Deed::Restart { .. } => "restart",
        Deed::ReplaceGray { .. } => "replace_gray",
        Deed::Promote { .. } => "promote",
        Deed::Drain { .. } => "drain",
        Deed::Takeover { .. } => "takeover",
        Deed::HandBack { .. } => "handback",
        Deed::StandBy { .. } => "stand_by",
    }
}

/// How long a deed holds; a rolling restart takes a while, too.
fn deed_seconds(deed: &Deed) -> i64 {
    match deed {
        Deed::Freeze { seconds, .. }
        | Deed::Hold { seconds, .. }
        | Deed::NoScaleDown { seconds, .. }
        | Deed::Pin { seconds, .. }
        | Deed::Shed { seconds, .. }
        | Deed::Takeover { seconds, .. }
        | Deed::Drain { seconds, .. } => *seconds,
        Deed::Restart { ratio, apart, .. } => whole_seconds((1.0 / ratio).ceil()) * apart,
        Deed::ExpireAll
        | Deed::HandBack { .. }
        | Deed::StandBy { .. }
        | Deed::SetByHand { .. }
        | Deed::ReplaceGray { .. }
        | Deed::Promote { .. } => 0,
    }
}

#[test]
fn every_kind_is_drawn_in_some_seeds_and_left_out_of_others() {
    let world = small_world();
    let mut seeds_with: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..200 {
        let (faults, acts) = draw(seed, &SWARM, &world, 24 * HOUR);
        let mut kinds: BTreeSet<&str> = faults.iter().map(|it| it.kind.name()).collect();
        kinds.extend(acts.iter().map(|it| match it.deed {
            // Only behind a leak; `restart` is a fault as well.
            Deed::Restart { .. } => "leak",
            Deed::Freeze { .. }
            | Deed::Hold { .. }
            | Deed::NoScaleDown { .. }
            | Deed::Pin { .. }
            | Deed::ExpireAll
            | Deed::SetByHand { .. }
            | Deed::Shed { .. }
            | Deed::ReplaceGray { .. }
            | Deed::Promote { .. }
            | Deed::Drain { .. }
            | Deed::Takeover { .. }
            | Deed::HandBack { .. }
            | Deed::StandBy { .. } => deed_name(&it.deed),
        }));
        for kind in kinds {
            *seeds_with.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(seeds_with.len(), KINDS.len() + 1 + 8, "{seeds_with:?}");
    for (kind, n) in &seeds_with {
        assert!((50..=120).contains(n), "{kind} in {n} of 200 seeds");
    }
}

#[test]
fn a_fault_has_the_name_under_which_it_is_drawn() {
    let world = small_world();
    for (name, draw_kind) in KINDS {
        let mut dice = Dice(generator(1, name));
        let kind = draw_kind(&mut dice, &world, 600).unwrap();
        assert_eq!(kind.name(), name);
    }
}

#[test]
fn there_are_as_many_as_asked_for_and_never_too_many() {
    let world = small_world();
    let count = |per_hour, hours: i64| {
        let swarm = Swarm { faults_per_hour: per_hour, ..SWARM };
        let n = |seed| draw(seed, &swarm, &world, hours * HOUR).0.len();
        let all: usize = (0..200).map(n).sum();
        f64::from(u32::try_from(all).unwrap()) / 200.0
    };
    let mean = count(4.0, 10);
    assert!((34.0..46.0).contains(&mean), "{mean} of 40");
    assert!(count(0.0, 10) < 1e-9);
    let swarm = Swarm { faults_per_hour: 60.0, ..SWARM };
    for seed in 0..20 {
        assert_eq!(draw(seed, &swarm, &world, 100 * HOUR).0.len(), FAULTS_MAX);
    }
    assert_eq!(draw(1, &SWARM, &world, 0), (Vec::new(), Vec::new()));
}

#[test]
fn a_world_without_caches_has_none_emptied() {
    let mut world = small_world();
    world.services.truncate(2);
    world.services.iter_mut().for_each(|it| it.calls.clear());
    world.zones.truncate(1);
    for seed in 0..100 {
        let (faults, acts) = draw(seed, &SWARM, &world, 24 * HOUR);
        assert!(
            faults
                .iter()
                .all(|it| { !["flush", "replica_lag", "zone_loss"].contains(&it.kind.name()) })
        );
        assert!(acts.iter().all(|it| !matches!(it.deed, Deed::Drain { .. })));
    }
}

#[test]
fn without_people_nobody_acts_and_nothing_leaks() {
    let swarm = Swarm { has_people: false, ..SWARM };
    for seed in 0..100 {
        let (faults, acts) = draw(seed, &swarm, &small_world(), 24 * HOUR);
        assert!(acts.is_empty() && faults.iter().all(|it| it.kind.name() != "leak"));
        // Whether people act changes nothing else.
        let with_people = draw(seed, &SWARM, &small_world(), 24 * HOUR).0;
        if with_people.len() < FAULTS_MAX {
            let others: Vec<Fault> =
                with_people.into_iter().filter(|it| it.kind.name() != "leak").collect();
            assert_eq!(others, faults);
        }
    }
}

proptest! {
    #[test]
    fn equal_seeds_draw_equals_and_all_is_over_in_time(
        seed: u64,
        per_hour in 0.0f64..60.0,
        longest in 1i64..7_200,
        until in 1i64..200_000,
    ) {
        let world = small_world();
        let swarm = Swarm { faults_per_hour: per_hour, longest, has_people: true };
        let (faults, acts) = draw(seed, &swarm, &world, until);
        prop_assert_eq!(&draw(seed, &swarm, &world, until), &(faults.clone(), acts.clone()));
        prop_assert!(faults.len() <= FAULTS_MAX);
        for it in &faults {
            prop_assert!(0 <= it.from && it.from < it.until && it.until <= until, "{:?}", it);
            prop_assert!(it.until - it.from <= longest, "{:?}", it);
        }
        for it in &acts {
            match it.when {
                When::At(at) => {
                    prop_assert!(0 <= at && at + deed_seconds(&it.deed) <= until, "{:?}", it);
                }
                When::AfterPage(delay) => {
                    prop_assert!(0 <= delay);
                    let harmless =
                        ["expire_all", "no_scale_down", "pin", "set_by_hand"];
                    prop_assert!(harmless.contains(&deed_name(&it.deed)), "{:?}", it);
                }
            }
            if let Deed::Pin { service, units, .. } | Deed::SetByHand { service, units } = it.deed {
                let spec = &world.services[service];
                prop_assert!(spec.is_scaled);
                prop_assert!((spec.units_min..=spec.units_max).contains(&units));
                if let When::AfterPage(_) = it.when {
                    prop_assert_eq!(units, spec.units_max);
                }
            }
        }
    }
}
