//! Why a row has the score it has, in words for people.
//!
//! **In:** numbers the detector compared.
//! **Out:** [`Finding`] and its `Display`.
//! **Not here:** scores, thresholds.

use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// The most findings one row can have: one about its time, one about a flat line, one per view.
pub const FINDINGS_MAX: usize = 2 + super::views::VIEWS;

/// Findings of one row; never more than [`FINDINGS_MAX`], and nearly always none.
pub type Findings = Vec<Finding>;

/// One thing noticed at one row.
///
/// `one_in` is how many rows the series is estimated to need to show as much by itself: 1,000
/// means that one row in a thousand does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// The value is far from the middle of the values of the last days.
    Spike {
        /// The row's value.
        value: f64,
        /// The median of the values before.
        usual: f64,
        /// Rows for one as surprising.
        one_in: f64,
    },
    /// The value is outside what this time of the day had all week.
    OutOfSeason {
        /// The row's value.
        value: f64,
        /// Lowest at this time of the last seven days.
        low: f64,
        /// Highest at this time of the last seven days.
        high: f64,
        /// Rows for one as surprising.
        one_in: f64,
    },
    /// The last rows look like no stretch of rows before.
    Unfamiliar {
        /// How many rows the stretch has.
        rows: usize,
        /// Rows for one as surprising.
        one_in: f64,
    },
    /// The mean of the last rows differs from that of the rows before them.
    LevelShift {
        /// Mean before.
        from: f64,
        /// Mean now.
        to: f64,
        /// Rows for one as surprising.
        one_in: f64,
    },
    /// The series changes more from row to row than it did.
    Unrest {
        /// Mean absolute change from row to row over the last rows.
        change: f64,
        /// Rows for one as surprising.
        one_in: f64,
    },
    /// A series that normally varies has had one value for much longer than ever; given at every
    /// row while it lasts, but scored only at the first.
    FlatLine {
        /// First row of the constant stretch.
        since: Timestamp,
        /// The constant.
        value: f64,
    },
    /// Rows are missing before this one.
    Gap {
        /// The last row before the gap.
        since: Timestamp,
        /// How long nothing came.
        lasted: SignedDuration,
        /// The usual distance of rows.
        step: SignedDuration,
    },
    /// The row is not later than one before; it is scored and learned without its time.
    OutOfOrder {
        /// The latest row so far.
        latest: Timestamp,
    },
    /// The value is NaN or infinite; it is not scored and teaches nothing.
    NotFinite,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Finding::Spike { value, usual, one_in } => {
                write!(f, "{} where {} is usual{}", Short(value), Short(usual), Rarely(one_in))
            }
            Finding::OutOfSeason { value, low, high, one_in } => {
                let (value, low, high) = (Short(value), Short(low), Short(high));
                let rarely = Rarely(one_in);
                write!(f, "{value}; at this time it was {low} to {high} all week{rarely}")
            }
            Finding::Unfamiliar { rows, one_in } => {
                write!(f, "the last {rows} rows look like none before{}", Rarely(one_in))
            }
            Finding::LevelShift { from, to, one_in } => {
                write!(f, "the level went from {} to {}{}", Short(from), Short(to), Rarely(one_in))
            }
            Finding::Unrest { change, one_in } => {
                write!(f, "rows differ by {} on average{}", Short(change), Rarely(one_in))
            }
            Finding::FlatLine { since, value } => {
                write!(f, "exactly {} since {since}, longer than ever", Short(value))
            }
            Finding::Gap { since, lasted, step } => {
                write!(f, "nothing came for {lasted:#} after {since}; the step is {step:#}")
            }
            Finding::OutOfOrder { latest } => {
                write!(f, "not later than {latest}, the latest row so far; its time is ignored")
            }
            Finding::NotFinite => f.write_str("not a finite number; ignored"),
        }
    }
}

/// A number with at most five significant digits.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if magnitude >= 1e7 || (magnitude < 1e-3 && magnitude > 0.0) {
            write!(f, "{:.3e}", self.0)
        } else if magnitude >= 1_000.0 {
            write!(f, "{:.0}", self.0)
        } else {
            write!(f, "{:.3}", self.0)
        }
    }
}

/// `one_in` in words; nobody needs more than "a million".
struct Rarely(f64);

impl fmt::Display for Rarely {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1e6 {
            f.write_str(" (less than one row in a million)")
        } else {
            write!(f, " (one row in {:.0})", self.0)
        }
    }
}
