//! When healing is asked, and in which rounds it answers.
//!
//! **In:** an input, and what it may have changed for runs and incidents.
//! **Out:** more records and effects of the same outcome.
//! **Not here:** what is decided ([`crate::heal`]).
//!
//! One round does at most one thing per run; its records are applied before the next, so
//! that every step is decided on the state that the one before it led to.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Agent, Input, Outcome, tightens_the_ledger};
use crate::blast_radius::Ledger;
use crate::heal::notices;
use crate::heal::ward::Ward;
use crate::ids::{Actor, PlaybookId, RunId, TargetId};
use crate::record::Record;
use crate::run::RunEvent;
use crate::spend::reconcile::Reconciliation;
use crate::state::State;

/// Rounds per input at most. Why 64: a plan of 32 steps that are all done already takes one
/// each; whatever is left goes on with the next input.
const ROUNDS_MAX: usize = 64;

/// The first round that begins or goes on with runs. Why 2: symptoms and storms come first,
/// each on what the one before found.
const ACTING: usize = 2;

/// What an input may have changed.
#[derive(Debug, Default)]
pub(super) struct Stir {
    /// What was just observed.
    observed: BTreeSet<(PlaybookId, TargetId)>,
    /// Runs that may go on.
    runs: BTreeSet<RunId>,
    /// Whether anything may have: time, documents or a person's word.
    everything: bool,
    /// Whether notices can be delivered, when that was checked.
    notifier: Option<Option<String>>,
    /// Whether the numbers of budgets are new.
    budgets: bool,
    /// How a bill compares with what was metered.
    bill: Option<(String, Reconciliation)>,
    /// Differences that Terraform found.
    drift: Option<(String, Vec<String>)>,
}

impl Stir {
    /// Whether incidents and what is due are to be looked at.
    fn is_about_all(&self) -> bool {
        !self.observed.is_empty() || self.everything || self.notifier.is_some()
    }
}

impl Agent {
    /// What `input` may change, before it is taken in.
    pub(super) fn stirred_by(&self, now: Timestamp, input: &Input) -> Stir {
        let healing = self.state.healing();
        let mut stir = Stir::default();
        match input {
            Input::PlaybooksObserved(observations) => {
                for it in observations {
                    stir.observed.insert((it.playbook.clone(), it.target.clone()));
                    let run = healing.active_on(&it.target);
                    stir.runs.extend(run.filter(|run| run.playbook == it.playbook).map(|it| it.id));
                }
            }
            Input::Observed(observations) => {
                let runs = observations.iter().filter_map(|it| healing.active_on(&it.target));
                stir.runs.extend(runs.map(|it| it.id));
            }
            Input::Looked { run, .. } => {
                stir.runs.insert(*run);
            }
            Input::EffectFinished { id, .. } => {
                stir.runs.extend(healing.run_of_effect(*id).map(|it| it.id));
            }
            Input::NotifierChecked { trouble } => stir.notifier = Some(trouble.clone()),
            Input::DriftFound { workspace, differences } => {
                stir.drift = Some((workspace.to_string(), differences.clone()));
            }
            Input::Started { .. }
            | Input::DocumentsLoaded(_)
            | Input::Requested(_)
            | Input::BreakGlassRead(_)
            | Input::TimePassed => stir.everything = true,
            Input::SlisRead(_) | Input::SpendRead(_) => stir.budgets = true,
            Input::BillRead { source, rows } => {
                stir.bill = Some((source.clone(), self.compare_bill(now, rows)));
            }
            Input::BudgetsRecalled(_)
            | Input::ShortfallsRecalled(_)
            | Input::NoticeFinished { .. }
            | Input::SnapshotWanted => {}
        }
        stir
    }

