//! Error budgets: what is counted, how fast they burn, who is told, when they run out.
//!
//! **In:** counts of good and bad events in slots of 30 seconds, from whoever reads metrics.
//! **Out:** burn rates over any window, verdicts of alert policies, what is left, when it
//! is spent.
//! **Not here:** documents ([`crate::documents::Slo`]), money ([`crate::spend`]), what
//! follows from a spent budget ([`crate::budget`]).
//!
//! ```text
//!  counters ─► increments per slot ─► ring (alert windows, slot by slot)  ─► burn rates, verdicts
//!                                 └─► ledger (the SLO's window, 120 buckets) ─► left, exhaustion
//! ```
//!
//! Missing is a third state throughout: a slot that was not observed is neither good nor
//! bad, and a window without events has no burn rate.

pub mod alert;
pub mod burn;
pub mod increments;
pub mod ledger;
pub mod meter;
pub mod ring;
pub mod rules;
pub mod slices;
pub mod standing;
pub mod window;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::SloId;

/// The grain of all counting: slots end at whole multiples of it since the epoch.
///
/// Why 30 s: with it a full outage is told of within two minutes in the worst case (a slot
/// that had just begun, two bad ones, a scrape); half of it would double memory and queries.
pub const SLOT: SignedDuration = SignedDuration::from_secs(30);

/// The longest window of an alert. Why 3 days: the slowest pair of the SRE workbook; it
/// bounds the memory of an SLO (79 KB per objective), whatever its own window is.
pub const LOOKBACK_MAX: SignedDuration = SignedDuration::from_hours(72);

/// Counts of events. Finite, `0 <= bad <= total`. Slices of time and samples of a
/// threshold count as events too, and may be bad in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Bad ones.
    pub bad: f64,
    /// All.
    pub total: f64,
}

impl Counts {
    /// The share of bad ones; `None` without events.
    pub fn bad_ratio(self) -> Option<f64> {
        (0.0 < self.total).then(|| self.bad / self.total)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts { bad: self.bad + other.bad, total: self.total + other.total }
    }
}

/// What was read of one objective's indicator.
#[derive(Clone, Debug, PartialEq)]
pub struct SliReading {
    /// Which SLO.
    pub slo: SloId,
    /// Which of its objectives, from 0.
    pub objective: usize,
    /// The width of `slots`: [`SLOT`], or a multiple of it for what is long ago.
    pub step: SignedDuration,
    /// What each slot counted, oldest first, without repetition. Slots that were read
    /// before may be read again: the newest reading of a slot is what counts.
    pub slots: Vec<SlotReading>,
}

/// What one slot counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotReading {
    /// Its end, a whole multiple of the step since the epoch.
    pub at: Timestamp,
    /// Its events; `None` when it was not observed.
    pub counts: Option<Counts>,
    /// Events of slots before it that were not observed, while the counter went on: it is
    /// not known when they were. They spend the budget, and no alert counts them.
    pub carried: Option<Counts>,
}
