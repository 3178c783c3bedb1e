//! Prints what a history costs: `cargo run --release -p evenkeel-forecast --example history_cost`.
//!
//! **In:** nothing. **Out:** time of one sample and of one usual low over 10,000 series.
//! **Not here:** a verdict; read the numbers beside the machine they come from.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use evenkeel_forecast::History;
use evenkeel_forecast::history::SLOTS;
use jiff::Timestamp;

const SERIES: u32 = 10_000;

fn main() {
    let now = Timestamp::from_second(14 * 86_400).expect("valid");
    let mut noise = 7u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise
    };
    let mut all: Vec<History> = (0..SERIES).map(|_| History::fortnight()).collect();
    let slots = i64::try_from(SLOTS).expect("small");
    let started = Instant::now();
    for history in &mut all {
        let start_of = |slot: i64| Timestamp::from_second(slot * 300).expect("valid");
        history.backfill(now, (0..slots).map(|slot| (start_of(slot), f64::from(next() >> 8))));
    }
    let points = SERIES * u32::try_from(SLOTS).expect("small");
    println!("record     {:>9.1} ns per sample", nanoseconds(started.elapsed(), points));

    let mut scratch = Vec::with_capacity(SLOTS);
    let mut each: Vec<Duration> = Vec::with_capacity(all.len());
    let started = Instant::now();
    for history in &mut all {
        let began = Instant::now();
        black_box(history.usual_low(&mut scratch));
        each.push(began.elapsed());
    }
    each.sort_unstable();
    println!("usual_low  {:>9.1} us mean", nanoseconds(started.elapsed(), SERIES) / 1e3);
    println!("           {:>9.1} us p99", nanoseconds(each[each.len() * 99 / 100], 1) / 1e3);
    let started = Instant::now();
    for history in &mut all {
        black_box(history.usual_low(&mut scratch));
    }
    println!("kept       {:>9.1} ns per call", nanoseconds(started.elapsed(), SERIES));
}

fn nanoseconds(elapsed: Duration, n: u32) -> f64 {
    elapsed.as_secs_f64() * 1e9 / f64::from(n)
}
