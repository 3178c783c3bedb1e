//! What a phase turns into when something happens: the only place that changes a run.
//!
//! **In:** an event, or how an effect ended.
//! **Out:** the phase that follows; what is impossible changes nothing and says so.
//! **Not here:** the phases and events themselves ([`super`]).

use jiff::Timestamp;

use crate::effect::EffectOutcome;
use crate::ids::{Actor, EffectId};

use super::{Ending, Impossible, Phase, Run, RunEvent, SENDS_MAX, StepPhase, Why, plan};

impl Run {
    /// Whether the undo of its step may be sent once more after it was rejected.
    fn may_undo_again(&self) -> bool {
        let Some(step) = self.undoing_step() else { return false };
        let planned = self.plan.as_ref().and_then(|it| it.steps.get(usize::from(step)));
        let is_state = planned.is_some_and(|it| match &it.undo {
            plan::PlannedUndo::Act { action } => action.is_state(),
            plan::PlannedUndo::Nothing { .. } => false,
        });
        is_state && self.n_undos_sent.get(&step).is_none_or(|it| *it < SENDS_MAX)
    }

    /// Takes in what happened. On an error nothing has changed.
    ///
    /// # Errors
    ///
    /// [`Impossible`].
    pub fn apply(&mut self, now: Timestamp, event: &RunEvent) -> Result<(), Impossible> {
        let next = self.next(now, event)?;
        match event {
            RunEvent::Planned { plan } => {
                self.plan = Some(plan.as_ref().clone());
                self.n_plans = self.n_plans.saturating_add(1);
                self.approvals.clear();
                self.passed.clear();
            }
            RunEvent::Approved { approval } => self.approvals.push(approval.clone()),
            RunEvent::GatePassed { step } => self.passed.push(*step),
            RunEvent::Sent { step, is_undo: false, before, .. } => {
                if self.touched.last() != Some(step) {
                    self.touched.push(*step);
                }
                *self.n_sent.entry(*step).or_default() += 1;
                if let Some(before) = before {
                    self.befores.insert(*step, before.clone());
                }
            }
            RunEvent::Sent { step, is_undo: true, .. } => {
                *self.n_undos_sent.entry(*step).or_default() += 1;
            }
            RunEvent::Aborted { actor, reason } if self.effect().is_some() => {
                self.aborted = Some((actor.clone(), reason.clone()));
            }
            RunEvent::Refused { .. }
            | RunEvent::ApprovalAsked { .. }
            | RunEvent::ApprovalEscalated
            | RunEvent::ApprovalExpired
            | RunEvent::PlanVoided { .. }
            | RunEvent::Denied { .. }
            | RunEvent::Aborted { .. }
            | RunEvent::Reported
            | RunEvent::ReadBack { .. }
            | RunEvent::WaitBegan { .. }
            | RunEvent::StepDone { .. }
            | RunEvent::StepFailed { .. }
            | RunEvent::Verified
            | RunEvent::NotVerified { .. }
            | RunEvent::TakenOver { .. }
            | RunEvent::UndoSkipped { .. }
            | RunEvent::UndoFailed { .. } => (),
        }
        self.phase = next;
        Ok(())
    }

