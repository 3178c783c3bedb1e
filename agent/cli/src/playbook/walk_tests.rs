//! Made-up series through the walk.
//!
//! **In:** a playbook and what its inputs were, look by look.
//! **Out:** when it would have fired.
//! **Not here:** where series come from ([`super::super::record`]).

use evenkeel_core::documents::{self, Documents, SourceText};
use expect_test::{Expect, expect};

use super::*;
use crate::playbook::show;

const FILE: &str = r#"
apiVersion: evenkeel/v1
kind: Target
metadata: { name: cart, labels: { tier: web } }
spec:
  region: eu-1
  provider: { simulated: { service: cart } }
  capacity: { min: 2, max: 10 }
  actuators:
    instances: { simulated: { service: cart } }
    traffic: { simulated: { service: cart } }
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: { name: errors }
spec:
  about: Too many errors.
  runbook: runbooks/errors.md
  severity: page
  selector: { match_labels: { tier: web } }
  autonomy: suggest
  target_label: service
  parameters:
    more: { unit: units, default: 2, min: 1, max: 4 }
  inputs:
    - { name: errors, query: service:errors, unit: ratio }
    - { name: spend, query: sum(spend), unit: usd_per_hour, per: everything }
  trigger: { condition: errors > 0.1, lasts: 30s }
  conditions:
    - { name: money is left, that: spend < usd_per_hour(100) }
  steps:
    - { name: grow, set_capacity: { to: target.current + params.more }, undo: before }
    - { name: settle, wait_for: { condition: errors < 0.01, within: 5m } }
  verification: { that: errors < 0.01, holds_for: 2m, within: 10m }
  limits: { attempts: 2, window: 1h, concurrency: 1, cooldown: 1m }
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: { name: gray }
spec:
  about: One is slower than its peers.
  runbook: runbooks/gray.md
  severity: ticket
  selector: { match_labels: { tier: web } }
  autonomy: suggest
  target_label: service
  inputs:
    - { name: latency, query: latency, unit: seconds, per: { instance: instance } }
  trigger: { condition: "outlier_count(latency, 3) >= 1" }
  steps:
    - { name: drain, drain: { select: { outliers_of: latency, factor: 3 }, share_max: 0.25, one_domain: false }, undo: before }
    - { name: restart, restart_instances: { select: { above: latency, limit: duration("4s") } }, undo: { nothing: it has restarted } }
  verification: { that: "outlier_count(latency, 3) < 1", holds_for: 1m, within: 10m }
  limits: { attempts: 3, window: 2h, concurrency: 2, cooldown: 15m }
"#;

fn documents() -> Documents {
    let loaded = documents::load(&[SourceText { file: "test.yaml", text: FILE }]);
    let faults: Vec<String> = loaded.diagnostics.iter().map(documents::show).collect();
    loaded.documents.unwrap_or_else(|| panic!("{}", faults.join("\n")))
}

/// One value per word: a number, `.` for nothing, `!` for what cannot be used.
fn column(text: &str) -> Column {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut column = Column::new(words.len());
    for (place, word) in words.iter().enumerate() {
        match *word {
            "." => (),
            "!" => column.put(place, f64::NAN),
            number => column.put(place, number.parse().unwrap()),
        }
    }
    column
}

/// Walks through columns by input (`latency/i-1` for an instance), with a look every 15 s.
#[track_caller]
fn walked(playbook: &str, columns: &[(&str, &str)]) -> Walked {
    let documents = documents();
    let playbook = documents.playbook(&PlaybookId::new(playbook).unwrap()).unwrap();
    let target = documents.target(&TargetId::new("cart").unwrap()).unwrap();
    let columns: Vec<(&str, Column)> =
        columns.iter().map(|(name, it)| (*name, column(it))).collect();
    let len = columns.iter().map(|(_, it)| it.0.len()).max().unwrap();
    let from = "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let span = Grid { from, step: 15, len };
    let mut tracks = Tracks { inputs: BTreeMap::new(), capacity: None };
    for (name, column) in &columns {
        let input = |name: &str| InputName::new(name).unwrap();
        match name.split_once('/') {
            None if *name == "capacity" => tracks.capacity = Some(column),
            None => {
                tracks.inputs.insert(input(name), Track::One(column));
            }
            Some((name, instance)) => {
                let instance = (InstanceName::new(instance).unwrap(), column);
                match tracks.inputs.entry(input(name)).or_insert(Track::Instances(Vec::new())) {
                    Track::Instances(all) => all.push(instance),
                    Track::One(_) | Track::Nothing => panic!("{name} is both"),
                }
            }
        }
    }
    walk(playbook, target, span, &tracks).unwrap()
}

#[track_caller]
fn check(playbook: &str, columns: &[(&str, &str)], expected: &Expect) {
    expected.assert_eq(&show::shown(&[walked(playbook, columns)]));
}

