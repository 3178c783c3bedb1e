//! The load before the region's start.
//!
//! **In:** seeds and questions about the past. **Out:** panics of failed tests.
//! **Not here:** how the region behaves from its start on (see `region.rs`).

use evenkeel_sim::Region;
use evenkeel_sim::spec::demo_services;
use jiff::{SignedDuration, Timestamp};

/// A Friday at 07:00 UTC.
fn start() -> Timestamp {
    "2026-11-20T07:00:00Z".parse().expect("valid")
}

#[test]
fn the_past_goes_on_into_the_present() {
    let mut region = Region::new(4, start());
    let step = SignedDuration::from_mins(5);
    for spec in demo_services() {
        let history = region.history(&spec.name, 14, step);
        assert_eq!(history.len(), 4_032);
        assert_eq!(history[0].0, start() - SignedDuration::from_hours(14 * 24));
        assert_eq!(history[4_031].0, start() - step);
        let last = history[4_031].1;
        let now = region.metric(spec.load_metric(), &spec.name).expect("every service has load");
        assert!((now / last - 1.0).abs() < 0.15, "{}: {last} then {now}", spec.name);
        assert_eq!(region.history(&spec.name, 1, step), history[4_032 - 288..], "{}", spec.name);
    }
    let before = region.history("catalog-web", 2, step);
    region.advance(start() + SignedDuration::from_mins(30));
    assert_eq!(region.history("catalog-web", 2, step), before);
}

#[test]
fn the_past_has_days_and_weekends() {
    let region = Region::new(4, start());
    let history = region.history("checkout-api", 14, SignedDuration::from_hours(1));
    let loads = |from: &str| {
        let from: Timestamp = from.parse().expect("valid");
        let on_that_day = history
            .iter()
            .filter(|(at, _)| from <= *at && *at < from + SignedDuration::from_hours(24));
        let loads: Vec<f64> = on_that_day.map(|(_, load)| *load).collect();
        let most = loads.iter().copied().fold(0.0, f64::max);
        let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
        (least, most)
    };
    let (night, peak) = loads("2026-11-17T00:00:00Z"); // a Tuesday
    assert!(3.0 * night < peak, "night {night}, peak {peak}");
    let (_, saturday) = loads("2026-11-14T00:00:00Z");
    assert!(saturday < 0.97 * peak, "Saturday {saturday}, Tuesday {peak}");
}

#[test]
fn a_strange_question_about_the_past_gets_an_empty_or_a_bounded_answer() {
    let region = Region::new(4, start());
    let n = |service: &str, days, step| region.history(service, days, step).len();
    assert_eq!(n("nowhere", 14, SignedDuration::from_mins(5)), 0);
    assert_eq!(n("checkout-api", 14, SignedDuration::ZERO), 0);
    assert_eq!(n("checkout-api", 14, SignedDuration::MIN), 0);
    assert_eq!(n("checkout-api", u32::MAX, SignedDuration::MAX), 0);
    assert_eq!(n("checkout-api", u32::MAX, SignedDuration::from_secs(1)), 200_000);
}
