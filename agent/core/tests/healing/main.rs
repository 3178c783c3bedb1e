//! Playbooks that heal, from trigger to verification, with people and crashes in between.
//!
//! **In:** documents, made-up readings, a made-up platform, people's words, crashes.
//! **Out:** what the agent did, said and wrote down.
//! **Not here:** real platforms (the daemon's tests), the simulated region.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test is about some variants")]

mod approvals;
mod autonomy;
mod flow;
mod incidents;
mod invariants;
mod invariants_from_13;
mod kills;
mod kit;
mod properties;
mod rig;
mod table;
mod tenants;
