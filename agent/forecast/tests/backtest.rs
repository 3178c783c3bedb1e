//! Rolling origins, with forecasters whose errors are known.
//!
//! **In:** small series and forecasters made up here.
//! **Out:** the measures as a table.
//! **Not here:** how good the real forecasts are (the benchmarks).

#![expect(clippy::cast_precision_loss, reason = "small numbers of steps")]

use evenkeel_forecast::Series;
use evenkeel_forecast::backtest::{Accuracy, Backtest, BacktestError, backtest};
use evenkeel_forecast::batch::{self, Band, Forecast, ForecastError, Report, Request};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn hourly(values: Vec<f64>) -> Series {
    let step = SignedDuration::from_hours(1);
    Series { starts_at: Some(Timestamp::UNIX_EPOCH), step, values }
}

/// Repeats every four steps: 10, 20, 30, 20.
fn wave(n: usize) -> Series {
    hourly((0..n).map(|it| [10.0, 20.0, 30.0, 20.0][it % 4]).collect())
}

fn request(horizon: usize) -> Request {
    Request { horizon, seasons: Some(vec![4]), levels: vec![0.8] }
}

/// The same value at every step, with an interval of 5 around it.
fn flat(value: f64, request: &Request) -> Forecast {
    let ends = |value: f64| vec![value; request.horizon];
    let band = |level: &f64| Band { level: *level, lo: ends(value - 5.0), hi: ends(value + 5.0) };
    let bands = request.levels.iter().map(band).collect();
    Forecast { mean: ends(value), bands, report: Report::default() }
}

fn shown(result: &Result<Backtest, BacktestError>) -> String {
    let result = match result {
        Ok(result) => result,
        Err(error) => return format!("error: {error}\n"),
    };
    let Backtest { stride, origins, by_horizon, overall, asked, failed, abstained, newest } =
        result;
    let mut text = format!(
        "{origins} origins {stride} apart: {asked} asked, {failed} failed, {abstained} abstained; \
         newest at {:?}\n",
        newest.as_ref().map(|it| it.origin),
    );
    for it in by_horizon.iter().chain([overall]) {
        let Accuracy { from, to, values, wape, mase, pinball, coverage, .. } = it;
        let naive = (it.wape_seasonal, it.wape_persistence);
        text.push_str(&format!(
            "{from}-{to} {values}: wape {} beside {} {}, mase {}, pinball {}, inside {}\n",
            number(*wape),
            number(naive.0),
            number(naive.1),
            number(*mase),
            number(*pinball),
            coverage.iter().map(|it| number(*it)).collect::<Vec<_>>().join(" "),
        ));
    }
    text
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |it| format!("{it:.3}"))
}

/// A flat forecast of 20 from three origins.
#[track_caller]
fn check(series: &[Series], horizon: usize, origins: usize, expected: &Expect) {
    let result = backtest(
        series,
        &request(horizon),
        origins,
        &mut |pasts, request| pasts.iter().map(|_| Ok(flat(20.0, request))).collect(),
        &mut |_, _| {},
    );
    expected.assert_eq(&shown(&result));
}

