//! Knobs of exporters and of the backend against what queries answer over time.
//!
//! **In:** knobs. **Out:** readings. **Not here:** a whole region.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

mod counters;

const WEB: ServiceKind = ServiceKind::Web { queue_per_unit_max: 10.0, timeout_seconds: 1.0 };
const WORKERS: ServiceKind = ServiceKind::Workers { queue_max: 1e6 };
const CACHE: ServiceKind = ServiceKind::Cache {
    items: 1e6,
    zipf_exponent: 0.9,
    items_per_unit: 1e5,
    timeout_seconds: 1.0,
};
const DATABASE: ServiceKind =
    ServiceKind::Database { queue_per_unit_max: 10.0, timeout_seconds: 1.0, writes_ratio: 0.1 };

/// A scrape every three seconds, seen one second later, and none that fails by chance.
const SPEC: ExporterSpec = ExporterSpec { scrape_seconds: 3, lag_seconds: 1, misses_ratio: 0.0 };

fn begun(seed: u64, spec: ExporterSpec, kinds: &[ServiceKind]) -> Exporter {
    let mut exporter = Exporter::new(seed, spec, kinds.len());
    exporter.begin(1, kinds.iter().copied());
    exporter
}

/// A second in which everything is in proportion to `load`.
fn truth(load: f64) -> Truth {
    Truth {
        arrived_rps: load,
        good_rps: load * 0.75,
        errors_rps: load * 0.25,
        queue: load * 10.0,
        latency_p95_seconds: load / 100.0,
        cpu_ratio: load / 200.0,
        busy_ratio: load / 100.0,
        hit_ratio: Some(0.9),
        replica_lag_seconds: 4.0,
        ..Truth::default()
    }
}

fn words(reading: Reading) -> String {
    match reading {
        Reading::Sample { value, sampled_at } => {
            format!("{}@{sampled_at}", (value * 1e6).round() / 1e6)
        }
        Reading::NoSeries => "-".to_owned(),
        Reading::BackendDown => "down".to_owned(),
    }
}

/// One web service whose load is the number of the second. The fault is on in seconds 10 to 18,
/// and a query asks for the load in every second: scrapes are at 3, 6, 9, ... and bring the mean
/// of three seconds, which is the second before their own.
fn check(turn: impl Fn(&mut Exporter, bool), expected: &Expect) {
    let mut exporter = begun(1, SPEC, &[WEB]);
    let mut line = String::new();
    for second in 1..=27i64 {
        turn(&mut exporter, (10..19).contains(&second));
        exporter.record(second, 0, &truth(crate::chance::seconds_f64(second)));
        let reading = words(exporter.read(second, 0, Metric::Requests));
        let separator = if second % 9 == 0 { "\n" } else { " " };
        line.push_str(&format!("{reading}{separator}"));
    }
    expected.assert_eq(&line);
}

fn set(exporter: &mut Exporter, knobs: ExporterKnobs, is_on: bool) {
    *exporter.knobs_mut(0) = if is_on { knobs } else { ExporterKnobs::default() };
}

