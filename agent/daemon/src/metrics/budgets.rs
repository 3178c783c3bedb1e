//! Error budgets and money.
//!
//! **In:** the reports of all SLOs and budgets, half a minute apart; how readings went.
//! **Out:** `evenkeel_slo_…`, `evenkeel_budget_…`, `evenkeel_spend_…`, `evenkeel_tenant_…`,
//! `evenkeel_bill_reads`. What is not known has no sample.
//! **Not here:** the numbers (`evenkeel_core::budget::report`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::api::budgets::{
    BudgetReport, ObjectiveStatus, SloReport, SloStatus, TenantSpend,
};
use evenkeel_core::budget::exhaustion::Exhaustion;
use evenkeel_core::slo::alert::Verdict;
use evenkeel_core::spend::money::Currency;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Metrics, OneLabel};

/// With more objectives (or budgets, or services) than this, none has series of its own.
///
/// Why 1,000: some twenty series each, as much as ten thousand targets would have.
pub const OBJECTIVE_SERIES_MAX: usize = 1_000;

/// Tenants with series of their own, the dearest; all others are `others`.
///
/// Why 50: what one looks at; a label with a value per customer is what this metric is to
/// help against.
pub const TENANT_SERIES_SHOWN_MAX: usize = 50;

/// The metrics of this module.
#[derive(Debug, Default)]
pub(super) struct BudgetMetrics {
    slo_reads: Family<OneLabel, Counter>,
    spend_reads: Family<OneLabel, Counter>,
    bill_reads: Family<OneLabel, Counter>,
    reports: Arc<Reports>,
}

impl BudgetMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "slo_reads",
            "Readings of one objective of an SLO each, by outcome",
            self.slo_reads.clone(),
        );
        registry.register(
            "spend_reads",
            "Queries about prices, usage and tenants, by outcome",
            self.spend_reads.clone(),
        );
        registry.register(
            "bill_reads",
            "Bills that were read, by outcome",
            self.bill_reads.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.reports)));
        for reads in [&self.slo_reads, &self.spend_reads, &self.bill_reads] {
            for is_answered in [true, false] {
                reads.get_or_create(&outcome(is_answered)).inc_by(0);
            }
        }
    }
}

fn outcome(is_answered: bool) -> OneLabel {
    [("outcome", if is_answered { "answered" } else { "failed" })]
}

impl Metrics {
    /// Every SLO and budget as they are now, replacing all that was said before.
    pub fn set_budgets(&self, slos: SloReport, budgets: BudgetReport) {
        let both = Arc::new((slos, budgets));
        *self.budgets.reports.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(both);
    }

    /// One objective was read, or could not be.
    pub fn count_slo_read(&self, is_answered: bool) {
        self.budgets.slo_reads.get_or_create(&outcome(is_answered)).inc();
    }

    /// One query about money was answered, or not.
    pub fn count_spend_read(&self, is_answered: bool) {
        self.budgets.spend_reads.get_or_create(&outcome(is_answered)).inc();
    }

    /// One bill was read, or could not be.
    pub fn count_bill_read(&self, is_answered: bool) {
        self.budgets.bill_reads.get_or_create(&outcome(is_answered)).inc();
    }
}

/// Both reports as they were last told, in one piece.
#[derive(Debug, Default)]
struct Reports(Mutex<Option<Arc<(SloReport, BudgetReport)>>>);

impl Collector for Reports {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // A slow scrape does not hold the loop up.
        let reports = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_known = reports.is_some();
        let reports = reports.unwrap_or_else(|| Arc::new(nothing()));
        let (slos, budgets) = &*reports;
        let n_objectives: usize = slos.slos.iter().map(|it| it.objectives.len()).sum();
        if n_objectives <= OBJECTIVE_SERIES_MAX {
            encode_slos(&mut encoder, slos)?;
        }
        if budgets.budgets.len() <= OBJECTIVE_SERIES_MAX {
            encode_budgets(&mut encoder, budgets)?;
        }
        encode_spend(&mut encoder, budgets, is_known)
    }
}

/// What is shown before the first report: names and types, so that alerts find them.
fn nothing() -> (SloReport, BudgetReport) {
    let at = Timestamp::UNIX_EPOCH;
    let budgets = BudgetReport {
        at,
        currency: Currency::USD,
        per_hour: None,
        budgets: Vec::new(),
        services: Vec::new(),
        tenants: Vec::new(),
        unallocated: Vec::new(),
        bill_drift_ratio: None,
        notes: Vec::new(),
    };
    (SloReport { at, slos: Vec::new() }, budgets)
}

