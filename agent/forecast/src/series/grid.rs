//! Putting samples on a grid.
//!
//! **In:** samples by time, and the [`Spacing`] they ask for.
//! **Out:** values at equal distances; what does not belong to the same stretch is left out.
//! **Not here:** what the step is (see [`super::spacing`]).

use std::ops::Range;

use jiff::SignedDuration;

use super::samples::{Order, SAMPLES_MAX, Sample, timestamp};
use super::spacing::Spacing;
use super::{LeftOut, Moved, Series, StepChange, Treatment};

/// Shortest gap, in steps, that can end a series; a gap must also have more steps than the
/// series has samples.
///
/// Why 1,000: three and a half days of 5 min, six weeks of hours; outages are shorter.
const GAP_STEPS_MIN: i64 = 1_000;

/// Least samples of a stretch that is taken for the series because it is the newest. Why 8: a
/// wrong clock leaves fewer.
const STRETCH_MIN: usize = 8;

/// The most slots of a grid; the newest are kept. Why as many as samples: more would be mostly
/// gaps.
const SLOTS_MAX: usize = SAMPLES_MAX;

/// In how many parts a step is divided to find where within it samples lie. Why 64: finer than
/// the jitter of a scrape, 5 s of 5 min.
const PHASES: usize = 64;

/// A sample counts as moved when it is farther from its slot than this part of a step. Why 100:
/// half a second of a minute is of no consequence.
const MOVED_PART: i64 = 100;

/// The stretch of samples without absurd gaps that is the series: the newest one that is no
/// stray; and what was left out.
pub(super) fn without_strays(
    order: &Order,
    all: &[Sample],
    step_us: i64,
) -> (Range<usize>, Option<LeftOut>) {
    let n_samples = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let longest_us = step_us.saturating_mul(n_samples.max(GAP_STEPS_MIN));
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut starts = 0;
    let mut before: Option<i64> = None;
    let mut gap_us = 0;
    for (nth, at_us) in order.times(all, 0..all.len()).enumerate() {
        let distance = before.map_or(0, |it| at_us - it);
        if longest_us < distance {
            stretches.push(starts..nth);
            starts = nth;
            gap_us = gap_us.max(distance);
        }
        before = Some(at_us);
    }
    stretches.push(starts..all.len());
    let newest = stretches.iter().rev().find(|it| STRETCH_MIN <= it.len());
    let kept = newest.or_else(|| stretches.iter().max_by_key(|it| (it.len(), it.start)));
    let kept = kept.cloned().unwrap_or(0..all.len());
    if stretches.len() < 2 {
        return (kept, None);
    }
    let out = (0..kept.start).chain(kept.end..all.len());
    let first = out.clone().map(|nth| order.sample(all, nth).0).min();
    let left_out = LeftOut {
        older: kept.start,
        newer: all.len() - kept.end,
        first: first.unwrap_or(0),
        gap: SignedDuration::from_micros(gap_us),
    };
    (kept, Some(left_out))
}

/// Lays the samples on the grid.
pub(super) fn lay(
    order: &Order,
    all: &[Sample],
    kept: Range<usize>,
    spacing: &Spacing,
    treatment: &mut Treatment,
) -> Series {
    let Spacing { step_us, change } = *spacing;
    // Where a finer part is averaged, a slot is what follows its time; otherwise a sample that
    // comes a little early belongs to the slot after it.
    let has_finer = change.is_some_and(|it| it.from_us.min(it.to_us) < step_us);
    let phase_us = phase(order, all, kept.clone(), step_us);
    let slot_of = |at_us: i64| {
        let distance = at_us - phase_us;
        if has_finer {
            distance.div_euclid(step_us)
        } else {
            (distance + step_us / 2).div_euclid(step_us)
        }
    };
    let newest_slot = slot_of(order.sample(all, kept.end.saturating_sub(1)).1.at_us);
    let oldest_slot = newest_slot.saturating_sub(i64::try_from(SLOTS_MAX).unwrap_or(i64::MAX) - 1);
    let mut values: Vec<f64> = Vec::new();
    let mut first_slot = None;
    let mut open = Mean::default();
    let mut open_slot = 0;
    let mut before_us = None;
    for nth in kept {
        let (index, Sample { at_us, value }) = order.sample(all, nth);
        let slot = slot_of(at_us);
        if slot < oldest_slot {
            treatment.too_old.note(index);
            continue;
        }
        if let Some(change) = change
            && change.at_us < at_us
            && treatment.step_change.is_none()
        {
            treatment.step_change = Some(StepChange {
                index,
                from: SignedDuration::from_micros(change.from_us),
                to: SignedDuration::from_micros(change.to_us),
            });
        }
        let off_us = (at_us - phase_us - slot * step_us).abs();
        if !has_finer && step_us / MOVED_PART < off_us {
            let moved = treatment.moved.get_or_insert_with(|| Moved::first(index));
            moved.count += 1;
            moved.furthest = moved.furthest.max(SignedDuration::from_micros(off_us));
        }
        if first_slot.is_none() {
            first_slot = Some(slot);
            open_slot = slot;
        } else if slot == open_slot {
            if before_us != Some(at_us) && !has_finer {
                treatment.merged.note(index);
            }
        } else {
            values.push(open.value());
            let n_missing = usize::try_from(slot - open_slot - 1).unwrap_or(0);
            values.extend(std::iter::repeat_n(f64::NAN, n_missing));
            open = Mean::default();
            open_slot = slot;
        }
        open.add(value);
        before_us = Some(at_us);
    }
    values.push(open.value());
    let starts_us = phase_us + first_slot.unwrap_or(0) * step_us;
    Series {
        starts_at: Some(timestamp(starts_us)),
        step: SignedDuration::from_micros(step_us),
        values,
    }
}

/// A time at which slots lie: that of the first sample in the fullest of [`PHASES`] parts of the
/// step. For a series that is regular, its first time.
fn phase(order: &Order, all: &[Sample], kept: Range<usize>, step_us: i64) -> i64 {
    let origin_us = order.sample(all, kept.start).1.at_us;
    let part_of = |at_us: i64| {
        let part = i128::from((at_us - origin_us).rem_euclid(step_us)) * PHASES as i128;
        usize::try_from(part / i128::from(step_us)).unwrap_or(0)
    };
    let mut counts = [0_usize; PHASES];
    for at_us in order.times(all, kept.clone()) {
        if let Some(count) = counts.get_mut(part_of(at_us)) {
            *count += 1;
        }
    }
    let mut fullest = 0;
    for (part, count) in counts.iter().enumerate() {
        if counts.get(fullest).is_some_and(|it| it < count) {
            fullest = part;
        }
    }
    order.times(all, kept).find(|it| part_of(*it) == fullest).unwrap_or(origin_us)
}

/// A mean that cannot overflow; gaps do not count.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    n: u32,
    mean: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.n = self.n.saturating_add(1);
            self.mean += (value - self.mean) / f64::from(self.n);
        }
    }

    fn value(self) -> f64 {
        if self.n == 0 { f64::NAN } else { self.mean }
    }
}
