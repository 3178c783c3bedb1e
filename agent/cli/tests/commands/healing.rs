//! `incidents`, `approve`, `deny`, `abort`, `takeover`, `handback`, `review`, `promote`,
//! `playbook run`: what is asked, and how the answer reads.

use expect_test::{Expect, expect};

use crate::agent::{Agent, Reply};
use crate::command::Scene;

const RUN: &str = r#"{"id":"run-7","playbook":"gray-node","playbook_sha256":"ab","target":"checkout-api","incident":"inc-3","cause":{"cause":"triggered","why":"latency is 2.1"},"parameters":{"slow_ratio":3.0},"opened_at":"2026-11-20T00:01:00Z","phase":"awaiting_approval","ending":null,"sentence":"waits for 1 more approval of operator","step":1,"plan_hash":"5f1c09ab","plan":["drain i-2","replace i-2"],"approvals":[{"actor":"ana","at":"2026-11-20T00:02:00Z","step":0,"plan_hash":"5f1c09ab","is_break_glass":false}],"approval_expires_at":"2026-11-20T00:21:00Z","ended_at":null}"#;

const INCIDENT: &str = r#"{"id":"inc-3","severity":"page","state":"open","targets":["checkout-api","cart"],"symptoms":[{"playbook":"gray-node","target":"checkout-api","began_at":"2026-11-20T00:00:00Z","seen_at":"2026-11-20T00:01:00Z","ended_at":null,"what":"latency is 2.1"}],"began_at":"2026-11-20T00:00:00Z","detected_at":"2026-11-20T00:01:00Z","acknowledged_at":null,"acknowledged_by":null,"resolved_at":null,"mttd_seconds":60.0,"mtta_seconds":null,"mttr_seconds":null,"n_reopened":1,"runs":["run-7"],"waiting_for":null,"timeline":[{"at":"2026-11-20T00:00:00Z","what":"first bad sample on checkout-api"},{"at":"2026-11-20T00:01:00Z","what":"detected\u001b[31m"}]}"#;

const TAKEN: &str = r#"{"enforced":true,"override":{"id":"ov-5","kind":"takeover","scope":"checkout-api","actor":"ana","reason":"by hand","starts_at":"2026-11-20T00:05:00Z","ends_at":"2026-11-20T04:05:00Z"},"targets":1,"effects_in_flight":[],"effects_withdrawn":[]}"#;

fn ended(ending: &str) -> String {
    RUN.replace("\"awaiting_approval\"", "\"ended\"")
        .replace("\"ending\":null", &format!("\"ending\":\"{ending}\""))
        .replace("\"ended_at\":null", "\"ended_at\":\"2026-11-20T00:05:00Z\"")
}

fn incidents(runs: &str) -> String {
    format!(
        r#"{{"incidents":[{INCIDENT}],"runs":[{runs}],"storm":{{"since":"2026-11-20T00:00:00Z","last_at":"2026-11-20T00:01:00Z","why":"5 of 10 targets are unhealthy"}},"reviews":[{{"run":"run-2","actor":"ben","due_at":"2026-11-20T06:00:00Z","is_overdue":true}}],"autonomy":[{{"target":"cart","class":"drain","standing":{{"promoted_to":null,"demotion":{{"to":"suggest","at":"2026-11-19T00:00:00Z","why":"run-1 was not verified"}},"evidence":{{"n_decisions":3,"n_agreed":2,"n_verified":1,"n_failed":0}},"is_proposed":false}}}}],"lapses":[{{"scope":"cart","at":"2026-11-19T00:00:00Z","why":"a takeover ran out"}}]}}"#
    )
}

