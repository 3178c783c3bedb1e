//! The units of one service: launched into zones, booting, ready, gone.
//!
//! **In:** seconds, launches that the region allows, units that are taken away.
//! **Out:** how many are ready, and when the next one changes.
//! **Not here:** who may launch when ([`super::launches`]), what units do ([`super::service`]).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::chance::{fraction, generator, normal};

use super::names::{UnitSeen, WEIGHT_FULL};
use super::spec::{START_CALLS_SECONDS, ServiceSpec, ZONES_MAX};

/// Longest boot in seconds, whatever was drawn.
const BOOT_SECONDS_MAX: f64 = 86_400.0;

/// Ready since long before the start: such a unit makes no first calls.
const LONG_AGO: i64 = -1_000_000_000;

/// When the first units were started: a day before the run.
const STARTED_BEFORE: i64 = -86_400;

/// Units per zone.
pub(super) type ByZone = [u32; ZONES_MAX];

#[derive(Clone, Copy, Debug)]
struct Unit {
    zone: usize,
    /// Booting until then; ready since then.
    ready_at: i64,
    /// When its launch fails, if it does.
    fails_at: Option<i64>,
    is_ready: bool,
    /// The service's leak when it became ready.
    leak: f64,
    /// Never used again.
    id: u32,
    started_at: i64,
    is_drained: bool,
    weight: u32,
    /// Slow behind a green health check. Kept only once units have names.
    is_gray: bool,
}

/// Who gets traffic, once units have names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Ready units that get none.
    pub(super) out: u32,
    /// Gray ones that get some; and their share of it.
    pub(super) gray: u32,
    pub(super) gray_share: f64,
}

/// All units of one service, in order of launch.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    units: Vec<Unit>,
    boots: ChaCha8Rng,
    boot_median_seconds: f64,
    boot_sigma: f64,
    by_zone: ByZone,
    next_id: u32,
    /// Units asked for.
    pub(super) desired: u32,
    /// Launches of it that wait in the region's queue.
    pub(super) queued: u32,
    /// Ready units.
    pub(super) ready: u32,
    /// Ready units that still make their first calls.
    pub(super) starting: u32,
    /// Mean of the leak when ready units became ready.
    pub(super) leak_mean: f64,
    /// The next second in which something changes; `i64::MAX` for none.
    pub(super) next_event: i64,
}

impl Fleet {
    /// As many units as the service starts with, ready, spread over the zones from `taken`.
    pub(super) fn new(seed: u64, spec: &ServiceSpec, zones: &mut Zones) -> Fleet {
        let mut fleet = Fleet {
            units: Vec::new(),
            boots: generator(seed, &format!("boot/{}", spec.name)),
            boot_median_seconds: spec.boot_median_seconds,
            boot_sigma: spec.boot_sigma,
            by_zone: [0; ZONES_MAX],
            next_id: 0,
            desired: spec.units_start,
            queued: 0,
            ready: 0,
            starting: 0,
            leak_mean: 0.0,
            next_event: i64::MAX,
        };
        for _ in 0..spec.units_start {
            let Some(zone) = zones.open_zone(&fleet.by_zone) else {
                break;
            };
            fleet.add(zones, zone, LONG_AGO, (STARTED_BEFORE, None), true);
        }
        fleet.recount(0);
        fleet
    }

    /// Units that exist.
    pub(super) fn current(&self) -> u32 {
        u32::try_from(self.units.len()).unwrap_or(u32::MAX)
    }

    /// Units by zone.
    pub(super) fn by_zone(&self) -> &ByZone {
        &self.by_zone
    }

    /// Launches one unit. Every launch draws the same number of times, so that a failure that
    /// is switched on leaves the boot times as they were.
    pub(super) fn launch(&mut self, now: i64, zones: &mut Zones, zone: usize) {
        let ready_at = now.saturating_add(self.boot_seconds(zones.boot_factor));
        let draw = fraction(self.boots.next_u64());
        let fails_at = (draw < zones.failures_ratio).then(|| now + ((ready_at - now) / 2).max(1));
        self.add(zones, zone, ready_at, (now, fails_at), false);
        self.next_event = self.next_event.min(fails_at.unwrap_or(ready_at));
    }

