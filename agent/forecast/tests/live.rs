//! The live forecaster: what it promises whatever comes, and that it knows a cycle
//! when it sees one.
#![expect(clippy::unwrap_used, reason = "functions of a test may fail like the test")]

use std::f64::consts::TAU;
use std::sync::Arc;

use evenkeel_core::documents::{Calendar, Event, Incident};
use evenkeel_core::ids::CalendarId;
use evenkeel_core::outlook::{Abstention, LEVELS, Outlook, Standing};
use evenkeel_forecast::live::{Forecaster, Settings, SettingsError, Updated};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const START: i64 = 1_700_000_000 - 1_700_000_000 % 86_400;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(START + minute * 60).unwrap()
}

fn forecaster(time_zone: &str) -> Forecaster {
    Forecaster::new(Settings { time_zone: time_zone.to_owned(), ..Settings::default() }).unwrap()
}

/// A noise that is the same on every machine, in `[-1, 1)`.
fn noise(i: i64) -> f64 {
    let mixed = i.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(-4_658_895_280_553_007_687);
    f64::from(i32::try_from(mixed >> 33).unwrap()) / f64::from(1_u32 << 30)
}

/// A daily cycle from 200 to 1,000 by the clock of `seconds` with little noise.
fn daily(seconds: i64) -> f64 {
    let day = f64::from(i32::try_from(seconds.rem_euclid(86_400)).unwrap()) / 86_400.0;
    600.0 - 400.0 * (TAU * day).cos() + 10.0 * noise(seconds)
}

fn fed(days: i64, load: impl Fn(i64) -> f64) -> Forecaster {
    let mut it = forecaster("UTC");
    for minute in 0..days * 1_440 {
        it.update(at(minute), load(START + minute * 60));
    }
    it
}

#[track_caller]
fn check_quantiles(outlook: &Outlook) {
    let mut before = SignedDuration::MIN;
    for lead in &outlook.leads {
        assert!(before < lead.ahead, "{outlook:?}");
        before = lead.ahead;
        assert!(lead.quantiles.iter().all(|it| it.is_finite() && 0.0 <= *it), "{lead:?}");
        assert!(lead.quantiles.is_sorted(), "{lead:?}");
    }
    assert!(!outlook.leads.is_empty());
}

fn median_after(outlook: &Outlook, ahead: SignedDuration) -> f64 {
    let median = LEVELS.iter().position(|it| *it >= 0.5).unwrap();
    let lead = outlook.leads.iter().find(|it| ahead <= it.ahead).unwrap();
    f64::from(*lead.quantiles.get(median).unwrap())
}

#[test]
fn a_daily_cycle_is_followed_ahead_of_time() {
    let mut it = fed(5, daily);
    for minute in 5 * 1_440..5 * 1_440 + 480 {
        it.update(at(minute), daily(START + minute * 60));
    }
    let now = at(5 * 1_440 + 479);
    let outlook = it.outlook(now).unwrap();
    assert_eq!(outlook.standing, Standing::Predicting);
    check_quantiles(&outlook);
    let hour = SignedDuration::from_hours(1);
    let expected = daily(now.as_second() + 3_600);
    let found = median_after(&outlook, hour);
    assert!((found - expected).abs() < 30.0, "{found} instead of {expected}");
    let coverage = it.coverage_ratio().unwrap();
    assert!((0.90..=0.99).contains(&coverage), "{coverage}");
}

#[test]
fn a_backfill_is_as_good_as_living_through_it() {
    let steps = || (0..14 * 288).map(|step| step * 5).map(|it| (at(it), daily(START + it * 60)));
    let end = at(14 * 1_440);
    let (mut lived, mut told) = (forecaster("UTC"), forecaster("UTC"));
    for (at, value) in steps() {
        lived.update(at, value);
    }
    // In parts, as a daemon reads it.
    for part in steps().collect::<Vec<_>>().chunks(1_000) {
        told.backfill(part.iter().copied(), end);
    }
    let newest = at(14 * 1_440 - 5);
    assert_eq!(told.standing(newest), Standing::Predicting);
    assert_eq!(lived.standing(newest), Standing::Predicting);
    let hour = SignedDuration::from_hours(1);
    let expected = daily(end.as_second() + 3_300);
    for it in [&mut lived, &mut told] {
        let coverage = it.coverage_ratio().unwrap();
        assert!((0.90..=0.99).contains(&coverage), "{coverage}");
        let found = median_after(&it.outlook(newest).unwrap(), hour);
        assert!((found - expected).abs() < 30.0, "{found} instead of {expected}");
    }
    let past = |it: &Forecaster| it.horizon(end, SignedDuration::from_hours(48));
    assert_eq!(past(&lived), past(&told), "all of it is remembered");
}

