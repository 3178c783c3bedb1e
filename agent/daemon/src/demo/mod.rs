//! `evenkeeld --demo`: the whole daemon on a made-up region, sixty times as fast.
//!
//! **In:** nothing but a folder for temporary files.
//! **Out:** a running daemon, decisions as they fall in the terminal, and the
//! line that freezes it from another one. Afterwards nothing is left.
//! **Not here:** the region and its documents (`evenkeel-sim`, in
//! `simulations/scenarios/demo.yaml`), the daemon ([`crate::daemon`]).

pub(crate) mod narration;
pub(crate) mod region_source;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use evenkeel_core::ids::Region as RegionName;
use evenkeel_providers::{ActuatorSettings, ProviderSettings};
use evenkeel_sim::Region;
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{self, DEMO, Scenario, ScenarioKind};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::api::ApiSettings;
use crate::clock::Clock;
use crate::daemon::{self, DaemonError, Setting};
use crate::event_loop::Narrator;
use crate::notify::NotifySettings;
use crate::source::MetricsSource;

use narration::Narration;
use region_source::RegionSource;

/// How much faster than real time the demo's clock runs.
const SCALE: f64 = 60.0;

/// The seed of the demo's region: every demo shows the same two hours.
const SEED: u64 = 1;

/// The API's socket in the demo's folder.
const SOCKET: &str = "evenkeel.sock";

/// The break-glass file in the demo's folder.
const BREAK_GLASS_FILE: &str = "freeze";

/// The demo could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No place for the journal and the socket.
    #[error("cannot make a temporary folder for the demo")]
    Folder(#[source] std::io::Error),
    /// A built-in value is wrong. A bug.
    #[error("the demo's own settings are wrong: {0}; this is a bug")]
    BuiltIn(String),
    /// The daemon itself.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

/// A region to run the daemon on, and how fast.
#[derive(Debug)]
pub struct Stage {
    /// For the journal, the documents, the socket (`evenkeel.sock`) and the
    /// break-glass file (`freeze`). Must exist.
    pub folder: PathBuf,
    /// What the daemon reads as its only document file.
    pub documents: String,
    /// The region; the daemon sets its capacities.
    pub region: Arc<Mutex<Region>>,
    /// What the clock reads at the start.
    pub start: Timestamp,
    /// How much faster than real time the clock runs.
    pub scale: f64,
    /// From one look at everything to the next, on that clock.
    pub evaluation_period: SignedDuration,
}

/// Runs the demo until `stop` says so.
///
/// # Errors
///
/// [`DemoError`].
pub async fn run(stop: watch::Receiver<bool>) -> Result<(), DemoError> {
    let folder =
        tempfile::Builder::new().prefix("evenkeel-demo-").tempdir().map_err(DemoError::Folder)?;
    let scenario = scenario().map_err(DemoError::BuiltIn)?;
    let region = Region::from_scenario(&scenario, SEED, scenario.starts_at)
        .map_err(|error| DemoError::BuiltIn(error.to_string()))?;
    let (_, documents) = scenario::parts(DEMO);
    let stage = Stage {
        folder: folder.path().to_owned(),
        documents: documents.to_owned(),
        region: Arc::new(Mutex::new(region)),
        start: scenario.starts_at,
        scale: SCALE,
        evaluation_period: SignedDuration::from_secs(scenario.evaluation_period),
    };
    let narration = Narration::new(
        Arc::clone(&stage.region),
        folder.path().join(SOCKET),
        folder.path().join(BREAK_GLASS_FILE),
    );
    narration.greet();
    let ended = run_on(stage, Some(narration.narrator()), stop).await;
    if ended.is_ok() {
        narration.farewell();
    }
    // The folder goes with its guard; said aloud when it cannot.
    let left: PathBuf = folder.path().to_owned();
    if let Err(error) = folder.close() {
        // Standard error is a terminal here; nothing else can be told if it is gone.
        let _ = writeln!(std::io::stderr(), "could not remove {}: {error}", left.display());
    }
    ended
}

/// The demo's scenario, as the simulator reads it.
fn scenario() -> Result<RegionScenario, String> {
    let scenario = Scenario::parse("demo.yaml", DEMO).map_err(|error| error.to_string())?;
    match scenario.kind {
        ScenarioKind::Region(region) => Ok(*region),
        ScenarioKind::Capacity(_) => Err("the scenario is no region".to_owned()),
    }
}

/// Runs the daemon on a stage without a word, for benchmarks and tests.
///
/// # Errors
///
/// [`DemoError`].
pub async fn run_quietly(stage: Stage, stop: watch::Receiver<bool>) -> Result<(), DemoError> {
    run_on(stage, None, stop).await
}

async fn run_on(
    stage: Stage,
    narrator: Option<Narrator>,
    stop: watch::Receiver<bool>,
) -> Result<(), DemoError> {
    let Stage { folder, documents, region, start, scale, evaluation_period } = stage;
    let path = |name: &str| folder.join(name);
    let documents_file = path("documents.yaml");
    std::fs::write(&documents_file, documents).map_err(DemoError::Folder)?;
    let region_name =
        RegionName::new("demo").map_err(|error| DemoError::BuiltIn(error.to_string()))?;
    let setting = Setting {
        notifications: NotifySettings::nobody(region_name.clone()),
        heartbeat: None,
        region: region_name,
        documents: vec![documents_file],
        store: path("evenkeel.db"),
        signing_key: path("signing.key"),
        break_glass_file: path(BREAK_GLASS_FILE),
        evaluation_period,
        retention: None,
        refit_threads: 1,
        api: ApiSettings { socket: path(SOCKET), socket_group: None, tls: None },
        providers: ProviderSettings {
            simulated: Some(Arc::clone(&region)),
            ..ProviderSettings::default()
        },
        actuators: ActuatorSettings {
            region: Some(Arc::clone(&region)),
            ..ActuatorSettings::default()
        },
        drift_checks: BTreeMap::new(),
        focus_folder: None,
        source: MetricsSource::Region(RegionSource::new(region)),
        clock: Clock::scaled(start, scale),
        follows_wall_clock: false,
        narrator,
    };
    Ok(daemon::run(setting, stop).await?)
}
