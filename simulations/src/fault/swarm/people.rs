//! People whom a seed draws.
//!
//! **In:** a seed, a world and a horizon. **Out:** [`Act`]s, each kind off or at its own rate.
//! **Not here:** faults ([`super::draw`]), carrying acts out (the run).
//!
//! An act at a time is over at `until`, and so is what it set. One that waits for a page has no
//! known time, so only deeds that cannot stand in the way of recovery wait: taking back every
//! override, forbidding to scale down, and more units than needed. Left out are `restart` (but
//! behind a leak), `replace_gray` and `promote`: whether they help or harm depends on what is
//! broken, so they belong into scenarios.

use rand_chacha::rand_core::Rng as _;

use super::{Dice, FAULTS_MAX, KINDS_ON, Swarm, whole_seconds};
use crate::chance::{generator, normal};
use crate::fault::{Fault, FaultKind};
use crate::people::{Act, Deed, When};
use crate::world::WorldSpec;

/// Most acts of one kind in one run.
const ACTS_MAX: usize = 20;

/// Acts per fault. Why a quarter: people sleep through most faults.
const ACTS_PER_FAULT: f64 = 0.25;

/// Kinds of acts that are on in one run on the average; as for faults.
const KINDS_OF_ACTS_ON: f64 = 6.0;

/// Median of the time from a page to an act in seconds, and sigma of its logarithm. Why these:
/// half of the people are at their keyboard within ten minutes, 1 in 20 needs longer than 50.
const DELAY_MEDIAN_SECONDS: f64 = 600.0;
const DELAY_SIGMA: f64 = 1.0;

/// Share of people who were going to act and never do.
const NEVER_RATIO: f64 = 0.1;

/// Capacity that a leak may take in all. Why 0.3: what is left still carries a service that
/// was less than 70 % busy, so that the way back does not depend on the restart.
const LEAKED_RATIO_MAX: f64 = 0.3;

/// A rolling restart behind a leak: share at a time, and seconds apart.
const ROLLING_RATIO: f64 = 0.2;
const ROLLING_APART: i64 = 60;
/// How long it takes; 5 parts.
const ROLLING_SECONDS: i64 = 5 * ROLLING_APART;

/// Leaks, each with the rolling restart that ends it.
pub(super) fn leaks(
    seed: u64,
    swarm: &Swarm,
    world: &WorldSpec,
    until: i64,
    drawn: &mut Vec<(u64, Fault)>,
    acts: &mut Vec<Act>,
) {
    let mut dice = Dice(generator(seed, "swarm/leak"));
    let is_on = dice.chance(0.5);
    let per_hour = 2.0 * dice.fraction() * swarm.faults_per_hour / KINDS_ON;
    if !is_on || per_hour <= 0.0 {
        return;
    }
    let mut from = dice.wait(per_hour);
    for _ in 0..FAULTS_MAX {
        let room = until - ROLLING_SECONDS - from;
        if room < 1 {
            break;
        }
        let length = dice.length(swarm.longest).min(room);
        let rank = dice.0.next_u64();
        let leaked = dice.log(0.02, LEAKED_RATIO_MAX);
        if let Some(service) = dice.any(world) {
            let hours = crate::chance::seconds_f64(length) / 3_600.0;
            let kind = FaultKind::Leak { service, per_hour: leaked / hours };
            drawn.push((rank, Fault { from, until: from + length, kind }));
            let deed = Deed::Restart { service, ratio: ROLLING_RATIO, apart: ROLLING_APART };
            acts.push(Act { when: When::At(from + length), deed });
        }
        from += dice.wait(per_hour).max(1);
    }
}

/// Draws a deed that is over within so many seconds; with `None`, one that may come at any
/// time. Nothing where there is none.
type DrawDeed = fn(&mut Dice, &WorldSpec, &Swarm, Option<i64>) -> Option<Deed>;

