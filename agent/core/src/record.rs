//! Records: the facts that change the agent's state, one variant each.
//!
//! **In:** decisions of [`crate::agent`].
//! **Out:** JSON for the journal; [`crate::state::State::apply`] reads them back.
//! **Not here:** evaluations that changed nothing (they are explained, not
//! journaled), hashing and storing (`evenkeel-store`).
//!
//! A new variant or field is a change of the journal's format: old journals must
//! still read, so fields are only ever added with a default.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::ActionClass;
use crate::autonomy::AutonomyEvent;
use crate::budget::memory::{BudgetEvent, SloAlertEvent};
use crate::effect::EffectOutcome;
use crate::heal::memory::StormEvent;
use crate::ids::{
    Actor, BudgetId, EffectId, IncidentId, NoticeId, OverrideId, PolicyId, RunId, SignalName,
    SloId, TargetId, Term, ThresholdName,
};
use crate::incident::IncidentEvent;
use crate::notice::{Delivery, Notice};
use crate::overrides::{Override, Scope};
use crate::run::{Run, RunEvent};
use crate::state::State;
use crate::units::Capacity;

/// One fact. All instants are the agent's `now`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A daemon took over the store.
    TermStarted { at: Timestamp, term: Term, version: String },
    /// Documents came into force. Their texts are not in the journal.
    DocumentsAdopted { at: Timestamp, sha256: String, n_documents: usize },
    /// A target was seen for the first time.
    TargetAdopted { at: Timestamp, target: TargetId, current: Capacity },
    /// A person's override (or the agent's, for a change from outside).
    OverrideAccepted {
        at: Timestamp,
        #[serde(rename = "override")]
        accepted: Override,
    },
    /// An override is over and cannot return.
    OverrideEnded { at: Timestamp, id: OverrideId, cause: EndCause },
    /// The break-glass file appeared or became unreadable.
    BreakGlassEngaged { at: Timestamp, cause: String },
    /// It is gone.
    BreakGlassReleased { at: Timestamp },
    /// The agent is about to ask for a change.
    EffectPlanned {
        at: Timestamp,
        id: EffectId,
        target: TargetId,
        policy: Option<PolicyId>,
        desired: Capacity,
        expected: Capacity,
        term: Term,
        /// The explanation's sentence at that moment.
        why: String,
    },
    /// It ended.
    EffectFinished {
        at: Timestamp,
        id: EffectId,
        target: TargetId,
        outcome: EffectOutcome,
        detail: String,
    },
    /// An effect whose outcome was unknown was read back.
    EffectReadBack { at: Timestamp, id: EffectId, target: TargetId, current: Capacity },
    /// The capacity is not what the agent last saw or set, and no effect of the
    /// agent's explains it.
    ChangedOutside { at: Timestamp, target: TargetId, expected: Capacity, current: Capacity },
    /// Capacity that the agent asked for was ready this long after.
    LeadTimeMeasured { at: Timestamp, target: TargetId, lead_time: SignedDuration },
    /// Capacity that the agent asked for is no longer waited for.
    LeadTimeMissed { at: Timestamp, target: TargetId, why: String },
    /// A forecast earned its place and may drive capacity from now on.
    ForecastPromoted { at: Timestamp, target: TargetId, signal: SignalName },
    /// A forecast lost it: the reactive rule decides alone.
    ForecastDemoted { at: Timestamp, target: TargetId, signal: SignalName, why: String },
    /// A run of a playbook began.
    RunOpened { at: Timestamp, run: Box<Run> },
    /// Something happened to a run.
    Run { at: Timestamp, id: RunId, target: TargetId, change: RunEvent },
    /// Something happened to an incident.
    Incident { at: Timestamp, id: IncidentId, change: IncidentEvent },
    /// Something happened to a storm.
    Storm { at: Timestamp, change: StormEvent },
    /// Something happened to the autonomy of a class of actions on a target.
    Autonomy { at: Timestamp, target: TargetId, class: ActionClass, change: AutonomyEvent },
    /// People are to be told something.
    NoticeRaised { at: Timestamp, notice: Box<Notice> },
    /// They were, or nobody tries any more.
    NoticeEnded { at: Timestamp, id: NoticeId, delivery: Delivery },
    /// The end of an override was announced.
    OverrideEndAnnounced { at: Timestamp, id: OverrideId },
    /// A person gave back what had lapsed.
    HandedBack { at: Timestamp, scopes: Vec<Scope>, actor: Actor, reason: String },
    /// A target was changed by somebody else while a run was on it: people have it in hand.
    LeftToPeople { at: Timestamp, target: TargetId, why: String },
    /// A review of a break-glass approval was made.
    Reviewed { at: Timestamp, run: RunId, actor: Actor, note: String },
    /// One is overdue.
    ReviewOverdue { at: Timestamp, run: RunId },
    /// Something happened to a threshold of a budget.
    Budget { at: Timestamp, budget: BudgetId, threshold: ThresholdName, change: BudgetEvent },
    /// Something happened to an alert policy of an SLO. `policy` is the objective's name, `/`
    /// and the policy's.
    SloAlert { at: Timestamp, slo: SloId, policy: String, change: SloAlertEvent },
    /// A bill was compared with what was metered.
    Reconciled { at: Timestamp, source: String, drift_ratio: f64, differences: Vec<String> },
    /// Somebody asked for something and did not get it.
    RequestRefused { at: Timestamp, actor: Option<Actor>, verb: String, why: String },
    /// The whole state, so that older records are no longer needed to rebuild
    /// it. Equal to the state that the records before it lead to.
    Snapshot { at: Timestamp, state: Box<State> },
}

