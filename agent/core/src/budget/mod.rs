//! Budgets: of errors and of money, what they lead to, and who wins where they disagree.
//!
//! **In:** what SLOs and spend have counted; documents.
//! **Out:** thresholds crossed and cleared, constraints in force, rulings.
//! **Not here:** counting ([`crate::slo`], [`crate::spend`]), acting (playbooks), what a
//! constraint forbids at last ([`crate::guard`]).

pub mod arbiter;
pub mod exhaustion;
pub mod figures;
pub(crate) mod inputs;
pub mod kept;
pub mod memory;
pub(crate) mod notices;
pub mod report;
pub mod sight;
pub mod wanted;
pub(crate) mod watch;
