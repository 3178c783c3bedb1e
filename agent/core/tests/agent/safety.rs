//! What the agent never does, whatever it is shown and in whatever order.
//!
//! **In:** arbitrary streams, and a world whose metrics lie.
//! **Out:** promises that hold for every history.
//! **Not here:** people's overrides ([`crate::overrides`]), the blast radius
//! ([`crate::blast_radius`]).

use evenkeel_core::documents::{Behaviour, BlastRadius, ScalingPolicy, Selector, Target};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::quality::{Absence, Doubt, Reading, TargetObservation};
use evenkeel_core::units::Capacity;
use proptest::prelude::*;

use crate::audit::{Promise, Tally, keeps};
use crate::region::{FREELY, bounds, documents, guardrail, name, named, policy, seconds, target};
use crate::rig::{Rig, brief};
use crate::stream::{EVERYTHING, Mix, cases, run, streams};

const NO_PEOPLE: Mix = Mix { has_people: false, clock_goes_back: false };

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn capacity_is_removed_only_when_all_signals_were_good_for_the_whole_window(
        steps in streams(NO_PEOPLE, 80),
    ) {
        keeps(Promise::NoDoubt, &run(&steps, |_| ()));
    }

    #[test]
    fn no_effect_leaves_the_bounds(steps in streams(EVERYTHING, 80)) {
        keeps(Promise::Bounds, &run(&steps, |_| ()));
    }

    #[test]
    fn one_change_is_at_most_one_step(steps in streams(EVERYTHING, 80)) {
        keeps(Promise::Step, &run(&steps, |_| ()));
    }

    #[test]
    fn no_change_starts_within_the_cooldown_of_another(steps in streams(EVERYTHING, 80)) {
        keeps(Promise::Cooldown, &run(&steps, |_| ()));
    }

    #[test]
    fn numbers_are_used_once_and_one_effect_runs_per_target(steps in streams(EVERYTHING, 80)) {
        keeps(Promise::Numbers, &run(&steps, |_| ()));
    }
}

/// A property over streams in which nothing happens would hold for nothing.
#[test]
fn the_streams_reach_every_kind_of_record_and_plenty_of_removals() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tally = Tally::default();
    for _ in 0..64 {
        let steps = streams(EVERYTHING, 80).new_tree(&mut runner).unwrap().current();
        tally.count(&run(&steps, |_| ()));
    }
    assert_eq!(tally.kinds.len(), 17, "{:?}", tally.kinds);
    assert!(30 < tally.removals && 100 < tally.additions, "{tally:?}");
}

/// How metrics lie for a while.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// An exporter that restarts: zero, for less than it takes to believe it.
    Zero,
    /// A backend that answers for half of the instances, and says so.
    Half,
    NotANumber,
    Negative,
    NoSeries,
    Stale,
    /// The signal is not in the observation at all.
    Unasked,
    /// The provider does not answer, and the load reads zero as well.
    ProviderDown,
}

fn lies() -> impl Strategy<Value = (Lie, usize)> {
    let any_lie = prop::sample::select(vec![
        Lie::Zero,
        Lie::Half,
        Lie::NotANumber,
        Lie::Negative,
        Lie::NoSeries,
        Lie::Stale,
        Lie::Unasked,
        Lie::ProviderDown,
    ]);
    // Zero is believed after five minutes of it: 20 observations, 15 s apart.
    (any_lie, 1usize..200).prop_map(|(lie, n)| match lie {
        Lie::Zero | Lie::ProviderDown => (lie, n.min(19)),
        Lie::Half | Lie::NotANumber | Lie::Negative | Lie::NoSeries | Lie::Stale | Lie::Unasked => {
            (lie, n)
        }
    })
}

