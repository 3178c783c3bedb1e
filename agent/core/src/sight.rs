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
use crate::units::Capacity;

/// A fall below this fraction of the recent median is suspect until it has
/// lasted, unless such low values are usual for the series.
///
/// Why 0.3: load that falls to a third within minutes is an outage in front of
/// the service or a broken exporter far more often than people going home.
pub const SUDDEN_DROP_RATIO: f64 = 0.3;

/// How far back values are kept to recognise a sudden drop. The median follows
/// a lasting fall after half of this.
///
/// Why 10 min: an exporter that restarts is back sooner (KEDA #965 took 3 min),
/// and ten minutes of unneeded capacity cost little.
pub const SETTLE: SignedDuration = SignedDuration::from_mins(10);

/// Longest silence between two good evaluations that still counts as one
/// uninterrupted run. Why 1 min: four default evaluation periods.
pub const GAP_MAX: SignedDuration = SignedDuration::from_mins(1);

/// How many different explanations of a target are kept for `explain --at`.
pub const EXPLANATIONS_KEPT: usize = 8;

/// Values kept per signal, whatever the evaluation period: 10 min at 5 s.
const RECENT_VALUES_MAX: usize = 120;

/// Recommendations kept per target, whatever the windows: 1 h at 5 s.
const RECOMMENDATIONS_MAX: usize = 720;

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
    recent_values: BTreeMap<SignalName, VecDeque<(Timestamp, f64)>>,
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
        let current = observation.capacity.as_ref().ok().map(|reading| reading.current);
        it.observe_signals(now, policy, current, &observation.signals);
    }

    /// Keeps only targets that the documents still have.
    pub(crate) fn retain(&mut self, documents: &Documents) {
        self.targets.retain(|id, _| documents.target(id).is_some());
        for it in self.targets.values_mut() {
            // Another policy may mean another unit: start the look back anew.
            it.recommendations.clear();
            it.good_since = None;
            it.recent_values.clear();
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
        current: Option<Capacity>,
        readings: &[SignalReading],
    ) {
        self.findings.clear();
        for signal in &policy.signals {
            let reading = readings.iter().find(|it| it.signal == signal.name);
            let finding = self.judge(now, policy, signal, reading, current);
            self.findings.push(finding);
        }
        let Some(current) = current else {
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
        current: Option<Capacity>,
    ) -> SignalFinding {
        let missing = |absence| SignalFinding {
            signal: signal.name.clone(),
            quality: Quality::Missing,
            value: None,
            sampled_at: None,
            demand: None,
            doubt: None,
            absence: Some(absence),
        };
        let Some(reading) = reading else { return missing(Absence::NotObserved) };
        let (value, sampled_at, doubt) = match &reading.reading {
            Reading::Missing(absence) => return missing(absence.clone()),
            // Also checked by the source, but nothing that is not a number may pass here.
            Reading::Value { value, .. } if !value.is_finite() => {
                return missing(Absence::NotFinite);
            }
            Reading::Value { value, .. } if *value < 0.0 => {
                return missing(Absence::Negative { value: *value });
            }
            Reading::Value { value, sampled_at, doubt } => (*value, *sampled_at, doubt.clone()),
        };
        let drop = match signal.rule {
            Rule::ValuePerUnit { .. } => self.sudden_drop(now, signal, value, reading.usual_low),
            // A queue that is empty and a latency that is low are what is wanted.
            Rule::QueueDepth { .. } | Rule::LatencyObjective { .. } => None,
        };
        let doubt = doubt.or(drop);
        SignalFinding {
            signal: signal.name.clone(),
            quality: if doubt.is_some() { Quality::Suspect } else { Quality::Good },
            value: Some(value),
            sampled_at: Some(sampled_at),
            demand: current.and_then(|current| demand(policy, signal.rule, value, current)),
            doubt,
            absence: None,
        }
    }

    fn sudden_drop(
        &mut self,
        now: Timestamp,
        signal: &Signal,
        value: f64,
        usual_low: Option<f64>,
    ) -> Option<Doubt> {
        let recent = self.recent_values.entry(signal.name.clone()).or_default();
        while recent.front().is_some_and(|(at, _)| SETTLE < now.duration_since(*at))
            || RECENT_VALUES_MAX <= recent.len()
        {
            recent.pop_front();
        }
        let median = median(recent.iter().map(|(_, value)| *value));
        recent.push_back((now, value));
        let median = median?;
        let is_usual = usual_low.is_some_and(|low| low <= value);
        (value < SUDDEN_DROP_RATIO * median && !is_usual)
            .then_some(Doubt::SuddenDrop { recent: median })
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

/// The lower median; `None` without values.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len().checked_sub(1)? / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}
