//! What a cache holds, and how often that is what is asked for.
//!
//! **In:** how many things there are and how popular each is; requests; nodes that come and go.
//! **Out:** the hit ratio of every second. **Not here:** the nodes as servers
//! ([`super::lane`]), and the requests that misses become ([`super::service`]).
//!
//! Source: Che, Tung, Wang, *Hierarchical Web Caching Systems* (2002): an LRU cache behaves as
//! if each thing stayed for the same number of requests `t`, so that
//! `sum(1 - exp(-p_i t))` things are resident and `sum(p_i (1 - exp(-p_i t)))` of the requests
//! hit. The same two sums describe a cold cache after `t` requests, which is how it fills here.

use std::sync::Arc;

/// Most popular things that are summed one by one.
const SINGLE_ITEMS: f64 = 64.0;

/// Width of the groups that the others are summed in. Why 1.1: the hit ratio moves by less
/// than 0.002 against 1.02.
const GROUP_RATIO: f64 = 1.1;

/// Nodes per factor e of `t`.
const NODES_PER_E: f64 = 6.0;

/// Residents and hits by age of the memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Popularity {
    items: f64,
    /// Requests since the memory was empty, things resident then, and hit ratio; ascending.
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    requests: f64,
    resident: f64,
    hit_ratio: f64,
}

/// Tables by items and exponent, so that a thousand equal caches share one.
#[derive(Debug, Default)]
pub(crate) struct Popularities {
    tables: Vec<(f64, f64, Arc<Popularity>)>,
}

impl Popularities {
    /// The table of that many items with that exponent.
    pub(crate) fn of(&mut self, items: f64, zipf_exponent: f64) -> Arc<Popularity> {
        let is_same = |it: &&(f64, f64, Arc<Popularity>)| {
            it.0.to_bits() == items.to_bits() && it.1.to_bits() == zipf_exponent.to_bits()
        };
        if let Some((_, _, table)) = self.tables.iter().find(is_same) {
            return Arc::clone(table);
        }
        let table = Arc::new(Popularity::zipf(items, zipf_exponent));
        self.tables.push((items, zipf_exponent, Arc::clone(&table)));
        table
    }
}

impl Popularity {
    /// Zipf's law: the i-th of `items` things is asked for in proportion to `i^-exponent`.
    fn zipf(items: f64, exponent: f64) -> Popularity {
        let items = items.max(1.0).round();
        // Mass of the things between two ranks, by the midpoint rule.
        let mass = |from: f64, to: f64| {
            if (exponent - 1.0).abs() < 1e-9 {
                (to / from).ln()
            } else {
                (to.powf(1.0 - exponent) - from.powf(1.0 - exponent)) / (1.0 - exponent)
            }
        };
        let mut groups: Vec<(f64, f64)> = Vec::new();
        let mut rank = 1.0;
        while rank <= items {
            if rank <= SINGLE_ITEMS {
                groups.push((1.0, rank.powf(-exponent)));
                rank += 1.0;
                continue;
            }
            let end = (rank * GROUP_RATIO).floor().max(rank + 1.0).min(items + 1.0);
            groups.push((end - rank, mass(rank - 0.5, end - 0.5)));
            rank = end;
        }
        let total: f64 = groups.iter().map(|(_, mass)| mass).sum();
        let each: Vec<(f64, f64)> =
            groups.into_iter().map(|(count, mass)| (count, mass / total / count)).collect();
        let rarest = each.last().map_or(1.0, |(_, p)| *p);
        let mut nodes = vec![Node { requests: 0.0, resident: 0.0, hit_ratio: 0.0 }];
        // From a tenth of a request until the rarest thing is there but for e^-12.
        let mut requests = 0.1;
        while requests * rarest <= 12.0 {
            let mut resident = 0.0;
            let mut hit_ratio = 0.0;
            for (count, p) in &each {
                let is_there = count * -(-p * requests).exp_m1();
                resident += is_there;
                hit_ratio += p * is_there;
            }
            nodes.push(Node { requests, resident, hit_ratio });
            requests *= (1.0 / NODES_PER_E).exp();
        }
        nodes.push(Node { requests, resident: items, hit_ratio: 1.0 });
        Popularity { items, nodes }
    }

    /// Share of requests that hit when so many things are resident.
    pub(crate) fn hit_ratio(&self, resident: f64) -> f64 {
        self.between(resident, |it| it.resident).hit_ratio
    }

    /// Things resident when `requests` more have come, if none is pushed out.
    fn filled(&self, resident: f64, requests: f64) -> f64 {
        let since_empty = self.between(resident, |it| it.resident).requests;
        self.between(since_empty + requests, |it| it.requests).resident
    }

