//! What bad scenarios get: line, column, what is wrong, what to do.
//!
//! **In:** the shop of [`super::SHOP`] with one slip. **Out:** one table per kind of slip.
//! **Not here:** lines of what happens ([`super::refused_lines`]), what can be written
//! ([`super::variants`]).

use std::fmt::Write as _;

use evenkeel_sim::scenario::Scenario;
use expect_test::{Expect, expect};

use super::{DOCUMENTS, SHOP, shop, with};

/// What is wrong with a text, after the file's name.
pub(super) fn wrong(text: &str) -> String {
    match Scenario::parse("shop.yaml", text) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(it) => {
            let line = text.lines().nth(it.line - 1).unwrap_or_default();
            assert_eq!(it.snippet, line.chars().take(200).collect::<String>());
            assert_eq!(it.file, "shop.yaml");
            format!("{}:{} {}\n  hint: {}", it.line, it.column, it.message, it.hint)
        }
    }
}

/// Each slip: a text of the shop, and what is written in its place.
#[track_caller]
fn check(slips: &[(&str, &str)], expected: &Expect) {
    let mut table = String::new();
    for (before, after) in slips {
        let _ = writeln!(table, "{}\n  {}", after.trim(), wrong(&shop(before, after)));
    }
    expected.assert_eq(&table);
}

/// Each line at the beginning of a list of the shop.
#[track_caller]
pub(super) fn check_lines(list: &str, lines: &[&str], expected: &Expect) {
    let mut table = String::new();
    for line in lines {
        let _ = writeln!(table, "{line}\n  {}", wrong(&with(list, line)));
    }
    expected.assert_eq(&table);
}

