//! What load is expected of each series that a policy wants forecast.
//!
//! **In:** readings as they come, points from before the start, what the core says
//! of lead times and doubts, and what was kept over a restart.
//! **Out:** an outlook in each such reading; counts for the metrics.
//! **Not here:** models and calibration (`evenkeel-forecast`), what capacity
//! follows (the core's), what low values are usual ([`crate::histories`]).
//!
//! ```text
//!  Observer ─readings─► Books ─outlooks─► readings ─► EventLoop
//!  backfill ─points──►   │  ▲                            │
//!  Feedback ◄────────────┼──┼──── lead times, doubts ◄───┘
//!                        ▼  │
//!         refit threads: one task each, owned; results wait for the next reading
//! ```

mod book;
mod books;
mod feedback;
mod keeper;
mod refits;
mod schedule;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use evenkeel_core::documents::{Documents, ScalingPolicy};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::outlook::{Abstention, Standing};
use evenkeel_core::quality::SignalReading;
use evenkeel_forecast::live::Expected;
use jiff::{SignedDuration, Timestamp};

use crate::metrics::{ForecastReport, Metrics, SeriesForecast, TARGET_SERIES_MAX};
use books::{Books, Taken};

pub use feedback::{Feedback, TargetFeedback};
pub(crate) use keeper::{Keeper, place};
pub use refits::RefitThreads;
pub use snapshot::{SnapshotError, Unusable};

/// All forecasters, shared between the observer, the backfill and the threads that
/// fit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Forecasters {
    shared: Arc<Shared>,
    feedback: Feedback,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Shared {
    books: Mutex<Books>,
    /// A series waits for a refit, or the threads shall end.
    changed: Condvar,
}

impl Forecasters {
    /// None yet; see [`Forecasters::follow`].
    pub fn new(feedback: Feedback, metrics: Arc<Metrics>) -> Forecasters {
        Forecasters { shared: Arc::default(), feedback, metrics }
    }

    /// Takes in the readings of one target, and adds an outlook to each that is
    /// forecast. Does nothing under other documents than were followed last: what
    /// the numbers mean may have changed.
    ///
    /// Learns from good values only: one that is missing or suspect, or that the
    /// core doubted at the last look, is a gap.
    pub fn take_in(
        &self,
        now: Timestamp,
        documents: &Documents,
        target: &TargetId,
        readings: &mut [SignalReading],
    ) {
        let is_forecast = documents.policy_of(target).is_some_and(|it| it.forecast.is_some());
        if !is_forecast {
            return;
        }
        let feedback = self.feedback.of(target);
        let mut books = self.lock();
        if !books.is_about(documents) {
            return;
        }
        let Taken { n_due, n_lost } = books.take_in(now, target, readings, &feedback);
        drop(books);
        if 0 < n_due {
            self.shared.changed.notify_all();
        }
        self.metrics.count_forecasters_lost(n_lost);
    }

    /// Follows the documents: what they no longer want forecast, or what means
    /// something else now, is forgotten. To be called with every new set.
    pub fn follow(&self, documents: &Documents) {
        self.lock().follow(documents);
    }

    /// The past of one signal of `policy` is read from here on; live values wait.
    pub fn begin_past(&self, documents: &Documents, policy: &ScalingPolicy, signal: &SignalName) {
        self.lock().begin_past(documents, policy, signal);
    }

    /// Takes in a part of the past of one series, oldest first. All of its past ends at
    /// `until`, which is now: the last days of it are learned from, the rest is kept.
    pub fn backfill(
        &self,
        documents: &Documents,
        target: &TargetId,
        signal: &SignalName,
        points: &[(Timestamp, f64)],
        until: Timestamp,
    ) {
        let mut books = self.lock();
        if books.is_about(documents) {
            books.backfill(target, signal, points, until);
        }
    }

    /// The past of one signal has been read, as far as it could be.
    pub fn end_past(&self, documents: &Documents, policy: &ScalingPolicy, signal: &SignalName) {
        self.lock().end_past(documents, policy, signal);
    }

    /// Nothing was kept before the start, or all of it has been taken up: outlooks
    /// are given from now on.
    pub fn open(&self) {
        self.lock().is_recalled = true;
    }

    /// Whether [`Forecasters::open`] was called.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_recalled
    }

    /// The seasonal expectation of one series from `now` on; `None` where nothing
    /// is forecast.
    pub fn horizon(
        &self,
        now: Timestamp,
        horizon: SignedDuration,
        target: &TargetId,
        signal: &SignalName,
    ) -> Option<Vec<Expected>> {
        // A copy, because two days take longer to reckon than others should wait.
        let forecaster = self.lock().book(target, signal)?.forecaster().clone();
        Some(forecaster.horizon(now, horizon))
    }

    /// Tells the metrics how all forecasts are doing; once per pass.
    pub fn publish(&self) {
        let books = self.lock();
        let mut report = ForecastReport { n_waiting: books.n_turns(), ..ForecastReport::default() };
        let now = books.now.unwrap_or(Timestamp::MIN);
        let has_series = books.iter().count() <= TARGET_SERIES_MAX;
        for (target, book) in books.iter() {
            *report.standings.entry(standing_word(&book.standing(now))).or_default() += 1;
            report.bytes = report.bytes.saturating_add(book.forecaster().bytes());
            if let Some(outlook) = book.outlook().filter(|_| has_series) {
                report.series.push(SeriesForecast {
                    target: target.clone(),
                    signal: book.signal.clone(),
                    coverage_ratio: outlook.coverage_ratio,
                    error_ratio: outlook.recent_error_ratio,
                });
            }
        }
        drop(books);
        self.metrics.set_forecasts(report);
    }

    /// How many series are forecast.
    pub fn n_series(&self) -> usize {
        self.lock().iter().count()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // Panics of forecasters are caught while the lock is held, so it is whole.
        self.shared.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All words of [`standing_word`], for metrics that are there from the start.
pub(crate) const STANDING_WORDS: [&str; 8] = [
    "predicting",
    "too_little_history",
    "not_better_than_naive",
    "error_drift",
    "coverage_drift",
    "stale",
    "not_fitted",
    "no_model",
];

fn standing_word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Predicting => "predicting",
        Standing::Abstaining { why } => match why {
            Abstention::TooLittleHistory { .. } => "too_little_history",
            Abstention::NotBetterThanNaive { .. } => "not_better_than_naive",
            Abstention::ErrorDrift { .. } => "error_drift",
            Abstention::CoverageDrift { .. } => "coverage_drift",
            Abstention::Stale { .. } => "stale",
            Abstention::NotFitted => "not_fitted",
            Abstention::NoModel { .. } => "no_model",
        },
    }
}
