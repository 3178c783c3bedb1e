//! Doing one step of a run, or its undo: look, ask the guard, write the intent down, send.
//!
//! **In:** a run whose step is ready, or whose effect was lost.
//! **Out:** the intent with its effect, a wait, or a failure.
//! **Not here:** which step it is ([`super::advance`]), the guard itself ([`crate::guard`]).

use jiff::{SignedDuration, Timestamp};

use crate::action::{Action, LookAt, Receipt, Seen};
use crate::blast_radius::Ledger;
use crate::condition::Truth;
use crate::documents::Target;
use crate::effect::{Act, Effect, EffectOutcome, Look, SetCapacity};
use crate::guard::{Refusal, StepCircumstances, StepPermit, review_step, takes_units};
use crate::heal::advance::{PATIENCE, Unwanted, voided};
use crate::heal::notices;
use crate::heal::view::PendingLook;
use crate::heal::ward::Ward;
use crate::ids::EffectId;
use crate::notice::Topic;
use crate::record::Record;
use crate::run::plan::{PlannedKind, PlannedStep};
use crate::run::{Run, RunCause, RunEvent};

/// How old a look may be that a step is decided on. Why 1 min: as old as a permit may be.
const LOOK_AGE_MAX: SignedDuration = SignedDuration::from_mins(1);

/// How long an answer to a look is waited for. Why 15 min: a Terraform plan may take ten.
const LOOK_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

/// Time between two looks of which the first failed or could not tell.
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(15);

/// How often a look may fail. Why 5: with the time between them, a minute and more of an
/// API that is not there.
const LOOKS_MAX: u32 = 5;

/// What came of asking for a look.
pub(super) enum Sighting {
    /// It was asked for, or the answer is not there yet.
    Waiting,
    /// It is there.
    Seen(Seen),
    /// It failed too often.
    Failed(String),
}