/// Why an override is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum EndCause {
    /// Its time was up.
    Expired,
    /// A person ended it.
    Cancelled { actor: Actor, reason: String },
}

impl Record {
    /// The kind under which the journal files [`Record::Snapshot`].
    pub const SNAPSHOT: &'static str = "snapshot";

    /// The variant's name, as in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Record::TermStarted { .. } => "term_started",
            Record::DocumentsAdopted { .. } => "documents_adopted",
            Record::TargetAdopted { .. } => "target_adopted",
            Record::OverrideAccepted { .. } => "override_accepted",
            Record::OverrideEnded { .. } => "override_ended",
            Record::BreakGlassEngaged { .. } => "break_glass_engaged",
            Record::BreakGlassReleased { .. } => "break_glass_released",
            Record::EffectPlanned { .. } => "effect_planned",
            Record::EffectFinished { .. } => "effect_finished",
            Record::EffectReadBack { .. } => "effect_read_back",
            Record::ChangedOutside { .. } => "changed_outside",
            Record::LeadTimeMeasured { .. } => "lead_time_measured",
            Record::LeadTimeMissed { .. } => "lead_time_missed",
            Record::ForecastPromoted { .. } => "forecast_promoted",
            Record::ForecastDemoted { .. } => "forecast_demoted",
            Record::RunOpened { .. } => "run_opened",
            Record::Run { change, .. } => change.kind(),
            Record::Incident { change, .. } => change.kind(),
            Record::Storm { change, .. } => change.kind(),
            Record::Autonomy { change, .. } => change.kind(),
            Record::NoticeRaised { .. } => "notice_raised",
            Record::NoticeEnded { .. } => "notice_ended",
            Record::OverrideEndAnnounced { .. } => "override_end_announced",
            Record::HandedBack { .. } => "handed_back",
            Record::LeftToPeople { .. } => "left_to_people",
            Record::Reviewed { .. } => "break_glass_reviewed",
            Record::ReviewOverdue { .. } => "review_overdue",
            Record::Budget { change, .. } => change.kind(),
            Record::SloAlert { change, .. } => change.kind(),
            Record::Reconciled { .. } => "reconciled",
            Record::RequestRefused { .. } => "request_refused",
            Record::Snapshot { .. } => Record::SNAPSHOT,
        }
    }

    /// When it became a fact.
    pub fn at(&self) -> Timestamp {
        match self {
            Record::TermStarted { at, .. }
            | Record::DocumentsAdopted { at, .. }
            | Record::TargetAdopted { at, .. }
            | Record::OverrideAccepted { at, .. }
            | Record::OverrideEnded { at, .. }
            | Record::BreakGlassEngaged { at, .. }
            | Record::BreakGlassReleased { at }
            | Record::EffectPlanned { at, .. }
            | Record::EffectFinished { at, .. }
            | Record::EffectReadBack { at, .. }
            | Record::ChangedOutside { at, .. }
            | Record::LeadTimeMeasured { at, .. }
            | Record::LeadTimeMissed { at, .. }
            | Record::ForecastPromoted { at, .. }
            | Record::ForecastDemoted { at, .. }
            | Record::RunOpened { at, .. }
            | Record::Run { at, .. }
            | Record::Incident { at, .. }
            | Record::Storm { at, .. }
            | Record::Autonomy { at, .. }
            | Record::NoticeRaised { at, .. }
            | Record::NoticeEnded { at, .. }
            | Record::OverrideEndAnnounced { at, .. }
            | Record::HandedBack { at, .. }
            | Record::LeftToPeople { at, .. }
            | Record::Reviewed { at, .. }
            | Record::ReviewOverdue { at, .. }
            | Record::Budget { at, .. }
            | Record::SloAlert { at, .. }
            | Record::Reconciled { at, .. }
            | Record::RequestRefused { at, .. }
            | Record::Snapshot { at, .. } => *at,
        }
    }

    /// The one target it is about, if there is one.
    pub fn target(&self) -> Option<&TargetId> {
        match self {
            Record::TargetAdopted { target, .. }
            | Record::EffectPlanned { target, .. }
            | Record::EffectFinished { target, .. }
            | Record::EffectReadBack { target, .. }
            | Record::ChangedOutside { target, .. }
            | Record::LeadTimeMeasured { target, .. }
            | Record::LeadTimeMissed { target, .. }
            | Record::ForecastPromoted { target, .. }
            | Record::ForecastDemoted { target, .. }
            | Record::Run { target, .. }
            | Record::Autonomy { target, .. }
            | Record::LeftToPeople { target, .. } => Some(target),
            Record::RunOpened { run, .. } => Some(&run.target),
            Record::NoticeRaised { notice, .. } => notice.target.as_ref(),
            Record::OverrideAccepted { accepted, .. } => match &accepted.scope {
                crate::overrides::Scope::Target(target) => Some(target),
                crate::overrides::Scope::Labels(_)
                | crate::overrides::Scope::Region(_)
                | crate::overrides::Scope::Everything => None,
            },
            Record::TermStarted { .. }
            | Record::DocumentsAdopted { .. }
            | Record::OverrideEnded { .. }
            | Record::BreakGlassEngaged { .. }
            | Record::BreakGlassReleased { .. }
            | Record::Incident { .. }
            | Record::Storm { .. }
            | Record::NoticeEnded { .. }
            | Record::OverrideEndAnnounced { .. }
            | Record::HandedBack { .. }
            | Record::Reviewed { .. }
            | Record::ReviewOverdue { .. }
            | Record::Budget { .. }
            | Record::SloAlert { .. }
            | Record::Reconciled { .. }
            | Record::RequestRefused { .. }
            | Record::Snapshot { .. } => None,
        }
    }
}
