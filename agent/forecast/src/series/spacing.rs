//! The distance between samples, when it is not said.
//!
//! **In:** times in ascending order, in microseconds.
//! **Out:** [`Spacing`]: the step of the grid, and where the distance changes for good.
//! **Not here:** putting samples on the grid (see [`super::grid`]).

use std::collections::BTreeMap;

/// Steps that people set, in seconds. A distance within [`NEAR_PERCENT`] of one is taken for it
/// when it jitters.
const USUAL_S: [i64; 23] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 14_400,
    21_600, 28_800, 43_200, 86_400, 604_800,
];

/// How near is near. Why 10: scrapes come late by a few percent; no two usual steps are nearer
/// to each other than a quarter.
const NEAR_PERCENT: i64 = 10;

/// How many equal distances in a row are a step and not chance. Why 12: at a third of all
/// samples missing at random, a run of twelve double distances has a chance below 1e-7.
const RUN_MIN: usize = 12;

/// Share of the time in runs, in percent, from which a coarser step is the step of the whole
/// series. Why 10: less of it is better told as gaps than paid for with the finer part's detail.
/// The newest run counts however short, because that is where a forecast starts.
const COARSER_PERCENT: i128 = 10;

/// Share of all distances that the most common one needs; below it the middle one is the step.
/// Why 30: with 40% of samples missing at random, 36% of distances are still one step.
const COMMON_PERCENT: usize = 30;

/// Most distances counted one by one. Why 4,096: jitter in milliseconds has this many; beyond
/// it no single one is common anyway.
const EXACT_MAX: usize = 4_096;

/// The grid that samples ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spacing {
    /// Distance of the grid; above 0.
    pub(super) step_us: i64,
    /// Where the distance changes, if the step does.
    pub(super) change: Option<Change>,
}

/// A step that changes half-way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Time of the last sample before.
    pub(super) at_us: i64,
    /// Distance before it.
    pub(super) from_us: i64,
    /// Distance after it.
    pub(super) to_us: i64,
}

/// Distances that are the same but for jitter.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    count: usize,
    run_us: i128,
}

/// What kind of distance this is: the usual one nearby, or two digits of it.
fn kind(distance_us: i64) -> i64 {
    for usual in USUAL_S {
        let usual = usual * 1_000_000;
        if (distance_us - usual).abs() <= usual * NEAR_PERCENT / 100 {
            return usual;
        }
    }
    let mut scale = 1;
    while 100 <= distance_us / scale {
        scale *= 10;
    }
    distance_us / scale * scale
}

/// The spacing of `times`, which are ascending; equal ones count once. `None` when fewer than
/// two are different.
pub(super) fn find<I: Iterator<Item = i64>>(times: impl Fn() -> I) -> Option<Spacing> {
    let mut kinds: BTreeMap<i64, Kind> = BTreeMap::new();
    let mut exact: BTreeMap<i64, usize> = BTreeMap::new();
    let mut newest_run = None;
    each_run(times(), &mut |run| {
        let of_kind = kinds.entry(run.kind_us).or_default();
        of_kind.count += run.length;
        if RUN_MIN <= run.length {
            of_kind.run_us += i128::from(run.kind_us) * run.length as i128;
            newest_run = Some(run.kind_us);
        }
        // A run is of one kind, and within it nearly always of one distance.
        for (distance, n) in run.exact {
            if exact.len() < EXACT_MAX || exact.contains_key(&distance) {
                *exact.entry(distance).or_default() += n;
            }
        }
    });
    let count: usize = kinds.values().map(|it| it.count).sum();
    let all_us: i128 = kinds.values().map(|it| it.run_us).sum();
    // The smallest of the most common.
    let (mut common, mut n_common) = (None, 0);
    for (kind, of_kind) in &kinds {
        if n_common < of_kind.count {
            (common, n_common) = (Some(*kind), of_kind.count);
        }
    }
    let mut chosen = common?;
    if n_common * 100 < count * COMMON_PERCENT {
        let mut below = 0;
        for (kind, of_kind) in &kinds {
            below += of_kind.count;
            if count <= below * 2 {
                chosen = *kind;
                break;
            }
        }
    }
    for (kind, of_kind) in &kinds {
        let is_long = all_us * COARSER_PERCENT <= of_kind.run_us * 100 && 0 < of_kind.run_us;
        if chosen < *kind && (is_long || newest_run == Some(*kind)) {
            chosen = *kind;
        }
    }
    let step_us = exactly(chosen, &kinds, &exact);
    let change = change(times(), chosen).map(|(at_us, from, to)| Change {
        at_us,
        from_us: exactly(from, &kinds, &exact),
        to_us: exactly(to, &kinds, &exact),
    });
    Some(Spacing { step_us, change })
}

/// Share of the distances of a kind, in percent, from which the most common one is exact. Why 90:
/// jitter of a few seconds makes one distance two thirds of all, and still not the step.
const EXACT_PERCENT: usize = 90;

