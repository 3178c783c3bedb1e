//! From numbers to the paths of a chart.
//!
//! **In:** columns of time and values. **Out:** SVG path data in a square of
//! [`SIDE`] x [`SIDE`] that the page stretches to any width.
//! **Not here:** which series there are ([`super::chart`]), colours (`page.css`).

use std::fmt::Write as _;

use crate::timeline::{Bin, ServiceTimeline, Timeline};

/// Side of the drawing, in its own units. Why 1,000: no chart is shown wider than 1,100 pixels.
pub(super) const SIDE: f64 = 1_000.0;

/// The time that all charts of a page share, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    pub(super) begins_at: i64,
    pub(super) ends_at: i64,
}

impl TimeAxis {
    /// Covers all timelines; at least one second long.
    pub(super) fn over<'a>(timelines: impl Iterator<Item = &'a Timeline> + Clone) -> TimeAxis {
        let begins_at = timelines.clone().map(|it| it.begins_at).min().unwrap_or(0);
        let end = |timeline: &Timeline| {
            let length = |service: &ServiceTimeline| {
                let whole = i64::try_from(service.bins.len()).unwrap_or(i64::MAX);
                let whole = whole.saturating_mul(timeline.bin_seconds);
                // The last bin may be shorter than the others.
                let last = service.bins.last().map_or(0, |it| it.seconds);
                if last <= 0 { whole } else { whole - timeline.bin_seconds + last }
            };
            let longest = timeline.services.iter().map(length).max().unwrap_or(0);
            timeline.begins_at.saturating_add(longest)
        };
        let ends_at = timelines.map(end).max().unwrap_or(0);
        TimeAxis { begins_at, ends_at: ends_at.max(begins_at.saturating_add(1)) }
    }

    /// Where `at` is, `0.0 ..= 1.0`.
    pub(super) fn share(&self, at: i64) -> f64 {
        let length = float(self.ends_at.saturating_sub(self.begins_at));
        (float(at.saturating_sub(self.begins_at)) / length).clamp(0.0, 1.0)
    }

    /// Instants to label, at most eight, at round times of UTC.
    pub(super) fn ticks(&self) -> (i64, Vec<i64>) {
        const STEPS: [i64; 20] = [
            1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
            172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
        ];
        let length = self.ends_at.saturating_sub(self.begins_at);
        let fits = STEPS.into_iter().find(|step| length / step <= 7);
        let step = fits.unwrap_or(length / 7);
        let first = self.begins_at.div_euclid(step).saturating_mul(step);
        let at = (0..10).map(|index| first.saturating_add(step.saturating_mul(index)));
        let inside = at.filter(|at| self.begins_at <= *at && *at <= self.ends_at);
        (step, inside.collect())
    }
}

/// One service's bins, joined until there are at most as many as asked for.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Horizontal edges in the drawing: one more than bins.
    pub(super) edges: Vec<f64>,
    pub(super) bins: Vec<Bin>,
}

impl Columns {
    pub(super) fn new(
        axis: &TimeAxis,
        timeline: &Timeline,
        service: &ServiceTimeline,
        most: usize,
    ) -> Columns {
        let together = service.bins.len().div_ceil(most.max(1)).max(1);
        let bins: Vec<Bin> = service.bins.chunks(together).map(joined).collect();
        let width =
            i64::try_from(together).unwrap_or(i64::MAX).saturating_mul(timeline.bin_seconds);
        let mut at = timeline.begins_at;
        let mut edges = vec![SIDE * axis.share(at)];
        for _ in &bins {
            at = at.saturating_add(width);
            edges.push(SIDE * axis.share(at));
        }
        Columns { edges, bins }
    }
}

/// Several bins as one: means by seconds, extremes, the last, sums. The share of good ones is
/// weighed by load.
fn joined(bins: &[Bin]) -> Bin {
    let mut whole = Bin { ready_min: u32::MAX, load_max: f64::NEG_INFINITY, ..Bin::default() };
    let (mut load, mut forecast, mut forecast_weight) = (0.0, [0.0; 3], 0.0);
    let (mut good, mut good_weight) = (0.0, 0.0);
    for bin in bins.iter().filter(|bin| 0 < bin.seconds) {
        let weight = float(bin.seconds);
        whole.seconds += bin.seconds;
        load += bin.load * weight;
        whole.load_max = whole.load_max.max(bin.load_max);
        if let Some(values) = bin.forecast {
            forecast_weight += weight;
            for (sum, value) in forecast.iter_mut().zip(values) {
                *sum += value * weight;
            }
        }
        whole.ready_min = whole.ready_min.min(bin.ready_min);
        whole.desired = bin.desired;
        whole.needed_max = whole.needed_max.max(bin.needed_max);
        if let Some(ratio) = bin.good_ratio {
            let weight = weight * bin.load.max(1e-9);
            good += ratio * weight;
            good_weight += weight;
        }
        whole.latency_p95_seconds = match (whole.latency_p95_seconds, bin.latency_p95_seconds) {
            (Some(here), Some(there)) => Some(here.max(there)),
            (here, there) => here.or(there),
        };
        whole.cost_usd += bin.cost_usd;
    }
    if whole.seconds == 0 {
        return Bin::default();
    }
    whole.load = load / float(whole.seconds);
    whole.forecast = (0.0 < forecast_weight).then(|| forecast.map(|sum| sum / forecast_weight));
    whole.good_ratio = (0.0 < good_weight).then(|| good / good_weight);
    whole
}

