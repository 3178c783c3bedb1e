//! Faults that a seed draws: swarm testing.
//!
//! **In:** a seed, a world and a horizon. **Out:** faults, each kind off or at its own rate, and
//! what people do ([`people`]).
//! **Not here:** what a scenario scripts.
//!
//! Source: Groce et al., *Swarm Testing* (2012): runs that leave most kinds out find more than
//! runs that have a little of everything.
//!
//! Only what can heal is drawn: when every fault is over, the region must be able to become good
//! again without a person. So capacity leaks only where people act too, and then with a rolling
//! restart behind the leak; limits, delays and lost units end with their fault. What changes
//! units (another automation, people) only touches services that are scaled, within bounds,
//! because a controller can bring those back.

mod people;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::{DeathPoint, Fault, FaultKind};
use crate::chance::{fraction, generator, seconds_f64};
use crate::people::Act;
use crate::world::{ServiceKind, ServiceSpec, WorldSpec};

/// What may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swarm {
    /// Mean number of faults per simulated hour, all kinds together, `0.0 ..= 60.0`.
    pub faults_per_hour: f64,
    /// Longest fault in seconds.
    pub longest: i64,
    /// Whether people act too: overrides, changes by hand, at any moment, right or wrong.
    pub has_people: bool,
}

/// Most faults of one run. Why 200: more than two per hour of a week; a denser run only tells
/// that everything at once is too much.
pub const FAULTS_MAX: usize = 200;

/// Kinds that are on in one run on the average. Why 19: half of the 38 there are. It is written
/// down so that a kind that is added leaves the rates of the others as they were; the mean of
/// all kinds together then rises by what the new one adds.
const KINDS_ON: f64 = 19.0;

/// Shortest fault in seconds, where the longest is not shorter. Why 15: one scrape.
const SHORTEST: i64 = 15;

/// Draws the faults and the people of run `seed`, all of which have ended at `until` (seconds
/// since the scored part began).
///
/// At most [`FAULTS_MAX`] faults. Every kind has a coin, a rate and a stream of its own: a kind
/// that is added leaves the others as they were (but for those that no longer fit below the
/// most). A rate is between 0 and twice the mean.
pub fn draw(seed: u64, swarm: &Swarm, world: &WorldSpec, until: i64) -> (Vec<Fault>, Vec<Act>) {
    let mut drawn: Vec<(u64, Fault)> = Vec::new();
    let mut acts = Vec::new();
    if until < 1 || world.services.is_empty() || world.zones.is_empty() {
        return (Vec::new(), acts);
    }
    for (name, draw_kind) in KINDS {
        let mut dice = Dice(generator(seed, &format!("swarm/{name}")));
        let is_on = dice.chance(0.5);
        let per_hour = 2.0 * dice.fraction() * swarm.faults_per_hour / KINDS_ON;
        if !is_on || per_hour <= 0.0 {
            continue;
        }
        let mut from = dice.wait(per_hour);
        for _ in 0..FAULTS_MAX {
            if until <= from {
                break;
            }
            let length = dice.length(swarm.longest).min(until - from);
            let rank = dice.0.next_u64();
            if let Some(kind) = draw_kind(&mut dice, world, length) {
                let length = if kind.is_once() { 1 } else { length };
                drawn.push((rank, Fault { from, until: from + length, kind }));
            }
            from += dice.wait(per_hour).max(1);
        }
    }
    if swarm.has_people {
        people::leaks(seed, swarm, world, until, &mut drawn, &mut acts);
        people::draw(seed, swarm, world, until, &mut acts);
    }
    // Which ones stay where there are too many is chance as well.
    drawn.sort_by_key(|(rank, _)| *rank);
    drawn.truncate(FAULTS_MAX);
    let mut faults: Vec<Fault> = drawn.into_iter().map(|(_, fault)| fault).collect();
    faults.sort_by_key(|it| it.from);
    (faults, acts)
}

/// Draws one fault that lasts so many seconds; `None` where the region has nothing to break so.
type DrawKind = fn(&mut Dice, &WorldSpec, i64) -> Option<FaultKind>;

