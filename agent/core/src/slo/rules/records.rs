//! Recording rules of one SLO: from its queries to burn rates.
//!
//! **In:** an SLO whose queries Prometheus reads.
//! **Out:** rules in the order in which they need each other.
//! **Not here:** alerts ([`super::alerts`]), the file ([`super::yaml`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::RecordingRule;
use super::promql::{before, now, number, range, selector, string, sum_over};
use crate::documents::{Budgeting, Indicator, MetricQuery, Objective, Slice, Slo};
use crate::slo::standing::{SHOWN, composite_error_budget, composite_name};
use crate::slo::{LOOKBACK_MAX, SLOT};
use crate::units::show_duration;

const SOURCE: &str = "slo:sli_source:value";
const BAD: &str = "slo:sli_bad:delta30s";
const TOTAL: &str = "slo:sli_total:delta30s";
const SLICE_BAD: &str = "slo:slice_bad:delta30s";
const SLICE_TOTAL: &str = "slo:slice_total:delta30s";

/// All but what is left of the budget.
pub(super) fn of(slo: &Slo) -> Vec<RecordingRule> {
    let mut rules = Vec::new();
    for it in &slo.objectives {
        let of = OneObjective { slo, objective: it };
        of.sources(&mut rules);
        of.increments(&mut rules);
        if let Some(slice) = &it.slice {
            of.slices(slice, &mut rules);
        }
    }
    if is_of_slices(slo) && slo.is_composite {
        composite_slices(slo, &mut rules);
    }
    for lookback in lookbacks(slo) {
        windows(slo, lookback, &mut rules);
    }
    rules
}

/// Whether what counts are slices of time.
pub(super) fn is_of_slices(slo: &Slo) -> bool {
    slo.budgeting != Budgeting::Occurrences
}

/// All windows of its policies and those shown of every SLO, shortest first.
fn lookbacks(slo: &Slo) -> BTreeSet<SignedDuration> {
    let conditions = slo.alert_policies.iter().flat_map(|it| &it.conditions);
    conditions.map(|it| it.lookback.min(LOOKBACK_MAX)).chain(SHOWN).collect()
}

