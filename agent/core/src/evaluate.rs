//! One evaluation: what is seen of some targets becomes effects and explanations.
//!
//! **In:** documents, state, sight, and the targets that were just observed.
//! **Out:** records and effects to commit, one explanation per target.
//! **Not here:** changing state (the records do), the arithmetic of demand
//! ([`crate::decide`]), what forbids ([`crate::guard`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::blast_radius::Ledger;
use crate::budget::arbiter::{Ruling, constraints_on, ruling_on};
use crate::decide::{Proposal, Reason, SignalFinding, propose};
use crate::documents::{BudgetOf, Consequence, Documents, OutsideChange, ScalingPolicy, Target};
use crate::effect::{Effect, SetCapacity};
use crate::explain::{Conclusion, Explanation};
use crate::guard::{Circumstances, Verdict, freeze_window_in, review};
use crate::heal::memory::Lapse;
use crate::ids::{Actor, EffectId, GuardrailId, OverrideId, TargetId};
use crate::lead_time::WAIT_MAX;
use crate::look_back::GAP_MAX;
use crate::outlook::Standing;
use crate::overrides::{Override, OverrideKind, OverrideState, Scope, in_force, pin_in_force};
use crate::quality::{CapacityReading, Quality};
use crate::record::{EndCause, Record};
use crate::sight::{Sight, TargetSight};
use crate::state::{InFlight, State, TargetState};
use crate::units::{Capacity, show_duration};

/// What a batch of evaluations led to.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) explanations: Vec<Arc<Explanation>>,
}

/// Evaluates `targets`, which were just observed, in the order given.
pub(crate) fn evaluate(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    sight: &Sight,
    ledger: &mut Ledger,
    targets: &[&Target],
) -> Evaluated {
    let mut batch = Batch {
        now,
        documents,
        state,
        overrides: InForce::of(state, now),
        // Schedules are looked up once per batch, not once per target.
        freeze_windows: documents
            .guardrails()
            .filter_map(|it| freeze_window_in(it, now))
            .map(|it| (it.0.clone(), it))
            .collect(),
        lapses: state.healing().lapses().iter().filter(|it| it.was_takeover).collect(),
        ledger,
        next_effect: state.next_effect(),
        next_override: state.next_override(),
        evaluated: Evaluated::default(),
    };
    for target in targets {
        if let Some(seen) = sight.target(&target.id) {
            let explanation = batch.evaluate(target, seen);
            batch.evaluated.explanations.push(Arc::new(explanation));
        }
    }
    batch.evaluated
}

type WindowInForce<'a> = (&'a GuardrailId, &'a str, Timestamp);

/// The active overrides, so that looking one target's up does not mean looking
/// at those of every other target.
struct InForce<'a> {
    by_target: BTreeMap<&'a TargetId, Vec<&'a Override>>,
    others: Vec<&'a Override>,
}

impl<'a> InForce<'a> {
    fn of(state: &'a State, now: Timestamp) -> InForce<'a> {
        let mut sorted = InForce { by_target: BTreeMap::new(), others: Vec::new() };
        for it in state.overrides().filter(|it| it.state(now) == OverrideState::Active) {
            match &it.scope {
                Scope::Target(id) => sorted.by_target.entry(id).or_default().push(it),
                Scope::Labels(_) | Scope::Region(_) | Scope::Everything => sorted.others.push(it),
            }
        }
        sorted
    }

    /// Those whose scope names `target`.
    fn naming(&self, target: &TargetId) -> &[&'a Override] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// Those that may cover `target`.
    fn candidates(&self, target: &Target) -> impl Iterator<Item = &'a Override> {
        self.naming(&target.id).iter().chain(&self.others).copied()
    }
}

/// How long a provider may go on showing what there was before a change that it confirmed.
///
/// Why 2 min: eventually consistent control planes are seconds behind, a minute when they
/// are throttled; whoever changes it back by hand is obeyed that much later.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_mins(2);

struct Batch<'a> {
    now: Timestamp,
    documents: &'a Documents,
    state: &'a State,
    overrides: InForce<'a>,
    freeze_windows: BTreeMap<GuardrailId, WindowInForce<'a>>,
    /// Takeovers that were not handed back.
    lapses: Vec<&'a Lapse>,
    ledger: &'a mut Ledger,
    next_effect: EffectId,
    next_override: OverrideId,
    evaluated: Evaluated,
}

