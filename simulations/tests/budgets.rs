//! Scenarios about money and error budgets: what the agent says of budgets and SLOs, and when.
//!
//! **In:** scenarios with SLOs, budgets and tenants. **Out:** a line per crossing and alert.
//! **Not here:** whether they are passed with many seeds (`make sim-museum`).

use evenkeel_sim::run::{Controller, Settings, run};
use evenkeel_sim::scenario::files::playbooks_near;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};
use expect_test::{Expect, expect};
use std::path::Path;

/// Seconds since the scored part began, and what was said without its numbers; then violations.
#[track_caller]
fn check(name: &str, expected: &Expect) {
    let path = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let path = Path::new(&path);
    let text = std::fs::read_to_string(path).expect("is there");
    let scenario = Scenario::parse_with(name, &text, &playbooks_near(path)).expect("is right");
    let ScenarioKind::Region(region) = scenario.kind else { panic!("{name} is no region") };
    let settings = Settings { keeps_timeline: true, ..Settings::new(1, Controller::Evenkeel) };
    let done = run(&region, &settings).expect("runs");
    let mut shown = String::new();
    for event in done.timeline.expect("is kept").events {
        let mut words = event.text.splitn(3, ": ");
        let (about, what) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if about.starts_with("budget ") || about.starts_with("SLO ") {
            let at = event.at - region.starts_at.as_second();
            shown.push_str(&format!("{at} {about}: {what}\n"));
        }
    }
    for it in done.scorecard.violations {
        shown.push_str(&format!("{}: {}\n", it.invariant, it.what));
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_runaway_is_told_of_within_two_minutes_and_no_slo_burns() {
    check(
        "runaway-spend",
        &expect![[r#"
            1896 budget batch-month: runaway is crossed
            1896 budget batch-month: runaway crossed
            9666 budget batch-month: runaway is over
        "#]],
    );
}

#[test]
fn an_attacker_is_told_of_by_what_he_costs() {
    check(
        "denial-of-wallet",
        &expect![[r#"
            1866 SLO shop-answers: answered/three-day-burn fires
            1866 SLO shop-answers: answered/outage fires
            1866 SLO shop-answers burns: answered/outage
            1926 SLO shop-answers: answered/day-burn fires
            1926 budget service-month: runaway is crossed
            1926 budget service-month: runaway crossed
            1956 SLO shop-answers: answered/outage is over
            2436 SLO shop-answers: answered/day-burn is over
            5076 budget service-month: runaway is over
        "#]],
    );
}

#[test]
fn the_budget_of_the_day_is_crossed_before_the_morning_and_stops_nothing() {
    check(
        "cost-cut-before-peak",
        &expect![[r#"
            5406 budget builds-day: a-tenth is crossed
        "#]],
    );
}

#[test]
fn one_tenant_of_three_runs_away() {
    check(
        "budget-tenants",
        &expect![[r#"
            1866 SLO api-answers: answered/three-day-burn fires
            1866 SLO api-answers: answered/outage fires
            1866 SLO api-answers burns: answered/outage
            1896 SLO api-answers: answered/day-burn fires
            1926 budget service-month: runaway is crossed
            1926 budget service-month: runaway crossed
            1986 SLO api-answers: answered/outage is over
            3966 SLO api-answers: answered/slow-burn fires
            3966 SLO api-answers burns: answered/slow-burn
            7026 budget service-month: runaway is over
            7116 SLO api-answers: answered/slow-burn is over
        "#]],
    );
}

#[test]
fn an_outage_pages_once_and_gaps_say_nothing() {
    check(
        "budget-outage",
        &expect![[r#"
            1896 SLO checkout-answers: answered/three-day-burn fires
            1896 SLO checkout-answers: answered/outage fires
            1896 SLO checkout-answers burns: answered/outage
            2016 SLO checkout-answers: answered/day-burn fires
            2196 SLO checkout-answers: answered/slow-burn fires
            2346 SLO checkout-answers: answered/fast-burn fires
            2976 SLO search-answers: answered/fast-burn has no data
            2976 SLO search-answers has no data: 
            3366 SLO search-answers: answered/fast-burn is over
            4266 SLO checkout-answers: answered/outage is over
            4476 SLO checkout-answers: answered/fast-burn is over
            4806 SLO search-answers: answered/fast-burn has no data
            4806 SLO search-answers has no data: 
            5766 SLO search-answers: answered/fast-burn is over
            5916 SLO checkout-answers: answered/slow-burn is over
        "#]],
    );
}
