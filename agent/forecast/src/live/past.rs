//! What a live forecaster remembers of its series, and what it reads out of it.
//!
//! **In:** one value per fast step, in order; the calendar's and the clock's view.
//! **Out:** rows of features for [`super::regress`], for any recent instant.
//! **Not here:** learning from the rows ([`super::lead`]).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::ring::Ring;

/// Days that the fortnight of slow steps can be asked about.
pub(crate) const DAYS_BACK: usize = 8;

/// Features of the moment, and of the seasons.
pub(crate) const N_MOMENT: usize = 6;
const N_SEASONAL: usize = 9;
pub(crate) const N_FEATURES: usize = N_MOMENT + N_SEASONAL;

/// Weights before anything was learned: the load stays where it is, and follows
/// two thirds of what it did at the same time on the days before.
pub(crate) const PRIOR_WEIGHTS: [f32; N_FEATURES] =
    [-0.3, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0];

/// The grids, in seconds and slots.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Seconds per fast slot.
    pub(crate) fast: i64,
    /// Seconds per slow slot; a multiple of nothing in particular.
    pub(crate) slow: i64,
}

impl Pace {
    pub(crate) fn fast_slot(self, at: Timestamp) -> i64 {
        at.as_second().div_euclid(self.fast)
    }

    /// How many fast slots a number of minutes is, at least 1.
    #[expect(clippy::cast_precision_loss, reason = "at most 1,440 minutes of 10 s")]
    pub(crate) fn slots(self, minutes: i64) -> f64 {
        ((minutes * 60) as f64 / self.fast as f64).max(1.0)
    }

    /// The same, rounded.
    pub(crate) fn whole_slots(self, minutes: i64) -> i64 {
        ((minutes * 60 + self.fast / 2) / self.fast).max(1)
    }
}

/// The state of the moment after one slot, for rows about it later: features, and
/// the mean over half an hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment([f32; MOMENT_LEN]);

const MOMENT_LEN: usize = N_MOMENT + 1;
/// The same, as slots of a ring: one per number.
const PER_MOMENT: i64 = 7;

/// What there was around one slot on the days and in the hours before; two of them,
/// where a forecast is made and when it is for, give the seasonal part of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    /// Yesterday's mean within one, three and four minutes.
    near: [f64; 3],
    /// Yesterday's highest within three minutes.
    highest: f64,
    /// At the same local time 1 to 7 days before, from the slow steps.
    days: [f64; DAYS_BACK - 1],
    /// 1 to 23 hours before.
    hours: [f64; 23],
}

/// Everything remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) pace: Pace,
    /// A day and an hour of fast slots.
    fast: Ring,
    /// A fortnight of slow slots.
    pub(crate) slow: Ring,
    /// The slow slot that is being filled: number, sum, count.
    filling: Option<(i64, f64, f64)>,
    moments: Ring,
    means: [f64; 4],
    /// What one slot moves each of them.
    shares: [f64; 4],
    /// Mean load over about a day, the unit of constants.
    pub(crate) level: f64,
    previous: f64,
    n_taken: u64,
    /// Fast slots from now back to the same local time 1 ..= 8 days before.
    days: [i64; DAYS_BACK],
    /// The same in slow slots, and the seconds that remain.
    slow_days: [(i64, i64); DAYS_BACK],
    days_of_hour: i64,
    /// Seconds that local time is ahead of UTC.
    offset: i64,
}

/// Fast slots within four minutes of one. Why 49: six of 10 s to a minute.
const WINDOW_MAX: usize = 49;

/// Time constants of the moving means, in minutes.
///
/// Why these: 3 min is the noise of single values, 10 and 30 min the trend that a
/// lead time of 5 min sees, 2 h the level (research on six traces, 2026-11-21).
const MEAN_MINUTES: [i64; 4] = [3, 10, 30, 120];

/// The longest gap that is bridged by a straight line. Why 5 min: a scrape or two
/// missed, and the step of a backfill.
const BRIDGED_MINUTES: i64 = 5;

impl Past {
    pub(crate) fn new(pace: Pace) -> Past {
        Past {
            pace,
            fast: Ring::new(fast_len(pace)),
            slow: Ring::new(slow_len(pace)),
            filling: None,
            moments: Ring::new(moments_len(pace)),
            means: [0.0; 4],
            shares: MEAN_MINUTES.map(|minutes| share(pace.slots(minutes))),
            level: 0.0,
            previous: 0.0,
            n_taken: 0,
            days: [0; DAYS_BACK],
            slow_days: [(0, 0); DAYS_BACK],
            days_of_hour: i64::MIN,
            offset: 0,
        }
    }

