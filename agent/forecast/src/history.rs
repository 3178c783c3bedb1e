//! One series on a fixed grid: a ring buffer that forgets the oldest slot.
//!
//! **In:** samples `(at, value)` with the caller's `now`, in any order, of any quality of number.
//! **Out:** values by time, quantiles over what is present, and the cached usual low.
//! **Not here:** the decision whether a sample deserves to be kept (suspect samples are filtered
//! by the caller), and any clock.

use jiff::{SignedDuration, Timestamp};

/// Width of one slot of a [`History::fortnight`].
///
/// Why 5 min: the range query that fills 14 days then returns 4,032 points, under Prometheus'
/// own limit of 11,000 points per series, and a daily peak is still 12 points per hour wide.
pub const STEP: SignedDuration = SignedDuration::from_mins(5);

/// Slots of a [`History::fortnight`]: 14 days of [`STEP`].
///
/// Why 14 days: two of every weekday, the least with which a weekly season can be told from
/// one odd day. As `f32` they take 15.75 KiB, so 10,000 series take 158 MiB.
pub const SLOTS: usize = 4_032;

/// The most slots one history may have.
///
/// Why: a year of minutes, 2 MiB; more is a mistake in a configuration, not a longer memory.
pub const SLOTS_MAX: usize = 527_040;

/// Widest allowed slot.
///
/// Why: a day; anything wider has no daily season left to remember.
pub const STEP_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Quantile that [`History::usual_low`] reports.
///
/// Why 0.01: two and a half hours of a fortnight may lie below it, so one drop to zero of a few
/// minutes does not become usual, while every quiet night does.
pub const USUAL_LOW_QUANTILE: f64 = 0.01;

/// Fraction of the slots that must be present before a quantile is given.
///
/// Why 1/14: one day of a fortnight; less has not seen a night, so its low is not the usual low.
const PRESENT_RATIO_MIN_INVERSE: usize = 14;

/// Slots on either side in which [`History::value_near`] looks for a value.
///
/// Why 3: a quarter of an hour at the default step; farther away is another part of the day.
const NEAR_SLOTS: i64 = 3;

/// What became of one sample. One variant per branch of [`History::record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is the first of a new slot, which is now the newest.
    Opened,
    /// The newest slot had a value; it now has the mean of all its samples.
    Averaged,
    /// It came late, for a slot that was empty, and filled it.
    FilledGap,
    /// Ignored: it came late, for a slot that has a value; the value stays.
    AlreadyPresent,
    /// Ignored: its slot has left the ring.
    TooOld,
    /// Ignored: its slot begins after `now`. Kept, one wrong clock would push 14 days out.
    Future,
    /// Ignored: NaN, infinite, or larger than an `f32` can hold (3.4e38).
    NotFinite,
}

impl Recorded {
    /// Did the sample change the history?
    pub fn is_kept(self) -> bool {
        match self {
            Recorded::Opened | Recorded::Averaged | Recorded::FilledGap => true,
            Recorded::AlreadyPresent
            | Recorded::TooOld
            | Recorded::Future
            | Recorded::NotFinite => false,
        }
    }
}

/// How many points of one [`History::backfill`] were kept and how many ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Points that changed the history.
    pub kept: usize,
    /// Points that did not, for any reason that [`Recorded`] names.
    pub ignored: usize,
}

/// Why there can be no history of this shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A step that is not a whole number of seconds between 1 s and [`STEP_MAX`].
    #[error(
        "step `{step:#}` is not a whole number of seconds from 1s to {STEP_MAX:#}; \
         use 5m unless you know better"
    )]
    Step {
        /// What was asked for.
        step: SignedDuration,
    },
    /// No slots, or more than [`SLOTS_MAX`].
    #[error("{slots} slots is not between 1 and {SLOTS_MAX}; use 4032 for 14 days of 5m")]
    Slots {
        /// What was asked for.
        slots: usize,
    },
}

