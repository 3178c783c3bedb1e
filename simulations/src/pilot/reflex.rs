//! A scaling script without any doubt: naive on purpose.
//!
//! **In:** the newest number. **Out:** units, at once and in both directions.
//! **Not here:** anything that a careful scaler has: tolerance, stabilization, a floor on
//! missing data, respect for people.
//!
//! It does what made these incidents worse (`anchors/resilience.md`, by number):
//!
//! - 1 and 2: a metric that is missing, not a number or below zero reads as 0, and the fleet goes
//!   to its minimum (KEDA #3064, #965).
//! - 3: a dependency is slow, less arrives, capacity is removed, and the load comes back.
//! - 4: what a person set is overwritten 15 s later.
//! - 7, 12 and 16: retries, attacks and a service that more units only make slower are followed
//!   as far as the bounds allow.

use super::sizing::{clamp, units_at};
use super::{Deed, Look, Pilot, ServiceLook};
use crate::hpa_rule::ceil_units;
use crate::world::{ServiceKind, ServiceSpec};

/// From look to look in seconds. Why 15: half of KEDA's `pollingInterval`, as impatient people
/// set it.
const PERIOD_SECONDS: i64 = 15;
/// Share of what a unit can do that it shall do. Why 0.75: between what HPA's users set (0.7) and
/// what is said to be needed (0.8).
const UTILISATION: f64 = 0.75;
/// Time in which what waits shall be worked off, in seconds.
const BACKLOG_SECONDS: f64 = 30.0;

/// Units in proportion to the newest number, whatever it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reflex;

impl Pilot for Reflex {
    fn label(&self) -> String {
        "reflex".to_owned()
    }

    fn period_seconds(&self) -> i64 {
        PERIOD_SECONDS
    }

    fn look(&mut self, look: &Look<'_>) -> Vec<Deed> {
        (0..)
            .zip(look.spec.services.iter().zip(look.services))
            .filter(|(_, (spec, _))| spec.is_scaled)
            .map(|(service, (spec, seen))| (service, wanted(spec, seen), seen.desired))
            .filter(|(_, units, desired)| *desired != Some(*units))
            .map(|(service, units, _)| Deed::SetUnits { service, units })
            .collect()
    }
}

fn wanted(spec: &ServiceSpec, seen: &ServiceLook) -> u32 {
    // Here is the mistake: missing is not zero.
    let arrived = seen.arrived_rps.unwrap_or(0.0);
    let units = match spec.kind {
        ServiceKind::Workers { .. } => {
            let waiting = seen.queue_depth.unwrap_or(0.0);
            ceil_units((waiting / BACKLOG_SECONDS + arrived) / seen.unit_rps)
        }
        ServiceKind::Web { .. } | ServiceKind::Cache { .. } | ServiceKind::Database { .. } => {
            units_at(seen.unit_rps, arrived, UTILISATION)
        }
    };
    clamp(spec, units)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MAIL, SHOP, STORE, calm, look_at};
    use super::*;

    /// What it sets for one service that it sees like that.
    #[track_caller]
    fn check(service: usize, seen: ServiceLook, expected: Option<u32>) {
        let idle = ServiceLook { desired: None, ..ServiceLook::default() };
        let mut services = [idle; 3];
        services[service] = seen;
        let found = look_at(&mut Reflex, 0, &services).into_iter().find_map(|deed| match deed {
            Deed::SetUnits { service: at, units } if at == service => Some(units),
            Deed::SetUnits { .. } => None,
            Deed::Restart { .. }
            | Deed::Replace { .. }
            | Deed::Promote { .. }
            | Deed::Drain { .. }
            | Deed::Undrain { .. } => unreachable!("{deed:?}"),
        });
        assert_eq!(found, expected, "{seen:?}");
    }

    #[test]
    fn units_follow_what_arrives_both_ways() {
        // 15 requests/s per unit.
        check(SHOP, ServiceLook { arrived_rps: Some(150.0), ..calm() }, None);
        check(SHOP, ServiceLook { arrived_rps: Some(151.0), ..calm() }, Some(11));
        check(SHOP, ServiceLook { arrived_rps: Some(135.0), ..calm() }, Some(9));
        check(SHOP, ServiceLook { arrived_rps: Some(30_000.0), ..calm() }, Some(100));
        check(STORE, ServiceLook { arrived_rps: Some(900.0), ..calm() }, Some(12));
    }

    #[test]
    fn workers_follow_what_waits_and_what_arrives() {
        let seen = ServiceLook { arrived_rps: Some(8.0), ..calm() };
        check(MAIL, ServiceLook { queue_depth: Some(60.0), ..seen }, None);
        check(MAIL, ServiceLook { queue_depth: Some(600.0), ..seen }, Some(28));
        check(MAIL, ServiceLook { queue_depth: Some(0.0), ..seen }, Some(8));
    }

    #[test]
    fn what_is_missing_reads_as_zero() {
        check(SHOP, ServiceLook { arrived_rps: None, ..calm() }, Some(2));
        check(SHOP, ServiceLook { arrived_rps: Some(f64::NAN), ..calm() }, Some(2));
        check(SHOP, ServiceLook { arrived_rps: Some(-5.0), ..calm() }, Some(2));
        check(STORE, ServiceLook { arrived_rps: None, ..calm() }, Some(3));
        check(MAIL, ServiceLook { arrived_rps: None, queue_depth: None, ..calm() }, Some(1));
        check(SHOP, ServiceLook::default(), Some(2));
    }
}
