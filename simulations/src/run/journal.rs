//! The agent's journal, in memory.
//!
//! **In:** records, all of a batch or none. **Out:** the state that they lead to, for a start.
//! **Not here:** files and hashes (`evenkeel-store`), what a record means.
//!
//! The state is kept as of the newest record, by [`State::apply`] and nothing else: what a start
//! would find. Memory does not grow with the number of records.

use evenkeel_core::action::Action;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::EffectId;
use evenkeel_core::record::Record;
use evenkeel_core::run::RunEvent;
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;

use crate::capacity::Trace;

/// Planned effects that are remembered until they start. Why 20,000: twice the targets of a
/// daemon; each has one effect at a time.
const PLANNED_MAX: usize = 20_000;

/// What is durable.
#[derive(Debug, Default)]
pub(super) struct Journal {
    state: State,
    n_records: u64,
    /// Effects with a durable record that have not ended by record.
    planned: std::collections::BTreeMap<EffectId, Capacity>,
    /// Acts with a durable intent that have not ended by record.
    sent: std::collections::BTreeMap<EffectId, Action>,
}

impl Journal {
    /// Makes a batch durable.
    pub(super) fn append(&mut self, records: &[Record], trace: &mut Trace) {
        for record in records {
            match serde_json::to_string(record) {
                Ok(json) => trace.line(format_args!("{json}")),
                Err(error) => trace.line(format_args!("{record:?}: {error}")),
            }
            self.state.apply(record);
            self.n_records += 1;
            match record {
                Record::EffectPlanned { id, desired, .. } => {
                    self.planned.insert(*id, *desired);
                    while PLANNED_MAX < self.planned.len() {
                        self.planned.pop_first();
                    }
                }
                Record::EffectFinished { id, outcome, .. } => match outcome {
                    EffectOutcome::Done | EffectOutcome::Rejected | EffectOutcome::Unknown => {
                        self.planned.remove(id);
                        self.sent.remove(id);
                    }
                },
                Record::Run { change: RunEvent::Sent { effect, action, .. }, .. } => {
                    self.sent.insert(*effect, action.clone());
                    while PLANNED_MAX < self.sent.len() {
                        self.sent.pop_first();
                    }
                }
                Record::TermStarted { .. }
                | Record::DocumentsAdopted { .. }
                | Record::TargetAdopted { .. }
                | Record::OverrideAccepted { .. }
                | Record::OverrideEnded { .. }
                | Record::BreakGlassEngaged { .. }
                | Record::BreakGlassReleased { .. }
                | Record::EffectReadBack { .. }
                | Record::ChangedOutside { .. }
                | Record::LeadTimeMeasured { .. }
                | Record::LeadTimeMissed { .. }
                | Record::ForecastPromoted { .. }
                | Record::ForecastDemoted { .. }
                | Record::RunOpened { .. }
                | Record::Run { .. }
                | Record::Incident { .. }
                | Record::Storm { .. }
                | Record::Autonomy { .. }
                | Record::NoticeRaised { .. }
                | Record::NoticeEnded { .. }
                | Record::OverrideEndAnnounced { .. }
                | Record::HandedBack { .. }
                | Record::LeftToPeople { .. }
                | Record::Reviewed { .. }
                | Record::ReviewOverdue { .. }
                | Record::Budget { .. }
                | Record::SloAlert { .. }
                | Record::Reconciled { .. }
                | Record::RequestRefused { .. }
                | Record::Snapshot { .. } => (),
            }
        }
    }

    /// What a start finds.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// What the durable record of an effect says that it sets; `None` without one.
    pub(super) fn planned(&self, id: EffectId) -> Option<Capacity> {
        self.planned.get(&id).copied()
    }

    /// What the durable intent of an act says that it does; `None` without one.
    pub(super) fn sent(&self, id: EffectId) -> Option<&Action> {
        self.sent.get(&id)
    }

    /// Records so far.
    pub(super) fn n_records(&self) -> u64 {
        self.n_records
    }
}
