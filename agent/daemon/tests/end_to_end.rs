//! The one complete path, on real parts: Prometheus scrapes a load, the daemon
//! decides, an Auto Scaling group follows, and people have the last word.
//!
//! Needs `prometheus` and moto's server; `make test-parts` installs both.

mod support;

use evenkeel_testbed::{Process, wait_until};
use support::{Rig, SET, SOON};

#[test]
fn a_group_follows_the_load_up_and_down_and_the_log_verifies() {
    let mut rig = Rig::start("follow", 2, 20.0);
    rig.set_load(75.0);
    rig.wait_capacity(8);
    rig.set_load(40.0);
    rig.wait_capacity(4);
    rig.set_load(60.0);
    rig.wait_capacity(6);
    assert_eq!((rig.n_set(8), rig.n_set(4), rig.n_set(6)), (1, 1, 1), "one request per change");

    let explained = rig.enforced(&["explain", "follow"]);
    assert!(explained.stdout.contains("`load` is 60"), "{explained:?}");
    let history = rig.enforced(&["history", "follow"]);
    assert!(history.stdout.contains("6"), "{history:?}");

    rig.enforced(&["audit", "verify"]);
    assert_eq!(rig.stop_daemon(), 0, "an orderly stop");
    let store = rig.store();
    let verified = rig.enforced(&["audit", "verify", "--store", &store.display().to_string()]);
    assert!(!verified.stdout.is_empty());
    // A copy elsewhere, without the daemon and without its write-ahead log.
    let copy = rig.path("copy.db");
    std::fs::copy(&store, &copy).expect("a copy");
    rig.enforced(&["audit", "verify", "--store", &copy.display().to_string()]);
    let mut bytes = std::fs::read(&copy).expect("the copy");
    let place = find(&bytes, b"scaling 2 -").expect("a record says why");
    bytes[place] = b'S';
    std::fs::write(&copy, bytes).expect("the copy");
    let tampered = rig.evenkeel(&["audit", "verify", "--store", &copy.display().to_string()]);
    assert_eq!(tampered.status, 1, "{tampered:?}");
}

#[test]
fn a_freeze_stops_the_group_within_a_period_and_expiring_it_resumes() {
    let rig = Rig::start("frozen", 3, 30.0);
    let frozen = rig.enforced(&[
        "freeze",
        "frozen",
        "--for",
        "1h",
        "--reason",
        "database failover",
        "--output",
        "json",
    ]);
    let answer: serde_json::Value = serde_json::from_str(&frozen.stdout).expect("JSON");
    assert_eq!(answer["enforced"], true);
    assert_eq!(answer["override"]["kind"], "freeze");
    let n_before = rig.proxy.count_matching(SET);
    rig.set_load(90.0);
    wait_until(SOON, "the agent sees the load and says why it does not act", || {
        rig.target()["next_action"].as_str().unwrap_or_default().contains("database failover")
    });
    rig.wait_evaluations(3);
    assert_eq!(rig.proxy.count_matching(SET), n_before, "no effect during a freeze");
    assert_eq!(rig.capacity(), 3);
    let status = rig.target();
    assert_eq!(status["mode"], "freeze");
    assert_eq!(status["desired"], 9);

    let id = answer["override"]["id"].as_str().expect("an id").to_owned();
    rig.enforced(&["expire", &id, "--reason", "failover is done"]);
    rig.wait_capacity(9);
    // Over is over.
    let again = rig.evenkeel(&["expire", &id]);
    assert_eq!(again.status, 1, "{again:?}");
}

#[test]
fn a_freeze_survives_a_restart() {
    let mut rig = Rig::start("restarted", 3, 30.0);
    rig.enforced(&["freeze", "all", "--for", "1h", "--reason", "migration"]);
    rig.kill_daemon();
    rig.set_load(90.0);
    rig.start_daemon();
    rig.wait_evaluations(3);
    assert_eq!(rig.target()["mode"], "freeze");
    assert_eq!(rig.capacity(), 3);
    assert_eq!(rig.proxy.count_matching(SET), 0);
}

