//! A step that limits one tenant: who is chosen, what it keeps, and that it is undone.
//!
//! **In:** who uses a service, limits that there are, people's words.
//! **Out:** plans, limits at the made-up platform, reasons why there is no plan.
//! **Not here:** metering (`tests/spend`), real load balancers (`evenkeel-providers`).

use evenkeel_core::documents::TenantSelection;
use evenkeel_core::heal::tenants::choose;
use evenkeel_core::ids::{RunId, ServiceName, TenantName};
use evenkeel_core::request::OverrideAsked;
use evenkeel_core::spend::tenants::TenantStanding;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::approvals::is_waiting;
use crate::flow::REGION;
use crate::kit::{playbook, sound, until, well_again};
use crate::rig::Rig;

const ONE: RunId = RunId(1);

const LOWEST: &str =
    "{ name: slow-down, throttle_tenant: { tenant: lowest_value, rate: rps(10) } }";

/// The region, where tenants of `web` can be limited, with a playbook of these steps.
fn region(autonomy: &str, steps: &[&str]) -> String {
    let region = REGION.replacen(
        "    deployment: { simulated: { service: web } }\n",
        "    deployment: { simulated: { service: web } }\n    tenants: { simulated: { service: web } }\n",
        1,
    );
    format!("{region}{}", playbook("fix", &[&format!("autonomy: {autonomy}")], steps))
}

fn named(name: &str) -> TenantName {
    name.parse().unwrap()
}

/// Name, value, requests per second, its own.
fn standing((tenant, value, rps, protected_rps): (&str, f64, f64, f64)) -> TenantStanding {
    TenantStanding { tenant: named(tenant), value, rps, protected_rps }
}

const THREE: [(&str, f64, f64, f64); 3] =
    [("acme", 1.0, 480.0, 5.0), ("beta", 5.0, 900.0, 100.0), ("core", 10.0, 50.0, 50.0)];

/// A rig in which something is bad and `users` use `web`.
fn throttling(yaml: &str, users: &[(&str, f64, f64, f64)]) -> Rig {
    let mut rig = Rig::new(yaml);
    let web: ServiceName = "web".parse().unwrap();
    rig.tenants.insert(web, users.iter().copied().map(standing).collect());
    rig.sees("web", "bad", 0.0).sees("db", "bad", 0.0);
    rig.sees_instances("web", "latency", 0.1, &[]).sees_instances("db", "latency", 0.1, &[]);
    rig.run_for(60);
    rig.sees("web", "bad", 1.0);
    rig
}

fn limits(rig: &Rig) -> String {
    let lines = rig.platform.limits.iter().map(|(tenant, limit)| format!("{tenant}={limit}"));
    lines.collect::<Vec<String>>().join(" ")
}

/// The plan's lines for that step, when `users` use the service and these limits are set; or
/// why there is no plan.
#[track_caller]
fn check_plan(
    steps: &[&str],
    users: Option<&[(&str, f64, f64, f64)]>,
    set: &[(&str, u32)],
    expected: &Expect,
) {
    let mut rig = throttling(&region("approve", steps), users.unwrap_or_default());
    if users.is_none() {
        rig.tenants.clear();
    }
    rig.platform.limits = set.iter().map(|(tenant, limit)| (named(tenant), *limit)).collect();
    until(&mut rig, 20, "decided", |rig| {
        let run = rig.agent.state().healing().run(ONE);
        run.is_some_and(|it| ["awaiting_approval", "ended"].contains(&it.phase.name()))
    });
    let shown = match &rig.run(ONE).plan {
        Some(plan) => {
            let lines = plan.lines();
            lines[..lines.len() - 1].join("\n")
        }
        None => rig.timeline(1),
    };
    assert_eq!(rig.performed(), "", "nothing without a yes");
    sound(&rig);
    expected.assert_eq(&shown);
}

