//! One good document, and one change at a time.

use std::fmt::Write as _;

use expect_test::{ExpectFile, expect_file};

use crate::shown;

const RATIO: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata: { name: checkout }
spec:
  service: shop
  timeWindow: [{ duration: 4w, isRolling: true }]
  budgetingMethod: Occurrences
  indicator:
    metadata: { name: requests }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: Prometheus, spec: { query: good_total } } }
        total: { metricSource: { type: prometheus, spec: { query: all_total } } }
  objectives: [{ target: 0.99 }]
";

const SLICES: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata: { name: search }
spec:
  service: shop
  timeWindow: [{ duration: 1M, calendar: { startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin } }]
  budgetingMethod: Timeslices
  indicator:
    metadata: { name: latency }
    spec: { thresholdMetric: { metricSource: { type: Prometheus, spec: { query: p95 } } } }
  objectives: [{ op: lt, value: 0.5, target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5m }]
";

const COMPOSITE: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata: { name: journey }
spec:
  service: shop
  timeWindow: [{ duration: 4w, isRolling: true }]
  budgetingMethod: Occurrences
  objectives:
    - { displayName: one, target: 0.99, compositeWeight: 2, indicatorRef: a }
    - { displayName: two, target: 0.98, op: lt, value: 1, indicatorRef: b }
---
apiVersion: openslo/v1
kind: SLI
metadata: { name: a }
spec: { ratioMetric: { raw: { metricSource: { metricSourceRef: p, spec: { query: r } } }, rawType: success } }
---
apiVersion: openslo/v1
kind: SLI
metadata: { name: b }
spec: { thresholdMetric: { metricSource: { metricSourceRef: p, type: Prometheus, spec: { query: s } } } }
---
apiVersion: openslo/v1
kind: DataSource
metadata: { name: p }
spec: { type: Prometheus, connectionDetails: { url: http://prometheus } }
";

const ALERT: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata: { name: checkout }
spec:
  service: shop
  timeWindow: [{ duration: 4w, isRolling: true }]
  budgetingMethod: Occurrences
  indicator:
    metadata: { name: requests }
    spec:
      ratioMetric:
        bad: { metricSource: { type: Prometheus, spec: { query: bad } } }
        total: { metricSource: { type: Prometheus, spec: { query: all } } }
  objectives: [{ target: 0.99 }]
  alertPolicies: [{ alertPolicyRef: fast }]
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: { name: fast }
spec:
  alertWhenBreaching: true
  conditions:
    - conditionRef: long
    - kind: AlertCondition
      metadata: { name: short }
      spec:
        severity: info
        condition: { op: gt, threshold: 14.5, lookbackWindow: 5m }
  notificationTargets: [{ targetRef: pager }]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: { name: long }
spec:
  severity: Sev1
  condition: { kind: burnrate, op: gt, threshold: 14, lookbackWindow: 1h, alertAfter: 2m }
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: { name: pager }
spec: { target: pagerduty }
";

/// What each change leads to. `from` is what is replaced, everywhere it stands; without it
/// nothing is.
#[track_caller]
fn check(base: &str, changes: &[(&str, &str)], expected: &ExpectFile) {
    let mut all = format!("## as it is\n\n{}\n", shown(base));
    for (from, to) in changes {
        assert!(base.contains(from), "{from} is not there");
        // The whole indicator is long.
        let from_shown = if *from == INDICATOR { "indicator: …" } else { from };
        let (from_shown, to_shown) = (from_shown.replace('\n', "⏎"), to.replace('\n', "⏎"));
        let found = shown(&base.replacen(from, to, 1));
        write!(all, "## {} → {}\n\n{found}\n", from_shown.trim(), to_shown.trim()).unwrap();
    }
    expected.assert_eq(&all);
}

const INDICATOR: &str = "  indicator:
    metadata: { name: requests }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: Prometheus, spec: { query: good_total } } }
        total: { metricSource: { type: prometheus, spec: { query: all_total } } }
";

