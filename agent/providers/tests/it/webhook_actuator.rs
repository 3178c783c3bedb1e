//! Webhook actuators against a platform written from the published contract, with a proxy
//! that loses and forges its answers.
//!
//! In: looks and actions.
//! Out: what was seen, how actions end, and what the platform did.
//! Not here: what each status means (a table beside the code), capacities (`webhook.rs`).

use std::time::Duration;

use crate::actuators::{actuators, everywhere, order, show_seen, target_with};
use crate::common::show_report;
use crate::platform::{KEY, Platform};
use crate::webhook::key_file;
use evenkeel_core::action::{Action, LookAt};
use evenkeel_core::documents::{ActuatorRef, Target};
use evenkeel_core::ids::{EffectId, InstanceName, TenantName};
use evenkeel_providers::{ActRequest, Actuators};
use evenkeel_testbed::Proxy;
use expect_test::{Expect, expect};
use tempfile::TempDir;

/// Short where a test waits for it; otherwise far longer than loopback needs.
const CALL: Duration = Duration::from_millis(1_500);
const LONG: Duration = Duration::from_secs(20);

struct World {
    platform: Platform,
    proxy: Proxy,
    actuators: Actuators,
    target: Target,
    folder: TempDir,
}

async fn world(call_timeout: Duration) -> World {
    let platform = Platform::start(7);
    let proxy = Proxy::start(platform.url());
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(&folder, "key", KEY, 0o600);
    let reference = ActuatorRef::Webhook {
        url: format!("{}/fleet?of=checkout", proxy.url()),
        secret_file: key.to_str().unwrap().to_owned(),
    };
    let target = target_with(everywhere(&reference));
    World { platform, proxy, actuators: actuators(call_timeout).await, target, folder }
}

fn drain(is_drained: bool) -> Action {
    Action::SetDrained { instances: [InstanceName::new("web-1").unwrap()].into(), is_drained }
}

impl World {
    fn masked(&self, text: &str) -> String {
        assert!(!text.contains(KEY), "the key shows: {text}");
        text.replace(&self.proxy.url(), "URL").replace(self.folder.path().to_str().unwrap(), "DIR")
    }

    async fn act(&self, action: Action) -> String {
        self.masked(&show_report(&self.actuators.act(&self.target, &order(action)).await))
    }

    async fn check_look(&self, at: LookAt, expected: &Expect) {
        let seen = self.actuators.look(&self.target, &at).await;
        expected.assert_eq(&self.masked(&show_seen(&seen)));
    }

    /// How often each part was asked for, and what the platform carried out.
    fn told(&self) -> (usize, usize, usize) {
        let carried_out = self.platform.state.lock().unwrap().actions.len();
        (
            self.proxy.count_matching("/fleet/act"),
            self.proxy.count_matching("/effects/"),
            carried_out,
        )
    }
}

