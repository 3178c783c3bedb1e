//! What region scenarios may say, and what bad ones get.
//!
//! **In:** texts.
//! **Out:** a checked scenario; or file, line, column, what is wrong, and what to do.
//! **Not here:** running them, capacity scenarios (`tests/capacity_files.rs`).

#[path = "scenario_files/money.rs"]
mod money;
#[path = "scenario_files/refused.rs"]
mod refused;
#[path = "scenario_files/refused_lines.rs"]
mod refused_lines;
#[path = "scenario_files/variants.rs"]
mod variants;

use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};
use evenkeel_sim::world::ServiceKind;
use expect_test::expect;
use proptest::prelude::*;

const FLEET: &str = include_str!("../scenarios/fleet.yaml");

/// A small region that says everything once.
const SHOP: &str = "\
apiVersion: evenkeel/v1
kind: Scenario
metadata: { name: shop, incident: 1 }
spec:
  region:
    about: The metrics backend is empty.
    starts_at: 2026-03-02T09:00:00Z
    warm_up: 10m
    lasts: 3h
    evaluation_period: 30s
    zones: [a, b]
    zone_units_max: 500
    launches_per_minute: 60
    fail_open_ratio: 0.6
    scrape: { period: 30s, lag: 5s, misses_ratio: 0.01 }
    services:
      - name: web
        kind: web
        timeout: 1500ms
        queue_per_unit: 50
        load: { trough: 200, peak: 1000, peak_hour: 15, weekend_ratio: 0.8, noise_ratio: 0.05 }
        calls: [{ service: items, per_request: 0.5, needed: false }]
        unit: { slots: 4, service_time: 80ms, cpu_ratio: 0.7 }
        units: { start: 20, min: 3, max: 60 }
        boot: { median: 2m, sigma: 0.5 }
        start_calls: 10
        retries: { retries: 2, budget_ratio: 0.1 }
        objective: { latency: 300ms, good_ratio: 0.99 }
        price_usd_per_hour: 0.2
        critical: false
      - name: mail
        kind: workers
        queue_max: 5000
        load: { trough: 1, peak: 9, peak_hour: 9.5, weekend_ratio: 1, noise_ratio: 0 }
        calls: [{ service: db, per_request: 1 }]
        unit: { slots: 1, service_time: 1s, cpu_ratio: 1 }
        units: { start: 12, min: 1, max: 20 }
        objective: { latency: 1m, good_ratio: 0.9 }
        price_usd_per_hour: 0.1
      - name: items
        kind: cache
        cache: { items: 1000000, zipf_exponent: 0.9, items_per_unit: 200000 }
        calls: [{ service: db, per_request: 1 }]
        unit: { slots: 16, service_time: 2ms, cpu_ratio: 0.5 }
        units: { start: 3, min: 3, max: 6 }
        objective: { latency: 50ms, good_ratio: 0.99 }
        price_usd_per_hour: 0.3
      - name: db
        kind: database
        writes_ratio: 0.1
        unit: { slots: 16, service_time: 10ms, cpu_ratio: 0.5 }
        units: { start: 3, min: 3, max: 6 }
        objective: { latency: 100ms, good_ratio: 0.99 }
        price_usd_per_hour: 0.9
        scaled: false
    faults:
      - { at: 40m, for: 20m, series_gone: { service: web } }
    swarm: { faults_per_hour: 4, longest: 15m, people: true }
    people:
      - { at: 50m, freeze: { services: [web], for: 30m } }
    must:
      - { recover_within: 20m }
    must_not:
      - { remove: { service: web, from: 40m, until: 60m } }
    fails: [reflex, hpa]
";

const DOCUMENTS: &str = "\
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: web, labels: { service: web } }
spec:
  region: here
  provider: { simulated: { service: web } }
  capacity: { min: 3, max: 60 }
";

#[track_caller]
fn parse(text: &str) -> RegionScenario {
    match Scenario::parse("shop.yaml", text) {
        Ok(Scenario { kind: ScenarioKind::Region(region), .. }) => *region,
        Ok(Scenario { kind: ScenarioKind::Capacity(_), .. }) => panic!("not a region"),
        Err(it) => panic!("{it}\n{}", it.snippet),
    }
}

/// The shop with one text exchanged.
#[track_caller]
fn shop(before: &str, after: &str) -> String {
    let text = format!("{SHOP}{DOCUMENTS}");
    assert!(text.contains(before), "{before}");
    text.replacen(before, after, 1)
}

/// The shop with one more line of faults, people or expectations.
fn with(list: &str, line: &str) -> String {
    shop(&format!("    {list}:\n"), &format!("    {list}:\n      - {line}\n"))
}

