//! Many scenarios with many seeds: the agent, its twin, and what must fail.
//!
//! **In:** scenarios, seeds and threads. **Out:** one [`Verdict`] per scenario, and a line per
//! seed that failed.
//! **Not here:** files and printing (the `sweep` program), one run ([`crate::run`]).

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pilot::PilotKind;
use crate::run::harm::{Harm, Totals};
use crate::run::{Controller, RunError, Settings, run};
use crate::scenario::region::RegionScenario;
use crate::scorecard::Scorecard;

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct SeedRun {
    /// Which scenario, by place.
    pub scenario: usize,
    /// The seed.
    pub seed: u64,
    /// The agent's scores.
    pub scorecard: Scorecard,
    /// The agent's sums, and its twin's.
    pub totals: [Totals; 2],
    /// By how much the agent was worse than its twin.
    pub harm: Option<Harm>,
}

/// One scenario over all seeds.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Seeds that ran.
    pub n_seeds: u64,
    /// Seeds that violated safety, and what the first of them did.
    pub unsafe_seeds: Vec<(u64, String)>,
    /// Seeds that did not recover, or missed what they must reach.
    pub late_seeds: Vec<(u64, String)>,
    /// Seeds in which the agent was worse than nobody.
    pub harmed_seeds: Vec<(u64, Harm)>,
    /// Means over seeds.
    pub mean: Means,
}

/// Means over the seeds of one scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// Of `cost_ratio`.
    pub cost_ratio: f64,
    /// Of the seconds below the objective.
    pub bad_seconds: f64,
    /// The twin's.
    pub twin_bad_seconds: f64,
    /// Of the changes of capacity.
    pub changes: f64,
    /// Agent's cost divided by the twin's.
    pub cost_to_twin: f64,
    /// Of the seconds to notice, over seeds in which there was something.
    pub mttd_seconds: Option<f64>,
    /// Of the seconds to repair.
    pub mttr_seconds: Option<f64>,
}

/// Runs the agent and its twin in every scenario with every seed, `threads` at a time.
///
/// The result is in the order of scenarios and seeds, whatever the number of threads.
///
/// # Errors
///
/// The first scenario that cannot be run, by place.
pub fn sweep(
    scenarios: &[RegionScenario],
    seeds: std::ops::RangeInclusive<u64>,
    threads: usize,
    told: &(dyn Fn(&SeedRun) + Sync),
) -> Result<Vec<SeedRun>, (usize, RunError)> {
    let jobs: Vec<(usize, u64)> = (0..scenarios.len())
        .flat_map(|scenario| seeds.clone().map(move |seed| (scenario, seed)))
        .collect();
    all(&jobs, threads, |&(place, seed)| {
        let Some(scenario) = scenarios.get(place) else { return Ok(None) };
        let run = both(scenario, place, seed).map_err(|error| (place, error))?;
        told(&run);
        Ok(Some(run))
    })
}

/// The agent and its twin in one scenario with one seed.
///
/// # Errors
///
/// As [`run`].
pub fn both(scenario: &RegionScenario, place: usize, seed: u64) -> Result<SeedRun, RunError> {
    let mine = run(scenario, &Settings::new(seed, Controller::Evenkeel))?;
    let twin = run(scenario, &Settings::new(seed, Controller::Pilot(PilotKind::None)))?;
    let harm = mine.totals.harm_against(&twin.totals);
    Ok(SeedRun {
        scenario: place,
        seed,
        scorecard: mine.scorecard,
        totals: [mine.totals, twin.totals],
        harm,
    })
}

/// Does every job, `threads` at a time; results in the order of the jobs.
fn all<J: Sync, T: Send, E: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J) -> Result<Option<T>, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let failed: Mutex<Option<E>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((place, job)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(place).map(|job| (place, job))
                } {
                    match work(job) {
                        Ok(Some(result)) => lock(&done).push((place, result)),
                        Ok(None) => (),
                        Err(error) => {
                            lock(&failed).get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    let mut done = std::mem::take(&mut *lock(&done));
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Every write is one push: nothing is half done when a thread panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The verdict on one scenario: its runs, in order.
pub fn verdict<'a>(runs: impl IntoIterator<Item = &'a SeedRun>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut n = 0.0;
    let (mut detect, mut repair) = (Vec::new(), Vec::new());
    for it in runs {
        n += 1.0;
        verdict.n_seeds += 1;
        let card = &it.scorecard;
        let first = |is_liveness: bool| {
            let of_kind = card.violations.iter().find(|it| it.is_liveness() == is_liveness);
            of_kind.map(|it| format!("{} at {}: {}", it.invariant, it.at, it.what))
        };
        if let Some(what) = first(false) {
            verdict.unsafe_seeds.push((it.seed, what));
        } else if let Some(what) = first(true) {
            verdict.late_seeds.push((it.seed, what));
        }
        if let Some(harm) = it.harm {
            verdict.harmed_seeds.push((it.seed, harm));
        }
        let [mine, twin] = &it.totals;
        let mean = &mut verdict.mean;
        mean.cost_ratio += card.cost_ratio;
        mean.bad_seconds += seconds(mine.bad_seconds);
        mean.twin_bad_seconds += seconds(twin.bad_seconds);
        mean.changes += f64::from(card.capacity_changes);
        mean.cost_to_twin += mine.cost_usd / twin.cost_usd.max(1e-9);
        detect.extend(card.mttd_seconds);
        repair.extend(card.mttr_seconds);
    }
    let mean = &mut verdict.mean;
    for it in [
        &mut mean.cost_ratio,
        &mut mean.bad_seconds,
        &mut mean.twin_bad_seconds,
        &mut mean.changes,
        &mut mean.cost_to_twin,
    ] {
        *it /= f64::max(n, 1.0);
    }
    mean.mttd_seconds = mean_of(&detect);
    mean.mttr_seconds = mean_of(&repair);
    verdict
}

/// Whether one who must fail a scenario does: the first thing it did wrong, or `None` when it
/// passed.
///
/// # Errors
///
/// As [`run`].
pub fn failure_of(
    scenario: &RegionScenario,
    naive: PilotKind,
    seed: u64,
) -> Result<Option<String>, RunError> {
    let run = run(scenario, &Settings::new(seed, Controller::Pilot(naive)))?;
    let first = run.scorecard.violations.first();
    Ok(first.map(|it| format!("{}: {}", it.invariant, it.what)))
}

fn mean_of(values: &[f64]) -> Option<f64> {
    let n = u32::try_from(values.len()).ok().filter(|it| 0 < *it)?;
    Some(values.iter().sum::<f64>() / f64::from(n))
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run are far below 2^53")]
fn seconds(whole: u64) -> f64 {
    whole as f64
}
