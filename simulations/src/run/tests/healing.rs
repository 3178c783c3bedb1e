//! Acts, looks and notices on their way, and what the watch says of them.
//!
//! **In:** effects that no agent decided, put underway by hand. **Out:** panics of failed tests.
//! **Not here:** what the region makes of an act (`crate::actuators`), the agent's own decisions.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_core::action::Action;
use evenkeel_core::condition::Condition;
use evenkeel_core::documents::{
    Autonomy, Documents, Per, Playbook, PlaybookInput, RunLimits, Selector, Trigger, Verification,
};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::heal::view::{InputValue, PlaybookObservation};
use evenkeel_core::ids::{
    Actor, EffectId, InputName, InstanceName, NoticeId, OverrideId, PlaybookId, RunId, TargetId,
    Term,
};
use evenkeel_core::incident::Severity;
use evenkeel_core::notice::{Notice, Topic};
use evenkeel_core::overrides::{Override, OverrideKind, Scope};
use evenkeel_core::quality::Absence;
use evenkeel_core::record::Record;
use evenkeel_core::run::RunEvent;
use jiff::SignedDuration;

use super::*;
use crate::run::effects::{Leaving, Left, Sent, Underway};
use crate::run::process::Happened;

/// The tiny scenario, with a playbook that watches and does nothing.
fn healing(extra: &str) -> RegionScenario {
    let mut scenario = scenario(extra);
    let documents = scenario.documents.take().expect("it has its own");
    let documents = Documents::clone(&documents).with_playbooks([playbook()]);
    scenario.documents = Some(Arc::new(documents));
    scenario
}

fn playbook() -> Playbook {
    let input = |name: &str, query: &str, per: Per| PlaybookInput {
        name: InputName::new(name).expect("a name"),
        query: query.to_owned(),
        max_age: SignedDuration::from_secs(60),
        unit: evenkeel_core::condition::Unit::Ratio,
        per,
        budget: None,
        is_anomaly_score: false,
    };
    let inputs = vec![
        input("one", "latency_p95_seconds", Per::Target),
        input("all", "spend_usd_per_hour", Per::Everything),
        input(
            "each",
            "instance_latency_p95_seconds",
            Per::Instance { label: "instance".to_owned() },
        ),
        input("none", "up", Per::Target),
        // As a real backend is asked: the name says what is meant.
        input("latency_p95_seconds", "histogram_quantile(0.95, latency_bucket)", Per::Target),
        input(
            "instance_up",
            "min by (instance) (up)",
            Per::Instance { label: "instance".to_owned() },
        ),
    ];
    let environment = Playbook::environment(&inputs, &Default::default());
    let condition = Condition::parse("target.ready < target.max", &environment).expect("it is one");
    Playbook {
        id: PlaybookId::new("watcher").expect("a name"),
        sha256: "00".to_owned(),
        about: "watches".to_owned(),
        runbook: "none".to_owned(),
        severity: Severity::Ticket,
        selector: Selector::everything(),
        autonomy: Autonomy::Observe,
        autonomy_max: Autonomy::Observe,
        target_label: "service".to_owned(),
        priority: 1,
        parameters: Default::default(),
        inputs,
        trigger: Trigger {
            condition: None,
            lasts: SignedDuration::ZERO,
            burn_rate: None,
            alerts: Vec::new(),
            schedule: None,
            by_hand: true,
        },
        conditions: Vec::new(),
        steps: Vec::new(),
        verification: Verification {
            condition,
            holds_for: SignedDuration::ZERO,
            within: SignedDuration::from_mins(5),
        },
        limits: RunLimits {
            attempts_max: 1,
            window: SignedDuration::from_hours(1),
            concurrency_max: 1,
            cooldown: SignedDuration::ZERO,
        },
    }
}

fn names(ids: &[u32]) -> BTreeSet<InstanceName> {
    ids.iter().map(|id| InstanceName::new(&format!("web/{id}")).expect("a name")).collect()
}

fn drain(engine: &Engine<'_>, id: u64, units: &[u32]) -> Sent {
    Sent {
        id: EffectId(id),
        run: RunId(1),
        target: TargetId::new("web").expect("a name"),
        action: Action::SetDrained { instances: names(units), is_drained: true },
        term: Term(1_000),
        granted_at: engine.stage.world.now(),
    }
}

fn n_drained(engine: &Engine<'_>) -> usize {
    engine.stage.world.units(0, 100).iter().filter(|it| it.is_drained).count()
}

fn process<'a>(engine: &'a mut Engine<'_>) -> &'a mut Process {
    match &mut engine.driver {
        Driver::Agent(process, _) => process,
        Driver::Pilot { .. } => panic!("the agent's"),
    }
}

