//! Tenants: shares that add up, bounds, quotas, fair limits.

use std::time::Instant;

use evenkeel_core::documents::Tenant;
use evenkeel_core::spend::TenantUsage;
use evenkeel_core::spend::meter::SpendMeters;
use evenkeel_core::spend::tenants::{Demand, TenantMeter, fair_limits, standings};
use proptest::prelude::*;

use crate::kit::{at, close, rates, service, tenant, tenants};

fn usage(of: &[(&str, &str, f64)]) -> TenantUsage {
    let by_tenant = of.iter().map(|(who, of, rps)| (tenant(who), service(of), *rps)).collect();
    TenantUsage { by_tenant, ..TenantUsage::default() }
}

#[test]
fn a_service_is_shared_by_requests_and_the_rest_is_unattributed() {
    let used = usage(&[("a", "web", 3.0), ("b", "web", 1.0), ("a", "db", 1.0)]);
    let spent = rates(&[("web", 8.0), ("db", 2.0), ("batch", 5.0)]);
    let it = TenantMeter::default().observe(at(0), &tenants(10), Some(&used), &spent);
    close(it.by_tenant[&tenant("a")].per_hour, 8.0);
    close(it.by_tenant[&tenant("b")].per_hour, 2.0);
    close(it.unattributed_per_hour, 5.0);
    assert_eq!(it.n_others, 0);
}

#[test]
fn named_tenants_are_tracked_always_and_a_million_others_are_one_sum() {
    let mut it = tenants(3);
    it.tenants.insert(tenant("tiny"), it.unnamed);
    let mut used = usage(&[("tiny", "web", 0.1)]);
    for n in 0..1_000 {
        used.by_tenant.push((tenant(&format!("t{n}")), service("web"), f64::from(n)));
    }
    (used.others_rps, used.n_others) = (499_500.0, 999_000);
    let spent = rates(&[("web", 100.0)]);
    let result = TenantMeter::default().observe(at(0), &it, Some(&used), &spent);
    let names: Vec<&str> = result.by_tenant.keys().map(|it| it.as_str()).collect();
    assert_eq!(names, ["t998", "t999", "tiny"]);
    assert_eq!(result.n_others, 999_998);
    let tracked: f64 = result.by_tenant.values().map(|it| it.per_hour).sum();
    close(tracked + result.others_per_hour, 100.0);
    close(result.others_rps, 999_000.0 - 998.0 - 999.0);
}

#[test]
fn a_tenant_is_above_its_quota_when_the_burst_is_used_up_and_no_longer() {
    let mut it = tenants(10);
    it.unnamed = Tenant { value: 1.0, share_ratio: 0.0, quota_rps: Some(10.0) };
    let mut meter = TenantMeter::default();
    let mut over = String::new();
    // A burst of 600 requests: at 30 a second it lasts 30 s, at 20 a second 60 s.
    for (nth, rps) in [30.0, 30.0, 30.0, 10.0, 5.0, 20.0, 20.0, 20.0].into_iter().enumerate() {
        let now = at(i64::try_from(nth).unwrap() * 30);
        let result = meter.observe(now, &it, Some(&usage(&[("a", "web", rps)])), &rates(&[]));
        over.push(if result.over_quota.is_empty() { '.' } else { 'x' });
    }
    assert_eq!(over, ".xx..xxx");
}

#[test]
fn standings_have_the_lowest_value_first_and_protect_a_share() {
    let mut it = tenants(10);
    let gold = Tenant { value: 9.0, share_ratio: 0.5, quota_rps: None };
    it.tenants.insert(tenant("gold"), gold);
    let used = usage(&[("gold", "web", 10.0), ("small", "web", 1.0), ("large", "web", 5.0)]);
    let result = TenantMeter::default().observe(at(0), &it, Some(&used), &rates(&[("web", 1.0)]));
    let order = standings(&result, &it, &service("web"), 16.0);
    let order: Vec<(&str, f64)> =
        order.iter().map(|it| (it.tenant.as_str(), it.protected_rps)).collect();
    assert_eq!(order, [("large", 0.0), ("small", 0.0), ("gold", 8.0)]);
}

