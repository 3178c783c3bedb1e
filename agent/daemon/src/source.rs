//! Where signals come from: Prometheus, or the demo's region.
//!
//! **In:** documents and a policy.
//! **Out:** one reading per signal and target of the policy, the same for the inputs of
//! playbooks, and the past.
//! **Not here:** how Prometheus is asked ([`crate::prometheus`]), how the region
//! behaves (`evenkeel-sim`).

pub(crate) mod inputs;

use std::collections::BTreeMap;

use evenkeel_core::documents::{Documents, ScalingPolicy};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::quality::SignalReading;
use jiff::Timestamp;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::forecasters::Forecasters;
use crate::histories::Histories;
use crate::metrics::Metrics;
use crate::prometheus::PrometheusSource;

use inputs::InputsSeen;

/// A closed set: what speaks PromQL is reached as a Prometheus.
#[derive(Debug)]
pub(crate) enum MetricsSource {
    /// A real one.
    Prometheus(Box<PrometheusSource>),
    /// The demo's.
    #[cfg(feature = "demo")]
    Region(crate::demo::region_source::RegionSource),
}

impl MetricsSource {
    /// The Prometheus, where it is one. Only that has counters for budgets: the demo's
    /// region has no SLOs and nothing to pay for by use.
    pub(crate) fn prometheus(&self) -> Option<&PrometheusSource> {
        match self {
            MetricsSource::Prometheus(source) => Some(source),
            #[cfg(feature = "demo")]
            MetricsSource::Region(_) => None,
        }
    }

    /// What the signals of `policy` are now, for each of its targets.
    pub(crate) async fn observe(
        &self,
        clock: &Clock,
        documents: &Documents,
        policy: &ScalingPolicy,
        metrics: &Metrics,
    ) -> BTreeMap<TargetId, Vec<SignalReading>> {
        match self {
            MetricsSource::Prometheus(source) => {
                let observed = source.observe(|| clock.now(), documents, policy).await;
                for query in &observed.queries {
                    let outcome = if query.error.is_none() { "answered" } else { "failed" };
                    metrics.observe_query(outcome, query.duration);
                }
                observed.readings
            }
            #[cfg(feature = "demo")]
            MetricsSource::Region(source) => source.observe(clock.now(), documents, policy),
        }
    }

    /// What the inputs of all playbooks are now, for each of their targets.
    pub(crate) async fn observe_inputs(
        &self,
        clock: &Clock,
        documents: &Documents,
        metrics: &Metrics,
    ) -> InputsSeen {
        match self {
            MetricsSource::Prometheus(source) => {
                let observed = source.observe_inputs(|| clock.now(), documents).await;
                for query in &observed.queries {
                    let outcome = if query.error.is_none() { "answered" } else { "failed" };
                    metrics.observe_query(outcome, query.duration);
                }
                InputsSeen::Answers(observed)
            }
            #[cfg(feature = "demo")]
            MetricsSource::Region(source) => {
                InputsSeen::Made(source.observe_inputs(clock.now(), documents))
            }
        }
    }

    /// Fills `histories` and `forecasters` with what was before the start, with one
    /// query for both; false when some of it could not be read. Takes as long as it
    /// takes; the agent is at work meanwhile.
    pub(crate) async fn backfill(
        &self,
        clock: &Clock,
        documents: &Documents,
        histories: &Histories,
        forecasters: &Forecasters,
    ) -> bool {
        let mut is_complete = true;
        for policy in documents.policies() {
            for signal in &policy.signals {
                forecasters.begin_past(documents, policy, &signal.name);
                let mut strip = Strip::of(documents, &signal.name, forecasters, clock.now());
                let mut sink = |target: &TargetId, at, value| {
                    histories.backfill(clock.now(), policy, target, &signal.name, at, value);
                    strip.push(target, at, value);
                };
                match self {
                    MetricsSource::Prometheus(source) => {
                        let report = source
                            .backfill(|| clock.now(), documents, policy, signal, &mut sink)
                            .await;
                        let (points, gaps) = (report.n_points, report.gaps.len());
                        info!(policy = %policy.id, signal = %signal.name, points, gaps, "history read");
                        is_complete &= report.gaps.is_empty();
                        for gap in &report.gaps {
                            warn!(
                                policy = %policy.id, signal = %signal.name, from = %gap.from, to = %gap.to,
                                error = %gap.error, "a part of the history cannot be read",
                            );
                        }
                    }
                    #[cfg(feature = "demo")]
                    MetricsSource::Region(source) => {
                        source.backfill(documents, policy, signal, &mut sink);
                    }
                }
                strip.hand_over();
                forecasters.end_past(documents, policy, &signal.name);
            }
        }
        is_complete
    }
}

/// Neighbouring points of one target, handed over together.
struct Strip<'a> {
    documents: &'a Documents,
    signal: &'a SignalName,
    forecasters: &'a Forecasters,
    target: Option<TargetId>,
    points: Vec<(Timestamp, f64)>,
    /// When the past ends.
    until: Timestamp,
}

impl<'a> Strip<'a> {
    fn of(
        documents: &'a Documents,
        signal: &'a SignalName,
        forecasters: &'a Forecasters,
        until: Timestamp,
    ) -> Strip<'a> {
        Strip { documents, signal, forecasters, target: None, points: Vec::new(), until }
    }

    fn push(&mut self, target: &TargetId, at: Timestamp, value: f64) {
        if self.target.as_ref() != Some(target) {
            self.hand_over();
            self.target = Some(target.clone());
        }
        self.points.push((at, value));
    }

    fn hand_over(&mut self) {
        if let Some(target) = self.target.take() {
            // Two weeks of one series take some 10 ms; others on this thread need not
            // wait for those of thousands.
            tokio::task::block_in_place(|| {
                let Strip { documents, signal, points, until, .. } = self;
                self.forecasters.backfill(documents, &target, signal, points, *until);
            });
        }
        self.points.clear();
    }
}
