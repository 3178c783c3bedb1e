//! The region's fluid model: closed forms, conservation, and what breaks it.

#[path = "world/equal.rs"]
mod equal;
#[path = "world/names.rs"]
mod names;
#[path = "world/properties.rs"]
mod properties;
#[path = "world/tenants.rs"]
mod tenants;
#[path = "world/units.rs"]
mod units;
#[path = "world/upkeep.rs"]
mod upkeep;

use evenkeel_sim::load::LoadCurve;
use evenkeel_sim::queueing::Station;
use evenkeel_sim::world::{
    CallSpec, RetrySpec, ServiceKind, ServiceSpec, UnitSpec, World, WorldSpec,
};
use expect_test::{Expect, expect};
use jiff::Timestamp;

const WEB: ServiceKind = ServiceKind::Web { queue_per_unit_max: 50.0, timeout_seconds: 2.0 };
const WORKERS: ServiceKind = ServiceKind::Workers { queue_max: 100_000.0 };
const DATABASE: ServiceKind =
    ServiceKind::Database { queue_per_unit_max: 50.0, timeout_seconds: 2.0, writes_ratio: 0.25 };
const CACHE: ServiceKind = ServiceKind::Cache {
    items: 100_000.0,
    zipf_exponent: 0.9,
    items_per_unit: 10_000.0,
    timeout_seconds: 2.0,
};

/// Load that is always the same.
fn flat(rps: f64) -> LoadCurve {
    LoadCurve {
        trough_rps: rps,
        peak_rps: rps,
        peak_hour: 12.0,
        weekend_ratio: 1.0,
        noise_ratio: 0.0,
    }
}

/// Ten units of four slots and 0.1 s: 400 requests per second.
fn service(name: &str, kind: ServiceKind, rps: f64, calls: &[(usize, f64)]) -> ServiceSpec {
    let call = |(service, per_request): &(usize, f64)| CallSpec {
        service: *service,
        per_request: *per_request,
        is_needed: true,
    };
    ServiceSpec {
        name: name.to_owned(),
        kind,
        load: (0.0 < rps).then(|| flat(rps)),
        calls: calls.iter().map(call).collect(),
        unit: UnitSpec { slots: 4, service_seconds: 0.1, cpu_ratio: 0.8 },
        units_start: 10,
        units_min: 1,
        units_max: 500,
        boot_median_seconds: 60.0,
        boot_sigma: 0.3,
        start_calls: 0.0,
        retries: RetrySpec { retries: 0, budget_ratio: None },
        objective_seconds: 1.0,
        objective_ratio: 0.99,
        unit_usd_per_hour: 0.1,
        is_scaled: true,
        is_critical: true,
    }
}

fn spec(services: Vec<ServiceSpec>) -> WorldSpec {
    WorldSpec {
        zones: ["a", "b", "c"].map(str::to_owned).to_vec(),
        services,
        launches_per_minute_max: 600.0,
        zone_units_max: 1_000,
        fail_open_ratio: 0.5,
    }
}

#[expect(clippy::unwrap_used, reason = "the specs of these tests are right")]
fn world(services: Vec<ServiceSpec>) -> World {
    World::new(7, Timestamp::UNIX_EPOCH, spec(services)).unwrap()
}

fn pass(world: &mut World, seconds: u32) {
    for _ in 0..seconds {
        world.tick();
    }
}

/// A line per moment: what a person would look at.
fn line(world: &World, service: usize) -> String {
    let it = world.truth(service);
    format!(
        "offered {:.0} arrived {:.0} served {:.0} good {:.0} lost {:.0} queue {:.0} p95 {:.2} cpu {:.2} busy {:.2} ready {}",
        it.offered_rps,
        it.arrived_rps,
        it.served_rps,
        it.good_rps,
        it.lost_rps,
        it.queue,
        it.latency_p95_seconds,
        it.cpu_ratio,
        it.busy_ratio,
        it.ready
    )
}

#[track_caller]
fn check_line(world: &World, service: usize, expected: &Expect) {
    expected.assert_eq(&line(world, service));
}

// ---- closed forms ----

