//! The same query of several objectives, asked once.
//!
//! **In:** the queries of all objectives of a pass.
//! **Out:** answers, kept as long as somebody else will ask the same.
//! **Not here:** what is made of them ([`super::slis`]), the asking itself
//! ([`crate::prometheus`]).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::slo::increments::{Grid, SeriesOnGrid};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::prometheus::{Haste, QueryError};
use crate::source::MetricsSource;

/// The rows of one answer.
pub(super) type Rows = Result<Vec<SeriesOnGrid>, QueryError>;

/// A grid, in an order: first instant and step in seconds, and how many.
type GridKey = (i64, i64, usize);

/// Answers that are wanted by more than one objective, and by how many still.
#[derive(Default)]
struct Kept {
    n_askers: BTreeMap<String, usize>,
    answers: BTreeMap<(String, GridKey), Shared<BoxFuture<'static, Arc<Rows>>>>,
}

/// Asks, whatever was asked before.
#[derive(Clone)]
struct Asker {
    source: Arc<MetricsSource>,
    clock: Clock,
    metrics: Arc<Metrics>,
    haste: Haste,
}

/// Asks each query of each grid once.
pub(super) struct Questions {
    asker: Asker,
    kept: Mutex<Kept>,
}

impl Questions {
    /// `queries`: each as often as there is somebody who asks it, grids aside.
    pub(super) fn new<'a>(
        source: &Arc<MetricsSource>,
        clock: &Clock,
        metrics: &Arc<Metrics>,
        haste: Haste,
        queries: impl Iterator<Item = &'a str>,
    ) -> Questions {
        let mut n_askers = BTreeMap::<String, usize>::new();
        for query in queries {
            *n_askers.entry(query.to_owned()).or_default() += 1;
        }
        let asker = Asker {
            source: Arc::clone(source),
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
            haste,
        };
        Questions { asker, kept: Mutex::new(Kept { n_askers, ..Kept::default() }) }
    }

    pub(super) fn haste(&self) -> Haste {
        self.asker.haste
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer for `grid`; from memory when somebody has asked it.
    pub(super) async fn ask(&self, query: &str, grid: Grid) -> Rows {
        let shared = {
            let mut kept = self.lock();
            let Kept { n_askers, answers } = &mut *kept;
            let grid_key = (grid.first.as_second(), grid.step.as_secs(), grid.n);
            match answers.entry((query.to_owned(), grid_key)) {
                Entry::Occupied(known) => Some(known.get().clone()),
                // Nobody else will ask.
                Entry::Vacant(_) if n_askers.get(query).is_none_or(|it| *it < 2) => None,
                Entry::Vacant(free) => {
                    let (asker, query) = (self.asker.clone(), query.to_owned());
                    let asking = async move { Arc::new(asker.ask(&query, grid).await) };
                    Some(free.insert(asking.boxed().shared()).clone())
                }
            }
        };
        match shared {
            Some(shared) => Arc::unwrap_or_clone(shared.await),
            None => self.asker.ask(query, grid).await,
        }
    }

    /// One of those who ask these will not ask any more.
    pub(super) fn done<'a>(&self, queries: impl Iterator<Item = &'a str>) {
        let mut kept = self.lock();
        for query in queries {
            let Some(n_left) = kept.n_askers.get_mut(query) else { continue };
            *n_left = n_left.saturating_sub(1);
            if *n_left == 0 {
                kept.n_askers.remove(query);
                kept.answers.retain(|(it, _), _| it != query);
            }
        }
    }
}

impl Asker {
    async fn ask(&self, query: &str, grid: Grid) -> Rows {
        let Some(source) = self.source.prometheus() else { return Ok(Vec::new()) };
        let clock = &self.clock;
        let (took, rows) = source.on_grid(|| clock.now(), query, grid, self.haste).await;
        let outcome = if rows.is_ok() { "answered" } else { "failed" };
        self.metrics.observe_query(outcome, took);
        rows
    }
}
