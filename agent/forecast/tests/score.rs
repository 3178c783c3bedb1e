//! The measures, against cases worked out by hand and against the published figures of the M4
//! competition.
//!
//! **In:** [`evenkeel_forecast::score`].
//! **Out:** what could be checked, and what not.
//! **Not here:** the ensemble's own accuracy (`benches/m4.rs`).
//!
//! The competition published averages over all 414 hourly series, not per series; 207 of them
//! are at hand. So: (1) the overall weighted average is recomputed from published pairs of
//! sMAPE and MASE, (2) sMAPE, MASE, MSIS, Naive2 and its seasonality test are worked out by hand
//! on small series, and (3) the benchmarks' own baselines on the half at hand must come out as
//! recorded here, near the published averages of the whole, and in the published order.

use evenkeel_forecast::score;
use expect_test::{Expect, expect};

/// The only place that compares floats.
#[track_caller]
fn check(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
}

#[test]
fn smape_of_small_cases_is_as_worked_out_by_hand() {
    // 200 * (1 / 3 + 0 / 4 + 2 / 2) / 3
    check(score::smape(&[1.0, 2.0, 0.0], &[2.0, 2.0, 2.0]), 200.0 * (1.0 / 3.0 + 1.0) / 3.0);
    check(score::smape(&[0.0], &[0.0]), 0.0);
    check(score::smape(&[5.0], &[-5.0]), 200.0);
}

#[test]
fn mase_divides_by_the_seasonal_change_of_the_past() {
    // Changes over two steps: 2, 2, 0; their mean is 4 / 3. Errors 1 and 3; their mean is 2.
    let past = [1.0, 5.0, 3.0, 7.0, 3.0];
    check(score::seasonal_change(&past, 2), 4.0 / 3.0);
    check(score::mase(&[10.0, 10.0], &[9.0, 13.0], &past, 2), 1.5);
    assert!(score::seasonal_change(&past, 5).is_nan());
}

#[test]
fn msis_charges_width_and_forty_times_a_miss_at_95_percent() {
    let past = [0.0, 1.0, 2.0];
    // Widths 2 and 2, one miss by 0.5: (2 + 2 + 40 * 0.5) / 2.
    check(score::msis(&[1.0, 3.5], &[0.0, 1.0], &[2.0, 3.0], 0.95, &past, 1), 12.0);
    check(score::coverage(&[1.0, 3.5], &[0.0, 1.0], &[2.0, 3.0]), 0.5);
}

#[test]
fn wape_leaves_gaps_out() {
    check(score::wape(&[10.0, f64::NAN, 30.0], &[8.0, 5.0, 34.0]), 6.0 / 40.0);
    assert!(score::wape(&[0.0], &[1.0]).is_nan());
}

#[test]
fn pinball_charges_the_side_that_the_quantile_makes_dear() {
    check(score::pinball(&[10.0], &[8.0], 0.9), 1.8);
    check(score::pinball(&[8.0], &[10.0], 0.9), 0.2);
}

#[test]
fn naive2_of_a_multiplicative_season_continues_it() {
    // Level 10 with indices 0.5, 1.0, 1.5; the centred averages are exactly 10.
    let past: Vec<f64> = [5.0, 10.0, 15.0].iter().cycle().take(12).copied().collect();
    let ahead = score::naive2(&past, 3, 4);
    for (found, expected) in ahead.iter().zip([5.0, 10.0, 15.0, 5.0]) {
        check(*found, expected);
    }
}

#[test]
fn naive2_of_an_even_season_averages_half_of_both_ends() {
    // Values 1, 3 repeated, so averages (1/2 + 3 + 1/2) / 2 = 2, then an odd last value 6.
    let mut past: Vec<f64> = [1.0, 3.0].iter().cycle().take(40).copied().collect();
    past[39] = 6.0;
    // The last ratio at phase 0 has the odd value in its average: 1 / 2.75 instead of 1 / 2.
    // Phase 0: (18 * 1 / 2 + 1 / 2.75) / 19; phase 1: 19 times 3 / 2, both over their mean.
    let (low, high) = ((18.0 * 0.5 + 1.0 / 2.75) / 19.0, 1.5);
    let center = f64::midpoint(low, high);
    let ahead = score::naive2(&past, 2, 2);
    check(ahead[0], 6.0 / (high / center) * (low / center));
    check(ahead[1], 6.0);
}

#[test]
fn naive2_of_a_series_without_season_repeats_the_last_value() {
    // A line passes no test at lag 4 after lags 1 to 3 are accounted for only if it is short; an
    // alternating series has no season of 3.
    let past: Vec<f64> = [1.0, 2.0].iter().cycle().take(20).copied().collect();
    assert_eq!(score::naive2(&past, 3, 3), vec![2.0; 3]);
    assert_eq!(score::naive2(&[], 24, 2), vec![0.0; 2]);
}

#[test]
fn overall_weighted_average_is_that_of_the_published_tables() {
    // Hourly: method, sMAPE, MASE, OWA, relative to Naive2 with 18.383 and 2.395.
    let published = [
        ("winner (ES-RNN)", 9.328, 0.893, 0.440),
        ("Doornik", 8.913, 0.801, 0.410),
        ("FFORMA", 11.506, 0.819, 0.484),
        ("seasonal naive", 13.91, 1.193, 0.627),
        ("Theta", 18.138, 2.455, 1.006),
    ];
    for (method, smape, mase, owa) in published {
        let found = score::owa(smape, mase, 18.383, 2.395);
        assert!((found - owa).abs() < 0.001, "{method}: {found:.4}, published {owa}");
    }
}

/// Rows `id,v1,v2,…`, or `None` on a machine without them.
fn rows(file: &str) -> Option<Vec<Vec<f64>>> {
    let folder = std::env::var("EVENKEEL_DATA").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned()
    });
    let text = std::fs::read_to_string(format!("{folder}/m4_hourly/{file}")).ok()?;
    let cells = |line: &str| line.split(',').skip(1).map_while(|cell| cell.parse().ok()).collect();
    Some(text.lines().map(cells).filter(|row: &Vec<f64>| !row.is_empty()).collect())
}

/// sMAPE and MASE of a method, averaged over the series at hand.
type Method = fn(&[f64], usize, usize) -> Vec<f64>;

fn baselines(methods: &[(&str, Method)], expected: &Expect) {
    let (Some(train), Some(test)) = (rows("train.csv"), rows("test.csv")) else {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "left out: M4 baselines, no M4 Hourly series");
        return;
    };
    let lines: Vec<String> = methods
        .iter()
        .map(|(name, method)| {
            let (mut smape, mut mase, mut n) = (0.0, 0.0, 0.0);
            for (past, actual) in train.iter().zip(&test) {
                let ahead = method(past, 24, 48);
                smape += score::smape(actual, &ahead);
                mase += score::mase(actual, &ahead, past, 24);
                n += 1.0;
            }
            format!("{name}: {:.3} {:.3}\n", smape / n, mase / n)
        })
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn baselines_on_the_half_at_hand_are_near_the_published_averages() {
    // Published for all 414: Naive2 18.383 / 2.395, seasonal naive 13.91 / 1.193. The mean over
    // the other half would have to be 17.82 / 2.88 and 16.3 / 1.35, which is plausible: a few
    // series there have a MASE above 20.
    baselines(
        &[("Naive2", score::naive2), ("seasonal naive", score::seasonal_naive)],
        &expect![[r#"
            Naive2: 18.949 1.914
            seasonal naive: 11.555 1.032
        "#]],
    );
}
