//! The 24 invariants of healing, one test each: the second half, from 13.
//!
//! **In:** small stories, each about one sentence.
//! **Out:** what must be so whatever playbooks, platforms and people do.
//! **Not here:** the same for policies that scale (`tests/agent/`), real platforms.

use std::collections::BTreeMap;

use evenkeel_core::action::{Action, ActionClass};
use evenkeel_core::agent::{Agent, BreakGlassReading, Input};
use evenkeel_core::documents::{SourceText, load};
use evenkeel_core::heal::report;
use evenkeel_core::ids::RunId;
use evenkeel_core::notice::Topic;
use evenkeel_core::request::{OverrideAsked, Verb};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;

use crate::approvals::{is_waiting, say, waiting};
use crate::flow::{GRAY, REGION};
use crate::incidents::{fleet, told};
use crate::kit::{DRAIN, GROW, TELL, auto, gone_bad, playbook, sound, until, well_again};
use crate::rig::{KillPoint, Rig, loaded};

const ONE: RunId = RunId(1);
const GATED: &str = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 1, expires_after: 20m } }";

fn start(playbook: &str, is_dry: bool) -> Verb {
    Verb::StartRun {
        playbook: playbook.parse().unwrap(),
        target: "web".parse().unwrap(),
        parameters: BTreeMap::new(),
        is_dry,
        reason: "a person wants it".to_owned(),
    }
}

fn approve(rig: &Rig) -> Verb {
    let plan_hash = rig.run(ONE).plan.as_ref().unwrap().hash();
    Verb::Approve { run: ONE, plan_hash, is_break_glass: false, reason: String::new() }
}

#[test]
fn i13_not_who_asked_but_a_quorum_or_one_who_breaks_the_glass_and_is_reviewed() {
    let two = GATED.replace("approvals: 1", "approvals: 2");
    let mut rig = gone_bad(&auto(&[&two]));
    rig.tick(15);
    rig.ask_as("ana", start("fix", false)).unwrap();
    until(&mut rig, 4, "waiting", is_waiting);
    let verb = approve(&rig);
    assert!(say(&mut rig, "ana", verb.clone()).contains("cannot approve it"));
    assert_eq!(say(&mut rig, "ben", verb.clone()), "yes");
    assert_eq!(rig.performed(), "");
    let Verb::Approve { plan_hash, .. } = verb else { unreachable!() };
    let reason = "it burns".to_owned();
    let glass = Verb::Approve { run: ONE, plan_hash, is_break_glass: true, reason };
    assert_eq!(say(&mut rig, "ana", glass), "yes");
    rig.settle();
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
    assert_eq!(told(&rig, Topic::BreakGlassUsed), 1);
    rig.tick(25 * 3_600);
    assert_eq!(told(&rig, Topic::ReviewOverdue), 1);
    let review = Verb::Review { run: ONE, note: "fine".to_owned() };
    assert!(say(&mut rig, "ana", review.clone()).contains("somebody else"));
    assert_eq!(say(&mut rig, "ben", review), "yes");
}

#[test]
fn i14_every_effect_carries_the_term_it_was_decided_in_and_terms_only_grow() {
    // That an executor rejects an older one is proven where executors are, in the daemon.
    let mut rig = gone_bad(&auto(&[DRAIN]));
    rig.dies_at = Some((KillPoint::AfterIntent, 0));
    until(&mut rig, 20, "drained", |it| !it.platform.terms.is_empty());
    let first = rig.agent.state().term();
    rig.restart();
    until(&mut rig, 60, "undone", |it| 2 <= it.platform.terms.len());
    let terms = &rig.platform.terms;
    assert!(terms.is_sorted() && terms[0] == first && terms[0] < terms[1], "{terms:?}");
}

#[test]
fn i15_one_action_touches_one_target_of_one_region() {
    let other = "
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: far, labels: { tier: web } }
spec:
  region: elsewhere
  provider: { simulated: { service: far } }
  capacity: { min: 2, max: 40 }
";
    let yaml = format!("{}{other}", auto(&[GROW]));
    let here = loaded(&yaml).of_region(&"r".parse().unwrap());
    assert!(here.target(&"far".parse().unwrap()).is_none());
    let more = ["autonomy: auto", "limits: { attempts: 3, concurrency: 9 }"];
    let mut rig = fleet(&more, &[DRAIN]);
    rig.sees("t0", "bad", 1.0).sees("t1", "bad", 1.0);
    rig.run_for(120);
    assert_eq!(rig.platform.performed.len(), 2);
    for (_, target, action, _) in &rig.platform.performed {
        let Action::SetDrained { instances, .. } = action else { panic!("{action}") };
        let prefix = format!("{target}/");
        assert!(instances.iter().all(|it| it.as_str().starts_with(&prefix)), "{action}");
    }
}

