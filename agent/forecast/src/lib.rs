//! What a series of measurements has looked like so far.
//!
//! **In:** timestamped measurements of one series; the time is always an argument.
//! **Out:** its [`History`] on a fixed grid: values, quantiles, and how low it usually gets.
//! **Not here:** forecasts and anomaly scores (not written yet; they will read [`History::iter`]),
//! where samples come from, and whether they can be trusted (the core's signal quality decides
//! before anything is recorded here).

pub mod history;

pub use history::{Backfilled, History, HistoryError, Recorded};
