//! The demo's region as a metrics source.
//!
//! **In:** a policy whose queries are names of the region's metrics.
//! **Out:** readings, judged like Prometheus' are: with the time at which they were sampled.
//! **Not here:** PromQL; the demo's region is no Prometheus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::documents::{
    Documents, Per, Playbook, PlaybookInput, ScalingPolicy, Signal, Target,
};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::TargetId;
use evenkeel_core::quality::{Absence, Reading, SignalReading, judge_sample};
use evenkeel_sim::Region;
use jiff::{SignedDuration, Timestamp};

use crate::source::inputs;

/// Days of past load that the region makes up.
const HISTORY_DAYS: u32 = 14;

/// Reads the exporter of a region in this process.
#[derive(Debug)]
pub(crate) struct RegionSource {
    region: Arc<Mutex<Region>>,
}

impl RegionSource {
    /// A source on `region`.
    pub(crate) fn new(region: Arc<Mutex<Region>>) -> RegionSource {
        RegionSource { region }
    }

    /// What the signals of `policy` are at `now`.
    pub(crate) fn observe(
        &self,
        now: Timestamp,
        documents: &Documents,
        policy: &ScalingPolicy,
    ) -> BTreeMap<TargetId, Vec<SignalReading>> {
        let mut region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        region.advance(now);
        documents
            .targets_of(&policy.id)
            .map(|target| {
                let readings =
                    policy.signals.iter().map(|it| read(&region, now, policy, target, it));
                (target.id.clone(), readings.collect())
            })
            .collect()
    }

    /// What the inputs of all playbooks are at `now`. The region knows services, not
    /// their instances: an input per instance is not observed.
    pub(crate) fn observe_inputs(
        &self,
        now: Timestamp,
        documents: &Documents,
    ) -> Vec<PlaybookObservation> {
        let mut region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        region.advance(now);
        let observed = |playbook: &Playbook, target: &Target| {
            let value = inputs::label_value_of(playbook, target);
            let read = |input: &PlaybookInput| InputReading {
                input: input.name.clone(),
                reading: read_input(&region, now, value, input),
            };
            PlaybookObservation {
                playbook: playbook.id.clone(),
                target: target.id.clone(),
                inputs: playbook.inputs.iter().filter(|it| it.budget.is_none()).map(read).collect(),
            }
        };
        inputs::playbooks_in_use(documents)
            .flat_map(|(playbook, targets)| {
                targets.into_iter().map(|it| observed(playbook, it)).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Hands out two weeks of past load.
    pub(crate) fn backfill(
        &self,
        documents: &Documents,
        policy: &ScalingPolicy,
        signal: &Signal,
        sink: &mut (dyn FnMut(&TargetId, Timestamp, f64) + Send),
    ) {
        for target in documents.targets_of(&policy.id) {
            let service = policy.label_value_of(target);
            let points = {
                let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
                let load = region.load_metric(service);
                if load.is_none_or(|it| it.name() != signal.query) {
                    continue;
                }
                region.history(service, HISTORY_DAYS, SignedDuration::from_mins(5))
            };
            for (at, value) in points {
                sink(&target.id, at, value);
            }
        }
    }
}

fn read(
    region: &Region,
    now: Timestamp,
    policy: &ScalingPolicy,
    target: &Target,
    signal: &Signal,
) -> SignalReading {
    let reading = match region.metric(&signal.query, policy.label_value_of(target)) {
        Ok(Some((value, sampled_at))) => {
            judge_sample(now, value, sampled_at, signal.max_age, false)
        }
        Ok(None) => Reading::Missing(Absence::NoSeries),
        Err(error) => Reading::Missing(Absence::Backend { message: error.to_string() }),
    };
    SignalReading { signal: signal.name.clone(), reading, usual_low: None, outlook: None }
}

fn read_input(
    region: &Region,
    now: Timestamp,
    service: &str,
    input: &PlaybookInput,
) -> Result<InputValue, Absence> {
    match input.per {
        Per::Target => match region.metric(&input.query, service) {
            Ok(Some((value, sampled_at))) => {
                inputs::one(inputs::judge(now, value, sampled_at, input))
            }
            Ok(None) => Err(Absence::NoSeries),
            Err(error) => Err(Absence::Backend { message: error.to_string() }),
        },
        Per::Everything | Per::Instance { .. } => Err(Absence::NotObserved),
    }
}
