//! Symptoms into incidents, incidents into at most one run each, too many into a storm.
//!
//! **In:** readings of many targets over minutes and weeks.
//! **Out:** incidents, what people are told of them, and which run begins.
//! **Not here:** gates ([`crate::approvals`]), autonomy ([`crate::autonomy`]).

use std::collections::BTreeMap;

use expect_test::expect;

use evenkeel_core::agent::Input;
use evenkeel_core::heal::memory::ENDED_KEPT;
use evenkeel_core::heal::report;
use evenkeel_core::heal::view::{InputReading, InputValue, PlaybookObservation};
use evenkeel_core::ids::{IncidentId, RunId};
use evenkeel_core::notice::Topic;
use evenkeel_core::request::{OverrideAsked, Verb};
use evenkeel_core::units::Capacity;

use jiff::SignedDuration;

use crate::approvals::waiting;
use crate::flow::REGION;
use crate::kit::{DRAIN, GROW, TELL, auto, gone_bad, playbook, sound, until, well_again};
use crate::rig::Rig;

pub(crate) const ONE: RunId = RunId(1);
const ALL: &str = "selector: { everything: true }";

/// Targets `t0` to `t7` of the web tier, none of which calls another, with one playbook.
pub(crate) fn fleet_yaml(more: &[&str], steps: &[&str]) -> String {
    let access = REGION.split("\n---\n").next().unwrap();
    let mut yaml = access.to_owned();
    for number in 0..8 {
        yaml.push_str(&format!(
            "\n---\napiVersion: evenkeel/v1\nkind: Target\nmetadata: {{ name: t{number}, labels: {{ tier: web }} }}\nspec:\n  region: r\n  provider: {{ simulated: {{ service: t{number} }} }}\n  capacity: {{ min: 2, max: 40 }}\n  actuators:\n    instances: {{ simulated: {{ service: t{number} }} }}\n    traffic: {{ simulated: {{ service: t{number} }} }}\n"
        ));
    }
    yaml.push_str("\n---\napiVersion: evenkeel/v1\nkind: Guardrail\nmetadata: { name: wide }\nspec:\n  selector: { everything: true }\n  blast_radius: { window: 10m, removed_ratio_max: 0.5 }\n");
    yaml.push_str(&playbook("fix", more, steps));
    yaml
}

/// The same, after a minute in which all was well.
pub(crate) fn fleet(more: &[&str], steps: &[&str]) -> Rig {
    let mut rig = Rig::new(&fleet_yaml(more, steps));
    for number in 0..8 {
        let name = format!("t{number}");
        rig.sees(&name, "bad", 0.0).sees_instances(&name, "latency", 0.1, &[(4, 3.0)]);
    }
    rig.run_for(60);
    rig
}

pub(crate) fn told(rig: &Rig, topic: Topic) -> usize {
    rig.notices.iter().filter(|it| it.topic == topic).count()
}

fn n_incidents(rig: &Rig) -> usize {
    rig.agent.state().healing().incidents().len()
}

#[test]
fn what_fails_together_is_one_incident_healed_at_its_root() {
    let steps = [TELL];
    let mut rig =
        gone_bad(&format!("{REGION}{}", playbook("fix", &[ALL, "autonomy: auto"], &steps)));
    rig.sees("db", "bad", 1.0);
    until(&mut rig, 10, "found", |it| n_incidents(it) == 1 && it.count("run_opened") == 1);
    assert_eq!(rig.run(ONE).target.as_str(), "db");
    rig.run_for(120);
    assert_eq!((n_incidents(&rig), rig.count("run_opened")), (1, 1));
    assert_eq!(told(&rig, Topic::IncidentOpened), 1);
    let incident = rig.agent.state().healing().incident(IncidentId(1)).unwrap();
    assert_eq!(incident.symptoms.len(), 2);
}

