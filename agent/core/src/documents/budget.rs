//! `Budget`: what may be spent, of money or of errors, and what follows on the way there.
//!
//! **In:** a checked document.
//! **Out:** whose budget, how much in which time, and thresholds.
//! **Not here:** prices ([`crate::documents::PriceBook`]), counting ([`crate::budget`]),
//! what a constraint forbids ([`crate::guard`]).

use std::collections::BTreeSet;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{BudgetId, Region, ServiceName, SloId, TenantName, ThresholdName};
use crate::incident::Severity;
use crate::slo::window::Window;
use crate::spend::money::Money;

/// A budget that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Its name, unique among all budgets.
    pub id: BudgetId,
    /// What may be spent.
    pub of: BudgetOf,
    /// What happens on the way there; names are unique.
    pub thresholds: Vec<Threshold>,
    /// How long a threshold must not be crossed any more before what it did ends.
    pub clears_after: SignedDuration,
}

/// What may be spent.
#[derive(Clone, Debug, PartialEq)]
pub enum BudgetOf {
    /// Money.
    Spend {
        /// Whose.
        scope: BudgetScope,
        /// How much, in the currency of the price book; above 0.
        amount: Money,
        /// In which time.
        window: Window,
    },
    /// The error budget of an SLO, in that SLO's window. Of an SLO with several objectives,
    /// the objective named, else the first.
    Errors { slo: SloId, objective: Option<String> },
}

/// Whose money.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// Everything this daemon sees.
    Everything,
    /// The targets of one region.
    Region(Region),
    /// The targets of one service.
    Service(ServiceName),
    /// What one tenant's usage costs.
    Tenant(TenantName),
}

/// When something follows, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Its name, unique within the budget.
    pub name: ThresholdName,
    /// When it is crossed.
    pub when: Crossing,
    /// What follows; never empty.
    pub then: BTreeSet<Consequence>,
    /// How urgently people are told, where they are.
    pub severity: Severity,
}

/// When a threshold is crossed. What cannot be computed for lack of data is neither crossed
/// nor cleared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// This share of the budget is spent, in `(0, …)`.
    SpentRatio(f64),
    /// It burns faster than this over both windows; 1.0 spends what is left exactly.
    BurnRate { above: f64, long: SignedDuration, short: SignedDuration },
    /// It is spent within this time, with this certainty.
    ExhaustsWithin { within: SignedDuration, quantile: Quantile },
    /// Spend has grown by this factor over what was usual, and good requests have not: see
    /// [`crate::spend::runaway`]. Only for money.
    Runaway { growth: f64 },
}

impl Crossing {
    /// As it is written in a budget, and in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Crossing::SpentRatio(_) => "spent_ratio",
            Crossing::BurnRate { .. } => "burn_rate",
            Crossing::ExhaustsWithin { .. } => "exhausts_within",
            Crossing::Runaway { .. } => "runaway",
        }
    }
}

/// How certain an exhaustion is taken to be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quantile {
    /// Early: it happens before with one chance in ten.
    P10,
    /// As likely before as after.
    P50,
    /// Late: it happens before with nine chances in ten.
    P90,
}

/// What follows from a crossed threshold. None of these acts by itself: they tell people or
/// narrow what the guard allows. What acts is a playbook, whose inputs can read budgets.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// Tell people.
    Notify,
    /// Nothing in scope is more autonomous than `approve`.
    TightenAutonomy,
    /// Playbooks that may take something away wait, unless a person started them.
    FreezePlaybooks,
    /// No drill is admitted.
    BlockDrills,
    /// Capacity in scope does not grow, unless an SLO needs it: see [`crate::budget::arbiter`].
    StopScalingOut,
}

impl Consequence {
    /// All of them.
    pub const ALL: [Consequence; 5] = [
        Consequence::Notify,
        Consequence::TightenAutonomy,
        Consequence::FreezePlaybooks,
        Consequence::BlockDrills,
        Consequence::StopScalingOut,
    ];

    /// As it is written in a budget, in records and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Consequence::Notify => "notify",
            Consequence::TightenAutonomy => "tighten_autonomy",
            Consequence::FreezePlaybooks => "freeze_playbooks",
            Consequence::BlockDrills => "block_drills",
            Consequence::StopScalingOut => "stop_scaling_out",
        }
    }
}
