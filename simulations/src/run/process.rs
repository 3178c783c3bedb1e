//! The agent's process: alive or dead, with its journal, its clock and its executor.
//!
//! **In:** ticks of the run, people's requests, and deaths at chosen points.
//! **Out:** calls to the provider, and [`Happened`] for whoever watches.
//! **Not here:** any decision (`evenkeel-core`), what must hold ([`super::watch`]).
//!
//! The order is the daemon's: an input is handled, its records are made durable, and only then
//! do effects leave; each is started a second later, unless a person withdraws it, and reported
//! when the provider answers.

mod budgets;
mod healing;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::budget::kept::BudgetsKept;
use evenkeel_core::documents::{Documents, Identity};
use evenkeel_core::effect::{Effect, EffectOutcome, SetCapacity};
use evenkeel_core::explain::Explanation;
use evenkeel_core::ids::{EffectId, PlaybookId, RunId, TargetId};
use evenkeel_core::incident::Severity;
use evenkeel_core::request::{Answer, Request, RequestRefusal, Verb};
use evenkeel_forecast::anomalies::AnomalyScores;
use jiff::{SignedDuration, Timestamp};

use super::Stage;
use super::effects::{Leaving, Left, Sent, Underway};
use super::journal::Journal;
use super::senses::playbooks::{self, WatchedPlaybook};
use super::senses::{self, Watched};
use crate::capacity::Trace;
use crate::fault::DeathPoint;
use crate::provider::Answer as ProviderAnswer;

/// Oldest permit that is still acted on, as in the daemon.
const PERMIT_AGE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// How much the agent's clock follows the wall clock per look, as in the daemon.
const SLEW_MAX: SignedDuration = SignedDuration::from_millis(500);

/// What came of something that the process did.
#[derive(Debug)]
pub(super) enum Happened {
    /// An effect left for the provider, which will answer that.
    Started(SetCapacity, EffectOutcome),
    /// Its end is known to the agent.
    Ended { effect: EffectId, outcome: EffectOutcome },
    /// A target was evaluated.
    Explained(Arc<Explanation>),
    /// The process died; whether its memory was what its journal leads to.
    Died { state_is_durable: bool },
    /// It was started again.
    Revived,
    /// A look explained fewer targets than it was shown.
    Unexplained { shown: usize, explained: usize },
    /// An act of a run left.
    Acted(Box<Left>),
    /// An incident began, came back (`is_open`), or was resolved.
    Incident { is_open: bool, target: Option<TargetId>, text: String },
    /// A run began or ended; `healed` names the playbook of one that was verified.
    Run { target: TargetId, text: String, healed: Option<PlaybookId> },
    /// People were told something.
    Told(Told),
    /// A threshold of a budget was crossed, or is no longer.
    Budget { text: String },
    /// An alert of an SLO fires, with that severity; or (`None`) no longer, or there is no data.
    SloAlert { slo: String, fires: Option<Severity>, text: String },
}

/// A notice that reached people.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) target: Option<TargetId>,
    pub(super) is_page: bool,
    pub(super) title: String,
}

/// The journal could not be written.
#[derive(Clone, Copy, Debug)]
struct NotWritten;

/// The process.
#[derive(Debug)]
pub(super) struct Process {
    documents: Arc<Documents>,
    agent: Option<Agent>,
    pub(super) journal: Journal,
    pub(super) watched: Vec<Watched>,
    /// Playbooks by target.
    pub(super) playbooks: Vec<WatchedPlaybook>,
    /// How odd the series are that playbooks ask that of; the shell's memory.
    anomalies: AnomalyScores,
    underway: VecDeque<Underway>,
    /// Runs that have begun and not ended.
    open_runs: BTreeSet<RunId>,
    /// Whether there is anything to read for SLOs and budgets.
    has_budgets: bool,
    /// What the shell keeps of them in a file.
    kept: Option<BudgetsKept>,
    /// Since when no notice reaches anybody, and whether the agent was told.
    silent_since: Option<i64>,
    is_known_silent: bool,
    /// Where it shall die.
    death: Option<DeathPoint>,
    back_at: i64,
    journal_fails_until: i64,
    /// The wall clock's error, and how much of it the agent's clock has followed.
    wall_error: SignedDuration,
    correction: SignedDuration,
    latest: Timestamp,
    scratch: Vec<f32>,
    pub(super) happened: Vec<Happened>,
}