fn put(engine: &mut Engine<'_>, at: i64, sent: Sent) {
    let effect = Leaving::Act(Box::new(sent));
    process(engine).put_underway(Underway::Waiting { starts_at: at + 1, effect });
}

#[test]
fn an_act_leaves_a_second_later_and_its_end_is_heard_once() {
    let scenario = healing("");
    let settings = Settings::new(1, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, 10);
    let sent = drain(&engine, 50, &[0, 1]);
    put(&mut engine, 9, sent);
    assert_eq!(n_drained(&engine), 0);
    advance(&mut engine, 10, 11);
    assert_eq!((n_drained(&engine), process(&mut engine).n_underway()), (2, 1));
    advance(&mut engine, 11, 14);
    assert_eq!((n_drained(&engine), process(&mut engine).n_underway()), (2, 0));
    assert_eq!(engine.stage.world.truth(0).ready, 6);
}

#[test]
fn an_act_that_was_withdrawn_or_whose_agent_died_never_leaves() {
    let scenario = healing("");
    let settings = Settings::new(1, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, 10);
    let sent = drain(&engine, 50, &[0]);
    put(&mut engine, 9, sent);
    let now = engine.stage.world.now();
    let Driver::Agent(process, _) = &mut engine.driver else { panic!("the agent's") };
    process.withdraw(9, now, &[EffectId(50)], &mut engine.trace);
    assert_eq!(process.n_underway(), 0);
    let sent = drain(&engine, 51, &[0]);
    put(&mut engine, 9, sent);
    let Driver::Agent(process, _) = &mut engine.driver else { panic!("the agent's") };
    process.kill(crate::fault::DeathPoint::Idle, 30, &mut engine.trace);
    advance(&mut engine, 10, 40);
    assert_eq!(n_drained(&engine), 0);
}

#[test]
fn an_agent_that_dies_with_its_act_has_drained_and_does_not_know() {
    let scenario = healing("");
    let settings = Settings::new(1, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, 10);
    let sent = drain(&engine, 50, &[0]);
    put(&mut engine, 9, sent);
    let Driver::Agent(process, _) = &mut engine.driver else { panic!("the agent's") };
    process.kill(crate::fault::DeathPoint::AfterEffect, 30, &mut engine.trace);
    advance(&mut engine, 10, 11);
    let Driver::Agent(process, _) = &mut engine.driver else { panic!("the agent's") };
    assert!(!process.is_alive() && process.n_underway() == 0);
    assert_eq!(n_drained(&engine), 1);
}

#[test]
fn a_page_that_reaches_nobody_is_tried_until_it_does() {
    let scenario = healing("    faults: [{ at: 5s, for: 7m, pager_dead: {} }]\n");
    let settings = Settings::new(1, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, 10);
    let notice = Notice {
        id: NoticeId(1),
        at: engine.stage.world.now(),
        severity: Severity::Page,
        topic: Topic::IncidentOpened,
        title: "something".to_owned(),
        body: String::new(),
        plan: Vec::new(),
        answers: Vec::new(),
        runbook: None,
        target: None,
        incident: None,
        run: None,
    };
    let telling = Underway::Telling { tried_at: 10, notice: Box::new(notice) };
    process(&mut engine).put_underway(telling);
    advance(&mut engine, 10, 420);
    // Beside it waits the agent's own word that nobody can be reached.
    assert_eq!((engine.monitor.pages, process(&mut engine).n_underway()), (0, 2));
    advance(&mut engine, 420, 450);
    assert_eq!((engine.monitor.pages, process(&mut engine).n_underway()), (2, 0));
    assert_eq!(engine.monitor.first_page, Some(430));
}

/// What the playbook sees at a second of a run with this fault.
fn seen(fault: &str, at: i64) -> PlaybookObservation {
    let scenario = healing(&format!("    faults: [{{ at: 1m, for: 10m, {fault} }}]\n"));
    let settings = Settings::new(1, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, at);
    let now = engine.stage.world.now();
    let Driver::Agent(process, _) = &engine.driver else { panic!("the agent's") };
    process.playbooks[0].observe(now, &engine.stage)
}

