//! `budget reconcile`, `slo rules`: files in, a comparison or rules out.

use expect_test::expect;

use crate::budgets::{BUDGETS, check_in};
use crate::command::Scene;

/// Two whole days; `search` was billed a quarter more than was metered.
const BILL: &str = "\
BillingCurrency,ChargeCategory,ChargePeriodEnd,ChargePeriodStart,ConsumedQuantity,EffectiveCost,ServiceName,Tags
EUR,Usage,2026-11-19T00:00:00Z,2026-11-18T00:00:00Z,24,101.5,Compute,\"{\"\"service\"\":\"\"checkout\"\"}\"
EUR,Usage,2026-11-20T00:00:00Z,2026-11-19T00:00:00Z,24,109,Compute,\"{\"\"service\"\":\"\"checkout\"\"}\"
EUR,Usage,2026-11-19T00:00:00Z,2026-11-18T00:00:00Z,24,25,Compute,\"{\"\"service\"\":\"\"search\"\"}\"
EUR,Usage,2026-11-20T00:00:00Z,2026-11-19T00:00:00Z,24,25,Compute,\"{\"\"service\"\":\"\"search\"\"}\"
EUR,Usage,2026-11-21T00:00:00Z,2026-11-20T00:00:00Z,24,99,Compute,\"{\"\"service\"\":\"\"search\"\"}\"
EUR,Tax,2026-11-20T00:00:00Z,2026-11-19T00:00:00Z,,40,Tax,
USD,Usage,2026-11-20T00:00:00Z,2026-11-19T00:00:00Z,1,7,Compute,
";

