//! Nothing vanishes and nothing is counted twice, whatever breaks.

use evenkeel_sim::world::{RegionKnobs, RetrySpec, ServiceKind, World};
use proptest::prelude::*;

use super::{service, world};

fn any_kind() -> impl Strategy<Value = ServiceKind> {
    prop_oneof![
        (0.0f64..300.0, 0.2f64..8.0).prop_map(|(queue_per_unit_max, timeout_seconds)| {
            ServiceKind::Web { queue_per_unit_max, timeout_seconds }
        }),
        (0.0f64..20_000.0).prop_map(|queue_max| ServiceKind::Workers { queue_max }),
        (0.2f64..8.0).prop_map(|timeout_seconds| ServiceKind::Cache {
            items: 5_000.0,
            zipf_exponent: 0.8,
            items_per_unit: 200.0,
            timeout_seconds,
        }),
        (0.0f64..300.0, 0.2f64..8.0).prop_map(|(queue_per_unit_max, timeout_seconds)| {
            ServiceKind::Database { queue_per_unit_max, timeout_seconds, writes_ratio: 0.5 }
        }),
    ]
}

/// What can happen to a service: which lever or knob, how much.
type Deed = (usize, u8, f64);

fn units_of(amount: f64) -> u32 {
    (0..40).filter(|it| f64::from(*it) < amount * 40.0).count().try_into().unwrap_or(0)
}

fn pull(world: &mut World, (service, what, amount): Deed) {
    match what {
        0 => world.set_units(service, units_of(amount)),
        1 => drop(world.kill(service, amount)),
        2 => drop(world.restart(service, amount)),
        3 => world.knobs_mut(service).load_factor = amount * 5.0,
        4 => world.knobs_mut(service).slow_factor = 0.2 + amount * 10.0,
        5 => world.knobs_mut(service).error_ratio = amount,
        6 => world.knobs_mut(service).is_down = amount < 0.5,
        7 => world.knobs_mut(service).gray_ratio = amount,
        8 => world.knobs_mut(service).gray_factor = 1.0 + amount * 30.0,
        9 => world.knobs_mut(service).junk_rps = amount * 1_000.0,
        10 => world.knobs_mut(service).shed_ratio = amount,
        11 => world.flush(service),
        12 => world.drain(service),
        13 => world.undrain(service),
        14 => drop(world.replace_gray(service, 3)),
        15 => world.knobs_mut(service).unhealthy_ratio = amount,
        16 => world.set_region_knobs(RegionKnobs {
            lost_zones: if amount < 0.5 { vec![service] } else { vec![] },
            launch_failures_ratio: amount * 0.5,
            boot_factor: amount,
            launches_per_minute_max: Some(amount * 100.0),
        }),
        _ => world.knobs_mut(service).leak_per_hour = amount * 20.0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    // Nothing vanishes and nothing is counted twice, whatever breaks: a first try is good,
    // answered too late, lost, or not over yet. Units that are missing wait for a launch.
    #[test]
    fn requests_and_units_are_conserved(
        kinds in prop::array::uniform3(any_kind()),
        rps in 0.0f64..900.0,
        per_request in 0.0f64..3.0,
        retries in 0u32..=4,
        budget_ratio in prop::option::of(0.0f64..2.0),
        deeds in prop::collection::vec((0usize..3, 0u8..18, 0.0f64..1.0), 1..40),
    ) {
        let [a, b, c] = kinds;
        let mut services = vec![
            service("a", a, rps, &[(1, per_request), (2, 0.5)]),
            service("b", b, 20.0, &[(2, per_request)]),
            service("c", c, 0.0, &[]),
        ];
        for it in &mut services {
            it.retries = RetrySpec { retries, budget_ratio };
            it.start_calls = 5.0;
        }
        let mut world = world(services);
        for deed in deeds {
            pull(&mut world, deed);
            for _ in 0..20 {
                world.tick();
                for service in 0..3 {
                    let truth = world.truth(service);
                    let sums = world.sums(service);
                    let ended = sums.good + world.slow_answers(service) + sums.lost;
                    let left = sums.offered - ended - world.open_tries(service);
                    prop_assert!(left.abs() < 1e-6 * sums.offered.max(1.0), "{left} of {sums:?}");
                    for value in [truth.arrived_rps, truth.served_rps, truth.good_rps,
                        truth.lost_rps, truth.errors_rps, truth.queue,
                        truth.latency_mean_seconds, truth.latency_p95_seconds] {
                        prop_assert!(value.is_finite() && -1e-6 <= value, "{truth:?}");
                    }
                    for ratio in [truth.cpu_ratio, truth.busy_ratio] {
                        prop_assert!((0.0..=1.0).contains(&ratio), "{truth:?}");
                    }
                    prop_assert!(truth.ready <= truth.current);
                    prop_assert!(truth.current <= truth.desired);
                    prop_assert!(truth.good_rps <= truth.served_rps + 1e-6, "{truth:?}");
                }
            }
        }
    }
}
