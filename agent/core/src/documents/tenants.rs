//! `Tenants`: who shares the services, and whose requests are worth more. One is in force.
//!
//! **In:** a checked document.
//! **Out:** how usage is metered, and each tenant's quota, share and value.
//! **Not here:** metering ([`crate::spend::tenants`]), tenants' budgets
//! ([`crate::documents::Budget`]).

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::ids::TenantName;

/// Tenants that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenants {
    /// PromQL: requests per second, by tenant and service.
    pub usage_query: String,
    /// The label that names the tenant.
    pub tenant_label: String,
    /// The label that names the service.
    pub service_label: String,
    /// Oldest sample that still counts.
    pub max_age: SignedDuration,
    /// The named ones.
    pub tenants: BTreeMap<TenantName, Tenant>,
    /// What holds for a tenant that is not named.
    pub unnamed: Tenant,
    /// Most tenants that are metered each by itself, named ones first; the rest is one sum,
    /// and said to be.
    pub tracked_max: usize,
}

/// What holds for one tenant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tenant {
    /// Whose requests are worth more: the lowest is throttled first. `>= 0`.
    pub value: f64,
    /// The share of a service's requests that is always its own when it wants it, in `[0, 1]`.
    pub share_ratio: f64,
    /// Most requests per second, over all services; `None` is no quota.
    pub quota_rps: Option<f64>,
}

impl Tenants {
    /// What holds for `tenant`.
    pub fn of(&self, tenant: &TenantName) -> Tenant {
        self.tenants.get(tenant).copied().unwrap_or(self.unnamed)
    }
}