/// The past of one series: a ring of equally wide slots, each with one value or a gap.
///
/// Slot `k` covers `[k·step, (k+1)·step)` counted from the Unix epoch. Values are kept as `f32`
/// (seven digits: enough for a load, not for a counter), so a fortnight of 5 min takes 15.75 KiB.
/// The unit of the values is the caller's and the same for the whole series.
///
/// Bounded: it never grows after [`History::new`]. Total: no input makes it panic.
#[derive(Clone, Debug)]
pub struct History {
    step_seconds: i64,
    /// Slot `k` is at `k mod len`; NaN is a gap.
    values: Box<[f32]>,
    n_present: usize,
    span: Option<Span>,
    usual_low: Option<CachedLow>,
}

/// Which slots the ring holds, and the running mean of the newest.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// First slot a sample was ever kept for, or the first still in the ring.
    oldest: i64,
    newest: i64,
    /// Mean of the samples of the newest slot, before rounding to `f32`.
    mean: f64,
    n_samples: u32,
}

#[derive(Clone, Copy, Debug)]
struct CachedLow {
    computed_in_slot: i64,
    value: Option<f64>,
}

impl History {
    /// An empty history of `slots` slots, each `step` wide.
    ///
    /// # Errors
    ///
    /// When `step` is not a whole number of seconds in `1 s ..= 24 h`, or `slots` is not in
    /// `1 ..= SLOTS_MAX`.
    pub fn new(step: SignedDuration, slots: usize) -> Result<History, HistoryError> {
        if step.subsec_nanos() != 0 || step.as_secs() < 1 || STEP_MAX < step {
            return Err(HistoryError::Step { step });
        }
        if slots == 0 || SLOTS_MAX < slots {
            return Err(HistoryError::Slots { slots });
        }
        Ok(History::empty(step.as_secs(), slots))
    }

    /// An empty history of 14 days in slots of 5 min: what the agent keeps of every signal.
    pub fn fortnight() -> History {
        History::empty(STEP.as_secs(), SLOTS)
    }

    fn empty(step_seconds: i64, slots: usize) -> History {
        let values = vec![f32::NAN; slots].into_boxed_slice();
        History { step_seconds, values, n_present: 0, span: None, usual_low: None }
    }

    /// Keeps one sample, or says why not.
    ///
    /// Samples of the newest slot are averaged. A later sample for an older slot fills a gap and
    /// never changes a value: of the older slots only the mean is left, not how many it is of.
    /// `now` only serves to refuse samples of slots that begin after it.
    pub fn record(&mut self, now: Timestamp, at: Timestamp, value: f64) -> Recorded {
        let Some(rounded) = to_stored(value) else { return Recorded::NotFinite };
        let slot = self.slot_of(at);
        if self.slot_of(now) < slot {
            return Recorded::Future;
        }
        let Some(span) = self.span else {
            self.open(Span { oldest: slot, newest: slot, mean: value, n_samples: 1 }, rounded);
            return Recorded::Opened;
        };
        if span.newest < slot {
            self.clear_between(span.newest, slot);
            let oldest = span.oldest.max(slot - self.slots() + 1);
            self.open(Span { oldest, newest: slot, mean: value, n_samples: 1 }, rounded);
            return Recorded::Opened;
        }
        if slot == span.newest {
            let n_samples = span.n_samples.saturating_add(1);
            let mean = span.mean + (value - span.mean) / f64::from(n_samples);
            self.put(slot, to_stored(mean).unwrap_or(rounded));
            self.span = Some(Span { mean, n_samples, ..span });
            return Recorded::Averaged;
        }
        if slot <= span.newest - self.slots() {
            return Recorded::TooOld;
        }
        if self.value_in(slot).is_some() {
            return Recorded::AlreadyPresent;
        }
        self.put(slot, rounded);
        self.span = Some(Span { oldest: span.oldest.min(slot), ..span });
        Recorded::FilledGap
    }

