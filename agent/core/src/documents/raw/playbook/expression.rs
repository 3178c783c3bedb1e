//! Conditions and formulas inside of documents.
//!
//! **In:** one node with the text of an expression.
//! **Out:** a checked [`Condition`] or [`Formula`], or a fault at its place in the text.
//! **Not here:** the language ([`crate::condition`]).

use serde_json::{Value as Json, json};

use crate::condition::{Condition, ConditionFault, Environment, Formula, TEXT_BYTES_MAX, Unit};
use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::{Place, Read, wrong_type};

/// An expression, not yet checked: for that, the names that it may use must be known.
pub(in crate::documents) struct Expression {
    text: String,
    /// The way to it, for messages.
    place: String,
}

impl Read for Expression {
    fn schema() -> Json {
        json!({"anyOf": [
            {"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX},
            {"type": "number"},
            {"type": "boolean"},
        ]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Expression> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            // `factor: 3` and `only_if: false` are expressions too.
            Value::Whole(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::List(_) | Value::Map(_) => {
                wrong_type(node, place, "an expression such as `error_ratio > 0.05`", faults);
                return None;
            }
        };
        Some(Expression { text, place: place.to_string() })
    }
}

/// The condition of that text. One that is `false` whatever happens is a fault: what waits
/// for it is never reached.
pub(super) fn condition(
    raw: &At<Expression>,
    environment: &Environment,
    faults: &mut Faults,
) -> Option<Condition> {
    let Expression { text, place } = &raw.value;
    let condition = match Condition::parse(text, environment) {
        Ok(condition) => condition,
        Err(fault) => {
            report(&fault, raw, faults);
            return None;
        }
    };
    if text.trim() == "false" {
        let message = format!("`{place}` is never true, so what follows it is never reached");
        faults.error(raw.at, message, "write a condition that can be true, or remove the part");
        return None;
    }
    Some(condition)
}

/// The formula of that text, in `unit`.
pub(super) fn formula(
    raw: &At<Expression>,
    environment: &Environment,
    unit: Unit,
    faults: &mut Faults,
) -> Option<Formula> {
    match Formula::parse(&raw.value.text, environment, unit) {
        Ok(formula) => Some(formula),
        Err(fault) => {
            report(&fault, raw, faults);
            None
        }
    }
}

fn report(fault: &ConditionFault, raw: &At<Expression>, faults: &mut Faults) {
    let Expression { text, place } = &raw.value;
    let ConditionFault { message, hint, offset } = fault;
    let before = text.get(..offset.start).unwrap_or_default();
    faults.inside(raw.at, before, format!("`{place}`: {message}"), hint);
}
