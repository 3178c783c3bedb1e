//! The ensemble that the live forecaster refits.
//!
//! **In:** [`evenkeel_forecast::ensemble`].
//! **Out:** behaviour between refits, and on odd series.
//! **Not here:** its cost (`benches/m4.rs`).

#![expect(clippy::cast_precision_loss, reason = "test series are short")]

use evenkeel_forecast::Series;
use evenkeel_forecast::ensemble::{Effort, Ensemble, Settings};
use jiff::SignedDuration;
use proptest::prelude::*;

const DAY: usize = 288;

fn series(values: Vec<f64>) -> Series {
    Series { starts_at: None, step: SignedDuration::from_mins(5), values }
}

fn settings(horizon: usize) -> Settings {
    Settings { horizon, seasons: None, effort: Effort::Quick }
}

fn wave(at: usize) -> f64 {
    200.0 + 150.0 * (at as f64 * std::f64::consts::TAU / DAY as f64).sin()
}

#[test]
fn forecasts_from_newer_values_without_a_refit() {
    let fitted = Ensemble::fit(&series((0..7 * DAY).map(wave).collect()), &settings(72)).unwrap();
    assert_eq!(fitted.report().seasons, vec![DAY]);
    for since_fit in [0, 1, 50, DAY - 1, DAY + 7] {
        let past: Vec<f64> = (since_fit..7 * DAY + since_fit).map(wave).collect();
        for (step, value) in fitted.forecast(&past, since_fit, 72).iter().enumerate() {
            let expected = wave(7 * DAY + since_fit + step);
            assert!((value - expected).abs() < 5.0, "{since_fit}+{step}: {value}, not {expected}");
        }
    }
}

#[test]
fn a_higher_level_since_the_fit_raises_the_forecast() {
    let fitted = Ensemble::fit(&series((0..7 * DAY).map(wave).collect()), &settings(72)).unwrap();
    let grown: Vec<f64> =
        (0..7 * DAY).map(|at| wave(at) * if at >= 6 * DAY { 1.3 } else { 1.0 }).collect();
    let ahead = fitted.forecast(&grown, 0, 12);
    let usual: f64 = (0..12).map(|step| wave(7 * DAY + step)).sum();
    assert!(ahead.iter().sum::<f64>() > 1.1 * usual);
}

#[test]
fn residuals_have_one_list_per_lead() {
    let noisy = |at: usize| wave(at) + if at.is_multiple_of(3) { 5.0 } else { -2.5 };
    let fitted = Ensemble::fit(&series((0..10 * DAY).map(noisy).collect()), &settings(72)).unwrap();
    assert_eq!(fitted.residuals().len(), 72);
    assert!(fitted.residuals().iter().all(|of_lead| of_lead.len() >= 5));
}

#[test]
fn every_dropped_member_says_why() {
    let values = (0..3 * DAY).map(|at| wave(at) - 300.0).collect();
    let fitted = Ensemble::fit(&series(values), &settings(72)).unwrap();
    let log = fitted.report().members.iter().find(|member| member.name == "ridge_log").unwrap();
    assert_eq!(log.dropped.as_deref(), Some("logarithm of negative values"));
    assert!(log.weight.abs() < f64::EPSILON);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_past_gives_finite_forecasts_after_any_fit(
        fitted in prop::collection::vec(prop_oneof![4 => -10.0..1e4_f64, 1 => any::<f64>()], 1..400),
        newer in prop::collection::vec(prop_oneof![4 => -10.0..1e4_f64, 1 => any::<f64>()], 0..400),
        season in 2..60_usize,
        since_fit in 0..1_000_usize,
        horizon in 1..90_usize,
    ) {
        let settings = Settings { seasons: Some(vec![season]), ..settings(horizon) };
        if let Ok(ensemble) = Ensemble::fit(&series(fitted), &settings) {
            let ahead = ensemble.forecast(&newer, since_fit, horizon);
            prop_assert_eq!(ahead.len(), horizon);
            prop_assert!(ahead.iter().all(|value| value.is_finite()));
        }
    }
}
