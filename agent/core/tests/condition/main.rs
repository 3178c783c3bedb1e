//! The condition language: what it accepts, what it says to everything else, and that
//! it agrees with CEL.
//!
//! **In:** texts: written, generated, mutated and random.
//! **Out:** values, faults with carets, laws.
//! **Not here:** where playbooks use conditions.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod any_text;
mod differential;
mod expressions;
mod faults;
mod habits;
mod mutations;
mod properties;
mod values;
mod world;
