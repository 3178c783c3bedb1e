//! What the backend still has of one service: sample by sample, for queries over a range.
//!
//! **In:** scrapes, those that failed too. **Out:** values on any instants of the last hours.
//! **Not here:** the newest value ([`super::series`]), grids and what is made of them
//! (`evenkeel-core`).
//!
//! A scrape that failed leaves a mark, as Prometheus does: from then on the series is missing,
//! until the next one that succeeds.

use std::collections::VecDeque;

use super::Metric;
use super::series::Sample;

/// How much is kept. Why 7 h: what the agent reads again after a gap (6 h) and an hour more.
const KEPT_SECONDS: i64 = 7 * 3_600;

/// How far back an instant looks for a sample. Why 5 min: Prometheus' own.
const LOOKBACK_SECONDS: i64 = 300;

/// Scrapes of one service, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// When; and what it brought, or that it failed.
    scrapes: VecDeque<(i64, Option<Sample>)>,
}

impl Past {
    /// Takes note of a scrape at `at`, later than all before.
    pub(super) fn push(&mut self, at: i64, sample: Option<Sample>) {
        self.scrapes.push_back((at, sample));
        while self.scrapes.front().is_some_and(|(then, _)| *then < at - KEPT_SECONDS) {
            self.scrapes.pop_front();
        }
    }

    /// The value at an instant, of what was scraped at `until` or before; `None` where there is
    /// none that is fresh enough.
    pub(super) fn at(&self, instant: i64, until: i64, metric: Metric) -> Option<f64> {
        let n = self.scrapes.partition_point(|(at, _)| *at <= instant.min(until));
        let (at, sample) = self.scrapes.get(n.checked_sub(1)?)?;
        if LOOKBACK_SECONDS < instant - at {
            return None;
        }
        sample.as_ref()?.value(metric)
    }
}
