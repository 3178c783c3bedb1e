//! What the daemon's configuration allows by name, and what is wrong with it.
//!
//! **In:** values from the daemon's configuration file.
//! **Out:** plain settings; the faults found at the start.
//! **Not here:** reading the file (`evenkeel-daemon`), what playbooks ask for
//! ([`evenkeel_core::action::Action`]).
//!
//! Playbooks are written by many, the allow-list by those who run the daemon: a playbook
//! names an entry and fills its gaps, and never brings a program, a URL or a folder of
//! its own. No field holds a secret: those stay in their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use evenkeel_core::ids::AllowedName;
use jiff::SignedDuration;

use crate::settings::{SettingsError, shown_url};

/// Most arguments of one command. Why 64: the longest sensible command lines have a dozen.
const ARGUMENTS_MAX: usize = 64;

/// What playbooks may do by name. [`Default`] allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedSettings {
    /// Folder of receipts, kept plans and Terraform's working data; made with mode 700
    /// where missing. Needed as soon as anything is allowed. On a disk that outlives the
    /// daemon: what is lost here could be done twice.
    pub receipts: Option<PathBuf>,
    /// Commands.
    pub commands: BTreeMap<AllowedName, AllowedCommand>,
    /// Webhooks.
    pub webhooks: BTreeMap<AllowedName, AllowedWebhook>,
    /// Terraform workspaces.
    pub terraform: BTreeMap<AllowedName, AllowedWorkspace>,
}

/// A program that may be run, never through a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedCommand {
    /// Absolute path. Checked at each run: a regular file that can be executed, that
    /// belongs to root or to the daemon's user, and that nobody else may write.
    pub program: PathBuf,
    /// One rule per argument; a playbook's arguments must be as many and fit one by one.
    pub arguments: Vec<ArgumentRule>,
    /// After it the command's whole process group is killed; `> 0`.
    pub timeout: SignedDuration,
    /// All of its environment, beside `PATH=/usr/bin:/bin` and `LANG=C`.
    pub environment: BTreeMap<String, String>,
    /// Where it runs; `/` when not given. Absolute.
    pub folder: Option<PathBuf>,
}

/// What one argument of a command may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentRule {
    /// Exactly this text.
    Literal(String),
    /// One of these texts. Empty allows nothing.
    AnyOf(BTreeSet<String>),
    /// A whole number from `min` to `max`, both included, as digits with at most a minus.
    Number {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// Letters, digits and `. _ : / @ + -`, at most 200 bytes. Begins with a letter, a digit
    /// or `_`, so that it is neither an option nor an absolute path; no part between
    /// slashes is empty, `.` or `..`.
    Name,
}

/// A webhook that may be called with POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedWebhook {
    /// `https://…`, or `http://` on loopback.
    pub url: String,
    /// File that holds the HMAC key, as for targets' webhooks.
    pub secret_file: PathBuf,
    /// Names of the fields that a playbook may give.
    pub fields: Vec<String>,
}

/// A Terraform workspace in which plans may be made and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedWorkspace {
    /// The `terraform` program; checked like a command's.
    pub terraform: PathBuf,
    /// The folder of the root module. Absolute. Nothing is written there, except what
    /// a local backend writes itself; a lock file of the providers must be there already.
    pub folder: PathBuf,
    /// Addresses that a plan may change: exact, or `module.NAME.*` for all below a module.
    /// Empty allows no change at all.
    pub addresses: Vec<String>,
    /// Names of the variables that a playbook may set.
    pub variables: Vec<String>,
    /// All of its environment, beside what the daemon sets itself.
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// For each single run of `terraform`; `> 0`.
    pub timeout: SignedDuration,
    /// Terraform's own configuration file, for example with a provider mirror.
    pub cli_config_file: Option<PathBuf>,
}

/// Where the value of an environment variable comes from, at each run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentValue {
    /// As written. Not for secrets: a configuration is shown and kept.
    Literal(String),
    /// The content of a file that others cannot read, without its last line break.
    FromFile(PathBuf),
    /// The daemon's own variable of the same name.
    Inherit,
}

/// Checks all entries; returns the folder of receipts when anything is allowed.
///
/// # Errors
///
/// [`SettingsError::Allowed`] for the first fault.
pub(super) fn check(settings: &AllowedSettings) -> Result<Option<&Path>, SettingsError> {
    let AllowedSettings { receipts, commands, webhooks, terraform } = settings;
    for (name, command) in commands {
        check_command(command).map_err(|reason| fault("command", name, reason))?;
    }
    for (name, webhook) in webhooks {
        check_webhook(webhook).map_err(|reason| fault("webhook", name, reason))?;
    }
    for (name, workspace) in terraform {
        check_workspace(workspace).map_err(|reason| fault("Terraform workspace", name, reason))?;
    }
    if commands.is_empty() && webhooks.is_empty() && terraform.is_empty() {
        return Ok(None);
    }
    let unusable = |reason: &str| SettingsError::Allowed {
        what: "folder `receipts`".to_owned(),
        reason: reason.to_owned(),
    };
    match receipts.as_deref() {
        None => Err(unusable(
            "it is not given; name a folder on a disk that outlives the daemon, for example /var/lib/evenkeel/receipts",
        )),
        Some(folder) if !folder.is_absolute() => {
            Err(unusable("it is not an absolute path; begin it with `/`"))
        }
        Some(folder) => Ok(Some(folder)),
    }
}