#[test]
fn i16_nothing_fails_over_to_another_region_by_itself() {
    // There is no class of actions that could: all are about one target's own parts.
    let names: Vec<&str> = ActionClass::ALL.iter().map(|it| it.name()).collect();
    assert_eq!(
        names.join(" "),
        "set_capacity restart_instances replace_instances shift_traffic drain roll_back \
         throttle_tenant run_command call_webhook apply_terraform"
    );
    // What an author's command or plan does outside is never without its author's undo or a yes.
    for step in [
        "{ name: s, run_command: { command: move-all }, undo: { nothing: none }, gate: {} }",
        "{ name: s, call_webhook: { webhook: move-all }, undo: { nothing: none }, gate: {} }",
        "{ name: s, apply_terraform: { workspace: all }, undo: { nothing: none }, gate: {} }",
    ] {
        let mut rig = waiting(&auto(&[step]));
        rig.run_for(300);
        assert_eq!(rig.performed(), "");
    }
}

#[test]
fn i17_no_action_of_a_playbook_changes_a_ttl() {
    // Changing the TTL of a cache, in bounded and jittered steps, comes with the work on
    // caches; until then the invariant holds because no class of actions can.
    for class in ActionClass::ALL {
        // By words: "throttle" has the letters.
        assert!(class.name().split('_').all(|it| it != "ttl" && it != "cache"), "{class}");
    }
}

#[test]
fn i18_a_policy_is_tried_in_the_shadow_then_in_one_region_and_a_bad_one_changes_nothing() {
    // Shadow: the same playbook observes and touches nothing.
    let shadow = format!("{REGION}{}", playbook("fix", &["autonomy: observe"], &[DRAIN]));
    let mut rig = gone_bad(&shadow);
    rig.run_for(120);
    assert_eq!(rig.performed(), "");
    assert_eq!((rig.count("run_planned"), told(&rig, Topic::RunEnded)), (1, 0));
    // One region: each daemon has only the targets of its own.
    let here = loaded(&shadow).of_region(&"elsewhere".parse().unwrap());
    assert_eq!(here.targets().count(), 0);
    // A bad one is no document at all: what was in force stays in force.
    let bad = shadow.replace("bad > 0.5", "bda > 0.5");
    assert!(load(&[SourceText { file: "bad.yaml", text: &bad }]).documents.is_none());
}

#[test]
fn i19_kill_works_with_nothing_but_the_local_file() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    // In the middle of a run, whose effect has not left.
    for _ in 0..4 {
        rig.now += jiff::SignedDuration::from_secs(15);
        rig.look_at_all();
        rig.settle_looks();
    }
    assert_eq!(rig.count("step_sent"), 1);
    rig.handle(Input::BreakGlassRead(BreakGlassReading::Present { text: "stop".to_owned() }));
    rig.settle();
    assert_eq!(rig.performed(), "", "what has not left is withdrawn");
    rig.restart();
    rig.run_for(3_600);
    assert_eq!(rig.performed(), "", "nor is anything undone meanwhile");
    rig.handle(Input::BreakGlassRead(BreakGlassReading::Unreadable { error: "io".to_owned() }));
    rig.run_for(300);
    assert_eq!(rig.performed(), "");
    sound(&rig);
    // Before any document was read.
    let mut agent = Agent::new(State::replay(&rig.journal));
    let _ = agent.handle(rig.now, Input::Started { version: "test".to_owned() });
    assert!(agent.state().break_glass().is_some());
}

#[test]
fn i20_an_actuator_that_is_disabled_ends_runs_not_the_agent() {
    use evenkeel_core::effect::EffectOutcome::Rejected;
    let steps = [
        DRAIN,
        GROW,
        "{ name: s, replace_instances: { select: { outliers_of: latency, factor: 3 } }, undo: { nothing: no }, gate: {} }",
        "{ name: s, restart_instances: { select: { not_ready: true } }, undo: { nothing: no }, gate: {} }",
        "{ name: s, shift_traffic: { select: { outliers_of: latency, factor: 3 }, weight_ratio: 0.5 }, undo: before }",
        "{ name: s, roll_back: {}, undo: before }",
        "{ name: s, run_command: { command: c }, undo: { run_command: { command: u } } }",
        "{ name: s, call_webhook: { webhook: c }, undo: { call_webhook: { webhook: u } } }",
        "{ name: s, apply_terraform: { workspace: c }, undo: { apply_terraform: { workspace: c } } }",
    ];
    for step in steps {
        for looks in [Some("disabled by the configuration"), None] {
            let mut rig = gone_bad(&auto(&[step]));
            rig.platform.looks_fail = looks.map(str::to_owned);
            rig.platform.fails.extend([Rejected; 20]);
            for _ in 0..120 {
                rig.tick(15);
                if rig.count("run_opened") == 1 && rig.phase(ONE) == "awaiting_approval" {
                    rig.approve_as("ana", ONE).unwrap();
                    rig.settle();
                }
            }
            assert_eq!(rig.performed(), "", "{step}");
            let phase = rig.phase(ONE);
            assert!(phase.starts_with("ended") || phase == "stuck", "{step}: {phase}");
            sound(&rig);
        }
    }
}

