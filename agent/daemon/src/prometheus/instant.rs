//! One evaluation's readings of one policy: a query per signal, all targets at once.
//!
//! **In:** a policy, its targets, and the caller's clock.
//! **Out:** exactly one reading per signal and target, whatever happens.
//! **Not here:** the low value that is usual for a series, which the caller fills
//! in from its history, and what follows from a reading.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::documents::{Documents, ScalingPolicy, Signal};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::quality::{Absence, Reading, SignalReading, judge_sample};
use futures_util::future::join_all;
use jiff::Timestamp;
use tracing::{debug, warn};

use super::answer::{self, Found, Point};
use super::client::Answer;
use super::error::QueryError;
use super::exchange::Asked;
use super::{Expected, PrometheusSource};

/// What one pass over one policy saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// For every target of the policy one reading per signal, in the policy's
    /// order. `usual_low` is `None`: the caller knows the history.
    pub readings: BTreeMap<TargetId, Vec<SignalReading>>,
    /// One per signal, in the policy's order; none when the policy has no target.
    pub queries: Vec<QueryReport>,
}

/// How one query went, for logs and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryReport {
    /// Whose query it was.
    pub signal: SignalName,
    /// From the request to the complete answer, by the caller's clock; without
    /// the wait for a turn.
    pub duration: Duration,
    /// Series in the answer.
    pub n_series: usize,
    /// Of these, series whose label names no target of the policy. They were ignored.
    pub n_series_unknown: usize,
    /// The first warning of the server, cut to 300 characters.
    pub warning: Option<String>,
    /// Why there is no answer, if so.
    pub error: Option<QueryError>,
}

impl PrometheusSource {
    /// Asks once per signal of `policy`, for all its targets at once.
    ///
    /// `now` is the clock that samples are judged by; it is read when a request
    /// starts and when its answer is complete. Prometheus stamps the samples of an
    /// instant query with the time of the query, not of the scrape, so a signal's
    /// `max_age` there finds a server whose clock is behind. A series that is no
    /// longer fed disappears by Prometheus' own rules: at once when its scrape
    /// fails, else after 5 min (`--query.lookback-delta`). That parameter is not
    /// sent: with a scrape interval near `max_age` it would leave some series out
    /// of a sum, which then looks like less load.
    ///
    /// Never fails and never takes longer than about twice the query time-out: one
    /// for a turn, one for the answer. What cannot be read is
    /// [`Absence::Backend`] for every target.
    pub async fn observe(
        &self,
        now: impl Fn() -> Timestamp,
        documents: &Documents,
        policy: &ScalingPolicy,
    ) -> Observed {
        let expected = Expected::of(documents, policy);
        if expected.n_targets() == 0 {
            return Observed::default();
        }
        let asked = policy.signals.iter().map(|it| self.ask(&now, &expected, policy, it));
        let mut observed = Observed::default();
        for (_, targets) in expected.iter() {
            for target in targets {
                observed.readings.insert(target.clone(), Vec::with_capacity(policy.signals.len()));
            }
        }
        for (signal, (report, mut verdicts)) in policy.signals.iter().zip(join_all(asked).await) {
            for (target, readings) in &mut observed.readings {
                let reading =
                    verdicts.remove(target).unwrap_or(Reading::Missing(Absence::NoSeries));
                let signal = signal.name.clone();
                readings.push(SignalReading { signal, reading, usual_low: None, outlook: None });
            }
            observed.queries.push(report);
        }
        observed
    }

    async fn ask(
        &self,
        now: &impl Fn() -> Timestamp,
        expected: &Expected,
        policy: &ScalingPolicy,
        signal: &Signal,
    ) -> (QueryReport, BTreeMap<TargetId, Reading>) {
        let (label, theirs) = (policy.target_label.clone(), expected.clone());
        let read = move |it: &Answer<'_>| answer::instant(it, &label, &theirs);
        let (asked, answered) = self.exchange(now, &signal.query, read).await;
        let mut report = QueryReport {
            signal: signal.name.clone(),
            duration: asked.took(),
            n_series: 0,
            n_series_unknown: 0,
            warning: None,
            error: None,
        };
        match answered {
            Ok(found) => {
                report.n_series = found.n_series;
                report.n_series_unknown = found.n_unknown;
                report.warning.clone_from(&found.warning);
                debug!(
                    policy = %policy.id, signal = %signal.name, n_series = found.n_series,
                    n_series_unknown = found.n_unknown, "observed"
                );
                (report, verdicts(asked, expected, signal, &found))
            }
            Err(error) => {
                warn!(policy = %policy.id, signal = %signal.name, error = %error, "cannot observe");
                let message = format!("policy `{}`, signal `{}`: {error}", policy.id, signal.name);
                report.error = Some(error);
                let missing = || Reading::Missing(Absence::Backend { message: message.clone() });
                let targets = expected.iter().flat_map(|(_, targets)| targets);
                (report, targets.map(|it| (it.clone(), missing())).collect())
            }
        }
    }
}

fn verdicts(
    asked: Asked,
    expected: &Expected,
    signal: &Signal,
    found: &Found<Point>,
) -> BTreeMap<TargetId, Reading> {
    let mut verdicts = BTreeMap::new();
    for (value, targets) in expected.iter() {
        let reading = match found.by_value.get(value) {
            None => Reading::Missing(Absence::NoSeries),
            Some(series) if 1 < series.n_series => {
                Reading::Missing(Absence::SeveralSeries { n_series: series.n_series })
            }
            Some(series) => {
                let (sampled_at, number) = series.first;
                let judged_at = asked.judged_at(sampled_at);
                let partial = found.warning.is_some();
                judge_sample(judged_at, number, sampled_at, signal.max_age, partial)
            }
        };
        verdicts.extend(targets.iter().map(|it| (it.clone(), reading.clone())));
    }
    verdicts
}
