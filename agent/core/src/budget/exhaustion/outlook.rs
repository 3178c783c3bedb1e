//! From history to the distribution of the mean level over any time to come.
//!
//! **In:** the recent and the window's [`Series`].
//! **Out:** a [`Levels`], to be asked for the chance that a level is exceeded.
//! **Not here:** what level spends the budget ([`super::chance`]).

use super::hindcast::{Expected, Pseudo, after_step, all_levels, hindcast};
use super::history::{Series, ratio};
use super::regime::newest_step;
use super::trend::Trend;

/// The chance that a level never seen before goes on until somebody ends it. Why 0.95: the
/// question is what happens if nobody acts; the rest is what ends by itself.
const LASTS: f64 = 0.95;

/// Variance that is there even when history is perfectly regular.
const VARIANCE_MIN: f64 = 2.5e-5;

/// The least power of time that a spread grows with. Why not -0.5, as the mean of noise
/// would: what is beyond the longest horizon seen wanders too.
const GROWTH_MIN: f64 = -0.2;

/// A level that has just begun is judged by its own history from so many cells on.
const OWN_HISTORY: usize = 48;

/// What mean level to expect over which time.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    /// By horizon, shortest first; never empty.
    expected: Vec<Expected>,
    /// How the spread grows beyond the longest horizon, as a power of time.
    growth: f64,
    /// For how long the present level has been there, in seconds, when it is a new one.
    new_since: Option<f64>,
    /// Whether that level is too young for a history of its own.
    is_young: bool,
    /// Where the level is going, when it goes straight.
    trend: Option<Trend>,
    pseudo: Pseudo,
}

