//! The chance to wait at a station, looked up instead of summed.
//!
//! **In:** servers and utilisation. **Out:** Erlang C, within 0.001.
//! **Not here:** the formula ([`crate::queueing::erlang_c`]), which fills the table, and what
//! an overload leaves behind (see [`super::lane`]).
//!
//! Erlang's sum costs as much as there are servers, too much for every second. As a function of
//! `(1 - utilisation) * sqrt(servers)` it is smooth and nearly the same for every number of
//! servers (Halfin and Whitt, 1981), so nodes at equal distances in that are joined linearly.
//! Nodes are exact and filled when first needed: what is in the table never changes a number.

use crate::queueing::erlang_c;

/// Nodes per unit of `(1 - utilisation) * sqrt(servers)`.
///
/// Why 32: the curve's second derivative is below 2, so a line misses by less than
/// `2 / 8 / 32^2 = 0.000_25`.
const NODES_PER_UNIT: f64 = 32.0;

/// Nodes of one number of servers. Why up to 6: less than one request in 10^8 waits there.
const NODES: usize = 6 * 32 + 2;

/// Below this many servers each number has nodes of its own.
const EXACT_SERVERS: u32 = 512;

/// Steps per doubling of servers above [`EXACT_SERVERS`]. Why 64: one step moves the curve by
/// less than 0.0005, and 5 million servers need under a thousand tables.
const STEPS_PER_DOUBLING: u32 = 64;

/// Filled nodes, by number of servers. At most some 1,400 tables of 1.5 kB.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    tables: Vec<Option<Box<[f64; NODES]>>>,
}

/// Where a station looks: changes only with its number of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// Servers; any number.
    pub(super) servers: u32,
    table: usize,
    /// Servers of the table's nodes.
    nodes_of: u32,
    root: f64,
}

impl Place {
    pub(super) fn of(servers: u32) -> Place {
        let (table, nodes_of) = rounded(servers);
        Place { servers, table, nodes_of, root: f64::from(servers).sqrt() }
    }
}

/// Index of the table and its number of servers.
fn rounded(servers: u32) -> (usize, u32) {
    let index = |it: u32| usize::try_from(it).unwrap_or(0);
    if servers < EXACT_SERVERS {
        return (index(servers), servers);
    }
    let doublings = (servers / EXACT_SERVERS).ilog2();
    let base = EXACT_SERVERS << doublings;
    let step = (base / STEPS_PER_DOUBLING).max(1);
    let steps = (servers - base) / step;
    (index(EXACT_SERVERS + doublings * STEPS_PER_DOUBLING + steps), base + steps * step)
}

impl Waits {
    /// Probability that a request waits, at a utilisation below 1: `0.0 ..= 1.0`.
    pub(super) fn probability(&mut self, place: &Place, utilisation: f64) -> f64 {
        if place.servers == 0 || utilisation.is_nan() {
            return if place.servers == 0 { 1.0 } else { 0.0 };
        }
        let along = ((1.0 - utilisation).max(0.0) * place.root) * NODES_PER_UNIT;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and beyond the table means that nothing waits"
        )]
        let below = along as usize;
        if NODES <= below + 1 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a node's index is small")]
        let part = along - below as f64;
        if self.tables.len() <= place.table {
            self.tables.resize_with(place.table + 1, || None);
        }
        let Some(slot) = self.tables.get_mut(place.table) else {
            return 0.0;
        };
        let table = slot.get_or_insert_with(|| Box::new([f64::NAN; NODES]));
        let low = node(table, below, place.nodes_of);
        let high = node(table, below + 1, place.nodes_of);
        low + (high - low) * part
    }
}

fn node(table: &mut [f64; NODES], index: usize, servers: u32) -> f64 {
    let Some(value) = table.get_mut(index) else {
        return 0.0;
    };
    if value.is_nan() {
        #[expect(clippy::cast_precision_loss, reason = "a node's index is small")]
        let distance = index as f64 / NODES_PER_UNIT;
        let servers_f = f64::from(servers);
        *value = erlang_c(servers, servers_f * (1.0 - distance / servers_f.sqrt()));
    }
    *value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_number_of_servers_has_a_table_and_tables_are_few() {
        let most = crate::world::spec::UNITS_MAX * crate::world::spec::SLOTS_MAX;
        assert!(rounded(most).0 < 1_500, "{:?}", rounded(most));
        for servers in [1, 2, 511, 512, 513, 1_023, 1_024, 40_000, most] {
            let (_, nodes_of) = rounded(servers);
            assert!(nodes_of <= servers && servers - nodes_of <= servers / 64, "{servers}");
        }
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_erlang(servers in 1u32..3_000, utilisation in 0.0f64..0.995) {
            let mut waits = Waits::default();
            let looked_up = waits.probability(&Place::of(servers), utilisation);
            let exact = erlang_c(servers, utilisation * f64::from(servers));
            prop_assert!((looked_up - exact).abs() < 1e-3, "{looked_up} {exact}");
        }
    }
}
