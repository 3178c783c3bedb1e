//! Alerts of one SLO.
//!
//! **In:** an SLO whose records are there ([`super::records`]).
//! **Out:** one alert per policy and objective, and those about missing data.
//! **Not here:** whether an alert can ever fire ([`crate::documents`]).

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::promql::{number, sum_over};
use super::records::{burn_name, counted, is_of_slices, slice_total, slot_total, sum_name};
use super::{AlertingRule, BURN_ALERT, BURN_RUNBOOK, NO_DATA_ALERT, NO_DATA_RUNBOOK};
use crate::documents::{AlertPolicy, BurnCondition, Comparison, Objective, Slo};
use crate::slo::LOOKBACK_MAX;
use crate::slo::burn::{ABOVE_THRESHOLD, BY_CHANCE, GOOD_MIN, RATIO_MAX};
use crate::slo::standing::{composite_name, counts_events};
use crate::units::show_duration;

pub(super) fn of(slo: &Slo) -> Vec<AlertingRule> {
    let mut rules = Vec::new();
    let composite = composite_name(slo);
    for policy in &slo.alert_policies {
        if slo.is_composite {
            one_policy(slo, policy, &composite, None, &mut rules);
        } else {
            for it in &slo.objectives {
                one_policy(slo, policy, &it.name, Some(it), &mut rules);
            }
        }
    }
    rules
}

/// `objective` is `None` for the composite.
fn one_policy(
    slo: &Slo,
    policy: &AlertPolicy,
    name: &str,
    objective: Option<&Objective>,
    rules: &mut Vec<AlertingRule>,
) {
    let lookbacks = || policy.conditions.iter().map(|it| it.lookback.min(LOOKBACK_MAX));
    let (Some(shortest), Some(longest)) = (lookbacks().min(), lookbacks().max()) else { return };
    if policy.when_breaching {
        let mut parts: Vec<String> = Vec::new();
        for it in &policy.conditions {
            let burn = counted(&burn_name(it.lookback.min(LOOKBACK_MAX)), slo, name);
            parts.push(format!("{burn} {} {}", it.op.promql(), number(it.threshold)));
        }
        for it in &policy.conditions {
            let is_upper = matches!(it.op, Comparison::Gt | Comparison::Gte);
            if is_upper && it.lookback.min(LOOKBACK_MAX) == longest {
                parts.extend(gates(slo, name, objective, it));
            }
        }
        let after = policy.conditions.iter().map(|it| it.alert_after).max().unwrap_or_default();
        let mut texts = texts(
            &format!(
                "{} burns its error budget {{{{ $value | humanize }}}} times as fast as it may",
                literal(&slo.display_name)
            ),
            &format!(
                "Objective {{{{ $labels.objective }}}} of SLO {}: {}. At a burn rate of 1 the budget \
                 lasts as long as its window, {}.",
                slo.id,
                literal(&said(policy)),
                literal(&slo.window.to_string()),
            ),
            BURN_RUNBOOK,
        );
        texts.insert("policy".to_owned(), literal(&policy.name));
        rules.push(AlertingRule {
            alert: BURN_ALERT.to_owned(),
            expr: parts.join("\nand "),
            hold_for: after,
            labels: labels(slo, policy, name),
            annotations: texts,
        });
    }
    if policy.when_no_data {
        let description = format!(
            "No slot of the last {} was observed for objective {} of SLO {}; whether it is met is \
             not known, and its alerts cannot fire.",
            show_duration(shortest),
            literal(name),
            slo.id
        );
        rules.push(AlertingRule {
            alert: NO_DATA_ALERT.to_owned(),
            expr: no_data(slo, objective, shortest),
            hold_for: SignedDuration::ZERO,
            labels: labels(slo, policy, name),
            annotations: texts(
                &format!("{} has no data", literal(&slo.display_name)),
                &description,
                NO_DATA_RUNBOOK,
            ),
        });
    }
}

/// What a policy asks for, in words.
fn said(policy: &AlertPolicy) -> String {
    let one = |it: &BurnCondition| {
        // For people: 200, not 199.99999999999983.
        let shown = (it.threshold * 1_000.0).round() / 1_000.0;
        format!("{} {} over {}", it.op.promql(), shown, show_duration(it.lookback))
    };
    let conditions: Vec<String> = policy.conditions.iter().map(one).collect();
    format!("burn rate {}", conditions.join(" and "))
}

/// Nothing observed in the window: no increments and no slice judged. Of a composite, when
/// that is so for any of its objectives.
fn no_data(slo: &Slo, objective: Option<&Objective>, shortest: SignedDuration) -> String {
    let absent = |name: &str| {
        let mut seen = sum_over(&slot_total(slo, name), shortest);
        if is_of_slices(slo) {
            let slices = sum_over(&slice_total(slo, name), shortest);
            seen = format!("{seen}\n  or {slices}\n");
        }
        // Without labels, which the alert has of its own.
        format!("absent(sum({seen}))")
    };
    match objective {
        Some(it) => absent(&it.name),
        None => {
            let each: Vec<String> = slo.objectives.iter().map(|it| absent(&it.name)).collect();
            each.join("\nor ")
        }
    }
}

