//! The last word before an effect: overrides, limits, and doubt.
//!
//! **In:** a proposal and everything that may forbid or limit it.
//! **Out:** a [`Permit`], or the one reason why there is none.
//! **Not here:** what would be good for the SLO or the cost ([`crate::decide`]).
//!
//! Only this module can build a [`Permit`], and an effect cannot be built
//! without one. So "was this checked?" is a question for the compiler.

mod refusal;
mod step;

use jiff::Timestamp;

use crate::blast_radius::Ledger;
use crate::budget::arbiter::Ruling;
use crate::decide::{Proposal, Reason};
use crate::documents::{Autonomy, Documents, Guardrail, ScalingPolicy, Step, Target};
use crate::heal::memory::Lapse;
use crate::ids::{BudgetId, GuardrailId, TargetId, ThresholdName};
use crate::overrides::{Override, OverrideKind, in_force};
use crate::quality::Quality;
use crate::run::Run;
use crate::state::{BreakGlass, State, TargetState};
use crate::units::{Capacity, show_duration};

pub use refusal::{Limit, Refusal};
pub(crate) use step::takes_units;
pub use step::{ActPermit, StepCircumstances, StepPermit, is_in_service, review_step};

/// Proof that the guard allowed this exact capacity at this exact time.
///
/// It can be looked at, but not made outside of this module:
///
/// ```
/// use evenkeel_core::guard::{Permit, Verdict};
/// fn of(verdict: Verdict) -> Option<Permit> {
///     match verdict {
///         Verdict::Allow { permit, .. } => Some(permit),
///         Verdict::NoChange { .. } | Verdict::Refuse { .. } => None,
///     }
/// }
/// ```
///
/// ```compile_fail,E0451
/// use evenkeel_core::guard::Permit;
/// use evenkeel_core::ids::TargetId;
/// use evenkeel_core::units::Capacity;
/// fn forge(target: TargetId) -> Permit {
///     let granted_at = jiff::Timestamp::UNIX_EPOCH;
///     Permit { target, desired: Capacity(9), expected: Capacity(8), granted_at }
/// }
/// ```
#[derive(Debug, PartialEq)]
#[must_use]
pub struct Permit {
    target: TargetId,
    desired: Capacity,
    expected: Capacity,
    granted_at: Timestamp,
}

impl Permit {
    /// Uses the permit up: target, desired, expected, granted at.
    pub(crate) fn redeem(self) -> (TargetId, Capacity, Capacity, Timestamp) {
        let Permit { target, desired, expected, granted_at } = self;
        (target, desired, expected, granted_at)
    }
}

/// What the guard did with a proposal.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Verdict {
    /// Go ahead, to this capacity, after these limits.
    Allow { permit: Permit, limits: Vec<Limit> },
    /// The target already has the capacity that would be allowed.
    NoChange { limits: Vec<Limit> },
    /// Refused. `would` is the capacity that would have been asked for.
    Refuse { refusal: Refusal, would: Capacity, limits: Vec<Limit> },
}

/// Everything that may forbid or limit a proposal for one target.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// When.
    pub now: Timestamp,
    /// All documents, for guardrails.
    pub documents: &'a Documents,
    /// The target.
    pub target: &'a Target,
    /// Its policy; `None` for a pin on a target without one.
    pub policy: Option<&'a ScalingPolicy>,
    /// What is remembered of the target.
    pub memory: Option<&'a TargetState>,
    /// The capacity that the provider says there is.
    pub current: Capacity,
    /// Since when its signals have been good without a gap; see
    /// [`crate::look_back::LookBack::good_since`].
    pub good_since: Option<Timestamp>,
    /// The override that rules, as [`crate::overrides::in_force`] says.
    pub ruling: Option<&'a Override>,
    /// The break-glass file.
    pub break_glass: Option<&'a BreakGlass>,
    /// The first freeze window in force, as guardrail, name and end.
    pub freeze_window: Option<(&'a GuardrailId, &'a str, Timestamp)>,
    /// The run of a playbook that has the target.
    pub run: Option<&'a Run>,
    /// A takeover of it that lapsed and was not handed back.
    pub lapse: Option<&'a Lapse>,
    /// What the arbiter between SLO and cost says about growth.
    pub growth: &'a Ruling,
    /// A threshold of an error budget that lets nothing be taken away.
    pub tightened: Option<(&'a BudgetId, &'a ThresholdName, &'a str)>,
}

