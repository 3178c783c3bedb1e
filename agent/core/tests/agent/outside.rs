//! Changes that the agent did not make, and effects that nobody reported on.
//!
//! **In:** a provider that says something unexpected.
//! **Out:** a hold for people, or a reading back; never a fight.
//! **Not here:** what providers do with an effect (`evenkeel-providers`).

use std::sync::Arc;

use evenkeel_core::documents::{OutsideChange, ScalingPolicy};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::record::Record;
use evenkeel_core::request::{Answer, Expirable, OverrideAsked, Verb};
use evenkeel_core::units::Capacity;
use expect_test::{Expect, expect};

use crate::region::{documents, named, policy, seconds, target};
use crate::rig::{Rig, brief, set_verb};

fn rig_with(outside_change: OutsideChange) -> Rig {
    let follow = ScalingPolicy { outside_change, ..policy("web", named(&["a"])) };
    let mut rig = Rig::new(&documents("one", [target("a")], [follow], []), 4);
    rig.look("a", 40.0);
    rig.wait(15);
    rig
}

/// A story, and what the agent said at each look.
#[track_caller]
fn check(rig: Rig, story: impl Fn(&mut Rig, &mut Vec<String>), expected: &Expect) {
    let mut rig = rig;
    let mut said = Vec::new();
    story(&mut rig, &mut said);
    expected.assert_eq(&said.join("\n"));
}

fn look(rig: &mut Rig, value: f64) -> String {
    brief(&rig.wait(15).look("a", value))
}

const HOLD: OutsideChange = OutsideChange::Hold(jiff::SignedDuration::from_hours(1));

