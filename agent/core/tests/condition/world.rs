//! The names that the tests use, their values, and a small source of chance.

use std::collections::BTreeMap;

use evenkeel_core::condition::{Environment, Kind, Lookup, Unit};
use evenkeel_core::ids::InstanceName;

/// Single numbers: name, unit, and the value in [`World::usual`].
pub(crate) const NUMBERS: [(&str, Unit, f64); 12] = [
    ("error_ratio", Unit::Ratio, 0.12),
    ("params.slow_ratio", Unit::Ratio, 0.05),
    ("requests", Unit::Count, 1_200.0),
    ("params.attempts", Unit::Count, 3.0),
    ("load", Unit::Rps, 640.0),
    ("latency", Unit::Seconds, 0.35),
    ("params.latency_max", Unit::Seconds, 0.5),
    ("spend", Unit::UsdPerHour, 12.5),
    ("bill", Unit::Usd, 300.0),
    ("disk_free", Unit::Bytes, 21_474_836_480.0),
    ("target.ready", Unit::Units, 7.0),
    ("target.desired", Unit::Units, 8.0),
];

/// Numbers per instance.
pub(crate) const INSTANCES: [(&str, Unit, &[f64]); 4] = [
    ("slow", Unit::Seconds, &[0.1, 0.11, 0.09, 0.9, 0.1]),
    ("errors", Unit::Ratio, &[0.0, 0.01, 0.5, 0.02]),
    ("busy", Unit::Count, &[4.0, 5.0]),
    ("nobody", Unit::Seconds, &[]),
];

pub(crate) fn environment() -> Environment {
    let mut environment = Environment::new();
    for (name, unit, _) in NUMBERS {
        environment.insert(name, Kind::Number(unit));
    }
    for (name, unit, _) in INSTANCES {
        environment.insert(name, Kind::Instances(unit));
    }
    environment
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) numbers: BTreeMap<String, f64>,
    pub(crate) instances: BTreeMap<String, Vec<(InstanceName, f64)>>,
}

impl World {
    /// Everything is known.
    pub(crate) fn usual() -> World {
        let mut world = World::default();
        for (name, _, value) in NUMBERS {
            world.numbers.insert(name.to_owned(), value);
        }
        for (name, _, values) in INSTANCES {
            world.instances.insert(name.to_owned(), instances(values));
        }
        world
    }

    /// Nothing of `name` is known.
    pub(crate) fn without(mut self, name: &str) -> World {
        self.numbers.remove(name);
        self.instances.remove(name);
        self
    }
}

pub(crate) fn instances(values: &[f64]) -> Vec<(InstanceName, f64)> {
    let name = |nth| InstanceName::new(&format!("10.0.0.{nth}:8080")).unwrap();
    (0..).zip(values).map(|(nth, value): (u32, _)| (name(nth), *value)).collect()
}

impl Lookup for World {
    fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    fn instances(&self, name: &str) -> Option<&[(InstanceName, f64)]> {
        self.instances.get(name).map(Vec::as_slice)
    }
}

/// Pseudo-random numbers, the same for the same seed on every machine.
///
/// Source: Steele, Lea & Flood, *Fast splittable pseudorandom number generators* (2014).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// From 0 to below `n`; 0 for `n` of 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % n.max(1)
    }

    /// True `n` times of 100.
    pub(crate) fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }

    pub(crate) fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
