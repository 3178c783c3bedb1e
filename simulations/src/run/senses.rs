//! What the agent is told of a region: readings, with what is usual and what is expected.
//!
//! **In:** the region's exporter and provider. **Out:** observations, as the daemon makes them.
//! **Not here:** what follows from them (`evenkeel-core`), fitting forecasts
//! (`evenkeel-forecast`).

pub(super) mod budgets;
pub(super) mod playbooks;

use std::sync::Arc;

use evenkeel_core::agent::Agent;
use evenkeel_core::documents::{Documents, LeadTime, ProviderRef, Rule, ScalingPolicy, Signal};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::outlook::Outlook;
use evenkeel_core::quality::{
    Absence, CapacityReading, Doubt, Reading, SignalReading, TargetObservation, judge_sample,
};
use evenkeel_core::units::Capacity;
use evenkeel_forecast::History;
use evenkeel_forecast::live::{Forecaster, Settings};
use jiff::{SignedDuration, Timestamp};

use super::Stage;
use crate::exporter::{self, Metric};

/// Days of past load that the agent is given at its start. Why 14: what the daemon asks
/// Prometheus for.
const PAST_DAYS: u32 = 14;

/// Distance of the points of that past; also the forecaster's own step.
const PAST_STEP: SignedDuration = SignedDuration::from_mins(5);

/// One target as it is watched.
#[derive(Debug)]
pub(super) struct Watched {
    /// Its name.
    pub(super) target: TargetId,
    /// Its service, by place.
    pub(super) service: usize,
    /// Its policy's signals.
    pub(super) signals: Vec<WatchedSignal>,
    /// Whether any signal had no value at the last look.
    pub(super) is_missing: bool,
    /// Whether any value was one not to lower capacity on, before the agent had a look at it.
    pub(super) is_doubted: bool,
    /// Units that the provider showed last, right or wrong.
    pub(super) shown: u32,
    /// Units that the loads of the last look need at once, by division and nothing else.
    pub(super) needs: f64,
}

/// One signal of a target.
#[derive(Debug)]
pub(super) struct WatchedSignal {
    name: SignalName,
    /// `None` where the query is not the name of a metric.
    metric: Option<Metric>,
    max_age: SignedDuration,
    /// Load that a unit carries; `None` of queues and latencies.
    per_unit: Option<f64>,
    /// Of a load; queues and latencies have none.
    history: Option<History>,
    usual_low: Option<f64>,
    forecaster: Option<Forecaster>,
    outlook: Option<Arc<Outlook>>,
    /// The newest sample that the forecaster has.
    sampled_at: Option<Timestamp>,
    /// The minute of `outlook`.
    minute: Option<i64>,
}

/// The targets of `documents` whose services the region has, with two weeks of past load.
pub(super) fn watch(documents: &Documents, stage: &Stage) -> Vec<Watched> {
    documents
        .targets()
        .filter_map(|target| {
            let ProviderRef::Simulated { service } = &target.provider else { return None };
            let service = stage.world.spec().find(service)?;
            let policy = documents.policy_of(&target.id);
            let lead_time = match target.lead_time {
                LeadTime::Given(given) => given,
                LeadTime::Measure => Settings::default().lead_time,
            };
            let signals = policy.map_or(&[][..], |it| it.signals.as_slice());
            let signals = signals.iter().filter_map(|signal| {
                policy.map(|policy| {
                    WatchedSignal::new(documents, policy, signal, service, lead_time, stage)
                })
            });
            Some(Watched {
                target: target.id.clone(),
                service,
                signals: signals.collect(),
                is_missing: false,
                is_doubted: false,
                shown: 0,
                needs: 0.0,
            })
        })
        .collect()
}

impl WatchedSignal {
    fn new(
        documents: &Documents,
        policy: &ScalingPolicy,
        signal: &Signal,
        service: usize,
        lead_time: SignedDuration,
        stage: &Stage,
    ) -> WatchedSignal {
        let metric = Metric::parse(&signal.query);
        let is_load = matches!(signal.rule, Rule::ValuePerUnit { .. });
        // What was measured before the start is known of loads only.
        let has_past = is_load && matches!(metric, Some(Metric::Requests | Metric::QueueArrivals));
        let past =
            if has_past { stage.world.history(service, PAST_DAYS, PAST_STEP) } else { Vec::new() };
        let now = stage.world.now();
        let history = is_load.then(|| {
            let mut history = History::fortnight();
            history.backfill(now, past.iter().copied());
            history
        });
        let forecaster = policy.forecast.as_ref().filter(|_| is_load).and_then(|foresight| {
            let calendar = foresight.calendar.as_ref().and_then(|it| documents.calendar(it));
            let settings = Settings {
                seasons: foresight.seasons.clone(),
                time_zone: foresight.time_zone.clone(),
                calendar: calendar.cloned().map(Arc::new),
                lead_time,
                ..Settings::default()
            };
            let mut forecaster = Forecaster::new(settings).ok()?;
            forecaster.backfill(past.iter().copied(), now);
            Some(forecaster)
        });
        WatchedSignal {
            name: signal.name.clone(),
            metric,
            max_age: signal.max_age,
            per_unit: match signal.rule {
                Rule::ValuePerUnit { value_per_unit } => Some(value_per_unit),
                Rule::QueueDepth { .. } | Rule::LatencyObjective { .. } => None,
            },
            history,
            usual_low: None,
            forecaster,
            outlook: None,
            sampled_at: None,
            minute: None,
        }
    }