#[test]
fn a_caller_that_follows_within_minutes_is_the_same_incident() {
    let more = [ALL, "autonomy: auto"];
    let mut rig = gone_bad(&format!("{REGION}{}", playbook("fix", &more, &[TELL])));
    rig.sees("web", "bad", 0.0).sees("db", "bad", 1.0);
    until(&mut rig, 10, "found", |it| n_incidents(it) == 1);
    rig.run_for(240);
    rig.sees("web", "bad", 1.0);
    rig.run_for(60);
    assert_eq!(n_incidents(&rig), 1);
}

#[test]
fn what_has_nothing_to_do_with_it_is_an_incident_of_its_own() {
    for (limits, n_runs) in [("", 1), ("limits: { attempts: 3, concurrency: 2 }", 2)] {
        let mut rig = fleet(&["autonomy: auto", limits], &[TELL]);
        rig.sees("t0", "bad", 1.0).sees("t1", "bad", 1.0);
        rig.run_for(60);
        assert_eq!((n_incidents(&rig), rig.count("run_opened")), (2, n_runs));
        let is_said = rig.timeline(2).contains("at most 1 run(s) of it at once");
        assert_eq!(is_said, n_runs == 1, "{}", rig.timeline(2));
    }
}

#[test]
fn what_returns_a_fourth_time_waits_for_a_person_who_is_told_once() {
    let more =
        ["autonomy: auto", "limits: { attempts: 20, window: 2h, concurrency: 2, cooldown: 1m }"];
    let mut rig = gone_bad(&format!("{REGION}{}", playbook("fix", &more, &[TELL])));
    for n_runs in [1, 2, 3, 3, 3] {
        rig.sees("web", "bad", 1.0);
        rig.run_for(60);
        assert_eq!(rig.count("run_opened"), n_runs, "{}", rig.timeline(1));
        well_again(&mut rig);
        rig.run_for(240);
    }
    assert_eq!(n_incidents(&rig), 1);
    assert_eq!(told(&rig, Topic::AttemptsUsedUp), 2, "once per return\n{}", rig.told());
    assert!(rig.timeline(1).contains("it came back 3 times; no run begins by itself any more"));
}

#[test]
fn two_symptoms_that_return_together_are_one_return() {
    let yaml = format!(
        "{REGION}{}{}",
        playbook("fix", &["autonomy: auto"], &[TELL]),
        playbook("mend", &["autonomy: auto"], &[TELL])
    );
    let mut rig = gone_bad(&yaml);
    rig.run_for(120);
    well_again(&mut rig);
    rig.run_for(300);
    rig.sees("web", "bad", 1.0);
    rig.run_for(60);
    let incident = rig.agent.state().healing().incident(IncidentId(1)).unwrap();
    assert_eq!((n_incidents(&rig), incident.n_reopened), (1, 1), "{}", rig.timeline(1));
}

#[test]
fn too_many_at_once_stop_what_takes_away_and_page_once_until_well_after_it_is_over() {
    let mut rig = fleet(&["autonomy: auto"], &[DRAIN]);
    for name in ["t0", "t1", "t2", "t3"] {
        rig.sees(name, "bad", 1.0);
    }
    rig.run_for(300);
    assert_eq!(rig.performed(), "", "{}", rig.timeline(1));
    assert_eq!(told(&rig, Topic::Storm), 1);
    assert!(
        rig.agent
            .state()
            .healing()
            .incident(IncidentId(1))
            .unwrap()
            .waiting_for
            .as_ref()
            .unwrap()
            .contains("storm since")
    );
    for name in ["t1", "t2", "t3"] {
        rig.sees(name, "bad", 0.0);
    }
    rig.run_for(9 * 60);
    assert_eq!(rig.performed(), "");
    assert!(rig.agent.state().healing().storm().is_some());
    rig.run_for(4 * 60);
    assert!(rig.agent.state().healing().storm().is_none());
    assert_eq!(rig.performed(), "drain t0/4 on t0\n");
    assert_eq!(told(&rig, Topic::Storm), 1);
    sound(&rig);
}

