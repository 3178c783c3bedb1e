//! What time brings: escalations, overdue reviews, overrides about to end, and what
//! autonomy learns from how a run ended.
//!
//! **In:** memory and the time.
//! **Out:** records and notices.
//! **Not here:** timers of runs ([`super::advance`]).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::action::ActionClass;
use crate::autonomy::AutonomyEvent;
use crate::documents::{Autonomy, Playbook};
use crate::heal::memory::{Healing, REVIEWED_WITHIN};
use crate::heal::notices;
use crate::heal::ward::Ward;
use crate::ids::{PlaybookId, TargetId};
use crate::incident::{ESCALATED_AFTER, Incident, IncidentEvent, Severity, Symptom};
use crate::overrides::{Override, OverrideState};
use crate::record::Record;
use crate::run::plan::PlannedKind;
use crate::run::{Ending, Phase, Run, StepPhase};

/// How long before its end an override is announced, at most. Why 15 min: time to look up
/// from what one is doing and prolong it.
const ANNOUNCED_BEFORE: SignedDuration = SignedDuration::from_mins(15);

/// Shorter overrides end unannounced. Why 10 min: whoever set one is still there.
const ANNOUNCED_FROM: SignedDuration = SignedDuration::from_mins(10);

/// When the end of an override is announced: before the last tenth of it, and no earlier
/// than [`ANNOUNCED_BEFORE`]. `None` for the agent's own holds.
fn announced_at(it: &Override) -> Option<Timestamp> {
    if it.is_agents_hold() {
        return None;
    }
    let length = it.ends_at.duration_since(it.starts_at);
    if length < ANNOUNCED_FROM {
        return None;
    }
    it.ends_at.checked_sub((length / 10).min(ANNOUNCED_BEFORE)).ok()
}

/// When a page that nobody takes note of is escalated.
fn escalates_at(it: &Incident) -> Option<Timestamp> {
    let is_due = it.is_open()
        && it.severity == Severity::Page
        && it.acknowledged.is_none()
        && it.escalated_at.is_none();
    if !is_due {
        return None;
    }
    it.detected_at.checked_add(ESCALATED_AFTER).ok()
}

/// When healing next wants to be asked because of time alone.
pub(crate) fn next_wakeup(healing: &Healing, overrides: &[&Override]) -> Option<Timestamp> {
    let announced = overrides
        .iter()
        .filter(|it| !healing.is_announced(it.id))
        .filter_map(|it| announced_at(it));
    let escalated = healing.incidents().filter_map(escalates_at);
    let reviews = healing
        .reviews()
        .filter(|(_, it)| !it.is_overdue)
        .filter_map(|(_, it)| it.at.checked_add(REVIEWED_WITHIN).ok());
    let runs = healing.active().filter_map(|it| match &it.phase {
        Phase::AwaitingApproval { escalates_at, is_escalated: false, .. } => Some(*escalates_at),
        Phase::AwaitingApproval { expires_at, .. } => Some(*expires_at),
        Phase::Running { at: StepPhase::Waiting { until, .. }, .. } => Some(*until),
        Phase::Verifying { until, .. } => Some(*until),
        Phase::Planning { .. }
        | Phase::Running { .. }
        | Phase::Undoing { .. }
        | Phase::Stuck { .. }
        | Phase::Ended { .. } => None,
    });
    announced.chain(escalated).chain(reviews).chain(runs).min()
}

