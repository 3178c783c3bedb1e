//! What a second of a region costs: `cargo run --release -p evenkeel-sim --example world_cost`.
//!
//! **In:** nothing. **Out:** nanoseconds per second of the region that the contract is about (20
//! services), of the same on its knees, and of ten thousand services.
//! **Not here:** the agent's cost.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::time::Instant;

use evenkeel_sim::load::LoadCurve;
use evenkeel_sim::world::{
    CallSpec, RetrySpec, ServiceKind, ServiceSpec, UnitSpec, World, WorldSpec,
};
use jiff::Timestamp;

/// Twenty services: eight with load from outside (three of them workers), eight inside, two
/// caches, two databases. `copies` of them side by side.
fn region(copies: usize) -> WorldSpec {
    let mut services = Vec::new();
    for copy in 0..copies {
        let base = copy * 20;
        for place in 0..20usize {
            let is_outer = place < 8;
            let web = ServiceKind::Web { queue_per_unit_max: 40.0, timeout_seconds: 5.0 };
            let (kind, calls, service_seconds, units): (_, Vec<usize>, f64, u32) = match place {
                0..5 => (web, vec![8 + place, 16 + place % 2], 0.05, 20),
                5..8 => (ServiceKind::Workers { queue_max: 1e6 }, vec![8 + place], 0.2, 20),
                8..16 => (web, vec![16 + place % 2], 0.03, 20),
                16..18 => {
                    let cache = ServiceKind::Cache {
                        items: 1e6,
                        zipf_exponent: 0.9,
                        items_per_unit: 30_000.0,
                        timeout_seconds: 1.0,
                    };
                    (cache, vec![place + 2], 0.002, 10)
                }
                _ => {
                    let database = ServiceKind::Database {
                        queue_per_unit_max: 100.0,
                        timeout_seconds: 3.0,
                        writes_ratio: 0.2,
                    };
                    (database, vec![], 0.01, 16)
                }
            };
            let load = LoadCurve {
                trough_rps: 150.0,
                peak_rps: 600.0,
                peak_hour: 15.0,
                weekend_ratio: 0.7,
                noise_ratio: 0.1,
            };
            services.push(ServiceSpec {
                name: format!("service-{}", base + place),
                kind,
                load: is_outer.then_some(load),
                calls: calls
                    .into_iter()
                    .map(|it| CallSpec { service: base + it, per_request: 1.0, is_needed: true })
                    .collect(),
                unit: UnitSpec { slots: 8, service_seconds, cpu_ratio: 0.7 },
                units_start: units,
                units_min: 2,
                units_max: 60,
                boot_median_seconds: 90.0,
                boot_sigma: 0.3,
                start_calls: 100.0,
                retries: RetrySpec { retries: 2, budget_ratio: Some(0.1) },
                objective_seconds: 1.0,
                objective_ratio: 0.99,
                unit_usd_per_hour: 0.2,
                is_scaled: true,
                is_critical: true,
            });
        }
    }
    WorldSpec {
        zones: ["a", "b", "c"].map(str::to_owned).to_vec(),
        services,
        launches_per_minute_max: 60.0,
        zone_units_max: 1_000_000,
        fail_open_ratio: 0.5,
    }
}

fn measure(label: &str, copies: usize, seconds: u32, change: impl FnOnce(&mut World)) {
    let start = Timestamp::UNIX_EPOCH;
    let mut world = match World::new(7, start, region(copies)) {
        Ok(world) => world,
        Err(error) => {
            println!("{error}");
            return;
        }
    };
    change(&mut world);
    for _ in 0..seconds / 10 {
        world.tick();
    }
    let from = Instant::now();
    for _ in 0..seconds {
        world.tick();
    }
    let nanoseconds = from.elapsed().as_secs_f64() * 1e9 / f64::from(seconds);
    println!(
        "{label}: {nanoseconds:.0} ns per second, {:.0}x real time, fingerprint {:016x}",
        1e9 / nanoseconds,
        world.fingerprint()
    );
}

fn main() {
    for _ in 0..3 {
        measure("20 services", 1, 500_000, |_| {});
    }
    measure("20 services on their knees", 1, 200_000, |world| {
        for service in 0..20 {
            world.knobs_mut(service).load_factor = 3.0;
            world.knobs_mut(service).gray_ratio = 0.2;
            world.knobs_mut(service).gray_factor = 5.0;
        }
    });
    measure("10,000 services", 500, 500, |_| {});
}
