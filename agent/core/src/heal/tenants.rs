//! Which tenant a step limits, and to what.
//!
//! **In:** who uses the target's service now; what the step says.
//! **Out:** one tenant and a limit that leaves what is guaranteed to it, or why there is none.
//! **Not here:** metering ([`crate::spend`]), the limits in force ([`Seen::TenantLimits`]),
//! setting them (`evenkeel-providers`).

use crate::action::{Action, Seen};
use crate::condition::Formula;
use crate::documents::TenantSelection;
use crate::heal::resolve::Making;
use crate::ids::TenantName;
use crate::run::plan::PlannedKind;
use crate::spend::service_of;
use crate::spend::tenants::TenantStanding;

impl TenantStanding {
    fn uses(&self) -> bool {
        0.0 < self.rps && self.rps.is_finite()
    }
}

/// The tenant that `selection` means.
///
/// [`TenantSelection::LowestValue`] is the lowest value of those that use the service; of
/// equal ones the one with more requests, then the first by name. So the one whose requests
/// are worth most is never chosen unless all are worth the same.
/// [`TenantSelection::Largest`] has the most requests; of equal ones the lower value goes
/// first, then the name. A name stands for itself.
///
/// # Errors
///
/// Why there is nobody to choose: a tenant that is alone has nobody whom its limit would help.
pub fn choose(
    selection: &TenantSelection,
    standings: &[TenantStanding],
) -> Result<TenantName, String> {
    let by_value = |a: &TenantStanding, b: &TenantStanding| a.value.total_cmp(&b.value);
    // The most first.
    let by_rps = |a: &TenantStanding, b: &TenantStanding| b.rps.total_cmp(&a.rps);
    let users = || standings.iter().filter(|it| it.uses());
    let chosen = match selection {
        TenantSelection::Named(name) => return Ok(name.clone()),
        TenantSelection::LowestValue => users().min_by(|a, b| {
            by_value(a, b).then_with(|| by_rps(a, b)).then_with(|| a.tenant.cmp(&b.tenant))
        }),
        TenantSelection::Largest => users().min_by(|a, b| {
            by_rps(a, b).then_with(|| by_value(a, b)).then_with(|| a.tenant.cmp(&b.tenant))
        }),
    };
    match (chosen, users().count()) {
        (None, _) => Err("no tenant uses the service, so there is nobody to limit".to_owned()),
        (Some(only), 1) => Err(format!(
            "only tenant {} uses the service, so there is nobody to choose between; name it in \
             the step if it is to be limited all the same",
            only.tenant
        )),
        (Some(chosen), _) => Ok(chosen.tenant.clone()),
    }
}

