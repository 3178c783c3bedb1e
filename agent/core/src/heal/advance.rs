//! How a run goes on: the next record and effect of each phase.
//!
//! **In:** active runs that something may have changed for.
//! **Out:** at most one change per run and round; the next round goes on from there.
//! **Not here:** what a phase turns into ([`crate::run`]), making the plan
//! ([`super::resolve`]), whether a step is allowed ([`crate::guard`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::condition::{Condition, Truth};
use crate::documents::{Autonomy, Playbook, Target};
use crate::heal::notices;
use crate::heal::resolve::{self, Making};
use crate::heal::stepping::Sighting;
use crate::heal::view::Values;
use crate::heal::ward::Ward;
use crate::ids::{Actor, RunId};
use crate::incident::Severity;
use crate::notice::Topic;
use crate::run::plan::{Plan, PlannedKind, PlannedStep, PlannedUndo};
use crate::run::{Phase, Run, RunCause, RunEvent, StepPhase};
use crate::spend::service_of;

/// How long a step may be kept from being done before it counts as failed.
///
/// Why 10 min: longer than a cooldown and a blast radius' usual window, shorter than
/// anybody wants to look at half a repair.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// How long a trigger may be unknown before a run that has touched nothing is given up.
const UNKNOWN_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Plans of one run at most. Why 5: what changes faster than people can read cannot be
/// approved.
const PLANS_MAX: u32 = 5;

impl<'a> Ward<'a> {
    /// Does what is next for one run.
    pub(crate) fn advance(&mut self, run: &Run) {
        let documents = self.documents;
        let Some(target) = documents.target(&run.target) else {
            return self.advance_without_target(run);
        };
        match &run.phase {
            Phase::Planning { since } => self.plan_run(run, target, *since),
            Phase::AwaitingApproval { step, escalates_at, expires_at, is_escalated, .. } => {
                let timing = (*escalates_at, *expires_at, *is_escalated);
                self.await_approval(run, target, *step, timing);
            }
            Phase::Running { step, at } => {
                let Some(planned) = planned_step(run, *step) else { return };
                match at {
                    StepPhase::Ready { since } => {
                        self.begin_step(run, target, *step, planned, *since);
                    }
                    StepPhase::Sent { .. } => (),
                    StepPhase::Unknown { effect, since, unknown_since } => {
                        let PlannedKind::Act { action } = &planned.kind else { return };
                        let lost = (*effect, *since, *unknown_since);
                        self.read_back_step(run, target, *step, action, lost, false);
                    }
                    StepPhase::Waiting { until, .. } => {
                        self.go_on_waiting(run, target, *step, planned, *until);
                    }
                }
            }
            Phase::Verifying { until, .. } => self.verify(run, target, *until),
            Phase::Undoing { at, .. } => {
                let Some(step) = run.undoing_step() else { return };
                let Some(planned) = planned_step(run, step) else { return };
                match (&planned.undo, at) {
                    (PlannedUndo::Nothing { why }, StepPhase::Ready { .. }) => {
                        let why = why.clone();
                        self.run_event(run, RunEvent::UndoSkipped { step, why });
                    }
                    (PlannedUndo::Act { action }, StepPhase::Ready { since }) => {
                        self.send_action(run, target, step, action, 1.0, *since, true);
                    }
                    (
                        PlannedUndo::Act { action },
                        StepPhase::Unknown { effect, since, unknown_since },
                    ) => {
                        let lost = (*effect, *since, *unknown_since);
                        self.read_back_step(run, target, step, action, lost, true);
                    }
                    (_, StepPhase::Sent { .. } | StepPhase::Waiting { .. })
                    | (PlannedUndo::Nothing { .. }, StepPhase::Unknown { .. }) => (),
                }
            }
            Phase::Stuck { .. } | Phase::Ended { .. } => (),
        }
    }

    /// A target that no document names any more is not touched any more.
    fn advance_without_target(&mut self, run: &Run) {
        let why = "no document names the target any more".to_owned();
        match &run.phase {
            Phase::Planning { .. } => self.run_event(run, RunEvent::Refused { why }),
            Phase::AwaitingApproval { .. } if run.touched.is_empty() => {
                self.run_event(run, RunEvent::Refused { why });
            }
            Phase::Undoing { at: StepPhase::Ready { .. }, .. } => {
                if let Some(step) = run.undoing_step() {
                    self.run_event(run, RunEvent::UndoFailed { step, why });
                }
            }
            Phase::Running { step, at: StepPhase::Ready { .. } | StepPhase::Waiting { .. } } => {
                self.run_event(run, RunEvent::StepFailed { step: *step, why });
            }
            Phase::Running { step, at: StepPhase::Unknown { .. } } => {
                self.run_event(run, RunEvent::StepFailed { step: *step, why });
            }
            Phase::Undoing { at: StepPhase::Unknown { .. }, .. } => {
                if let Some(step) = run.undoing_step() {
                    self.run_event(run, RunEvent::UndoFailed { step, why });
                }
            }
            // Nobody can approve it any more.
            Phase::AwaitingApproval { .. } => {
                let change = RunEvent::Aborted { actor: Actor::agent(), reason: why };
                self.run_event(run, change);
            }
            Phase::Verifying { .. } => self.run_event(run, RunEvent::NotVerified { why }),
            Phase::Running { at: StepPhase::Sent { .. }, .. }
            | Phase::Undoing { .. }
            | Phase::Stuck { .. }
            | Phase::Ended { .. } => (),
        }
    }

