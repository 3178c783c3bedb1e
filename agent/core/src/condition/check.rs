//! From a tree of words to one of values: names, functions and units.
//!
//! **In:** what [`super::parser`] read, and the names there are.
//! **Out:** parts that can only be evaluated rightly, or the first fault.
//! **Not here:** precedence and bounds ([`super::parser`]), the calls ([`call`]).

mod call;
mod names;

use std::collections::BTreeMap;
use std::ops::Range;

use super::evaluate::{Boolean, Number};
use super::fault::{ConditionFault, piece, quoted};
use super::parser::{Arithmetic, Expression, Logic, Relation, Syntax};
use super::quantity::{self, constructor};
use super::{Environment, Kind, Lookup, Unit};
use crate::ids::InstanceName;

/// A tree that passed, and the names in it.
pub(super) struct Accepted<T> {
    pub(super) compiled: T,
    pub(super) names: BTreeMap<String, Kind>,
}

type Checks<T> = Result<T, ConditionFault>;

pub(super) fn condition(
    text: &str,
    root: &Expression<'_>,
    environment: &Environment,
) -> Checks<Accepted<Boolean>> {
    let mut checker = Checker { text, environment, used: BTreeMap::new() };
    let compiled = checker.boolean(root)?;
    Ok(Accepted { compiled, names: checker.used })
}

pub(super) fn formula(
    text: &str,
    root: &Expression<'_>,
    environment: &Environment,
    unit: Unit,
) -> Checks<Accepted<Number>> {
    let mut checker = Checker { text, environment, used: BTreeMap::new() };
    let number = checker.number(root)?;
    checker.gives(root, &number, unit)?;
    Ok(Accepted { compiled: number.compiled, names: checker.used })
}

/// What the unit of a number is. A bare one takes the unit of its surroundings if that
/// is one of [`Unit::takes_plain_numbers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Plain,
    In(Unit),
}

impl Measure {
    fn phrase(self) -> &'static str {
        match self {
            Measure::Plain => "a bare number",
            Measure::In(unit) => unit.phrase(),
        }
    }
}

/// A number with its unit.
struct Measured {
    compiled: Number,
    measure: Measure,
}

/// Any part.
enum Part {
    Number(Measured),
    Boolean(Boolean),
}

struct Checker<'a> {
    text: &'a str,
    environment: &'a Environment,
    used: BTreeMap<String, Kind>,
}

