//! What playbooks see of a region.
//!
//! **In:** the agent's playbooks, and the region's exporter. **Out:** observations, as the daemon
//! makes them of a metrics backend's answers.
//! **Not here:** signals of policies ([`super`]), what follows (`evenkeel-core`).
//!
//! A query is the name of a metric. A real query is not; then the input's own name says which
//! metric it asks for, so that a playbook for a real backend can be tried here word for word. One
//! that is for everything adds up what can be added (load, work, spend), and is the worst of what
//! cannot.

use evenkeel_core::documents::{Documents, Per, PlaybookInput, ProviderRef};
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::{InputName, InstanceName, PlaybookId, TargetId};
use evenkeel_core::quality::{Absence, Reading, judge_sample};
use jiff::{SignedDuration, Timestamp};

use crate::exporter::{self, InstanceMetric, InstancesReading, Metric};
use crate::run::Stage;

/// One playbook and one of its targets.
#[derive(Debug)]
pub(in crate::run) struct WatchedPlaybook {
    playbook: PlaybookId,
    target: TargetId,
    service: usize,
    inputs: Vec<WatchedInput>,
}

/// What a query names.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// One number of the target's service.
    OfTarget(Metric),
    /// One number of the region.
    OfAll(Metric),
    /// One number per unit.
    OfUnits(InstanceMetric),
    /// No metric of the region.
    Nothing,
}

#[derive(Debug)]
struct WatchedInput {
    name: InputName,
    asked: Asked,
    max_age: SignedDuration,
}

/// Every playbook with each of its targets that the region has.
pub(in crate::run) fn watch(documents: &Documents, stage: &Stage) -> Vec<WatchedPlaybook> {
    let mut watched = Vec::new();
    for playbook in documents.playbooks() {
        for target in documents.targets_of_playbook(playbook) {
            let ProviderRef::Simulated { service } = &target.provider else { continue };
            let Some(service) = stage.world.spec().find(service) else { continue };
            watched.push(WatchedPlaybook {
                playbook: playbook.id.clone(),
                target: target.id.clone(),
                service,
                // What budgets say, the agent knows itself.
                inputs: playbook
                    .inputs
                    .iter()
                    .filter(|it| it.budget.is_none())
                    .map(WatchedInput::new)
                    .collect(),
            });
        }
    }
    watched
}

impl WatchedInput {
    fn new(input: &PlaybookInput) -> WatchedInput {
        let names = [input.query.as_str(), input.name.as_str()];
        let metric = || names.into_iter().find_map(Metric::parse);
        let asked = match &input.per {
            Per::Target => metric().map(Asked::OfTarget),
            Per::Everything => metric().map(Asked::OfAll),
            Per::Instance { .. } => {
                names.into_iter().find_map(InstanceMetric::parse).map(Asked::OfUnits)
            }
        };
        WatchedInput {
            name: input.name.clone(),
            asked: asked.unwrap_or(Asked::Nothing),
            max_age: input.max_age,
        }
    }

    fn read(&self, now: Timestamp, service: usize, stage: &Stage) -> Result<InputValue, Absence> {
        match self.asked {
            Asked::Nothing => Err(Absence::NoSeries),
            Asked::OfTarget(metric) => {
                let (value, sampled_at) = self.one(now, service, metric, stage)?;
                Ok(InputValue::One { value, sampled_at })
            }
            Asked::OfAll(metric) => self.all(now, metric, stage),
            Asked::OfUnits(metric) => self.units(now, service, metric, stage),
        }
    }

    fn one(
        &self,
        now: Timestamp,
        service: usize,
        metric: Metric,
        stage: &Stage,
    ) -> Result<(f64, Timestamp), Absence> {
        match stage.exporter.read(stage.world.second(), service, metric) {
            exporter::Reading::Sample { value, sampled_at } => {
                self.judge(now, value, instant(stage, sampled_at, now))
            }
            exporter::Reading::NoSeries => Err(Absence::NoSeries),
            exporter::Reading::BackendDown => Err(down()),
        }
    }

    fn judge(
        &self,
        now: Timestamp,
        value: f64,
        sampled_at: Timestamp,
    ) -> Result<(f64, Timestamp), Absence> {
        match judge_sample(now, value, sampled_at, self.max_age, false) {
            Reading::Value { value, sampled_at, .. } => Ok((value, sampled_at)),
            Reading::Missing(absence) => Err(absence),
        }
    }

    fn all(&self, now: Timestamp, metric: Metric, stage: &Stage) -> Result<InputValue, Absence> {
        let mut whole: Option<(f64, Timestamp)> = None;
        for service in 0..stage.world.spec().services.len() {
            let (value, at) = match self.one(now, service, metric, stage) {
                Ok(it) => it,
                // Not every kind of service has every metric.
                Err(Absence::NoSeries) => continue,
                Err(absence) => return Err(absence),
            };
            whole = Some(match whole {
                None => (value, at),
                Some((sum, oldest)) => (joined(metric, sum, value), oldest.min(at)),
            });
        }
        let (value, sampled_at) = whole.ok_or(Absence::NoSeries)?;
        Ok(InputValue::One { value, sampled_at })
    }

    fn units(
        &self,
        now: Timestamp,
        service: usize,
        metric: InstanceMetric,
        stage: &Stage,
    ) -> Result<InputValue, Absence> {
        let second = stage.world.second();
        let (values, sampled_at) = match stage.exporter.read_instances(second, service, metric) {
            InstancesReading::Sample { values, sampled_at } => (values, sampled_at),
            InstancesReading::NoSeries => return Err(Absence::NoSeries),
            InstancesReading::BackendDown => return Err(down()),
        };
        let sampled_at = instant(stage, sampled_at, now);
        let mut named = Vec::with_capacity(values.len());
        for (id, value) in values {
            let (value, _) = self.judge(now, value, sampled_at)?;
            let name = stage.world.unit_name(service, id);
            if let Ok(name) = InstanceName::new(&name) {
                named.push((name, value));
            }
        }
        Ok(InputValue::Instances { values: named, sampled_at })
    }
}

/// Two services' values as one.
fn joined(metric: Metric, a: f64, b: f64) -> f64 {
    match metric {
        Metric::Requests
        | Metric::QueueArrivals
        | Metric::Good
        | Metric::QueueDepth
        | Metric::Spend
        | Metric::RequestsTotal
        | Metric::RequestsGoodTotal
        | Metric::RequestsBadTotal => a + b,
        Metric::ErrorRatio
        | Metric::LatencyP95
        | Metric::Cpu
        | Metric::Busy
        | Metric::ReplicaLag
        | Metric::UnitPrice
        | Metric::DiskUsed => a.max(b),
        Metric::HitRatio | Metric::CertificateExpires | Metric::RevisionAge => a.min(b),
    }
}

fn down() -> Absence {
    Absence::Backend { message: "the metrics backend does not answer".to_owned() }
}

/// A second of the world as the backend's instant.
fn instant(stage: &Stage, second: i64, now: Timestamp) -> Timestamp {
    stage.world.start().saturating_add(SignedDuration::from_secs(second)).unwrap_or(now)
}

impl WatchedPlaybook {
    /// Everything that the playbook is told of the target.
    pub(in crate::run) fn observe(&self, now: Timestamp, stage: &Stage) -> PlaybookObservation {
        let inputs = self.inputs.iter().map(|it| InputReading {
            input: it.name.clone(),
            reading: it.read(now, self.service, stage),
        });
        PlaybookObservation {
            playbook: self.playbook.clone(),
            target: self.target.clone(),
            inputs: inputs.collect(),
        }
    }
}
