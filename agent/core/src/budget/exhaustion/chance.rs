//! When what is left of a budget is spent.
//!
//! **In:** a [`Question`] in seconds relative to now.
//! **Out:** the times before which it is spent with 10, 50 and 90 % chance.
//! **Not here:** how levels are expected to go on ([`super::outlook`]).

use super::Allowance;
use super::hindcast::Pseudo;
use super::history::{Cell, Series, Shape, ratio};
use super::outlook::Levels;
use super::regime::newest_step;

/// The chances that are answered.
const CHANCES: [f64; 3] = [0.1, 0.5, 0.9];

/// The grain of recent history, in seconds.
const GRAIN: f64 = 300.0;

/// Most cells of a series.
const CELLS_MAX: usize = 900;

/// A step is new for so many cells. Why 72: a quarter of a day is a mean of too few hours to
/// change a shape for good.
const NEW: usize = 72;

/// Variance of the log of traffic around its shape where history does not tell.
const TRAFFIC_VARIANCE: f64 = 0.04;

/// What is asked; all times in seconds after now.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// How far to look.
    pub(super) horizon: f64,
    /// The length of a rolling window; `None` when nothing rolls off.
    pub(super) rolling: Option<f64>,
    /// How much may be spent.
    pub(super) allowance: Allowance,
    /// The window's history.
    pub(super) ledger: Vec<Cell>,
    /// History of late.
    pub(super) recent: Vec<Cell>,
    /// When, and events per second; oldest first.
    pub(super) traffic: Vec<(f64, f64)>,
    /// Seconds from the last Monday, 00:00 UTC, to now.
    pub(super) now_of_week: f64,
}

/// What will be there at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    /// When, in seconds after now.
    at: f64,
    /// Exposure until then.
    exposure: f64,
}

impl Question {
    /// The times; `None` inside is "not before the horizon". `None` when there is no history.
    pub(super) fn answer(&self) -> Option<[Option<f64>; 3]> {
        if self.left(0.0).0 <= 0.0 {
            return Some([Some(0.0); 3]);
        }
        let is_money = matches!(self.allowance, Allowance::Amount(_));
        let rate = |it: &Cell| {
            let rate = if is_money { it.bad / it.total } else { it.total / it.observed };
            rate.is_finite().then_some((it.middle(), rate))
        };
        let short = |it: &&Cell| it.until - it.from <= 7_200.0;
        let recent: Vec<(f64, f64)> = self.recent.iter().filter(short).filter_map(rate).collect();
        let window: Vec<(f64, f64)> = self.ledger.iter().filter_map(rate).collect();
        let usual = self.before_step(&recent, is_money);
        let shape = Shape::new(usual, &window, self.now_of_week);
        let exposure =
            |it: &Cell| if is_money { it.total * shape.at(it.middle()) } else { it.total };
        let fine = Series::new(&self.recent, GRAIN, CELLS_MAX, exposure);
        let coarse = Series::new(&self.ledger, 60.0, CELLS_MAX, exposure);
        let sum = [&fine, &coarse].map(|it| it.sum(0, it.len()));
        let (bad, all) = if sum[0].1 < sum[1].1 { sum[1] } else { sum[0] };
        if all <= 0.0 {
            return None;
        }
        if is_money && bad <= 0.0 {
            return Some([None; 3]);
        }
        let pseudo = if is_money {
            // A hundredth of an hour: a spend of zero is then a small one.
            Pseudo { bad: 0.01 * bad / all, exposure: 0.01, counts: false }
        } else {
            let level = (bad + 0.5) / (all + 1.0);
            Pseudo { bad: 0.5, exposure: 0.5 / level, counts: true }
        };
        let levels = Levels::new(&fine, &coarse, self.horizon, pseudo)?;
        let per_second = if is_money { 1.0 / 3_600.0 } else { traffic_level(&recent, &shape) };
        let exposure_at =
            |at: f64| self.expected(at, is_money).unwrap_or(per_second * shape.at(at));
        let road = self.road(exposure_at);
        let unsure = if is_money { 0.0 } else { traffic_variance(&recent, &shape) };
        let chance = |it: Ahead| {
            let (left, ratio_allowed) = self.left(it.at);
            let needed = left + ratio_allowed * it.exposure;
            if needed <= 0.0 {
                return 1.0;
            }
            if it.exposure <= 0.0 || (!is_money && it.exposure < needed) {
                return 0.0;
            }
            // What is left is known, traffic is not: only that part of the level is unsure.
            levels.chance(needed, it.exposure, it.at, unsure * (left / needed).powi(2))
        };
        Some(first_times(&road, chance))
    }

