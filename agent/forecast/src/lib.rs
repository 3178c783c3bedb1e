//! What a series of measurements has looked like so far, how it will go on, and what is odd about
//! it.
//!
//! **In:** timestamped measurements of one series or many; the time is always an argument.
//! **Out:** its [`History`] on a fixed grid; outlooks that follow it value by value ([`live`]);
//! [`batch::Forecast`]s of whole series with bands and the reasons for them, and how good such
//! would have been ([`backtest`]); anomaly scores ([`detect`]).
//! **Not here:** where samples come from, whether they can be trusted (the core's signal quality
//! decides before anything is recorded here), and what capacity follows from a forecast.

pub mod anomalies;
pub mod backtest;
pub mod batch;
pub mod calendar;
pub mod detect;
pub mod ensemble;
mod global;
pub mod history;
mod intervals;
pub mod live;
mod members;
pub mod score;
pub mod seasons;
pub mod series;

pub use history::{Backfilled, History, HistoryError, Recorded};
pub use series::Series;
