//! What has begun and how it ended, on disk, so that nothing is done twice.
//!
//! **In:** an effect about to be carried out, and its end.
//! **Out:** leave to begin, given once per effect; [`Receipt`]s to read back.
//! **Not here:** carrying anything out (see [`super::command`], [`super::webhook`],
//! [`super::terraform`]), the journal (`evenkeel-store`).
//!
//! One file per effect, `ef-12.json`. `begun` is on disk before the effect begins, `done` or
//! `failed` after it ended, both written whole to another file, synced and renamed. Killed
//! at any point, the daemon finds `begun` or an end: `begun` is never begun again, and is
//! read back as unknown. A receipt holds names, times and hashes; no argument, no output.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::action::{Action, Receipt};
use evenkeel_core::ids::{AllowedName, EffectId, RunId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::digest::{canonical, sha256};
use crate::actuator::ActRequest;
use crate::provider::{Clock, EffectReport};

/// How long an end is kept. Why a week: far longer than any run waits for an effect, and
/// a Monday's look at Friday's night still finds all of them.
const ENDED_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a beginning without an end is kept. Why longer: it is the trace of something
/// that a person still has to look at.
const BEGUN_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Most ends kept. Why 10,000: a few megabytes, and an effect a minute for a week.
const KEPT_MAX: usize = 10_000;

/// Most receipts looked at for removal at once. Why 64: more than one goes for each that
/// comes, so that there is never a pile, and none waits long for it.
const REMOVED_MAX: usize = 64;

/// Most ends given for one look; beginnings are all given. Why 1,000: as many runs at once.
const SHOWN_MAX: usize = 1_000;

/// Longest receipt, in bytes. They have under 500.
const RECEIPT_BYTES_MAX: u64 = 4_096;

/// What kind of thing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Command,
    Webhook,
    Terraform,
}

/// The content of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    effect: EffectId,
    run: RunId,
    kind: Kind,
    name: AllowedName,
    /// Of the action as canonical JSON: another action under the same number is noticed.
    action_sha256: String,
    state: Receipt,
    begun_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// Leave to carry out one effect, once. Dropped without [`Receipts::end`], the effect is
/// and stays unknown.
#[derive(Debug)]
#[must_use]
pub(super) struct Begun(Written);

/// The folder of receipts.
#[derive(Clone)]
pub(super) struct Receipts {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    clock: Clock,
    /// One writer at a time, so that removing never meets a beginning.
    writing: Mutex<()>,
    /// Makes names of files that are being written.
    written: AtomicU64,
}

impl Receipts {
    /// Opens the folder, or makes it with mode 700.
    pub(super) fn open(folder: &Path, clock: Clock) -> io::Result<Receipts> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // Left by a crash in the middle of writing; never a receipt yet.
            if entry.file_name().to_string_lossy().starts_with(".writing-") {
                fs::remove_file(entry.path())?;
            }
        }
        let inner = Inner {
            folder: folder.to_owned(),
            clock,
            writing: Mutex::new(()),
            written: AtomicU64::new(0),
        };
        // That it can be written is found out now, not in an incident.
        inner.probe()?;
        Ok(Receipts { inner: Arc::new(inner) })
    }

    /// Writes that the effect begins; afterwards, and only then, it may be carried out.
    ///
    /// # Errors
    ///
    /// The report to give instead: the effect is done already, has ended badly, or has
    /// begun and nobody knows how it ended; or the receipt cannot be written.
    pub(super) async fn begin(
        &self,
        kind: Kind,
        name: &AllowedName,
        request: &ActRequest,
    ) -> Result<Begun, EffectReport> {
        let action_sha256 = hash_of(&request.action);
        let written = Written {
            effect: request.effect_id,
            run: request.run,
            kind,
            name: name.clone(),
            action_sha256,
            state: Receipt::Begun,
            begun_at: (self.inner.clock)(),
            ended_at: None,
        };
        let inner = Arc::clone(&self.inner);
        // Syncing may take long on a busy disk.
        tokio::task::spawn_blocking(move || inner.begin(written)).await.unwrap_or_else(|error| {
            // The receipt may be there by now, but nothing was begun.
            Err(EffectReport::rejected(&format!("writing its receipt failed: {error}")))
        })
    }

    /// Whether the effect has no receipt yet, without writing one.
    ///
    /// # Errors
    ///
    /// The report to give instead, as [`Receipts::begin`] would.
    pub(super) async fn earlier(&self, request: &ActRequest) -> Result<(), EffectReport> {
        let (inner, effect) = (Arc::clone(&self.inner), request.effect_id);
        let action_sha256 = hash_of(&request.action);
        tokio::task::spawn_blocking(move || inner.check(effect, &action_sha256))
            .await
            .unwrap_or_else(|error| Err(EffectReport::unknown(&error.to_string())))
    }

    /// Writes how the effect ended. When that cannot be written, what is on disk goes on
    /// saying `begun`, and `false` is returned.
    pub(super) async fn end(&self, begun: Begun, state: Receipt) -> bool {
        let inner = Arc::clone(&self.inner);
        let ended = tokio::task::spawn_blocking(move || inner.end(begun, state)).await;
        let fault = match ended {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            fault,
            "the end of an effect cannot be written; it will be read as unknown"
        );
        false
    }

    /// How earlier effects of one entry ended. Those that began without an end are all
    /// there, and the newest ends. A file that cannot be understood counts as begun, for
    /// every entry: nobody knows whose it is.
    pub(super) async fn of(
        &self,
        kind: Kind,
        name: &AllowedName,
    ) -> Result<BTreeMap<EffectId, Receipt>, String> {
        let (inner, name) = (Arc::clone(&self.inner), name.clone());
        tokio::task::spawn_blocking(move || inner.of(kind, &name))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("folder `{}`: {error}", self.inner.folder.display()))
    }
}

