//! The fluid model against the request model.
//!
//! **In:** the same region, load and knobs for both. **Out:** both models' numbers side by side,
//! and panics where they are farther apart than their row allows.
//! **Not here:** the request model against closed forms (see `requests.rs`).
//!
//! A tolerance is a share of the request model's number plus an absolute floor. Two sorts of
//! distance are expected: chance, because one run of the request model is one draw; and what the
//! fluid model simplifies, which each test states.

use std::fmt::Write as _;

use evenkeel_sim::load::LoadCurve;
use evenkeel_sim::requests::{Minute, RequestSpec, simulate};
use evenkeel_sim::world::{
    CallSpec, Knobs, RetrySpec, ServiceKind, ServiceSpec, Truth, UnitSpec, World, WorldSpec,
};
use expect_test::{Expect, expect};
use jiff::Timestamp;

/// A service that turns nobody away.
fn service(name: &str, units: u32, slots: u32, service_seconds: f64) -> ServiceSpec {
    ServiceSpec {
        name: name.to_owned(),
        kind: ServiceKind::Web { queue_per_unit_max: 1_000.0, timeout_seconds: 30.0 },
        load: None,
        calls: Vec::new(),
        unit: UnitSpec { slots, service_seconds, cpu_ratio: 1.0 },
        units_start: units,
        units_min: 1,
        units_max: 100,
        boot_median_seconds: 60.0,
        boot_sigma: 0.3,
        start_calls: 0.0,
        retries: RetrySpec { retries: 0, budget_ratio: None },
        objective_seconds: 0.3,
        objective_ratio: 0.9,
        unit_usd_per_hour: 0.1,
        is_scaled: true,
        is_critical: false,
    }
}

/// What happens to both models.
#[derive(Clone)]
struct Case {
    services: Vec<ServiceSpec>,
    /// First tries per second of the first service.
    load_rps: f64,
    /// Second, service, and its knobs from then on.
    knobs: Vec<(i64, usize, Knobs)>,
    /// The window that is compared, in seconds; whole minutes.
    window: (i64, i64),
}

/// One service in the window, by one of the models.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    served: f64,
    good: f64,
    lost: f64,
    errors: f64,
    arrived: f64,
    queue: f64,
    latency: f64,
    busy: f64,
    cpu: f64,
}

impl Case {
    fn steady(services: Vec<ServiceSpec>, load_rps: f64, lasts: i64) -> Case {
        Case { services, load_rps, knobs: Vec::new(), window: (60, 60 + lasts) }
    }

    fn world(&self) -> WorldSpec {
        let mut services = self.services.clone();
        services[0].load = Some(LoadCurve {
            trough_rps: self.load_rps,
            peak_rps: self.load_rps,
            peak_hour: 12.0,
            weekend_ratio: 1.0,
            noise_ratio: 0.0,
        });
        WorldSpec {
            zones: vec!["a".to_owned()],
            services,
            launches_per_minute_max: 60.0,
            zone_units_max: 1_000,
            fail_open_ratio: 0.5,
        }
    }

    /// Every second of the fluid model, by service.
    fn truths(&self) -> Vec<Vec<Truth>> {
        let mut world = World::new(1, Timestamp::UNIX_EPOCH, self.world()).expect("valid");
        let mut truths = vec![Vec::new(); self.services.len()];
        for second in 0..self.window.1 {
            for (_, service, knobs) in self.knobs.iter().filter(|it| it.0 == second) {
                *world.knobs_mut(*service) = *knobs;
            }
            world.tick();
            for (place, truths) in truths.iter_mut().enumerate() {
                truths.push(*world.truth(place));
            }
        }
        truths
    }

