//! What holds for every history.

use evenkeel_core::budget::exhaustion::{
    Allowance, BurnOutlook, Exhaustion, ExpectedTraffic, exhaustion,
};
use evenkeel_core::slo::Counts;
use evenkeel_core::slo::ledger::{Bucket, DatedBucket};
use evenkeel_core::slo::window::{Period, Window};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

#[expect(clippy::unwrap_used, reason = "a constant that parses")]
fn now() -> Timestamp {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// Buckets of so many minutes that end now, oldest first.
fn buckets(width: i64, counts: &[(f64, f64)]) -> Vec<DatedBucket> {
    let mut until = now();
    let mut found = Vec::new();
    for (bad, total) in counts.iter().rev() {
        let from = until - minutes(width);
        found.push(DatedBucket {
            period: Period { from, until },
            bucket: Bucket {
                counts: Counts { bad: *bad, total: *total },
                observed_seconds: minutes(width).as_secs_f64(),
            },
        });
        until = from;
    }
    found.reverse();
    found
}

fn ask(
    allowance: Allowance,
    ledger: &[DatedBucket],
    recent: &[DatedBucket],
    traffic: &[ExpectedTraffic],
) -> Option<Exhaustion> {
    let window = Window::Rolling(SignedDuration::from_hours(24));
    exhaustion(&BurnOutlook { now: now(), window: &window, allowance, ledger, recent, traffic })
}

fn in_order(it: &Exhaustion) -> bool {
    let order = |it: Option<Timestamp>| it.unwrap_or(Timestamp::MAX);
    now() <= order(it.p10) && order(it.p10) <= order(it.p50) && order(it.p50) <= order(it.p90)
}

/// Anything that a float can be, mostly what is usual.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..1e4, 1 => Just(0.0), 1 => any::<f64>()]
}

fn usual() -> impl Strategy<Value = Vec<(f64, f64)>> {
    proptest::collection::vec((0.0..20.0, 50.0..2e3), 5..96)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_numbers_break_it_and_quantiles_are_in_order(
        ledger in proptest::collection::vec((any_number(), any_number()), 0..40),
        recent in proptest::collection::vec((any_number(), any_number()), 0..80),
        traffic in proptest::collection::vec(any_number(), 0..9),
        allowed in any_number(),
        is_money: bool,
    ) {
        let allowance =
            if is_money { Allowance::Amount(allowed) } else { Allowance::BadRatio(allowed) };
        let traffic: Vec<ExpectedTraffic> = traffic.iter().zip(0..).map(|(per_second, nth)| {
            ExpectedTraffic { at: now() + minutes(nth * 60), per_second: *per_second }
        }).collect();
        let ask = || ask(allowance, &buckets(15, &ledger), &buckets(5, &recent), &traffic);
        let it = ask();
        prop_assert_eq!(it, ask(), "the same question, another answer");
        if let Some(it) = it {
            prop_assert!(in_order(&it), "{:?}", it);
        }
    }

    #[test]
    fn more_budget_is_never_spent_earlier(
        counts in usual(), allowed in 1e-4..0.2_f64, more in 1.0..4.0_f64, is_money: bool,
    ) {
        let of = |factor: f64| if is_money {
            Allowance::Amount(allowed * 5e3 * factor)
        } else {
            Allowance::BadRatio(allowed * factor)
        };
        let (ledger, recent) = (buckets(15, &counts), buckets(5, &counts));
        let [less, more] = [of(1.0), of(more)].map(|it| ask(it, &ledger, &recent, &[]).unwrap());
        let at = |it: Option<Timestamp>| it.unwrap_or(Timestamp::MAX);
        // To the second: times are found by halving an interval.
        let slack = SignedDuration::from_secs(1);
        for (less, more) in [(less.p10, more.p10), (less.p50, more.p50), (less.p90, more.p90)] {
            prop_assert!(more.is_none() || at(less) - slack <= at(more), "{:?} {:?}", less, more);
        }
    }

    #[test]
    fn what_is_spent_already_is_spent_now(counts in usual()) {
        let bad: f64 = counts.iter().map(|it| it.0).sum();
        let total: f64 = counts.iter().map(|it| it.1).sum();
        let ledger = buckets(15, &counts);
        for allowance in [Allowance::Amount(bad * 0.999), Allowance::BadRatio(bad / total * 0.999)] {
            let it = ask(allowance, &ledger, &ledger, &[]).unwrap();
            prop_assert_eq!([it.p10, it.p50, it.p90], [Some(now()); 3]);
        }
    }
}

/// An even rate of errors or money.
fn even(n: usize, bad: f64, total: f64) -> Vec<(f64, f64)> {
    vec![(bad, total); n]
}

#[test]
fn without_events_nothing_can_be_said() {
    assert_eq!(ask(Allowance::BadRatio(0.01), &[], &[], &[]), None);
}

#[test]
fn a_budget_of_nothing_is_spent_now() {
    let ledger = buckets(15, &even(96, 1.0, 100.0));
    let it = ask(Allowance::BadRatio(0.0), &ledger, &ledger, &[]).unwrap();
    assert_eq!(it.p90, Some(now()));
}

#[test]
fn without_spending_the_budget_lasts() {
    let (ledger, recent) = (buckets(15, &even(96, 0.0, 0.25)), buckets(5, &even(288, 0.0, 0.08)));
    let it = ask(Allowance::Amount(10.0), &ledger, &recent, &[]).unwrap();
    assert_eq!([it.p10, it.p50, it.p90], [None; 3]);
}

/// Money without noise: 1 per hour, and 10 at once some hours ago.
#[expect(clippy::unwrap_used, reason = "there is history")]
fn with_a_burst(burst_hours_ago: usize, amount: f64) -> Exhaustion {
    let mut counts = even(96, 0.25, 0.25);
    if let Some(it) = counts.get_mut(96 - burst_hours_ago * 4) {
        it.0 += 10.0;
    }
    let recent = buckets(5, &even(864, 1.0 / 12.0, 1.0 / 12.0));
    ask(Allowance::Amount(amount), &buckets(15, &counts), &recent, &[]).unwrap()
}

#[test]
fn an_even_spending_without_noise_is_extrapolated_exactly() {
    // 6 hours of history spend 6 of 12: the rest lasts 6 hours.
    let recent = buckets(5, &even(864, 1.0 / 12.0, 1.0 / 12.0));
    let it =
        ask(Allowance::Amount(12.0), &buckets(15, &even(24, 0.25, 0.25)), &recent, &[]).unwrap();
    let p50 = it.p50.unwrap().duration_since(now());
    assert!((p50.as_secs_f64() - 6.0 * 3600.0).abs() < 120.0, "{it:?}");
    let width = it.p90.unwrap().duration_since(it.p10.unwrap());
    assert!(width < SignedDuration::from_mins(20), "{it:?}");
}

#[test]
fn a_burst_that_leaves_the_window_in_time_saves_the_budget() {
    // Spent is 34 at all times until the burst leaves, then 24: never 36.
    let it = with_a_burst(20, 36.0);
    assert_eq!([it.p10, it.p50, it.p90], [None; 3]);
}
