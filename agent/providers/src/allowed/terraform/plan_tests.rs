//! Plans as Terraform writes them, and as it never should.
//!
//! **In:** JSON.
//! **Out:** what passes, what is refused, what a person reads, which hash it has.
//! **Not here:** the real Terraform (`agent/providers/tests/it/allowed_terraform.rs`).

use super::*;
use expect_test::{Expect, expect};

fn plan(changes: &Value) -> Plan {
    let text = json!({ "format_version": "1.2", "resource_changes": changes }).to_string();
    Plan::read(text.as_bytes()).unwrap()
}

fn update(address: &str, before: Value, after: Value) -> Value {
    let change = json!({ "actions": ["update"], "before": before, "after": after });
    json!({ "address": address, "mode": "managed", "change": change })
}

fn with_actions(actions: &[&str]) -> Value {
    json!({ "address": "a.b", "mode": "managed", "change": { "actions": actions } })
}

#[track_caller]
fn check(changes: &Value, allowed: &[&str], expected: &Expect) {
    let allowed: Vec<String> = allowed.iter().map(|it| (*it).to_owned()).collect();
    let plan = plan(changes);
    let shown = match plan.check(&allowed) {
        Ok(()) => plan.lines().join("\n"),
        Err(refusal) => refusal,
    };
    expected.assert_eq(&shown);
}

