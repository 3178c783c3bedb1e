//! All knobs at one second.
//!
//! **In:** the faults that are active. **Out:** [`Board`], and writing it to where the knobs
//! are. **Not here:** which faults are active ([`super::Schedule`]), what a knob does.
//!
//! A board is computed from the defaults every time, never from the board before: a fault that
//! ends leaves nothing behind, in whatever order faults overlap.

use super::{Fault, FaultKind};
use crate::chance::seconds_f64;
use crate::exporter::{BackendKnobs, Exporter, ExporterKnobs};
use crate::provider::{Provider, ProviderKnobs};
use crate::world::{Knobs, RegionKnobs, World};

/// Which services' knobs the faults of a run ever turn, in order of place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    services: Vec<usize>,
    exporters: Vec<usize>,
}

impl Reach {
    pub(super) fn of(faults: &[Fault], n_services: usize) -> Reach {
        let mut reach = Reach::default();
        for fault in faults {
            if let Some(service) = of_service(&fault.kind) {
                reach.services.push(service);
            }
            match of_exporter(&fault.kind) {
                None => {}
                Some(None) => reach.exporters.extend(0..n_services),
                Some(Some(service)) => reach.exporters.push(service),
            }
            // Two faults of all exporters would make the list as long as faults times services.
            if n_services < reach.exporters.len() {
                tidy(&mut reach.exporters, n_services);
            }
        }
        tidy(&mut reach.services, n_services);
        tidy(&mut reach.exporters, n_services);
        reach
    }
}

fn tidy(places: &mut Vec<usize>, n_services: usize) {
    places.retain(|it| *it < n_services);
    places.sort_unstable();
    places.dedup();
}

/// The service whose own knobs it turns.
fn of_service(kind: &FaultKind) -> Option<usize> {
    use FaultKind::*;
    match kind {
        Surge { service, .. }
        | Junk { service, .. }
        | Slow { service, .. }
        | Errors { service, .. }
        | Down { service }
        | Gray { service, .. }
        | Leak { service, .. }
        | HiddenLimit { service, .. }
        | HealthChecks { service, .. }
        | ReplicaLag { service, .. }
        | BadDeployment { service, .. }
        | DiskFills { service, .. }
        | CertificateExpires { service, .. } => Some(*service),
        Crash { .. }
        | Restart { .. }
        | Flush { .. }
        | ZoneLoss { .. }
        | LaunchLimit { .. }
        | LaunchFailures { .. }
        | SlowBoot { .. }
        | SeriesGone { .. }
        | ReadsZero { .. }
        | Frozen { .. }
        | WrongBy { .. }
        | Garbled { .. }
        | ScrapesFail { .. }
        | BackendDown
        | BackendEmpty
        | BackendSkew { .. }
        | PagerDead
        | ProviderDown
        | Throttled { .. }
        | NoAnswer { .. }
        | LateChanges { .. }
        | StaleReads { .. }
        | HalfDone { .. }
        | PartialInventory { .. }
        | AgentDies { .. }
        | AgentClock { .. }
        | JournalFails
        | OtherAutomation { .. } => None,
    }
}

/// The exporter that it turns: one, or (`Some(None)`) all.
fn of_exporter(kind: &FaultKind) -> Option<Option<usize>> {
    use FaultKind::*;
    match kind {
        SeriesGone { service }
        | ReadsZero { service }
        | Frozen { service }
        | WrongBy { service, .. }
        | Garbled { service }
        | ScrapesFail { service } => Some(*service),
        Surge { .. }
        | Junk { .. }
        | Slow { .. }
        | Errors { .. }
        | Down { .. }
        | Gray { .. }
        | Leak { .. }
        | HiddenLimit { .. }
        | HealthChecks { .. }
        | ReplicaLag { .. }
        | BadDeployment { .. }
        | DiskFills { .. }
        | CertificateExpires { .. }
        | Crash { .. }
        | Restart { .. }
        | Flush { .. }
        | ZoneLoss { .. }
        | LaunchLimit { .. }
        | LaunchFailures { .. }
        | SlowBoot { .. }
        | BackendDown
        | BackendEmpty
        | BackendSkew { .. }
        | PagerDead
        | ProviderDown
        | Throttled { .. }
        | NoAnswer { .. }
        | LateChanges { .. }
        | StaleReads { .. }
        | HalfDone { .. }
        | PartialInventory { .. }
        | AgentDies { .. }
        | AgentClock { .. }
        | JournalFails
        | OtherAutomation { .. } => None,
    }
}

/// Every knob that the faults of a run ever turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Board {
    pub(super) services: Vec<(usize, Knobs)>,
    pub(super) exporters: Vec<(usize, ExporterKnobs)>,
    pub(super) backend: BackendKnobs,
    pub(super) region: RegionKnobs,
    pub(super) provider: ProviderKnobs,
}

