//! Laws that hold for every condition and every text.

use evenkeel_core::condition::{Condition, Formula, Truth, Unit};
use proptest::prelude::*;

use crate::any_text;
use crate::expressions::Writer;
use crate::world::{Chance, INSTANCES, NUMBERS, World, environment, instances};

const TRUTHS: [Truth; 3] = [Truth::True, Truth::False, Truth::Unknown];

#[test]
fn kleenes_laws_hold() {
    for a in TRUTHS {
        assert_eq!(!!a, a);
        assert_eq!(a.and(a), a);
        assert_eq!(a.or(a), a);
        assert_eq!(a.and(Truth::True), a);
        assert_eq!(a.or(Truth::False), a);
        assert_eq!(a.and(Truth::False), Truth::False);
        assert_eq!(a.or(Truth::True), Truth::True);
        for b in TRUTHS {
            assert_eq!(a.and(b), b.and(a));
            assert_eq!(a.or(b), b.or(a));
            assert_eq!(!a.and(b), (!a).or(!b));
            assert_eq!(a.and(a.or(b)), a);
            for c in TRUTHS {
                assert_eq!(a.and(b).and(c), a.and(b.and(c)));
                assert_eq!(a.or(b).or(c), a.or(b.or(c)));
                assert_eq!(a.and(b.or(c)), a.and(b).or(a.and(c)));
            }
        }
    }
    assert_eq!(Truth::Unknown.or(!Truth::Unknown), Truth::Unknown, "no excluded middle");
}

/// A condition from a seed; `None` when types did not fit without its parentheses.
fn condition(seed: u64, with_known: bool) -> Option<Condition> {
    let mut chance = Chance(seed);
    let depth = 1 + chance.below(3);
    let mut writer =
        Writer { chance: &mut chance, with_instances: true, with_known, wrong_percent: 0 };
    Condition::parse(&writer.boolean(depth), &environment()).ok()
}

/// The usual values moved a little, and only some of them known.
fn world(seed: u64, known_percent: usize) -> World {
    let mut chance = Chance(seed);
    let mut world = World::usual();
    for value in world.numbers.values_mut() {
        *value *= *chance.choose(&[-1.0, 0.0, 0.1, 0.5, 1.0, 1.0, 2.0, 10.0]);
    }
    let names = NUMBERS.iter().chain(&[]).map(|it| it.0);
    for name in names.chain(INSTANCES.iter().map(|it| it.0)) {
        if !chance.percent(known_percent) {
            world = world.without(name);
        }
    }
    world
}

