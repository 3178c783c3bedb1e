//! Nothing leaves the agent before its records are durable.
//!
//! **In:** journals that work and journals that fail.
//! **Out:** effects and answers, or nothing at all.
//! **Not here:** a real journal (`evenkeel-store`). That no effect can be built
//! without a permit is for the compiler: see the examples of
//! [`evenkeel_core::guard::Permit`] and [`evenkeel_core::effect::SetCapacity`].

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::effect::Effect;
use evenkeel_core::record::Record;
use evenkeel_core::request::{OverrideAsked, Request};
use proptest::prelude::*;

use crate::region::{documents, named, owner, policy, target};
use crate::rig::{Rig, set_verb};
use crate::stream::{EVERYTHING, cases, run_through, streams};

fn rig() -> Rig {
    let all = documents("one", [target("a"), target("b")], [policy("web", named(&["a", "b"]))], []);
    let mut rig = Rig::new(&all, 4);
    rig.look("a", 40.0);
    rig.look("b", 60.0);
    rig.wait(15);
    rig
}

/// Every kind of input that hands something out.
fn inputs(rig: &Rig) -> Vec<Input> {
    let verb = set_verb(OverrideAsked::Freeze, "all", 60);
    vec![
        Input::Observed(vec![rig.observation("a", &[("load", 60.0)])]),
        Input::Requested(Request { identity: owner(), verb: verb.clone() }),
        Input::BreakGlassRead(BreakGlassReading::Present { text: "stop".to_owned() }),
    ]
}

#[test]
fn a_journal_that_fails_hands_out_nothing() {
    for nth in 0..3 {
        let mut rig = rig();
        let input = inputs(&rig).swap_remove(nth);
        let outcome = rig.agent.handle(rig.now, input);
        assert!(!outcome.records().is_empty());
        // `commit` takes the outcome: after an error there is nothing left to hand out.
        let refused = outcome.commit(|_| Err("disk full"));
        assert_eq!(refused.map(|_| "something was handed out"), Err("disk full"));
    }
}

#[test]
fn a_journal_that_works_sees_the_records_before_anything_is_handed_out() {
    let n_handed_out = [1, 2, 1].into_iter().enumerate().map(|(nth, expected)| {
        let mut rig = rig();
        let input = inputs(&rig).swap_remove(nth);
        let mut n_appended = 0;
        let outcome = rig.agent.handle(rig.now, input);
        let committed = outcome.commit(|records| {
            n_appended = records.len();
            Ok::<(), &str>(())
        });
        let committed = committed.unwrap();
        assert!(0 < n_appended);
        let n = committed.effects.len()
            + committed.withdrawn.len()
            + usize::from(committed.answer.is_some());
        (n, expected)
    });
    for (n, expected) in n_handed_out {
        assert_eq!(n, expected);
    }
}

#[test]
fn without_records_the_journal_is_not_bothered_and_nothing_is_handed_out() {
    let mut rig = rig();
    let outcome = rig.agent.handle(rig.now, Input::TimePassed);
    let committed = outcome.commit(|_| Err("must not be called")).unwrap();
    assert!(committed.effects.is_empty() && committed.withdrawn.is_empty());
    assert!(committed.answer.is_none());
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_effect_handed_out_has_its_record_in_what_was_appended(
        steps in streams(EVERYTHING, 60),
        value in 0.0f64..250.0,
    ) {
        // Any history, and then one more look at everything.
        let (mut rig, _) = run_through(&steps, |_| ());
        let next = ["a", "b", "c", "d", "e"].map(|it| {
            rig.observation(it, &[("load", value), ("queue", 0.0), ("latency", 0.0)])
        });
        let outcome = rig.agent.handle(rig.now, Input::Observed(next.to_vec()));
        let term = rig.agent.state().term();
        let mut appended: Vec<Record> = Vec::new();
        let committed = outcome.commit(|records| {
            appended = records.to_vec();
            Ok::<(), &str>(())
        });
        let committed = committed.unwrap();
        for effect in committed.effects.iter().cloned().filter_map(Effect::into_set_capacity) {
            let is_of = |it: &&Record| {
                matches!(
                    it,
                    Record::EffectPlanned { at, id, target, desired, expected, term: of, .. }
                        if *id == effect.id()
                            && target == effect.target()
                            && *desired == effect.desired()
                            && *expected == effect.expected()
                            && *of == effect.term()
                            && *of == term
                            && *at == effect.granted_at()
                )
            };
            let n_records = appended.iter().filter(is_of);
            prop_assert_eq!(n_records.count(), 1);
        }
        let n_planned = appended.iter().filter(|it| it.kind() == "effect_planned").count();
        prop_assert_eq!(n_planned, committed.effects.len());
    }
}