/// Labels of everything that is counted.
fn labels(slo: &Slo, objective: &str) -> BTreeMap<String, String> {
    [("slo", slo.id.as_str()), ("objective", objective), ("service", slo.service.as_str())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A metric of ours for one objective.
pub(super) fn counted(metric: &str, slo: &Slo, objective: &str) -> String {
    selector(metric, &[("slo", slo.id.as_str()), ("objective", objective)])
}

/// The total of a slot, for looking whether there was any.
pub(super) fn slot_total(slo: &Slo, objective: &str) -> String {
    counted(TOTAL, slo, objective)
}

/// What judged slices there were.
pub(super) fn slice_total(slo: &Slo, objective: &str) -> String {
    counted(SLICE_TOTAL, slo, objective)
}

/// The name of a sum, for example `slo:sli_bad:sum1h`.
pub(super) fn sum_name(part: &str, lookback: SignedDuration) -> String {
    format!("slo:sli_{part}:sum{}", show_duration(lookback))
}

/// The name of a burn rate, for example `slo:burn_rate:1h`.
pub(super) fn burn_name(lookback: SignedDuration) -> String {
    format!("slo:burn_rate:{}", show_duration(lookback))
}

struct OneObjective<'a> {
    slo: &'a Slo,
    objective: &'a Objective,
}

impl OneObjective<'_> {
    /// The series of a query as they are, so that those of the evaluation before can be
    /// asked for, whatever the query is. Their names become a label: two metrics with the
    /// same labels stay apart. Labels of the SLO that cannot be the series' own.
    fn sources(&self, rules: &mut Vec<RecordingRule>) {
        let (parts, finite) = match &self.objective.indicator {
            Indicator::GoodOfTotal { .. } => (["good", "total"], ">= 0 < Inf"),
            Indicator::BadOfTotal { .. } => (["bad", "total"], ">= 0 < Inf"),
            Indicator::Raw { .. } | Indicator::Threshold { .. } => (["sample", ""], "> -Inf < Inf"),
        };
        for (part, query) in parts.iter().zip(self.objective.indicator.queries()) {
            let MetricQuery::PromQl(query) = query else { continue };
            // The query has lines of its own: it may end with a comment.
            let expr = format!(
                "label_replace((\n{}\n), \"evenkeel_metric\", \"$1\", \"__name__\", \"(.+)\") {finite}",
                query.trim()
            );
            let labels = self.source_labels(part);
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            rules.push(RecordingRule { record: SOURCE.to_owned(), expr, labels });
        }
    }

    fn source_labels<'b>(&'b self, part: &'b str) -> [(&'b str, &'b str); 3] {
        [
            ("evenkeel_slo", self.slo.id.as_str()),
            ("evenkeel_objective", &self.objective.name),
            ("evenkeel_part", part),
        ]
    }

    /// What one of its queries counted in this slot, over all series.
    fn increment(&self, part: &str, is_counter: bool) -> String {
        let source = selector(SOURCE, &self.source_labels(part));
        let (now, before) = (now(&source), before(&source));
        if is_counter {
            // A counter that is lower than before began anew from zero.
            format!("sum((\n    {now} - {before} >= 0\n  ) or (\n    {now} and {before}\n  ))")
        } else {
            format!("sum({now} * {})", SLOT.as_secs())
        }
    }

    fn increments(&self, rules: &mut Vec<RecordingRule>) {
        // Without labels, as the increments are.
        let total_now = format!("sum({})", now(&counted(TOTAL, self.slo, &self.objective.name)));
        let sample = now(&selector(SOURCE, &self.source_labels("sample")));
        let (total, bad) = match &self.objective.indicator {
            Indicator::GoodOfTotal { is_counter, .. } => {
                let good = self.increment("good", *is_counter);
                let total = self.increment("total", *is_counter);
                // Good events that no series counts may be none or not be read.
                let total = format!("{total}\nand\n{good}");
                (total, format!("clamp_min({total_now} -\n{good}, 0)"))
            }
            Indicator::BadOfTotal { is_counter, .. } => {
                // Bad events that no series counts yet are none.
                let bad = self.increment("bad", *is_counter);
                let bad = format!("(\n{bad}\nor {total_now} * 0\n) < {total_now}\nor {total_now}");
                (self.increment("total", *is_counter), bad)
            }
            Indicator::Raw { is_success, .. } => {
                let bad = if *is_success { format!("1 - {sample}") } else { sample.clone() };
                (format!("count({sample})"), format!("sum(clamp({bad}, 0, 1))"))
            }
            Indicator::Threshold { op, value, .. } => {
                let bad = format!("sum(1 - ({sample} {} bool {}))", op.promql(), number(*value));
                (format!("count({sample})"), bad)
            }
        };
        for (record, expr) in [(TOTAL, total), (BAD, bad)] {
            let labels = labels(self.slo, &self.objective.name);
            rules.push(RecordingRule { record: record.to_owned(), expr, labels });
        }
    }

    /// One event at the first evaluation after a slice is over.
    fn slices(&self, slice: &Slice, rules: &mut Vec<RecordingRule>) {
        let sum = |metric| sum_over(&counted(metric, self.slo, &self.objective.name), slice.width);
        let (bad, total) = (sum(BAD), sum(TOTAL));
        let ends =
            format!("and on() (vector(time()) % {} < {})", slice.width.as_secs(), SLOT.as_secs());
        let bad = match self.slo.budgeting {
            Budgeting::Timeslices => {
                let limit = slice.good_ratio_min.unwrap_or(1.0) - 1e-12;
                format!("1 - {bad} / ({total} > 0) < bool {}", number(limit))
            }
            Budgeting::RatioTimeslices | Budgeting::Occurrences => {
                format!("{bad} / ({total} > 0)")
            }
        };
        let total = format!("({total} > bool 0) == 1");
        for (record, expr) in [(SLICE_TOTAL, total), (SLICE_BAD, bad)] {
            rules.push(RecordingRule {
                record: record.to_owned(),
                expr: format!("{expr}\n{ends}"),
                labels: labels(self.slo, &self.objective.name),
            });
        }
    }
}

