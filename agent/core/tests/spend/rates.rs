//! Rates: prices, commitments, what is missing, and that everything adds up.

use evenkeel_core::documents::{CapacityPrice, Commitment, LabelledQuery, PriceBook, UnitPrice};
use evenkeel_core::documents::{Selector, Target, UsagePrice};
use evenkeel_core::ids::UsageName;
use evenkeel_core::spend::rate::{Carried, Gap, SpendRates, spend_rates};
use evenkeel_core::spend::{GaugeReading, SpendReading, SpendingTarget, UsageReading};
use evenkeel_core::units::Capacity;
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::kit::{at, book, close, of_service, service, target};

fn spending(targets: &[(Target, Option<u32>)]) -> Vec<SpendingTarget<'_>> {
    targets.iter().map(|(target, n)| SpendingTarget { target, current: n.map(Capacity) }).collect()
}

fn show(it: &SpendRates) -> String {
    let mut lines = vec![format!("total {:.2}", it.total_per_hour)];
    lines.extend(it.by_target.iter().map(|(id, rate)| format!("  target {id} {rate:.2}")));
    lines.extend(it.by_service.iter().map(|(id, rate)| format!("  service {id} {rate:.2}")));
    lines.extend(it.by_region.iter().map(|(id, rate)| format!("  region {id} {rate:.2}")));
    lines.push(format!("  unallocated {:.2}", it.unallocated_per_hour));
    lines.extend(it.gaps.iter().map(|it| format!("  gap {it:?}")));
    lines.extend(it.unpriced.iter().map(|it| format!("  unpriced {it}")));
    lines.join("\n")
}

#[track_caller]
fn check(
    book: &PriceBook,
    targets: &[(Target, Option<u32>)],
    reading: &SpendReading,
    expected: &Expect,
) {
    let mut carried = Carried::default();
    let rates = spend_rates(at(0), Some(book), &spending(targets), reading, &mut carried);
    expected.assert_eq(&show(&rates));
}

fn query(text: &str) -> LabelledQuery {
    LabelledQuery {
        query: text.to_owned(),
        label: "service".to_owned(),
        max_age: SignedDuration::from_mins(2),
    }
}

fn usage_line(name: &str, price_per_unit: f64) -> UsagePrice {
    let usage = query(name);
    UsagePrice { name: UsageName::new(name).unwrap(), usage, price_per_unit }
}

fn used(name: &str, of: &str, per_second: f64) -> UsageReading {
    UsageReading { name: UsageName::new(name).unwrap(), service: service(of), per_second }
}

