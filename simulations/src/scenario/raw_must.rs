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
    GoodRatio {
        service: Name,
        min: Spanned<f64>,
        from: Second,
        until: Second,
    },
    ReadyAtLeast {
        service: Name,
        units: Spanned<u32>,
        from: Second,
        until: Second,
    },
    CostRatioAtMost(Spanned<f64>),
    PageWithin(Spanned<Length>),
    DetectedWithin(Spanned<Length>),
    HealedByPlaybook(Name),
    ContainedWithin {
        service: Name,
        within: Spanned<Length>,
        budget: Name,
        spent_ratio_max: Spanned<f64>,
    },
    TenantGoodRatio {
        service: Name,
        tenant: Name,
        min: Spanned<f64>,
        from: Second,
        until: Second,
    },
    SloPageWithin {
        slo: Name,
        within: Spanned<Length>,
    },
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
    Touch { service: Name },
    SloAlerts { slo: Name, from: Second, until: Second },
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
                Must::PageWithin { seconds: after_first("page_within", it, faults, places)? }
            }
            RawMust::DetectedWithin(it) => {
                let seconds = after_first("detected_within", it, faults, places)?;
                Must::DetectedWithin { seconds }
            }
            RawMust::ContainedWithin { service, within: it, budget, spent_ratio_max } => {
                Must::ContainedWithin {
                    service: places.service(service)?,
                    seconds: after_first("contained_within", it, faults, places)?,
                    budget: name_of(budget)?,
                    spent_ratio_max: within("spent_ratio_max", spent_ratio_max, 0.0..=1.0)?,
                }
            }
            RawMust::TenantGoodRatio { service, tenant, min, from, until } => {
                let service = places.service(service)?;
                Must::TenantGoodRatio {
                    service,
                    tenant: places.tenant(service, tenant)?,
                    min: within("min", min, 0.0..=1.0)?,
                    span: places.span(&RawSpan { from, until })?,
                }
            }
            RawMust::SloPageWithin { slo, within: it } => Must::SloPageWithin {
                slo: name_of(slo)?,
                seconds: after_first("slo_page_within", it, faults, places)?,
            },
            RawMust::HealedByPlaybook(name) => Must::HealedByPlaybook { name: name_of(name)? },
        })
    }
}

fn name_of(name: &Name) -> Result<String, RawFault> {
    if is_name(&name.value) { Ok(name.value.clone()) } else { Err(name_fault(name)) }
}

/// Seconds after the first fault began.
fn after_first(
    field: &str,
    it: &Spanned<Length>,
    faults: &[Fault],
    places: &Places<'_>,
) -> Result<i64, RawFault> {
    let Some(first) = faults.iter().map(|it| it.from).min() else {
        let message = format!("`{field}` without a fault");
        let hint = if field == "detected_within" {
            "add a fault; the time counts from its first bad second"
        } else {
            "add a fault; the time counts from the first one"
        };
        return Err(RawFault::new(it.referenced, message, hint));
    };
    after(field, it, "the first fault begins", first, places)
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
            RawMustNot::Touch { service } => MustNot::Touch { service: places.service(service)? },
            RawMustNot::SloAlerts { slo, from, until } => MustNot::SloAlerts {
                slo: name_of(slo)?,
                span: places.span(&RawSpan { from, until })?,
            },
        })
    }
}