proptest! {
    // To learn more may settle what was open, and never turns what was settled.
    #[test]
    fn to_know_more_never_turns_the_answer(seed: u64, values: u64, percent in 0usize..100) {
        // Several conditions per case: most do not depend on what is left out.
        for nth in 0..16 {
            let Some(condition) = condition(seed.wrapping_add(nth), false) else { continue };
            let all = world(values, 100);
            let mut some = all.clone();
            let mut chance = Chance(values ^ seed);
            for name in condition.names() {
                if !chance.percent(percent) {
                    some = some.without(name);
                }
            }
            let (before, after) = (condition.truth(&some), condition.truth(&all));
            let is_kept = before == Truth::Unknown || before == after;
            prop_assert!(is_kept, "{condition:?}: {before}, then {after}");
        }
    }

    #[test]
    fn a_condition_reads_back_from_what_it_is_stored_as(seed: u64, values: u64) {
        let Some(condition) = condition(seed, true) else { return Ok(()) };
        let stored = serde_json::to_string(&condition).unwrap();
        let read: Condition = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&read, &condition);
        prop_assert_eq!(read.n_nodes(), condition.n_nodes());
        let world = world(values, 70);
        prop_assert_eq!(read.truth(&world), condition.truth(&world));
        prop_assert_eq!(read.show(&world), condition.show(&world));
    }

    #[test]
    fn a_typo_in_a_name_is_always_a_fault(seed: u64, at: prop::sample::Index, to in "[a-z_]") {
        let Some(condition) = condition(seed, true) else { return Ok(()) };
        let environment = environment();
        let names: Vec<&str> = condition.names().collect();
        let Some(name) = (!names.is_empty()).then(|| names[at.index(names.len())]) else {
            return Ok(());
        };
        let place = at.index(name.len());
        let mut typo = name.to_owned();
        typo.replace_range(place..=place, &to);
        if environment.get(&typo).is_some() || typo == "true" || typo == "false" {
            return Ok(());
        }
        let text = condition.text().replace(name, &typo);
        let fault = Condition::parse(&text, &environment);
        prop_assert!(fault.is_err(), "{text}");
    }

    // The slow way: sort, and for outliers take each value out.
    #[test]
    fn summaries_are_what_sorting_gives(
        values in prop::collection::vec(prop::sample::select(&[0.0, 0.1, 0.1, 0.2, 0.5, 3.0, -1.0][..]), 1..12),
        factor in prop::sample::select(&[0.5, 1.0, 2.0, 3.0][..]),
    ) {
        let median = |of: &[f64]| {
            let mut sorted = of.to_vec();
            sorted.sort_by(f64::total_cmp);
            let mid = sorted.len() / 2;
            if sorted.len() % 2 == 1 { sorted[mid] } else { (sorted[mid - 1] + sorted[mid]) / 2.0 }
        };
        let outliers = (0..values.len()).filter(|at| {
            let mut others = values.clone();
            let value = others.remove(*at);
            factor * median(&others) < value
        });
        let expected = [
            ("median(slow)".to_owned(), Unit::Seconds, Some(median(&values))),
            ("worst(slow)".to_owned(), Unit::Seconds, values.iter().copied().reduce(f64::max)),
            ("lowest(slow)".to_owned(), Unit::Seconds, values.iter().copied().reduce(f64::min)),
            (
                format!("outlier_count(slow, {factor})"),
                Unit::Count,
                (3 <= values.len()).then(|| u32::try_from(outliers.count()).unwrap().into()),
            ),
        ];
        let mut world = World::default();
        world.instances.insert("slow".to_owned(), instances(&values));
        for (text, unit, expected) in expected {
            let formula = Formula::parse(&text, &environment(), unit).unwrap();
            let (found, wanted) = (formula.value(&world), expected);
            let is_same = match (found, wanted) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-12,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            prop_assert!(is_same, "{text}: {found:?}, by sorting {wanted:?}, of {values:?}");
        }
    }

    #[test]
    fn soup_of_characters_gets_a_fault_or_a_value(text in any::<String>()) {
        any_text::check(&text, &any_text::environment());
    }

    #[test]
    fn soup_of_ascii_gets_a_fault_or_a_value(text in "[ -~\n\t]{0,80}") {
        any_text::check(&text, &any_text::environment());
    }

    #[test]
    fn soup_of_words_gets_a_fault_or_a_value(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..40),
        space in prop::sample::select(&["", " "][..]),
    ) {
        any_text::check(&words.join(space), &any_text::environment());
    }
}

const WORDS: &[&str] = &[
    "error_ratio",
    "params.limit",
    "latency",
    "load",
    "target.ready",
    "slow",
    "nothing",
    "true",
    "false",
    "0.5",
    "3",
    "1e3",
    "\"5m\"",
    "\"",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "(",
    ")",
    "(",
    ")",
    ",",
    "?",
    ":",
    "duration(\"5m\")",
    "rps(10)",
    "worst(slow)",
    "known(latency)",
    "min(",
    "max(",
    "abs(",
    "in",
    "and",
    ".",
    "[",
    "%",
    "'",
    "€",
    "\u{1b}",
    "\n",
];

