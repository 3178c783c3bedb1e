//! `evenkeel replay`, against a real Prometheus with a written-down past.
//!
//! Needs `prometheus` and `promtool`; `make test-parts` installs them.

use std::fmt::Write as _;

use evenkeel_testbed::Proxy;
use evenkeel_testbed::port::free_port;
use evenkeel_testbed::prometheus::{self, Prometheus};
use expect_test::{Expect, expect};
use serde_json::Value;

use crate::command::Scene;
use crate::interrupted::interrupt;

/// 2026-01-05T00:00:00Z, a Monday.
const FROM: i64 = 1_767_571_200;
const STEP: i64 = 60;
const HOURS: usize = 8;
const LEAD: i64 = 180;
const PRICE: f64 = 0.25;

/// The load of a service, minute by minute; `None` is a gap.
fn load_of(service: &str) -> Vec<Option<f64>> {
    let value = |minute: i32| match service {
        // Steps up and down, and half an hour without any metric.
        "checkout" if (300..330).contains(&minute) => None,
        "checkout" if (120..240).contains(&minute) => Some(1_220.0),
        "checkout" => Some(480.0),
        // A slope with a bump.
        _ if (60..75).contains(&minute) => Some(900.0),
        _ => Some(200.0 + f64::from(minute)),
    };
    (0..i32::try_from(HOURS).expect("small") * 60).map(value).collect()
}

/// Load, and the capacity that there was: always 12.
fn past() -> Prometheus {
    let mut text = String::new();
    for service in ["checkout", "search"] {
        let labels = [("service", service)];
        let minutes = (FROM..).step_by(60).zip(load_of(service));
        let samples = minutes.filter_map(|(at, value)| Some((at, value?)));
        text += &prometheus::history("load", &labels, samples);
        let units = (FROM..).step_by(60).zip(load_of(service)).map(|(at, _)| (at, 12.0));
        text += &prometheus::history("units", &labels, units);
    }
    // Without the flag a gap would begin five minutes late.
    let options = prometheus::Options::new().flag("--query.lookback-delta=59s");
    options.backfill_openmetrics(&text).start()
}

fn policy(value_per_unit: u32, query: &str) -> String {
    format!(
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: {{ name: web }}\nspec:\n  \
         selector: {{ match_labels: {{ tier: web }} }}\n  autonomy: suggest\n  \
         target_label: service\n  signals:\n    \
         - {{ name: requests, query: \"{query}\", value_per_unit: {value_per_unit} }}\n    \
         - {{ name: p95, query: p95, latency_objective: {{ objective: 250ms }} }}\n  \
         headroom_ratio: 0.1\n  tolerance_ratio: 0\n  \
         scale_up: {{ stabilization: 0s, cooldown: 0s, step: {{ units: 50, ratio: 1.0 }} }}\n  \
         scale_down: {{ stabilization: 10m, cooldown: 0s, step: {{ units: 50, ratio: 1.0 }} }}\n"
    )
}

const TARGETS: &str = "\
apiVersion: evenkeel/v1
kind: Target
metadata: { name: checkout, labels: { tier: web } }
spec:
  region: eu-west-1
  provider: { simulated: { service: checkout } }
  capacity: { min: 1, max: 60 }
  price_usd_per_hour: 0.25
  lead_time: 3m
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: find, labels: { tier: web, service: search } }
spec:
  region: eu-west-1
  provider: { simulated: { service: search } }
  capacity: { min: 1, max: 60 }
  price_usd_per_hour: 0.25
  lead_time: 3m
---
apiVersion: evenkeel/v1
kind: Guardrail
metadata: { name: free }
spec:
  selector: { everything: true }
  blast_radius: { window: 1m, removed_ratio_max: 1.0 }
";

fn scene() -> Scene {
    Scene::new()
        .file("targets.yaml", TARGETS)
        .file("a.yaml", policy(50, "sum by (service) (load)"))
        .file("b.yaml", policy(100, "sum by (service) (load)"))
        .file("faulty.yaml", policy(50, "sum by (service) (rate(load))"))
        .file("nothing.yaml", policy(50, "sum by (service) (lode)"))
        .file("token", "s3cret-token\n")
}

const SPAN: &str = "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z";

/// What a target's plan comes to, second by second: missed seconds and unit-seconds.
fn plainly(plan: &str, load: &[Option<f64>], value_per_unit: f64) -> (i64, i64) {
    let rows: Vec<(i64, i64)> = plan
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].parse().expect("a time"), cells[3].parse().expect("ready units"))
        })
        .collect();
    let (mut missed, mut units) = (0, 0);
    for second in 0..i64::try_from(HOURS).expect("small") * 3_600 {
        let at = FROM + second;
        let ready = rows.iter().rev().find(|it| it.0 <= at).expect("a row").1;
        units += ready;
        let minute = usize::try_from(second / STEP).expect("small");
        if let Some(value) = load[minute] {
            let carried = f64::from(i32::try_from(ready).expect("small")) * value_per_unit;
            missed += i64::from(carried < value);
        }
    }
    (missed, units)
}

