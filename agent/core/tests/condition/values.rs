//! Good expressions, as tables with their values.

use std::fmt::Write as _;

use evenkeel_core::condition::{Condition, Environment, FUNCTIONS, Formula, Kind, Unit};
use expect_test::{Expect, expect};

use crate::world::{World, environment, instances};

fn truth(text: &str, world: &World) -> String {
    match Condition::parse(text, &environment()) {
        Ok(condition) => condition.truth(world).to_string(),
        Err(fault) => format!("fault: {fault}; {}\n{}", fault.hint, fault.caret(text)),
    }
}

/// Each line of `texts` with its truth.
#[track_caller]
fn check_truths(world: &World, texts: &str, expected: &Expect) {
    let mut table = String::new();
    for text in texts.lines().map(str::trim).filter(|it| !it.is_empty()) {
        writeln!(table, "{:<7} {text}", truth(text, world)).unwrap();
    }
    expected.assert_eq(&table);
}

/// Each line of `texts`, a unit and an expression, with its value.
#[track_caller]
fn check_values(texts: &str, expected: &Expect) {
    let mut table = String::new();
    for line in texts.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let (unit, text) = line.split_once(": ").unwrap();
        let unit = *Unit::ALL.iter().find(|it| it.name() == unit).unwrap();
        let value = match Formula::parse(text, &environment(), unit) {
            Ok(formula) => match formula.value(&World::usual()) {
                Some(value) => value.to_string(),
                None => "unknown".to_owned(),
            },
            Err(fault) => format!("fault: {fault}; {}", fault.hint),
        };
        writeln!(table, "{line} = {value}").unwrap();
    }
    expected.assert_eq(&table);
}