    /// One reading, and what the daemon does around it: says what is usual before it remembers,
    /// learns unless the agent doubted the value before, looks ahead.
    fn read(
        &mut self,
        now: Timestamp,
        service: usize,
        stage: &Stage,
        is_doubted: bool,
        scratch: &mut Vec<f32>,
    ) -> SignalReading {
        let reading = match self.metric {
            None => Reading::Missing(Absence::NoSeries),
            Some(metric) => match stage.exporter.read(stage.world.second(), service, metric) {
                exporter::Reading::Sample { value, sampled_at } => {
                    let sampled_at = stage
                        .world
                        .start()
                        .saturating_add(SignedDuration::from_secs(sampled_at))
                        .unwrap_or(now);
                    judge_sample(now, value, sampled_at, self.max_age, false)
                }
                exporter::Reading::NoSeries => Reading::Missing(Absence::NoSeries),
                exporter::Reading::BackendDown => Reading::Missing(Absence::Backend {
                    message: "the metrics backend does not answer".to_owned(),
                }),
            },
        };
        if let Some(history) = &mut self.history {
            self.usual_low = history.usual_low(scratch);
            if let Reading::Value { value, sampled_at, doubt: None } = &reading {
                history.record(now, *sampled_at, *value);
            }
        }
        self.look_ahead(now, &reading, is_doubted);
        SignalReading {
            signal: self.name.clone(),
            reading,
            usual_low: self.usual_low,
            outlook: self.outlook.clone(),
        }
    }

    fn look_ahead(&mut self, now: Timestamp, reading: &Reading, is_doubted: bool) {
        let Some(forecaster) = &mut self.forecaster else { return };
        match reading {
            Reading::Value { value, sampled_at, doubt: None } if !is_doubted => {
                // A sample that is read twice is one sample.
                if self.sampled_at.replace(*sampled_at) != Some(*sampled_at) {
                    forecaster.update(*sampled_at, *value);
                }
            }
            Reading::Value { .. } | Reading::Missing(_) => forecaster.miss(now),
        }
        // The forecaster's finest grid has minutes: within one it says the same.
        let minute = now.as_second().div_euclid(60);
        if self.minute.replace(minute) == Some(minute) {
            return;
        }
        // No refits: they serve the two-day view that people look at, never the outlook.
        self.outlook = forecaster.outlook(now).map(Arc::new);
    }

    /// What was expected of the load: 10 %, 50 % and 90 % at the lead time.
    fn expected(&self) -> Option<[f64; 3]> {
        let outlook = self.outlook.as_deref()?;
        let ahead = self.forecaster.as_ref()?.settings().lead_time;
        Some([0.1, 0.5, 0.9].map(|level| outlook.quantile(ahead, level)))
    }
}

impl Watched {
    /// Everything the agent is told of the target.
    pub(super) fn observe(
        &mut self,
        now: Timestamp,
        stage: &mut Stage,
        agent: &Agent,
        scratch: &mut Vec<f32>,
    ) -> TargetObservation {
        let capacity = stage.provider.read(&stage.world, self.service).map(|it| CapacityReading {
            current: Capacity(it.desired),
            ready: Some(Capacity(it.ready)),
            read_at: now,
        });
        if let Ok(reading) = &capacity {
            self.shown = reading.current.0;
        }
        let findings = agent.sight().target(&self.target).map_or(&[][..], |it| it.findings());
        let (mut is_missing, mut is_doubted, mut needs) = (false, false, 0.0_f64);
        let service = self.service;
        let signals = self.signals.iter_mut().map(|signal| {
            let has_dropped = findings.iter().any(|it| {
                it.signal == signal.name && matches!(it.doubt, Some(Doubt::SuddenDrop { .. }))
            });
            let reading = signal.read(now, service, stage, has_dropped, scratch);
            is_missing |= matches!(reading.reading, Reading::Missing(_));
            if let (Reading::Value { value, .. }, Some(per_unit)) =
                (&reading.reading, signal.per_unit)
            {
                needs = needs.max(value / per_unit);
            }
            is_doubted |= matches!(reading.reading, Reading::Value { doubt: Some(_), .. });
            reading
        });
        let signals: Vec<SignalReading> = signals.collect();
        (self.is_missing, self.is_doubted, self.needs) = (is_missing, is_doubted, needs);
        TargetObservation { target: self.target.clone(), capacity, signals }
    }

    /// What is expected of its load, at its lead time from now.
    pub(super) fn expected(&self) -> Option<[f64; 3]> {
        self.signals.iter().find_map(WatchedSignal::expected)
    }

    /// The lead time of its forecast.
    pub(super) fn lead_time(&self) -> Option<SignedDuration> {
        self.signals.iter().find_map(|it| Some(it.forecaster.as_ref()?.settings().lead_time))
    }

    /// The core measured how long capacity takes.
    pub(super) fn set_lead_time(&mut self, lead_time: SignedDuration) {
        for signal in &mut self.signals {
            if let Some(forecaster) = &mut signal.forecaster {
                forecaster.set_lead_time(lead_time);
            }
        }
    }
}
