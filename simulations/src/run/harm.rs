//! What a run came to in sums, and whether an agent did harm: worse than nobody.
//!
//! **In:** the world at the end of two runs with one seed. **Out:** [`Totals`], [`Harm`].
//! **Not here:** what must never happen at all (the watch).

use crate::scorecard::{Scorecard, Violation};
use crate::world::World;

/// Sums over all services of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Scored seconds.
    pub seconds: f64,
    /// Scaled services.
    pub n_scaled: f64,
    /// First tries at services that people use.
    pub offered: f64,
    /// Good ones.
    pub good: f64,
    /// Given up.
    pub lost: f64,
    /// Seconds below the objective, over services that people use.
    pub bad_seconds: u64,
    /// Paid for scaled services.
    pub cost_usd: f64,
    /// What was needed of them would have cost.
    pub oracle_cost_usd: f64,
    /// Seconds with too few and too many units, over scaled services.
    pub under_seconds: f64,
    /// See `under_seconds`.
    pub over_seconds: f64,
    /// Sums of relative shortfall and surplus.
    pub short: f64,
    /// See `short`.
    pub surplus: f64,
    /// Writes that a promotion lost.
    pub lost_writes: f64,
}

/// By how much a run was worse than another with the same seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Harm {
    /// More seconds below the objective.
    pub bad_seconds: f64,
    /// More requests given up.
    pub lost: f64,
    /// More paid, while no more requests were good.
    pub cost_usd: f64,
}

/// More bad seconds than this are harm. Why 60: a minute is what an SLO counts in.
const BAD_SECONDS: f64 = 60.0;
/// So large a share of the twin's bad time more is noise of chance that both do not share.
const BAD_RATIO: f64 = 0.02;
/// So large a share of what was offered more lost is harm.
const LOST_RATIO: f64 = 0.0005;
/// So much more paid for no more good requests is harm.
///
/// Why a tenth: an incident of half an hour in which twice the units are tried once, and given
/// back after the usual look back, is a tenth of what a run of three hours costs.
const COST_RATIO: f64 = 0.1;
/// So large a share of offered requests more that were good is worth money.
const GOOD_RATIO: f64 = 0.0002;

impl Totals {
    /// Sums of `world` since its sums began.
    pub fn of(world: &World) -> Totals {
        let mut totals = Totals::default();
        for (place, spec) in world.spec().services.iter().enumerate() {
            let sums = world.sums(place);
            totals.seconds = exact(sums.seconds);
            totals.lost_writes += sums.lost_writes;
            if spec.load.is_some() {
                totals.offered += sums.offered;
                totals.good += sums.good;
                totals.lost += sums.lost;
                totals.bad_seconds += sums.bad_seconds;
            }
            if spec.is_scaled {
                let usd =
                    |unit_seconds: u64| exact(unit_seconds) / 3_600.0 * spec.unit_usd_per_hour;
                totals.n_scaled += 1.0;
                totals.cost_usd += usd(sums.unit_seconds);
                totals.oracle_cost_usd += usd(sums.needed_unit_seconds);
                totals.under_seconds += exact(sums.under_seconds);
                totals.over_seconds += exact(sums.over_seconds);
                totals.short += sums.short;
                totals.surplus += sums.surplus;
            }
        }
        totals
    }

    /// How much worse this is than `twin`; `None` where it is not.
    pub fn harm_against(&self, twin: &Totals) -> Option<Harm> {
        let more =
            |mine: f64, its: f64, most: f64| if most < mine - its { mine - its } else { 0.0 };
        let bad = (exact(self.bad_seconds), exact(twin.bad_seconds));
        let is_worth_it = GOOD_RATIO * twin.offered < self.good - twin.good;
        let harm = Harm {
            bad_seconds: more(bad.0, bad.1, BAD_SECONDS.max(BAD_RATIO * bad.1)),
            lost: more(self.lost, twin.lost, LOST_RATIO * twin.offered),
            cost_usd: if is_worth_it {
                0.0
            } else {
                more(self.cost_usd, twin.cost_usd, COST_RATIO * twin.cost_usd)
            },
        };
        (harm != Harm::default()).then_some(harm)
    }

    pub(super) fn scorecard(&self, facts: Facts<'_>) -> Scorecard {
        let service_seconds = (self.seconds * self.n_scaled).max(1.0);
        let percent = |part: f64| 100.0 * part / service_seconds;
        let of_offered = |part: f64| if 0.0 < self.offered { part / self.offered } else { 0.0 };
        Scorecard {
            scenario: facts.scenario.to_owned(),
            seed: facts.seed,
            controller: facts.controller,
            simulated_seconds: facts.simulated_seconds,
            wall_seconds: 0.0,
            cost_usd: self.cost_usd,
            oracle_cost_usd: self.oracle_cost_usd,
            cost_ratio: self.cost_usd / self.oracle_cost_usd.max(1e-9),
            theta_u: percent(self.short),
            theta_o: percent(self.surplus),
            tau_u: percent(self.under_seconds),
            tau_o: percent(self.over_seconds),
            unserved_ratio: of_offered(self.lost),
            slo_good_ratio: if 0.0 < self.offered { self.good / self.offered } else { 1.0 },
            capacity_changes: facts.capacity_changes,
            pages: facts.pages,
            mttd_seconds: facts.mttd_seconds,
            mttr_seconds: facts.mttr_seconds,
            slo_bad_seconds: self.bad_seconds,
            lost_requests: self.lost,
            partial: facts.partial,
            violations: facts.violations,
            trace_sha256: facts.trace_sha256,
        }
    }
}

/// What a scorecard needs besides sums.
pub(super) struct Facts<'a> {
    pub(super) scenario: &'a str,
    pub(super) seed: u64,
    pub(super) controller: String,
    pub(super) simulated_seconds: i64,
    pub(super) capacity_changes: u32,
    pub(super) pages: u32,
    pub(super) mttd_seconds: Option<f64>,
    pub(super) mttr_seconds: Option<f64>,
    pub(super) violations: Vec<Violation>,
    pub(super) partial: bool,
    pub(super) trace_sha256: String,
}

#[expect(clippy::cast_precision_loss, reason = "unit-seconds stay below 2^53 for 57,000 years")]
fn exact(whole: u64) -> f64 {
    whole as f64
}
