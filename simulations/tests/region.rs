//! How the made-up region behaves, as its users see it.
//!
//! **In:** seeds, scripts and instructions. **Out:** panics of failed tests.
//! **Not here:** the formulas behind it (tested beside them in `queueing`, `load` and `chance`), and
//! the two weeks before the start (see `past.rs`).

use std::fmt::Write as _;

use evenkeel_sim::region::UNITS_MAX;
use evenkeel_sim::spec::demo_services;
use evenkeel_sim::{
    Happening, ProviderFault, Region, Sample, Scripted, ServiceKind, ServiceSpec, SpecError,
};
use expect_test::expect;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// A Friday at 07:00 UTC.
fn start() -> Timestamp {
    "2026-11-20T07:00:00Z".parse().expect("valid")
}

fn after_minutes(minutes: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minutes)
}

/// The demo's services under another script.
fn scripted(seed: u64, script: &[Scripted]) -> Region {
    Region::with(seed, start(), demo_services(), script).expect("the demo's services are valid")
}

fn of_service(samples: &[Sample], service: &str) -> String {
    let own = samples.iter().filter(|sample| sample.service == service);
    own.map(|sample| format!("{} {:?} at {}\n", sample.metric, sample.value, sample.at)).collect()
}

#[test]
fn equal_seeds_give_equal_traces_and_others_do_not() {
    let run = |seed| {
        let mut region = Region::new(seed, start());
        let mut trace = String::new();
        for minute in 0..180 {
            region.advance(after_minutes(minute));
            if minute % 10 == 3 {
                let capacity = u32::try_from(minute / 4 + 5).expect("small");
                region.set_capacity("search-api", capacity, None).expect("within the quota");
            }
            for sample in region.scrape() {
                writeln!(trace, "{sample:?}").expect("to a string");
            }
        }
        (region.fingerprint(), trace)
    };
    assert!(run(7) == run(7), "equal seeds, equal traces to the byte");
    assert_ne!(run(7).0, run(8).0);
}

#[test]
fn the_number_of_calls_that_pass_a_span_makes_no_difference() {
    let mut at_once = Region::new(5, start());
    at_once.advance(after_minutes(90));
    let mut in_pieces = Region::new(5, start());
    for millisecond in (0..=90 * 60_000).step_by(733) {
        in_pieces.advance(start() + SignedDuration::from_millis(millisecond));
    }
    in_pieces.advance(after_minutes(90));
    in_pieces.advance(after_minutes(3)); // has passed: changes nothing
    assert_eq!(at_once.fingerprint(), in_pieces.fingerprint());
    assert_eq!(at_once.now(), after_minutes(90));
}

#[test]
fn another_service_leaves_the_others_numbers_as_they_were() {
    let mut more = demo_services();
    let extra = ServiceSpec { name: "newcomer".to_owned(), ..more[0].clone() };
    more.insert(0, extra);
    let mut regions =
        [scripted(3, &[]), Region::with(3, start(), more, &[]).expect("names differ")];
    for region in &mut regions {
        for minute in 0..60 {
            region.advance(after_minutes(minute));
            let units = u32::try_from(20 + minute % 7).expect("small");
            region.set_capacity("catalog-web", units, None).expect("within the quota");
        }
    }
    let [without, with] = regions;
    for service in demo_services() {
        assert_eq!(
            of_service(&without.scrape(), &service.name),
            of_service(&with.scrape(), &service.name)
        );
        assert_eq!(
            format!("{:?}", without.truth(&service.name)),
            format!("{:?}", with.truth(&service.name))
        );
    }
}