    /// Lets healing answer what was stirred.
    pub(super) fn heal(
        &mut self,
        now: Timestamp,
        stir: Stir,
        ledger: &mut Option<Ledger>,
        outcome: &mut Outcome,
    ) {
        let left = self.leave_to_people(now, &outcome.records);
        let mut runs = stir.runs.clone();
        if stir.everything {
            runs.extend(self.state.healing().active().map(|it| it.id));
        }
        self.take_in(left, ledger, outcome);
        // After a start the documents come later: until then no target is gone, it is only
        // not known yet.
        let has_documents = !self.documents.sha256.is_empty();
        let mut views = std::mem::take(&mut self.views);
        let mut budgets = std::mem::take(&mut self.budgets);
        for round in 0..ROUNDS_MAX {
            let mut ward =
                Ward::new(now, &self.documents, &self.state, &self.sight, &mut views, ledger);
            match round {
                0 => {
                    begin(&mut ward, &stir);
                    if has_documents && (stir.budgets || stir.everything) {
                        ward.watch_budgets(&mut budgets);
                    }
                    if let Some((source, compared)) = &stir.bill {
                        ward.note_bill(source, compared);
                        budgets.bill_drift_ratio = compared.total.drift_ratio;
                    }
                }
                // On incidents as they are with what was just seen: a storm must be known
                // before anything is done about any one of them.
                1 if !stir.observed.is_empty() => ward.note_storm(),
                ACTING if stir.is_about_all() && has_documents => {
                    ward.resolve_incidents();
                    ward.open_runs();
                }
                _ => (),
            }
            if ACTING <= round && has_documents {
                for id in &runs {
                    if let Some(run) = self.state.healing().run(*id) {
                        ward.advance(run);
                    }
                }
            }
            ward.report_runs();
            let Ward { records, effects, .. } = ward;
            outcome.effects.extend(effects);
            if records.is_empty() && ACTING < round {
                break;
            }
            if ACTING <= round {
                runs.clear();
            }
            runs.extend(records.iter().filter_map(|it| run_of(&self.state, it)));
            self.take_in(records, ledger, outcome);
        }
        self.views = views;
        self.budgets = budgets;
    }

    fn take_in(
        &mut self,
        records: Vec<Record>,
        ledger: &mut Option<Ledger>,
        outcome: &mut Outcome,
    ) {
        if records.iter().any(tightens_the_ledger) {
            *ledger = None;
        }
        for record in &records {
            self.state.apply(record);
        }
        outcome.records.extend(records);
    }

    /// Somebody changed a target while a run was on it: that is a takeover without a word.
    /// The run ends as it is, and only suggests there until somebody hands it back.
    fn leave_to_people(&self, now: Timestamp, records: &[Record]) -> Vec<Record> {
        let mut left = Vec::new();
        for record in records {
            let Record::ChangedOutside { target, expected, current, .. } = record else { continue };
            let Some(run) = self.state.healing().active_on(target) else { continue };
            let Ok(actor) = Actor::new("somebody-outside") else { continue };
            let why = format!("capacity was changed outside of Evenkeel, {expected} -> {current}");
            let (target, change) = (target.clone(), RunEvent::TakenOver { actor });
            left.push(Record::Run { at: now, id: run.id, target: target.clone(), change });
            left.push(Record::LeftToPeople { at: now, target, why });
        }
        left
    }
}

/// What is not about one run.
fn begin(ward: &mut Ward<'_>, stir: &Stir) {
    if let Some(trouble) = &stir.notifier {
        ward.note_notifier(trouble.as_deref());
    }
    if let Some((workspace, differences)) = &stir.drift {
        ward.raise(notices::drift(workspace, differences));
    }
    if !stir.observed.is_empty() {
        ward.note_symptoms(&stir.observed);
    }
    if stir.is_about_all() {
        ward.take_care();
    }
}

/// The run that a record is about, when it may go on at once.
fn run_of(state: &State, record: &Record) -> Option<RunId> {
    match record {
        Record::RunOpened { run, .. } => Some(run.id),
        Record::Run { id, .. } => Some(*id),
        Record::EffectFinished { id, .. } => state.healing().run_of_effect(*id).map(|it| it.id),
        Record::TermStarted { .. }
        | Record::DocumentsAdopted { .. }
        | Record::TargetAdopted { .. }
        | Record::OverrideAccepted { .. }
        | Record::OverrideEnded { .. }
        | Record::BreakGlassEngaged { .. }
        | Record::BreakGlassReleased { .. }
        | Record::EffectPlanned { .. }
        | Record::EffectReadBack { .. }
        | Record::ChangedOutside { .. }
        | Record::LeadTimeMeasured { .. }
        | Record::LeadTimeMissed { .. }
        | Record::ForecastPromoted { .. }
        | Record::ForecastDemoted { .. }
        | Record::Incident { .. }
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
        | Record::Snapshot { .. } => None,
    }
}