    fn plan_run(&mut self, run: &Run, target: &Target, since: Timestamp) {
        let documents = self.documents;
        let Some(playbook) = self.pinned(run) else {
            let why = "its playbook changed or is gone".to_owned();
            return self.run_event(run, RunEvent::Refused { why });
        };
        if let Err(why) = self.is_still_wanted(run, playbook, target, since) {
            return match why {
                Unwanted::NotNow(why) => self.wait(run.id, &why),
                Unwanted::Over(why) => self.run_event(run, RunEvent::Refused { why }),
            };
        }
        let mut looks = BTreeMap::new();
        for (index, step) in playbook.steps.iter().enumerate() {
            let Ok(index) = u16::try_from(index) else { return };
            let Some(at) = resolve::look_for(step, run, target) else { continue };
            match self.look(run, index, at, since) {
                Sighting::Seen(seen) => {
                    looks.insert(index, seen);
                }
                Sighting::Waiting => (),
                Sighting::Failed(error) => {
                    let why = format!("step `{}`: {error}", step.name);
                    return self.run_event(run, RunEvent::Refused { why });
                }
            }
        }
        let n_needed =
            playbook.steps.iter().filter(|it| resolve::look_for(it, run, target).is_some()).count();
        if looks.len() < n_needed {
            return self.wait(run.id, "looking at what is there");
        }
        let capacity = self.capacity(&target.id);
        let inputs = self.view(&playbook.id, &target.id).map(|it| &it.inputs);
        let values = Values { target, capacity, inputs, parameters: &run.parameters };
        let standings = service_of(target).and_then(|it| self.views.tenants.get(&it));
        let standings = standings.map(Vec::as_slice);
        let making = Making { documents, playbook, target, run, values, looks: &looks, standings };
        let change = match making.plan() {
            Ok(plan) => RunEvent::Planned { plan: Box::new(plan) },
            Err(why) => RunEvent::Refused { why },
        };
        self.views.runs.remove(&run.id);
        self.run_event(run, change);
    }

