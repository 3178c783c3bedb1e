//! Everything the agent must not forget.
//!
//! **In:** records, one at a time.
//! **Out:** the state that they lead to.
//! **Not here:** what the agent currently sees ([`crate::sight`]), which is
//! observed anew after a restart; decisions ([`crate::agent`]).
//!
//! [`State::apply`] is the only code that changes a `State`: the fields are
//! private to this module. Recovery is a loop over it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::budget::memory::BudgetMemory;
use crate::effect::EffectOutcome;
use crate::heal::memory::{Healing, Lapse};
use crate::ids::{EffectId, OverrideId, PolicyId, SignalName, TargetId, Term};
use crate::lead_time::{Growing, LeadTimes};
use crate::overrides::{Override, Scope};
use crate::record::{EndCause, Record};
use crate::run::RunEvent;
use crate::units::Capacity;

/// Removals older than this are forgotten. Why 24 h: the longest blast-radius
/// window that a guardrail may have.
pub const REMOVALS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The agent's memory. Equal records give equal states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    term: Term,
    documents_sha256: String,
    latest_at: Timestamp,
    overrides: BTreeMap<OverrideId, Override>,
    next_override: OverrideId,
    break_glass: Option<BreakGlass>,
    targets: BTreeMap<TargetId, TargetState>,
    removals: VecDeque<Removal>,
    next_effect: EffectId,
    /// Incidents, runs, notices, autonomy.
    #[serde(default)]
    healing: Healing,
    /// Crossed thresholds of budgets, alerts of SLOs.
    #[serde(default)]
    budgets: BudgetMemory,
}

/// The break-glass file is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// Since when.
    pub since: Timestamp,
    /// What was found: the file's first line, or why it could not be read.
    pub cause: String,
}

/// What is remembered of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetState {
    /// The capacity that should be at the provider unless somebody else changes
    /// it; `None` before the first sight.
    pub known: Option<Capacity>,
    /// What there was before the agent's last change.
    #[serde(default)]
    pub known_before: Option<Capacity>,
    /// An effect that has not ended for sure.
    pub in_flight: Option<InFlight>,
    /// When the last change ended (or may have), in either direction.
    pub changed_at: Option<Timestamp>,
    /// Effects that did not happen, one after the other, since the last that did.
    #[serde(default)]
    pub failed: Option<Failed>,
    /// Capacity that was asked for and is not ready yet.
    #[serde(default)]
    pub growing: Option<Growing>,
    /// How long earlier growth took.
    #[serde(default)]
    pub lead_times: LeadTimes,
    /// Signals whose forecast may drive capacity.
    #[serde(default)]
    pub predicting: BTreeSet<SignalName>,
}

/// Effects of one target that did not happen: rejected, or lost and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// How many in a row; at least 1.
    pub n_attempts: u32,
    /// When the last of them ended.
    pub at: Timestamp,
}

impl Failed {
    /// When the next attempt may start: at once after one failure, then after
    /// 15 s, doubling up to 10 min.
    ///
    /// Why: one refusal is often a race that is over (somebody changed the
    /// capacity, a call was throttled). Two are a reason to leave the platform, the
    /// journal and the person on call in peace for a while.
    pub fn retry_at(self) -> Timestamp {
        let doublings = self.n_attempts.saturating_sub(2).min(RETRY_DOUBLINGS_MAX);
        let delay = match self.n_attempts {
            0 | 1 => SignedDuration::ZERO,
            _ => (RETRY_FIRST * (1 << doublings)).min(RETRY_MAX),
        };
        self.at.checked_add(delay).unwrap_or(Timestamp::MAX)
    }

    fn once_more(before: Option<Failed>, at: Timestamp) -> Failed {
        let n_before = before.map_or(0, |it| it.n_attempts);
        Failed { n_attempts: n_before.saturating_add(1), at }
    }
}

const RETRY_FIRST: SignedDuration = SignedDuration::from_secs(15);
const RETRY_MAX: SignedDuration = SignedDuration::from_mins(10);
/// 15 s doubled six times is beyond the 10 min anyway.
const RETRY_DOUBLINGS_MAX: u32 = 6;