#[test]
fn capacity_boots_for_one_to_three_minutes_and_leaves_at_once() {
    let mut region = scripted(1, &[]);
    let before = region.current_capacity("payments-api").expect("is there");
    region.set_capacity("payments-api", before + 40, Some(before)).expect("allowed");
    let mut ready_after: Vec<i64> = Vec::new();
    for second in 0..=180 {
        region.advance(start() + SignedDuration::from_secs(second));
        let truth = region.truth("payments-api").expect("is there");
        assert_eq!(truth.current, before + 40);
        while ready_after.len() < usize::try_from(truth.ready - before).expect("small") {
            ready_after.push(second);
        }
    }
    assert_eq!(ready_after.len(), 40, "all are ready after three minutes");
    assert!(60 <= ready_after[0], "none before a minute: {ready_after:?}");
    let median = ready_after[20];
    assert!((90..120).contains(&median), "the median is near 104 s: {median}");
    region.set_capacity("payments-api", 3, None).expect("allowed");
    let truth = region.truth("payments-api").expect("is there");
    assert_eq!((truth.ready, truth.current), (3, 3));
}

#[test]
fn no_two_services_boot_alike() {
    let boots = |service: &str| {
        let mut region = scripted(1, &[]);
        region.set_capacity(service, 0, None).expect("allowed");
        region.set_capacity(service, 40, None).expect("allowed");
        (60..=180)
            .map(|second| {
                region.advance(start() + SignedDuration::from_secs(second));
                region.truth(service).expect("is there").ready
            })
            .collect::<Vec<u32>>()
    };
    assert_ne!(boots("checkout-api"), boots("payments-api"));
    assert_eq!(boots("checkout-api"), boots("checkout-api"));
}

#[test]
fn surplus_takes_booting_units_before_ready_ones() {
    let mut region = scripted(1, &[]);
    let before = region.current_capacity("search-api").expect("is there");
    region.set_capacity("search-api", before + 9, None).expect("allowed");
    region.set_capacity("search-api", before + 2, Some(before + 9)).expect("allowed");
    let truth = region.truth("search-api").expect("is there");
    assert_eq!((truth.ready, truth.current), (before, before + 2));
    region.set_capacity("search-api", before - 1, None).expect("allowed");
    let truth = region.truth("search-api").expect("is there");
    assert_eq!((truth.ready, truth.current), (before - 1, before - 1));
}

