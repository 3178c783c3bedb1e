//! Gates: who may say yes, to what, for how long, and what a no does.
//!
//! **In:** runs that wait for people; words of people with and without the role.
//! **Out:** passed, refused with the reason, or ended; a refusal changes nothing.
//! **Not here:** the whole table of verbs ([`crate::table`]).

use evenkeel_core::agent::{BreakGlassReading, Input};
use evenkeel_core::ids::RunId;
use evenkeel_core::notice::Topic;
use evenkeel_core::request::{OverrideAsked, Verb};

use crate::flow::{GRAY, REGION};
use crate::kit::{auto, gone_bad, playbook, sound, until, well_again};
use crate::rig::Rig;

const ONE: RunId = RunId(1);

const GATED: &str = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 1, expires_after: 20m } }";
const TWO: &str = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 2, expires_after: 20m } }";

/// A rig whose first run waits for people.
#[track_caller]
pub(crate) fn waiting(yaml: &str) -> Rig {
    let mut rig = gone_bad(yaml);
    until(&mut rig, 20, "waiting", is_waiting);
    rig
}

pub(crate) fn is_waiting(rig: &Rig) -> bool {
    let run = rig.agent.state().healing().run(ONE);
    run.is_some_and(|it| it.phase.name() == "awaiting_approval")
}

/// What `verb` of `who` is answered: `yes`, or why not; a refusal only leaves its record.
#[track_caller]
pub(crate) fn say(rig: &mut Rig, who: &str, verb: Verb) -> String {
    // What time alone brings is no answer.
    rig.handle(evenkeel_core::agent::Input::TimePassed);
    let n_before = rig.journal.len();
    let healing = rig.agent.state().healing().clone();
    let answer = rig.ask_as(who, verb);
    let kinds: Vec<&str> = rig.journal[n_before..].iter().map(|it| it.kind()).collect();
    match answer {
        Ok(_) => {
            assert!(!kinds.is_empty() && !kinds.contains(&"request_refused"), "{kinds:?}");
            "yes".to_owned()
        }
        Err(refusal) => {
            assert_eq!(kinds, ["request_refused"], "{refusal}");
            assert_eq!(&healing, rig.agent.state().healing(), "{refusal}");
            refusal.to_string()
        }
    }
}

fn hash(rig: &Rig) -> String {
    rig.run(ONE).plan.as_ref().unwrap().hash()
}

fn yes_to(plan_hash: &str) -> Verb {
    let (plan_hash, reason) = (plan_hash.to_owned(), String::new());
    Verb::Approve { run: ONE, plan_hash, is_break_glass: false, reason }
}

fn glass(rig: &Rig, reason: &str) -> Verb {
    let (plan_hash, reason) = (hash(rig), reason.to_owned());
    Verb::Approve { run: ONE, plan_hash, is_break_glass: true, reason }
}

fn no() -> Verb {
    Verb::Deny { run: ONE, reason: "not now".to_owned() }
}

#[track_caller]
fn approve(rig: &mut Rig, who: &str, expected: &str) {
    let verb = yes_to(&hash(rig));
    let answer = say(rig, who, verb);
    assert!(answer.contains(expected), "{who}: {answer}");
    rig.settle();
}

#[test]
fn a_quorum_of_two_needs_two_people() {
    let mut rig = waiting(&auto(&[TWO]));
    approve(&mut rig, "ana", "yes");
    assert_eq!(rig.performed(), "");
    approve(&mut rig, "ana", "ana has approved run-1 already; 1 more approval(s)");
    assert_eq!(rig.performed(), "");
    approve(&mut rig, "ben", "yes");
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
    sound(&rig);
}