    fn add(
        &mut self,
        zones: &mut Zones,
        zone: usize,
        ready_at: i64,
        (started_at, fails_at): (i64, Option<i64>),
        is_ready: bool,
    ) {
        self.units.push(Unit {
            zone,
            ready_at,
            fails_at,
            is_ready,
            leak: 0.0,
            id: self.next_id,
            started_at,
            is_drained: false,
            weight: WEIGHT_FULL,
            is_gray: false,
        });
        self.next_id = self.next_id.saturating_add(1);
        if let Some(units) = self.by_zone.get_mut(zone) {
            *units += 1;
        }
        zones.change(zone, 1);
    }

    /// A boot in whole seconds, at least 1. Lognormal, as boots are: most alike, some twice as
    /// long, none in no time.
    fn boot_seconds(&mut self, factor: f64) -> i64 {
        let draw = normal(&mut self.boots);
        let seconds = self.boot_median_seconds * (self.boot_sigma * draw).exp() * factor;
        #[expect(clippy::cast_possible_truncation, reason = "clamped to a day; NaN becomes 0")]
        let seconds = seconds.min(BOOT_SECONDS_MAX).round() as i64;
        seconds.max(1)
    }

    /// Units become ready, or fail, up to and including `now`. `leak` is the service's leak.
    pub(super) fn settle(&mut self, now: i64, leak: f64, zones: &mut Zones) {
        self.retain(zones, |unit| unit.is_ready || unit.fails_at.is_none_or(|at| now < at));
        for unit in &mut self.units {
            if !unit.is_ready && unit.ready_at <= now {
                unit.is_ready = true;
                unit.leak = leak;
            }
        }
        self.recount(now);
    }

    /// Keeps the units of which `keep` says so, and counts the others out of their zones.
    fn retain(&mut self, zones: &mut Zones, mut keep: impl FnMut(&Unit) -> bool) {
        let by_zone = &mut self.by_zone;
        self.units.retain(|unit| {
            let stays = keep(unit);
            if !stays {
                if let Some(units) = by_zone.get_mut(unit.zone) {
                    *units = units.saturating_sub(1);
                }
                zones.change(unit.zone, -1);
            }
            stays
        });
    }

    /// Counts anew after anything changed at `now`.
    pub(super) fn recount(&mut self, now: i64) {
        #[expect(clippy::cast_possible_truncation, reason = "ten seconds")]
        const STARTS: i64 = START_CALLS_SECONDS as i64;
        self.ready = 0;
        self.starting = 0;
        self.next_event = i64::MAX;
        let mut leak = 0.0;
        for unit in &self.units {
            if !unit.is_ready {
                let next = unit.fails_at.unwrap_or(unit.ready_at);
                self.next_event = self.next_event.min(next);
                continue;
            }
            self.ready += 1;
            leak += unit.leak;
            let started = unit.ready_at.saturating_add(STARTS);
            if now < started {
                self.starting += 1;
                self.next_event = self.next_event.min(started);
            }
        }
        self.leak_mean = if self.ready == 0 { 0.0 } else { leak / f64::from(self.ready) };
    }

    /// Takes away `surplus` units: first what is not ready, the newest first, then ready ones
    /// from the fullest zone, the newest first.
    pub(super) fn shrink(&mut self, now: i64, surplus: u32, zones: &mut Zones) {
        let booting = self.current() - self.ready.min(self.current());
        let mut from_booting = surplus.min(booting);
        let mut from_ready = surplus - from_booting;
        // The newest first: whoever comes late in the list goes.
        let mut spared = booting - from_booting;
        self.retain(zones, |unit| {
            if unit.is_ready || 0 < spared {
                spared -= u32::from(!unit.is_ready && 0 < spared);
                return true;
            }
            let goes = 0 < from_booting;
            from_booting = from_booting.saturating_sub(1);
            !goes
        });
        let mut left: ByZone = self.by_zone;
        while 0 < from_ready {
            let fullest = (0..ZONES_MAX).rev().max_by_key(|it| left.get(*it).copied());
            if let Some(units) = fullest.and_then(|it| left.get_mut(it)) {
                *units = units.saturating_sub(1);
            }
            from_ready -= 1;
        }
        self.retain(zones, |unit| match left.get_mut(unit.zone) {
            Some(units) if 0 < *units => {
                *units -= 1;
                true
            }
            Some(_) | None => false,
        });
        self.recount(now);
    }

