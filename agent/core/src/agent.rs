//! The agent as a state machine: inputs and a time in, records and effects out.
//!
//! **In:** [`Input`], closed on purpose: to know what can wake the agent, read it.
//! **Out:** [`Outcome`]: records, effects, explanations, an answer for a person.
//! **Not here:** clocks, disks, sockets (the shell's).
//!
//! Three rules make it replayable:
//!
//! 1. [`Agent::handle`] reads no clock and does no I/O. Time is an argument.
//! 2. What must not be forgotten changes only in [`State::apply`], and only from
//!    a [`Record`]. What is seen ([`Sight`]) is not state: it is observed anew.
//! 3. Effects and answers leave through [`Outcome::commit`], after the records
//!    are durable.

mod budgets;
mod healing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::action::Seen;
use crate::blast_radius::Ledger;
use crate::budget::kept::BudgetsKept;
use crate::budget::sight::BudgetSight;
use crate::documents::{Documents, LeadTime, Target};
use crate::effect::{Effect, EffectOutcome};
use crate::evaluate;
use crate::explain::Explanation;
use crate::explanations::Explanations;
use crate::heal::care;
use crate::heal::view::{PlaybookObservation, Views};
use crate::heal::ward::capacity_of;
use crate::ids::{AllowedName, EffectId, NoticeId, RunId, ServiceName, SignalName, TargetId, Term};
use crate::incident::IncidentEvent;
use crate::lead_time::KnownLeadTime;
use crate::notice::Delivery;
use crate::overrides::{Override, OverrideKind, OverrideState};
use crate::plan_ahead::Ledger as ShortfallLedger;
use crate::quality::TargetObservation;
use crate::record::{EndCause, Record};
use crate::request::{self, Answer, Request, RequestRefusal, Verb, contradicts};
use crate::run::{Run, RunEvent};
use crate::sight::Sight;
use crate::slo::SliReading;
use crate::spend::SpendReading;
use crate::spend::focus::FocusRow;
use crate::spend::tenants::TenantStanding;
use crate::state::State;
use crate::units::Capacity;

/// Everything that can happen to the agent.
#[derive(Clone, Debug)]
pub enum Input {
    /// A daemon took over. `version` is its own, for the journal.
    Started { version: String },
    /// Documents that passed every check came into force.
    DocumentsLoaded(Arc<Documents>),
    /// Fresh observations of some targets, one per target.
    Observed(Vec<TargetObservation>),
    /// A person asked for something; authenticated, not yet authorised.
    Requested(Request),
    /// What the break-glass file is like now.
    BreakGlassRead(BreakGlassReading),
    /// The executor reports how an effect ended.
    EffectFinished { id: EffectId, outcome: EffectOutcome, detail: String },
    /// What the shell kept of [`Sight::shortfalls`] from before a restart. Taken up
    /// only for signals of which nothing has been seen since.
    ShortfallsRecalled(Vec<(TargetId, SignalName, ShortfallLedger)>),
    /// Fresh readings of playbooks' inputs, one per playbook and target.
    PlaybooksObserved(Vec<PlaybookObservation>),
    /// The answer to an [`crate::effect::Look`].
    Looked { run: RunId, step: u16, result: Result<Seen, String> },
    /// How the delivery of a notice ended.
    NoticeFinished { id: NoticeId, delivery: Delivery },
    /// Whether notices can be delivered at all: `Some` is why not.
    NotifierChecked { trouble: Option<String> },
    /// Terraform finds differences between a workspace's code and what is there.
    DriftFound { workspace: AllowedName, differences: Vec<String> },
    /// Slots of SLOs' indicators, as [`crate::budget::wanted`] asks for them.
    SlisRead(Vec<SliReading>),
    /// Prices, usage, good requests and tenants; with it, what is being spent is metered.
    SpendRead(Box<SpendReading>),
    /// What the shell kept of budgets from before a restart.
    BudgetsRecalled(Box<BudgetsKept>),
    /// Rows of a bill in FOCUS' form, to be compared with what was metered.
    BillRead { source: String, rows: Vec<FocusRow> },
    /// Time passed; see [`Agent::next_wakeup`].
    TimePassed,
    /// The journal wants to be able to forget what is older.
    SnapshotWanted,
}

/// What the break-glass file is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakGlassReading {
    /// Not there.
    Absent,
    /// There; its first line, which may be empty.
    Present { text: String },
    /// Whether it is there cannot be told. Counts as there.
    Unreadable { error: String },
}

