//! What must not be forgotten of incidents, runs, notices and autonomy.
//!
//! **In:** records, one at a time, from [`crate::state::State::apply`].
//! **Out:** the memory that they lead to.
//! **Not here:** what playbooks currently see ([`super::view`]), decisions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::ActionClass;
use crate::autonomy::{AutonomyEvent, Standing};
use crate::effect::EffectOutcome;
use crate::ids::{Actor, EffectId, IncidentId, NoticeId, PlaybookId, RunId, TargetId};
use crate::incident::{Incident, IncidentEvent, RESOLVED_KEPT, Storm};
use crate::notice::Notice;
use crate::overrides::{Override, Scope};
use crate::run::{Phase, Run, RunCause, RunEvent};

/// Ended runs that are kept in memory. Why 500: what `incidents` and the timelines of the
/// incidents that are kept refer to; all are in the journal for ever.
pub const ENDED_KEPT: usize = 500;

/// The memory of healing. Equal records give equal memories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Healing {
    incidents: BTreeMap<IncidentId, Incident>,
    next_incident: IncidentId,
    runs: BTreeMap<RunId, Run>,
    next_run: RunId,
    /// Runs that are not over.
    active: BTreeSet<RunId>,
    /// The active run of each target: the lock.
    by_target: BTreeMap<TargetId, RunId>,
    /// Runs that ended or got stuck, and nobody was told yet.
    unreported: BTreeSet<RunId>,
    /// Runs by the effect they wait for.
    by_effect: BTreeMap<EffectId, RunId>,
    /// When runs of each playbook began on each target, oldest first.
    attempts: BTreeMap<PlaybookId, BTreeMap<TargetId, Vec<Timestamp>>>,
    /// When the last run on each target ended.
    ended_at: BTreeMap<TargetId, Timestamp>,
    storm: Option<Storm>,
    standings: BTreeMap<TargetId, BTreeMap<ActionClass, Standing>>,
    notices: BTreeMap<NoticeId, Notice>,
    next_notice: NoticeId,
    reviews: BTreeMap<RunId, ReviewDue>,
    lapses: Vec<Lapse>,
    /// Overrides whose end was announced.
    announced: BTreeSet<crate::ids::OverrideId>,
}

/// A gate was passed by break-glass; somebody has to look at it afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewDue {
    /// Who passed it.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// Whether people were told that it is overdue.
    pub is_overdue: bool,
}

/// How long a review may take. Source: the invariants of healing, 13.
pub const REVIEWED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// People had it in hand and did not give it back: the agent suggests, until they do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    /// What it is about.
    pub scope: Scope,
    /// Since when.
    pub at: Timestamp,
    /// Whether a takeover lapsed: then scaling waits too, not only playbooks.
    pub was_takeover: bool,
    /// How it came.
    pub why: String,
}

/// Most lapses that are remembered; with more, everything is suggested only. Why 1,000: as
/// many as there can be overrides.
pub const LAPSES_MAX: usize = 1_000;

/// What can happen to a storm. Each is a durable record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StormEvent {
    /// It is too much.
    Began { why: String },
    /// It still is, so long after the last record of it that the cooldown is near.
    GoesOn { why: String },
    /// It was not too much for a whole cooldown.
    Ended,
}

impl StormEvent {
    /// The kind of its record in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            StormEvent::Began { .. } => "storm_began",
            StormEvent::GoesOn { .. } => "storm_goes_on",
            StormEvent::Ended => "storm_ended",
        }
    }
}

