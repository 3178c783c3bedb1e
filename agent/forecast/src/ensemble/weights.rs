//! From errors at rolling origins to weights, residuals and abstention.
//!
//! **In:** a [`Backtest`] and the past it was made from.
//! **Out:** a [`Weighing`].
//! **Not here:** bands ([`crate::intervals`]).

use super::backtest::{Backtest, Track};
use crate::batch::{Abstention, MemberReport};
use crate::intervals::{Ahead, Tested};
use crate::members::naive::mean;
use crate::members::{Past, Unfit};

/// Weights are errors to the power of minus this.
pub(crate) const POWER: f64 = 1.5;

/// A member with more than this times the best member's error has no part.
const OUTCLASSED: f64 = 2.5;

/// The ensemble must have at most this share of the error of the better horizontal line.
///
/// Why 0.9: the reactive rule scales to what is there, so a forecast earns its place only where
/// it sees changes coming. Weights are chosen knowing all errors, which wins some percent even
/// on noise; a tenth is more than that.
pub(crate) const FLAT_RATIO_MAX: f64 = 0.9;

/// The ensemble must have at most this share of the better seasonal naive member's error.
///
/// Why 1.0 and no margin: repeating yesterday is a forecast, and a member. On a series that
/// repeats itself exactly nothing beats it, and abstaining would throw the best forecast away;
/// an ensemble that is worse than that is not to be trusted.
pub(crate) const SEASONAL_RATIO_MAX: f64 = 1.0;

/// The ensemble may miss at most this share of what there was, on series that never are negative.
///
/// Why 0.5: a forecast that misses half of the demand has a band from nothing to twice the
/// demand, and capacity for that is dearer than reacting. The control `crane_10` bursts at
/// random by day and sleeps at night: hours of it are forecast better than by a line, and still
/// 81% of it is missed.
pub(crate) const MISSED_RATIO_MAX: f64 = 0.5;

/// Members that are horizontal lines.
const FLAT: [&str; 2] = ["persistence", "flat"];

/// Members that repeat a season.
const SEASONAL: [&str; 2] = ["seasonal_short", "seasonal_long"];

/// Weights and what they would have achieved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weighing {
    /// One per track; sum to 1 unless there is no track at all.
    pub(crate) weights: Vec<f64>,
    /// Scaled errors per track and origin; NaN where there is none.
    pub(crate) errors: Vec<Vec<f64>>,
    /// Why a track has no part although it works.
    pub(crate) outclassed: Vec<Option<String>>,
    /// Scaled error of the ensemble, each origin weighed by the others.
    pub(crate) error: Option<f64>,
    /// The ensemble at each origin it could be tested at, each weighed by the others.
    pub(crate) tests: Vec<Tested>,
    pub(crate) abstains: Option<Abstention>,
}

impl Backtest {
    pub(crate) fn weigh(&self, past: &Past, horizon: usize) -> Weighing {
        let errors: Vec<Vec<f64>> = self
            .tracks
            .iter()
            .map(|track| {
                track
                    .at_origins
                    .iter()
                    .zip(&self.origins)
                    .map(|(ahead, origin)| match ahead {
                        Some(ahead) => {
                            let misses: Vec<f64> =
                                misses(past, *origin, ahead).map(|(_, miss)| miss.abs()).collect();
                            if misses.is_empty() { f64::NAN } else { mean(&misses) / self.scale }
                        }
                        None => f64::NAN,
                    })
                    .collect()
            })
            .collect();
        let usable: Vec<bool> = self.tracks.iter().map(|track| track.ahead.is_some()).collect();
        let weights = self.weights(&errors, &usable, None);
        let outclassed = self.outclassed(&errors, &usable, &weights);
        let mut tests = Vec::new();
        let mut own = Vec::new();
        let (mut missed, mut size) = (0.0, 0.0);
        for (k, origin) in self.origins.iter().enumerate() {
            let weights = self.weights(&errors, &usable, Some(k));
            let at_origin = |track: usize| self.tracks[track].at_origins[k].as_deref();
            let Some(ahead) = blend(&weights, at_origin) else { continue };
            let mut residuals = vec![f64::NAN; horizon];
            let mut total = 0.0;
            let mut n = 0.0;
            for (lead, miss) in misses(past, *origin, &ahead) {
                residuals[lead] = miss;
                total += miss.abs();
                n += 1.0;
                size += past.values[origin + lead];
            }
            missed += total;
            if n > 0.0 {
                own.push(total / n / self.scale);
            }
            let spread = spread(&weights, &ahead, at_origin);
            let width = self.widths.get(k).cloned().flatten();
            let ahead = Ahead { spread, width };
            tests.push(Tested { origin: *origin, residuals, ahead });
        }
        let error = if own.is_empty() { None } else { Some(mean(&own)) };
        let negative = past.values.iter().any(|value| *value < 0.0);
        let missed_share = if negative || size <= 0.0 { 0.0 } else { missed / size };
        let abstains = self.abstains(&errors, error, missed_share);
        Weighing { weights, errors, outclassed, error, tests, abstains }
    }

