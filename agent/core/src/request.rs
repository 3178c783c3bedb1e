//! What people ask of the agent, and what they are told.
//!
//! **In:** a verb from an authenticated identity.
//! **Out:** an [`Answer`] (enforced) or a [`RequestRefusal`] (failed); never
//! just "accepted".
//! **Not here:** transport and authentication (the shell's); reading verbs,
//! which change nothing ([`crate::status`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::action::ActionClass;
use crate::documents::{Autonomy, Denial, Documents, Identity, Principal, Role, Target};
use crate::ids::{Actor, IncidentId, OverrideId, ParameterName, PlaybookId, RunId, TargetId};
use crate::overrides::{
    OVERRIDE_MAX, OVERRIDES_MAX, Override, OverrideKind, OverrideState, REASON_BYTES_MAX, Scope,
};
use crate::record::{EndCause, Record};
use crate::state::State;
use crate::units::{Bounds, Capacity, show_duration};
use crate::{guard, heal};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub identity: Identity,
    /// For what.
    pub verb: Verb,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// `freeze`, `hold`, `no-scale-down` or `pin`.
    SetOverride {
        /// What it does.
        kind: OverrideAsked,
        /// On what.
        scope: Scope,
        /// For how long; required, there is no default here.
        duration: Option<SignedDuration>,
        /// Why; required.
        reason: String,
    },
    /// `expire`.
    Expire {
        /// Which overrides.
        which: Expirable,
        /// Why; may be empty.
        reason: String,
    },
    /// `playbook run`.
    StartRun {
        /// Which playbook.
        playbook: PlaybookId,
        /// On which target.
        target: TargetId,
        /// Parameters that differ from their default.
        parameters: BTreeMap<ParameterName, f64>,
        /// Only make the plan.
        is_dry: bool,
        /// Why; required.
        reason: String,
    },
    /// `approve`.
    Approve {
        /// Which run.
        run: RunId,
        /// The hash of the plan that the person saw.
        plan_hash: String,
        /// Alone, against the quorum.
        is_break_glass: bool,
        /// Why; required for break-glass.
        reason: String,
    },
    /// `deny`.
    Deny {
        /// Which run.
        run: RunId,
        /// Why; may be empty.
        reason: String,
    },
    /// `abort`.
    Abort {
        /// Which run.
        run: RunId,
        /// Why; may be empty.
        reason: String,
    },
    /// `incidents --acknowledge`.
    Acknowledge {
        /// Which incident.
        incident: IncidentId,
    },
    /// `handback`.
    HandBack {
        /// What is given back.
        scope: Scope,
        /// Why; may be empty.
        reason: String,
    },
    /// `promote`.
    Promote {
        /// On which target.
        target: TargetId,
        /// Which actions.
        class: ActionClass,
        /// To what.
        to: Autonomy,
        /// Why; required.
        reason: String,
    },
    /// `review`.
    Review {
        /// Of which run's break-glass approval.
        run: RunId,
        /// What was found; required.
        note: String,
    },
}

/// The kind of an override as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideAsked {
    /// No effect at all.
    Freeze,
    /// No effect at all, and every run ends as it is.
    Takeover,
    /// Keep the current capacity.
    Hold,
    /// Never shrink.
    NoScaleDown,
    /// Exactly this capacity; without one, the current capacity of the one
    /// target in scope.
    Pin { capacity: Option<Capacity> },
}

/// Which overrides to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expirable {
    /// One, by number.
    One(OverrideId),
    /// Every active one whose scope is exactly this.
    WithScope(Scope),
}

impl Verb {
    /// The word for it, as on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            Verb::SetOverride { kind, .. } => match kind {
                OverrideAsked::Freeze => "freeze",
                OverrideAsked::Takeover => "takeover",
                OverrideAsked::Hold => "hold",
                OverrideAsked::NoScaleDown => "no-scale-down",
                OverrideAsked::Pin { .. } => "pin",
            },
            Verb::Expire { .. } => "expire",
            Verb::StartRun { is_dry: true, .. } => "playbook run --dry-run",
            Verb::StartRun { is_dry: false, .. } => "playbook run",
            Verb::Approve { .. } => "approve",
            Verb::Deny { .. } => "deny",
            Verb::Abort { .. } => "abort",
            Verb::Acknowledge { .. } => "acknowledge",
            Verb::HandBack { .. } => "handback",
            Verb::Promote { .. } => "promote",
            Verb::Review { .. } => "review",
        }
    }
}

