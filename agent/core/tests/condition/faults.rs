//! What somebody reads who wrote something else than a condition.

use std::fmt::Write as _;

use evenkeel_core::condition::{Condition, Environment, Formula, Unit};
use expect_test::{Expect, expect};

use crate::world::environment;

/// Each line of `texts` with what is said about it.
#[track_caller]
pub(crate) fn check(texts: &str, expected: &Expect) {
    let mut table = String::new();
    for text in texts.lines().map(str::trim).filter(|it| !it.is_empty()) {
        match Condition::parse(text, &environment()) {
            Ok(_) => writeln!(table, "{text}\n  no fault\n"),
            Err(fault) => {
                writeln!(table, "{}\n  {fault}\n  {}\n", fault.caret(text), fault.hint)
            }
        }
        .unwrap();
    }
    expected.assert_eq(&table);
}

#[test]
fn a_name_or_function_that_is_not_there_is_a_fault_with_the_nearest_one() {
    check(
        r#"
        eror_ratio > 0.1
        true || eror_ratio > 0.1
        params.slow > 0.1
        slow_ratio > 0.1
        xyz > 0.1
        worst > 0.1
        wurst(slow) > duration("1s")
        slow.worst() > duration("1s")
        slow.all(x, x < 1)
        has(latency)
        size(slow) > 3
        latency(5) > 1
        frobnicate(latency) > 1
        known(worst(slow))
        known(latencyy)
        params.slow-ratio > 0.1
        "#,
        &expect![[r#"
            eror_ratio > 0.1
            ^^^^^^^^^^
              there is no name `eror_ratio`
              did you mean `error_ratio`?

            true || eror_ratio > 0.1
                    ^^^^^^^^^^
              there is no name `eror_ratio`
              did you mean `error_ratio`?

            params.slow > 0.1
            ^^^^^^^^^^^
              there is no name `params.slow`
              did you mean `params.slow_ratio`?

            slow_ratio > 0.1
            ^^^^^^^^^^
              there is no name `slow_ratio`
              did you mean `error_ratio`?

            xyz > 0.1
            ^^^
              there is no name `xyz`
              the names here are `bill`, `busy`, `disk_free`, `error_ratio`, `errors`, `latency`, `load`, `nobody` and 8 more

            worst > 0.1
            ^^^^^
              there is no name `worst`
              it is a function; write `worst(x)`

            wurst(slow) > duration("1s")
            ^^^^^
              there is no function `wurst`
              did you mean `worst(x)`?

            slow.worst() > duration("1s")
            ^^^^^^^^^^
              `slow.worst` is not a function; there are no methods
              write `worst(slow)`

            slow.all(x, x < 1)
            ^^^^^^^^
              `slow.all` is not a function; there are no methods
              the functions are duration, rps, percent, usd_per_hour, usd, bytes, count, abs, min, max, known, instances, worst, lowest, median, mean, outlier_count, share_above

            has(latency)
            ^^^
              there is no function `has`
              write `known(latency)`

            size(slow) > 3
            ^^^^
              there is no function `size`
              write `instances(slow)`

            latency(5) > 1
            ^^^^^^^
              there is no function `latency`
              `latency` is a value; write `latency` alone, or `latency * (…)`

            frobnicate(latency) > 1
            ^^^^^^^^^^
              there is no function `frobnicate`
              the functions are duration, rps, percent, usd_per_hour, usd, bytes, count, abs, min, max, known, instances, worst, lowest, median, mean, outlier_count, share_above

            known(worst(slow))
                  ^^^^^^^^^^^
              `known` takes a name, `worst(slow)` is more than that
              write for example `known(x)`, once per name

            known(latencyy)
                  ^^^^^^^^
              there is no name `latencyy`
              did you mean `latency`?

            params.slow-ratio > 0.1
            ^^^^^^^^^^^
              there is no name `params.slow`
              did you mean `params.slow_ratio`?

        "#]],
    );
}

#[test]
fn units_that_do_not_fit_are_faults_that_say_what_to_write() {
    check(
        r#"
        latency > 0.5
        90 < latency
        latency > 1.25
        0.5 < latency + 3
        load < 100
        spend > 3 * 4
        bill > -5
        disk_free < 1024
        disk_free < 10737418240
        error_ratio > latency
        latency + load > rps(1)
        latency * load > 1
        error_ratio / latency > 1
        1 / latency > 1
        target.ready < instances(slow)
        requests < target.ready
        min(latency, 5) > duration("1s")
        max(1, 2, latency) > duration("1s")
        rps(latency) > rps(1)
        rps(load) > rps(1)
        percent(error_ratio) > 0.1
        error_ratio / 0 > 1
        share_above(slow, 0.5) > 0.1
        outlier_count(slow, latency) > 1
        error_ratio > 0.1 ? latency : load
        count(latency) > 1
        "#,
        &expect![[r#"
            latency > 0.5
                      ^^^
              `latency` is in seconds, `0.5` has no unit
              write `duration("500ms")`

            90 < latency
            ^^
              `latency` is in seconds, `90` has no unit
              write `duration("90s")`

            latency > 1.25
                      ^^^^
              `latency` is in seconds, `1.25` has no unit
              write `duration("1s250ms")`

            0.5 < latency + 3
                            ^
              `latency` is in seconds, `3` has no unit
              write `duration("3s")`

            load < 100
                   ^^^
              `load` is in rps, `100` has no unit
              write `rps(100)`

            spend > 3 * 4
                    ^^^^^
              `spend` is in usd per hour, `3 * 4` has no unit
              write `usd_per_hour(3 * 4)`

            bill > -5
                   ^^
              `bill` is in usd, `-5` has no unit
              write `usd(-5)`

            disk_free < 1024
                        ^^^^
              `disk_free` is in bytes, `1024` has no unit
              write `bytes("1Ki")`

            disk_free < 10737418240
                        ^^^^^^^^^^^
              `disk_free` is in bytes, `10737418240` has no unit
              write `bytes("10Gi")`

            error_ratio > latency
            ^^^^^^^^^^^^^^^^^^^^^
              `error_ratio` is a ratio, `latency` is in seconds: `>` needs one unit
              compare and add only what has one unit; a ratio comes from dividing

            latency + load > rps(1)
            ^^^^^^^^^^^^^^
              `latency` is in seconds, `load` is in rps: `+` needs one unit
              compare and add only what has one unit; a ratio comes from dividing

            latency * load > 1
            ^^^^^^^^^^^^^^
              `latency` is in seconds, `load` is in rps: `*` of them has no unit here
              one side of `*` is a ratio, a count or a bare number

            error_ratio / latency > 1
            ^^^^^^^^^^^^^^^^^^^^^
              `error_ratio` is a ratio, `latency` is in seconds: `/` of them has no unit here
              divide by a ratio, a count, or a number of the same unit

            1 / latency > 1
            ^^^^^^^^^^^
              `1` is a bare number, `latency` is in seconds: `/` of them has no unit here
              divide by a ratio, a count, or a number of the same unit

            target.ready < instances(slow)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              `target.ready` is in units of capacity, `instances(slow)` is a count: `<` needs one unit
              write `count(target.ready)`

            requests < target.ready
            ^^^^^^^^^^^^^^^^^^^^^^^
              `requests` is a count, `target.ready` is in units of capacity: `<` needs one unit
              write `count(target.ready)`

            min(latency, 5) > duration("1s")
                         ^
              `latency` is in seconds, `5` has no unit
              write `duration("5s")`

            max(1, 2, latency) > duration("1s")
                ^
              `latency` is in seconds, `1` has no unit
              write `duration("1s")`

            rps(latency) > rps(1)
                ^^^^^^^
              `rps` gives a bare number its unit, `latency` is in seconds already
              write a bare number, for example `rps(10)`

            rps(load) > rps(1)
                ^^^^
              `rps` gives a bare number its unit, `load` is in rps already
              write `load` alone

            percent(error_ratio) > 0.1
                    ^^^^^^^^^^^
              `percent` gives a bare number its unit, `error_ratio` is a ratio already
              write `error_ratio` alone

            error_ratio / 0 > 1
                          ^
              a division by zero is never known
              divide by something else

            share_above(slow, 0.5) > 0.1
                              ^^^
              `0.5` has no unit, a number in seconds is needed
              write `duration("500ms")`

            outlier_count(slow, latency) > 1
                                ^^^^^^^
              `latency` is in seconds, a number that is a ratio is needed
              divide two numbers of one unit for a ratio; multiply by a ratio to scale

            error_ratio > 0.1 ? latency : load
                                ^^^^^^^^^^^^^^
              `latency` is in seconds, `load` is in rps: `? :` needs one unit
              compare and add only what has one unit; a ratio comes from dividing

            count(latency) > 1
                  ^^^^^^^
              `count` takes units of capacity, `latency` is in seconds
              for the number of instances of an input write `instances(x)`

        "#]],
    );
}

#[test]
fn truth_and_numbers_are_not_mixed() {
    check(
        r#"
        error_ratio
        5
        latency
        error_ratio && true
        !error_ratio
        (error_ratio > 0.1) == true
        known(latency) == false
        known(latency) != true
        known(latency) == known(load)
        known(latency) > 0
        error_ratio + (1 < 2) > 1
        error_ratio == 0.05
        latency != duration("1s")
        error_ratio > 0.1 ? 1 : true
        slow > duration("1s")
        worst(latency) > duration("1s")
        max(slow) > duration("1s")
        max(latency) > duration("1s")
        instances(worst(slow)) > 1
        "#,
        &expect![[r#"
            error_ratio
            ^^^^^^^^^^^
              `error_ratio` is a ratio, not true or false
              compare it, for example `percent(5) < error_ratio`

            5
            ^
              `5` is a bare number, not true or false
              compare it, for example `error_ratio < 5`

            latency
            ^^^^^^^
              `latency` is in seconds, not true or false
              compare it, for example `duration("30s") < latency`

            error_ratio && true
            ^^^^^^^^^^^
              `error_ratio` is a ratio, not true or false
              compare it, for example `percent(5) < error_ratio`

            !error_ratio
             ^^^^^^^^^^^
              `error_ratio` is a ratio, not true or false
              compare it, for example `percent(5) < error_ratio`

            (error_ratio > 0.1) == true
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              `==` compares numbers; both sides here are true or false
              write `(error_ratio > 0.1)` alone

            known(latency) == false
            ^^^^^^^^^^^^^^^^^^^^^^^
              `==` compares numbers; both sides here are true or false
              write `!known(latency)`

            known(latency) != true
            ^^^^^^^^^^^^^^^^^^^^^^
              `!=` compares numbers; both sides here are true or false
              write `!known(latency)`

            known(latency) == known(load)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              `==` compares numbers; both sides here are true or false
              join truth values with `&&`, `||` and `!`

            known(latency) > 0
            ^^^^^^^^^^^^^^
              `known(latency)` is true or false, `>` compares numbers
              write a number there, or join conditions with `&&`, `||` and `!`

            error_ratio + (1 < 2) > 1
                          ^^^^^^^
              `(1 < 2)` is true or false where a number is needed
              to use it as a number write `(1 < 2) ? 1 : 0`

            error_ratio == 0.05
            ^^^^^^^^^^^^^^^^^^^
              `error_ratio` is a ratio; measured values are hardly ever exactly equal
              write `<=` or `>=`, or how near is near enough: `abs(error_ratio - 0.05) < percent(0.1)`

            latency != duration("1s")
            ^^^^^^^^^^^^^^^^^^^^^^^^^
              `latency` is in seconds; measured values are hardly ever exactly equal
              write `<=` or `>=`, or how near is near enough: `abs(latency - duration("1s")) < duration("10ms")`

            error_ratio > 0.1 ? 1 : true
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              one branch is true or false, the other is a number
              write two conditions or two numbers around `:`

            slow > duration("1s")
            ^^^^
              `slow` has one value per instance, one number is needed
              write `worst(slow)`, `lowest(slow)`, `median(slow)`, `mean(slow)`, `outlier_count(slow, 3)` or `share_above(slow, limit)`

            worst(latency) > duration("1s")
                  ^^^^^^^
              `latency` is one number, `worst` takes a name with one value per instance
              such names are `busy`, `errors`, `nobody`, `slow`

            max(slow) > duration("1s")
            ^^^^^^^^^
              `max` takes 2 to 16 numbers, there is 1
              over instances write `worst(slow)`

            max(latency) > duration("1s")
            ^^^^^^^^^^^^
              `max` takes 2 to 16 numbers, there is 1
              write for example `max(a, b)`

            instances(worst(slow)) > 1
                      ^^^^^^^^^^^
              `instances` takes a name, `worst(slow)` is more than that
              write for example `instances(x)`, once per name

        "#]],
    );
}

#[test]
fn bounds_are_faults_and_never_a_stack_overflow() {
    let mut table = String::new();
    let many = |piece: &str, n: usize| piece.repeat(n);
    let texts = [
        String::new(),
        "  \n ".to_owned(),
        many("(", 1_999),
        many("!", 1_999),
        many("-", 1_999),
        many("abs(", 499),
        many("true?true:", 199),
        format!("{}true{}", many("(", 32), many(")", 32)),
        format!("{}true{}", many("(", 33), many(")", 33)),
        format!("{}true", many("true&&", 99)),
        format!("{}true", many("true&&", 100)),
        format!("max({}1) > 1", many("1,", 15)),
        format!("max({}1) > 1", many("1,", 16)),
        format!("duration(\"{}\") > latency", many("1", 65)),
        many("a", 2_001),
        many("a", 2_000),
        many("€", 600),
    ];
    for text in &texts {
        let start: String = text.chars().take(12).collect();
        let said = match Condition::parse(text, &environment()) {
            Ok(condition) => format!("{} parts", condition.n_nodes()),
            Err(fault) => format!("{:?}: {fault}; {}", fault.offset, fault.hint),
        };
        writeln!(table, "{start:?} {}: {said}", text.len()).unwrap();
    }
    expect![[r#"
        "" 0: 0..0: the text is empty; write for example `params.limit < error_ratio`
        "  \n " 4: 0..0: the text is empty; write for example `params.limit < error_ratio`
        "((((((((((((" 1999: 33..34: this is nested more than 32 levels deep; split it into several conditions
        "!!!!!!!!!!!!" 1999: 33..34: this is nested more than 32 levels deep; split it into several conditions
        "------------" 1999: 33..34: this is nested more than 32 levels deep; split it into several conditions
        "abs(abs(abs(" 1996: 132..135: this is nested more than 32 levels deep; split it into several conditions
        "true?true:tr" 1990: 325..329: this is nested more than 32 levels deep; split it into several conditions
        "((((((((((((" 68: 1 parts
        "((((((((((((" 70: 33..37: this is nested more than 32 levels deep; split it into several conditions
        "true&&true&&" 598: 199 parts
        "true&&true&&" 604: 0..604: there are more than 200 parts; split it into several conditions, or compute a part in a query
        "max(1,1,1,1," 40: 19 parts
        "max(1,1,1,1," 42: 36..37: a function takes at most 16 arguments; nest two calls, or compute this in a query
        "duration(\"11" 87: 9..76: this text has 65 bytes, at most 64 are possible; texts are only for `duration("5m")` and `bytes("10Gi")`
        "aaaaaaaaaaaa" 2001: 0..0: the text has 2001 bytes, at most 2000 are possible; move a part of it into the query of an input
        "aaaaaaaaaaaa" 2000: 0..2000: there is no name `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…`; the names here are `bill`, `busy`, `disk_free`, `error_ratio`, `errors`, `latency`, `load`, `nobody` and 8 more
        "€€€€€€€€€€€€" 1800: 0..3: '€' is not in the language; names are letters, digits and `_`
    "#]].assert_eq(&table);
}

#[test]
fn the_caret_finds_its_place_in_long_and_in_several_lines() {
    let long =
        format!("{}latancy > 1 || {}", "true || ".repeat(20), "false || ".repeat(20) + "false");
    let texts = ["error_ratio > 0.1 &&\n  latancy > 1", "true\t&& é", &long, "true &&\u{1b}"];
    let mut table = String::new();
    for text in texts {
        let fault = Condition::parse(text, &environment()).unwrap_err();
        writeln!(table, "{}\n  {fault}\n  {}\n", fault.caret(text), fault.hint).unwrap();
    }
    expect![[r#"
          latancy > 1
          ^^^^^^^
          there is no name `latancy`
          did you mean `latency`?

        true·&& é
                ^
          'é' is not in the language
          names are letters, digits and `_`

        … true || true || true || true || latancy > 1 || false || false || false || false || false || false |…
                                          ^^^^^^^
          there is no name `latancy`
          did you mean `latency`?

        true &&·
               ^
          '\u{1b}' is not in the language
          names are letters, digits and `_`

    "#]].assert_eq(&table);
}

#[test]
fn a_formula_says_which_unit_is_needed() {
    let mut table = String::new();
    let cases = [
        ("5", Unit::Rps),
        ("0.5", Unit::Seconds),
        ("latency", Unit::Rps),
        ("error_ratio > 1", Unit::Ratio),
        ("slow", Unit::Seconds),
        ("load", Unit::Units),
    ];
    for (text, unit) in cases {
        let fault = Formula::parse(text, &environment(), unit).unwrap_err();
        writeln!(table, "{}\n  {fault}\n  {}\n", fault.caret(text), fault.hint).unwrap();
    }
    expect![[r#"
        5
        ^
          `5` has no unit, a number in rps is needed
          write `rps(5)`

        0.5
        ^^^
          `0.5` has no unit, a number in seconds is needed
          write `duration("500ms")`

        latency
        ^^^^^^^
          `latency` is in seconds, a number that is in rps is needed
          divide two numbers of one unit for a ratio; multiply by a ratio to scale

        error_ratio > 1
        ^^^^^^^^^^^^^^^
          `error_ratio > 1` is true or false where a number is needed
          to use it as a number write `(error_ratio > 1) ? 1 : 0`

        slow
        ^^^^
          `slow` has one value per instance, one number is needed
          write `worst(slow)`, `lowest(slow)`, `median(slow)`, `mean(slow)`, `outlier_count(slow, 3)` or `share_above(slow, limit)`

        load
        ^^^^
          `load` is in rps, a number that is in units of capacity is needed
          divide two numbers of one unit for a ratio; multiply by a ratio to scale

    "#]].assert_eq(&table);
}

#[test]
fn without_names_the_hint_says_to_declare_one() {
    let fault = Condition::parse("x > 1", &Environment::new()).unwrap_err();
    assert_eq!(fault.hint, "declare it as an input or parameter");
}
