//! What is being spent per hour, and by whom.
//!
//! **In:** the price book, what targets have, gauges and usage, and what was read before.
//! **Out:** rates by target, service and region that add up, and what is odd about them.
//! **Not here:** sums over time ([`super::meter`]), shares of tenants ([`super::tenants`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CARRIED_FOR, SpendReading, SpendingTarget, is_amount, service_of};
use crate::documents::{PriceBook, Target, UnitPrice};
use crate::ids::{Region, ServiceName, TargetId, UsageName};
use crate::units::Capacity;

/// Most services that only usage speaks of; the most used are filed by themselves, the rest is
/// unallocated. Why 500: each is metered for 3 days, which is 140 KB.
pub const USAGE_SERVICES_MAX: usize = 500;

/// How long a usage that vanished is missed. Why a day: after that the service is gone, and
/// nobody wants to hear of it every minute.
const MISSED_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What is spent per hour at one instant, in the currency of the price book.
///
/// `total = sum of services + unallocated`. Targets and regions do not have what is paid by
/// use, nor what nobody uses of a commitment: they add up to less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpendRates {
    /// All of it.
    pub total_per_hour: f64,
    /// What belongs to no service: unused commitments, targets whose `service` label is no
    /// name, usage of too many services.
    pub unallocated_per_hour: f64,
    /// By target, with its share of commitments.
    pub by_target: BTreeMap<TargetId, f64>,
    /// By service: its targets, its share of commitments, its usage.
    pub by_service: BTreeMap<ServiceName, f64>,
    /// By region: its targets and their share of commitments.
    pub by_region: BTreeMap<Region, f64>,
    /// The services that have targets in a region.
    pub services_in: BTreeMap<Region, BTreeSet<ServiceName>>,
    /// What was not read or cannot be known.
    pub gaps: Vec<Gap>,
    /// Targets whose units have no price. They count as 0, which is not a gap of this
    /// instant but of the documents.
    pub unpriced: Vec<TargetId>,
}

impl SpendRates {
    /// Whether a value of some time ago was used, or prices that do not hold yet.
    pub fn is_estimated(&self) -> bool {
        self.gaps.iter().any(|it| !it.is_lower_bound())
    }

    /// Whether something counts as 0 because it has not been read for [`CARRIED_FOR`].
    pub fn is_lower_bound(&self) -> bool {
        self.gaps.iter().any(Gap::is_lower_bound)
    }
}

/// Why a rate is not exact. `is_carried`: the last value is used; else it counts as 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// How much there is of a target was not read.
    Capacity { target: TargetId, is_carried: bool },
    /// The gauge of a target's price was not read.
    Gauge { target: TargetId, is_carried: bool },
    /// How much is used was not read; without a service, nothing of the line was.
    Usage { name: UsageName, service: Option<ServiceName>, is_carried: bool },
    /// So many services beyond [`USAGE_SERVICES_MAX`] are unallocated, but counted.
    TooManyServices { n_services: usize },
    /// The prices hold only from then on, and are used already.
    NotYetEffective { from: Timestamp },
}

impl Gap {
    fn is_lower_bound(&self) -> bool {
        match self {
            Gap::Capacity { is_carried, .. }
            | Gap::Gauge { is_carried, .. }
            | Gap::Usage { is_carried, .. } => !is_carried,
            Gap::TooManyServices { .. } | Gap::NotYetEffective { .. } => false,
        }
    }
}

/// What was read last, for as long as it still counts. Bounded by targets, and for usage by
/// [`USAGE_SERVICES_MAX`] of each line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carried {
    capacity: BTreeMap<TargetId, Seen<Capacity>>,
    /// By query: a changed book must not price by another gauge's value.
    gauges: BTreeMap<(String, ServiceName), Seen<f64>>,
    usage: BTreeMap<(UsageName, ServiceName), Seen<f64>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen<T> {
    at: Timestamp,
    value: T,
}

/// Notes a value that was read, and says which one counts: `Some((value, is_carried))`.
fn carry<K: Ord, T: Copy>(
    seen: &mut BTreeMap<K, Seen<T>>,
    key: K,
    read: Option<T>,
    now: Timestamp,
) -> Option<(T, bool)> {
    if let Some(value) = read {
        seen.insert(key, Seen { at: now, value });
        return Some((value, false));
    }
    let it = seen.get_mut(&key)?;
    // After a clock that went back, old values must not count for ever.
    it.at = it.at.min(now);
    (now.duration_since(it.at) <= CARRIED_FOR).then_some((it.value, true))
}

/// A target's units and what they cost.
struct Units<'a> {
    target: &'a Target,
    service: Option<ServiceName>,
    n: f64,
    is_capacity_known: bool,
    /// Before the discount; `None` without a price, or without one that was read.
    price: Option<f64>,
    /// How many are covered by commitments.
    n_covered: f64,
}

