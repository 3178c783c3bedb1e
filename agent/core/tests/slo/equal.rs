//! The agent's verdicts are those of a plain calculation, at every evaluation of 90 days.
//!
//! **In:** counters of two series each, with incidents, gaps, resets and late samples.
//! **Out:** the first evaluation at which the two disagree.
//! **Not here:** the plain calculation ([`super::plain`]).

use std::collections::BTreeMap;

use evenkeel_core::documents::{AlertPolicy, Budgeting, BurnCondition, Comparison, Indicator, Slo};
use evenkeel_core::incident::Severity;
use evenkeel_core::slo::increments::{Grid, SeriesOnGrid, slot_readings};
use evenkeel_core::slo::standing::SloMeters;
use evenkeel_core::slo::{SLOT, SliReading};
use jiff::SignedDuration;

use crate::kit::{Chance, at, bad_of_total, good_of_total, objective, sliced, slo};
use crate::plain::{Plain, Sample, Samples};

const DAYS: usize = 90;
const N: usize = DAYS * 2_880;
/// Never readable.
const NEVER: usize = usize::MAX;

/// Counters with everything that happens to counters.
fn samples(chance: &mut Chance, per_slot: f64, error_ratio: f64, part_is_good: bool) -> Samples {
    let mut all = vec![vec![Vec::new(); 2]; 2];
    for series in [0, 1] {
        let (mut part, mut total) = (0.0, 0.0);
        let (mut incident, mut badness) = (0, 0.0);
        let (mut gap, mut late_until) = (0, 0);
        for k in 0..N {
            if incident == 0 && chance.happens(1.0 / 4_000.0) {
                let most = if chance.happens(0.2) { 1_500 } else { 90 };
                incident = 1 + chance.below(most);
                badness = [1.0, 0.5, 0.05, 8.0 * error_ratio, 2.0 * error_ratio][chance.below(5)];
            }
            let ratio = if 0 < incident { badness } else { error_ratio * 0.5 };
            incident = incident.saturating_sub(1);
            let n = chance.poisson(per_slot / 2.0);
            let bad = chance.poisson(f64::from(n) * ratio).min(n);
            if chance.happens(1.0 / 3_000.0) {
                (part, total) = (0.0, 0.0);
            }
            total += f64::from(n);
            part += f64::from(if part_is_good { n - bad } else { bad });
            if gap == 0 && chance.happens(1.0 / 2_500.0) {
                let most = if chance.happens(0.1) { 400 } else { 12 };
                gap = 1 + chance.below(most);
                // Some of what was not there comes late, within the hour.
                late_until = if chance.happens(0.5) { k + gap.min(50) + 40 } else { NEVER };
            }
            let from = if gap == 0 { k } else { late_until };
            gap = gap.saturating_sub(1);
            // Late, but not later than an hour.
            let from = if from != NEVER && k + 100 < from { NEVER } else { from };
            // One of the two queries may fail alone.
            let part_from = if chance.happens(1.0 / 20_000.0) { NEVER } else { from };
            all[0][series].push(Sample { value: part, from: part_from });
            all[1][series].push(Sample { value: total, from });
        }
    }
    all
}

/// What a query over a grid would give at evaluation `now`.
fn answers(samples: &Samples, first: usize, now: usize) -> Vec<Vec<SeriesOnGrid>> {
    let readable = |it: &Sample| (it.from <= now).then_some(it.value);
    let series = |it: &Vec<Sample>| it[first..=now].iter().map(readable).collect();
    samples.iter().map(|query| query.iter().map(series).collect()).collect()
}

