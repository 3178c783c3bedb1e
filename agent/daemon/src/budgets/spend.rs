//! Reading what money is made of: gauges of prices, usage, good requests, tenants.
//!
//! **In:** the price book, the tenants, a metrics source.
//! **Out:** one [`SpendReading`], also when there is nothing to ask: capacity has prices
//! without a query. What cannot be read is not in it.
//! **Not here:** what it costs (`evenkeel_core::spend`).

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::documents::{
    CapacityPrice, Documents, LabelledQuery, PriceBook, Tenants, UnitPrice,
};
use evenkeel_core::ids::{ServiceName, TenantName};
use evenkeel_core::spend::{
    GaugeReading, SpendReading, TENANT_SERIES_MAX, TenantUsage, UsageReading,
};
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::troubles::{Subject, Troubles};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::prometheus::{Labelled, LabelledSample};
use crate::source::MetricsSource;

/// Asks, and counts and tells how it went.
struct Asking<'a> {
    source: &'a MetricsSource,
    clock: &'a Clock,
    metrics: &'a Metrics,
    troubles: &'a Troubles,
}

/// Reads everything that the documents name, side by side.
pub(super) async fn read(
    source: &MetricsSource,
    clock: &Clock,
    documents: &Documents,
    metrics: &Metrics,
    troubles: &Troubles,
) -> SpendReading {
    let asking = Asking { source, clock, metrics, troubles };
    let economy = documents.economy();
    let (priced, tenants) = tokio::join!(asking.prices(economy.price_book.as_ref()), async {
        match &economy.tenants {
            Some(tenants) => asking.tenants(tenants).await,
            None => None,
        }
    });
    SpendReading { tenants, ..priced }
}

impl Asking<'_> {
    async fn prices(&self, book: Option<&PriceBook>) -> SpendReading {
        let Some(book) = book else { return SpendReading::default() };
        let gauges =
            join_all(book.capacity.iter().enumerate().map(|(nth, it)| self.gauge(nth, it)));
        let usage = join_all(book.usage.iter().map(|it| async move {
            let what = format!("usage `{}`", it.name);
            let read = self.by_service(&what, &it.usage, Several::AddUp).await;
            let reading =
                |(service, per_second)| UsageReading { name: it.name.clone(), service, per_second };
            read.into_iter().map(reading).collect::<Vec<_>>()
        }));
        let good = async {
            match &book.good_requests {
                Some(query) => self.by_service("good requests", query, Several::AddUp).await,
                None => BTreeMap::new(),
            }
        };
        let (gauges, usage, good) = tokio::join!(gauges, usage, good);
        SpendReading {
            gauges: gauges.into_iter().flatten().collect(),
            usage: usage.into_iter().flatten().collect(),
            good: good.into_iter().collect(),
            tenants: None,
        }
    }

    async fn gauge(&self, nth: usize, price: &CapacityPrice) -> Vec<GaugeReading> {
        let query = match &price.price {
            UnitPrice::PerHour(_) => return Vec::new(),
            UnitPrice::Gauge(query) => query,
        };
        let what = format!("capacity price {}", nth + 1);
        let read = self.by_service(&what, query, Several::LeaveOut).await;
        read.into_iter()
            .map(|(service, price_per_hour)| GaugeReading { nth, service, price_per_hour })
            .collect()
    }

    /// One value per service; nothing at all when the query has no answer.
    async fn by_service(
        &self,
        what: &str,
        query: &LabelledQuery,
        several: Several,
    ) -> BTreeMap<ServiceName, f64> {
        let LabelledQuery { query, label, max_age } = query;
        let labelled = self.ask(what, query, &[label], *max_age).await;
        labelled.map(|it| by_service(it, several)).unwrap_or_default()
    }

    async fn tenants(&self, tenants: &Tenants) -> Option<TenantUsage> {
        let labels = [tenants.tenant_label.as_str(), tenants.service_label.as_str()];
        let asked = self.ask("usage of tenants", &tenants.usage_query, &labels, tenants.max_age);
        asked.await.map(|it| by_tenant(it, TENANT_SERIES_MAX))
    }

    async fn ask(
        &self,
        what: &str,
        query: &str,
        labels: &[&str],
        max_age: SignedDuration,
    ) -> Option<Labelled> {
        let source = self.source.prometheus()?;
        let (took, answered) = source.labelled(|| self.clock.now(), query, labels, max_age).await;
        self.metrics.observe_query(if answered.is_ok() { "answered" } else { "failed" }, took);
        let (labelled, error) = match answered {
            Ok(labelled) if labelled.samples.is_empty() && 0 < labelled.n_left_out => {
                let n = labelled.n_left_out;
                (None, Some(format!("none of its {n} series is fresh, finite and not negative")))
            }
            Ok(labelled) => (Some(labelled), None),
            Err(error) => (None, Some(error.to_string())),
        };
        self.metrics.count_spend_read(error.is_none());
        self.troubles.note(self.clock.now(), &Subject::Query(what.to_owned()), error);
        labelled
    }
}