impl<'a> Batch<'a> {
    fn evaluate(&mut self, target: &'a Target, seen: &TargetSight) -> Explanation {
        let policy = self.documents.policy_of(&target.id);
        let mut explanation = Explanation {
            target: target.id.clone(),
            at: self.now,
            since: self.now,
            policy: policy.map(|it| it.id.clone()),
            autonomy: policy.map(|it| it.autonomy),
            current: None,
            ready: None,
            proposed: None,
            reason: None,
            conclusion: Conclusion::NoChange,
            limits: Vec::new(),
            bounds: Some(target.bounds),
            signals: seen.findings().to_vec(),
            arbitration: None,
        };
        let reading = match seen.capacity() {
            Some(Ok(reading)) => *reading,
            Some(Err(message)) => {
                explanation.conclusion = Conclusion::CapacityUnknown { message: message.clone() };
                return explanation;
            }
            None => {
                let message = "it was not asked yet".to_owned();
                explanation.conclusion = Conclusion::CapacityUnknown { message };
                return explanation;
            }
        };
        explanation.current = Some(reading.current);
        explanation.ready = reading.ready;
        let memory = self.state.target(&target.id);
        self.note_lead_time(target, memory, reading, seen.capacity_before());
        self.note_standings(target, memory, seen.findings());
        if let Some(conclusion) = self.reconcile(target, policy, memory, reading) {
            explanation.conclusion = conclusion;
            return explanation;
        }
        let ruling = in_force(self.overrides.candidates(target), target, self.now);
        let pin = pin_in_force(self.overrides.candidates(target), target, self.now);
        let proposal = self.propose(policy, pin, reading.current, seen);
        explanation.proposed = Some(proposal.desired);
        explanation.reason = Some(proposal.reason.clone());
        let growth = ruling_on(self.documents, self.state.budgets(), target);
        if growth != Ruling::Free && reading.current < target.bounds.clamp(proposal.desired) {
            explanation.arbitration = Some(growth.clone());
        }
        let tightened = constraints_on(
            self.documents,
            self.state.budgets(),
            target,
            Consequence::TightenAutonomy,
        )
        .find(|(budget, ..)| matches!(budget.of, BudgetOf::Errors { .. }));
        let circumstances = Circumstances {
            now: self.now,
            documents: self.documents,
            target,
            policy,
            memory,
            current: reading.current,
            good_since: seen.look_back().good_since(),
            ruling,
            break_glass: self.state.break_glass(),
            freeze_window: self.freeze_window_of(target),
            run: self.state.healing().active_on(&target.id),
            lapse: self.lapses.iter().find(|it| it.scope.covers(target)).copied(),
            growth: &growth,
            tightened: tightened
                .map(|(budget, threshold, it)| (&budget.id, threshold, it.why.as_str())),
        };
        let verdict = review(&circumstances, &proposal, self.ledger);
        self.conclude(target, verdict, &mut explanation);
        explanation
    }

    /// Records how long growth took once it is ready, or that it is no longer
    /// waited for. Providers that do not say what is ready measure nothing.
    fn note_lead_time(
        &mut self,
        target: &Target,
        memory: Option<&TargetState>,
        reading: CapacityReading,
        before: Option<CapacityReading>,
    ) {
        let Some(growing) = memory.and_then(|it| it.growing) else { return };
        let is_ours =
            memory.is_some_and(|it| it.in_flight.is_some() || it.known == Some(reading.current));
        if !is_ours {
            // Somebody else was here: what is ready now may be theirs.
            return;
        }
        let (at, target) = (self.now, target.id.clone());
        let waited = reading.read_at.duration_since(growing.since);
        let is_ready = reading.ready.is_some_and(|it| growing.to <= it);
        // Between two looks that are far apart it may have been ready for long.
        let was_watched =
            |it: CapacityReading| reading.read_at.duration_since(it.read_at) <= GAP_MAX;
        self.evaluated.records.push(if is_ready && before.is_none_or(|it| !was_watched(it)) {
            let why = "it became ready while nobody looked".to_owned();
            Record::LeadTimeMissed { at, target, why }
        } else if is_ready {
            let lead_time = waited.max(SignedDuration::ZERO);
            Record::LeadTimeMeasured { at, target, lead_time }
        } else if WAIT_MAX < waited {
            let why = match reading.ready {
                Some(ready) => format!(
                    "{} were asked for, {ready} are ready after {}",
                    growing.to,
                    show_duration(waited)
                ),
                None => "the provider does not say what is ready".to_owned(),
            };
            Record::LeadTimeMissed { at, target, why }
        } else {
            return;
        });
    }

