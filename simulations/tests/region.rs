//! A region as a daemon sees it that runs beside it.
//!
//! **In:** seeds, faults and instructions. **Out:** panics of failed tests.
//! **Not here:** the parts behind it (`world.rs`, and beside the modules), the two weeks before
//! the start (`past.rs`), the demo's scenario as a run (`demo.rs`).

use std::fmt::Write as _;

use evenkeel_sim::exporter::{Exporter, Metric};
use evenkeel_sim::fault::{Fault, FaultKind, Schedule};
use evenkeel_sim::provider::{Inventory, Provider};
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{DEMO, Scenario, ScenarioKind};
use evenkeel_sim::world::spec::UNITS_MAX;
use evenkeel_sim::world::{ServiceSpec, World, WorldSpec};
use evenkeel_sim::{ProviderFault, Region};
use expect_test::expect;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// A Friday at 07:00 UTC.
fn start() -> Timestamp {
    "2026-11-20T07:00:00Z".parse().expect("valid")
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn demo() -> RegionScenario {
    let scenario = Scenario::parse("demo.yaml", DEMO).expect("the demo is valid");
    let ScenarioKind::Region(scenario) = scenario.kind else { panic!("the demo is a region") };
    *scenario
}

/// The demo with its two incidents.
fn demo_region(seed: u64) -> Region {
    Region::from_scenario(&demo(), seed, start()).expect("the demo is valid")
}

/// The demo's services with other faults.
fn region(seed: u64, faults: Vec<Fault>) -> Region {
    Region::with(seed, start(), demo().world, faults).expect("the demo is valid")
}

fn fault(from: i64, until: i64, kind: FaultKind) -> Fault {
    Fault { from, until, kind }
}

fn shown(region: &Region, metric: &str, service: &str) -> Option<f64> {
    region.metric(metric, service).expect("the backend is up").map(|(value, _)| value)
}

#[test]
fn equal_seeds_give_equal_traces_and_others_do_not() {
    let run = |seed| {
        let mut region = demo_region(seed);
        let mut trace = String::new();
        for minute in 0..180 {
            region.advance(after(60 * minute));
            if minute % 10 == 3 {
                let units = u32::try_from(minute / 4 + 5).expect("small");
                region.set_capacity("search-api", units, None).expect("the provider works");
            }
            let names: Vec<String> = region.services().map(|it| it.name.clone()).collect();
            for (metric, name) in
                Metric::ALL.iter().flat_map(|it| names.iter().map(move |n| (it, n)))
            {
                writeln!(trace, "{:?}", region.metric(metric.name(), name)).expect("to a string");
            }
        }
        writeln!(trace, "{:?}", region.incidents()).expect("to a string");
        (region.fingerprint(), trace)
    };
    assert!(run(7) == run(7), "equal seeds, equal traces to the byte");
    assert_ne!(run(7).0, run(8).0);
}

#[test]
fn the_number_of_calls_that_pass_a_span_makes_no_difference() {
    let mut at_once = demo_region(5);
    at_once.advance(after(5_400));
    let mut in_pieces = demo_region(5);
    for millisecond in (0..=5_400_000).step_by(733) {
        in_pieces.advance(start() + SignedDuration::from_millis(millisecond));
    }
    in_pieces.advance(after(5_400));
    in_pieces.advance(after(180)); // has passed: changes nothing
    assert_eq!(at_once.fingerprint(), in_pieces.fingerprint());
    assert_eq!(at_once.incidents(), in_pieces.incidents());
    assert_eq!(at_once.now(), after(5_400));
}

// The order within a second is the run's: a daemon beside the region and one inside a run see
// the same.
#[test]
fn it_is_the_parts_in_the_order_of_a_run() {
    let scenario = demo();
    let mut region = demo_region(3);
    let begins_at = start() - SignedDuration::from_secs(scenario.warm_up);
    let mut world = World::new(3, begins_at, scenario.world.clone()).expect("valid");
    let mut exporter = Exporter::new(3, scenario.exporter, scenario.world.services.len());
    let mut provider = Provider::new(3, &world);
    let mut schedule = Schedule::new(scenario.faults);
    for at in -scenario.warm_up..6_000 {
        schedule.apply(at, &mut world, &mut exporter, &mut provider);
        world.tick();
        exporter.tick(&world);
        provider.tick(&mut world);
        if at % 600 == 59 && 0 <= at {
            region.advance(world.now());
            let units = world.truth(1).desired + 1;
            provider.set_units(&mut world, 1, units, None);
            region.set_capacity("search-api", units, None).expect("the provider works");
        }
    }
    region.advance(world.now());
    assert_eq!(region.now(), world.now());
    assert_eq!(region.fingerprint(), world.fingerprint());
}

#[test]
fn capacity_boots_and_leaves_at_once() {
    let mut region = region(1, Vec::new());
    let Inventory { desired, ready } = region.inventory("payments-api").expect("is there");
    assert_eq!((desired, ready), (7, 7));
    region.set_capacity("payments-api", 27, Some(7)).expect("allowed");
    assert_eq!(region.inventory("payments-api"), Ok(Inventory { desired: 27, ready: 7 }));
    let mut counts = Vec::new();
    for seconds in [30, 60, 90, 120, 180, 300] {
        region.advance(after(seconds));
        counts.push(region.inventory("payments-api").expect("is there").ready);
    }
    assert_eq!(format!("{counts:?}"), "[7, 7, 12, 19, 25, 27]", "half of 20 after some 90 s");
    region.set_capacity("payments-api", 3, Some(27)).expect("allowed");
    assert_eq!(region.inventory("payments-api"), Ok(Inventory { desired: 3, ready: 3 }));
    let truth = region.truth("payments-api").expect("is there");
    assert_eq!((truth.ready, truth.current), (3, 3));
}

#[test]
fn told_the_same_again_it_changes_nothing() {
    let run = |times: usize| {
        let mut region = region(9, Vec::new());
        for minute in 0..10 {
            region.advance(after(60 * minute));
            for _ in 0..times {
                region.set_capacity("checkout-api", 40, None).expect("allowed");
            }
        }
        region.fingerprint()
    };
    assert_eq!(run(1), run(5));
}

#[test]
fn a_refusal_names_what_there_is_and_changes_nothing() {
    let mut region = region(1, Vec::new());
    let refusals = [
        region.set_capacity("checkout", 4, None),
        region.set_capacity("checkout-api", 4, Some(9)),
        region.set_capacity("checkout-api", UNITS_MAX + 1, Some(8)),
        region.inventory("checkout").map(|_| ()),
    ];
    let told: Vec<String> =
        refusals.into_iter().map(|refusal| refusal.expect_err("refused").to_string()).collect();
    expect![[r#"
        the region has no service `checkout`; it has checkout-api, search-api, catalog-web, image-resizer, payments-api
        service `checkout-api` is set to 8 units, not the expected 9; read it again and decide anew
        service `checkout-api`: 5001 units are above the quota of 5000; ask for less
        the region has no service `checkout`; it has checkout-api, search-api, catalog-web, image-resizer, payments-api"#]]
    .assert_eq(&told.join("\n"));
    assert_eq!(region.inventory("checkout-api"), Ok(Inventory { desired: 8, ready: 8 }));
    assert_eq!(region.truth("checkout"), None);
    assert_eq!(region.load_metric("checkout"), None);
}

#[test]
fn many_names_are_not_all_listed() {
    let one = demo().world.services.remove(0);
    let services = (0..30).map(|n| ServiceSpec { name: format!("s{n}"), ..one.clone() }).collect();
    let spec = WorldSpec { services, ..demo().world };
    let mut region = Region::with(1, start(), spec, Vec::new()).expect("valid");
    let error = region.inventory("nowhere").expect_err("is not there").to_string();
    assert!(error.ends_with("s18, s19, …"), "{error}");
    assert!(region.inventory("s29").is_ok());
}

#[test]
fn a_region_that_cannot_be_is_refused() {
    let mut spec = demo().world;
    spec.services.truncate(2);
    spec.services[1].name = "checkout-api".to_owned();
    let error = Region::with(1, start(), spec, Vec::new()).expect_err("two of one name");
    expect!["service `checkout-api`: name is `checkout-api`; it must be a name of its own"]
        .assert_eq(&error.to_string());
}

#[test]
fn the_demo_starts_within_its_objectives() {
    let scenario = demo();
    let region = Region::from_scenario(&scenario, 1, scenario.starts_at).expect("valid");
    assert_eq!((region.start(), region.now()), (scenario.starts_at, scenario.starts_at));
    let mut table = String::new();
    for spec in region.services() {
        let load = region.load_metric(&spec.name).expect("is there").name();
        let shown = |metric| shown(&region, metric, &spec.name).expect("was scraped");
        let (load, latency) = (shown(load), shown("latency_p95_seconds"));
        assert!(latency <= spec.objective_seconds, "{}: {latency}", spec.name);
        let queue = shown("queue_depth");
        writeln!(table, "{} {load:.0}/s {latency:.2} s queue {queue:.1}", spec.name)
            .expect("to a string");
    }
    expect![[r#"
        checkout-api 246/s 0.12 s queue 0.1
        search-api 832/s 0.15 s queue 0.0
        catalog-web 740/s 0.07 s queue 0.0
        image-resizer 107/s 0.75 s queue 0.0
        payments-api 44/s 0.30 s queue 0.0
    "#]]
    .assert_eq(&table);
    assert_eq!(shown(&region, "http_requests_per_second", "image-resizer"), None);
    assert_eq!(shown(&region, "queue_arrivals_per_second", "checkout-api"), None);
    assert_eq!(shown(&region, "no_such_metric", "checkout-api"), None);
    assert_eq!(shown(&region, "http_requests_per_second", "nowhere"), None);
}

#[test]
fn the_exporter_lies_for_ten_minutes_while_the_load_stays() {
    let mut region = demo_region(1);
    let mut told = String::new();
    for minute in [34, 36, 44, 46] {
        region.advance(after(60 * minute));
        let shown = |metric| shown(&region, metric, "checkout-api").expect("is there");
        let truth = region.truth("checkout-api").expect("is there");
        writeln!(
            told,
            "{minute} min: shows {:.0}/s and {:.2} s; true {:.0}/s on {}",
            shown("http_requests_per_second"),
            shown("latency_p95_seconds"),
            truth.load,
            truth.current,
        )
        .expect("to a string");
    }
    expect![[r#"
        34 min: shows 294/s and 0.12 s; true 296/s on 8
        36 min: shows 0/s and 0.00 s; true 302/s on 8
        44 min: shows 0/s and 0.00 s; true 310/s on 8
        46 min: shows 306/s and 0.12 s; true 302/s on 8
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_sample_has_the_time_it_was_taken() {
    let mut region = region(2, Vec::new());
    let mut ages = Vec::new();
    for seconds in 0..600 {
        region.advance(after(seconds));
        let read = region.metric("http_requests_per_second", "search-api").expect("is up");
        ages.push(region.now().duration_since(read.expect("was scraped").1).as_secs());
    }
    // Every 15 s, seen 2 s later.
    assert_eq!((ages.iter().min(), ages.iter().max()), (Some(&2), Some(&16)));
}

#[test]
fn monitoring_that_fails_is_seen_to_fail() {
    let faults = vec![
        fault(60, 120, FaultKind::BackendDown),
        fault(180, 240, FaultKind::BackendEmpty),
        fault(300, 360, FaultKind::BackendSkew { seconds: 90 }),
        fault(420, 480, FaultKind::ScrapesFail { service: Some(0) }),
    ];
    let mut region = region(1, faults);
    let mut told = String::new();
    for seconds in [59, 100, 220, 340, 475, 520] {
        region.advance(after(seconds));
        let read = region.metric("http_requests_per_second", "checkout-api");
        let read = read.map(|it| it.map(|(_, at)| region.now().duration_since(at).as_secs()));
        writeln!(told, "{seconds} s: {read:?}").expect("to a string");
    }
    expect![[r#"
        59 s: Ok(Some(5))
        100 s: Err(BackendDown)
        220 s: Ok(None)
        340 s: Ok(Some(-74))
        475 s: Ok(Some(61))
        520 s: Ok(Some(16))
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_provider_that_fails_says_so() {
    let faults = vec![
        fault(60, 120, FaultKind::ProviderDown),
        fault(180, 240, FaultKind::NoAnswer { ratio: 1.0 }),
        fault(300, 360, FaultKind::LateChanges { seconds: 30 }),
    ];
    let mut region = region(1, faults);
    region.advance(after(100));
    let expected = ProviderFault::Rejected("the provider's API refused the connection".to_owned());
    assert_eq!(region.set_capacity("checkout-api", 20, None), Err(expected.clone()));
    assert_eq!(region.inventory("checkout-api"), Err(expected));
    region.advance(after(200));
    let unknown = region.set_capacity("checkout-api", 20, None);
    assert!(matches!(unknown, Err(ProviderFault::NoAnswer(_))), "{unknown:?}");
    region.advance(after(310));
    let before = region.inventory("search-api").expect("it works").desired;
    region.set_capacity("search-api", before + 1, None).expect("done, it says");
    assert_eq!(region.inventory("search-api").expect("it works").desired, before);
    region.advance(after(341));
    assert_eq!(region.inventory("search-api").expect("it works").desired, before + 1);
}

#[test]
fn another_automation_sets_units() {
    let kind = FaultKind::OtherAutomation { service: 0, units: 30, every: 120 };
    let mut region = region(1, vec![fault(60, 240, kind)]);
    let mut desired = Vec::new();
    for seconds in [60, 61, 180, 181, 400] {
        region.advance(after(seconds));
        desired.push(region.inventory("checkout-api").expect("it works").desired);
        region.set_capacity("checkout-api", 10, None).expect("it works");
    }
    assert_eq!(desired, [8, 30, 10, 30, 10]);
}

#[test]
fn incidents_are_told_as_they_are_reached() {
    let mut region = demo_region(1);
    let mut told = String::new();
    for minute in 0..120 {
        let n_before = region.incidents().len();
        region.advance(after(60 * minute + 1));
        for incident in &region.incidents()[n_before..] {
            assert_eq!(incident.at, after(60 * minute), "told in the second it happens");
            writeln!(told, "{} {}", incident.at, incident.what).expect("to a string");
        }
    }
    expect![[r#"
        2026-11-20T07:35:00Z the metrics of checkout-api read zero
        2026-11-20T07:45:00Z over: the metrics of checkout-api read zero
        2026-11-20T08:10:00Z load of search-api is 2.2 times the usual
        2026-11-20T08:50:00Z over: load of search-api is 2.2 times the usual
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_flash_crowd_that_nobody_meets_costs_the_objective() {
    let ratios = |units: Option<u32>| {
        let mut region = demo_region(1);
        region.advance(after(3_900));
        if let Some(units) = units {
            region.set_capacity("search-api", units, None).expect("allowed");
        }
        region.advance(after(6_600));
        let truth = region.truth("search-api").expect("is there");
        (truth.slo_good_ratio.expect("arrived"), truth.unserved_ratio.expect("arrived"))
    };
    let (good, unserved) = ratios(None);
    assert!(good < 0.8 && 0.1 < unserved, "unmet: good {good}, unserved {unserved}");
    let (good, unserved) = ratios(Some(60));
    assert!(0.97 < good && unserved < 0.001, "met: good {good}, unserved {unserved}");
}

#[test]
fn cost_is_units_times_hours_times_price() {
    let mut region = region(1, Vec::new());
    region.advance(after(3_600));
    region.set_capacity("payments-api", 3, None).expect("allowed");
    region.advance(after(3 * 3_600));
    let truth = region.truth("payments-api").expect("is there");
    let expected = (7.0 + 2.0 * 3.0) * 0.21;
    assert!((truth.cost_usd - expected).abs() < 1e-9, "{} is not {expected}", truth.cost_usd);
}

#[test]
fn sums_begin_with_the_region_and_not_with_its_warm_up() {
    let truth = demo_region(1).truth("checkout-api").expect("is there");
    assert_eq!((truth.slo_good_ratio, truth.unserved_ratio), (None, None));
    assert_eq!(truth.cost_usd.to_bits(), 0f64.to_bits());
    assert!(0.0 < truth.load, "{truth:?}");
}

#[test]
fn the_edges_of_time_are_reached_without_a_panic() {
    for edge in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
        let mut region = Region::from_scenario(&demo(), 1, edge).expect("valid");
        region.advance(Timestamp::MIN);
        region.advance(edge.saturating_add(SignedDuration::from_secs(5)).expect("saturates"));
        assert!(region.truth("search-api").is_some());
        assert!(region.metric("queue_depth", "search-api").is_ok());
        assert!(region.history("search-api", 1, SignedDuration::from_hours(1)).len() <= 24);
    }
}

#[test]
fn a_far_instant_is_reached_in_steps() {
    let mut spec = demo().world;
    spec.services.truncate(1);
    let mut region = Region::with(1, start(), spec, Vec::new()).expect("valid");
    region.advance(Timestamp::MAX);
    assert_eq!(region.now(), start() + evenkeel_sim::region::ADVANCE_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Whatever is asked of the provider, no number becomes negative, infinite, or a ratio above 1.
    #[test]
    fn every_number_stays_in_its_range(
        seed in any::<u64>(),
        orders in prop::collection::vec((0usize..5, 0u32..120, 0i64..240), 1..30),
        factor in 0.0f64..20.0,
    ) {
        let surge = FaultKind::Surge { service: 3, factor, ramp: 60 };
        let mut region = region(seed, vec![fault(180, 660, surge)]);
        let names: Vec<String> = region.services().map(|spec| spec.name.clone()).collect();
        let mut cost = 0.0;
        for (service, units, seconds) in orders {
            region.set_capacity(&names[service], units, None).expect("below the quota");
            let inventory = region.inventory(&names[service]).expect("it works");
            prop_assert_eq!(inventory.desired, units);
            region.advance(region.now() + SignedDuration::from_secs(seconds));
            let mut total = 0.0;
            for name in &names {
                for metric in Metric::ALL {
                    let read = region.metric(metric.name(), name).expect("the backend is up");
                    let Some((value, at)) = read else { continue };
                    prop_assert!(value.is_finite() && 0.0 <= value, "{:?} {value}", metric);
                    prop_assert!(at <= region.now());
                }
                let truth = region.truth(name).expect("is there");
                prop_assert!(truth.ready <= truth.current);
                for ratio in [truth.slo_good_ratio, truth.unserved_ratio].into_iter().flatten() {
                    prop_assert!((0.0..=1.0).contains(&ratio), "{:?}", truth);
                }
                total += truth.cost_usd;
            }
            prop_assert!(cost <= total);
            cost = total;
        }
    }
}
