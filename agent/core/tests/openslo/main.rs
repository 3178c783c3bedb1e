//! Documents of OpenSLO v1, through the public door.
//!
//! **In:** the specification's own examples, and one document with one change at a time.
//! **Out:** what is read of each, and what is said about what is not.
//! **Not here:** our own documents (`documents.rs`), the JSON Schema (`documents_schema.rs`).
//!
//! `examples/` is a copy from <https://github.com/OpenSLO/OpenSLO>, as it stands there, under
//! the licence beside it (Apache 2.0). `SPECIFICATION.md` is its `README.md`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod any_input;
mod rules;
mod specification;
mod together;

use std::fmt::Write as _;

use evenkeel_core::documents::{
    AlertPolicy, Indicator, Loaded, MetricQuery, Severity, Slo, SourceText, load,
};
use evenkeel_core::units::show_duration;

fn loaded(text: &str) -> Loaded {
    load(&[SourceText { file: "x.yaml", text }])
}

/// Faults as `line:column`, message and hint, then what was read of each SLO.
fn shown(text: &str) -> String {
    let loaded = loaded(text);
    let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(loaded.documents.is_none(), has_error, "{:?}", loaded.diagnostics);
    let mut all = String::new();
    for it in &loaded.diagnostics {
        let severity = if it.severity == Severity::Error { "error" } else { "warning" };
        writeln!(all, "{severity} {}:{}: {}", it.line, it.column, it.message).unwrap();
        writeln!(all, "  hint: {}", it.hint).unwrap();
    }
    if let Some(documents) = &loaded.documents {
        assert_eq!(documents.n_documents(), loaded.n_documents);
        for slo in documents.slos() {
            all.push_str(&slo_shown(slo));
        }
        if documents.slos().len() == 0 {
            writeln!(all, "loaded {}", loaded.n_documents).unwrap();
        }
    }
    all
}

fn slo_shown(slo: &Slo) -> String {
    let Slo { id, display_name, service, window, budgeting, is_composite, is_critical, .. } = slo;
    let mut all = format!("SLO {id} ({display_name}) of {service}: {budgeting:?} over {window}");
    all.push_str(if *is_composite { ", composite" } else { "" });
    all.push_str(if *is_critical { ", critical\n" } else { "\n" });
    for it in &slo.objectives {
        let indicator = indicator_shown(&it.indicator);
        write!(all, "  {}: {} of {indicator}", it.name, it.target).unwrap();
        if let Some(slice) = &it.slice {
            write!(all, ", slices of {}", show_duration(slice.width)).unwrap();
            if let Some(min) = slice.good_ratio_min {
                write!(all, " with {min}").unwrap();
            }
        }
        if 1e-9 < (it.weight - 1.0).abs() {
            write!(all, ", weight {}", it.weight).unwrap();
        }
        all.push('\n');
    }
    slo.alert_policies.iter().for_each(|it| all.push_str(&policy_shown(it)));
    all
}

fn policy_shown(policy: &AlertPolicy) -> String {
    let mut all = format!("  {} `{}`:", policy.severity, policy.name);
    for it in &policy.conditions {
        let (op, threshold, lookback) = (it.op.promql(), it.threshold, show_duration(it.lookback));
        write!(all, " {op} {threshold} over {lookback}").unwrap();
        if !it.alert_after.is_zero() {
            write!(all, " for {}", show_duration(it.alert_after)).unwrap();
        }
        all.push(',');
    }
    for (is_so, when) in [
        (policy.when_breaching, " breaching"),
        (policy.when_resolved, " resolved"),
        (policy.when_no_data, " no-data"),
    ] {
        all.push_str(if is_so { when } else { "" });
    }
    if !policy.notification_targets.is_empty() {
        write!(all, " to {}", policy.notification_targets.join(", ")).unwrap();
    }
    all.push('\n');
    all
}

fn indicator_shown(indicator: &Indicator) -> String {
    let query = |it: &MetricQuery| match it {
        MetricQuery::PromQl(query) => query.clone(),
        MetricQuery::Unread { source_type } => format!("({source_type})"),
    };
    let counter = |is_counter: bool| if is_counter { " counted" } else { "" };
    match indicator {
        Indicator::GoodOfTotal { good, total, is_counter } => {
            format!("{} / {}{}", query(good), query(total), counter(*is_counter))
        }
        Indicator::BadOfTotal { bad, total, is_counter } => {
            format!("1 - {} / {}{}", query(bad), query(total), counter(*is_counter))
        }
        Indicator::Raw { ratio, is_success: true } => query(ratio),
        Indicator::Raw { ratio, is_success: false } => format!("1 - {}", query(ratio)),
        Indicator::Threshold { metric, op, value } => {
            format!("{} {} {value}", query(metric), op.promql())
        }
    }
}
