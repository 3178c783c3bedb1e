//! What people say about runs, incidents and autonomy.
//!
//! **In:** a verb of an authenticated and known person.
//! **Out:** the records that carry it out, or why it is refused; nothing is accepted and
//! then ignored.
//! **Not here:** overrides ([`crate::request`]), what follows in the run
//! ([`super::advance`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::action::{Action, ActionClass};
use crate::autonomy::AutonomyEvent;
use crate::documents::{Autonomy, Documents, Gate, Playbook, Principal, Role, Target};
use crate::guard;
use crate::heal::care::classes_of;
use crate::heal::notices;
use crate::heal::opening::new_run;
use crate::ids::{Actor, IncidentId, ParameterName, PlaybookId, RunId, TargetId};
use crate::incident::IncidentEvent;
use crate::notice::Notice;
use crate::overrides::{Override, OverrideKind, Scope, in_force};
use crate::record::{EndCause, Record};
use crate::request::{Answer, RequestRefusal, Verb, checked_reason};
use crate::run::plan::{PlannedKind, PlannedStep};
use crate::run::{Approval, Phase, Run, RunCause, RunEvent, StepPhase};
use crate::state::State;

struct Review<'a> {
    now: Timestamp,
    documents: &'a Documents,
    state: &'a State,
    principal: &'a Principal,
}

type Reviewed = Result<(Vec<Record>, Answer), RequestRefusal>;

/// Reviews a verb about healing.
///
/// # Errors
///
/// [`RequestRefusal`].
pub(crate) fn review(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    principal: &Principal,
    verb: &Verb,
) -> Reviewed {
    let it = Review { now, documents, state, principal };
    match verb {
        Verb::StartRun { playbook, target, parameters, is_dry, reason } => {
            it.start(playbook, target, parameters, *is_dry, reason)
        }
        Verb::Approve { run, plan_hash, is_break_glass, reason } => {
            it.approve(*run, plan_hash, *is_break_glass, reason)
        }
        Verb::Deny { run, reason } => it.deny(*run, reason),
        Verb::Abort { run, reason } => it.abort(*run, reason),
        Verb::Acknowledge { incident } => it.acknowledge(*incident),
        Verb::HandBack { scope, reason } => it.hand_back(scope, reason),
        Verb::Promote { target, class, to, reason } => it.promote(target, *class, *to, reason),
        Verb::Review { run, note } => it.review(*run, note),
        // Those are overrides, which never come here.
        Verb::SetOverride { .. } | Verb::Expire { .. } => Err(RequestRefusal::NoReason),
    }
}

