//! What bad workloads and scenarios get, and that the ready-made scenario is the benchmark.
//!
//! **In:** texts.
//! **Out:** file, line, column, what is wrong, and what to do.
//! **Not here:** running them (`tests/capacity.rs`).
#![expect(clippy::unwrap_used, reason = "functions that are not tests themselves unwrap")]

use evenkeel_sim::capacity::Setup;
use evenkeel_sim::scenario::{CapacityScenario, Scenario, ScenarioKind};
use evenkeel_sim::workload::{Sample, Workload};
use expect_test::{Expect, expect};
use proptest::prelude::*;

const READY_MADE: &str = include_str!("../scenarios/capacity.yaml");

#[track_caller]
fn check_workload(text: &str, expected: &Expect) {
    let shown = match Workload::parse("load.csv", text) {
        Ok(it) => {
            let [first, .., last] = it.samples() else { unreachable!("two at least") };
            format!("{first:?} to {last:?}, every {} s", it.period())
        }
        Err(error) => format!("{error}; hint: {}", error.hint()),
    };
    expected.assert_eq(&shown);
}

#[test]
fn workloads_that_can_be_read() {
    check_workload(
        "timestamp,value\n0,1\n60,2.5\n120,0\n",
        &expect!["Sample { at: 0, value: 1.0 } to Sample { at: 120, value: 0.0 }, every 60 s"],
    );
    check_workload(
        "0,1\n60,2\n",
        &expect!["Sample { at: 0, value: 1.0 } to Sample { at: 60, value: 2.0 }, every 60 s"],
    );
    check_workload(
        "\u{feff}\"Value\",host,\"timestamp\"\r\n3,a,1970-01-01T00:00:00Z\r\n\r\n4e1,b,15.0\r\n",
        &expect!["Sample { at: 0, value: 3.0 } to Sample { at: 15, value: 40.0 }, every 15 s"],
    );
}

