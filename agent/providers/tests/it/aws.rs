//! Auto Scaling groups and ECS services on moto's server, with a proxy that loses,
//! delays and forges its answers.
//!
//! In: requests to set and to read.
//! Out: how they end, and what AWS would say then.
//! Not here: what each error code means (a table beside the code).

use std::time::{Duration, Instant};

use crate::common::{providers, read, request, show_reading, show_report, target};
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::ids::TargetId;
use evenkeel_core::units::Capacity;
use evenkeel_providers::{AwsSettings, ProviderSettings, Providers};
use evenkeel_testbed::moto::{ACCESS_KEY, REGION, SECRET_KEY};
use evenkeel_testbed::{Moto, Proxy, free_port};
use expect_test::{Expect, expect};
use tempfile::NamedTempFile;

/// Short where a test waits for it; otherwise far longer than moto needs.
const CALL: Duration = Duration::from_millis(1_500);
const LONG: Duration = Duration::from_secs(60);

const SET: &str = "Action=SetDesiredCapacity";
const DESCRIBE: &str = "Action=DescribeAutoScalingGroups";
const UPDATE: &str = "UpdateService";

/// Settings for `endpoint`, with credentials from a file as in production.
fn settings(endpoint: &str, call_timeout: Duration) -> (ProviderSettings, NamedTempFile) {
    let credentials = NamedTempFile::new().unwrap();
    let text = format!(
        "[testbed]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    std::fs::write(credentials.path(), text).unwrap();
    let aws = AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint_url: Some(endpoint.to_owned()),
        profile: Some("testbed".to_owned()),
        credentials_file: Some(credentials.path().to_owned()),
    };
    let settings = ProviderSettings {
        aws: Some(aws),
        call_timeout,
        read_deadline: call_timeout,
        ..ProviderSettings::default()
    };
    (settings, credentials)
}

struct World {
    moto: &'static Moto,
    proxy: Proxy,
    providers: Providers,
    _credentials: NamedTempFile,
}

async fn world(call_timeout: Duration) -> World {
    let moto = Moto::shared();
    let proxy = Proxy::start(moto.url());
    let (settings, credentials) = settings(&proxy.url(), call_timeout);
    let providers = providers(&settings).await;
    World { moto, proxy, providers, _credentials: credentials }
}

fn group(name: &str) -> ProviderRef {
    ProviderRef::AwsAutoScalingGroup { group: name.to_owned() }
}

fn service(cluster: &str, service: &str) -> ProviderRef {
    ProviderRef::AwsEcsService { cluster: cluster.to_owned(), service: service.to_owned() }
}

/// Request ids differ from run to run.
fn masked(text: &str) -> String {
    const BEFORE: &str = "request id ";
    match text.split_once(BEFORE) {
        None => text.to_owned(),
        Some((start, rest)) => {
            let id = rest.chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '-');
            let n = id.count();
            assert!(0 < n, "an empty request id in {text}");
            format!("{start}{BEFORE}ID{}", &rest[n..])
        }
    }
}

impl World {
    async fn check_set(&self, reference: &ProviderRef, from: u32, to: u32, expected: &Expect) {
        let report = self.providers.set_capacity(&request(reference, from, to)).await;
        let has = match reference {
            ProviderRef::AwsAutoScalingGroup { group } => self.moto.desired_capacity(group),
            ProviderRef::AwsEcsService { cluster, service } => {
                self.moto.desired_count(cluster, service)
            }
            ProviderRef::Webhook { .. } | ProviderRef::Simulated { .. } => unreachable!(),
        };
        expected.assert_eq(&format!("{}\nAWS has {has}", masked(&show_report(&report))));
    }

