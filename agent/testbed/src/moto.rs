//! moto's server: AWS, as far as it answers in a test.
//!
//! In: groups and services to create, changes behind the agent's back.
//! Out: an endpoint URL, and what AWS would say the capacity is.
//! Not here: bounds and delays. moto takes any capacity at once, so a test of a guard
//! must not rely on it; throttling and lost answers come from a [`Proxy`](crate::Proxy).

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::process::{Process, Program};
use crate::prometheus::percent_encoded;

/// The region everything is created in; also the one to give the SDK.
pub const REGION: &str = "eu-central-1";
/// Access key and secret to give the SDK; moto takes any.
pub const ACCESS_KEY: &str = "testing";
/// See [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "testing";

/// Made by `make test-parts`.
const SERVER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-parts/venv/bin/moto_server");

/// It is up in a second; its imports take long when the disk is cold and cores are busy.
const READY: Duration = Duration::from_secs(90);

/// The launch configuration that every group uses.
const LAUNCH: &str = "testbed";

/// A running moto server; killed when dropped.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    url: String,
}

impl Moto {
    /// Starts one on a free port and returns once it answers.
    ///
    /// # Panics
    ///
    /// When it is not installed or not ready within 90 s.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        assert!(
            Path::new(SERVER).is_file(),
            "moto_server is not installed; run `make test-parts` (pip install 'moto[server]' \
             into target/test-parts/venv)"
        );
        let on = |port: u16| {
            Program::new(SERVER)
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                // Groups start instances; these spare it looking images up.
                .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
                .env("PYTHONUNBUFFERED", "1")
        };
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (process, port) = Process::start_listening(READY, on, |port| {
            http::get(&format!("{}/moto-api/data.json", url(port))).is_ok_and(|it| it.status == 200)
        });
        let moto = Self { process, url: url(port) };
        moto.create_launch_configuration();
        moto
    }

    /// One for all tests of this process (it takes a second and 255 MB to start): give
    /// groups and clusters names of your own, and do not [`reset`](Self::reset) it.
    ///
    /// # Panics
    ///
    /// As [`Moto::start`].
    #[must_use]
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The endpoint URL for an SDK.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Forgets everything created so far.
    ///
    /// # Panics
    ///
    /// When moto does not answer.
    #[track_caller]
    pub fn reset(&self) {
        self.send("/moto-api/reset", &[], "");
        self.create_launch_configuration();
    }

    /// Creates an Auto Scaling group; its instances are in service at once.
    ///
    /// # Panics
    ///
    /// When moto refuses, for example because it exists.
    #[track_caller]
    pub fn create_auto_scaling_group(&self, name: &str, min: u32, max: u32, desired: u32) {
        self.autoscaling(
            "CreateAutoScalingGroup",
            &[
                ("AutoScalingGroupName", name),
                ("LaunchConfigurationName", LAUNCH),
                ("MinSize", &min.to_string()),
                ("MaxSize", &max.to_string()),
                ("DesiredCapacity", &desired.to_string()),
                ("AvailabilityZones.member.1", &format!("{REGION}a")),
            ],
        );
    }

    /// Changes a group's desired capacity, as somebody else would.
    ///
    /// # Panics
    ///
    /// When moto refuses.
    #[track_caller]
    pub fn set_desired_capacity(&self, group: &str, desired: u32) {
        let desired = desired.to_string();
        self.autoscaling(
            "SetDesiredCapacity",
            &[("AutoScalingGroupName", group), ("DesiredCapacity", &desired)],
        );
    }

    /// Changes a group's own bounds.
    ///
    /// # Panics
    ///
    /// When moto refuses.
    #[track_caller]
    pub fn set_bounds(&self, group: &str, min: u32, max: u32) {
        let (min, max) = (min.to_string(), max.to_string());
        self.autoscaling(
            "UpdateAutoScalingGroup",
            &[("AutoScalingGroupName", group), ("MinSize", &min), ("MaxSize", &max)],
        );
    }

    /// Deletes a group with its instances.
    ///
    /// # Panics
    ///
    /// When moto refuses.
    #[track_caller]
    pub fn delete_auto_scaling_group(&self, group: &str) {
        self.autoscaling(
            "DeleteAutoScalingGroup",
            &[("AutoScalingGroupName", group), ("ForceDelete", "true")],
        );
    }

    /// A group's desired capacity.
    ///
    /// # Panics
    ///
    /// When there is no such group.
    #[must_use]
    #[track_caller]
    pub fn desired_capacity(&self, group: &str) -> u32 {
        let answer = self.describe(group);
        text_between(&answer, "<DesiredCapacity>", "<")
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("moto knows no group `{group}`: {answer}"))
    }

    /// How many instances of a group are in service.
    ///
    /// # Panics
    ///
    /// When moto does not answer.
    #[must_use]
    #[track_caller]
    pub fn instances_in_service(&self, group: &str) -> usize {
        self.describe(group).matches("<LifecycleState>InService<").count()
    }

    /// Creates an ECS service, and its cluster and task definition where missing.
    ///
    /// # Panics
    ///
    /// When moto refuses, for example because it exists.
    #[track_caller]
    pub fn create_ecs_service(&self, cluster: &str, service: &str, desired: u32) {
        self.ecs("CreateCluster", &json!({ "clusterName": cluster }));
        let container = json!({ "name": "main", "image": "testbed", "memory": 64, "cpu": 64 });
        self.ecs(
            "RegisterTaskDefinition",
            &json!({ "family": "testbed", "containerDefinitions": [container] }),
        );
        self.ecs(
            "CreateService",
            &json!({
                "cluster": cluster,
                "serviceName": service,
                "taskDefinition": "testbed",
                "desiredCount": desired,
            }),
        );
    }

    /// Changes a service's desired count, as somebody else would.
    ///
    /// # Panics
    ///
    /// When moto refuses.
    #[track_caller]
    pub fn set_desired_count(&self, cluster: &str, service: &str, desired: u32) {
        let change = json!({ "cluster": cluster, "service": service, "desiredCount": desired });
        self.ecs("UpdateService", &change);
    }

    /// A service's desired count.
    ///
    /// # Panics
    ///
    /// When there is no such service.
    #[must_use]
    #[track_caller]
    pub fn desired_count(&self, cluster: &str, service: &str) -> u32 {
        let answer =
            self.ecs("DescribeServices", &json!({ "cluster": cluster, "services": [service] }));
        answer["services"][0]["desiredCount"]
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_else(|| panic!("moto knows no service `{cluster}/{service}`: {answer}"))
    }

    /// Made before any test asks: of two tests that find it missing, one would fail.
    #[track_caller]
    fn create_launch_configuration(&self) {
        self.autoscaling(
            "CreateLaunchConfiguration",
            &[
                ("LaunchConfigurationName", LAUNCH),
                ("ImageId", "ami-12345678"),
                ("InstanceType", "t3.micro"),
            ],
        );
    }

    #[track_caller]
    fn describe(&self, group: &str) -> String {
        self.autoscaling("DescribeAutoScalingGroups", &[("AutoScalingGroupNames.member.1", group)])
    }

    /// Speaks the AWS query protocol.
    #[track_caller]
    fn autoscaling(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = format!("Action={action}&Version=2011-01-01");
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", percent_encoded(value)));
        }
        let authorization = authorization("autoscaling");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send("/", &headers, &form)
    }

    /// Speaks AWS JSON 1.1.
    #[track_caller]
    fn ecs(&self, operation: &str, body: &Value) -> Value {
        let operation = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let authorization = authorization("ecs");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", operation.as_str()),
        ];
        let answer = self.send("/", &headers, &body.to_string());
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{operation} gave: {answer}"))
    }

    #[track_caller]
    fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let answer =
            http::send("POST", &format!("{}{path}", self.url), headers, body.as_bytes(), None)
                .unwrap_or_else(|error| panic!("moto does not answer {path} {body}: {error}"));
        let text = answer.text();
        assert!(answer.status == 200, "moto refuses {path} {body}: {} {text}", answer.status);
        text
    }
}

/// moto verifies no signature, but reads from it which service is meant.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=x"
    )
}

fn text_between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}
