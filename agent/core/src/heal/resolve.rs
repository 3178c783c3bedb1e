//! From a playbook and what was seen to a plan of absolute actions.
//!
//! **In:** steps as written, parameters, views, and one look per step that needs one.
//! **Out:** a [`Plan`], or why there can be none.
//! **Not here:** asking for looks and carrying the plan out ([`super::advance`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

use crate::action::{Action, INSTANCES_MAX, InstanceSeen, LookAt, Seen};
use crate::condition::{Lookup as _, Truth};
use crate::documents::{
    Autonomy, Documents, Gate, InstanceSelection, Playbook, PlaybookStep as Step, Role, SelectBy,
    StepKind, Target, Template, TemplatePart, Undo,
};
use crate::guard::is_in_service;
use crate::heal::view::Values;
use crate::ids::InstanceName;
use crate::run::Run;
use crate::run::plan::{Plan, PlannedKind, PlannedStep, PlannedUndo, PlannedVerification};
use crate::spend::tenants::TenantStanding;
use crate::units::Capacity;

/// How long a gate waits that no playbook describes. Why 30 min: the time in which a person
/// on call is at a keyboard, twice.
const GATE_EXPIRES_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// What making a plan needs.
pub(crate) struct Making<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) playbook: &'a Playbook,
    pub(crate) target: &'a Target,
    pub(crate) run: &'a Run,
    pub(crate) values: Values<'a>,
    /// By step.
    pub(crate) looks: &'a BTreeMap<u16, Seen>,
    /// Who uses the target's service now; `None` where that is not known.
    pub(crate) standings: Option<&'a [TenantStanding]>,
}

/// What a step has to look at before there can be a plan.
pub(crate) fn look_for(step: &Step, run: &Run, target: &Target) -> Option<LookAt> {
    match &step.kind {
        StepKind::RestartInstances { .. } | StepKind::ReplaceInstances { .. } => {
            Some(LookAt::Instances)
        }
        StepKind::ShiftTraffic { .. } | StepKind::Drain { .. } | StepKind::Restore => {
            Some(LookAt::Traffic)
        }
        StepKind::RollBack => Some(LookAt::Revision),
        StepKind::ThrottleTenant { .. } => Some(LookAt::TenantLimits),
        StepKind::RunCommand { command, .. } => Some(LookAt::Command { command: command.clone() }),
        StepKind::CallWebhook { webhook, .. } => Some(LookAt::Webhook { webhook: webhook.clone() }),
        StepKind::ApplyTerraform { workspace, variables } => Some(LookAt::Terraform {
            workspace: workspace.clone(),
            variables: filled(variables, run, target),
        }),
        StepKind::SetCapacity { .. }
        | StepKind::WaitFor { .. }
        | StepKind::Notify { .. }
        | StepKind::Ask { .. } => None,
    }
}

/// What of a target a plan depends on, as a short hash: its document and its policy.
pub(crate) fn generation(documents: &Documents, target: &Target) -> String {
    let document = serde_json::to_string(target).unwrap_or_default();
    let policy = documents.policy_of(&target.id);
    let policy = policy.and_then(|it| serde_json::to_string(it).ok()).unwrap_or_default();
    let digest = Sha256::digest(format!("{document}\n{policy}"));
    digest.iter().take(8).map(|it| format!("{it:02x}")).collect()
}

