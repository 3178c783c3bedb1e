//! Healing at work in the agent's process: acts, looks, notices, and what playbooks see.
//!
//! **In:** effects that are due. **Out:** calls to the region's actuators, what the agent hears
//! of them, and [`Happened`] for whoever watches.
//! **Not here:** changes of capacity and the process' life ([`super`]).

use evenkeel_core::action::{Action, Seen};
use evenkeel_core::agent::Input;
use evenkeel_core::effect::{EffectOutcome, Look};
use evenkeel_core::heal::memory::show_ending;
use evenkeel_core::heal::view::PlaybookObservation;
use evenkeel_core::ids::{InstanceName, RunId};
use evenkeel_core::incident::{IncidentEvent, Severity};
use evenkeel_core::notice::{Delivery, Notice};
use evenkeel_core::record::Record;
use evenkeel_core::run::{Ending, Phase, Run};

use super::{Happened, Process, Told};
use crate::capacity::Trace;
use crate::exporter::INSTANCES_MAX;
use crate::fault::DeathPoint;
use crate::provider::Answer;
use crate::run::Stage;
use crate::run::effects::{Left, Sent, Underway};
use crate::world::UnitSeen;

/// Seconds between two tries to deliver a notice. Why 15: as often as the agent looks.
const RETRY_SECONDS: i64 = 15;

/// How long nothing is delivered before the agent is told so. Why 5 min: what the daemon waits.
const TROUBLE_SECONDS: i64 = 300;

impl Process {
    /// An act leaves.
    pub(super) fn begin_act(&mut self, at: i64, sent: Sent, stage: &mut Stage, trace: &mut Trace) {
        let Some(service) = self.service_of(&sent.target) else { return };
        let units = stage.world.units(service, INSTANCES_MAX);
        let touched = touched(&sent.action);
        let is_touched = |unit: &UnitSeen| {
            let name = stage.world.unit_name(service, unit.id);
            touched.iter().any(|it| it.as_str() == name)
        };
        let is_out = |it: &UnitSeen| !it.is_ready || it.is_drained || it.weight == 0;
        let counted = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let n_units = counted(units.len());
        let n_out_before = counted(units.iter().filter(|it| is_out(it)).count());
        let n_out = counted(units.iter().filter(|it| is_out(it) || is_touched(it)).count());
        let Stage { world, provider, actuators, .. } = stage;
        let reply = actuators.act(world, provider, service, sent.id, &sent.action);
        let (outcome, detail) = match reply.answer {
            Answer::Done => (EffectOutcome::Done, String::new()),
            Answer::Rejected(why) => (EffectOutcome::Rejected, why),
            Answer::Unknown(why) => (EffectOutcome::Unknown, why),
        };
        trace.line(format_args!("{at} {} {}: {outcome}", sent.target, sent.action));
        let ends_at = at + (reply.answered_at - stage.world.second()).max(0);
        self.underway.push_back(Underway::Running { ends_at, id: sent.id, outcome, detail });
        let left = Left { sent, outcome, n_units, n_out_before, n_out };
        self.happened.push(Happened::Acted(Box::new(left)));
        if self.death == Some(DeathPoint::AfterEffect) {
            self.die(true, trace);
        }
    }

    /// Somebody has looked.
    pub(super) fn answer_look(
        &mut self,
        at: i64,
        look: &Look,
        stage: &mut Stage,
        trace: &mut Trace,
    ) {
        let result: Result<Seen, String> = match self.service_of(&look.target) {
            None => Err(format!("target `{}` is not in the region", look.target)),
            Some(service) => {
                let Stage { world, provider, actuators, .. } = stage;
                actuators.look(world, provider, service, &look.at)
            }
        };
        let now = self.now(stage);
        let (run, step) = (look.run, look.step);
        self.handle(at, now, Input::Looked { run, step, result }, trace);
    }

    /// A notice goes out, or is tried again later.
    pub(super) fn tell(&mut self, at: i64, notice: Box<Notice>, stage: &Stage, trace: &mut Trace) {
        if !stage.pager_works {
            self.silent_since = self.silent_since.or(Some(at));
            let tried_at = at + RETRY_SECONDS;
            self.underway.push_back(Underway::Telling { tried_at, notice });
            return;
        }
        trace.line(format_args!("{at} {}: {}", notice.severity, notice.title));
        self.happened.push(Happened::Told(Told {
            target: notice.target.clone(),
            is_page: notice.severity == Severity::Page,
            title: notice.title.clone(),
        }));
        let now = self.now(stage);
        let (id, delivery) = (notice.id, Delivery::Delivered);
        self.handle(at, now, Input::NoticeFinished { id, delivery }, trace);
    }

