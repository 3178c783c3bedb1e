//! How long a target takes from asking for capacity to having it.
//!
//! **In:** the agent's own scale-outs: when one was asked for, when it was ready.
//! **Out:** the lead time to plan with, and where it comes from.
//! **Not here:** when to remember it ([`crate::state`]), planning with it
//! ([`crate::plan_ahead`]).

use std::collections::VecDeque;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::LeadTime;
use crate::units::{Capacity, show_duration};

/// Measured lead times that are remembered per target.
///
/// Why 20: enough that one slow boot is not the rule, few enough that a new
/// machine image shows within days.
const KEPT: usize = 20;

/// What is assumed before anything was measured.
///
/// Why 5 min: a virtual machine with its health checks; containers are faster,
/// and to be early is the cheaper mistake.
pub const ASSUMED: SignedDuration = SignedDuration::from_mins(5);

/// The quantile of the measured ones that is planned with.
///
/// Why 0.9: capacity that comes late one time in ten is what the shortfall
/// objective is for; the worst of 20 would be one bad night for months.
const QUANTILE_PERCENT: usize = 90;

/// Growth that is not ready after this long is no longer waited for.
///
/// Why 2 h: beyond it something is broken, and a person's repair would be
/// measured instead of a boot.
pub const WAIT_MAX: SignedDuration = SignedDuration::from_hours(2);

/// Capacity that was asked for and is not ready yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growing {
    /// When it was asked for.
    pub since: Timestamp,
    /// Ready capacity at which it has arrived.
    pub to: Capacity,
}

/// The last [`KEPT`] measured lead times of one target, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadTimes(VecDeque<SignedDuration>);

impl LeadTimes {
    pub(crate) fn push(&mut self, measured: SignedDuration) {
        if KEPT <= self.0.len() {
            self.0.pop_front();
        }
        self.0.push_back(measured);
    }

    /// The 90th percentile (nearest rank) of what was measured; `None` before
    /// the first.
    pub fn usual(&self) -> Option<SignedDuration> {
        let mut sorted: Vec<SignedDuration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * QUANTILE_PERCENT).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    }

    /// How many there are, at most 20.
    pub fn n_measured(&self) -> usize {
        self.0.len()
    }
}

/// A lead time and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KnownLeadTime {
    /// In seconds, `>= 0`.
    pub seconds: i64,
    /// Who says so.
    pub source: LeadTimeSource,
}

/// Where a lead time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeadTimeSource {
    /// The target's document.
    Given,
    /// The target's own scale-outs.
    Measured,
    /// Nobody yet: five minutes.
    Assumed,
}

impl KnownLeadTime {
    /// The lead time to plan with: as given, else as measured, else [`ASSUMED`].
    pub fn of(document: LeadTime, measured: Option<&LeadTimes>) -> KnownLeadTime {
        let (lead_time, source) = match (document, measured.and_then(LeadTimes::usual)) {
            (LeadTime::Given(given), _) => (given, LeadTimeSource::Given),
            (LeadTime::Measure, Some(usual)) => (usual, LeadTimeSource::Measured),
            (LeadTime::Measure, None) => (ASSUMED, LeadTimeSource::Assumed),
        };
        KnownLeadTime { seconds: lead_time.as_secs().max(0), source }
    }

    /// As a duration.
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_secs(self.seconds)
    }
}

impl fmt::Display for KnownLeadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            LeadTimeSource::Given => "given",
            LeadTimeSource::Measured => "measured",
            LeadTimeSource::Assumed => "assumed",
        };
        write!(f, "{} ({source})", show_duration(self.duration()))
    }
}
