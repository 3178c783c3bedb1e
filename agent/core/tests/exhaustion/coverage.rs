//! Whether p10 to p90 covers the truth as often as it says, in simulated burns.
//!
//! No estimate within the horizon, and no end within it, both count as infinity. A forecast
//! is scored when the burn ends within the horizon or p10 does. Covered is
//! `p10 <= truth <= p90`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use evenkeel_core::budget::exhaustion::{Allowance, BurnOutlook, Exhaustion, exhaustion};
use evenkeel_core::slo::Counts;
use evenkeel_core::slo::ledger::{Bucket, DatedBucket};
use evenkeel_core::slo::window::{CalendarWindow, Period, PeriodLength, Window};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::simulate::{Burn, DAY, FAMILIES, Family, draw};

/// Scored forecasts per family.
const PER_FAMILY: f64 = 160.0;

/// Burns are drawn until then.
const SEEDS: u64 = 1_000;

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    n: f64,
    covered: f64,
    before_p10: f64,
    before_p50: f64,
    until_p90: f64,
}

fn after(now: Timestamp, seconds: f64) -> Timestamp {
    now + SignedDuration::from_secs_f64(seconds)
}

fn dated(now: Timestamp, buckets: &[(f64, f64, f64, f64)]) -> Vec<DatedBucket> {
    buckets
        .iter()
        .map(|(from, until, bad, total)| DatedBucket {
            period: Period { from: after(now, *from), until: after(now, *until) },
            bucket: Bucket {
                counts: Counts { bad: *bad, total: *total },
                observed_seconds: until - from,
            },
        })
        .collect()
}

/// What the estimate says of a burn.
#[expect(clippy::unwrap_used, reason = "a constant that parses")]
fn estimate(burn: &Burn) -> Option<Exhaustion> {
    let monday: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let now = after(monday, burn.now_of_day);
    let window = match burn.period_from {
        None => Window::Rolling(SignedDuration::from_secs_f64(burn.length)),
        Some(from) => Window::Calendar(CalendarWindow {
            start: after(now, from).to_zoned(TimeZone::UTC).datetime(),
            zone: TimeZone::UTC,
            length: PeriodLength::Minutes(SignedDuration::from_secs_f64(burn.length).as_mins()),
        }),
    };
    let allowance = if burn.is_money {
        Allowance::Amount(burn.allowed)
    } else {
        Allowance::BadRatio(burn.allowed)
    };
    exhaustion(&BurnOutlook {
        now,
        window: &window,
        allowance,
        ledger: &dated(now, &burn.ledger()),
        recent: &dated(now, &burn.buckets(300.0, 3.0 * DAY)),
        traffic: &[],
    })
}

/// A quantile in seconds from now; infinite beyond the horizon.
fn seconds(burn: &Burn, found: Option<Timestamp>, until: Timestamp) -> f64 {
    found.map_or(f64::INFINITY, |it| burn.horizon() - until.duration_since(it).as_secs_f64())
}

fn score(family: Family) -> Score {
    let mut score = Score::default();
    let mut nth = 0;
    for other in FAMILIES.iter().take_while(|it| **it != family) {
        let _ = other;
        nth += 1_000_003;
    }
    for seed in 1..SEEDS {
        let burn = draw(family, seed * 31 + nth);
        if burn.is_spent() {
            continue;
        }
        let truth = burn.truth().unwrap_or(f64::INFINITY);
        let Some(it) = estimate(&burn) else { panic!("{family:?} {seed}: no estimate") };
        let [p10, p50, p90] = [it.p10, it.p50, it.p90].map(|found| seconds(&burn, found, it.until));
        if truth.is_infinite() && p10.is_infinite() {
            continue;
        }
        let one = |is: bool| if is { 1.0 } else { 0.0 };
        score.n += 1.0;
        score.covered += one(p10 <= truth && truth <= p90);
        score.before_p10 += one(truth < p10);
        score.before_p50 += one(truth < p50);
        score.until_p90 += one(truth <= p90);
        if PER_FAMILY <= score.n {
            break;
        }
    }
    score
}

#[test]
fn in_simulated_burns_p10_to_p90_covers_the_truth_in_75_to_85_percent() {
    let mut table = String::new();
    let mut all = Score::default();
    let mut scores = BTreeMap::new();
    for family in FAMILIES {
        let it = score(family);
        all = Score {
            n: all.n + it.n,
            covered: all.covered + it.covered,
            before_p10: all.before_p10 + it.before_p10,
            before_p50: all.before_p50 + it.before_p50,
            until_p90: all.until_p90 + it.until_p90,
        };
        scores.insert(family, it);
        writeln!(table, "{family:?}: {it:?}").unwrap();
    }
    for (family, it) in &scores {
        let covered = it.covered / it.n;
        assert!((0.65..=0.95).contains(&covered), "{family:?} {covered}\n{table}");
    }
    let share = |count: f64| count / all.n;
    assert!(400.0 <= all.n, "{table}");
    assert!((0.75..=0.85).contains(&share(all.covered)), "{}\n{table}", share(all.covered));
    assert!((0.05..=0.15).contains(&share(all.before_p10)), "{}\n{table}", share(all.before_p10));
    assert!((0.42..=0.58).contains(&share(all.before_p50)), "{}\n{table}", share(all.before_p50));
    assert!((0.85..=0.98).contains(&share(all.until_p90)), "{}\n{table}", share(all.until_p90));
}
