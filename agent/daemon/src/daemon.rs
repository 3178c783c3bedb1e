//! Puts the parts together, starts them in order, and stops them in order.
//!
//! **In:** what differs between the daemon and the demo ([`Setting`]).
//! **Out:** a running agent; its end, with the reason.
//! **Not here:** what the parts do.
//!
//! ```text
//!  Prometheus ─► Observer ─batches─► EventLoop ─effects─► Executor ─► providers
//!             ─► BudgetReader ─inputs─► │
//!  files ─► Watcher ─────inputs────►   │  ▲  ◄────reports────┘
//!  people ─► API ─messages─► Mailbox ──┘  └── Journal (fsync before effects)
//!                      Executor ─steps, looks─► actuators      DriftWatch ─► actuators
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::agent::{Agent, Input};
use evenkeel_core::documents::{Documents, Schedule};
use evenkeel_core::ids::{AllowedName, Region};
use evenkeel_core::notice::{NOTICES_MAX, Notice};
use evenkeel_forecast::anomalies::AnomalyScores;
use evenkeel_providers::{ActuatorSettings, Actuators, ProviderSettings, Providers};
use evenkeel_store::{SigningKey, Store};
use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, watch};
use tracing::info;

use crate::api::{self, ApiSettings, ApiState, Readiness, ReloadWanted};
use crate::break_glass;
use crate::budgets::BudgetReader;
use crate::budgets::bills::BillWatch;
use crate::budgets::keeper::{self as budget_keeper, BudgetKeeper};
use crate::clock::Clock;
use crate::config::HeartbeatConfig;
use crate::documents_files::{self, AtStart, Watcher};
use crate::drift::DriftWatch;
use crate::event_loop::{EventLoop, Inlets, Narrator, RunsWatch};
use crate::executor::{Executor, Limits};
use crate::forecasters::{self, Feedback, Forecasters, Keeper, RefitThreads};
use crate::histories::Histories;
use crate::journal::{Journal, JournalError};
use crate::last_good;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::notify::{Heartbeat, HttpError, Notifier, NotifySettings};
use crate::observer::{BATCHES_WAITING_MAX, Observer};
use crate::source::MetricsSource;

/// This daemon's version, for the journal and for `status`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reports of effects and other inputs that may wait for the loop; whoever
/// sends more waits.
const INPUTS_WAITING_MAX: usize = 1_024;

/// Requests to read the documents that may wait.
const RELOADS_WAITING_MAX: usize = 4;

/// Everything that differs between the daemon and the demo.
pub(crate) struct Setting {
    pub(crate) region: Region,
    pub(crate) documents: Vec<PathBuf>,
    pub(crate) store: PathBuf,
    pub(crate) signing_key: PathBuf,
    pub(crate) break_glass_file: PathBuf,
    pub(crate) evaluation_period: SignedDuration,
    pub(crate) retention: Option<SignedDuration>,
    pub(crate) refit_threads: usize,
    pub(crate) api: ApiSettings,
    pub(crate) providers: ProviderSettings,
    pub(crate) actuators: ActuatorSettings,
    /// When to look for drift, by Terraform workspace.
    pub(crate) drift_checks: BTreeMap<AllowedName, Schedule>,
    /// Where bills are put.
    pub(crate) focus_folder: Option<PathBuf>,
    pub(crate) notifications: NotifySettings,
    pub(crate) heartbeat: Option<HeartbeatConfig>,
    pub(crate) source: MetricsSource,
    pub(crate) clock: Clock,
    pub(crate) follows_wall_clock: bool,
    pub(crate) narrator: Option<Narrator>,
}