#[test]
fn envelope_and_metadata() {
    check(
        RATIO,
        &[
            ("openslo/v1", "openslo/v1alpha"),
            ("openslo/v1", "OpenSLO/v1"),
            ("openslo/v1", "evenkeel/v1"),
            ("kind: SLO", "kind: slo"),
            ("kind: SLO", "kind: Target"),
            ("kind: SLO", "kind: Deployment"),
            ("kind: SLO\n", ""),
            ("{ name: checkout }", "{ name: Checkout_A.1 }"),
            ("{ name: checkout }", "{ name: check out }"),
            ("{ name: checkout }", "{ name: x, displayName: The Checkout }"),
            ("{ name: checkout }", "{ name: x, displayname: The Checkout }"),
            ("{ name: checkout }", "{ name: x, labels: { team: [a, b], tier: one } }"),
            ("{ name: checkout }", "{ name: x, labels: { team: { a: b }, -tier: one } }"),
            ("{ name: checkout }", "{ name: x, labels: , annotations: }"),
            ("{ name: checkout }", "{ name: x, annotations: { a.com/b: c, d: e } }"),
            ("{ name: checkout }", "{ name: x, annotations: { a_b/c: d, /e: f, g/: h } }"),
            ("{ name: checkout }", "{ name: x, annotations: { evenkeel.io/critical: \"true\" } }"),
            ("{ name: checkout }", "{ name: x, annotations: { evenkeel.io/critical: true } }"),
            ("{ name: checkout }", "{ name: x, annotations: { evenkeel.io/critical: \"yes\" } }"),
            ("{ name: checkout }", "{ name: x, annotations: { evenkeel.io/alerting: none } }"),
            ("{ name: checkout }", "{ name: x, annotations: { evenkeel.io/alerting: some } }"),
            ("{ name: checkout }", "{ name: x, annotations: { evenkeel.io/crtical: \"true\" } }"),
            ("{ name: requests }", "{ name: x, annotations: { evenkeel.io/critical: \"true\" } }"),
            ("metadata: { name: checkout }\n", ""),
            ("spec:\n", "specs:\n"),
        ],
        &expect_file!["envelope.txt"],
    );
}

#[test]
fn windows() {
    check(
        RATIO,
        &[
            ("4w", "1m"),
            ("4w", "59m"),
            ("4w", "60m"),
            ("4w", "1M"),
            ("4w", "1Q"),
            ("4w", "1Y"),
            ("4w", "366d"),
            ("4w", "367d"),
            ("4w", "2Y"),
            ("4w", "999999Y"),
            ("4w", "9999999d"),
            ("4w", "28D"),
            ("4w", "1d12h"),
            ("4w", "30s"),
            ("4w", "0d"),
            ("4w", "-1d"),
            ("4w", "28"),
            ("4w", "four weeks"),
            (", isRolling: true", ""),
            ("isRolling: true", "isRolling: false"),
            ("isRolling: true", "isRoling: true"),
            ("[{ duration: 4w, isRolling: true }]", "[]"),
            ("[{ duration: 4w, isRolling: true }]", "{ duration: 4w, isRolling: true }"),
            ("  timeWindow: [{ duration: 4w, isRolling: true }]\n", ""),
        ],
        &expect_file!["windows_rolling.txt"],
    );
    check(
        SLICES,
        &[
            ("1M", "1Q"),
            ("1M", "1Y"),
            ("1M", "2w"),
            ("1M", "1d"),
            ("1M", "12h"),
            ("1M", "1m"),
            ("1M", "13M"),
            ("Berlin } }", "Berlin }, isRolling: false }"),
            ("Berlin } }", "Berlin }, isRolling: true }"),
            ("2026-01-01 00:00:00", "2026-01-01T12:30"),
            ("2026-01-01 00:00:00", "2026-01-01"),
            ("2026-01-01 00:00:00", "2026-02-30 00:00:00"),
            ("2026-01-01 00:00:00", "2026-01-01 00:00:00+01:00"),
            ("Europe/Berlin", "Berlin"),
            ("Europe/Berlin", "CEST"),
            (", timeZone: Europe/Berlin", ""),
        ],
        &expect_file!["windows_calendar.txt"],
    );
}

