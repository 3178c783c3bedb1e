//! What SLOs and budgets see of a region.
//!
//! **In:** the agent's SLOs, prices and tenants, and the region's exporter. **Out:** counts on
//! the grids that the agent wants, and what is being spent, as the daemon reads them of a metrics
//! backend.
//! **Not here:** counting and judging (`evenkeel-core`), capacities (the agent has them).
//!
//! A query is the name of a metric: of the SLO's own service, or of another as in
//! `requests_total{service="web"}`. A query that answers for all at once (prices, usage, good
//! requests) has the label `service`. Anything else has no series.

use evenkeel_core::budget::wanted::SliWanted;
use evenkeel_core::documents::{Documents, LabelledQuery, MetricQuery, Slo, UnitPrice};
use evenkeel_core::ids::{ServiceName, TenantName};
use evenkeel_core::quality::{Reading, judge_sample};
use evenkeel_core::slo::SliReading;
use evenkeel_core::slo::increments::{Grid, SeriesOnGrid, slot_readings};
use evenkeel_core::spend::{GaugeReading, SpendReading, TenantUsage, UsageReading};
use jiff::{SignedDuration, Timestamp};

use crate::exporter::{self, Metric};
use crate::run::Stage;

/// The label that tells services apart.
const SERVICE_LABEL: &str = "service";

/// The label and the metric of tenants.
const TENANT_LABEL: &str = "tenant";
const TENANT_REQUESTS: &str = "tenant_requests_per_second";

/// Whether there is anything to be read for budgets.
pub(in crate::run) fn has_budgets(documents: &Documents) -> bool {
    0 < documents.slos().len() + documents.budgets().len()
}

/// Everything that was wanted and could be asked. Where the backend did not answer, nothing is
/// said of that objective, and the agent asks again.
pub(in crate::run) fn read_slis(
    documents: &Documents,
    stage: &Stage,
    wanted: &[SliWanted],
) -> Vec<SliReading> {
    let mut readings = Vec::new();
    for it in wanted {
        let Some(slo) = documents.slo(&it.slo) else { continue };
        let Some(objective) = slo.objectives.get(it.objective) else { continue };
        let queries = objective.indicator.queries();
        for grid in &it.grids {
            let answers = queries.iter().map(|query| answer(slo, query, *grid, stage));
            let Some(answers) = answers.collect::<Option<Vec<_>>>() else { continue };
            readings.push(SliReading {
                slo: it.slo.clone(),
                objective: it.objective,
                step: grid.step,
                slots: slot_readings(&objective.indicator, *grid, &answers),
            });
        }
    }
    readings
}

/// The series of one query on a grid; `None` where the backend does not answer.
fn answer(slo: &Slo, query: &MetricQuery, grid: Grid, stage: &Stage) -> Option<Vec<SeriesOnGrid>> {
    let MetricQuery::PromQl(query) = query else { return Some(Vec::new()) };
    let second = stage.world.second();
    let Some((metric, service)) = named(query, slo.service.as_str(), stage) else {
        return Some(Vec::new());
    };
    let start = stage.world.start().as_second();
    let mut values = Vec::with_capacity(grid.n);
    for nth in 0..grid.n {
        let instant = grid.at(nth).as_second().saturating_sub(start);
        match stage.exporter.read_at(second, service, metric, instant) {
            Ok(value) => values.push(value),
            Err(exporter::Reading::NoSeries) => return Some(Vec::new()),
            Err(exporter::Reading::BackendDown | exporter::Reading::Sample { .. }) => return None,
        }
    }
    Some(vec![values])
}

/// The metric that a query names, and of which service.
fn named(query: &str, own: &str, stage: &Stage) -> Option<(Metric, usize)> {
    let (name, service) = match query.trim().split_once('{') {
        None => (query.trim(), own),
        Some((name, rest)) => {
            let label = rest.strip_suffix('}')?.trim();
            let value = label.strip_prefix(SERVICE_LABEL)?.trim_start().strip_prefix('=')?.trim();
            (name.trim(), value.strip_prefix('"')?.strip_suffix('"')?)
        }
    };
    Some((Metric::parse(name)?, stage.world.spec().find(service)?))
}

