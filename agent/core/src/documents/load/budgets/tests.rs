//! Error budgets and their SLOs.
//!
//! **In:** budgets as written, SLOs as checked.
//! **Out:** what is said about them.
//! **Not here:** all other rules (`tests/documents_budget`).

use expect_test::{Expect, expect};
use jiff::SignedDuration;

use super::*;
use crate::documents::load::read_chunk;
use crate::documents::{AlertPolicy, Budgeting, Indicator, MetricQuery, positions};
use crate::slo::window::Window;

fn slo(name: &str, objectives: &[(&str, f64)]) -> Slo {
    let ratio = MetricQuery::PromQl("ratio".to_owned());
    let objectives = objectives.iter().map(|(name, target)| Objective {
        name: (*name).to_owned(),
        target: *target,
        indicator: Indicator::Raw { ratio: ratio.clone(), is_success: true },
        slice: None,
        weight: 1.0,
    });
    Slo {
        id: SloId::new(name).unwrap(),
        display_name: name.to_owned(),
        service: ServiceName::new("checkout").unwrap(),
        window: Window::Rolling(SignedDuration::from_hours(28 * 24)),
        budgeting: Budgeting::Occurrences,
        objectives: objectives.collect(),
        is_composite: false,
        alert_policies: AlertPolicy::workbook(0.001),
        is_critical: false,
    }
}

fn said(text: &str) -> String {
    let text =
        format!("apiVersion: evenkeel/v1\nkind: Budget\nmetadata: {{ name: b }}\nspec:\n{text}");
    let sources = [SourceText { file: "x.yaml", text: &text }];
    let (mut drafts, mut faults) = (Drafts::default(), Faults::default());
    for chunk in positions::split(&text) {
        read_chunk(&chunk, &mut drafts, &mut faults);
    }
    let all_read = !faults.has_errors();
    let slos =
        [slo("availability", &[("most", 0.9), ("all", 0.999)]), slo("latency", &[("fast", 0.99)])];
    check(&drafts, slos.iter(), &sources, all_read, &mut faults);
    let n_budgets = economy(&mut drafts).budgets.len();
    let lines: Vec<String> = faults
        .into_diagnostics(&sources)
        .into_iter()
        .map(|it| it.to_string())
        .chain([format!("{n_budgets} read")])
        .collect();
    lines.join("\n")
}

/// `spec` of error budgets, one per line; shown with what is said.
#[track_caller]
fn check_all(specs: &[&str], expected: &Expect) {
    let all: Vec<String> =
        specs.iter().map(|it| format!("## {it}\n{}\n", said(&format!("  {it}\n")))).collect();
    expected.assert_eq(&all.concat());
}

#[test]
fn an_error_budget_is_that_of_an_slo_and_of_an_objective_that_are_there() {
    check_all(
        &[
            "errors: { slo: availability }",
            "errors: { slo: availability, objective: all }",
            "errors: { slo: availabilty }",
            "errors: { slo: throughput }",
            "errors: { slo: availability, objective: al }",
            "errors: { slo: latency, objective: availability }",
        ],
        &expect![[r#"
            ## errors: { slo: availability }
            1 read
            ## errors: { slo: availability, objective: all }
            1 read
            ## errors: { slo: availabilty }
            x.yaml:5:18: error: budget `b` is that of SLO `availabilty`, which no document describes; hint: did you mean `availability`?
            1 read
            ## errors: { slo: throughput }
            x.yaml:5:18: error: budget `b` is that of SLO `throughput`, which no document describes; hint: add an `SLO` document for it
            1 read
            ## errors: { slo: availability, objective: al }
            x.yaml:5:43: error: budget `b`: SLO `availability` has no objective `al`; hint: did you mean `all`?
            1 read
            ## errors: { slo: latency, objective: availability }
            x.yaml:5:38: error: budget `b`: SLO `latency` has no objective `availability`; hint: its objectives are `fast`
            1 read
        "#]],
    );
}

#[test]
fn no_more_than_everything_can_fail() {
    let burn = |of: &str, above: &str| {
        format!(
            "{{ errors: {of}, thresholds: [{{ name: t, then: [notify], when: {{ burn_rate: {{ above: {above}, long: 1h, short: 5m }} }} }}] }}"
        )
    };
    let specs = [
        burn("{ slo: availability }", "9.9"),
        burn("{ slo: availability }", "10"),
        burn("{ slo: availability, objective: all }", "999"),
        burn("{ slo: availability, objective: all }", "1000"),
        burn("{ slo: latency }", "14.4"),
        burn("{ slo: latency }", "100"),
    ];
    let all: String = specs.iter().map(|it| format!("{}\n", said(&format!("  {it}\n")))).collect();
    expect![[r#"
        1 read
        x.yaml:5:82: error: budget `b`: threshold `t` is never crossed: SLO `availability` has the objective 0.9, so its burn rate is at most 10.0, and 10 is asked for; hint: write `above` below 10.0
        1 read
        1 read
        x.yaml:5:98: error: budget `b`: threshold `t` is never crossed: SLO `availability` has the objective 0.999, so its burn rate is at most 1000.0, and 1000 is asked for; hint: write `above` below 1000.0
        1 read
        1 read
        x.yaml:5:77: error: budget `b`: threshold `t` is never crossed: SLO `latency` has the objective 0.99, so its burn rate is at most 100.0, and 100 is asked for; hint: write `above` below 100.0
        1 read
    "#]].assert_eq(&all);
}

#[test]
fn nothing_is_foreseen_beyond_the_window_of_the_slo() {
    let ahead = |within: &str| {
        let spec = format!(
            "  {{ errors: {{ slo: latency }}, thresholds: [{{ name: t, then: [notify], when: {{ exhausts_within: {{ within: {within} }} }} }}] }}\n"
        );
        said(&spec)
    };
    expect![[r#"
        1 read
        x.yaml:5:77: warning: budget `b`: threshold `t` looks 29d ahead, and the budget is for 28d; hint: write a shorter `within`; what is spent later is spent from the next budget
        1 read
    "#]].assert_eq(&format!("{}\n{}\n", ahead("28d"), ahead("29d")));
}
