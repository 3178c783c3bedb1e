//! The forecast at one look-ahead: its middle, its scale, and how both have done.
//!
//! **In:** the past, and every value as it becomes known.
//! **Out:** a [`Promise`] (middle and scale) for the value `ahead` slots later.
//! **Not here:** the shape of errors ([`super::spread`]), who may drive capacity
//! ([`super::audit`]).

use serde::{Deserialize, Serialize};

use super::past::{Around, N_FEATURES, N_MOMENT, PRIOR_WEIGHTS, Past, Row, share};
use super::regress::Regression;
use super::ring::Ring;

/// What remains of rows: e-fold in minutes.
///
/// Why 4,000 (nearly three days): of 3,000, 6,000, 12,000 and 20,000 the lowest
/// mean errors on four traces at 5 and 20 min ahead were at 3,000 to 6,000
/// (research, 2026-11-21).
const ROWS_MINUTES: i64 = 4_000;

/// The same for the scale.
const SCALE_MINUTES: i64 = 5_000;

/// Errors beyond this many scales count as if they were there.
///
/// Why 3: least squares on raw errors was 5 to 7% worse (a spike outvotes an hour).
const CLIPPED_SCALES: f64 = 3.0;

/// The same for learning the scale itself, which has to follow storms.
const CLIPPED_FOR_SCALE: f64 = 6.0;

/// Over how long the seasons have to show that they are worth something.
const GAIN_MINUTES: i64 = 3 * 1_440;
/// Why 2/3: with a promotion at 0.9, an error of 0.6 of persistence's is enough too;
/// smoothing noise alone does not get below 0.7 (the square root of a half).
const PERSISTENCE_SHARE: f64 = 2.0 / 3.0;
/// One storm must not decide that.
const GAIN_CLIPPED: f64 = 8.0;

/// Ridges, in rows' own (dimensionless) weight.
const MIDDLE_RIDGE: f64 = 10.0;
const SCALE_RIDGE: f64 = 0.5;

const N_SCALE: usize = 6;

/// Mean absolute error over ten minutes, an hour, a day, the usual at this time of
/// day, the root of the load, and yesterday's spike.
const SCALE_PRIOR: [f32; N_SCALE] = [0.1, 0.4, 0.4, 0.1, 0.0, 0.0];

const ERROR_MINUTES: [i64; 3] = [10, 60, 1_440];

/// Slots of a day for which the usual error is kept.
const DAY_PARTS: usize = 96;

/// A middle and a scale (mean absolute error), in the signal's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Promise {
    pub(crate) middle: f64,
    pub(crate) scale: f64,
}

/// An error as it became known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Value minus middle.
    pub(crate) error: f64,
    /// What had been promised for it.
    pub(crate) promise: Promise,
    /// The value that the forecast was made from.
    pub(crate) base: f64,
}

/// One look-ahead.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lead {
    /// Slots ahead, at least 1.
    pub(crate) ahead: i64,
    /// Its short one is without anything seasonal: what the seasons have to beat.
    middle: Regression,
    /// Mean absolute errors of both, and of persistence, over [`GAIN_MINUTES`].
    gain: [f64; 3],
    scale: Regression,
    /// Mean absolute errors over [`ERROR_MINUTES`].
    errors: [f64; 3],
    n_errors: u64,
    /// Per slot a [`Remembered`], number by number.
    promised: Ring,
}

/// What is kept of a promise: middle, scale, and the mean errors over ten minutes
/// and an hour.
type Remembered = [f32; 4];
const PER_PROMISE: i64 = 4;

/// The usual error by time of day, shared by look-aheads that are alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DayErrors {
    #[serde(
        serialize_with = "super::ring::write_gaps",
        deserialize_with = "super::ring::read_gaps"
    )]
    parts: Vec<f32>,
}

impl DayErrors {
    pub(crate) fn new() -> DayErrors {
        DayErrors { parts: vec![f32::NAN; DAY_PARTS] }
    }

