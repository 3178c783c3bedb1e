//! `region:` of a scenario.
//!
//! **In:** a region as written, and the agent's documents behind it.
//! **Out:** a [`RegionScenario`] inside its limits, or what is wrong and where.
//! **Not here:** services ([`super::raw_service`]), lines of faults, people and expectations.

use jiff::Timestamp;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::places::Places;
use super::raw_fault::{self, RawFaultKind};
use super::raw_must::{RawMust, RawMustNot};
use super::raw_people::{self, RawDeed};
use super::raw_service::{Names, Place, RawService};
use super::region::RegionScenario;
use super::timed::Timed;
use super::value::{CHANGE_IT, Length, RawFault, is_name, length, name_fault, within};
use crate::exporter::ExporterSpec;
use crate::fault::swarm::Swarm;
use crate::world::spec::{SERVICES_MAX, ZONES_MAX};
use crate::world::{SpecError, WorldSpec};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegion {
    about: Spanned<String>,
    starts_at: Spanned<String>,
    warm_up: Option<Spanned<Length>>,
    lasts: Spanned<Length>,
    evaluation_period: Option<Spanned<Length>>,
    zones: Option<Spanned<Vec<Spanned<String>>>>,
    zone_units_max: Option<Spanned<u32>>,
    launches_per_minute: Option<Spanned<f64>>,
    fail_open_ratio: Option<Spanned<f64>>,
    scrape: Option<RawScrape>,
    services: Spanned<Vec<RawService>>,
    #[serde(default)]
    faults: Vec<Spanned<Timed<RawFaultKind>>>,
    swarm: Option<RawSwarm>,
    #[serde(default)]
    people: Vec<Spanned<Timed<RawDeed>>>,
    #[serde(default)]
    playbooks: Vec<Spanned<String>>,
    #[serde(default)]
    must: Vec<RawMust>,
    #[serde(default)]
    must_not: Vec<RawMustNot>,
    #[serde(default)]
    fails: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScrape {
    period: Option<Spanned<Length>>,
    lag: Option<Spanned<Length>>,
    misses_ratio: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSwarm {
    faults_per_hour: Spanned<f64>,
    longest: Spanned<Length>,
    people: bool,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// What nobody needs to write.
const WARM_UP: i64 = 20 * MINUTE;
const EVALUATION_PERIOD: i64 = 15;
const ZONES: [&str; 3] = ["a", "b", "c"];
const ZONE_UNITS_MAX: u32 = 1_000;
const LAUNCHES_PER_MINUTE: f64 = 120.0;
const FAIL_OPEN_RATIO: f64 = 0.5;

/// Longest scored part. Why 400 days: as for recorded loads.
const LASTS_MAX: i64 = 400 * DAY;
/// Most faults, acts and expectations each. Why 1,000: nobody reads a longer scenario; a swarm
/// draws more trouble than can be written.
const LINES_MAX: usize = 1_000;
/// Most files with playbooks. Why 50: more than the agent brings along.
const PLAYBOOKS_MAX: usize = 50;
/// Most controllers that must fail.
const FAILS_MAX: usize = 16;
/// Longest `about` in bytes.
const ABOUT_BYTES_MAX: usize = 1_000;
/// Between which years: far from where times overflow.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2199;

impl RawRegion {
    /// Everything but the documents.
    pub(super) fn checked(
        &self,
        name: &str,
        incident: Option<u8>,
    ) -> Result<RegionScenario, RawFault> {
        let RawRegion {
            about,
            starts_at,
            warm_up,
            lasts,
            evaluation_period,
            zones: _,
            zone_units_max: _,
            launches_per_minute: _,
            fail_open_ratio: _,
            scrape,
            services: _,
            faults,
            swarm,
            people,
            playbooks,
            must,
            must_not,
            fails,
        } = self;
        let about = check_about(about)?;
        let starts_at = check_start(starts_at)?;
        let warm_up = optional("warm_up", warm_up, 0..=7 * DAY, WARM_UP)?;
        let lasts = length("lasts", lasts, MINUTE..=LASTS_MAX)?;
        let period = optional("evaluation_period", evaluation_period, 1..=HOUR, EVALUATION_PERIOD)?;
        let world = self.world()?;
        world.check().map_err(|it| self.fault_of(&it))?;
        let exporter = scrape.as_ref().map_or(Ok(ExporterSpec::default()), RawScrape::checked)?;
        few("faults", faults.len(), LINES_MAX, faults.get(LINES_MAX).map(|it| it.referenced))?;
        few("people", people.len(), LINES_MAX, people.get(LINES_MAX).map(|it| it.referenced))?;
        let here = Some(self.services.referenced);
        few("must", must.len(), LINES_MAX, here)?;
        few("must_not", must_not.len(), LINES_MAX, here)?;
        few("fails", fails.len(), FAILS_MAX, fails.get(FAILS_MAX).map(|it| it.referenced))?;
        few("playbooks", playbooks.len(), PLAYBOOKS_MAX, here)?;
        let tenants = self.services.value.iter().map(RawService::tenants);
        let tenants: Vec<_> = tenants.collect::<Result<_, _>>()?;
        let places = Places::new(&world, &tenants, lasts);
        let faults: Vec<_> =
            faults.iter().map(|it| raw_fault::checked(it, &places)).collect::<Result<_, _>>()?;
        let people =
            people.iter().map(|it| raw_people::checked(it, &places)).collect::<Result<_, _>>()?;
        let must = must.iter().map(|it| it.checked(&places, &faults)).collect::<Result<_, _>>()?;
        let must_not = must_not.iter().map(|it| it.checked(&places)).collect::<Result<_, _>>()?;
        Ok(RegionScenario {
            name: name.to_owned(),
            incident,
            about,
            exporter,
            starts_at,
            warm_up,
            lasts,
            evaluation_period: period,
            faults,
            swarm: swarm.as_ref().map(|it| it.checked(lasts)).transpose()?,
            people,
            playbooks: playbooks.iter().map(playbook).collect::<Result<_, _>>()?,
            documents: None,
            must,
            must_not,
            fails: fails.iter().map(controller).collect::<Result<_, _>>()?,
            tenants,
            world,
        })
    }

    fn world(&self) -> Result<WorldSpec, RawFault> {
        let zones = match &self.zones {
            None => ZONES.map(str::to_owned).to_vec(),
            Some(zones) => check_zones(zones)?,
        };
        let raw = &self.services.value;
        if raw.is_empty() || SERVICES_MAX < raw.len() {
            let message =
                format!("there are {} services, 1 to {SERVICES_MAX} are simulated", raw.len());
            return Err(RawFault::new(self.services.referenced, message, CHANGE_IT));
        }
        let mut names = Names::new();
        for (service, place) in raw.iter().zip(0..) {
            let name = service.name();
            if names.insert(&name.value, place).is_some() {
                let message = format!("two services are called `{}`", name.value);
                return Err(RawFault::new(name.referenced, message, "rename one"));
            }
        }
        let services = raw.iter().zip(0..).map(|(it, place)| it.checked(&names, place));
        Ok(WorldSpec {
            zones,
            services: services.collect::<Result<_, _>>()?,
            launches_per_minute_max: self
                .launches_per_minute
                .as_ref()
                .map_or(LAUNCHES_PER_MINUTE, |it| it.value),
            zone_units_max: self.zone_units_max.as_ref().map_or(ZONE_UNITS_MAX, |it| it.value),
            fail_open_ratio: self.fail_open_ratio.as_ref().map_or(FAIL_OPEN_RATIO, |it| it.value),
        })
    }

    /// What the world's own check found, in the scenario's words.
    fn fault_of(&self, error: &SpecError) -> RawFault {
        let service = self.services.value.iter().find(|it| it.name().value == error.service);
        let places = service.map_or_else(|| self.places(), RawService::places);
        let fallback = service.map_or(self.services.referenced, |it| it.name().referenced);
        // Such as `unit.slots`, or `slots`.
        let field = error.field.rsplit('.').next().unwrap_or(error.field);
        let place = places.iter().find(|it| it.field == field);
        let written = place.map_or(error.field, |it| it.written);
        let of = if error.service.is_empty() {
            String::new()
        } else {
            format!(" of `{}`", error.service)
        };
        let message = format!("`{written}`{of} is `{}`, it must be {}", error.value, error.allowed);
        RawFault::new(place.map_or(fallback, |it| it.location), message, CHANGE_IT)
    }

    fn places(&self) -> Vec<Place> {
        let place = |field, written, location: Option<Location>| {
            location.map(|location| Place { field, written, location })
        };
        let zones = self.zones.as_ref().map(|it| it.referenced);
        let zone_units_max = self.zone_units_max.as_ref().map(|it| it.referenced);
        let launches = self.launches_per_minute.as_ref().map(|it| it.referenced);
        let fail_open = self.fail_open_ratio.as_ref().map(|it| it.referenced);
        [
            place("zones", "zones", zones),
            place("services", "services", Some(self.services.referenced)),
            place("zone_units_max", "zone_units_max", zone_units_max),
            place("launches_per_minute_max", "launches_per_minute", launches),
            place("fail_open_ratio", "fail_open_ratio", fail_open),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn optional(
    field: &str,
    it: &Option<Spanned<Length>>,
    allowed: std::ops::RangeInclusive<i64>,
    default: i64,
) -> Result<i64, RawFault> {
    it.as_ref().map_or(Ok(default), |it| length(field, it, allowed))
}

fn few(field: &str, n: usize, most: usize, location: Option<Location>) -> Result<(), RawFault> {
    if n <= most {
        return Ok(());
    }
    let message = format!("`{field}` has {n} lines, at most {most} are read");
    Err(RawFault::new(location.unwrap_or(Location::UNKNOWN), message, "split the scenario"))
}

fn check_about(about: &Spanned<String>) -> Result<String, RawFault> {
    let text = about.value.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || ABOUT_BYTES_MAX < text.len() {
        let message =
            format!("`about` has {} bytes, it must have 1 to {ABOUT_BYTES_MAX}", text.len());
        return Err(RawFault::new(
            about.referenced,
            message,
            "say what it shows in a sentence or two",
        ));
    }
    Ok(text)
}

fn check_start(text: &Spanned<String>) -> Result<Timestamp, RawFault> {
    let in_years = |at: &Timestamp| YEARS.contains(&at.to_zoned(jiff::tz::TimeZone::UTC).year());
    let at = text.value.parse::<Timestamp>().ok().filter(in_years);
    at.and_then(|at| Timestamp::from_second(at.as_second()).ok()).ok_or_else(|| {
        let message = format!("`{}` is not a time from 1970 to 2199", text.value);
        RawFault::new(text.referenced, message, "write for example `2026-03-02T09:00:00Z`")
    })
}

fn check_zones(zones: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, RawFault> {
    let n = zones.value.len();
    if !(1..=ZONES_MAX).contains(&n) {
        let message = format!("there are {n} zones, it must be 1 to {ZONES_MAX}");
        return Err(RawFault::new(zones.referenced, message, CHANGE_IT));
    }
    let mut names: Vec<String> = Vec::new();
    for zone in &zones.value {
        if !is_name(&zone.value) {
            return Err(name_fault(zone));
        }
        if names.contains(&zone.value) {
            let message = format!("two zones are called `{}`", zone.value);
            return Err(RawFault::new(zone.referenced, message, "rename one"));
        }
        names.push(zone.value.clone());
    }
    Ok(names)
}

/// A path below the folder `playbooks`, such as `heal/gray-node.yaml`.
fn playbook(path: &Spanned<String>) -> Result<String, RawFault> {
    let is_plain = |it: &str| is_name(it) && !it.starts_with('.');
    if path.value.ends_with(".yaml") && path.value.split('/').all(is_plain) {
        return Ok(path.value.clone());
    }
    let message = format!("`{}` is not the path of a playbook", path.value);
    let hint = "write it as it is below the folder `playbooks`, such as `heal/gray-node.yaml`";
    Err(RawFault::new(path.referenced, message, hint))
}

/// A controller as on the command line, such as `hpa:70`. Which there are the command knows.
fn controller(name: &Spanned<String>) -> Result<String, RawFault> {
    let fits = |it: char| it.is_ascii_alphanumeric() || "-_.:".contains(it);
    if name.value.is_empty() || 64 < name.value.len() || !name.value.chars().all(fits) {
        let message = format!("`{}` is not a controller", name.value);
        let hint = "write it as on the command line, such as `hpa` or `reflex`";
        return Err(RawFault::new(name.referenced, message, hint));
    }
    Ok(name.value.clone())
}

impl RawScrape {
    fn checked(&self) -> Result<ExporterSpec, RawFault> {
        let RawScrape { period, lag, misses_ratio } = self;
        let usual = ExporterSpec::default();
        let misses_ratio = misses_ratio
            .as_ref()
            .map_or(Ok(usual.misses_ratio), |it| within("scrape.misses_ratio", it, 0.0..=1.0))?;
        Ok(ExporterSpec {
            scrape_seconds: optional("scrape.period", period, 1..=HOUR, usual.scrape_seconds)?,
            lag_seconds: optional("scrape.lag", lag, 0..=HOUR, usual.lag_seconds)?,
            misses_ratio,
        })
    }
}

impl RawSwarm {
    fn checked(&self, lasts: i64) -> Result<Swarm, RawFault> {
        let RawSwarm { faults_per_hour, longest, people } = self;
        Ok(Swarm {
            faults_per_hour: within("swarm.faults_per_hour", faults_per_hour, 0.0..=60.0)?,
            longest: length("swarm.longest", longest, 1..=lasts)?,
            has_people: *people,
        })
    }
}
