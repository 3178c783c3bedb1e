//! The loop that owns the agent and the journal. Everyone else sends it messages.
//!
//! **In:** people's requests, reports of effects, observations, time.
//! **Out:** durable records, then effects, notices and answers; never the other way round.
//! **Not here:** decisions (the core's), observing ([`crate::observer`]), the
//! providers ([`crate::executor`]), delivering notices.
//!
//! It runs on a thread of its own, so that it may wait for the disk and
//! evaluate without keeping the API from answering.

mod healing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::budget::report;
use evenkeel_core::effect::Effect;
use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::heal::view::PlaybookObservation;
use evenkeel_core::ids::{EffectId, NoticeId};
use evenkeel_core::notice::Notice;
use evenkeel_core::overrides::OverrideState;
use evenkeel_core::quality::{Quality, TargetObservation};
use evenkeel_core::record::Record;
use evenkeel_core::request::Request;
use evenkeel_core::status::{InFlightEffect, Mode, in_flight_effect, target_mode};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::executor::Executor;
use crate::forecasters::Feedback;
use crate::journal::{Journal, JournalError};
use crate::mailbox::{Message, Reply};
use crate::metrics::{EffectKind, Metrics, TargetCapacity};

pub(crate) use healing::RunsWatch;

/// How long a stop waits for effects that have started.
///
/// Why 15 s: two provider calls of 5 s and some; what is still under way then
/// is read back at the next start.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a stop looks whether all effects have ended.
const STOP_LOOK_PERIOD: Duration = Duration::from_millis(50);

/// What the observer hands over.
#[derive(Debug)]
pub(crate) enum Looked {
    /// Some targets.
    Batch(Vec<TargetObservation>),
    /// What some playbooks see of some targets; after all targets of the same pass.
    Playbooks(Vec<PlaybookObservation>),
    /// Every target was in a batch since the last of these.
    PassDone,
}

/// Everything that reaches the loop, by urgency.
#[derive(Debug)]
pub(crate) struct Inlets {
    /// People, before anything else.
    pub(crate) messages: mpsc::Receiver<Message>,
    /// Reports of effects, the break-glass file, documents.
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// Observations, in batches small enough that people need not wait.
    pub(crate) observations: mpsc::Receiver<Looked>,
    /// True once the daemon is to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Says something about each evaluation, for the demo.
pub(crate) type Narrator = Box<dyn FnMut(&Explanation) + Send>;

/// The loop and all that it owns.
pub(crate) struct EventLoop {
    pub(crate) agent: Agent,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) executor: Executor,
    /// Where effects are carried out: the daemon's runtime, not the loop's own.
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) metrics: Arc<Metrics>,
    /// What the forecasters are told of lead times and doubts.
    pub(crate) feedback: Feedback,
    /// What became of runs.
    pub(crate) runs: RunsWatch,
    /// Where notices go to be delivered.
    pub(crate) notices: mpsc::Sender<Notice>,
    /// Those that nobody took when they were offered.
    pub(crate) not_handed_over: BTreeSet<NoticeId>,
    /// Wakes the observer when a person's word asks for an evaluation now.
    pub(crate) look_now: Arc<tokio::sync::Notify>,
    pub(crate) narrator: Option<Narrator>,
}

impl EventLoop {
    /// Runs until told to stop, then ends what it began.
    ///
    /// # Errors
    ///
    /// When the journal cannot be written. The process must exit: continuing
    /// would act on a state that a restart could not rebuild.
    pub(crate) async fn run(mut self, mut inlets: Inlets) -> Result<(), JournalError> {
        loop {
            let wakeup = self.agent.next_wakeup();
            tokio::select! {
                // People and reports first: a long evaluation must not delay a freeze.
                biased;
                Some(message) = inlets.messages.recv() => self.take(message)?,
                _ = inlets.stop.wait_for(|it| *it) => break,
                Some(input) = inlets.inputs.recv() => self.handle(input)?,
                Some(looked) = inlets.observations.recv() => match looked {
                    Looked::Batch(batch) => self.handle(Input::Observed(batch))?,
                    Looked::Playbooks(batch) => self.handle(Input::PlaybooksObserved(batch))?,
                    Looked::PassDone => {
                        self.offer_notices_again();
                        self.publish_gauges();
                    }
                },
                () = self.clock.sleep_until(wakeup) => self.handle(Input::TimePassed)?,
            }
            self.keep_journal()?;
        }
        self.stop(inlets).await
    }