impl Ward<'_> {
    /// Does what is due.
    pub(crate) fn take_care(&mut self) {
        let (now, healing) = (self.now, self.healing());
        for it in self.state.overrides() {
            let is_due = announced_at(it).is_some_and(|at| at <= now)
                && it.state(now) == OverrideState::Active
                && !healing.is_announced(it.id);
            if is_due {
                self.records.push(Record::OverrideEndAnnounced { at: now, id: it.id });
                self.raise(notices::override_expiring(it));
            }
        }
        for incident in healing.incidents() {
            if escalates_at(incident).is_some_and(|at| at <= now) {
                self.incident_event(incident.id, IncidentEvent::Escalated);
                self.raise(notices::incident_escalated(incident));
            }
        }
        for (run, due) in healing.reviews() {
            let is_late = REVIEWED_WITHIN <= now.duration_since(due.at);
            if is_late && !due.is_overdue {
                self.records.push(Record::ReviewOverdue { at: now, run });
                self.raise(notices::review_overdue(run, due));
            }
        }
    }

    /// What a run says about its classes of actions.
    pub(crate) fn learn_from(&mut self, run: &Run, playbook: Option<&Playbook>) {
        if run.is_dry || run.touched.is_empty() {
            return;
        }
        let (verified, why) = match &run.phase {
            Phase::Ended { ending: Ending::Succeeded, .. } => (true, String::new()),
            Phase::Ended { ending: Ending::RolledBack { why }, .. } => {
                (false, format!("{} was undone: {why}", run.id))
            }
            Phase::Ended { ending: Ending::Aborted { actor, reason }, .. } => {
                (false, format!("{} was aborted by {actor} and undone: {reason}", run.id))
            }
            Phase::Stuck { why, .. } => (false, format!("{} got stuck: {why}", run.id)),
            Phase::Ended { .. }
            | Phase::Planning { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Running { .. }
            | Phase::Verifying { .. }
            | Phase::Undoing { .. } => return,
        };
        for class in classes_of(run) {
            self.autonomy_event(&run.target, class, AutonomyEvent::Ended { verified });
            if !verified {
                let (to, why) = (Autonomy::Suggest, why.clone());
                self.raise(notices::demoted(&run.target, class, &why));
                self.autonomy_event(&run.target, class, AutonomyEvent::Demoted { to, why });
                continue;
            }
            let Some(playbook) = playbook else { continue };
            let standing = self.healing().standing(&run.target, class);
            let standing = standing.cloned().unwrap_or_default();
            let effective = standing.effective(playbook.autonomy, playbook.autonomy_max);
            let to = playbook.autonomy_max;
            if effective < to && standing.evidence.is_enough() && !standing.is_proposed {
                let evidence = standing.evidence;
                let why = format!("{} of {} agreed", evidence.n_agreed, evidence.n_decisions);
                self.raise(notices::promotion_proposed(&run.target, class, to, evidence));
                self.autonomy_event(&run.target, class, AutonomyEvent::Proposed { to, why });
            }
        }
    }

    pub(crate) fn autonomy_event(
        &mut self,
        target: &TargetId,
        class: ActionClass,
        change: AutonomyEvent,
    ) {
        let (at, target) = (self.now, target.clone());
        self.records.push(Record::Autonomy { at, target, class, change });
    }

    /// A notifier that delivers nothing is an incident of its own: nobody would hear of any
    /// other.
    pub(crate) fn note_notifier(&mut self, trouble: Option<&str>) {
        let (Ok(playbook), Ok(target)) =
            (PlaybookId::new(notices::NOTIFIER), TargetId::new(notices::NOTIFIER))
        else {
            return;
        };
        let open = self
            .healing()
            .incidents()
            .find(|it| it.is_open() && it.lasting().any(|it| it.playbook == playbook));
        match (trouble, open.map(|it| it.id)) {
            (Some(why), None) => {
                let id = self.take_incident_id();
                let symptom = Symptom {
                    playbook,
                    target,
                    began_at: self.now,
                    seen_at: self.now,
                    ended_at: None,
                    what: why.to_owned(),
                };
                let severity = Severity::Page;
                self.incident_event(id, IncidentEvent::Opened { symptom, severity });
                self.raise(notices::notifier_dead(id, why));
            }
            (None, Some(id)) => {
                self.incident_event(id, IncidentEvent::SymptomEnded { playbook, target });
            }
            (Some(_), Some(_)) | (None, None) => (),
        }
    }
}

/// The classes of a run's actions.
pub(crate) fn classes_of(run: &Run) -> BTreeSet<ActionClass> {
    let steps = run.plan.iter().flat_map(|it| &it.steps);
    steps
        .filter_map(|it| match &it.kind {
            PlannedKind::Act { action } => Some(action.class()),
            PlannedKind::Wait { .. }
            | PlannedKind::Notify { .. }
            | PlannedKind::Ask { .. }
            | PlannedKind::Skip { .. } => None,
        })
        .collect()
}
