//! `evenkeeld`: the shell around the core, and the only code that touches the world.
//!
//! **In:** a configuration, documents, metrics, people's requests.
//! **Out:** effects at the providers, durable records, answers, a log, metrics.
//! **Not here:** decisions (`evenkeel-core`), platforms (`evenkeel-providers`),
//! storage (`evenkeel-store`). The entry points are [`run`] and `demo::run`.

pub mod api;
pub mod break_glass;
mod budgets;
pub mod clock;
pub mod config;
mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod documents_files;
mod drift;
mod event_loop;
mod executor;
pub mod forecasters;
pub mod histories;
pub mod journal;
mod last_good;
pub mod mailbox;
pub mod metrics;
pub mod notify;
mod observer;
pub mod prometheus;
mod source;

use std::time::Duration;

use evenkeel_providers::{ActuatorSettings, AwsSettings, ProviderSettings, WebhookSettings};
use jiff::Timestamp;
use tokio::sync::watch;

pub use daemon::{DaemonError, VERSION};

use config::Config;
use prometheus::{BasicAuth, PrometheusSettings, PrometheusSource};

/// Runs the daemon until `stop` says so.
///
/// # Errors
///
/// Whatever keeps it from starting, or made it stop.
pub async fn run(config: Config, stop: watch::Receiver<bool>) -> Result<(), RunError> {
    let source =
        PrometheusSource::new(prometheus_settings(&config)).map_err(RunError::Prometheus)?;
    let clock = clock::Clock::starting_at(Timestamp::now());
    let signing_key = config.signing_key_file();
    let aws = config.aws.map(|it| AwsSettings {
        region: it.region,
        endpoint_url: it.endpoint_url,
        profile: it.profile,
        credentials_file: None,
    });
    let webhook = WebhookSettings { ca_file: config.webhook.ca_file };
    let actuators = ActuatorSettings {
        aws: aws.clone(),
        webhook: webhook.clone(),
        allowed: config.actuators.allowed(&config.store),
        ..ActuatorSettings::default()
    };
    let config::NotificationsConfig { channels, dead_after, heartbeat } = config.notifications;
    let notifications = notify::NotifySettings {
        region: config.region.clone(),
        channels,
        dead_after,
        ca_file: webhook.ca_file.clone(),
    };
    let setting = daemon::Setting {
        region: config.region,
        documents: config.documents,
        store: config.store,
        signing_key,
        break_glass_file: config.break_glass_file,
        evaluation_period: config.evaluation_period,
        retention: config.retention,
        refit_threads: config.forecasts.refit_threads,
        api: api::ApiSettings {
            socket: config.api.socket,
            socket_group: config.api.socket_group,
            tls: config.api.tls.map(|it| api::TlsSettings {
                listen: it.listen,
                certificate_file: it.certificate_file,
                key_file: it.key_file,
            }),
        },
        providers: ProviderSettings { aws, webhook, ..ProviderSettings::default() },
        actuators,
        drift_checks: config.actuators.drift_checks(),
        focus_folder: config.spend.focus_dir,
        notifications,
        heartbeat,
        source: source::MetricsSource::Prometheus(Box::new(source)),
        clock,
        follows_wall_clock: true,
        narrator: None,
    };
    Ok(daemon::run(setting, stop).await?)
}

/// The daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Prometheus' settings cannot be used.
    #[error("cannot prepare Prometheus")]
    Prometheus(#[source] prometheus::SettingsError),
    /// Any other part.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

/// What to do next about `error`, where one of its causes knows.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| match cause.downcast_ref::<RunError>() {
        Some(RunError::Daemon(error)) => error.hint(),
        Some(RunError::Prometheus(_)) => Some("mend `prometheus` in the configuration".to_owned()),
        None => cause.downcast_ref::<DaemonError>()?.hint(),
    })
}

fn prometheus_settings(config: &Config) -> PrometheusSettings {
    let it = &config.prometheus;
    let basic_auth = it
        .user
        .clone()
        .zip(it.password_file.clone())
        .map(|(user, password_file)| BasicAuth { user, password_file });
    PrometheusSettings {
        bearer_token_file: it.bearer_token_file.clone(),
        basic_auth,
        ca_file: it.ca_file.clone(),
        client_certificate_file: it.client_certificate_file.clone(),
        client_key_file: it.client_key_file.clone(),
        query_timeout: Duration::try_from(it.query_timeout).unwrap_or(Duration::from_secs(10)),
        history: it.history,
        ..PrometheusSettings::new(it.url.clone())
    }
}