const DEEDS: [(&str, DrawDeed); 8] = [
    ("freeze", |dice, world, swarm, room| {
        let seconds = dice.length(swarm.longest).min(room?);
        Some(Deed::Freeze { services: dice.scope(world), seconds })
    }),
    ("hold", |dice, world, swarm, room| {
        let seconds = dice.length(swarm.longest).min(room?);
        Some(Deed::Hold { services: dice.scope(world), seconds })
    }),
    ("no_scale_down", |dice, world, swarm, room| {
        let seconds = dice.length(swarm.longest).min(room.unwrap_or(i64::MAX));
        Some(Deed::NoScaleDown { services: dice.scope(world), seconds })
    }),
    ("pin", |dice, world, swarm, room| {
        let (service, units) = dice.wish(world, room.is_none())?;
        let seconds = dice.length(swarm.longest).min(room.unwrap_or(i64::MAX));
        Some(Deed::Pin { service, units, seconds })
    }),
    ("expire_all", |_, _, _, _| Some(Deed::ExpireAll)),
    ("set_by_hand", |dice, world, _, room| {
        let (service, units) = dice.wish(world, room.is_none())?;
        Some(Deed::SetByHand { service, units })
    }),
    ("shed", |dice, world, swarm, room| {
        let service = dice.service(world, |it| it.load.is_some())?;
        let ratio = dice.log(0.05, 0.8);
        Some(Deed::Shed { service, ratio, seconds: dice.length(swarm.longest).min(room?) })
    }),
    ("drain", |dice, world, swarm, room| {
        let zone = dice.place(world.zones.len());
        let seconds = dice.length(swarm.longest).min(room?);
        (1 < world.zones.len()).then_some(Deed::Drain { zone, seconds })
    }),
];

/// Everything else that people do.
pub(super) fn draw(seed: u64, swarm: &Swarm, world: &WorldSpec, until: i64, acts: &mut Vec<Act>) {
    for (name, draw_deed) in DEEDS {
        let mut dice = Dice(generator(seed, &format!("swarm/people/{name}")));
        let is_on = dice.chance(0.5);
        let share = ACTS_PER_FAULT / KINDS_OF_ACTS_ON;
        let per_hour = 2.0 * dice.fraction() * swarm.faults_per_hour * share;
        if !is_on || per_hour <= 0.0 {
            continue;
        }
        let mut at = dice.wait(per_hour);
        for _ in 0..ACTS_MAX {
            if until <= at {
                break;
            }
            let waits_for_a_page = dice.chance(0.25);
            let delay = DELAY_MEDIAN_SECONDS * (DELAY_SIGMA * normal(&mut dice.0)).exp();
            let never = dice.chance(NEVER_RATIO);
            let (when, room) = if waits_for_a_page {
                (When::AfterPage(whole_seconds(delay)), None)
            } else {
                (When::At(at), Some(until - at))
            };
            let deed = draw_deed(&mut dice, world, swarm, room);
            if !never && let Some(deed) = deed {
                acts.push(Act { when, deed });
            }
            at += dice.wait(per_hour).max(1);
        }
    }
    acts.sort_by_key(|it| match it.when {
        When::At(second) | When::AfterPage(second) => second,
    });
}

impl Dice {
    /// All services (empty), or one.
    fn scope(&mut self, world: &WorldSpec) -> Vec<usize> {
        let all = self.chance(0.3);
        let one = self.any(world);
        if all { Vec::new() } else { one.into_iter().collect() }
    }

    /// Units that somebody wants for a scaled service: about right, or anything within bounds;
    /// as many as there may be where it must not harm.
    fn wish(&mut self, world: &WorldSpec, must_not_harm: bool) -> Option<(usize, u32)> {
        let service = self.service(world, |it| it.is_scaled)?;
        let spec = world.services.get(service)?;
        let is_wrong = self.chance(0.5);
        let wrong = self.units(spec);
        let right = spec.units_start.clamp(spec.units_min, spec.units_max.max(spec.units_min));
        let units = if is_wrong { wrong } else { right };
        Some((service, if must_not_harm { spec.units_max } else { units }))
    }
}
