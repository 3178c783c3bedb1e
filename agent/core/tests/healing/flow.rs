//! Whole stories, from the first bad sample to the end.

use expect_test::expect;

use evenkeel_core::ids::RunId;

use crate::rig::Rig;

/// Three operators, an admin, a viewer, two targets of a web tier, and a database that both call.
pub(crate) const REGION: &str = "
apiVersion: evenkeel/v1
kind: Access
metadata: { name: people }
spec:
  people:
    - { name: ana, unix_user: ana }
    - { name: ben, unix_user: ben }
    - { name: cleo, unix_user: cleo }
    - { name: vic, unix_user: vic }
    - { name: dora, unix_user: dora }
  groups:
    - { name: sre, members: [ana, ben] }
  grants:
    - { role: operator, to: [ana, ben, cleo], selector: { everything: true } }
    - { role: admin, to: [dora], selector: { everything: true } }
    - { role: viewer, to: [vic], selector: { everything: true } }
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: web, labels: { tier: web } }
spec:
  region: r
  provider: { simulated: { service: web } }
  capacity: { min: 2, max: 40 }
  depends_on: [db]
  actuators:
    instances: { simulated: { service: web } }
    traffic: { simulated: { service: web } }
    deployment: { simulated: { service: web } }
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: db, labels: { tier: db } }
spec:
  region: r
  provider: { simulated: { service: db } }
  capacity: { min: 2, max: 40 }
  actuators:
    instances: { simulated: { service: db } }
    traffic: { simulated: { service: db } }
    deployment: { simulated: { service: db } }
---
apiVersion: evenkeel/v1
kind: Guardrail
metadata: { name: wide }
spec:
  selector: { everything: true }
  blast_radius: { window: 10m, removed_ratio_max: 0.5 }
";

/// Drains the odd instance by itself, asks before it replaces it.
pub(crate) const GRAY: &str = "
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: { name: gray-node }
spec:
  about: One instance is far slower than its peers.
  runbook: runbooks/playbooks/gray-node.md
  severity: page
  selector: { match_labels: { tier: web } }
  autonomy: auto
  target_label: service
  parameters:
    slow_ratio: { unit: ratio, default: 3, min: 1.5, max: 20 }
  inputs:
    - { name: latency, query: latency, per: { instance: instance }, unit: seconds, max_age: 1m }
  trigger:
    condition: outlier_count(latency, params.slow_ratio) >= 1
    lasts: 30s
  conditions:
    - { name: enough instances, that: instances(latency) >= 3 }
  steps:
    - name: eject
      drain: { select: { outliers_of: latency, factor: params.slow_ratio }, share_max: 0.2 }
      undo: before
    - name: replace
      replace_instances: { select: { outliers_of: latency, factor: params.slow_ratio }, share_max: 0.2 }
      undo: { nothing: a replaced instance stays replaced }
      gate: { approvals: 1, role: operator, expires_after: 30m }
  verification: { that: 'outlier_count(latency, params.slow_ratio) < 1', holds_for: 1m, within: 10m }
";

#[test]
fn a_gray_instance_is_found_ejected_replaced_with_a_person_and_verified() {
    let mut rig = Rig::new(&format!("{REGION}{GRAY}"));
    rig.sees_instances("web", "latency", 0.1, &[]);
    rig.run_for(60);
    rig.sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig.run_for(60);
    assert_eq!(rig.phase(RunId(1)), "awaiting_approval");
    rig.approve_as("ana", RunId(1)).unwrap();
    rig.settle();
    rig.sees_instances("web", "latency", 0.1, &[]);
    rig.run_for(180);
    expect![[r#"
        01:15 first bad sample on web
        01:45 detected by gray-node on web: outlier_count(latency (10 instances, 0.1 s to 3 s), params.slow_ratio (3)) >= 1
        01:45 run-1 of gray-node on web began
        01:45 run-1: plan ee011aa1d85d816c: 1. eject: drain web/4; undo: put web/4 back into traffic; 2. replace: replace web/4; cannot be undone [waits for 1 approval(s)]; then outlier_count(latency, params.slow_ratio) < 1 must hold for 1m within 10m, else all of it is undone
        01:45 run-1: doing step `eject`: drain web/4 (ef-1)
        01:45 run-1: effect ef-1 done: test
        01:45 run-1: waits for approval before step `replace` until 2026-03-02T06:31:45Z
        02:00 ana took note
        02:00 run-1: ana approved (plan ee011aa1d85d816c)
        02:00 run-1: doing step `replace`: replace web/4 (ef-2)
        02:00 run-1: effect ef-2 done: test
        03:15 run-1: verified: what should hold, holds
        03:15 run-1 succeeded, verified
        03:15 gray-node on web is over
        03:15 resolved
    "#]].assert_eq(&rig.timeline(1));
    expect![[r#"
        page incident_opened: inc-1: gray-node on web
        page approval_wanted: run-1: gray-node on web waits for a person
        info run_ended: run-1 of gray-node on web succeeded, verified
        info incident_resolved: inc-1: resolved after 2m
    "#]]
    .assert_eq(&rig.told());
    expect![[r#"
        drain web/4 on web
        replace web/4 on web
    "#]]
    .assert_eq(&rig.performed());
}
