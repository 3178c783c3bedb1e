//! Arbitrary streams of everything that can happen to an agent.
//!
//! **In:** proptest's choices.
//! **Out:** steps, and the history that a rig makes of them.
//! **Not here:** what must hold for a history ([`crate::audit`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::documents::{
    Behaviour, BlastRadius, Documents, FreezeWindow, Identity, OutsideChange, Rule, ScalingPolicy,
    Shortfall, Step as StepLimit, Target,
};
use evenkeel_core::effect::{EffectOutcome, SetCapacity};
use evenkeel_core::ids::OverrideId;
use evenkeel_core::outlook::{Abstention, Standing};
use evenkeel_core::quality::{
    Absence, CapacityReading, Doubt, Reading, SignalReading, TargetObservation,
};
use evenkeel_core::record::Record;
use evenkeel_core::request::{Expirable, OverrideAsked, Request, Verb};
use evenkeel_core::units::Capacity;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::region::{
    bounds, documents, foresight, guardrail, labelled, labels, load, name, named, outlook, owner,
    policy, seconds, signal, target,
};
use crate::rig::{Rig, pin, set_verb};

/// What a history is made of, in order.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// These documents came into force, before the records that say so.
    Documents(Arc<Documents>),
    /// A new process: nothing is seen any more.
    Restarted,
    /// A target was observed, as the agent's time has it.
    Observed(Timestamp, TargetObservation),
    /// Records that one input led to, all at once.
    Recorded(Vec<Record>),
}

/// Something happens so many seconds after the step before.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) after_seconds: i64,
    pub(crate) event: Event,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Targets are observed in one batch.
    Look(Vec<Glance>),
    /// The executor reports on one of all effects ever sent: maybe late, maybe twice.
    End {
        nth: usize,
        outcome: EffectOutcome,
        really: bool,
    },
    /// A person asks.
    Ask {
        known: bool,
        verb: Verb,
    },
    BreakGlass(BreakGlassReading),
    /// One of [`document_sets`] comes into force.
    Load(usize),
    Restart,
    Snapshot,
    TimePassed,
    /// Somebody else sets a capacity.
    ChangeOutside {
        target: usize,
        capacity: u32,
    },
}

/// One target as observed.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    target: usize,
    capacity: CapacityGlance,
    signals: Vec<(usize, SignalGlance)>,
    usual_low: Option<f64>,
    expected: Option<Expected>,
    /// Units that still boot; `None` when the provider does not say.
    booting: Option<u32>,
}

/// What a forecaster says.
#[derive(Clone, Debug)]
struct Expected {
    low: f32,
    high: f32,
    standing: Standing,
    age_seconds: i64,
}

#[derive(Clone, Debug)]
enum CapacityGlance {
    Fresh,
    /// What there was is read so many seconds before the agent hears of it.
    Late(i64),
    /// The provider says something else than what there is.
    Lie(u32),
    Failed,
}

#[derive(Clone, Debug)]
enum SignalGlance {
    Good(f64),
    Doubtful(f64),
    Raw(f64),
    Missing(Absence),
}

const TARGETS: [&str; 5] = ["a", "b", "c", "d", "e"];
const SIGNALS: [&str; 3] = ["load", "queue", "latency"];

/// What a stream may contain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) has_people: bool,
    pub(crate) clock_goes_back: bool,
}

/// Everything.
pub(crate) const EVERYTHING: Mix = Mix { has_people: true, clock_goes_back: true };

/// The cases that a property gets: `n`, or what `PROPTEST_CASES` says.
pub(crate) fn cases(n: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if asked.cases == 256 { n } else { asked.cases };
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as Box<_>);
    ProptestConfig { cases, failure_persistence, ..asked }
}

/// Streams of up to `length` steps.
pub(crate) fn streams(mix: Mix, length: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(mix), 1..length)
}

