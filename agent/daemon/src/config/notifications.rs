//! `notifications` of the daemon's configuration: who is told, and how.
//!
//! **In:** the section's raw fields.
//! **Out:** [`NotificationsConfig`], checked; a secret is only ever named by its file.
//! **Not here:** sending anything ([`crate::notify`]).

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use evenkeel_core::incident::Severity;
use evenkeel_core::units::show_duration;
use jiff::SignedDuration;
use lettre::message::Mailbox;
use reqwest::Url;
use serde::Deserialize;

use super::duration;

/// Most channels. Why 20: a team has three; each costs a task and retries of its own.
const CHANNELS_MAX: usize = 20;

/// Most addresses of one channel. Why 20: beyond that a mailing list is better.
const ADDRESSES_MAX: usize = 20;

/// Longest name of a channel, in bytes: it is a label of a metric.
const NAME_BYTES_MAX: usize = 40;

/// Range of `dead_after`. Why from 1 min: an upgrade of a receiver takes seconds; up to
/// 1 h: a page that nobody can be sent is older than any promise by then.
const DEAD_AFTER: [SignedDuration; 2] =
    [SignedDuration::from_mins(1), SignedDuration::from_hours(1)];

/// Range of the heartbeat's period. Why from 10 s: receivers count in minutes.
const PERIOD: [SignedDuration; 2] = [SignedDuration::from_secs(10), SignedDuration::from_hours(1)];

/// Who is told, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawNotifications")]
pub struct NotificationsConfig {
    /// Where notices go; names differ.
    pub channels: Vec<ChannelConfig>,
    /// After this long without success the notifier counts as dead.
    pub dead_after: SignedDuration,
    /// The dead man's switch.
    pub heartbeat: Option<HeartbeatConfig>,
}

impl Default for NotificationsConfig {
    fn default() -> NotificationsConfig {
        let dead_after = default_dead_after();
        NotificationsConfig { channels: Vec::new(), dead_after, heartbeat: None }
    }
}

/// One way to reach people.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawChannel")]
pub struct ChannelConfig {
    /// Lower case letters, digits and `-`, at most 40.
    pub name: String,
    /// What is less urgent does not go here.
    pub severity_min: Severity,
    /// Whether the notifier counts as dead when this channel alone fails.
    pub required: bool,
    /// What it is.
    pub kind: ChannelKind,
}

/// What a channel is.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// A signed POST.
    Webhook(WebhookChannel),
    /// An incoming webhook of Slack, Mattermost, Rocket.Chat, …
    Slack(SlackChannel),
    /// Mail.
    Smtp(SmtpChannel),
}

/// A signed POST, as to a platform (`agent/providers/WEBHOOK.md`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookChannel {
    /// `https://…`, or `http://` to loopback; no credentials in it.
    pub url: String,
    /// The key that signs.
    pub secret_file: PathBuf,
}

/// An incoming webhook whose URL is the secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackChannel {
    /// The URL, in one line.
    pub url_file: PathBuf,
}

/// A mail server and who gets mail.
#[derive(Clone, Debug)]
pub struct SmtpChannel {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Files with user name and password.
    pub login: Option<SmtpLogin>,
    /// Sender.
    pub from: MailAddress,
    /// Receivers, at least one.
    pub to: Vec<MailAddress>,
}

/// Files with user name and password, each in one line.
#[derive(Clone, Debug)]
pub struct SmtpLogin {
    /// The user name.
    pub user_file: PathBuf,
    /// The password.
    pub password_file: PathBuf,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// STARTTLS, and nothing is said before it.
    #[default]
    Required,
    /// TLS from the first byte.
    Implicit,
    /// Not at all; loopback only.
    #[serde(rename = "none")]
    Plain,
}

impl SmtpTls {
    fn default_port(self) -> u16 {
        match self {
            SmtpTls::Required => 587,
            SmtpTls::Implicit => 465,
            SmtpTls::Plain => 25,
        }
    }
}

/// `ana@example.com` or `Ana <ana@example.com>`, checked.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MailAddress(Mailbox);

impl MailAddress {
    /// As the mail library wants it.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<String> for MailAddress {
    type Error = String;
    fn try_from(text: String) -> Result<MailAddress, String> {
        if text.chars().any(char::is_control) {
            return Err("a mail address has a control character".to_owned());
        }
        text.parse().map(MailAddress).map_err(|_| {
            format!(
                "`{text}` is not a mail address; write `ana@example.com` or `Ana <ana@example.com>`"
            )
        })
    }
}

