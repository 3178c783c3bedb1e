//! The request model against closed forms and against its own books.
//!
//! **In:** regions of one to three services, seeds. **Out:** panics of failed tests.
//! **Not here:** the fluid model (see `cross_check.rs`).
//!
//! How a mean is compared with a formula: every case is run with [`RUNS`] seeds, each from an
//! empty region and with a warm-up. The means of the runs are independent, so the formula must
//! lie within their Student interval at 99.9 %. The interval itself must be narrow enough to
//! mean something: a case names the widest it may be.

use evenkeel_sim::queueing::Station;
use evenkeel_sim::requests::{
    RequestSpec, Requests, RequestsError, ServiceSteps, ServiceTally, simulate,
};
use evenkeel_sim::world::{
    CallSpec, Knobs, RetrySpec, ServiceKind, ServiceSpec, UnitSpec, WorldSpec,
};
use expect_test::expect;
use proptest::prelude::*;

/// Seeds per case.
const RUNS: u32 = 12;

/// Student's t at 99.9 %, two-sided, for eleven degrees of freedom.
const STUDENT: f64 = 4.437;

const WEB: ServiceKind = ServiceKind::Web { queue_per_unit_max: 1e6, timeout_seconds: 3_600.0 };

/// A service of one unit that nobody gives up on.
fn service(name: &str, slots: u32, service_seconds: f64) -> ServiceSpec {
    ServiceSpec {
        name: name.to_owned(),
        kind: WEB,
        load: None,
        calls: Vec::new(),
        unit: UnitSpec { slots, service_seconds, cpu_ratio: 1.0 },
        units_start: 1,
        units_min: 1,
        units_max: 100,
        boot_median_seconds: 60.0,
        boot_sigma: 0.3,
        start_calls: 0.0,
        retries: RetrySpec { retries: 0, budget_ratio: None },
        objective_seconds: 1.0,
        objective_ratio: 0.99,
        unit_usd_per_hour: 0.1,
        is_scaled: true,
        is_critical: false,
    }
}

fn call(service: usize, per_request: f64, is_needed: bool) -> CallSpec {
    CallSpec { service, per_request, is_needed }
}

fn world(services: Vec<ServiceSpec>) -> WorldSpec {
    WorldSpec {
        zones: vec!["a".to_owned()],
        services,
        launches_per_minute_max: 60.0,
        zone_units_max: 1_000,
        fail_open_ratio: 0.5,
    }
}

/// A run with a load on the first service.
fn loaded(services: Vec<ServiceSpec>, seed: u64, lasts: i64, load_rps: f64) -> RequestSpec {
    let mut spec = RequestSpec::quiet(world(services), seed, lasts);
    spec.services[0].load_rps = vec![(0, load_rps)];
    spec
}

fn run(spec: &RequestSpec) -> Vec<ServiceTally> {
    simulate(spec).expect("within the limits").services
}

fn as_float(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}

/// Mean and half of the interval's width over the runs of a case.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = f64::from(RUNS);
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, STUDENT * (variance / n).sqrt())
}

#[track_caller]
fn agrees(what: &str, values: &[f64], formula: f64, widest_ratio: f64) {
    let (mean, half) = interval(values);
    assert!((mean - formula).abs() <= half, "{what}: {mean} +- {half}, by the formula {formula}");
    assert!(half <= widest_ratio * formula, "{what}: +- {half} says too little about {formula}");
}

/// Runs one station with a queue of `queue_max` under every seed.
fn stations(servers: u32, utilisation: f64, requests: f64, queue_max: f64) -> Vec<ServiceTally> {
    let load_rps = 100.0;
    let service_seconds = f64::from(servers) * utilisation / load_rps;
    let mut only = service("only", servers, service_seconds);
    only.kind = ServiceKind::Web { queue_per_unit_max: queue_max, timeout_seconds: 3_600.0 };
    let seconds = requests / load_rps;
    #[expect(clippy::cast_possible_truncation, reason = "a small number of seconds")]
    let lasts = seconds as i64;
    let tally = |seed: u32| {
        let mut spec = loaded(vec![only.clone()], u64::from(seed), lasts, load_rps);
        spec.measured_from = lasts / 10;
        run(&spec).remove(0)
    };
    (1..=RUNS).map(tally).collect()
}

