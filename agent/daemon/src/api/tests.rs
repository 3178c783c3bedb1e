//! The API over real sockets, against a loop that owns a real agent and journal.
//!
//! **In:** requests as `evenkeel` sends them.
//! **Out:** status codes, bodies, what is left on disk and in the log.
//! **Not here:** decisions (the core's tests), the real loop (`tests/end_to_end.rs`).

mod access;
mod alerts;
mod budgets;
mod healing;
mod limits;
mod reads;
mod sockets;
mod stage;
mod verbs;
