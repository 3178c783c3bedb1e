//! What playbooks may do by name: `actuators` in the daemon's configuration.
//!
//! **In:** one section of the configuration file.
//! **Out:** [`ActuatorsConfig`], checked; then settings and schedules.
//! **Not here:** running any of it (`evenkeel-providers`), what playbooks ask for (the
//! core's).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use evenkeel_core::documents::Schedule;
use evenkeel_core::ids::AllowedName;
use evenkeel_core::units::{parse_duration, show_duration};
use evenkeel_providers::{
    AllowedCommand, AllowedSettings, AllowedWebhook, AllowedWorkspace, ArgumentRule,
    EnvironmentValue,
};
use jiff::SignedDuration;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Shortest time that a command or Terraform may be given. Why 1 s: a program starts in
/// less, and less is a typo.
const TIMEOUT_MIN: SignedDuration = SignedDuration::from_secs(1);

/// Longest. Why 1 h: a step holds its target for as long; what takes longer is no step of
/// a playbook but work for a pipeline that one starts.
const TIMEOUT_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What playbooks can use beside the actuators that targets name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorsConfig {
    /// Folder of receipts and kept plans; beside the journal when not given.
    #[serde(default, deserialize_with = "optional_absolute")]
    pub receipts: Option<PathBuf>,
    /// What is allowed, by the name that playbooks use. Nothing else is.
    #[serde(default)]
    pub allow: AllowConfig,
}

/// What is allowed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowConfig {
    /// Programs, run without a shell.
    #[serde(default)]
    pub commands: BTreeMap<AllowedName, CommandConfig>,
    /// Webhooks, called with POST and signed.
    #[serde(default)]
    pub webhooks: BTreeMap<AllowedName, AllowedWebhookConfig>,
    /// Terraform workspaces.
    #[serde(default)]
    pub terraform: BTreeMap<AllowedName, WorkspaceConfig>,
}

/// A program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// Absolute path.
    #[serde(deserialize_with = "absolute")]
    pub program: PathBuf,
    /// One rule per argument.
    #[serde(default)]
    pub arguments: Vec<ArgumentConfig>,
    /// Then it is ended.
    #[serde(default = "default_command_timeout", deserialize_with = "timeout")]
    pub timeout: SignedDuration,
    /// All of its environment, beside `PATH` and `LANG`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where it runs.
    #[serde(default, deserialize_with = "optional_absolute")]
    pub folder: Option<PathBuf>,
}

/// What one argument may be: a text as it stands, or one of `{ name: true }`,
/// `{ number: { min, max } }` and `{ any_of: [ … ] }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentConfig(ArgumentRule);

/// A webhook.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedWebhookConfig {
    /// `https://…`, or `http://…` on loopback.
    pub url: String,
    /// File with the key of its signature.
    #[serde(deserialize_with = "absolute")]
    pub secret_file: PathBuf,
    /// Fields that a playbook may give.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// A Terraform workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceConfig {
    /// The program, an absolute path.
    #[serde(deserialize_with = "absolute")]
    pub terraform: PathBuf,
    /// The root module.
    #[serde(deserialize_with = "absolute")]
    pub folder: PathBuf,
    /// Addresses that a plan may change, exact or `module.NAME.*`.
    pub addresses: Vec<String>,
    /// Variables that a playbook may set.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Longest time for each run of the program.
    #[serde(default = "default_terraform_timeout", deserialize_with = "timeout")]
    pub timeout: SignedDuration,
    /// All of its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, VariableConfig>,
    /// Terraform's own configuration file.
    #[serde(default, deserialize_with = "optional_absolute")]
    pub cli_config_file: Option<PathBuf>,
    /// When to look whether something differs from what is written.
    #[serde(default, deserialize_with = "optional_schedule")]
    pub drift_check: Option<Schedule>,
}

/// Where the value of a variable of the environment comes from: `{ value: TEXT }`,
/// `{ file: PATH }` or `{ inherit: true }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawVariable")]
pub struct VariableConfig(EnvironmentValue);

impl ActuatorsConfig {
    /// For the actuators. `store` is where the journal is: receipts are kept beside it
    /// unless said otherwise.
    pub fn allowed(&self, store: &Path) -> AllowedSettings {
        let receipts = self.receipts.clone().unwrap_or_else(|| store.with_extension("receipts"));
        let AllowConfig { commands, webhooks, terraform } = &self.allow;
        let command = |(name, it): (&AllowedName, &CommandConfig)| {
            let allowed = AllowedCommand {
                program: it.program.clone(),
                arguments: it.arguments.iter().map(|it| it.0.clone()).collect(),
                timeout: it.timeout,
                environment: it.environment.clone(),
                folder: it.folder.clone(),
            };
            (name.clone(), allowed)
        };
        let webhook = |(name, it): (&AllowedName, &AllowedWebhookConfig)| {
            let AllowedWebhookConfig { url, secret_file, fields } = it.clone();
            (name.clone(), AllowedWebhook { url, secret_file, fields })
        };
        let workspace = |(name, it): (&AllowedName, &WorkspaceConfig)| {
            let environment = it.environment.iter();
            let allowed = AllowedWorkspace {
                terraform: it.terraform.clone(),
                folder: it.folder.clone(),
                addresses: it.addresses.clone(),
                variables: it.variables.clone(),
                environment: environment.map(|(name, it)| (name.clone(), it.0.clone())).collect(),
                timeout: it.timeout,
                cli_config_file: it.cli_config_file.clone(),
            };
            (name.clone(), allowed)
        };
        AllowedSettings {
            receipts: Some(receipts),
            commands: commands.iter().map(command).collect(),
            webhooks: webhooks.iter().map(webhook).collect(),
            terraform: terraform.iter().map(workspace).collect(),
        }
    }

