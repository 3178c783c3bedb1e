//! What becomes of samples of every quality.
//!
//! **In:** samples, as a file would give them.
//! **Out:** the series as text, and what was said about it.
//! **Not here:** reading files (the command line's tests).

#![expect(clippy::cast_precision_loss, reason = "small numbers of steps")]

use evenkeel_forecast::series::{SAMPLES_MAX, Series, VALUE_MAX};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("within the years there are")
}

/// Samples at seconds, into the series and every note about it.
#[track_caller]
fn check(samples: &[(i64, f64)], expected: &Expect) {
    let samples = samples.iter().map(|(seconds, value)| (at(*seconds), *value));
    expected.assert_eq(&shown(Series::from_samples(samples)));
}

fn shown(
    made: Result<(Series, evenkeel_forecast::series::Treatment), impl std::fmt::Display>,
) -> String {
    let (series, treatment) = match made {
        Ok(made) => made,
        Err(error) => return format!("error: {error}"),
    };
    let values: Vec<String> = series.values.iter().map(|it| format!("{it}")).collect();
    let values = if values.len() <= 24 {
        values.join(" ")
    } else {
        format!("{} … ({} values)", values[..12].join(" "), values.len())
    };
    let starts = series.starts_at.map_or("no clock".to_owned(), |it| it.to_string());
    let mut text = format!("{starts}, every {:#}: {values}\n", series.step);
    for note in treatment.notes(&series, &|index| format!("#{index}")) {
        text.push_str(&format!("{note}\n"));
    }
    text
}

