//! `spec:` of a `PriceBook`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`PriceBook`] whose prices are prices, and where its parts are.
//! **Not here:** which targets it prices ([`crate::documents::load`]).

use std::collections::BTreeMap;

use serde_json::json;

use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Position};
use crate::documents::promql;
use crate::documents::raw::amounts::{Cost, DiscountRatio, Instant};
use crate::documents::raw::policy::Query;
use crate::documents::raw::scalar::{Duration, Name, PrometheusLabel, ShortText, Whole};
use crate::documents::raw::selector::RawSelector;
use crate::documents::raw::{List, fields};
use crate::documents::{
    CapacityPrice, Commitment, LabelledQuery, PriceBook, UnitPrice, UsagePrice,
};
use crate::ids::UsageName;
use crate::spend::money::Currency;

/// Most prices of capacity. Why 200: one per kind of machine and region; each is compared
/// with each target.
const CAPACITY_PRICES_MAX: usize = 200;
/// Most lines that are paid by use. Why 200: each is a query in every period.
const USAGE_PRICES_MAX: usize = 200;
/// Most commitments. Why 100: each is compared with each target.
const COMMITMENTS_MAX: usize = 100;

fields! {
    /// What things cost.
    struct RawPriceBook {
        /// The currency of every price and budget.
        defaulted(json!("USD")) currency: Currency,
        /// Since when these prices hold, with its offset: `2026-11-01T00:00:00Z`. What
        /// was metered before is never priced anew; a price that is corrected for the
        /// past shows as a difference to the bill.
        optional effective_from: Instant,
        /// Prices of capacity, up to 200. The first whose selector selects a target is
        /// that target's; one without has its own `price_usd_per_hour`.
        defaulted(json!([])) capacity: List<RawCapacityPrice, 0, CAPACITY_PRICES_MAX>,
        /// What is paid by use, up to 200.
        defaulted(json!([])) usage: List<RawUsagePrice, 0, USAGE_PRICES_MAX>,
        /// What is paid whether it is used or not, up to 100.
        defaulted(json!([])) commitments: List<RawCommitment, 0, COMMITMENTS_MAX>,
        /// Off everything that is not committed, from 0 to below 1.
        defaulted(json!(0)) discount_ratio: DiscountRatio,
        /// Good requests per second by service, for what a request costs. Left out, the
        /// SLOs of the service say it.
        optional good_requests: RawLabelledQuery,
    }
}

fields! {
    /// What a unit of capacity costs: `price_per_hour` or `gauge`.
    struct RawCapacityPrice {
        /// Of which targets.
        required selector: RawSelector,
        /// As you say, per unit and hour.
        optional price_per_hour: Cost,
        /// As a metric says, per unit and hour.
        optional gauge: RawLabelledQuery,
    }
    also(json!({"oneOf": [{"required": ["price_per_hour"]}, {"required": ["gauge"]}]}))
}

fields! {
    /// A query whose results are told apart by a label.
    struct RawLabelledQuery {
        /// PromQL, one query for all services.
        required query: Query,
        /// The label of its results that names the service.
        defaulted(json!("service")) label: PrometheusLabel,
        /// Oldest sample that still counts, at most an hour.
        defaulted(json!("5m")) max_age: Duration<1, 3_600>,
    }
}

fields! {
    /// What is paid by use.
    struct RawUsagePrice {
        /// Unique within the book.
        required name: Name<UsageName>,
        /// PromQL: how much is used per second, by service.
        required query: Query,
        /// The label of its results that names the service.
        defaulted(json!("service")) label: PrometheusLabel,
        /// Oldest sample that still counts, at most an hour.
        defaulted(json!("5m")) max_age: Duration<1, 3_600>,
        /// What one of it costs.
        required price_per_unit: Cost,
    }
}

fields! {
    /// Capacity that is paid whether it is used or not.
    struct RawCommitment {
        /// What people call it; unique within the book.
        required name: ShortText,
        /// Which targets' units it covers.
        required selector: RawSelector,
        /// How many units.
        required units: Whole<1, 1_000_000>,
        /// What each of them costs per hour.
        required price_per_hour: Cost,
    }
}

/// Where the parts of a price book are that other documents matter to.
#[derive(Clone, Debug)]
pub(in crate::documents) struct PriceBookPlaces {
    /// The currency, or the book where it was not written.
    pub(in crate::documents) currency_at: Position,
    /// For each price of capacity, its selector.
    pub(in crate::documents) capacity: Vec<Position>,
    /// For each commitment, its selector.
    pub(in crate::documents) commitments: Vec<Position>,
}

