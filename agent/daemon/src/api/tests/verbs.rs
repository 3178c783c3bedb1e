//! What the changing verbs accept and refuse.

use expect_test::{Expect, expect};

use super::stage::{Stage, Who};

const SET: &str = "/v1/overrides";
const EXPIRE: &str = "/v1/overrides/expire";

/// Sends each body as the owner and shows what came back.
#[track_caller]
fn check(path: &str, bodies: &[&str], expected: &Expect) {
    let stage = Stage::new();
    let shown: Vec<String> = bodies
        .iter()
        .map(|body| {
            let answer = stage.post(Who::Owner, path, body);
            let told = answer.json();
            if answer.status == 200 {
                return format!("{body}\n  200 {told}\n");
            }
            format!("{body}\n  {} {}\n  hint: {}\n", answer.status, told["error"], told["hint"])
        })
        .collect();
    expected.assert_eq(&shown.concat());
}

#[test]
fn an_override_has_an_end_and_a_reason() {
    check(
        SET,
        &[
            r#"{"kind":"freeze","scope":"cart","for":"1h"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"  "}"#,
            r#"{"kind":"freeze","scope":"cart","reason":"r"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"73h","reason":"r"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"0s","reason":"r"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"5","reason":"r"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"72h","reason":"long weekend"}"#,
        ],
        &expect![[r#"
            {"kind":"freeze","scope":"cart","for":"1h"}
              422 "an override needs a reason: the next person on call will read it"
              hint: "set field `reason` to a few words (on the command line `--reason TEXT`)"
            {"kind":"freeze","scope":"cart","for":"1h","reason":"  "}
              422 "an override needs a reason: the next person on call will read it"
              hint: "set field `reason` to a few words (on the command line `--reason TEXT`)"
            {"kind":"freeze","scope":"cart","reason":"r"}
              422 "an override needs an end: give a duration of at most 72h"
              hint: "set field `for` to a duration with a unit, for example `4h` (on the command line `--for 4h`)"
            {"kind":"freeze","scope":"cart","for":"73h","reason":"r"}
              422 "73h is longer than an override may last (72h)"
              hint: "set field `for` to `3d` or less; what shall last longer belongs in a Guardrail"
            {"kind":"freeze","scope":"cart","for":"0s","reason":"r"}
              422 "an override must last longer than 0s"
              hint: "set field `for` to a duration with a unit, for example `4h` (on the command line `--for 4h`)"
            {"kind":"freeze","scope":"cart","for":"5","reason":"r"}
              422 "field `for`: `5` has no unit; write for example `5s` or `5m`"
              hint: "for example `4h`, at most `72h`"
            {"kind":"freeze","scope":"cart","for":"72h","reason":"long weekend"}
              200 {"effects_in_flight":[],"effects_withdrawn":[],"enforced":true,"override":{"actor":"owner","ends_at":"2026-03-04T12:00:00Z","id":"ov-1","kind":"freeze","reason":"long weekend","scope":"cart","starts_at":"2026-03-01T12:00:00Z"},"targets":1}
        "#]],
    );
}

#[test]
fn a_scope_covers_something_and_reads_as_one() {
    check(
        SET,
        &[
            r#"{"kind":"hold","scope":"nowhere","for":"1h","reason":"r"}"#,
            r#"{"kind":"hold","scope":"team=none","for":"1h","reason":"r"}"#,
            r#"{"kind":"hold","scope":"","for":"1h","reason":"r"}"#,
            r#"{"kind":"hold","scope":"a=b,,","for":"1h","reason":"r"}"#,
            r#"{"kind":"hold","scope":"region:eu-1","for":"1h","reason":"r"}"#,
        ],
        &expect![[r#"
            {"kind":"hold","scope":"nowhere","for":"1h","reason":"r"}
              404 "scope `nowhere` covers no target; `evenkeel status` lists them"
              hint: "check field `scope`: a target's name, `team=payments,tier=web`, `region:NAME` or `all`"
            {"kind":"hold","scope":"team=none","for":"1h","reason":"r"}
              404 "scope `team=none` covers no target; `evenkeel status` lists them"
              hint: "check field `scope`: a target's name, `team=payments,tier=web`, `region:NAME` or `all`"
            {"kind":"hold","scope":"","for":"1h","reason":"r"}
              400 "the body is not what it must be: `` is not a scope: a name must not be empty; write a target's name, `team=payments,tier=web`, `region:NAME` or `all` at line 1 column 25"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"hold","scope":"a=b,,","for":"1h","reason":"r"}
              400 "the body is not what it must be: `a=b,,` is not a scope: `` is not of the form `key=value`; write a target's name, `team=payments,tier=web`, `region:NAME` or `all` at line 1 column 30"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"hold","scope":"region:eu-1","for":"1h","reason":"r"}
              200 {"effects_in_flight":[],"effects_withdrawn":[],"enforced":true,"override":{"actor":"owner","ends_at":"2026-03-01T13:00:00Z","id":"ov-1","kind":"hold","reason":"r","scope":"region:eu-1","starts_at":"2026-03-01T12:00:00Z"},"targets":2}
        "#]],
    );
}

#[test]
fn a_pin_is_within_bounds_and_only_a_pin_has_a_capacity() {
    check(
        SET,
        &[
            r#"{"kind":"pin","scope":"cart","for":"1h","reason":"r","capacity":11}"#,
            r#"{"kind":"pin","scope":"all","for":"1h","reason":"r"}"#,
            r#"{"kind":"pin","scope":"search","for":"1h","reason":"r"}"#,
            r#"{"kind":"hold","scope":"cart","for":"1h","reason":"r","capacity":3}"#,
            r#"{"kind":"pin","scope":"cart","for":"1h","reason":"r","capacity":-1}"#,
            r#"{"kind":"pin","scope":"cart","for":"1h","reason":"r"}"#,
        ],
        &expect![[r#"
            {"kind":"pin","scope":"cart","for":"1h","reason":"r","capacity":11}
              422 "target `cart`: 11 is outside its bounds 1..10"
              hint: "set field `capacity` between 1 and 10, or change the target's bounds"
            {"kind":"pin","scope":"all","for":"1h","reason":"r"}
              422 "scope `all` covers 2 targets; a pin without a capacity is for one"
              hint: "set field `capacity`, or pin the targets one by one"
            {"kind":"pin","scope":"search","for":"1h","reason":"r"}
              422 "the current capacity of `search` is not known yet; give the capacity to pin it at"
              hint: "set field `capacity`"
            {"kind":"hold","scope":"cart","for":"1h","reason":"r","capacity":3}
              422 "field `capacity`: only a pin has one"
              hint: "leave it out, or ask for a `pin`"
            {"kind":"pin","scope":"cart","for":"1h","reason":"r","capacity":-1}
              400 "the body is not what it must be: invalid value: integer `-1`, expected u32 at line 1 column 66"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"pin","scope":"cart","for":"1h","reason":"r"}
              200 {"effects_in_flight":[],"effects_withdrawn":[],"enforced":true,"override":{"actor":"owner","capacity":4,"ends_at":"2026-03-01T13:00:00Z","id":"ov-1","kind":"pin","reason":"r","scope":"cart","starts_at":"2026-03-01T12:00:00Z"},"targets":1}
        "#]],
    );
}

#[test]
fn a_body_that_is_not_understood_changes_nothing() {
    check(
        SET,
        &[
            "",
            "{",
            "[]",
            r#"{"kind":"thaw","scope":"cart","for":"1h","reason":"r"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"r","actor":"ada"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"r","for":"2h"}"#,
            r#"{"kind":"freeze","scope":"cart","for":3600,"reason":"r"}"#,
            r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"r"} trailing"#,
        ],
        &expect![[r#"

              400 "the body is not what it must be: EOF while parsing a value at line 1 column 0"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {
              400 "the body is not what it must be: EOF while parsing an object at line 1 column 1"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            []
              400 "the body is not what it must be: invalid length 0, expected struct OverrideRequest with 5 elements at line 1 column 2"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"thaw","scope":"cart","for":"1h","reason":"r"}
              400 "the body is not what it must be: unknown variant `thaw`, expected one of `freeze`, `takeover`, `hold`, `no_scale_down`, `pin` at line 1 column 14"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"freeze","scope":"cart","for":"1h","reason":"r","actor":"ada"}
              400 "the body is not what it must be: unknown field `actor`, expected one of `kind`, `scope`, `for`, `reason`, `capacity` at line 1 column 63"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"freeze","scope":"cart","for":"1h","reason":"r","for":"2h"}
              400 "the body is not what it must be: duplicate field `for` at line 1 column 61"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"freeze","scope":"cart","for":3600,"reason":"r"}
              400 "the body is not what it must be: invalid type: integer `3600`, expected a string at line 1 column 42"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"kind":"freeze","scope":"cart","for":"1h","reason":"r"} trailing
              400 "the body is not what it must be: trailing characters at line 1 column 58"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
        "#]],
    );
}