/// M/M/c at a utilisation, against Erlang C.
#[track_caller]
fn check_waits(servers: u32, utilisation: f64, requests: f64, widest_ratio: f64) {
    let runs = stations(servers, utilisation, requests, 1e6);
    let server_rps = 100.0 / (f64::from(servers) * utilisation);
    let station = Station { servers, server_rps };
    let of = |read: fn(&ServiceTally) -> f64| runs.iter().map(read).collect::<Vec<f64>>();
    let waits = of(|it| it.waits.mean_seconds());
    agrees("mean wait", &waits, station.wait_mean_seconds(100.0), widest_ratio);
    let waits = of(ServiceTally::waits_probability);
    agrees("chance to wait", &waits, station.waits_probability(100.0), widest_ratio);
    let queue = of(ServiceTally::queue_mean);
    agrees("queue", &queue, station.queue_mean(100.0), widest_ratio);
    agrees("busy", &of(ServiceTally::busy_ratio), utilisation, 0.1);
    agrees("work", &of(ServiceTally::work_ratio), utilisation, 0.1);
    agrees("served", &of(|it| it.rate(it.served)), 100.0, 0.1);
    let response = station.wait_mean_seconds(100.0) + 1.0 / server_rps;
    agrees("response", &of(|it| it.responses.mean_seconds()), response, widest_ratio);
}

#[test]
fn one_server_waits_as_mm1_says() {
    check_waits(1, 0.3, 20_000.0, 0.1);
    check_waits(1, 0.7, 40_000.0, 0.15);
}

#[test]
fn many_servers_wait_as_erlang_says() {
    check_waits(4, 0.7, 40_000.0, 0.15);
    check_waits(20, 0.8, 40_000.0, 0.25);
    check_waits(50, 0.9, 100_000.0, 0.3);
}

/// Chance that M/M/c/K is full: the last term of its stationary distribution.
fn full_probability(servers: u32, places: u32, offered: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..=places {
        term *= offered / f64::from(n.min(servers));
        sum += term;
    }
    term / sum
}

#[track_caller]
fn check_loss(servers: u32, queue_max: u32, utilisation: f64) {
    let runs = stations(servers, utilisation, 30_000.0, f64::from(queue_max));
    let lost = |it: &ServiceTally| as_float(it.turned_away) / as_float(it.arrived);
    let lost: Vec<f64> = runs.iter().map(lost).collect();
    let offered = utilisation * f64::from(servers);
    let formula = full_probability(servers, servers + queue_max, offered);
    agrees("lost", &lost, formula, 0.2);
    let busy: Vec<f64> = runs.iter().map(ServiceTally::busy_ratio).collect();
    agrees("busy", &busy, utilisation * (1.0 - formula), 0.1);
}

#[test]
fn a_full_queue_turns_away_as_mmck_says() {
    check_loss(1, 0, 0.7); // Erlang B: 0.7 / 1.7
    check_loss(3, 0, 0.9);
    check_loss(4, 6, 0.9);
    check_loss(4, 6, 1.5);
    check_loss(20, 10, 1.2);
}

#[test]
fn a_caller_holds_its_slot_while_it_waits() {
    // The caller's slots never fill, so what reaches the second service is nearly Poisson, and
    // a slot is held for the own work and, in half of the cases, the answer of an M/M/4.
    let mut web = service("web", 200, 0.05);
    web.calls = vec![call(1, 0.5, true)];
    let database = service("database", 4, 0.056);
    let tally = |seed: u32| {
        let services = vec![web.clone(), database.clone()];
        let mut spec = loaded(services, u64::from(seed), 400, 100.0);
        spec.measured_from = 40;
        run(&spec)
    };
    let runs: Vec<Vec<ServiceTally>> = (1..=RUNS).map(tally).collect();
    let station = Station { servers: 4, server_rps: 1.0 / 0.056 };
    let response = station.wait_mean_seconds(50.0) + 0.056;
    let busy: Vec<f64> = runs.iter().map(|it| it[0].busy_ratio() * 200.0).collect();
    agrees("slots held", &busy, 100.0 * (0.05 + 0.5 * response), 0.1);
    let work: Vec<f64> = runs.iter().map(|it| it[0].work_ratio() * 200.0).collect();
    agrees("slots at work", &work, 100.0 * 0.05, 0.1);
}

#[test]
fn errors_take_a_tenth_of_the_time_and_slowness_no_processor() {
    let only = service("only", 50, 0.1);
    let tally = |seed: u32| {
        let mut spec = loaded(vec![only.clone()], u64::from(seed), 400, 100.0);
        let knobs = Knobs { slow_factor: 2.0, error_ratio: 0.2, ..Knobs::default() };
        spec.services[0].knobs = vec![(0, knobs)];
        spec.measured_from = 40;
        run(&spec).remove(0)
    };
    let runs: Vec<ServiceTally> = (1..=RUNS).map(tally).collect();
    let of = |read: fn(&ServiceTally) -> f64| runs.iter().map(read).collect::<Vec<f64>>();
    // 10 erlangs, of which 20 % cost a tenth.
    agrees("work", &of(|it| it.work_ratio() * 50.0), 10.0 * 0.82, 0.1);
    agrees("busy", &of(|it| it.busy_ratio() * 50.0), 20.0 * 0.82, 0.1);
    agrees("errors", &of(|it| it.rate(it.errors)), 20.0, 0.1);
}

