#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "a benchmark prints, and its numbers are small"
)]
//! How long one evaluation pass takes, and what the agent keeps in memory.
//!
//! **In:** nothing; it makes up regions of 1,000, 3,000 and 10,000 targets, each
//! with 14 days of 5 min history.
//! **Out:** a table on standard output, and exit status 1 when a limit of the
//! design is missed.
//! **Not here:** the network and the disk (`benches/daemon.rs`).
//!
//! Run with `cargo bench -p evenkeel-daemon --bench pass`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_core::agent::{Agent, Input};
use evenkeel_core::documents::{Documents, SourceText, load};
use evenkeel_core::effect::{Effect, EffectOutcome};
use evenkeel_core::ids::{EffectId, SignalName, TargetId};
use evenkeel_core::quality::{CapacityReading, Reading, SignalReading, TargetObservation};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use evenkeel_daemon::histories::Histories;
use jiff::{SignedDuration, Timestamp};

/// The design's limit for one pass over 10,000 targets, 99th percentile.
const PASS_MAX: Duration = Duration::from_secs(1);

/// The design's limit for memory at 10,000 targets, in MiB.
const RESIDENT_MIB_MAX: f64 = 600.0;

/// Passes timed per size: an hour at a 15 s period.
const N_PASSES: usize = 240;

/// Targets handed to the agent at once, as the daemon does.
const BATCH_TARGETS: usize = 250;

fn main() -> ExitCode {
    // `cargo test` runs benches too, with no time to spare.
    if std::env::args().any(|it| it == "--test") {
        return ExitCode::SUCCESS;
    }
    let mut missed = false;
    println!("one pass over all targets, core and history, one thread, {N_PASSES} passes");
    println!("targets  p50 ms  p99 ms  us/target  effects  resident MiB");
    for n_targets in [1_000, 3_000, 10_000] {
        let measured = measure(n_targets);
        let Measured { p50, p99, n_effects, resident_mib } = measured;
        let per_target = p50.as_secs_f64() * 1e6 / n_targets as f64;
        println!(
            "{n_targets:>7}  {:>6.1}  {:>6.1}  {per_target:>9.2}  {n_effects:>7}  {resident_mib:>12.0}",
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
        );
        if n_targets == 10_000 {
            missed |= PASS_MAX < p99 || RESIDENT_MIB_MAX < resident_mib;
        }
    }
    println!(
        "limits at 10,000: p99 <= {} ms, resident <= {RESIDENT_MIB_MAX} MiB",
        PASS_MAX.as_millis()
    );
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Measured {
    p50: Duration,
    p99: Duration,
    n_effects: usize,
    resident_mib: f64,
}

fn measure(n_targets: usize) -> Measured {
    let documents = Arc::new(documents(n_targets));
    let histories = Histories::default();
    let start: Timestamp = "2026-03-02T06:00:00Z".parse().expect("a time");
    let signal = SignalName::new("requests").expect("a name");
    for (place, target) in documents.targets().enumerate() {
        for slot in 1..=4_032i32 {
            let at = start - SignedDuration::from_mins(5) * slot;
            histories.backfill(start, &target.id, &signal, at, load_at(at, place));
        }
    }
    let mut agent = Agent::new(State::default());
    let mut capacities = vec![Capacity(10); n_targets];
    drop_records(agent.handle(start, Input::Started { version: "bench".to_owned() }));
    drop_records(agent.handle(start, Input::DocumentsLoaded(Arc::clone(&documents))));
    let ids: Vec<TargetId> = documents.targets().map(|it| it.id.clone()).collect();
    let mut passes = Vec::with_capacity(N_PASSES);
    let mut n_effects = 0;
    for pass in 0..N_PASSES {
        let now = start + SignedDuration::from_secs(15) * i32::try_from(pass).expect("small");
        let mut done: Vec<EffectId> = Vec::new();
        let started = Instant::now();
        for (batch, ids) in ids.chunks(BATCH_TARGETS).enumerate() {
            let observations = ids.iter().enumerate().map(|(place, id)| {
                let place = batch * BATCH_TARGETS + place;
                observe(now, &documents, &histories, id, &signal, place, capacities[place])
            });
            let outcome = agent.handle(now, Input::Observed(observations.collect()));
            let committed = outcome.commit(|_| Ok::<(), std::convert::Infallible>(()));
            let Ok(committed) = committed;
            for effect in committed.effects {
                let Effect::SetCapacity(effect) = effect;
                let place = ids.binary_search(effect.target()).expect("an observed target");
                capacities[batch * BATCH_TARGETS + place] = effect.desired();
                done.push(effect.id());
            }
        }
        passes.push(started.elapsed());
        n_effects += done.len();
        for id in done {
            let (outcome, detail) = (EffectOutcome::Done, String::new());
            drop_records(agent.handle(now, Input::EffectFinished { id, outcome, detail }));
        }
    }
    passes.sort();
    Measured {
        p50: passes[N_PASSES / 2],
        p99: passes[N_PASSES * 99 / 100],
        n_effects,
        resident_mib: resident_mib(),
    }
}

fn observe(
    now: Timestamp,
    documents: &Documents,
    histories: &Histories,
    id: &TargetId,
    signal: &SignalName,
    place: usize,
    current: Capacity,
) -> TargetObservation {
    let mut signals = vec![SignalReading {
        signal: signal.clone(),
        reading: Reading::Value { value: load_at(now, place), sampled_at: now, doubt: None },
        usual_low: None,
    }];
    histories.take_in(now, documents, id, &mut signals);
    let capacity = Ok(CapacityReading { current, ready: Some(current), read_at: now });
    TargetObservation { target: id.clone(), capacity, signals }
}

/// A daily curve, shifted per target so that some always grow and some shrink.
fn load_at(at: Timestamp, place: usize) -> f64 {
    let day = at.as_second() as f64 / 86_400.0 + place as f64 * 0.618;
    400.0 + 300.0 * (day * std::f64::consts::TAU).sin()
}

fn documents(n_targets: usize) -> Documents {
    let mut text = String::from(
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: { name: web }\nspec:\n  \
         selector: { match_labels: { tier: web } }\n  autonomy: auto\n  target_label: service\n  \
         signals:\n    - { name: requests, query: 'sum by (service) (rate(http_requests_total[1m]))', value_per_unit: 50 }\n",
    );
    for place in 0..n_targets {
        text.push_str(&format!(
            "---\napiVersion: evenkeel/v1\nkind: Target\n\
             metadata: {{ name: service-{place:05}, labels: {{ tier: web }} }}\nspec:\n  region: demo\n  \
             provider: {{ simulated: {{ service: service-{place:05} }} }}\n  capacity: {{ min: 2, max: 40 }}\n",
        ));
    }
    let loaded = load(&[SourceText { file: "bench.yaml", text: &text }]);
    loaded.documents.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn drop_records(outcome: evenkeel_core::agent::Outcome) {
    let Ok(_) = outcome.commit(|_| Ok::<(), std::convert::Infallible>(()));
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}
