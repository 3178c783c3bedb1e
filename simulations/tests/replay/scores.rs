//! Scores, gaps and plans, against plainer sums than theirs.

use evenkeel_sim::capacity::{ControllerKind, Setup, documents_for, simulate};
use evenkeel_sim::replay::{Missed, PlanRow, recorded};
use evenkeel_sim::workload::{Sample, Workload};
use expect_test::expect;
use proptest::prelude::*;

use super::*;

/// The scores of one target, second by second, from nothing but its changes.
#[derive(Debug, PartialEq)]
struct Plain {
    missed: Vec<Missed>,
    missed_seconds: i64,
    unjudged_seconds: i64,
    unit_seconds: i64,
    demand_seconds: i64,
}

/// `ready` is the least that was wanted over the last lead time.
fn plainly(values: &Values, first: u32, changes: &[(i64, u32)]) -> Plain {
    let mut plain = Plain {
        missed: Vec::new(),
        missed_seconds: 0,
        unjudged_seconds: 0,
        unit_seconds: 0,
        demand_seconds: 0,
    };
    let desired_at = |at: i64| changes.iter().rev().find(|it| it.0 <= at).map_or(first, |it| it.1);
    let desired: Vec<u32> =
        (0..values.len() as i64 * STEP).map(|it| desired_at(FROM + it)).collect();
    for (second, wanted) in desired.iter().enumerate() {
        let begin = second.saturating_sub(LEAD as usize);
        let ready = if second < LEAD as usize { first.min(*wanted) } else { u32::MAX };
        let ready = desired[begin..=second].iter().copied().fold(ready, u32::min);
        plain.unit_seconds += i64::from(ready);
        let at = FROM + second as i64;
        let Some(value) = values[second / STEP as usize] else {
            plain.unjudged_seconds += 1;
            continue;
        };
        let mut demand = 0;
        while f64::from(demand) * USUAL.value_per_unit < value * (1.0 - 1e-9) {
            demand += 1;
        }
        plain.demand_seconds += i64::from(demand);
        if ready < demand {
            plain.missed_seconds += 1;
            let short = demand - ready;
            match plain.missed.last_mut() {
                Some(last) if last.until == at => {
                    last.until += 1;
                    last.units_max = last.units_max.max(short);
                }
                _ => plain.missed.push(Missed { from: at, until: at + 1, units_max: short }),
            }
        }
    }
    plain
}