/// All kinds but `leak` (see [`people::leaks`]), by name.
const KINDS: [(&str, DrawKind); 37] = [
    ("surge", |dice, world, length| {
        let service = dice.service(world, |it| it.load.is_some())?;
        let ramp = dice.whole(0, length / 2);
        Some(FaultKind::Surge { service, factor: dice.log(1.2, 3.0), ramp })
    }),
    ("junk", |dice, world, _| {
        let service = dice.service(world, |it| it.load.is_some())?;
        let peak = world.services.get(service)?.load?.peak_rps;
        Some(FaultKind::Junk { service, rps: peak * dice.log(0.05, 1.0), tenant: None })
    }),
    ("slow", |dice, world, _| {
        Some(FaultKind::Slow { service: dice.any(world)?, factor: dice.log(1.2, 8.0) })
    }),
    ("errors", |dice, world, _| {
        Some(FaultKind::Errors { service: dice.any(world)?, ratio: dice.log(0.01, 1.0) })
    }),
    ("down", |dice, world, _| Some(FaultKind::Down { service: dice.any(world)? })),
    ("gray", |dice, world, _| {
        let service = dice.any(world)?;
        Some(FaultKind::Gray { service, ratio: dice.log(0.05, 0.5), factor: dice.log(2.0, 20.0) })
    }),
    ("hidden_limit", |dice, world, _| {
        let service = dice.any(world)?;
        let units = world.services.get(service)?.units_start;
        // Just above what there is: who scales far out crosses it.
        let units = dice.whole(i64::from(units), 2 * i64::from(units));
        Some(FaultKind::HiddenLimit { service, units: u32::try_from(units).ok()?.max(1) })
    }),
    ("health_checks", |dice, world, _| {
        Some(FaultKind::HealthChecks { service: dice.any(world)?, ratio: dice.log(0.1, 1.0) })
    }),
    ("replica_lag", |dice, world, _| {
        let service = dice.service(world, |it| matches!(it.kind, ServiceKind::Database { .. }))?;
        Some(FaultKind::ReplicaLag { service, growth: dice.log(0.05, 1.0) })
    }),
    ("crash", |dice, world, _| {
        Some(FaultKind::Crash { service: dice.any(world)?, ratio: dice.log(0.05, 0.5) })
    }),
    ("restart", |dice, world, _| {
        Some(FaultKind::Restart { service: dice.any(world)?, ratio: dice.log(0.05, 0.5) })
    }),
    ("flush", |dice, world, _| {
        let service = dice.service(world, |it| matches!(it.kind, ServiceKind::Cache { .. }))?;
        Some(FaultKind::Flush { service })
    }),
    ("zone_loss", |dice, world, _| {
        // With one zone it would be the end of the region.
        (1 < world.zones.len()).then(|| FaultKind::ZoneLoss { zone: dice.place(world.zones.len()) })
    }),
    ("launch_limit", |dice, world, _| {
        let per_minute = world.launches_per_minute_max * dice.log(0.05, 0.5);
        Some(FaultKind::LaunchLimit { per_minute })
    }),
    ("launch_failures", |dice, _, _| Some(FaultKind::LaunchFailures { ratio: dice.log(0.1, 0.9) })),
    ("slow_boot", |dice, _, _| Some(FaultKind::SlowBoot { factor: dice.log(1.5, 6.0) })),
    ("series_gone", |dice, world, _| Some(FaultKind::SeriesGone { service: dice.exporter(world) })),
    ("reads_zero", |dice, world, _| Some(FaultKind::ReadsZero { service: dice.exporter(world) })),
    ("frozen", |dice, world, _| Some(FaultKind::Frozen { service: dice.exporter(world) })),
    ("wrong_by", |dice, world, _| {
        Some(FaultKind::WrongBy { service: dice.exporter(world), factor: dice.log(0.01, 100.0) })
    }),
    ("garbled", |dice, world, _| Some(FaultKind::Garbled { service: dice.exporter(world) })),
    ("scrapes_fail", |dice, world, _| {
        Some(FaultKind::ScrapesFail { service: dice.exporter(world) })
    }),
    ("backend_down", |_, _, _| Some(FaultKind::BackendDown)),
    ("backend_empty", |_, _, _| Some(FaultKind::BackendEmpty)),
    ("backend_skew", |dice, _, _| Some(FaultKind::BackendSkew { seconds: dice.off() })),
    ("pager_dead", |_, _, _| Some(FaultKind::PagerDead)),
    ("provider_down", |_, _, _| Some(FaultKind::ProviderDown)),
    ("throttled", |dice, _, _| Some(FaultKind::Throttled { ratio: dice.log(0.1, 1.0) })),
    ("no_answer", |dice, _, _| Some(FaultKind::NoAnswer { ratio: dice.log(0.1, 1.0) })),
    ("late_changes", |dice, _, _| Some(FaultKind::LateChanges { seconds: dice.whole(5, 300) })),
    ("stale_reads", |dice, _, _| Some(FaultKind::StaleReads { seconds: dice.whole(15, 600) })),
    ("half_done", |dice, _, _| Some(FaultKind::HalfDone { ratio: dice.log(0.2, 0.95) })),
    ("partial_inventory", |dice, _, _| {
        Some(FaultKind::PartialInventory { ratio: dice.log(0.05, 0.95) })
    }),
    ("agent_dies", |dice, _, _| {
        let point = match dice.place(4) {
            0 => DeathPoint::Idle,
            1 => DeathPoint::BeforeAppend,
            2 => DeathPoint::AfterAppend,
            _ => DeathPoint::AfterEffect,
        };
        Some(FaultKind::AgentDies { point })
    }),
    ("agent_clock", |dice, _, _| Some(FaultKind::AgentClock { seconds: dice.off() })),
    ("journal_fails", |_, _, _| Some(FaultKind::JournalFails)),
    ("other_automation", |dice, world, _| {
        let service = dice.service(world, |it| it.is_scaled)?;
        let units = dice.units(world.services.get(service)?);
        Some(FaultKind::OtherAutomation { service, units, every: dice.whole(30, 600) })
    }),
];

