//! Instances of Auto Scaling groups, tasks and task definitions of ECS services on moto's
//! server, with a proxy that loses and forges its answers.
//!
//! In: looks and actions.
//! Out: what was seen, how actions end, and what AWS would say then.
//! Not here: capacities (`aws.rs`), what each error code means (a table beside the code).

use std::collections::BTreeSet;

use crate::actuators::{everywhere, order, show_seen, target_with};
use crate::aws::{DESCRIBE, LONG, UPDATE, masked, settings};
use crate::common::{clock, show_report};
use evenkeel_core::action::{Action, LookAt, Seen};
use evenkeel_core::documents::{ActuatorRef, Target};
use evenkeel_core::ids::InstanceName;
use evenkeel_providers::{ActuatorSettings, Actuators, ProviderSettings};
use evenkeel_testbed::moto::{ACCESS_KEY, REGION};
use evenkeel_testbed::{Moto, Proxy, http};
use expect_test::expect;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const TERMINATE: &str = "Action=TerminateInstanceInAutoScalingGroup";
const STOP: &str = "StopTask";

struct World {
    moto: &'static Moto,
    proxy: Proxy,
    actuators: Actuators,
    _credentials: NamedTempFile,
}

async fn world() -> World {
    let moto = Moto::shared();
    let proxy = Proxy::start(moto.url());
    let (settings, credentials) = settings(&proxy.url(), LONG);
    let ProviderSettings { aws, call_timeout, read_deadline, .. } = settings;
    let settings =
        ActuatorSettings { aws, call_timeout, read_deadline, ..ActuatorSettings::default() };
    let actuators = Actuators::new(&settings, clock()).await.unwrap();
    World { moto, proxy, actuators, _credentials: credentials }
}

fn group(name: &str) -> Target {
    target_with(everywhere(&ActuatorRef::AwsAutoScalingGroup { group: name.to_owned() }))
}

fn service(cluster: &str) -> Target {
    let (cluster, service) = (cluster.to_owned(), "web".to_owned());
    target_with(everywhere(&ActuatorRef::AwsEcsService { cluster, service }))
}

fn replace(instances: &[&InstanceName]) -> Action {
    Action::ReplaceInstances { instances: instances.iter().map(|it| (*it).clone()).collect() }
}

impl World {
    async fn names(&self, target: &Target) -> BTreeSet<InstanceName> {
        let seen = self.actuators.look(target, &LookAt::Instances).await.unwrap();
        let Seen::Instances { instances } = seen else { panic!("{seen:?}") };
        instances.into_iter().map(|it| it.name).collect()
    }

    async fn look(&self, target: &Target, at: LookAt) -> String {
        masked(&show_seen(&self.actuators.look(target, &at).await))
    }

    /// The report, with the named instances as A, B, …
    async fn act(&self, target: &Target, action: Action, named: &[&InstanceName]) -> String {
        let report = self.actuators.act(target, &order(action)).await;
        let mut shown = masked(&show_report(&report));
        for (name, letter) in named.iter().zip(["A", "B", "C"]) {
            shown = shown.replace(name.as_str(), letter);
        }
        shown
    }