    /// Keeps many points, as [`History::record`] does, and forgets the cached usual low.
    ///
    /// Points in order of time are averaged per slot; of points out of order the first of an
    /// older slot wins. Values that are already there win over the points.
    pub fn backfill(
        &mut self,
        now: Timestamp,
        points: impl IntoIterator<Item = (Timestamp, f64)>,
    ) -> Backfilled {
        let mut backfilled = Backfilled::default();
        for (at, value) in points {
            if self.record(now, at, value).is_kept() {
                backfilled.kept += 1;
            } else {
                backfilled.ignored += 1;
            }
        }
        self.usual_low = None;
        backfilled
    }

    /// Slots from the oldest kept sample to the newest, gaps included; at most the ring's slots.
    pub fn len(&self) -> usize {
        self.span
            .and_then(|span| usize::try_from(span.newest - span.oldest + 1).ok())
            .unwrap_or_default()
    }

    /// Has no sample been kept yet?
    pub fn is_empty(&self) -> bool {
        self.span.is_none()
    }

    /// Slots that have a value.
    pub fn n_present(&self) -> usize {
        self.n_present
    }

    /// Slots that have a value, as a fraction of *all* slots of the ring: `0.0 ..= 1.0`.
    ///
    /// 0.5 of a fortnight is seven days without a gap, or fourteen with every second slot.
    pub fn coverage(&self) -> f64 {
        to_f64(self.n_present) / to_f64(self.values.len())
    }

    /// Values that must be present before a quantile is given: one day of a fortnight.
    pub fn n_present_min(&self) -> usize {
        self.values.len().div_ceil(PRESENT_RATIO_MIN_INVERSE)
    }

    /// Width of one slot.
    pub fn step(&self) -> SignedDuration {
        SignedDuration::from_secs(self.step_seconds)
    }

    /// Start of the newest slot that has a value.
    pub fn newest_at(&self) -> Option<Timestamp> {
        self.span.map(|span| self.start_of(span.newest))
    }

