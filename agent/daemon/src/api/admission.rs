//! What every request passes before its endpoint sees it.
//!
//! **In:** a request, the peer of its connection, the documents in force.
//! **Out:** the endpoint's answer; or 401, 403, 429, 503, 504 and a line in the log.
//! **Not here:** whether a verb is allowed on its targets (the core decides, and
//! records the refusal), limits of connections ([`super::listen`]).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use evenkeel_core::documents::{Denial, Identity, Role};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::ApiState;
use super::alerts::Wakes;
use super::answer::Failed;
use super::endpoint::{Endpoint, Needs};
use super::identity::{Failures, Peer, bearer};
use super::limits::{CHANGES_MAX, EXPORTS_MAX, FAILURES_MAX, JOURNAL_READS_MAX, READS_MAX};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: ApiState,
    pub(crate) journal_reads: Arc<Semaphore>,
    pub(crate) verifications: Arc<Semaphore>,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) wakes: Wakes,
    reads: Semaphore,
    changes: Semaphore,
    failures: Failures,
}

impl Shared {
    pub(crate) fn new(state: ApiState) -> Arc<Shared> {
        Arc::new(Shared {
            state,
            journal_reads: Arc::new(Semaphore::new(JOURNAL_READS_MAX)),
            // Why 1: it reads the whole file and takes a core while it does.
            verifications: Arc::new(Semaphore::new(1)),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            wakes: Wakes::default(),
            reads: Semaphore::new(READS_MAX),
            changes: Semaphore::new(CHANGES_MAX),
            failures: Failures::default(),
        })
    }
}

/// What a request turned out to be, for the count of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerbWord(pub(crate) &'static str);

/// Who counts a request, so that none is counted twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The API: it did not get to the loop, or asked it nothing that counts.
    Here,
    /// The loop, as enforced or refused.
    ByTheLoop,
}

/// The layer around each endpoint.
pub(crate) async fn admit(
    State((shared, endpoint)): State<(Arc<Shared>, Endpoint)>,
    request: Request,
    next: Next,
) -> Response {
    let answered = match authenticate(&shared, endpoint, request) {
        Ok(request) => answer(&shared, endpoint, request, next).await,
        Err(failed) => Err(failed),
    };
    let mut response = answered.unwrap_or_else(Failed::into_response);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let word = response.extensions().get::<VerbWord>().map_or(endpoint.word(), |it| it.0);
    let status = response.status();
    if response.extensions().get::<Counted>() != Some(&Counted::ByTheLoop) {
        shared.state.metrics.count_request(word, answer_word(status));
    }
    debug!(verb = word, status = status.as_u16(), "request answered");
    response
}

/// Checks who asks and leaves the [`Identity`] in the request's extensions.
fn authenticate(
    shared: &Shared,
    endpoint: Endpoint,
    mut request: Request,
) -> Result<Request, Failed> {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return Err(Failed::internal("a connection without a peer"));
    };
    let role = match (endpoint.needs(), &peer) {
        (Needs::Nothing, _) | (Needs::OverTls(_), Peer::Local(_)) => return Ok(request),
        (Needs::Role(role) | Needs::OverTls(role), _) => Some(role),
        (Needs::Identity, _) => None,
    };
    let identity = match peer {
        Peer::Local(identity) => identity,
        Peer::Remote(address) => {
            let identity = bearer(request.headers());
            if let Some(seconds) = shared.failures.shut_out(address.ip(), identity.as_ref()) {
                // Not in the log: that is what the attacker could fill next.
                let error = format!("{FAILURES_MAX} authentications failed from your address");
                let hint = "wait, then use a token that an `Access` document knows; the Unix socket of the daemon's host needs none";
                let failed = Failed::new(StatusCode::TOO_MANY_REQUESTS, error, hint);
                return Err(failed.retry_after(seconds));
            }
            let known = identity.filter(|it| {
                let documents = shared.state.documents.borrow();
                documents.access().principal(it).is_ok()
            });
            let Some(identity) = known else {
                shared.failures.failed(address.ip());
                warn!(verb = endpoint.word(), address = %address, "request without a known token refused");
                let error = "no token that any `Access` document knows";
                let hint = "send `Authorization: Bearer TOKEN`; an admin can add its hash to an `Access` document (`evenkeel token` makes one)";
                return Err(Failed::new(StatusCode::UNAUTHORIZED, error, hint));
            };
            shared.failures.succeeded(&identity);
            identity
        }
    };
    if let Some(role) = role {
        require(shared, &identity, role).inspect_err(|denial| {
            warn!(verb = endpoint.word(), identity = ?identity, why = %denial, "request refused");
        })?;
    }
    request.extensions_mut().insert(identity);
    Ok(request)
}

fn require(shared: &Shared, identity: &Identity, role: Role) -> Result<(), Denial> {
    shared.state.documents.borrow().access().principal(identity)?.require(role)
}

async fn answer(
    shared: &Shared,
    endpoint: Endpoint,
    request: Request,
    next: Next,
) -> Result<Response, Failed> {
    let lane = if endpoint.is_change() { &shared.changes } else { &shared.reads };
    let _place = if endpoint.is_probe() {
        None
    } else {
        Some(lane.try_acquire().map_err(|_| {
            let error = "too many requests at once";
            let hint = "nothing has changed: try again in a second";
            Failed::new(StatusCode::SERVICE_UNAVAILABLE, error, hint).retry_after(1)
        })?)
    };
    let limit = endpoint.time_limit();
    tokio::time::timeout(limit, next.run(request)).await.map_err(|_| {
        let error = format!("no answer within {} s", limit.as_secs());
        if endpoint.is_change() {
            Failed::unknown(format!("{error}; whether the request took effect is not known"))
        } else {
            Failed::new(
                StatusCode::GATEWAY_TIMEOUT,
                error,
                "ask for less, or look at the daemon's log",
            )
        }
    })
}

/// The kind of an answer, for the count of requests: a closed set.
fn answer_word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "ok",
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        429 => "limited",
        400..500 => "invalid",
        503 => "unavailable",
        504 => "unknown",
        _ => "failed",
    }
}
