//! People win, at once, for as long as they said, and never longer.
//!
//! **In:** arbitrary streams with people in them, and stories of one override.
//! **Out:** no effect against a person's word.
//! **Not here:** requests that are refused ([`crate::refusals`]), every
//! situation with every verb ([`crate::matrix`]).

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::OverrideId;
use evenkeel_core::record::{EndCause, Record};
use evenkeel_core::request::{Answer, Expirable, OverrideAsked, Verb};
use evenkeel_core::units::Capacity;
use expect_test::expect;
use proptest::prelude::*;

use crate::audit::{Promise, keeps};
use crate::region::{documents, named, policy, seconds, target};
use crate::rig::{Rig, brief, pin, set_verb};
use crate::stream::{EVERYTHING, cases, run, streams};

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn no_effect_goes_against_a_person_the_glass_or_the_calendar(
        steps in streams(EVERYTHING, 100),
    ) {
        keeps(Promise::People, &run(&steps, |_| ()));
    }

    // Whatever ended stays ended: through restarts, snapshots and clocks that go back.
    #[test]
    fn an_override_that_ended_never_comes_back(steps in streams(EVERYTHING, 100)) {
        let mut seen = 0;
        let mut ended: Vec<OverrideId> = Vec::new();
        run(&steps, |rig| {
            for record in &rig.journal[seen..] {
                if let Record::OverrideEnded { id, .. } = record {
                    ended.push(*id);
                }
            }
            seen = rig.journal.len();
            let in_force = rig.agent.state().overrides().find(|it| ended.contains(&it.id));
            assert_eq!(in_force, None);
        });
    }
}

fn rig() -> Rig {
    let all = documents("one", [target("a"), target("b")], [policy("web", named(&["a", "b"]))], []);
    let mut rig = Rig::new(&all, 4);
    rig.look("a", 40.0);
    rig.wait(15);
    rig
}

fn every_kind() -> [OverrideAsked; 5] {
    [
        OverrideAsked::Freeze,
        OverrideAsked::Takeover,
        OverrideAsked::Hold,
        OverrideAsked::NoScaleDown,
        pin(7),
    ]
}