    /// The playbook of a run, while its text is the one that the run is pinned to.
    pub(super) fn pinned(&self, run: &Run) -> Option<&'a Playbook> {
        let documents = self.documents;
        documents.playbook(&run.playbook).filter(|it| it.sha256 == run.playbook_sha256)
    }

    /// Whether a run that has touched nothing should still begin: its trigger is true,
    /// freshly observed, and so are its conditions.
    pub(super) fn is_still_wanted(
        &self,
        run: &Run,
        playbook: &Playbook,
        target: &Target,
        since: Timestamp,
    ) -> Result<(), Unwanted> {
        if let (RunCause::Triggered { .. }, Some(condition)) =
            (&run.cause, &playbook.trigger.condition)
        {
            let (truth, shown) = self.truth(&playbook.id, target, &run.parameters, condition);
            match truth {
                Truth::True => (),
                Truth::False => {
                    return Err(Unwanted::Over(format!("its trigger is over: {shown}")));
                }
                Truth::Unknown if UNKNOWN_MAX <= self.now.duration_since(since) => {
                    return Err(Unwanted::Over(format!("its trigger cannot be told: {shown}")));
                }
                Truth::Unknown => {
                    return Err(Unwanted::NotNow("its trigger cannot be told".to_owned()));
                }
            }
        }
        self.conditions_hold(playbook, target, &run.parameters).map_err(|why| {
            if UNKNOWN_MAX <= self.now.duration_since(since) {
                Unwanted::Over(why)
            } else {
                Unwanted::NotNow(why)
            }
        })
    }

    /// Why the next action of a run that has begun would be one in the dark, if so.
    pub(super) fn doubt(
        &self,
        run: &Run,
        target: &Target,
        planned: &PlannedStep,
    ) -> Option<String> {
        if !matches!(planned.kind, PlannedKind::Act { .. }) {
            return None;
        }
        let condition = self.pinned(run)?.trigger.condition.as_ref()?;
        let (truth, shown) = self.truth(&run.playbook, target, &run.parameters, condition);
        (truth == Truth::Unknown).then(|| format!("cannot tell {shown}"))
    }

    fn await_approval(
        &mut self,
        run: &Run,
        target: &Target,
        step: u16,
        (escalates_at, expires_at, is_escalated): (Timestamp, Timestamp, bool),
    ) {
        if expires_at <= self.now {
            return self.run_event(run, RunEvent::ApprovalExpired);
        }
        if run.touched.is_empty()
            && let Some(change) = self.out_of_date(run, target, expires_at)
        {
            return self.run_event(run, change);
        }
        if escalates_at <= self.now && !is_escalated {
            let name = planned_step(run, step).map_or("", |it| it.name.as_str());
            let playbook = self.pinned(run);
            let notice =
                notices::approval_wanted(run, playbook, name, expires_at, Topic::ApprovalEscalated);
            self.run_event(run, RunEvent::ApprovalEscalated);
            self.raise(notice);
        }
    }

    /// Whether the target and its policy are as they were when the plan was made.
    pub(super) fn is_same_generation(&self, plan: &Plan, target: &Target) -> bool {
        resolve::generation(self.documents, target) == plan.target_generation
    }

    /// Whether what was planned is no longer what is there. Only for a run that has touched
    /// nothing.
    pub(super) fn out_of_date(
        &self,
        run: &Run,
        target: &Target,
        since: Timestamp,
    ) -> Option<RunEvent> {
        let Some(playbook) = self.pinned(run) else {
            let why = "its playbook changed or is gone".to_owned();
            return Some(RunEvent::Refused { why });
        };
        if let Err(Unwanted::Over(why)) = self.is_still_wanted(run, playbook, target, since) {
            return Some(RunEvent::Refused { why });
        }
        let plan = run.plan.as_ref()?;
        let is_same_capacity =
            plan.capacity.is_none_or(|it| self.capacity(&target.id).0 == Some(it));
        if is_same_capacity && self.is_same_generation(plan, target) {
            return None;
        }
        let why = "the target, its policy or its capacity changed since the plan was made";
        Some(voided(run, why))
    }

    fn go_on_waiting(
        &mut self,
        run: &Run,
        target: &Target,
        step: u16,
        planned: &PlannedStep,
        until: Timestamp,
    ) {
        let PlannedKind::Wait { condition, .. } = &planned.kind else { return };
        let (truth, shown) = self.truth(&run.playbook, target, &run.parameters, condition);
        if truth == Truth::True {
            self.run_event(run, RunEvent::StepDone { step, why: shown });
        } else if until <= self.now && !self.is_blind(run, until) {
            let why = format!("not in time: {shown}");
            self.run_event(run, RunEvent::StepFailed { step, why });
        }
    }

    fn verify(&mut self, run: &Run, target: &Target, until: Timestamp) {
        let Some(plan) = &run.plan else { return };
        let (truth, shown) = self.verified(run, target, plan);
        let now = self.now;
        let sight = self.views.runs.entry(run.id).or_default();
        if truth == Truth::True {
            let since = *sight.holds_since.get_or_insert(now);
            if plan.verification.holds_for <= now.duration_since(since) {
                return self.run_event(run, RunEvent::Verified);
            }
        } else {
            sight.holds_since = None;
        }
        // What has begun to hold is not undone for having begun late, or before a restart.
        if until <= now && truth != Truth::True && !self.is_blind(run, until) {
            self.run_event(run, RunEvent::NotVerified { why: shown });
        }
    }

    /// Whether nothing was looked at since the start, so that a time that ran out meanwhile
    /// says nothing: for a while, a look is waited for.
    fn is_blind(&self, run: &Run, until: Timestamp) -> bool {
        let was_seen = self.views.of(&run.playbook, &run.target).is_some();
        !was_seen && self.now.duration_since(until) < UNKNOWN_MAX
    }

    fn verified(&self, run: &Run, target: &Target, plan: &Plan) -> (Truth, String) {
        let condition: &Condition = &plan.verification.condition;
        self.truth(&run.playbook, target, &run.parameters, condition)
    }

    pub(super) fn wait(&mut self, run: RunId, why: &str) {
        let sight = self.views.runs.entry(run).or_default();
        if sight.waiting_for.as_deref() != Some(why) {
            sight.waiting_for = Some(why.to_owned());
        }
    }

    /// Tells people how runs ended, and lets autonomy learn from it.
    pub(crate) fn report_runs(&mut self) {
        for run in self.healing().unreported() {
            let playbook = self.documents.playbook(&run.playbook);
            if let Some(notice) = notices::run_over(run, playbook)
                && (notice.severity != Severity::Info || !run.is_dry || is_suggested(run))
            {
                self.raise(notice);
            }
            self.learn_from(run, playbook);
            self.views.runs.remove(&run.id);
            self.run_event(run, RunEvent::Reported);
        }
    }
}

/// Whether what a dry run would do is to be told: nobody asked to see it, and the agent may
/// do more than watch.
fn is_suggested(run: &Run) -> bool {
    let is_asked = matches!(run.cause, RunCause::ByHand { .. });
    !is_asked && run.autonomy != Autonomy::Observe
}

/// Why a run that has touched nothing should not go on.
pub(super) enum Unwanted {
    /// For the moment.
    NotNow(String),
    /// For good.
    Over(String),
}

pub(super) fn voided(run: &Run, why: &str) -> RunEvent {
    if PLANS_MAX <= run.n_plans {
        let why = format!("{why}, for the {PLANS_MAX}th time");
        return RunEvent::Refused { why };
    }
    RunEvent::PlanVoided { why: why.to_owned() }
}

pub(super) fn planned_step(run: &Run, step: u16) -> Option<&PlannedStep> {
    run.plan.as_ref()?.steps.get(usize::from(step))
}
