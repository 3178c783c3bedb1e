//! What a run would have done, as far as metrics alone tell.
//!
//! **In:** a playbook, a target, the values at one moment.
//! **Out:** one line per step; what only the platform knows is said so.
//! **Not here:** the plan that the agent makes, which looks at the platform.

use evenkeel_core::condition::{Formula, Lookup as _, Truth};
use evenkeel_core::documents::{
    Gate, InstanceSelection, Playbook, PlaybookStep, SelectBy, StepKind, Target, Template,
    TemplatePart, TenantSelection,
};
use evenkeel_core::heal::view::Values;
use evenkeel_core::ids::InstanceName;
use evenkeel_core::units::{Capacity, show_duration};

use crate::table::number;

/// What only a look tells.
const NEEDS_A_LOOK: &str = "the platform says which";

/// One line per step, in order.
pub(super) fn lines(playbook: &Playbook, target: &Target, values: &Values<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &playbook.steps {
        let name = &step.name;
        match step.only_if.as_ref().map(|it| (it.truth(values), it.show(values))) {
            Some((Truth::False, shown)) => lines.push(format!("{name}: left out, {shown}")),
            Some((Truth::Unknown, shown)) => {
                lines.push(format!("{name}: no plan, nobody knows whether {shown}"));
                break;
            }
            Some((Truth::True, _)) | None => {
                let gate = step.gate.as_ref().map_or_else(String::new, gate);
                lines.push(format!("{name}: {}{gate}", action(step, target, values)));
            }
        }
    }
    lines
}

fn gate(gate: &Gate) -> String {
    let (n, role) = (gate.n_approvals, gate.role);
    let people = if n == 1 { "person" } else { "people" };
    format!(" (after a yes of {n} {people} with the role {role})")
}

fn action(step: &PlaybookStep, target: &Target, values: &Values<'_>) -> String {
    match &step.kind {
        StepKind::SetCapacity { to } => set_capacity(to, target, values),
        StepKind::RestartInstances { select } => format!("restart {}", selected(select, values)),
        StepKind::ReplaceInstances { select } => format!("replace {}", selected(select, values)),
        StepKind::ShiftTraffic { select, weight_ratio } => {
            let percent = number(100.0 * weight_ratio);
            format!("give {} {percent} % of their weight", selected(select, values))
        }
        StepKind::Drain { select } => format!("drain {}", selected(select, values)),
        StepKind::Restore => format!("put back into traffic what is drained; {NEEDS_A_LOOK}"),
        StepKind::RollBack => "deploy the revision before; the platform knows it".to_owned(),
        StepKind::ThrottleTenant { tenant, rate } => throttle(tenant, rate, values),
        StepKind::RunCommand { command, arguments } => {
            let arguments: Vec<String> =
                arguments.iter().map(|it| shown(it, target, values)).collect();
            format!("run command {command} {}", arguments.join(" ")).trim_end().to_owned()
        }
        StepKind::CallWebhook { webhook, fields: _ } => format!("call webhook {webhook}"),
        StepKind::ApplyTerraform { workspace, variables: _ } => {
            format!("apply what Terraform plans in {workspace}; it needs a look")
        }
        StepKind::WaitFor { condition, within } => {
            let now = match condition.truth(values) {
                Truth::True => "already true",
                Truth::False => "not yet",
                Truth::Unknown => "unknown",
            };
            let within = show_duration(*within);
            format!("wait up to {within} for {}: {now}", condition.text())
        }
        StepKind::Notify { message, severity } => {
            format!("tell people ({severity}): {}", shown(message, target, values))
        }
        StepKind::Ask { question } => format!("ask people: {}", shown(question, target, values)),
    }
}

fn throttle(tenant: &TenantSelection, rate: &Formula, values: &Values<'_>) -> String {
    let who = match tenant {
        TenantSelection::Named(name) => format!("tenant {name}"),
        TenantSelection::LowestValue => "the tenant of the lowest value".to_owned(),
        TenantSelection::Largest => "the tenant with the most requests".to_owned(),
    };
    let limit = match rate.value(values) {
        Some(limit) => format!("{} requests/s", number(limit.floor())),
        None => format!("{}, which is not known then", rate.text()),
    };
    format!("limit {who} to {limit}, or to what is guaranteed to it")
}

