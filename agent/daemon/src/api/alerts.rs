//! Alerts as a reason to look: `POST /v1/alerts`, for Alertmanager's webhook.
//!
//! **In:** notifications of an Alertmanager (version 4).
//! **Out:** the observer is woken when a firing alert is one that a playbook names.
//! **Not here:** any decision. An alert proves nothing here: the agent looks at its own
//! inputs and judges its own conditions ([`evenkeel_core::heal`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::documents::Documents;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::admission::Shared;
use super::answer::Failed;
use super::body::{Nothing, Params, Sent};
use super::limits::{ALERTS_BYTES_MAX, ALERTS_MAX, WAKE_PERIOD};

/// What Alertmanager sends. Fields that it has and that mean nothing here are not read.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct AlertsRequest {
    /// `4`.
    version: String,
    /// At most 1,000.
    alerts: Vec<Alert>,
}

/// One alert.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct Alert {
    /// `firing` or `resolved`.
    status: String,
    /// Its labels, `alertname` among them.
    labels: BTreeMap<String, String>,
}

/// What the alerts led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertsAnswer {
    /// How many firing alerts are named by a playbook.
    pub matched: usize,
    /// Whether the agent looks at once. False also when it was woken less than 5 s ago.
    pub woken: bool,
}

/// Wakes the agent when a firing alert is one that a playbook names. It then looks at its own
/// inputs; the alert decides nothing.
#[utoipa::path(
    post, path = "/v1/alerts", operation_id = "alerts", request_body = AlertsRequest,
    responses(
        (status = 200, description = "Taken note of", body = AlertsAnswer),
        (status = 400, description = "The body is not such a notification", body = ErrorAnswer),
        (status = 413, description = "More than 1 MiB", body = ErrorAnswer),
        (status = 422, description = "Another version, or too many alerts", body = ErrorAnswer),
    ),
)]
pub(crate) async fn alerts(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
    Sent(AlertsRequest { version, alerts }): Sent<AlertsRequest, ALERTS_BYTES_MAX>,
) -> Result<Json<AlertsAnswer>, Failed> {
    if version != "4" {
        let hint = "send what Alertmanager's `webhook_config` sends";
        return Err(Failed::field("version", format!("`{version}` is not `4`"), hint));
    }
    if ALERTS_MAX < alerts.len() {
        let why = format!("{} alerts, at most {ALERTS_MAX}", alerts.len());
        let hint = "set `max_alerts: 1000` in Alertmanager's `webhook_config`";
        return Err(Failed::field("alerts", why, hint));
    }
    let matched = matched(&shared.state.documents.borrow(), &alerts);
    let woken = 0 < matched && shared.wakes.may_wake(Instant::now());
    if woken {
        shared.state.look_now.notify_one();
    }
    info!(alerts = alerts.len(), matched, woken, "alerts received");
    Ok(Json(AlertsAnswer { matched, woken }))
}

/// How many of the firing ones some playbook names.
fn matched(documents: &Documents, alerts: &[Alert]) -> usize {
    let is_named = |it: &Alert| {
        let mut matchers = documents.playbooks().flat_map(|it| &it.trigger.alerts);
        matchers.any(|matcher| matcher.matches(&it.labels))
    };
    alerts.iter().filter(|it| it.status == "firing" && is_named(it)).count()
}

/// When the agent was woken last: a storm of alerts must not become a storm of queries.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    last: Mutex<Option<Instant>>,
}

impl Wakes {
    /// Whether it may be woken at `now`, which then counts.
    fn may_wake(&self, now: Instant) -> bool {
        // It is one value, whole after every write.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |it: Instant| now.saturating_duration_since(it);
        let is_due = last.is_none_or(|it| WAKE_PERIOD <= since(it));
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_storm_of_alerts_wakes_the_agent_once_per_period() {
        let wakes = Wakes::default();
        let begun = Instant::now();
        let woken: Vec<u64> = (0..20)
            .filter(|seconds| wakes.may_wake(begun + Duration::from_secs(*seconds)))
            .collect();
        assert_eq!(woken, [0, 5, 10, 15]);
    }
}
