//! Why Prometheus could not be set up or did not answer.
//!
//! **In:** what went wrong, as the layer below says it.
//! **Out:** errors that hold no secret and no text of unbounded length.
//! **Not here:** samples that arrived but mean nothing (`Absence` and `Doubt` of
//! the core).

use std::path::PathBuf;
use std::time::Duration;

/// Longest text of a server that is passed on, in characters.
///
/// Why 300: PromQL's own messages fit; a page of HTML does not belong in a
/// terminal, a log line or an explanation.
pub(super) const TEXT_CHARS_MAX: usize = 300;

/// Why there can be no source with these settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the URL of a server.
    #[error("prometheus url `{url}`: {reason}")]
    Url { url: String, reason: String },
    /// A secret with `http://` to another machine.
    #[error(
        "prometheus url `{url}`: a token or password would travel unencrypted; \
         use https, or http on loopback only"
    )]
    SecretUnencrypted { url: String },
    /// Two ways to authenticate.
    #[error("bearer_token_file and basic_auth exclude each other; keep one")]
    TwoSecrets,
    /// A user name that `Authorization: Basic` cannot carry.
    #[error("basic_auth user `{user}` must have no colon and no control character")]
    User { user: String },
    /// A certificate without its key, or a key without its certificate.
    #[error("client_certificate_file and client_key_file belong together; set both or neither")]
    HalfIdentity,
    /// A limit that limits nothing, or everything.
    #[error("prometheus setting `{setting}` must be {expected}")]
    Limit { setting: &'static str, expected: &'static str },
    /// A certificate or key file that cannot be read.
    #[error("cannot read `{}` ({setting})", path.display())]
    File {
        setting: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key file that is not PEM.
    #[error("`{}` ({setting}) holds no PEM of that kind", path.display())]
    Pem { setting: &'static str, path: PathBuf },
    /// TLS refused what it was given, for example a key of another certificate.
    #[error("cannot set up TLS towards prometheus: {reason}")]
    Tls { reason: String },
}

/// Why one query has no answer. Texts of a server are cut to 300 characters,
/// without control characters and without our secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Too many queries were under way for too long.
    #[error(
        "no turn within {}: other queries were still under way; \
         make them faster or raise the concurrency", shown(*limit)
    )]
    NoTurn { limit: Duration },
    /// The token or password file cannot be read.
    #[error("cannot read the secret in `{}`: {reason}", path.display())]
    Secret { path: PathBuf, reason: String },
    /// No complete answer in time.
    #[error("no complete answer within {}", shown(*limit))]
    TimedOut { limit: Duration },
    /// The connection could not be made, or broke.
    #[error("cannot reach prometheus: {reason}")]
    Unreachable { reason: String },
    /// Prometheus answered that it will not answer.
    #[error("prometheus refused the query: {kind}: {message}")]
    Refused { kind: String, message: String },
    /// An HTTP status with nothing from Prometheus in it.
    #[error("answered HTTP {status} without an error of prometheus; {}", hint_for(*status))]
    Status { status: u16 },
    /// More bytes than allowed. The rest was not read.
    #[error(
        "the answer is larger than {bytes_max} bytes; aggregate the query, for example \
         `sum by (service) (…)`"
    )]
    Oversized { bytes_max: usize },
    /// More series than allowed.
    #[error(
        "the answer has more than {series_max} series; aggregate the query, for example \
         `sum by (service) (…)`"
    )]
    TooManySeries { series_max: usize },
    /// A scalar, string or matrix where a vector is needed.
    #[error("the query returns a {found}, it must return a {expected}")]
    WrongType { found: String, expected: &'static str },
    /// Not the JSON that Prometheus sends.
    #[error("cannot read the answer: {reason}; is the url that of a prometheus?")]
    Unreadable { reason: String },
    /// Part of the data was missing where only whole data is of use.
    #[error("the answer is partial: {warning}")]
    Partial { warning: String },
}

fn hint_for(status: u16) -> &'static str {
    match status {
        300..=399 => "set the url it redirects to",
        401 | 403 => "check the token or password and its rights",
        404 | 405 => "check the path of the url",
        429 => "it is asked too often",
        _ => "something before prometheus may have answered",
    }
}

fn shown(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

/// Text of a server, fit for an explanation: one line, bounded, without `secrets`.
pub(super) fn clean(text: &str, secrets: &[String]) -> String {
    let hidden = secrets
        .iter()
        .filter(|it| !it.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "[hidden]"));
    let line: String = hidden.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// An error and what caused it, as one line without repetition.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    clean(&text, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_server_is_one_bounded_line_without_the_secret() {
        assert_eq!(clean("a\r\n\u{1b}[31mb", &[]), "a   [31mb");
        assert_eq!(
            clean("who is s3cret? s3cret", &["s3cret".to_owned()]),
            "who is [hidden]? [hidden]"
        );
        assert_eq!(clean("as it is", &[String::new()]), "as it is");
        let long = clean(&"é".repeat(1000), &[]);
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX + 1);
    }
}
