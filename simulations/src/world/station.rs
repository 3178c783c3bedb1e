//! How many slots a service has now, and where to look up their waits.
//!
//! **In:** ready units, health checks, gray units. **Out:** [`Shape`].
//! **Not here:** what they serve ([`super::service`]).

use super::truth::Knobs;
use super::units::{Fleet, Traffic};
use super::wait::Place;

/// How much slower each unit becomes per unit above the hidden limit, relative to the limit:
/// twice the limit makes each eleven times as slow.
const LIMIT_STEEPNESS: f64 = 10.0;

/// Slots that share a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slots {
    pub(super) servers: f64,
    pub(super) place: Place,
}

impl Slots {
    fn set(&mut self, servers: u32) {
        if self.place.servers != servers {
            self.servers = f64::from(servers);
            self.place = Place::of(servers);
        }
    }
}

/// What serves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// Units that the load balancer uses.
    pub(super) serving: u32,
    /// Of these, gray ones; and their share.
    pub(super) gray_units: u32,
    pub(super) gray_share: f64,
    pub(super) fast: Slots,
    pub(super) gray: Slots,
    /// How much slower the hidden limit makes each unit.
    pub(super) limit_factor: f64,
}

impl Shape {
    /// Follows units and knobs; `traffic` says who is gray, or out of traffic.
    pub(super) fn follow(
        &mut self,
        fleet: &Fleet,
        knobs: &Knobs,
        fail_open_ratio: f64,
        slots_per_unit: u32,
        traffic: &Traffic,
    ) {
        let ready = fleet.ready;
        // When too many fail their check at once, the check is not believed.
        let is_believed = knobs.unhealthy_ratio <= fail_open_ratio;
        let out = if is_believed { part_of(ready, knobs.unhealthy_ratio) } else { 0 };
        self.serving = ready.saturating_sub(out).saturating_sub(traffic.out);
        self.gray_units = traffic.gray.min(self.serving);
        self.gray_share = if self.gray_units == 0 {
            0.0
        } else {
            f64::from(self.gray_units) / f64::from(self.serving)
        };
        self.fast.set((self.serving - self.gray_units).saturating_mul(slots_per_unit));
        self.gray.set(self.gray_units.saturating_mul(slots_per_unit));
        let limit = knobs.hidden_limit_units;
        self.limit_factor = if limit == 0 || ready <= limit {
            1.0
        } else {
            1.0 + LIMIT_STEEPNESS * f64::from(ready - limit) / f64::from(limit)
        };
    }
}

/// A share of units, rounded.
pub(super) fn part_of(units: u32, ratio: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let part = (f64::from(units) * ratio).round() as u32;
    part.min(units)
}

/// A share of units for a lever: rounded up, at least one, at most all; nothing of no share.
pub(super) fn lever_part(units: u32, ratio: f64) -> u32 {
    if units == 0 || ratio.is_nan() || ratio <= 0.0 {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let part = (f64::from(units) * ratio - 1e-9).ceil() as u32;
    part.clamp(1, units)
}
