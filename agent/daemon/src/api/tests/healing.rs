//! Incidents, runs and autonomy: what is asked, and what is not there.
//!
//! What the core allows and refuses is tested with it; here, that each word reaches it as it
//! was said and that each refusal has its status and its way on.

use evenkeel_core::action::ActionClass;
use evenkeel_core::documents::{Autonomy, Denial, Role};
use evenkeel_core::ids::{Actor, IncidentId, ParameterName, PlaybookId, RunId, TargetId};
use evenkeel_core::overrides::Scope;
use evenkeel_core::request::RequestRefusal;
use expect_test::{Expect, expect};

use super::stage::{Stage, Who};
use crate::api::refusals::status_and_hint;

/// Shows what comes back for each method, path and body.
#[track_caller]
fn check(asked: &[(&str, &str, &str)], expected: &Expect) {
    let stage = Stage::new();
    let shown: Vec<String> = asked
        .iter()
        .map(|(method, path, body)| {
            let asked = format!("{method} {path} {body}");
            let asked = asked.trim_end();
            let answer = stage.send(Who::Owner, method, path, body.as_bytes());
            let told = answer.json();
            if answer.status == 200 {
                return format!("{asked}\n  200 {told}\n");
            }
            let (error, hint) = (&told["error"], &told["hint"]);
            format!("{asked}\n  {} {error}\n  hint: {hint}\n", answer.status)
        })
        .collect();
    expected.assert_eq(&shown.concat());
}