/// What several series of one service mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Several {
    /// Rates of its parts.
    AddUp,
    /// A price is one number: which of them is not known.
    LeaveOut,
}

/// Series whose label is no name of a service belong to nobody.
fn by_service(labelled: Labelled, several: Several) -> BTreeMap<ServiceName, f64> {
    let mut values = BTreeMap::<ServiceName, f64>::new();
    let mut ambiguous = BTreeSet::new();
    for LabelledSample { labels, value } in labelled.samples {
        let Some(name) = labels.first().and_then(Option::as_deref) else { continue };
        let Ok(service) = ServiceName::new(name) else { continue };
        match (values.get_mut(&service), several) {
            (None, _) => {
                values.insert(service, value);
            }
            (Some(sum), Several::AddUp) => *sum += value,
            (Some(_), Several::LeaveOut) => {
                ambiguous.insert(service);
            }
        }
    }
    values.retain(|service, _| !ambiguous.contains(service));
    values
}

/// The largest `series_max` by themselves, everything else in one sum.
fn by_tenant(labelled: Labelled, series_max: usize) -> TenantUsage {
    let mut usage = TenantUsage::default();
    let mut values = BTreeMap::<(TenantName, ServiceName), f64>::new();
    for LabelledSample { labels, value } in labelled.samples {
        let name = |nth: usize| labels.get(nth).and_then(Option::as_deref);
        let tenant = name(0).and_then(|it| TenantName::new(it).ok());
        let service = name(1).and_then(|it| ServiceName::new(it).ok());
        match tenant.zip(service) {
            Some(both) => *values.entry(both).or_default() += value,
            None => {
                usage.others_rps += value;
                usage.n_others += 1;
            }
        }
    }
    usage.by_tenant = values.into_iter().map(|((tenant, of), rps)| (tenant, of, rps)).collect();
    if series_max < usage.by_tenant.len() {
        // Stable: of equal ones, the first by name.
        usage.by_tenant.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
        for (_, _, rps) in usage.by_tenant.split_off(series_max) {
            usage.others_rps += rps;
            usage.n_others += 1;
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn labelled(series: &[(&[&str], f64)]) -> Labelled {
        let sample = |(labels, value): &(&[&str], f64)| LabelledSample {
            labels: labels.iter().map(|it| (!it.is_empty()).then(|| (*it).to_owned())).collect(),
            value: *value,
        };
        Labelled { samples: series.iter().map(sample).collect(), n_left_out: 0 }
    }

    #[track_caller]
    fn check_services(several: Several, expected: &Expect) {
        let series = labelled(&[
            (&["cart"], 1.0),
            (&["search"], 2.0),
            (&["cart"], 4.0),
            (&[""], 8.0),
            (&["no name"], 16.0),
        ]);
        expected.assert_eq(&format!("{:?}", by_service(series, several)));
    }

    #[test]
    fn rates_of_a_service_add_up_and_prices_do_not() {
        check_services(Several::AddUp, &expect!["{`cart`: 5.0, `search`: 2.0}"]);
        check_services(Several::LeaveOut, &expect!["{`search`: 2.0}"]);
    }

    #[track_caller]
    fn check_tenants(series_max: usize, expected: &Expect) {
        let series = labelled(&[
            (&["a", "cart"], 1.0),
            (&["b", "cart"], 2.0),
            (&["b", "search"], 4.0),
            (&["a", "cart"], 8.0),
            (&["not a name", "cart"], 16.0),
            (&["", "cart"], 32.0),
            (&["a", ""], 64.0),
        ]);
        expected.assert_eq(&format!("{:?}", by_tenant(series, series_max)));
    }

    #[test]
    fn the_largest_tenants_are_told_apart_and_nothing_is_lost() {
        check_tenants(
            3,
            &expect![
                "TenantUsage { by_tenant: [(`a`, `cart`, 9.0), (`b`, `cart`, 2.0), (`b`, `search`, 4.0)], others_rps: 112.0, n_others: 3 }"
            ],
        );
        check_tenants(
            1,
            &expect![
                "TenantUsage { by_tenant: [(`a`, `cart`, 9.0)], others_rps: 118.0, n_others: 5 }"
            ],
        );
    }
}
