//! The documents' files: read at the start, again on SIGHUP, on request, and
//! whenever they change.
//!
//! **In:** paths of files and folders.
//! **Out:** checked [`Documents`]; or faults, while the last good ones stay.
//! **Not here:** what is a fault (the core's loader).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::agent::Input;
use evenkeel_core::documents::{Diagnostic, Documents, Severity, SourceText, load};
use evenkeel_core::ids::Region;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::api::ReloadWanted;
use crate::last_good;
use crate::metrics::Metrics;

/// How often the files are looked at.
///
/// Why polling every 2 s and not inotify: it works the same for symlinked
/// ConfigMaps, network file systems and files that an editor replaces.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// Files beyond which a folder is surely not one of documents.
const FILES_MAX: usize = 10_000;

/// Bytes in all files together.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Folders within folders that are followed.
const DEPTH_MAX: usize = 8;

/// The texts of all files, in order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Texts(Vec<(String, String)>);

/// What the daemon starts with.
#[derive(Debug)]
pub(crate) struct AtStart {
    /// In force from the beginning.
    pub(crate) documents: Documents,
    /// Why they are not those of the files; empty when they are.
    pub(crate) faults: Vec<String>,
}

/// Reads and checks all documents once, and keeps the targets of `region`. Where
/// the files have a fault, takes the documents that were in force last.
///
/// # Errors
///
/// Every fault found, as lines for people, when there are no earlier ones.
pub(crate) fn read_at_start(
    paths: &[PathBuf],
    region: &Region,
    last_good_place: &Path,
) -> Result<AtStart, Vec<String>> {
    let read = read_texts(paths).and_then(|texts| Ok((check(&texts, region)?, texts)));
    let mut faults = match read {
        Ok((documents, texts)) => {
            keep(last_good_place, &texts);
            return Ok(AtStart { documents, faults: Vec::new() });
        }
        Err(faults) => faults,
    };
    match last_good::recall(last_good_place).map(Texts) {
        Ok(texts) => {
            let documents = check(&texts, region).map_err(|_| faults.clone())?;
            for fault in &faults {
                error!(fault, "documents refused; starting with those that were in force last");
            }
            Ok(AtStart { documents, faults })
        }
        Err(why) => {
            faults.push(why);
            Err(faults)
        }
    }
}

fn keep(last_good_place: &Path, texts: &Texts) {
    if let Err(error) = last_good::keep(last_good_place, &texts.0) {
        let file = last_good_place.display();
        warn!(%file, %error, "the documents in force were not kept for a start with faulty ones");
    }
}

fn check(texts: &Texts, region: &Region) -> Result<Documents, Vec<String>> {
    let sources: Vec<SourceText<'_>> =
        texts.0.iter().map(|(file, text)| SourceText { file, text }).collect();
    let loaded = load(&sources);
    let shown = |wanted: Severity| {
        let matching = loaded.diagnostics.iter().filter(move |it| it.severity == wanted);
        matching.map(Diagnostic::to_string).collect::<Vec<String>>()
    };
    for warning in shown(Severity::Warning) {
        warn!(warning, "a document may not do what its author wants");
    }
    let documents = loaded.documents.ok_or_else(|| shown(Severity::Error))?;
    let n_targets = documents.targets().len();
    let documents = documents.of_region(region);
    let elsewhere = n_targets - documents.targets().len();
    if 0 < elsewhere {
        info!(%region, elsewhere, "targets of other regions are left to their own daemons");
    }
    if documents.targets().len() == 0 {
        warn!(%region, "no target of this region is in the documents; there is nothing to do");
    }
    Ok(documents)
}

fn read_texts(paths: &[PathBuf]) -> Result<Texts, Vec<String>> {
    let mut files = Vec::new();
    let mut faults = Vec::new();
    for path in paths {
        if let Err(fault) = find_files(path, DEPTH_MAX, &mut files) {
            faults.push(fault);
        }
    }
    files.sort();
    files.dedup();
    let mut texts = Vec::new();
    let mut bytes_left = BYTES_MAX;
    for file in files {
        match read_text(&file, &mut bytes_left) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(Texts(texts)) } else { Err(faults) }
}