impl Checker<'_> {
    fn quoted(&self, span: &Range<usize>) -> String {
        quoted(self.text, span)
    }

    fn piece(&self, span: &Range<usize>) -> String {
        piece(self.text, span)
    }

    /// A piece that can stand beside any operator: in parentheses where it needs them.
    fn operand(&self, it: &Expression<'_>) -> String {
        let piece = self.piece(&it.span);
        match it.syntax {
            Syntax::Number(_)
            | Syntax::Text(_)
            | Syntax::Truth(_)
            | Syntax::Name(_)
            | Syntax::Call { .. } => piece,
            Syntax::Not(_)
            | Syntax::Negate(_)
            | Syntax::Arithmetic(..)
            | Syntax::Relation(..)
            | Syntax::Logic(..)
            | Syntax::Choice(_) => {
                if is_enclosed(&piece) {
                    piece
                } else {
                    format!("({piece})")
                }
            }
        }
    }

    fn part(&mut self, it: &Expression<'_>) -> Checks<Part> {
        match &it.syntax {
            Syntax::Number(value) => {
                let compiled = Number::Literal(*value);
                Ok(Part::Number(Measured { compiled, measure: Measure::Plain }))
            }
            Syntax::Truth(holds) => Ok(Part::Boolean(Boolean::Constant(*holds))),
            Syntax::Text(text) => Err(ConditionFault::new(
                it.span.clone(),
                format!("{} is a text where a value is needed", self.quoted(&it.span)),
                match (quantity::seconds(text), quantity::bytes(text)) {
                    (Ok(_), _) => format!("write `duration({})`", self.piece(&it.span)),
                    (_, Ok(_)) => format!("write `bytes({})`", self.piece(&it.span)),
                    (Err(_), Err(_)) => {
                        "texts are only for `duration(\"5m\")` and `bytes(\"10Gi\")`".to_owned()
                    }
                },
            )),
            Syntax::Name(name) => self.name(name, &it.span).map(Part::Number),
            Syntax::Call { function, called_at, arguments } => {
                self.call(it, function, called_at, arguments)
            }
            Syntax::Not(inner) => Ok(Part::Boolean(Boolean::Not(Box::new(self.boolean(inner)?)))),
            Syntax::Negate(inner) => {
                let Measured { compiled, measure } = self.number(inner)?;
                let compiled = Number::Negate(Box::new(compiled));
                Ok(Part::Number(Measured { compiled, measure }))
            }
            Syntax::Arithmetic(operator, sides) => {
                self.arithmetic(it, *operator, sides).map(Part::Number)
            }
            Syntax::Relation(relation, sides) => {
                self.relation(it, *relation, sides).map(Part::Boolean)
            }
            Syntax::Logic(logic, sides) => {
                let [left, right] = &**sides;
                let sides = Box::new([self.boolean(left)?, self.boolean(right)?]);
                Ok(Part::Boolean(match logic {
                    Logic::And => Boolean::And(sides),
                    Logic::Or => Boolean::Or(sides),
                }))
            }
            Syntax::Choice(parts) => self.choice(it, parts),
        }
    }

    fn number(&mut self, it: &Expression<'_>) -> Checks<Measured> {
        match self.part(it)? {
            Part::Number(number) => Ok(number),
            Part::Boolean(_) => Err(ConditionFault::new(
                it.span.clone(),
                format!("{} is true or false where a number is needed", self.quoted(&it.span)),
                format!("to use it as a number write `{} ? 1 : 0`", self.operand(it)),
            )),
        }
    }

    fn boolean(&mut self, it: &Expression<'_>) -> Checks<Boolean> {
        let number = match self.part(it)? {
            Part::Boolean(boolean) => return Ok(boolean),
            Part::Number(number) => number,
        };
        let example = match number.measure {
            Measure::Plain => "error_ratio".to_owned(),
            Measure::In(Unit::Ratio) => "percent(5)".to_owned(),
            Measure::In(unit) => constructor(unit, "1", None),
        };
        Err(ConditionFault::new(
            it.span.clone(),
            format!("{} is {}, not true or false", self.quoted(&it.span), number.measure.phrase()),
            format!("compare it, for example `{example} < {}`", self.piece(&it.span)),
        ))
    }

    /// Whether the number is in `unit`, or can be.
    fn gives(&self, it: &Expression<'_>, number: &Measured, unit: Unit) -> Checks<()> {
        match number.measure {
            Measure::In(found) if found == unit => Ok(()),
            Measure::Plain if unit.takes_plain_numbers() => Ok(()),
            Measure::Plain => Err(ConditionFault::new(
                it.span.clone(),
                format!(
                    "{} has no unit, a number {} is needed",
                    self.quoted(&it.span),
                    unit.phrase()
                ),
                self.with_unit(it, number, unit),
            )),
            Measure::In(found) => Err(ConditionFault::new(
                it.span.clone(),
                format!(
                    "{} is {}, a number that is {} is needed",
                    self.quoted(&it.span),
                    found.phrase(),
                    unit.phrase()
                ),
                "divide two numbers of one unit for a ratio; multiply by a ratio to scale",
            )),
        }
    }

    /// "write `duration("500ms")`", for a bare number.
    fn with_unit(&self, it: &Expression<'_>, number: &Measured, unit: Unit) -> String {
        let value = number.compiled.value(&Nothing);
        format!("write `{}`", constructor(unit, &self.piece(&it.span), value))
    }

    /// The unit that both sides of `operator` have.
    fn common(
        &self,
        operator: &str,
        (left, a): (&Expression<'_>, &Measured),
        (right, b): (&Expression<'_>, &Measured),
    ) -> Checks<Measure> {
        let bare =
            |bare: &Expression<'_>, number: &Measured, other: &Expression<'_>, unit: Unit| {
                if unit.takes_plain_numbers() {
                    return Ok(Measure::In(unit));
                }
                let (bare_shown, other_shown) = (self.quoted(&bare.span), self.quoted(&other.span));
                Err(ConditionFault::new(
                    bare.span.clone(),
                    format!("{other_shown} is {}, {bare_shown} has no unit", unit.phrase()),
                    self.with_unit(bare, number, unit),
                ))
            };
        match (a.measure, b.measure) {
            (Measure::Plain, Measure::Plain) => Ok(Measure::Plain),
            (Measure::In(found), Measure::In(other)) if found == other => Ok(a.measure),
            (Measure::Plain, Measure::In(unit)) => bare(left, a, right, unit),
            (Measure::In(unit), Measure::Plain) => bare(right, b, left, unit),
            (Measure::In(found), Measure::In(other)) => {
                let hint = match (found, other) {
                    (Unit::Units, Unit::Count) => {
                        format!("write `count({})`", self.piece(&left.span))
                    }
                    (Unit::Count, Unit::Units) => {
                        format!("write `count({})`", self.piece(&right.span))
                    }
                    _ => "compare and add only what has one unit; a ratio comes from dividing"
                        .to_owned(),
                };
                let (left_shown, right_shown) = (self.quoted(&left.span), self.quoted(&right.span));
                Err(ConditionFault::new(
                    left.span.start..right.span.end,
                    format!(
                        "{left_shown} is {}, {right_shown} is {}: `{operator}` needs one unit",
                        found.phrase(),
                        other.phrase()
                    ),
                    hint,
                ))
            }
        }
    }

    fn arithmetic(
        &mut self,
        it: &Expression<'_>,
        operator: Arithmetic,
        sides: &[Expression<'_>; 2],
    ) -> Checks<Measured> {
        let [left, right] = sides;
        let (a, b) = (self.number(left)?, self.number(right)?);
        let measure = match operator {
            Arithmetic::Add | Arithmetic::Subtract => {
                self.common(operator.symbol(), (left, &a), (right, &b))?
            }
            Arithmetic::Multiply => product(a.measure, b.measure)
                .ok_or_else(|| self.no_such_unit(it, operator, (left, &a), (right, &b)))?,
            Arithmetic::Divide => {
                if b.compiled.value(&Nothing) == Some(0.0) {
                    return Err(ConditionFault::new(
                        right.span.clone(),
                        "a division by zero is never known",
                        "divide by something else",
                    ));
                }
                quotient(a.measure, b.measure)
                    .ok_or_else(|| self.no_such_unit(it, operator, (left, &a), (right, &b)))?
            }
        };
        let compiled = Number::Arithmetic(operator, Box::new([a.compiled, b.compiled]));
        Ok(Measured { compiled, measure })
    }

    fn no_such_unit(
        &self,
        it: &Expression<'_>,
        operator: Arithmetic,
        (left, a): (&Expression<'_>, &Measured),
        (right, b): (&Expression<'_>, &Measured),
    ) -> ConditionFault {
        let symbol = operator.symbol();
        let (left, right) = (self.quoted(&left.span), self.quoted(&right.span));
        let (a, b) = (a.measure.phrase(), b.measure.phrase());
        let hint = match operator {
            Arithmetic::Divide => "divide by a ratio, a count, or a number of the same unit",
            Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply => {
                "one side of `*` is a ratio, a count or a bare number"
            }
        };
        ConditionFault::new(
            it.span.clone(),
            format!("{left} is {a}, {right} is {b}: `{symbol}` of them has no unit here"),
            hint,
        )
    }

    fn relation(
        &mut self,
        it: &Expression<'_>,
        relation: Relation,
        sides: &[Expression<'_>; 2],
    ) -> Checks<Boolean> {
        let [left, right] = sides;
        let (a, b) = match (self.part(left)?, self.part(right)?) {
            (Part::Number(a), Part::Number(b)) => (a, b),
            (Part::Boolean(_), Part::Boolean(_)) => {
                return Err(self.compared_truths(it, relation, left, right));
            }
            (Part::Boolean(_), Part::Number(_)) => {
                return Err(self.truth_beside_number(relation, left));
            }
            (Part::Number(_), Part::Boolean(_)) => {
                return Err(self.truth_beside_number(relation, right));
            }
        };
        let measure = self.common(relation.symbol(), (left, &a), (right, &b))?;
        if matches!(relation, Relation::Equal | Relation::NotEqual) {
            self.can_be_equal(it, measure, left, right)?;
        }
        Ok(match relation {
            Relation::Less => Boolean::Less(Box::new([a.compiled, b.compiled])),
            Relation::LessOrEqual => Boolean::LessOrEqual(Box::new([a.compiled, b.compiled])),
            Relation::Greater => Boolean::Less(Box::new([b.compiled, a.compiled])),
            Relation::GreaterOrEqual => Boolean::LessOrEqual(Box::new([b.compiled, a.compiled])),
            Relation::Equal => Boolean::Equal(Box::new([a.compiled, b.compiled])),
            Relation::NotEqual => {
                let equal = Boolean::Equal(Box::new([a.compiled, b.compiled]));
                Boolean::Not(Box::new(equal))
            }
        })
    }

    fn can_be_equal(
        &self,
        it: &Expression<'_>,
        measure: Measure,
        left: &Expression<'_>,
        right: &Expression<'_>,
    ) -> Checks<()> {
        let near = match measure {
            Measure::Plain | Measure::In(Unit::Count | Unit::Units) => return Ok(()),
            Measure::In(Unit::Ratio) => "percent(0.1)",
            Measure::In(Unit::Rps) => "rps(1)",
            Measure::In(Unit::Seconds) => "duration(\"10ms\")",
            Measure::In(Unit::UsdPerHour) => "usd_per_hour(0.01)",
            Measure::In(Unit::Usd) => "usd(0.01)",
            Measure::In(Unit::Bytes) => "bytes(\"1Mi\")",
        };
        let (a, b) = (self.piece(&left.span), self.operand(right));
        Err(ConditionFault::new(
            it.span.clone(),
            format!("`{a}` is {}; measured values are hardly ever exactly equal", measure.phrase()),
            format!("write `<=` or `>=`, or how near is near enough: `abs({a} - {b}) < {near}`"),
        ))
    }

    fn compared_truths(
        &self,
        it: &Expression<'_>,
        relation: Relation,
        left: &Expression<'_>,
        right: &Expression<'_>,
    ) -> ConditionFault {
        let literal = match (&left.syntax, &right.syntax) {
            (_, Syntax::Truth(holds)) => Some((self.operand(left), *holds)),
            (Syntax::Truth(holds), _) => Some((self.operand(right), *holds)),
            _ => None,
        };
        let hint = match (literal, relation) {
            (Some((it, true)), Relation::Equal) | (Some((it, false)), Relation::NotEqual) => {
                format!("write `{it}` alone")
            }
            (Some((it, false)), Relation::Equal) | (Some((it, true)), Relation::NotEqual) => {
                format!("write `!{it}`")
            }
            _ => "join truth values with `&&`, `||` and `!`".to_owned(),
        };
        let symbol = relation.symbol();
        let message = format!("`{symbol}` compares numbers; both sides here are true or false");
        ConditionFault::new(it.span.clone(), message, hint)
    }

    fn truth_beside_number(&self, relation: Relation, truth: &Expression<'_>) -> ConditionFault {
        ConditionFault::new(
            truth.span.clone(),
            format!(
                "{} is true or false, `{}` compares numbers",
                self.quoted(&truth.span),
                relation.symbol()
            ),
            "write a number there, or join conditions with `&&`, `||` and `!`",
        )
    }

    fn choice(&mut self, it: &Expression<'_>, parts: &[Expression<'_>; 3]) -> Checks<Part> {
        let [condition, then, otherwise] = parts;
        let compiled = self.boolean(condition)?;
        match (self.part(then)?, self.part(otherwise)?) {
            (Part::Boolean(a), Part::Boolean(b)) => {
                Ok(Part::Boolean(Boolean::Choice(Box::new([compiled, a, b]))))
            }
            (Part::Number(a), Part::Number(b)) => {
                let measure = self.common("? :", (then, &a), (otherwise, &b))?;
                let branches = Box::new([a.compiled, b.compiled]);
                let compiled = Number::Choice(Box::new(compiled), branches);
                Ok(Part::Number(Measured { compiled, measure }))
            }
            (Part::Boolean(_), Part::Number(_)) | (Part::Number(_), Part::Boolean(_)) => {
                Err(ConditionFault::new(
                    it.span.clone(),
                    "one branch is true or false, the other is a number",
                    "write two conditions or two numbers around `:`",
                ))
            }
        }
    }
}

/// Whether the first `(` is closed by the last `)`.
fn is_enclosed(piece: &str) -> bool {
    let Some(inside) = piece.strip_prefix('(').and_then(|it| it.strip_suffix(')')) else {
        return false;
    };
    let mut n_open = 0_i32;
    inside.chars().all(|it| {
        n_open += i32::from(it == '(') - i32::from(it == ')');
        0 <= n_open
    })
}

/// Ratios, counts and bare numbers scale everything; capacity times rate per unit is a rate.
fn product(a: Measure, b: Measure) -> Option<Measure> {
    match (a, b) {
        (Measure::Plain, other) | (other, Measure::Plain) => Some(other),
        (Measure::In(Unit::Ratio), other) | (other, Measure::In(Unit::Ratio)) => Some(other),
        (Measure::In(Unit::Count), other) | (other, Measure::In(Unit::Count)) => Some(other),
        (Measure::In(Unit::Rps), Measure::In(Unit::Units))
        | (Measure::In(Unit::Units), Measure::In(Unit::Rps)) => Some(Measure::In(Unit::Rps)),
        (Measure::In(_), Measure::In(_)) => None,
    }
}

fn quotient(a: Measure, b: Measure) -> Option<Measure> {
    match (a, b) {
        (numerator, Measure::Plain) => Some(numerator),
        (Measure::In(numerator), Measure::In(denominator)) if numerator == denominator => {
            Some(Measure::In(Unit::Ratio))
        }
        // The bare number takes the unit below it.
        (Measure::Plain, Measure::In(unit)) => {
            unit.takes_plain_numbers().then_some(Measure::In(Unit::Ratio))
        }
        (numerator, Measure::In(Unit::Ratio | Unit::Count)) => Some(numerator),
        (Measure::In(Unit::Rps), Measure::In(Unit::Units)) => Some(Measure::In(Unit::Rps)),
        (Measure::In(_), Measure::In(_)) => None,
    }
}

/// Knows no name: with it, a part has a value only when it is constant.
struct Nothing;

impl Lookup for Nothing {
    fn number(&self, _name: &str) -> Option<f64> {
        None
    }

    fn instances(&self, _name: &str) -> Option<&[(InstanceName, f64)]> {
        None
    }
}
