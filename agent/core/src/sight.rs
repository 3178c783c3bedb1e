//! What the agent currently sees of each target.
//!
//! **In:** observations, one batch per evaluation.
//! **Out:** judged signals, the recommendation that follows, and those before it.
//! **Not here:** anything that must survive a restart ([`crate::state`]). All of
//! this is observed anew, and until it has been, nothing is removed.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::decide::{Recommendation, SignalFinding, demand, recommend};
use crate::documents::{Documents, Rule, ScalingPolicy, Signal};
use crate::foresight::{Circumstances, ForecastFinding};
use crate::ids::{SignalName, TargetId};
use crate::lead_time::KnownLeadTime;
use crate::look_back::LookBack;
use crate::outlook::Standing;
use crate::plan_ahead::Ledger;
use crate::quality::{
    Absence, CapacityReading, Doubt, Quality, Reading, SignalReading, TargetObservation,
};
use crate::sudden_drop::LoadMemory;
use crate::units::Capacity;

/// Everything seen, by target.
#[derive(Debug, Default)]
pub struct Sight {
    targets: BTreeMap<TargetId, TargetSight>,
}

/// What is seen of one target.
#[derive(Debug, Default)]
pub struct TargetSight {
    capacity: Option<Result<CapacityReading, String>>,
    /// The last reading before that one.
    capacity_before: Option<CapacityReading>,
    /// Latencies above their objective that units were added for, by signal.
    pressing: BTreeMap<SignalName, Pressing>,
    /// What served within the last [`LATENCY_AGE`], oldest first.
    served: VecDeque<(Timestamp, Capacity)>,
    findings: Vec<SignalFinding>,
    recommendation: Option<Recommendation>,
    look_back: LookBack,
    loads: BTreeMap<SignalName, LoadMemory>,
    /// How often capacity fell short, by forecast signal.
    shortfalls: BTreeMap<SignalName, Ledger>,
}

/// One look at one target: all that its signals are judged by.
struct Look<'a> {
    now: Timestamp,
    policy: &'a ScalingPolicy,
    capacity: Option<CapacityReading>,
    lead_time: KnownLeadTime,
    usd_per_unit_hour: Option<f64>,
    /// From one look to the next.
    period: SignedDuration,
}

impl Look<'_> {
    /// The capacity that the provider is set to; `otherwise` where it does not say.
    fn current_or(&self, otherwise: f64) -> f64 {
        self.capacity.map_or(otherwise, |it| f64::from(it.current))
    }
}

/// The time between two looks before there were two.
///
/// Why 15 s: the daemon's default evaluation period.
const PERIOD_ASSUMED: SignedDuration = SignedDuration::from_secs(15);

/// A latency above its objective, and what served when it was at its worst.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pressing {
    value: f64,
    served: Capacity,
}

/// What a latency must fall to, of what it was, when units have come for it.
///
/// Why 0.9: below that it is noise. Where more units do not lower it, as with one sick
/// unit among many or a dependency that is full, still more will not either.
const RELIEF_RATIO: f64 = 0.9;

/// How old a latency may be about: the range of its query, its scrape and its look.
///
/// Why 1 min: the usual range of a `rate`, and the shortest that has four samples.
const LATENCY_AGE: SignedDuration = SignedDuration::from_mins(1);

/// Most looks of that time that are remembered. Why 60: one per second.
const SERVED_MAX: usize = 60;

impl Sight {
    /// Takes in one observation: judges its signals and remembers what follows.
    pub(crate) fn observe(
        &mut self,
        now: Timestamp,
        documents: &Documents,
        observation: &TargetObservation,
        lead_time: KnownLeadTime,
    ) {
        let it = self.targets.entry(observation.target.clone()).or_default();
        let before = it.capacity.replace(observation.capacity.clone()).and_then(Result::ok);
        it.capacity_before = before.or(it.capacity_before);
        let Some(policy) = documents.policy_of(&observation.target) else {
            it.findings.clear();
            it.recommendation = None;
            return;
        };
        let price = documents.target(&observation.target).and_then(|it| it.price_usd_per_hour);
        let look = Look {
            now,
            policy,
            capacity: observation.capacity.as_ref().ok().copied(),
            lead_time,
            usd_per_unit_hour: price,
            period: it.look_back.since_last(now).unwrap_or(PERIOD_ASSUMED),
        };
        it.observe_signals(&look, &observation.signals);
    }

