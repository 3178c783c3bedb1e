//! Burn rates, what is left, and whether a few events are enough to tell.
//!
//! **In:** counts over a window, an objective.
//! **Out:** a dimensionless rate, a share, evidence.
//! **Not here:** windows of slots ([`super::ring`]), alert policies ([`super::alert`]).

use super::Counts;
use super::standing::{Part, burn_rate_together};

/// Burn rate of the error budget over one window.
///
/// `counts` are of the window, from counters already corrected for resets; `error_budget`
/// is `1 - objective`, in `(0, 1)`. Dimensionless: 1.0 spends exactly the budget over the
/// SLO's window, 14.4 spends 2 % of a 30-day budget in one hour.
///
/// `None` without events: no traffic is neither good nor bad, and treating it as either has
/// paged people at night.
///
/// Source: Beyer et al., *The Site Reliability Workbook* (2018), ch. 5.
pub fn burn_rate(counts: Counts, error_budget: f64) -> Option<f64> {
    counts.bad_ratio().map(|it| it / error_budget)
}

/// What is left of an error budget, as a share of it: 1 is all, 0 none, below 0 overspent.
///
/// `1 - bad / (error_budget * total)` over the SLO's window; `None` without events.
pub fn budget_left(counts: Counts, error_budget: f64) -> Option<f64> {
    burn_rate(counts, error_budget).map(|it| 1.0 - it)
}

/// How much `counts` speak against an error ratio of only `ratio`, in units where 2.7 is
/// one chance in 20 and 29 about one in ten million (one-sided, before counting that one
/// looks often). 0 when the ratio seen is not above it.
///
/// It is the deviance `2 n KL(k/n || ratio)`: logarithms only, so that Prometheus can
/// evaluate the very same expression. For few events it errs to the cautious side less than
/// the exact Clopper-Pearson bound; [`BY_CHANCE`] makes up for that.
pub fn evidence(counts: Counts, ratio: f64) -> f64 {
    let Counts { bad, total } = counts;
    if bad <= total * ratio {
        return 0.0;
    }
    let good = (total - bad).max(GOOD_MIN);
    2.0 * (bad * (bad / (total * ratio)).ln() + good * (good / (total * (1.0 - ratio))).ln())
}

/// Stands for no good event at all, whose logarithm does not exist. Why so small: its
/// term is then below any number that decides.
pub const GOOD_MIN: f64 = 1e-9;

/// Evidence that the threshold itself is exceeded. Why: the square of the normal
/// distribution's 95 % point; one error in 20 requests is not enough for 14.4 times the
/// budget of 99.9 %, five in 100 are.
pub const ABOVE_THRESHOLD: f64 = 2.706;

/// Evidence that the objective is missed at all.
///
/// Why 29: with a few requests an hour, one that fails of one, or two of ten, exceed every
/// threshold with [`ABOVE_THRESHOLD`], and an SLO that is just met would page several times
/// a year. Each new error is a new look; with about a thousand a year and four pairs of
/// windows, one chance in ten million each leaves a false page in a thousand years. Five
/// errors in 100 requests against 99.9 % are 29.6.
pub const BY_CHANCE: f64 = 29.0;

/// Whether a few events are enough to say that a window burns faster than `factor`.
pub fn is_significant(counts: Counts, error_budget: f64, factor: f64) -> bool {
    ABOVE_THRESHOLD < evidence(counts, (factor * error_budget).min(RATIO_MAX))
        && BY_CHANCE < evidence(counts, error_budget)
}

/// As [`is_significant`], of a composite: the evidence of its parts added up, as they are
/// counted apart. The threshold is asked of each part in proportion to what it burns, as
/// the sum is what must exceed it. Parts whose samples are not single events are certain.
pub(super) fn is_significant_together(parts: &[Part], factor: f64) -> bool {
    let Some(burn_rate) = burn_rate_together(parts) else { return false };
    if parts.iter().any(|it| !it.is_of_events && 0.0 < it.counts.bad) {
        return true;
    }
    let (mut above_threshold, mut by_chance) = (0.0, 0.0);
    for it in parts.iter().filter(|it| 0.0 < it.counts.bad) {
        let ratio = it.counts.bad / it.counts.total * (factor / burn_rate);
        above_threshold += evidence(it.counts, ratio.min(RATIO_MAX));
        by_chance += evidence(it.counts, it.error_budget);
    }
    ABOVE_THRESHOLD < above_threshold && BY_CHANCE < by_chance
}

/// The largest ratio that evidence is asked against: against 1 there is none.
pub(super) const RATIO_MAX: f64 = 0.999_999;

#[cfg(test)]
mod tests {
    use super::*;

    /// Three nines, 14.4 times.
    #[track_caller]
    fn check(bad: f64, total: f64, expected: bool) {
        let counts = Counts { bad, total };
        assert_eq!(is_significant(counts, 0.001, 14.4), expected, "{counts:?}");
    }

    #[test]
    fn a_few_requests_that_fail_by_chance_are_not_enough() {
        check(1.0, 1.0, false);
        check(1.0, 20.0, false);
        check(2.0, 2.0, false);
        check(2.0, 10.0, false);
        check(3.0, 57.0, false);
    }

    #[test]
    fn five_of_a_hundred_or_three_of_three_are() {
        check(5.0, 100.0, true);
        check(3.0, 3.0, true);
        check(60.0, 60.0, true);
    }

    #[test]
    fn many_requests_just_above_the_threshold_need_to_be_surely_above() {
        check(14_450.0, 1_000_000.0, false);
        check(15_000.0, 1_000_000.0, true);
    }

    #[test]
    fn what_is_left_is_all_of_it_without_errors_and_below_zero_when_overspent() {
        let left = |bad, total| budget_left(Counts { bad, total }, 0.001);
        assert_eq!(left(0.0, 1_000.0), Some(1.0));
        assert!(left(2.0, 1_000.0).is_some_and(|it| (it + 1.0).abs() < 1e-9));
        assert_eq!(left(0.0, 0.0), None);
    }
}
