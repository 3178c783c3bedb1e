//! Whoever sets the units, at work: the agent's process, or a pilot.
//!
//! **In:** a second in which it may be time to look. **Out:** changes at the provider, each seen
//! by the watch and the verdict.
//! **Not here:** what they decide (`evenkeel-core`, [`crate::pilot`]), people ([`super::acts`]).

use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::explain::Conclusion;

use super::keeping::record_event;
use super::process::Happened;
use super::verdict::Change;
use super::{Controller, Driver, Engine, Stage};
use crate::exporter::{Metric, Reading};
use crate::pilot::{Deed, Look, PilotKind, ServiceLook};
use crate::provider::Answer as ProviderAnswer;
use crate::timeline::EventKind;
use crate::world::{World, WorldSpec};

/// What one unit of a service can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Requests per second, calls included.
    unit_rps: f64,
    /// Processor use at that: a slot is idle while it waits for a call.
    cpu_ratio: f64,
}

pub(super) fn sizes(spec: &WorldSpec) -> Vec<Size> {
    let units = spec.services.iter().zip(spec.unit_rps());
    units
        .map(|(it, unit_rps)| {
            let own = unit_rps * it.unit.service_seconds / f64::from(it.unit.slots);
            Size { unit_rps, cpu_ratio: (own * it.unit.cpu_ratio).max(1e-6) }
        })
        .collect()
}

/// What a pilot is shown.
fn see(stage: &mut Stage, sizes: &[Size], looks: &mut [ServiceLook]) {
    let second = stage.world.second();
    for (service, (look, size)) in looks.iter_mut().zip(sizes).enumerate() {
        let inventory = stage.provider.read(&stage.world, service).ok();
        let read = |metric| match stage.exporter.read(second, service, metric) {
            Reading::Sample { value, .. } if value.is_finite() => Some(value),
            Reading::Sample { .. } | Reading::NoSeries | Reading::BackendDown => None,
        };
        *look = ServiceLook {
            unit_rps: size.unit_rps,
            desired: inventory.map(|it| it.desired),
            ready: inventory.map(|it| it.ready),
            cpu_ratio: read(Metric::Cpu).map(|it| it / size.cpu_ratio),
            arrived_rps: read(Metric::Requests).or_else(|| read(Metric::QueueArrivals)),
            latency_p95_seconds: read(Metric::LatencyP95),
            queue_depth: read(Metric::QueueDepth),
            error_ratio: read(Metric::ErrorRatio),
            unhealthy_ratio: stage.world.knobs_mut(service).unhealthy_ratio,
            replica_lag_seconds: read(Metric::ReplicaLag),
        };
    }
}

