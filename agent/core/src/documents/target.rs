//! `Target`: something with capacity.
//!
//! **In:** a checked document.
//! **Out:** where its capacity is set, between which bounds, at what price.
//! **Not here:** when to change it ([`crate::documents::ScalingPolicy`]).

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::ids::{Labels, Region, TargetId};
use crate::units::Bounds;

/// A target that passed every check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name, unique among all documents.
    pub id: TargetId,
    /// Labels that policies, guardrails and scopes select by.
    pub labels: Labels,
    /// Where it runs. One effect touches one target, hence one region.
    pub region: Region,
    /// Where its capacity is set.
    pub provider: ProviderRef,
    /// Capacity bounds; `min <= max`, `1 <= max`.
    pub bounds: Bounds,
    /// Price of one unit, in US dollars per hour, `>= 0`; `None` when not given.
    pub price_usd_per_hour: Option<f64>,
    /// From asking for capacity to it being ready.
    pub lead_time: LeadTime,
    /// Where playbooks reach it, beside its capacity.
    pub actuators: Actuators,
    /// Targets that it calls: symptoms of both are one incident.
    pub depends_on: Vec<TargetId>,
}

/// Where playbooks reach a target. What is not here, they cannot do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actuators {
    /// Restarts and replaces its instances.
    pub instances: Option<ActuatorRef>,
    /// Sets weights and drains instances.
    pub traffic: Option<ActuatorRef>,
    /// Says and sets the deployed revision.
    pub deployment: Option<ActuatorRef>,
    /// Says and sets the limits of tenants. Left out where there is none, so that plans for
    /// other targets keep the hash that people have approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<ActuatorRef>,
}

/// A way to act on the instances, the traffic, the deployment or the tenants of a target. Closed on
/// purpose: what is not here is reached through `webhook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActuatorRef {
    /// Servers of a HAProxy backend, through its runtime socket. For traffic.
    Haproxy { socket: String, backend: String },
    /// A map file of a HAProxy from tenants to requests per second, through its runtime
    /// socket; `map` is the file's path as HAProxy knows it. For tenants.
    HaproxyMap { socket: String, map: String },
    /// Instances of an AWS Auto Scaling group. For instances.
    AwsAutoScalingGroup { group: String },
    /// An AWS ECS service: its tasks are instances, its task definition the deployment.
    AwsEcsService { cluster: String, service: String },
    /// Any platform that speaks the signed protocol of `webhook` actuators.
    Webhook { url: String, secret_file: String },
    /// A service of the demo's region, in this process.
    Simulated { service: String },
}

impl ActuatorRef {
    /// The platform's name, for messages and metrics labels.
    pub fn platform(&self) -> &'static str {
        match self {
            ActuatorRef::Haproxy { .. } | ActuatorRef::HaproxyMap { .. } => "haproxy",
            ActuatorRef::AwsAutoScalingGroup { .. } => "aws_auto_scaling_group",
            ActuatorRef::AwsEcsService { .. } => "aws_ecs_service",
            ActuatorRef::Webhook { .. } => "webhook",
            ActuatorRef::Simulated { .. } => "simulated",
        }
    }
}

/// From asking for capacity to it being ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadTime {
    /// Learn it from the target's own scale-outs.
    Measure,
    /// As the author says.
    Given(SignedDuration),
}

/// Which platform sets the capacity, and under which name there. Closed on
/// purpose: a platform that is not here is reached through `webhook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderRef {
    /// The desired capacity of an AWS Auto Scaling group.
    AwsAutoScalingGroup { group: String },
    /// The desired count of an AWS ECS service.
    AwsEcsService { cluster: String, service: String },
    /// Any platform that answers GET (current) and PUT (desired).
    Webhook {
        /// `https://…`, or `http://` on loopback.
        url: String,
        /// File that holds the HMAC key. The key itself is never in a document.
        secret_file: String,
    },
    /// A service of the demo's region, in this process.
    Simulated { service: String },
}

impl ProviderRef {
    /// The platform's name, for messages and metrics labels.
    pub fn platform(&self) -> &'static str {
        match self {
            ProviderRef::AwsAutoScalingGroup { .. } => "aws_auto_scaling_group",
            ProviderRef::AwsEcsService { .. } => "aws_ecs_service",
            ProviderRef::Webhook { .. } => "webhook",
            ProviderRef::Simulated { .. } => "simulated",
        }
    }
}