    /// The newest slot with a value.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.fast.newest()
    }

    pub(crate) fn value(&self, slot: i64) -> f64 {
        self.fast.get(slot)
    }

    /// Takes in the value of a slot that is over. `seasonal` is what it would have
    /// been on a day without event, NaN inside an incident.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a load")]
    pub(crate) fn take(&mut self, slot: i64, value: f64, seasonal: f64, zone: &TimeZone) {
        self.look_back(slot, zone);
        let gap = self.newest().map_or(i64::MAX, |newest| slot.saturating_sub(newest));
        if gap <= 0 {
            return;
        }
        if gap <= self.pace.whole_slots(BRIDGED_MINUTES) {
            let (from, newest) = (self.previous, slot - gap);
            #[expect(clippy::cast_precision_loss, reason = "a few slots")]
            for bridged in 1..gap {
                let share = bridged as f64 / gap as f64;
                let between = from + share * (value - from);
                self.fast.put(newest + bridged, between as f32);
                self.step(newest + bridged, between);
            }
        } else {
            self.means = [value; 4];
            self.previous = value;
        }
        self.fast.put(slot, value as f32);
        self.step(slot, value);
        self.fill(slot, seasonal);
        self.n_taken += 1;
    }

    fn step(&mut self, slot: i64, value: f64) {
        let (Moment(moment), means) = self.advanced(value);
        self.means = means;
        #[expect(clippy::cast_precision_loss, reason = "counts of slots")]
        let ramp = (self.n_taken as f64 + 1.0).min(self.pace.slots(1_440));
        self.level += (value - self.level) / ramp;
        self.previous = value;
        for (place, it) in (slot.saturating_mul(PER_MOMENT)..).zip(moment) {
            self.moments.put(place, it);
        }
    }

    /// The moment as it is once `value` has been taken in, and its means.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a load")]
    fn advanced(&self, value: f64) -> (Moment, [f64; 4]) {
        let mut means = self.means;
        for (mean, share) in means.iter_mut().zip(self.shares) {
            *mean += share * (value - *mean);
        }
        let [m3, m10, m30, m120] = means;
        let moment = [
            (value - m3) as f32,
            (m3 - m10) as f32,
            (m10 - m30) as f32,
            (m30 - m120) as f32,
            (value - self.previous) as f32,
            (CONSTANT_RATIO * self.level) as f32,
            m30 as f32,
        ];
        (Moment(moment), means)
    }

    /// The moment as if `value` were taken in now.
    pub(crate) fn moment_if(&self, value: f64) -> Moment {
        self.advanced(value).0
    }

    /// The moment after a slot; `None` when it is not remembered.
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    pub(crate) fn moment(&self, slot: i64) -> Option<Moment> {
        let mut moment = [0.0; MOMENT_LEN];
        for (place, to) in (slot.saturating_mul(PER_MOMENT)..).zip(&mut moment) {
            *to = self.moments.get(place) as f32;
        }
        (!moment[0].is_nan()).then_some(Moment(moment))
    }

    fn fill(&mut self, slot: i64, value: f64) {
        let slow = slot.saturating_mul(self.pace.fast).div_euclid(self.pace.slow);
        match &mut self.filling {
            Some((filled, sum, n)) if *filled == slow => {
                if value.is_finite() {
                    *sum += value;
                    *n += 1.0;
                }
            }
            other => {
                let done = other.replace(if value.is_finite() {
                    (slow, value, 1.0)
                } else {
                    (slow, 0.0, 0.0)
                });
                if let Some((filled, sum, n)) = done
                    && 0.0 < n
                {
                    #[expect(clippy::cast_possible_truncation, reason = "kept as f32")]
                    self.slow.put(filled, (sum / n) as f32);
                }
            }
        }
    }

    /// Finds how many slots ago the same local time of the last days was.
    fn look_back(&mut self, slot: i64, zone: &TimeZone) {
        let seconds = slot.saturating_mul(self.pace.fast);
        let hour = seconds.div_euclid(3_600);
        if hour == self.days_of_hour {
            return;
        }
        self.days_of_hour = hour;
        self.offset = offset_seconds(seconds, zone);
        for (ago, place) in (1..).zip(&mut self.days) {
            *place = seconds_since_local(seconds, ago, zone).div_euclid(self.pace.fast);
        }
        for (place, slots) in self.slow_days.iter_mut().zip(self.days) {
            let seconds = slots.saturating_mul(self.pace.fast);
            *place = (seconds.div_euclid(self.pace.slow), seconds.rem_euclid(self.pace.slow));
        }
    }

    /// Local time of day of a slot, as a share in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "seconds of one day")]
    pub(crate) fn day_share(&self, slot: i64) -> f64 {
        let local = slot.saturating_mul(self.pace.fast).saturating_add(self.offset);
        local.rem_euclid(86_400) as f64 / 86_400.0
    }

    /// Slots since the same local time `ago` days before; 1 is yesterday.
    pub(crate) fn day(&self, ago: usize) -> i64 {
        self.days.get(ago.wrapping_sub(1)).copied().unwrap_or(i64::MAX)
    }

    /// The usual load at a slot: the mean of the days before at this local time,
    /// events taken out; NaN when there is none.
    pub(crate) fn usual(&self, slot: i64) -> f64 {
        let mut days = Mean::default();
        for before in self.days_before(slot) {
            if !before.is_nan() {
                days.add(before);
            }
        }
        days.get().unwrap_or(f64::NAN)
    }

    /// The seasonal past at the local time of a slot 1 to 7 days before it, between
    /// the slow slots around that; NaN where there is none.
    fn days_before(&self, slot: i64) -> [f64; DAYS_BACK - 1] {
        let slow = self.pace.slow;
        let seconds = slot.saturating_mul(self.pace.fast).saturating_add(self.pace.fast / 2);
        let from_middle = seconds.saturating_sub(slow / 2);
        let (whole, rest) = (from_middle.div_euclid(slow), from_middle.rem_euclid(slow));
        let mut before = [f64::NAN; DAYS_BACK - 1];
        for (to, (whole_ago, rest_ago)) in before.iter_mut().zip(self.slow_days) {
            let borrowed = i64::from(rest < rest_ago);
            let left = whole.saturating_sub(whole_ago).saturating_sub(borrowed);
            #[expect(clippy::cast_precision_loss, reason = "seconds of one slow slot")]
            let share = (rest - rest_ago + borrowed * slow) as f64 / slow as f64;
            let (a, b) = (self.slow.get(left), self.slow.get(left.saturating_add(1)));
            *to = match (a.is_nan(), b.is_nan()) {
                (false, false) => a + share * (b - a),
                (true, _) => b,
                (_, true) => a,
            };
        }
        before
    }

    /// What there was around a slot before.
    pub(crate) fn around(&self, slot: i64) -> Around {
        let minute = self.pace.whole_slots(1);
        let (mut window, reach) = ([0.0; WINDOW_MAX], 4 * minute);
        let n_window = usize::try_from(2 * reach + 1).unwrap_or(1).min(WINDOW_MAX);
        let (window, _) = window.split_at_mut(n_window);
        let yesterday = slot.saturating_sub(self.day(1));
        self.fast.back_from(yesterday.saturating_add(reach), 1, window);
        let mut means = [Mean::default(), Mean::default(), Mean::default()];
        let mut highest = f64::NAN;
        for (off, value) in (-reach..).zip(window.iter().rev()) {
            if value.is_nan() {
                continue;
            }
            for (mean, minutes) in means.iter_mut().zip([1, 3, 4]) {
                if off.abs() <= minutes * minute {
                    mean.add(*value);
                }
            }
            if off.abs() <= 3 * minute {
                highest = value.max(highest);
            }
        }
        let hour = self.pace.whole_slots(60);
        let mut hours = [f64::NAN; 23];
        self.fast.back_from(slot.saturating_sub(hour), hour, &mut hours);
        let near = means.map(|it| it.get().unwrap_or(f64::NAN));
        Around { near, highest, days: self.days_before(slot), hours }
    }

    /// The row for a forecast from `value` at a `moment` that `here` is around, for
    /// the slot that `there` is around. Yesterday's spikes count above `spike_from`.
    pub(crate) fn row(
        &self,
        (moment, value): (Moment, f64),
        here: &Around,
        there: &Around,
        spike_from: f64,
    ) -> Row {
        let Moment(moment) = moment;
        let mut features = [0.0; N_FEATURES];
        for (to, from) in features.iter_mut().zip(moment.iter().take(N_MOMENT)) {
            *to = f64::from(*from);
        }
        let half_hour = f64::from(moment[N_MOMENT]);
        let known = |it: f64| if it.is_finite() { it } else { 0.0 };
        let yesterday = [known(there.near[0] - here.near[0]), known(there.near[2] - here.near[2])];
        let mut days_before = Mean::default();
        let mut ratios = Mean::default();
        let mut levels = Mean::default();
        let little = 0.05 * self.level;
        for (ago, (from, to)) in (1..).zip(here.days.iter().zip(&there.days)) {
            if from.is_nan() || to.is_nan() {
                continue;
            }
            if 1 < ago {
                days_before.add(to - from);
            }
            ratios.add((to + little) / (from + little));
            if ago <= 3 {
                levels.add(*from);
            }
        }
        let last_week = known(there.days[6] - here.days[6]);
        let days_before = days_before.get().unwrap_or(yesterday[1]);
        let by_ratio = ratios.get().map_or(0.0, |it| value * (it - 1.0));
        let by_ratio = by_ratio.clamp(-self.level, self.level);
        let above = levels.get().map_or(0.0, |it| half_hour - it) * 0.2;
        let (mut half_day, mut full_day) = (Mean::default(), Mean::default());
        for (hours, (from, to)) in (1..).zip(here.hours.iter().zip(&there.hours)) {
            let change = to - from;
            if change.is_nan() {
                continue;
            }
            if hours <= 12 {
                half_day.add(change);
            }
            full_day.add(change);
        }
        // Jobs come back at their hour, but only to the minute.
        let spike = there.highest - here.near[1] - spike_from;
        let spike = if 0.0 < spike { spike } else { 0.0 };
        let seasonal: [f64; N_SEASONAL] = [
            yesterday[0],
            yesterday[1],
            days_before,
            last_week,
            by_ratio,
            above,
            half_day.get().unwrap_or(0.0),
            full_day.get().unwrap_or(0.0),
            spike,
        ];
        for (to, from) in features.iter_mut().skip(N_MOMENT).zip(seasonal) {
            *to = from;
        }
        Row { features, value, spike }
    }

    pub(crate) fn is_sound(&self) -> bool {
        (1..=3_600).contains(&self.pace.fast)
            && (self.pace.fast..=3_600).contains(&self.pace.slow)
            && self.fast.is_sound(fast_len(self.pace))
            && self.slow.is_sound(slow_len(self.pace))
            && self.moments.is_sound(moments_len(self.pace))
            && self.slow_days.iter().all(|it| (0..self.pace.slow).contains(&it.1))
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.fast.heap_bytes() + self.slow.heap_bytes() + self.moments.heap_bytes()
    }
}

