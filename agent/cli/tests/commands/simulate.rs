//! `evenkeel simulate`, from a scenario and a load to scorecards and an exit status.
//!
//! **In:** the ready-made scenario, loads of a few days.
//! **Out:** tables, JSON, plans, diagnostics.
//! **Not here:** whether the scores are right (`simulations/tests/capacity.rs`).

use expect_test::expect;
use serde_json::Value;

use crate::command::Scene;

const SCENARIO: &str = include_str!("../../../../simulations/scenarios/capacity.yaml");

/// Three days of hours: 10 at night, 40 by day, one unit carries 1.
fn load() -> String {
    let mut text = "timestamp,value\n".to_owned();
    for hour in 0..72 {
        let value = if (8..20).contains(&(hour % 24)) { 40 } else { 10 };
        text.push_str(&format!("{},{value}\n", hour * 3_600));
    }
    text
}

fn scene() -> Scene {
    Scene::new().file("capacity.yaml", SCENARIO).file("load.csv", load())
}

fn json(said: &str) -> Value {
    let (_, text) = said.split_once("stdout:\n").expect("stdout");
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn all_controllers_side_by_side() {
    let said = scene().said("simulate capacity.yaml --workload load.csv --controller all");
    // How long it took is the only thing that differs.
    let (table, talk) = said.split_once("stderr:\n").expect("talk");
    assert!(talk.starts_with("3 days of virtual time in "), "{talk}");
    let evenkeel = table.lines().find(|it| it.starts_with("evenkeel")).expect("a row");
    assert!(evenkeel.ends_with('0'), "{evenkeel}");
    let others: Vec<&str> = table.lines().filter(|it| !it.starts_with("evenkeel")).collect();
    expect![[r#"
        exit 0
        stdout:
        CONTROLLER   SEED  TAU_U %  COST/ORACLE  CHANGES  THETA_U %  THETA_O %  UNSERVED %  COST USD  VIOLATIONS
        hpa:70       1     0.365    1.460        3        0.22       48.8       0.354       87.59     0
        tracking:70  1     0.347    1.470        3        0.22       51.5       0.347       88.19     0
        static       1     0.000    1.600        0        0.00       150.0      0.000       96.00     0
        none         1     50.000   0.400        0        37.50      0.0        60.000      24.00     1
        oracle       1     0.000    1.000        2        0.00       0.0        0.000       60.00     0"#]].assert_eq(&others.join("\n"));
}

#[test]
fn one_scorecard_has_every_field_of_the_contract() {
    let said =
        scene().said("simulate capacity.yaml --workload load.csv --controller oracle -o json");
    let card = json(&said);
    let fields: Vec<&String> = card.as_object().unwrap().keys().collect();
    expect![[r#"["capacity_changes", "controller", "cost_ratio", "cost_usd", "lost_requests", "mttd_seconds", "mttr_seconds", "oracle_cost_usd", "pages", "partial", "scenario", "seed", "simulated_seconds", "slo_bad_seconds", "slo_good_ratio", "tau_o", "tau_u", "theta_o", "theta_u", "trace_sha256", "unserved_ratio", "violations", "wall_seconds"]"#]].assert_eq(&format!("{fields:?}"));
    assert_eq!(card["cost_ratio"], 1.0);
    assert_eq!(card["violations"], Value::Array(Vec::new()));
    assert_eq!(card["trace_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn several_runs_are_a_list_and_equal_seeds_are_equal() {
    let scene = scene();
    let line = "simulate capacity.yaml --controller hpa:85 --seeds 3..6 -o json";
    let cards = json(&scene.said(line));
    let hashes: Vec<&Value> =
        cards.as_array().unwrap().iter().map(|it| &it["trace_sha256"]).collect();
    assert_eq!(hashes.len(), 3);
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
    let again = json(&scene.said("simulate capacity.yaml --controller hpa:85 --seed 4 -o json"));
    assert_eq!(&again["trace_sha256"], hashes[1]);
    assert_eq!(again["seed"], 4);
}

#[test]
fn the_ready_made_scenario_passes_by_itself_and_twice_the_same() {
    // Three of its days, at a look per minute: enough for a test that is not optimised.
    let short = SCENARIO
        .replace("days: 9", "days: 3")
        .replace("evaluation_period: 15s", "evaluation_period: 60s");
    let said = Scene::new().file("short.yaml", short).said("simulate short.yaml --twice");
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[test]
fn the_plan_is_a_row_at_every_change() {
    let scene = scene();
    let said = scene
        .said("simulate capacity.yaml --workload load.csv --controller oracle --plan-out plan.csv");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let plan = std::fs::read_to_string(scene.dir.path().join("plan.csv")).unwrap();
    expect![[r#"
        timestamp,demand,desired,ready
        172800,10,10,10
        201600,40,40,40
        244800,10,10,10
        259200,10,10,10
    "#]]
    .assert_eq(&plan);
}

#[test]
fn capacity_that_does_not_catch_up_in_time_is_exit_11_and_reproducible() {
    let impatient = SCENARIO.replace("under_demand_max: 6h", "under_demand_max: 1m");
    let scene = scene().file("impatient.yaml", impatient);
    let line = "simulate impatient.yaml --workload load.csv --controller hpa:85 -o json";
    let said = scene.said(line);
    let (_, talk) = said.split_once("stderr:\n").expect("talk");
    assert!(said.starts_with("exit 11\n"), "{said}");
    expect![[r#"
        error: hpa:85: under_demand_too_long at 1970-01-03T08:05:15Z: under demand for 315 s on end, at most 60 s

        hint: reproduce with `evenkeel simulate impatient.yaml --workload load.csv --controller hpa:85 --seed 1`
    "#]].assert_eq(talk);
    // Who never changes anything is not expected to, and nor are those beside the agent.
    let said = scene.said("simulate impatient.yaml --workload load.csv --controller none");
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[test]
fn bad_files_are_shown_with_line_column_and_hint() {
    let scene = scene()
        .file("bad.csv", "timestamp,value\n0,1\n60,NaN\n")
        .file("bad.yaml", SCENARIO.replace("boot: 5m", "boot: 5"))
        .file("short.csv", "timestamp,value\n0,1\n60,2\n")
        .file("bytes.csv", [0xff, 0xfe]);
    scene.check(
        "simulate capacity.yaml --workload bad.csv",
        &expect![[r#"
        exit 1
        stderr:
        error: `NaN` is not a finite number
          --> bad.csv:3:4
          |
        3 | 60,NaN
          |    ^
        hint: leave the line out where there is no value: that is a gap
    "#]],
    );
    scene.check(
        "simulate bad.yaml",
        &expect![[r#"
        exit 1
        stderr:
        error: `5` has no unit; write for example `5s` or `5m`
          --> bad.yaml:14:11
           |
        14 |     boot: 5
           |           ^
        hint: see simulations/scenarios/capacity.yaml
    "#]],
    );
    scene.check(
        "simulate capacity.yaml --workload short.csv",
        &expect![[r#"
        exit 1
        stderr:
        error: short.csv: the trace lasts 120 s, the history alone 172800 s

        hint: use a longer trace, or shorten `history` in the scenario
    "#]],
    );
    scene.check(
        "simulate capacity.yaml --workload bytes.csv",
        &expect![[r#"
        exit 1
        stderr:
        error: `bytes.csv` is not text in UTF-8

        hint: write it as plain text, not as a spreadsheet or an archive
    "#]],
    );
    scene.check(
        "simulate nowhere.yaml",
        &expect![[r#"
        exit 1
        stderr:
        error: cannot read the scenario `nowhere.yaml`
          cause: No such file or directory (os error 2)

        hint: check the path, and that you may read the file
    "#]],
    );
    scene.check(
        "simulate capacity.yaml --plan-out no/plan.csv --controller none",
        &expect![[r#"
        exit 1
        stderr:
        error: cannot write `no/plan.csv`
          cause: No such file or directory (os error 2)

        hint: check the path, and that you may write there
    "#]],
    );
}

#[test]
fn wrong_usage() {
    let scene = scene();
    scene.check("simulate capacity.yaml --controller keda", &expect![[r#"
        exit 2
        stderr:
        error: invalid value 'keda' for '--controller <C>': `keda` is not a controller; there are `evenkeel`, `hpa`, `hpa:85`, `tracking`, `static`, `none` and `oracle`, for regions also `reflex` and `healer`, and `all` of them

        For more information, try '--help'.
    "#]]);
    scene.check("simulate capacity.yaml --controller hpa:0", &expect![[r#"
        exit 2
        stderr:
        error: invalid value 'hpa:0' for '--controller <C>': `0` is not a target of HPA; write a percentage from 1 to 100, such as `hpa:85`

        For more information, try '--help'.
    "#]]);
    scene.check("simulate capacity.yaml --seeds 5..5", &expect![[r#"
        exit 2
        stderr:
        error: invalid value '5..5' for '--seeds <A..B>': there is no seed from 5 up to, not including, 5

        For more information, try '--help'.
    "#]]);
    scene.check("simulate capacity.yaml --seeds 0..1000000", &expect![[r#"
        exit 2
        stderr:
        error: invalid value '0..1000000' for '--seeds <A..B>': 1000000 seeds, at most 100000 are run at once

        For more information, try '--help'.
    "#]]);
    scene.check(
        "simulate capacity.yaml --controller all --plan-out plan.csv",
        &expect![[r#"
        exit 2
        stderr:
        error: --plan-out is the plan of one controller and one seed
    "#]],
    );
}
