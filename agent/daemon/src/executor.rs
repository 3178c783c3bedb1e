//! Effects on their way to the providers and actuators.
//!
//! **In:** effects whose records are durable, with the documents of their targets;
//! people's words that withdraw some.
//! **Out:** one report per effect, always: done, rejected or unknown. One answer per
//! look, always.
//! **Not here:** whether an effect is allowed (the core's guard), the platforms
//! (`evenkeel-providers`), notices (`EventLoop::notices`).

mod limits;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::action::{LookAt, Seen};
use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::documents::Target;
use evenkeel_core::effect::{Act, EffectOutcome, Look, SetCapacity};
use evenkeel_core::ids::{EffectId, TargetId};
use evenkeel_providers::{ActRequest, Actuators, EffectReport, Providers, SetCapacityRequest};
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tracing::{debug, info, warn};

use crate::break_glass;
use crate::clock::Clock;

use limits::CALL_TIMEOUT;
pub(crate) use limits::Limits;

/// Changes of capacity that are under way at once.
///
/// Why 16: an API that throttles at some ten calls a second is not overrun, and
/// 10,000 targets that all change take minutes, which people can still stop.
const CONCURRENCY_MAX: usize = 16;

/// Steps of runs that are under way at once, apart from changes of capacity: a command may
/// take minutes, and scaling must not wait for it. Why 16: as above.
const STEPS_MAX: usize = 16;

/// Looks that are under way at once. Why 8: as many as there may be runs that begin at the
/// same moment on targets of one platform, and half of what changes may take.
const LOOKS_MAX: usize = 8;

/// Of these, looks that make a Terraform plan. Why 2: one takes minutes and a core; the
/// others must not wait for them.
const PLANS_MAX: usize = 2;

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

/// What must be known of an effect to let it start, whatever it does.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    id: EffectId,
    granted_at: Timestamp,
    limit: Duration,
}

/// Carries out effects and looks, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Executor {
    stages: Arc<Mutex<BTreeMap<EffectId, Stage>>>,
    turns: Turns,
    providers: Arc<Providers>,
    actuators: Arc<Actuators>,
    limits: Arc<Limits>,
    break_glass_file: PathBuf,
    clock: Clock,
    reports: mpsc::Sender<Input>,
}

#[derive(Clone, Debug)]
struct Turns {
    capacities: Arc<Semaphore>,
    steps: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    plans: Arc<Semaphore>,
}

impl Executor {
    /// An executor whose reports go to `reports`, as [`Input::EffectFinished`] and
    /// [`Input::Looked`].
    pub(crate) fn new(
        providers: Arc<Providers>,
        actuators: Arc<Actuators>,
        limits: Limits,
        break_glass_file: PathBuf,
        clock: Clock,
        reports: mpsc::Sender<Input>,
    ) -> Executor {
        let turns = Turns {
            capacities: Arc::new(Semaphore::new(CONCURRENCY_MAX)),
            steps: Arc::new(Semaphore::new(STEPS_MAX)),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            plans: Arc::new(Semaphore::new(PLANS_MAX)),
        };
        Executor {
            stages: Arc::default(),
            turns,
            providers,
            actuators,
            limits: Arc::new(limits),
            break_glass_file,
            clock,
            reports,
        }
    }

    /// Begins to set a capacity and returns at once. `target` is the document of its
    /// target; without one the effect is rejected.
    pub(crate) fn set_capacity(
        &self,
        runtime: &Handle,
        effect: &SetCapacity,
        target: Option<&Target>,
    ) {
        let (from, to) = (effect.expected(), effect.desired());
        let ticket =
            Ticket { id: effect.id(), granted_at: effect.granted_at(), limit: CALL_TIMEOUT };
        let id = effect.target().clone();
        let request = target.map(|it| SetCapacityRequest {
            effect_id: effect.id(),
            term: effect.term(),
            desired: to,
            expected: from,
            provider: it.provider.clone(),
            target: effect.target().clone(),
        });
        let providers = Arc::clone(&self.providers);
        let turns = Arc::clone(&self.turns.capacities);
        let work = async move {
            match request {
                Some(request) => providers.set_capacity(&request).await,
                None => gone(&id),
            }
        };
        let target = effect.target().clone();
        self.spawn(runtime, turns, ticket, work, move |ticket, report| {
            let (effect_id, detail) = (ticket.id, report.detail.as_str());
            match report.outcome {
                EffectOutcome::Done => {
                    info!(%effect_id, target_id = %target, %from, %to, detail, "effect done");
                }
                EffectOutcome::Rejected => {
                    warn!(%effect_id, target_id = %target, %from, %to, detail, "effect rejected");
                }
                EffectOutcome::Unknown => {
                    warn!(%effect_id, target_id = %target, %from, %to, detail, "effect unknown");
                }
            }
        });
    }

