//! One query, under a turn, with the time it was on its way.
//!
//! **In:** a query and what to make of the bytes of its answer.
//! **Out:** what was made of them, or why there is no answer.
//! **Not here:** what an answer means for signals ([`super::instant`]) or playbooks
//! ([`super::inputs`]), the HTTP exchange itself ([`super::client`]).

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::PrometheusSource;
use super::client::{Answer, Ask};
use super::error::QueryError;

/// When a request was on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    started_at: Timestamp,
    answered_at: Timestamp,
}

impl Asked {
    /// The instant that a sample of `sampled_at` is judged at: of the instants at
    /// which the request was on its way, the nearest.
    ///
    /// The server stamps a sample somewhere in that time. Judged at the start, a
    /// query that had to queue there would look like a clock that is ahead; judged
    /// at the end, our own wait would look like staleness. What this can hide is
    /// at most the query's time-out.
    pub(super) fn judged_at(self, sampled_at: Timestamp) -> Timestamp {
        // `max` of `started_at` last: a clock set back must not turn the range around.
        sampled_at.min(self.answered_at).max(self.started_at)
    }

    /// From the request to the complete answer (or to giving up).
    pub(super) fn took(self) -> Duration {
        Duration::try_from(self.answered_at.duration_since(self.started_at)).unwrap_or_default()
    }
}

impl PrometheusSource {
    /// Asks `query` when it is its turn, and has `read` make something of the answer.
    ///
    /// Takes at most about twice the query time-out: one for a turn, one for the answer.
    pub(super) async fn exchange<T: Send + 'static>(
        &self,
        now: &impl Fn() -> Timestamp,
        query: &str,
        read: impl FnOnce(&Answer<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> (Asked, Result<T, QueryError>) {
        let ask = Ask::Instant { query: query.to_owned() };
        self.exchange_in(&self.turns, now, ask, read).await
    }

    /// As [`PrometheusSource::exchange`], anything, in turns of its own.
    pub(super) async fn exchange_in<T: Send + 'static>(
        &self,
        turns: &Semaphore,
        now: &impl Fn() -> Timestamp,
        ask: Ask,
        read: impl FnOnce(&Answer<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> (Asked, Result<T, QueryError>) {
        let limit = self.settings.query_timeout;
        let turn = tokio::time::timeout(limit, turns.acquire()).await;
        let started_at = now();
        // The semaphore is never closed; if it were, there would be no turn either.
        let Ok(Ok(_turn)) = turn else {
            let asked = Asked { started_at, answered_at: started_at };
            return (asked, Err(QueryError::NoTurn { limit }));
        };
        let fetched = self.client.fetch(&ask).await;
        let asked = Asked { started_at, answered_at: now() };
        let result = match fetched {
            Ok(fetched) => fetched.parse(read).await,
            Err(error) => Err(error),
        };
        (asked, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(started: i64, answered: i64, sampled: i64, judged: i64) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let asked = Asked { started_at: at(started), answered_at: at(answered) };
        assert_eq!(asked.judged_at(at(sampled)), at(judged));
    }

    #[test]
    fn our_own_wait_makes_a_sample_neither_stale_nor_from_the_future() {
        check(100, 109, 104, 104);
        check(100, 109, 100, 100);
        check(100, 109, 109, 109);
        check(100, 109, 90, 100);
        check(100, 109, 120, 109);
    }

    #[test]
    fn a_clock_set_back_during_a_request_is_no_reason_to_panic() {
        check(100, 40, 70, 100);
        check(100, 40, 120, 100);
        let at = |second| Timestamp::from_second(second).unwrap();
        let back = Asked { started_at: at(100), answered_at: at(40) };
        assert_eq!(back.took(), Duration::ZERO);
    }
}
