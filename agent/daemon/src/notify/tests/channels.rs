//! Channels of every kind, against receivers on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use evenkeel_testbed::{Proxy, free_port};
use expect_test::expect;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::config::{NotificationsConfig, checked_url};
use crate::notify::NotifySettings;

/// Longest wait for something on loopback, retries included.
const LIMIT: Duration = Duration::from_secs(30);

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn secret(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// A notifier with the channels of a configuration, on a clock that says `start()`.
fn stage(channels: &str) -> Stage {
    let config: NotificationsConfig =
        serde_saphyr::from_str(&format!("dead_after: 1m\nchannels:\n{channels}")).unwrap();
    let (sender, inputs) = mpsc::channel(1_024);
    let metrics = Arc::new(Metrics::new("1.2.3"));
    let settings = NotifySettings {
        region: region(),
        channels: config.channels,
        // So that a test hears of the first failure.
        dead_after: SignedDuration::ZERO,
        ca_file: None,
    };
    let clock = Clock::starting_at(start());
    let notifier = Notifier::new(settings, clock, sender, Arc::clone(&metrics)).unwrap();
    Stage { notifier, inputs, metrics }
}

fn webhook(url: &str, key: &Path) -> String {
    format!("  - {{ name: hook, webhook: {{ url: '{url}', secret_file: {} }} }}\n", key.display())
}

fn slack(url: &Path) -> String {
    format!("  - {{ name: chat, slack: {{ url_file: {} }} }}\n", url.display())
}

#[cfg(feature = "webhook")]
#[tokio::test]
async fn a_webhook_is_signed_so_that_its_receiver_can_verify_it() {
    let folder = TempDir::new().unwrap();
    let receiver = Proxy::without_upstream();
    receiver.answer("POST", 10, 200, "");
    let url = format!("{}/notices?team=a", receiver.url());
    let mut stage = stage(&webhook(&url, &secret(&folder, "key", KEY)));
    stage.start(full());
    assert_eq!(stage.heard(LIMIT).await, "no-12 Delivered");
    let request = &receiver.requests_matching("POST")[0];
    assert_eq!(request.path, "/notices?team=a");
    assert_eq!(request.header("evenkeel-notice"), Some("no-12"));
    assert_eq!(request.header("idempotency-key"), Some("no-12"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let verify = |body: &str| {
        evenkeel_providers::verify_signature(
            KEY.as_bytes(),
            request.header("evenkeel-timestamp").unwrap(),
            "POST",
            &request.path,
            body.as_bytes(),
            request.header("evenkeel-signature").unwrap(),
            start(),
            SignedDuration::from_mins(5),
        )
    };
    verify(&request.body).unwrap();
    verify(&request.body.replace("no-12", "no-13")).unwrap_err();
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_the_notice_when_it_is_back() {
    let folder = TempDir::new().unwrap();
    let receiver = Proxy::without_upstream();
    receiver.answer("POST", 1, 503, "later");
    receiver.sever_before_forwarding("POST", 1);
    receiver.answer("POST", 1, 200, "ok");
    let url = secret(&folder, "url", &format!("{}/services/T0\n", receiver.url()));
    let mut stage = stage(&slack(&url));
    stage.start(full());
    let heard = [stage.heard(LIMIT).await, stage.heard(LIMIT).await, stage.heard(LIMIT).await];
    let mut heard = heard.to_vec();
    // The end of the notice and the news of its channel come from two tasks.
    heard.sort();
    expect![[r#"
        alive
        dead: channel `chat` has failed for 0 min: answered HTTP 503; look at the receiver
        no-12 Delivered"#]]
    .assert_eq(&heard.join("\n"));
    let requests = receiver.requests_matching("POST");
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].path, "/services/T0");
    let message: serde_json::Value = serde_json::from_str(&requests[2].body).unwrap();
    assert!(message["text"].as_str().unwrap().starts_with("[page] gray-node wants"), "{message}");
}

/// Everything that is logged while it lives, by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

impl Log {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0)).into_owned()
    }
}

/// What the core, the log and `{:?}` say of a channel that fails at once.
async fn said_of(channels: &str) -> String {
    let log = Log::default();
    let guard = log.begin();
    let mut stage = stage(channels);
    stage.start(full());
    let heard = stage.heard(LIMIT).await;
    // The second attempt, too: it comes after a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    drop(guard);
    let said = format!("{heard}\n{}\n{:?}", log.text(), stage.notifier);
    assert!(said.contains("was not taken"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert!(!said.contains("czNjcmV0"), "{said}");
    heard
}

#[tokio::test]
async fn the_url_of_a_chat_is_in_no_message() {
    let folder = TempDir::new().unwrap();
    let receiver = Proxy::without_upstream();
    let path = "services/s3cret";
    let body = format!("no such place: {}/{path}", receiver.url());
    receiver.answer("POST", 10, 404, body);
    let port = free_port();
    let urls = [
        format!("{}/{path}", receiver.url()),
        format!("http://127.0.0.1:{port}/{path}"),
        format!("http://hooks.example/{path}"),
        format!("https://s3cret:x@hooks.example/{path}"),
        "s3cret".to_owned(),
        "https://s3cret\nhttps://s3cret".to_owned(),
        String::new(),
    ];
    let mut heard = Vec::new();
    for url in urls {
        let said = said_of(&slack(&secret(&folder, "url", &url))).await;
        let said = said.replace(folder.path().to_str().unwrap(), "DIR");
        heard.push(said.replace("channel `chat` has failed for 0 min: ", ""));
    }
    fs::set_permissions(folder.path().join("url"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = said_of(&slack(&folder.path().join("url"))).await;
    heard.push(said.replace(folder.path().to_str().unwrap(), "DIR"));
    expect![[r#"
        dead: answered HTTP 404; its URL is no longer one; make a new one at the receiver
        dead: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
        dead: the URL in `DIR/url`: plain `http://` is for loopback only; write `https://`
        dead: the URL in `DIR/url`: its URL has a user name or password; a file is the place for secrets
        dead: the URL in `DIR/url`: its URL is not one: relative URL without a base
        dead: cannot use the secret in `DIR/url`: it does not fit into one line
        dead: cannot use the secret in `DIR/url`: it is empty
        dead: channel `chat` has failed for 0 min: cannot use the secret in `DIR/url`: it has mode 644, which lets others read or change it; `chmod 600` it (640 where its group needs it)"#]].assert_eq(&heard.join("\n"));
}

/// A mail server that follows the protocol and writes down what it is told.
struct Sink {
    port: u16,
    transcript: Arc<Mutex<String>>,
}

/// What differs between mail servers.
#[derive(Clone, Copy)]
struct Manners {
    /// The answer to a login.
    login: &'static str,
    /// The answer to a mail.
    mail: &'static str,
}

const GOOD: Manners = Manners { login: "235 welcome", mail: "250 queued" };

impl Sink {
    async fn start(manners: Manners) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let transcript = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&transcript);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                let mut in_data = false;
                let _ = writer.write_all(b"220 sink ESMTP\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    lock(&written).push_str(&format!("{line}\n"));
                    let answer = match line.split(' ').next().unwrap_or_default() {
                        _ if in_data && line != "." => continue,
                        "." => {
                            in_data = false;
                            manners.mail
                        }
                        "EHLO" => "250-sink\r\n250 AUTH PLAIN LOGIN",
                        "AUTH" => manners.login,
                        "DATA" => {
                            in_data = true;
                            "354 go on"
                        }
                        "QUIT" => "221 bye",
                        _ => "250 ok",
                    };
                    let _ = writer.write_all(format!("{answer}\r\n").as_bytes()).await;
                }
            }
        });
        Sink { port, transcript }
    }

    fn text(&self) -> String {
        lock(&self.transcript).clone()
    }
}

fn smtp(port: u16, more: &str) -> String {
    format!(
        "  - {{ name: mail, smtp: {{ host: 127.0.0.1, port: {port}, from: Evenkeel <evenkeel@example.com>, \
         to: [oncall@example.com, Ana <ana@example.com>], {more} }} }}\n"
    )
}

fn login(folder: &TempDir) -> String {
    let user = secret(folder, "user", "evenkeel\n");
    let password = secret(folder, "password", "s3cret-password\n");
    format!("user_file: {}, password_file: {}", user.display(), password.display())
}

#[tokio::test]
async fn a_mail_goes_to_everyone_with_a_login_and_a_number_of_its_own() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(GOOD).await;
    let mut stage = stage(&smtp(sink.port, &format!("tls: none, {}", login(&folder))));
    stage.start(full());
    assert_eq!(stage.heard(LIMIT).await, "no-12 Delivered");
    expect![[r#"
        EHLO example.com
        AUTH PLAIN AGV2ZW5rZWVsAHMzY3JldC1wYXNzd29yZA==
        MAIL FROM:<evenkeel@example.com>
        RCPT TO:<oncall@example.com>
        RCPT TO:<ana@example.com>
        DATA
        From: Evenkeel <evenkeel@example.com>
        Subject: [page] gray-node wants to replace i-07 of checkout-api
         (eu-central-1)
        Date: Sun, 01 Mar 2026 03:00:00 +0000
        Message-ID: <no-12.eu-central-1@evenkeel>
        Content-Type: text/plain; charset=utf-8
        Evenkeel-Notice: no-12
        Auto-Submitted: auto-generated
        To: oncall@example.com, Ana <ana@example.com>
        Content-Transfer-Encoding: 7bit

        gray-node wants to replace i-07 of checkout-api

        Why
          error ratio 0.12 of i-07, 0.001 of its peers
          for 90 s

        Plan
          1. replace instance i-07 (undo: none)
          2. verify: error ratio < 0.01 within 5m

        To answer
          evenkeel approve run-4 --plan 9f2c11d0
          evenkeel deny run-4 --reason TEXT

        Runbook
          runbooks/playbooks/gray-node.md

        About
          target: checkout-api
          incident: inc-3
          run: run-4
          notice: no-12 of 2026-03-01 03:00:00 UTC
          region: eu-central-1

        .
        QUIT
    "#]]
    .assert_eq(&sink.text());
}

#[tokio::test]
async fn a_hostile_title_adds_no_header_and_no_receiver() {
    let sink = Sink::start(GOOD).await;
    let mut stage = stage(&smtp(sink.port, "tls: none"));
    stage.start(hostile());
    assert_eq!(stage.heard(LIMIT).await, "no-13 Delivered");
    let text = sink.text();
    let (head, _) = text.split_once("\n\n").unwrap();
    let names: Vec<&str> = head
        .lines()
        .filter(|it| !it.starts_with([' ', '\t']))
        .map(|it| it.split([':', ' ']).next().unwrap())
        .collect();
    expect!["EHLO MAIL RCPT RCPT DATA From Subject Date Message-ID Content-Type Evenkeel-Notice Auto-Submitted To Content-Transfer-Encoding"].assert_eq(&names.join(" "));
    assert_eq!(text.matches("RCPT TO").count(), 2);
    assert!(!head.contains("\nBcc"), "{head}");
}

#[tokio::test]
async fn a_password_is_in_no_message_even_when_the_server_repeats_it() {
    let folder = TempDir::new().unwrap();
    let login_fails = Manners { login: "535 5.7.8 who is s3cret-password?", ..GOOD };
    let sink = Sink::start(login_fails).await;
    let said = said_of(&smtp(sink.port, &format!("tls: none, {}", login(&folder)))).await;
    expect![
        "dead: channel `mail` has failed for 0 min: permanent error (535): 5.7.8 who is [hidden]?"
    ]
    .assert_eq(&said);
}

#[tokio::test]
async fn a_server_without_tls_gets_neither_login_nor_mail() {
    let folder = TempDir::new().unwrap();
    for tls in ["required", "implicit"] {
        let sink = Sink::start(GOOD).await;
        said_of(&smtp(sink.port, &format!("tls: {tls}, {}", login(&folder)))).await;
        let text = sink.text();
        for word in ["AUTH", "MAIL", "DATA", "gray-node"] {
            assert!(!text.contains(word), "{tls}: {text}");
        }
    }
}

#[test]
fn messages_go_to_https_and_loopback_only() {
    for (url, expected) in [
        ("https://hooks.example/a?b=c", ""),
        ("http://127.0.0.1:80/", ""),
        ("http://[::1]:80/", ""),
        ("http://localhost/", ""),
        ("http://127.0.0.1.example/", "plain `http://` is for loopback only; write `https://`"),
        ("https://a.example/#b", "its URL has a fragment (`#…`), which is never sent"),
        ("ftp://a.example/", "its URL must begin with `https://`"),
    ] {
        assert_eq!(checked_url(url).err().unwrap_or_default(), expected, "{url}");
    }
}
