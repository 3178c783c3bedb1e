//! Prints what an event costs: `cargo run --release -p evenkeel-sim --example event_rate`.
//!
//! **In:** nothing. **Out:** events per second of the request model, for one service and for a
//! chain of two.
//! **Not here:** a verdict; read the numbers beside the machine they come from.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use evenkeel_sim::requests::{RequestSpec, simulate};
use evenkeel_sim::world::{CallSpec, RetrySpec, ServiceKind, ServiceSpec, UnitSpec, WorldSpec};

fn service(name: &str, units: u32, calls: Vec<CallSpec>) -> ServiceSpec {
    ServiceSpec {
        name: name.to_owned(),
        kind: ServiceKind::Web { queue_per_unit_max: 1_000.0, timeout_seconds: 2.0 },
        load: None,
        calls,
        unit: UnitSpec { slots: 8, service_seconds: 0.1, cpu_ratio: 1.0 },
        units_start: units,
        units_min: 1,
        units_max: units.max(2),
        boot_median_seconds: 60.0,
        boot_sigma: 0.3,
        start_calls: 0.0,
        retries: RetrySpec { retries: 2, budget_ratio: Some(0.1) },
        objective_seconds: 0.5,
        objective_ratio: 0.99,
        unit_usd_per_hour: 0.1,
        is_scaled: true,
        is_critical: false,
    }
}

fn measure(what: &str, services: Vec<ServiceSpec>, load_rps: f64, lasts: i64) {
    let world = WorldSpec {
        zones: vec!["a".to_owned()],
        services,
        launches_per_minute_max: 60.0,
        zone_units_max: 5_000,
        fail_open_ratio: 0.5,
    };
    let mut spec = RequestSpec::quiet(world, 1, lasts);
    if let Some(first) = spec.services.first_mut() {
        first.load_rps = vec![(0, load_rps)];
    }
    let began = Instant::now();
    match simulate(&spec) {
        Ok(requests) => {
            let seconds = began.elapsed().as_secs_f64();
            let millions = requests.services.iter().map(|it| it.arrived).sum::<u64>() / 1_000_000;
            let rate = f64::from(u32::try_from(requests.events / 1_000).unwrap_or(u32::MAX)) / 1e3;
            let rate = rate / seconds;
            println!("{what}: {rate:.1} M events/s, {millions} M requests in {seconds:.2} s");
        }
        Err(error) => println!("{what}: {error}"),
    }
}

fn main() {
    // 80 % of 80 slots.
    measure("M/M/80 at 80 %", vec![service("web", 10, Vec::new())], 640.0, 10_000);
    measure("M/M/8000 at 80 %", vec![service("web", 1_000, Vec::new())], 64_000.0, 100);
    let calls = vec![CallSpec { service: 1, per_request: 1.0, is_needed: true }];
    let chain = vec![service("web", 20, calls), service("database", 10, Vec::new())];
    measure("web -> database at 80 %", chain, 640.0, 5_000);
}