    /// Around a share of the day in `[0, 1)`; NaN when unknown.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of the day, clamped"
    )]
    pub(crate) fn get(&self, day_share: f64) -> f64 {
        let place = (day_share * DAY_PARTS as f64 - 0.5).rem_euclid(DAY_PARTS as f64);
        let left = (place as usize).min(DAY_PARTS - 1);
        let part = |i: usize| self.parts.get(i).map_or(f64::NAN, |it| f64::from(*it));
        let (a, b) = (part(left), part((left + 1) % DAY_PARTS));
        if b.is_nan() || a.is_nan() { a } else { a + (place - left as f64) * (b - a) }
    }

    /// Moves the part by one error; a part is a mean over about four days.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of the day, clamped"
    )]
    pub(crate) fn learn(&mut self, day_share: f64, error: f64, errors_per_day: f64) {
        let i = ((day_share * DAY_PARTS as f64) as usize).min(DAY_PARTS - 1);
        let moved = share(4.0 * errors_per_day / DAY_PARTS as f64);
        if let Some(part) = self.parts.get_mut(i) {
            let before = if part.is_nan() { error } else { f64::from(*part) };
            *part = (before + moved * (error - before)) as f32;
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.parts.len() * size_of::<f32>()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.parts.len() == DAY_PARTS
    }
}

impl Lead {
    pub(crate) fn new(ahead: i64) -> Lead {
        Lead {
            ahead,
            middle: Regression::new(&PRIOR_WEIGHTS, N_MOMENT),
            gain: [0.0; 3],
            scale: Regression::new(&SCALE_PRIOR, 0),
            errors: [0.0; 3],
            n_errors: 0,
            promised: Ring::new(promised_len(ahead)),
        }
    }

    /// Yesterday's jumps count as spikes from here on.
    pub(crate) fn spike_from(&self) -> f64 {
        5.0 * self.errors[2]
    }

    /// What is promised for a row.
    pub(crate) fn promise(&self, row: &Row, day_error: f64, level: f64) -> Promise {
        let middle = (row.value + self.middle.expect(&row.features)).max(0.0);
        let [ten, hour, day] = self.errors;
        let features = self.scale_row(ten, hour, row.value, row.spike, day_error, level);
        let lowest = 0.3 * ten.min(hour).min(day);
        let smallest = SCALE_MIN_RATIO * level + f64::MIN_POSITIVE;
        let scale = self.scale.expect(&features).max(lowest).max(smallest);
        Promise { middle, scale }
    }

    fn scale_row(
        &self,
        ten: f64,
        hour: f64,
        value: f64,
        spike: f64,
        day_error: f64,
        level: f64,
    ) -> [f64; N_SCALE] {
        let usual = if day_error.is_nan() { hour } else { day_error };
        [ten, hour, self.errors[2], usual, 0.05 * (value * level).max(0.0).sqrt(), spike]
    }

    /// Remembers what was promised at `slot`.
    #[expect(clippy::cast_possible_truncation, reason = "kept as f32 to save memory")]
    pub(crate) fn remember(&mut self, slot: i64, promise: Promise) {
        let [ten, hour, _] = self.errors;
        let kept: Remembered =
            [promise.middle as f32, promise.scale as f32, ten as f32, hour as f32];
        for (place, it) in (slot.saturating_mul(PER_PROMISE)..).zip(kept) {
            self.promised.put(place, it);
        }
    }