    fn fluid(&self) -> Vec<Seen> {
        let from = usize::try_from(self.window.0).expect("not negative");
        let mean = |truths: &[Truth], read: fn(&Truth) -> f64| {
            let n = f64::from(u32::try_from(truths.len()).expect("few"));
            truths.iter().map(read).sum::<f64>() / n
        };
        let seen = |truths: &[Truth]| Seen {
            served: mean(truths, |it| it.served_rps),
            good: mean(truths, |it| it.good_rps),
            lost: mean(truths, |it| it.lost_rps),
            errors: mean(truths, |it| it.errors_rps),
            arrived: mean(truths, |it| it.arrived_rps),
            queue: mean(truths, |it| it.queue),
            latency: mean(truths, |it| it.latency_mean_seconds),
            busy: mean(truths, |it| it.busy_ratio),
            cpu: mean(truths, |it| it.cpu_ratio),
        };
        self.truths().iter().map(|it| seen(&it[from..])).collect()
    }

    fn spec(&self) -> RequestSpec {
        let mut spec = RequestSpec::quiet(self.world(), 1, self.window.1);
        spec.measured_from = self.window.0;
        spec.services[0].load_rps = vec![(0, self.load_rps)];
        for (second, service, knobs) in &self.knobs {
            spec.services[*service].knobs.push((*second, *knobs));
        }
        spec
    }

    fn requests(&self) -> Vec<Seen> {
        Case::seen(&self.spec())
    }

    fn seen(spec: &RequestSpec) -> Vec<Seen> {
        let tallies = simulate(spec).expect("within the limits").services;
        let seen = tallies.iter().map(|it| Seen {
            served: it.rate(it.served),
            good: it.rate(it.good),
            lost: it.rate(it.lost),
            errors: it.rate(it.errors),
            arrived: it.rate(it.arrived),
            queue: it.queue_mean(),
            latency: it.responses.mean_seconds(),
            busy: it.busy_ratio(),
            cpu: it.work_ratio(),
        });
        seen.collect()
    }

    fn minutes(&self) -> Vec<Minute> {
        simulate(&self.spec()).expect("within the limits").services.remove(0).minutes
    }
}

/// What is compared, the share by which it may differ, and what it may differ by anyway.
type Row = (&'static str, fn(&Seen) -> f64, f64, f64);

/// Both models' numbers side by side: `row fluid/requests`, with `!` where they are too far apart.
struct Table {
    text: String,
    is_close: bool,
}

impl Table {
    fn new() -> Table {
        Table { text: String::new(), is_close: true }
    }

    fn value(&mut self, what: &str, fluid: f64, requests: f64, share: f64, floor: f64) {
        let is_close = (fluid - requests).abs() <= share * requests.abs() + floor;
        let mark = if is_close { "" } else { "!" };
        self.is_close &= is_close;
        write!(self.text, " {what} {fluid:.3}/{requests:.3}{mark}").expect("to a string");
    }

    fn rows(&mut self, title: &str, fluid: &Seen, requests: &Seen, rows: &[Row]) {
        write!(self.text, "{title}:").expect("to a string");
        for (what, read, share, floor) in rows {
            self.value(what, read(fluid), read(requests), *share, *floor);
        }
        self.text.push('\n');
    }

    #[track_caller]
    fn check(&self, expected: &Expect) {
        expected.assert_eq(&self.text);
        assert!(self.is_close, "too far apart:\n{}", self.text);
    }
}

/// Steady states. Throughput, processor and slots are means over tens of thousands of requests:
/// 3 % is chance. Waits vary more. The floor of the queue is for callers of a busy service: they
/// all wait for the same queue, so their slots fill together, which a mean does not know.
const STEADY: [Row; 6] = [
    ("served", |it| it.served, 0.03, 0.0),
    ("cpu", |it| it.cpu, 0.03, 0.0),
    ("busy", |it| it.busy, 0.03, 0.0),
    ("latency", |it| it.latency, 0.05, 0.0),
    ("queue", |it| it.queue, 0.15, 1.0),
    ("good", |it| it.good, 0.03, 0.0),
];

/// As [`STEADY`], for 90 % and more. A run in which 0.4 % more came than on average, which is
/// chance, leaves 8 % less idle at 95 %, and waits go by what is idle; and the tail of the
/// response is an approximation, 3 % off the closed form for four slots at 90 %.
const NEARLY_FULL: [Row; 6] = [
    ("served", |it| it.served, 0.03, 0.0),
    ("cpu", |it| it.cpu, 0.03, 0.0),
    ("busy", |it| it.busy, 0.03, 0.0),
    ("latency", |it| it.latency, 0.12, 0.0),
    ("queue", |it| it.queue, 0.25, 1.0),
    ("good", |it| it.good, 0.1, 0.0),
];

fn steady_rows(utilisation: f64) -> &'static [Row] {
    if utilisation < 0.9 { &STEADY } else { &NEARLY_FULL }
}

