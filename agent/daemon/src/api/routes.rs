//! From paths to what answers them.
//!
//! **In:** [`Endpoint::ALL`].
//! **Out:** the router, every endpoint behind [`super::admission`].
//! **Not here:** connections ([`super::listen`]).

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::admission::{Shared, admit};
use super::answer::Failed;
use super::endpoint::Endpoint;
use super::{
    ApiState, alerts, budgets, forecast, healing, journal, overrides, runs, service, status,
};

/// Everything that is served.
pub(crate) fn router(state: ApiState) -> Router {
    let shared = Shared::new(state);
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        let admission = from_fn_with_state((Arc::clone(&shared), endpoint), admit);
        router = router.route(endpoint.path(), answering(endpoint).route_layer(admission));
    }
    router
        .fallback(|| async {
            let hint = "`GET /v1/openapi.json` lists what there is";
            Failed::new(StatusCode::NOT_FOUND, "there is nothing at this path", hint)
        })
        .method_not_allowed_fallback(|| async {
            let hint = "`GET /v1/openapi.json` lists what there is";
            let error = "this path has no such method";
            Failed::new(StatusCode::METHOD_NOT_ALLOWED, error, hint)
        })
        .with_state(shared)
}

fn answering(endpoint: Endpoint) -> MethodRouter<Arc<Shared>> {
    match endpoint {
        Endpoint::Status => get(status::status),
        Endpoint::Explain => get(status::explain),
        Endpoint::Forecast => get(forecast::forecast),
        Endpoint::Overrides => get(overrides::overrides),
        Endpoint::SetOverride => post(overrides::set_override),
        Endpoint::Expire => post(overrides::expire),
        Endpoint::Incidents => get(healing::incidents),
        Endpoint::Incident => get(healing::incident),
        Endpoint::Acknowledge => post(healing::acknowledge),
        Endpoint::StartRun => post(runs::start_run),
        Endpoint::Run => get(runs::run),
        Endpoint::Approve => post(runs::approve),
        Endpoint::Deny => post(runs::deny),
        Endpoint::Abort => post(runs::abort),
        Endpoint::Review => post(runs::review),
        Endpoint::HandBack => post(healing::hand_back),
        Endpoint::Promote => post(healing::promote),
        Endpoint::Alerts => post(alerts::alerts),
        Endpoint::Slos => get(budgets::slos),
        Endpoint::Budgets => get(budgets::budgets),
        Endpoint::Fits => post(budgets::fits),
        Endpoint::History => get(journal::history),
        Endpoint::Verify => get(journal::audit_verify),
        Endpoint::Export => get(journal::audit_export),
        Endpoint::Reload => post(service::reload),
        Endpoint::OpenApi => get(service::describe),
        Endpoint::Metrics => get(service::metrics),
        Endpoint::Health => get(service::health),
        Endpoint::Ready => get(service::ready),
    }
}
