//! What was counted, on a regular grid, and what it looked like by hour and weekday.
//!
//! **In:** buckets, in seconds before now.
//! **Out:** [`Series`] of amounts and exposure, the [`Shape`] of exposure.
//! **Not here:** what follows for the future ([`super::hindcast`]).

/// Hours of a day.
const HOURS: usize = 24;

/// A day, in seconds.
pub(super) const DAY: f64 = 86_400.0;

/// One bucket, in seconds relative to now (negative: before).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Its begin.
    pub(super) from: f64,
    /// Its end, not after now.
    pub(super) until: f64,
    /// Bad events, or money.
    pub(super) bad: f64,
    /// All events, or hours observed.
    pub(super) total: f64,
    /// For how long it was observed, in seconds.
    pub(super) observed: f64,
}

impl Cell {
    /// Its middle.
    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.from, self.until)
    }
}

/// Factors of a rate by hour of the day and day of the week, around 1.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    hours: Vec<f64>,
    weekdays: Vec<f64>,
    /// Seconds from the last Monday, 00:00 UTC, to now.
    now_of_week: f64,
}

impl Shape {
    /// From rates (a cell and its rate) of late and of the whole window.
    pub(super) fn new(recent: &[(f64, f64)], window: &[(f64, f64)], now_of_week: f64) -> Shape {
        let mut shape = Shape { hours: vec![1.0; HOURS], weekdays: vec![1.0; 7], now_of_week };
        shape.hours = factors(HOURS, DAY, now_of_week, recent);
        let levelled: Vec<(f64, f64)> =
            window.iter().map(|(at, rate)| (*at, rate / shape.hour(*at))).collect();
        shape.weekdays = factors(7, 7.0 * DAY, now_of_week, &levelled);
        shape
    }

    /// The factor at an instant, in seconds relative to now. Positive.
    pub(super) fn at(&self, at: f64) -> f64 {
        let day = bin((at + self.now_of_week).rem_euclid(7.0 * DAY) / DAY, 7);
        self.hour(at) * self.weekdays.get(day).copied().unwrap_or(1.0)
    }

    /// The factor of the hour, a straight line between the middles of hours.
    fn hour(&self, at: f64) -> f64 {
        let position = (at + self.now_of_week).rem_euclid(DAY) / 3600.0 + HOURS_LESS_HALF;
        let nth = position.floor();
        let part = position - nth;
        let first = bin(nth, usize::MAX) % HOURS;
        let get = |nth: usize| self.hours.get(nth % HOURS).copied().unwrap_or(1.0);
        get(first) * (1.0 - part) + get(first + 1) * part
    }
}

/// So that the middle of hour 0 is at a whole number, and nothing is negative.
const HOURS_LESS_HALF: f64 = 23.5;

/// The whole part as an index below `n`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what an index can be"
)]
fn bin(value: f64, n: usize) -> usize {
    (value.clamp(0.0, 1e9) as usize).min(n.saturating_sub(1))
}

/// Mean factors of the `n` parts of a cycle. They are drawn towards 1 by as much as whole
/// cycles differ from each other: what is not seen again in the next one is no shape.
/// All 1 with less than two cycles.
#[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
fn factors(n: usize, cycle: f64, now_of_week: f64, rates: &[(f64, f64)]) -> Vec<f64> {
    let flat = vec![1.0; n];
    let part = cycle / n as f64;
    let oldest = rates.iter().map(|it| it.0).fold(0.0, f64::min);
    if -oldest < 1.95 * cycle {
        return flat;
    }
    // One mean per part and cycle.
    let n_cycles = bin(-oldest / cycle, 400) + 1;
    let mut sums = vec![(0.0, 0.0); n * n_cycles];
    for (at, rate) in rates {
        let nth = bin((at + now_of_week).rem_euclid(cycle) / part, n);
        let turn = bin(-at / cycle, n_cycles);
        if let Some(sum) = sums.get_mut(turn * n + nth) {
            *sum = (sum.0 + rate, sum.1 + 1.0);
        }
    }
    let overall = ratio(rates.iter().map(|it| it.1).sum(), rates.len() as f64);
    if overall <= 0.0 {
        return flat;
    }
    let (mut raw, mut within, mut freedom) = (Vec::with_capacity(n), 0.0, 0.0);
    for nth in 0..n {
        let mut means: Vec<f64> = (0..n_cycles)
            .filter_map(|turn| sums.get(turn * n + nth))
            .filter(|it| 0.0 < it.1)
            .map(|it| it.0 / it.1 / overall)
            .collect();
        if means.is_empty() {
            raw.push((1.0, 0.0));
            continue;
        }
        // One incident is no shape.
        means.sort_by(f64::total_cmp);
        let middle = means.get(means.len() / 2).copied().unwrap_or(1.0);
        for it in &mut means {
            *it = it.clamp(0.5 * middle, 1.5 * middle);
        }
        let mean =
            if means.len() < 3 { means.iter().sum::<f64>() / means.len() as f64 } else { middle };
        within += means.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
        freedom += means.len() as f64 - 1.0;
        raw.push((mean, means.len() as f64));
    }
    let seen: Vec<(f64, f64)> = raw.iter().copied().filter(|it| 0.0 < it.1).collect();
    let between = ratio(
        seen.iter().map(|it| it.1 * (it.0 - 1.0).powi(2)).sum(),
        (seen.len() as f64 - 1.0).max(1.0),
    );
    let noise = ratio(within, freedom);
    let kept = if freedom < 1.0 { 0.0 } else { (1.0 - ratio(noise, between)).clamp(0.0, 1.0) };
    let drawn: Vec<f64> = raw.iter().map(|it| (1.0 + kept * (it.0 - 1.0)).max(0.02)).collect();
    let mean = drawn.iter().sum::<f64>() / n as f64;
    drawn.iter().map(|it| it / mean).collect()
}

