//! The journal from outside: what it keeps, what it refuses, and what it finds.
//!
//! **In:** the public API, and SQLite behind its back to tamper with files.
//! **Out:** one module per promise.
//! **Not here:** speed (see `benches/append.rs`).

#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod crash;
mod faults;
mod full;
mod open;
mod reading;
mod retention;
mod support;
mod tampering;
mod writing;
