//! Conditions of playbooks: a typed, three-valued, strict subset of CEL's syntax.
//!
//! **In:** text, the names it may use with their units ([`Environment`]), and what is
//! known of them now ([`Lookup`]).
//! **Out:** [`Truth`] or a number, and for text that is not right one fault with its
//! place, what is wrong, and what to write instead.
//! **Not here:** where values come from and how old they may be, and what follows
//! from a condition that holds.

mod check;
mod evaluate;
mod fault;
mod function;
mod instances;
mod lexer;
mod parser;
mod quantity;
mod show;
mod truth;
mod unit;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use fault::ConditionFault;
pub use function::{FUNCTIONS, Function};
pub use instances::INSTANCES_MAX;
pub use truth::Truth;
pub use unit::{Environment, Kind, Unit};

use crate::ids::InstanceName;
use evaluate::{Boolean, Number};

/// Longest text, in bytes. Why 2,000: a screenful; more belongs into a query of the
/// monitoring system or into several conditions.
pub const TEXT_BYTES_MAX: usize = 2_000;

/// Most parts (literals, names, operators, calls) of one condition. Why 200: five times
/// what one reads at a glance; with it every evaluation has a bounded cost.
pub const NODES_MAX: usize = 200;

/// Deepest nesting of parentheses, calls, signs and branches. Why 32: nobody follows
/// more, and the parser's stack is bounded by it.
pub const NESTING_MAX: usize = 32;

/// Most arguments of one call. Why 16: `min` and `max` over a region's services.
pub const ARGUMENTS_MAX: usize = 16;

/// What is known at one instant. A number that is NaN or infinite counts as unknown.
pub trait Lookup {
    /// The value of a name of [`Kind::Number`], in the name's unit; `None` when unknown.
    fn number(&self, name: &str) -> Option<f64>;

    /// The values of a name of [`Kind::Instances`], at most [`INSTANCES_MAX`] (the caller
    /// cuts), in any order; `None` when unknown.
    fn instances(&self, name: &str) -> Option<&[(InstanceName, f64)]>;
}

/// Something that holds, does not hold, or cannot be told.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "StoredCondition", into = "StoredCondition")]
#[schemars(with = "StoredCondition")]
pub struct Condition {
    text: String,
    names: BTreeMap<String, Kind>,
    n_nodes: usize,
    compiled: Boolean,
}

impl Condition {
    /// Reads and type-checks `text`; only names of `environment` may occur in it.
    ///
    /// # Errors
    ///
    /// The first fault from the left: syntax, an unknown name or function, units that do
    /// not fit, or a bound exceeded.
    pub fn parse(text: &str, environment: &Environment) -> Result<Condition, ConditionFault> {
        let parsed = parser::parse(text)?;
        let checked = check::condition(text, &parsed.root, environment)?;
        Ok(Condition {
            text: text.to_owned(),
            names: checked.names,
            n_nodes: parsed.n_nodes,
            compiled: checked.compiled,
        })
    }

    /// Whether it holds now. Allocates nothing; the cost is [`Self::n_nodes`] steps and
    /// one pass over the instances per function of them.
    pub fn truth(&self, lookup: &dyn Lookup) -> Truth {
        self.compiled.truth(lookup)
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names it uses, each once, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The names it uses and what they stand for.
    pub fn kinds(&self) -> &BTreeMap<String, Kind> {
        &self.names
    }

    /// Its size in parts: literals, names, operators and calls; at most [`NODES_MAX`].
    pub fn n_nodes(&self) -> usize {
        self.n_nodes
    }

    /// The text with each name followed by its value: `error_ratio (0.12) < limit (unknown)`.
    /// One line of at most 3,000 bytes, cut with `…`.
    pub fn show(&self, lookup: &dyn Lookup) -> String {
        show::with_values(&self.text, &self.names, lookup)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

/// A number of a known unit, computed from names.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "StoredFormula", into = "StoredFormula")]
#[schemars(with = "StoredFormula")]
pub struct Formula {
    text: String,
    names: BTreeMap<String, Kind>,
    unit: Unit,
    n_nodes: usize,
    compiled: Number,
}

impl Formula {
    /// Reads and type-checks `text`, which must give a number of `unit`.
    ///
    /// # Errors
    ///
    /// As [`Condition::parse`], and when the result has another unit.
    pub fn parse(
        text: &str,
        environment: &Environment,
        unit: Unit,
    ) -> Result<Formula, ConditionFault> {
        let parsed = parser::parse(text)?;
        let checked = check::formula(text, &parsed.root, environment, unit)?;
        Ok(Formula {
            text: text.to_owned(),
            names: checked.names,
            unit,
            n_nodes: parsed.n_nodes,
            compiled: checked.compiled,
        })
    }

    /// Its value now, finite, in [`Self::unit`]; `None` when a value it needs is unknown,
    /// at a division by zero, and when the result is too large for a number. Allocates nothing.
    pub fn value(&self, lookup: &dyn Lookup) -> Option<f64> {
        self.compiled.value(lookup)
    }

    /// The unit of its value.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names it uses, each once, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The names it uses and what they stand for.
    pub fn kinds(&self) -> &BTreeMap<String, Kind> {
        &self.names
    }

    /// Its size in parts, as [`Condition::n_nodes`].
    pub fn n_nodes(&self) -> usize {
        self.n_nodes
    }

    /// The text with each name followed by its value, as [`Condition::show`].
    pub fn show(&self, lookup: &dyn Lookup) -> String {
        show::with_values(&self.text, &self.names, lookup)
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Formula({:?} in {})", self.text, self.unit.name())
    }
}

/// A condition as it is written down: only text and types, so that nothing read back
/// can be a condition that the checker would refuse.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StoredCondition {
    text: String,
    names: BTreeMap<String, Kind>,
}

impl TryFrom<StoredCondition> for Condition {
    type Error = ConditionFault;

    fn try_from(stored: StoredCondition) -> Result<Condition, ConditionFault> {
        let StoredCondition { text, names } = stored;
        Condition::parse(&text, &Environment::from(names))
    }
}

impl From<Condition> for StoredCondition {
    fn from(condition: Condition) -> StoredCondition {
        StoredCondition { text: condition.text, names: condition.names }
    }
}

/// A formula as it is written down.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StoredFormula {
    text: String,
    names: BTreeMap<String, Kind>,
    unit: Unit,
}

impl TryFrom<StoredFormula> for Formula {
    type Error = ConditionFault;

    fn try_from(stored: StoredFormula) -> Result<Formula, ConditionFault> {
        let StoredFormula { text, names, unit } = stored;
        Formula::parse(&text, &Environment::from(names), unit)
    }
}

impl From<Formula> for StoredFormula {
    fn from(formula: Formula) -> StoredFormula {
        StoredFormula { text: formula.text, names: formula.names, unit: formula.unit }
    }
}
