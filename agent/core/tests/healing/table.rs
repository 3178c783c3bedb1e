//! The whole transition table of a run, and what every verb does in every phase.
//!
//! **In:** runs put into each phase; every event, every outcome of an effect, every verb.
//! **Out:** two snapshots; a cell that is not in them cannot happen.
//! **Not here:** stories ([`crate::flow`]), crashes ([`crate::kills`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::expect_file;
use jiff::{SignedDuration, Timestamp};

use evenkeel_core::action::Action;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::{Actor, EffectId, IncidentId, RunId};
use evenkeel_core::request::{Expirable, OverrideAsked, Verb};
use evenkeel_core::run::{Approval, Phase, Run, RunEvent, StepPhase, Why};
use evenkeel_core::units::Capacity;

use crate::approvals::{is_waiting, say, waiting};
use crate::kit::{DRAIN, auto, gone_bad, until};
use crate::rig::{Rig, start};

const ONE: RunId = RunId(1);
const GATED: &str = "{ name: grow, set_capacity: { to: target.current * 1.5 }, undo: before, gate: { approvals: 1, expires_after: 20m } }";

/// What is asked for or has ended under this number.
const EFFECT: EffectId = EffectId(7);

fn ana() -> Actor {
    Actor::new("ana").unwrap()
}

fn soon() -> Timestamp {
    start() + SignedDuration::from_mins(30)
}

/// Each phase, with nothing touched where that can be and with step 0 touched where it must.
fn phases(run: &Run) -> Vec<(String, Run)> {
    let since = start();
    let ready = StepPhase::Ready { since };
    let sent = StepPhase::Sent { effect: EFFECT, since };
    let unknown = StepPhase::Unknown { effect: EFFECT, since, unknown_since: since };
    let waits = StepPhase::Waiting { since, until: soon() };
    let asked = || Phase::AwaitingApproval {
        step: 0,
        since,
        escalates_at: soon(),
        expires_at: soon(),
        is_escalated: false,
    };
    let why = || Why::NotVerified { detail: "no".to_owned() };
    let undoing = |at| Phase::Undoing { position: 0, at, why: why() };
    let over = evenkeel_core::run::Ending::Succeeded;
    let all = [
        ("planning", Phase::Planning { since }, false),
        ("awaiting", asked(), false),
        ("awaiting, touched", asked(), true),
        ("ready", Phase::Running { step: 0, at: ready.clone() }, false),
        ("ready, touched", Phase::Running { step: 0, at: ready.clone() }, true),
        ("sent", Phase::Running { step: 0, at: sent.clone() }, true),
        ("unknown", Phase::Running { step: 0, at: unknown.clone() }, true),
        ("waiting", Phase::Running { step: 0, at: waits }, false),
        ("ready, last", Phase::Running { step: 1, at: ready.clone() }, true),
        ("sent, last", Phase::Running { step: 1, at: sent.clone() }, true),
        ("verifying", Phase::Verifying { since, until: soon() }, true),
        ("verifying, untouched", Phase::Verifying { since, until: soon() }, false),
        ("undoing ready", undoing(ready), true),
        ("undoing sent", undoing(sent), true),
        ("undoing unknown", undoing(unknown), true),
        ("stuck", Phase::Stuck { step: 0, since, why: "no".to_owned() }, true),
        ("ended", Phase::Ended { ending: over, at: since }, true),
    ];
    let of = |(name, phase, is_touched): (&str, Phase, bool)| {
        let mut run = run.clone();
        run.phase = phase;
        run.touched = if is_touched { vec![0] } else { Vec::new() };
        run.n_sent = BTreeMap::from([(0, 1), (1, 1)]);
        run.n_undos_sent = BTreeMap::from([(0, 1)]);
        (name.to_owned(), run)
    };
    let mut phases: Vec<(String, Run)> = all.into_iter().map(of).collect();
    // What is on its way when somebody aborts, and what was lost too often.
    let variants: Vec<(String, Run)> = phases
        .iter()
        .filter(|(name, _)| name.contains("sent") || name.contains("unknown"))
        .flat_map(|(name, run)| {
            let mut aborted = run.clone();
            aborted.aborted = Some((ana(), "stop".to_owned()));
            let mut lost = run.clone();
            lost.n_sent = BTreeMap::from([(0, 3), (1, 3)]);
            lost.n_undos_sent = BTreeMap::from([(0, 3)]);
            let is_undo = name.contains("undoing");
            let aborted = (!is_undo).then(|| (format!("{name}, aborted"), aborted));
            [aborted, Some((format!("{name}, 3 times"), lost))].into_iter().flatten()
        })
        .collect();
    phases.extend(variants);
    phases
}