#[test]
fn a_quiet_region_has_no_incidents_and_says_so() {
    check(
        &[("GET", "/v1/incidents", ""), ("GET", "/v1/incidents?all=true", "")],
        &expect![[r#"
        GET /v1/incidents
          200 {"autonomy":[],"incidents":[],"lapses":[],"reviews":[],"runs":[],"storm":null}
        GET /v1/incidents?all=true
          200 {"autonomy":[],"incidents":[],"lapses":[],"reviews":[],"runs":[],"storm":null}
    "#]],
    );
}

#[test]
fn what_is_not_there_or_not_a_number_is_said() {
    check(
        &[
            ("GET", "/v1/incidents/inc-3", ""),
            ("GET", "/v1/incidents/3", ""),
            ("GET", "/v1/incidents?al=true", ""),
            ("GET", "/v1/runs/run-7", ""),
            ("GET", "/v1/runs/inc-7", ""),
            ("POST", "/v1/runs/7/approve", r#"{"plan_hash":"ab"}"#),
            ("POST", "/v1/incidents/run-7/acknowledge", "{}"),
        ],
        &expect![[r#"
            GET /v1/incidents/inc-3
              404 "there is no incident inc-3 in memory"
              hint: "`evenkeel incidents --all` lists them; `evenkeel history --kind incident_opened` knows older ones"
            GET /v1/incidents/3
              400 "the path names no incident: Invalid URL: `3` is not of the form `inc-NUMBER`"
              hint: "write it as `inc-3`; `evenkeel incidents` lists them"
            GET /v1/incidents?al=true
              400 "Failed to deserialize query string: al: unknown field `al`, expected `all`: al: unknown field `al`, expected `all`: al: unknown field `al`, expected `all`"
              hint: "`GET /v1/openapi.json` lists the parameters; write `+` as `%2B`"
            GET /v1/runs/run-7
              404 "there is no run run-7 in memory"
              hint: "`evenkeel incidents --all` lists them; `evenkeel history --kind run_opened` knows older ones"
            GET /v1/runs/inc-7
              400 "the path names no run: Invalid URL: `inc-7` is not of the form `run-NUMBER`"
              hint: "write it as `run-7`; `evenkeel incidents` lists them"
            POST /v1/runs/7/approve {"plan_hash":"ab"}
              400 "the path names no run: Invalid URL: `7` is not of the form `run-NUMBER`"
              hint: "write it as `run-7`; `evenkeel incidents` lists them"
            POST /v1/incidents/run-7/acknowledge {}
              400 "the path names no incident: Invalid URL: `run-7` is not of the form `inc-NUMBER`"
              hint: "write it as `inc-3`; `evenkeel incidents` lists them"
        "#]],
    );
}

#[test]
fn a_body_with_a_slip_changes_nothing() {
    check(
        &[
            ("POST", "/v1/runs", r#"{"playbook":"restart","target":"cart","dryrun":true}"#),
            ("POST", "/v1/runs/run-7/approve", "{}"),
            ("POST", "/v1/runs/run-7/approve", r#"{"plan_hash":"ab","force":true}"#),
            ("POST", "/v1/runs/run-7/deny", r#"{"why":"no"}"#),
            ("POST", "/v1/handback", r#"{"reason":"done"}"#),
            (
                "POST",
                "/v1/autonomy",
                r#"{"target":"cart","class":"reboot","to":"auto","reason":"r"}"#,
            ),
            (
                "POST",
                "/v1/autonomy",
                r#"{"target":"cart","class":"drain","to":"always","reason":"r"}"#,
            ),
            (
                "POST",
                "/v1/overrides",
                r#"{"kind":"takeover","scope":"cart","for":"1h","reason":"r","capacity":3}"#,
            ),
        ],
        &expect![[r#"
            POST /v1/runs {"playbook":"restart","target":"cart","dryrun":true}
              400 "the body is not what it must be: unknown field `dryrun`, expected one of `playbook`, `target`, `parameters`, `reason`, `dry_run` at line 1 column 46"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/runs/run-7/approve {}
              400 "the body is not what it must be: missing field `plan_hash` at line 1 column 2"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/runs/run-7/approve {"plan_hash":"ab","force":true}
              400 "the body is not what it must be: unknown field `force`, expected one of `plan_hash`, `break_glass`, `reason` at line 1 column 25"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/runs/run-7/deny {"why":"no"}
              400 "the body is not what it must be: unknown field `why`, expected `reason` at line 1 column 6"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/handback {"reason":"done"}
              400 "the body is not what it must be: missing field `scope` at line 1 column 17"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/autonomy {"target":"cart","class":"reboot","to":"auto","reason":"r"}
              400 "the body is not what it must be: unknown variant `reboot`, expected one of `set_capacity`, `restart_instances`, `replace_instances`, `shift_traffic`, `drain`, `roll_back`, `throttle_tenant`, `run_command`, `call_webhook`, `apply_terraform` at line 1 column 33"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/autonomy {"target":"cart","class":"drain","to":"always","reason":"r"}
              400 "the body is not what it must be: unknown variant `always`, expected one of `observe`, `suggest`, `approve`, `auto` at line 1 column 46"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            POST /v1/overrides {"kind":"takeover","scope":"cart","for":"1h","reason":"r","capacity":3}
              422 "field `capacity`: only a pin has one"
              hint: "leave it out, or ask for a `pin`"
        "#]],
    );
}

#[test]
fn a_takeover_is_an_override() {
    let stage = Stage::new();
    let body = r#"{"kind":"takeover","scope":"cart","for":"1h","reason":"failover by hand"}"#;
    let answer = stage.post(Who::Account("paul"), "/v1/overrides", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["override"]["kind"], "takeover");
    assert_eq!(stage.post(Who::Account("vera"), "/v1/overrides", body).status, 403);
}

#[test]
fn who_is_not_known_says_nothing_about_runs() {
    let stage = Stage::new();
    for (path, body) in [
        ("/v1/runs", r#"{"playbook":"restart","target":"cart","reason":"r"}"#),
        ("/v1/runs/run-1/approve", r#"{"plan_hash":"ab"}"#),
        ("/v1/runs/run-1/deny", "{}"),
        ("/v1/runs/run-1/abort", "{}"),
        ("/v1/runs/run-1/review", "{}"),
        ("/v1/incidents/inc-1/acknowledge", "{}"),
        ("/v1/handback", r#"{"scope":"all"}"#),
        ("/v1/autonomy", r#"{"target":"cart","class":"drain","to":"auto","reason":"r"}"#),
    ] {
        for who in [Who::Account("mallory"), Who::Token("mallory"), Who::Nobody] {
            assert_eq!(stage.post(who, path, body).status, 401, "{who:?} {path}");
        }
        for who in [Who::Account("vera"), Who::Token("vera"), Who::Account("olga")] {
            let status = stage.post(who, path, body).status;
            assert!([403, 404, 409, 422].contains(&status), "{who:?} {path} {status}");
        }
    }
}

#[test]
fn each_refusal_has_its_status_and_a_way_on() {
    let run = RunId(7);
    let ana = || Actor::new("ana").unwrap();
    let cart = || TargetId::new("cart").unwrap();
    let restart = || PlaybookId::new("restart").unwrap();
    let text = str::to_owned;
    let refusals = [
        RequestRefusal::Denied(Denial::Role { actor: ana(), needed: Role::Operator }),
        RequestRefusal::NoPlaybook { playbook: restart() },
        RequestRefusal::NoTarget { target: cart() },
        RequestRefusal::CannotRun {
            playbook: restart(),
            target: cart(),
            why: text("it is frozen"),
        },
        RequestRefusal::Parameter {
            parameter: ParameterName::new("units").unwrap(),
            why: text("12 is above 10"),
        },
        RequestRefusal::NoRun { run },
        RequestRefusal::WrongPhase { run, phase: text("running"), why: text("no gate waits") },
        RequestRefusal::PlanChanged { run, given: text("ab"), current: text("cd") },
        RequestRefusal::OwnRequest { run, actor: ana() },
        RequestRefusal::ApprovedAlready { run, actor: ana(), n_missing: 1 },
        RequestRefusal::NotAnApprover { actor: ana(), approvers: text("olga") },
        RequestRefusal::NoIncident { incident: IncidentId(3) },
        RequestRefusal::NothingToHandBack { scope: Scope::Everything },
        RequestRefusal::TooMuchAutonomy {
            target: cart(),
            class: ActionClass::Drain,
            autonomy_max: Autonomy::Approve,
        },
        RequestRefusal::NoSuchActions { target: cart(), class: ActionClass::Drain },
        RequestRefusal::NothingToReview { run },
    ];
    let shown: Vec<String> = refusals
        .iter()
        .map(|it| {
            let (status, hint) = status_and_hint(it);
            format!("{} {it}\n    {hint}\n", status.as_u16())
        })
        .collect();
    expect![[r#"
        403 ana has no role `operator`
            an admin can grant `operator` in an `Access` document
        404 there is no playbook `restart`; `evenkeel check` lists what is in force
            check its name, and that its document is in force: `evenkeel status` says when newer ones are not
        404 there is no target `cart`; `evenkeel status` lists them
            `evenkeel status` lists the targets
        409 playbook `restart` cannot be run on `cart`: it is frozen
            nothing has changed; `evenkeel incidents` shows what is under way on the target
        422 parameter `units`: 12 is above 10
            the playbook's `parameters` say which there are, and within which bounds
        404 there is no run run-7; `evenkeel incidents` lists them
            `evenkeel incidents --all` lists runs; `evenkeel history --kind run_opened` knows older ones
        409 run-7 is running: no gate waits
            nothing has changed; `evenkeel incidents` shows where it is
        409 run-7 has plan cd, not ab: look at it again before you approve it
            nothing has changed; `evenkeel incidents` shows the plan as it is now and its hash
        409 ana asked for run-7 and cannot approve it; somebody else has to
            ask a second person; alone, only break-glass passes it, which pages and is reviewed
        409 ana has approved run-7 already; 1 more approval(s) of others needed
            ask a second person; one person counts once
        403 ana is not among the approvers of this gate: olga
            ask one of them, or change `approvers` in the playbook
        404 inc-3 is not open; `evenkeel incidents` lists those that are
            `evenkeel incidents --all` lists also those that are over
        404 nothing in `all` was taken over or has lapsed; `evenkeel status` shows who has what
            give the scope as it was taken over; overrides other than a takeover end with `evenkeel expire`
        422 the playbooks with `drain` on `cart` allow at most approve
            ask for that much or less, or have `autonomy_max` in the playbook changed and merged
        404 no playbook takes `drain` on `cart`
            check the target and the class; `evenkeel incidents` lists what is known of autonomy
        409 run-7 has no break-glass approval that waits for a review
            `evenkeel incidents` lists what waits for a review
    "#]].assert_eq(&shown.concat());
}
