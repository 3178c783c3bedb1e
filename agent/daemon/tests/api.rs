//! The real daemon's API, as its clients meet it: a token over TLS, the account's own
//! socket, Prometheus that scrapes it, a second daemon that wants the same socket.
//!
//! **In:** a daemon with one target that nothing changes.
//! **Out:** answers, the journal that follows from them, what a stop leaves behind.
//! **Not here:** every verb, role and fault (the API's own tests), effects
//! (`end_to_end.rs`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_testbed::http::{self, Response};
use evenkeel_testbed::process::{Program, Signal};
use evenkeel_testbed::{Process, free_port, prometheus, wait_until};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

/// Longest wait for anything here.
const SOON: Duration = Duration::from_secs(60);

const TOKEN: &str = "a-token-that-only-ana-has";

struct Rig {
    daemon: Process,
    certificate: CertificateDer<'static>,
    tls_port: u16,
    folder: tempfile::TempDir,
}

impl Rig {
    fn start() -> Rig {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a key");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        write("certificate.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("documents.yaml", &documents());
        let tls_port = free_port();
        let config = format!(
            "region: eu-1
documents: [FOLDER/documents.yaml]
store: FOLDER/evenkeel.db
break_glass_file: FOLDER/freeze
evaluation_period: 1s
api:
  socket: FOLDER/api.sock
  tls:
    listen: 127.0.0.1:{tls_port}
    certificate_file: FOLDER/certificate.pem
    key_file: FOLDER/key.pem
prometheus: {{ url: 'http://127.0.0.1:{unused}', query_timeout: 1s }}
log: {{ format: text }}
",
            unused = free_port(),
        );
        write("evenkeeld.yaml", &config.replace("FOLDER", &folder.path().display().to_string()));
        let daemon = Process::start(&program(folder.path()));
        let certificate = made.cert.der().clone();
        let rig = Rig { daemon, certificate, tls_port, folder };
        wait_until(SOON, "the daemon is ready", || {
            rig.on_socket("GET", "/readyz", "").is_some_and(|it| it.status == 200)
        });
        rig
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    /// `None` while nobody answers.
    fn on_socket(&self, method: &str, path: &str, body: &str) -> Option<Response> {
        ask(&self.socket(), method, path, body)
    }

    fn over_tls(&self, token: &str, method: &str, path: &str, body: &str) -> Response {
        let url = format!("https://127.0.0.1:{}{path}", self.tls_port);
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        http::send(method, &url, &headers, body.as_bytes(), Some(&self.certificate))
            .expect("an answer")
    }
}

fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Option<Response> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    http::send_over(stream, method, "localhost", path, &[], body.as_bytes()).ok()
}

fn program(folder: &Path) -> Program {
    Program::new(env!("CARGO_BIN_EXE_evenkeeld")).arg("--config").arg(folder.join("evenkeeld.yaml"))
}

fn documents() -> String {
    let hash: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "apiVersion: evenkeel/v1
kind: Target
metadata: {{ name: cart }}
spec:
  region: eu-1
  provider: {{ aws_auto_scaling_group: {{ group: none }} }}
  capacity: {{ min: 1, max: 5 }}
---
apiVersion: evenkeel/v1
kind: Access
metadata: {{ name: people }}
spec:
  people:
    - {{ name: ana, token_hashes: ['sha256:{hash}'] }}
  grants:
    - {{ role: operator, to: [ana], selector: {{ everything: true }} }}
"
    )
}

