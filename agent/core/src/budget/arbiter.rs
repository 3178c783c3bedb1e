//! The one arbiter between an SLO that needs capacity and a budget that says stop.
//!
//! **In:** what the SLOs of a target's service need, what budgets ask, whether the service
//! is critical.
//! **Out:** a [`Ruling`], the same for policies and playbooks, with its reason.
//! **Not here:** how either is measured ([`crate::slo`], [`crate::spend`]), carrying it out
//! ([`crate::guard`]).
//!
//! The order of promises decides: people, no harm, nothing lost, explain, *meet the SLO*,
//! then cost. So cost yields to an SLO that burns, to one that cannot be told (doubt never
//! takes capacity from people), and always to a critical one. The one exception is spend that
//! grows while good requests do not: there more capacity does not help the SLO either.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::memory::{BudgetMemory, Crossed};
use crate::documents::{Budget, BudgetOf, BudgetScope, Consequence, Documents, Target};
use crate::ids::{BudgetId, ServiceName, SloId, ThresholdName};
use crate::incident::Severity;
use crate::spend::service_of;

/// What the SLOs of a service need at the moment; the most urgent of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "need", rename_all = "snake_case")]
pub enum SloNeed {
    /// The service has none.
    None,
    /// All are met.
    Met,
    /// Whether one is met cannot be told.
    Unknown { slo: SloId },
    /// One burns fast enough that somebody is told.
    Burning { slo: SloId, why: String },
}

/// A budget that asks to stop growth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stop {
    /// Which budget.
    pub budget: BudgetId,
    /// By which of its thresholds.
    pub threshold: ThresholdName,
    /// Why, in numbers.
    pub why: String,
    /// Whether spend grows and good requests do not.
    pub is_runaway: bool,
}

/// Who wins, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum Ruling {
    /// No budget asks for anything.
    Free,
    /// A budget asks to stop, and the SLO goes first.
    CostYields { stop: Stop, need: SloNeed, is_critical: bool },
    /// A budget asks to stop, and nothing that comes first needs the growth.
    Stopped { stop: Stop, need: SloNeed },
}

/// Decides.
///
/// | | no budget | budget says stop | spend grows, good requests do not |
/// |---|---|---|---|
/// | critical service | free | cost yields | cost yields |
/// | an SLO burns | free | cost yields | stopped: growth does not help |
/// | an SLO is unknown | free | cost yields | stopped |
/// | met, or none | free | stopped | stopped |
pub fn arbitrate(stop: Option<Stop>, need: SloNeed, is_critical: bool) -> Ruling {
    let Some(stop) = stop else { return Ruling::Free };
    let slo_goes_first = match need {
        SloNeed::Burning { .. } | SloNeed::Unknown { .. } => !stop.is_runaway,
        SloNeed::Met | SloNeed::None => false,
    };
    if is_critical || slo_goes_first {
        Ruling::CostYields { stop, need, is_critical }
    } else {
        Ruling::Stopped { stop, need }
    }
}

/// Decides about the growth of one target.
pub fn ruling_on(documents: &Documents, memory: &BudgetMemory, target: &Target) -> Ruling {
    // Without a budget that says stop, nobody looks for SLOs: this is asked in every pass.
    let Some(stop) = stop_on(documents, memory, target) else { return Ruling::Free };
    let service = service_of(target);
    arbitrate(
        Some(stop),
        need_of(documents, memory, service.as_ref()),
        is_critical(documents, service.as_ref()),
    )
}

/// Whether an SLO marks the service as one that is never starved to save money.
pub fn is_critical(documents: &Documents, service: Option<&ServiceName>) -> bool {
    service.is_some_and(|it| documents.slos_of(it).any(|it| it.is_critical))
}

fn need_of(documents: &Documents, memory: &BudgetMemory, service: Option<&ServiceName>) -> SloNeed {
    let mut need = SloNeed::None;
    for slo in service.into_iter().flat_map(|it| documents.slos_of(it)) {
        if need == SloNeed::None {
            need = SloNeed::Met;
        }
        for (_, alert) in memory.alerts_of(&slo.id) {
            if alert.is_firing && Severity::Ticket <= alert.severity {
                return SloNeed::Burning { slo: slo.id.clone(), why: alert.why.clone() };
            }
            if !alert.is_firing {
                need = SloNeed::Unknown { slo: slo.id.clone() };
            }
        }
    }
    need
}

fn stop_on(documents: &Documents, memory: &BudgetMemory, target: &Target) -> Option<Stop> {
    let constraints = constraints_on(documents, memory, target, Consequence::StopScalingOut);
    let stops = constraints.map(|(budget, threshold, crossed)| Stop {
        budget: budget.id.clone(),
        threshold: threshold.clone(),
        why: crossed.why.clone(),
        is_runaway: crossed.is_runaway(),
    });
    // A runaway says more than a sum.
    stops.max_by_key(|it| it.is_runaway)
}

/// Every crossed threshold with this consequence whose budget covers the target.
pub fn constraints_on<'a>(
    documents: &'a Documents,
    memory: &'a BudgetMemory,
    target: &'a Target,
    consequence: Consequence,
) -> impl Iterator<Item = (&'a Budget, &'a ThresholdName, &'a Crossed)> {
    memory
        .all_crossed()
        .filter(move |(_, _, it)| it.then.contains(&consequence))
        .filter_map(|(budget, threshold, it)| Some((documents.budget(budget)?, threshold, it)))
        .filter(move |(budget, ..)| covers(documents, budget, target))
}

