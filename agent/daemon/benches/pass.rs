#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "a benchmark prints, and its numbers are small"
)]
//! How long one evaluation pass takes, with and without forecasts, what the agent
//! keeps in memory, and what part of a core forecasts take.
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
use evenkeel_daemon::forecasters::{Feedback, Forecasters};
use evenkeel_daemon::histories::Histories;
use evenkeel_daemon::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};

/// The design's limit for one pass over 10,000 targets, 99th percentile.
const PASS_MAX: Duration = Duration::from_secs(1);

/// The design's limit for memory at 10,000 targets, in MiB.
const RESIDENT_MIB_MAX: f64 = 600.0;

/// Passes timed per size: an hour at a 15 s period.
const N_PASSES: usize = 240;

/// Targets handed to the agent at once, as the daemon does.
const BATCH_TARGETS: usize = 250;

/// The limit for 10,000 series at a 5 min cadence, in cores.
const CORES_MAX: f64 = 1.0;

/// Two weeks of 5 min: what the daemon reads at its start.
const PAST_SLOTS: i32 = 4_032;

/// Two days. A forecaster takes the same memory and the same time per value after
/// two days as after two weeks, which would take minutes to reckon for 10,000.
const SHORT_PAST_SLOTS: i32 = 576;

/// Series of the day that is timed, and how many that stands for.
const N_SERIES_TIMED: usize = 500;
const N_SERIES: usize = 10_000;

