//! Money: rates, sums, tenants, runaways and bills, against plain calculations.
//!
//! **In:** rates and readings that the tests make up.
//! **Out:** what [`evenkeel_core::spend`] promises.
//! **Not here:** documents as text (`tests/documents.rs`).

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bill;
mod kit;
mod meters;
mod rates;
mod runaway;
mod tenants;