#[test]
fn what_is_stored_is_text_and_types_and_is_checked_when_read() {
    let condition = Condition::parse("error_ratio > 0.1 && known(slow)", &environment()).unwrap();
    let stored = serde_json::to_string(&condition).unwrap();
    expect_test::expect![[r#"{"text":"error_ratio > 0.1 && known(slow)","names":{"error_ratio":{"number":"ratio"},"slow":{"instances":"seconds"}}}"#]].assert_eq(&stored);
    let formula = Formula::parse("load / 2", &environment(), Unit::Rps).unwrap();
    let stored_formula = serde_json::to_string(&formula).unwrap();
    expect_test::expect![[r#"{"text":"load / 2","names":{"load":{"number":"rps"}},"unit":"rps"}"#]]
        .assert_eq(&stored_formula);
    assert_eq!(serde_json::from_str::<Formula>(&stored_formula).unwrap(), formula);

    let mut errors = String::new();
    for (from, to) in [
        ("error_ratio > 0.1", "error_rati > 0.1"),
        ("error_ratio > 0.1", "(error_ratio > 0.1"),
        ("ratio\"}", "seconds\"}"),
        ("\"names\"", "\"extra\":1,\"names\""),
        ("instances", "vectors"),
    ] {
        let bad = stored.replace(from, to);
        assert_ne!(bad, stored);
        let error = serde_json::from_str::<Condition>(&bad).unwrap_err();
        errors.push_str(&format!("{error}\n"));
    }
    let bad = stored_formula.replace("\"unit\":\"rps\"", "\"unit\":\"usd\"");
    errors.push_str(&serde_json::from_str::<Formula>(&bad).unwrap_err().to_string());
    expect_test::expect![[r#"
        there is no name `error_rati`
        this `(` has no `)`
        `error_ratio` is in seconds, `0.1` has no unit
        unknown field `extra`, expected `text` or `names` at line 1 column 50
        unknown variant `vectors`, expected `number` or `instances` at line 1 column 102
        `load / 2` is in rps, a number that is in usd is needed"#]]
    .assert_eq(&errors);
}

/// The literals of one unit, doubled.
fn doubled(text: &str, unit: Unit) -> String {
    let pairs: &[(&str, &str)] = match unit {
        Unit::Rps => &[("rps(", "rps(2 * ")],
        Unit::UsdPerHour => &[("usd_per_hour(", "usd_per_hour(2 * ")],
        Unit::Usd => &[("usd(", "usd(2 * ")],
        Unit::Seconds => &[
            ("\"1s\"", "\"2s\""),
            ("500ms", "1s"),
            ("90s", "180s"),
            ("5m\"", "10m\""),
            ("1h30m", "3h"),
        ],
        Unit::Bytes => &[("512", "1024"), ("4k", "8k"), ("1Mi", "2Mi"), ("20Gi", "40Gi")],
        Unit::Ratio | Unit::Count | Unit::Units => &[],
    };
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

// Whether a latency is measured in seconds or in half seconds changes no answer, if
// units were checked rightly. Doubling is exact, so answers are compared exactly.
#[test]
fn no_answer_depends_on_how_large_a_unit_is() {
    let (mut n_refused, mut n_known) = (0, 0);
    for seed in 0..40_000 {
        let mut chance = Chance(seed);
        let depth = 1 + chance.below(3);
        let wrong_percent = *chance.choose(&[0, 5, 20]);
        let mut writer =
            Writer { chance: &mut chance, with_instances: true, with_known: true, wrong_percent };
        let text = writer.boolean(depth);
        let Ok(condition) = Condition::parse(&text, &environment()) else {
            n_refused += 1;
            continue;
        };
        let small = world(seed, 90);
        let answer = condition.truth(&small);
        for unit in Unit::ALL {
            if matches!(unit, Unit::Ratio | Unit::Count | Unit::Units) {
                continue;
            }
            let mut large = small.clone();
            for (name, value) in &mut large.numbers {
                if condition.kinds().get(name).is_some_and(|it| it.unit() == unit) {
                    *value *= 2.0;
                }
            }
            for (name, values) in &mut large.instances {
                if condition.kinds().get(name).is_some_and(|it| it.unit() == unit) {
                    values.iter_mut().for_each(|(_, value)| *value *= 2.0);
                }
            }
            let other = Condition::parse(&doubled(&text, unit), &environment()).unwrap();
            assert_eq!(answer, other.truth(&large), "{text}\nwith {unit:?} doubled");
        }
        n_known += u32::from(!answer.is_unknown());
    }
    assert!(5_000 < n_refused && 10_000 < n_known, "{n_refused} refused, {n_known} known");
}