/// An effect that has not ended for sure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InFlight {
    /// Which effect.
    pub id: EffectId,
    /// For which policy; `None` for a pin on a target without one.
    pub policy: Option<PolicyId>,
    /// What it sets.
    pub desired: Capacity,
    /// What it was decided on.
    pub expected: Capacity,
    /// When it was planned.
    pub since: Timestamp,
    /// When its outcome turned out to be unknown; `None` while it runs.
    pub unknown_since: Option<Timestamp>,
}

/// Capacity that left, or may have left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// By which effect.
    pub effect: EffectId,
    /// From which target.
    pub target: TargetId,
    /// How many units it was to remove.
    pub units: u32,
    /// How many of them are known to have left: none while the effect is in
    /// flight, and none if it turned out not to have happened.
    #[serde(default)]
    pub units_gone: u32,
    /// When it was planned.
    pub at: Timestamp,
}

impl State {
    /// The state after `records`, from nothing.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> State {
        let mut state = State::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// The only code that changes state.
    pub fn apply(&mut self, record: &Record) {
        if let Record::Snapshot { at, state } = record {
            self.take_up(*at, state);
        }
        // A clock that went back while the daemon was down must not revive anything.
        self.latest_at = self.latest_at.max(record.at());
        match record {
            Record::TermStarted { term, .. } => self.term = *term,
            Record::DocumentsAdopted { sha256, .. } => self.documents_sha256.clone_from(sha256),
            Record::TargetAdopted { target, current, .. } => {
                self.target_entry(target).known = Some(*current);
            }
            Record::OverrideAccepted { accepted, .. } => {
                // Numbers only grow: a replayed or forged old one is not taken up again.
                if self.next_override <= accepted.id {
                    self.next_override = accepted.id.next();
                    self.overrides.insert(accepted.id, accepted.clone());
                }
            }
            Record::OverrideEnded { at, id, cause } => {
                if let Some(ended) = self.overrides.remove(id) {
                    match cause {
                        // The agent's own holds are for changes that a policy lets lapse.
                        EndCause::Expired if !ended.is_agents_hold() => {
                            self.healing.lapse(*at, &ended);
                        }
                        EndCause::Expired | EndCause::Cancelled { .. } => {
                            self.healing.forget_announced(*id);
                        }
                    }
                }
            }
            Record::BreakGlassEngaged { at, cause } => {
                self.break_glass = Some(BreakGlass { since: *at, cause: cause.clone() });
            }
            Record::BreakGlassReleased { .. } => self.break_glass = None,
            Record::EffectPlanned { at, id, target, policy, desired, expected, .. } => {
                // Numbers only grow here too: an effect is not planned twice.
                if *id < self.next_effect {
                    return;
                }
                self.next_effect = id.next();
                let units = expected.above(*desired);
                if 0 < units {
                    let (effect, target, at) = (*id, target.clone(), *at);
                    let removal = Removal { effect, target, units, units_gone: 0, at };
                    self.removals.push_back(removal);
                }
                self.forget_old_removals(*at);
                self.target_entry(target).in_flight = Some(InFlight {
                    id: *id,
                    policy: policy.clone(),
                    desired: *desired,
                    expected: *expected,
                    since: *at,
                    unknown_since: None,
                });
            }
            Record::EffectFinished { at, id, target, outcome, detail } => {
                self.finish_effect(*at, *id, target, *outcome);
                self.healing.finish_effect(*at, *id, *outcome, detail);
            }
            Record::EffectReadBack { at, id, target, current } => {
                let run = self.healing.run_of_effect(*id).map(|run| run.id);
                let it = self.target_entry(target);
                if let Some(in_flight) = it.in_flight.take_if(|in_flight| in_flight.id == *id) {
                    it.known = Some(*current);
                    it.changed_at = Some(*at);
                    it.failed =
                        (*current != in_flight.desired).then(|| Failed::once_more(it.failed, *at));
                    self.note_gone(*id, in_flight.expected.above(*current));
                    if let Some(run) = run {
                        let happened = *current == in_flight.desired;
                        let change = RunEvent::ReadBack { effect: *id, happened };
                        self.healing.apply_run(*at, run, &change);
                    }
                }
            }
            Record::ChangedOutside { at, target, current, .. } => {
                let it = self.target_entry(target);
                it.known = Some(*current);
                it.changed_at = Some(*at);
                it.growing = None;
            }
            Record::LeadTimeMeasured { target, lead_time, .. } => {
                let it = self.target_entry(target);
                it.growing = None;
                it.lead_times.push(*lead_time);
            }
            Record::LeadTimeMissed { target, .. } => self.target_entry(target).growing = None,
            Record::ForecastPromoted { target, signal, .. } => {
                self.target_entry(target).predicting.insert(signal.clone());
            }
            Record::ForecastDemoted { target, signal, .. } => {
                self.target_entry(target).predicting.remove(signal);
            }
            Record::RunOpened { at, run } => self.healing.open_run(*at, run),
            Record::Run { at, id, target, change } => {
                if let RunEvent::Sent { effect, action, takes_units, .. } = change {
                    self.send_step(*at, *effect, target, action, *takes_units);
                }
                if let RunEvent::ReadBack { effect, happened } = change {
                    self.read_back_step(*effect, *happened);
                }
                self.healing.apply_run(*at, *id, change);
            }
            Record::Incident { at, id, change } => self.healing.apply_incident(*at, *id, change),
            Record::Storm { at, change } => self.healing.apply_storm(*at, change),
            Record::Autonomy { at, target, class, change } => {
                self.healing.apply_autonomy(*at, target, *class, change);
            }
            Record::NoticeRaised { notice, .. } => self.healing.raise(notice),
            Record::NoticeEnded { id, .. } => self.healing.end_notice(*id),
            Record::OverrideEndAnnounced { id, .. } => self.healing.announce(*id),
            Record::HandedBack { scopes, .. } => self.healing.hand_back(scopes),
            Record::LeftToPeople { at, target, why } => {
                let (scope, why) = (Scope::Target(target.clone()), why.clone());
                self.healing.push_lapse(Lapse { scope, at: *at, was_takeover: false, why });
            }
            Record::Reviewed { at, run, actor, note } => {
                self.healing.reviewed(*at, *run, actor, note);
            }
            Record::Budget { at, budget, threshold, change } => {
                self.budgets.apply_budget(*at, budget, threshold, change);
            }
            Record::SloAlert { at, slo, policy, change } => {
                self.budgets.apply_alert(*at, slo, policy, change);
            }
            Record::Reconciled { .. } => (),
            Record::ReviewOverdue { run, .. } => self.healing.review_overdue(*run),
            Record::RequestRefused { .. } | Record::Snapshot { .. } => (),
        }
    }

