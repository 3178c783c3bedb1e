//! Prints how the detector does on the Numenta Anomaly Benchmark, as Markdown:
//! `cargo bench -p evenkeel-forecast --bench nab`.
//!
//! **In:** the labelled series of the shared data. **Out:** the table, beside the benchmark's own
//! baselines through the same scorer. **Not here:** a verdict, and any tuning.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]
#![expect(clippy::cast_precision_loss, reason = "counts of rows and windows are small")]

#[path = "nab/corpus.rs"]
mod corpus;
#[path = "nab/gaussian.rs"]
mod gaussian;
#[path = "nab/score.rs"]
mod score;

use std::collections::BTreeMap;
use std::time::Instant;

use corpus::Labelled;
use evenkeel_forecast::detect::{Detector, Settings, THRESHOLD};
use score::{LOW_FN, LOW_FP, Points, STANDARD, Tally, Weights, best_threshold, result};

/// Splits of the corpus into two halves for the cross-validated result.
const SPLITS: u64 = 20;

fn main() {
    let Some(folder) = corpus::folder() else {
        eprintln!("left out: the NAB bench, because this machine has no NAB series");
        return;
    };
    let corpus = corpus::load(&folder);
    let rows: usize = corpus.iter().map(|series| series.rows.len()).sum();
    let windows: usize = corpus.iter().map(|series| series.windows.len()).sum();
    let started = Instant::now();
    let ours: Vec<Vec<f64>> = corpus.iter().map(evenkeel).collect();
    let micros = started.elapsed().as_secs_f64() * 1e6 / rows as f64;
    let gaussian: Vec<Vec<f64>> = corpus.iter().map(baseline).collect();
    let silent: Vec<Vec<f64>> = corpus.iter().map(|s| vec![0.0; s.rows.len()]).collect();

    println!(
        "## Anomaly detection: NAB, {} series, {windows} windows, {rows} rows\n",
        corpus.len()
    );
    println!(
        "| Detector | standard | reward low FP | reward low FN | best threshold (standard) \
         | standard, threshold from the other half |\n|---|---|---|---|---|---|"
    );
    for (name, scores) in [("Evenkeel", &ours), ("windowed Gaussian", &gaussian), ("null", &silent)]
    {
        let best = |weights: Weights| {
            let points = weigh(&corpus, scores, weights);
            let (threshold, sum) = best_threshold(&points.iter().collect::<Vec<_>>(), weights);
            (threshold, result(sum, windows, weights))
        };
        let (threshold, standard) = best(STANDARD);
        let held_out = held_out(&corpus, &weigh(&corpus, scores, STANDARD));
        let (low_fp, low_fn) = (best(LOW_FP).1, best(LOW_FN).1);
        println!(
            "| {name} | {standard:.1} | {low_fp:.1} | {low_fn:.1} | {threshold:.3} | {held_out:.1} |"
        );
    }
    let points = weigh(&corpus, &ours, STANDARD);
    let fixed: f64 = points.iter().map(|points| points.at(THRESHOLD, STANDARD).points).sum();
    println!(
        "\nEvenkeel at its documented threshold {THRESHOLD}: **{:.1}**. {micros:.1} us per row, one \
         core. Its parameters were chosen with these series in view; how much that flatters shows \
         in the same series, changed:\n",
        result(fixed, windows, STANDARD)
    );
    println!("| Series | standard | at {THRESHOLD} |\n|---|---|---|");
    for (name, changed) in [
        ("negated", negated as fn(&mut Labelled)),
        ("with 5% noise", noisy),
        ("begin 5% later", late),
    ] {
        let mut series = corpus::load(&folder);
        series.iter_mut().for_each(changed);
        let scores: Vec<Vec<f64>> = series.iter().map(evenkeel).collect();
        let points = weigh(&series, &scores, STANDARD);
        let best = best_threshold(&points.iter().collect::<Vec<_>>(), STANDARD).1;
        let fixed: f64 = points.iter().map(|points| points.at(THRESHOLD, STANDARD).points).sum();
        let (best, fixed) = (result(best, windows, STANDARD), result(fixed, windows, STANDARD));
        println!("| {name} | {best:.1} | {fixed:.1} |");
    }
    println!();
    println!("| Category at {THRESHOLD} | standard | windows found | false alarms | rows |");
    println!("|---|---|---|---|---|");
    for (category, (tally, windows, rows)) in by_category(&corpus, &points) {
        let standard = result(tally.points, windows, STANDARD);
        let standard = if windows == 0 { String::from("none") } else { format!("{standard:.1}") };
        let Tally { found, false_rows, .. } = tally;
        println!("| {category} | {standard} | {found} of {windows} | {false_rows} | {rows} |");
    }
}