    /// Takes in how the effect of its step ended, from the record of that.
    ///
    /// # Errors
    ///
    /// [`Impossible`] when it waits for no effect or for another.
    pub fn finish_effect(
        &mut self,
        now: Timestamp,
        id: EffectId,
        outcome: EffectOutcome,
        detail: &str,
    ) -> Result<(), Impossible> {
        let impossible = Impossible { event: "effect_finished", phase: self.phase.name() };
        if self.effect() != Some(id) {
            return Err(impossible);
        }
        self.phase = match (&self.phase, outcome) {
            (Phase::Running { .. }, EffectOutcome::Done | EffectOutcome::Rejected)
                if self.aborted.is_some() =>
            {
                self.after_abort(now)
            }
            (Phase::Running { step, .. }, EffectOutcome::Done) => self.after_step(now, *step),
            (Phase::Running { step, .. }, EffectOutcome::Rejected) => {
                let why = Why::StepFailed { step: *step, detail: detail.to_owned() };
                self.undo_or_end(now, why)
            }
            (Phase::Undoing { position, why, .. }, EffectOutcome::Done) => {
                self.after_undo(now, *position, why)
            }
            // It surely did not happen. A state can be asked for once more; what restarts,
            // runs or calls is not tried again on the way back.
            (Phase::Undoing { position, why, .. }, EffectOutcome::Rejected)
                if self.may_undo_again() =>
            {
                let at = StepPhase::Ready { since: now };
                Phase::Undoing { position: *position, at, why: why.clone() }
            }
            (Phase::Undoing { .. }, EffectOutcome::Rejected) => Phase::Stuck {
                step: self.undoing_step().unwrap_or_default(),
                since: now,
                why: detail.to_owned(),
            },
            (phase, EffectOutcome::Unknown) => match unknown(phase, now) {
                Some(phase) => phase,
                None => return Err(impossible),
            },
            _ => return Err(impossible),
        };
        Ok(())
    }

