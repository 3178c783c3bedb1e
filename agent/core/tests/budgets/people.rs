//! What budgets leave of autonomy, which playbooks they start or freeze, which drills they
//! admit.

use evenkeel_core::api::budgets::FitsRequest;
use evenkeel_core::budget::report::fits;
use evenkeel_core::record::Record;
use expect_test::{Expect, expect};

use crate::rig::{BASE, Rig, SLO};

const ERRORS: &str = "
apiVersion: evenkeel/v1
kind: Budget
metadata: { name: errors }
spec:
  errors: { slo: answers }
  thresholds:
    - name: half
      when: { spent_ratio: 0.5 }
      then: [notify, tighten_autonomy, freeze_playbooks, block_drills]
";

/// Restarts when the budget burns: its only input is the budget.
const PLAYBOOK: &str = "
apiVersion: evenkeel/v1
kind: Playbook
metadata: { name: calm }
spec:
  about: The budget burns.
  runbook: runbooks/playbooks/calm.md
  severity: ticket
  selector: { match_labels: { service: shop } }
  autonomy: auto
  target_label: service
  inputs:
    - { name: spent, budget: { name: errors, value: spent_ratio } }
  trigger: { condition: 0.1 < spent }
  steps:
    - name: tell
      notify: { message: spent, severity: ticket }
  verification: { that: spent < 10.0, holds_for: 1m, within: 5m }
  limits: { attempts: 2, window: 1h, concurrency: 1, cooldown: 1m }
";

#[test]
fn a_playbook_can_be_triggered_by_a_budget() {
    let mut rig = Rig::new(&[BASE, SLO, ERRORS, PLAYBOOK]);
    rig.quiet(60);
    rig.look_at_playbook("calm");
    let n_runs =
        |rig: &Rig| rig.journal.iter().filter(|it| matches!(it, Record::RunOpened { .. })).count();
    assert_eq!(n_runs(&rig), 0);
    // 300 of 18,300 are bad: sixteen budgets.
    rig.slot(300.0, 300.0);
    rig.look_at_playbook("calm");
    rig.look_at_playbook("calm");
    assert_eq!(n_runs(&rig), 1);
}

#[test]
fn a_spent_error_budget_takes_nothing_away_without_a_person() {
    let mut rig = Rig::new(&[BASE, SLO, ERRORS]);
    rig.units = 20;
    rig.quiet(60);
    let before = rig.units;
    rig.slot(300.0, 300.0);
    for _ in 0..60 {
        rig.look(20.0);
        rig.slot(300.0, 0.0);
    }
    let explanation = rig.look(20.0);
    let _ = before;
    expect!["not scaling 9 -> 7: budget errors (half) leaves nothing to lose, a person must take capacity away: 1639.3 % is spent, the limit is 50 % (`load` is 20.0 and needs 2.2)"].assert_eq(&explanation.sentence());
}

#[track_caller]
fn check_fits(bad: f64, spends_ratio: f64, texts: &[&str], expected: &Expect) {
    let mut rig = Rig::new(texts);
    rig.quiet(60);
    rig.slot(300.0, bad);
    let request = FitsRequest { slo: "answers".parse().unwrap(), spends_ratio };
    let answer = fits(&rig.agent, &request);
    expected.assert_eq(&format!("{}: {}", answer.fits, answer.why));
}

#[test]
fn a_drill_is_admitted_only_if_what_is_left_holds_it() {
    check_fits(
        0.0,
        0.2,
        &[BASE, SLO],
        &expect!["true: it spends 20.0 % of the budget, 100.0 % is left"],
    );
    // 4 of 18.3 allowed.
    check_fits(
        4.0,
        0.7,
        &[BASE, SLO],
        &expect!["true: it spends 70.0 % of the budget, 78.1 % is left"],
    );
    check_fits(
        4.0,
        0.9,
        &[BASE, SLO],
        &expect!["false: it would spend 90.0 % of the budget, 78.1 % is left"],
    );
    check_fits(
        300.0,
        0.1,
        &[BASE, SLO],
        &expect!["false: the SLO burns: 1d 16.4x (limit 3x), 2h 16.4x (limit 3x)"],
    );
    check_fits(
        14.0,
        0.1,
        &[BASE, SLO, ERRORS],
        &expect!["false: budget errors (half) blocks drills: 76.5 % is spent, the limit is 50 %"],
    );
    check_fits(0.0, 7.0, &[BASE, SLO], &expect!["false: `spends_ratio` is 7, from above 0 to 1"]);
}
