//! Summaries of one value per instance.
//!
//! **In:** names and values of instances, in any order.
//! **Out:** counts, extremes, medians and outliers; nothing when a value is missing.
//! **Not here:** which instances there are and how old their values may be.

use crate::ids::InstanceName;

/// Most instances of one input; with more, all but their number is unknown.
///
/// Why 1,000: ten times a large service in one region; it bounds the cost of an
/// evaluation, and 8 kB of stack hold their values.
pub const INSTANCES_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Summary {
    Count,
    Worst,
    Lowest,
    Median,
    Mean,
}

pub(super) type Values = [(InstanceName, f64)];

/// Whether every instance has a finite value, and there are not too many. True for none.
pub(super) fn are_known(instances: &Values) -> bool {
    instances.len() <= INSTANCES_MAX && instances.iter().all(|(_, value)| value.is_finite())
}

/// `None` when a value is unknown, and of no instances for all but the count.
pub(super) fn summary(summary: Summary, instances: &Values) -> Option<f64> {
    if summary == Summary::Count {
        return Some(number(instances.len()));
    }
    if instances.is_empty() || !are_known(instances) {
        return None;
    }
    let values = instances.iter().map(|(_, value)| *value);
    match summary {
        Summary::Count => Some(number(instances.len())),
        Summary::Worst => values.reduce(f64::max),
        Summary::Lowest => values.reduce(f64::min),
        Summary::Mean => Some(values.sum::<f64>() / number(instances.len())),
        Summary::Median => median(instances),
    }
}

/// The share of the instances that are above `limit`; `None` for no instances.
pub(super) fn share_above(instances: &Values, limit: f64) -> Option<f64> {
    if instances.is_empty() || !are_known(instances) {
        return None;
    }
    let above = instances.iter().filter(|(_, value)| limit < *value).count();
    Some(number(above) / number(instances.len()))
}

/// How many instances are above `factor` times the median of all others.
///
/// Against the others and not against all, so that one of three that is far off does not
/// raise what it is measured by. `None` below three: of two that differ nobody knows
/// which is ill.
pub(super) fn outlier_count(instances: &Values, factor: f64) -> Option<f64> {
    if instances.len() < 3 || !are_known(instances) {
        return None;
    }
    let middle = middle(instances)?;
    let outliers = instances.iter().filter(|(_, value)| factor * middle.without(*value) < *value);
    Some(number(outliers.count()))
}

fn median(instances: &Values) -> Option<f64> {
    let middle = middle(instances)?;
    Some(if instances.len().is_multiple_of(2) { mean(middle.low, middle.mid) } else { middle.mid })
}

/// The values in the middle when sorted: of an even number `mid` is the upper of the
/// two in the middle and `low` the one below; `high` is the one above `mid`.
#[derive(Clone, Copy)]
struct Middle {
    low: f64,
    mid: f64,
    high: f64,
    is_even: bool,
}

impl Middle {
    /// The median when one `value` is taken out.
    fn without(self, value: f64) -> f64 {
        let Middle { low, mid, high, is_even } = self;
        match () {
            () if is_even && value <= low => mid,
            () if is_even => low,
            () if value < mid => mean(mid, high),
            () if mid < value => mean(low, mid),
            () => mean(low, high),
        }
    }
}

/// Selection instead of sorting: at most one pass or two per evaluation. Not inlined, so
/// that the buffer is on the stack only here and not at every level of a condition.
#[inline(never)]
fn middle(instances: &Values) -> Option<Middle> {
    let mut buffer = [0.0_f64; INSTANCES_MAX];
    let values = buffer.get_mut(..instances.len())?;
    for (to, (_, from)) in values.iter_mut().zip(instances) {
        *to = *from;
    }
    if values.is_empty() {
        return None;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, mid, above) = values.select_nth_unstable_by(instances.len() / 2, f64::total_cmp);
    let low = below.iter().copied().reduce(f64::max).unwrap_or(*mid);
    let high = above.iter().copied().reduce(f64::min).unwrap_or(*mid);
    Some(Middle { low, mid: *mid, high, is_even })
}

/// Halves first: the sum of two finite numbers may not be one.
fn mean(a: f64, b: f64) -> f64 {
    a / 2.0 + b / 2.0
}

/// A count as a number; above 2^32 it no longer matters.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
