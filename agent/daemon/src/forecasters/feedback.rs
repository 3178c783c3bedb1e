//! What the core says of the series that are forecast.
//!
//! **In:** measured lead times and doubts, from the loop that owns the agent.
//! **Out:** both, for the forecasters, which live outside of that loop.
//! **Not here:** measuring and doubting (the core's), forecasting ([`super`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::agent::Agent;
use evenkeel_core::decide::SignalFinding;
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::quality::Doubt;
use jiff::SignedDuration;

/// Shared between the loop, which writes, and the forecasters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Feedback(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    lead_times: BTreeMap<TargetId, SignedDuration>,
    doubted: BTreeMap<TargetId, BTreeSet<SignalName>>,
}

/// What is said of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetFeedback {
    /// From asking for capacity to having it; `None` before the core said so.
    pub lead_time: Option<SignedDuration>,
    /// Signals whose values dropped too suddenly to be believed.
    pub doubted: BTreeSet<SignalName>,
}

impl Feedback {
    /// Takes the lead times of all targets with a forecast, and forgets all others.
    pub fn say_all(&self, agent: &Agent) {
        let documents = agent.documents();
        let has_forecast =
            |id: &TargetId| documents.policy_of(id).is_some_and(|it| it.forecast.is_some());
        let targets = documents.targets().map(|it| &it.id).filter(|it| has_forecast(it));
        let lead_times = targets.map(|it| (it.clone(), agent.lead_time_of(it).duration()));
        let lead_times: BTreeMap<_, _> = lead_times.collect();
        let mut said = self.lock();
        said.doubted.retain(|id, _| lead_times.contains_key(id));
        said.lead_times = lead_times;
    }

    /// A lead time was measured.
    pub fn say_lead_time(&self, target: &TargetId, lead_time: SignedDuration) {
        if let Some(it) = self.lock().lead_times.get_mut(target) {
            *it = lead_time;
        }
    }

    /// The signals of one target were judged.
    pub fn say_judged(&self, target: &TargetId, findings: &[SignalFinding]) {
        // The other doubts come with the reading that they are about.
        let has_dropped = |it: &&SignalFinding| matches!(it.doubt, Some(Doubt::SuddenDrop { .. }));
        let doubted: BTreeSet<SignalName> =
            findings.iter().filter(has_dropped).map(|it| it.signal.clone()).collect();
        let mut said = self.lock();
        if doubted.is_empty() {
            said.doubted.remove(target);
        } else if said.lead_times.contains_key(target) {
            said.doubted.insert(target.clone(), doubted);
        }
    }

    /// What was said of `target` last.
    pub fn of(&self, target: &TargetId) -> TargetFeedback {
        let said = self.lock();
        TargetFeedback {
            lead_time: said.lead_times.get(target).copied(),
            doubted: said.doubted.get(target).cloned().unwrap_or_default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        // No write is half done when it panics: each is one insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
