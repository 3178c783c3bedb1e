//! `freeze`, `hold`, `no-scale-down`, `pin`, `expire`: enforced or failed.

use expect_test::{Expect, expect};

use crate::agent::{Agent, Reply};
use crate::command::Scene;

const FROZEN: &str = r#"{"enforced":true,"override":{"id":"ov-3","kind":"freeze","scope":"checkout-api","actor":"ana","reason":"database failover","starts_at":"2026-11-19T23:40:00Z","ends_at":"2026-11-20T03:40:00Z"},"targets":1,"effects_in_flight":[],"effects_withdrawn":[]}"#;

const PINNED: &str = r#"{"enforced":true,"override":{"id":"ov-4","kind":"pin","capacity":12,"scope":"team=payments,tier=web","actor":"ana","reason":"load\u001b[31m test\nenforced: not","starts_at":"2026-11-19T23:40:00Z","ends_at":"2026-11-22T23:40:00Z"},"targets":2,"effects_in_flight":[{"id":"ef-12","target":"checkout-api","from":12,"to":18,"since":"2026-11-19T23:39:58Z","is_unknown":false}],"effects_withdrawn":[{"id":"ef-13","target":"cart","from":3,"to":4,"since":"2026-11-19T23:39:59Z","is_unknown":false}]}"#;

const EXPIRED: &str = r#"{"enforced":true,"expired":[{"id":"ov-3","kind":"freeze","scope":"checkout-api","actor":"ana","reason":"database failover","starts_at":"2026-11-19T23:40:00Z","ends_at":"2026-11-20T03:40:00Z"}]}"#;

/// Runs `line` against an agent that answers any POST with `body`.
#[track_caller]
fn check(body: &str, line: &str, expected: &Expect) {
    let scene = Scene::new();
    let reply = Reply::Answer(200, body.to_owned());
    let agent = Agent::start(scene.dir.path().join("a.sock"), &[("POST ", reply)]);
    let said = scene.said(&format!("{line} --socket a.sock"));
    expected.assert_eq(&format!("{}\n{said}", agent.asked()));
}

#[test]
fn a_freeze_says_until_when_and_how_to_end_it() {
    check(
        FROZEN,
        "freeze checkout-api --for 4h --reason 'database failover'",
        &expect![[r#"
        POST /v1/overrides {"kind":"freeze","scope":"checkout-api","for":"4h","reason":"database failover"}
        exit 0
        stdout:
        enforced: freeze ov-3 on checkout-api until 03:40 UTC (in 4h) by ana: database failover
          on 1 target; no effect is in flight
        stderr:

        hint: to end it, `evenkeel expire ov-3`
    "#]],
    );
}

#[test]
fn json_is_the_answer_as_it_came() {
    check(
        FROZEN,
        "-o json freeze checkout-api --reason 'database failover'",
        &expect![[r#"
        POST /v1/overrides {"kind":"freeze","scope":"checkout-api","for":"4h","reason":"database failover"}
        exit 0
        stdout:
        {"enforced":true,"override":{"id":"ov-3","kind":"freeze","scope":"checkout-api","actor":"ana","reason":"database failover","starts_at":"2026-11-19T23:40:00Z","ends_at":"2026-11-20T03:40:00Z"},"targets":1,"effects_in_flight":[],"effects_withdrawn":[]}
    "#]],
    );
}

#[test]
fn a_pin_shows_what_can_no_longer_be_called_back() {
    check(
        PINNED,
        "pin team=payments,tier=web 12 --for 3d --reason 'load test'",
        &expect![[r#"
            POST /v1/overrides {"kind":"pin","scope":"team=payments,tier=web","for":"3d","reason":"load test","capacity":12}
            exit 0
            stdout:
            enforced: pin ov-4 on team=payments,tier=web at 12 until 2026-11-22 23:40 UTC (in 3d) by ana: load�[31m test�enforced: not
              on 2 targets
              started before, cannot be called back: ef-12 on checkout-api 12 -> 18, since 2026-11-19 23:39:58 UTC
              withdrawn before it started: ef-13 on cart 3 -> 4, since 2026-11-19 23:39:59 UTC
            stderr:

            hint: to end it, `evenkeel expire ov-4`
        "#]],
    );
}

#[test]
fn each_verb_asks_for_what_it_says() {
    let scene = Scene::new();
    let reply = Reply::Answer(200, FROZEN.to_owned());
    let agent = Agent::start(
        scene.dir.path().join("a.sock"),
        &[("POST /v1/overrides/expire", Reply::Answer(200, EXPIRED.to_owned())), ("POST ", reply)],
    );
    for line in [
        "hold all --reason x",
        "no-scale-down region:eu-1 --for 1h30m --reason x",
        "pin checkout-api --reason x",
        "pin checkout-api --capacity 7 --reason x",
        "pin target:all 0 --reason x",
        "expire ov-3",
        "expire target:ov-3 --reason 'wrong one'",
        "expire team=payments",
    ] {
        assert_eq!(scene.output(&format!("{line} --socket a.sock")).status.code(), Some(0));
    }
    expect![[r#"
        POST /v1/overrides {"kind":"hold","scope":"all","for":"4h","reason":"x"}
        POST /v1/overrides {"kind":"no_scale_down","scope":"region:eu-1","for":"1h30m","reason":"x"}
        POST /v1/overrides {"kind":"pin","scope":"checkout-api","for":"4h","reason":"x"}
        POST /v1/overrides {"kind":"pin","scope":"checkout-api","for":"4h","reason":"x","capacity":7}
        POST /v1/overrides {"kind":"pin","scope":"target:all","for":"4h","reason":"x","capacity":0}
        POST /v1/overrides/expire {"id":"ov-3","reason":""}
        POST /v1/overrides/expire {"scope":"ov-3","reason":"wrong one"}
        POST /v1/overrides/expire {"scope":"team=payments","reason":""}"#]].assert_eq(&agent.asked());
}

#[test]
fn an_expiry_names_what_it_ended() {
    check(
        EXPIRED,
        "expire ov-3 --reason 'failover done'",
        &expect![[r#"
            POST /v1/overrides/expire {"id":"ov-3","reason":"failover done"}
            exit 0
            stdout:
            enforced: expired ov-3: freeze on checkout-api by ana: database failover
        "#]],
    );
    check(
        EXPIRED,
        "expire ov-3 --output json",
        &expect![[r#"
        POST /v1/overrides/expire {"id":"ov-3","reason":""}
        exit 0
        stdout:
        {"enforced":true,"expired":[{"id":"ov-3","kind":"freeze","scope":"checkout-api","actor":"ana","reason":"database failover","starts_at":"2026-11-19T23:40:00Z","ends_at":"2026-11-20T03:40:00Z"}]}
    "#]],
    );
}
