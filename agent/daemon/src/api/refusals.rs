//! The status code of each refusal of the core, and what to do next.
//!
//! **In:** a [`RequestRefusal`].
//! **Out:** 401, 403; 404: there is no such thing; 409: it is not as whoever asks thinks it
//! is, and looking again helps; 422: it can never be as asked.
//! **Not here:** refusing ([`evenkeel_core::request`]), the answer itself
//! ([`super::answer`]).

use axum::http::StatusCode;
use evenkeel_core::documents::Denial;
use evenkeel_core::overrides::{OVERRIDE_MAX, REASON_BYTES_MAX};
use evenkeel_core::request::RequestRefusal;
use evenkeel_core::units::show_duration;

/// Its status code, and a hint without a full stop.
pub(super) fn status_and_hint(refusal: &RequestRefusal) -> (StatusCode, String) {
    const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
    let longest = show_duration(OVERRIDE_MAX);
    match refusal {
        RequestRefusal::Denied(Denial::Unknown { .. }) => (
            StatusCode::UNAUTHORIZED,
            "ask an admin to add you to an `Access` document (`unix_user` or `token_hashes`)"
                .to_owned(),
        ),
        RequestRefusal::Denied(Denial::Role { needed, .. }) => {
            (StatusCode::FORBIDDEN, format!("an admin can grant `{needed}` in an `Access` document"))
        }
        RequestRefusal::Denied(Denial::Target { needed, .. }) => (
            StatusCode::FORBIDDEN,
            format!("narrow the scope to your own targets, or ask somebody with `{needed}` on all of them"),
        ),
        RequestRefusal::NoEnd | RequestRefusal::NoLength => (
            UNPROCESSABLE,
            "set field `for` to a duration with a unit, for example `4h` (on the command line `--for 4h`)"
                .to_owned(),
        ),
        RequestRefusal::TooLong { .. } => (
            UNPROCESSABLE,
            format!("set field `for` to `{longest}` or less; what shall last longer belongs in a Guardrail"),
        ),
        RequestRefusal::NoReason => (
            UNPROCESSABLE,
            "set field `reason` to a few words (on the command line `--reason TEXT`)".to_owned(),
        ),
        RequestRefusal::ReasonTooLong { .. } => (
            UNPROCESSABLE,
            format!("shorten field `reason` to {REASON_BYTES_MAX} bytes; link the incident instead"),
        ),
        RequestRefusal::NothingInScope { .. } => (
            StatusCode::NOT_FOUND,
            "check field `scope`: a target's name, `team=payments,tier=web`, `region:NAME` or `all`"
                .to_owned(),
        ),
        RequestRefusal::OutsideBounds { bounds, .. } => (
            UNPROCESSABLE,
            format!("set field `capacity` between {} and {}, or change the target's bounds", bounds.min, bounds.max),
        ),
        RequestRefusal::PinNeedsCapacity { .. } => {
            (UNPROCESSABLE, "set field `capacity`, or pin the targets one by one".to_owned())
        }
        RequestRefusal::CurrentUnknown { .. } => (UNPROCESSABLE, "set field `capacity`".to_owned()),
        RequestRefusal::Outranked { .. } => (
            UNPROCESSABLE,
            "wait until that is over or expire it, then pin; `evenkeel status TARGET` shows what rules it"
                .to_owned(),
        ),
        RequestRefusal::TooMany => {
            (UNPROCESSABLE, "expire overrides that nobody needs; `evenkeel status` lists them".to_owned())
        }
        RequestRefusal::NoPlaybook { .. } => (
            StatusCode::NOT_FOUND,
            "check its name, and that its document is in force: `evenkeel status` says when newer ones are not".to_owned(),
        ),
        RequestRefusal::NoTarget { .. } => {
            (StatusCode::NOT_FOUND, "`evenkeel status` lists the targets".to_owned())
        }
        RequestRefusal::NoRun { .. } => (
            StatusCode::NOT_FOUND,
            "`evenkeel incidents --all` lists runs; `evenkeel history --kind run_opened` knows older ones".to_owned(),
        ),
        RequestRefusal::NoIncident { .. } => (
            StatusCode::NOT_FOUND,
            "`evenkeel incidents --all` lists also those that are over".to_owned(),
        ),
        RequestRefusal::NothingToHandBack { .. } => (
            StatusCode::NOT_FOUND,
            "give the scope as it was taken over; overrides other than a takeover end with `evenkeel expire`".to_owned(),
        ),
        RequestRefusal::NoSuchActions { .. } => (
            StatusCode::NOT_FOUND,
            "check the target and the class; `evenkeel incidents` lists what is known of autonomy".to_owned(),
        ),
        RequestRefusal::CannotRun { .. } => (
            StatusCode::CONFLICT,
            "nothing has changed; `evenkeel incidents` shows what is under way on the target".to_owned(),
        ),
        RequestRefusal::WrongPhase { .. } => {
            (StatusCode::CONFLICT, "nothing has changed; `evenkeel incidents` shows where it is".to_owned())
        }
        RequestRefusal::PlanChanged { .. } => (
            StatusCode::CONFLICT,
            "nothing has changed; `evenkeel incidents` shows the plan as it is now and its hash".to_owned(),
        ),
        RequestRefusal::OwnRequest { .. } => (
            StatusCode::CONFLICT,
            "ask a second person; alone, only break-glass passes it, which pages and is reviewed".to_owned(),
        ),
        RequestRefusal::ApprovedAlready { .. } => {
            (StatusCode::CONFLICT, "ask a second person; one person counts once".to_owned())
        }
        RequestRefusal::NothingToReview { .. } => (
            StatusCode::CONFLICT,
            "`evenkeel incidents` lists what waits for a review".to_owned(),
        ),
        RequestRefusal::NotAnApprover { .. } => (
            StatusCode::FORBIDDEN,
            "ask one of them, or change `approvers` in the playbook".to_owned(),
        ),
        RequestRefusal::Parameter { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "the playbook's `parameters` say which there are, and within which bounds".to_owned(),
        ),
        RequestRefusal::TooMuchAutonomy { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "ask for that much or less, or have `autonomy_max` in the playbook changed and merged".to_owned(),
        ),
        RequestRefusal::NotInForce { .. } | RequestRefusal::NoneInForce { .. } => (
            StatusCode::NOT_FOUND,
            "`evenkeel status` lists the overrides in force; to have one again, set a new one".to_owned(),
        ),
    }
}
