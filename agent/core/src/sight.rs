//! What the agent currently sees of each target.
//!
//! **In:** observations, one batch per evaluation.
//! **Out:** judged signals, the recommendation that follows, and the look back
//! that stabilization needs.
//! **Not here:** anything that must survive a restart ([`crate::state`]). All of
//! this is observed anew, and until it has been, nothing is removed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::decide::{Recommendation, SignalFinding, demand, recommend};
use crate::documents::{Documents, Rule, ScalingPolicy, Signal};
use crate::explain::Explanation;
use crate::ids::{SignalName, TargetId};
use crate::quality::{
    Absence, CapacityReading, Doubt, Quality, Reading, SignalReading, TargetObservation,
};
use crate::sudden_drop::LoadMemory;
use crate::units::Capacity;

/// Longest silence between two good evaluations that still counts as one
/// uninterrupted run. Why 1 min: four default evaluation periods.
pub const GAP_MAX: SignedDuration = SignedDuration::from_mins(1);

/// How many different explanations of a target are kept for `explain --at`.
pub const EXPLANATIONS_KEPT: usize = 8;

/// Recommendations kept per target. Why 3,700: the longest stabilization window
/// (1 h) at the shortest evaluation period (1 s), and some.
const RECOMMENDATIONS_MAX: usize = 3_700;

/// Everything seen, by target.
#[derive(Debug, Default)]
pub struct Sight {
    targets: BTreeMap<TargetId, TargetSight>,
}

/// What is seen of one target.
#[derive(Debug, Default)]
pub struct TargetSight {
    capacity: Option<Result<CapacityReading, String>>,
    findings: Vec<SignalFinding>,
    recommendation: Option<Recommendation>,
    recommendations: VecDeque<(Timestamp, Capacity)>,
    good_since: Option<Timestamp>,
    observed_at: Option<Timestamp>,
    loads: BTreeMap<SignalName, LoadMemory>,
    explanations: VecDeque<Arc<Explanation>>,
}

impl Sight {
    /// Takes in one observation: judges its signals and remembers what follows.
    pub(crate) fn observe(
        &mut self,
        now: Timestamp,
        documents: &Documents,
        observation: &TargetObservation,
    ) {
        let it = self.targets.entry(observation.target.clone()).or_default();
        it.capacity = Some(observation.capacity.clone());
        let Some(policy) = documents.policy_of(&observation.target) else {
            it.findings.clear();
            it.recommendation = None;
            return;
        };
        let capacity = observation.capacity.as_ref().ok().copied();
        it.observe_signals(now, policy, capacity, &observation.signals);
    }

    /// Keeps only targets that the documents still have.
    pub(crate) fn retain(&mut self, documents: &Documents) {
        self.targets.retain(|id, _| documents.target(id).is_some());
        for it in self.targets.values_mut() {
            // Another policy may mean another unit: start the look back anew.
            it.recommendations.clear();
            it.good_since = None;
            it.loads.clear();
        }
    }

    pub(crate) fn remember(&mut self, explanation: Arc<Explanation>) {
        let it = self.targets.entry(explanation.target.clone()).or_default();
        if it.explanations.back().is_some_and(|last| last.says_the_same(&explanation)) {
            let since = it.explanations.pop_back().map_or(explanation.since, |last| last.since);
            let mut renewed = explanation.as_ref().clone();
            renewed.since = since;
            it.explanations.push_back(Arc::new(renewed));
            return;
        }
        if EXPLANATIONS_KEPT <= it.explanations.len() {
            it.explanations.pop_front();
        }
        it.explanations.push_back(explanation);
    }

    /// What is seen of one target; `None` before its first observation.
    pub fn target(&self, id: &TargetId) -> Option<&TargetSight> {
        self.targets.get(id)
    }
}

impl TargetSight {
    fn observe_signals(
        &mut self,
        now: Timestamp,
        policy: &ScalingPolicy,
        capacity: Option<CapacityReading>,
        readings: &[SignalReading],
    ) {
        self.findings.clear();
        for signal in &policy.signals {
            let reading = readings.iter().find(|it| it.signal == signal.name);
            let finding = self.judge(now, policy, signal, reading, capacity);
            self.findings.push(finding);
        }
        let Some(CapacityReading { current, .. }) = capacity else {
            self.recommendation = None;
            self.good_since = None;
            return;
        };
        let recommendation = recommend(policy, current, &self.findings);
        let is_interrupted = self.observed_at.is_some_and(|it| GAP_MAX < now.duration_since(it));
        if recommendation.quality != Quality::Good {
            self.good_since = None;
        } else if is_interrupted || self.good_since.is_none() {
            self.good_since = Some(now);
        }
        self.observed_at = Some(now);
        // What bad signals ask for must not stand for a low demand later.
        let remembered = match recommendation.quality {
            Quality::Good => recommendation.capacity,
            Quality::Suspect | Quality::Missing => recommendation.capacity.max(current),
        };
        self.recommendations.push_back((now, remembered));
        let window = policy.scale_down.stabilization.max(policy.scale_up.stabilization);
        while self.recommendations.front().is_some_and(|(at, _)| window < now.duration_since(*at))
            || RECOMMENDATIONS_MAX < self.recommendations.len()
        {
            self.recommendations.pop_front();
        }
        self.recommendation = Some(recommendation);
    }