    async fn check_read(&self, reference: &ProviderRef, expected: &Expect) {
        expected.assert_eq(&masked(&show_reading(&read(&self.providers, reference).await)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_read_set_and_read_again() {
    let world = world(LONG).await;
    world.moto.create_auto_scaling_group("plain", 1, 10, 5);
    let plain = group("plain");
    world.check_read(&plain, &expect!["5, 5 ready"]).await;
    world
        .check_set(
            &plain,
            5,
            8,
            &expect![[r#"
        done: desired capacity of Auto Scaling group `plain` set to 8 (request id ID)
        AWS has 8"#]],
        )
        .await;
    world.check_read(&plain, &expect!["8, 8 ready"]).await;
    world
        .check_set(
            &plain,
            8,
            2,
            &expect![[r#"
        done: desired capacity of Auto Scaling group `plain` set to 2 (request id ID)
        AWS has 2"#]],
        )
        .await;
    let sent = world.proxy.requests_matching(SET);
    assert!(sent[0].contains("HonorCooldown=false"), "{}", sent[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_read_set_and_read_again() {
    let world = world(LONG).await;
    world.moto.create_ecs_service("plain", "web", 3);
    let web = service("plain", "web");
    // What moto says of running tasks depends on how often it was asked.
    let current = async || read(&world.providers, &web).await.unwrap().current;
    assert_eq!(current().await, Capacity(3));
    world
        .check_set(
            &web,
            3,
            4,
            &expect![[r#"
        done: desired count of ECS service `web` of cluster `plain` set to 4 (request id ID)
        AWS has 4"#]],
        )
        .await;
    assert_eq!(current().await, Capacity(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_somebody_else_rejects_the_request() {
    let world = world(LONG).await;
    world.moto.create_auto_scaling_group("moved", 1, 10, 5);
    world.moto.set_desired_capacity("moved", 7);
    world
        .check_set(
            &group("moved"),
            5,
            9,
            &expect![[r#"
        rejected: current capacity is 7, the decision was made on 5
        AWS has 7"#]],
        )
        .await;
    world.moto.create_ecs_service("moved", "web", 5);
    world.moto.set_desired_count("moved", "web", 7);
    world
        .check_set(
            &service("moved", "web"),
            5,
            9,
            &expect![[r#"
        rejected: current capacity is 7, the decision was made on 5
        AWS has 7"#]],
        )
        .await;
    assert_eq!(world.proxy.count_matching(SET) + world.proxy.count_matching(UPDATE), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_own_bounds_are_kept() {
    let world = world(LONG).await;
    world.moto.create_auto_scaling_group("bounded", 2, 10, 5);
    let bounded = group("bounded");
    world
        .check_set(
            &bounded,
            5,
            11,
            &expect![[r#"
        rejected: 11 is outside the group's own bounds 2..=10; change them in AWS, or the target's
        AWS has 5"#]],
        )
        .await;
    world
        .check_set(
            &bounded,
            5,
            1,
            &expect![[r#"
        rejected: 1 is outside the group's own bounds 2..=10; change them in AWS, or the target's
        AWS has 5"#]],
        )
        .await;
    world.check_set(&bounded, 5, u32::MAX, &expect![[r#"
        rejected: 4294967295 is outside the group's own bounds 2..=10; change them in AWS, or the target's
        AWS has 5"#]]).await;
    assert_eq!(world.proxy.count_matching(SET), 0);
    world
        .check_set(
            &bounded,
            5,
            10,
            &expect![[r#"
        done: desired capacity of Auto Scaling group `bounded` set to 10 (request id ID)
        AWS has 10"#]],
        )
        .await;
    world
        .check_set(
            &bounded,
            10,
            2,
            &expect![[r#"
        done: desired capacity of Auto Scaling group `bounded` set to 2 (request id ID)
        AWS has 2"#]],
        )
        .await;
    world.moto.create_ecs_service("bounded", "web", 5);
    world
        .check_set(
            &service("bounded", "web"),
            5,
            u32::MAX,
            &expect![[r#"
        rejected: 4294967295 is above 2147483647, the most that AWS can be told
        AWS has 5"#]],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_named() {
    let world = world(LONG).await;
    world.check_read(&group("no-such-group"), &expect!["there is no Auto Scaling group `no-such-group`; compare the name, the region and the account with the daemon's"]).await;
    world
        .check_read(&group(""), &expect!["cannot ask for Auto Scaling group ``: its name is empty"])
        .await;
    world
        .check_read(
            &group("a\nb"),
            &expect!["cannot ask for Auto Scaling group `a b`: its name has a control character"],
        )
        .await;
    world.check_read(&service("no-such-cluster", "web"), &expect!["cannot read ECS service `web` of cluster `no-such-cluster`: ClusterNotFoundException: Cluster not found. (HTTP 400, request id ID)"]).await;
    world.moto.create_ecs_service("existing", "web", 1);
    world.check_read(&service("existing", "no-such-service"), &expect!["there is no ECS service `no-such-service` of cluster `existing`; compare the names, the region and the account with the daemon's"]).await;
    for nowhere in [group("no-such-group"), service("existing", "no-such-service")] {
        let report = world.providers.set_capacity(&request(&nowhere, 1, 2)).await;
        assert!(show_report(&report).starts_with("rejected: there is no "), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn error_answers_to_a_change_are_rejected_or_unknown_and_sent_once() {
    let world = world(LONG).await;
    world.moto.create_auto_scaling_group("failing", 1, 10, 5);
    let failing = group("failing");
    let mut table = String::new();
    for (status, code) in [
        (400, "Throttling"),
        (400, "RequestLimitExceeded"),
        (400, "ScalingActivityInProgress"),
        (500, "ResourceContention"),
        (400, "ValidationError"),
        (403, "AccessDenied"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ] {
        world.proxy.answer_aws_error(SET, 1, status, code);
        let before = world.proxy.count_matching(SET);
        let report = world.providers.set_capacity(&request(&failing, 5, 6)).await;
        assert_eq!(world.proxy.count_matching(SET), before + 1, "{code} was sent again");
        table.push_str(&masked(&show_report(&report)));
        table.push('\n');
    }
    for (status, body) in
        [(502, "<html>bad gateway</html>"), (200, "<html>log in</html>"), (200, "")]
    {
        world.proxy.answer(SET, 1, status, body);
        let before = world.proxy.count_matching(SET);
        let report = world.providers.set_capacity(&request(&failing, 5, 6)).await;
        assert_eq!(world.proxy.count_matching(SET), before + 1, "{status} was sent again");
        table.push_str(&format!("{status} `{body}`: {}\n", masked(&show_report(&report))));
    }
    expect![[r#"
        rejected: refused: Throttling: told to (HTTP 400)
        rejected: refused: RequestLimitExceeded: told to (HTTP 400)
        rejected: refused: ScalingActivityInProgress: told to (HTTP 400)
        rejected: refused: ResourceContention: told to (HTTP 500)
        rejected: refused: ValidationError: told to (HTTP 400)
        rejected: refused: AccessDenied: told to (HTTP 403)
        unknown: it may have happened or not: InternalFailure: told to (HTTP 500)
        unknown: it may have happened or not: ServiceUnavailable: told to (HTTP 503)
        502 `<html>bad gateway</html>`: unknown: it may have happened or not: an answer that is none of AWS's: unhandled error: Error (HTTP 502)
        200 `<html>log in</html>`: unknown: it may have happened or not: a success without AWS's request id; is that really AWS?
        200 ``: unknown: it may have happened or not: a success without AWS's request id; is that really AWS?
    "#]].assert_eq(&table);
    assert_eq!(world.moto.desired_capacity("failing"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn error_answers_of_ecs_are_rejected_or_unknown_and_sent_once() {
    let world = world(LONG).await;
    world.moto.create_ecs_service("failing", "web", 5);
    let web = service("failing", "web");
    let mut table = String::new();
    for (status, code) in [
        (400, "ThrottlingException"),
        (400, "AccessDeniedException"),
        (400, "ClusterNotFoundException"),
        (400, "ServiceNotFoundException"),
        (400, "ServiceNotActiveException"),
        (400, "InvalidParameterException"),
        (500, "ServerException"),
    ] {
        let body = format!("{{\"__type\":\"{code}\",\"message\":\"told to\"}}");
        world.proxy.answer(UPDATE, 1, status, body);
        let before = world.proxy.count_matching(UPDATE);
        let report = world.providers.set_capacity(&request(&web, 5, 6)).await;
        assert_eq!(world.proxy.count_matching(UPDATE), before + 1, "{code} was sent again");
        table.push_str(&masked(&show_report(&report)));
        table.push('\n');
    }
    expect![[r#"
        rejected: refused: ThrottlingException: told to (HTTP 400)
        rejected: refused: AccessDeniedException: told to (HTTP 400)
        rejected: refused: ClusterNotFoundException: told to (HTTP 400)
        rejected: refused: ServiceNotFoundException: told to (HTTP 400)
        rejected: refused: ServiceNotActiveException: told to (HTTP 400)
        rejected: refused: InvalidParameterException: told to (HTTP 400)
        unknown: it may have happened or not: ServerException: told to (HTTP 500)
    "#]]
    .assert_eq(&table);
    assert_eq!(world.moto.desired_count("failing", "web"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_after_acting_is_unknown_and_read_back() {
    let world = world(LONG).await;
    world.moto.create_auto_scaling_group("severed", 1, 10, 5);
    let severed = group("severed");
    world.proxy.sever_after_forwarding(SET, 1);
    world.check_set(&severed, 5, 8, &expect![[r#"
        unknown: it may have happened or not: client error (SendRequest): connection closed before message completed
        AWS has 8"#]]).await;
    world.check_read(&severed, &expect!["8, 8 ready"]).await;
    assert_eq!(world.proxy.count_matching(SET), 1, "it was not sent again");

    world.moto.create_ecs_service("severed", "web", 5);
    let web = service("severed", "web");
    world.proxy.sever_after_forwarding(UPDATE, 1);
    world.check_set(&web, 5, 8, &expect![[r#"
        unknown: it may have happened or not: client error (SendRequest): connection closed before message completed
        AWS has 8"#]]).await;
    let reading = read(&world.providers, &web).await.unwrap();
    assert_eq!(reading.current, Capacity(8));
    assert_eq!(world.proxy.count_matching(UPDATE), 1, "it was not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_in_time_is_unknown() {
    let world = world(CALL).await;
    world.moto.create_auto_scaling_group("slow", 1, 10, 5);
    let slow = group("slow");
    world.proxy.hold_responses_matching(SET);
    let started = Instant::now();
    let report = world.providers.set_capacity(&request(&slow, 5, 8)).await;
    let waited = started.elapsed();
    expect!["unknown: it may have happened or not: request has timed out: operation timeout (all attempts including retries) occurred after 1.5s"].assert_eq(&show_report(&report));
    assert!(CALL <= waited && waited < 3 * CALL, "{waited:?}");
    world.proxy.release();
    assert_eq!(world.moto.desired_capacity("slow"), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_change_is_sent_is_rejected() {
    let world = world(CALL).await;
    world.moto.create_auto_scaling_group("unread", 1, 10, 5);
    let unread = group("unread");
    world.proxy.hold_responses_matching(DESCRIBE);
    world.check_set(&unread, 5, 8, &expect![[r#"
        rejected: nothing was sent, because the group could not be read: no usable answer about Auto Scaling group `unread`: request has timed out: operation timeout (all attempts including retries) occurred after 1.5s
        AWS has 5"#]]).await;
    world.check_read(&unread, &expect!["Auto Scaling group `unread` was not read within 1.5 s; the platform is slow or there are too many at once"]).await;
    world.proxy.release();
    world.proxy.answer_aws_error(DESCRIBE, 1, 403, "AccessDenied");
    world.check_set(&unread, 5, 8, &expect![[r#"
        rejected: nothing was sent, because the group could not be read: cannot read Auto Scaling group `unread`: AccessDenied: told to (HTTP 403)
        AWS has 5"#]]).await;
    assert_eq!(world.proxy.count_matching(SET), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_refused_is_rejected() {
    let moto = Moto::shared();
    moto.create_auto_scaling_group("refused", 1, 10, 5);
    let url = format!("http://127.0.0.1:{}", free_port());
    let (settings, _credentials) = settings(&url, LONG);
    let providers = providers(&settings).await;
    let report = providers.set_capacity(&request(&group("refused"), 5, 8)).await;
    let shown = show_report(&report);
    assert!(shown.starts_with("rejected: nothing was sent"), "{shown}");
    assert!(shown.to_lowercase().contains("connection refused"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_try_again_when_aws_is_busy() {
    let world = world(LONG).await;
    world.moto.create_auto_scaling_group("busy", 1, 10, 5);
    world.proxy.answer_aws_error(DESCRIBE, 1, 400, "Throttling");
    world.check_read(&group("busy"), &expect!["5, 5 ready"]).await;
    assert_eq!(world.proxy.count_matching(DESCRIBE), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_targets_are_read_with_few_requests_in_the_order_asked() {
    let world = world(LONG).await;
    let mut targets: Vec<(TargetId, ProviderRef)> = Vec::new();
    for n in 0..3 {
        world.moto.create_auto_scaling_group(&format!("many-{n}"), 0, 10, n);
    }
    for n in (0..150).rev() {
        targets.push((target(&format!("group-{n}")), group(&format!("many-{n}"))));
    }
    for n in 0..12 {
        world.moto.create_ecs_service("many", &format!("web-{n}"), n);
        targets.push((target(&format!("service-{n}")), service("many", &format!("web-{n}"))));
    }
    // Two targets of one group: asked once, told twice.
    targets.push((target("again"), group("many-2")));
    let readings = world.providers.read(&targets).await;
    let asked: Vec<&TargetId> = targets.iter().map(|it| &it.0).collect();
    let told: Vec<&TargetId> = readings.iter().map(|it| &it.0).collect();
    assert_eq!(asked, told);
    let shown: Vec<String> = readings
        .iter()
        .filter_map(|(target, reading)| {
            reading.as_ref().ok().map(|it| format!("{target}: {}", it.current))
        })
        .collect();
    expect![[r#"
        group-2: 2
        group-1: 1
        group-0: 0
        service-0: 0
        service-1: 1
        service-2: 2
        service-3: 3
        service-4: 4
        service-5: 5
        service-6: 6
        service-7: 7
        service-8: 8
        service-9: 9
        service-10: 10
        service-11: 11
        again: 2"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(world.proxy.count_matching(DESCRIBE), 2, "100 groups and 50");
    assert_eq!(world.proxy.count_matching("DescribeServices"), 2, "10 services and 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_active_service_with_a_count_has_a_capacity() {
    let world = world(LONG).await;
    let web = service("told", "web");
    let mut table = String::new();
    for (status, strategy) in [
        ("ACTIVE", "REPLICA"),
        ("ACTIVE", "DAEMON"),
        ("DRAINING", "REPLICA"),
        ("INACTIVE", "REPLICA"),
    ] {
        let described = format!(
            "{{\"failures\":[],\"services\":[{{\"serviceName\":\"web\",\"status\":\"{status}\",\
             \"schedulingStrategy\":\"{strategy}\",\"desiredCount\":5,\"runningCount\":3}}]}}"
        );
        world.proxy.answer("DescribeServices", 2, 200, described);
        let reading = read(&world.providers, &web).await;
        // An expectation that is wrong keeps the active one from being set.
        let report = world.providers.set_capacity(&request(&web, 0, 1)).await;
        let (reading, report) = (show_reading(&reading), show_report(&report));
        table.push_str(&format!("{status} {strategy}\n  read {reading}\n  set {report}\n"));
    }
    expect![[r#"
        ACTIVE REPLICA
          read 5, 3 ready
          set rejected: current capacity is 5, the decision was made on 0
        ACTIVE DAEMON
          read ECS service `web` of cluster `told` runs one task per instance and has no desired count; remove the target or point it elsewhere
          set rejected: ECS service `web` of cluster `told` runs one task per instance and has no desired count; remove the target or point it elsewhere
        DRAINING REPLICA
          read ECS service `web` of cluster `told` is draining; remove the target or point it elsewhere
          set rejected: ECS service `web` of cluster `told` is draining; remove the target or point it elsewhere
        INACTIVE REPLICA
          read ECS service `web` of cluster `told` is inactive; remove the target or point it elsewhere
          set rejected: ECS service `web` of cluster `told` is inactive; remove the target or point it elsewhere
    "#]].assert_eq(&table);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_of_aws_is_no_absence_and_no_success() {
    let world = world(LONG).await;
    world.moto.create_ecs_service("portal", "web", 5);
    let mut table = String::new();
    for body in ["<html>log in</html>", "{}", ""] {
        for (text, reference) in
            [(DESCRIBE, group("portal")), ("DescribeServices", service("portal", "web"))]
        {
            world.proxy.answer(text, 1, 200, body);
            let reading = read(&world.providers, &reference).await;
            table.push_str(&format!("`{body}`: {}\n", show_reading(&reading)));
        }
        world.proxy.answer(UPDATE, 1, 200, body);
        let report = world.providers.set_capacity(&request(&service("portal", "web"), 5, 6)).await;
        table.push_str(&format!("`{body}`: {}\n", show_report(&report)));
    }
    let id = [("x-amzn-requestid", "told")];
    for body in [r#"{"service":{"serviceName":"web","desiredCount":7}}"#, "{}"] {
        world.proxy.answer_with_headers(UPDATE, 1, 200, &id, body);
        let report = world.providers.set_capacity(&request(&service("portal", "web"), 5, 6)).await;
        table.push_str(&format!("`{body}`: {}\n", show_report(&report)));
    }
    expect![[r#"
        `<html>log in</html>`: no usable answer about Auto Scaling group `portal`: an answer that is none of AWS's: unhandled error: error parsing XML: invalid root, expected DescribeAutoScalingGroupsResponse got StartEl { name: Name { prefix: "", local: "html" }, attributes: [], closed: false, depth: 0 } (HTTP 200)
        `<html>log in</html>`: no usable answer about ECS service `web` of cluster `portal`: an answer that is none of AWS's: unhandled error: Error at offset 0: unexpected token '<'. Expected one of '{', '[', '"', 'null', 'true', 'false', <number> (HTTP 200)
        `<html>log in</html>`: unknown: it may have happened or not: an answer that is none of AWS's: unhandled error: Error at offset 0: unexpected token '<'. Expected one of '{', '[', '"', 'null', 'true', 'false', <number> (HTTP 200)
        `{}`: no usable answer about Auto Scaling group `portal`: an answer that is none of AWS's: unhandled error: error parsing XML: no root element (HTTP 200)
        `{}`: no usable answer about ECS service `web` of cluster `portal`: the answer describes 0 services and misses 0, of 1
        `{}`: unknown: it may have happened or not: a success without AWS's request id; is that really AWS?
        ``: no usable answer about Auto Scaling group `portal`: an answer that is none of AWS's: unhandled error: error parsing XML: no root element (HTTP 200)
        ``: no usable answer about ECS service `web` of cluster `portal`: the answer describes 0 services and misses 0, of 1
        ``: unknown: it may have happened or not: a success without AWS's request id; is that really AWS?
        `{"service":{"serviceName":"web","desiredCount":7}}`: unknown: it may have happened or not: asked for 6, AWS confirms 7 (request id told)
        `{}`: unknown: it may have happened or not: asked for 6, AWS confirms nothing (request id told)
    "#]].assert_eq(&table);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_instances_that_serve_are_ready() {
    let world = world(LONG).await;
    let instance = |state: &str, health: &str, weight: &str| {
        format!(
            "<member><InstanceId>i-1</InstanceId><LifecycleState>{state}</LifecycleState>\
             <HealthStatus>{health}</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn>\
             {weight}</member>"
        )
    };
    let weight = "<WeightedCapacity>3</WeightedCapacity>";
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
    let told = group("told");
    let states = [
        instance("InService", "Healthy", ""),
        instance("InService", "HEALTHY", ""),
        instance("InService", "Unhealthy", ""),
        instance("Pending", "Healthy", ""),
        instance("Standby", "Healthy", ""),
        instance("Warmed:Running", "Healthy", ""),
        instance("Terminating:Wait", "Healthy", ""),
    ];
    world.proxy.answer(DESCRIBE, 1, 200, described(&states, ""));
    world.check_read(&told, &expect!["6, 2 ready"]).await;
    let weighted =
        [instance("InService", "Healthy", weight), instance("Pending", "Healthy", weight)];
    world.proxy.answer(DESCRIBE, 1, 200, described(&weighted, ""));
    world.check_read(&told, &expect!["6, 3 ready"]).await;
    let vcpus = "<DesiredCapacityType>vcpu</DesiredCapacityType>";
    world.proxy.answer(DESCRIBE, 1, 200, described(&states, vcpus));
    world.check_read(&told, &expect!["6, ? ready"]).await;
    let deleting = "<Status>Delete in progress</Status>";
    world.proxy.answer(DESCRIBE, 2, 200, described(&states, deleting));
    world.check_read(&told, &expect!["Auto Scaling group `told` is being deleted; remove the target or point it elsewhere"]).await;
    let report = world.providers.set_capacity(&request(&told, 6, 7)).await;
    expect!["rejected: Auto Scaling group `told` is being deleted; remove the target or point it elsewhere"].assert_eq(&show_report(&report));
}

#[tokio::test]
async fn an_endpoint_that_credentials_must_not_go_to_is_refused() {
    let (settings, _credentials) = settings("http://aws.example", LONG);
    let error = Providers::new(&settings, crate::common::clock()).await.unwrap_err();
    expect!["AWS endpoint `http://aws.example` cannot be used: plain `http://` is for loopback only; write `https://`"].assert_eq(&error.to_string());
}
