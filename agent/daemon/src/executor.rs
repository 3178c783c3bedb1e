//! Effects on their way to the providers.
//!
//! **In:** effects whose records are durable; people's words that withdraw some.
//! **Out:** one report per effect, always: done, rejected or unknown.
//! **Not here:** whether an effect is allowed (the core's guard), the platforms
//! (`evenkeel-providers`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::effect::{Effect, EffectOutcome, SetCapacity};
use evenkeel_core::ids::EffectId;
use evenkeel_providers::{EffectReport, Providers, SetCapacityRequest};
use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};

use crate::break_glass;

/// Effects that are under way at once.
///
/// Why 16: an API that throttles at some ten calls a second is not overrun, and
/// 10,000 targets that all change take minutes, which people can still stop.
const CONCURRENCY_MAX: usize = 16;

/// Longest that one effect may take before its outcome counts as unknown.
///
/// Why 30 s: providers give up after two calls of 5 s by themselves; this is
/// for one that does not.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where an effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Waiting for its turn: can still be withdrawn.
    Waiting,
    /// Withdrawn: will be reported as rejected, and never start.
    Withdrawn,
    /// On its way: cannot be called back.
    Started,
}

/// Carries out effects, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Executor {
    stages: Arc<Mutex<BTreeMap<EffectId, Stage>>>,
    turns: Arc<Semaphore>,
    providers: Arc<Providers>,
    break_glass_file: Option<PathBuf>,
    reports: mpsc::Sender<Input>,
}

impl Executor {
    /// An executor whose reports go to `reports`, as [`Input::EffectFinished`].
    pub(crate) fn new(
        providers: Arc<Providers>,
        break_glass_file: Option<PathBuf>,
        reports: mpsc::Sender<Input>,
    ) -> Executor {
        Executor {
            stages: Arc::default(),
            turns: Arc::new(Semaphore::new(CONCURRENCY_MAX)),
            providers,
            break_glass_file,
            reports,
        }
    }

    /// Begins an effect and returns at once. `provider` is where its target is set.
    /// Must be called within a tokio runtime.
    pub(crate) fn start(
        &self,
        runtime: &tokio::runtime::Handle,
        effect: Effect,
        provider: ProviderRef,
    ) {
        let Effect::SetCapacity(effect) = effect;
        self.lock().insert(effect.id(), Stage::Waiting);
        let executor = self.clone();
        runtime.spawn(async move {
            let report = executor.carry_out(&effect, provider).await;
            executor.lock().remove(&effect.id());
            log(&effect, &report);
            let EffectReport { outcome, detail } = report;
            let input = Input::EffectFinished { id: effect.id(), outcome, detail };
            if executor.reports.send(input).await.is_err() {
                // The loop has ended. The next start finds the effect in flight and
                // reads it back.
                warn!(effect_id = %effect.id(), "nobody is left to hear how an effect ended");
            }
        });
    }

    /// Withdraws those of `ids` that have not started, and says for each whether
    /// that was in time.
    pub(crate) fn withdraw(&self, ids: &[EffectId]) -> Vec<(EffectId, bool)> {
        let mut stages = self.lock();
        ids.iter()
            .map(|id| {
                let in_time = match stages.get_mut(id) {
                    Some(stage @ Stage::Waiting) => {
                        *stage = Stage::Withdrawn;
                        true
                    }
                    Some(Stage::Withdrawn) => true,
                    Some(Stage::Started) | None => false,
                };
                (*id, in_time)
            })
            .collect()
    }

    /// How many effects have not been reported.
    pub(crate) fn n_unfinished(&self) -> usize {
        self.lock().len()
    }

    async fn carry_out(&self, effect: &SetCapacity, provider: ProviderRef) -> EffectReport {
        let Ok(_turn) = self.turns.acquire().await else {
            return EffectReport::new(EffectOutcome::Rejected, "the daemon is stopping");
        };
        // The core has heard of the file by now or soon will; this is the last look,
        // and it works with the loop hanging.
        if let Some(file) = &self.break_glass_file
            && break_glass::read(file).await != BreakGlassReading::Absent
        {
            return EffectReport::new(EffectOutcome::Rejected, "the break-glass file is in force");
        }
        {
            let mut stages = self.lock();
            match stages.get_mut(&effect.id()) {
                Some(stage @ Stage::Waiting) => *stage = Stage::Started,
                Some(Stage::Withdrawn | Stage::Started) | None => {
                    return EffectReport::new(
                        EffectOutcome::Rejected,
                        "withdrawn before it started: a person said otherwise",
                    );
                }
            }
        }
        let request = SetCapacityRequest {
            effect_id: effect.id(),
            term: effect.term(),
            desired: effect.desired(),
            expected: effect.expected(),
            provider,
            target: effect.target().clone(),
        };
        match tokio::time::timeout(EFFECT_TIMEOUT, self.providers.set_capacity(&request)).await {
            Ok(report) => report,
            Err(_) => EffectReport::new(
                EffectOutcome::Unknown,
                &format!("no answer within {} s", EFFECT_TIMEOUT.as_secs()),
            ),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<EffectId, Stage>> {
        // A panic elsewhere leaves the map as it was between two statements: whole.
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(effect: &SetCapacity, report: &EffectReport) {
    let (id, target) = (effect.id(), effect.target());
    let (from, to) = (effect.expected(), effect.desired());
    let detail = report.detail.as_str();
    match report.outcome {
        EffectOutcome::Done => {
            info!(effect_id = %id, target_id = %target, %from, %to, detail, "effect done");
        }
        EffectOutcome::Rejected => {
            warn!(effect_id = %id, target_id = %target, %from, %to, detail, "effect rejected");
        }
        EffectOutcome::Unknown => {
            warn!(effect_id = %id, target_id = %target, %from, %to, detail, "effect unknown");
        }
    }
}
