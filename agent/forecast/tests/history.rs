//! What a [`History`] keeps, refuses and answers, as tables and as properties.
//!
//! **In:** streams of samples. **Out:** panics of failed tests.
//! **Not here:** speed (see `examples/history_cost.rs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use evenkeel_forecast::history::{SLOTS, SLOTS_MAX, STEP};
use evenkeel_forecast::{History, HistoryError, Recorded};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("within jiff's range")
}

fn tiny() -> History {
    History::new(SignedDuration::from_secs(10), 4).expect("valid")
}

/// Records each `(now, at, value)` in a ring of four slots of 10 s, and shows what came of it.
#[track_caller]
fn check(samples: &[(i64, i64, f64)], expected: &Expect) {
    let mut history = tiny();
    let mut shown = String::new();
    for &(now, sampled, value) in samples {
        let recorded = history.record(at(now), at(sampled), value);
        writeln!(shown, "{sampled} {value} {recorded:?}").expect("to a string");
    }
    let kept: Vec<String> =
        history.iter().map(|(at, value)| format!("{}={value}", at.as_second())).collect();
    write!(shown, "{} len={} present={}", kept.join(" "), history.len(), history.n_present())
        .expect("to a string");
    expected.assert_eq(&shown);
}

#[test]
fn samples_of_the_newest_slot_are_averaged() {
    check(
        &[(100, 100, 1.0), (103, 103, 2.0), (109, 109, 6.0), (110, 110, 7.0)],
        &expect![[r#"
            100 1 Opened
            103 2 Averaged
            109 6 Averaged
            110 7 Opened
            100=3 110=7 len=2 present=2"#]],
    );
}

#[test]
fn a_late_sample_fills_a_gap_and_changes_no_value() {
    check(
        &[(130, 100, 1.0), (130, 130, 4.0), (130, 111, 2.0), (130, 115, 9.0), (130, 105, 9.0)],
        &expect![[r#"
            100 1 Opened
            130 4 Opened
            111 2 FilledGap
            115 9 AlreadyPresent
            105 9 AlreadyPresent
            100=1 110=2 130=4 len=4 present=3"#]],
    );
}

#[test]
fn a_late_sample_from_before_the_first_one_is_kept_within_the_ring() {
    check(
        &[(130, 130, 4.0), (130, 100, 1.0), (130, 99, 9.0)],
        &expect![[r#"
            130 4 Opened
            100 1 FilledGap
            99 9 TooOld
            100=1 130=4 len=4 present=2"#]],
    );
}

#[test]
fn what_is_not_a_number_or_from_the_future_is_refused() {
    check(
        &[
            (100, 100, f64::NAN),
            (100, 100, f64::INFINITY),
            (100, 100, f64::NEG_INFINITY),
            (100, 100, 1e39),
            (100, 110, 1.0),
            (100, 253_402_207_200, 1.0),
            (100, 109, -1.0),
        ],
        &expect![[r#"
            100 NaN NotFinite
            100 inf NotFinite
            100 -inf NotFinite
            100 1000000000000000000000000000000000000000 NotFinite
            110 1 Future
            253402207200 1 Future
            109 -1 Opened
            100=-1 len=1 present=1"#]],
    );
}

#[test]
fn a_slot_leaves_when_the_ring_comes_round() {
    check(
        &[(100, 100, 1.0), (110, 110, 2.0), (120, 120, 3.0), (130, 130, 4.0), (150, 150, 6.0)],
        &expect![[r#"
            100 1 Opened
            110 2 Opened
            120 3 Opened
            130 4 Opened
            150 6 Opened
            120=3 130=4 150=6 len=4 present=3"#]],
    );
}

#[test]
fn a_long_silence_leaves_an_empty_ring() {
    check(
        &[(100, 100, 1.0), (110, 110, 2.0), (150, 150, 6.0)],
        &expect![[r#"
            100 1 Opened
            110 2 Opened
            150 6 Opened
            150=6 len=4 present=1"#]],
    );
}

#[test]
fn slots_before_1970_are_as_wide_as_after() {
    check(
        &[(0, -11, 1.0), (0, -10, 2.0), (0, -1, 4.0), (0, 0, 5.0)],
        &expect![[r#"
            -11 1 Opened
            -10 2 Opened
            -1 4 Averaged
            0 5 Opened
            -20=1 -10=3 0=5 len=3 present=3"#]],
    );
    let mut history = tiny();
    let just_before = Timestamp::from_millisecond(-1).expect("valid");
    history.record(at(0), just_before, 1.0);
    assert_eq!(history.newest_at(), Some(at(-10)));
}

#[test]
fn a_shape_that_makes_no_sense_is_refused_with_a_hint() {
    let refusal = |step: SignedDuration, slots| match History::new(step, slots) {
        Err(error @ (HistoryError::Step { .. } | HistoryError::Slots { .. })) => error.to_string(),
        Ok(_) => "accepted".to_owned(),
    };
    let cases = [
        refusal(SignedDuration::ZERO, 10),
        refusal(SignedDuration::from_millis(1_500), 10),
        refusal(SignedDuration::from_secs(-300), 10),
        refusal(SignedDuration::from_hours(25), 10),
        refusal(SignedDuration::MAX, 10),
        refusal(STEP, 0),
        refusal(STEP, SLOTS_MAX + 1),
        refusal(STEP, SLOTS),
    ];
    expect![[r#"
        step `0s` is not a whole number of seconds from 1s to 24h; use 5m unless you know better
        step `1s 500ms` is not a whole number of seconds from 1s to 24h; use 5m unless you know better
        step `5m ago` is not a whole number of seconds from 1s to 24h; use 5m unless you know better
        step `25h` is not a whole number of seconds from 1s to 24h; use 5m unless you know better
        step `2562047788015215h 30m 7s 999ms 999µs 999ns` is not a whole number of seconds from 1s to 24h; use 5m unless you know better
        0 slots is not between 1 and 527040; use 4032 for 14 days of 5m
        527041 slots is not between 1 and 527040; use 4032 for 14 days of 5m
        accepted"#]]
    .assert_eq(&cases.join("\n"));
}

#[test]
fn a_quantile_needs_a_day_and_is_by_nearest_rank() {
    let mut history = History::fortnight();
    let now = at(14 * 86_400);
    let day = |n: i64| {
        (0..n).map(|slot| (at(slot * 300), f64::from(u32::try_from(slot).expect("small"))))
    };
    history.backfill(now, day(287));
    assert_eq!(history.quantile(0.5), None, "287 values are less than a day");
    let backfilled = history.backfill(now, day(400));
    assert_eq!((backfilled.kept, backfilled.ignored), (114, 286), "the newest slot is averaged");
    let quantiles: Vec<Option<f64>> =
        [0.0, 0.01, 0.5, 1.0, -0.1, 1.1, f64::NAN].map(|q| history.quantile(q)).to_vec();
    expect!["[Some(0.0), Some(3.0), Some(199.0), Some(399.0), None, None, None]"]
        .assert_eq(&format!("{quantiles:?}"));
    assert_eq!(format!("{:.4}", history.coverage()), "0.0992");
}

#[test]
fn the_usual_low_changes_only_with_a_new_slot_or_a_backfill() {
    let mut history = tiny();
    let mut scratch = Vec::new();
    assert_eq!(history.usual_low(&mut scratch), None);
    history.record(at(100), at(100), 5.0);
    assert_eq!(history.usual_low(&mut scratch), Some(5.0));
    history.record(at(101), at(101), 1.0);
    assert_eq!(history.usual_low(&mut scratch), Some(5.0), "same slot, kept");
    assert_eq!(history.usual_low_cached(), Some(5.0));
    history.record(at(110), at(110), 9.0);
    assert_eq!(history.usual_low(&mut scratch), Some(3.0), "new slot, computed anew");
    history.backfill(at(110), [(at(95), 2.0)]);
    assert_eq!(history.usual_low_cached(), None);
    assert_eq!(history.usual_low(&mut scratch), Some(2.0), "backfilled, computed anew");
}

#[test]
fn ten_minutes_of_lying_zeros_do_not_become_the_usual_low() {
    let mut history = History::fortnight();
    let now = at(14 * 86_400);
    history.backfill(now, (0..4_030).map(|slot| (at(slot * 300), 250.0)));
    history.backfill(now, (4_030..4_032).map(|slot| (at(slot * 300), 0.0)));
    assert_eq!(history.usual_low(&mut Vec::new()), Some(250.0));
    assert_eq!(history.value_near(at(4_031 * 300)), Some(0.0));
}

#[test]
fn value_near_prefers_the_slot_itself_then_the_earlier_neighbour() {
    let mut history = History::new(SignedDuration::from_secs(10), 20).expect("valid");
    for (second, value) in [(100, 1.0), (140, 2.0), (150, 3.0)] {
        history.record(at(1_000), at(second), value);
    }
    let near = |second| history.value_near(at(second));
    let seen: Vec<Option<f64>> = [60, 70, 105, 120, 130, 145, 180, 190].map(near).to_vec();
    expect!["[None, Some(1.0), Some(1.0), Some(1.0), Some(2.0), Some(2.0), Some(3.0), None]"]
        .assert_eq(&format!("{seen:?}"));
}

fn any_instant() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    prop_oneof![
        4 => (-200i64..200).prop_map(at),
        1 => (first..=last).prop_map(at),
        1 => prop_oneof![Just(Timestamp::MIN), Just(Timestamp::MAX)],
        1 => (-200_000i64..200_000).prop_map(|ms| Timestamp::from_millisecond(ms).expect("valid")),
    ]
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![4 => -1e6f64..1e6, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

/// The same rules on a map without a ring, an obviously correct counterpart.
#[derive(Default)]
struct Model {
    slots: BTreeMap<i64, Vec<f64>>,
}

impl Model {
    fn record(&mut self, step: i64, ring: i64, now: Timestamp, at: Timestamp, value: f64) {
        let slot = at.as_nanosecond().div_euclid(i128::from(step) * 1_000_000_000);
        let now_slot = now.as_nanosecond().div_euclid(i128::from(step) * 1_000_000_000);
        let slot = i64::try_from(slot).expect("fits");
        let newest = self.slots.last_key_value().map(|(newest, _)| *newest);
        #[expect(clippy::cast_possible_truncation, reason = "this is the rule under test")]
        let finite = (value as f32).is_finite();
        if !finite || now_slot < i128::from(slot) || newest.is_some_and(|it| slot <= it - ring) {
            return;
        }
        let samples = self.slots.entry(slot).or_default();
        if samples.is_empty() || newest == Some(slot) {
            samples.push(value);
        }
        let newest = self.slots.last_key_value().map_or(slot, |(newest, _)| *newest);
        self.slots.retain(|it, _| newest - ring < *it);
    }
}

proptest! {
    // Whatever comes in, nothing panics and the counts agree with what can be read back.
    #[test]
    fn any_stream_of_samples_keeps_the_counts_true(
        step in 1i64..=86_400,
        slots in 1usize..40,
        samples in prop::collection::vec((any_instant(), any_instant(), any_value()), 0..60),
        q in any::<f64>(),
    ) {
        let mut history = History::new(SignedDuration::from_secs(step), slots).expect("valid");
        let mut scratch = Vec::new();
        for &(now, sampled, value) in &samples {
            let before = history.n_present();
            let recorded = history.record(now, sampled, value);
            if !recorded.is_kept() {
                prop_assert_eq!(before, history.n_present());
            }
            let low = history.usual_low(&mut scratch);
            prop_assert!(low.is_none_or(f64::is_finite));
            prop_assert!(history.value_near(sampled).is_none_or(f64::is_finite));
            prop_assert!(history.quantile(q).is_none_or(f64::is_finite));
        }
        prop_assert_eq!(history.iter().count(), history.n_present());
        prop_assert!(history.n_present() <= history.len());
        prop_assert!(history.len() <= slots);
        prop_assert!((0.0..=1.0).contains(&history.coverage()));
        let instants: Vec<Timestamp> = history.iter().map(|(at, _)| at).collect();
        prop_assert!(instants.is_sorted());
    }

    // The ring answers as an unbounded map with the same rules would.
    #[test]
    fn the_ring_agrees_with_a_map(
        step in 1i64..=20,
        slots in 1usize..12,
        samples in prop::collection::vec((any_instant(), any_instant(), any_value()), 0..60),
    ) {
        let mut history = History::new(SignedDuration::from_secs(step), slots).expect("valid");
        let mut model = Model::default();
        let ring = i64::try_from(slots).expect("small");
        for &(now, sampled, value) in &samples {
            history.record(now, sampled, value);
            model.record(step, ring, now, sampled, value);
        }
        let kept: Vec<f64> = history.iter().map(|(_, value)| value).collect();
        prop_assert_eq!(kept.len(), model.slots.len());
        for (kept, samples) in kept.iter().zip(model.slots.values()) {
            let n = f64::from(u32::try_from(samples.len()).expect("small"));
            let mean: f64 = samples.iter().map(|it| it / n).sum();
            // The scale is that of the samples: they may cancel to a mean near zero.
            let scale = samples.iter().fold(1.0f64, |most, it| most.max(it.abs()));
            prop_assert!((kept - mean).abs() <= 1e-6 * scale, "{} is not {}", kept, mean);
        }
    }

    // A quantile is one of the values and splits them where it says.
    #[test]
    fn a_quantile_splits_the_values(
        values in prop::collection::vec(-1e6f64..1e6, 1..100),
        q in 0.0f64..=1.0,
    ) {
        let mut history = History::new(SignedDuration::from_secs(1), values.len()).expect("valid");
        let n = i64::try_from(values.len()).expect("small");
        history.backfill(at(n), (0..n).map(at).zip(values.iter().copied()));
        let quantile = history.quantile(q).expect("the ring is full");
        let all: Vec<f64> = history.iter().map(|(_, value)| value).collect();
        let share = |kept: usize| {
            f64::from(u32::try_from(kept).expect("small")) / f64::from(u32::try_from(all.len()).expect("small"))
        };
        prop_assert!(q <= share(all.iter().filter(|it| **it <= quantile).count()) + 1e-9);
        prop_assert!(share(all.iter().filter(|it| **it < quantile).count()) <= q + 1e-9);
    }

    // Time only moves forward: what the agent's past holds is never lost to a strange sample.
    #[test]
    fn a_future_or_unreadable_sample_changes_nothing(
        sampled in any_instant(),
        value in any_value(),
    ) {
        let mut history = tiny();
        history.backfill(at(30), (0..4).map(|slot| (at(slot * 10), 1.0)));
        let before: Vec<(Timestamp, f64)> = history.iter().collect();
        let recorded = history.record(at(30), sampled, value);
        if matches!(recorded, Recorded::Future | Recorded::NotFinite | Recorded::TooOld) {
            prop_assert_eq!(before, history.iter().collect::<Vec<_>>());
        }
    }
}