/// `a / b`, and 0 where that is not a number.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    let value = a / b;
    if value.is_finite() { value } else { 0.0 }
}

/// Amounts and exposure in cells of equal width; the last one ends now.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// The width of a cell, in seconds.
    pub(super) width: f64,
    /// Sums of bad events or money before the nth cell.
    bad: Vec<f64>,
    /// The same of exposure.
    exposure: Vec<f64>,
}

impl Series {
    /// Cells at least `width_min` wide, at most `n_max`. Exposure is what `exposure_of` says.
    #[expect(clippy::cast_precision_loss, reason = "at most `n_max`")]
    pub(super) fn new(
        cells: &[Cell],
        width_min: f64,
        n_max: usize,
        exposure_of: impl Fn(&Cell) -> f64,
    ) -> Series {
        let oldest = cells.iter().map(|it| it.from).fold(0.0, f64::min);
        let widest = cells.iter().map(|it| it.until - it.from).fold(0.0, f64::max);
        let width = width_min.max(widest).max(-oldest / n_max as f64);
        let n = bin((-oldest / width).round(), n_max).max(1);
        let mut sums = vec![(0.0, 0.0); n];
        for cell in cells {
            // From the end, so that what is newest is in the last cell.
            let back = bin(-cell.middle() / width, n);
            if let Some(sum) = sums.get_mut(n - 1 - back) {
                *sum = (sum.0 + cell.bad, sum.1 + exposure_of(cell));
            }
        }
        let (mut bad, mut exposure) = (vec![0.0], vec![0.0]);
        let mut so_far = (0.0, 0.0);
        for sum in sums {
            so_far = (so_far.0 + sum.0, so_far.1 + sum.1);
            bad.push(so_far.0);
            exposure.push(so_far.1);
        }
        Series { width, bad, exposure }
    }

    /// How many cells.
    pub(super) fn len(&self) -> usize {
        self.bad.len() - 1
    }

    /// How long it is, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    pub(super) fn span(&self) -> f64 {
        self.len() as f64 * self.width
    }

    /// Amount and exposure of the cells `from..until`.
    pub(super) fn sum(&self, from: usize, until: usize) -> (f64, f64) {
        let part = |it: &[f64]| {
            let get = |nth: usize| it.get(nth).copied().unwrap_or(0.0);
            (get(until) - get(from)).max(0.0)
        };
        (part(&self.bad), part(&self.exposure))
    }

    /// Only the newest `n` cells.
    pub(super) fn newest(&self, n: usize) -> Series {
        let from = self.len().saturating_sub(n);
        let cut = |it: &[f64]| it.iter().skip(from).copied().collect::<Vec<f64>>();
        Series { width: self.width, bad: cut(&self.bad), exposure: cut(&self.exposure) }
    }

    /// Only the oldest `n` cells.
    pub(super) fn up_to(&self, n: usize) -> Series {
        let cut = |it: &[f64]| it.iter().take(n + 1).copied().collect::<Vec<f64>>();
        Series { width: self.width, bad: cut(&self.bad), exposure: cut(&self.exposure) }
    }
}
