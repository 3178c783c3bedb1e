//! What is true of a service, what adds up, and what faults turn.
//!
//! **In:** nothing. **Out:** the plain values that [`super::World`] hands out.
//! **Not here:** how they come about ([`super::service`]).

use super::tenants::TENANTS_MAX;
use super::upkeep::BadDeployment;

/// What is true of one service in the second that just passed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Truth {
    /// First tries per second.
    pub offered_rps: f64,
    /// Everything that arrived per second: first tries, retries, junk.
    pub arrived_rps: f64,
    /// Worked off per second, useful or not.
    pub served_rps: f64,
    /// Good per second: answered without error within the objective.
    pub good_rps: f64,
    /// First tries that were given up for good, per second.
    pub lost_rps: f64,
    /// Answers with an error (turned away, timed out, failed), per second.
    pub errors_rps: f64,
    /// Tries that ended, per second, junk included: answered in time or not, or with an error.
    pub ended_rps: f64,
    /// Of these, those that ended well: without error within the objective. Whoever counts
    /// answers cannot tell that junk is worth nothing.
    pub fine_rps: f64,
    /// Work that waits.
    pub queue: f64,
    /// Mean response time in seconds, of what is answered.
    pub latency_mean_seconds: f64,
    /// 95th percentile of it.
    pub latency_p95_seconds: f64,
    /// Processor use of ready units, `0.0 ..= 1.0`.
    pub cpu_ratio: f64,
    /// Slots in use of ready units, `0.0 ..= 1.0`.
    pub busy_ratio: f64,
    /// Share of requests answered from memory; `None` but for caches.
    pub hit_ratio: Option<f64>,
    /// How far replicas are behind, in seconds; 0 but for databases.
    pub replica_lag_seconds: f64,
    /// Units that serve and that the load balancer uses.
    pub ready: u32,
    /// Units that exist: launching, booting or ready.
    pub current: u32,
    /// Units that were asked for. The provider launches what is missing: that waits for a launch
    /// and does not exist yet. Counts of units follow levers at once, not with the next second.
    pub desired: u32,
    /// Units that `offered_rps` needs at [`NEEDED_UTILISATION`] when nothing is broken, within
    /// `1 ..= units_max`; what one who knows everything would have.
    pub needed: u32,
    /// Whether the share of good requests of this second is at or above the objective. A second
    /// without requests is good.
    pub is_good: bool,
}

/// Utilisation at which [`Truth::needed`] counts. Why 0.8: beyond it the wait in Erlang's
/// formula climbs faster than units are added, for stations of the size of a service.
pub const NEEDED_UTILISATION: f64 = 0.8;

/// Sums since the start, or since [`super::World::restart_sums`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Seconds.
    pub seconds: u64,
    /// Seconds that were not good.
    pub bad_seconds: u64,
    /// First tries; good ones; lost ones.
    pub offered: f64,
    /// Good answers.
    pub good: f64,
    /// First tries that were given up.
    pub lost: f64,
    /// Units times seconds that were paid for.
    pub unit_seconds: u64,
    /// Units times seconds that were needed.
    pub needed_unit_seconds: u64,
    /// Seconds with less ready than needed, and with more.
    pub under_seconds: u64,
    /// Seconds with more ready than needed.
    pub over_seconds: u64,
    /// Sum over seconds of `(needed - ready)+ / needed`.
    pub short: f64,
    /// Sum over seconds of `(ready - needed)+ / needed`.
    pub surplus: f64,
    /// Writes that a promotion lost.
    pub lost_writes: f64,
}