fn events(run: &Run) -> Vec<RunEvent> {
    let why = || "why".to_owned();
    let plan = Box::new(run.plan.clone().unwrap());
    let action = Action::SetCapacity { desired: Capacity(3) };
    let sent = |step, is_undo| RunEvent::Sent {
        step,
        is_undo,
        effect: EFFECT,
        action: action.clone(),
        before: None,
        takes_units: 0,
    };
    let approval = Approval {
        actor: ana(),
        at: start(),
        step: 0,
        plan_hash: plan.hash(),
        is_break_glass: false,
    };
    let (escalates_at, expires_at) = (soon(), soon());
    vec![
        RunEvent::Planned { plan },
        RunEvent::Refused { why: why() },
        RunEvent::ApprovalAsked { step: 0, escalates_at, expires_at },
        RunEvent::ApprovalEscalated,
        RunEvent::Approved { approval },
        RunEvent::GatePassed { step: 0 },
        RunEvent::GatePassed { step: 1 },
        RunEvent::Denied { actor: ana(), reason: why() },
        RunEvent::ApprovalExpired,
        RunEvent::PlanVoided { why: why() },
        sent(0, false),
        sent(0, true),
        sent(1, false),
        sent(1, true),
        RunEvent::ReadBack { effect: EFFECT, happened: true },
        RunEvent::ReadBack { effect: EFFECT, happened: false },
        RunEvent::ReadBack { effect: EffectId(8), happened: true },
        RunEvent::WaitBegan { step: 0, until: soon() },
        RunEvent::StepDone { step: 0, why: why() },
        RunEvent::StepDone { step: 1, why: why() },
        RunEvent::StepFailed { step: 0, why: why() },
        RunEvent::Verified,
        RunEvent::NotVerified { why: why() },
        RunEvent::Aborted { actor: ana(), reason: why() },
        RunEvent::TakenOver { actor: ana() },
        RunEvent::UndoSkipped { step: 0, why: why() },
        RunEvent::UndoFailed { step: 0, why: why() },
        RunEvent::UndoFailed { step: 1, why: why() },
        RunEvent::Reported,
    ]
}

fn told(event: &RunEvent) -> String {
    let of = match event {
        RunEvent::GatePassed { step }
        | RunEvent::StepDone { step, .. }
        | RunEvent::UndoFailed { step, .. } => format!(" of {step}"),
        RunEvent::Sent { step, is_undo, .. } => {
            format!("{} of {step}", if *is_undo { " undo" } else { "" })
        }
        RunEvent::ReadBack { effect, happened } => format!(" of {effect}: {happened}"),
        _ => String::new(),
    };
    format!("{}{of}", event.kind())
}

fn seen(run: &Run) -> String {
    let at = |at: &StepPhase| match at {
        StepPhase::Ready { .. } => "ready",
        StepPhase::Sent { .. } => "sent",
        StepPhase::Unknown { .. } => "unknown",
        StepPhase::Waiting { .. } => "waiting",
    };
    let aborted = if run.aborted.is_some() { ", aborted" } else { "" };
    match &run.phase {
        Phase::Running { step, at: step_at } => format!("running {step} {}{aborted}", at(step_at)),
        Phase::Undoing { position, at: step_at, .. } => {
            format!("undoing {position} {}", at(step_at))
        }
        Phase::Ended { ending, .. } => format!("ended: {}", ending.name()),
        other => other.name().to_owned(),
    }
}

