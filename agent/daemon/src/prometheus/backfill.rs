//! The past of one signal, by range queries in pieces.
//!
//! **In:** a policy, one of its signals, and a sink for points.
//! **Out:** points on the grid of the history's step, oldest piece first, and a
//! report of what is missing and why.
//! **Not here:** where points are kept, and the present ([`super::instant`]).

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_core::documents::{Documents, ScalingPolicy, Signal};
use evenkeel_core::ids::{PolicyId, SignalName, TargetId};
use jiff::Timestamp;
use tracing::{info, warn};

use super::answer::{self, Found, Point};
use super::client::Ask;
use super::error::QueryError;
use super::{Expected, PrometheusSource};

/// Points per series in one answer. Prometheus refuses more (HTTP 400).
const POINTS_PER_SERIES_MAX: i64 = 11_000;

/// Bytes that one point takes in an answer.
///
/// Why 48: `[1700000000,"0.12345678901234567"],` is 35, and labels want a share.
const POINT_BYTES: usize = 48;

/// How often one piece is asked for.
///
/// Why 3: enough for a Prometheus that is restarting behind its load balancer;
/// what fails three times in a row is left as a gap.
const ATTEMPTS_MAX: u32 = 3;

/// Wait before the second attempt; doubled before the third.
const BACKOFF: Duration = Duration::from_millis(500);

/// How often a piece that is too heavy is halved.
///
/// Why 4: a sixteenth of a piece; a query still too heavy then is too heavy for
/// every evaluation too.
const HALVINGS_MAX: u8 = 4;

/// Pieces in a row without an answer after which the rest is not asked for.
///
/// Why 3: each cost up to three time-outs, and the agent is already at work
/// without history meanwhile.
const FAILURES_MAX: usize = 3;

/// What became of one backfill.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillReport {
    /// Whose signal it is.
    pub policy: PolicyId,
    /// Which signal.
    pub signal: SignalName,
    /// Range queries that were answered.
    pub n_pieces: usize,
    /// Points handed to the sink.
    pub n_points: usize,
    /// Points left out: NaN, infinite, negative, or outside of what was asked for.
    pub n_points_ignored: usize,
    /// Series left out because a target has several, counted per piece.
    pub n_series_ambiguous: usize,
    /// Series left out because they belong to no target, counted per piece.
    pub n_series_unknown: usize,
    /// What could not be read, oldest first, neighbours with the same cause merged.
    pub gaps: Vec<Gap>,
}

/// A time that could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    /// The first point that is missing.
    pub from: Timestamp,
    /// The last point that is missing.
    pub to: Timestamp,
    /// Why.
    pub error: QueryError,
}

/// A part of the past: points at `from_second`, `+ step`, … up to and including
/// `to_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    from_second: i64,
    to_second: i64,
    halvings: u8,
}

/// What helps against a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// The same again, a little later.
    Again,
    /// Less of it.
    Halve,
    /// Nothing: every piece would fail alike.
    None,
}

impl PrometheusSource {
    /// Reads the settings' `history` of one signal, for all targets of its policy.
    ///
    /// The signal's own query is asked at the settings' `history_step`, on the grid
    /// of that step (points fall on multiples of it since the Unix epoch), in
    /// pieces that keep each answer within its limits. `sink` gets each finite,
    /// non-negative point that belongs to exactly one series of a target, in order
    /// of time per target and piece. It is called between queries, never while one
    /// is under way, and should be quick.
    ///
    /// Never fails: a piece that cannot be read after its attempts is a gap in the
    /// report. Partial answers are not taken: a history that is too low would make
    /// a sudden drop look usual.
    pub async fn backfill(
        &self,
        now: impl Fn() -> Timestamp,
        documents: &Documents,
        policy: &ScalingPolicy,
        signal: &Signal,
        sink: &mut (dyn FnMut(&TargetId, Timestamp, f64) + Send),
    ) -> BackfillReport {
        let expected = Expected::of(documents, policy);
        let step_seconds = self.settings.history_step.as_secs();
        let mut report = BackfillReport::new(policy, signal);
        if expected.n_targets() == 0 {
            return report;
        }
        let mut pieces = pieces(
            now().as_second(),
            self.settings.history.as_secs(),
            step_seconds,
            self.points_per_series(expected.n_targets()),
        );
        let mut failures_in_a_row = 0;
        while let Some(piece) = pieces.pop_front() {
            let error = match self.read_piece(&expected, policy, signal, piece).await {
                Ok(found) => {
                    failures_in_a_row = 0;
                    report.take(piece, &expected, &found, sink);
                    info!(
                        policy = %policy.id, signal = %signal.name, n_pieces = report.n_pieces,
                        n_pieces_left = pieces.len(), n_points = report.n_points, "backfilling"
                    );
                    continue;
                }
                Err(error) => error,
            };
            let remedy = remedy(&error);
            if remedy == Remedy::Halve
                && let Some(halves) = piece.halves(step_seconds)
            {
                for half in halves.into_iter().rev() {
                    pieces.push_front(half);
                }
                continue;
            }
            warn!(
                policy = %policy.id, signal = %signal.name, from_second = piece.from_second,
                to_second = piece.to_second, error = %error, "gap in the history"
            );
            failures_in_a_row += 1;
            report.miss(piece, step_seconds, error.clone());
            if remedy == Remedy::None || FAILURES_MAX <= failures_in_a_row {
                for rest in pieces.drain(..) {
                    report.miss(rest, step_seconds, error.clone());
                }
            }
        }
        report
    }