impl Levels {
    /// `None` without enough history. `horizon` in seconds.
    pub(super) fn new(
        recent: &Series,
        window: &Series,
        horizon: f64,
        pseudo: Pseudo,
    ) -> Option<Levels> {
        let step = newest_step(recent, pseudo);
        // What keeps logarithms finite must not draw a new level to the old one.
        let new = step.map_or(pseudo, |age| {
            let n = recent.len();
            let sum = recent.sum(n.saturating_sub(age), n);
            let level = (sum.0 + pseudo.bad) / (sum.1 + 1e-9);
            if pseudo.counts { Pseudo { exposure: pseudo.bad / level, ..pseudo } } else { pseudo }
        });
        let mut expected = match step {
            None => {
                let mut all = ladder(recent, recent.span() / 4.0, horizon, pseudo);
                if recent.span() * 1.5 < window.span() {
                    let seen = all.last().map_or(0.0, |it| it.horizon);
                    let coarse = ladder(window, window.span() / 4.0, horizon, pseudo);
                    all.extend(coarse.into_iter().filter(|it| seen * 1.2 < it.horizon));
                }
                all
            }
            Some(age) => just_begun(recent, age, horizon, (pseudo, new)),
        };
        if expected.is_empty() {
            expected.push(known_at_all(recent, window, pseudo)?);
        }
        let n = expected.len();
        let growth = match (expected.get(n.saturating_sub(3)), expected.last()) {
            (Some(a), Some(b)) if a.horizon < b.horizon => {
                let grown = (spread(b) + 1e-9).ln() - (spread(a) + 1e-9).ln();
                (grown / (b.horizon / a.horizon).ln()).clamp(GROWTH_MIN, 1.0)
            }
            _ => 0.0,
        };
        // What tiny counts leave open, whatever else is known.
        let all = [recent, window].iter().map(|it| it.sum(0, it.len()).0).fold(0.0, f64::max);
        let counted = if pseudo.counts { 1.0 / (all + pseudo.bad) } else { 0.0 };
        for it in &mut expected {
            it.variance += counted + VARIANCE_MIN;
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let new_since = step.map(|age| age as f64 * recent.width);
        let is_young = step.is_some_and(|age| age < OWN_HISTORY);
        let since = step.map(|age| recent.newest(age));
        let trend = since.and_then(|it| Trend::of(&it, new)).or_else(|| Trend::of(recent, new));
        Some(Levels { expected, growth, new_since, is_young, trend, pseudo: new })
    }

    /// The chance that at least `amount` is spent in `ahead` seconds with so much exposure.
    /// `variance` is how unsure the log of the amount asked for is.
    pub(super) fn chance(&self, amount: f64, exposure: f64, ahead: f64, variance: f64) -> f64 {
        let amount_log = self.pseudo.log((amount, exposure));
        let next = self.expected.partition_point(|it| it.horizon < ahead);
        let get = |nth: usize| self.expected.get(nth).or(self.expected.last());
        let (Some(a), Some(b)) = (get(next.saturating_sub(1)), get(next)) else {
            return 0.0;
        };
        // Counts to come are noisy by themselves; after a step, history does not say how.
        let own = if self.pseudo.counts && self.is_young {
            1.0 / (amount + self.pseudo.bad)
        } else {
            0.0
        };
        let beyond = (ahead / b.horizon).max(1.0).powf(self.growth);
        let of = |it: &Expected| exceeds(it, amount_log, variance + own, beyond);
        let part = ratio((ahead / a.horizon).ln(), (b.horizon / a.horizon).ln()).clamp(0.0, 1.0);
        let chance = of(a) * (1.0 - part) + of(b) * part;
        let chance = self.trend.map_or(chance, |trend| {
            let (goes_on, level, trend_variance) = trend.over(ahead);
            let deviation = (trend_variance + variance).sqrt();
            goes_on * normal((level - amount_log) / deviation) + (1.0 - goes_on) * chance
        });
        let lasts = self.new_since.map_or(1.0, |age| LASTS + (1.0 - LASTS) * age / (age + ahead));
        chance * lasts
    }
}

/// The chance that a value is above a limit. The spread is widened by a factor.
#[expect(clippy::cast_precision_loss, reason = "two dozen")]
fn exceeds(expected: &Expected, limit: f64, variance: f64, widen: f64) -> f64 {
    let n = expected.values.len().max(1) as f64;
    let middle = expected.present;
    let deviation = (expected.variance * widen * widen + variance).sqrt().max(1e-6);
    let sum: f64 = expected
        .values
        .iter()
        .map(|it| normal((middle + (it - middle) * widen - limit) / deviation))
        .sum();
    sum / n
}

/// The standard normal distribution function. The error is below 2e-4: the logistic form of
/// Bowling et al. (2009), far below what quantiles of 10 % need.
fn normal(z: f64) -> f64 {
    if z < -6.0 {
        return 0.0;
    }
    if 6.0 < z {
        return 1.0;
    }
    1.0 / (1.0 + (-(0.07056 * z * z * z + 1.5976 * z)).exp())
}

/// How far an expectation is from the present level, root mean square.
#[expect(clippy::cast_precision_loss, reason = "two dozen")]
fn spread(expected: &Expected) -> f64 {
    let n = expected.values.len().max(1) as f64;
    let middle = expected.present;
    let squares: f64 = expected.values.iter().map(|it| (it - middle).powi(2)).sum();
    (squares / n + expected.variance).sqrt()
}

/// Hindcasts at horizons that double.
fn ladder(series: &Series, longest: f64, horizon: f64, pseudo: Pseudo) -> Vec<Expected> {
    let levels = all_levels(series, pseudo);
    let mut found = Vec::new();
    let mut ahead = 1_usize;
    let mut at = series.width;
    while at <= longest && at <= 2.0 * horizon {
        match hindcast(series, &levels, ahead, pseudo) {
            Some(it) => found.push(it),
            None => break,
        }
        ahead *= 2;
        at *= 2.0;
    }
    found
}

/// After a step: the mean level since, which varies by as much, relative to itself, as the
/// level before did; and, when it is there for long enough, as it did itself.
#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn just_begun(
    recent: &Series,
    age: usize,
    horizon: f64,
    (pseudo, new): (Pseudo, Pseudo),
) -> Vec<Expected> {
    let n = recent.len();
    let sum = recent.sum(n.saturating_sub(age), n);
    let level = new.log(sum);
    let before = recent.up_to(n.saturating_sub(age));
    if OWN_HISTORY <= age {
        let since = recent.newest(age);
        return ladder(&since, since.span() / 4.0, horizon, new);
    }
    let known = if pseudo.counts { 1.0 / (sum.0 + 0.5) } else { 0.0 };
    let mut found = Vec::new();
    let mut ahead = 1_usize;
    while ahead * 3 < n {
        let of_before = after_step(&before, age.min(before.len() / 3), ahead, level, pseudo);
        let Some(it) = of_before else { break };
        found.push(Expected { variance: it.variance + known, ..it });
        ahead *= 2;
    }
    if found.is_empty() {
        let horizon = age as f64 * recent.width;
        found.push(Expected { horizon, present: level, values: vec![level], variance: known });
    }
    found
}

/// One level for everything, where history is too short to learn how it varies.
fn known_at_all(recent: &Series, window: &Series, pseudo: Pseudo) -> Option<Expected> {
    let of = |it: &Series| it.sum(0, it.len());
    let sum = if 0.0 < of(recent).1 { of(recent) } else { of(window) };
    if sum.1 <= 0.0 {
        return None;
    }
    Some(Expected {
        horizon: recent.width,
        present: pseudo.log(sum),
        values: vec![pseudo.log(sum)],
        // Nothing is known about how it varies: within a factor of 1.6 either way.
        variance: 0.25,
    })
}