    fn next(&self, now: Timestamp, event: &RunEvent) -> Result<Phase, Impossible> {
        let impossible = || Impossible { event: event.kind(), phase: self.phase.name() };
        Ok(match (&self.phase, event) {
            (Phase::Planning { .. }, RunEvent::Planned { .. }) => {
                Phase::Running { step: 0, at: StepPhase::Ready { since: now } }
            }
            (Phase::Planning { .. }, RunEvent::Refused { why }) => {
                ended(now, Ending::Refused { why: why.clone() })
            }
            // Before its first effect a run can still turn out to be out of date.
            (
                Phase::AwaitingApproval { .. } | Phase::Running { at: StepPhase::Ready { .. }, .. },
                RunEvent::Refused { why },
            ) if self.touched.is_empty() => ended(now, Ending::Refused { why: why.clone() }),
            (
                Phase::Running { step, at: StepPhase::Ready { .. } },
                RunEvent::ApprovalAsked { step: asked, escalates_at, expires_at },
            ) if step == asked => Phase::AwaitingApproval {
                step: *step,
                since: now,
                escalates_at: *escalates_at,
                expires_at: *expires_at,
                is_escalated: false,
            },
            (
                Phase::AwaitingApproval { step, since, escalates_at, expires_at, .. },
                RunEvent::ApprovalEscalated,
            ) => Phase::AwaitingApproval {
                step: *step,
                since: *since,
                escalates_at: *escalates_at,
                expires_at: *expires_at,
                is_escalated: true,
            },
            (phase @ Phase::AwaitingApproval { step, .. }, RunEvent::Approved { approval })
                if *step == approval.step =>
            {
                phase.clone()
            }
            (Phase::AwaitingApproval { step, .. }, RunEvent::GatePassed { step: passed })
                if step == passed =>
            {
                Phase::Running { step: *step, at: StepPhase::Ready { since: now } }
            }
            (Phase::AwaitingApproval { .. }, RunEvent::Denied { actor, reason }) => {
                self.undo_or_end(now, Why::Denied { actor: actor.clone(), reason: reason.clone() })
            }
            (Phase::AwaitingApproval { .. }, RunEvent::ApprovalExpired) => {
                self.undo_or_end(now, Why::Expired)
            }
            // A plan is made anew only while nothing was touched: later, what was approved
            // has begun, and the way back is known.
            (
                Phase::AwaitingApproval { .. } | Phase::Running { at: StepPhase::Ready { .. }, .. },
                RunEvent::PlanVoided { .. },
            ) if self.touched.is_empty() => Phase::Planning { since: now },
            (
                Phase::Running { step, at: StepPhase::Ready { .. } },
                RunEvent::Sent { step: sent, is_undo: false, effect, .. },
            ) if step == sent => {
                Phase::Running { step: *step, at: StepPhase::Sent { effect: *effect, since: now } }
            }
            (
                Phase::Undoing { position, at: StepPhase::Ready { .. }, why },
                RunEvent::Sent { step, is_undo: true, effect, .. },
            ) if self.undoing_step() == Some(*step) => Phase::Undoing {
                position: *position,
                at: StepPhase::Sent { effect: *effect, since: now },
                why: why.clone(),
            },
            (
                Phase::Running { step, at: StepPhase::Unknown { effect, .. } },
                RunEvent::ReadBack { effect: read, happened },
            ) if effect == read => {
                if self.aborted.is_some() {
                    self.after_abort(now)
                } else if *happened {
                    self.after_step(now, *step)
                } else if self.n_sent.get(step).is_some_and(|it| *it < SENDS_MAX) {
                    // Surely not done: it may be sent again, under a new number.
                    Phase::Running { step: *step, at: StepPhase::Ready { since: now } }
                } else {
                    let detail = format!("its effect was lost {SENDS_MAX} times");
                    self.undo_or_end(now, Why::StepFailed { step: *step, detail })
                }
            }
            (
                Phase::Undoing { position, at: StepPhase::Unknown { effect, .. }, why },
                RunEvent::ReadBack { effect: read, happened },
            ) if effect == read => {
                let n_sent = self.undoing_step().and_then(|it| self.n_undos_sent.get(&it));
                if *happened {
                    self.after_undo(now, *position, why)
                } else if n_sent.is_some_and(|it| SENDS_MAX <= *it) {
                    let step = self.undoing_step().unwrap_or_default();
                    let why = format!("the effect of its undo was lost {SENDS_MAX} times");
                    Phase::Stuck { step, since: now, why }
                } else {
                    let at = StepPhase::Ready { since: now };
                    Phase::Undoing { position: *position, at, why: why.clone() }
                }
            }
            (
                Phase::Running { step, at: StepPhase::Ready { .. } },
                RunEvent::WaitBegan { step: begun, until },
            ) if step == begun => {
                Phase::Running { step: *step, at: StepPhase::Waiting { since: now, until: *until } }
            }
            (
                Phase::Running { step, at: StepPhase::Ready { .. } | StepPhase::Waiting { .. } },
                RunEvent::StepDone { step: done, .. },
            ) if step == done => self.after_step(now, *step),
            (
                Phase::Running { step, at: StepPhase::Ready { .. } | StepPhase::Waiting { .. } },
                RunEvent::StepFailed { step: failed, why },
            ) if step == failed => {
                self.undo_or_end(now, Why::StepFailed { step: *step, detail: why.clone() })
            }
            (
                Phase::Running { step, at: StepPhase::Unknown { .. } },
                RunEvent::StepFailed { step: failed, why },
            ) if step == failed => Phase::Stuck { step: *step, since: now, why: why.clone() },
            (Phase::Verifying { .. }, RunEvent::Verified) => ended(now, Ending::Succeeded),
            (Phase::Verifying { .. }, RunEvent::NotVerified { why }) => {
                self.undo_or_end(now, Why::NotVerified { detail: why.clone() })
            }
            (
                Phase::Planning { .. }
                | Phase::AwaitingApproval { .. }
                | Phase::Verifying { .. }
                | Phase::Running { at: StepPhase::Ready { .. } | StepPhase::Waiting { .. }, .. },
                RunEvent::Aborted { actor, reason },
            ) => {
                self.undo_or_end(now, Why::Aborted { actor: actor.clone(), reason: reason.clone() })
            }
            // What is on its way cannot be called back; once it has ended, it is undone.
            (
                phase @ Phase::Running {
                    at: StepPhase::Sent { .. } | StepPhase::Unknown { .. },
                    ..
                },
                RunEvent::Aborted { .. },
            ) if self.aborted.is_none() => phase.clone(),
            (phase @ (Phase::Ended { .. } | Phase::Stuck { .. }), RunEvent::Reported) => {
                phase.clone()
            }
            (Phase::Stuck { .. }, RunEvent::Aborted { actor, reason }) => {
                ended(now, Ending::Cleared { actor: actor.clone(), reason: reason.clone() })
            }
            (Phase::Ended { .. }, RunEvent::TakenOver { .. }) => return Err(impossible()),
            (_, RunEvent::TakenOver { actor }) => {
                ended(now, Ending::TakenOver { actor: actor.clone() })
            }
            (
                Phase::Undoing { position, at: StepPhase::Ready { .. }, why },
                RunEvent::UndoSkipped { step, .. },
            ) if self.undoing_step() == Some(*step) => self.after_undo(now, *position, why),
            (
                Phase::Undoing { at: StepPhase::Ready { .. } | StepPhase::Unknown { .. }, .. },
                RunEvent::UndoFailed { step, why },
            ) if self.undoing_step() == Some(*step) => {
                Phase::Stuck { step: *step, since: now, why: why.clone() }
            }
            _ => return Err(impossible()),
        })
    }

