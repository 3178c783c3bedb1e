//! The 24 invariants of healing, one test each: the first twelve.
//!
//! **In:** small stories, each about one sentence.
//! **Out:** what must be so whatever playbooks, platforms and people do.
//! **Not here:** the same for policies that scale (`tests/agent/`), real platforms.

use std::collections::BTreeMap;

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::guard::Refusal;
use evenkeel_core::ids::RunId;
use evenkeel_core::notice::Topic;
use evenkeel_core::record::Record;
use evenkeel_core::request::{OverrideAsked, Verb};
use evenkeel_core::units::Capacity;

use crate::approvals::{say, waiting};
use crate::flow::REGION;
use crate::incidents::{fleet, fleet_yaml, told};
use crate::kit::{DRAIN, GROW, auto, gone_bad, playbook, until, well_again};
use crate::rig::Rig;

const ONE: RunId = RunId(1);
const GATED: &str = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 1, expires_after: 20m } }";

const POLICY: &str = "
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: p }
spec:
  selector: { match_labels: { tier: web } }
  autonomy: auto
  target_label: service
  signals:
    - { name: load, query: load, value_per_unit: 55 }
";

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
fn i01_an_empty_selector_means_nothing() {
    let yaml = format!("{REGION}{}", playbook("fix", &["selector: {}", "autonomy: auto"], &[GROW]));
    let mut rig = gone_bad(&yaml);
    rig.sees("db", "bad", 1.0);
    rig.run_for(120);
    assert_eq!((rig.count("incident_opened"), rig.performed().as_str()), (0, ""));
    let answer = rig.ask_as("ana", start("fix", false)).unwrap_err().to_string();
    assert!(answer.contains("does not select that target"), "{answer}");
}

#[test]
fn i02_removal_is_counted_across_all_playbooks_and_targets() {
    let more = ["autonomy: auto", "limits: { attempts: 3, concurrency: 9 }"];
    let mut rig = fleet(&more, &[DRAIN]);
    // 80 units, 1.5 % of them in ten minutes: one.
    let yaml = fleet_yaml(&more, &[DRAIN]);
    rig.reload(&yaml.replace("removed_ratio_max: 0.5", "removed_ratio_max: 0.015"));
    rig.run_for(60);
    rig.sees("t0", "bad", 1.0).sees("t1", "bad", 1.0);
    rig.run_for(120);
    assert_eq!(rig.performed(), "drain t0/4 on t0\n");
    let waits = rig.agent.views().waiting_for(RunId(2)).unwrap_or_default().to_owned();
    assert!(waits.contains("guardrail wide allows 1 units to leave in 10m, 1 have"), "{waits}");
}

#[test]
fn i03_targets_that_are_worked_on_count_as_unhealthy() {
    let wait = "{ name: settle, wait_for: { condition: bad > 0.9, within: 30m } }";
    let mut rig = fleet(
        &["autonomy: auto", "limits: { attempts: 9, window: 1h, concurrency: 9, cooldown: 1m }"],
        &[wait, DRAIN],
    );
    for name in ["t5", "t6", "t7"] {
        let verb = Verb::StartRun {
            playbook: "fix".parse().unwrap(),
            target: name.parse().unwrap(),
            parameters: BTreeMap::new(),
            is_dry: false,
            reason: "practice".to_owned(),
        };
        rig.ask_as("ana", verb).unwrap();
    }
    rig.run_for(60);
    assert!(rig.agent.state().healing().storm().is_none());
    // One is ill, three are worked on: four of eight.
    rig.sees("t0", "bad", 1.0);
    rig.run_for(60);
    assert!(rig.agent.state().healing().storm().is_some());
    assert_eq!(rig.performed(), "");
}

#[test]
fn i04_a_storm_stops_what_destroys_until_a_cooldown_has_passed() {
    let mut rig = fleet(&["autonomy: auto"], &[DRAIN]);
    for name in ["t0", "t1", "t2", "t3"] {
        rig.sees(name, "bad", 1.0);
    }
    rig.run_for(120);
    assert!(rig.agent.state().healing().storm().is_some());
    for name in ["t1", "t2", "t3"] {
        rig.sees(name, "bad", 0.0);
    }
    // A restart does not end it early.
    rig.run_for(300);
    rig.restart();
    rig.run_for(240);
    assert!(rig.agent.state().healing().storm().is_some());
    assert_eq!(rig.performed(), "");
    rig.run_for(240);
    assert!(rig.agent.state().healing().storm().is_none());
    assert_eq!(rig.performed(), "drain t0/4 on t0\n");
}