#[test]
fn told_the_same_again_it_changes_nothing() {
    let run = |times: usize| {
        let mut region = scripted(9, &[]);
        for minute in 0..10 {
            region.advance(after_minutes(minute));
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
    let mut region = scripted(1, &[]);
    let current = region.current_capacity("checkout-api").expect("is there");
    let refusals = [
        region.set_capacity("checkout", 4, None),
        region.set_capacity("checkout-api", 4, Some(current + 1)),
        region.set_capacity("checkout-api", UNITS_MAX + 1, Some(current)),
    ];
    let shown: Vec<String> =
        refusals.into_iter().map(|refusal| refusal.expect_err("refused").to_string()).collect();
    expect![[r#"
        the region has no service `checkout`; it has checkout-api, search-api, catalog-web, image-resizer, payments-api
        service `checkout-api` has 9 units, not the expected 10; read it again and decide anew
        service `checkout-api`: 5001 units are above the quota of 5000; ask for less"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(region.current_capacity("checkout-api"), Some(current));
    assert_eq!(region.current_capacity("checkout"), None);
    assert!(matches!(
        region.set_capacity("checkout", 4, None),
        Err(ProviderFault::NoSuchService { .. })
    ));
}

#[test]
fn services_that_make_no_sense_are_refused() {
    let with = |change: fn(&mut Vec<ServiceSpec>), script: &[Scripted]| {
        let mut services = demo_services();
        change(&mut services);
        match Region::with(1, start(), services, script) {
            Ok(_) => "accepted".to_owned(),
            Err(
                error @ (SpecError::Duplicate { .. }
                | SpecError::OutOfRange { .. }
                | SpecError::UnknownService { .. }),
            ) => error.to_string(),
        }
    };
    let crowd = Scripted {
        after: SignedDuration::ZERO,
        lasts: SignedDuration::from_mins(1),
        service: "nowhere".to_owned(),
        happening: Happening::FlashCrowd { ratio: 2.0 },
    };
    let cases = [
        with(|_| (), &[]),
        with(Vec::clear, &[]),
        with(|it| it[1].name = "checkout-api".to_owned(), &[]),
        with(|it| it[0].unit_rps = 0.0, &[]),
        with(|it| it[0].load.peak_rps = f64::NAN, &[]),
        with(|it| it[0].load.peak_hour = 24.0, &[]),
        with(|it| it[0].unit_parallel = 0, &[]),
        with(|it| it[0].objective_seconds = 0.01, &[]),
        with(|it| it[3].kind = ServiceKind::Worker { queue_max: -1.0 }, &[]),
        with(|it| it[0].initial_utilisation = 1.5, &[]),
        with(|_| (), &[crowd]),
    ];
    expect![[r#"
        accepted
        accepted
        service `checkout-api` is there twice; give each a name of its own
        service `checkout-api`: unit_rps is `0`; it must be finite and above 0
        service `checkout-api`: load.peak_rps is `NaN`; it must be finite and >= load.trough_rps
        service `checkout-api`: load.peak_hour is `24`; it must be in 0..24
        service `checkout-api`: unit_parallel is `0`; it must be in 1..=64
        service `checkout-api`: objective_seconds is `0.01`; it must be finite and above service_p95_seconds
        service `image-resizer`: queue_max is `-1`; it must be finite and above 0
        service `checkout-api`: initial_utilisation is `1.5`; it must be above 0, at most 1
        the script names service `nowhere`, which is not in the region; add it or rename"#]]
    .assert_eq(&cases.join("\n"));
}

#[test]
fn the_demo_starts_within_its_objectives() {
    let region = Region::new(1, start());
    let mut table = String::new();
    for spec in region.services() {
        let metric = |name| region.metric(name, &spec.name);
        let load = metric(spec.load_metric()).expect("every service has load");
        let latency = metric("latency_p95_seconds").expect("every service has latency");
        assert!(latency <= spec.objective_seconds, "{}: {latency}", spec.name);
        let queue = metric("queue_depth").map_or("-".to_owned(), |depth| depth.to_string());
        let units = region.current_capacity(&spec.name).expect("is there");
        writeln!(table, "{} {load:.0}/s {latency:.2} s queue {queue} {units} units", spec.name)
            .expect("to a string");
    }
    expect![[r#"
        checkout-api 268/s 0.08 s queue - 9 units
        search-api 955/s 0.12 s queue - 19 units
        catalog-web 645/s 0.05 s queue - 9 units
        image-resizer 117/s 0.40 s queue 0 16 units
        payments-api 53/s 0.26 s queue - 3 units
    "#]]
    .assert_eq(&table);
    assert_eq!(region.metric("queue_depth", "checkout-api"), None);
    assert_eq!(region.metric("http_requests_per_second", "image-resizer"), None);
    assert_eq!(region.metric("no_such_metric", "checkout-api"), None);
    assert_eq!(region.metric("ready_capacity", "nowhere"), None);
}

#[test]
fn the_exporter_lies_for_ten_minutes_while_the_load_stays() {
    let mut region = Region::new(1, start());
    let mut shown = String::new();
    for minute in [34, 35, 44, 45] {
        region.advance(after_minutes(minute));
        let metric = |name| region.metric(name, "checkout-api").expect("is there");
        let truth = region.truth("checkout-api").expect("is there");
        writeln!(
            shown,
            "{minute} min: shows {:.0}/s and {:.2} s on {} units; true {:.0}/s on {}",
            metric("http_requests_per_second"),
            metric("latency_p95_seconds"),
            metric("current_capacity"),
            truth.load,
            truth.current,
        )
        .expect("to a string");
    }
    expect![[r#"
        34 min: shows 296/s and 0.08 s on 9 units; true 296/s on 9
        35 min: shows 0/s and 0.00 s on 9 units; true 301/s on 9
        44 min: shows 0/s and 0.00 s on 9 units; true 310/s on 9
        45 min: shows 307/s and 0.08 s on 9 units; true 307/s on 9
    "#]]
    .assert_eq(&shown);
}

#[test]
fn the_script_is_told_as_it_is_reached() {
    let mut region = Region::new(1, start());
    let mut told = String::new();
    for minute in 0..120 {
        let before = region.incidents().len();
        region.advance(after_minutes(minute));
        for incident in &region.incidents()[before..] {
            assert_eq!(incident.at, region.now(), "told in the second it happens");
            writeln!(told, "{} {}: {}", incident.at, incident.service, incident.what)
                .expect("to a string");
        }
    }
    expect![[r#"
        2026-11-20T07:35:00Z checkout-api: its metrics exporter begins to report zero; the real load is unchanged
        2026-11-20T07:45:00Z checkout-api: its metrics exporter reports true values again
        2026-11-20T08:10:00Z search-api: a flash crowd arrives: load grows to 2.2 times the usual
        2026-11-20T08:50:00Z search-api: the flash crowd has gone; load is back to the usual
    "#]].assert_eq(&told);
}

#[test]
fn a_flash_crowd_that_nobody_meets_costs_the_objective_until_it_is_met() {
    let good_ratio = |units: Option<u32>| {
        let mut region = Region::new(1, start());
        region.advance(after_minutes(65));
        if let Some(units) = units {
            region.set_capacity("search-api", units, None).expect("allowed");
        }
        region.advance(after_minutes(110));
        let truth = region.truth("search-api").expect("is there");
        let ratios = (truth.slo_good_ratio, truth.unserved_ratio);
        (ratios.0.expect("requests arrived"), ratios.1.expect("requests arrived"))
    };
    let (good, unserved) = good_ratio(None);
    assert!(good < 0.8 && 0.1 < unserved, "unmet: good {good}, unserved {unserved}");
    let (good, unserved) = good_ratio(Some(60));
    assert!(0.98 < good && unserved < 0.001, "met: good {good}, unserved {unserved}");
}

#[test]
fn a_worker_with_too_few_units_queues_and_with_enough_drains() {
    let mut region = scripted(1, &[]);
    let depth = |region: &Region| region.metric("queue_depth", "image-resizer").expect("a worker");
    let arrivals =
        |region: &Region| region.metric("queue_arrivals_per_second", "image-resizer").expect("is");
    region.set_capacity("image-resizer", 2, None).expect("allowed");
    // Two units finish 24 messages per second; what arrives above that must be in the queue.
    let mut expected = 0.0;
    for second in 1..=1_800 {
        expected += arrivals(&region) - 24.0;
        region.advance(start() + SignedDuration::from_secs(second));
    }
    // The formulas' own queue near saturation comes on top, some 200 messages.
    let queued = depth(&region);
    assert!(expected <= queued && queued <= expected + 250.0, "{queued}, not {expected}");
    let truth = region.truth("image-resizer").expect("is there");
    assert_eq!(truth.unserved_ratio.map(f64::to_bits), Some(0f64.to_bits()), "nothing is lost");
    region.set_capacity("image-resizer", 60, None).expect("allowed");
    region.advance(after_minutes(90));
    assert!(depth(&region) < 5.0, "drained to {}", depth(&region));
}

#[test]
fn nothing_is_served_by_no_units() {
    let mut region = scripted(1, &[]);
    for service in demo_services() {
        region.set_capacity(&service.name, 0, None).expect("allowed");
    }
    region.advance(after_minutes(5));
    let truth = region.truth("checkout-api").expect("is there");
    assert!(truth.unserved_ratio > Some(0.99), "{truth:?}");
    assert!(truth.slo_good_ratio < Some(0.01), "{truth:?}");
    assert_eq!(region.metric("latency_p95_seconds", "checkout-api"), Some(10.0), "the time-out");
    assert_eq!(region.metric("latency_p95_seconds", "image-resizer"), Some(3_600.0));
}

#[test]
fn cost_is_units_times_hours_times_price() {
    let mut region = scripted(1, &[]);
    region.set_capacity("payments-api", 100, None).expect("allowed");
    region.advance(after_minutes(60));
    region.set_capacity("payments-api", 10, None).expect("allowed");
    region.advance(after_minutes(180));
    let truth = region.truth("payments-api").expect("is there");
    let expected = (100.0 + 2.0 * 10.0) * 0.21;
    assert!((truth.cost_usd - expected).abs() < 1e-9, "{} is not {expected}", truth.cost_usd);
}

#[test]
fn ratios_are_absent_before_anything_arrived() {
    let truth = Region::new(1, start()).truth("checkout-api").expect("is there");
    assert_eq!((truth.slo_good_ratio, truth.unserved_ratio), (None, None));
}

#[test]
fn the_edges_of_time_are_reached_without_a_panic() {
    for edge in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
        let mut region = Region::new(1, edge);
        region.advance(Timestamp::MIN);
        region.advance(edge.saturating_add(SignedDuration::from_secs(5)).expect("saturates"));
        assert_eq!(region.scrape().len(), 21);
        assert!(region.history("search-api", 1, SignedDuration::from_hours(1)).len() <= 24);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Whatever is asked of the provider, no number becomes negative, infinite, or a ratio above 1.
    #[test]
    fn every_number_stays_in_its_range(
        seed in any::<u64>(),
        orders in prop::collection::vec((0usize..5, 0u32..120, 0i64..240), 1..30),
        ratio in 0.0f64..20.0,
    ) {
        let crowd = Scripted {
            after: SignedDuration::from_mins(3),
            lasts: SignedDuration::from_mins(8),
            service: "image-resizer".to_owned(),
            happening: Happening::FlashCrowd { ratio },
        };
        let mut region = scripted(seed, &[crowd]);
        let names: Vec<String> = region.services().map(|spec| spec.name.clone()).collect();
        let mut cost = 0.0;
        for (service, capacity, seconds) in orders {
            region.set_capacity(&names[service], capacity, None).expect("below the quota");
            prop_assert_eq!(region.current_capacity(&names[service]), Some(capacity));
            region.advance(region.now() + SignedDuration::from_secs(seconds));
            for sample in region.scrape() {
                prop_assert!(sample.value.is_finite() && 0.0 <= sample.value, "{:?}", sample);
                prop_assert_eq!(sample.at, region.now());
            }
            let mut total = 0.0;
            for name in &names {
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

    // More capacity is never slower, never less good, and never loses more.
    #[test]
    fn more_capacity_never_serves_worse(seed in any::<u64>(), units in 1u32..80, more in 1u32..40) {
        let serve = |units| {
            let mut region = scripted(seed, &[]);
            for service in demo_services() {
                region.set_capacity(&service.name, units, None).expect("below the quota");
            }
            region.advance(after_minutes(15));
            region
        };
        let (fewer, larger) = (serve(units), serve(units + more));
        for service in demo_services() {
            let latency = |region: &Region| region.metric("latency_p95_seconds", &service.name);
            prop_assert!(latency(&larger) <= latency(&fewer).map(|it| it + 1e-9));
            let of = |region: &Region| {
                let truth = region.truth(&service.name).expect("is there");
                (truth.slo_good_ratio.expect("arrived"), truth.unserved_ratio.expect("arrived"))
            };
            let ((good, lost), (better, less)) = (of(&fewer), of(&larger));
            prop_assert!(good <= better + 1e-9 && less <= lost + 1e-9);
        }
    }
}