impl Board {
    /// Nothing is broken.
    pub(super) fn healthy(reach: &Reach) -> Board {
        Board {
            services: reach.services.iter().map(|it| (*it, Knobs::default())).collect(),
            exporters: reach.exporters.iter().map(|it| (*it, ExporterKnobs::default())).collect(),
            backend: BackendKnobs::default(),
            region: RegionKnobs::default(),
            provider: ProviderKnobs::default(),
        }
    }

    /// The knobs at `second` when `active` is broken. Where faults overlap, factors multiply,
    /// rates and offsets add up, ratios are those of independent chances, and of limits and
    /// delays the worst counts.
    pub(super) fn at<'a>(
        second: i64,
        active: impl Iterator<Item = &'a Fault>,
        reach: &Reach,
    ) -> Board {
        let mut board = Board::healthy(reach);
        for fault in active {
            board.turn(second, fault);
        }
        board.region.lost_zones.sort_unstable();
        board.region.lost_zones.dedup();
        board
    }

    fn turn(&mut self, second: i64, fault: &Fault) {
        if let Some(service) = of_service(&fault.kind) {
            if let Ok(index) = self.services.binary_search_by_key(&service, |it| it.0)
                && let Some((_, knobs)) = self.services.get_mut(index)
            {
                turn_service(second, fault, knobs);
            }
        } else if let Some(service) = of_exporter(&fault.kind) {
            for (index, knobs) in &mut self.exporters {
                if service.is_none_or(|it| it == *index) {
                    turn_exporter(&fault.kind, knobs);
                }
            }
        } else {
            self.turn_region(&fault.kind);
        }
    }

    fn turn_region(&mut self, kind: &FaultKind) {
        use FaultKind::*;
        let Board { backend, region, provider, .. } = self;
        match kind {
            ZoneLoss { zone } => region.lost_zones.push(*zone),
            LaunchLimit { per_minute } => {
                let before = region.launches_per_minute_max.unwrap_or(f64::INFINITY);
                region.launches_per_minute_max = Some(before.min(*per_minute));
            }
            LaunchFailures { ratio } => join(&mut region.launch_failures_ratio, *ratio),
            SlowBoot { factor } => {
                // 0 counts as 1.
                let before = if 0.0 < region.boot_factor { region.boot_factor } else { 1.0 };
                region.boot_factor = before * factor;
            }
            BackendDown => backend.is_down = true,
            BackendEmpty => backend.is_empty = true,
            BackendSkew { seconds } => backend.skew_seconds += seconds,
            ProviderDown => provider.is_down = true,
            Throttled { ratio } => join(&mut provider.throttled_ratio, *ratio),
            NoAnswer { ratio } => join(&mut provider.unknown_ratio, *ratio),
            LateChanges { seconds } => {
                provider.delay_seconds = provider.delay_seconds.max(*seconds)
            }
            StaleReads { seconds } => provider.stale_seconds = provider.stale_seconds.max(*seconds),
            HalfDone { ratio } => provider.done_ratio *= ratio,
            PartialInventory { ratio } => provider.shown_ratio *= ratio,
            Surge { .. }
            | Junk { .. }
            | Slow { .. }
            | Errors { .. }
            | Down { .. }
            | Gray { .. }
            | Leak { .. }
            | HiddenLimit { .. }
            | HealthChecks { .. }
            | ReplicaLag { .. }
            | BadDeployment { .. }
            | DiskFills { .. }
            | CertificateExpires { .. }
            | Crash { .. }
            | Restart { .. }
            | Flush { .. }
            | SeriesGone { .. }
            | ReadsZero { .. }
            | Frozen { .. }
            | WrongBy { .. }
            | Garbled { .. }
            | ScrapesFail { .. }
            | PagerDead
            | AgentDies { .. }
            | AgentClock { .. }
            | JournalFails
            | OtherAutomation { .. } => {}
        }
    }

    /// Turns what differs from `before`; everything where nothing was turned yet.
    pub(super) fn write(
        &self,
        before: Option<&Board>,
        world: &mut World,
        exporter: &mut Exporter,
        provider: &mut Provider,
    ) {
        for (index, (service, knobs)) in self.services.iter().enumerate() {
            if before.and_then(|it| it.services.get(index)) != Some(&(*service, *knobs)) {
                let place = world.knobs_mut(*service);
                // People turn this one.
                *place = Knobs { shed_ratio: place.shed_ratio, ..*knobs };
            }
        }
        for (index, (service, knobs)) in self.exporters.iter().enumerate() {
            if before.and_then(|it| it.exporters.get(index)) != Some(&(*service, *knobs)) {
                *exporter.knobs_mut(*service) = *knobs;
            }
        }
        if before.map(|it| it.backend) != Some(self.backend) {
            *exporter.backend_mut() = self.backend;
        }
        if before.map(|it| &it.region) != Some(&self.region) {
            world.set_region_knobs(self.region.clone());
        }
        if before.map(|it| it.provider) != Some(self.provider) {
            *provider.knobs_mut() = self.provider;
        }
    }
}