fn evenkeel(series: &Labelled) -> Vec<f64> {
    let mut detector = Detector::new(Settings::default());
    series.rows.iter().map(|&(at, value)| detector.score(at, value).score).collect()
}

fn negated(series: &mut Labelled) {
    series.rows.iter_mut().for_each(|row| row.1 = -row.1);
}

/// Adds uniform noise with a twentieth of the standard deviation of the whole series.
fn noisy(series: &mut Labelled) {
    let rows = series.rows.len() as f64;
    let mean = series.rows.iter().map(|row| row.1).sum::<f64>() / rows;
    let variance = series.rows.iter().map(|row| (row.1 - mean).powi(2)).sum::<f64>() / rows;
    let width = 0.05 * (12.0 * variance).sqrt();
    let mut noise = 7_u64;
    for row in &mut series.rows {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        row.1 += width * ((noise >> 33) as f64 / f64::from(1_u32 << 31) - 0.5);
    }
}

/// Forgets the first twentieth of the rows; windows that end in what is then probation are lost.
fn late(series: &mut Labelled) {
    let cut = series.rows.len() / 20;
    series.rows.drain(..cut);
    for (from, to) in &mut series.windows {
        *from = from.saturating_sub(cut);
        *to = to.saturating_sub(cut);
    }
}

fn baseline(series: &Labelled) -> Vec<f64> {
    let values: Vec<f64> = series.rows.iter().map(|row| row.1).collect();
    gaussian::windowed_gaussian(&values)
}

fn weigh(corpus: &[Labelled], scores: &[Vec<f64>], weights: Weights) -> Vec<Points> {
    corpus.iter().zip(scores).map(|(series, scores)| Points::new(series, scores, weights)).collect()
}

/// The standard result with each series scored at the threshold that is best for a half of the
/// corpus it is not in; mean over [`SPLITS`] seeded splits.
fn held_out(corpus: &[Labelled], points: &[Points]) -> f64 {
    let windows: usize = corpus.iter().map(|series| series.windows.len()).sum();
    let mut noise = 1_u64;
    let mut sum = 0.0;
    for _ in 0..SPLITS {
        let mut order: Vec<&Points> = points.iter().collect();
        for last in (1..order.len()).rev() {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(noise >> 33).unwrap_or(0) % (last + 1);
            order.swap(last, other);
        }
        let (one, other) = order.split_at(order.len() / 2);
        for (chosen_on, scored_on) in [(one, other), (other, one)] {
            let threshold = best_threshold(chosen_on, STANDARD).0;
            sum +=
                scored_on.iter().map(|points| points.at(threshold, STANDARD).points).sum::<f64>();
        }
    }
    result(sum / SPLITS as f64, windows, STANDARD)
}

fn by_category<'a>(
    corpus: &'a [Labelled],
    points: &[Points],
) -> BTreeMap<&'a str, (Tally, usize, usize)> {
    let mut categories: BTreeMap<&str, (Tally, usize, usize)> = BTreeMap::new();
    for (series, points) in corpus.iter().zip(points) {
        let tally = points.at(THRESHOLD, STANDARD);
        let entry = categories.entry(series.category()).or_default();
        entry.0.points += tally.points;
        entry.0.found += tally.found;
        entry.0.false_rows += tally.false_rows;
        entry.1 += series.windows.len();
        entry.2 += series.rows.len();
    }
    categories
}