/// Reviews `proposal`; what a permit removes is entered into `ledger`.
///
/// Order: break-glass, protected, freeze, freeze window, hold, effect in
/// flight, bounds, no-scale-down, doubt, cooldown, step, backing off, blast
/// radius, budgets, autonomy. A pin is a person's word: it is bound by bounds and blast
/// radius, but not by doubt, cooldown, step, budgets or autonomy, which are about the
/// agent's own.
pub fn review(it: &Circumstances<'_>, proposal: &Proposal, ledger: &mut Ledger) -> Verdict {
    let bounds = it.target.bounds;
    let mut limits = Vec::new();
    if it.policy.is_none() && !is_pin(proposal) {
        // Nobody asked the agent to look after this target, not even its bounds.
        return Verdict::NoChange { limits };
    }
    let mut desired = bounds.clamp(proposal.desired);
    let asked = desired;
    let refuse = |refusal, limits| Verdict::Refuse { refusal, would: asked, limits };
    if desired != it.current
        && let Some(refusal) = forbidden_at_all(it)
    {
        return refuse(refusal, limits);
    }
    if let Some(in_flight) = it.memory.and_then(|memory| memory.in_flight.as_ref()) {
        let is_unknown = in_flight.unknown_since.is_some();
        let (id, desired) = (in_flight.id, in_flight.desired);
        return refuse(Refusal::InFlight { id, desired, is_unknown }, limits);
    }
    // A person's pin is obeyed whatever the agent is at.
    if desired != it.current && !is_pin(proposal) {
        if let Some(lapse) = it.lapse {
            return refuse(Refusal::Lapsed { since: lapse.at, why: lapse.why.clone() }, limits);
        }
        let is_removal = desired < it.current;
        let locks = |run: &&Run| (is_removal && !run.only_throttles()) || run.sets_capacity();
        if let Some(run) = it.run.filter(locks) {
            let (run, playbook) = (run.id, run.playbook.clone());
            return refuse(Refusal::LockedByRun { run, playbook }, limits);
        }
    }
    if desired != proposal.desired {
        limits.push(Limit::Bounds { proposed: proposal.desired, bounds });
    }
    if desired == it.current {
        return Verdict::NoChange { limits };
    }
    let is_removal = desired < it.current;
    if is_removal && let Some(ruling) = it.ruling.filter(|it| it.kind == OverrideKind::NoScaleDown)
    {
        return refuse(overridden(ruling), limits);
    }
    if let (false, Some(policy)) = (is_pin(proposal), it.policy) {
        if is_removal && proposal.quality != Quality::Good {
            return refuse(Refusal::Doubt { quality: proposal.quality }, limits);
        }
        // Also when it is the bounds that ask for less, and whatever the decision says.
        let settled_at =
            it.good_since.and_then(|at| at.checked_add(policy.scale_down.stabilization).ok());
        if is_removal && settled_at.is_none_or(|at| it.now < at) {
            return refuse(Refusal::Unsettled { until: settled_at }, limits);
        }
        let behaviour = if is_removal { policy.scale_down } else { policy.scale_up };
        if let Some(changed_at) = it.memory.and_then(|memory| memory.changed_at) {
            let until = changed_at.checked_add(behaviour.cooldown).unwrap_or(Timestamp::MAX);
            if it.now < until {
                return refuse(Refusal::CoolingDown { until }, limits);
            }
        }
        desired = one_step(it.current, desired, behaviour.step, &mut limits);
    }
    if let Some(refusal) = backing_off(it) {
        return refuse(refusal, limits);
    }
    if is_removal {
        match within_blast_radius(it, desired, ledger, &mut limits) {
            Ok(allowed) => desired = allowed,
            Err(refusal) => return refuse(refusal, limits),
        }
    }
    if !is_pin(proposal)
        && let Some(refusal) = beyond_budgets(it, desired)
    {
        return Verdict::Refuse { refusal, would: desired, limits };
    }
    if let (false, Some(policy)) = (is_pin(proposal), it.policy)
        && policy.autonomy < Autonomy::Auto
    {
        return Verdict::Refuse {
            refusal: Refusal::Autonomy { autonomy: policy.autonomy },
            would: desired,
            limits,
        };
    }
    if is_removal {
        ledger.take(it.now, it.documents, &it.target.id, it.current.above(desired));
    }
    let permit =
        Permit { target: it.target.id.clone(), desired, expected: it.current, granted_at: it.now };
    Verdict::Allow { permit, limits }
}

/// What budgets forbid of a change that is otherwise allowed.
fn beyond_budgets(it: &Circumstances<'_>, desired: Capacity) -> Option<Refusal> {
    if it.current < desired {
        return matches!(it.growth, Ruling::Stopped { .. })
            .then(|| Refusal::OverBudget { ruling: it.growth.clone() });
    }
    let (budget, threshold, why) = it.tightened?;
    Some(Refusal::Tightened {
        budget: budget.clone(),
        threshold: threshold.clone(),
        why: why.to_owned(),
    })
}

/// Whether the last effects failed so recently that the next has to wait. A word
/// of a person since then is worth another attempt at once.
fn backing_off(it: &Circumstances<'_>) -> Option<Refusal> {
    let failed = it.memory.and_then(|memory| memory.failed)?;
    let until = failed.retry_at();
    let spoke_since = it.ruling.is_some_and(|ruling| failed.at < ruling.starts_at);
    (it.now < until && !spoke_since)
        .then_some(Refusal::BackingOff { n_attempts: failed.n_attempts, until })
}

