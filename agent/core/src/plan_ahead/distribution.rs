//! What the load may be at one instant, in units of capacity.
//!
//! **In:** the quantiles of an [`Outlook`].
//! **Out:** how likely it is above a capacity, and by how much.
//! **Not here:** what to make of it ([`crate::plan_ahead`]).

use std::sync::LazyLock;

use crate::outlook::{LEVELS, Lead, N_LEVELS, Outlook};

/// Quantiles at [`LEVELS`], in units, ascending and finite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distribution {
    quantiles: [f64; N_LEVELS],
}

/// Which of [`LEVELS`] is the median.
const MEDIAN: usize = 3;

/// Logarithm of `(1 - level) / (1 - level before)`, by level.
static FALLS: LazyLock<[f64; N_LEVELS]> = LazyLock::new(|| {
    let mut before = 0.0;
    LEVELS.map(|level| {
        let ratio = (1.0 - level) / (1.0 - before);
        before = level;
        f64::ln(ratio)
    })
});

/// A lead in units of capacity.
#[derive(Clone, Copy, Debug)]
struct Placed {
    /// In seconds.
    ahead: f64,
    quantiles: [f64; N_LEVELS],
}

impl Placed {
    fn new(lead: &Lead, per_unit: f64) -> Placed {
        let mut quantiles = [0.0; N_LEVELS];
        let mut lowest = 0.0;
        for (to, from) in quantiles.iter_mut().zip(lead.quantiles) {
            let units = f64::from(from) / per_unit;
            // Never descending, whatever somebody sent.
            lowest = if units.is_finite() { units.clamp(lowest, lowest.max(1e9)) } else { lowest };
            *to = lowest;
        }
        Placed { ahead: lead.ahead.as_secs_f64(), quantiles }
    }

    /// Straight between two leads: ascending where both are.
    fn between(first: &Placed, last: &Placed, ahead: f64) -> Distribution {
        let span = last.ahead - first.ahead;
        let share = (ahead - first.ahead) / span;
        let share = if 0.0 < span && share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let mut quantiles = first.quantiles;
        for (it, last) in quantiles.iter_mut().zip(last.quantiles) {
            *it += share * (last - *it);
        }
        Distribution { quantiles }
    }
}

impl Distribution {
    /// No load for certain.
    pub(super) const NOTHING: Distribution = Distribution { quantiles: [0.0; N_LEVELS] };

    /// The outlook after each of `aheads` seconds, which ascend: between the leads
    /// around it, or the nearest one beyond the first and the last.
    pub(super) fn along(
        outlook: &Outlook,
        aheads: impl Iterator<Item = f64>,
        per_unit: f64,
    ) -> impl Iterator<Item = Distribution> {
        // One walk along the leads, each looked at once: this is most of what a plan costs.
        let mut left = outlook.leads.iter().map(move |it| Placed::new(it, per_unit));
        let mut before: Option<Placed> = None;
        let mut after: Option<Placed> = left.next();
        aheads.map(move |ahead| {
            while let Some(lead) = after
                && lead.ahead <= ahead
            {
                before = Some(lead);
                after = left.next();
            }
            match (before.or(after), after.or(before)) {
                (Some(first), Some(last)) => Placed::between(&first, &last, ahead),
                (None, _) | (_, None) => Distribution::NOTHING,
            }
        })
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
                    let falls = FALLS.get(i).copied().unwrap_or_default();
                    (1.0 - left.0) * (share * falls).exp()
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
