//! Runs of playbooks: `/v1/runs` and what people say about one.
//!
//! **In:** words of people about runs, and who sent them.
//! **Out:** the run as it is once the word is in force; or why nothing changed.
//! **Not here:** whether it is allowed ([`evenkeel_core::request`]), incidents
//! ([`super::healing`]).

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::api::healing::{
    ApproveRequest, ReasonRequest, RunAnswer, RunReport, RunRequest,
};
use evenkeel_core::documents::Identity;
use evenkeel_core::heal::report;
use evenkeel_core::ids::RunId;
use evenkeel_core::request::{Answer, Verb};

use super::admission::{Shared, VerbWord};
use super::answer::Failed;
use super::body::{Nothing, Params, Sent};
use super::healing::{now_is, number, unlike};
use super::overrides::{Running, carry_out};

/// One run: where it is, its plan, and the hash that an approval must name.
#[utoipa::path(
    get, path = "/v1/runs/{run}", operation_id = "run",
    params(("run" = String, Path, description = "Its number, `run-7`")),
    responses(
        (status = 200, description = "The run", body = RunReport),
        (status = 404, description = "There is none, or no longer in memory", body = ErrorAnswer),
    ),
)]
pub(crate) async fn run(
    State(shared): State<Arc<Shared>>,
    run: Result<Path<RunId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<RunReport>, Failed> {
    let id = number(run, "run", "run-7")?;
    let asked = shared
        .state
        .mailbox
        .ask(move |agent, now| report::run(now.max(agent.state().latest_at()), agent, id));
    asked.await.map_err(Failed::unread)?.map(Json).ok_or_else(|| {
        Failed::new(
            StatusCode::NOT_FOUND,
            format!("there is no run {id} in memory"),
            "`evenkeel incidents --all` lists them; `evenkeel history --kind run_opened` knows older ones",
        )
    })
}

/// Starts a playbook by hand, or only makes its plan (`dry_run`).
#[utoipa::path(
    post, path = "/v1/runs", operation_id = "startRun", request_body = RunRequest,
    responses(
        (status = 200, description = "Enforced: the run is open", body = RunAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such playbook or target", body = ErrorAnswer),
        (status = 409, description = "Not there, or not now", body = ErrorAnswer),
        (status = 422, description = "A field is missing or cannot be as asked", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn start_run(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Params(Nothing {}): Params<Nothing>,
    Sent(asked): Sent<RunRequest>,
) -> Response {
    let RunRequest { playbook, target, parameters, reason, dry_run } = asked;
    let verb = Verb::StartRun { playbook, target, parameters, is_dry: dry_run, reason };
    say(&shared, identity, verb).await
}

/// Says yes to the gate that a run waits at. Counts once per person, never for whoever asked
/// for the run, and only for the plan that is named by its hash.
#[utoipa::path(
    post, path = "/v1/runs/{run}/approve", operation_id = "approve", request_body = ApproveRequest,
    params(("run" = String, Path, description = "Its number, `run-7`")),
    responses(
        (status = 200, description = "Enforced", body = RunAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed, or not among the gate's approvers", body = ErrorAnswer),
        (status = 404, description = "No such run", body = ErrorAnswer),
        (status = 409, description = "Another plan, another phase, one's own request, or said already", body = ErrorAnswer),
        (status = 422, description = "Break-glass without a reason", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn approve(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    run: Result<Path<RunId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
    Sent(asked): Sent<ApproveRequest>,
) -> Response {
    let ApproveRequest { plan_hash, break_glass, reason } = asked;
    say_about(&shared, identity, run, |run| Verb::Approve {
        run,
        plan_hash,
        is_break_glass: break_glass,
        reason,
    })
    .await
}

/// Says no to the gate that a run waits at: it ends, and what it has touched is undone.
#[utoipa::path(
    post, path = "/v1/runs/{run}/deny", operation_id = "deny", request_body = ReasonRequest,
    params(("run" = String, Path, description = "Its number, `run-7`")),
    responses(
        (status = 200, description = "Enforced", body = RunAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such run", body = ErrorAnswer),
        (status = 409, description = "It waits for no answer", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn deny(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    run: Result<Path<RunId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
    Sent(ReasonRequest { reason }): Sent<ReasonRequest>,
) -> Response {
    say_about(&shared, identity, run, |run| Verb::Deny { run, reason }).await
}

/// Ends a run: no further step begins, and what it has touched is undone.
#[utoipa::path(
    post, path = "/v1/runs/{run}/abort", operation_id = "abort", request_body = ReasonRequest,
    params(("run" = String, Path, description = "Its number, `run-7`")),
    responses(
        (status = 200, description = "Enforced", body = RunAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such run", body = ErrorAnswer),
        (status = 409, description = "It is over, or being undone already", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn abort(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    run: Result<Path<RunId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
    Sent(ReasonRequest { reason }): Sent<ReasonRequest>,
) -> Response {
    say_about(&shared, identity, run, |run| Verb::Abort { run, reason }).await
}

/// Records what a review of a break-glass approval found; `reason` is the note.
#[utoipa::path(
    post, path = "/v1/runs/{run}/review", operation_id = "review", request_body = ReasonRequest,
    params(("run" = String, Path, description = "Its number, `run-7`")),
    responses(
        (status = 200, description = "Enforced", body = RunAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such run", body = ErrorAnswer),
        (status = 409, description = "Nothing of it waits for a review, or it was one's own", body = ErrorAnswer),
        (status = 422, description = "Nothing was found", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn review(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    run: Result<Path<RunId>, PathRejection>,
    Params(Nothing {}): Params<Nothing>,
    Sent(ReasonRequest { reason }): Sent<ReasonRequest>,
) -> Response {
    say_about(&shared, identity, run, |run| Verb::Review { run, note: reason }).await
}

/// As [`say`], about the run that a path names.
async fn say_about(
    shared: &Shared,
    identity: Identity,
    run: Result<Path<RunId>, PathRejection>,
    verb: impl FnOnce(RunId) -> Verb,
) -> Response {
    match number(run, "run", "run-7") {
        Ok(run) => say(shared, identity, verb(run)).await,
        Err(failed) => failed.into_response(),
    }
}

/// Has a word about a run carried out, and answers with the run as it is then.
async fn say(shared: &Shared, identity: Identity, verb: Verb) -> Response {
    let word = VerbWord(verb.word());
    let (counted, answered) = carry_out(shared, identity, verb, changed).await;
    let answered = match answered {
        Err(failed) => Err(failed),
        Ok(id) => now_is(shared, move |now, agent| report::run(now, agent, id))
            .await
            .map(|run| Json(RunAnswer { enforced: true, run })),
    };
    (Extension(counted), Extension(word), answered).into_response()
}

fn changed(answer: Answer, _: Running) -> Result<RunId, Failed> {
    match answer {
        Answer::RunChanged { run } | Answer::Reviewed { run } => Ok(run),
        Answer::OverrideSet { .. }
        | Answer::Expired { .. }
        | Answer::IncidentChanged { .. }
        | Answer::HandedBack { .. }
        | Answer::Promoted { .. } => Err(unlike("a word about a run")),
    }
}
