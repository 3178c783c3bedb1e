//! One round of healing: what is known and seen, and the records it leads to.
//!
//! **In:** documents, state, views, the time.
//! **Out:** records and effects, with numbers that are used once.
//! **Not here:** what is decided ([`super::symptoms`], [`super::opening`],
//! [`super::advance`]), applying the records ([`crate::state::State::apply`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::action::ActionClass;
use crate::blast_radius::Ledger;
use crate::budget::arbiter::constraints_on;
use crate::condition::{Condition, Truth};
use crate::documents::{Autonomy, Consequence, Documents, Playbook, Target};
use crate::effect::Effect;
use crate::heal::memory::Healing;
use crate::heal::view::{Values, View, Views};
use crate::ids::{EffectId, IncidentId, NoticeId, ParameterName, PlaybookId, RunId, TargetId};
use crate::incident::IncidentEvent;
use crate::notice::Notice;
use crate::record::Record;
use crate::run::{Run, RunEvent};
use crate::sight::Sight;
use crate::state::State;
use crate::units::Capacity;

/// What a view may be old at most to be acted on.
///
/// Why 2 min: four of the longest evaluation periods. Older than that, nobody looks any
/// more, and what was true need not be.
pub(crate) const VIEW_AGE_MAX: SignedDuration = SignedDuration::from_mins(2);

/// One round.
pub(crate) struct Ward<'a> {
    pub(crate) now: Timestamp,
    pub(crate) documents: &'a Documents,
    pub(crate) state: &'a State,
    pub(crate) sight: &'a Sight,
    pub(crate) views: &'a mut Views,
    pub(crate) ledger: &'a mut Option<Ledger>,
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
    next_effect: EffectId,
    next_run: RunId,
    next_incident: IncidentId,
    next_notice: NoticeId,
}

