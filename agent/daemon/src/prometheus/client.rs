//! One HTTP exchange with Prometheus, bounded in time and size.
//!
//! **In:** a query; certificates (read once) and secrets (read for every query).
//! **Out:** the bytes of one answer, or why there are none.
//! **Not here:** what the bytes say ([`super::answer`]), and whose turn it is.
//!
//! Requests are built and sent by `prometheus-http-query`. Its own reading of
//! answers is not used: it takes whole bodies of any size.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Identity, redirect};

use super::error::{QueryError, SettingsError, chain, clean};
use super::settings::PrometheusSettings;

/// Largest token, password, certificate or key file, in bytes.
///
/// Why 1 MiB: a bundle of all public authorities is 220 KiB; more is a mistake.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Longest wait for a connection, where the query's own time-out is not shorter.
///
/// Why 5 s: room for one lost SYN (retransmitted after 1 s and 3 s), and for an
/// answer in what is left.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept.
///
/// Why 50 s: several evaluation periods, yet less than the 60 s after which
/// usual load balancers drop it silently.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    /// The value now, by the server's clock: no time is sent, so that a clock
    /// that differs from ours shows.
    Instant { query: String },
    /// Values every `step_seconds` from `from_second` up to and including
    /// `to_second`, in Unix seconds.
    Range { query: String, from_second: i64, to_second: i64, step_seconds: i64 },
}

/// Talks to one Prometheus.
pub(super) struct Client {
    http: prometheus_http_query::Client,
    secret: SecretSource,
    timeout: Duration,
    bytes_max: usize,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("secret", &self.secret).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
enum SecretSource {
    None,
    Bearer { file: PathBuf },
    Basic { user: String, file: PathBuf },
}

/// A secret for the time of one exchange. Not `Debug`.
struct Secret {
    /// What must be in no message: the secret, and the header's value.
    texts: [String; 2],
    header: HeaderValue,
}

/// What came back: a status and at most the allowed number of bytes.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    secret: Option<Secret>,
}

impl Client {
    pub(super) fn new(settings: &PrometheusSettings) -> Result<Client, SettingsError> {
        let url = settings.check()?;
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.query_timeout.min(CONNECT_TIMEOUT))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.concurrency);
        if let Some(path) = &settings.ca_file {
            builder = builder.tls_certs_only(authorities(path)?);
        } else if url.scheme() == "http" {
            // Else a machine without system certificates could not even use http.
            builder = builder.tls_certs_only([]);
        }
        if let (Some(certificate), Some(key)) =
            (&settings.client_certificate_file, &settings.client_key_file)
        {
            builder = builder.identity(identity(certificate, key)?);
        }
        let tls = |error: reqwest::Error| SettingsError::Tls { reason: chain(&error) };
        let http = prometheus_http_query::Client::from(builder.build().map_err(tls)?, url.as_str())
            .map_err(|error| SettingsError::Url {
                url: settings.url.clone(),
                reason: chain(&error),
            })?;
        let secret = match (&settings.bearer_token_file, &settings.basic_auth) {
            (Some(file), _) => SecretSource::Bearer { file: file.clone() },
            (None, Some(auth)) => {
                SecretSource::Basic { user: auth.user.clone(), file: auth.password_file.clone() }
            }
            (None, None) => SecretSource::None,
        };
        let (timeout, bytes_max) = (settings.query_timeout, settings.answer_bytes_max);
        Ok(Client { http, secret, timeout, bytes_max })
    }

    /// Asks once (twice when a kept connection turns out broken) and reads the
    /// answer, all within the time-out.
    pub(super) async fn fetch(&self, ask: &Ask) -> Result<Fetched, QueryError> {
        let limit = self.timeout;
        tokio::time::timeout(limit, self.fetch_unlimited(ask))
            .await
            .unwrap_or(Err(QueryError::TimedOut { limit }))
    }

    async fn fetch_unlimited(&self, ask: &Ask) -> Result<Fetched, QueryError> {
        let secret = self.secret.read().await?;
        let header = secret.as_ref().map(|it| it.header.clone());
        let mut response = match self.send(ask, header.clone()).await {
            Err(error) if is_broken_connection(&error) => self.send(ask, header).await,
            sent => sent,
        }
        .map_err(unreachable)?;
        let oversized = QueryError::Oversized { bytes_max: self.bytes_max };
        let announced = response.content_length().and_then(|it| usize::try_from(it).ok());
        if announced.is_some_and(|it| self.bytes_max < it) {
            return Err(oversized);
        }
        let mut body = Vec::with_capacity(announced.unwrap_or_default());
        // Dropping the response on an early return closes the connection.
        while let Some(chunk) = response.chunk().await.map_err(broken_body)? {
            if self.bytes_max - body.len() < chunk.len() {
                return Err(oversized);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { status: response.status().as_u16(), body, secret })
    }

    /// POST, because a query may be longer than what a URL may hold.
    async fn send(
        &self,
        ask: &Ask,
        authorization: Option<HeaderValue>,
    ) -> Result<reqwest::Response, prometheus_http_query::Error> {
        // The server should not go on with what we no longer wait for.
        let timeout_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        match ask {
            Ask::Instant { query } => {
                let mut request = self.http.query(query).timeout(timeout_ms);
                if let Some(header) = authorization {
                    request = request.header(AUTHORIZATION, header);
                }
                request.post_raw().await
            }
            Ask::Range { query, from_second, to_second, step_seconds } => {
                let step = step_in_f64(*step_seconds);
                let mut request = self
                    .http
                    .query_range(query, *from_second, *to_second, step)
                    .timeout(timeout_ms);
                if let Some(header) = authorization {
                    request = request.header(AUTHORIZATION, header);
                }
                request.post_raw().await
            }
        }
    }
}

