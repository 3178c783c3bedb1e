//! Faults in words, for people.
//!
//! **In:** a fault's kind and the names of the region. **Out:** a sentence without a full stop.
//! **Not here:** when it is said ([`super::Schedule`]).

use super::{DeathPoint, FaultKind};
use crate::world::WorldSpec;

/// Such as "zone b is lost".
pub(super) fn words(kind: &FaultKind, spec: &WorldSpec) -> String {
    use FaultKind::*;
    let name = |service: &usize| spec.services.get(*service).map_or("?", |it| it.name.as_str());
    let of = |service: &Option<usize>| match service {
        Some(service) => format!("the metrics of {}", name(service)),
        None => "all metrics".to_owned(),
    };
    let percent = |ratio: &f64| format!("{:.0} %", 100.0 * ratio);
    match kind {
        Surge { service, factor, .. } => {
            format!("load of {} is {} times the usual", name(service), short(*factor))
        }
        Junk { service, rps, .. } => {
            format!("{rps:.0} worthless requests/s come to {}", name(service))
        }
        Slow { service, factor } => {
            format!("{} is {} times as slow", name(service), short(*factor))
        }
        Errors { service, ratio } => {
            format!("{} of the answers of {} are errors", percent(ratio), name(service))
        }
        Down { service } => format!("{} is down", name(service)),
        Gray { service, ratio, factor } => format!(
            "{} of the units of {} are {} times as slow, with a green health check",
            percent(ratio),
            name(service),
            short(*factor)
        ),
        Leak { service, per_hour } => {
            format!("{} loses {} of its capacity per hour", name(service), percent(per_hour))
        }
        HiddenLimit { service, units } => {
            format!("{} gets slow above {units} units", name(service))
        }
        HealthChecks { service, ratio } => {
            format!("health checks of {} of the units of {} fail", percent(ratio), name(service))
        }
        ReplicaLag { service, .. } => format!("the replicas of {} fall behind", name(service)),
        BadDeployment { service, error_ratio, slow_factor } => format!(
            "a deployment of {}: {} errors, {} times as slow",
            name(service),
            percent(error_ratio),
            short(*slow_factor)
        ),
        DiskFills { service, ratio_per_hour } => {
            format!("the disks of {} fill by {} per hour", name(service), percent(ratio_per_hour))
        }
        CertificateExpires { service, seconds } => {
            format!("the certificate of {} ends in {seconds} s", name(service))
        }
        Crash { service, ratio } => {
            format!("{} of the units of {} die", percent(ratio), name(service))
        }
        Restart { service, ratio } => {
            format!("{} of the units of {} restart", percent(ratio), name(service))
        }
        Flush { service } => format!("{} is emptied", name(service)),
        ZoneLoss { zone } => {
            format!("zone {} is lost", spec.zones.get(*zone).map_or("?", String::as_str))
        }
        LaunchLimit { per_minute } => {
            format!("the provider launches {} units per minute at most", short(*per_minute))
        }
        LaunchFailures { ratio } => format!("{} of the launches fail", percent(ratio)),
        SlowBoot { factor } => format!("units take {} times as long to boot", short(*factor)),
        SeriesGone { service } => format!("{} are gone", of(service)),
        ReadsZero { service } => format!("{} read zero", of(service)),
        Frozen { service } => format!("{} stand still", of(service)),
        WrongBy { service, factor } => {
            format!("{} are wrong by {} times", of(service), short(*factor))
        }
        Garbled { service } => format!("{} are no numbers, or negative", of(service)),
        ScrapesFail { service } => format!("{} are no longer scraped", of(service)),
        BackendDown => "the metrics backend does not answer".to_owned(),
        BackendEmpty => "the metrics backend answers without any series".to_owned(),
        BackendSkew { seconds } => {
            format!("the clock of the metrics backend is {}", off(*seconds))
        }
        PagerDead => "pages reach nobody".to_owned(),
        ProviderDown => "the provider's API fails".to_owned(),
        Throttled { ratio } => format!("the provider refuses {} of the calls", percent(ratio)),
        NoAnswer { ratio } => {
            format!("{} of the changes get no answer from the provider", percent(ratio))
        }
        LateChanges { seconds } => {
            format!("changes at the provider take effect {seconds} s late")
        }
        StaleReads { seconds } => format!("the provider shows what was true {seconds} s ago"),
        HalfDone { ratio } => {
            format!("the provider carries out {} of each change", percent(ratio))
        }
        PartialInventory { ratio } => format!("the provider shows {} of the units", percent(ratio)),
        AgentDies { point } => match point {
            DeathPoint::Idle => "the agent dies".to_owned(),
            DeathPoint::BeforeAppend => "the agent dies before it writes its records".to_owned(),
            DeathPoint::AfterAppend => {
                "the agent dies between its records and their effects".to_owned()
            }
            DeathPoint::AfterEffect => {
                "the agent dies before it hears how its effects ended".to_owned()
            }
        },
        AgentClock { seconds } => format!("the agent's clock is {}", off(*seconds)),
        JournalFails => "the agent's journal cannot be written".to_owned(),
        OtherAutomation { service, units, .. } => {
            format!("another automation keeps setting {} to {units} units", name(service))
        }
    }
}

/// At most three decimals, and none that say nothing: `2.2`, not `2.200`.
fn short(factor: f64) -> String {
    let text = format!("{factor:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn off(seconds: i64) -> String {
    let side = if seconds < 0 { "behind" } else { "ahead" };
    format!("{} s {side}", seconds.unsigned_abs())
}
