//! What somebody hears whose request was not carried out.
//!
//! **In:** refusals of the core, and what goes wrong on the way there and back.
//! **Out:** a status code and an [`ErrorAnswer`]: what is wrong, what to do next.
//! **Not here:** deciding to refuse ([`evenkeel_core::request`], [`super::admission`]).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::documents::Denial;
use evenkeel_core::request::RequestRefusal;
use evenkeel_store::StoreError;

use super::limits::FAULTS_MAX;
use super::refusals::status_and_hint;
use crate::mailbox::Unavailable;

/// A request that was not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) hint: String,
    /// Seconds after which it is worth another try.
    pub(crate) retry_after: Option<u64>,
}

impl Failed {
    pub(crate) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Failed {
        Failed { status, error: error.into(), hint: hint.into(), retry_after: None }
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Failed {
        Failed { retry_after: Some(seconds), ..self }
    }

    /// One field of a body is not what it must be.
    pub(crate) fn field(
        field: &str,
        why: impl std::fmt::Display,
        hint: impl Into<String>,
    ) -> Failed {
        Failed::new(StatusCode::UNPROCESSABLE_ENTITY, format!("field `{field}`: {why}"), hint)
    }

    /// The loop did not say what there is; nothing was to be changed.
    pub(crate) fn unread(error: Unavailable) -> Failed {
        let what = match error {
            Unavailable::Busy | Unavailable::Stopping => error.to_string(),
            Unavailable::TimedOut => "the agent did not answer in time".to_owned(),
        };
        let hint = "try again in a moment; if it stays so, look at the daemon's log";
        Failed::new(StatusCode::SERVICE_UNAVAILABLE, what, hint).retry_after(1)
    }

    /// The loop did not carry out a change, or did not say so.
    pub(crate) fn unchanged(error: Unavailable) -> Failed {
        match error {
            Unavailable::Busy | Unavailable::Stopping => {
                let hint =
                    "nothing has changed: try again, or break the glass on the daemon's host";
                Failed::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), hint).retry_after(1)
            }
            Unavailable::TimedOut => Failed::unknown(error.to_string()),
        }
    }

    /// Whether a change is in force is not known.
    pub(crate) fn unknown(error: String) -> Failed {
        let hint = "look at `evenkeel status` before you ask again; if the daemon hangs, break the glass on its host";
        Failed::new(StatusCode::GATEWAY_TIMEOUT, error, hint)
    }

    /// A bug: what cannot happen did.
    pub(crate) fn internal(error: impl Into<String>) -> Failed {
        let hint = "this is a bug of evenkeeld: keep its log and report it";
        Failed::new(StatusCode::INTERNAL_SERVER_ERROR, error, hint)
    }
}

impl From<RequestRefusal> for Failed {
    fn from(refusal: RequestRefusal) -> Failed {
        let (status, hint) = status_and_hint(&refusal);
        Failed::new(status, refusal.to_string(), hint)
    }
}

impl From<Denial> for Failed {
    fn from(denial: Denial) -> Failed {
        RequestRefusal::Denied(denial).into()
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        let is_asked_wrong = matches!(error, StoreError::EmptyRange { .. });
        let status = if is_asked_wrong {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let hint = error.hint().unwrap_or_else(|| "look at the daemon's log".to_owned());
        Failed::new(status, chain(&error), hint)
    }
}

/// The first [`FAULTS_MAX`] faults, and how many more there are.
pub(crate) fn first_faults(faults: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = faults.iter().take(FAULTS_MAX).cloned().collect();
    if let Some(more) = faults.len().checked_sub(FAULTS_MAX).filter(|it| 0 < *it) {
        shown.push(format!("and {more} more; `evenkeel check PATH` shows all of them"));
    }
    shown
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        shown.push_str(": ");
        shown.push_str(&it.to_string());
        cause = it.source();
    }
    shown
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed { status, error, hint, retry_after } = self;
        let mut response = (status, Json(ErrorAnswer { error, hint })).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
