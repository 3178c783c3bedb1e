//! Golden scorecards: has a change made the agent worse, beyond noise?
//!
//! **In:** the runs of a sweep, and a [`Golden`] file from earlier. **Out:** [`Difference`]s.
//! **Not here:** running ([`crate::museum`]), files.
//!
//! Noise is not a guess but an A/A comparison: the same code with other seeds. Twice as many
//! seeds as the gate uses are split into halves in many ways; what 99 % of the splits differ by
//! is what chance does, and no more than that may a change make a number worse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chance::{mix, stream_key};
use crate::museum::SeedRun;

/// Splits of an A/A comparison. Why 1,000: the 99th percentile then stands on ten of them.
const SPLITS: usize = 1_000;

/// Share of splits that noise covers.
const NOISE_QUANTILE: f64 = 0.99;

/// Golden scorecards of all scenarios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The seeds that were compared: from 1 up to this.
    pub n_seeds: u64,
    /// By scenario.
    pub scenarios: BTreeMap<String, BTreeMap<Number, Value>>,
}

/// A number that a change must not make worse. More is worse for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// Cost divided by the oracle's.
    CostRatio,
    /// Seconds below the objective.
    BadSeconds,
    /// Changes of capacity.
    Changes,
    /// Violations, of safety and of liveness.
    Violations,
}

impl Number {
    /// All of them.
    pub const ALL: [Number; 4] =
        [Number::CostRatio, Number::BadSeconds, Number::Changes, Number::Violations];

    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Number::CostRatio => "cost_ratio",
            Number::BadSeconds => "bad_seconds",
            Number::Changes => "changes",
            Number::Violations => "violations",
        }
    }

    fn of(self, run: &SeedRun) -> f64 {
        match self {
            Number::CostRatio => run.scorecard.cost_ratio,
            #[expect(clippy::cast_precision_loss, reason = "seconds of a run are below 2^53")]
            Number::BadSeconds => run.totals[0].bad_seconds as f64,
            Number::Changes => f64::from(run.scorecard.capacity_changes),
            Number::Violations => {
                f64::from(u32::try_from(run.scorecard.violations.len()).unwrap_or(u32::MAX))
            }
        }
    }
}

/// A mean over seeds, and what chance does to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Mean over the gate's seeds.
    pub mean: f64,
    /// What two means of equal code and other seeds differ by, in 99 % of all cases.
    pub noise: f64,
}

/// A number that changed beyond noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where.
    pub scenario: String,
    /// Which.
    pub number: Number,
    /// In the file.
    pub golden: Value,
    /// Now.
    pub mean: f64,
}

impl Difference {
    /// Whether it got worse.
    pub fn is_worse(&self) -> bool {
        self.golden.mean < self.mean
    }
}

impl Golden {
    /// From the runs of `2 * n_seeds` seeds: the means of the first half, the noise of all.
    pub fn from_runs(names: &[String], runs: &[SeedRun], n_seeds: u64) -> Golden {
        let mut golden = Golden { n_seeds, scenarios: BTreeMap::new() };
        for (place, name) in names.iter().enumerate() {
            let own: Vec<&SeedRun> = runs.iter().filter(|it| it.scenario == place).collect();
            let values = Number::ALL.map(|number| {
                let all: Vec<f64> = own.iter().map(|it| number.of(it)).collect();
                let first = own.iter().filter(|it| it.seed <= n_seeds).map(|it| number.of(it));
                let key = stream_key(1, &format!("gate/{name}/{}", number.name()));
                (number, Value { mean: mean(first), noise: noise(key, &all) })
            });
            golden.scenarios.insert(name.clone(), values.into_iter().collect());
        }
        golden
    }

    /// What differs beyond noise, better or worse. A scenario that is not in the file has
    /// nothing to differ from.
    pub fn compare(&self, names: &[String], runs: &[SeedRun]) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let Some(values) = self.scenarios.get(name) else { continue };
            for (number, golden) in values {
                let own = runs.iter().filter(|it| it.scenario == place && it.seed <= self.n_seeds);
                let mean = mean(own.map(|it| number.of(it)));
                // Beyond rounding, where chance does nothing at all.
                let allowed = golden.noise.max(1e-9 * golden.mean.abs());
                if allowed < (mean - golden.mean).abs() {
                    let (scenario, number, golden) = (name.clone(), *number, *golden);
                    differences.push(Difference { scenario, number, golden, mean });
                }
            }
        }
        differences
    }
}

/// 99th percentile over splits of the distance between the means of two halves.
fn noise(key: u64, values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let half = values.len() / 2;
    if half == 0 {
        return 0.0;
    }
    let mut distances = Vec::with_capacity(SPLITS);
    let mut state = key;
    for _ in 0..SPLITS {
        // Fisher and Yates, with a stream of its own.
        for end in (1..values.len()).rev() {
            state = mix(state);
            let span = u64::try_from(end + 1).unwrap_or(u64::MAX);
            let other = usize::try_from(state % span).unwrap_or(end);
            values.swap(end, other);
        }
        let (a, b) = values.split_at(half);
        let b = b.iter().take(half).copied();
        distances.push((mean(a.iter().copied()) - mean(b)).abs());
    }
    distances.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place among a thousand"
    )]
    let place = ((distances.len() - 1) as f64 * NOISE_QUANTILE).ceil() as usize;
    distances.get(place).copied().unwrap_or_default()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), it| (sum + it, n + 1.0));
    if 0.0 < n { sum / n } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::fraction;
    use proptest::prelude::*;

    proptest! {
        // What the gate is for: chance alone must hardly ever trip it.
        #[test]
        fn noise_covers_what_other_seeds_do(seed in any::<u64>(), spread in 0.1f64..100.0) {
            let draw = |n: u64| {
                (0..n).map(move |it| spread * fraction(mix(seed ^ mix(it))))
            };
            let all: Vec<f64> = draw(80).collect();
            let noise = noise(seed, &all);
            // Uniform on 0..spread: the distance of two means of 40 has this deviation.
            let deviation = spread * (1.0f64 / 12.0 * 2.0 / 40.0).sqrt();
            prop_assert!(1.5 * deviation < noise && noise < 4.0 * deviation, "{noise} {deviation}");
        }
    }

    #[test]
    fn without_chance_there_is_no_noise() {
        assert!(noise(1, &[3.0; 40]).abs() < 1e-12);
        assert!(noise(1, &[]).abs() < 1e-12);
    }
}
