//! The meter of one scope: three days of spend and of good requests.
//!
//! **In:** rates over stretches of time.
//! **Out:** sums over whole slots.
//! **Not here:** which scopes there are ([`super::SpendMeters`]).

use jiff::{SignedDuration, Timestamp};

use crate::slo::ledger::{Bucket, DatedBucket};
use crate::slo::ring::{Ring, SlotNumber};
use crate::slo::window::Period;
use crate::slo::{Counts, LOOKBACK_MAX, SLOT};

/// How finely a scope is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    /// Every slot.
    Slot,
    /// Ten slots at a time: a tenth of the memory, for a thousand tenants without a budget.
    FiveMinutes,
}

impl Grain {
    pub(super) fn slots(self) -> usize {
        match self {
            Grain::Slot => 1,
            Grain::FiveMinutes => 10,
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Grain::Slot => SLOT.as_secs(),
            Grain::FiveMinutes => 10 * SLOT.as_secs(),
        }
    }

    /// The cell that the instant after `at` is in, numbered like slots.
    fn cell(self, at: Timestamp) -> SlotNumber {
        SlotNumber(at.as_second().div_euclid(self.seconds()) + 1)
    }

    fn ends_at(self, cell: SlotNumber) -> Timestamp {
        let seconds = cell.0.saturating_mul(self.seconds());
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }
}

/// Rings by cell: the newest cell may not be over yet.
#[derive(Clone, Debug)]
pub(super) struct ScopeMeter {
    grain: Grain,
    /// Money and hours.
    spend: Ring,
    /// Good requests and seconds.
    good: Ring,
    good_rps: Option<f64>,
    used_at: Option<Timestamp>,
}

impl ScopeMeter {
    pub(super) fn of(grain: Grain) -> ScopeMeter {
        // One more for the cell that is not over.
        let n = i32::try_from(LOOKBACK_MAX.as_secs() / grain.seconds()).unwrap_or(i32::MAX);
        let length = SLOT * n.saturating_add(1);
        let (spend, good) = (Ring::of(length), Ring::of(length));
        ScopeMeter { grain, spend, good, good_rps: None, used_at: None }
    }

    pub(super) fn grain(&self) -> Grain {
        self.grain
    }

    pub(super) fn used_at(&self) -> Option<Timestamp> {
        self.used_at
    }

    /// Whether it was spent on within the ring.
    pub(super) fn is_used(&self, now: Timestamp) -> bool {
        self.used_at.is_none_or(|it| now.duration_since(it) <= LOOKBACK_MAX)
    }

    pub(super) fn spend(&mut self, from: Timestamp, until: Timestamp, rate: f64, is_named: bool) {
        if is_named {
            self.used_at = Some(until);
        }
        fill(&mut self.spend, self.grain, from, until, |seconds| {
            let hours = seconds / 3600.0;
            Counts { bad: rate * hours, total: hours }
        });
    }

    pub(super) fn set_good(&mut self, rps: Option<f64>) {
        self.good_rps = rps;
    }

    /// Counts good requests at the rate that was set, where it still holds.
    pub(super) fn hold_good(&mut self, from: Timestamp, until: Timestamp, holds: bool) {
        if let Some(rps) = self.good_rps.filter(|_| holds) {
            fill(&mut self.good, self.grain, from, until, |seconds| Counts {
                bad: rps * seconds,
                total: seconds,
            });
        }
    }

    /// Money and hours of the `n` slots that end with `last`. Of a coarse meter also what is
    /// metered of the cell that is not over.
    pub(super) fn window(&self, last: SlotNumber, n: usize) -> Counts {
        match self.grain {
            Grain::Slot => self.spend.window(last, n).counts,
            Grain::FiveMinutes => {
                let n = n.div_ceil(self.grain.slots());
                let newest = self.spend.newest().unwrap_or(SlotNumber(0));
                let last = newest.max(self.grain.cell(last.ends_at()).back(1));
                self.spend.window(last, n).counts
            }
        }
    }

    /// By 5 minutes that are over, or begun for the newest.
    pub(super) fn recent(&self, last: SlotNumber, n_slots: usize) -> Vec<DatedBucket> {
        let per_bucket = Grain::FiveMinutes.slots();
        let n_cells_each = per_bucket / self.grain.slots();
        let last_bucket = Grain::FiveMinutes.cell(last.back(1).ends_at());
        let n = n_slots.min(crate::slo::ring::slots_in(LOOKBACK_MAX)).div_ceil(per_bucket);
        let bucket = |nth: usize| {
            let number = last_bucket.back(nth);
            let until = Grain::FiveMinutes.ends_at(number);
            let cell = self.grain.cell(until).back(1);
            // What of it is over.
            let (end, n_cells) = match self.grain {
                Grain::FiveMinutes => (cell, n_cells_each),
                Grain::Slot => {
                    let end = cell.min(last);
                    let n_ahead = usize::try_from(cell.0 - end.0).unwrap_or(0);
                    (end, n_cells_each.saturating_sub(n_ahead))
                }
            };
            let counts = self.spend.window(end, n_cells).counts;
            let from = Grain::FiveMinutes.ends_at(number.back(1));
            let period = Period { from, until: until.min(last.ends_at()) };
            let bucket = Bucket { counts, observed_seconds: counts.total * 3600.0 };
            (0.0 < counts.total).then_some(DatedBucket { period, bucket })
        };
        (0..n).rev().filter_map(bucket).collect()
    }

    /// Money per hour and good requests per second by slot; nothing for a coarse meter.
    pub(super) fn slots(&self, last: SlotNumber, n: usize) -> Vec<(Option<f64>, Option<f64>)> {
        if self.grain != Grain::Slot {
            return Vec::new();
        }
        let mean = |ring: &Ring, slot: SlotNumber| {
            let counts = ring.at(slot).flatten()?;
            (0.0 < counts.total).then(|| counts.bad / counts.total)
        };
        (0..n)
            .rev()
            .map(|back| last.back(back))
            .map(|slot| (mean(&self.spend, slot), mean(&self.good, slot)))
            .collect()
    }
}

/// Adds what each cell has of a stretch of time; only the part that the ring can hold.
fn fill(
    ring: &mut Ring,
    grain: Grain,
    from: Timestamp,
    until: Timestamp,
    counts_of: impl Fn(f64) -> Counts,
) {
    let oldest = until.checked_sub(LOOKBACK_MAX + SignedDuration::from_secs(grain.seconds()));
    let mut at = from.max(oldest.unwrap_or(Timestamp::MIN));
    while at < until {
        let cell = grain.cell(at);
        let end = grain.ends_at(cell).min(until);
        let before = ring.at(cell).flatten().unwrap_or_default();
        let more = counts_of(end.duration_since(at).as_secs_f64());
        ring.set(cell, Some(before.plus(more)));
        at = end;
    }
}
