//! Prints what a region costs: `cargo run --release -p evenkeel-sim --example region_cost`.
//!
//! **In:** nothing. **Out:** real time of a simulated day of the demo's region.
//! **Not here:** a verdict; read the numbers beside the machine they come from.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use evenkeel_sim::Region;
use jiff::{SignedDuration, Timestamp};

fn main() {
    let start = Timestamp::UNIX_EPOCH;
    let mut region = Region::new(1, start);
    let began = Instant::now();
    for hour in 1..=24 {
        region.advance(start + SignedDuration::from_hours(hour));
        for service in ["checkout-api", "search-api", "catalog-web", "payments-api"] {
            region.set_capacity(service, 60, None).expect("below the quota");
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    println!("one day, {} services: {elapsed:.3} s", region.services().count());
    println!("times real time: {:.0}", 86_400.0 / elapsed);
    let steps = 86_400.0 * 5.0;
    println!("per second and service: {:.2} us", elapsed * 1e6 / steps);
}