fn turn_service(second: i64, fault: &Fault, knobs: &mut Knobs) {
    use FaultKind::*;
    match &fault.kind {
        Surge { factor, ramp, .. } => {
            knobs.load_factor *= 1.0 + (factor - 1.0) * height(second, fault, *ramp);
        }
        Junk { rps, tenant, .. } => match tenant {
            None => knobs.junk_rps += rps,
            Some(tenant) => {
                if let Some(it) = knobs.tenants_junk_rps.get_mut(*tenant) {
                    *it += rps;
                }
            }
        },
        Slow { factor, .. } => knobs.slow_factor *= factor,
        Errors { ratio, .. } => join(&mut knobs.error_ratio, *ratio),
        Down { .. } => knobs.is_down = true,
        Gray { ratio, factor, .. } => {
            join(&mut knobs.gray_ratio, *ratio);
            knobs.gray_factor = knobs.gray_factor.max(*factor);
        }
        Leak { per_hour, .. } => knobs.leak_per_hour += per_hour,
        HiddenLimit { units, .. } => {
            // 0 is no limit.
            let before = knobs.hidden_limit_units;
            knobs.hidden_limit_units = if before == 0 { *units } else { before.min(*units) };
        }
        HealthChecks { ratio, .. } => join(&mut knobs.unhealthy_ratio, *ratio),
        ReplicaLag { growth, .. } => knobs.lag_growth += growth,
        BadDeployment { error_ratio, slow_factor, .. } => {
            let before = knobs.bad_deployment;
            knobs.bad_deployment = Some(crate::world::BadDeployment {
                error_ratio: before.map_or(0.0, |it| it.error_ratio).max(*error_ratio),
                slow_factor: before.map_or(1.0, |it| it.slow_factor).max(*slow_factor),
            });
        }
        DiskFills { ratio_per_hour, .. } => knobs.disk_fill_per_hour += ratio_per_hour,
        CertificateExpires { seconds, .. } => {
            // Of two, the one that was there first: its clock runs.
            knobs.certificate_seconds = knobs.certificate_seconds.or(Some(*seconds));
        }
        Crash { .. }
        | Restart { .. }
        | Flush { .. }
        | ZoneLoss { .. }
        | LaunchLimit { .. }
        | LaunchFailures { .. }
        | SlowBoot { .. }
        | SeriesGone { .. }
        | ReadsZero { .. }
        | Frozen { .. }
        | WrongBy { .. }
        | Garbled { .. }
        | ScrapesFail { .. }
        | BackendDown
        | BackendEmpty
        | BackendSkew { .. }
        | PagerDead
        | ProviderDown
        | Throttled { .. }
        | NoAnswer { .. }
        | LateChanges { .. }
        | StaleReads { .. }
        | HalfDone { .. }
        | PartialInventory { .. }
        | AgentDies { .. }
        | AgentClock { .. }
        | JournalFails
        | OtherAutomation { .. } => {}
    }
}

fn turn_exporter(kind: &FaultKind, knobs: &mut ExporterKnobs) {
    if let FaultKind::WrongBy { factor, .. } = kind {
        knobs.factor *= factor;
    }
    knobs.is_gone |= matches!(kind, FaultKind::SeriesGone { .. });
    knobs.reads_zero |= matches!(kind, FaultKind::ReadsZero { .. });
    knobs.is_frozen |= matches!(kind, FaultKind::Frozen { .. });
    knobs.is_garbled |= matches!(kind, FaultKind::Garbled { .. });
    knobs.is_stale |= matches!(kind, FaultKind::ScrapesFail { .. });
}

/// Two independent chances.
fn join(ratio: &mut f64, other: f64) {
    *ratio = 1.0 - (1.0 - *ratio) * (1.0 - other);
}

/// How much of a surge there is at `second`, `0.0 ..= 1.0`.
fn height(second: i64, fault: &Fault, ramp: i64) -> f64 {
    if ramp < 1 {
        return 1.0;
    }
    let up = second - fault.from + 1;
    let down = fault.until - second;
    seconds_f64(up.min(down).clamp(0, ramp)) / seconds_f64(ramp)
}

/// The next second at which `fault`, active at `second`, turns its knob by itself; `None` where
/// it only stands still until its end.
pub(super) fn next_turn(second: i64, fault: &Fault) -> Option<i64> {
    let FaultKind::Surge { ramp, .. } = fault.kind else { return None };
    let falls_at = fault.until - ramp + 1;
    if ramp < 2 {
        return None;
    }
    let rises = second < fault.from + ramp - 1;
    let next = if rises || falls_at <= second { second + 1 } else { falls_at };
    (next < fault.until).then_some(next)
}
