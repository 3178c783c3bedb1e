//! The same expression by CEL itself.
//!
//! Where ours is defined, CEL must give the same. The other way round there are four
//! differences, all wanted: we refuse more (types, units, names), a division by zero is
//! unknown and not infinite, `known(x)` exists, and a number without a point is a number
//! like others, where CEL has integers that do not mix with doubles (so the generator
//! always writes a point).

#![expect(clippy::disallowed_types, reason = "CEL takes its maps so; nothing iterates")]

use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Program, Value};
use evenkeel_core::condition::{Condition, Formula, Truth, Unit};

use crate::expressions::{DURATIONS, SIZES, Writer};
use crate::world::{Chance, NUMBERS, World, environment};

/// Per test; each is a condition and a formula. Why 4,000: CEL's parser takes half of
/// a millisecond unoptimised, and nearly all of them are well-typed.
const CASES: u64 = 4_000;

/// The names as CEL variables; `group.name` is a field of a map.
fn context(world: &World) -> Context<'static, 'static> {
    let mut context = Context::default();
    let mut groups: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for (name, value) in &world.numbers {
        match name.split_once('.') {
            None => context.add_variable_from_value(name.as_str(), *value),
            Some((group, field)) => {
                groups.entry(group.to_owned()).or_default().insert(field.to_owned(), *value);
            }
        }
    }
    for (group, fields) in groups {
        context.add_variable_from_value(group, fields);
    }
    for name in ["rps", "usd", "usd_per_hour", "count"] {
        context.add_function(name, |it: f64| it).unwrap();
    }
    context.add_function("percent", |it: f64| it / 100.0).unwrap();
    context.add_function("abs", f64::abs).unwrap();
    context.add_function("min", cel::functions::min).unwrap();
    context.add_function("max", cel::functions::max).unwrap();
    context.add_function("duration", |it: Arc<String>| literal(&DURATIONS, &it)).unwrap();
    context.add_function("bytes_", |it: Arc<String>| literal(&SIZES, &it)).unwrap();
    context
}

fn literal(of: &[(&str, f64)], text: &str) -> f64 {
    of.iter().find(|(it, _)| *it == text).unwrap().1
}

/// The usual values, moved so that comparisons come out both ways.
fn world(chance: &mut Chance) -> World {
    let mut world = World::usual();
    for value in world.numbers.values_mut() {
        *value *= *chance.choose(&[-1.0, 0.0, 0.3, 0.7, 1.0, 1.0, 1.5, 4.0]);
    }
    world
}

#[derive(Debug, Default)]
struct Tally {
    n_true: u32,
    n_false: u32,
    n_numbers: u32,
    n_refused: u32,
    n_unknown: u32,
    n_only_ours: u32,
}

fn evaluate(text: &str, context: &Context<'_, '_>) -> Result<Value, String> {
    // CEL has a `bytes` of its own, which makes byte strings.
    let text = &text.replace("bytes(", "bytes_(");
    let program = Program::compile(text).unwrap_or_else(|error| {
        panic!("ours accepts what CEL cannot read: {text}\n{error}");
    });
    program.execute(context).map_err(|error| error.to_string())
}

/// One random condition and one random formula.
fn compare(seed: u64, n_missing: usize, tally: &mut Tally) {
    let mut chance = Chance(seed);
    let mut world = world(&mut chance);
    for _ in 0..n_missing {
        world = world.without(chance.choose(&NUMBERS).0);
    }
    let context = context(&world);
    let depth = 1 + chance.below(4);
    let unit = *chance.choose(&Unit::ALL);
    let mut writer =
        Writer { chance: &mut chance, with_instances: false, with_known: false, wrong_percent: 0 };
    let text = writer.boolean(depth);
    let number = writer.number(unit, depth);

    match Condition::parse(&text, &environment()).map(|it| it.truth(&world)) {
        Err(_) => tally.n_refused += 1,
        Ok(Truth::Unknown) => tally.n_unknown += 1,
        Ok(ours) => match evaluate(&text, &context) {
            Ok(Value::Bool(theirs)) => {
                assert_eq!(ours, Truth::from(theirs), "{text}\n{:?}", world.numbers);
                if theirs { tally.n_true += 1 } else { tally.n_false += 1 }
            }
            Ok(other) => panic!("{text} is {other:?} for CEL"),
            Err(error) if n_missing == 0 => panic!("{text}: {error}\n{:?}", world.numbers),
            Err(_) => tally.n_only_ours += 1,
        },
    }
    match Formula::parse(&number, &environment(), unit).map(|it| it.value(&world)) {
        Err(_) => tally.n_refused += 1,
        Ok(None) => tally.n_unknown += 1,
        Ok(Some(ours)) => match evaluate(&number, &context) {
            Ok(Value::Float(theirs)) => {
                let is_same = ours <= theirs && theirs <= ours;
                assert!(is_same, "{number}: {ours} {theirs}\n{:?}", world.numbers);
                tally.n_numbers += 1;
            }
            Ok(other) => panic!("{number} is {other:?} for CEL"),
            Err(error) => panic!("{number}: {error}"),
        },
    }
}

#[test]
fn conditions_and_formulas_agree_with_cel() {
    let mut tally = Tally::default();
    for seed in 0..CASES {
        compare(seed, 0, &mut tally);
    }
    assert!(1_000 < tally.n_true && 1_000 < tally.n_false, "{tally:?}");
    assert!(3_000 < tally.n_numbers, "{tally:?}");
    assert_eq!(tally.n_only_ours, 0, "{tally:?}");
}

#[test]
fn with_names_missing_what_is_still_decided_agrees_with_cel() {
    let mut tally = Tally::default();
    for seed in CASES..CASES + CASES / 2 {
        compare(seed, 4, &mut tally);
    }
    assert!(200 < tally.n_true && 200 < tally.n_false && 500 < tally.n_unknown, "{tally:?}");
    assert_eq!(tally.n_only_ours, 0, "CEL's `&&` and `||` absorb errors too: {tally:?}");
}

#[test]
fn the_known_differences_are_still_there() {
    let context = context(&World::usual());
    // A typo is an error only when CEL comes to it.
    assert_eq!(evaluate("true || typo", &context), Ok(Value::Bool(true)));
    assert!(Condition::parse("true || typo", &environment()).is_err());
    // Seconds and rates are numbers alike.
    assert_eq!(evaluate("latency < load", &context), Ok(Value::Bool(true)));
    assert!(Condition::parse("latency < load", &environment()).is_err());
    // Integers do not mix with doubles; ours has one kind of number.
    assert!(evaluate("requests + 1 > 5.0", &context).is_err());
    let ours = Condition::parse("requests + 1 > 5", &environment()).unwrap();
    assert_eq!(ours.truth(&World::usual()), Truth::True);
    // And divide without a remainder.
    assert_eq!(evaluate("7 / 2 == 3", &context), Ok(Value::Bool(true)));
    let ours = Condition::parse("7 / 2 == 3", &environment()).unwrap();
    assert_eq!(ours.truth(&World::usual()), Truth::False);
    // A division by zero is infinite, and larger than everything.
    let text = "latency / (latency - latency) > error_ratio";
    assert_eq!(evaluate(text, &context), Ok(Value::Bool(true)));
    let ours = Condition::parse(text, &environment()).unwrap();
    assert_eq!(ours.truth(&World::usual()), Truth::Unknown);
}
