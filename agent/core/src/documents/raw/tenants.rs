//! `spec:` of a `Tenants`.
//!
//! **In:** the mapping as written.
//! **Out:** [`Tenants`] whose shares fit together.
//! **Not here:** budgets of tenants ([`super::budget`]).

use std::collections::BTreeMap;

use serde_json::json;

use crate::documents::fault::Faults;
use crate::documents::positions::{At, Position};
use crate::documents::promql;
use crate::documents::raw::amounts::{Quota, ShareRatio, Worth};
use crate::documents::raw::policy::Query;
use crate::documents::raw::scalar::{Duration, Name, PrometheusLabel, Whole};
use crate::documents::raw::{List, fields};
use crate::documents::{Tenant, Tenants};
use crate::ids::TenantName;

/// Most tenants that are named. Why 10,000: one per target, and what one document holds.
const TENANTS_MAX: usize = 10_000;
/// How far above 1 a sum of shares may be by rounding. Why: 10,000 additions, each off by
/// less than `f64::EPSILON`, with room.
const ROUNDING: f64 = 1e-9;

fields! {
    /// Who shares the services, and whose requests are worth more.
    struct RawTenants {
        /// How the usage of tenants is metered.
        required usage: RawUsage,
        /// The tenants by name, up to 10,000.
        defaulted(json!([])) tenants: List<RawTenant, 0, TENANTS_MAX>,
        /// What holds for a tenant that is not named.
        defaulted(json!({})) unnamed: RawUnnamed,
        /// Most tenants that are metered each by itself, named ones first; at most 10,000.
        /// The rest is one sum.
        defaulted(json!(1_000)) tracked_max: Whole<1, 10_000>,
    }
}

fields! {
    /// Requests of each tenant at each service.
    struct RawUsage {
        /// PromQL: requests per second, by tenant and service.
        required query: Query,
        /// The label of its results that names the tenant.
        defaulted(json!("tenant")) tenant_label: PrometheusLabel,
        /// The label of its results that names the service.
        defaulted(json!("service")) service_label: PrometheusLabel,
        /// Oldest sample that still counts, at most an hour.
        defaulted(json!("2m")) max_age: Duration<1, 3_600>,
    }
}

fields! {
    /// What holds for one tenant.
    struct RawTenant {
        /// As the label of its usage says; unique.
        required name: Name<TenantName>,
        /// What its requests are worth against those of others: the lowest is throttled
        /// first.
        required value: Worth,
        /// The share of a service's requests that is always its own when it wants it,
        /// from 0 to 1. Those of all named tenants are at most 1 together.
        defaulted(json!(0)) share_ratio: ShareRatio,
        /// Most requests per second, over all services. Left out, there is no quota.
        optional quota_rps: Quota,
    }
}

fields! {
    /// What holds for each tenant that is not named.
    struct RawUnnamed {
        /// What its requests are worth against those of others.
        defaulted(json!(0)) value: Worth,
        /// The share of a service's requests that is always its own when it wants it.
        defaulted(json!(0)) share_ratio: ShareRatio,
        /// Most requests per second, over all services. Left out, there is no quota.
        optional quota_rps: Quota,
    }
}

impl RawTenants {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(self, faults: &mut Faults) -> Option<Tenants> {
        let RawTenants { usage, tenants, unnamed, tracked_max } = self;
        let RawUsage { query, tenant_label, service_label, max_age } = usage.value;
        let tenant_label = (tenant_label.value.0, tenant_label.at);
        let (PrometheusLabel(service_label), service_label_at) =
            (service_label.value, service_label.at);
        let mut is_good = true;
        if tenant_label.0 == service_label {
            let message = format!("`tenant_label` and `service_label` are both `{service_label}`");
            let hint = "a request has a tenant and a service: write two labels";
            faults.error(service_label_at.max(tenant_label.1), message, hint);
            is_good = false;
        }
        let At { value: Query(usage_query), at: query_at } = query;
        let needed = [(&tenant_label.0, "tenant"), (&service_label, "service")];
        let lost = needed.into_iter().find(|(label, _)| !promql::keeps_label(&usage_query, label));
        if let Some((label, what)) = lost {
            let message = format!("the query does not mention `{label}`, which names the {what}");
            let hint = format!("aggregate with `by ({}, {service_label})`", tenant_label.0);
            faults.warning(query_at, message, hint);
        }
        let n_named = tenants.value.0.len();
        let At { value: Whole(tracked), at: tracked_at } = tracked_max;
        // A u32 fits; were it not so, nothing would be too many.
        let tracked_max = usize::try_from(tracked).unwrap_or(usize::MAX);
        if tracked_max < n_named {
            let message = format!(
                "`tracked_max` is {tracked_max} and {n_named} tenants are named, so {} of them are not metered by themselves",
                n_named - tracked_max
            );
            faults.warning(tracked_at, message, format!("write `tracked_max: {n_named}` or more"));
        }
        let tenants = checked_tenants(tenants, faults);
        let RawUnnamed { value, share_ratio, quota_rps } = unnamed.value;
        let unnamed = Tenant {
            value: value.value.0,
            share_ratio: share_ratio.value.0,
            quota_rps: quota_rps.map(|it| it.value.0),
        };
        let tenants = tenants?;
        is_good.then_some(Tenants {
            usage_query,
            tenant_label: tenant_label.0,
            service_label,
            max_age: max_age.value.0,
            tenants,
            unnamed,
            tracked_max,
        })
    }
}

fn checked_tenants<const MAX: usize>(
    raw: At<List<RawTenant, 0, MAX>>,
    faults: &mut Faults,
) -> Option<BTreeMap<TenantName, Tenant>> {
    let mut lines: BTreeMap<TenantName, usize> = BTreeMap::new();
    let mut tenants = BTreeMap::new();
    let mut is_good = true;
    let mut shared_ratio = 0.0;
    // Where the sum goes above 1, for the message.
    let mut too_much_at: Option<Position> = None;
    for At { value: RawTenant { name, value, share_ratio, quota_rps }, .. } in raw.value.0 {
        let At { value: Name(name), at } = name;
        if let Some(line) = lines.insert(name.clone(), at.line) {
            let message = format!("tenant `{name}` is named twice, first in line {line}");
            faults.error(at, message, "remove one of the two");
            is_good = false;
            continue;
        }
        let ShareRatio(share) = share_ratio.value;
        shared_ratio += share;
        if 1.0 + ROUNDING < shared_ratio {
            too_much_at = too_much_at.or(Some(share_ratio.at));
        }
        let (Worth(value), share_ratio) = (value.value, share);
        let quota_rps = quota_rps.map(|it| it.value.0);
        tenants.insert(name, Tenant { value, share_ratio, quota_rps });
    }
    if let Some(at) = too_much_at {
        let message = format!(
            "the `share_ratio` of all {} tenants add up to {shared_ratio:.3}, they must be at most 1 together",
            tenants.len()
        );
        let hint = "a share that is always one's own must be there: make some smaller";
        faults.error(at, message, hint);
        is_good = false;
    }
    is_good.then_some(tenants)
}
