//! Several documents, limits, secrets, and the ready-made SLOs.

use evenkeel_core::documents::{SourceText, load, show};
use expect_test::{Expect, expect};

use crate::{loaded, shown};

fn slo(name: &str) -> String {
    format!(
        "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{ name: {name} }}\nspec:\n  \
         service: {name}\n  timeWindow: [{{ duration: 4w, isRolling: true }}]\n  \
         budgetingMethod: Occurrences\n  objectives: [{{ target: 0.999 }}]\n  \
         indicator: {{ metadata: {{ name: i }}, spec: {{ ratioMetric: {{ \
         bad: {{ metricSource: {{ type: Prometheus, spec: {{ query: b }} }} }}, \
         total: {{ metricSource: {{ type: Prometheus, spec: {{ query: t }} }} }} }} }} }}\n"
    )
}

fn service(name: &str) -> String {
    format!("---\napiVersion: openslo/v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n")
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&shown(text));
}

#[test]
fn a_service_that_is_nearly_described_is_probably_meant() {
    check(
        &[slo("checkout"), service("checkout")].concat(),
        &expect![[r#"
            SLO checkout (checkout) of checkout: Occurrences over the last 28d
              objective-1: 0.999 of 1 - b / t
              page `fast-burn`: > 14.4 over 1h, > 14.4 over 5m, breaching no-data
              page `slow-burn`: > 6 over 6h, > 6 over 30m, breaching
              ticket `day-burn`: > 3 over 1d, > 3 over 2h, breaching
              ticket `three-day-burn`: > 1 over 3d, > 1 over 6h, breaching
              page `outage`: > 200 over 5m, > 200 over 1m, breaching
        "#]],
    );
    check(
        &[slo("checkout"), service("chekout")].concat(),
        &expect![[r#"
            warning 6:12: SLO `checkout`: no document describes Service `checkout`, and one is nearly so
              hint: did you mean `chekout`?
            SLO checkout (checkout) of checkout: Occurrences over the last 28d
              objective-1: 0.999 of 1 - b / t
              page `fast-burn`: > 14.4 over 1h, > 14.4 over 5m, breaching no-data
              page `slow-burn`: > 6 over 6h, > 6 over 30m, breaching
              ticket `day-burn`: > 3 over 1d, > 3 over 2h, breaching
              ticket `three-day-burn`: > 1 over 3d, > 1 over 6h, breaching
              page `outage`: > 200 over 5m, > 200 over 1m, breaching
        "#]],
    );
    check(
        &[slo("checkout"), service("payments")].concat(),
        &expect![[r#"
            SLO checkout (checkout) of checkout: Occurrences over the last 28d
              objective-1: 0.999 of 1 - b / t
              page `fast-burn`: > 14.4 over 1h, > 14.4 over 5m, breaching no-data
              page `slow-burn`: > 6 over 6h, > 6 over 30m, breaching
              ticket `day-burn`: > 3 over 1d, > 3 over 2h, breaching
              ticket `three-day-burn`: > 1 over 3d, > 1 over 6h, breaching
              page `outage`: > 200 over 5m, > 200 over 1m, breaching
        "#]],
    );
}

#[test]
fn names_are_unique_within_a_kind() {
    check(
        &[slo("a"), service("a"), slo("a"), service("a")].concat(),
        &expect![[r#"
        error 19:19: SLO `a` is there twice, first in line 4
          hint: rename or remove one of the two
        error 29:19: Service `a` is there twice, first in line 14
          hint: rename or remove one of the two
    "#]],
    );
}

#[test]
fn a_fault_in_one_document_is_no_fault_of_those_that_name_it() {
    let text = slo("a").replace("  indicator:", "  indicatorRef: i #");
    let broken = "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: { name: i }\nspec: { x: 1 }\n";
    check(
        &[&text, broken].concat(),
        &expect![[r#"
        error 15:7: SLI `i`: an indicator has neither `ratioMetric` nor `thresholdMetric`
          hint: add one of the two
        error 15:9: SLI `i`: unknown field `x` in `spec`
          hint: known fields here: `description`, `thresholdMetric` and `ratioMetric`
    "#]],
    );
}

#[test]
fn there_is_room_for_two_thousand_slos_and_not_for_one_more() {
    let mut text: String = (0..2_000).map(|it| slo(&format!("slo-{it}"))).collect();
    let read = loaded(&text);
    assert_eq!(read.documents.map(|it| (it.slos().len(), it.n_documents())), Some((2_000, 2_000)));
    text.push_str(&slo("slo-2000"));
    let read = loaded(&text);
    let messages: Vec<&str> = read.diagnostics.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(messages, ["SLO `slo-2000`: there are more than 2000 documents of kind `SLO`"]);
}

#[test]
fn connection_details_are_shown_nowhere() {
    let source = "apiVersion: openslo/v1\nkind: DataSource\nmetadata: { name: p }\nspec:\n";
    for rest in [
        "  typ: Prometheus\n  connectionDetails: { key: hunter2 }\n",
        "  { typ: Prometheus, connectionDetails: { key: hunter2 } }\n",
        "  { connectionDetails: { key: hunter2 }, typ: Prometheus }\n",
        "  type: Prometheus\n  connectionDetails:\n    key: hunter2\n    key: hunter2\n",
        "  type: Prometheus\n  connectionDetails:\n    key: hunter2: x\n",
        "  type: Prometheus\n  connectionDetails:\n    key: \"hunter2\n",
        "  type: Prometheus\n  connectionDetails:\n    - [hunter2\n",
        "  type: Prometheus\n  connectionDetails:\n    key: !x hunter2\n",
        "  type: Prometheus\n  connectionDetails:\n    key: hunter2\n  rest: 1\n",
    ] {
        let text = format!("{source}{rest}");
        let read = loaded(&text);
        assert!(read.documents.is_none(), "{text}");
        for it in &read.diagnostics {
            let all = format!("{it} {} {}", show(it), it.snippet);
            assert!(!all.contains("hunter2"), "{all}");
        }
    }
}

#[test]
fn the_ready_made_slos_say_what_they_promise() {
    let text = include_str!("../../../../policies/slo.yaml");
    check(
        text,
        &expect![[r#"
            SLO checkout-availability (Checkout answers) of checkout: Occurrences over 1 calendar month (Europe/Berlin), critical
              answered: 0.999 of 1 - http_requests_total{service="checkout",code=~"5.."} / http_requests_total{service="checkout"} counted
              page `fast-burn`: > 14.4 over 1h, > 14.4 over 5m, breaching resolved no-data to on-call
            SLO checkout-latency (Checkout is quick) of checkout: Timeslices over the last 28d
              quick: 0.99 of histogram_quantile(0.95, sum by (le) (
              rate(http_request_duration_seconds_bucket{service="checkout"}[2m])))
             < 0.5, slices of 5m with 0.95
              page `fast-burn`: > 14.4 over 1h, > 14.4 over 5m, breaching no-data
              page `slow-burn`: > 6 over 6h, > 6 over 30m, breaching
              ticket `day-burn`: > 3 over 1d, > 3 over 2h, breaching
              ticket `three-day-burn`: > 1 over 3d, > 1 over 6h, breaching
              page `outage`: > 20 over 5m, breaching
        "#]],
    );
    let many =
        [SourceText { file: "a.yaml", text }, SourceText { file: "b.yaml", text: &slo("z") }];
    assert_eq!(load(&many).documents.map(|it| it.slos().len()), Some(3));
}