#[test]
fn in_a_storm_growth_goes_on() {
    let mut rig = fleet(&["autonomy: auto"], &[GROW]);
    for name in ["t0", "t1", "t2", "t3"] {
        rig.sees(name, "bad", 1.0);
    }
    rig.run_for(120);
    assert!(rig.agent.state().healing().storm().is_some());
    assert!(rig.performed().contains("set capacity to 15 on t0"), "{}", rig.performed());
}

#[test]
fn in_a_storm_what_was_taken_away_is_put_back() {
    let mut rig = fleet(&["autonomy: auto"], &[DRAIN]);
    rig.sees("t0", "bad", 1.0);
    rig.run_for(60);
    assert_eq!(rig.performed(), "drain t0/4 on t0\n");
    for name in ["t1", "t2", "t3", "t4"] {
        rig.sees(name, "bad", 1.0);
    }
    rig.run_for(300);
    assert!(rig.agent.state().healing().storm().is_some());
    assert_eq!(rig.performed(), "drain t0/4 on t0\nundo: put t0/4 back into traffic on t0\n");
}

#[test]
fn a_storm_that_begins_after_the_yes_stops_the_step() {
    let step = DRAIN.replace("undo: before", "undo: before, gate: { approvals: 1 }");
    let mut rig = fleet(&["autonomy: auto"], &[&step]);
    rig.sees("t0", "bad", 1.0);
    until(&mut rig, 20, "waiting", crate::approvals::is_waiting);
    for name in ["t1", "t2", "t3", "t4"] {
        rig.sees(name, "bad", 1.0);
    }
    rig.run_for(60);
    rig.approve_as("ana", ONE).unwrap();
    rig.run_for(120);
    assert_eq!(rig.performed(), "");
    assert!(rig.agent.views().waiting_for(ONE).unwrap().starts_with("storm since"));
}

#[test]
fn partial_telemetry_is_a_storm() {
    let mut rig = fleet(&["autonomy: auto"], &[DRAIN]);
    for number in 1..6 {
        rig.sees_nothing(&format!("t{number}"), "bad");
    }
    rig.sees("t0", "bad", 1.0);
    rig.run_for(120);
    let storm = rig.agent.state().healing().storm().expect("five of eight are unknown");
    assert!(storm.why.contains("telemetry is partial: 5 of 8"), "{}", storm.why);
    assert_eq!(rig.performed(), "");
}

#[test]
fn a_page_that_nobody_takes_note_of_is_escalated_once() {
    let mut rig =
        gone_bad(&format!("{REGION}{}", playbook("fix", &["autonomy: suggest"], &[DRAIN])));
    rig.run_for(17 * 60);
    assert_eq!(told(&rig, Topic::IncidentEscalated), 1);
    rig.run_for(17 * 60);
    assert_eq!(told(&rig, Topic::IncidentEscalated), 1);

    let mut rig =
        gone_bad(&format!("{REGION}{}", playbook("fix", &["autonomy: suggest"], &[DRAIN])));
    rig.run_for(60);
    rig.ask_as("ana", Verb::Acknowledge { incident: IncidentId(1) }).unwrap();
    rig.run_for(17 * 60);
    assert_eq!(told(&rig, Topic::IncidentEscalated), 0);
}

#[test]
fn who_takes_over_has_taken_note() {
    let mut rig =
        gone_bad(&format!("{REGION}{}", playbook("fix", &["autonomy: suggest"], &[DRAIN])));
    rig.run_for(60);
    rig.set(OverrideAsked::Takeover, "web", 3_600).unwrap();
    let incident = rig.agent.state().healing().incident(IncidentId(1)).unwrap();
    assert_eq!(incident.acknowledged.as_ref().unwrap().0.as_str(), "ana");
}