fn as_plain(card: &Card) -> Plain {
    let score = &card.scorecard;
    let unit_seconds = score.cost_usd / PRICE * 3_600.0;
    let demand_seconds = score.oracle_cost_usd / PRICE * 3_600.0;
    Plain {
        missed: card.missed.clone(),
        missed_seconds: card.missed_seconds,
        unjudged_seconds: card.unjudged_seconds,
        unit_seconds: unit_seconds.round() as i64,
        demand_seconds: demand_seconds.round() as i64,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Whatever the load: what the replay says is what its own changes come to, and the plan
    // says the same.
    #[test]
    fn scores_are_those_of_plain_arithmetic(
        blocks in proptest::collection::vec((proptest::option::weighted(0.85, 0.0f64..2_000.0), 1usize..40), 1..14),
    ) {
        let mut values: Values =
            blocks.iter().flat_map(|(value, n)| std::iter::repeat_n(*value, *n)).collect();
        values.push(Some(100.0));
        let done = run(&documents(USUAL), &load_of_a(&values));
        let card = card_of(&done, "a");
        let first = done.plan.first().unwrap();
        let changes: Vec<(i64, u32)> = card.changes.iter().map(|it| (it.at, it.to)).collect();
        let before = card.changes.first().filter(|it| it.at == FROM).map_or(first.desired, |it| it.from);
        let plain = plainly(&values, before, &changes);
        prop_assert_eq!(as_plain(card), plain);
        prop_assert_eq!(card.judged_seconds + card.unjudged_seconds, values.len() as i64 * STEP);
        prop_assert_eq!(card.missed_times, card.missed.len());
        prop_assert_eq!(card.scorecard.capacity_changes as usize, changes.len());
        prop_assert!(card.scorecard.violations.is_empty(), "{:?}", card.scorecard.violations);
        // The plan, row by row, is worth the same.
        let mut cost = 0;
        for rows in done.plan.windows(2) {
            cost += (rows[1].at - rows[0].at) * i64::from(rows[0].ready);
        }
        prop_assert_eq!(cost, as_plain(card).unit_seconds);
    }

    // Missing data must never cost capacity, wherever the gaps are.
    #[test]
    fn nothing_is_removed_in_a_gap(
        gaps in proptest::collection::vec(any::<bool>(), 120), high in 200.0f64..2_000.0,
    ) {
        let value = |place: usize| if place < 40 { high } else { high / 4.0 };
        let values: Values =
            gaps.iter().enumerate().map(|(place, gap)| (!gap).then(|| value(place))).collect();
        prop_assume!(values.iter().any(Option::is_some));
        let done = run(&documents(USUAL), &load_of_a(&values));
        for change in &card_of(&done, "a").changes {
            let place = usize::try_from((change.at - FROM) / STEP).unwrap();
            prop_assert!(values[place].is_some() || change.from < change.to, "{:?}", change);
        }
    }
}

#[test]
fn a_gap_is_held_not_judged_and_paid_for() {
    let mut values = hours(1, 500.0);
    values.extend(vec![None; 120]);
    values.extend(hours(1, 500.0));
    let done = run(&documents(USUAL), &load_of_a(&values));
    let card = card_of(&done, "a");
    let in_gap = |at: i64| (FROM + 3_600..FROM + 3 * 3_600).contains(&at);
    assert!(!card.changes.iter().any(|it| in_gap(it.at)), "{:?}", card.changes);
    assert_eq!((card.judged_seconds, card.unjudged_seconds), (7_200, 7_200));
    assert_eq!(card.held["no_usable_signal"].seconds, 7_200);
    assert_eq!(card.held["no_usable_signal"].times, 1);
    let plain = as_plain(card);
    assert!(4 * 3_600 * 10 <= plain.unit_seconds, "{plain:?}");
}

#[test]
fn several_series_for_one_target_are_no_value() {
    let mut values = hours(1, 900.0);
    values.extend(hours(2, 90.0));
    let mut recording = load_of_a(&values);
    let at = |place: i64| FROM + place * STEP;
    for place in 60..180 {
        assert!(recording.put(Part::Span, &question("load"), "a", at(place), 1.0));
        // A third one is still several.
        assert!(recording.put(Part::Span, &question("load"), "a", at(place), 1.0));
    }
    let done = run(&documents(USUAL), &recording);
    let card = card_of(&done, "a");
    assert_eq!(card.unjudged_seconds, 7_200);
    let example = &card.held["no_usable_signal"].example;
    assert!(example.contains("2 series"), "{example}");
}

#[test]
fn the_larger_of_two_loads_counts_and_both_must_be_known() {
    // 10 units for the requests; 20 for the bytes in the second hour, unknown in the third.
    let signals = "    - { name: bytes, query: bytes, value_per_unit: 1000 }\n";
    let mut bytes = hours(1, 1_000.0);
    bytes.extend(hours(1, 20_000.0));
    bytes.extend(vec![None; 60]);
    let mut recording = load_of_a(&hours(3, 500.0));
    put(&mut recording, "bytes", "a", &bytes);
    let done = run(&documents(Said { signals, ..USUAL }), &recording);
    let card = card_of(&done, "a");
    assert_eq!((card.judged_seconds, card.unjudged_seconds), (7_200, 3_600));
    let missed = Missed { from: FROM + 3_600, until: FROM + 3_600 + LEAD, units_max: 9 };
    assert_eq!(card.missed, [missed]);
    assert_eq!(as_plain(card).demand_seconds, 3_600 * 10 + 3_600 * 20);
    assert!(!card.changes.iter().any(|it| FROM + 7_200 <= it.at), "{:?}", card.changes);
}

/// Another driver of the same agent, with other sums: the capacity benchmark.
#[test]
fn a_replay_is_the_capacity_benchmark_where_the_two_overlap() {
    let value = |place: i64| {
        let minute = i32::try_from(place % 1_440).unwrap();
        let wave = (f64::from(minute) / 720.0 * std::f64::consts::PI).sin();
        let noise = f64::from(i32::try_from(place * 7_919 % 101).unwrap() - 50) / 1_500.0;
        (1_100.0 + 900.0 * wave) * (1.0 + noise)
    };
    let samples: Vec<Sample> = (0..6 * 1_440)
        .map(|place| Sample { at: FROM + place * STEP, value: value(place) })
        .collect();
    let workload = Workload::new("made-up", samples.clone()).unwrap();
    let setup = Setup { evaluation_period: STEP, history: 0, keeps_plan: true, ..Setup::default() };
    let unit = setup.check(&workload).unwrap();
    let simulated = simulate(&workload, &setup, ControllerKind::Evenkeel).unwrap();

    let documents = documents_for(&setup, &workload, unit).unwrap();
    let question = question("sum by (service) (load)");
    let mut recording = recording(samples.len());
    for it in &samples {
        assert!(recording.put(Part::Span, &question, "service", it.at, it.value));
    }
    let options = Options { plan_of: TargetId::new("service").ok(), ..Options::default() };
    let replayed = replay(&documents, &recording, &options, &|| true).unwrap();
    let plan: Vec<(i64, Option<u32>, u32, u32)> =
        simulated.plan.iter().map(|it| (it.at, Some(it.demand), it.desired, it.ready)).collect();
    let same: Vec<(i64, Option<u32>, u32, u32)> =
        replayed.plan.iter().map(|it| (it.at, it.demand, it.desired, it.ready)).collect();
    assert_eq!(plan, same);
    let (one, other) = (&simulated.scorecard, &replayed.total.scorecard);
    assert_eq!(one.capacity_changes, other.capacity_changes);
    for (one, other) in [
        (one.cost_usd, other.cost_usd),
        (one.oracle_cost_usd, other.oracle_cost_usd),
        (one.cost_ratio, other.cost_ratio),
        (one.theta_u, other.theta_u),
        (one.theta_o, other.theta_o),
        (one.tau_u, other.tau_u),
        (one.tau_o, other.tau_o),
        (one.unserved_ratio, other.unserved_ratio),
        (one.slo_good_ratio, other.slo_good_ratio),
    ] {
        assert!((one - other).abs() <= 1e-9 * one.abs().max(1.0), "{one} {other}");
    }
    assert!(0.0 < one.tau_u && 0 < one.capacity_changes);
}

#[test]
fn a_replay_that_is_stopped_says_so() {
    let recording = load_of_a(&hours(3, 500.0));
    let n_left = std::cell::Cell::new(30);
    let keep_going = || n_left.replace(n_left.get() - 1) != 0;
    let done = replay(&documents(USUAL), &recording, &Options::default(), &keep_going).unwrap();
    assert!(done.total.scorecard.partial && card_of(&done, "a").scorecard.partial);
    assert_eq!(done.total.scorecard.simulated_seconds, 30 * STEP);
    assert_eq!(card_of(&done, "a").judged_seconds, 30 * STEP);
    let whole = run(&documents(USUAL), &recording);
    assert!(!whole.total.scorecard.partial);
    assert_eq!(whole.total.scorecard.simulated_seconds, 3 * 3_600);
}

#[test]
fn equal_replays_are_equal() {
    let values: Values = (0..600).map(|it| Some(f64::from((it * 7_919) % 1_500))).collect();
    let recording = load_of_a(&values);
    let one = run(&documents(USUAL), &recording);
    assert_eq!(one, run(&documents(USUAL), &recording));
    assert!(0 < one.total.scorecard.capacity_changes);
}

#[test]
fn the_total_is_the_sum_of_its_targets() {
    let mut recording = load_of_a(&hours(4, 500.0));
    let mut spiky = hours(2, 100.0);
    spiky.extend(hours(2, 900.0));
    put(&mut recording, "load", "b", &spiky);
    let done = run(&documents(USUAL), &recording);
    let (a, b) = (card_of(&done, "a"), card_of(&done, "b"));
    let total = &done.total;
    assert_eq!(total.judged_seconds, 2 * 4 * 3_600);
    assert_eq!(total.missed_seconds, a.missed_seconds + b.missed_seconds);
    let cost = a.scorecard.cost_usd + b.scorecard.cost_usd;
    assert!((total.scorecard.cost_usd - cost).abs() < 1e-9);
    let tau_u = 100.0 * total.missed_seconds as f64 / total.judged_seconds as f64;
    assert!((total.scorecard.tau_u - tau_u).abs() < 1e-9);
}

#[test]
fn what_really_was_is_scored_in_the_same_way() {
    // Ten units are needed; there were 10, then 8, then nobody knows, then 12.
    let values = hours(4, 500.0);
    let mut recording = load_of_a(&values);
    let mut capacity = hours(1, 10.0);
    capacity.extend(hours(1, 8.0));
    capacity.extend(vec![None; 60]);
    capacity.extend(hours(1, 12.0));
    put(&mut recording, "units", "a", &capacity);
    let options = Options {
        controller: "recorded".to_owned(),
        capacity_query: Some("units".to_owned()),
        ..Options::default()
    };
    let done = recorded(&documents(USUAL), &recording, &options).unwrap();
    let card = card_of(&done, "a");
    assert_eq!(card.missed, [Missed { from: FROM + 3_600, until: FROM + 7_200, units_max: 2 }]);
    assert_eq!((card.judged_seconds, card.unjudged_seconds), (3 * 3_600, 3_600));
    assert!((card.scorecard.cost_usd - 30.0 * PRICE).abs() < 1e-9);
    assert!((card.scorecard.cost_ratio - 1.0).abs() < 1e-9);
    assert_eq!(card.scorecard.capacity_changes, 2);
    // A replay begins with what there was.
    let mut small = recording.clone();
    put(&mut small, "units", "b", &hours(4, 3.0));
    put(&mut small, "load", "b", &hours(4, 500.0));
    let done = replay(&documents(USUAL), &small, &options, &|| true).unwrap();
    assert_eq!(card_of(&done, "b").changes.first().map(|it| it.from), Some(3));
}

#[test]
fn the_plan_is_what_happens() {
    let mut values = vec![Some(500.0); 5];
    values.extend([Some(1_000.0), None, Some(1_000.0), Some(1_000.0), Some(1_000.0)]);
    let done = run(&documents(USUAL), &load_of_a(&values));
    let shown: String = done
        .plan
        .iter()
        .map(|PlanRow { at, demand, desired, ready }| {
            format!("{}s {demand:?} {desired} {ready}\n", at - FROM)
        })
        .collect();
    expect![[r#"
        0s Some(10) 11 10
        150s Some(10) 11 11
        300s Some(20) 22 11
        360s None 22 11
        420s Some(20) 22 11
        450s Some(20) 22 22
        600s Some(20) 22 22
    "#]]
    .assert_eq(&shown);
}
