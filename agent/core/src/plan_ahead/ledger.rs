//! How the objective has been met so far, and what being short is worth next.
//!
//! **In:** at each evaluation, the demand and what was ready.
//! **Out:** the share of time short; the worth of not being short.
//! **Not here:** what follows for capacity ([`crate::plan_ahead`]).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::documents::Shortfall;
use crate::units::Capacity;

/// How much of the time demand has been above ready capacity, and what being short
/// is worth so that this comes to the objective. One per target and signal.
///
/// A price that follows the outcome: every minute short raises it, every minute not
/// short lowers it, so that in the long run exactly the objective is spent, whatever
/// the forecast gets wrong (as in Gibbs and Candès, *Adaptive Conformal Inference
/// Under Distribution Shift*, 2021, with capacity in the place of coverage). And
/// what has been overspent raises it until it has been earned back.
///
/// Where it lives: in [`crate::sight`], and in the shell's snapshot of forecasters
/// so that it survives restarts; it is not journaled, because forgetting it costs
/// days of learning, not safety.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Remembered time, and how much of it was short, both fading over 30 days.
    minutes: f64,
    minutes_short: f64,
    /// Natural logarithm of the worth, relative to its start.
    learned: f64,
    observed_at: Option<Timestamp>,
}

/// What being short is worth in the beginning, times the objective.
///
/// Why 0.4: the prices that met the objective in hindsight were 0.22 to 0.56 / ratio
/// on four traces (research, 2026-11-21).
const START: f64 = 0.4;

/// A minute short raises the logarithm of the worth by this, times 1 / ratio.
const LEARNED_PER_MINUTE: f64 = 2e-5;

/// Bounds of what is learned: a factor of 8.
const LEARNED_MAX: f64 = 2.1;

/// A day's budget overspent raises the logarithm of the worth by this.
const OVERSPENT_PER_DAY: f64 = 0.3;
const OVERSPENT_MAX: f64 = 1.2;
/// A budget that was saved lowers it, but not for as long.
const SAVED_MAX: f64 = 0.5;

/// Aimed at below the objective, because being under it is what was promised.
const AIM_RATIO: f64 = 0.7;

/// An objective that arithmetic can work with; documents allow no other.
fn possible(ratio: f64) -> f64 {
    if ratio.is_finite() { ratio.clamp(1e-5, 0.5) } else { 0.5 }
}

const MINUTES_KEPT: f64 = 30.0 * 1_440.0;

/// Longer silences count as this much. Why 1 min: four default periods; what
/// happened in an outage nobody saw.
const SILENCE_MAX: SignedDuration = SignedDuration::from_mins(1);

impl Ledger {
    /// Notes what was seen at an evaluation: the load in units (not rounded), and
    /// the capacity that was ready. Call once per evaluation with a good value,
    /// before [`crate::plan_ahead::plan_ahead`]. While no forecast is driving, what
    /// is short comes out of the same budget, but says nothing about its price.
    pub fn observe(
        &mut self,
        now: Timestamp,
        demand_units: f64,
        ready: Capacity,
        shortfall: Shortfall,
        is_driving: bool,
    ) {
        let since = self.observed_at.map_or(SignedDuration::ZERO, |it| now.duration_since(it));
        self.observed_at = Some(now);
        let minutes = since.clamp(SignedDuration::ZERO, SILENCE_MAX).as_secs_f64() / 60.0;
        let is_short = ready < Capacity::covering(demand_units);
        let short = f64::from(u8::from(is_short));
        let kept = (-minutes / MINUTES_KEPT).exp();
        self.minutes = self.minutes * kept + minutes;
        self.minutes_short = self.minutes_short * kept + minutes * short;
        if let Shortfall::TimeRatio(ratio) = shortfall
            && is_driving
        {
            let ratio = possible(ratio);
            let moved = LEARNED_PER_MINUTE / ratio * (short - AIM_RATIO * ratio) * minutes;
            self.learned = (self.learned + moved).clamp(-LEARNED_MAX, LEARNED_MAX);
        }
    }

    /// Share of the remembered time that was short, in `[0, 1]`.
    pub fn short_ratio(&self) -> f64 {
        if 0.0 < self.minutes { (self.minutes_short / self.minutes).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// What a minute short is worth, in unit minutes, so that the share of time short
    /// comes to `ratio`.
    pub(super) fn worth(&self, ratio: f64) -> f64 {
        let ratio = possible(ratio);
        let overspent = self.minutes_short - AIM_RATIO * ratio * self.minutes;
        let days = overspent / (ratio * 1_440.0);
        let pressed = (OVERSPENT_PER_DAY * days).clamp(-SAVED_MAX, OVERSPENT_MAX);
        (START / ratio * (self.learned + pressed).exp()).clamp(1.0, 1e7)
    }
}
