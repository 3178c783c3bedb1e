//! Reading the indicators of SLOs, slot by slot.
//!
//! **In:** objectives with the grids that the agent wants, by the clock of their slots.
//! **Out:** [`SliReading`]s to the loop; nothing at all of an objective that cannot be read.
//! **Not here:** when to read ([`super`]), what a slot counts
//! ([`evenkeel_core::slo::increments`]).
//!
//! An objective that is read from the beginning (three days, slot by slot) takes long.
//! Those are read beside the regular readings, a few at once, in turns of their own.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_core::agent::Input;
use evenkeel_core::budget::wanted::SliWanted;
use evenkeel_core::documents::{Documents, Indicator, MetricQuery};
use evenkeel_core::ids::SloId;
use evenkeel_core::slo::increments::{Grid, SERIES_MAX, SeriesOnGrid, slot_readings};
use evenkeel_core::slo::{SLOT, SliReading, SlotReading};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::questions::Questions;
use super::troubles::{Subject, Troubles};
use super::{Batch, PASS_MAX, Stopping};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::prometheus::{Haste, QueryError};
use crate::source::MetricsSource;

/// Most instants of a regular reading. Why an hour: what a restart or a short outage of the
/// metrics backend left out comes with the next reading, and ten such answers of a hundred
/// series are 5 MB.
const REGULAR_INSTANTS_MAX: usize = 121;

/// Objectives that are read regularly at once. Why 16: enough to keep the turns of queries
/// busy, and few enough that a backend that hangs is told of in one pass.
const REGULAR_AT_ONCE: usize = 16;

/// Objectives that are read from the beginning at once. Why 4: their answers may take some
/// 100 MB together, and their queries are the heaviest that there are.
const FIRST_AT_ONCE: usize = 4;

/// How often a grid is halved when an answer is too heavy. Why 6: an hour and a half of
/// three days slot by slot; what is too heavy then is too heavy for every reading.
const HALVINGS_MAX: u8 = 6;

/// Most instants of one query. Why: Prometheus refuses more than 11,000 points per series.
const INSTANTS_MAX: usize = 11_000;

/// One objective that is to be read.
#[derive(Clone, Debug)]
pub(super) struct Job {
    slo: SloId,
    objective: usize,
    indicator: Indicator,
    grids: Vec<Grid>,
}

impl Job {
    /// `None` where there is nothing to read: the objective is gone, or its source is not
    /// one that is read here.
    pub(super) fn of(documents: &Documents, wanted: SliWanted) -> Option<Job> {
        let SliWanted { slo, objective, grids } = wanted;
        let indicator = &documents.slo(&slo)?.objectives.get(objective)?.indicator;
        let job = Job { indicator: indicator.clone(), slo, objective, grids };
        (job.indicator.unread().is_none() && !job.grids.is_empty()).then_some(job)
    }

    /// Whether it goes on from before; else most of it is past.
    pub(super) fn is_regular(&self) -> bool {
        self.grids.iter().all(|it| it.step == SLOT && it.n <= REGULAR_INSTANTS_MAX)
    }

    fn queries(&self) -> impl Iterator<Item = &str> {
        self.indicator.queries().into_iter().filter_map(|it| match it {
            MetricQuery::PromQl(query) => Some(query.as_str()),
            MetricQuery::Unread { .. } => None,
        })
    }

    fn is_same(&self, slo: &SloId, objective: usize) -> bool {
        self.slo == *slo && self.objective == objective
    }
}

/// What one objective's reading came to: one per grid that could be read.
struct Done {
    job: Job,
    readings: Vec<SliReading>,
    error: Option<String>,
}

/// Reads objectives.
pub(super) struct SliReader {
    source: Arc<MetricsSource>,
    clock: Clock,
    metrics: Arc<Metrics>,
    inputs: mpsc::Sender<Input>,
    troubles: Troubles,
    /// What a pass did not get to: read first in the next.
    left_over: BTreeSet<(SloId, usize)>,
    /// The one that reads from the beginning; ends with this.
    first: JoinSet<()>,
}

