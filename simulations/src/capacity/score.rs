//! Scores of one run, and the hash over everything that happened in it.
//!
//! **In:** stretches of time in which nothing changed, and lines about events.
//! **Out:** the numbers of the scorecard.
//! **Not here:** how the scorecard is printed ([`crate::scorecard`]).

use std::fmt::{Arguments, Write as _};

use sha2::{Digest as _, Sha256};

use super::{PlanRow, Setup};
use crate::scorecard::{Scorecard, Violation};

/// The text of all events of a run, of which only the hash is kept.
#[derive(Debug, Default)]
pub struct Trace {
    sha256: Sha256,
    pending: String,
    /// All of it, for tests.
    #[cfg(test)]
    pub(crate) lines: Vec<String>,
}

/// Text gathered before it is hashed. Why 8 KiB: one call per line costs more than hashing.
const PENDING_BYTES: usize = 8 << 10;

impl Trace {
    /// Adds one line.
    pub fn line(&mut self, text: Arguments<'_>) {
        #[cfg(test)]
        self.lines.push(text.to_string());
        // Writing to a `String` cannot fail.
        let _infallible = self.pending.write_fmt(text);
        self.pending.push('\n');
        if PENDING_BYTES <= self.pending.len() {
            self.sha256.update(self.pending.as_bytes());
            self.pending.clear();
        }
    }

    /// Hex SHA-256 of all lines.
    pub(crate) fn finish(mut self) -> String {
        self.sha256.update(self.pending.as_bytes());
        let digest = self.sha256.finalize();
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// Sums over the scored part.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    seconds: i64,
    under_seconds: i64,
    over_seconds: i64,
    /// Seconds times relative shortfall, and times relative surplus.
    short: f64,
    surplus: f64,
    /// Load times seconds: all, and above capacity.
    load: f64,
    unserved: f64,
    ready_unit_seconds: i64,
    demand_unit_seconds: i64,
    /// Changes of desired capacity.
    pub(super) changes: u32,
    under_now: i64,
    /// The longest time under demand without a break.
    pub(super) under_longest: i64,
    /// When it ended.
    pub(super) under_longest_at: i64,
    now: i64,
}

impl Tally {
    /// Adds `seconds` in which `row` held and the load was `value`.
    pub(super) fn add(&mut self, seconds: i64, value: f64, unit: f64, row: PlanRow) {
        let dt = exact(seconds);
        let (demand, ready) = (f64::from(row.demand), f64::from(row.ready));
        self.now = row.at.saturating_add(seconds);
        self.seconds += seconds;
        self.short += dt * (demand - ready).max(0.0) / demand;
        self.surplus += dt * (ready - demand).max(0.0) / demand;
        self.load += dt * value;
        self.unserved += dt * (value - ready * unit).max(0.0);
        self.ready_unit_seconds += seconds * i64::from(row.ready);
        self.demand_unit_seconds += seconds * i64::from(row.demand);
        if row.ready < row.demand {
            self.under_seconds += seconds;
            self.under_now += seconds;
            if self.under_longest < self.under_now {
                self.under_longest = self.under_now;
                self.under_longest_at = self.now;
            }
        } else {
            self.under_now = 0;
        }
        if row.demand < row.ready {
            self.over_seconds += seconds;
        }
    }

    pub(super) fn scorecard(
        &self,
        setup: &Setup,
        controller: &str,
        simulated_seconds: i64,
        violations: Vec<Violation>,
        trace_sha256: String,
    ) -> Scorecard {
        let seconds = exact(self.seconds.max(1));
        let percent = |part: f64| 100.0 * part / seconds;
        let usd = |unit_seconds: i64| exact(unit_seconds) / 3_600.0 * setup.price_usd_per_hour;
        Scorecard {
            scenario: setup.scenario.clone(),
            seed: setup.seed,
            controller: controller.to_owned(),
            simulated_seconds,
            wall_seconds: 0.0,
            cost_usd: usd(self.ready_unit_seconds),
            oracle_cost_usd: usd(self.demand_unit_seconds),
            cost_ratio: exact(self.ready_unit_seconds) / exact(self.demand_unit_seconds.max(1)),
            theta_u: percent(self.short),
            theta_o: percent(self.surplus),
            tau_u: percent(exact(self.under_seconds)),
            tau_o: percent(exact(self.over_seconds)),
            unserved_ratio: if 0.0 < self.load { self.unserved / self.load } else { 0.0 },
            slo_good_ratio: 1.0 - exact(self.under_seconds) / seconds,
            capacity_changes: self.changes,
            pages: 0,
            mttd_seconds: None,
            mttr_seconds: None,
            slo_bad_seconds: u64::try_from(self.under_seconds).unwrap_or_default(),
            lost_requests: self.unserved,
            partial: false,
            violations,
            trace_sha256,
        }
    }
}

/// Seconds and unit-seconds as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "400 days of 100,000 units are below 2^53 unit-seconds"
)]
fn exact(whole: i64) -> f64 {
    whole as f64
}
