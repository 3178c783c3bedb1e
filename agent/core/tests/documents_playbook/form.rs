//! Numbers, steps and triggers that do not make sense.

use expect_test::expect;

use crate::check;

#[test]
fn numbers_that_contradict_each_other_are_both_named() {
    check(
        &[
            ("default: 3, min: 1.5", "default: 1, min: 1.5"),
            ("min: 1.5, max: 20", "min: 20, max: 1.5"),
            ("default: 3, min", "default: .nan, min"),
            ("autonomy_max: auto", "autonomy_max: observe"),
            ("holds_for: 2m, within: 10m", "holds_for: 10m, within: 10m"),
            (
                "window: 2h, concurrency: 2, cooldown: 15m",
                "window: 2h, concurrency: 2, cooldown: 3h",
            ),
            (
                "limits: { attempts: 3, window: 2h, concurrency: 2, cooldown: 15m }",
                "limits: { window: 5m }",
            ),
            ("window: 2h,", "window: 25h,"),
            ("lasts: 1m\n", "lasts: 2h\n"),
            ("share_max: 0.2", "share_max: 0.6"),
            ("weight_ratio: 0 }", "weight_ratio: 1.5 }"),
            ("approvals: 1,", "approvals: 0,"),
            ("expires_after: 20m", "expires_after: 73h"),
            ("priority: 70", "priority: 101"),
            ("attempts: 3", "attempts: 1.5"),
            (
                "{ outliers_of: latency, factor: params.slow_ratio }",
                "{ all: true, not_ready: true }",
            ),
            ("{ outliers_of: latency, factor: params.slow_ratio }", "{ outliers_of: latency }"),
            ("{ outliers_of: latency, factor: params.slow_ratio }", "{ all: true, factor: 3 }"),
            ("{ outliers_of: latency, factor: params.slow_ratio }", "{ all: false }"),
            ("{ outliers_of: latency, factor: params.slow_ratio }", "{}"),
        ],
        &expect![[r#"
            ## default: 1, min: 1.5
            15:41 error: playbook `gray-node`: `spec.parameters.slow_ratio.default` is 1, it must be from 1.5 (`min`) to 20 (`max`)
              hint: change the default or the bounds
            ## min: 20, max: 1.5
            15:49 error: playbook `gray-node`: `spec.parameters.slow_ratio.min` (20) is above `max` (1.5)
              hint: swap the two
            ## default: .nan, min
            15:41 error: playbook `gray-node`: `spec.parameters.slow_ratio.default` is NaN, it must be a finite number
              hint: write a finite number
            ## autonomy_max: observe
            11:17 error: playbook `gray-node`: `autonomy_max` (observe) is below `autonomy` (approve)
              hint: raise it, or leave it out
            ## holds_for: 10m, within: 10m
            61:98 error: playbook `gray-node`: `verification.within` (10m) is not longer than `holds_for` (10m)
              hint: give it time to come true and to hold
            ## window: 2h, concurrency: 2, cooldown: 3h
            62:64 error: playbook `gray-node`: `limits.window` (2h) is shorter than `cooldown` (3h)
              hint: within a cooldown there is one attempt at most; lengthen the window
            ## limits: { window: 5m }
            62:21 error: playbook `gray-node`: `limits.window` (5m) is shorter than `cooldown` (10m)
              hint: within a cooldown there is one attempt at most; lengthen the window
            ## window: 25h,
            62:34 error: playbook `gray-node`: `spec.limits.window` is 1d1h, it must be from 1m to 1d
              hint: write a duration from 1m to 1d
            ## lasts: 2h
            27:12 error: playbook `gray-node`: `spec.trigger.lasts` is 2h, it must be from 0s to 1h
              hint: write a duration from 0s to 1h
            ## share_max: 0.6
            36:88 error: playbook `gray-node`: `spec.steps[0].drain.share_max` is 0.6, it must be a number above 0 and at most 0.5
              hint: write a number above 0 and at most 0.5
            ## weight_ratio: 1.5 }
            45:84 error: playbook `gray-node`: `spec.steps[4].shift_traffic.weight_ratio` is 1.5, it must be a number from 0 to 1
              hint: write a number from 0 to 1
            ## approvals: 0,
            41:26 error: playbook `gray-node`: `spec.steps[1].gate.approvals` is 0, it must be a whole number from 1 to 10
              hint: write a whole number from 1 to 10
            ## expires_after: 73h
            41:78 error: playbook `gray-node`: `spec.steps[1].gate.expires_after` is 3d1h, it must be from 1m to 3d
              hint: write a duration from 1m to 3d
            ## priority: 101
            13:13 error: playbook `gray-node`: `spec.priority` is 101, it must be a whole number from 0 to 100
              hint: write a whole number from 0 to 100
            ## attempts: 1.5
            62:23 error: playbook `gray-node`: `spec.limits.attempts` is 1.5, it must be a whole number from 1 to 100
              hint: write a whole number from 1 to 100
            ## { all: true, not_ready: true }
            36:48 error: playbook `gray-node`: `select` has both `all` and `not_ready`
              hint: write exactly one of `outliers_of`, `above`, `not_ready`, `worst_domain` and `all`
            ## { outliers_of: latency }
            36:39 error: playbook `gray-node`: missing field `factor` in `select`
              hint: add `factor:` beside it
            ## { all: true, factor: 3 }
            36:45 error: playbook `gray-node`: `factor` is only for `outliers_of`
              hint: remove it
            ## { all: false }
            36:31 error: playbook `gray-node`: `spec.steps[0].drain.select.all` is `false`, which finds nothing
              hint: write `true`, or another way to find instances
            ## {}
            36:24 error: playbook `gray-node`: `select` says no way to find instances
              hint: write exactly one of `outliers_of`, `above`, `not_ready`, `worst_domain` and `all`
        "#]],
    );
}

#[test]
fn a_step_does_one_thing_and_says_how_it_is_undone() {
    check(
        &[
            (
                "set_capacity: { to: target.current * 1.5 }, undo: before",
                "set_capacity: { to: target.current * 1.5 }",
            ),
            ("undo: { nothing: a replaced instance stays replaced }", ""),
            ("undo: { nothing: a replaced instance stays replaced }", "undo: before"),
            ("undo: { nothing: a replaced instance stays replaced }", "undo: nothing"),
            (
                "undo: { nothing: a replaced instance stays replaced }",
                "undo: { wait_for: { condition: true, within: 1m } }",
            ),
            ("undo: { nothing: a replaced instance stays replaced }", "undo: { reboot: {} }"),
            ("within: 5m } }", "within: 5m }, undo: before }"),
            ("name: grow,", "name: grow, restore: {},"),
            ("set_capacity: { to: target.current * 1.5 }, undo: before", "undo: before"),
            ("roll_back: {}", "roll_back: { to: v1 }"),
            ("gate: {} }", "only_if: true }"),
            ("gate: { role: admin }", "gate: { role: viewer }"),
        ],
        &expect![[r#"
            ## set_capacity: { to: target.current * 1.5 }
            44:35 error: playbook `gray-node`: step `grow` (`set_capacity`) does not say how it is undone
              hint: write `undo: before`, another step, or `undo: { nothing: why }`
            ## 
            39:26 error: playbook `gray-node`: step `replace` (`replace_instances`) does not say how it is undone
              hint: write a step that reverses it, or `undo: { nothing: why }`
            ## undo: before
            40:13 error: playbook `gray-node`: step `replace`: the state before `replace_instances` cannot be brought back
              hint: write a step that reverses it, or `undo: { nothing: why }`
            ## undo: nothing
            40:13 error: playbook `gray-node`: `spec.steps[1].undo`: `nothing` is no undo
              hint: say why: `undo: { nothing: why }`
            ## undo: { wait_for: { condition: true, within: 1m } }
            40:15 error: playbook `gray-node`: `spec.steps[1].undo`: `wait_for` reverses nothing
              hint: write `before`, `{ nothing: why }` or a step such as `{ restore: {} }`
            ## undo: { reboot: {} }
            40:15 error: playbook `gray-node`: unknown field `reboot` in `spec.steps[1].undo`
              hint: known fields here: `nothing`, `set_capacity`, `restart_instances`, `replace_instances`, `shift_traffic`, `drain`, `restore`, `roll_back`, `run_command`, `call_webhook` and `apply_terraform`
            ## within: 5m }, undo: before }
            58:86 error: playbook `gray-node`: step `settle` changes nothing, so there is nothing to undo
              hint: remove `undo`
            ## name: grow, restore: {},
            44:48 error: playbook `gray-node`: step `grow` does both `restore` and `set_capacity`
              hint: make it two steps
            ## undo: before
            44:7 error: playbook `gray-node`: step `grow` does nothing
              hint: write exactly one of `set_capacity`, `restart_instances`, `replace_instances`, `shift_traffic`, `drain`, `restore`, `roll_back`, `throttle_tenant`, `run_command`, `call_webhook`, `apply_terraform`, `wait_for`, `notify` and `ask`
            ## roll_back: { to: v1 }
            47:36 error: playbook `gray-node`: `spec.steps[6].roll_back` has no fields
              hint: write `{}`
            ## only_if: true }
            10:13 warning: playbook `gray-node`: step `restart` is destructive, so it waits for a person all the same
              hint: give it a `gate` that says for whom, or write `approve`
            ## gate: { role: viewer }
            54:21 error: playbook `gray-node`: a gate for role `viewer`: who may only read cannot approve
              hint: write `operator` or `admin`
        "#]],
    );
}

#[test]
fn a_trigger_can_start_something() {
    check(
        &[
            ("burn_rate: {", "condition: error_ratio_1h > 0.1\n    burn_rate: {"),
            (
                "burn_rate: { long: error_ratio_1h, short: error_ratio_5m, objective: 0.999, factor: 14.4 }",
                "by_hand: false",
            ),
            (
                "burn_rate: { long: error_ratio_1h, short: error_ratio_5m, objective: 0.999, factor: 14.4 }",
                "alerts: [{ alertname: Errors }]",
            ),
            ("[{ alertname: HighLatency, severity: page }]", "[{}]"),
            ("[{ alertname: HighLatency, severity: page }]", "[{ alert-name: HighLatency }]"),
            ("0 4 * * MON", "0 4 31 2 *"),
            ("0 4 * * MON", "0 4 * *"),
            ("time_zone: Europe/Berlin", "time_zone: Berlin"),
        ],
        &expect![[r#"
            ## condition: error_ratio_1h > 0.1
                burn_rate: {
            78:16 error: playbook `errors`: the trigger has both `condition` and `burn_rate`
              hint: join them in `condition` with `&&`
            ## by_hand: false
            77:5 error: playbook `errors`: nothing can start it: no `condition`, no `burn_rate`, no `schedule`, and `by_hand` is false
              hint: write when it shall start
            ## alerts: [{ alertname: Errors }]
            77:14 warning: playbook `errors`: alerts only make the agent look at once, and without `condition` there is nothing to look at
              hint: write what must be observed as `condition`
            ## [{}]
            28:14 error: playbook `gray-node`: `spec.trigger.alerts[0]` has 0 labels, it must have 1 to 32
              hint: no label at all means no alert; write for example `alertname: HighLatency`
            ## [{ alert-name: HighLatency }]
            28:16 error: playbook `gray-node`: `spec.trigger.alerts[0]`: `alert-name` is not a label of Prometheus
              hint: a label has letters, digits and `_`, for example `service`
            ## 0 4 31 2 *
            29:23 error: playbook `gray-node`: `cron`: `0 4 31 2 *` never comes
              hint: check the day of the month and the month
            ## 0 4 * *
            29:23 error: playbook `gray-node`: `cron`: `0 4 * *` has 4 fields, a schedule has 5: minute, hour, day of month, month, day of week
              hint: write for example `0 4 * * MON` for Mondays at 04:00
            ## time_zone: Berlin
            29:49 error: playbook `gray-node`: `spec.trigger.schedule.time_zone`: `Berlin` is not an IANA time zone such as `Europe/Berlin`
              hint: did you mean `Europe/Berlin`?
        "#]],
    );
}
