//! What somebody reads who wrote as in another language, or left something out.

use expect_test::expect;

use crate::faults::check;

#[test]
fn habits_of_other_languages_are_understood_and_refused() {
    check(
        r#"
        error_ratio > 5%
        latency > 500ms
        latency > 5m
        disk_free < 10Gi
        load > 10rps
        latency > duration('5m')
        latency > "5m"
        latency > duration("5")
        latency > duration(5)
        latency > duration("5 minutes")
        disk_free < bytes("10 GB")
        load > rps("10")
        target.ready = 7
        error_ratio > 0.1 and true
        error_ratio > 0.1 or true
        not known(latency)
        error_ratio > 0.1 & true
        error_ratio > 0.1 | true
        0.1 < error_ratio < 0.5
        error_ratio <> 0.1
        error_ratio => 0.1
        error_ratio ≥ 0.1
        error_ratio in [0.1]
        errors[0] > 0.1
        load == null
        if error_ratio > 0.1
        True
        errors.foo.bar > 1
        $error_ratio > 1
        {{ error_ratio }} > 1
        error_ratio > 0.1 // too many
        error_ratio > 0x10
        error_ratio > 5.
        error_ratio > 1e999
        requests > 5u
        true ? true ? true : false : false
        "#,
        &expect![[r#"
            error_ratio > 5%
                          ^^
              `5%` is not a number
              write `percent(5)`

            latency > 500ms
                      ^^^^^
              `500ms` is not a number
              write `duration("500ms")`

            latency > 5m
                      ^^
              `5m` is not a number
              write `duration("5m")`

            disk_free < 10Gi
                        ^^^^
              `10Gi` is not a number
              write `bytes("10Gi")`

            load > 10rps
                   ^^^^^
              `10rps` is not a number
              write `rps(10)`

            latency > duration('5m')
                               ^
              a text stands in double quotes
              write `"5m"`

            latency > "5m"
                      ^^^^
              `"5m"` is a text where a value is needed
              write `duration("5m")`

            latency > duration("5")
                               ^^^
              `5` has no unit; write for example `5s` or `5m`
              write for example `duration("5m")`

            latency > duration(5)
                               ^
              `duration` takes a text with a unit in double quotes
              write `duration("5s")`

            latency > duration("5 minutes")
                               ^^^^^^^^^^^
              `5 minutes` is not a duration; write for example `90s`, `5m`, `1h30m` or `2d`
              write for example `duration("5m")`

            disk_free < bytes("10 GB")
                              ^^^^^^^
              `10 GB` is not a size; write for example `512Mi`, `10Gi`, `2G` or `1024`
              write for example `bytes("10Gi")`

            load > rps("10")
                       ^^^^
              `rps` takes a number, not a text
              write `rps(10)`

            target.ready = 7
                         ^
              `=` is not an operator
              write `==` to compare counts, `<=` or `>=` for measured values

            error_ratio > 0.1 and true
                              ^^^
              `and` is not a name
              write `&&`

            error_ratio > 0.1 or true
                              ^^
              `or` is not a name
              write `||`

            not known(latency)
            ^^^
              `not` is not a name
              write `!`, for example `!(a < b)`

            error_ratio > 0.1 & true
                              ^
              `&` is not an operator
              write `&&`

            error_ratio > 0.1 | true
                              ^
              `|` is not an operator
              write `||`

            0.1 < error_ratio < 0.5
                              ^
              comparisons cannot be chained
              write `0.1 < error_ratio && error_ratio < …`

            error_ratio <> 0.1
                        ^^
              `<>` is not an operator
              write `!=`

            error_ratio => 0.1
                        ^^
              `=>` is not an operator
              write `>=`

            error_ratio ≥ 0.1
                        ^
              `≥` is not an operator
              write `>=`

            error_ratio in [0.1]
                        ^^
              `in` is not a name
              compare with `==` and join with `||`

            errors[0] > 0.1
                  ^
              there are no lists and no indexing
              name the value that you need as an input

            load == null
                    ^^^^
              `null` is not a name
              write `known(x)` to ask whether there is a value

            if error_ratio > 0.1
            ^^
              `if` is not a name
              write `condition ? a : b`

            True
            ^^^^
              `True` is not a name
              write `true`

            errors.foo.bar > 1
            ^^^^^^^^^^^^^^
              `errors.foo.bar` has more than one dot
              names are `name` or `group.name`, for example `params.limit`

            $error_ratio > 1
            ^
              `$` is not in the language
              write the name alone, for example `params.limit`

            {{ error_ratio }} > 1
            ^^
              there are no templates
              write the name alone, for example `params.limit`

            error_ratio > 0.1 // too many
                              ^^
              a comment is not possible in a condition
              put it into the document, after a `#`

            error_ratio > 0x10
                          ^^^^
              `0x10` is not a number
              numbers are like `3`, `0.05` and `1e6`; names do not begin with a digit

            error_ratio > 5.
                          ^^
              `5.` is not a number
              digits must follow the point, and a number has one point

            error_ratio > 1e999
                          ^^^^^
              this number is too large
              write one below 1e308

            requests > 5u
                       ^^
              `5u` is not a number
              write `5`; there is only one kind of number

            true ? true ? true : false : false
                        ^
              a choice inside of a choice needs parentheses here
              write `a ? (b ? x : y) : z`

        "#]],
    );
}

#[test]
fn what_is_missing_or_too_much_is_pointed_at() {
    check(
        r#"
        error_ratio >
        > 0.1
        (error_ratio > 0.1
        error_ratio > 0.1)
        error_ratio > 0.1 error_ratio
        max(error_ratio, > 0.1
        max(error_ratio 0.1) > 0
        max() > 1
        abs(1, 2) > 1
        duration() > latency
        error_ratio > 0.1 ? true
        error_ratio > 0.1 : true
        ()
        latency > duration("5m)
        latency > duration("5\u006d")
        params. > 1
        .error_ratio > 1
        error_ratio > 0.1;
        ,
        "#,
        &expect![[r#"
            error_ratio >
                         ^
              the text ends where a value is missing
              write a name, a number or a function after the last operator

            > 0.1
            ^
              a value is missing before `>`
              write a name, a number or a function

            (error_ratio > 0.1
            ^
              this `(` has no `)`
              write the missing `)`

            error_ratio > 0.1)
                             ^
              this `)` has no `(`
              leave it out, or write the missing `(`

            error_ratio > 0.1 error_ratio
                              ^^^^^^^^^^^
              an operator is missing before `error_ratio`
              join two conditions with `&&` or `||`

            max(error_ratio, > 0.1
                             ^
              a value is missing before `>`
              write a name, a number or a function

            max(error_ratio 0.1) > 0
                            ^^^
              `)` or an operator is missing before `0.1`
              write `)` or an operator before it

            max() > 1
            ^^^^^
              `max` takes 2 to 16 numbers, there are none
              write for example `max(a, b)`

            abs(1, 2) > 1
            ^^^^^^^^^
              `abs` takes 1 argument, there are 2
              write for example `abs(a - b)`

            duration() > latency
            ^^^^^^^^^^
              `duration` takes 1 argument, there are 0
              write for example `duration("5m")`

            error_ratio > 0.1 ? true
                                    ^
              `:` is missing at the end
              write `condition ? a : b`

            error_ratio > 0.1 : true
                              ^
              the expression ends before `:`
              leave the rest out, or join it with `&&`

            ()
             ^
              a value is missing before `)`
              write a name, a number or a function

            latency > duration("5m)
                               ^^^^
              this text does not end
              put `"` after it, for example `duration("5m")`

            latency > duration("5\u006d")
                                 ^
              a text has no escapes
              leave `\` out; texts are only for `duration("5m")` and `bytes("10Gi")`

            params. > 1
                  ^
              a name is missing after `.`
              names are `name` or `group.name`, for example `params.limit`

            .error_ratio > 1
            ^
              a name or number cannot begin here
              write `params.limit` or `0.5`

            error_ratio > 0.1;
                             ^
              a condition is one expression
              join two conditions with `&&`

            ,
            ^
              a value is missing before `,`
              write a name, a number or a function

        "#]],
    );
}
