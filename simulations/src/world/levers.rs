//! What controllers, people and the provider do to a region's units.
//!
//! **In:** levers. **Out:** units that are asked for, launched, restarted or gone.
//! **Not here:** when a lever is pulled ([`crate::pilot`], [`crate::people`]), what a provider's
//! API makes of it ([`crate::provider`]).

use super::spec::UNITS_MAX;
use super::station::lever_part;
use super::units::{Fleet, Zones};
use super::upkeep::Upkeep;
use super::{RegionKnobs, World};

impl World {
    /// Asks for `units` of a service: the launch queue brings what is missing, surplus leaves at
    /// once: first what is not ready, the newest first, then ready units, from the fullest zone,
    /// the newest first. Clamped to `0 ..= UNITS_MAX`.
    pub fn set_units(&mut self, service: usize, units: u32) {
        let units = units.min(UNITS_MAX);
        self.change(service, |fleet, now, zones| {
            fleet.desired = units;
            let surplus = fleet.current().saturating_sub(units);
            if 0 < surplus {
                fleet.shrink(now, surplus, zones);
            }
        });
    }

    /// Kills that share of the service's ready units at once (rounded up, at least one, at most
    /// all; none of a share of 0 or below); the provider launches new ones. Returns how many.
    /// What they held in memory is lost.
    pub fn kill(&mut self, service: usize, ratio: f64) -> u32 {
        let n = self.part(service, ratio);
        self.heal_in_proportion(service, n);
        self.change(service, |fleet, now, zones| fleet.kill(now, n, zones));
        n
    }

    /// Restarts that share in place: they serve again after a boot time, without a launch, and
    /// with an empty memory. Returns how many.
    pub fn restart(&mut self, service: usize, ratio: f64) -> u32 {
        let n = self.part(service, ratio);
        self.heal_in_proportion(service, n);
        self.change(service, |fleet, now, zones| fleet.restart(now, n, zones.boot_factor));
        n
    }

    /// Replaces gray units: restarts at most `units_max` of them, and they are gray no more.
    /// Returns how many.
    pub fn replace_gray(&mut self, service: usize, units_max: u32) -> u32 {
        let fail_open_ratio = self.spec.fail_open_ratio;
        let Some(it) = self.services.get_mut(service) else {
            return 0;
        };
        let now = self.second;
        if it.is_stale {
            it.reshape(now, fail_open_ratio);
        }
        let n = it.gray_units().min(units_max);
        it.heal(n);
        let has_names = it.has_names;
        self.change(service, |fleet, now, zones| {
            if has_names {
                fleet.restart_gray(now, n, zones.boot_factor);
            } else {
                fleet.restart(now, n, zones.boot_factor);
            }
        });
        n
    }

    /// Empties a cache; nothing for other kinds.
    pub fn flush(&mut self, service: usize) {
        if let Some(it) = self.services.get_mut(service) {
            it.flush();
        }
    }

    /// Makes a replica the primary: what it had not seen is lost (`replica_lag_seconds` times
    /// writes per second), and it is up: an `is_down` that began before no longer applies to
    /// this service. Nothing for other kinds.
    pub fn promote(&mut self, service: usize) {
        if let Some(it) = self.services.get_mut(service) {
            it.promote();
        }
    }

    /// Drains a zone: its units leave and none is launched there until `undrain`.
    pub fn drain(&mut self, zone: usize) {
        self.zones.set_drained(zone, true);
        self.lose_zone(zone);
    }

    /// Takes a drained zone back.
    pub fn undrain(&mut self, zone: usize) {
        self.zones.set_drained(zone, false);
    }

    /// Fills a cache as far as it goes; nothing for other kinds.
    pub fn warm(&mut self, service: usize) {
        if let Some(it) = self.services.get_mut(service) {
            it.warm();
        }
    }

    /// Deploys a revision that there was, such as `r1`.
    ///
    /// # Errors
    ///
    /// That there is none of that name.
    pub fn set_revision(&mut self, service: usize, name: &str) -> Result<(), String> {
        let now = self.second;
        let Some(it) = self.services.get_mut(service) else {
            return Err(format!("there is no service number {service}"));
        };
        it.is_stale = true;
        it.kept.set_revision(now, name)
    }

    /// The revision that is deployed, and the one before.
    pub fn revisions(&self, service: usize) -> (String, Option<String>) {
        self.services.get(service).map_or_else(Default::default, |it| it.kept.revisions())
    }

    /// Makes room on the service's disks.
    pub fn clean_disk(&mut self, service: usize) {
        if let Some(it) = self.services.get_mut(service) {
            it.kept.clean_disk();
        }
    }

    /// A new certificate, good for 90 days.
    pub fn renew_certificate(&mut self, service: usize) {
        let now = self.second;
        if let Some(it) = self.services.get_mut(service) {
            it.kept.renew_certificate(now);
        }
    }

    /// Turns worthless requests away before they cost anything, or no longer.
    pub fn block_junk(&mut self, service: usize, is_blocked: bool) {
        if let Some(it) = self.services.get_mut(service) {
            it.is_stale = true;
            it.kept.block_junk(is_blocked);
        }
    }

