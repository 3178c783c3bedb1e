//! What is kept of a run: the plan, the timeline, and in the end the scorecard.
//!
//! **In:** the truth of every second, and events. **Out:** a [`RegionRun`].
//! **Not here:** drawing it ([`crate::report`]), what must hold ([`super::watch`]).

use super::harm::{self, Totals};
use super::{Driver, Engine, PLAN_ROWS_MAX, RegionRun};
use crate::capacity::PlanRow;
use crate::scenario::region::RegionScenario;
use crate::timeline::{Event, EventKind, Moment, Recorder, ServiceTimeline};

impl Engine<'_> {
    pub(super) fn event(&mut self, kind: EventKind, service: Option<usize>, text: String) {
        let unix = self.unix();
        record_event(&mut self.recorder, unix, kind, self.scenario, service, text);
    }

    pub(super) fn record(&mut self, at: i64) {
        if let Some(recorder) = &mut self.recorder {
            for (place, spec) in self.scenario.world.services.iter().enumerate() {
                let truth = self.stage.world.truth(place);
                let mut forecast = None;
                if let Some(queue) = self.expected.get_mut(place) {
                    while queue.get(1).is_some_and(|(due, _)| *due <= at) {
                        queue.pop_front();
                    }
                    forecast = queue.front().filter(|(due, _)| *due <= at).map(|(_, it)| *it);
                }
                recorder.second(
                    place,
                    1,
                    &Moment {
                        load: truth.offered_rps,
                        forecast,
                        ready: truth.ready,
                        desired: truth.desired,
                        needed: truth.needed,
                        offered: truth.offered_rps,
                        good: truth.good_rps,
                        latency_p95_seconds: Some(truth.latency_p95_seconds),
                        cost_usd: f64::from(truth.current) * spec.unit_usd_per_hour / 3_600.0,
                    },
                );
            }
        }
        if self.settings.keeps_plan && self.plan.len() < PLAN_ROWS_MAX {
            let mut row = PlanRow { at: self.unix(), demand: 0, desired: 0, ready: 0 };
            let services = self.scenario.world.services.iter().enumerate();
            for (place, _) in services.filter(|(_, it)| it.is_scaled) {
                let truth = self.stage.world.truth(place);
                row.demand += truth.needed;
                row.desired += truth.desired;
                row.ready += truth.ready;
            }
            let is_new = self.plan.last().is_none_or(|it| PlanRow { at: row.at, ..*it } != row);
            if is_new {
                self.plan.push(row);
            }
        }
    }

    pub(super) fn finish(mut self, at: i64, is_partial: bool) -> RegionRun {
        let unix = self.unix();
        if let Driver::Agent(process, watch) = &mut self.driver {
            watch.check(unix, process, &mut self.violations);
            if !is_partial && process.is_alive() && 0 < process.n_underway() {
                self.trace.line(format_args!("{} effects underway", process.n_underway()));
            }
        }
        let totals = Totals::of(&self.stage.world);
        let first_fault = self.schedule.faults().iter().map(|it| it.from).min();
        if !is_partial {
            let cost_ratio = totals.cost_usd / totals.oracle_cost_usd.max(1e-9);
            self.verdict.end(
                unix,
                &self.stage.world,
                cost_ratio,
                self.monitor.first_page,
                first_fault,
                &mut self.violations,
            );
        }
        for it in &self.violations.list {
            let text = format!("{}: {}", it.invariant, it.what);
            record_event(
                &mut self.recorder,
                it.at,
                EventKind::Violation,
                self.scenario,
                None,
                text,
            );
        }
        if self.settings.keeps_plan {
            self.plan.extend(self.plan.last().map(|it| PlanRow { at: unix, ..*it }));
        }
        self.trace.line(format_args!("{:016x}", self.stage.world.fingerprint()));
        let (mttd_seconds, mttr_seconds) = self.monitor.incidents.means(at);
        let n_records = match &self.driver {
            Driver::Agent(process, _) => process.journal.n_records(),
            Driver::Pilot { .. } => 0,
        };
        let scorecard = totals.scorecard(harm::Facts {
            scenario: &self.scenario.name,
            seed: self.settings.seed,
            controller: self.settings.controller.to_string(),
            simulated_seconds: at + self.scenario.warm_up,
            capacity_changes: self.changes,
            pages: self.monitor.pages,
            mttd_seconds,
            mttr_seconds,
            violations: std::mem::take(&mut self.violations.list),
            partial: is_partial,
            trace_sha256: self.trace.finish(),
        });
        let timeline = self.recorder.map(Recorder::finish);
        RegionRun { scorecard, plan: self.plan, timeline, totals, n_records }
    }
}

pub(super) fn record_event(
    recorder: &mut Option<Recorder>,
    at: i64,
    kind: EventKind,
    scenario: &RegionScenario,
    service: Option<usize>,
    text: String,
) {
    if let Some(recorder) = recorder {
        let named = service.and_then(|it| scenario.world.services.get(it));
        let service = named.map_or_else(String::new, |it| it.name.clone());
        recorder.event(Event { at, kind, service, text });
    }
}

pub(super) fn empty_timelines(scenario: &RegionScenario) -> Vec<ServiceTimeline> {
    let services = scenario.world.services.iter().zip(scenario.world.unit_rps());
    services
        .map(|(it, unit_load)| ServiceTimeline {
            name: it.name.clone(),
            unit_load,
            objective_ratio: it.objective_ratio,
            unit_usd_per_hour: it.unit_usd_per_hour,
            bins: Vec::new(),
        })
        .collect()
}
