//! The capacity benchmark on loads that are small enough to check by hand.
//!
//! **In:** a few samples, a controller.
//! **Out:** whole plans and scorecards.
//! **Not here:** recorded traces (`tests/capacity_anchors.rs`), files (`tests/capacity_files.rs`).
#![expect(clippy::unwrap_used, reason = "functions that are not tests themselves unwrap")]

use std::fmt::Write as _;

use evenkeel_sim::capacity::{
    Controller, ControllerKind, Look, Run, Setup, Trace, run, simulate, units_for,
};
use evenkeel_sim::workload::{Sample, Workload};
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// One sample per minute from 0; one unit carries 10 when the largest is 40.
fn workload(values: &[f64]) -> Workload {
    let samples =
        (0..).zip(values).map(|(minute, value)| Sample { at: minute * 60, value: *value });
    Workload::new("tiny", samples.collect()).unwrap()
}

/// Units carry a quarter of the largest value, boot for 2 min, and nothing is history.
fn setup() -> Setup {
    Setup {
        percentile: 100.0,
        units_at_percentile: 4.0,
        evaluation_period: 30,
        boot: 120,
        history: 0,
        keeps_plan: true,
        ..Setup::default()
    }
}

/// Asks for units at given seconds.
struct Script(Vec<(i64, u32)>);

impl Controller for Script {
    fn label(&self) -> String {
        "script".to_owned()
    }

    fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
        let due = self.0.iter().rev().find(|(at, _)| *at <= look.now);
        due.map_or(look.current, |(_, units)| *units)
    }
}

fn shown(run: &Run) -> String {
    let mut shown = String::from("    at demand desired ready\n");
    for row in &run.plan {
        let (at, demand, desired, ready) = (row.at, row.demand, row.desired, row.ready);
        writeln!(shown, "{at:6} {demand:6} {desired:7} {ready:5}").unwrap();
    }
    let card = &run.scorecard;
    writeln!(
        shown,
        "tau_u {:.3} tau_o {:.3} theta_u {:.3} theta_o {:.3} unserved {:.4} cost {:.4} changes {}",
        card.tau_u,
        card.tau_o,
        card.theta_u,
        card.theta_o,
        card.unserved_ratio,
        card.cost_ratio,
        card.capacity_changes
    )
    .unwrap();
    for it in &card.violations {
        writeln!(shown, "{} {} {}", it.at, it.invariant, it.what).unwrap();
    }
    shown
}

#[track_caller]
fn check(values: &[f64], setup: &Setup, controller: &mut dyn Controller, expected: &Expect) {
    expected.assert_eq(&shown(&run(&workload(values), setup, controller).unwrap()));
}

#[track_caller]
fn check_kind(values: &[f64], setup: &Setup, controller: &str, expected: &Expect) {
    let kind = controller.parse().unwrap();
    expected.assert_eq(&shown(&simulate(&workload(values), setup, kind).unwrap()));
}