impl Ward<'_> {
    pub(super) fn begin_step(
        &mut self,
        run: &Run,
        target: &Target,
        step: u16,
        planned: &PlannedStep,
        since: Timestamp,
    ) {
        if run.is_dry {
            let why = match run.cause {
                RunCause::ByHand { .. } => "a dry run touches nothing".to_owned(),
                RunCause::Triggered { .. } | RunCause::Scheduled => {
                    format!("autonomy is {}: this is what it would do", run.autonomy)
                }
            };
            return self.run_event(run, RunEvent::Refused { why });
        }
        if run.touched.is_empty() {
            if let Some(change) = self.out_of_date(run, target, since) {
                return self.run_event(run, change);
            }
            let doubt =
                self.pinned(run).and_then(|it| self.is_still_wanted(run, it, target, since).err());
            if let Some(Unwanted::NotNow(why)) = doubt {
                return self.wait(run.id, &why);
            }
        } else if let Some(why) = self.doubt(run, target, planned) {
            // What is not known is neither good nor bad: hold, for a while.
            let now = self.now;
            let sight = self.views.runs.entry(run.id).or_default();
            sight.waiting_for = Some(why.clone());
            if PATIENCE <= now.duration_since(*sight.refused_since.get_or_insert(now)) {
                self.fail(run, step, why, false);
            }
            return;
        }
        // What people are asked about, or have agreed to, is a plan for a target as it was.
        let is_as_planned = run.plan.as_ref().is_some_and(|it| self.is_same_generation(it, target));
        if planned.gate.is_some() && !is_as_planned {
            let why = "the target or its policy changed since the plan was made".to_owned();
            return self.fail(run, step, why, false);
        }
        if let Some(gate) = &planned.gate
            && !run.passed.contains(&step)
        {
            let length = gate.expires_after;
            let after = |it: SignedDuration| self.now.checked_add(it).unwrap_or(Timestamp::MAX);
            let (escalates_at, expires_at) = (after(length / 2), after(length));
            let playbook = self.pinned(run);
            let name = planned.name.as_str();
            let notice =
                notices::approval_wanted(run, playbook, name, expires_at, Topic::ApprovalWanted);
            self.run_event(run, RunEvent::ApprovalAsked { step, escalates_at, expires_at });
            return self.raise(notice);
        }
        match &planned.kind {
            PlannedKind::Act { action } => {
                self.send_action(run, target, step, action, planned.share_max, since, false);
            }
            PlannedKind::Wait { within, .. } => {
                let until = self.now.checked_add(*within).unwrap_or(Timestamp::MAX);
                self.run_event(run, RunEvent::WaitBegan { step, until });
            }
            PlannedKind::Notify { message, severity } => {
                let notice = notices::of_step(run, planned.name.as_str(), message, *severity);
                let why = "people were told".to_owned();
                self.run_event(run, RunEvent::StepDone { step, why });
                self.raise(notice);
            }
            PlannedKind::Ask { .. } => {
                let why = "people agreed".to_owned();
                self.run_event(run, RunEvent::StepDone { step, why });
            }
            PlannedKind::Skip { why } => {
                let why = why.clone();
                self.run_event(run, RunEvent::StepDone { step, why });
            }
        }
    }

    /// Looks, asks the guard, writes the intent down, and lets the effect leave after it.
    #[expect(clippy::too_many_arguments, reason = "a step and its undo differ in all of them")]
    pub(super) fn send_action(
        &mut self,
        run: &Run,
        target: &Target,
        step: u16,
        action: &Action,
        share_max: f64,
        since: Timestamp,
        is_undo: bool,
    ) {
        let seen = match self.look(run, step, action.looks_at(), since) {
            Sighting::Seen(seen) => seen,
            Sighting::Waiting => return self.wait(run.id, "looking at what is there"),
            Sighting::Failed(why) => return self.fail(run, step, why, is_undo),
        };
        let now_known = if is_undo { undone_by_terraform(action, &seen) } else { None };
        let action = now_known.as_ref().unwrap_or(action);
        if let (
            Action::ApplyTerraform { plan_sha256, .. },
            Seen::TerraformPlan { plan_sha256: now_sha256, .. },
        ) = (action, &seen)
            && plan_sha256 != now_sha256
        {
            let why = "Terraform plans something else now than what was approved";
            return if run.touched.is_empty() && !is_undo {
                self.run_event(run, voided(run, why));
            } else {
                self.fail(run, step, why.to_owned(), is_undo);
            };
        }
        // Looked at since the plan was made: what is so already is not done again.
        if is_so_already(action, &seen) {
            let why = format!("it is so already: {action}");
            let change = if is_undo {
                RunEvent::UndoSkipped { step, why }
            } else {
                RunEvent::StepDone { step, why }
            };
            return self.run_event(run, change);
        }
        let current = match &seen {
            Seen::Capacity { current } => Some(*current),
            Seen::Instances { .. }
            | Seen::Revision { .. }
            | Seen::TenantLimits { .. }
            | Seen::Receipts { .. }
            | Seen::TerraformPlan { .. } => self.capacity(&target.id).0,
        };
        let units =
            takes_units(action, current.unwrap_or_default(), &seen, &run.drained_instances());
        let reviewed = {
            let circumstances = StepCircumstances {
                now: self.now,
                documents: self.documents,
                state: self.state,
                target,
                current,
                takes_units: units,
                seen: Some(&seen),
                share_max,
                storm: self.healing().storm(),
                is_approved: is_undo || !run.approvals.is_empty(),
            };
            let young = self.ledger.take().filter(|it| it.is_young(self.now));
            let ledger =
                self.ledger.insert(young.unwrap_or_else(|| {
                    Ledger::open(self.now, self.documents, self.state, self.sight)
                }));
            review_step(&circumstances, action, ledger)
        };
        match reviewed {
            Ok(permit) => self.send(run, step, action, is_undo, seen, (permit, units)),
            Err(refusal) => self.refuse(run, step, &refusal, is_undo),
        }
    }

    fn send(
        &mut self,
        run: &Run,
        step: u16,
        action: &Action,
        is_undo: bool,
        seen: Seen,
        (permit, takes_units): (StepPermit, u32),
    ) {
        let effect = self.take_effect_id();
        let (at, term) = (self.now, self.state.term());
        match permit {
            StepPermit::Capacity(permit) => {
                let set = SetCapacity::new(effect, term, permit);
                self.records.push(Record::EffectPlanned {
                    at,
                    id: effect,
                    target: run.target.clone(),
                    policy: None,
                    desired: set.desired(),
                    expected: set.expected(),
                    term,
                    why: format!("{} of playbook {}: {action}", run.id, run.playbook),
                });
                self.effects.push(Effect::SetCapacity(set));
            }
            StepPermit::Act(permit) => {
                self.effects.push(Effect::Act(Act::new(effect, term, run.id, is_undo, permit)));
            }
        }
        self.views.runs.remove(&run.id);
        let change = RunEvent::Sent {
            step,
            is_undo,
            effect,
            action: action.clone(),
            before: action.relevant(seen),
            takes_units,
        };
        self.run_event(run, change);
    }

    /// The guard said no: wait, and give up after a while. For people's word an undo waits
    /// as long as that lasts.
    fn refuse(&mut self, run: &Run, step: u16, refusal: &Refusal, is_undo: bool) {
        let now = self.now;
        let sight = self.views.runs.entry(run.id).or_default();
        sight.waiting_for = Some(refusal.to_string());
        let since = *sight.refused_since.get_or_insert(now);
        let is_peoples = matches!(
            refusal,
            Refusal::BreakGlass { .. } | Refusal::Overridden { .. } | Refusal::FreezeWindow { .. }
        );
        if now.duration_since(since) < PATIENCE || (is_undo && is_peoples) {
            return;
        }
        self.fail(run, step, format!("not allowed for {}: {refusal}", shown(PATIENCE)), is_undo);
    }

    pub(super) fn fail(&mut self, run: &Run, step: u16, why: String, is_undo: bool) {
        self.views.runs.remove(&run.id);
        let change = if is_undo {
            RunEvent::UndoFailed { step, why }
        } else {
            RunEvent::StepFailed { step, why }
        };
        self.run_event(run, change);
    }

    /// An answer that was asked for at `since` or later and is not old; asks for it where
    /// there is none.
    pub(super) fn look(&mut self, run: &Run, step: u16, at: LookAt, since: Timestamp) -> Sighting {
        let now = self.now;
        let sight = self.views.runs.entry(run.id).or_default();
        let pending = sight.looks.get_mut(&step).filter(|it| since <= it.asked_at);
        let n_asked = match pending {
            None => 0,
            Some(it) => {
                let age = now.duration_since(it.asked_at);
                match &it.answer {
                    None if age < LOOK_TIMEOUT => return Sighting::Waiting,
                    None if LOOKS_MAX <= it.n_asked => {
                        let why = format!("{LOOKS_MAX} looks were not answered");
                        return Sighting::Failed(why);
                    }
                    Some(Ok(seen)) if age <= LOOK_AGE_MAX || is_slow(&at) => {
                        return Sighting::Seen(seen.clone());
                    }
                    Some(Err(error)) if LOOKS_MAX <= it.n_asked => {
                        return Sighting::Failed(error.clone());
                    }
                    Some(Err(_)) if age < LOOK_AGAIN_AFTER => return Sighting::Waiting,
                    None | Some(Ok(_) | Err(_)) => it.n_asked,
                }
            }
        };
        let look = PendingLook { asked_at: now, n_asked: n_asked + 1, answer: None };
        sight.looks.insert(step, look);
        let target = run.target.clone();
        self.effects.push(Effect::Look(Look { run: run.id, step, target, at }));
        Sighting::Waiting
    }

    /// Finds out whether an effect happened of which nobody heard the end. A change of
    /// capacity is read back with the capacity itself ([`crate::evaluate`]).
    pub(super) fn read_back_step(
        &mut self,
        run: &Run,
        target: &Target,
        step: u16,
        action: &Action,
        (effect, sent_at, unknown_since): (EffectId, Timestamp, Timestamp),
        is_undo: bool,
    ) {
        let is_over = PATIENCE <= self.now.duration_since(unknown_since);
        if matches!(action, Action::SetCapacity { .. }) {
            if is_over {
                let why = format!("{effect} cannot be read back: the capacity is not known");
                self.fail(run, step, why, is_undo);
            }
            return;
        }
        let seen = match self.look(run, step, action.looks_at(), unknown_since) {
            Sighting::Seen(seen) => seen,
            Sighting::Waiting => return self.wait(run.id, "reading back what happened"),
            Sighting::Failed(error) => {
                let why = format!("{effect} cannot be read back: {error}");
                return self.fail(run, step, why, is_undo);
            }
        };
        // An effect that is known to have failed is no lost one: it is not sent again.
        if let Seen::Receipts { receipts } | Seen::TerraformPlan { receipts, .. } = &seen
            && receipts.get(&effect) == Some(&Receipt::Failed)
        {
            self.records.push(Record::EffectFinished {
                at: self.now,
                id: effect,
                target: target.id.clone(),
                outcome: EffectOutcome::Rejected,
                detail: "its receipt says that it failed".to_owned(),
            });
            return;
        }
        let since = if is_undo { sent_at } else { newer_than_before(run, step, sent_at) };
        match action.has_happened(since, effect, &seen) {
            Truth::True => self.read_back(run, effect, true),
            Truth::False => self.read_back(run, effect, false),
            Truth::Unknown => {
                if is_over {
                    let why = format!("whether {effect} happened cannot be told: {action}");
                    return self.fail(run, step, why, is_undo);
                }
                let now = self.now;
                if let Some(sight) = self.views.runs.get_mut(&run.id) {
                    // Asked again after a while.
                    sight.looks.retain(|_, it| now.duration_since(it.asked_at) < LOOK_AGAIN_AFTER);
                }
                self.wait(run.id, "what is seen does not tell whether it happened");
            }
        }
    }

    fn read_back(&mut self, run: &Run, effect: EffectId, happened: bool) {
        self.views.runs.remove(&run.id);
        self.run_event(run, RunEvent::ReadBack { effect, happened });
    }
}

