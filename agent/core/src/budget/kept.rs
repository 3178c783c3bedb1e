//! What the shell keeps of budgets beside the journal, so that a restart loses no count.
//!
//! **In and out:** [`BudgetsKept`], as JSON in a file of its own.
//! **Not here:** the file (the shell's), what must not be lost under any circumstances
//! ([`super::memory`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SloId;
use crate::slo::ledger::Ledger;
use crate::spend::meter::SpendMemory;

/// Counts of windows that are longer than what a metrics backend may still have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetsKept {
    /// When this was written.
    pub at: Timestamp,
    /// The ledgers of SLOs.
    pub slos: Vec<KeptLedger>,
    /// Money.
    #[serde(default)]
    pub spend: Option<SpendMemory>,
}

/// The ledger of one objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptLedger {
    /// Which SLO.
    pub slo: SloId,
    /// Which of its objectives, from 0.
    pub objective: usize,
    /// What it counted and how: of another indicator, window or slice it is not taken up.
    pub fingerprint: String,
    /// The ledger.
    pub ledger: Ledger,
}
