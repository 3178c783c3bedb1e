//! How well the level of late has told the mean level to come, in the past.
//!
//! **In:** a [`Series`], a horizon.
//! **Out:** the distribution of the logarithm of the mean level over that horizon.
//! **Not here:** what is spent by it ([`super::chance`]).

use super::history::{Series, ratio};

/// How far back a level looks, in cells; the last is all there is. Why these: a factor of
/// four between them loses at most a few percent of spread against the best one.
const MEMORIES: [f64; 4] = [3.0, 12.0, 48.0, 1e6];

/// Values that stand for a distribution. Why 24: its 10 % points are then between the
/// second and the third, well inside.
const VALUES: usize = 24;

/// So many independent futures weigh as much as the doubt that a level returns at all.
const STAYS: f64 = 5.0;

/// Most instants of the past that are looked at per horizon, for speed.
const INSTANTS_MAX: usize = 160;

/// The distribution of the log of the mean level over `horizon` from now.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// In seconds.
    pub(super) horizon: f64,
    /// The log of the level of late.
    pub(super) present: f64,
    /// Equally likely values.
    pub(super) values: Vec<f64>,
    /// The variance around each of them.
    pub(super) variance: f64,
}

/// What keeps a logarithm of nothing finite: so much exposure at the mean level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pseudo {
    /// Amount.
    pub(super) bad: f64,
    /// Exposure.
    pub(super) exposure: f64,
    /// Whether amounts are counts, so that their noise is known.
    pub(super) counts: bool,
}

impl Pseudo {
    /// The logarithm of a level.
    pub(super) fn log(self, (bad, exposure): (f64, f64)) -> f64 {
        ((bad + self.bad) / (exposure + self.exposure)).max(1e-300).ln()
    }
}

/// Levels before each cell, and now (the last), of one memory.
fn levels(series: &Series, memory: f64, pseudo: Pseudo) -> Vec<f64> {
    let keep = (-1.0 / memory).exp();
    let mut sum = (0.0, 0.0);
    let mut found = Vec::with_capacity(series.len() + 1);
    for nth in 0..series.len() {
        found.push(pseudo.log(sum));
        let new = series.sum(nth, nth + 1);
        sum = (sum.0 * keep + new.0, sum.1 * keep + new.1);
    }
    found.push(pseudo.log(sum));
    found
}

/// Levels of all memories.
pub(super) fn all_levels(series: &Series, pseudo: Pseudo) -> Vec<Vec<f64>> {
    MEMORIES.iter().map(|memory| levels(series, *memory, pseudo)).collect()
}

/// A straight line through what was, with its spread.
struct Line {
    x_mean: f64,
    y_mean: f64,
    slope: f64,
    variance: f64,
    x_variance: f64,
}

#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn line(pairs: &[(f64, f64)]) -> Line {
    let n = pairs.len().max(1) as f64;
    let x_mean = pairs.iter().map(|it| it.0).sum::<f64>() / n;
    let y_mean = pairs.iter().map(|it| it.1).sum::<f64>() / n;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xx += (x - x_mean).powi(2);
        xy += (x - x_mean) * (y - y_mean);
        yy += (y - y_mean).powi(2);
    }
    let slope = ratio(xy, xx + 1e-12).clamp(-0.2, 1.2);
    let left = (yy - 2.0 * slope * xy + slope * slope * xx).max(0.0);
    Line { x_mean, y_mean, slope, variance: left / n, x_variance: xx / n }
}

