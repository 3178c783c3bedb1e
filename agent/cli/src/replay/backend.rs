//! One exchange with Prometheus, bounded in time and size.
//!
//! **In:** a URL, a token file, certificates; a range query.
//! **Out:** the answer, or what was wrong; never a secret.
//! **Not here:** which parts are asked for, and again ([`super::fetch`]).

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Url};

use super::answer::{self, Answer, Key};
use super::trouble::{Trouble, clean};
use crate::args::Common;
use crate::connection;
use crate::failure::Failure;

/// How long one answer may take when nobody says. Why 30 s: a week of a query at 60 s steps is
/// answered in one; slower ones are asked for in smaller pieces.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait for a connection, as for the daemon.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer. Why 32 MiB: ten series of the most points that one answer may have take 5.
pub(crate) const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Longest token file, and longest file of certificates.
const TOKEN_BYTES_MAX: u64 = 4 << 10;
const CA_BYTES_MAX: u64 = 4 << 20;

/// A range of one query: values at `from`, `from + step`, … up to and including `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) step: i64,
}

/// Why one query has no answer. Texts hold no secret and are bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The connection could not be made, or broke.
    Unreachable { reason: String },
    /// No complete answer in time.
    TimedOut { seconds: u64 },
    /// More bytes than are read.
    TooLarge,
    /// More series than are read.
    TooManySeries,
    /// Prometheus answered that it will not answer.
    Refused { kind: String, message: String },
    /// An HTTP status with nothing from Prometheus in it.
    Status { status: u16 },
    /// Not what Prometheus sends.
    Unreadable { reason: String },
}

/// A Prometheus.
pub(crate) struct Backend {
    http: reqwest::blocking::Client,
    at: Url,
    token: Option<Token>,
    patience: Duration,
}

/// Never shown.
struct Token {
    text: String,
    header: HeaderValue,
}

impl Backend {
    /// For what the arguments name. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// A URL that is none or holds a password, a token that would travel unencrypted; files
    /// that cannot be read.
    pub(crate) fn new(
        prometheus: &str,
        bearer_token_file: Option<&Path>,
        common: &Common,
    ) -> Result<Result<Backend, Trouble>, Failure> {
        let at = match checked(prometheus, bearer_token_file.is_some()) {
            Ok(at) => at,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let token = match bearer_token_file {
            None => None,
            Some(path) => match token(path)? {
                Some(token) => Some(token),
                None => return Err(Failure::Token { place: format!("`{}`", path.display()) }),
            },
        };
        let patience = common.timeout.map_or(PATIENCE, |it| it.unsigned_abs());
        let mut builder = reqwest::blocking::Client::builder()
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            // A redirect could carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_PATIENCE.min(patience))
            .timeout(patience);
        let failed = |source| Failure::Client { at: at.origin().ascii_serialization(), source };
        if let Some(path) = &common.ca_file {
            let pem = connection::read(path, "certificates", CA_BYTES_MAX)?;
            let trusted = Certificate::from_pem_bundle(&pem).map_err(failed)?;
            if trusted.is_empty() {
                return Err(no_certificates(path));
            }
            builder = builder.tls_certs_only(trusted);
        } else if at.scheme() == "http" {
            // A bare container has no certificates, and needs none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(failed)?;
        Ok(Ok(Backend { http, at, token, patience }))
    }

    /// Where it is, for messages.
    pub(crate) fn at(&self) -> &Url {
        &self.at
    }

    /// Asks once. POST, because a query may be longer than what a URL may hold.
    ///
    /// # Errors
    ///
    /// [`Wrong`].
    pub(crate) fn ask(&self, query: &str, range: Range, key: Key<'_>) -> Result<Answer, Wrong> {
        let mut url = self.at.clone();
        url.set_path(&format!("{}/api/v1/query_range", self.at.path().trim_end_matches('/')));
        let mut form = url.clone();
        form.query_pairs_mut()
            .append_pair("query", query)
            .append_pair("start", &range.from.to_string())
            .append_pair("end", &range.to.to_string())
            .append_pair("step", &range.step.to_string())
            // The server should not go on with what is no longer waited for.
            .append_pair("timeout", &format!("{}ms", self.patience.as_millis()));
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header.clone());
        }
        let response = request.send().map_err(|it| self.broken(&it))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let limit = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let read = response.take(limit).read_to_end(&mut body);
        if let Err(error) = read {
            if error.kind() == std::io::ErrorKind::TimedOut {
                return Err(self.timed_out());
            }
            let reason = format!("the answer broke off: {}", clean(&error.to_string(), None));
            return Err(Wrong::Unreachable { reason });
        }
        if ANSWER_BYTES_MAX < body.len() {
            return Err(Wrong::TooLarge);
        }
        answer::read(status, &body, key, self.token.as_ref().map(|it| it.text.as_str()))
    }

    fn broken(&self, error: &reqwest::Error) -> Wrong {
        // Which of the two ends first is chance.
        if error.is_timeout() && !error.is_connect() {
            return self.timed_out();
        }
        let mut deepest: &dyn std::error::Error = error;
        while let Some(cause) = deepest.source() {
            deepest = cause;
        }
        Wrong::Unreachable { reason: clean(&deepest.to_string(), None) }
    }

    fn timed_out(&self) -> Wrong {
        Wrong::TimedOut { seconds: self.patience.as_secs() }
    }
}

fn checked(text: &str, has_token: bool) -> Result<Url, Trouble> {
    let refuse = |why: &str| {
        // What stands before an `@` or after a `?` may be secret.
        let shown = match text.contains(['@', '?', '#']) {
            true => format!("{}://…", text.split_once("://").map_or("", |it| it.0)),
            false => text.to_owned(),
        };
        Err(Trouble::usage(
            format!("`{shown}` is not the URL of a Prometheus: {why}"),
            "write `https://HOST[:PORT][/PATH]`; a token goes into a file, for `--bearer-token-file`",
        ))
    };
    let Ok(url) = Url::parse(text) else { return refuse("it does not parse") };
    let host = match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) => host.trim_start_matches('[').trim_end_matches(']'),
        (_, _) => return refuse("it must begin with https:// or http://"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it must not contain a user or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it must end with the path, before any `?` or `#`");
    }
    let address = host.parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
    if has_token && url.scheme() == "http" && !is_loopback {
        return refuse("over http:// everybody on the way could read the token");
    }
    Ok(url)
}

fn token(path: &Path) -> Result<Option<Token>, Failure> {
    let bytes = connection::read(path, "token", TOKEN_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Ok(None);
    }
    let Ok(mut header) = HeaderValue::from_str(&format!("Bearer {text}")) else { return Ok(None) };
    header.set_sensitive(true);
    Ok(Some(Token { text, header }))
}

fn no_certificates(path: &Path) -> Failure {
    Failure::Content {
        path: path.to_owned(),
        expected: "a PEM file of certificates",
        hint: "it must have a part `-----BEGIN CERTIFICATE-----`",
    }
}