#[test]
fn the_transition_table_of_a_run() {
    let run = waiting(&auto(&[GATED, &DRAIN.replace("eject", "later")])).run(ONE).clone();
    let now = start() + SignedDuration::from_mins(1);
    let mut table = String::new();
    for (name, before) in phases(&run) {
        let mut n_impossible = 0;
        for event in events(&run) {
            let mut after = before.clone();
            match after.apply(now, &event) {
                Ok(()) => writeln!(table, "{name} + {} -> {}", told(&event), seen(&after)).unwrap(),
                Err(impossible) => {
                    n_impossible += 1;
                    assert_eq!(impossible.event, event.kind());
                    assert_eq!(after, before, "an impossible event changes nothing");
                }
            }
        }
        for outcome in [EffectOutcome::Done, EffectOutcome::Rejected, EffectOutcome::Unknown] {
            let mut after = before.clone();
            match after.finish_effect(now, EFFECT, outcome, "detail") {
                Ok(()) => writeln!(table, "{name} + effect {outcome} -> {}", seen(&after)).unwrap(),
                Err(_) => {
                    n_impossible += 1;
                    assert_eq!(after, before);
                }
            }
            let other = before.clone().finish_effect(now, EffectId(8), outcome, "detail");
            assert!(other.is_err(), "the end of another run's effect");
        }
        writeln!(table, "{name}: {n_impossible} are impossible").unwrap();
    }
    expect_file!["transitions.txt"].assert_eq(&table);
}

/// A rig whose first run is in the phase of that name.
fn at(phase: &str) -> Rig {
    let verifies = |it: &Rig| it.phase(ONE) == "verifying";
    let wait = "{ name: settle, wait_for: { condition: bad < 0.1, within: 30m } }";
    match phase {
        "planning" => {
            let mut rig = gone_bad(&auto(&[DRAIN]));
            rig.platform.looks_fail = Some("no answer".to_owned());
            until(&mut rig, 9, "opened", |it| it.count("run_opened") == 1);
            rig
        }
        "awaiting" => waiting(&auto(&[GATED])),
        "sent" => sent(gone_bad(&auto(&[DRAIN])), "step_sent", 1),
        "unknown" => {
            let mut rig = sent(gone_bad(&auto(&[DRAIN])), "step_sent", 1);
            rig.platform.looks_fail = Some("no answer".to_owned());
            rig.platform.fails.push_back(EffectOutcome::Unknown);
            rig.settle();
            rig
        }
        "waiting" => {
            let mut rig = gone_bad(&auto(&[DRAIN, wait]));
            until(&mut rig, 9, "waiting", |it| it.count("wait_began") == 1);
            rig
        }
        "verifying" => {
            let mut rig = gone_bad(&auto(&[DRAIN]));
            until(&mut rig, 9, "verifying", |it| it.count("run_opened") == 1 && verifies(it));
            rig
        }
        "undoing" => {
            let mut rig = gone_bad(&auto(&[DRAIN]));
            until(&mut rig, 9, "verifying", |it| it.count("run_opened") == 1 && verifies(it));
            sent(rig, "step_sent", 2)
        }
        "stuck" => {
            let mut rig = gone_bad(&auto(&[DRAIN]));
            rig.platform.fails.push_back(EffectOutcome::Done);
            rig.platform.fails.extend([EffectOutcome::Rejected; 3]);
            until(&mut rig, 60, "stuck", |it| {
                it.count("run_opened") == 1 && it.phase(ONE) == "stuck"
            });
            rig
        }
        "ended" => {
            let mut rig = waiting(&auto(&[GATED]));
            rig.ask_as("ana", Verb::Deny { run: ONE, reason: String::new() }).unwrap();
            rig.settle();
            rig
        }
        "touched" => {
            let mut rig = gone_bad(&auto(&[DRAIN, GATED]));
            until(&mut rig, 20, "waiting", |it| it.count("run_opened") == 1 && is_waiting(it));
            rig
        }
        other => panic!("{other}"),
    }
}