/// A request was carried out. It is in force when this is handed out: the
/// record is durable, and the next evaluation obeys it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An override is in force.
    OverrideSet {
        /// The override.
        accepted: Override,
        /// How many targets it covers now.
        n_targets: usize,
    },
    /// These overrides are over.
    Expired {
        /// As they were.
        ended: Vec<Override>,
    },
    /// A run was started, approved, denied or ended.
    RunChanged {
        /// Which.
        run: RunId,
    },
    /// An incident was acknowledged.
    IncidentChanged {
        /// Which.
        incident: IncidentId,
    },
    /// Something was given back.
    HandedBack {
        /// Takeovers that were ended.
        ended: Vec<Override>,
        /// Scopes that had lapsed and are resumed.
        resumed: Vec<Scope>,
        /// Classes of actions whose demotion ended, by target.
        restored: Vec<(TargetId, ActionClass)>,
    },
    /// Autonomy was granted or taken back.
    Promoted {
        /// On which target.
        target: TargetId,
        /// Which actions.
        class: ActionClass,
    },
    /// A review was made.
    Reviewed {
        /// Of which run.
        run: RunId,
    },
}

/// A request was not carried out, and nothing has changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RequestRefusal {
    /// Not allowed to.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// No end.
    #[error("an override needs an end: give a duration of at most {}", hours(OVERRIDE_MAX))]
    NoEnd,
    /// Not a positive duration.
    #[error("an override must last longer than 0s")]
    NoLength,
    /// Too long.
    #[error("{} is longer than an override may last ({})", hours(*asked), hours(OVERRIDE_MAX))]
    TooLong { asked: SignedDuration },
    /// No reason.
    #[error("an override needs a reason: the next person on call will read it")]
    NoReason,
    /// A reason that is too long.
    #[error("the reason has {bytes} bytes, at most {REASON_BYTES_MAX}")]
    ReasonTooLong { bytes: usize },
    /// A scope without any target.
    #[error("scope `{scope}` covers no target; `evenkeel status` lists them")]
    NothingInScope { scope: Scope },
    /// A pin outside some target's bounds.
    #[error("target `{target}`: {capacity} is outside its bounds {}..{}", bounds.min, bounds.max)]
    OutsideBounds { target: String, capacity: Capacity, bounds: Bounds },
    /// A pin without a capacity on more than one target.
    #[error("scope `{scope}` covers {n_targets} targets; a pin without a capacity is for one")]
    PinNeedsCapacity { scope: Scope, n_targets: usize },
    /// A pin without a capacity on a target whose capacity is not known.
    #[error("the current capacity of `{target}` is not known yet; give the capacity to pin it at")]
    CurrentUnknown { target: String },
    /// A pin that something stronger would keep from taking effect. It fails
    /// instead of lying in wait.
    #[error("target `{target}`: {by}; it cannot take effect under that")]
    Outranked { target: String, by: String },
    /// Too many overrides.
    #[error("{OVERRIDES_MAX} overrides are in force, no more can be; expire some first")]
    TooMany,
    /// No such override, or it is over already.
    #[error("{id} is not in force; an ended override cannot return")]
    NotInForce { id: OverrideId },
    /// No such playbook in the documents in force.
    #[error("there is no playbook `{playbook}`; `evenkeel check` lists what is in force")]
    NoPlaybook { playbook: PlaybookId },
    /// No such target.
    #[error("there is no target `{target}`; `evenkeel status` lists them")]
    NoTarget { target: TargetId },
    /// A playbook that is not for the target, or not for people to start.
    #[error("playbook `{playbook}` cannot be run on `{target}`: {why}")]
    CannotRun { playbook: PlaybookId, target: TargetId, why: String },
    /// A parameter that is not there, or out of its bounds.
    #[error("parameter `{parameter}`: {why}")]
    Parameter { parameter: ParameterName, why: String },
    /// No such run in memory.
    #[error("there is no run {run}; `evenkeel incidents` lists them")]
    NoRun { run: RunId },
    /// A word that means nothing in the phase that the run is in.
    #[error("{run} is {phase}: {why}")]
    WrongPhase { run: RunId, phase: String, why: String },
    /// The plan is not the one that the person saw.
    #[error("{run} has plan {current}, not {given}: look at it again before you approve it")]
    PlanChanged { run: RunId, given: String, current: String },
    /// Whoever asked for a run must not approve it.
    #[error("{actor} asked for {run} and cannot approve it; somebody else has to")]
    OwnRequest { run: RunId, actor: Actor },
    /// One person counts once.
    #[error("{actor} has approved {run} already; {n_missing} more approval(s) of others needed")]
    ApprovedAlready { run: RunId, actor: Actor, n_missing: u32 },
    /// Not among the approvers that the gate names.
    #[error("{actor} is not among the approvers of this gate: {approvers}")]
    NotAnApprover { actor: Actor, approvers: String },
    /// No such incident, or it is over.
    #[error("{incident} is not open; `evenkeel incidents` lists those that are")]
    NoIncident { incident: IncidentId },
    /// Nothing there to be given back.
    #[error(
        "nothing in `{scope}` was taken over or has lapsed; `evenkeel status` shows who has what"
    )]
    NothingToHandBack { scope: Scope },
    /// More than the documents allow.
    #[error("the playbooks with `{class}` on `{target}` allow at most {autonomy_max}")]
    TooMuchAutonomy { target: TargetId, class: ActionClass, autonomy_max: Autonomy },
    /// No playbook takes such actions there.
    #[error("no playbook takes `{class}` on `{target}`")]
    NoSuchActions { target: TargetId, class: ActionClass },
    /// No break-glass approval that waits for a review.
    #[error("{run} has no break-glass approval that waits for a review")]
    NothingToReview { run: RunId },
    /// No override with that scope.
    #[error("no override with scope `{scope}` is in force; `evenkeel status` lists them")]
    NoneInForce { scope: Scope },
}