fn set_capacity(to: &Formula, target: &Target, values: &Values<'_>) -> String {
    match to.value(values) {
        None => format!("set capacity to {}; it is not known from metrics alone", to.text()),
        Some(units) => {
            let asked = Capacity::covering(units);
            let within = target.bounds.clamp(asked);
            let clamped = if asked == within { "" } else { ", its bound" };
            format!("set capacity to {within}{clamped} ({})", to.show(values))
        }
    }
}

/// The instances that are chosen, worst first.
fn selected(select: &InstanceSelection, values: &Values<'_>) -> String {
    let (input, limit) = match &select.by {
        SelectBy::OutliersOf { input, factor } => (input, factor),
        SelectBy::Above { input, limit } => (input, limit),
        SelectBy::NotReady => return format!("what is not ready; {NEEDS_A_LOOK}"),
        SelectBy::WorstDomain => {
            return format!("the failure domain with the most that is not ready; {NEEDS_A_LOOK}");
        }
        SelectBy::All => return "all, one failure domain at a time".to_owned(),
    };
    let (Some(instances), Some(limit)) = (values.instances(input.as_str()), limit.value(values))
    else {
        return format!("instances by `{input}`; it is not known then");
    };
    let is_outlier = matches!(select.by, SelectBy::OutliersOf { .. });
    let chosen = match is_outlier {
        true => outliers(instances, limit),
        false => instances.iter().filter(|(_, it)| limit < *it).collect(),
    };
    if chosen.is_empty() {
        return format!("no instance: none stands out by `{input}`");
    }
    let n_max = most(instances.len(), select.share_max);
    let n_found = chosen.len();
    let mut chosen = chosen;
    chosen.sort_by(|(one, a), (other, b)| b.total_cmp(a).then_with(|| one.cmp(other)));
    let shown: Vec<String> = chosen
        .iter()
        .take(n_max)
        .map(|(name, value)| format!("{name} ({})", number(*value)))
        .collect();
    let mut text = shown.join(", ");
    if n_max < n_found {
        text.push_str(&format!("; {n_found} stand out, {n_max} may be out of service at once"));
    }
    if select.one_domain {
        text.push_str("; of one failure domain only");
    }
    text
}

/// At most this many of `n` instances; one may always be.
#[expect(clippy::cast_precision_loss, reason = "at most 1,000 instances")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [0, n / 2]")]
fn most(n: usize, share_max: f64) -> usize {
    ((n as f64 * share_max.clamp(0.0, 1.0)).floor() as usize).max(1)
}

/// Those above `factor` times the median of all others; none below three instances: of two
/// that differ nobody knows which is ill.
fn outliers(instances: &[(InstanceName, f64)], factor: f64) -> Vec<&(InstanceName, f64)> {
    if instances.len() < 3 {
        return Vec::new();
    }
    let is_outlier = |place: usize, value: f64| {
        let others = instances.iter().enumerate().filter(|(it, _)| *it != place);
        let mut others: Vec<f64> = others.map(|(_, (_, it))| *it).collect();
        others.sort_by(f64::total_cmp);
        median(&others).is_some_and(|it| factor * it < value)
    };
    let all = instances.iter().enumerate();
    all.filter(|(place, it)| is_outlier(*place, it.1)).map(|(_, it)| it).collect()
}

fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2).copied()?;
    let lower = sorted.get((sorted.len() - 1) / 2).copied()?;
    // Halves first: the sum of two finite numbers may not be one.
    Some(lower / 2.0 + upper / 2.0)
}

/// The text with values; what only a run has stands as it is written.
fn shown(template: &Template, target: &Target, values: &Values<'_>) -> String {
    let part = |it: &TemplatePart| match it {
        TemplatePart::Text(text) => text.clone(),
        TemplatePart::Target => target.id.to_string(),
        TemplatePart::Region => target.region.to_string(),
        TemplatePart::Parameter(name) => {
            values.parameters.get(name).map_or_else(String::new, ToString::to_string)
        }
        TemplatePart::Label(name) => target.labels.get(name).cloned().unwrap_or_default(),
        TemplatePart::Run => "{run}".to_owned(),
        TemplatePart::Incident => "{incident}".to_owned(),
    };
    template.parts.iter().map(part).collect()
}
