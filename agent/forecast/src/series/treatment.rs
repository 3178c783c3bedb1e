//! What was done to make a series of samples.
//!
//! **In:** what [`super::Samples`] and [`super::grid`] came across.
//! **Out:** [`Treatment`]: counts and first places, and sentences for people.
//! **Not here:** what made a series impossible ([`super::SeriesError`]).

use evenkeel_core::units::show_duration;
use jiff::SignedDuration;

use super::samples::VALUE_MAX;
use super::{Series, SeriesError};

/// How often something was found, and where first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// How often.
    pub count: usize,
    /// Position of the first, in the order of the file, from 0.
    pub first: Option<usize>,
}

impl Noted {
    pub(super) fn note(&mut self, index: usize) {
        self.count += 1;
        self.first = Some(self.first.map_or(index, |it| it.min(index)));
    }
}

/// Slots without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many gaps.
    pub count: usize,
    /// How many slots they have together.
    pub slots: usize,
    /// How many slots the longest has.
    pub longest: usize,
    /// The first slot of the longest, from 0.
    pub longest_at: usize,
    /// Whether the newest slot is in one.
    pub is_open: bool,
}

/// Samples that were not on the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// How many.
    pub count: usize,
    /// Position of the first, in the order of time.
    pub first: usize,
    /// The farthest that one was moved.
    pub furthest: SignedDuration,
}

impl Moved {
    pub(super) fn first(index: usize) -> Moved {
        Moved { count: 0, first: index, furthest: SignedDuration::ZERO }
    }
}

/// Where the distance of samples changes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepChange {
    /// Position of the first sample after it.
    pub index: usize,
    /// Distance before.
    pub from: SignedDuration,
    /// Distance after.
    pub to: SignedDuration,
}

/// Samples on the other side of an absurdly long gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many before what was kept.
    pub older: usize,
    /// How many after it.
    pub newer: usize,
    /// Position of the first of them in the file.
    pub first: usize,
    /// The longest such gap.
    pub gap: SignedDuration,
}

/// What was done to make a series. All counts 0: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Treatment {
    /// Earlier than the sample before: sorted.
    pub unsorted: Noted,
    /// Back by exactly an hour less a step, as local clocks in autumn: sorted.
    pub clock_changes: Noted,
    /// At the time of another sample: averaged.
    pub duplicates: Noted,
    /// NaN or missing: a gap.
    pub not_numbers: Noted,
    /// Infinite, or beyond [`VALUE_MAX`]: a gap.
    pub infinite: Noted,
    /// Below 0: kept, because some series are.
    pub negative: Noted,
    /// The step changes: the coarser one is used, the finer part averaged.
    pub step_change: Option<StepChange>,
    /// Not on the grid: moved to the nearest slot.
    pub moved: Option<Moved>,
    /// In the slot of another sample: averaged.
    pub merged: Noted,
    /// On the other side of an absurd gap: left out.
    pub left_out: Option<LeftOut>,
    /// Older than the longest series reaches: left out.
    pub too_old: Noted,
    /// Slots without a value.
    pub gaps: Gaps,
}

impl Treatment {
    /// What `value` is on the grid.
    pub(super) fn note_value(&mut self, index: usize, value: f64) -> f64 {
        if value.is_nan() {
            self.not_numbers.note(index);
            return f64::NAN;
        }
        if VALUE_MAX < value.abs() {
            self.infinite.note(index);
            return f64::NAN;
        }
        if value < 0.0 {
            self.negative.note(index);
        }
        value
    }

    pub(super) fn note_gaps(&mut self, values: &[f64]) -> Result<(), SeriesError> {
        let mut length = 0;
        for (slot, value) in values.iter().enumerate() {
            if value.is_finite() {
                length = 0;
                continue;
            }
            length += 1;
            self.gaps.slots += 1;
            if length == 1 {
                self.gaps.count += 1;
            }
            if self.gaps.longest < length {
                self.gaps.longest = length;
                self.gaps.longest_at = slot + 1 - length;
            }
        }
        self.gaps.is_open = 0 < length;
        if self.gaps.slots == values.len() {
            return Err(SeriesError::NothingKnown { found: values.len() });
        }
        Ok(())
    }

