//! `evenkeel simulate` of a region: services that call each other, and something breaks.
//!
//! **In:** a region of two services and half an hour, and the ready-made scenarios.
//! **Out:** tables, JSON, plans, pages, exit statuses.
//! **Not here:** whether the scores are right (`simulations/tests/region.rs`), one load
//! ([`super::simulate`]), interruptions ([`super::interrupted`]).

use std::path::Path;

use expect_test::expect;
use serde_json::Value;

use crate::command::Scene;

/// Half an hour in which the metrics are gone for five minutes. Who reads nothing as zero
/// removes what serves.
pub(crate) const KIOSK: &str = "\
apiVersion: evenkeel/v1
kind: Scenario
metadata: { name: a-kiosk }
spec:
  region:
    about: Nobody knows for five minutes what a kiosk sells.
    starts_at: 2026-03-02T12:00:00Z
    warm_up: 10m
    lasts: 30m
    services:
      - name: till
        kind: web
        load: { trough: 60, peak: 200, peak_hour: 14, weekend_ratio: 1, noise_ratio: 0.02 }
        calls: [{ service: stock, per_request: 1 }]
        unit: { slots: 4, service_time: 80ms, cpu_ratio: 0.7 }
        units: { start: 8, min: 2, max: 20 }
        objective: { latency: 1s, good_ratio: 0.99 }
        price_usd_per_hour: 0.2
      - name: stock
        kind: database
        unit: { slots: 8, service_time: 10ms, cpu_ratio: 0.6 }
        units: { start: 2, min: 2, max: 4 }
        objective: { latency: 200ms, good_ratio: 0.99 }
        price_usd_per_hour: 0.8
        scaled: false
    faults:
      - { at: 10m, for: 5m, backend_empty: {} }
    must:
      - { recover_within: 10m }
    must_not:
      - { remove: { service: till, from: 10m, until: 15m } }
    fails: [reflex]
";

/// A load for it, a value per minute: as long as it lasts, and always the same.
fn load() -> String {
    let rows = (0..30).map(|minute| format!("{},150\n", 1_772_452_800 + minute * 60));
    format!("timestamp,value\n{}", rows.collect::<String>())
}

pub(crate) fn scene() -> Scene {
    Scene::new().file("kiosk.yaml", KIOSK).file("load.csv", load())
}

pub(crate) fn json(said: &str) -> Value {
    let (_, text) = said.split_once("stdout:\n").expect("stdout");
    let text = text.split_once("stderr:\n").map_or(text, |(text, _)| text);
    serde_json::from_str(text).expect("JSON")
}

fn number(card: &Value, field: &str) -> f64 {
    card[field].as_f64().unwrap_or_else(|| panic!("{field} is a number: {card:#}"))
}