    /// Keeps only targets that the documents still have.
    pub(crate) fn retain(&mut self, documents: &Documents) {
        self.targets.retain(|id, _| documents.target(id).is_some());
        for (id, it) in &mut self.targets {
            // Another policy may mean another unit: start the look back anew.
            it.look_back.clear();
            // A share of time has no unit: what was learned outlives a reload.
            it.shortfalls.retain(|signal, _| has_forecast(documents, id, signal));
            it.loads.clear();
            it.pressing.clear();
        }
    }

    /// Takes up what was remembered of shortfalls before a restart.
    pub(crate) fn recall(
        &mut self,
        documents: &Documents,
        recalled: &[(TargetId, SignalName, Ledger)],
    ) {
        for (target, signal, ledger) in recalled {
            if has_forecast(documents, target, signal) {
                let it = self.targets.entry(target.clone()).or_default();
                it.shortfalls.entry(signal.clone()).or_insert_with(|| ledger.clone());
            }
        }
    }

    /// How often the capacity of each target fell short, by forecast signal. Not
    /// journaled: forgetting it costs days of learning, not safety. The shell keeps
    /// it over restarts and brings it back with [`crate::agent::Input::ShortfallsRecalled`].
    pub fn shortfalls(&self) -> impl Iterator<Item = (&TargetId, &SignalName, &Ledger)> {
        self.targets
            .iter()
            .flat_map(|(id, it)| it.shortfalls.iter().map(move |(signal, it)| (id, signal, it)))
    }

    /// What is seen of one target; `None` before its first observation.
    pub fn target(&self, id: &TargetId) -> Option<&TargetSight> {
        self.targets.get(id)
    }
}

impl TargetSight {
    fn observe_signals(&mut self, look: &Look<'_>, readings: &[SignalReading]) {
        let policy = look.policy;
        self.findings.clear();
        self.remember_served(look);
        let measures_load = policy.signals.iter().any(|it| {
            matches!(it.rule, Rule::ValuePerUnit { .. })
                && readable(readings.iter().find(|reading| reading.signal == it.name)).is_ok()
        });
        for signal in &policy.signals {
            let reading = readings.iter().find(|it| it.signal == signal.name);
            let finding = self.judge(look, signal, reading, measures_load);
            self.findings.push(finding);
        }
        let Some(CapacityReading { current, .. }) = look.capacity else {
            self.recommendation = None;
            self.look_back.interrupt();
            return;
        };
        let recommendation = recommend(policy, current, &self.findings);
        // What bad signals ask for must not stand for a low demand later.
        let remembered = match recommendation.quality {
            Quality::Good => recommendation.capacity,
            Quality::Suspect | Quality::Missing => recommendation.capacity.max(current),
        };
        let window = policy.scale_down.stabilization.max(policy.scale_up.stabilization);
        let is_good = recommendation.quality == Quality::Good;
        let is_load = |name: &SignalName| {
            let signal = policy.signals.iter().find(|it| it.name == *name);
            signal.is_some_and(|it| matches!(it.rule, Rule::ValuePerUnit { .. }))
        };
        let is_load_led = recommendation.leading.as_ref().is_none_or(is_load);
        self.look_back.push(look.now, remembered, is_load_led, is_good, window);
        self.recommendation = Some(recommendation);
    }

    fn remember_served(&mut self, look: &Look<'_>) {
        if let Some(CapacityReading { current, ready, .. }) = look.capacity {
            self.served.push_back((look.now, ready.unwrap_or(current)));
        }
        while self.served.front().is_some_and(|(at, _)| LATENCY_AGE < look.now.duration_since(*at))
            || SERVED_MAX < self.served.len()
        {
            self.served.pop_front();
        }
    }

