//! What was counted in the window of a budget, in about 120 buckets.
//!
//! **In:** amounts with their time, in any order.
//! **Out:** the sums of the period, and its buckets, oldest first.
//! **Not here:** which windows there are ([`super::window`]), what is left of a budget
//! ([`super::burn`]), when it is spent ([`crate::budget::exhaustion`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::window::{Period, Window};
use super::{Counts, SLOT};

/// Buckets of one period. Why 120: what rolls off does so in steps of less than one percent
/// of the window, and a year's window takes no more memory than a day's.
pub const BUCKETS: i64 = 120;

/// The shortest bucket; a window of an hour has buckets of a minute.
const BUCKET_MIN: SignedDuration = SignedDuration::from_mins(1);

/// 1 January of year 0, in seconds since the epoch.
const YEAR_0: i64 = -62_167_219_200;

/// Counts by bucket, of the current period only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The width of all buckets; 0 before the first.
    width_seconds: i64,
    /// When the 0th bucket begins: the epoch for a rolling window, else the period.
    origin: i64,
    /// When the period ends; nothing before the first, and of a rolling window.
    ends: Option<i64>,
    /// By number.
    buckets: BTreeMap<i64, Bucket>,
    /// The end of the newest slot that was added.
    counted_until: Option<Timestamp>,
}

/// One bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Events, or money and hours.
    pub counts: Counts,
    /// For how long it was observed.
    pub observed_seconds: f64,
}

/// A bucket and when it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatedBucket {
    /// When: the part of it that is in the period.
    pub period: Period,
    /// What is in it.
    pub bucket: Bucket,
}

impl Ledger {
    /// The width of the buckets of a window.
    pub fn width(window: &Window, now: Timestamp) -> SignedDuration {
        let slots = window.length(now).as_secs() / BUCKETS / SLOT.as_secs();
        SignedDuration::from_secs(slots * SLOT.as_secs()).max(BUCKET_MIN)
    }

    /// Adds what was counted in the slot that ends at `at` and lasted `seconds`; takes away
    /// with negative numbers, when a slot was read again. Of a period that is over, nothing
    /// is added any more.
    pub fn add(&mut self, window: &Window, at: Timestamp, change: Counts, seconds: f64) {
        // A slot belongs to where it began.
        let began = at.as_second().saturating_sub(1);
        self.begin_period(window, began);
        if began < self.origin {
            return;
        }
        let nth = (began - self.origin).div_euclid(self.width_seconds.max(1));
        self.put(nth, change, seconds);
        self.counted_until = self.counted_until.max(Some(at));
    }

    fn put(&mut self, nth: i64, change: Counts, seconds: f64) {
        let bucket = self.buckets.entry(nth).or_default();
        bucket.counts = bucket.counts.plus(change);
        bucket.counts.bad = bucket.counts.bad.max(0.0);
        bucket.counts.total = bucket.counts.total.max(0.0);
        bucket.observed_seconds = (bucket.observed_seconds + seconds).max(0.0);
    }

    /// Goes on with another window than the one it was kept for: a document changed, or
    /// the ledger is from a file. A bucket goes to where its middle falls. Counts of a
    /// calendar period that began at another time are kept as far as they are in it.
    pub fn adopt(&mut self, window: &Window) {
        let Some(newest) = self.counted_until.filter(|_| self.width_seconds != 0) else { return };
        let (began, before) = (newest.as_second().saturating_sub(1), self.clone());
        *self = Ledger { counted_until: before.counted_until, ..Ledger::default() };
        self.begin_period(window, began);
        if (self.width_seconds, self.origin, self.ends)
            == (before.width_seconds, before.origin, before.ends)
        {
            *self = before;
            return;
        }
        for it in before.buckets() {
            let middle = it.period.from.as_second() + before.width_seconds / 2;
            // The newest bucket is not over yet.
            let middle = middle.min(began);
            if self.origin <= middle && self.ends.is_none_or(|it| middle < it) {
                let nth = (middle - self.origin).div_euclid(self.width_seconds.max(1));
                self.put(nth, it.bucket.counts, it.bucket.observed_seconds);
            }
        }
        self.roll(window, newest);
    }

    /// Forgets what is not in the period of `now` any more. Of a rolling window, a bucket
    /// that is in it in part is in it as a whole.
    pub fn roll(&mut self, window: &Window, now: Timestamp) {
        if self.width_seconds == 0 {
            return;
        }
        if let Window::Rolling(length) = window {
            let from = now.as_second().saturating_sub(length.as_secs());
            let width = self.width_seconds;
            let origin = self.origin;
            self.buckets.retain(|nth, _| {
                from < origin.saturating_add(nth.saturating_add(1).saturating_mul(width))
            });
        } else {
            self.begin_period(window, now.as_second());
        }
    }

    /// Begins the period that `second` is in, when that is a later one.
    fn begin_period(&mut self, window: &Window, second: i64) {
        let is_current = self.width_seconds != 0 && self.ends.is_none_or(|it| second < it);
        if is_current {
            return;
        }
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
        self.width_seconds = Ledger::width(window, at).as_secs();
        self.buckets.clear();
        if window.is_rolling() {
            // Buckets of equal windows begin at equal times; nothing is before year 0.
            let first = Timestamp::from_second(YEAR_0).unwrap_or(Timestamp::MIN).as_second();
            (self.origin, self.ends) = (first - first.rem_euclid(self.width_seconds), None);
        } else {
            let period = window.period(at);
            (self.origin, self.ends) = (period.from.as_second(), Some(period.until.as_second()));
        }
    }

    /// The sums of the period.
    pub fn sums(&self) -> Bucket {
        self.buckets.values().fold(Bucket::default(), |sum, it| Bucket {
            counts: sum.counts.plus(it.counts),
            observed_seconds: sum.observed_seconds + it.observed_seconds,
        })
    }

    /// The buckets, oldest first; those in which nothing was observed are not there.
    pub fn buckets(&self) -> impl Iterator<Item = DatedBucket> + '_ {
        let (width, origin) = (self.width_seconds, self.origin);
        let instant = move |nth: i64| {
            let seconds = origin.saturating_add(nth.saturating_mul(width));
            Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
        };
        self.buckets.iter().map(move |(nth, bucket)| DatedBucket {
            period: Period { from: instant(*nth), until: instant(nth.saturating_add(1)) },
            bucket: *bucket,
        })
    }

    /// The end of the newest slot in it; after a restart, what was counted until then must
    /// not be counted again.
    pub fn counted_until(&self) -> Option<Timestamp> {
        self.counted_until
    }
}
