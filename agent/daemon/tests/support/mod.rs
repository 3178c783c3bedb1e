//! A whole Evenkeel in front of real parts: Prometheus, moto's Auto Scaling, the
//! daemon's binary and the command line's.
//!
//! **In:** a load that a test sets.
//! **Out:** the group's capacity, what the command line says, what went to AWS.
//! **Not here:** what should come of it (the tests).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_testbed::process::Program;
use evenkeel_testbed::{Exporter, Moto, Process, Prometheus, Proxy, moto, prometheus, wait_until};
use serde_json::Value;

/// The request that changes a group.
pub(crate) const SET: &str = "Action=SetDesiredCapacity";

/// Longest wait for something that takes a few evaluations of 1 s.
///
/// Why 60 s: Prometheus looks at a new target up to 5 s late, and two builds may
/// share the machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The parts, in the order in which they must end.
pub(crate) struct Rig {
    /// The daemon; `None` while it is stopped.
    pub(crate) daemon: Option<Process>,
    /// Between the daemon and AWS.
    pub(crate) proxy: Proxy,
    /// What the service exports.
    pub(crate) exporter: Arc<Exporter>,
    /// What scrapes it.
    pub(crate) prometheus: Prometheus,
    /// The group in AWS.
    pub(crate) group: String,
    moto: &'static Moto,
    stage: Stage,
    folder: tempfile::TempDir,
}

/// What differs between tests.
pub(crate) struct Stage {
    /// Samples from before the start, as OpenMetrics.
    pub(crate) history: String,
    /// How much of them the daemon reads.
    pub(crate) history_span: &'static str,
    /// Further fields of the target, one per line, indented by two.
    pub(crate) target: &'static str,
    /// Further fields of the policy, likewise.
    pub(crate) policy: &'static str,
    /// Load that one unit carries.
    pub(crate) value_per_unit: f64,
    /// Most units.
    pub(crate) units_max: u32,
}

impl Default for Stage {
    fn default() -> Stage {
        Stage {
            history: String::new(),
            history_span: "1d",
            target: "",
            policy: "",
            value_per_unit: 10.0,
            units_max: 12,
        }
    }
}

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

impl Rig {
    /// Starts everything, with the group at `desired` and the daemon at work.
    pub(crate) fn start(group: &str, desired: u32, load: f64) -> Rig {
        Rig::start_on(Stage::default(), group, desired, load)
    }

    /// As [`Rig::start`], on another stage.
    pub(crate) fn start_on(stage: Stage, group: &str, desired: u32, load: f64) -> Rig {
        let exporter = Arc::new(Exporter::start());
        exporter.set("load", &[("service", group)], load);
        let prometheus = prometheus::Options::new()
            .backfill_openmetrics(&stage.history)
            .scrape(&exporter)
            .start();
        let moto = Moto::shared();
        moto.create_auto_scaling_group(group, 1, 20, desired);
        let proxy = Proxy::start(moto.url());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut rig = Rig {
            daemon: None,
            proxy,
            exporter,
            prometheus,
            group: group.to_owned(),
            moto,
            stage,
            folder,
        };
        rig.write_documents("");
        rig.write_config();
        wait_until(SOON, "Prometheus has scraped the load", || {
            rig.prometheus.query_number("sum(load)").is_some()
        });
        rig.start_daemon();
        rig
    }

    /// Writes the documents; `more` is appended as it stands.
    pub(crate) fn write_documents(&self, more: &str) {
        let group = &self.group;
        let Stage { target, policy, value_per_unit, units_max, .. } = &self.stage;
        let text = format!(
            "apiVersion: evenkeel/v1
kind: Target
metadata: {{ name: {group}, labels: {{ tier: web }} }}
spec:
  region: eu-central-1
  provider: {{ aws_auto_scaling_group: {{ group: {group} }} }}
  capacity: {{ min: 1, max: {units_max} }}
{target}---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: {{ name: web }}
spec:
  selector: {{ match_labels: {{ tier: web }} }}
  autonomy: auto
  target_label: service
  signals:
    - {{ name: load, query: 'sum by (service) (load)', max_age: 30s, value_per_unit: {value_per_unit} }}
  headroom_ratio: 0
  scale_up: {{ step: {{ units: 20, ratio: 1.0 }} }}
  scale_down: {{ stabilization: 3s, cooldown: 1s, step: {{ units: 20, ratio: 1.0 }} }}
{policy}---
apiVersion: evenkeel/v1
kind: Guardrail
metadata: {{ name: everywhere }}
spec:
  selector: {{ everything: true }}
  blast_radius: {{ window: 1m, removed_ratio_max: 1.0 }}
{more}"
        );
        // Replaced, not rewritten: the daemon must never read a half.
        let next = self.path("documents/next");
        std::fs::create_dir_all(self.path("documents")).expect("a folder");
        std::fs::write(&next, text).expect("a file");
        std::fs::rename(next, self.path("documents/documents.yaml")).expect("a file");
    }

