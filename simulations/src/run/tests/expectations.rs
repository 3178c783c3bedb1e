//! Every demand of a scenario can be met and can be missed.
//!
//! **In:** one line of `must` or `must_not` at a time. **Out:** panics of failed tests.
//! **Not here:** how such lines are written ([`crate::scenario`]).

use expect_test::expect;

use super::{SURGE, play, scenario};
use crate::expectation::{MustNot, Span};
use crate::pilot::PilotKind;
use crate::run::Controller;
use crate::run::verdict::{Change, Verdict};
use crate::run::watch::Violations;

/// When, at which service, what a controller changed, and whether a person forbade it.
type Deed = (i64, usize, Change, bool);

#[test]
fn what_must_come_can_come_and_can_fail_to() {
    // Two minutes of nothing at all, behind which everything is as before.
    let faults = "    faults:\n      - { at: 3m, for: 2m, down: { service: web } }\n";
    let mut table = String::new();
    for line in [
        "recover_within: 5m",
        "good_ratio: { service: web, min: 0.5 }",
        "good_ratio: { service: web, min: 0.99 }",
        "good_ratio: { service: web, min: 0.99, from: 10m, until: 15m }",
        "good_ratio: { service: web, min: 0.01, from: 190s, until: 290s }",
        "ready_at_least: { service: web, units: 8 }",
        "ready_at_least: { service: web, units: 39 }",
        "cost_ratio_at_most: 10.0",
        "cost_ratio_at_most: 1.0",
        "page_within: 10m",
        "page_within: 1s",
    ] {
        let scenario = scenario(&format!("{faults}    must:\n      - {{ {line} }}\n"));
        let violated = play(&scenario, Controller::Pilot(PilotKind::None)).violated;
        table += &format!("{line}: {}\n", violated.join(", "));
    }
    expect![[r#"
        recover_within: 5m: 
        good_ratio: { service: web, min: 0.5 }: 
        good_ratio: { service: web, min: 0.99 }: must: good_ratio
        good_ratio: { service: web, min: 0.99, from: 10m, until: 15m }: 
        good_ratio: { service: web, min: 0.01, from: 190s, until: 290s }: must: good_ratio
        ready_at_least: { service: web, units: 8 }: 
        ready_at_least: { service: web, units: 39 }: must: ready_at_least
        cost_ratio_at_most: 10.0: 
        cost_ratio_at_most: 1.0: must: cost_ratio_at_most
        page_within: 10m: 
        page_within: 1s: must: page_within
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_recovery_takes_as_long_as_new_units_boot() {
    let recovers = |seconds: &str| {
        let faults = "    faults:\n      - { at: 3m, crash: { service: web, ratio: 1.0 } }\n";
        let must = format!("    must:\n      - {{ recover_within: {seconds} }}\n");
        play(&scenario(&format!("{faults}{must}")), Controller::Pilot(PilotKind::None)).violated
    };
    assert_eq!(recovers("1s"), ["not_recovered"]);
    assert_eq!(recovers("5m"), Vec::<&str>::new());
}

#[test]
fn what_must_not_be_is_told_of_once_and_only_inside_of_its_span() {
    let span = Span { from: 100, until: 200 };
    let set = |from, to| Change::Set { from, to };
    let took = |units, of| Change::Took { units, of };
    let cases: Vec<(&str, MustNot, Vec<Deed>)> = vec![
        ("removes", MustNot::Remove { service: 0, span }, vec![(150, 0, set(5, 4), false)]),
        (
            "removes twice",
            MustNot::Remove { service: 0, span },
            vec![(150, 0, set(5, 4), false), (160, 0, set(4, 3), false)],
        ),
        (
            "removes at its first second",
            MustNot::Remove { service: 0, span },
            vec![(100, 0, set(5, 4), false)],
        ),
        ("removes before", MustNot::Remove { service: 0, span }, vec![(99, 0, set(5, 4), false)]),
        ("removes after", MustNot::Remove { service: 0, span }, vec![(200, 0, set(5, 4), false)]),
        (
            "removes of another",
            MustNot::Remove { service: 0, span },
            vec![(150, 1, set(5, 4), false)],
        ),
        ("adds", MustNot::Remove { service: 0, span }, vec![(150, 0, set(4, 5), false)]),
        ("changes", MustNot::Change { service: 0, span }, vec![(150, 0, set(4, 5), false)]),
        ("restarts", MustNot::Change { service: 0, span }, vec![(150, 0, took(1, 4), false)]),
        ("keeps", MustNot::Change { service: 0, span }, vec![(150, 0, set(4, 4), false)]),
        (
            "exceeds",
            MustNot::Exceed { service: 0, units: 4, span },
            vec![(150, 0, set(4, 5), false)],
        ),
        (
            "reaches",
            MustNot::Exceed { service: 0, units: 5, span },
            vec![(150, 0, set(4, 5), false)],
        ),
        (
            "third of two",
            MustNot::ChangeOftenerThan { service: 0, times: 2, span },
            vec![
                (110, 0, set(4, 5), false),
                (120, 0, set(5, 4), false),
                (130, 0, set(4, 5), false),
            ],
        ),
        (
            "second of two",
            MustNot::ChangeOftenerThan { service: 0, times: 2, span },
            vec![(90, 0, set(4, 5), false), (110, 0, set(4, 5), false), (120, 0, set(5, 4), false)],
        ),
        (
            "takes half within 10 min",
            MustNot::TakeAwayMoreThan { service: 0, ratio: 0.3 },
            vec![(100, 0, took(2, 10), false), (600, 0, took(3, 10), false)],
        ),
        (
            "takes half over 11 min",
            MustNot::TakeAwayMoreThan { service: 0, ratio: 0.3 },
            vec![(100, 0, took(2, 10), false), (760, 0, took(3, 10), false)],
        ),
        (
            "takes the one that may go",
            MustNot::TakeAwayMoreThan { service: 0, ratio: 0.1 },
            vec![(100, 0, took(1, 2), false)],
        ),
        ("against a person", MustNot::OverruleAPerson, vec![(150, 0, set(4, 5), true)]),
        ("with a person", MustNot::OverruleAPerson, vec![(150, 0, set(4, 5), false)]),
    ];
    let mut table = String::new();
    for (name, must_not, changes) in cases {
        let mut scenario = scenario("");
        let mut second = scenario.world.services[0].clone();
        second.name = "other".to_owned();
        scenario.world.services.push(second);
        scenario.must_not = vec![must_not];
        let mut verdict = Verdict::new(&scenario, Controller::Evenkeel, 0, scenario.lasts);
        let mut violations = Violations::default();
        for (at, service, change, is_against) in changes {
            verdict.changed(at, at, service, change, is_against, &mut violations);
        }
        let told: Vec<String> =
            violations.list.iter().map(|it| format!("{}: {}", it.invariant, it.what)).collect();
        table += &format!("{name}: {}\n", told.join("; "));
    }
    expect![[r#"
        removes: must_not: remove: `web`: 5 -> 4
        removes twice: must_not: remove: `web`: 5 -> 4
        removes at its first second: must_not: remove: `web`: 5 -> 4
        removes before: 
        removes after: 
        removes of another: 
        adds: 
        changes: must_not: change: `web`: 4 -> 5
        restarts: must_not: change: `web`: took 1 of 4 out of service
        keeps: 
        exceeds: must_not: exceed: `web`: asked for 5, at most 4
        reaches: 
        third of two: must_not: change_oftener_than: `web`: 3 changes, at most 2
        second of two: 
        takes half within 10 min: must_not: take_away_more_than: `web`: 5 of 10 units taken away within 10 min
        takes half over 11 min: 
        takes the one that may go: 
        against a person: must_not: overrule_a_person: `web`: 4 -> 5 against a person's word
        with a person: 
    "#]].assert_eq(&table);
}

#[test]
fn only_a_promotion_that_loses_writes_of_that_service_is_told_of() {
    let mut scenario = scenario("");
    scenario.must_not = vec![MustNot::LoseWrites { service: 0 }];
    let told = |service, writes| {
        let (mut verdict, mut violations) = (
            Verdict::new(&scenario, Controller::Evenkeel, 0, scenario.lasts),
            Violations::default(),
        );
        verdict.lost_writes(0, service, writes, &mut violations);
        violations.list.len()
    };
    assert_eq!([told(0, 3.0), told(0, 0.0), told(1, 3.0)], [1, 0, 0]);
}

#[test]
fn pilots_are_refused_nothing_and_no_invariant_of_the_agents_is_theirs() {
    let surge = format!("    faults:\n{SURGE}");
    for kind in PilotKind::ALL {
        let played = play(&scenario(&surge), Controller::Pilot(kind));
        let told: Vec<&&str> =
            played.violated.iter().filter(|it| !it.starts_with("not_")).collect();
        assert!(told.is_empty(), "{kind}: {told:?}");
        assert!(!played.lines.iter().any(|it| it.contains("refused")), "{kind}");
    }
}
