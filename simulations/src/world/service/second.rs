//! How long answers of one service take in one second.
//!
//! **In:** slots, arrivals, what slows them, and what callees take. **Out:** capacity, the time
//! of an answer with what waits by chance, and notes for the service's truth.
//! **Not here:** what an overload leaves behind ([`crate::world::lane`]).

use crate::queueing::UTILISATION_MAX;
use crate::world::lane::{Response, Tries};
use crate::world::station::Slots;
use crate::world::wait::Waits;

/// `ln 20`: where 5 % of an exponential distribution are beyond.
const LN_20: f64 = 2.995_732_273_553_991;

/// What calls cost a request.
pub(super) struct Dependence {
    pub(super) seconds: f64,
    pub(super) variance: f64,
    pub(super) success_ratio: f64,
}

/// How a station is slowed, and what is asked of it.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub(super) slower: f64,
    pub(super) objective: f64,
    pub(super) timeout: f64,
}

/// A station in one second.
pub(super) struct Station {
    /// Requests that it can serve.
    pub(super) capacity: f64,
    pub(super) response: Response,
    /// Slots that a request holds, in slot-seconds.
    pub(super) seconds: f64,
    /// Share of requests that find the queue full by chance.
    pub(super) full: f64,
}

impl Station {
    /// 95th percentile of the time of an answer that waited so long, in seconds.
    pub(super) fn p95(&self, wait: f64) -> f64 {
        let Response { mean, deviation, .. } = self.response;
        wait + mean + deviation * (LN_20 - 1.0)
    }
}

/// What is the same for both lanes of one second, and what is noted of them.
pub(super) struct Second {
    pub(super) now: i64,
    /// Seconds of own work per request, before anything slows it.
    pub(super) work: f64,
    pub(super) success_ratio: f64,
    pub(super) depends: Dependence,
    pub(super) wait: f64,
    pub(super) p95: f64,
    pub(super) busy: f64,
}

impl Second {
    /// A station's capacity and its answers' time, with what waits by chance below capacity.
    #[inline]
    pub(super) fn station(
        &self,
        slots: &Slots,
        arrivals: &Tries,
        room: f64,
        timing: &Timing,
        by_chance: &mut f64,
        waits: &mut Waits,
    ) -> Station {
        let own = self.work * timing.slower;
        let seconds = own + self.depends.seconds;
        let capacity = slots.servers / seconds;
        let spread = (own * own + self.depends.variance).min(seconds * seconds);
        let response = Response {
            mean: seconds,
            deviation: spread.sqrt().max(1e-9),
            success_ratio: self.success_ratio,
            objective: timing.objective,
            timeout: timing.timeout,
        };
        let mut station = Station { capacity, response, seconds, full: 0.0 };
        let arrived = arrivals.total();
        if capacity <= 0.0 {
            *by_chance = 0.0;
            return station;
        }
        let utilisation = (arrived / capacity).min(UTILISATION_MAX);
        let waits = waits.probability(&slots.place, utilisation);
        if waits <= 1e-9 && *by_chance <= 1e-9 {
            *by_chance = 0.0;
            return station;
        }
        let idle = 1.0 - utilisation;
        let drains = capacity * idle;
        let steady = waits * utilisation / idle;
        // A queue needs time to become what the formula says: about 4 / (capacity idle^2)
        // (Cox and Miller, 1965: relaxation of a diffusion), and more than is drained does not
        // go. Above capacity the queue of what is too much says it all.
        if arrived <= capacity {
            let speed = 0.25 * drains * idle;
            let near = *by_chance + (steady - *by_chance) * (speed / (1.0 + speed));
            *by_chance = near.max(*by_chance - drains);
        }
        *by_chance = by_chance.min(room);
        let part = if steady <= *by_chance { 1.0 } else { *by_chance / steady };
        let drain = part / drains;
        station.response.mean += waits * drain + (*by_chance - steady).max(0.0) / capacity;
        station.response.deviation = (spread + waits * (2.0 - waits) * drain * drain).sqrt();
        /// Beyond it the queue is full for one request in 10^5.
        const ROOMY: f64 = 12.0;
        if room * idle < ROOMY {
            // Chance that a finite queue is full (M/M/c/K), by cutting the infinite one off.
            let beyond = utilisation.powf(room);
            let full = waits * idle * beyond / (1.0 - waits * utilisation * beyond);
            station.full = if room < 1.0 { full } else { full * part };
        }
        station
    }

    /// Notes what a lane that serves `share` of the requests has done.
    #[inline]
    pub(super) fn note(&mut self, station: &Station, served: f64, wait: f64, share: f64) {
        self.busy += served * station.seconds;
        self.wait += wait * share;
        let beyond = if 1.0 <= share { LN_20 } else { (share.max(1e-12) * 20.0).ln() };
        if 0.0 < beyond {
            let Response { mean, deviation, .. } = station.response;
            self.p95 = self.p95.max(wait + mean + deviation * (beyond - 1.0));
        }
    }
}
