//! Signed notes as write-once files beside the journal.
//!
//! **In:** a signed note and its place.
//! **Out:** `<journal>.checkpoints/<size>.note` and `…/prune-<first_seq>.note`,
//! whole or not at all, never replaced.
//! **Not here:** shipping the files elsewhere, which is what makes them worth having:
//! a chain alone cannot show that its holder rewrote all of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{StoreError, io};
use crate::note::NOTE_BYTES_MAX;

/// Where a note stands in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Checkpoint over this many records.
    Checkpoint(u64),
    /// Removal of everything before this record.
    Prune(u64),
}

impl Place {
    fn file_name(self) -> String {
        match self {
            Place::Checkpoint(size) => format!("{size}.note"),
            Place::Prune(first_seq) => format!("prune-{first_seq}.note"),
        }
    }

    fn of_file_name(name: &str) -> Option<Place> {
        let stem = name.strip_suffix(".note")?;
        let place = match stem.strip_prefix("prune-") {
            Some(first_seq) => Place::Prune(first_seq.parse().ok()?),
            None => Place::Checkpoint(stem.parse().ok()?),
        };
        (place.file_name() == name).then_some(place)
    }
}

/// `path` with `suffix` after its last component.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a new name in the directory of `path` durable.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

/// The directory of exported notes of `journal`.
pub(crate) fn directory(journal: &Path) -> PathBuf {
    with_suffix(journal, ".checkpoints")
}

/// Writes `note` to its file. The same note again is no error; another one is.
pub(crate) fn export(journal: &Path, place: Place, note: &str) -> Result<PathBuf, StoreError> {
    let directory = directory(journal);
    let path = directory.join(place.file_name());
    match DirBuilder::new().mode(0o700).create(&directory) {
        Ok(()) => sync_directory_of(&directory).map_err(io(&directory, "sync directory of"))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(&directory, "create directory")(error)),
    }
    if let Some(existing) = read(&path)? {
        return if existing == note { Ok(path) } else { Err(StoreError::NoteDiffers { path }) };
    }
    // A hard link fails when the name exists, so a note appears whole and once.
    let draft = directory.join(".draft");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io(&draft, "replace")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(&draft)
        .and_then(|mut file| file.write_all(note.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&draft, &path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => {
            sync_directory_of(&path).map_err(io(&path, "sync directory of"))?;
            Ok(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(StoreError::NoteDiffers { path })
        }
        Err(error) => Err(io(&path, "export note")(error)),
    }
}

/// The note in `path`, cut after [`NOTE_BYTES_MAX`] + 1 bytes; `None` when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path, "open note")(error)),
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(NOTE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(io(path, "read note"))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// All exported notes of `journal` by place; empty when there is no directory.
/// Files with other names are not ours and are left out.
pub(crate) fn list(journal: &Path) -> Result<Vec<(Place, PathBuf)>, StoreError> {
    let directory = directory(journal);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(&directory, "list")(error)),
    };
    let mut notes = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io(&directory, "list"))?;
        if let Some(place) = entry.file_name().to_str().and_then(Place::of_file_name) {
            notes.push((place, entry.path()));
        }
    }
    notes.sort();
    Ok(notes)
}
