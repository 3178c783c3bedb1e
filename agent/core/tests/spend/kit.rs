//! Targets, prices and instants for the tests of money.

use std::collections::BTreeMap;

use evenkeel_core::documents::{
    Actuators, LeadTime, PriceBook, ProviderRef, Selector, Target, Tenant, Tenants,
};
use evenkeel_core::ids::{Region, ServiceName, TargetId, TenantName};
use evenkeel_core::spend::money::Currency;
use evenkeel_core::spend::rate::SpendRates;
use evenkeel_core::units::{Bounds, Capacity};
use jiff::{SignedDuration, Timestamp};

pub(crate) fn at(seconds: i64) -> Timestamp {
    // A Monday, 00:00 UTC.
    Timestamp::from_second(1_767_571_200 + seconds).unwrap()
}

pub(crate) fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

pub(crate) fn tenant(name: &str) -> TenantName {
    TenantName::new(name).unwrap()
}

pub(crate) fn target(name: &str, service: &str, region: &str, price: Option<f64>) -> Target {
    Target {
        id: TargetId::new(name).unwrap(),
        labels: BTreeMap::from([("service".to_owned(), service.to_owned())]),
        region: Region::new(region).unwrap(),
        provider: ProviderRef::Simulated { service: name.to_owned() },
        bounds: Bounds { min: Capacity(0), max: Capacity(1_000) },
        price_usd_per_hour: price,
        lead_time: LeadTime::Measure,
        actuators: Actuators::default(),
        depends_on: Vec::new(),
    }
}

pub(crate) fn book() -> PriceBook {
    PriceBook {
        currency: Currency::USD,
        effective_from: None,
        capacity: Vec::new(),
        usage: Vec::new(),
        commitments: Vec::new(),
        discount_ratio: 0.0,
        good_requests: None,
    }
}

pub(crate) fn of_service(name: &str) -> Selector {
    let labels = BTreeMap::from([("service".to_owned(), name.to_owned())]);
    Selector { labels, ..Selector::default() }
}

pub(crate) fn tenants(tracked_max: usize) -> Tenants {
    Tenants {
        usage_query: "rps".to_owned(),
        tenant_label: "tenant".to_owned(),
        service_label: "service".to_owned(),
        max_age: SignedDuration::from_mins(2),
        tenants: BTreeMap::new(),
        unnamed: Tenant { value: 1.0, share_ratio: 0.0, quota_rps: None },
        tracked_max,
    }
}

/// Rates of services, without anything else.
pub(crate) fn rates(of: &[(&str, f64)]) -> SpendRates {
    let by_service: BTreeMap<ServiceName, f64> =
        of.iter().map(|(name, rate)| (service(name), *rate)).collect();
    let total_per_hour = by_service.values().sum();
    SpendRates { total_per_hour, by_service, ..SpendRates::default() }
}

#[track_caller]
pub(crate) fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-5 * a.abs().max(b.abs()).max(1e-3), "{a} is not {b}");
}