impl Review<'_> {
    fn start(
        &self,
        playbook: &PlaybookId,
        target: &TargetId,
        parameters: &BTreeMap<ParameterName, f64>,
        is_dry: bool,
        reason: &str,
    ) -> Reviewed {
        self.principal.require(Role::Operator)?;
        let found = self.documents.playbook(playbook);
        let playbook =
            found.ok_or_else(|| RequestRefusal::NoPlaybook { playbook: playbook.clone() })?;
        let found = self.documents.target(target);
        let target = found.ok_or_else(|| RequestRefusal::NoTarget { target: target.clone() })?;
        self.principal.require_on(Role::Operator, [target])?;
        let reason = required(reason)?;
        let cannot = |why: String| RequestRefusal::CannotRun {
            playbook: playbook.id.clone(),
            target: target.id.clone(),
            why,
        };
        if !playbook.selector.selects(target) {
            return Err(cannot("it does not select that target".to_owned()));
        }
        if !playbook.trigger.by_hand {
            return Err(cannot("its trigger says `by_hand: false`".to_owned()));
        }
        if let Some(other) = self.state.healing().active_on(&target.id) {
            let other = format!("{} of {} has the target", other.id, other.playbook);
            return Err(cannot(format!("{other}; abort it, or wait until it is over")));
        }
        if !is_dry {
            self.must_not_be_outranked(target)?;
        }
        let parameters = with_defaults(playbook, parameters)?;
        let healing = self.state.healing();
        let incident = healing.incidents().filter(|it| it.is_open()).find(|it| {
            it.lasting().any(|it| it.target == target.id)
                && !it
                    .runs
                    .iter()
                    .any(|id| healing.run(*id).is_some_and(|it| !it.phase.is_terminal()))
        });
        let id = healing.next_run();
        let actor = self.actor();
        let cause = RunCause::ByHand { actor: actor.clone(), reason };
        let incident = incident.map(|it| it.id).filter(|_| !is_dry);
        let autonomy = playbook.autonomy;
        let run =
            new_run(id, self.now, playbook, target, incident, cause, parameters, autonomy, is_dry);
        let mut records = self.taken_note(incident);
        records.push(Record::RunOpened { at: self.now, run: Box::new(run) });
        Ok((records, Answer::RunChanged { run: id }))
    }

    fn approve(&self, id: RunId, plan_hash: &str, is_break_glass: bool, reason: &str) -> Reviewed {
        self.principal.require(Role::Operator)?;
        let run = self.run(id)?;
        let step = match &run.phase {
            Phase::AwaitingApproval { step, expires_at, .. } if self.now < *expires_at => *step,
            Phase::AwaitingApproval { expires_at, .. } => {
                let why = format!("the time for an answer ended at {expires_at:.0}");
                return Err(wrong_phase(run, &why));
            }
            Phase::Planning { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Undoing { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. } => return Err(wrong_phase(run, "it waits for no approval")),
        };
        let (Some(plan), Some(gate)) = (&run.plan, gate_of(run, step)) else {
            return Err(wrong_phase(run, "it waits for no approval"));
        };
        let target = self.target_of(run)?;
        self.principal.require_on(gate.role.max(Role::Operator), [target])?;
        let actor = self.actor();
        let reason = checked_reason(reason)?;
        if is_break_glass && reason.is_empty() {
            return Err(RequestRefusal::NoReason);
        }
        let current = plan.hash();
        if current != plan_hash {
            let given = shortened(plan_hash);
            return Err(RequestRefusal::PlanChanged { run: id, given, current });
        }
        if !is_break_glass {
            if !gate.approvers.is_empty() && !gate.approvers.contains(actor) {
                let names: Vec<&str> = gate.approvers.iter().map(Actor::as_str).collect();
                let (actor, approvers) = (actor.clone(), names.join(", "));
                return Err(RequestRefusal::NotAnApprover { actor, approvers });
            }
            if asked_by(run) == Some(actor) {
                return Err(RequestRefusal::OwnRequest { run: id, actor: actor.clone() });
            }
        }
        let before: BTreeSet<&Actor> =
            run.approvals.iter().filter(|it| it.step == step).map(|it| &it.actor).collect();
        let n_missing =
            gate.n_approvals.saturating_sub(u32::try_from(before.len()).unwrap_or(u32::MAX));
        if before.contains(actor) && !is_break_glass {
            let actor = actor.clone();
            return Err(RequestRefusal::ApprovedAlready { run: id, actor, n_missing });
        }
        self.must_not_be_outranked(target)?;
        self.must_not_be_kept_from(target, plan.steps.get(usize::from(step)))?;
        let approval = Approval {
            actor: actor.clone(),
            at: self.now,
            step,
            plan_hash: current,
            is_break_glass,
        };
        let mut records = self.taken_note(run.incident);
        records.push(self.run_record(run, RunEvent::Approved { approval }));
        if is_break_glass {
            let notice = notices::break_glass_used(run, actor, &reason);
            records.push(self.notice(notice));
        }
        for class in classes_of(run) {
            let change = AutonomyEvent::Decided { agreed: true };
            records.push(self.autonomy_record(&run.target, class, change));
        }
        if is_break_glass || n_missing <= 1 {
            records.push(self.run_record(run, RunEvent::GatePassed { step }));
        }
        Ok((records, Answer::RunChanged { run: id }))
    }

    fn deny(&self, id: RunId, reason: &str) -> Reviewed {
        let run = self.run_to_change(id)?;
        let reason = checked_reason(reason)?;
        if !matches!(run.phase, Phase::AwaitingApproval { .. }) {
            return Err(wrong_phase(
                run,
                "only what waits for an approval can be denied; see `abort`",
            ));
        }
        let mut records = self.taken_note(run.incident);
        let actor = self.actor().clone();
        records.push(self.run_record(run, RunEvent::Denied { actor, reason }));
        for class in classes_of(run) {
            let change = AutonomyEvent::Decided { agreed: false };
            records.push(self.autonomy_record(&run.target, class, change));
        }
        Ok((records, Answer::RunChanged { run: id }))
    }

    fn abort(&self, id: RunId, reason: &str) -> Reviewed {
        let run = self.run_to_change(id)?;
        let reason = checked_reason(reason)?;
        match &run.phase {
            Phase::Ended { .. } => return Err(wrong_phase(run, "it is over")),
            Phase::Undoing { .. } => {
                return Err(wrong_phase(run, "it is being undone already; `takeover` stops that"));
            }
            Phase::Running { at: StepPhase::Sent { .. } | StepPhase::Unknown { .. }, .. }
                if run.aborted.is_some() =>
            {
                return Err(wrong_phase(run, "it was aborted already and waits for its effect"));
            }
            Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Stuck { .. } => (),
        }
        let mut records = self.taken_note(run.incident);
        let actor = self.actor().clone();
        records.push(self.run_record(run, RunEvent::Aborted { actor, reason }));
        Ok((records, Answer::RunChanged { run: id }))
    }

    fn acknowledge(&self, id: IncidentId) -> Reviewed {
        self.principal.require(Role::Operator)?;
        let incident = self.state.healing().incident(id).filter(|it| it.is_open());
        if incident.is_none() {
            return Err(RequestRefusal::NoIncident { incident: id });
        }
        let actor = self.actor().clone();
        let change = IncidentEvent::Acknowledged { actor };
        let record = Record::Incident { at: self.now, id, change };
        Ok((vec![record], Answer::IncidentChanged { incident: id }))
    }

    /// Ends takeovers, and lets what lapsed or was demoted in scope resume.
    fn hand_back(&self, scope: &Scope, reason: &str) -> Reviewed {
        self.principal.require(Role::Operator)?;
        let reason = checked_reason(reason)?;
        let covered: Vec<&Target> =
            self.documents.targets().filter(|it| scope.covers(it)).collect();
        self.principal.require_on(Role::Operator, covered.iter().copied())?;
        let is_within = |other: &Scope| {
            *other == *scope
                || *scope == Scope::Everything
                || self.documents.targets().filter(|it| other.covers(it)).all(|it| scope.covers(it))
                    && self.documents.targets().any(|it| other.covers(it))
        };
        let ended: Vec<Override> = self
            .state
            .overrides()
            .filter(|it| it.kind == OverrideKind::Takeover && is_within(&it.scope))
            .cloned()
            .collect();
        let healing = self.state.healing();
        let resumed: Vec<Scope> =
            healing.lapses().iter().map(|it| it.scope.clone()).filter(|it| is_within(it)).collect();
        let restored: Vec<(TargetId, ActionClass)> = healing
            .standings()
            .filter(|(_, _, it)| it.demotion.is_some())
            .filter(|(target, _, _)| covered.iter().any(|it| it.id == **target))
            .map(|(target, class, _)| (target.clone(), class))
            .collect();
        if ended.is_empty() && resumed.is_empty() && restored.is_empty() {
            return Err(RequestRefusal::NothingToHandBack { scope: scope.clone() });
        }
        let actor = self.actor();
        let mut records: Vec<Record> = ended
            .iter()
            .map(|it| {
                let (actor, reason) = (actor.clone(), reason.clone());
                let cause = EndCause::Cancelled { actor, reason };
                Record::OverrideEnded { at: self.now, id: it.id, cause }
            })
            .collect();
        if !resumed.is_empty() {
            let (scopes, actor, reason) = (resumed.clone(), actor.clone(), reason.clone());
            records.push(Record::HandedBack { at: self.now, scopes, actor, reason });
        }
        for (target, class) in &restored {
            let change = AutonomyEvent::Resumed { actor: actor.clone() };
            records.push(self.autonomy_record(target, *class, change));
        }
        Ok((records, Answer::HandedBack { ended, resumed, restored }))
    }

    fn promote(
        &self,
        target: &TargetId,
        class: ActionClass,
        to: Autonomy,
        reason: &str,
    ) -> Reviewed {
        self.principal.require(Role::Operator)?;
        let found = self.documents.target(target);
        let target = found.ok_or_else(|| RequestRefusal::NoTarget { target: target.clone() })?;
        // Who may stop may take back; who decides what runs unattended may grant.
        let standing =
            self.state.healing().standing(&target.id, class).cloned().unwrap_or_default();
        let playbooks: Vec<&Playbook> = self
            .documents
            .playbooks()
            .filter(|it| it.selector.selects(target) && it.classes().contains(&class))
            .collect();
        let effective =
            playbooks.iter().map(|it| standing.effective(it.autonomy, it.autonomy_max)).max();
        let autonomy_max = playbooks.iter().map(|it| it.autonomy_max).max();
        let (Some(effective), Some(autonomy_max)) = (effective, autonomy_max) else {
            return Err(RequestRefusal::NoSuchActions { target: target.id.clone(), class });
        };
        let role = if effective < to { Role::Admin } else { Role::Operator };
        self.principal.require_on(role, [target])?;
        let reason = required(reason)?;
        if autonomy_max < to {
            let target = target.id.clone();
            return Err(RequestRefusal::TooMuchAutonomy { target, class, autonomy_max });
        }
        let actor = self.actor().clone();
        let change = if to < effective {
            AutonomyEvent::Demoted { to, why: format!("{actor}: {reason}") }
        } else {
            AutonomyEvent::Promoted { to, actor, reason }
        };
        let records = vec![self.autonomy_record(&target.id, class, change)];
        Ok((records, Answer::Promoted { target: target.id.clone(), class }))
    }

    fn review(&self, id: RunId, note: &str) -> Reviewed {
        self.principal.require(Role::Operator)?;
        let note = required(note)?;
        let due = self.state.healing().reviews().find(|(run, _)| *run == id);
        let Some((_, due)) = due else { return Err(RequestRefusal::NothingToReview { run: id }) };
        let actor = self.actor().clone();
        let passed_alone = |it: &Approval| it.is_break_glass && it.actor == actor;
        let run = self.state.healing().run(id);
        if due.actor == actor || run.is_some_and(|it| it.approvals.iter().any(passed_alone)) {
            return Err(RequestRefusal::OwnRequest { run: id, actor });
        }
        let record = Record::Reviewed { at: self.now, run: id, actor, note };
        Ok((vec![record], Answer::Reviewed { run: id }))
    }

    fn run(&self, id: RunId) -> Result<&Run, RequestRefusal> {
        self.state.healing().run(id).ok_or(RequestRefusal::NoRun { run: id })
    }

    /// A run, when the person may say something about it.
    fn run_to_change(&self, id: RunId) -> Result<&Run, RequestRefusal> {
        self.principal.require(Role::Operator)?;
        let run = self.run(id)?;
        // A target that no document names has no labels to hold a role on.
        if let Some(target) = self.documents.target(&run.target) {
            self.principal.require_on(Role::Operator, [target])?;
        }
        Ok(run)
    }

    fn target_of(&self, run: &Run) -> Result<&Target, RequestRefusal> {
        let target = self.documents.target(&run.target);
        target.ok_or_else(|| RequestRefusal::NoTarget { target: run.target.clone() })
    }

    /// An approval or a start that something stronger would keep from having an effect
    /// fails, instead of lying in wait.
    fn must_not_be_outranked(&self, target: &Target) -> Result<(), RequestRefusal> {
        match guard::forbids_pin(self.now, self.documents, self.state, target, false) {
            None => Ok(()),
            Some(by) => {
                let (target, by) = (target.id.to_string(), by.to_string());
                Err(RequestRefusal::Outranked { target, by })
            }
        }
    }

    /// The same for what a pin or a no-scale-down keeps one step from.
    fn must_not_be_kept_from(
        &self,
        target: &Target,
        step: Option<&PlannedStep>,
    ) -> Result<(), RequestRefusal> {
        let Some(PlannedKind::Act { action }) = step.map(|it| &it.kind) else { return Ok(()) };
        let known = self.state.target(&target.id).and_then(|it| it.known).unwrap_or_default();
        let takes_away = 0 < action.takes_units(known);
        let ruling = in_force(self.state.overrides(), target, self.now);
        let forbids = |it: &&Override| match it.kind {
            OverrideKind::NoScaleDown => takes_away,
            OverrideKind::Pin { .. } => takes_away || sets_capacity(action),
            OverrideKind::Freeze | OverrideKind::Takeover | OverrideKind::Hold => false,
        };
        match ruling.filter(forbids) {
            None => Ok(()),
            Some(by) => {
                let by = format!("{} by {} until {:.0} ({})", by.kind, by.actor, by.ends_at, by.id);
                Err(RequestRefusal::Outranked { target: target.id.to_string(), by })
            }
        }
    }

    fn actor(&self) -> &Actor {
        &self.principal.actor
    }

    /// Whoever says something about a run has taken note of its incident.
    fn taken_note(&self, incident: Option<IncidentId>) -> Vec<Record> {
        let incident = incident.and_then(|id| self.state.healing().incident(id));
        let Some(incident) = incident.filter(|it| it.acknowledged.is_none()) else {
            return Vec::new();
        };
        let change = IncidentEvent::Acknowledged { actor: self.actor().clone() };
        vec![Record::Incident { at: self.now, id: incident.id, change }]
    }

    fn run_record(&self, run: &Run, change: RunEvent) -> Record {
        Record::Run { at: self.now, id: run.id, target: run.target.clone(), change }
    }

    fn autonomy_record(
        &self,
        target: &TargetId,
        class: ActionClass,
        change: AutonomyEvent,
    ) -> Record {
        Record::Autonomy { at: self.now, target: target.clone(), class, change }
    }

    fn notice(&self, notice: Notice) -> Record {
        let id = self.state.healing().next_notice();
        let notice = Box::new(Notice { id, at: self.now, ..notice });
        Record::NoticeRaised { at: self.now, notice }
    }
}

