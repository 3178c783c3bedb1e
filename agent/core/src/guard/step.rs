//! The last word before a step of a run: the same people, limits and doubt as for a policy.
//!
//! **In:** an action of a plan, or its undo, and everything that may forbid it.
//! **Out:** a [`StepPermit`], or the one reason why there is none.
//! **Not here:** when it is the step's turn, gates and approvals ([`crate::heal`]).
//!
//! Unlike a policy's proposal, an action is never trimmed to what is allowed: people may
//! have approved exactly this one. It is allowed whole, or not at all.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::action::{Action, InstanceSeen, Seen};
use crate::blast_radius::Ledger;
use crate::budget::arbiter::{Ruling, ruling_on};
use crate::documents::{Documents, Target};
use crate::guard::{
    Circumstances, Permit, Refusal, forbidden_at_all, freeze_window_of, overridden,
};
use crate::ids::{InstanceName, TargetId};
use crate::incident::Storm;
use crate::overrides::{OverrideKind, in_force};
use crate::state::State;
use crate::units::{Capacity, show_duration};

/// Proof that the guard allowed this exact action at this exact time.
///
/// ```compile_fail,E0451
/// use evenkeel_core::action::Action;
/// use evenkeel_core::guard::ActPermit;
/// use evenkeel_core::ids::TargetId;
/// fn forge(target: TargetId, action: Action) -> ActPermit {
///     ActPermit { target, action, granted_at: jiff::Timestamp::UNIX_EPOCH }
/// }
/// ```
#[derive(Debug, PartialEq)]
#[must_use]
pub struct ActPermit {
    target: TargetId,
    action: Action,
    granted_at: Timestamp,
}

impl ActPermit {
    /// Uses the permit up: target, action, granted at.
    pub(crate) fn redeem(self) -> (TargetId, Action, Timestamp) {
        let ActPermit { target, action, granted_at } = self;
        (target, action, granted_at)
    }
}

/// Permission for one step, by the way that its effect takes.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum StepPermit {
    /// A change of capacity, like one that a policy asks for.
    Capacity(Permit),
    /// Anything else.
    Act(ActPermit),
}

/// Everything that may forbid one step.
#[derive(Debug)]
pub struct StepCircumstances<'a> {
    /// When.
    pub now: Timestamp,
    /// All documents, for guardrails.
    pub documents: &'a Documents,
    /// What is remembered.
    pub state: &'a State,
    /// The target.
    pub target: &'a Target,
    /// The capacity that the provider says there is; `None` when it does not.
    pub current: Option<Capacity>,
    /// What was just seen of what the action is about.
    pub seen: Option<&'a Seen>,
    /// The ejection limit: at most this share of instances out of service, in `(0, 1]`.
    pub share_max: f64,
    /// Units that it takes out of service, without those that are out already: see
    /// [`takes_units`].
    pub takes_units: u32,
    /// Too much at once, while it is.
    pub storm: Option<&'a Storm>,
    /// Whether a person approved exactly this, or it brings back what was before.
    pub is_approved: bool,
}

