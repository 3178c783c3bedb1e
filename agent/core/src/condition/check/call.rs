//! Calls of functions.
//!
//! **In:** the function's name and its arguments.
//! **Out:** the part that computes it, with its unit.
//! **Not here:** the list of functions ([`crate::condition::FUNCTIONS`]).

use std::ops::Range;

use super::{Checker, Checks, Measure, Measured, Part};
use crate::condition::evaluate::{Boolean, Number};
use crate::condition::fault::ConditionFault;
use crate::condition::function::{self, Function, Role};
use crate::condition::instances::Summary;
use crate::condition::parser::{Arithmetic, Expression, Syntax};
use crate::condition::{Kind, Unit, quantity};

/// One call: the whole expression, the function and its arguments.
#[derive(Clone, Copy)]
struct Call<'e, 't> {
    whole: &'e Expression<'t>,
    function: &'static Function,
    arguments: &'e [Expression<'t>],
}

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        whole: &Expression<'_>,
        function: &str,
        called_at: &Range<usize>,
        arguments: &[Expression<'_>],
    ) -> Checks<Part> {
        let Some(function) = function::find(function) else {
            let argument = arguments.first().map(|it| &it.span);
            return Err(self.unknown_function(function, called_at, argument));
        };
        let call = Call { whole, function, arguments };
        let number = match function.role {
            Role::Known => return self.known(call).map(Part::Boolean),
            Role::Duration => self.quantity(call, Unit::Seconds, quantity::seconds),
            Role::Bytes => self.quantity(call, Unit::Bytes, quantity::bytes),
            Role::Rps => self.with_unit_of(call, Unit::Rps),
            Role::UsdPerHour => self.with_unit_of(call, Unit::UsdPerHour),
            Role::Usd => self.with_unit_of(call, Unit::Usd),
            Role::Percent => self.with_unit_of(call, Unit::Ratio).map(|it| Measured {
                compiled: Number::Arithmetic(
                    Arithmetic::Divide,
                    Box::new([it.compiled, Number::Literal(100.0)]),
                ),
                ..it
            }),
            Role::Count => self.count(call),
            Role::Absolute => {
                let [argument] = self.exactly(call)?;
                let Measured { compiled, measure } = self.number(argument)?;
                Ok(Measured { compiled: Number::Absolute(Box::new(compiled)), measure })
            }
            Role::Least => self.extreme(call, Number::Least),
            Role::Greatest => self.extreme(call, Number::Greatest),
            Role::InstanceCount => self.summary(call, Summary::Count),
            Role::Worst => self.summary(call, Summary::Worst),
            Role::Lowest => self.summary(call, Summary::Lowest),
            Role::Median => self.summary(call, Summary::Median),
            Role::Mean => self.summary(call, Summary::Mean),
            Role::OutlierCount => self.outlier_count(call),
            Role::ShareAbove => self.share_above(call),
        };
        number.map(Part::Number)
    }

    fn exactly<'e, 't, const N: usize>(
        &self,
        call: Call<'e, 't>,
    ) -> Checks<&'e [Expression<'t>; N]> {
        let found = call.arguments.len();
        call.arguments.try_into().map_err(|_| {
            let Function { name, form, .. } = call.function;
            let plural = if N == 1 { "" } else { "s" };
            ConditionFault::new(
                call.whole.span.clone(),
                format!("`{name}` takes {N} argument{plural}, there are {found}"),
                format!("write for example `{form}`"),
            )
        })
    }

    /// `duration("5m")`, `bytes("10Gi")`.
    fn quantity(
        &mut self,
        call: Call<'_, '_>,
        unit: Unit,
        read: fn(&str) -> Result<f64, String>,
    ) -> Checks<Measured> {
        let [argument] = self.exactly(call)?;
        let Syntax::Text(text) = argument.syntax else {
            let hint = if let Syntax::Number(value) = argument.syntax {
                format!("write `{}`", quantity::constructor(unit, "", Some(value)))
            } else {
                format!("write for example `{}`", call.function.form)
            };
            let message =
                format!("`{}` takes a text with a unit in double quotes", call.function.name);
            return Err(ConditionFault::new(argument.span.clone(), message, hint));
        };
        let value = read(text).map_err(|message| {
            let hint = format!("write for example `{}`", call.function.form);
            ConditionFault::new(argument.span.clone(), one_line(&message), hint)
        })?;
        Ok(Measured { compiled: Number::Literal(value), measure: Measure::In(unit) })
    }

    /// `rps(10)`: a bare number gets a unit.
    fn with_unit_of(&mut self, call: Call<'_, '_>, unit: Unit) -> Checks<Measured> {
        let [argument] = self.exactly(call)?;
        let Function { name, form, .. } = call.function;
        if let Syntax::Text(text) = argument.syntax {
            let digits: String =
                text.chars().take_while(|it| it.is_ascii_digit() || *it == '.').collect();
            let example =
                if digits.is_empty() { form.to_string() } else { format!("{name}({digits})") };
            return Err(ConditionFault::new(
                argument.span.clone(),
                format!("`{name}` takes a number, not a text"),
                format!("write `{example}`"),
            ));
        }
        let Measured { compiled, measure } = self.number(argument)?;
        match measure {
            Measure::Plain => Ok(Measured { compiled, measure: Measure::In(unit) }),
            Measure::In(found) => Err(ConditionFault::new(
                argument.span.clone(),
                format!(
                    "`{name}` gives a bare number its unit, {} is {} already",
                    self.quoted(&argument.span),
                    found.phrase()
                ),
                if found == unit {
                    format!("write `{}` alone", self.piece(&argument.span))
                } else {
                    format!("write a bare number, for example `{form}`")
                },
            )),
        }
    }

    fn count(&mut self, call: Call<'_, '_>) -> Checks<Measured> {
        let [argument] = self.exactly(call)?;
        let Measured { compiled, measure } = self.number(argument)?;
        if matches!(measure, Measure::Plain | Measure::In(Unit::Units)) {
            return Ok(Measured { compiled, measure: Measure::In(Unit::Count) });
        }
        let shown = self.quoted(&argument.span);
        Err(ConditionFault::new(
            argument.span.clone(),
            format!("`count` takes units of capacity, {shown} is {}", measure.phrase()),
            "for the number of instances of an input write `instances(x)`",
        ))
    }

    fn extreme(
        &mut self,
        call: Call<'_, '_>,
        build: fn(Vec<Number>) -> Number,
    ) -> Checks<Measured> {
        let Function { name, form, .. } = call.function;
        let [first, rest @ ..] = call.arguments else { return self.too_few(call) };
        if rest.is_empty() {
            let argument = self.piece(&first.span);
            let is_instances = matches!(first.syntax, Syntax::Name(name)
                if matches!(self.environment.get(name), Some(Kind::Instances(_))));
            let hint = match (is_instances, *name) {
                (true, "max") => format!("over instances write `worst({argument})`"),
                (true, _) => format!("over instances write `lowest({argument})`"),
                (false, _) => format!("write for example `{form}`"),
            };
            let message = format!("`{name}` takes 2 to 16 numbers, there is 1");
            return Err(ConditionFault::new(call.whole.span.clone(), message, hint));
        }
        let mut numbers = Vec::with_capacity(call.arguments.len());
        for argument in call.arguments {
            numbers.push((argument, self.number(argument)?));
        }
        // All need the unit of the first that has one.
        let with_unit = numbers.iter().position(|(_, it)| it.measure != Measure::Plain);
        let mut measure = Measure::Plain;
        if let Some((of, reference)) = with_unit.and_then(|at| numbers.get(at)) {
            for (argument, number) in &numbers {
                measure = self.common(name, (of, reference), (argument, number))?;
            }
        }
        let parts = numbers.into_iter().map(|(_, it)| it.compiled).collect();
        Ok(Measured { compiled: build(parts), measure })
    }

    fn too_few<T>(&self, call: Call<'_, '_>) -> Checks<T> {
        let Function { name, form, .. } = call.function;
        Err(ConditionFault::new(
            call.whole.span.clone(),
            format!("`{name}` takes 2 to 16 numbers, there are none"),
            format!("write for example `{form}`"),
        ))
    }

    fn known(&mut self, call: Call<'_, '_>) -> Checks<Boolean> {
        let [argument] = self.exactly(call)?;
        let name = self.bare_name(call, argument)?;
        Ok(match self.kind(name, &argument.span)? {
            Kind::Number(_) => Boolean::KnownNumber(name.to_owned()),
            Kind::Instances(_) => Boolean::KnownInstances(name.to_owned()),
        })
    }

    fn bare_name<'t>(&self, call: Call<'_, '_>, argument: &Expression<'t>) -> Checks<&'t str> {
        if let Syntax::Name(name) = argument.syntax {
            return Ok(name);
        }
        let Function { name, form, .. } = call.function;
        Err(ConditionFault::new(
            argument.span.clone(),
            format!("`{name}` takes a name, {} is more than that", self.quoted(&argument.span)),
            format!("write for example `{form}`, once per name"),
        ))
    }

    fn summary(&mut self, call: Call<'_, '_>, summary: Summary) -> Checks<Measured> {
        let [argument] = self.exactly(call)?;
        let name = self.bare_name(call, argument)?;
        let unit = self.instances(call.function.name, name, &argument.span)?;
        let unit = match summary {
            Summary::Count => Unit::Count,
            Summary::Worst | Summary::Lowest | Summary::Median | Summary::Mean => unit,
        };
        let compiled = Number::Summary(summary, name.to_owned());
        Ok(Measured { compiled, measure: Measure::In(unit) })
    }

    fn outlier_count(&mut self, call: Call<'_, '_>) -> Checks<Measured> {
        let [of, factor] = self.exactly(call)?;
        let name = self.bare_name(call, of)?;
        self.instances(call.function.name, name, &of.span)?;
        let number = self.number(factor)?;
        self.gives(factor, &number, Unit::Ratio)?;
        let compiled = Number::OutlierCount(name.to_owned(), Box::new(number.compiled));
        Ok(Measured { compiled, measure: Measure::In(Unit::Count) })
    }

    fn share_above(&mut self, call: Call<'_, '_>) -> Checks<Measured> {
        let [of, limit] = self.exactly(call)?;
        let name = self.bare_name(call, of)?;
        let unit = self.instances(call.function.name, name, &of.span)?;
        let number = self.number(limit)?;
        self.gives(limit, &number, unit)?;
        let compiled = Number::ShareAbove(name.to_owned(), Box::new(number.compiled));
        Ok(Measured { compiled, measure: Measure::In(Unit::Ratio) })
    }
}

/// Control characters of a string must not reach a terminal.
fn one_line(message: &str) -> String {
    message.chars().map(|it| if it.is_control() { '·' } else { it }).collect()
}
