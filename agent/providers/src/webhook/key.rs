//! The key that requests are signed with.
//!
//! **In:** the path of a key file, read anew for every request, so that a key can
//! be replaced without a restart.
//! **Out:** the key, which prints as `Key(…)`.
//! **Not here:** signing (see [`super::signature`]).

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Shortest key, in bytes. Why 32: a key shorter than the hash makes HMAC weaker
/// (RFC 2104, section 3).
pub(super) const KEY_BYTES_MIN: usize = 32;

/// Longest key file, in bytes. A longer file is not a key.
pub(super) const KEY_BYTES_MAX: u64 = 4_096;

/// A key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

impl Key {
    /// The bytes to sign with.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A key file that cannot be used. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("key file `{file}` cannot be read: {source}")]
    Unreadable { file: String, source: std::io::Error },
    #[error("key file `{file}` is not a regular file")]
    NotAFile { file: String },
    #[error(
        "key file `{file}` has mode {mode:03o}, which lets others read or change it; \
         `chmod 600 {file}` (640 where its group needs it)"
    )]
    Exposed { file: String, mode: u32 },
    #[error("key file `{file}` is longer than {KEY_BYTES_MAX} bytes; it should hold the key only")]
    TooLong { file: String },
    #[error(
        "the key in `{file}` has {bytes} bytes, at least {KEY_BYTES_MIN}; for example \
         `openssl rand -hex 32`"
    )]
    TooShort { file: String, bytes: usize },
}

/// Reads a key. A newline at the end, as editors leave it, is not part of it.
pub(super) fn read_key(path: &Path) -> Result<Key, KeyError> {
    let file = || path.display().to_string();
    let unreadable = |source| KeyError::Unreadable { file: file(), source };
    // Before opening, because opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(KeyError::NotAFile { file: file() });
    }
    let opened = File::open(path).map_err(unreadable)?;
    // Of the file that was opened, not of what its path names by now.
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile { file: file() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        return Err(KeyError::Exposed { file: file(), mode });
    }
    let mut key = Vec::new();
    opened.take(KEY_BYTES_MAX + 1).read_to_end(&mut key).map_err(unreadable)?;
    if KEY_BYTES_MAX < key.len() as u64 {
        return Err(KeyError::TooLong { file: file() });
    }
    if key.last() == Some(&b'\n') {
        key.pop();
        if key.last() == Some(&b'\r') {
            key.pop();
        }
    }
    if key.len() < KEY_BYTES_MIN {
        return Err(KeyError::TooShort { file: file(), bytes: key.len() });
    }
    Ok(Key(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(content: &[u8], mode: u32, expected: &Expect) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let shown = match read_key(&path) {
            Ok(key) => format!("{key:?} of {} bytes", key.bytes().len()),
            Err(error) => error.to_string().replace(path.to_str().unwrap(), "FILE"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_key_file_is_private_and_of_a_sensible_length() {
        let key = [b'k'; 32];
        check(&key, 0o600, &expect!["Key(…) of 32 bytes"]);
        check(&key, 0o400, &expect!["Key(…) of 32 bytes"]);
        check(&key, 0o640, &expect!["Key(…) of 32 bytes"]);
        check(&[&key[..], b"\n"].concat(), 0o600, &expect!["Key(…) of 32 bytes"]);
        check(&[&key[..], b"\r\n"].concat(), 0o600, &expect!["Key(…) of 32 bytes"]);
        check(
            &key,
            0o644,
            &expect![
                "key file `FILE` has mode 644, which lets others read or change it; `chmod 600 FILE` (640 where its group needs it)"
            ],
        );
        check(
            &key,
            0o620,
            &expect![
                "key file `FILE` has mode 620, which lets others read or change it; `chmod 600 FILE` (640 where its group needs it)"
            ],
        );
        check(
            &key,
            0o602,
            &expect![
                "key file `FILE` has mode 602, which lets others read or change it; `chmod 600 FILE` (640 where its group needs it)"
            ],
        );
        check(
            &key[1..],
            0o600,
            &expect![
                "the key in `FILE` has 31 bytes, at least 32; for example `openssl rand -hex 32`"
            ],
        );
        check(
            b"",
            0o600,
            &expect![
                "the key in `FILE` has 0 bytes, at least 32; for example `openssl rand -hex 32`"
            ],
        );
        check(
            &[b'k'; 4_097],
            0o600,
            &expect!["key file `FILE` is longer than 4096 bytes; it should hold the key only"],
        );
    }

    #[test]
    fn what_is_not_a_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_key(folder.path()), Err(KeyError::NotAFile { .. })));
        let absent = folder.path().join("absent");
        assert!(matches!(read_key(&absent), Err(KeyError::Unreadable { .. })));
    }
}
