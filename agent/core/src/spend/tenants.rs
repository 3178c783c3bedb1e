//! What tenants use and cost, who is above its quota, and fair limits.
//!
//! **In:** requests per second by tenant and service, spend by service.
//! **Out:** rates by tenant that add up to their services', quotas exceeded, limits.
//! **Not here:** sums over time ([`super::meter`]), throttling (playbooks).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::rate::SpendRates;
use super::{TenantUsage, is_amount};
use crate::documents::Tenants;
use crate::ids::{ServiceName, TenantName};

/// How long a tenant may go at twice its quota before it is above it: the bucket holds this
/// much of the quota. Why a minute: pages with many parts are bursts of seconds, and two
/// readings are needed to see one.
pub const BURST: SignedDuration = SignedDuration::from_secs(60);

/// The advantage of a tenant that is tracked already, so that two of about the same size do
/// not take turns.
const TRACKED_ADVANTAGE: f64 = 1.25;

/// What tenants cost per hour. Of every service that tenants use,
/// `tenants + others = rate of the service`: it is shared by requests. Requests of series that
/// were not looked at pay their part of all services alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TenantRates {
    /// The tracked ones: all named, and the largest of the others.
    pub by_tenant: BTreeMap<TenantName, TenantRate>,
    /// Of tenants that are not tracked.
    pub others_per_hour: f64,
    /// Requests per second of tenants that are not tracked.
    pub others_rps: f64,
    /// How many series (of tenant and service) those are.
    pub n_others: usize,
    /// Of services that no tenant uses, and what belongs to no service.
    pub unattributed_per_hour: f64,
    /// Tenants above their quota.
    pub over_quota: Vec<OverQuota>,
}

/// What one tenant costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TenantRate {
    /// Money.
    pub per_hour: f64,
    /// Requests per second over all services.
    pub rps: f64,
    /// The same by service.
    pub rps_by_service: BTreeMap<ServiceName, f64>,
}

/// A tenant above its quota: it has used up the burst, and still asks for more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverQuota {
    /// Who.
    pub tenant: TenantName,
    /// Requests per second, over all services.
    pub rps: f64,
    /// At most so many.
    pub quota_rps: f64,
}

/// What a tenant asks of one service, for whoever throttles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TenantStanding {
    /// Who.
    pub tenant: TenantName,
    /// Whose requests are worth more.
    pub value: f64,
    /// Requests per second of this service.
    pub rps: f64,
    /// Requests per second that no throttling may take: its share of all requests of the
    /// service. More than `rps` when it does not want them.
    pub protected_rps: f64,
}

/// Quotas and who is tracked, from one reading to the next. At most `tracked_max` tenants and
/// the named ones.
#[derive(Clone, Debug, Default)]
pub struct TenantMeter {
    buckets: BTreeMap<TenantName, Bucket>,
}

/// A token bucket. One without a quota only remembers that the tenant is tracked.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    at: Timestamp,
    /// Requests that are left of the burst.
    tokens: f64,
}

impl TenantMeter {
    /// What tenants cost at `now`. Without a reading there are no tenants in it, and all is
    /// unattributed: the meters hold the last rates where they should.
    pub fn observe(
        &mut self,
        now: Timestamp,
        tenants: &Tenants,
        usage: Option<&TenantUsage>,
        rates: &SpendRates,
    ) -> TenantRates {
        let mut result = TenantRates::default();
        let by_tenant = sums(usage);
        let tracked = self.tracked(tenants, &by_tenant);
        let mut of_services: BTreeMap<&ServiceName, f64> = BTreeMap::new();
        for (service, rps) in by_tenant.values().flatten() {
            *of_services.entry(service).or_default() += rps;
        }
        // Of what was not looked at, the service is not known: it pays its part of all.
        let unseen = usage.map_or(0.0, |it| it.others_rps);
        let unseen = if is_amount(unseen) { unseen } else { 0.0 };
        let seen: f64 = of_services.values().sum();
        let seen_ratio = if 0.0 < seen { seen / (seen + unseen) } else { 1.0 };
        let price: BTreeMap<&ServiceName, f64> = of_services
            .into_iter()
            .filter(|(_, rps)| 0.0 < *rps)
            .map(|(service, rps)| {
                let per_hour = rates.by_service.get(service).copied().unwrap_or(0.0);
                (service, per_hour * seen_ratio / rps)
            })
            .collect();
        let used = rates.by_service.iter().filter(|(it, _)| price.contains_key(it));
        let used: f64 = used.map(|it| it.1).sum();
        result.unattributed_per_hour = (rates.total_per_hour - used).max(0.0);
        result.others_per_hour = used * (1.0 - seen_ratio);
        for (tenant, services) in &by_tenant {
            let cost = |(service, rps): (&&ServiceName, &f64)| {
                price.get(*service).copied().unwrap_or(0.0) * rps
            };
            let per_hour: f64 = services.iter().map(cost).sum();
            let rps: f64 = services.values().sum();
            if tracked.contains(tenant) {
                let services = services.iter().map(|(it, rps)| ((*it).clone(), *rps));
                let rate = TenantRate { per_hour, rps, rps_by_service: services.collect() };
                result.by_tenant.insert((*tenant).clone(), rate);
            } else {
                result.others_per_hour += per_hour;
                result.others_rps += rps;
                result.n_others += services.len();
            }
        }
        if let Some(usage) = usage {
            result.others_rps += unseen;
            result.n_others += usage.n_others;
            for tenant in tracked {
                let rps = result.by_tenant.get(tenant).map_or(0.0, |it| it.rps);
                let quota = tenants.of(tenant).quota_rps;
                result.over_quota.extend(self.fill(now, tenant, rps, quota));
            }
        }
        result
    }