/// What one input led to.
#[derive(Debug, Default)]
#[must_use = "uncommitted records are lost and their effects never happen"]
pub struct Outcome {
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
    withdrawn: Vec<EffectId>,
    answer: Option<Result<Answer, RequestRefusal>>,
    explanations: Vec<Arc<Explanation>>,
}

/// What may leave once the records are durable.
#[derive(Debug)]
pub struct Committed {
    /// To be started.
    pub effects: Vec<Effect>,
    /// Effects that a person's word contradicts: to be dropped if they have not
    /// started. Those that have are what the person is told is in flight.
    pub withdrawn: Vec<EffectId>,
    /// For the person who asked.
    pub answer: Option<Result<Answer, RequestRefusal>>,
    /// Why each evaluated target was or was not changed.
    pub explanations: Vec<Arc<Explanation>>,
}

/// Decides for every target of a region.
#[derive(Debug, Default)]
pub struct Agent {
    documents: Arc<Documents>,
    state: State,
    sight: Sight,
    views: Views,
    budgets: BudgetSight,
    explanations: Explanations,
    /// Follows from the three above; shared by the batches of one pass.
    ledger: Option<Ledger>,
}

impl Agent {
    /// An agent that remembers `state` and has seen nothing.
    pub fn new(state: State) -> Agent {
        Agent { state, ..Agent::default() }
    }