    /// Points per series that keep an answer for `n_targets` series within bounds.
    fn points_per_series(&self, n_targets: usize) -> i64 {
        let points = self.settings.answer_bytes_max / POINT_BYTES / n_targets.max(1);
        i64::try_from(points).unwrap_or(i64::MAX).clamp(1, POINTS_PER_SERIES_MAX)
    }

    async fn read_piece(
        &self,
        expected: &Expected,
        policy: &ScalingPolicy,
        signal: &Signal,
        piece: Piece,
    ) -> Result<Found<Vec<Point>>, QueryError> {
        let limit = self.settings.query_timeout;
        let ask = Ask::Range {
            query: signal.query.clone(),
            from_second: piece.from_second,
            to_second: piece.to_second,
            step_seconds: self.settings.history_step.as_secs(),
        };
        let mut attempt = 1;
        loop {
            let read = async {
                // Not held while waiting for the next attempt. Only backfills wait
                // here, and each gets on within a few time-outs.
                let turn = self.backfill_turns.acquire().await;
                let _turn = turn.map_err(|_| QueryError::NoTurn { limit })?;
                let fetched = self.client.fetch(&ask).await?;
                let (label, expected) = (policy.target_label.clone(), expected.clone());
                let found = fetched.parse(move |it| answer::range(it, &label, &expected)).await?;
                match &found.warning {
                    Some(warning) => Err(QueryError::Partial { warning: warning.clone() }),
                    None => Ok(found),
                }
            };
            match read.await {
                Err(error) if remedy(&error) == Remedy::Again && attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(BACKOFF * attempt).await;
                    attempt += 1;
                }
                settled => return settled,
            }
        }
    }
}

impl QueryError {
    /// Whether less of the same may be answered.
    pub(crate) fn is_too_heavy(&self) -> bool {
        remedy(self) == Remedy::Halve
    }
}

fn remedy(error: &QueryError) -> Remedy {
    match error {
        QueryError::NoTurn { .. }
        | QueryError::Secret { .. }
        | QueryError::Unreachable { .. }
        | QueryError::Unreadable { .. }
        | QueryError::Partial { .. } => Remedy::Again,
        QueryError::TimedOut { .. }
        | QueryError::Oversized { .. }
        | QueryError::TooManySeries { .. } => Remedy::Halve,
        // `execution` is, among others, "would load too many samples into memory".
        QueryError::Refused { kind, .. } => match kind.as_str() {
            "bad_data" => Remedy::None,
            "execution" | "timeout" | "canceled" => Remedy::Halve,
            _ => Remedy::Again,
        },
        QueryError::Status { status } => match status {
            408 | 413 | 422 | 504 => Remedy::Halve,
            429 | 500.. => Remedy::Again,
            _ => Remedy::None,
        },
        QueryError::WrongType { .. } => Remedy::None,
    }
}

/// Cuts the past into pieces, oldest first, all on the grid of the step.
fn pieces(
    now_second: i64,
    history_seconds: i64,
    step_seconds: i64,
    points_max: i64,
) -> VecDeque<Piece> {
    let last = now_second.div_euclid(step_seconds) * step_seconds;
    let mut pieces = VecDeque::new();
    let mut from_second = last.saturating_sub(history_seconds / step_seconds * step_seconds);
    while from_second <= last {
        let to_second = (from_second + (points_max - 1) * step_seconds).min(last);
        pieces.push_back(Piece { from_second, to_second, halvings: 0 });
        from_second = to_second + step_seconds;
    }
    pieces
}