/// A vertical axis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// From 0 to `top`.
    Linear { top: f64 },
    /// From `low` to `high`, both positive; smaller values are at the bottom.
    Log { low: f64, high: f64 },
}

impl Scale {
    /// From 0 to a round number at or above `most`, and what to label.
    pub(super) fn linear(most: f64) -> (Scale, Vec<f64>) {
        // Some way below the largest number, so that the top of the axis is one too.
        let most = if 1e-300 < most && most < 1e300 { most } else { 1.0 };
        let power = 10_f64.powf((most / 3.0).log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|it| it * power);
        let step = step.into_iter().find(|step| most <= step * 4.0).unwrap_or(most);
        let count = (most / step).ceil().max(1.0);
        let ticks = (0..=4_u8).map(f64::from).filter(|it| *it <= count).map(|it| it * step);
        (Scale::Linear { top: count * step }, ticks.collect())
    }

    /// From the bottom (0) to the top (1).
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = match *self {
            Scale::Linear { top } => value / top,
            Scale::Log { low, high } => (value.max(low) / low).ln() / (high / low).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    fn y(&self, value: Option<f64>) -> Option<i32> {
        value.filter(|it| it.is_finite()).map(|it| pixel(SIDE * (1.0 - self.share(it))))
    }
}

/// A line of steps; gaps where there is no value.
pub(super) fn line(
    columns: &Columns,
    scale: &Scale,
    value: impl Fn(&Bin) -> Option<f64>,
) -> String {
    let mut path = String::new();
    let mut pen: Option<(i32, i32)> = None;
    for (edges, bin) in columns.edges.windows(2).zip(&columns.bins) {
        let &[left, right] = edges else { continue };
        let (left, right) = (pixel(left), pixel(right));
        let y = scale.y(if 0 < bin.seconds { value(bin) } else { None });
        let Some(y) = y else {
            finish_step(&mut path, &mut pen, left);
            pen = None;
            continue;
        };
        match pen {
            None => {
                let _infallible = write!(path, "M{left} {y}");
                pen = Some((left, y));
            }
            Some((_, before)) if before != y => {
                finish_step(&mut path, &mut pen, left);
                let _infallible = write!(path, "v{}", y - before);
                pen = Some((left, y));
            }
            Some(_) => {}
        }
        if columns.edges.last().is_some_and(|last| pixel(*last) == right) {
            finish_step(&mut path, &mut pen, right);
        }
    }
    path
}

/// Draws up to `x` at the pen's height.
fn finish_step(path: &mut String, pen: &mut Option<(i32, i32)>, x: i32) {
    if let Some((from, y)) = *pen
        && from < x
    {
        let _infallible = write!(path, "h{}", x - from);
        *pen = Some((x, y));
    }
}

/// The area between two lines of steps; gaps where either has no value.
pub(super) fn area(
    columns: &Columns,
    scale: &Scale,
    between: impl Fn(&Bin) -> Option<(f64, f64)>,
) -> String {
    let mut path = String::new();
    // Left, right, top, bottom of neighbouring columns.
    let mut block: Vec<(i32, i32, i32, i32)> = Vec::new();
    for (edges, bin) in columns.edges.windows(2).zip(&columns.bins) {
        let &[left, right] = edges else { continue };
        let ends = if 0 < bin.seconds { between(bin) } else { None };
        let ends = ends.and_then(|(low, high)| Some((scale.y(Some(high))?, scale.y(Some(low))?)));
        match ends {
            Some((top, bottom)) => block.push((pixel(left), pixel(right), top, bottom)),
            None => close(&mut path, &mut block),
        }
    }
    close(&mut path, &mut block);
    path
}

fn close(path: &mut String, block: &mut Vec<(i32, i32, i32, i32)>) {
    let Some(&(mut x, _, mut y, _)) = block.first() else { return };
    let _infallible = write!(path, "M{x} {y}");
    let mut go = |to_x: i32, to_y: i32| {
        if to_y != y {
            let _infallible = write!(path, "v{}", to_y - y);
        }
        if to_x != x {
            let _infallible = write!(path, "h{}", to_x - x);
        }
        (x, y) = (to_x, to_y);
    };
    for (_, right, top, _) in block.iter() {
        go(*right, *top);
    }
    for (left, _, _, bottom) in block.iter().rev() {
        go(*left, *bottom);
    }
    path.push('Z');
    block.clear();
}

/// A coordinate of the drawing, whole.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the drawing before")]
pub(super) fn pixel(value: f64) -> i32 {
    value.clamp(0.0, SIDE).round() as i32
}

#[expect(clippy::cast_precision_loss, reason = "a drawing's accuracy is a thousandth")]
pub(super) fn float(seconds: i64) -> f64 {
    seconds as f64
}