impl Making<'_> {
    /// The plan.
    ///
    /// # Errors
    ///
    /// Why there is none, for people.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        let mut steps = Vec::new();
        let mut has_gate_for_all = false;
        for (index, step) in self.playbook.steps.iter().enumerate() {
            let index = u16::try_from(index).map_err(|_| "it has too many steps".to_owned())?;
            let mut planned = self.step(index, step, &steps)?;
            let is_act = matches!(planned.kind, PlannedKind::Act { .. });
            if is_act && planned.gate.is_none() {
                let is_asked = !has_gate_for_all
                    && self.run.autonomy == Autonomy::Approve
                    && !self.is_by_hand();
                if is_asked || never_automatic(&planned) {
                    planned.gate = Some(default_gate());
                }
            }
            has_gate_for_all |= is_act && planned.gate.is_some();
            steps.push(planned);
        }
        let acts = steps.iter().any(|it| matches!(it.kind, PlannedKind::Act { .. }));
        let tells = steps
            .iter()
            .any(|it| matches!(it.kind, PlannedKind::Notify { .. } | PlannedKind::Ask { .. }));
        if !acts && !tells {
            return Err("there is nothing to do".to_owned());
        }
        let sets_capacity = steps.iter().any(|it| sets_capacity(&it.kind));
        let verification = &self.playbook.verification;
        Ok(Plan {
            playbook: self.playbook.id.clone(),
            playbook_sha256: self.playbook.sha256.clone(),
            target: self.target.id.clone(),
            target_generation: generation(self.documents, self.target),
            capacity: self.values.capacity.0.filter(|_| sets_capacity),
            parameters: self.run.parameters.clone(),
            steps,
            verification: PlannedVerification {
                condition: verification.condition.clone(),
                holds_for: verification.holds_for,
                within: verification.within,
            },
        })
    }

    fn is_by_hand(&self) -> bool {
        matches!(self.run.cause, crate::run::RunCause::ByHand { .. })
    }

    /// `earlier` are the steps before it, as planned.
    fn step(
        &self,
        index: u16,
        step: &Step,
        earlier: &[PlannedStep],
    ) -> Result<PlannedStep, String> {
        let at = |why: String| format!("step `{}`: {why}", step.name);
        let mut planned = PlannedStep {
            name: step.name.clone(),
            kind: PlannedKind::Skip { why: String::new() },
            undo: PlannedUndo::Nothing { why: String::new() },
            gate: step.gate.clone(),
            share_max: share_max(&step.kind),
            details: Vec::new(),
        };
        if let Some(only_if) = &step.only_if {
            match only_if.truth(&self.values) {
                Truth::True => (),
                Truth::False => {
                    let why = format!("not now: {}", only_if.show(&self.values));
                    planned.kind = PlannedKind::Skip { why };
                    planned.gate = None;
                    return Ok(planned);
                }
                Truth::Unknown => {
                    return Err(at(format!("cannot tell {}", only_if.show(&self.values))));
                }
            }
        }
        let seen = self.looks.get(&index);
        planned.kind = if matches!(step.kind, StepKind::Restore) {
            restored(seen, earlier).map_err(at)?
        } else {
            self.kind(&step.kind, seen).map_err(at)?
        };
        if let (StepKind::ThrottleTenant { tenant, rate }, PlannedKind::Act { action }) =
            (&step.kind, &planned.kind)
        {
            planned.details = self.why_limited(tenant, rate, action);
        }
        if matches!(planned.kind, PlannedKind::Skip { .. }) {
            planned.gate = None;
            return Ok(planned);
        }
        if matches!(planned.kind, PlannedKind::Ask { .. }) && planned.gate.is_none() {
            planned.gate = Some(default_gate());
        }
        if let Some(Seen::TerraformPlan { changes, .. }) = seen {
            planned.details.clone_from(changes);
        }
        planned.undo = match (&step.undo, &planned.kind) {
            (Undo::Nothing { why }, _) => PlannedUndo::Nothing { why: why.clone() },
            (Undo::Before, PlannedKind::Act { action }) => {
                PlannedUndo::Act { action: self.before(action, seen).map_err(at)? }
            }
            // As it is before the step there may be nothing to put back: what it drains is.
            (Undo::Step(kind), PlannedKind::Act { action: drain @ Action::SetDrained { .. } })
                if matches!(**kind, StepKind::Restore) =>
            {
                PlannedUndo::Act { action: self.before(drain, seen).map_err(at)? }
            }
            (Undo::Step(kind), PlannedKind::Act { .. }) => match self
                .undo_kind(kind, seen)
                .map_err(at)?
            {
                PlannedKind::Act { action } => PlannedUndo::Act { action },
                PlannedKind::Skip { why } => PlannedUndo::Nothing { why },
                PlannedKind::Wait { .. } | PlannedKind::Notify { .. } | PlannedKind::Ask { .. } => {
                    return Err(at("its undo is not an action".to_owned()));
                }
            },
            (Undo::Before | Undo::Step(_), _) => {
                PlannedUndo::Nothing { why: "it changes nothing".to_owned() }
            }
        };
        Ok(planned)
    }

    /// What Terraform will plan on the way back is known only then: see
    /// [`Action::ApplyTerraform`].
    fn undo_kind(&self, kind: &StepKind, seen: Option<&Seen>) -> Result<PlannedKind, String> {
        let StepKind::ApplyTerraform { workspace, variables } = kind else {
            return self.kind(kind, seen);
        };
        let action = Action::ApplyTerraform {
            workspace: workspace.clone(),
            variables: filled(variables, self.run, self.target),
            plan_sha256: String::new(),
        };
        Ok(PlannedKind::Act { action })
    }

    fn kind(&self, kind: &StepKind, seen: Option<&Seen>) -> Result<PlannedKind, String> {
        let act = |action| Ok(PlannedKind::Act { action });
        match kind {
            StepKind::SetCapacity { to } => {
                let current = self.values.capacity.0.ok_or("the capacity is not known")?;
                let value = to.value(&self.values);
                let value =
                    value.ok_or_else(|| format!("cannot tell {}", to.show(&self.values)))?;
                let desired = self.target.bounds.clamp(Capacity::covering(value));
                if desired == current {
                    let why = format!("the capacity is {current} already");
                    return Ok(PlannedKind::Skip { why });
                }
                act(Action::SetCapacity { desired })
            }
            StepKind::RestartInstances { select } => {
                let instances = self.select(select, seen, |_| true)?;
                act(Action::RestartInstances { instances })
            }
            StepKind::ReplaceInstances { select } => {
                let instances = self.select(select, seen, |_| true)?;
                act(Action::ReplaceInstances { instances })
            }
            StepKind::Drain { select } => {
                let instances = self.select(select, seen, |it| !it.is_drained)?;
                act(Action::SetDrained { instances, is_drained: true })
            }
            StepKind::Restore => restored(seen, &[]),
            StepKind::ShiftTraffic { select, weight_ratio } => {
                let there = instances_of(seen)?;
                let instances = self.select(select, seen, |it| it.weight.is_some())?;
                let weights = there
                    .iter()
                    .filter(|it| instances.contains(&it.name))
                    .filter_map(|it| Some((it.name.clone(), scaled(it.weight?, *weight_ratio))))
                    .collect();
                act(Action::SetWeights { weights })
            }
            StepKind::RollBack => match seen {
                Some(Seen::Revision { previous: Some(previous), .. }) => {
                    act(Action::SetRevision { revision: previous.clone() })
                }
                Some(Seen::Revision { current, previous: None }) => {
                    Err(format!("no revision before {current} is known"))
                }
                Some(_) | None => Err("the deployed revision is not known".to_owned()),
            },
            StepKind::ThrottleTenant { tenant, rate } => self.throttled(tenant, rate, seen),
            StepKind::RunCommand { command, arguments } => act(Action::RunCommand {
                command: command.clone(),
                arguments: arguments.iter().map(|it| fill(it, self.run, self.target)).collect(),
            }),
            StepKind::CallWebhook { webhook, fields } => act(Action::CallWebhook {
                webhook: webhook.clone(),
                fields: filled(fields, self.run, self.target),
            }),
            StepKind::ApplyTerraform { workspace, variables } => match seen {
                Some(Seen::TerraformPlan { changes, .. }) if changes.is_empty() => {
                    Ok(PlannedKind::Skip { why: "Terraform finds nothing to change".to_owned() })
                }
                Some(Seen::TerraformPlan { plan_sha256, .. }) => act(Action::ApplyTerraform {
                    workspace: workspace.clone(),
                    variables: filled(variables, self.run, self.target),
                    plan_sha256: plan_sha256.clone(),
                }),
                Some(_) | None => Err("there is no Terraform plan".to_owned()),
            },
            StepKind::WaitFor { condition, within } => {
                Ok(PlannedKind::Wait { condition: condition.clone(), within: *within })
            }
            StepKind::Notify { message, severity } => {
                let message = fill(message, self.run, self.target);
                Ok(PlannedKind::Notify { message, severity: *severity })
            }
            StepKind::Ask { question } => {
                Ok(PlannedKind::Ask { question: fill(question, self.run, self.target) })
            }
        }
    }

    /// The action that brings back what was there before.
    fn before(&self, action: &Action, seen: Option<&Seen>) -> Result<Action, String> {
        match (action, seen) {
            (Action::SetCapacity { .. }, _) => {
                let desired = self.values.capacity.0.ok_or("the capacity is not known")?;
                Ok(Action::SetCapacity { desired })
            }
            (Action::SetDrained { instances, is_drained }, _) => {
                let (instances, is_drained) = (instances.clone(), !is_drained);
                Ok(Action::SetDrained { instances, is_drained })
            }
            (Action::SetWeights { weights }, Some(Seen::Instances { instances })) => {
                let before = instances
                    .iter()
                    .filter(|it| weights.contains_key(&it.name))
                    .filter_map(|it| Some((it.name.clone(), it.weight?)))
                    .collect();
                Ok(Action::SetWeights { weights: before })
            }
            (Action::SetRevision { .. }, Some(Seen::Revision { current, .. })) => {
                Ok(Action::SetRevision { revision: current.clone() })
            }
            (Action::LimitTenants { limits }, Some(Seen::TenantLimits { limits: there })) => {
                let before = limits.keys().map(|it| (it.clone(), there.get(it).copied()));
                Ok(Action::LimitTenants { limits: before.collect() })
            }
            _ => Err("what was before cannot be read, so it cannot be brought back".to_owned()),
        }
    }

    /// The instances that a step is about: the worst of those found, of one failure domain,
    /// and no more than may be out of service with those that already are.
    fn select(
        &self,
        selection: &InstanceSelection,
        seen: Option<&Seen>,
        is_eligible: impl Fn(&InstanceSeen) -> bool,
    ) -> Result<BTreeSet<InstanceName>, String> {
        let there = instances_of(seen)?;
        let n_instances = there.len();
        // Worst first.
        let mut found: Vec<(&InstanceSeen, f64)> = match &selection.by {
            SelectBy::OutliersOf { input, factor } => {
                let factor = factor.value(&self.values).ok_or("its factor cannot be told")?;
                let readings = self.readings(input.as_str())?;
                let outliers = outliers(readings, factor)?;
                matched(there, &outliers)
            }
            SelectBy::Above { input, limit } => {
                let limit = limit.value(&self.values).ok_or("its limit cannot be told")?;
                let readings = self.readings(input.as_str())?;
                let above: Vec<(InstanceName, f64)> =
                    readings.iter().filter(|(_, it)| limit < *it).cloned().collect();
                matched(there, &above)
            }
            SelectBy::NotReady => {
                there.iter().filter(|it| !it.is_ready).map(|it| (it, 0.0)).collect()
            }
            SelectBy::WorstDomain => {
                let zone = worst_domain(there.iter().filter(|it| !it.is_ready));
                let zone = zone.ok_or("no failure domain has an instance that is not ready")?;
                there.iter().filter(|it| it.zone == zone).map(|it| (it, 0.0)).collect()
            }
            SelectBy::All => there.iter().map(|it| (it, 0.0)).collect(),
        };
        found
            .sort_by(|(one, a), (other, b)| b.total_cmp(a).then_with(|| one.name.cmp(&other.name)));
        if found.is_empty() {
            return Err("no instance is what it looks for".to_owned());
        }
        found.retain(|(it, _)| is_eligible(it));
        if found.is_empty() {
            return Err("every instance it looks for is dealt with already".to_owned());
        }
        if selection.one_domain && 1 < found.len() {
            let zone = worst_domain(found.iter().map(|(it, _)| *it)).flatten();
            // Where the platform names no domains, each instance is one of its own.
            match zone {
                Some(zone) => found.retain(|(it, _)| it.zone.as_ref() == Some(&zone)),
                None => found.truncate(1),
            }
        }
        let n_out = there.iter().filter(|it| !is_in_service(it)).count();
        let allowed = share_of(n_instances, selection.share_max).max(1);
        let mut room = allowed.saturating_sub(n_out);
        // Who is out already takes nothing more away.
        found.retain(|(it, _)| {
            if !is_in_service(it) {
                return true;
            }
            let fits = 0 < room;
            room = room.saturating_sub(1);
            fits
        });
        found.truncate(INSTANCES_MAX);
        if found.is_empty() {
            return Err(format!(
                "{n_out} of {n_instances} instances are out of service, no more than {allowed} may be"
            ));
        }
        Ok(found.into_iter().map(|(it, _)| it.name.clone()).collect())
    }

    fn readings(&self, input: &str) -> Result<&[(InstanceName, f64)], String> {
        self.values.instances(input).ok_or_else(|| format!("input `{input}` is not known"))
    }
}