/// Reviews one action; what it takes out of service is entered into `ledger`.
///
/// Order: break-glass, protected, freeze or takeover, freeze window, hold, effect in
/// flight, budgets, bounds, no-scale-down and pin, storm, ejection limit, blast radius. An undo is
/// reviewed like any other action: people and limits hold for it too.
///
/// # Errors
///
/// [`Refusal`]; the run waits, or is undone when it has waited too long.
pub fn review_step(
    it: &StepCircumstances<'_>,
    action: &Action,
    ledger: &mut Ledger,
) -> Result<StepPermit, Refusal> {
    let ruling = in_force(it.state.overrides(), it.target, it.now);
    let current = it.current.unwrap_or_default();
    let takes_units = it.takes_units;
    let is_lift = it.seen.is_some_and(|seen| action.only_lifts(seen));
    let is_destructive = action.is_destructive(current) && !is_lift;
    let growth = match action {
        Action::SetCapacity { desired } if current < *desired => {
            ruling_on(it.documents, it.state.budgets(), it.target)
        }
        Action::SetCapacity { .. }
        | Action::RestartInstances { .. }
        | Action::ReplaceInstances { .. }
        | Action::SetWeights { .. }
        | Action::SetDrained { .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => Ruling::Free,
    };
    let circumstances = Circumstances {
        now: it.now,
        documents: it.documents,
        target: it.target,
        policy: None,
        memory: it.state.target(&it.target.id),
        current,
        good_since: None,
        // A hold keeps the capacity; what does not touch it may go on.
        ruling: ruling.filter(|ruling| {
            ruling.kind != OverrideKind::Hold
                || is_destructive
                || matches!(action, Action::SetCapacity { .. })
        }),
        break_glass: it.state.break_glass(),
        freeze_window: freeze_window_of(it.documents, &it.target.id, it.now),
        run: None,
        lapse: None,
        growth: &growth,
        tightened: None,
    };
    if let Some(refusal) = forbidden_at_all(&circumstances) {
        return Err(refusal);
    }
    let in_flight = circumstances.memory.and_then(|memory| memory.in_flight.as_ref());
    if let (Some(in_flight), Action::SetCapacity { .. }) = (in_flight, action) {
        let is_unknown = in_flight.unknown_since.is_some();
        let (id, desired) = (in_flight.id, in_flight.desired);
        return Err(Refusal::InFlight { id, desired, is_unknown });
    }
    // A step that was approved, and its undo, are people's word; what only autonomy allows
    // was tightened before it began.
    if matches!(growth, Ruling::Stopped { .. }) && !it.is_approved {
        return Err(Refusal::OverBudget { ruling: growth });
    }
    let takes_away = 0 < takes_units;
    if let Some(ruling) = ruling {
        let forbids = match ruling.kind {
            OverrideKind::NoScaleDown => takes_away,
            OverrideKind::Pin { .. } => takes_away || matches!(action, Action::SetCapacity { .. }),
            // Those were looked at above.
            OverrideKind::Freeze | OverrideKind::Takeover | OverrideKind::Hold => false,
        };
        if forbids {
            return Err(overridden(ruling));
        }
    }
    if is_destructive && let Some(storm) = it.storm {
        return Err(Refusal::Storm { since: storm.since, why: storm.why.clone() });
    }
    if let Some(Seen::Instances { instances }) = it.seen {
        within_ejection_limit(action, instances, it.share_max)?;
    }
    if takes_away {
        let allowance = ledger.allowance(it.documents, &it.target.id);
        if let Some(allowance) = allowance.filter(|it| it.units < takes_units) {
            return Err(Refusal::BlastRadius {
                guardrail: allowance.guardrail,
                removed_units: allowance.removed_units,
                units_max: allowance.units_max,
                window: show_duration(allowance.window),
                more_at: allowance.more_at,
            });
        }
        ledger.take(it.now, it.documents, &it.target.id, takes_units);
    }
    let (target, granted_at) = (it.target.id.clone(), it.now);
    Ok(match action {
        Action::SetCapacity { desired } => {
            let desired = it.target.bounds.clamp(*desired);
            StepPermit::Capacity(Permit { target, desired, expected: current, granted_at })
        }
        Action::RestartInstances { .. }
        | Action::ReplaceInstances { .. }
        | Action::SetWeights { .. }
        | Action::SetDrained { .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => {
            StepPermit::Act(ActPermit { target, action: action.clone(), granted_at })
        }
    })
}

/// Units that an action takes out of service when there are `current`: of the instances
/// that it names, only those that serve. What `seen` shows to be out, and what earlier steps
/// of the same run took out (`drained`), was counted then.
pub(crate) fn takes_units(
    action: &Action,
    current: Capacity,
    seen: &Seen,
    drained: &BTreeSet<InstanceName>,
) -> u32 {
    let named: Vec<&InstanceName> = match action {
        Action::RestartInstances { instances }
        | Action::ReplaceInstances { instances }
        | Action::SetDrained { instances, is_drained: true } => instances.iter().collect(),
        Action::SetWeights { weights } => {
            weights.iter().filter(|(_, it)| **it == 0).map(|(name, _)| name).collect()
        }
        Action::SetCapacity { .. }
        | Action::SetDrained { is_drained: false, .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => return action.takes_units(current),
    };
    let Seen::Instances { instances } = seen else { return action.takes_units(current) };
    let serves = |name: &InstanceName| {
        let found = instances.iter().find(|it| it.name == *name);
        found.is_none_or(is_in_service) && !drained.contains(name)
    };
    let n = named.into_iter().filter(|it| serves(it)).count();
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Whether an instance serves: what is drained, not ready or of weight 0 is out, and so
/// counts against the limit whatever took it out.
pub fn is_in_service(it: &InstanceSeen) -> bool {
    it.is_ready && !it.is_drained && it.weight != Some(0)
}

/// At most `share_max` of the instances may be out of service afterwards, those that are
/// already included. One that is out already may always be dealt with, and so may one of
/// two or more when all others serve: a fleet of three must be able to lose its sick one.
fn within_ejection_limit(
    action: &Action,
    instances: &[InstanceSeen],
    share_max: f64,
) -> Result<(), Refusal> {
    let touched = |it: &InstanceSeen| match action {
        Action::RestartInstances { instances }
        | Action::ReplaceInstances { instances }
        | Action::SetDrained { instances, is_drained: true } => instances.contains(&it.name),
        Action::SetWeights { weights } => weights.get(&it.name) == Some(&0),
        Action::SetDrained { is_drained: false, .. }
        | Action::SetCapacity { .. }
        | Action::SetRevision { .. }
        | Action::LimitTenants { .. }
        | Action::RunCommand { .. }
        | Action::CallWebhook { .. }
        | Action::ApplyTerraform { .. } => false,
    };
    let n_out_before = instances.iter().filter(|it| !is_in_service(it)).count();
    let n_out = instances.iter().filter(|it| touched(it) || !is_in_service(it)).count();
    let n_instances = instances.len();
    if n_out == n_out_before || (n_out == 1 && 1 < n_instances) {
        return Ok(());
    }
    let counted = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    let (n_out, n_instances) = (counted(n_out), counted(n_instances));
    if f64::from(n_out) <= share_max * f64::from(n_instances) {
        return Ok(());
    }
    Err(Refusal::EjectionLimit { n_out, n_instances, share_max })
}
