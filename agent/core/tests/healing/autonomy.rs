//! How much the agent does by itself: granted, earned, lost at once, given back.
//!
//! **In:** playbooks of each autonomy; runs that help and runs that do not.
//! **Out:** what is done, what is only said.
//! **Not here:** Wilson's bound itself (in the core's own tests).

use std::fmt::Write as _;

use expect_test::expect;

use evenkeel_core::action::ActionClass;
use evenkeel_core::documents::Autonomy;
use evenkeel_core::ids::RunId;
use evenkeel_core::notice::Topic;
use evenkeel_core::request::Verb;

use crate::flow::REGION;
use crate::incidents::told;
use crate::kit::{DRAIN, gone_bad, playbook, sound, until, well_again};
use crate::rig::Rig;

const PATIENT: &str = "limits: { attempts: 100, window: 24h, concurrency: 1, cooldown: 1m }";

fn with(autonomy: &str) -> String {
    format!("{REGION}{}", playbook("fix", &[autonomy, PATIENT], &[DRAIN]))
}

#[test]
fn each_autonomy_does_and_says_what_it_is_for() {
    let mut table = String::new();
    for autonomy in ["observe", "suggest", "approve", "auto"] {
        let mut rig = gone_bad(&with(&format!("autonomy: {autonomy}")));
        rig.run_for(60);
        writeln!(table, "{autonomy}: {}; did {:?}", rig.phase(RunId(1)), rig.performed()).unwrap();
        table.push_str(&rig.told());
        sound(&rig);
    }
    expect![[r#"
        observe: ended: refused; did ""
        page incident_opened: inc-1: fix on web
        suggest: ended: refused; did ""
        page incident_opened: inc-1: fix on web
        info run_ended: run-1 of fix on web was not begun: autonomy is suggest: this is what it would do
        approve: awaiting_approval; did ""
        page incident_opened: inc-1: fix on web
        page approval_wanted: run-1: fix on web waits for a person
        auto: verifying; did "drain web/4 on web\n"
        page incident_opened: inc-1: fix on web
    "#]].assert_eq(&table);
}

/// One run of the playbook that drained and did not help.
fn rolled_back() -> Rig {
    let mut rig = gone_bad(&with("autonomy: auto"));
    until(&mut rig, 60, "undone", |it| {
        it.agent.state().healing().run(RunId(1)).is_some_and(|it| it.phase.is_terminal())
    });
    assert_eq!(rig.phase(RunId(1)), "ended: rolled_back");
    rig
}

fn hand_back() -> Verb {
    Verb::HandBack { scope: "web".parse().unwrap(), reason: "seen".to_owned() }
}

#[test]
fn a_run_that_was_undone_demotes_at_once_and_a_person_gives_it_back() {
    let mut rig = rolled_back();
    assert_eq!(told(&rig, Topic::Demoted), 1);
    rig.run_for(600);
    let n_before = rig.platform.performed.len();
    assert_eq!(n_before, 2, "{}", rig.timeline(1));
    well_again(&mut rig);
    rig.run_for(300);
    rig.tick(3_600);
    rig.sees("web", "bad", 1.0).sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig.run_for(120);
    assert_eq!(rig.platform.performed.len(), n_before, "it only suggests: {}", rig.told());
    rig.ask_as("ana", hand_back()).unwrap();
    assert!(rig.ask_as("ana", hand_back()).is_err(), "nothing is left to give back");
    well_again(&mut rig);
    rig.run_for(300);
    rig.tick(3_600);
    rig.sees("web", "bad", 1.0).sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig.run_for(120);
    assert_eq!(rig.platform.performed.len(), n_before + 1);
    sound(&rig);
}

/// A rig with so many runs that people agreed to and that were verified.
fn agreed(n: u64) -> Rig {
    let mut rig = gone_bad(&with("autonomy: approve\n  autonomy_max: auto"));
    for number in 1..=n {
        rig.sees("web", "bad", 1.0).sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
        let waits = |it: &Rig| {
            it.agent
                .state()
                .healing()
                .run(RunId(number))
                .is_some_and(|it| it.phase.name() == "awaiting_approval")
        };
        until(&mut rig, 20, "waiting", waits);
        rig.approve_as("ana", RunId(number)).unwrap();
        rig.settle();
        well_again(&mut rig);
        rig.run_for(150);
        assert_eq!(rig.phase(RunId(number)), "ended: succeeded", "{}", rig.told());
        let web = "web".parse().unwrap();
        rig.platform
            .instances
            .get_mut(&web)
            .unwrap()
            .iter_mut()
            .for_each(|it| it.is_drained = false);
        rig.tick(1_800);
    }
    rig
}

#[test]
fn fifty_agreed_decisions_propose_more_and_an_admin_grants_it() {
    let mut rig = agreed(49);
    assert_eq!(told(&rig, Topic::PromotionProposed), 0);
    assert_eq!(rig.count("autonomy_proposed"), 0);
    rig = agreed(51);
    assert_eq!(told(&rig, Topic::PromotionProposed), 1);
    let promote = Verb::Promote {
        target: "web".parse().unwrap(),
        class: ActionClass::Drain,
        to: Autonomy::Auto,
        reason: "earned".to_owned(),
    };
    assert!(rig.ask_as("ana", promote.clone()).is_err(), "an operator does not grant");
    rig.ask_as("dora", promote).unwrap();
    let n_before = rig.platform.performed.len();
    rig.sees("web", "bad", 1.0).sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    rig.run_for(90);
    assert_eq!(rig.platform.performed.len(), n_before + 1, "nobody is asked any more");
    sound(&rig);
}

#[test]
fn a_dry_run_by_hand_uses_up_no_attempt_and_delays_nothing() {
    let more =
        ["autonomy: auto", "limits: { attempts: 1, window: 24h, concurrency: 1, cooldown: 2h }"];
    let mut rig = gone_bad(&format!("{REGION}{}", playbook("fix", &more, &[DRAIN])));
    let verb = Verb::StartRun {
        playbook: "fix".parse().unwrap(),
        target: "web".parse().unwrap(),
        parameters: std::collections::BTreeMap::new(),
        is_dry: true,
        reason: "what would it do".to_owned(),
    };
    rig.tick(15);
    rig.ask_as("ana", verb).unwrap();
    rig.run_for(90);
    assert_eq!(rig.phase(RunId(1)), "ended: refused");
    assert!(rig.run(RunId(1)).plan.is_some());
    assert_eq!(rig.performed(), "drain web/4 on web\n", "by the run that the trigger began");
}