    /// Who is tracked; forgets all others.
    fn tracked<'a>(
        &mut self,
        tenants: &'a Tenants,
        by_tenant: &BTreeMap<&'a TenantName, BTreeMap<&ServiceName, f64>>,
    ) -> BTreeSet<&'a TenantName> {
        let mut tracked: BTreeSet<&TenantName> = tenants.tenants.keys().collect();
        let mut others: Vec<(f64, &TenantName)> = Vec::new();
        for (tenant, services) in by_tenant.iter().filter(|(it, _)| !tracked.contains(*it)) {
            let rps: f64 = services.values().sum();
            let is_tracked = self.buckets.contains_key(*tenant);
            others.push((if is_tracked { rps * TRACKED_ADVANTAGE } else { rps }, *tenant));
        }
        others.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        others.truncate(tenants.tracked_max.saturating_sub(tracked.len()));
        tracked.extend(others.into_iter().map(|it| it.1));
        // Without a reading nobody is forgotten: nothing is known.
        if !by_tenant.is_empty() {
            self.buckets.retain(|it, _| tracked.contains(it));
        }
        tracked
    }

    /// Takes the requests since the last reading out of the bucket.
    fn fill(
        &mut self,
        now: Timestamp,
        tenant: &TenantName,
        rps: f64,
        quota: Option<f64>,
    ) -> Option<OverQuota> {
        let quota_rps = quota.unwrap_or(f64::MAX);
        let burst = quota_rps * BURST.as_secs_f64();
        let full = Bucket { at: now, tokens: burst };
        let bucket = self.buckets.entry(tenant.clone()).or_insert(full);
        // What happened in a long gap is not known: at most one burst is judged at a time.
        let elapsed = now.duration_since(bucket.at).as_secs_f64().clamp(0.0, BURST.as_secs_f64());
        bucket.tokens = (bucket.tokens + (quota_rps - rps) * elapsed).clamp(0.0, burst);
        bucket.at = now;
        let is_over = bucket.tokens <= 0.0 && quota_rps < rps;
        is_over.then(|| OverQuota { tenant: tenant.clone(), rps, quota_rps })
    }
}

fn sums(usage: Option<&TenantUsage>) -> BTreeMap<&TenantName, BTreeMap<&ServiceName, f64>> {
    let mut sums: BTreeMap<&TenantName, BTreeMap<&ServiceName, f64>> = BTreeMap::new();
    let usable = usage.map(|it| it.by_tenant.as_slice()).unwrap_or_default().iter();
    for (tenant, service, rps) in usable.filter(|it| is_amount(it.2)) {
        *sums.entry(tenant).or_default().entry(service).or_default() += rps;
    }
    sums
}

/// The tracked tenants of a service, the lowest value first, then the largest.
pub fn standings(
    rates: &TenantRates,
    tenants: &Tenants,
    service: &ServiceName,
    total_rps: f64,
) -> Vec<TenantStanding> {
    let mut standings: Vec<TenantStanding> = rates
        .by_tenant
        .iter()
        .filter_map(|(tenant, rate)| {
            let rps = *rate.rps_by_service.get(service)?;
            let it = tenants.of(tenant);
            let protected_rps = it.share_ratio * total_rps;
            Some(TenantStanding { tenant: tenant.clone(), value: it.value, rps, protected_rps })
        })
        .collect();
    standings.sort_by(|a, b| {
        a.value
            .total_cmp(&b.value)
            .then(b.rps.total_cmp(&a.rps))
            .then_with(|| a.tenant.cmp(&b.tenant))
    });
    standings
}

/// What a tenant wants of a capacity, and what it is sure to get.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Who.
    pub tenant: TenantName,
    /// Wanted requests per second, `>= 0`.
    pub rps: f64,
    /// Its share of the capacity, in `[0, 1]`; when all shares are more than 1 together, they
    /// are made smaller in proportion.
    pub share_ratio: f64,
}

/// Requests per second that each may have, in the order of `demand`: weighted max-min fair.
///
/// Everybody gets the smaller of what it wants and its share of `capacity_rps`. What is left
/// goes to those who want more, all to the same level of what they get in addition, until
/// they have what they want or nothing is left. So the sum is at most the capacity, nobody
/// gets more than it wants, and when one wants less, nobody else gets less.
///
/// Source: Bertsekas and Gallager, *Data Networks* (1992), 6.5.2, progressive filling.
#[expect(clippy::cast_precision_loss, reason = "there are at most some thousand tenants")]
pub fn fair_limits(demand: &[Demand], capacity_rps: f64) -> Vec<f64> {
    let clean = |it: f64| if it.is_finite() { it.max(0.0) } else { 0.0 };
    let capacity = clean(capacity_rps);
    let shares: f64 = demand.iter().map(|it| clean(it.share_ratio)).sum();
    let scale = capacity / shares.max(1.0);
    let mut limits: Vec<f64> =
        demand.iter().map(|it| clean(it.rps).min(clean(it.share_ratio) * scale)).collect();
    let mut left = (capacity - limits.iter().sum::<f64>()).max(0.0);
    let mut wants: Vec<(f64, usize)> =
        demand.iter().zip(&limits).map(|(it, has)| clean(it.rps) - has).zip(0..).collect();
    wants.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut n_left = wants.len();
    for (wanted, nth) in wants {
        let more = wanted.max(0.0).min(left / n_left as f64);
        if let Some(it) = limits.get_mut(nth) {
            *it += more;
        }
        left = (left - more).max(0.0);
        n_left -= 1;
    }
    limits
}
