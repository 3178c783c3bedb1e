//! How fast a person's freeze takes effect in a daemon at work on 10,000
//! targets, what that daemon keeps in memory, and how fast one starts from a
//! journal of 1,000,000 records.
//!
//! **In:** a temporary folder on the disk under test (`TMPDIR`).
//! **Out:** numbers on standard output, and exit status 1 when a limit of the
//! design is missed.
//! **Not here:** the core alone (`benches/pass.rs`), the store alone
//! (`cargo bench -p evenkeel-store`).
//!
//! Run with `cargo bench -p evenkeel-daemon --bench daemon`.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and has nobody to report to"
)]

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_core::record::Record;
use evenkeel_core::state::State;
use evenkeel_daemon::demo::{Stage, run_quietly};
use evenkeel_daemon::journal::Journal;
use evenkeel_sim::Region;
use evenkeel_sim::load::LoadCurve;
use evenkeel_sim::world::{RetrySpec, ServiceKind, ServiceSpec, UnitSpec, WorldSpec};
use evenkeel_store::{SigningKey, Store};
use evenkeel_testbed::{http, wait_until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The design's limits.
const FREEZE_MAX: Duration = Duration::from_millis(250);
const START_MAX: Duration = Duration::from_secs(2);

const N_TARGETS: usize = 10_000;
const N_FREEZES: usize = 200;
const N_RECORDS: usize = 1_000_000;

fn main() -> ExitCode {
    let is_frozen_in_time = freezes();
    let is_started_in_time = start();
    if is_frozen_in_time && is_started_in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Freezes everything again and again while 10,000 targets are evaluated, and
/// checks in the journal that nothing was planned during any freeze.
fn freezes() -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let start: Timestamp = "2026-03-02T06:00:00Z".parse().expect("a time");
    let region =
        Region::with(1, start, world(), Vec::new()).expect("the services are within their ranges");
    let stage = Stage {
        folder: folder.path().to_owned(),
        documents: documents(),
        region: Arc::new(Mutex::new(region)),
        start,
        scale: 1.0,
        // As often as the daemon allows: an evaluation is nearly always under way.
        evaluation_period: SignedDuration::from_secs(1),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (stop, stop_end) = tokio::sync::watch::channel(false);
    let daemon = runtime.spawn(run_quietly(stage, stop_end));
    let socket = folder.path().join("evenkeel.sock");
    wait_until(Duration::from_secs(300), "the daemon is ready", || {
        send(&socket, "GET", "/readyz", &Value::Null).is_some_and(|(status, _)| status == 200)
    });
    wait_until(Duration::from_secs(300), "effects are under way", || n_effects(&socket) > 1_000);

    let mut took = Vec::with_capacity(N_FREEZES);
    for n in 0..N_FREEZES {
        // At another point of the evaluation each time, without sleeping for luck: the
        // wait is for the metrics, which advance with it.
        let seen = n_evaluations(&socket);
        wait_until(Duration::from_secs(60), "evaluations go on", || {
            seen + 40 * (n % 200) < n_evaluations(&socket)
        });
        let body = json!({"kind": "freeze", "scope": "all", "for": "1h", "reason": "benchmark"});
        let started = Instant::now();
        let (status, answer) = send(&socket, "POST", "/v1/overrides", &body).expect("an answer");
        took.push(started.elapsed());
        assert_eq!((status, &answer["enforced"]), (200, &json!(true)), "{answer}");
        let body = json!({"id": answer["override"]["id"], "reason": "next"});
        let (status, answer) =
            send(&socket, "POST", "/v1/overrides/expire", &body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }
    let resident = resident_mib();
    stop.send_replace(true);
    runtime.block_on(daemon).expect("the daemon's task").expect("an orderly stop");
    let planned = planned_during_freezes(&folder.path().join("evenkeel.db"));
    took.sort();
    let (p50, p99) = (took[N_FREEZES / 2], took[N_FREEZES * 99 / 100]);
    println!("freeze of everything, {N_TARGETS} targets evaluated every second, {N_FREEZES} times");
    println!(
        "until enforced: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms (limit for p99: {} ms)",
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        took[N_FREEZES - 1].as_secs_f64() * 1e3,
        FREEZE_MAX.as_millis(),
    );
    println!("effects planned during a freeze: {planned}");
    println!(
        "resident memory of the whole process, the made-up region included: {resident:.0} MiB"
    );
    p99 <= FREEZE_MAX && planned == 0
}

/// Effects that the journal has between a freeze and its end.
fn planned_during_freezes(store: &Path) -> usize {
    let reader = evenkeel_store::Reader::open(store).expect("the journal");
    let mut is_frozen = false;
    let mut planned = 0;
    reader
        .scan(1, &mut |stored| {
            match stored.kind.as_str() {
                "override_accepted" => is_frozen = true,
                "override_ended" => is_frozen = false,
                "effect_planned" if is_frozen => planned += 1,
                _ => (),
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("a readable journal");
    planned
}

/// Starts from a journal of 1,000,000 records: open, verify the tail, rebuild.
fn start() -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("evenkeel.db");
    let now: Timestamp = "2026-03-02T06:00:00Z".parse().expect("a time");
    let open = || {
        let key = SigningKey::load_or_create(&folder.path().join("key")).expect("a key");
        Journal::new(Store::open(&path, "evenkeel/bench", key, now).expect("a store"), now, None)
    };
    let mut journal = open();
    let mut state = State::default();
    for first in (0..N_RECORDS).step_by(5_000) {
        let records: Vec<Record> = (first..first + 5_000)
            .map(|it| record(now, it))
            .inspect(|it| state.apply(it))
            .collect();
        journal.append(&records).expect("durable");
        if journal.wants_snapshot() {
            let state = Box::new(state.clone());
            journal.append(&[Record::Snapshot { at: now, state }]).expect("durable");
            journal.checkpoint(now).expect("signed");
        }
    }
    drop(journal);
    let started = Instant::now();
    let mut journal = open();
    let recovered = journal.recover().expect("a state");
    let took = started.elapsed();
    assert_eq!(recovered, state, "the state is what it was");
    println!(
        "start from {} records: {:.2} s (limit {} s)",
        journal.last_seq(),
        took.as_secs_f64(),
        START_MAX.as_secs()
    );
    took <= START_MAX
}

/// What an ordinary day leaves: effects on 10,000 targets, planned and done.
fn record(at: Timestamp, n: usize) -> Record {
    let target = evenkeel_core::ids::TargetId::new(&format!("service-{:05}", n / 2 % N_TARGETS))
        .expect("a name");
    let id = evenkeel_core::ids::EffectId(u64::try_from(n / 2).expect("small") + 1);
    if n.is_multiple_of(2) {
        Record::EffectPlanned {
            at,
            id,
            target,
            policy: None,
            desired: evenkeel_core::units::Capacity(12),
            expected: evenkeel_core::units::Capacity(10),
            term: evenkeel_core::ids::Term(1),
            why: "scaling 10 -> 12: `requests` is 550.0 and needs 12.0".to_owned(),
        }
    } else {
        let outcome = evenkeel_core::effect::EffectOutcome::Done;
        Record::EffectFinished { at, id, target, outcome, detail: "capacity set to 12".to_owned() }
    }
}

fn world() -> WorldSpec {
    WorldSpec {
        zones: ["a", "b", "c"].map(str::to_owned).to_vec(),
        services: services(),
        // As many as are asked for: the daemon is what is measured.
        launches_per_minute_max: 1e6,
        zone_units_max: 2_000_000,
        fail_open_ratio: 0.5,
    }
}

fn services() -> Vec<ServiceSpec> {
    (0..N_TARGETS)
        .map(|place| ServiceSpec {
            name: format!("service-{place:05}"),
            kind: ServiceKind::Web { queue_per_unit_max: 20.0, timeout_seconds: 2.0 },
            // Noisy on purpose: capacities must change for a freeze to have work.
            load: Some(LoadCurve {
                trough_rps: 250.0,
                peak_rps: 1_400.0,
                peak_hour: f64::from(u32::try_from(place % 24).expect("small")),
                weekend_ratio: 0.85,
                noise_ratio: 0.3,
            }),
            calls: Vec::new(),
            unit: UnitSpec { slots: 2, service_seconds: 0.04, cpu_ratio: 0.7 },
            units_start: 15,
            units_min: 2,
            units_max: 200,
            boot_median_seconds: 90.0,
            boot_sigma: 0.3,
            start_calls: 0.0,
            retries: RetrySpec { retries: 0, budget_ratio: None },
            objective_seconds: 0.3,
            objective_ratio: 0.99,
            unit_usd_per_hour: 0.17,
            is_scaled: true,
            is_critical: true,
        })
        .collect()
}

fn documents() -> String {
    let mut text = String::from(
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: { name: web }\nspec:\n  \
         selector: { match_labels: { tier: web } }\n  autonomy: auto\n  target_label: service\n  \
         signals:\n    - { name: requests, query: http_requests_per_second, value_per_unit: 36 }\n  \
         tolerance_ratio: 0\n  scale_up: { step: { units: 1, ratio: 0 } }\n  \
         scale_down: { stabilization: 2s, cooldown: 1s, step: { units: 1, ratio: 0 } }\n",
    );
    for place in 0..N_TARGETS {
        text.push_str(&format!(
            "---\napiVersion: evenkeel/v1\nkind: Target\n\
             metadata: {{ name: service-{place:05}, labels: {{ tier: web }} }}\nspec:\n  \
             region: demo\n  provider: {{ simulated: {{ service: service-{place:05} }} }}\n  \
             capacity: {{ min: 2, max: 200 }}\n",
        ));
    }
    text
}

fn send(socket: &Path, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let stream = UnixStream::connect(socket).ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("content-type", "application/json")];
    let answer =
        http::send_over(stream, method, "localhost", path, &headers, body.as_bytes()).ok()?;
    Some((answer.status, serde_json::from_str(&answer.text()).unwrap_or_default()))
}

fn metric(socket: &Path, name: &str) -> usize {
    let Ok(stream) = UnixStream::connect(socket) else { return 0 };
    let Ok(answer) = http::send_over(stream, "GET", "localhost", "/metrics", &[], b"") else {
        return 0;
    };
    let text = answer.text();
    let of_name = text.lines().filter(|it| it.starts_with(name));
    of_name.filter_map(|it| it.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

fn n_evaluations(socket: &Path) -> usize {
    metric(socket, "evenkeel_evaluations_total{")
}

fn n_effects(socket: &Path) -> usize {
    metric(socket, "evenkeel_effects_total{")
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}
