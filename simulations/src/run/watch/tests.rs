//! Every invariant of the watch can fire, and none fires without a cause.
//!
//! **In:** effects that a run really sent, in a story that it really was not.
//! **Out:** panics of failed tests.
//! **Not here:** bugs of the agent that these find (`simulations/planted/`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_core::condition::Condition;
use evenkeel_core::documents::{Autonomy, Documents, Playbook, SourceText, load};
use evenkeel_core::effect::{EffectOutcome, SetCapacity};
use evenkeel_core::ids::{
    Actor, EffectId, OverrideId, PlaybookId, RunId, StepName, TargetId, Term,
};
use evenkeel_core::overrides::{Override, OverrideKind, Scope};
use evenkeel_core::run::plan::{Plan, PlannedKind, PlannedStep, PlannedUndo, PlannedVerification};
use evenkeel_core::run::{Phase, Run, RunCause};
use evenkeel_core::units::Capacity;
use jiff::{SignedDuration, Timestamp};

use super::acts::is_of_allowed_run;
use super::*;
use crate::run::tests::{SURGE, scenario};
use crate::run::{Controller, Driver, Engine, Settings};

/// A run in the middle, with the effects that left so far.
struct Scene {
    stage: Stage,
    process: Process,
    /// More units, then fewer.
    up: SetCapacity,
    down: SetCapacity,
    unix: i64,
}

impl Scene {
    fn new() -> Scene {
        let scenario = scenario(&format!("    faults:\n{SURGE}"));
        let settings = Settings::new(1, Controller::Evenkeel);
        let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
        let mut effects: Vec<SetCapacity> = Vec::new();
        for at in -scenario.warm_up..scenario.lasts {
            // As the engine's own second, but before anything is settled.
            engine.second(at);
            let Driver::Agent(_, watch) = &mut engine.driver else { panic!("the agent's") };
            effects.append(&mut watch.started);
        }
        let up = effects.iter().find(|it| it.expected() < it.desired()).expect("it grew").clone();
        let down =
            effects.iter().find(|it| it.desired() < it.expected()).expect("it shrank").clone();
        let unix = engine.unix();
        let Driver::Agent(process, _) = engine.driver else { panic!("the agent's") };
        Scene { stage: engine.stage, process: *process, up, down, unix }
    }

    /// What a fresh watch says of this story, without what is true of every effect here: that
    /// its record ended long ago.
    fn told(&self, story: impl FnOnce(&mut Watch, &mut dyn FnMut(&mut Watch, Happened))) -> String {
        let (mut watch, mut violations) = (Watch::default(), Violations::default());
        let mut happens = |watch: &mut Watch, it: Happened| {
            watch.saw(&it, self.unix, &self.process, &self.stage, &mut violations);
        };
        story(&mut watch, &mut happens);
        let told: BTreeSet<&str> = violations.list.iter().map(|it| it.invariant).collect();
        told.into_iter().filter(|it| *it != "durability").collect::<Vec<_>>().join(" ")
    }

    fn down_alone(&self) -> String {
        self.told(|watch, happens| happens(watch, self.left(&self.down)))
    }

    fn left(&self, effect: &SetCapacity) -> Happened {
        Happened::Started(effect.clone(), EffectOutcome::Done)
    }

    fn ended(&self, effect: &SetCapacity, outcome: EffectOutcome) -> Happened {
        Happened::Ended { effect: effect.id(), outcome }
    }

    /// What a person was promised at the time of `effect`.
    fn promise(&self, effect: &SetCapacity, kind: OverrideKind) -> Override {
        Override {
            id: OverrideId(1),
            kind,
            scope: Scope::Everything,
            actor: Actor::agent(),
            reason: "a test".to_owned(),
            starts_at: effect.granted_at() - SignedDuration::from_mins(1),
            ends_at: effect.granted_at() + SignedDuration::from_hours(24),
        }
    }

    fn with_documents(mut self, change: impl FnOnce(String) -> String) -> Scene {
        let text = "apiVersion: evenkeel/v1
kind: Target
metadata: { name: web, labels: { service: web } }
spec:
  region: simulated
  provider: { simulated: { service: web } }
  capacity: { min: 2, max: 40 }
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: follow-web }
spec:
  selector: { match_labels: { service: web } }
  autonomy: auto
  target_label: service
  signals:
    - { name: requests, query: http_requests_per_second, value_per_unit: 56 }
";
        let text = change(text.to_owned());
        let loaded = load(&[SourceText { file: "test.yaml", text: &text }]);
        let documents: Documents =
            loaded.documents.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        self.process.set_documents(Arc::new(documents));
        self
    }
}

#[test]
fn an_ordinary_story_violates_nothing() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        happens(watch, it.left(&it.up));
        happens(watch, it.ended(&it.up, EffectOutcome::Done));
        happens(watch, it.left(&it.down));
        happens(watch, it.ended(&it.down, EffectOutcome::Done));
    });
    assert_eq!(told, "");
}

