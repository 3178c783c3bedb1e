//! A series on a fixed grid, made from whatever a file or a backend holds.
//!
//! **In:** samples in any order and of any quality.
//! **Out:** [`Series`]: equal steps, NaN where nothing is known; and a [`Treatment`] that says
//! what was done to get there.
//! **Not here:** reading files (the command line's), forecasting.

mod error;
mod grid;
mod samples;
mod spacing;
mod treatment;

use jiff::{SignedDuration, Timestamp};

pub use error::SeriesError;
pub use samples::{SAMPLES_MAX, Samples, VALUE_MAX};
pub use treatment::{Gaps, LeftOut, Moved, Noted, StepChange, Treatment};

/// Step of a series without a clock.
///
/// Why 1 h: the one such format that people have at hand is that of the M4 competition's hourly
/// series; nothing but the reading of seasons as "24 is a day" depends on it.
pub const STEP_WITHOUT_CLOCK: SignedDuration = SignedDuration::from_hours(1);

/// Values at equal distances, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Time of `values[0]`; `None` for a series that has an order but no clock.
    pub starts_at: Option<Timestamp>,
    /// Distance between values; 1 h where a series has no clock.
    pub step: SignedDuration,
    /// Finite, or NaN for a gap.
    pub values: Vec<f64>,
}

impl Series {
    /// Puts samples in any order and of any quality on a grid.
    ///
    /// # Errors
    ///
    /// [`SeriesError`] when no series can be made of them.
    pub fn from_samples(
        samples: impl IntoIterator<Item = (Timestamp, f64)>,
    ) -> Result<(Series, Treatment), SeriesError> {
        let mut all = Samples::new();
        for (at, value) in samples {
            all.push(at, value)?;
        }
        all.into_series()
    }

    /// A series without a clock: `values` one [`STEP_WITHOUT_CLOCK`] apart, NaN for a gap.
    ///
    /// # Errors
    ///
    /// [`SeriesError`] with fewer than two values, or none that is a number.
    pub fn from_values(
        values: impl IntoIterator<Item = f64>,
    ) -> Result<(Series, Treatment), SeriesError> {
        let mut treatment = Treatment::default();
        let mut kept = Vec::new();
        for value in values {
            if kept.len() == SAMPLES_MAX {
                return Err(SeriesError::TooMany { max: SAMPLES_MAX });
            }
            kept.push(treatment.note_value(kept.len(), value));
        }
        if kept.len() < 2 {
            return Err(SeriesError::TooFew { found: kept.len() });
        }
        treatment.note_gaps(&kept)?;
        Ok((Series { starts_at: None, step: STEP_WITHOUT_CLOCK, values: kept }, treatment))
    }

    /// Time of `values[index]`, also beyond the end; `None` without a clock or outside of the
    /// years that a [`Timestamp`] has.
    pub fn time_of(&self, index: usize) -> Option<Timestamp> {
        let starts_at = self.starts_at?;
        let distance = self.step.checked_mul(i32::try_from(index).ok()?)?;
        starts_at.checked_add(distance).ok()
    }

    /// How many values are known.
    pub fn known(&self) -> usize {
        self.values.iter().filter(|it| it.is_finite()).count()
    }
}
