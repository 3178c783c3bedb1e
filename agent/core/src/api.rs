//! What goes over the wire between `evenkeel` and `evenkeeld`.
//!
//! **In and out:** JSON bodies of the HTTP API and of `--output json`.
//! **Not here:** routes, transport, authentication (the daemon's and the
//! command line's).

pub mod budgets;
pub mod healing;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explain::Explanation;
use crate::ids::{OverrideId, Region, TargetId, Term};
use crate::overrides::{Override, Scope};
use crate::status::{InFlightEffect, TargetStatus};
use crate::units::Capacity;

/// `GET /v1/status`: the daemon and its targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusReport {
    /// The daemon.
    pub agent: AgentStatus,
    /// Each target asked for, by name.
    pub targets: Vec<TargetStatus>,
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentStatus {
    /// Its region.
    pub region: Region,
    /// Its version.
    pub version: String,
    /// The fencing token it acts under.
    pub term: Term,
    /// Its clock.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub now: Timestamp,
    /// What was found in the break-glass file; `None` when it is not there.
    pub break_glass: Option<String>,
    /// Hash of the documents in force.
    pub documents_sha256: String,
    /// Faults of the newest documents, when those could not be taken into force
    /// and older ones still are. Empty when all is well.
    pub documents_faults: Vec<String>,
    /// How many overrides are in force or pending.
    pub n_overrides: usize,
    /// How many effects have not ended for sure.
    pub n_in_flight: usize,
    /// Sequence number of the newest record.
    pub last_record: u64,
}

/// `GET /v1/explain/{target}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExplainAnswer {
    /// The explanation in force at the time asked for.
    pub explanation: Explanation,
    /// It in one sentence.
    pub sentence: String,
    /// Those before it, newest first, as far as they are still known.
    pub earlier: Vec<Explanation>,
}

/// `POST /v1/overrides`. Every field but `capacity` is required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// What it shall do.
    pub kind: OverrideWord,
    /// On what: a target's name, `key=value,…`, `region:NAME` or `all`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub scope: Scope,
    /// For how long, with a unit: `4h`. At most `72h`.
    #[serde(rename = "for")]
    pub duration: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// For a pin: at which capacity; without one, the current capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
}

/// The four kinds of override, as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverrideWord {
    /// No effect at all.
    Freeze,
    /// No effect at all, and every run ends as it is: a person has it in hand.
    Takeover,
    /// Keep the current capacity.
    Hold,
    /// May grow, never shrink.
    NoScaleDown,
    /// Exactly one capacity.
    Pin,
}

/// An override was set: the answer to `freeze`, `hold`, `no-scale-down`, `pin`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OverrideAnswer {
    /// Always true: it is durable and obeyed. What fails is an [`ErrorAnswer`].
    pub enforced: bool,
    /// The override.
    #[serde(rename = "override")]
    pub accepted: Override,
    /// How many targets it covers now.
    pub targets: usize,
    /// Effects on those targets that had started and cannot be called back.
    pub effects_in_flight: Vec<InFlightEffect>,
    /// Effects that had not started and never will.
    pub effects_withdrawn: Vec<InFlightEffect>,
}

/// `POST /v1/overrides/expire`: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExpireRequest {
    /// One override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<OverrideId>,
    /// Every override with exactly this scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub scope: Option<Scope>,
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// Overrides were ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExpireAnswer {
    /// Always true, as in [`OverrideAnswer`].
    pub enforced: bool,
    /// As they were.
    pub expired: Vec<Override>,
}

/// `GET /v1/history`: records, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryAnswer {
    /// The records.
    pub records: Vec<HistoryRecord>,
}

/// One record as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryRecord {
    /// Its place in the journal, from 1, without gaps.
    pub seq: u64,
    /// When it became a fact.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// What kind of fact.
    pub kind: String,
    /// The target it is about.
    pub target: Option<TargetId>,
    /// Its fields.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub record: serde_json::Value,
    /// Its link in the hash chain, in hex.
    pub link: String,
}

/// Something was not done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorAnswer {
    /// What is wrong.
    pub error: String,
    /// What to do next.
    pub hint: String,
}