#[test]
fn what_is_over_cannot_be_ended_again() {
    let stage = Stage::new();
    let set = r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"r"}"#;
    let id = stage.post(Who::Owner, SET, set).json()["override"]["id"].clone();
    let expire = format!(r#"{{"id":{id},"reason":"done"}}"#);
    let first = stage.post(Who::Owner, EXPIRE, &expire);
    assert_eq!((first.status, &first.json()["enforced"]), (200, &true.into()));
    assert_eq!(stage.post(Who::Owner, EXPIRE, &expire).status, 404);
    assert_eq!(stage.get(Who::Owner, SET).json(), serde_json::json!([]));
}

#[test]
fn an_end_names_one_override_or_one_scope() {
    check(
        EXPIRE,
        &[
            "{}",
            r#"{"id":"ov-1","scope":"cart"}"#,
            r#"{"id":"31"}"#,
            r#"{"id":"ov-31"}"#,
            r#"{"scope":"cart"}"#,
            r#"{"scope":"cart","force":true}"#,
        ],
        &expect![[r#"
            {}
              422 "field `id`: missing, and so is `scope`"
              hint: "give one of the two"
            {"id":"ov-1","scope":"cart"}
              422 "field `scope`: given beside `id`"
              hint: "give one of the two"
            {"id":"31"}
              400 "the body is not what it must be: `31` is not of the form `ov-NUMBER` at line 1 column 11"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
            {"id":"ov-31"}
              404 "ov-31 is not in force; an ended override cannot return"
              hint: "`evenkeel status` lists the overrides in force; to have one again, set a new one"
            {"scope":"cart"}
              404 "no override with scope `cart` is in force; `evenkeel status` lists them"
              hint: "`evenkeel status` lists the overrides in force; to have one again, set a new one"
            {"scope":"cart","force":true}
              400 "the body is not what it must be: unknown field `force`, expected one of `id`, `scope`, `reason` at line 1 column 23"
              hint: "`GET /v1/openapi.json` describes every body; nothing has changed"
        "#]],
    );
}

#[test]
fn what_is_set_is_listed_until_it_is_ended() {
    let stage = Stage::new();
    for (kind, scope) in [("freeze", "cart"), ("no_scale_down", "team=find"), ("hold", "cart")] {
        let set = format!(r#"{{"kind":"{kind}","scope":"{scope}","for":"1h","reason":"r"}}"#);
        assert_eq!(stage.post(Who::Owner, SET, &set).status, 200, "{set}");
    }
    let listed = |stage: &Stage| {
        let all = stage.get(Who::Owner, SET).json();
        let all = all.as_array().unwrap().iter();
        all.map(|it| format!("{} {}", it["kind"], it["scope"])).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(listed(&stage), r#""freeze" "cart", "no_scale_down" "team=find", "hold" "cart""#);
    let ended = stage.post(Who::Owner, EXPIRE, r#"{"scope":"cart"}"#).json();
    assert_eq!(ended["expired"].as_array().unwrap().len(), 2);
    assert_eq!(listed(&stage), r#""no_scale_down" "team=find""#);
}

#[test]
fn a_body_is_read_up_to_its_limit() {
    let stage = Stage::new();
    let padded = |bytes: usize| {
        let set = r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"r"}"#;
        format!("{set}{}", " ".repeat(bytes - set.len()))
    };
    assert_eq!(stage.post(Who::Owner, SET, &padded(16 * 1024)).status, 200);
    let refused = stage.post(Who::Owner, SET, &padded(16 * 1024 + 1));
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(stage.post(Who::Owner, SET, &padded(1024 * 1024)).status, 413);
}

#[test]
fn a_reload_says_how_many_documents_are_in_force() {
    let stage = Stage::new();
    assert_eq!(stage.post(Who::Owner, "/v1/reload", "").text(), r#"{"documents":3}"#);
}
