//! What is to be read for SLOs, and from when on.
//!
//! **In:** meters and their newest slots.
//! **Out:** grids for the queries of each objective's indicator.
//! **Not here:** asking (the shell's), what is made of the answers
//! ([`crate::slo::increments`]).

use jiff::{SignedDuration, Timestamp};

use crate::ids::SloId;
use crate::slo::SLOT;
use crate::slo::increments::Grid;
use crate::slo::ring::SlotNumber;

/// Queries of one objective, on grids; all queries of its indicator on each.
#[derive(Clone, Debug, PartialEq)]
pub struct SliWanted {
    /// Which SLO.
    pub slo: SloId,
    /// Which of its objectives, from 0.
    pub objective: usize,
    /// Where to read, oldest first; each is one [`crate::slo::SliReading`].
    pub grids: Vec<Grid>,
}

/// How far back slots are read again. Why 5 min: scrapes and remote writes that are late
/// are seldom later, and Prometheus itself looks back as far.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// How far back a gap is read slot by slot. Why 6 h: 720 points per series.
const GAP_MAX: SignedDuration = SignedDuration::from_hours(6);

/// Most points of one grid. Why: Prometheus refuses more than 11,000 per series.
const POINTS_MAX: i64 = 8_640;

/// The grid that goes on from the newest slot that was observed.
pub(crate) fn next_grid(now: Timestamp, observed_until: Option<Timestamp>) -> Grid {
    let again = now.checked_sub(AGAIN).unwrap_or(now);
    let earliest = now.checked_sub(GAP_MAX).unwrap_or(now);
    let from = observed_until.map_or(again, |it| it.min(again)).max(earliest);
    grid(SlotNumber::over_at(from).ends_at(), now, SLOT)
}

/// The grids of a meter that has read nothing: its ring slot by slot, and what of its window
/// is before that in steps as fine as one query can answer. What was recalled is not read
/// again.
pub(crate) fn first_grids(
    now: Timestamp,
    window_from: Timestamp,
    ring: SignedDuration,
    recalled_until: Option<Timestamp>,
) -> Vec<Grid> {
    let ring_from = now.checked_sub(ring).unwrap_or(now);
    let ring_from = SlotNumber::over_at(ring_from).ends_at();
    let coarse_from = window_from.max(recalled_until.unwrap_or(window_from));
    let mut grids = Vec::new();
    if coarse_from < ring_from {
        let seconds = ring_from.duration_since(coarse_from).as_secs();
        let slots = (seconds / SLOT.as_secs()).div_euclid(POINTS_MAX) + 1;
        // A divisor of a day, so that it is a multiple of every slice that divides it less.
        let step = [10, 20, 60, 120, 240, 720].into_iter().find(|it| slots <= *it).unwrap_or(2_880);
        let step = SignedDuration::from_secs(step * SLOT.as_secs());
        let aligned = coarse_from.as_second().div_euclid(step.as_secs()) * step.as_secs();
        let first = Timestamp::from_second(aligned).unwrap_or(coarse_from);
        let mut coarse = grid(first, ring_from, step);
        // No slot is read twice: the last step ends where the ring begins, or before.
        while 0 < coarse.n && ring_from < coarse.at(coarse.n - 1) {
            coarse.n -= 1;
        }
        if 1 < coarse.n {
            let fine_from = coarse.at(coarse.n - 1);
            grids.push(coarse);
            grids.push(grid(fine_from, now, SLOT));
            return grids;
        }
    }
    grids.push(grid(ring_from, now, SLOT));
    grids
}

fn grid(first: Timestamp, until: Timestamp, step: SignedDuration) -> Grid {
    let n = until.duration_since(first).as_secs().div_euclid(step.as_secs().max(1)) + 1;
    Grid { first, step, n: usize::try_from(n).unwrap_or_default() }
}