    /// Weights from all origins, or from all but one.
    fn weights(&self, errors: &[Vec<f64>], usable: &[bool], without: Option<usize>) -> Vec<f64> {
        let means = self.means(errors, usable, without);
        let best = means.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let mut weights: Vec<f64> = means
            .iter()
            .map(|error| match error {
                // The least error that counts keeps a perfect member from an infinite weight.
                Some(error) if *error <= best * OUTCLASSED || *error < 1e-9 => {
                    error.max(best).max(1e-9).powf(-POWER)
                }
                Some(_) | None => 0.0,
            })
            .collect();
        let total: f64 = weights.iter().sum();
        if total.is_normal() {
            for weight in &mut weights {
                *weight /= total;
            }
        } else if let Some(first) = self.fallback(usable) {
            weights.fill(0.0);
            weights[first] = 1.0;
        }
        weights
    }

    /// Mean error per track over the origins that any track could be measured at; a track that
    /// misses one of those has none.
    fn means(
        &self,
        errors: &[Vec<f64>],
        usable: &[bool],
        without: Option<usize>,
    ) -> Vec<Option<f64>> {
        let origins: Vec<usize> = (0..self.origins.len())
            .filter(|k| Some(*k) != without)
            .filter(|k| errors.iter().any(|errors| errors[*k].is_finite()))
            .collect();
        errors
            .iter()
            .zip(usable)
            .map(|(errors, usable)| {
                let seen: Vec<f64> =
                    origins.iter().map(|k| errors[*k]).filter(|e| e.is_finite()).collect();
                (*usable && !seen.is_empty() && seen.len() == origins.len()).then(|| mean(&seen))
            })
            .collect()
    }

    /// Without a single measured origin: the shortest season if it was seen twice, else the last
    /// value.
    fn fallback(&self, usable: &[bool]) -> Option<usize> {
        usable.iter().position(|usable| *usable)
    }

    fn outclassed(
        &self,
        errors: &[Vec<f64>],
        usable: &[bool],
        weights: &[f64],
    ) -> Vec<Option<String>> {
        let means = self.means(errors, usable, None);
        let best = means.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        means
            .iter()
            .zip(weights)
            .map(|(error, weight)| match error {
                Some(error) if *weight <= 0.0 => {
                    Some(Unfit::Outclassed { error: *error, best, ratio: OUTCLASSED }.to_string())
                }
                Some(_) | None => None,
            })
            .collect()
    }

    /// Error of the best of `names` over all origins; infinite when none was measured.
    fn best_of(&self, names: &[&str], errors: &[Vec<f64>]) -> f64 {
        self.tracks
            .iter()
            .zip(errors)
            .filter(|(track, _)| names.contains(&track.name))
            .map(|(_, errors)| errors.iter().copied().filter(|e| e.is_finite()).collect::<Vec<_>>())
            .filter(|errors| !errors.is_empty())
            .map(|errors| mean(&errors))
            .fold(f64::INFINITY, f64::min)
    }

    fn abstains(
        &self,
        errors: &[Vec<f64>],
        error: Option<f64>,
        missed_share: f64,
    ) -> Option<Abstention> {
        let n = self.origins.len();
        let Some(ensemble) = error else {
            return Some(Abstention {
                ensemble: f64::NAN,
                naive: f64::NAN,
                ratio_max: FLAT_RATIO_MAX,
                reason: "the past is too short to test a forecast against it".to_owned(),
            });
        };
        if missed_share > MISSED_RATIO_MAX {
            return Some(Abstention {
                ensemble: missed_share,
                naive: 1.0,
                ratio_max: MISSED_RATIO_MAX,
                reason: format!(
                    "at {n} rolling origins it missed {:.0}% of what there was, more than {:.0}%",
                    100.0 * missed_share,
                    100.0 * MISSED_RATIO_MAX
                ),
            });
        }
        let claims = [
            (&FLAT, FLAT_RATIO_MAX, "a horizontal line"),
            (&SEASONAL, SEASONAL_RATIO_MAX, "repeating the last season"),
        ];
        claims.into_iter().find_map(|(names, ratio_max, what)| {
            let naive = self.best_of(names, errors);
            // `<=` so that a constant, which every line meets exactly, is not called a failure
            // of the seasonal kind; it still abstains, because 0 is not below 0.
            let better = ensemble < naive * ratio_max
                || (names == &SEASONAL && ensemble <= naive * ratio_max);
            (!better).then(|| Abstention {
                ensemble,
                naive,
                ratio_max,
                reason: format!(
                    "error {ensemble:.3} at {n} rolling origins is not below {ratio_max} times \
                     that of {what} ({naive:.3})"
                ),
            })
        })
    }
}

