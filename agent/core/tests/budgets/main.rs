//! Budgets in the agent: from readings to facts, to what the guard allows, to what people
//! and playbooks see.
//!
//! **In:** documents, made-up slots and loads.
//! **Out:** records, notices, explanations, reports.
//! **Not here:** the arithmetic of windows, spend and exhaustion (the neighbouring tests).

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test is about some variants")]

mod arbiter;
mod facts;
mod increments;
mod people;
mod rig;
