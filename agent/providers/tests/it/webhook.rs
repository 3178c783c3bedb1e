//! Webhooks against a platform written from the published contract, with a proxy
//! that loses, delays and forges its answers.
//!
//! In: requests to set and to read.
//! Out: how they end, and what the platform did.
//! Not here: what each status means (a table beside the code).

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::common::{providers, read, request, show_reading, show_report, target};
use crate::platform::{KEY, Platform};
use evenkeel_core::documents::ProviderRef;
use evenkeel_providers::{ProviderSettings, Providers, WebhookSettings};
use evenkeel_testbed::{Proxy, free_port};
use expect_test::{Expect, expect};
use tempfile::TempDir;

/// Short where a test waits for it; otherwise far longer than loopback needs.
const CALL: Duration = Duration::from_millis(1_500);

struct World {
    platform: Platform,
    proxy: Proxy,
    providers: Providers,
    reference: ProviderRef,
    folder: TempDir,
}

pub(crate) fn key_file(folder: &TempDir, name: &str, key: &str, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn webhook(url: &str, secret_file: &std::path::Path) -> ProviderRef {
    let secret_file = secret_file.to_str().unwrap().to_owned();
    ProviderRef::Webhook { url: url.to_owned(), secret_file }
}

/// A platform with 7 units behind a proxy.
async fn world(call_timeout: Duration) -> World {
    let platform = Platform::start(7);
    let proxy = Proxy::start(platform.url());
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(&folder, "key", &format!("{KEY}\n"), 0o600);
    let reference = webhook(&format!("{}/capacity?of=checkout", proxy.url()), &key);
    let settings = ProviderSettings { call_timeout, ..ProviderSettings::default() };
    World { platform, proxy, providers: providers(&settings).await, reference, folder }
}

impl World {
    /// Without what differs from run to run.
    fn masked(&self, text: &str) -> String {
        assert!(!text.contains(KEY), "the key shows: {text}");
        text.replace(&self.proxy.url(), "URL").replace(self.folder.path().to_str().unwrap(), "DIR")
    }

    /// Sets 7 -> 9 and checks the report, then what the platform has.
    async fn check_set(&self, expected: &Expect) {
        let report = self.providers.set_capacity(&request(&self.reference, 7, 9)).await;
        let current = self.platform.state.lock().unwrap().current;
        expected
            .assert_eq(&self.masked(&format!("{}\nplatform has {current}", show_report(&report))));
    }

    async fn check_read(&self, expected: &Expect) {
        let reading = read(&self.providers, &self.reference).await;
        expected.assert_eq(&self.masked(&show_reading(&reading)));
    }
}

#[tokio::test]
async fn a_platform_is_read_and_set_with_signed_requests() {
    let world = world(Duration::from_secs(20)).await;
    world.check_read(&expect!["7, 6 ready"]).await;
    world
        .check_set(&expect![[r#"
        done: capacity set to 9 (HTTP 200)
        platform has 9"#]])
        .await;
    world.check_read(&expect!["9, 8 ready"]).await;
    assert!(world.platform.state.lock().unwrap().complaints.is_empty());
    let sent = world.proxy.requests_matching("PUT");
    expect![[r#"{"desired":9,"expected":7,"effect":"ef-12","term":3}"#]].assert_eq(&sent[0].body);
}

#[tokio::test]
async fn a_change_of_somebody_else_rejects_the_request() {
    let world = world(Duration::from_secs(20)).await;
    world.platform.state.lock().unwrap().current = 8;
    world
        .check_set(&expect![[r#"
        rejected: refused: current capacity is 8, the decision was made on 7
        platform has 8"#]])
        .await;
}

#[tokio::test]
async fn another_key_is_noticed_and_a_replaced_one_is_used_at_once() {
    let world = world(Duration::from_secs(20)).await;
    key_file(&world.folder, "key", &KEY.replace("horse", "mouse"), 0o600);
    world.check_read(&expect![[r#"cannot read webhook `URL/capacity`: HTTP 401 `{"error":"the signature is wrong: another key, or the request was changed on its way"}`"#]]).await;
    world.check_set(&expect![[r#"
        rejected: refused: HTTP 401 `{"error":"the signature is wrong: another key, or the request was changed on its way"}`
        platform has 7"#]]).await;
    key_file(&world.folder, "key", KEY, 0o600);
    world
        .check_set(&expect![[r#"
        done: capacity set to 9 (HTTP 200)
        platform has 9"#]])
        .await;
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    let world = world(Duration::from_secs(20)).await;
    key_file(&world.folder, "key", KEY, 0o644);
    world.check_read(&expect!["cannot ask for webhook `URL/capacity`: key file `DIR/key` has mode 644, which lets others read or change it; `chmod 600 DIR/key` (640 where its group needs it)"]).await;
    world.check_set(&expect![[r#"
        rejected: nothing was sent: key file `DIR/key` has mode 644, which lets others read or change it; `chmod 600 DIR/key` (640 where its group needs it)
        platform has 7"#]]).await;
    assert_eq!(world.proxy.count_matching(""), 0);
}

#[tokio::test]
async fn an_answer_lost_after_acting_is_unknown_and_read_back() {
    let world = world(Duration::from_secs(20)).await;
    world.proxy.sever_after_forwarding("PUT", 1);
    world.check_set(&expect![[r#"
        unknown: it may have happened or not: error sending request: client error (SendRequest): connection closed before message completed
        platform has 9"#]]).await;
    world.check_read(&expect!["9, 8 ready"]).await;
    assert_eq!(world.proxy.count_matching("PUT"), 1, "it was not sent again");
    // The same effect again, as after a restart: the platform knows its key.
    world
        .check_set(&expect![[r#"
        done: capacity set to 9 (HTTP 200)
        platform has 9"#]])
        .await;
    assert_eq!(world.platform.state.lock().unwrap().changes, [("ef-12".to_owned(), 9)]);
    let keys: Vec<_> = world.proxy.requests_matching("PUT");
    assert_eq!(keys[0].header("idempotency-key"), Some("ef-12"));
    assert_eq!(keys[1].header("idempotency-key"), Some("ef-12"));
}

#[tokio::test]
async fn an_answer_lost_before_acting_is_unknown_too() {
    let world = world(Duration::from_secs(20)).await;
    world.proxy.sever_before_forwarding("PUT", 1);
    world.check_set(&expect![[r#"
        unknown: it may have happened or not: error sending request: client error (SendRequest): connection closed before message completed
        platform has 7"#]]).await;
    assert_eq!(world.proxy.count_matching("PUT"), 1, "it was not sent again");
}

#[tokio::test]
async fn a_platform_that_hangs_after_acting_is_unknown_at_the_limit() {
    let world = world(CALL).await;
    world.proxy.hold_responses_matching("PUT");
    let started = Instant::now();
    world
        .check_set(&expect![[r#"
            unknown: it may have happened or not: no answer within 1.5 s
            platform has 9"#]])
        .await;
    assert!(CALL <= started.elapsed());
    world.proxy.release();
    world.check_read(&expect!["9, 8 ready"]).await;
}

#[tokio::test]
async fn a_platform_that_hangs_does_not_keep_the_readings_of_others() {
    let world = world(CALL).await;
    let ProviderRef::Webhook { secret_file, .. } = &world.reference else { unreachable!() };
    let hanging = ProviderRef::Webhook {
        url: format!("{}/hanging", world.proxy.url()),
        secret_file: secret_file.clone(),
    };
    world.proxy.hold_requests_matching("/hanging");
    let targets = [(target("hanging"), hanging), (target("checkout"), world.reference.clone())];
    let readings = world.providers.read(&targets).await;
    let shown: Vec<String> = readings
        .iter()
        .map(|(target, reading)| format!("{target}: {}", world.masked(&show_reading(reading))))
        .collect();
    expect![[r#"
        hanging: no usable answer about webhook `URL/hanging`: no answer within 1.5 s
        checkout: 7, 6 ready"#]]
    .assert_eq(&shown.join("\n"));
    world.proxy.release();
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let world = world(Duration::from_secs(20)).await;
    let long = format!("{{\"current\":7,\"note\":\"{}\"}}", "x".repeat(64 * 1024));
    world.proxy.answer("GET", 1, 200, long.clone());
    world.proxy.answer("PUT", 1, 200, long);
    world.check_read(&expect!["no usable answer about webhook `URL/capacity`: the answer (HTTP 200) is longer than 65536 bytes"]).await;
    world
        .check_set(&expect![[r#"
        unknown: it may have happened or not: the answer (HTTP 200) is longer than 65536 bytes
        platform has 7"#]])
        .await;
}

#[tokio::test]
async fn an_answer_that_repeats_the_key_is_not_shown() {
    let world = world(Duration::from_secs(20)).await;
    world.proxy.answer("GET", 1, 403, format!("your key {KEY} is wrong"));
    world.proxy.answer("PUT", 1, 500, format!("your key {KEY} broke us"));
    world
        .check_read(&expect![
            "cannot read webhook `URL/capacity`: HTTP 403 with a body that repeats the key"
        ])
        .await;
    world
        .check_set(&expect![[r#"
        unknown: it may have happened or not: HTTP 500 with a body that repeats the key
        platform has 7"#]])
        .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = world(Duration::from_secs(20)).await;
    let elsewhere = world.proxy.url() + "/elsewhere";
    let location = [("location", elsewhere.as_str())];
    world.proxy.answer_with_headers("PUT", 1, 307, &location, "");
    world.proxy.answer_with_headers("GET", 1, 302, &location, "");
    world
        .check_set(&expect![[r#"
        rejected: refused: HTTP 307; redirects are not followed, put the new URL into the target
        platform has 7"#]])
        .await;
    world.check_read(&expect!["no usable answer about webhook `URL/capacity`: HTTP 302"]).await;
    assert_eq!(world.proxy.count_matching("/elsewhere"), 0);
}

#[tokio::test]
async fn a_platform_that_is_not_there_surely_did_nothing() {
    let mut world = world(Duration::from_secs(20)).await;
    let ProviderRef::Webhook { secret_file, .. } = &world.reference else { unreachable!() };
    let url = format!("http://127.0.0.1:{}", free_port());
    world.reference = webhook(&url, secret_file.as_ref());
    let shown = |text: &str| world.masked(text).replace(&url, "URL");
    let report = world.providers.set_capacity(&request(&world.reference, 7, 9)).await;
    expect!["rejected: nothing was sent: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)"].assert_eq(&shown(&show_report(&report)));
    let reading = read(&world.providers, &world.reference).await;
    expect!["cannot ask for webhook `URL`: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)"].assert_eq(&shown(&show_reading(&reading)));
}

#[tokio::test]
async fn https_is_trusted_through_the_system_or_the_given_authorities() {
    let (platform, certificate) = Platform::start_tls(7);
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(&folder, "key", KEY, 0o600);
    let reference = webhook(platform.url(), &key);
    let distrusting = providers(&ProviderSettings::default()).await;
    let report = distrusting.set_capacity(&request(&reference, 7, 9)).await;
    let shown = show_report(&report);
    assert!(shown.starts_with("rejected: nothing was sent: "), "{shown}");
    assert!(shown.contains("certificate"), "{shown}");
    assert_eq!(platform.state.lock().unwrap().current, 7);

    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certificate).unwrap();
    let webhook = WebhookSettings { ca_file: Some(ca_file) };
    let trusting = providers(&ProviderSettings { webhook, ..ProviderSettings::default() }).await;
    let report = trusting.set_capacity(&request(&reference, 7, 9)).await;
    expect!["done: capacity set to 9 (HTTP 200)"].assert_eq(&show_report(&report));
    assert_eq!(platform.state.lock().unwrap().current, 9);
}

#[tokio::test]
async fn a_file_without_authorities_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let mut table = String::new();
    for content in
        [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let webhook = WebhookSettings { ca_file: Some(file.clone()) };
        let settings = ProviderSettings { webhook, ..ProviderSettings::default() };
        let error = Providers::new(&settings, crate::common::clock()).await.unwrap_err();
        table.push_str(&error.to_string().replace(folder.path().to_str().unwrap(), "DIR"));
        table.push('\n');
    }
    expect![[r#"
        certificate authorities in `DIR/ca.pem` cannot be used: No such file or directory (os error 2)
        certificate authorities in `DIR/ca.pem` cannot be used: it holds no certificate in PEM
        certificate authorities in `DIR/ca.pem` cannot be used: builder error: invalid peer certificate: BadEncoding
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn a_token_in_the_url_is_not_shown() {
    let world = world(Duration::from_secs(20)).await;
    let ProviderRef::Webhook { secret_file, .. } = &world.reference else { unreachable!() };
    let token = "t0ken";
    for url in [
        format!("http://127.0.0.1:{}/a?token={token}", free_port()),
        format!("http://ana:{token}@127.0.0.1/"),
        format!("{}/a?token={token}", world.proxy.url()),
    ] {
        world.proxy.answer("token", 2, 500, "");
        let reference = webhook(&url, secret_file.as_ref());
        let report = world.providers.set_capacity(&request(&reference, 7, 9)).await;
        let reading = read(&world.providers, &reference).await;
        let shown = show_report(&report) + &show_reading(&reading);
        assert!(!shown.contains(token), "{shown}");
    }
    let shown = format!("{:?}", world.providers);
    assert!(!shown.contains(KEY) && !shown.contains(token), "{shown}");
}
