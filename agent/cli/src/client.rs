//! Asking the agent.
//!
//! **In:** a [`Connection`], a route, a body.
//! **Out:** an answer that was read in full, or a [`Failure`] that tells apart
//! what was refused, what was never sent, and what may have happened.
//! **Not here:** what is asked (see the modules of the verbs). Nothing is ever
//! sent twice.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::time::Duration;

use evenkeel_core::api::ErrorAnswer;
use jiff::{SignedDuration, Timestamp};
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::AUTHORIZATION;
use reqwest::{Certificate, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{Common, When};
use crate::connection::{Connection, Token};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// How long one answer may take when nobody says.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// Longest wait for a connection, so that it is told apart from a slow answer.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer. Why 256 MiB: 10,000 targets or 10,000 records are below
/// 64 MiB.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Largest piece of a stream handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// The agent, as a place to ask.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    base: Url,
    /// For messages.
    at: String,
    is_socket: bool,
    token: Option<Token>,
}

/// An answer in both forms.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// As a value.
    pub(crate) value: T,
    /// The JSON it was, with fields that this version may not know.
    pub(crate) json: String,
}

/// What takes the pieces of a stream, until it breaks.
pub(crate) type Take<'a> = dyn FnMut(&[u8]) -> Result<ControlFlow<()>, Failure> + 'a;

/// What is lost when no answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stake {
    /// Nothing: it was a question.
    Nothing,
    /// It may have happened.
    Change,
}

impl Client {
    /// A client for the agent that options and environment name.
    ///
    /// # Errors
    ///
    /// As [`Connection::find`]; [`Failure::Client`]. Nothing is sent yet.
    pub(crate) fn new(common: &Common, terminal: &Terminal) -> Result<Client, Failure> {
        Client::patient(common, terminal, PATIENCE)
    }

    /// As [`Client::new`], waiting for `patience` when no time-out is given.
    pub(crate) fn patient(
        common: &Common,
        terminal: &Terminal,
        patience: SignedDuration,
    ) -> Result<Client, Failure> {
        let patience = common.timeout.unwrap_or(patience).unsigned_abs();
        let builder = reqwest::blocking::Client::builder()
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            // A redirect could carry the token, or a change, elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_PATIENCE.min(patience))
            .timeout(patience);
        let (builder, base, at, is_socket, token) = match Connection::find(common, terminal)? {
            Connection::Socket(path) => {
                let at = path.display().to_string();
                // No certificates are needed, nor looked for: a bare container has none.
                let builder = builder.unix_socket(path).tls_certs_only([]).no_proxy();
                (builder, "http://localhost".to_owned(), at, true, None)
            }
            Connection::Url { url, token, ca } => {
                let at = url.origin().ascii_serialization();
                let failed = |source| Failure::Client { at: at.clone(), source };
                let builder = match ca {
                    Some((path, pem)) => {
                        let trusted = Certificate::from_pem_bundle(&pem).map_err(failed)?;
                        if trusted.is_empty() {
                            return Err(Failure::Content {
                                path,
                                expected: "a PEM file of certificates",
                                hint: "it must have a part `-----BEGIN CERTIFICATE-----`",
                            });
                        }
                        builder.tls_certs_only(trusted)
                    }
                    None if url.scheme() == "http" => builder.tls_certs_only([]).no_proxy(),
                    None => builder,
                };
                (builder, url.to_string(), at, false, token)
            }
        };
        let http = builder.build().map_err(|source| Failure::Client { at: at.clone(), source })?;
        let base =
            Url::parse(&base).map_err(|_| Failure::Url { url: base, why: "it does not parse" })?;
        Ok(Client { http, base, at, is_socket, token })
    }

    /// GETs `/v1/` and `path`.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`], [`Failure::Failed`], [`Failure::Unreachable`],
    /// [`Failure::NoAnswer`] or [`Failure::Foreign`].
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Answer<T>, Failure> {
        let response = self.send(self.http.get(self.url(path, query)), Stake::Nothing)?;
        let json = self.text(response, Stake::Nothing)?;
        let value = serde_json::from_str(&json).map_err(|error| self.foreign(&error))?;
        Ok(Answer { value, json })
    }