#[test]
fn a_pin_and_a_hold_and_no_scale_down_do_what_they_say() {
    let rig = Rig::start("pinned", 4, 40.0);
    rig.enforced(&["pin", "pinned", "--capacity", "7", "--for", "1h", "--reason", "load test"]);
    rig.wait_capacity(7);
    let outside = rig.evenkeel(&["pin", "pinned", "--capacity", "13", "--reason", "too many"]);
    assert_eq!(outside.status, 1, "{outside:?}");
    assert!(outside.stderr.contains("13") && outside.stderr.contains("1..12"), "{outside:?}");
    rig.enforced(&["expire", "pinned"]);
    rig.wait_capacity(4);

    rig.enforced(&["no-scale-down", "pinned", "--reason", "sale"]);
    rig.set_load(60.0);
    rig.wait_capacity(6);
    rig.set_load(30.0);
    wait_until(SOON, "it would shrink but must not", || {
        rig.target()["next_action"].as_str().unwrap_or_default().contains("no scale-down")
    });
    assert_eq!(rig.capacity(), 6);
    rig.enforced(&["hold", "tier=web", "--reason", "looking at it"]);
    rig.set_load(100.0);
    wait_until(SOON, "it would grow but is held", || {
        rig.target()["next_action"].as_str().unwrap_or_default().contains("looking at it")
    });
    rig.wait_evaluations(2);
    assert_eq!(rig.capacity(), 6);
}

#[test]
fn killed_after_aws_acted_the_change_is_neither_lost_nor_repeated() {
    let mut rig = Rig::start("acted", 2, 20.0);
    rig.proxy.hold_responses_matching(SET);
    rig.set_load(80.0);
    // AWS has done it; the answer is on its way and never arrives.
    rig.proxy.wait_until_held(1, SOON);
    assert_eq!(rig.capacity(), 8);
    rig.kill_daemon();
    rig.proxy.release();
    rig.start_daemon();
    wait_until(SOON, "it is read back", || {
        rig.record_kinds().contains(&"effect_read_back".to_owned())
    });
    rig.wait_evaluations(3);
    assert_eq!(rig.n_set(8), 1, "not repeated");
    assert_eq!(rig.capacity(), 8, "not lost");
    assert_eq!(rig.target()["mode"], "auto", "its own effect is no change from outside");
    rig.enforced(&["audit", "verify"]);
}

#[test]
fn killed_before_aws_acted_the_change_is_made_once() {
    let mut rig = Rig::start("unacted", 2, 20.0);
    rig.proxy.hold_requests_matching(SET);
    rig.set_load(80.0);
    rig.proxy.wait_until_held(1, SOON);
    assert_eq!(rig.capacity(), 2);
    rig.kill_daemon();
    // What was on its way is lost with the connection; only the new daemon's counts.
    let group = rig.group.clone();
    rig.proxy.clear_rules();
    rig.start_daemon();
    rig.wait_capacity(8);
    rig.wait_evaluations(2);
    let kinds = rig.record_kinds();
    let n_planned = kinds.iter().filter(|it| *it == "effect_planned").count();
    assert_eq!(n_planned, 2, "the lost one and its successor: {kinds:?}");
    assert!(kinds.contains(&"effect_read_back".to_owned()), "{kinds:?}");
    assert_eq!(rig.target()["target"], group.as_str());
    rig.enforced(&["audit", "verify"]);
}

#[test]
fn the_break_glass_file_freezes_without_the_api() {
    let rig = Rig::start("glass", 3, 30.0);
    std::fs::write(rig.path("freeze"), "ana: hands off\n").expect("a file");
    wait_until(SOON, "it is seen", || rig.target()["mode"] == "break_glass");
    rig.set_load(90.0);
    wait_until(SOON, "it is said", || {
        rig.target()["next_action"].as_str().unwrap_or_default().contains("hands off")
    });
    rig.wait_evaluations(2);
    assert_eq!(rig.proxy.count_matching(SET), 0);
    std::fs::remove_file(rig.path("freeze")).expect("the file");
    rig.wait_capacity(9);
}

#[test]
fn a_prometheus_that_is_down_or_lies_costs_no_capacity() {
    let mut rig = Rig::start("blind", 6, 60.0);
    rig.wait_evaluations(5);
    // Lying: the exporter restarts and counts from zero.
    rig.set_load(0.0);
    wait_until(SOON, "the drop is suspect", || {
        rig.target()["next_action"].as_str().unwrap_or_default().contains("sudden drop")
    });
    rig.wait_evaluations(5);
    assert_eq!(rig.capacity(), 6);
    rig.set_load(60.0);
    // Slow, then down.
    rig.prometheus.pause();
    wait_until(SOON, "it is missing", || {
        rig.target()["next_action"].as_str().unwrap_or_default().contains("no usable signal")
    });
    rig.prometheus.resume();
    rig.prometheus.stop();
    rig.wait_evaluations(2);
    assert_eq!(rig.capacity(), 6);
    rig.prometheus.start_again();
    rig.set_load(80.0);
    rig.wait_capacity(8);
    assert_eq!(rig.proxy.count_matching(SET), 1, "only the growth at the end");
}