    /// When to look for drift, by workspace.
    pub fn drift_checks(&self) -> BTreeMap<AllowedName, Schedule> {
        let with_schedule = |(name, it): (&AllowedName, &WorkspaceConfig)| {
            Some((name.clone(), it.drift_check.clone()?))
        };
        self.allow.terraform.iter().filter_map(with_schedule).collect()
    }
}

fn default_command_timeout() -> SignedDuration {
    SignedDuration::from_mins(1)
}

fn default_terraform_timeout() -> SignedDuration {
    SignedDuration::from_mins(10)
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() {
        return Ok(path);
    }
    let shown = path.display();
    Err(D::Error::custom(format!("`{shown}` is not an absolute path; begin it with `/`")))
}

fn optional_absolute<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    absolute(deserializer).map(Some)
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let timeout = parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    if TIMEOUT_MIN <= timeout && timeout <= TIMEOUT_MAX {
        return Ok(timeout);
    }
    Err(D::Error::custom(format!(
        "timeout is {}, it must be {}..{}",
        show_duration(timeout),
        show_duration(TIMEOUT_MIN),
        show_duration(TIMEOUT_MAX)
    )))
}

fn optional_schedule<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Schedule>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        cron: String,
        time_zone: String,
    }
    let Raw { cron, time_zone } = Raw::deserialize(deserializer)?;
    let schedule = Schedule::new(&cron, &time_zone).map_err(D::Error::custom)?;
    if !schedule.comes_ever() {
        return Err(D::Error::custom(format!("`{cron}` never comes; write one that does")));
    }
    Ok(Some(schedule))
}

/// The forms of an argument that are no plain text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: Option<bool>,
    number: Option<RawRange>,
    any_of: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRange {
    min: i64,
    max: i64,
}

impl RawRule {
    fn checked(self) -> Result<ArgumentRule, String> {
        match self {
            RawRule { name: Some(true), number: None, any_of: None } => Ok(ArgumentRule::Name),
            RawRule { name: None, number: Some(RawRange { min, max }), any_of: None } => {
                if max < min {
                    return Err(format!("min ({min}) is above max ({max}); swap the two"));
                }
                Ok(ArgumentRule::Number { min, max })
            }
            RawRule { name: None, number: None, any_of: Some(texts) } => {
                if texts.is_empty() {
                    return Err("`any_of` is empty; list what the argument may be".to_owned());
                }
                Ok(ArgumentRule::AnyOf(texts))
            }
            RawRule { .. } => Err(FORMS.to_owned()),
        }
    }
}

const FORMS: &str = "an argument is a text, or exactly one of `{ name: true }`, \
     `{ number: { min: 0, max: 100 } }` and `{ any_of: [ \"a\", \"b\" ] }`";

impl<'de> Deserialize<'de> for ArgumentConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ArgumentConfig, D::Error> {
        deserializer.deserialize_any(ArgumentVisitor).map(ArgumentConfig)
    }
}

/// By hand: what serde derives for "a text or a map" says of neither what is wrong with it.
struct ArgumentVisitor;

impl<'de> Visitor<'de> for ArgumentVisitor {
    type Value = ArgumentRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A bare number or `true` may be written differently from how it was meant.
        f.write_str("a text in quotes, or a rule such as `{ name: true }`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ArgumentRule, E> {
        Ok(ArgumentRule::Literal(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ArgumentRule, A::Error> {
        let rule = RawRule::deserialize(MapAccessDeserializer::new(map))?;
        rule.checked().map_err(A::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariable {
    value: Option<String>,
    file: Option<PathBuf>,
    inherit: Option<bool>,
}

impl TryFrom<RawVariable> for VariableConfig {
    type Error = String;

    fn try_from(raw: RawVariable) -> Result<VariableConfig, String> {
        let value = match raw {
            RawVariable { value: Some(value), file: None, inherit: None } => {
                EnvironmentValue::Literal(value)
            }
            RawVariable { value: None, file: Some(file), inherit: None } => {
                if !file.is_absolute() {
                    let shown = file.display();
                    return Err(format!("`{shown}` is not an absolute path; begin it with `/`"));
                }
                EnvironmentValue::FromFile(file)
            }
            RawVariable { value: None, file: None, inherit: Some(true) } => {
                EnvironmentValue::Inherit
            }
            RawVariable { .. } => {
                return Err("a variable is exactly one of `{ value: TEXT }`, `{ file: PATH }` \
                            and `{ inherit: true }`"
                    .to_owned());
            }
        };
        Ok(VariableConfig(value))
    }
}
