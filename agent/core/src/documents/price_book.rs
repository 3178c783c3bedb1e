//! `PriceBook`: what things cost. One is in force.
//!
//! **In:** a checked document.
//! **Out:** prices of capacity, of use, commitments, one currency.
//! **Not here:** what is spent ([`crate::spend`]), what may be ([`crate::documents::Budget`]).

use jiff::{SignedDuration, Timestamp};

use crate::documents::Selector;
use crate::ids::UsageName;
use crate::spend::money::Currency;

/// A price book that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceBook {
    /// Of every price and budget.
    pub currency: Currency,
    /// Since when these prices hold. What was metered before is not priced anew.
    pub effective_from: Option<Timestamp>,
    /// Prices of capacity. The first whose selector selects a target is that target's;
    /// a target without one has its own `price_usd_per_hour`.
    pub capacity: Vec<CapacityPrice>,
    /// What is paid by use.
    pub usage: Vec<UsagePrice>,
    /// What is paid whether it is used or not.
    pub commitments: Vec<Commitment>,
    /// Off everything that is not committed, in `[0, 1)`.
    pub discount_ratio: f64,
    /// Good requests per second by service, for unit costs; `None` takes them from the
    /// SLOs of the service.
    pub good_requests: Option<LabelledQuery>,
}

/// A query whose series are told apart by a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledQuery {
    /// PromQL that answers for all at once.
    pub query: String,
    /// The label that says whose.
    pub label: String,
    /// Oldest sample that still counts.
    pub max_age: SignedDuration,
}

/// What a unit of capacity costs.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacityPrice {
    /// Of which targets.
    pub selector: Selector,
    /// How much.
    pub price: UnitPrice,
}

/// How much a unit costs.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitPrice {
    /// As the author says, per hour, `>= 0`.
    PerHour(f64),
    /// As a gauge says, per hour, by service: OpenCost's `node_total_hourly_cost` and the
    /// like. Without a fresh sample, the last one is used and said to be old.
    Gauge(LabelledQuery),
}

/// What is paid by use.
#[derive(Clone, Debug, PartialEq)]
pub struct UsagePrice {
    /// Its name, unique within the book.
    pub name: UsageName,
    /// How much is used per second, by service.
    pub usage: LabelledQuery,
    /// What one of it costs, `>= 0`.
    pub price_per_unit: f64,
}

/// Capacity that is paid whether it is used or not; the first of it that is used costs
/// nothing more.
#[derive(Clone, Debug, PartialEq)]
pub struct Commitment {
    /// What people call it.
    pub name: String,
    /// Which targets' units it covers.
    pub selector: Selector,
    /// How many.
    pub units: u32,
    /// What each costs per hour, `>= 0`.
    pub price_per_hour: f64,
}