/// Runs `line`; `expected` begins with what was asked of the agent.
#[track_caller]
fn check(rules: &[(&'static str, &str)], line: &str, expected: &Expect) {
    let scene = Scene::new();
    let rules: Vec<_> = rules
        .iter()
        .map(|(start, body)| (*start, Reply::Answer(200, (*body).to_owned())))
        .collect();
    let agent = Agent::start(scene.dir.path().join("a.sock"), &rules);
    let said = scene.said(&format!("{line} --socket a.sock"));
    expected.assert_eq(&format!("{}\n{said}", agent.asked()));
}

fn changed(run: &str) -> String {
    format!(r#"{{"enforced":true,"run":{run}}}"#)
}

#[test]
fn incidents_are_a_table_and_what_waits_is_below() {
    check(
        &[("GET /v1/incidents", &incidents(RUN))],
        "incidents",
        &expect![[r#"
        GET /v1/incidents
        exit 0
        stdout:
        STORM: since 2026-11-20 00:00:00 UTC nothing is removed or restarted: 5 of 10 targets are unhealthy

        ID     SEVERITY  STATE  SINCE                    TARGETS             RUN    PHASE              WAITING FOR
        inc-3  page      open   2026-11-20 00:00:00 UTC  checkout-api, cart  run-7  awaiting_approval  waits for 1 more approval of operator

        TO REVIEW  PASSED ALONE BY  DUE
        run-2      ben              2026-11-20 06:00:00 UTC, overdue

        LEFT TO PEOPLE  SINCE                    WHY
        cart            2026-11-19 00:00:00 UTC  a takeover ran out
        `evenkeel handback SCOPE` gives it back

        TARGET  ACTIONS  PROMOTED TO  DEMOTED TO  EVIDENCE                              WHY
        cart    drain    -            suggest     2 of 3 agreed, 1 run verified, 0 not  since 2026-11-19 00:00:00 UTC: run-1 was not verified
        stderr:

        hint: run-7 on checkout-api waits for you; look at its plan in `evenkeel incidents inc-3`, then `evenkeel approve run-7 --plan 5f1c09ab`, or `evenkeel deny run-7`
    "#]],
    );
}

#[test]
fn one_incident_is_shown_in_full() {
    let rules = [("GET /v1/incidents/inc-3", INCIDENT), ("GET /v1/runs/run-7", RUN)];
    check(
        &rules,
        "incidents inc-3",
        &expect![[r#"
        GET /v1/incidents/inc-3
        GET /v1/runs/run-7
        exit 0
        stdout:
        inc-3: page, open, on checkout-api, cart
          began         2026-11-20 00:00:00 UTC
          detected      2026-11-20 00:01:00 UTC, after 1m
          acknowledged  by nobody yet
          resolved      not yet
          it came back 1 time

        SYMPTOM OF  ON            SINCE                    UNTIL  WHAT
        gray-node   checkout-api  2026-11-20 00:00:00 UTC  -      latency is 2.1

        run-7: gray-node on checkout-api, for inc-3, awaiting_approval: waits for 1 more approval of operator
          triggered: latency is 2.1, since 2026-11-20 00:01:00 UTC
          with slow_ratio=3
          approved by ana before step 1, 2026-11-20 00:02:00 UTC
          plan 5f1c09ab
          > 1. drain i-2
            2. replace i-2
          without an answer by 2026-11-20 00:21:00 UTC that is a no

        AT                       WHAT
        2026-11-20 00:00:00 UTC  first bad sample on checkout-api
        2026-11-20 00:01:00 UTC  detected�[31m
        stderr:

        hint: run-7 waits for you: `evenkeel approve run-7 --plan 5f1c09ab`, or `evenkeel deny run-7`

        hint: to take note of it, `evenkeel incidents inc-3 --acknowledge`
    "#]],
    );
}

#[test]
fn an_incident_is_acknowledged() {
    let body = INCIDENT.replace("\"acknowledged_by\":null", "\"acknowledged_by\":\"ana\"");
    let body = format!(r#"{{"enforced":true,"incident":{body}}}"#);
    check(
        &[("POST ", &body)],
        "incidents inc-3 --acknowledge",
        &expect![[r#"
        POST /v1/incidents/inc-3/acknowledge {"reason":""}
        exit 0
        stdout:
        enforced: inc-3 acknowledged by ana
    "#]],
    );
}

#[test]
fn an_approval_names_the_plan_that_was_seen() {
    check(
        &[("POST ", &changed(RUN))],
        "approve run-7 --plan 5f1c09ab",
        &expect![[r#"
        POST /v1/runs/run-7/approve {"plan_hash":"5f1c09ab","break_glass":false,"reason":""}
        exit 0
        stdout:
        enforced: run-7 approved
        run-7: gray-node on checkout-api, for inc-3, awaiting_approval: waits for 1 more approval of operator
          triggered: latency is 2.1, since 2026-11-20 00:01:00 UTC
          with slow_ratio=3
          approved by ana before step 1, 2026-11-20 00:02:00 UTC
          plan 5f1c09ab
          > 1. drain i-2
            2. replace i-2
          without an answer by 2026-11-20 00:21:00 UTC that is a no
        stderr:

        hint: it waits for an answer: `evenkeel approve run-7 --plan 5f1c09ab`, or `evenkeel deny run-7`
    "#]],
    );
    check(
        &[("POST ", &changed(RUN))],
        "approve run-7 --plan 5f1c09ab --break-glass --reason 'nobody else is awake' -o json",
        &expect![[r#"
            POST /v1/runs/run-7/approve {"plan_hash":"5f1c09ab","break_glass":true,"reason":"nobody else is awake"}
            exit 0
            stdout:
            {"enforced":true,"run":{"id":"run-7","playbook":"gray-node","playbook_sha256":"ab","target":"checkout-api","incident":"inc-3","cause":{"cause":"triggered","why":"latency is 2.1"},"parameters":{"slow_ratio":3.0},"opened_at":"2026-11-20T00:01:00Z","phase":"awaiting_approval","ending":null,"sentence":"waits for 1 more approval of operator","step":1,"plan_hash":"5f1c09ab","plan":["drain i-2","replace i-2"],"approvals":[{"actor":"ana","at":"2026-11-20T00:02:00Z","step":0,"plan_hash":"5f1c09ab","is_break_glass":false}],"approval_expires_at":"2026-11-20T00:21:00Z","ended_at":null}}
        "#]],
    );
}

#[test]
fn each_word_about_a_run_is_its_own() {
    let scene = Scene::new();
    let reply = Reply::Answer(200, changed(&ended("aborted")));
    let agent = Agent::start(scene.dir.path().join("a.sock"), &[("POST ", reply)]);
    for line in ["deny run-7", "abort run-7 --reason 'wrong'", "review run-7 --note 'it had to be'"]
    {
        let said = scene.said(&format!("{line} --socket a.sock"));
        assert!(said.starts_with("exit 0\nstdout:\nenforced: run-7 "), "{said}");
    }
    expect![[r#"
        POST /v1/runs/run-7/deny {"reason":""}
        POST /v1/runs/run-7/abort {"reason":"wrong"}
        POST /v1/runs/run-7/review {"reason":"it had to be"}"#]]
    .assert_eq(&agent.asked());
}

#[test]
fn a_takeover_says_which_runs_it_has_ended() {
    check(
        &[("POST ", TAKEN), ("GET /v1/incidents", &incidents(&ended("taken_over")))],
        "takeover checkout-api --reason 'by hand'",
        &expect![[r#"
            POST /v1/overrides {"kind":"takeover","scope":"checkout-api","for":"4h","reason":"by hand"}
            GET /v1/incidents?all=true
            exit 0
            stdout:
            enforced: takeover ov-5 on checkout-api until 04:05 UTC (in 4h) by ana: by hand
              on 1 target; no effect is in flight
              ended as it was, nothing undone: run-7, gray-node on checkout-api
            stderr:

            hint: it is yours; when you are done, `evenkeel handback checkout-api`. When the time is up without that, the agent goes on only as `suggest`
        "#]],
    );
    // Enforced, also when what it ended cannot be read.
    check(
        &[("POST ", TAKEN)],
        "takeover checkout-api --reason 'by hand'",
        &expect![[r#"
        POST /v1/overrides {"kind":"takeover","scope":"checkout-api","for":"4h","reason":"by hand"}
        GET /v1/incidents?all=true
        exit 0
        stdout:
        enforced: takeover ov-5 on checkout-api until 04:05 UTC (in 4h) by ana: by hand
          on 1 target; no effect is in flight
        stderr:
        warning: which runs were ended could not be read; `evenkeel incidents --all` shows them

        hint: it is yours; when you are done, `evenkeel handback checkout-api`. When the time is up without that, the agent goes on only as `suggest`
    "#]],
    );
}

#[test]
fn a_handback_says_what_is_given_back() {
    let body = r#"{"enforced":true,"ended":[{"id":"ov-5","kind":"takeover","scope":"checkout-api","actor":"ana","reason":"by hand","starts_at":"2026-11-20T00:05:00Z","ends_at":"2026-11-20T04:05:00Z"}],"resumed":["cart"],"restored":[["cart","drain"]]}"#;
    check(
        &[("POST ", body)],
        "handback all --reason 'done'",
        &expect![[r#"
        POST /v1/handback {"scope":"all","reason":"done"}
        exit 0
        stdout:
        enforced: handed back all
          ended ov-5: takeover on checkout-api by ana: by hand
          resumed cart
          restored drain on cart
    "#]],
    );
}

#[test]
fn a_promotion_says_from_now_on() {
    let body = r#"{"enforced":true,"standing":{"target":"cart","class":"drain","standing":{"promoted_to":"auto","demotion":null,"evidence":{"n_decisions":0,"n_agreed":0,"n_verified":0,"n_failed":0},"is_proposed":false}}}"#;
    check(
        &[("POST ", body)],
        "promote cart --class drain --to auto --reason '50 of 50'",
        &expect![[r#"
            POST /v1/autonomy {"target":"cart","class":"drain","to":"auto","reason":"50 of 50"}
            exit 0
            stdout:
            enforced: drain on cart: auto from now on
              evidence is counted anew
            stderr:

            hint: any run that does not verify takes it back at once
        "#]],
    );
}

#[test]
fn a_dry_run_shows_the_plan_and_a_run_that_is_waited_for_how_it_ended() {
    let refused = ended("refused");
    let begun = changed(RUN);
    check(
        &[("POST ", &begun), ("GET /v1/runs/run-7", &refused)],
        "playbook run gray-node checkout-api --set slow_ratio=4 --reason r --dry-run",
        &expect![[r#"
            POST /v1/runs {"playbook":"gray-node","target":"checkout-api","parameters":{"slow_ratio":4.0},"reason":"r","dry_run":true}
            GET /v1/runs/run-7
            exit 0
            stdout:
            run-7: gray-node on checkout-api, for inc-3, refused: waits for 1 more approval of operator
              triggered: latency is 2.1, since 2026-11-20 00:01:00 UTC
              with slow_ratio=3
              approved by ana before step 1, 2026-11-20 00:02:00 UTC
              plan 5f1c09ab
              > 1. drain i-2
                2. replace i-2
        "#]],
    );
    for (ending, exit) in [("succeeded", "exit 0"), ("rolled_back", "exit 1")] {
        let scene = Scene::new();
        let rules = [
            ("POST ", Reply::Answer(200, begun.clone())),
            ("GET /v1/runs/run-7", Reply::Answer(200, ended(ending))),
        ];
        let _agent = Agent::start(scene.dir.path().join("a.sock"), &rules);
        let said = scene.said("playbook run gray-node cart --reason r --wait --socket a.sock");
        assert!(said.starts_with(exit), "{said}");
    }
}

#[test]
fn a_plan_that_does_not_come_is_not_waited_for_for_ever() {
    let scene = Scene::new();
    let answer = |body: String| Reply::Answer(200, body);
    let rules = [("POST ", answer(changed(RUN))), ("GET /v1/runs/run-7", answer(RUN.to_owned()))];
    let _agent = Agent::start(scene.dir.path().join("a.sock"), &rules);
    scene.check(
        "playbook run gray-node checkout-api --reason r --dry-run --timeout 1s --socket a.sock",
        &expect![[r#"
            exit 1
            stderr:
            run-7: awaiting_approval: waits for 1 more approval of operator
              `evenkeel approve run-7 --plan 5f1c09ab`, or `evenkeel deny run-7`
            error: run-7 has no plan after 1s: waits for 1 more approval of operator

            hint: it touches nothing; `evenkeel incidents` shows when it has one, `evenkeel abort run-7` ends it
        "#]],
    );
}

#[test]
fn a_slip_is_wrong_usage() {
    let scene = Scene::new();
    for line in [
        "approve run-7",
        "approve 7 --plan ab",
        "approve run-7 --plan ab --break-glass",
        "incidents --acknowledge",
        "incidents inc-3 --all",
        "review run-7",
        "promote cart --class reboot --to auto --reason r",
        "promote cart --class drain --to always --reason r",
        "playbook run gray-node cart",
        "playbook run gray-node cart --reason r --set units",
        "playbook run gray-node cart --reason r --set a=1 --set a=2",
        "playbook run gray-node cart --reason r --dry-run --wait",
        "playbook test a.yaml",
    ] {
        let said = scene.said(line);
        assert!(said.starts_with("exit 2\n"), "{line}: {said}");
    }
}

#[test]
fn a_refusal_is_exit_1_with_its_hint_and_silence_exit_3_with_the_break_glass_line() {
    let scene = Scene::new();
    let body = r#"{"error":"run-7 has plan cd, not ab","hint":"look again"}"#;
    let reply = Reply::Answer(409, body.to_owned());
    let _agent = Agent::start(scene.dir.path().join("a.sock"), &[("POST ", reply)]);
    let line = "approve run-7 --plan ab";
    scene.check(
        &format!("{line} --socket a.sock"),
        &expect![[r#"
        exit 1
        stderr:
        refused: run-7 has plan cd, not ab

        hint: look again
    "#]],
    );
    let said = scene.said(line);
    assert!(said.starts_with("exit 3\n") && said.contains("break-glass"), "{said}");
}
