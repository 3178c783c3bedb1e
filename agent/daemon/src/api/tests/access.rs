//! Who may do what, over which transport.

use expect_test::expect;

use super::stage::{Stage, Who};

const EVERYBODY: [(&str, Who); 13] = [
    ("owner", Who::Owner),
    ("account: stranger", Who::Account("mallory")),
    ("account: no role", Who::Account("nora")),
    ("account: viewer", Who::Account("vera")),
    ("account: operator of cart", Who::Account("paul")),
    ("account: operator", Who::Account("olga")),
    ("account: admin", Who::Account("ada")),
    ("tls: no token", Who::Nobody),
    ("tls: unknown token", Who::Token("mallory")),
    ("tls: no role", Who::Token("nora")),
    ("tls: viewer", Who::Token("vera")),
    ("tls: operator of cart", Who::Token("paul")),
    ("tls: admin", Who::Token("ada")),
];

/// Verb, method, path, body. What one row sets, a later one expires.
const VERBS: [(&str, &str, &str, &str); 20] = [
    ("status", "GET", "/v1/status", ""),
    ("explain", "GET", "/v1/explain/cart", ""),
    ("overrides", "GET", "/v1/overrides", ""),
    ("incidents", "GET", "/v1/incidents", ""),
    // Without a body: 400 is who got in. Who does not is answered before a body is read.
    ("alerts", "POST", "/v1/alerts", ""),
    ("slos", "GET", "/v1/slos", ""),
    ("budgets", "GET", "/v1/budgets", ""),
    ("fits", "POST", "/v1/budgets/fits", ""),
    ("history", "GET", "/v1/history", ""),
    ("verify", "GET", "/v1/audit/verify", ""),
    ("export", "GET", "/v1/audit/export", ""),
    (
        "freeze cart",
        "POST",
        "/v1/overrides",
        r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"r"}"#,
    ),
    ("expire cart", "POST", "/v1/overrides/expire", r#"{"id":"ov-1"}"#),
    (
        "freeze all",
        "POST",
        "/v1/overrides",
        r#"{"kind":"freeze","scope":"all","for":"1h","reason":"r"}"#,
    ),
    ("expire all", "POST", "/v1/overrides/expire", r#"{"scope":"search"}"#),
    ("reload", "POST", "/v1/reload", ""),
    ("openapi", "GET", "/v1/openapi.json", ""),
    ("metrics", "GET", "/metrics", ""),
    ("healthz", "GET", "/healthz", ""),
    ("readyz", "GET", "/readyz", ""),
];

#[test]
fn every_verb_is_for_who_has_the_role_over_either_transport() {
    let mut table = String::new();
    for (name, who) in EVERYBODY {
        let stage = Stage::new();
        stage.readiness.send_replace(crate::api::Readiness {
            store_open: true,
            documents_loaded: true,
            first_evaluation_done: true,
        });
        // Something to expire, of somebody else, on both targets.
        let set = r#"{"kind":"hold","scope":"cart","for":"1h","reason":"r"}"#;
        assert_eq!(stage.post(Who::Owner, "/v1/overrides", set).status, 200);
        let set = r#"{"kind":"hold","scope":"search","for":"1h","reason":"r"}"#;
        assert_eq!(stage.post(Who::Owner, "/v1/overrides", set).status, 200);
        let statuses = VERBS.map(|(_, method, path, body)| {
            stage.send(who, method, path, body.as_bytes()).status.to_string()
        });
        table.push_str(&format!("{name:26}{}\n", statuses.join(" ")));
    }
    let verbs = VERBS.map(|(verb, ..)| verb).join(", ");
    // 200 done, 400 let in and not understood, 401 not known, 403 not allowed.
    expect![[r#"
        status, explain, overrides, incidents, alerts, slos, budgets, fits, history, verify, export, freeze cart, expire cart, freeze all, expire all, reload, openapi, metrics, healthz, readyz
        owner                     200 200 200 200 400 200 200 400 200 200 200 200 200 200 200 200 200 200 200 200
        account: stranger         401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 200 200
        account: no role          403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 200 200 200 200
        account: viewer           200 200 200 200 400 200 200 400 200 200 200 403 403 403 403 403 200 200 200 200
        account: operator of cart 200 200 200 200 400 200 200 400 200 200 200 200 200 403 403 403 200 200 200 200
        account: operator         200 200 200 200 400 200 200 400 200 200 200 200 200 200 200 403 200 200 200 200
        account: admin            200 200 200 200 400 200 200 400 200 200 200 200 200 200 200 200 200 200 200 200
        tls: no token             401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 401 200 200
        tls: unknown token        401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 401 200 200
        tls: no role              403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 200 403 200 200
        tls: viewer               200 200 200 200 400 200 200 400 200 200 200 403 403 403 403 403 200 200 200 200
        tls: operator of cart     200 200 200 200 400 200 200 400 200 200 200 200 200 403 403 403 200 200 200 200
        tls: admin                200 200 200 200 400 200 200 400 200 200 200 200 200 200 200 200 200 200 200 200
    "#]]
    .assert_eq(&format!("{verbs}\n{table}"));
}

#[test]
fn the_socket_and_its_peer_are_all_that_an_account_needs() {
    let stage = Stage::new();
    let answer = stage.post(
        Who::Account("olga"),
        "/v1/overrides",
        r#"{"kind":"freeze","scope":"team=shop","for":"90m","reason":"failover"}"#,
    );
    let body = answer.json();
    assert_eq!(body["override"]["actor"], "olga");
    assert_eq!(body["override"]["ends_at"], "2026-03-01T13:30:00Z");
    assert_eq!(body["enforced"], true);
    assert_eq!(body["targets"], 1);
}

/// Without the number of the account that runs the test.
fn anonymous(shown: &str) -> String {
    shown.replace(&format!("uid {}", rustix::process::geteuid().as_raw()), "uid N")
}

#[test]
fn a_refusal_says_who_what_and_how_to_get_further() {
    let stage = Stage::new();
    let freeze = r#"{"kind":"freeze","scope":"all","for":"1h","reason":"r"}"#;
    let shown = [Who::Account("mallory"), Who::Account("vera"), Who::Token("paul"), Who::Nobody]
        .map(|who| {
            let answer = stage.post(who, "/v1/overrides", freeze);
            let body = answer.json();
            format!("{} {}\n    {}\n", answer.status, body["error"], body["hint"])
        });
    let shown = anonymous(&shown.concat());
    expect![[r#"
        401 "Unix user `mallory` (uid N) is not known to any `Access` document"
            "ask an admin to add you to an `Access` document (`unix_user` or `token_hashes`)"
        403 "vera has no role `operator`"
            "an admin can grant `operator` in an `Access` document"
        403 "paul has no role `operator` on target `search`"
            "narrow the scope to your own targets, or ask somebody with `operator` on all of them"
        401 "no token that any `Access` document knows"
            "send `Authorization: Bearer TOKEN`; an admin can add its hash to an `Access` document (`evenkeel token` makes one)"
    "#]]
    .assert_eq(&shown);
}

#[test]
fn failed_tokens_are_refused_unseen_after_twenty_but_who_is_at_work_goes_on() {
    let stage = Stage::new();
    assert_eq!(stage.get(Who::Token("vera"), "/v1/overrides").status, 200);
    for _ in 0..20 {
        assert_eq!(stage.get(Who::Token("guess"), "/v1/overrides").status, 401);
    }
    let refused = stage.get(Who::Token("guess"), "/v1/overrides");
    assert_eq!(refused.status, 429);
    assert!(refused.headers.iter().any(|(name, _)| name == "retry-after"), "{refused:?}");
    // Right, but never seen before: it could be the guess that hit.
    assert_eq!(stage.get(Who::Token("olga"), "/v1/overrides").status, 429);
    assert_eq!(stage.get(Who::Token("vera"), "/v1/overrides").status, 200);
    assert_eq!(stage.get(Who::Account("olga"), "/v1/overrides").status, 200);
    assert_eq!(stage.get(Who::Nobody, "/healthz").status, 200);
}

#[test]
fn a_refused_verb_of_an_account_is_in_the_journal_and_one_of_a_stranger_on_the_net_is_not() {
    let stage = Stage::new();
    let freeze = r#"{"kind":"freeze","scope":"all","for":"1h","reason":"r"}"#;
    assert_eq!(stage.post(Who::Account("mallory"), "/v1/overrides", freeze).status, 401);
    assert_eq!(stage.post(Who::Token("mallory"), "/v1/overrides", freeze).status, 401);
    assert_eq!(stage.post(Who::Token("vera"), "/v1/overrides", freeze).status, 403);
    let refused = stage.get(Who::Owner, "/v1/history?kind=request_refused").json();
    let why: Vec<String> = refused["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| anonymous(it["record"]["why"].as_str().unwrap()))
        .collect();
    expect![[r#"
        [
            "vera has no role `operator`",
            "Unix user `mallory` (uid N) is not known to any `Access` document",
        ]
    "#]]
    .assert_debug_eq(&why);
}
