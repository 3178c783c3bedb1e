//! Where the files are that a scenario names.
//!
//! **In:** the path of a scenario's file. **Out:** the text of playbooks beside it.
//! **Not here:** anything else of the simulator that opens files: that is for whoever calls it.

use std::path::{Path, PathBuf};

/// A reader for [`super::Scenario::parse_with`]: playbooks are in the folder `playbooks` of the
/// nearest folder above the scenario's file that has one.
pub fn playbooks_near(scenario: &Path) -> impl Fn(&str) -> Result<String, String> + use<> {
    let scenario = std::path::absolute(scenario).unwrap_or_else(|_| scenario.to_owned());
    let folder: Option<PathBuf> =
        scenario.ancestors().skip(1).map(|it| it.join("playbooks")).find(|it| it.is_dir());
    move |path| {
        let Some(folder) = &folder else {
            return Err("no folder above the scenario has a folder `playbooks`".to_owned());
        };
        let file = folder.join(path);
        std::fs::read_to_string(&file).map_err(|it| format!("{}: {it}", file.display()))
    }
}