fn fault(kind: &str, name: &AllowedName, reason: String) -> SettingsError {
    SettingsError::Allowed { what: format!("{kind} `{name}`"), reason }
}

fn check_command(command: &AllowedCommand) -> Result<(), String> {
    let AllowedCommand { program, arguments, timeout, environment, folder } = command;
    check_absolute("program", program)?;
    if let Some(folder) = folder {
        check_absolute("folder", folder)?;
    }
    check_timeout(*timeout)?;
    if ARGUMENTS_MAX < arguments.len() {
        return Err(format!("it has {} arguments, at most {ARGUMENTS_MAX}", arguments.len()));
    }
    for (at, rule) in arguments.iter().enumerate() {
        let text = |it: &str| check_text(it).map_err(|reason| format!("argument {at} {reason}"));
        match rule {
            ArgumentRule::Literal(it) => text(it)?,
            ArgumentRule::AnyOf(those) if those.is_empty() => {
                return Err(format!("argument {at} may be any of nothing; list what it may be"));
            }
            ArgumentRule::AnyOf(those) => those.iter().try_for_each(|it| text(it))?,
            ArgumentRule::Number { min, max } if max < min => {
                return Err(format!(
                    "argument {at}: min ({min}) is above max ({max}); swap the two"
                ));
            }
            ArgumentRule::Number { .. } | ArgumentRule::Name => {}
        }
    }
    for (name, value) in environment {
        check_variable_name(name)?;
        check_text(value).map_err(|reason| format!("environment variable `{name}` {reason}"))?;
    }
    Ok(())
}

fn check_webhook(webhook: &AllowedWebhook) -> Result<(), String> {
    let AllowedWebhook { url, secret_file, fields } = webhook;
    crate::webhook::client::checked_url(url)
        .map_err(|reason| format!("{reason} (`{}`)", shown_url(url)))?;
    check_absolute("secret_file", secret_file)?;
    fields.iter().try_for_each(|it| check_variable_name(it))
}

fn check_workspace(workspace: &AllowedWorkspace) -> Result<(), String> {
    let AllowedWorkspace {
        terraform,
        folder,
        addresses,
        variables,
        environment,
        timeout,
        cli_config_file,
    } = workspace;
    check_absolute("terraform", terraform)?;
    check_absolute("folder", folder)?;
    if let Some(file) = cli_config_file {
        check_absolute("cli_config_file", file)?;
    }
    check_timeout(*timeout)?;
    for address in addresses {
        let is_prefix = address.starts_with("module.") && address.ends_with(".*");
        if address.is_empty() || address.matches('*').count() != usize::from(is_prefix) {
            return Err(format!(
                "address `{address}` is neither exact nor of the form `module.NAME.*`"
            ));
        }
    }
    variables.iter().try_for_each(|it| check_variable_name(it))?;
    for (name, value) in environment {
        check_variable_name(name)?;
        // These would undo what the daemon relies on.
        if name.starts_with("TF_CLI_ARGS") || name == "TF_DATA_DIR" || name == "TF_IN_AUTOMATION" {
            return Err(format!("environment variable `{name}` is the daemon's own; remove it"));
        }
        match value {
            EnvironmentValue::Literal(it) => check_text(it)
                .map_err(|reason| format!("environment variable `{name}` {reason}"))?,
            EnvironmentValue::FromFile(file) => check_absolute(name, file)?,
            EnvironmentValue::Inherit => {}
        }
    }
    Ok(())
}

fn check_absolute(field: &str, path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(format!("`{field}` is `{}`, which is not an absolute path", path.display()))
}

fn check_timeout(timeout: SignedDuration) -> Result<(), String> {
    if timeout.is_positive() {
        return Ok(());
    }
    Err(format!("`timeout` is {timeout:#}; write a positive time, for example 30s"))
}

fn check_text(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("has a NUL byte; remove it".to_owned()) } else { Ok(()) }
}

