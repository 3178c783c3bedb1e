//! Healing, whole and on real parts: a service in three copies behind a real HAProxy,
//! watched by a real Prometheus; the daemon's binary, and the command line's as people.
//!
//! Needs `prometheus` and `haproxy`; `make test-parts` installs both.

mod platform;
mod stage;

use std::time::Duration;

use evenkeel_testbed::wait_until;
use serde_json::Value;
use stage::{SERVICE, SOON, Stage};

/// The copy that hangs.
const HUNG: &str = "copy-2";

/// The others.
const OTHERS: [&str; 2] = ["copy-1", "copy-3"];

/// Longest time until an incident is resolved: its symptom has to be gone for a minute.
const RESOLVED: Duration = Duration::from_secs(180);

/// The promise of the agent.
const DETECTED_WITHIN_SECONDS: f64 = 120.0;

/// Lets a copy hang and waits until the agent asks for a person; the run.
#[track_caller]
fn hang(stage: &Stage) -> Run {
    stage.platform.hang(HUNG);
    waiting(stage)
}

struct Run {
    id: String,
    plan_hash: String,
    incident: String,
}

#[track_caller]
fn waiting(stage: &Stage) -> Run {
    let run = stage.wait_phase("awaiting_approval");
    let text = |field: &str| run[field].as_str().unwrap_or_default().to_owned();
    Run { id: text("id"), plan_hash: text("plan_hash"), incident: text("incident") }
}

impl Run {
    fn approve(&self) -> [&str; 4] {
        ["approve", &self.id, "--plan", &self.plan_hash]
    }
}

#[track_caller]
fn assert_healed(stage: &Stage, run: &Run) {
    let ended = stage.wait_phase("ended");
    assert_eq!(ended["id"], run.id.as_str());
    assert_eq!(ended["ending"], "succeeded", "{ended}{}", stage.log());
    assert_eq!(stage.platform.replaced(), [HUNG], "replaced once, and nobody else");
    assert_eq!(stage.haproxy.status(HUNG), "UP");
    stage.wait_served(HUNG);
    stage.enforced(&["audit", "verify"]);
    assert_eq!(stage.platform.faults(), Vec::<String>::new());
}

#[test]
fn a_hung_copy_is_found_ejected_replaced_with_a_persons_yes_and_verified() {
    let stage = Stage::start();
    assert!(stage.enforced(&["incidents"]).stdout.contains("no incidents"));
    let pid = stage.platform.pid(HUNG);

    // It notices, and does by itself what can be taken back.
    let run = hang(&stage);
    assert_eq!(stage.haproxy.status(HUNG), "DRAIN");
    let n_before = stage.n_served(HUNG);
    for other in OTHERS {
        stage.wait_served(other);
        stage.wait_served(other);
        assert_eq!(stage.haproxy.status(other), "UP");
    }
    assert_eq!(stage.n_served(HUNG), n_before, "a drained copy gets no requests");
    assert_eq!(stage.platform.replaced(), Vec::<String>::new());

    // A person sees what it waits for; not everybody may answer, and not to another plan.
    let shown = stage.enforced(&["incidents"]);
    assert!(shown.stdout.contains("awaiting_approval"), "{shown:?}");
    assert!(shown.stderr.contains(&run.plan_hash), "{shown:?}");
    let shown = stage.enforced(&["incidents", &run.incident]);
    assert!(shown.stdout.contains(&format!("restart {HUNG}")), "{shown:?}");
    let refused = stage.as_viewer(&run.approve());
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("vera@example.com"), "{refused:?}");
    let refused = stage.evenkeel(&["approve", &run.id, "--plan", "0123456789abcdef"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("plan"), "{refused:?}");
    assert_eq!(stage.platform.replaced(), Vec::<String>::new());
    assert_eq!(stage.run()["phase"], "awaiting_approval");

    stage.enforced(&run.approve());
    assert_healed(&stage, &run);
    assert_ne!(stage.platform.pid(HUNG), pid);

    // The incident ends when the symptom has stayed away.
    let incident = || stage.incidents()["incidents"][0].clone();
    wait_until(RESOLVED, "the incident is resolved", || incident()["state"] == "resolved");
    let incident = incident();
    assert_eq!(incident["id"], run.incident.as_str());
    let seconds = |field: &str| incident[field].as_f64().unwrap_or(f64::INFINITY);
    assert!(seconds("mttd_seconds") < DETECTED_WITHIN_SECONDS, "{incident}");
    assert!(seconds("mtta_seconds") <= seconds("mttr_seconds"), "{incident}");
    assert!(seconds("mttr_seconds").is_finite(), "{incident}");
    let page = stage.enforced(&["incidents", &run.incident, "--export", "-"]).stdout;
    for wanted in ["ana@example.com", "hung-copy", &run.id, &run.plan_hash] {
        assert!(page.contains(wanted), "`{wanted}` is not in\n{page}");
    }
    // MTTD, MTTA, MTTR.
    for row in ["| Detected |", "| Acknowledged |", "| Resolved |"] {
        let took = page.lines().find(|it| it.starts_with(row) && it.contains("(after "));
        assert!(took.is_some(), "no time in `{row}` in\n{page}");
    }

    // Those who do not look are told, each once.
    for topic in ["incident_opened", "approval_wanted", "incident_resolved"] {
        wait_until(SOON, topic, || stage.platform.notice(topic).is_some());
        let topics = stage.platform.topics();
        assert_eq!(topics.iter().filter(|it| *it == topic).count(), 1, "{topics:?}");
    }
    let asked = stage.platform.notice("approval_wanted").unwrap_or(Value::Null).to_string();
    assert!(asked.contains(&run.plan_hash) && asked.contains("gray-node.md"), "{asked}");
    stage.enforced(&["audit", "verify"]);
    assert_eq!(stage.platform.faults(), Vec::<String>::new(), "every request was signed");
}

#[test]
fn a_freeze_while_it_waits_refuses_the_approval_and_says_why() {
    let stage = Stage::start();
    let run = hang(&stage);
    stage.enforced(&["freeze", SERVICE, "--for", "1h", "--reason", "database failover"]);
    let refused = stage.evenkeel(&run.approve());
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("database failover"), "{refused:?}");
    assert_eq!(stage.platform.replaced(), Vec::<String>::new());
    assert_eq!(stage.run()["phase"], "awaiting_approval");

    stage.enforced(&["expire", SERVICE, "--reason", "failover is done"]);
    let run = waiting(&stage);
    stage.enforced(&run.approve());
    assert_healed(&stage, &run);
}

#[test]
fn a_daemon_that_is_killed_while_it_waits_and_while_it_acts_replaces_once() {
    let mut stage = Stage::start();
    let before = hang(&stage);
    stage.kill_daemon();
    assert_eq!(stage.haproxy.status(HUNG), "DRAIN", "what it did stays while it is away");
    stage.start_daemon();
    let run = waiting(&stage);
    assert_eq!((&run.id, &run.plan_hash), (&before.id, &before.plan_hash), "the same question");

    stage.platform.hold_answers();
    stage.enforced(&run.approve());
    // Done, and the answer is on its way; it never arrives.
    wait_until(SOON, "the platform has acted", || stage.platform.n_held() == 1);
    stage.kill_daemon();
    stage.platform.release();
    stage.start_daemon();
    assert_healed(&stage, &run);
}