#[test]
fn the_budget_bounds_retries_and_without_it_all_are_made() {
    let arrivals = |budget_ratio| {
        let mut only = service("only", 50, 0.1);
        only.retries = RetrySpec { retries: 2, budget_ratio };
        let mut spec = loaded(vec![only], 1, 600, 100.0);
        let knobs = Knobs { error_ratio: 0.5, ..Knobs::default() };
        spec.services[0].knobs = vec![(0, knobs)];
        let tally = run(&spec).remove(0);
        (as_float(tally.arrived) / as_float(tally.first_tries), tally.rate(tally.lost))
    };
    // Half fail, a quarter fails twice.
    let (tries, lost) = arrivals(None);
    assert!((tries - 1.75).abs() < 0.02 && (lost - 12.5).abs() < 1.0, "{tries} {lost}");
    // 10 retries per second, of which half succeed.
    let (tries, lost) = arrivals(Some(0.1));
    assert!((tries - 1.1).abs() < 0.002 && (lost - 45.0).abs() < 1.5, "{tries} {lost}");
}

#[test]
fn who_gave_up_is_served_in_vain() {
    // Twice what one server can do, and patience for a tenth of the queue.
    let mut only = service("only", 1, 0.01);
    only.kind = ServiceKind::Web { queue_per_unit_max: 500.0, timeout_seconds: 0.5 };
    let mut spec = loaded(vec![only], 3, 240, 200.0);
    spec.measured_from = 60;
    let tally = run(&spec).remove(0);
    assert!(0.999 < tally.busy_ratio());
    assert_eq!(tally.good + tally.late, 0, "the queue is never short enough");
    let waited = tally.waits.mean_seconds();
    assert!((waited - 5.0).abs() < 0.5, "the whole queue is before everyone: {waited}");
}

#[test]
fn what_is_down_fails_at_once_and_serves_again_after() {
    let mut only = service("only", 4, 0.02);
    only.kind = ServiceKind::Web { queue_per_unit_max: 100.0, timeout_seconds: 5.0 };
    let mut spec = loaded(vec![only], 3, 180, 100.0);
    let down = Knobs { is_down: true, ..Knobs::default() };
    spec.services[0].knobs = vec![(60, down), (120, Knobs::default())];
    let minutes = run(&spec).remove(0).minutes;
    assert_eq!(minutes.len(), 3);
    let rates: Vec<String> =
        minutes.iter().map(|it| format!("{:.0} {:.0}", it.good_rps, it.errors_rps)).collect();
    expect!["99 0, 0 100, 99 0"].assert_eq(&rates.join(", "));
    assert!(minutes[1].busy < 0.1 && minutes[1].queue < 0.1);
}

#[test]
fn streams_are_one_per_service() {
    let only = service("only", 4, 0.02);
    let alone = run(&loaded(vec![only.clone()], 5, 60, 100.0));
    let mut spec = loaded(vec![only, service("other", 4, 0.02)], 5, 60, 100.0);
    spec.services[1].load_rps = vec![(0, 50.0)];
    assert!(alone[0] == run(&spec)[0], "another service changes nothing");
    spec.seed = 6;
    assert!(alone[0] != run(&spec)[0], "another seed does");
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut RequestSpec), expected: &expect_test::Expect) {
    let mut spec = loaded(vec![service("only", 1, 0.02)], 1, 60, 200.0);
    change(&mut spec);
    expected.assert_eq(&simulate(&spec).expect_err("refused").to_string());
}

#[test]
fn what_cannot_be_run_is_refused_with_the_limit() {
    check_refused(|it| it.lasts = 0, &expect!["lasts: `0`; it must be 1 to 2592000 seconds"]);
    check_refused(
        |it| it.measured_from = 60,
        &expect!["measured_from: `60`; it must be 0 to below 60"],
    );
    check_refused(|it| it.services.clear(), &expect!["services: `0`; it must be 1 steps"]);
    check_refused(
        |it| it.services[0].load_rps = vec![(9, 1.0), (3, 1.0)],
        &expect!["service `only`: load_rps: `[9, 3]`; it must be instants from 0 on, in order"],
    );
    check_refused(
        |it| it.services[0].load_rps = vec![(0, f64::NAN)],
        &expect!["service `only`: load_rps: `NaN`; it must be 0 to 1000000"],
    );
    // 200 come and 50 leave per second: the thousandth is there in the seventh.
    check_refused(
        |it| it.in_system_max = 1_000,
        &expect!["1001 requests are in the region at second 6, the limit is 1000"],
    );
    let gray = Knobs { gray_ratio: 0.5, ..Knobs::default() };
    let mut spec = loaded(vec![service("only", 1, 0.02)], 1, 60, 10.0);
    spec.services[0].knobs = vec![(0, gray)];
    assert!(matches!(simulate(&spec), Err(RequestsError::Range { .. })), "no single units here");
}

