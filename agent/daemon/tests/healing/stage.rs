//! A service in three copies behind HAProxy, watched by Prometheus, with a daemon that
//! looks after it and two people.
//!
//! **In:** a copy that hangs; what people type.
//! **Out:** what HAProxy counts, what the command line says, what the platform was asked.
//! **Not here:** what should come of it (the tests), the copies ([`Platform`]).

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evenkeel_testbed::process::Program;
use evenkeel_testbed::{
    Haproxy, Process, Prometheus, free_port, haproxy, http, prometheus, wait_until,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::platform::{KEY, Platform};

/// The service, its target and HAProxy's backend.
pub(crate) const SERVICE: &str = "shop";

/// Longest wait for anything but the end of an incident.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// How many requests are under way at once.
const N_CLIENTS: usize = 4;

/// From one request of a client to its next.
const PACE: Duration = Duration::from_millis(50);

/// From one look at a run to the next; each is a process.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Who may look and no more; over TLS, because the socket's account is somebody else.
const VIEWER_TOKEN: &str = "vera-token-5cc1a2f8e07b";

/// What one run of the command line came to.
#[derive(Debug)]
pub(crate) struct Said {
    /// Exit status.
    pub(crate) status: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// The parts, in the order in which they must end.
pub(crate) struct Stage {
    daemon: Option<Process>,
    _clients: Clients,
    /// What watches.
    pub(crate) prometheus: Prometheus,
    /// What is in front.
    pub(crate) haproxy: Haproxy,
    /// What runs the copies.
    pub(crate) platform: Platform,
    tls_port: u16,
    folder: tempfile::TempDir,
}

/// People who use the service, until dropped.
struct Clients(Arc<AtomicBool>);

impl Clients {
    fn start(url: &str) -> Clients {
        let stopped = Arc::new(AtomicBool::new(false));
        for _ in 0..N_CLIENTS {
            let (stopped, url) = (Arc::clone(&stopped), format!("{url}/"));
            std::thread::spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    // A copy that hangs keeps its client waiting until HAProxy gives up.
                    let _ = http::get(&url);
                    std::thread::sleep(PACE);
                }
            });
        }
        Clients(stopped)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stage {
    /// Starts everything and returns once all copies serve and the agent sees them.
    pub(crate) fn start() -> Stage {
        let platform = Platform::start(3);
        let mut haproxy = haproxy::Options::new(SERVICE).check_path("/health");
        let mut prometheus = prometheus::Options::new();
        for (name, address) in platform.copies() {
            haproxy = haproxy.server(&name, &address);
            prometheus = prometheus.scrape_address(address);
        }
        let haproxy = haproxy.start();
        let prometheus = prometheus.scrape_address(haproxy.exporter_address()).start();
        let clients = Clients::start(&haproxy.url());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tls_port = free_port();
        let mut stage = Stage {
            daemon: None,
            _clients: clients,
            prometheus,
            haproxy,
            platform,
            tls_port,
            folder,
        };
        stage.write_files();
        wait_until(SOON, "Prometheus sees all copies and HAProxy", || {
            let number = |query: &str| stage.prometheus.query_number(query);
            number("count(copy_latency_seconds)") == Some(3.0)
                && number("sum(haproxy_backend_active_servers{proxy=\"shop\"})") == Some(3.0)
        });
        for (copy, _) in stage.platform.copies() {
            stage.wait_served(&copy);
        }
        stage.start_daemon();
        stage
    }

    /// Starts the daemon and waits until it has evaluated once.
    pub(crate) fn start_daemon(&mut self) {
        let program = Program::new(env!("CARGO_BIN_EXE_evenkeeld"))
            .arg("--config")
            .arg(self.path("evenkeeld.yaml"));
        self.daemon = Some(Process::start(&program));
        wait_until(SOON, "the daemon has evaluated once", || {
            let said = self.evenkeel(&["status", SERVICE, "--output", "json"]);
            let status: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
            status["targets"][0]["evaluated_at"].is_string()
        });
    }

    /// Kills the daemon at once, as a power cut would.
    pub(crate) fn kill_daemon(&mut self) {
        self.daemon.take().expect("a running daemon").kill();
    }

    /// How many requests HAProxy has given to a copy.
    pub(crate) fn n_served(&self, copy: &str) -> u64 {
        let stat = self.haproxy.ask(&format!("show stat {SERVICE} 4 -1"));
        let mut lines = stat.lines().map(|it| it.split(',').collect::<Vec<_>>());
        let header = lines.next().expect("a header");
        let column = header.iter().position(|it| *it == "stot").expect("a column");
        let row = lines.find(|it| it.get(1) == Some(&copy)).expect("a server");
        row[column].parse().expect("a number")
    }

    /// Waits until a copy gets requests.
    #[track_caller]
    pub(crate) fn wait_served(&self, copy: &str) {
        let wanted = self.n_served(copy) + 3;
        wait_until(SOON, &format!("{copy} gets requests"), || wanted <= self.n_served(copy));
    }

    /// The newest run, as `evenkeel incidents` shows it; null without one.
    pub(crate) fn run(&self) -> Value {
        self.incidents()["runs"].as_array().and_then(|it| it.last()).cloned().unwrap_or_default()
    }

    /// All incidents and runs in memory.
    pub(crate) fn incidents(&self) -> Value {
        let said = self.evenkeel(&["incidents", "--all", "--output", "json"]);
        serde_json::from_str(&said.stdout).unwrap_or_default()
    }

    /// Waits until the newest run has this phase.
    #[track_caller]
    pub(crate) fn wait_phase(&self, phase: &str) -> Value {
        let started = Instant::now();
        loop {
            let run = self.run();
            if run["phase"] == phase {
                return run;
            }
            assert!(started.elapsed() < SOON, "the run is not {phase}: {run}{}", self.log());
            std::thread::sleep(LOOK_PERIOD);
        }
    }

    /// `evenkeel` over the socket: its account is ana's.
    pub(crate) fn evenkeel(&self, arguments: &[&str]) -> Said {
        let socket = self.path("evenkeel.sock").display().to_string();
        said(&[arguments, &["--socket", &socket]].concat())
    }

    /// `evenkeel` over TLS with vera's token.
    pub(crate) fn as_viewer(&self, arguments: &[&str]) -> Said {
        let url = format!("https://127.0.0.1:{}", self.tls_port);
        let file = |name: &str| self.path(name).display().to_string();
        let (token, certificate) = (file("vera.token"), file("certificate.pem"));
        let more = ["--url", &url, "--token-file", &token, "--ca-file", &certificate];
        said(&[arguments, &more].concat())
    }

    /// As [`Stage::evenkeel`], which must succeed.
    #[track_caller]
    pub(crate) fn enforced(&self, arguments: &[&str]) -> Said {
        let said = self.evenkeel(arguments);
        assert_eq!(said.status, 0, "{arguments:?}: {said:?}{}", self.log());
        said
    }

    /// The end of the daemon's log.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_secret(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).expect("our own file");
    }

    fn write_files(&self) {
        let folder = self.folder.path().display().to_string();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a key");
        self.write_secret("certificate.pem", &made.cert.pem());
        self.write_secret("key.pem", &made.signing_key.serialize_pem());
        self.write_secret("platform.key", KEY);
        self.write_secret("vera.token", VIEWER_TOKEN);
        let documents = include_str!("documents.yaml")
            .replace("PLATFORM", &self.platform.url())
            .replace("FOLDER", &folder)
            .replace("HAPROXY", &self.haproxy.socket().display().to_string())
            .replace("ACCOUNT", &account())
            .replace("VERAS_HASH", &hex(&Sha256::digest(VIEWER_TOKEN)));
        self.write_secret("documents.yaml", &documents);
        let config = include_str!("evenkeeld.yaml")
            .replace("PLATFORM", &self.platform.url())
            .replace("FOLDER", &folder)
            .replace("PROMETHEUS", self.prometheus.url())
            .replace("TLS_PORT", &self.tls_port.to_string());
        self.write_secret("evenkeeld.yaml", &config);
    }
}

fn said(arguments: &[&str]) -> Said {
    let program = Program::of_workspace("evenkeel").args(arguments).env("NO_COLOR", "1");
    let output = program.command().output().expect("evenkeel runs");
    Said {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The name of the account that runs the test.
fn account() -> String {
    let output = Program::installed("id", "apt-get install coreutils")
        .arg("-un")
        .command()
        .output()
        .expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
