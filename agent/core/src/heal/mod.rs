//! Healing: from what playbooks see to incidents, runs and words to people.
//!
//! **In:** observations of playbooks' inputs, looks at actuators, people's words, time.
//! **Out:** records, effects and notices, through [`crate::agent::Agent::handle`] like
//! everything else.
//! **Not here:** the language of conditions ([`crate::condition`]), the phases of a run
//! ([`crate::run`]), whether a step is allowed ([`crate::guard`]).
//!
//! ```text
//!  inputs ─► view: trigger true / false / unknown ─► symptom ─► incident ─► run
//!  run: looks ─► plan ─► gate ─► look, guard, intent, effect, outcome … ─► verification
//!                                        └── undo, last step first ◄── anything wrong
//! ```

pub(crate) mod advance;
pub(crate) mod budgets;
pub(crate) mod care;
pub mod memory;
pub(crate) mod notices;
pub(crate) mod opening;
pub(crate) mod people;
pub mod report;
pub(crate) mod resolve;
pub(crate) mod stepping;
pub(crate) mod symptoms;
pub mod tenants;
pub mod view;
pub(crate) mod ward;
