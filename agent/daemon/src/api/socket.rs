//! The Unix socket's file.
//!
//! **In:** a path and perhaps a group.
//! **Out:** a listener at that path with the right permissions; the path free again
//! afterwards.
//! **Not here:** connections ([`super::listen`]), who connected ([`super::identity`]).

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::ApiError;
use super::identity::group_number;

/// Who may connect at all: the daemon's account and one group. What they may do
/// there is for the `Access` documents.
const MODE: u32 = 0o660;

/// A listening socket that takes its file away when dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that nobody else's socket is removed.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at `path`. A socket that nobody answers on is replaced.
    pub(crate) async fn bind(path: &Path, group: Option<&str>) -> Result<SocketFile, ApiError> {
        let failed =
            |what| move |source| ApiError::Socket { what, path: path.to_path_buf(), source };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if !directory.is_dir() {
            return Err(ApiError::NoDirectory { directory: directory.to_path_buf() });
        }
        // The file could be made, but nobody could connect to it.
        std::os::unix::net::SocketAddr::from_pathname(path).map_err(failed("bind"))?;
        refuse_taken(path).await?;
        let group = group.map(group_of).transpose()?;
        // Under another name first: whoever finds the socket finds it complete.
        let draft = directory.join(format!(".evenkeel-{}", std::process::id()));
        remove(&draft).map_err(failed("prepare"))?;
        let listener = UnixListener::bind(&draft).map_err(failed("bind"))?;
        let set_up = || {
            fs::set_permissions(&draft, fs::Permissions::from_mode(MODE))?;
            if group.is_some() {
                std::os::unix::fs::chown(&draft, None, group)?;
            }
            let made = fs::symlink_metadata(&draft)?;
            fs::rename(&draft, path)?;
            Ok((made.dev(), made.ino()))
        };
        let identity = set_up().map_err(|source: io::Error| {
            let _ = fs::remove_file(&draft);
            failed("set permissions of")(source)
        })?;
        Ok(SocketFile { listener, path: path.to_path_buf(), identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn refuse_taken(path: &Path) -> Result<(), ApiError> {
    let owned = || path.to_path_buf();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ApiError::Socket { what: "look at", path: owned(), source }),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ApiError::NotASocket { path: owned() });
        }
        Ok(_) => (),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        // Gone a moment ago.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Answered, or not ours to say: then it is not ours to replace.
        Ok(_) => Err(ApiError::InUse { path: owned() }),
        Err(source) => Err(ApiError::Socket { what: "look at", path: owned(), source }),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn group_of(group: &str) -> Result<u32, ApiError> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    group_number(&groups, group).ok_or_else(|| ApiError::NoGroup { group: group.to_owned() })
}