#[test]
fn the_form_is_strict() {
    check(
        &[
            ("lasts: 3h", "last: 3h"),
            ("    lasts: 3h\n", ""),
            ("lasts: 3h", "lasts: 180"),
            ("kind: web", "kind: lambda"),
            ("service_time: 80ms", "service_time: 80 millis"),
            ("service_time: 80ms", "service_time: .ms"),
            ("service_time: 80ms", "service_time: 80"),
            ("critical: false", "critical: perhaps"),
            ("slots: 4", "slots: -4"),
            ("price_usd_per_hour: 0.2", "pets: 3"),
            ("  region:", "  continent:"),
            ("spec:\n", "spec: {}\nother:\n"),
            ("swarm: {", "swarm: ["),
        ],
        &expect![[r#"
            last: 3h
              9:5 unknown field `last`, expected one of about, starts_at, warm_up, lasts, evaluation_period, zones, zone_units_max, launches_per_minute, fail_open_ratio, scrape, services, faults, swarm, people, playbooks, must, must_not, fails
              hint: see simulations/scenarios/fleet.yaml

              64:5 missing field `lasts`
              hint: see simulations/scenarios/fleet.yaml
            lasts: 180
              9:12 `180` has no unit; write for example `180s` or `180m`
              hint: see simulations/scenarios/fleet.yaml
            kind: lambda
              18:15 unknown variant `lambda`, expected one of web, workers, cache, database
              hint: see simulations/scenarios/fleet.yaml
            service_time: 80 millis
              23:41 `80 millis` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`
              hint: see simulations/scenarios/fleet.yaml
            service_time: .ms
              23:41 `.ms` is not a duration; write for example `80ms`
              hint: see simulations/scenarios/fleet.yaml
            service_time: 80
              23:41 `80` has no unit; write for example `80s` or `80m`
              hint: see simulations/scenarios/fleet.yaml
            critical: perhaps
              30:19 invalid boolean
              hint: see simulations/scenarios/fleet.yaml
            slots: -4
              23:24 invalid u32
              hint: see simulations/scenarios/fleet.yaml
            pets: 3
              29:9 unknown field `pets`, expected one of name, kind, timeout, queue_per_unit, queue_max, cache, writes_ratio, load, tenants, calls, unit, units, boot, start_calls, retries, objective, price_usd_per_hour, scaled, critical
              hint: see simulations/scenarios/fleet.yaml
            continent:
              5:3 unknown field `continent`, expected one of capacity, region
              hint: see simulations/scenarios/capacity.yaml
            spec: {}
            other:
              5:1 unknown field `other`, expected one of apiVersion, kind, metadata, spec
              hint: see simulations/scenarios/fleet.yaml
            swarm: [
              58:12 expected mapping start
              hint: see simulations/scenarios/fleet.yaml
        "#]],
    );
}

#[test]
fn a_spec_is_of_one_kind() {
    let head = "apiVersion: evenkeel/v1\nkind: Scenario\nmetadata: { name: shop }\n";
    assert_eq!(
        wrong(&format!("{head}spec: {{}}\n")),
        "4:7 `spec` says nothing\n  hint: add `capacity` (one load) or `region` (services that \
         call each other)"
    );
    let capacity = include_str!("../../scenarios/capacity.yaml");
    let (_, capacity) = capacity.split_once("spec:\n").unwrap();
    let (_, region) = SHOP.split_once("spec:\n").unwrap();
    assert_eq!(
        wrong(&format!("{head}spec:\n{capacity}{region}")),
        "5:3 `spec` has both `capacity` and `region`\n  hint: make two scenarios of it"
    );
    let head = head.replace("shop }", "shop, incident: 1 }");
    assert_eq!(
        wrong(&format!("{head}spec:\n{capacity}")),
        "3:35 a capacity scenario has no `incident`\n  hint: remove it"
    );
}

#[test]
fn numbers_have_limits() {
    check(
        &[
            ("lasts: 3h", "lasts: 30s"),
            ("warm_up: 10m", "warm_up: 8d"),
            ("evaluation_period: 30s", "evaluation_period: 0s"),
            ("2026-03-02T09:00:00Z", "yesterday"),
            ("2026-03-02T09:00:00Z", "9026-03-02T09:00:00Z"),
            ("incident: 1", "incident: 26"),
            ("zones: [a, b]", "zones: []"),
            ("zones: [a, b]", "zones: [a, a]"),
            ("zones: [a, b]", "zones: [a, 'b c']"),
            ("period: 30s, lag", "period: 2h, lag"),
            ("misses_ratio: 0.01", "misses_ratio: .nan"),
            ("faults_per_hour: 4", "faults_per_hour: 61"),
            ("longest: 15m", "longest: 4h"),
            ("fails: [reflex", "fails: ['re flex'"),
            ("min: 3, max: 60", "min: 61, max: 60"),
            ("trough: 200", "trough: 2000"),
            ("The metrics backend is empty.", "''"),
        ],
        &expect![[r#"
            lasts: 30s
              9:12 `lasts` is 30s, it must be 1m to 400d
              hint: change it in the scenario
            warm_up: 8d
              8:14 `warm_up` is 8d, it must be 0s to 7d
              hint: change it in the scenario
            evaluation_period: 0s
              10:24 `evaluation_period` is 0s, it must be 1s to 1h
              hint: change it in the scenario
            yesterday
              7:16 `yesterday` is not a time from 1970 to 2199
              hint: write for example `2026-03-02T09:00:00Z`
            9026-03-02T09:00:00Z
              7:16 `9026-03-02T09:00:00Z` is not a time from 1970 to 2199
              hint: write for example `2026-03-02T09:00:00Z`
            incident: 26
              3:35 `incident` is 26, it must be 1 to 25
              hint: change it in the scenario
            zones: []
              11:12 there are 0 zones, it must be 1 to 8
              hint: change it in the scenario
            zones: [a, a]
              11:16 two zones are called `a`
              hint: rename one
            zones: [a, 'b c']
              11:16 `b c` is not a name
              hint: use letters, digits and `-_.`, at most 128 of them
            period: 2h, lag
              15:23 `scrape.period` is 2h, it must be 1s to 1h
              hint: change it in the scenario
            misses_ratio: .nan
              15:51 `scrape.misses_ratio` is NaN, it must be 0 to 1
              hint: change it in the scenario
            faults_per_hour: 61
              58:31 `swarm.faults_per_hour` is 61, it must be 0 to 60
              hint: change it in the scenario
            longest: 4h
              58:43 `swarm.longest` is 4h, it must be 1s to 3h
              hint: change it in the scenario
            fails: ['re flex'
              65:13 `re flex` is not a controller
              hint: write it as on the command line, such as `hpa` or `reflex`
            min: 61, max: 60
              24:34 `units.min` (61) is above `units.max` (60)
              hint: swap the two
            trough: 2000
              21:25 `load.trough` (2000) is above `load.peak` (1000)
              hint: swap the two
            ''
              6:12 `about` has 0 bytes, it must have 1 to 1000
              hint: say what it shows in a sentence or two
        "#]],
    );
}

// What the world's own check finds has the scenario's names and places.
#[test]
fn numbers_of_the_world_are_at_their_place_in_the_file() {
    check(
        &[
            ("slots: 4", "slots: 0"),
            ("service_time: 80ms", "service_time: 0s"),
            ("timeout: 1500ms", "timeout: 0s"),
            ("max: 60 }", "max: 1000000 }"),
            ("zipf_exponent: 0.9", "zipf_exponent: 9"),
            ("good_ratio: 0.99", "good_ratio: 1"),
            ("retries: 2, ", "retries: 9, "),
            ("median: 2m", "median: 0s"),
            ("per_request: 0.5", "per_request: -1"),
            ("peak_hour: 15", "peak_hour: 25"),
            ("price_usd_per_hour: 0.2", "price_usd_per_hour: .inf"),
            ("launches_per_minute: 60", "launches_per_minute: -1"),
            ("zone_units_max: 500", "zone_units_max: 0"),
            ("fail_open_ratio: 0.6", "fail_open_ratio: 6"),
        ],
        &expect![[r#"
            slots: 0
              23:24 `unit.slots` of `web` is `0`, it must be 1 to 1024
              hint: change it in the scenario
            service_time: 0s
              23:41 `unit.service_time` of `web` is `0`, it must be above 0 and at most 86400
              hint: change it in the scenario
            timeout: 0s
              19:18 `timeout` of `web` is `0`, it must be above 0 and at most 3600
              hint: change it in the scenario
            max: 1000000 }
              24:42 `units.max` of `web` is `1000000`, it must be at most 5000
              hint: change it in the scenario
            zipf_exponent: 9
              42:49 `cache.zipf_exponent` of `items` is `9`, it must be 0 to 2
              hint: change it in the scenario
            good_ratio: 1
              28:50 `objective.good_ratio` of `web` is `1`, it must be at least 0 and below 1
              hint: change it in the scenario
            retries: 9,
              27:29 `retries.retries` of `web` is `9`, it must be at most 4
              hint: change it in the scenario
            median: 0s
              25:25 `boot.median` of `web` is `0`, it must be above 0 and at most 86400
              hint: change it in the scenario
            per_request: -1
              22:48 `calls.per_request` of `web` is `-1`, it must be 0 to 1000
              hint: change it in the scenario
            peak_hour: 25
              21:53 `load.peak_hour` of `web` is `25`, it must be at least 0 and below 24
              hint: change it in the scenario
            price_usd_per_hour: .inf
              29:29 `price_usd_per_hour` of `web` is `inf`, it must be 0 to 1000000
              hint: change it in the scenario
            launches_per_minute: -1
              13:26 `launches_per_minute` is `-1`, it must be 0 to 1000000
              hint: change it in the scenario
            zone_units_max: 0
              12:21 `zone_units_max` is `0`, it must be enough for the 38 units that the services start with
              hint: change it in the scenario
            fail_open_ratio: 6
              14:22 `fail_open_ratio` is `6`, it must be 0 to 1
              hint: change it in the scenario
        "#]],
    );
}

#[test]
fn names_must_exist_and_fit() {
    check(
        &[
            ("name: mail", "name: web"),
            ("name: mail", "name: 'we b'"),
            ("service: items, per", "service: itmes, per"),
            ("service: db, per", "service: web, per"),
            ("series_gone: { service: web }", "series_gone: { service: wbe }"),
            ("services: [web]", "services: [web, wbe]"),
            ("queue_max: 5000", "queue_per_unit: 5"),
            ("        cache: { items: 1000000, zipf_exponent: 0.9, items_per_unit: 200000 }\n", ""),
        ],
        &expect![[r#"
            name: web
              31:15 two services are called `web`
              hint: rename one
            name: 'we b'
              31:15 `we b` is not a name
              hint: use letters, digits and `-_.`, at most 128 of them
            service: itmes, per
              22:28 no service is called `itmes`
              hint: name one of the services that come after the caller
            service: web, per
              35:28 `web` comes before its caller, or is the caller
              hint: move it behind its callers; calls must not go in circles
            series_gone: { service: wbe }
              57:54 no service is called `wbe`
              hint: there are web, mail, items, db
            services: [web, wbe]
              60:46 no service is called `wbe`
              hint: there are web, mail, items, db
            queue_per_unit: 5
              33:25 `queue_per_unit` does not fit a service of kind `workers`
              hint: remove it; it is for web, database

              40:15 `items` has no `cache`
              hint: add `cache: { items: …, zipf_exponent: …, items_per_unit: … }`
        "#]],
    );
    check_lines(
        "faults",
        &[
            "{ at: 1h, for: 1m, zone_loss: { zone: c } }",
            "{ at: 1h, flush: { service: web } }",
            "{ at: 1h, for: 1m, replica_lag: { service: web, growth: 1 } }",
            "{ at: 1h, for: 1m, surge: { service: db, factor: 2 } }",
        ],
        &expect![[r#"
            { at: 1h, for: 1m, zone_loss: { zone: c } }
              57:47 no zone is called `c`
              hint: there are a, b
            { at: 1h, flush: { service: web } }
              57:37 `web` is not a cache
              hint: there are items
            { at: 1h, for: 1m, replica_lag: { service: web, growth: 1 } }
              57:52 `web` is not a database
              hint: there are db
            { at: 1h, for: 1m, surge: { service: db, factor: 2 } }
              57:46 `db` is not a service with a `load`
              hint: there are web, mail
        "#]],
    );
    check_lines(
        "people",
        &["{ at: 1h, promote: { service: web } }"],
        &expect![[r#"
        { at: 1h, promote: { service: web } }
          60:39 `web` is not a database
          hint: there are db
    "#]],
    );
}

#[test]
fn faults_of_documents_are_at_their_place_in_the_file() {
    check(
        &[
            ("capacity: { min: 3", "capacity: { min: 300"),
            ("simulated: { service: web }", "simulated: { service: wbe }"),
            ("simulated: { service: web }", "aws_auto_scaling_group: { group: web }"),
        ],
        &expect![[r#"
            capacity: { min: 300
              73:20 target `web`: capacity.min (300) is above capacity.max (60)
              hint: swap the two, or set both to the same value to pin the target
            simulated: { service: wbe }
              69:19 target `web`: no service is called `wbe`
              hint: there are web, mail, items, db
            aws_auto_scaling_group: { group: web }
              69:19 the provider of target `web` is `aws_auto_scaling_group`
              hint: in a scenario, write `provider: { simulated: { service: … } }`
        "#]],
    );
    let second = DOCUMENTS.replace("name: web", "name: web-2");
    expect![[r#"
        77:19 targets `web` and `web-2` are both service `web`
          hint: remove one"#]]
    .assert_eq(&wrong(&format!("{SHOP}{DOCUMENTS}{second}")));
    let capacity = include_str!("../../scenarios/capacity.yaml");
    expect![[r#"
        25:1 a capacity scenario is one document
          hint: remove what is behind it"#]]
    .assert_eq(&wrong(&format!("{capacity}{DOCUMENTS}")));
}

#[test]
fn scenarios_beyond_the_limits_are_refused() {
    let lines = "      - { at: 1h, for: 1m, backend_down: {} }\n".repeat(1_000);
    let text = shop("    faults:\n", &format!("    faults:\n{lines}"));
    expect![[r#"
        1057:9 `faults` has 1001 lines, at most 1000 are read
          hint: split the scenario"#]]
    .assert_eq(&wrong(&text));
    let lines = "      - { at: 1h, expire_all: {} }\n".repeat(1_000);
    let text = shop("    people:\n", &format!("    people:\n{lines}"));
    expect![[r#"
        1060:9 `people` has 1001 lines, at most 1000 are read
          hint: split the scenario"#]]
    .assert_eq(&wrong(&text));
    expect![[r#"
        1:1 a scenario of 1402365 bytes, at most 1048576 are read
          hint: a load belongs into a CSV file, for `--workload`"#]]
    .assert_eq(&wrong(&format!("{SHOP}{}", "# much\n".repeat(200_000))));
    let (head, _) = SHOP.split_once("    services:\n").unwrap();
    let (_, rest) = SHOP.split_once("    faults:\n").unwrap();
    expect![[r#"
        16:15 there are 0 services, 1 to 20000 are simulated
          hint: change it in the scenario"#]]
    .assert_eq(&wrong(&format!("{head}    services: []\n    faults:\n{rest}")));
}