/// Reviews a request: the records that carry it out, and the answer.
///
/// # Errors
///
/// [`RequestRefusal`], with the actor when the identity is known.
pub fn review(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    current: impl Fn(&Target) -> Option<Capacity>,
    request: &Request,
) -> Result<(Vec<Record>, Answer), (Option<Actor>, RequestRefusal)> {
    let principal =
        documents.access().principal(&request.identity).map_err(|denial| (None, denial.into()))?;
    let actor = principal.actor.clone();
    let reviewed = match &request.verb {
        Verb::SetOverride { kind, scope, duration, reason } => {
            let asked = Asked { kind: *kind, scope, duration: *duration, reason };
            set_override(now, documents, state, current, &principal, &asked)
        }
        Verb::Expire { which, reason } => expire(now, documents, state, &principal, which, reason),
        Verb::StartRun { .. }
        | Verb::Approve { .. }
        | Verb::Deny { .. }
        | Verb::Abort { .. }
        | Verb::Acknowledge { .. }
        | Verb::HandBack { .. }
        | Verb::Promote { .. }
        | Verb::Review { .. } => {
            heal::people::review(now, documents, state, &principal, &request.verb)
        }
    };
    reviewed.map_err(|refusal| (Some(actor), refusal))
}

struct Asked<'a> {
    kind: OverrideAsked,
    scope: &'a Scope,
    duration: Option<SignedDuration>,
    reason: &'a str,
}

fn set_override(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    current: impl Fn(&Target) -> Option<Capacity>,
    principal: &Principal,
    asked: &Asked<'_>,
) -> Result<(Vec<Record>, Answer), RequestRefusal> {
    // The role first: who may not act learns nothing about targets.
    principal.require(Role::Operator)?;
    let scope = asked.scope;
    let targets: Vec<&Target> = documents.targets().filter(|it| scope.covers(it)).collect();
    if targets.is_empty() {
        return Err(RequestRefusal::NothingInScope { scope: scope.clone() });
    }
    principal.require_on(Role::Operator, targets.iter().copied())?;
    let duration = asked.duration.ok_or(RequestRefusal::NoEnd)?;
    if duration <= SignedDuration::ZERO {
        return Err(RequestRefusal::NoLength);
    }
    if OVERRIDE_MAX < duration {
        return Err(RequestRefusal::TooLong { asked: duration });
    }
    let reason = checked_reason(asked.reason)?;
    if reason.is_empty() {
        return Err(RequestRefusal::NoReason);
    }
    let of_people = state.overrides().filter(|it| !it.is_agents_hold());
    if OVERRIDES_MAX <= of_people.count() {
        return Err(RequestRefusal::TooMany);
    }
    let kind = match asked.kind {
        OverrideAsked::Freeze => OverrideKind::Freeze,
        OverrideAsked::Takeover => OverrideKind::Takeover,
        OverrideAsked::Hold => OverrideKind::Hold,
        OverrideAsked::NoScaleDown => OverrideKind::NoScaleDown,
        OverrideAsked::Pin { capacity } => {
            let capacity = pinned_capacity(capacity, scope, &targets, &current)?;
            for target in &targets {
                let is_removal = current(target).is_none_or(|it| capacity < it);
                if let Some(by) = guard::forbids_pin(now, documents, state, target, is_removal) {
                    let (target, by) = (target.id.to_string(), by.to_string());
                    return Err(RequestRefusal::Outranked { target, by });
                }
            }
            OverrideKind::Pin { capacity }
        }
    };
    let accepted = Override {
        id: state.next_override(),
        kind,
        scope: scope.clone(),
        actor: principal.actor.clone(),
        reason,
        starts_at: now,
        ends_at: now.checked_add(duration).unwrap_or(Timestamp::MAX),
    };
    let record = Record::OverrideAccepted { at: now, accepted: accepted.clone() };
    Ok((vec![record], Answer::OverrideSet { accepted, n_targets: targets.len() }))
}