#[test]
fn a_rate_is_the_mean_since_the_scrape_before_and_is_seen_late() {
    check(
        |_, _| (),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 11@12 11@12 11@12 14@15 14@15 14@15
        17@18 17@18 17@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn a_series_that_is_gone_is_missed_from_the_next_scrape_on_and_back_with_the_next() {
    let knobs = ExporterKnobs { is_gone: true, ..ExporterKnobs::default() };
    check(
        |it, is_on| set(it, knobs, is_on),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 - - - - - -
        - - - 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn zeros_come_with_fresh_times() {
    let knobs = ExporterKnobs { reads_zero: true, ..ExporterKnobs::default() };
    check(
        |it, is_on| set(it, knobs, is_on),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 0@12 0@12 0@12 0@15 0@15 0@15
        0@18 0@18 0@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn a_frozen_series_repeats_its_last_value_with_fresh_times() {
    let knobs = ExporterKnobs { is_frozen: true, ..ExporterKnobs::default() };
    check(
        |it, is_on| set(it, knobs, is_on),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 8@12 8@12 8@12 8@15 8@15 8@15
        8@18 8@18 8@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn a_wrong_factor_multiplies() {
    let knobs = ExporterKnobs { factor: 1000.0, ..ExporterKnobs::default() };
    check(
        |it, is_on| set(it, knobs, is_on),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 11000@12 11000@12 11000@12 14000@15 14000@15 14000@15
        17000@18 17000@18 17000@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn a_garbled_series_is_not_a_number_and_negative_in_turn() {
    let knobs = ExporterKnobs { is_garbled: true, ..ExporterKnobs::default() };
    check(
        |it, is_on| set(it, knobs, is_on),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 NaN@12 NaN@12 NaN@12 -15@15 -15@15 -15@15
        NaN@18 NaN@18 NaN@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn when_scrapes_fail_the_old_sample_ages_and_the_next_is_the_mean_over_the_gap() {
    let knobs = ExporterKnobs { is_stale: true, ..ExporterKnobs::default() };
    check(
        |it, is_on| set(it, knobs, is_on),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@9 8@9 8@9 8@9 8@9 8@9 8@9 8@9 8@9
        8@9 8@9 8@9 15.5@21 15.5@21 15.5@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn a_backend_that_is_down_empty_or_off_its_clock_tells_at_once() {
    let backend = |knobs: BackendKnobs| {
        move |it: &mut Exporter, is_on: bool| {
            *it.backend_mut() = if is_on { knobs } else { BackendKnobs::default() };
        }
    };
    check(
        backend(BackendKnobs { is_down: true, ..BackendKnobs::default() }),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        down down down down down down down down down
        17@18 17@18 17@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
    check(
        backend(BackendKnobs { is_empty: true, ..BackendKnobs::default() }),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        - - - - - - - - -
        17@18 17@18 17@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
    let knobs = BackendKnobs { skew_seconds: -600, ..BackendKnobs::default() };
    check(
        backend(knobs),
        &expect![[r#"
        - - - 2@3 2@3 2@3 5@6 5@6 5@6
        8@-591 8@-591 8@-591 11@-588 11@-588 11@-588 14@-585 14@-585 14@-585
        17@18 17@18 17@18 20@21 20@21 20@21 23@24 23@24 23@24
    "#]],
    );
}

#[test]
fn several_faults_at_once_have_an_order() {
    let knobs = ExporterKnobs {
        is_gone: true,
        reads_zero: true,
        is_frozen: true,
        factor: 2.0,
        is_garbled: true,
        is_stale: true,
    };
    let cases = [
        ("stale before all", knobs),
        ("then gone", ExporterKnobs { is_stale: false, ..knobs }),
        ("then frozen", ExporterKnobs { is_stale: false, is_gone: false, ..knobs }),
        (
            "then zero, garbled",
            ExporterKnobs { is_stale: false, is_gone: false, is_frozen: false, ..knobs },
        ),
    ];
    let mut table = String::new();
    for (name, knobs) in cases {
        let mut exporter = begun(1, SPEC, &[WEB]);
        let mut line = format!("{name}:");
        for second in 1..=18i64 {
            set(&mut exporter, knobs, 10 <= second);
            exporter.record(second, 0, &truth(crate::chance::seconds_f64(second)));
            if second % 3 == 0 {
                let reading = words(exporter.read(second, 0, Metric::Requests));
                line.push_str(&format!(" {reading}"));
            }
        }
        table.push_str(&format!("{line}\n"));
    }
    expect![[r#"
        stale before all: - 2@3 5@6 8@9 8@9 8@9
        then gone: - 2@3 5@6 8@9 - -
        then frozen: - 2@3 5@6 8@9 8@12 8@15
        then zero, garbled: - 2@3 5@6 8@9 NaN@12 -1@15
    "#]]
    .assert_eq(&table);
}

/// Every metric of every kind of service, with knobs.
fn all_metrics(knobs: ExporterKnobs, load: f64) -> String {
    let kinds = [WEB, WORKERS, CACHE, DATABASE];
    let mut exporter = begun(1, SPEC, &kinds);
    for service in 0..kinds.len() {
        *exporter.knobs_mut(service) = knobs;
        for second in 1..=10 {
            let hit_ratio = (service == 2).then_some(0.9);
            exporter.record(second, service, &Truth { hit_ratio, ..truth(load) });
        }
    }
    let mut table = String::new();
    for metric in Metric::ALL {
        table.push_str(&format!("{:26}", metric.name()));
        for service in 0..kinds.len() {
            let words = words(exporter.read(100, service, metric));
            let value = words.split('@').next().unwrap_or_default();
            table.push_str(&format!("{value:>8}"));
        }
        table.push('\n');
    }
    table
}

#[test]
fn every_kind_of_service_has_its_metrics() {
    expect![[r#"
        http_requests_per_second        20       -      20      20
        queue_arrivals_per_second        -      20       -       -
        good_requests_per_second        15      15      15      15
        error_ratio                   0.25    0.25    0.25    0.25
        latency_p95_seconds            0.2     0.2     0.2     0.2
        queue_depth                    200     200     200     200
        cpu_ratio                      0.1     0.1     0.1     0.1
        busy_ratio                     0.2     0.2     0.2     0.2
        hit_ratio                        -       -     0.9       -
        replica_lag_seconds              -       -       -       4
        disk_used_ratio                  -       -       -       -
        certificate_expires_seconds       -       -       -       -
        spend_usd_per_hour               -       -       -       -
        revision_age_seconds             -       -       -       -
        requests_total                   0       0       0       0
        requests_good_total              0       0       0       0
        requests_bad_total               0       0       0       0
        unit_price_usd_per_hour          -       -       -       -
    "#]]
    .assert_eq(&all_metrics(ExporterKnobs::default(), 20.0));
}

#[test]
fn zeros_are_of_load_latency_queue_and_cpu_alone() {
    let knobs = ExporterKnobs { reads_zero: true, ..ExporterKnobs::default() };
    expect![[r#"
        http_requests_per_second         0       -       0       0
        queue_arrivals_per_second        -       0       -       -
        good_requests_per_second         0       0       0       0
        error_ratio                      0       0       0       0
        latency_p95_seconds              0       0       0       0
        queue_depth                      0       0       0       0
        cpu_ratio                        0       0       0       0
        busy_ratio                       0       0       0       0
        hit_ratio                        -       -     0.9       -
        replica_lag_seconds              -       -       -       4
        disk_used_ratio                  -       -       -       -
        certificate_expires_seconds       -       -       -       -
        spend_usd_per_hour               -       -       -       -
        revision_age_seconds             -       -       -       -
        requests_total                   0       0       0       0
        requests_good_total              0       0       0       0
        requests_bad_total               0       0       0       0
        unit_price_usd_per_hour          -       -       -       -
    "#]]
    .assert_eq(&all_metrics(knobs, 20.0));
}

#[test]
fn without_traffic_there_is_no_error_ratio() {
    let exporter = {
        let mut exporter = begun(1, SPEC, &[WEB]);
        (1..=10).for_each(|second| exporter.record(second, 0, &truth(0.0)));
        exporter
    };
    assert_eq!(exporter.read(10, 0, Metric::ErrorRatio), Reading::NoSeries);
    assert_ne!(exporter.read(10, 0, Metric::Requests), Reading::NoSeries);
}

#[test]
fn a_long_gap_does_not_come_back_as_its_mean() {
    let mut exporter = begun(1, SPEC, &[WEB]);
    for second in 1..=600 {
        exporter.knobs_mut(0).is_stale = second <= 500;
        exporter.record(second, 0, &truth(if second <= 480 { 1000.0 } else { 10.0 }));
        if let Reading::Sample { value, .. } = exporter.read(second, 0, Metric::Requests) {
            assert!(500 < second && value.to_bits() == 10.0f64.to_bits(), "{value} at {second}");
        }
    }
}

#[test]
fn metrics_are_places_in_the_order_of_all() {
    for (place, metric) in Metric::ALL.into_iter().enumerate() {
        assert_eq!(metric as usize, place);
        assert_eq!(Metric::parse(metric.name()), Some(metric));
    }
}

#[test]
fn services_are_scraped_at_different_seconds_of_the_interval() {
    let kinds = [WEB; 200];
    let mut exporter =
        begun(5, ExporterSpec { misses_ratio: 0.0, ..ExporterSpec::default() }, &kinds);
    let mut n_by_place = [0; 15];
    for second in 1..=15 {
        for service in 0..kinds.len() {
            exporter.record(second, service, &truth(1.0));
        }
    }
    for service in 0..kinds.len() {
        match exporter.read(100, service, Metric::Requests) {
            Reading::Sample { sampled_at, .. } => {
                n_by_place[usize::try_from(sampled_at - 1).unwrap()] += 1;
            }
            other @ (Reading::NoSeries | Reading::BackendDown) => panic!("{service}: {other:?}"),
        }
    }
    // Of 200 over 15 places, none is empty and none has three times its share.
    assert!(n_by_place.iter().all(|n| (1..=40).contains(n)), "{n_by_place:?}");
}

#[test]
fn as_many_scrapes_fail_by_chance_as_the_spec_says() {
    let spec = ExporterSpec { scrape_seconds: 1, lag_seconds: 0, misses_ratio: 0.1 };
    let mut exporter = begun(9, spec, &[WEB]);
    let n_fresh = (1..=20_000)
        .filter(|second| {
            exporter.record(*second, 0, &truth(1.0));
            matches!(exporter.read(*second, 0, Metric::Requests),
                Reading::Sample { sampled_at, .. } if sampled_at == *second)
        })
        .count();
    // Four standard errors around 18,000: 4 * sqrt(20,000 * 0.1 * 0.9).
    assert!((17_830..=18_170).contains(&n_fresh), "{n_fresh}");
}

#[test]
fn odd_specs_and_services_that_are_not_there_have_answers() {
    let spec = ExporterSpec { scrape_seconds: 0, lag_seconds: i64::MAX, misses_ratio: f64::NAN };
    let mut exporter = begun(1, spec, &[WEB]);
    assert_eq!((exporter.spec().scrape_seconds, exporter.spec().lag_seconds), (1, LAG_SECONDS_MAX));
    (1..=1_000).for_each(|second| exporter.record(second, 0, &truth(1.0)));
    assert_eq!(words(exporter.read(1_000, 0, Metric::Requests)), "1@400");
    exporter.record(1, 7, &truth(1.0));
    assert_eq!(exporter.read(1_000, 7, Metric::Requests), Reading::NoSeries);

    let spec = ExporterSpec { scrape_seconds: i64::MAX, lag_seconds: -5, misses_ratio: 0.0 };
    let mut exporter = begun(1, spec, &[WEB]);
    (1..=100).for_each(|second| exporter.record(second, 0, &truth(1.0)));
    assert_eq!(exporter.read(100, 0, Metric::Requests), Reading::NoSeries);
}

fn knobs() -> impl Strategy<Value = ExporterKnobs> {
    let rarely = || prop::bool::weighted(0.2);
    (rarely(), rarely(), rarely(), 0.0f64..10.0, rarely(), rarely()).prop_map(
        |(is_gone, reads_zero, is_frozen, factor, is_garbled, is_stale)| ExporterKnobs {
            is_gone,
            reads_zero,
            is_frozen,
            factor,
            is_garbled,
            is_stale,
        },
    )
}

fn spec(misses_ratio: f64) -> impl Strategy<Value = ExporterSpec> {
    (1i64..40, 0i64..90).prop_map(move |(scrape_seconds, lag_seconds)| ExporterSpec {
        scrape_seconds,
        lag_seconds,
        misses_ratio,
    })
}

/// All readings of two services, in bits, where the knobs of the first change every 20 seconds.
fn run(seed: u64, spec: ExporterSpec, loads: &[f64], knobs: &[ExporterKnobs]) -> Vec<[String; 2]> {
    let mut exporter = begun(seed, spec, &[DATABASE, WEB]);
    let mut readings = Vec::new();
    for (n, load) in loads.iter().enumerate() {
        let second = i64::try_from(n).unwrap() + 1;
        *exporter.knobs_mut(0) = knobs.get(n / 20).copied().unwrap_or_default();
        exporter.record(second, 0, &truth(*load));
        exporter.record(second, 1, &truth(*load));
        for metric in Metric::ALL {
            readings.push([0, 1].map(|it| format!("{:?}", exporter.read(second, it, metric))));
        }
    }
    readings
}

proptest! {
    // On a good day a sample is the naive mean of the seconds since the sample before, it is
    // never from the future, and never older than an interval and the lag.
    #[test]
    fn without_faults_samples_are_means_and_fresh(
        seed: u64,
        spec in spec(0.0),
        loads in prop::collection::vec(0.0f64..1e6, 1..300),
    ) {
        let mut exporter = begun(seed, spec, &[WEB]);
        let mut sampled_before = 0;
        for (n, load) in loads.iter().enumerate() {
            let second = i64::try_from(n).unwrap() + 1;
            exporter.record(second, 0, &truth(*load));
            match exporter.read(second, 0, Metric::Requests) {
                Reading::Sample { value, sampled_at } => {
                    prop_assert!(sampled_at + spec.lag_seconds <= second);
                    prop_assert!(second < sampled_at + spec.lag_seconds + spec.scrape_seconds);
                    if sampled_at != sampled_before {
                        let span = usize::try_from(sampled_before).unwrap()
                            ..usize::try_from(sampled_at).unwrap();
                        let n = f64::from(u32::try_from(span.len()).unwrap());
                        let mean = loads[span].iter().sum::<f64>() / n;
                        prop_assert!((value - mean).abs() <= 1e-9 * mean, "{value} for {mean}");
                        prop_assert!(
                            sampled_before == 0 || sampled_at - sampled_before == spec.scrape_seconds
                        );
                        sampled_before = sampled_at;
                    }
                }
                Reading::NoSeries => {
                    prop_assert!(second < spec.scrape_seconds + spec.lag_seconds);
                }
                Reading::BackendDown => prop_assert!(false, "the backend is up"),
            }
        }
    }

    // Samples never go back in time, whatever the exporter suffers.
    #[test]
    fn time_does_not_go_back(
        seed: u64,
        spec in spec(0.2),
        knobs in prop::collection::vec(knobs(), 15),
    ) {
        let mut exporter = begun(seed, spec, &[WEB]);
        let mut newest = 0;
        for second in 1..=300i64 {
            *exporter.knobs_mut(0) = knobs[usize::try_from(second - 1).unwrap() / 20];
            exporter.record(second, 0, &truth(1.0));
            if let Reading::Sample { sampled_at, .. } = exporter.read(second, 0, Metric::Cpu) {
                prop_assert!(newest <= sampled_at && sampled_at + spec.lag_seconds <= second);
                newest = sampled_at;
            }
        }
    }

    // Equal seeds read equal, and what befalls one exporter leaves the other as it was.
    #[test]
    fn equal_runs_read_equal_and_faults_stay_where_they_are(
        seed: u64,
        spec in spec(0.2),
        loads in prop::collection::vec(0.0f64..1e6, 1..200),
        knobs in prop::collection::vec(knobs(), 10),
    ) {
        let hurt = run(seed, spec, &loads, &knobs);
        prop_assert_eq!(&hurt, &run(seed, spec, &loads, &knobs));
        let well = run(seed, spec, &loads, &[]);
        for (hurt, well) in hurt.iter().zip(&well) {
            prop_assert_eq!(&hurt[1], &well[1]);
        }
    }
}
