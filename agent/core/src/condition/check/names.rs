//! Names in conditions, and what somebody meant who wrote one that is not there.
//!
//! **In:** a name with its place.
//! **Out:** what it stands for, or a fault with the nearest name.
//! **Not here:** functions ([`super::call`]).

use std::ops::Range;

use super::{Checker, Checks, Measure, Measured};
use crate::condition::evaluate::Number;
use crate::condition::fault::ConditionFault;
use crate::condition::function::{self, FUNCTIONS};
use crate::condition::{Kind, Unit};
use crate::documents::nearest;

/// Most names that a hint lists.
const LISTED_MAX: usize = 8;

impl Checker<'_> {
    /// What `name` stands for; from now on it is one of those used.
    pub(super) fn kind(&mut self, name: &str, span: &Range<usize>) -> Checks<Kind> {
        let Some(kind) = self.environment.get(name) else {
            return Err(self.unknown_name(name, span));
        };
        self.used.insert(name.to_owned(), kind);
        Ok(kind)
    }

    /// A name where a number is needed.
    pub(super) fn name(&mut self, name: &str, span: &Range<usize>) -> Checks<Measured> {
        match self.kind(name, span)? {
            Kind::Number(unit) => {
                let compiled = Number::Name(name.to_owned());
                Ok(Measured { compiled, measure: Measure::In(unit) })
            }
            Kind::Instances(_) => Err(ConditionFault::new(
                span.clone(),
                format!("{} has one value per instance, one number is needed", self.quoted(span)),
                format!(
                    "write `worst({0})`, `lowest({0})`, `median({0})`, `mean({0})`, \
                     `outlier_count({0}, 3)` or `share_above({0}, limit)`",
                    self.piece(span)
                ),
            )),
        }
    }

    /// A name with one value per instance, as the first argument of `function`.
    pub(super) fn instances(
        &mut self,
        function: &str,
        name: &str,
        span: &Range<usize>,
    ) -> Checks<Unit> {
        match self.kind(name, span)? {
            Kind::Instances(unit) => Ok(unit),
            Kind::Number(_) => {
                let message = format!(
                    "{} is one number, `{function}` takes a name with one value per instance",
                    self.quoted(span)
                );
                let hint = match self.listed(|kind| matches!(kind, Kind::Instances(_))) {
                    Some(names) => format!("such names are {names}"),
                    None => format!("write `{}` alone", self.piece(span)),
                };
                Err(ConditionFault::new(span.clone(), message, hint))
            }
        }
    }

    fn unknown_name(&self, name: &str, span: &Range<usize>) -> ConditionFault {
        let message = format!("there is no name {}", self.quoted(span));
        if let Some(function) = function::find(name) {
            let hint = format!("it is a function; write `{}`", function.form);
            return ConditionFault::new(span.clone(), message, hint);
        }
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name).collect();
        let hint = match (nearest(name, &names), self.listed(|_| true)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(names)) => format!("the names here are {names}"),
            (None, None) => "declare it as an input or parameter".to_owned(),
        };
        ConditionFault::new(span.clone(), message, hint)
    }

    /// The first names of a kind, each in back-quotes.
    fn listed(&self, wanted: impl Fn(Kind) -> bool) -> Option<String> {
        let names = self.environment.iter().filter(|(_, kind)| wanted(*kind));
        let names: Vec<String> = names.map(|(name, _)| format!("`{name}`")).collect();
        let shown = names.get(..names.len().min(LISTED_MAX)).unwrap_or_default().join(", ");
        match names.len().saturating_sub(LISTED_MAX) {
            _ if names.is_empty() => None,
            0 => Some(shown),
            n_more => Some(format!("{shown} and {n_more} more")),
        }
    }

    pub(super) fn unknown_function(
        &self,
        function: &str,
        called_at: &Range<usize>,
        argument: Option<&Range<usize>>,
    ) -> ConditionFault {
        if let Some((value, method)) = function.split_once('.') {
            let message =
                format!("{} is not a function; there are no methods", self.quoted(called_at));
            let hint = match function::find(method) {
                Some(_) => {
                    let value = called_at.start..called_at.start + value.len();
                    format!("write `{method}({})`", self.piece(&value))
                }
                None => known_functions(),
            };
            return ConditionFault::new(called_at.clone(), message, hint);
        }
        let message = format!("there is no function {}", self.quoted(called_at));
        if self.environment.get(function).is_some() {
            let hint =
                format!("`{function}` is a value; write `{function}` alone, or `{function} * (…)`");
            return ConditionFault::new(called_at.clone(), message, hint);
        }
        let argument = argument.map_or_else(|| "x".to_owned(), |it| self.piece(it));
        let names: Vec<&str> = FUNCTIONS.iter().map(|it| it.name).collect();
        let hint = match meant(function, &argument) {
            Some(hint) => hint,
            None => match nearest(function, &names).and_then(function::find) {
                Some(near) => format!("did you mean `{}`?", near.form),
                None => known_functions(),
            },
        };
        ConditionFault::new(called_at.clone(), message, hint)
    }
}

/// Functions of CEL or of other languages, and how to do without them.
fn meant(function: &str, argument: &str) -> Option<String> {
    Some(match function {
        "has" | "exists" | "isset" | "defined" | "present" => format!("write `known({argument})`"),
        "size" | "len" | "length" => format!("write `instances({argument})`"),
        "avg" | "average" => format!("write `mean({argument})`"),
        "highest" | "largest" => format!("write `worst({argument})`"),
        "smallest" => format!("write `lowest({argument})`"),
        "sum" => format!("write `mean({argument}) * instances({argument})`, or sum in the query"),
        "int" | "uint" | "double" | "float" => {
            format!("there is one kind of number; write `{argument}`")
        }
        "matches" | "startsWith" | "endsWith" | "contains" | "string" => {
            "there are no texts to compare; choose in the query of the input".to_owned()
        }
        "rate" | "increase" | "avg_over_time" | "histogram_quantile" | "quantile" => {
            "this is a condition, not a query; put it into the query of the input".to_owned()
        }
        "timestamp" | "now" | "time" => {
            "a condition knows no time; use a schedule or how long it must hold".to_owned()
        }
        _ => return None,
    })
}

fn known_functions() -> String {
    let names: Vec<&str> = FUNCTIONS.iter().map(|it| it.name).collect();
    format!("the functions are {}", names.join(", "))
}