#[test]
fn the_lowest_value_is_limited_after_a_yes_and_stays_so_when_that_helped() {
    let mut rig = throttling(&region("approve", &[LOWEST]), &THREE);
    until(&mut rig, 20, "waiting", is_waiting);
    assert_eq!(limits(&rig), "");
    rig.approve_as("ana", ONE).unwrap();
    rig.settle();
    assert_eq!(limits(&rig), "acme=10");
    well_again(&mut rig);
    until(&mut rig, 40, "over", |rig| rig.phase(ONE).starts_with("ended"));
    assert_eq!(rig.phase(ONE), "ended: succeeded");
    assert_eq!(rig.performed(), "limit tenant acme to 10 requests/s on web\n");
    sound(&rig);
}

#[test]
fn a_limit_that_did_not_help_is_lifted_and_one_that_was_there_comes_back() {
    for (before, undone, performed) in [
        (None, "", "undo: lift the limit of tenant acme on web\n"),
        (Some(300), "acme=300", "undo: limit tenant acme to 300 requests/s on web\n"),
    ] {
        let mut rig = throttling(&region("auto", &[LOWEST]), &THREE);
        rig.platform.limits.extend(before.map(|it| (named("acme"), it)));
        rig.platform.limits.insert(named("other"), 7);
        until(&mut rig, 20, "limited", |rig| rig.platform.limits.get(&named("acme")) == Some(&10));
        until(&mut rig, 60, "over", |rig| rig.phase(ONE).starts_with("ended"));
        assert_eq!(rig.phase(ONE), "ended: rolled_back");
        let expected = format!("limit tenant acme to 10 requests/s on web\n{performed}");
        assert!(rig.performed().starts_with(&expected), "{}", rig.performed());
        assert_eq!(limits(&rig), format!("{undone} other=7").trim(), "of others nothing is known");
        sound(&rig);
    }
}

