//! What the section `actuators` takes and what it refuses.
//!
//! **In:** the section as text.
//! **Out:** settings and schedules, or a message with the place.
//! **Not here:** the rest of the configuration ([`crate::config`]).

use super::*;
use expect_test::{Expect, expect};

fn parse(text: &str) -> Result<ActuatorsConfig, String> {
    // The place is part of the message; the excerpt after the first line is not.
    serde_saphyr::from_str(text).map_err(|error| {
        let shown: serde_saphyr::Error = error;
        shown.to_string().lines().next().unwrap_or_default().to_owned()
    })
}

#[track_caller]
fn refused(text: &str, expected: &Expect) {
    expected.assert_eq(&parse(text).map_or_else(|it| it, |it| format!("fine: {it:?}")));
}

#[track_caller]
fn refused_command(fields: &str, expected: &Expect) {
    refused(&format!("allow: {{ commands: {{ c: {{ program: /bin/c, {fields} }} }} }}"), expected);
}

#[track_caller]
fn refused_workspace(fields: &str, expected: &Expect) {
    let whole = "terraform: /usr/bin/terraform, folder: /etc/w, addresses: [a.b]";
    refused(&format!("allow: {{ terraform: {{ w: {{ {whole}, {fields} }} }} }}"), expected);
}

#[test]
fn nothing_is_allowed_unless_it_is_written() {
    let allowed = ActuatorsConfig::default().allowed(Path::new("/var/lib/e/evenkeel.db"));
    assert_eq!(
        allowed,
        AllowedSettings {
            receipts: Some(PathBuf::from("/var/lib/e/evenkeel.receipts")),
            ..AllowedSettings::default()
        }
    );
    assert!(ActuatorsConfig::default().drift_checks().is_empty());
}

