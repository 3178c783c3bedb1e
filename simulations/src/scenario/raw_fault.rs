//! `faults:` of a region's scenario.
//!
//! **In:** lines as written. **Out:** [`Fault`]s inside their limits.
//! **Not here:** what they do ([`crate::fault`]).

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::places::Places;
use super::timed::Timed;
use super::value::{CHANGE_IT, Length, Offset, RawFault, above_zero, as_text, length, within};
use crate::fault::{DeathPoint, Fault, FaultKind};
use crate::world::ServiceKind;
use crate::world::spec::UNITS_MAX;

type Name = Spanned<String>;
type Number = Spanned<f64>;

/// As [`FaultKind`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum RawFaultKind {
    Surge {
        service: Name,
        factor: Number,
        ramp: Option<Spanned<Length>>,
    },
    Junk {
        service: Name,
        rps: Number,
        tenant: Option<Name>,
    },
    Slow {
        service: Name,
        factor: Number,
    },
    Errors {
        service: Name,
        ratio: Number,
    },
    Down {
        service: Name,
    },
    Gray {
        service: Name,
        ratio: Number,
        factor: Number,
    },
    Leak {
        service: Name,
        per_hour: Number,
    },
    HiddenLimit {
        service: Name,
        units: Spanned<u32>,
    },
    HealthChecks {
        service: Name,
        ratio: Number,
    },
    ReplicaLag {
        service: Name,
        growth: Number,
    },
    BadDeployment {
        service: Name,
        errors: Number,
        slow: Option<Number>,
    },
    DiskFills {
        service: Name,
        ratio_per_hour: Number,
    },
    CertificateExpires {
        service: Name,
        #[serde(rename = "in")]
        after: Spanned<Length>,
    },
    Crash {
        service: Name,
        ratio: Number,
    },
    Restart {
        service: Name,
        ratio: Number,
    },
    Flush {
        service: Name,
    },
    ZoneLoss {
        zone: Name,
    },
    LaunchLimit {
        per_minute: Number,
    },
    LaunchFailures {
        ratio: Number,
    },
    SlowBoot {
        factor: Number,
    },
    SeriesGone {
        service: Option<Name>,
    },
    ReadsZero {
        service: Option<Name>,
    },
    Frozen {
        service: Option<Name>,
    },
    WrongBy {
        service: Option<Name>,
        factor: Number,
    },
    Garbled {
        service: Option<Name>,
    },
    ScrapesFail {
        service: Option<Name>,
    },
    BackendDown,
    BackendEmpty,
    BackendSkew {
        seconds: Spanned<Offset>,
    },
    PagerDead,
    ProviderDown,
    Throttled {
        ratio: Number,
    },
    NoAnswer {
        ratio: Number,
    },
    LateChanges {
        seconds: Spanned<Length>,
    },
    StaleReads {
        seconds: Spanned<Length>,
    },
    HalfDone {
        ratio: Number,
    },
    PartialInventory {
        ratio: Number,
    },
    AgentDies {
        point: RawDeathPoint,
    },
    AgentClock {
        seconds: Spanned<Offset>,
    },
    JournalFails,
    OtherAutomation {
        service: Name,
        units: Spanned<u32>,
        every: Spanned<Length>,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawDeathPoint {
    Idle,
    BeforeAppend,
    AfterAppend,
    AfterEffect,
}

/// Largest factor. Why a million: seconds read as microseconds; more is a slip.
const FACTOR_MAX: f64 = 1e6;
const RPS_MAX: f64 = 1e9;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

pub(super) fn checked(
    line: &Spanned<Timed<RawFaultKind>>,
    places: &Places<'_>,
) -> Result<Fault, RawFault> {
    let Timed { at, lasts, after_page, kind, names } = &line.value;
    let kind = one("fault", kind, names, line.referenced)?;
    if let Some(after_page) = after_page {
        let hint = "only people wait for a page; give the fault an `at`";
        return Err(RawFault::new(after_page.referenced, "a fault has no `after_page`", hint));
    }
    let Some(at) = at else {
        let hint = "say when it begins, such as `at: 40m` after the start of the scored part";
        return Err(RawFault::new(line.referenced, "this fault has no `at`", hint));
    };
    let kind = kind.checked(places)?;
    let from = places.at("at", at)?;
    let until = match lasts {
        Some(lasts) if kind.is_once() => {
            let message = format!("`{}` happens once, it has no `for`", kind.name());
            return Err(RawFault::new(lasts.referenced, message, "leave `for` out"));
        }
        None if kind.is_once() => from + 1,
        None => {
            let message = format!("`{}` has no `for`", kind.name());
            let hint = "say how long it lasts, such as `for: 20m`";
            return Err(RawFault::new(line.referenced, message, hint));
        }
        Some(lasts) => {
            let seconds = length("for", lasts, 1..=400 * DAY)?;
            if places.lasts < from + seconds {
                let (ends, end) = (as_text(from + seconds), as_text(places.lasts));
                let message = format!("the fault ends at {ends}, the scenario lasts {end}");
                let hint = "let the scenario last longer, or the fault shorter";
                return Err(RawFault::new(lasts.referenced, message, hint));
            }
            from + seconds
        }
    };
    if let FaultKind::Surge { ramp, .. } = kind
        && until - from < 2 * ramp
    {
        let (ramp, length) = (as_text(ramp), as_text(until - from));
        let message = format!("the surge lasts {length}, less than two ramps of {ramp}");
        let hint = "let it last longer, or the ramp shorter: load rises and falls within `for`";
        return Err(RawFault::new(line.referenced, message, hint));
    }
    Ok(Fault { from, until, kind })
}

/// The one thing that happens in a line.
pub(super) fn one<'a, K>(
    what: &str,
    kind: &'a Option<K>,
    names: &[String],
    location: Location,
) -> Result<&'a K, RawFault> {
    match (kind, names) {
        (Some(kind), [_]) => Ok(kind),
        (_, []) | (None, _) => {
            let message = format!("this {what} does not say what happens");
            Err(RawFault::new(location, message, "add one field that names it"))
        }
        (Some(_), [first, second, ..]) => {
            let message = format!("`{first}` and `{second}` in one {what}");
            Err(RawFault::new(location, message, "write one line for each"))
        }
    }
}

