//! What the load may be at one instant, in units of capacity.
//!
//! **In:** the quantiles of an [`Outlook`].
//! **Out:** how likely it is above a capacity, and by how much.
//! **Not here:** what to make of it ([`crate::plan_ahead`]).

use crate::outlook::{LEVELS, Lead, N_LEVELS, Outlook};

/// Quantiles at [`LEVELS`], in units, ascending and finite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distribution {
    quantiles: [f64; N_LEVELS],
}

/// Which of [`LEVELS`] is the median.
const MEDIAN: usize = 3;

impl Distribution {
    /// No load for certain.
    pub(super) const NOTHING: Distribution = Distribution { quantiles: [0.0; N_LEVELS] };

    /// The outlook after `ahead` seconds: between the leads around it, or the
    /// nearest one beyond the first and the last.
    pub(super) fn at(outlook: &Outlook, ahead: f64, per_unit: f64) -> Distribution {
        let mut before: Option<&Lead> = None;
        let mut after: Option<&Lead> = None;
        for lead in &outlook.leads {
            if lead.ahead.as_secs_f64() <= ahead {
                before = Some(lead);
            } else {
                after = Some(lead);
                break;
            }
        }
        let (Some(first), Some(last)) = (before.or(after), after.or(before)) else {
            return Distribution::NOTHING;
        };
        let span = last.ahead.as_secs_f64() - first.ahead.as_secs_f64();
        let share = (ahead - first.ahead.as_secs_f64()) / span;
        let share = if 0.0 < span && share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let mut quantiles = [0.0; N_LEVELS];
        let mut lowest = 0.0;
        for ((to, a), b) in quantiles.iter_mut().zip(first.quantiles).zip(last.quantiles) {
            let (a, b) = (f64::from(a), f64::from(b));
            let units = (a + share * (b - a)) / per_unit;
            // Never descending, whatever somebody sent.
            lowest = if units.is_finite() { units.clamp(lowest, lowest.max(1e9)) } else { lowest };
            *to = lowest;
        }
        Distribution { quantiles }
    }

    /// Takes the spread of `sooner` and only `ratio` of what this one has more.
    pub(super) fn narrow_towards(&mut self, sooner: &Distribution, ratio: f64) {
        let middle = self.middle();
        let sooner_middle = sooner.middle();
        for (it, sooner) in self.quantiles.iter_mut().zip(sooner.quantiles) {
            let spread = sooner - sooner_middle;
            *it = (middle + spread + ratio * (*it - middle - spread)).max(0.0);
        }
    }

    fn middle(&self) -> f64 {
        self.quantiles.get(MEDIAN).copied().unwrap_or_default()
    }

    /// The load that has this probability to be above what comes.
    pub(super) fn quantile(&self, level: f64) -> f64 {
        let mut left = (0.0, self.quantiles.first().copied().unwrap_or_default());
        for right in LEVELS.into_iter().zip(self.quantiles) {
            if level <= right.0 {
                let share = ((level - left.0) / (right.0 - left.0).max(1e-9)).clamp(0.0, 1.0);
                return left.1 + share * (right.1 - left.1);
            }
            left = right;
        }
        left.1
    }

    /// How likely the load is above `units`, in `[0, 1]`.
    ///
    /// Between levels straight up to the median, and geometric above it, where each
    /// level is a fraction of the one before; beyond the last one it goes on so.
    pub(super) fn above(&self, units: f64) -> f64 {
        let mut left = (0.0, 0.0);
        for (i, (level, value)) in LEVELS.into_iter().zip(self.quantiles).enumerate() {
            if units < value {
                let share = (units - left.1) / (value - left.1).max(1e-12);
                let share = share.clamp(0.0, 1.0);
                return if i <= MEDIAN {
                    1.0 - (left.0 + share * (level - left.0))
                } else {
                    (1.0 - left.0) * ((1.0 - level) / (1.0 - left.0)).powf(share)
                };
            }
            left = (level, value);
        }
        let [.., (level, value), (last_level, last)] = self.pairs();
        let gap = (last - value).max(0.02 * last).max(1e-9);
        let rate = ((1.0 - level) / (1.0 - last_level)).ln() / gap;
        (1.0 - last_level) * (-(units - last) * rate).exp()
    }

    fn pairs(&self) -> [(f64, f64); 2] {
        let at = |i: usize| {
            (
                LEVELS.get(i).copied().unwrap_or_default(),
                self.quantiles.get(i).copied().unwrap_or_default(),
            )
        };
        [at(N_LEVELS - 2), at(N_LEVELS - 1)]
    }

    /// How much of the load is above `units` in the mean, in units: the integral of
    /// [`Distribution::above`] by the trapezium rule between the levels.
    pub(super) fn expected_above(&self, units: f64) -> f64 {
        let mut sum = 0.0;
        let mut left = (units, self.above(units));
        for (level, value) in LEVELS.into_iter().zip(self.quantiles) {
            if value <= units {
                continue;
            }
            let right = (value, 1.0 - level);
            sum += (right.0 - left.0) * (left.1 + right.1) / 2.0;
            left = right;
        }
        let [(level, value), (last_level, last)] = self.pairs();
        let gap = (last - value).max(0.02 * last).max(1e-9);
        sum + left.1 * gap / ((1.0 - level) / (1.0 - last_level)).ln()
    }
}
