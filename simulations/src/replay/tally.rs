//! Scores of one target, or of several together.
//!
//! **In:** stretches of time in which neither load nor capacity changed.
//! **Out:** the numbers of the scorecard, and the times that were missed.
//! **Not here:** who set the capacity ([`super::driver`]), tables (the command line's).

use crate::scorecard::{Scorecard, Violation};

use super::Missed;

/// Most missed times that are listed per target. Why 10,000: a hundred a day for a quarter;
/// sums are exact beyond it.
pub(super) const MISSED_MAX: usize = 10_000;

/// What one stretch of time was like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: i64,
    pub(super) until: i64,
    /// Units that the load needs, not rounded; `None` where that is not known.
    pub(super) need: Option<f64>,
    /// The same as whole units.
    pub(super) demand: u32,
    pub(super) ready: u32,
}

/// Sums. Only time with a known need is judged; ready units cost always.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    judged: i64,
    unjudged: i64,
    under: i64,
    over: i64,
    /// Seconds times relative shortfall, and times relative surplus.
    short: f64,
    surplus: f64,
    /// Needed units times seconds: all, and above what was ready.
    need: f64,
    unserved: f64,
    cost_usd: f64,
    oracle_cost_usd: f64,
    ready_judged: i64,
    demand: i64,
    pub(super) changes: u32,
    pub(super) n_missed: usize,
    pub(super) missed: Vec<Missed>,
    open: Option<Missed>,
}

impl Tally {
    /// Adds one stretch; they come in order and without overlap.
    pub(super) fn add(&mut self, it: Stretch, price_usd_per_hour: f64) {
        let seconds = it.until - it.from;
        if seconds <= 0 {
            return;
        }
        let dt = exact(seconds);
        let usd = |units: u32| dt * f64::from(units) / 3_600.0 * price_usd_per_hour;
        self.cost_usd += usd(it.ready);
        let Some(need) = it.need else {
            self.unjudged += seconds;
            self.close();
            return;
        };
        let (demand, ready) = (f64::from(it.demand), f64::from(it.ready));
        self.judged += seconds;
        self.oracle_cost_usd += usd(it.demand);
        self.ready_judged += seconds * i64::from(it.ready);
        self.demand += seconds * i64::from(it.demand);
        self.short += dt * (demand - ready).max(0.0) / demand.max(1.0);
        self.surplus += dt * (ready - demand).max(0.0) / demand.max(1.0);
        self.need += dt * need;
        self.unserved += dt * (need - ready).max(0.0);
        if it.demand < it.ready {
            self.over += seconds;
        }
        if it.demand <= it.ready {
            self.close();
            return;
        }
        self.under += seconds;
        let units = it.demand - it.ready;
        match &mut self.open {
            Some(open) if open.until == it.from => {
                open.until = it.until;
                open.units_max = open.units_max.max(units);
            }
            Some(_) | None => {
                self.close();
                self.open = Some(Missed { from: it.from, until: it.until, units_max: units });
            }
        }
    }

    /// A time of which even the capacity is not known: not judged, and at no cost.
    pub(super) fn pass_over(&mut self, from: i64, until: i64) {
        self.add(Stretch { from, until, need: None, demand: 0, ready: 0 }, 0.0);
    }

    fn close(&mut self) {
        if let Some(missed) = self.open.take() {
            self.n_missed += 1;
            if self.missed.len() < MISSED_MAX {
                self.missed.push(missed);
            }
        }
    }

    /// No stretch follows.
    pub(super) fn end(&mut self) {
        self.close();
    }

    /// Adds another target's sums. Missed times stay where they belong.
    pub(super) fn merge(&mut self, other: &Tally) {
        self.judged += other.judged;
        self.unjudged += other.unjudged;
        self.under += other.under;
        self.over += other.over;
        self.short += other.short;
        self.surplus += other.surplus;
        self.need += other.need;
        self.unserved += other.unserved;
        self.cost_usd += other.cost_usd;
        self.oracle_cost_usd += other.oracle_cost_usd;
        self.ready_judged += other.ready_judged;
        self.demand += other.demand;
        self.changes = self.changes.saturating_add(other.changes);
        self.n_missed += other.n_missed;
    }

    /// Seconds with a known load.
    pub(super) fn judged(&self) -> i64 {
        self.judged
    }

    /// Seconds without.
    pub(super) fn unjudged(&self) -> i64 {
        self.unjudged
    }

    /// Seconds with too little.
    pub(super) fn under(&self) -> i64 {
        self.under
    }

    pub(super) fn scorecard(
        &self,
        controller: &str,
        simulated_seconds: i64,
        violations: Vec<Violation>,
        trace_sha256: String,
    ) -> Scorecard {
        let seconds = exact(self.judged.max(1));
        let percent = |part: f64| 100.0 * part / seconds;
        Scorecard {
            scenario: "replay".to_owned(),
            seed: 0,
            controller: controller.to_owned(),
            simulated_seconds,
            wall_seconds: 0.0,
            cost_usd: self.cost_usd,
            oracle_cost_usd: self.oracle_cost_usd,
            cost_ratio: exact(self.ready_judged) / exact(self.demand.max(1)),
            theta_u: percent(self.short),
            theta_o: percent(self.surplus),
            tau_u: percent(exact(self.under)),
            tau_o: percent(exact(self.over)),
            unserved_ratio: if 0.0 < self.need { self.unserved / self.need } else { 0.0 },
            slo_good_ratio: 1.0 - exact(self.under) / seconds,
            capacity_changes: self.changes,
            pages: 0,
            mttd_seconds: None,
            mttr_seconds: None,
            slo_bad_seconds: u64::try_from(self.under).unwrap_or_default(),
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