/// What faults do to one service. The default does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knobs {
    /// Times the load from outside.
    pub load_factor: f64,
    /// Requests per second that cost as much as others and are worth nothing: an attack, or
    /// (for workers) jobs that beget jobs. Never good, never lost, never retried.
    pub junk_rps: f64,
    /// The same, of the service's tenants by place.
    pub tenants_junk_rps: [f64; TENANTS_MAX],
    /// Times the service's own time per request, without more processor use.
    pub slow_factor: f64,
    /// Answers that are errors although they were served, `0.0 ..= 1.0`. An error takes a tenth
    /// of the time.
    pub error_ratio: f64,
    /// Nothing is served; every request fails at once.
    pub is_down: bool,
    /// Share of ready units that are slow while their health check is green, `0.0 ..= 1.0`.
    pub gray_ratio: f64,
    /// How much slower they are, `>= 1`.
    pub gray_factor: f64,
    /// Share of capacity per unit that is lost per hour while this is set, since its start. It
    /// stays lost until the unit is restarted, at most 95 %.
    pub leak_per_hour: f64,
    /// Above this many units each one is slower in proportion to what is above:
    /// `1 + (ready - limit) / limit * 10` (threads, connections per peer). 0 is no limit.
    pub hidden_limit_units: u32,
    /// Share of units whose health check fails although they serve, `0.0 ..= 1.0`.
    pub unhealthy_ratio: f64,
    /// Share of first tries that the load balancer turns away at once (a person's
    /// doing): they are lost, and not tried again.
    pub shed_ratio: f64,
    /// Seconds of lag that replicas gain per second; otherwise they catch up within a minute.
    pub lag_growth: f64,
    /// A new revision is deployed when this is set, and it is like that for as long as it is
    /// deployed and this is set.
    pub bad_deployment: Option<BadDeployment>,
    /// Share of the disk that fills per hour. A full one stops the service until it is cleaned,
    /// whatever becomes of this.
    pub disk_fill_per_hour: f64,
    /// The certificate ends so many seconds after this is set, and with it every request fails;
    /// unless somebody renews it.
    pub certificate_seconds: Option<i64>,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            load_factor: 1.0,
            junk_rps: 0.0,
            tenants_junk_rps: [0.0; TENANTS_MAX],
            slow_factor: 1.0,
            error_ratio: 0.0,
            is_down: false,
            gray_ratio: 0.0,
            gray_factor: 1.0,
            leak_per_hour: 0.0,
            hidden_limit_units: 0,
            unhealthy_ratio: 0.0,
            shed_ratio: 0.0,
            lag_growth: 0.0,
            bad_deployment: None,
            disk_fill_per_hour: 0.0,
            certificate_seconds: None,
        }
    }
}

impl Knobs {
    /// Every number within its range; what is no number does nothing.
    pub(super) fn within_ranges(&self) -> Knobs {
        let within = |value: f64, min: f64, max: f64, none: f64| {
            if value.is_nan() { none } else { value.clamp(min, max) }
        };
        Knobs {
            load_factor: within(self.load_factor, 0.0, 1e6, 1.0),
            junk_rps: within(self.junk_rps, 0.0, 1e9, 0.0),
            tenants_junk_rps: self.tenants_junk_rps.map(|it| within(it, 0.0, 1e9, 0.0)),
            slow_factor: within(self.slow_factor, 1e-3, 1e6, 1.0),
            error_ratio: within(self.error_ratio, 0.0, 1.0, 0.0),
            is_down: self.is_down,
            gray_ratio: within(self.gray_ratio, 0.0, 1.0, 0.0),
            gray_factor: within(self.gray_factor, 1.0, 1e6, 1.0),
            leak_per_hour: within(self.leak_per_hour, 0.0, 3_600.0, 0.0),
            hidden_limit_units: self.hidden_limit_units,
            unhealthy_ratio: within(self.unhealthy_ratio, 0.0, 1.0, 0.0),
            shed_ratio: within(self.shed_ratio, 0.0, 1.0, 0.0),
            lag_growth: within(self.lag_growth, 0.0, 1e6, 0.0),
            bad_deployment: self.bad_deployment.map(|it| BadDeployment {
                error_ratio: within(it.error_ratio, 0.0, 1.0, 0.0),
                slow_factor: within(it.slow_factor, 1e-3, 1e6, 1.0),
            }),
            disk_fill_per_hour: within(self.disk_fill_per_hour, 0.0, 3_600.0, 0.0),
            certificate_seconds: self.certificate_seconds.map(|it| it.clamp(0, 400 * 86_400)),
        }
    }
}