#[test]
fn who_asked_for_a_run_cannot_approve_it() {
    let mut rig = gone_bad(&auto(&[TWO]));
    rig.tick(15);
    let verb = Verb::StartRun {
        playbook: "fix".parse().unwrap(),
        target: "web".parse().unwrap(),
        parameters: std::collections::BTreeMap::new(),
        is_dry: false,
        reason: "I see it".to_owned(),
    };
    assert_eq!(say(&mut rig, "ana", verb), "yes");
    until(&mut rig, 4, "waiting", is_waiting);
    approve(&mut rig, "ana", "ana asked for run-1 and cannot approve it");
    approve(&mut rig, "ben", "yes");
    approve(&mut rig, "cleo", "yes");
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
}

#[test]
fn a_forwarded_link_opens_nothing_for_those_without_the_role() {
    let mut rig = waiting(&auto(&[GATED]));
    approve(&mut rig, "vic", "vic");
    approve(&mut rig, "zed", "zed");
    assert!(is_waiting(&rig));
    assert_eq!(rig.count("request_refused"), 2);
    assert_eq!(rig.performed(), "");
}

#[test]
fn a_replayed_approval_is_refused() {
    let mut rig = waiting(&auto(&[GATED]));
    let link = yes_to(&hash(&rig));
    approve(&mut rig, "ana", "yes");
    let answer = say(&mut rig, "ana", link.clone());
    assert_eq!(answer, "run-1 is verifying: it waits for no approval");
    well_again(&mut rig);
    until(&mut rig, 40, "ended", |it| it.phase(ONE) == "ended: succeeded");
    assert_eq!(say(&mut rig, "ben", link), "run-1 is ended: it waits for no approval");
    assert_eq!(rig.platform.performed.len(), 1);
}

#[test]
fn an_approval_of_another_plan_is_refused() {
    let mut rig = waiting(&auto(&[GATED]));
    let answer = say(&mut rig, "ana", yes_to("0123456789abcdef"));
    assert!(answer.contains("not 0123456789abcdef: look at it again"), "{answer}");
    assert!(is_waiting(&rig));
}

#[track_caller]
fn changed(rig: &mut Rig, yaml: &str) {
    let old = hash(rig);
    rig.reload(yaml);
    rig.tick(15);
    assert!(is_waiting(rig), "{}", rig.timeline(1));
    assert_eq!(rig.count("plan_voided"), 1, "{}", rig.timeline(1));
    assert_ne!(old, hash(rig));
    let answer = say(rig, "ana", yes_to(&old));
    assert!(answer.contains("look at it again"), "{answer}");
    assert_eq!(rig.performed(), "");
    approve(rig, "ana", "yes");
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
    sound(rig);
}

#[test]
fn a_changed_target_voids_the_plan_and_the_yes_to_it() {
    let yaml = auto(&[GATED]);
    let mut rig = waiting(&yaml);
    changed(
        &mut rig,
        &yaml.replace("capacity: { min: 2, max: 40 }", "capacity: { min: 2, max: 41 }"),
    );
}

#[test]
fn a_changed_policy_voids_the_plan_and_the_yes_to_it() {
    let yaml = auto(&[GATED]);
    let mut rig = waiting(&yaml);
    let policy = "
---
apiVersion: evenkeel/v1
kind: ScalingPolicy
metadata: { name: p }
spec:
  selector: { match_labels: { tier: web } }
  autonomy: observe
  target_label: service
  signals:
    - { name: load, query: load, value_per_unit: 55 }
";
    // Before the playbook, whose text stays as it is.
    let at = yaml.find("\n---\napiVersion: evenkeel/v1\nkind: Playbook").unwrap();
    let (before, after) = yaml.split_at(at);
    changed(&mut rig, &format!("{before}{policy}{after}"));
}

#[test]
fn a_changed_playbook_ends_a_run_that_has_touched_nothing() {
    let yaml = auto(&[GATED]);
    let mut rig = waiting(&yaml);
    rig.reload(&yaml.replace("* 1.5", "* 1.6"));
    rig.tick(15);
    assert_eq!(rig.phase(ONE), "ended: refused");
    assert_eq!(rig.performed(), "");
}

