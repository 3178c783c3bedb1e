//! What the global model is told about one step ahead of one origin.
//!
//! **In:** the past of one series up to an origin, and a lead.
//! **Out:** a row of [`COLUMNS`] numbers, and the target relative to the last season.
//! **Not here:** the trees ([`super::trees`]).
//!
//! Only values before the origin are read, whatever the lead.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "features are scaled to about 1 and the trees bin them; counts are small"
)]

use crate::members::naive::mean;
use crate::members::ridge::{Scale, Transform};

/// Numbers per row.
pub(crate) const COLUMNS: usize = 31;

/// A series in the units the model sees.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    values: Vec<f64>,
    transform: Transform,
    center: f64,
    spread: f64,
    /// Mean absolute change from one short season to the next.
    unit: f64,
    short: usize,
    long: usize,
}

/// Features that all leads of one origin share.
#[derive(Clone, Debug)]
pub(crate) struct View {
    origin: usize,
    levels: [f32; 8],
}

impl Frame {
    /// `None` when there is no season, the scale does not suit the values, or nothing varies.
    pub(crate) fn new(values: &[f64], seasons: &[usize], scale: Scale) -> Option<Frame> {
        let short = *seasons.first()?;
        let long = seasons.last().copied().filter(|long| *long > short).unwrap_or(7 * short);
        if values.len() <= short {
            return None;
        }
        let transform = Transform::new(scale, values).ok()?;
        let mut values: Vec<f64> = values.iter().map(|value| transform.there(*value)).collect();
        let center = mean(&values);
        let spread = mean(&values.iter().map(|v| (v - center).powi(2)).collect::<Vec<_>>()).sqrt();
        if !spread.is_normal() {
            return None;
        }
        for value in &mut values {
            *value = (*value - center) / spread;
        }
        let changes: Vec<f64> =
            values.iter().zip(&values[short..]).map(|(a, b)| (b - a).abs()).collect();
        let unit = mean(&changes);
        if !(unit.is_finite() && unit > 1e-6) {
            return None;
        }
        Some(Frame { values, transform, center, spread, unit, short, long })
    }

    /// Values that an origin needs before it: two short seasons.
    pub(crate) fn reach(&self) -> usize {
        2 * self.short + self.short.div_ceil(8)
    }

    /// What the target is relative to: the newest value of the same phase.
    fn base(&self, origin: usize, lead: usize) -> f64 {
        self.values[origin + lead - (lead / self.short + 1) * self.short]
    }

    /// Target of a row; `origin + lead` must lie in the past.
    pub(crate) fn target(&self, origin: usize, lead: usize) -> f32 {
        ((self.values[origin + lead] - self.base(origin, lead)) / self.unit) as f32
    }

    /// From what the model says back into the unit of the series.
    pub(crate) fn value(&self, origin: usize, lead: usize, model: f32) -> f64 {
        let scaled = self.base(origin, lead) + f64::from(model) * self.unit;
        self.transform.back(scaled * self.spread + self.center)
    }

    /// What does not depend on the lead; `origin` must be at least [`Frame::reach`].
    pub(crate) fn view(&self, origin: usize) -> View {
        let z = &self.values;
        let (short, long) = (self.short, self.long);
        // Mean of `n` values that ended `back` steps before the origin.
        let level = |back: usize, n: usize| -> f64 {
            match origin.checked_sub(back + n) {
                Some(from) => mean(&z[from..origin - back]),
                None => f64::NAN,
            }
        };
        let window = short.div_ceil(8);
        let (last_day, last_week) = (level(0, short), level(0, long));
        let deviation = match origin.checked_sub(long) {
            Some(from) => {
                let squares: Vec<f64> =
                    z[from..origin].iter().map(|v| (v - last_week).powi(2)).collect();
                mean(&squares).sqrt()
            }
            None => f64::NAN,
        };
        let levels = [
            z[origin - 1],
            z[origin - 1] - z[origin - 1 - short],
            level(0, window) - level(short, window),
            last_day,
            last_day - level(short, short),
            last_day - level(long, short),
            last_week - level(long, long),
            deviation,
        ];
        View { origin, levels: levels.map(|value| (value / self.unit) as f32) }
    }

    /// Appends the features of one step.
    pub(crate) fn push(&self, view: &View, lead: usize, row: &mut Vec<f32>) {
        let z = &self.values;
        let origin = view.origin;
        let at = origin + lead;
        let (short, long) = (self.short, self.long);
        // Value `back` steps before the step that is forecast, if that is before the origin.
        let lag = |back: usize| -> f64 {
            match at.checked_sub(back) {
                Some(index) if index < origin => z[index],
                Some(_) | None => f64::NAN,
            }
        };
        let day = (lead / short + 1) * short;
        let base = self.base(origin, lead);
        let days: [f64; 3] = [lag(day), lag(day + short), lag(day + 2 * short)];
        let weeks: [f64; 3] = [lag(long), lag(2 * long), lag(3 * long)];
        let unit = |value: f64| (value / self.unit) as f32;
        row.push(lead as f32 / short as f32);
        row.extend(days.iter().chain(&weeks).map(|value| *value as f32));
        row.extend(view.levels);
        row.extend([
            unit(weeks[0] - lag(long + day)),
            unit(weeks[1] - lag(2 * long + day)),
            unit(lag(long - 1) - weeks[0]),
            unit(weeks[0] - lag(long + 1)),
            unit(lag(day + 1) - days[0]),
            unit(lag(day - 1) - days[0]),
        ]);
        let same: Vec<f64> =
            (1..=7).map(|k| lag(k * short)).filter(|value| value.is_finite()).collect();
        let average = mean(&same);
        let spread =
            mean(&same.iter().map(|value| (value - average).powi(2)).collect::<Vec<_>>()).sqrt();
        row.extend([
            average as f32,
            spread as f32,
            same.iter().copied().fold(f64::INFINITY, f64::min) as f32,
            same.iter().copied().fold(f64::NEG_INFINITY, f64::max) as f32,
        ]);
        row.extend(days.iter().chain(&weeks).map(|value| unit(value - base)));
    }
}
