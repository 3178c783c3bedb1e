//! The daemon's own configuration: `evenkeeld --config FILE`.
//!
//! **In:** the text of one YAML file.
//! **Out:** [`Config`], checked; errors name line, column and field.
//! **Not here:** documents (targets, policies, …), which live in files of their
//! own and are reloaded ([`crate::documents_files`]).

mod actuators;
mod notifications;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use evenkeel_core::ids::Region;
use evenkeel_core::units::{parse_duration, show_duration};
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

pub use actuators::{
    ActuatorsConfig, AllowConfig, AllowedWebhookConfig, ArgumentConfig, CommandConfig,
    VariableConfig, WorkspaceConfig,
};
pub(crate) use notifications::checked_url;
pub use notifications::{
    ChannelConfig, ChannelKind, HeartbeatConfig, MailAddress, NotificationsConfig, SlackChannel,
    SmtpChannel, SmtpLogin, SmtpTls, WebhookChannel,
};

/// Shortest evaluation period. Why 1 s: a scrape is not more frequent, and
/// tests want to be quick.
const PERIOD_MIN: SignedDuration = SignedDuration::from_secs(1);

/// Longest evaluation period. Why 30 s: stabilization takes a silence of more
/// than a minute for a gap, so that two looks must fit into one.
const PERIOD_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Largest configuration file.
const BYTES_MAX: u64 = 1024 * 1024;

/// Shortest time that records are kept: the longest override plus a day, so
/// that whatever is in force can be looked up.
const RETENTION_MIN: SignedDuration = SignedDuration::from_hours(96);

/// Everything that the daemon needs to know before its first document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The one region that this daemon serves.
    #[serde(deserialize_with = "region")]
    pub region: Region,
    /// Files and folders with documents.
    pub documents: Vec<PathBuf>,
    /// The journal, one SQLite file.
    pub store: PathBuf,
    /// The key that signs checkpoints; made at the first start. Beside the
    /// journal when not given.
    #[serde(default)]
    pub signing_key: Option<PathBuf>,
    /// While this file exists, nothing is changed.
    pub break_glass_file: PathBuf,
    /// From one look at everything to the next.
    #[serde(default = "default_period", deserialize_with = "duration")]
    pub evaluation_period: SignedDuration,
    /// How long records are kept; all of them when not given.
    #[serde(default, deserialize_with = "optional_duration")]
    pub retention: Option<SignedDuration>,
    /// The API.
    pub api: ApiConfig,
    /// Where signals come from.
    pub prometheus: PrometheusConfig,
    /// AWS, when targets are there.
    #[serde(default)]
    pub aws: Option<AwsConfig>,
    /// Webhooks, when they need a certificate authority of their own.
    #[serde(default)]
    pub webhook: WebhookConfig,
    /// Who is told, and how.
    #[serde(default)]
    pub notifications: NotificationsConfig,
    /// How forecasts are made.
    #[serde(default)]
    pub forecasts: ForecastsConfig,
    /// What the log looks like.
    #[serde(default)]
    pub log: LogConfig,
    /// What playbooks may do by name.
    #[serde(default)]
    pub actuators: ActuatorsConfig,
    /// What money is compared with.
    #[serde(default)]
    pub spend: SpendConfig,
}

/// The API's listeners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Unix socket; its folder must exist.
    pub socket: PathBuf,
    /// Group that may connect, beside the daemon's own account.
    #[serde(default)]
    pub socket_group: Option<String>,
    /// TLS listener.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
}

/// The API over TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// PEM chain.
    pub certificate_file: PathBuf,
    /// PEM key.
    pub key_file: PathBuf,
}

/// Prometheus, or what speaks its API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusConfig {
    /// `https://HOST[:PORT][/PREFIX]`; no credentials in it.
    pub url: String,
    /// Bearer token.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// User of basic authentication, with `password_file`.
    #[serde(default)]
    pub user: Option<String>,
    /// Password of basic authentication.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Certificate to show.
    #[serde(default)]
    pub client_certificate_file: Option<PathBuf>,
    /// Its key.
    #[serde(default)]
    pub client_key_file: Option<PathBuf>,
    /// Longest wait for one answer.
    #[serde(default = "default_query_timeout", deserialize_with = "duration")]
    pub query_timeout: SignedDuration,
    /// How far back to read at the start.
    #[serde(default = "default_history", deserialize_with = "duration")]
    pub history: SignedDuration,
}

