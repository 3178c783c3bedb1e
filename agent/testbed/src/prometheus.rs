//! A real Prometheus on loopback.
//!
//! In: what to scrape, history to start with, whether to ask for a login or TLS.
//! Out: its URL, once it is ready.
//! Not here: the exporter ([`Exporter`]); bearer tokens and faults,
//! which Prometheus has no switch for: put a [`Proxy`](crate::Proxy) in front.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tempfile::TempDir;

use crate::exporter::{Exporter, number, series};
use crate::http::{self, Response};
use crate::process::{Process, Program};

/// The login of a Prometheus started with [`Options::login`].
pub const USER: &str = "testbed";
/// Its password.
pub const PASSWORD: &str = "testbed-password";
/// The same, as the server's configuration wants it: bcrypt, at the lowest cost.
const PASSWORD_BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu/DZQ45IpLA1PwiD7GHHgCTBLyG8ImkW";

const INSTALL: &str = "run `make test-parts` (apt-get install prometheus)";

/// It is up in half a second; under two busy cores that became eight.
const READY: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    scrape_interval: Duration,
    addresses: Vec<String>,
    history: String,
    login: bool,
    tls: bool,
    flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(1),
            addresses: Vec::new(),
            history: String::new(),
            login: false,
            tls: false,
            flags: Vec::new(),
        }
    }
}

impl Options {
    /// Scrapes nothing, has no history, asks for no login.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Scrapes `exporter` too.
    #[must_use]
    pub fn scrape(self, exporter: &Exporter) -> Self {
        self.scrape_address(exporter.address())
    }

    /// Scrapes `/metrics` of `HOST:PORT` too.
    #[must_use]
    pub fn scrape_address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Scrapes this often instead of every second; whole milliseconds.
    #[must_use]
    pub fn scrape_interval(mut self, interval: Duration) -> Self {
        self.scrape_interval = interval;
        self
    }

    /// Adds history: lines of [`history`], or any OpenMetrics text (without `# EOF`).
    /// All samples of one series must stand together, oldest first.
    #[must_use]
    pub fn backfill_openmetrics(mut self, text: &str) -> Self {
        self.history.push_str(text);
        self
    }

    /// Asks for [`USER`] and [`PASSWORD`].
    #[must_use]
    pub fn login(mut self) -> Self {
        self.login = true;
        self
    }

    /// Serves https with a fresh certificate; see [`Prometheus::certificate_file`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Adds a command-line flag, for example `--query.max-samples=1000`.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Starts it; see [`Prometheus::start`].
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Prometheus {
        Prometheus::start(self)
    }
}

/// History of one series as OpenMetrics lines; times in seconds of Unix time.
#[must_use]
pub fn history(
    metric: &str,
    labels: &[(&str, &str)],
    samples: impl IntoIterator<Item = (i64, f64)>,
) -> String {
    let series = series(metric, labels);
    samples.into_iter().map(|(at, value)| format!("{series} {} {at}\n", number(value))).collect()
}

/// A running Prometheus; killed when dropped, its folder removed.
#[derive(Debug)]
pub struct Prometheus {
    // Dropped before the folder it writes to.
    process: Process,
    access: Access,
    program: Program,
    folder: TempDir,
}

/// What it takes to talk to it.
#[derive(Clone, Debug)]
struct Access {
    url: String,
    login: bool,
    root: Option<CertificateDer<'static>>,
}

impl Access {
    fn get(&self, path: &str) -> std::io::Result<Response> {
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let headers = [("authorization", login.as_str())];
        let headers = if self.login { &headers[..] } else { &[] };
        http::send("GET", &format!("{}{path}", self.url), headers, b"", self.root.as_ref())
    }

    fn is_ready(&self) -> bool {
        self.get("/-/ready").is_ok_and(|answer| answer.status == 200)
    }
}