#[test]
fn a_plan_that_terraform_no_longer_makes_is_asked_about_again() {
    let step = "{ name: tf, apply_terraform: { workspace: web, variables: { size: '3' } }, undo: { nothing: by hand }, gate: {} }";
    let mut rig = waiting(&auto(&[step]));
    let old = hash(&rig);
    rig.platform.terraform_sha256 = "22".repeat(32);
    approve(&mut rig, "ana", "yes");
    rig.tick(15);
    assert_eq!(rig.performed(), "");
    assert!(is_waiting(&rig), "{}", rig.timeline(1));
    assert_ne!(old, hash(&rig));
    approve(&mut rig, "ana", "yes");
    assert!(rig.performed().starts_with("apply Terraform plan 2222"), "{}", rig.performed());
    sound(&rig);
}

#[test]
fn no_answer_in_time_is_a_no() {
    let mut rig = waiting(&auto(&[GATED]));
    rig.run_for(20 * 60 - 15);
    assert!(is_waiting(&rig));
    // Late by a second, and before anybody noticed that it is late.
    rig.now += jiff::SignedDuration::from_secs(15);
    let late = yes_to(&hash(&rig));
    let answer = rig.ask_as("ana", late).unwrap_err().to_string();
    assert!(answer.contains("the time for an answer ended at"), "{answer}");
    rig.tick(15);
    assert_eq!(rig.phase(ONE), "ended: expired");
    assert_eq!(rig.performed(), "");
    let link = yes_to(&hash(&rig));
    assert_eq!(say(&mut rig, "ana", link), "run-1 is ended: it waits for no approval");
}

#[test]
fn half_of_the_time_without_an_answer_escalates_once() {
    let mut rig = waiting(&auto(&[GATED]));
    let n =
        |rig: &Rig| rig.notices.iter().filter(|it| it.topic == Topic::ApprovalEscalated).count();
    rig.run_for(10 * 60 - 15);
    assert_eq!(n(&rig), 0);
    rig.run_for(60);
    assert_eq!(n(&rig), 1);
    rig.run_for(8 * 60);
    assert_eq!(n(&rig), 1);
}

#[test]
fn break_glass_passes_alone_pages_and_is_reviewed_by_somebody_else_within_a_day() {
    let mut rig = waiting(&auto(&[TWO]));
    let verb = glass(&rig, "");
    assert!(say(&mut rig, "ana", verb).contains("needs a reason"));
    let verb = glass(&rig, "it burns");
    assert!(say(&mut rig, "vic", verb.clone()).contains("vic"));
    assert_eq!(say(&mut rig, "ana", verb), "yes");
    rig.settle();
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
    let topics =
        |rig: &Rig, topic: Topic| rig.notices.iter().filter(|it| it.topic == topic).count();
    assert_eq!(topics(&rig, Topic::BreakGlassUsed), 1);
    let review = Verb::Review { run: ONE, note: "it was right".to_owned() };
    assert!(say(&mut rig, "ana", review.clone()).contains("somebody else has to"));
    well_again(&mut rig);
    rig.run_for(600);
    rig.tick(23 * 3600);
    assert_eq!(topics(&rig, Topic::ReviewOverdue), 0);
    rig.tick(3600);
    rig.tick(3600);
    assert_eq!(topics(&rig, Topic::ReviewOverdue), 1);
    assert_eq!(say(&mut rig, "ben", review.clone()), "yes");
    assert!(say(&mut rig, "ben", review).contains("no break-glass approval"));
    sound(&rig);
}

#[test]
fn two_who_broke_the_glass_do_not_review_each_other() {
    let second = TWO.replace("name: grow", "name: more").replace("1.5", "2");
    let mut rig = waiting(&auto(&[TWO, &second]));
    for who in ["ana", "ben"] {
        let verb = glass(&rig, "it burns");
        assert_eq!(say(&mut rig, who, verb), "yes");
        rig.settle();
        rig.tick(15);
    }
    let review = Verb::Review { run: ONE, note: "fine".to_owned() };
    for who in ["ana", "ben"] {
        assert!(say(&mut rig, who, review.clone()).contains("somebody else has to"), "{who}");
    }
    assert_eq!(say(&mut rig, "cleo", review), "yes");
}

