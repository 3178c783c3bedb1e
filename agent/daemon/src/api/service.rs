//! The daemon as a service: probes, metrics, reload, its own description.
//!
//! **In:** what orchestrators, Prometheus and admins ask.
//! **Out:** short answers.
//! **Not here:** counting ([`crate::metrics`]), reading documents (the loop's side
//! of [`super::ReloadWanted`]).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use evenkeel_core::api::ErrorAnswer;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::admission::Shared;
use super::answer::{Failed, first_faults};
use super::body::{Nothing, Params};
use super::{ReloadWanted, openapi};
use crate::metrics::CONTENT_TYPE;

/// Whether the loop answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz",
    responses(
        (status = 200, description = "The loop answers", body = String, content_type = "text/plain"),
        (status = 503, description = "It does not", body = ErrorAnswer),
    ),
)]
pub(crate) async fn health(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<&'static str, Failed> {
    shared.state.mailbox.ask(|_, _| "ok\n").await.map_err(Failed::unread)
}

/// Whether the daemon does its work.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz",
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain"),
        (status = 503, description = "What is still missing", body = ErrorAnswer),
    ),
)]
pub(crate) async fn ready(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<&'static str, Failed> {
    let missing = shared.state.readiness.borrow().missing();
    if missing.is_empty() {
        return Ok("ok\n");
    }
    let hint = "wait; if it stays so, look at the daemon's log";
    Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, missing.join("; "), hint).retry_after(1))
}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")),
)]
pub(crate) async fn metrics(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Response, Failed> {
    let text = shared.state.metrics.text().map_err(|it| Failed::internal(it.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// This description.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI", body = serde_json::Value)),
)]
pub(crate) async fn describe(Params(Nothing {}): Params<Nothing>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, openapi::document()).into_response()
}

/// The documents were read again and are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReloadAnswer {
    /// How many there are.
    pub documents: usize,
}

/// Reads the documents again now.
#[utoipa::path(
    post, path = "/v1/reload", operation_id = "reload",
    responses(
        (status = 200, description = "In force", body = ReloadAnswer),
        (status = 422, description = "The faults; older documents stay in force", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn reload(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<ReloadAnswer>, Failed> {
    let unavailable = |error: &str| {
        let hint = "older documents stay in force: try again in a moment";
        Failed::new(StatusCode::SERVICE_UNAVAILABLE, error, hint).retry_after(1)
    };
    let (reply, answer) = oneshot::channel();
    shared.state.reload.try_send(ReloadWanted { reply }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => unavailable("a reload is under way already"),
        mpsc::error::TrySendError::Closed(_) => unavailable("the daemon is stopping"),
    })?;
    match answer.await {
        Ok(Ok(documents)) => {
            info!(documents, "documents reloaded by a person");
            Ok(Json(ReloadAnswer { documents }))
        }
        Ok(Err(faults)) => Err(Failed::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            first_faults(&faults).join("\n"),
            "correct the files; the documents before stay in force until then. `evenkeel check PATH` shows each place",
        )),
        Err(_) => Err(unavailable("the daemon is stopping")),
    }
}
