//! What the detector does to made-up series: quiet on clean traffic, quick on faults, and no
//! panic on anything.
//!
//! **In:** seeded synthetic series. **Out:** counts of alarms and delays, as stated in the
//! documentation. **Not here:** real series (`detect_nab`, bench `nab`).
#![expect(clippy::unwrap_used, reason = "times of synthetic rows are valid")]
#![expect(clippy::cast_precision_loss, reason = "rows are counted in thousands")]

use evenkeel_forecast::detect::{Detector, Finding, Scored, Settings, THRESHOLD};
use expect_test::expect;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Rows of a day at 5 min.
const DAY: usize = 288;

/// Noise in [-1, 1) from a row's number, the same on every machine.
fn noise(seed: u64, row: usize) -> f64 {
    let mut z = (seed << 32) ^ (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Requests per second: a daily wave, weekends a third quieter, noise that is nearly normal.
fn traffic(seed: u64, row: usize) -> f64 {
    let weekend = if row / DAY % 7 >= 5 { 0.7 } else { 1.0 };
    wave(seed, row, weekend)
}

fn wave(seed: u64, row: usize, weekend: f64) -> f64 {
    let phase = (row % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
    let bell: f64 = (0..4).map(|part| noise(seed * 4 + part, row)).sum::<f64>() / 2.0;
    (500.0 - 300.0 * phase.cos()) * weekend + 15.0 * bell
}

fn at(row: usize) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(row).unwrap() * 300).unwrap()
}

/// Every row with its score, from a series that `fault` changes; `None` leaves the row out.
fn run(rows: usize, seed: u64, fault: impl Fn(usize, f64) -> Option<f64>) -> Vec<(usize, Scored)> {
    let mut detector = Detector::new(Settings::default());
    let rows = (0..rows).filter_map(|row| Some((row, fault(row, traffic(seed, row))?)));
    rows.map(|(row, value)| (row, detector.score(at(row), value))).collect()
}

fn alarms(scored: &[(usize, Scored)]) -> Vec<usize> {
    scored.iter().filter(|(_, s)| s.score >= THRESHOLD).map(|&(row, _)| row).collect()
}

/// The fault begins at this row: on the tenth day, in the afternoon.
const FAULT: usize = 9 * DAY + 180;

/// Runs two seeds; the fault must raise an alarm within `delay` rows and explain itself.
#[track_caller]
fn check(delay: usize, fault: impl Fn(usize, f64) -> Option<f64>, expected: fn(&Finding) -> bool) {
    for seed in 1..=2 {
        let scored = run(FAULT + 40, seed, &fault);
        let after: Vec<usize> = alarms(&scored).into_iter().filter(|&row| row >= FAULT).collect();
        let first = after.first().copied().unwrap_or(usize::MAX);
        assert!(first <= FAULT + delay, "seed {seed}: alarms at {after:?}, fault at {FAULT}");
        let findings: Vec<&Finding> = scored
            .iter()
            .filter(|(row, _)| *row >= FAULT)
            .flat_map(|(_, scored)| &scored.findings)
            .collect();
        assert!(findings.iter().any(|finding| expected(finding)), "seed {seed}: {findings:?}");
        assert!(after.len() <= 4, "one fault, alarms at {after:?}");
    }
}

#[test]
fn thirty_days_of_clean_traffic_raise_few_alarms() {
    // Stated in the documentation of `THRESHOLD`: alarms from 0.5, 0.6 and 0.7 on.
    for (weekend, allowed) in [(1.0, [1, 0, 0]), (0.7, [6, 1, 0])] {
        let scored = run(30 * DAY, 1, |row, _| Some(wave(1, row, weekend)));
        let above = |least| scored.iter().filter(|(_, scored)| scored.score >= least).count();
        let counts = [THRESHOLD, 0.6, 0.7].map(above);
        let ok = counts.iter().zip(allowed).all(|(count, allowed)| *count <= allowed);
        assert!(ok, "{counts:?} with weekends at {weekend}");
    }
}

#[test]
fn memory_stays_bounded_whatever_comes() {
    let mut detector = Detector::new(Settings::default());
    for row in 0..4_000 {
        detector.score(at(row), traffic(1, row) * (row as f64).exp2().min(1e300));
    }
    assert!(detector.bytes() < 64 * 1024, "{} bytes", detector.bytes());
}

#[test]
fn a_spike_raises_an_alarm_at_its_row() {
    let spike = |row, value: f64| Some(if row == FAULT { value * 2.0 } else { value });
    check(0, spike, |finding| matches!(finding, Finding::Spike { .. }));
}

#[test]
fn a_drop_to_nothing_raises_an_alarm_within_two_rows() {
    let drop = |row, value: f64| Some(if row >= FAULT { value * 0.01 } else { value });
    check(2, drop, |finding| {
        matches!(finding, Finding::OutOfSeason { .. } | Finding::Spike { .. })
    });
}

#[test]
fn a_level_shift_raises_an_alarm_within_six_rows() {
    let shift = |row, value: f64| Some(if row >= FAULT { value + 150.0 } else { value });
    check(6, shift, |finding| {
        matches!(finding, Finding::OutOfSeason { .. } | Finding::LevelShift { .. })
    });
}

#[test]
fn a_flat_line_raises_an_alarm_within_twelve_rows() {
    let frozen = traffic(1, FAULT);
    let flat = move |row, value: f64| Some(if row >= FAULT { frozen } else { value });
    check(12, flat, |finding| matches!(finding, Finding::FlatLine { .. }));
}

#[test]
fn a_gap_of_three_hours_raises_an_alarm_at_the_row_that_ends_it() {
    let gap = |row, value: f64| (!(FAULT..FAULT + 36).contains(&row)).then_some(value);
    check(36, gap, |finding| matches!(finding, Finding::Gap { .. }));
}

#[test]
fn rows_of_one_value_from_the_first_on_are_no_flat_line() {
    let scored = run(3 * DAY, 1, |_, _| Some(7.0));
    assert!(scored.iter().all(|(_, s)| s.score <= 0.0 && s.findings.is_empty()));
}

#[test]
fn an_absurd_first_value_does_not_blind_the_detector() {
    let absurd = |row, value: f64| match row {
        0 => Some(1e300),
        FAULT => Some(value * 2.0),
        _ => Some(value),
    };
    check(0, absurd, |finding| matches!(finding, Finding::Spike { .. }));
}

#[test]
fn a_clock_that_is_set_back_is_believed_after_a_while() {
    let mut detector = Detector::new(Settings::default());
    for row in 1_000..1_100 {
        detector.score(at(row), 1.0);
    }
    let late = |scored: &Scored| matches!(scored.findings[..], [Finding::OutOfOrder { .. }]);
    let lates = (0..200).filter(|&row| late(&detector.score(at(row), 1.0))).count();
    assert_eq!(lates, 32);
}

#[test]
fn a_row_that_is_not_later_or_not_a_number_says_so() {
    let mut detector = Detector::new(Settings { step: Some(SignedDuration::from_mins(5)) });
    detector.score(at(1), 1.0);
    let again = detector.score(at(1), 2.0);
    assert_eq!(again.findings, [Finding::OutOfOrder { latest: at(1) }]);
    let nan = detector.score(at(2), f64::NAN);
    assert_eq!((nan.score, nan.findings), (0.0, vec![Finding::NotFinite]));
}

#[test]
fn a_detector_continues_after_a_restart_as_if_nothing_had_happened() {
    let mut detector = Detector::new(Settings::default());
    for row in 0..5 * DAY {
        detector.score(at(row), traffic(1, row));
    }
    let saved = serde_json::to_string(&detector).unwrap();
    let mut restored: Detector = serde_json::from_str(&saved).unwrap();
    assert_eq!(restored, detector);
    for row in 5 * DAY..6 * DAY {
        let value = traffic(1, row) * if row % 100 == 0 { 3.0 } else { 1.0 };
        assert_eq!(restored.score(at(row), value), detector.score(at(row), value));
    }
}

#[test]
fn findings_read_as_sentences() {
    let one_in = 12_345.6;
    let findings = [
        Finding::Spike { value: 1_234.5, usual: 98.765, one_in },
        Finding::OutOfSeason { value: 0.0, low: 60.1, high: 8.25e9, one_in: 3e7 },
        Finding::Unfamiliar { rows: 16, one_in },
        Finding::LevelShift { from: 0.000_01, to: 2.0, one_in },
        Finding::Unrest { change: 3.5, one_in },
        Finding::FlatLine { since: at(0), value: 7.0 },
        Finding::Gap {
            since: at(0),
            lasted: SignedDuration::from_hours(3),
            step: SignedDuration::from_mins(5),
        },
        Finding::OutOfOrder { latest: at(0) },
        Finding::NotFinite,
    ];
    let text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    expect![[r#"
        1234 where 98.765 is usual (one row in 12346)
        0.000; at this time it was 60.100 to 8.250e9 all week (less than one row in a million)
        the last 16 rows look like none before (one row in 12346)
        the level went from 1.000e-5 to 2.000 (one row in 12346)
        rows differ by 3.500 on average (one row in 12346)
        exactly 7.000 since 2023-11-14T22:13:20Z, longer than ever
        nothing came for 3h after 2023-11-14T22:13:20Z; the step is 5m
        not later than 2023-11-14T22:13:20Z, the latest row so far; its time is ignored
        not a finite number; ignored
    "#]]
    .assert_eq(&text);
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e3..1e3,
        2 => Just(0.0),
        1 => any::<f64>(),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(f64::MIN)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Whatever comes in whatever order: a score in [0, 1], bounded findings, equal every time.
    #[test]
    fn any_rows_get_a_score_in_range_and_the_same_again(
        rows in prop::collection::vec((-5_000_i64..5_000_000, any_value()), 1..300),
        ordered in any::<bool>(),
    ) {
        let mut rows = rows;
        if ordered {
            rows.sort_by_key(|row| row.0);
        }
        let mut one = Detector::new(Settings::default());
        let mut other = Detector::new(Settings::default());
        for (second, value) in rows {
            let at = Timestamp::from_second(second).unwrap();
            let scored = one.score(at, value);
            prop_assert!((0.0..=1.0).contains(&scored.score), "{}", scored.score);
            prop_assert!(scored.findings.len() <= evenkeel_forecast::detect::finding::FINDINGS_MAX);
            for finding in &scored.findings {
                prop_assert!(!finding.to_string().is_empty());
            }
            prop_assert_eq!(scored, other.score(at, value));
        }
    }

    // A score depends on the rows up to it, never on later ones.
    #[test]
    fn a_score_never_depends_on_later_rows(cut in 150_usize..400, later in -1e6..1e6) {
        let mut one = Detector::new(Settings::default());
        for row in 0..cut {
            one.score(at(row), traffic(9, row));
        }
        let mut other = one.clone();
        let now = one.score(at(cut), traffic(9, cut));
        other.score(at(cut), traffic(9, cut));
        other.score(at(cut + 1), later);
        let mut again = Detector::new(Settings::default());
        let last = (0..=cut).map(|row| again.score(at(row), traffic(9, row))).last();
        prop_assert_eq!(Some(now), last);
    }
}
