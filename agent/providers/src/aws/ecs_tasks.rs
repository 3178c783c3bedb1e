//! Tasks of ECS services.
//!
//! **In:** cluster and service names (or ARNs), task ids.
//! **Out:** the service's tasks; tasks that are stopped so that the service starts others.
//! **Not here:** the service's count (see [`super::ecs`]), its task definition (see
//! [`super::ecs_deployment`]), what errors mean (see [`super::failure`]).

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::Builder;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{DesiredStatus, HealthStatus, Task};
use evenkeel_core::action::{Action, InstanceSeen, LookAt, Seen};
use evenkeel_core::documents::ActuatorRef;
use evenkeel_core::ids::InstanceName;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::timeout;

use super::ecs::{Place, absent, check_place, unusable, what};
use super::failure::{failure, request_id};
use super::{REQUESTS_MAX, setting_timeouts};
use crate::actuator::{
    ActRequest, Actuator, INSTANCES_SEEN_MAX, LookRequest, failed_at, instance_name, not_offered,
    not_served, to_seen,
};
use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::EffectReport;
use crate::providers::Limits;

/// The platform's name.
const PLATFORM: &str = "aws_ecs_service";

/// Tasks per request: what `ListTasks` and `DescribeTasks` allow.
const TASKS_MAX: usize = 100;

/// What AWS shows people as the reason of a stopped task.
const REASON: &str = "Evenkeel: asked for by a playbook";

/// Lists and stops tasks, says and sets task definitions.
pub(crate) struct ServiceTasks {
    /// May retry.
    pub(super) reading: Client,
    /// Never retries: a second attempt could undo what a person did in between.
    pub(super) setting: Client,
    limits: Limits,
}

impl ServiceTasks {
    pub(crate) fn new(config: &SdkConfig, limits: Limits) -> ServiceTasks {
        let setting = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(setting_timeouts(limits))
            .build();
        ServiceTasks { reading: Client::new(config), setting: Client::from_conf(setting), limits }
    }

    /// A service that is there and active.
    pub(super) async fn service(
        &self,
        place: Place<'_>,
    ) -> Result<aws_sdk_ecs::types::Service, ReadError> {
        let (cluster, name) = place;
        let unread = |failure: Failure| failure.to_read_error(&what(place));
        let answer = self
            .reading
            .describe_services()
            .cluster(cluster)
            .services(name)
            .send()
            .await
            .map_err(|error| unread(failure(&error)))?;
        // The service asked for is either described or listed as missing.
        if answer.services().is_empty() && answer.failures().is_empty() {
            let reason = "the answer neither describes the service nor misses it".to_owned();
            return Err(unread(Failure::Silent(reason)));
        }
        let named = |it: &aws_sdk_ecs::types::Service| {
            [it.service_name(), it.service_arn()].contains(&Some(name))
        };
        let service = answer
            .services
            .unwrap_or_default()
            .into_iter()
            .find(named)
            .ok_or_else(|| absent(place))?;
        match service.status() {
            None | Some("ACTIVE") => Ok(service),
            Some(status) => Err(unusable(place, &format!("is {}", status.to_ascii_lowercase()))),
        }
    }

    /// ARNs of the tasks that are to run.
    async fn list(&self, (cluster, service): Place<'_>) -> Result<Vec<String>, Failure> {
        let mut arns = Vec::new();
        let mut next = None;
        // More than are seen, so that too many are noticed.
        for _ in 0..=INSTANCES_SEEN_MAX / TASKS_MAX {
            let page = self
                .reading
                .list_tasks()
                .cluster(cluster)
                .service_name(service)
                .desired_status(DesiredStatus::Running)
                .max_results(100)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            // An answer without a list is not one of AWS's.
            let listed = page.task_arns.ok_or_else(|| {
                Failure::Silent("the answer has no list of tasks; is that really AWS?".to_owned())
            })?;
            arns.extend(listed);
            next = page.next_token;
            if next.as_deref().is_none_or(str::is_empty) {
                return Ok(arns);
            }
        }
        Err(Failure::Refused(format!("it has more than {INSTANCES_SEEN_MAX} tasks")))
    }

    /// At most [`TASKS_MAX`]; those that are gone by now are left out.
    async fn describe(&self, cluster: &str, arns: Vec<String>) -> Result<Vec<Task>, Failure> {
        let n = arns.len();
        let answer = self
            .reading
            .describe_tasks()
            .cluster(cluster)
            .set_tasks(Some(arns))
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let (n_described, n_missing) = (answer.tasks().len(), answer.failures().len());
        if n_described + n_missing < n {
            return Err(Failure::Silent(format!(
                "the answer describes {n_described} tasks and misses {n_missing}, of {n}"
            )));
        }
        Ok(answer.tasks.unwrap_or_default())
    }

    /// The service's tasks that are to run.
    async fn tasks(&self, place: Place<'_>) -> Result<Vec<InstanceSeen>, ReadError> {
        let unread = |failure: Failure| failure.to_read_error(&what(place));
        self.service(place).await?;
        let arns = self.list(place).await.map_err(unread)?;
        let asked: Vec<_> =
            arns.chunks(TASKS_MAX).map(|it| self.describe(place.0, it.to_vec())).collect();
        let described: Vec<Result<Vec<Task>, Failure>> =
            stream::iter(asked).buffered(REQUESTS_MAX).collect().await;
        let group = format!("service:{}", last_part(place.1));
        let mut tasks = Vec::new();
        for chunk in described {
            let of_service = |it: &&Task| {
                it.group() == Some(group.as_str()) && it.desired_status() != Some("STOPPED")
            };
            for task in chunk.map_err(unread)?.iter().filter(of_service) {
                tasks.push(to_instance(place, task)?);
            }
        }
        Ok(tasks)
    }