fn card<'a>(cards: &'a Value, target: Option<&str>, controller: &str) -> &'a Value {
    let all = cards.as_array().expect("a list of scorecards");
    let of = |it: &&Value| it["target"].as_str() == target && it["controller"] == controller;
    all.iter().find(of).unwrap_or_else(|| panic!("no {target:?} of {controller}: {cards}"))
}

#[test]
fn two_versions_are_worth_what_plain_arithmetic_says() {
    let prometheus = past();
    let scene = scene();
    let replay = |one: &str, other: &str, target: &str| -> (Value, String) {
        let line = format!(
            "replay -o json --prometheus {} {SPAN} targets.yaml {one} --against targets.yaml \
             --against {other} --capacity-query 'sum by (service) (units)' --plan-out plan.csv",
            prometheus.url()
        );
        let _ = scene.output(&format!("{line} --target {target}"));
        let plan = std::fs::read_to_string(scene.dir.path().join("plan.csv")).expect("a plan");
        let output = scene.output(&line.replace("--plan-out plan.csv", ""));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        (serde_json::from_slice(&output.stdout).expect("JSON"), plan)
    };
    for (target, service) in [("checkout", "checkout"), ("find", "search")] {
        for (one, other, per_unit) in [("a.yaml", "b.yaml", 50.0), ("b.yaml", "a.yaml", 100.0)] {
            let (cards, plan) = replay(one, other, target);
            let (missed, units) = plainly(&plan, &load_of(service), per_unit);
            let card = card(&cards, Some(target), "evenkeel");
            assert_eq!(card["missed_seconds"], missed, "{target} {one}\n{card:#}\n{plan}");
            let cost = card["cost_usd"].as_f64().expect("a cost");
            let units = f64::from(i32::try_from(units).expect("small"));
            assert!((cost - units / 3_600.0 * PRICE).abs() < 1e-6, "{target} {one}: {cost}");
            assert!(0 < card["capacity_changes"].as_i64().expect("a count"));
        }
    }
    // What was there all the time: 12 units of 50 are too few for 1,220.
    let (cards, _) = replay("a.yaml", "b.yaml", "find");
    let was = card(&cards, Some("checkout"), "recorded");
    assert_eq!(was["missed_seconds"], 7_200);
    assert!((was["cost_usd"].as_f64().expect("a cost") - 12.0 * 8.0 * PRICE).abs() < 1e-9);
    let (one, other) = (card(&cards, None, "evenkeel"), card(&cards, None, "evenkeel (against)"));
    assert!(other["cost_usd"].as_f64() < one["cost_usd"].as_f64(), "{cards:#}");
    for card in [one, other] {
        assert_eq!((&card["scenario"], &card["seed"]), (&Value::from("replay"), &Value::from(0)));
        assert_eq!(card["unjudged_seconds"], 1_800);
        assert_eq!(card["violations"], Value::Array(Vec::new()));
        assert_eq!(card["trace_sha256"].as_str().map(str::len), Some(64));
    }
    assert_eq!(LEAD % STEP, 0);
}

/// What it says, with what differs from run to run replaced.
fn said(scene: &Scene, line: &str, at: &str) -> String {
    let said = scene.said(line).replace(at, "URL");
    let mut shown = String::new();
    for line in said.lines() {
        match line.split_once(" in ") {
            Some((before, after)) if after.contains(" s, a look every") => {
                let rest = after.split_once(" s, ").map_or(after, |it| it.1);
                let _ = writeln!(shown, "{before} in N s, {rest}");
            }
            _ => {
                let _ = writeln!(shown, "{line}");
            }
        }
    }
    shown
}