    /// Takes all units of a zone away.
    pub(super) fn lose_zone(&mut self, now: i64, zone: usize, zones: &mut Zones) {
        if self.by_zone.get(zone).copied().unwrap_or(0) == 0 {
            return;
        }
        self.retain(zones, |unit| unit.zone != zone);
        self.recount(now);
    }

    /// Kills `n` ready units, evenly over the list and so over the zones.
    pub(super) fn kill(&mut self, now: i64, n: u32, zones: &mut Zones) {
        let mut pick = Evenly::new(n, self.ready);
        self.retain(zones, |unit| !(unit.is_ready && pick.next()));
        self.recount(now);
    }

    /// Boots `n` ready units again where they are.
    pub(super) fn restart(&mut self, now: i64, n: u32, boot_factor: f64) {
        let mut pick = Evenly::new(n, self.ready);
        self.boot_again(now, boot_factor, |unit| unit.is_ready && pick.next());
    }

    /// Boots those units again of which `goes` says so; returns how many.
    fn boot_again(
        &mut self,
        now: i64,
        boot_factor: f64,
        mut goes: impl FnMut(&Unit) -> bool,
    ) -> u32 {
        let mut n = 0;
        for index in 0..self.units.len() {
            if !self.units.get(index).is_some_and(&mut goes) {
                continue;
            }
            n += 1;
            let ready_at = now.saturating_add(self.boot_seconds(boot_factor));
            if let Some(unit) = self.units.get_mut(index) {
                unit.is_ready = false;
                unit.fails_at = None;
                unit.ready_at = ready_at;
                unit.started_at = now;
                unit.is_gray = false;
            }
        }
        self.recount(now);
        n
    }
}

/// Units by name.
impl Fleet {
    /// So many ready units turn gray, evenly over the list and so over the zones.
    pub(super) fn turn_gray(&mut self, n: u32) {
        let mut pick = Evenly::new(n, self.ready);
        for unit in self.units.iter_mut().filter(|it| it.is_ready) {
            unit.is_gray = pick.next();
        }
    }

    /// No unit is gray any more.
    pub(super) fn turn_well(&mut self) {
        self.units.iter_mut().for_each(|it| it.is_gray = false);
    }

    /// Boots at most so many gray units again.
    pub(super) fn restart_gray(&mut self, now: i64, most: u32, boot_factor: f64) {
        let mut left = most;
        self.boot_again(now, boot_factor, |unit| {
            let goes = unit.is_ready && unit.is_gray && 0 < left;
            left -= u32::from(goes);
            goes
        });
    }

    /// Who gets traffic.
    pub(super) fn traffic(&self) -> Traffic {
        let (mut traffic, mut weights, mut gray_weights) = (Traffic::default(), 0.0, 0.0);
        for unit in self.units.iter().filter(|it| it.is_ready) {
            if unit.is_drained || unit.weight == 0 {
                traffic.out += 1;
                continue;
            }
            let weight = f64::from(unit.weight);
            weights += weight;
            if unit.is_gray {
                traffic.gray += 1;
                gray_weights += weight;
            }
        }
        traffic.gray_share = if 0.0 < weights { gray_weights / weights } else { 0.0 };
        traffic
    }

    /// What can be seen of the oldest units; `lanes` is the latency and the share of errors of
    /// well ones and of gray ones, and so many of the ready ones fail their health check.
    pub(super) fn seen(
        &self,
        most: usize,
        lanes: &[(f64, f64); 2],
        n_unhealthy: u32,
    ) -> Vec<UnitSeen> {
        let mut unhealthy = Evenly::new(n_unhealthy, self.ready);
        let seen = self.units.iter().map(|unit| {
            let is_ready = unit.is_ready && !unhealthy.next();
            let gets_traffic = unit.is_ready && !unit.is_drained && 0 < unit.weight;
            let [well, gray] = *lanes;
            let lane = if unit.is_gray { gray } else { well };
            let (latency_p95_seconds, error_ratio) = if gets_traffic { lane } else { (0.0, 0.0) };
            UnitSeen {
                id: unit.id,
                zone: unit.zone,
                is_ready,
                is_drained: unit.is_drained,
                weight: unit.weight,
                started_at: unit.started_at,
                latency_p95_seconds,
                error_ratio,
            }
        });
        seen.take(most).collect()
    }