fn pinned_capacity(
    capacity: Option<Capacity>,
    scope: &Scope,
    targets: &[&Target],
    current: &impl Fn(&Target) -> Option<Capacity>,
) -> Result<Capacity, RequestRefusal> {
    let capacity = match (capacity, targets) {
        (Some(capacity), _) => capacity,
        (None, [target]) => current(target)
            .ok_or_else(|| RequestRefusal::CurrentUnknown { target: target.id.to_string() })?,
        (None, _) => {
            let (scope, n_targets) = (scope.clone(), targets.len());
            return Err(RequestRefusal::PinNeedsCapacity { scope, n_targets });
        }
    };
    match targets.iter().find(|it| !it.bounds.contain(capacity)) {
        None => Ok(capacity),
        Some(target) => Err(RequestRefusal::OutsideBounds {
            target: target.id.to_string(),
            capacity,
            bounds: target.bounds,
        }),
    }
}

fn expire(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    principal: &Principal,
    which: &Expirable,
    reason: &str,
) -> Result<(Vec<Record>, Answer), RequestRefusal> {
    principal.require(Role::Operator)?;
    let reason = checked_reason(reason)?;
    let active = |it: &&Override| it.state(now) != OverrideState::Expired;
    let ended: Vec<Override> = match which {
        Expirable::One(id) => {
            state.find_override(*id).filter(active).into_iter().cloned().collect()
        }
        Expirable::WithScope(scope) => {
            state.overrides().filter(|it| it.scope == *scope).filter(active).cloned().collect()
        }
    };
    if ended.is_empty() {
        return Err(match which {
            Expirable::One(id) => RequestRefusal::NotInForce { id: *id },
            Expirable::WithScope(scope) => RequestRefusal::NoneInForce { scope: scope.clone() },
        });
    }
    for it in &ended {
        let covered = documents.targets().filter(|target| it.scope.covers(target));
        principal.require_on(Role::Operator, covered)?;
    }
    let records = ended
        .iter()
        .map(|it| Record::OverrideEnded {
            at: now,
            id: it.id,
            cause: EndCause::Cancelled { actor: principal.actor.clone(), reason: reason.clone() },
        })
        .collect();
    Ok((records, Answer::Expired { ended }))
}

/// As people type it: `73h`, not `3d1h`. Odd minutes are shown as they are.
fn hours(duration: SignedDuration) -> String {
    if duration.as_secs() % 3_600 == 0 {
        format!("{}h", duration.as_hours())
    } else {
        show_duration(duration)
    }
}

/// The reason without control characters, which could forge lines in a terminal.
pub(crate) fn checked_reason(reason: &str) -> Result<String, RequestRefusal> {
    if REASON_BYTES_MAX < reason.len() {
        return Err(RequestRefusal::ReasonTooLong { bytes: reason.len() });
    }
    let visible = reason.chars().map(|it| if it.is_control() { ' ' } else { it });
    Ok(visible.collect::<String>().trim().to_owned())
}

/// Whether an effect to `desired` from `expected` contradicts an override of
/// `kind`, so that it must be withdrawn if it has not started.
pub fn contradicts(kind: OverrideKind, expected: Capacity, desired: Capacity) -> bool {
    match kind {
        OverrideKind::Freeze | OverrideKind::Takeover | OverrideKind::Hold => true,
        OverrideKind::NoScaleDown => desired < expected,
        OverrideKind::Pin { capacity } => desired != capacity,
    }
}
