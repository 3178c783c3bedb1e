//! What kept the agent from doing what it wanted.
//!
//! **In:** explanations, one per target and step.
//! **Out:** per cause how often, for how long, and an example.
//! **Not here:** the causes themselves (the core's guard and decision).

use std::collections::BTreeMap;

use evenkeel_core::decide::Reason;
use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::guard::Limit;
use evenkeel_core::outlook::Standing;

use super::Held;

/// Causes of one target so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Causes {
    by_name: BTreeMap<&'static str, Cause>,
}

#[derive(Clone, Debug)]
struct Cause {
    held: Held,
    /// When it was last so.
    last_at: i64,
}

impl Causes {
    /// Takes in what was said at `now`; the next word comes `step` seconds later.
    pub(super) fn note(&mut self, now: i64, step: i64, said: &Explanation) {
        match &said.conclusion {
            Conclusion::Refused { refusal, .. } => {
                self.count(now, step, refusal.name(), || said.sentence());
            }
            Conclusion::CapacityUnknown { .. }
            | Conclusion::ReadBack { .. }
            | Conclusion::ChangedOutside { .. } => {
                self.count(now, step, said.conclusion.name(), || said.sentence());
            }
            Conclusion::Planned { .. } | Conclusion::NoChange => (),
        }
        match &said.reason {
            Some(Reason::NoUsableSignal) => {
                self.count(now, step, "no_usable_signal", || said.sentence());
            }
            Some(Reason::HeldOnQuality { .. }) => {
                self.count(now, step, "held_on_quality", || said.sentence());
            }
            Some(
                Reason::Demand { .. }
                | Reason::ForecastDemand { .. }
                | Reason::ForecastKeeps { .. }
                | Reason::WithinTolerance { .. }
                | Reason::Sufficient { .. }
                | Reason::NothingAsked
                | Reason::Stabilizing { .. }
                | Reason::Pinned { .. }
                | Reason::NoPolicy,
            )
            | None => (),
        }
        for limit in &said.limits {
            let name = match limit {
                Limit::Bounds { proposed, bounds } if bounds.max < *proposed => "above_bounds",
                Limit::Bounds { .. } => "below_bounds",
                Limit::Step { .. } => "one_step",
                Limit::BlastRadius { .. } => "blast_radius_in_part",
            };
            self.count(now, step, name, || said.sentence());
        }
        for finding in &said.signals {
            let standing = finding.forecast.as_ref().map(|it| &it.standing);
            if let Some(Standing::Abstaining { why }) = standing {
                let example = || format!("no forecast of `{}`: {why}", finding.signal);
                self.count(now, step, "forecast_abstains", example);
            }
        }
    }

    fn count(&mut self, now: i64, step: i64, name: &'static str, say: impl FnOnce() -> String) {
        let cause = self.by_name.entry(name).or_insert_with(|| Cause {
            held: Held { times: 0, seconds: 0, first_at: now, example: say() },
            last_at: i64::MIN,
        });
        // Two signals that abstain at one instant are one abstention.
        if cause.last_at == now {
            return;
        }
        if cause.last_at != now.saturating_sub(step) {
            cause.held.times = cause.held.times.saturating_add(1);
        }
        cause.held.seconds += step;
        cause.last_at = now;
    }

    pub(super) fn held(&self) -> BTreeMap<&'static str, Held> {
        self.by_name.iter().map(|(name, it)| (*name, it.held.clone())).collect()
    }
}

/// Adds the causes of another target.
pub(super) fn merge(all: &mut BTreeMap<&'static str, Held>, other: &BTreeMap<&'static str, Held>) {
    for (name, it) in other {
        match all.get_mut(name) {
            None => {
                all.insert(name, it.clone());
            }
            Some(sum) => {
                sum.times = sum.times.saturating_add(it.times);
                sum.seconds += it.seconds;
                if it.first_at < sum.first_at {
                    sum.first_at = it.first_at;
                    sum.example.clone_from(&it.example);
                }
            }
        }
    }
}