/// Whether a target spends from a budget.
pub fn covers(documents: &Documents, budget: &Budget, target: &Target) -> bool {
    match &budget.of {
        BudgetOf::Spend { scope, .. } => match scope {
            BudgetScope::Everything => true,
            BudgetScope::Region(region) => *region == target.region,
            BudgetScope::Service(service) => service_of(target).as_ref() == Some(service),
            // A tenant's own budget binds the tenant: a constraint on targets that it shares
            // would starve the others.
            BudgetScope::Tenant(_) => false,
        },
        BudgetOf::Errors { slo, .. } => {
            documents.slo(slo).is_some_and(|it| service_of(target).as_ref() == Some(&it.service))
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "budget {} ({}): {}", self.budget, self.threshold, self.why)
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ruling::Free => f.write_str("no budget asks for anything"),
            Ruling::CostYields { stop, is_critical: true, .. } => {
                write!(f, "cost yields, the service is critical to its SLO; {stop}")
            }
            Ruling::CostYields { stop, need: SloNeed::Burning { slo, why }, .. } => {
                write!(f, "cost yields, SLO {slo} burns: {why}; {stop}")
            }
            Ruling::CostYields { stop, need: SloNeed::Unknown { slo }, .. } => {
                write!(f, "cost yields, SLO {slo} cannot be told; {stop}")
            }
            Ruling::CostYields { stop, need: SloNeed::Met | SloNeed::None, .. } => {
                write!(f, "cost yields; {stop}")
            }
            Ruling::Stopped { stop, need: SloNeed::Burning { slo, .. } } => {
                write!(f, "growth does not help SLO {slo}, which burns; {stop}")
            }
            Ruling::Stopped { stop, .. } => write!(f, "{stop}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_slo_goes_before_the_cost_and_a_runaway_helps_neither() {
        let slo = || SloId::new("checkout").unwrap();
        let needs = [
            SloNeed::None,
            SloNeed::Met,
            SloNeed::Unknown { slo: slo() },
            SloNeed::Burning { slo: slo(), why: "20x".to_owned() },
        ];
        let mut table = String::new();
        for is_critical in [false, true] {
            for need in &needs {
                for stop in [None, Some(false), Some(true)] {
                    let stop = stop.map(|is_runaway| Stop {
                        budget: BudgetId::new("month").unwrap(),
                        threshold: ThresholdName::new("gone").unwrap(),
                        why: if is_runaway { "3x, no more work" } else { "101 %" }.to_owned(),
                        is_runaway,
                    });
                    let ruling = arbitrate(stop, need.clone(), is_critical);
                    let critical = if is_critical { "critical" } else { "other" };
                    let word = match &ruling {
                        Ruling::Free => "free",
                        Ruling::CostYields { .. } => "yields",
                        Ruling::Stopped { .. } => "stopped",
                    };
                    table.push_str(&format!("{critical:8} {need:?} -> {word}: {ruling}\n"));
                }
            }
        }
        expect![[r#"
            other    None -> free: no budget asks for anything
            other    None -> stopped: budget month (gone): 101 %
            other    None -> stopped: budget month (gone): 3x, no more work
            other    Met -> free: no budget asks for anything
            other    Met -> stopped: budget month (gone): 101 %
            other    Met -> stopped: budget month (gone): 3x, no more work
            other    Unknown { slo: `checkout` } -> free: no budget asks for anything
            other    Unknown { slo: `checkout` } -> yields: cost yields, SLO checkout cannot be told; budget month (gone): 101 %
            other    Unknown { slo: `checkout` } -> stopped: budget month (gone): 3x, no more work
            other    Burning { slo: `checkout`, why: "20x" } -> free: no budget asks for anything
            other    Burning { slo: `checkout`, why: "20x" } -> yields: cost yields, SLO checkout burns: 20x; budget month (gone): 101 %
            other    Burning { slo: `checkout`, why: "20x" } -> stopped: growth does not help SLO checkout, which burns; budget month (gone): 3x, no more work
            critical None -> free: no budget asks for anything
            critical None -> yields: cost yields, the service is critical to its SLO; budget month (gone): 101 %
            critical None -> yields: cost yields, the service is critical to its SLO; budget month (gone): 3x, no more work
            critical Met -> free: no budget asks for anything
            critical Met -> yields: cost yields, the service is critical to its SLO; budget month (gone): 101 %
            critical Met -> yields: cost yields, the service is critical to its SLO; budget month (gone): 3x, no more work
            critical Unknown { slo: `checkout` } -> free: no budget asks for anything
            critical Unknown { slo: `checkout` } -> yields: cost yields, the service is critical to its SLO; budget month (gone): 101 %
            critical Unknown { slo: `checkout` } -> yields: cost yields, the service is critical to its SLO; budget month (gone): 3x, no more work
            critical Burning { slo: `checkout`, why: "20x" } -> free: no budget asks for anything
            critical Burning { slo: `checkout`, why: "20x" } -> yields: cost yields, the service is critical to its SLO; budget month (gone): 101 %
            critical Burning { slo: `checkout`, why: "20x" } -> yields: cost yields, the service is critical to its SLO; budget month (gone): 3x, no more work
        "#]].assert_eq(&table);
    }
}