impl RawFaultKind {
    fn checked(&self, places: &Places<'_>) -> Result<FaultKind, RawFault> {
        let service = |it: &Name| places.service(it);
        let maybe = |it: &Option<Name>| it.as_ref().map(service).transpose();
        let ratio = |it: &Number| within("ratio", it, 0.0..=1.0);
        let factor = |it: &Number| above_zero("factor", it, FACTOR_MAX);
        Ok(match self {
            RawFaultKind::Surge { service: it, factor: times, ramp } => FaultKind::Surge {
                service: has_load(places, it)?,
                factor: within("factor", times, 0.0..=FACTOR_MAX)?,
                ramp: ramp.as_ref().map_or(Ok(0), |it| length("ramp", it, 0..=400 * DAY))?,
            },
            RawFaultKind::Junk { service: it, rps, tenant } => {
                let service = service(it)?;
                let tenant = tenant.as_ref().map(|it| places.tenant(service, it)).transpose()?;
                FaultKind::Junk { service, rps: within("rps", rps, 0.0..=RPS_MAX)?, tenant }
            }
            RawFaultKind::Slow { service: it, factor: times } => {
                FaultKind::Slow { service: service(it)?, factor: factor(times)? }
            }
            RawFaultKind::Errors { service: it, ratio: share } => {
                FaultKind::Errors { service: service(it)?, ratio: ratio(share)? }
            }
            RawFaultKind::Down { service: it } => FaultKind::Down { service: service(it)? },
            RawFaultKind::Gray { service: it, ratio: share, factor: times } => FaultKind::Gray {
                service: service(it)?,
                ratio: ratio(share)?,
                factor: within("factor", times, 1.0..=FACTOR_MAX)?,
            },
            RawFaultKind::Leak { service: it, per_hour } => FaultKind::Leak {
                service: service(it)?,
                per_hour: within("per_hour", per_hour, 0.0..=60.0)?,
            },
            RawFaultKind::HiddenLimit { service: it, units } => FaultKind::HiddenLimit {
                service: service(it)?,
                units: within("units", units, 1..=UNITS_MAX)?,
            },
            RawFaultKind::HealthChecks { service: it, ratio: share } => {
                FaultKind::HealthChecks { service: service(it)?, ratio: ratio(share)? }
            }
            RawFaultKind::ReplicaLag { service: it, growth } => {
                let service = places.service_that_is(it, "a database", |it| {
                    matches!(it.kind, ServiceKind::Database { .. })
                })?;
                let growth = within("growth", growth, 0.0..=1_000.0)?;
                FaultKind::ReplicaLag { service, growth }
            }
            RawFaultKind::BadDeployment { service: it, errors, slow } => FaultKind::BadDeployment {
                service: service(it)?,
                error_ratio: within("errors", errors, 0.0..=1.0)?,
                slow_factor: slow
                    .as_ref()
                    .map_or(Ok(1.0), |it| within("slow", it, 1.0..=FACTOR_MAX))?,
            },
            RawFaultKind::DiskFills { service: it, ratio_per_hour } => FaultKind::DiskFills {
                service: service(it)?,
                ratio_per_hour: above_zero("ratio_per_hour", ratio_per_hour, 60.0)?,
            },
            RawFaultKind::CertificateExpires { service: it, after } => {
                FaultKind::CertificateExpires {
                    service: service(it)?,
                    seconds: length("in", after, 0..=400 * DAY)?,
                }
            }
            RawFaultKind::Crash { service: it, ratio: share } => {
                FaultKind::Crash { service: service(it)?, ratio: ratio(share)? }
            }
            RawFaultKind::Restart { service: it, ratio: share } => {
                FaultKind::Restart { service: service(it)?, ratio: ratio(share)? }
            }
            RawFaultKind::Flush { service: it } => {
                let is_cache =
                    |it: &crate::world::ServiceSpec| matches!(it.kind, ServiceKind::Cache { .. });
                FaultKind::Flush { service: places.service_that_is(it, "a cache", is_cache)? }
            }
            RawFaultKind::ZoneLoss { zone } => FaultKind::ZoneLoss { zone: places.zone(zone)? },
            RawFaultKind::LaunchLimit { per_minute } => {
                FaultKind::LaunchLimit { per_minute: within("per_minute", per_minute, 0.0..=1e6)? }
            }
            RawFaultKind::LaunchFailures { ratio: share } => {
                FaultKind::LaunchFailures { ratio: ratio(share)? }
            }
            RawFaultKind::SlowBoot { factor: times } => {
                FaultKind::SlowBoot { factor: above_zero("factor", times, 1_000.0)? }
            }
            RawFaultKind::SeriesGone { service: it } => {
                FaultKind::SeriesGone { service: maybe(it)? }
            }
            RawFaultKind::ReadsZero { service: it } => FaultKind::ReadsZero { service: maybe(it)? },
            RawFaultKind::Frozen { service: it } => FaultKind::Frozen { service: maybe(it)? },
            RawFaultKind::WrongBy { service: it, factor: times } => {
                FaultKind::WrongBy { service: maybe(it)?, factor: factor(times)? }
            }
            RawFaultKind::Garbled { service: it } => FaultKind::Garbled { service: maybe(it)? },
            RawFaultKind::ScrapesFail { service: it } => {
                FaultKind::ScrapesFail { service: maybe(it)? }
            }
            RawFaultKind::BackendDown => FaultKind::BackendDown,
            RawFaultKind::BackendEmpty => FaultKind::BackendEmpty,
            RawFaultKind::BackendSkew { seconds } => {
                FaultKind::BackendSkew { seconds: offset(seconds)? }
            }
            RawFaultKind::PagerDead => FaultKind::PagerDead,
            RawFaultKind::ProviderDown => FaultKind::ProviderDown,
            RawFaultKind::Throttled { ratio: share } => {
                FaultKind::Throttled { ratio: ratio(share)? }
            }
            RawFaultKind::NoAnswer { ratio: share } => FaultKind::NoAnswer { ratio: ratio(share)? },
            RawFaultKind::LateChanges { seconds } => {
                FaultKind::LateChanges { seconds: length("seconds", seconds, 0..=HOUR)? }
            }
            RawFaultKind::StaleReads { seconds } => {
                FaultKind::StaleReads { seconds: length("seconds", seconds, 0..=HOUR)? }
            }
            RawFaultKind::HalfDone { ratio: share } => {
                FaultKind::HalfDone { ratio: above_zero("ratio", share, 1.0)? }
            }
            RawFaultKind::PartialInventory { ratio: share } => {
                FaultKind::PartialInventory { ratio: ratio(share)? }
            }
            RawFaultKind::AgentDies { point } => FaultKind::AgentDies {
                point: match point {
                    RawDeathPoint::Idle => DeathPoint::Idle,
                    RawDeathPoint::BeforeAppend => DeathPoint::BeforeAppend,
                    RawDeathPoint::AfterAppend => DeathPoint::AfterAppend,
                    RawDeathPoint::AfterEffect => DeathPoint::AfterEffect,
                },
            },
            RawFaultKind::AgentClock { seconds } => {
                FaultKind::AgentClock { seconds: offset(seconds)? }
            }
            RawFaultKind::JournalFails => FaultKind::JournalFails,
            RawFaultKind::OtherAutomation { service: it, units, every } => {
                FaultKind::OtherAutomation {
                    service: service(it)?,
                    units: within("units", units, 0..=UNITS_MAX)?,
                    every: length("every", every, 1..=DAY)?,
                }
            }
        })
    }
}

fn has_load(places: &Places<'_>, name: &Name) -> Result<usize, RawFault> {
    places.service_that_is(name, "a service with a `load`", |it| it.load.is_some())
}

fn offset(it: &Spanned<Offset>) -> Result<i64, RawFault> {
    if (-DAY..=DAY).contains(&it.value.0) {
        return Ok(it.value.0);
    }
    let message = format!("`seconds` is {} s, it must be -1d to 1d", it.value.0);
    Err(RawFault::new(it.referenced, message, CHANGE_IT))
}
