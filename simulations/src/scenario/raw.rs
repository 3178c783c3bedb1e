//! Scenario files as they are written.
//!
//! **In:** YAML.
//! **Out:** a checked [`Scenario`], or what is wrong and where.
//! **Not here:** what the numbers are for ([`crate::capacity::Setup`]), the region
//! ([`super::raw_region`]).

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::raw_region::RawRegion;
use super::value::{CHANGE_IT, Length, RawFault, is_name, name_fault, within};
use super::{CapacityScenario, MADE_UP_DAYS_MAX, MadeUpLoad, Scenario, ScenarioKind};
use crate::capacity::{Setup, SetupError};
use crate::load::LoadCurve;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawScenario {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: RawKind,
    metadata: RawMetadata,
    spec: Spanned<RawSpec>,
}

#[derive(Deserialize)]
enum ApiVersion {
    #[serde(rename = "evenkeel/v1")]
    V1,
}

#[derive(Deserialize)]
enum RawKind {
    Scenario,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetadata {
    name: Spanned<String>,
    incident: Option<Spanned<u8>>,
}

/// Exactly one field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpec {
    capacity: Option<RawCapacity>,
    region: Option<RawRegion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCapacity {
    unit: RawUnit,
    evaluation_period: Spanned<Length>,
    boot: Spanned<Length>,
    history: Spanned<Length>,
    units: RawUnits,
    price_usd_per_hour: Spanned<f64>,
    objective: RawObjective,
    load: RawLoad,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnit {
    percentile: Spanned<f64>,
    count: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnits {
    min: Spanned<u32>,
    max: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObjective {
    time_ratio_max: Spanned<f64>,
    under_demand_max: Option<Spanned<Length>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLoad {
    days: Spanned<i64>,
    trough: Spanned<f64>,
    peak: Spanned<f64>,
    peak_hour: Spanned<f64>,
    weekend_ratio: Spanned<f64>,
    noise_ratio: Spanned<f64>,
}

/// Incidents of the museum.
const INCIDENTS_MAX: u8 = 25;

impl RawScenario {
    pub(super) fn checked(self) -> Result<Scenario, RawFault> {
        let RawScenario { _api_version, _kind, metadata, spec } = self;
        let RawMetadata { name, incident } = metadata;
        if !is_name(&name.value) {
            return Err(name_fault(&name));
        }
        let n =
            incident.as_ref().map(|it| within("incident", it, 1..=INCIDENTS_MAX)).transpose()?;
        let kind = match (spec.value, incident) {
            (RawSpec { capacity: Some(_), region: None }, Some(incident)) => {
                let message = "a capacity scenario has no `incident`";
                return Err(RawFault::new(incident.referenced, message, "remove it"));
            }
            (RawSpec { capacity: Some(capacity), region: None }, None) => {
                ScenarioKind::Capacity(capacity.checked(&name.value)?)
            }
            (RawSpec { capacity: None, region: Some(region) }, _) => {
                ScenarioKind::Region(Box::new(region.checked(&name.value, n)?))
            }
            (RawSpec { capacity: None, region: None }, _) => {
                let message = "`spec` says nothing";
                let hint = "add `capacity` (one load) or `region` (services that call each other)";
                return Err(RawFault::new(spec.referenced, message, hint));
            }
            (RawSpec { capacity: Some(_), region: Some(_) }, _) => {
                let message = "`spec` has both `capacity` and `region`";
                return Err(RawFault::new(spec.referenced, message, "make two scenarios of it"));
            }
        };
        Ok(Scenario { name: name.value, kind })
    }
}

impl RawCapacity {
    fn checked(self, name: &str) -> Result<CapacityScenario, RawFault> {
        let RawCapacity {
            unit: RawUnit { percentile, count },
            evaluation_period,
            boot,
            history,
            units: RawUnits { min, max },
            price_usd_per_hour,
            objective: RawObjective { time_ratio_max, under_demand_max },
            load,
        } = self;
        let setup = Setup {
            scenario: name.to_owned(),
            percentile: percentile.value,
            units_at_percentile: count.value,
            evaluation_period: evaluation_period.value.0,
            boot: boot.value.0,
            history: history.value.0,
            units_min: min.value,
            units_max: max.value,
            price_usd_per_hour: price_usd_per_hour.value,
            under_time_ratio_max: time_ratio_max.value,
            under_demand_max: under_demand_max.map(|it| it.value.0),
            ..Setup::default()
        };
        let location = |error: &SetupError| match error {
            SetupError::Limits { field, .. } => match *field {
                "unit.percentile" => percentile.referenced,
                "unit.count" => count.referenced,
                "evaluation_period" => evaluation_period.referenced,
                "boot" => boot.referenced,
                "history" => history.referenced,
                "units.max" => max.referenced,
                "price_usd_per_hour" => price_usd_per_hour.referenced,
                "objective.time_ratio_max" => time_ratio_max.referenced,
                _ => min.referenced,
            },
            SetupError::Bounds { .. }
            | SetupError::NoUnit { .. }
            | SetupError::TooShort { .. }
            | SetupError::Name(_) => min.referenced,
        };
        setup
            .check_numbers()
            .map_err(|error| RawFault::new(location(&error), error.to_string(), error.hint()))?;
        Ok(CapacityScenario { setup, load: load.checked()? })
    }
}

impl RawLoad {
    fn checked(self) -> Result<MadeUpLoad, RawFault> {
        let RawLoad { days, trough, peak, peak_hour, weekend_ratio, noise_ratio } = self;
        if !(1..=MADE_UP_DAYS_MAX).contains(&days.value) {
            let message =
                format!("`load.days` is {}, it must be 1 to {MADE_UP_DAYS_MAX}", days.value);
            return Err(RawFault::new(days.referenced, message, CHANGE_IT));
        }
        let checks = [
            ("load.trough", &trough, 0.0, 1e9, "0 to 1000000000"),
            ("load.peak", &peak, 1e-9, 1e9, "above 0, at most 1000000000"),
            ("load.peak_hour", &peak_hour, 0.0, 24.0, "0 to 24"),
            ("load.weekend_ratio", &weekend_ratio, 0.0, 10.0, "0 to 10"),
            ("load.noise_ratio", &noise_ratio, 0.0, 1.0, "0 to 1"),
        ];
        for (field, it, least, most, limits) in checks {
            if !(least <= it.value && it.value <= most) {
                let message = format!("`{field}` is {}, it must be {limits}", it.value);
                return Err(RawFault::new(it.referenced, message, CHANGE_IT));
            }
        }
        if peak.value < trough.value {
            let (low, high) = (trough.value, peak.value);
            let message = format!("`load.trough` ({low}) is above `load.peak` ({high})");
            return Err(RawFault::new(trough.referenced, message, "swap the two"));
        }
        let curve = LoadCurve {
            trough_rps: trough.value,
            peak_rps: peak.value,
            peak_hour: peak_hour.value,
            weekend_ratio: weekend_ratio.value,
            noise_ratio: noise_ratio.value,
        };
        Ok(MadeUpLoad { days: days.value, curve })
    }
}