    /// The treatment in sentences without a full stop, the gravest first; empty when nothing was
    /// done. `place` names the place of the sample at a position, such as `line 7`.
    pub fn notes(&self, series: &Series, place: &dyn Fn(usize) -> String) -> Vec<String> {
        let Treatment {
            unsorted,
            clock_changes,
            duplicates,
            not_numbers,
            infinite,
            negative,
            step_change,
            moved,
            merged,
            left_out,
            too_old,
            gaps,
        } = self;
        let mut notes = Vec::new();
        let mut note = |noted: &Noted, one: &str, many: &str, done: &str| {
            let Some(first) = noted.first else { return };
            let first = place(first);
            notes.push(match noted.count {
                1 => format!("1 {one} at {first}: {done}"),
                n => format!("{n} {many}, the first at {first}: {done}"),
            });
        };
        note(too_old, "sample", "samples", "older than the longest series reaches, left out");
        note(unsorted, "timestamp out of order", "timestamps out of order", "sorted");
        note(
            clock_changes,
            "jump back by an hour, as of clocks in autumn,",
            "jumps back by an hour, as of clocks in autumn,",
            "the hour that is there twice was averaged",
        );
        note(duplicates, "duplicate timestamp", "duplicate timestamps", "averaged");
        note(not_numbers, "value is missing or NaN", "values are missing or NaN", "taken as gaps");
        note(
            infinite,
            "value is infinite or beyond 1e38",
            "values are infinite or beyond 1e38",
            "taken as gaps",
        );
        note(negative, "value is negative", "values are negative", "kept");
        note(
            merged,
            "sample shares its step with another",
            "samples share their step with another",
            "averaged",
        );
        if let Some(LeftOut { older, newer, first, gap }) = left_out {
            notes.insert(
                0,
                format!(
                    "{older} older and {newer} newer samples, the first at {}, are up to {} away \
                     from the rest: left out",
                    place(*first),
                    shown(*gap),
                ),
            );
        }
        if let Some(StepChange { index, from, to }) = step_change {
            notes.push(format!(
                "the step changes from {} to {} at {}: used {}",
                shown(*from),
                shown(*to),
                place(*index),
                shown(series.step),
            ));
        }
        if let Some(Moved { count, first, furthest }) = moved {
            notes.push(format!(
                "{count} irregular timestamps, the first at {}: moved to the nearest step of {}, \
                 by at most {}",
                place(*first),
                shown(series.step),
                shown(*furthest),
            ));
        }
        if 0 < gaps.count {
            notes.push(gaps_note(gaps, series));
        }
        notes
    }
}

fn gaps_note(gaps: &Gaps, series: &Series) -> String {
    let Gaps { count, slots, longest, longest_at, is_open } = gaps;
    let steps = |n: usize| if n == 1 { "1 step".to_owned() } else { format!("{n} steps") };
    let from = match series.time_of(*longest_at) {
        Some(at) => at.to_string(),
        None => format!("value {}", longest_at + 1),
    };
    let open = if *is_open { "; one is at the end" } else { "" };
    match count {
        1 => format!("1 gap of {} from {from}{open}", steps(*slots)),
        _ => format!(
            "{count} gaps, {} in all, the longest {} from {from}{open}",
            steps(*slots),
            steps(*longest)
        ),
    }
}

/// Units of people where the duration has whole seconds; of many days, only the days.
fn shown(duration: SignedDuration) -> String {
    if 9 < duration.as_hours() / 24 {
        return format!("{} days", duration.as_hours() / 24);
    }
    if duration.subsec_nanos() == 0 { show_duration(duration) } else { format!("{duration:#}") }
}