/// Chance of one stream.
struct Dice(ChaCha8Rng);

impl Dice {
    /// `0.0 .. 1.0`.
    fn fraction(&mut self) -> f64 {
        fraction(self.0.next_u64())
    }

    fn chance(&mut self, ratio: f64) -> bool {
        self.fraction() < ratio
    }

    /// One of `n` places; 0 where there is none.
    fn place(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0.next_u64() % n).unwrap_or(0)
    }

    /// `least ..= most`.
    fn whole(&mut self, least: i64, most: i64) -> i64 {
        let n = u64::try_from(most.saturating_sub(least)).unwrap_or(0).saturating_add(1);
        least.saturating_add(i64::try_from(self.0.next_u64() % n).unwrap_or(0))
    }

    /// `least .. most`, every doubling as likely as the next: small trouble is as interesting
    /// as large.
    fn log(&mut self, least: f64, most: f64) -> f64 {
        (least.ln() + self.fraction() * (most / least).ln()).exp()
    }

    /// Seconds until the next of so many per hour (Poisson), at most a year or so.
    fn wait(&mut self, per_hour: f64) -> i64 {
        whole_seconds(-3_600.0 * (1.0 - self.fraction()).ln() / per_hour)
    }

    /// A fault's length in seconds.
    fn length(&mut self, longest: i64) -> i64 {
        let longest = longest.max(1);
        let least = SHORTEST.min(longest);
        whole_seconds(self.log(seconds_f64(least), seconds_f64(longest))).clamp(least, longest)
    }

    /// How far a clock is off, in seconds, either way.
    fn off(&mut self) -> i64 {
        let seconds = whole_seconds(self.log(2.0, 900.0));
        if self.chance(0.5) { seconds } else { -seconds }
    }

    fn any(&mut self, world: &WorldSpec) -> Option<usize> {
        self.service(world, |_| true)
    }

    /// One of the services that fit.
    fn service(&mut self, world: &WorldSpec, fits: fn(&ServiceSpec) -> bool) -> Option<usize> {
        let n = world.services.iter().filter(|it| fits(it)).count();
        let place = self.place(n);
        world.services.iter().enumerate().filter(|(_, it)| fits(it)).nth(place).map(|it| it.0)
    }

    /// One exporter, or all in a quarter of the cases.
    fn exporter(&mut self, world: &WorldSpec) -> Option<usize> {
        let all = self.chance(0.25);
        let one = self.place(world.services.len());
        (!all).then_some(one)
    }

    /// A number of units within the service's bounds, right or wrong.
    fn units(&mut self, service: &ServiceSpec) -> u32 {
        let units = self.whole(i64::from(service.units_min), i64::from(service.units_max));
        u32::try_from(units).unwrap_or(service.units_max)
    }
}

/// Cut to whole seconds, at most about a year.
fn whole_seconds(seconds: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what an i64 holds")]
    let seconds = seconds.clamp(0.0, 4e7) as i64;
    seconds
}

#[cfg(test)]
mod tests;