fn demands(of: &[(f64, f64)]) -> Vec<Demand> {
    let one = |(n, it): (usize, &(f64, f64))| Demand {
        tenant: tenant(&format!("t{n}")),
        rps: it.0,
        share_ratio: it.1,
    };
    of.iter().enumerate().map(one).collect()
}

proptest! {
    #[test]
    fn limits_fit_keep_guarantees_and_the_cap_of_one_never_starves_another(
        of in proptest::collection::vec((0.0..100.0_f64, 0.0..0.4_f64), 1..12),
        capacity in 0.0..300.0_f64,
        capped in 0_usize..12,
        factor in 0.0..1.0_f64,
    ) {
        let before = fair_limits(&demands(&of), capacity);
        let shares: f64 = of.iter().map(|it| it.1).sum();
        prop_assert!(before.iter().sum::<f64>() <= capacity + 1e-9);
        for (limit, (rps, share)) in before.iter().zip(&of) {
            let guaranteed = share * capacity / shares.max(1.0);
            prop_assert!(rps.min(guaranteed) <= limit + 1e-9 && *limit <= rps + 1e-9);
        }
        let wanted: f64 = of.iter().map(|it| it.0).sum();
        close(before.iter().sum(), capacity.min(wanted));
        let mut less = of.clone();
        let capped = capped % of.len();
        less[capped].0 *= factor;
        let after = fair_limits(&demands(&less), capacity);
        for (nth, (a, b)) in before.iter().zip(&after).enumerate() {
            prop_assert!(nth == capped || *a <= b + 1e-9, "{nth}: {a} then {b}");
        }
    }

    #[test]
    fn shares_of_tenants_sum_to_what_their_services_cost(
        of in proptest::collection::vec((0_u8..20, 0_u8..4, 0.0..50.0_f64), 1..40),
        costs in proptest::collection::vec(0.0..100.0_f64, 4),
        tracked_max in 0_usize..10,
        others_rps in 0.0..100.0_f64,
    ) {
        let mut used = usage(&[]);
        for (who, of, rps) in &of {
            used.by_tenant.push((tenant(&format!("t{who}")), service(&format!("s{of}")), *rps));
        }
        used.others_rps = others_rps;
        let named: Vec<String> = (0..4).map(|n| format!("s{n}")).collect();
        let costs: Vec<(&str, f64)> =
            named.iter().map(String::as_str).zip(costs.iter().copied()).collect();
        let spent = rates(&costs);
        let it = TenantMeter::default().observe(at(0), &tenants(tracked_max), Some(&used), &spent);
        let tracked: f64 = it.by_tenant.values().map(|it| it.per_hour).sum();
        close(tracked + it.others_per_hour + it.unattributed_per_hour, spent.total_per_hour);
        prop_assert!(it.by_tenant.len() <= tracked_max);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures how long it takes")]
fn a_thousand_tenants_of_twenty_services_are_metered_within_the_limit() {
    let mut used = usage(&[]);
    for n in 0..1_000_u32 {
        for of in 0..20 {
            let (who, of) = (tenant(&format!("t{n}")), service(&format!("s{of}")));
            used.by_tenant.push((who, of, f64::from(n)));
        }
    }
    let named: Vec<(String, f64)> = (0..20).map(|n| (format!("s{n}"), 10.0)).collect();
    let named: Vec<(&str, f64)> = named.iter().map(|it| (it.0.as_str(), it.1)).collect();
    let (spent, it) = (rates(&named), tenants(1_000));
    let (mut meter, mut meters) = (TenantMeter::default(), SpendMeters::default());
    let mut fastest = std::time::Duration::MAX;
    for nth in 0..10 {
        let began = Instant::now();
        let of_tenants = meter.observe(at(nth * 30), &it, Some(&used), &spent);
        meters.observe(at(nth * 30), &spent, Some(&of_tenants), &std::collections::BTreeMap::new());
        fastest = fastest.min(began.elapsed());
    }
    // 20 ms in a release build on one core; tests are not optimised and share their core.
    let limit_ms = if cfg!(debug_assertions) { 100 } else { 20 };
    assert!(fastest.as_millis() < limit_ms, "{fastest:?}");
}
