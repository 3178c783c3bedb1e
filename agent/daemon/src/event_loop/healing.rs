//! What becomes of runs, incidents and storms, for the log and the metrics.
//!
//! **In:** records that have become durable, and what the agent then remembers.
//! **Out:** one line per record of a run or an incident; a count per run that ended; an
//! error for what is stuck and for a storm.
//! **Not here:** gauges ([`crate::metrics`]), telling people (notices).

use std::collections::BTreeMap;

use evenkeel_core::heal::memory::{Healing, StormEvent};
use evenkeel_core::ids::{IncidentId, RunId};
use evenkeel_core::incident::IncidentEvent;
use evenkeel_core::record::Record;
use evenkeel_core::run::{Phase, Run};
use tracing::{error, info};

use crate::metrics::Metrics;

/// Which runs are not over, and the phase that was last heard of each.
///
/// Kept here, because a run can end by the report of an effect, whose record does not
/// name the run.
#[derive(Debug, Default)]
pub(crate) struct RunsWatch {
    phases: BTreeMap<RunId, &'static str>,
}

/// As [`Phase::name`] says it.
const ENDED: &str = "ended";

/// As [`Phase::name`] says it.
const STUCK: &str = "stuck";

impl RunsWatch {
    /// Runs from before this start are neither news nor forgotten.
    pub(crate) fn starting_with(healing: &Healing) -> RunsWatch {
        RunsWatch { phases: healing.active().map(|it| (it.id, it.phase.name())).collect() }
    }

    /// Takes in records that are durable and in force.
    pub(crate) fn take_in(&mut self, records: &[Record], healing: &Healing, metrics: &Metrics) {
        let mut concerns_runs = false;
        for record in records {
            concerns_runs |= tell(record, healing);
            if let Record::RunOpened { run, .. } = record {
                self.phases.insert(run.id, "");
            }
        }
        if !concerns_runs {
            return;
        }
        for id in self.news(healing) {
            let Some(run) = healing.run(id) else { continue };
            if let Phase::Ended { ending, .. } = &run.phase {
                metrics.count_run_ended(ending);
                tell_end(run, ending.name());
            } else if let Phase::Stuck { why, .. } = &run.phase {
                tell_stuck(run, why);
            }
        }
    }

    /// Runs that have ended or become stuck since the last time.
    fn news(&mut self, healing: &Healing) -> Vec<RunId> {
        let mut news = Vec::new();
        self.phases.retain(|id, phase| {
            let now = healing.run(*id).map_or(ENDED, |it| it.phase.name());
            if now != *phase && (now == ENDED || now == STUCK) {
                news.push(*id);
            }
            *phase = now;
            now != ENDED
        });
        news
    }
}

/// Logs a record of healing; whether it can have changed a run.
fn tell(record: &Record, healing: &Healing) -> bool {
    match record {
        Record::RunOpened { run, .. } => {
            tell_run("run_opened", run);
            true
        }
        Record::Run { id, change, .. } => {
            if let Some(run) = healing.run(*id) {
                tell_run(change.kind(), run);
            }
            true
        }
        Record::Incident { id, change, .. } => {
            tell_incident(*id, change, healing);
            false
        }
        Record::Storm { change, .. } => {
            tell_storm(change);
            false
        }
        Record::EffectFinished { .. } | Record::EffectReadBack { .. } => true,
        Record::TermStarted { .. }
        | Record::DocumentsAdopted { .. }
        | Record::TargetAdopted { .. }
        | Record::OverrideAccepted { .. }
        | Record::OverrideEnded { .. }
        | Record::BreakGlassEngaged { .. }
        | Record::BreakGlassReleased { .. }
        | Record::EffectPlanned { .. }
        | Record::ChangedOutside { .. }
        | Record::LeadTimeMeasured { .. }
        | Record::LeadTimeMissed { .. }
        | Record::ForecastPromoted { .. }
        | Record::ForecastDemoted { .. }
        | Record::Autonomy { .. }
        | Record::NoticeRaised { .. }
        | Record::NoticeEnded { .. }
        | Record::OverrideEndAnnounced { .. }
        | Record::HandedBack { .. }
        | Record::LeftToPeople { .. }
        | Record::Reviewed { .. }
        | Record::ReviewOverdue { .. }
        | Record::Budget { .. }
        | Record::SloAlert { .. }
        | Record::Reconciled { .. }
        | Record::RequestRefused { .. }
        | Record::Snapshot { .. } => false,
    }
}