    /// POSTs `body` to `/v1/` and `path`, once.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; [`Failure::Unknown`] instead of [`Failure::NoAnswer`].
    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
    ) -> Result<Answer<T>, Failure> {
        let request = self.http.post(self.url(path, &[])).json(body);
        let response = self.send(request, Stake::Change)?;
        let json = self.text(response, Stake::Change)?;
        match serde_json::from_str(&json) {
            Ok(value) => Ok(Answer { value, json }),
            Err(error) => Err(self.silent(Stake::Change, error)),
        }
    }

    /// POSTs a question to `/v1/` and `path`; it changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub(crate) fn ask<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
    ) -> Result<Answer<T>, Failure> {
        let request = self.http.post(self.url(path, &[])).json(body);
        let response = self.send(request, Stake::Nothing)?;
        let json = self.text(response, Stake::Nothing)?;
        let value = serde_json::from_str(&json).map_err(|error| self.foreign(&error))?;
        Ok(Answer { value, json })
    }

    /// GETs `/v1/` and `path`, and hands the answer on as it comes, until `take` breaks.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; what was handed on before stays handed on.
    pub(crate) fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        take: &mut Take<'_>,
    ) -> Result<(), Failure> {
        let mut response = self.send(self.http.get(self.url(path, query)), Stake::Nothing)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let n =
                response.read(&mut piece).map_err(|error| self.silent(Stake::Nothing, error))?;
            let bytes = piece.get(..n).unwrap_or_default();
            if bytes.is_empty() || take(bytes)?.is_break() {
                return Ok(());
            }
        }
    }

    /// The instant that `when` means by the agent's clock, which is not this host's
    /// under `--demo`, or when one of them is wrong.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub(crate) fn instant(&self, when: When, target: Option<&str>) -> Result<Timestamp, Failure> {
        let ago = match when {
            When::At(at) => return Ok(at),
            When::Ago(ago) => ago,
        };
        let query: Vec<_> = target.map(|it| ("target", it.to_owned())).into_iter().collect();
        let status: Answer<evenkeel_core::api::StatusReport> = self.get(&["status"], &query)?;
        Ok(status.value.agent.now.checked_sub(ago).unwrap_or(Timestamp::MIN))
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Sends once; only an answer of the class 2xx comes back.
    fn send(&self, request: RequestBuilder, stake: Stake) -> Result<Response, Failure> {
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.header()),
            None => request,
        };
        let response = request.send().map_err(|error| {
            let error = error.without_url();
            if error.is_connect() {
                let (at, is_socket) = (self.at.clone(), self.is_socket);
                Failure::Unreachable { at, is_socket, source: error }
            } else {
                self.silent(stake, error)
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.text(response, stake)?;
        let answer: Option<ErrorAnswer> = serde_json::from_str(&body).ok();
        Err(self.failed(status, answer, stake))
    }

    fn failed(&self, status: StatusCode, answer: Option<ErrorAnswer>, stake: Stake) -> Failure {
        let told = |it: &ErrorAnswer| format!("{status}: {}", it.error);
        let what = answer.as_ref().map_or_else(|| format!("it answered {status}"), told);
        match (status, answer) {
            // The agent, or something before it, gave up waiting.
            (StatusCode::GATEWAY_TIMEOUT, _) => self.silent(stake, what),
            (status, None) if status.is_server_error() => self.silent(stake, what),
            (_, None) => Failure::Foreign { at: self.at.clone(), what },
            (status, Some(answer)) if status.is_server_error() => {
                Failure::Failed { answer, changes: stake == Stake::Change }
            }
            (_, Some(answer)) => Failure::Refused { answer },
        }
    }

    fn text(&self, response: Response, stake: Stake) -> Result<String, Failure> {
        let mut text = String::new();
        let mut body = response.take(ANSWER_BYTES_MAX + 1);
        body.read_to_string(&mut text).map_err(|error| self.silent(stake, error))?;
        if body.limit() == 0 {
            let what = format!("it has more than {ANSWER_BYTES_MAX} bytes");
            return Err(self.silent(stake, what));
        }
        Ok(text)
    }

    fn silent(
        &self,
        stake: Stake,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Failure {
        let (at, source) = (self.at.clone(), source.into());
        match stake {
            Stake::Nothing => Failure::NoAnswer { at, source },
            Stake::Change => Failure::Unknown { at, source },
        }
    }

    fn foreign(&self, error: &serde_json::Error) -> Failure {
        Failure::Foreign { at: self.at.clone(), what: error.to_string() }
    }
}
