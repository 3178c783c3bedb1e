//! Alert policies of SLOs, and whether they can fire at all.
//!
//! **In:** alert policies of SLOs, documents of kinds `AlertPolicy`, `AlertCondition` and
//! `AlertNotificationTarget`.
//! **Out:** [`AlertPolicy`]s; faults where arithmetic alone shows that one never or always
//! fires.
//! **Not here:** burn rates ([`crate::slo`]), too little traffic to judge.

use std::collections::{BTreeMap, BTreeSet};

use super::{Index, OpenSlo, Placed};
use crate::documents::fault::Faults;
use crate::documents::positions::Position;
use crate::documents::raw::openslo::Kind;
use crate::documents::raw::openslo::alert::{AlertDraft, ConditionDraft, ConditionRef};
use crate::documents::raw::openslo::slo::{ObjectiveDraft, PolicyRef, SloDraft};
use crate::documents::{AlertPolicy, BurnCondition, Comparison, Objective};
use crate::incident::Severity;
use crate::units::show_duration;

/// How near two burn rates are the same. Why: `1 - 0.9995` is not quite `0.0005`.
const TOLERANCE: f64 = 1e-9;

/// A condition and the file it is in.
type Sourced = (usize, ConditionDraft);

/// A policy, with where its conditions say what they say.
#[derive(Clone)]
struct Resolved {
    policy: AlertPolicy,
    conditions: Vec<Sourced>,
}

/// Every policy that an SLO can name.
pub(super) struct Alerts<'a> {
    policies: Index<'a, AlertDraft>,
    /// The good ones of `policies`.
    resolved: BTreeMap<&'a str, Resolved>,
    conditions: Index<'a, ConditionDraft>,
    targets: Index<'a, ()>,
}