fn step(mix: Mix) -> impl Strategy<Value = Step> {
    let back = if mix.clock_goes_back { 1 } else { 0 };
    let after_seconds = prop_oneof![
        12 => Just(15i64),
        4 => 0i64..60,
        1 => 60i64..4_000,
        back => -2_000i64..0,
    ];
    let people = if mix.has_people { 3 } else { 0 };
    let event = prop_oneof![
        16 => prop::collection::vec(glance(), 1..5).prop_map(Event::Look),
        10 => (0usize..4, ending(), any::<bool>())
            .prop_map(|(nth, outcome, really)| Event::End { nth, outcome, really }),
        people => (prop::bool::weighted(0.9), verb()).prop_map(|(known, verb)| Event::Ask { known, verb }),
        1 => break_glass().prop_map(Event::BreakGlass),
        1 => (0usize..3).prop_map(Event::Load),
        1 => Just(Event::Restart),
        1 => Just(Event::Snapshot),
        1 => Just(Event::TimePassed),
        1 => (0usize..5, 0u32..30)
            .prop_map(|(target, capacity)| Event::ChangeOutside { target, capacity }),
    ];
    (after_seconds, event).prop_map(|(after_seconds, event)| Step { after_seconds, event })
}

fn ending() -> impl Strategy<Value = EffectOutcome> {
    prop_oneof![
        6 => Just(EffectOutcome::Done),
        1 => Just(EffectOutcome::Rejected),
        1 => Just(EffectOutcome::Unknown),
    ]
}