    /// The `q`-quantile of the values that are present, by nearest rank: the smallest value that
    /// at least `q` of them do not exceed. 0 gives the minimum, 1 the maximum.
    ///
    /// Returns `None` when fewer than [`History::n_present_min`] values are present, or `q` is
    /// not in `0.0 ..= 1.0`. Allocates; in a loop over many series use
    /// [`History::quantile_in`].
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.quantile_in(q, &mut Vec::new())
    }

    /// [`History::quantile`] with room to work in: `scratch` is cleared, filled, and left with
    /// its allocation for the next series.
    pub fn quantile_in(&self, q: f64, scratch: &mut Vec<f32>) -> Option<f64> {
        if !(0.0..=1.0).contains(&q) || self.n_present < self.n_present_min() {
            return None;
        }
        scratch.clear();
        scratch.extend(self.values.iter().copied().filter(|value| !value.is_nan()));
        let rank = nearest_rank(q, scratch.len())?;
        let (_, value, _) = scratch.select_nth_unstable_by(rank, f32::total_cmp);
        Some(f64::from(*value))
    }

    /// How low the series usually gets: its 1st percentile ([`USUAL_LOW_QUANTILE`]).
    ///
    /// Computed at most once per slot and kept until the next slot opens or a
    /// [`History::backfill`]: it is a fact about two weeks, and five minutes do not change it.
    /// `None` as in [`History::quantile`].
    ///
    /// Cost: two comparisons when kept. Computed anew from 4,032 points 11 us mean, 14 us p99
    /// (release, one core of an AMD EPYC, 2026-11-20, `examples/history_cost.rs`), so 10,000
    /// series whose slots open together take 0.11 s.
    pub fn usual_low(&mut self, scratch: &mut Vec<f32>) -> Option<f64> {
        let newest = self.span?.newest;
        if let Some(cached) = self.usual_low
            && cached.computed_in_slot == newest
        {
            return cached.value;
        }
        let value = self.quantile_in(USUAL_LOW_QUANTILE, scratch);
        self.usual_low = Some(CachedLow { computed_in_slot: newest, value });
        value
    }

    /// What [`History::usual_low`] last computed, for a reader that may not change anything.
    /// `None` when it was never computed, or there was too little to compute it from.
    pub fn usual_low_cached(&self) -> Option<f64> {
        self.usual_low.and_then(|cached| cached.value)
    }

    /// The value of the slot that holds `at`, else of the nearest within three slots; of two
    /// equally near the earlier, which is the one that was known first.
    pub fn value_near(&self, at: Timestamp) -> Option<f64> {
        let slot = self.slot_of(at);
        (0..=NEAR_SLOTS)
            .flat_map(|distance| [slot - distance, slot + distance])
            .find_map(|near| self.value_in(near))
    }

    /// Every value that is present with the start of its slot, from the oldest to the newest.
    /// Gaps are left out; they show as steps in the timestamps.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        let slots = self.span.map_or(0..0, |span| span.oldest..span.newest + 1);
        slots.filter_map(|slot| Some((self.start_of(slot), self.value_in(slot)?)))
    }

    fn slots(&self) -> i64 {
        i64::try_from(self.values.len()).unwrap_or(i64::MAX)
    }

    fn slot_of(&self, at: Timestamp) -> i64 {
        // Before 1970 the fraction of a second is negative and belongs to the second before.
        let second = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
        second.div_euclid(self.step_seconds)
    }

    fn start_of(&self, slot: i64) -> Timestamp {
        // Only the very first slot of all time can begin before the first instant there is.
        Timestamp::from_second(slot * self.step_seconds).unwrap_or(Timestamp::MIN)
    }

    fn position(&self, slot: i64) -> usize {
        usize::try_from(slot.rem_euclid(self.slots())).unwrap_or_default()
    }

    fn value_in(&self, slot: i64) -> Option<f64> {
        let span = self.span?;
        if slot < span.oldest || span.newest < slot {
            return None;
        }
        let value = *self.values.get(self.position(slot))?;
        (!value.is_nan()).then(|| f64::from(value))
    }

    fn open(&mut self, span: Span, value: f32) {
        self.put(span.newest, value);
        self.span = Some(span);
    }

    fn put(&mut self, slot: i64, value: f32) {
        let position = self.position(slot);
        if let Some(place) = self.values.get_mut(position) {
            self.n_present += usize::from(place.is_nan());
            *place = value;
        }
    }

    /// Empties the slots after `newest` up to and with `slot`, which are about to be passed.
    fn clear_between(&mut self, newest: i64, slot: i64) {
        if self.slots() <= slot - newest {
            self.values.fill(f32::NAN);
            self.n_present = 0;
            return;
        }
        for passed in newest + 1..=slot {
            let position = self.position(passed);
            if let Some(place) = self.values.get_mut(position) {
                self.n_present -= usize::from(!place.is_nan());
                *place = f32::NAN;
            }
        }
    }
}

/// The value as it is stored, or `None` when it is not a finite `f32`.
fn to_stored(value: f64) -> Option<f32> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seven digits are enough for a load; what does not fit becomes infinite, \
                  which the next line refuses"
    )]
    let stored = value as f32;
    stored.is_finite().then_some(stored)
}

/// Index of the nearest-rank quantile in `n` sorted values; `None` when there are none.
fn nearest_rank(q: f64, n: usize) -> Option<usize> {
    let last = n.checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "q is in 0..=1, so the rank is in 0..=n; `as` also saturates"
    )]
    let rank = (q * to_f64(n)).ceil() as usize;
    Some(rank.saturating_sub(1).min(last))
}

#[expect(clippy::cast_precision_loss, reason = "at most SLOTS_MAX, far below 2^53")]
fn to_f64(n: usize) -> f64 {
    n as f64
}
