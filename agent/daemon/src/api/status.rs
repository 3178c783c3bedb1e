//! How things are and why: `GET /v1/status`, `/v1/explain/{target}`.
//!
//! **In:** questions of people who may read.
//! **Out:** what the loop says, asked in small pieces so that it is never held up.
//! **Not here:** deriving a status ([`evenkeel_core::status`]) or an explanation
//! ([`evenkeel_core::explain`]).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use evenkeel_core::api::{AgentStatus, ErrorAnswer, ExplainAnswer, StatusReport};
use evenkeel_core::documents::Documents;
use evenkeel_core::explain::Explanation;
use evenkeel_core::ids::TargetId;
use evenkeel_core::overrides::OverrideState;
use evenkeel_core::status::{TargetStatus, target_status};
use jiff::Timestamp;
use serde::Deserialize;

use super::admission::Shared;
use super::answer::{Failed, first_faults};
use super::body::Params;
use super::journal;
use super::limits::TARGETS_PER_QUESTION;

/// Query parameters of `GET /v1/status`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusParams {
    /// Only this target.
    #[param(value_type = Option<String>)]
    target: Option<TargetId>,
}

/// The daemon and its targets.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status", params(StatusParams),
    responses(
        (status = 200, description = "How things are now", body = StatusReport),
        (status = 404, description = "There is no such target", body = ErrorAnswer),
    ),
)]
pub(crate) async fn status(
    State(shared): State<Arc<Shared>>,
    Params(StatusParams { target }): Params<StatusParams>,
) -> Result<Json<StatusReport>, Failed> {
    let (agent, documents) = agent_status(&shared).await?;
    let wanted: Vec<TargetId> = match target {
        None => documents.targets().map(|it| it.id.clone()).collect(),
        Some(id) if documents.target(&id).is_some() => vec![id],
        Some(id) => return Err(no_target(&id)),
    };
    let mut targets = Vec::with_capacity(wanted.len());
    for piece in wanted.chunks(TARGETS_PER_QUESTION) {
        targets.extend(target_statuses(&shared, piece.to_vec()).await?);
    }
    Ok(Json(StatusReport { agent, targets }))
}

async fn agent_status(shared: &Shared) -> Result<(AgentStatus, Arc<Documents>), Failed> {
    let state = &shared.state;
    let (region, version) = (state.region.clone(), state.version.to_owned());
    let documents_faults = first_faults(&state.documents_faults.borrow());
    let last_record = state.metrics.last_record();
    let asked = state.mailbox.ask(move |agent, now| {
        let memory = agent.state();
        // A clock that went back revives nothing, here neither.
        let now = now.max(memory.latest_at());
        let not_over = memory.overrides().filter(|it| it.state(now) != OverrideState::Expired);
        let status = AgentStatus {
            region,
            version,
            term: memory.term(),
            now,
            break_glass: memory.break_glass().map(|it| it.cause.clone()),
            documents_sha256: agent.documents().sha256.clone(),
            documents_faults,
            n_overrides: not_over.count(),
            n_in_flight: memory.in_flight().count(),
            last_record,
        };
        (status, Arc::clone(agent.documents()))
    });
    asked.await.map_err(Failed::unread)
}

async fn target_statuses(
    shared: &Shared,
    wanted: Vec<TargetId>,
) -> Result<Vec<TargetStatus>, Failed> {
    let asked = shared.state.mailbox.ask(move |agent, now| {
        // One that left the documents meanwhile is left out.
        let targets = wanted.iter().filter_map(|id| agent.documents().target(id));
        targets.map(|it| target_status(now, agent, it)).collect()
    });
    asked.await.map_err(Failed::unread)
}

pub(super) fn no_target(id: &TargetId) -> Failed {
    let error = format!("there is no target `{id}`");
    Failed::new(StatusCode::NOT_FOUND, error, "`evenkeel status` lists the targets")
}

/// Query parameters of `GET /v1/explain/{target}`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainParams {
    /// As of when, as RFC 3339; now by default.
    #[param(value_type = Option<String>)]
    at: Option<Timestamp>,
}

/// Why a target was or was not changed.
///
/// For a time before the explanations that are kept, the last effect that was
/// planned until then is explained from the journal.
#[utoipa::path(
    get, path = "/v1/explain/{target}", operation_id = "explain",
    params(("target" = String, Path, description = "The target's name"), ExplainParams),
    responses(
        (status = 200, description = "The explanation in force then", body = ExplainAnswer),
        (status = 404, description = "No such target, or nothing known of that time", body = ErrorAnswer),
    ),
)]
pub(crate) async fn explain(
    State(shared): State<Arc<Shared>>,
    target: Result<Path<TargetId>, PathRejection>,
    Params(ExplainParams { at }): Params<ExplainParams>,
) -> Result<Json<ExplainAnswer>, Failed> {
    let Path(target) = target.map_err(|error| {
        Failed::new(
            StatusCode::BAD_REQUEST,
            format!("the path names no target: {}", error.body_text()),
            "write `/` in a name as `%2F`; `evenkeel status` lists the targets",
        )
    })?;
    let wanted = target.clone();
    let asked = shared.state.mailbox.ask(move |agent, _| {
        let is_known = agent.documents().target(&wanted).is_some();
        let kept = agent.explanations().of(&wanted);
        let kept: Vec<Arc<Explanation>> =
            kept.into_iter().flatten().rev().map(Arc::clone).collect();
        (is_known, kept)
    });
    let (is_known, kept) = asked.await.map_err(Failed::unread)?;
    // Newest first.
    let mut kept = kept.into_iter().skip_while(|it| at.is_some_and(|at| at < it.since));
    if let Some(explanation) = kept.next() {
        return Ok(Json(ExplainAnswer {
            sentence: explanation.sentence(),
            explanation: Arc::unwrap_or_clone(explanation),
            earlier: kept.map(Arc::unwrap_or_clone).collect(),
        }));
    }
    let Some(at) = at else {
        return Err(if is_known {
            let error = format!("target `{target}` was not evaluated yet");
            let hint = "ask again in an evaluation period; `--at TIME` looks into the journal";
            Failed::new(StatusCode::NOT_FOUND, error, hint)
        } else {
            no_target(&target)
        });
    };
    match journal::planned_before(&shared, &target, at).await? {
        Some(answer) => Ok(Json(answer)),
        None if is_known => {
            let error = format!("nothing is known of target `{target}` at {at}");
            let hint = "evaluations without an effect are kept only for a while; `evenkeel history` shows what happened around then";
            Err(Failed::new(StatusCode::NOT_FOUND, error, hint))
        }
        None => Err(no_target(&target)),
    }
}
