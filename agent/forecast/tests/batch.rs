//! Forecasts of files: whatever is in them, the answer is an error or finite and ordered.
//!
//! **In:** [`evenkeel_forecast::batch`].
//! **Out:** behaviour on odd series, and that threads do not matter.
//! **Not here:** accuracy (`benches/m4.rs`).

#![expect(clippy::cast_precision_loss, reason = "test series are short")]

use evenkeel_forecast::Series;
use evenkeel_forecast::batch::{
    Forecast, ForecastError, HORIZON_MAX, Request, each_member, forecast, forecast_on, forecast_one,
};
use jiff::SignedDuration;
use proptest::prelude::*;

fn series(values: Vec<f64>) -> Series {
    Series { starts_at: None, step: SignedDuration::from_hours(1), values }
}

fn request(horizon: usize) -> Request {
    Request { horizon, seasons: None, levels: vec![0.5, 0.8, 0.95] }
}

/// A day of 24 steps with a weekend, deterministic noise, and its own phase per `seed`.
fn daily(n: usize, seed: u64) -> Series {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values = (0..n).map(|at| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5;
        let hour = (at + usize::try_from(seed).unwrap_or(0)) as f64 * std::f64::consts::TAU / 24.0;
        let weekend = if (at / 24) % 7 >= 5 { 0.7 } else { 1.0 };
        (100.0 + 60.0 * hour.sin()) * weekend + 4.0 * noise
    });
    series(values.collect())
}

/// The only place that says what a sound forecast is.
#[track_caller]
fn check_sound(forecast: &Forecast, horizon: usize, lowest: f64) {
    assert_eq!(forecast.mean.len(), horizon);
    assert!(forecast.mean.iter().all(|value| value.is_finite()));
    for band in &forecast.bands {
        assert_eq!((band.lo.len(), band.hi.len()), (horizon, horizon));
        for ((lo, hi), mean) in band.lo.iter().zip(&band.hi).zip(&forecast.mean) {
            assert!(lo.is_finite() && hi.is_finite());
            assert!(lo <= mean && mean <= hi, "{lo} <= {mean} <= {hi}");
            assert!(*lo >= lowest, "{lo} below {lowest}");
        }
    }
    for pair in forecast.bands.windows(2) {
        let inside = pair[0].lo.iter().zip(&pair[1].lo).all(|(inner, outer)| outer <= inner)
            && pair[0].hi.iter().zip(&pair[1].hi).all(|(inner, outer)| inner <= outer);
        assert!(inside, "a band of {} leaves that of {}", pair[0].level, pair[1].level);
    }
    let shares: f64 = forecast.report.members.iter().map(|member| member.weight).sum();
    assert!((shares - 1.0).abs() < 1e-9, "weights sum to {shares}");
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e3..1e3_f64,
        2 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => any::<f64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_series_gets_an_error_or_a_sound_forecast(
        values in prop::collection::vec(any_value(), 0..400),
        horizon in 1..100_usize,
        seasons in prop::option::of(prop::sample::subsequence(vec![2, 7, 24, 168, 500], 0..4)),
    ) {
        let request = Request { seasons, ..request(horizon) };
        if let Ok(forecast) = forecast_one(&series(values), &request) {
            check_sound(&forecast, horizon, f64::MIN);
        }
    }

    #[test]
    fn repeating_series_with_holes_get_sound_forecasts(
        period in prop::collection::vec(0.0..1e6_f64, 2..30),
        n in 0..400_usize,
        holes in prop::collection::vec(0..400_usize, 0..60),
        horizon in 1..60_usize,
    ) {
        let mut values: Vec<f64> = period.iter().cycle().take(n).copied().collect();
        for hole in holes {
            if let Some(value) = values.get_mut(hole) {
                *value = f64::NAN;
            }
        }
        let request = Request { seasons: Some(vec![period.len()]), ..request(horizon) };
        if let Ok(forecast) = forecast_one(&series(values), &request) {
            check_sound(&forecast, horizon, 0.0);
        }
    }
}

#[test]
fn a_constant_stays_constant_and_abstains() {
    let forecast = forecast_one(&series(vec![7.0; 300]), &request(24)).unwrap();
    check_sound(&forecast, 24, 0.0);
    assert!(forecast.mean.iter().all(|value| (value - 7.0).abs() < 1e-9));
    assert!(forecast.report.abstains.is_some());
}

#[test]
fn one_and_two_values_repeat_the_last() {
    for values in [vec![3.0], vec![5.0, 3.0], vec![f64::NAN, 3.0]] {
        let forecast = forecast_one(&series(values), &request(5)).unwrap();
        check_sound(&forecast, 5, 0.0);
        assert!(forecast.mean.iter().all(|value| (value - 3.0).abs() < 1e-9));
        assert!(forecast.report.abstains.is_some(), "nothing was tested");
    }
}