/// One metric, sample by sample.
struct Gauges<'a>(MetricEncoder<'a>);

impl<'a> Gauges<'a> {
    fn new(
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        help: &str,
    ) -> Result<Gauges<'a>, fmt::Error> {
        encoder.encode_descriptor(name, help, None, MetricType::Gauge).map(Gauges)
    }

    /// Nothing for what is not known or no number.
    fn set(&mut self, labels: &[(&str, &str)], value: Option<f64>) -> Result<(), fmt::Error> {
        match value.filter(|it| it.is_finite()) {
            Some(value) if labels.is_empty() => self.0.encode_gauge(&value),
            Some(value) => self.0.encode_family(&labels)?.encode_gauge(&value),
            None => Ok(()),
        }
    }
}

fn flag(is_so: bool) -> Option<f64> {
    Some(f64::from(u8::from(is_so)))
}

/// Each objective with its SLO.
fn objectives(slos: &SloReport) -> impl Iterator<Item = (&SloStatus, &ObjectiveStatus)> {
    slos.slos.iter().flat_map(|slo| slo.objectives.iter().map(move |it| (slo, it)))
}

fn encode_slos(encoder: &mut DescriptorEncoder<'_>, slos: &SloReport) -> Result<(), fmt::Error> {
    fn labels<'a>(slo: &'a SloStatus, objective: &'a ObjectiveStatus) -> [(&'a str, &'a str); 2] {
        [("slo", slo.slo.as_str()), ("objective", &objective.name)]
    }
    type Of = fn(&ObjectiveStatus) -> Option<f64>;
    let plain: [(&str, &str, Of); 3] = [
        (
            "slo_error_budget_left_ratio",
            "Share of an error budget that is left; below 0 it is overspent",
            |it| it.budget_left,
        ),
        (
            "slo_coverage_ratio",
            "For how much of its window so far an objective was observed",
            |it| it.unread.is_none().then_some(it.coverage),
        ),
        ("slo_no_data", "1 while there is no data to judge an objective by", |it| {
            let blind = it.alerts.iter().any(|it| it.verdict == Verdict::NoData);
            flag(it.unread.is_some() || it.observed_until.is_none() || blind)
        }),
    ];
    for (name, help, of) in plain {
        let mut gauges = Gauges::new(encoder, name, help)?;
        for (slo, it) in objectives(slos) {
            gauges.set(&labels(slo, it), of(it))?;
        }
    }
    let help = "Burn rate by window; 1 spends the error budget over the window of the SLO";
    let mut gauges = Gauges::new(encoder, "slo_burn_rate", help)?;
    for (slo, it) in objectives(slos) {
        let [of_slo, of_objective] = labels(slo, it);
        for (window, rate) in &it.burn_rates {
            gauges.set(&[of_slo, of_objective, ("window", window)], *rate)?;
        }
    }
    let help = "1 while an alert policy of an SLO fires";
    let mut gauges = Gauges::new(encoder, "slo_alert_firing", help)?;
    for (slo, it) in objectives(slos) {
        let [of_slo, of_objective] = labels(slo, it);
        for alert in &it.alerts {
            let severity = alert.severity.to_string();
            let more = [("policy", alert.policy.as_str()), ("severity", severity.as_str())];
            let [policy, severity] = more;
            let is_firing = flag(alert.verdict == Verdict::Firing);
            gauges.set(&[of_slo, of_objective, policy, severity], is_firing)?;
        }
    }
    let help = "Time until an error budget is spent, by chance; none while it is not";
    let mut gauges = Gauges::new(encoder, "slo_exhaustion_seconds", help)?;
    for (slo, it) in objectives(slos) {
        let [of_slo, of_objective] = labels(slo, it);
        for (quantile, seconds) in seconds_until(slos.at, it.exhaustion) {
            gauges.set(&[of_slo, of_objective, ("quantile", quantile)], seconds)?;
        }
    }
    Ok(())
}

/// By quantile; 0 when it is spent already.
fn seconds_until(
    now: Timestamp,
    exhaustion: Option<Exhaustion>,
) -> impl Iterator<Item = (&'static str, Option<f64>)> {
    let until = move |at: Timestamp| at.duration_since(now).as_secs_f64().max(0.0);
    exhaustion.into_iter().flat_map(move |it| {
        [("0.1", it.p10), ("0.5", it.p50), ("0.9", it.p90)]
            .map(|(quantile, at)| (quantile, at.map(until)))
    })
}