    /// Begins a step of a run, or its undo, and returns at once; `target` as in
    /// [`Executor::set_capacity`].
    pub(crate) fn act(&self, runtime: &Handle, effect: &Act, target: Option<&Target>) {
        let request = ActRequest {
            effect_id: effect.id(),
            term: effect.term(),
            run: effect.run(),
            target: effect.target().clone(),
            is_undo: effect.is_undo(),
            action: effect.action().clone(),
        };
        self.act_on(runtime, effect.granted_at(), request, target.cloned());
    }

    /// As [`Executor::act`], from what a test can make too: only the core makes an [`Act`].
    fn act_on(
        &self,
        runtime: &Handle,
        granted_at: Timestamp,
        request: ActRequest,
        target: Option<Target>,
    ) {
        let limit = self.limits.of_action(&request.action);
        let ticket = Ticket { id: request.effect_id, granted_at, limit };
        let turns = Arc::clone(&self.turns.steps);
        let (run, target_id, is_undo) = (request.run, request.target.clone(), request.is_undo);
        let class = request.action.class();
        let actuators = Arc::clone(&self.actuators);
        let work = async move {
            match target {
                Some(target) => actuators.act(&target, &request).await,
                None => gone(&request.target),
            }
        };
        self.spawn(runtime, turns, ticket, work, move |ticket, report| {
            let (effect_id, detail) = (ticket.id, report.detail.as_str());
            match report.outcome {
                EffectOutcome::Done => {
                    info!(%effect_id, run_id = %run, %target_id, %class, is_undo, detail, "step done");
                }
                EffectOutcome::Rejected => {
                    warn!(%effect_id, run_id = %run, %target_id, %class, is_undo, detail, "step rejected");
                }
                EffectOutcome::Unknown => {
                    warn!(%effect_id, run_id = %run, %target_id, %class, is_undo, detail, "step unknown");
                }
            }
        });
    }

    /// Begins a look and returns at once. It changes nothing, so it is neither withdrawn
    /// nor waited for at a stop.
    pub(crate) fn look(&self, runtime: &Handle, look: Look, target: Option<&Target>) {
        let (executor, target) = (self.clone(), target.cloned());
        runtime.spawn(async move {
            let result = executor.looked(&look, target).await;
            let (run_id, step) = (look.run, look.step);
            match &result {
                Ok(_) => debug!(%run_id, step, target_id = %look.target, "looked"),
                Err(error) => warn!(%run_id, step, target_id = %look.target, error, "cannot look"),
            }
            let input = Input::Looked { run: look.run, step: look.step, result };
            if executor.reports.send(input).await.is_err() {
                debug!(%run_id, "nobody is left to hear what a look saw");
            }
        });
    }

