//! The dead man's switch: somebody outside notices when this daemon no longer runs.
//!
//! **In:** a URL in a file, a period, the loop.
//! **Out:** a POST per period for as long as the loop answers. A loop that hangs, a
//! process that is gone, a host without network: each shows as silence.
//! **Not here:** who listens (healthchecks.io, Dead Man's Snitch, an Alertmanager elsewhere).

use std::path::PathBuf;
use std::time::Duration;

use tracing::{info, warn};

use super::failure::Failure;
use super::http::{Http, HttpError};
use super::secret::read_secret;
use crate::config::{HeartbeatConfig, checked_url};
use crate::mailbox::{Mailbox, Unavailable};

/// Beats for as long as the loop is alive.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    url_file: PathBuf,
    period: Duration,
    http: Http,
    mailbox: Mailbox,
}

impl Heartbeat {
    /// `ca_file` has further authorities to trust.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when HTTPS cannot be set up.
    pub(crate) fn new(
        config: HeartbeatConfig,
        ca_file: Option<&std::path::Path>,
        mailbox: Mailbox,
    ) -> Result<Heartbeat, HttpError> {
        let HeartbeatConfig { url_file, period } = config;
        let period = Duration::try_from(period).unwrap_or(Duration::from_secs(60));
        Ok(Heartbeat { url_file, period, http: Http::new(ca_file)?, mailbox })
    }

    /// Ends when the loop has.
    pub(crate) async fn run(self) {
        let mut beats = tokio::time::interval(self.period);
        // After a pause of the host one beat is enough.
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            beats.tick().await;
            // The question is the point: only a loop that turns answers it.
            match self.mailbox.ask(|_, _| ()).await {
                Ok(()) => (),
                Err(Unavailable::Stopping) => return,
                Err(error @ (Unavailable::Busy | Unavailable::TimedOut)) => {
                    warn!(%error, "no heartbeat: the agent's loop does not answer");
                    continue;
                }
            }
            match self.beat().await {
                Ok(()) if is_failing => {
                    is_failing = false;
                    info!("the heartbeat is received again");
                }
                Ok(()) => (),
                Err(failure) if is_failing => tracing::debug!(%failure, "no heartbeat"),
                Err(failure) => {
                    is_failing = true;
                    warn!(%failure, "the heartbeat cannot be sent");
                }
            }
        }
    }

    async fn beat(&self) -> Result<(), Failure> {
        let secret = read_secret(&self.url_file).await?;
        let url = checked_url(secret.text()).map_err(|why| {
            let file = self.url_file.display();
            Failure::channel(secret.hidden_in(&format!("the URL in `{file}`: {why}")))
        })?;
        self.http.post(url, &[], String::new()).await
    }
}
