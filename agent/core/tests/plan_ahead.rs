//! What capacity follows from an outlook: before the load, no more than it is worth,
//! and never below what is measured.

use evenkeel_core::documents::Shortfall;
use evenkeel_core::outlook::{Abstention, LEVELS, Lead, Outlook, Standing};
use evenkeel_core::plan_ahead::{Ahead, Ledger, Question, plan_ahead};
use evenkeel_core::units::Capacity;
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const PER_UNIT: f64 = 10.0;
const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const RARELY: Shortfall = Shortfall::TimeRatio(0.005);

/// Medians at minutes ahead, each with quantiles `spread` apart per standard deviation.
fn outlook(medians: &[(i64, f64)], spread: f64) -> Outlook {
    // Standard deviations of the levels of a normal distribution.
    let deviations = [-1.96, -1.28, -0.67, 0.0, 0.67, 1.28, 1.64, 1.96, 2.33, 2.58, 3.09];
    let leads = medians.iter().map(|(minutes, median)| {
        let mut quantiles = [0.0_f32; LEVELS.len()];
        for (to, deviation) in quantiles.iter_mut().zip(deviations) {
            #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
            let value = (median + deviation * spread).max(0.0) as f32;
            *to = value;
        }
        Lead { ahead: SignedDuration::from_mins(*minutes), quantiles }
    });
    Outlook {
        made_at: NOW,
        standing: Standing::Predicting,
        model: "test".to_owned(),
        recent_error_ratio: None,
        baseline_error_ratio: None,
        coverage_ratio: None,
        leads: leads.collect(),
    }
}

fn plan(outlook: &Outlook, value: f64, current: u32, shortfall: Shortfall) -> Ahead {
    let question = Question {
        now: NOW,
        outlook: Some(outlook),
        value,
        value_per_unit: PER_UNIT,
        shortfall,
        usd_per_unit_hour: Some(1.0),
        lead_time: SignedDuration::from_mins(5),
        period: SignedDuration::from_secs(15),
        current: Capacity(current),
    };
    plan_ahead(&question, &Ledger::default())
}

#[track_caller]
fn check(outlook: &Outlook, value: f64, current: u32, shortfall: Shortfall, expected: &Expect) {
    let Ahead { grow_to, keep, floor, level, peak, is_forecast, .. } =
        plan(outlook, value, current, shortfall);
    expected.assert_eq(&format!(
        "grow to {grow_to:.1}, keep {keep:.1}, floor {floor:.1}, covers {:.1}% ({peak:.1}), forecast {is_forecast}",
        100.0 * level
    ));
}

#[test]
fn capacity_is_asked_for_before_a_rise_and_not_long_before() {
    let rise = |at: i64| outlook(&[(0, 100.0), (at - 1, 100.0), (at, 195.0), (60, 195.0)], 2.0);
    check(
        &rise(5),
        100.0,
        11,
        RARELY,
        &expect!["grow to 20.0, keep 20.0, floor 10.0, covers 99.4% (200.0), forecast true"],
    );
    check(
        &rise(20),
        100.0,
        11,
        RARELY,
        &expect!["grow to 10.0, keep 11.0, floor 10.0, covers 100.0% (106.2), forecast true"],
    );
}

#[test]
fn capacity_leaves_when_it_is_not_needed_for_long_enough() {
    let fall = outlook(&[(0, 100.0), (60, 100.0)], 2.0);
    check(
        &fall,
        100.0,
        25,
        RARELY,
        &expect!["grow to 10.0, keep 11.0, floor 10.0, covers 100.0% (106.2), forecast true"],
    );
    // Needed again within the lead time: it stays.
    let dip = outlook(&[(0, 100.0), (4, 100.0), (6, 245.0), (60, 245.0)], 2.0);
    check(
        &dip,
        100.0,
        25,
        RARELY,
        &expect!["grow to 10.0, keep 25.0, floor 10.0, covers 100.0% (178.7), forecast true"],
    );
}

#[test]
fn what_is_measured_is_the_floor_whatever_is_expected() {
    let fall = outlook(&[(0, 100.0), (1, 20.0), (60, 20.0)], 1.0);
    check(
        &fall,
        100.0,
        7,
        RARELY,
        &expect!["grow to 10.0, keep 10.0, floor 10.0, covers 100.0% (23.1), forecast true"],
    );
}