#[test]
fn everything_that_is_written_is_read() {
    let it = parse(SHOP);
    let services: Vec<String> =
        it.world.services.iter().map(|service| format!("{service:?}\n")).collect();
    expect![[r#"
        shop Some(1) "The metrics backend is empty.", 2026-03-02T09:00:00Z, warm-up 600, lasts 10800, every 30
        ["a", "b"] 500 60 0.6 ExporterSpec { scrape_seconds: 30, lag_seconds: 5, misses_ratio: 0.01 }
        ServiceSpec { name: "web", kind: Web { queue_per_unit_max: 50.0, timeout_seconds: 1.5 }, load: Some(LoadCurve { trough_rps: 200.0, peak_rps: 1000.0, peak_hour: 15.0, weekend_ratio: 0.8, noise_ratio: 0.05 }), calls: [CallSpec { service: 2, per_request: 0.5, is_needed: false }], unit: UnitSpec { slots: 4, service_seconds: 0.08, cpu_ratio: 0.7 }, units_start: 20, units_min: 3, units_max: 60, boot_median_seconds: 120.0, boot_sigma: 0.5, start_calls: 10.0, retries: RetrySpec { retries: 2, budget_ratio: Some(0.1) }, objective_seconds: 0.3, objective_ratio: 0.99, unit_usd_per_hour: 0.2, is_scaled: true, is_critical: false }
        ServiceSpec { name: "mail", kind: Workers { queue_max: 5000.0 }, load: Some(LoadCurve { trough_rps: 1.0, peak_rps: 9.0, peak_hour: 9.5, weekend_ratio: 1.0, noise_ratio: 0.0 }), calls: [CallSpec { service: 3, per_request: 1.0, is_needed: true }], unit: UnitSpec { slots: 1, service_seconds: 1.0, cpu_ratio: 1.0 }, units_start: 12, units_min: 1, units_max: 20, boot_median_seconds: 90.0, boot_sigma: 0.3, start_calls: 0.0, retries: RetrySpec { retries: 0, budget_ratio: None }, objective_seconds: 60.0, objective_ratio: 0.9, unit_usd_per_hour: 0.1, is_scaled: true, is_critical: true }
        ServiceSpec { name: "items", kind: Cache { items: 1000000.0, zipf_exponent: 0.9, items_per_unit: 200000.0, timeout_seconds: 2.0 }, load: None, calls: [CallSpec { service: 3, per_request: 1.0, is_needed: true }], unit: UnitSpec { slots: 16, service_seconds: 0.002, cpu_ratio: 0.5 }, units_start: 3, units_min: 3, units_max: 6, boot_median_seconds: 90.0, boot_sigma: 0.3, start_calls: 0.0, retries: RetrySpec { retries: 0, budget_ratio: None }, objective_seconds: 0.05, objective_ratio: 0.99, unit_usd_per_hour: 0.3, is_scaled: true, is_critical: true }
        ServiceSpec { name: "db", kind: Database { queue_per_unit_max: 100.0, timeout_seconds: 2.0, writes_ratio: 0.1 }, load: None, calls: [], unit: UnitSpec { slots: 16, service_seconds: 0.01, cpu_ratio: 0.5 }, units_start: 3, units_min: 3, units_max: 6, boot_median_seconds: 90.0, boot_sigma: 0.3, start_calls: 0.0, retries: RetrySpec { retries: 0, budget_ratio: None }, objective_seconds: 0.1, objective_ratio: 0.99, unit_usd_per_hour: 0.9, is_scaled: false, is_critical: true }
        [Fault { from: 2400, until: 3600, kind: SeriesGone { service: Some(0) } }]
        Some(Swarm { faults_per_hour: 4.0, longest: 900, has_people: true })
        [Act { when: At(3000), deed: Freeze { services: [0], seconds: 1800 } }]
        [RecoverWithin { seconds: 1200 }]
        [Remove { service: 0, span: Span { from: 2400, until: 3600 } }]
        ["reflex", "hpa"]
    "#]].assert_eq(&format!(
        "{} {:?} {:?}, {}, warm-up {}, lasts {}, every {}\n{:?} {} {} {} {:?}\n{}{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n",
        it.name,
        it.incident,
        it.about,
        it.starts_at,
        it.warm_up,
        it.lasts,
        it.evaluation_period,
        it.world.zones,
        it.world.zone_units_max,
        it.world.launches_per_minute_max,
        it.world.fail_open_ratio,
        it.exporter,
        services.concat(),
        it.faults,
        it.swarm,
        it.people,
        it.must,
        it.must_not,
        it.fails
    ));
}