#[test]
fn conditions_hold_or_not() {
    check_truths(
        &World::usual(),
        r#"
        params.slow_ratio < error_ratio
        error_ratio > percent(5)
        error_ratio >= 0.12 && error_ratio <= 0.12
        latency > duration("500ms")
        latency * 2 > params.latency_max
        load / target.ready < rps(100)
        load < rps(100) * target.ready
        spend > usd_per_hour(10) || bill > usd(1e3)
        disk_free < bytes("10Gi")
        target.ready < target.desired
        target.ready == 7
        count(target.ready) != params.attempts
        !(target.ready >= target.desired)
        error_ratio < 0.5 ? latency < duration("1s") : false
        abs(latency - params.latency_max) < duration("200ms")
        max(error_ratio, params.slow_ratio, 0.1) > 0.1
        -error_ratio < 0
        true || error_ratio / (params.slow_ratio - params.slow_ratio) < 1
        instances(slow) == 5 && outlier_count(slow, 3) == 1
        share_above(errors, 10 / 100) >= 0.25
        worst(slow) > 3 * median(slow)
        lowest(slow) < mean(slow)
        1.5e3 < 2E3 && .5 < 1 && 1e-3 < 1
        "#,
        &expect![[r#"
            true    params.slow_ratio < error_ratio
            true    error_ratio > percent(5)
            true    error_ratio >= 0.12 && error_ratio <= 0.12
            false   latency > duration("500ms")
            true    latency * 2 > params.latency_max
            true    load / target.ready < rps(100)
            true    load < rps(100) * target.ready
            true    spend > usd_per_hour(10) || bill > usd(1e3)
            false   disk_free < bytes("10Gi")
            true    target.ready < target.desired
            true    target.ready == 7
            true    count(target.ready) != params.attempts
            true    !(target.ready >= target.desired)
            true    error_ratio < 0.5 ? latency < duration("1s") : false
            true    abs(latency - params.latency_max) < duration("200ms")
            true    max(error_ratio, params.slow_ratio, 0.1) > 0.1
            true    -error_ratio < 0
            true    true || error_ratio / (params.slow_ratio - params.slow_ratio) < 1
            true    instances(slow) == 5 && outlier_count(slow, 3) == 1
            true    share_above(errors, 10 / 100) >= 0.25
            true    worst(slow) > 3 * median(slow)
            true    lowest(slow) < mean(slow)
            true    1.5e3 < 2E3 && .5 < 1 && 1e-3 < 1
        "#]],
    );
}

#[test]
fn numbers_have_the_unit_they_were_asked_for() {
    check_values(
        r#"
        ratio: 0.5
        count: 3
        units: target.desired + 2
        units: max(target.ready, target.desired * 1.5)
        rps: load / target.ready * target.desired
        rps: params.slow_ratio * load
        seconds: duration("1m") + latency * 2
        seconds: duration("1s500ms")
        ratio: latency / params.latency_max
        ratio: 1 - error_ratio
        ratio: 6 / target.desired
        count: requests * error_ratio
        usd: bill / 3
        usd_per_hour: spend - usd_per_hour(0.5)
        bytes: min(disk_free, bytes("1.5Gi"))
        units: error_ratio > 0.1 ? target.ready + 1 : target.ready
        count: 2 + 3 * 4 - 8 / 2 / 2
        count: -(2 - 5) - -1
        ratio: percent(5)
        seconds: median(slow)
        seconds: mean(slow)
        seconds: worst(nobody)
        count: instances(nobody)
        count: outlier_count(busy, 2)
        ratio: error_ratio / (params.slow_ratio - 0.05)
        count: 1e300 * requests * 1e300
        "#,
        &expect![[r#"
            ratio: 0.5 = 0.5
            count: 3 = 3
            units: target.desired + 2 = 10
            units: max(target.ready, target.desired * 1.5) = 12
            rps: load / target.ready * target.desired = 731.4285714285714
            rps: params.slow_ratio * load = 32
            seconds: duration("1m") + latency * 2 = 60.7
            seconds: duration("1s500ms") = 1.5
            ratio: latency / params.latency_max = 0.7
            ratio: 1 - error_ratio = 0.88
            ratio: 6 / target.desired = 0.75
            count: requests * error_ratio = 144
            usd: bill / 3 = 100
            usd_per_hour: spend - usd_per_hour(0.5) = 12
            bytes: min(disk_free, bytes("1.5Gi")) = 1610612736
            units: error_ratio > 0.1 ? target.ready + 1 : target.ready = 8
            count: 2 + 3 * 4 - 8 / 2 / 2 = 12
            count: -(2 - 5) - -1 = 4
            ratio: percent(5) = 0.05
            seconds: median(slow) = 0.1
            seconds: mean(slow) = 0.26000000000000006
            seconds: worst(nobody) = unknown
            count: instances(nobody) = 0
            count: outlier_count(busy, 2) = unknown
            ratio: error_ratio / (params.slow_ratio - 0.05) = unknown
            count: 1e300 * requests * 1e300 = unknown
        "#]],
    );
}

#[test]
fn what_is_not_known_stays_unknown_unless_the_rest_decides() {
    check_truths(
        &World::usual().without("latency").without("slow"),
        r#"
        latency < duration("1s")
        !(latency < duration("1s"))
        latency < duration("1s") && error_ratio < 0.01
        latency < duration("1s") || error_ratio > 0.01
        latency < duration("1s") && error_ratio > 0.01
        latency < duration("1s") || error_ratio < 0.01
        latency < duration("1s") ? true : true
        error_ratio > 0.01 ? true : latency < duration("1s")
        known(latency)
        known(latency) && latency < duration("1s")
        !known(latency) || latency < duration("1s")
        known(error_ratio)
        known(slow)
        worst(slow) > duration("1s")
        instances(slow) > 3
        max(latency, duration("5s")) > duration("1s")
        latency * 0 < duration("1s")
        error_ratio / (error_ratio - error_ratio) > 1
        "#,
        &expect![[r#"
            unknown latency < duration("1s")
            unknown !(latency < duration("1s"))
            false   latency < duration("1s") && error_ratio < 0.01
            true    latency < duration("1s") || error_ratio > 0.01
            unknown latency < duration("1s") && error_ratio > 0.01
            unknown latency < duration("1s") || error_ratio < 0.01
            unknown latency < duration("1s") ? true : true
            true    error_ratio > 0.01 ? true : latency < duration("1s")
            false   known(latency)
            false   known(latency) && latency < duration("1s")
            true    !known(latency) || latency < duration("1s")
            true    known(error_ratio)
            false   known(slow)
            unknown worst(slow) > duration("1s")
            unknown instances(slow) > 3
            unknown max(latency, duration("5s")) > duration("1s")
            unknown latency * 0 < duration("1s")
            unknown error_ratio / (error_ratio - error_ratio) > 1
        "#]],
    );
}

#[test]
fn a_number_that_is_none_counts_as_unknown() {
    for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut world = World::usual();
        world.numbers.insert("latency".to_owned(), none);
        world.instances.insert("slow".to_owned(), instances(&[0.1, none, 0.2, 0.3]));
        assert_eq!(truth("latency < duration(\"1s\")", &world), "unknown");
        assert_eq!(truth("latency > duration(\"1s\")", &world), "unknown");
        assert_eq!(truth("known(latency) || known(slow)", &world), "false");
        assert_eq!(truth("worst(slow) > duration(\"1s\")", &world), "unknown");
        assert_eq!(truth("share_above(slow, duration(\"1s\")) < 0.5", &world), "unknown");
        assert_eq!(truth("outlier_count(slow, 2) < 1", &world), "unknown");
        assert_eq!(truth("instances(slow) == 4", &world), "true");
    }
}

#[test]
fn outliers_are_measured_against_the_others() {
    let count = |values: &[f64], factor: &str| {
        let mut world = World::default();
        world.instances.insert("slow".to_owned(), instances(values));
        let text = format!("outlier_count(slow, {factor})");
        Formula::parse(&text, &environment(), Unit::Count).unwrap().value(&world)
    };
    assert_eq!(count(&[], "2"), None);
    assert_eq!(count(&[1.0, 9.0], "2"), None, "of two nobody knows which is ill");
    assert_eq!(count(&[1.0, 1.0, 9.0], "2"), Some(1.0));
    // Of three, two are high: each is compared with the mean of a high and the low one.
    assert_eq!(count(&[1.0, 9.0, 9.0], "1.5"), Some(2.0));
    assert_eq!(count(&[1.0, 9.0, 9.0], "2"), Some(0.0));
    assert_eq!(count(&[1.0, 1.0, 1.0, 2.0], "2"), Some(0.0), "not above, but equal");
    assert_eq!(count(&[1.0, 1.0, 1.0, 2.1], "2"), Some(1.0));
    assert_eq!(count(&[0.0, 0.0, 0.0, 0.1], "3"), Some(1.0));
    assert_eq!(count(&vec![1.0; 1_000], "0.5"), Some(1_000.0));
    assert_eq!(count(&vec![1.0; 1_001], "0.5"), None, "more than a caller may give");
}

#[test]
fn a_condition_is_shown_with_what_decided_it() {
    let texts = [
        "error_ratio > params.slow_ratio",
        "known(latency) && worst(slow) < duration(\"1s\")",
        "instances(nobody) < 1 || mean(busy) > 3",
        "load/target.ready<rps(100)",
        "spend > usd_per_hour(10) ||\n    disk_free < bytes(\"10Gi\")",
    ];
    let world = World::usual().without("latency");
    let show = |text| Condition::parse(text, &environment()).unwrap().show(&world);
    expect![[r#"
        error_ratio (0.12) > params.slow_ratio (0.05)
        known(latency (unknown)) && worst(slow (5 instances, 0.09 s to 0.9 s)) < duration("1s")
        instances(nobody (0 instances)) < 1 || mean(busy (2 instances, 4 to 5)) > 3
        load (640 rps)/target.ready (7)<rps(100)
        spend (12.5 $/h) > usd_per_hour(10) || disk_free (20 Gi) < bytes("10Gi")"#]]
    .assert_eq(&texts.map(show).join("\n"));
}

#[test]
fn what_is_shown_is_bounded() {
    let text = vec!["instances(nobody)"; 66].join(" +          ") + " < 1";
    let condition = Condition::parse(&text, &environment()).unwrap();
    let mut world = World::default();
    world.instances.insert("nobody".to_owned(), instances(&[f64::NAN; 200]));
    let shown = condition.show(&world);
    assert!(shown.starts_with("instances(nobody (200 instances, values unknown)) + "), "{shown}");
    assert!(2_900 < shown.len() && shown.len() <= 3_000 && shown.ends_with('…'), "{shown}");
}

#[test]
fn every_function_can_be_called_as_its_form_says() {
    let environment = Environment::new()
        .with("a", Kind::Number(Unit::Ratio))
        .with("b", Kind::Number(Unit::Ratio))
        .with("limit", Kind::Number(Unit::Ratio))
        .with("target.ready", Kind::Number(Unit::Units))
        .with("x", Kind::Instances(Unit::Ratio));
    for function in FUNCTIONS {
        let is_good = |text: &str| {
            let fits = |unit| Formula::parse(text, &environment, unit).is_ok();
            Condition::parse(text, &environment).is_ok() || Unit::ALL.into_iter().any(fits)
        };
        assert!(is_good(function.form), "{}", function.form);
        assert!(!function.about.is_empty() && function.form.starts_with(function.name));
    }
}

/// The documentation for people.
const PAGE: &str = include_str!("../../../../playbooks/CONDITIONS.md");

#[test]
fn the_examples_of_the_documentation_are_conditions() {
    let environment = environment()
        .with("target.max", Kind::Number(Unit::Units))
        .with("backlog", Kind::Number(Unit::Count))
        .with("params.backlog_usual", Kind::Number(Unit::Count))
        .with("params.spend_plan", Kind::Number(Unit::UsdPerHour))
        .with("params.error_ratio_max", Kind::Number(Unit::Ratio));
    let (_, examples) = PAGE.split_once("## Examples").unwrap();
    let examples = examples.split("```").nth(1).unwrap();
    let start = PAGE.split("```").nth(1).unwrap();
    let lines = start.lines().chain(examples.lines());
    let texts: Vec<&str> = lines.filter(|it| !it.is_empty() && !it.starts_with('#')).collect();
    assert!(6 <= texts.len(), "{texts:?}");
    for text in texts {
        if let Err(fault) = Condition::parse(text, &environment) {
            panic!("{}\n{fault}; {}", fault.caret(text), fault.hint);
        }
    }
}

#[test]
fn the_documentation_names_every_function_and_every_unit() {
    for function in FUNCTIONS {
        assert!(PAGE.contains(&format!("`{}(", function.name)), "{}", function.name);
    }
    for unit in Unit::ALL {
        assert!(PAGE.contains(&format!("| `{}` |", unit.name())), "{}", unit.name());
    }
}
