//! Made-up regions under virtual time.
//!
//! **In:** a seed and a start; then instants to advance to, and capacities to set.
//! **Out:** what an exporter would show ([`Region::scrape`]), what a provider would say
//! ([`Region::current_capacity`]), and the truth behind both ([`Region::truth`]).
//! **Not here:** the agent (nothing in this crate decides anything), real clocks, and the
//! simulator that runs the agent against a region under virtual time (not written yet).
//!
//! Equal seeds and equal calls give equal numbers, to the bit, on one machine; between
//! platforms the last bits may differ with their `exp` and `ln`.

pub mod chance;
pub mod incident;
pub mod load;
pub mod queueing;
pub mod region;
mod service;
pub mod spec;

pub use incident::{Happening, Incident, Scripted};
pub use region::{ProviderFault, Region, Sample, Truth};
pub use spec::{ServiceKind, ServiceSpec, SpecError};
