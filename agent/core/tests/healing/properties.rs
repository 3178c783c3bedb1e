//! Whatever happens in whatever order, some things do not.
//!
//! **In:** random streams of readings, words, outcomes, restarts, reloads and jumps in time.
//! **Out:** what must hold after each of them.
//! **Not here:** stories with a known end (the other modules).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use proptest::prelude::*;

use evenkeel_core::action::Action;
use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::{EffectId, IncidentId, RunId, TargetId};
use evenkeel_core::overrides::OverrideKind;
use evenkeel_core::record::Record;
use evenkeel_core::request::{Expirable, OverrideAsked, Verb};
use evenkeel_core::run::RunEvent;
use evenkeel_core::state::State;

use crate::flow::REGION;
use crate::kit::{playbook, sound};
use crate::rig::{KillPoint, Rig};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Tick(u16),
    Bad(bool, Option<bool>),
    Slow(u8),
    Say(u8, u8, u8),
    Outcome(u8),
    Looks(bool),
    Restart,
    Die(u8),
    Reload(u8),
    Glass(bool),
    Outside(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => prop_oneof![9 => Just(15), 1 => 16u16..4_000].prop_map(Step::Tick),
        4 => (any::<bool>(), proptest::option::weighted(0.9, proptest::bool::weighted(0.7)))
            .prop_map(|(is_web, it)| Step::Bad(is_web, it)),
        3 => any::<u8>().prop_map(Step::Slow),
        5 => any::<(u8, u8, u8)>().prop_map(|(who, verb, what)| Step::Say(who, verb, what)),
        2 => any::<u8>().prop_map(Step::Outcome),
        1 => proptest::bool::weighted(0.3).prop_map(Step::Looks),
        1 => Just(Step::Restart),
        2 => any::<u8>().prop_map(Step::Die),
        1 => any::<u8>().prop_map(Step::Reload),
        1 => proptest::bool::weighted(0.2).prop_map(Step::Glass),
        1 => any::<u8>().prop_map(Step::Outside),
    ];
    proptest::collection::vec(step, 1..70)
}

const REPLACE: &str = "{ name: replace, replace_instances: { select: { outliers_of: latency, factor: 3 }, share_max: 0.2 }, undo: { nothing: stays replaced }, gate: { approvals: 1 } }";
const DRAIN: &str = "{ name: eject, drain: { select: { outliers_of: latency, factor: 3 }, share_max: 0.2 }, undo: before }";
const GROW: &str = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before }";
const RUN: &str = "{ name: rotate, run_command: { command: rotate }, undo: { run_command: { command: unrotate } } }";

fn documents(variant: u8) -> String {
    let patient = "limits: { attempts: 9, window: 1h, concurrency: 2, cooldown: 1m }";
    let all = "selector: { everything: true }";
    let steps: &[&str] = match variant % 3 {
        0 => &[DRAIN, REPLACE],
        1 => &[RUN, GROW, DRAIN],
        _ => &[GROW, REPLACE],
    };
    let autonomy = if variant % 5 == 4 { "autonomy: approve" } else { "autonomy: auto" };
    format!(
        "{REGION}{}{}",
        playbook("fix", &[all, autonomy, patient], steps),
        playbook("mend", &[autonomy, patient, "priority: 80"], &[GROW, RUN]),
    )
}

