//! Error budgets: counts, verdicts and rules, against plain calculations.
//!
//! **In:** made-up counters with incidents, gaps, resets and late samples.
//! **Out:** the first instant at which the agent and a plain calculation disagree.
//! **Not here:** Prometheus' own evaluation of the rules (`evenkeel-testbed`).

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test is about some variants")]
#![expect(clippy::float_cmp, reason = "whole numbers, on purpose")]
mod equal;
mod kit;
mod meters;
mod outage;
mod plain;
mod quiet;
mod rules;
