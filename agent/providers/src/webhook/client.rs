//! Sending one signed request, once.
//!
//! **In:** a checked URL with its key, a method, a time and a body.
//! **Out:** status and body of the answer, or how it failed.
//! **Not here:** what an answer means (see [`super::answer`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Method, Url};

use super::key::{Key, read_key};
use super::signature::sign;
use crate::failure::{Failure, chain};
use crate::providers::Limits;
use crate::settings::{SettingsError, WebhookSettings};

/// Largest answer about a capacity or an effect, in bytes. Those that mean anything have
/// under 100.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// How long a connection may lie idle and be used again. Why 10 s: long enough
/// for the many targets of one evaluation on one platform; shorter than the time
/// after which servers commonly close, because a request that meets a closing
/// connection ends as unknown.
const IDLE: Duration = Duration::from_secs(10);

/// Largest file of certificate authorities, in bytes. The system's own bundle
/// has 200 KiB.
const CA_BYTES_MAX: u64 = 1_024 * 1_024;

/// A URL that signed requests may be sent to, and the key to sign them with.
#[derive(Debug)]
pub(crate) struct Endpoint {
    url: Url,
    key: Key,
    /// Largest answer that is read from it, in bytes.
    answer_bytes_max: usize,
}

/// What a request to set says of its effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect<'a> {
    /// Idempotency key.
    pub(crate) id: &'a str,
    /// Fencing token.
    pub(crate) term: u64,
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// At most what the endpoint allows. `None` when it repeats the key, which must
    /// not reach a log.
    pub(crate) body: Option<Vec<u8>>,
}

impl Endpoint {
    /// Checks the URL and reads the key.
    pub(crate) async fn open(url: &str, secret_file: &str) -> Result<Endpoint, Failure> {
        let url = checked_url(url).map_err(Failure::NotSent)?;
        let path = PathBuf::from(secret_file);
        // The file may be on a disk that hangs.
        let key = tokio::task::spawn_blocking(move || read_key(&path))
            .await
            .map_err(|error| Failure::NotSent(format!("reading the key file failed: {error}")))?
            .map_err(|error| Failure::NotSent(error.to_string()))?;
        Ok(Endpoint { url, key, answer_bytes_max: ANSWER_BYTES_MAX })
    }

    /// The place below this one, `url/PART/…` before any query, with another limit for
    /// answers. Each part is one segment, whatever it contains.
    pub(super) fn below(&self, parts: &[&str], answer_bytes_max: usize) -> Result<Self, Failure> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::NotSent("its URL has no path".to_owned()))?
            .pop_if_empty()
            .extend(parts);
        Ok(Endpoint { url, key: self.key.clone(), answer_bytes_max })
    }
}

/// Sends requests. Follows no redirect, uses no proxy, retries nothing.
pub(crate) struct Client {
    /// Or why there is none; found out at start, told to whoever needs it.
    client: Result<reqwest::Client, String>,
    limits: Limits,
}

impl Client {
    pub(crate) fn new(settings: &WebhookSettings, limits: Limits) -> Result<Client, SettingsError> {
        let WebhookSettings { ca_file } = settings;
        let authorities = ca_file.as_deref().map(read_authorities).transpose()?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .timeout(limits.call)
            .connect_timeout(limits.connect())
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .tls_certs_merge(authorities.unwrap_or_default())
            .build()
            .map_err(|error| chain(&error));
        // A machine without certificate authorities of its own can still serve
        // other platforms; a file that was given must be right.
        let client = match (client, ca_file) {
            (Err(reason), Some(file)) => {
                return Err(SettingsError::CaFile { file: file.clone(), reason });
            }
            (Err(reason), None) => Err(format!("HTTPS cannot be set up: {reason}")),
            (Ok(client), _) => Ok(client),
        };
        Ok(Client { client, limits })
    }

