//! Who shares a service, and the door where one of them can be limited.
//!
//! **In:** shares of the load from outside, worthless requests of one tenant, limits.
//! **Out:** what is let in, what is refused, and [`TenantSums`].
//! **Not here:** what becomes of what is let in ([`super::service`]), who sets a limit
//! ([`crate::actuators`]).
//!
//! A tenant that asks for more than its limit has the same share of its first tries and of its
//! worthless requests refused, at once: they cost nothing and are not tried again. First tries
//! that are refused are lost, so they count against the service as against the tenant: whoever
//! sent them was not served. Worthless ones that are refused count nowhere but in what the
//! tenant asked for. Retries, and what other services ask for, belong to nobody.

use std::collections::BTreeMap;

use super::World;
use super::truth::Knobs;

/// Most tenants of one service. Why 8: enough for one that runs away and others that it must not
/// starve; a thousand of them are a matter of the agent's arithmetic, not of the world's.
pub const TENANTS_MAX: usize = 8;

/// One of those who share a service.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSpec {
    /// Its name, unique within the service.
    pub name: String,
    /// Its share of the load from outside, `0.0 ..= 1.0`. Where the shares of all add up to less
    /// than 1, the rest belongs to nobody.
    pub share_ratio: f64,
}

/// Sums of one tenant since the start, or since [`World::restart_sums`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TenantSums {
    /// First tries.
    pub offered: f64,
    /// Of these, refused at the door.
    pub refused: f64,
    /// Of the service's good answers those that are its own: in proportion to what was let in.
    pub good: f64,
    /// Worthless requests, and those of them that were refused.
    pub junk: f64,
    /// See above.
    pub junk_refused: f64,
}

#[derive(Clone, Debug)]
struct Tenant {
    spec: TenantSpec,
    limit: Option<f64>,
    sums: TenantSums,
    /// Everything that it asked for in the last second.
    asked_rps: f64,
    let_in: f64,
}

/// The door of a service with tenants.
#[derive(Clone, Debug)]
pub(super) struct Door {
    tenants: Vec<Tenant>,
}

/// What comes of the door in one second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AtTheDoor {
    /// First tries that were refused.
    pub(super) refused: f64,
    /// Worthless requests of tenants that were let in.
    pub(super) junk: f64,
}

impl Door {
    fn new(tenants: &[TenantSpec]) -> Door {
        let tenants = tenants.iter().take(TENANTS_MAX).map(|spec| Tenant {
            spec: spec.clone(),
            limit: None,
            sums: TenantSums::default(),
            asked_rps: 0.0,
            let_in: 0.0,
        });
        Door { tenants: tenants.collect() }
    }

    /// One second in which `outside` first tries come from people.
    pub(super) fn pass_second(&mut self, outside: f64, knobs: &Knobs) -> AtTheDoor {
        let mut passed = AtTheDoor::default();
        for (tenant, junk) in self.tenants.iter_mut().zip(knobs.tenants_junk_rps) {
            let offered = outside * tenant.spec.share_ratio;
            let asked = offered + junk;
            let allowed = tenant.limit.map_or(1.0, |it| if it < asked { it / asked } else { 1.0 });
            let refused = offered * (1.0 - allowed);
            let junk_refused = junk * (1.0 - allowed);
            tenant.asked_rps = asked;
            tenant.let_in = offered - refused;
            let sums = &mut tenant.sums;
            sums.offered += offered;
            sums.refused += refused;
            sums.junk += junk;
            sums.junk_refused += junk_refused;
            passed.refused += refused;
            passed.junk += junk - junk_refused;
        }
        passed
    }

    /// How the second went: `good` answers, of `first` tries that were let in.
    pub(super) fn conclude(&mut self, good: f64, first: f64) {
        if first <= 0.0 {
            return;
        }
        for tenant in &mut self.tenants {
            tenant.sums.good += good * (tenant.let_in / first).min(1.0);
        }
    }

    pub(super) fn restart_sums(&mut self) {
        for tenant in &mut self.tenants {
            tenant.sums = TenantSums::default();
        }
    }
}

impl World {
    /// From now on these share the load of a service; at most [`TENANTS_MAX`] do. Nothing for a
    /// service that is not there.
    pub fn share_out(&mut self, service: usize, tenants: &[TenantSpec]) {
        if let Some(it) = self.services.get_mut(service) {
            it.door = (!tenants.is_empty()).then(|| Box::new(Door::new(tenants)));
        }
    }

    /// The tenants of a service, in their order, and what each asked for in the last second, per
    /// second: first tries and worthless requests, let in or not.
    pub fn tenants(&self, service: usize) -> impl Iterator<Item = (&str, f64)> {
        let door = self.services.get(service).and_then(|it| it.door.as_ref());
        let tenants = door.map_or(&[][..], |it| it.tenants.as_slice());
        tenants.iter().map(|it| (it.spec.name.as_str(), it.asked_rps))
    }

    /// The sums of one tenant; zeros for one that is not there.
    pub fn tenant_sums(&self, service: usize, tenant: usize) -> TenantSums {
        let door = self.services.get(service).and_then(|it| it.door.as_ref());
        door.and_then(|it| it.tenants.get(tenant)).map_or_else(TenantSums::default, |it| it.sums)
    }

    /// The limits of a service's tenants by name, in requests per second.
    pub fn tenant_limits(&self, service: usize) -> BTreeMap<&str, f64> {
        let door = self.services.get(service).and_then(|it| it.door.as_ref());
        let tenants = door.map_or(&[][..], |it| it.tenants.as_slice());
        tenants.iter().filter_map(|it| Some((it.spec.name.as_str(), it.limit?))).collect()
    }

    /// Lets at most so many requests per second of a tenant in; `None` is no limit.
    ///
    /// # Errors
    ///
    /// That there is no tenant of that name.
    pub fn limit_tenant(
        &mut self,
        service: usize,
        tenant: &str,
        limit: Option<f64>,
    ) -> Result<(), String> {
        let door = self.services.get_mut(service).and_then(|it| it.door.as_mut());
        let found = door.and_then(|it| it.tenants.iter_mut().find(|it| it.spec.name == tenant));
        match found {
            Some(it) => {
                it.limit = limit.filter(|it| it.is_finite()).map(|it| it.max(0.0));
                Ok(())
            }
            None => Err(format!("service number {service} has no tenant `{tenant}`")),
        }
    }
}