    pub(super) fn set_drained(&mut self, ids: &[u32], is_drained: bool) {
        for unit in self.units.iter_mut().filter(|it| ids.contains(&it.id)) {
            unit.is_drained = is_drained;
        }
    }

    pub(super) fn set_weights(&mut self, weights: &[(u32, u32)]) {
        for unit in &mut self.units {
            if let Some((_, weight)) = weights.iter().find(|(id, _)| *id == unit.id) {
                unit.weight = (*weight).min(WEIGHT_FULL);
            }
        }
    }

    /// These units are gone; returns how many there were.
    pub(super) fn remove(&mut self, now: i64, ids: &[u32], zones: &mut Zones) -> u32 {
        let before = self.current();
        self.retain(zones, |unit| !ids.contains(&unit.id));
        self.recount(now);
        before - self.current()
    }

    /// These units boot again, ready or not; returns how many there were.
    pub(super) fn restart_named(&mut self, now: i64, ids: &[u32], boot_factor: f64) -> u32 {
        self.boot_again(now, boot_factor, |unit| ids.contains(&unit.id))
    }
}

/// Picks `n` of `of`, evenly.
struct Evenly {
    n: u64,
    of: u64,
    seen: u64,
}

impl Evenly {
    fn new(n: u32, of: u32) -> Evenly {
        Evenly { n: u64::from(n.min(of)), of: u64::from(of).max(1), seen: 0 }
    }

    fn next(&mut self) -> bool {
        let before = self.seen * self.n / self.of;
        self.seen += 1;
        before < self.seen * self.n / self.of
    }
}

/// The region's zones, as launches see them.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    /// Units of all services.
    units: ByZone,
    units_max: u32,
    is_lost: [bool; ZONES_MAX],
    is_drained: [bool; ZONES_MAX],
    n: usize,
    /// Times every boot that begins now.
    pub(super) boot_factor: f64,
    /// Share of launches that fail.
    pub(super) failures_ratio: f64,
}

impl Zones {
    pub(super) fn new(n: usize, units_max: u32) -> Zones {
        Zones {
            units: [0; ZONES_MAX],
            units_max,
            is_lost: [false; ZONES_MAX],
            is_drained: [false; ZONES_MAX],
            n: n.min(ZONES_MAX),
            boot_factor: 1.0,
            failures_ratio: 0.0,
        }
    }

    /// Where a service with those units launches its next: the open zone with room where it
    /// has fewest, the first of equals.
    pub(super) fn open_zone(&self, by_zone: &ByZone) -> Option<usize> {
        let is_open = |zone: &usize| {
            let has_room = self.units.get(*zone).is_some_and(|it| *it < self.units_max);
            has_room && !self.is_closed(*zone)
        };
        let fewest = |zone: &usize| by_zone.get(*zone).copied();
        (0..self.n).filter(is_open).min_by_key(fewest)
    }

    fn is_closed(&self, zone: usize) -> bool {
        self.is_lost.get(zone).copied().unwrap_or(true)
            || self.is_drained.get(zone).copied().unwrap_or(true)
    }

    fn change(&mut self, zone: usize, by: i32) {
        if let Some(units) = self.units.get_mut(zone) {
            *units = units.saturating_add_signed(by);
        }
    }

    /// Marks exactly these zones as lost; says which are newly so.
    pub(super) fn lose(&mut self, lost: &[usize]) -> [bool; ZONES_MAX] {
        let mut is_new = [false; ZONES_MAX];
        for zone in 0..self.n {
            let is_lost = lost.contains(&zone);
            if let (Some(was), Some(new)) = (self.is_lost.get_mut(zone), is_new.get_mut(zone)) {
                *new = is_lost && !*was;
                *was = is_lost;
            }
        }
        is_new
    }

    pub(super) fn set_drained(&mut self, zone: usize, is_drained: bool) {
        if let Some(it) = self.is_drained.get_mut(zone) {
            *it = is_drained;
        }
    }
}
