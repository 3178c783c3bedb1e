//! Every endpoint of the API, in one table.
//!
//! **In:** nothing.
//! **Out:** for each endpoint its method, path, who may use it and how it is counted.
//! **Not here:** what it does ([`super::routes`]), its description
//! ([`super::openapi`]).

use std::time::Duration;

use axum::http::Method;
use evenkeel_core::documents::Role;

use super::limits::{REQUEST_TIMEOUT, VERIFY_TIMEOUT};

/// One endpoint. The router is built from [`Endpoint::ALL`], so the table and
/// what is served cannot differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `GET /v1/status`
    Status,
    /// `GET /v1/explain/{target}`
    Explain,
    /// `GET /v1/forecast/{target}`
    Forecast,
    /// `GET /v1/overrides`
    Overrides,
    /// `POST /v1/overrides`
    SetOverride,
    /// `POST /v1/overrides/expire`
    Expire,
    /// `GET /v1/incidents`
    Incidents,
    /// `GET /v1/incidents/{incident}`
    Incident,
    /// `POST /v1/incidents/{incident}/acknowledge`
    Acknowledge,
    /// `POST /v1/runs`
    StartRun,
    /// `GET /v1/runs/{run}`
    Run,
    /// `POST /v1/runs/{run}/approve`
    Approve,
    /// `POST /v1/runs/{run}/deny`
    Deny,
    /// `POST /v1/runs/{run}/abort`
    Abort,
    /// `POST /v1/runs/{run}/review`
    Review,
    /// `POST /v1/handback`
    HandBack,
    /// `POST /v1/autonomy`
    Promote,
    /// `POST /v1/alerts`
    Alerts,
    /// `GET /v1/slos`
    Slos,
    /// `GET /v1/budgets`
    Budgets,
    /// `POST /v1/budgets/fits`
    Fits,
    /// `GET /v1/history`
    History,
    /// `GET /v1/audit/verify`
    Verify,
    /// `GET /v1/audit/export`
    Export,
    /// `POST /v1/reload`
    Reload,
    /// `GET /v1/openapi.json`
    OpenApi,
    /// `GET /metrics`
    Metrics,
    /// `GET /healthz`
    Health,
    /// `GET /readyz`
    Ready,
}

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anybody who reaches it.
    Nothing,
    /// Anybody on the Unix socket; over TLS, who has this role.
    OverTls(Role),
    /// Who has this role on something.
    Role(Role),
    /// Somebody: the core decides, and records the refusal.
    Identity,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Endpoint; 29] = [
        Endpoint::Status,
        Endpoint::Explain,
        Endpoint::Forecast,
        Endpoint::Overrides,
        Endpoint::SetOverride,
        Endpoint::Expire,
        Endpoint::Incidents,
        Endpoint::Incident,
        Endpoint::Acknowledge,
        Endpoint::StartRun,
        Endpoint::Run,
        Endpoint::Approve,
        Endpoint::Deny,
        Endpoint::Abort,
        Endpoint::Review,
        Endpoint::HandBack,
        Endpoint::Promote,
        Endpoint::Alerts,
        Endpoint::Slos,
        Endpoint::Budgets,
        Endpoint::Fits,
        Endpoint::History,
        Endpoint::Verify,
        Endpoint::Export,
        Endpoint::Reload,
        Endpoint::OpenApi,
        Endpoint::Metrics,
        Endpoint::Health,
        Endpoint::Ready,
    ];

    /// Its method.
    pub fn method(self) -> Method {
        // Alerts and questions with a body are posted, and change nothing.
        let is_posted = matches!(self, Endpoint::Alerts | Endpoint::Fits);
        if self.is_change() || is_posted { Method::POST } else { Method::GET }
    }

    /// Its path, with names of parameters in braces.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::Status => "/v1/status",
            Endpoint::Explain => "/v1/explain/{target}",
            Endpoint::Forecast => "/v1/forecast/{target}",
            Endpoint::Overrides | Endpoint::SetOverride => "/v1/overrides",
            Endpoint::Expire => "/v1/overrides/expire",
            Endpoint::Incidents => "/v1/incidents",
            Endpoint::Incident => "/v1/incidents/{incident}",
            Endpoint::Acknowledge => "/v1/incidents/{incident}/acknowledge",
            Endpoint::StartRun => "/v1/runs",
            Endpoint::Run => "/v1/runs/{run}",
            Endpoint::Approve => "/v1/runs/{run}/approve",
            Endpoint::Deny => "/v1/runs/{run}/deny",
            Endpoint::Abort => "/v1/runs/{run}/abort",
            Endpoint::Review => "/v1/runs/{run}/review",
            Endpoint::HandBack => "/v1/handback",
            Endpoint::Promote => "/v1/autonomy",
            Endpoint::Alerts => "/v1/alerts",
            Endpoint::Slos => "/v1/slos",
            Endpoint::Budgets => "/v1/budgets",
            Endpoint::Fits => "/v1/budgets/fits",
            Endpoint::History => "/v1/history",
            Endpoint::Verify => "/v1/audit/verify",
            Endpoint::Export => "/v1/audit/export",
            Endpoint::Reload => "/v1/reload",
            Endpoint::OpenApi => "/v1/openapi.json",
            Endpoint::Metrics => "/metrics",
            Endpoint::Health => "/healthz",
            Endpoint::Ready => "/readyz",
        }
    }

    /// Who may use it.
    pub fn needs(self) -> Needs {
        match self {
            Endpoint::Status
            | Endpoint::Explain
            | Endpoint::Forecast
            | Endpoint::Overrides
            | Endpoint::Incidents
            | Endpoint::Incident
            | Endpoint::Run
            // It only wakes: whoever may look may ask for a look.
            | Endpoint::Alerts
            | Endpoint::Slos
            | Endpoint::Budgets
            | Endpoint::Fits
            | Endpoint::History
            | Endpoint::Verify
            | Endpoint::Export => Needs::Role(Role::Viewer),
            Endpoint::SetOverride
            | Endpoint::Expire
            | Endpoint::Acknowledge
            | Endpoint::StartRun
            | Endpoint::Approve
            | Endpoint::Deny
            | Endpoint::Abort
            | Endpoint::Review
            | Endpoint::HandBack
            | Endpoint::Promote => Needs::Identity,
            Endpoint::Reload => Needs::Role(Role::Admin),
            Endpoint::Metrics => Needs::OverTls(Role::Viewer),
            Endpoint::OpenApi | Endpoint::Health | Endpoint::Ready => Needs::Nothing,
        }
    }

    /// The word under which it is counted. Setting an override is counted under
    /// the override's own word once that is known.
    pub fn word(self) -> &'static str {
        match self {
            Endpoint::Status => "status",
            Endpoint::Explain => "explain",
            Endpoint::Forecast => "forecast",
            Endpoint::Overrides => "overrides",
            Endpoint::SetOverride => "override",
            Endpoint::Expire => "expire",
            Endpoint::Incidents => "incidents",
            Endpoint::Incident => "incident",
            Endpoint::Acknowledge => "acknowledge",
            Endpoint::StartRun => "playbook run",
            Endpoint::Run => "run",
            Endpoint::Approve => "approve",
            Endpoint::Deny => "deny",
            Endpoint::Abort => "abort",
            Endpoint::Review => "review",
            Endpoint::HandBack => "handback",
            Endpoint::Promote => "promote",
            Endpoint::Alerts => "alerts",
            Endpoint::Slos => "slos",
            Endpoint::Budgets => "budgets",
            Endpoint::Fits => "fits",
            Endpoint::History => "history",
            Endpoint::Verify => "audit_verify",
            Endpoint::Export => "audit_export",
            Endpoint::Reload => "reload",
            Endpoint::OpenApi => "openapi",
            Endpoint::Metrics => "metrics",
            Endpoint::Health => "healthz",
            Endpoint::Ready => "readyz",
        }
    }

    /// Whether it changes something.
    pub fn is_change(self) -> bool {
        match self {
            Endpoint::SetOverride
            | Endpoint::Expire
            | Endpoint::Acknowledge
            | Endpoint::StartRun
            | Endpoint::Approve
            | Endpoint::Deny
            | Endpoint::Abort
            | Endpoint::Review
            | Endpoint::HandBack
            | Endpoint::Promote
            | Endpoint::Reload => true,
            Endpoint::Status
            | Endpoint::Explain
            | Endpoint::Forecast
            | Endpoint::Overrides
            | Endpoint::Incidents
            | Endpoint::Incident
            | Endpoint::Run
            | Endpoint::Alerts
            | Endpoint::Slos
            | Endpoint::Budgets
            | Endpoint::Fits
            | Endpoint::History
            | Endpoint::Verify
            | Endpoint::Export
            | Endpoint::OpenApi
            | Endpoint::Metrics
            | Endpoint::Health
            | Endpoint::Ready => false,
        }
    }

    /// Whether it is answered however much else is going on: a probe that fails
    /// under load would get the daemon restarted under load.
    pub fn is_probe(self) -> bool {
        matches!(self, Endpoint::Health | Endpoint::Ready)
    }

    /// Longest time until its answer begins.
    pub fn time_limit(self) -> Duration {
        if self == Endpoint::Verify { VERIFY_TIMEOUT } else { REQUEST_TIMEOUT }
    }
}
