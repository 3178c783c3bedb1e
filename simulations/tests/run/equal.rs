//! Equal input gives equal runs, and a run that is ended early is a run all the same.
//!
//! **In:** seeds and settings. **Out:** panics of failed tests.
//! **Not here:** equal worlds without anybody in them (`tests/world`).

use std::cell::Cell;

use evenkeel_sim::expectation::Must;
use evenkeel_sim::fault::{Fault, FaultKind};
use evenkeel_sim::pilot::PilotKind;
use evenkeel_sim::run::{Controller, LASTS_MAX, RunError, Settings, run};
use evenkeel_sim::workload::{Sample, Workload};

use super::{busy, evenkeel};

#[test]
fn equal_seeds_give_equal_runs_also_in_two_threads_at_once() {
    let scenario = busy();
    let alone = evenkeel(&scenario, 3).scorecard;
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| evenkeel(&scenario, 3).scorecard);
        let other = scope.spawn(|| evenkeel(&scenario, 4).scorecard);
        (one.join().expect("ends"), other.join().expect("ends"))
    });
    assert_eq!(one, alone);
    assert_ne!(other.trace_sha256, alone.trace_sha256);
}

#[test]
fn what_is_kept_changes_nothing() {
    let scenario = busy();
    for controller in [Controller::Evenkeel, Controller::Pilot(PilotKind::None)] {
        let plain = run(&scenario, &Settings::new(5, controller)).expect("runs");
        let settings =
            Settings { keeps_plan: true, keeps_timeline: true, ..Settings::new(5, controller) };
        let kept = run(&scenario, &settings).expect("runs");
        assert_eq!(kept.scorecard, plain.scorecard);
        assert_eq!(kept.totals, plain.totals);
        assert!(plain.plan.is_empty() && plain.timeline.is_none());
        assert!(!kept.plan.is_empty() && kept.timeline.is_some());
    }
}

#[test]
fn a_run_that_is_stopped_is_partial_and_says_how_far_it_got() {
    let scenario = busy();
    let asked = Cell::new(0);
    let keep_going = |passed: i64, all: i64| {
        asked.set(asked.get() + 1);
        assert_eq!(all, scenario.warm_up + scenario.lasts);
        passed < 3_600
    };
    let settings = Settings { keep_going: &keep_going, ..Settings::new(1, Controller::Evenkeel) };
    let stopped = run(&scenario, &settings).expect("runs");
    assert!(stopped.scorecard.partial);
    assert_eq!(stopped.scorecard.simulated_seconds, 3_600);
    assert_eq!(asked.get(), 61);
    // What is demanded of the end is not demanded of a part.
    assert_eq!(stopped.scorecard.violations, Vec::new());
    assert!(!evenkeel(&scenario, 1).scorecard.partial);
}

#[test]
fn a_run_that_is_stopped_at_once_has_numbers_all_the_same() {
    let settings = Settings { keep_going: &|_, _| false, ..Settings::new(1, Controller::Evenkeel) };
    let card = run(&busy(), &settings).expect("runs").scorecard;
    assert!(card.partial);
    let json = serde_json::to_string(&card).expect("json");
    assert!(!json.contains("null,\"oracle"), "{json}");
    assert!(
        card.cost_ratio.is_finite() && card.theta_u.is_finite() && card.slo_good_ratio.is_finite()
    );
}

#[test]
fn a_run_longer_than_may_be_is_refused() {
    let mut scenario = busy();
    scenario.lasts = LASTS_MAX + 1;
    let refused = run(&scenario, &Settings::new(1, Controller::Evenkeel));
    assert_eq!(refused.expect_err("too long"), RunError::TooLong { seconds: LASTS_MAX + 1 });
}

#[test]
fn a_recording_that_ends_before_the_faults_is_not_judged_for_what_comes_after_them() {
    let mut scenario = busy();
    scenario.faults = vec![Fault { from: 600, until: 3_000, kind: FaultKind::Down { service: 0 } }];
    scenario.must = vec![Must::RecoverWithin { seconds: 60 }];
    let samples = [0, 600].map(|at| Sample { at, value: 100.0 });
    let load = Workload::new("short", samples.to_vec()).expect("a load");
    let settings = Settings {
        workload: Some((&load, 1.0)),
        ..Settings::new(1, Controller::Pilot(PilotKind::None))
    };
    let short = run(&scenario, &settings).expect("runs").scorecard;
    assert_eq!(short.simulated_seconds, scenario.warm_up + 1_200);
    assert_eq!(short.violations, Vec::new());
}
