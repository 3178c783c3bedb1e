//! Any platform that answers GET and PUT.
//!
//! **In:** a URL and a key file per target.
//! **Out:** signed requests, each sent once, and what their answers mean.
//! **Not here:** the signature (see [`signature`]), the key file (see [`key`]),
//! the meaning of answers (see [`answer`]), what playbooks do over HTTP (see [`actuator`]).
//!
//! The contract for a platform's author is `agent/providers/WEBHOOK.md`. In short:
//!
//! - `GET url` answers 200 with `{"current": 7, "ready": 6}`; `ready` may be left out.
//! - `PUT url` with `{"desired": 9, "expected": 7, "effect": "ef-12", "term": 3}` sets
//!   the capacity to exactly `desired`, if it is `expected` now; otherwise it answers
//!   409 with `{"current": 8}` and changes nothing.
//! - 200 or 202 with `{"desired": 9}`, or 204: it is set, and ready capacity follows.
//!   4xx: nothing was changed. Anything else, or nothing: unknown, and read back.
//! - Every attempt at one effect has the same `Evenkeel-Effect` and
//!   `Idempotency-Key`. A `term` lower than one seen before should get 409.
//! - Every request is signed; see [`verify_signature`].

mod actuator;
mod answer;
pub(crate) mod client;
mod key;
mod signature;

use std::path::Path;

use async_trait::async_trait;
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::Capacity;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use reqwest::Method;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::{Clock, EffectReport, Provider, SetCapacityRequest};
use crate::providers::Limits;
use crate::settings::{SettingsError, WebhookSettings, shown_url};
use client::{Client, Effect, Endpoint};

pub use signature::{SignatureError, verify_signature};

/// What a signed request carries; [`verify_signature`] checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// The value of `Evenkeel-Timestamp`.
    pub timestamp: String,
    /// The value of `Evenkeel-Signature`.
    pub signature: String,
}

/// A request cannot be signed. Says nothing of the key.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub struct SigningError(String);

/// Signs a request of another part of the agent as those to a platform are. Reads the
/// key anew, with the same demands on its file; blocks for as long as that takes.
///
/// `method` in capitals; `path` with its query, as in the request line.
///
/// # Errors
///
/// [`SigningError`] when the key file cannot be used.
pub fn sign_request(
    key_file: &Path,
    at: Timestamp,
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<SignedHeaders, SigningError> {
    let key = key::read_key(key_file).map_err(|error| SigningError(error.to_string()))?;
    let timestamp = at.as_second().to_string();
    let signature = signature::sign(key.bytes(), &timestamp, method, path, body)
        .ok_or_else(|| SigningError("its key is of no use".to_owned()))?;
    Ok(SignedHeaders { timestamp, signature })
}

/// The platform's name.
const PLATFORM: &str = "webhook";

/// Requests in flight. Why 16: enough that a few platforms that hang do not keep
/// the others waiting, few enough not to be a burst to any one of them.
const REQUESTS_MAX: usize = 16;

/// Reads and sets capacities over HTTP.
pub(crate) struct Webhooks {
    client: Client,
    clock: Clock,
    limits: Limits,
}

/// The body of a PUT.
#[derive(Debug, Serialize)]
struct Change {
    desired: Capacity,
    expected: Capacity,
    effect: String,
    term: u64,
}

impl Webhooks {
    pub(crate) fn new(
        settings: &WebhookSettings,
        limits: Limits,
        clock: Clock,
    ) -> Result<Webhooks, SettingsError> {
        Ok(Webhooks { client: Client::new(settings, limits)?, clock, limits })
    }

    async fn read_one(
        &self,
        reference: &ProviderRef,
        deadline: Instant,
    ) -> Result<CapacityReading, ReadError> {
        let (url, secret_file) = place_of(reference)?;
        let what = what(url);
        let read_at = (self.clock)();
        let asked = async {
            let endpoint = Endpoint::open(url, secret_file).await?;
            let answer = self.client.send(&endpoint, Method::GET, read_at, None, "").await?;
            answer::to_capacity(&answer)
        };
        match timeout_at(deadline, asked).await {
            Ok(Ok((current, ready))) => Ok(CapacityReading { current, ready, read_at }),
            Ok(Err(failure)) => Err(failure.to_read_error(&what)),
            Err(_) => Err(ReadError::Late { what, limit: self.limits.read }),
        }
    }

    async fn try_set(&self, request: &SetCapacityRequest) -> Result<EffectReport, Failure> {
        let (url, secret_file) =
            place_of(&request.provider).map_err(|error| Failure::NotSent(error.to_string()))?;
        let endpoint = Endpoint::open(url, secret_file).await?;
        let SetCapacityRequest { effect_id, term, desired, expected, .. } = request;
        let change = Change {
            desired: *desired,
            expected: *expected,
            effect: effect_id.to_string(),
            term: term.0,
        };
        let body = serde_json::to_string(&change)
            .map_err(|error| Failure::NotSent(format!("the request cannot be written: {error}")))?;
        let effect = Effect { id: &change.effect, term: change.term };
        let now = (self.clock)();
        let answer = self.client.send(&endpoint, Method::PUT, now, Some(&effect), &body).await?;
        answer::to_report(&answer, *desired, *expected)
    }
}

#[async_trait]
impl Provider for Webhooks {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>> {
        let deadline = Instant::now() + self.limits.read;
        let asked: Vec<_> = references.iter().map(|it| self.read_one(it, deadline)).collect();
        stream::iter(asked).buffered(REQUESTS_MAX).collect().await
    }

    async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport {
        self.try_set(request).await.unwrap_or_else(|failure| EffectReport::of_failure(&failure))
    }
}

/// URL and key file of a reference that was routed here.
fn place_of(reference: &ProviderRef) -> Result<(&str, &str), ReadError> {
    match reference {
        ProviderRef::Webhook { url, secret_file } => Ok((url, secret_file)),
        ProviderRef::AwsAutoScalingGroup { .. }
        | ProviderRef::AwsEcsService { .. }
        | ProviderRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

/// Names the webhook in messages.
fn what(url: &str) -> String {
    format!("webhook `{}`", shown_url(url))
}