/// What forbids any change, whichever direction.
fn forbidden_at_all(it: &Circumstances<'_>) -> Option<Refusal> {
    if let Some(BreakGlass { since, cause }) = it.break_glass {
        return Some(Refusal::BreakGlass { since: *since, cause: cause.clone() });
    }
    if let Some(guardrail) = it.documents.guardrails_of(&it.target.id).find(|it| it.protected) {
        return Some(Refusal::Protected { guardrail: guardrail.id.clone() });
    }
    let ruling_kind = it.ruling.map(|ruling| ruling.kind);
    if let (Some(ruling), Some(OverrideKind::Freeze | OverrideKind::Takeover)) =
        (it.ruling, ruling_kind)
    {
        return Some(overridden(ruling));
    }
    if let Some((guardrail, window, ends_at)) = it.freeze_window {
        let (guardrail, window) = (guardrail.clone(), window.to_owned());
        return Some(Refusal::FreezeWindow { guardrail, window, ends_at });
    }
    if let (Some(ruling), Some(OverrideKind::Hold)) = (it.ruling, ruling_kind) {
        return Some(overridden(ruling));
    }
    None
}

/// What keeps a pin of `target` from taking effect at `now`, if anything.
pub(crate) fn forbids_pin(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    target: &Target,
    is_removal: bool,
) -> Option<Refusal> {
    let ruling = in_force(state.overrides(), target, now);
    let circumstances = Circumstances {
        now,
        documents,
        target,
        policy: None,
        memory: None,
        current: Capacity(0),
        good_since: None,
        ruling,
        break_glass: state.break_glass(),
        freeze_window: freeze_window_of(documents, &target.id, now),
        run: None,
        lapse: None,
        growth: &Ruling::Free,
        tightened: None,
    };
    forbidden_at_all(&circumstances).or_else(|| {
        let no_scale_down = |it: &&Override| is_removal && it.kind == OverrideKind::NoScaleDown;
        ruling.filter(no_scale_down).map(overridden)
    })
}

/// The freeze window in force for a target that ends last, as guardrail, name
/// and end.
pub fn freeze_window_of<'a>(
    documents: &'a Documents,
    target: &TargetId,
    now: Timestamp,
) -> Option<(&'a GuardrailId, &'a str, Timestamp)> {
    documents
        .guardrails_of(target)
        .filter_map(|guardrail| freeze_window_in(guardrail, now))
        .max_by_key(|(_, _, ends_at)| *ends_at)
}

/// The freeze window of one guardrail that is in force and ends last.
pub fn freeze_window_in(
    guardrail: &Guardrail,
    now: Timestamp,
) -> Option<(&GuardrailId, &str, Timestamp)> {
    guardrail
        .freeze_windows
        .iter()
        .filter_map(|it| Some((&guardrail.id, it.name.as_str(), it.ends_at(now)?)))
        .max_by_key(|(_, _, ends_at)| *ends_at)
}

fn is_pin(proposal: &Proposal) -> bool {
    matches!(proposal.reason, Reason::Pinned { .. })
}

fn overridden(ruling: &Override) -> Refusal {
    Refusal::Overridden {
        id: ruling.id,
        override_kind: ruling.kind,
        actor: ruling.actor.clone(),
        reason: ruling.reason.clone(),
        ends_at: ruling.ends_at,
    }
}

fn one_step(current: Capacity, desired: Capacity, step: Step, limits: &mut Vec<Limit>) -> Capacity {
    let units_max = step.units_at(current);
    let nearest = if desired < current {
        desired.max(Capacity(current.0.saturating_sub(units_max)))
    } else {
        desired.min(Capacity(current.0.saturating_add(units_max)))
    };
    if nearest != desired {
        limits.push(Limit::Step { proposed: desired, units_max });
    }
    nearest
}

fn within_blast_radius(
    it: &Circumstances<'_>,
    desired: Capacity,
    ledger: &Ledger,
    limits: &mut Vec<Limit>,
) -> Result<Capacity, Refusal> {
    let Some(allowance) = ledger.allowance(it.documents, &it.target.id) else {
        return Ok(desired);
    };
    if allowance.units == 0 {
        return Err(Refusal::BlastRadius {
            guardrail: allowance.guardrail,
            removed_units: allowance.removed_units,
            units_max: allowance.units_max,
            window: show_duration(allowance.window),
            more_at: allowance.more_at,
        });
    }
    if it.current.above(desired) <= allowance.units {
        return Ok(desired);
    }
    limits.push(Limit::BlastRadius {
        proposed: desired,
        units_left: allowance.units,
        guardrail: allowance.guardrail,
    });
    Ok(Capacity(it.current.0.saturating_sub(allowance.units)))
}
