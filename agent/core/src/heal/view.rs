//! What each playbook currently sees of each of its targets.
//!
//! **In:** readings of inputs, with their age judged by the source.
//! **Out:** the trigger's truth, since when, and values for conditions.
//! **Not here:** anything that must survive a restart ([`super::memory`]): after one, a
//! trigger must be seen to be true anew before anything begins or goes on.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::action::Seen;
use crate::condition::{Lookup, Truth};
use crate::documents::{Documents, Playbook, Target};
use crate::ids::{
    InputName, InstanceName, ParameterName, PlaybookId, RunId, ServiceName, TargetId,
};
use crate::quality::Absence;
use crate::spend::tenants::TenantStanding;
use crate::units::Capacity;

/// What was read of one playbook's inputs for one target.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaybookObservation {
    /// Which playbook.
    pub playbook: PlaybookId,
    /// Which target.
    pub target: TargetId,
    /// One per input; one that is not here counts as missing.
    pub inputs: Vec<InputReading>,
}

/// One input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputReading {
    /// Which.
    pub input: InputName,
    /// What, or why nothing.
    pub reading: Result<InputValue, Absence>,
}

/// The value of one input: fresh and finite, or it would be an [`Absence`].
#[derive(Clone, Debug, PartialEq)]
pub enum InputValue {
    /// One number.
    One { value: f64, sampled_at: Timestamp },
    /// One per instance, by name, at most [`INSTANCES_SEEN_MAX`]; `sampled_at` is the oldest.
    Instances { values: Vec<(InstanceName, f64)>, sampled_at: Timestamp },
}

/// Most instances of one target that are looked at. Why 1,000: larger fleets are looked at
/// by zone.
pub const INSTANCES_SEEN_MAX: usize = 1_000;

/// What one playbook sees of one target.
#[derive(Clone, Debug)]
pub struct View {
    /// The readings.
    pub inputs: BTreeMap<InputName, Result<InputValue, Absence>>,
    /// When it was looked at.
    pub seen_at: Timestamp,
    /// Whether the trigger's condition is true.
    pub truth: Truth,
    /// Since when it has been true without a gap, by the agent's clock.
    pub true_since: Option<Timestamp>,
    /// The first bad sample of that time.
    pub began_at: Option<Timestamp>,
    /// Since when it has been false without a gap.
    pub false_since: Option<Timestamp>,
    /// The condition with its values.
    pub shown: String,
    /// Whether it has been true or false at all since the start: what never was is not
    /// telemetry that went away.
    pub was_known: bool,
}

/// A look that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct PendingLook {
    /// When it was asked for.
    pub(crate) asked_at: Timestamp,
    /// How often it was.
    pub(crate) n_asked: u32,
    /// The answer.
    pub(crate) answer: Option<Result<Seen, String>>,
}

/// What is seen of one run between two records.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunSight {
    /// Looks by step: all of a plan's, or the one before a step.
    pub(crate) looks: BTreeMap<u16, PendingLook>,
    /// Since when what should hold has held.
    pub(crate) holds_since: Option<Timestamp>,
    /// Why it does not go on.
    pub(crate) waiting_for: Option<String>,
    /// Since when it has been kept from going on.
    pub(crate) refused_since: Option<Timestamp>,
}

/// Everything that playbooks see.
#[derive(Debug, Default)]
pub struct Views {
    by_playbook: BTreeMap<PlaybookId, BTreeMap<TargetId, View>>,
    pub(crate) runs: BTreeMap<RunId, RunSight>,
    /// Who uses each service now; a service that nobody metered is not here.
    pub(crate) tenants: BTreeMap<ServiceName, Vec<TenantStanding>>,
}

impl Views {
    /// Takes in one observation.
    pub(crate) fn observe(
        &mut self,
        now: Timestamp,
        documents: &Documents,
        capacity: (Option<Capacity>, Option<Capacity>),
        observation: &PlaybookObservation,
    ) {
        let Some(playbook) = documents.playbook(&observation.playbook) else { return };
        let Some(target) = documents.target(&observation.target) else { return };
        let mut inputs: BTreeMap<InputName, Result<InputValue, Absence>> = BTreeMap::new();
        for input in &playbook.inputs {
            let reading = observation.inputs.iter().find(|it| it.input == input.name);
            let reading = reading.map_or(Err(Absence::NotObserved), |it| it.reading.clone());
            inputs.insert(input.name.clone(), reading);
        }
        let defaults = default_parameters(playbook);
        let values = Values { target, capacity, inputs: Some(&inputs), parameters: &defaults };
        let (truth, shown) = match &playbook.trigger.condition {
            Some(condition) => (condition.truth(&values), condition.show(&values)),
            None => (Truth::Unknown, String::new()),
        };
        let by_target = self.by_playbook.entry(playbook.id.clone()).or_default();
        let before = by_target.get(&target.id);
        let sampled_at = inputs.values().filter_map(|it| Some(sampled_at(it.as_ref().ok()?))).min();
        let is_true = truth == Truth::True;
        let true_since = is_true.then(|| before.and_then(|it| it.true_since).unwrap_or(now));
        let began_at = is_true.then(|| {
            let sampled_at = sampled_at.unwrap_or(now).min(now);
            before.and_then(|it| it.began_at).unwrap_or(sampled_at)
        });
        let is_false = truth == Truth::False;
        let false_since = is_false.then(|| before.and_then(|it| it.false_since).unwrap_or(now));
        let was_known = truth != Truth::Unknown || before.is_some_and(|it| it.was_known);
        let view = View {
            inputs,
            seen_at: now,
            truth,
            true_since,
            began_at,
            false_since,
            shown,
            was_known,
        };
        by_target.insert(target.id.clone(), view);
    }