fn verb(rig: &Rig, number: u8, what: u8) -> Verb {
    let newest = rig.agent.state().healing().next_run().0.saturating_sub(1).max(1);
    let run = RunId(newest.saturating_sub(u64::from(what % 2)).max(1));
    let reason = "because".to_owned();
    let target: TargetId = if what.is_multiple_of(3) { "db" } else { "web" }.parse().unwrap();
    let scope: evenkeel_core::overrides::Scope = target.as_str().parse().unwrap();
    let duration = Some(SignedDuration::from_mins(1 + i64::from(what)));
    let set =
        |kind| Verb::SetOverride { kind, scope: scope.clone(), duration, reason: reason.clone() };
    let found = rig.agent.state().healing().run(run);
    let plan_hash = found.and_then(|it| Some(it.plan.as_ref()?.hash())).unwrap_or_default();
    let approve =
        |is_break_glass| Verb::Approve { run, plan_hash, is_break_glass, reason: reason.clone() };
    match number % 16 {
        0..=3 => approve(false),
        4 => approve(true),
        5 => Verb::Deny { run, reason },
        6 => Verb::Abort { run, reason },
        7 => set(OverrideAsked::Freeze),
        8 => set(OverrideAsked::Takeover),
        9 => set(OverrideAsked::Hold),
        10 => set(OverrideAsked::NoScaleDown),
        11 => set(OverrideAsked::Pin { capacity: None }),
        12 => Verb::HandBack { scope, reason },
        13 => Verb::Expire { which: Expirable::WithScope(scope), reason },
        14 => Verb::Acknowledge { incident: IncidentId(1 + u64::from(what % 3)) },
        _ => Verb::StartRun {
            playbook: "fix".parse().unwrap(),
            target,
            parameters: BTreeMap::new(),
            is_dry: what.is_multiple_of(4),
            reason,
        },
    }
}

fn take(rig: &mut Rig, step: &Step) {
    let name = |is_web: bool| if is_web { "web" } else { "db" };
    match step {
        Step::Tick(seconds) => {
            rig.tick(i64::from(*seconds));
        }
        Step::Bad(is_web, Some(is_bad)) => {
            rig.sees(name(*is_web), "bad", f64::from(u8::from(*is_bad)));
        }
        Step::Bad(is_web, None) => {
            rig.sees_nothing(name(*is_web), "bad");
        }
        Step::Slow(which) => {
            let odd = [(u32::from(which % 10), 3.0)];
            rig.sees_instances("web", "latency", 0.1, &odd[..usize::from(which % 4 != 0)]);
            rig.sees_instances("db", "latency", 0.1, &odd[..usize::from(which % 3 != 0)]);
        }
        Step::Say(who, number, what) => {
            let who = ["ana", "ben", "cleo", "vic"][usize::from(who % 4)];
            let dies_at = rig.dies_at.take();
            let verb = verb(rig, *number, *what);
            let _ = rig.ask_as(who, verb);
            rig.dies_at = dies_at;
            rig.settle();
        }
        Step::Outcome(which) => rig.platform.fails.push_back(match which % 3 {
            0 => EffectOutcome::Rejected,
            1 => EffectOutcome::Unknown,
            _ => EffectOutcome::Done,
        }),
        Step::Looks(fail) => rig.platform.looks_fail = fail.then(|| "no answer".to_owned()),
        Step::Restart => rig.restart(),
        Step::Die(which) => {
            let points = [
                KillPoint::BeforeIntent,
                KillPoint::AfterIntent,
                KillPoint::AfterEffect,
                KillPoint::AfterOutcome,
            ];
            rig.dies_at = Some((points[usize::from(which % 4)], u32::from(which / 100)));
            rig.n_deaths = 1;
        }
        Step::Reload(variant) => rig.reload(&documents(*variant)),
        Step::Glass(is_there) => {
            let text = "stop".to_owned();
            rig.handle(Input::BreakGlassRead(if *is_there {
                BreakGlassReading::Present { text }
            } else {
                BreakGlassReading::Absent
            }));
            rig.settle();
        }
        Step::Outside(units) => {
            let capacity = evenkeel_core::units::Capacity(5 + u32::from(units % 20));
            rig.platform.capacity.insert("db".parse().unwrap(), capacity);
        }
    }
}

fn begun(variant: u8) -> Rig {
    let mut rig = Rig::new(&documents(variant));
    rig.sees("web", "bad", 1.0).sees("db", "bad", 0.0);
    rig.sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig.sees_instances("db", "latency", 0.1, &[(2, 3.0)]);
    rig
}

