//! What is shown of budgets, sample by sample.
//!
//! **In:** made-up reports.
//! **Out:** the text that Prometheus scrapes.
//! **Not here:** how reports come about (`evenkeel-core`).

use super::*;
use evenkeel_core::api::budgets::{AlertStatus, BudgetStatus, ServiceSpend, ThresholdStatus};
use evenkeel_core::ids::{BudgetId, ServiceName, SloId, TenantName, ThresholdName};
use evenkeel_core::incident::Severity;
use expect_test::{Expect, expect};
use jiff::SignedDuration;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn alert(policy: &str, severity: Severity, verdict: Verdict) -> AlertStatus {
    let (policy, why) = (policy.to_owned(), String::new());
    AlertStatus { policy, severity, verdict, since: None, why }
}

/// Two objectives: one that burns, one of which nothing is known.
fn slos() -> SloReport {
    let burning = ObjectiveStatus {
        name: "99 % \"fast\"".to_owned(),
        target: 0.99,
        unread: None,
        bad: 5.0,
        total: 1_000.0,
        budget_left: Some(0.5),
        coverage: 0.75,
        burn_rates: [("5m".to_owned(), Some(14.5)), ("1h".to_owned(), None)].into(),
        observed_until: Some(now()),
        exhaustion: Some(Exhaustion {
            p10: Some(now() - SignedDuration::from_secs(1)),
            p50: Some(now() + SignedDuration::from_secs(90)),
            p90: None,
            until: now(),
        }),
        alerts: vec![
            alert("fast-burn", Severity::Page, Verdict::Firing),
            alert("day-burn", Severity::Ticket, Verdict::Pending),
        ],
    };
    let unknown = ObjectiveStatus {
        name: "quality".to_owned(),
        unread: Some("datadog".to_owned()),
        bad: 0.0,
        total: 0.0,
        budget_left: Some(f64::NAN),
        coverage: 0.0,
        burn_rates: [("5m".to_owned(), Some(f64::INFINITY))].into(),
        observed_until: None,
        exhaustion: None,
        alerts: vec![alert("fast-burn", Severity::Page, Verdict::NoData)],
        ..burning.clone()
    };
    let slo = SloStatus {
        slo: SloId::new("checkout").unwrap(),
        display_name: String::new(),
        service: ServiceName::new("checkout").unwrap(),
        window: String::new(),
        is_critical: false,
        objectives: vec![burning, unknown],
    };
    SloReport { at: now(), slos: vec![slo] }
}

fn tenant(name: &str, rps: f64) -> TenantSpend {
    TenantSpend {
        tenant: TenantName::new(name).unwrap(),
        value: 1.0,
        rps,
        share_ratio: 0.0,
        quota_rps: None,
        is_over_quota: false,
        per_hour: rps / 4.0,
    }
}

fn budgets(tenants: Vec<TenantSpend>) -> BudgetReport {
    let budget = BudgetStatus {
        budget: BudgetId::new("shop").unwrap(),
        scope: None,
        slo: None,
        window: String::new(),
        from: now(),
        until: now(),
        allowance: 100.0,
        spent: 80.0,
        spent_ratio: Some(0.8),
        per_hour: Some(1.5),
        burn_rates: [("1h".to_owned(), Some(2.0))].into(),
        exhaustion: None,
        is_estimated: true,
        runaway: None,
        thresholds: vec![ThresholdStatus {
            name: ThresholdName::new("warn").unwrap(),
            kind: "spent_ratio".to_owned(),
            when: String::new(),
            then: Vec::new(),
            crossed_since: Some(now()),
            why: None,
        }],
    };
    let service = ServiceSpend {
        service: ServiceName::new("cart").unwrap(),
        is_critical: false,
        per_hour: 1.5,
        per_thousand_good: None,
        per_thousand_more: None,
        days: Vec::new(),
    };
    BudgetReport {
        at: now(),
        currency: Currency::USD,
        per_hour: Some(1.5),
        budgets: vec![budget],
        services: vec![service],
        tenants,
        unallocated: Vec::new(),
        bill_drift_ratio: None,
        notes: Vec::new(),
    }
}

