//! The benchmark's baseline: how far is a value from the mean of the last 6,400?
//!
//! **In:** values. **Out:** `1 - Q(|z|)` per row, `Q` the upper tail of the normal distribution.
//! **Not here:** anything to be proud of; it shows that the scorer scores as published.
//!
//! As published: the window grows row by row to 6,400 values and then moves by 100 at a time.

const WINDOW: usize = 6_400;
const STRIDE: usize = 100;

/// Scores of the baseline for all rows.
pub(crate) fn windowed_gaussian(values: &[f64]) -> Vec<f64> {
    let mut scores = Vec::with_capacity(values.len());
    // Sum of squares around the running mean (Welford), so that a constant has deviation 0.
    let (mut mean, mut squares) = (0.0_f64, 0.0_f64);
    let mut deviation = 1.0;
    for (row, &value) in values.iter().enumerate() {
        let score = if row == 0 { 0.0 } else { 1.0 - upper_tail((value - mean).abs() / deviation) };
        // The published files have twelve digits, so that 1 - 5e-13 is 1 there.
        scores.push((score * 1e12).round() / 1e12);
        if row < WINDOW {
            let off = value - mean;
            mean += off / (row + 1) as f64;
            squares += off * (value - mean);
            deviation = (squares / (row + 1) as f64).sqrt();
        } else if (row + 1 - WINDOW).is_multiple_of(STRIDE) {
            let window = &values[row + 1 - WINDOW..=row];
            mean = window.iter().sum::<f64>() / WINDOW as f64;
            let variance = window.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
            deviation = (variance / WINDOW as f64).sqrt();
        }
        if deviation <= 0.0 {
            deviation = 1e-6;
        }
    }
    scores
}

/// Probability of a standard normal above `z >= 0`.
///
/// Source: Press et al., *Numerical Recipes*, `erfcc`; relative error below 1.2e-7.
fn upper_tail(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let series = COEFFICIENTS.iter().rev().fold(0.0, |sum, c| sum * t + c);
    0.5 * t * (series - x * x).exp()
}