impl Process {
    /// A process that has not been started.
    pub(super) fn new(documents: Arc<Documents>, stage: &Stage) -> Process {
        let watched = senses::watch(&documents, stage);
        let playbooks = playbooks::watch(&documents, stage);
        Process {
            has_budgets: senses::budgets::has_budgets(&documents),
            kept: None,
            documents,
            agent: None,
            journal: Journal::default(),
            watched,
            playbooks,
            anomalies: AnomalyScores::default(),
            underway: VecDeque::new(),
            open_runs: BTreeSet::new(),
            silent_since: None,
            is_known_silent: false,
            death: None,
            back_at: i64::MIN,
            journal_fails_until: i64::MIN,
            wall_error: SignedDuration::ZERO,
            correction: SignedDuration::ZERO,
            latest: stage.world.now(),
            scratch: Vec::new(),
            happened: Vec::new(),
        }
    }

    /// Whether somebody answers.
    pub(super) fn is_alive(&self) -> bool {
        self.agent.is_some()
    }

    /// The agent while it lives.
    pub(super) fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// How far the agent's clock is off.
    pub(super) fn clock_error(&self) -> SignedDuration {
        self.correction
    }

    /// The documents in force.
    pub(super) fn documents(&self) -> &Arc<Documents> {
        &self.documents
    }

    /// Others in their place, of which the agent knows nothing.
    #[cfg(test)]
    pub(super) fn set_documents(&mut self, documents: Arc<Documents>) {
        self.documents = documents;
    }

    /// An effect as if the agent had decided it.
    #[cfg(test)]
    pub(super) fn put_underway(&mut self, underway: Underway) {
        self.underway.push_back(underway);
    }

    /// Effects that have not ended.
    pub(super) fn n_underway(&self) -> usize {
        self.underway.len()
    }

    /// It dies at that point, and is back at `back_at`.
    pub(super) fn kill(&mut self, point: DeathPoint, back_at: i64, trace: &mut Trace) {
        self.back_at = back_at;
        if self.agent.is_none() {
            return;
        }
        match point {
            DeathPoint::Idle => self.die(true, trace),
            DeathPoint::BeforeAppend | DeathPoint::AfterAppend | DeathPoint::AfterEffect => {
                self.death = Some(point);
            }
        }
    }

    /// Its journal fails until then.
    pub(super) fn fail_journal(&mut self, until: i64) {
        self.journal_fails_until = until;
    }

    /// Its wall clock is off by that much.
    pub(super) fn set_wall_error(&mut self, seconds: i64) {
        self.wall_error = SignedDuration::from_secs(seconds);
    }

    fn now(&mut self, stage: &Stage) -> Timestamp {
        let now = stage.world.now().saturating_add(self.correction).unwrap_or(Timestamp::MAX);
        self.latest = self.latest.max(now);
        self.latest
    }

    fn die(&mut self, state_is_durable: bool, trace: &mut Trace) {
        let Some(agent) = self.agent.take() else { return };
        trace.line(format_args!("the agent died"));
        let is_equal = !state_is_durable || agent.state() == self.journal.state();
        self.happened.push(Happened::Died { state_is_durable: is_equal });
        self.death = None;
        // What waits never leaves; what runs ends unheard.
        self.underway.clear();
        self.is_known_silent = false;
    }

    /// Whether the agent's memory is what its journal leads to.
    pub(super) fn memory_is_durable(&self) -> bool {
        self.agent.as_ref().is_none_or(|it| it.state() == self.journal.state())
    }

    /// What is due at `second` of the world: a start, effects that leave, ends that are heard of.
    pub(super) fn tick(&mut self, at: i64, stage: &mut Stage, trace: &mut Trace) {
        if self.agent.is_none() {
            if at < self.back_at || at < self.journal_fails_until {
                return;
            }
            self.start(at, stage, trace);
        }
        if self.death.is_some() && self.back_at <= at {
            // The point never came.
            self.die(true, trace);
            return;
        }
        if self.underway.is_empty() {
            return;
        }
        for _ in 0..self.underway.len() {
            let Some(underway) = self.underway.pop_front() else { break };
            if at < underway.due_at() {
                self.underway.push_back(underway);
                continue;
            }
            match underway {
                Underway::Waiting { effect, .. } => self.begin(at, effect, stage, trace),
                Underway::Running { id, outcome, detail, .. } => {
                    self.end(at, id, outcome, detail, stage, trace);
                }
                Underway::Looking { look, .. } => self.answer_look(at, &look, stage, trace),
                Underway::Telling { notice, .. } => self.tell(at, notice, stage, trace),
            }
            if self.agent.is_none() {
                return;
            }
        }
    }