#[test]
fn i21_so_many_attempts_in_a_window_and_then_a_human() {
    let more = [
        "autonomy: auto",
        "limits: { attempts: 3, window: 2h, concurrency: 1, cooldown: 1m }",
        "verification: { that: bad < 0.5, holds_for: 30s, within: 1m }",
    ];
    let mut rig = gone_bad(&format!("{REGION}{}", playbook("fix", &more, &[TELL])));
    rig.run_for(3_600);
    assert_eq!((rig.count("run_opened"), told(&rig, Topic::AttemptsUsedUp)), (3, 1));
    rig.restart();
    rig.run_for(1_800);
    assert_eq!(rig.count("run_opened"), 3, "a restart forgets no attempt");
    rig.ask_as("ana", start("fix", false)).unwrap();
}

#[test]
fn i22_after_a_restart_the_trigger_is_looked_at_again_before_anything_is_done() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    rig.platform.looks_fail = Some("not yet".to_owned());
    until(&mut rig, 20, "opened", |it| it.count("run_opened") == 1);
    rig.restart();
    rig.platform.looks_fail = None;
    rig.settle();
    assert_eq!(rig.performed(), "", "what was true before is not true now");
    well_again(&mut rig);
    rig.run_for(60);
    assert_eq!(rig.performed(), "");
    assert_eq!(rig.phase(ONE), "ended: refused");
    assert!(rig.timeline(1).contains("its trigger is over"), "{}", rig.timeline(1));
}

#[test]
fn i22_a_restart_alone_ends_no_run() {
    for step in [GATED, DRAIN] {
        let mut rig = gone_bad(&auto(&[step]));
        let is_there = |it: &Rig| {
            let run = it.agent.state().healing().run(ONE);
            run.is_some_and(|it| matches!(it.phase.name(), "awaiting_approval" | "verifying"))
        };
        until(&mut rig, 20, "there", is_there);
        let before = rig.phase(ONE);
        rig.restart();
        assert_eq!(rig.phase(ONE), before);
        // Down for longer than the verification may take: nothing was seen, nothing is undone.
        rig.now += jiff::SignedDuration::from_mins(6);
        rig.restart();
        assert_eq!(rig.phase(ONE), before);
        well_again(&mut rig);
        rig.run_for(120);
        let after = rig.phase(ONE);
        assert!(after == "ended: succeeded" || step == GATED, "{after}\n{}", rig.timeline(1));
    }
}

#[test]
fn i23_who_changes_it_outside_has_it_until_it_is_handed_back() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    until(&mut rig, 20, "drained", |it| !it.platform.performed.is_empty());
    rig.platform.capacity.insert("web".parse().unwrap(), Capacity(12));
    rig.run_for(600);
    assert_eq!(rig.phase(ONE), "ended: taken_over");
    assert_eq!(rig.performed(), "drain web/4 on web\n", "nothing is undone under somebody's hands");
    rig.tick(3_600).run_for(300);
    assert_eq!(rig.platform.performed.len(), 1, "only suggested");
    let shown = report::incidents(rig.now, &rig.agent, true);
    assert_eq!(shown.lapses.len(), 1);
    assert!(
        shown.lapses[0].why.contains("changed outside of Evenkeel, 10 -> 12"),
        "{:?}",
        shown.lapses
    );
    let verb = Verb::HandBack { scope: "web".parse().unwrap(), reason: "done".to_owned() };
    rig.ask_as("ana", verb).unwrap();
    assert!(report::incidents(rig.now, &rig.agent, true).lapses.is_empty());
    // And whoever says so has it too: the run ends as it is.
    let mut rig = waiting(&format!("{REGION}{GRAY}"));
    rig.set(OverrideAsked::Takeover, "web", 3_600).unwrap();
    rig.run_for(600);
    assert_eq!(rig.phase(ONE), "ended: taken_over");
    assert_eq!(rig.performed(), "drain web/4 on web\n");
}

#[test]
fn i24_autonomy_is_promoted_by_evidence_and_demoted_at_once() {
    // Fifty decisions and the person's grant: `autonomy.rs`. At once means: with the record
    // of the end of the very run that did not help.
    let mut rig = gone_bad(&auto(&[DRAIN]));
    until(&mut rig, 60, "undone", |it| {
        it.count("run_opened") == 1 && it.phase(ONE) == "ended: rolled_back"
    });
    let web = "web".parse().unwrap();
    let standing = report::standing(&rig.agent, &web, ActionClass::Drain).standing;
    assert!(standing.demotion.is_some());
    let at = |kind: &str| rig.journal.iter().find(|it| it.kind() == kind).unwrap().at();
    assert_eq!(at("autonomy_demoted"), at("run_reported"));
    // Irreversible is never automatic, whatever is granted.
    let promote = Verb::Promote {
        target: web,
        class: ActionClass::Drain,
        to: evenkeel_core::documents::Autonomy::Auto,
        reason: "I trust it".to_owned(),
    };
    rig.ask_as("dora", promote).unwrap();
    assert_eq!(told(&rig, Topic::Demoted), 1);
}