/// AWS. What is not given comes from the standard chain.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// For example `eu-central-1`.
    #[serde(default)]
    pub region: Option<String>,
    /// In place of AWS's own endpoints.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// Profile in the profile files.
    #[serde(default)]
    pub profile: Option<String>,
}

/// Webhooks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Further certificate authorities to trust.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// How forecasts are made, of signals whose policies have `forecast`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastsConfig {
    /// Threads that fit models, at least 1; never more than there are cores. One
    /// fits 10,000 series several times a day.
    pub refit_threads: usize,
}

impl Default for ForecastsConfig {
    fn default() -> ForecastsConfig {
        ForecastsConfig { refit_threads: 1 }
    }
}

/// What money is compared with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendConfig {
    /// Folder with bills in the form of FOCUS, `*.csv`; looked at once an hour.
    #[serde(default)]
    pub focus_dir: Option<PathBuf>,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// One line of JSON per event, or of text.
    #[serde(default)]
    pub format: LogFormat,
}

/// The two forms of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For machines.
    #[default]
    Json,
    /// For people.
    Text,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No such file, or not readable.
    #[error("cannot read configuration `{file}`")]
    Read {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Too large to be one.
    #[error("configuration `{file}` has more than {BYTES_MAX} bytes")]
    TooLarge { file: PathBuf },
    /// Not YAML, an unknown field, a value of the wrong type or range.
    #[error("configuration `{file}` is not valid")]
    Syntax {
        file: PathBuf,
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A value outside its range.
    #[error("configuration `{file}`: {field} is {value}, it must be {range}")]
    Range { file: PathBuf, field: &'static str, value: String, range: String },
    /// Two fields that belong together.
    #[error("configuration `{file}`: {one} and {other} belong together; give both or neither")]
    Half { file: PathBuf, one: &'static str, other: &'static str },
}

impl Config {
    /// Reads and checks `file`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]; the first fault found.
    pub fn read(file: &Path) -> Result<Config, ConfigError> {
        let failed = |source| ConfigError::Read { file: file.to_owned(), source };
        if BYTES_MAX < std::fs::metadata(file).map_err(failed)?.len() {
            return Err(ConfigError::TooLarge { file: file.to_owned() });
        }
        Config::parse(file, &std::fs::read_to_string(file).map_err(failed)?)
    }

    /// Checks `text`; `file` is for messages only.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let config: Config = serde_saphyr::from_str(text).map_err(|source| {
            ConfigError::Syntax { file: file.to_owned(), source: Box::new(source) }
        })?;
        let range = |field, value: SignedDuration, range: String| ConfigError::Range {
            file: file.to_owned(),
            field,
            value: show_duration(value),
            range,
        };
        let period = config.evaluation_period;
        if period < PERIOD_MIN || PERIOD_MAX < period {
            let allowed = format!("{}..{}", show_duration(PERIOD_MIN), show_duration(PERIOD_MAX));
            return Err(range("evaluation_period", period, allowed));
        }
        if let Some(retention) = config.retention.filter(|it| *it < RETENTION_MIN) {
            let allowed = format!("at least {}", show_duration(RETENTION_MIN));
            return Err(range("retention", retention, allowed));
        }
        if config.forecasts.refit_threads == 0 {
            return Err(ConfigError::Range {
                file: file.to_owned(),
                field: "forecasts.refit_threads",
                value: "0".to_owned(),
                range: "at least 1".to_owned(),
            });
        }
        let prometheus = &config.prometheus;
        if prometheus.user.is_some() != prometheus.password_file.is_some() {
            let (one, other) = ("prometheus.user", "prometheus.password_file");
            return Err(ConfigError::Half { file: file.to_owned(), one, other });
        }
        Ok(config)
    }

    /// Where the signing key is.
    pub fn signing_key_file(&self) -> PathBuf {
        self.signing_key.clone().unwrap_or_else(|| self.store.with_extension("key"))
    }
}