/// Whether the events of the longest window are enough; nothing where every sample counts.
fn gates(
    slo: &Slo,
    name: &str,
    objective: Option<&Objective>,
    condition: &BurnCondition,
) -> Vec<String> {
    let lookback = condition.lookback.min(LOOKBACK_MAX);
    if is_of_slices(slo) {
        return Vec::new();
    }
    let limits = [ABOVE_THRESHOLD, BY_CHANCE].map(number);
    if let Some(it) = objective {
        if !counts_events(slo, &it.indicator) {
            return Vec::new();
        }
        let budget = it.error_budget();
        let ratios = [(condition.threshold * budget).min(RATIO_MAX), budget].map(number);
        let gate = |(ratio, limit): (&String, &String)| {
            format!("({}) > {limit}", evidence(slo, name, lookback, ratio))
        };
        return ratios.iter().zip(&limits).map(gate).collect();
    }
    // Of a composite: the evidence of its objectives added up, see
    // `burn::is_significant_together`.
    if slo.objectives.iter().any(|it| !counts_events(slo, &it.indicator)) {
        return mixed_gates(slo, name, lookback, condition.threshold);
    }
    together(slo, name, lookback, condition.threshold)
        .iter()
        .map(|it| format!("ignoring(objective)\n{it}"))
        .collect()
}

/// Both sums of evidence of a composite, compared with their limits.
fn together(slo: &Slo, name: &str, lookback: SignedDuration, threshold: f64) -> [String; 2] {
    let burn = counted(&burn_name(lookback), slo, name);
    let sum = |ratio: &dyn Fn(&Objective) -> String, limit: f64| {
        let each: Vec<String> = slo
            .objectives
            .iter()
            .filter(|it| counts_events(slo, &it.indicator))
            .map(|it| evidence(slo, &it.name, lookback, &ratio(it)))
            .collect();
        let sum = format!("sum by (slo, service) (\n{}\n)", each.join("\nor\n"));
        format!("{sum} > {}", number(limit))
    };
    let in_proportion = |it: &Objective| {
        let part = |part| counted(&sum_name(part, lookback), slo, &it.name);
        format!(
            "clamp_max({} / ({} > 0) * ignoring(objective) group_left () ({} / {burn}), {})",
            part("bad"),
            part("total"),
            number(threshold),
            number(RATIO_MAX)
        )
    };
    let own = |it: &Objective| number(it.error_budget());
    [sum(&in_proportion, ABOVE_THRESHOLD), sum(&own, BY_CHANCE)]
}

/// Where some objectives are not of single events: their bad samples are certain.
fn mixed_gates(slo: &Slo, name: &str, lookback: SignedDuration, threshold: f64) -> Vec<String> {
    let certain: Vec<String> = slo
        .objectives
        .iter()
        .filter(|it| !counts_events(slo, &it.indicator))
        .map(|it| format!("{} > 0", counted(&sum_name("bad", lookback), slo, &it.name)))
        .collect();
    let certain = format!("sum by (slo, service) ({})", certain.join(" or "));
    if slo.objectives.iter().all(|it| !counts_events(slo, &it.indicator)) {
        return Vec::new();
    }
    let gates = together(slo, name, lookback, threshold);
    gates.iter().map(|it| format!("ignoring(objective) (\n{it}\nor {certain}\n)")).collect()
}

/// As `burn::evidence` of one window against `ratio`, where the ratio seen is above it.
/// The same operations in the same order.
fn evidence(slo: &Slo, name: &str, lookback: SignedDuration, ratio: &str) -> String {
    let bad = counted(&sum_name("bad", lookback), slo, name);
    let total = counted(&sum_name("total", lookback), slo, name);
    let good = format!("clamp_min({total} - {bad}, {})", number(GOOD_MIN));
    format!(
        "2 * (\n    ({bad} > {total} * {ratio}) * ln({bad} / ({total} * {ratio}))\n    \
         + {good} * ln({good} / ({total} * (1 - {ratio})))\n  )"
    )
}

fn labels(slo: &Slo, policy: &AlertPolicy, name: &str) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = [
        ("severity", policy.severity.to_string()),
        ("slo", slo.id.to_string()),
        ("objective", literal(name)),
        ("service", slo.service.to_string()),
        ("policy", literal(&policy.name)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if !policy.notification_targets.is_empty() {
        let targets = literal(&policy.notification_targets.join(","));
        labels.insert("notification_targets".to_owned(), targets);
    }
    labels
}

fn texts(summary: &str, description: &str, runbook: &str) -> BTreeMap<String, String> {
    [("summary", summary), ("description", description), ("runbook_url", runbook)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// As it stands, where Prometheus would otherwise expand a template.
fn literal(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}