/// Whether a planned step needs a person whatever the autonomy: what cannot be undone, and
/// what restarts or replaces.
pub(crate) fn never_automatic(step: &PlannedStep) -> bool {
    let PlannedKind::Act { action } = &step.kind else { return false };
    let destroys =
        matches!(action, Action::RestartInstances { .. } | Action::ReplaceInstances { .. });
    destroys || matches!(step.undo, PlannedUndo::Nothing { .. })
}

fn share_max(kind: &StepKind) -> f64 {
    match kind {
        StepKind::RestartInstances { select }
        | StepKind::ReplaceInstances { select }
        | StepKind::ShiftTraffic { select, .. }
        | StepKind::Drain { select } => select.share_max,
        StepKind::SetCapacity { .. }
        | StepKind::Restore
        | StepKind::RollBack
        | StepKind::ThrottleTenant { .. }
        | StepKind::RunCommand { .. }
        | StepKind::CallWebhook { .. }
        | StepKind::ApplyTerraform { .. }
        | StepKind::WaitFor { .. }
        | StepKind::Notify { .. }
        | StepKind::Ask { .. } => 1.0,
    }
}

/// Whether a step sets the capacity.
pub(crate) fn sets_capacity(kind: &PlannedKind) -> bool {
    matches!(kind, PlannedKind::Act { action: Action::SetCapacity { .. } })
}