#[test]
fn noise_without_a_cycle_is_left_to_the_reactive_rule() {
    let it = fed(6, |seconds| 500.0 + 100.0 * noise(seconds));
    let standing = it.standing(at(6 * 1_440 - 1));
    let is_honest =
        matches!(standing, Standing::Abstaining { why: Abstention::NotBetterThanNaive { .. } });
    assert!(is_honest, "{standing:?}");
}

#[test]
fn a_cycle_that_ends_demotes_the_forecast() {
    let mut it = fed(5, daily);
    assert_eq!(it.standing(at(5 * 1_440 - 1)), Standing::Predicting);
    let mut demoted_after = None;
    for minute in 5 * 1_440..8 * 1_440 {
        it.update(at(minute), 600.0 + 60.0 * noise(minute));
        if it.standing(at(minute)) != Standing::Predicting && demoted_after.is_none() {
            demoted_after = Some(minute - 5 * 1_440);
        }
    }
    assert!(demoted_after.is_some_and(|it| it <= 1_440), "{demoted_after:?}");
    assert_ne!(it.standing(at(8 * 1_440 - 1)), Standing::Predicting);
}

#[test]
fn it_abstains_before_a_day_of_evidence_and_on_old_values() {
    let mut it = fed(1, daily);
    let why = |it: &Forecaster, minute| match it.standing(at(minute)) {
        Standing::Predicting => None,
        Standing::Abstaining { why } => Some(why),
    };
    assert!(matches!(why(&it, 1_440), Some(Abstention::TooLittleHistory { .. })));
    assert!(matches!(why(&forecaster("UTC"), 0), Some(Abstention::NotFitted)));
    for minute in 1_440..5 * 1_440 {
        it.update(at(minute), daily(START + minute * 60));
    }
    assert_eq!(why(&it, 5 * 1_440 - 1), None);
    assert!(matches!(why(&it, 5 * 1_440 + 10), Some(Abstention::Stale { .. })));
}

/// The load has a step at 08:00 local time; after the clock has changed it still has.
#[track_caller]
fn check_clock_change(first_midnight: &str, time_zone: &str) {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap();
    let load = |at: Timestamp| {
        let hour = at.to_zoned(zone.clone()).hour();
        if (8..20).contains(&hour) { 1_000.0 } else { 200.0 }
    };
    let start: Timestamp = first_midnight.parse().unwrap();
    let mut it = forecaster(time_zone);
    // The change is in the night after the fourth day; 07:50 local time of the day after.
    let mut now = start;
    loop {
        it.update(now, load(now) + 5.0 * noise(now.as_second()));
        let local = now.to_zoned(zone.clone());
        let days = now.duration_since(start).as_hours() / 24;
        if 4 <= days && local.hour() == 7 && local.minute() == 50 {
            break;
        }
        now = now.checked_add(SignedDuration::from_mins(1)).unwrap();
    }
    let outlook = it.outlook(now).unwrap();
    let before = median_after(&outlook, SignedDuration::from_mins(3));
    let after = median_after(&outlook, SignedDuration::from_mins(40));
    assert!(before < 450.0 && 750.0 < after, "{before} {after} at {now}");
}

#[test]
fn seasons_follow_the_local_clock_over_both_changes() {
    check_clock_change("2026-03-24T23:00:00Z", "Europe/Berlin");
    check_clock_change("2026-10-20T22:00:00Z", "Europe/Berlin");
    check_clock_change("2026-03-24T23:00:00Z", "UTC");
}

#[test]
fn incidents_are_masked_and_events_uplift() {
    let hour = |day: i64, hour: i64| at(day * 1_440 + hour * 60);
    let sale = |day: i64, uplift_ratio| Event {
        name: "sale".to_owned(),
        starts_at: hour(day, 10),
        ends_at: hour(day, 12),
        uplift_ratio,
    };
    let calendar = Calendar {
        id: CalendarId::new("shop").unwrap(),
        time_zone: "UTC".to_owned(),
        dated: vec![sale(3, Some(3.0)), sale(5, Some(3.0)), sale(7, Some(3.0))],
        repeating: Vec::new(),
        incidents: vec![Incident {
            name: "outage".to_owned(),
            starts_at: hour(4, 6),
            ends_at: hour(4, 9),
        }],
    };
    let mut it = forecaster("UTC");
    it.set_calendar(Some(Arc::new(calendar)));
    for minute in 0..7 * 1_440 + 9 * 60 + 30 {
        let now = at(minute);
        let (day, hour) = (minute / 1_440, minute % 1_440 / 60);
        let is_sale = [3, 5].contains(&day) && (10..12).contains(&hour);
        let is_outage = day == 4 && (6..9).contains(&hour);
        let load = if is_outage { 0.0 } else { daily(now.as_second()) };
        let updated = it.update(now, if is_sale { 2.0 * load } else { load });
        assert_eq!(updated == Updated::Masked, is_outage, "{now}");
    }
    // Half an hour before the third sale: twice the load, shrunk towards the 3 expected.
    let now = at(7 * 1_440 + 9 * 60 + 29);
    let outlook = it.outlook(now).unwrap();
    let normal = daily(now.as_second() + 2_400);
    let uplift = median_after(&outlook, SignedDuration::from_mins(40)) / normal;
    assert!((1.9..2.6).contains(&uplift), "{uplift}");
    let soon = median_after(&outlook, SignedDuration::from_mins(10));
    assert!((soon / daily(now.as_second() + 600) - 1.0).abs() < 0.2, "{soon}");
}

