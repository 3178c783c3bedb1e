//! One alarm per anomaly.
//!
//! **In:** the surprise of every row.
//! **Out:** the same, or 0 where it repeats what was already said.
//! **Not here:** thresholds: whichever threshold a person chooses, this holds.

use serde::{Deserialize, Serialize};

/// Rows for which only something more surprising is passed on.
///
/// Why 100: eight hours at 5 min, one shift. On NAB, 75 and 150 score within 2 points of it (2026-11-21,
/// bench `nab`).
const QUIET_ROWS: u32 = 100;

/// How many times more surprising something must be to be passed on in spite of that.
///
/// Why 1.15: a value that is a hair further out than the one before is no news. On NAB, 1.1 to
/// 1.3 score within 3 points, and 1 loses 5 (2026-11-21, bench `nab`).
const NEWS_RATIO: f64 = 1.15;

/// Remembers the most surprising of the last rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Quiet {
    peak: f64,
    rows_since: u32,
}

impl Quiet {
    /// `surprise` if it clearly exceeds what was passed on within the last [`QUIET_ROWS`], else 0.
    pub(super) fn pass(&mut self, surprise: f64) -> f64 {
        self.rows_since = self.rows_since.saturating_add(1);
        if self.rows_since > QUIET_ROWS {
            self.peak = 0.0;
        }
        if surprise <= self.peak * NEWS_RATIO {
            return 0.0;
        }
        self.peak = surprise;
        self.rows_since = 0;
        surprise
    }
}