    fn judge(
        &mut self,
        look: &Look<'_>,
        signal: &Signal,
        reading: Option<&SignalReading>,
        measures_load: bool,
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
                    forecast: None,
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
                self.load_of(signal).take(look.now, value, usual_low)
            }
            // A queue that is empty and a latency that is low are what is wanted.
            (None, Rule::QueueDepth { .. } | Rule::LatencyObjective { .. }) => None,
        };
        let quality = if doubt.is_some() { Quality::Suspect } else { Quality::Good };
        let forecast = self.look_ahead(look, signal, reading, value, quality);
        let headroom_ratio = match forecast.as_ref().and_then(|it| it.covers.as_ref()) {
            // What is expected takes the place of a guess at what might come.
            Some(_) => 0.0,
            None => look.policy.headroom_ratio,
        };
        // Whatever was fewer than now made the latency what it is: units that came since then
        // must not be multiplied by it.
        let served = self.served.iter().map(|(_, it)| *it).min();
        // Without a measured load a latency that stays may be a load that grew meanwhile.
        let is_in_vain =
            self.presses_in_vain(signal, value, served.unwrap_or_default()) && measures_load;
        let asked = |it: CapacityReading| {
            let tolerance_ratio = look.policy.tolerance_ratio;
            let ready = served.or(it.ready);
            let asked =
                demand(signal.rule, value, headroom_ratio, tolerance_ratio, it.current, ready);
            if is_in_vain { asked.map(|it| it.min(look.current_or(it))) } else { asked }
        };
        SignalFinding {
            signal: signal.name.clone(),
            quality,
            value: Some(value),
            sampled_at: Some(sampled_at),
            demand: look.capacity.and_then(asked),
            doubt,
            absence: None,
            forecast,
        }
    }

    /// Whether units came for this latency and it did not fall: it keeps what there is, and
    /// asks for no more until it falls.
    fn presses_in_vain(&mut self, signal: &Signal, value: f64, served: Capacity) -> bool {
        let Rule::LatencyObjective { objective_seconds } = signal.rule else { return false };
        if value <= objective_seconds {
            self.pressing.remove(&signal.name);
            return false;
        }
        let now = Pressing { value, served };
        let Some(before) = self.pressing.get_mut(&signal.name) else {
            self.pressing.insert(signal.name.clone(), now);
            return false;
        };
        if served <= before.served {
            // What was asked for is not there yet.
            *before = Pressing { value: value.max(before.value), served };
            return false;
        }
        let is_relief = value <= before.value * RELIEF_RATIO;
        if is_relief {
            *before = now;
        }
        !is_relief
    }

    /// What the outlook that came with a reading asks for.
    fn look_ahead(
        &mut self,
        look: &Look<'_>,
        signal: &Signal,
        reading: Option<&SignalReading>,
        value: f64,
        quality: Quality,
    ) -> Option<ForecastFinding> {
        let foresight = look.policy.forecast.as_ref()?;
        let Rule::ValuePerUnit { value_per_unit } = signal.rule else { return None };
        let capacity = look.capacity?;
        let outlook = reading.and_then(|it| it.outlook.as_deref())?;
        let ledger = self.shortfalls.entry(signal.name.clone()).or_default();
        if quality == Quality::Good {
            let ready = capacity.ready.unwrap_or(capacity.current);
            let is_driving = outlook.standing == Standing::Predicting;
            let demand = value / value_per_unit;
            ledger.observe(look.now, demand, ready, foresight.shortfall, is_driving);
        }
        let circumstances = Circumstances {
            now: look.now,
            foresight,
            value,
            value_per_unit,
            usd_per_unit_hour: look.usd_per_unit_hour,
            lead_time: look.lead_time,
            period: look.period,
            current: capacity.current,
        };
        Some(ForecastFinding::of(&circumstances, outlook, ledger))
    }

    fn load_of(&mut self, signal: &Signal) -> &mut LoadMemory {
        self.loads.entry(signal.name.clone()).or_default()
    }

    /// What its signals asked for over the last while.
    pub fn look_back(&self) -> &LookBack {
        &self.look_back
    }

    /// What the provider last said.
    pub fn capacity(&self) -> Option<&Result<CapacityReading, String>> {
        self.capacity.as_ref()
    }

    /// What the provider said the time before; `None` before it said anything twice.
    pub fn capacity_before(&self) -> Option<CapacityReading> {
        self.capacity_before
    }

    /// The signals of the newest evaluation.
    pub fn findings(&self) -> &[SignalFinding] {
        &self.findings
    }

    /// What they ask for; `None` without a policy or a capacity.
    pub fn recommendation(&self) -> Option<&Recommendation> {
        self.recommendation.as_ref()
    }
}

/// Whether the documents forecast this signal of this target.
fn has_forecast(documents: &Documents, target: &TargetId, signal: &SignalName) -> bool {
    documents
        .policy_of(target)
        .is_some_and(|it| it.forecast.is_some() && it.signals.iter().any(|it| it.name == *signal))
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
