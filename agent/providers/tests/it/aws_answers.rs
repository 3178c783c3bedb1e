//! What AWS's answers mean, told by a proxy in front of moto's server.
//!
//! In: errors, states and bodies that moto never gives.
//! Out: readings and outcomes.
//! Not here: what moto gives itself (`aws.rs`).

use expect_test::expect;

use crate::aws::{DESCRIBE, LONG, SET, UPDATE, group, masked, service, world};
use crate::common::{read, request, show_reading, show_report};

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
