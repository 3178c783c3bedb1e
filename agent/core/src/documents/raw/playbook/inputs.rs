//! `parameters:` and `inputs:` of a `Playbook`: the names that its conditions may use.
//!
//! **In:** the two fields as written.
//! **Out:** [`Parameter`]s and [`PlaybookInput`]s with names that a condition can write.
//! **Not here:** the conditions ([`super::expression`]).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::condition::{Environment, FUNCTIONS, Unit};
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::promql;
use crate::documents::raw::policy::Query;
use crate::documents::raw::scalar::{Duration, Finite, Name, PrometheusLabel, text};
use crate::documents::raw::{Place, Read, fields, listed, nearest, wrong_type};
use crate::documents::{BudgetInput, BudgetValue, Parameter, Per, PlaybookInput};
use crate::ids::{BudgetId, InputName, ParameterName};

/// Most parameters. Why 32: a person reads them before approving.
const PARAMETERS_MAX: usize = 32;
/// Longest name in a condition, in bytes. Why 64: conditions are read in one line.
const IDENTIFIER_BYTES_MAX: usize = 64;

/// A name that conditions can write.
pub(in crate::documents) struct Identifier(pub(in crate::documents) String);

impl Read for Identifier {
    fn schema() -> Json {
        json!({"type": "string", "pattern": format!("^[A-Za-z_][A-Za-z0-9_]{{0,{}}}$", IDENTIFIER_BYTES_MAX - 1)})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Identifier> {
        let text = text(node, place, "text", faults)?;
        let is_writable = Environment::is_writable(text) && !text.contains('.');
        if is_writable && text.len() <= IDENTIFIER_BYTES_MAX {
            return Some(Identifier(text.to_owned()));
        }
        let message =
            format!("`{place}`: {} is not a name that a condition can write", quoted(text));
        let hint = format!(
            "use letters, digits and `_`, at most {IDENTIFIER_BYTES_MAX}, and no word of the language"
        );
        faults.error(node.at, message, hint);
        None
    }
}

fields! {
    /// A number that a person may change for one run.
    struct RawParameter {
        /// Its unit.
        required unit: Unit,
        /// Its value when nobody says otherwise.
        required default: Finite,
        /// The least that may be given.
        required min: Finite,
        /// The most that may be given.
        required max: Finite,
    }
}

/// Parameters by name.
pub(in crate::documents) struct RawParameters(
    pub(in crate::documents) BTreeMap<ParameterName, Parameter>,
);

impl Read for RawParameters {
    fn schema() -> Json {
        json!({
            "type": "object",
            "maxProperties": PARAMETERS_MAX,
            "propertyNames": Identifier::schema(),
            "additionalProperties": RawParameter::schema(),
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawParameters> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, place, "a mapping of parameters", faults);
            return None;
        };
        if PARAMETERS_MAX < entries.len() {
            let n = entries.len();
            let message =
                format!("`{place}` has {n} parameters, at most {PARAMETERS_MAX} are allowed");
            faults.error(node.at, message, "remove some");
            return None;
        }
        let mut parameters = Some(BTreeMap::new());
        for entry in entries {
            let key = At { value: Value::Text(entry.key.value.clone()), at: entry.key.at };
            let name = Identifier::read(&key, place, faults);
            let name = name.and_then(|it| ParameterName::new(&it.0).ok());
            let inside = place.field(&entry.key.value);
            let parameter = RawParameter::read(&entry.node, &inside, faults);
            let parameter = parameter.and_then(|it| it.checked(&inside, faults));
            match (name, parameter, &mut parameters) {
                (Some(name), Some(parameter), Some(parameters)) => {
                    parameters.insert(name, parameter);
                }
                (None, _, _) | (_, None, _) | (_, _, None) => parameters = None,
            }
        }
        parameters.map(RawParameters)
    }
}

impl RawParameter {
    fn checked(self, place: &Place<'_>, faults: &mut Faults) -> Option<Parameter> {
        let RawParameter { unit, default, min, max } = self;
        let (Finite(value), Finite(low), Finite(high)) = (default.value, min.value, max.value);
        if high < low {
            let message = format!("`{place}.min` ({low}) is above `max` ({high})");
            faults.error(min.at, message, "swap the two");
            return None;
        }
        if value < low || high < value {
            let message = format!(
                "`{place}.default` is {value}, it must be from {low} (`min`) to {high} (`max`)"
            );
            faults.error(default.at, message, "change the default or the bounds");
            return None;
        }
        Some(Parameter { unit: unit.value, default: value, min: low, max: high })
    }
}

fields! {
    /// One named input.
    struct RawInput {
        /// As conditions call it, unique within the playbook.
        required name: Identifier,
        /// PromQL that answers for all targets of the playbook at once. This or `budget`.
        optional query: Query,
        /// A number of a budget, as the agent counts it.
        optional budget: RawBudgetInput,
        /// What the numbers are. Of a budget it is known.
        optional unit: Unit,
        /// One number per `target`, one for `everything`, or one per `instance` of each
        /// target, named by this label.
        defaulted(json!("target")) per: RawPer,
        /// Oldest sample that still counts.
        defaulted(json!("1m")) max_age: Duration<1, 3_600>,
        /// `true`: read how odd the series is, in [0, 1], not its value. From 0.6 on a person
        /// would want to know. Unknown for the first hour of a series.
        defaulted(json!(false)) anomaly_score: bool,
    }
}

fields! {
    /// A number of a budget.
    struct RawBudgetInput {
        /// The name of the `Budget`.
        required name: Name<BudgetId>,
        /// `spent_ratio`, `burn_rate` (over one hour), `spend_per_hour`, `time_left` (until it
        /// is spent, as likely before as after) or `runaway` (1 while such a threshold is
        /// crossed, else 0).
        required value: BudgetValue,
    }
}

impl Read for BudgetValue {
    fn schema() -> Json {
        json!({"enum": BudgetValue::ALL.map(BudgetValue::name)})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<BudgetValue> {
        let names = BudgetValue::ALL.map(BudgetValue::name);
        let expected = format!("one of {}", listed(&names));
        let text = text(node, place, &expected, faults)?;
        let value = BudgetValue::ALL.into_iter().find(|it| it.name() == text);
        if value.is_none() {
            let hint = match nearest(text, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write {expected}"),
            };
            faults.error(node.at, format!("`{place}`: unknown value {}", quoted(text)), hint);
        }
        value
    }
}

/// What one number is about.
pub(in crate::documents) struct RawPer(Per);

fields! {
    /// One number per instance.
    struct RawPerInstance {
        /// The label that names the instance.
        required instance: PrometheusLabel,
    }
}

impl Read for RawPer {
    fn schema() -> Json {
        json!({"oneOf": [{"enum": ["target", "everything"]}, RawPerInstance::schema()]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawPer> {
        match &node.value {
            Value::Text(text) if text == "target" => Some(RawPer(Per::Target)),
            Value::Text(text) if text == "everything" => Some(RawPer(Per::Everything)),
            Value::Map(_) => {
                let RawPerInstance { instance } = RawPerInstance::read(node, place, faults)?;
                Some(RawPer(Per::Instance { label: instance.value.0 }))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::List(_) => {
                let expected = "`target`, `everything` or `{ instance: LABEL }`";
                wrong_type(node, place, expected, faults);
                None
            }
        }
    }
}

/// An input that reads a budget: one number for everything, always fresh.
fn budgeted(
    name: InputName,
    raw: RawBudgetInput,
    unit: Option<At<Unit>>,
    anomaly_score: &At<bool>,
    faults: &mut Faults,
) -> Option<PlaybookInput> {
    let RawBudgetInput { name: budget, value } = raw;
    let value = value.value;
    if let Some(unit) = unit.filter(|it| it.value != value.unit()) {
        let message = format!(
            "input `{name}`: `{}` of a budget is in `{}`, not in `{}`",
            value.name(),
            value.unit().name(),
            unit.value.name()
        );
        faults.error(unit.at, message, "leave `unit` out");
        return None;
    }
    if anomaly_score.value {
        let message = format!("input `{name}`: a budget has no anomaly score");
        faults.error(anomaly_score.at, message, "leave it out");
        return None;
    }
    let Name(budget) = budget.value;
    Some(PlaybookInput {
        name,
        query: String::new(),
        budget: Some(BudgetInput { budget, value }),
        max_age: BUDGET_AGE_MAX,
        unit: value.unit(),
        per: Per::Everything,
        is_anomaly_score: false,
    })
}

/// Of an input that is computed when it is asked for.
const BUDGET_AGE_MAX: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// Inputs with different names. A query that loses the labels it needs gets a warning.
pub(super) fn checked(
    raw: Vec<At<RawInput>>,
    target_label: &str,
    faults: &mut Faults,
) -> Option<Vec<PlaybookInput>> {
    let mut seen: BTreeMap<InputName, usize> = BTreeMap::new();
    let mut inputs = Some(Vec::new());
    for At { value: raw, .. } in raw {
        let RawInput { name, query, budget, unit, per, max_age, anomaly_score } = raw;
        let At { value: Identifier(text), at } = name;
        let Ok(name) = InputName::new(&text) else { return None };
        if let Some(line) = seen.insert(name.clone(), at.line) {
            let message = format!("input `{name}` is named twice, first in line {line}");
            faults.error(at, message, "give each its own name");
            inputs = None;
        }
        let is_taken = ["params", "target"].contains(&text.as_str())
            || FUNCTIONS.iter().any(|it| it.name == text);
        if is_taken {
            let message =
                format!("input `{name}` has a name that means something else in a condition");
            faults.error(at, message, "choose another name");
            inputs = None;
        }
        let (query, unit) = match (query, budget, unit) {
            (None, Some(budget), unit) => {
                let input = budgeted(name, budget.value, unit, &anomaly_score, faults);
                match (input, &mut inputs) {
                    (Some(input), Some(inputs)) => inputs.push(input),
                    (None, _) | (_, None) => inputs = None,
                }
                continue;
            }
            (Some(query), None, Some(unit)) => (query, unit),
            (Some(_), Some(budget), _) => {
                let message = format!("input `{name}` has a `query` and a `budget`");
                faults.error(budget.at, message, "remove one of the two");
                inputs = None;
                continue;
            }
            (query, None, unit) => {
                for missing in
                    [query.is_none().then_some("query"), unit.is_none().then_some("unit")]
                        .into_iter()
                        .flatten()
                {
                    let message = format!("input `{name}`: missing field `{missing}`");
                    faults.error(at, message, format!("add `{missing}:`"));
                }
                inputs = None;
                continue;
            }
        };
        let RawPer(per) = per.value;
        let needed: Vec<(&str, &str)> = match &per {
            Per::Everything => Vec::new(),
            Per::Target => vec![(target_label, "the target")],
            Per::Instance { label } => {
                vec![(target_label, "the target"), (label, "the instance")]
            }
        };
        if anomaly_score.value && (unit.value != Unit::Ratio || matches!(per, Per::Instance { .. }))
        {
            let message = format!("input `{name}`: an anomaly score is a ratio, one per target");
            let hint = "write `unit: ratio`, and `per: target` or `per: everything`";
            faults.error(anomaly_score.at, message, hint);
            inputs = None;
        }
        let Query(text) = query.value;
        let lost = needed.iter().find(|(label, _)| !promql::keeps_label(&text, label));
        if let Some((label, what)) = lost {
            let message =
                format!("input `{name}`: the query does not mention `{label}`, which names {what}");
            let labels: Vec<&str> = needed.iter().map(|(label, _)| *label).collect();
            let hint =
                format!("aggregate with `by ({})`, or write `per: everything`", labels.join(", "));
            faults.warning(query.at, message, hint);
        }
        if let Some(inputs) = &mut inputs {
            let (max_age, unit) = (max_age.value.0, unit.value);
            let is_anomaly_score = anomaly_score.value;
            let budget = None;
            inputs.push(PlaybookInput {
                name,
                query: text,
                budget,
                max_age,
                unit,
                per,
                is_anomaly_score,
            });
        }
    }
    inputs
}