#[test]
fn every_field_arrives_where_it_belongs() {
    let config = parse(
        r#"
receipts: /var/lib/e/receipts
allow:
  commands:
    rotate-logs:
      program: /usr/local/bin/rotate
      arguments: [ "--target", { name: true }, "--percent", { number: { min: 0, max: 100 } }, { any_of: [ "b", "a" ] } ]
      timeout: 2m
      environment: { MODE: fast }
      folder: /srv
    plain: { program: /bin/true }
  webhooks:
    page: { url: "https://hooks.example/x", secret_file: /etc/e/key, fields: [ who ] }
  terraform:
    web:
      terraform: /usr/bin/terraform
      folder: /etc/e/web
      addresses: [ aws_autoscaling_group.web, "module.web.*" ]
      variables: [ desired ]
      timeout: 20m
      environment: { KEY: { file: /etc/e/aws }, HOME: { inherit: true }, REGION: { value: x } }
      cli_config_file: /etc/e/terraformrc
      drift_check: { cron: "0 6 * * *", time_zone: Europe/Berlin }
    db: { terraform: /usr/bin/terraform, folder: /etc/e/db, addresses: [] }
"#,
    )
    .unwrap();
    expect![[r#"
        AllowedSettings {
            receipts: Some(
                "/var/lib/e/receipts",
            ),
            commands: {
                `plain`: AllowedCommand {
                    program: "/bin/true",
                    arguments: [],
                    timeout: 60s,
                    environment: {},
                    folder: None,
                },
                `rotate-logs`: AllowedCommand {
                    program: "/usr/local/bin/rotate",
                    arguments: [
                        Literal(
                            "--target",
                        ),
                        Name,
                        Literal(
                            "--percent",
                        ),
                        Number {
                            min: 0,
                            max: 100,
                        },
                        AnyOf(
                            {
                                "a",
                                "b",
                            },
                        ),
                    ],
                    timeout: 120s,
                    environment: {
                        "MODE": "fast",
                    },
                    folder: Some(
                        "/srv",
                    ),
                },
            },
            webhooks: {
                `page`: AllowedWebhook {
                    url: "https://hooks.example/x",
                    secret_file: "/etc/e/key",
                    fields: [
                        "who",
                    ],
                },
            },
            terraform: {
                `db`: AllowedWorkspace {
                    terraform: "/usr/bin/terraform",
                    folder: "/etc/e/db",
                    addresses: [],
                    variables: [],
                    environment: {},
                    timeout: 600s,
                    cli_config_file: None,
                },
                `web`: AllowedWorkspace {
                    terraform: "/usr/bin/terraform",
                    folder: "/etc/e/web",
                    addresses: [
                        "aws_autoscaling_group.web",
                        "module.web.*",
                    ],
                    variables: [
                        "desired",
                    ],
                    environment: {
                        "HOME": Inherit,
                        "KEY": FromFile(
                            "/etc/e/aws",
                        ),
                        "REGION": Literal(
                            "x",
                        ),
                    },
                    timeout: 1200s,
                    cli_config_file: Some(
                        "/etc/e/terraformrc",
                    ),
                },
            },
        }
    "#]]
    .assert_debug_eq(&config.allowed(Path::new("/var/lib/e/evenkeel.db")));
    assert_eq!(
        config.drift_checks().into_iter().map(|it| format!("{it:?}")).collect::<Vec<_>>(),
        ["(`web`, Schedule(`0 6 * * *` Europe/Berlin))"]
    );
}

#[test]
fn a_command_is_refused_with_place_and_reason() {
    refused_command(
        "shell: true",
        &expect![
            "error: line 1 column 44: unknown field `shell`, expected one of program, arguments, timeout, environment, folder"
        ],
    );
    refused_command(
        "timeout: 0s",
        &expect!["error: line 1 column 53: timeout is 0s, it must be 1s..1h"],
    );
    refused_command(
        "timeout: 61m",
        &expect!["error: line 1 column 53: timeout is 1h1m, it must be 1s..1h"],
    );
    refused_command(
        "timeout: 60",
        &expect!["error: line 1 column 53: `60` has no unit; write for example `60s` or `60m`"],
    );
    refused_command(
        "folder: srv",
        &expect!["error: line 1 column 52: `srv` is not an absolute path; begin it with `/`"],
    );
    refused_command(
        "arguments: [ { nam: true } ]",
        &expect![
            "error: line 1 column 59: unknown field `nam`, expected one of name, number, any_of"
        ],
    );
    refused_command(
        "arguments: [ { name: false } ]",
        &expect![[
            r#"error: line 1 column 57: an argument is a text, or exactly one of `{ name: true }`, `{ number: { min: 0, max: 100 } }` and `{ any_of: [ "a", "b" ] }`"#
        ]],
    );
    refused_command(
        "arguments: [ { name: true, number: { min: 0, max: 1 } } ]",
        &expect![[
            r#"error: line 1 column 57: an argument is a text, or exactly one of `{ name: true }`, `{ number: { min: 0, max: 100 } }` and `{ any_of: [ "a", "b" ] }`"#
        ]],
    );
    refused_command(
        "arguments: [ { number: { min: 2, max: 1 } } ]",
        &expect!["error: line 1 column 57: min (2) is above max (1); swap the two"],
    );
    refused_command(
        "arguments: [ { number: { min: 2 } } ]",
        &expect!["error: line 1 column 69: missing field `max`"],
    );
    refused_command(
        "arguments: [ { any_of: [] } ]",
        &expect!["error: line 1 column 57: `any_of` is empty; list what the argument may be"],
    );
    refused_command(
        "arguments: [ [ a ] ]",
        &expect![
            "error: line 1 column 57: invalid type: sequence, expected a text in quotes, or a rule such as `{ name: true }`"
        ],
    );
    refused_command(
        "arguments: [ 80 ]",
        &expect![
            "error: line 1 column 57: invalid type: integer `80`, expected a text in quotes, or a rule such as `{ name: true }`"
        ],
    );
    refused_command(
        "program: bin/c",
        &expect![
            "error: line 1 column 44: duplicate mapping key: program, set DuplicateKeyPolicy in Options if acceptable"
        ],
    );
    refused(
        "allow: { commands: { c: { program: bin/c } } }",
        &expect!["error: line 1 column 36: `bin/c` is not an absolute path; begin it with `/`"],
    );
    refused(
        "allow: { commands: { \"a b\": { program: /bin/c } } }",
        &expect![
            "error: line 1 column 22: `a b` contains ' ', a name has only letters, digits and `-_.@/+`"
        ],
    );
    refused(
        "allow: { command: {} }",
        &expect![
            "error: line 1 column 10: unknown field `command`, expected one of commands, webhooks, terraform"
        ],
    );
    refused(
        "receipts: receipts",
        &expect!["error: line 1 column 11: `receipts` is not an absolute path; begin it with `/`"],
    );
}

#[test]
fn a_workspace_is_refused_with_place_and_reason() {
    refused_workspace(
        "drift_check: { cron: \"0 6 * *\", time_zone: UTC }",
        &expect![
            "error: line 1 column 106: `0 6 * *` has 4 fields, a schedule has 5: minute, hour, day of month, month, day of week"
        ],
    );
    refused_workspace(
        "drift_check: { cron: \"0 0 31 2 *\", time_zone: UTC }",
        &expect!["error: line 1 column 106: `0 0 31 2 *` never comes; write one that does"],
    );
    refused_workspace(
        "drift_check: { cron: \"0 6 * * *\", time_zone: Berlin }",
        &expect![
            "error: line 1 column 106: `Berlin` is not an IANA time zone such as `Europe/Berlin`"
        ],
    );
    refused_workspace(
        "drift_check: { cron: \"0 6 * * *\" }",
        &expect!["error: line 1 column 108: missing field `time_zone`"],
    );
    refused_workspace(
        "drift_check: daily",
        &expect!["error: line 1 column 106: expected mapping start"],
    );
    refused_workspace(
        "environment: { KEY: { file: key } }",
        &expect!["error: line 1 column 113: `key` is not an absolute path; begin it with `/`"],
    );
    refused_workspace(
        "environment: { KEY: { inherit: false } }",
        &expect![
            "error: line 1 column 113: a variable is exactly one of `{ value: TEXT }`, `{ file: PATH }` and `{ inherit: true }`"
        ],
    );
    refused_workspace(
        "environment: { KEY: { value: a, inherit: true } }",
        &expect![
            "error: line 1 column 113: a variable is exactly one of `{ value: TEXT }`, `{ file: PATH }` and `{ inherit: true }`"
        ],
    );
    refused_workspace(
        "environment: { KEY: {} }",
        &expect![
            "error: line 1 column 113: a variable is exactly one of `{ value: TEXT }`, `{ file: PATH }` and `{ inherit: true }`"
        ],
    );
    refused_workspace(
        "environment: { KEY: { vault: a } }",
        &expect![
            "error: line 1 column 115: unknown field `vault`, expected one of value, file, inherit"
        ],
    );
    refused_workspace(
        "timeout: 2h",
        &expect!["error: line 1 column 102: timeout is 2h, it must be 1s..1h"],
    );
    refused(
        "allow: { terraform: { w: { folder: /w, addresses: [] } } }",
        &expect!["error: line 1 column 40: missing field `terraform`"],
    );
    refused(
        "allow: { webhooks: { h: { url: \"https://x\", secret_file: key } } }",
        &expect!["error: line 1 column 58: `key` is not an absolute path; begin it with `/`"],
    );
}
