//! Budgets at work in the agent's process: what is read for them, and what is kept of them.
//!
//! **In:** a second in which a slot has just ended. **Out:** inputs of the agent; of its durable
//! records those about SLOs and budgets, as [`Happened`].
//! **Not here:** the readings ([`crate::run::senses::budgets`]), what follows from them
//! (`evenkeel-core`).

use evenkeel_core::agent::{Agent, Input};
use evenkeel_core::budget::memory::{BudgetEvent, SloAlertEvent};
use evenkeel_core::record::Record;

use super::{Happened, Process};
use crate::capacity::Trace;
use crate::run::Stage;
use crate::run::senses::budgets;

/// Seconds from reading to reading: a slot.
const PERIOD_SECONDS: i64 = 30;

/// How long after the end of a slot it is read. Why 5 s: a scrape is usually seen after two.
const AFTER_SECONDS: i64 = 5;

/// How often what must outlast the process is put away, in seconds. Why 5 min: as the daemon.
const KEPT_EVERY_SECONDS: i64 = 300;

impl Process {
    /// Reads SLOs and spend when a slot has ended.
    pub(in crate::run) fn look_at_budgets(&mut self, at: i64, stage: &Stage, trace: &mut Trace) {
        let unix = stage.world.now().as_second();
        if !self.has_budgets || unix.rem_euclid(PERIOD_SECONDS) != AFTER_SECONDS {
            return;
        }
        let now = self.now(stage);
        let Some(wanted) = self.agent.as_ref().map(|it| it.slis_wanted(now)) else { return };
        let readings = budgets::read_slis(&self.documents, stage, &wanted);
        self.handle(at, now, Input::SlisRead(readings), trace);
        let spend = budgets::read_spend(&self.documents, now, stage);
        self.handle(at, now, Input::SpendRead(Box::new(spend)), trace);
        if unix.rem_euclid(KEPT_EVERY_SECONDS) == AFTER_SECONDS {
            self.kept = self.agent.as_ref().map(|it: &Agent| it.budgets_kept(now));
        }
    }

    /// What was put away before the process died is there again.
    pub(super) fn recall_budgets(&mut self, at: i64, stage: &Stage, trace: &mut Trace) {
        if let Some(kept) = self.kept.clone() {
            let now = self.now(stage);
            self.handle(at, now, Input::BudgetsRecalled(Box::new(kept)), trace);
        }
    }

    /// What a batch of durable records says of SLOs and budgets.
    pub(super) fn note_budgets(&mut self, records: &[Record]) {
        for record in records {
            if let Record::Budget { budget, threshold, change, .. } = record {
                let text = match change {
                    BudgetEvent::Crossed { why, .. } => {
                        format!("budget {budget}: {threshold} is crossed: {why}")
                    }
                    BudgetEvent::Cleared { why } => {
                        format!("budget {budget}: {threshold} is over: {why}")
                    }
                };
                self.happened.push(Happened::Budget { text });
            } else if let Record::SloAlert { slo, policy, change, .. } = record {
                let (fires, what) = match change {
                    SloAlertEvent::Fired { severity, why } => {
                        (Some(*severity), format!("fires: {why}"))
                    }
                    SloAlertEvent::NoData { .. } => (None, "has no data".to_owned()),
                    SloAlertEvent::Resolved { .. } => (None, "is over".to_owned()),
                };
                let text = format!("SLO {slo}: {policy} {what}");
                let slo = slo.as_str().to_owned();
                self.happened.push(Happened::SloAlert { slo, fires, text });
            }
        }
    }
}