impl Healing {
    pub(crate) fn open_run(&mut self, at: Timestamp, run: &Run) {
        // Numbers only grow: a replayed or forged old one is not taken up again.
        if run.id < self.next_run {
            return;
        }
        self.next_run = run.id.next();
        self.active.insert(run.id);
        self.by_target.insert(run.target.clone(), run.id);
        // To look at a plan is no attempt; what a schedule began, dry or not, it began.
        if !(run.is_dry && matches!(run.cause, RunCause::ByHand { .. })) {
            let attempts = self.attempts.entry(run.playbook.clone()).or_default();
            let of_target = attempts.entry(run.target.clone()).or_default();
            of_target.push(at);
            of_target.retain(|it| at.duration_since(*it) <= ATTEMPTS_KEPT);
        }
        if let Some(incident) = run.incident.and_then(|id| self.incidents.get_mut(&id)) {
            incident.runs.push(run.id);
            incident.waiting_for = None;
            let cause = match &run.cause {
                RunCause::Triggered { .. } => String::new(),
                RunCause::Scheduled => ", on schedule".to_owned(),
                RunCause::ByHand { actor, reason } => format!(", by {actor}: {reason}"),
            };
            incident
                .note(at, format!("{} of {} on {} began{cause}", run.id, run.playbook, run.target));
        }
        self.runs.insert(run.id, run.clone());
        self.forget_ended();
    }