    /// Sends one request and reads its answer, within the limit for one request.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        method: Method,
        now: Timestamp,
        effect: Option<&Effect<'_>>,
        body: &str,
    ) -> Result<Answer, Failure> {
        let client = self.client.as_ref().map_err(|it| Failure::NotSent(it.clone()))?;
        let Endpoint { url, key, answer_bytes_max } = endpoint;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let timestamp = now.as_second().to_string();
        let signature = sign(key.bytes(), &timestamp, method.as_str(), &path, body.as_bytes())
            .ok_or_else(|| Failure::NotSent("the request cannot be signed".to_owned()))?;
        let mut request = client
            .request(method, url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header("Evenkeel-Timestamp", timestamp)
            .header("Evenkeel-Signature", signature);
        if let Some(Effect { id, term }) = effect {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .header("Evenkeel-Effect", *id)
                .header("Idempotency-Key", *id)
                .header("Evenkeel-Term", *term)
                .body(body.to_owned());
        }
        let mut answer = request.send().await.map_err(|error| self.failure(error))?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.failure(error))? {
            if *answer_bytes_max < body.len() + piece.len() {
                return Err(Failure::Silent(format!(
                    "the answer (HTTP {status}) is longer than {answer_bytes_max} bytes"
                )));
            }
            body.extend_from_slice(&piece);
        }
        let repeats_key = body.windows(key.bytes().len()).any(|it| it == key.bytes());
        Ok(Answer { status, body: (!repeats_key).then_some(body) })
    }

    /// What an error of the client means. Never names the URL, whose query may
    /// hold a token.
    fn failure(&self, error: reqwest::Error) -> Failure {
        let is_connect = error.is_connect() || error.is_builder();
        let is_timeout = error.is_timeout();
        let text = chain(&error.without_url());
        if is_connect {
            Failure::NotSent(text)
        } else if is_timeout {
            Failure::Silent(format!("no answer within {} s", self.limits.call.as_secs_f64()))
        } else {
            Failure::Silent(text)
        }
    }
}

/// The URL, if signed requests may be sent there.
pub(crate) fn checked_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("its URL is not one: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its URL has a user name or password; the key file is enough".to_owned());
    }
    if url.fragment().is_some() {
        return Err("its URL has a fragment (`#…`), which is never sent".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(url),
        "http" if crate::settings::is_loopback(host) => Ok(url),
        "http" => Err("plain `http://` is for loopback only; write `https://`".to_owned()),
        _ => Err("its URL must begin with `https://`".to_owned()),
    }
}

fn read_authorities(file: &Path) -> Result<Vec<Certificate>, SettingsError> {
    let fault = |reason: String| SettingsError::CaFile { file: file.to_owned(), reason };
    let length = std::fs::metadata(file).map_err(|error| fault(error.to_string()))?.len();
    if CA_BYTES_MAX < length {
        return Err(fault(format!("it has {length} bytes, at most {CA_BYTES_MAX}")));
    }
    let text = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&text).map_err(|error| fault(chain(&error)))?;
    if certificates.is_empty() {
        return Err(fault("it holds no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(url: &str, expected: &Expect) {
        expected.assert_eq(&checked_url(url).map_or_else(|it| it, |it| it.to_string()));
    }

    #[test]
    fn signed_requests_go_to_https_and_loopback_only() {
        check(
            "https://platform.example/capacity?of=a",
            &expect!["https://platform.example/capacity?of=a"],
        );
        check("http://127.0.0.1:8080/a", &expect!["http://127.0.0.1:8080/a"]);
        check("http://[::1]:8080/a", &expect!["http://[::1]:8080/a"]);
        check("http://localhost/a", &expect!["http://localhost/a"]);
        check(
            "http://platform.example/a",
            &expect!["plain `http://` is for loopback only; write `https://`"],
        );
        check(
            "http://127.0.0.1.example/a",
            &expect!["plain `http://` is for loopback only; write `https://`"],
        );
        check(
            "http://10.0.0.1/a",
            &expect!["plain `http://` is for loopback only; write `https://`"],
        );
        check(
            "https://ana:secret@platform.example/a",
            &expect!["its URL has a user name or password; the key file is enough"],
        );
        check(
            "https://platform.example/a#b",
            &expect!["its URL has a fragment (`#…`), which is never sent"],
        );
        check("ftp://platform.example/a", &expect!["its URL must begin with `https://`"]);
        check("file:///etc/passwd", &expect!["its URL must begin with `https://`"]);
        check("/capacity", &expect!["its URL is not one: relative URL without a base"]);
        check("", &expect!["its URL is not one: relative URL without a base"]);
    }
}
