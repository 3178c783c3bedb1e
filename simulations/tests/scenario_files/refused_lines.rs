//! What bad lines of `faults`, `people`, `must` and `must_not` get.
//!
//! **In:** the shop of [`super::SHOP`] with one more line. **Out:** one table per list.
//! **Not here:** everything else that is refused ([`super::refused`]).

use expect_test::expect;

use super::SHOP;
use super::refused::{check_lines, wrong};

#[test]
fn faults_say_one_thing_at_a_time() {
    check_lines(
        "faults",
        &[
            "{ at: 1h, for: 1m }",
            "{ at: 1h, for: 1m, frozen: {}, garbled: {} }",
            "{ for: 1m, frozen: {} }",
            "{ at: 1h, frozen: {} }",
            "{ at: 1h, for: 0s, frozen: {} }",
            "{ at: 1h, for: 1m, crash: { service: web, ratio: 0.5 } }",
            "{ at: 3h, for: 1m, frozen: {} }",
            "{ at: 2h, for: 61m, frozen: {} }",
            "{ after_page: 1h, for: 1m, frozen: {} }",
            "{ at: 1h, at: 2h, for: 1m, frozen: {} }",
            "{ at: 1h, for: 1m, melted: {} }",
            "{ at: 1h, for: 1m, frozen: { server: web } }",
            "{ at: 1h, for: 1m, slow: { service: web } }",
            "{ at: 1h, for: 1m, backend_down: { service: web } }",
            "{ at: 1h, for: 1m, errors: { service: web, ratio: 1.5 } }",
            "{ at: 1h, for: 1m, gray: { service: web, ratio: 1, factor: 0.5 } }",
            "{ at: 1h, for: 1m, half_done: { ratio: 0 } }",
            "{ at: 1h, for: 1m, agent_clock: { seconds: -2d } }",
            "{ at: 1h, for: 1m, agent_dies: { point: soon } }",
            "{ at: 1h, for: 5m, surge: { service: web, factor: 2, ramp: 3m } }",
            "backend_down",
        ],
        &expect![[r#"
            { at: 1h, for: 1m }
              57:9 this fault does not say what happens
              hint: add one field that names it
            { at: 1h, for: 1m, frozen: {}, garbled: {} }
              57:9 `frozen` and `garbled` in one fault
              hint: write one line for each
            { for: 1m, frozen: {} }
              57:9 this fault has no `at`
              hint: say when it begins, such as `at: 40m` after the start of the scored part
            { at: 1h, frozen: {} }
              57:9 `frozen` has no `for`
              hint: say how long it lasts, such as `for: 20m`
            { at: 1h, for: 0s, frozen: {} }
              57:24 `for` is 0s, it must be 1s to 400d
              hint: change it in the scenario
            { at: 1h, for: 1m, crash: { service: web, ratio: 0.5 } }
              57:24 `crash` happens once, it has no `for`
              hint: leave `for` out
            { at: 3h, for: 1m, frozen: {} }
              57:15 `at` is 3h, the scenario lasts 3h
              hint: let it last longer, or name an earlier time
            { at: 2h, for: 61m, frozen: {} }
              57:24 the fault ends at 3h1m, the scenario lasts 3h
              hint: let the scenario last longer, or the fault shorter
            { after_page: 1h, for: 1m, frozen: {} }
              57:23 a fault has no `after_page`
              hint: only people wait for a page; give the fault an `at`
            { at: 1h, at: 2h, for: 1m, frozen: {} }
              57:19 duplicate mapping key: at
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, for: 1m, melted: {} }
              57:28 unknown variant `melted`, expected one of surge, junk, slow, errors, down, gray, leak, hidden_limit, health_checks, replica_lag, bad_deployment, disk_fills, certificate_expires, crash, restart, flush, zone_loss, launch_limit, launch_failures, slow_boot, series_gone, reads_zero, frozen, wrong_by, garbled, scrapes_fail, backend_down, backend_empty, backend_skew, pager_dead, provider_down, throttled, no_answer, late_changes, stale_reads, half_done, partial_inventory, agent_dies, agent_clock, journal_fails, other_automation
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, for: 1m, frozen: { server: web } }
              57:38 unknown field `server`, expected one of service
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, for: 1m, slow: { service: web } }
              57:36 missing field `factor`
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, for: 1m, backend_down: { service: web } }
              57:44 unknown field `service`, there are none here
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, for: 1m, errors: { service: web, ratio: 1.5 } }
              57:59 `ratio` is 1.5, it must be 0 to 1
              hint: change it in the scenario
            { at: 1h, for: 1m, gray: { service: web, ratio: 1, factor: 0.5 } }
              57:68 `factor` is 0.5, it must be 1 to 1000000
              hint: change it in the scenario
            { at: 1h, for: 1m, half_done: { ratio: 0 } }
              57:48 `ratio` is 0, it must be above 0, at most 1
              hint: change it in the scenario
            { at: 1h, for: 1m, agent_clock: { seconds: -2d } }
              57:52 `seconds` is -172800 s, it must be -1d to 1d
              hint: change it in the scenario
            { at: 1h, for: 1m, agent_dies: { point: soon } }
              57:49 unknown variant `soon`, expected one of idle, before_append, after_append, after_effect
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, for: 5m, surge: { service: web, factor: 2, ramp: 3m } }
              57:9 the surge lasts 5m, less than two ramps of 3m
              hint: let it last longer, or the ramp shorter: load rises and falls within `for`
            backend_down
              57:9 expected mapping start
              hint: see simulations/scenarios/fleet.yaml
        "#]],
    );
}