/// When an instance must have started at least to be another than the one that was there
/// before: later than that one did, by the platform's own clock. The agent's, which may be
/// ahead of it, is asked only where nothing was read before.
fn newer_than_before(run: &Run, step: u16, sent_at: Timestamp) -> Timestamp {
    let Some(Seen::Instances { instances }) = run.befores.get(&step) else { return sent_at };
    let newest = instances.iter().filter_map(|it| it.started_at).max();
    let newer = newest.and_then(|it| it.checked_add(SignedDuration::from_nanos(1)).ok());
    newer.map_or(sent_at, |it| it.min(sent_at))
}

/// The way back by Terraform, with the plan that was just made for it: before the step was
/// applied there was none. The allow-list's addresses hold for it like for any other.
fn undone_by_terraform(action: &Action, seen: &Seen) -> Option<Action> {
    let Action::ApplyTerraform { workspace, variables, plan_sha256 } = action else { return None };
    let Seen::TerraformPlan { plan_sha256: now_sha256, .. } = seen else { return None };
    plan_sha256.is_empty().then(|| Action::ApplyTerraform {
        workspace: workspace.clone(),
        variables: variables.clone(),
        plan_sha256: now_sha256.clone(),
    })
}

/// Whether a state that an action asks for is there. What restarts, replaces, runs or calls
/// is an event, not a state.
fn is_so_already(action: &Action, seen: &Seen) -> bool {
    match action {
        Action::SetCapacity { .. }
        | Action::SetWeights { .. }
        | Action::SetDrained { .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. } => {
            let (since, effect) = (Timestamp::MAX, EffectId(u64::MAX));
            action.has_happened(since, effect, seen) == Truth::True
        }
        Action::ReplaceInstances { instances } => match seen {
            Seen::Instances { instances: there } => {
                !there.iter().any(|it| instances.contains(&it.name))
            }
            Seen::Capacity { .. }
            | Seen::Revision { .. }
            | Seen::TenantLimits { .. }
            | Seen::Receipts { .. }
            | Seen::TerraformPlan { .. } => false,
        },
        Action::ApplyTerraform { .. } => {
            matches!(seen, Seen::TerraformPlan { changes, .. } if changes.is_empty())
        }
        Action::RestartInstances { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. } => false,
    }
}

/// Whether looking takes so long that the answer may be older.
fn is_slow(at: &LookAt) -> bool {
    matches!(at, LookAt::Terraform { .. })
}

fn shown(it: SignedDuration) -> String {
    crate::units::show_duration(it)
}