/// Looks are answered, effects are not, until the journal has so many intents.
#[track_caller]
fn sent(mut rig: Rig, kind: &str, n: usize) -> Rig {
    for _ in 0..60 {
        if rig.count(kind) == n {
            return rig;
        }
        rig.now += SignedDuration::from_secs(15);
        rig.look_at_all();
        rig.settle_looks();
    }
    panic!("never sent:\n{}", rig.timeline(1));
}

fn verbs(rig: &Rig) -> Vec<(&'static str, Verb)> {
    let plan_hash = rig.run(ONE).plan.as_ref().map(|it| it.hash()).unwrap_or_default();
    let reason = || "because".to_owned();
    let set = |kind| Verb::SetOverride {
        kind,
        scope: "web".parse().unwrap(),
        duration: Some(SignedDuration::from_hours(1)),
        reason: reason(),
    };
    let glass = |is_break_glass| Verb::Approve {
        run: ONE,
        plan_hash: plan_hash.clone(),
        is_break_glass,
        reason: reason(),
    };
    let start = |is_dry| Verb::StartRun {
        playbook: "fix".parse().unwrap(),
        target: "web".parse().unwrap(),
        parameters: BTreeMap::new(),
        is_dry,
        reason: reason(),
    };
    let scope = "web".parse().unwrap();
    vec![
        ("approve", glass(false)),
        ("approve by break-glass", glass(true)),
        ("deny", Verb::Deny { run: ONE, reason: reason() }),
        ("abort", Verb::Abort { run: ONE, reason: reason() }),
        ("takeover", set(OverrideAsked::Takeover)),
        ("freeze", set(OverrideAsked::Freeze)),
        ("playbook run", start(false)),
        ("playbook run --dry-run", start(true)),
        ("acknowledge", Verb::Acknowledge { incident: IncidentId(1) }),
        ("handback", Verb::HandBack { scope, reason: reason() }),
        ("review", Verb::Review { run: ONE, note: reason() }),
        (
            "expire",
            Verb::Expire { which: Expirable::WithScope("web".parse().unwrap()), reason: reason() },
        ),
    ]
}

#[test]
fn every_verb_in_every_phase_is_enforced_or_refused_with_a_reason() {
    let phases = [
        "planning",
        "awaiting",
        "touched",
        "sent",
        "unknown",
        "waiting",
        "verifying",
        "undoing",
        "stuck",
        "ended",
    ];
    let mut table = String::new();
    for phase in phases {
        let n_verbs = verbs(&at(phase)).len();
        for number in 0..n_verbs {
            let mut rig = at(phase);
            let (word, verb) = verbs(&rig).swap_remove(number);
            let before = rig.run(ONE).clone();
            let n_records = rig.journal.len();
            let answer = say(&mut rig, "ana", verb);
            assert_ne!(answer, "");
            if answer == "yes" {
                let kinds: Vec<&str> =
                    rig.journal[n_records..].iter().map(|it| it.kind()).collect();
                let now = seen(rig.run(ONE));
                writeln!(table, "{phase} + {word}: {now} ({})", kinds.join(", ")).unwrap();
            } else {
                assert_eq!(*rig.run(ONE), before, "a refused verb changes nothing");
                writeln!(table, "{phase} + {word}: REFUSED {answer}").unwrap();
            }
        }
    }
    assert_eq!(table.lines().count(), 10 * 12, "no cell is empty");
    expect_file!["verbs.txt"].assert_eq(&table);
}