    /// Learns from the value of `slot`, which `there` is around; `None` where nothing
    /// had been promised.
    pub(crate) fn learn(
        &mut self,
        slot: i64,
        value: f64,
        past: &Past,
        there: &Around,
        day_error: f64,
    ) -> Option<Known> {
        let made_at = slot - self.ahead;
        let kept = |it: i64| self.promised.get(made_at.saturating_mul(PER_PROMISE) + it);
        let [middle, scale, ten, hour] = [kept(0), kept(1), kept(2), kept(3)];
        if middle.is_nan() || scale.is_nan() || scale <= 0.0 {
            return None;
        }
        let from = (past.moment(made_at)?, past.value(made_at));
        if from.1.is_nan() {
            return None;
        }
        let row = past.row(from, &past.around(made_at), there, self.spike_from());
        let error = value - middle;
        let size = error.abs();
        let ready = self.n_errors;
        self.n_errors += 1;
        for (mean, minutes) in self.errors.iter_mut().zip(ERROR_MINUTES) {
            #[expect(clippy::cast_precision_loss, reason = "counts of errors")]
            let values = past.pace.slots(minutes).min(ready as f64 + 1.0);
            *mean += share(values).max(1.0 / values).min(1.0) * (size.min(8.0 * scale) - *mean);
        }
        let came = value - row.value;
        let gains =
            [self.middle.expect(&row.features), self.middle.expect_short(&row.features), 0.0];
        #[expect(clippy::cast_precision_loss, reason = "counts of errors")]
        let moved = share(past.pace.slots(GAIN_MINUTES).min(ready as f64 + 1.0));
        for (mean, expected) in self.gain.iter_mut().zip(gains) {
            *mean += moved * ((came - expected).abs().min(GAIN_CLIPPED * scale) - *mean);
        }
        // Rows of calm times count for more: their errors say more about the rule.
        let usual = self.errors[2].max(SCALE_MIN_RATIO * past.level).max(f64::MIN_POSITIVE);
        let trust = (CLIPPED_SCALES * scale / size.max(f64::MIN_POSITIVE)).min(1.0);
        let kept = 1.0 - 1.0 / past.pace.slots(ROWS_MINUTES);
        let trust = trust / (scale * usual);
        self.middle.learn(&row.features, came, trust, kept);
        let features = self.scale_row(ten, hour, row.value, row.spike, day_error, past.level);
        self.scale.learn(
            &features,
            size.min(CLIPPED_FOR_SCALE * scale),
            1.0 / (scale * scale),
            1.0 - 1.0 / past.pace.slots(SCALE_MINUTES),
        );
        Some(Known { error, promise: Promise { middle, scale }, base: row.value })
    }

    /// Solves both regressions anew.
    pub(crate) fn solve(&mut self) {
        self.middle.solve(&PRIOR_WEIGHTS, MIDDLE_RIDGE);
        self.scale.solve(&SCALE_PRIOR, SCALE_RIDGE);
    }

    /// Mean absolute error with the seasons / the larger of that without and of
    /// [`PERSISTENCE_SHARE`] of persistence's, over three days; infinite before there
    /// was one. A cycle so smooth that its slope says all needs no seasons to be one.
    pub(crate) fn season_ratio(&self) -> f64 {
        let [with, without, persistence] = self.gain;
        let trivial = without.max(PERSISTENCE_SHARE * persistence);
        if 0.0 < trivial { with / trivial } else { f64::INFINITY }
    }

    pub(crate) fn n_errors(&self) -> u64 {
        self.n_errors
    }

    pub(crate) fn is_sound(&self) -> bool {
        (1..=AHEAD_MAX_SLOTS).contains(&self.ahead)
            && self.promised.is_sound(promised_len(self.ahead))
            && self.middle.has_shape(N_FEATURES, N_MOMENT)
            && self.scale.has_shape(N_SCALE, 0)
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.middle.heap_bytes() + self.scale.heap_bytes() + self.promised.heap_bytes()
    }
}

/// No scale is smaller than this share of the level: what repeats exactly is a
/// stuck exporter, not certainty.
const SCALE_MIN_RATIO: f64 = 1e-3;

/// An hour in slots of a second, more than there are.
const AHEAD_MAX_SLOTS: i64 = 3_600;

fn promised_len(ahead: i64) -> usize {
    usize::try_from((ahead + 2) * PER_PROMISE).unwrap_or(1)
}
