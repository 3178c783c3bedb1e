//! How long a condition takes to evaluate and to read.
//!
//! **In:** nothing; `cargo bench -p evenkeel-core --bench condition`.
//! **Out:** nanoseconds per evaluation for conditions of several sizes.
//! **Not here:** whether the answers are right (`tests/condition/`).

#![expect(clippy::disallowed_macros, clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads a clock")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use evenkeel_core::condition::{Condition, Environment, Kind, Lookup, Unit};
use evenkeel_core::ids::InstanceName;

const ROUNDS: u32 = 200_000;

/// What a run knows: a map, as the agent's.
struct Known {
    numbers: BTreeMap<String, f64>,
    instances: Vec<(InstanceName, f64)>,
}

impl Lookup for Known {
    fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    fn instances(&self, _name: &str) -> Option<&[(InstanceName, f64)]> {
        Some(&self.instances)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut environment = Environment::new().with("slow", Kind::Instances(Unit::Seconds));
    let mut numbers = BTreeMap::new();
    for nth in 0..20_u32 {
        let name = format!("params.ratio_{nth:02}");
        environment.insert(&name, Kind::Number(Unit::Ratio));
        numbers.insert(name, f64::from(nth) / 20.0);
    }
    let small = "params.ratio_01 < params.ratio_02 && params.ratio_03 < 0.5";
    // No part decides alone, so that all of it is evaluated.
    let forty = "params.ratio_01 < params.ratio_02 && params.ratio_03 * 2 < params.ratio_10 \
                 && max(params.ratio_04, params.ratio_05, 0.1) < 0.9 && abs(params.ratio_06 - \
                 params.ratio_07) < 0.2 && (params.ratio_08 > 1 || params.ratio_09 > 0.1) \
                 && known(params.ratio_12) && params.ratio_11 + params.ratio_13 < 3";
    let instances = "outlier_count(slow, 3) <= 1 && worst(slow) > 2 * median(slow)";
    println!("condition            parts  instances  ns/evaluation  ns/reading");
    for (name, text, n) in [
        ("small", small, 0_u32),
        ("forty parts", forty, 0),
        ("instances", instances, 10),
        ("many instances", instances, 1_000),
    ] {
        let instances = (0..n)
            .map(|it| Ok((InstanceName::new(&format!("i-{it}"))?, f64::from(it % 17))))
            .collect::<Result<_, evenkeel_core::ids::NameError>>()?;
        let known = Known { numbers: numbers.clone(), instances };
        let condition = Condition::parse(text, &environment)?;
        let rounds = if n < 100 { ROUNDS } else { ROUNDS / 100 };
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(black_box(&condition).truth(black_box(&known)));
        }
        let evaluated = start.elapsed().as_nanos() / u128::from(rounds);
        let start = Instant::now();
        for _ in 0..ROUNDS / 100 {
            black_box(Condition::parse(black_box(text), &environment)?);
        }
        let read = start.elapsed().as_nanos() / u128::from(ROUNDS / 100);
        println!("{name:<20} {:>5}  {n:>9}  {evaluated:>13}  {read:>10}", condition.n_nodes());
    }
    Ok(())
}
