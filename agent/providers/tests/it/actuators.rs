//! Which actuator gets what, fencing and limits; and what the tests of actuators share.
//!
//! In: made-up actuators, targets and actions.
//! Out: what reaches them and what comes back.
//! Not here: real platforms (`haproxy.rs`, `webhook_actuator.rs`, `aws_actuators.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{clock, show_report};
use async_trait::async_trait;
use evenkeel_core::action::{Action, InstanceSeen, LookAt, Seen};
use evenkeel_core::documents::{ActuatorRef, Actuators as Refs, LeadTime, ProviderRef, Target};
use evenkeel_core::effect::EffectOutcome;
use evenkeel_core::ids::{
    AllowedName, EffectId, InstanceName, Region, RunId, TargetId, TenantName, Term,
};
use evenkeel_core::units::{Bounds, Capacity};
use evenkeel_providers::{
    ActRequest, Actuator, ActuatorSettings, Actuators, EffectReport, LookRequest, ReadError,
};
use expect_test::expect;

/// A target that playbooks reach like this.
pub(crate) fn target_with(actuators: Refs) -> Target {
    Target {
        id: crate::common::target("checkout-api"),
        labels: BTreeMap::new(),
        region: Region::new("eu").unwrap(),
        provider: ProviderRef::Simulated { service: "checkout".to_owned() },
        bounds: Bounds { min: Capacity(1), max: Capacity(9) },
        price_usd_per_hour: None,
        lead_time: LeadTime::Measure,
        actuators,
        depends_on: Vec::new(),
    }
}

#[cfg(feature = "haproxy")]
pub(crate) fn traffic(reference: ActuatorRef) -> Refs {
    Refs { traffic: Some(reference), ..Refs::default() }
}

#[cfg(any(feature = "aws", feature = "webhook", feature = "simulated"))]
pub(crate) fn everywhere(reference: &ActuatorRef) -> Refs {
    Refs {
        instances: Some(reference.clone()),
        traffic: Some(reference.clone()),
        deployment: Some(reference.clone()),
        tenants: Some(reference.clone()),
    }
}

/// Effect 12 of run 7 in term 3.
pub(crate) fn order(action: Action) -> ActRequest {
    ActRequest {
        effect_id: EffectId(12),
        term: Term(3),
        run: RunId(7),
        target: TargetId::new("checkout-api").unwrap(),
        is_undo: false,
        action,
    }
}

#[cfg(any(feature = "haproxy", feature = "webhook"))]
pub(crate) async fn actuators(limit: Duration) -> Actuators {
    let settings = ActuatorSettings {
        call_timeout: limit,
        read_deadline: limit,
        ..ActuatorSettings::default()
    };
    Actuators::new(&settings, clock()).await.unwrap()
}

/// One line per instance.
pub(crate) fn show_seen(seen: &Result<Seen, ReadError>) -> String {
    let instances = match seen {
        Err(error) => return error.to_string(),
        Ok(Seen::Instances { instances }) => instances,
        Ok(Seen::Revision { current, previous }) => {
            return format!("at {current}, before {}", previous.as_deref().unwrap_or("nothing"));
        }
        Ok(Seen::TenantLimits { limits }) if limits.is_empty() => return "no limits".to_owned(),
        Ok(Seen::TenantLimits { limits }) => {
            let lines: Vec<String> =
                limits.iter().map(|(tenant, limit)| format!("{tenant}: {limit}/s")).collect();
            return lines.join("\n");
        }
        Ok(other) => return format!("{other:?}"),
    };
    if instances.is_empty() {
        return "no instances".to_owned();
    }
    let lines: Vec<String> = instances.iter().map(show_instance).collect();
    lines.join("\n")
}