fn check_variable_name(name: &str) -> Result<(), String> {
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let is_first = |it: char| it.is_ascii_alphabetic() || it == '_';
    if name.len() <= 100 && name.starts_with(is_first) && name.chars().all(is_word) {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a name of at most 100 letters, digits and `_`",
        crate::provider::one_line(name, 100)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    fn command() -> AllowedCommand {
        AllowedCommand {
            program: "/bin/true".into(),
            arguments: Vec::new(),
            timeout: SignedDuration::from_secs(1),
            environment: BTreeMap::new(),
            folder: None,
        }
    }

    fn workspace() -> AllowedWorkspace {
        AllowedWorkspace {
            terraform: "/usr/bin/terraform".into(),
            folder: "/srv/web".into(),
            addresses: vec!["aws_autoscaling_group.web".to_owned(), "module.a.*".to_owned()],
            variables: vec!["size".to_owned()],
            environment: BTreeMap::new(),
            timeout: SignedDuration::from_secs(1),
            cli_config_file: None,
        }
    }

    fn webhook(url: &str) -> AllowedWebhook {
        AllowedWebhook { url: url.to_owned(), secret_file: "/key".into(), fields: Vec::new() }
    }

    #[test]
    fn every_fault_of_an_entry_is_found_at_the_start() {
        let any_of =
            |those: &[&str]| ArgumentRule::AnyOf(those.iter().map(|it| (*it).to_owned()).collect());
        let argument = |it| AllowedCommand { arguments: vec![it], ..command() };
        let value = |name: &str| AllowedWorkspace {
            environment: BTreeMap::from([(name.to_owned(), EnvironmentValue::Inherit)]),
            ..workspace()
        };
        let address = |it: &str| AllowedWorkspace { addresses: vec![it.to_owned()], ..workspace() };
        let commands = [
            command(),
            AllowedCommand { program: "true".into(), ..command() },
            AllowedCommand { timeout: SignedDuration::ZERO, ..command() },
            AllowedCommand { folder: Some("tmp".into()), ..command() },
            AllowedCommand { arguments: vec![ArgumentRule::Name; 65], ..command() },
            AllowedCommand {
                environment: BTreeMap::from([("A=B".to_owned(), String::new())]),
                ..command()
            },
            argument(ArgumentRule::Literal("a\0b".to_owned())),
            argument(any_of(&[])),
            argument(any_of(&["a", "b\0"])),
            argument(ArgumentRule::Number { min: 2, max: 1 }),
        ];
        let webhooks = [
            webhook("https://hooks.example/a"),
            webhook("http://hooks.example/a?token=t"),
            webhook("https://ana:pw@hooks.example/"),
            AllowedWebhook { fields: vec!["a b".to_owned()], ..webhook("https://hooks.example") },
        ];
        let workspaces = [
            workspace(),
            AllowedWorkspace { terraform: "terraform".into(), ..workspace() },
            address("*"),
            address("aws_instance.*"),
            address("module.*.*"),
            address(""),
            value("TF_CLI_ARGS_plan"),
            value("TF_DATA_DIR"),
            AllowedWorkspace { variables: vec!["-x".to_owned()], ..workspace() },
        ];
        let mut table = String::new();
        let mut line = |verdict: Result<(), String>| {
            writeln!(table, "{}", verdict.map_or_else(|it| it, |()| "fine".to_owned())).unwrap();
        };
        commands.iter().for_each(|it| line(check_command(it)));
        webhooks.iter().for_each(|it| line(check_webhook(it)));
        workspaces.iter().for_each(|it| line(check_workspace(it)));
        expect![[r#"
            fine
            `program` is `true`, which is not an absolute path
            `timeout` is 0s; write a positive time, for example 30s
            `folder` is `tmp`, which is not an absolute path
            it has 65 arguments, at most 64
            `A=B` is not a name of at most 100 letters, digits and `_`
            argument 0 has a NUL byte; remove it
            argument 0 may be any of nothing; list what it may be
            argument 0 has a NUL byte; remove it
            argument 0: min (2) is above max (1); swap the two
            fine
            plain `http://` is for loopback only; write `https://` (`http://hooks.example/a`)
            its URL has a user name or password; the key file is enough (`https://…@hooks.example/`)
            `a b` is not a name of at most 100 letters, digits and `_`
            fine
            `terraform` is `terraform`, which is not an absolute path
            address `*` is neither exact nor of the form `module.NAME.*`
            address `aws_instance.*` is neither exact nor of the form `module.NAME.*`
            address `module.*.*` is neither exact nor of the form `module.NAME.*`
            address `` is neither exact nor of the form `module.NAME.*`
            environment variable `TF_CLI_ARGS_plan` is the daemon's own; remove it
            environment variable `TF_DATA_DIR` is the daemon's own; remove it
            `-x` is not a name of at most 100 letters, digits and `_`
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn what_is_allowed_needs_a_folder_for_its_receipts() {
        let name = AllowedName::new("a").unwrap();
        let mut settings = AllowedSettings::default();
        assert!(matches!(check(&settings), Ok(None)), "nothing is allowed, nothing is kept");
        settings.commands.insert(name, command());
        let mut table = String::new();
        for receipts in [None, Some("receipts"), Some("/var/lib/receipts")] {
            settings.receipts = receipts.map(PathBuf::from);
            let verdict = check(&settings).map_or_else(|it| it.to_string(), |it| format!("{it:?}"));
            writeln!(table, "{verdict}").unwrap();
        }
        expect![[r#"
            folder `receipts` of the allow-list cannot be used: it is not given; name a folder on a disk that outlives the daemon, for example /var/lib/evenkeel/receipts
            folder `receipts` of the allow-list cannot be used: it is not an absolute path; begin it with `/`
            Some("/var/lib/receipts")
        "#]].assert_eq(&table);
    }
}