    /// Handles one input and commits what follows.
    pub(crate) fn handle(&mut self, input: Input) -> Result<(), JournalError> {
        let is_reload = matches!(input, Input::DocumentsLoaded(_));
        // The last that a reading for budgets hands over.
        let is_spend = matches!(input, Input::SpendRead(_));
        let committed = self.commit(input)?;
        if is_reload {
            self.feedback.say_all(&self.agent);
        }
        if is_spend {
            let now = self.clock.now().max(self.agent.state().latest_at());
            let slos = report::slo_report(&self.agent, now);
            self.metrics.set_budgets(slos, report::budget_report(&self.agent, now));
        }
        let withdrawn = self.executor.withdraw(&committed.withdrawn);
        if !withdrawn.is_empty() {
            let in_time = withdrawn.iter().filter(|(_, in_time)| *in_time).count();
            warn!(withdrawn = in_time, running = withdrawn.len() - in_time, "effects withdrawn");
        }
        self.start(committed.effects);
        for explanation in &committed.explanations {
            self.tell(explanation);
        }
        Ok(())
    }

    fn commit(&mut self, input: Input) -> Result<Committed, JournalError> {
        let EventLoop { agent, journal, metrics, clock, feedback, runs, .. } = self;
        // Before its run hears of it and waits for something else.
        let is_step = if let Input::EffectFinished { id, .. } = &input {
            agent.state().healing().run_of_effect(*id).is_some()
        } else {
            false
        };
        let outcome = agent.handle(clock.now(), input);
        outcome.commit(|records| {
            let started = std::time::Instant::now();
            journal.append(records)?;
            metrics.observe_append(started.elapsed(), journal.last_seq());
            for record in records {
                if let Record::EffectFinished { outcome, .. } = record {
                    let kind = if is_step { EffectKind::Step } else { EffectKind::SetCapacity };
                    metrics.count_effect(kind, *outcome);
                }
                if let Record::LeadTimeMeasured { target, .. } = record {
                    feedback.say_lead_time(target, agent.lead_time_of(target).duration());
                }
            }
            runs.take_in(records, agent.state().healing(), metrics);
            Ok(())
        })
    }

