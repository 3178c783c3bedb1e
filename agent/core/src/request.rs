//! What people ask of the agent, and what they are told.
//!
//! **In:** a verb from an authenticated identity.
//! **Out:** an [`Answer`] (enforced) or a [`RequestRefusal`] (failed); never
//! just "accepted".
//! **Not here:** transport and authentication (the shell's); reading verbs,
//! which change nothing ([`crate::status`]).

use jiff::{SignedDuration, Timestamp};

use crate::documents::{Denial, Documents, Identity, Principal, Role, Target};
use crate::guard;
use crate::ids::{Actor, OverrideId};
use crate::overrides::{
    OVERRIDE_MAX, OVERRIDES_MAX, Override, OverrideKind, OverrideState, REASON_BYTES_MAX, Scope,
};
use crate::record::{EndCause, Record};
use crate::state::State;
use crate::units::{Bounds, Capacity, show_duration};

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
}

/// The kind of an override as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideAsked {
    /// No effect at all.
    Freeze,
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
                OverrideAsked::Hold => "hold",
                OverrideAsked::NoScaleDown => "no-scale-down",
                OverrideAsked::Pin { .. } => "pin",
            },
            Verb::Expire { .. } => "expire",
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
    #[error("target `{target}`: {by}; a pin cannot take effect under that")]
    Outranked { target: String, by: String },
    /// Too many overrides.
    #[error("{OVERRIDES_MAX} overrides are in force, no more can be; expire some first")]
    TooMany,
    /// No such override, or it is over already.
    #[error("{id} is not in force; an ended override cannot return")]
    NotInForce { id: OverrideId },
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
fn checked_reason(reason: &str) -> Result<String, RequestRefusal> {
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
        OverrideKind::Freeze | OverrideKind::Hold => true,
        OverrideKind::NoScaleDown => desired < expected,
        OverrideKind::Pin { capacity } => desired != capacity,
    }
}
