//! Threads that fit models, so that neither the loop nor the observer ever waits
//! for one.
//!
//! **In:** whose turn it is ([`super::books`]).
//! **Out:** refits, left for the series' next reading; counts for the metrics.
//! **Not here:** when a refit is due ([`super::book`]), the fit itself
//! (`evenkeel_forecast::live::RefitTask`).
//!
//! A thread takes the next series only when it has ended the one before, so there
//! are never more tasks in memory than threads, however many series wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use evenkeel_forecast::live::Refit;
use tracing::warn;

use super::Forecasters;
use super::books::Turn;

/// How long a thread that has nothing to do sleeps at most; it is woken when a
/// series becomes due.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The threads; they end after the fit that each is at when this is dropped.
#[derive(Debug)]
#[must_use = "the threads end when this is dropped"]
pub struct RefitThreads {
    forecasters: Forecasters,
}

impl RefitThreads {
    /// Starts `n_threads` of them, at least one and at most as many as there are
    /// cores.
    ///
    /// # Errors
    ///
    /// When the operating system refuses a thread.
    pub fn start(forecasters: &Forecasters, n_threads: usize) -> std::io::Result<RefitThreads> {
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Made first: when the second thread is refused, the first one ends too.
        let threads = RefitThreads { forecasters: forecasters.clone() };
        for n in 0..n_threads.clamp(1, n_cores) {
            let forecasters = forecasters.clone();
            std::thread::Builder::new()
                .name(format!("refit-{n}"))
                .spawn(move || while forecasters.refit_next() {})?;
        }
        Ok(threads)
    }
}

impl Drop for RefitThreads {
    fn drop(&mut self) {
        self.forecasters.lock().is_stopping = true;
        self.forecasters.shared.changed.notify_all();
    }
}

impl Forecasters {
    /// Waits for a series whose turn it is and fits it; false when it is time to end.
    fn refit_next(&self) -> bool {
        let mut books = self.lock();
        let (turn, task) = loop {
            if books.is_stopping {
                return false;
            }
            match books.next_refit() {
                Some(next) => break next,
                None => {
                    let waited = self.shared.changed.wait_timeout(books, SLEEP_MAX);
                    books = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        };
        drop(books);
        self.refit(&turn, || task.run());
        true
    }

    /// Fits everything that waits, here and now; for benchmarks and tests. Returns
    /// how many series that were.
    pub fn refit_all(&self) -> usize {
        let mut n_fitted = 0;
        loop {
            let Some((turn, task)) = self.lock().next_refit() else { return n_fitted };
            self.refit(&turn, || task.run());
            n_fitted += 1;
        }
    }

    pub(super) fn refit(&self, turn: &Turn, run: impl FnOnce() -> Refit) {
        let started = Instant::now();
        // A model that fails on one series must not end the fits of all others.
        let found = catch_unwind(AssertUnwindSafe(run)).ok();
        let took = started.elapsed();
        self.metrics.observe_refit(if found.is_some() { "done" } else { "failed" }, took);
        if let Some(refit) = &found {
            self.metrics.count_members_dropped(refit.members_dropped());
        } else {
            let (target_id, signal) = (&turn.target, &turn.signal);
            warn!(%target_id, %signal, "a refit failed; it is tried again later");
        }
        self.lock().refitted(turn, found);
    }
}