/// What is being spent at `now`, in the currency of the book (US dollars without one).
///
/// A target costs `units * price * (1 - discount)`; the price is that of the book's first
/// entry that selects it, by a gauge that of its service, else the target's own. Usage costs
/// `per_second * 3600 * price * (1 - discount)`.
///
/// A commitment costs `units * price`, always, without discount. Of the targets it selects,
/// that many units cost nothing more: the most expensive first (that is the cheapest for the
/// payer, and what clouds do), then by name; commitments in the order of the book, and a unit
/// is covered once. Its cost is spread over targets and services by the units they have
/// covered; the rest is unallocated.
///
/// What is missing is taken as it was for [`CARRIED_FOR`], then as 0; see [`Gap`].
pub fn spend_rates(
    now: Timestamp,
    book: Option<&PriceBook>,
    targets: &[SpendingTarget<'_>],
    reading: &SpendReading,
    carried: &mut Carried,
) -> SpendRates {
    let mut rates = SpendRates::default();
    if let Some(from) = book.and_then(|it| it.effective_from).filter(|it| now < *it) {
        rates.gaps.push(Gap::NotYetEffective { from });
    }
    let known: BTreeSet<&TargetId> = targets.iter().map(|it| &it.target.id).collect();
    carried.capacity.retain(|id, _| known.contains(id));
    carried.gauges.retain(|_, it| now.duration_since(it.at) <= CARRIED_FOR);
    let gauges = gauges_of(reading);
    let mut units: Vec<Units<'_>> = targets
        .iter()
        .map(|it| units_of(now, book, it, &gauges, carried, &mut rates.gaps))
        .collect();
    let mut add = |service: Option<&ServiceName>, per_hour: f64| {
        rates.total_per_hour += per_hour;
        match service {
            Some(it) => *rates.by_service.entry(it.clone()).or_default() += per_hour,
            None => rates.unallocated_per_hour += per_hour,
        }
    };
    let mut of_targets: BTreeMap<TargetId, f64> = BTreeMap::new();
    for (nth, covered, per_hour) in commit(book, &mut units) {
        match units.get(nth).filter(|_| covered) {
            Some(it) => {
                *of_targets.entry(it.target.id.clone()).or_default() += per_hour;
                add(it.service.as_ref(), per_hour);
            }
            None => add(None, per_hour),
        }
    }
    let factor = 1.0 - book.map_or(0.0, |it| it.discount_ratio);
    for it in &units {
        let n_paid = (it.n - it.n_covered).max(0.0);
        let per_hour = n_paid * it.price.unwrap_or(0.0) * factor;
        add(it.service.as_ref(), per_hour);
        let of_target = of_targets.entry(it.target.id.clone()).or_default();
        *of_target += per_hour;
        *rates.by_region.entry(it.target.region.clone()).or_default() += *of_target;
        let services = rates.services_in.entry(it.target.region.clone()).or_default();
        services.extend(it.service.clone());
        let needs_price = 0.0 < n_paid || !it.is_capacity_known;
        if needs_price && it.price.is_none() && !is_by_gauge(book, it.target) {
            rates.unpriced.push(it.target.id.clone());
        }
    }
    rates.by_target = of_targets;
    if let Some(book) = book {
        let of_targets: BTreeSet<&ServiceName> =
            units.iter().filter_map(|it| it.service.as_ref()).collect();
        let (lines, gaps) = usage_lines(now, book, &of_targets, reading, carried);
        for (service, per_hour) in lines {
            add(service.as_ref(), per_hour * factor);
        }
        rates.gaps.extend(gaps);
    }
    rates
}

/// Gauges by price and service; what is no price is not read.
fn gauges_of(reading: &SpendReading) -> BTreeMap<(usize, &ServiceName), f64> {
    reading
        .gauges
        .iter()
        .filter(|it| is_amount(it.price_per_hour))
        .map(|it| ((it.nth, &it.service), it.price_per_hour))
        .collect()
}

fn price_of<'a>(book: Option<&'a PriceBook>, target: &Target) -> Option<(usize, &'a UnitPrice)> {
    let prices = book?.capacity.iter().enumerate();
    prices.into_iter().find(|(_, it)| it.selector.selects(target)).map(|(nth, it)| (nth, &it.price))
}

fn is_by_gauge(book: Option<&PriceBook>, target: &Target) -> bool {
    matches!(price_of(book, target), Some((_, UnitPrice::Gauge(_))))
}

fn units_of<'a>(
    now: Timestamp,
    book: Option<&PriceBook>,
    it: &SpendingTarget<'a>,
    gauges: &BTreeMap<(usize, &ServiceName), f64>,
    carried: &mut Carried,
    gaps: &mut Vec<Gap>,
) -> Units<'a> {
    let target = it.target;
    let service = service_of(target);
    let capacity = carry(&mut carried.capacity, target.id.clone(), it.current, now);
    if capacity.is_none_or(|it| it.1) {
        let is_carried = capacity.is_some();
        gaps.push(Gap::Capacity { target: target.id.clone(), is_carried });
    }
    let price = match (price_of(book, target), &service) {
        (None, _) => target.price_usd_per_hour.filter(|it| is_amount(*it)),
        (Some((_, UnitPrice::PerHour(price))), _) => Some(*price),
        (Some((_, UnitPrice::Gauge(_))), None) => {
            gaps.push(Gap::Gauge { target: target.id.clone(), is_carried: false });
            None
        }
        (Some((nth, UnitPrice::Gauge(gauge))), Some(service)) => {
            let read = gauges.get(&(nth, service)).copied();
            let key = (gauge.query.clone(), service.clone());
            let price = carry(&mut carried.gauges, key, read, now);
            if price.is_none_or(|it| it.1) {
                let is_carried = price.is_some();
                gaps.push(Gap::Gauge { target: target.id.clone(), is_carried });
            }
            price.map(|it| it.0)
        }
    };
    let n = capacity.map_or(0.0, |it| f64::from(it.0));
    Units { target, service, n, is_capacity_known: capacity.is_some(), price, n_covered: 0.0 }
}

