//! Every evaluation says why, in a sentence that a tired person can read.
//!
//! **In:** arbitrary streams, and one example of every reason and refusal.
//! **Out:** exactly one explanation per observed target; the sentences, word by word.
//! **Not here:** how they are carried and shown (the API and the command line).

use evenkeel_core::agent::Input;
use evenkeel_core::decide::{Reason, SignalFinding};
use evenkeel_core::documents::Autonomy;
use evenkeel_core::explain::{Conclusion, Explanation};
use evenkeel_core::guard::{Limit, Refusal};
use evenkeel_core::ids::{EffectId, OverrideId};
use evenkeel_core::overrides::OverrideKind;
use evenkeel_core::quality::{Absence, Doubt, Quality};
use evenkeel_core::units::Capacity;
use expect_test::expect;
use proptest::prelude::*;

use crate::region::{at, bounds, documents, name, named, policy, target};
use crate::rig::{Rig, brief};
use crate::stream::{EVERYTHING, cases, run_through, streams};

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn every_observed_target_of_the_documents_gets_exactly_one_explanation(
        steps in streams(EVERYTHING, 60),
        value in 0.0f64..250.0,
    ) {
        let (mut rig, _) = run_through(&steps, |_| ());
        let all = ["e", "a", "unheard-of", "b", "c", "d", "a"];
        let observations = all.map(|it| rig.observation(it, &[("load", value)])).to_vec();
        let committed = rig.handle(Input::Observed(observations));
        let mut explained: Vec<&str> =
            committed.explanations.iter().map(|it| it.target.as_str()).collect();
        explained.sort_unstable();
        let expected: Vec<&str> =
            rig.agent.documents().targets().map(|it| it.id.as_str()).collect();
        prop_assert_eq!(explained, expected);
        for it in &committed.explanations {
            prop_assert!(!it.sentence().is_empty());
            let json = serde_json::to_string(it.as_ref()).unwrap();
            let read: Explanation = serde_json::from_str(&json).unwrap();
            prop_assert_eq!((read.sentence(), &read.conclusion), (it.sentence(), &it.conclusion));
        }
    }
}

fn finding(signal: &str, value: Option<f64>, demand: Option<f64>) -> SignalFinding {
    SignalFinding {
        signal: name(signal),
        quality: Quality::Good,
        value,
        sampled_at: Some(at(0)),
        demand,
        doubt: None,
        absence: None,
        forecast: None,
    }
}

/// A target with 8 units of which its load of 523.4 needs 9.6.
fn explanation(reason: Option<Reason>, conclusion: Conclusion) -> Explanation {
    Explanation {
        target: name("a"),
        at: at(0),
        since: at(0),
        policy: Some(name("web")),
        autonomy: Some(Autonomy::Auto),
        current: Some(Capacity(8)),
        ready: Some(Capacity(8)),
        proposed: Some(Capacity(10)),
        reason,
        conclusion,
        limits: Vec::new(),
        bounds: Some(bounds(1, 20)),
        signals: vec![
            finding("load", Some(523.4), Some(9.6)),
            finding("latency", Some(0.21), None),
        ],
        arbitration: None,
    }
}

fn demand() -> Reason {
    Reason::Demand { signal: name("load") }
}