#[test]
fn the_first_price_that_selects_a_target_is_its_own_and_the_discount_is_off() {
    let book = PriceBook {
        capacity: vec![
            CapacityPrice { selector: of_service("web"), price: UnitPrice::PerHour(2.0) },
            CapacityPrice { selector: Selector::everything(), price: UnitPrice::PerHour(9.0) },
        ],
        discount_ratio: 0.5,
        ..book()
    };
    let targets = [
        (target("web-eu", "web", "eu", Some(100.0)), Some(3)),
        (target("db", "db", "us", None), Some(1)),
    ];
    check(
        &book,
        &targets,
        &SpendReading::default(),
        &expect![[r#"
        total 7.50
          target db 4.50
          target web-eu 3.00
          service db 4.50
          service web 3.00
          region eu 3.00
          region us 4.50
          unallocated 0.00"#]],
    );
}

#[test]
fn a_commitment_is_paid_always_and_covers_the_most_expensive_units_first() {
    let commitment = |units| Commitment {
        name: "reserved".to_owned(),
        selector: Selector::everything(),
        units,
        price_per_hour: 1.0,
    };
    let targets = [
        (target("cheap", "a", "eu", Some(2.0)), Some(4)),
        (target("dear", "b", "eu", Some(5.0)), Some(2)),
    ];
    let none = SpendReading::default();
    let some = PriceBook { commitments: vec![commitment(3)], ..book() };
    check(
        &some,
        &targets,
        &none,
        &expect![[r#"
        total 9.00
          target cheap 7.00
          target dear 2.00
          service a 7.00
          service b 2.00
          region eu 9.00
          unallocated 0.00"#]],
    );
    let more_than_used = PriceBook { commitments: vec![commitment(4), commitment(6)], ..book() };
    check(
        &more_than_used,
        &targets,
        &none,
        &expect![[r#"
        total 10.00
          target cheap 4.00
          target dear 2.00
          service a 4.00
          service b 2.00
          region eu 6.00
          unallocated 4.00"#]],
    );
}

#[test]
fn usage_is_filed_by_service_and_unpriced_targets_are_named() {
    let book = PriceBook { usage: vec![usage_line("egress", 0.01)], ..book() };
    let reading =
        SpendReading { usage: vec![used("egress", "web", 2.0)], ..SpendReading::default() };
    check(
        &book,
        &[(target("web", "web", "eu", None), Some(1))],
        &reading,
        &expect![[r#"
        total 72.00
          target web 0.00
          service web 72.00
          region eu 0.00
          unallocated 0.00
          unpriced web"#]],
    );
}

#[test]
fn what_is_no_longer_read_is_carried_for_15_minutes_and_then_a_lower_bound() {
    let book = PriceBook {
        capacity: vec![CapacityPrice {
            selector: Selector::everything(),
            price: UnitPrice::Gauge(query("node_total_hourly_cost")),
        }],
        usage: vec![usage_line("egress", 0.01)],
        ..book()
    };
    let web = target("web", "web", "eu", None);
    let reading = SpendReading {
        gauges: vec![GaugeReading { nth: 0, service: service("web"), price_per_hour: 2.0 }],
        usage: vec![used("egress", "web", 1.0)],
        ..SpendReading::default()
    };
    let mut carried = Carried::default();
    let mut lines = Vec::new();
    for (seconds, current, reading) in [
        (0, Some(3), reading),
        (900, None, SpendReading::default()),
        (901, None, SpendReading::default()),
        (90_000, Some(3), SpendReading::default()),
    ] {
        let targets = [(web.clone(), current)];
        let rates =
            spend_rates(at(seconds), Some(&book), &spending(&targets), &reading, &mut carried);
        let (estimated, lower) = (rates.is_estimated(), rates.is_lower_bound());
        lines.push(format!("after {seconds} s: estimated {estimated}, lower bound {lower}"));
        lines.push(show(&rates));
    }
    expect![[r#"
        after 0 s: estimated false, lower bound false
        total 42.00
          target web 6.00
          service web 42.00
          region eu 6.00
          unallocated 0.00
        after 900 s: estimated true, lower bound false
        total 42.00
          target web 6.00
          service web 42.00
          region eu 6.00
          unallocated 0.00
          gap Capacity { target: `web`, is_carried: true }
          gap Gauge { target: `web`, is_carried: true }
          gap Usage { name: `egress`, service: Some(`web`), is_carried: true }
        after 901 s: estimated false, lower bound true
        total 0.00
          target web 0.00
          service web 0.00
          region eu 0.00
          unallocated 0.00
          gap Capacity { target: `web`, is_carried: false }
          gap Gauge { target: `web`, is_carried: false }
          gap Usage { name: `egress`, service: Some(`web`), is_carried: false }
        after 90000 s: estimated false, lower bound true
        total 0.00
          target web 0.00
          service web 0.00
          region eu 0.00
          unallocated 0.00
          gap Gauge { target: `web`, is_carried: false }
          gap Usage { name: `egress`, service: None, is_carried: false }"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn numbers_that_are_no_prices_are_not_read() {
    let book = PriceBook { usage: vec![usage_line("egress", 0.01)], ..book() };
    for wrong in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let usage = vec![used("egress", "web", wrong)];
        let reading = SpendReading { usage, ..SpendReading::default() };
        let mut carried = Carried::default();
        let rates = spend_rates(at(0), Some(&book), &[], &reading, &mut carried);
        assert!(rates.is_lower_bound() && rates.total_per_hour.abs() < 1e-9, "{wrong}: {rates:?}");
    }
}

#[test]
fn usage_of_a_million_services_is_bounded_and_said() {
    let book = PriceBook { usage: vec![usage_line("egress", 1.0)], ..book() };
    let usage = (0..100_000).map(|n| used("egress", &format!("s{n}"), f64::from(n))).collect();
    let reading = SpendReading { usage, ..SpendReading::default() };
    let mut carried = Carried::default();
    let rates = spend_rates(at(0), Some(&book), &[], &reading, &mut carried);
    assert_eq!(rates.by_service.len(), 500);
    assert_eq!(rates.gaps, [Gap::TooManyServices { n_services: 99_500 }]);
    close(rates.total_per_hour, 3600.0 * (99_999.0 * 100_000.0 / 2.0));
    close(
        rates.by_service.values().sum::<f64>() + rates.unallocated_per_hour,
        rates.total_per_hour,
    );
}

proptest! {
    #[test]
    fn the_total_is_services_and_unallocated_and_is_what_a_plain_sum_says(
        fleet in proptest::collection::vec((0_u32..20, 0.0..10.0_f64, 0_usize..3), 1..8),
        committed in proptest::collection::vec((0_u32..30, 0.0..5.0_f64, 0_usize..4), 0..4),
        lines in proptest::collection::vec((0.0..10.0_f64, 0.0..1.0_f64, 0_usize..5), 0..4),
        discount_ratio in 0.0..0.9_f64,
    ) {
        let targets: Vec<(Target, Option<u32>)> = fleet.iter().enumerate().map(|(nth, it)| {
            let (name, of) = (format!("t{nth}"), format!("s{}", it.2));
            (target(&name, &of, "eu", Some(it.1)), Some(it.0))
        }).collect();
        let book = PriceBook {
            commitments: committed.iter().map(|it| Commitment {
                name: "c".to_owned(),
                selector: if it.2 == 3 { Selector::everything() } else { of_service(&format!("s{}", it.2)) },
                units: it.0,
                price_per_hour: it.1,
            }).collect(),
            usage: lines.iter().enumerate().map(|(n, it)| usage_line(&format!("u{n}"), it.1)).collect(),
            discount_ratio,
            ..book()
        };
        let usage = lines.iter().enumerate()
            .map(|(n, it)| used(&format!("u{n}"), &format!("s{}", it.2), it.0)).collect();
        let reading = SpendReading { usage, ..SpendReading::default() };
        let mut carried = Carried::default();
        let rates = spend_rates(at(0), Some(&book), &spending(&targets), &reading, &mut carried);
        close(rates.by_service.values().sum::<f64>() + rates.unallocated_per_hour, rates.total_per_hour);
        // Unit by unit: every commitment takes the dearest unit that is not taken yet.
        let mut units: Vec<(f64, usize, bool)> = fleet.iter()
            .flat_map(|it| std::iter::repeat_n((it.1, it.2, false), it.0 as usize)).collect();
        units.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut total = 0.0;
        for it in &committed {
            total += f64::from(it.0) * it.1;
            for _ in 0..it.0 {
                let free = units.iter_mut().find(|u| !u.2 && (it.2 == 3 || it.2 == u.1));
                if let Some(unit) = free { unit.2 = true; }
            }
        }
        total += units.iter().filter(|it| !it.2).map(|it| it.0).sum::<f64>() * (1.0 - discount_ratio);
        total += lines.iter().map(|it| it.0 * 3600.0 * it.1).sum::<f64>() * (1.0 - discount_ratio);
        close(rates.total_per_hour, total);
        prop_assert!(!rates.is_estimated() && !rates.is_lower_bound());
    }
}
