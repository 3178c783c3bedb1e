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
use jiff::SignedDuration;
use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};

use crate::break_glass;
use crate::clock::Clock;

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

/// Oldest permit that is still acted on.
///
/// Why 60 s: four default evaluation periods. What waited longer for its turn was
/// decided on another world: a freeze window may have begun since, or the load gone.
const PERMIT_AGE_MAX: SignedDuration = SignedDuration::from_secs(60);

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
    break_glass_file: PathBuf,
    clock: Clock,
    reports: mpsc::Sender<Input>,
}

impl Executor {
    /// An executor whose reports go to `reports`, as [`Input::EffectFinished`].
    pub(crate) fn new(
        providers: Arc<Providers>,
        break_glass_file: PathBuf,
        clock: Clock,
        reports: mpsc::Sender<Input>,
    ) -> Executor {
        Executor {
            stages: Arc::default(),
            turns: Arc::new(Semaphore::new(CONCURRENCY_MAX)),
            providers,
            break_glass_file,
            clock,
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
            log(&effect, &report);
            let EffectReport { outcome, detail } = report;
            let input = Input::EffectFinished { id: effect.id(), outcome, detail };
            if executor.reports.send(input).await.is_err() {
                // The loop has ended. The next start finds the effect in flight and
                // reads it back.
                warn!(effect_id = %effect.id(), "nobody is left to hear how an effect ended");
            }
            // After the report: a stop waits for effects, and must not miss its report.
            executor.lock().remove(&effect.id());
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
        let age = self.clock.now().duration_since(effect.granted_at());
        if PERMIT_AGE_MAX < age {
            let detail = format!(
                "its permit is {} s old, at most {} s; the next evaluation decides anew",
                age.as_secs(),
                PERMIT_AGE_MAX.as_secs()
            );
            return EffectReport::new(EffectOutcome::Rejected, &detail);
        }
        // The core has heard of the file by now or soon will; this is the last look,
        // and it works with the loop hanging.
        if break_glass::read(&self.break_glass_file).await != BreakGlassReading::Absent {
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

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use evenkeel_core::agent::Agent;
    use evenkeel_core::documents::{SourceText, load};
    use evenkeel_core::ids::SignalName;
    use evenkeel_core::quality::{CapacityReading, Reading, SignalReading, TargetObservation};
    use evenkeel_core::state::State;
    use evenkeel_core::units::Capacity;
    use evenkeel_providers::{Provider, ProviderSettings, ReadError};
    use jiff::Timestamp;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const DOCUMENTS: &str = "
apiVersion: evenkeel/v1
kind: Target
metadata: { name: a, labels: { tier: web } }
spec: { region: r, provider: { simulated: { service: a } }, capacity: { min: 1, max: 9 } }
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: web }
spec:
  selector: { match_labels: { tier: web } }
  autonomy: auto
  target_label: service
  signals: [ { name: load, query: load, value_per_unit: 10 } ]
";

    /// Does whatever it is asked, and counts.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Provider for Counting {
        fn platform(&self) -> &'static str {
            "simulated"
        }

        async fn read(
            &self,
            references: &[&ProviderRef],
        ) -> Vec<Result<CapacityReading, ReadError>> {
            let current = Capacity(2);
            let read_at = Timestamp::UNIX_EPOCH;
            references
                .iter()
                .map(|_| Ok(CapacityReading { current, ready: None, read_at }))
                .collect()
        }

        async fn set_capacity(&self, _request: &SetCapacityRequest) -> EffectReport {
            self.0.fetch_add(1, Ordering::SeqCst);
            EffectReport::new(EffectOutcome::Done, "done")
        }
    }

    /// An effect that the core permitted at `now`, the only way there is to get one.
    fn effect_at(now: Timestamp) -> Effect {
        let loaded = load(&[SourceText { file: "test.yaml", text: DOCUMENTS }]);
        let mut agent = Agent::new(State::default());
        let mut effects = Vec::new();
        let signals = vec![SignalReading {
            signal: SignalName::new("load").unwrap(),
            reading: Reading::Value { value: 50.0, sampled_at: now, doubt: None },
            usual_low: None,
            outlook: None,
        }];
        let capacity = Ok(CapacityReading { current: Capacity(2), ready: None, read_at: now });
        let observation = TargetObservation { target: "a".parse().unwrap(), capacity, signals };
        for input in [
            Input::Started { version: "test".to_owned() },
            Input::DocumentsLoaded(Arc::new(loaded.documents.unwrap())),
            Input::Observed(vec![observation]),
        ] {
            let Ok(committed) = agent.handle(now, input).commit(|_| Ok::<(), Infallible>(()));
            effects.extend(committed.effects);
        }
        effects.remove(0)
    }

    async fn carried_out(age: SignedDuration, is_glass_broken: bool) -> (String, usize) {
        let folder = tempfile::tempdir().unwrap();
        let glass = folder.path().join("freeze");
        if is_glass_broken {
            std::fs::write(&glass, "").unwrap();
        }
        let start: Timestamp = "2026-03-02T06:00:00Z".parse().unwrap();
        let platform = Arc::new(Counting::default());
        let providers =
            Providers::of(vec![platform.clone()], &ProviderSettings::default()).unwrap();
        let (reports, mut reports_end) = mpsc::channel(1);
        let executor =
            Executor::new(Arc::new(providers), glass, Clock::starting_at(start + age), reports);
        let provider = ProviderRef::Simulated { service: "a".to_owned() };
        executor.start(&tokio::runtime::Handle::current(), effect_at(start), provider);
        let Some(Input::EffectFinished { outcome, detail, .. }) = reports_end.recv().await else {
            panic!("an effect always ends with a report");
        };
        (format!("{outcome}: {detail}"), platform.0.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_fresh_permit_is_carried_out_and_an_old_one_is_not() {
        let fresh = carried_out(SignedDuration::ZERO, false).await;
        assert_eq!(fresh, ("done: done".to_owned(), 1));
        let (report, n_set) = carried_out(SignedDuration::from_secs(90), false).await;
        assert!(report.starts_with("rejected: its permit is 90 s old, at most 60 s"), "{report}");
        assert_eq!(n_set, 0);
    }

    #[tokio::test]
    async fn the_last_look_at_the_break_glass_file_is_before_the_provider() {
        let (report, n_set) = carried_out(SignedDuration::ZERO, true).await;
        assert_eq!(report, "rejected: the break-glass file is in force");
        assert_eq!(n_set, 0);
    }
}