    /// Handles one input at `now`. A `now` before the latest record counts as
    /// that record's time: a clock that goes back revives nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Outcome {
        let now = now.max(self.state.latest_at());
        let stir = self.stirred_by(now, &input);
        match &input {
            Input::DocumentsLoaded(documents) => {
                self.views.retain(&self.documents, documents);
                self.documents = Arc::clone(documents);
                self.sight.retain(documents);
                self.budgets.retain(now, documents);
                self.explanations.retain(documents);
                self.ledger = None;
            }
            Input::Observed(observations) => {
                let known =
                    observations.iter().filter(|it| self.documents.target(&it.target).is_some());
                for observation in known {
                    let before = self.surely_there(&observation.target);
                    let lead_time = self.lead_time_of(&observation.target);
                    self.sight.observe(now, &self.documents, observation, lead_time);
                    if self.surely_there(&observation.target) < before {
                        self.ledger = None;
                    }
                }
            }
            Input::ShortfallsRecalled(recalled) => self.sight.recall(&self.documents, recalled),
            Input::PlaybooksObserved(observations) => {
                for it in observations {
                    let capacity = capacity_of(&self.state, &self.sight, &it.target);
                    let it = self.with_budgets(now, it);
                    self.views.observe(now, &self.documents, capacity, &it);
                }
            }
            Input::Looked { run, step, result } => self.views.answer(*run, *step, result),
            Input::SlisRead(readings) => self.observe_slis(now, readings),
            Input::SpendRead(reading) => self.observe_spend(now, reading),
            Input::BudgetsRecalled(kept) => self.budgets.recall(now, &self.documents, kept),
            Input::Started { .. }
            | Input::Requested(_)
            | Input::BreakGlassRead(_)
            | Input::EffectFinished { .. }
            | Input::NoticeFinished { .. }
            | Input::NotifierChecked { .. }
            | Input::DriftFound { .. }
            | Input::BillRead { .. }
            | Input::TimePassed
            | Input::SnapshotWanted => (),
        }
        // What ends now is over before anything is decided: its lapse holds at once.
        let mut ended = self.ended_overrides(now);
        for record in &ended {
            self.state.apply(record);
        }
        let mut ledger = self.ledger.take();
        let mut outcome = self.plan(now, input, &mut ledger);
        for record in &outcome.records {
            self.state.apply(record);
        }
        ended.append(&mut outcome.records);
        outcome.records = ended;
        if outcome.records.iter().any(tightens_the_ledger) {
            ledger = None;
        }
        self.heal(now, stir, &mut ledger, &mut outcome);
        self.ledger = ledger;
        for explanation in &outcome.explanations {
            self.explanations.remember(Arc::clone(explanation));
        }
        outcome
    }

    /// When the agent next wants [`Input::TimePassed`], to record the end of an
    /// override, or what is due in a run or an incident. Earlier or extra ones are harmless.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        let overrides: Vec<&Override> = self.state.overrides().collect();
        let ends = overrides.iter().map(|it| it.ends_at).min();
        ends.into_iter().chain(care::next_wakeup(self.state.healing(), &overrides)).min()
    }

    /// What must not be forgotten.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is seen at the moment.
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Why each target is as it is, and was just before.
    pub fn explanations(&self) -> &Explanations {
        &self.explanations
    }

    /// What playbooks see at the moment.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// Takes in who uses each service now: see [`Views::set_tenants`].
    pub fn set_tenants(&mut self, tenants: BTreeMap<ServiceName, Vec<TenantStanding>>) {
        self.views.set_tenants(tenants);
    }

    /// The documents in force.
    pub fn documents(&self) -> &Arc<Documents> {
        &self.documents
    }

    fn plan(&self, now: Timestamp, input: Input, ledger: &mut Option<Ledger>) -> Outcome {
        let mut outcome = Outcome::default();
        match input {
            Input::Started { version } => self.plan_start(now, version, &mut outcome),
            Input::DocumentsLoaded(documents) => {
                if documents.sha256 != self.state.documents_sha256() {
                    outcome.records.push(Record::DocumentsAdopted {
                        at: now,
                        sha256: documents.sha256.clone(),
                        n_documents: documents.n_documents(),
                    });
                }
            }
            Input::Observed(observations) => {
                // Twice in one batch is once: both would be decided on the same memory.
                let mut seen = BTreeSet::new();
                let targets: Vec<&Target> = observations
                    .iter()
                    .filter(|it| seen.insert(&it.target))
                    .filter_map(|it| self.documents.target(&it.target))
                    .collect();
                let evaluated = evaluate::evaluate(
                    now,
                    &self.documents,
                    &self.state,
                    &self.sight,
                    self.books(now, ledger),
                    &targets,
                );
                outcome.records.extend(evaluated.records);
                outcome.effects = evaluated.effects;
                outcome.explanations = evaluated.explanations;
            }
            Input::Requested(request) => self.plan_request(now, &request, &mut outcome),
            Input::BreakGlassRead(reading) => self.plan_break_glass(now, reading, &mut outcome),
            Input::EffectFinished { id, outcome: ended, detail } => {
                let in_flight = self.state.in_flight().find(|(_, it)| it.id == id);
                // A report that nobody waits for is about an effect of an earlier
                // term, which was declared unknown at the start of this one.
                let of_run = self.state.healing().run_of_effect(id).map(|it| &it.target);
                if let Some(target) = in_flight.map(|(target, _)| target).or(of_run) {
                    outcome.records.push(Record::EffectFinished {
                        at: now,
                        id,
                        target: target.clone(),
                        outcome: ended,
                        detail,
                    });
                }
            }
            Input::NoticeFinished { id, delivery } => {
                if self.state.healing().notice(id).is_some() {
                    outcome.records.push(Record::NoticeEnded { at: now, id, delivery });
                }
            }
            // What follows from these, healing finds.
            Input::PlaybooksObserved(_)
            | Input::Looked { .. }
            | Input::NotifierChecked { .. }
            | Input::DriftFound { .. }
            | Input::ShortfallsRecalled(_)
            | Input::SlisRead(_)
            | Input::SpendRead(_)
            | Input::BudgetsRecalled(_)
            | Input::BillRead { .. }
            | Input::TimePassed => (),
            Input::SnapshotWanted => {
                // The overrides that end right now are gone already.
                let state = Box::new(self.state.clone());
                outcome.records.push(Record::Snapshot { at: now, state });
            }
        }
        outcome
    }

    /// The ledger as it stands, opened anew when there is none or it is old.
    ///
    /// Opening it looks at every target of the region, so the batches of one pass
    /// share one. Without [`tightens_the_ledger`] an older one is too strict, never
    /// too lax: what left its window, came back or was added still is not in it.
    fn books<'a>(&self, now: Timestamp, ledger: &'a mut Option<Ledger>) -> &'a mut Ledger {
        let young = ledger.take().filter(|it| it.is_young(now));
        ledger.insert(
            young.unwrap_or_else(|| Ledger::open(now, &self.documents, &self.state, &self.sight)),
        )
    }

    /// Units of one target that a ledger counts as there.
    fn surely_there(&self, target: &TargetId) -> Capacity {
        let known = self.state.target(target).and_then(|it| it.known).unwrap_or_default();
        let seen = self.sight.target(target).and_then(|it| it.capacity()?.as_ref().ok());
        seen.map_or(known, |it| it.current.min(known))
    }

    fn ended_overrides(&self, now: Timestamp) -> Vec<Record> {
        self.state
            .overrides()
            .filter(|it| it.state(now) == OverrideState::Expired)
            .map(|it| Record::OverrideEnded { at: now, id: it.id, cause: EndCause::Expired })
            .collect()
    }

    fn plan_start(&self, now: Timestamp, version: String, outcome: &mut Outcome) {
        let term = Term(self.state.term().0.saturating_add(1));
        outcome.records.push(Record::TermStarted { at: now, term, version });
        // What was in flight when the last term ended may or may not have happened.
        for (target, it) in self.state.in_flight().filter(|(_, it)| it.unknown_since.is_none()) {
            outcome.records.push(Record::EffectFinished {
                at: now,
                id: it.id,
                target: target.clone(),
                outcome: EffectOutcome::Unknown,
                detail: "the agent stopped before it heard how this ended".to_owned(),
            });
        }
        let healing = self.state.healing();
        for run in healing.active() {
            let Some(id) = run.sent() else { continue };
            if self.state.in_flight().any(|(_, it)| it.id == id) {
                continue;
            }
            outcome.records.push(Record::EffectFinished {
                at: now,
                id,
                target: run.target.clone(),
                outcome: EffectOutcome::Unknown,
                detail: "the agent stopped before it heard how this ended".to_owned(),
            });
        }
        // Whoever receives one twice tells by its number.
        outcome.effects.extend(healing.notices().map(|it| Effect::Notify(Box::new(it.clone()))));
    }

    fn plan_request(&self, now: Timestamp, request: &Request, outcome: &mut Outcome) {
        let current = |target: &Target| self.current_of(&target.id);
        match request::review(now, &self.documents, &self.state, current, request) {
            Ok((records, answer)) => {
                outcome.records.extend(records);
                match &answer {
                    Answer::OverrideSet { accepted, .. } => {
                        outcome.withdrawn = self.contradicted_by(accepted);
                        if accepted.kind == OverrideKind::Takeover {
                            outcome.records.extend(self.taken_over_by(now, accepted));
                            outcome.records.extend(self.noted_by(now, accepted));
                        }
                    }
                    // An effect that has not started is not worth waiting for.
                    Answer::RunChanged { run } if matches!(request.verb, Verb::Abort { .. }) => {
                        let run = self.state.healing().run(*run);
                        outcome.withdrawn = run.and_then(Run::sent).into_iter().collect();
                    }
                    Answer::Expired { .. }
                    | Answer::RunChanged { .. }
                    | Answer::IncidentChanged { .. }
                    | Answer::HandedBack { .. }
                    | Answer::Promoted { .. }
                    | Answer::Reviewed { .. } => (),
                }
                // What people caused to be told leaves like any other notice.
                for record in &outcome.records {
                    if let Record::NoticeRaised { notice, .. } = record {
                        outcome.effects.push(Effect::Notify(notice.clone()));
                    }
                }
                outcome.answer = Some(Ok(answer));
            }
            Err((actor, refusal)) => {
                outcome.records.push(Record::RequestRefused {
                    at: now,
                    actor,
                    verb: request.verb.word().to_owned(),
                    why: refusal.to_string(),
                });
                outcome.answer = Some(Err(refusal));
            }
        }
    }

    fn contradicted_by(&self, accepted: &Override) -> Vec<EffectId> {
        self.state
            .in_flight()
            .filter(|(id, _)| self.documents.target(id).is_some_and(|it| accepted.scope.covers(it)))
            .filter(|(_, it)| contradicts(accepted.kind, it.expected, it.desired))
            .map(|(_, it)| it.id)
            .chain(self.steps_contradicted_by(accepted))
            .collect()
    }

    /// Effects of runs that a person's freeze or takeover stops, where they have not started.
    fn steps_contradicted_by(&self, accepted: &Override) -> Vec<EffectId> {
        let stops = matches!(accepted.kind, OverrideKind::Freeze | OverrideKind::Takeover);
        let covered = |it: &&Run| {
            self.documents.target(&it.target).is_some_and(|it| accepted.scope.covers(it))
        };
        let runs = self.state.healing().active().filter(|_| stops).filter(covered);
        runs.filter_map(Run::sent)
            .filter(|id| self.state.in_flight().all(|(_, it)| it.id != *id))
            .collect()
    }

    /// Runs that end as they are because a person has their target in hand.
    fn taken_over_by(&self, now: Timestamp, accepted: &Override) -> Vec<Record> {
        let covered = |it: &&Run| {
            self.documents.target(&it.target).is_some_and(|it| accepted.scope.covers(it))
        };
        let change = RunEvent::TakenOver { actor: accepted.actor.clone() };
        self.state
            .healing()
            .active()
            .filter(covered)
            .map(|it| Record::Run {
                at: now,
                id: it.id,
                target: it.target.clone(),
                change: change.clone(),
            })
            .collect()
    }

    /// Whoever takes a target over has taken note of its incidents.
    fn noted_by(&self, now: Timestamp, accepted: &Override) -> Vec<Record> {
        let covered =
            |id: &TargetId| self.documents.target(id).is_some_and(|it| accepted.scope.covers(it));
        let change = IncidentEvent::Acknowledged { actor: accepted.actor.clone() };
        self.state
            .healing()
            .incidents()
            .filter(|it| it.is_open() && it.acknowledged.is_none())
            .filter(|it| it.lasting().any(|it| covered(&it.target)))
            .map(|it| Record::Incident { at: now, id: it.id, change: change.clone() })
            .collect()
    }

    fn plan_break_glass(&self, now: Timestamp, reading: BreakGlassReading, outcome: &mut Outcome) {
        let cause = match reading {
            BreakGlassReading::Absent => None,
            BreakGlassReading::Present { text } if text.is_empty() => {
                Some("the break-glass file is there".to_owned())
            }
            BreakGlassReading::Present { text } => Some(text),
            BreakGlassReading::Unreadable { error } => {
                Some(format!("the break-glass file cannot be read: {error}"))
            }
        };
        match (cause, self.state.break_glass()) {
            (None, Some(_)) => outcome.records.push(Record::BreakGlassReleased { at: now }),
            (Some(cause), None) => {
                outcome.records.push(Record::BreakGlassEngaged { at: now, cause });
                let running = self.state.in_flight().filter(|(_, it)| it.unknown_since.is_none());
                let steps = self.state.healing().active().filter_map(Run::sent);
                let all: BTreeSet<EffectId> = running.map(|(_, it)| it.id).chain(steps).collect();
                outcome.withdrawn = all.into_iter().collect();
            }
            (None, None) | (Some(_), Some(_)) => (),
        }
    }

    /// From asking for capacity of `target` to having it, as far as the agent knows.
    pub fn lead_time_of(&self, target: &TargetId) -> KnownLeadTime {
        let document = self.documents.target(target).map_or(LeadTime::Measure, |it| it.lead_time);
        KnownLeadTime::of(document, self.state.target(target).map(|it| &it.lead_times))
    }

    /// The capacity that a target has as far as the agent knows.
    pub fn current_of(&self, target: &TargetId) -> Option<Capacity> {
        let seen = self.sight.target(target).and_then(|it| it.capacity()?.as_ref().ok());
        seen.map(|it| it.current).or_else(|| self.state.target(target)?.known)
    }
}