/// A number that may be missing, as a field of a log line.
fn shown(id: Option<IncidentId>) -> String {
    id.map(|it| it.to_string()).unwrap_or_default()
}

fn tell_run(event: &'static str, run: &Run) {
    let Run { id, playbook, target, incident, phase, .. } = run;
    info!(
        event, run_id = %id, %playbook, target_id = %target,
        incident_id = shown(*incident), phase = phase.name(), "run"
    );
}

fn tell_end(run: &Run, ending: &'static str) {
    let Run { id, playbook, target, incident, .. } = run;
    info!(
        run_id = %id, %playbook, target_id = %target, incident_id = shown(*incident),
        phase = "ended", ending, "run ended"
    );
}

fn tell_stuck(run: &Run, why: &str) {
    let Run { id, playbook, target, incident, .. } = run;
    error!(
        run_id = %id, %playbook, target_id = %target, incident_id = shown(*incident),
        phase = "stuck", why, "run stuck"
    );
}

fn tell_incident(id: IncidentId, change: &IncidentEvent, healing: &Healing) {
    let event = change.kind();
    let severity = healing.incident(id).map(|it| it.severity.to_string()).unwrap_or_default();
    match change {
        IncidentEvent::Opened { symptom, .. }
        | IncidentEvent::SymptomSeen { symptom, .. }
        | IncidentEvent::Reopened { symptom } => info!(
            event, incident_id = %id, severity, playbook = %symptom.playbook,
            target_id = %symptom.target, "incident"
        ),
        IncidentEvent::SymptomEnded { playbook, target } => {
            info!(event, incident_id = %id, severity, %playbook, target_id = %target, "incident");
        }
        IncidentEvent::Acknowledged { .. }
        | IncidentEvent::Escalated
        | IncidentEvent::Waiting { .. }
        | IncidentEvent::Resolved => info!(event, incident_id = %id, severity, "incident"),
    }
}

fn tell_storm(change: &StormEvent) {
    match change {
        StormEvent::Began { why } => error!(why, "storm began"),
        StormEvent::GoesOn { why } => error!(why, "storm goes on"),
        StormEvent::Ended => info!("storm ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::documents::Autonomy;
    use evenkeel_core::ids::{PlaybookId, TargetId};
    use evenkeel_core::run::{RunCause, RunEvent};
    use evenkeel_core::state::State;
    use jiff::Timestamp;

    fn target() -> TargetId {
        TargetId::new("web").unwrap()
    }

    fn opened(id: u64) -> Record {
        let at = Timestamp::UNIX_EPOCH;
        let run = Run {
            id: RunId(id),
            playbook: PlaybookId::new("gray-node").unwrap(),
            playbook_sha256: String::new(),
            target: target(),
            incident: None,
            cause: RunCause::Scheduled,
            parameters: BTreeMap::new(),
            is_dry: false,
            autonomy: Autonomy::Auto,
            opened_at: at,
            phase: Phase::Planning { since: at },
            plan: None,
            n_plans: 0,
            approvals: Vec::new(),
            passed: Vec::new(),
            befores: BTreeMap::new(),
            touched: Vec::new(),
            n_sent: BTreeMap::new(),
            n_undos_sent: BTreeMap::new(),
            aborted: None,
        };
        Record::RunOpened { at, run: Box::new(run) }
    }

    fn refused(id: u64) -> Record {
        let change = RunEvent::Refused { why: "not now".to_owned() };
        Record::Run { at: Timestamp::UNIX_EPOCH, id: RunId(id), target: target(), change }
    }

    fn n_refused(metrics: &Metrics) -> String {
        let text = metrics.text().unwrap();
        let line = text.lines().find(|it| it.contains("ending=\"refused\"")).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    }

    #[test]
    fn each_run_is_counted_once_as_it_ends_also_one_from_before_the_start() {
        let (mut state, metrics) = (State::default(), Metrics::new("1.2.3"));
        state.apply(&opened(1));
        let mut watch = RunsWatch::starting_with(state.healing());
        let mut commit = |records: &[Record], expected: &str| {
            for record in records {
                state.apply(record);
            }
            watch.take_in(records, state.healing(), &metrics);
            assert_eq!(n_refused(&metrics), expected, "{records:?}");
        };
        commit(&[opened(2)], "0");
        commit(&[refused(1)], "1");
        // What cannot happen to a run that is over happens to nobody.
        commit(&[refused(1)], "1");
        commit(&[opened(3), refused(3)], "2");
        commit(&[refused(2)], "3");
        assert!(watch.phases.is_empty());
    }
}
