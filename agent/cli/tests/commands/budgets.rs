//! `slo`, `budget …`: what is asked, and how the answer reads.

use expect_test::{Expect, expect};

use crate::agent::{Agent, Reply};
use crate::command::Scene;

const SLOS: &str = r#"{"at":"2026-11-21T00:00:00Z","slos":[
{"slo":"checkout-availability","display_name":"Checkout answers","service":"checkout","window":"rolling 28d","is_critical":true,"objectives":[
{"name":"good","target":0.9995,"unread":null,"bad":1234.0,"total":5000000.0,"budget_left":0.5064,"coverage":0.981,"burn_rates":{"5m":33.04,"1h":20.1,"6h":3.2,"1d":1.1,"3d":0.6},"observed_until":"2026-11-20T23:59:30Z","exhaustion":{"p10":"2026-11-21T09:00:00Z","p50":"2026-11-21T14:20:00Z","p90":"2026-11-23T02:00:00Z","until":"2026-12-19T00:00:00Z"},"alerts":[
{"policy":"fast","severity":"page","verdict":"firing","since":"2026-11-20T23:41:00Z","why":"1h 20.1x of 14.4x, 5m 33.0x of 14.4x"},
{"policy":"slow","severity":"ticket","verdict":"pending","since":null,"why":"3d 0.60x of 1.0x, 6h 3.2x of 1.0x"}]}]},
{"slo":"search-latency","display_name":"Search is fast","service":"search","window":"calendar month, Europe/Berlin","is_critical":false,"objectives":[
{"name":"fast","target":0.99,"unread":null,"bad":0.0,"total":0.0,"budget_left":null,"coverage":0.0,"burn_rates":{"1h":null,"6h":null,"3d":null},"observed_until":null,"exhaustion":null,"alerts":[
{"policy":"silence","severity":"ticket","verdict":"no_data","since":null,"why":"1h was not observed"}]},
{"name":"very fast","target":0.5,"unread":"a source of type `Datadog` is not read","bad":0.0,"total":0.0,"budget_left":null,"coverage":0.0,"burn_rates":{},"observed_until":null,"exhaustion":null,"alerts":[]},
{"name":"spent","target":0.9,"unread":null,"bad":120.0,"total":1000.0,"budget_left":-0.2,"coverage":1.0,"burn_rates":{"1h":0.0,"6h":0.5,"3d":2.0},"observed_until":"2026-11-20T23:59:30Z","exhaustion":null,"alerts":[]}]}]}"#;

pub(crate) const BUDGETS: &str = r#"{"at":"2026-11-21T00:00:00Z","currency":"EUR","per_hour":12.345,"budgets":[
{"budget":"all-november","scope":"everything","slo":null,"window":"calendar month, UTC","from":"2026-11-01T00:00:00Z","until":"2026-12-01T00:00:00Z","allowance":10000.0,"spent":8123.4,"spent_ratio":0.81234,"per_hour":12.345,"burn_rates":{"1h":1.58,"6h":1.2},"exhaustion":{"p10":"2026-11-25T00:00:00Z","p50":"2026-11-27T07:10:00Z","p90":null,"until":"2026-12-01T00:00:00Z"},"is_estimated":true,"runaway":"spend grew by 42%, good requests by 1%","thresholds":[
{"name":"eighty","kind":"spent_ratio","when":"spent 80%","then":["notify","block_drills"],"crossed_since":"2026-11-20T11:00:00Z","why":"81.2% of it are spent"},
{"name":"all","kind":"spent_ratio","when":"spent 100%","then":["stop_scaling_out"],"crossed_since":null,"why":null}]},
{"budget":"acme","scope":{"tenant":"acme"},"slo":null,"window":"rolling 7d","from":"2026-11-14T00:00:00Z","until":"2026-11-21T00:00:00Z","allowance":50.0,"spent":3.0,"spent_ratio":0.06,"per_hour":0.02,"burn_rates":{"1h":0.1,"6h":null},"exhaustion":null,"is_estimated":false,"runaway":null,"thresholds":[]},
{"budget":"checkout-errors","scope":null,"slo":"checkout-availability","window":"rolling 28d","from":"2026-10-24T00:00:00Z","until":"2026-11-21T00:00:00Z","allowance":2500.0,"spent":2600.0,"spent_ratio":1.04,"per_hour":null,"burn_rates":{"1h":20.1,"6h":3.2},"exhaustion":null,"is_estimated":false,"runaway":null,"thresholds":[]}],
"services":[
{"service":"checkout","is_critical":true,"per_hour":9.2,"per_thousand_good":0.0123,"per_thousand_more":null,"days":[{"from":"2026-11-18T00:00:00Z","amount":100000000,"hours":24.0},{"from":"2026-11-19T00:00:00Z","amount":110000000,"hours":24.0},{"from":"2026-11-20T00:00:00Z","amount":50000000,"hours":11.5}]},
{"service":"search","is_critical":false,"per_hour":3.145,"per_thousand_good":null,"per_thousand_more":0.004,"days":[{"from":"2026-11-18T00:00:00Z","amount":20000000,"hours":24.0},{"from":"2026-11-19T00:00:00Z","amount":20000000,"hours":24.0}]}],
"tenants":[
{"tenant":"acme","value":2.5,"rps":120.0,"share_ratio":0.6,"quota_rps":100.0,"is_over_quota":true,"per_hour":7.4},
{"tenant":"tiny","value":1.0,"rps":80.0,"share_ratio":0.4,"quota_rps":null,"is_over_quota":false,"per_hour":4.9}],
"notes":["2 targets have no price\u001b[31m"]}"#;