fn show_instance(it: &InstanceSeen) -> String {
    let InstanceSeen { name, zone, is_ready, is_drained, weight, started_at } = it;
    let mut shown = format!("{name}: {}", if *is_ready { "ready" } else { "not ready" });
    if *is_drained {
        shown.push_str(", drained");
    }
    if let Some(weight) = weight {
        shown.push_str(&format!(", weight {weight}"));
    }
    if let Some(zone) = zone {
        shown.push_str(&format!(", zone {zone}"));
    }
    if let Some(at) = started_at {
        shown.push_str(&format!(", since {at}"));
    }
    shown
}

/// Remembers what it was asked; hangs when told to.
#[derive(Default)]
struct Fake {
    platform: &'static str,
    hangs: bool,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Actuator for Fake {
    fn platform(&self) -> &'static str {
        self.platform
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let LookRequest { target, reference, at } = request;
        assert_eq!(reference.platform(), self.platform);
        self.asked.lock().unwrap().push(format!("look {target} {at:?}"));
        Ok(Seen::Instances { instances: Vec::new() })
    }

    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        assert_eq!(reference.platform(), self.platform);
        self.asked.lock().unwrap().push(format!("act {}", request.action));
        EffectReport::new(EffectOutcome::Done, self.platform)
    }
}