fn default_period() -> SignedDuration {
    SignedDuration::from_secs(15)
}

fn default_query_timeout() -> SignedDuration {
    SignedDuration::from_secs(10)
}

fn default_history() -> SignedDuration {
    SignedDuration::from_hours(14 * 24)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SignedDuration>, D::Error> {
    duration(deserializer).map(Some)
}

fn region<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Region, D::Error> {
    Region::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const GOOD: &str = "\
region: eu-central-1
documents: [/etc/evenkeel/documents]
store: /var/lib/evenkeel/evenkeel.db
break_glass_file: /etc/evenkeel/freeze
api: { socket: /run/evenkeel/evenkeel.sock }
prometheus: { url: 'http://127.0.0.1:9090' }
";

    #[track_caller]
    fn check(text: &str, expected: &Expect) {
        let shown = match Config::parse(Path::new("evenkeeld.yaml"), text) {
            Ok(config) => {
                format!("{} every {}", config.region, show_duration(config.evaluation_period))
            }
            Err(error) => {
                let mut shown = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(it) = cause {
                    shown.push_str(&format!(
                        ": {}",
                        it.to_string().lines().next().unwrap_or_default()
                    ));
                    cause = it.source();
                }
                shown
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn the_smallest_configuration_is_enough() {
        check(GOOD, &expect!["eu-central-1 every 15s"]);
    }

    #[test]
    fn faults_name_place_field_and_both_numbers() {
        check(
            &format!("{GOOD}evaluation_perriod: 15s\n"),
            &expect![
                "configuration `evenkeeld.yaml` is not valid: error: line 7 column 1: unknown field `evaluation_perriod`, expected one of region, documents, store, signing_key, break_glass_file, evaluation_period, retention, api, prometheus, aws, webhook, notifications, forecasts, log, actuators, spend: unknown field `evaluation_perriod`, expected one of region, documents, store, signing_key, break_glass_file, evaluation_period, retention, api, prometheus, aws, webhook, notifications, forecasts, log, actuators, spend at line 7, column 1"
            ],
        );
        check(
            &format!("{GOOD}evaluation_period: 15\n"),
            &expect![
                "configuration `evenkeeld.yaml` is not valid: error: line 7 column 20: `15` has no unit; write for example `15s` or `15m`: `15` has no unit; write for example `15s` or `15m` at line 7, column 20"
            ],
        );
        check(
            &format!("{GOOD}evaluation_period: 10m\n"),
            &expect![
                "configuration `evenkeeld.yaml`: evaluation_period is 10m, it must be 1s..30s"
            ],
        );
        check(
            &format!("{GOOD}forecasts: {{ refit_threads: 0 }}\n"),
            &expect![
                "configuration `evenkeeld.yaml`: forecasts.refit_threads is 0, it must be at least 1"
            ],
        );
        check(
            &format!("{GOOD}retention: 1h\n"),
            &expect!["configuration `evenkeeld.yaml`: retention is 1h, it must be at least 4d"],
        );
        check(
            &GOOD.replace("region: eu", "region: e u"),
            &expect![
                "configuration `evenkeeld.yaml` is not valid: error: line 1 column 9: `e u-central-1` contains ' ', a name has only letters, digits and `-_.@/+`: `e u-central-1` contains ' ', a name has only letters, digits and `-_.@/+` at line 1, column 9"
            ],
        );
        check(
            &GOOD.replace("url: 'http://127.0.0.1:9090'", "url: x, user: ana"),
            &expect![
                "configuration `evenkeeld.yaml`: prometheus.user and prometheus.password_file belong together; give both or neither"
            ],
        );
        check(
            &GOOD.replace("store: /var/lib/evenkeel/evenkeel.db\n", ""),
            &expect![
                "configuration `evenkeeld.yaml` is not valid: error: line 5 column 1: missing field `store`: missing field `store` at line 5, column 1"
            ],
        );
    }
}
