//! `services:` of a region's scenario.
//!
//! **In:** services as written. **Out:** [`ServiceSpec`]s, and where each of their numbers is
//! written. **Not here:** most limits of the numbers ([`WorldSpec::check`] has them).

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::value::{FineLength, Length, RawFault, is_name, name_fault, within};
use crate::chance::seconds_f64;
use crate::load::LoadCurve;
use crate::world::{
    CallSpec, RetrySpec, ServiceKind, ServiceSpec, TENANTS_MAX, TenantSpec, UnitSpec,
};

#[cfg(doc)]
use crate::world::WorldSpec;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    name: Spanned<String>,
    kind: RawServiceKind,
    timeout: Option<Spanned<FineLength>>,
    queue_per_unit: Option<Spanned<f64>>,
    queue_max: Option<Spanned<f64>>,
    cache: Option<Spanned<RawCache>>,
    writes_ratio: Option<Spanned<f64>>,
    load: Option<RawCurve>,
    tenants: Option<Spanned<Vec<RawTenant>>>,
    #[serde(default)]
    calls: Vec<RawCall>,
    unit: RawUnit,
    units: RawUnits,
    boot: Option<RawBoot>,
    start_calls: Option<Spanned<f64>>,
    retries: Option<RawRetries>,
    objective: RawObjective,
    price_usd_per_hour: Spanned<f64>,
    scaled: Option<bool>,
    critical: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawServiceKind {
    Web,
    Workers,
    Cache,
    Database,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCache {
    items: Spanned<f64>,
    zipf_exponent: Spanned<f64>,
    items_per_unit: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCurve {
    trough: Spanned<f64>,
    peak: Spanned<f64>,
    peak_hour: Spanned<f64>,
    weekend_ratio: Spanned<f64>,
    noise_ratio: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTenant {
    name: Spanned<String>,
    share_ratio: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCall {
    service: Spanned<String>,
    per_request: Spanned<f64>,
    needed: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnit {
    slots: Spanned<u32>,
    service_time: Spanned<FineLength>,
    cpu_ratio: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnits {
    start: Spanned<u32>,
    min: Spanned<u32>,
    max: Spanned<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBoot {
    median: Spanned<Length>,
    sigma: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetries {
    retries: Spanned<u32>,
    budget_ratio: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObjective {
    latency: Spanned<FineLength>,
    good_ratio: Spanned<f64>,
}

/// What nobody needs to write.
const TIMEOUT_SECONDS: f64 = 2.0;
const QUEUE_PER_UNIT: f64 = 100.0;
const QUEUE_MAX: f64 = 1_000_000.0;
const WRITES_RATIO: f64 = 0.2;
const BOOT_MEDIAN_SECONDS: f64 = 90.0;
const BOOT_SIGMA: f64 = 0.3;

/// Where a number of the world's spec is written in the scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// As the spec calls it.
    pub(super) field: &'static str,
    /// As the scenario calls it.
    pub(super) written: &'static str,
    pub(super) location: Location,
}

impl RawService {
    /// The service, given all services' names in order, this one being the `index`th.
    pub(super) fn checked(&self, names: &Names<'_>, index: usize) -> Result<ServiceSpec, RawFault> {
        let RawService {
            name,
            kind: _,
            timeout: _,
            queue_per_unit: _,
            queue_max: _,
            cache: _,
            writes_ratio: _,
            load,
            tenants: _,
            calls,
            unit: RawUnit { slots, service_time, cpu_ratio },
            units: RawUnits { start, min, max },
            boot,
            start_calls,
            retries,
            objective: RawObjective { latency, good_ratio },
            price_usd_per_hour,
            scaled,
            critical,
        } = self;
        if !is_name(&name.value) {
            return Err(name_fault(name));
        }
        if max.value < min.value {
            let message =
                format!("`units.min` ({}) is above `units.max` ({})", min.value, max.value);
            return Err(RawFault::new(min.referenced, message, "swap the two"));
        }
        if let Some(RawCurve { trough, peak, .. }) = load
            && peak.value < trough.value
        {
            let (low, high) = (trough.value, peak.value);
            let message = format!("`load.trough` ({low}) is above `load.peak` ({high})");
            return Err(RawFault::new(trough.referenced, message, "swap the two"));
        }
        let boot_median = boot.as_ref().map(|it| seconds_f64(it.median.value.0));
        Ok(ServiceSpec {
            name: name.value.clone(),
            kind: self.kind()?,
            load: load.as_ref().map(RawCurve::curve),
            calls: calls.iter().map(|it| it.checked(names, index)).collect::<Result<_, _>>()?,
            unit: UnitSpec {
                slots: slots.value,
                service_seconds: service_time.value.0,
                cpu_ratio: cpu_ratio.value,
            },
            units_start: start.value,
            units_min: min.value,
            units_max: max.value,
            boot_median_seconds: boot_median.unwrap_or(BOOT_MEDIAN_SECONDS),
            boot_sigma: boot.as_ref().map_or(BOOT_SIGMA, |it| it.sigma.value),
            start_calls: start_calls.as_ref().map_or(0.0, |it| it.value),
            retries: RetrySpec {
                retries: retries.as_ref().map_or(0, |it| it.retries.value),
                budget_ratio: retries
                    .as_ref()
                    .and_then(|it| it.budget_ratio.as_ref())
                    .map(|it| it.value),
            },
            objective_seconds: latency.value.0,
            objective_ratio: good_ratio.value,
            unit_usd_per_hour: price_usd_per_hour.value,
            is_scaled: scaled.unwrap_or(true),
            is_critical: critical.unwrap_or(true),
        })
    }

    /// The kind with the fields that it has, and none that it has not.
    fn kind(&self) -> Result<ServiceKind, RawFault> {
        use RawServiceKind::{Cache, Database, Web, Workers};
        let fields = [
            ("timeout", self.timeout.as_ref().map(|it| it.referenced), &[Web, Cache, Database][..]),
            (
                "queue_per_unit",
                self.queue_per_unit.as_ref().map(|it| it.referenced),
                &[Web, Database],
            ),
            ("queue_max", self.queue_max.as_ref().map(|it| it.referenced), &[Workers]),
            ("cache", self.cache.as_ref().map(|it| it.referenced), &[Cache]),
            ("writes_ratio", self.writes_ratio.as_ref().map(|it| it.referenced), &[Database]),
        ];
        for (field, location, kinds) in fields {
            if let Some(location) = location
                && !kinds.contains(&self.kind)
            {
                let kind = self.kind.name();
                let message = format!("`{field}` does not fit a service of kind `{kind}`");
                let kinds: Vec<&str> = kinds.iter().map(|it| it.name()).collect();
                let hint = format!("remove it; it is for {}", kinds.join(", "));
                return Err(RawFault::new(location, message, hint));
            }
        }
        let timeout_seconds = self.timeout.as_ref().map_or(TIMEOUT_SECONDS, |it| it.value.0);
        let queue_per_unit_max = self.queue_per_unit.as_ref().map_or(QUEUE_PER_UNIT, |it| it.value);
        Ok(match self.kind {
            Web => ServiceKind::Web { queue_per_unit_max, timeout_seconds },
            Workers => ServiceKind::Workers {
                queue_max: self.queue_max.as_ref().map_or(QUEUE_MAX, |it| it.value),
            },
            Cache => {
                let Some(cache) = &self.cache else {
                    let message = format!("`{}` has no `cache`", self.name.value);
                    let hint = "add `cache: { items: …, zipf_exponent: …, items_per_unit: … }`";
                    return Err(RawFault::new(self.name.referenced, message, hint));
                };
                ServiceKind::Cache {
                    items: cache.value.items.value,
                    zipf_exponent: cache.value.zipf_exponent.value,
                    items_per_unit: cache.value.items_per_unit.value,
                    timeout_seconds,
                }
            }
            Database => ServiceKind::Database {
                queue_per_unit_max,
                timeout_seconds,
                writes_ratio: self.writes_ratio.as_ref().map_or(WRITES_RATIO, |it| it.value),
            },
        })
    }

    /// Who shares its load.
    pub(super) fn tenants(&self) -> Result<Vec<TenantSpec>, RawFault> {
        let Some(tenants) = &self.tenants else { return Ok(Vec::new()) };
        let fault = |message, hint: &'static str| RawFault::new(tenants.referenced, message, hint);
        if self.load.is_none() {
            let message = format!("`{}` has `tenants` and no `load`", self.name.value);
            return Err(fault(message, "add the load that they share, or remove them"));
        }
        if TENANTS_MAX < tenants.value.len() {
            let n = tenants.value.len();
            let message = format!("there are {n} tenants, at most {TENANTS_MAX} are simulated");
            return Err(fault(message, "put the small ones together"));
        }
        let mut specs: Vec<TenantSpec> = Vec::new();
        for RawTenant { name, share_ratio } in &tenants.value {
            if !is_name(&name.value) {
                return Err(name_fault(name));
            }
            if specs.iter().any(|it| it.name == name.value) {
                let message = format!("two tenants are called `{}`", name.value);
                return Err(RawFault::new(name.referenced, message, "rename one"));
            }
            let share_ratio = within("share_ratio", share_ratio, 0.0..=1.0)?;
            specs.push(TenantSpec { name: name.value.clone(), share_ratio });
        }
        let sum: f64 = specs.iter().map(|it| it.share_ratio).sum();
        if 1.0 + 1e-9 < sum {
            let message = format!("the tenants' shares add up to {sum}, at most 1");
            return Err(fault(message, "what is missing to 1 belongs to nobody"));
        }
        Ok(specs)
    }

    pub(super) fn name(&self) -> &Spanned<String> {
        &self.name
    }

    /// Where its numbers are written. Fields that are not written have no place.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let mut add = |field, written, location| places.push(Place { field, written, location });
        let RawService { unit, units, objective, .. } = self;
        add("name", "name", self.name.referenced);
        add("slots", "unit.slots", unit.slots.referenced);
        add("service_seconds", "unit.service_time", unit.service_time.referenced);
        add("cpu_ratio", "unit.cpu_ratio", unit.cpu_ratio.referenced);
        add("units_start", "units.start", units.start.referenced);
        add("units_min", "units.min", units.min.referenced);
        add("units_max", "units.max", units.max.referenced);
        add("objective_seconds", "objective.latency", objective.latency.referenced);
        add("objective_ratio", "objective.good_ratio", objective.good_ratio.referenced);
        add("unit_usd_per_hour", "price_usd_per_hour", self.price_usd_per_hour.referenced);
        if let Some(it) = &self.timeout {
            add("timeout_seconds", "timeout", it.referenced);
        }
        if let Some(it) = &self.queue_per_unit {
            add("queue_per_unit_max", "queue_per_unit", it.referenced);
        }
        if let Some(it) = &self.queue_max {
            add("queue_max", "queue_max", it.referenced);
        }
        if let Some(it) = &self.writes_ratio {
            add("writes_ratio", "writes_ratio", it.referenced);
        }
        if let Some(it) = &self.start_calls {
            add("start_calls", "start_calls", it.referenced);
        }
        if let Some(Spanned { value: it, .. }) = &self.cache {
            add("items", "cache.items", it.items.referenced);
            add("zipf_exponent", "cache.zipf_exponent", it.zipf_exponent.referenced);
            add("items_per_unit", "cache.items_per_unit", it.items_per_unit.referenced);
        }
        if let Some(it) = &self.load {
            add("trough_rps", "load.trough", it.trough.referenced);
            add("peak_rps", "load.peak", it.peak.referenced);
            add("peak_hour", "load.peak_hour", it.peak_hour.referenced);
            add("weekend_ratio", "load.weekend_ratio", it.weekend_ratio.referenced);
            add("noise_ratio", "load.noise_ratio", it.noise_ratio.referenced);
        }
        if let Some(it) = &self.boot {
            add("boot_median_seconds", "boot.median", it.median.referenced);
            add("boot_sigma", "boot.sigma", it.sigma.referenced);
        }
        if let Some(it) = &self.retries {
            add("retries", "retries.retries", it.retries.referenced);
            if let Some(it) = &it.budget_ratio {
                add("budget_ratio", "retries.budget_ratio", it.referenced);
            }
        }
        let is_odd = |it: &&RawCall| !(0.0..=1_000.0).contains(&it.per_request.value);
        if let Some(it) = self.calls.iter().find(is_odd).or(self.calls.first()) {
            add("per_request", "calls.per_request", it.per_request.referenced);
        }
        places
    }
}

impl RawServiceKind {
    fn name(self) -> &'static str {
        match self {
            RawServiceKind::Web => "web",
            RawServiceKind::Workers => "workers",
            RawServiceKind::Cache => "cache",
            RawServiceKind::Database => "database",
        }
    }
}

impl RawCurve {
    fn curve(&self) -> LoadCurve {
        LoadCurve {
            trough_rps: self.trough.value,
            peak_rps: self.peak.value,
            peak_hour: self.peak_hour.value,
            weekend_ratio: self.weekend_ratio.value,
            noise_ratio: self.noise_ratio.value,
        }
    }
}

/// Places of services by name.
pub(super) type Names<'a> = std::collections::BTreeMap<&'a str, usize>;

impl RawCall {
    fn checked(&self, names: &Names<'_>, caller: usize) -> Result<CallSpec, RawFault> {
        let RawCall { service, per_request, needed } = self;
        let name = &service.value;
        let Some(place) = names.get(name.as_str()).copied() else {
            let hint = "name one of the services that come after the caller";
            let message = format!("no service is called `{name}`");
            return Err(RawFault::new(service.referenced, message, hint));
        };
        if place <= caller {
            let message = format!("`{name}` comes before its caller, or is the caller");
            let hint = "move it behind its callers; calls must not go in circles";
            return Err(RawFault::new(service.referenced, message, hint));
        }
        Ok(CallSpec {
            service: place,
            per_request: per_request.value,
            is_needed: needed.unwrap_or(true),
        })
    }
}