impl<'a> Ward<'a> {
    pub(crate) fn new(
        now: Timestamp,
        documents: &'a Documents,
        state: &'a State,
        sight: &'a Sight,
        views: &'a mut Views,
        ledger: &'a mut Option<Ledger>,
    ) -> Ward<'a> {
        let healing = state.healing();
        Ward {
            now,
            documents,
            state,
            sight,
            views,
            ledger,
            records: Vec::new(),
            effects: Vec::new(),
            next_effect: state.next_effect(),
            next_run: healing.next_run(),
            next_incident: healing.next_incident(),
            next_notice: healing.next_notice(),
        }
    }

    pub(crate) fn healing(&self) -> &'a Healing {
        self.state.healing()
    }

    pub(crate) fn take_effect_id(&mut self) -> EffectId {
        let id = self.next_effect;
        self.next_effect = id.next();
        id
    }

    pub(crate) fn take_run_id(&mut self) -> RunId {
        let id = self.next_run;
        self.next_run = id.next();
        id
    }

    pub(crate) fn take_incident_id(&mut self) -> IncidentId {
        let id = self.next_incident;
        self.next_incident = id.next();
        id
    }

    /// Records that something happened to a run.
    pub(crate) fn run_event(&mut self, run: &Run, change: RunEvent) {
        // Whatever kept it from going on no longer does; patience begins anew.
        if let Some(sight) = self.views.runs.get_mut(&run.id) {
            sight.waiting_for = None;
            sight.refused_since = None;
        }
        let (at, id, target) = (self.now, run.id, run.target.clone());
        self.records.push(Record::Run { at, id, target, change });
    }

    /// Records that something happened to an incident.
    pub(crate) fn incident_event(&mut self, id: IncidentId, change: IncidentEvent) {
        self.records.push(Record::Incident { at: self.now, id, change });
    }

    /// Raises a notice: its record now, the telling once that is durable.
    pub(crate) fn raise(&mut self, notice: Notice) {
        let id = self.next_notice;
        self.next_notice = id.next();
        let notice = Box::new(Notice { id, at: self.now, ..notice });
        self.records.push(Record::NoticeRaised { at: self.now, notice: notice.clone() });
        self.effects.push(Effect::Notify(notice));
    }

    /// The current and the ready capacity of a target, as far as known.
    pub(crate) fn capacity(&self, target: &TargetId) -> (Option<Capacity>, Option<Capacity>) {
        capacity_of(self.state, self.sight, target)
    }

    /// What a playbook sees of a target, if that is fresh.
    pub(crate) fn view(&self, playbook: &PlaybookId, target: &TargetId) -> Option<&View> {
        let view = self.views.of(playbook, target)?;
        (self.now.duration_since(view.seen_at) <= VIEW_AGE_MAX).then_some(view)
    }

    /// Whether a condition of a playbook holds for a target, with what it says in values.
    pub(crate) fn truth(
        &self,
        playbook: &PlaybookId,
        target: &Target,
        parameters: &BTreeMap<ParameterName, f64>,
        condition: &Condition,
    ) -> (Truth, String) {
        let capacity = self.capacity(&target.id);
        let inputs = self.view(playbook, &target.id).map(|it| &it.inputs);
        let values = Values { target, capacity, inputs, parameters };
        (condition.truth(&values), condition.show(&values))
    }

    /// How much the agent may do by itself with a playbook on a target, and why not more.
    pub(crate) fn autonomy(&self, playbook: &Playbook, target: &Target) -> (Autonomy, String) {
        let granted = |class: ActionClass| {
            let standing = self.healing().standing(&target.id, class);
            let effective = standing.map_or(playbook.autonomy, |it| {
                it.effective(playbook.autonomy, playbook.autonomy_max)
            });
            let why = match standing.and_then(|it| it.demotion.as_ref()) {
                Some(demotion) if effective < playbook.autonomy => {
                    format!(
                        "autonomy of {class} is {effective} since {:.0}: {}",
                        demotion.at, demotion.why
                    )
                }
                Some(_) | None => format!("autonomy is {effective}"),
            };
            (effective, why)
        };
        let least = playbook.classes().into_iter().map(granted).min_by_key(|(it, _)| *it);
        let (autonomy, why) = least
            .unwrap_or_else(|| (playbook.autonomy, format!("autonomy is {}", playbook.autonomy)));
        let (autonomy, why) = self.tightened(target, autonomy, why);
        let lapse = self.healing().lapses().iter().find(|it| it.scope.covers(target));
        match lapse {
            Some(lapse) if Autonomy::Suggest < autonomy => (
                Autonomy::Suggest,
                format!(
                    "{} at {:.0} and was not handed back; `evenkeel handback {}` resumes",
                    lapse.why, lapse.at, lapse.scope
                ),
            ),
            Some(_) | None => (autonomy, why),
        }
    }

    /// What a spent budget leaves of an autonomy.
    fn tightened(&self, target: &Target, autonomy: Autonomy, why: String) -> (Autonomy, String) {
        if autonomy <= Autonomy::Approve {
            return (autonomy, why);
        }
        let memory = self.state.budgets();
        let mut tight =
            constraints_on(self.documents, memory, target, Consequence::TightenAutonomy);
        match tight.next() {
            Some((budget, threshold, crossed)) => (
                Autonomy::Approve,
                format!("budget {} ({threshold}) asks for a person: {}", budget.id, crossed.why),
            ),
            None => (autonomy, why),
        }
    }
}

/// The current and the ready capacity of a target, as far as known.
pub(crate) fn capacity_of(
    state: &State,
    sight: &Sight,
    target: &TargetId,
) -> (Option<Capacity>, Option<Capacity>) {
    let reading = sight.target(target).and_then(|it| it.capacity()?.as_ref().ok());
    let known = || state.target(target).and_then(|it| it.known);
    (reading.map(|it| it.current).or_else(known), reading.and_then(|it| it.ready))
}