fn default_gate() -> Gate {
    Gate {
        n_approvals: 1,
        role: Role::Operator,
        approvers: BTreeSet::new(),
        expires_after: GATE_EXPIRES_AFTER,
    }
}

/// Puts back what is drained, and what the steps before it will have drained by then.
fn restored(seen: Option<&Seen>, earlier: &[PlannedStep]) -> Result<PlannedKind, String> {
    let there = instances_of(seen)?;
    let mut drained: BTreeSet<InstanceName> =
        there.iter().filter(|it| it.is_drained).map(|it| it.name.clone()).collect();
    for step in earlier {
        if let PlannedKind::Act { action: Action::SetDrained { instances, is_drained } } =
            &step.kind
        {
            if *is_drained {
                drained.extend(instances.iter().cloned());
            } else {
                drained.retain(|it| !instances.contains(it));
            }
        }
    }
    if drained.is_empty() {
        return Ok(PlannedKind::Skip { why: "no instance is drained".to_owned() });
    }
    Ok(PlannedKind::Act { action: Action::SetDrained { instances: drained, is_drained: false } })
}

fn instances_of(seen: Option<&Seen>) -> Result<&[InstanceSeen], String> {
    match seen {
        Some(Seen::Instances { instances }) => Ok(instances),
        Some(
            Seen::Capacity { .. }
            | Seen::Revision { .. }
            | Seen::TenantLimits { .. }
            | Seen::Receipts { .. }
            | Seen::TerraformPlan { .. },
        )
        | None => Err("its instances are not known".to_owned()),
    }
}