#[test]
fn people_act_at_one_time() {
    check_lines(
        "people",
        &[
            "{ expire_all: {} }",
            "{ at: 1h, after_page: 1h, expire_all: {} }",
            "{ at: 1h, for: 1h, expire_all: {} }",
            "{ at: 1h, freeze: { services: [web] } }",
            "{ at: 1h, hold: { for: 4d } }",
            "{ at: 4h, expire_all: {} }",
            "{ at: 1h, restart: { service: web, ratio: 0, apart: 1m } }",
        ],
        &expect![[r#"
            { expire_all: {} }
              60:9 this act has no time
              hint: write `at: 50m`, or `after_page: 10m` for one who is woken
            { at: 1h, after_page: 1h, expire_all: {} }
              60:31 this act has both `at` and `after_page`
              hint: leave one out
            { at: 1h, for: 1h, expire_all: {} }
              60:24 `for` belongs into the deed
              hint: such as `{ at: 50m, freeze: { services: [web], for: 30m } }`
            { at: 1h, freeze: { services: [web] } }
              60:29 missing field `for`
              hint: see simulations/scenarios/fleet.yaml
            { at: 1h, hold: { for: 4d } }
              60:32 `for` is 4d, it must be 1s to 3d
              hint: change it in the scenario
            { at: 4h, expire_all: {} }
              60:15 `at` is 4h, the scenario lasts 3h
              hint: let it last longer, or name an earlier time
            { at: 1h, restart: { service: web, ratio: 0, apart: 1m } }
              60:51 `ratio` is 0, it must be above 0, at most 1
              hint: change it in the scenario
        "#]],
    );
}

#[test]
fn expectations_must_be_able_to_come_true() {
    check_lines(
        "must",
        &[
            "{ recover_within: 121m }",
            "{ page_within: 3h }",
            "{ good_ratio: { service: web, min: 2 } }",
            "{ good_ratio: { service: web, min: 1, from: 2h, until: 1h } }",
            "{ good_ratio: { service: web, min: 1, until: 4h } }",
            "{ cost_ratio_at_most: 0.5 }",
            "{ be_nice: 1 }",
        ],
        &expect![[r#"
            { recover_within: 121m }
              62:27 `recover_within` is 2h1m, the last fault has ended at 1h, the scenario lasts 3h
              hint: let the scenario last longer
            { page_within: 3h }
              62:24 `page_within` is 3h, the first fault begins at 40m, the scenario lasts 3h
              hint: let the scenario last longer
            { good_ratio: { service: web, min: 2 } }
              62:44 `min` is 2, it must be 0 to 1
              hint: change it in the scenario
            { good_ratio: { service: web, min: 1, from: 2h, until: 1h } }
              62:64 `until` (1h) is not after `from` (2h)
              hint: swap the two, or leave one out
            { good_ratio: { service: web, min: 1, until: 4h } }
              62:54 `until` is 4h, it must be 1s to 3h
              hint: change it in the scenario
            { cost_ratio_at_most: 0.5 }
              62:31 `cost_ratio_at_most` is 0.5, it must be 1 to 1000
              hint: change it in the scenario
            { be_nice: 1 }
              62:11 unknown variant `be_nice`, expected one of recover_within, good_ratio, ready_at_least, cost_ratio_at_most, page_within, detected_within, healed_by_playbook, contained_within, tenant_good_ratio, slo_page_within
              hint: see simulations/scenarios/fleet.yaml
        "#]],
    );
    check_lines(
        "must_not",
        &[
            "{ remove: { service: web, from: 3h } }",
            "{ take_away_more_than: { service: web, ratio: 1.5 } }",
            "{ lose_writes: { service: web } }",
            "overrule_people",
        ],
        &expect![[r#"
            { remove: { service: web, from: 3h } }
              64:41 `from` is 3h, the scenario lasts 3h
              hint: let it last longer, or name an earlier time
            { take_away_more_than: { service: web, ratio: 1.5 } }
              64:55 `ratio` is 1.5, it must be 0 to 1
              hint: change it in the scenario
            { lose_writes: { service: web } }
              64:35 `web` is not a database
              hint: there are db
            overrule_people
              64:9 unknown variant `overrule_people`, expected one of remove, change, exceed, change_oftener_than, take_away_more_than, lose_writes, overrule_a_person, incidents, touch, slo_alerts
              hint: see simulations/scenarios/fleet.yaml
        "#]],
    );
    let text = SHOP
        .replace("      - { at: 40m, for: 20m, series_gone: { service: web } }\n", "")
        .replace("    faults:\n", "")
        .replace("- { recover_within: 20m }", "- { page_within: 5m }");
    expect![[r#"
        60:24 `page_within` without a fault
          hint: add a fault; the time counts from the first one"#]]
    .assert_eq(&wrong(&text));
}