#[test]
fn the_times_of_an_incident_are_counted_from_its_first_bad_sample() {
    let mut rig = gone_bad(&auto(&[TELL]));
    rig.run_for(60);
    rig.ask_as("ben", Verb::Acknowledge { incident: IncidentId(1) }).unwrap();
    well_again(&mut rig);
    rig.run_for(300);
    let it = rig.agent.state().healing().incident(IncidentId(1)).unwrap();
    let shown = format!(
        "detected after {} s, noted after {} s, resolved after {} s",
        it.time_to_detect().as_secs(),
        it.time_to_acknowledge().unwrap().as_secs(),
        it.time_to_resolve().unwrap().as_secs(),
    );
    expect!["detected after 30 s, noted after 15 s, resolved after 120 s"].assert_eq(&shown);
}

#[test]
fn hostile_words_stay_words_in_the_timeline_that_is_exported() {
    let gated = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 1 } }";
    let mut rig = gone_bad(&auto(&[DRAIN, gated]));
    until(&mut rig, 20, "waiting", crate::approvals::is_waiting);
    let reason = "`rm -rf` | <b>no</b>\n# Not a heading\r\n| a | row |\u{1b}[31m".to_owned();
    // What cannot be said in one line is refused; what can is taken as it is.
    let verb = Verb::Abort { run: ONE, reason };
    if rig.ask_as("ana", verb).is_err() {
        let reason = "`rm -rf` | <b>no</b> # not a heading".to_owned();
        rig.ask_as("ana", Verb::Abort { run: ONE, reason }).unwrap();
    }
    rig.settle();
    well_again(&mut rig);
    rig.run_for(180);
    let incident = report::incident(&rig.agent, IncidentId(1)).unwrap();
    let runs = report::incidents(rig.now, &rig.agent, true).runs;
    let page = report::timeline_markdown(&incident, &runs);
    for line in page.lines() {
        assert!(!line.contains(|it: char| it.is_control()), "{line:?}");
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
    }
    expect![[r#"
        # Incident inc-1

        | | |
        |---|---|
        | Severity | page |
        | State | resolved |
        | Targets | `web` |
        | First bad sample | 2026-03-02T06:01:15Z |
        | Detected | 2026-03-02T06:01:45Z (after 30s) |
        | Acknowledged | 2026-03-02T06:01:45Z by `ana` (after 0s) |
        | Resolved | 2026-03-02T06:03:00Z (after 1m45s) |
        | Came back | 0 times |

        ## Symptoms

        - 2026-03-02T06:01:15Z, until 2026-03-02T06:03:00Z: `fix` on `web`: `bad (1) > 0.5`

        ## Runs

        ### run-1 of `fix` on `web`: aborted

        - `was aborted by ana: 'rm -rf' | <b>no</b> # Not a heading  | a | row | [31m`
        - plan `b65421049e32b778`
            - `1. eject: drain web/4; undo: put web/4 back into traffic`
            - `2. grow: set capacity to 15; undo: set capacity to 10 [waits for 1 approval(s)]`
            - `then bad < 0.5 must hold for 1m within 5m, else all of it is undone`

        ## Timeline

        | When | What |
        |---|---|
        | 2026-03-02T06:01:15Z | `first bad sample on web` |
        | 2026-03-02T06:01:45Z | `detected by fix on web: bad (1) > 0.5` |
        | 2026-03-02T06:01:45Z | `run-1 of fix on web began` |
        | 2026-03-02T06:01:45Z | `run-1: plan b65421049e32b778: 1. eject: drain web/4; undo: put web/4 back into traffic; 2. grow: set capacity to 15; undo: set capacity to 10 [waits for 1 approval(s)]; then bad < 0.5 must hold for 1m within 5m, else all of it is undone` |
        | 2026-03-02T06:01:45Z | `run-1: doing step 'eject': drain web/4 (ef-1)` |
        | 2026-03-02T06:01:45Z | `run-1: effect ef-1 done: test` |
        | 2026-03-02T06:01:45Z | `run-1: waits for approval before step 'grow' until 2026-03-02T06:31:45Z` |
        | 2026-03-02T06:01:45Z | `ana took note` |
        | 2026-03-02T06:01:45Z | `run-1: ana aborted: 'rm -rf' \| <b>no</b> # Not a heading  \| a \| row \| [31m` |
        | 2026-03-02T06:01:45Z | `run-1: undoing step 'eject': put web/4 back into traffic (ef-2)` |
        | 2026-03-02T06:01:45Z | `run-1: effect ef-2 done: test` |
        | 2026-03-02T06:01:45Z | `run-1 was aborted by ana: 'rm -rf' \| <b>no</b> # Not a heading  \| a \| row \| [31m` |
        | 2026-03-02T06:02:00Z | `fix on web: autonomy of set_capacity is suggest since 2026-03-02T06:01:45Z: run-1 was aborted by ana and undone: 'rm -rf' \| <b>no</b> # Not a heading  \| a \| row \| [31m: what it would do was said` |
        | 2026-03-02T06:03:00Z | `fix on web is over` |
        | 2026-03-02T06:03:00Z | `resolved` |

        ## For the review

        - What was the cause?
        - What helped, what did not?
        - What would have found it sooner?
        - What changes, who does it, by when?
    "#]].assert_eq(&page);
}

#[test]
fn a_dead_notifier_is_one_incident_until_it_lives_again() {
    let mut rig = gone_bad(&auto(&[TELL]));
    well_again(&mut rig);
    for trouble in [Some("refused".to_owned()), Some("timed out".to_owned()), None, None] {
        rig.handle(Input::NotifierChecked { trouble });
        rig.settle();
    }
    assert_eq!(told(&rig, Topic::NotifierDead), 1);
    assert_eq!((rig.count("incident_opened"), rig.count("incident_resolved")), (1, 1));
}

#[test]
fn thirty_quiet_days_with_noise_and_gaps_have_no_incident() {
    let mut rig = gone_bad(&auto(&[DRAIN]));
    well_again(&mut rig);
    rig.tick(15);
    let n_before = rig.journal.len();
    let mut noise = 7_u32;
    for number in 0..30 * 24 * 120_u32 {
        rig.now += jiff::SignedDuration::from_secs(30);
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let share = f64::from(noise >> 8) / f64::from(1 << 24);
        // Between 0 and 0.45, now and then a gap, never two bad samples in a row.
        let value = if number.is_multiple_of(50) { 0.9 } else { share * 0.45 };
        let reading = if noise.is_multiple_of(97) {
            Err(evenkeel_core::quality::Absence::NoSeries)
        } else {
            Ok(InputValue::One { value, sampled_at: rig.now })
        };
        let input = "bad".parse().unwrap();
        rig.handle(Input::PlaybooksObserved(vec![PlaybookObservation {
            playbook: "fix".parse().unwrap(),
            target: "web".parse().unwrap(),
            inputs: vec![InputReading { input, reading }],
        }]));
    }
    assert_eq!(rig.journal.len(), n_before, "{:?}", rig.journal.last());
}

#[test]
fn too_many_attempts_need_a_person_who_is_told_once() {
    let more = [
        "autonomy: auto",
        "limits: { attempts: 2, window: 1h, concurrency: 1, cooldown: 1m }",
        "verification: { that: bad < 0.5, holds_for: 30s, within: 1m }",
    ];
    let mut rig = gone_bad(&format!("{REGION}{}", playbook("fix", &more, &[TELL])));
    rig.run_for(30 * 60);
    assert_eq!(rig.count("run_opened"), 2);
    assert_eq!(told(&rig, Topic::AttemptsUsedUp), 1);
    assert!(rig.timeline(1).contains("2 runs in 1h, at most 2 are allowed"), "{}", rig.timeline(1));
}

#[test]
fn two_playbooks_for_one_target_have_one_lock_and_a_reason() {
    let yaml = format!(
        "{REGION}{}{}",
        playbook("fix", &["autonomy: auto", "priority: 10"], &[GROW]),
        playbook("mend", &["autonomy: auto", "priority: 90"], &[DRAIN]),
    );
    let mut rig = gone_bad(&yaml);
    rig.run_for(60);
    assert_eq!(rig.performed(), "drain web/4 on web\n", "the higher priority goes first");
    let verb = Verb::StartRun {
        playbook: "fix".parse().unwrap(),
        target: "web".parse().unwrap(),
        parameters: std::collections::BTreeMap::new(),
        is_dry: false,
        reason: "me first".to_owned(),
    };
    let answer = rig.ask_as("ana", verb).unwrap_err().to_string();
    assert!(answer.contains("run-1 of mend has the target"), "{answer}");
    assert_eq!(rig.count("request_refused"), 1);
    assert_eq!(rig.count("run_opened"), 1);
    sound(&rig);
}

#[test]
fn a_stuck_run_pages_and_blocks_its_target_until_a_person_has_looked() {
    use evenkeel_core::effect::EffectOutcome::{Done, Rejected};
    let mut rig = gone_bad(&auto(&[DRAIN]));
    rig.platform.fails.extend([Done, Rejected, Rejected, Rejected]);
    until(&mut rig, 60, "stuck", |it| {
        it.agent.state().healing().run(ONE).is_some_and(|it| it.phase.name() == "stuck")
    });
    assert_eq!(told(&rig, Topic::RunStuck), 1);
    rig.run_for(3_600);
    assert_eq!(rig.count("run_opened"), 1);
    let start = Verb::StartRun {
        playbook: "fix".parse().unwrap(),
        target: "web".parse().unwrap(),
        parameters: std::collections::BTreeMap::new(),
        is_dry: false,
        reason: "again".to_owned(),
    };
    assert!(rig.ask_as("ben", start.clone()).unwrap_err().to_string().contains("run-1 of fix"));
    rig.ask_as("ana", Verb::Abort { run: ONE, reason: "looked at it".to_owned() }).unwrap();
    assert_eq!(rig.phase(ONE), "ended: cleared");
    rig.ask_as("ben", start).unwrap();
    sound(&rig);
}

#[test]
fn an_undo_of_a_state_that_was_rejected_is_asked_for_again() {
    use evenkeel_core::effect::EffectOutcome::{Done, Rejected};
    let mut rig = gone_bad(&auto(&[DRAIN]));
    rig.platform.fails.extend([Done, Rejected, Rejected]);
    until(&mut rig, 60, "ended", |it| {
        it.agent.state().healing().run(ONE).is_some_and(|it| it.phase.is_terminal())
    });
    assert_eq!(rig.phase(ONE), "ended: rolled_back");
    assert_eq!(rig.platform.capacity[&"web".parse().unwrap()], Capacity(10));
    sound(&rig);
}

#[test]
fn a_long_run_that_ends_after_hundreds_of_newer_ones_is_still_known() {
    let gated = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 1 } }";
    let other = "
---
apiVersion: evenkeel/v1
kind: Target
metadata: { name: web2, labels: { tier: web } }
spec: { region: r, provider: { simulated: { service: web2 } }, capacity: { min: 2, max: 40 } }
";
    let mut rig = waiting(&format!("{}{other}", auto(&[gated])));
    let long = RunId(1);
    for _ in 0..=ENDED_KEPT {
        let verb = Verb::StartRun {
            playbook: "fix".parse().unwrap(),
            target: "web2".parse().unwrap(),
            parameters: BTreeMap::new(),
            is_dry: true,
            reason: "because".to_owned(),
        };
        rig.now += SignedDuration::from_millis(1);
        rig.ask_as("ana", verb).unwrap();
        rig.settle();
    }
    let verb = Verb::Deny { run: long, reason: "no".to_owned() };
    rig.ask_as("ben", verb).unwrap();
    rig.settle();
    assert_eq!(rig.phase(long), "ended: denied");
    assert!(rig.agent.state().healing().runs().len() <= ENDED_KEPT + 1);
}