fn encode_budgets(
    encoder: &mut DescriptorEncoder<'_>,
    report: &BudgetReport,
) -> Result<(), fmt::Error> {
    let help = "Share of a budget that is spent; above 1 it is overspent";
    let mut gauges = Gauges::new(encoder, "budget_spent_ratio", help)?;
    for it in &report.budgets {
        gauges.set(&[("budget", it.budget.as_str())], it.spent_ratio)?;
    }
    let help = "Burn rate of a budget by window; 1 spends what is left by the end of its period";
    let mut gauges = Gauges::new(encoder, "budget_burn_rate", help)?;
    for it in &report.budgets {
        for (window, rate) in &it.burn_rates {
            gauges.set(&[("budget", it.budget.as_str()), ("window", window)], *rate)?;
        }
    }
    let help = "Time until a budget is spent, by chance; none while it is not";
    let mut gauges = Gauges::new(encoder, "budget_exhaustion_seconds", help)?;
    for it in &report.budgets {
        for (quantile, seconds) in seconds_until(report.at, it.exhaustion) {
            gauges.set(&[("budget", it.budget.as_str()), ("quantile", quantile)], seconds)?;
        }
    }
    let help = "1 while a threshold of a budget is crossed";
    let mut gauges = Gauges::new(encoder, "budget_threshold_crossed", help)?;
    for it in &report.budgets {
        for threshold in &it.thresholds {
            let labels = [
                ("budget", it.budget.as_str()),
                ("threshold", threshold.name.as_str()),
                ("kind", threshold.kind.as_str()),
            ];
            gauges.set(&labels, flag(threshold.crossed_since.is_some()))?;
        }
    }
    Ok(())
}

fn encode_spend(
    encoder: &mut DescriptorEncoder<'_>,
    report: &BudgetReport,
    is_known: bool,
) -> Result<(), fmt::Error> {
    let services = if report.services.len() <= OBJECTIVE_SERIES_MAX {
        report.services.as_slice()
    } else {
        &[]
    };
    let currency = report.currency.to_string();
    let mut gauges = Gauges::new(encoder, "spend_per_hour", "What a service costs per hour now")?;
    for it in services {
        let labels = [("service", it.service.as_str()), ("currency", currency.as_str())];
        gauges.set(&labels, Some(it.per_hour))?;
    }
    let help = "What 1000 good requests of a service cost over the last day";
    let mut gauges = Gauges::new(encoder, "spend_cost_per_thousand_good", help)?;
    for it in services {
        gauges.set(&[("service", it.service.as_str())], it.per_thousand_good)?;
    }
    let help = "1 while the spend of a budget is estimated in part";
    let is_estimated = report.budgets.iter().any(|it| it.is_estimated);
    Gauges::new(encoder, "spend_estimated", help)?
        .set(&[], flag(is_estimated).filter(|_| is_known))?;
    let help = "How far the last bill that was read differs from what was metered, as a share";
    Gauges::new(encoder, "spend_reconciliation_drift_ratio", help)?
        .set(&[], report.bill_drift_ratio)?;
    let help = "Requests per second of a tenant; only of the 50 dearest, the rest as `others`";
    encode_tenants(encoder, report, "tenant_requests_per_second", help, |it| it.rps)?;
    let help = "What a tenant costs per hour now; only of the 50 dearest, the rest as `others`";
    encode_tenants(encoder, report, "tenant_cost_per_hour", help, |it| it.per_hour)
}

fn encode_tenants(
    encoder: &mut DescriptorEncoder<'_>,
    report: &BudgetReport,
    name: &str,
    help: &str,
    of: fn(&TenantSpend) -> f64,
) -> Result<(), fmt::Error> {
    let mut gauges = Gauges::new(encoder, name, help)?;
    let mut others = None;
    for (nth, it) in report.tenants.iter().enumerate() {
        // A tenant may be called so, or the report may have a rest of its own.
        if nth < TENANT_SERIES_SHOWN_MAX && it.tenant.as_str() != OTHERS {
            gauges.set(&[("tenant", it.tenant.as_str())], Some(of(it)))?;
        } else {
            others = Some(others.unwrap_or(0.0) + of(it));
        }
    }
    gauges.set(&[("tenant", OTHERS)], others)
}

/// The label of all tenants without series of their own.
const OTHERS: &str = "others";

#[cfg(test)]
mod tests;
