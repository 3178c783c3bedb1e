//! Slices of time: good or bad as a whole.
//!
//! **In:** the counts of a slice's slots.
//! **Out:** the one event that the slice is.
//! **Not here:** which slots there are ([`super::meter`]).

use super::{Counts, SLOT};
use crate::documents::{Budgeting, Slice};
use crate::slo::ring::SlotNumber;

/// How many slots a slice has; at least 1.
pub fn slots_per_slice(slice: &Slice) -> i64 {
    (slice.width.as_secs() / SLOT.as_secs()).max(1)
}

/// The last slot of the slice that `slot` is in.
pub fn slice_end(slice: &Slice, slot: SlotNumber) -> SlotNumber {
    let n = slots_per_slice(slice);
    SlotNumber((slot.0 + n - 1).div_euclid(n) * n)
}

/// The event that a slice is, from the sum of its observed slots. `None` without events:
/// nobody was there to be served well or badly.
///
/// `Timeslices`: bad when fewer than `good_ratio_min` were good. `RatioTimeslices`: bad by
/// the share that was bad.
pub fn judge(slice: &Slice, budgeting: Budgeting, sum: Counts) -> Option<Counts> {
    let bad_ratio = sum.bad_ratio()?;
    let bad = match budgeting {
        Budgeting::Timeslices => {
            let good_ratio_min = slice.good_ratio_min.unwrap_or(1.0);
            // 95 of 100 are 95 %, whatever the last bit says.
            f64::from(u8::from(1.0 - bad_ratio < good_ratio_min - 1e-12))
        }
        Budgeting::RatioTimeslices | Budgeting::Occurrences => bad_ratio,
    };
    Some(Counts { bad, total: 1.0 })
}