fn expire_all(rig: &mut Rig) -> usize {
    let which = Expirable::WithScope("a".parse().expect("`a` is a scope"));
    match rig.ask(Verb::Expire { which, reason: "resume".to_owned() }) {
        Ok(Answer::Expired { ended }) => ended.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_from_outside_is_held_until_it_ends_or_a_person_resumes() {
    check(
        rig_with(HOLD),
        |rig, said| {
            rig.change_outside("a", 9);
            said.push(look(rig, 40.0));
            said.push(look(rig, 40.0));
            rig.wait(3_600);
            said.push(look(rig, 80.0));
            rig.end_all(EffectOutcome::Done);
            rig.change_outside("a", 12);
            said.push(look(rig, 40.0));
            assert_eq!(expire_all(rig), 1);
            said.push(look(rig, 110.0));
        },
        &expect![[r#"
            changed outside 4->9, held
            refused 9->4 (held)
            effect 9->8
            changed outside 8->12, held
            effect 12->11"#]],
    );
}

#[test]
fn a_policy_may_adopt_what_others_set() {
    check(
        rig_with(OutsideChange::Adopt),
        |rig, said| {
            rig.change_outside("a", 9);
            said.push(look(rig, 40.0));
            said.push(look(rig, 110.0));
        },
        &expect![[r#"
            changed outside 4->9, adopted
            effect 9->11"#]],
    );
}

#[test]
fn whoever_keeps_changing_it_has_one_hold_that_one_expire_ends() {
    let mut rig = rig_with(HOLD);
    for nth in 0..1_200 {
        rig.change_outside("a", 5 + nth % 2);
        look(&mut rig, 40.0);
    }
    assert_eq!(rig.agent.state().overrides().len(), 1);
    // The table is not full of the agent's own holds: a person can still freeze.
    rig.ask(set_verb(OverrideAsked::Freeze, "a", 60)).unwrap();
    assert_eq!(expire_all(&mut rig), 2);
}

#[test]
fn a_hold_that_a_person_set_is_not_replaced_by_a_change_from_outside() {
    let mut rig = rig_with(HOLD);
    rig.ask(set_verb(OverrideAsked::Hold, "a", 36_000)).unwrap();
    rig.change_outside("a", 5);
    look(&mut rig, 40.0);
    let ends: Vec<_> = rig.agent.state().overrides().map(|it| it.ends_at).collect();
    assert_eq!(ends, [rig.now + seconds(36_000 - 15), rig.now + seconds(3_600)]);
}

#[test]
fn the_agent_s_own_effects_are_not_changes_from_outside() {
    check(
        rig_with(HOLD),
        |rig, said| {
            said.push(look(rig, 60.0));
            // Already there, not yet reported.
            rig.change_outside("a", 6);
            said.push(look(rig, 60.0));
            rig.end_all(EffectOutcome::Done);
            said.push(look(rig, 60.0));
            let outside = rig.journal.iter().any(|it| matches!(it, Record::ChangedOutside { .. }));
            assert!(!outside);
        },
        &expect![[r#"
            effect 4->6
            kept at 6 (in_flight)
            kept at 6 (within_tolerance)"#]],
    );
}

#[test]
fn a_reading_from_before_the_last_change_decides_nothing() {
    let mut rig = rig_with(HOLD);
    // Asked for at the old 4, heard of after the change to 8 was done.
    let late = rig.observation("a", &[("load", 60.0)]);
    look(&mut rig, 80.0);
    rig.end_all(EffectOutcome::Done);
    rig.wait(1);
    // 4 -> 6 would be 8 -> 6 in truth: a removal in disguise.
    let explanation = rig.observe(late);
    expect!["holding, for the current capacity is not known: the reading 4 is from before the last change, to 8"].assert_eq(&explanation.sentence());
    assert!(rig.running.is_empty());
    assert_eq!(look(&mut rig, 80.0), "kept at 8 (within_tolerance)");
}

fn unknown(rig: &mut Rig, said: &mut Vec<String>) {
    said.push(look(rig, 60.0));
    rig.end_all(EffectOutcome::Unknown);
    // Read at the same instant: maybe before it happened.
    said.push(brief(&rig.look("a", 80.0)));
}

#[test]
fn after_an_unknown_outcome_nothing_is_sent_until_it_was_read_back() {
    let expected = [
        (
            6,
            expect![[r#"
            effect 4->6
            refused 4->6 (in_flight)
            kept (capacity unknown)
            read back ef-1: happened
            effect 6->8"#]],
        ),
        (
            4,
            expect![[r#"
            effect 4->6
            refused 4->6 (in_flight)
            kept (capacity unknown)
            read back ef-1: not happened
            effect 4->8"#]],
        ),
        (
            7,
            expect![[r#"
            effect 4->6
            refused 4->6 (in_flight)
            kept (capacity unknown)
            read back ef-1: not happened
            refused 7->8 (held)"#]],
        ),
    ];
    for (there, expected) in expected {
        check(
            rig_with(HOLD),
            |rig, said| {
                unknown(rig, said);
                let mut failed = rig.wait(15).observation("a", &[("load", 80.0)]);
                failed.capacity = Err("timed out".to_owned());
                said.push(brief(&rig.observe(failed)));
                rig.change_outside("a", there);
                said.push(look(rig, 80.0));
                said.push(look(rig, 80.0));
            },
            &expected,
        );
    }
}

#[test]
fn a_restart_does_not_know_how_running_effects_ended() {
    check(
        rig_with(HOLD),
        |rig, said| {
            said.push(look(rig, 60.0));
            rig.change_outside("a", 6);
            rig.restart();
            said.push(brief(&rig.look("a", 60.0)));
            said.push(look(rig, 60.0));
            said.push(look(rig, 60.0));
        },
        &expect![[r#"
            effect 4->6
            kept at 6 (in_flight)
            read back ef-1: happened
            kept at 6 (within_tolerance)"#]],
    );
}

#[test]
fn a_late_report_of_an_earlier_term_changes_nothing() {
    let mut rig = rig_with(HOLD);
    look(&mut rig, 60.0);
    let id = rig.running[0].id();
    rig.change_outside("a", 6);
    rig.restart();
    look(&mut rig, 60.0);
    let before = rig.journal.len();
    for outcome in [EffectOutcome::Done, EffectOutcome::Rejected, EffectOutcome::Unknown] {
        rig.report(id, outcome);
    }
    assert_eq!(rig.journal.len(), before);
}

#[test]
fn a_first_sight_is_adopted_and_held_against_nobody() {
    let all = documents("one", [target("a")], [policy("web", named(&["a"]))], []);
    let mut rig = Rig::new(&Arc::clone(&all), 13);
    assert_eq!(brief(&rig.look("a", 130.0)), "kept at 13 (within_tolerance)");
    assert_eq!(rig.agent.state().overrides().len(), 0);
}

#[test]
fn an_effect_that_keeps_failing_is_tried_again_later_and_later_until_a_person_speaks() {
    check(
        rig_with(HOLD),
        |rig, said| {
            // Every look is 15 s after the one before; each attempt is rejected at once.
            for _ in 0..24 {
                let before = rig.running.len();
                let sentence = look(rig, 80.0);
                if before < rig.running.len() {
                    rig.end_all(EffectOutcome::Rejected);
                    said.push(format!("{sentence}, rejected"));
                } else {
                    said.push(sentence);
                }
            }
            said.push("a person pins it".to_owned());
            rig.wait(1);
            rig.set(OverrideAsked::Pin { capacity: Some(Capacity(6)) }, "a").expect("enforced");
            said.push(look(rig, 80.0));
            rig.end_all(EffectOutcome::Done);
            said.push(look(rig, 80.0));
            said.dedup();
        },
        &expect![[r#"
            effect 4->8, rejected
            refused 4->8 (backing_off)
            effect 4->8, rejected
            refused 4->8 (backing_off)
            effect 4->8, rejected
            refused 4->8 (backing_off)
            effect 4->8, rejected
            refused 4->8 (backing_off)
            a person pins it
            effect 4->6
            kept at 6 (pinned)"#]],
    );
}

// A provider that answers before it acts shows for a while what there was before.
#[test]
fn an_own_change_that_shows_late_is_not_somebody_elses() {
    check(
        rig_with(HOLD),
        |rig, said| {
            said.push(look(rig, 60.0));
            rig.end_all(EffectOutcome::Done);
            rig.change_outside("a", 4);
            said.push(look(rig, 60.0));
            rig.change_outside("a", 6);
            said.push(look(rig, 60.0));
        },
        &expect![[r#"
            effect 4->6
            kept (capacity unknown)
            kept at 6 (within_tolerance)"#]],
    );
}

#[test]
fn what_still_shows_the_old_capacity_after_two_minutes_was_changed_back() {
    check(
        rig_with(HOLD),
        |rig, said| {
            said.push(look(rig, 60.0));
            rig.end_all(EffectOutcome::Done);
            rig.change_outside("a", 4);
            said.push(look(rig, 60.0));
            rig.wait(120);
            said.push(look(rig, 60.0));
        },
        &expect![[r#"
            effect 4->6
            kept (capacity unknown)
            changed outside 6->4, held"#]],
    );
}
