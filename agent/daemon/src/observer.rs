//! Looks at everything, once per evaluation period.
//!
//! **In:** documents, a metrics source, the providers, past load.
//! **Out:** one observation per target and pass, in batches, with what is expected; then
//! one per playbook and target of it.
//! **Not here:** judging and deciding (the core's), the queries themselves
//! ([`crate::prometheus`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::documents::{Documents, ProviderRef};
use evenkeel_core::heal::view::PlaybookObservation;
use evenkeel_core::ids::TargetId;
use evenkeel_core::quality::{CapacityReading, SignalReading, TargetObservation};
use evenkeel_forecast::anomalies::AnomalyScores;
use evenkeel_providers::Providers;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::event_loop::Looked;
use crate::forecasters::Forecasters;
use crate::histories::Histories;
use crate::metrics::Metrics;
use crate::source::MetricsSource;
use crate::source::inputs::{InputCounts, InputsSeen};

/// Targets (or playbooks' looks at one) per batch.
///
/// Why 250: at most 25 ms of evaluation at 100 us each, and a person is heard
/// between any two batches.
pub(crate) const BATCH_TARGETS: usize = 250;

/// Batches that may wait for the loop; beyond that the observer waits.
pub(crate) const BATCHES_WAITING_MAX: usize = 4;

/// Clock difference that is worth a line in the log.
const APART_MAX: SignedDuration = SignedDuration::from_secs(2);

/// Looks at everything again and again.
pub(crate) struct Observer {
    pub(crate) clock: Clock,
    /// Whether the clock follows the wall clock; not in the demo.
    pub(crate) follows_wall_clock: bool,
    pub(crate) period: SignedDuration,
    pub(crate) documents: watch::Receiver<Arc<Documents>>,
    pub(crate) source: Arc<MetricsSource>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) histories: Histories,
    pub(crate) forecasters: Forecasters,
    pub(crate) batches: mpsc::Sender<Looked>,
    /// Ends the wait between two passes early.
    pub(crate) look_now: Arc<Notify>,
    pub(crate) metrics: Arc<Metrics>,
    /// How odd the series are that playbooks ask that of. A restart forgets it.
    pub(crate) anomalies: AnomalyScores,
    /// Set once the first pass was handed over.
    pub(crate) first_pass: watch::Sender<bool>,
}

impl Observer {
    /// Runs until the loop takes no more batches.
    pub(crate) async fn run(mut self) {
        let period = self.clock.real(self.period);
        loop {
            let started = tokio::time::Instant::now();
            self.follow_wall_clock();
            if self.pass().await.is_err() {
                return;
            }
            self.metrics.observe_pass(started.elapsed(), self.clock.now());
            self.first_pass.send_replace(true);
            // From start to start; a pass that took longer is followed at once, but
            // never without a breath for the metrics backend.
            let rest = period.saturating_sub(started.elapsed()).max(period / 10);
            tokio::select! {
                () = tokio::time::sleep(rest) => (),
                () = self.look_now.notified() => (),
                () = self.batches.closed() => return,
            }
        }
    }

    fn follow_wall_clock(&self) {
        if self.follows_wall_clock {
            let apart = self.clock.follow(Timestamp::now());
            if APART_MAX < apart.abs() {
                warn!(
                    apart_seconds = apart.as_secs_f64(),
                    "the wall clock was stepped; following slowly"
                );
            }
        }
    }

    /// One look at everything. `Err` when nobody takes what was seen.
    async fn pass(&mut self) -> Result<(), ()> {
        let documents = Arc::clone(&self.documents.borrow_and_update());
        let references: Vec<(TargetId, ProviderRef)> =
            documents.targets().map(|it| (it.id.clone(), it.provider.clone())).collect();
        let (capacities, mut signals, inputs) = tokio::join!(
            self.providers.read(&references),
            self.signals(&documents),
            self.source.observe_inputs(&self.clock, &documents, &self.metrics),
        );
        let now = self.clock.now();
        let mut batch = Vec::with_capacity(BATCH_TARGETS.min(references.len()));
        for (target, capacity) in capacities {
            let mut readings = signals.remove(&target).unwrap_or_default();
            self.histories.take_in(now, &documents, &target, &mut readings);
            self.forecasters.take_in(now, &documents, &target, &mut readings);
            let capacity: Result<CapacityReading, String> =
                capacity.map_err(|error| error.to_string());
            batch.push(TargetObservation { target, capacity, signals: readings });
            if BATCH_TARGETS <= batch.len() {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_TARGETS));
                self.batches.send(Looked::Batch(full)).await.map_err(drop)?;
            }
        }
        if !batch.is_empty() {
            self.batches.send(Looked::Batch(batch)).await.map_err(drop)?;
        }
        // After all capacities: what a playbook sees is judged against them.
        self.hand_over_inputs(&documents, &inputs).await?;
        drop(inputs);
        self.batches.send(Looked::PassDone).await.map_err(drop)?;
        self.forecasters.publish();
        debug!(targets = references.len(), "pass done");
        Ok(())
    }

    async fn hand_over_inputs(
        &mut self,
        documents: &Documents,
        inputs: &InputsSeen,
    ) -> Result<(), ()> {
        let mut counts = InputCounts::default();
        self.anomalies.retain(documents);
        let mut observations = inputs.observations(documents);
        loop {
            let mut batch: Vec<PlaybookObservation> =
                observations.by_ref().take(BATCH_TARGETS).collect();
            if batch.is_empty() {
                break;
            }
            self.anomalies.apply(documents, &mut batch);
            for observation in &batch {
                counts.add(&observation.inputs);
            }
            self.batches.send(Looked::Playbooks(batch)).await.map_err(drop)?;
        }
        self.metrics.set_playbook_inputs(counts.n_good, counts.n_missing);
        Ok(())
    }

    /// All signals of all policies, policies side by side.
    async fn signals(&self, documents: &Documents) -> BTreeMap<TargetId, Vec<SignalReading>> {
        let mut asked: FuturesUnordered<_> = documents
            .policies()
            .map(|policy| self.source.observe(&self.clock, documents, policy, &self.metrics))
            .collect();
        let mut signals = BTreeMap::new();
        while let Some(readings) = asked.next().await {
            signals.extend(readings);
        }
        signals
    }
}