#[test]
fn a_change_by_hand_is_left_alone_until_a_person_resumes() {
    let rig = Rig::start("byhand", 3, 30.0);
    rig.change_outside(10);
    wait_until(SOON, "it is noticed", || rig.target()["mode"] == "hold");
    rig.wait_evaluations(6);
    assert_eq!(rig.capacity(), 10, "the agent does not wrestle with people");
    rig.enforced(&["expire", "byhand"]);
    rig.wait_capacity(3);
}

#[test]
fn bad_documents_leave_the_last_good_ones_in_force() {
    let mut rig = Rig::start("reloaded", 2, 20.0);
    rig.write_documents("---\napiVersion: evenkeel/v1\nkind: Guardrail\nmetadata: { name: x }\nspec: { selecter: {} }\n");
    wait_until(SOON, "the fault is said", || rig.get("/v1/status").contains("selecter"));
    rig.set_load(50.0);
    rig.wait_capacity(5);
    // Also over a restart: the region is not left without its agent.
    assert_eq!(rig.stop_daemon(), 0);
    rig.start_daemon();
    assert!(rig.get("/v1/status").contains("selecter"));
    rig.set_load(70.0);
    rig.wait_capacity(7);
    rig.write_documents("---\napiVersion: evenkeel/v1\nkind: Guardrail\nmetadata: { name: x }\nspec: { selector: { everything: true }, protected: true }\n");
    rig.daemon.as_mut().expect("the daemon").signal(evenkeel_testbed::process::Signal::HUP);
    wait_until(SOON, "the good ones are in force", || rig.target()["mode"] == "protected");
    rig.daemon.as_mut().expect("the daemon").wait_output(SOON, "SIGHUP");
    assert!(!rig.get("/v1/status").contains("selecter"));
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused() {
    let rig = Rig::start("single", 2, 20.0);
    // Its own socket, so that only the store is shared.
    let config = std::fs::read_to_string(rig.path("evenkeeld.yaml")).expect("the configuration");
    let other = config.replace("evenkeel.sock", "other.sock");
    std::fs::write(rig.path("other.yaml"), other).expect("a configuration");
    let program = evenkeel_testbed::process::Program::new(env!("CARGO_BIN_EXE_evenkeeld"))
        .arg("--config")
        .arg(rig.path("other.yaml"));
    let mut second = Process::start(&program);
    assert_eq!(second.wait_exit(SOON).code(), Some(1));
    let pid = rig.daemon.as_ref().expect("the first").pid().to_string();
    assert!(second.stderr().contains(&pid), "{}", second.stderr());
    rig.wait_evaluations(1);
}

#[test]
fn throttling_is_tried_again_by_the_next_evaluation_only() {
    let rig = Rig::start("throttled", 2, 20.0);
    rig.proxy.answer_aws_error(SET, 2, 400, "Throttling");
    rig.set_load(80.0);
    rig.wait_capacity(8);
    assert_eq!(rig.n_set(8), 3, "two refused, one done");
    let kinds = rig.record_kinds();
    let n_planned = kinds.iter().filter(|it| *it == "effect_planned").count();
    assert_eq!(n_planned, 3, "each has its own record: {kinds:?}");
}

#[test]
fn a_full_disk_stops_the_agent_and_loses_nothing_that_was_acknowledged() {
    let mut rig = Rig::start("full", 2, 20.0);
    assert_eq!(rig.stop_daemon(), 0);
    // The limit is on the size of one file: the journal's and its log's.
    let program = rig.program();
    let limited = evenkeel_testbed::process::Program::new("/bin/sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 300; exec \"$@\"")
        .arg("sh")
        .args(program.words())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let mut limited = Process::start(&limited);
    wait_until(SOON, "it answers", || rig.target()["evaluated_at"].is_string());
    let mut acknowledged = Vec::new();
    let reason = "x".repeat(400);
    let refused = loop {
        assert!(acknowledged.len() < 10_000, "the disk never filled");
        let said = rig.evenkeel(&["hold", "full", "--reason", &reason, "--output", "json"]);
        if said.status != 0 {
            break said;
        }
        let answer: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
        let id = answer["override"]["id"].as_str().expect("an id").to_owned();
        acknowledged.push(id.clone());
        if rig.evenkeel(&["expire", &id]).status != 0 {
            break said;
        }
    };
    assert_ne!(limited.wait_exit(SOON).code(), Some(0), "{refused:?}");
    let log = limited.stderr();
    assert!(log.contains("the journal failed") && log.contains("hint:"), "{log}");
    drop(limited);
    rig.start_daemon();
    let exported = rig.enforced(&["audit", "export"]).stdout;
    for id in &acknowledged {
        assert!(exported.contains(&format!("\"{id}\"")), "{id} was acknowledged and is lost");
    }
    rig.enforced(&["audit", "verify"]);
    assert!(!acknowledged.is_empty());
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}