/// The most common distance of a kind if nearly all are, otherwise what the kind stands for.
fn exactly(kind_us: i64, kinds: &BTreeMap<i64, Kind>, exact: &BTreeMap<i64, usize>) -> i64 {
    let n_kind = kinds.get(&kind_us).map_or(0, |it| it.count);
    let of_kind = exact.iter().filter(|(distance, _)| kind(**distance) == kind_us);
    let (mut step_us, mut n_max) = (kind_us, 0);
    for (distance, n) in of_kind {
        if n_max < *n {
            (step_us, n_max) = (*distance, *n);
        }
    }
    if n_kind * EXACT_PERCENT <= n_max * 100 { step_us } else { kind_us }
}

/// Where long runs of another kind give way to, or follow, the first long run of the chosen kind.
fn change(times: impl Iterator<Item = i64>, chosen: i64) -> Option<(i64, i64, i64)> {
    let mut before: Option<i64> = None;
    let mut found = None;
    each_run(times, &mut |run| {
        if run.length < RUN_MIN || found.is_some() {
            return;
        }
        if let Some(before) = before.filter(|it| *it != run.kind_us)
            && (before == chosen || run.kind_us == chosen)
        {
            found = Some((run.starts_at_us, before, run.kind_us));
        }
        before = Some(run.kind_us);
    });
    found
}

/// Distances of one kind in a row.
struct Run {
    kind_us: i64,
    length: usize,
    /// Time of the sample before the first distance.
    starts_at_us: i64,
    /// The distances one by one, the first few different ones.
    exact: Vec<(i64, usize)>,
}

/// Most different distances kept of one run. Why 64: jitter in seconds has fewer.
const EXACT_OF_RUN_MAX: usize = 64;

impl Run {
    fn note(&mut self, distance: i64) {
        self.length += 1;
        if let Some((_, n)) = self.exact.iter_mut().find(|(it, _)| *it == distance) {
            *n += 1;
        } else if self.exact.len() < EXACT_OF_RUN_MAX {
            self.exact.push((distance, 1));
        }
    }
}

fn each_run(times: impl Iterator<Item = i64>, take: &mut dyn FnMut(Run)) {
    let mut before: Option<i64> = None;
    let mut open: Option<Run> = None;
    let mut known = (0, 0);
    for at_us in times {
        let Some(before_us) = before.replace(at_us) else { continue };
        let distance = at_us - before_us;
        if distance <= 0 {
            continue;
        }
        if known.0 != distance {
            known = (distance, kind(distance));
        }
        match &mut open {
            Some(run) if run.kind_us == known.1 => run.note(distance),
            Some(_) | None => {
                let exact = vec![(distance, 1)];
                let run = Run { kind_us: known.1, length: 1, starts_at_us: before_us, exact };
                if let Some(ended) = open.replace(run) {
                    take(ended);
                }
            }
        }
    }
    if let Some(ended) = open {
        take(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    /// Times at these distances, in seconds, each so many times.
    #[track_caller]
    fn check(distances: &[(i64, usize)], step_s: i64, change: Option<(i64, i64)>) {
        let mut times = vec![0];
        let mut at = 0;
        for (distance, n) in distances {
            for _ in 0..*n {
                at += distance * S;
                times.push(at);
            }
        }
        let found = find(|| times.iter().copied()).unwrap();
        assert_eq!(found.step_us, step_s * S, "{found:?}");
        let changed = found.change.map(|it| (it.from_us / S, it.to_us / S));
        assert_eq!(changed, change, "{found:?}");
    }

    #[test]
    fn the_step_is_the_most_common_distance() {
        check(&[(60, 1)], 60, None);
        check(&[(61, 100)], 61, None);
        check(&[(300, 50), (90_000, 1), (300, 50)], 300, None);
        check(&[(60, 5), (120, 1), (60, 3), (180, 2), (60, 9)], 60, None);
    }

    #[test]
    fn jitter_is_not_a_step() {
        let jitter: Vec<(i64, usize)> = (0..200).map(|it| (57 + it * 3 % 7, 1)).collect();
        check(&jitter, 60, None);
    }

    #[test]
    fn the_coarser_step_wins_when_it_changes_half_way() {
        check(&[(60, 1_000), (300, 200)], 300, Some((60, 300)));
        check(&[(300, 200), (60, 1_000)], 300, Some((300, 60)));
        // A short old part does not cost the newer part its detail; a short new one does.
        check(&[(3_600, 24), (60, 100_000)], 60, Some((3_600, 60)));
        check(&[(60, 100_000), (3_600, 24)], 3_600, Some((60, 3_600)));
    }

    #[test]
    fn equal_times_have_no_spacing() {
        assert_eq!(find(|| [5, 5, 5].into_iter()), None);
        assert_eq!(find(|| std::iter::once(5)), None);
    }
}