impl Lie {
    fn told(self, truth: &TargetObservation) -> TargetObservation {
        let mut told = truth.clone();
        let Some(signal) = told.signals.first_mut() else { return told };
        let Reading::Value { value, sampled_at, .. } = signal.reading else { return told };
        let read = |value, doubt| Reading::Value { value, sampled_at, doubt };
        signal.reading = match self {
            Lie::Zero | Lie::ProviderDown => read(0.0, None),
            Lie::Half => read(value / 2.0, Some(Doubt::PartialAnswer)),
            Lie::NotANumber => read(f64::NAN, None),
            Lie::Negative => read(-value, None),
            Lie::NoSeries => Reading::Missing(Absence::NoSeries),
            Lie::Stale => {
                Reading::Missing(Absence::Stale { age_seconds: 90.0, age_seconds_max: 60.0 })
            }
            Lie::Unasked => {
                told.signals.clear();
                return told;
            }
        };
        if let Lie::ProviderDown = self {
            told.capacity = Err("connection refused".to_owned());
        }
        told
    }
}

proptest! {
    #![proptest_config(cases(64))]

    // The whole loop: a world that does what it is told, load that is steady or
    // grows, and metrics that lie in between. Nothing may ever be removed.
    #[test]
    fn lying_metrics_never_cost_capacity(
        start in 40.0f64..150.0,
        growth in 0.0f64..0.3,
        lies in prop::collection::vec((1usize..60, lies()), 1..5),
        is_eager in any::<bool>(),
    ) {
        let stabilization = seconds(if is_eager { 0 } else { 120 });
        let scale_down = Behaviour { stabilization, ..FREELY };
        let follow = ScalingPolicy { scale_down, ..policy("web", named(&["a"])) };
        let all = documents("lies", [target("a")], [follow], []);
        let mut rig = Rig::new(&all, 1);
        let mut load = start;
        let mut n_good = 0;
        for (n_true, (lie, n)) in lies {
            for _ in 0..n_true {
                load += growth;
                let there = rig.provider[&name("a")];
                rig.wait(15).look("a", load);
                rig.end_all(EffectOutcome::Done);
                prop_assert!(there <= rig.provider[&name("a")], "truth at {}", rig.now);
                n_good += 1;
            }
            for _ in 0..n {
                load += growth;
                rig.wait(15);
                let there = rig.provider[&name("a")];
                let told = lie.told(&rig.observation("a", &[("load", load)]));
                let explained = rig.observe(told);
                rig.end_all(EffectOutcome::Done);
                prop_assert!(there <= rig.provider[&name("a")], "{lie:?}: {}", brief(&explained));
            }
        }
        prop_assert!(Capacity(4) <= rig.provider[&name("a")] && 0 < n_good);
    }
}

#[test]
fn bounds_that_shrink_remove_nothing_before_the_signals_have_settled() {
    let scale_down = Behaviour { stabilization: seconds(60), ..FREELY };
    let follow = ScalingPolicy { scale_down, ..policy("web", named(&["a"])) };
    let mut free = guardrail("free", Selector::everything());
    free.blast_radius = Some(BlastRadius { window: seconds(60), removed_ratio_max: 1.0 });
    let narrow = Target { bounds: bounds(1, 4), ..target("a") };
    let all = documents("narrow", [narrow], [follow], [free]);
    let mut rig = Rig::new(&all, 10);
    assert_eq!(brief(&rig.look("a", 100.0)), "refused 10->4 (unsettled)");
    for _ in 0..3 {
        assert_eq!(brief(&rig.wait(15).look("a", 100.0)), "refused 10->4 (unsettled)");
    }
    assert_eq!(brief(&rig.wait(15).look("a", 100.0)), "effect 10->4");
}

#[test]
fn a_target_that_is_in_a_batch_twice_is_decided_on_once() {
    let all = documents("twice", [target("a")], [policy("web", named(&["a"]))], []);
    let mut rig = Rig::new(&all, 4);
    let observation = rig.observation("a", &[("load", 90.0)]);
    let batch = vec![observation.clone(), observation];
    let committed = rig.handle(evenkeel_core::agent::Input::Observed(batch));
    assert_eq!(committed.effects.len(), 1);
    assert_eq!(committed.explanations.len(), 1);
}
