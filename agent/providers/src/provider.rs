//! What a platform can do for the agent: say a capacity, and set one.
//!
//! **In:** provider references, and requests built from permitted effects.
//! **Out:** readings and reports.
//! **Not here:** which platform serves which reference (see [`crate::Providers`]),
//! why something failed (see [`crate::failure`]).

use std::sync::Arc;

use async_trait::async_trait;
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::{EffectId, TargetId, Term};
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::Capacity;
use jiff::Timestamp;

#[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
use crate::failure::Failure;
use crate::failure::ReadError;

/// Says what time it is. Given from outside, because the demo's clock is scaled.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Longest [`EffectReport::detail`], in bytes. Why 500: it is kept in the
/// journal for ever and shown in one terminal line or two.
pub const DETAIL_BYTES_MAX: usize = 500;

/// One thing to set, from the daemon's executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCapacityRequest {
    /// Idempotency key: the same for every attempt at this effect.
    pub effect_id: EffectId,
    /// Fencing token: a term older than one seen before is rejected.
    pub term: Term,
    /// Absolute capacity to set.
    pub desired: Capacity,
    /// The capacity it was decided on; anything else at the platform rejects it.
    pub expected: Capacity,
    /// Where.
    pub provider: ProviderRef,
    /// Whose capacity, for messages.
    pub target: TargetId,
}

/// How one effect ended, and why, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectReport {
    /// Done, rejected (surely nothing changed) or unknown (read back first).
    pub outcome: EffectOutcome,
    /// For people: one line without secrets, at most [`DETAIL_BYTES_MAX`] bytes.
    pub detail: String,
}

impl EffectReport {
    /// A report whose detail is cut to [`DETAIL_BYTES_MAX`] and to one line.
    pub fn new(outcome: EffectOutcome, detail: &str) -> EffectReport {
        EffectReport { outcome, detail: one_line(detail, DETAIL_BYTES_MAX) }
    }

    #[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook", feature = "simulated"))]
    pub(crate) fn done(detail: &str) -> EffectReport {
        EffectReport::new(EffectOutcome::Done, detail)
    }

    pub(crate) fn rejected(detail: &str) -> EffectReport {
        EffectReport::new(EffectOutcome::Rejected, detail)
    }

    pub(crate) fn unknown(detail: &str) -> EffectReport {
        EffectReport::new(EffectOutcome::Unknown, detail)
    }

    /// How a request to set ended that failed on its way.
    #[cfg(any(feature = "aws", feature = "haproxy", feature = "webhook"))]
    pub(crate) fn of_failure(failure: &Failure) -> EffectReport {
        EffectReport::new(failure.outcome(), &failure.to_string())
    }
}

/// One platform.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its name, as [`ProviderRef::platform`] gives it.
    fn platform(&self) -> &'static str;

    /// Reads many at once: one result per reference, in the same order. Reading
    /// never changes anything. Ends within the read deadline of the settings.
    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>>;

    /// Sets one capacity, once: never retried. Where the platform cannot compare
    /// and set, it is read first, and a capacity other than `expected` rejects
    /// the request; a change in the moment between the two goes unnoticed.
    async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport;
}

/// Rejects a request that was decided on a capacity that is no longer there.
#[cfg(feature = "aws")]
pub(crate) fn check_expected(
    current: Capacity,
    request: &SetCapacityRequest,
) -> Result<(), EffectReport> {
    if current == request.expected {
        return Ok(());
    }
    let expected = request.expected;
    Err(EffectReport::rejected(&format!(
        "current capacity is {current}, the decision was made on {expected}"
    )))
}

/// The start of `text`, at most `bytes_max` long, with control characters as spaces.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    const CUT: &str = "…";
    let clean: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    if clean.len() <= bytes_max {
        return clean;
    }
    let mut end = bytes_max.saturating_sub(CUT.len());
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", clean.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_detail_is_one_line_within_the_limit(text in "(?s).{0,700}") {
            let report = EffectReport::new(EffectOutcome::Done, &text);
            prop_assert!(report.detail.len() <= DETAIL_BYTES_MAX);
            prop_assert!(!report.detail.chars().any(char::is_control));
            let cut = report.detail.trim_end_matches('…');
            prop_assert!(text.replace(char::is_control, " ").starts_with(cut));
        }
    }
}