/// A URL that is called for as long as the agent is alive.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawHeartbeat")]
pub struct HeartbeatConfig {
    /// The URL, in one line: whoever knows it can keep the switch from tripping.
    pub url_file: PathBuf,
    /// From one beat to the next.
    pub period: SignedDuration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNotifications {
    #[serde(default)]
    channels: Vec<ChannelConfig>,
    #[serde(default = "default_dead_after", deserialize_with = "duration")]
    dead_after: SignedDuration,
    #[serde(default)]
    heartbeat: Option<HeartbeatConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    name: String,
    #[serde(default = "default_severity_min")]
    severity_min: Severity,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    webhook: Option<WebhookChannel>,
    #[serde(default)]
    slack: Option<SlackChannel>,
    #[serde(default)]
    smtp: Option<RawSmtp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSmtp {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    tls: SmtpTls,
    #[serde(default)]
    user_file: Option<PathBuf>,
    #[serde(default)]
    password_file: Option<PathBuf>,
    from: MailAddress,
    to: Vec<MailAddress>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeartbeat {
    url_file: PathBuf,
    #[serde(default = "default_period", deserialize_with = "duration")]
    period: SignedDuration,
}

fn default_dead_after() -> SignedDuration {
    SignedDuration::from_mins(5)
}

fn default_period() -> SignedDuration {
    SignedDuration::from_mins(1)
}

fn default_severity_min() -> Severity {
    Severity::Ticket
}

impl TryFrom<RawNotifications> for NotificationsConfig {
    type Error = String;
    fn try_from(raw: RawNotifications) -> Result<NotificationsConfig, String> {
        let RawNotifications { channels, dead_after, heartbeat } = raw;
        if CHANNELS_MAX < channels.len() {
            let n = channels.len();
            return Err(format!("notifications has {n} channels, at most {CHANNELS_MAX}"));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = channels.iter().find(|it| !names.insert(it.name.as_str())) {
            return Err(format!("two channels are called `{}`; rename one", twice.name));
        }
        within("notifications.dead_after", dead_after, DEAD_AFTER)?;
        Ok(NotificationsConfig { channels, dead_after, heartbeat })
    }
}

impl TryFrom<RawChannel> for ChannelConfig {
    type Error = String;
    fn try_from(raw: RawChannel) -> Result<ChannelConfig, String> {
        let RawChannel { name, severity_min, required, webhook, slack, smtp } = raw;
        let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
        if name.is_empty() || NAME_BYTES_MAX < name.len() || !name.bytes().all(allowed) {
            let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
            return Err(format!(
                "{shown:?} cannot name a channel: 1 to {NAME_BYTES_MAX} lower case letters, digits and `-`"
            ));
        }
        let kind = match (webhook, slack, smtp) {
            (Some(it), None, None) => {
                checked_url(&it.url).map_err(|why| format!("channel `{name}`: {why}"))?;
                ChannelKind::Webhook(it)
            }
            (None, Some(it), None) => ChannelKind::Slack(it),
            (None, None, Some(it)) => {
                ChannelKind::Smtp(it.checked().map_err(|why| format!("channel `{name}`: {why}"))?)
            }
            (webhook, slack, smtp) => {
                let given = [webhook.is_some(), slack.is_some(), smtp.is_some()];
                let n = given.iter().filter(|it| **it).count();
                return Err(format!(
                    "channel `{name}` has {n} of `webhook`, `slack` and `smtp`; give exactly one"
                ));
            }
        };
        Ok(ChannelConfig { name, severity_min, required, kind })
    }
}

impl RawSmtp {
    fn checked(self) -> Result<SmtpChannel, String> {
        let RawSmtp { host, port, tls, user_file, password_file, from, to } = self;
        if tls == SmtpTls::Plain && !is_loopback(&host) {
            return Err("`tls: none` is for loopback only; write `required` or `implicit`".into());
        }
        if to.is_empty() || ADDRESSES_MAX < to.len() {
            return Err(format!("`to` has {} addresses, 1 to {ADDRESSES_MAX}", to.len()));
        }
        let login = match (user_file, password_file) {
            (Some(user_file), Some(password_file)) => Some(SmtpLogin { user_file, password_file }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err("`user_file` and `password_file` belong together".into());
            }
        };
        let port = port.unwrap_or_else(|| tls.default_port());
        Ok(SmtpChannel { host, port, tls, login, from, to })
    }
}

impl TryFrom<RawHeartbeat> for HeartbeatConfig {
    type Error = String;
    fn try_from(raw: RawHeartbeat) -> Result<HeartbeatConfig, String> {
        let RawHeartbeat { url_file, period } = raw;
        within("notifications.heartbeat.period", period, PERIOD)?;
        Ok(HeartbeatConfig { url_file, period })
    }
}

fn within(field: &str, value: SignedDuration, range: [SignedDuration; 2]) -> Result<(), String> {
    let [min, max] = range;
    if min <= value && value <= max {
        return Ok(());
    }
    let [value, min, max] = [value, min, max].map(show_duration);
    Err(format!("{field} is {value}, it must be {min}..{max}"))
}

/// The URL, if notifications may be sent there: HTTPS, or loopback. Says nothing of the
/// text itself, which may be a secret.
pub(crate) fn checked_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("its URL is not one: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its URL has a user name or password; a file is the place for secrets".into());
    }
    if url.fragment().is_some() {
        return Err("its URL has a fragment (`#…`), which is never sent".into());
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err("plain `http://` is for loopback only; write `https://`".into()),
        _ => Err("its URL must begin with `https://`".into()),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, expected: &Expect) {
        let shown = match serde_saphyr::from_str::<NotificationsConfig>(text) {
            Ok(config) => format!("{config:?}"),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_channel_is_exactly_one_thing_with_safe_defaults() {
        check(
            "{}",
            &expect!["NotificationsConfig { channels: [], dead_after: 5m, heartbeat: None }"],
        );
        check(
            "channels: [{ name: hook, webhook: { url: 'https://a.example/n', secret_file: /k } }]",
            &expect![[
                r#"NotificationsConfig { channels: [ChannelConfig { name: "hook", severity_min: Ticket, required: false, kind: Webhook(WebhookChannel { url: "https://a.example/n", secret_file: "/k" }) }], dead_after: 5m, heartbeat: None }"#
            ]],
        );
        check(
            "channels: [{ name: mail, severity_min: page, required: true, smtp: { host: m.example, from: a@b.c, to: [Ana <d@e.f>] } }]",
            &expect![[
                r#"NotificationsConfig { channels: [ChannelConfig { name: "mail", severity_min: Page, required: true, kind: Smtp(SmtpChannel { host: "m.example", port: 587, tls: Required, login: None, from: a@b.c, to: [Ana <d@e.f>] }) }], dead_after: 5m, heartbeat: None }"#
            ]],
        );
        check(
            "channels: [{ name: chat, slack: { url_file: /u } }]\nheartbeat: { url_file: /h }",
            &expect![[
                r#"NotificationsConfig { channels: [ChannelConfig { name: "chat", severity_min: Ticket, required: false, kind: Slack(SlackChannel { url_file: "/u" }) }], dead_after: 5m, heartbeat: Some(HeartbeatConfig { url_file: "/h", period: 1m }) }"#
            ]],
        );
        check(
            "channels: [{ name: x }]",
            &expect![
                "error: line 1 column 12: channel `x` has 0 of `webhook`, `slack` and `smtp`; give exactly one"
            ],
        );
        check(
            "channels: [{ name: x, slack: { url_file: /u }, webhook: { url: 'https://a', secret_file: /k } }]",
            &expect![
                "error: line 1 column 12: channel `x` has 2 of `webhook`, `slack` and `smtp`; give exactly one"
            ],
        );
    }

    #[test]
    fn faults_say_what_to_do() {
        for (text, expected) in [
            (
                "channels: [{ name: 'On Call', slack: { url_file: /u } }]",
                expect![[
                    r#"error: line 1 column 12: "On Call" cannot name a channel: 1 to 40 lower case letters, digits and `-`"#
                ]],
            ),
            (
                "channels: [{ name: a, slack: { url_file: /u } }, { name: a, slack: { url_file: /v } }]",
                expect!["two channels are called `a`; rename one"],
            ),
            ("dead_after: 1s", expect!["notifications.dead_after is 1s, it must be 1m..1h"]),
            (
                "heartbeat: { url_file: /h, period: 1s }",
                expect![
                    "error: line 1 column 12: notifications.heartbeat.period is 1s, it must be 10s..1h"
                ],
            ),
            (
                "channels: [{ name: a, slack: { url: 'https://secret' } }]",
                expect!["error: line 1 column 32: unknown field `url`, expected one of url_file"],
            ),
            (
                "channels: [{ name: a, severity_min: high, slack: { url_file: /u } }]",
                expect![
                    "error: line 1 column 37: unknown variant `high`, expected one of info, ticket, page"
                ],
            ),
            (
                "channels: [{ name: a, webhook: { url: 'http://a.example', secret_file: /k } }]",
                expect![
                    "error: line 1 column 12: channel `a`: plain `http://` is for loopback only; write `https://`"
                ],
            ),
            (
                "channels: [{ name: a, webhook: { url: 'https://u:p@a.example', secret_file: /k } }]",
                expect![
                    "error: line 1 column 12: channel `a`: its URL has a user name or password; a file is the place for secrets"
                ],
            ),
            (
                "channels: [{ name: a, smtp: { host: m.example, tls: none, from: a@b.c, to: [a@b.c] } }]",
                expect![
                    "error: line 1 column 12: channel `a`: `tls: none` is for loopback only; write `required` or `implicit`"
                ],
            ),
            (
                "channels: [{ name: a, smtp: { host: m, user_file: /u, from: a@b.c, to: [a@b.c] } }]",
                expect![
                    "error: line 1 column 12: channel `a`: `user_file` and `password_file` belong together"
                ],
            ),
            (
                "channels: [{ name: a, smtp: { host: m, from: a@b.c, to: [] } }]",
                expect!["error: line 1 column 12: channel `a`: `to` has 0 addresses, 1 to 20"],
            ),
            (
                "channels: [{ name: a, smtp: { host: m, from: \"a@b.c\\nBcc: x@y.z\", to: [a@b.c] } }]",
                expect!["error: line 1 column 46: a mail address has a control character"],
            ),
            (
                "channels: [{ name: a, smtp: { host: m, from: nobody, to: [a@b.c] } }]",
                expect![
                    "error: line 1 column 46: `nobody` is not a mail address; write `ana@example.com` or `Ana <ana@example.com>`"
                ],
            ),
        ] {
            check(text, &expected);
        }
    }
}