fn matched<'a>(
    there: &'a [InstanceSeen],
    found: &[(InstanceName, f64)],
) -> Vec<(&'a InstanceSeen, f64)> {
    let value = |it: &InstanceSeen| found.iter().find(|(name, _)| *name == it.name).map(|it| it.1);
    there.iter().filter_map(|it| Some((it, value(it)?))).collect()
}

/// Instances whose value is more than `factor` times the median of all others.
fn outliers(
    readings: &[(InstanceName, f64)],
    factor: f64,
) -> Result<Vec<(InstanceName, f64)>, String> {
    /// Of two, nobody knows which is the odd one.
    const PEERS_MIN: usize = 3;
    if readings.len() < PEERS_MIN {
        return Err(format!(
            "{} instance(s) report, a comparison with peers needs {PEERS_MIN}",
            readings.len()
        ));
    }
    let mut sorted: Vec<f64> = readings.iter().map(|(_, it)| *it).collect();
    sorted.sort_by(f64::total_cmp);
    let without = |value: f64| {
        // The median of all but one of that value.
        let skipped = sorted.iter().position(|it| it.total_cmp(&value).is_eq()).unwrap_or_default();
        let at = |index: usize| {
            let index = if index < skipped { index } else { index + 1 };
            sorted.get(index).copied().unwrap_or_default()
        };
        let n = sorted.len() - 1;
        if n % 2 == 1 { at(n / 2) } else { f64::midpoint(at(n / 2 - 1), at(n / 2)) }
    };
    Ok(readings.iter().filter(|(_, it)| factor * without(*it) < *it).cloned().collect())
}