    pub(crate) fn apply_run(&mut self, at: Timestamp, id: RunId, event: &RunEvent) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let before = run.effect();
        // What is impossible was refused before it was recorded; a journal that holds it
        // all the same leaves the run as it is.
        if run.apply(at, event).is_err() {
            return;
        }
        if let RunEvent::Approved { approval } = event
            && approval.is_break_glass
        {
            // A second gate does not give the first more time.
            let due = ReviewDue { actor: approval.actor.clone(), at, is_overdue: false };
            self.reviews.entry(id).or_insert(due);
        }
        if *event == RunEvent::Reported {
            self.unreported.remove(&id);
            return;
        }
        let line = describe(event, run);
        self.settle(at, id, before, line);
    }

    /// How an effect of a run ended, from the record of that.
    pub(crate) fn finish_effect(
        &mut self,
        at: Timestamp,
        effect: EffectId,
        outcome: EffectOutcome,
        detail: &str,
    ) {
        let Some(id) = self.by_effect.get(&effect).copied() else { return };
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.finish_effect(at, effect, outcome, detail).is_ok() {
            let line = format!("effect {effect} {outcome}: {detail}");
            self.settle(at, id, Some(effect), Some(line));
        }
    }

    /// Brings what follows from a run up to date with it.
    fn settle(&mut self, at: Timestamp, id: RunId, before: Option<EffectId>, line: Option<String>) {
        let Some(run) = self.runs.get(&id) else { return };
        let after = run.effect();
        if before != after {
            if let Some(effect) = before {
                self.by_effect.remove(&effect);
            }
            if let Some(effect) = after {
                self.by_effect.insert(effect, id);
            }
        }
        let ending = match &run.phase {
            Phase::Ended { ending, .. } => Some(format!("{id} {}", show_ending(ending))),
            Phase::Stuck { why, .. } => Some(format!("{id} is stuck: {why}")),
            Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Undoing { .. } => None,
        };
        if ending.is_some() {
            self.unreported.insert(id);
        }
        if let Some(incident) = run.incident.and_then(|it| self.incidents.get_mut(&it)) {
            for what in line.map(|it| format!("{id}: {it}")).into_iter().chain(ending) {
                incident.note(at, what);
            }
        }
        if run.phase.is_terminal() {
            self.active.remove(&id);
            self.by_target.remove(&run.target);
            // A dry run changes nothing that would have to settle.
            if !run.is_dry {
                self.ended_at.insert(run.target.clone(), at);
            }
            self.forget_ended();
        }
    }

    /// Forgets the run that ended first. A long one that has just ended has a low number.
    fn forget_ended(&mut self) {
        let n_ended = self.runs.len().saturating_sub(self.active.len());
        if ENDED_KEPT < n_ended {
            let ended_at = |it: &Run| match it.phase {
                Phase::Ended { at, .. } => Some((at, it.id)),
                Phase::Planning { .. }
                | Phase::AwaitingApproval { .. }
                | Phase::Running { .. }
                | Phase::Verifying { .. }
                | Phase::Undoing { .. }
                | Phase::Stuck { .. } => None,
            };
            if let Some((_, id)) = self.runs.values().filter_map(ended_at).min() {
                self.runs.remove(&id);
            }
        }
    }

    pub(crate) fn apply_incident(&mut self, at: Timestamp, id: IncidentId, event: &IncidentEvent) {
        if let IncidentEvent::Opened { symptom, severity } = event {
            if id < self.next_incident {
                return;
            }
            self.next_incident = id.next();
            self.incidents.insert(id, Incident::opened(id, at, symptom.clone(), *severity));
            let n_resolved = self.incidents.values().filter(|it| !it.is_open()).count();
            if RESOLVED_KEPT < n_resolved {
                let oldest = self.incidents.values().find(|it| !it.is_open()).map(|it| it.id);
                if let Some(oldest) = oldest {
                    self.incidents.remove(&oldest);
                }
            }
        } else if let Some(incident) = self.incidents.get_mut(&id) {
            incident.apply(at, event);
        }
    }

    pub(crate) fn apply_storm(&mut self, at: Timestamp, event: &StormEvent) {
        match event {
            StormEvent::Began { why } => {
                self.storm = Some(Storm { since: at, last_at: at, why: why.clone() });
            }
            StormEvent::GoesOn { why } => {
                if let Some(storm) = &mut self.storm {
                    storm.last_at = at;
                    storm.why.clone_from(why);
                }
            }
            StormEvent::Ended => self.storm = None,
        }
    }

    pub(crate) fn apply_autonomy(
        &mut self,
        at: Timestamp,
        target: &TargetId,
        class: ActionClass,
        event: &AutonomyEvent,
    ) {
        let of_target = self.standings.entry(target.clone()).or_default();
        of_target.entry(class).or_default().apply(at, event);
    }

    pub(crate) fn raise(&mut self, notice: &Notice) {
        if notice.id < self.next_notice {
            return;
        }
        self.next_notice = notice.id.next();
        self.notices.insert(notice.id, notice.clone());
        if crate::notice::NOTICES_MAX < self.notices.len() {
            let is_page = |it: &&Notice| it.severity == crate::incident::Severity::Page;
            let oldest = self.notices.values().find(|it| !is_page(it));
            let oldest = oldest.or(self.notices.values().next()).map(|it| it.id);
            if let Some(id) = oldest {
                self.notices.remove(&id);
            }
        }
    }

    pub(crate) fn end_notice(&mut self, id: NoticeId) {
        self.notices.remove(&id);
    }

    pub(crate) fn review_overdue(&mut self, id: RunId) {
        if let Some(due) = self.reviews.get_mut(&id) {
            due.is_overdue = true;
        }
    }

    pub(crate) fn reviewed(&mut self, at: Timestamp, id: RunId, actor: &Actor, note: &str) {
        self.reviews.remove(&id);
        let incident = self.runs.get(&id).and_then(|it| it.incident);
        if let Some(incident) = incident.and_then(|it| self.incidents.get_mut(&it)) {
            incident.note(at, format!("{id}: break-glass reviewed by {actor}: {note}"));
        }
    }

    pub(crate) fn lapse(&mut self, at: Timestamp, ended: &Override) {
        let why = format!("{} of {} ({}) expired", ended.kind.word(), ended.actor, ended.id);
        let was_takeover = ended.kind == crate::overrides::OverrideKind::Takeover;
        self.push_lapse(Lapse { scope: ended.scope.clone(), at, was_takeover, why });
        self.announced.remove(&ended.id);
    }

    pub(crate) fn forget_announced(&mut self, id: crate::ids::OverrideId) {
        self.announced.remove(&id);
    }

    pub(crate) fn announce(&mut self, id: crate::ids::OverrideId) {
        self.announced.insert(id);
    }

    pub(crate) fn push_lapse(&mut self, lapse: Lapse) {
        self.lapses
            .retain(|it| it.scope != lapse.scope || (it.was_takeover && !lapse.was_takeover));
        if LAPSES_MAX <= self.lapses.len() {
            self.lapses.clear();
            let why = "too many scopes lapsed to remember each".to_owned();
            let (scope, at) = (Scope::Everything, lapse.at);
            self.lapses.push(Lapse { scope, at, was_takeover: true, why });
        } else if !self.lapses.iter().any(|it| it.scope == lapse.scope) {
            self.lapses.push(lapse);
        }
    }

    pub(crate) fn hand_back(&mut self, scopes: &[Scope]) {
        self.lapses.retain(|it| !scopes.contains(&it.scope));
    }

    /// Every incident in memory, by number.
    pub fn incidents(&self) -> impl ExactSizeIterator<Item = &Incident> {
        self.incidents.values()
    }

    /// One incident.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// The number that the next incident gets.
    pub fn next_incident(&self) -> IncidentId {
        self.next_incident
    }

    /// Every run in memory, by number.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = &Run> {
        self.runs.values()
    }

    /// One run.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// Runs that are not over, stuck ones included.
    pub fn active(&self) -> impl Iterator<Item = &Run> {
        self.active.iter().filter_map(|it| self.runs.get(it))
    }

    /// The run that is under way on a target, or stuck there.
    pub fn active_on(&self, target: &TargetId) -> Option<&Run> {
        self.runs.get(self.by_target.get(target)?)
    }

    /// Runs that ended or got stuck, and nobody was told yet.
    pub fn unreported(&self) -> impl Iterator<Item = &Run> {
        self.unreported.iter().filter_map(|it| self.runs.get(it))
    }

    /// The run that waits for an effect.
    pub fn run_of_effect(&self, effect: EffectId) -> Option<&Run> {
        self.runs.get(self.by_effect.get(&effect)?)
    }

    /// The number that the next run gets.
    pub fn next_run(&self) -> RunId {
        self.next_run
    }

    /// When runs of a playbook began on a target, oldest first, within [`ATTEMPTS_KEPT`].
    pub fn attempts(&self, playbook: &PlaybookId, target: &TargetId) -> &[Timestamp] {
        let of_playbook = self.attempts.get(playbook);
        of_playbook.and_then(|it| it.get(target)).map_or(&[], Vec::as_slice)
    }

    /// When the last run on a target ended.
    pub fn last_ended_at(&self, target: &TargetId) -> Option<Timestamp> {
        self.ended_at.get(target).copied()
    }

    /// The storm, while there is one.
    pub fn storm(&self) -> Option<&Storm> {
        self.storm.as_ref()
    }

    /// What is known of a class of actions on a target.
    pub fn standing(&self, target: &TargetId, class: ActionClass) -> Option<&Standing> {
        self.standings.get(target)?.get(&class)
    }

    /// All that is known of autonomy.
    pub fn standings(&self) -> impl Iterator<Item = (&TargetId, ActionClass, &Standing)> {
        self.standings
            .iter()
            .flat_map(|(target, it)| it.iter().map(move |(class, it)| (target, *class, it)))
    }

    /// Notices that wait for their delivery, by number.
    pub fn notices(&self) -> impl ExactSizeIterator<Item = &Notice> {
        self.notices.values()
    }

    /// One of them.
    pub fn notice(&self, id: NoticeId) -> Option<&Notice> {
        self.notices.get(&id)
    }

    /// The number that the next notice gets.
    pub fn next_notice(&self) -> NoticeId {
        self.next_notice
    }

    /// Reviews that are due, by run.
    pub fn reviews(&self) -> impl ExactSizeIterator<Item = (RunId, &ReviewDue)> {
        self.reviews.iter().map(|(id, it)| (*id, it))
    }

    /// Scopes that people had in hand and did not give back.
    pub fn lapses(&self) -> &[Lapse] {
        &self.lapses
    }

    /// Whether the end of an override was announced.
    pub fn is_announced(&self, id: crate::ids::OverrideId) -> bool {
        self.announced.contains(&id)
    }
}

