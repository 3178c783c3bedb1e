//! Money: what is being spent, what it buys, and what is odd about it.
//!
//! **In:** capacities, prices and usage, as they are read.
//! **Out:** spend rates and sums by service and tenant, unit and marginal cost, the
//! signature of a runaway, differences to the bill.
//! **Not here:** what may be spent ([`crate::documents::Budget`]), what follows
//! ([`crate::budget`]).

pub mod burn;
pub mod cost;
pub mod focus;
pub mod meter;
pub mod money;
pub mod rate;
pub mod reconcile;
pub mod runaway;
pub mod tenants;

use jiff::{SignedDuration, Timestamp};

use crate::ids::{ServiceName, TenantName, UsageName};
use crate::units::Capacity;

/// What was read for money at one instant. Whatever is missing here was not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpendReading {
    /// Gauges of prices, per unit and hour: the nth capacity price of the book, by the
    /// label of its query. Not negative; old ones are left out.
    pub gauges: Vec<GaugeReading>,
    /// What is used per second.
    pub usage: Vec<UsageReading>,
    /// Good requests per second, by service; only where the book has a query for it.
    pub good: Vec<(ServiceName, f64)>,
    /// Requests per second, by tenant and service; see [`TenantUsage`].
    pub tenants: Option<TenantUsage>,
}

/// A gauge of a price.
#[derive(Clone, Debug, PartialEq)]
pub struct GaugeReading {
    /// Which of the book's capacity prices, from 0.
    pub nth: usize,
    /// Of which service.
    pub service: ServiceName,
    /// Per unit and hour, in the currency of the book; finite, `>= 0`.
    pub price_per_hour: f64,
}

/// How much of something is used.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageReading {
    /// Which line of the book.
    pub name: UsageName,
    /// By which service.
    pub service: ServiceName,
    /// Units per second; finite, `>= 0`.
    pub per_second: f64,
}

/// What tenants use. Bounded by whoever reads it: a label may have a million values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantUsage {
    /// Requests per second, finite and `>= 0`; at most [`TENANT_SERIES_MAX`].
    pub by_tenant: Vec<(TenantName, ServiceName, f64)>,
    /// The sum of series beyond that, or whose label is no name.
    pub others_rps: f64,
    /// How many series that were.
    pub n_others: usize,
}

/// Most series of tenants' usage that are looked at in one reading; the largest are.
/// Why 20,000: a thousand tenants of twenty services.
pub const TENANT_SERIES_MAX: usize = 20_000;

/// A target as far as money is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct SpendingTarget<'a> {
    /// The target.
    pub target: &'a crate::documents::Target,
    /// What the provider says there is, ready or not: it is paid from the start.
    pub current: Option<Capacity>,
}

/// How long a price or a usage that is no longer read still counts, as it was. Why 15 min: what
/// runs goes on costing while nobody looks; after that the sum is said to be a lower bound.
pub const CARRIED_FOR: SignedDuration = SignedDuration::from_mins(15);

/// The largest number that is read of anything. Why 1e15: above it, sums of rates times prices
/// could leave what a number can hold, and what is kept could not be read back; nobody has as
/// much of anything.
pub const AMOUNT_MAX: f64 = 1e15;

/// Whether a number that was read can be an amount, a rate or a price.
pub(crate) fn is_amount(it: f64) -> bool {
    (0.0..=AMOUNT_MAX).contains(&it)
}

/// The service that a target belongs to: its label `service`, else its own name.
pub fn service_of(target: &crate::documents::Target) -> Option<ServiceName> {
    let name = target.labels.get("service").map_or(target.id.as_str(), String::as_str);
    ServiceName::new(name).ok()
}

/// An instant and a rate at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateAt {
    /// When.
    pub at: Timestamp,
    /// Per hour.
    pub per_hour: f64,
}
