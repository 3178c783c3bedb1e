//! The load before a region's start.
//!
//! **In:** seeds and questions about the past. **Out:** panics of failed tests.
//! **Not here:** how the region behaves from its start on (`region.rs`).

use evenkeel_sim::Region;
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{DEMO, Scenario, ScenarioKind};
use jiff::{SignedDuration, Timestamp};

const FLEET: &str = include_str!("../scenarios/fleet.yaml");

/// A Friday at 07:00 UTC.
fn start() -> Timestamp {
    "2026-11-20T07:00:00Z".parse().expect("valid")
}

fn scenario(text: &str) -> RegionScenario {
    let scenario = Scenario::parse("scenario.yaml", text).expect("is valid");
    let ScenarioKind::Region(scenario) = scenario.kind else { panic!("it is a region") };
    *scenario
}

fn region(text: &str) -> Region {
    Region::from_scenario(&scenario(text), 4, start()).expect("is valid")
}

/// The past ends where the region begins, and a day after is like a day before, also of services
/// that only others call.
#[track_caller]
fn check(text: &str, tolerance: f64) {
    let mut region = region(text);
    let step = SignedDuration::from_mins(5);
    let names: Vec<String> = region.services().map(|it| it.name.clone()).collect();
    for name in &names {
        let history = region.history(name, 14, step);
        assert_eq!(history.len(), 4_032);
        assert_eq!(history[0].0, start() - SignedDuration::from_hours(14 * 24));
        assert_eq!(history[4_031].0, start() - step);
        let last = history[4_031].1;
        let load = region.load_metric(name).expect("is there").name();
        let read = region.metric(load, name).expect("the backend is up");
        let (now, _) = read.expect("was scraped");
        assert!((now / last - 1.0).abs() < tolerance, "{name}: {last} then {now}");
        assert_eq!(region.history(name, 1, step), history[4_032 - 288..], "{name}");
    }
    let before = region.history(&names[2], 2, step);
    region.advance(start() + SignedDuration::from_mins(30));
    assert_eq!(region.history(&names[2], 2, step), before);
}

#[test]
fn the_past_goes_on_into_the_present() {
    check(DEMO, 0.15);
    check(FLEET, 0.25);
}

#[test]
fn the_past_has_days_and_weekends() {
    let region = region(DEMO);
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
    let region = region(DEMO);
    let n = |service: &str, days, step| region.history(service, days, step).len();
    assert_eq!(n("nowhere", 14, SignedDuration::from_mins(5)), 0);
    assert_eq!(n("checkout-api", 0, SignedDuration::from_mins(5)), 0);
    assert_eq!(n("checkout-api", u32::MAX, SignedDuration::MAX), 0);
    assert_eq!(n("checkout-api", u32::MAX, SignedDuration::from_secs(1)), 200_000);
    // A step below a second counts as one.
    assert_eq!(n("checkout-api", 1, SignedDuration::ZERO), 86_400);
    assert_eq!(n("checkout-api", 1, SignedDuration::MIN), 86_400);
}