#[test]
fn one_sentence_per_reason() {
    let doubtful = |mut it: Explanation| {
        it.signals[0].quality = Quality::Suspect;
        it.signals[0].doubt = Some(Doubt::SuddenDrop { recent: 900.0 });
        it
    };
    let missing = |mut it: Explanation| {
        it.signals[0] = finding("load", None, None);
        it.signals[0].quality = Quality::Missing;
        it.signals[0].absence = Some(Absence::NoSeries);
        it
    };
    let kept = |reason| explanation(Some(reason), Conclusion::NoChange);
    let signal = || name("load");
    let (formula, until) = (Capacity(5), at(90));
    let said = [
        explanation(
            Some(demand()),
            Conclusion::Planned { effect: EffectId(7), desired: Capacity(10) },
        ),
        kept(Reason::WithinTolerance { signal: signal() }),
        kept(Reason::Sufficient { signal: signal() }),
        kept(Reason::NothingAsked),
        doubtful(kept(Reason::HeldOnQuality { formula, quality: Quality::Suspect })),
        missing(kept(Reason::NoUsableSignal)),
        kept(Reason::Stabilizing { formula, until }),
        kept(Reason::Stabilizing { formula: Capacity(11), until }),
        kept(Reason::Pinned { by: OverrideId(31) }),
        kept(Reason::NoPolicy),
    ];
    expect![[r#"
        planned: scaling 8 -> 10: `load` is 523.4 and needs 9.6
        no_change: keeping 8: `load` is 523.4 and needs 9.6, within tolerance
        no_change: keeping 8: `load` is 523.4 and needs 9.6
        no_change: keeping 8: no signal asks for any capacity
        no_change: keeping 8: 5 would do, but signals are suspect (`load`: sudden drop from 900.0, below what is usual here)
        no_change: keeping 8: no usable signal (`load`: the query returned no series for this target)
        no_change: keeping 8: 5 would do; stabilizing until 2026-01-01T00:01:30Z
        no_change: keeping 8: 11 are wanted; stabilizing until 2026-01-01T00:01:30Z
        no_change: keeping 8: pinned by ov-31
        no_change: keeping 8: no policy selects it
    "#]].assert_eq(&sentences(&said));
}

#[test]
fn one_sentence_per_refusal() {
    let overridden = |override_kind| Refusal::Overridden {
        id: OverrideId(31),
        override_kind,
        actor: name("ana"),
        reason: "incident 4711".to_owned(),
        ends_at: at(14_400),
    };
    let used_up = |guardrail, more_at| Refusal::BlastRadius {
        guardrail,
        removed_units: 5,
        units_max: 5,
        window: "10m".to_owned(),
        more_at,
    };
    let window = "weekend".to_owned();
    let refusals = [
        Refusal::BreakGlass { since: at(0), cause: "ana: stop everything".to_owned() },
        Refusal::Protected { guardrail: name("keep-off") },
        overridden(OverrideKind::Freeze),
        overridden(OverrideKind::Hold),
        overridden(OverrideKind::NoScaleDown),
        overridden(OverrideKind::Pin { capacity: Capacity(4) }),
        Refusal::FreezeWindow { guardrail: name("calendar"), window, ends_at: at(3_600) },
        Refusal::InFlight { id: EffectId(7), desired: Capacity(9), is_unknown: false },
        Refusal::InFlight { id: EffectId(7), desired: Capacity(9), is_unknown: true },
        Refusal::Doubt { quality: Quality::Suspect },
        Refusal::Unsettled { until: Some(at(300)) },
        Refusal::Unsettled { until: None },
        Refusal::CoolingDown { until: at(60) },
        Refusal::BackingOff { n_attempts: 3, until: at(30) },
        used_up(Some(name("web")), Some(at(600))),
        used_up(None, None),
        Refusal::Autonomy { autonomy: Autonomy::Observe },
        Refusal::Autonomy { autonomy: Autonomy::Suggest },
        Refusal::Autonomy { autonomy: Autonomy::Approve },
    ];
    let refused =
        |refusal| explanation(Some(demand()), Conclusion::Refused { refusal, would: Capacity(10) });
    let mut said: Vec<Explanation> = refusals.map(refused).to_vec();
    let refusal = Refusal::InFlight { id: EffectId(7), desired: Capacity(8), is_unknown: false };
    said.push(explanation(Some(demand()), Conclusion::Refused { refusal, would: Capacity(8) }));
    expect![[r#"
        break_glass: not scaling 8 -> 10: break-glass since 2026-01-01T00:00:00Z: ana: stop everything (`load` is 523.4 and needs 9.6)
        protected: not scaling 8 -> 10: guardrail keep-off protects it (`load` is 523.4 and needs 9.6)
        frozen: not scaling 8 -> 10: frozen by ana until 2026-01-01T04:00:00Z (ov-31): incident 4711 (`load` is 523.4 and needs 9.6)
        held: not scaling 8 -> 10: held by ana until 2026-01-01T04:00:00Z (ov-31): incident 4711 (`load` is 523.4 and needs 9.6)
        no_scale_down: not scaling 8 -> 10: no scale-down by ana until 2026-01-01T04:00:00Z (ov-31): incident 4711 (`load` is 523.4 and needs 9.6)
        pinned: not scaling 8 -> 10: pinned at 4 by ana until 2026-01-01T04:00:00Z (ov-31): incident 4711 (`load` is 523.4 and needs 9.6)
        freeze_window: not scaling 8 -> 10: freeze window weekend of guardrail calendar until 2026-01-01T01:00:00Z (`load` is 523.4 and needs 9.6)
        in_flight: not scaling 8 -> 10: effect ef-7 to 9 has not ended (`load` is 523.4 and needs 9.6)
        in_flight: not scaling 8 -> 10: the outcome of effect ef-7 to 9 is unknown; reading back first (`load` is 523.4 and needs 9.6)
        doubt: not scaling 8 -> 10: signals are suspect; capacity is never removed on those (`load` is 523.4 and needs 9.6)
        unsettled: not scaling 8 -> 10: signals have not been good for the whole stabilization window, earliest 2026-01-01T00:05:00Z (`load` is 523.4 and needs 9.6)
        unsettled: not scaling 8 -> 10: signals have not been good for the whole stabilization window (`load` is 523.4 and needs 9.6)
        cooling_down: not scaling 8 -> 10: cooling down until 2026-01-01T00:01:00Z (`load` is 523.4 and needs 9.6)
        backing_off: not scaling 8 -> 10: backing off until 2026-01-01T00:00:30Z: the last 3 effects did not happen (`load` is 523.4 and needs 9.6)
        blast_radius: not scaling 8 -> 10: guardrail web allows 5 units to leave in 10m, 5 have; more may from 2026-01-01T00:10:00Z (`load` is 523.4 and needs 9.6)
        blast_radius: not scaling 8 -> 10: the built-in blast radius allows 5 units to leave in 10m, 5 have (`load` is 523.4 and needs 9.6)
        autonomy: not scaling 8 -> 10: autonomy is observe: the agent only says what it would do (`load` is 523.4 and needs 9.6)
        autonomy: not scaling 8 -> 10: autonomy is suggest: the agent only says what it would do (`load` is 523.4 and needs 9.6)
        autonomy: not scaling 8 -> 10: autonomy is approve: a person must do it, for example with a pin (`load` is 523.4 and needs 9.6)
        in_flight: keeping 8: effect ef-7 to 8 has not ended
    "#]].assert_eq(&sentences(&said));
}

#[test]
fn one_sentence_per_conclusion_and_limit() {
    let read_back = |happened, current| Explanation {
        current: Some(Capacity(current)),
        ..explanation(
            None,
            Conclusion::ReadBack { effect: EffectId(7), desired: Capacity(9), happened },
        )
    };
    let changed =
        |is_held| explanation(None, Conclusion::ChangedOutside { expected: Capacity(6), is_held });
    let planned = Conclusion::Planned { effect: EffectId(7), desired: Capacity(9) };
    let limited =
        |limit| Explanation { limits: vec![limit], ..explanation(Some(demand()), planned.clone()) };
    let message = "timed out after 5s".to_owned();
    let said = [
        Explanation { current: None, ..explanation(None, Conclusion::CapacityUnknown { message }) },
        read_back(true, 9),
        read_back(false, 8),
        changed(true),
        changed(false),
        limited(Limit::Bounds { proposed: Capacity(30), bounds: bounds(1, 20) }),
        limited(Limit::Step { proposed: Capacity(15), units_max: 1 }),
        limited(Limit::BlastRadius { proposed: Capacity(2), units_left: 1, guardrail: None }),
    ];
    expect![[r#"
        capacity_unknown: holding, for the current capacity is not known: timed out after 5s
        read_back: read back: ef-7 to 9 has happened
        read_back: read back: ef-7 to 9 has not happened, capacity is 8
        changed_outside: changed outside of Evenkeel: 6 -> 8; holding for people
        changed_outside: changed outside of Evenkeel: 6 -> 8; adopted
        planned: scaling 8 -> 9: `load` is 523.4 and needs 9.6; 30 is outside the bounds 1..20
        planned: scaling 8 -> 9: `load` is 523.4 and needs 9.6; 15 is more than one step of 1
        planned: scaling 8 -> 9: `load` is 523.4 and needs 9.6; 2 is beyond the blast radius, 1 may leave now
    "#]].assert_eq(&sentences(&said));
}

fn sentences(explanations: &[Explanation]) -> String {
    explanations.iter().map(|it| format!("{}: {}\n", it.conclusion.name(), it.sentence())).collect()
}

#[test]
fn an_explanation_that_says_the_same_again_is_kept_once_with_its_beginning() {
    let all = documents("one", [target("a")], [policy("web", named(&["a"]))], []);
    let mut rig = Rig::new(&all, 4);
    for _ in 0..10 {
        assert_eq!(brief(&rig.wait(15).look("a", 40.0)), "kept at 4 (within_tolerance)");
    }
    let target = name("a");
    let kept: Vec<_> = rig.agent.explanations().of(&target).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].since, kept[0].at), (at(15), at(150)));
}