#[test]
fn a_freeze_over_tls_is_seen_on_the_socket_and_in_a_journal_that_verifies() {
    let mut rig = Rig::start();
    let freeze = r#"{"kind":"freeze","scope":"cart","for":"1h","reason":"database failover"}"#;
    let refused = rig.over_tls("another-token", "POST", "/v1/overrides", freeze);
    assert_eq!(refused.status, 401, "{}", refused.text());
    let set = rig.over_tls(TOKEN, "POST", "/v1/overrides", freeze);
    assert_eq!(set.status, 200, "{}", set.text());
    assert_eq!(set.json()["override"]["actor"], "ana");

    let status = rig.on_socket("GET", "/v1/status?target=cart", "").expect("an answer").json();
    assert_eq!(status["targets"][0]["mode"], "freeze", "{status}");
    assert_eq!(status["targets"][0]["owner"], "ana", "{status}");
    let history = rig.on_socket("GET", "/v1/history?target=cart", "").expect("an answer").json();
    assert_eq!(history["records"][0]["record"]["override"]["reason"], "database failover");
    let verified = rig.on_socket("GET", "/v1/audit/verify", "").expect("an answer").json();
    assert_eq!(verified["intact"], true, "{verified}");
    let exported = rig.on_socket("GET", "/v1/audit/export", "").expect("an answer").text();
    let last: serde_json::Value =
        serde_json::from_str(exported.lines().last().expect("a record")).expect("a line of JSON");
    assert_eq!(last["seq"].as_u64(), verified["records"].as_u64().map(|it| it.max(1)));

    let reload = rig.over_tls(TOKEN, "POST", "/v1/reload", "");
    assert_eq!(reload.status, 403, "an operator is no admin: {}", reload.text());
    let reload = rig.on_socket("POST", "/v1/reload", "").expect("an answer");
    assert_eq!(reload.status, 200, "{}", reload.text());

    rig.daemon.signal(Signal::TERM);
    assert_eq!(rig.daemon.wait_exit(SOON).code(), Some(0), "{}", rig.daemon.log_tail());
    assert!(!rig.socket().exists(), "the socket goes with its daemon");
    let log = rig.daemon.stderr() + &rig.daemon.stdout();
    assert!(!log.contains(TOKEN) && !log.contains("another-token"), "{log}");
}

#[test]
fn a_second_daemon_leaves_the_socket_of_the_first_alone() {
    let rig = Rig::start();
    let mut second = Process::start(&program(rig.folder.path()));
    assert_eq!(second.wait_exit(SOON).code(), Some(1));
    let said = second.stderr();
    assert!(said.contains("another evenkeeld listens"), "{said}");
    assert!(said.contains("hint"), "{said}");
    let health = rig.on_socket("GET", "/healthz", "").expect("the first still answers");
    assert_eq!(health.status, 200);
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_taken_over() {
    let mut rig = Rig::start();
    rig.daemon.kill();
    assert!(rig.socket().exists(), "a killed daemon tidies nothing up");
    rig.daemon = Process::start(&program(rig.folder.path()));
    wait_until(SOON, "the next daemon answers", || {
        rig.on_socket("GET", "/healthz", "").is_some_and(|it| it.status == 200)
    });
}

#[test]
fn prometheus_reads_the_metrics() {
    let rig = Rig::start();
    // Prometheus of the testbed scrapes plain HTTP: it gets what the socket says.
    let relay = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = relay.local_addr().expect("an address").to_string();
    let socket = rig.socket();
    std::thread::spawn(move || {
        for stream in relay.incoming() {
            let Ok(mut stream) = stream else { return };
            let head = BufReader::new(&stream).lines();
            let _ = head.map_while(Result::ok).take_while(|it| !it.is_empty()).count();
            let Some(answer) = ask(&socket, "GET", "/metrics", "") else { continue };
            let kind = answer.headers.iter().find(|(name, _)| name == "content-type");
            let kind = kind.map_or("", |(_, value)| value);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{}",
                answer.text()
            );
        }
    });
    let prometheus = prometheus::Options::new().scrape_address(address).start();
    wait_until(SOON, "a scrape that succeeded", || prometheus.query_number("sum(up)") == Some(1.0));
    for (query, expected) in [
        ("count(evenkeel_build_info)", 1.0),
        ("sum(evenkeel_targets)", 1.0),
        ("evenkeel_break_glass", 0.0),
        ("sum(evenkeel_effects_total)", 0.0),
        ("count(evenkeel_journal_append_seconds_count)", 1.0),
        ("sum(evenkeel_requests_total{verb='readyz',answer='ok'}) > bool 0", 1.0),
    ] {
        wait_until(SOON, query, || prometheus.query_number(query) == Some(expected));
    }
}