#[test]
fn objectives() {
    check(
        RATIO,
        &[
            ("target: 0.99", "targetPercent: 99.9"),
            ("target: 0.99", "target: 0.99, targetPercent: 99"),
            ("target: 0.99", "displayName: x"),
            ("target: 0.99", "target: 0"),
            ("target: 0.99", "target: 1"),
            ("target: 0.99", "target: 1.0000001"),
            ("target: 0.99", "target: 99.9"),
            ("target: 0.99", "target: .nan"),
            ("target: 0.99", "target: 0.9999999999999999999"),
            ("target: 0.99", "target: \"0.99\""),
            ("target: 0.99", "targetPercent: 0"),
            ("target: 0.99", "targetPercent: 100"),
            ("target: 0.99", "targetPercent: -5"),
            ("target: 0.99", "traget: 0.99"),
            ("target: 0.99", "target: 0.99, op: gt"),
            ("target: 0.99", "target: 0.99, op: gt, value: 3"),
            ("target: 0.99", "target: 0.99, op: above"),
            ("target: 0.99", "target: 0.99, compositeWeight: 2"),
            ("target: 0.99", "target: 0.99, timeSliceTarget: 0.9, timeSliceWindow: 1m"),
            ("{ target: 0.99 }", "{ target: 0.99 }, { target: 0.9 }"),
            (
                "{ target: 0.99 }",
                "{ target: 0.99, compositeWeight: 3 }, { target: 0.9, compositeWeight: 0 }",
            ),
            (
                "{ target: 0.99 }",
                "{ target: 0.99, displayName: a }, { target: 0.9, displayName: a }",
            ),
            ("{ target: 0.99 }", "{ target: 0.99 }, { target: 0.9, displayName: objective-1 }"),
            ("{ target: 0.99 }", ""),
            ("  budgetingMethod: Occurrences\n", ""),
            ("Occurrences", "occurrences"),
            ("Occurrences", "Timeslices"),
            ("Occurrences", "RatioTimeslices"),
            ("service: shop", "service: The Shop"),
            ("service: shop\n", "service: shop\n  description: |\n    two\n    lines\n"),
        ],
        &expect_file!["objectives.txt"],
    );
    check(
        SLICES,
        &[
            ("timeSliceWindow: 5m", "timeSliceWindow: 5"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 0.5"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 0.25"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 7m"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 2d"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 1d"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 0"),
            ("timeSliceWindow: 5m", "timeSliceWindow: -1"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 1e30"),
            ("timeSliceWindow: 5m", "timeSliceWindow: .inf"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 30s"),
            ("duration: 1M", "duration: 3m"),
            ("duration: 1M", "duration: 60m"),
            (", timeSliceWindow: 5m", ""),
            ("timeSliceTarget: 0.95, ", ""),
            ("timeSliceTarget: 0.95", "timeSliceTarget: 0"),
            ("timeSliceTarget: 0.95", "timeSliceTarget: 1"),
            ("timeSliceTarget: 0.95", "timeSliceTarget: 95"),
            ("Timeslices", "RatioTimeslices"),
            ("op: lt, ", ""),
            ("value: 0.5, ", ""),
            ("op: lt, value: 0.5, ", ""),
            ("value: 0.5", "value: \"0.5\""),
            (
                "[{ op",
                "[{ op: lt, value: 1, target: 0.9, timeSliceTarget: 1, timeSliceWindow: 1h }, { op",
            ),
        ],
        &expect_file!["objectives_slices.txt"],
    );
}

#[test]
fn indicators() {
    check(
        RATIO,
        &[
            ("good:", "bad:"),
            ("good:", "raw:"),
            ("good:", "goood:"),
            ("counter: true", "counter: false"),
            ("counter: true", "counter: 1"),
            ("        counter: true\n", ""),
            ("counter: true", "rawType: success"),
            (
                "        total: { metricSource: { type: prometheus, spec: { query: all_total } } }\n",
                "        bad: { metricSource: { type: prometheus, spec: { query: all_total } } }\n",
            ),
            (
                "        total: { metricSource: { type: prometheus, spec: { query: all_total } } }\n",
                "",
            ),
            (
                "        good: { metricSource: { type: Prometheus, spec: { query: good_total } } }\n",
                "",
            ),
            ("ratioMetric:", "thresholdMetric:"),
            (
                "ratioMetric:",
                "thresholdMetric: { metricSource: { type: A, spec: {} } }\n      ratioMetric:",
            ),
            (INDICATOR, ""),
            (INDICATOR, "  indicator: { metadata: { name: i }, spec: {} }\n"),
            (INDICATOR, "  indicator: { metadata: { name: i }, spec: { ratioMetric: {} } }\n"),
            (INDICATOR, "  indicator: { spec: { ratioMetric: {} } }\n"),
            (INDICATOR, "  indicatorRef: nobody\n"),
            ("  indicator:\n", "  indicatorRef: nobody\n  indicator:\n"),
            ("{ target: 0.99 }", "{ target: 0.99, indicatorRef: nobody }"),
            ("type: Prometheus, ", ""),
            ("type: Prometheus", "type: Datadog"),
            ("type: Prometheus", "type: PROMETHEUS"),
            ("type: Prometheus", "metricSourceRef: nowhere"),
            ("type: Prometheus", "type: 5"),
            ("{ query: good_total }", "{ qurey: good_total }"),
            ("{ query: good_total }", "{ query: good_total, step: 5 }"),
            ("{ query: good_total }", "{ promql: good_total }"),
            ("{ query: good_total }", "{ query: 5 }"),
            ("{ query: good_total }", "{ query: \"sum(good_total\" }"),
            ("{ query: good_total }", "{ query: \"\" }"),
            ("{ query: good_total }", "[]"),
            (", spec: { query: good_total }", ""),
        ],
        &expect_file!["indicators.txt"],
    );
    check(
        COMPOSITE,
        &[
            ("compositeWeight: 2", "compositeWeight: 0"),
            ("compositeWeight: 2", "compositeWeight: -1"),
            ("compositeWeight: 2", "compositeWeight: .inf"),
            (", indicatorRef: a", ""),
            ("indicatorRef: a", "indicatorRef: c"),
            ("indicatorRef: a", "indicatorRef: nobody"),
            ("  objectives:\n", "  indicatorRef: a\n  objectives:\n"),
            ("op: lt, ", ""),
            ("rawType: success", "rawType: failure"),
            ("rawType: success", "rawType: good"),
            (", rawType: success", ""),
            (
                "rawType: success",
                "rawType: success, total: { metricSource: { type: A, spec: {} } }",
            ),
            ("name: b }", "name: a }"),
            ("name: p }", "name: prometheus }"),
            ("spec: { type: Prometheus,", "spec: { type: Graphite,"),
            ("spec: { type: Prometheus,", "spec: {"),
            (
                "metadata: { name: p }",
                "metadata: { name: p, annotations: { evenkeel.io/critical: \"true\" } }",
            ),
            ("connectionDetails", "connectionDetail"),
            ("name: journey", "name: a"),
        ],
        &expect_file!["indicators_elsewhere.txt"],
    );
}

#[test]
fn alerts() {
    check(
        ALERT,
        &[
            ("severity: Sev1", "severity: CRITICAL"),
            ("severity: Sev1", "severity: p2"),
            ("severity: Sev1", "severity: info"),
            ("  severity: Sev1\n", ""),
            ("kind: burnrate", "kind: burn-rate"),
            ("kind: burnrate, ", ""),
            ("op: gt, threshold: 14,", "threshold: 14,"),
            ("lookbackWindow: 1h", "lookbackWindow: 3d"),
            ("lookbackWindow: 1h", "lookbackWindow: 73h"),
            ("lookbackWindow: 1h", "lookbackWindow: 1M"),
            ("lookbackWindow: 1h", "lookbackWindow: 1m"),
            ("lookbackWindow: 1h", "lookbackWindow: 0m"),
            ("lookbackWindow: 1h", "lookbackWindow: 30s"),
            (", alertAfter: 2m", ""),
            ("alertAfter: 2m", "alertAfter: 1d"),
            ("alertAfter: 2m", "alertAfter: 25h"),
            ("alertWhenBreaching: true", "alertWhenResolved: true"),
            ("alertWhenBreaching: true", "alertWhenNoData: true"),
            ("alertWhenBreaching: true", "alertWhenBreaching: false"),
            ("  alertWhenBreaching: true\n", ""),
            ("alertPolicyRef: fast", "alertPolicyRef: fats"),
            ("alertPolicyRef: fast", "alertPolicyRef: nobody"),
            ("{ alertPolicyRef: fast }", "{ alertPolicyRef: fast }, { alertPolicyRef: fast }"),
            ("[{ alertPolicyRef: fast }]", "[]"),
            ("[{ alertPolicyRef: fast }]", ""),
            ("[{ alertPolicyRef: fast }]", "[{}]"),
            ("[{ alertPolicyRef: fast }]", "[{ alertPolicyRef: fast, kind: AlertPolicy }]"),
            ("[{ alertPolicyRef: fast }]", "[{ alertPolicyref: fast }]"),
            (
                "[{ alertPolicyRef: fast }]",
                "[{ kind: AlertPolicy, metadata: { name: own }, spec: { alertWhenBreaching: true, conditions: [{ conditionRef: long }], notificationTargets: [{ metadata: { name: chat }, spec: { target: slack } }] } }]",
            ),
            ("conditionRef: long", "conditionRef: lung"),
            ("targetRef: pager", "targetRef: pagers"),
            ("kind: AlertCondition\n      metadata", "kind: AlertPolicy\n      metadata"),
            ("  notificationTargets: [{ targetRef: pager }]\n", ""),
            ("{ target: pagerduty }", "{ description: x }"),
        ],
        &expect_file!["alerts.txt"],
    );
}

#[test]
fn alerts_that_never_or_always_fire() {
    check(
        ALERT,
        &[
            ("threshold: 14,", "threshold: 99.9,"),
            ("threshold: 14,", "threshold: 100,"),
            ("op: gt, threshold: 14,", "op: gte, threshold: 100,"),
            ("op: gt, threshold: 14,", "op: gte, threshold: 100.1,"),
            ("target: 0.99 ", "target: 0.9 "),
            ("target: 0.99 ", "target: 0.93 "),
            ("target: 0.99 ", "targetPercent: 99.9"),
            ("{ target: 0.99 }", "{ target: 0.99 }, { target: 0.9 }, { target: 0.5 }"),
            ("{ target: 0.99 }", "{ target: 0.8 }, { target: 0.9 }"),
            ("op: gt, threshold: 14,", "op: lt, threshold: 0,"),
            ("op: gt, threshold: 14,", "op: lte, threshold: 0,"),
            ("op: gt, threshold: 14,", "op: lte, threshold: -1,"),
            ("op: gt, threshold: 14,", "op: gt, threshold: 0,"),
            ("op: gt, threshold: 14,", "op: gte, threshold: 0,"),
            ("op: gt, threshold: 14,", "op: gt, threshold: -1,"),
            ("op: gt, threshold: 14,", "op: lt, threshold: 5,"),
            (
                "op: gt, threshold: 14, lookbackWindow: 1h",
                "op: lt, threshold: 5, lookbackWindow: 5m",
            ),
            (
                "op: gt, threshold: 14, lookbackWindow: 1h",
                "op: lt, threshold: 15, lookbackWindow: 5m",
            ),
            (
                "op: gt, threshold: 14, lookbackWindow: 1h",
                "op: lte, threshold: 14.5, lookbackWindow: 5m",
            ),
            ("    - conditionRef: long\n", ""),
            ("op: gt, threshold: 14.5,", "op: lte, threshold: 2,"),
            (
                "    - conditionRef: long\n    - kind: AlertCondition\n      metadata: { name: short }\n      spec:\n        severity: info\n        condition: { op: gt,",
                "    - kind: AlertCondition\n      metadata: { name: short }\n      spec:\n        severity: info\n        condition: { op: lte,",
            ),
            ("Occurrences\n", "Timeslices\n"),
            (
                "  budgetingMethod: Occurrences\n",
                "  budgetingMethod: RatioTimeslices\n  # slices\n",
            ),
        ],
        &expect_file!["alerts_that_never_fire.txt"],
    );
    let slices = ALERT
        .replace("Occurrences", "Timeslices")
        .replace("{ target: 0.99 }", "{ target: 0.99, timeSliceTarget: 0.9, timeSliceWindow: 5m }");
    check(
        &slices,
        &[
            ("timeSliceWindow: 5m", "timeSliceWindow: 10m"),
            ("timeSliceWindow: 5m", "timeSliceWindow: 2h"),
            ("  alertPolicies: [{ alertPolicyRef: fast }]\n", ""),
        ],
        &expect_file!["alerts_of_slices.txt"],
    );
}
