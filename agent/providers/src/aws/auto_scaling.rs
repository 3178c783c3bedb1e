//! Auto Scaling groups.
//!
//! **In:** group names.
//! **Out:** desired capacity and instances in service; a new desired capacity.
//! **Not here:** what errors mean (see [`super::failure`]).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::Builder;
use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState};
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::{Bounds, Capacity};
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::failure::{failure, request_id};
use super::{REQUESTS_MAX, capacity, check_name, count, setting_timeouts, shown_name};
use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::{Clock, EffectReport, Provider, SetCapacityRequest, check_expected};
use crate::providers::Limits;

/// The platform's name.
const PLATFORM: &str = "aws_auto_scaling_group";

/// Names per request: what `DescribeAutoScalingGroups` allows, and also how many
/// groups it gives per page.
const NAMES_MAX: usize = 100;

/// Pages per request. 100 names fill one page; a server that always names a
/// next page must not keep us.
const PAGES_MAX: usize = 10;

/// Reads and sets the desired capacity of groups.
pub(crate) struct AutoScalingGroups {
    /// May retry.
    reading: Client,
    /// Never retries: a second attempt could undo what a person did in between.
    setting: Client,
    clock: Clock,
    limits: Limits,
}

/// What a group says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    desired: Capacity,
    ready: Option<Capacity>,
    bounds: Bounds,
    is_being_deleted: bool,
}

impl AutoScalingGroups {
    pub(crate) fn new(config: &SdkConfig, limits: Limits, clock: Clock) -> AutoScalingGroups {
        let setting = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(setting_timeouts(limits))
            .build();
        AutoScalingGroups {
            reading: Client::new(config),
            setting: Client::from_conf(setting),
            clock,
            limits,
        }
    }

    /// Those of `names` that exist. At most [`NAMES_MAX`].
    async fn describe(&self, names: &[&str]) -> Result<BTreeMap<String, Group>, Failure> {
        let mut found = BTreeMap::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let names = names.iter().map(|it| (*it).to_owned()).collect();
            let page = self
                .reading
                .describe_auto_scaling_groups()
                .set_auto_scaling_group_names(Some(names))
                .max_records(100)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            for group in page.auto_scaling_groups() {
                if let Some(name) = group.auto_scaling_group_name() {
                    found.insert(name.to_owned(), to_group(group)?);
                }
            }
            next = page.next_token;
            if next.as_deref().is_none_or(str::is_empty) {
                return Ok(found);
            }
        }
        Err(Failure::Silent(format!("more than {PAGES_MAX} pages for {} groups", names.len())))
    }

    /// A reading of each name. At most [`NAMES_MAX`].
    async fn read_chunk<'a>(
        &self,
        names: Vec<&'a str>,
        deadline: Instant,
    ) -> Vec<(&'a str, Result<CapacityReading, ReadError>)> {
        let read_at = (self.clock)();
        let found = timeout_at(deadline, self.describe(&names)).await;
        let reading_of = |name| match &found {
            Ok(Ok(found)) => found
                .get(name)
                .ok_or_else(|| absent(name))
                .and_then(|group| to_reading(name, group, read_at)),
            Ok(Err(failure)) => Err(failure.to_read_error(&what(name))),
            Err(_) => Err(ReadError::Late { what: what(name), limit: self.limits.read }),
        };
        names.into_iter().map(|name| (name, reading_of(name))).collect()
    }

    async fn try_set(&self, request: &SetCapacityRequest) -> Result<EffectReport, EffectReport> {
        let rejected = |reason: &str| EffectReport::rejected(reason);
        let name = group_of(&request.provider).map_err(|error| rejected(&error.to_string()))?;
        check_name(name).map_err(|reason| rejected(&reason))?;
        // Until here and through this reading nothing is sent that changes anything.
        let unread = |failure: &Failure| {
            let error = failure.to_read_error(&what(name));
            rejected(&format!("nothing was sent, because the group could not be read: {error}"))
        };
        let found = tokio::time::timeout(self.limits.call, self.describe(&[name]))
            .await
            .unwrap_or_else(|_| Err(Failure::Silent("no answer in time".to_owned())))
            .map_err(|failure| unread(&failure))?;
        let group = found.get(name).ok_or_else(|| rejected(&absent(name).to_string()))?;
        if group.is_being_deleted {
            return Err(rejected(&being_deleted(name).to_string()));
        }
        check_expected(group.desired, request)?;
        let (desired, bounds) = (request.desired, group.bounds);
        if !bounds.contain(desired) {
            return Err(rejected(&format!(
                "{desired} is outside the group's own bounds {}..={}; change them in AWS, or the \
                 target's",
                bounds.min, bounds.max
            )));
        }
        let count = count(desired).map_err(|reason| rejected(&reason))?;
        let answer = self
            .setting
            .set_desired_capacity()
            .auto_scaling_group_name(name)
            .desired_capacity(count)
            .honor_cooldown(false)
            .send()
            .await
            .map_err(|error| EffectReport::of_failure(&failure(&error)))?;
        let id = request_id(&answer).map_err(|failure| EffectReport::of_failure(&failure))?;
        let what = what(name);
        let detail = format!("desired capacity of {what} set to {desired} (request id {id})");
        Ok(EffectReport::done(&detail))
    }
}