#[test]
fn the_controllers_of_a_region_are_side_by_side() {
    let said = scene().said("simulate kiosk.yaml --controller all");
    let (table, talk) = said.split_once("stderr:\n").expect("talk");
    let rows: Vec<Vec<&str>> = table.lines().map(|it| it.split_whitespace().collect()).collect();
    // Scores move with the agent; who is there, and who did what must never happen, does not.
    let ends: Vec<String> = rows[3..]
        .iter()
        .map(|row| format!("{} seed {}, {} violations", row[0], row[1], row[row.len() - 1]))
        .collect();
    expect![[r#"
        evenkeel seed 1, 0 violations
        hpa:70 seed 1, 0 violations
        tracking:70 seed 1, 0 violations
        static seed 1, 0 violations
        none seed 1, 0 violations
        oracle seed 1, 0 violations
        reflex seed 1, 1 violations
        healer seed 1, 0 violations"#]]
    .assert_eq(&ends.join("\n"));
    let head: Vec<&str> = table.lines().take(3).collect();
    expect![[r#"
        exit 0
        stdout:
        CONTROLLER   SEED  GOOD %   BAD S  LOST %  COST/ORACLE  COST USD  CHANGES  PAGES  MTTD S  MTTR S  VIOLATIONS"#]]
    .assert_eq(&head.join("\n"));
    assert!(talk.starts_with("0.7 h of virtual time per run, all in "), "{talk}");
    assert!(talk.contains("s; Nobody knows for five minutes what a kiosk sells.\n"), "{talk}");
    assert!(talk.contains("\nseed 1: against no agent at all, "), "{talk}");
}

#[test]
fn a_scorecard_of_a_region_has_every_field_of_the_contract() {
    let card = json(&scene().said("simulate kiosk.yaml -o json"));
    let fields: Vec<&str> = card.as_object().expect("one").keys().map(String::as_str).collect();
    expect![[r#"
        capacity_changes
        controller
        cost_ratio
        cost_usd
        lost_requests
        mttd_seconds
        mttr_seconds
        oracle_cost_usd
        pages
        partial
        scenario
        seed
        simulated_seconds
        slo_bad_seconds
        slo_good_ratio
        tau_o
        tau_u
        theta_o
        theta_u
        trace_sha256
        unserved_ratio
        violations
        wall_seconds"#]]
    .assert_eq(&fields.join("\n"));
    assert_eq!(card["scenario"], "a-kiosk");
    assert_eq!(card["controller"], "evenkeel");
    assert_eq!(card["simulated_seconds"], 2_400);
    assert_eq!(card["partial"], false);
    assert_eq!(card["violations"], Value::Array(Vec::new()));
    assert!(card["slo_bad_seconds"].is_u64(), "{card:#}");
    for field in ["cost_ratio", "cost_usd", "oracle_cost_usd"] {
        assert!(0.0 < number(&card, field), "{card:#}");
    }
    for field in ["lost_requests", "unserved_ratio", "slo_good_ratio"] {
        assert!(0.0 <= number(&card, field), "{card:#}");
    }
}

#[test]
fn what_must_never_happen_is_exit_10_and_reproducible() {
    let said = scene().said("simulate kiosk.yaml --controller reflex --seed 3 -o json");
    assert!(said.starts_with("exit 10\n"), "{said}");
    let (_, talk) = said.split_once("stderr:\n").expect("talk");
    let first = talk.lines().next().expect("a line");
    assert!(first.starts_with("error: reflex: must_not: remove at 2026-03-02T12:1"), "{talk}");
    let hint = "hint: reproduce with `evenkeel simulate kiosk.yaml --controller reflex --seed 3`\n";
    assert!(talk.ends_with(hint), "{talk}");
    let violations = json(&said)["violations"].clone();
    assert_eq!(violations[0]["invariant"], "must_not: remove", "{violations:#}");
    // The same command shows the same.
    let again = scene().said("simulate kiosk.yaml --controller reflex --seed 3 -o json");
    assert_eq!(json(&again)["trace_sha256"], json(&said)["trace_sha256"]);
}

#[test]
fn what_must_be_reached_and_is_not_is_exit_11() {
    let wish = "    must:\n      - { ready_at_least: { service: till, units: 21 } }\n";
    let wishful = KIOSK.replacen("    must:\n", wish, 1);
    let said = scene().file("wishful.yaml", wishful).said("simulate wishful.yaml -o json");
    assert!(said.starts_with("exit 11\n"), "{said}");
    let violation = json(&said)["violations"][0].clone();
    assert_eq!(violation["invariant"], "must: ready_at_least", "{violation:#}");
    assert!(said.contains("hint: reproduce with `evenkeel simulate wishful.yaml"), "{said}");
}

#[test]
fn beside_others_only_the_agent_is_on_trial() {
    let all = json(&scene().said("simulate kiosk.yaml --controller all -o json"));
    let of = |name: &str| {
        let cards = all.as_array().expect("a list");
        cards.iter().find(|it| it["controller"] == name).expect("a card").clone()
    };
    assert_eq!(of("reflex")["violations"].as_array().map(Vec::len), Some(1));
    let alone = json(&scene().said("simulate kiosk.yaml -o json"));
    assert_eq!(of("evenkeel")["trace_sha256"], alone["trace_sha256"]);
}

#[test]
fn controllers_that_are_not_there_are_refused_with_those_that_are() {
    let scene = scene()
        .file("capacity.yaml", include_str!("../../../../simulations/scenarios/capacity.yaml"));
    scene.check("simulate capacity.yaml --controller reflex", &expect![[r#"
        exit 1
        stderr:
        error: `reflex` is not a controller; there are `evenkeel`, `hpa`, `hpa:85`, `tracking`, `static`, `none` and `oracle`

        hint: `reflex` and `healer` need a scenario with a region
    "#]]);
    scene.check("simulate kiosk.yaml --controller keda", &expect![[r#"
        exit 2
        stderr:
        error: invalid value 'keda' for '--controller <C>': `keda` is not a controller; there are `evenkeel`, `hpa`, `hpa:85`, `tracking`, `static`, `none` and `oracle`, for regions also `reflex` and `healer`, and `all` of them

        For more information, try '--help'.
    "#]]);
    scene.check("simulate kiosk.yaml --controller tracking:0", &expect![[r#"
        exit 2
        stderr:
        error: invalid value 'tracking:0' for '--controller <C>': `0` is not a target of tracking; write a percentage from 1 to 100, such as `tracking:60`

        For more information, try '--help'.
    "#]]);
    scene.check("simulate kiosk.yaml --controller healer:5", &expect![[r#"
        exit 2
        stderr:
        error: invalid value 'healer:5' for '--controller <C>': `healer:5` is not a controller; there are `evenkeel`, `hpa`, `hpa:85`, `tracking`, `static`, `none` and `oracle`, for regions also `reflex` and `healer`, and `all` of them

        For more information, try '--help'.
    "#]]);
}

#[test]
fn a_report_is_one_page_that_names_the_runs_and_loads_nothing() {
    let scene = scene();
    let said = scene.said("simulate ./kiosk.yaml --controller all --report page.html");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let page = std::fs::read_to_string(scene.dir.path().join("page.html")).expect("a page");
    assert!(page.contains("<h1>a-kiosk</h1>"));
    assert!(page.contains("Nobody knows for five minutes what a kiosk sells."));
    for controller in
        ["evenkeel", "hpa:70", "tracking:70", "static", "none", "oracle", "reflex", "healer"]
    {
        assert!(page.contains(&format!("<h2>{controller}</h2>")), "{controller}");
        let line = format!("evenkeel simulate ./kiosk.yaml --seed 1 --controller {controller}\n");
        assert!(page.contains(&line), "{line}");
    }
    // The name of a kind of drawing, which nobody asks for.
    let elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"));
}

#[test]
fn the_commands_on_a_page_run() {
    let scene = scene().file("a kiosk's.yaml", KIOSK);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["simulate", "a kiosk's.yaml", "--controller", "none", "--report", "page.html"])
        .current_dir(scene.dir.path())
        .output()
        .expect("evenkeel runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(scene.dir.path().join("page.html")).expect("a page");
    let (_, rest) = page.split_once("<pre tabindex=\"0\"><code>").expect("commands");
    let (commands, _) = rest.split_once("</code>").expect("commands");
    let command = commands.trim().replace("&#39;", "'");
    let evenkeel = Path::new(env!("CARGO_BIN_EXE_evenkeel")).parent().expect("a folder");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &command])
        .env("PATH", evenkeel)
        .current_dir(scene.dir.path())
        .output()
        .expect("a shell runs")
        .status;
    assert!(status.success(), "{command}");
}

#[test]
fn a_page_of_too_many_runs_and_a_plan_of_several_are_refused() {
    let scene = scene();
    scene.check(
        "simulate kiosk.yaml --seeds 1..14 --report page.html",
        &expect![[r#"
        exit 2
        stderr:
        error: --report shows at most 12 runs; name fewer seeds
    "#]],
    );
    scene.check(
        "simulate kiosk.yaml --controller all --plan-out plan.csv",
        &expect![[r#"
        exit 2
        stderr:
        error: --plan-out is the plan of one controller and one seed
    "#]],
    );
    scene.check(
        "simulate kiosk.yaml --scale 2",
        &expect![[r#"
        exit 2
        stderr:
        error: the following required arguments were not provided:
          --workload <FILE>

        Usage: evenkeel simulate --workload <FILE> --scale <X> <SCENARIO>

        For more information, try '--help'.
    "#]],
    );
    scene.check(
        "simulate kiosk.yaml --workload load.csv --scale 0",
        &expect![[r#"
        exit 2
        stderr:
        error: invalid value '0' for '--scale <X>': write a number from 0.001 to 1000

        For more information, try '--help'.
    "#]],
    );
    for file in ["page.html", "plan.csv"] {
        assert!(!scene.dir.path().join(file).exists(), "{file}");
    }
}

#[test]
fn the_plan_of_a_region_is_a_row_at_every_change_until_the_end() {
    let scene = scene();
    let said = scene.said("simulate kiosk.yaml --controller oracle --plan-out plan.csv");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let plan = std::fs::read_to_string(scene.dir.path().join("plan.csv")).expect("a plan");
    let mut lines = plan.lines();
    assert_eq!(lines.next(), Some("timestamp,demand,desired,ready"));
    let rows: Vec<Vec<i64>> = lines
        .map(|line| line.split(',').map(|it| it.parse().expect("a number")).collect())
        .collect();
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    assert!((1_772_452_800..1_772_452_860).contains(&first[0]), "{plan}");
    assert_eq!(last[0], 1_772_452_800 + 1_800, "{plan}");
    for pair in rows.windows(2) {
        assert!(pair[0][0] <= pair[1][0], "{plan}");
        assert!(pair[0][1..] != pair[1][1..] || pair[1] == *last, "nothing changed: {plan}");
    }
}

#[test]
fn a_recorded_load_is_followed_at_any_scale() {
    let scene = scene();
    let card = |options: &str| {
        let line = format!("simulate kiosk.yaml --controller oracle -o json {options}");
        json(&scene.said(&line))
    };
    let usual = card("--workload load.csv");
    assert_eq!(card("--workload load.csv --scale 1")["trace_sha256"], usual["trace_sha256"]);
    let double = card("--workload load.csv --scale 2");
    let ratio = number(&double, "oracle_cost_usd") / number(&usual, "oracle_cost_usd");
    assert!((1.3..=2.0).contains(&ratio), "{ratio}");
    // Its own curve, and the recorded load, are as long as each other here.
    for card in [&usual, &double, &card("")] {
        assert_eq!(card["simulated_seconds"], 2_400);
    }
    assert_ne!(card("")["trace_sha256"], usual["trace_sha256"]);
}

#[test]
fn every_ready_made_scenario_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../simulations/scenarios")
        .canonicalize()
        .expect("a folder");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the scenarios are there")
        .map(|it| it.expect("readable").path())
        .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    assert!(25 <= files.len(), "{files:?}");
    let half = files.len().div_ceil(2);
    // Two at a time, as there are two cores.
    let bad = std::thread::scope(|scope| {
        let halves: Vec<_> = files
            .chunks(half)
            .map(|files| {
                scope.spawn(move || {
                    let bad = files.iter().filter_map(|file| {
                        let said = Scene::new().said(&format!("simulate '{}'", file.display()));
                        (!said.starts_with("exit 0\n"))
                            .then(|| format!("{}\n{said}", file.display()))
                    });
                    bad.collect::<Vec<_>>()
                })
            })
            .collect();
        halves.into_iter().flat_map(|it| it.join().expect("it runs")).collect::<Vec<_>>()
    });
    assert!(bad.is_empty(), "{} failed:\n{}", bad.len(), bad.join("\n"));
}