#[test]
fn one_service_is_the_same_in_steady_state() {
    let mut table = Table::new();
    for (units, lasts) in [(1, 6_000), (10, 900)] {
        for utilisation in [0.3, 0.5, 0.7, 0.8, 0.9, 0.95] {
            let only = service("only", units, 4, 0.1);
            let load_rps = utilisation * f64::from(units) * 40.0;
            let case = Case::steady(vec![only], load_rps, lasts);
            let title = format!("{} slots at {utilisation}", units * 4);
            table.rows(&title, &case.fluid()[0], &case.requests()[0], steady_rows(utilisation));
        }
    }
    table.check(&expect![[r#"
        4 slots at 0.3: served 12.000/12.046 cpu 0.300/0.302 busy 0.300/0.302 latency 0.101/0.101 queue 0.016/0.016 good 11.389/11.443
        4 slots at 0.5: served 20.000/20.078 cpu 0.500/0.503 busy 0.500/0.503 latency 0.109/0.109 queue 0.174/0.182 good 18.833/18.898
        4 slots at 0.7: served 28.000/28.143 cpu 0.700/0.705 busy 0.700/0.705 latency 0.136/0.138 queue 1.000/1.056 good 25.345/25.310
        4 slots at 0.8: served 32.000/32.163 cpu 0.800/0.806 busy 0.800/0.806 latency 0.175/0.178 queue 2.386/2.514 good 26.845/26.397
        4 slots at 0.9: served 36.000/36.158 cpu 0.900/0.907 busy 0.900/0.907 latency 0.297/0.309 queue 7.090/7.558 good 22.908/21.901
        4 slots at 0.95: served 38.000/38.150 cpu 0.950/0.956 busy 0.950/0.956 latency 0.545/0.601 queue 16.912/19.107 good 15.318/14.011
        40 slots at 0.3: served 120.000/120.724 cpu 0.300/0.303 busy 0.300/0.303 latency 0.100/0.100 queue 0.000/0.000 good 114.026/114.689
        40 slots at 0.5: served 200.000/200.960 cpu 0.500/0.503 busy 0.500/0.503 latency 0.100/0.100 queue 0.000/0.000 good 190.043/190.913
        40 slots at 0.7: served 280.000/280.993 cpu 0.700/0.704 busy 0.700/0.704 latency 0.100/0.100 queue 0.051/0.051 good 266.030/266.863
        40 slots at 0.8: served 320.000/320.571 cpu 0.800/0.803 busy 0.800/0.803 latency 0.102/0.102 queue 0.485/0.553 good 303.768/304.164
        40 slots at 0.9: served 360.000/360.178 cpu 0.900/0.902 busy 0.900/0.902 latency 0.110/0.111 queue 3.705/3.943 good 339.373/339.368
        40 slots at 0.95: served 380.000/380.029 cpu 0.950/0.952 busy 0.950/0.952 latency 0.133/0.135 queue 12.610/13.418 good 349.094/346.733
    "#]]);
}

#[test]
fn a_chain_is_the_same_in_steady_state() {
    let mut table = Table::new();
    for per_request in [0.5, 1.0] {
        for utilisation in [0.3, 0.6, 0.8, 0.9] {
            let mut web = service("web", 10, 8, 0.05);
            web.calls = vec![CallSpec { service: 1, per_request, is_needed: true }];
            let database = service("database", 2, 10, 0.05);
            // Of the database; the callers' slots are fewer at work than the database's.
            let load_rps = utilisation * 400.0 / per_request;
            let case = Case::steady(vec![web, database], load_rps, 600);
            let (fluid, requests) = (case.fluid(), case.requests());
            for place in 0..2 {
                let title = format!("{per_request} calls at {utilisation}, service {place}");
                table.rows(&title, &fluid[place], &requests[place], steady_rows(utilisation));
            }
        }
    }
    table.check(&expect![[r#"
        0.5 calls at 0.3, service 0: served 240.000/239.367 cpu 0.150/0.150 busy 0.225/0.224 latency 0.075/0.075 queue 0.000/0.000 good 237.058/236.897
        0.5 calls at 0.3, service 1: served 120.000/119.430 cpu 0.300/0.298 busy 0.300/0.298 latency 0.050/0.050 queue 0.000/0.000 good 119.703/119.128
        0.5 calls at 0.6, service 0: served 480.000/478.487 cpu 0.300/0.299 busy 0.450/0.449 latency 0.075/0.075 queue 0.000/0.000 good 474.084/473.733
        0.5 calls at 0.6, service 1: served 240.000/239.233 cpu 0.600/0.598 busy 0.600/0.598 latency 0.050/0.050 queue 0.036/0.044 good 239.402/238.668
        0.5 calls at 0.8, service 0: served 640.000/638.653 cpu 0.400/0.399 busy 0.613/0.611 latency 0.077/0.077 queue 0.000/0.002 good 631.191/631.975
        0.5 calls at 0.8, service 1: served 320.000/318.923 cpu 0.800/0.798 busy 0.800/0.798 latency 0.053/0.053 queue 1.025/1.003 good 319.095/318.083
        0.5 calls at 0.9, service 0: served 720.000/719.122 cpu 0.450/0.449 busy 0.737/0.729 latency 0.082/0.082 queue 0.016/0.600 good 705.820/709.730
        0.5 calls at 0.9, service 1: served 360.000/359.080 cpu 0.900/0.899 busy 0.900/0.899 latency 0.064/0.062 queue 4.958/4.404 good 358.227/357.860
        1 calls at 0.3, service 0: served 120.000/119.760 cpu 0.075/0.075 busy 0.150/0.150 latency 0.100/0.100 queue 0.000/0.000 good 117.391/117.665
        1 calls at 0.3, service 1: served 120.000/119.750 cpu 0.300/0.299 busy 0.300/0.299 latency 0.050/0.050 queue 0.000/0.000 good 119.703/119.448
        1 calls at 0.6, service 0: served 240.000/239.368 cpu 0.150/0.150 busy 0.300/0.300 latency 0.100/0.100 queue 0.000/0.000 good 234.748/235.140
        1 calls at 0.6, service 1: served 240.000/239.372 cpu 0.600/0.599 busy 0.600/0.599 latency 0.050/0.050 queue 0.036/0.030 good 239.402/238.807
        1 calls at 0.8, service 0: served 320.000/319.055 cpu 0.200/0.200 busy 0.413/0.412 latency 0.103/0.103 queue 0.000/0.000 good 312.053/312.997
        1 calls at 0.8, service 1: served 320.000/319.067 cpu 0.800/0.798 busy 0.800/0.798 latency 0.053/0.053 queue 1.025/1.049 good 319.095/318.222
        1 calls at 0.9, service 0: served 360.000/358.547 cpu 0.225/0.224 busy 0.512/0.509 latency 0.114/0.114 queue 0.000/0.065 good 346.697/349.785
        1 calls at 0.9, service 1: served 360.000/358.562 cpu 0.900/0.897 busy 0.900/0.897 latency 0.064/0.064 queue 4.958/4.880 good 358.227/357.238
    "#]]);
}

/// More comes than can be served.
const OVERLOADED: [Row; 7] = [
    ("arrived", |it| it.arrived, 0.03, 0.0),
    ("served", |it| it.served, 0.03, 0.0),
    ("good", |it| it.good, 0.05, 2.0),
    ("lost", |it| it.lost, 0.05, 2.0),
    ("errors", |it| it.errors, 0.05, 2.0),
    ("queue", |it| it.queue, 0.05, 2.0),
    ("busy", |it| it.busy, 0.02, 0.0),
];

#[test]
fn an_overload_with_a_cap_and_time_outs_is_the_same() {
    let mut table = Table::new();
    // 400 per second can be served. A full queue waits for 0.5 s, and for 5 s; patience is 2 s.
    for queue in [20.0, 200.0] {
        for (load, retries) in [(0.98, 0), (1.1, 0), (1.5, 0), (3.0, 0), (1.5, 2)] {
            let mut only = service("only", 10, 4, 0.1);
            only.kind = ServiceKind::Web { queue_per_unit_max: queue, timeout_seconds: 2.0 };
            only.objective_seconds = 1.0;
            only.retries.retries = retries;
            let mut case = Case::steady(vec![only], load * 400.0, 300);
            case.window = (120, 420);
            let title = format!("queue of {queue} at {load} with {retries} retries");
            let rows: &[Row] = if load < 1.0 { &NEARLY_FULL } else { &OVERLOADED };
            table.rows(&title, &case.fluid()[0], &case.requests()[0], rows);
        }
    }
    table.check(&expect![[r#"
        queue of 20 at 0.98 with 0 retries: served 391.880/393.847 cpu 0.980/0.986 busy 0.980/0.986 latency 0.207/0.220 queue 41.862/47.023 good 390.899/393.727
        queue of 20 at 1.1 with 0 retries: arrived 440.000/442.700 served 400.000/399.457 good 397.305/397.013 lost 40.000/43.193 errors 40.000/43.193 queue 200.000/191.183 busy 1.000/1.000
        queue of 20 at 1.5 with 0 retries: arrived 600.000/602.177 served 400.000/399.457 good 397.305/396.633 lost 200.000/202.727 errors 200.000/202.727 queue 200.000/198.020 busy 1.000/1.000
        queue of 20 at 3 with 0 retries: arrived 1200.000/1197.403 served 400.000/399.473 good 397.305/396.533 lost 800.000/797.940 errors 800.000/797.940 queue 200.000/199.503 busy 1.000/1.000
        queue of 20 at 1.5 with 2 retries: arrived 1304.467/1279.777 served 400.000/399.457 good 397.305/396.520 lost 200.000/202.563 errors 904.467/880.323 queue 200.000/199.450 busy 1.000/1.000
        queue of 200 at 0.98 with 0 retries: served 392.000/393.917 cpu 0.980/0.987 busy 0.980/0.987 latency 0.207/0.223 queue 41.862/48.220 good 391.018/393.777
        queue of 200 at 1.1 with 0 retries: arrived 440.000/442.700 served 400.000/399.457 good 0.000/0.000 lost 440.000/442.880 errors 440.000/442.880 queue 2000.000/1991.183 busy 1.000/1.000
        queue of 200 at 1.5 with 0 retries: arrived 600.000/602.177 served 400.000/399.457 good 0.000/0.000 lost 600.000/602.173 errors 600.000/602.173 queue 2000.000/1998.020 busy 1.000/1.000
        queue of 200 at 3 with 0 retries: arrived 1200.000/1197.403 served 400.000/399.473 good 0.000/0.000 lost 1200.000/1197.403 errors 1200.000/1197.403 queue 2000.000/1999.503 busy 1.000/1.000
        queue of 200 at 1.5 with 2 retries: arrived 1800.000/1806.620 served 400.000/399.457 good 0.000/0.000 lost 600.000/602.237 errors 1800.000/1806.617 queue 2000.000/1999.691 busy 1.000/1.000
    "#]]);
}

/// A load of 75 % that is three times as high for two minutes.
fn storm(budget_ratio: Option<f64>) -> Case {
    let mut only = service("only", 10, 4, 0.1);
    only.kind = ServiceKind::Web { queue_per_unit_max: 200.0, timeout_seconds: 2.0 };
    only.objective_seconds = 1.0;
    only.retries = RetrySpec { retries: 3, budget_ratio };
    let trigger = Knobs { load_factor: 3.0, ..Knobs::default() };
    Case {
        knobs: vec![(120, 0, trigger), (240, 0, Knobs::default())],
        ..Case::steady(vec![only], 300.0, 840)
    }
}

#[test]
fn a_retry_storm_outlasts_its_trigger_unless_there_is_a_budget() {
    let mut table = Table::new();
    for (title, budget_ratio) in [("no budget", None), ("10 %", Some(0.1))] {
        let mut case = storm(budget_ratio);
        for (when, window) in
            [("before", (60, 120)), ("trigger", (180, 240)), ("after", (780, 900))]
        {
            case.window = window;
            let title = format!("{title}, {when}");
            table.rows(&title, &case.fluid()[0], &case.requests()[0], &OVERLOADED);
        }
        // When it is well again: the first minute in which 95 % are good, counted from the
        // trigger's end.
        case.window = (0, 900);
        let truths = case.truths().remove(0);
        let fluid = truths.chunks(60).map(|it| it.iter().map(|it| it.good_rps).sum::<f64>() / 60.0);
        let requests = case.minutes().into_iter().map(|it| it.good_rps);
        let well_at = |minutes: Vec<f64>| {
            let well = (4u32..).zip(minutes.iter().skip(4)).find(|it| 0.95 * 300.0 <= *it.1);
            well.map_or(99.0, |it| f64::from(it.0 - 4))
        };
        write!(table.text, "{title}, minutes until well:").expect("to a string");
        table.value("", well_at(fluid.collect()), well_at(requests.collect()), 0.0, 1.0);
        table.text.push('\n');
    }
    table.check(&expect![[r#"
        no budget, before: arrived 300.000/299.767 served 300.000/299.417 good 299.986/299.400 lost 0.000/0.000 errors 0.000/0.000 queue 0.166/0.308 busy 0.750/0.754
        no budget, trigger: arrived 3600.000/3620.850 served 400.000/398.233 good 0.000/0.000 lost 900.000/905.067 errors 3600.000/3620.550 queue 2000.000/1999.870 busy 1.000/1.000
        no budget, after: arrived 1200.000/1195.133 served 400.000/398.992 good 0.000/0.000 lost 300.000/299.425 errors 1200.000/1195.433 queue 2000.000/1999.444 busy 1.000/1.000
        no budget, minutes until well:  99.000/99.000
        10 %, before: arrived 300.000/299.767 served 300.000/299.417 good 299.986/299.400 lost 0.000/0.000 errors 0.000/0.000 queue 0.166/0.308 busy 0.750/0.754
        10 %, trigger: arrived 990.000/995.367 served 400.000/398.233 good 0.000/0.000 lost 900.000/904.550 errors 990.000/995.033 queue 2000.000/1999.361 busy 1.000/1.000
        10 %, after: arrived 300.000/298.450 served 300.000/298.475 good 299.986/298.475 lost 0.000/0.000 errors 0.000/0.000 queue 0.166/0.152 busy 0.750/0.744
        10 %, minutes until well:  1.000/1.000
    "#]]);
}

#[test]
fn a_slow_dependency_fills_its_callers_slots() {
    let mut table = Table::new();
    for factor in [1.0, 4.0, 12.0] {
        let mut web = service("web", 10, 8, 0.02);
        web.kind = ServiceKind::Web { queue_per_unit_max: 20.0, timeout_seconds: 2.0 };
        web.calls = vec![CallSpec { service: 1, per_request: 1.0, is_needed: true }];
        let mut database = service("database", 20, 10, 0.02);
        database.kind = ServiceKind::Database {
            queue_per_unit_max: 100.0,
            timeout_seconds: 2.0,
            writes_ratio: 0.1,
        };
        let slow = Knobs { slow_factor: factor, ..Knobs::default() };
        let mut case = Case::steady(vec![web, database], 600.0, 240);
        case.knobs = vec![(60, 1, slow)];
        case.window = (120, 360);
        let (fluid, requests) = (case.fluid(), case.requests());
        for place in 0..2 {
            let title = format!("{factor} times as slow, service {place}");
            table.rows(&title, &fluid[place], &requests[place], &OVERLOADED);
        }
    }
    table.check(&expect![[r#"
        1 times as slow, service 0: arrived 600.000/598.496 served 600.000/598.496 good 599.978/598.492 lost 0.000/0.000 errors 0.000/0.000 queue 0.000/0.000 busy 0.300/0.299
        1 times as slow, service 1: arrived 600.000/598.496 served 600.000/598.513 good 600.000/598.513 lost 0.000/0.000 errors 0.000/0.000 queue 0.000/0.000 busy 0.060/0.060
        4 times as slow, service 0: arrived 600.000/598.496 served 600.000/598.558 good 580.466/579.604 lost 0.000/0.000 errors 0.000/0.000 queue 0.026/0.019 busy 0.750/0.749
        4 times as slow, service 1: arrived 600.000/598.496 served 600.000/598.546 good 585.889/584.392 lost 0.000/0.000 errors 0.000/0.000 queue 0.000/0.000 busy 0.240/0.240
        12 times as slow, service 0: arrived 600.000/598.496 served 307.697/307.400 good 0.000/0.000 lost 293.601/292.283 errors 293.601/292.283 queue 200.000/198.958 busy 1.000/1.000
        12 times as slow, service 1: arrived 307.697/307.396 served 307.697/307.383 good 219.541/219.554 lost 0.074/0.054 errors 0.074/0.054 queue 0.000/0.000 busy 0.369/0.369
    "#]]);
}

#[test]
fn a_failing_dependency_fails_its_callers() {
    let mut table = Table::new();
    for (title, ratio, retries, is_needed) in [
        ("needed", 0.2, 0, true),
        ("needed, tried again", 0.2, 1, true),
        ("not needed", 0.2, 0, false),
        ("down", 1.0, 0, true),
    ] {
        let mut web = service("web", 10, 8, 0.1);
        web.objective_seconds = 2.0;
        web.calls = vec![CallSpec { service: 1, per_request: 1.0, is_needed }];
        let mut database = service("database", 20, 10, 0.05);
        database.retries.retries = retries;
        let is_down = 1.0 <= ratio;
        let error_ratio = if is_down { 0.0 } else { ratio };
        let failing = Knobs { error_ratio, is_down, ..Knobs::default() };
        let mut case = Case::steady(vec![web, database], 200.0, 240);
        case.knobs = vec![(30, 1, failing)];
        let (fluid, requests) = (case.fluid(), case.requests());
        for place in 0..2 {
            let title = format!("{title}, service {place}");
            table.rows(&title, &fluid[place], &requests[place], &OVERLOADED);
        }
    }
    table.check(&expect![[r#"
        needed, service 0: arrived 200.000/200.233 served 200.000/200.275 good 160.000/160.983 lost 40.000/39.292 errors 40.000/39.292 queue 0.000/0.000 busy 0.307/0.309
        needed, service 1: arrived 200.000/200.238 served 200.000/200.250 good 159.894/160.550 lost 40.000/39.292 errors 40.000/39.292 queue 0.000/0.000 busy 0.041/0.041
        needed, tried again, service 0: arrived 200.000/200.233 served 200.000/200.258 good 191.851/192.750 lost 8.000/7.508 errors 8.000/7.508 queue 0.889/0.867 busy 0.864/0.862
        needed, tried again, service 1: arrived 240.000/239.983 served 240.000/239.983 good 191.872/192.279 lost 8.000/7.508 errors 48.000/47.250 queue 0.000/0.000 busy 0.049/0.049
        not needed, service 0: arrived 200.000/200.233 served 200.000/200.279 good 200.000/200.279 lost 0.000/0.000 errors 0.000/0.000 queue 0.000/0.000 busy 0.353/0.353
        not needed, service 1: arrived 200.000/200.238 served 200.000/200.250 good 159.894/160.550 lost 40.000/39.292 errors 40.000/39.292 queue 0.000/0.000 busy 0.041/0.041
        down, service 0: arrived 200.000/200.233 served 200.000/200.238 good 0.000/0.000 lost 200.000/200.238 errors 200.000/200.238 queue 0.000/0.000 busy 0.025/0.025
        down, service 1: arrived 200.000/200.238 served 0.000/0.000 good 0.000/0.000 lost 200.000/200.238 errors 200.000/200.238 queue 0.000/0.000 busy 0.000/0.000
    "#]]);
}

#[test]
fn a_cache_keeps_as_much_from_the_database() {
    let mut table = Table::new();
    let mut cache = service("cache", 4, 4, 0.002);
    cache.kind = ServiceKind::Cache {
        items: 1e5,
        zipf_exponent: 0.9,
        items_per_unit: 1e4,
        timeout_seconds: 1.0,
    };
    cache.calls = vec![CallSpec { service: 1, per_request: 1.0, is_needed: true }];
    let database = service("database", 10, 4, 0.03);
    let case = Case::steady(vec![cache, database], 400.0, 300);
    let hit_ratio = case.truths()[0].last().and_then(|it| it.hit_ratio).expect("of a cache");
    let mut spec = case.spec();
    // The hit ratio itself is checked where it is made: here it is given.
    spec.services[0].hit_ratio = hit_ratio;
    let (fluid, requests) = (case.fluid(), Case::seen(&spec));
    for place in 0..2 {
        let title = format!("service {place}");
        table.rows(&title, &fluid[place], &requests[place], &STEADY);
    }
    table.check(&expect![[r#"
        service 0: served 400.000/399.217 cpu 0.050/0.050 busy 0.182/0.182 latency 0.007/0.007 queue 0.000/0.000 good 400.000/399.217
        service 1: served 70.278/70.217 cpu 0.053/0.053 busy 0.053/0.053 latency 0.030/0.030 queue 0.000/0.000 good 70.275/70.217
    "#]]);
}

#[test]
fn a_backlog_of_jobs_drains_in_the_same_time() {
    let mut table = Table::new();
    for (factor, load) in [(2.0, 80.0), (3.0, 60.0)] {
        let mut workers = service("workers", 10, 1, 0.1);
        workers.kind = ServiceKind::Workers { queue_max: 1e6 };
        let more = Knobs { load_factor: factor, ..Knobs::default() };
        let mut case = Case::steady(vec![workers], load, 3_540);
        case.knobs = vec![(60, 0, more), (360, 0, Knobs::default())];
        case.window = (0, 3_600);
        let truths = case.truths().remove(0);
        let minute = |truths: &[Truth]| truths.iter().map(|it| it.queue).sum::<f64>() / 60.0;
        let fluid: Vec<f64> = truths.chunks(60).map(minute).collect();
        let requests: Vec<f64> = case.minutes().iter().map(|it| it.queue).collect();
        let drained = |minutes: &[f64]| {
            let busy = (0u32..).zip(minutes).skip(6).find(|it| *it.1 < 10.0);
            busy.map_or(99.0, |it| f64::from(it.0))
        };
        write!(table.text, "{load} per second times {factor}:").expect("to a string");
        // What piles up in five minutes varies by the root of the arrivals, 200 of 18,000; what
        // is left over drains by the difference of two rates, 20 or 40 per second.
        table.value("largest backlog", fluid[5], requests[5], 0.05, 0.0);
        table.value("drained in minute", drained(&fluid), drained(&requests), 0.05, 1.0);
        table.text.push('\n');
    }
    table.check(&expect![[r#"
        80 per second times 2: largest backlog 16231.637/16381.178 drained in minute 21.000/21.000
        60 per second times 3: largest backlog 21640.152/21817.963 drained in minute 16.000/17.000
    "#]]);
}