fn of(fakes: &[&Arc<Fake>]) -> Actuators {
    let platforms = fakes.iter().map(|it| Arc::clone(it) as Arc<dyn Actuator>).collect();
    Actuators::of(platforms, &ActuatorSettings::default(), clock()).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<InstanceName> {
    names.iter().map(|it| InstanceName::new(it).unwrap()).collect()
}

fn allowed() -> AllowedName {
    AllowedName::new("purge").unwrap()
}

/// One of each.
fn actions() -> Vec<Action> {
    let one = names(&["web-1"]);
    let weights = one.iter().map(|it| (it.clone(), 3)).collect();
    vec![
        Action::SetCapacity { desired: Capacity(3) },
        Action::RestartInstances { instances: one.clone() },
        Action::ReplaceInstances { instances: one.clone() },
        Action::SetWeights { weights },
        Action::SetDrained { instances: one, is_drained: true },
        Action::SetRevision { revision: "v41".to_owned() },
        Action::LimitTenants { limits: [(TenantName::new("acme").unwrap(), Some(10))].into() },
        Action::RunCommand { command: allowed(), arguments: Vec::new() },
        Action::CallWebhook { webhook: allowed(), fields: BTreeMap::new() },
        Action::ApplyTerraform {
            workspace: allowed(),
            variables: BTreeMap::new(),
            plan_sha256: "0".repeat(64),
        },
    ]
}

fn split() -> Target {
    target_with(Refs {
        instances: Some(ActuatorRef::AwsAutoScalingGroup { group: "web".to_owned() }),
        traffic: Some(ActuatorRef::Haproxy {
            socket: "/run/haproxy.sock".to_owned(),
            backend: "web".to_owned(),
        }),
        deployment: Some(ActuatorRef::Webhook {
            url: "https://platform.example/".to_owned(),
            secret_file: "key".to_owned(),
        }),
        tenants: Some(ActuatorRef::HaproxyMap {
            socket: "/run/haproxy.sock".to_owned(),
            map: "/etc/haproxy/tenants.map".to_owned(),
        }),
    })
}

#[tokio::test]
async fn every_look_and_action_reaches_the_actuator_of_its_role() {
    let fakes = ["aws_auto_scaling_group", "haproxy", "webhook"]
        .map(|platform| Arc::new(Fake { platform, ..Fake::default() }));
    let [aws, haproxy, webhook] = &fakes;
    let actuators = of(&[aws, haproxy, webhook]);
    let target = split();
    for action in actions() {
        let _ = actuators.look(&target, &action.looks_at()).await;
        let _ = actuators.act(&target, &order(action)).await;
    }
    let mut shown = String::new();
    for fake in &fakes {
        shown.push_str(&format!("{}\n", fake.platform));
        for asked in fake.asked.lock().unwrap().iter() {
            shown.push_str(&format!("  {asked}\n"));
        }
    }
    expect![[r#"
        aws_auto_scaling_group
          look checkout-api Instances
          act restart web-1
          look checkout-api Instances
          act replace web-1
        haproxy
          look checkout-api Traffic
          act set weights web-1=3
          look checkout-api Traffic
          act drain web-1
          look checkout-api TenantLimits
          act limit tenant acme to 10 requests/s
        webhook
          look checkout-api Revision
          act deploy revision v41
    "#]]
    .assert_eq(&shown);
    assert_eq!(actuators.platforms().collect::<Vec<_>>(), fakes.map(|it| it.platform));
}

#[tokio::test]
async fn what_the_target_does_not_have_is_rejected_with_what_to_add() {
    let actuators = of(&[]);
    let mut table = String::new();
    for target in [target_with(Refs::default()), split()] {
        for action in actions().into_iter().take(6) {
            let seen = show_seen(&actuators.look(&target, &action.looks_at()).await);
            let report = actuators.act(&target, &order(action)).await;
            table.push_str(&format!("{seen}\n  {}\n", show_report(&report)));
        }
    }
    expect![[r#"
        cannot ask for the capacity of `checkout-api`: its provider says and sets it, no actuator; this is a fault of the agent
          rejected: cannot ask for the capacity of `checkout-api`: its provider says and sets it, no actuator; this is a fault of the agent
        target `checkout-api` has no `actuators.instances`; add it to the target's document, for example `actuators: { instances: { aws_auto_scaling_group: { group: checkout-web } } }`
          rejected: target `checkout-api` has no `actuators.instances`; add it to the target's document, for example `actuators: { instances: { aws_auto_scaling_group: { group: checkout-web } } }`
        target `checkout-api` has no `actuators.instances`; add it to the target's document, for example `actuators: { instances: { aws_auto_scaling_group: { group: checkout-web } } }`
          rejected: target `checkout-api` has no `actuators.instances`; add it to the target's document, for example `actuators: { instances: { aws_auto_scaling_group: { group: checkout-web } } }`
        target `checkout-api` has no `actuators.traffic`; add it to the target's document, for example `actuators: { traffic: { haproxy: { socket: /run/haproxy/admin.sock, backend: checkout } } }`
          rejected: target `checkout-api` has no `actuators.traffic`; add it to the target's document, for example `actuators: { traffic: { haproxy: { socket: /run/haproxy/admin.sock, backend: checkout } } }`
        target `checkout-api` has no `actuators.traffic`; add it to the target's document, for example `actuators: { traffic: { haproxy: { socket: /run/haproxy/admin.sock, backend: checkout } } }`
          rejected: target `checkout-api` has no `actuators.traffic`; add it to the target's document, for example `actuators: { traffic: { haproxy: { socket: /run/haproxy/admin.sock, backend: checkout } } }`
        target `checkout-api` has no `actuators.deployment`; add it to the target's document, for example `actuators: { deployment: { aws_ecs_service: { cluster: production, service: checkout } } }`
          rejected: target `checkout-api` has no `actuators.deployment`; add it to the target's document, for example `actuators: { deployment: { aws_ecs_service: { cluster: production, service: checkout } } }`
        cannot ask for the capacity of `checkout-api`: its provider says and sets it, no actuator; this is a fault of the agent
          rejected: cannot ask for the capacity of `checkout-api`: its provider says and sets it, no actuator; this is a fault of the agent
        platform `aws_auto_scaling_group` is not configured; add an `aws` section to the daemon's configuration (and build with feature `aws`)
          rejected: platform `aws_auto_scaling_group` is not configured; add an `aws` section to the daemon's configuration (and build with feature `aws`)
        platform `aws_auto_scaling_group` is not configured; add an `aws` section to the daemon's configuration (and build with feature `aws`)
          rejected: platform `aws_auto_scaling_group` is not configured; add an `aws` section to the daemon's configuration (and build with feature `aws`)
        platform `haproxy` is not configured; build with feature `haproxy`
          rejected: platform `haproxy` is not configured; build with feature `haproxy`
        platform `haproxy` is not configured; build with feature `haproxy`
          rejected: platform `haproxy` is not configured; build with feature `haproxy`
        platform `webhook` is not configured; build with feature `webhook`
          rejected: platform `webhook` is not configured; build with feature `webhook`
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn an_older_term_and_another_target_are_rejected_everywhere() {
    let haproxy = Arc::new(Fake { platform: "haproxy", ..Fake::default() });
    let actuators = of(&[&haproxy]);
    let target = split();
    let drain = Action::SetDrained { instances: names(&["a"]), is_drained: true };
    let run = Action::RunCommand { command: allowed(), arguments: Vec::new() };
    let mut table = String::new();
    for (term, action) in [(3, &drain), (5, &drain), (4, &drain), (4, &run), (5, &drain)] {
        let request = ActRequest { term: Term(term), ..order(action.clone()) };
        let report = actuators.act(&target, &request).await;
        table.push_str(&format!("term {term}: {}\n", show_report(&report)));
    }
    let request = ActRequest {
        term: Term(9),
        target: TargetId::new("search").unwrap(),
        ..order(drain.clone())
    };
    table.push_str(&show_report(&actuators.act(&target, &request).await));
    expect![[r#"
        term 3: done: haproxy
        term 5: done: haproxy
        term 4: rejected: term 4 is older than term 5; a newer daemon has taken over
        term 4: rejected: term 4 is older than term 5; a newer daemon has taken over
        term 5: done: haproxy
        rejected: the action is for target `search` and came with `checkout-api`; this is a fault of the agent"#]].assert_eq(&table);
    assert_eq!(haproxy.asked.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_hangs_is_given_up() {
    let haproxy = Arc::new(Fake { platform: "haproxy", hangs: true, ..Fake::default() });
    let actuators = of(&[&haproxy]);
    let target = split();
    let mut table = String::new();
    table.push_str(&show_seen(&actuators.look(&target, &LookAt::Traffic).await));
    for instances in [&["a"][..], &["a", "b", "c"][..]] {
        let drain = Action::SetDrained { instances: names(instances), is_drained: true };
        let report = actuators.act(&target, &order(drain)).await;
        table.push_str(&format!("\n{}", show_report(&report)));
    }
    expect![[r#"
        haproxy was not read within 10 s; the platform is slow or there are too many at once
        unknown: `haproxy` has not answered within 16 s
        unknown: `haproxy` has not answered within 26 s"#]]
    .assert_eq(&table);
}

#[cfg(feature = "simulated")]
mod region {
    use super::*;
    use evenkeel_sim::region::Region as SimulatedRegion;
    use evenkeel_sim::scenario::{DEMO, Scenario, ScenarioKind};

    #[tokio::test]
    async fn the_demos_region_says_that_it_has_nothing_to_act_on() {
        let scenario = Scenario::parse("demo.yaml", DEMO).unwrap();
        let ScenarioKind::Region(scenario) = scenario.kind else { unreachable!("it is a region") };
        let region = SimulatedRegion::from_scenario(&scenario, 7, crate::common::now()).unwrap();
        let settings = ActuatorSettings {
            region: Some(Arc::new(Mutex::new(region))),
            ..ActuatorSettings::default()
        };
        let actuators = Actuators::new(&settings, clock()).await.unwrap();
        let here = ActuatorRef::Simulated { service: "checkout".to_owned() };
        let target = target_with(everywhere(&here));
        let drain = Action::SetDrained { instances: names(&["a"]), is_drained: true };
        let seen = show_seen(&actuators.look(&target, &LookAt::Traffic).await);
        let report = show_report(&actuators.act(&target, &order(drain)).await);
        expect![[r#"
            cannot ask for simulated service `checkout`: this region has no instances, weights, revisions or tenants to act on
            rejected: simulated service `checkout` cannot drain: this region has no instances, weights, revisions or tenants to act on"#]].assert_eq(&format!("{seen}\n{report}"));
    }
}
