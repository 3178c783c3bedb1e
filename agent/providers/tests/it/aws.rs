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
const CALL: Duration = Duration::from_millis(2_500);
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) const SET: &str = "Action=SetDesiredCapacity";
pub(crate) const DESCRIBE: &str = "Action=DescribeAutoScalingGroups";
pub(crate) const UPDATE: &str = "UpdateService";

/// Settings for `endpoint`, with credentials from a file as in production.
pub(crate) fn settings(
    endpoint: &str,
    call_timeout: Duration,
) -> (ProviderSettings, NamedTempFile) {
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

pub(crate) struct World {
    pub(crate) moto: &'static Moto,
    pub(crate) proxy: Proxy,
    pub(crate) providers: Providers,
    _credentials: NamedTempFile,
}

pub(crate) async fn world(call_timeout: Duration) -> World {
    let moto = Moto::shared();
    let proxy = Proxy::start(moto.url());
    let (settings, credentials) = settings(&proxy.url(), call_timeout);
    let providers = providers(&settings).await;
    World { moto, proxy, providers, _credentials: credentials }
}

pub(crate) fn group(name: &str) -> ProviderRef {
    ProviderRef::AwsAutoScalingGroup { group: name.to_owned() }
}

pub(crate) fn service(cluster: &str, service: &str) -> ProviderRef {
    ProviderRef::AwsEcsService { cluster: cluster.to_owned(), service: service.to_owned() }
}

/// Request ids differ from run to run.
pub(crate) fn masked(text: &str) -> String {
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

    pub(crate) async fn check_read(&self, reference: &ProviderRef, expected: &Expect) {
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
    expect!["unknown: it may have happened or not: no answer in time"]
        .assert_eq(&show_report(&report));
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
        rejected: nothing was sent, because the group could not be read: no usable answer about Auto Scaling group `unread`: no answer in time
        AWS has 5"#]]).await;
    world.check_read(&unread, &expect!["Auto Scaling group `unread` was not read within 2.5 s; the platform is slow or there are too many at once"]).await;
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

#[tokio::test]
async fn an_endpoint_that_credentials_must_not_go_to_is_refused() {
    let (settings, _credentials) = settings("http://aws.example", LONG);
    let error = Providers::new(&settings, crate::common::clock()).await.unwrap_err();
    expect!["AWS endpoint `http://aws.example` cannot be used: plain `http://` is for loopback only; write `https://`"].assert_eq(&error.to_string());
}