#[test]
fn the_most_restrictive_override_rules_in_whatever_order_they_were_set() {
    // Wanting up and down, under every pair of overrides, in both orders.
    let mut table = String::new();
    for first in every_kind() {
        for second in every_kind() {
            let mut rig = rig();
            let set = [first, second].map(|it| rig.set(it, "a"));
            let said: Vec<String> = set
                .iter()
                .map(|it| match it {
                    Ok(Answer::OverrideSet { accepted, .. }) => accepted.kind.to_string(),
                    Ok(_) => "something else".to_owned(),
                    Err(_) => "refused".to_owned(),
                })
                .collect();
            let up = brief(&rig.look("a", 60.0));
            rig.end_all(EffectOutcome::Rejected);
            let down = brief(&rig.wait(15).look("a", 30.0));
            table.push_str(&format!("{}, {}: {up}, {down}\n", said[0], said[1]));
        }
    }
    expect![[r#"
        freeze, freeze: refused 4->6 (frozen), refused 4->3 (frozen)
        freeze, takeover: refused 4->6 (frozen), refused 4->3 (frozen)
        freeze, hold: refused 4->6 (frozen), refused 4->3 (frozen)
        freeze, no-scale-down: refused 4->6 (frozen), refused 4->3 (frozen)
        freeze, refused: refused 4->6 (frozen), refused 4->3 (frozen)
        takeover, freeze: refused 4->6 (frozen), refused 4->3 (frozen)
        takeover, takeover: refused 4->6 (taken_over), refused 4->3 (taken_over)
        takeover, hold: refused 4->6 (taken_over), refused 4->3 (taken_over)
        takeover, no-scale-down: refused 4->6 (taken_over), refused 4->3 (taken_over)
        takeover, refused: refused 4->6 (taken_over), refused 4->3 (taken_over)
        hold, freeze: refused 4->6 (frozen), refused 4->3 (frozen)
        hold, takeover: refused 4->6 (taken_over), refused 4->3 (taken_over)
        hold, hold: refused 4->6 (held), refused 4->3 (held)
        hold, no-scale-down: refused 4->6 (held), refused 4->3 (held)
        hold, refused: refused 4->6 (held), refused 4->3 (held)
        no-scale-down, freeze: refused 4->6 (frozen), refused 4->3 (frozen)
        no-scale-down, takeover: refused 4->6 (taken_over), refused 4->3 (taken_over)
        no-scale-down, hold: refused 4->6 (held), refused 4->3 (held)
        no-scale-down, no-scale-down: effect 4->6, refused 4->3 (no_scale_down)
        no-scale-down, pin at 7: effect 4->7, effect 4->7
        pin at 7, freeze: refused 4->7 (frozen), refused 4->7 (frozen)
        pin at 7, takeover: refused 4->7 (taken_over), refused 4->7 (taken_over)
        pin at 7, hold: refused 4->7 (held), refused 4->7 (held)
        pin at 7, no-scale-down: effect 4->7, effect 4->7
        pin at 7, pin at 7: effect 4->7, effect 4->7
    "#]]
    .assert_eq(&table);
}

#[test]
fn an_override_is_in_force_from_its_answer_to_its_end_and_not_a_second_longer() {
    let mut rig = rig();
    rig.ask(set_verb(OverrideAsked::Freeze, "a", 60)).unwrap();
    assert_eq!(brief(&rig.look("a", 60.0)), "refused 4->6 (frozen)");
    assert_eq!(brief(&rig.wait(59).look("a", 60.0)), "refused 4->6 (frozen)");
    assert_eq!(brief(&rig.wait(1).look("a", 60.0)), "effect 4->6");
    let ended = rig
        .journal
        .iter()
        .any(|it| matches!(it, Record::OverrideEnded { cause: EndCause::Expired, .. }));
    assert!(ended);
}

#[test]
fn the_agent_asks_to_be_woken_at_the_next_end() {
    let mut rig = rig();
    assert_eq!(rig.agent.next_wakeup(), None);
    rig.ask(set_verb(OverrideAsked::Freeze, "a", 60)).unwrap();
    rig.ask(set_verb(OverrideAsked::Hold, "b", 30)).unwrap();
    assert_eq!(rig.agent.next_wakeup(), Some(rig.now + seconds(30)));
    rig.wait(30).handle(Input::TimePassed);
    assert_eq!(rig.agent.next_wakeup(), Some(rig.now + seconds(30)));
}

#[test]
fn a_freeze_outlives_restart_snapshot_and_reload() {
    let mut rig = rig();
    rig.set(OverrideAsked::Freeze, "all").unwrap();
    let again =
        documents("two", [target("a"), target("new")], [policy("p", named(&["a", "new"]))], []);
    rig.provider.insert("new".parse().unwrap(), Capacity(4));
    for _ in 0..3 {
        rig.handle(Input::SnapshotWanted);
        rig.restart();
        rig.load(&again);
        for it in ["a", "new"] {
            assert_eq!(brief(&rig.wait(15).look(it, 60.0)), "refused 4->6 (frozen)");
        }
    }
}

#[test]
fn a_clock_that_goes_back_revives_nothing_and_postpones_nothing() {
    let mut rig = rig();
    rig.ask(set_verb(OverrideAsked::Freeze, "a", 60)).unwrap();
    rig.wait(60).handle(Input::TimePassed);
    rig.wait(-3_000);
    assert_eq!(brief(&rig.look("a", 60.0)), "effect 4->6");
    rig.end_all(EffectOutcome::Done);
    // Set with a clock that is behind: still an hour from the agent's own time.
    rig.set(OverrideAsked::Freeze, "a").unwrap();
    rig.wait(3_000 + 3_599);
    assert_eq!(brief(&rig.look("a", 80.0)), "refused 6->8 (frozen)");
    assert_eq!(brief(&rig.wait(1).look("a", 80.0)), "effect 6->8");
}

#[test]
fn an_expired_freeze_cannot_be_expired_again_and_its_number_is_not_used_again() {
    let mut rig = rig();
    rig.set(OverrideAsked::Freeze, "a").unwrap();
    let expire = |id| Verb::Expire { which: Expirable::One(OverrideId(id)), reason: String::new() };
    rig.ask(expire(1)).unwrap();
    assert_eq!(
        rig.ask(expire(1)).unwrap_err().to_string(),
        "ov-1 is not in force; an ended override cannot return",
    );
    rig.restart();
    let Ok(Answer::OverrideSet { accepted, .. }) = rig.set(OverrideAsked::Freeze, "a") else {
        panic!("a freeze is enforced");
    };
    assert_eq!(accepted.id, OverrideId(2));
}

#[test]
fn an_override_withdraws_the_running_effects_that_contradict_it() {
    let withdrawn = |kind, value| {
        let mut rig = rig();
        rig.look("a", value);
        let request = evenkeel_core::request::Request {
            identity: crate::region::owner(),
            verb: set_verb(kind, "a", 60),
        };
        rig.handle(Input::Requested(request)).withdrawn.len()
    };
    // Going up to 6, going down to 3.
    assert_eq!(every_kind().map(|it| withdrawn(it, 60.0)), [1, 1, 1, 0, 1]);
    assert_eq!(every_kind().map(|it| withdrawn(it, 30.0)), [1, 1, 1, 1, 1]);
    assert_eq!([pin(6), pin(3)].map(|it| withdrawn(it, 60.0)), [0, 1]);
}

#[test]
fn a_break_glass_file_freezes_everything_also_when_it_cannot_be_read() {
    let readings = [
        BreakGlassReading::Present { text: "ana: stop".to_owned() },
        BreakGlassReading::Present { text: String::new() },
        BreakGlassReading::Unreadable { error: "permission denied".to_owned() },
    ];
    for reading in readings {
        let mut rig = rig();
        rig.look("b", 60.0);
        let committed = rig.handle(Input::BreakGlassRead(reading));
        assert_eq!(committed.withdrawn.len(), 1);
        assert_eq!(brief(&rig.look("a", 60.0)), "refused 4->6 (break_glass)");
        rig.restart();
        rig.wait(15);
        assert_eq!(brief(&rig.look("a", 60.0)), "refused 4->6 (break_glass)");
        rig.handle(Input::BreakGlassRead(BreakGlassReading::Absent));
        assert_eq!(brief(&rig.look("a", 60.0)), "effect 4->6");
    }
}