    fn start(&mut self, at: i64, stage: &Stage, trace: &mut Trace) {
        // A clock is set from the wall at the start, and follows it slowly from then on.
        self.correction = self.wall_error;
        self.latest = Timestamp::MIN;
        let now = self.now(stage);
        self.anomalies = AnomalyScores::default();
        self.agent = Some(Agent::new(self.journal.state().clone()));
        self.happened.push(Happened::Revived);
        self.handle(at, now, Input::Started { version: "simulated".to_owned() }, trace);
        let documents = Arc::clone(&self.documents);
        self.handle(at, now, Input::DocumentsLoaded(documents), trace);
        self.recall_budgets(at, stage, trace);
    }

    fn begin(&mut self, at: i64, effect: Leaving, stage: &mut Stage, trace: &mut Trace) {
        let now = self.now(stage);
        if PERMIT_AGE_MAX < now.duration_since(effect.granted_at()) {
            let detail = "its permit is too old".to_owned();
            self.end(at, effect.id(), EffectOutcome::Rejected, detail, stage, trace);
            return;
        }
        let effect = match effect {
            Leaving::Capacity(effect) => effect,
            Leaving::Act(sent) => return self.begin_act(at, *sent, stage, trace),
        };
        let Some(service) = self.service_of(effect.target()) else { return };
        let (units, expected) = (effect.desired().0, effect.expected().0);
        let reply = stage.provider.set_units(&mut stage.world, service, units, Some(expected));
        let (outcome, detail) = match reply.answer {
            ProviderAnswer::Done => (EffectOutcome::Done, String::new()),
            ProviderAnswer::Rejected(why) => (EffectOutcome::Rejected, why),
            ProviderAnswer::Unknown(why) => (EffectOutcome::Unknown, why),
        };
        trace.line(format_args!("{at} {} {expected} -> {units}: {outcome}", effect.target()));
        self.happened.push(Happened::Started(effect.clone(), outcome));
        // The provider counts from its world's start, the run from the scored part's.
        let ends_at = at + (reply.answered_at - stage.world.second()).max(0);
        let id = effect.id();
        self.underway.push_back(Underway::Running { ends_at, id, outcome, detail });
        if self.death == Some(DeathPoint::AfterEffect) {
            self.die(true, trace);
        }
    }

    fn end(
        &mut self,
        at: i64,
        id: EffectId,
        outcome: EffectOutcome,
        detail: String,
        stage: &Stage,
        trace: &mut Trace,
    ) {
        let now = self.now(stage);
        self.happened.push(Happened::Ended { effect: id, outcome });
        self.handle(at, now, Input::EffectFinished { id, outcome, detail }, trace);
    }

    /// Looks at everything.
    pub(super) fn look(&mut self, at: i64, stage: &mut Stage, trace: &mut Trace) {
        let apart = self.wall_error - self.correction;
        self.correction += apart.clamp(-SLEW_MAX, SLEW_MAX);
        let now = self.now(stage);
        let Some(agent) = &self.agent else { return };
        let mut observations = Vec::with_capacity(self.watched.len());
        for watched in &mut self.watched {
            observations.push(watched.observe(now, stage, agent, &mut self.scratch));
        }
        let shown = observations.len();
        let before = self.happened.len();
        self.handle(at, now, Input::Observed(observations), trace);
        let explained = self.happened.get(before..).unwrap_or_default();
        let explained = explained.iter().filter(|it| matches!(it, Happened::Explained(_))).count();
        if self.agent.is_some() && explained < shown {
            self.happened.push(Happened::Unexplained { shown, explained });
        }
        self.look_for_playbooks(at, stage, trace);
    }

