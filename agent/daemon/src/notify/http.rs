//! One POST, and what its answer means.
//!
//! **In:** a URL, headers and a body.
//! **Out:** that it was taken, or a [`Failure`]; never a word of the URL, which may be a
//! secret, nor of the answer's body, which may repeat one.
//! **Not here:** what is sent ([`super::outlet`]), when again ([`super::line`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Url};

use super::failure::{Failure, of_status};
use super::line::BACKOFF_MAX;

/// How long one request may take. Why 10 s: receivers answer within one; a channel that
/// hangs holds up what waits behind.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// Why HTTPS cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The file of certificate authorities cannot be used.
    #[error("cannot use the authorities in `{}`: {reason}", file.display())]
    Authorities { file: PathBuf, reason: String },
    /// The library could not be set up.
    #[error("HTTPS cannot be set up: {0}")]
    Client(String),
}

/// Sends requests. Follows no redirect, uses no proxy, repeats nothing. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

impl Http {
    /// Trusts the system's authorities and those in `ca_file`.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Http, HttpError> {
        let authorities = ca_file.map(read_authorities).transpose()?.unwrap_or_default();
        reqwest::Client::builder()
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .timeout(ATTEMPT_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .tls_certs_merge(authorities)
            .build()
            .map(Http)
            .map_err(|error| HttpError::Client(causes(error)))
    }

    /// POSTs once.
    pub(super) async fn post(
        &self,
        url: Url,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(), Failure> {
        let mut request = self.0.post(url).body(body);
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.map_err(|error| {
            if error.is_timeout() {
                Failure::channel(format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()))
            } else {
                Failure::channel(causes(error))
            }
        })?;
        let seconds =
            answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
        let again_after = seconds.map_or(Duration::ZERO, Duration::from_secs).min(BACKOFF_MAX);
        of_status(answer.status().as_u16(), again_after).map_or(Ok(()), Err)
    }
}

fn read_authorities(file: &Path) -> Result<Vec<Certificate>, HttpError> {
    let fault = |reason| HttpError::Authorities { file: file.to_owned(), reason };
    let text = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    Certificate::from_pem_bundle(&text).map_err(|error| fault(causes(error)))
}

/// An error with its causes, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut shown = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(it) = cause {
        shown.push_str(": ");
        shown.push_str(&it.to_string());
        cause = it.source();
    }
    shown
}