    /// The rates before a step of the last hours: a runaway is no shape of a day.
    fn before_step<'a>(&self, recent: &'a [(f64, f64)], is_money: bool) -> &'a [(f64, f64)] {
        let plain = Series::new(&self.recent, GRAIN, CELLS_MAX, |it| it.total);
        let (bad, all) = plain.sum(0, plain.len());
        if !is_money || all <= 0.0 || bad <= 0.0 {
            return recent;
        }
        let pseudo = Pseudo { bad: 0.01 * bad / all, exposure: 0.01, counts: false };
        let age = newest_step(&plain, pseudo).filter(|it| *it < NEW);
        let n = recent.len().saturating_sub(age.unwrap_or(0));
        recent.get(..n).unwrap_or(recent)
    }

    /// What is left after `at` of history alone, and the part of further exposure that is
    /// added to it.
    fn left(&self, at: f64) -> (f64, f64) {
        let (mut bad, mut total) = (0.0, 0.0);
        for cell in &self.ledger {
            let part = self.kept(cell, at);
            bad += cell.bad * part;
            total += cell.total * part;
        }
        match self.allowance {
            Allowance::Amount(amount) => (amount - bad, 0.0),
            Allowance::BadRatio(ratio) => {
                // Nothing happened, so nothing is spent; but one bad event of none spends it.
                let left = ratio * total - bad;
                (if total <= 0.0 && bad <= 0.0 { f64::MIN_POSITIVE } else { left }, ratio)
            }
        }
    }

    /// The part of a cell that is in the window `at` seconds from now. A bucket that is in
    /// the window in part counts as a whole now, as in the ledger, and then rolls off.
    fn kept(&self, cell: &Cell, at: f64) -> f64 {
        let Some(length) = self.rolling else { return 1.0 };
        let begin = cell.from.max(-length);
        let gone = at - length - begin;
        if gone <= 0.0 { 1.0 } else { 1.0 - ratio(gone, cell.until - begin).clamp(0.0, 1.0) }
    }

    /// Events per second that somebody else forecast; `None` beyond that.
    fn expected(&self, at: f64, is_money: bool) -> Option<f64> {
        if is_money {
            return None;
        }
        let next = self.traffic.partition_point(|it| it.0 < at);
        let (after, before) = (self.traffic.get(next)?, self.traffic.get(next.checked_sub(1)?)?);
        let part = ratio(at - before.0, after.0 - before.0);
        Some((before.1 + part * (after.1 - before.1)).max(0.0))
    }

    /// Times to look at, with the exposure until each: closer together at first.
    fn road(&self, rate: impl Fn(f64) -> f64) -> Vec<Ahead> {
        let mut road = vec![Ahead::default()];
        let (mut at, mut exposure) = (0.0_f64, 0.0);
        let widest = self.horizon / 100.0;
        while at < self.horizon {
            let step = (at * 0.1).max(60.0).min(widest.max(1.0)).min(self.horizon - at).max(1e-3);
            let parts = (step / 3_600.0).ceil().clamp(1.0, 96.0);
            let mut nth = 0.5;
            while nth < parts {
                exposure += rate(at + step * nth / parts) * step / parts;
                nth += 1.0;
            }
            at += step;
            road.push(Ahead { at, exposure });
        }
        road
    }
}

/// When each chance is first reached, found to a ten-thousandth of a step.
fn first_times(road: &[Ahead], chance: impl Fn(Ahead) -> f64) -> [Option<f64>; 3] {
    let mut found = [None; 3];
    for pair in road.windows(2) {
        let [from, until] = pair else { continue };
        let reached = chance(*until);
        for (time, wanted) in found.iter_mut().zip(CHANCES) {
            if time.is_some() || reached < wanted {
                continue;
            }
            let (mut low, mut high) = (0.0_f64, 1.0_f64);
            for _ in 0..14 {
                let middle = f64::midpoint(low, high);
                let between = Ahead {
                    at: from.at + middle * (until.at - from.at),
                    exposure: from.exposure + middle * (until.exposure - from.exposure),
                };
                if chance(between) < wanted { low = middle } else { high = middle }
            }
            *time = Some(from.at + high * (until.at - from.at));
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found
}

/// Events per second of the last hours, without shape.
fn traffic_level(rates: &[(f64, f64)], shape: &Shape) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (at, rate) in rates {
        let weight = (at / 21_600.0).exp();
        sum += weight * rate / shape.at(*at);
        weights += weight;
    }
    ratio(sum, weights)
}

/// How unsure the log of traffic is: how much blocks of six hours differ from the one before.
fn traffic_variance(rates: &[(f64, f64)], shape: &Shape) -> f64 {
    let mut blocks: Vec<(i64, f64, f64)> = Vec::new();
    for (at, rate) in rates {
        #[expect(clippy::cast_possible_truncation, reason = "days")]
        let nth = (at / 21_600.0).floor().max(-1e6) as i64;
        let value = rate / shape.at(*at);
        match blocks.last_mut() {
            Some(it) if it.0 == nth => *it = (nth, it.1 + value, it.2 + 1.0),
            _ => blocks.push((nth, value, 1.0)),
        }
    }
    let (mut sum, mut n) = (0.0, 0.0);
    for pair in blocks.windows(2) {
        let [a, b] = pair else { continue };
        let step = (ratio(b.1, b.2) / ratio(a.1, a.2)).ln();
        if step.is_finite() {
            sum += step * step;
            n += 1.0;
        }
    }
    if n < 2.0 { TRAFFIC_VARIANCE } else { sum / n }
}
