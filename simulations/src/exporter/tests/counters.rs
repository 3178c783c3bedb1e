//! Counters over a range: gaps, resets, lag.

use expect_test::{Expect, expect};

use super::*;

/// Ten tries per second, of which nine end well. The fault is on in seconds 10 to 18; scrapes are
/// at 3, 6, 9, ... and seen one second later. `asked_at` is when the range is asked for; the
/// instants are all seconds that are multiples of six.
fn check(asked_at: i64, turn: impl Fn(&mut Exporter, bool), expected: &Expect) {
    let mut exporter = begun(1, SPEC, &[WEB]);
    exporter.keep_past();
    let truth = Truth { ended_rps: 10.0, fine_rps: 9.0, ..Truth::default() };
    for second in 1..=asked_at {
        turn(&mut exporter, (10..19).contains(&second));
        let backend_is_up = !exporter.backend.is_down;
        if let Some(series) = exporter.series.get_mut(0) {
            series.record(&exporter.spec, second, &truth, Some(backend_is_up), || None);
        }
    }
    let mut text = String::new();
    let metrics = [Metric::RequestsTotal, Metric::RequestsGoodTotal, Metric::RequestsBadTotal];
    for metric in metrics {
        text.push_str(metric.name());
        for instant in (6..=36).step_by(6) {
            let value = exporter.read_at(asked_at, 0, metric, instant);
            let shown = match value {
                Ok(Some(value)) => format!(" {value:.0}"),
                Ok(None) => " -".to_owned(),
                Err(why) => format!(" {why:?}"),
            };
            text.push_str(&shown);
        }
        text.push('\n');
    }
    expected.assert_eq(&text);
}

#[test]
fn counters_grow_and_what_was_not_seen_yet_is_the_sample_before() {
    check(
        36,
        |_, _| (),
        &expect![[r#"
            requests_total 60 120 180 240 300 330
            requests_good_total 54 108 162 216 270 297
            requests_bad_total 6 12 18 24 30 33
        "#]],
    );
}

#[test]
fn failed_scrapes_and_a_backend_that_is_down_leave_gaps_and_not_zeros() {
    let stale = ExporterKnobs { is_stale: true, ..ExporterKnobs::default() };
    let gap = expect![[r#"
        requests_total 60 - - 240 300 360
        requests_good_total 54 - - 216 270 324
        requests_bad_total 6 - - 24 30 36
    "#]];
    check(40, |it, is_on| set(it, stale, is_on), &gap);
    let down = |it: &mut Exporter, is_on| {
        *it.backend_mut() = BackendKnobs { is_down: is_on, ..BackendKnobs::default() };
    };
    check(40, down, &gap);
    let gone = ExporterKnobs { is_gone: true, ..ExporterKnobs::default() };
    check(40, |it, is_on| set(it, gone, is_on), &gap);
}

#[test]
fn a_backend_that_answered_with_nothing_has_it_all_afterwards() {
    let empty = |it: &mut Exporter, is_on| {
        *it.backend_mut() = BackendKnobs { is_empty: is_on, ..BackendKnobs::default() };
    };
    check(
        16,
        empty,
        &expect![[r#"
            requests_total NoSeries NoSeries NoSeries NoSeries NoSeries NoSeries
            requests_good_total NoSeries NoSeries NoSeries NoSeries NoSeries NoSeries
            requests_bad_total NoSeries NoSeries NoSeries NoSeries NoSeries NoSeries
        "#]],
    );
    check(
        40,
        empty,
        &expect![[r#"
            requests_total 60 120 180 240 300 360
            requests_good_total 54 108 162 216 270 324
            requests_bad_total 6 12 18 24 30 36
        "#]],
    );
}

#[test]
fn who_starts_anew_counts_from_zero() {
    let zero = ExporterKnobs { reads_zero: true, ..ExporterKnobs::default() };
    check(
        40,
        |it, is_on| set(it, zero, is_on),
        &expect![[r#"
            requests_total 60 0 0 60 120 180
            requests_good_total 54 0 0 54 108 162
            requests_bad_total 6 0 0 6 12 18
        "#]],
    );
}

#[test]
fn who_counts_twice_counts_on_twice_as_fast() {
    let twice = ExporterKnobs { factor: 2.0, ..ExporterKnobs::default() };
    check(
        40,
        |it, is_on| set(it, twice, is_on),
        &expect![[r#"
            requests_total 60 150 270 330 390 450
            requests_good_total 54 135 243 297 351 405
            requests_bad_total 6 15 27 33 39 45
        "#]],
    );
}
