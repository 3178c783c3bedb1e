//! Finding and reading the files of `check`.
//!
//! **In:** paths as a person named them.
//! **Out:** texts in a fixed order, each file once, and a diagnostic for whatever
//! could not be read. Everything is bounded.
//! **Not here:** what the texts say ([`evenkeel_core::documents::load`]).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use evenkeel_core::documents::{Diagnostic, Severity};

/// Most files of one check. Why 10,000: one file per target of a full daemon.
const FILES_MAX: usize = 10_000;

/// Most directories looked into. Why 10,000: as many as files.
const DIRECTORIES_MAX: usize = 10_000;

/// Largest file, as for the daemon.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Most bytes of all files together. Why 64 MiB: documents of 10,000 targets
/// are about 3 MB; twenty times that still fits in memory several times.
const ALL_BYTES_MAX: usize = 64 << 20;

/// How diagnostics name stdin.
const STDIN: &str = "<stdin>";

/// One file that could be read.
#[derive(Debug)]
pub(crate) struct Source {
    /// As diagnostics name it.
    pub(crate) file: String,
    /// All of it.
    pub(crate) text: String,
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// In the order of the arguments, within a directory by path.
    pub(crate) found: Vec<Source>,
    /// What could not be read.
    pub(crate) faults: Vec<Diagnostic>,
    /// Files and directories already seen, without symbolic links.
    seen: BTreeSet<PathBuf>,
    n_files: usize,
    n_directories: usize,
    n_bytes: usize,
    is_full: bool,
}

/// Reads all of `paths`.
pub(crate) fn read(paths: &[PathBuf]) -> Sources {
    let mut sources = Sources::default();
    for path in paths {
        if path.as_os_str() == "-" {
            if sources.seen.insert(PathBuf::from(STDIN)) {
                sources.take(STDIN.to_owned(), io::stdin().lock());
            }
        } else if path.is_dir() {
            sources.tree(path);
        } else {
            sources.file(path);
        }
    }
    sources
}

impl Sources {
    fn tree(&mut self, root: &Path) {
        let before = self.n_files;
        let mut files = Vec::new();
        self.walk(root, &mut files);
        files.sort();
        for file in &files {
            self.file(file);
        }
        if files.is_empty() && before == self.n_files && !self.is_full {
            self.fault(
                root.display().to_string(),
                "there is no *.yaml or *.yml file in this directory".to_owned(),
                "name the directory that has the documents, or the files themselves",
            );
        }
    }

    /// Collects the files of a directory and those below, symbolic links followed.
    fn walk(&mut self, root: &Path, files: &mut Vec<PathBuf>) {
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            if !self.is_new(&directory) {
                continue;
            }
            self.n_directories += 1;
            if DIRECTORIES_MAX < self.n_directories || FILES_MAX < self.n_files + files.len() {
                self.full(root.display().to_string());
                return;
            }
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) => {
                    self.unreadable(&directory, &error);
                    continue;
                }
            };
            for entry in entries {
                let path = match entry {
                    Ok(entry) => entry.path(),
                    Err(error) => {
                        self.unreadable(&directory, &error);
                        break;
                    }
                };
                // Hidden entries are editors' and version control's; Kubernetes mounts a
                // ConfigMap a second time under `..data`.
                let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
                if name.is_none_or(|it| it.starts_with('.')) {
                    continue;
                }
                let is_yaml = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
                if path.is_dir() {
                    open.push(path);
                } else if is_yaml {
                    files.push(path);
                    if FILES_MAX < self.n_files + files.len() {
                        self.full(root.display().to_string());
                        return;
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &Path) {
        if !self.is_new(path) || self.is_full {
            return;
        }
        let opened = File::open(path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        match opened {
            Err(error) => self.unreadable(path, &error),
            Ok((_, bytes)) if FILE_BYTES_MAX < bytes => {
                self.too_large(path.display().to_string(), &format!("{bytes} bytes"));
            }
            Ok((file, _)) => self.take(path.display().to_string(), file),
        }
    }

    fn take(&mut self, file: String, from: impl Read) {
        self.n_files += 1;
        if FILES_MAX < self.n_files {
            return self.full(file);
        }
        let mut bytes = Vec::new();
        let mut from = from.take(FILE_BYTES_MAX + 1);
        if let Err(error) = from.read_to_end(&mut bytes) {
            return self.unreadable(Path::new(&file), &error);
        }
        if from.limit() == 0 {
            return self.too_large(file, &format!("more than {FILE_BYTES_MAX} bytes"));
        }
        self.n_bytes += bytes.len();
        if ALL_BYTES_MAX < self.n_bytes {
            return self.full(file);
        }
        match String::from_utf8(bytes) {
            Ok(text) => self.found.push(Source { file, text }),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..good).unwrap_or_default();
                let before = String::from_utf8_lossy(before);
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |it| it.chars().count()) + 1;
                let byte = error.as_bytes().get(good).copied().unwrap_or_default();
                self.faults.push(Diagnostic {
                    severity: Severity::Error,
                    file,
                    line,
                    column,
                    message: format!("byte 0x{byte:02x} is not UTF-8"),
                    hint: "save the file as UTF-8".to_owned(),
                    snippet: String::new(),
                });
            }
        }
    }

    /// Whether `path` was not seen before, under any of its names.
    fn is_new(&mut self, path: &Path) -> bool {
        // What cannot be resolved is reported when it is opened.
        fs::canonicalize(path).map_or(true, |it| self.seen.insert(it))
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let hint = if error.kind() == io::ErrorKind::NotFound {
            "check the path; a pattern such as *.yaml is the shell's to expand"
        } else {
            "check that you may read it"
        };
        self.fault(path.display().to_string(), format!("cannot be read: {error}"), hint);
    }

    fn too_large(&mut self, file: String, has: &str) {
        self.fault(
            file,
            format!("the file has {has}, at most {FILE_BYTES_MAX} are read"),
            "split it into several files",
        );
    }

    fn full(&mut self, at: String) {
        if std::mem::replace(&mut self.is_full, true) {
            return;
        }
        let message = format!(
            "there are more than {FILES_MAX} files, {DIRECTORIES_MAX} directories or {ALL_BYTES_MAX} bytes",
        );
        self.fault(at, message, "check fewer at once, for example one region's");
    }

    fn fault(&mut self, file: String, message: String, hint: &str) {
        self.faults.push(Diagnostic {
            severity: Severity::Error,
            file,
            line: 1,
            column: 1,
            message,
            hint: hint.to_owned(),
            snippet: String::new(),
        });
    }
}