#[test]
fn a_steady_service_waits_as_erlang_says() {
    for units in [1, 3, 10, 40, 400] {
        for utilisation in [0.3, 0.6, 0.8, 0.9, 0.95] {
            let servers = units * 4;
            let station = Station { servers, server_rps: 10.0 };
            let rps = utilisation * station.capacity_rps();
            let mut it = service("a", WEB, rps, &[]);
            it.units_start = units;
            it.kind = ServiceKind::Web { queue_per_unit_max: 1e6, timeout_seconds: 60.0 };
            let mut world = world(vec![it]);
            // Long enough for the slowest, four servers at 95 %.
            pass(&mut world, 900);
            let truth = world.truth(0);
            let expected = 0.1 + station.wait_mean_seconds(rps);
            let found = truth.latency_mean_seconds;
            let context = format!("{servers} servers at {utilisation}: {found} for {expected}");
            assert!((found - expected).abs() < 0.01 * expected, "{context}");
            // Little's law: the queue is the rate times the wait.
            let waits = truth.arrived_rps * (found - 0.1);
            assert!((truth.queue - waits).abs() < 1e-6 * waits.max(1.0), "{context}");
            assert!((truth.busy_ratio - utilisation).abs() < 1e-9, "{context}");
            assert!((truth.cpu_ratio - 0.8 * utilisation).abs() < 1e-9, "{context}");
        }
    }
}

#[test]
fn an_answers_tail_is_exact_for_one_server_and_close_for_many() {
    for (slots, utilisation) in [(1, 0.5), (1, 0.9), (4, 0.8), (40, 0.9)] {
        let mut it = service("a", WEB, utilisation * 10.0 * f64::from(slots), &[]);
        it.kind = ServiceKind::Web { queue_per_unit_max: 1e6, timeout_seconds: 60.0 };
        it.units_start = 1;
        it.unit.slots = slots;
        it.objective_seconds = 0.5;
        let mut world = world(vec![it]);
        pass(&mut world, 3_600);
        let truth = world.truth(0);
        let late = 1.0 - truth.good_rps / truth.offered_rps;
        // P(T > t) of M/M/c, by its two exponentials.
        let station = Station { servers: slots, server_rps: 10.0 };
        let waits = station.waits_probability(truth.offered_rps);
        let drains = station.capacity_rps() - truth.offered_rps;
        let share = waits / (1.0 - drains / 10.0);
        let exact = if (drains - 10.0).abs() < 1e-9 {
            (1.0 + waits * 10.0 * 0.5) * (-5.0f64).exp()
        } else {
            share * (-drains * 0.5).exp() + (1.0 - share) * (-5.0f64).exp()
        };
        let tolerance = if slots == 1 { 1e-6 } else { 0.01 };
        assert!((late - exact).abs() < tolerance, "{slots} at {utilisation}: {late} {exact}");
    }
}

#[test]
fn a_full_queue_turns_away_as_erlang_b_says_where_nobody_can_wait() {
    let mut it = service("a", WEB, 8.0 * 10.0, &[]);
    it.kind = ServiceKind::Web { queue_per_unit_max: 0.0, timeout_seconds: 60.0 };
    it.units_start = 1;
    it.unit.slots = 10;
    let mut world = world(vec![it]);
    pass(&mut world, 3);
    // Erlang B of 10 servers and 8 erlangs, from the tables.
    let refused = world.truth(0).errors_rps / 80.0;
    assert!((refused - 0.1217).abs() < 0.001, "{refused}");
}

#[test]
fn demand_reaches_the_last_callee_in_the_same_second_and_latency_comes_back_later() {
    let services = vec![
        service("a", WEB, 50.0, &[(1, 2.0)]),
        service("b", WEB, 0.0, &[(2, 0.5)]),
        service("c", DATABASE, 0.0, &[]),
    ];
    let mut world = world(services);
    world.tick();
    let offered: Vec<f64> = (0..3).map(|it| world.truth(it).offered_rps).collect();
    assert_eq!(format!("{offered:.1?}"), "[50.0, 100.0, 50.0]");
    assert_eq!(world.spec().steady_rps(&[50.0, 0.0, 0.0]), offered);
    let before = world.truth(0).latency_mean_seconds;
    world.knobs_mut(2).slow_factor = 3.0;
    world.tick();
    assert!((world.truth(0).latency_mean_seconds - before).abs() < 1e-3);
    pass(&mut world, 2);
    // Twice half a call takes 0.2 s longer.
    let after = world.truth(0).latency_mean_seconds;
    assert!((after - before - 0.2).abs() < 0.02, "{before} {after}");
}

// ---- what overload does ----

/// A service at 70 % with a deep queue and stubborn callers; one minute of twice the load.
fn after_a_surge(budget_ratio: Option<f64>) -> World {
    let mut it = service("a", WEB, 280.0, &[]);
    it.kind = ServiceKind::Web { queue_per_unit_max: 200.0, timeout_seconds: 2.0 };
    it.retries = RetrySpec { retries: 3, budget_ratio };
    let mut world = world(vec![it]);
    pass(&mut world, 60);
    assert!(world.truth(0).is_good);
    world.knobs_mut(0).load_factor = 2.0;
    pass(&mut world, 60);
    world.knobs_mut(0).load_factor = 1.0;
    pass(&mut world, 3_600);
    world
}

