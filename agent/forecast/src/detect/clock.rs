//! When do rows come, and did one fail to?
//!
//! **In:** the timestamps of rows.
//! **Out:** the usual distance between rows, gaps, and rows that are not later than earlier ones.
//! **Not here:** values.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Distances between rows that are remembered to learn the step.
///
/// Why 15: the median of them forgets a few gaps at once, and a new step is known after eight rows.
const DISTANCES: usize = 15;

/// Rows in a row that are not later than the latest before the clock is believed instead.
///
/// Why 32: a reordered batch is shorter; a clock that was set back goes on for ever.
const LATE_ROWS_MAX: u32 = 32;

/// The rhythm of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Clock {
    latest: Option<Timestamp>,
    late_rows: u32,
    /// Newest last, in milliseconds.
    distances: Vec<i64>,
}

/// What the time of a row says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tick {
    /// The first row.
    First,
    /// Later than every row before.
    Later {
        /// The row before.
        previous: Timestamp,
        /// How much later.
        distance: SignedDuration,
        /// The usual distance so far; `None` until there are a few.
        step: Option<SignedDuration>,
    },
    /// At the time of an earlier row, or before it.
    NotLater {
        /// The latest row so far.
        latest: Timestamp,
    },
}

impl Clock {
    /// Takes note of the time of a row. `expected` is the step if somebody knows it.
    pub(super) fn tick(&mut self, at: Timestamp, expected: Option<SignedDuration>) -> Tick {
        let Some(latest) = self.latest else {
            self.latest = Some(at);
            return Tick::First;
        };
        if at <= latest {
            self.late_rows += 1;
            if self.late_rows >= LATE_ROWS_MAX {
                self.latest = Some(at);
                self.late_rows = 0;
            }
            return Tick::NotLater { latest };
        }
        let distance = at.duration_since(latest);
        let step = expected.or_else(|| self.step());
        self.latest = Some(at);
        self.late_rows = 0;
        if self.distances.len() >= DISTANCES {
            self.distances.drain(..self.distances.len() + 1 - DISTANCES);
        }
        self.distances.push(i64::try_from(distance.as_millis()).unwrap_or(i64::MAX));
        Tick::Later { previous: latest, distance, step }
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.distances.capacity() * size_of::<i64>()
    }

    /// The median distance of the last rows.
    fn step(&self) -> Option<SignedDuration> {
        if self.distances.len() < DISTANCES / 2 {
            return None;
        }
        let mut sorted = self.distances.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|&ms| SignedDuration::from_millis(ms.max(1)))
    }
}
