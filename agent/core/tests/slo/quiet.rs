//! Traffic that just keeps its objective pages nobody.
//!
//! **In:** Poisson traffic whose errors are exactly the budget, for a year.
//! **Out:** pages; there must be none.
//! **Not here:** incidents ([`super::outage`], [`super::equal`]).

use evenkeel_core::incident::Severity;
use evenkeel_core::slo::alert::Verdict;
use evenkeel_core::slo::standing::SloMeters;

use crate::kit::{Chance, at, bad_of_total, objective, reading, slo};

const SEEDS: u64 = 2;
const YEAR: usize = 365 * 2_880;
/// No page without an error in the short window of its pair, at most 30 minutes.
const AFTER_ERROR: usize = 60;

fn pages_in_a_year(target: f64, per_hour: f64, seed: u64) -> usize {
    let slo = slo("quiet", vec![objective("bad", target, bad_of_total())]);
    let mut meters = SloMeters::of(&slo);
    let mut chance = Chance(seed);
    let mut pages = 0;
    let mut is_paged = false;
    let mut look_until = 0;
    for k in 0..YEAR {
        let n = chance.poisson(per_hour / 120.0);
        let bad = (0..n).filter(|_| chance.happens(1.0 - target)).count();
        if 0 < n {
            let bad = f64::from(u32::try_from(bad).unwrap());
            meters.observe(at(k), &reading(&slo, k, Some((bad, f64::from(n)))));
        }
        if 0 < bad {
            look_until = k + AFTER_ERROR;
        }
        if k <= look_until {
            let standing = meters.evaluate(at(k));
            let was_paged = is_paged;
            is_paged = standing
                .judged()
                .flat_map(|it| &it.alerts)
                .any(|it| it.severity == Severity::Page && it.verdict == Verdict::Firing);
            pages += usize::from(is_paged && !was_paged);
        }
    }
    pages
}

#[track_caller]
fn check(target: f64) {
    for per_hour in [1.0, 3.0, 10.0, 30.0, 100.0] {
        for seed in 0..SEEDS {
            let pages = pages_in_a_year(target, per_hour, seed);
            assert_eq!(pages, 0, "{target} at {per_hour} requests an hour, seed {seed}");
        }
    }
}

#[test]
fn two_nines_that_are_just_kept_page_nobody_in_a_year() {
    check(0.99);
}

#[test]
fn three_nines_that_are_just_kept_page_nobody_in_a_year() {
    check(0.999);
}

#[test]
fn four_nines_that_are_just_kept_page_nobody_in_a_year() {
    check(0.9999);
}