impl Engine<'_> {
    /// What the agent's process did since the last time.
    pub(super) fn settle(&mut self, at: i64) {
        let Driver::Agent(process, watch) = &mut self.driver else { return };
        if process.happened.is_empty() {
            return;
        }
        let happened = std::mem::take(&mut process.happened);
        let unix = self.stage.world.now().as_second();
        let mut events = Vec::new();
        for it in &happened {
            watch.saw(it, unix, process, &self.stage, &mut self.violations);
            match it {
                Happened::Started(effect, outcome) if *outcome != EffectOutcome::Rejected => {
                    let Some((service, _)) =
                        self.targets.iter().find(|(_, it)| it == effect.target())
                    else {
                        continue;
                    };
                    let (from, to) = (effect.expected().0, effect.desired().0);
                    events.push((*service, from, to));
                }
                Happened::Explained(explanation) if self.recorder.is_some() => {
                    let place = self.targets.iter().find(|(_, it)| *it == explanation.target);
                    let Some((service, _)) = place else { continue };
                    let name = explanation.conclusion.name();
                    let is_news = self
                        .refused
                        .get_mut(*service)
                        .is_some_and(|it| std::mem::replace(it, name) != name);
                    let kind = match explanation.conclusion {
                        Conclusion::Planned { .. } => EventKind::Decision,
                        Conclusion::Refused { .. }
                            if !["cooling_down", "in_flight"].contains(&name) =>
                        {
                            EventKind::Refusal
                        }
                        Conclusion::ReadBack { .. } | Conclusion::ChangedOutside { .. } => {
                            EventKind::Decision
                        }
                        Conclusion::Refused { .. }
                        | Conclusion::NoChange
                        | Conclusion::CapacityUnknown { .. } => continue,
                    };
                    if is_news || kind == EventKind::Decision {
                        let text = explanation.sentence();
                        record_event(
                            &mut self.recorder,
                            unix,
                            kind,
                            self.scenario,
                            Some(*service),
                            text,
                        );
                    }
                }
                Happened::Died { .. } => {
                    let text = "the agent's process died".to_owned();
                    record_event(
                        &mut self.recorder,
                        unix,
                        EventKind::FaultBegan,
                        self.scenario,
                        None,
                        text,
                    );
                }
                Happened::Acted(_)
                | Happened::Incident { .. }
                | Happened::Run { .. }
                | Happened::Told(_)
                | Happened::Budget { .. }
                | Happened::SloAlert { .. }
                | Happened::Revived
                | Happened::Started(..)
                | Happened::Explained(_)
                | Happened::Ended { .. }
                | Happened::Unexplained { .. } => (),
            }
        }
        self.note_healing(at, &happened);
        // The vector is handed back, so that a look allocates it only once.
        let mut happened = happened;
        happened.clear();
        if let Driver::Agent(process, _) = &mut self.driver {
            process.happened = happened;
        }
        for (service, from, to) in events {
            self.changed(at, service, from, to);
        }
    }

    /// The controller asked for other units.
    pub(super) fn changed(&mut self, at: i64, service: usize, from: u32, to: u32) {
        if from == to {
            return;
        }
        self.monitor.incidents.noticed(at);
        if 0 <= at {
            self.changes += 1;
        }
        let unix = self.unix();
        let (until, may_grow) = self.words.get(service).copied().unwrap_or((i64::MIN, false));
        let is_against = at < until && !(may_grow && from < to);
        let violations = &mut self.violations;
        self.verdict.changed(at, unix, service, Change::Set { from, to }, is_against, violations);
        if to < from {
            let took = Change::Took { units: from - to, of: from };
            self.verdict.changed(at, unix, service, took, is_against, violations);
        }
    }

    pub(super) fn look(&mut self, at: i64) {
        let warm_up = self.scenario.warm_up;
        match &mut self.driver {
            Driver::Agent(process, watch) => {
                process.look_at_budgets(at, &self.stage, &mut self.trace);
                if (at + warm_up).rem_euclid(self.scenario.evaluation_period) != 0 {
                    return;
                }
                process.wake(at, &self.stage, &mut self.trace);
                process.look(at, &mut self.stage, &mut self.trace);
                if at.rem_euclid(60) == 0 {
                    let unix = self.stage.world.now().as_second();
                    watch.check(unix, process, &mut self.violations);
                }
                self.settle(at);
                self.stand_by(at);
                self.expect(at);
            }
            Driver::Pilot { pilot, looks, sizes } => {
                if (at + warm_up).rem_euclid(pilot.period_seconds().max(1)) != 0 {
                    return;
                }
                see(&mut self.stage, sizes, looks);
                let is_oracle = self.settings.controller == Controller::Pilot(PilotKind::Oracle);
                let look = Look {
                    second: at,
                    unix_second: self.stage.world.now().as_second(),
                    spec: &self.scenario.world,
                    services: looks,
                    world: is_oracle.then_some(&self.stage.world),
                };
                for deed in pilot.look(&look) {
                    self.pilots(at, deed);
                }
            }
        }
    }

    /// A pilot does something.
    pub(super) fn pilots(&mut self, at: i64, deed: Deed) {
        let unix = self.unix();
        let Stage { world, provider, .. } = &mut self.stage;
        let took = |service: usize, units: u32, world: &World| {
            (service, Change::Took { units, of: world.truth(service).desired.max(1) })
        };
        let mut changes = Vec::new();
        let mut lost = None;
        match deed {
            Deed::SetUnits { service, units } => {
                let Some(spec) = self.scenario.world.services.get(service) else { return };
                let from = world.truth(service).desired;
                let to = units.clamp(spec.units_min, spec.units_max);
                if !spec.is_scaled || from == to {
                    return;
                }
                let reply = provider.set_units(world, service, to, None);
                if !matches!(reply.answer, ProviderAnswer::Rejected(_)) {
                    self.changed(at, service, from, to);
                    self.event(EventKind::Decision, Some(service), format!("{from} -> {to} units"));
                }
                return;
            }
            Deed::Restart { service, ratio } => {
                let units = world.restart(service, ratio);
                changes.push(took(service, units, world));
            }
            Deed::Replace { service, ratio } => {
                let units = world.kill(service, ratio);
                changes.push(took(service, units, world));
            }
            Deed::Promote { service } => {
                let before = world.sums(service).lost_writes;
                world.promote(service);
                lost = Some((service, world.sums(service).lost_writes - before));
            }
            Deed::Drain { zone } => {
                let ready: Vec<u32> =
                    (0..world.spec().services.len()).map(|it| world.truth(it).ready).collect();
                world.drain(zone);
                let zones = u32::try_from(world.spec().zones.len().max(1)).unwrap_or(1);
                changes.extend(
                    ready.iter().enumerate().map(|(it, n)| took(it, n.div_ceil(zones), world)),
                );
            }
            Deed::Undrain { zone } => world.undrain(zone),
        }
        for (service, change) in changes {
            self.verdict.changed(at, unix, service, change, false, &mut self.violations);
        }
        if let Some((service, writes)) = lost {
            self.verdict.lost_writes(unix, service, writes, &mut self.violations);
        }
        self.trace.line(format_args!("{at} {deed:?}"));
        self.event(EventKind::Decision, None, format!("{deed:?}"));
    }

    /// Keeps what is expected, until its time has come.
    pub(super) fn expect(&mut self, at: i64) {
        if self.recorder.is_none() {
            return;
        }
        let Driver::Agent(process, _) = &self.driver else { return };
        for watched in &process.watched {
            let (Some(expected), Some(ahead), Some(queue)) =
                (watched.expected(), watched.lead_time(), self.expected.get_mut(watched.service))
            else {
                continue;
            };
            if queue.len() < 4_096 {
                queue.push_back((at + ahead.as_secs(), expected));
            }
        }
    }
}