    /// Starts from a snapshot. One that is behind is from a piece of journal that
    /// came again; it brings nothing back, least of all an override.
    fn take_up(&mut self, at: Timestamp, snapshot: &State) {
        let is_behind = at < self.latest_at
            || snapshot.next_override < self.next_override
            || snapshot.next_effect < self.next_effect;
        if !is_behind {
            *self = snapshot.clone();
        }
    }

    fn finish_effect(
        &mut self,
        at: Timestamp,
        id: EffectId,
        target: &TargetId,
        outcome: EffectOutcome,
    ) {
        if outcome == EffectOutcome::Rejected {
            // Surely nothing left, so it does not count against the blast radius.
            self.removals.retain(|it| it.effect != id);
        }
        let it = self.target_entry(target);
        let Some(in_flight) = it.in_flight.as_mut().filter(|in_flight| in_flight.id == id) else {
            return;
        };
        match outcome {
            EffectOutcome::Done => {
                let units = in_flight.expected.above(in_flight.desired);
                let InFlight { since, desired: to, .. } = *in_flight;
                if in_flight.expected < to {
                    // Growth upon growth: the first is waited for, so that each is
                    // measured from its own beginning.
                    it.growing.get_or_insert(Growing { since, to });
                } else {
                    it.growing.take_if(|growing| to < growing.to);
                }
                it.known = Some(in_flight.desired);
                it.known_before = Some(in_flight.expected);
                it.changed_at = Some(at);
                it.in_flight = None;
                it.failed = None;
                self.note_gone(id, units);
            }
            EffectOutcome::Rejected => {
                it.in_flight = None;
                it.failed = Some(Failed::once_more(it.failed, at));
            }
            EffectOutcome::Unknown => in_flight.unknown_since = Some(at),
        }
    }

