//! Incidents and autonomy: `/v1/incidents`, `/v1/handback`, `/v1/autonomy`.
//!
//! **In:** questions and words of people, and who sent them.
//! **Out:** what is wrong and what is done about it; what a word changed, once it is in force.
//! **Not here:** runs ([`super::runs`]), whether a word is allowed
//! ([`evenkeel_core::request`]), what a report says ([`evenkeel_core::heal::report`]).

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use evenkeel_core::agent::Agent;
use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::api::healing::{
    HandbackAnswer, HandbackRequest, IncidentAnswer, IncidentReport, IncidentsAnswer,
    PromoteAnswer, PromoteRequest, ReasonRequest,
};
use evenkeel_core::documents::Identity;
use evenkeel_core::heal::report;
use evenkeel_core::ids::IncidentId;
use evenkeel_core::request::{Answer, Verb};
use jiff::Timestamp;
use serde::Deserialize;

use super::admission::Shared;
use super::answer::Failed;
use super::body::{Nothing, Params, Sent};
use super::overrides::{Running, carry_out};

/// Query parameters of `GET /v1/incidents`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentsParams {
    /// Also those that are over and still in memory.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    all: bool,
}

/// What is wrong, what is done about it, and what waits for people.
#[utoipa::path(
    get, path = "/v1/incidents", operation_id = "incidents", params(IncidentsParams),
    responses((status = 200, description = "How things are now", body = IncidentsAnswer)),
)]
pub(crate) async fn incidents(
    State(shared): State<Arc<Shared>>,
    Params(IncidentsParams { all }): Params<IncidentsParams>,
) -> Result<Json<IncidentsAnswer>, Failed> {
    let asked = shared.state.mailbox.ask(move |agent, now| {
        // A clock that went back revives nothing, here neither.
        report::incidents(now.max(agent.state().latest_at()), agent, all)
    });
    asked.await.map(Json).map_err(Failed::unread)
}