    /// Speaks to moto behind the agent's back.
    fn ecs(&self, operation: &str, body: &Value) -> Value {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/ecs/aws4_request, \
             SignedHeaders=host, Signature=x"
        );
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target.as_str()),
        ];
        let url = format!("{}/", self.moto.url());
        let answer = http::send("POST", &url, &headers, body.to_string().as_bytes(), None).unwrap();
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
        answer.json()
    }

    /// Starts tasks as the service would, which moto does not.
    fn run_tasks(&self, cluster: &str, service: &str, n: u32) {
        // Otherwise every look moves a task on towards its end.
        let steady = json!({ "model_name": "ecs::task",
            "transition": { "progression": "manual", "times": 1_000_000 } });
        let url = format!("{}/moto-api/state-manager/set-transition", self.moto.url());
        let headers = [("content-type", "application/json")];
        let set = http::send("POST", &url, &headers, steady.to_string().as_bytes(), None).unwrap();
        assert_eq!(set.status, 201);
        self.ecs(
            "RunTask",
            &json!({ "cluster": cluster, "taskDefinition": "testbed", "count": n,
                "launchType": "FARGATE", "group": format!("service:{service}") }),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_ended_once_and_the_group_replaces_it() {
    let world = world().await;
    world.moto.create_auto_scaling_group("replaced", 1, 10, 3);
    let web = group("replaced");
    let before = world.names(&web).await;
    let a = before.first().unwrap();
    expect!["done: 1 of Auto Scaling group `replaced` ended, to be replaced by the group"]
        .assert_eq(&world.act(&web, replace(&[a]), &[a]).await);
    let after = world.names(&web).await;
    assert!(!after.contains(a), "{after:?}");
    assert_eq!((before.len(), after.len()), (3, 3), "{after:?}");
    assert_eq!(world.moto.desired_capacity("replaced"), 3);
    // Again, as after a restart.
    expect!["done: 0 of Auto Scaling group `replaced` ended, to be replaced by the group; 1 not a member (any more)"].assert_eq(&world.act(&web, replace(&[a]), &[a]).await);
    let sent = world.proxy.requests_matching(TERMINATE);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains("ShouldDecrementDesiredCapacity=false"), "{}", sent[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_another_group_is_left_alone() {
    let world = world().await;
    world.moto.create_auto_scaling_group("mine", 1, 10, 1);
    world.moto.create_auto_scaling_group("theirs", 1, 10, 1);
    let theirs = world.names(&group("theirs")).await;
    let a = theirs.first().unwrap();
    expect!["done: 0 of Auto Scaling group `mine` ended, to be replaced by the group; 1 not a member (any more)"].assert_eq(&world.act(&group("mine"), replace(&[a]), &[a]).await);
    assert_eq!(world.names(&group("theirs")).await, theirs);
    assert_eq!(world.proxy.count_matching(TERMINATE), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_cannot_do_is_rejected_with_the_reason() {
    let world = world().await;
    world.moto.create_auto_scaling_group("asked", 1, 10, 1);
    let web = group("asked");
    let members = world.names(&web).await;
    let mut table = String::new();
    for action in [
        Action::RestartInstances { instances: members.clone() },
        Action::SetDrained { instances: members.clone(), is_drained: true },
        Action::SetRevision { revision: "web:1".to_owned() },
    ] {
        let line = world.act(&web, action, &[]).await;
        table.push_str(&format!("{line}\n"));
    }
    for at in [LookAt::Traffic, LookAt::Revision] {
        table.push_str(&format!("{}\n", world.look(&web, at).await));
    }
    for name in ["no-such-group", "", "a\nb"] {
        table.push_str(&format!("{}\n", world.look(&group(name), LookAt::Instances).await));
    }
    let a = members.first().unwrap();
    table.push_str(&world.act(&group("no-such-group"), replace(&[a]), &[a]).await);
    expect![[r#"
        rejected: Auto Scaling group `asked` cannot restart instances in place, AWS offers no such thing for a group; use replace_instances
        rejected: Auto Scaling group `asked` cannot drain; it can replace_instances
        rejected: Auto Scaling group `asked` cannot roll_back; it can replace_instances
        cannot ask for Auto Scaling group `asked`: it serves `actuators.instances` only; point `actuators.traffic` of the target elsewhere
        cannot ask for Auto Scaling group `asked`: it serves `actuators.instances` only; point `actuators.deployment` of the target elsewhere
        there is no Auto Scaling group `no-such-group`; compare the name, the region and the account with the daemon's
        cannot ask for Auto Scaling group ``: its name is empty
        cannot ask for Auto Scaling group `a b`: its name has a control character
        rejected: nothing was sent, because the group could not be read: there is no Auto Scaling group `no-such-group`; compare the name, the region and the account with the daemon's"#]].assert_eq(&table);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_whose_answer_is_lost_is_unknown_and_seen_afterwards() {
    let world = world().await;
    world.moto.create_auto_scaling_group("lost", 1, 10, 3);
    let web = group("lost");
    let members: Vec<InstanceName> = world.names(&web).await.into_iter().collect();
    let [a, b, c] = &members[..] else { panic!("{members:?}") };
    world.proxy.sever_after_forwarding(TERMINATE, 1);
    expect!["unknown: A: it may have happened or not: client error (SendRequest): connection closed before message completed"].assert_eq(&world.act(&web, replace(&[a]), &[a]).await);
    assert!(!world.names(&web).await.contains(a));
    assert_eq!(world.proxy.count_matching(TERMINATE), 1, "it was not sent again");
    // The second of two fails: a part was done.
    world.proxy.clear_rules();
    world.proxy.answer_aws_error(&format!("InstanceId={c}"), 1, 400, "ScalingActivityInProgress");
    expect![
        "unknown: 1 was changed, then at C: refused: ScalingActivityInProgress: told to (HTTP 400)"
    ]
    .assert_eq(&world.act(&web, replace(&[b, c]), &[a, b, c]).await);
    world.proxy.answer_aws_error(TERMINATE, 1, 403, "AccessDenied");
    expect!["rejected: C: refused: AccessDenied: told to (HTTP 403)"]
        .assert_eq(&world.act(&web, replace(&[c]), &[a, b, c]).await);
    assert!(world.names(&web).await.contains(c));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_leave_or_wait_are_no_members() {
    let world = world().await;
    let instance = |id: &str, state: &str, health: &str| {
        format!(
            "<member><InstanceId>i-{id}</InstanceId><AvailabilityZone>eu-central-1a</AvailabilityZone>\
             <LifecycleState>{state}</LifecycleState><HealthStatus>{health}</HealthStatus>\
             <ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>"
        )
    };
    let described = |instances: &[String], more: &str| {
        format!(
            "<DescribeAutoScalingGroupsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
             <DescribeAutoScalingGroupsResult><AutoScalingGroups><member>\
             <AutoScalingGroupName>told</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>20</MaxSize>\
             <DesiredCapacity>6</DesiredCapacity><Instances>{}</Instances>{more}\
             </member></AutoScalingGroups></DescribeAutoScalingGroupsResult>\
             </DescribeAutoScalingGroupsResponse>",
            instances.concat()
        )
    };
    let states = [
        instance("1", "InService", "Healthy"),
        instance("2", "InService", "Unhealthy"),
        instance("3", "Pending:Wait", "Healthy"),
        instance("4", "Standby", "Healthy"),
        instance("5", "EnteringStandby", "Healthy"),
        instance("6", "Terminating:Wait", "Healthy"),
        instance("7", "Terminated", "Healthy"),
        instance("8", "Detaching", "Healthy"),
        instance("9", "Warmed:Running", "Healthy"),
    ];
    let told = group("told");
    world.proxy.answer(DESCRIBE, 1, 200, described(&states, ""));
    expect![[r#"
        i-1: ready, zone eu-central-1a
        i-2: not ready, zone eu-central-1a
        i-3: not ready, zone eu-central-1a
        i-4: not ready, drained, zone eu-central-1a
        i-5: not ready, drained, zone eu-central-1a"#]]
    .assert_eq(&world.look(&told, LookAt::Instances).await);
    // One that leaves already is not ended again.
    world.proxy.answer(DESCRIBE, 1, 200, described(&states, ""));
    let leaving = InstanceName::new("i-6").unwrap();
    expect!["done: 0 of Auto Scaling group `told` ended, to be replaced by the group; 1 not a member (any more)"].assert_eq(&world.act(&told, replace(&[&leaving]), &[]).await);
    assert_eq!(world.proxy.count_matching(TERMINATE), 0);
    let deleting = "<Status>Delete in progress</Status>";
    world.proxy.answer(DESCRIBE, 1, 200, described(&states, deleting));
    expect!["Auto Scaling group `told` is being deleted; remove the target or point it elsewhere"]
        .assert_eq(&world.look(&told, LookAt::Instances).await);
    world.proxy.answer(DESCRIBE, 1, 200, described(&[instance("1 2", "InService", "Healthy")], ""));
    expect!["Auto Scaling group `told` has an instance that the agent cannot name: `i-1 2` contains ' ', the name of an instance has only letters, digits and `-_.@/+:[]%=,#`; remove the target or point it elsewhere"].assert_eq(&world.look(&told, LookAt::Instances).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_the_service_are_stopped_and_those_of_others_are_not() {
    let world = world().await;
    world.moto.create_ecs_service("tasks", "web", 2);
    world.run_tasks("tasks", "web", 2);
    let web = service("tasks");
    let tasks = world.names(&web).await;
    assert_eq!(tasks.len(), 2);
    let a = tasks.first().unwrap();
    expect![
        "done: 1 of ECS service `web` of cluster `tasks` stopped, to be replaced by the service"
    ]
    .assert_eq(&world.act(&web, replace(&[a]), &[a]).await);
    let left = world.names(&web).await;
    assert!(left.len() == 1 && !left.contains(a), "{left:?}");
    expect!["done: 0 of ECS service `web` of cluster `tasks` stopped, to be replaced by the service; 1 not there (any more)"].assert_eq(&world.act(&web, replace(&[a]), &[a]).await);
    assert_eq!(world.proxy.count_matching(STOP), 1);

    world.run_tasks("tasks", "other", 1);
    assert_eq!(world.names(&web).await, left, "the other service's task is not ours");
    let b = left.first().unwrap();
    world.proxy.sever_after_forwarding(STOP, 1);
    let restart = Action::RestartInstances { instances: left.clone() };
    expect!["unknown: A: it may have happened or not: client error (SendRequest): connection closed before message completed"].assert_eq(&world.act(&web, restart, &[b]).await);
    assert_eq!(world.look(&web, LookAt::Instances).await, "no instances");
    expect!["cannot ask for ECS service `web` of cluster `tasks`: it serves `actuators.instances` and `actuators.deployment`; point `actuators.traffic` of the target elsewhere"].assert_eq(&world.look(&web, LookAt::Traffic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_ready_when_it_runs_and_its_check_does_not_fail() {
    let world = world().await;
    world.moto.create_ecs_service("health", "web", 1);
    let task = |id: &str, last: &str, health: &str, desired: &str, group: &str| {
        json!({ "taskArn": format!("arn:aws:ecs:eu-central-1:1:task/health/{id}"),
            "lastStatus": last, "healthStatus": health, "desiredStatus": desired,
            "group": group, "availabilityZone": "eu-central-1b", "startedAt": 1_767_225_600.5 })
    };
    let tasks = [
        task("a1", "RUNNING", "HEALTHY", "RUNNING", "service:web"),
        task("a2", "RUNNING", "UNKNOWN", "RUNNING", "service:web"),
        task("a3", "RUNNING", "UNHEALTHY", "RUNNING", "service:web"),
        task("a4", "PENDING", "UNKNOWN", "RUNNING", "service:web"),
        task("a5", "RUNNING", "HEALTHY", "STOPPED", "service:web"),
        task("a6", "RUNNING", "HEALTHY", "RUNNING", "service:other"),
    ];
    let arns: Vec<&Value> = tasks.iter().map(|it| &it["taskArn"]).collect();
    let web = service("health");
    world.proxy.answer("ListTasks", 1, 200, json!({ "taskArns": arns }).to_string());
    let described = json!({ "tasks": tasks, "failures": [] });
    world.proxy.answer("DescribeTasks", 1, 200, described.to_string());
    expect![[r#"
        a1: ready, zone eu-central-1b, since 2026-01-01T00:00:00.5Z
        a2: ready, zone eu-central-1b, since 2026-01-01T00:00:00.5Z
        a3: not ready, zone eu-central-1b, since 2026-01-01T00:00:00.5Z
        a4: not ready, zone eu-central-1b, since 2026-01-01T00:00:00.5Z"#]]
    .assert_eq(&world.look(&web, LookAt::Instances).await);
    let mut table = String::new();
    for (list, describe) in [
        ("{}", "{}"),
        (r#"{"taskArns":[]}"#, "{}"),
        (r#"{"taskArns":["task/health/a1"]}"#, "{}"),
        (r#"{"taskArns":["task/health/a1"]}"#, r#"{"failures":[{"reason":"MISSING"}]}"#),
    ] {
        world.proxy.answer("ListTasks", 1, 200, list);
        world.proxy.answer("DescribeTasks", 1, 200, describe);
        table.push_str(&format!("{}\n", world.look(&web, LookAt::Instances).await));
        world.proxy.clear_rules();
    }
    table.push_str(&world.look(&service("no-such-cluster"), LookAt::Instances).await);
    expect![[r#"
        no usable answer about ECS service `web` of cluster `health`: the answer has no list of tasks; is that really AWS?
        no instances
        no usable answer about ECS service `web` of cluster `health`: the answer describes 0 tasks and misses 0, of 1
        no instances
        cannot read ECS service `web` of cluster `no-such-cluster`: ClusterNotFoundException: Cluster not found. (HTTP 400, request id ID)"#]].assert_eq(&table);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_back_to_the_active_revision_before() {
    let world = world().await;
    world.ecs("CreateCluster", &json!({ "clusterName": "rolled" }));
    let container = json!({ "name": "main", "image": "testbed", "memory": 64, "cpu": 64 });
    for family in ["rolled", "rolled", "rolled", "rolled-too"] {
        let definition = json!({ "family": family, "containerDefinitions": [container] });
        world.ecs("RegisterTaskDefinition", &definition);
    }
    world.ecs("DeregisterTaskDefinition", &json!({ "taskDefinition": "rolled:2" }));
    world.ecs(
        "CreateService",
        &json!({ "cluster": "rolled", "serviceName": "web", "taskDefinition": "rolled:3",
            "desiredCount": 1 }),
    );
    let web = service("rolled");
    expect!["at rolled:3, before rolled:1"].assert_eq(&world.look(&web, LookAt::Revision).await);
    let mut table = String::new();
    for revision in ["rolled:3", "rolled-too:1", "rolled", "rolled:1; x", "rolled:99", "rolled:1"] {
        let action = Action::SetRevision { revision: revision.to_owned() };
        table.push_str(&format!("{revision}: {}\n", world.act(&web, action, &[]).await));
    }
    expect![[r#"
        rolled:3: done: ECS service `web` of cluster `rolled` is at rolled:3 already
        rolled-too:1: rejected: ECS service `web` of cluster `rolled` runs family `rolled`; `rolled-too:1` is of another one, which a roll-back never is
        rolled: rejected: revision `rolled` is not `FAMILY:NUMBER`, for example `rolled:3`
        rolled:1; x: rejected: revision `rolled:1; x` is not `FAMILY:NUMBER`, for example `rolled:3`
        rolled:99: rejected: refused: ClientException: Unable to describe task definition. (HTTP 400, request id ID)
        rolled:1: done: ECS service `web` of cluster `rolled` deploys rolled:1 (request id ID)
    "#]].assert_eq(&table);
    assert_eq!(world.proxy.count_matching(UPDATE), 2, "rolled:99 and rolled:1");
    let answer =
        world.ecs("DescribeServices", &json!({ "cluster": "rolled", "services": ["web"] }));
    assert_eq!(answer["services"][0]["taskDefinition"], "rolled:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_says_of_a_deployment_is_believed_only_when_it_fits() {
    let world = world().await;
    let web = service("told");
    let described = |deployments: Value| {
        json!({ "failures": [], "services": [{ "serviceName": "web", "status": "ACTIVE",
            "deployments": deployments }] })
        .to_string()
    };
    let arn = "arn:aws:ecs:eu-central-1:1:task-definition/app:1";
    let primary = json!([{ "status": "ACTIVE", "taskDefinition": "app:9" },
        { "status": "PRIMARY", "taskDefinition": arn }]);
    let mut table = String::new();
    // The first revision has none before it.
    world.proxy.answer("DescribeServices", 1, 200, described(primary.clone()));
    world.proxy.answer(
        "ListTaskDefinitions",
        1,
        200,
        json!({ "taskDefinitionArns": [arn] }).to_string(),
    );
    table.push_str(&format!("{}\n", world.look(&web, LookAt::Revision).await));
    for deployments in [json!([]), json!([{ "status": "PRIMARY", "taskDefinition": "app" }])] {
        world.proxy.answer("DescribeServices", 1, 200, described(deployments));
        table.push_str(&format!("{}\n", world.look(&web, LookAt::Revision).await));
    }
    let id = [("x-amzn-requestid", "told")];
    for (with_id, body) in [
        (true, r#"{"service":{"serviceName":"web","taskDefinition":"app:1"}}"#),
        (true, "{}"),
        (false, r#"{"service":{"serviceName":"web","taskDefinition":"app:2"}}"#),
        (
            true,
            r#"{"service":{"serviceName":"web","taskDefinition":"arn:aws:ecs:x:1:task-definition/app:2"}}"#,
        ),
    ] {
        world.proxy.answer("DescribeServices", 1, 200, described(primary.clone()));
        world.proxy.answer_with_headers(UPDATE, 1, 200, if with_id { &id[..] } else { &[] }, body);
        let action = Action::SetRevision { revision: "app:2".to_owned() };
        table.push_str(&format!("{}\n", world.act(&web, action, &[]).await));
    }
    expect![[r#"
        at app:1, before nothing
        ECS service `web` of cluster `told` has no primary deployment, so something other than ECS deploys it; remove the target or point it elsewhere
        no usable answer about ECS service `web` of cluster `told`: task definition `app` is not `FAMILY:NUMBER`
        unknown: it may have happened or not: asked for app:2, AWS confirms app:1 (request id ID)
        unknown: it may have happened or not: asked for app:2, AWS confirms nothing (request id ID)
        unknown: it may have happened or not: a success without AWS's request id; is that really AWS?
        done: ECS service `web` of cluster `told` deploys app:2 (request id ID)
    "#]].assert_eq(&table);
}