/// The books of one service balance, to the request and to the nanosecond.
fn balances(tally: &ServiceTally) {
    let ServiceTally { first_tries, good, late, lost, open_at_start, open_at_end, .. } = *tally;
    assert_eq!(first_tries + open_at_start, good + late + lost + open_at_end, "first tries");
    assert_eq!(tally.in_system_integral, tally.sojourns_sum, "Little's law");
    assert_eq!(tally.responses.count(), good + late);
    assert!(first_tries <= tally.arrived + open_at_end);
    assert!(tally.turned_away + tally.timed_out <= tally.errors);
    assert!(tally.busy_integral <= tally.in_system_integral);
}

prop_compose! {
    fn any_knobs()(
        load_factor in 0.0f64..3.0, slow_factor in 0.2f64..4.0,
        error_ratio in prop_oneof![Just(0.0), 0.0f64..1.0], is_down in prop::bool::weighted(0.2),
    ) -> Knobs {
        Knobs { load_factor, slow_factor, error_ratio, is_down, ..Knobs::default() }
    }
}

prop_compose! {
    fn any_steps()(
        load in 0.0f64..80.0, load_later in 0.0f64..160.0, knobs in any_knobs(),
        units in 0u32..6, hit_ratio in 0.0f64..1.0, at in 0i64..20,
    ) -> ServiceSteps {
        ServiceSteps {
            load_rps: vec![(0, load), (at, load_later)],
            knobs: vec![(at / 2, knobs), (at + 5, Knobs::default())],
            units: vec![(at, units), (at + 8, 3)],
            hit_ratio,
        }
    }
}

prop_compose! {
    fn any_service(name: &'static str)(
        kind in prop_oneof![
            (0.0f64..30.0, 0.05f64..3.0).prop_map(|(queue_per_unit_max, timeout_seconds)| {
                ServiceKind::Web { queue_per_unit_max, timeout_seconds }
            }),
            (1.0f64..200.0).prop_map(|queue_max| ServiceKind::Workers { queue_max }),
            (0.05f64..3.0).prop_map(|timeout_seconds| ServiceKind::Cache {
                items: 1e4, zipf_exponent: 1.0, items_per_unit: 1e3, timeout_seconds,
            }),
        ],
        slots in 1u32..8, service_seconds in 0.005f64..0.3, retries in 0u32..4,
        budget_ratio in prop::option::of(0.0f64..0.5), units_start in 1u32..5,
    ) -> ServiceSpec {
        let retries = RetrySpec { retries, budget_ratio };
        ServiceSpec { kind, retries, units_start, ..service(name, slots, service_seconds) }
    }
}

prop_compose! {
    fn any_spec()(
        mut services in (any_service("a"), any_service("b"), any_service("c")),
        steps in (any_steps(), any_steps(), any_steps()),
        calls in (0.0f64..2.5, 0.0f64..2.5, 0.0f64..2.5), needed in (any::<bool>(), any::<bool>()),
        seed in any::<u64>(), measured_from in 0i64..20,
    ) -> RequestSpec {
        services.0.calls = vec![call(1, calls.0, needed.0), call(2, calls.1, needed.1)];
        services.1.calls = vec![call(2, calls.2, true)];
        let services = vec![services.0, services.1, services.2];
        let steps = vec![steps.0, steps.1, steps.2];
        RequestSpec { services: steps, measured_from, ..RequestSpec::quiet(world(services), seed, 40) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    // Whatever breaks, every first try has one outcome or is still open, and the time that
    // requests spend in a service is the area under their number.
    #[test]
    fn nothing_is_created_or_lost(spec in any_spec()) {
        run(&spec).iter().for_each(balances);
    }

    #[test]
    fn equal_specs_give_equal_tallies(spec in any_spec()) {
        let once: Result<Requests, RequestsError> = simulate(&spec);
        prop_assert!(once == simulate(&spec));
    }

    #[test]
    fn counting_later_changes_nothing_but_the_counts(spec in any_spec()) {
        let whole = run(&RequestSpec { measured_from: 0, ..spec.clone() });
        for (whole, part) in whole.iter().zip(run(&spec)) {
            prop_assert!(part.first_tries <= whole.first_tries);
            prop_assert_eq!(part.open_at_end, whole.open_at_end);
        }
    }
}
