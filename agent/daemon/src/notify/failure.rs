//! Why a message did not get through.
//!
//! **In:** statuses and errors of receivers.
//! **Out:** [`Failure`]: is it this message, or would no other fare better.
//! **Not here:** when it is tried again ([`super::line`]).

use std::time::Duration;

/// Why a channel did not take a message. Its text is logged and told to people: it never
/// has a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No other message would get through either: everything waits, in its order.
    #[error("{reason}")]
    Channel { reason: String, again_after: Duration },
    /// The receiver objects to this message: others may pass it.
    #[error("{reason}")]
    Message { reason: String },
}

impl Failure {
    pub(super) fn channel(reason: impl Into<String>) -> Failure {
        Failure::Channel { reason: reason.into(), again_after: Duration::ZERO }
    }

    /// How long the receiver asked to be left alone.
    pub(super) fn again_after(&self) -> Duration {
        match self {
            Failure::Channel { again_after, .. } => *again_after,
            Failure::Message { .. } => Duration::ZERO,
        }
    }
}

/// What the status of an HTTP answer means; `None` when the message was taken.
pub(super) fn of_status(status: u16, again_after: Duration) -> Option<Failure> {
    let reason = format!("answered HTTP {status}; {}", hint_for(status));
    match status {
        200..=299 => None,
        400 | 413 | 415 | 422 => Some(Failure::Message { reason }),
        _ => Some(Failure::Channel { reason, again_after }),
    }
}

fn hint_for(status: u16) -> &'static str {
    match status {
        300..=399 => "give the URL that it redirects to",
        401 | 403 => "check the URL, the secret and its rights",
        404 | 410 => "its URL is no longer one; make a new one at the receiver",
        429 => "it is asked too often",
        400..=499 => "it objects to the message",
        _ => "look at the receiver",
    }
}