#[test]
fn retries_keep_a_collapse_alive_an_hour_after_its_cause_is_gone() {
    let world = after_a_surge(None);
    check_line(
        &world,
        0,
        &expect![
            "offered 280 arrived 1120 served 400 good 0 lost 280 queue 2000 p95 2.00 cpu 0.80 busy 1.00 ready 10"
        ],
    );
}

#[test]
fn a_retry_budget_lets_it_recover() {
    let world = after_a_surge(Some(0.1));
    check_line(
        &world,
        0,
        &expect![
            "offered 280 arrived 280 served 280 good 280 lost 0 queue 0 p95 0.30 cpu 0.56 busy 0.70 ready 10"
        ],
    );
    assert!(world.sums(0).bad_seconds < 300, "{:?}", world.sums(0));
}

#[test]
fn shedding_for_two_minutes_ends_the_collapse_and_it_does_not_come_back() {
    let mut world = after_a_surge(None);
    world.knobs_mut(0).shed_ratio = 0.9;
    pass(&mut world, 120);
    world.knobs_mut(0).shed_ratio = 0.0;
    pass(&mut world, 120);
    check_line(
        &world,
        0,
        &expect![
            "offered 280 arrived 280 served 280 good 280 lost 0 queue 0 p95 0.30 cpu 0.56 busy 0.70 ready 10"
        ],
    );
}

#[test]
fn processor_use_falls_when_a_dependency_is_slow() {
    let services = vec![service("a", WEB, 160.0, &[(1, 1.0)]), service("b", DATABASE, 0.0, &[])];
    let mut world = world(services);
    pass(&mut world, 60);
    check_line(
        &world,
        0,
        &expect![
            "offered 160 arrived 160 served 160 good 160 lost 0 queue 0 p95 0.49 cpu 0.32 busy 0.80 ready 10"
        ],
    );
    world.knobs_mut(1).slow_factor = 8.0;
    pass(&mut world, 60);
    check_line(
        &world,
        0,
        &expect![
            "offered 160 arrived 160 served 43 good 0 lost 160 queue 500 p95 2.00 cpu 0.08 busy 1.00 ready 10"
        ],
    );
    world.knobs_mut(1).slow_factor = 1.0;
    pass(&mut world, 60);
    assert!(world.truth(0).is_good, "{}", line(&world, 0));
}

#[test]
fn a_dependency_that_is_down_fails_what_needs_it_at_once_and_nothing_else() {
    let mut services =
        vec![service("a", WEB, 100.0, &[(1, 1.0)]), service("b", DATABASE, 0.0, &[])];
    let mut down = world(services.clone());
    down.knobs_mut(1).is_down = true;
    pass(&mut down, 5);
    check_line(
        &down,
        0,
        &expect![
            "offered 100 arrived 100 served 100 good 0 lost 100 queue 0 p95 0.03 cpu 0.02 busy 0.02 ready 10"
        ],
    );
    for call in &mut services[0].calls {
        call.is_needed = false;
    }
    let mut spared = world(services);
    spared.knobs_mut(1).is_down = true;
    pass(&mut spared, 5);
    assert!(spared.truth(0).is_good, "{}", line(&spared, 0));
}

#[test]
fn junk_costs_as_much_as_anything_and_is_never_good() {
    for kind in [WEB, WORKERS] {
        let mut world = world(vec![service("a", kind, 0.0, &[])]);
        world.knobs_mut(0).junk_rps = 200.0;
        pass(&mut world, 60);
        let truth = world.truth(0);
        assert!((truth.served_rps - 200.0).abs() < 1e-6, "{truth:?}");
        assert!((truth.busy_ratio - 0.5).abs() < 1e-6, "{truth:?}");
        assert!(truth.good_rps <= 0.0 && truth.lost_rps <= 0.0 && truth.is_good, "{truth:?}");
        world.knobs_mut(0).junk_rps = 800.0;
        pass(&mut world, 600);
        assert!(world.sums(0).good <= 0.0 && world.sums(0).lost <= 0.0);
    }
}

#[test]
fn jobs_wait_and_are_good_while_the_wait_is_within_the_objective() {
    let mut it = service("a", WORKERS, 300.0, &[]);
    it.objective_seconds = 60.0;
    let mut world = world(vec![it]);
    pass(&mut world, 60);
    world.knobs_mut(0).load_factor = 2.0;
    pass(&mut world, 60);
    // 200 per second too many for a minute: 12,000 jobs, half a minute of work.
    check_line(
        &world,
        0,
        &expect![
            "offered 600 arrived 600 served 400 good 400 lost 0 queue 12000 p95 29.80 cpu 0.80 busy 1.00 ready 10"
        ],
    );
    assert!(world.truth(0).is_good);
    pass(&mut world, 120);
    check_line(
        &world,
        0,
        &expect![
            "offered 600 arrived 600 served 400 good 0 lost 0 queue 36000 p95 89.80 cpu 0.80 busy 1.00 ready 10"
        ],
    );
    assert!(!world.truth(0).is_good);
    world.knobs_mut(0).load_factor = 1.0;
    pass(&mut world, 400);
    assert!(world.truth(0).is_good && world.sums(0).lost <= 0.0);
}