impl Inner {
    fn begin(&self, written: Written) -> Result<Begun, EffectReport> {
        let _guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check(written.effect, &written.action_sha256)?;
        let path = self.path_of(written.effect);
        // A link fails where the name is taken: of two daemons, one begins.
        let made = self.write_aside(&written).and_then(|aside| {
            let linked = fs::hard_link(&aside, &path);
            fs::remove_file(&aside)?;
            linked?;
            self.sync_folder()
        });
        if let Err(error) = made {
            if error.kind() == ErrorKind::AlreadyExists {
                self.check(written.effect, &written.action_sha256)?;
            }
            return Err(EffectReport::rejected(&format!(
                "its receipt `{}` cannot be written, so nothing was begun: {error}; make room, or let the daemon write there",
                path.display()
            )));
        }
        if let Err(error) = self.remove_old(written.begun_at) {
            tracing::warn!(%error, "old receipts cannot be removed");
        }
        Ok(Begun(written))
    }

    fn check(&self, effect: EffectId, action_sha256: &str) -> Result<(), EffectReport> {
        let path = self.path_of(effect);
        match read(&path) {
            Ok(None) => Ok(()),
            Ok(Some(earlier)) => Err(report_on(&earlier, action_sha256)),
            Err(error) => Err(EffectReport::unknown(&format!(
                "its receipt `{}` cannot be read ({error}), so nobody knows whether it happened; look at it",
                path.display()
            ))),
        }
    }

    fn end(&self, Begun(mut written): Begun, state: Receipt) -> io::Result<()> {
        let _guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        written.state = state;
        written.ended_at = Some((self.clock)());
        let aside = self.write_aside(&written)?;
        fs::rename(aside, self.path_of(written.effect))?;
        self.sync_folder()
    }

    fn of(&self, kind: Kind, name: &AllowedName) -> io::Result<BTreeMap<EffectId, Receipt>> {
        let mut found = BTreeMap::new();
        let mut n_ends = 0_usize;
        for effect in self.effects()?.into_iter().rev() {
            let receipt = match read(&self.path_of(effect)) {
                // Removed since it was listed.
                Ok(None) => continue,
                Ok(Some(it)) if it.kind != kind || it.name != *name => continue,
                Ok(Some(it)) => it.state,
                Err(_) => Receipt::Begun,
            };
            let is_end = receipt != Receipt::Begun;
            if is_end && SHOWN_MAX <= n_ends {
                continue;
            }
            n_ends += usize::from(is_end);
            found.insert(effect, receipt);
        }
        Ok(found)
    }

    /// All effects with a receipt, oldest first: numbers only grow.
    fn effects(&self) -> io::Result<Vec<EffectId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let effect = name.to_str().and_then(|it| it.strip_suffix(".json"));
            found.extend(effect.and_then(|it| it.parse::<EffectId>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    fn remove_old(&self, now: Timestamp) -> io::Result<()> {
        let effects = self.effects()?;
        let mut n_too_many = effects.len().saturating_sub(KEPT_MAX);
        for effect in effects.into_iter().take(REMOVED_MAX) {
            let path = self.path_of(effect);
            let Ok(Some(it)) = read(&path) else { continue };
            let age = now.duration_since(it.begun_at);
            let is_over = match it.state {
                Receipt::Begun => BEGUN_KEPT < age,
                Receipt::Done | Receipt::Failed => ENDED_KEPT < age || 0 < n_too_many,
            };
            if is_over {
                fs::remove_file(path)?;
                n_too_many = n_too_many.saturating_sub(1);
            }
        }
        Ok(())
    }

    fn path_of(&self, effect: EffectId) -> PathBuf {
        self.folder.join(format!("{effect}.json"))
    }

    /// A file of its own with this content, synced.
    fn write_aside(&self, written: &Written) -> io::Result<PathBuf> {
        let text = serde_json::to_vec(written).map_err(io::Error::other)?;
        let (path, mut file) = self.open_aside()?;
        file.write_all(&text)?;
        file.sync_all()?;
        Ok(path)
    }

    fn open_aside(&self) -> io::Result<(PathBuf, File)> {
        loop {
            // Another daemon on the same folder may have the same process id.
            let number = self.written.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!(".writing-{}-{number}", std::process::id()));
            let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match opened {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.folder.join(format!(".writing-{}-probe", std::process::id()));
        File::create(&path)?;
        fs::remove_file(path)?;
        self.sync_folder()
    }
}

/// What to say of an effect that has a receipt. The action names its entry, so the hash
/// tells entries apart too.
fn report_on(earlier: &Written, action_sha256: &str) -> EffectReport {
    let effect = earlier.effect;
    if earlier.action_sha256 != action_sha256 {
        return EffectReport::rejected(&format!(
            "{effect} was used before for another action ({}); was the journal restored from a backup? nothing was done",
            earlier.name
        ));
    }
    match earlier.state {
        Receipt::Done => EffectReport::done("already done"),
        Receipt::Failed => {
            EffectReport::rejected("it was tried before and ended badly; it is not tried again")
        }
        Receipt::Begun => EffectReport::unknown(&format!(
            "it began at {} and nobody wrote down how it ended; it is not begun again",
            earlier.begun_at
        )),
    }
}

fn hash_of(action: &Action) -> String {
    // An action is plain data; one that cannot be written is like no other.
    let value = serde_json::to_value(action).unwrap_or_default();
    sha256(canonical(&value).as_bytes())
}

fn read(path: &Path) -> io::Result<Option<Written>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(RECEIPT_BYTES_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map(Some).map_err(io::Error::from)
}

#[cfg(test)]
mod tests;
