//! Alerts wake the agent, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::condition::Condition;
use evenkeel_core::documents::{
    AlertMatcher, Autonomy, Playbook, RunLimits, Selector, Trigger, Verification,
};
use evenkeel_core::ids::PlaybookId;
use evenkeel_core::incident::Severity;
use expect_test::expect;
use jiff::SignedDuration;

use super::stage::{Stage, Who, documents};

const ALERTS: &str = "/v1/alerts";

/// A playbook that alerts with the label `service=cart` wake.
fn playbook() -> Playbook {
    let environment = Playbook::environment([], &BTreeMap::new());
    let condition = Condition::parse("target.current < target.max", &environment).unwrap();
    let labels = [("alertname", "Slow"), ("service", "cart")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Playbook {
        id: PlaybookId::new("restart").unwrap(),
        sha256: "ab".repeat(32),
        about: "restart what is slow".to_owned(),
        runbook: "runbooks/slow.md".to_owned(),
        severity: Severity::Page,
        selector: Selector { targets: BTreeSet::new(), ..Selector::default() },
        autonomy: Autonomy::Suggest,
        autonomy_max: Autonomy::Suggest,
        target_label: "service".to_owned(),
        priority: 0,
        parameters: BTreeMap::new(),
        inputs: Vec::new(),
        trigger: Trigger {
            condition: Some(condition.clone()),
            lasts: SignedDuration::ZERO,
            burn_rate: None,
            alerts: vec![AlertMatcher { labels: BTreeMap::from(labels) }],
            schedule: None,
            by_hand: false,
        },
        conditions: Vec::new(),
        steps: Vec::new(),
        verification: Verification {
            condition,
            holds_for: SignedDuration::ZERO,
            within: SignedDuration::from_mins(1),
        },
        limits: RunLimits {
            attempts_max: 1,
            window: SignedDuration::from_hours(1),
            concurrency_max: 1,
            cooldown: SignedDuration::ZERO,
        },
    }
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.documents.send_replace(Arc::new(documents().with_playbooks([playbook()])));
    stage
}

fn alert(status: &str, name: &str, service: &str) -> serde_json::Value {
    serde_json::json!({
        "status": status, "labels": {"alertname": name, "service": service, "zone": "a"},
        "annotations": {"summary": "slow"}, "startsAt": "2026-03-01T11:59:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "1f",
    })
}

fn sent(alerts: &[serde_json::Value]) -> String {
    serde_json::json!({
        "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing",
        "receiver": "evenkeel", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com", "alerts": alerts,
    })
    .to_string()
}

/// Whether the observer has been woken and not heard of it yet.
fn is_woken(stage: &Stage) -> bool {
    let woken = stage.state.look_now.notified();
    stage.runtime().block_on(async {
        // A wake-up that was given is there at the first poll.
        tokio::time::timeout(Duration::ZERO, woken).await.is_ok()
    })
}

#[test]
fn only_a_firing_alert_that_a_playbook_names_wakes_the_agent() {
    for (alerts, answer, wakes) in [
        (vec![], r#"{"matched":0,"woken":false}"#, false),
        (vec![alert("resolved", "Slow", "cart")], r#"{"matched":0,"woken":false}"#, false),
        (vec![alert("firing", "Slow", "search")], r#"{"matched":0,"woken":false}"#, false),
        (vec![alert("firing", "Down", "cart")], r#"{"matched":0,"woken":false}"#, false),
        (
            vec![alert("resolved", "Slow", "cart"), alert("firing", "Slow", "cart")],
            r#"{"matched":1,"woken":true}"#,
            true,
        ),
    ] {
        let stage = stage();
        let told = stage.post(Who::Token("vera"), ALERTS, &sent(&alerts));
        assert_eq!(told.text(), answer);
        assert_eq!(is_woken(&stage), wakes, "{answer}");
    }
}

#[test]
fn a_storm_of_alerts_wakes_the_agent_once() {
    let stage = stage();
    let storm = sent(&vec![alert("firing", "Slow", "cart"); 1_000]);
    let first = stage.post(Who::Owner, ALERTS, &storm);
    assert_eq!(first.text(), r#"{"matched":1000,"woken":true}"#);
    assert!(is_woken(&stage));
    let second = stage.post(Who::Owner, ALERTS, &storm);
    assert_eq!(second.text(), r#"{"matched":1000,"woken":false}"#);
    assert!(!is_woken(&stage));
}

#[test]
fn alerts_need_a_token_and_are_bounded() {
    let stage = stage();
    let one = sent(&[alert("firing", "Slow", "cart")]);
    // Without a body: who is refused is answered before it is read.
    assert_eq!(stage.post(Who::Nobody, ALERTS, "").status, 401);
    assert_eq!(stage.post(Who::Token("nora"), ALERTS, "").status, 403);
    assert!(!is_woken(&stage));
    let shown = [
        sent(&vec![alert("firing", "Slow", "cart"); 1_001]),
        one.replace(r#""version":"4""#, r#""version":"3""#),
        r#"{"version":"4"}"#.to_owned(),
        format!("{one}{}", " ".repeat(1024 * 1024)),
    ]
    .map(|body| {
        let told = stage.post(Who::Token("vera"), ALERTS, &body);
        let json = told.json();
        format!("{} {}\n    {}\n", told.status, json["error"], json["hint"])
    });
    expect![[r#"
        422 "field `alerts`: 1001 alerts, at most 1000"
            "set `max_alerts: 1000` in Alertmanager's `webhook_config`"
        422 "field `version`: `3` is not `4`"
            "send what Alertmanager's `webhook_config` sends"
        400 "the body is not what it must be: missing field `alerts` at line 1 column 15"
            "`GET /v1/openapi.json` describes every body; nothing has changed"
        413 "the body has 1048998 bytes or more, at most 1048576"
            "send less, for example a shorter reason; nothing has changed"
    "#]]
    .assert_eq(&shown.concat());
    assert!(!is_woken(&stage));
}
