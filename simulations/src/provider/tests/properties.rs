//! What holds of the provider's API whatever is asked of it, and in which order.

use proptest::prelude::*;

use super::*;

/// One thing that happens in a run.
#[derive(Clone, Debug)]
enum Step {
    Tick,
    Read(usize),
    Set(usize, u32, Option<u32>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Tick),
        2 => (0usize..3).prop_map(Step::Read),
        2 => (0usize..3, 0u32..30, prop::option::of(5u32..15))
            .prop_map(|(service, units, expected)| Step::Set(service, units, expected)),
    ];
    prop::collection::vec(step, 1..200)
}

fn any_knobs() -> impl Strategy<Value = ProviderKnobs> {
    let share = || prop_oneof![3 => Just(0.0), 2 => 0.0f64..=1.0];
    let part = || prop_oneof![3 => Just(1.0), 2 => 0.0f64..=1.0];
    let seconds = || prop_oneof![2 => Just(0), 2 => 0i64..40, 1 => 0i64..2_000];
    (prop::bool::weighted(0.1), share(), share(), seconds(), seconds(), part(), part()).prop_map(
        |(is_down, throttled_ratio, unknown_ratio, delay_seconds, stale_seconds, done, shown)| {
            ProviderKnobs {
                is_down,
                throttled_ratio,
                unknown_ratio,
                delay_seconds,
                stale_seconds,
                done_ratio: done,
                shown_ratio: shown,
            }
        },
    )
}

/// All that callers heard, and the units in the end.
fn run(seed: u64, knobs: ProviderKnobs, steps: &[Step]) -> Vec<String> {
    let mut stage = Stage::new(seed, false);
    stage.provider.knobs = knobs;
    let mut heard = Vec::new();
    for step in steps {
        match step {
            Step::Tick => stage.tick(),
            Step::Read(service) => heard.push(format!("{service} {:?}", stage.read(*service))),
            Step::Set(service, units, expected) => {
                heard.push(format!("{service} {:?}", stage.set(*service, *units, *expected)));
            }
        }
    }
    heard.push(format!("{:?}", stage.world.told));
    heard
}

proptest! {
    // Without faults the provider is a register: what is asked for is so at once, once or
    // twice, and an expectation decides by what is true.
    #[test]
    fn without_faults_it_is_a_register(seed: u64, is_lazy: bool, steps in steps()) {
        let mut stage = Stage::new(seed, is_lazy);
        let mut units = [10; 3];
        for step in steps {
            match step {
                Step::Tick => stage.tick(),
                Step::Read(service) => {
                    prop_assert_eq!(stage.read(service).unwrap().desired, units[service]);
                }
                Step::Set(service, asked, expected) => {
                    let fits = expected.is_none_or(|it| it == units[service]);
                    let reply = stage.set(service, asked, expected);
                    prop_assert_eq!(reply.answer == Answer::Done, fits);
                    if fits {
                        units[service] = asked;
                        prop_assert_eq!(stage.set(service, asked, None).answer, Answer::Done);
                    }
                }
            }
            prop_assert_eq!(&stage.world.told[..], &units[..]);
        }
    }

    // Callers that add one to what they read, on the condition that it still is so, lose no
    // addition, however they interleave: as many as were done, and at most those without an
    // answer on top.
    #[test]
    fn with_an_expectation_no_update_is_lost(
        seed: u64,
        is_lazy: bool,
        turns in prop::collection::vec((0usize..4, any::<bool>(), prop::bool::weighted(0.2)), 1..300),
        unknown_ratio in prop_oneof![Just(0.0), 0.0f64..1.0],
    ) {
        let mut stage = Stage::new(seed, is_lazy);
        stage.provider.knobs.unknown_ratio = unknown_ratio;
        let mut read = [None; 4];
        let (mut n_done, mut n_unknown) = (0, 0);
        for (caller, is_read, ticks) in turns {
            if ticks {
                stage.tick();
            }
            match read[caller] {
                Some(units) if !is_read => match stage.set(0, units + 1, Some(units)).answer {
                    Answer::Done => n_done += 1,
                    Answer::Unknown(_) => n_unknown += 1,
                    Answer::Rejected(_) => read[caller] = None,
                },
                Some(_) | None => read[caller] = Some(stage.read(0).unwrap().desired),
            }
        }
        let added = stage.world.told[0] - 10;
        prop_assert!(n_done <= added && added <= n_done + n_unknown, "{added}, {n_done} done");
    }

    // A stale read is the truth of that many seconds ago, to the second.
    #[test]
    fn stale_reads_are_an_earlier_truth(
        seed: u64,
        is_lazy: bool,
        asked in prop::collection::vec(prop::option::weighted(0.2, 0u32..50), 1..900),
        stale_seconds in 1i64..700,
    ) {
        let mut stage = Stage::new(seed, is_lazy);
        stage.provider.knobs.stale_seconds = stale_seconds;
        let mut truths = Vec::new();
        for units in asked {
            stage.tick();
            if let Some(units) = units {
                stage.set(0, units, None);
            }
            let inventory = Inventory { desired: stage.world.told[0], ready: stage.world.ready[0] };
            truths.push(inventory);
            let behind = usize::try_from(stale_seconds.min(STALE_SECONDS_MAX)).unwrap();
            let then = (truths.len() - 1).saturating_sub(behind);
            prop_assert_eq!(stage.read(0), Ok(truths[then]));
        }
    }

    // Half-done changes come between the old and the new, and there when asked often enough.
    #[test]
    fn half_done_changes_get_there_in_the_end(
        from in 0u32..=UNITS_MAX, to in 0u32..=UNITS_MAX, ratio in 0.001f64..1.0,
    ) {
        let mut units = from;
        for _ in 0..20_000 {
            let next = part_way(units, to, ratio);
            prop_assert!(next.abs_diff(to) < units.abs_diff(to) || next == to);
            prop_assert!((units.min(to)..=units.max(to)).contains(&next));
            units = next;
        }
        prop_assert_eq!(units, to);
    }

    // Equal seeds hear equal, whatever the knobs; and who calls for one service does not change
    // what is heard about the others (the list of late changes is shared, but never full here).
    #[test]
    fn equal_runs_hear_equal_and_services_do_not_share_their_luck(
        seed: u64, knobs in any_knobs(), steps in steps(),
    ) {
        let heard = run(seed, knobs, &steps);
        prop_assert_eq!(&heard, &run(seed, knobs, &steps));
        let others: Vec<Step> = steps
            .iter()
            .filter(|it| !matches!(it, Step::Read(0) | Step::Set(0, ..)))
            .cloned()
            .collect();
        let of_others = |heard: &[String]| -> Vec<String> {
            let heard = heard.split_last().map_or(&[][..], |(_, heard)| heard);
            heard.iter().filter(|it| !it.starts_with("0 ")).cloned().collect()
        };
        prop_assert_eq!(of_others(&heard), of_others(&run(seed, knobs, &others)));
    }
}