/// The failure domain with the most of these; the first by name among equals. The outer
/// `None` without any instance.
#[expect(clippy::option_option, reason = "no instance, and an instance without a domain, differ")]
fn worst_domain<'a>(instances: impl Iterator<Item = &'a InstanceSeen>) -> Option<Option<String>> {
    let mut counts: BTreeMap<Option<&String>, usize> = BTreeMap::new();
    for it in instances {
        *counts.entry(it.zone.as_ref()).or_default() += 1;
    }
    let most = counts.values().max().copied()?;
    counts.into_iter().find(|(_, it)| *it == most).map(|(zone, _)| zone.cloned())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of at most 1,000 instances"
)]
fn share_of(n: usize, ratio: f64) -> usize {
    /// 0.29 * 100 is 28.999999999999996.
    const ROUNDING_ERROR: f64 = 1e-9;
    (n as f64 * ratio + ROUNDING_ERROR).floor() as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a weight is between 0 and the weight"
)]
fn scaled(weight: u32, ratio: f64) -> u32 {
    (f64::from(weight) * ratio).round() as u32
}

fn filled<K: Ord + Clone>(
    templates: &BTreeMap<K, Template>,
    run: &Run,
    target: &Target,
) -> BTreeMap<K, String> {
    templates.iter().map(|(name, it)| (name.clone(), fill(it, run, target))).collect()
}

/// The text of a template. What is put in is not read again.
fn fill(template: &Template, run: &Run, target: &Target) -> String {
    template
        .parts
        .iter()
        .map(|it| match it {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Target => target.id.to_string(),
            TemplatePart::Region => target.region.to_string(),
            TemplatePart::Parameter(name) => {
                run.parameters.get(name).map_or_else(String::new, f64::to_string)
            }
            TemplatePart::Label(name) => target.labels.get(name).cloned().unwrap_or_default(),
            TemplatePart::Run => run.id.to_string(),
            TemplatePart::Incident => run.incident.map_or_else(String::new, |it| it.to_string()),
        })
        .collect()
}
