//! Keeps forecasts over restarts: reads them at the start, writes them now and then.
//!
//! **In:** the forecasters, and the shortfalls that the core remembers.
//! **Out:** a file beside the journal; at the start, what it had, where it belongs.
//! **Not here:** what is in the file ([`super::snapshot`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_core::agent::Input;
use evenkeel_core::ids::Region;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::Forecasters;
use super::snapshot::{self, Recalled, SnapshotError};
use crate::clock::Clock;
use crate::mailbox::Mailbox;

/// From one writing to the next.
///
/// Why 10 min: a crash loses two steps of the grid, which are read again from the
/// metrics backend; 10,000 series are 0.3 GB, so half a megabyte per second.
const PERIOD: Duration = Duration::from_secs(600);

/// Where forecasts are kept: beside the journal, `evenkeel.forecasts`.
pub(crate) fn place(store: &Path) -> PathBuf {
    store.with_extension("forecasts")
}

/// Reads and writes the file. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) place: PathBuf,
    pub(crate) region: Region,
    pub(crate) clock: Clock,
    pub(crate) forecasters: Forecasters,
    pub(crate) mailbox: Mailbox,
}

impl Keeper {
    /// Takes up what was kept before the start, and lets outlooks be given. The
    /// shortfalls go to the loop first: once it has seen a forecast, it counts anew.
    pub(crate) async fn recall(&self, inputs: &mpsc::Sender<Input>) {
        let (place, region) = (self.place.clone(), self.region.clone());
        let read = tokio::task::spawn_blocking(move || snapshot::read(&place, &region)).await;
        match read {
            Ok(Ok(Some(recalled))) => self.take_up(recalled, inputs).await,
            Ok(Ok(None)) => (),
            Ok(Err(error)) => self.put_aside(&error),
            Err(error) => warn!(%error, "reading the kept forecasts failed; all are learned anew"),
        }
        self.forecasters.open();
    }

    async fn take_up(&self, recalled: Recalled, inputs: &mpsc::Sender<Input>) {
        let Recalled { written_at, shortfalls, series } = recalled;
        let (n_shortfalls, n_series) = (shortfalls.len(), series.len());
        // Nobody listens only when the daemon is stopping already.
        let _ = inputs.send(Input::ShortfallsRecalled(shortfalls)).await;
        let now = self.clock.now();
        let mut n_taken = 0;
        for (target, signal, book) in series {
            let mut books = self.forecasters.lock();
            n_taken += usize::from(books.recall(now, &target, &signal, book));
        }
        info!(%written_at, n_series, n_taken, n_shortfalls, "forecasts taken up from before the start");
    }

    /// A damaged file would be found at every start; a look at it may still help.
    fn put_aside(&self, error: &SnapshotError) {
        let aside = self.place.with_extension("forecasts.unusable");
        let moved = match error {
            SnapshotError::Unusable(_) => std::fs::rename(&self.place, &aside),
            SnapshotError::Io(_) | SnapshotError::Encode(_) | SnapshotError::Oversized { .. } => {
                Ok(())
            }
        };
        let error = show_chain(error);
        let file = self.place.display();
        match moved {
            Ok(()) => {
                warn!(%file, error, "the kept forecasts cannot be used; all are learned anew");
            }
            Err(moving) => {
                warn!(%file, error, %moving, "the kept forecasts can neither be used nor put aside");
            }
        }
    }

    /// Writes again and again, until nobody waits for this any more.
    pub(crate) async fn run(self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            self.keep().await;
        }
    }

    /// Writes everything now.
    pub(crate) async fn keep(&self) {
        // An early stop must not replace what was not even read.
        if !self.forecasters.is_open() || self.forecasters.n_series() == 0 {
            return;
        }
        let asked = self.mailbox.ask(|agent, _| {
            let shortfalls = agent.sight().shortfalls();
            shortfalls
                .map(|(target, signal, it)| (target.clone(), signal.clone(), it.clone()))
                .collect()
        });
        let shortfalls: Vec<_> = match asked.await {
            Ok(shortfalls) => shortfalls,
            Err(error) => {
                warn!(%error, "forecasts are not kept this time");
                return;
            }
        };
        let (place, region, now) = (self.place.clone(), self.region.clone(), self.clock.now());
        let forecasters = self.forecasters.clone();
        let written = tokio::task::spawn_blocking(move || {
            snapshot::write(&place, &region, now, shortfalls, &forecasters)
        });
        match written.await {
            Ok(Ok(n_series)) => debug!(n_series, "forecasts kept"),
            Ok(Err(error)) => {
                warn!(
                    error = show_chain(&error),
                    "forecasts cannot be kept; a restart learns them anew"
                );
            }
            Err(error) => warn!(%error, "keeping forecasts failed; a restart learns them anew"),
        }
    }
}

fn show_chain(error: &SnapshotError) -> String {
    let mut shown = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        shown.push_str(&format!(": {it}"));
        cause = it.source();
    }
    shown
}
