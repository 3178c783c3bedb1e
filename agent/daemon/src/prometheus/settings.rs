//! Where Prometheus is, which secrets it wants, and how much it may cost us.
//!
//! **In:** the daemon's configuration.
//! **Out:** settings that passed every check that needs no network.
//! **Not here:** the configuration file's format, and reading the files named
//! here ([`super::client`]).

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::error::SettingsError;

/// Where and how to ask. Secrets are named by file and never held here, so
/// these settings may be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusSettings {
    /// `https://HOST[:PORT][/PREFIX]` or `http://…`, without credentials, query
    /// or fragment.
    pub url: String,
    /// File with a token for `Authorization: Bearer`. Read anew for every query,
    /// so that a rotated token needs no signal.
    pub bearer_token_file: Option<PathBuf>,
    /// User and password; not together with a token.
    pub basic_auth: Option<BasicAuth>,
    /// PEM bundle of the only authorities to trust; the system's when `None`.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate (chain) that we show; needs `client_key_file`.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM key of that certificate.
    pub client_key_file: Option<PathBuf>,
    /// Longest wait for one complete answer, and for its turn before that:
    /// above 0.
    pub query_timeout: Duration,
    /// Largest answer, in bytes after any decoding: at least 1 KiB.
    pub answer_bytes_max: usize,
    /// Queries under way at once; at least 1. Reading the past and reading for budgets
    /// may each have half as many more. The answers under way hold at most
    /// about three times `concurrency * answer_bytes_max`.
    pub concurrency: usize,
    /// How far back [`super::PrometheusSource::backfill`] reads; at least one step.
    pub history: SignedDuration,
    /// Distance of the points it reads: whole seconds, above 0.
    pub history_step: SignedDuration,
}

/// User and password for `Authorization: Basic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// Not secret; without a colon.
    pub user: String,
    /// Read anew for every query.
    pub password_file: PathBuf,
}

impl PrometheusSettings {
    /// Settings for `url` with nothing secret and the usual limits: 10 s, 16 MiB,
    /// 4 queries at once, 14 days of history in steps of 5 min.
    pub fn new(url: impl Into<String>) -> PrometheusSettings {
        PrometheusSettings {
            url: url.into(),
            bearer_token_file: None,
            basic_auth: None,
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            query_timeout: Duration::from_secs(10),
            // 10,000 series of one value are about 2 MB. Four answers under way then
            // hold at most about 200 MB, whatever a broken server sends.
            answer_bytes_max: 16 * 1024 * 1024,
            concurrency: 4,
            history: SignedDuration::from_hours(14 * 24),
            history_step: SignedDuration::from_mins(5),
        }
    }

    /// Checks all that can be checked without reading a file.
    pub(super) fn check(&self) -> Result<Url, SettingsError> {
        let url = self.checked_url()?;
        if self.bearer_token_file.is_some() && self.basic_auth.is_some() {
            return Err(SettingsError::TwoSecrets);
        }
        if let Some(auth) = &self.basic_auth
            && (auth.user.contains(':') || auth.user.chars().any(char::is_control))
        {
            return Err(SettingsError::User { user: auth.user.clone() });
        }
        if self.client_certificate_file.is_some() != self.client_key_file.is_some() {
            return Err(SettingsError::HalfIdentity);
        }
        let named = [
            ("query_timeout", self.query_timeout.is_zero(), "more than 0"),
            ("answer_bytes_max", self.answer_bytes_max < 1024, "at least 1 KiB"),
            ("concurrency", self.concurrency < 1, "at least 1"),
            ("concurrency", 1000 < self.concurrency, "at most 1000"),
            (
                "history_step",
                self.history_step.as_secs() < 1 || self.history_step.subsec_nanos() != 0,
                "whole seconds, at least 1s",
            ),
            ("history", self.history < self.history_step, "at least history_step"),
        ];
        match named.into_iter().find(|(_, wrong, _)| *wrong) {
            Some((setting, _, expected)) => Err(SettingsError::Limit { setting, expected }),
            None => Ok(url),
        }
    }

