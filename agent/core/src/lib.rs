//! Pure decision core of the Evenkeel agent.
//!
//! **In:** inputs and a time ([`agent::Agent::handle`]).
//! **Out:** records, effects, explanations and answers ([`agent::Outcome`]).
//! **Not here:** clocks, files, sockets, entropy; those are the shell's
//! (`evenkeel-daemon`) or the simulator's.

pub mod action;
pub mod agent;
pub mod api;
pub mod autonomy;
pub mod blast_radius;
pub mod budget;
pub mod condition;
pub mod decide;
pub mod documents;
pub mod effect;
mod evaluate;
pub mod explain;
pub mod explanations;
pub mod foresight;
pub mod guard;
pub mod heal;
pub mod ids;
pub mod incident;
pub mod lead_time;
pub mod look_back;
pub mod notice;
pub mod outlook;
pub mod overrides;
pub mod plan_ahead;
pub mod quality;
pub mod record;
pub mod request;
pub mod run;
pub mod sight;
pub mod slo;
pub mod spend;
pub mod state;
pub mod status;
pub mod sudden_drop;
pub mod units;