impl<'a> Alerts<'a> {
    /// Checks all documents of kind `AlertPolicy`, whether an SLO names them or not.
    pub(super) fn new(all: &'a OpenSlo, all_read: bool, faults: &mut Faults) -> Alerts<'a> {
        let mut it = Alerts {
            policies: Index::new(Kind::AlertPolicy, &all.policies, all_read),
            resolved: BTreeMap::new(),
            conditions: Index::new(Kind::AlertCondition, &all.conditions, all_read),
            targets: Index::new(Kind::AlertNotificationTarget, &all.targets, all_read),
        };
        for Placed { source, value, .. } in &all.policies {
            faults.source = *source;
            faults.about = format!("{} `{}`", Kind::AlertPolicy.name(), value.name);
            if let Some(resolved) = it.resolve(&value.name, "it", &value.value, faults) {
                it.resolved.insert(&value.name, resolved);
            }
        }
        faults.about.clear();
        it
    }

    /// The policies of an SLO; `None` after a fault, here or in what it names.
    pub(super) fn of(
        &self,
        slo: &SloDraft,
        is_composite: bool,
        faults: &mut Faults,
    ) -> Option<Vec<AlertPolicy>> {
        let mut names = BTreeSet::new();
        let mut policies = Some(Vec::new());
        for item in &slo.alert_policies {
            let resolved = match &item.value {
                PolicyRef::Ref(name) => self
                    .policies
                    .find(name, faults)
                    .and_then(|_| self.resolved.get(name.value.as_str()))
                    .cloned(),
                PolicyRef::Inline(name, draft) => {
                    let shown = format!("alert policy `{name}`");
                    self.resolve(name, &shown, draft, faults)
                }
            };
            let Some(Resolved { policy, conditions }) = resolved else {
                policies = None;
                continue;
            };
            let is_new = names.insert(policy.name.clone());
            if !is_new {
                let message = format!("alert policy `{}` is there twice", policy.name);
                faults.error(item.at, message, "remove one of the two");
            }
            let can_fire = can_fire(&policy.name, &conditions, slo, is_composite, faults);
            match &mut policies {
                Some(all) if is_new && can_fire => all.push(policy),
                Some(_) | None => policies = None,
            }
        }
        policies
    }

    /// `shown` is what messages call it.
    fn resolve(
        &self,
        name: &str,
        shown: &str,
        draft: &AlertDraft,
        faults: &mut Faults,
    ) -> Option<Resolved> {
        let conditions: Vec<Option<Sourced>> = draft
            .conditions
            .iter()
            .map(|it| match it {
                ConditionRef::Inline(condition) => Some((faults.source, *condition)),
                ConditionRef::Ref(name) => {
                    let found = self.conditions.find(name, faults)?;
                    Some((found.source, found.value.value))
                }
            })
            .collect();
        let mut is_good = true;
        let targets = draft.notification_targets.iter();
        let notification_targets = targets.map(|(name, is_elsewhere)| {
            is_good &= !is_elsewhere || self.targets.find(name, faults).is_some();
            name.value.clone()
        });
        let notification_targets: Vec<String> = notification_targets.collect();
        let conditions = conditions.into_iter().collect::<Option<Vec<Sourced>>>()?;
        is_good &= can_hold(shown, &conditions, draft.at, faults);
        let severity = conditions.iter().map(|(_, it)| it.severity).max();
        let policy = AlertPolicy {
            name: name.to_owned(),
            severity: severity.unwrap_or(Severity::Ticket),
            conditions: conditions.iter().map(|(_, it)| it.burn).collect(),
            when_breaching: draft.when_breaching,
            when_resolved: draft.when_resolved,
            when_no_data: draft.when_no_data,
            notification_targets,
        };
        is_good.then_some(Resolved { policy, conditions })
    }
}

/// Reports at a place that may be in another file.
fn at_place<T>(source: usize, faults: &mut Faults, report: impl FnOnce(&mut Faults) -> T) -> T {
    let before = std::mem::replace(&mut faults.source, source);
    let result = report(faults);
    faults.source = before;
    result
}

fn is_upper(op: Comparison) -> bool {
    match op {
        Comparison::Lt | Comparison::Lte => true,
        Comparison::Gt | Comparison::Gte => false,
    }
}

fn shown(it: &BurnCondition) -> String {
    format!("`{}` {}", it.op.promql(), it.threshold)
}

/// Whether the conditions can hold together, whatever the SLO. A burn rate is never
/// below 0.
fn can_hold(who: &str, conditions: &[Sourced], at: Position, faults: &mut Faults) -> bool {
    let mut is_good = true;
    for (source, it) in conditions {
        let BurnCondition { op, threshold, .. } = it.burn;
        let (never, always) = match op {
            Comparison::Lt => (threshold <= 0.0, false),
            Comparison::Lte => (threshold < 0.0, false),
            Comparison::Gt => (false, threshold < 0.0),
            Comparison::Gte => (false, threshold <= 0.0),
        };
        let (shown, place) = (shown(&it.burn), it.threshold_at);
        if never {
            let message = format!("{who} can never fire: no burn rate is {shown}");
            at_place(*source, faults, |faults| {
                faults.error(place, message, "a burn rate is at least 0; check `op`");
            });
            is_good = false;
        } else if always {
            let message = format!("a condition always holds: {shown}");
            at_place(*source, faults, |faults| {
                faults.warning(place, message, "every burn rate is at least 0; write one above 0");
            });
        } else if op == Comparison::Gt && threshold <= 0.0 {
            let message = format!("a condition holds after any failure: {shown}");
            at_place(*source, faults, |faults| {
                faults.warning(place, message, "1 spends the budget over the window of the SLO");
            });
        }
    }
    for (index, (_, first)) in conditions.iter().enumerate() {
        for (source, second) in conditions.iter().skip(index + 1) {
            if first.burn.lookback == second.burn.lookback && contradict(&first.burn, &second.burn)
            {
                let message = format!(
                    "{who} can never fire: over {} the burn rate must be {} and {}",
                    show_duration(first.burn.lookback),
                    shown(&first.burn),
                    shown(&second.burn)
                );
                let place = second.threshold_at;
                at_place(*source, faults, |faults| {
                    faults.error(place, message, "all conditions of a policy must hold together");
                });
                is_good = false;
            }
        }
    }
    if is_good && conditions.iter().all(|(_, it)| is_upper(it.burn.op)) {
        let message = format!("{who} fires when all is well");
        let hint = "all its conditions ask for a low burn rate; write `op: gt` for a high one";
        faults.warning(at, message, hint);
    }
    is_good
}

/// Whether no number satisfies both.
fn contradict(one: &BurnCondition, two: &BurnCondition) -> bool {
    let (lower, upper) = match (is_upper(one.op), is_upper(two.op)) {
        (false, true) => (one, two),
        (true, false) => (two, one),
        (true, true) | (false, false) => return false,
    };
    let is_inclusive = lower.op == Comparison::Gte && upper.op == Comparison::Lte;
    if is_inclusive {
        upper.threshold < lower.threshold
    } else {
        upper.threshold <= lower.threshold
    }
}

/// Whether a burn rate of `highest` at most can satisfy the condition.
fn is_reachable(it: &BurnCondition, highest: f64) -> bool {
    match it.op {
        Comparison::Gt => it.threshold < highest * (1.0 - TOLERANCE),
        Comparison::Gte => it.threshold <= highest * (1.0 + TOLERANCE),
        Comparison::Lt | Comparison::Lte => true,
    }
}

/// Whether the objectives of the SLO can burn as fast as a condition asks, and whether its
/// windows are as long as slices: with everything bad, the burn rate is `1 / (1 - target)`.
fn can_fire(
    name: &str,
    conditions: &[Sourced],
    slo: &SloDraft,
    is_composite: bool,
    faults: &mut Faults,
) -> bool {
    let highest = |it: &ObjectiveDraft| 1.0 / (1.0 - it.target);
    // Of a composite at most what all burn together, each by its weight; a weight below 1
    // leaves the objective's own rate, so that nothing is refused that may yet fire.
    let together: f64 = slo.objectives.iter().map(|it| it.weight.max(1.0) * highest(it)).sum();
    let widest = slo.objectives.iter().filter_map(|it| it.slice).map(|it| it.width).max();
    let mut is_good = true;
    for (source, ConditionDraft { burn, threshold_at, lookback_at, .. }) in conditions {
        let out_of_reach: Vec<&ObjectiveDraft> = slo
            .objectives
            .iter()
            .filter(|it| !is_reachable(burn, if is_composite { together } else { highest(it) }))
            .collect();
        let asks = format!("it asks for a burn rate {}", shown(burn));
        if out_of_reach.len() == slo.objectives.len() {
            let best = slo.objectives.iter().map(highest).fold(0.0, f64::max);
            let best = if is_composite { together } else { best };
            let message = format!(
                "alert policy `{name}` can never fire: {asks}, and with everything failing it is \
                 {}",
                rounded(best)
            );
            at_place(*source, faults, |faults| {
                let hint = "a burn rate is at most 1 / (1 - target); write a lower threshold";
                faults.error(*threshold_at, message, hint);
            });
            is_good = false;
        } else if let Some(first) = out_of_reach.first() {
            let names: Vec<String> =
                out_of_reach.iter().map(|it| format!("`{}`", it.name)).collect();
            let message = format!(
                "alert policy `{name}` can never fire for {}: {asks}, and with everything failing \
                 it is {}",
                names.join(", "),
                rounded(highest(first))
            );
            at_place(*source, faults, |faults| {
                let hint = "give objectives so far apart SLOs of their own";
                faults.warning(*threshold_at, message, hint);
            });
        }
        if let Some(width) = widest.filter(|it| burn.lookback < *it) {
            let message = format!(
                "alert policy `{name}` looks back {}, which is less than one slice of {}",
                show_duration(burn.lookback),
                show_duration(width)
            );
            at_place(*source, faults, |faults| {
                let hint = "write a longer `lookbackWindow`, or a shorter `timeSliceWindow`";
                faults.error(*lookback_at, message, hint);
            });
            is_good = false;
        }
    }
    is_good
}

/// With as many digits as people compare.
fn rounded(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}

/// The same policies, none looking back less than one slice: what is shorter would see
/// nothing between the ends of two.
pub(super) fn at_least_a_slice(
    mut policies: Vec<AlertPolicy>,
    objectives: &[Objective],
) -> Vec<AlertPolicy> {
    let Some(widest) = objectives.iter().filter_map(|it| it.slice).map(|it| it.width).max() else {
        return policies;
    };
    for policy in &mut policies {
        for condition in &mut policy.conditions {
            condition.lookback = condition.lookback.max(widest);
        }
        policy.conditions.dedup();
    }
    policies
}
