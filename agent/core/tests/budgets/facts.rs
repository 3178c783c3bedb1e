//! What is written down and said, when readings change.

use evenkeel_core::agent::Input;
use evenkeel_core::budget::report::{budget_report, slo_report};
use evenkeel_core::slo::{Counts, SLOT, SliReading, SlotReading};
use expect_test::expect;
use jiff::Timestamp;

use crate::rig::{BASE, Rig, SLO};

#[test]
fn an_outage_is_told_once_within_two_minutes_and_is_over_when_it_is() {
    let mut rig = Rig::new(&[BASE, SLO]);
    rig.quiet(130);
    assert_eq!(rig.facts(), "");
    // 10 requests a second, all bad.
    let mut n_slots = 0;
    while rig.said.is_empty() {
        rig.slot(300.0, 300.0);
        n_slots += 1;
        assert!(n_slots <= 3, "nobody was told in {n_slots} slots");
    }
    rig.slot(300.0, 300.0);
    rig.slot(300.0, 300.0);
    rig.quiet(200);
    expect![[r#"
        slo_alert_fired answers ok/slow-burn
        slo_alert_fired answers ok/day-burn
        slo_alert_fired answers ok/three-day-burn
        slo_alert_fired answers ok/fast-burn
        slo_alert_fired answers ok/outage
        slo_alert_resolved answers ok/outage
        slo_alert_resolved answers ok/fast-burn
        slo_alert_resolved answers ok/slow-burn
    "#]]
    .assert_eq(&rig.facts());
    expect!["page SLO answers burns: ok/slow-burn"].assert_eq(&rig.said.join("\n"));
}

#[test]
fn without_data_nothing_fires_nothing_ends_and_people_hear_that_nobody_can_tell() {
    let mut rig = Rig::new(&[BASE, SLO]);
    rig.quiet(130);
    for _ in 0..4 {
        rig.slot(300.0, 300.0);
    }
    rig.said.clear();
    for _ in 0..40 {
        rig.slot_of(None);
    }
    // It fired, and is not over because nobody can see it.
    assert!(!rig.facts().contains("resolved"), "{}", rig.facts());
    let mut rig = Rig::new(&[BASE, SLO]);
    rig.quiet(130);
    for _ in 0..40 {
        rig.slot_of(None);
    }
    expect!["page SLO answers has no data"].assert_eq(&rig.said.join("\n"));
    let report = slo_report(&rig.agent, rig.now);
    let objective = &report.slos[0].objectives[0];
    let verdicts: Vec<&str> = objective.alerts.iter().map(|it| it.verdict.name()).collect();
    expect!["no_data quiet quiet quiet no_data"].assert_eq(&verdicts.join(" "));
}

/// A month of 100 dollars.
fn month(thresholds: &str) -> String {
    format!(
        "
apiVersion: evenkeel/v1
kind: Budget
metadata: {{ name: month }}
spec:
  spend:
    scope: {{ service: shop }}
    amount: 100
    window: {{ calendar: {{ every: 1M, start: 2026-01-01T00:00, time_zone: UTC }} }}
  thresholds:
{thresholds}
  clears_after: 5m
"
    )
}

#[test]
fn money_is_metered_and_thresholds_are_crossed_once() {
    let budget = month("    - { name: tenth, when: { spent_ratio: 0.1 }, then: [notify] }");
    let mut rig = Rig::new(&[BASE, SLO, &budget]);
    // Four units at 1 dollar: 10 dollars after two and a half hours.
    rig.quiet(299);
    assert_eq!(rig.facts(), "");
    rig.quiet(20);
    assert_eq!(rig.facts(), "budget_crossed month/tenth\n");
    expect!["ticket budget month: tenth crossed"].assert_eq(&rig.said.join("\n"));
    let report = budget_report(&rig.agent, rig.now);
    let status = &report.budgets[0];
    // 318 half minutes: the first reading only begins.
    expect![[r#"10.600 of 100 at Some(4.0) per hour, [ThresholdStatus { name: `tenth`, kind: "spent_ratio", when: "10 % is spent", then: [Notify], crossed_since: Some(2026-03-02T02:30:30Z), why: Some("10.0 % is spent, the limit is 10 %") }]"#]].assert_eq(&format!(
        "{:.3} of {} at {:?} per hour, {:?}",
        status.spent, status.allowance, status.per_hour, status.thresholds
    ));
    // The month ends: a new budget, and the threshold is cleared after five minutes.
    rig.now = "2026-03-31T23:59:00Z".parse().unwrap();
    rig.quiet(30);
    assert_eq!(rig.facts(), "budget_crossed month/tenth\nbudget_cleared month/tenth\n");
}

#[test]
fn what_was_counted_survives_a_restart_and_the_gap_is_metered_at_the_last_rate() {
    let budget = month("    - { name: tenth, when: { spent_ratio: 0.1 }, then: [notify] }");
    let mut rig = Rig::new(&[BASE, SLO, &budget]);
    rig.quiet(121);
    let kept = rig.agent.budgets_kept(rig.now);
    let text = serde_json::to_string(&kept).unwrap();
    let before = budget_report(&rig.agent, rig.now).budgets[0].spent;
    let bad_before = slo_report(&rig.agent, rig.now).slos[0].objectives[0].total;
    // Half an hour nobody looks.
    rig.now = rig.now.checked_add(SLOT * 60).unwrap();
    rig.restart();
    let kept = serde_json::from_str(&text).unwrap();
    rig.handle(Input::BudgetsRecalled(Box::new(kept)));
    rig.quiet(1);
    let status = &budget_report(&rig.agent, rig.now).budgets[0];
    let metered = status.spent - before;
    assert!((metered - 4.0 * 61.0 / 120.0).abs() < 0.01, "{metered}");
    assert!(status.is_estimated, "nobody looked");
    let total = slo_report(&rig.agent, rig.now).slos[0].objectives[0].total;
    assert!((total - bad_before - 300.0).abs() < 0.5, "{total} {bad_before}");
}

#[test]
fn a_coarse_past_that_is_read_twice_counts_once() {
    let mut rig = Rig::new(&[BASE, SLO]);
    let counts = Some(Counts { bad: 1.0, total: 1_000.0 });
    let at = rig.now.checked_sub(SLOT * 40_000).unwrap();
    let at = Timestamp::from_second(at.as_second().div_euclid(600) * 600).unwrap();
    let slots = vec![SlotReading { at, counts, carried: None }];
    let slo = "answers".parse().unwrap();
    let reading = SliReading { slo, objective: 0, step: SLOT * 20, slots };
    // The part slot by slot failed, so all of it is read again.
    for _ in 0..2 {
        rig.handle(Input::SlisRead(vec![reading.clone()]));
    }
    let report = slo_report(&rig.agent, rig.now);
    assert!((report.slos[0].objectives[0].total - 1_000.0).abs() < 1e-9);
}

#[test]
fn a_threshold_and_an_alert_without_their_documents_are_cleared() {
    let budget = month("    - { name: some, when: { spent_ratio: 0.01 }, then: [notify] }");
    let mut rig = Rig::new(&[BASE, SLO, &budget]);
    rig.quiet(130);
    for _ in 0..4 {
        rig.slot(300.0, 300.0);
    }
    rig.handle(Input::DocumentsLoaded(crate::rig::documents(&[BASE])));
    assert_eq!(rig.agent.state().budgets().all_crossed().count(), 0);
    assert_eq!(rig.agent.state().budgets().alerts().count(), 0);
}
