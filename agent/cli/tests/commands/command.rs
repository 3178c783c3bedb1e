//! Running `evenkeel` as a person would.
//!
//! **In:** a command line, files, variables.
//! **Out:** everything it said, as one text.
//! **Not here:** what it should say.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use expect_test::Expect;
use tempfile::TempDir;

/// A directory to run in, and what to run with.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
    variables: Vec<(String, String)>,
    stdin: Vec<u8>,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Scene { dir, variables: Vec::new(), stdin: Vec::new() }
    }

    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Scene {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below")).expect("created");
        std::fs::write(path, text).expect("written");
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Scene {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn stdin(mut self, text: impl AsRef<[u8]>) -> Scene {
        self.stdin = text.as_ref().to_owned();
        self
    }

    /// Runs `evenkeel` with the words of `line`; words in '…' may have spaces.
    pub(crate) fn output(&self, line: &str) -> Output {
        // Never the daemon of the machine that runs the tests.
        let is_elsewhere = self.variables.iter().any(|(name, _)| name == "EVENKEEL_URL");
        let nowhere = (!is_elsewhere).then_some(("EVENKEEL_SOCKET", "nowhere.sock"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args(words(line))
            .current_dir(self.dir.path())
            .env_clear()
            .envs(nowhere)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("evenkeel starts");
        let mut stdin = child.stdin.take().expect("piped");
        // It need not read all of it.
        let _ = stdin.write_all(&self.stdin);
        drop(stdin);
        child.wait_with_output().expect("evenkeel ends")
    }

    /// Everything that it said.
    pub(crate) fn said(&self, line: &str) -> String {
        let Output { status, stdout, stderr } = self.output(line);
        let code = status.code().expect("an exit status");
        let mut said = format!("exit {code}\n");
        for (name, bytes) in [("stdout", stdout), ("stderr", stderr)] {
            if !bytes.is_empty() {
                let text = String::from_utf8(bytes).expect("UTF-8");
                said.push_str(&format!("{name}:\n{text}"));
            }
        }
        said.replace(&self.dir.path().display().to_string(), "DIR")
    }

    #[track_caller]
    pub(crate) fn check(&self, line: &str, expected: &Expect) {
        expected.assert_eq(&self.said(line));
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