/// The distribution over the next `ahead` cells; `None` with too little history.
///
/// For instants of the past, the mean level over the `ahead` cells after each is compared
/// with the level of late before it. The line through those pairs tells how much of today's
/// level lasts that long (slope 1: all, 0: nothing); what is left over is the spread.
/// Instants at which the level was near today's count most.
#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
pub(super) fn hindcast(
    series: &Series,
    levels: &[Vec<f64>],
    ahead: usize,
    pseudo: Pseudo,
) -> Option<Expected> {
    let n = series.len();
    let warm = (n / 12).clamp(1, 12);
    let last = n.checked_sub(ahead)?;
    if last < warm + 2 {
        return None;
    }
    let usual = series.sum(0, n).1 / n as f64;
    let step = ((last - warm) / INSTANTS_MAX).max(1);
    let instants: Vec<(usize, f64)> = (warm..=last)
        .rev()
        .step_by(step)
        .map(|nth| (nth, series.sum(nth, nth + ahead)))
        .filter(|(_, sum)| 0.2 * usual * ahead as f64 <= sum.1)
        .map(|(nth, sum)| (nth, pseudo.log(sum)))
        .collect();
    if instants.len() < 3 {
        return None;
    }
    // How many of them are independent: their futures overlap.
    let n_free = 1.0 + (last - warm) as f64 / ahead as f64;
    let mut best: Option<(Line, &Vec<f64>)> = None;
    let mut stays: Option<(f64, &Vec<f64>)> = None;
    for levels in levels {
        let pairs: Vec<(f64, f64)> =
            instants.iter().filter_map(|(nth, y)| Some((*levels.get(*nth)?, *y))).collect();
        let count = pairs.len().max(1) as f64;
        let apart = pairs.iter().map(|it| (it.1 - it.0).powi(2)).sum::<f64>() / count;
        if stays.is_none_or(|it| apart < it.0) {
            stays = Some((apart, levels));
        }
        let line = line(&pairs);
        if best.as_ref().is_none_or(|it| line.variance < it.0.variance) {
            best = Some((line, levels));
        }
    }
    let (line, levels) = best?;
    let (_, steady) = stays?;
    let today = *levels.last()?;
    let spread = line.x_variance.sqrt();
    let mut near: Vec<f64> = instants
        .iter()
        .filter_map(|(nth, _)| levels.get(*nth))
        .map(|x| (x - today).abs())
        .collect();
    near.sort_by(f64::total_cmp);
    let reach = near.get(near.len() / 4).copied().unwrap_or(0.0).max(0.7 * spread).max(1e-9);
    let widen = widening(n_free);
    let mut weighed: Vec<(f64, f64)> = instants
        .iter()
        .filter_map(|(nth, y)| {
            let x = *levels.get(*nth)?;
            let rest = y - line.y_mean - line.slope * (x - line.x_mean);
            let middle = line.y_mean + line.slope * (today - line.x_mean);
            Some((middle + rest * widen, 1.0 / (1.0 + ((x - today) / reach).powi(4))))
        })
        .collect();
    // The other view: the level of late stays, give or take what it changed by in the past.
    // A line through few independent pairs sees a return to the mean in any wandering.
    let all: f64 = weighed.iter().map(|it| it.1).sum();
    let doubt = STAYS / (STAYS + n_free);
    let scale = all / weighed.len() as f64 * doubt / (1.0 - doubt);
    let present = *steady.last()?;
    for (nth, y) in &instants {
        let rest = y - *steady.get(*nth)?;
        weighed.push((present + rest * widen, scale));
    }
    let away = (today - line.x_mean).powi(2);
    let of_slope = ratio(away, line.x_variance + 1e-9).min(25.0);
    let variance = line.variance * (1.0 + of_slope) / n_free;
    let horizon = ahead as f64 * series.width;
    Some(Expected { horizon, present, values: quantiles(&mut weighed), variance })
}

/// By how much few independent samples understate a spread: the ratio of Student's and the
/// normal 90 % points, about.
fn widening(n_free: f64) -> f64 {
    (1.0 + 0.5 / n_free.max(1.0)).sqrt()
}

/// Equally likely values of a weighed sample.
#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn quantiles(weighed: &mut [(f64, f64)]) -> Vec<f64> {
    weighed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = weighed.iter().map(|it| it.1).sum();
    let mut values = Vec::with_capacity(VALUES);
    let mut so_far = 0.0;
    for (value, weight) in weighed.iter() {
        so_far += weight;
        while values.len() < VALUES && (values.len() as f64 + 0.5) / (VALUES as f64) * all <= so_far
        {
            values.push(*value);
        }
    }
    if values.is_empty() {
        values.push(weighed.last().map_or(0.0, |it| it.0));
    }
    values
}

/// What a level that began `age` cells ago becomes over the next `ahead`, when it changes by
/// as much, relative to itself, as the level before it did: the distribution of the change,
/// apart from the noise of counts. `None` with too little history before it.
#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
pub(super) fn after_step(
    before: &Series,
    age: usize,
    ahead: usize,
    level: f64,
    pseudo: Pseudo,
) -> Option<Expected> {
    let last = before.len().checked_sub(ahead)?;
    if last < age + 2 {
        return None;
    }
    let step = ((last - age) / INSTANTS_MAX).max(1);
    let (mut changes, mut noise) = (Vec::new(), 0.0);
    for nth in (age..=last).rev().step_by(step) {
        let (past, next) = (before.sum(nth - age, nth), before.sum(nth, nth + ahead));
        if 0.0 < past.1 && 0.0 < next.1 {
            changes.push((pseudo.log(next) - pseudo.log(past), 1.0));
            noise += 1.0 / (past.0 + pseudo.bad) + 1.0 / (next.0 + pseudo.bad);
        }
    }
    let n = changes.len() as f64;
    let all = ratio(changes.iter().map(|it| it.0 * it.0).sum(), n);
    let of_counts = if pseudo.counts { ratio(noise, n) } else { 0.0 };
    let keep = ratio((all - of_counts).max(0.0), all).sqrt();
    let widen = widening((last - age) as f64 / (ahead + age) as f64);
    for change in &mut changes {
        change.0 = level + change.0 * keep * widen;
    }
    let horizon = ahead as f64 * before.width;
    (2.0 < n).then(|| Expected {
        horizon,
        present: level,
        values: quantiles(&mut changes),
        variance: 0.0,
    })
}