/// Prices, usage, good requests and tenants, as far as anybody knows them now.
pub(in crate::run) fn read_spend(
    documents: &Documents,
    now: Timestamp,
    stage: &Stage,
) -> SpendReading {
    let mut reading = SpendReading::default();
    if let Some(book) = documents.economy().price_book.as_ref() {
        for (nth, price) in book.capacity.iter().enumerate() {
            let UnitPrice::Gauge(query) = &price.price else { continue };
            let gauges = by_service(query, now, stage).into_iter();
            reading.gauges.extend(gauges.map(|(service, price_per_hour)| GaugeReading {
                nth,
                service,
                price_per_hour,
            }));
        }
        for line in &book.usage {
            let usage = by_service(&line.usage, now, stage).into_iter();
            reading.usage.extend(usage.map(|(service, per_second)| UsageReading {
                name: line.name.clone(),
                service,
                per_second,
            }));
        }
        if let Some(query) = &book.good_requests {
            reading.good = by_service(query, now, stage);
        }
    }
    if let Some(tenants) = &documents.economy().tenants
        && tenants.usage_query == TENANT_REQUESTS
        && tenants.tenant_label == TENANT_LABEL
        && tenants.service_label == SERVICE_LABEL
    {
        reading.tenants = tenant_usage(tenants.max_age, now, stage);
    }
    reading
}

/// One value per service that has the metric, as of now.
fn by_service(query: &LabelledQuery, now: Timestamp, stage: &Stage) -> Vec<(ServiceName, f64)> {
    let Some(metric) = Metric::parse(&query.query) else { return Vec::new() };
    if query.label != SERVICE_LABEL {
        return Vec::new();
    }
    let second = stage.world.second();
    let services = stage.world.spec().services.iter().enumerate();
    let values = services.filter_map(|(place, spec)| {
        let exporter::Reading::Sample { value, sampled_at } =
            stage.exporter.read(second, place, metric)
        else {
            return None;
        };
        let value = fresh(value, sampled_at, query.max_age, now, stage)?;
        Some((ServiceName::new(&spec.name).ok()?, value))
    });
    values.collect()
}

/// What every tenant uses; `None` where that cannot be told.
fn tenant_usage(max_age: SignedDuration, now: Timestamp, stage: &Stage) -> Option<TenantUsage> {
    let mut usage = TenantUsage::default();
    let second = stage.world.second();
    for (place, spec) in stage.world.spec().services.iter().enumerate() {
        let Ok((values, sampled_at)) = stage.exporter.read_tenants(second, place) else { continue };
        let Ok(service) = ServiceName::new(&spec.name) else { continue };
        for ((name, _), value) in stage.world.tenants(place).zip(values) {
            let (Some(rps), Ok(tenant)) =
                (fresh(*value, sampled_at, max_age, now, stage), TenantName::new(name))
            else {
                continue;
            };
            usage.by_tenant.push((tenant, service.clone(), rps));
        }
    }
    (!usage.by_tenant.is_empty()).then_some(usage)
}

/// A number that is one, not negative, and not too old.
fn fresh(
    value: f64,
    sampled_at: i64,
    max_age: SignedDuration,
    now: Timestamp,
    stage: &Stage,
) -> Option<f64> {
    let sampled_at = stage.world.start().saturating_add(SignedDuration::from_secs(sampled_at));
    match judge_sample(now, value, sampled_at.unwrap_or(now), max_age, false) {
        Reading::Value { value, .. } if 0.0 <= value => Some(value),
        Reading::Value { .. } | Reading::Missing(_) => None,
    }
}