    /// A person asks. `None` when nobody answers.
    pub(super) fn ask(
        &mut self,
        at: i64,
        who: &str,
        verb: Verb,
        stage: &Stage,
        trace: &mut Trace,
    ) -> Option<Result<Answer, RequestRefusal>> {
        let now = self.now(stage);
        self.agent.as_ref()?;
        // The owner of the daemon may do everything without any document.
        let identity =
            Identity::UnixUser { uid: 1_000, name: who.to_owned(), is_daemon_owner: true };
        self.handle(at, now, Input::Requested(Request { identity, verb }), trace)
    }

    /// Time passed: overrides may have ended.
    pub(super) fn wake(&mut self, at: i64, stage: &Stage, trace: &mut Trace) {
        let now = self.now(stage);
        if self.agent.as_ref().and_then(Agent::next_wakeup).is_some_and(|it| it <= now) {
            self.handle(at, now, Input::TimePassed, trace);
        }
    }

    fn handle(
        &mut self,
        at: i64,
        now: Timestamp,
        input: Input,
        trace: &mut Trace,
    ) -> Option<Result<Answer, RequestRefusal>> {
        let agent = self.agent.as_mut()?;
        let outcome = agent.handle(now, input);
        let has_records = !outcome.records().is_empty();
        if has_records && self.death == Some(DeathPoint::BeforeAppend) {
            self.die(false, trace);
            return None;
        }
        let lead_times: Vec<_> = outcome
            .records()
            .iter()
            .filter(|it| it.kind() == "lead_time_measured")
            .filter_map(|it| it.target().cloned())
            .collect();
        let is_noted = !self.playbooks.is_empty() || self.has_budgets;
        let noted = if is_noted { outcome.records().to_vec() } else { Vec::new() };
        let (journal, fails) = (&mut self.journal, at < self.journal_fails_until);
        // What comes of a failed append is the core's word: nothing, or there is a bug in it.
        let committed = outcome.commit(|records| {
            if fails {
                return Err(NotWritten);
            }
            journal.append(records, trace);
            Ok(())
        });
        let Ok(Committed { effects, withdrawn, answer, explanations }) = committed else {
            // The daemon stops rather than act on what is not written.
            self.back_at = self.back_at.max(self.journal_fails_until);
            self.die(false, trace);
            return None;
        };
        if !noted.is_empty() {
            self.note_healing(&noted);
            self.note_budgets(&noted);
        }
        for target in lead_times {
            let lead_time = self.agent.as_ref().map(|it| it.lead_time_of(&target).duration());
            let watched = self.watched.iter_mut().find(|it| it.target == target);
            if let (Some(watched), Some(lead_time)) = (watched, lead_time) {
                watched.set_lead_time(lead_time);
            }
        }
        self.happened.extend(explanations.into_iter().map(Happened::Explained));
        if !effects.is_empty() && self.death == Some(DeathPoint::AfterAppend) {
            self.die(true, trace);
            return None;
        }
        let next = at + 1;
        self.underway.extend(effects.into_iter().map(|effect| match effect {
            Effect::SetCapacity(effect) => {
                Underway::Waiting { starts_at: next, effect: Leaving::Capacity(effect) }
            }
            Effect::Act(act) => {
                let effect = Leaving::Act(Box::new(Sent::of(&act)));
                Underway::Waiting { starts_at: next, effect }
            }
            Effect::Look(look) => Underway::Looking { answers_at: next, look: Box::new(look) },
            Effect::Notify(notice) => Underway::Telling { tried_at: next, notice },
        }));
        self.withdraw(at, now, &withdrawn, trace);
        answer
    }

    /// Drops what has not started, and tells the agent.
    pub(super) fn withdraw(
        &mut self,
        at: i64,
        now: Timestamp,
        withdrawn: &[EffectId],
        trace: &mut Trace,
    ) {
        for id in withdrawn {
            let place = self.underway.iter().position(
                |it| matches!(it, Underway::Waiting { effect, .. } if effect.id() == *id),
            );
            let Some(Underway::Waiting { effect, .. }) =
                place.and_then(|it| self.underway.remove(it))
            else {
                continue;
            };
            let (id, outcome) = (effect.id(), EffectOutcome::Rejected);
            let detail = "withdrawn before it started".to_owned();
            self.handle(at, now, Input::EffectFinished { id, outcome, detail }, trace);
        }
    }

    fn service_of(&self, target: &TargetId) -> Option<usize> {
        self.watched.iter().find(|it| it.target == *target).map(|it| it.service)
    }
}
