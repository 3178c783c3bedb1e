//! Notifications: what people are told without having asked.
//!
//! **In:** facts that somebody should know at once.
//! **Out:** [`Notice`]s, remembered until they are delivered or given up.
//! **Not here:** channels, signatures and rate limits (the shell's), who is on call
//! (whoever receives them).

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{IncidentId, NoticeId, RunId, TargetId};
use crate::incident::Severity;

/// One notification. Never holds a secret: it is built from records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notice {
    /// Its number: receivers may see one twice after a crash, and tell by this.
    pub id: NoticeId,
    /// When it was raised.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// How urgent.
    pub severity: Severity,
    /// What happened, in a few words.
    pub topic: Topic,
    /// One line.
    pub title: String,
    /// Why, and what there is to know; several lines.
    pub body: String,
    /// The plan, one line per step; empty without one.
    pub plan: Vec<String>,
    /// How to answer: command lines.
    pub answers: Vec<String>,
    /// The page for people.
    pub runbook: Option<String>,
    /// What it is about.
    pub target: Option<TargetId>,
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The run.
    pub run: Option<RunId>,
}

/// What a notification is about: one of these per message template and metric label.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// An incident began.
    IncidentOpened,
    /// It is over.
    IncidentResolved,
    /// Nobody has acknowledged it.
    IncidentEscalated,
    /// A run waits for an approval.
    ApprovalWanted,
    /// Half of the time for it has passed.
    ApprovalEscalated,
    /// A run ended.
    RunEnded,
    /// An undo failed: the target is blocked until a person looks at it.
    RunStuck,
    /// No more attempts: a person is needed.
    AttemptsUsedUp,
    /// Too much at once: destructive actions stop.
    Storm,
    /// A gate was passed by break-glass; a review is due.
    BreakGlassUsed,
    /// The review of one is overdue.
    ReviewOverdue,
    /// An override is about to expire, or did.
    OverrideExpiring,
    /// More autonomy has been earned and waits for a person's word.
    PromotionProposed,
    /// Autonomy was taken back.
    Demoted,
    /// Infrastructure differs from what Terraform says.
    Drift,
    /// Notifications cannot be delivered.
    NotifierDead,
    /// An error budget burns, or nobody can tell.
    SloBurn,
    /// A threshold of a budget was crossed.
    BudgetThreshold,
    /// A bill differs from what was metered.
    BillDrift,
    /// A playbook's own `notify` step.
    Step,
}

impl Topic {
    /// As in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Topic::IncidentOpened => "incident_opened",
            Topic::IncidentResolved => "incident_resolved",
            Topic::IncidentEscalated => "incident_escalated",
            Topic::ApprovalWanted => "approval_wanted",
            Topic::ApprovalEscalated => "approval_escalated",
            Topic::RunEnded => "run_ended",
            Topic::RunStuck => "run_stuck",
            Topic::AttemptsUsedUp => "attempts_used_up",
            Topic::Storm => "storm",
            Topic::BreakGlassUsed => "break_glass_used",
            Topic::ReviewOverdue => "review_overdue",
            Topic::OverrideExpiring => "override_expiring",
            Topic::PromotionProposed => "promotion_proposed",
            Topic::Demoted => "demoted",
            Topic::Drift => "drift",
            Topic::NotifierDead => "notifier_dead",
            Topic::SloBurn => "slo_burn",
            Topic::BudgetThreshold => "budget_threshold",
            Topic::BillDrift => "bill_drift",
            Topic::Step => "step",
        }
    }
}

/// Most notices that wait for delivery; beyond that the oldest that is not a page is
/// dropped. Why 500: more than anybody reads, and a notifier that is dead for long is an
/// incident of its own.
pub const NOTICES_MAX: usize = 500;

/// How long a notice is tried. Why 24 h: it is in the journal for ever; what is a day old
/// wakes nobody for good reason.
pub const NOTICE_TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How the delivery of one went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Every channel that wants it has it.
    Delivered,
    /// No channel took it; the shell no longer tries.
    GivenUp,
}