impl Weighing {
    /// `value - forecast` per lead, over the origins.
    pub(crate) fn residuals(&self, horizon: usize) -> Vec<Vec<f64>> {
        let at_lead =
            |lead: usize| self.tests.iter().filter_map(move |test| test.residuals.get(lead));
        (0..horizon)
            .map(|lead| at_lead(lead).copied().filter(|r| r.is_finite()).collect())
            .collect()
    }

    /// One report per track, in order.
    pub(crate) fn members(&self, tracks: &[Track]) -> Vec<MemberReport> {
        tracks
            .iter()
            .enumerate()
            .map(|(at, track)| MemberReport {
                name: track.name,
                weight: self.weights[at],
                errors: self.errors[at].clone(),
                dropped: track.dropped.clone().or_else(|| self.outclassed[at].clone()),
            })
            .collect()
    }
}

/// Lead (from 0) and `value - forecast` for the known values after `origin`.
fn misses<'a>(
    past: &'a Past,
    origin: usize,
    ahead: &'a [f64],
) -> impl Iterator<Item = (usize, f64)> + 'a {
    let values = past.values[origin..].iter().zip(&past.known[origin..]);
    values
        .zip(ahead)
        .enumerate()
        .filter(|(_, ((_, known), _))| **known)
        .map(|(lead, ((value, _), ahead))| (lead, value - ahead))
}

/// Share of the weight that is left out at either end of [`blend`].
///
/// Why a quarter: the mean of the middle half keeps what most members agree on and ignores one
/// that runs away (M4 Hourly OWA at three earlier windows 0.393, weighted mean 0.402, weighted
/// median 0.397; 2026-11-21).
const TRIMMED: f64 = 0.25;

/// Weighted mean, per step, of the middle half of the tracks that have a forecast; `None` when
/// none has.
pub(crate) fn blend<'a>(
    weights: &[f64],
    ahead: impl Fn(usize) -> Option<&'a [f64]>,
) -> Option<Vec<f64>> {
    let tracks: Vec<(f64, &[f64])> = weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight > 0.0)
        .filter_map(|(track, weight)| ahead(track).map(|ahead| (*weight, ahead)))
        .collect();
    let total: f64 = tracks.iter().map(|(weight, _)| weight).sum();
    let steps = tracks.iter().map(|(_, ahead)| ahead.len()).min()?;
    let (low, high) = (TRIMMED * total, (1.0 - TRIMMED) * total);
    let mut at_step: Vec<(f64, f64)> = Vec::with_capacity(tracks.len());
    let blended = (0..steps).map(|step| {
        at_step.clear();
        at_step.extend(tracks.iter().map(|(weight, ahead)| (ahead[step], *weight)));
        at_step.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut below: f64 = 0.0;
        let mut sum = 0.0;
        for (value, weight) in &at_step {
            let from = below.clamp(low, high);
            below += weight;
            sum += value * (below.clamp(low, high) - from);
        }
        sum / (high - low)
    });
    Some(blended.collect())
}

/// Weighted mean distance of the tracks from their blend, per step.
pub(crate) fn spread<'a>(
    weights: &[f64],
    blended: &[f64],
    ahead: impl Fn(usize) -> Option<&'a [f64]>,
) -> Vec<f64> {
    let mut spread = vec![0.0; blended.len()];
    let mut total = 0.0;
    for (track, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        if let Some(ahead) = ahead(track) {
            total += weight;
            for ((sum, value), blended) in spread.iter_mut().zip(ahead).zip(blended) {
                *sum += weight * (value - blended).abs();
            }
        }
    }
    if total > 0.0 {
        for sum in &mut spread {
            *sum /= total;
        }
    }
    spread
}