#[test]
fn a_bill_is_compared_by_service_and_drift_is_exit_1() {
    let scene = Scene::new().file("bill.csv", BILL);
    check_in(
        &scene,
        BUDGETS,
        "budget reconcile bill.csv",
        &expect![[r#"
        GET /v1/budgets
        exit 1
        stdout:
        SERVICE   METERED  BILLED  DIFFERENCE  DRIFT
        checkout  210.00   210.50  -0.50       -0.2%
        search    40.00    50.00   -10.00      -20.0%, too large
        all       250.00   260.50  -10.50      -4.0%

        drift: 2 whole days compared, 10% is tolerated
        left out: 1 day that was not metered from begin to end
        left out: 1 row of taxes
        stderr:
        warning: 1 row in USD are left out, prices are in EUR
    "#]],
    );
}

#[test]
fn a_bill_that_agrees_is_exit_0() {
    let rows: Vec<&str> = BILL.lines().filter(|it| !it.contains("search")).collect();
    let ours = BUDGETS.replace(r#""service":"search","is_critical":false,"per_hour":3.145,"per_thousand_good":null,"per_thousand_more":0.004,"days":["#, r#""service":"search","is_critical":false,"per_hour":3.145,"per_thousand_good":null,"per_thousand_more":0.004,"days":[],"left":["#);
    let scene = Scene::new().file("bill.csv", rows.join("\n"));
    check_in(
        &scene,
        &ours,
        "budget reconcile bill.csv --from 2026-11-18 --until 2026-11-19",
        &expect![[r#"
            GET /v1/budgets
            exit 0
            stdout:
            SERVICE   METERED  BILLED  DIFFERENCE  DRIFT
            checkout  100.00   101.50  -1.50       -1.5%
            all       100.00   101.50  -1.50       -1.5%

            agrees: 1 whole day compared, 10% is tolerated
        "#]],
    );
}

#[test]
fn a_bill_of_other_days_compares_nothing() {
    let scene = Scene::new().file("bill.csv", BILL);
    check_in(
        &scene,
        BUDGETS,
        "budget reconcile bill.csv --from 2026-11-20",
        &expect![[r#"
            GET /v1/budgets
            exit 1
            stdout:
            SERVICE  METERED  BILLED  DIFFERENCE  DRIFT
            all      0.00     0.00    0.00        -
            left out: 1 day that was not metered from begin to end
            stderr:

            hint: nothing was compared: the bill and the agent have no whole day (UTC) in common; the agent keeps 40 days, and the day of today is not over
        "#]],
    );
}

#[test]
fn a_bill_with_a_fault_is_refused_with_its_place() {
    let scene = Scene::new()
        .file("bill.csv", BILL.replace(",101.5,", ",much,"))
        .file("latin.csv", b"EffectiveCost\n\xe9\n");
    let said = ["bill.csv", "latin.csv", "none.csv"]
        .map(|file| scene.said(&format!("budget reconcile {file}")))
        .concat();
    expect![[r#"
        exit 1
        stderr:
        error: cannot read the bill `bill.csv`
          cause: line 2, column 6: `much` is no number

        hint: export it in the FOCUS format, version 1.0 or later, as CSV
        exit 1
        stderr:
        error: `latin.csv` is not text in UTF-8

        hint: export the bill as CSV in UTF-8
        exit 1
        stderr:
        error: cannot read the bill `none.csv`
          cause: No such file or directory (os error 2)

        hint: check the path, and that you may read the file
    "#]]
    .assert_eq(&said);
}

const SLO: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata: { name: checkout-availability }
spec:
  service: checkout
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 28d, isRolling: true }]
  indicator:
    metadata: { name: checkout-good }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: Prometheus, spec: { query: 'http_requests_total{service=\"checkout\",code!~\"5..\"}' } } }
        total: { metricSource: { type: Prometheus, spec: { query: 'http_requests_total{service=\"checkout\"}' } } }
  objectives: [{ displayName: good, target: 0.9995 }]
";

/// No SLO.
const TARGET: &str = "\
apiVersion: evenkeel/v1
kind: Target
metadata: { name: checkout-api }
spec:
  region: eu-1
  provider: { webhook: { url: 'https://capacity.example.com/checkout', secret_file: /etc/evenkeel/hook } }
  capacity: { min: 3, max: 40 }
  lead_time: 3m
";

#[test]
fn the_rules_of_an_slo_are_yaml() {
    let scene = Scene::new().file("slo.yaml", SLO);
    let said = scene.said("slo rules slo.yaml");
    let yaml = said.strip_prefix("exit 0\nstdout:\n").unwrap_or_else(|| panic!("{said}"));
    assert!(yaml.starts_with("# Written by `evenkeel slo rules`"), "{yaml}");
    assert!(yaml.contains("EvenkeelSloBurn"), "{yaml}");
    let said = scene.said("slo rules slo.yaml --out rules.yaml");
    assert!(said.starts_with("exit 0\nstderr:\n1 SLO written to rules.yaml"), "{said}");
    assert_eq!(std::fs::read_to_string(scene.dir.path().join("rules.yaml")).unwrap(), yaml);
}

/// Runs `slo rules` over all kinds of documents that give less than was asked for.
#[track_caller]
fn check_rules(files: &str, exit: u8, says: &str) {
    let other = SLO.replace("type: Prometheus", "type: Datadog").replace("checkout-", "search-");
    let scene = Scene::new()
        .file("slo.yaml", SLO)
        .file("other.yaml", &other)
        .file("bad.yaml", SLO.replace("0.9995", "99.95"))
        .file("target.yaml", TARGET);
    let said = scene.said(&format!("slo rules {files}"));
    assert!(said.starts_with(&format!("exit {exit}\n")), "{files}: {said}");
    assert!(said.contains(says), "{files}: {said}");
}

#[test]
fn what_prometheus_cannot_be_told_is_said() {
    let left_out = "SLO `search-availability` is left out: ";
    check_rules("slo.yaml other.yaml --out r.yaml", 0, left_out);
    check_rules("slo.yaml other.yaml --out r.yaml", 0, "1 SLO written to r.yaml");
    check_rules("other.yaml", 1, "none of the SLOs can be told to Prometheus");
    check_rules("bad.yaml", 1, "bad.yaml:");
    check_rules("target.yaml", 1, "there is no SLO in these documents");
    check_rules("missing.yaml", 1, "cannot be read");
}
