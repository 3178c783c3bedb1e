//! Every series of an instant query, by some of its labels.
//!
//! **In:** a query, the labels that tell its series apart, and how old a sample may be.
//! **Out:** the samples that count, each with the values of those labels.
//! **Not here:** what they are about (prices, usage, tenants: `crate::budgets`).

use std::time::Duration;

use evenkeel_core::quality::{Reading, judge_sample};
use jiff::{SignedDuration, Timestamp};
use prometheus_http_query::response::InstantVector;

use super::PrometheusSource;
use super::answer::{OUT_OF_RANGE, Point, each_of, point};
use super::client::{Answer, Ask};
use super::error::QueryError;

/// What one query says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// Fresh, finite, not negative; in the order of the answer.
    pub samples: Vec<LabelledSample>,
    /// How many more there were: too old, from the future, no number, negative.
    pub n_left_out: usize,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledSample {
    /// The values of the labels that were asked for, in their order.
    pub labels: Vec<Option<String>>,
    /// Finite, `>= 0`.
    pub value: f64,
}

impl PrometheusSource {
    /// Asks `query` once, in the turns of budgets, and how long that took. The answer is
    /// bounded in bytes only: a label may have a million values, and who asks adds up.
    ///
    /// # Errors
    ///
    /// [`QueryError`]; also when the answer is partial, because it would look like less.
    pub async fn labelled(
        &self,
        now: impl Fn() -> Timestamp,
        query: &str,
        labels: &[&str],
        max_age: SignedDuration,
    ) -> (Duration, Result<Labelled, QueryError>) {
        let names: Vec<String> = labels.iter().map(|it| (*it).to_owned()).collect();
        let read = move |answer: &Answer<'_>| series(answer, &names);
        let ask = Ask::Instant { query: query.to_owned() };
        let (asked, answered) = self.exchange_in(&self.budget_turns, &now, ask, read).await;
        let judged = answered.map(|series| {
            let mut labelled = Labelled::default();
            for (labels, (sampled_at, number)) in series {
                let judged_at = asked.judged_at(sampled_at);
                match judge_sample(judged_at, number, sampled_at, max_age, false) {
                    Reading::Value { value, doubt: None, .. } => {
                        labelled.samples.push(LabelledSample { labels, value });
                    }
                    Reading::Value { doubt: Some(_), .. } | Reading::Missing(_) => {
                        labelled.n_left_out += 1;
                    }
                }
            }
            labelled
        });
        (asked.took(), judged)
    }
}

/// The labels that were asked for, in that order, and the newest sample.
type LabelledPoint = (Vec<Option<String>>, Point);

fn series(answer: &Answer<'_>, names: &[String]) -> Result<Vec<LabelledPoint>, QueryError> {
    let mut found = Vec::new();
    let whole = each_of(answer, "vector", usize::MAX, |series: InstantVector| {
        let (mut metric, sample) = series.into_inner();
        let labels = names.iter().map(|it| metric.remove(it)).collect();
        found.push((labels, point(&sample).ok_or(OUT_OF_RANGE)?));
        Ok(())
    })?;
    match whole.warning {
        Some(warning) => Err(QueryError::Partial { warning }),
        None => Ok(found),
    }
}