    /// Retries may be at most this share of first tries; `None` is what the spec says.
    pub fn limit_retries(&mut self, service: usize, budget_ratio: Option<f64>) {
        let spec = self.spec.services.get(service).and_then(|it| it.retries.budget_ratio);
        if let Some(it) = self.services.get_mut(service) {
            it.limit_retries(budget_ratio.or(spec));
        }
    }

    /// Calls of `service` to `callee` fail at once, without being made, or no longer.
    pub fn set_breaker(&mut self, service: usize, callee: usize, is_open: bool) {
        if let Some(it) = self.services.get_mut(service) {
            it.set_breaker(callee, is_open);
        }
    }

    /// What monitoring can measure of a service besides its traffic.
    pub fn upkeep(&self, service: usize) -> Upkeep {
        let price = self.spec.services.get(service).map_or(0.0, |it| it.unit_usd_per_hour);
        self.services.get(service).map_or_else(Upkeep::default, |it| {
            it.kept.seen(self.second, price * f64::from(it.fleet.current()))
        })
    }

    /// What faults do to the region.
    pub fn set_region_knobs(&mut self, knobs: RegionKnobs) {
        if knobs == self.knobs {
            return;
        }
        let lost = self.zones.lose(&knobs.lost_zones);
        for (zone, is_new) in lost.into_iter().enumerate() {
            if is_new {
                self.lose_zone(zone);
            }
        }
        self.launches.set_pace(knobs.launches_per_minute_max.filter(|it| it.is_finite()));
        self.zones.failures_ratio = knobs.launch_failures_ratio;
        let factor = knobs.boot_factor;
        self.zones.boot_factor = if factor.is_finite() && 0.0 < factor { factor } else { 1.0 };
        self.knobs = knobs;
    }

    fn lose_zone(&mut self, zone: usize) {
        for service in 0..self.services.len() {
            self.change(service, |fleet, now, zones| fleet.lose_zone(now, zone, zones));
        }
    }

    fn part(&self, service: usize, ratio: f64) -> u32 {
        self.services.get(service).map_or(0, |it| lever_part(it.fleet.ready, ratio))
    }

    /// Of `n` units that are picked evenly and come back new, some were gray.
    fn heal_in_proportion(&mut self, service: usize, n: u32) {
        if let Some(it) = self.services.get_mut(service) {
            let gray = u64::from(it.gray_units()) * u64::from(n);
            let healed = gray.div_ceil(u64::from(it.fleet.ready.max(1)));
            it.heal(u32::try_from(healed).unwrap_or(u32::MAX));
        }
    }

    /// Changes the units of one service, and asks for what is missing since.
    pub(super) fn change(
        &mut self,
        service: usize,
        change: impl FnOnce(&mut Fleet, i64, &mut Zones),
    ) {
        let now = self.second;
        if let Some(it) = self.services.get_mut(service) {
            change(&mut it.fleet, now, &mut self.zones);
            self.next_event = self.next_event.min(it.fleet.next_event);
            it.reshape(now, self.spec.fail_open_ratio);
        }
        self.ask_for_missing(service);
    }

    /// As many launches wait as units are missing.
    fn ask_for_missing(&mut self, service: usize) {
        let Some(it) = self.services.get_mut(service) else {
            return;
        };
        let fleet = &mut it.fleet;
        let missing = fleet.desired.saturating_sub(fleet.current());
        if fleet.queued < missing {
            self.launches.push(service, missing - fleet.queued);
        } else if missing < fleet.queued {
            self.launches.cancel(service, fleet.queued - missing);
        }
        fleet.queued = missing;
    }

    /// Units become ready or fail.
    pub(super) fn settle_units(&mut self) {
        let now = self.second;
        let mut next_event = i64::MAX;
        for service in 0..self.services.len() {
            let Some(it) = self.services.get_mut(service) else {
                continue;
            };
            if it.fleet.next_event <= now {
                it.settle(now, &mut self.zones);
                it.reshape(now, self.spec.fail_open_ratio);
            }
            next_event = next_event.min(it.fleet.next_event);
            let missing = it.fleet.desired.saturating_sub(it.fleet.current());
            if missing != it.fleet.queued {
                self.ask_for_missing(service);
            }
        }
        self.next_event = next_event;
    }

    /// Launches what is due, where there is room.
    pub(super) fn launch(&mut self) {
        let now = self.second;
        while self.launches.is_due() {
            let Some(service) = self.launches.first().and_then(|it| self.services.get_mut(it))
            else {
                return;
            };
            // Zones are the region's: without room for one service there is none for any.
            let Some(zone) = self.zones.open_zone(service.fleet.by_zone()) else {
                return;
            };
            service.fleet.launch(now, &mut self.zones, zone);
            service.fleet.queued = service.fleet.queued.saturating_sub(1);
            service.count_units();
            self.next_event = self.next_event.min(service.fleet.next_event);
            self.launches.launched();
        }
    }
}
