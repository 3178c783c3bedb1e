//! A scenario of a region: services, what breaks, who acts, and what must come of it.
//!
//! **In:** a checked file. **Out:** [`RegionScenario`]. **Not here:** running it
//! ([`crate::run`]).

use std::sync::Arc;

use evenkeel_core::documents::{BudgetOf, Documents};
use evenkeel_core::ids::{BudgetId, SloId};
use jiff::Timestamp;

use crate::expectation::{Must, MustNot};
use crate::exporter::ExporterSpec;
use crate::fault::Fault;
use crate::fault::swarm::Swarm;
use crate::people::Act;
use crate::world::{TenantSpec, WorldSpec};

/// A scenario that passed every check.
#[derive(Clone, Debug)]
pub struct RegionScenario {
    /// Its name.
    pub name: String,
    /// Which incident of the museum it is, `1 ..= 25`.
    pub incident: Option<u8>,
    /// What it is about, in a sentence or two.
    pub about: String,
    /// The region.
    pub world: WorldSpec,
    /// Who shares each service, by place of the service; mostly nobody is named.
    pub tenants: Vec<Vec<TenantSpec>>,
    /// How monitoring sees it.
    pub exporter: ExporterSpec,
    /// When the scored part begins.
    pub starts_at: Timestamp,
    /// Seconds before it: simulated, not scored.
    pub warm_up: i64,
    /// Seconds of the scored part.
    pub lasts: i64,
    /// Seconds from look to look of the agent.
    pub evaluation_period: i64,
    /// What breaks.
    pub faults: Vec<Fault>,
    /// What a seed may break besides.
    pub swarm: Option<Swarm>,
    /// What people do.
    pub people: Vec<Act>,
    /// Files with playbooks, below the folder `playbooks`; they are among the documents.
    pub playbooks: Vec<String>,
    /// The agent's documents, from the same file and those of its playbooks; made up where there
    /// are none.
    pub documents: Option<Arc<Documents>>,
    /// What must come of it.
    pub must: Vec<Must>,
    /// What must never happen.
    pub must_not: Vec<MustNot>,
    /// Controllers that must fail it, as on the command line: the automations that made this
    /// incident worse.
    pub fails: Vec<String>,
}

impl RegionScenario {
    /// Budgets and SLOs that its demands name.
    pub(super) fn budgets_meant(&self) -> impl Iterator<Item = &str> {
        let of_must = self.must.iter().filter_map(|it| match it {
            Must::ContainedWithin { budget: name, .. } | Must::SloPageWithin { slo: name, .. } => {
                Some(name.as_str())
            }
            Must::RecoverWithin { .. }
            | Must::GoodRatio { .. }
            | Must::ReadyAtLeast { .. }
            | Must::CostRatioAtMost { .. }
            | Must::PageWithin { .. }
            | Must::DetectedWithin { .. }
            | Must::TenantGoodRatio { .. }
            | Must::HealedByPlaybook { .. } => None,
        });
        let of_must_not = self.must_not.iter().filter_map(|it| match it {
            MustNot::SloAlerts { slo, .. } => Some(slo.as_str()),
            MustNot::Remove { .. }
            | MustNot::Change { .. }
            | MustNot::Exceed { .. }
            | MustNot::ChangeOftenerThan { .. }
            | MustNot::TakeAwayMoreThan { .. }
            | MustNot::LoseWrites { .. }
            | MustNot::OverruleAPerson
            | MustNot::Incidents
            | MustNot::Touch { .. } => None,
        });
        of_must.chain(of_must_not)
    }

    /// Whether the documents have a budget of money, or an SLO, of that name.
    pub(super) fn has_budget(&self, name: &str) -> bool {
        let Some(documents) = &self.documents else { return false };
        let budget = BudgetId::new(name).ok().and_then(|it| documents.budget(&it));
        budget.is_some_and(|it| matches!(it.of, BudgetOf::Spend { .. }))
            || SloId::new(name).is_ok_and(|it| documents.slo(&it).is_some())
    }
}
