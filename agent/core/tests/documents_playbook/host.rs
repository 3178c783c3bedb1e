//! What must not reach the daemon's host, or leave a document: options, paths, secrets.

use evenkeel_core::documents::show;
use expect_test::expect;

use crate::{GOOD, check, loaded, shown};

#[test]
fn what_is_put_into_a_command_or_a_path_stays_one_argument_and_one_name() {
    check(
        &[
            (", --, \"{target}\"", ", \"{target}\""),
            ("[--percent,", "[\"{labels.tier}\", --percent,"),
            ("default: 10, min: 0", "default: 10, min: -1"),
            ("command: rotate-logs", "command: ../../bin/sh"),
            ("command: rotate-logs", "command: -c"),
            ("command: rotate-logs", "command: rotate logs; rm"),
            ("webhook: page-vendor", "webhook: a..b"),
            ("workspace: web,", "workspace: /etc,"),
            ("size: \"{params", "\"size -destroy\": \"{params"),
            ("\"{{x}}\"", "\"a\\nb\""),
            ("runbook: runbooks/playbooks/gray-node.md", "runbook: ../../etc/passwd"),
            ("socket: /run/haproxy.sock", "socket: haproxy.sock"),
            ("backend: web", "backend: \"web; shutdown sessions server x/y\""),
        ],
        &expect![[r###"
            ## , "{target}"
            49:109 error: playbook `gray-node`: `spec.steps[7].run_command.arguments[3]` begins with `{target}`, which may begin with `-` and be read as an option
              hint: write the argument `--` before it, or the option itself: `--name={target}`
            ## ["{labels.tier}", --percent,
            49:56 error: playbook `gray-node`: `spec.steps[7].run_command.arguments[0]` begins with `{labels.tier}`, which may begin with `-` and be read as an option
              hint: write the argument `--` before it, or the option itself: `--name={labels.tier}`
            ## default: 10, min: -1
            49:67 error: playbook `gray-node`: `spec.steps[7].run_command.arguments[1]` begins with `{params.percent}`, which may begin with `-` and be read as an option
              hint: write the argument `--` before it, or the option itself: `--name={params.percent}`
            ## command: ../../bin/sh
            49:31 error: playbook `gray-node`: `spec.steps[7].run_command.command`: `../../bin/sh` looks like a path or an option
              hint: write the name that the daemon's configuration gives it, without `/` and `..`
            ## command: -c
            49:31 error: playbook `gray-node`: `spec.steps[7].run_command.command`: `-c` looks like a path or an option
              hint: write the name that the daemon's configuration gives it, without `/` and `..`
            ## command: rotate logs; rm
            49:31 error: playbook `gray-node`: `spec.steps[7].run_command.command`: `rotate logs; rm` contains ' ', a name has only letters, digits and `-_.@/+`
              hint: write for example `checkout-api`
            ## webhook: a..b
            52:32 error: playbook `gray-node`: `spec.steps[8].call_webhook.webhook`: `a..b` looks like a path or an option
              hint: write the name that the daemon's configuration gives it, without `/` and `..`
            ## workspace: /etc,
            56:37 error: playbook `gray-node`: `spec.steps[9].apply_terraform.workspace`: `/etc` looks like a path or an option
              hint: write the name that the daemon's configuration gives it, without `/` and `..`
            ## "size -destroy": "{params
            56:55 error: playbook `gray-node`: `spec.steps[9].apply_terraform.variables`: `size -destroy` is not a name of a field
              hint: use letters, digits, `_` and `-`
            ## "a\nb"
            49:125 error: playbook `gray-node`: `spec.steps[7].run_command.arguments[5]` contains a line break or another control character
              hint: write one or two sentences in one line
            ## runbook: ../../etc/passwd
            7:12 error: playbook `gray-node`: `spec.runbook` is neither an address nor a path within the repository
              hint: write for example `runbooks/playbooks/gray-node.md`
            ## socket: haproxy.sock
            91:35 error: target `checkout`: `spec.actuators.traffic.haproxy.socket` must be the full path of a socket, without `..`
              hint: write for example `/run/haproxy/admin.sock`
            ## backend: "web; shutdown sessions server x/y"
            91:63 error: target `checkout`: `spec.actuators.traffic.haproxy.backend`: `web; shutdown sessions server x/y` is not a name of a backend
              hint: HAProxy's names have letters, digits and `_.:-`
        "###]],
    );
}

/// What the command of the good playbook is told.
const COMMAND: &str = "command: rotate-logs, arguments: [--percent, \"{params.percent}\", \"--of={labels.tier}\", --, \"{target}\", \"{{x}}\"]";

#[test]
fn a_secret_is_refused_and_not_repeated() {
    const SECRETS: [&str; 14] = [
        "command: rotate-logs, token: hunter2",
        "command: rotate-logs, password: hunter2",
        "command: AKIAhunter2",
        "command: x, arguments: [--password, hunter2]",
        "command: x, arguments: [\"--password=hunter2\"]",
        "command: x, arguments: [\"API_TOKEN=hunter2\"]",
        "command: x, arguments: [3, \"--api-key=hunter2\"], arguments: [a]",
        "command: x, arguments: [\"ghp_hunter2\", 4]",
        "command: x, arguments: [\"x -----BEGIN hunter2\"]",
        "command: x, arguments: [\"https://me:hunter2@example.com/\"]",
        "command: x, arguments: [\"{xoxb-hunter2}\"]",
        "command: x, xoxb-hunter2: 3",
        "command: x, arguments: { ghp_hunter2: 3 }",
        "command: x, arguments: [a, {client_secret: {deep: hunter2}}]",
    ];
    let mut all = String::new();
    for secret in SECRETS {
        let loaded = loaded(&GOOD.replacen(COMMAND, secret, 1));
        assert!(loaded.documents.is_none(), "{secret}");
        for it in &loaded.diagnostics {
            let text = format!("{it} {} {}", show(it), it.snippet);
            assert!(!text.contains("hunter2"), "{secret}: {text}");
        }
        all.push_str(
            &shown(&loaded)
                .lines()
                .next()
                .unwrap_or_default()
                .replace("playbook `gray-node`: ", ""),
        );
        all.push('\n');
    }
    expect![[r#"
        49:44 error: `spec.steps[7].run_command.token` is named like a secret
        49:44 error: `spec.steps[7].run_command.password` is named like a secret
        49:31 error: `spec.steps[7].run_command.command` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:49 error: `spec.steps[7].run_command.arguments[1]` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:46 error: `spec.steps[7].run_command.arguments[0]` looks like it holds a secret
        49:34 error: a key in `spec.steps[7].run_command` looks like a secret
        49:47 error: a key in `spec.steps[7].run_command.arguments` looks like a secret
        49:50 error: `spec.steps[7].run_command.arguments[1].client_secret` is named like a secret
    "#]]
    .assert_eq(&all);
    // Files with secrets, and labels of metrics, are not secrets.
    for fine in [
        "command: x, arguments: [\"--token-file=/run/token\", --percent, \"1\"]",
        "command: x, arguments: [\"--match\", \"rate(token_bucket{{token='x'}}[1m])\"]",
    ] {
        let text = GOOD.replacen(COMMAND, fine, 1);
        assert_ne!(text, GOOD);
        assert_eq!(shown(&crate::loaded(&text)), "", "{fine}");
    }
}