/// Days of slow steps: a week, and two days to spare.
///
/// Why not a fortnight: a second week costs 6 KB per series, and the daemon keeps
/// one anyway ([`crate::history`]).
const SLOW_DAYS: i64 = 9;

/// A day and two hours.
fn fast_len(pace: Pace) -> usize {
    usize::try_from(pace.whole_slots(1_440) + 2 * pace.whole_slots(60) + 16).unwrap_or(1)
}

fn slow_len(pace: Pace) -> usize {
    usize::try_from(SLOW_DAYS * 86_400 / pace.slow + 16).unwrap_or(1)
}

/// An hour, and what is made meanwhile.
fn moments_len(pace: Pace) -> usize {
    usize::try_from((pace.whole_slots(60) + 2) * PER_MOMENT).unwrap_or(1)
}

/// What the constant feature is, as a share of the level.
const CONSTANT_RATIO: f64 = 0.02;

/// One row: features, the load it starts from, and yesterday's spike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) features: [f64; N_FEATURES],
    pub(crate) value: f64,
    pub(crate) spike: f64,
}

/// A mean of what was there.
#[derive(Default)]
struct Mean {
    sum: f64,
    n: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1.0;
    }

    fn get(&self) -> Option<f64> {
        (0.0 < self.n).then(|| self.sum / self.n)
    }
}

/// What one value moves a mean with this time constant (in values).
pub(crate) fn share(values: f64) -> f64 {
    1.0 - (-1.0 / values.max(0.1)).exp()
}

/// Seconds from the same local time `ago` days before to `seconds`. A day of
/// 23 or 25 hours counts as one.
pub(crate) fn seconds_since_local(seconds: i64, ago: i64, zone: &TimeZone) -> i64 {
    let day = 86_400 * ago;
    let offset = |at: i64| offset_seconds(at, zone);
    // Local time is UTC plus offset: where it was smaller then, the same local
    // time was later.
    let then = seconds.saturating_sub(day);
    day + offset(then) - offset(seconds)
}

fn offset_seconds(at: i64, zone: &TimeZone) -> i64 {
    Timestamp::from_second(at).map_or(0, |it| i64::from(zone.to_offset(it).seconds()))
}