#[test]
fn workloads_that_cannot() {
    check_workload(
        "",
        &expect![
            "load.csv:1:1: the file is empty; hint: write a header `timestamp,value` and one line per sample"
        ],
    );
    check_workload(
        " \n\n",
        &expect![
            "load.csv:1:1: the file is empty; hint: write a header `timestamp,value` and one line per sample"
        ],
    );
    check_workload(
        "timestamp,value\n",
        &expect![
            "load.csv:1:1: at least 2 samples are needed, found 0; hint: write a header `timestamp,value` and one line per sample"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n",
        &expect![
            "load.csv:2:1: at least 2 samples are needed, found 1; hint: write a header `timestamp,value` and one line per sample"
        ],
    );
    check_workload(
        "time,load\n0,1\n60,2\n",
        &expect![
            "load.csv:1:1: the header `time,load` has no column `timestamp`; hint: the first line must name the columns `timestamp` and `value`"
        ],
    );
    check_workload(
        "timestamp,load\n0,1\n60,2\n",
        &expect![
            "load.csv:1:1: the header `timestamp,load` has no column `value`; hint: the first line must name the columns `timestamp` and `value`"
        ],
    );
    check_workload(
        "0,1,2\n60,2,3\n",
        &expect![
            "load.csv:1:1: the header `0,1,2` has no column `timestamp`; hint: the first line must name the columns `timestamp` and `value`"
        ],
    );
    check_workload(
        "timestamp\n0\n60\n",
        &expect![
            "load.csv:1:1: the header `timestamp` has no column `value`; hint: the first line must name the columns `timestamp` and `value`"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60\n",
        &expect![
            "load.csv:3:3: this line has 1 of 2 columns; hint: write `timestamp,value`, with a point as the decimal mark; leave the line out where there is no value"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60,1,5\n",
        &expect![
            "load.csv:3:1: this line has 3 columns, the first line has 2; hint: write `timestamp,value`, with a point as the decimal mark; leave the line out where there is no value"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60,\n",
        &expect![
            "load.csv:3:4: `` is not a number; hint: leave the line out where there is no value: that is a gap"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60,NaN\n",
        &expect![
            "load.csv:3:4: `NaN` is not a finite number; hint: leave the line out where there is no value: that is a gap"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60,inf\n",
        &expect![
            "load.csv:3:4: `inf` is not a finite number; hint: leave the line out where there is no value: that is a gap"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60,-3\n",
        &expect![
            "load.csv:3:4: the load `-3` is negative; hint: a load is 0 or more; check what was exported"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n60,many\n",
        &expect![
            "load.csv:3:4: `many` is not a number; hint: leave the line out where there is no value: that is a gap"
        ],
    );
    check_workload(
        "timestamp,value\n60,1\n0,2\n",
        &expect![
            "load.csv:3:1: the time 0 is not after the one before, 60; hint: sort the lines by time and remove repeated ones"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n0,2\n",
        &expect![
            "load.csv:3:1: the time 0 is not after the one before, 0; hint: sort the lines by time and remove repeated ones"
        ],
    );
    check_workload(
        "timestamp,value\nyesterday,1\n60,2\n",
        &expect![
            "load.csv:2:1: `yesterday` is not a time; hint: write Unix seconds such as `893971800`, or `2026-11-20T03:10:00Z`"
        ],
    );
    check_workload(
        "timestamp,value\n0.5,1\n60,2\n",
        &expect!["load.csv:2:1: `0.5` is not a whole second; hint: round the times to seconds"],
    );
    check_workload(
        "timestamp,value\n99999999999999,1\n60,2\n",
        &expect![
            "load.csv:2:1: `99999999999999` is not a time; hint: write Unix seconds such as `893971800`, or `2026-11-20T03:10:00Z`"
        ],
    );
    check_workload(
        "timestamp,value\n0,1\n99999999,2\n",
        &expect![
            "load.csv:3:1: the samples span 1157 days, at most 400 are simulated; hint: cut the file into parts"
        ],
    );
    check_workload(
        "timestamp,value\n0,0\n60,0\n",
        &expect![
            "load.csv:3:1: every value is 0; hint: without load there is nothing to scale; check what was exported"
        ],
    );
}

#[test]
fn a_workload_beyond_the_limits_is_refused() {
    let text = "x".repeat(evenkeel_sim::workload::FILE_BYTES_MAX + 1);
    check_workload(
        &text,
        &expect![
            "load.csv:1:1: the file has 67108865 bytes, at most 67108864 are read; hint: thin it out (one sample per minute is enough) or cut it into parts"
        ],
    );
}

fn ready_made() -> CapacityScenario {
    match Scenario::parse("capacity.yaml", READY_MADE).unwrap().kind {
        ScenarioKind::Capacity(scenario) => scenario,
        ScenarioKind::Region(_) => unreachable!("it has no region"),
    }
}

#[test]
fn the_ready_made_scenario_is_the_capacity_benchmark() {
    let CapacityScenario { setup, load } = ready_made();
    let benchmark = Setup { under_demand_max: setup.under_demand_max, ..Setup::default() };
    assert_eq!(setup, benchmark);
    let workload = load.workload("capacity", 7).unwrap();
    assert_eq!(workload, load.workload("capacity", 7).unwrap());
    assert_ne!(workload, load.workload("capacity", 8).unwrap());
    assert_eq!(workload.ends_at() - workload.starts_at(), 9 * 86_400);
}

/// The ready-made scenario with one text exchanged.
#[track_caller]
fn check_scenario(before: &str, after: &str, expected: &Expect) {
    assert!(READY_MADE.contains(before), "{before}");
    let text = READY_MADE.replacen(before, after, 1);
    let shown = match Scenario::parse("capacity.yaml", &text) {
        Ok(scenario) => format!("{scenario:?}"),
        Err(it) => it.to_string(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn faults_of_scenarios_have_a_place_and_a_hint() {
    check_scenario(
        "boot: 5m",
        "boot: 5",
        &expect![
            "capacity.yaml:14:11: error: `5` has no unit; write for example `5s` or `5m`; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "boot: 5m",
        "boot: 2d",
        &expect![
            "capacity.yaml:14:11: error: `boot` is 172800, it must be 0s to 1d; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "    boot: 5m\n",
        "",
        &expect![
            "capacity.yaml:23:5: error: missing field `boot`; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "boot: 5m",
        "boot: 5m\n    cool_down: 5m",
        &expect![
            "capacity.yaml:15:5: error: unknown field `cool_down`, expected one of unit, evaluation_period, boot, history, units, price_usd_per_hour, objective, load; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "evenkeel/v1",
        "evenkeel/v2",
        &expect![
            "capacity.yaml:4:13: error: unknown variant `evenkeel/v2`, expected one of evenkeel/v1; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "kind: Scenario",
        "kind: Target",
        &expect![
            "capacity.yaml:5:7: error: unknown variant `Target`, expected one of Scenario; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "name: capacity",
        "name: 'a b'",
        &expect![
            "capacity.yaml:6:19: error: `a b` is not a name; hint: use letters, digits and `-_.`, at most 128 of them"
        ],
    );
    check_scenario(
        "percentile: 99.5",
        "percentile: 0",
        &expect![
            "capacity.yaml:10:25: error: `unit.percentile` is 0, it must be above 0, at most 100; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "percentile: 99.5",
        "percentile: .nan",
        &expect![
            "capacity.yaml:10:25: error: `unit.percentile` is NaN, it must be above 0, at most 100; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "count: 40",
        "count: many",
        &expect![
            "capacity.yaml:10:38: error: invalid floating point; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "min: 1,",
        "min: 20000,",
        &expect![
            "capacity.yaml:17:19: error: `units.min` (20000) is above `units.max` (10000); hint: swap the two"
        ],
    );
    check_scenario(
        "max: 10000",
        "max: 1000000",
        &expect![
            "capacity.yaml:17:27: error: `units.max` is 1000000, it must be 1 to 100000; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "0.005",
        "0.7",
        &expect![
            "capacity.yaml:22:34: error: `objective.time_ratio_max` is 0.7, it must be above 0 and below 0.5; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "days: 9",
        "days: 500",
        &expect![
            "capacity.yaml:24:19: error: `load.days` is 500, it must be 1 to 400; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "trough: 200",
        "trough: 2000",
        &expect![
            "capacity.yaml:24:30: error: `load.trough` (2000) is above `load.peak` (1000); hint: swap the two"
        ],
    );
    check_scenario(
        "noise_ratio: 0.1",
        "noise_ratio: -1",
        &expect![
            "capacity.yaml:24:95: error: `load.noise_ratio` is -1, it must be 0 to 1; hint: change it in the scenario"
        ],
    );
    check_scenario(
        "apiVersion: evenkeel/v1",
        "apiVersion: evenkeel/v1\napiVersion: x",
        &expect![
            "capacity.yaml:5:1: error: duplicate mapping key: apiVersion; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
    check_scenario(
        "spec:",
        "spec: [",
        &expect![
            "capacity.yaml:7:7: error: expected mapping start; hint: see simulations/scenarios/capacity.yaml"
        ],
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = Workload::parse("any", &text);
        let _ = Scenario::parse("any", &text);
    }

    #[test]
    fn no_csv_panics(text in "(timestamp,value\n)?([-0-9.e,a\"]{0,12}\n){0,6}") {
        if let Ok(workload) = Workload::parse("any", &text) {
            let samples = workload.samples();
            prop_assert!(samples.iter().all(|it| it.value.is_finite() && 0.0 <= it.value));
            prop_assert!(samples.iter().zip(&samples[1..]).all(|(a, b)| a.at < b.at));
            prop_assert!(1 <= workload.period());
        }
    }

    #[test]
    fn percentiles_are_those_of_numpy(values in prop::collection::vec(0.0f64..1e6, 2..50)) {
        let samples: Vec<Sample> =
            (0..).zip(&values).map(|(at, value)| Sample { at, value: value + 1.0 }).collect();
        let workload = Workload::new("any", samples).unwrap();
        let mut sorted: Vec<f64> = values.iter().map(|it| it + 1.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        prop_assert!((workload.percentile(0.0) - least).abs() < 1e-9);
        prop_assert!((workload.percentile(100.0) - most).abs() < 1e-9);
        let middle = workload.percentile(50.0);
        let n = sorted.len();
        let expected = f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]);
        prop_assert!((middle - expected).abs() < 1e-6);
    }
}
