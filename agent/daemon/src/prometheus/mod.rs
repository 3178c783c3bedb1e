//! What Prometheus (or anything that speaks its HTTP API) says of the signals.
//!
//! **In:** documents, and settings that say where to ask and with which secrets.
//! **Out:** one reading per signal and target, also when nothing could be
//! read ([`PrometheusSource::observe`]), the same for the inputs of playbooks
//! ([`PrometheusSource::observe_inputs`]), the past as points
//! ([`PrometheusSource::backfill`]), and what budgets count
//! ([`PrometheusSource::on_grid`], [`PrometheusSource::labelled`]).
//! **Not here:** what follows from a reading (the core's), where points are kept
//! (`evenkeel_forecast::history`), and when to ask (the event loop).

mod answer;
mod backfill;
mod client;
mod error;
mod exchange;
mod grids;
mod inputs;
mod instant;
mod labelled;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::documents::{Documents, ScalingPolicy, Target};
use evenkeel_core::ids::TargetId;
use tokio::sync::Semaphore;

pub use backfill::{BackfillReport, Gap};
pub use error::{QueryError, SettingsError};
pub use grids::Haste;
pub use inputs::{InputReport, ObservedInputs};
pub use instant::{Observed, QueryReport};
pub use labelled::{Labelled, LabelledSample};
pub use settings::{BasicAuth, PrometheusSettings};

use client::{Ask, Client};

/// Series in one answer beyond which it is refused.
///
/// Why 20,000: twice the targets of one daemon; a query that returns more was
/// not aggregated, and each of its series would be parsed every period.
pub const SERIES_MAX: usize = 20_000;

/// A Prometheus, and the turns that queries to it take.
///
/// Cheap to share behind an `Arc`; certificates are read once, by
/// [`PrometheusSource::new`], secrets anew for every query.
#[derive(Debug)]
pub struct PrometheusSource {
    settings: PrometheusSettings,
    client: Client,
    turns: Semaphore,
    /// Apart from `turns`, so that two weeks of history never delay the present.
    backfill_turns: Semaphore,
    /// Apart from both, so that a heavy SLO delays neither.
    budget_turns: Semaphore,
}

impl PrometheusSource {
    /// Reads the certificates and builds the connection pool; asks nothing yet.
    ///
    /// # Errors
    ///
    /// When the URL is not one of a server, a secret would travel unencrypted,
    /// or a certificate, key or limit cannot be used.
    pub fn new(settings: PrometheusSettings) -> Result<PrometheusSource, SettingsError> {
        settings.check()?;
        let client = Client::new(&settings)?;
        let turns = Semaphore::new(settings.concurrency);
        let backfill_turns = Semaphore::new(settings.concurrency.div_ceil(2));
        let budget_turns = Semaphore::new(settings.concurrency.div_ceil(2));
        Ok(PrometheusSource { settings, client, turns, backfill_turns, budget_turns })
    }

    /// What it was made from.
    pub fn settings(&self) -> &PrometheusSettings {
        &self.settings
    }

    /// Does Prometheus answer a query, with our secrets and certificates?
    ///
    /// Asks `vector(1)` instead of `/-/ready`: that proves the whole path, and
    /// the other servers of this API have no such page.
    ///
    /// # Errors
    ///
    /// What kept it from answering, within the query's time-out.
    pub async fn ready(&self) -> Result<(), QueryError> {
        let ask = Ask::Instant { query: "vector(1)".to_owned() };
        let fetched = self.client.fetch(&ask).await?;
        fetched.parse(|body| answer::instant(body, "", &Expected::default())).await.map(drop)
    }
}

/// Which label value belongs to which targets of one policy.
///
/// Several targets may share a value (two groups that serve one service).
#[derive(Clone, Debug, Default)]
struct Expected(Arc<BTreeMap<String, Vec<TargetId>>>);

impl Expected {
    fn of(documents: &Documents, policy: &ScalingPolicy) -> Expected {
        let targets = documents.targets_of(&policy.id);
        Expected::by_value(targets.map(|it| (policy.label_value_of(it), it)))
    }

    fn by_value<'a>(targets: impl Iterator<Item = (&'a str, &'a Target)>) -> Expected {
        let mut by_value: BTreeMap<String, Vec<TargetId>> = BTreeMap::new();
        for (value, target) in targets {
            by_value.entry(value.to_owned()).or_default().push(target.id.clone());
        }
        Expected(Arc::new(by_value))
    }

    fn contains(&self, value: &str) -> bool {
        self.0.contains_key(value)
    }

    fn targets_of(&self, value: &str) -> &[TargetId] {
        self.0.get(value).map_or(&[], Vec::as_slice)
    }

    fn n_targets(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &[TargetId])> {
        self.0.iter().map(|(value, targets)| (value.as_str(), targets.as_slice()))
    }
}