#[test]
fn regular_samples_are_the_series() {
    check(
        &[(60, 1.0), (120, 2.0), (180, 3.0)],
        &expect![[r#"
        1970-01-01T00:01:00Z, every 1m: 1 2 3
    "#]],
    );
    check(
        &[(60, 1.0), (3_660, 2.0)],
        &expect![[r#"
        1970-01-01T00:01:00Z, every 1h: 1 2
    "#]],
    );
    check(
        &[(0, 5.0), (60, 5.0), (120, 5.0)],
        &expect![[r#"
        1970-01-01T00:00:00Z, every 1m: 5 5 5
    "#]],
    );
}

#[test]
fn too_few_samples_are_refused() {
    let table: String =
        [&[][..], &[(60, 1.0)], &[(60, 1.0), (60, 2.0)], &[(60, f64::NAN), (120, f64::INFINITY)]]
            .iter()
            .map(|it| shown(Series::from_samples(it.iter().map(|it| (at(it.0), it.1)))) + "\n")
            .collect();
    expect![[r#"
        error: a series needs at least 2 samples, found 0; wait for more of it
        error: a series needs at least 2 samples, found 1; wait for more of it
        error: a series needs at least 2 different times, all 2 samples are at 1970-01-01T00:01:00Z; are times cut off, for example to a day?
        error: none of 2 values is a finite number; is this the right column?
    "#]].assert_eq(&table);
}

#[test]
fn order_and_duplicates() {
    check(
        &[(180, 3.0), (60, 1.0), (120, 2.0)],
        &expect![[r#"
        1970-01-01T00:01:00Z, every 1m: 1 2 3
        1 timestamp out of order at #1: sorted
    "#]],
    );
    check(
        &[(60, 1.0), (60, 3.0), (120, 2.0), (180, 2.0)],
        &expect![[r#"
        1970-01-01T00:01:00Z, every 1m: 2 2 2
        1 duplicate timestamp at #1: averaged
    "#]],
    );
    // Two ranges that overlap, as when two exports are put together.
    check(
        &[(0, 1.0), (60, 1.0), (120, 1.0), (60, 3.0), (120, 3.0), (180, 3.0)],
        &expect![[r#"
            1970-01-01T00:00:00Z, every 1m: 1 2 2 3
            1 timestamp out of order at #3: sorted
            2 duplicate timestamps, the first at #3: averaged
        "#]],
    );
}

#[test]
fn odd_numbers() {
    check(
        &[
            (0, 1.0),
            (60, f64::NAN),
            (120, f64::INFINITY),
            (180, f64::NEG_INFINITY),
            (240, -4.0),
            (300, 1e300),
            (360, -0.0),
            (420, f64::MIN_POSITIVE / 4.0),
            (480, f64::NAN),
        ],
        &expect![[r#"
            1970-01-01T00:00:00Z, every 1m: 1 NaN NaN NaN -4 NaN 0 0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000005562684646268003 NaN
            2 values are missing or NaN, the first at #1: taken as gaps
            3 values are infinite or beyond 1e38, the first at #2: taken as gaps
            1 value is negative at #4: kept
            3 gaps, 5 steps in all, the longest 3 steps from 1970-01-01T00:01:00Z; one is at the end
        "#]],
    );
    check(
        &[(0, 1e38), (0, -1e38), (60, 1e38), (60, 1e38)],
        &expect![[r#"
            1970-01-01T00:00:00Z, every 1m: 0 100000000000000000000000000000000000000
            2 duplicate timestamps, the first at #1: averaged
            1 value is negative at #1: kept
        "#]],
    );
}

#[test]
fn gaps_are_gaps() {
    check(
        &[(0, 1.0), (60, 2.0), (240, 5.0), (300, 6.0), (420, 8.0)],
        &expect![[r#"
        1970-01-01T00:00:00Z, every 1m: 1 2 NaN NaN 5 6 NaN 8
        2 gaps, 3 steps in all, the longest 2 steps from 1970-01-01T00:02:00Z
    "#]],
    );
}

#[test]
fn irregular_timestamps_are_put_on_the_grid() {
    let jitter = [0, 3, -2, 1, 0, 4, -3, 0, 2, 1, 0, -1];
    let samples: Vec<(i64, f64)> =
        (0..12).zip(jitter).map(|(nth, off)| (nth * 60 + off, nth as f64)).collect();
    check(
        &samples,
        &expect![[r#"
        1970-01-01T00:00:00Z, every 1m: 0 1 2 3 4 5 6 7 8 9 10 11
        8 irregular timestamps, the first at #1: moved to the nearest step of 1m, by at most 4s
    "#]],
    );
    // Without any common distance, the middle one.
    let samples: Vec<(i64, f64)> =
        (0..20).map(|nth: i64| (nth * 100 + nth * nth % 37, nth as f64)).collect();
    check(
        &samples,
        &expect![[r#"
        1970-01-01T00:00:00Z, every 2m: 0 1 2 3.5 5 6 7 8 9 10.5 12 13 14 15 16.5 18 19
        3 samples share their step with another, the first at #4: averaged
        18 irregular timestamps, the first at #1: moved to the nearest step of 2m, by at most 57s
    "#]],
    );
}

#[test]
fn the_coarser_step_wins_and_the_finer_part_is_averaged() {
    let fine = (0..60).map(|nth| (nth * 60, nth as f64));
    let coarse = (12..36).map(|nth| (nth * 300, 100.0));
    check(
        &fine.chain(coarse).collect::<Vec<_>>(),
        &expect![[r#"
        1970-01-01T00:00:00Z, every 5m: 2 7 12 17 22 27 32 37 42 47 52 57 … (36 values)
        the step changes from 1m to 5m at #61: used 5m
    "#]],
    );
    let coarse = (0..24).map(|nth| (nth * 300, 100.0));
    let fine = (120..200).map(|nth| (nth * 60, nth as f64));
    check(
        &coarse.chain(fine).collect::<Vec<_>>(),
        &expect![[r#"
        1970-01-01T00:00:00Z, every 5m: 100 100 100 100 100 100 100 100 100 100 100 100 … (40 values)
        the step changes from 5m to 1m at #25: used 5m
    "#]],
    );
}

#[test]
fn clocks_that_change_are_told() {
    // 02:00 to 02:59 comes twice, in steps of 20 min.
    let hours = (0..9).chain(6..12).map(|nth| (nth * 1_200, nth as f64));
    check(
        &hours.collect::<Vec<_>>(),
        &expect![[r#"
            1970-01-01T00:00:00Z, every 20m: 0 1 2 3 4 5 6 7 8 9 10 11
            1 jump back by an hour, as of clocks in autumn, at #9: the hour that is there twice was averaged
            3 duplicate timestamps, the first at #9: averaged
        "#]],
    );
    // In spring it does not come at all.
    let hours = (0..6).chain(9..12).map(|nth| (nth * 1_200, nth as f64));
    check(
        &hours.collect::<Vec<_>>(),
        &expect![[r#"
        1970-01-01T00:00:00Z, every 20m: 0 1 2 3 4 5 NaN NaN NaN 9 10 11
        1 gap of 3 steps from 1970-01-01T02:00:00Z
    "#]],
    );
}

#[test]
fn absurd_gaps_do_not_make_absurd_series() {
    let now = 1_790_000_000;
    let today: Vec<(i64, f64)> = (0..20).map(|nth| (now + nth * 60, nth as f64)).collect();
    let with = |strays: &[(i64, f64)]| [strays, &today].concat();
    check(
        &with(&[(0, 7.0)]),
        &expect![[r#"
            2026-09-21T14:13:20Z, every 1m: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            1 older and 0 newer samples, the first at #0, are up to 20717 days away from the rest: left out
        "#]],
    );
    check(
        &with(&[(-377_705_000_000, 7.0), (253_402_200_000, 8.0)]),
        &expect![[r#"
            2026-09-21T14:13:20Z, every 1m: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            1 older and 1 newer samples, the first at #0, are up to 4392303 days away from the rest: left out
            1 timestamp out of order at #2: sorted
        "#]],
    );
    check(
        &[(0, 1.0), (now, 2.0), (now + 60, 3.0)],
        &expect![[r#"
            2026-09-21T14:13:20Z, every 1m: 2 3
            1 older and 0 newer samples, the first at #0, are up to 20717 days away from the rest: left out
        "#]],
    );
    // Far apart all of them is a step like any other.
    check(
        &[(-377_705_000_000, 7.0), (0, 2.0), (253_402_200_000, 8.0)],
        &expect![[r#"
            -006060-01-03T04:00:00Z, every 70389500h: 7 2 8
            1 irregular timestamps, the first at #0: moved to the nearest step of 2932895 days, by at most 1438689 days
        "#]],
    );
}

#[test]
fn rows_without_a_clock() {
    let check = |values: &[f64], expected: &Expect| {
        expected.assert_eq(&shown(Series::from_values(values.iter().copied())));
    };
    check(
        &[1.0, f64::NAN, 3.0, f64::NEG_INFINITY],
        &expect![[r#"
            no clock, every 1h: 1 NaN 3 NaN
            1 value is missing or NaN at #1: taken as gaps
            1 value is infinite or beyond 1e38 at #3: taken as gaps
            2 gaps, 2 steps in all, the longest 1 step from value 2; one is at the end
        "#]],
    );
    let table: String = [&[][..], &[1.0], &[f64::NAN, f64::NAN]]
        .iter()
        .map(|it: &&[f64]| shown(Series::from_values(it.iter().copied())) + "\n")
        .collect();
    expect![[r#"
        error: a series needs at least 2 samples, found 0; wait for more of it
        error: a series needs at least 2 samples, found 1; wait for more of it
        error: none of 2 values is a finite number; is this the right column?
    "#]]
    .assert_eq(&table);
}

/// Times that collide, repeat, and lie anywhere.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (0..400_i64).prop_map(|it| it * 60),
        2 => -100_000..100_000_i64,
        1 => Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
    ]
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -1e3..1e3_f64, 1 => any::<f64>()]
}

proptest! {
    /// Any samples are a bounded series of finite values and gaps, or an error.
    #[test]
    fn any_samples_are_a_series_or_an_error(
        samples in prop::collection::vec((times(), numbers()), 0..200),
    ) {
        let given = samples.iter().map(|(seconds, value)| (at(*seconds), *value));
        let Ok((series, treatment)) = Series::from_samples(given.clone()) else { return Ok(()) };
        prop_assert!(SignedDuration::ZERO < series.step);
        prop_assert!(series.values.len() <= SAMPLES_MAX);
        prop_assert!(series.values.iter().all(|it| it.is_nan() || it.abs() <= VALUE_MAX));
        prop_assert!(0 < series.known());
        // Averages lie between the samples that they are made of.
        let finite = samples.iter().map(|it| it.1).filter(|it| it.abs() <= VALUE_MAX);
        let (min, max) = finite.fold((f64::MAX, f64::MIN), |(min, max), it| (it.min(min), it.max(max)));
        let slack = 1e-9 * max.abs().max(min.abs());
        for value in series.values.iter().filter(|it| it.is_finite()) {
            prop_assert!(min - slack <= *value && *value <= max + slack);
        }
        // No gap is longer than the text says, and the sentences can be made.
        let _ = treatment.notes(&series, &|index| index.to_string());
        prop_assert_eq!(
            treatment.gaps.slots,
            series.values.iter().filter(|it| it.is_nan()).count()
        );
        // The same again.
        prop_assert_eq!(format!("{:?}", Series::from_samples(given)), format!("{:?}", Ok::<_, evenkeel_forecast::series::SeriesError>((series, treatment))));
    }

    /// The order of a file makes no difference to the series, but for rounding of averages.
    #[test]
    fn order_makes_no_difference(
        samples in prop::collection::vec((0..500_i64, -1e3..1e3_f64), 2..100),
    ) {
        let mut sorted = samples.clone();
        sorted.sort_by_key(|it| it.0);
        let made = |samples: &[(i64, f64)]| {
            let samples = samples.iter().map(|(seconds, value)| (at(*seconds * 60), *value));
            Series::from_samples(samples).map(|it| it.0)
        };
        match (made(&samples), made(&sorted)) {
            (Ok(one), Ok(other)) => prop_assert_eq!(format!("{one:?}"), format!("{other:?}")),
            (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
        }
    }

    /// What is on a grid already is not touched, and is as long as its time.
    #[test]
    fn a_regular_series_is_itself(
        values in prop::collection::vec(prop_oneof![9 => -1e3..1e3_f64, 1 => Just(f64::NAN)], 3..300),
        step in 1..100_000_i64,
        starts in -1_000_000_000..3_000_000_000_i64,
    ) {
        let nth_at = |nth: usize| at(starts + step * i64::try_from(nth).expect("small"));
        let samples = values.iter().enumerate().map(|(nth, value)| (nth_at(nth), *value));
        let Ok((series, _)) = Series::from_samples(samples) else { return Ok(()) };
        prop_assert_eq!(series.starts_at, Some(at(starts)));
        prop_assert_eq!(series.step, SignedDuration::from_secs(step));
        prop_assert_eq!(format!("{:?}", series.values), format!("{values:?}"));
        prop_assert_eq!(series.time_of(values.len() - 1), Some(nth_at(values.len() - 1)));
    }
}