#[test]
fn what_is_not_written_has_a_default() {
    let text = SHOP
        .lines()
        .filter(|it| {
            let optional = [
                "warm_up:",
                "evaluation_period:",
                "zones:",
                "zone_units_max:",
                "launches_per",
                "fail_open",
                "scrape:",
                "timeout:",
                "queue_per",
                "queue_max:",
                "boot:",
                "start_calls:",
                "retries:",
                "scaled:",
                "critical:",
                "writes_ratio:",
                "swarm:",
                "fails:",
            ];
            !optional.iter().any(|field| it.trim_start().starts_with(field))
        })
        .map(|it| it.replace(", incident: 1", "").replace(", needed: false", "") + "\n")
        .collect::<String>();
    let it = parse(&text);
    let services: Vec<String> = it
        .world
        .services
        .iter()
        .map(|it| {
            format!(
                "{}: {:?}, boot {} {}, start {}, {:?}, needed {:?}, scaled {}, critical {}",
                it.name,
                it.kind,
                it.boot_median_seconds,
                it.boot_sigma,
                it.start_calls,
                it.retries,
                it.calls.iter().map(|it| it.is_needed).collect::<Vec<_>>(),
                it.is_scaled,
                it.is_critical
            )
        })
        .collect();
    expect![[r#"
        None 1200 15 ["a", "b", "c"] 1000 120 0.5 ExporterSpec { scrape_seconds: 15, lag_seconds: 2, misses_ratio: 0.002 }
        None None []
        web: Web { queue_per_unit_max: 100.0, timeout_seconds: 2.0 }, boot 90 0.3, start 0, RetrySpec { retries: 0, budget_ratio: None }, needed [true], scaled true, critical true
        mail: Workers { queue_max: 1000000.0 }, boot 90 0.3, start 0, RetrySpec { retries: 0, budget_ratio: None }, needed [true], scaled true, critical true
        items: Cache { items: 1000000.0, zipf_exponent: 0.9, items_per_unit: 200000.0, timeout_seconds: 2.0 }, boot 90 0.3, start 0, RetrySpec { retries: 0, budget_ratio: None }, needed [true], scaled true, critical true
        db: Database { queue_per_unit_max: 100.0, timeout_seconds: 2.0, writes_ratio: 0.2 }, boot 90 0.3, start 0, RetrySpec { retries: 0, budget_ratio: None }, needed [], scaled true, critical true
    "#]].assert_eq(&format!(
        "{:?} {} {} {:?} {} {} {} {:?}\n{:?} {:?} {:?}\n{}\n",
        it.incident,
        it.warm_up,
        it.evaluation_period,
        it.world.zones,
        it.world.zone_units_max,
        it.world.launches_per_minute_max,
        it.world.fail_open_ratio,
        it.exporter,
        it.swarm,
        it.documents,
        it.fails,
        services.join("\n")
    ));
}

#[test]
fn documents_behind_the_scenario_are_the_agents() {
    let it = parse(&shop("shop", "shop"));
    let documents = it.documents.unwrap();
    assert_eq!(documents.targets().map(|it| it.id.to_string()).collect::<Vec<_>>(), ["web"]);
    assert!(parse(SHOP).documents.is_none());
    assert!(parse(&format!("# first\n---\n{SHOP}---\n# nothing\n")).documents.is_none());
}

#[test]
fn the_fleet_can_be_read_and_is_as_large_as_it_says() {
    let it = match Scenario::parse("fleet.yaml", FLEET).unwrap().kind {
        ScenarioKind::Region(it) => it,
        ScenarioKind::Capacity(_) => unreachable!("it has a region"),
    };
    let services = &it.world.services;
    let count =
        |fits: fn(&ServiceKind) -> bool| services.iter().filter(|it| fits(&it.kind)).count();
    assert_eq!(services.len(), 20);
    assert_eq!(count(|it| matches!(it, ServiceKind::Workers { .. })), 3);
    assert_eq!(count(|it| matches!(it, ServiceKind::Cache { .. })), 2);
    assert_eq!(count(|it| matches!(it, ServiceKind::Database { .. })), 2);
    assert!(it.documents.is_none());
    // What reaches every service at the peak when every cache answers `hits` of its requests.
    let at_peak = |hits: f64| {
        let mut rps: Vec<f64> =
            services.iter().map(|it| it.load.map_or(0.0, |it| it.peak_rps)).collect();
        for (place, service) in services.iter().enumerate() {
            let is_cache = matches!(service.kind, ServiceKind::Cache { .. });
            let passed = rps[place] * if is_cache { 1.0 - hits } else { 1.0 };
            for call in &service.calls {
                rps[call.service] += passed * call.per_request;
            }
        }
        rps
    };
    let own_share = |hits| {
        let rps = at_peak(hits);
        let share = services
            .iter()
            .zip(rps)
            .map(|(it, rps)| (it, rps / (f64::from(it.units_start) * it.unit.rps())));
        share.collect::<Vec<_>>()
    };
    for (service, share) in own_share(0.8) {
        // Slots are held during calls as well, so own work is far from all.
        assert!(share < 0.8, "{}: {share} of its units' own rate", service.name);
        assert!((5..=30).contains(&service.units_start), "{}", service.name);
    }
    for (service, share) in own_share(0.0) {
        if !service.is_scaled {
            assert!(share < 0.6, "{}: {share} with cold caches", service.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // A typing slip anywhere is an error or a scenario, never a panic, and its place exists.
    #[test]
    fn no_slip_panics(at in 0..SHOP.len(), what in "[-a-z0-9:{}\\[\\], .'\"\\n]{0,4}", cut in 0usize..8) {
        let end = (at + cut).min(SHOP.len());
        let text = format!("{}{what}{}{DOCUMENTS}", &SHOP[..at], &SHOP[end..]);
        if let Err(it) = Scenario::parse("shop.yaml", &text) {
            prop_assert!(1 <= it.line && 1 <= it.column);
            prop_assert!(it.line <= text.lines().count() + 1, "{it}");
            prop_assert!(!it.message.is_empty() && !it.hint.is_empty(), "{it}");
        }
    }
}
