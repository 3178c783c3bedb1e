//! Facts about budgets, in the same rounds and with the same notices as everything else.
//!
//! **In:** what is counted, how a bill compares with it.
//! **Out:** records and notices.
//! **Not here:** what is a fact ([`crate::budget::watch`]), comparing a bill
//! ([`crate::spend::reconcile`]).

use crate::budget::notices;
use crate::budget::sight::BudgetSight;
use crate::budget::watch::watch;
use crate::heal::ward::Ward;
use crate::record::Record;
use crate::spend::reconcile::Reconciliation;

impl Ward<'_> {
    /// Notes thresholds that are crossed or cleared, and alerts that begin or end.
    pub(crate) fn watch_budgets(&mut self, sight: &mut BudgetSight) {
        let watched = watch(self.now, self.documents, self.state.budgets(), sight);
        self.records.extend(watched.records);
        for notice in watched.notices {
            self.raise(notice);
        }
    }

    /// Notes how a bill compares with what was metered; a drift is told.
    pub(crate) fn note_bill(&mut self, source: &str, compared: &Reconciliation) {
        let drift_ratio = compared.total.drift_ratio.unwrap_or_default();
        let mut differences: Vec<String> = compared
            .drifts()
            .into_iter()
            .map(|(service, it)| format!("{service}: metered {}, billed {}", it.metered, it.billed))
            .collect();
        if compared.total.is_drift || !differences.is_empty() {
            self.raise(notices::bill_drifts(source, drift_ratio, &differences));
        }
        if compared.n_days == 0 {
            differences.push("no day of it was metered as a whole".to_owned());
        }
        for (currency, n_rows) in &compared.n_refused {
            differences.push(format!("{n_rows} rows in {currency} are in no sum"));
        }
        let (at, source) = (self.now, source.to_owned());
        self.records.push(Record::Reconciled { at, source, drift_ratio, differences });
    }
}
