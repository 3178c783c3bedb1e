//! Has a series that normally varies stopped?
//!
//! **In:** values in order.
//! **Out:** how long the value has been exactly the same, and whether that is longer than usual.
//! **Not here:** values that are merely quiet.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Rows of one value before a flat line is considered.
///
/// Why 12: an hour at 5 min. A gauge with few levels repeats itself for a few rows.
const FLAT_ROWS_MIN: u32 = 12;

/// How many times longer than the longest earlier run a flat line is.
///
/// Why 3: an idle night that is half as long again as the last one is not a fault.
const LONGER_THAN_LONGEST: u32 = 3;

/// Rows before anything is said, as for every other statistic.
const WARM_UP_ROWS: u32 = super::tail::WARM_UP_ROWS;

/// The current run of equal values, and the longest before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Flat {
    rows: u32,
    value: Option<f64>,
    since: Option<Timestamp>,
    run: u32,
    longest: u32,
}

/// A run that is longer than any before by a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FlatRun {
    /// Its first row.
    pub(super) since: Timestamp,
    /// Is this the row at which it became too long?
    pub(super) is_news: bool,
}

impl Flat {
    /// Takes note of a row; says whether the series has been flat for too long.
    pub(super) fn learn(&mut self, at: Timestamp, value: f64) -> Option<FlatRun> {
        self.rows = self.rows.saturating_add(1);
        if self.value.is_some_and(|before| before.total_cmp(&value).is_eq()) {
            self.run = self.run.saturating_add(1);
        } else {
            self.longest = self.longest.max(self.run);
            self.value = Some(value);
            self.since = Some(at);
            self.run = 1;
        }
        // A series that was constant from its first row on has never varied.
        if self.longest == 0 || self.rows < WARM_UP_ROWS {
            return None;
        }
        let too_long = self.longest.saturating_mul(LONGER_THAN_LONGEST).max(FLAT_ROWS_MIN);
        let since = self.since?;
        (self.run >= too_long).then_some(FlatRun { since, is_news: self.run == too_long })
    }
}