    fn judge(
        &mut self,
        now: Timestamp,
        policy: &ScalingPolicy,
        signal: &Signal,
        reading: Option<&SignalReading>,
        capacity: Option<CapacityReading>,
    ) -> SignalFinding {
        let (value, sampled_at, doubt) = match readable(reading) {
            Ok(read) => read,
            Err(absence) => {
                self.load_of(signal).miss();
                return SignalFinding {
                    signal: signal.name.clone(),
                    quality: Quality::Missing,
                    value: None,
                    sampled_at: None,
                    demand: None,
                    doubt: None,
                    absence: Some(absence),
                };
            }
        };
        let doubt = match (doubt, signal.rule) {
            // What the source already doubts says nothing about the load before.
            (Some(doubt), _) => {
                self.load_of(signal).miss();
                Some(doubt)
            }
            (None, Rule::ValuePerUnit { .. }) => {
                let usual_low = reading.and_then(|it| it.usual_low);
                self.load_of(signal).take(now, value, usual_low)
            }
            // A queue that is empty and a latency that is low are what is wanted.
            (None, Rule::QueueDepth { .. } | Rule::LatencyObjective { .. }) => None,
        };
        SignalFinding {
            signal: signal.name.clone(),
            quality: if doubt.is_some() { Quality::Suspect } else { Quality::Good },
            value: Some(value),
            sampled_at: Some(sampled_at),
            demand: capacity
                .and_then(|it| demand(policy, signal.rule, value, it.current, it.ready)),
            doubt,
            absence: None,
        }
    }

    fn load_of(&mut self, signal: &Signal) -> &mut LoadMemory {
        self.loads.entry(signal.name.clone()).or_default()
    }

    /// The lowest recommendation of the last `window` and when it was newest.
    pub fn lowest_since(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> Option<(Timestamp, Capacity)> {
        self.within(now, window).min_by_key(|(at, it)| (*it, std::cmp::Reverse(*at)))
    }

    /// The highest recommendation of the last `window` and when it was newest.
    pub fn highest_since(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> Option<(Timestamp, Capacity)> {
        self.within(now, window).max_by_key(|(at, it)| (*it, *at))
    }

    fn within(
        &self,
        now: Timestamp,
        window: SignedDuration,
    ) -> impl Iterator<Item = (Timestamp, Capacity)> {
        // The newest one always counts, also with a window of 0.
        self.recommendations
            .iter()
            .copied()
            .filter(move |(at, _)| *at == now || now.duration_since(*at) < window)
    }

    /// Since when every evaluation had good signals, without a gap; `None` when
    /// the newest one had not.
    pub fn good_since(&self) -> Option<Timestamp> {
        self.good_since
    }

    /// What the provider last said.
    pub fn capacity(&self) -> Option<&Result<CapacityReading, String>> {
        self.capacity.as_ref()
    }

    /// The signals of the newest evaluation.
    pub fn findings(&self) -> &[SignalFinding] {
        &self.findings
    }

    /// What they ask for; `None` without a policy or a capacity.
    pub fn recommendation(&self) -> Option<&Recommendation> {
        self.recommendation.as_ref()
    }

    /// The last few explanations that differ from the one before, oldest first.
    pub fn explanations(&self) -> impl DoubleEndedIterator<Item = &Arc<Explanation>> {
        self.explanations.iter()
    }
}

/// The value of a reading with its time and what its source doubts, or why there
/// is none. Numbers were checked by the source too, but nothing that is not one
/// may pass here.
fn readable(reading: Option<&SignalReading>) -> Result<(f64, Timestamp, Option<Doubt>), Absence> {
    match reading.map(|it| &it.reading) {
        None => Err(Absence::NotObserved),
        Some(Reading::Missing(absence)) => Err(absence.clone()),
        Some(Reading::Value { value, .. }) if !value.is_finite() => Err(Absence::NotFinite),
        Some(Reading::Value { value, .. }) if *value < 0.0 => {
            Err(Absence::Negative { value: *value })
        }
        Some(Reading::Value { value, sampled_at, doubt }) => {
            Ok((*value, *sampled_at, doubt.clone()))
        }
    }
}
