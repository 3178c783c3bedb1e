//! Made-up worlds under virtual time.
//!
//! **In:** a scenario and a controller: one load and one kind of unit ([`capacity`]), or a region
//! of services ([`run`]); recorded metrics ([`replay`]); or, beside a real daemon, instants to
//! advance to and capacities to set ([`region`]).
//! **Out:** a [`scorecard::Scorecard`], a plan and a timeline; or what monitoring and a provider
//! would show, and the truth behind both.
//! **Not here:** the agent's decisions (`evenkeel-core`), real clocks, files.
//!
//! Equal seeds and equal calls give equal numbers, to the bit, on one machine; between
//! platforms the last bits may differ with their `exp` and `ln`.

pub mod actuators;
pub mod capacity;
pub mod chance;
pub mod expectation;
pub mod exporter;
pub mod fault;
pub mod gate;
mod hpa_rule;
pub mod load;
pub mod museum;
pub mod people;
pub mod pilot;
pub mod provider;
pub mod queueing;
pub mod region;
pub mod replay;
pub mod report;
pub mod requests;
pub mod run;
pub mod scenario;
pub mod scorecard;
pub mod timeline;
mod tracking_rule;
pub mod workload;
pub mod world;

pub use region::{Incident, ProviderFault, Region, Truth};