impl Piece {
    fn halves(self, step_seconds: i64) -> Option<[Piece; 2]> {
        let n_steps = (self.to_second - self.from_second) / step_seconds;
        if n_steps < 1 || HALVINGS_MAX <= self.halvings {
            return None;
        }
        let halvings = self.halvings + 1;
        let middle = self.from_second + n_steps / 2 * step_seconds;
        Some([
            Piece { to_second: middle, halvings, ..self },
            Piece { from_second: middle + step_seconds, halvings, ..self },
        ])
    }

    fn contains(self, at: Timestamp) -> bool {
        (self.from_second..=self.to_second).contains(&at.as_second())
    }
}

impl BackfillReport {
    fn new(policy: &ScalingPolicy, signal: &Signal) -> BackfillReport {
        BackfillReport {
            policy: policy.id.clone(),
            signal: signal.name.clone(),
            n_pieces: 0,
            n_points: 0,
            n_points_ignored: 0,
            n_series_ambiguous: 0,
            n_series_unknown: 0,
            gaps: Vec::new(),
        }
    }

    fn take(
        &mut self,
        piece: Piece,
        expected: &Expected,
        found: &Found<Vec<Point>>,
        sink: &mut (dyn FnMut(&TargetId, Timestamp, f64) + Send),
    ) {
        self.n_pieces += 1;
        self.n_series_unknown += found.n_unknown;
        for (value, series) in &found.by_value {
            if 1 < series.n_series {
                self.n_series_ambiguous += series.n_series;
                continue;
            }
            for (at, number) in &series.first {
                if !number.is_finite() || *number < 0.0 || !piece.contains(*at) {
                    self.n_points_ignored += 1;
                    continue;
                }
                for target in expected.targets_of(value) {
                    sink(target, *at, *number);
                    self.n_points += 1;
                }
            }
        }
    }

    fn miss(&mut self, piece: Piece, step_seconds: i64, error: QueryError) {
        let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
        let (from, to) = (at(piece.from_second), at(piece.to_second));
        let before = at(piece.from_second - step_seconds);
        match self.gaps.last_mut() {
            Some(last) if last.error == error && last.to == before => last.to = to,
            _ => self.gaps.push(Gap { from, to, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Every grid point is asked for exactly once, however pieces are halved.
        #[test]
        fn pieces_cover_the_grid_without_overlap(
            now in -100_000i64..2_000_000_000, n_steps in 0i64..5_000, step in 1i64..4_000,
            points_max in 1i64..11_000, halve in proptest::collection::vec(any::<bool>(), 64),
        ) {
            let mut queue = pieces(now, n_steps * step + step / 2, step, points_max);
            let mut halve = halve.into_iter();
            let last = now.div_euclid(step) * step;
            let mut next = last - n_steps * step;
            while let Some(piece) = queue.pop_front() {
                prop_assert!((piece.to_second - piece.from_second) / step < points_max);
                if halve.next() == Some(true) && let Some([early, late]) = piece.halves(step) {
                    queue.push_front(late);
                    queue.push_front(early);
                    continue;
                }
                prop_assert_eq!(piece.from_second, next);
                prop_assert_eq!(piece.from_second.rem_euclid(step), 0);
                prop_assert!(piece.from_second <= piece.to_second);
                next = piece.to_second + step;
            }
            prop_assert_eq!(next, last + step);
        }
    }

    #[test]
    fn a_piece_is_halved_only_so_often_and_never_below_one_point() {
        let halvings = |n_points: i64| {
            let mut piece = Piece { from_second: 0, to_second: (n_points - 1) * 300, halvings: 0 };
            let mut n = 0;
            while let Some([early, _]) = piece.halves(300) {
                piece = early;
                n += 1;
            }
            n
        };
        assert_eq!([1, 2, 3, 1000].map(halvings), [0, 1, 2, 4]);
    }

    #[test]
    fn a_limit_that_prometheus_itself_has_is_never_exceeded() {
        let first = pieces(1_700_000_000, 14 * 86_400, 30, POINTS_PER_SERIES_MAX);
        assert_eq!(first.len(), 4);
    }
}