impl RawPriceBook {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(
        self,
        faults: &mut Faults,
    ) -> Option<(PriceBook, PriceBookPlaces)> {
        let RawPriceBook {
            currency,
            effective_from,
            capacity,
            usage,
            commitments,
            discount_ratio,
            good_requests,
        } = self;
        let places = PriceBookPlaces {
            currency_at: currency.at,
            capacity: capacity.value.0.iter().map(|it| it.value.selector.at).collect(),
            commitments: commitments.value.0.iter().map(|it| it.value.selector.at).collect(),
        };
        // All are checked before the first `?`, so that every fault is found.
        let capacity: Vec<Option<CapacityPrice>> =
            capacity.value.0.into_iter().map(|it| checked_capacity(it, faults)).collect();
        let usage = checked_usage(usage.value.0, faults);
        let commitments = checked_commitments(commitments.value.0, faults);
        let good_requests =
            good_requests.map(|it| it.value.checked("the query for good requests", faults));
        let book = PriceBook {
            currency: currency.value,
            effective_from: effective_from.map(|it| it.value.0),
            capacity: capacity.into_iter().collect::<Option<Vec<_>>>()?,
            usage: usage?,
            commitments: commitments?,
            discount_ratio: discount_ratio.value.0,
            good_requests,
        };
        Some((book, places))
    }
}

impl RawLabelledQuery {
    fn checked(self, about: &str, faults: &mut Faults) -> LabelledQuery {
        let RawLabelledQuery { query, label, max_age } = self;
        labelled(query, label.value, max_age.value.0, about, faults)
    }
}

fn labelled(
    query: At<Query>,
    label: PrometheusLabel,
    max_age: jiff::SignedDuration,
    about: &str,
    faults: &mut Faults,
) -> LabelledQuery {
    let At { value: Query(query), at } = query;
    let PrometheusLabel(label) = label;
    if !promql::keeps_label(&query, &label) {
        let message = format!("{about} does not mention `{label}`, which names the service");
        let hint = format!("aggregate with `by ({label})`, so that each service has its own value");
        faults.warning(at, message, hint);
    }
    LabelledQuery { query, label, max_age }
}

fn checked_capacity(raw: At<RawCapacityPrice>, faults: &mut Faults) -> Option<CapacityPrice> {
    let At { value: RawCapacityPrice { selector, price_per_hour, gauge }, at } = raw;
    let price = match (price_per_hour, gauge) {
        (Some(price), None) => UnitPrice::PerHour(price.value.0),
        (None, Some(gauge)) => {
            UnitPrice::Gauge(gauge.value.checked("the query of the gauge", faults))
        }
        (Some(price), Some(gauge)) => {
            let message = "the price has both `price_per_hour` and `gauge`";
            let hint = "keep the number, or the metric that says it";
            faults.error(price.at.max(gauge.at), message, hint);
            return None;
        }
        (None, None) => {
            let message = "the price says nothing: it has neither `price_per_hour` nor `gauge`";
            faults.error(at, message, "add `price_per_hour:` with a number, 0 if it is free");
            return None;
        }
    };
    Some(CapacityPrice { selector: selector.value.checked(), price })
}

fn checked_usage(raw: Vec<At<RawUsagePrice>>, faults: &mut Faults) -> Option<Vec<UsagePrice>> {
    let mut seen: BTreeMap<UsageName, usize> = BTreeMap::new();
    let mut is_good = true;
    let mut lines = Vec::with_capacity(raw.len());
    for At { value: RawUsagePrice { name, query, label, max_age, price_per_unit }, .. } in raw {
        let At { value: Name(name), at } = name;
        if let Some(line) = seen.insert(name.clone(), at.line) {
            let message = format!("usage `{name}` is named twice, first in line {line}");
            faults.error(at, message, "give each its own name");
            is_good = false;
        }
        let about = format!("the query of usage `{name}`");
        let usage = labelled(query, label.value, max_age.value.0, &about, faults);
        lines.push(UsagePrice { name, usage, price_per_unit: price_per_unit.value.0 });
    }
    is_good.then_some(lines)
}

fn checked_commitments(
    raw: Vec<At<RawCommitment>>,
    faults: &mut Faults,
) -> Option<Vec<Commitment>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut is_good = true;
    let mut commitments = Vec::with_capacity(raw.len());
    for At { value: RawCommitment { name, selector, units, price_per_hour }, .. } in raw {
        let At { value: ShortText(name), at } = name;
        if let Some(line) = seen.insert(name.clone(), at.line) {
            let message =
                format!("commitment {} is named twice, first in line {line}", quoted(&name));
            faults.error(at, message, "give each its own name");
            is_good = false;
        }
        commitments.push(Commitment {
            name,
            selector: selector.value.checked(),
            units: units.value.0,
            price_per_hour: price_per_hour.value.0,
        });
    }
    is_good.then_some(commitments)
}
