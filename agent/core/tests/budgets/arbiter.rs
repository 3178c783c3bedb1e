//! Cost against SLO, as the guard sees it and people read it.

use evenkeel_core::explain::Conclusion;
use expect_test::{Expect, expect};

use crate::rig::{BASE, Rig, SLO};

const STOP: &str = "
apiVersion: evenkeel/v1
kind: Budget
metadata: { name: month }
spec:
  spend:
    scope: { service: shop }
    amount: 100
    window: { rolling: 30d }
  thresholds:
    - { name: some, when: { spent_ratio: 0.01 }, then: [notify, stop_scaling_out] }
";

/// Spends two hours, then asks for ten units; says how that ended.
#[track_caller]
fn check(slo: &str, bad: f64, expected: &Expect) {
    let mut rig = Rig::new(&[BASE, slo, STOP]);
    rig.quiet(240);
    for _ in 0..6 {
        rig.look(40.0);
        rig.slot(300.0, bad);
    }
    let explanation = rig.look(100.0);
    expected.assert_eq(&explanation.sentence());
    let grew = matches!(explanation.conclusion, Conclusion::Planned { .. });
    assert_eq!(grew, 4 < rig.units);
    // Removing is never stopped by a budget of money.
    assert!(explanation.arbitration.is_some());
}

#[test]
fn a_budget_stops_growth_as_long_as_the_slo_is_met() {
    check(
        SLO,
        0.0,
        &expect![
            "not scaling 4 -> 8: no growth: budget month (some): 1.0 % is spent, the limit is 1 % (`load` is 100.0 and needs 11.0)"
        ],
    );
}

#[test]
fn an_slo_that_burns_goes_first() {
    check(
        SLO,
        200.0,
        &expect![
            "scaling 4 -> 8: `load` is 100.0 and needs 11.0; 11 is more than one step of 4; cost yields, SLO answers burns: 1d 5.5x (limit 3x), 2h 5.6x (limit 3x); budget month (some): 1.0 % is spent, the limit is 1 %"
        ],
    );
}

#[test]
fn a_critical_service_always_goes_first() {
    let annotated = "metadata: { name: answers, annotations: { evenkeel.io/critical: \"true\" } }";
    let critical =
        SLO.replace("metadata: { name: answers }\nspec:", &format!("{annotated}\nspec:"));
    check(
        &critical,
        0.0,
        &expect![
            "scaling 4 -> 8: `load` is 100.0 and needs 11.0; 11 is more than one step of 4; cost yields, the service is critical to its SLO; budget month (some): 1.0 % is spent, the limit is 1 %"
        ],
    );
}

#[test]
fn without_a_crossed_threshold_nothing_is_said_of_budgets() {
    let mut rig = Rig::new(&[BASE, SLO]);
    rig.quiet(10);
    let explanation = rig.look(100.0);
    assert_eq!(explanation.arbitration, None);
    assert!(matches!(explanation.conclusion, Conclusion::Planned { .. }));
}

#[test]
fn a_stop_survives_a_restart_before_anything_is_read() {
    let mut rig = Rig::new(&[BASE, SLO, STOP]);
    rig.quiet(240);
    rig.restart();
    let explanation = rig.look(100.0);
    expect!["not scaling 4 -> 8: no growth: budget month (some): 1.0 % is spent, the limit is 1 % (`load` is 100.0 and needs 11.0)"].assert_eq(&explanation.sentence());
}
