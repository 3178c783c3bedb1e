//! Global models for the series of one batch.
//!
//! **In:** the tracks of every series.
//! **Out:** two more tracks for each that shares its seasons with others, and the width of a
//! global band.
//! **Not here:** the models themselves ([`crate::global`]).

use std::collections::BTreeMap;

use super::{Request, Tracks, pool};
use crate::ensemble::Prepared;
use crate::ensemble::backtest::{Backtest, Track};
use crate::global::{Global, MEDIAN};
use crate::members::Past;
use crate::members::ridge::Scale;

/// Global models that are members, with the names of their tracks.
const SCALES: [(Scale, &str); 2] = [(Scale::Log, "global_log"), (Scale::Plain, "global")];

/// One model: its scale and its quantile.
type Kind = (Scale, f32);

/// Models for these levels: the members, and the two ends of the widest band. Bands of other
/// levels have the shape of that one.
fn kinds(levels: &[f64]) -> Vec<Kind> {
    let members = SCALES.iter().map(|(scale, _)| (*scale, MEDIAN));
    let widest = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    #[expect(clippy::cast_possible_truncation, reason = "a quantile needs no 16 digits")]
    let tail = ((1.0 - widest) / 2.0) as f32;
    let ends = [(Scale::Log, tail), (Scale::Log, 1.0 - tail)];
    members.chain(ends.into_iter().filter(|_| widest.is_finite())).collect()
}

/// How many models [`add`] trains per group of series.
pub(crate) fn trainings(levels: &[f64]) -> usize {
    2 * kinds(levels).len()
}

/// Trains on every group of series with equal seasons, and adds what the models say.
pub(crate) fn add(
    threads: usize,
    all: &mut [Tracks],
    request: &Request,
    report: &mut dyn FnMut(usize),
) {
    let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (index, entry) in all.iter().enumerate() {
        if let Ok((prepared, _)) = entry
            && !prepared.seasons.is_empty()
        {
            groups.entry(prepared.seasons.clone()).or_default().push(index);
        }
    }
    let kinds = kinds(&request.levels);
    for (seasons, members) in groups.iter().filter(|(_, members)| members.len() > 1) {
        let of_group: Vec<&(Prepared, Backtest)> =
            members.iter().filter_map(|index| all[*index].as_ref().ok()).collect();
        let pasts: Vec<&Past> = of_group.iter().map(|(prepared, _)| &prepared.past).collect();
        let ends: Vec<usize> = pasts.iter().map(|past| past.len()).collect();
        // One model that has not seen any rolling origin, one that has seen everything.
        let firsts: Vec<usize> = of_group
            .iter()
            .map(|(prepared, backtest)| {
                backtest.origins.first().copied().unwrap_or(prepared.past.len())
            })
            .collect();
        let jobs: Vec<(Kind, &[usize])> = kinds
            .iter()
            .flat_map(|kind| [(*kind, firsts.as_slice()), (*kind, ends.as_slice())])
            .collect();
        let models =
            pool::map(threads, &jobs, &mut |_| report(pasts.len()), |((scale, quantile), cuts)| {
                Global::train(&pasts, cuts, seasons, request.horizon, *scale, *quantile)
            });
        let said = pool::map(threads, &of_group, &mut |_| (), |(prepared, backtest)| {
            let said: Vec<Said> =
                models.chunks(2).map(|models| Said::new(models, prepared, backtest)).collect();
            said
        });
        for (index, said) in members.iter().zip(said) {
            if let Ok((_, backtest)) = &mut all[*index] {
                take_in(backtest, said);
            }
        }
    }
}

/// What one global model says about one series.
struct Said {
    at_origins: Vec<Option<Vec<f64>>>,
    ahead: Option<Vec<f64>>,
    dropped: Option<String>,
}

impl Said {
    /// `models`: that which saw no rolling origin, that which saw everything.
    fn new(models: &[Option<Global>], prepared: &Prepared, backtest: &Backtest) -> Said {
        let model = |at: usize| models.get(at).and_then(Option::as_ref);
        let past = &prepared.past;
        let at_origins =
            backtest.origins.iter().map(|origin| model(0)?.forecast(past, *origin)).collect();
        let ahead = model(1).and_then(|model| model.forecast(past, past.len()));
        let dropped = match (model(1), &ahead) {
            (_, Some(_)) => None,
            (None, None) => Some("too few rows to learn from in all series together".to_owned()),
            (Some(_), None) => Some("the series is too short, constant or negative".to_owned()),
        };
        Said { at_origins, ahead, dropped }
    }
}

/// The first models become members, the last two the width of a band.
fn take_in(backtest: &mut Backtest, said: Vec<Said>) {
    let mut said = said.into_iter();
    for (_, name) in SCALES {
        if let Some(Said { at_origins, ahead, dropped }) = said.next() {
            backtest.tracks.push(Track { name, at_origins, ahead, fitted: None, dropped });
        }
    }
    if let (Some(low), Some(high)) = (said.next(), said.next()) {
        backtest.width = width(low.ahead, high.ahead);
        backtest.widths = low
            .at_origins
            .into_iter()
            .zip(high.at_origins)
            .map(|(low, high)| width(low, high))
            .collect();
    }
}

fn width(low: Option<Vec<f64>>, high: Option<Vec<f64>>) -> Option<Vec<f64>> {
    Some(low?.iter().zip(&high?).map(|(low, high)| (high - low).max(0.0)).collect())
}