fn main() -> ExitCode {
    // `cargo test` runs benches too, with no time to spare.
    if std::env::args().any(|it| it == "--test") {
        return ExitCode::SUCCESS;
    }
    let row: Vec<usize> =
        std::env::args().skip_while(|it| it != ROW).filter_map(|it| it.parse().ok()).collect();
    if let [n_targets, is_forecast] = row[..] {
        return table_row(n_targets, is_forecast == 1);
    }
    let mut missed = day_of_forecasts();
    println!(
        "one pass over all targets, core, history and forecasts, one thread, {N_PASSES} passes"
    );
    println!(
        "targets  forecast  p50 ms  p99 ms  us/target  effects  resident MiB  forecasters MiB"
    );
    for (n_targets, is_forecast) in
        [(1_000, false), (3_000, false), (10_000, false), (1_000, true), (10_000, true)]
    {
        // A process of its own: memory that an earlier row freed would count as resident.
        let program = std::env::current_exe().expect("this program");
        let arguments = [n_targets.to_string(), u32::from(is_forecast).to_string()];
        let ended = std::process::Command::new(program).arg(ROW).args(arguments).status();
        missed |= !ended.expect("the row").success();
    }
    println!(
        "limits at 10,000: p99 <= {} ms, resident <= {RESIDENT_MIB_MAX} MiB",
        PASS_MAX.as_millis()
    );
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Asks this program for one row of the table: how many targets, and 1 with forecasts.
const ROW: &str = "--row";

fn table_row(n_targets: usize, is_forecast: bool) -> ExitCode {
    let measured = measure(n_targets, is_forecast);
    let Measured { p50, p99, n_effects, resident_mib, forecasters_mib } = measured;
    let per_target = p50.as_secs_f64() * 1e6 / n_targets as f64;
    println!(
        "{n_targets:>7}  {:>8}  {:>6.1}  {:>6.1}  {per_target:>9.2}  {n_effects:>7}  {resident_mib:>12.0}  {forecasters_mib:>15.0}",
        if is_forecast { "yes" } else { "no" },
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
    );
    let is_missed = n_targets == 10_000 && (PASS_MAX < p99 || RESIDENT_MIB_MAX < resident_mib);
    if is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// One day of forecasts at a 5 min cadence, refits included; true when it takes
/// more than its share of a core.
fn day_of_forecasts() -> bool {
    let start: Timestamp = "2026-03-02T06:00:00Z".parse().expect("a time");
    let signal = SignalName::new("requests").expect("a name");
    let documents = documents(N_SERIES_TIMED, true);
    let forecasters = Forecasters::new(Feedback::default(), Arc::new(Metrics::new("bench")));
    forecasters.open();
    let started = Instant::now();
    read_past(&forecasters, &documents, start, &signal, PAST_SLOTS);
    let past = started.elapsed();
    let ids: Vec<TargetId> = documents.targets().map(|it| it.id.clone()).collect();
    let (mut updates, mut refits, mut n_refits) = (Duration::ZERO, Duration::ZERO, 0);
    for step in 1..=288i32 {
        let now = start + SignedDuration::from_mins(5) * step;
        let started = Instant::now();
        for (place, id) in ids.iter().enumerate() {
            let mut readings = [reading(now, &signal, place)];
            forecasters.take_in(now, &documents, id, &mut readings);
        }
        updates += started.elapsed();
        let started = Instant::now();
        n_refits += forecasters.refit_all();
        refits += started.elapsed();
    }
    let scale = N_SERIES as f64 / N_SERIES_TIMED as f64 / 86_400.0;
    let cores = (updates + refits).as_secs_f64() * scale;
    let n_updates = 288 * N_SERIES_TIMED;
    println!("a day of {N_SERIES_TIMED} series at a 5 min cadence, one thread");
    println!(
        "two weeks of the past {:.1} ms per series; value and outlook {:.1} us; refit {:.2} ms, {:.1} per series",
        past.as_secs_f64() * 1e3 / N_SERIES_TIMED as f64,
        updates.as_secs_f64() * 1e6 / n_updates as f64,
        refits.as_secs_f64() * 1e3 / n_refits.max(1) as f64,
        n_refits as f64 / N_SERIES_TIMED as f64,
    );
    println!("{N_SERIES} series take {cores:.3} cores (limit {CORES_MAX})\n");
    CORES_MAX < cores
}

fn read_past(
    forecasters: &Forecasters,
    documents: &Documents,
    start: Timestamp,
    signal: &SignalName,
    n_slots: i32,
) {
    let policy = documents.policies().next().expect("the one policy");
    forecasters.follow(documents);
    forecasters.begin_past(documents, policy, signal);
    for (place, target) in documents.targets().enumerate() {
        let points = (1..=n_slots).rev().map(|slot| {
            let at = start - SignedDuration::from_mins(5) * slot;
            (at, load_at(at, place))
        });
        forecasters.backfill(documents, &target.id, signal, &points.collect::<Vec<_>>(), start);
    }
    forecasters.end_past(documents, policy, signal);
}

struct Measured {
    p50: Duration,
    p99: Duration,
    n_effects: usize,
    resident_mib: f64,
    forecasters_mib: f64,
}

/// What is looked at, and what remembers it.
struct World {
    documents: Arc<Documents>,
    histories: Histories,
    forecasters: Forecasters,
    signal: SignalName,
}

fn measure(n_targets: usize, is_forecast: bool) -> Measured {
    let documents = Arc::new(documents(n_targets, is_forecast));
    let histories = Histories::default();
    let metrics = Arc::new(Metrics::new("bench"));
    let forecasters = Forecasters::new(Feedback::default(), Arc::clone(&metrics));
    forecasters.open();
    let start: Timestamp = "2026-03-02T06:00:00Z".parse().expect("a time");
    let signal = SignalName::new("requests").expect("a name");
    let policy = documents.policies().next().expect("the one policy");
    for (place, target) in documents.targets().enumerate() {
        for slot in 1..=PAST_SLOTS {
            let at = start - SignedDuration::from_mins(5) * slot;
            histories.backfill(start, policy, &target.id, &signal, at, load_at(at, place));
        }
    }
    forecasters.follow(&documents);
    if is_forecast {
        read_past(&forecasters, &documents, start, &signal, SHORT_PAST_SLOTS);
    }
    let world = World { documents, histories, forecasters, signal };
    let mut agent = Agent::new(State::default());
    let mut capacities = vec![Capacity(10); n_targets];
    drop_records(agent.handle(start, Input::Started { version: "bench".to_owned() }));
    drop_records(agent.handle(start, Input::DocumentsLoaded(Arc::clone(&world.documents))));
    let ids: Vec<TargetId> = world.documents.targets().map(|it| it.id.clone()).collect();
    let mut passes = Vec::with_capacity(N_PASSES);
    let mut n_effects = 0;
    for pass in 0..N_PASSES {
        let now = start + SignedDuration::from_secs(15) * i32::try_from(pass).expect("small");
        let mut done: Vec<EffectId> = Vec::new();
        let started = Instant::now();
        for (batch, ids) in ids.chunks(BATCH_TARGETS).enumerate() {
            let observations = ids.iter().enumerate().map(|(place, id)| {
                let place = batch * BATCH_TARGETS + place;
                observe(now, &world, id, place, capacities[place])
            });
            let outcome = agent.handle(now, Input::Observed(observations.collect()));
            let committed = outcome.commit(|_| Ok::<(), std::convert::Infallible>(()));
            let Ok(committed) = committed;
            for effect in committed.effects {
                let Effect::SetCapacity(effect) = effect else { continue };
                let place = ids.binary_search(effect.target()).expect("an observed target");
                capacities[batch * BATCH_TARGETS + place] = effect.desired();
                done.push(effect.id());
            }
        }
        world.forecasters.publish();
        passes.push(started.elapsed());
        n_effects += done.len();
        for id in done {
            let (outcome, detail) = (EffectOutcome::Done, String::new());
            drop_records(agent.handle(now, Input::EffectFinished { id, outcome, detail }));
        }
        // In the daemon, on threads of their own.
        world.forecasters.refit_all();
    }
    passes.sort();
    Measured {
        p50: passes[N_PASSES / 2],
        p99: passes[N_PASSES * 99 / 100],
        n_effects,
        resident_mib: resident_mib(),
        forecasters_mib: forecast_bytes(&metrics) / 1024.0 / 1024.0,
    }
}

fn forecast_bytes(metrics: &Metrics) -> f64 {
    let text = metrics.text().expect("metrics as text");
    let line = text.lines().find_map(|it| it.strip_prefix("evenkeel_forecast_bytes "));
    line.and_then(|it| it.parse().ok()).unwrap_or(0.0)
}

fn observe(
    now: Timestamp,
    world: &World,
    id: &TargetId,
    place: usize,
    current: Capacity,
) -> TargetObservation {
    let mut signals = vec![reading(now, &world.signal, place)];
    world.histories.take_in(now, &world.documents, id, &mut signals);
    world.forecasters.take_in(now, &world.documents, id, &mut signals);
    let capacity = Ok(CapacityReading { current, ready: Some(current), read_at: now });
    TargetObservation { target: id.clone(), capacity, signals }
}

fn reading(now: Timestamp, signal: &SignalName, place: usize) -> SignalReading {
    SignalReading {
        signal: signal.clone(),
        reading: Reading::Value { value: load_at(now, place), sampled_at: now, doubt: None },
        usual_low: None,
        outlook: None,
    }
}

/// A daily curve with noise, shifted per target so that some always grow and some
/// shrink.
fn load_at(at: Timestamp, place: usize) -> f64 {
    let day = at.as_second() as f64 / 86_400.0 + place as f64 * 0.618;
    let noise = (at.as_second() as f64 * 12.9898 + place as f64 * 78.233).sin() * 43_758.545;
    400.0 + 300.0 * (day * std::f64::consts::TAU).sin() + 20.0 * (noise - noise.floor() - 0.5)
}

fn documents(n_targets: usize, is_forecast: bool) -> Documents {
    let mut text = String::from(
        "apiVersion: evenkeel/v1\nkind: ScalingPolicy\nmetadata: { name: web }\nspec:\n  \
         selector: { match_labels: { tier: web } }\n  autonomy: auto\n  target_label: service\n  \
         signals:\n    - { name: requests, query: 'sum by (service) (rate(http_requests_total[1m]))', value_per_unit: 50 }\n",
    );
    if is_forecast {
        text.push_str("  forecast: { shortfall: { time_ratio_max: 0.005 } }\n");
    }
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
