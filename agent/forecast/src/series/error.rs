//! Why no series can be made of some samples.
//!
//! **In:** what [`super::Samples`] and [`super::Series::from_values`] found.
//! **Out:** [`SeriesError`], which says what to do next.
//! **Not here:** faults of a file (the command line's), of a forecast
//! ([`crate::batch::ForecastError`]).

use jiff::Timestamp;

/// Why no series can be made of some samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// No sample, or one.
    #[error("a series needs at least 2 samples, found {found}; wait for more of it")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// Every sample has the same time.
    #[error(
        "a series needs at least 2 different times, all {found} samples are at {at}; are times cut \
         off, for example to a day?"
    )]
    OneTime {
        /// How many there are.
        found: usize,
        /// Their time.
        at: Timestamp,
    },
    /// Not one finite value.
    #[error("none of {found} values is a finite number; is this the right column?")]
    NothingKnown {
        /// How many values there are.
        found: usize,
    },
    /// More samples than [`super::SAMPLES_MAX`].
    #[error("more than {max} samples; give only the newest, or averages over longer steps")]
    TooMany {
        /// The most that are taken.
        max: usize,
    },
}