    /// After the last step comes the verification.
    fn after_step(&self, now: Timestamp, step: u16) -> Phase {
        let Some(plan) = &self.plan else {
            return ended(now, Ending::Refused { why: "it has no plan".to_owned() });
        };
        let next = step.saturating_add(1);
        if usize::from(next) < plan.steps.len() {
            return Phase::Running { step: next, at: StepPhase::Ready { since: now } };
        }
        let until = now.checked_add(plan.verification.within).unwrap_or(Timestamp::MAX);
        Phase::Verifying { since: now, until }
    }

    fn after_abort(&self, now: Timestamp) -> Phase {
        let (actor, reason) =
            self.aborted.clone().unwrap_or_else(|| (Actor::agent(), String::new()));
        self.undo_or_end(now, Why::Aborted { actor, reason })
    }

    /// What was touched is undone, last first. The step that failed may have happened in
    /// part, so it is undone too.
    fn undo_or_end(&self, now: Timestamp, why: Why) -> Phase {
        match u16::try_from(self.touched.len()).unwrap_or(u16::MAX).checked_sub(1) {
            Some(position) => Phase::Undoing { position, at: StepPhase::Ready { since: now }, why },
            None => ended(now, ending_of(&why)),
        }
    }

    fn after_undo(&self, now: Timestamp, position: u16, why: &Why) -> Phase {
        match position.checked_sub(1) {
            Some(position) => {
                Phase::Undoing { position, at: StepPhase::Ready { since: now }, why: why.clone() }
            }
            None => ended(now, ending_after_undo(why)),
        }
    }
}

fn ended(at: Timestamp, ending: Ending) -> Phase {
    Phase::Ended { ending, at }
}

fn unknown(phase: &Phase, now: Timestamp) -> Option<Phase> {
    let lost = |at: &StepPhase| match at {
        StepPhase::Sent { effect, since } => {
            Some(StepPhase::Unknown { effect: *effect, since: *since, unknown_since: now })
        }
        StepPhase::Ready { .. } | StepPhase::Unknown { .. } | StepPhase::Waiting { .. } => None,
    };
    match phase {
        Phase::Running { step, at } => Some(Phase::Running { step: *step, at: lost(at)? }),
        Phase::Undoing { position, at, why } => {
            Some(Phase::Undoing { position: *position, at: lost(at)?, why: why.clone() })
        }
        Phase::Planning { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Verifying { .. }
        | Phase::Stuck { .. }
        | Phase::Ended { .. } => None,
    }
}

/// Where nothing was touched.
fn ending_of(why: &Why) -> Ending {
    match why {
        Why::StepFailed { .. } | Why::NotVerified { .. } => {
            Ending::Refused { why: why.to_string() }
        }
        Why::Aborted { actor, reason } => {
            Ending::Aborted { actor: actor.clone(), reason: reason.clone() }
        }
        Why::Denied { actor, reason } => {
            Ending::Denied { actor: actor.clone(), reason: reason.clone() }
        }
        Why::Expired => Ending::Expired,
    }
}

/// Where everything was undone.
fn ending_after_undo(why: &Why) -> Ending {
    match why {
        Why::Aborted { actor, reason } => {
            Ending::Aborted { actor: actor.clone(), reason: reason.clone() }
        }
        Why::StepFailed { .. } | Why::NotVerified { .. } | Why::Denied { .. } | Why::Expired => {
            Ending::RolledBack { why: why.to_string() }
        }
    }
}
