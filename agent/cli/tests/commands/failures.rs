//! Refused, failed, not reachable, unknown: each says which, and what now.

use std::os::unix::fs::PermissionsExt as _;

use expect_test::{Expect, expect};

use crate::agent::{Agent, Reply};
use crate::command::Scene;

/// Runs `line` against an agent that replies to everything with `reply`.
#[track_caller]
fn check(reply: Reply, line: &str, expected: &Expect) {
    let scene = Scene::new();
    let agent = Agent::start(scene.dir.path().join("a.sock"), &[("", reply)]);
    scene.check(&format!("{line} --socket a.sock"), expected);
    assert_eq!(agent.asked().lines().count(), 1, "asked once, never again");
}

fn answer(status: u16, error: &str, hint: &str) -> Reply {
    Reply::Answer(status, serde_json::json!({ "error": error, "hint": hint }).to_string())
}

const FREEZE: &str = "freeze checkout-api --reason failover";

#[test]
fn a_refusal_is_exit_1_with_the_hint() {
    let refusals = [
        (401, "uid 1000 is not known to any `Access` document", "ask an admin to add you"),
        (403, "ana has no role `operator`", "an admin can grant `operator`"),
        (404, "scope `chekout-api` covers no target", "check field `scope`"),
        (409, "ov-3 is over", ""),
        (422, "an override needs a reason", "set field `reason`"),
        (429, "too many requests", "wait 3 s"),
    ];
    let mut table = String::new();
    for (status, error, hint) in refusals {
        let scene = Scene::new();
        let reply = answer(status, error, hint);
        let _agent = Agent::start(scene.dir.path().join("a.sock"), &[("", reply)]);
        table.push_str(&scene.said(&format!("{FREEZE} --socket a.sock")));
    }
    expect![[r#"
        exit 1
        stderr:
        refused: uid 1000 is not known to any `Access` document

        hint: ask an admin to add you
        exit 1
        stderr:
        refused: ana has no role `operator`

        hint: an admin can grant `operator`
        exit 1
        stderr:
        refused: scope `chekout-api` covers no target

        hint: check field `scope`
        exit 1
        stderr:
        refused: ov-3 is over
        exit 1
        stderr:
        refused: an override needs a reason

        hint: set field `reason`
        exit 1
        stderr:
        refused: too many requests

        hint: wait 3 s
    "#]]
    .assert_eq(&table);
}

#[test]
fn what_the_agent_could_not_do_has_not_happened() {
    let busy = || answer(503, "the agent is busy", "nothing has changed: try again");
    check(
        busy(),
        FREEZE,
        &expect![[r#"
        exit 1
        stderr:
        failed: the agent is busy

        hint: nothing has changed: try again

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]],
    );
    check(
        busy(),
        "status",
        &expect![[r#"
        exit 1
        stderr:
        failed: the agent is busy

        hint: nothing has changed: try again
    "#]],
    );
    check(
        answer(500, "the disk is full", "free space"),
        FREEZE,
        &expect![[r#"
        exit 1
        stderr:
        failed: the disk is full

        hint: free space

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]],
    );
}

#[test]
fn a_change_without_an_answer_is_unknown_and_says_how_to_check() {
    let late = answer(504, "the agent did not answer in time", "look at `evenkeel status`");
    check(
        late,
        FREEZE,
        &expect![[r#"
        exit 3
        stderr:
        error: no answer from the agent at `a.sock`: it is unknown whether this took effect
          cause: 504 Gateway Timeout: the agent did not answer in time

        hint: check before you repeat it: `evenkeel status` lists every override in force, `evenkeel history --limit 10` what was recorded last

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]],
    );
    check(
        Reply::Silence,
        "freeze checkout-api --reason failover --timeout 1s",
        &expect![[r#"
            exit 3
            stderr:
            error: no answer from the agent at `a.sock`: it is unknown whether this took effect
              cause: operation timed out

            hint: check before you repeat it: `evenkeel status` lists every override in force, `evenkeel history --limit 10` what was recorded last

            break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
              the file is named `break_glass_file` in the agent's configuration; remove it to go on
        "#]],
    );
    check(
        Reply::HangUp,
        FREEZE,
        &expect![[r#"
            exit 3
            stderr:
            error: no answer from the agent at `a.sock`: it is unknown whether this took effect
              cause: connection closed before message completed

            hint: check before you repeat it: `evenkeel status` lists every override in force, `evenkeel history --limit 10` what was recorded last

            break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
              the file is named `break_glass_file` in the agent's configuration; remove it to go on
        "#]],
    );
    check(
        Reply::CutOff("{\"enforced\":".to_owned()),
        FREEZE,
        &expect![[r#"
            exit 3
            stderr:
            error: no answer from the agent at `a.sock`: it is unknown whether this took effect
              cause: end of file before message length reached

            hint: check before you repeat it: `evenkeel status` lists every override in force, `evenkeel history --limit 10` what was recorded last

            break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
              the file is named `break_glass_file` in the agent's configuration; remove it to go on
        "#]],
    );
    check(
        Reply::Answer(200, "<html>".to_owned()),
        FREEZE,
        &expect![[r#"
        exit 3
        stderr:
        error: no answer from the agent at `a.sock`: it is unknown whether this took effect
          cause: expected value at line 1 column 1

        hint: check before you repeat it: `evenkeel status` lists every override in force, `evenkeel history --limit 10` what was recorded last

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]],
    );
    check(
        Reply::Answer(502, "<html>".to_owned()),
        "expire ov-1",
        &expect![[r#"
        exit 3
        stderr:
        error: no answer from the agent at `a.sock`: it is unknown whether this took effect
          cause: it answered 502 Bad Gateway

        hint: check before you repeat it: `evenkeel status` lists every override in force, `evenkeel history --limit 10` what was recorded last

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]],
    );
}

#[test]
fn a_question_without_an_answer_is_just_that() {
    check(
        Reply::Silence,
        "status --timeout 1s",
        &expect![[r#"
            exit 3
            stderr:
            error: the agent at `a.sock` did not answer in full
              cause: operation timed out

            hint: ask again, with `--timeout 60s` if it is slow; `evenkeel status` shows whether it answers at all

            break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
              the file is named `break_glass_file` in the agent's configuration; remove it to go on
        "#]],
    );
    check(
        answer(504, "late", ""),
        "explain cart",
        &expect![[r#"
        exit 3
        stderr:
        error: the agent at `a.sock` did not answer in full
          cause: 504 Gateway Timeout: late

        hint: ask again, with `--timeout 60s` if it is slow; `evenkeel status` shows whether it answers at all

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]],
    );
    check(
        Reply::CutOff("{\"seq\":1}\n".to_owned()),
        "audit export",
        &expect![[r#"
            exit 3
            stdout:
            {"seq":1}
            stderr:
            error: the agent at `a.sock` did not answer in full
              cause: end of file before message length reached

            hint: ask again, with `--timeout 60s` if it is slow; `evenkeel status` shows whether it answers at all

            break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
              the file is named `break_glass_file` in the agent's configuration; remove it to go on
        "#]],
    );
}

#[test]
fn who_is_no_agent_is_told_apart() {
    check(
        Reply::Answer(200, "<html>".to_owned()),
        "status",
        &expect![[r#"
        exit 1
        stderr:
        error: the answer from `a.sock` is not one of evenkeeld: expected value at line 1 column 1

        hint: check that the address is that of evenkeeld, and that `evenkeel --version` matches its version
    "#]],
    );
    check(
        Reply::Answer(404, "<html>".to_owned()),
        "history",
        &expect![[r#"
        exit 1
        stderr:
        error: the answer from `a.sock` is not one of evenkeeld: it answered 404 Not Found

        hint: check that the address is that of evenkeeld, and that `evenkeel --version` matches its version
    "#]],
    );
    check(
        Reply::Answer(302, String::new()),
        FREEZE,
        &expect![[r#"
        exit 1
        stderr:
        error: the answer from `a.sock` is not one of evenkeeld: it answered 302 Found

        hint: check that the address is that of evenkeeld, and that `evenkeel --version` matches its version
    "#]],
    );
}

#[test]
fn without_an_agent_the_break_glass_line_is_printed() {
    let scene = Scene::new();
    scene.check("freeze all --reason fire --socket a.sock", &expect![[r#"
        exit 3
        stderr:
        error: the agent cannot be reached at `a.sock`
          cause: No such file or directory (os error 2)

        hint: is it running on this host? `systemctl status evenkeeld`; for another socket or host give `--socket PATH` or `--url https://HOST`

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]]);
    scene.check("status --output json --socket a.sock", &expect![[r#"
        exit 3
        stderr:
        error: the agent cannot be reached at `a.sock`
          cause: No such file or directory (os error 2)

        hint: is it running on this host? `systemctl status evenkeeld`; for another socket or host give `--socket PATH` or `--url https://HOST`

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]]);
    // The agent is gone, its socket is still there.
    drop(std::os::unix::net::UnixListener::bind(scene.dir.path().join("b.sock")).unwrap());
    scene.check("status --socket b.sock", &expect![[r#"
        exit 3
        stderr:
        error: the agent cannot be reached at `b.sock`
          cause: Connection refused (os error 111)

        hint: is it running on this host? `systemctl status evenkeeld`; for another socket or host give `--socket PATH` or `--url https://HOST`

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]]);
}

#[test]
fn a_port_where_nobody_listens_is_not_reachable() {
    let port = evenkeel_testbed::free_port();
    let scene = Scene::new().variable("EVENKEEL_URL", &format!("http://127.0.0.1:{port}"));
    expect![[r#"
        exit 3
        stderr:
        error: the agent cannot be reached at `http://127.0.0.1:PORT`
          cause: Connection refused (os error 111)

        hint: check the address and, for a private certificate authority, `--ca-file FILE`; on the agent's host `evenkeel` works without any of it

        break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes everything, also with the API down;
          the file is named `break_glass_file` in the agent's configuration; remove it to go on
    "#]].assert_eq(&scene.said("status").replace(&port.to_string(), "PORT"));
}

#[test]
fn a_disk_that_is_full_is_said() {
    let scene = Scene::new().file("kept", "");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["check", "--schema"])
        .current_dir(scene.dir.path())
        .stdin(std::process::Stdio::null())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    expect![[r#"
        error: cannot write to stdout
          cause: No space left on device (os error 28)
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
}

#[test]
fn files_of_the_connection_are_checked() {
    let scene = Scene::new().file("token", "two words").file("ca.pem", "not a certificate");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(scene.dir.path().join("token"), mode).unwrap();
    scene.check(
        "status --url https://127.0.0.1:1 --token-file nowhere",
        &expect![[r#"
        exit 1
        stderr:
        error: cannot read token `nowhere`
          cause: No such file or directory (os error 2)

        hint: check the path, and that you may read the file
    "#]],
    );
    scene.check(
        "status --url https://127.0.0.1:1 --token-file token",
        &expect![[r#"
        exit 1
        stderr:
        error: the token in `token` has characters that a token cannot have

        hint: a token is one line, as `evenkeel token` printed it
    "#]],
    );
    scene.check(
        "status --url https://127.0.0.1:1 --ca-file ca.pem",
        &expect![[r#"
        exit 1
        stderr:
        error: `ca.pem` is not a PEM file of certificates

        hint: it must have a part `-----BEGIN CERTIFICATE-----`
    "#]],
    );
}
