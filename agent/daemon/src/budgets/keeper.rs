//! The counts of budgets that survive a restart: a file beside the journal.
//!
//! **In and out:** [`BudgetsKept`], as JSON.
//! **Not here:** what is in it (`evenkeel_core::budget::kept`), what must survive under any
//! circumstances (the journal).
//!
//! Losing it costs what a metrics backend no longer has of long windows, and no alert: so it
//! is not journaled, and damage is no reason to stop.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use evenkeel_core::budget::kept::BudgetsKept;
use jiff::SignedDuration;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::mailbox::Mailbox;

/// From one writing to the next. Why 5 min: what a crash loses is read again, as long as a
/// metrics backend keeps anything at all; a thousand objectives are some 10 MB.
const PERIOD: SignedDuration = SignedDuration::from_mins(5);

/// Largest file that is read or written. Why 64 MiB: a ledger has 120 buckets of some 80
/// bytes, so that this is 6,000 objectives.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where budgets are kept: beside the journal, `evenkeel.budgets.json`.
pub(crate) fn place(store: &Path) -> PathBuf {
    store.with_extension("budgets.json")
}

/// Why the file is not used.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(serde_json::Error),
    /// What is kept cannot be written as JSON. A bug.
    #[error("it cannot be written as JSON: {0}; this is a bug")]
    Encode(serde_json::Error),
    /// Larger than it can be.
    #[error("it has {bytes} bytes, at most {FILE_BYTES_MAX} are possible")]
    Oversized { bytes: u64 },
}

impl KeepError {
    /// Whether the file itself is of no use to anybody but a person.
    fn is_damage(&self) -> bool {
        match self {
            KeepError::Damaged(_) | KeepError::Oversized { .. } => true,
            KeepError::Io(_) | KeepError::Encode(_) => false,
        }
    }
}

/// What was kept before this start; `None` when there is nothing, or nothing of use. A
/// damaged file is put aside: it would be found at every start, and a look at it may help.
pub(crate) fn recall(place: &Path) -> Option<BudgetsKept> {
    let error = match read(place) {
        Ok(kept) => {
            if let Some(kept) = &kept {
                info!(written_at = %kept.at, n_objectives = kept.slos.len(), "budgets recalled");
            }
            return kept;
        }
        Err(error) => error,
    };
    let file = place.display();
    let aside = place.with_extension("json.unusable");
    let moved = if error.is_damage() { std::fs::rename(place, &aside) } else { Ok(()) };
    match moved {
        Ok(()) => {
            warn!(%file, %error, "the kept budgets cannot be used; all are read anew");
        }
        Err(moving) => {
            warn!(%file, %error, %moving, "the kept budgets can neither be used nor put aside");
        }
    }
    None
}

fn read(place: &Path) -> Result<Option<BudgetsKept>, KeepError> {
    let file = match std::fs::File::open(place) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = file.metadata()?.len();
    if FILE_BYTES_MAX < bytes {
        return Err(KeepError::Oversized { bytes });
    }
    let mut text = Vec::new();
    // It may grow meanwhile.
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map(Some).map_err(KeepError::Damaged)
}

/// All or nothing, readable by the daemon's account only.
fn write(place: &Path, kept: &BudgetsKept) -> Result<(), KeepError> {
    let text = serde_json::to_vec(kept).map_err(KeepError::Encode)?;
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if FILE_BYTES_MAX < bytes {
        return Err(KeepError::Oversized { bytes });
    }
    let next = place.with_extension("json.next");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(&text)?;
    file.sync_all()?;
    drop(file);
    Ok(std::fs::rename(next, place)?)
}

/// Writes the file. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BudgetKeeper {
    pub(crate) place: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Mailbox,
}

impl BudgetKeeper {
    /// Writes again and again, until nobody waits for this any more.
    pub(crate) async fn run(self) {
        loop {
            tokio::time::sleep(self.clock.real(PERIOD)).await;
            self.keep().await;
        }
    }

    /// Writes everything now. What was recalled is in it: it reached the agent before the
    /// first question could.
    pub(crate) async fn keep(&self) {
        let kept = match self.mailbox.ask(|agent, now| agent.budgets_kept(now)).await {
            Ok(kept) => kept,
            Err(error) => {
                warn!(%error, "budgets are not kept this time");
                return;
            }
        };
        let place = self.place.clone();
        let n_objectives = kept.slos.len();
        let written = tokio::task::spawn_blocking(move || {
            // Nothing to keep, and nothing kept before: no file.
            let is_empty = kept.slos.is_empty() && kept.spend.is_none();
            if is_empty && !place.exists() { Ok(()) } else { write(&place, &kept) }
        });
        match written.await {
            Ok(Ok(())) => debug!(n_objectives, "budgets kept"),
            Ok(Err(error)) => {
                warn!(%error, "budgets cannot be kept; a restart reads them anew");
            }
            Err(error) => warn!(%error, "keeping budgets failed; a restart reads them anew"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::budget::kept::KeptLedger;
    use evenkeel_core::ids::SloId;
    use evenkeel_core::slo::Counts;
    use evenkeel_core::slo::ledger::Ledger;
    use evenkeel_core::slo::window::Window;
    use jiff::Timestamp;
    use std::os::unix::fs::PermissionsExt as _;

    fn kept() -> BudgetsKept {
        let at: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut ledger = Ledger::default();
        let window = Window::Rolling(SignedDuration::from_hours(30 * 24));
        ledger.add(&window, at, Counts { bad: 1.5, total: 1e6 + 1.0 / 3.0 }, 30.0);
        let slo = SloId::new("checkout").unwrap();
        let fingerprint = "f".to_owned();
        let slos = vec![KeptLedger { slo, objective: 1, fingerprint, ledger }];
        BudgetsKept { at, slos, spend: None }
    }

    #[test]
    fn what_was_kept_is_recalled_to_the_last_bit_by_the_same_account_only() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder.path().join("evenkeel.db"));
        assert_eq!(place.file_name().unwrap(), "evenkeel.budgets.json");
        assert_eq!(recall(&place), None);
        write(&place, &kept()).unwrap();
        assert_eq!(recall(&place), Some(kept()));
        let mode = std::fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A later one replaces it, and leaves nothing else.
        write(&place, &BudgetsKept::default()).unwrap();
        assert_eq!(recall(&place), Some(BudgetsKept::default()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_no_reason_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder.path().join("evenkeel.db"));
        let whole = serde_json::to_string(&kept()).unwrap();
        for damaged in ["", "[[", "{}", &whole[..whole.len() - 2]] {
            std::fs::write(&place, damaged).unwrap();
            assert_eq!(recall(&place), None, "{damaged}");
            assert!(!place.exists(), "{damaged}");
            let aside = place.with_extension("json.unusable");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), damaged);
        }
        // Where nobody can write, it is not lost either.
        std::fs::create_dir(&place).unwrap();
        assert_eq!(recall(&place), None);
        assert!(place.exists());
    }

    #[test]
    fn a_file_beyond_the_bound_is_not_even_read() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder.path().join("evenkeel.db"));
        std::fs::File::create(&place).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(
            matches!(read(&place), Err(KeepError::Oversized { bytes }) if FILE_BYTES_MAX < bytes)
        );
    }
}
