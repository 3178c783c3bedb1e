//! Conditions, formulas and the names in them.

use expect_test::expect;

use crate::check;

#[test]
fn a_fault_in_a_condition_is_shown_at_its_place_in_the_text() {
    check(
        &[
            // Plain, quoted with either quote, without quotes in a flow mapping.
            (
                "condition: outlier_count(latency, params.slow_ratio) >= 1",
                "condition: outlier_count(latenci, params.slow_ratio) >= 1",
            ),
            (
                "that: \"outlier_count(latency, params.slow_ratio) < 1\"",
                "that: \"outlier_count(latency, params.slow_ratio) < duration('1s')\"",
            ),
            (
                "that: \"outlier_count(latency, params.slow_ratio) < 1\"",
                "that: 'error_ratio < 5 %'",
            ),
            ("that: target.ready >= 2", "that: target.redy >= 2"),
            ("that: spend < usd_per_hour(100)", "that: spend < 100"),
            ("condition: error_ratio < 0.01", "condition: error_ratio < 0.01 &&"),
            ("only_if: instances(latency) >= 3", "only_if: latency >= 3"),
            // Several lines, and other words than in the file: at the text's beginning.
            (
                "condition: outlier_count(latency, params.slow_ratio) >= 1",
                "condition: |\n      outlier_count(latency, params.slow_ratio) >= 1 &&\n      error_rate > 0.1",
            ),
            ("that: target.ready >= 2", "that: \"target\\u002eready >= 2 && x\""),
            // Not text at all.
            ("that: target.ready >= 2", "that: 3"),
            ("that: target.ready >= 2", "that: [a]"),
            // Formulas and their units.
            ("to: target.current * 1.5", "to: target.current * spend"),
            ("to: target.current * 1.5", "to: error_ratio > 1"),
            ("limit: duration(\"2s\")", "limit: 2"),
            ("factor: params.slow_ratio", "factor: params.slow"),
            ("factor: params.slow_ratio", "factor: latency"),
        ],
        &expect![[r###"
            ## condition: outlier_count(latenci, params.slow_ratio) >= 1
            26:30 error: playbook `gray-node`: `spec.trigger.condition`: there is no name `latenci`
              hint: did you mean `latency`?
            ## that: "outlier_count(latency, params.slow_ratio) < duration('1s')"
            61:79 error: playbook `gray-node`: `spec.verification.that`: a text stands in double quotes
              hint: write `"1s"`
            ## that: 'error_ratio < 5 %'
            61:42 error: playbook `gray-node`: `spec.verification.that`: `%` is not an operator
              hint: for percentages write for example `percent(5)`
            ## that: target.redy >= 2
            32:42 error: playbook `gray-node`: `spec.conditions[0].that`: there is no name `target.redy`
              hint: did you mean `target.ready`?
            ## that: spend < 100
            33:44 error: playbook `gray-node`: `spec.conditions[1].that`: `spend` is in usd per hour, `100` has no unit
              hint: write `usd_per_hour(100)`
            ## condition: error_ratio < 0.01 &&
            58:67 error: playbook `gray-node`: `spec.steps[10].wait_for.condition`: the text ends where a value is missing
              hint: write a name, a number or a function after the last operator
            ## only_if: latency >= 3
            42:16 error: playbook `gray-node`: `spec.steps[1].only_if`: `latency` has one value per instance, one number is needed
              hint: write `worst(latency)`, `lowest(latency)`, `median(latency)`, `mean(latency)`, `outlier_count(latency, 3)` or `share_above(latency, limit)`
            ## condition: |
                  outlier_count(latency, params.slow_ratio) >= 1 &&
                  error_rate > 0.1
            27:7 error: playbook `gray-node`: `spec.trigger.condition`: there is no name `error_rate`
              hint: did you mean `error_ratio`?
            ## that: "target\u002eready >= 2 && x"
            32:42 error: playbook `gray-node`: `spec.conditions[0].that`: there is no name `x`
              hint: the names here are `error_ratio`, `latency`, `params.percent`, `params.slow_ratio`, `spend`, `target.current`, `target.max`, `target.min` and 1 more
            ## that: 3
            32:42 error: playbook `gray-node`: `spec.conditions[0].that`: `3` is a bare number, not true or false
              hint: compare it, for example `error_ratio < 3`
            ## that: [a]
            32:42 error: playbook `gray-node`: `spec.conditions[0].that` must be an expression such as `error_ratio > 0.05`, found a list
              hint: write an expression such as `error_ratio > 0.05`; check the indentation
            ## to: target.current * spend
            44:41 error: playbook `gray-node`: `spec.steps[3].set_capacity.to`: `target.current` is in units of capacity, `spend` is in usd per hour: `*` of them has no unit here
              hint: one side of `*` is a ratio, a count or a bare number
            ## to: error_ratio > 1
            44:41 error: playbook `gray-node`: `spec.steps[3].set_capacity.to`: `error_ratio > 1` is true or false where a number is needed
              hint: to use it as a number write `(error_ratio > 1) ? 1 : 0`
            ## limit: 2
            39:61 error: playbook `gray-node`: `spec.steps[1].replace_instances.select.limit`: `2` has no unit, a number in seconds is needed
              hint: write `duration("2s")`
            ## factor: params.slow
            36:56 error: playbook `gray-node`: `spec.steps[0].drain.select.factor`: there is no name `params.slow`
              hint: did you mean `params.slow_ratio`?
            ## factor: latency
            36:56 error: playbook `gray-node`: `spec.steps[0].drain.select.factor`: `latency` has one value per instance, one number is needed
              hint: write `worst(latency)`, `lowest(latency)`, `median(latency)`, `mean(latency)`, `outlier_count(latency, 3)` or `share_above(latency, limit)`
        "###]],
    );
}

#[test]
fn what_is_never_true_is_found() {
    check(
        &[
            ("only_if: instances(latency) >= 3", "only_if: false"),
            ("condition: error_ratio < 0.01", "condition: false"),
            ("that: target.ready >= 2", "that: \" false \""),
            ("condition: outlier_count(latency, params.slow_ratio) >= 1", "condition: false"),
            ("objective: 0.999, factor: 14.4", "objective: 0.9, factor: 14.4"),
            (
                "    - name: eject\n",
                "    - { name: early, restore: {}, undo: before }\n    - name: eject\n",
            ),
        ],
        &expect![[r###"
            ## only_if: false
            42:16 error: playbook `gray-node`: `spec.steps[1].only_if` is never true, so what follows it is never reached
              hint: write a condition that can be true, or remove the part
            ## condition: false
            58:46 error: playbook `gray-node`: `spec.steps[10].wait_for.condition` is never true, so what follows it is never reached
              hint: write a condition that can be true, or remove the part
            ## that: " false "
            32:42 error: playbook `gray-node`: `spec.conditions[0].that` is never true, so what follows it is never reached
              hint: write a condition that can be true, or remove the part
            ## condition: false
            26:16 error: playbook `gray-node`: `spec.trigger.condition` is never true, so what follows it is never reached
              hint: write a condition that can be true, or remove the part
            ## objective: 0.9, factor: 14.4
            77:87 error: playbook `errors`: `burn_rate` is never reached: 14.4 times the budget of 0.9 is 1.440, and no error ratio is above 1
              hint: write a smaller `factor`
            ## - { name: early, restore: {}, undo: before }
                - name: eject
            35:31 error: playbook `gray-node`: step `early` restores what no step before it drained
              hint: put a `drain` before it, or remove it
        "###]],
    );
}

#[test]
fn every_name_must_be_that_of_something_of_the_right_kind() {
    check(
        &[
            ("outliers_of: latency", "outliers_of: latenzy"),
            ("outliers_of: latency", "outliers_of: error_ratio"),
            ("above: latency", "above: spend"),
            ("long: error_ratio_1h", "long: error_ratio"),
            (
                "error_ratio_1h, query: \"service:errors:ratio1h\", unit: ratio",
                "error_ratio_1h, query: x, unit: seconds",
            ),
            (
                "error_ratio_1h, query: \"service:errors:ratio1h\", unit: ratio",
                "error_ratio_1h, query: x, unit: ratio, per: { instance: i }",
            ),
            ("{params.percent}\", \"--of", "{params.procent}\", \"--of"),
            ("{target} in {region}", "{taget} in {region}"),
            ("{target} in {region}", "{target} in {env.HOME}"),
            ("{target} in {region}", "{target in"),
            ("{target} in {region}", "target} in"),
            ("{labels.tier}", "{labels.team}"),
            ("name: latency\n", "name: slow-latency\n"),
            ("name: latency\n", "name: median\n"),
            ("name: spend,", "name: error_ratio,"),
            ("percent: {", "per cent: {"),
            ("name: grow,", "name: eject,"),
            ("name: money is left", "name: somebody is healthy"),
            ("unit: usd_per_hour", "unit: usd/h"),
            ("severity: page\n", "severity: pager\n"),
            ("per: everything", "per: nothing"),
        ],
        &expect![[r###"
            ## outliers_of: latenzy
            36:39 error: playbook `gray-node`: `outliers_of`: there is no input `latenzy`
              hint: did you mean `latency`?
            ## outliers_of: error_ratio
            36:39 error: playbook `gray-node`: `outliers_of`: input `error_ratio` has one number per target, one per instance is needed
              hint: write `per: { instance: LABEL }` at the input
            ## above: spend
            39:45 error: playbook `gray-node`: `above`: input `spend` has one number for everything, one per instance is needed
              hint: write `per: { instance: LABEL }` at the input
            ## long: error_ratio
            77:24 error: playbook `errors`: `burn_rate.long`: there is no input `error_ratio`
              hint: did you mean `error_ratio_1h`?
            ## error_ratio_1h, query: x, unit: seconds
            77:24 error: playbook `errors`: `burn_rate.long`: input `error_ratio_1h` is a number in `seconds`, an error ratio per target is needed
              hint: name an input with `unit: ratio` and one number per target
            ## error_ratio_1h, query: x, unit: ratio, per: { instance: i }
            77:24 error: playbook `errors`: `burn_rate.long`: input `error_ratio_1h` is a number of each instance in `ratio`, an error ratio per target is needed
              hint: name an input with `unit: ratio` and one number per target
            ## {params.procent}", "--of
            49:67 error: playbook `gray-node`: `spec.steps[7].run_command.arguments[1]`: there is no parameter `procent`
              hint: did you mean `{params.percent}`?
            ## {taget} in {region}
            52:63 error: playbook `gray-node`: `spec.steps[8].call_webhook.fields.target`: there is no value `{taget}`
              hint: did you mean `{target}`?
            ## {target} in {env.HOME}
            52:76 error: playbook `gray-node`: `spec.steps[8].call_webhook.fields.target`: there is no value `{env.HOME}`
              hint: places are `{target}`, `{region}`, `{run}`, `{incident}`, `{params.NAME}` and `{labels.NAME}`; write `{{` for a brace
            ## {target in
            52:63 error: playbook `gray-node`: `spec.steps[8].call_webhook.fields.target`: there is no value `{target in, {incident}`
              hint: places are `{target}`, `{region}`, `{run}`, `{incident}`, `{params.NAME}` and `{labels.NAME}`; write `{{` for a brace
            ## target} in
            52:70 error: playbook `gray-node`: `spec.steps[8].call_webhook.fields.target`: a `}` closes nothing
              hint: write `}}` for a brace that is meant
            ## {labels.team}
            48:13 error: playbook `gray-node`: step `rotate` uses label `team`, which target `checkout` does not have
              hint: add the label to the target, or narrow the selector of the playbook
            ## name: slow-latency
            18:13 error: playbook `gray-node`: `spec.inputs[0].name`: `slow-latency` is not a name that a condition can write
              hint: use letters, digits and `_`, at most 64, and no word of the language
            ## name: median
            18:13 error: playbook `gray-node`: input `median` has a name that means something else in a condition
              hint: choose another name
            ## name: error_ratio,
            24:15 error: playbook `gray-node`: input `error_ratio` is named twice, first in line 23
              hint: give each its own name
            ## per cent: {
            16:5 error: playbook `gray-node`: `spec.parameters`: `per cent` is not a name that a condition can write
              hint: use letters, digits and `_`, at most 64, and no word of the language
            ## name: eject,
            44:15 error: playbook `gray-node`: step `eject` is named twice, first in line 35
              hint: give each its own name
            ## name: somebody is healthy
            33:15 error: playbook `gray-node`: condition `somebody is healthy` is there twice
              hint: rename one of the two
            ## unit: usd/h
            24:47 error: playbook `gray-node`: `spec.inputs[2].unit`: `usd/h` is not one of `ratio`, `count`, `rps`, `seconds`, `usd_per_hour`, `usd`, `bytes` and `units`
              hint: did you mean `usd`?
            ## severity: pager
            8:13 error: playbook `gray-node`: `spec.severity`: `pager` is not one of `info`, `ticket` and `page`
              hint: did you mean `page`?
            ## per: nothing
            24:66 error: playbook `gray-node`: `spec.inputs[2].per` must be `target`, `everything` or `{ instance: LABEL }`, found text
              hint: write `target`, `everything` or `{ instance: LABEL }`
        "###]],
    );
}