fn read_text(file: &Path, bytes_left: &mut u64) -> Result<String, String> {
    let shown = file.display();
    let mut text = String::new();
    let opened = std::fs::File::open(file);
    let read = opened.and_then(|it| it.take(*bytes_left + 1).read_to_string(&mut text));
    let bytes = read.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    *bytes_left = bytes_left
        .checked_sub(bytes.try_into().unwrap_or(u64::MAX))
        .ok_or_else(|| format!("documents up to `{shown}` have more than {BYTES_MAX} bytes"))?;
    Ok(text)
}

fn find_files(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("cannot read `{shown}`: {error}");
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Err(format!("`{shown}` is more than {DEPTH_MAX} folders deep; is it a loop?"));
    }
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let name = entry.file_name().map(|it| it.to_string_lossy().into_owned());
        // `..data` of a ConfigMap and an editor's swap files hold no other documents.
        if name.is_none_or(|it| it.starts_with('.')) {
            continue;
        }
        let is_yaml = entry.extension().is_some_and(|it| it == "yaml" || it == "yml");
        if is_yaml || entry.is_dir() {
            find_files(&entry, depth - 1, files)?;
        }
        if FILES_MAX < files.len() {
            return Err(format!("`{shown}` has more than {FILES_MAX} files"));
        }
    }
    Ok(())
}

/// Keeps the documents in force up to date.
pub(crate) struct Watcher {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) region: Region,
    /// Where a copy of the documents in force is kept.
    pub(crate) last_good_place: PathBuf,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) documents: watch::Sender<Arc<Documents>>,
    pub(crate) faults: watch::Sender<Vec<String>>,
    pub(crate) reload: mpsc::Receiver<ReloadWanted>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Watcher {
    /// Looks until the loop ends.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // What was looked at last, and whether it came into force.
        let mut seen: Option<Result<Texts, Vec<String>>> = None;
        loop {
            let wanted = tokio::select! {
                _ = ticks.tick() => None,
                wanted = self.reload.recv() => match wanted {
                    Some(wanted) => Some(wanted),
                    None => return,
                },
            };
            let paths = self.paths.clone();
            let read = tokio::task::spawn_blocking(move || read_texts(&paths)).await;
            let texts = match read {
                Ok(texts) => texts,
                Err(error) => Err(vec![format!("reading the documents failed: {error}")]),
            };
            // Nothing new to say, unless somebody asks.
            if wanted.is_none() && seen.as_ref() == Some(&texts) {
                continue;
            }
            let outcome = match texts.clone().and_then(|it| check(&it, &self.region)) {
                Ok(documents) => {
                    if let Ok(texts) = &texts
                        && self.documents.borrow().sha256 != documents.sha256
                    {
                        keep(&self.last_good_place, texts);
                    }
                    self.take_into_force(documents).await
                }
                Err(faults) => {
                    self.refuse(&faults);
                    Err(faults)
                }
            };
            seen = Some(texts);
            if let Some(ReloadWanted { reply }) = wanted {
                // Nobody may be waiting any more; the outcome is in the log.
                let _ = reply.send(outcome);
            }
        }
    }

    async fn take_into_force(&self, documents: Documents) -> Result<usize, Vec<String>> {
        let n_documents = documents.n_documents();
        self.metrics.set_documents_faults(0);
        self.faults.send_if_modified(|it| !std::mem::take(it).is_empty());
        if self.documents.borrow().sha256 == documents.sha256 {
            return Ok(n_documents);
        }
        let documents = Arc::new(documents);
        info!(documents = n_documents, sha256 = documents.sha256, "documents in force");
        if self.inputs.send(Input::DocumentsLoaded(Arc::clone(&documents))).await.is_err() {
            return Err(vec!["the agent is stopping".to_owned()]);
        }
        self.documents.send_replace(documents);
        Ok(n_documents)
    }

    fn refuse(&self, faults: &[String]) {
        for fault in faults {
            error!(fault, "documents refused; the last good ones stay in force");
        }
        self.metrics.set_documents_faults(faults.len());
        self.faults.send_replace(faults.to_vec());
    }
}
