//! Units by name: what there is, and levers on single ones.
//!
//! **In:** numbers of units. **Out:** [`UnitSeen`], units that are drained, restarted, gone.
//! **Not here:** levers on shares of the units ([`super::levers`]), who pulls them
//! ([`crate::actuators`]).
//!
//! The model is a fluid: units of a service are alike but for being gray, drained, or of less
//! weight. Which ones are gray is decided when the fault begins; until somebody needs names
//! ([`World::name_units`]) only their number is known, and everything is as it was without.

use super::World;

/// Weight of a unit that gets its full share of the traffic.
pub const WEIGHT_FULL: u32 = 100;

/// One unit at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitSeen {
    /// Its number, never used again within its service.
    pub id: u32,
    /// Its zone, by place.
    pub zone: usize,
    /// Whether its health check is green.
    pub is_ready: bool,
    /// Whether it is out of traffic on purpose.
    pub is_drained: bool,
    /// Its share of the traffic, `0 ..=` [`WEIGHT_FULL`].
    pub weight: u32,
    /// Second in which it was started, before the world's own start for the first ones.
    pub started_at: i64,
    /// 95th percentile of its response time in the last second, in seconds; 0 without traffic.
    pub latency_p95_seconds: f64,
    /// Errors of all that reached it, `0.0 ..= 1.0`.
    pub error_ratio: f64,
}

impl World {
    /// From now on it matters which unit is which. Costs a few percent.
    pub fn name_units(&mut self) {
        let (now, fail_open_ratio) = (self.second, self.spec.fail_open_ratio);
        for it in &mut self.services {
            it.name_units();
            it.reshape(now, fail_open_ratio);
        }
    }

    /// Whether [`World::name_units`] was called.
    pub fn has_names(&self) -> bool {
        self.services.first().is_some_and(|it| it.has_names)
    }

    /// The name of a unit, such as `web/17`.
    pub fn unit_name(&self, service: usize, id: u32) -> String {
        format!("{}/{id}", self.spec.services.get(service).map_or("", |it| &it.name))
    }

    /// The number in a unit's name; `None` where it is no name of a unit of the service.
    pub fn unit_id(&self, service: usize, name: &str) -> Option<u32> {
        let of = self.spec.services.get(service)?;
        name.strip_prefix(of.name.as_str())?.strip_prefix('/')?.parse().ok()
    }

    /// All units of a service that exist, the oldest first; at most so many.
    pub fn units(&self, service: usize, most: usize) -> Vec<UnitSeen> {
        self.services.get(service).map_or_else(Vec::new, |it| it.units_seen(most))
    }

    /// Takes units out of traffic, or back in. Others keep theirs; who is gone is gone.
    pub fn drain_units(&mut self, service: usize, ids: &[u32], is_drained: bool) {
        self.name_units_once();
        self.change(service, |fleet, _, _| fleet.set_drained(ids, is_drained));
    }

    /// Sets weights, `0 ..=` [`WEIGHT_FULL`]; what is above counts as full.
    pub fn weigh_units(&mut self, service: usize, weights: &[(u32, u32)]) {
        self.name_units_once();
        self.change(service, |fleet, _, _| fleet.set_weights(weights));
    }

    /// These units are gone at once; the provider launches new ones. Returns how many there were.
    pub fn replace_units(&mut self, service: usize, ids: &[u32]) -> u32 {
        self.name_units_once();
        let mut n = 0;
        self.change(service, |fleet, now, zones| n = fleet.remove(now, ids, zones));
        n
    }

    /// These units boot again where they are, and are as new. Returns how many there were.
    pub fn restart_units(&mut self, service: usize, ids: &[u32]) -> u32 {
        self.name_units_once();
        let mut n = 0;
        self.change(service, |fleet, now, zones| {
            n = fleet.restart_named(now, ids, zones.boot_factor);
        });
        n
    }

    fn name_units_once(&mut self) {
        if !self.has_names() {
            self.name_units();
        }
    }
}
