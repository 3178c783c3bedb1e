//! Reading what a request carries, strictly.
//!
//! **In:** a body and a query string from outside.
//! **Out:** the type that the endpoint wants, or what is wrong and where.
//! **Not here:** what the values mean ([`super::routes`] and its neighbours).

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{Failed, chain};
use super::limits::{BODY_BYTES_MAX, BODY_DRAINED_BYTES_MAX, BODY_TIMEOUT};

/// A JSON body of at most `MAX` bytes.
#[derive(Debug)]
pub(crate) struct Sent<T, const MAX: usize = BODY_BYTES_MAX>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for Sent<T, MAX> {
    type Rejection = Failed;

    async fn from_request(request: Request, _state: &S) -> Result<Sent<T, MAX>, Failed> {
        let read = read(request.into_body(), MAX);
        let bytes = tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| {
            let error = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            Failed::new(StatusCode::REQUEST_TIMEOUT, error, "nothing has changed: try again")
        })??;
        serde_json::from_slice(&bytes).map(Sent).map_err(|error| {
            let error = format!("the body is not what it must be: {error}");
            let hint = "`GET /v1/openapi.json` describes every body; nothing has changed";
            Failed::new(StatusCode::BAD_REQUEST, error, hint)
        })
    }
}

async fn read(body: Body, bytes_max: usize) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            let error = format!("the body broke off: {}", chain(&error));
            Failed::new(StatusCode::BAD_REQUEST, error, "nothing has changed: try again")
        })?;
        length = length.saturating_add(piece.len());
        if length <= bytes_max {
            bytes.extend_from_slice(&piece);
        } else if bytes_max.max(BODY_DRAINED_BYTES_MAX) < length {
            break;
        }
    }
    if bytes_max < length {
        let error = format!("the body has {length} bytes or more, at most {bytes_max}");
        let hint = "send less, for example a shorter reason; nothing has changed";
        return Err(Failed::new(StatusCode::PAYLOAD_TOO_LARGE, error, hint));
    }
    Ok(bytes)
}

/// Query parameters. Unknown ones are refused: a filter with a slip in its name
/// would otherwise show too much.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Params<T>, Failed> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(params)| Params(params)).map_err(|error| {
            let hint = "`GET /v1/openapi.json` lists the parameters; write `+` as `%2B`";
            Failed::new(StatusCode::BAD_REQUEST, chain(&error), hint)
        })
    }
}

/// For endpoints that have no query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}
