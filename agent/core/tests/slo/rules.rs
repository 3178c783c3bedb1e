//! The rules of a few SLOs, as text.
//!
//! **In:** SLOs of every kind.
//! **Out:** the rule file.
//! **Not here:** what Prometheus makes of it (`evenkeel-testbed`).

use evenkeel_core::documents::{Indicator, MetricQuery};
use evenkeel_core::slo::rules::rules;
use expect_test::{expect, expect_file};

use crate::kit::{bad_of_total, objective, promql, slo};

#[test]
fn the_rules_of_an_slo_of_events() {
    let mut slo = slo("checkout-availability", vec![objective("good", 0.999, bad_of_total())]);
    slo.display_name = "Checkout: \"available\" {{ nearly }} always".to_owned();
    slo.alert_policies[0].notification_targets = vec!["on-call".to_owned(), "chat".to_owned()];
    expect_file!["rules.yaml"].assert_eq(&rules([&slo].into_iter()).to_yaml());
}

#[test]
fn an_slo_of_another_source_is_skipped_and_said_so() {
    let total = promql("requests_total");
    let bad = MetricQuery::Unread { source_type: "datadog".to_owned() };
    let indicator = Indicator::BadOfTotal { bad, total, is_counter: true };
    let slo = slo("elsewhere", vec![objective("good", 0.999, indicator)]);
    expect![[r#"
        # Written by `evenkeel slo rules`; changes here are lost.
        # Not here: SLO elsewhere: objective `good` is measured by a source of type `datadog`, which Prometheus cannot evaluate; export only SLOs with queries for Prometheus.
        groups: []
    "#]].assert_eq(&rules([&slo].into_iter()).to_yaml());
}

#[test]
fn no_slos_are_no_groups() {
    expect![[r#"
        # Written by `evenkeel slo rules`; changes here are lost.
        groups: []
    "#]]
    .assert_eq(&rules(std::iter::empty()).to_yaml());
}
