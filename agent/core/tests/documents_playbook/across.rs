//! What holds between playbooks, targets and people.

use expect_test::expect;

use crate::{GOOD, check, loaded, shown};

#[test]
fn gates_have_people_who_can_pass_them() {
    const ACCESS: &str = "  groups: [{ name: sre, members: [ana, ben] }]\n  grants:\n    - { role: operator, to: [sre], selector: { match_labels: { tier: web } } }\n    - { role: admin, to: [ben, cem], selector: { everything: true } }\n";
    check(
        &[
            ("approvers: [sre]", "approvers: [rse]"),
            ("approvers: [sre]", "approvers: [ana]"),
            ("approvals: 1, role: operator", "approvals: 3, role: operator"),
            ("approvals: 1, role: operator", "approvals: 1, role: admin"),
            ("members: [ana, ben]", "members: []"),
            (ACCESS, "  grants: []\n"),
            (
                ACCESS,
                "  groups: [{ name: sre, members: [ana, ben] }]\n  grants: [{ role: operator, to: [sre], selector: { targets: [ledger] } }]\n",
            ),
            ("gate: {} }", "gate: { approvals: 4 } }"),
        ],
        &expect![[r#"
            ## approvers: [rse]
            41:57 error: playbook `gray-node`: the gate of step `replace`: nobody is called `rse`
              hint: add it under `people` or `groups` of an `Access` document
            ## approvers: [ana]
            41:13 warning: playbook `gray-node`: step `replace` needs the approval of 1 on target `checkout`, and 1 person of its approvers has role `operator` there: if one of them asks for the run, too few are left
              hint: whoever asks for a run does not approve it: grant the role to one more person
            ## approvals: 3, role: operator
            41:13 error: playbook `gray-node`: step `replace` can never be approved on target `checkout`: it needs 3, and 2 people of its approvers have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            ## approvals: 1, role: admin
            41:13 warning: playbook `gray-node`: step `replace` needs the approval of 1 on target `checkout`, and 1 person of its approvers has role `admin` there: if one of them asks for the run, too few are left
              hint: whoever asks for a run does not approve it: grant the role to one more person
            ## members: []
            41:57 error: playbook `gray-node`: the gate of step `replace` can never be passed: its groups have no members
              hint: add members, or name others
            ## grants: []
            10:13 error: playbook `gray-node`: step `eject` can never be approved on target `checkout`: it needs 1, and 0 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            41:57 error: playbook `gray-node`: the gate of step `replace`: nobody is called `sre`
              hint: add it under `people` or `groups` of an `Access` document
            43:122 error: playbook `gray-node`: step `restart` can never be approved on target `checkout`: it needs 1, and 0 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            54:13 error: playbook `gray-node`: step `hook` can never be approved on target `checkout`: it needs 1, and 0 people have role `admin` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            60:15 error: playbook `gray-node`: step `agree` can never be approved on target `checkout`: it needs 1, and 0 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            ## groups: [{ name: sre, members: [ana, ben] }]
              grants: [{ role: operator, to: [sre], selector: { targets: [ledger] } }]
            10:13 error: playbook `gray-node`: step `eject` can never be approved on target `checkout`: it needs 1, and 0 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            41:13 error: playbook `gray-node`: step `replace` can never be approved on target `checkout`: it needs 1, and 0 people of its approvers have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            43:122 error: playbook `gray-node`: step `restart` can never be approved on target `checkout`: it needs 1, and 0 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            54:13 error: playbook `gray-node`: step `hook` can never be approved on target `checkout`: it needs 1, and 0 people have role `admin` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            60:15 error: playbook `gray-node`: step `agree` can never be approved on target `checkout`: it needs 1, and 0 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
            ## gate: { approvals: 4 } }
            43:122 error: playbook `gray-node`: step `restart` can never be approved on target `checkout`: it needs 4, and 3 people have role `operator` there
              hint: grant the role in an `Access` document, or ask for fewer `approvals`
        "#]],
    );
    let (without_access, _) =
        GOOD.split_once("---\napiVersion: evenkeel/v1\nkind: Access").unwrap();
    expect![[r#"
        41:13 warning: playbook `gray-node` waits for people, and no `Access` document says who they are
          hint: check it together with the documents of kind `Access`; without any, only the daemon's own account can approve
    "#]].assert_eq(&shown(&loaded(without_access)));
    let documents = loaded(GOOD).documents.unwrap();
    let gates: Vec<String> = documents
        .playbooks()
        .flat_map(|it| &it.steps)
        .filter_map(|it| Some(format!("{}: {:?}", it.name, it.gate.as_ref()?.approvers)))
        .collect();
    expect![[r#"
        replace: {`ana`, `ben`}
        restart: {}
        hook: {}
        agree: {}"#]]
    .assert_eq(&gates.join("\n"));
}

#[test]
fn targets_have_what_the_steps_need() {
    check(
        &[
            ("    instances: { aws_ecs_service: { cluster: shop, service: checkout } }\n", ""),
            ("    traffic: { haproxy: { socket: /run/haproxy.sock, backend: web } }\n", ""),
            ("    deployment: { aws_ecs_service: { cluster: shop, service: checkout } }\n", ""),
            (
                "  selector: { match_labels: { tier: web } }\n  autonomy: approve",
                "  selector: { everything: true }\n  autonomy: approve",
            ),
            (
                "  selector: { match_labels: { tier: web } }\n  autonomy: approve",
                "  selector: { targets: [chekout] }\n  autonomy: approve",
            ),
            (
                "  selector: { match_labels: { tier: web } }\n  autonomy: approve",
                "  selector: {}\n  autonomy: approve",
            ),
            (
                "instances: { aws_auto_scaling_group: { group: ledger } }",
                "instances: { haproxy: { socket: /x, backend: y } }",
            ),
            (
                "traffic: { simulated: { service: ledger } }",
                "traffic: { aws_auto_scaling_group: { group: ledger } }",
            ),
            ("depends_on: [ledger]", "depends_on: [ledgr]"),
            ("depends_on: [ledger]", "depends_on: [checkout]"),
        ],
        &expect![[r#"
            ## 
            38:13 error: playbook `gray-node`: step `replace` can never be done: target `checkout` has no `instances` actuator
              hint: give the target its `actuators.instances`, or narrow the selector of the playbook
            43:15 error: playbook `gray-node`: step `restart` can never be done: target `checkout` has no `instances` actuator
              hint: give the target its `actuators.instances`, or narrow the selector of the playbook
            ## 
            35:13 error: playbook `gray-node`: step `eject` can never be done: target `checkout` has no `traffic` actuator
              hint: give the target its `actuators.traffic`, or narrow the selector of the playbook
            45:15 error: playbook `gray-node`: step `weights` can never be done: target `checkout` has no `traffic` actuator
              hint: give the target its `actuators.traffic`, or narrow the selector of the playbook
            46:15 error: playbook `gray-node`: step `back` can never be done: target `checkout` has no `traffic` actuator
              hint: give the target its `actuators.traffic`, or narrow the selector of the playbook
            ## 
            47:15 error: playbook `gray-node`: step `rollback` can never be done: target `checkout` has no `deployment` actuator
              hint: give the target its `actuators.deployment`, or narrow the selector of the playbook
            ## selector: { everything: true }
              autonomy: approve
            41:13 warning: playbook `gray-node`: step `replace` needs the approval of 1 on target `ledger`, and 1 person of its approvers has role `operator` there: if one of them asks for the run, too few are left
              hint: whoever asks for a run does not approve it: grant the role to one more person
            48:13 warning: playbook `gray-node`: step `rotate` uses label `tier`, which target `ledger` does not have
              hint: add the label to the target, or narrow the selector of the playbook
            ## selector: { targets: [chekout] }
              autonomy: approve
            9:13 warning: playbook `gray-node` names target `chekout`, which no document describes
              hint: did you mean `checkout`?
            ## selector: {}
              autonomy: approve
            9:13 warning: playbook `gray-node` has an empty selector, which selects nothing
              hint: write `everything: true` if that is meant, or add a condition
            ## instances: { haproxy: { socket: /x, backend: y } }
            103:18 error: target `ledger`: unknown field `haproxy` in `spec.actuators.instances`
              hint: known fields here: `aws_auto_scaling_group`, `aws_ecs_service`, `webhook` and `simulated`
            ## traffic: { aws_auto_scaling_group: { group: ledger } }
            104:16 error: target `ledger`: unknown field `aws_auto_scaling_group` in `spec.actuators.traffic`
              hint: known fields here: `haproxy`, `webhook` and `simulated`
            ## depends_on: [ledgr]
            93:16 error: target `checkout` depends on target `ledgr`, which no document describes
              hint: did you mean `ledger`?
            ## depends_on: [checkout]
            93:16 error: target `checkout` names itself under `depends_on`
              hint: remove it
        "#]],
    );
}

#[test]
fn two_playbooks_that_do_the_same_to_one_target_are_told_apart_by_priority() {
    const STEP: &str = "- { name: tell, notify: { message: look at it } }";
    const DRAIN: &str = "- { name: weights, shift_traffic: { select: { all: true }, weight_ratio: 0 }, undo: before }";
    let equal =
        |step: &str| GOOD.replacen("priority: 70", "priority: 50", 1).replacen(STEP, step, 1);
    let mut all = String::new();
    for (what, text) in [
        ("equal priority", equal(DRAIN)),
        ("different priority", GOOD.replacen(STEP, DRAIN, 1)),
        (
            "other actions",
            equal("- { name: hook, call_webhook: { webhook: y }, undo: { nothing: x } }"),
        ),
        (
            "the same webhook",
            equal("- { name: hook, call_webhook: { webhook: page-vendor }, undo: { nothing: x } }"),
        ),
        (
            "as an undo",
            equal("- { name: tf, run_command: { command: x }, undo: { set_capacity: { to: 4 } } }"),
        ),
        (
            "other targets",
            equal(DRAIN).replacen("{ everything: true }", "{ targets: [ledger] }", 1),
        ),
        ("the same name", GOOD.replacen("name: errors", "name: gray-node", 1)),
    ] {
        all.push_str(&format!("## {what}\n{}", shown(&loaded(&text))));
    }
    expect![[r#"
        ## equal priority
        66:19 warning: playbooks `gray-node` (line 4) and `errors` both do `shift_traffic` on target `checkout` and have priority 50
          hint: one runs at a time, and at equal priority their names decide which: give one a higher `priority`
        ## different priority
        ## other actions
        ## the same webhook
        66:19 warning: playbooks `gray-node` (line 4) and `errors` both do `call_webhook` (`page-vendor`) on target `checkout` and have priority 50
          hint: one runs at a time, and at equal priority their names decide which: give one a higher `priority`
        ## as an undo
        66:19 warning: playbooks `gray-node` (line 4) and `errors` both do `set_capacity` on target `checkout` and have priority 50
          hint: one runs at a time, and at equal priority their names decide which: give one a higher `priority`
        ## other targets
        ## the same name
        66:19 error: playbook `gray-node` is there twice, first in line 4
          hint: rename or remove one of the two
    "#]].assert_eq(&all);
}