#[test]
fn i05_what_is_missing_or_no_number_is_unknown_and_unknown_holds() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    rig.sees_nothing("web", "bad");
    rig.run_for(120);
    assert_eq!(rig.count("incident_opened"), 0);
    rig.sees("web", "bad", f64::NAN);
    rig.run_for(120);
    assert_eq!(rig.count("incident_opened"), 0);
    // What is wrong stays wrong while nobody can see it, and a run that began holds.
    let wait = "{ name: settle, wait_for: { condition: bad > 0.5, within: 30m } }";
    let mut rig = gone_bad(&auto(&[&GROW.replace("grow", "more"), wait, DRAIN]));
    rig.platform.looks_fail = Some("no answer".to_owned());
    until(&mut rig, 20, "grown", |it| it.count("run_opened") == 1);
    rig.sees_nothing("web", "bad");
    rig.platform.looks_fail = None;
    rig.run_for(120);
    assert!(!rig.performed().contains("drain"), "{}", rig.timeline(1));
    assert_eq!(rig.count("symptom_ended"), 0);
}

#[test]
fn i05_what_cannot_be_told_is_not_verified() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    until(&mut rig, 20, "drained", |it| !it.platform.performed.is_empty());
    rig.sees_nothing("web", "bad");
    rig.run_for(600);
    assert_eq!(rig.phase(ONE), "ended: rolled_back");
}

#[test]
fn i06_a_freeze_and_a_pin_survive_restart_and_reload() {
    let yaml = auto(&[DRAIN]);
    for kind in [OverrideAsked::Freeze, OverrideAsked::Pin { capacity: Some(Capacity(10)) }] {
        let mut rig = gone_bad(&yaml);
        rig.set(kind, "web", 36_000).unwrap();
        rig.restart();
        rig.reload(&yaml.replace("bad > 0.5", "bad > 0.6"));
        rig.restart();
        rig.run_for(300);
        assert_eq!(rig.performed(), "", "{kind:?}");
        assert_eq!(rig.agent.state().overrides().count(), 1);
    }
}

#[test]
fn i07_kill_before_freeze_before_abort_before_deny_before_pin_before_approve_before_auto() {
    // Kill and freeze are stronger than a yes.
    let mut rig = waiting(&auto(&[GATED]));
    rig.handle(Input::BreakGlassRead(BreakGlassReading::Present { text: "stop".to_owned() }));
    let verb = approve(&rig);
    assert!(say(&mut rig, "ben", verb.clone()).contains("break-glass since"));
    rig.set(OverrideAsked::Freeze, "web", 3_600).unwrap();
    assert!(
        say(&mut rig, "ben", verb.clone()).contains("break-glass since"),
        "kill is named first"
    );
    rig.handle(Input::BreakGlassRead(BreakGlassReading::Absent));
    assert!(say(&mut rig, "ben", verb.clone()).contains("frozen by ana"));
    // A no is possible under both; no yes comes after it.
    assert_eq!(say(&mut rig, "ben", Verb::Deny { run: ONE, reason: String::new() }), "yes");
    assert!(say(&mut rig, "ana", verb).contains("waits for no approval"));
    // An abort ends what a yes has begun.
    let mut rig = waiting(&auto(&[GATED]));
    let verb = approve(&rig);
    assert_eq!(say(&mut rig, "ben", verb.clone()), "yes");
    assert_eq!(say(&mut rig, "ana", Verb::Abort { run: ONE, reason: String::new() }), "yes");
    rig.settle();
    assert_eq!(rig.phase(ONE), "ended: aborted");
    // A pin is stronger than a yes, and a gate than autonomy.
    let mut rig = waiting(&auto(&[GATED]));
    assert_eq!(rig.performed(), "");
    rig.set(OverrideAsked::Pin { capacity: None }, "web", 3_600).unwrap();
    let verb = approve(&rig);
    assert!(say(&mut rig, "ben", verb).contains("pin at 10 by ana"));
}

#[test]
fn i08_every_verb_is_enforced_or_fails() {
    // The whole matrix is `table.rs`; here: what follows from a yes is one look away.
    let mut rig = waiting(&auto(&[GATED]));
    let n_before = rig.journal.len();
    let verb = approve(&rig);
    assert_eq!(say(&mut rig, "ana", verb), "yes");
    let kinds: Vec<&str> = rig.journal[n_before..].iter().map(Record::kind).collect();
    assert!(kinds.contains(&"gate_passed"), "{kinds:?}");
    rig.settle();
    assert_eq!(rig.count("step_sent"), 1);
}

