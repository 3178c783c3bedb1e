//! Which playbook is run for an incident, and why none is.
//!
//! **In:** open incidents without a run, schedules, what limits and people say.
//! **Out:** runs that begin; otherwise the reason, once.
//! **Not here:** what happens in a run ([`super::advance`]).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::budget::arbiter::constraints_on;
use crate::condition::Truth;
use crate::documents::{Autonomy, Consequence, Playbook, Target};
use crate::heal::notices;
use crate::heal::view::default_parameters;
use crate::heal::ward::Ward;
use crate::ids::{IncidentId, ParameterName, PlaybookId, RunId, TargetId};
use crate::incident::{FLAPS_MAX, Incident, IncidentEvent, Symptom};
use crate::overrides::{OverrideKind, in_force};
use crate::record::Record;
use crate::run::{Phase, Run, RunCause};

/// How late a schedule may be served. Why 5 min: what was missed for longer, through a
/// stop or a clock, waits for its next time: a restart must not replay yesterday.
const SCHEDULE_LATE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Why no run begins.
pub(crate) enum NotNow {
    /// A reason that may pass by itself.
    Waiting(String),
    /// A person is needed: they are told.
    NeedsPerson(String),
}

impl Ward<'_> {
    /// Opens at most one run per incident that has none.
    pub(crate) fn open_runs(&mut self) {
        let healing = self.healing();
        // Of this round: one run per target, and playbooks' limits hold across incidents.
        let mut opened: Vec<(PlaybookId, TargetId)> = Vec::new();
        for incident in healing.incidents().filter(|it| it.is_open()) {
            let is_active = |id: &RunId| healing.run(*id).is_some_and(|it| !it.phase.is_terminal());
            if incident.runs.iter().any(is_active) {
                continue;
            }
            self.open_run_for(incident, &mut opened);
        }
        self.open_scheduled(&mut opened);
    }

    fn open_run_for(&mut self, incident: &Incident, opened: &mut Vec<(PlaybookId, TargetId)>) {
        let documents = self.documents;
        let mut candidates: Vec<(&Playbook, &Target, &Symptom)> = incident
            .lasting()
            .filter_map(|it| {
                Some((documents.playbook(&it.playbook)?, documents.target(&it.target)?, it))
            })
            .collect();
        // What others depend on first: a fault is healed where it is, not where it shows.
        let depth = |target: &TargetId| {
            candidates.iter().filter(|(_, it, _)| self.below(&it.id).contains(target)).count()
        };
        let depths: BTreeMap<TargetId, usize> =
            candidates.iter().map(|(_, it, _)| (it.id.clone(), depth(&it.id))).collect();
        candidates.sort_by_key(|(playbook, target, _)| {
            let depth = depths.get(&target.id).copied().unwrap_or_default();
            (Reverse(playbook.priority), Reverse(depth), playbook.id.clone(), target.id.clone())
        });
        let mut reason = None;
        for (playbook, target, symptom) in candidates {
            match self.may_open(incident, playbook, target, opened) {
                Ok(autonomy) => {
                    let cause = RunCause::Triggered { why: symptom.what.clone() };
                    let is_dry = autonomy <= Autonomy::Suggest;
                    self.open(playbook, target, Some(incident.id), cause, autonomy, is_dry);
                    opened.push((playbook.id.clone(), target.id.clone()));
                    return;
                }
                Err(not_now) => {
                    reason.get_or_insert((not_now, playbook, target));
                }
            }
        }
        let Some((not_now, playbook, target)) = reason else { return };
        let (why, needs_person) = match not_now {
            NotNow::Waiting(why) => (why, false),
            NotNow::NeedsPerson(why) => (why, true),
        };
        let why = format!("{} on {}: {why}", playbook.id, target.id);
        if incident.waiting_for.as_ref() == Some(&why) {
            return;
        }
        if needs_person {
            let notice = notices::attempts_used_up(incident.id, playbook, &target.id, &why);
            self.raise(notice);
        }
        self.incident_event(incident.id, IncidentEvent::Waiting { why });
    }

    /// Whether a run of a playbook on a target may begin for an incident; with the autonomy
    /// that it would have.
    fn may_open(
        &self,
        incident: &Incident,
        playbook: &Playbook,
        target: &Target,
        opened: &[(PlaybookId, TargetId)],
    ) -> Result<Autonomy, NotNow> {
        let (autonomy, why) = self.autonomy(playbook, target);
        if autonomy <= Autonomy::Suggest {
            let was_said = incident.runs.iter().any(|id| {
                let run = self.healing().run(*id);
                run.is_some_and(|it| it.playbook == playbook.id && it.target == target.id)
            });
            if was_said {
                return Err(NotNow::Waiting(format!("{why}: what it would do was said")));
            }
        }
        if FLAPS_MAX <= incident.n_reopened {
            return Err(NotNow::NeedsPerson(format!(
                "it came back {FLAPS_MAX} times; no run begins by itself any more"
            )));
        }
        self.within_limits(playbook, target, opened)?;
        self.may_touch(playbook, target)?;
        self.conditions_hold(playbook, target, &default_parameters(playbook))
            .map_err(NotNow::Waiting)?;
        Ok(autonomy)
    }

    /// Attempts, concurrency, cooldown, and the lock of the target.
    fn within_limits(
        &self,
        playbook: &Playbook,
        target: &Target,
        opened: &[(PlaybookId, TargetId)],
    ) -> Result<(), NotNow> {
        let healing = self.healing();
        if let Some(other) = healing.active_on(&target.id) {
            let why = match &other.phase {
                Phase::Stuck { .. } => {
                    return Err(NotNow::NeedsPerson(format!(
                        "{} of {} is stuck there; `evenkeel abort {}` once it was looked at",
                        other.id, other.playbook, other.id
                    )));
                }
                Phase::Planning { .. }
                | Phase::AwaitingApproval { .. }
                | Phase::Running { .. }
                | Phase::Verifying { .. }
                | Phase::Undoing { .. }
                | Phase::Ended { .. } => {
                    format!("{} of {} has the target", other.id, other.playbook)
                }
            };
            return Err(NotNow::Waiting(why));
        }
        if opened.iter().any(|(_, it)| *it == target.id) {
            return Err(NotNow::Waiting("another run has just taken the target".to_owned()));
        }
        let limits = playbook.limits;
        let attempts = healing.attempts(&playbook.id, &target.id);
        let within = |it: &&jiff::Timestamp| self.now.duration_since(**it) < limits.window;
        let n_attempts = attempts.iter().filter(within).count();
        if usize::try_from(limits.attempts_max).unwrap_or(usize::MAX) <= n_attempts {
            return Err(NotNow::NeedsPerson(format!(
                "{n_attempts} runs in {}, at most {} are allowed",
                crate::units::show_duration(limits.window),
                limits.attempts_max
            )));
        }
        let n_active = healing.active().filter(|it| it.playbook == playbook.id).count()
            + opened.iter().filter(|(it, _)| *it == playbook.id).count();
        if usize::try_from(limits.concurrency_max).unwrap_or(usize::MAX) <= n_active {
            return Err(NotNow::Waiting(format!(
                "at most {} run(s) of it at once",
                limits.concurrency_max
            )));
        }
        let ended_at = healing.last_ended_at(&target.id);
        let until = ended_at.and_then(|it| it.checked_add(limits.cooldown).ok());
        if let Some(until) = until.filter(|it| self.now < *it) {
            return Err(NotNow::Waiting(format!("cooling down until {until:.0}")));
        }
        Ok(())
    }

    /// What people and storms say before anything begins; the guard asks again before each
    /// step.
    fn may_touch(&self, playbook: &Playbook, target: &Target) -> Result<(), NotNow> {
        if let Some(glass) = self.state.break_glass() {
            return Err(NotNow::Waiting(format!("break-glass since {:.0}", glass.since)));
        }
        let ruling = in_force(self.state.overrides(), target, self.now);
        if let Some(it) = ruling {
            let is_final = matches!(it.kind, OverrideKind::Freeze | OverrideKind::Takeover);
            if is_final {
                let (verb, id) = (it.kind.word(), it.id);
                return Err(NotNow::Waiting(format!(
                    "{verb} of {} ({id}): {}",
                    it.actor, it.reason
                )));
            }
        }
        if let Some(guardrail) = self.documents.guardrails_of(&target.id).find(|it| it.protected) {
            return Err(NotNow::Waiting(format!("guardrail {} protects it", guardrail.id)));
        }
        let takes_away = |it: &crate::action::ActionClass| it.may_take_away();
        if let Some(storm) = self.healing().storm()
            && playbook.classes().iter().any(takes_away)
        {
            return Err(NotNow::Waiting(format!("storm since {:.0}", storm.since)));
        }
        let memory = self.state.budgets();
        let frozen =
            constraints_on(self.documents, memory, target, Consequence::FreezePlaybooks).next();
        if let Some((budget, threshold, crossed)) = frozen
            && playbook.classes().iter().any(|it| it.is_risky())
        {
            return Err(NotNow::Waiting(format!(
                "budget {} ({threshold}) freezes playbooks that take something away: {}",
                budget.id, crossed.why
            )));
        }
        Ok(())
    }

    /// Whether all conditions of a playbook are true.
    ///
    /// # Errors
    ///
    /// The first that is not, or that cannot be told.
    pub(crate) fn conditions_hold(
        &self,
        playbook: &Playbook,
        target: &Target,
        parameters: &BTreeMap<ParameterName, f64>,
    ) -> Result<(), String> {
        for named in &playbook.conditions {
            let (truth, _) = self.truth(&playbook.id, target, parameters, &named.condition);
            let text = named.condition.text();
            match truth {
                Truth::True => (),
                Truth::False => {
                    return Err(format!("condition `{}` is not met: {text}", named.name));
                }
                Truth::Unknown => {
                    return Err(format!("condition `{}` cannot be told: {text}", named.name));
                }
            }
        }
        Ok(())
    }

    /// Runs whose time has come.
    fn open_scheduled(&mut self, opened: &mut Vec<(PlaybookId, TargetId)>) {
        let documents = self.documents;
        let Ok(earliest) = self.now.checked_sub(SCHEDULE_LATE_MAX) else { return };
        for playbook in documents.playbooks() {
            let Some(schedule) = &playbook.trigger.schedule else { continue };
            let Some(slot) = schedule.next_after(earliest).filter(|it| *it <= self.now) else {
                continue;
            };
            for target in documents.targets_of_playbook(playbook) {
                let attempts = self.healing().attempts(&playbook.id, &target.id);
                let was_served = attempts.iter().any(|it| slot <= *it);
                let is_open = opened.contains(&(playbook.id.clone(), target.id.clone()));
                if was_served || is_open {
                    continue;
                }
                let may = self
                    .within_limits(playbook, target, opened)
                    .and_then(|()| self.may_touch(playbook, target))
                    .and_then(|()| {
                        let parameters = default_parameters(playbook);
                        self.conditions_hold(playbook, target, &parameters).map_err(NotNow::Waiting)
                    });
                if may.is_ok() {
                    let (autonomy, _) = self.autonomy(playbook, target);
                    let is_dry = autonomy <= Autonomy::Suggest;
                    self.open(playbook, target, None, RunCause::Scheduled, autonomy, is_dry);
                    opened.push((playbook.id.clone(), target.id.clone()));
                }
            }
        }
    }

    fn open(
        &mut self,
        playbook: &Playbook,
        target: &Target,
        incident: Option<IncidentId>,
        cause: RunCause,
        autonomy: Autonomy,
        is_dry: bool,
    ) {
        let id = self.take_run_id();
        let parameters = default_parameters(playbook);
        let run =
            new_run(id, self.now, playbook, target, incident, cause, parameters, autonomy, is_dry);
        self.records.push(Record::RunOpened { at: self.now, run: Box::new(run) });
    }
}

/// A run at its beginning.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a field of the run that only its opener knows"
)]
pub(crate) fn new_run(
    id: RunId,
    now: jiff::Timestamp,
    playbook: &Playbook,
    target: &Target,
    incident: Option<IncidentId>,
    cause: RunCause,
    parameters: BTreeMap<ParameterName, f64>,
    autonomy: Autonomy,
    is_dry: bool,
) -> Run {
    Run {
        id,
        playbook: playbook.id.clone(),
        playbook_sha256: playbook.sha256.clone(),
        target: target.id.clone(),
        incident,
        cause,
        parameters,
        is_dry,
        autonomy,
        opened_at: now,
        phase: Phase::Planning { since: now },
        plan: None,
        n_plans: 0,
        approvals: Vec::new(),
        passed: Vec::new(),
        befores: BTreeMap::new(),
        touched: Vec::new(),
        n_sent: BTreeMap::new(),
        n_undos_sent: BTreeMap::new(),
        aborted: None,
    }
}