#[async_trait]
impl Provider for AutoScalingGroups {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>> {
        let deadline = Instant::now() + self.limits.read;
        let names: BTreeSet<&str> = references
            .iter()
            .filter_map(|it| group_of(it).ok())
            .filter(|name| check_name(name).is_ok())
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let chunks: Vec<Vec<&str>> = names.chunks(NAMES_MAX).map(<[&str]>::to_vec).collect();
        let asked: Vec<_> = chunks.into_iter().map(|it| self.read_chunk(it, deadline)).collect();
        let asked: Vec<_> = stream::iter(asked).buffer_unordered(REQUESTS_MAX).collect().await;
        let readings: BTreeMap<&str, Result<CapacityReading, ReadError>> =
            asked.into_iter().flatten().collect();
        let reading_of = |reference: &&ProviderRef| {
            let name = group_of(reference)?;
            check_name(name).map_err(|reason| ReadError::NotSent { what: what(name), reason })?;
            readings.get(name).cloned().unwrap_or_else(|| Err(absent(name)))
        };
        references.iter().map(reading_of).collect()
    }

    async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport {
        self.try_set(request).await.unwrap_or_else(|report| report)
    }
}

/// The group of a reference that was routed here.
fn group_of(reference: &ProviderRef) -> Result<&str, ReadError> {
    match reference {
        ProviderRef::AwsAutoScalingGroup { group } => Ok(group),
        ProviderRef::AwsEcsService { .. }
        | ProviderRef::Webhook { .. }
        | ProviderRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

pub(super) fn what(name: &str) -> String {
    format!("Auto Scaling group `{}`", shown_name(name))
}

pub(super) fn absent(name: &str) -> ReadError {
    ReadError::Absent {
        what: what(name),
        hint: "compare the name, the region and the account with the daemon's".to_owned(),
    }
}

pub(super) fn being_deleted(name: &str) -> ReadError {
    ReadError::Unusable { what: what(name), state: "is being deleted".to_owned() }
}

fn to_reading(
    name: &str,
    group: &Group,
    read_at: jiff::Timestamp,
) -> Result<CapacityReading, ReadError> {
    if group.is_being_deleted {
        return Err(being_deleted(name));
    }
    Ok(CapacityReading { current: group.desired, ready: group.ready, read_at })
}

fn to_group(group: &AutoScalingGroup) -> Result<Group, Failure> {
    let (Some(desired), Some(min), Some(max)) =
        (group.desired_capacity(), group.min_size(), group.max_size())
    else {
        return Err(Failure::Silent("a group came without its capacity or bounds".to_owned()));
    };
    Ok(Group {
        desired: capacity(desired),
        ready: ready(group),
        bounds: Bounds { min: capacity(min), max: capacity(max) },
        // Only set while the group is being deleted.
        is_being_deleted: group.status().is_some(),
    })
}

/// Instances in service and healthy, in the unit of the desired capacity: an
/// instance of a weighted group counts as its weight. `None` when the group
/// counts vCPUs or memory, which its instances do not tell.
fn ready(group: &AutoScalingGroup) -> Option<Capacity> {
    if !matches!(group.desired_capacity_type(), None | Some("" | "units")) {
        return None;
    }
    let serves = |it: &&aws_sdk_autoscaling::types::Instance| {
        it.lifecycle_state() == Some(&LifecycleState::InService)
            && it.health_status().is_some_and(|it| it.eq_ignore_ascii_case("healthy"))
    };
    let weight = |it: &aws_sdk_autoscaling::types::Instance| {
        it.weighted_capacity().and_then(|it| it.parse::<u32>().ok()).unwrap_or(1)
    };
    Some(Capacity(group.instances().iter().filter(serves).map(weight).fold(0, u32::saturating_add)))
}