#[test]
fn a_cold_cache_floods_the_database_until_it_is_warm() {
    let mut cache = service("cache", CACHE, 2_000.0, &[(1, 1.0)]);
    cache.unit = UnitSpec { slots: 64, service_seconds: 0.002, cpu_ratio: 0.5 };
    cache.units_start = 4;
    let mut world = world(vec![cache, service("database", DATABASE, 0.0, &[])]);
    world.knobs_mut(1).slow_factor = 0.1;
    pass(&mut world, 10);
    let warm = world.truth(1).arrived_rps;
    let hits = world.truth(0).hit_ratio.unwrap();
    assert!((warm - 2_000.0 * (1.0 - hits)).abs() < 1.0, "{warm} {hits}");
    world.flush(0);
    world.tick();
    let cold = world.truth(1).arrived_rps;
    assert!(2.0 * warm < cold && 1_900.0 < cold, "{warm} {cold}");
    pass(&mut world, 600);
    assert!((world.truth(1).arrived_rps - warm).abs() < 0.02 * warm);
    // One of four nodes takes its quarter with it.
    world.kill(0, 0.25);
    world.tick();
    assert!(1.1 * warm < world.truth(1).arrived_rps, "{}", world.truth(1).arrived_rps);
}

#[test]
fn promoting_a_replica_that_lags_loses_its_writes() {
    let mut world = world(vec![service("a", DATABASE, 100.0, &[])]);
    world.knobs_mut(0).lag_growth = 0.5;
    pass(&mut world, 60);
    world.knobs_mut(0).is_down = true;
    world.knobs_mut(0).lag_growth = 0.0;
    world.tick();
    assert!(!world.truth(0).is_good);
    let lag = world.truth(0).replica_lag_seconds;
    assert!((lag - 29.5).abs() < 1e-9, "{lag}");
    world.promote(0);
    world.tick();
    assert!(world.truth(0).is_good);
    assert!((world.sums(0).lost_writes - 29.5 * 25.0).abs() < 1e-6);
    // The next fault is another one.
    world.knobs_mut(0).is_down = false;
    world.tick();
    world.knobs_mut(0).is_down = true;
    world.tick();
    assert!(!world.truth(0).is_good);
}

// ---- what is refused ----

#[test]
fn a_spec_with_a_number_out_of_its_range_is_refused_with_the_range() {
    let changes: [fn(&mut WorldSpec); 10] = [
        |it| it.zones.clear(),
        |it| it.zones.push("a".to_owned()),
        |it| it.zone_units_max = 6,
        |it| it.fail_open_ratio = f64::NAN,
        |it| it.services[1].name = "a".to_owned(),
        |it| {
            it.services[1].calls = vec![CallSpec { service: 0, per_request: 1.0, is_needed: true }]
        },
        |it| it.services[0].unit.service_seconds = 0.0,
        |it| it.services[0].objective_ratio = 1.0,
        |it| it.services[0].retries.retries = 5,
        |it| it.services[0].load = Some(LoadCurve { peak_rps: 1.0, ..flat(2.0) }),
    ];
    let refusals = changes.map(|change| {
        let mut spec = spec(vec![service("a", WEB, 1.0, &[(1, 1.0)]), service("b", WEB, 1.0, &[])]);
        change(&mut spec);
        spec.check().map_or_else(|error| error.to_string(), |()| "allowed".to_owned())
    });
    expect![[r#"
        zones is `0`; it must be 1 to 8 names
        zones is `a`; it must be a name of its own for each zone
        zone_units_max is `6`; it must be enough for the 20 units that the services start with
        fail_open_ratio is `NaN`; it must be 0 to 1
        service `a`: name is `a`; it must be a name of its own
        service `b`: calls.service is `0`; it must be left out: the last service calls nobody
        service `a`: unit.service_seconds is `0`; it must be above 0 and at most 86400
        service `a`: objective_ratio is `1`; it must be at least 0 and below 1
        service `a`: retries.retries is `5`; it must be at most 4
        service `a`: load.peak_rps is `1`; it must be at least trough_rps, 2"#]]
    .assert_eq(&refusals.join("\n"));
}
