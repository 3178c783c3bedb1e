//! ECS services.
//!
//! **In:** cluster and service names (or ARNs).
//! **Out:** desired and running count; a new desired count.
//! **Not here:** what errors mean (see [`super::failure`]).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::Builder;
use aws_sdk_ecs::types::SchedulingStrategy;
use evenkeel_core::documents::ProviderRef;
use evenkeel_core::quality::CapacityReading;
use evenkeel_core::units::Capacity;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::failure::{failure, request_id};
use super::{REQUESTS_MAX, capacity, check_name, count, setting_timeouts, shown_name};
use crate::failure::{Failure, ReadError, misrouted};
use crate::provider::{Clock, EffectReport, Provider, SetCapacityRequest, check_expected};
use crate::providers::Limits;

/// The platform's name.
const PLATFORM: &str = "aws_ecs_service";

/// Services per request: what `DescribeServices` allows.
const SERVICES_MAX: usize = 10;

/// Reads and sets the desired count of services.
pub(crate) struct EcsServices {
    /// May retry.
    reading: Client,
    /// Never retries: a second attempt could undo what a person did in between.
    setting: Client,
    clock: Clock,
    limits: Limits,
}

/// Where a service is: cluster, then service.
pub(super) type Place<'a> = (&'a str, &'a str);

/// What a service says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    desired: Capacity,
    running: Capacity,
    /// Why its count cannot be set, if so.
    unusable: Option<String>,
}

impl EcsServices {
    pub(crate) fn new(config: &SdkConfig, limits: Limits, clock: Clock) -> EcsServices {
        let setting = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(setting_timeouts(limits))
            .build();
        EcsServices {
            reading: Client::new(config),
            setting: Client::from_conf(setting),
            clock,
            limits,
        }
    }

    /// Those of `services` that exist, by the name asked for. At most [`SERVICES_MAX`].
    async fn describe<'a>(
        &self,
        cluster: &str,
        services: &[&'a str],
    ) -> Result<BTreeMap<&'a str, Service>, Failure> {
        let names = services.iter().map(|it| (*it).to_owned()).collect();
        let answer = self
            .reading
            .describe_services()
            .cluster(cluster)
            .set_services(Some(names))
            .send()
            .await
            .map_err(|error| failure(&error))?;
        // Every service asked for is either described or listed as missing.
        let (n_described, n_missing) = (answer.services().len(), answer.failures().len());
        if n_described + n_missing < services.len() {
            return Err(Failure::Silent(format!(
                "the answer describes {n_described} services and misses {n_missing}, of {}",
                services.len()
            )));
        }
        let mut found = BTreeMap::new();
        for service in answer.services() {
            // Asked for by name or by ARN, whichever the document has.
            let given = [service.service_name(), service.service_arn()];
            for name in services.iter().filter(|it| given.contains(&Some(**it))) {
                found.insert(*name, to_service(service));
            }
        }
        Ok(found)
    }

    /// A reading of each service. At most [`SERVICES_MAX`].
    async fn read_chunk<'a>(
        &self,
        cluster: &'a str,
        services: Vec<&'a str>,
        deadline: Instant,
    ) -> Vec<(Place<'a>, Result<CapacityReading, ReadError>)> {
        let read_at = (self.clock)();
        let found = timeout_at(deadline, self.describe(cluster, &services)).await;
        let reading_of = |place: Place<'a>| match &found {
            Ok(Ok(found)) => found
                .get(place.1)
                .ok_or_else(|| absent(place))
                .and_then(|service| to_reading(place, service, read_at)),
            Ok(Err(failure)) => Err(failure.to_read_error(&what(place))),
            Err(_) => Err(ReadError::Late { what: what(place), limit: self.limits.read }),
        };
        let places = services.into_iter().map(|it| (cluster, it));
        places.map(|place| (place, reading_of(place))).collect()
    }

    async fn try_set(&self, request: &SetCapacityRequest) -> Result<EffectReport, EffectReport> {
        let rejected = |reason: &str| EffectReport::rejected(reason);
        let place = place_of(&request.provider).map_err(|error| rejected(&error.to_string()))?;
        check_place(place).map_err(|reason| rejected(&reason))?;
        let (cluster, name) = place;
        let unread = |failure: &Failure| {
            let error = failure.to_read_error(&what(place));
            rejected(&format!("nothing was sent, because the service could not be read: {error}"))
        };
        let found = tokio::time::timeout(self.limits.call, self.describe(cluster, &[name]))
            .await
            .unwrap_or_else(|_| Err(Failure::Silent("no answer in time".to_owned())))
            .map_err(|failure| unread(&failure))?;
        let service = found.get(name).ok_or_else(|| rejected(&absent(place).to_string()))?;
        if let Some(state) = &service.unusable {
            return Err(rejected(&unusable(place, state).to_string()));
        }
        check_expected(service.desired, request)?;
        let desired = request.desired;
        let count = count(desired).map_err(|reason| rejected(&reason))?;
        let answer = self
            .setting
            .update_service()
            .cluster(cluster)
            .service(name)
            .desired_count(count)
            .send()
            .await
            .map_err(|error| EffectReport::of_failure(&failure(&error)))?;
        let silent = |failure: &Failure| EffectReport::of_failure(failure);
        let id = request_id(&answer).map_err(|failure| silent(&failure))?;
        let confirmed = answer.service().map(|it| capacity(it.desired_count()));
        if confirmed != Some(desired) {
            return Err(silent(&Failure::Silent(format!(
                "asked for {desired}, AWS confirms {} (request id {id})",
                confirmed.map_or_else(|| "nothing".to_owned(), |it| it.to_string())
            ))));
        }
        let what = what(place);
        let detail = format!("desired count of {what} set to {desired} (request id {id})");
        Ok(EffectReport::done(&detail))
    }
}