    /// What playbooks see, and whether people can be told anything.
    pub(super) fn look_for_playbooks(&mut self, at: i64, stage: &mut Stage, trace: &mut Trace) {
        if self.playbooks.is_empty() || self.agent.is_none() {
            return;
        }
        let now = self.now(stage);
        let mut observed: Vec<PlaybookObservation> =
            self.playbooks.iter().map(|it| it.observe(now, stage)).collect();
        if let Some(agent) = &self.agent {
            self.anomalies.apply(agent.documents(), &mut observed);
        }
        self.handle(at, now, Input::PlaybooksObserved(observed), trace);
        if stage.pager_works {
            self.silent_since = None;
        }
        let is_silent = self.silent_since.is_some_and(|since| TROUBLE_SECONDS <= at - since);
        if is_silent != self.is_known_silent && self.agent.is_some() {
            self.is_known_silent = is_silent;
            let trouble = is_silent.then(|| "no channel takes anything".to_owned());
            self.handle(at, now, Input::NotifierChecked { trouble }, trace);
        }
    }

    /// What a batch of durable records says of incidents and runs. Called when they are applied.
    pub(super) fn note_healing(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Incident { id, change, .. } => {
                    let (text, target) = match change {
                        IncidentEvent::Opened { symptom, severity } => {
                            let what = &symptom.what;
                            (format!("{id} opened ({severity}): {what}"), Some(&symptom.target))
                        }
                        IncidentEvent::Reopened { symptom } => {
                            (format!("{id} came back: {}", symptom.what), Some(&symptom.target))
                        }
                        IncidentEvent::Resolved => (format!("{id} resolved"), None),
                        IncidentEvent::SymptomSeen { .. }
                        | IncidentEvent::SymptomEnded { .. }
                        | IncidentEvent::Acknowledged { .. }
                        | IncidentEvent::Escalated
                        | IncidentEvent::Waiting { .. } => continue,
                    };
                    let is_open = !matches!(change, IncidentEvent::Resolved);
                    let target = target.cloned();
                    self.happened.push(Happened::Incident { is_open, target, text });
                }
                Record::RunOpened { run, .. } => {
                    let text = format!("{} of {} begins", run.id, run.playbook);
                    let target = run.target.clone();
                    self.open_runs.insert(run.id);
                    self.happened.push(Happened::Run { target, text, healed: None });
                }
                Record::TermStarted { .. }
                | Record::DocumentsAdopted { .. }
                | Record::TargetAdopted { .. }
                | Record::OverrideAccepted { .. }
                | Record::OverrideEnded { .. }
                | Record::BreakGlassEngaged { .. }
                | Record::BreakGlassReleased { .. }
                | Record::EffectPlanned { .. }
                | Record::EffectFinished { .. }
                | Record::EffectReadBack { .. }
                | Record::ChangedOutside { .. }
                | Record::LeadTimeMeasured { .. }
                | Record::LeadTimeMissed { .. }
                | Record::ForecastPromoted { .. }
                | Record::ForecastDemoted { .. }
                | Record::Run { .. }
                | Record::Storm { .. }
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
                | Record::Snapshot { .. } => (),
            }
        }
        self.note_ends();
    }

    /// Runs that are over since the last time.
    fn note_ends(&mut self) {
        let healing = self.journal.state().healing();
        let over: Vec<(RunId, Option<&Run>)> = self
            .open_runs
            .iter()
            .map(|id| (*id, healing.run(*id)))
            .filter(|(_, run)| run.is_none_or(|it| matches!(it.phase, Phase::Ended { .. })))
            .collect();
        let ended: Vec<RunId> = over.iter().map(|(id, _)| *id).collect();
        for run in over.into_iter().filter_map(|(_, run)| run) {
            let Phase::Ended { ending, .. } = &run.phase else { continue };
            let healed = matches!(ending, Ending::Succeeded).then(|| run.playbook.clone());
            let text = format!("{} of {}: {}", run.id, run.playbook, show_ending(ending));
            self.happened.push(Happened::Run { target: run.target.clone(), text, healed });
        }
        self.open_runs.retain(|it| !ended.contains(it));
    }
}

/// Units that an action takes out of service.
fn touched(action: &Action) -> Vec<&InstanceName> {
    match action {
        Action::RestartInstances { instances }
        | Action::ReplaceInstances { instances }
        | Action::SetDrained { instances, is_drained: true } => instances.iter().collect(),
        Action::SetWeights { weights } => {
            weights.iter().filter(|(_, weight)| **weight == 0).map(|(name, _)| name).collect()
        }
        Action::SetDrained { is_drained: false, .. }
        | Action::SetCapacity { .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => Vec::new(),
    }
}
