//! Help, and what a slip of the fingers gets.

use expect_test::expect;

use crate::command::Scene;

#[test]
fn help_reads_well() {
    Scene::new().check(
        "--help",
        &expect![[r#"
            exit 0
            stdout:
            Ask the agent what it does and why, stop it, overrule it, and check its log

            Usage: evenkeel [OPTIONS] <COMMAND>

            Commands:
              check          Validate documents: every fault with file, line, column and a hint
              status         Show what rules each target, its capacity, and what comes next
              explain        Say why something did or did not happen to a target
              freeze         Let the agent change nothing in a scope
              hold           Keep the current capacity of a scope
              no-scale-down  Let a scope grow, but never shrink
              pin            Set exactly one capacity and keep it
              expire         End an override, or every override with exactly this scope
              incidents      Show what is wrong, what is done about it, and what waits for you
              approve        Say yes to the gate that a run waits at, for exactly the plan that you saw
              deny           Say no to the gate that a run waits at
              abort          End a run: what it has touched is undone
              takeover       Take a scope over: nothing is changed there, and runs end as they are
              handback       Give back what was taken over, or what the agent left to people
              review         Record what the review of a break-glass approval found
              promote        Grant the agent more autonomy for a class of actions on a target, or less
              playbook       Test a playbook on recorded metrics, or start one by hand
              slo            Show what is left of error budgets, how fast they burn, and who is told
              budget         Show what is spent, how fast, until when it lasts, and by whom
              history        Show what happened, newest first
              audit          Prove that the log was not changed, or copy it out
              token          Make a token for somebody, and its hash for the `Access` document
              forecast       Forecast any CSV: `timestamp,value`, or rows `id,v1,v2,…`
              detect         Score how odd each row of a CSV `timestamp,value` is
              simulate       Run the agent, and others beside it, against a scenario under virtual time
              replay         Say what policies would have done on recorded metrics, and at what cost

            Options:
              -h, --help     Print help
              -V, --version  Print version

            Options of every verb:
              -o, --output <FORM>       `text` for people or `json` for programs [default: text]
                  --socket <PATH>       Unix socket of the agent [default: /run/evenkeel/evenkeel.sock]
                  --url <URL>           Agent on another host: `https://HOST[:PORT]`
                  --token-file <FILE>   File with your token, for --url; a token itself is never an argument
                  --ca-file <FILE>      Trust only the certificates in this PEM file, for --url
                  --timeout <DURATION>  How long to wait for each answer [default: 10s; `audit`: 10m]

            Exit status: 0 done or enforced; 1 refused, not found or invalid; 2 wrong usage;
            3 agent not reachable (prints how to freeze everything without it).

            Environment: EVENKEEL_SOCKET, EVENKEEL_URL, EVENKEEL_TOKEN or EVENKEEL_TOKEN_FILE
            say where the agent is and who you are; options win over them. NO_COLOR is honoured.
        "#]],
    );
}

#[test]
fn help_of_a_verb_reads_well() {
    Scene::new().check(
        "pin --help",
        &expect![[r#"
            exit 0
            stdout:
            Set exactly one capacity and keep it

            Usage: evenkeel pin [OPTIONS] --reason <TEXT> <SCOPE> [CAPACITY]

            Arguments:
              <SCOPE>     On what
              [CAPACITY]  At which capacity; without one, the current capacity (of one target)

            Options:
                  --capacity <N>    The same, as an option
                  --for <DURATION>  For how long, with a unit; at most 72h [default: 4h]
                  --reason <TEXT>   Why; the next person on call will read it
              -h, --help            Print help

            Options of every verb:
              -o, --output <FORM>       `text` for people or `json` for programs [default: text]
                  --socket <PATH>       Unix socket of the agent [default: /run/evenkeel/evenkeel.sock]
                  --url <URL>           Agent on another host: `https://HOST[:PORT]`
                  --token-file <FILE>   File with your token, for --url; a token itself is never an argument
                  --ca-file <FILE>      Trust only the certificates in this PEM file, for --url
                  --timeout <DURATION>  How long to wait for each answer [default: 10s; `audit`: 10m]

            A SCOPE is a target's name, `team=payments,tier=web` (all of these labels),
            `region:NAME` or `all`.
        "#]],
    );
}

#[test]
fn every_verb_has_help() {
    let scene = Scene::new();
    for verb in [
        "check",
        "status",
        "explain",
        "freeze",
        "hold",
        "no-scale-down",
        "pin",
        "expire",
        "incidents",
        "approve",
        "deny",
        "abort",
        "takeover",
        "handback",
        "review",
        "promote",
        "playbook",
        "playbook test",
        "playbook run",
        "slo",
        "slo rules",
        "budget",
        "budget status",
        "budget forecast",
        "budget tenants",
        "budget services",
        "budget fits",
        "budget reconcile",
        "history",
        "audit",
        "audit verify",
        "audit export",
        "token",
        "forecast",
        "detect",
        "simulate",
        "replay",
    ] {
        let said = scene.said(&format!("{verb} --help"));
        assert!(said.starts_with("exit 0\n"), "{said}");
        assert!(said.contains(&format!("Usage: evenkeel {verb}")), "{said}");
    }
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_missing() {
    let scene = Scene::new();
    let table: String = [
        "",
        "thaw all",
        "freeze checkout-api",
        "freeze checkout-api --reason",
        "freeze --reason x",
        "freeze checkout-api --reason x --for 4",
        "freeze checkout-api --reason x --for 1fortnight",
        "freeze 'a b' --reason x",
        "pin checkout-api 12 --capacity 13 --reason x",
        "pin checkout-api -3 --reason x",
        "expire ov_1,x",
        "explain",
        "explain checkout-api --at yesterday",
        "history --limit 0",
        "history --limit 10001",
        "check",
        "status --output yaml",
        "status --socket /a --url https://b",
        "status --url http://example.com",
        "status --url https://example.com/v1",
        "status --timeout 10",
        "status --token evk_secret",
        "audit",
        "audit verify --store a --url https://b",
    ]
    .iter()
    .map(|line| {
        let said = scene.said(line);
        let (code, said) = said.split_once('\n').expect("two lines");
        // The lines that clap always adds are left out.
        let said: String = said
            .lines()
            .filter(|it| !it.is_empty() && !it.contains("Usage:") && !it.contains("try '--help'"))
            .take(4)
            .map(|it| format!("  {it}\n"))
            .collect();
        let line = if line.is_empty() { "(nothing)" } else { line };
        format!("{code}: {line}\n{said}")
    })
    .collect();
    expect![[r#"
        exit 2: (nothing)
          stderr:
          Ask the agent what it does and why, stop it, overrule it, and check its log
          Commands:
            check          Validate documents: every fault with file, line, column and a hint
        exit 2: thaw all
          stderr:
          error: unrecognized subcommand 'thaw'
        exit 2: freeze checkout-api
          stderr:
          error: the following required arguments were not provided:
            --reason <TEXT>
        exit 2: freeze checkout-api --reason
          stderr:
          error: a value is required for '--reason <TEXT>' but none was supplied
        exit 2: freeze --reason x
          stderr:
          error: the following required arguments were not provided:
            <SCOPE>
        exit 2: freeze checkout-api --reason x --for 4
          stderr:
          error: invalid value '4' for '--for <DURATION>': `4` has no unit; write for example `4s` or `4m`
        exit 2: freeze checkout-api --reason x --for 1fortnight
          stderr:
          error: invalid value '1fortnight' for '--for <DURATION>': `1fortnight` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`
        exit 2: freeze 'a b' --reason x
          stderr:
          error: invalid value 'a b' for '<SCOPE>': `a b` is not a scope: `a b` contains ' ', a name has only letters, digits and `-_.@/+`; write a target's name, `team=payments,tier=web`, `region:NAME` or `all`
        exit 2: pin checkout-api 12 --capacity 13 --reason x
          stderr:
          error: the argument '[CAPACITY]' cannot be used with '--capacity <N>'
        exit 2: pin checkout-api -3 --reason x
          stderr:
          error: unexpected argument '-3' found
            tip: to pass '-3' as a value, use '-- -3'
        exit 2: expire ov_1,x
          stderr:
          error: invalid value 'ov_1,x' for '<OVERRIDE_OR_SCOPE>': `ov_1,x` is not a scope: `ov_1,x` contains ',', a name has only letters, digits and `-_.@/+`; write a target's name, `team=payments,tier=web`, `region:NAME` or `all`
        exit 2: explain
          stderr:
          error: the following required arguments were not provided:
            <TARGET>
        exit 2: explain checkout-api --at yesterday
          stderr:
          error: invalid value 'yesterday' for '--at <TIME>': write a time such as `2026-11-20T03:10:00Z`, or `15m` for 15 minutes ago
        exit 2: history --limit 0
          stderr:
          error: invalid value '0' for '--limit <N>': 0 is not in 1..=10000
        exit 2: history --limit 10001
          stderr:
          error: invalid value '10001' for '--limit <N>': 10001 is not in 1..=10000
        exit 2: check
          stderr:
          error: the following required arguments were not provided:
            <PATH>...
        exit 2: status --output yaml
          stderr:
          error: invalid value 'yaml' for '--output <FORM>'
            [possible values: text, json]
        exit 2: status --socket /a --url https://b
          stderr:
          error: the argument '--socket <PATH>' cannot be used with '--url <URL>'
        exit 2: status --url http://example.com
          stderr:
          error: `http://example.com` is not a URL of an agent: it must begin with https://
          hint: write `https://HOST:PORT`; on the agent's host leave `--url` out, and the socket is used
        exit 2: status --url https://example.com/v1
          stderr:
          error: `https://example.com/v1` is not a URL of an agent: it must end after the host or port
          hint: write `https://HOST:PORT`; on the agent's host leave `--url` out, and the socket is used
        exit 2: status --timeout 10
          stderr:
          error: invalid value '10' for '--timeout <DURATION>': `10` has no unit; write for example `10s` or `10m`
        exit 2: status --token evk_secret
          stderr:
          error: unexpected argument '--token' found
            tip: a similar argument exists: '--token-file'
        exit 2: audit
          stderr:
          Prove that the log was not changed, or copy it out
          Commands:
            verify  Verify every record, link and signature of the journal
        exit 2: audit verify --store a --url https://b
          stderr:
          error: the argument '--store <FILE>' cannot be used with '--url <URL>'
    "#]].assert_eq(&table);
}
