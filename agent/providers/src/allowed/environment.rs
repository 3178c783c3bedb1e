//! The environment of programs of the allow-list.
//!
//! **In:** variables as configured.
//! **Out:** all variables that a program gets, and which values are secret.
//! **Not here:** running it ([`super::process`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::settings::EnvironmentValue;

/// Longest value from a file, in bytes. Why 64 KiB: keys of cloud accounts in JSON have
/// 3 KiB, and a longer file is not meant to be a value.
const VALUE_BYTES_MAX: u64 = 64 * 1_024;

/// What every program gets: where the system's programs are, and a language in which
/// messages are always the same.
pub(super) fn base() -> BTreeMap<String, OsString> {
    BTreeMap::from([
        ("PATH".to_owned(), OsString::from("/usr/bin:/bin")),
        ("LANG".to_owned(), OsString::from("C")),
    ])
}

/// Reads the values as they are now.
///
/// # Errors
///
/// Names the variable and what to do; never its value.
pub(super) fn resolve(
    configured: &BTreeMap<String, EnvironmentValue>,
) -> Result<BTreeMap<String, OsString>, String> {
    let mut resolved = BTreeMap::new();
    for (name, value) in configured {
        let value = match value {
            EnvironmentValue::Literal(text) => OsString::from(text),
            EnvironmentValue::FromFile(file) => OsString::from(
                read_value(file).map_err(|reason| {
                    format!("environment variable `{name}`: file `{}` {reason}", file.display())
                })?,
            ),
            EnvironmentValue::Inherit => std::env::var_os(name).ok_or_else(|| {
                format!("environment variable `{name}` is not set for the daemon; set it there, or give a value")
            })?,
        };
        resolved.insert(name.clone(), value);
    }
    Ok(resolved)
}

fn read_value(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Before opening, because opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        return Err(format!(
            "has mode {mode:03o}, which lets others read or change it; `chmod 600`"
        ));
    }
    let mut text = String::new();
    let read = file.take(VALUE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if VALUE_BYTES_MAX < read as u64 {
        return Err(format!("is longer than {VALUE_BYTES_MAX} bytes"));
    }
    if text.contains('\0') {
        return Err("has a NUL byte".to_owned());
    }
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |it| it.strip_suffix('\r').unwrap_or(it))
        .to_owned())
}