fn break_glass() -> impl Strategy<Value = BreakGlassReading> {
    prop_oneof![
        3 => Just(BreakGlassReading::Absent),
        1 => Just(BreakGlassReading::Present { text: "stop".to_owned() }),
        1 => Just(BreakGlassReading::Unreadable { error: "permission denied".to_owned() }),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    let kind = prop_oneof![
        Just(OverrideAsked::Freeze),
        Just(OverrideAsked::Hold),
        Just(OverrideAsked::NoScaleDown),
        (0u32..20).prop_map(pin),
        Just(OverrideAsked::Pin { capacity: None }),
    ];
    let scope = prop::sample::select(vec!["a", "b", "c", "team=web", "region:eu-2", "all", "x"]);
    let duration = prop_oneof![4 => 1i64..600, 1 => -5i64..400_000];
    let set = (kind, scope.clone(), duration).prop_map(|(kind, scope, n)| set_verb(kind, scope, n));
    let expire = prop_oneof![
        (0u64..8).prop_map(|it| Expirable::One(OverrideId(it))),
        scope.prop_map(|it| Expirable::WithScope(it.parse().expect("scopes here are valid"))),
    ]
    .prop_map(|which| Verb::Expire { which, reason: String::new() });
    prop_oneof![3 => set, 2 => expire]
}

fn glance() -> impl Strategy<Value = Glance> {
    let capacity = prop_oneof![
        20 => Just(CapacityGlance::Fresh),
        1 => (1i64..60).prop_map(CapacityGlance::Late),
        1 => (0u32..30).prop_map(CapacityGlance::Lie),
        1 => Just(CapacityGlance::Failed),
    ];
    // A few levels, so that streams have stretches in which nothing is doubtful.
    let level = prop::sample::select(vec![0.0, 20.0, 55.0, 80.0, 110.0, 150.0, 180.0]);
    let signal = prop_oneof![
        30 => level.clone().prop_map(SignalGlance::Good),
        1 => (0.0f64..1e9).prop_map(SignalGlance::Good),
        1 => level.prop_map(SignalGlance::Doubtful),
        1 => any::<f64>().prop_map(SignalGlance::Raw),
        1 => prop::sample::select(vec![
            Absence::NoSeries,
            Absence::SeveralSeries { n_series: 2 },
            Absence::Backend { message: "refused".to_owned() },
        ])
        .prop_map(SignalGlance::Missing),
    ];
    let load_and_more = (signal.clone(), prop::option::weighted(0.9, signal.clone()), signal)
        .prop_map(|(load, queue, latency)| {
            let mut all = vec![(0, load), (2, latency)];
            all.extend(queue.map(|it| (1, it)));
            all
        });
    let usual_low = prop::option::weighted(0.7, Just(0.0));
    let booting = prop::option::weighted(0.6, 0u32..3);
    let seen = (0usize..5, capacity, load_and_more, usual_low);
    (seen, prop::option::weighted(0.8, expected()), booting).prop_map(
        |((target, capacity, signals, usual_low), expected, booting)| Glance {
            target,
            capacity,
            signals,
            usual_low,
            expected,
            booting,
        },
    )
}

fn expected() -> impl Strategy<Value = Expected> {
    let standing = prop_oneof![
        8 => Just(Standing::Predicting),
        1 => Just(Standing::Abstaining { why: Abstention::NotFitted }),
        1 => Just(Standing::Abstaining {
            why: Abstention::ErrorDrift { error_ratio: 0.5, expected_error_ratio: 0.1 }
        }),
    ];
    let load = prop_oneof![
        8 => (0.0f32..200.0, 0.0f32..60.0).prop_map(|(low, wide)| (low, low + wide)),
        1 => (any::<f32>(), any::<f32>()),
    ];
    let age_seconds = prop_oneof![8 => 0i64..60, 1 => -3_600i64..3_600];
    (load, standing, age_seconds).prop_map(|((low, high), standing, age_seconds)| Expected {
        low,
        high,
        standing,
        age_seconds,
    })
}

impl Glance {
    fn observation(&self, rig: &Rig) -> TargetObservation {
        let target = name(TARGETS[self.target]);
        let there = rig.provider.get(&target).copied().unwrap_or(Capacity(3));
        let reading = |current: Capacity, read_at| {
            let ready = self.booting.map(|it| Capacity(current.0.saturating_sub(it)));
            Ok(CapacityReading { current, ready, read_at })
        };
        TargetObservation {
            capacity: match self.capacity {
                CapacityGlance::Fresh => reading(there, rig.now),
                CapacityGlance::Late(n) => reading(there, rig.now - seconds(n)),
                CapacityGlance::Lie(current) => reading(Capacity(current), rig.now),
                CapacityGlance::Failed => Err("timed out".to_owned()),
            },
            target,
            signals: self.signals.iter().map(|(nth, it)| self.reading(*nth, it, rig.now)).collect(),
        }
    }

    fn reading(&self, nth: usize, glance: &SignalGlance, sampled_at: Timestamp) -> SignalReading {
        let reading = match glance {
            SignalGlance::Good(value) | SignalGlance::Raw(value) => {
                Reading::Value { value: *value, sampled_at, doubt: None }
            }
            SignalGlance::Doubtful(value) => {
                Reading::Value { value: *value, sampled_at, doubt: Some(Doubt::PartialAnswer) }
            }
            SignalGlance::Missing(absence) => Reading::Missing(absence.clone()),
        };
        SignalReading {
            signal: name(SIGNALS[nth]),
            reading,
            usual_low: self.usual_low,
            outlook: self.expected.as_ref().map(|it| {
                let made_at = sampled_at - seconds(it.age_seconds);
                Arc::new(outlook(made_at, it.standing.clone(), it.low, it.high))
            }),
        }
    }
}

/// Sets of documents that differ in all that may change while the agent runs:
/// `a` and `b` share a policy and guardrails, `c` has none but the built-in
/// one, `d` has no policy, `e` has a policy with three signals.
pub(crate) fn document_sets() -> [Arc<Documents>; 3] {
    let slow = |units, stabilization, cooldown| Behaviour {
        stabilization: seconds(stabilization),
        cooldown: seconds(cooldown),
        step: StepLimit { units, ratio: 0.25 },
    };
    let web = ScalingPolicy {
        scale_up: slow(4, 15, 30),
        scale_down: slow(3, 30, 45),
        ..policy("web", named(&["a", "b"]))
    };
    let eager = ScalingPolicy {
        forecast: Some(foresight(Shortfall::TimeRatio(0.01))),
        ..policy("eager", named(&["c"]))
    };
    let many = ScalingPolicy {
        signals: vec![
            load(),
            signal("queue", Rule::QueueDepth { drained_within: seconds(60), rate_per_unit: 0.2 }),
            signal("latency", Rule::LatencyObjective { objective_seconds: 100.0 }),
        ],
        headroom_ratio: 0.2,
        forecast: Some(foresight(Shortfall::UsdPerUnitHour(5.0))),
        outside_change: OutsideChange::Adopt,
        ..policy("many", named(&["e"]))
    };
    let c = || Target { region: name("eu-2"), labels: labels("team=data"), ..target("c") };
    let d = || Target { region: name("eu-2"), labels: labels("team=data"), ..target("d") };
    let all = || [target("a"), target("b"), c(), d(), target("e")];
    let limited = |id, selector, window, ratio| {
        let limit = BlastRadius { window: seconds(window), removed_ratio_max: ratio };
        let mut it = guardrail(id, selector);
        it.blast_radius = Some(limit);
        it
    };
    let mut calendar = guardrail("calendar", named(&["b", "e"]));
    let window = FreezeWindow::new("often", "*/10 * * * *", "UTC", seconds(180));
    calendar.freeze_windows = vec![window.expect("the schedule is valid")];
    let mut keep_off = guardrail("keep-off", named(&["d"]));
    keep_off.protected = true;
    let narrow = Target { bounds: bounds(3, 8), ..target("a") };
    [
        documents(
            "one",
            all(),
            [web.clone(), eager.clone(), many.clone()],
            [limited("web", labelled("team=web"), 120, 0.5), limited("a", named(&["a"]), 600, 0.3)],
        ),
        documents(
            "two",
            [narrow.clone(), target("b"), c(), d(), target("e")],
            [web.clone(), eager.clone(), many],
            [limited("web", labelled("team=web"), 300, 0.25), calendar, keep_off],
        ),
        documents("three", [narrow, target("b"), c()], [web, eager], []),
    ]
}

/// Lets everything in `steps` happen, and calls `after` after each.
pub(crate) fn run(steps: &[Step], after: impl FnMut(&Rig)) -> Vec<Entry> {
    run_through(steps, after).1
}

/// As [`run`], and returns the rig as well.
pub(crate) fn run_through(steps: &[Step], mut after: impl FnMut(&Rig)) -> (Rig, Vec<Entry>) {
    let sets = document_sets();
    let mut rig = Rig::new(&sets[0], 6);
    let mut history =
        vec![Entry::Documents(Arc::clone(&sets[0])), Entry::Recorded(rig.journal.clone())];
    let mut sent: Vec<SetCapacity> = Vec::new();
    let mut happened = BTreeSet::new();
    for step in steps {
        rig.now += seconds(step.after_seconds);
        let n_before = rig.journal.len();
        match &step.event {
            Event::Look(glances) => {
                let observations: Vec<TargetObservation> =
                    glances.iter().map(|it| it.observation(&rig)).collect();
                let now = rig.now.max(rig.agent.state().latest_at());
                for it in &observations {
                    history.push(Entry::Observed(now, it.clone()));
                }
                rig.handle(Input::Observed(observations));
                sent.append(&mut rig.running);
            }
            Event::End { nth, outcome, really } => {
                // The newest are the likeliest, as in life.
                let Some(effect) = sent.iter().rev().nth(*nth) else { continue };
                let happens = match outcome {
                    EffectOutcome::Done => true,
                    EffectOutcome::Rejected => false,
                    EffectOutcome::Unknown => *really,
                };
                if happens && happened.insert(effect.id()) {
                    rig.provider.insert(effect.target().clone(), effect.desired());
                }
                let id = effect.id();
                rig.report(id, *outcome);
            }
            Event::Ask { known, verb } => {
                let stranger = Identity::Token { sha256: [7; 32] };
                let identity = if *known { owner() } else { stranger };
                rig.handle(Input::Requested(Request { identity, verb: verb.clone() }));
            }
            Event::BreakGlass(reading) => {
                rig.handle(Input::BreakGlassRead(reading.clone()));
            }
            Event::Load(nth) => {
                history.push(Entry::Documents(Arc::clone(&sets[*nth])));
                rig.load(&sets[*nth]);
            }
            Event::Restart => {
                history.push(Entry::Restarted);
                rig.restart();
            }
            Event::Snapshot => {
                rig.handle(Input::SnapshotWanted);
            }
            Event::TimePassed => {
                rig.handle(Input::TimePassed);
            }
            Event::ChangeOutside { target, capacity } => {
                rig.change_outside(TARGETS[*target], *capacity);
            }
        }
        history.push(Entry::Recorded(rig.journal.split_off(n_before)));
        if let Some(Entry::Recorded(records)) = history.last() {
            rig.journal.extend_from_slice(records);
        }
        after(&rig);
    }
    (rig, history)
}
