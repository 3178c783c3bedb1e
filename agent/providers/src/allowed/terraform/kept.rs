//! Plans that were made and may still be applied.
//!
//! **In:** a plan file with its hash and its configuration's.
//! **Out:** that file again, to whoever knows the hash; the newest ten.
//! **Not here:** making and applying them ([`super::Workspace`]).
//!
//! A plan holds values of variables and resources, secrets among them: files have mode 600
//! in a folder of mode 700.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Most plans kept of one workspace. Why 10: two for each of a few runs at once.
const KEPT_MAX: usize = 10;

/// What is known of a kept plan beside its file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// Of the files it was made from.
    pub(super) configuration_sha256: String,
}

/// The folder of one workspace.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Makes the folder where missing.
    pub(super) fn open(folder: PathBuf) -> io::Result<Kept> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        Ok(Kept { folder })
    }

    /// Where Terraform keeps providers, modules and the backend's settings.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Terraform's home: empty, so that no file of anybody's home is used.
    pub(super) fn home(&self) -> &Path {
        &self.folder
    }

    /// Where a plan is written before its hash is known.
    pub(super) fn planning(&self) -> PathBuf {
        self.folder.join("planning.tfplan")
    }

    /// Where variables are while a plan is made.
    pub(super) fn variables(&self) -> PathBuf {
        self.folder.join("planning.tfvars.json")
    }

    /// The variables that were applied last.
    pub(super) fn applied_variables(&self) -> PathBuf {
        self.folder.join("applied.tfvars.json")
    }

    /// The plan with this hash, if it is kept.
    pub(super) fn find(&self, plan_sha256: &str) -> io::Result<Option<(PathBuf, About)>> {
        // The hash comes from outside, and is part of a path.
        let is_hash = plan_sha256.len() == 64
            && plan_sha256.chars().all(|it| matches!(it, '0'..='9' | 'a'..='f'));
        if !is_hash {
            return Ok(None);
        }
        let (plan, about) = self.paths(plan_sha256);
        match fs::read(about) {
            Ok(text) if plan.is_file() => Ok(Some((plan, serde_json::from_slice(&text)?))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the plan that lies at [`Kept::planning`], and removes the oldest.
    pub(super) fn keep(&self, plan_sha256: &str, about: &About) -> io::Result<()> {
        let (plan, about_path) = self.paths(plan_sha256);
        fs::set_permissions(self.planning(), Permissions::from_mode(0o600))?;
        write_private(&about_path, &serde_json::to_vec(about)?)?;
        fs::rename(self.planning(), plan)?;
        let mut plans = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(hash) = name.to_str().and_then(|it| it.strip_suffix(".about.json")) {
                plans.push((entry.metadata()?.modified()?, hash.to_owned()));
            }
        }
        plans.sort_unstable();
        let n_too_many = plans.len().saturating_sub(KEPT_MAX);
        plans.iter().take(n_too_many).try_for_each(|(_, hash)| self.remove(hash))
    }

    /// Removes a plan. One that is not there is fine.
    pub(super) fn remove(&self, plan_sha256: &str) -> io::Result<()> {
        let (plan, about) = self.paths(plan_sha256);
        remove(&about)?;
        remove(&plan)
    }

    fn paths(&self, plan_sha256: &str) -> (PathBuf, PathBuf) {
        let path = |suffix: &str| self.folder.join(format!("{plan_sha256}.{suffix}"));
        (path("tfplan"), path("about.json"))
    }
}

/// Removes a file. One that is not there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file that only the daemon's user can read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    // A file of an earlier time may have another mode.
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(text: &str) -> About {
        About { configuration_sha256: text.to_owned() }
    }

    #[test]
    fn the_newest_ten_are_kept_and_only_a_whole_hash_finds_one() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path().join("web")).unwrap();
        let hash = |it: usize| format!("{it:064x}");
        for at in 0..12 {
            fs::write(kept.planning(), at.to_string()).unwrap();
            kept.keep(&hash(at), &about(&at.to_string())).unwrap();
            // Ages differ whatever the clock's steps are.
            let file = fs::File::open(kept.paths(&hash(at)).1).unwrap();
            let age = std::time::Duration::from_secs(1_000 - at as u64);
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        }
        let found: Vec<bool> = (0..12).map(|it| kept.find(&hash(it)).unwrap().is_some()).collect();
        assert_eq!(found.iter().filter(|it| **it).count(), 10);
        assert_eq!(found[..3], [false, false, true]);
        let (plan, known) = kept.find(&hash(7)).unwrap().unwrap();
        assert_eq!((fs::read_to_string(&plan).unwrap().as_str(), known), ("7", about("7")));
        assert_eq!(fs::metadata(&plan).unwrap().permissions().mode() & 0o777, 0o600);
        for odd in ["", "7", "../web/7", &hash(7).to_uppercase().replace('7', "A"), "é"] {
            assert!(kept.find(odd).unwrap().is_none(), "{odd}");
        }
        kept.remove(&hash(7)).unwrap();
        kept.remove(&hash(7)).unwrap();
        assert!(kept.find(&hash(7)).unwrap().is_none());
    }
}