#[test]
fn only_creating_updating_and_reading_pass() {
    let mut table = String::new();
    let all: [&[&str]; 11] = [
        &["no-op"],
        &["create"],
        &["read"],
        &["update"],
        &["delete"],
        &["delete", "create"],
        &["create", "delete"],
        &["forget"],
        &["create", "forget"],
        &["invented"],
        &[],
    ];
    for actions in all {
        let verdict = plan(&json!([with_actions(actions)])).check(&["a.b".to_owned()]);
        let verdict = verdict.map_or_else(|it| it, |()| "passes".to_owned());
        table.push_str(&format!("{actions:?} {verdict}\n"));
    }
    expect![[r#"
        ["no-op"] passes
        ["create"] passes
        ["read"] the plan is refused: it would do `read` to `a.b`; playbooks create and update only
        ["update"] passes
        ["delete"] the plan is refused: it would do `delete` to `a.b`; playbooks create and update only
        ["delete", "create"] the plan is refused: it would do `delete and create` to `a.b`; playbooks create and update only
        ["create", "delete"] the plan is refused: it would do `create and delete` to `a.b`; playbooks create and update only
        ["forget"] the plan is refused: it would do `forget` to `a.b`; playbooks create and update only
        ["create", "forget"] the plan is refused: it would do `create and forget` to `a.b`; playbooks create and update only
        ["invented"] the plan is refused: it would do `invented` to `a.b`; playbooks create and update only
        [] the plan is refused: it would do `` to `a.b`; playbooks create and update only
    "#]].assert_eq(&table);
}

#[test]
fn a_change_outside_of_the_allowed_addresses_is_refused() {
    let at = |address: &str| json!([update(address, json!({ "n": 1 }), json!({ "n": 2 }))]);
    let allowed = ["aws_autoscaling_group.web", "module.cache.*"];
    check(
        &at("aws_autoscaling_group.web"),
        &allowed,
        &expect!["update aws_autoscaling_group.web: n 1 -> 2"],
    );
    check(
        &at("module.cache.aws_instance.a[0]"),
        &allowed,
        &expect!["update module.cache.aws_instance.a[0]: n 1 -> 2"],
    );
    check(
        &at("aws_autoscaling_group.web[0]"),
        &allowed,
        &expect![
            "the plan is refused: it would change `aws_autoscaling_group.web[0]`; allowed is aws_autoscaling_group.web, module.cache.*"
        ],
    );
    check(
        &at("aws_autoscaling_group.web2"),
        &allowed,
        &expect![
            "the plan is refused: it would change `aws_autoscaling_group.web2`; allowed is aws_autoscaling_group.web, module.cache.*"
        ],
    );
    check(
        &at("module.cache2.aws_instance.a"),
        &allowed,
        &expect![
            "the plan is refused: it would change `module.cache2.aws_instance.a`; allowed is aws_autoscaling_group.web, module.cache.*"
        ],
    );
    check(
        &at("module.x.module.cache.aws_instance.a"),
        &allowed,
        &expect![
            "the plan is refused: it would change `module.x.module.cache.aws_instance.a`; allowed is aws_autoscaling_group.web, module.cache.*"
        ],
    );
    check(
        &at("aws_autoscaling_group.web"),
        &[],
        &expect![
            "the plan is refused: it would change `aws_autoscaling_group.web`; allowed is nothing"
        ],
    );
}

#[test]
fn what_moves_imports_or_is_left_over_counts_as_a_change() {
    let mut moved = with_actions(&["no-op"]);
    moved["previous_address"] = json!("c.d");
    check(
        &json!([moved]),
        &["a.b"],
        &expect!["the plan is refused: it would change `c.d`; allowed is a.b"],
    );
    check(&json!([moved]), &["a.b", "c.d"], &expect!["move c.d to a.b"]);
    let mut imported = with_actions(&["no-op"]);
    imported["change"]["importing"] = json!({ "id": "i-1" });
    check(
        &json!([imported]),
        &[],
        &expect!["the plan is refused: it would change `a.b`; allowed is nothing"],
    );
    let mut deposed = with_actions(&["no-op"]);
    deposed["deposed"] = json!("0123abcd");
    check(
        &json!([deposed]),
        &["a.b"],
        &expect![
            "the plan is refused: it would touch what an earlier replacement of `a.b` left over"
        ],
    );
}

#[test]
fn a_line_says_what_changes_and_hides_what_is_sensitive() {
    let mut change = update(
        "a.b",
        json!({
            "size": 2, "same": 1, "gone": "x", "name": "old\u{202e}\n", "secret": "s3cret-1",
            "deep": { "pw": "s3cret-2", "list": [1, 2, 3] }, "id": "i-1", "whole": { "k": "s3cret-3" },
            "long": "a".repeat(150) + "1", "key": "AKIAIOSFODNN7EXAMPLE", "empty": null,
            "copy": { "of": ["s3cret-1"] }, "turns": { "pw": "s3cret-7" }, "late": { "pw": "s3cret-8" },
        }),
        json!({
            "size": 3, "same": 1, "gone": null, "name": "new", "secret": "s3cret-4",
            "deep": { "pw": "s3cret-5", "list": [1, 5, 3, 4] }, "whole": { "k": "s3cret-6" },
            "long": "a".repeat(150) + "2", "key": "AKIAIOSFODNN7EXAMPLF", "empty": [],
            "copy": { "of": ["s3cret-4"] }, "turns": "into text",
        }),
    );
    change["change"]["after_unknown"] = json!({ "id": true, "late": true });
    let late = json!({ "pw": true });
    change["change"]["before_sensitive"] =
        json!({ "secret": true, "whole": true, "turns": late, "late": late, "deep": late });
    change["change"]["after_sensitive"] = json!({ "secret": true, "deep": { "pw": true } });
    let lines = plan(&json!([change])).lines().join("\n").replace(", ", "\n");
    assert!(!lines.contains("s3cret"), "{lines}");
    expect![[r#"
        update a.b: copy.of[0] (sensitive) -> (sensitive)
        deep.list[1] 2 -> 5
        deep.list[3] = 4
        deep.pw (sensitive) -> (sensitive)
        empty = []
        gone "x" -> null
        id "i-1" -> (known after apply)
        key "***" -> "***"
        late {"pw":"(sensitive)"} -> (known after apply)
        long "***… (153 bytes
        SHA-256 e5f761f1dc7d) -> "***… (153 bytes
        SHA-256 6b63af93c6ff)
        name "old\u{202e}\n" -> "new"
        secret (sensitive) -> (sensitive)
        size 2 -> 3
        turns {"pw":"(sensitive)"} -> "into text"
        whole (sensitive) -> (sensitive)"#]]
    .assert_eq(&lines);
    let mut created =
        update("a.b", Value::Null, json!({ "size": 2, "pw": "s3cret", "tags": { "a": "b" } }));
    created["change"]["actions"] = json!(["create"]);
    created["change"]["after_unknown"] = json!({ "id": true, "tags": {} });
    created["change"]["after_sensitive"] = json!({ "pw": true });
    check(
        &json!([created]),
        &["a.b"],
        &expect![[r#"create a.b: pw = (sensitive), size = 2, tags.a = "b""#]],
    );
}

#[test]
fn the_hash_is_of_what_changes_and_of_nothing_else() {
    let workspace = AllowedName::new("web").unwrap();
    let variables = BTreeMap::from([("size".to_owned(), "3".to_owned())]);
    let hash_of = |text: &Value, variables: &BTreeMap<String, String>| {
        Plan::read(text.to_string().as_bytes()).unwrap().sha256(&workspace, variables)
    };
    let change = |n: u32| update("a.b", json!({ "n": n, "m": 1 }), json!({ "n": 3, "m": 1 }));
    let base = json!({ "format_version": "1.2", "timestamp": "2026-01-01T00:00:00Z", "resource_changes": [change(2)] });
    let first = hash_of(&base, &variables);
    let mut same = base.clone();
    same["timestamp"] = json!("2026-01-02T00:00:00Z");
    same["terraform_version"] = json!("1.99.0");
    same["resource_changes"] = json!([with_actions(&["no-op"]), change(2)]);
    assert_eq!(hash_of(&same, &variables), first);
    let mut other = base.clone();
    other["resource_changes"] = json!([change(1)]);
    assert_ne!(hash_of(&other, &variables), first, "the state before differs");
    assert_ne!(hash_of(&base, &BTreeMap::new()), first, "the variables differ");
    let mut unknown = base.clone();
    unknown["resource_changes"][0]["change"]["after_unknown"] = json!({ "id": true });
    assert_ne!(hash_of(&unknown, &variables), first, "more is unknown");
}

#[test]
fn what_is_no_plan_is_refused_without_showing_it() {
    let deep = format!("{{\"format_version\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, expected) in [
        ("", "expected"),
        ("s3cret", "expected"),
        (r#"{"format_version":"2.0"}"#, "`2.0`, only 1.x"),
        (r#"{"format_version":"1.2","errored":true}"#, "could not finish"),
        (r#"{"format_version":"1.2","resource_changes":[{"address":"s3cret"}]}"#, "expected"),
        (r#"{"resource_changes":[]}"#, "expected"),
        (deep.as_str(), "expected"),
    ] {
        let fault = Plan::read(text.as_bytes()).unwrap_err();
        assert!(fault.contains(expected) && !fault.contains("s3cret"), "{fault}");
    }
    let many: Vec<Value> = (0..=CHANGES_MAX).map(|_| with_actions(&["update"])).collect();
    assert!(plan(&json!(many)).check(&["a.b".to_owned()]).unwrap_err().contains("101 changes"));
}