#[test]
fn a_gate_with_approvers_is_for_them() {
    let step = GATED.replace("approvals: 1,", "approvals: 1, approvers: [sre],");
    let mut rig = waiting(&auto(&[&step]));
    approve(&mut rig, "cleo", "cleo is not among the approvers of this gate: ana, ben");
    approve(&mut rig, "ben", "yes");
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
}

#[test]
fn a_no_ends_it_and_what_was_touched_is_undone() {
    let mut rig = waiting(&auto(&[GATED]));
    assert_eq!(say(&mut rig, "ana", no()), "yes");
    assert_eq!((rig.phase(ONE).as_str(), rig.performed().as_str()), ("ended: denied", ""));

    let mut rig = Rig::new(&format!("{REGION}{GRAY}"));
    rig.sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    until(&mut rig, 10, "waiting", is_waiting);
    assert_eq!(say(&mut rig, "ana", no()), "yes");
    rig.settle();
    assert_eq!(rig.phase(ONE), "ended: rolled_back");
    assert_eq!(rig.performed(), "drain web/4 on web\nundo: put web/4 back into traffic on web\n");
    sound(&rig);
}

#[test]
fn no_answer_after_a_touched_step_undoes_it() {
    let mut rig = Rig::new(&format!("{REGION}{GRAY}"));
    rig.sees_instances("web", "latency", 0.1, &[(4, 3.0)]);
    until(&mut rig, 10, "waiting", is_waiting);
    rig.run_for(31 * 60);
    assert_eq!(rig.phase(ONE), "ended: rolled_back");
    assert_eq!(rig.performed(), "drain web/4 on web\nundo: put web/4 back into traffic on web\n");
}

#[test]
fn a_yes_that_something_stronger_would_keep_waiting_fails() {
    let cases = [
        (OverrideAsked::Freeze, "freeze"),
        (OverrideAsked::Hold, "hold"),
        (OverrideAsked::Pin { capacity: None }, "pin"),
    ];
    for (kind, word) in cases {
        let mut rig = waiting(&auto(&[GATED]));
        rig.set(kind, "web", 3_600).unwrap();
        let verb = yes_to(&hash(&rig));
        let answer = say(&mut rig, "ben", verb);
        assert!(answer.contains("cannot take effect under that"), "{word}: {answer}");
    }
    let mut rig = waiting(&auto(&[GATED]));
    rig.handle(Input::BreakGlassRead(BreakGlassReading::Present { text: "stop".to_owned() }));
    let verb = yes_to(&hash(&rig));
    assert!(say(&mut rig, "ben", verb).contains("break-glass"));
}

#[test]
fn the_playbook_s_own_word_for_autonomy_decides_whether_people_are_asked() {
    let yaml = format!("{REGION}{}", playbook("fix", &["autonomy: approve"], &[crate::kit::GROW]));
    let mut rig = waiting(&yaml);
    assert_eq!(rig.performed(), "");
    approve(&mut rig, "ana", "yes");
    assert_eq!(rig.performed(), "set capacity to 15 on web\n");
}

#[test]
fn what_went_out_of_service_meanwhile_counts_against_the_ejection_limit() {
    let step = crate::kit::DRAIN.replace("undo: before", "undo: before, gate: { approvals: 1 }");
    let mut rig = waiting(&auto(&[&step]));
    let web = "web".parse().unwrap();
    for number in [0, 1] {
        rig.platform.instances.get_mut(&web).unwrap()[number].is_ready = false;
    }
    approve(&mut rig, "ana", "yes");
    assert_eq!(rig.performed(), "");
    let why = rig.agent.views().waiting_for(ONE).unwrap().to_owned();
    assert_eq!(why, "3 of 10 instances would be out of service, at most 20 % may be");
    rig.run_for(11 * 60);
    assert_eq!((rig.phase(ONE).as_str(), rig.performed().as_str()), ("ended: refused", ""));
}