/// How long the beginnings of runs are remembered. Why 24 h: the longest window of a
/// playbook's attempts.
pub const ATTEMPTS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// For a timeline; `None` for what says nothing new there.
fn describe(event: &RunEvent, run: &Run) -> Option<String> {
    let step_name = |step: u16| {
        let name = run.plan.as_ref().and_then(|it| it.steps.get(usize::from(step)));
        name.map_or_else(
            || format!("step {}", step.saturating_add(1)),
            |it| format!("step `{}`", it.name),
        )
    };
    Some(match event {
        RunEvent::Planned { plan } => format!("plan {}: {}", plan.hash(), plan.lines().join("; ")),
        RunEvent::ApprovalAsked { step, expires_at, .. } => {
            format!("waits for approval before {} until {expires_at:.0}", step_name(*step))
        }
        RunEvent::ApprovalEscalated => "half of the time for an approval has passed".to_owned(),
        RunEvent::Approved { approval } if approval.is_break_glass => {
            format!("{} approved by break-glass (plan {})", approval.actor, approval.plan_hash)
        }
        RunEvent::Approved { approval } => {
            format!("{} approved (plan {})", approval.actor, approval.plan_hash)
        }
        RunEvent::Denied { actor, reason } => format!("{actor} denied: {reason}"),
        RunEvent::ApprovalExpired => "nobody answered in time: that is a no".to_owned(),
        RunEvent::PlanVoided { why } => format!("the plan is out of date: {why}"),
        RunEvent::Sent { step, is_undo, effect, action, .. } => {
            let verb = if *is_undo { "undoing" } else { "doing" };
            format!("{verb} {}: {action} ({effect})", step_name(*step))
        }
        RunEvent::ReadBack { effect, happened: true } => {
            format!("{effect} was read back: it happened")
        }
        RunEvent::ReadBack { effect, happened: false } => {
            format!("{effect} was read back: it did not happen")
        }
        RunEvent::StepDone { step, why } => format!("{} done: {why}", step_name(*step)),
        RunEvent::StepFailed { step, why } => format!("{} failed: {why}", step_name(*step)),
        RunEvent::Verified => "verified: what should hold, holds".to_owned(),
        RunEvent::NotVerified { why } => format!("not verified: {why}"),
        RunEvent::Aborted { actor, reason } => format!("{actor} aborted: {reason}"),
        RunEvent::TakenOver { actor } => format!("{actor} took over"),
        RunEvent::UndoFailed { step, why } => format!("undo of {} failed: {why}", step_name(*step)),
        RunEvent::UndoSkipped { .. }
        | RunEvent::Refused { .. }
        | RunEvent::Reported
        | RunEvent::GatePassed { .. }
        | RunEvent::WaitBegan { .. } => return None,
    })
}

/// An ending in a few words.
pub fn show_ending(ending: &crate::run::Ending) -> String {
    use crate::run::Ending;
    match ending {
        Ending::Succeeded => "succeeded, verified".to_owned(),
        Ending::RolledBack { why } => format!("was undone: {why}"),
        Ending::Refused { why } => format!("was not begun: {why}"),
        Ending::Denied { actor, reason } => format!("was denied by {actor}: {reason}"),
        Ending::Expired => "was not approved in time".to_owned(),
        Ending::Aborted { actor, reason } => format!("was aborted by {actor}: {reason}"),
        Ending::TakenOver { actor } => format!("was taken over by {actor}"),
        Ending::Cleared { actor, reason } => format!("was stuck and cleared by {actor}: {reason}"),
    }
}

impl Default for RunId {
    /// The first number that is given out.
    fn default() -> RunId {
        RunId(1)
    }
}

impl Default for IncidentId {
    /// The first number that is given out.
    fn default() -> IncidentId {
        IncidentId(1)
    }
}

impl Default for NoticeId {
    /// The first number that is given out.
    fn default() -> NoticeId {
        NoticeId(1)
    }
}
