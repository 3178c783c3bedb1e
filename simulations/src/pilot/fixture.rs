//! A small region for the tests of pilots.
//!
//! **In:** nothing. **Out:** a spec of three services, and what pilots see of them.
//! **Not here:** anything that is built without tests.

use super::{Deed, Look, Pilot, ServiceLook};
use crate::load::LoadCurve;
use crate::world::{CallSpec, RetrySpec, ServiceKind, ServiceSpec, UnitSpec, WorldSpec};

/// Place of the web service.
pub(super) const SHOP: usize = 0;
/// Place of the workers.
pub(super) const MAIL: usize = 1;
/// Place of the database.
pub(super) const STORE: usize = 2;

/// A shop (20 requests/s per unit, 2 to 100 units) that calls a store (100 per unit, 3 to 30),
/// and workers (1 piece of work per second and unit, 1 to 60). The shop's peak is at 14:00.
pub(super) fn region() -> WorldSpec {
    let shop = ServiceSpec {
        name: "shop".to_owned(),
        kind: ServiceKind::Web { queue_per_unit_max: 50.0, timeout_seconds: 10.0 },
        load: Some(curve(200.0, 800.0)),
        calls: vec![CallSpec { service: STORE, per_request: 1.0, is_needed: true }],
        // With the store's 0.01 s a slot is held for 0.2 s.
        unit: UnitSpec { slots: 4, service_seconds: 0.19, cpu_ratio: 1.0 },
        units_start: 20,
        units_min: 2,
        units_max: 100,
        boot_median_seconds: 60.0,
        boot_sigma: 0.3,
        start_calls: 0.0,
        retries: RetrySpec { retries: 0, budget_ratio: None },
        objective_seconds: 1.0,
        objective_ratio: 0.99,
        unit_usd_per_hour: 0.1,
        is_scaled: true,
        is_critical: true,
    };
    let mail = ServiceSpec {
        name: "mail".to_owned(),
        kind: ServiceKind::Workers { queue_max: 1e6 },
        load: Some(curve(10.0, 30.0)),
        calls: Vec::new(),
        unit: UnitSpec { slots: 1, service_seconds: 1.0, cpu_ratio: 0.5 },
        units_min: 1,
        units_max: 60,
        objective_seconds: 60.0,
        ..shop.clone()
    };
    let store = ServiceSpec {
        name: "store".to_owned(),
        kind: ServiceKind::Database {
            queue_per_unit_max: 50.0,
            timeout_seconds: 5.0,
            writes_ratio: 0.1,
        },
        load: None,
        calls: Vec::new(),
        unit: UnitSpec { slots: 1, service_seconds: 0.01, cpu_ratio: 1.0 },
        units_start: 5,
        units_min: 3,
        units_max: 30,
        boot_median_seconds: 120.0,
        objective_seconds: 0.1,
        ..shop.clone()
    };
    WorldSpec {
        zones: ["a", "b", "c"].map(str::to_owned).to_vec(),
        services: vec![shop, mail, store],
        launches_per_minute_max: 100.0,
        zone_units_max: 1_000,
        fail_open_ratio: 0.5,
    }
}

fn curve(trough_rps: f64, peak_rps: f64) -> LoadCurve {
    LoadCurve { trough_rps, peak_rps, peak_hour: 14.0, weekend_ratio: 0.6, noise_ratio: 0.0 }
}

/// A service at ease, with 10 units.
pub(super) fn calm() -> ServiceLook {
    ServiceLook {
        unit_rps: 20.0,
        desired: Some(10),
        ready: Some(10),
        cpu_ratio: Some(0.7),
        arrived_rps: Some(140.0),
        latency_p95_seconds: Some(0.05),
        queue_depth: Some(0.0),
        error_ratio: Some(0.0),
        unhealthy_ratio: 0.0,
        replica_lag_seconds: Some(0.0),
    }
}

/// What a pilot does at a second when it sees that of the fixture's services. The scored part
/// begins on Friday, 2026-11-20, at midnight UTC.
pub(super) fn look_at(pilot: &mut dyn Pilot, second: i64, services: &[ServiceLook]) -> Vec<Deed> {
    let spec = region();
    let unix_second = 1_795_132_800 + second;
    let units = services.iter().zip(spec.unit_rps());
    let services: Vec<ServiceLook> =
        units.map(|(it, unit_rps)| ServiceLook { unit_rps, ..*it }).collect();
    pilot.look(&Look { second, unix_second, spec: &spec, services: &services, world: None })
}