#[test]
fn measures_are_those_of_the_hand() {
    // 10 20 30 20 against 20 20 20 20: errors 10 0 10 0 of 80, two of four inside, and
    // seasonal naive is perfect. The pinball loss of an end 5 away is 0.5 inside, 4.5 outside
    // on one side; persistence says 20 too.
    check(
        &[wave(40)],
        4,
        3,
        &expect![[r#"
        3 origins 4 apart: 3 asked, 0 failed, 0 abstained; newest at Some(36)
        1-1 3: wape 1.000 beside 0.000 1.000, mase -, pinball 0.733, inside 0.000
        2-2 3: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        3-4 6: wape 0.200 beside 0.000 0.200, mase -, pinball 0.160, inside 0.500
        1-4 12: wape 0.250 beside 0.000 0.250, mase -, pinball 0.200, inside 0.500
    "#]],
    );
}

#[test]
fn origins_leave_half_of_the_series_as_past() {
    check(
        &[wave(40)],
        5,
        10,
        &expect![[r#"
        10 origins 1 apart: 10 asked, 0 failed, 0 abstained; newest at Some(35)
        1-1 10: wape 0.238 beside 0.000 0.476, mase -, pinball 0.190, inside 0.500
        2-2 10: wape 0.263 beside 0.000 0.526, mase -, pinball 0.211, inside 0.500
        3-4 20: wape 0.250 beside 0.000 0.250, mase -, pinball 0.200, inside 0.500
        5-5 10: wape 0.238 beside 0.000 0.476, mase -, pinball 0.190, inside 0.500
        1-5 50: wape 0.248 beside 0.000 0.396, mase -, pinball 0.198, inside 0.500
    "#]],
    );
    check(
        &[wave(400)],
        8,
        1,
        &expect![[r#"
        1 origins 8 apart: 1 asked, 0 failed, 0 abstained; newest at Some(392)
        1-1 1: wape 1.000 beside 0.000 1.000, mase -, pinball 0.733, inside 0.000
        2-2 1: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        3-4 2: wape 0.200 beside 0.000 0.200, mase -, pinball 0.160, inside 0.500
        5-8 4: wape 0.250 beside 0.000 0.250, mase -, pinball 0.200, inside 0.500
        1-8 8: wape 0.250 beside 0.000 0.250, mase -, pinball 0.200, inside 0.500
    "#]],
    );
    // The shorter series has too little past at the older origins.
    check(
        &[wave(40), wave(12)],
        4,
        5,
        &expect![[r#"
        5 origins 4 apart: 7 asked, 0 failed, 0 abstained; newest at Some(36)
        1-1 7: wape 1.000 beside 0.250 1.000, mase -, pinball 0.733, inside 0.000
        2-2 7: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        3-4 14: wape 0.200 beside 0.050 0.200, mase -, pinball 0.160, inside 0.500
        1-4 28: wape 0.250 beside 0.062 0.250, mase -, pinball 0.200, inside 0.500
    "#]],
    );
}

#[test]
fn gaps_are_not_measured_and_constants_have_no_scale() {
    let mut gaps = wave(40);
    gaps.values[37] = f64::NAN;
    gaps.values[20] = f64::NAN;
    check(
        &[gaps],
        4,
        2,
        &expect![[r#"
        2 origins 4 apart: 2 asked, 0 failed, 0 abstained; newest at Some(36)
        1-1 2: wape 1.000 beside 0.000 1.000, mase -, pinball 0.733, inside 0.000
        2-2 1: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        3-4 4: wape 0.200 beside 0.000 0.200, mase -, pinball 0.160, inside 0.500
        1-4 7: wape 0.286 beside 0.000 0.286, mase -, pinball 0.224, inside 0.429
    "#]],
    );
    check(
        &[hourly(vec![0.0; 40])],
        4,
        2,
        &expect![[r#"
        2 origins 4 apart: 2 asked, 0 failed, 0 abstained; newest at Some(36)
        1-1 2: wape - beside - -, mase -, pinball -, inside 0.000
        2-2 2: wape - beside - -, mase -, pinball -, inside 0.000
        3-4 4: wape - beside - -, mase -, pinball -, inside 0.000
        1-4 8: wape - beside - -, mase -, pinball -, inside 0.000
    "#]],
    );
    // A line: everything is 4 above the season before.
    check(
        &[hourly((0..40).map(f64::from).collect())],
        4,
        2,
        &expect![[r#"
        2 origins 4 apart: 2 asked, 0 failed, 0 abstained; newest at Some(36)
        1-1 2: wape 0.412 beside 0.118 0.029, mase 3.500, pinball 0.333, inside 0.000
        2-2 2: wape 0.429 beside 0.114 0.057, mase 3.750, pinball 0.352, inside 0.000
        3-4 4: wape 0.452 beside 0.110 0.096, mase 4.125, pinball 0.379, inside 0.000
        1-4 8: wape 0.437 beside 0.113 0.070, mase 3.875, pinball 0.362, inside 0.000
    "#]],
    );
    check(
        &[hourly(vec![20.0; 40])],
        4,
        2,
        &expect![[r#"
        2 origins 4 apart: 2 asked, 0 failed, 0 abstained; newest at Some(36)
        1-1 2: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        2-2 2: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        3-4 4: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
        1-4 8: wape 0.000 beside 0.000 0.000, mase -, pinball 0.033, inside 1.000
    "#]],
    );
}

#[test]
fn what_cannot_be_tested_is_said() {
    check(
        &[],
        4,
        2,
        &expect![[r#"
        error: the longest series has 0 values, a backtest over 4 steps needs at least 8; look fewer steps ahead
    "#]],
    );
    check(
        &[wave(7)],
        4,
        2,
        &expect![[r#"
        error: the longest series has 7 values, a backtest over 4 steps needs at least 8; look fewer steps ahead
    "#]],
    );
    check(
        &[wave(40)],
        4,
        0,
        &expect![[r#"
        error: 0 origins, must be 1 to 100
    "#]],
    );
    check(
        &[wave(40)],
        4,
        101,
        &expect![[r#"
        error: 101 origins, must be 1 to 100
    "#]],
    );
    let error = ForecastError::TooFew { found: 3, needed: 9 };
    let result = backtest(
        &[wave(40)],
        &request(4),
        2,
        &mut |pasts, _| pasts.iter().map(|_| Err(error.clone())).collect(),
        &mut |_, _| {},
    );
    expect![[r#"
        error: none of 2 forecasts was made
    "#]]
    .assert_eq(&shown(&result));
}

/// Values that came after an origin, as a forecaster might see them.
#[test]
fn the_future_is_never_shown() {
    let series = [wave(60), wave(47)];
    let mut lengths = Vec::new();
    let result = backtest(
        &series,
        &request(6),
        4,
        &mut |pasts, request| {
            lengths.push(pasts.iter().map(|it| it.values.len()).collect::<Vec<_>>());
            pasts.iter().map(|_| Ok(flat(1.0, request))).collect()
        },
        &mut |_, _| {},
    );
    assert!(result.is_ok());
    // Oldest first, the newest a horizon before the end.
    assert_eq!(lengths, [[36, 23], [42, 29], [48, 35], [54, 41]]);
}

#[test]
fn the_real_forecaster_beats_persistence_on_a_wave() {
    let request = Request { horizon: 24, seasons: Some(vec![24]), levels: vec![0.8, 0.95] };
    let noise = |nth: usize| (nth * 7_919 % 101) as f64 / 101.0;
    let value = |nth: usize| 50.0 + 5.0 * (nth % 24).abs_diff(12) as f64 + noise(nth);
    let series = [hourly((0..24 * 20).map(value).collect())];
    let run = || {
        let result = backtest(
            &series,
            &request,
            3,
            &mut |pasts, request| batch::forecast(pasts, request, &mut |_, _| {}),
            &mut |_, _| {},
        );
        result.unwrap()
    };
    let overall = run().overall;
    assert!(overall.wape.unwrap() < overall.wape_persistence.unwrap() / 4.0, "{overall:?}");
    // As text: errors of members that could not be fitted are NaN.
    assert_eq!(format!("{:?}", run()), format!("{:?}", run()));
}

proptest! {
    /// Any series and forecast give finite measures or none.
    #[test]
    fn measures_are_finite(
        values in prop::collection::vec(
            prop_oneof![8 => -1e6..1e6_f64, 1 => Just(f64::NAN), 1 => Just(0.0)],
            0..80,
        ),
        horizon in 1..20_usize,
        origins in 1..12_usize,
        said in -1e6..1e6_f64,
    ) {
        let result = backtest(
            &[hourly(values)],
            &request(horizon),
            origins,
            &mut |pasts, request| pasts.iter().map(|_| Ok(flat(said, request))).collect(),
            &mut |_, _| {},
        );
        let Ok(result) = result else { return Ok(()) };
        prop_assert_eq!(result.by_horizon.last().map(|it| it.to), Some(horizon));
        let in_all: usize = result.by_horizon.iter().map(|it| it.values).sum();
        prop_assert_eq!(in_all, result.overall.values);
        for it in result.by_horizon.iter().chain([&result.overall]) {
            for measure in [it.wape, it.wape_seasonal, it.wape_persistence, it.mase, it.pinball] {
                prop_assert!(measure.is_none_or(|it| it.is_finite() && 0.0 <= it), "{:?}", it);
            }
            let shares = it.coverage.iter().flatten();
            prop_assert!(shares.into_iter().all(|it| (0.0..=1.0).contains(it)));
        }
    }
}