impl SliReader {
    pub(super) fn new(
        source: Arc<MetricsSource>,
        clock: Clock,
        metrics: Arc<Metrics>,
        inputs: mpsc::Sender<Input>,
        troubles: Troubles,
    ) -> SliReader {
        let (left_over, first) = (BTreeSet::new(), JoinSet::new());
        SliReader { source, clock, metrics, inputs, troubles, left_over, first }
    }

    /// Forgets what is known of other objectives.
    pub(super) fn forget_but(&self, regular: &[Job], first: &[Job]) {
        let all: BTreeSet<(&SloId, usize)> =
            regular.iter().chain(first).map(|it| (&it.slo, it.objective)).collect();
        self.troubles.forget_objectives(|slo, nth| all.contains(&(slo, nth)));
    }

    /// Reads all of `jobs`, side by side, and hands them over. What takes too long is left.
    pub(super) async fn read_regular(&mut self, mut jobs: Vec<Job>) -> Result<(), Stopping> {
        self.sort(&mut jobs);
        let mut left: BTreeSet<(SloId, usize)> =
            jobs.iter().map(|it| (it.slo.clone(), it.objective)).collect();
        let questions = self.questions(&jobs, Haste::Now);
        let until = Instant::now() + PASS_MAX;
        let reading = |job| read(job, Arc::clone(&questions));
        let mut reading =
            futures_util::stream::iter(jobs).map(reading).buffer_unordered(REGULAR_AT_ONCE);
        let mut batch = Batch::new(&self.inputs);
        while let Ok(Some(done)) = tokio::time::timeout_at(until, reading.next()).await {
            let Done { job, readings, error } = done;
            left.remove(&(job.slo.clone(), job.objective));
            self.metrics.count_slo_read(error.is_none());
            let subject = Subject::Objective(job.slo, job.objective);
            self.troubles.note(self.clock.now(), &subject, error);
            batch.add(readings).await?;
        }
        drop(reading);
        for (slo, objective) in &left {
            self.metrics.count_slo_read(false);
            let subject = Subject::Objective(slo.clone(), *objective);
            let error = format!("not read within {} s: queries take too long", PASS_MAX.as_secs());
            self.troubles.note(self.clock.now(), &subject, Some(error));
        }
        self.left_over = left;
        batch.flush().await
    }