impl Making<'_> {
    /// What a `throttle_tenant` does now.
    pub(super) fn throttled(
        &self,
        selection: &TenantSelection,
        rate: &Formula,
        seen: Option<&Seen>,
    ) -> Result<PlannedKind, String> {
        let Some(Seen::TenantLimits { limits: there }) = seen else {
            return Err("the limits of its tenants are not known".to_owned());
        };
        let tenant = self.chosen(selection)?;
        let asked = self.asked(rate)?;
        let limit = at_least(asked, self.protected_rps(&tenant)?)?;
        if let Some(there) = there.get(&tenant).filter(|it| **it <= limit) {
            let why = format!("tenant {tenant} is limited to {there} requests/s already");
            return Ok(PlannedKind::Skip { why });
        }
        let limits = [(tenant, Some(limit))].into();
        Ok(PlannedKind::Act { action: Action::LimitTenants { limits } })
    }

    /// Why that tenant and that limit, for people who are asked.
    pub(super) fn why_limited(
        &self,
        selection: &TenantSelection,
        rate: &Formula,
        action: &Action,
    ) -> Vec<String> {
        let Action::LimitTenants { limits } = action else { return Vec::new() };
        let Some((tenant, limit)) = limits.first_key_value() else { return Vec::new() };
        let service = service_of(self.target);
        let service = service.as_ref().map_or("its service", |it| it.as_str());
        let standings = self.standings.unwrap_or_default();
        let n_users = standings.iter().filter(|it| it.uses()).count();
        let standing = standings.iter().find(|it| it.tenant == *tenant);
        let value = standing.map_or_else(String::new, |it| rounded(it.value));
        let mut line = match selection {
            TenantSelection::Named(_) => {
                format!("{tenant} of {service}: named by the playbook")
            }
            TenantSelection::LowestValue => {
                format!("{tenant} of {service}: lowest value {value} of {n_users} tenants")
            }
            TenantSelection::Largest => {
                format!("{tenant} of {service}: most requests of {n_users} tenants, value {value}")
            }
        };
        match standing {
            Some(TenantStanding { rps, protected_rps, .. }) => {
                let (rps, own) = (rounded(*rps), rounded(*protected_rps));
                line.push_str(&format!("; it has {rps}/s, {own}/s are its own"));
            }
            None => line.push_str("; nobody knows what it has"),
        }
        if let (Ok(asked), Some(limit)) = (self.asked(rate), limit)
            && asked < f64::from(*limit)
        {
            let asked = rounded(asked);
            line.push_str(&format!("; the playbook says {asked}/s, what is its own stays"));
        }
        vec![line]
    }

    fn chosen(&self, selection: &TenantSelection) -> Result<TenantName, String> {
        match (selection, self.standings) {
            (TenantSelection::Named(name), _) => Ok(name.clone()),
            (TenantSelection::LowestValue | TenantSelection::Largest, Some(standings)) => {
                choose(selection, standings)
            }
            (TenantSelection::LowestValue | TenantSelection::Largest, None) => {
                Err("nobody knows which tenants use the service now: see whether there is a \
                     `Tenants` document and whether its query answers for this service"
                    .to_owned())
            }
        }
    }

    /// What the step says, in whole requests per second.
    fn asked(&self, rate: &Formula) -> Result<f64, String> {
        let value = rate.value(&self.values);
        let value = value.ok_or_else(|| format!("cannot tell {}", rate.show(&self.values)))?;
        let asked = value.floor();
        if asked < 1.0 {
            let shown = rate.show(&self.values);
            return Err(format!("a limit of {value} requests/s ({shown}) is below the least, 1"));
        }
        Ok(asked)
    }

    /// What is guaranteed to a tenant. Without any metering only where nothing is.
    fn protected_rps(&self, tenant: &TenantName) -> Result<f64, String> {
        let standings = self.standings.unwrap_or_default();
        if let Some(standing) = standings.iter().find(|it| it.tenant == *tenant) {
            return Ok(standing.protected_rps);
        }
        let tenants = self.documents.economy().tenants.as_ref();
        let share_ratio = tenants.map_or(0.0, |it| it.of(tenant).share_ratio);
        if 0.0 < share_ratio {
            return Err(format!(
                "{} % of the service is guaranteed to tenant {tenant}, and nobody knows how many \
                 requests that is now",
                rounded(100.0 * share_ratio)
            ));
        }
        Ok(0.0)
    }
}

/// The limit: what was asked for, but never less than what is guaranteed.
fn at_least(asked: f64, protected_rps: f64) -> Result<u32, String> {
    let limit = asked.max(protected_rps.ceil());
    // NaN is neither.
    if protected_rps.is_finite() && limit <= f64::from(u32::MAX) {
        return Ok(whole(limit));
    }
    Err(format!("a limit of {limit} requests/s cannot be set, at most {} can", u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 1 and the largest"
)]
fn whole(limit: f64) -> u32 {
    limit as u32
}

/// With at most one digit behind the point.
fn rounded(value: f64) -> String {
    let tenths = (10.0 * value).round() / 10.0;
    tenths.to_string()
}
