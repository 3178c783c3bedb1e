//! Every series of a query on a grid of instants, as budgets count them.
//!
//! **In:** a query and a [`Grid`].
//! **Out:** one row of values per series, with holes where Prometheus has none.
//! **Not here:** what the values count ([`evenkeel_core::slo::increments`]), which grids
//! there are ([`evenkeel_core::budget::wanted`]).
//!
//! The labels are dropped: what each series counted is added up.

use std::time::Duration;

use evenkeel_core::slo::increments::{Grid, SERIES_MAX, SeriesOnGrid};
use jiff::Timestamp;
use prometheus_http_query::response::RangeVector;

use super::PrometheusSource;
use super::answer::{OUT_OF_RANGE, each_of, point};
use super::client::{Answer, Ask};
use super::error::QueryError;

/// How much memory the rows of an answer may take, as a multiple of the answer's limit.
///
/// Why 4: a row has a place for every instant, also where the answer has no point. A
/// point is 35 bytes of an answer and 16 of a row, so that only an answer that is mostly
/// holes (instances that come and go) is refused for this; it is then asked in pieces.
const ROWS_RATIO: usize = 4;

/// Whose turn a query takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Alerts wait for it: the turns of budgets, for at most the query's time-out.
    Now,
    /// The past: the turns of backfills, however long that takes.
    Past,
}

impl PrometheusSource {
    /// Asks `query` for all instants of `grid`, and how long that took.
    ///
    /// Points that fall on no instant of the grid are left out, and so is nothing else: a
    /// value that is not finite is for the reader to judge. Staleness is Prometheus' own:
    /// a series whose scrape failed has a hole at once, any other after 5 min.
    ///
    /// # Errors
    ///
    /// [`QueryError`]; also when the answer is partial, because a store that is down would
    /// look like fewer events.
    pub async fn on_grid(
        &self,
        now: impl Fn() -> Timestamp,
        query: &str,
        grid: Grid,
        haste: Haste,
    ) -> (Duration, Result<Vec<SeriesOnGrid>, QueryError>) {
        let last = grid.n.checked_sub(1).map(|it| grid.at(it));
        let Some(last) = last.filter(|_| 0 < grid.step.as_secs()) else {
            return (Duration::ZERO, Ok(Vec::new()));
        };
        let ask = Ask::Range {
            query: query.to_owned(),
            from_second: grid.first.as_second(),
            to_second: last.as_second(),
            step_seconds: grid.step.as_secs(),
        };
        let bytes_max = self.settings.answer_bytes_max;
        let read = move |answer: &Answer<'_>| rows(answer, grid, bytes_max);
        match haste {
            Haste::Now => {
                let (asked, rows) = self.exchange_in(&self.budget_turns, &now, ask, read).await;
                (asked.took(), rows)
            }
            Haste::Past => {
                let turn = self.backfill_turns.acquire().await;
                let started = tokio::time::Instant::now();
                let limit = self.settings.query_timeout;
                let rows = match turn {
                    // The semaphore is never closed.
                    Err(_) => Err(QueryError::NoTurn { limit }),
                    Ok(_turn) => match self.client.fetch(&ask).await {
                        Ok(fetched) => fetched.parse(read).await,
                        Err(error) => Err(error),
                    },
                };
                (started.elapsed(), rows)
            }
        }
    }
}

fn rows(
    answer: &Answer<'_>,
    grid: Grid,
    bytes_max: usize,
) -> Result<Vec<SeriesOnGrid>, QueryError> {
    let row_bytes = grid.n.saturating_mul(size_of::<Option<f64>>());
    let rows_max = bytes_max.saturating_mul(ROWS_RATIO) / row_bytes.max(1);
    let mut rows: Vec<SeriesOnGrid> = Vec::new();
    let mut is_beyond = false;
    let whole = each_of(answer, "matrix", SERIES_MAX, |series: RangeVector| {
        let (_, samples) = series.into_inner();
        if rows_max <= rows.len() {
            is_beyond = true;
            return Err("too many rows");
        }
        let mut row: SeriesOnGrid = vec![None; grid.n];
        for sample in &samples {
            let (at, value) = point(sample).ok_or(OUT_OF_RANGE)?;
            if let Some(place) = place_of(grid, at).and_then(|nth| row.get_mut(nth)) {
                *place = Some(value);
            }
        }
        rows.push(row);
        Ok(())
    });
    if is_beyond {
        return Err(QueryError::Oversized { bytes_max });
    }
    match whole?.warning {
        Some(warning) => Err(QueryError::Partial { warning }),
        None => Ok(rows),
    }
}

/// Which instant of `grid` is `at`.
fn place_of(grid: Grid, at: Timestamp) -> Option<usize> {
    let since = at.duration_since(grid.first);
    let step = grid.step.as_secs();
    let is_on_grid = since.subsec_nanos() == 0 && since.as_secs().rem_euclid(step) == 0;
    is_on_grid.then(|| usize::try_from(since.as_secs() / step).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use jiff::SignedDuration;

    #[track_caller]
    fn check(n: usize, bytes_max: usize, series: &[&str], expected: &Expect) {
        let grid = Grid {
            first: Timestamp::from_second(600).unwrap(),
            step: SignedDuration::from_secs(30),
            n,
        };
        let series = series.iter().map(|it| format!(r#"{{"metric":{{}},"values":[{it}]}}"#));
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#,
            series.collect::<Vec<_>>().join(",")
        );
        let answer = Answer { status: 200, body: body.as_bytes(), secrets: &[] };
        expected.assert_eq(&match rows(&answer, grid, bytes_max) {
            Ok(rows) => format!("{rows:?}"),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn points_take_their_place_and_holes_stay_holes() {
        check(3, 4096, &[], &expect!["[]"]);
        check(
            3,
            4096,
            &[r#"[600,"1"],[660,"3"]"#, r#"[630,"NaN"]"#],
            &expect!["[[Some(1.0), None, Some(3.0)], [None, Some(NaN), None]]"],
        );
        // Before, between, after.
        check(3, 4096, &[r#"[570,"1"],[615,"2"],[690,"3"]"#], &expect!["[[None, None, None]]"]);
    }

    #[test]
    fn rows_are_bounded_in_memory_however_few_points_they_have() {
        let one = r#"[600,"1"]"#;
        check(
            100,
            1000,
            &[one, one, one],
            &expect![
                "the answer is larger than 1000 bytes; aggregate the query, for example `sum by (service) (…)`"
            ],
        );
    }
}