/// A slice of a composite from those of its objectives.
fn composite_slices(slo: &Slo, rules: &mut Vec<RecordingRule>) {
    let name = composite_name(slo);
    let own = |metric: &str| {
        let labels = [("slo", slo.id.as_str())];
        let selector = selector(metric, &labels);
        now(&selector.replacen('}', &format!(",objective!={}}}", string(&name)), 1))
    };
    let bad = match slo.budgeting {
        Budgeting::Timeslices | Budgeting::Occurrences => format!("max({})", own(SLICE_BAD)),
        Budgeting::RatioTimeslices => {
            let weighted: Vec<String> = slo
                .objectives
                .iter()
                .map(|it| {
                    let one = now(&counted(SLICE_BAD, slo, &it.name));
                    format!("{one} * {}", number(it.weight))
                })
                .collect();
            format!("clamp_max(sum({}), 1)", weighted.join("\n  or "))
        }
    };
    for (record, expr) in [(SLICE_TOTAL, format!("max({})", own(SLICE_TOTAL))), (SLICE_BAD, bad)] {
        rules.push(RecordingRule { record: record.to_owned(), expr, labels: labels(slo, &name) });
    }
}

/// Sums and burn rates of one window, for all objectives and the composite.
fn windows(slo: &Slo, lookback: SignedDuration, rules: &mut Vec<RecordingRule>) {
    let counts = if is_of_slices(slo) { (SLICE_BAD, SLICE_TOTAL) } else { (BAD, TOTAL) };
    for (part, metric) in [("bad", counts.0), ("total", counts.1)] {
        rules.push(RecordingRule {
            record: sum_name(part, lookback),
            expr: sum_over(&selector(metric, &[("slo", slo.id.as_str())]), lookback),
            // Without it, promtool takes the rules of two SLOs for the same.
            labels: [("slo".to_owned(), slo.id.to_string())].into(),
        });
    }
    let burn = |name: &str, error_budget: f64| {
        let sum = |part| counted(&sum_name(part, lookback), slo, name);
        burn_of(&sum("bad"), &sum("total"), error_budget)
    };
    for it in &slo.objectives {
        rules.push(RecordingRule {
            record: burn_name(lookback),
            expr: burn(&it.name, it.error_budget()),
            labels: labels(slo, &it.name),
        });
    }
    if slo.is_composite {
        let name = composite_name(slo);
        let expr = if is_of_slices(slo) {
            burn(&name, composite_error_budget(slo))
        } else {
            weighted(slo, |it| counted(&burn_name(lookback), slo, &it.name))
        };
        let record = burn_name(lookback);
        rules.push(RecordingRule { record, expr, labels: labels(slo, &name) });
    }
}

fn burn_of(bad: &str, total: &str, error_budget: f64) -> String {
    format!("{bad}\n/ ({total} > 0)\n/ {}", number(error_budget))
}

/// The weighted sum over all objectives, of those that are there.
fn weighted(slo: &Slo, one: impl Fn(&Objective) -> String) -> String {
    let parts: Vec<String> =
        slo.objectives.iter().map(|it| format!("({}) * {}", one(it), number(it.weight))).collect();
    format!("sum(\n  {}\n)", parts.join("\n  or "))
}

/// What is left of the budget of a rolling window.
pub(super) fn budget_left(slo: &Slo, length: SignedDuration) -> Vec<RecordingRule> {
    let counts = if is_of_slices(slo) { (SLICE_BAD, SLICE_TOTAL) } else { (BAD, TOTAL) };
    let burn = |name: &str, error_budget: f64| {
        let sum = |metric: &str| {
            format!("sum_over_time({}[{}])", counted(metric, slo, name), range(length))
        };
        burn_of(&sum(counts.0), &sum(counts.1), error_budget)
    };
    let rule = |name: &str, burn: String| RecordingRule {
        record: "slo:error_budget_left:ratio".to_owned(),
        expr: format!("1 - {burn}"),
        labels: labels(slo, name),
    };
    let mut rules: Vec<RecordingRule> =
        slo.objectives.iter().map(|it| rule(&it.name, burn(&it.name, it.error_budget()))).collect();
    if slo.is_composite {
        let name = composite_name(slo);
        let burn = if is_of_slices(slo) {
            burn(&name, composite_error_budget(slo))
        } else {
            weighted(slo, |it| burn(&it.name, it.error_budget()))
        };
        rules.push(rule(&name, burn));
    }
    rules
}