/// Intents under a word of a person, or under break-glass, that was there before.
fn forbidden(journal: &[Record]) -> Vec<EffectId> {
    let mut state = State::default();
    let mut wrong = Vec::new();
    let documents = crate::rig::loaded(&documents(0));
    for record in journal {
        if let Record::Run { at, target, change: RunEvent::Sent { effect, .. }, .. } = record {
            let target = documents.target(target).unwrap();
            let ruling = evenkeel_core::overrides::in_force(state.overrides(), target, *at);
            let is_frozen = ruling
                .is_some_and(|it| matches!(it.kind, OverrideKind::Freeze | OverrideKind::Takeover));
            if is_frozen || state.break_glass().is_some() {
                wrong.push(*effect);
            }
        }
        state.apply(record);
    }
    wrong
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn whatever_happens_the_journal_tells_all_and_nothing_forbidden_was_done(
        variant in any::<u8>(), steps in steps(),
    ) {
        let mut rig = begun(variant);
        let mut replayed = State::default();
        let mut n_replayed = 0;
        for step in &steps {
            take(&mut rig, step);
            rig.journal[n_replayed..].iter().for_each(|it| replayed.apply(it));
            n_replayed = rig.journal.len();
            prop_assert_eq!(&replayed, rig.agent.state(), "after {:?}", step);
            let active: Vec<_> = rig.agent.state().healing().active().map(|it| &it.target).collect();
            let targets: BTreeSet<_> = active.iter().collect();
            prop_assert_eq!(active.len(), targets.len(), "two runs on one target");
        }
        sound(&rig);
        prop_assert_eq!(forbidden(&rig.journal), Vec::new());
    }

    // Nothing that restarts, replaces, runs or calls happens twice for one step of one run
    // and direction, however often the agent dies and whatever is lost.
    #[test]
    fn events_happen_at_most_once_per_step_and_direction(
        variant in any::<u8>(), steps in steps(),
    ) {
        let mut rig = begun(variant);
        steps.iter().for_each(|it| take(&mut rig, it));
        let sent = crate::kit::sent(&rig);
        let mut once = BTreeSet::new();
        for (id, _, action, _) in &rig.platform.performed {
            let Some(of) = sent.get(id) else { continue };
            if !action.is_state() {
                prop_assert!(once.insert(*of), "{:?} twice: {}", of, action);
            }
        }
    }

    // At the time of each decision, no more than the limit was out of service.
    #[test]
    fn the_ejection_limit_holds_whenever_something_is_taken_out(
        variant in any::<u8>(), steps in steps(),
    ) {
        let mut rig = begun(variant);
        for step in &steps {
            let n_before = rig.platform.performed.len();
            take(&mut rig, step);
            for (_, target, action, _) in &rig.platform.performed[n_before..] {
                if let Action::SetDrained { is_drained: true, .. } = action {
                    let there = &rig.platform.instances[target];
                    let n_out = there.iter().filter(|it| it.is_drained).count();
                    prop_assert!(n_out <= 2, "{n_out} of {} out of service", there.len());
                }
            }
        }
    }

    // Left alone with everything well and answering, every run comes to an end or to a person.
    #[test]
    fn every_run_ends_or_is_stuck_once_nothing_keeps_it(variant in any::<u8>(), steps in steps()) {
        let mut rig = begun(variant);
        steps.iter().for_each(|it| take(&mut rig, it));
        rig.platform.looks_fail = None;
        rig.platform.fails.clear();
        rig.dies_at = None;
        rig.handle(Input::BreakGlassRead(BreakGlassReading::Absent));
        for name in ["web", "db"] {
            rig.sees(name, "bad", 0.0).sees_instances(name, "latency", 0.1, &[]);
        }
        // Longer than any override, gate and patience, taken together.
        rig.tick(6 * 3_600);
        rig.run_for(3_600);
        let open: Vec<String> = rig
            .agent
            .state()
            .healing()
            .active()
            .filter(|it| it.phase.name() != "stuck")
            .map(|it| format!("{} {:?}", it.id, it.phase))
            .collect();
        prop_assert_eq!(open, Vec::<String>::new());
        if let Some(at) = rig.agent.next_wakeup() {
            prop_assert!(rig.now < at, "it wants to be woken in the past: {}", at);
        }
    }
}