    /// Begins to read `jobs` from the beginning, unless others are being read so: those
    /// that are still wanted then come next.
    pub(super) fn begin_first(&mut self, mut jobs: Vec<Job>) {
        while self.first.try_join_next().is_some() {}
        let now = self.clock.now();
        jobs.retain(|it| !self.troubles.rests(now, &Subject::Past(it.slo.clone(), it.objective)));
        if !self.first.is_empty() || jobs.is_empty() {
            return;
        }
        self.sort(&mut jobs);
        let questions = self.questions(&jobs, Haste::Past);
        let (inputs, metrics) = (self.inputs.clone(), Arc::clone(&self.metrics));
        let (clock, troubles) = (self.clock.clone(), self.troubles.clone());
        self.first.spawn(async move {
            let reading = |job| read(job, Arc::clone(&questions));
            let mut reading =
                futures_util::stream::iter(jobs).map(reading).buffer_unordered(FIRST_AT_ONCE);
            while let Some(Done { job, readings, error }) = reading.next().await {
                metrics.count_slo_read(error.is_none());
                troubles.note(clock.now(), &Subject::Past(job.slo, job.objective), error);
                let mut batch = Batch::new(&inputs);
                if batch.add(readings).await.is_err() || batch.flush().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Those of the last pass first, then by what they ask: who asks the same stands
    /// together, so that answers need not be kept for long.
    fn sort(&self, jobs: &mut [Job]) {
        let is_left = |it: &Job| self.left_over.iter().any(|(slo, nth)| it.is_same(slo, *nth));
        jobs.sort_by_cached_key(|it| {
            let mut queries: Vec<String> = it.queries().map(str::to_owned).collect();
            queries.reverse();
            (!is_left(it), queries)
        });
    }

    fn questions(&self, jobs: &[Job], haste: Haste) -> Arc<Questions> {
        let queries = jobs.iter().flat_map(Job::queries);
        Arc::new(Questions::new(&self.source, &self.clock, &self.metrics, haste, queries))
    }
}

/// Reads every grid of `job`.
async fn read(job: Job, questions: Arc<Questions>) -> Done {
    let (mut readings, mut error) = (Vec::new(), None);
    for grid in &job.grids {
        match read_grid(&job, *grid, &questions).await {
            Ok(slots) => readings.push(SliReading {
                slo: job.slo.clone(),
                objective: job.objective,
                step: grid.step,
                slots,
            }),
            Err(wrong) => error = error.or(Some(wrong.to_string())),
        }
    }
    questions.done(job.queries());
    Done { job, readings, error }
}

/// Reads one grid, in pieces where Prometheus cannot answer it whole. A counter that was
/// away at the seam of two pieces loses what it counted meanwhile.
async fn read_grid(
    job: &Job,
    grid: Grid,
    questions: &Questions,
) -> Result<Vec<SlotReading>, QueryError> {
    let mut pieces = vec![(grid, 0)];
    let mut slots = Vec::with_capacity(grid.n);
    while let Some((piece, n_halvings)) = pieces.pop() {
        let answered = if INSTANTS_MAX < piece.n {
            None
        } else {
            match ask_all(job, piece, questions).await {
                Ok(answers) => Some(answers),
                Err(error) if questions.haste() == Haste::Past && error.is_too_heavy() => {
                    if HALVINGS_MAX <= n_halvings || piece.n < 3 {
                        return Err(error);
                    }
                    None
                }
                Err(error) => return Err(error),
            }
        };
        match answered {
            Some(answers) => slots.extend(count(&job.indicator, piece, answers).await?),
            None => {
                let [early, late] = halves(piece);
                pieces.extend([(late, n_halvings + 1), (early, n_halvings + 1)]);
            }
        }
    }
    Ok(slots)
}

/// Both begin and end with an instant of their own; the last of the first is the first of
/// the second, because an increment needs two.
fn halves(grid: Grid) -> [Grid; 2] {
    let middle = grid.n / 2;
    let early = Grid { n: middle + 1, ..grid };
    let late = Grid { first: grid.at(middle), n: grid.n - middle, ..grid };
    [early, late]
}

/// The answers to the queries of a job's indicator, in their order.
async fn ask_all(
    job: &Job,
    grid: Grid,
    questions: &Questions,
) -> Result<Vec<Vec<SeriesOnGrid>>, QueryError> {
    let asked = join_all(job.queries().map(|it| questions.ask(it, grid))).await;
    let answers: Vec<Vec<SeriesOnGrid>> = asked.into_iter().collect::<Result<_, _>>()?;
    if answers.iter().any(|it| SERIES_MAX < it.len()) {
        return Err(QueryError::TooManySeries { series_max: SERIES_MAX });
    }
    Ok(answers)
}

/// Off the runtime's threads: three days of a thousand series take a while.
async fn count(
    indicator: &Indicator,
    grid: Grid,
    answers: Vec<Vec<SeriesOnGrid>>,
) -> Result<Vec<SlotReading>, QueryError> {
    let indicator = indicator.clone();
    let counted = move || slot_readings(&indicator, grid, &answers);
    let stopped = |_| QueryError::Unreadable { reason: "the daemon is stopping".to_owned() };
    tokio::task::spawn_blocking(counted).await.map_err(stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    proptest! {
        // Every step of a grid is in exactly one piece, in order, however it is halved.
        #[test]
        fn pieces_have_every_step_once(n in 3usize..5_000, halve in proptest::collection::vec(any::<bool>(), 64)) {
            let first = Timestamp::from_second(1_700_000_010).unwrap();
            let grid = Grid { first, step: SLOT, n };
            let mut pieces = vec![grid];
            let mut ends = Vec::new();
            let mut halve = halve.into_iter();
            while let Some(piece) = pieces.pop() {
                prop_assert!(2 <= piece.n);
                if 3 <= piece.n && halve.next() == Some(true) {
                    let [early, late] = halves(piece);
                    pieces.extend([late, early]);
                    continue;
                }
                ends.extend((1..piece.n).map(|it| piece.at(it)));
            }
            prop_assert_eq!(ends, (1..n).map(|it| grid.at(it)).collect::<Vec<_>>());
        }
    }
}