#[test]
fn a_plan_says_who_why_and_what_is_left_to_it() {
    check_plan(
        &[LOWEST],
        Some(&THREE),
        &[],
        &expect![[r#"
        1. slow-down: limit tenant acme to 10 requests/s; undo: lift the limit of tenant acme [waits for 1 approval(s)]
             acme of web: lowest value 1 of 3 tenants; it has 480/s, 5/s are its own"#]],
    );
    check_plan(
        &[
            "{ name: slow-down, throttle_tenant: { tenant: largest, rate: rps(10.9) }, undo: before }",
        ],
        Some(&THREE),
        &[("beta", 500)],
        &expect![[r#"
            1. slow-down: limit tenant beta to 100 requests/s; undo: limit tenant beta to 500 requests/s [waits for 1 approval(s)]
                 beta of web: most requests of 3 tenants, value 5; it has 900/s, 100/s are its own; the playbook says 10/s, what is its own stays"#]],
    );
    check_plan(
        &["{ name: slow-down, throttle_tenant: { tenant: core, rate: rps(10) } }"],
        Some(&THREE),
        &[],
        &expect![[r#"
            1. slow-down: limit tenant core to 50 requests/s; undo: lift the limit of tenant core [waits for 1 approval(s)]
                 core of web: named by the playbook; it has 50/s, 50/s are its own; the playbook says 10/s, what is its own stays"#]],
    );
    // Nobody has metered anything, and nothing is guaranteed to anybody.
    check_plan(
        &[
            "{ name: slow-down, throttle_tenant: { tenant: nobody, rate: rps(10) }, undo: { nothing: it stays } }",
        ],
        None,
        &[],
        &expect![[r#"
            1. slow-down: limit tenant nobody to 10 requests/s; cannot be undone [waits for 1 approval(s)]
                 nobody of web: named by the playbook; nobody knows what it has"#]],
    );
    check_plan(
        &[
            LOWEST,
            "{ name: tell, notify: { message: look } }",
            "{ name: ask, ask: { question: well? } }",
        ],
        Some(&THREE),
        &[("acme", 10)],
        &expect![[r#"
            1. slow-down: nothing: tenant acme is limited to 10 requests/s already
            2. tell: tell people: look
            3. ask: ask: well? [waits for 1 approval(s)]"#]],
    );
}

#[test]
fn without_anybody_to_choose_between_there_is_no_plan() {
    check_plan(
        &[LOWEST],
        Some(&[THREE[0]]),
        &[],
        &expect![[r#"
        01:15 first bad sample on web
        01:45 detected by fix on web: bad (1) > 0.5
        01:45 run-1 of fix on web began
        01:45 run-1 was not begun: step `slow-down`: only tenant acme uses the service, so there is nobody to choose between; name it in the step if it is to be limited all the same
    "#]],
    );
    // The second does not use it now.
    let idle = [THREE[0], ("beta", 0.5, 0.0, 0.0)];
    check_plan(
        &[LOWEST],
        Some(&idle),
        &[],
        &expect![[r#"
        01:15 first bad sample on web
        01:45 detected by fix on web: bad (1) > 0.5
        01:45 run-1 of fix on web began
        01:45 run-1 was not begun: step `slow-down`: only tenant acme uses the service, so there is nobody to choose between; name it in the step if it is to be limited all the same
    "#]],
    );
    check_plan(
        &[LOWEST],
        Some(&[]),
        &[],
        &expect![[r#"
        01:15 first bad sample on web
        01:45 detected by fix on web: bad (1) > 0.5
        01:45 run-1 of fix on web began
        01:45 run-1 was not begun: step `slow-down`: no tenant uses the service, so there is nobody to limit
    "#]],
    );
    check_plan(
        &[LOWEST],
        None,
        &[],
        &expect![[r#"
        01:15 first bad sample on web
        01:45 detected by fix on web: bad (1) > 0.5
        01:45 run-1 of fix on web began
        01:45 run-1 was not begun: step `slow-down`: nobody knows which tenants use the service now: see whether there is a `Tenants` document and whether its query answers for this service
    "#]],
    );
    check_plan(
        &["{ name: slow-down, throttle_tenant: { tenant: largest, rate: bad * rps(0.9) } }"],
        Some(&THREE),
        &[],
        &expect![[r#"
            01:15 first bad sample on web
            01:45 detected by fix on web: bad (1) > 0.5
            01:45 run-1 of fix on web began
            01:45 run-1 was not begun: step `slow-down`: a limit of 0.9 requests/s (bad (1) * rps(0.9)) is below the least, 1
        "#]],
    );
    check_plan(
        &[LOWEST],
        Some(&THREE),
        &[("acme", 9)],
        &expect![[r#"
        01:15 first bad sample on web
        01:45 detected by fix on web: bad (1) > 0.5
        01:45 run-1 of fix on web began
        01:45 run-1 was not begun: there is nothing to do
    "#]],
    );
}

#[test]
fn people_who_froze_or_hold_it_are_obeyed_and_a_lift_is_no_harm_in_a_hold() {
    for kind in [OverrideAsked::Freeze, OverrideAsked::Hold] {
        let mut rig = throttling(&region("approve", &[LOWEST]), &THREE);
        until(&mut rig, 20, "waiting", is_waiting);
        rig.set(kind, "web", 600).unwrap();
        let _ = rig.approve_as("ana", ONE);
        rig.run_for(300);
        assert_eq!(rig.performed(), "", "{kind:?}");
        sound(&rig);
    }
    // The guard's word, where nobody is asked.
    let mut rig = throttling(&region("auto", &[LOWEST]), &THREE);
    rig.set(OverrideAsked::Hold, "web", 3_600).unwrap();
    rig.run_for(300);
    assert_eq!(rig.performed(), "");
    let why = rig.agent.views().waiting_for(ONE).unwrap_or_default();
    assert!(why.contains("held"), "{why}");
    for (before, after) in [(None, ""), (Some(300), "acme=300")] {
        let mut rig = throttling(&region("auto", &[LOWEST]), &THREE);
        rig.platform.limits.extend(before.map(|it| (named("acme"), it)));
        until(&mut rig, 20, "limited", |rig| limits(rig) == "acme=10");
        rig.set(OverrideAsked::Hold, "web", 3_600).unwrap();
        until(&mut rig, 60, "over", |rig| rig.phase(ONE).starts_with("ended"));
        assert_eq!(limits(&rig), after);
        sound(&rig);
    }
}

#[test]
fn an_effect_whose_end_is_unknown_is_read_back() {
    let mut rig = throttling(&region("auto", &[LOWEST]), &THREE);
    rig.platform.fails.push_back(evenkeel_core::effect::EffectOutcome::Unknown);
    until(&mut rig, 20, "limited", |rig| !rig.platform.limits.is_empty());
    well_again(&mut rig);
    until(&mut rig, 60, "over", |rig| rig.phase(ONE).starts_with("ended"));
    assert_eq!(rig.phase(ONE), "ended: succeeded");
    assert_eq!(rig.performed(), "limit tenant acme to 10 requests/s on web\n");
    sound(&rig);
}

#[test]
fn the_choice_is_the_same_whatever_the_order_and_ties_are_broken_by_rate_then_name() {
    let table = [
        (vec![("a", 1.0, 5.0), ("b", 1.0, 9.0), ("c", 2.0, 99.0)], "b", "c"),
        (vec![("b", 1.0, 9.0), ("a", 1.0, 9.0)], "a", "a"),
        (vec![("b", 0.0, 9.0), ("a", 1.0, 9.0)], "b", "b"),
        (vec![("a", 0.0, 0.0), ("b", 2.0, 9.0), ("c", 3.0, 1.0)], "b", "b"),
        (vec![("a", 0.0, f64::NAN), ("b", 2.0, 9.0), ("c", 3.0, 1.0)], "b", "b"),
    ];
    for (users, lowest, largest) in table {
        let mut standings: Vec<TenantStanding> =
            users.iter().map(|(name, value, rps)| standing((name, *value, *rps, 0.0))).collect();
        for _ in 0..2 {
            let chosen = choose(&TenantSelection::LowestValue, &standings);
            assert_eq!(chosen, Ok(named(lowest)), "{standings:?}");
            let chosen = choose(&TenantSelection::Largest, &standings);
            assert_eq!(chosen, Ok(named(largest)), "{standings:?}");
            standings.reverse();
        }
    }
}

fn users() -> impl Strategy<Value = Vec<TenantStanding>> {
    let one = (0..4_u8, 0..5_u8);
    proptest::collection::vec(one, 0..8).prop_map(|it| {
        let it = it.into_iter().enumerate();
        it.map(|(nth, (value, rps))| {
            standing((&format!("t{nth}"), f64::from(value), f64::from(rps), 0.0))
        })
        .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_is_worth_most_is_never_the_lowest_while_others_are_worth_less(standings in users()) {
        let using: Vec<&TenantStanding> = standings.iter().filter(|it| 0.0 < it.rps).collect();
        match choose(&TenantSelection::LowestValue, &standings) {
            Err(why) => prop_assert!(using.len() < 2, "{}", why),
            Ok(name) => {
                prop_assert!(2 <= using.len());
                let chosen = using.iter().find(|it| it.tenant == name);
                let chosen = chosen.expect("it uses the service");
                prop_assert!(using.iter().all(|it| chosen.value <= it.value));
            }
        }
    }

    #[test]
    fn a_limit_never_takes_what_is_guaranteed(rate in 1_u32..2_000, own in 0_u32..2_000) {
        let step = format!(
            "{{ name: slow-down, throttle_tenant: {{ tenant: acme, rate: rps({rate}) }} }}"
        );
        let own = f64::from(own) + 0.25;
        let mut rig = throttling(&region("auto", &[&step]), &[("acme", 1.0, 480.0, own)]);
        until(&mut rig, 20, "limited", |rig| !rig.platform.limits.is_empty());
        let limit = f64::from(rig.platform.limits[&named("acme")]);
        prop_assert!(own <= limit && f64::from(rate) <= limit);
        prop_assert!(limit <= f64::from(rate) || limit < own + 1.0);
    }
}