impl Prometheus {
    /// Starts it on a free port and returns once it is ready.
    ///
    /// # Panics
    ///
    /// When `prometheus` or `promtool` is not installed, the history is not
    /// OpenMetrics, or it is not ready within a minute.
    #[must_use]
    #[track_caller]
    pub fn start(options: Options) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let root = write_configuration(folder.path(), &options);
        if !options.history.is_empty() {
            backfill(folder.path(), &options.history);
        }
        let program = Program::installed("prometheus", INSTALL)
            .arg(argument("--config.file=", &folder.path().join("prometheus.yml")))
            .arg(argument("--web.config.file=", &folder.path().join("web.yml")))
            .arg(argument("--storage.tsdb.path=", &folder.path().join("tsdb")))
            // History may be older than the 15 days kept by default.
            .args(["--storage.tsdb.retention.time=3650d", "--log.level=warn"])
            .args(&options.flags);
        let scheme = if options.tls { "https" } else { "http" };
        let access = |port: u16| Access {
            url: format!("{scheme}://127.0.0.1:{port}"),
            login: options.login,
            root: root.clone(),
        };
        let on = |port: u16| program.clone().arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let (process, port) = Process::start_listening(READY, on, |port| access(port).is_ready());
        Self { process, access: access(port), program: on(port), folder }
    }

    /// `http://127.0.0.1:PORT`, or `https` with [`Options::tls`].
    #[must_use]
    pub fn url(&self) -> &str {
        &self.access.url
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The certificate to trust, as a PEM file; there only with [`Options::tls`].
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The `data.result` of an instant query.
    ///
    /// # Panics
    ///
    /// When it does not answer, or refuses the query.
    #[must_use]
    #[track_caller]
    pub fn query(&self, promql: &str) -> Value {
        let path = format!("/api/v1/query?query={}", percent_encoded(promql));
        let answer = self
            .access
            .get(&path)
            .unwrap_or_else(|error| panic!("prometheus does not answer `{promql}`: {error}"));
        assert!(answer.status == 200, "prometheus refuses `{promql}`: {}", answer.text());
        answer.json()["data"]["result"].take()
    }

    /// The `data.result` of a range query; times and step in seconds.
    ///
    /// # Panics
    ///
    /// As [`Prometheus::query`].
    #[must_use]
    #[track_caller]
    pub fn query_range(&self, promql: &str, from: i64, until: i64, step: i64) -> Value {
        let query = percent_encoded(promql);
        let path =
            format!("/api/v1/query_range?query={query}&start={from}&end={until}&step={step}");
        let answer = self
            .access
            .get(&path)
            .unwrap_or_else(|error| panic!("prometheus does not answer `{promql}`: {error}"));
        assert!(answer.status == 200, "prometheus refuses `{promql}`: {}", answer.text());
        answer.json()["data"]["result"].take()
    }

    /// The number a query gives when its answer is exactly one series.
    ///
    /// # Panics
    ///
    /// As [`Prometheus::query`].
    #[must_use]
    #[track_caller]
    pub fn query_number(&self, promql: &str) -> Option<f64> {
        let answer = self.query(promql);
        let [only] = answer.as_array()?.as_slice() else { return None };
        only["value"][1].as_str()?.parse().ok()
    }

    /// Lets it hang: it keeps its port and answers nothing (SIGSTOP).
    ///
    /// # Panics
    ///
    /// When it is not running.
    #[track_caller]
    pub fn pause(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on after [`Prometheus::pause`].
    ///
    /// # Panics
    ///
    /// When it is not running.
    #[track_caller]
    pub fn resume(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Evaluates these rules from now on, instead of those of before.
    ///
    /// # Panics
    ///
    /// When it is not running. Faulty rules are refused in its log: check them before.
    #[track_caller]
    pub fn load_rules(&mut self, yaml: &str) {
        write(&self.folder.path().join("rules.yml"), yaml);
        self.process.signal(Signal::HUP);
    }

    /// Kills it; connections are refused until [`Prometheus::start_again`].
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Prometheus::stop`], on the same port with the same samples.
    ///
    /// # Panics
    ///
    /// When somebody took the port, or it is not ready within a minute.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.process.kill();
        self.process = Process::start(&self.program);
        let port = self.access.url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.expect("our own url ends with a port");
        let access = self.access.clone();
        let ours = self.process.wait_listening(READY, port, &mut |_| access.is_ready());
        assert!(ours, "port {port} was taken meanwhile{}", self.process.log_tail());
    }
}

/// Writes the configuration files and returns the certificate to trust, if any.
fn write_configuration(folder: &Path, options: &Options) -> Option<CertificateDer<'static>> {
    let addresses: Vec<String> = options.addresses.iter().map(|it| format!("{it:?}")).collect();
    let interval = options.scrape_interval.as_millis();
    write(
        &folder.join("prometheus.yml"),
        &format!(
            "global: {{ scrape_interval: {interval}ms, scrape_timeout: {interval}ms }}\n\
             rule_files: [ rules.yml ]\n\
             scrape_configs:\n\
             - job_name: testbed\n  static_configs: [ {{ targets: [ {} ] }} ]\n",
            addresses.join(", ")
        ),
    );
    let mut web = String::new();
    let root = options.tls.then(|| {
        web.push_str("tls_server_config: { cert_file: certificate.pem, key_file: key.pem }\n");
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])
                .expect("a certificate for fixed names can be made");
        write(&folder.join("certificate.pem"), &made.cert.pem());
        write(&folder.join("key.pem"), &made.signing_key.serialize_pem());
        made.cert.der().clone()
    });
    if options.login {
        web.push_str(&format!("basic_auth_users: {{ {USER}: \"{PASSWORD_BCRYPT}\" }}\n"));
    }
    write(&folder.join("web.yml"), &web);
    root
}

/// Turns OpenMetrics text into blocks. Blocks of two weeks: 14 days take 11 s instead
/// of 328 s with the two-hour default (50 series at 30 s).
#[track_caller]
fn backfill(folder: &Path, text: &str) {
    let file = folder.join("history.om");
    write(&file, &format!("{}\n# EOF\n", text.trim_end()));
    let made = Program::installed("promtool", INSTALL)
        .args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=336h", "--quiet"])
        .args([file, folder.join("tsdb")])
        .command()
        .output()
        .unwrap_or_else(|error| panic!("cannot run promtool: {error}"));
    assert!(
        made.status.success(),
        "promtool refuses the history: {}{}",
        String::from_utf8_lossy(&made.stderr),
        String::from_utf8_lossy(&made.stdout)
    );
}

fn argument(flag: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(flag);
    argument.push(path);
    argument
}

fn write(path: &Path, text: &str) {
    fs::write(path, text)
        .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", path.display()));
}

/// RFC 3986: everything but unreserved characters as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