    /// Records which forecasts came to drive capacity and which no longer do.
    fn note_standings(
        &mut self,
        target: &Target,
        memory: Option<&TargetState>,
        findings: &[SignalFinding],
    ) {
        for finding in findings {
            let Some(forecast) = &finding.forecast else { continue };
            let is_remembered = memory.is_some_and(|it| it.predicting.contains(&finding.signal));
            let (at, target, signal) = (self.now, target.id.clone(), finding.signal.clone());
            match &forecast.standing {
                Standing::Predicting if !is_remembered => {
                    self.evaluated.records.push(Record::ForecastPromoted { at, target, signal });
                }
                Standing::Abstaining { why } if is_remembered && why.is_lasting() => {
                    let why = why.to_string();
                    self.evaluated.records.push(Record::ForecastDemoted {
                        at,
                        target,
                        signal,
                        why,
                    });
                }
                Standing::Predicting | Standing::Abstaining { .. } => (),
            }
        }
    }

    /// Brings what is remembered together with what the provider says, before
    /// anything new is decided. `Some` ends the evaluation.
    fn reconcile(
        &mut self,
        target: &Target,
        policy: Option<&ScalingPolicy>,
        memory: Option<&TargetState>,
        reading: CapacityReading,
    ) -> Option<Conclusion> {
        let (at, current) = (self.now, reading.current);
        let known = memory.and_then(|it| it.known);
        if let Some(in_flight) = memory.and_then(|it| it.in_flight.as_ref()) {
            // A reading from before the outcome was lost says nothing about it.
            if in_flight.unknown_since.is_none_or(|since| reading.read_at <= since) {
                return None;
            }
            return Some(self.read_back(target, policy, in_flight, current));
        }
        let Some(expected) = known else {
            let target = target.id.clone();
            self.evaluated.records.push(Record::TargetAdopted { at, target, current });
            return None;
        };
        if expected == current {
            return None;
        }
        let changed_at = memory.and_then(|it| it.changed_at);
        if changed_at.is_some_and(|it| reading.read_at <= it) {
            // Growing from a capacity that is no longer there could mean shrinking.
            let message =
                format!("the reading {current} is from before the last change, to {expected}");
            return Some(Conclusion::CapacityUnknown { message });
        }
        // A provider that answers before it acts, or reads from a copy, shows for a while
        // what there was before. That is nobody else's change, and nothing to decide on.
        let is_settling = memory.and_then(|it| it.known_before) == Some(current)
            && changed_at.is_some_and(|it| self.now.duration_since(it) < SETTLES_WITHIN);
        if is_settling {
            let message = format!(
                "the provider still shows {current}, as before the last change, to {expected}"
            );
            return Some(Conclusion::CapacityUnknown { message });
        }
        let target_id = target.id.clone();
        self.evaluated.records.push(Record::ChangedOutside {
            at,
            target: target_id,
            expected,
            current,
        });
        let is_held = self.hold_for_people(target, policy, expected, current);
        Some(Conclusion::ChangedOutside { expected, is_held })
    }

