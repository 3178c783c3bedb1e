//! Made-up worlds under virtual time.
//!
//! **In:** a scenario, a load and a controller ([`capacity`]); or a seed and a start, then
//! instants to advance to, and capacities to set ([`region`]).
//! **Out:** a [`scorecard::Scorecard`] and a plan; or what an exporter would show
//! ([`Region::scrape`]), what a provider would say ([`Region::current_capacity`]), and the truth
//! behind both ([`Region::truth`]).
//! **Not here:** the agent's decisions (`evenkeel-core`), real clocks, files, and the agent
//! against a region (not written yet).
//!
//! Equal seeds and equal calls give equal numbers, to the bit, on one machine; between
//! platforms the last bits may differ with their `exp` and `ln`.

pub mod capacity;
pub mod chance;
pub mod incident;
pub mod load;
pub mod queueing;
pub mod region;
pub mod scenario;
pub mod scorecard;
mod service;
pub mod spec;
pub mod workload;

pub use incident::{Happening, Incident, Scripted};
pub use region::{ProviderFault, Region, Sample, Truth};
pub use spec::{ServiceKind, ServiceSpec, SpecError};
