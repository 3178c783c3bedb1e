//! The agent as a whole, against a made-up world: no clock, no network, no disk.
//!
//! **In:** inputs at times that the tests choose.
//! **Out:** what the agent promises, checked on whole streams of inputs.
//! **Not here:** documents as text (`tests/documents.rs`), the repository's
//! shape (`tests/tidy.rs`).

mod audit;
mod blast_radius;
mod commit;
mod explain;
mod foresight;
mod lead_time;
mod matrix;
mod outside;
mod overrides;
mod refusals;
mod region;
mod replay;
mod rig;
mod safety;
mod scaling;
mod selectors;
mod stream;
