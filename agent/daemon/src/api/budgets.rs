//! Error budgets and money: `/v1/slos`, `/v1/budgets`, `/v1/budgets/fits`.
//!
//! **In:** questions of people and programs who may read.
//! **Out:** every SLO, every budget with what is being spent, and whether a drill fits.
//! **Not here:** the numbers ([`evenkeel_core::budget::report`]).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::api::budgets::{BudgetReport, FitsAnswer, FitsRequest, SloReport};
use evenkeel_core::budget::report;

use super::admission::Shared;
use super::answer::Failed;
use super::body::{Nothing, Params, Sent};

/// Every SLO: its error budget, how fast it burns, its alerts, when it is spent.
#[utoipa::path(
    get, path = "/v1/slos", operation_id = "slos",
    responses((status = 200, description = "How they are now", body = SloReport)),
)]
pub(crate) async fn slos(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<SloReport>, Failed> {
    let asked = shared
        .state
        .mailbox
        // A clock that went back revives nothing, here neither.
        .ask(|agent, now| report::slo_report(agent, now.max(agent.state().latest_at())));
    asked.await.map(Json).map_err(Failed::unread)
}

/// Every budget, and what each service and tenant costs.
#[utoipa::path(
    get, path = "/v1/budgets", operation_id = "budgets",
    responses((status = 200, description = "How they are now", body = BudgetReport)),
)]
pub(crate) async fn budgets(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<BudgetReport>, Failed> {
    let asked = shared
        .state
        .mailbox
        .ask(|agent, now| report::budget_report(agent, now.max(agent.state().latest_at())));
    asked.await.map(Json).map_err(Failed::unread)
}

/// Whether a drill that spends so much of an error budget would be admitted now. Asking
/// changes nothing.
#[utoipa::path(
    post, path = "/v1/budgets/fits", operation_id = "fits", request_body = FitsRequest,
    responses(
        (status = 200, description = "The answer, with why", body = FitsAnswer),
        (status = 400, description = "The body is not such a question", body = ErrorAnswer),
        (status = 404, description = "There is no such SLO", body = ErrorAnswer),
        (status = 422, description = "The share is not in (0, 1]", body = ErrorAnswer),
    ),
)]
pub(crate) async fn fits(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
    Sent(request): Sent<FitsRequest>,
) -> Result<Json<FitsAnswer>, Failed> {
    let share = request.spends_ratio;
    if !(0.0 < share && share <= 1.0) {
        return Err(Failed::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("`spends_ratio` is {share}, it must be above 0 and at most 1"),
            "give the share of the whole error budget that the drill is expected to spend",
        ));
    }
    let slo = request.slo.clone();
    let asked = shared.state.mailbox.ask(move |agent, _| {
        let is_known = agent.documents().slo(&request.slo).is_some();
        is_known.then(|| report::fits(agent, &request))
    });
    asked.await.map_err(Failed::unread)?.map(Json).ok_or_else(|| {
        let error = format!("there is no SLO `{slo}`");
        Failed::new(StatusCode::NOT_FOUND, error, "`evenkeel slo` lists the SLOs")
    })
}