#[test]
fn an_effect_without_a_durable_record_is_told_of() {
    let it = Scene::new();
    let (mut watch, mut violations) = (Watch::default(), Violations::default());
    // Its record has ended: as good as none.
    watch.saw(&it.left(&it.up), it.unix, &it.process, &it.stage, &mut violations);
    assert_eq!(violations.list[0].invariant, "durability");
}

#[test]
fn a_memory_that_is_not_the_journals_is_told_of() {
    let it = Scene::new();
    let (mut watch, mut violations) = (Watch::default(), Violations::default());
    let died = |state_is_durable| Happened::Died { state_is_durable };
    watch.saw(&died(true), it.unix, &it.process, &it.stage, &mut violations);
    assert_eq!(violations.list.len(), 0);
    watch.saw(&died(false), it.unix, &it.process, &it.stage, &mut violations);
    assert_eq!(violations.list[0].invariant, "durability");
}

#[test]
fn the_same_effect_twice_is_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        happens(watch, it.left(&it.up));
        happens(watch, it.ended(&it.up, EffectOutcome::Done));
        happens(watch, it.left(&it.up));
    });
    assert_eq!(told, "no_duplicates");
}

#[test]
fn two_at_a_time_are_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        happens(watch, it.left(&it.up));
        happens(watch, it.left(&it.down));
    });
    assert_eq!(told, "one_at_a_time");
}

#[test]
fn an_effect_of_an_earlier_term_is_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        watch.newest_term = Term(99);
        happens(watch, it.left(&it.up));
    });
    assert_eq!(told, "fencing");
}

#[test]
fn a_term_that_outlives_its_process_is_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        happens(watch, it.left(&it.up));
        happens(watch, it.ended(&it.up, EffectOutcome::Done));
        happens(watch, Happened::Died { state_is_durable: true });
        happens(watch, it.left(&it.down));
    });
    assert_eq!(told, "fencing");
}

#[test]
fn an_effect_upon_one_of_which_nobody_knows_is_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        happens(watch, it.left(&it.up));
        happens(watch, it.ended(&it.up, EffectOutcome::Unknown));
        happens(watch, it.left(&it.down));
    });
    assert_eq!(told, "read_back");
    // The death of who would have heard of it comes to the same.
    let told = it.told(|watch, happens| {
        happens(watch, it.left(&it.up));
        happens(watch, Happened::Died { state_is_durable: true });
        watch.term_min = Term(0);
        happens(watch, it.left(&it.down));
    });
    assert_eq!(told, "read_back");
}

#[test]
fn targets_without_an_explanation_are_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        happens(watch, Happened::Unexplained { shown: 2, explained: 1 });
    });
    assert_eq!(told, "explained");
}

#[test]
fn an_override_that_a_restart_loses_is_told_of() {
    let it = Scene::new();
    let freeze = it.promise(&it.down, OverrideKind::Freeze);
    let told = it.told(|watch, happens| {
        watch.promised(&freeze);
        happens(watch, Happened::Revived);
    });
    assert_eq!(told, "override_kept");
    let told = it.told(|watch, happens| {
        watch.promised(&freeze);
        watch.ended(std::slice::from_ref(&freeze));
        happens(watch, Happened::Revived);
    });
    assert_eq!(told, "");
}

#[test]
fn effects_against_people_are_told_of() {
    let it = Scene::new();
    let to = it.down.desired();
    let cases = [
        (OverrideKind::Freeze, "people_win", "people_win"),
        (OverrideKind::Hold, "people_win", "people_win"),
        (OverrideKind::NoScaleDown, "", "people_win"),
        // On the way there is right.
        (OverrideKind::Pin { capacity: Capacity(to.0 + 1) }, "", "people_win"),
        (OverrideKind::Pin { capacity: to }, "", ""),
        (OverrideKind::Pin { capacity: it.up.expected() }, "people_win", ""),
    ];
    for (kind, up, down) in cases {
        let told = |effect: &SetCapacity| {
            it.told(|watch, happens| {
                // In force at the time of the watch as well as of the permit.
                let mut promise = it.promise(effect, kind);
                promise.starts_at = it.up.granted_at() - SignedDuration::from_mins(1);
                watch.promised(&promise);
                happens(watch, it.left(effect));
            })
        };
        assert_eq!((told(&it.up).as_str(), told(&it.down).as_str()), (up, down), "{kind:?}");
    }
}

#[test]
fn documents_are_kept_to() {
    let cases = [
        ("as they are", "", "", ""),
        ("another target", "name: web, labels", "name: www, labels", "known_targets"),
        ("less at most", "max: 40", "max: 3", ""),
        ("more at least", "min: 2", "min: 20", "bounds"),
        ("asks first", "autonomy: auto", "autonomy: approve", "autonomy"),
    ];
    for (name, from, to, expected) in cases {
        let it = Scene::new().with_documents(|text| text.replace(from, to));
        assert_eq!(it.down_alone(), expected, "{name}");
    }
}