    async fn stop(&self, place: Place<'_>, action: &Action) -> Result<EffectReport, EffectReport> {
        let what = what(place);
        let instances = match action {
            Action::RestartInstances { instances } | Action::ReplaceInstances { instances } => {
                instances
            }
            Action::SetCapacity { .. }
            | Action::SetWeights { .. }
            | Action::LimitTenants { .. }
            | Action::SetDrained { .. }
            | Action::SetRevision { .. }
            | Action::RunCommand { .. }
            | Action::CallWebhook { .. }
            | Action::ApplyTerraform { .. } => {
                let offers = "restart_instances, replace_instances and roll_back";
                return Err(not_offered(&what, action, offers));
            }
        };
        if instances.is_empty() {
            return Err(EffectReport::rejected("the action names no task"));
        }
        let tasks = self.within(self.limits.call, place, self.tasks(place)).await;
        let tasks = tasks.map_err(|error| unread(&error))?;
        // Only a task of this service: the API would stop any task of the cluster.
        let is_there = |it: &&InstanceName| tasks.iter().any(|task| task.name == **it);
        let there: Vec<&InstanceName> = instances.iter().filter(is_there).collect();
        for (n_done, id) in there.iter().enumerate() {
            let stopped = self.stop_one(place.0, id).await;
            stopped.map_err(|failure| failed_at(id, n_done, &failure))?;
        }
        let gone = instances.len() - there.len();
        let also = if 0 < gone { format!("; {gone} not there (any more)") } else { String::new() };
        let n = there.len();
        let detail = format!("{n} of {what} stopped, to be replaced by the service{also}");
        Ok(EffectReport::done(&detail))
    }

    async fn stop_one(&self, cluster: &str, id: &InstanceName) -> Result<(), Failure> {
        let answer = self
            .setting
            .stop_task()
            .cluster(cluster)
            .task(id.as_str())
            .reason(REASON)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        request_id(&answer).map(drop)
    }

    /// What `asked` gives within `limit`.
    async fn within<T>(
        &self,
        limit: Duration,
        place: Place<'_>,
        asked: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(ReadError::Late { what: what(place), limit }))
    }

    async fn try_act(
        &self,
        reference: &ActuatorRef,
        action: &Action,
    ) -> Result<EffectReport, EffectReport> {
        let rejected = |reason: &str| EffectReport::rejected(reason);
        let place = place_of(reference).map_err(|error| rejected(&error.to_string()))?;
        check_place(place).map_err(|reason| rejected(&reason))?;
        if let Action::SetRevision { revision } = action {
            let current = self.within(self.limits.call, place, self.current(place)).await;
            let current = current.map_err(|error| unread(&error))?;
            return self.deploy(place, &current, revision).await;
        }
        self.stop(place, action).await
    }
}

#[async_trait]
impl Actuator for ServiceTasks {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn look(&self, request: &LookRequest) -> Result<Seen, ReadError> {
        let place = place_of(&request.reference)?;
        check_place(place).map_err(|reason| ReadError::NotSent { what: what(place), reason })?;
        let limit = self.limits.read;
        match &request.at {
            LookAt::Instances => {
                to_seen(&what(place), self.within(limit, place, self.tasks(place)).await?)
            }
            LookAt::Revision => self.within(limit, place, self.revisions(place)).await,
            LookAt::Capacity
            | LookAt::Traffic
            | LookAt::TenantLimits
            | LookAt::Command { .. }
            | LookAt::Webhook { .. }
            | LookAt::Terraform { .. } => {
                let serves = "`actuators.instances` and `actuators.deployment`";
                Err(not_served(what(place), &request.at, serves))
            }
        }
    }

    async fn act(&self, reference: &ActuatorRef, request: &ActRequest) -> EffectReport {
        self.try_act(reference, &request.action).await.unwrap_or_else(|report| report)
    }
}

/// The place of a reference that was routed here.
fn place_of(reference: &ActuatorRef) -> Result<Place<'_>, ReadError> {
    match reference {
        ActuatorRef::AwsEcsService { cluster, service } => Ok((cluster, service)),
        ActuatorRef::Haproxy { .. }
        | ActuatorRef::HaproxyMap { .. }
        | ActuatorRef::AwsAutoScalingGroup { .. }
        | ActuatorRef::Webhook { .. }
        | ActuatorRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

fn unread(error: &ReadError) -> EffectReport {
    EffectReport::rejected(&format!(
        "nothing was sent, because the service could not be read: {error}"
    ))
}

/// The name at the end of an ARN, or the name itself.
pub(super) fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or_default()
}

fn to_instance(place: Place<'_>, task: &Task) -> Result<InstanceSeen, ReadError> {
    let is_healthy = task.health_status() != Some(&HealthStatus::Unhealthy);
    Ok(InstanceSeen {
        name: instance_name(&what(place), last_part(task.task_arn().unwrap_or_default()))?,
        zone: task.availability_zone().map(str::to_owned),
        is_ready: task.last_status() == Some("RUNNING") && is_healthy,
        is_drained: false,
        weight: None,
        started_at: task.started_at().and_then(to_timestamp),
    })
}

fn to_timestamp(at: &DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(at.subsec_nanos()).ok()?;
    Timestamp::new(at.secs(), nanoseconds).ok()
}
