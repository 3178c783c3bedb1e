//! A checked condition and its value.
//!
//! **In:** trees that [`super::check`] built, and a [`Lookup`].
//! **Out:** truth and numbers; never NaN or an infinity.
//! **Not here:** units: they are checked once and are gone.

use super::instances::{self, Summary};
use super::parser::Arithmetic;
use super::{Lookup, Truth};

/// A part that gives a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    Literal(f64),
    Name(String),
    Negate(Box<Number>),
    Absolute(Box<Number>),
    Arithmetic(Arithmetic, Box<[Number; 2]>),
    Least(Vec<Number>),
    Greatest(Vec<Number>),
    Choice(Box<Boolean>, Box<[Number; 2]>),
    Summary(Summary, String),
    OutlierCount(String, Box<Number>),
    ShareAbove(String, Box<Number>),
}

/// A part that holds or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Boolean {
    Constant(bool),
    Less(Box<[Number; 2]>),
    LessOrEqual(Box<[Number; 2]>),
    Equal(Box<[Number; 2]>),
    Not(Box<Boolean>),
    And(Box<[Boolean; 2]>),
    Or(Box<[Boolean; 2]>),
    Choice(Box<[Boolean; 3]>),
    KnownNumber(String),
    KnownInstances(String),
}

impl Number {
    pub(super) fn value(&self, lookup: &dyn Lookup) -> Option<f64> {
        let value = match self {
            Number::Literal(value) => *value,
            Number::Name(name) => lookup.number(name)?,
            Number::Negate(inner) => -inner.value(lookup)?,
            Number::Absolute(inner) => inner.value(lookup)?.abs(),
            Number::Arithmetic(operator, sides) => {
                let [left, right] = &**sides;
                let (left, right) = (left.value(lookup)?, right.value(lookup)?);
                match operator {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    // By zero this is not finite and so unknown.
                    Arithmetic::Divide => left / right,
                }
            }
            Number::Least(parts) => extreme(parts, lookup, f64::min)?,
            Number::Greatest(parts) => extreme(parts, lookup, f64::max)?,
            Number::Choice(condition, branches) => {
                let [then, otherwise] = &**branches;
                match condition.truth(lookup) {
                    Truth::True => then.value(lookup)?,
                    Truth::False => otherwise.value(lookup)?,
                    Truth::Unknown => return None,
                }
            }
            Number::Summary(summary, name) => {
                instances::summary(*summary, lookup.instances(name)?)?
            }
            Number::OutlierCount(name, factor) => {
                instances::outlier_count(lookup.instances(name)?, factor.value(lookup)?)?
            }
            Number::ShareAbove(name, limit) => {
                instances::share_above(lookup.instances(name)?, limit.value(lookup)?)?
            }
        };
        value.is_finite().then_some(value)
    }
}

fn extreme(parts: &[Number], lookup: &dyn Lookup, of: fn(f64, f64) -> f64) -> Option<f64> {
    let (first, rest) = parts.split_first()?;
    let mut best = first.value(lookup)?;
    for part in rest {
        best = of(best, part.value(lookup)?);
    }
    Some(best)
}

impl Boolean {
    pub(super) fn truth(&self, lookup: &dyn Lookup) -> Truth {
        match self {
            Boolean::Constant(holds) => Truth::from(*holds),
            Boolean::Less(sides) => compare(sides, lookup, |left, right| left < right),
            Boolean::LessOrEqual(sides) => compare(sides, lookup, |left, right| left <= right),
            Boolean::Equal(sides) => {
                compare(sides, lookup, |left, right| left <= right && right <= left)
            }
            Boolean::Not(inner) => !inner.truth(lookup),
            Boolean::And(sides) => {
                let [left, right] = &**sides;
                match left.truth(lookup) {
                    Truth::False => Truth::False,
                    known @ (Truth::True | Truth::Unknown) => known.and(right.truth(lookup)),
                }
            }
            Boolean::Or(sides) => {
                let [left, right] = &**sides;
                match left.truth(lookup) {
                    Truth::True => Truth::True,
                    known @ (Truth::False | Truth::Unknown) => known.or(right.truth(lookup)),
                }
            }
            Boolean::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                match condition.truth(lookup) {
                    Truth::True => then.truth(lookup),
                    Truth::False => otherwise.truth(lookup),
                    Truth::Unknown => Truth::Unknown,
                }
            }
            Boolean::KnownNumber(name) => {
                Truth::from(lookup.number(name).is_some_and(f64::is_finite))
            }
            Boolean::KnownInstances(name) => {
                Truth::from(lookup.instances(name).is_some_and(instances::are_known))
            }
        }
    }
}

fn compare(sides: &[Number; 2], lookup: &dyn Lookup, holds: fn(f64, f64) -> bool) -> Truth {
    let [left, right] = sides;
    match (left.value(lookup), right.value(lookup)) {
        (Some(left), Some(right)) => Truth::from(holds(left, right)),
        (None, _) | (_, None) => Truth::Unknown,
    }
}