#[test]
fn a_dearer_shortfall_buys_a_higher_quantile() {
    let wide = outlook(&[(0, 100.0), (1, 100.0), (60, 100.0)], 20.0);
    let mut before = 0.0;
    for usd in [0.1, 1.0, 10.0, 100.0, 1_000.0] {
        let keep = plan(&wide, 80.0, 8, Shortfall::UsdPerUnitHour(usd)).keep;
        assert!(before <= keep, "{usd}: {keep} after {before}");
        before = keep;
    }
    assert!(13.0 < before, "{before}");
}

#[test]
fn an_outlook_that_abstains_leaves_the_floor_alone() {
    let mut it = outlook(&[(0, 100.0), (60, 300.0)], 2.0);
    it.standing = Standing::Abstaining { why: Abstention::NotFitted };
    check(
        &it,
        104.0,
        11,
        RARELY,
        &expect!["grow to 10.4, keep 10.4, floor 10.4, covers 50.0% (104.0), forecast false"],
    );
}

#[test]
fn being_short_too_often_makes_it_dearer_and_being_short_never_cheaper() {
    let wide = outlook(&[(0, 100.0), (1, 100.0), (60, 100.0)], 10.0);
    let worth = |ready: u32| {
        let mut ledger = Ledger::default();
        let mut now = NOW;
        for _ in 0..5_760 {
            now = now.checked_add(SignedDuration::from_secs(15)).unwrap();
            ledger.observe(now, 10.5, Capacity(ready), RARELY, true);
        }
        let question = Question {
            now: NOW,
            outlook: Some(&wide),
            value: 100.0,
            value_per_unit: PER_UNIT,
            shortfall: RARELY,
            usd_per_unit_hour: None,
            lead_time: SignedDuration::from_mins(5),
            period: SignedDuration::from_secs(15),
            current: Capacity(12),
        };
        (plan_ahead(&question, &ledger).short_worth_units, ledger.short_ratio())
    };
    let ((short, all), (never, none)) = (worth(10), worth(11));
    assert!(never < 100.0 && 100.0 < short, "{never} {short}");
    assert!((all - 1.0).abs() < 1e-9 && none.abs() < 1e-9, "{all} {none}");
}

#[test]
fn what_nobody_can_price_is_still_answered() {
    let it = outlook(&[(0, 100.0), (60, 100.0)], 2.0);
    for shortfall in [Shortfall::TimeRatio(0.0), Shortfall::UsdPerUnitHour(f64::NAN)] {
        let ahead = plan(&it, 100.0, 10, shortfall);
        assert!(ahead.keep.is_finite() && 10.0 <= ahead.keep, "{ahead:?}");
    }
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0..1e5_f64,
        1 => prop::sample::select(vec![
            f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300, f64::MIN_POSITIVE,
        ]),
    ]
}

proptest! {
    #[test]
    fn any_input_has_a_finite_answer_at_or_above_the_floor(
        leads in prop::collection::vec((-10_i64..100, any_number(), any_number()), 0..12),
        numbers in prop::array::uniform5(any_number()),
        lead_seconds in -10_i64..10_000,
        current in prop_oneof![0_u32..100, any::<u32>()],
        is_ratio: bool,
    ) {
        let [value, per_unit, objective, price, spread] = numbers;
        let mut it = outlook(&[], 0.0);
        for (minutes, median, width) in leads {
            let one = outlook(&[(minutes, median)], spread.min(width));
            it.leads.extend(one.leads);
        }
        let shortfall = if is_ratio {
            Shortfall::TimeRatio(objective)
        } else {
            Shortfall::UsdPerUnitHour(objective)
        };
        let question = Question {
            now: NOW,
            outlook: Some(&it),
            value,
            value_per_unit: per_unit,
            shortfall,
            usd_per_unit_hour: Some(price),
            lead_time: SignedDuration::from_secs(lead_seconds),
            period: SignedDuration::from_secs(15),
            current: Capacity(current),
        };
        let mut ledger = Ledger::default();
        ledger.observe(NOW, value / per_unit, Capacity(current), shortfall, true);
        let ahead = plan_ahead(&question, &ledger);
        prop_assert!(ahead.floor <= ahead.grow_to && ahead.grow_to <= ahead.keep, "{ahead:?}");
        prop_assert!(ahead.keep.is_finite() && ahead.level.is_finite(), "{ahead:?}");
        prop_assert_eq!(&ahead, &plan_ahead(&question, &ledger));
    }
}