/// A run that sets a capacity of 16 and would set 8 to undo it.
fn run_of_a_playbook(autonomy: Autonomy, is_dry: bool, passed: &[u16]) -> Run {
    let sets =
        |desired: u32| evenkeel_core::action::Action::SetCapacity { desired: Capacity(desired) };
    let step = PlannedStep {
        name: StepName::new("add").expect("a name"),
        kind: PlannedKind::Act { action: sets(16) },
        undo: PlannedUndo::Act { action: sets(8) },
        gate: None,
        share_max: 1.0,
        details: Vec::new(),
    };
    let environment = Playbook::environment(&[], &BTreeMap::new());
    let condition = Condition::parse("1 <= target.ready", &environment).expect("it is one");
    let playbook = PlaybookId::new("backlog").expect("a name");
    let target = TargetId::new("web").expect("a name");
    let plan = Plan {
        capacity: None,
        playbook: playbook.clone(),
        playbook_sha256: "00".to_owned(),
        target: target.clone(),
        target_generation: "00".to_owned(),
        parameters: BTreeMap::new(),
        steps: vec![step],
        verification: PlannedVerification {
            condition,
            holds_for: SignedDuration::ZERO,
            within: SignedDuration::from_mins(5),
        },
    };
    Run {
        id: RunId(1),
        playbook,
        playbook_sha256: "00".to_owned(),
        target,
        incident: None,
        cause: RunCause::Scheduled,
        parameters: BTreeMap::new(),
        is_dry,
        autonomy,
        opened_at: Timestamp::UNIX_EPOCH,
        phase: Phase::Planning { since: Timestamp::UNIX_EPOCH },
        plan: Some(plan),
        n_plans: 1,
        approvals: Vec::new(),
        passed: passed.to_vec(),
        befores: BTreeMap::new(),
        touched: Vec::new(),
        n_sent: BTreeMap::new(),
        n_undos_sent: BTreeMap::new(),
        aborted: None,
    }
}

#[test]
fn a_run_may_set_what_its_plan_says_and_somebody_allowed() {
    let auto = run_of_a_playbook(Autonomy::Auto, false, &[]);
    let check = |run: &Run, to: u32, expected: bool| {
        assert_eq!(is_of_allowed_run(Some(run), Capacity(to)), expected, "{to} of {run:?}");
    };
    check(&auto, 16, true);
    check(&auto, 8, true);
    check(&auto, 9, false);
    check(&run_of_a_playbook(Autonomy::Auto, true, &[]), 16, false);
    check(&run_of_a_playbook(Autonomy::Approve, false, &[]), 16, false);
    check(&run_of_a_playbook(Autonomy::Approve, false, &[0]), 16, true);
    check(&Run { plan: None, ..auto }, 16, false);
    assert!(!is_of_allowed_run(None, Capacity(16)));
}

#[test]
fn guardrails_are_kept_to() {
    let cases = [
        ("protected: true", "protected"),
        ("blast_radius: { window: 10m, removed_ratio_max: 0.5 }", ""),
        (
            "freeze_windows: [{ name: noon, cron: '0 0 * * *', time_zone: UTC, duration: 23h }]",
            "freeze_window",
        ),
    ];
    for (line, expected) in cases {
        let guardrail = format!(
            "---\napiVersion: evenkeel/v1\nkind: Guardrail\nmetadata: {{ name: g }}\nspec:\n  \
             selector: {{ match_labels: {{ service: web }} }}\n  {line}\n"
        );
        let it = Scene::new().with_documents(|text| text + &guardrail);
        assert_eq!(it.down_alone(), expected, "{line}");
    }
}

#[test]
fn more_than_the_blast_radius_is_told_of() {
    let it = Scene::new();
    let told = it.told(|watch, happens| {
        let target: TargetId = it.down.target().clone();
        let at = Timestamp::from_second(it.unix - 60).expect("in range");
        // Before it, 50 of them have left.
        watch.removals.push_back(Removal { effect: EffectId(0), target, units: 50, at });
        happens(watch, it.left(&it.down));
    });
    assert_eq!(told, "blast_radius");
}

#[test]
fn removals_on_what_is_not_known_are_told_of() {
    let mut it = Scene::new();
    it.process.watched[0].is_missing = true;
    assert_eq!(it.down_alone(), "missing_is_not_zero");
    it.process.watched[0].is_missing = false;
    it.process.watched[0].is_doubted = true;
    assert_eq!(it.down_alone(), "doubt_keeps");
    it.process.watched[0].is_doubted = false;
    it.process.watched[0].needs = f64::from(it.down.desired()) + 0.1;
    assert_eq!(it.down_alone(), "reactive_floor");
    // A person's pin may do all of that.
    it.process.watched[0].is_missing = true;
    let pin = it.promise(&it.down, OverrideKind::Pin { capacity: it.down.desired() });
    let told = it.told(|watch, happens| {
        watch.promised(&pin);
        happens(watch, it.left(&it.down));
    });
    assert_eq!(told, "");
}

#[test]
fn only_the_first_hundred_are_written_down() {
    let mut violations = Violations::default();
    for at in 0..200 {
        violations.push(at, "explained", String::new());
    }
    assert_eq!(violations.list.len(), VIOLATIONS_MAX);
}
