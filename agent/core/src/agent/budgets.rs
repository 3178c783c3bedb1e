//! What readings of SLOs and money do to the agent.
//!
//! **In:** slots, prices, usage, bills, and what was kept from before a restart.
//! **Out:** counts; records and notices where something is crossed, fires or differs.
//! **Not here:** the arithmetic ([`crate::slo`], [`crate::spend`], [`crate::budget`]).

use jiff::Timestamp;

use super::Agent;
use crate::budget::inputs;
use crate::budget::kept::BudgetsKept;
use crate::budget::sight::BudgetSight;
use crate::budget::wanted::SliWanted;
use crate::heal::view::PlaybookObservation;
use crate::heal::ward::capacity_of;
use crate::slo::SliReading;
use crate::spend::SpendReading;
use crate::spend::focus::FocusRow;
use crate::spend::money::Currency;
use crate::spend::reconcile::{Reconciliation, reconcile};

impl Agent {
    /// What is to be read for SLOs at `now`.
    pub fn slis_wanted(&self, now: Timestamp) -> Vec<SliWanted> {
        self.budgets.wanted(now)
    }

    /// What the shell shall keep of budgets beside the journal.
    pub fn budgets_kept(&self, now: Timestamp) -> BudgetsKept {
        self.budgets.kept(now)
    }

    /// What is counted for SLOs and money.
    pub fn budgets(&self) -> &BudgetSight {
        &self.budgets
    }

    pub(super) fn observe_slis(&mut self, now: Timestamp, readings: &[SliReading]) {
        self.budgets.observe_slis(now, readings);
        self.budgets.refresh_exhaustions(now, &self.documents);
    }

    pub(super) fn observe_spend(&mut self, now: Timestamp, reading: &SpendReading) {
        let (state, sight) = (&self.state, &self.sight);
        let current = |id: &crate::ids::TargetId| capacity_of(state, sight, id).0;
        self.budgets.observe_spend(now, &self.documents, current, reading);
        self.budgets.refresh_exhaustions(now, &self.documents);
        self.views.set_tenants(self.budgets.tenant_standings(&self.documents));
    }

    pub(super) fn compare_bill(&self, now: Timestamp, rows: &[FocusRow]) -> Reconciliation {
        let book = self.documents.economy().price_book.as_ref();
        let currency = book.map_or(Currency::USD, |it| it.currency);
        reconcile(now, self.budgets.spend.days(), rows, currency)
    }

    /// An observation with the readings of budgets that its playbook asks for.
    pub(super) fn with_budgets(
        &self,
        now: Timestamp,
        observation: &PlaybookObservation,
    ) -> PlaybookObservation {
        inputs::fill(now, &self.documents, &self.state, &self.budgets, observation)
    }
}