    fn checked_url(&self) -> Result<Url, SettingsError> {
        let wrong = |reason: &str| SettingsError::Url {
            url: without_secrets(&self.url),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(&self.url).map_err(|error| wrong(&error.to_string()))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(wrong("the scheme must be http or https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("credentials do not belong here; use basic_auth with password_file"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it must end with the path, before any `?` or `#`"));
        }
        let has_secret = self.bearer_token_file.is_some() || self.basic_auth.is_some();
        if url.scheme() == "http" && has_secret && !is_loopback(&url) {
            return Err(SettingsError::SecretUnencrypted { url: without_secrets(&self.url) });
        }
        // `…/prefix/` would become `…/prefix//api/v1/query`.
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

/// The URL as typed, unless a part of it may be secret.
fn without_secrets(url: &str) -> String {
    if url.contains(['@', '?', '#']) {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        return format!("{scheme}://…");
    }
    url.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(url: &str, change: impl FnOnce(&mut PrometheusSettings), expected: &Expect) {
        let mut settings = PrometheusSettings::new(url);
        change(&mut settings);
        let shown = match settings.check() {
            Ok(url) => url.to_string(),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    fn token(settings: &mut PrometheusSettings) {
        settings.bearer_token_file = Some(PathBuf::from("/run/token"));
    }

    #[test]
    fn a_url_is_one_of_a_server_and_holds_no_secret() {
        check("http://127.0.0.1:9090", |_| (), &expect!["http://127.0.0.1:9090/"]);
        check("https://metrics/prometheus/", |_| (), &expect!["https://metrics/prometheus"]);
        check(
            "prometheus:9090",
            |_| (),
            &expect!["prometheus url `prometheus:9090`: the scheme must be http or https"],
        );
        check("", |_| (), &expect!["prometheus url ``: relative URL without a base"]);
        check(
            "https://ana:hunter2@metrics/",
            |_| (),
            &expect![
                "prometheus url `https://…`: credentials do not belong here; use basic_auth with password_file"
            ],
        );
        check(
            "https://metrics/?token=hunter2",
            |_| (),
            &expect![
                "prometheus url `https://…`: it must end with the path, before any `?` or `#`"
            ],
        );
    }

    #[test]
    fn a_secret_leaves_the_machine_only_over_https() {
        check("https://metrics", token, &expect!["https://metrics/"]);
        check("http://localhost:9090", token, &expect!["http://localhost:9090/"]);
        check("http://[::1]:9090", token, &expect!["http://[::1]:9090/"]);
        check(
            "http://metrics:9090",
            token,
            &expect![
                "prometheus url `http://metrics:9090`: a token or password would travel unencrypted; use https, or http on loopback only"
            ],
        );
    }

    #[test]
    fn settings_that_contradict_each_other_or_bound_nothing_are_refused() {
        let url = "https://metrics";
        check(
            url,
            |it| {
                token(it);
                let password_file = PathBuf::from("/run/password");
                it.basic_auth = Some(BasicAuth { user: "ana".to_owned(), password_file });
            },
            &expect!["bearer_token_file and basic_auth exclude each other; keep one"],
        );
        check(
            url,
            |it| it.client_key_file = Some(PathBuf::from("/run/key")),
            &expect![
                "client_certificate_file and client_key_file belong together; set both or neither"
            ],
        );
        check(
            url,
            |it| it.query_timeout = Duration::ZERO,
            &expect!["prometheus setting `query_timeout` must be more than 0"],
        );
        check(
            url,
            |it| it.concurrency = 0,
            &expect!["prometheus setting `concurrency` must be at least 1"],
        );
        check(
            url,
            |it| it.history_step = SignedDuration::from_millis(1500),
            &expect!["prometheus setting `history_step` must be whole seconds, at least 1s"],
        );
    }
}
