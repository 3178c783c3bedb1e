//! Whole commands: arguments in; exit status, stdout and stderr out.
//!
//! **In:** the built `evenkeel`, files in temporary directories, and an agent whose
//! answers are written down here.
//! **Out:** snapshots of what people and programs see.
//! **Not here:** a real daemon (see the end-to-end test of `evenkeel-daemon`).

mod agent;
mod audit;
mod bills;
mod budgets;
mod check;
mod command;
mod detect;
mod failures;
mod forecast;
mod healing;
mod interrupted;
mod overrides;
mod playbook;
mod reading;
mod region;
mod replay;
mod runbooks;
mod secrets;
mod simulate;
mod usage;
