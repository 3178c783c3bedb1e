//! Limits of tenants: how they are written, and what targets need for them.

use evenkeel_core::documents::{ActuatorRef, StepKind, TenantSelection, Undo};
use expect_test::{Expect, expect};

use crate::{loaded, shown};

const STEP: &str = "{ tenant: lowest_value, rate: rps(10) }";
const TENANTS: &str = "haproxy: { socket: /run/haproxy.sock, map: /etc/haproxy/tenants.map }";

/// A target and a playbook with one limit; both as far as they are needed.
fn written() -> String {
    format!(
        "apiVersion: evenkeel/v1
kind: Target
metadata: {{ name: checkout }}
spec:
  region: r
  provider: {{ simulated: {{ service: checkout }} }}
  capacity: {{ min: 1, max: 9 }}
  actuators: {{ tenants: {{ {TENANTS} }} }}
---
apiVersion: evenkeel/v1
kind: Playbook
metadata: {{ name: fix }}
spec:
  about: One tenant is too much.
  runbook: runbooks/playbooks/fix.md
  severity: ticket
  selector: {{ everything: true }}
  autonomy: observe
  target_label: service
  parameters: {{ most: {{ unit: rps, default: 10, min: 1, max: 99 }} }}
  inputs: [{{ name: load, query: load, unit: rps, max_age: 1m }}]
  trigger: {{ condition: load > rps(5), lasts: 1m }}
  steps:
    - name: slow-down
      throttle_tenant: {STEP}
  verification: {{ that: load < rps(5), holds_for: 1m, within: 5m }}
"
    )
}

/// What is said when each piece is changed; nothing where it is good.
#[track_caller]
fn check(changes: &[(&str, &str)], expected: &Expect) {
    let good = written();
    let mut all = String::new();
    for (from, to) in changes {
        assert!(good.contains(from), "{from}");
        let loaded = loaded(&good.replacen(from, to, 1));
        all.push_str(&format!("## {to}\n{}", shown(&loaded)));
    }
    expected.assert_eq(&all);
}

#[test]
fn a_limit_says_whom_and_how_much_and_is_undone_by_what_was_there() {
    let kind = |step: &str| {
        let loaded = loaded(&written().replacen(STEP, step, 1));
        let said = shown(&loaded);
        let documents = loaded.documents.unwrap_or_else(|| panic!("{said}"));
        let step = documents.playbooks().next().unwrap().steps[0].clone();
        let StepKind::ThrottleTenant { tenant, rate } = step.kind else { panic!("{step:?}") };
        (tenant, rate.text().to_owned(), step.undo)
    };
    let acme = TenantSelection::Named("acme".parse().unwrap());
    let before = || Undo::Before;
    for (step, tenant, rate, undo) in [
        (STEP, TenantSelection::LowestValue, "rps(10)", before()),
        (
            "{ tenant: largest, rate: params.most }",
            TenantSelection::Largest,
            "params.most",
            before(),
        ),
        (
            "{ tenant: acme, rate: load / 2 }\n      undo: before",
            acme.clone(),
            "load / 2",
            before(),
        ),
        (
            "{ tenant: acme, rate: rps(1) }\n      undo: { nothing: it stays }\n      gate: {}",
            acme,
            "rps(1)",
            Undo::Nothing { why: "it stays".to_owned() },
        ),
    ] {
        assert_eq!(kind(step), (tenant, rate.to_owned(), undo));
    }
    let documents = loaded(&written()).documents.unwrap();
    let tenants = documents.targets().next().unwrap().actuators.tenants.clone();
    let (socket, map) = ("/run/haproxy.sock".to_owned(), "/etc/haproxy/tenants.map".to_owned());
    assert_eq!(tenants, Some(ActuatorRef::HaproxyMap { socket, map }));
}