    async fn looked(&self, look: &Look, target: Option<Target>) -> Result<Seen, String> {
        let Some(target) = target else { return Err(gone_why(&look.target)) };
        let turns = match &look.at {
            LookAt::Terraform { .. } => &self.turns.plans,
            LookAt::Capacity
            | LookAt::Instances
            | LookAt::Traffic
            | LookAt::Revision
            | LookAt::TenantLimits
            | LookAt::Command { .. }
            | LookAt::Webhook { .. } => &self.turns.looks,
        };
        let Ok(_turn) = turns.acquire().await else {
            return Err("the daemon is stopping".to_owned());
        };
        let limit = self.limits.of_look(&look.at);
        let seen = AssertUnwindSafe(self.see(&target, &look.at)).catch_unwind();
        match tokio::time::timeout(limit, seen).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err("the look failed within the daemon; this is a bug".to_owned()),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
        }
    }

    async fn see(&self, target: &Target, at: &LookAt) -> Result<Seen, String> {
        if *at != LookAt::Capacity {
            return self.actuators.look(target, at).await.map_err(|error| error.to_string());
        }
        // Capacity is its provider's, whoever asks.
        let asked = [(target.id.clone(), target.provider.clone())];
        match self.providers.read(&asked).await.pop() {
            Some((_, Ok(reading))) => Ok(Seen::Capacity { current: reading.current }),
            Some((_, Err(error))) => Err(error.to_string()),
            None => Err("the provider gave no reading".to_owned()),
        }
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

    /// What every effect goes through, whatever `work` does. `work` is not begun before
    /// its turn has come and nothing speaks against it any more.
    fn spawn(
        &self,
        runtime: &Handle,
        turns: Arc<Semaphore>,
        ticket: Ticket,
        work: impl Future<Output = EffectReport> + Send + 'static,
        log: impl FnOnce(Ticket, &EffectReport) + Send + 'static,
    ) {
        self.lock().insert(ticket.id, Stage::Waiting);
        let executor = self.clone();
        runtime.spawn(async move {
            let report = executor.carry_out(&turns, ticket, work).await;
            log(ticket, &report);
            let EffectReport { outcome, detail } = report;
            let input = Input::EffectFinished { id: ticket.id, outcome, detail };
            if executor.reports.send(input).await.is_err() {
                // The loop has ended. The next start finds the effect in flight and
                // reads it back.
                warn!(effect_id = %ticket.id, "nobody is left to hear how an effect ended");
            }
            // After the report: a stop waits for effects, and must not miss its report.
            executor.lock().remove(&ticket.id);
        });
    }

    async fn carry_out(
        &self,
        turns: &Semaphore,
        ticket: Ticket,
        work: impl Future<Output = EffectReport> + Send,
    ) -> EffectReport {
        let Ok(_turn) = turns.acquire().await else {
            return EffectReport::new(EffectOutcome::Rejected, "the daemon is stopping");
        };
        if let Err(why) = self.may_start(ticket).await {
            return EffectReport::new(EffectOutcome::Rejected, &why);
        }
        let unknown = |why: &str| EffectReport::new(EffectOutcome::Unknown, why);
        let limit = ticket.limit;
        match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(report)) => report,
            Ok(Err(_)) => unknown("it failed within the daemon; this is a bug"),
            Err(_) => unknown(&format!("no answer within {} s", limit.as_secs())),
        }
    }

    /// The last look before an effect starts; from then on it cannot be called back.
    async fn may_start(&self, ticket: Ticket) -> Result<(), String> {
        let age = self.clock.now().duration_since(ticket.granted_at);
        if PERMIT_AGE_MAX < age {
            return Err(format!(
                "its permit is {} s old, at most {} s; the next evaluation decides anew",
                age.as_secs(),
                PERMIT_AGE_MAX.as_secs()
            ));
        }
        // The core has heard of the file by now or soon will; this is the last look,
        // and it works with the loop hanging.
        if break_glass::read(&self.break_glass_file).await != BreakGlassReading::Absent {
            return Err("the break-glass file is in force".to_owned());
        }
        match self.lock().get_mut(&ticket.id) {
            Some(stage @ Stage::Waiting) => {
                *stage = Stage::Started;
                Ok(())
            }
            Some(Stage::Withdrawn | Stage::Started) | None => {
                Err("withdrawn before it started: a person said otherwise".to_owned())
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<EffectId, Stage>> {
        // A panic elsewhere leaves the map as it was between two statements: whole.
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone_why(target: &TargetId) -> String {
    format!("target `{target}` is in no document any more; nothing says where it is")
}

/// Surely nothing happened.
fn gone(target: &TargetId) -> EffectReport {
    EffectReport::new(EffectOutcome::Rejected, &gone_why(target))
}