impl Fetched {
    /// Reads the body off the runtime's threads: a large one takes a while, and
    /// a person's freeze must not wait for it.
    pub(super) async fn parse<T: Send + 'static>(
        self,
        read: impl FnOnce(&Answer<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let parsing = tokio::task::spawn_blocking(move || {
            let secrets = self.secret.as_ref().map_or(&[][..], |it| &it.texts);
            read(&Answer { status: self.status, body: &self.body, secrets })
        });
        let stopped = |_| QueryError::Unreadable { reason: "the daemon is stopping".to_owned() };
        parsing.await.map_err(stopped)?
    }
}

/// An answer with what must not be repeated of it.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    pub(super) secrets: &'a [String],
}

impl SecretSource {
    async fn read(&self) -> Result<Option<Secret>, QueryError> {
        let file = match self {
            SecretSource::None => return Ok(None),
            SecretSource::Bearer { file } | SecretSource::Basic { file, .. } => file.clone(),
        };
        let wrong =
            |reason: &str| QueryError::Secret { path: file.clone(), reason: reason.to_owned() };
        let path = file.clone();
        let bytes = tokio::task::spawn_blocking(move || read_bounded(&path))
            .await
            .map_err(|_| wrong("the daemon is stopping"))?
            .map_err(|error| wrong(&error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text"))?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        let (scheme, value) = match self {
            SecretSource::Basic { user, .. } => {
                ("Basic", BASE64_STANDARD.encode(format!("{user}:{text}")))
            }
            SecretSource::Bearer { .. } | SecretSource::None => ("Bearer", text.clone()),
        };
        let mut header = HeaderValue::from_str(&format!("{scheme} {value}"))
            .map_err(|_| wrong("it does not fit into one line"))?;
        header.set_sensitive(true);
        Ok(Some(Secret { texts: [text, value], header }))
    }
}

/// History steps are at most days, in seconds: far below 2^32.
fn step_in_f64(step_seconds: i64) -> f64 {
    u32::try_from(step_seconds).map_or(f64::from(u32::MAX), f64::from)
}

fn is_broken_connection(error: &prometheus_http_query::Error) -> bool {
    inner(error).is_some_and(|it| it.is_request() && !it.is_connect() && !it.is_timeout())
}

fn inner(error: &prometheus_http_query::Error) -> Option<&reqwest::Error> {
    if let prometheus_http_query::Error::Client(error) = error { error.inner() } else { None }
}

fn unreachable(error: prometheus_http_query::Error) -> QueryError {
    let reason = inner(&error).map_or_else(|| error.to_string(), deepest);
    QueryError::Unreachable { reason: clean(&reason, &[]) }
}

fn broken_body(error: reqwest::Error) -> QueryError {
    let reason = format!("the answer broke off: {}", deepest(&error));
    QueryError::Unreachable { reason: clean(&reason, &[]) }
}

/// The causes below reqwest's own sentence, which names the URL and nothing else.
fn deepest(error: &reqwest::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => chain(cause),
        None => "the request failed".to_owned(),
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, SettingsError> {
    let setting = "ca_file";
    let pem = read_setting(setting, path)?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(SettingsError::Pem { setting, path: path.to_owned() });
    }
    Ok(certificates)
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, SettingsError> {
    let mut pem = read_setting("client_certificate_file", certificate)?;
    pem.push(b'\n');
    pem.extend(read_setting("client_key_file", key)?);
    Identity::from_pem(&pem).map_err(|_| SettingsError::Pem {
        setting: "client_certificate_file with client_key_file",
        path: certificate.to_owned(),
    })
}

fn read_setting(setting: &'static str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    read_bounded(path).map_err(|source| SettingsError::File {
        setting,
        path: path.to_owned(),
        source,
    })
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|it| FILE_BYTES_MAX < it) {
        let text = format!("more than {FILE_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}
