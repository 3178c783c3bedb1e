//! What was metered against what the bill says.
//!
//! **In:** sums by service and day, rows of a bill.
//! **Out:** differences by service and in all, and which are too large.
//! **Not here:** reading bills ([`super::focus`]), metering ([`super::meter`]).
//!
//! What counts is `EffectiveCost`: usage after discounts, with its share of commitments, and
//! credits, refunds and adjustments, which are negative or correct it. Taxes do not count:
//! prices here are without. Purchases count as they are; in FOCUS their effective cost is 0
//! where usage carries it. A row that is for longer than a day is spread evenly over its time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::focus::{ChargeCategory, FocusRow};
use super::meter::Days;
use super::meter::days::{DAY, by_day};
use super::money::{Currency, Money};
use crate::ids::ServiceName;

/// A larger share of the bill is reported. Why 10 %: metering once in 30 s and billing by the
/// second or hour differ by a few percent on a fleet that scales; more is a wrong price.
pub const DRIFT_MAX_RATIO: f64 = 0.10;

/// The tag of the bill that names our service, as the label of a target does.
pub const SERVICE_TAG: &str = "service";

/// A difference below this is never reported. Why a cent: it is the bill's own grain.
const DRIFT_AMOUNT_MIN: Money = Money(10_000);

/// What was metered and what was billed for the same thing, on the same days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Our sum.
    pub metered: Money,
    /// The bill's.
    pub billed: Money,
    /// `(metered - billed) / billed`: 0.1 is ten percent too much metered. `None` when nothing
    /// was billed.
    pub drift_ratio: Option<f64>,
    /// Whether it is more than [`DRIFT_MAX_RATIO`] of the bill, and more than a cent.
    pub is_drift: bool,
}

/// How the meter and a bill compare.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Services that were metered or billed.
    pub by_service: BTreeMap<ServiceName, Difference>,
    /// What belongs to no service: rows without the tag, unused commitments.
    pub unallocated: Difference,
    /// Everything.
    pub total: Difference,
    /// How many whole days (UTC) were compared: those metered from begin to end that the bill
    /// has rows of.
    pub n_days: usize,
    /// Days that the bill has, and that were not metered from begin to end.
    pub n_days_not_metered: usize,
    /// Rows in another currency, by currency: refused, and in no sum.
    pub n_refused: BTreeMap<Currency, usize>,
    /// Rows of taxes, in no sum.
    pub n_taxes: usize,
}

impl Reconciliation {
    /// Services with a drift, the largest difference first.
    pub fn drifts(&self) -> Vec<(&ServiceName, Difference)> {
        let mut drifts: Vec<_> =
            self.by_service.iter().filter(|it| it.1.is_drift).map(|it| (it.0, *it.1)).collect();
        drifts.sort_by_key(|(_, it)| std::cmp::Reverse(it.metered.minus(it.billed).0.abs()));
        drifts
    }
}

/// Compares the sums of whole days with a bill in `currency`, up to `now`. A row is filed under
/// the service that its tag [`SERVICE_TAG`] names.
pub fn reconcile(
    now: Timestamp,
    days: &Days,
    rows: &[FocusRow],
    currency: Currency,
) -> Reconciliation {
    let mut result = Reconciliation::default();
    let today = now.as_second().div_euclid(DAY);
    // Nothing is kept of earlier days.
    let first = days.iter().next().map_or(today, |it| it.0);
    let mut billed: BTreeMap<(i64, Option<ServiceName>), f64> = BTreeMap::new();
    for row in rows {
        if row.billing_currency != currency {
            *result.n_refused.entry(row.billing_currency).or_default() += 1;
            continue;
        }
        if row.charge_category == ChargeCategory::Tax {
            result.n_taxes += 1;
            continue;
        }
        let service = row.tags.get(SERVICE_TAG).and_then(|it| ServiceName::new(it).ok());
        let (start, end) = (row.charge_period_start, row.charge_period_end);
        let seconds = end.duration_since(start).as_secs_f64();
        let until = end.min(now);
        for (day, part) in by_day(start, until, first) {
            *billed.entry((day, service.clone())).or_default() +=
                row.effective_cost * part / seconds;
        }
    }
    let in_bill: BTreeSet<i64> = billed.keys().map(|it| it.0).filter(|it| *it < today).collect();
    let whole = |day: &i64| days.on(*day).is_some_and(|it| WHOLE_SECONDS <= it.metered_seconds);
    let compared: BTreeSet<i64> = in_bill.iter().copied().filter(whole).collect();
    result.n_days = compared.len();
    result.n_days_not_metered = in_bill.len() - compared.len();
    let mut sums: BTreeMap<Option<ServiceName>, (f64, f64)> = BTreeMap::new();
    for ((day, service), amount) in billed {
        if compared.contains(&day) {
            sums.entry(service).or_default().1 += amount;
        }
    }
    for sum in compared.iter().filter_map(|it| days.on(*it)) {
        sums.entry(None).or_default().0 += sum.unallocated;
        for (service, amount) in &sum.by_service {
            sums.entry(Some(service.clone())).or_default().0 += amount;
        }
    }
    let all = sums.values().fold((0.0, 0.0), |all, it| (all.0 + it.0, all.1 + it.1));
    result.total = difference(all);
    for (service, sum) in sums {
        match service {
            Some(service) => {
                result.by_service.insert(service, difference(sum));
            }
            None => result.unallocated = difference(sum),
        }
    }
    result
}

/// A whole day, less what floating point may lose.
const WHOLE_SECONDS: f64 = 86_399.0;

fn difference((metered, billed): (f64, f64)) -> Difference {
    let (metered, billed) = (Money::of(metered), Money::of(billed));
    let difference = metered.minus(billed);
    let drift_ratio = (billed != Money(0)).then(|| difference.amount() / billed.amount());
    let is_drift = DRIFT_AMOUNT_MIN < Money(difference.0.abs())
        && drift_ratio.is_none_or(|it| DRIFT_MAX_RATIO < it.abs());
    Difference { metered, billed, drift_ratio, is_drift }
}