#[test]
fn a_trigger_is_met_when_it_has_lasted() {
    check(
        "errors",
        &[
            ("errors", "0 0 0.2 0.2 0.2 0.2 0.3 0 0"),
            ("spend", "9 9 9 9 9 9 9 9 9"),
            ("capacity", "4 4 4 4 4 4 4 4 4"),
        ],
        &expect![[r#"
            PLAYBOOK  TARGET  TRIGGERED  RUNS  TRUE %  UNKNOWN %  LONGEST UNKNOWN
            errors    cart    1          1     55.556  0.000      0s

            errors on cart, 2026-03-01 12:01:00 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:00:30 UTC, seen after 30s, over 2026-03-01 12:01:45 UTC after 1m15s
              true: money is left: spend (9 $/h) < usd_per_hour(100)
              a run at 2026-03-01 12:01:00 UTC:
                1. grow: set capacity to 6 (target.current (4) + params.more (2))
                2. settle: wait up to 5m for errors < 0.01: not yet"#]],
    );
}

#[test]
fn without_a_capacity_what_depends_on_it_is_said_to_be_unknown() {
    check(
        "errors",
        &[("errors", "0.2 0.2 0.2 0"), ("spend", "9 9 9 9")],
        &expect![[r#"
        PLAYBOOK  TARGET  TRIGGERED  RUNS  TRUE %  UNKNOWN %  LONGEST UNKNOWN
        errors    cart    1          1     75.000  0.000      0s

        errors on cart, 2026-03-01 12:00:30 UTC: errors (0.2) > 0.1
          first bad sample 2026-03-01 12:00:00 UTC, seen after 30s, over 2026-03-01 12:00:45 UTC after 45s
          true: money is left: spend (9 $/h) < usd_per_hour(100)
          a run at 2026-03-01 12:00:30 UTC:
            1. grow: set capacity to target.current + params.more; it is not known from metrics alone
            2. settle: wait up to 5m for errors < 0.01: not yet"#]],
    );
}

#[test]
fn unknown_begins_the_time_anew_and_neither_starts_nor_ends_anything() {
    check(
        "errors",
        &[
            // Unknown after 15 s twice; then 30 s; unknown within; over.
            ("errors", "0.2 0.2 . 0.2 0.2 ! 0.2 0.2 0.2 . . . 0.2 0"),
            ("spend", "9 9 9 9 9 9 9 9 9 9 9 9 9 9"),
            ("capacity", "9 9 9 9 9 9 9 9 9 9 9 9 9 9"),
        ],
        &expect![[r#"
            PLAYBOOK  TARGET  TRIGGERED  RUNS  TRUE %  UNKNOWN %  LONGEST UNKNOWN
            errors    cart    1          1     57.143  35.714     45s

            errors on cart, 2026-03-01 12:02:00 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:01:30 UTC, seen after 30s, over 2026-03-01 12:03:15 UTC after 1m45s
              true: money is left: spend (9 $/h) < usd_per_hour(100)
              a run at 2026-03-01 12:02:00 UTC:
                1. grow: set capacity to 10, its bound (target.current (9) + params.more (2))
                2. settle: wait up to 5m for errors < 0.01: not yet"#]],
    );
}

#[test]
fn a_condition_that_is_not_true_keeps_a_run_until_it_is() {
    check(
        "errors",
        &[
            ("errors", "0.2 0.2 0.2 0.2 0.2 0.2"),
            ("spend", "200 200 200 . 99 99"),
            ("capacity", "4 4 4 4 4 4"),
        ],
        &expect![[r#"
            PLAYBOOK  TARGET  TRIGGERED  RUNS  TRUE %   UNKNOWN %  LONGEST UNKNOWN
            errors    cart    1          1     100.000  0.000      0s

            errors on cart, 2026-03-01 12:00:30 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:00:00 UTC, seen after 30s, still so when the recording ends, after 1m30s
              FALSE: money is left: spend (200 $/h) < usd_per_hour(100)
              kept at first: condition `money is left` is false: spend (200 $/h) < usd_per_hour(100)
              a run at 2026-03-01 12:01:00 UTC:
                1. grow: set capacity to 6 (target.current (4) + params.more (2))
                2. settle: wait up to 5m for errors < 0.01: not yet"#]],
    );
}

#[test]
fn attempts_and_cooldown_keep_runs() {
    let once = "0.2 0.2 0.2 0 ";
    let all = once.repeat(2) + &"0 ".repeat(8) + once + &"0 ".repeat(8) + once;
    let n = all.split_whitespace().count();
    check(
        "errors",
        &[("errors", &all), ("spend", &"9 ".repeat(n)), ("capacity", &"4 ".repeat(n))],
        &expect![[r#"
            PLAYBOOK  TARGET  TRIGGERED  RUNS  TRUE %  UNKNOWN %  LONGEST UNKNOWN
            errors    cart    4          2     37.500  0.000      0s

            errors on cart, 2026-03-01 12:00:30 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:00:00 UTC, seen after 30s, over 2026-03-01 12:00:45 UTC after 45s
              true: money is left: spend (9 $/h) < usd_per_hour(100)
              a run at 2026-03-01 12:00:30 UTC:
                1. grow: set capacity to 6 (target.current (4) + params.more (2))
                2. settle: wait up to 5m for errors < 0.01: not yet

            errors on cart, 2026-03-01 12:01:30 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:01:00 UTC, seen after 30s, over 2026-03-01 12:01:45 UTC after 45s
              true: money is left: spend (9 $/h) < usd_per_hour(100)
              no run: the cooldown after the run before lasts another 15s

            errors on cart, 2026-03-01 12:04:30 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:04:00 UTC, seen after 30s, over 2026-03-01 12:04:45 UTC after 45s
              true: money is left: spend (9 $/h) < usd_per_hour(100)
              a run at 2026-03-01 12:04:30 UTC:
                1. grow: set capacity to 6 (target.current (4) + params.more (2))
                2. settle: wait up to 5m for errors < 0.01: not yet

            errors on cart, 2026-03-01 12:07:30 UTC: errors (0.2) > 0.1
              first bad sample 2026-03-01 12:07:00 UTC, seen after 30s, over 2026-03-01 12:07:45 UTC after 45s
              true: money is left: spend (9 $/h) < usd_per_hour(100)
              no run: 2 runs within 1h are all that is allowed: a person is asked"#]],
    );
}

#[test]
fn instances_that_stand_out_are_named_and_no_more_than_may_be() {
    check(
        "gray",
        &[
            ("latency/i-1", "1 1 1 1"),
            ("latency/i-2", "1 9 9 1"),
            ("latency/i-3", "1 1 1 1"),
            ("latency/i-4", "1 1 5 1"),
            ("latency/i-5", ". 1 1 1"),
        ],
        &expect![[r#"
            PLAYBOOK  TARGET  TRIGGERED  RUNS  TRUE %  UNKNOWN %  LONGEST UNKNOWN
            gray      cart    1          1     50.000  0.000      0s

            gray on cart, 2026-03-01 12:00:15 UTC: outlier_count(latency (5 instances, 1 s to 9 s), 3) >= 1
              first bad sample 2026-03-01 12:00:15 UTC, seen after 0s, over 2026-03-01 12:00:45 UTC after 30s
              a run at 2026-03-01 12:00:15 UTC:
                1. drain: drain i-2 (9.0)
                2. restart: restart i-2 (9.0); of one failure domain only"#]],
    );
}

#[test]
fn an_instance_whose_value_cannot_be_used_makes_it_unknown() {
    let walked = walked(
        "gray",
        &[
            ("latency/i-1", "1 1"),
            ("latency/i-2", "9 9"),
            ("latency/i-3", "1 1"),
            ("latency/i-4", "! -1"),
        ],
    );
    assert_eq!(walked.firings, []);
    assert!((walked.unknown_ratio - 1.0).abs() < 1e-9, "{walked:?}");
    assert_eq!(walked.unknown_longest_seconds, 30);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Against a second way to say it: a firing is a run of true looks, without a gap, of
        // at least `lasts`, that no firing before is still open over.
        #[test]
        fn firings_are_as_a_reader_of_the_series_would_say(
            looks in proptest::collection::vec(0_u8..3, 1..60),
        ) {
            let words: Vec<&str> =
                looks.iter().map(|it| ["0", "0.2", "."][usize::from(*it)]).collect();
            let walked = walked("errors", &[("errors", &words.join(" "))]);
            let mut expected = Vec::new();
            let (mut n_true, mut is_open) = (0, false);
            for (place, look) in looks.iter().enumerate() {
                n_true = if *look == 1 { n_true + 1 } else { 0 };
                if *look == 0 {
                    is_open = false;
                }
                // Three looks are 30 s.
                if n_true == 3 && !is_open {
                    is_open = true;
                    expected.push(place);
                } else if 3 < n_true && !is_open {
                    prop_assert!(false, "a firing was missed");
                }
            }
            let from = "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap().as_second();
            let found: Vec<usize> = walked.firings.iter()
                .map(|it| usize::try_from((it.at.as_second() - from) / 15).unwrap()).collect();
            prop_assert_eq!(found, expected);
            let n_unknown = looks.iter().filter(|it| **it == 2).count();
            prop_assert!((walked.unknown_ratio - ratio(n_unknown, looks.len())).abs() < 1e-9);
        }
    }
}
