//! From samples in the order of a file to a [`Series`].
//!
//! **In:** times and values, one by one; any order, any quality.
//! **Out:** a [`Series`] and its [`Treatment`].
//! **Not here:** what the step is (see [`super::spacing`]), the grid itself (see [`super::grid`]).

use jiff::Timestamp;

use super::grid;
use super::spacing;
use super::{Series, SeriesError, Treatment};

/// The most samples of one series.
///
/// Why 20 million: two thirds of a year of seconds. They take 320 MB here, and seconds to sort.
pub const SAMPLES_MAX: usize = 20_000_000;

/// The largest magnitude of a value; beyond it a value counts as infinite.
///
/// Why 1e38: it is what an `f32` can hold, as in [`crate::History`]; squares and sums of squares of
/// it are still finite, and no measurement comes near it.
pub const VALUE_MAX: f64 = 1e38;

/// How far local clocks are set back in autumn, in microseconds. Lord Howe Island's half hour
/// is told as out of order, and treated the same.
const CLOCK_CHANGE_US: i64 = 3_600_000_000;

/// One sample. Microseconds since 1970, to which times are rounded: every time that a
/// [`Timestamp`] can hold fits, and two of them can be subtracted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at_us: i64,
    pub(super) value: f64,
}

/// Samples of one series, as they come.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    all: Vec<Sample>,
    /// The distance between the two before the newest.
    distance_us: i64,
    treatment: Treatment,
}

impl Samples {
    /// None yet.
    pub fn new() -> Samples {
        Samples::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds one. A value that is not finite or above [`VALUE_MAX`] is a gap, and counted; a
    /// negative one is kept, and counted.
    ///
    /// # Errors
    ///
    /// [`SeriesError::TooMany`] after [`SAMPLES_MAX`].
    pub fn push(&mut self, at: Timestamp, value: f64) -> Result<(), SeriesError> {
        let index = self.all.len();
        if index == SAMPLES_MAX {
            return Err(SeriesError::TooMany { max: SAMPLES_MAX });
        }
        let value = self.treatment.note_value(index, value);
        let at_us = at.as_microsecond();
        if let Some(before) = self.all.last() {
            let distance_us = at_us - before.at_us;
            if distance_us < 0 {
                // Local time without a zone: after 02:59 comes 02:00 once more.
                let is_clock = 0 < self.distance_us
                    && self.distance_us < CLOCK_CHANGE_US
                    && distance_us == self.distance_us - CLOCK_CHANGE_US;
                let noted = if is_clock {
                    &mut self.treatment.clock_changes
                } else {
                    &mut self.treatment.unsorted
                };
                noted.note(index);
            }
            self.distance_us = distance_us;
        }
        self.all.push(Sample { at_us, value });
        Ok(())
    }

    /// The series that they are.
    ///
    /// Sorted by time; samples at equal times averaged; a part before or after an absurdly long
    /// gap left out; on a grid whose step is the most common distance, or the coarser one where
    /// the step changes half-way; samples of one slot averaged; NaN where there are none.
    ///
    /// # Errors
    ///
    /// [`SeriesError`] with fewer than two times, or no value that is a number.
    pub fn into_series(self) -> Result<(Series, Treatment), SeriesError> {
        let Samples { all, distance_us: _, mut treatment } = self;
        let found = all.len();
        if found < 2 {
            return Err(SeriesError::TooFew { found });
        }
        let is_sorted =
            treatment.unsorted.first.is_none() && treatment.clock_changes.first.is_none();
        let order = Order::of(&all, is_sorted);
        let mut before = None;
        for nth in 0..found {
            let (index, it) = order.sample(&all, nth);
            if before == Some(it.at_us) {
                treatment.duplicates.note(index);
            }
            before = Some(it.at_us);
        }
        let times = || order.times(&all, 0..found);
        let Some(spacing) = spacing::find(times) else {
            let at = all.first().map_or(Timestamp::UNIX_EPOCH, |it| timestamp(it.at_us));
            return Err(SeriesError::OneTime { found, at });
        };
        let (kept, left_out) = grid::without_strays(&order, &all, spacing.step_us);
        treatment.left_out = left_out;
        // What was left out may have been what the step came from.
        let spacing = if left_out.is_none() {
            spacing
        } else {
            spacing::find(|| order.times(&all, kept.clone())).unwrap_or(spacing)
        };
        let series = grid::lay(&order, &all, kept, &spacing, &mut treatment);
        treatment.note_gaps(&series.values)?;
        Ok((series, treatment))
    }
}

/// Samples by time: as they are, or through a table of positions.
#[derive(Debug)]
pub(super) struct Order(Option<Vec<u32>>);

impl Order {
    fn of(all: &[Sample], is_sorted: bool) -> Order {
        if is_sorted {
            return Order(None);
        }
        let mut order: Vec<u32> = (0..all.len()).filter_map(|it| u32::try_from(it).ok()).collect();
        // The position makes equal times keep their order.
        order.sort_unstable_by_key(|it| (at(all, *it as usize).at_us, *it));
        Order(Some(order))
    }

    /// The nth by time, with its position in the file.
    pub(super) fn sample(&self, all: &[Sample], nth: usize) -> (usize, Sample) {
        let index = match &self.0 {
            None => nth,
            Some(order) => order.get(nth).map_or(nth, |it| *it as usize),
        };
        (index, at(all, index))
    }

    /// Their times, ascending.
    pub(super) fn times<'a>(
        &'a self,
        all: &'a [Sample],
        range: std::ops::Range<usize>,
    ) -> impl Iterator<Item = i64> + 'a {
        range.map(|nth| self.sample(all, nth).1.at_us)
    }
}

/// A position is always one of a sample; the NaN is never seen.
fn at(all: &[Sample], index: usize) -> Sample {
    all.get(index).copied().unwrap_or(Sample { at_us: 0, value: f64::NAN })
}

/// The time of so many microseconds since 1970, or the nearest that there is: the first slot can
/// lie before the earliest time of all.
pub(super) fn timestamp(at_us: i64) -> Timestamp {
    Timestamp::from_microsecond(at_us).unwrap_or(if at_us < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