#[test]
fn a_day_is_found_and_continued() {
    let whole = daily(24 * 28, 1);
    let past = series(whole.values[..24 * 26].to_vec());
    let forecast = forecast_one(&past, &request(48)).unwrap();
    check_sound(&forecast, 48, 0.0);
    assert_eq!(forecast.report.seasons, vec![24, 168]);
    assert_eq!(forecast.report.abstains, None);
    let missed = evenkeel_forecast::score::wape(&whole.values[24 * 26..], &forecast.mean);
    assert!(missed < 0.03, "missed {missed}");
}

#[test]
fn noise_abstains() {
    let mut state = 1_u64;
    let noise = (0..600).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f64
    });
    let forecast = forecast_one(&series(noise.collect()), &request(24)).unwrap();
    assert!(forecast.report.abstains.is_some(), "{:?}", forecast.report);
}

#[test]
fn an_outage_in_the_past_does_not_show_in_the_forecast() {
    let mut holed = daily(24 * 21, 1);
    for value in &mut holed.values[24 * 15 + 3..24 * 15 + 20] {
        *value = f64::NAN;
    }
    let with = forecast_one(&holed, &request(24)).unwrap();
    let without = forecast_one(&daily(24 * 21, 1), &request(24)).unwrap();
    assert_eq!(with.report.gaps, 17);
    for (a, b) in with.mean.iter().zip(&without.mean) {
        assert!((a - b).abs() < 12.0, "{a} with the outage, {b} without");
    }
}

#[test]
fn only_the_newest_values_of_a_huge_series_are_used() {
    let forecast = forecast_one(&series(vec![1.0; 1_000_000]), &request(3)).unwrap();
    assert_eq!(forecast.report.used, 20_160);
}

#[test]
fn requests_out_of_range_are_refused_with_both_numbers() {
    let one = series(vec![1.0; 50]);
    let far = forecast_one(&one, &request(HORIZON_MAX + 1)).unwrap_err();
    assert_eq!(
        far.to_string(),
        "horizon is 2881 steps, must be 1 to 2880; use a wider step to look farther"
    );
    let level = Request { levels: vec![95.0], ..request(3) };
    assert_eq!(forecast_one(&one, &level).unwrap_err(), ForecastError::Level { asked: 95.0 });
    let seasons = Request { seasons: Some(vec![24, 24]), ..request(3) };
    assert_eq!(
        forecast_one(&one, &seasons).unwrap_err(),
        ForecastError::Seasons { found: 24, before: 24 }
    );
    let empty = forecast_one(&series(vec![f64::NAN; 9]), &request(3)).unwrap_err();
    assert_eq!(empty, ForecastError::TooFew { found: 0, needed: 1 });
}

#[test]
fn a_fleet_shares_a_global_model_and_threads_do_not_matter() {
    let mut fleet: Vec<Series> = (0..7).map(|seed| daily(24 * 26, seed)).collect();
    fleet.push(series(vec![f64::NAN; 10]));
    fleet.push(series(vec![4.0; 200]));
    let request = Request { seasons: Some(vec![24]), levels: vec![0.8], ..request(24) };
    let one = forecast_on(1, &fleet, &request, &mut |_, _| ());
    let three = forecast_on(3, &fleet, &request, &mut |_, _| ());
    // NaN marks origins without an error, so compare what is written.
    assert_eq!(format!("{one:?}"), format!("{three:?}"));
    assert!(one[7].is_err(), "one series without values does not spoil the others");
    let first = one[0].as_ref().unwrap();
    check_sound(first, 24, 0.0);
    let global: f64 = first
        .report
        .members
        .iter()
        .filter(|member| member.name.starts_with("global"))
        .map(|member| member.weight)
        .sum();
    assert!(global > 0.0, "{:?}", first.report.members);
}

#[test]
fn each_member_is_heard_alone() {
    let said = each_member(&[daily(24 * 21, 1)], &request(24));
    let names: Vec<&str> = said[0].iter().map(|(name, _)| *name).collect();
    let expected = [
        "persistence",
        "flat",
        "seasonal_short",
        "seasonal_long",
        "leveled",
        "profile",
        "ridge",
        "ridge_log",
        "mstl",
    ];
    assert_eq!(names, expected);
}

#[test]
fn seasons_that_nothing_can_show_have_no_effect() {
    let request = Request { seasons: Some(vec![24, usize::MAX]), ..request(24) };
    let forecast = forecast_one(&daily(24 * 10, 1), &request).unwrap();
    assert_eq!(forecast.report.seasons, vec![24]);
}

#[test]
fn progress_ends_at_the_end() {
    let fleet: Vec<Series> = (0..3).map(|seed| daily(24 * 5, seed)).collect();
    let mut heard = Vec::new();
    let _ = forecast(&fleet, &request(6), &mut |done, of| heard.push((done, of)));
    assert!(heard.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{heard:?}");
    let (done, of) = heard.last().copied().unwrap();
    assert_eq!(done, of);
}