#[test]
fn what_cannot_be_a_limit_is_said_at_its_place() {
    check(
        &[
            (STEP, "{ tenant: lowest_value }"),
            (STEP, "{ rate: rps(10) }"),
            (STEP, "{ tenant: a b, rate: rps(10) }"),
            (STEP, "{ tenant: lowest-value, rate: rps(10) }"),
            (STEP, "{ tenant: acme, rate: 10 }"),
            (STEP, "{ tenant: acme, rate: rps(0.9) }"),
            (STEP, "{ tenant: acme, rate: rps(0) - rps(5) }"),
            (STEP, "{ tenant: acme, rate: target.current }"),
            (STEP, "{ tenant: acme, rate: rps(10), select: { all: true } }"),
            (
                STEP,
                "{ tenant: acme, rate: rps(10) }\n      undo: { throttle_tenant: { tenant: acme, rate: rps(20) } }",
            ),
        ],
        &expect![[r#"
            ## { tenant: lowest_value }
            25:24 error: playbook `fix`: missing field `rate` in `spec.steps[0].throttle_tenant`
              hint: add `rate:` here
            ## { rate: rps(10) }
            25:24 error: playbook `fix`: missing field `tenant` in `spec.steps[0].throttle_tenant`
              hint: add `tenant:` here
            ## { tenant: a b, rate: rps(10) }
            25:34 error: playbook `fix`: `spec.steps[0].throttle_tenant.tenant`: `a b` contains ' ', a name has only letters, digits and `-_.@/+`
              hint: write for example `checkout-api`
            ## { tenant: lowest-value, rate: rps(10) }
            25:34 error: playbook `fix`: `spec.steps[0].throttle_tenant.tenant`: a tenant `lowest-value` cannot be told from `lowest_value`
              hint: write `lowest_value`
            ## { tenant: acme, rate: 10 }
            25:46 error: playbook `fix`: `spec.steps[0].throttle_tenant.rate`: `10` has no unit, a number in rps is needed
              hint: write `rps(10)`
            ## { tenant: acme, rate: rps(0.9) }
            25:46 error: playbook `fix`: `throttle_tenant`: `rps(0.9)` is below 1 request/s
              hint: write at least `rps(1)`: nobody is turned away altogether
            ## { tenant: acme, rate: rps(0) - rps(5) }
            25:46 error: playbook `fix`: `throttle_tenant`: `rps(0) - rps(5)` is below 1 request/s
              hint: write at least `rps(1)`: nobody is turned away altogether
            ## { tenant: acme, rate: target.current }
            25:46 error: playbook `fix`: `spec.steps[0].throttle_tenant.rate`: `target.current` is in units of capacity, a number that is in rps is needed
              hint: divide two numbers of one unit for a ratio; multiply by a ratio to scale
            ## { tenant: acme, rate: rps(10), select: { all: true } }
            25:55 error: playbook `fix`: unknown field `select` in `spec.steps[0].throttle_tenant`
              hint: known fields here: `tenant` and `rate`
            ## { tenant: acme, rate: rps(10) }
                  undo: { throttle_tenant: { tenant: acme, rate: rps(20) } }
            26:15 error: playbook `fix`: unknown field `throttle_tenant` in `spec.steps[0].undo`
              hint: known fields here: `nothing`, `set_capacity`, `restart_instances`, `replace_instances`, `shift_traffic`, `drain`, `restore`, `roll_back`, `run_command`, `call_webhook` and `apply_terraform`
        "#]],
    );
}

#[test]
fn a_target_says_where_tenants_are_limited() {
    check(
        &[
            ("tenants: {", "traffic: { simulated: { service: checkout } } } #"),
            (
                TENANTS,
                "webhook: { url: \"https://gateway.example/\", secret_file: /etc/evenkeel/gateway.key }",
            ),
            (TENANTS, "simulated: { service: checkout }"),
            (TENANTS, "haproxy: { socket: /run/haproxy.sock, backend: checkout }"),
            (TENANTS, "haproxy: { socket: run/haproxy.sock, map: \"#0\" }"),
            (TENANTS, "haproxy: { socket: /run/haproxy.sock, map: \"/a b\" }"),
            (TENANTS, "haproxy: { socket: /run/haproxy.sock, map: \"m; show info\" }"),
            (TENANTS, "haproxy: { socket: /run/haproxy.sock, map: -x }"),
            (TENANTS, "aws_ecs_service: { cluster: a, service: b }"),
        ],
        &expect![[r###"
            ## traffic: { simulated: { service: checkout } } } #
            24:13 error: playbook `fix`: step `slow-down` can never be done: target `checkout` has no `tenants` actuator
              hint: give the target its `actuators.tenants`, or narrow the selector of the playbook
            ## webhook: { url: "https://gateway.example/", secret_file: /etc/evenkeel/gateway.key }
            ## simulated: { service: checkout }
            ## haproxy: { socket: /run/haproxy.sock, backend: checkout }
            8:36 error: target `checkout`: missing field `map` in `spec.actuators.tenants.haproxy`
              hint: add `map:` here
            8:65 error: target `checkout`: unknown field `backend` in `spec.actuators.tenants.haproxy`
              hint: known fields here: `socket` and `map`
            ## haproxy: { socket: run/haproxy.sock, map: "#0" }
            8:46 error: target `checkout`: `spec.actuators.tenants.haproxy.socket` must be the full path of a socket, without `..`
              hint: write for example `/run/haproxy/admin.sock`
            8:69 error: target `checkout`: `spec.actuators.tenants.haproxy.map`: `#0` is not the file of a map
              hint: write it as HAProxy's configuration does, for example `/etc/haproxy/tenants.map`
            ## haproxy: { socket: /run/haproxy.sock, map: "/a b" }
            8:70 error: target `checkout`: `spec.actuators.tenants.haproxy.map`: `/a b` is not the file of a map
              hint: write it as HAProxy's configuration does, for example `/etc/haproxy/tenants.map`
            ## haproxy: { socket: /run/haproxy.sock, map: "m; show info" }
            8:70 error: target `checkout`: `spec.actuators.tenants.haproxy.map`: `m; show info` is not the file of a map
              hint: write it as HAProxy's configuration does, for example `/etc/haproxy/tenants.map`
            ## haproxy: { socket: /run/haproxy.sock, map: -x }
            8:70 error: target `checkout`: `spec.actuators.tenants.haproxy.map`: `-x` is not the file of a map
              hint: write it as HAProxy's configuration does, for example `/etc/haproxy/tenants.map`
            ## aws_ecs_service: { cluster: a, service: b }
            8:27 error: target `checkout`: unknown field `aws_ecs_service` in `spec.actuators.tenants`
              hint: known fields here: `haproxy`, `webhook` and `simulated`
        "###]],
    );
}