    /// Takes in who uses which service now, instead of what was before. Whoever meters leaves
    /// out services of which what is known is too old to choose by.
    pub fn set_tenants(&mut self, tenants: BTreeMap<ServiceName, Vec<TenantStanding>>) {
        self.tenants = tenants;
    }

    /// Takes in the answer to a look. One that nobody waits for is about a run that has gone
    /// on since.
    pub(crate) fn answer(&mut self, run: RunId, step: u16, result: &Result<Seen, String>) {
        let pending = self.runs.get_mut(&run).and_then(|it| it.looks.get_mut(&step));
        if let Some(pending) = pending.filter(|it| it.answer.is_none()) {
            pending.answer = Some(result.clone());
        }
    }

    /// Keeps only what the documents still have. A playbook that changed is looked at anew.
    pub(crate) fn retain(&mut self, before: &Documents, documents: &Documents) {
        self.by_playbook.retain(|id, by_target| {
            let is_same = documents.playbook(id).map(|it| &it.sha256)
                == before.playbook(id).map(|it| &it.sha256);
            by_target.retain(|target, _| documents.target(target).is_some());
            is_same && documents.playbook(id).is_some()
        });
    }

    /// What a playbook sees of a target; `None` before its first look.
    pub fn of(&self, playbook: &PlaybookId, target: &TargetId) -> Option<&View> {
        self.by_playbook.get(playbook)?.get(target)
    }

    /// All views.
    pub fn all(&self) -> impl Iterator<Item = (&PlaybookId, &TargetId, &View)> {
        self.by_playbook
            .iter()
            .flat_map(|(playbook, it)| it.iter().map(move |(target, it)| (playbook, target, it)))
    }

    /// Why a run does not go on, when it does not.
    pub fn waiting_for(&self, run: RunId) -> Option<&str> {
        self.runs.get(&run)?.waiting_for.as_deref()
    }
}

fn sampled_at(value: &InputValue) -> Timestamp {
    match value {
        InputValue::One { sampled_at, .. } | InputValue::Instances { sampled_at, .. } => {
            *sampled_at
        }
    }
}

/// Every parameter at its default.
pub fn default_parameters(playbook: &Playbook) -> BTreeMap<ParameterName, f64> {
    playbook.parameters.iter().map(|(name, it)| (name.clone(), it.default)).collect()
}

/// Values for the names in conditions.
#[derive(Debug)]
pub struct Values<'a> {
    /// For `target.min` and `target.max`.
    pub target: &'a Target,
    /// Current and ready capacity, as far as known.
    pub capacity: (Option<Capacity>, Option<Capacity>),
    /// The readings; `None` when nothing was looked at.
    pub inputs: Option<&'a BTreeMap<InputName, Result<InputValue, Absence>>>,
    /// For `params.NAME`.
    pub parameters: &'a BTreeMap<ParameterName, f64>,
}

impl Lookup for Values<'_> {
    fn number(&self, name: &str) -> Option<f64> {
        if let Some(parameter) = name.strip_prefix("params.") {
            return self.parameters.iter().find(|(it, _)| it.as_str() == parameter).map(|it| *it.1);
        }
        match name {
            "target.current" => return self.capacity.0.map(f64::from),
            "target.ready" => return self.capacity.1.map(f64::from),
            "target.min" => return Some(f64::from(self.target.bounds.min)),
            "target.max" => return Some(f64::from(self.target.bounds.max)),
            _ => (),
        }
        match self.input(name)? {
            InputValue::One { value, .. } => Some(*value).filter(|it| it.is_finite()),
            InputValue::Instances { .. } => None,
        }
    }

    fn instances(&self, name: &str) -> Option<&[(InstanceName, f64)]> {
        match self.input(name)? {
            InputValue::Instances { values, .. } => Some(values),
            InputValue::One { .. } => None,
        }
    }
}

impl Values<'_> {
    fn input(&self, name: &str) -> Option<&InputValue> {
        let (_, reading) = self.inputs?.iter().find(|(it, _)| it.as_str() == name)?;
        reading.as_ref().ok()
    }
}
