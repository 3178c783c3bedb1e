//! `must:` and `must_not:` of a region's scenario.
//!
//! **In:** lines as written. **Out:** [`Must`] and [`MustNot`] inside their limits.
//! **Not here:** checking them (the run).

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::places::{Places, RawSpan};
use super::value::{Length, RawFault, as_text, is_name, length, name_fault, within};
use crate::expectation::{Must, MustNot};
use crate::fault::Fault;
use crate::world::ServiceKind;
use crate::world::spec::UNITS_MAX;

type Name = Spanned<String>;
type Second = Option<Spanned<Length>>;

/// As [`Must`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum RawMust {
    RecoverWithin(Spanned<Length>),
    GoodRatio { service: Name, min: Spanned<f64>, from: Second, until: Second },
    ReadyAtLeast { service: Name, units: Spanned<u32>, from: Second, until: Second },
    CostRatioAtMost(Spanned<f64>),
    PageWithin(Spanned<Length>),
    DetectedWithin(Spanned<Length>),
    HealedByPlaybook(Name),
}

/// As [`MustNot`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum RawMustNot {
    Remove { service: Name, from: Second, until: Second },
    Change { service: Name, from: Second, until: Second },
    Exceed { service: Name, units: Spanned<u32>, from: Second, until: Second },
    ChangeOftenerThan { service: Name, times: Spanned<u32>, from: Second, until: Second },
    TakeAwayMoreThan { service: Name, ratio: Spanned<f64> },
    LoseWrites { service: Name },
    OverruleAPerson,
    Incidents,
}

impl RawMust {
    pub(super) fn checked(&self, places: &Places<'_>, faults: &[Fault]) -> Result<Must, RawFault> {
        Ok(match self {
            RawMust::RecoverWithin(it) => {
                let healed_at = faults.iter().map(|it| it.until).max().unwrap_or(0);
                let what = "the last fault has ended";
                Must::RecoverWithin {
                    seconds: after("recover_within", it, what, healed_at, places)?,
                }
            }
            RawMust::GoodRatio { service, min, from, until } => Must::GoodRatio {
                service: places.service(service)?,
                min: within("min", min, 0.0..=1.0)?,
                span: places.span(&RawSpan { from, until })?,
            },
            RawMust::ReadyAtLeast { service, units, from, until } => Must::ReadyAtLeast {
                service: places.service(service)?,
                units: within("units", units, 1..=UNITS_MAX)?,
                span: places.span(&RawSpan { from, until })?,
            },
            RawMust::CostRatioAtMost(it) => {
                Must::CostRatioAtMost { ratio: within("cost_ratio_at_most", it, 1.0..=1_000.0)? }
            }
            RawMust::PageWithin(it) => {
                let Some(first) = faults.iter().map(|it| it.from).min() else {
                    let hint = "add a fault; the time counts from the first one";
                    let message = "`page_within` without a fault";
                    return Err(RawFault::new(it.referenced, message, hint));
                };
                let what = "the first fault begins";
                Must::PageWithin { seconds: after("page_within", it, what, first, places)? }
            }
            RawMust::DetectedWithin(it) => {
                let Some(first) = faults.iter().map(|it| it.from).min() else {
                    let hint = "add a fault; the time counts from its first bad second";
                    let message = "`detected_within` without a fault";
                    return Err(RawFault::new(it.referenced, message, hint));
                };
                let what = "the first fault begins";
                Must::DetectedWithin { seconds: after("detected_within", it, what, first, places)? }
            }
            RawMust::HealedByPlaybook(name) => {
                if !is_name(&name.value) {
                    return Err(name_fault(name));
                }
                Must::HealedByPlaybook { name: name.value.clone() }
            }
        })
    }
}

/// Seconds after an instant, still inside the scenario.
fn after(
    field: &str,
    it: &Spanned<Length>,
    what: &str,
    since: i64,
    places: &Places<'_>,
) -> Result<i64, RawFault> {
    let seconds = length(field, it, 1..=400 * 86_400)?;
    if since + seconds <= places.lasts {
        return Ok(seconds);
    }
    let (is, since) = (as_text(seconds), as_text(since));
    let lasts = as_text(places.lasts);
    let message = format!("`{field}` is {is}, {what} at {since}, the scenario lasts {lasts}");
    Err(RawFault::new(it.referenced, message, "let the scenario last longer"))
}

impl RawMustNot {
    pub(super) fn checked(&self, places: &Places<'_>) -> Result<MustNot, RawFault> {
        Ok(match self {
            RawMustNot::Remove { service, from, until } => MustNot::Remove {
                service: places.service(service)?,
                span: places.span(&RawSpan { from, until })?,
            },
            RawMustNot::Change { service, from, until } => MustNot::Change {
                service: places.service(service)?,
                span: places.span(&RawSpan { from, until })?,
            },
            RawMustNot::Exceed { service, units, from, until } => MustNot::Exceed {
                service: places.service(service)?,
                units: within("units", units, 0..=UNITS_MAX)?,
                span: places.span(&RawSpan { from, until })?,
            },
            RawMustNot::ChangeOftenerThan { service, times, from, until } => {
                MustNot::ChangeOftenerThan {
                    service: places.service(service)?,
                    times: within("times", times, 0..=1_000_000)?,
                    span: places.span(&RawSpan { from, until })?,
                }
            }
            RawMustNot::TakeAwayMoreThan { service, ratio } => MustNot::TakeAwayMoreThan {
                service: places.service(service)?,
                ratio: within("ratio", ratio, 0.0..=1.0)?,
            },
            RawMustNot::LoseWrites { service } => {
                let is_database = |it: &crate::world::ServiceSpec| {
                    matches!(it.kind, ServiceKind::Database { .. })
                };
                let service = places.service_that_is(service, "a database", is_database)?;
                MustNot::LoseWrites { service }
            }
            RawMustNot::OverruleAPerson => MustNot::OverruleAPerson,
            RawMustNot::Incidents => MustNot::Incidents,
        })
    }
}