fn sets_capacity(action: &Action) -> bool {
    matches!(action, Action::SetCapacity { .. })
}

fn required(reason: &str) -> Result<String, RequestRefusal> {
    let reason = checked_reason(reason)?;
    if reason.is_empty() { Err(RequestRefusal::NoReason) } else { Ok(reason) }
}

fn wrong_phase(run: &Run, why: &str) -> RequestRefusal {
    let (phase, why) = (run.phase.name().replace('_', " "), why.to_owned());
    RequestRefusal::WrongPhase { run: run.id, phase, why }
}

fn gate_of(run: &Run, step: u16) -> Option<&Gate> {
    run.plan.as_ref()?.steps.get(usize::from(step))?.gate.as_ref()
}

/// The person who asked for a run.
fn asked_by(run: &Run) -> Option<&Actor> {
    match &run.cause {
        RunCause::ByHand { actor, .. } => Some(actor),
        RunCause::Triggered { .. } | RunCause::Scheduled => None,
    }
}

fn shortened(hash: &str) -> String {
    hash.chars().filter(|it| !it.is_control()).take(64).collect()
}

fn with_defaults(
    playbook: &Playbook,
    given: &BTreeMap<ParameterName, f64>,
) -> Result<BTreeMap<ParameterName, f64>, RequestRefusal> {
    let mut all = crate::heal::view::default_parameters(playbook);
    for (name, value) in given {
        let fault = |why: String| RequestRefusal::Parameter { parameter: name.clone(), why };
        let Some(parameter) = playbook.parameters.get(name) else {
            let known: Vec<&str> = playbook.parameters.keys().map(ParameterName::as_str).collect();
            return Err(fault(format!("not one of this playbook's: {}", known.join(", "))));
        };
        let is_within = parameter.min <= *value && *value <= parameter.max;
        if !is_within {
            return Err(fault(format!(
                "{value} is outside of {}..{}",
                parameter.min, parameter.max
            )));
        }
        all.insert(name.clone(), *value);
    }
    Ok(all)
}