/// Whether a ledger that was opened before `record` could allow too much. What a
/// planned effect removes was entered when it was permitted; one that is done
/// moves its units from what is there to what is gone; one that is rejected
/// gives them back, which can wait for the next ledger.
fn tightens_the_ledger(record: &Record) -> bool {
    match record {
        Record::EffectFinished { outcome, .. } => *outcome == EffectOutcome::Unknown,
        Record::EffectReadBack { .. }
        | Record::ChangedOutside { .. }
        | Record::DocumentsAdopted { .. }
        | Record::Snapshot { .. } => true,
        Record::TermStarted { .. }
        | Record::TargetAdopted { .. }
        | Record::OverrideAccepted { .. }
        | Record::OverrideEnded { .. }
        | Record::BreakGlassEngaged { .. }
        | Record::BreakGlassReleased { .. }
        | Record::EffectPlanned { .. }
        | Record::LeadTimeMeasured { .. }
        | Record::LeadTimeMissed { .. }
        | Record::ForecastPromoted { .. }
        | Record::ForecastDemoted { .. }
        | Record::RunOpened { .. }
        | Record::Run { .. }
        | Record::Incident { .. }
        | Record::Storm { .. }
        | Record::Autonomy { .. }
        | Record::NoticeRaised { .. }
        | Record::NoticeEnded { .. }
        | Record::OverrideEndAnnounced { .. }
        | Record::HandedBack { .. }
        | Record::LeftToPeople { .. }
        | Record::Reviewed { .. }
        | Record::ReviewOverdue { .. }
        | Record::Budget { .. }
        | Record::SloAlert { .. }
        | Record::Reconciled { .. }
        | Record::RequestRefused { .. } => false,
    }
}

impl Outcome {
    /// The records to make durable.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Hands out effects and answers after `append` made the records durable.
    /// `append` is not called without records.
    ///
    /// There is no other way to get at them, so an effect cannot happen before
    /// the journal knows about it.
    ///
    /// # Errors
    ///
    /// Whatever `append` returns. The caller must then stop: memory is ahead of
    /// the journal, and only a restart (replay) brings them together again.
    pub fn commit<E>(
        self,
        append: impl FnOnce(&[Record]) -> Result<(), E>,
    ) -> Result<Committed, E> {
        let Outcome { records, effects, withdrawn, answer, explanations } = self;
        if !records.is_empty() {
            append(&records)?;
        }
        Ok(Committed { effects, withdrawn, answer, explanations })
    }
}
