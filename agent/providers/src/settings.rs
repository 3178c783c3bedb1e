//! What the daemon's configuration says about the platforms.
//!
//! **In:** values from the daemon's configuration file.
//! **Out:** plain settings, and the faults found when they are first used.
//! **Not here:** reading the file (`evenkeel-daemon`), references of single targets
//! (`evenkeel_core::documents::ProviderRef`).
//!
//! No field holds a secret: credentials and keys stay in their files.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of all platforms. [`Default`] serves webhooks only.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// AWS, when it is to be used. Needs the feature `aws`.
    pub aws: Option<AwsSettings>,
    /// Webhooks. Served whenever the feature `webhook` is built in.
    pub webhook: WebhookSettings,
    /// The demo's region. Needs the feature `simulated`, without which it is not here.
    #[cfg(feature = "simulated")]
    pub simulated: Option<crate::SharedRegion>,
    /// Most time for one request to a platform, `> 0`. Setting a capacity takes at
    /// most two: one to read, one to set.
    pub call_timeout: Duration,
    /// Most time for reading all targets of an evaluation, `> 0`. What has not been
    /// read by then counts as not read.
    pub read_deadline: Duration,
}

impl Default for ProviderSettings {
    fn default() -> ProviderSettings {
        ProviderSettings {
            aws: None,
            webhook: WebhookSettings::default(),
            #[cfg(feature = "simulated")]
            simulated: None,
            // AWS answers in well under a second; five allow for one bad network path.
            call_timeout: Duration::from_secs(5),
            // Below the usual evaluation period of 15 s.
            read_deadline: Duration::from_secs(10),
        }
    }
}

/// How to reach AWS. Whatever is not given here comes from the standard chain:
/// environment, profile files, SSO, web identity, container, instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// For example `eu-central-1`.
    pub region: Option<String>,
    /// In place of AWS's own endpoints; `https://…`, or `http://` on loopback.
    pub endpoint_url: Option<String>,
    /// Profile in the profile files; `default` when not given.
    pub profile: Option<String>,
    /// A credentials file in place of `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
}

/// How to reach webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSettings {
    /// PEM file of further certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A time limit of 0.
    #[error("`{field}` is 0; every request needs a positive limit, for example 5s")]
    ZeroLimit {
        /// The field's name.
        field: &'static str,
    },
    /// AWS is configured, but this build cannot speak to it.
    #[error("AWS is configured, but this build has no support for it; build with feature `aws`")]
    AwsNotBuiltIn,
    /// Neither the settings nor the environment name a region.
    #[error(
        "no AWS region is known; set `region` in the daemon's `aws` section, or AWS_REGION in its environment"
    )]
    NoAwsRegion,
    /// The endpoint is not a URL that credentials may be sent to.
    #[error("AWS endpoint `{url}` cannot be used: {reason}")]
    AwsEndpoint {
        /// As configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of certificate authorities cannot be used.
    #[error("certificate authorities in `{file}` cannot be used: {reason}")]
    CaFile {
        /// As configured.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that playbooks may do by name is not described in a usable way.
    #[error("{what} of the allow-list cannot be used: {reason}")]
    Allowed {
        /// For example ``command `restart-web` ``.
        what: String,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
}

/// Whether credentials may be sent to `url`: `https://…`, or `http://` on
/// loopback, where nobody else listens.
#[cfg(feature = "aws")]
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match scheme {
        "https" | "http" if authority.contains('@') => {
            Err("it has a user name or password, which AWS does not use".to_owned())
        }
        "https" if authority.is_empty() => Err("it names no host".to_owned()),
        "https" => Ok(()),
        "http" if is_loopback(host_of(authority)) => Ok(()),
        "http" => Err("plain `http://` is for loopback only; write `https://`".to_owned()),
        _ => Err("it must begin with `https://`".to_owned()),
    }
}

/// The host of `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
#[cfg(feature = "aws")]
fn host_of(authority: &str) -> &str {
    match authority.split_once(']') {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether `host` is this machine: `localhost`, or an address of loopback, also
/// in the brackets that URLs put around IPv6.
#[cfg(any(feature = "aws", feature = "webhook"))]
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A URL as messages show it: without what may be a secret, that is user name,
/// password, query and fragment.
#[cfg(any(feature = "aws", feature = "webhook"))]
pub(crate) fn shown_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let shown = url.get(..end).unwrap_or_default();
    let shown = match (shown.split_once("://"), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, after))) => format!("{scheme}://…@{after}"),
        (None, Some((_, after))) => format!("…@{after}"),
        (_, None) => shown.to_owned(),
    };
    crate::provider::one_line(&shown, 200)
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(url: &str, expected: &Expect) {
        let verdict = check_url(url).map_or_else(|it| it, |()| "fine".to_owned());
        expected.assert_eq(&format!("{}: {verdict}", shown_url(url)));
    }

    #[test]
    fn credentials_go_to_https_and_loopback_only() {
        check(
            "https://autoscaling.eu-central-1.amazonaws.com",
            &expect!["https://autoscaling.eu-central-1.amazonaws.com: fine"],
        );
        check("http://127.0.0.1:5000", &expect!["http://127.0.0.1:5000: fine"]);
        check("http://[::1]:5000/", &expect!["http://[::1]:5000/: fine"]);
        check("http://localhost:5000", &expect!["http://localhost:5000: fine"]);
        check(
            "http://aws.example",
            &expect!["http://aws.example: plain `http://` is for loopback only; write `https://`"],
        );
        check(
            "http://10.0.0.1",
            &expect!["http://10.0.0.1: plain `http://` is for loopback only; write `https://`"],
        );
        check(
            "http://127.0.0.1.aws.example",
            &expect![
                "http://127.0.0.1.aws.example: plain `http://` is for loopback only; write `https://`"
            ],
        );
        check(
            "http://127.0.0.1:pw@aws.example",
            &expect![
                "http://…@aws.example: it has a user name or password, which AWS does not use"
            ],
        );
        check(
            "https://ana:pw@aws.example/p@th?token=t",
            &expect!["https://…@th: it has a user name or password, which AWS does not use"],
        );
        check("https://", &expect!["https://: it names no host"]);
        check("https://?a", &expect!["https://: it names no host"]);
        check("aws.example", &expect!["aws.example: it must begin with `https://`"]);
        check("", &expect![": it must begin with `https://`"]);
    }
}
