//! Scenario files as they are written.
//!
//! **In:** YAML.
//! **Out:** a checked [`Scenario`], or what is wrong and where.
//! **Not here:** what the numbers are for ([`crate::capacity::Setup`]).

use evenkeel_core::units::parse_duration;
use jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::{CapacityScenario, MADE_UP_DAYS_MAX, MadeUpLoad, Scenario, ScenarioKind, seconds};
use crate::capacity::{Setup, SetupError};
use crate::load::LoadCurve;

/// What is wrong with a value that was read.
pub(super) struct RawFault {
    pub(super) location: Location,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawScenario {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: RawKind,
    metadata: RawMetadata,
    spec: RawSpec,
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
}

/// Exactly one field; the world of services will be the second.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpec {
    capacity: RawCapacity,
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

/// `15s`, `5m`, `2d`.
#[derive(Clone, Copy)]
struct Length(SignedDuration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Length, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Length).map_err(D::Error::custom)
    }
}

/// Longest name, as everywhere in the agent.
const NAME_BYTES_MAX: usize = 128;

impl RawScenario {
    pub(super) fn checked(self) -> Result<Scenario, RawFault> {
        let RawScenario { _api_version, _kind, metadata: RawMetadata { name }, spec } = self;
        let RawSpec { capacity } = spec;
        let is_name = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
        if name.value.is_empty()
            || NAME_BYTES_MAX < name.value.len()
            || !name.value.chars().all(is_name)
        {
            return Err(RawFault {
                location: name.referenced,
                message: format!("`{}` is not a name", name.value),
                hint: "use letters, digits and `-_.`, at most 128 of them",
            });
        }
        let kind = ScenarioKind::Capacity(capacity.checked(&name.value)?);
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
            evaluation_period: seconds(evaluation_period.value.0),
            boot: seconds(boot.value.0),
            history: seconds(history.value.0),
            units_min: min.value,
            units_max: max.value,
            price_usd_per_hour: price_usd_per_hour.value,
            under_time_ratio_max: time_ratio_max.value,
            under_demand_max: under_demand_max.map(|it| seconds(it.value.0)),
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
        setup.check_numbers().map_err(|error| RawFault {
            location: location(&error),
            message: error.to_string(),
            hint: error.hint(),
        })?;
        Ok(CapacityScenario { setup, load: load.checked()? })
    }
}

impl RawLoad {
    fn checked(self) -> Result<MadeUpLoad, RawFault> {
        let RawLoad { days, trough, peak, peak_hour, weekend_ratio, noise_ratio } = self;
        if !(1..=MADE_UP_DAYS_MAX).contains(&days.value) {
            return Err(RawFault {
                location: days.referenced,
                message: format!(
                    "`load.days` is {}, it must be 1 to {MADE_UP_DAYS_MAX}",
                    days.value
                ),
                hint: "change it in the scenario",
            });
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
                return Err(RawFault {
                    location: it.referenced,
                    message: format!("`{field}` is {}, it must be {limits}", it.value),
                    hint: "change it in the scenario",
                });
            }
        }
        if peak.value < trough.value {
            return Err(RawFault {
                location: trough.referenced,
                message: format!(
                    "`load.trough` ({}) is above `load.peak` ({})",
                    trough.value, peak.value
                ),
                hint: "swap the two",
            });
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