    fn start(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            // The documents are those it was just decided on.
            let documents = self.agent.documents();
            let (executor, runtime) = (&self.executor, &self.runtime);
            match effect {
                Effect::SetCapacity(it) => {
                    executor.set_capacity(runtime, &it, documents.target(it.target()));
                }
                Effect::Act(it) => executor.act(runtime, &it, documents.target(it.target())),
                Effect::Look(it) => {
                    let target = documents.target(&it.target);
                    executor.look(runtime, it, target);
                }
                Effect::Notify(notice) => self.notify(*notice),
            }
        }
    }

    /// Hands a notice over. One that nobody takes now stays in the agent's memory, and is
    /// offered again after a later pass.
    fn notify(&mut self, notice: Notice) {
        let (notice_id, topic) = (notice.id, notice.topic.name());
        if self.notices.try_send(notice).is_ok() {
            self.not_handed_over.remove(&notice_id);
        } else if self.not_handed_over.insert(notice_id) {
            warn!(%notice_id, topic, "a notice cannot be handed over; it is offered again");
        }
    }

    /// Offers again what nobody took, unless its end has been heard of meanwhile.
    fn offer_notices_again(&mut self) {
        let healing = self.agent.state().healing();
        self.not_handed_over.retain(|id| healing.notice(*id).is_some());
        let waiting: Vec<Notice> =
            self.not_handed_over.iter().filter_map(|id| healing.notice(*id).cloned()).collect();
        for notice in waiting {
            self.notify(notice);
        }
    }

    fn take(&mut self, message: Message) -> Result<(), JournalError> {
        match message {
            Message::Question(question) => question(&self.agent, self.clock.now()),
            Message::Request(request, reply) => self.request(request, reply)?,
        }
        Ok(())
    }

    fn request(
        &mut self,
        request: Request,
        reply: oneshot::Sender<Reply>,
    ) -> Result<(), JournalError> {
        let verb = request.verb.word();
        let committed = self.commit(Input::Requested(request))?;
        let withdrawal = self.executor.withdraw(&committed.withdrawn);
        let (withdrawn, still_running): (Vec<_>, Vec<_>) =
            withdrawal.into_iter().partition(|(_, in_time)| *in_time);
        self.start(committed.effects);
        let Some(answer) = committed.answer else { return Ok(()) };
        match &answer {
            Ok(answer) => {
                info!(verb, ?answer, "enforced");
                self.look_now.notify_one();
            }
            Err(refusal) => warn!(verb, %refusal, "refused"),
        }
        self.metrics.count_request(verb, if answer.is_ok() { "enforced" } else { "refused" });
        let reply_with = Reply {
            answer,
            still_running: self.in_flight(&still_running),
            withdrawn: self.in_flight(&withdrawn),
        };
        if reply.send(reply_with).is_err() {
            // It is in force all the same; the record and `status` say so.
            warn!(verb, "the person who asked did not wait for the answer");
        }
        Ok(())
    }

    fn in_flight(&self, effects: &[(EffectId, bool)]) -> Vec<InFlightEffect> {
        self.agent
            .state()
            .in_flight()
            .filter(|(_, it)| effects.iter().any(|(id, _)| *id == it.id))
            .map(|(target, it)| in_flight_effect(target, it))
            .collect()
    }

    fn tell(&mut self, explanation: &Explanation) {
        self.metrics.count_explanation(explanation);
        self.feedback.say_judged(&explanation.target, &explanation.signals);
        let target_id = &explanation.target;
        let name = explanation.conclusion.name();
        match &explanation.conclusion {
            Conclusion::Planned { effect, .. } => {
                info!(%target_id, effect_id = %effect, why = explanation.sentence(), "scaling");
            }
            Conclusion::ChangedOutside { .. } | Conclusion::ReadBack { .. } => {
                warn!(%target_id, conclusion = name, why = explanation.sentence(), "reconciled");
            }
            Conclusion::NoChange
            | Conclusion::Refused { .. }
            | Conclusion::CapacityUnknown { .. } => {
                debug!(%target_id, conclusion = name, "evaluated");
            }
        }
        if let Some(narrator) = &mut self.narrator {
            narrator(explanation);
        }
    }

    fn keep_journal(&mut self) -> Result<(), JournalError> {
        let now = self.clock.now();
        if self.journal.wants_snapshot() {
            self.handle(Input::SnapshotWanted)?;
        }
        if self.journal.wants_checkpoint(now) {
            if self.journal.has_news() {
                self.handle(Input::SnapshotWanted)?;
            }
            self.journal.checkpoint(now)?;
        }
        self.journal.forget_some(now);
        Ok(())
    }

    fn publish_gauges(&self) {
        let now = self.clock.now();
        let (agent, metrics) = (&self.agent, &self.metrics);
        let active = agent.state().overrides().filter(|it| it.state(now) == OverrideState::Active);
        metrics.set_overrides(active.map(|it| it.kind));
        metrics.set_break_glass(agent.state().break_glass().is_some());
        metrics.set_term(agent.state().term());
        let mut modes: BTreeMap<Mode, usize> = BTreeMap::new();
        let mut qualities: BTreeMap<Quality, usize> = BTreeMap::new();
        let mut capacities = Vec::new();
        for target in agent.documents().targets() {
            *modes.entry(target_mode(now, agent, target)).or_default() += 1;
            let Some(seen) = agent.sight().target(&target.id) else { continue };
            for finding in seen.findings() {
                *qualities.entry(finding.quality).or_default() += 1;
            }
            let proposed = agent.explanations().newest(&target.id).and_then(|it| it.proposed);
            capacities.push(TargetCapacity {
                target: target.id.clone(),
                current: agent.current_of(&target.id),
                desired: proposed,
            });
        }
        let count = |quality| qualities.get(&quality).copied().unwrap_or(0);
        metrics.set_signals(count(Quality::Good), count(Quality::Suspect), count(Quality::Missing));
        metrics.set_targets(&modes);
        metrics.set_capacities(capacities);
        metrics.set_healing(agent.state().healing());
    }

    async fn stop(mut self, mut inlets: Inlets) -> Result<(), JournalError> {
        // Nothing new: requests that still come are told that the agent is stopping.
        inlets.messages.close();
        inlets.observations.close();
        while let Ok(message) = inlets.messages.try_recv() {
            self.take(message)?;
        }
        let deadline = tokio::time::Instant::now() + STOP_TIMEOUT;
        while 0 < self.executor.n_unfinished() || !inlets.inputs.is_empty() {
            if deadline <= tokio::time::Instant::now() {
                let unfinished = self.executor.n_unfinished();
                warn!(unfinished, "effects have not ended; the next start reads them back");
                break;
            }
            // Not until the deadline: the last effect may end after its report was taken.
            match tokio::time::timeout(STOP_LOOK_PERIOD, inlets.inputs.recv()).await {
                Ok(Some(input)) => self.handle(input)?,
                Ok(None) => break,
                Err(_) => (),
            }
        }
        self.handle(Input::SnapshotWanted)?;
        self.journal.checkpoint(self.clock.now())?;
        info!("stopped");
        Ok(())
    }
}