/// Runs `line` in `scene`; `expected` begins with what was asked of the agent.
#[track_caller]
pub(crate) fn check_in(scene: &Scene, body: &str, line: &str, expected: &Expect) {
    let rules = ["GET /v1/slos", "GET /v1/budgets", "POST /v1/budgets/fits"]
        .map(|start| (start, Reply::Answer(200, body.to_owned())));
    let agent = Agent::start(scene.dir.path().join("a.sock"), &rules);
    let said = scene.said(&format!("{line} --socket a.sock"));
    expected.assert_eq(&format!("{}\n{said}", agent.asked()));
}

#[track_caller]
fn check(body: &str, line: &str, expected: &Expect) {
    check_in(&Scene::new(), body, line, expected);
}

#[test]
fn slos_are_a_table_with_the_worst_alert_of_each_objective() {
    check(
        SLOS,
        "slo",
        &expect![[r#"
        GET /v1/slos
        exit 0
        stdout:
        SLO                    OBJECTIVE  TARGET  LEFT    BURN 1H  6H     3D     EXHAUSTED             VERDICT        COVERAGE
        checkout-availability  good       99.95%  50.6%   20.1x    3.20x  0.60x  in 14h20m (9h..2d2h)  firing (page)  98.1%
        search-latency         fast       99%     -       -        -      -      -                     no_data        0.0%
        search-latency         very fast  50%     -       -        -      -      -                     not measured   0.0%
        search-latency         spent      90%     -20.0%  0.00x    0.50x  2.00x  spent                 -              100.0%
    "#]],
    );
}

#[test]
fn one_slo_is_shown_in_full() {
    check(
        SLOS,
        "slo checkout-availability",
        &expect![[r#"
        GET /v1/slos
        exit 0
        stdout:
        checkout-availability: Checkout answers
          service checkout, rolling 28d, critical: never starved to save money

        good 99.95%
          50.6% of the error budget is left: 1234 bad of 5000000
          98.1% of the window is covered, observed until 2026-11-20 23:59:30 UTC
          burn rates: 5m 33.0x, 1h 20.1x, 6h 3.20x, 1d 1.10x, 3d 0.60x
          exhausted: in 14h20m (9h..2d2h)
          ALERT  SEVERITY  VERDICT  SINCE                    WHY
          fast   page      firing   2026-11-20 23:41:00 UTC  1h 20.1x of 14.4x, 5m 33.0x of 14.4x
          slow   ticket    pending  -                        3d 0.60x of 1.0x, 6h 3.2x of 1.0x
    "#]],
    );
    check(
        SLOS,
        "slo search-latency",
        &expect![[r#"
        GET /v1/slos
        exit 0
        stdout:
        search-latency: Search is fast
          service search, calendar month, Europe/Berlin

        fast 99%
          no events in the window: neither good nor bad
          0.0% of the window is covered, nothing was observed yet
          burn rates: 1h -, 6h -, 3d -
          ALERT    SEVERITY  VERDICT  SINCE  WHY
          silence  ticket    no_data  -      1h was not observed

        very fast 50%
          not measured: a source of type `Datadog` is not read

        spent 90%
          the error budget is overspent by 20.0%: 120 bad of 1000
          100.0% of the window is covered, observed until 2026-11-20 23:59:30 UTC
          burn rates: 1h 0.00x, 6h 0.50x, 3d 2.00x
          exhausted: spent
    "#]],
    );
}

#[test]
fn an_slo_that_there_is_not_is_refused() {
    check(
        SLOS,
        "slo checkuot",
        &expect![[r#"
        GET /v1/slos
        exit 1
        stderr:
        refused: there is no SLO `checkuot`

        hint: `evenkeel slo` lists them
    "#]],
    );
}

#[test]
fn the_json_of_slos_is_what_the_agent_said() {
    let scene = Scene::new();
    let rules = [("GET /v1/slos", Reply::Answer(200, SLOS.to_owned()))];
    let _agent = Agent::start(scene.dir.path().join("a.sock"), &rules);
    let json = |line: &str| {
        let output = scene.output(&format!("{line} -o json --socket a.sock"));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let mut all: serde_json::Value = serde_json::from_str(SLOS).unwrap();
    assert_eq!(json("slo"), all);
    all["slos"].as_array_mut().unwrap().remove(0);
    assert_eq!(json("slo search-latency"), all);
}

#[test]
fn budgets_are_a_table_and_what_is_not_sure_is_below() {
    check(
        BUDGETS,
        "budget",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        2026-11-21 00:00:00 UTC: 12.35 EUR are spent per hour

        RUNAWAY of budget all-november: spend grew by 42%, good requests by 1%

        BUDGET           OF                               SPENT     ALLOWANCE  USED    PER HOUR  BURN 1H  6H     EXHAUSTED           CROSSED
        all-november     everything                       ~8123.40  10000.00   81.2%   12.35     1.58x    1.20x  in 6d7h (4d..>10d)  eighty
        acme             tenant acme                      3.00      50.00      6.0%    0.02      0.10x    -      -                   -
        checkout-errors  errors of checkout-availability  2600      2500       104.0%  -         20.1x    3.20x  spent               -

        note: 2 targets have no price�[31m
    "#]],
    );
    let same = |line: &str| {
        let scene = Scene::new();
        let rules = [("GET /v1/budgets", Reply::Answer(200, BUDGETS.to_owned()))];
        let _agent = Agent::start(scene.dir.path().join("a.sock"), &rules);
        scene.said(&format!("{line} --socket a.sock"))
    };
    assert_eq!(same("budget"), same("budget status"));
}

#[test]
fn one_budget_is_shown_with_its_thresholds() {
    check(
        BUDGETS,
        "budget status all-november",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        2026-11-21 00:00:00 UTC: 12.35 EUR are spent per hour

        RUNAWAY of budget all-november: spend grew by 42%, good requests by 1%

        all-november: everything, calendar month, UTC
          from 2026-11-01 00:00:00 UTC until 2026-12-01 00:00:00 UTC
          ~8123.40 of 10000.00 (81.2%)
          burn rates: 1h 1.58x, 6h 1.20x
          a part is estimated; see the notes
          exhausted: in 6d7h (4d..>10d)
          THRESHOLD  WHEN        THEN                  CROSSED SINCE            WHY
          eighty     spent 80%   notify, block_drills  2026-11-20 11:00:00 UTC  81.2% of it are spent
          all        spent 100%  stop_scaling_out      -                        -

        note: 2 targets have no price�[31m
    "#]],
    );
    check(
        BUDGETS,
        "budget status all-octobre",
        &expect![[r#"
        GET /v1/budgets
        exit 1
        stderr:
        refused: there is no budget `all-octobre`

        hint: `evenkeel budget` lists them
    "#]],
    );
}

#[test]
fn a_forecast_says_when_and_how_sure_that_is() {
    check(
        BUDGETS,
        "budget forecast",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        BUDGET           OF                               USED    10% BEFORE                50% BEFORE                  90% BEFORE        LOOKED UNTIL
        all-november     everything                       81.2%   2026-11-25 00:00 (in 4d)  2026-11-27 07:10 (in 6d7h)  later, if at all  2026-12-01 00:00
        acme             tenant acme                      6.0%    too little history        -                           -                 -
        checkout-errors  errors of checkout-availability  104.0%  spent                     -                           -                 -
        times are UTC
    "#]],
    );
}

#[test]
fn tenants_and_services_are_tables() {
    check(
        BUDGETS,
        "budget tenants",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        TENANT  VALUE  PER SECOND  SHARE  QUOTA  EUR PER HOUR  OVER
        acme    2.5    120.0       60.0%  100.0  7.40          over its quota
        tiny    1.0    80.0        40.0%  -      4.90          -
    "#]],
    );
    check(
        BUDGETS,
        "budget services",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        SERVICE   EUR PER HOUR  PER 1,000 GOOD  PER 1,000 MORE  CRITICAL
        checkout  9.20          0.0123          -               yes
        search    3.15          -               0.0040          -
    "#]],
    );
}

#[test]
fn an_empty_report_says_what_is_missing() {
    const NOTHING: &str = r#"{"at":"2026-11-21T00:00:00Z","currency":"USD","per_hour":null,"budgets":[],"services":[],"tenants":[],"notes":[]}"#;
    check(
        r#"{"at":"2026-11-21T00:00:00Z","slos":[]}"#,
        "slo",
        &expect![[r#"
        GET /v1/slos
        exit 0
        stdout:
        no SLOs; `evenkeel check` tells what the documents say
    "#]],
    );
    check(
        NOTHING,
        "budget",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        2026-11-21 00:00:00 UTC: what is spent per hour is not known yet

        no budgets; `evenkeel check` tells what the documents say
    "#]],
    );
    check(
        NOTHING,
        "budget forecast",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        no budgets; `evenkeel check` tells what the documents say
    "#]],
    );
    check(
        NOTHING,
        "budget tenants",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        no tenants are metered; a `Tenants` document names the query for them
    "#]],
    );
    check(
        NOTHING,
        "budget services",
        &expect![[r#"
        GET /v1/budgets
        exit 0
        stdout:
        what services cost is not known yet
    "#]],
    );
}

#[test]
fn a_drill_that_does_not_fit_is_exit_1() {
    check(
        r#"{"fits":true,"budget_left":0.5,"why":"it spends 5.0%, and 25.0% are kept"}"#,
        "budget fits checkout-availability --spends 5%",
        &expect![[r#"
            POST /v1/budgets/fits {"slo":"checkout-availability","spends_ratio":0.05}
            exit 0
            stdout:
            fits: it spends 5.0%, and 25.0% are kept; 50.0% is left
        "#]],
    );
    check(
        r#"{"fits":false,"budget_left":0.1,"why":"it spends 20.0% of 10.0%"}"#,
        "budget fits checkout-availability --spends 0.2",
        &expect![[r#"
            POST /v1/budgets/fits {"slo":"checkout-availability","spends_ratio":0.2}
            exit 1
            stdout:
            does not fit: it spends 20.0% of 10.0%; 10.0% is left
        "#]],
    );
}

#[test]
fn without_an_agent_the_way_out_is_shown() {
    for line in [
        "slo",
        "budget",
        "budget forecast",
        "budget tenants",
        "budget services",
        "budget fits checkout --spends 5%",
    ] {
        let said = Scene::new().said(line);
        assert!(said.starts_with("exit 3\n"), "{line}: {said}");
        assert!(said.contains("break-glass: "), "{line}: {said}");
    }
}

#[test]
fn wrong_usage_says_what_can_be_typed() {
    let table: String = [
        "slo a b",
        "slo rules",
        "budget fits checkout",
        "budget fits checkout --spends 0%",
        "budget fits checkout --spends 101%",
        "budget fits checkout --spends NaN",
        "budget reconcile",
        "budget reconcile x.csv --from yesterday",
        "budget reconcile x.csv --from 2026-11-02 --until 2026-11-02",
    ]
    .iter()
    .map(|line| {
        let said = Scene::new().said(line);
        let lines: Vec<&str> = said.lines().filter(|it| !it.is_empty()).take(4).collect();
        format!("{line}\n  {}\n", lines.join("\n  "))
    })
    .collect();
    expect![[r#"
        slo a b
          exit 2
          stderr:
          error: the subcommand 'b' cannot be used with '[SLO]'
          Usage: evenkeel slo [OPTIONS] [SLO]
        slo rules
          exit 2
          stderr:
          error: the following required arguments were not provided:
            <PATH>...
        budget fits checkout
          exit 2
          stderr:
          error: the following required arguments were not provided:
            --spends <SHARE>
        budget fits checkout --spends 0%
          exit 2
          stderr:
          error: invalid value '0%' for '--spends <SHARE>': write a share above 0% and up to 100%, such as `5%` or `0.05`
          For more information, try '--help'.
        budget fits checkout --spends 101%
          exit 2
          stderr:
          error: invalid value '101%' for '--spends <SHARE>': write a share above 0% and up to 100%, such as `5%` or `0.05`
          For more information, try '--help'.
        budget fits checkout --spends NaN
          exit 2
          stderr:
          error: invalid value 'NaN' for '--spends <SHARE>': write a share above 0% and up to 100%, such as `5%` or `0.05`
          For more information, try '--help'.
        budget reconcile
          exit 2
          stderr:
          error: the following required arguments were not provided:
            <FOCUS.csv>
        budget reconcile x.csv --from yesterday
          exit 2
          stderr:
          error: invalid value 'yesterday' for '--from <DATE>': write a date such as `2026-11-01`
          For more information, try '--help'.
        budget reconcile x.csv --from 2026-11-02 --until 2026-11-02
          exit 2
          stderr:
          error: `--until` must be after `--from`: it is the first day that is not compared
    "#]].assert_eq(&table);
}