#[test]
fn the_horizon_of_two_days_follows_the_cycle() {
    let mut it = fed(7, daily);
    let now = at(7 * 1_440 - 1);
    for is_fitted in [false, true] {
        if is_fitted {
            assert!(it.refit_due(now));
            it.refit();
            assert!(!it.refit_due(now));
        }
        let steps = it.horizon(now, SignedDuration::from_hours(48));
        assert_eq!(steps.len(), 576);
        let error: f64 =
            steps.iter().map(|it| (it.middle - daily(it.at.as_second())).abs()).sum::<f64>();
        assert!(error / 576.0 < 40.0, "{is_fitted}: {}", error / 576.0);
        assert!(steps.iter().all(|it| it.low <= it.middle && it.middle <= it.high));
    }
    assert!(forecaster("UTC").horizon(now, SignedDuration::from_hours(48)).is_empty());
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let with = |settings| Forecaster::new(settings).map(|_| ()).unwrap_err();
    let step = SignedDuration::from_secs(5);
    assert_eq!(with(Settings { step, ..Settings::default() }), SettingsError::Step { seconds: 5 });
    let time_zone = "Mars/Olympus".to_owned();
    assert_eq!(
        with(Settings { time_zone: time_zone.clone(), ..Settings::default() }),
        SettingsError::TimeZone { name: time_zone }
    );
    let seasons = Some(vec![SignedDuration::from_hours(24 * 30)]);
    assert_eq!(
        with(Settings { seasons, ..Settings::default() }),
        SettingsError::Season { seconds: 30 * 86_400 }
    );
}

#[test]
fn what_was_damaged_is_refused_and_not_worked_with() {
    let text = serde_json::to_string(&fed(1, daily)).unwrap();
    assert!(serde_json::from_str::<Forecaster>(&text).is_ok());
    let damaged = text.replacen("\"counts\":[", "\"counts\":[-1.0,", 1);
    assert!(serde_json::from_str::<Forecaster>(&damaged).is_err());
}

#[test]
fn memory_is_bounded() {
    let bytes = fed(3, daily).bytes();
    assert!(bytes <= 34_000, "{bytes}");
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..1e6_f64,
        1 => prop::sample::select(vec![
            f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1e15, 1e-300, f64::MIN_POSITIVE,
        ]),
    ]
}

/// Steps from one value to the next in seconds, also back, far ahead, and none.
fn any_gap() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(60_i64), 2 => 0_i64..900, 1 => -3_600_i64..1_000_000]
}

proptest! {
    // Each case feeds up to two days, which takes a while unoptimised.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_comes_quantiles_are_finite_and_ascend(
        stream in prop::collection::vec((any_gap(), any_value()), 1..400),
        step in prop::sample::select(vec![10_i64, 60, 300, 3_600]),
    ) {
        let step = SignedDuration::from_secs(step);
        let mut it = Forecaster::new(Settings { step, ..Settings::default() }).unwrap();
        let mut second = START;
        for (gap, value) in stream {
            second += gap;
            let now = Timestamp::from_second(second).unwrap();
            it.update(now, value);
            if let Some(outlook) = it.outlook(now) {
                check_quantiles(&outlook);
            }
        }
        let now = Timestamp::from_second(second).unwrap();
        it.refit();
        for expected in it.horizon(now, SignedDuration::from_hours(48)) {
            prop_assert!(expected.middle.is_finite() && expected.low <= expected.high);
        }
    }

    #[test]
    fn a_restart_changes_no_outlook(
        n_before in 1_i64..3_000,
        n_after in 1_i64..100,
        level in 1.0..1e6_f64,
    ) {
        let load = |minute: i64| level * (daily(START + minute * 60) / 600.0);
        let mut it = forecaster("Europe/Berlin");
        it.backfill((0..n_before).map(|minute| (at(minute), load(minute))), at(n_before));
        let text = serde_json::to_string(&it).unwrap();
        let mut again: Forecaster = serde_json::from_str(&text).unwrap();
        for minute in n_before..n_before + n_after {
            prop_assert_eq!(it.update(at(minute), load(minute)), again.update(at(minute), load(minute)));
            prop_assert_eq!(it.outlook(at(minute)), again.outlook(at(minute)));
        }
    }
}