#[tokio::test]
async fn a_platform_is_looked_at_and_acted_on_with_signed_requests() {
    let world = world(LONG).await;
    world
        .check_look(
            LookAt::Instances,
            &expect![[r#"
        web-1: ready, weight 100, zone eu-1a, since 2026-01-01T00:00:00Z
        web-2: ready, weight 100, zone eu-1a, since 2026-01-01T00:00:00Z"#]],
        )
        .await;
    assert_eq!(world.act(drain(true)).await, "done: carried out (HTTP 200)");
    world
        .check_look(
            LookAt::Traffic,
            &expect![[r#"
        web-1: ready, drained, weight 100, zone eu-1a, since 2026-01-01T00:00:00Z
        web-2: ready, weight 100, zone eu-1a, since 2026-01-01T00:00:00Z"#]],
        )
        .await;
    let request = ActRequest { effect_id: EffectId(13), is_undo: true, ..order(drain(false)) };
    let undone = world.actuators.act(&world.target, &request).await;
    assert_eq!(show_report(&undone), "done: carried out (HTTP 200)");
    world
        .check_look(
            LookAt::Traffic,
            &expect![[r#"
        web-1: ready, weight 100, zone eu-1a, since 2026-01-01T00:00:00Z
        web-2: ready, weight 100, zone eu-1a, since 2026-01-01T00:00:00Z"#]],
        )
        .await;
    world.check_look(LookAt::Revision, &expect!["at v42, before v41"]).await;
    let request = ActRequest {
        effect_id: EffectId(14),
        ..order(Action::SetRevision { revision: "v41".to_owned() })
    };
    let rolled_back = world.actuators.act(&world.target, &request).await;
    assert_eq!(show_report(&rolled_back), "done: carried out (HTTP 200)");
    world.check_look(LookAt::Revision, &expect!["at v41, before v41"]).await;
    let state = world.platform.state.lock().unwrap();
    assert!(state.complaints.is_empty(), "{:?}", state.complaints);
    let bodies: Vec<&str> = state.actions.iter().map(|it| it.1.as_str()).collect();
    expect![[r#"
        {"effect_id":"ef-12","term":3,"run":"run-7","target":"checkout-api","is_undo":false,"action":{"action":"set_drained","instances":["web-1"],"is_drained":true}}
        {"effect_id":"ef-13","term":3,"run":"run-7","target":"checkout-api","is_undo":true,"action":{"action":"set_drained","instances":["web-1"],"is_drained":false}}
        {"effect_id":"ef-14","term":3,"run":"run-7","target":"checkout-api","is_undo":false,"action":{"action":"set_revision","revision":"v41"}}"#]].assert_eq(&bodies.join("\n"));
}

#[tokio::test]
async fn limits_of_tenants_are_read_set_and_lifted() {
    let world = world(LONG).await;
    let acme = || TenantName::new("acme").unwrap();
    let limit = |limit: Option<u32>| Action::LimitTenants { limits: [(acme(), limit)].into() };
    world.check_look(LookAt::TenantLimits, &expect!["no limits"]).await;
    assert_eq!(world.act(limit(Some(10))).await, "done: carried out (HTTP 200)");
    world.check_look(LookAt::TenantLimits, &expect!["acme: 10/s"]).await;
    let request = ActRequest { effect_id: EffectId(13), is_undo: true, ..order(limit(None)) };
    let undone = world.actuators.act(&world.target, &request).await;
    assert_eq!(show_report(&undone), "done: carried out (HTTP 200)");
    world.check_look(LookAt::TenantLimits, &expect!["no limits"]).await;
    let state = world.platform.state.lock().unwrap();
    assert!(state.complaints.is_empty(), "{:?}", state.complaints);
    let bodies: Vec<&str> = state.actions.iter().map(|it| it.1.as_str()).collect();
    expect![[r#"
        {"effect_id":"ef-12","term":3,"run":"run-7","target":"checkout-api","is_undo":false,"action":{"action":"limit_tenants","limits":{"acme":10}}}
        {"effect_id":"ef-13","term":3,"run":"run-7","target":"checkout-api","is_undo":true,"action":{"action":"limit_tenants","limits":{"acme":null}}}"#]].assert_eq(&bodies.join("\n"));
}

#[tokio::test]
async fn an_answer_lost_after_acting_is_found_out_and_nothing_is_sent_again() {
    let world = world(LONG).await;
    world.proxy.sever_after_forwarding("/fleet/act", 1);
    expect!["done: carried out, as the platform says when asked for ef-12; its first answer: error sending request: client error (SendRequest): connection closed before message completed"].assert_eq(&world.act(drain(true)).await);
    assert_eq!(world.told(), (1, 1, 1));
    // The same effect again, as after a restart: the platform knows its key.
    assert_eq!(world.act(drain(true)).await, "done: carried out (HTTP 200)");
    assert_eq!(world.told(), (2, 1, 1));
}

#[tokio::test]
async fn an_answer_lost_before_acting_stays_unknown() {
    let world = world(LONG).await;
    world.proxy.sever_before_forwarding("/fleet/act", 1);
    expect!["unknown: it may have happened or not: error sending request: client error (SendRequest): connection closed before message completed"].assert_eq(&world.act(drain(true)).await);
    assert_eq!(world.told(), (1, 1, 0));
}

#[tokio::test]
async fn what_the_platform_remembers_decides_and_silence_does_not() {
    let mut table = String::new();
    for (status, body) in [
        (200, r#"{"state":"done"}"#),
        (200, r#"{"state":"failed"}"#),
        (200, r#"{"state":"begun"}"#),
        (200, r#"{"state":"none"}"#),
        (200, "<html>"),
        (404, ""),
        (500, ""),
    ] {
        let world = world(LONG).await;
        world.proxy.answer("/fleet/act", 1, 503, "busy");
        world.proxy.answer("/effects/", 1, status, body);
        table.push_str(&format!("{status} {body}: {}\n", world.act(drain(true)).await));
    }
    expect![[r#"
        200 {"state":"done"}: done: carried out, as the platform says when asked for ef-12; its first answer: HTTP 503 `busy`
        200 {"state":"failed"}: rejected: the platform says that ef-12 changed nothing; its first answer: HTTP 503 `busy`
        200 {"state":"begun"}: unknown: it may have happened or not: HTTP 503 `busy`
        200 {"state":"none"}: unknown: it may have happened or not: HTTP 503 `busy`
        200 <html>: unknown: it may have happened or not: HTTP 503 `busy`
        404 : unknown: it may have happened or not: HTTP 503 `busy`
        500 : unknown: it may have happened or not: HTTP 503 `busy`
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn a_refusal_is_not_asked_about() {
    let world = world(LONG).await;
    let restart =
        Action::RestartInstances { instances: [InstanceName::new("web-1").unwrap()].into() };
    expect![[r#"rejected: refused: HTTP 422 `{"error":"cannot restart_instances"}`"#]]
        .assert_eq(&world.act(restart).await);
    key_file(&world.folder, "key", &KEY.replace("horse", "mouse"), 0o600);
    expect![[r#"rejected: refused: HTTP 401 `{"error":"the signature is wrong: another key, or the request was changed on its way"}`"#]].assert_eq(&world.act(drain(true)).await);
    world.check_look(LookAt::Traffic, &expect![[r#"cannot read webhook `URL/fleet`: HTTP 401 `{"error":"the signature is wrong: another key, or the request was changed on its way"}`"#]]).await;
    assert_eq!(world.told(), (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_hangs_is_unknown_at_twice_the_limit() {
    let world = world(CALL).await;
    world.proxy.hold_responses_matching("/fleet/");
    let started = std::time::Instant::now();
    expect!["unknown: it may have happened or not: no answer within 1.5 s"]
        .assert_eq(&world.act(drain(true)).await);
    let waited = started.elapsed();
    assert!(CALL <= waited && waited < 4 * CALL, "{waited:?}");
    world
        .check_look(
            LookAt::Traffic,
            &expect!["no usable answer about webhook `URL/fleet`: no answer within 1.5 s"],
        )
        .await;
}
