//! What load is expected of a target: `GET /v1/forecast/{target}`.
//!
//! **In:** questions of people who may read.
//! **Out:** the seasonal expectation of each forecast signal, for two days at most.
//! **Not here:** what the agent makes of it (`/v1/explain/{target}`), forecasting
//! ([`crate::forecasters`]).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::documents::Rule;
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::units::parse_duration;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::admission::Shared;
use super::answer::Failed;
use super::body::Params;

/// The longest time ahead, and what is shown when nobody says.
const HORIZON_MAX: SignedDuration = SignedDuration::from_hours(48);

/// Query parameters of `GET /v1/forecast/{target}`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForecastParams {
    /// How far ahead, with a unit: `6h`. At most `48h`, which is also the default.
    horizon: Option<String>,
}

/// What load is expected of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForecastAnswer {
    /// Which target.
    #[schema(value_type = String)]
    pub target: TargetId,
    /// When it was reckoned.
    #[schema(value_type = String)]
    pub made_at: Timestamp,
    /// Each signal that is forecast.
    pub signals: Vec<SignalForecast>,
}

/// What is expected of one signal, in its unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignalForecast {
    /// Which signal.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// Ascending; empty while there is too little past.
    pub steps: Vec<ForecastStep>,
}

/// What is expected of one step of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForecastStep {
    /// Its start.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// As likely to be exceeded as not.
    pub median: f64,
    /// Lower end of the 95% interval.
    pub low: f64,
    /// Upper end of the 95% interval.
    pub high: f64,
}

/// What load is expected of a target.
#[utoipa::path(
    get, path = "/v1/forecast/{target}", operation_id = "forecast",
    params(("target" = String, Path, description = "The target's name"), ForecastParams),
    responses(
        (status = 200, description = "What is expected of each signal", body = ForecastAnswer),
        (status = 400, description = "The horizon is not one", body = ErrorAnswer),
        (status = 404, description = "No such target, or nothing of it is forecast", body = ErrorAnswer),
    ),
)]
pub(crate) async fn forecast(
    State(shared): State<Arc<Shared>>,
    target: Result<Path<TargetId>, PathRejection>,
    Params(ForecastParams { horizon }): Params<ForecastParams>,
) -> Result<Json<ForecastAnswer>, Failed> {
    let Path(target) = target.map_err(|error| {
        let error = format!("the path names no target: {}", error.body_text());
        let hint = "write `/` in a name as `%2F`; `evenkeel status` lists the targets";
        Failed::new(StatusCode::BAD_REQUEST, error, hint)
    })?;
    let horizon = match horizon.as_deref().map(parse_duration) {
        None => HORIZON_MAX,
        Some(Ok(it)) if SignedDuration::ZERO < it && it <= HORIZON_MAX => it,
        Some(Ok(_)) => return Err(bad_horizon("`horizon` is not above 0s and at most 48h")),
        Some(Err(message)) => return Err(bad_horizon(&format!("`horizon`: {message}"))),
    };
    let documents = Arc::clone(&shared.state.documents.borrow());
    if documents.target(&target).is_none() {
        return Err(super::status::no_target(&target));
    }
    let policy = documents.policy_of(&target).filter(|it| it.forecast.is_some());
    let signals: Vec<SignalName> = policy
        .into_iter()
        .flat_map(|it| &it.signals)
        .filter(|it| matches!(it.rule, Rule::ValuePerUnit { .. }))
        .map(|it| it.name.clone())
        .collect();
    let made_at = shared.state.mailbox.ask(|_, now| now).await.map_err(Failed::unread)?;
    let forecasters = shared.state.forecasters.clone();
    let wanted = target.clone();
    // Two days of five minutes take milliseconds each, which others need not wait for.
    let reckoned = tokio::task::spawn_blocking(move || {
        let of = |signal: SignalName| {
            let steps = forecasters.horizon(made_at, horizon, &wanted, &signal)?;
            let step = |it: evenkeel_forecast::live::Expected| ForecastStep {
                at: it.at,
                median: it.middle,
                low: it.low,
                high: it.high,
            };
            Some(SignalForecast { signal, steps: steps.into_iter().map(step).collect() })
        };
        signals.into_iter().filter_map(of).collect::<Vec<_>>()
    });
    let signals = reckoned.await.map_err(|error| {
        let hint = "the daemon's log says more; this is a bug";
        Failed::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no forecast: {error}"), hint)
    })?;
    if signals.is_empty() {
        let error = format!("nothing of target `{target}` is forecast");
        let hint = "its policy needs `forecast:` and a signal with `value_per_unit`";
        return Err(Failed::new(StatusCode::NOT_FOUND, error, hint));
    }
    Ok(Json(ForecastAnswer { target, made_at, signals }))
}

fn bad_horizon(error: &str) -> Failed {
    Failed::new(StatusCode::BAD_REQUEST, error, "write for example `6h`")
}