    fn read_back(
        &mut self,
        target: &Target,
        policy: Option<&ScalingPolicy>,
        in_flight: &InFlight,
        current: Capacity,
    ) -> Conclusion {
        let InFlight { id, desired, expected, .. } = *in_flight;
        let at = self.now;
        let target_id = target.id.clone();
        self.evaluated.records.push(Record::EffectReadBack { at, id, target: target_id, current });
        if current != desired && current != expected {
            // Neither before nor after the effect: somebody else was here meanwhile.
            let target_id = target.id.clone();
            self.evaluated.records.push(Record::ChangedOutside {
                at,
                target: target_id,
                expected,
                current,
            });
            self.hold_for_people(target, policy, expected, current);
        }
        Conclusion::ReadBack { effect: id, desired, happened: current == desired }
    }

    /// Sets a hold in the name of whoever changed the capacity, so that the
    /// agent does not fight them. It ends like any override: in time, or when a
    /// person expires it.
    fn hold_for_people(
        &mut self,
        target: &Target,
        policy: Option<&ScalingPolicy>,
        expected: Capacity,
        current: Capacity,
    ) -> bool {
        let Some(OutsideChange::Hold(length)) = policy.map(|it| it.outside_change) else {
            return false;
        };
        let id = self.next_override;
        self.next_override = id.next();
        // One hold per target: whoever changes it every minute must not fill the
        // table, and one `expire` must be enough to resume.
        let earlier = self.overrides.naming(&target.id).iter().filter(|it| it.is_agents_hold());
        for it in earlier {
            let reason = format!("replaced by {id}");
            let cause = EndCause::Cancelled { actor: Actor::agent(), reason };
            self.evaluated.records.push(Record::OverrideEnded { at: self.now, id: it.id, cause });
        }
        let accepted = Override {
            id,
            kind: OverrideKind::Hold,
            scope: Scope::Target(target.id.clone()),
            actor: Actor::agent(),
            reason: format!("capacity was changed outside of Evenkeel, {expected} -> {current}"),
            starts_at: self.now,
            ends_at: self.now.checked_add(length).unwrap_or(Timestamp::MAX),
        };
        self.evaluated.records.push(Record::OverrideAccepted { at: self.now, accepted });
        true
    }

    fn propose(
        &self,
        policy: Option<&ScalingPolicy>,
        pin: Option<(OverrideId, Capacity)>,
        current: Capacity,
        seen: &TargetSight,
    ) -> Proposal {
        if let Some((by, capacity)) = pin {
            return Proposal {
                desired: capacity,
                reason: Reason::Pinned { by },
                quality: Quality::Good,
            };
        }
        match (policy, seen.recommendation()) {
            (Some(policy), Some(recommendation)) => {
                propose(self.now, policy, current, recommendation, seen.look_back())
            }
            (Some(_), None) => Proposal {
                desired: current,
                reason: Reason::NoUsableSignal,
                quality: Quality::Missing,
            },
            (None, _) => {
                Proposal { desired: current, reason: Reason::NoPolicy, quality: Quality::Missing }
            }
        }
    }

    fn freeze_window_of(&self, target: &Target) -> Option<WindowInForce<'a>> {
        if self.freeze_windows.is_empty() {
            return None;
        }
        self.documents
            .guardrails_of(&target.id)
            .filter_map(|it| self.freeze_windows.get(&it.id).copied())
            .max_by_key(|(_, _, ends_at)| *ends_at)
    }

    fn conclude(&mut self, target: &Target, verdict: Verdict, explanation: &mut Explanation) {
        match verdict {
            Verdict::NoChange { limits } => explanation.limits = limits,
            Verdict::Refuse { refusal, would, limits } => {
                explanation.limits = limits;
                explanation.conclusion = Conclusion::Refused { refusal, would };
            }
            Verdict::Allow { permit, limits } => {
                let id = self.next_effect;
                self.next_effect = id.next();
                let effect = SetCapacity::new(id, self.state.term(), permit);
                explanation.limits = limits;
                explanation.conclusion =
                    Conclusion::Planned { effect: id, desired: effect.desired() };
                self.evaluated.records.push(Record::EffectPlanned {
                    at: self.now,
                    id,
                    target: target.id.clone(),
                    policy: explanation.policy.clone(),
                    desired: effect.desired(),
                    expected: effect.expected(),
                    term: effect.term(),
                    why: explanation.sentence(),
                });
                self.evaluated.effects.push(Effect::SetCapacity(effect));
            }
        }
    }
}
