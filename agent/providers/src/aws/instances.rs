//! Instances of Auto Scaling groups.
//!
//! **In:** group names and instance ids.
//! **Out:** the group's members; members that are terminated so that the group replaces them.
//! **Not here:** the group's capacity (see [`super::auto_scaling`]), what errors mean (see
//! [`super::failure`]).

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::Builder;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance};
use evenkeel_core::action::{Action, InstanceSeen, LookAt, Seen};
use evenkeel_core::documents::ActuatorRef;
use evenkeel_core::ids::InstanceName;
use tokio::time::timeout;

use super::auto_scaling::{absent, being_deleted, what};
use super::failure::{failure, request_id};
use super::{check_name, setting_timeouts};
use crate::actuator::{
    ActRequest, Actuator, LookRequest, failed_at, instance_name, not_offered, not_served, to_seen,
};
use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::EffectReport;
use crate::providers::Limits;

/// The platform's name.
const PLATFORM: &str = "aws_auto_scaling_group";

/// Lists and replaces members of groups.
pub(crate) struct GroupInstances {
    /// May retry.
    reading: Client,
    /// Never retries: a second attempt could end an instance that came instead.
    setting: Client,
    limits: Limits,
}

impl GroupInstances {
    pub(crate) fn new(config: &SdkConfig, limits: Limits) -> GroupInstances {
        let setting = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(setting_timeouts(limits))
            .build();
        GroupInstances { reading: Client::new(config), setting: Client::from_conf(setting), limits }
    }

    /// The members of a group that is there and not being deleted.
    async fn members(&self, name: &str, limit: Duration) -> Result<Vec<InstanceSeen>, ReadError> {
        check_name(name).map_err(|reason| ReadError::NotSent { what: what(name), reason })?;
        let asked = self
            .reading
            .describe_auto_scaling_groups()
            .auto_scaling_group_names(name)
            .max_records(1)
            .send();
        let answer = timeout(limit, asked)
            .await
            .map_err(|_| ReadError::Late { what: what(name), limit })?
            .map_err(|error| failure(&error).to_read_error(&what(name)))?;
        let named = |it: &&AutoScalingGroup| it.auto_scaling_group_name() == Some(name);
        let group = answer.auto_scaling_groups().iter().find(named).ok_or_else(|| absent(name))?;
        // Only set while the group is being deleted.
        if group.status().is_some() {
            return Err(being_deleted(name));
        }
        let members = group.instances().iter().filter(|it| !is_leaving(it));
        members.map(|it| to_instance(name, it)).collect()
    }

    async fn try_act(
        &self,
        reference: &ActuatorRef,
        action: &Action,
    ) -> Result<EffectReport, EffectReport> {
        let rejected = |reason: &str| EffectReport::rejected(reason);
        let name = group_of(reference).map_err(|error| rejected(&error.to_string()))?;
        let what = what(name);
        let instances = match action {
            Action::ReplaceInstances { instances } => instances,
            Action::RestartInstances { .. } => {
                return Err(rejected(&format!(
                    "{what} cannot restart instances in place, AWS offers no such thing for a \
                     group; use replace_instances"
                )));
            }
            Action::SetCapacity { .. }
            | Action::SetWeights { .. }
            | Action::LimitTenants { .. }
            | Action::SetDrained { .. }
            | Action::SetRevision { .. }
            | Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => {
                return Err(not_offered(&what, action, "replace_instances"));
            }
        };
        if instances.is_empty() {
            return Err(rejected("the action names no instance"));
        }
        let members = self.members(name, self.limits.call).await.map_err(|error| {
            rejected(&format!("nothing was sent, because the group could not be read: {error}"))
        })?;
        // Only a member: the API would end any instance of any group of this account.
        let is_member = |it: &&InstanceName| members.iter().any(|member| member.name == **it);
        let there: Vec<&InstanceName> = instances.iter().filter(is_member).collect();
        for (n_done, id) in there.iter().enumerate() {
            self.terminate(id).await.map_err(|failure| failed_at(id, n_done, &failure))?;
        }
        let gone = instances.len() - there.len();
        let also =
            if 0 < gone { format!("; {gone} not a member (any more)") } else { String::new() };
        let n = there.len();
        let detail = format!("{n} of {what} ended, to be replaced by the group{also}");
        Ok(EffectReport::done(&detail))
    }

    async fn terminate(&self, id: &InstanceName) -> Result<(), Failure> {
        let answer = self
            .setting
            .terminate_instance_in_auto_scaling_group()
            .instance_id(id.as_str())
            .should_decrement_desired_capacity(false)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        request_id(&answer).map(drop)
    }
}

#[async_trait]
impl Actuator for GroupInstances {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        let name = group_of(&request.reference)?;
        if request.at != LookAt::Instances {
            return Err(not_served(what(name), &request.at, "`actuators.instances` only"));
        }
        to_seen(&what(name), self.members(name, self.limits.read).await?)
    }

    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        self.try_act(reference, &request.action).await.unwrap_or_else(|report| report)
    }
}

/// The group of a reference that was routed here.
fn group_of(reference: &ActuatorRef) -> Result<&str, ReadError> {
    match reference {
        ActuatorRef::AwsAutoScalingGroup { group } => Ok(group),
        ActuatorRef::Haproxy { .. }
        | ActuatorRef::HaproxyMap { .. }
        | ActuatorRef::AwsEcsService { .. }
        | ActuatorRef::Webhook { .. }
        | ActuatorRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

/// Whether an instance is on its way out, or waits beside the group: it is no member any
/// more, or not yet. One that is being terminated may stay listed for an hour, until the
/// lifecycle hooks are through.
fn is_leaving(instance: &Instance) -> bool {
    const STATES: &[&str] = &["Terminat", "Detach", "Warmed"];
    let state = instance.lifecycle_state().map_or("", |it| it.as_str());
    STATES.iter().any(|it| state.starts_with(it))
}

fn to_instance(group: &str, instance: &Instance) -> Result<InstanceSeen, ReadError> {
    let state = instance.lifecycle_state().map_or("", |it| it.as_str());
    let is_healthy = instance.health_status().is_some_and(|it| it.eq_ignore_ascii_case("healthy"));
    Ok(InstanceSeen {
        name: instance_name(&what(group), instance.instance_id().unwrap_or_default())?,
        zone: instance.availability_zone().map(str::to_owned),
        is_ready: state == "InService" && is_healthy,
        is_drained: state.ends_with("Standby"),
        weight: None,
        started_at: None,
    })
}