#[test]
fn units_boot_before_they_serve_and_leave_at_once() {
    let mut script = Script(vec![(30, 4), (210, 2)]);
    check(
        &[10.0, 40.0, 40.0, 40.0, 20.0, 20.0],
        &setup(),
        &mut script,
        &expect![[r#"
            at demand desired ready
             0      1       1     1
            30      1       4     1
            60      4       4     1
           150      4       4     4
           210      4       2     2
           240      2       2     2
           360      2       2     2
        tau_u 33.333 tau_o 0.000 theta_u 22.917 theta_o 0.000 unserved 0.3235 cost 0.6765 changes 2
    "#]],
    );
}

#[test]
fn surplus_is_taken_from_what_boots_first_and_the_newest_of_it() {
    // 1 ready, 2 more at 120 s, 3 more at 150 s; then 5 too many of 6 are given back in two steps.
    let mut script = Script(vec![(0, 3), (30, 6), (60, 4), (90, 2), (150, 1)]);
    check(
        &[10.0, 10.0, 10.0, 40.0],
        &setup(),
        &mut script,
        &expect![[r#"
            at demand desired ready
             0      1       3     1
            30      1       6     1
            60      1       4     1
            90      1       2     1
           120      1       2     2
           150      1       1     1
           180      4       1     1
           240      4       1     1
        tau_u 25.000 tau_o 12.500 theta_u 18.750 theta_o 12.500 unserved 0.4286 cost 0.6429 changes 5
    "#]],
    );
}

#[test]
fn the_history_is_simulated_but_not_scored() {
    let setup = Setup { history: 120, ..setup() };
    let mut script = Script(vec![(0, 4), (180, 2)]);
    check(
        &[40.0, 10.0, 20.0, 40.0],
        &setup,
        &mut script,
        &expect![[r#"
            at demand desired ready
           120      2       4     4
           180      4       2     2
           240      4       2     2
        tau_u 50.000 tau_o 50.000 theta_u 25.000 theta_o 50.000 unserved 0.3333 cost 1.0000 changes 1
    "#]],
    );
}

#[test]
fn what_must_never_happen_is_written_down() {
    let setup = Setup { units_max: 4, under_demand_max: Some(60), ..setup() };
    let samples = [(0, 20.0), (60, 20.0), (120, 40.0), (600, 40.0), (660, 40.0)];
    let samples = samples.map(|(at, value)| Sample { at, value });
    let workload = Workload::new("gap", samples.to_vec()).unwrap();
    let mut script = Script(vec![(30, 5), (240, 2)]);
    expect![[r#"
            at demand desired ready
             0      2       2     2
            30      2       5     2
           120      4       5     2
           150      4       5     5
           240      4       2     2
           720      4       2     2
        tau_u 70.833 tau_o 12.500 theta_u 35.417 theta_o 3.125 unserved 0.3864 cost 0.6477 changes 2
        30 bounds 5 is not in 1..=4
        60 bounds 5 is not in 1..=4
        90 bounds 5 is not in 1..=4
        120 bounds 5 is not in 1..=4
        150 bounds 5 is not in 1..=4
        180 bounds 5 is not in 1..=4
        210 bounds 5 is not in 1..=4
        240 scale_down_on_missing_data 5 -> 2 with nothing measured
        720 under_demand_too_long under demand for 480 s on end, at most 60 s
    "#]]
    .assert_eq(&shown(&run(&workload, &setup, &mut script).unwrap()));
}

#[test]
fn controllers_on_one_small_day() {
    let values = [20.0, 20.0, 20.0, 33.0, 40.0, 33.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0];
    let setup = Setup { history: 120, evaluation_period: 60, ..setup() };
    check_kind(
        &values,
        &setup,
        "oracle",
        &expect![[r#"
            at demand desired ready
           120      2       2     2
           180      4       4     4
           360      1       1     1
           780      1       1     1
        tau_u 0.000 tau_o 0.000 theta_u 0.000 theta_o 0.000 unserved 0.0000 cost 1.0000 changes 2
    "#]],
    );
    check_kind(
        &values,
        &setup,
        "none",
        &expect![[r#"
            at demand desired ready
           120      2       2     2
           180      4       2     2
           360      1       2     2
           780      1       2     2
        tau_u 27.273 tau_o 63.636 theta_u 13.636 theta_o 63.636 unserved 0.2347 cost 1.0476 changes 0
    "#]],
    );
    check_kind(
        &values,
        &setup,
        "static",
        &expect![[r#"
            at demand desired ready
           120      2       2     2
           180      4       2     2
           360      1       2     2
           780      1       2     2
        tau_u 27.273 tau_o 63.636 theta_u 13.636 theta_o 63.636 unserved 0.2347 cost 1.0476 changes 0
    "#]],
    );
    check_kind(
        &values,
        &setup,
        "hpa:80",
        &expect![[r#"
            at demand desired ready
           120      2       3     3
           180      4       5     3
           300      4       5     5
           360      1       5     5
           660      1       2     2
           780      1       2     2
        tau_u 18.182 tau_o 81.818 theta_u 4.545 theta_o 206.818 unserved 0.0663 cost 2.0476 changes 2
    "#]],
    );
}

#[test]
fn hpa_ignores_a_tenth_and_waits_five_minutes_before_it_shrinks() {
    // 4 units at 100% of a target of 100%: 109% is left alone, 112.5% is not.
    let mut values = vec![40.0, 40.0, 43.6, 45.0];
    values.extend([20.0; 8]);
    let setup = Setup { units_at_percentile: 4.5, evaluation_period: 60, ..setup() };
    check_kind(
        &values,
        &setup,
        "hpa:100",
        &expect![[r#"
                at demand desired ready
                 0      4       4     4
               120      5       4     4
               180      5       5     4
               240      2       5     4
               300      2       5     5
               540      2       2     2
               720      2       2     2
            tau_u 16.667 tau_o 41.667 theta_u 3.333 theta_o 58.333 unserved 0.0262 cost 1.3529 changes 2
        "#]],
    );
}

#[test]
fn hpa_grows_by_a_doubling_or_four_at_most() {
    let values = [1.0, 40.0, 40.0, 40.0, 40.0, 40.0];
    let setup = Setup { units_at_percentile: 40.0, evaluation_period: 15, boot: 30, ..setup() };
    check_kind(
        &values,
        &setup,
        "hpa:100",
        &expect![[r#"
            at demand desired ready
             0      1       1     1
            60     40       5     1
            75     40      10     1
            90     40      20     5
           105     40      40    10
           120     40      40    20
           135     40      40    40
           360     40      40    40
        tau_u 20.833 tau_o 0.000 theta_u 16.979 theta_o 0.000 unserved 0.2027 cost 0.7973 changes 4
    "#]],
    );
}

#[test]
fn equal_input_has_an_equal_trace_and_other_input_has_not() {
    let values: Vec<f64> = (0..600).map(|it| 50.0 + 40.0 * (f64::from(it) / 90.0).sin()).collect();
    let setup = Setup { units_at_percentile: 20.0, ..setup() };
    for kind in ControllerKind::ALL {
        let hash = |values: &[f64]| {
            simulate(&workload(values), &setup, kind).unwrap().scorecard.trace_sha256
        };
        let first = hash(&values);
        assert_eq!(first, hash(&values), "{kind}");
        assert_eq!(first.len(), 64);
        let mut other = values.clone();
        other[300] = 0.0;
        assert_ne!(first, hash(&other), "{kind}");
    }
}

#[test]
fn the_agent_follows_a_load_and_breaks_nothing() {
    let values: Vec<f64> = (0..4_320)
        .map(|it| 60.0 - 40.0 * (f64::from(it) * std::f64::consts::TAU / 1_440.0).cos())
        .collect();
    let setup = Setup {
        percentile: 99.5,
        units_at_percentile: 40.0,
        evaluation_period: 15,
        boot: 300,
        history: 86_400,
        ..setup()
    };
    let card = simulate(&workload(&values), &setup, ControllerKind::Evenkeel).unwrap().scorecard;
    assert_eq!(card.violations, []);
    assert!(1.0 < card.cost_ratio && card.cost_ratio < 1.5, "{card:?}");
    assert!(card.tau_u < 10.0, "{card:?}");
    assert!(10 < card.capacity_changes, "{card:?}");
}

/// Loads of up to two hours with gaps, one unit carries a quarter of the largest.
fn any_workload() -> impl Strategy<Value = Workload> {
    let samples = prop::collection::vec((1i64..400, 0.0f64..100.0), 2..60);
    samples.prop_filter_map("some load", |steps| {
        let mut at = 1_700_000_000;
        let samples = steps.into_iter().map(|(step, value)| {
            at += step;
            Sample { at, value }
        });
        Workload::new("any", samples.collect()).ok()
    })
}

fn any_script() -> impl Strategy<Value = Vec<(i64, u32)>> {
    prop::collection::vec((0i64..6_000, 1u32..30), 0..40).prop_map(|mut script| {
        script.sort_unstable();
        for (at, _) in &mut script {
            *at += 1_700_000_000;
        }
        script
    })
}

proptest! {
    #[test]
    fn ready_is_the_least_that_was_desired_over_the_last_boot_time(
        workload in any_workload(), script in any_script(), boot in 0i64..900,
    ) {
        let setup = Setup { boot, ..setup() };
        let run = run(&workload, &setup, &mut Script(script)).unwrap();
        // The last row is the end and repeats the one before: a boot that ends there is not in it.
        let shown = run.plan.len().saturating_sub(1);
        for (index, row) in run.plan.iter().enumerate().take(shown) {
            prop_assert!(row.ready <= row.desired);
            let before = run.plan[..index].iter().rev();
            // What was desired at the window's start was so from an earlier row on.
            let from = row.at - boot;
            let mut least = row.desired;
            let mut begins_at = row.at;
            for it in before {
                if begins_at <= from {
                    break;
                }
                least = least.min(it.desired);
                begins_at = it.at;
            }
            if from < begins_at {
                // Before the first row there was what the first value needs.
                least = least.min(run.plan[0].demand);
            }
            prop_assert_eq!(row.ready, least, "at {} of {:?}", row.at, run.plan);
        }
    }

    #[test]
    fn scores_can_be_computed_from_the_plan(
        workload in any_workload(), script in any_script(), history in 0i64..60,
    ) {
        let setup = Setup { history, boot: 90, ..setup() };
        let Ok(run) = run(&workload, &setup, &mut Script(script)) else { return Ok(()) };
        let (mut seconds, mut under, mut over) = (0.0, 0.0, 0.0);
        let (mut ready, mut demand, mut theta_u, mut changes) = (0.0, 0.0, 0.0, 0);
        for (row, next) in run.plan.iter().zip(&run.plan[1..]) {
            let dt = f64::from(u32::try_from(next.at - row.at).unwrap());
            let (d, s) = (f64::from(row.demand), f64::from(row.ready));
            seconds += dt;
            under += if s < d { dt } else { 0.0 };
            over += if d < s { dt } else { 0.0 };
            ready += dt * s;
            demand += dt * d;
            theta_u += dt * (d - s).max(0.0) / d;
            changes += u32::from(row.desired != next.desired);
        }
        let card = &run.scorecard;
        let is_near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
        prop_assert!(is_near(card.tau_u, 100.0 * under / seconds));
        prop_assert!(is_near(card.tau_o, 100.0 * over / seconds));
        prop_assert!(is_near(card.theta_u, 100.0 * theta_u / seconds));
        prop_assert!(is_near(card.cost_ratio, ready / demand));
        prop_assert!(is_near(card.slo_good_ratio, 1.0 - under / seconds));
        // A change in the very first instant is before the first row.
        prop_assert!(card.capacity_changes - changes <= 1);
    }

    #[test]
    fn who_is_never_under_demand_pays_at_least_what_the_oracle_pays(
        workload in any_workload(), extra in 0u32..3,
    ) {
        struct Ample(u32);
        impl Controller for Ample {
            fn label(&self) -> String {
                "ample".to_owned()
            }
            fn evaluate(&mut self, look: &Look, _trace: &mut Trace) -> u32 {
                look.sample.map_or(look.current, |it| units_for(it.value, look.unit) + self.0)
            }
        }
        let setup = Setup { boot: 0, evaluation_period: 1, ..setup() };
        let card = run(&workload, &setup, &mut Ample(extra)).unwrap().scorecard;
        let oracle = simulate(&workload, &setup, ControllerKind::Oracle).unwrap().scorecard;
        prop_assert!((oracle.cost_ratio - 1.0).abs() < 1e-12);
        prop_assert!(oracle.tau_u <= 0.0 && oracle.tau_o <= 0.0);
        prop_assert!(card.tau_u <= 0.0);
        prop_assert!(1.0 <= card.cost_ratio);
        prop_assert!(oracle.cost_usd <= card.cost_usd);
    }

    #[test]
    fn every_controller_keeps_the_invariants_on_any_load(workload in any_workload()) {
        let setup = Setup { units_at_percentile: 12.0, boot: 60, ..setup() };
        for kind in ControllerKind::ALL {
            let card = simulate(&workload, &setup, kind).unwrap().scorecard;
            prop_assert!(card.violations.is_empty(), "{kind}: {:?}", card.violations);
        }
    }
}