#[test]
fn i09_an_override_ends_when_it_says_after_a_warning_and_playbooks_then_only_suggest() {
    let yaml = format!("{}{POLICY}", auto(&[DRAIN]));
    for (kind, is_takeover) in [
        (OverrideAsked::Freeze, false),
        (OverrideAsked::Hold, false),
        (OverrideAsked::Pin { capacity: None }, false),
        (OverrideAsked::Takeover, true),
    ] {
        let mut rig = gone_bad(&yaml);
        rig.set(kind, "web", 1_800).unwrap();
        well_again(&mut rig);
        rig.run_for(1_800 - 60);
        assert_eq!(told(&rig, Topic::OverrideExpiring), 1, "{kind:?}");
        rig.run_for(120);
        assert_eq!(rig.agent.state().overrides().count(), 0);
        rig.sees("web", "bad", 1.0).sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
        rig.run_for(120);
        assert_eq!(rig.performed(), "", "{kind:?}: only suggested");
        assert_eq!(rig.phase(ONE), "ended: refused");
        let lapses = rig.agent.state().healing().lapses();
        assert_eq!(lapses.iter().map(|it| it.was_takeover).collect::<Vec<_>>(), [is_takeover]);
        let verb = Verb::HandBack { scope: "web".parse().unwrap(), reason: "done".to_owned() };
        rig.ask_as("ana", verb).unwrap();
        assert!(rig.agent.state().healing().lapses().is_empty());
    }
    // Without an end, without a reason, or for too long: no override at all.
    let mut rig = Rig::new(&yaml);
    let cases = [(None, "why"), (Some(3_600), ""), (Some(73 * 3_600), "why")];
    for (seconds, reason) in cases {
        let verb = Verb::SetOverride {
            kind: OverrideAsked::Takeover,
            scope: "web".parse().unwrap(),
            duration: seconds.map(jiff::SignedDuration::from_secs),
            reason: reason.to_owned(),
        };
        assert!(rig.ask_as("ana", verb).is_err());
    }
}

#[test]
fn i09_a_lapsed_takeover_makes_scaling_wait_and_a_lapsed_hold_does_not() {
    for (kind, is_lapsed) in [(OverrideAsked::Takeover, true), (OverrideAsked::Hold, false)] {
        let yaml = format!("{}{POLICY}", auto(&[DRAIN]));
        let mut rig = Rig::new(&yaml);
        rig.tick(15);
        rig.set(kind, "web", 900).unwrap();
        // More is wanted than there is.
        rig.reload(&yaml.replace("min: 2, max: 40", "min: 12, max: 40"));
        rig.run_for(1_200);
        let explanation = rig.agent.explanations().newest(&"web".parse().unwrap());
        let shown = format!("{explanation:?}");
        assert_eq!(shown.contains("Lapsed"), is_lapsed, "{kind:?}: {shown}");
    }
    assert!(Refusal::NAMES.contains(&"lapsed"));
}

#[test]
fn i10_an_override_that_ended_cannot_return() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    rig.set(OverrideAsked::Takeover, "web", 60).unwrap();
    let old = rig.journal.iter().find(|it| it.kind() == "override_accepted").unwrap().clone();
    rig.run_for(120);
    let mut state = rig.agent.state().clone();
    assert_eq!(state.overrides().count(), 0);
    state.apply(&old);
    assert_eq!(state.overrides().count(), 0);
    // Nor an incident, a run or a notice from a piece of journal that comes again.
    let healing = state.healing().clone();
    for record in rig
        .journal
        .iter()
        .filter(|it| matches!(it.kind(), "incident_opened" | "run_opened" | "notice_raised"))
    {
        state.apply(record);
    }
    assert_eq!(*state.healing(), healing);
}

#[test]
fn i11_no_answer_is_a_no_and_half_of_the_time_escalates() {
    let mut rig = waiting(&auto(&[GATED]));
    rig.run_for(10 * 60 + 15);
    assert_eq!(told(&rig, Topic::ApprovalEscalated), 1);
    rig.run_for(10 * 60);
    assert_eq!((rig.phase(ONE).as_str(), rig.performed().as_str()), ("ended: expired", ""));
}

#[test]
fn i12_an_approval_is_for_one_plan_on_one_target_as_it_is() {
    let yaml = auto(&[GATED]);
    // Changed between the plan and the yes, and between the yes and the step.
    let mut rig = waiting(&yaml);
    let old = approve(&rig);
    rig.reload(&yaml.replace("min: 2, max: 40", "min: 2, max: 41"));
    rig.tick(15);
    assert!(say(&mut rig, "ana", old).contains("look at it again"));
    let mut rig = waiting(&yaml);
    let plan_hash = rig.run(ONE).plan.as_ref().unwrap().hash();
    rig.reload(&yaml.replace("* 1.5", "* 2"));
    rig.tick(15);
    assert_eq!(rig.phase(ONE), "ended: refused", "{plan_hash}");
    assert_eq!(rig.performed(), "");
}

#[test]
fn i12_a_later_gate_is_not_passed_on_a_target_that_changed() {
    let yaml = format!("{REGION}{}", crate::flow::GRAY);
    let mut rig = Rig::new(&yaml);
    rig.sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig.run_for(60);
    assert_eq!(rig.phase(RunId(1)), "awaiting_approval");
    // The first step is done; somebody edits the target; the yes was for the one before.
    rig.reload(&yaml.replacen("capacity: { min: 2, max: 40 }", "capacity: { min: 2, max: 30 }", 1));
    rig.run_for(30);
    rig.approve_as("ana", RunId(1)).unwrap();
    rig.settle();
    assert_eq!(rig.phase(RunId(1)), "ended: rolled_back");
    assert_eq!(rig.performed(), "drain web/4 on web\nundo: put web/4 back into traffic on web\n");
}
