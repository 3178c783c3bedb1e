//! Why a request to a platform failed, and what may have happened there.
//!
//! **In:** what a platform's client saw.
//! **Out:** [`ReadError`] for readings; done, rejected or unknown for effects.
//! **Not here:** which error code means which (see each platform's module).

#[cfg(any(feature = "aws", feature = "webhook"))]
use std::error::Error;
#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
use std::fmt;
use std::time::Duration;

#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
use evenkeel_core::effect::EffectOutcome;

/// A request that did not succeed, by what it may have changed.
#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It never left: no connection, no credentials, not a usable address.
    NotSent(String),
    /// The platform said no.
    Refused(String),
    /// No answer, or one that does not say. It may have been carried out.
    Silent(String),
}

#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
impl Failure {
    /// How an effect ended whose request failed like this.
    pub(crate) fn outcome(&self) -> EffectOutcome {
        match self {
            Failure::NotSent(_) | Failure::Refused(_) => EffectOutcome::Rejected,
            Failure::Silent(_) => EffectOutcome::Unknown,
        }
    }

    /// Why `what` could not be read.
    pub(crate) fn to_read_error(&self, what: &str) -> ReadError {
        let what = what.to_owned();
        match self {
            Failure::NotSent(reason) => ReadError::NotSent { what, reason: reason.clone() },
            Failure::Refused(reason) => ReadError::Refused { what, reason: reason.clone() },
            Failure::Silent(reason) => ReadError::Silent { what, reason: reason.clone() },
        }
    }
}

#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotSent(reason) => write!(f, "nothing was sent: {reason}"),
            Failure::Refused(reason) => write!(f, "refused: {reason}"),
            Failure::Silent(reason) => write!(f, "it may have happened or not: {reason}"),
        }
    }
}

/// Why something of one target could not be read: its capacity, instances, weights or
/// revision. `what` names the thing at the platform, for example
/// ``Auto Scaling group `checkout` ``.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// This daemon does not serve that platform.
    #[error("platform `{platform}` is not configured; {hint}")]
    NotConfigured {
        /// As [`evenkeel_core::documents::ProviderRef::platform`] names it.
        platform: &'static str,
        /// What to add where.
        hint: &'static str,
    },
    /// The target does not say where that is to be read.
    #[error(
        "target `{target}` has no `actuators.{role}`; add it to the target's document, for \
         example `actuators: {{ {role}: {example} }}`"
    )]
    NoActuator {
        /// The target.
        target: String,
        /// Field of `actuators`: `instances`, `traffic`, `deployment` or `tenants`.
        role: &'static str,
        /// What could stand there.
        example: &'static str,
    },
    /// The platform knows nothing of that name.
    #[error("there is no {what}; {hint}")]
    Absent {
        /// What was asked for.
        what: String,
        /// What to compare.
        hint: String,
    },
    /// It exists, but the agent cannot work with it.
    #[error("{what} {state}; remove the target or point it elsewhere")]
    Unusable {
        /// What was asked for.
        what: String,
        /// For example `is being deleted`.
        state: String,
    },
    /// The reference itself, or the key file that it names, cannot be used.
    #[error("cannot ask for {what}: {reason}")]
    NotSent {
        /// What was asked for.
        what: String,
        /// Why nothing was sent.
        reason: String,
    },
    /// The platform said no.
    #[error("cannot read {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Its words, with code and request id where it gives them.
        reason: String,
    },
    /// No answer, or not one that can be understood.
    #[error("no usable answer about {what}: {reason}")]
    Silent {
        /// What was asked for.
        what: String,
        /// What came instead.
        reason: String,
    },
    /// The deadline for all readings passed before this one came.
    #[error("{what} was not read within {} s; the platform is slow or there are too many at once", limit.as_secs_f64())]
    Late {
        /// What was asked for.
        what: String,
        /// The deadline.
        limit: Duration,
    },
}

/// An error and its causes in one line, each once.
#[cfg(any(feature = "aws", feature = "webhook"))]
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// A reference to the platform `given` that came to `platform`: a fault of the routing.
#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook", feature = "simulated"))]
pub(crate) fn misrouted(given: &str, platform: &str) -> ReadError {
    ReadError::NotSent {
        what: given.to_owned(),
        reason: format!("the request came to `{platform}`; this is a fault of the agent"),
    }
}