#[track_caller]
fn check(scene: &Scene, line: &str, at: &str, expected: &Expect) {
    expected.assert_eq(&said(scene, line, at));
}

#[test]
fn people_see_versions_side_by_side_and_what_was_missed() {
    let prometheus = past();
    let line = format!(
        "replay --prometheus {} {SPAN} targets.yaml a.yaml --against targets.yaml --against b.yaml \
         --capacity-query 'sum by (service) (units)'",
        prometheus.url()
    );
    check(
        &scene(),
        &line,
        prometheus.url(),
        &expect![[r#"
        exit 0
        stdout:
        TARGET    VERSION             MISSED %  MISSED  TIMES  COST USD  COST/ORACLE  CHANGES  UNSERVED %  NO DATA
        checkout  evenkeel            0.667     3m      1      30.44     1.107        3        0.659       30m
        checkout  evenkeel (against)  0.667     3m      1      16.45     1.174        3        0.610       30m
        checkout  recorded            26.667    2h      1      24.00     0.857        0        24.409      30m
        find      evenkeel            0.625     3m      1      21.67     1.121        12       0.816       0s
        find      evenkeel (against)  0.625     3m      1      11.58     1.137        7        0.816       0s
        find      recorded            19.583    1h34m   2      24.00     1.241        0        3.475       0s
        (all)     evenkeel            0.645     6m      2      52.12     1.113        15       0.725       30m
        (all)     evenkeel (against)  0.645     6m      2      28.03     1.158        10       0.697       30m
        (all)     recorded            23.011    3h34m   3      48.00     1.020        0        15.623      30m

        missed, longest first:
        TARGET    VERSION             FROM                  UNTIL                 FOR    SHORT BY
        checkout  recorded            2026-01-05T02:00:00Z  2026-01-05T04:00:00Z  2h     13
        find      recorded            2026-01-05T06:41:00Z  2026-01-05T08:00:00Z  1h19m  2
        find      recorded            2026-01-05T01:00:00Z  2026-01-05T01:15:00Z  15m    6
        checkout  evenkeel            2026-01-05T02:00:00Z  2026-01-05T02:03:00Z  3m     14
        checkout  evenkeel (against)  2026-01-05T02:00:00Z  2026-01-05T02:03:00Z  3m     7
        find      evenkeel            2026-01-05T01:00:00Z  2026-01-05T01:03:00Z  3m     12
        find      evenkeel (against)  2026-01-05T01:00:00Z  2026-01-05T01:03:00Z  3m     6

        what held it back:
        VERSION             CAUSE             TIMES  FOR  FIRST                 EXAMPLE
        evenkeel            no_usable_signal  1      30m  2026-01-05T05:00:00Z  keeping 11: no usable signal (`requests`: the query returned no series for this target)
        evenkeel (against)  no_usable_signal  1      30m  2026-01-05T05:00:00Z  keeping 6: no usable signal (`requests`: the query returned no series for this target)
        stderr:
        warning: evenkeel: policy `web`: signal `p95` depends on the capacity that there was, so it is not replayed
        warning: evenkeel: policy `web`: replayed as `auto`, it is `suggest`
        warning: evenkeel (against): policy `web`: signal `p95` depends on the capacity that there was, so it is not replayed
        warning: evenkeel (against): policy `web`: replayed as `auto`, it is `suggest`

        8h in N s, a look every 1m. Missed: a ready unit had to carry more than `value_per_unit`.
        People, outside changes and failing providers are not replayed; time without a recorded load (no data) is not judged.
    "#]],
    );
}

#[test]
fn what_prometheus_says_is_passed_on() {
    let prometheus = past();
    let scene = scene();
    let ask = |options: &str| format!("replay --prometheus {} {options}", prometheus.url());
    let url = prometheus.url();
    check(
        &scene,
        &ask(&format!("{SPAN} targets.yaml faulty.yaml")),
        url,
        &expect![[r#"
        exit 1
        stderr:
        error: policy `web`, signal `requests`: Prometheus refused the query: bad_data: 1:24: parse error: expected type range vector in call to function "rate", got instant vector

        hint: try the query in Prometheus itself, then correct it in the document
    "#]],
    );
    check(
        &scene,
        &ask(&format!("{SPAN} targets.yaml nothing.yaml")),
        url,
        &expect![[r#"
        exit 1
        stderr:
        error: no target can be replayed
        warning: policy `web`: signal `p95` depends on the capacity that there was, so it is not replayed
        warning: policy `web`: replayed as `auto`, it is `suggest`
        warning: target `checkout`: the load queries of policy `web` returned no series with service="checkout", so it is left out
        warning: target `find`: the load queries of policy `web` returned no series with service="search", so it is left out

        hint: try the query in Prometheus at that time: does it keep that long, and is the label of the result the policy's `target_label`?
    "#]],
    );
    let early = "--from 2025-01-05T00:00:00Z --to 2025-01-05T08:00:00Z";
    let said = said(&scene, &ask(&format!("{early} targets.yaml a.yaml")), url);
    assert!(said.starts_with("exit 1\n") && said.contains("does it keep that long"), "{said}");
}

#[test]
fn a_question_that_makes_no_sense_is_refused_with_both_numbers() {
    let scene = scene();
    let at = format!("http://127.0.0.1:{}", free_port());
    let table: String = [
        "--from 2026-01-05T08:00:00Z --to 2026-01-05T00:00:00Z targets.yaml a.yaml",
        "--from 2024-01-05T08:00:00Z --to 2026-01-05T00:00:00Z targets.yaml a.yaml",
        "--from 2025-01-05T08:00:00Z --to 2026-01-05T00:00:00Z --step 15s targets.yaml a.yaml",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z --step 5s targets.yaml a.yaml",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z --step 5m targets.yaml a.yaml",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T00:00:30Z targets.yaml a.yaml",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml a.yaml --plan-out p.csv",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml a.yaml --target nobody",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z missing.yaml",
        "--from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml a.yaml",
    ]
    .iter()
    .map(|options| {
        let said = said(&scene, &format!("replay --prometheus {at} {options}"), &at);
        format!("{options}\n{said}\n")
    })
    .collect();
    expect![[r#"
        --from 2026-01-05T08:00:00Z --to 2026-01-05T00:00:00Z targets.yaml a.yaml
        exit 2
        stderr:
        error: `--from` (2026-01-05T08:00:00Z) is not before `--to` (2026-01-05T00:00:00Z)

        hint: give an earlier `--from` or a later `--to`

        --from 2024-01-05T08:00:00Z --to 2026-01-05T00:00:00Z targets.yaml a.yaml
        exit 2
        stderr:
        error: from 2024-01-05T08:00:00Z to 2026-01-05T00:00:00Z are 730 days, at most 400 are replayed

        hint: replay it in parts

        --from 2025-01-05T08:00:00Z --to 2026-01-05T00:00:00Z --step 15s targets.yaml a.yaml
        exit 2
        stderr:
        error: that is 2100480 steps per target, at most 1000000 are replayed

        hint: give a longer `--step`, or a shorter time

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z --step 5s targets.yaml a.yaml
        exit 2
        stderr:
        error: a step of 5s is not whole seconds from 15s to 1m

        hint: the daemon looks every 15s; after a longer silence than 1m it would not remove anything

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z --step 5m targets.yaml a.yaml
        exit 2
        stderr:
        error: a step of 5m is not whole seconds from 15s to 1m

        hint: the daemon looks every 15s; after a longer silence than 1m it would not remove anything

        --from 2026-01-05T00:00:00Z --to 2026-01-05T00:00:30Z targets.yaml a.yaml
        exit 2
        stderr:
        error: from 2026-01-05T00:00:00Z to 2026-01-05T00:00:30Z there is not one whole step of 1m

        hint: replay a longer time

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml a.yaml --plan-out p.csv
        exit 2
        stderr:
        error: `--plan-out` is the plan of one target, and the documents have several

        hint: name it with `--target`

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml a.yaml --target nobody
        exit 1
        stderr:
        error: there is no target `nobody` in the documents

        hint: check its name, and that its file is among those that are named

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml
        exit 1
        stderr:
        error: no target can be replayed
        warning: target `checkout`: no policy selects it, so it is left out
        warning: target `find`: no policy selects it, so it is left out

        hint: name all files: targets, and the policies that select them

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z missing.yaml
        exit 1
        stderr:
        error: cannot be read: No such file or directory (os error 2)
          --> missing.yaml:1:1
        hint: check the path; a pattern such as *.yaml is the shell's to expand

        --from 2026-01-05T00:00:00Z --to 2026-01-05T08:00:00Z targets.yaml a.yaml
        exit 1
        stderr:
        error: Prometheus cannot be reached at `URL/`: Connection refused (os error 111)

        hint: check the address, and that you may connect from here; for a private certificate authority, `--ca-file FILE`

    "#]].assert_eq(&table);
}

#[test]
fn a_url_never_holds_a_secret() {
    let scene = scene();
    for (url, word) in [
        ("https://ana:hunter2@metrics", "must not contain a user"),
        ("https://metrics/?token=hunter2", "must end with the path"),
        ("ftp://metrics", "must begin with https://"),
        ("metrics:9090", "must begin with https://"),
        ("http://metrics --bearer-token-file token", "could read the token"),
    ] {
        let said = scene.said(&format!("replay {SPAN} targets.yaml a.yaml --prometheus {url}"));
        assert!(said.starts_with("exit 2\n") && said.contains(word), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_token_is_sent_and_never_shown() {
    let prometheus = past();
    let proxy = Proxy::start(prometheus.url());
    proxy.require_header("authorization", "Bearer s3cret-token");
    let scene = scene();
    let line = |options: &str| {
        format!("replay --prometheus {} {SPAN} {options} targets.yaml a.yaml", proxy.url())
    };
    let refused = scene.said(&line(""));
    assert!(
        refused.starts_with("exit 1\n") && refused.contains("--bearer-token-file"),
        "{refused}"
    );
    let said = scene.said(&line("--bearer-token-file token"));
    assert!(said.starts_with("exit 0\n"), "{said}");
    // A server that repeats what it was sent.
    let body = r#"{"status":"error","errorType":"bad_data","error":"who is s3cret-token?"}"#;
    proxy.answer("query_range", 1, 400, body);
    let said = scene.said(&line("--bearer-token-file token"));
    assert!(said.contains("who is [hidden]?") && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_prometheus_that_stumbles_is_asked_again_and_a_heavy_piece_is_halved() {
    let prometheus = past();
    let proxy = Proxy::start(prometheus.url());
    let scene = scene();
    let line = format!("replay -o json --prometheus {} {SPAN} targets.yaml a.yaml", proxy.url());
    let whole = scene.output(&line).stdout;
    let n_queries = proxy.count_matching("query_range");
    proxy.answer("query_range", 2, 503, "starting");
    let again = scene.output(&line).stdout;
    assert_eq!(proxy.count_matching("query_range"), 2 * n_queries + 2);
    let heavy = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
    proxy.answer("query_range", 1, 422, heavy);
    let halved = scene.output(&line).stdout;
    assert_eq!(proxy.count_matching("query_range"), 2 * n_queries + 2 + n_queries + 2);
    let traces = [whole, again, halved].map(|it| {
        let cards: Value = serde_json::from_slice(&it).expect("JSON");
        cards
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["trace_sha256"].to_string())
            .collect::<Vec<_>>()
    });
    assert_eq!(traces[0], traces[1]);
    assert_eq!(traces[0], traces[2]);
}

#[test]
fn an_interrupted_replay_reports_the_part_that_ran() {
    let prometheus = past();
    let scene = scene();
    let url = prometheus.url();
    // A year: the metrics are of its last hours.
    let process = interrupt(
        &scene,
        &[
            "replay",
            "-o",
            "json",
            "--prometheus",
            url,
            "--from",
            "2025-01-06T00:00:00Z",
            "--to",
            "2026-01-05T08:00:00Z",
            "--against",
            "targets.yaml",
            "--against",
            "b.yaml",
            "--capacity-query",
            "sum by (service) (units)",
            "targets.yaml",
            "a.yaml",
        ],
    );
    let cards: Value = serde_json::from_str(&process.stdout()).expect("JSON");
    let cards = cards.as_array().expect("a list");
    assert!(!cards.is_empty());
    let parts = cards.iter().filter(|it| it["partial"] == true).count();
    assert!(0 < parts, "{cards:#?}");
    assert!(cards.iter().all(|it| it["controller"] != "recorded"), "{cards:#?}");
    assert!(
        process.stderr().contains("warning: the replay was stopped after "),
        "{}",
        process.stderr()
    );
}
