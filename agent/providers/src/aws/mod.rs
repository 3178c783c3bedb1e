//! AWS: Auto Scaling groups and ECS services.
//!
//! **In:** settings; whatever they leave open comes from the standard chain.
//! **Out:** the two platforms, for capacities and for playbooks, each with a client that
//! may retry (to read) and one that never does (to set).
//! **Not here:** the meaning of errors (see [`failure`]), single operations (see
//! [`auto_scaling`], [`ecs`], [`instances`], [`ecs_tasks`]).

mod auto_scaling;
mod ecs;
mod ecs_deployment;
mod ecs_tasks;
mod failure;
mod instances;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use evenkeel_core::units::Capacity;

use crate::provider::{Clock, one_line};
use crate::providers::Limits;
use crate::settings::{AwsSettings, SettingsError, shown_url};

pub(crate) use auto_scaling::AutoScalingGroups;
pub(crate) use ecs::EcsServices;
pub(crate) use ecs_tasks::ServiceTasks;
pub(crate) use instances::GroupInstances;

/// Requests in flight per platform. Why 4: ten thousand groups are a hundred
/// requests; AWS throttles an account that sends them all at once.
const REQUESTS_MAX: usize = 4;

/// Prepares the clients. Reads files and the environment; asks the network only
/// when nothing names a region.
pub(crate) async fn connect(
    settings: &AwsSettings,
    limits: Limits,
    clock: &Clock,
) -> Result<(AutoScalingGroups, EcsServices), SettingsError> {
    let config = load(settings, limits).await?;
    Ok((
        AutoScalingGroups::new(&config, limits, Clock::clone(clock)),
        EcsServices::new(&config, limits, Clock::clone(clock)),
    ))
}

/// Prepares the clients for playbooks; as [`connect`].
pub(crate) async fn connect_actuators(
    settings: &AwsSettings,
    limits: Limits,
) -> Result<(GroupInstances, ServiceTasks), SettingsError> {
    let config = load(settings, limits).await?;
    Ok((GroupInstances::new(&config, limits), ServiceTasks::new(&config, limits)))
}

async fn load(settings: &AwsSettings, limits: Limits) -> Result<SdkConfig, SettingsError> {
    let AwsSettings { region, endpoint_url, profile, credentials_file } = settings;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard())
        .timeout_config(
            // Whoever reads gives a limit for all attempts.
            TimeoutConfig::builder()
                .connect_timeout(limits.connect())
                .operation_attempt_timeout(limits.call)
                .build(),
        );
    if let Ok(name) = AppName::new("evenkeel") {
        loader = loader.app_name(name);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = endpoint_url {
        crate::settings::check_url(url)
            .map_err(|reason| SettingsError::AwsEndpoint { url: shown_url(url), reason })?;
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(file) = credentials_file {
        let files = EnvConfigFiles::builder()
            .include_default_config_file(true)
            .with_file(EnvConfigFileKind::Credentials, file)
            .build();
        loader = loader.profile_files(files);
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(SettingsError::NoAwsRegion);
    }
    Ok(config)
}

/// Time limits of a request that sets. There is only one attempt.
fn setting_timeouts(limits: Limits) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(limits.connect())
        .operation_timeout(limits.call)
        .build()
}

/// A count as AWS gives it. It is never negative.
fn capacity(count: i32) -> Capacity {
    Capacity(u32::try_from(count).unwrap_or(0))
}

/// A count as AWS takes it.
fn count(capacity: Capacity) -> Result<i32, String> {
    i32::try_from(capacity.0)
        .map_err(|_| format!("{capacity} is above {}, the most that AWS can be told", i32::MAX))
}

/// Whether AWS could know a thing of this name. One bad name would otherwise
/// fail the request for all that are asked about with it.
fn check_name(name: &str) -> Result<(), String> {
    /// The longest names are the ARNs of ECS services; AWS gives no limit.
    const NAME_BYTES_MAX: usize = 1_024;
    if name.is_empty() {
        return Err("its name is empty".to_owned());
    }
    if NAME_BYTES_MAX < name.len() {
        return Err(format!("its name has {} bytes, at most {NAME_BYTES_MAX}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("its name has a control character".to_owned());
    }
    Ok(())
}

/// The name as messages show it.
fn shown_name(name: &str) -> String {
    /// Names are shorter; ARNs lose their end, which is better than the line.
    const SHOWN_BYTES_MAX: usize = 160;
    one_line(name, SHOWN_BYTES_MAX)
}
