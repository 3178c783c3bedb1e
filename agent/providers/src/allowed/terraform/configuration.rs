//! Whether a Terraform configuration is still what it was.
//!
//! **In:** the root module's folder, and where Terraform noted its modules.
//! **Out:** one hash over all files of all of its modules.
//! **Not here:** what a plan would change ([`super::plan`]).
//!
//! A kept plan has its configuration inside, and Terraform would apply it even after the
//! files were corrected. So they are compared first.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::allowed::digest::hex;

/// Most files of a configuration. Why 10,000: the largest have some hundred.
const FILES_MAX: usize = 10_000;

/// Most bytes of all files. Why 256 MiB: templates and archives beside the code; more takes
/// longer than the plan.
const BYTES_MAX: u64 = 256 * 1_024 * 1_024;

/// Terraform's own list of modules, `modules/modules.json` in its data folder.
#[derive(Deserialize)]
struct Modules {
    #[serde(rename = "Modules")]
    modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Module {
    /// Relative to the root module.
    #[serde(rename = "Dir")]
    folder: PathBuf,
}

/// SHA-256 over paths and contents of all files in the root module's folder and in
/// those of its modules, except states and what Terraform installed itself.
///
/// # Errors
///
/// When one cannot be read, or there are too many.
pub(super) fn fingerprint(root: &Path, data: &Path) -> io::Result<String> {
    let mut folders = vec![root.to_owned()];
    match fs::read(data.join("modules").join("modules.json")) {
        Ok(text) => {
            let Modules { modules } = serde_json::from_slice(&text)?;
            folders.extend(modules.into_iter().map(|it| root.join(it.folder)));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut files = Vec::new();
    for folder in folders {
        list(&folder.canonicalize()?, &mut files)?;
    }
    files.sort_unstable();
    files.dedup();
    let mut left = BYTES_MAX;
    let mut hasher = Sha256::new();
    for file in files {
        let mut content = Vec::new();
        fs::File::open(&file)?.take(left.saturating_add(1)).read_to_end(&mut content)?;
        let length = content.len() as u64;
        left = left
            .checked_sub(length)
            .ok_or_else(|| io::Error::other(format!("it has more than {BYTES_MAX} bytes")))?;
        let path = file.as_os_str().as_encoded_bytes();
        // Lengths first, so that no path runs into a content.
        hasher.update((path.len() as u64).to_be_bytes());
        hasher.update(length.to_be_bytes());
        hasher.update(path);
        hasher.update(&content);
    }
    Ok(hex(&hasher.finalize()))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    // Not recursive: how deep it goes is not ours to choose.
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_own = name.starts_with(".terraform") && name != ".terraform.lock.hcl";
            if is_own || name == ".git" || name.contains(".tfstate") || name == "crash.log" {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                files.push(entry.path());
            }
            if FILES_MAX < files.len() + folders.len() {
                return Err(io::Error::other(format!("it has more than {FILES_MAX} files")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_every_module_counts_and_no_state_does() {
        let outer = tempfile::tempdir().unwrap();
        let path = |it: &str| outer.path().join(it);
        for folder in ["root/files", "root/.terraform", "shared", "data/modules"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        let write = |file: &str, text: &str| fs::write(path(file), text).unwrap();
        write("root/main.tf", "a");
        write("root/files/motd", "b");
        write("shared/main.tf", "c");
        let listed = r#"{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"s","Source":"../shared","Dir":"../shared"}]}"#;
        write("data/modules/modules.json", listed);
        let taken = || fingerprint(&path("root"), &path("data")).unwrap();
        let first = taken();
        for file in ["terraform.tfstate", "x.tfstate.backup", ".terraform/x", "crash.log"] {
            write(&format!("root/{file}"), "x");
        }
        assert_eq!(taken(), first, "states and Terraform's own files do not count");
        for file in ["root/main.tf", "root/files/motd", "shared/main.tf", "root/new.tfvars"] {
            let before = taken();
            write(file, "changed");
            assert_ne!(taken(), before, "{file}");
        }
        let before = taken();
        fs::rename(path("root/main.tf"), path("root/moved.tf")).unwrap();
        assert_ne!(taken(), before, "a name counts too");
        fs::remove_dir_all(path("shared")).unwrap();
        assert!(fingerprint(&path("root"), &path("data")).is_err(), "a module is missing");
    }
}