    /// The state where `by` is `value`, linear between the two nearest nodes.
    fn between(&self, value: f64, by: impl Fn(&Node) -> f64) -> Node {
        let above = self.nodes.partition_point(|it| by(it) <= value);
        let last = Node { requests: 0.0, resident: 0.0, hit_ratio: 0.0 };
        let low = self.nodes.get(above.saturating_sub(1)).copied().unwrap_or(last);
        let Some(high) = self.nodes.get(above) else {
            return low;
        };
        let span = by(high) - by(&low);
        let along = if 0.0 < span { ((value - by(&low)) / span).clamp(0.0, 1.0) } else { 0.0 };
        let join = |low: f64, high: f64| low + (high - low) * along;
        Node {
            requests: join(low.requests, high.requests),
            resident: join(low.resident, high.resident),
            hit_ratio: join(low.hit_ratio, high.hit_ratio),
        }
    }
}

/// What the nodes of one cache hold together.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    popularity: Arc<Popularity>,
    items_per_unit: f64,
    resident: f64,
    units: u32,
    hit_ratio: f64,
}

impl Memory {
    /// As warm as it gets with `units` nodes.
    pub(super) fn warm(popularity: Arc<Popularity>, items_per_unit: f64, units: u32) -> Memory {
        let mut memory =
            Memory { popularity, items_per_unit, resident: 0.0, units, hit_ratio: 0.0 };
        memory.resident = memory.room();
        memory.hit_ratio = memory.popularity.hit_ratio(memory.resident);
        memory
    }

    /// Share of requests that are answered from it.
    pub(super) fn hit_ratio(&self) -> f64 {
        self.hit_ratio
    }

    /// Nodes came or went. A lost node takes its share along; a new one takes over a share of
    /// the keys and is empty.
    pub(super) fn set_units(&mut self, units: u32) {
        if units == self.units {
            return;
        }
        let fewer = f64::from(units.min(self.units));
        let more = f64::from(units.max(self.units));
        self.units = units;
        self.hold(self.resident * fewer / more);
    }

    /// Holds as much as it can.
    pub(super) fn refill(&mut self) {
        self.hold(self.room());
    }

    /// Forgets everything.
    pub(super) fn flush(&mut self) {
        self.hold(0.0);
    }

    /// `requests` came; each that missed is there now.
    pub(super) fn fill(&mut self, requests: f64) {
        if self.resident < self.room() && 0.0 < requests {
            self.hold(self.popularity.filled(self.resident, requests));
        }
    }

    fn room(&self) -> f64 {
        (self.items_per_unit * f64::from(self.units)).min(self.popularity.items)
    }

    fn hold(&mut self, resident: f64) {
        self.resident = resident.min(self.room());
        self.hit_ratio = self.popularity.hit_ratio(self.resident);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Che's two sums without groups or tables, solved by bisection.
    fn che(items: u32, exponent: f64, size: f64) -> f64 {
        let mass: Vec<f64> = (1..=items).map(|it| f64::from(it).powf(-exponent)).collect();
        let total: f64 = mass.iter().sum();
        let resident = |t: f64| mass.iter().map(|it| -(-it / total * t).exp_m1()).sum::<f64>();
        let (mut low, mut high) = (0.0, 1e12);
        for _ in 0..200 {
            let middle: f64 = 0.5 * (low + high);
            if resident(middle) < size { low = middle } else { high = middle }
        }
        mass.iter().map(|it| it / total * -(-it / total * low).exp_m1()).sum()
    }

    #[test]
    fn the_table_agrees_with_ches_sums() {
        for exponent in [0.0, 0.6, 0.8, 1.0, 1.3] {
            let popularity = Popularity::zipf(20_000.0, exponent);
            for size in [10u32, 100, 1_000, 5_000, 15_000] {
                let expected = che(20_000, exponent, f64::from(size));
                let found = popularity.hit_ratio(f64::from(size));
                assert!((found - expected).abs() < 0.01, "{exponent} {size}: {found} {expected}");
            }
            assert!((popularity.hit_ratio(20_000.0) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_flushed_memory_fills_along_ches_curve_and_no_further() {
        let popularity = Arc::new(Popularity::zipf(100_000.0, 0.9));
        let mut memory = Memory::warm(popularity, 5_000.0, 4);
        let warm = memory.hit_ratio();
        memory.flush();
        assert!(memory.hit_ratio() <= 0.0);
        let mut before = 0.0;
        for _ in 0..200 {
            memory.fill(500.0);
            assert!(before <= memory.hit_ratio());
            before = memory.hit_ratio();
        }
        assert!((before - warm).abs() < 1e-9, "{before} {warm}");
    }
}
