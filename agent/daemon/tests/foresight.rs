//! Capacity arrives before a recurring peak, on real parts and a real trace: two
//! weeks of it lie in Prometheus, moved so that now is shortly before a rise that
//! comes every day; an exporter goes on with it.
//!
//! Needs `prometheus` and moto's server; `make test-parts` installs both. The trace
//! is read from `../shared/data/traces` beside the repository or from the folder
//! that `EVENKEEL_DATA` names; without it the test says that it is left out.

#![expect(clippy::print_stderr, reason = "says what is left out without data")]

// This test needs only some of it.
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use evenkeel_testbed::{prometheus, wait_until};
use serde_json::Value;
use support::{Rig, SOON, Stage};

/// Samples of the trace are this far apart.
const STEP: i64 = 60;
const SAMPLES_PER_DAY: usize = 1_440;
const HISTORY_DAYS: usize = 14;

/// The target's lead time, in samples. Why half an hour: long enough that a rise
/// by its end is far above noise, as with hosts that have to be filled first.
const LEAD: usize = 30;

/// The longest wait for the forecast: read two weeks, fit, evaluate.
const FORESEEN: Duration = Duration::from_secs(60);

#[test]
fn capacity_arrives_before_a_recurring_peak() {
    let Some(trace) = real_trace("crane_9_1m.csv") else {
        eprintln!("left out: no trace; set EVENKEEL_DATA to the folder that has traces/");
        return;
    };
    let rise = steepest_recurring_rise(&trace);
    let (present, later) = (trace[rise], trace[rise + LEAD]);
    assert!(1.2 * present < later, "the trace has no rise worth the name: {present} -> {later}");
    // Six units now, and more by the end of the lead time.
    let value_per_unit = present / 5.5;
    let units = |load: f64| (load / value_per_unit).ceil();

    let now = now_second();
    let from = rise + 1 - HISTORY_DAYS * SAMPLES_PER_DAY;
    let n_before = |place: usize| i64::try_from(rise - place).expect("small");
    let past = (from..=rise).map(|place| (now - n_before(place) * STEP, trace[place]));
    let stage = Stage {
        history: prometheus::history("load", &[("service", "foreseen")], past),
        history_span: "14d",
        target: "  lead_time: 30m\n",
        policy: "  forecast: { shortfall: { time_ratio_max: 0.005 } }\n",
        value_per_unit,
        units_max: 20,
    };
    let mut rig = Rig::start_on(stage, "foreseen", 6, present);
    let started = Instant::now();
    let mut highest = present;
    let mut planned = Value::Null;
    wait_until(FORESEEN, "the agent asks for what will be needed", || {
        let load = follow(&trace, rise, now);
        highest = highest.max(load);
        rig.set_load(load);
        planned = foreseen(&rig);
        !planned.is_null()
    });
    let desired = planned["record"]["desired"].as_f64().expect("a capacity");
    eprintln!(
        "after {:.0} s: {} (load {highest:.1}, {} units; in half an hour {later:.1}, {} units)",
        started.elapsed().as_secs_f64(),
        planned["record"]["why"],
        units(highest),
        units(later),
    );
    assert!(units(highest) < desired, "more than the load has ever needed: {planned}");
    wait_until(SOON, "the group has it", || desired <= f64::from(rig.capacity()));
    assert!(units(follow(&trace, rise, now)) < desired, "and the load has not risen yet");

    let explained = rig.enforced(&["explain", "foreseen"]).stdout;
    eprintln!("{explained}");
    for said in ["forecast of `load`: predicting", "in 30m (given): ", "covers up to "] {
        assert!(explained.contains(said), "no {said:?} in:\n{explained}");
    }
    let status = rig.target();
    assert!(status["forecast"].is_number(), "{status}");
    let expected: Value =
        serde_json::from_str(&rig.get("/v1/forecast/foreseen?horizon=2h")).expect("JSON");
    assert_eq!(expected["signals"][0]["signal"], "load", "{expected}");
    wait_until(SOON, "the metrics say so too", || is_predicting(&rig));
    rig.enforced(&["audit", "verify"]);
    it_survives_restarts(&mut rig);
}

/// What was learned is kept at a stop and taken up at the next start; what is
/// damaged is put aside and learned anew.
fn it_survives_restarts(rig: &mut Rig) {
    assert_eq!(rig.stop_daemon(), 0, "an orderly stop");
    let kept = rig.path("evenkeel.forecasts");
    assert!(kept.exists(), "kept at the stop");
    rig.start_daemon();
    let daemon = rig.daemon.as_mut().expect("the daemon");
    daemon.wait_output(SOON, "forecasts taken up from before the start");
    wait_until(SOON, "it predicts again", || is_predicting(rig));

    assert_eq!(rig.stop_daemon(), 0, "an orderly stop");
    let mut bytes = std::fs::read(&kept).expect("the kept forecasts");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&kept, bytes).expect("a file");
    rig.start_daemon();
    let daemon = rig.daemon.as_mut().expect("the daemon");
    daemon.wait_output(SOON, "the kept forecasts cannot be used");
    assert!(rig.path("evenkeel.forecasts.unusable").exists(), "put aside");
    wait_until(SOON, "it has learned anew", || is_predicting(rig));
}

fn is_predicting(rig: &Rig) -> bool {
    rig.get("/metrics").contains("evenkeel_forecasts{standing=\"predicting\"} 1")
}

/// The record of the first effect that a forecast asked for; null before there is one.
fn foreseen(rig: &Rig) -> Value {
    let said =
        rig.evenkeel(&["history", "foreseen", "--kind", "effect_planned", "--output", "json"]);
    let lines: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
    let records = lines["records"].as_array().cloned().unwrap_or_default();
    let by_forecast = |it: &&Value| {
        it["record"]["why"].as_str().unwrap_or_default().contains("is expected to reach")
    };
    // Newest first.
    records.iter().rev().find(by_forecast).cloned().unwrap_or_default()
}

/// The trace at this moment, on a line between its samples.
fn follow(trace: &[f64], rise: usize, began: i64) -> f64 {
    let seconds = (now_second() - began).max(0);
    let whole = usize::try_from(seconds / STEP).expect("not negative");
    let share = f64::from(i32::try_from(seconds % STEP).expect("below a minute")) / 60.0;
    let at = |n: usize| trace[(rise + n).min(trace.len() - 1)];
    at(whole) + share * (at(whole + 1) - at(whole))
}

/// The place, at least two weeks in, from which the load has risen most within the
/// lead time at the same hour of the days before, and does so again.
fn steepest_recurring_rise(trace: &[f64]) -> usize {
    let ratio = |place: usize| trace[place + LEAD] / trace[place].max(f64::MIN_POSITIVE);
    let usual = |place: usize| {
        let mut days: Vec<f64> =
            (1..=7).map(|days| ratio(place - days * SAMPLES_PER_DAY)).collect();
        days.sort_by(f64::total_cmp);
        days[3].min(ratio(place))
    };
    (HISTORY_DAYS * SAMPLES_PER_DAY..trace.len() - LEAD)
        .max_by(|one, other| usual(*one).total_cmp(&usual(*other)))
        .expect("a trace of more than two weeks")
}

fn real_trace(name: &str) -> Option<Vec<f64>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("EVENKEEL_DATA").map_or(root, PathBuf::from);
    let text = std::fs::read_to_string(data.join("traces").join(name)).ok()?;
    let values = text.lines().skip(1).map(|it| it.split(',').nth(1)?.trim().parse().ok());
    values.collect()
}

fn now_second() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("small")
}