/// The daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The documents have faults and no others are in force.
    #[error("the documents cannot be used:\n  {}", faults.join("\n  "))]
    Documents { faults: Vec<String> },
    /// The signing key cannot be used.
    #[error("cannot use the signing key")]
    Key(#[source] evenkeel_store::KeyError),
    /// The store cannot be opened.
    #[error("cannot open the journal")]
    Open(#[source] evenkeel_store::StoreError),
    /// The journal cannot be read or written.
    #[error("the journal failed; the agent stops rather than act without a record")]
    Journal(#[source] JournalError),
    /// A provider's settings cannot be used.
    #[error("cannot prepare the providers")]
    Providers(#[source] evenkeel_providers::SettingsError),
    /// An actuator's settings, or what is allowed by name, cannot be used.
    #[error("cannot prepare the actuators")]
    Actuators(#[source] evenkeel_providers::SettingsError),
    /// Notices or the heartbeat cannot be sent at all.
    #[error("cannot prepare notifications")]
    Notifications(#[source] HttpError),
    /// The API cannot listen.
    #[error("cannot serve the API")]
    Api(#[source] api::ApiError),
    /// The operating system refused a thread or a signal.
    #[error("cannot start")]
    Start(#[source] std::io::Error),
    /// A bug.
    #[error("the API ended without a reason; this is a bug")]
    ApiLost,
    /// A bug.
    #[error("the agent's loop ended without a reason; this is a bug")]
    LoopLost,
}

impl DaemonError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            DaemonError::Documents { .. } => {
                Some("mend the files; `evenkeel check PATH…` shows each place".to_owned())
            }
            DaemonError::Key(error) => error.hint(),
            DaemonError::Open(error) => error.hint(),
            DaemonError::Journal(error) => error.hint(),
            DaemonError::Api(error) => Some(error.hint().to_owned()),
            DaemonError::Actuators(_) => Some("mend `actuators` in the configuration".to_owned()),
            DaemonError::Providers(_)
            | DaemonError::Notifications(_)
            | DaemonError::Start(_)
            | DaemonError::ApiLost
            | DaemonError::LoopLost => None,
        }
    }
}

/// Runs until `stop` says so (or something fails), then stops in order: no new
/// observations, no new requests, effects ended, a last checkpoint.
pub(crate) async fn run(
    setting: Setting,
    mut stop: watch::Receiver<bool>,
) -> Result<(), DaemonError> {
    let clock = setting.clock.clone();
    // Before anything is recorded: a daemon that nobody can reach must not act.
    let bound = api::bind(setting.api).await.map_err(DaemonError::Api)?;
    let key = SigningKey::load_or_create(&setting.signing_key).map_err(DaemonError::Key)?;
    let origin = format!("evenkeel/{}", setting.region);
    let verifying_key = key.verifying_key(&origin);
    let store =
        Store::open(&setting.store, &origin, key, clock.now()).map_err(DaemonError::Open)?;
    // After the store's lock: a second daemon must not touch the first one's copy.
    let last_good_place = last_good::place(&setting.store);
    let AtStart { documents, faults } =
        documents_files::read_at_start(&setting.documents, &setting.region, &last_good_place)
            .map_err(|faults| DaemonError::Documents { faults })?;
    let documents = Arc::new(documents);
    let mut journal = Journal::new(store, clock.now(), setting.retention);
    let agent = Agent::new(journal.recover().map_err(DaemonError::Journal)?);

    let read_clock = clock.clone();
    let providers = Providers::new(&setting.providers, Arc::new(move || read_clock.now()))
        .await
        .map_err(DaemonError::Providers)?;
    let providers = Arc::new(providers);
    let read_clock = clock.clone();
    let actuators = Actuators::new(&setting.actuators, Arc::new(move || read_clock.now()))
        .await
        .map_err(DaemonError::Actuators)?;
    let actuators = Arc::new(actuators);
    let metrics = Arc::new(Metrics::new(VERSION));
    let (inputs, inputs_end) = mpsc::channel(INPUTS_WAITING_MAX);
    let (batches, batches_end) = mpsc::channel(BATCHES_WAITING_MAX);
    let (mailbox, messages) = Mailbox::new();
    let (documents_sender, documents_end) = watch::channel(Arc::clone(&documents));
    let (faults_sender, faults) = watch::channel(faults);
    let (reload, reload_end) = mpsc::channel(RELOADS_WAITING_MAX);
    let (first_pass, first_pass_end) = watch::channel(false);
    // Ends the loop; the API and the tasks end when the loop has.
    let (ending, ending_end) = watch::channel(false);
    let look_now = Arc::new(Notify::new());
    let feedback = Feedback::default();
    let forecasters = Forecasters::new(feedback.clone(), Arc::clone(&metrics));
    // They end with this function.
    let _refit_threads =
        RefitThreads::start(&forecasters, setting.refit_threads).map_err(DaemonError::Start)?;

    let ca_file = setting.notifications.ca_file.clone();
    let notifier =
        Notifier::new(setting.notifications, clock.clone(), inputs.clone(), Arc::clone(&metrics))
            .map_err(DaemonError::Notifications)?;
    let heartbeat = setting
        .heartbeat
        .map(|it| Heartbeat::new(it, ca_file.as_deref(), mailbox.clone()))
        .transpose()
        .map_err(DaemonError::Notifications)?;
    let executor = Executor::new(
        Arc::clone(&providers),
        Arc::clone(&actuators),
        Limits::of(&setting.actuators.allowed),
        setting.break_glass_file.clone(),
        clock.clone(),
        inputs.clone(),
    );
    let (notices, notices_end) = mpsc::channel(NOTICES_MAX);
    tokio::spawn(deliver(notices_end, notifier));
    let mut event_loop = EventLoop {
        runs: RunsWatch::starting_with(agent.state().healing()),
        agent,
        journal,
        clock: clock.clone(),
        executor,
        runtime: tokio::runtime::Handle::current(),
        metrics: Arc::clone(&metrics),
        feedback,
        notices,
        not_handed_over: Default::default(),
        look_now: Arc::clone(&look_now),
        narrator: setting.narrator,
    };
    // Before the first observation: who acts, what holds, and whether the glass is broken.
    let glass = break_glass::read(&setting.break_glass_file).await;
    let first_inputs = [
        Input::Started { version: VERSION.to_owned() },
        Input::DocumentsLoaded(Arc::clone(&documents)),
        Input::BreakGlassRead(glass.clone()),
    ];
    let budgets_place = budget_keeper::place(&setting.store);
    let recalled = budget_keeper::recall(&budgets_place);
    let recalled = recalled.map(|it| Input::BudgetsRecalled(Box::new(it)));
    for input in first_inputs.into_iter().chain(recalled) {
        event_loop.handle(input).map_err(DaemonError::Journal)?;
    }
    info!(
        region = %setting.region, term = event_loop.agent.state().term().0,
        targets = documents.targets().len(), version = VERSION, "evenkeeld started",
    );
    let inlets =
        Inlets { messages, inputs: inputs_end, observations: batches_end, stop: ending_end };
    let mut loop_ended = spawn_loop(event_loop, inlets)?;

    if let Some(heartbeat) = heartbeat {
        tokio::spawn(heartbeat.run());
    }
    let source = Arc::new(setting.source);
    let histories = Histories::default();
    let keeper = Keeper {
        place: forecasters::place(&setting.store),
        region: setting.region.clone(),
        clock: clock.clone(),
        forecasters: forecasters.clone(),
        mailbox: mailbox.clone(),
    };
    let past = Past {
        source: Arc::clone(&source),
        clock: clock.clone(),
        documents: documents_end.clone(),
        histories: histories.clone(),
        forecasters: forecasters.clone(),
        keeper: keeper.clone(),
        inputs: inputs.clone(),
    };
    let budget_keeper =
        BudgetKeeper { place: budgets_place, clock: clock.clone(), mailbox: mailbox.clone() };
    let keeping_budgets = tokio::spawn(budget_keeper.clone().run());
    let budget_reader = BudgetReader {
        clock: clock.clone(),
        documents: documents_end.clone(),
        source: Arc::clone(&source),
        mailbox: mailbox.clone(),
        inputs: inputs.clone(),
        metrics: Arc::clone(&metrics),
    };
    let reading_budgets = tokio::spawn(budget_reader.run());
    let watching_bills = setting.focus_folder.map(|folder| {
        let (clock, metrics, inputs) = (clock.clone(), Arc::clone(&metrics), inputs.clone());
        tokio::spawn(BillWatch { folder, clock, metrics, inputs }.run())
    });
    forecasters.follow(&documents);
    tokio::spawn(follow(documents_end.clone(), forecasters.clone()));
    tokio::spawn(past.read(ending.subscribe()));
    let keeping = tokio::spawn(keeper.clone().run());
    tokio::spawn(break_glass::watch(setting.break_glass_file, glass, inputs.clone()));
    let watcher = Watcher {
        paths: setting.documents,
        region: setting.region.clone(),
        last_good_place,
        inputs: inputs.clone(),
        documents: documents_sender,
        faults: faults_sender,
        reload: reload_end,
        metrics: Arc::clone(&metrics),
    };
    tokio::spawn(watcher.run());
    let drift = DriftWatch {
        checks: setting.drift_checks,
        actuators,
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        inputs: inputs.clone(),
    };
    let watching_drift = tokio::spawn(drift.run());
    let hangups = reload_on_hangup(reload.clone()).map_err(DaemonError::Start)?;
    tokio::spawn(hangups);
    let observer = Observer {
        clock,
        follows_wall_clock: setting.follows_wall_clock,
        period: setting.evaluation_period,
        documents: documents_end.clone(),
        source,
        providers,
        histories,
        forecasters: forecasters.clone(),
        batches,
        look_now: Arc::clone(&look_now),
        metrics: Arc::clone(&metrics),
        anomalies: AnomalyScores::default(),
        first_pass,
    };
    let observing = tokio::spawn(observer.run());
    let state = ApiState {
        mailbox,
        region: setting.region,
        version: VERSION,
        journal: setting.store,
        verifying_key,
        documents: documents_end,
        documents_faults: faults,
        reload,
        look_now,
        forecasters,
        metrics,
        readiness: readiness(first_pass_end),
    };
    let (api_stop, api_stop_end) = watch::channel(false);
    let mut serving = tokio::spawn(bound.serve(state, api_stop_end));

    let mut loop_result = None;
    let reason = tokio::select! {
        _ = stop.wait_for(|it| *it) => {
            info!("stopping");
            Ok(())
        }
        ended = &mut loop_ended => {
            loop_result = Some(ended.unwrap_or(Err(DaemonError::LoopLost)));
            Ok(())
        }
        // It ends by itself only through a bug.
        _ = &mut serving => Err(DaemonError::ApiLost),
    };
    observing.abort();
    keeping.abort();
    watching_drift.abort();
    keeping_budgets.abort();
    reading_budgets.abort();
    if let Some(watching_bills) = watching_bills {
        watching_bills.abort();
    }
    if loop_result.is_none() {
        // While the loop can still be asked for the shortfalls and the counts.
        keeper.keep().await;
        budget_keeper.keep().await;
    }
    ending.send_replace(true);
    let stopped = match loop_result {
        Some(result) => result,
        None => loop_ended.await.unwrap_or(Err(DaemonError::LoopLost)),
    };
    api_stop.send_replace(true);
    if !serving.is_finished() && tokio::time::timeout(API_STOP_TIMEOUT, &mut serving).await.is_err()
    {
        serving.abort();
    }
    reason.and(stopped)
}

/// How long after a backfill with gaps the past is read again. Why 10 min: it is
/// needed for judging drops, not for scaling, and a struggling backend wants rest.
const BACKFILL_AGAIN: Duration = Duration::from_secs(600);

/// How long requests under way may take once the loop has ended: they wait for
/// answers that are there or never come.
const API_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the loop on a thread and a small runtime of its own: it may wait for
/// the disk without keeping anyone else waiting.
fn spawn_loop(event_loop: EventLoop, inlets: Inlets) -> Result<LoopEnd, DaemonError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(DaemonError::Start)?;
    std::thread::Builder::new()
        .name("agent".to_owned())
        .spawn(move || {
            let ended = runtime.block_on(event_loop.run(inlets)).map_err(DaemonError::Journal);
            // Nobody may be listening during a failed start.
            let _ = sender.send(ended);
        })
        .map_err(DaemonError::Start)?;
    Ok(receiver)
}

type LoopEnd = tokio::sync::oneshot::Receiver<Result<(), DaemonError>>;

/// Reads the past at the start, and again when the documents have changed.
struct Past {
    source: Arc<MetricsSource>,
    clock: Clock,
    documents: watch::Receiver<Arc<Documents>>,
    histories: Histories,
    forecasters: Forecasters,
    keeper: Keeper,
    inputs: mpsc::Sender<Input>,
}

impl Past {
    async fn read(mut self, mut ending: watch::Receiver<bool>) {
        // First what was kept: it says which of the past is still wanted.
        self.keeper.recall(&self.inputs).await;
        loop {
            let current = Arc::clone(&self.documents.borrow_and_update());
            self.histories.retain(&current);
            let Past { source, clock, histories, forecasters, .. } = &self;
            let is_complete = tokio::select! {
                is_complete = source.backfill(clock, &current, histories, forecasters) => is_complete,
                _ = ending.wait_for(|it| *it) => return,
            };
            // A backend that was down at the start is asked again; what is there stays.
            let again = if is_complete { Duration::MAX } else { BACKFILL_AGAIN };
            tokio::select! {
                changed = self.documents.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(again) => (),
                _ = ending.wait_for(|it| *it) => return,
            }
        }
    }
}

/// Tells the forecasters of every new set of documents at once: the past of the old
/// set may still be being read.
async fn follow(mut documents: watch::Receiver<Arc<Documents>>, forecasters: Forecasters) {
    while documents.changed().await.is_ok() {
        let current = Arc::clone(&documents.borrow_and_update());
        forecasters.follow(&current);
    }
}

/// Hands notices from the loop's thread to the notifier, and says each in the log.
async fn deliver(mut notices: mpsc::Receiver<Notice>, notifier: Notifier) {
    let runtime = tokio::runtime::Handle::current();
    while let Some(notice) = notices.recv().await {
        let Notice { id, severity, topic, title, .. } = &notice;
        info!(notice_id = %id, %severity, topic = topic.name(), title, "notice");
        notifier.start(&runtime, notice);
    }
}

/// SIGHUP reads the documents again.
fn reload_on_hangup(
    reload: mpsc::Sender<ReloadWanted>,
) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            info!("SIGHUP: reading the documents");
            // The watcher says in the log how it went; nobody waits for an answer.
            let (reply, _) = tokio::sync::oneshot::channel();
            if reload.send(ReloadWanted { reply }).await.is_err() {
                return;
            }
        }
    })
}

/// What `/readyz` answers: the store is open and the documents are in force
/// before the API listens, so only the first pass can be missing.
fn readiness(mut first_pass: watch::Receiver<bool>) -> watch::Receiver<Readiness> {
    let with = |first_evaluation_done| Readiness {
        store_open: true,
        documents_loaded: true,
        first_evaluation_done,
    };
    let (sender, receiver) = watch::channel(with(false));
    tokio::spawn(async move {
        if first_pass.wait_for(|it| *it).await.is_ok() {
            sender.send_replace(with(true));
        }
        sender.closed().await;
    });
    receiver
}