#[track_caller]
fn check(slos: SloReport, budgets: BudgetReport, with: &[&str], expected: &Expect) {
    let metrics = Metrics::new("1.2.3");
    metrics.set_budgets(slos, budgets);
    let text = metrics.text().unwrap();
    let shown = |it: &&str| with.iter().any(|with| it.starts_with(with));
    let mut lines: Vec<&str> = text.lines().filter(shown).collect();
    lines.sort_unstable();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn what_is_known_has_a_sample_and_what_is_not_has_none() {
    check(
        slos(),
        budgets(vec![tenant("acme", 8.0), tenant("globex", 4.0)]),
        &["evenkeel_slo", "evenkeel_budget", "evenkeel_spend", "evenkeel_tenant", "evenkeel_bill"],
        &expect![[r#"
            evenkeel_bill_reads_total{outcome="answered"} 0
            evenkeel_bill_reads_total{outcome="failed"} 0
            evenkeel_budget_burn_rate{budget="shop",window="1h"} 2.0
            evenkeel_budget_spent_ratio{budget="shop"} 0.8
            evenkeel_budget_threshold_crossed{budget="shop",threshold="warn",kind="spent_ratio"} 1.0
            evenkeel_slo_alert_firing{slo="checkout",objective="99 % \"fast\"",policy="day-burn",severity="ticket"} 0.0
            evenkeel_slo_alert_firing{slo="checkout",objective="99 % \"fast\"",policy="fast-burn",severity="page"} 1.0
            evenkeel_slo_alert_firing{slo="checkout",objective="quality",policy="fast-burn",severity="page"} 0.0
            evenkeel_slo_burn_rate{slo="checkout",objective="99 % \"fast\"",window="5m"} 14.5
            evenkeel_slo_coverage_ratio{slo="checkout",objective="99 % \"fast\""} 0.75
            evenkeel_slo_error_budget_left_ratio{slo="checkout",objective="99 % \"fast\""} 0.5
            evenkeel_slo_exhaustion_seconds{slo="checkout",objective="99 % \"fast\"",quantile="0.1"} 0.0
            evenkeel_slo_exhaustion_seconds{slo="checkout",objective="99 % \"fast\"",quantile="0.5"} 90.0
            evenkeel_slo_no_data{slo="checkout",objective="99 % \"fast\""} 0.0
            evenkeel_slo_no_data{slo="checkout",objective="quality"} 1.0
            evenkeel_slo_reads_total{outcome="answered"} 0
            evenkeel_slo_reads_total{outcome="failed"} 0
            evenkeel_spend_estimated 1.0
            evenkeel_spend_per_hour{service="cart",currency="USD"} 1.5
            evenkeel_spend_reads_total{outcome="answered"} 0
            evenkeel_spend_reads_total{outcome="failed"} 0
            evenkeel_tenant_cost_per_hour{tenant="acme"} 2.0
            evenkeel_tenant_cost_per_hour{tenant="globex"} 1.0
            evenkeel_tenant_requests_per_second{tenant="acme"} 8.0
            evenkeel_tenant_requests_per_second{tenant="globex"} 4.0"#]],
    );
}

#[test]
fn only_the_dearest_tenants_have_series_and_the_rest_is_one() {
    let tenants = (0..60).map(|it| tenant(&format!("t{it}"), 1.0)).collect();
    let metrics = Metrics::new("1.2.3");
    metrics.set_budgets(slos(), budgets(tenants));
    let text = metrics.text().unwrap();
    let shown: Vec<&str> =
        text.lines().filter(|it| it.starts_with("evenkeel_tenant_requests")).collect();
    assert_eq!(shown.len(), TENANT_SERIES_SHOWN_MAX + 1);
    let last = "evenkeel_tenant_requests_per_second{tenant=\"others\"} 10.0";
    assert_eq!(shown.last(), Some(&last));
}

#[test]
fn beyond_the_bound_no_objective_has_series() {
    let mut many = slos();
    if let Some(slo) = many.slos.first_mut() {
        slo.objectives = vec![slo.objectives[0].clone(); OBJECTIVE_SERIES_MAX + 1];
    }
    check(many, budgets(Vec::new()), &["evenkeel_slo_burn", "evenkeel_tenant"], &expect![[""]]);
}