/// One incident with its timeline.
#[utoipa::path(
    get, path = "/v1/incidents/{incident}", operation_id = "incident",
    params(("incident" = String, Path, description = "Its number, `inc-3`")),
    responses(
        (status = 200, description = "The incident", body = IncidentReport),
        (status = 404, description = "There is none, or no longer in memory", body = ErrorAnswer),
    ),
)]
pub(crate) async fn incident(
    State(shared): State<Arc<Shared>>,
    incident: Result<Path<IncidentId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<IncidentReport>, Failed> {
    let id = number(incident, "incident", "inc-3")?;
    let found = shared.state.mailbox.ask(move |agent, _| report::incident(agent, id)).await;
    found.map_err(Failed::unread)?.map(Json).ok_or_else(|| {
        Failed::new(
            StatusCode::NOT_FOUND,
            format!("there is no incident {id} in memory"),
            "`evenkeel incidents --all` lists them; `evenkeel history --kind incident_opened` knows older ones",
        )
    })
}

/// Takes note of an incident, so that it is not escalated.
#[utoipa::path(
    post, path = "/v1/incidents/{incident}/acknowledge", operation_id = "acknowledge",
    params(("incident" = String, Path, description = "Its number, `inc-3`")),
    request_body = ReasonRequest,
    responses(
        (status = 200, description = "Enforced", body = IncidentAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such incident is open", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    incident: Result<Path<IncidentId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
    Sent(ReasonRequest { reason: _ }): Sent<ReasonRequest>,
) -> Response {
    let incident = match number(incident, "incident", "inc-3") {
        Ok(incident) => incident,
        Err(failed) => return failed.into_response(),
    };
    let (counted, answered) =
        carry_out(&shared, identity, Verb::Acknowledge { incident }, acknowledged).await;
    let answered = match answered {
        Err(failed) => Err(failed),
        Ok(id) => now_is(&shared, move |_, agent| report::incident(agent, id))
            .await
            .map(|incident| Json(IncidentAnswer { enforced: true, incident })),
    };
    (Extension(counted), answered).into_response()
}

fn acknowledged(answer: Answer, _: Running) -> Result<IncidentId, Failed> {
    match answer {
        Answer::IncidentChanged { incident } => Ok(incident),
        Answer::OverrideSet { .. }
        | Answer::Expired { .. }
        | Answer::RunChanged { .. }
        | Answer::HandedBack { .. }
        | Answer::Promoted { .. }
        | Answer::Reviewed { .. } => Err(unlike("an acknowledgement")),
    }
}

/// Gives back what people had in hand: ends takeovers, resumes what lapsed.
#[utoipa::path(
    post, path = "/v1/handback", operation_id = "handBack", request_body = HandbackRequest,
    responses(
        (status = 200, description = "Enforced", body = HandbackAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "Nothing there to be given back", body = ErrorAnswer),
        (status = 422, description = "A field cannot be as asked", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn hand_back(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Params(Nothing {}): Params<Nothing>,
    Sent(HandbackRequest { scope, reason }): Sent<HandbackRequest>,
) -> Response {
    let verb = Verb::HandBack { scope, reason };
    let (counted, answered) = carry_out(&shared, identity, verb, handed_back).await;
    (Extension(counted), answered.map(Json)).into_response()
}

fn handed_back(answer: Answer, _: Running) -> Result<HandbackAnswer, Failed> {
    match answer {
        Answer::HandedBack { ended, resumed, restored } => {
            Ok(HandbackAnswer { enforced: true, ended, resumed, restored })
        }
        Answer::OverrideSet { .. }
        | Answer::Expired { .. }
        | Answer::RunChanged { .. }
        | Answer::IncidentChanged { .. }
        | Answer::Promoted { .. }
        | Answer::Reviewed { .. } => Err(unlike("a handback")),
    }
}

/// Grants autonomy that was earned, or takes it back.
#[utoipa::path(
    post, path = "/v1/autonomy", operation_id = "promote", request_body = PromoteRequest,
    responses(
        (status = 200, description = "Enforced", body = PromoteAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such target, or no playbook takes such actions there", body = ErrorAnswer),
        (status = 422, description = "More than the documents allow, or no reason", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn promote(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Params(Nothing {}): Params<Nothing>,
    Sent(PromoteRequest { target, class, to, reason }): Sent<PromoteRequest>,
) -> Response {
    let verb = Verb::Promote { target, class, to, reason };
    let (counted, answered) = carry_out(&shared, identity, verb, promoted).await;
    let answered = match answered {
        Err(failed) => Err(failed),
        Ok((target, class)) => {
            now_is(&shared, move |_, agent| Some(report::standing(agent, &target, class)))
                .await
                .map(|standing| Json(PromoteAnswer { enforced: true, standing }))
        }
    };
    (Extension(counted), answered).into_response()
}

fn promoted(
    answer: Answer,
    _: Running,
) -> Result<(evenkeel_core::ids::TargetId, evenkeel_core::action::ActionClass), Failed> {
    match answer {
        Answer::Promoted { target, class } => Ok((target, class)),
        Answer::OverrideSet { .. }
        | Answer::Expired { .. }
        | Answer::RunChanged { .. }
        | Answer::IncidentChanged { .. }
        | Answer::HandedBack { .. }
        | Answer::Reviewed { .. } => Err(unlike("a change of autonomy")),
    }
}

/// The loop answered something else than it was asked for.
pub(super) fn unlike(asked: &str) -> Failed {
    Failed::internal(format!("{asked} was asked for, and something else was answered"))
}

/// The number in a path.
pub(super) fn number<T>(
    part: Result<Path<T>, PathRejection>,
    what: &str,
    example: &str,
) -> Result<T, Failed> {
    part.map(|Path(it)| it).map_err(|error| {
        Failed::new(
            StatusCode::BAD_REQUEST,
            format!("the path names no {what}: {}", error.body_text()),
            format!("write it as `{example}`; `evenkeel incidents` lists them"),
        )
    })
}

/// What a word that is in force already led to. A failure says that it is in force: who
/// hears of it must not say the word again.
pub(super) async fn now_is<T: Send + 'static>(
    shared: &Shared,
    look: impl FnOnce(Timestamp, &Agent) -> Option<T> + Send + 'static,
) -> Result<T, Failed> {
    let asked =
        shared.state.mailbox.ask(move |agent, now| look(now.max(agent.state().latest_at()), agent));
    let hint = "do not repeat it: `evenkeel incidents` and `evenkeel history` show how it is now";
    match asked.await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Failed::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "it is in force, but what it is about is no longer in memory",
            hint,
        )),
        Err(error) => Err(Failed::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("it is in force, but how things are now could not be read: {error}"),
            hint,
        )),
    }
}
