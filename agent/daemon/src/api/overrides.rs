//! People's instructions: `/v1/overrides`, `/v1/overrides/expire`.
//!
//! **In:** bodies of requests, and who sent them.
//! **Out:** what is in force now, and which effects could not be called back; or
//! why nothing changed.
//! **Not here:** whether it is allowed ([`evenkeel_core::request`]).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use evenkeel_core::api::{
    ErrorAnswer, ExpireAnswer, ExpireRequest, OverrideAnswer, OverrideRequest, OverrideWord,
};
use evenkeel_core::documents::Identity;
use evenkeel_core::overrides::{Override, OverrideState};
use evenkeel_core::request::{Answer, Expirable, OverrideAsked, Request, Verb};
use evenkeel_core::status::InFlightEffect;
use evenkeel_core::units::parse_duration;

use super::admission::{Counted, Shared, VerbWord};
use super::answer::Failed;
use super::body::{Nothing, Params, Sent};
use crate::mailbox::Reply;

/// Overrides in force or pending, oldest first.
#[utoipa::path(
    get, path = "/v1/overrides", operation_id = "overrides",
    responses((status = 200, description = "The overrides", body = Vec<Override>)),
)]
pub(crate) async fn overrides(
    State(shared): State<Arc<Shared>>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<Vec<Override>>, Failed> {
    let asked = shared.state.mailbox.ask(|agent, now| {
        let now = now.max(agent.state().latest_at());
        let all = agent.state().overrides();
        all.filter(|it| it.state(now) != OverrideState::Expired).cloned().collect()
    });
    asked.await.map(Json).map_err(Failed::unread)
}

/// Sets a freeze, takeover, hold, no-scale-down or pin. When this answers 200, it is in
/// force and durable.
#[utoipa::path(
    post, path = "/v1/overrides", operation_id = "setOverride", request_body = OverrideRequest,
    responses(
        (status = 200, description = "Enforced", body = OverrideAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "The scope covers no target", body = ErrorAnswer),
        (status = 422, description = "A field is missing or cannot be as asked", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it is in force is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn set_override(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Params(Nothing {}): Params<Nothing>,
    Sent(asked): Sent<OverrideRequest>,
) -> Response {
    let word = match asked.kind {
        OverrideWord::Freeze => "freeze",
        OverrideWord::Takeover => "takeover",
        OverrideWord::Hold => "hold",
        OverrideWord::NoScaleDown => "no-scale-down",
        OverrideWord::Pin => "pin",
    };
    let (counted, answered) = match set_verb(asked) {
        Ok(verb) => carry_out(&shared, identity, verb, override_set).await,
        Err(failed) => (Counted::Here, Err(failed)),
    };
    (Extension(counted), Extension(VerbWord(word)), answered.map(Json)).into_response()
}

fn override_set(answer: Answer, reply: Running) -> Result<OverrideAnswer, Failed> {
    match answer {
        Answer::OverrideSet { accepted, n_targets } => Ok(OverrideAnswer {
            enforced: true,
            accepted,
            targets: n_targets,
            effects_in_flight: reply.still_running,
            effects_withdrawn: reply.withdrawn,
        }),
        Answer::Expired { .. }
        | Answer::RunChanged { .. }
        | Answer::IncidentChanged { .. }
        | Answer::HandedBack { .. }
        | Answer::Promoted { .. }
        | Answer::Reviewed { .. } => {
            Err(Failed::internal("an override was asked for, and something else was answered"))
        }
    }
}

fn set_verb(asked: OverrideRequest) -> Result<Verb, Failed> {
    let OverrideRequest { kind, scope, duration, reason, capacity } = asked;
    let kind = match (kind, capacity) {
        (OverrideWord::Pin, capacity) => OverrideAsked::Pin { capacity },
        (
            OverrideWord::Freeze
            | OverrideWord::Takeover
            | OverrideWord::Hold
            | OverrideWord::NoScaleDown,
            Some(_),
        ) => {
            let hint = "leave it out, or ask for a `pin`";
            return Err(Failed::field("capacity", "only a pin has one", hint));
        }
        (OverrideWord::Freeze, None) => OverrideAsked::Freeze,
        (OverrideWord::Takeover, None) => OverrideAsked::Takeover,
        (OverrideWord::Hold, None) => OverrideAsked::Hold,
        (OverrideWord::NoScaleDown, None) => OverrideAsked::NoScaleDown,
    };
    let duration = duration
        .map(|it| parse_duration(&it))
        .transpose()
        .map_err(|why| Failed::field("for", why, "for example `4h`, at most `72h`"))?;
    // No end and no reason are for the core to refuse, after it checked the role.
    Ok(Verb::SetOverride { kind, scope, duration, reason: reason.unwrap_or_default() })
}

/// Ends overrides: one by its number, or all with exactly one scope.
#[utoipa::path(
    post, path = "/v1/overrides/expire", operation_id = "expire", request_body = ExpireRequest,
    responses(
        (status = 200, description = "Enforced", body = ExpireAnswer),
        (status = 400, description = "The body is not such a request", body = ErrorAnswer),
        (status = 401, description = "Not known", body = ErrorAnswer),
        (status = 403, description = "Not allowed", body = ErrorAnswer),
        (status = 404, description = "No such override is in force", body = ErrorAnswer),
        (status = 422, description = "A field is missing or cannot be as asked", body = ErrorAnswer),
        (status = 503, description = "Nothing has changed; try again", body = ErrorAnswer),
        (status = 504, description = "Whether it took effect is not known", body = ErrorAnswer),
    ),
)]
pub(crate) async fn expire(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Params(Nothing {}): Params<Nothing>,
    Sent(asked): Sent<ExpireRequest>,
) -> Response {
    let (counted, answered) = match expire_verb(asked) {
        Ok(verb) => carry_out(&shared, identity, verb, expired).await,
        Err(failed) => (Counted::Here, Err(failed)),
    };
    (Extension(counted), answered.map(Json)).into_response()
}

fn expired(answer: Answer, _: Running) -> Result<ExpireAnswer, Failed> {
    match answer {
        Answer::Expired { ended } => Ok(ExpireAnswer { enforced: true, expired: ended }),
        Answer::OverrideSet { .. }
        | Answer::RunChanged { .. }
        | Answer::IncidentChanged { .. }
        | Answer::HandedBack { .. }
        | Answer::Promoted { .. }
        | Answer::Reviewed { .. } => {
            Err(Failed::internal("an end was asked for, and something else was answered"))
        }
    }
}

fn expire_verb(asked: ExpireRequest) -> Result<Verb, Failed> {
    let ExpireRequest { id, scope, reason } = asked;
    let which = match (id, scope) {
        (Some(id), None) => Expirable::One(id),
        (None, Some(scope)) => Expirable::WithScope(scope),
        (None, None) => {
            return Err(Failed::field("id", "missing, and so is `scope`", "give one of the two"));
        }
        (Some(_), Some(_)) => {
            return Err(Failed::field("scope", "given beside `id`", "give one of the two"));
        }
    };
    Ok(Verb::Expire { which, reason })
}

/// Effects that contradict what was asked.
pub(super) struct Running {
    still_running: Vec<InFlightEffect>,
    withdrawn: Vec<InFlightEffect>,
}

/// Has the loop carry `verb` out. What reaches the loop is counted and logged there.
pub(super) async fn carry_out<T>(
    shared: &Shared,
    identity: Identity,
    verb: Verb,
    answered: impl FnOnce(Answer, Running) -> Result<T, Failed>,
) -> (Counted, Result<T, Failed>) {
    match shared.state.mailbox.request(Request { identity, verb }).await {
        Err(error) => (Counted::Here, Err(Failed::unchanged(error))),
        Ok(Reply { answer, still_running, withdrawn }) => {
            let running = Running { still_running, withdrawn };
            let answer = answer.map_err(Failed::from);
            (Counted::ByTheLoop, answer.and_then(|it| answered(it, running)))
        }
    }
}
