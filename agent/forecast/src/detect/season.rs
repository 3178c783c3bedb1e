//! What was usual at this time of the day?
//!
//! **In:** timestamped values.
//! **Out:** the range of the values at the same time on the last seven days.
//! **Not here:** weekly or other seasons: the seven days hold a whole week, so a value that any
//! weekday had at this time is inside the range.
//!
//! Days are UTC days. When a local clock changes, its peaks move by an hour; for a week the range
//! holds both, and on the first day the change itself may be noticed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Slots of a day: 5 min each.
const SLOTS: i64 = 288;
const SLOT_SECONDS: i64 = 300;

/// Days that are compared.
const DAYS: i64 = 7;

/// Slots that are kept: the days that are compared, and today.
const KEPT: i64 = SLOTS * (DAYS + 1);

/// Stands for "nothing came" in a slot; [`super::rows::Rows::push`] never gives it.
const ABSENT: f32 = f32::MAX;

/// Slots after the same time in which a value of an earlier day is looked for, for series
/// with a step above 5 min or with gaps: one hour.
const NEAR_SLOTS: i64 = 12;

/// Days of the seven that must have a value at this time before there is a range.
///
/// Why 5: an outage that lasted into a second day must not blind the next week.
const DAYS_MIN: usize = 5;

/// Values at every time of the last seven days, and of today.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    /// By slot number modulo [`KEPT`]; [`ABSENT`] where nothing came.
    slots: Vec<f32>,
    /// The first slot written, counted from 1970.
    first: Option<i64>,
    /// The latest slot written.
    latest: Option<i64>,
}

/// The lowest and the highest value at this time of earlier days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// Lowest.
    pub(super) low: f64,
    /// Highest.
    pub(super) high: f64,
}

impl Usual {
    /// How far above the range a value is, or below it (negative); 0 inside.
    pub(super) fn outside(&self, value: f64) -> f64 {
        (value - self.high).max(0.0) - (self.low - value).max(0.0)
    }
}

impl Season {
    /// The range at this time of the earlier days; `None` before a whole week was seen (the first
    /// weekend would be an anomaly) and with fewer than [`DAYS_MIN`] days.
    pub(super) fn usual(&self, at: Timestamp) -> Option<Usual> {
        let slot = at.as_second().div_euclid(SLOT_SECONDS);
        if slot - self.first? < SLOTS * DAYS {
            return None;
        }
        let mut usual = Usual { low: f64::INFINITY, high: f64::NEG_INFINITY };
        let mut days = 0;
        for day in 1..=DAYS {
            let same_time = slot - SLOTS * day;
            let value = (same_time..same_time + NEAR_SLOTS).find_map(|near| self.value(near));
            if let Some(value) = value {
                days += 1;
                usual.low = usual.low.min(value);
                usual.high = usual.high.max(value);
            }
        }
        (days >= DAYS_MIN).then_some(usual)
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.slots.capacity() * size_of::<f32>()
    }

    fn value(&self, slot: i64) -> Option<f64> {
        let latest = self.latest?;
        if slot > latest || slot <= latest - KEPT {
            return None;
        }
        let value = self.slots.get(place(slot)).copied().filter(|&value| value < ABSENT);
        value.map(f64::from)
    }

    /// Remembers a value. One before the latest slot means that the clock was set back (rows that
    /// are merely late have no time here): everything before it is forgotten.
    pub(super) fn learn(&mut self, at: Timestamp, value: f32) {
        let slot = at.as_second().div_euclid(SLOT_SECONDS);
        self.slots.resize(place(KEPT - 1) + 1, ABSENT);
        self.first.get_or_insert(slot);
        let latest = *self.latest.get_or_insert(slot);
        if slot < latest {
            *self = Season::default();
            self.learn(at, value);
            return;
        }
        // What was skipped still holds the days before those that are kept.
        for skipped in (latest + 1).max(slot - KEPT + 1)..=slot {
            if let Some(stale) = self.slots.get_mut(place(skipped)) {
                *stale = ABSENT;
            }
        }
        self.latest = Some(slot);
        if let Some(now) = self.slots.get_mut(place(slot)) {
            // Several rows in one slot: their running mean, the newest counting half.
            *now = if *now < ABSENT { *now + (value - *now) * 0.5 } else { value };
        }
    }
}

/// Where a slot counted from 1970 is kept: less than [`KEPT`].
fn place(slot: i64) -> usize {
    usize::try_from(slot.rem_euclid(KEPT)).unwrap_or(0)
}
