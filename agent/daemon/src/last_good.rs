//! A copy of the documents that came into force last, for a start while the
//! files have a fault.
//!
//! **In:** texts that passed every check.
//! **Out:** the same texts at the next start, however that came about.
//! **Not here:** reading and checking documents ([`crate::documents_files`]).
//!
//! Without it, a restart during somebody's bad edit would leave a region without
//! its agent until the edit is mended.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the copy is: beside the journal, `evenkeel.documents.json`.
pub(crate) fn place(store: &Path) -> PathBuf {
    store.with_extension("documents.json")
}

/// Keeps `texts` (file name and text each); all or nothing, readable by the
/// daemon's account only.
///
/// # Errors
///
/// Any I/O error; an earlier copy is then still there.
pub(crate) fn keep(place: &Path, texts: &[(String, String)]) -> std::io::Result<()> {
    let next = place.with_extension("next");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(&serde_json::to_vec(texts)?)?;
    file.sync_all()?;
    std::fs::rename(next, place)
}

/// What was kept last.
///
/// # Errors
///
/// In words: there is none, or it cannot be read.
pub(crate) fn recall(place: &Path) -> Result<Vec<(String, String)>, String> {
    let shown = place.display();
    let bytes = std::fs::read(place).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return "there is no copy of earlier documents".to_owned();
        }
        format!("the copy of earlier documents `{shown}` cannot be read: {error}")
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| format!("the copy of earlier documents `{shown}` is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_recalled_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder.path().join("evenkeel.db"));
        assert_eq!(recall(&place).unwrap_err(), "there is no copy of earlier documents");
        let texts = vec![("a.yaml".to_owned(), "kind: Target\n".to_owned())];
        keep(&place, &texts).unwrap();
        assert_eq!(recall(&place), Ok(texts));
        std::fs::write(&place, "[[").unwrap();
        assert!(recall(&place).unwrap_err().contains("is damaged"));
    }
}