#[test]
fn playbooks_see_one_number_all_numbers_and_one_per_unit() {
    let seen = seen("gray: { service: web, ratio: 0.25, factor: 10 }", 200);
    let value = |place: usize| seen.inputs[place].reading.clone();
    assert!(matches!(value(0), Ok(InputValue::One { value, .. }) if 0.5 < value));
    assert!(matches!(value(1), Ok(InputValue::One { value, .. }) if 0.2 < value));
    let Ok(InputValue::Instances { values, .. }) = value(2) else { panic!("{:?}", value(2)) };
    let slow = values.iter().filter(|(_, it)| 0.7 < *it).count();
    assert_eq!((slow, values.iter().all(|(it, _)| it.as_str().starts_with("web/"))), (2, true));
    assert_eq!(value(3), Err(Absence::NoSeries));
    assert_eq!(value(4), value(0));
    let Ok(InputValue::Instances { values, .. }) = value(5) else { panic!("{:?}", value(5)) };
    assert!(!values.is_empty() && values.iter().all(|(_, it)| (1.0..=1.0).contains(it)));
}

#[test]
fn what_is_gone_garbled_or_old_is_missing_and_never_a_number() {
    let check = |fault: &str, expected: &str| {
        let seen = seen(fault, 300);
        let shown: Vec<&str> = seen.inputs[..3]
            .iter()
            .map(|it| match &it.reading {
                Ok(_) => "value",
                Err(Absence::NoSeries) => "none",
                Err(Absence::Stale { .. }) => "stale",
                Err(Absence::NotFinite | Absence::Negative { .. }) => "garbled",
                Err(Absence::Backend { .. }) => "down",
                Err(other) => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{fault}");
    };
    check("slow_boot: { factor: 2 }", "value value value");
    check("series_gone: { service: web }", "none none none");
    check("garbled: {}", "garbled garbled garbled");
    check("scrapes_fail: {}", "stale stale stale");
    check("backend_down: {}", "down down down");
    check("backend_empty: {}", "none none none");
    check("frozen: {}", "value value value");
}

/// What the watch says of an act after `change`, of `n_out` units of ten.
fn told(
    change: impl FnOnce(&mut Sent),
    n_out: u32,
    promise: Option<OverrideKind>,
) -> Vec<&'static str> {
    let scenario = healing("");
    let settings = Settings::new(1, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, 60);
    let mut sent = drain(&engine, 50, &[0]);
    let record = Record::Run {
        at: sent.granted_at,
        id: sent.run,
        target: sent.target.clone(),
        change: RunEvent::Sent {
            step: 0,
            is_undo: false,
            effect: sent.id,
            action: sent.action.clone(),
            before: None,
            takes_units: 1,
        },
    };
    let unix = engine.unix();
    let Driver::Agent(process, watch) = &mut engine.driver else { panic!("the agent's") };
    process.journal.append(&[record], &mut engine.trace);
    if let Some(kind) = promise {
        watch.promised(&Override {
            id: OverrideId(1),
            kind,
            scope: Scope::Everything,
            actor: Actor::agent(),
            reason: "a test".to_owned(),
            starts_at: sent.granted_at - SignedDuration::from_mins(1),
            ends_at: sent.granted_at + SignedDuration::from_hours(1),
        });
    }
    change(&mut sent);
    let left = Left { sent, outcome: EffectOutcome::Done, n_units: 10, n_out_before: 0, n_out };
    let mut violations = Violations::default();
    // One of the same term that left before, whatever is said of it.
    let earlier = Sent { id: EffectId(1), term: Term(1_000), ..left.sent.clone() };
    let earlier = Happened::Acted(Box::new(Left { sent: earlier, ..left.clone() }));
    watch.saw(&earlier, unix, process, &engine.stage, &mut Violations::default());
    let mut happens = |left: &Left| {
        let happened = Happened::Acted(Box::new(left.clone()));
        watch.saw(&happened, unix, process, &engine.stage, &mut violations);
    };
    happens(&left);
    violations.list.iter().map(|it| it.invariant).collect()
}

#[test]
fn the_watch_tells_of_acts_that_must_not_be() {
    let none: Vec<&str> = Vec::new();
    assert_eq!(told(|_| (), 1, None), none);
    assert_eq!(told(|_| (), 5, None), none);
    assert_eq!(told(|_| (), 6, None), ["ejection_limit"]);
    assert_eq!(told(|it| it.id = EffectId(51), 1, None), ["durability"]);
    assert_eq!(told(|it| it.term = Term(0), 1, None), ["fencing"]);
    let unknown = TargetId::new("other").expect("a name");
    assert_eq!(told(|it| it.target = unknown, 1, None), ["known_targets"]);
    for kind in [
        OverrideKind::Freeze,
        OverrideKind::Takeover,
        OverrideKind::Hold,
        OverrideKind::NoScaleDown,
    ] {
        assert_eq!(told(|_| (), 1, Some(kind)), ["people_win"], "{kind:?}");
        // It was decided before the person spoke.
        let before = |it: &mut Sent| it.granted_at -= SignedDuration::from_mins(2);
        assert_eq!(told(before, 1, Some(kind)), none, "{kind:?}");
    }
}
