//! What of a set of documents can be replayed.
//!
//! **In:** documents as they are in force, and what was recorded.
//! **Out:** the same documents as the agent gets them, the targets to replay, and notes about
//! everything that is not as it was written.
//! **Not here:** the replay ([`super::driver`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_core::documents::{
    Autonomy, Calendar, Documents, Foresight, Rule, ScalingPolicy, Target,
};
use evenkeel_core::ids::{SignalName, TargetId};

use super::recording::{Column, Part, Question, Recording};
use super::{NotReplayed, Options, ReplayError};

/// One load signal of one target.
pub(super) struct Lane<'a> {
    pub(super) signal: SignalName,
    pub(super) value_per_unit: f64,
    pub(super) question: Question,
    /// The label value that names the target.
    pub(super) value: String,
    /// `None`: nothing was recorded.
    pub(super) column: Option<&'a Column>,
}

/// One target with all that is known of it.
pub(super) struct Subject<'a> {
    pub(super) id: TargetId,
    pub(super) target: Target,
    pub(super) lanes: Vec<Lane<'a>>,
    pub(super) foresight: Option<(Foresight, Option<Arc<Calendar>>)>,
    /// What was really there.
    pub(super) capacity: Option<&'a Column>,
}

/// What is replayed.
pub(super) struct Scope<'a> {
    pub(super) documents: Arc<Documents>,
    pub(super) subjects: Vec<Subject<'a>>,
    pub(super) notes: Vec<NotReplayed>,
}

/// Sorts out what of `documents` can be replayed on `recording`.
///
/// # Errors
///
/// [`ReplayError::Nothing`] when no target can.
pub(super) fn scope<'a>(
    documents: &Documents,
    recording: &'a Recording,
    options: &Options,
) -> Result<Scope<'a>, ReplayError> {
    let mut notes = Vec::new();
    let policies: Vec<ScalingPolicy> =
        documents.policies().filter_map(|it| replayable(it, &mut notes)).collect();
    let kept: BTreeSet<_> = policies.iter().map(|it| it.id.clone()).collect();
    let mut subjects = Vec::new();
    for target in documents.targets() {
        let id = target.id.clone();
        let Some(policy) = documents.policy_of(&id) else {
            notes.push(NotReplayed::NoPolicy { target: id });
            continue;
        };
        if !kept.contains(&policy.id) {
            continue;
        }
        let subject = subject(documents, policy, target, recording, options);
        let is_recorded = |it: &Lane<'_>| it.column.is_some_and(Column::has_values);
        if !subject.lanes.iter().any(is_recorded) {
            let policy = policy.id.clone();
            let value = subject.lanes.first().map(|it| it.value.clone()).unwrap_or_default();
            let label = subject.lanes.first().map(|it| it.question.label.clone());
            let label = label.unwrap_or_default();
            notes.push(NotReplayed::NoSeries { target: id, policy, label, value });
            continue;
        }
        for lane in subject.lanes.iter().filter(|it| !is_recorded(it)) {
            let (target, signal) = (id.clone(), lane.signal.clone());
            notes.push(NotReplayed::SignalNotRecorded { target, signal });
        }
        if target.price_usd_per_hour.is_none() {
            notes.push(NotReplayed::NoPrice { target: id });
        }
        subjects.push(subject);
    }
    if subjects.is_empty() {
        return Err(ReplayError::Nothing { notes });
    }
    let documents = Documents::new(
        documents.sha256.clone(),
        subjects.iter().map(|it| it.target.clone()),
        policies,
        documents.guardrails().cloned(),
        documents.calendars().cloned(),
        documents.access().clone(),
    );
    Ok(Scope { documents: Arc::new(documents), subjects, notes })
}

/// The policy as the agent gets it: it acts by itself, on load only. `None` without load.
fn replayable(policy: &ScalingPolicy, notes: &mut Vec<NotReplayed>) -> Option<ScalingPolicy> {
    let (load, other): (Vec<_>, Vec<_>) =
        policy.signals.iter().cloned().partition(|it| matches!(it.rule, Rule::ValuePerUnit { .. }));
    let id = policy.id.clone();
    for signal in other {
        notes.push(NotReplayed::Signal { policy: id.clone(), signal: signal.name });
    }
    if load.is_empty() {
        notes.push(NotReplayed::NoLoad { policy: id });
        return None;
    }
    if policy.autonomy != Autonomy::Auto {
        notes.push(NotReplayed::Autonomy { policy: id, autonomy: policy.autonomy });
    }
    Some(ScalingPolicy { signals: load, autonomy: Autonomy::Auto, ..policy.clone() })
}

fn subject<'a>(
    documents: &Documents,
    policy: &ScalingPolicy,
    target: &Target,
    recording: &'a Recording,
    options: &Options,
) -> Subject<'a> {
    let value = policy.label_value_of(target);
    let question =
        |query: &str| Question { query: query.to_owned(), label: policy.target_label.clone() };
    let lane = |signal: &evenkeel_core::documents::Signal| {
        let Rule::ValuePerUnit { value_per_unit } = signal.rule else { return None };
        let question = question(&signal.query);
        let column = recording.column(Part::Span, &question, value);
        let (signal, value) = (signal.name.clone(), value.to_owned());
        Some(Lane { signal, value_per_unit, question, value, column })
    };
    let calendar = |it: &Foresight| {
        let calendar = documents.calendar(it.calendar.as_ref()?)?;
        Some(Arc::new(calendar.clone()))
    };
    let capacity = options.capacity_query.as_ref();
    Subject {
        id: target.id.clone(),
        target: target.clone(),
        lanes: policy.signals.iter().filter_map(lane).collect(),
        foresight: policy.forecast.as_ref().map(|it| (it.clone(), calendar(it))),
        capacity: capacity.and_then(|it| recording.column(Part::Span, &question(it), value)),
    }
}