    fn write_config(&self) {
        let text = format!(
            "region: eu-central-1
documents: [{documents}]
store: {store}
break_glass_file: {glass}
evaluation_period: 1s
api: {{ socket: {socket} }}
prometheus: {{ url: '{prometheus}', query_timeout: 3s, history: {history} }}
aws: {{ region: {region}, endpoint_url: '{aws}' }}
log: {{ format: text }}
",
            documents = self.path("documents").display(),
            store = self.store().display(),
            glass = self.path("freeze").display(),
            socket = self.socket().display(),
            prometheus = self.prometheus.url(),
            history = self.stage.history_span,
            region = moto::REGION,
            aws = self.proxy.url(),
        );
        std::fs::write(self.path("evenkeeld.yaml"), text).expect("a file");
    }

    /// The daemon's program, ready to be started.
    pub(crate) fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_evenkeeld"))
            .arg("--config")
            .arg(self.path("evenkeeld.yaml"))
            .env("AWS_ACCESS_KEY_ID", moto::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", moto::SECRET_KEY)
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Starts the daemon and waits until it has evaluated once.
    pub(crate) fn start_daemon(&mut self) {
        self.daemon = Some(Process::start(&self.program()));
        wait_until(SOON, "the daemon has evaluated once", || {
            self.target()["evaluated_at"].is_string()
        });
    }

    /// Kills the daemon at once, as a power cut would.
    pub(crate) fn kill_daemon(&mut self) {
        self.daemon.take().expect("a running daemon").kill();
    }

    /// Asks the daemon to stop and waits until it has.
    pub(crate) fn stop_daemon(&mut self) -> i32 {
        let mut daemon = self.daemon.take().expect("a running daemon");
        daemon.signal(evenkeel_testbed::process::Signal::TERM);
        daemon.wait_exit(SOON).code().unwrap_or(-1)
    }

    /// Sets the load that the service exports.
    pub(crate) fn set_load(&self, load: f64) {
        self.exporter.set("load", &[("service", &self.group)], load);
    }

    /// The group's desired capacity in AWS.
    pub(crate) fn capacity(&self) -> u32 {
        self.moto.desired_capacity(&self.group)
    }

    /// Changes the group behind Evenkeel's back.
    pub(crate) fn change_outside(&self, desired: u32) {
        self.moto.set_desired_capacity(&self.group, desired);
    }

    /// Waits until the group has this capacity.
    #[track_caller]
    pub(crate) fn wait_capacity(&self, expected: u32) {
        wait_until(SOON, &format!("the group has {expected} units"), || {
            self.capacity() == expected
        });
    }

    /// Waits until `n` further evaluations have ended.
    #[track_caller]
    pub(crate) fn wait_evaluations(&self, n: u64) {
        let wanted = self.n_evaluations() + n;
        wait_until(SOON, "further evaluations", || wanted <= self.n_evaluations());
    }

    fn n_evaluations(&self) -> u64 {
        let metrics = self.get("/metrics");
        let counts = metrics.lines().filter_map(|line| {
            line.strip_prefix("evenkeel_evaluations_total{")?
                .rsplit(' ')
                .next()?
                .parse::<u64>()
                .ok()
        });
        counts.sum()
    }

    /// A GET over the daemon's socket; empty while it is not reachable.
    pub(crate) fn get(&self, path: &str) -> String {
        let Ok(stream) = std::os::unix::net::UnixStream::connect(self.socket()) else {
            return String::new();
        };
        evenkeel_testbed::http::send_over(stream, "GET", "localhost", path, &[], b"")
            .map_or_else(|_| String::new(), |it| it.text())
    }

    /// How often AWS was asked to set this group to `desired`.
    pub(crate) fn n_set(&self, desired: u32) -> usize {
        let asked = self.proxy.requests_matching(SET);
        let wanted = format!("DesiredCapacity={desired}");
        asked.iter().filter(|it| it.body.split('&').any(|field| field == wanted)).count()
    }

    /// The target's part of `evenkeel status --output json`; null while not reachable.
    pub(crate) fn target(&self) -> Value {
        let said = self.evenkeel(&["status", &self.group, "--output", "json"]);
        let report: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        report["targets"][0].clone()
    }

    /// Runs `evenkeel` against this daemon.
    pub(crate) fn evenkeel(&self, arguments: &[&str]) -> Said {
        let program = Program::of_workspace("evenkeel")
            .args(arguments)
            .env("EVENKEEL_SOCKET", self.socket())
            .env("NO_COLOR", "1");
        let output = program.command().output().expect("evenkeel runs");
        Said {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// As [`Rig::evenkeel`], which must succeed.
    #[track_caller]
    pub(crate) fn enforced(&self, arguments: &[&str]) -> Said {
        let said = self.evenkeel(arguments);
        assert_eq!(said.status, 0, "{arguments:?}: {said:?}");
        said
    }

    /// The kinds of all records so far, oldest first.
    pub(crate) fn record_kinds(&self) -> Vec<String> {
        let said = self.enforced(&["audit", "export"]);
        said.stdout
            .lines()
            .map(|it| serde_json::from_str::<Value>(it).expect("a record"))
            .map(|it| it["kind"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("evenkeel.sock")
    }

    /// The daemon's journal.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("evenkeel.db")
    }

    /// A path in the daemon's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(name)
    }
}
