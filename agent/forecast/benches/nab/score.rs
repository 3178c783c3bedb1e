//! The scores of the Numenta Anomaly Benchmark.
//!
//! **In:** a labelled series, a score per row, the weights of an application profile.
//! **Out:** points per series at a threshold, the best threshold of a corpus, and the result
//! between 0 (a detector that never speaks) and 100 (every anomaly, at once, and nothing else).
//! **Not here:** detectors, files.
//!
//! Source: Lavin and Ahmad, *Evaluating Real-time Anomaly Detection Algorithms: the Numenta
//! Anomaly Benchmark* (2015), in the form that the benchmark's published results use: positions
//! in a window are counted from the row after its end, and a window's points are divided by
//! those of its first row. Checked against published results in `tests/detect_nab.rs`.

use crate::corpus::Labelled;

/// How much an application minds each kind of mistake.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Weights {
    /// For the first alarm in a window.
    pub(crate) tp_weight: f64,
    /// For an alarm outside every window.
    pub(crate) fp_weight: f64,
    /// For a window without an alarm.
    pub(crate) fn_weight: f64,
}

/// The profile the benchmark's headline figures use.
pub(crate) const STANDARD: Weights = Weights { tp_weight: 1.0, fp_weight: 0.11, fn_weight: 1.0 };
/// Twice as much for false alarms.
pub(crate) const LOW_FP: Weights = Weights { tp_weight: 1.0, fp_weight: 0.22, fn_weight: 1.0 };
/// Twice as much for missed anomalies.
pub(crate) const LOW_FN: Weights = Weights { tp_weight: 1.0, fp_weight: 0.11, fn_weight: 2.0 };

/// Rows at the beginning that are not scored: 15%, at most 750.
pub(crate) fn probation(rows: usize) -> usize {
    (rows * 15 / 100).min(750)
}

/// 1 far before the end of a window, 0 at it, -1 from three window lengths after it.
pub(crate) fn scaled_sigmoid(position: f64) -> f64 {
    if position >= 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// One row that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// What the detector said.
    pub(crate) score: f64,
    /// What an alarm here is worth.
    pub(crate) worth: f64,
    /// The window it is in.
    pub(crate) window: Option<usize>,
}

/// The rows of one series that count.
pub(crate) struct Points {
    points: Vec<Point>,
    windows: usize,
}

/// What became of one series at one threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// The sum of what its windows and false alarms are worth.
    pub(crate) points: f64,
    /// Windows with at least one alarm.
    pub(crate) found: usize,
    /// Rows with an alarm in a window.
    pub(crate) true_rows: usize,
    /// Rows with an alarm outside.
    pub(crate) false_rows: usize,
}

impl Points {
    /// Weighs every row of a series.
    pub(crate) fn new(series: &Labelled, scores: &[f64], weights: Weights) -> Points {
        let first = probation(scores.len());
        let mut points = Vec::new();
        for (row, &score) in scores.iter().enumerate().skip(first) {
            let window = series.windows.iter().position(|&(from, to)| from <= row && row <= to);
            let worth = if let Some(window) = window {
                let (from, to) = series.windows[window];
                let position = -((to - row + 1) as f64) / (to - from + 1) as f64;
                weights.tp_weight * scaled_sigmoid(position) / scaled_sigmoid(-1.0)
            } else {
                let before = series.windows.iter().rev().find(|&&(_, to)| to < row);
                let position =
                    before.map_or(3.0, |&(from, to)| (row - to) as f64 / (to - from) as f64);
                weights.fp_weight * scaled_sigmoid(position)
            };
            points.push(Point { score, worth, window });
        }
        Points { points, windows: series.windows.len() }
    }

    /// What an alarm at every score of at least `threshold` is worth.
    pub(crate) fn at(&self, threshold: f64, weights: Weights) -> Tally {
        let mut best = vec![-weights.fn_weight; self.windows];
        let mut tally = Tally::default();
        for point in self.points.iter().filter(|point| point.score >= threshold) {
            match point.window {
                Some(window) => {
                    best[window] = best[window].max(point.worth);
                    tally.true_rows += 1;
                }
                None => {
                    tally.points += point.worth;
                    tally.false_rows += 1;
                }
            }
        }
        tally.points += best.iter().sum::<f64>();
        tally.found = best.iter().filter(|&&worth| worth > -weights.fn_weight).count();
        tally
    }
}

/// The threshold with the most points over all series, and its points. 1.1, above every score, is
/// a candidate too.
pub(crate) fn best_threshold(corpus: &[&Points], weights: Weights) -> (f64, f64) {
    let mut rows: Vec<(usize, Point)> = Vec::new();
    for (series, points) in corpus.iter().enumerate() {
        rows.extend(points.points.iter().map(|&point| (series, point)));
    }
    rows.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut best: Vec<Vec<f64>> =
        corpus.iter().map(|points| vec![-weights.fn_weight; points.windows]).collect();
    let mut sum: f64 = best.iter().flatten().sum();
    let mut chosen = (1.1, sum);
    for (at, &(series, point)) in rows.iter().enumerate() {
        match point.window {
            Some(window) => {
                let worth = &mut best[series][window];
                sum += (point.worth - *worth).max(0.0);
                *worth = worth.max(point.worth);
            }
            None => sum += point.worth,
        }
        let is_last_of_score = rows.get(at + 1).is_none_or(|next| next.1.score < point.score);
        if is_last_of_score && sum > chosen.1 {
            chosen = (point.score, sum);
        }
    }
    chosen
}

/// Points as a result: 0 for the silent detector, 100 for the perfect one. NaN without windows.
pub(crate) fn result(points: f64, windows: usize, weights: Weights) -> f64 {
    let silent = -(windows as f64) * weights.fn_weight;
    let perfect = windows as f64 * weights.tp_weight;
    100.0 * (points - silent) / (perfect - silent)
}