#[async_trait]
impl Provider for EcsServices {
    fn platform(&self) -> &'static str {
        PLATFORM
    }

    async fn read(&self, references: &[&ProviderRef]) -> Vec<Result<CapacityReading, ReadError>> {
        let deadline = Instant::now() + self.limits.read;
        let mut by_cluster: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let places = references.iter().filter_map(|it| place_of(it).ok());
        for place in places.filter(|it| check_place(*it).is_ok()) {
            by_cluster.entry(place.0).or_default().insert(place.1);
        }
        let mut chunks: Vec<(&str, Vec<&str>)> = Vec::new();
        for (cluster, services) in by_cluster {
            let services: Vec<&str> = services.into_iter().collect();
            chunks.extend(services.chunks(SERVICES_MAX).map(|it| (cluster, it.to_vec())));
        }
        let asked: Vec<_> = chunks
            .into_iter()
            .map(|(cluster, services)| self.read_chunk(cluster, services, deadline))
            .collect();
        let asked: Vec<_> = stream::iter(asked).buffer_unordered(REQUESTS_MAX).collect().await;
        let readings: BTreeMap<Place<'_>, Result<CapacityReading, ReadError>> =
            asked.into_iter().flatten().collect();
        let reading_of = |reference: &&ProviderRef| {
            let place = place_of(reference)?;
            check_place(place)
                .map_err(|reason| ReadError::NotSent { what: what(place), reason })?;
            readings.get(&place).cloned().unwrap_or_else(|| Err(absent(place)))
        };
        references.iter().map(reading_of).collect()
    }

    async fn set_capacity(&self, request: &SetCapacityRequest) -> EffectReport {
        self.try_set(request).await.unwrap_or_else(|report| report)
    }
}

/// The place of a reference that was routed here.
fn place_of(reference: &ProviderRef) -> Result<Place<'_>, ReadError> {
    match reference {
        ProviderRef::AwsEcsService { cluster, service } => Ok((cluster, service)),
        ProviderRef::AwsAutoScalingGroup { .. }
        | ProviderRef::Webhook { .. }
        | ProviderRef::Simulated { .. } => Err(misrouted(reference.platform(), PLATFORM)),
    }
}

pub(super) fn check_place((cluster, service): Place<'_>) -> Result<(), String> {
    check_name(cluster).map_err(|reason| format!("the cluster: {reason}"))?;
    check_name(service)
}

pub(super) fn what((cluster, service): Place<'_>) -> String {
    format!("ECS service `{}` of cluster `{}`", shown_name(service), shown_name(cluster))
}

pub(super) fn absent(place: Place<'_>) -> ReadError {
    ReadError::Absent {
        what: what(place),
        hint: "compare the names, the region and the account with the daemon's".to_owned(),
    }
}

pub(super) fn unusable(place: Place<'_>, state: &str) -> ReadError {
    ReadError::Unusable { what: what(place), state: state.to_owned() }
}

fn to_reading(
    place: Place<'_>,
    service: &Service,
    read_at: Timestamp,
) -> Result<CapacityReading, ReadError> {
    match &service.unusable {
        Some(state) => Err(unusable(place, state)),
        None => {
            Ok(CapacityReading { current: service.desired, ready: Some(service.running), read_at })
        }
    }
}

fn to_service(service: &aws_sdk_ecs::types::Service) -> Service {
    let status = service.status().unwrap_or("ACTIVE");
    let unusable = if status != "ACTIVE" {
        Some(format!("is {}", status.to_ascii_lowercase()))
    } else if service.scheduling_strategy() == Some(&SchedulingStrategy::Daemon) {
        Some("runs one task per instance and has no desired count".to_owned())
    } else {
        None
    };
    Service {
        desired: capacity(service.desired_count()),
        running: capacity(service.running_count()),
        unusable,
    }
}
