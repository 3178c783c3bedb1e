//! When a budget is spent: simulated burns with a known end, and properties that always hold.

mod coverage;
mod properties;
mod simulate;
