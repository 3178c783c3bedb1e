//! Secrets of channels: one line in a file, read anew for every attempt.
//!
//! **In:** the path of a file.
//! **Out:** its one line, which prints as `Secret(…)`.
//! **Not here:** keys that sign (`evenkeel-providers`).

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// Longest secret, in bytes. A longer file is not one.
const SECRET_BYTES_MAX: u64 = 4_096;

/// A secret. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    /// The secret itself, to be sent.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// `text` without the secret, should a server have repeated it.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "[hidden]")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads the secret in `path`.
pub(super) async fn read_secret(path: &Path) -> Result<Secret, Failure> {
    let owned = path.to_owned();
    // The file may be on a disk that hangs.
    let read = tokio::task::spawn_blocking(move || read_blocking(&owned)).await;
    let read = read.unwrap_or_else(|error| Err(format!("reading it failed: {error}")));
    read.map_err(|why| {
        Failure::channel(format!("cannot use the secret in `{}`: {why}", path.display()))
    })
}

fn read_blocking(path: &PathBuf) -> Result<Secret, String> {
    let shown = |error: std::io::Error| error.to_string();
    // Before opening, because opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(shown)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(shown)?;
    let mode = file.metadata().map_err(shown)?.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        return Err(format!(
            "it has mode {mode:03o}, which lets others read or change it; `chmod 600` it (640 where its group needs it)"
        ));
    }
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|_| "it cannot be read as text".to_owned())?;
    if usize::try_from(SECRET_BYTES_MAX).is_ok_and(|max| max < text.len()) {
        return Err(format!("it is longer than {SECRET_BYTES_MAX} bytes"));
    }
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err("it is empty".to_owned());
    }
    if line.chars().any(char::is_control) {
        return Err("it does not fit into one line".to_owned());
    }
    Ok(Secret(line.to_owned()))
}