/// What commitments cost, as `(nth units, whether it is theirs, per hour)`; marks covered
/// units.
fn commit(book: Option<&PriceBook>, units: &mut [Units<'_>]) -> Vec<(usize, bool, f64)> {
    let mut costs = Vec::new();
    let mut order: Vec<usize> = (0..units.len()).collect();
    let price = |nth: usize| units.get(nth).and_then(|it| it.price).unwrap_or(0.0);
    let name = |nth: usize| units.get(nth).map(|it| &it.target.id);
    order.sort_by(|a, b| price(*b).total_cmp(&price(*a)).then_with(|| name(*a).cmp(&name(*b))));
    for it in book.map(|it| it.commitments.as_slice()).unwrap_or_default() {
        let mut n_left = f64::from(it.units);
        for nth in &order {
            let Some(units) = units.get_mut(*nth) else { continue };
            if !it.selector.selects(units.target) {
                continue;
            }
            let n = (units.n - units.n_covered).min(n_left);
            units.n_covered += n;
            n_left -= n;
            if 0.0 < n {
                costs.push((*nth, true, n * it.price_per_hour));
            }
        }
        costs.push((0, false, n_left * it.price_per_hour));
    }
    costs
}

/// What usage costs before the discount, by service.
fn usage_lines(
    now: Timestamp,
    book: &PriceBook,
    of_targets: &BTreeSet<&ServiceName>,
    reading: &SpendReading,
    carried: &mut Carried,
) -> (Vec<(Option<ServiceName>, f64)>, Vec<Gap>) {
    let mut gaps = Vec::new();
    let mut lines: BTreeMap<ServiceName, f64> = BTreeMap::new();
    carried.usage.retain(|(name, _), it| {
        book.usage.iter().any(|line| line.name == *name) && now.duration_since(it.at) <= MISSED_FOR
    });
    let mut read: BTreeMap<(&UsageName, &ServiceName), f64> = BTreeMap::new();
    for it in reading.usage.iter().filter(|it| is_amount(it.per_second)) {
        *read.entry((&it.name, &it.service)).or_default() += it.per_second;
    }
    for line in &book.usage {
        let of_line = read.iter().filter(|((name, _), _)| **name == line.name);
        let of_line: BTreeMap<&ServiceName, f64> =
            of_line.map(|((_, service), value)| (*service, *value)).collect();
        let missed: Vec<ServiceName> = carried
            .usage
            .keys()
            .filter(|(name, service)| *name == line.name && !of_line.contains_key(service))
            .map(|(_, service)| service.clone())
            .collect();
        if of_line.is_empty() && missed.is_empty() {
            let name = line.name.clone();
            gaps.push(Gap::Usage { name, service: None, is_carried: false });
        }
        let mut cost = |service: &ServiceName, per_second: f64| {
            *lines.entry(service.clone()).or_default() += per_second * 3600.0 * line.price_per_unit;
        };
        for (service, per_second) in of_line {
            cost(service, per_second);
            let key = (line.name.clone(), service.clone());
            carried.usage.insert(key, Seen { at: now, value: per_second });
        }
        for service in missed {
            let key = (line.name.clone(), service.clone());
            let value = carry(&mut carried.usage, key, None, now);
            cost(&service, value.map_or(0.0, |it| it.0));
            let (name, is_carried) = (line.name.clone(), value.is_some());
            gaps.push(Gap::Usage { name, service: Some(service), is_carried });
        }
    }
    let mut others: Vec<(ServiceName, f64)> = Vec::new();
    let mut filed: Vec<(Option<ServiceName>, f64)> = Vec::new();
    for (service, per_hour) in lines {
        if of_targets.contains(&service) {
            filed.push((Some(service), per_hour));
        } else {
            others.push((service, per_hour));
        }
    }
    others.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest = others.split_off(others.len().min(USAGE_SERVICES_MAX));
    if !rest.is_empty() {
        gaps.push(Gap::TooManyServices { n_services: rest.len() });
        filed.push((None, rest.iter().map(|it| it.1).sum()));
        // They are not remembered one by one either.
        let rest: BTreeSet<&ServiceName> = rest.iter().map(|it| &it.0).collect();
        carried.usage.retain(|(_, service), _| !rest.contains(service));
    }
    filed.extend(others.into_iter().map(|(service, it)| (Some(service), it)));
    (filed, gaps)
}