/// Runs both and compares. How many slots are read again at each evaluation, and how many
/// at every hundredth, is part of the test.
#[track_caller]
fn check(slo: &Slo, seed: u64, per_slot: &[f64]) {
    let mut chance = Chance(seed);
    let all: Vec<Samples> = slo
        .objectives
        .iter()
        .zip(per_slot)
        .map(|(it, per_slot)| {
            let part_is_good = matches!(it.indicator, Indicator::GoodOfTotal { .. });
            samples(&mut chance, *per_slot, 1.0 - it.target, part_is_good)
        })
        .collect();
    let mut plain = Plain::of(slo, N);
    let mut meters = SloMeters::of(slo);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for now in 1..N {
        plain.step();
        for (nth, samples) in all.iter().enumerate() {
            let n_again = if now % 23 == nth { 118 } else { 1 };
            let first = now.saturating_sub(n_again);
            let grid = Grid { first: at(first), step: SLOT, n: now - first + 1 };
            let slots =
                slot_readings(&slo.objectives[nth].indicator, grid, &answers(samples, first, now));
            let reading = SliReading { slo: slo.id.clone(), objective: nth, step: SLOT, slots };
            meters.observe(at(now), &reading);
            plain.read(nth, samples, first + 1, now);
        }
        let standing = meters.evaluate(at(now));
        let expected = plain.verdicts();
        for (standing, expected) in standing.judged().zip(&expected) {
            for (alert, expected) in standing.alerts.iter().zip(expected) {
                assert_eq!(
                    alert.verdict.name(),
                    *expected,
                    "{} slot {now}: {} {}: {:#?}",
                    slo.id,
                    standing.objective,
                    alert.policy,
                    alert.findings,
                );
                *seen.entry(format!("{} {expected}", alert.policy)).or_default() += 1;
            }
        }
    }
    // A comparison in which nothing ever fired would say little.
    let n_firing = seen.iter().filter(|(it, _)| it.ends_with("firing")).count();
    assert!(3 <= n_firing, "{seen:#?}");
}

fn condition(minutes: i64, op: Comparison, threshold: f64, after_secs: i64) -> BurnCondition {
    BurnCondition {
        lookback: SignedDuration::from_mins(minutes),
        op,
        threshold,
        alert_after: SignedDuration::from_secs(after_secs),
    }
}

/// The workbook, a policy that must hold for a while, and one about too little burning.
fn with_other_policies(mut slo: Slo) -> Slo {
    let of = |name: &str, conditions| AlertPolicy {
        name: name.to_owned(),
        severity: Severity::Info,
        conditions,
        when_breaching: true,
        when_resolved: false,
        when_no_data: false,
        notification_targets: Vec::new(),
    };
    slo.alert_policies.push(of("held", vec![condition(10, Comparison::Gte, 2.0, 150)]));
    slo.alert_policies.push(of(
        "idle",
        vec![condition(60, Comparison::Lte, 0.0, 300), condition(1, Comparison::Lt, 0.5, 0)],
    ));
    slo
}

#[test]
fn availability_of_much_traffic_is_judged_as_plainly() {
    let slo = slo("availability", vec![objective("good", 0.999, good_of_total())]);
    check(&with_other_policies(slo), 1, &[600.0]);
}

#[test]
fn availability_of_little_traffic_is_judged_as_plainly() {
    check(&slo("little", vec![objective("bad", 0.99, bad_of_total())]), 2, &[0.4]);
}

#[test]
fn slices_of_time_are_judged_as_plainly() {
    let slo = slo("slices", vec![objective("good", 0.99, good_of_total())]);
    check(&sliced(slo, Budgeting::Timeslices, 5, 0.95), 3, &[20.0]);
}

#[test]
fn a_composite_of_events_is_judged_as_plainly() {
    let mut parts =
        vec![objective("read", 0.999, good_of_total()), objective("write", 0.99, bad_of_total())];
    parts[1].weight = 0.5;
    check(&slo("journey", parts), 4, &[100.0, 1.0]);
}

#[test]
fn a_composite_of_slices_is_judged_as_plainly() {
    let parts =
        vec![objective("read", 0.99, good_of_total()), objective("write", 0.95, bad_of_total())];
    check(&sliced(slo("sliced", parts), Budgeting::Timeslices, 2, 0.9), 5, &[50.0, 3.0]);
}
