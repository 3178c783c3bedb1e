//! Incidents, runs and autonomy over the wire.
//!
//! **In and out:** JSON bodies of the HTTP API and of `--output json`.
//! **Not here:** routes and transport, overrides and status ([`super`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::ActionClass;
use crate::autonomy::Standing;
use crate::documents::Autonomy;
use crate::ids::{Actor, IncidentId, ParameterName, PlaybookId, RunId, TargetId};
use crate::incident::{Severity, Storm, Symptom, TimelineEntry};
use crate::overrides::Scope;
use crate::run::{Approval, RunCause};

/// `GET /v1/incidents`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentsAnswer {
    /// Incidents, newest first: open ones, or all that are in memory.
    pub incidents: Vec<IncidentReport>,
    /// Runs that are not over, and those of the incidents above; newest first.
    pub runs: Vec<RunReport>,
    /// The storm, while there is one.
    pub storm: Option<Storm>,
    /// Break-glass approvals that nobody has reviewed yet.
    pub reviews: Vec<ReviewReport>,
    /// Autonomy by target and class of actions, where anything is known.
    pub autonomy: Vec<StandingReport>,
    /// What people had in hand and did not give back.
    pub lapses: Vec<LapseReport>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentReport {
    /// Its number.
    pub id: IncidentId,
    /// How bad it is.
    pub severity: Severity,
    /// `open` or `resolved`.
    pub state: String,
    /// The targets of its symptoms.
    pub targets: Vec<TargetId>,
    /// Its symptoms.
    pub symptoms: Vec<Symptom>,
    /// The first bad sample.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub began_at: Timestamp,
    /// When the agent knew.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub detected_at: Timestamp,
    /// When a person took note.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<Actor>,
    /// When it was over.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub resolved_at: Option<Timestamp>,
    /// From the first bad sample until the agent knew.
    pub mttd_seconds: f64,
    /// From then until a person took note.
    pub mtta_seconds: Option<f64>,
    /// From the first bad sample until it was over.
    pub mttr_seconds: Option<f64>,
    /// How often it came back.
    pub n_reopened: u32,
    /// Its runs, oldest first.
    pub runs: Vec<RunId>,
    /// Why no run is under way, when none is.
    pub waiting_for: Option<String>,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunReport {
    /// Its number.
    pub id: RunId,
    /// Of which playbook.
    pub playbook: PlaybookId,
    /// Hash of the text that it is pinned to.
    pub playbook_sha256: String,
    /// On which target.
    pub target: TargetId,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// Why it began.
    pub cause: RunCause,
    /// Parameters, all of them.
    pub parameters: BTreeMap<ParameterName, f64>,
    /// When it began.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub opened_at: Timestamp,
    /// `planning`, `awaiting_approval`, `running`, `verifying`, `undoing`, `stuck`, `ended`.
    pub phase: String,
    /// For one that ended, how: `succeeded`, `rolled_back`, `refused`, `denied`, `expired`,
    /// `aborted`, `taken_over`, `cleared`.
    pub ending: Option<String>,
    /// The phase in a sentence: what it does now, and what it waits for.
    pub sentence: String,
    /// The step it is at, from 1.
    pub step: Option<u16>,
    /// The hash that an approval must name.
    pub plan_hash: Option<String>,
    /// The plan, one line per step.
    pub plan: Vec<String>,
    /// Yeses to the plan in force.
    pub approvals: Vec<Approval>,
    /// When the wait for an approval ends with a no.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub approval_expires_at: Option<Timestamp>,
    /// When it was over.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub ended_at: Option<Timestamp>,
}

/// A break-glass approval to be reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReviewReport {
    /// Of which run.
    pub run: RunId,
    /// Who passed its gate.
    pub actor: Actor,
    /// By when it should be reviewed.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub due_at: Timestamp,
    /// Whether that is past.
    pub is_overdue: bool,
}

/// Autonomy of one class of actions on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StandingReport {
    /// On which target.
    pub target: TargetId,
    /// Which actions.
    pub class: ActionClass,
    /// What is known.
    pub standing: Standing,
}

/// What lapsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LapseReport {
    /// What it is about.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub scope: Scope,
    /// Since when.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// How it came.
    pub why: String,
}

/// `POST /v1/runs`: start a playbook by hand, or see what it would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Which playbook.
    pub playbook: PlaybookId,
    /// On which target.
    pub target: TargetId,
    /// Parameters that differ from their default.
    #[serde(default)]
    pub parameters: BTreeMap<ParameterName, f64>,
    /// Why; required.
    #[serde(default)]
    pub reason: String,
    /// Only make the plan: the run ends as `refused` once it is made, and touches nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/runs/{run}/approve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The hash of the plan that the person saw.
    pub plan_hash: String,
    /// Pass the gate alone, against its quorum. Pages, and is to be reviewed.
    #[serde(default)]
    pub break_glass: bool,
    /// Why; required for break-glass.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/runs/{run}/deny`, `…/abort`, `…/review`, `POST /v1/incidents/{id}/acknowledge`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why; may be empty where nothing else is said.
    #[serde(default)]
    pub reason: String,
}

/// A word about a run was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunAnswer {
    /// Always true, as in [`super::OverrideAnswer`].
    pub enforced: bool,
    /// The run as it is now.
    pub run: RunReport,
}

/// An incident was acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentAnswer {
    /// Always true.
    pub enforced: bool,
    /// The incident as it is now.
    pub incident: IncidentReport,
}

/// `POST /v1/handback`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HandbackRequest {
    /// What is given back: as it was taken, or anything that covers it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub scope: Scope,
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// What was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandbackAnswer {
    /// Always true.
    pub enforced: bool,
    /// Takeovers that were ended.
    pub ended: Vec<crate::overrides::Override>,
    /// Scopes that had lapsed and are resumed.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub resumed: Vec<Scope>,
    /// Classes of actions whose demotion ended, by target.
    pub restored: Vec<(TargetId, ActionClass)>,
}

/// `POST /v1/autonomy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// On which target.
    pub target: TargetId,
    /// Which actions.
    pub class: ActionClass,
    /// To what; more or less than now.
    pub to: Autonomy,
    /// Why; required.
    pub reason: String,
}

/// Autonomy was granted, or taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromoteAnswer {
    /// Always true.
    pub enforced: bool,
    /// As it is now.
    pub standing: StandingReport,
}