    /// What a step is about to take out of service counts against blast radii like what a
    /// policy removes. A change of capacity has a record of its own for that.
    fn send_step(
        &mut self,
        at: Timestamp,
        effect: EffectId,
        target: &TargetId,
        action: &Action,
        units: u32,
    ) {
        if matches!(action, Action::SetCapacity { .. }) || effect < self.next_effect {
            return;
        }
        self.next_effect = effect.next();
        if 0 < units {
            let target = target.clone();
            self.removals.push_back(Removal { effect, target, units, units_gone: 0, at });
        }
        self.forget_old_removals(at);
    }

    fn read_back_step(&mut self, effect: EffectId, happened: bool) {
        if !happened {
            self.removals.retain(|it| it.effect != effect);
        }
    }

    fn note_gone(&mut self, effect: EffectId, units: u32) {
        for it in self.removals.iter_mut().filter(|it| it.effect == effect) {
            it.units_gone = units.min(it.units);
        }
    }

    fn target_entry(&mut self, target: &TargetId) -> &mut TargetState {
        self.targets.entry(target.clone()).or_default()
    }

    fn forget_old_removals(&mut self, now: Timestamp) {
        while self.removals.front().is_some_and(|it| REMOVALS_KEPT < now.duration_since(it.at)) {
            self.removals.pop_front();
        }
    }

    /// The fencing token in force.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Hash of the documents that were last adopted; empty before any.
    pub fn documents_sha256(&self) -> &str {
        &self.documents_sha256
    }

    /// The latest instant in any record. The agent's `now` is never before it.
    pub fn latest_at(&self) -> Timestamp {
        self.latest_at
    }

    /// Overrides that were accepted and have not ended by record, by number.
    /// Ask each for its [`Override::state`].
    pub fn overrides(&self) -> impl ExactSizeIterator<Item = &Override> {
        self.overrides.values()
    }

    /// One override that has not ended by record.
    pub fn find_override(&self, id: OverrideId) -> Option<&Override> {
        self.overrides.get(&id)
    }

    /// The number that the next override gets.
    pub fn next_override(&self) -> OverrideId {
        self.next_override
    }

    /// The number that the next effect gets.
    pub fn next_effect(&self) -> EffectId {
        self.next_effect
    }

    /// The break-glass file, while it is in force.
    pub fn break_glass(&self) -> Option<&BreakGlass> {
        self.break_glass.as_ref()
    }

    /// What is remembered of one target.
    pub fn target(&self, id: &TargetId) -> Option<&TargetState> {
        self.targets.get(id)
    }

    /// Every target with an effect that has not ended for sure.
    pub fn in_flight(&self) -> impl Iterator<Item = (&TargetId, &InFlight)> {
        self.targets.iter().filter_map(|(id, it)| Some((id, it.in_flight.as_ref()?)))
    }

    /// Crossed thresholds of budgets, alerts of SLOs.
    pub fn budgets(&self) -> &BudgetMemory {
        &self.budgets
    }

    /// Incidents, runs, notices, autonomy.
    pub fn healing(&self) -> &Healing {
        &self.healing
    }

    /// Removals of the last [`REMOVALS_KEPT`], oldest first.
    pub fn removals(&self) -> impl Iterator<Item = &Removal> {
        self.removals.iter()
    }
}

impl Default for OverrideId {
    /// The first number that is given out.
    fn default() -> OverrideId {
        OverrideId(1)
    }
}

impl Default for EffectId {
    /// The first number that is given out.
    fn default() -> EffectId {
        EffectId(1)
    }
}
