//! Child processes that cannot outlive the test.
//!
//! In: a program, its arguments, and when it counts as ready.
//! Out: a running process with its output on file; killed by pid when dropped, and
//! by the kernel when the test process dies in any other way.
//! Not here: what the program is for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::port::{free_port, listens};
use crate::wait::{wait_for, wait_until};

/// Attempts on another port when somebody else was faster. Two picks collide about
/// once in 28,000 (the ephemeral range), so three in a row mean another fault.
const PORT_ATTEMPTS: usize = 3;

/// How much of a process's output a failure shows.
const LOG_TAIL_LINES: usize = 40;

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
}

impl Program {
    /// The executable at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            folder: None,
        }
    }

    /// The executable called `name` in `PATH`.
    ///
    /// # Panics
    ///
    /// When there is none; the message ends with `install`, which says how to get it.
    #[must_use]
    #[track_caller]
    pub fn installed(name: &str, install: &str) -> Self {
        let found = std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file());
        match found {
            Some(path) => Self::new(path),
            None => panic!("{name} is not installed; {install}"),
        }
    }

    /// A binary of this workspace beside the running test (`target/debug/NAME`), as it was
    /// last built: `make test` builds all, `cargo test -p ONE` only those of that crate.
    ///
    /// # Panics
    ///
    /// When it is not built.
    #[must_use]
    #[track_caller]
    pub fn of_workspace(name: &str) -> Self {
        let test = std::env::current_exe().expect("a test knows its own path");
        // `target/debug/deps/test-0123` or, for a binary, `target/debug/name`.
        let found =
            test.ancestors().skip(1).take(2).map(|it| it.join(name)).find(|it| it.is_file());
        match found {
            Some(path) => Self::new(path),
            None => panic!("`{name}` is not built; run `make build` (cargo build --workspace)"),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets one environment variable; all others are inherited.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Runs it in `folder` instead of the test's own.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The last part of the path, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// The path and all arguments, to be run by another program.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        std::iter::once(self.path.clone().into_os_string())
            .chain(self.arguments.iter().cloned())
            .collect()
    }

    /// The plain command, for a run that is over before the test goes on.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).envs(&self.environment).stdin(Stdio::null());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// The same, killed by the kernel when the thread that spawns it ends.
    fn bound_to_parent(&self, setpriv: &Self) -> Command {
        let mut command = setpriv
            .clone()
            .args(["--pdeathsig", "KILL"])
            .arg(&self.path)
            .args(&self.arguments)
            .command();
        command.envs(&self.environment);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    // Files without a name: they vanish with the last handle, however a test ends.
    stdout: File,
    stderr: File,
}

impl Process {
    /// Starts `program` with its output on file.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn start(program: &Program) -> Self {
        let file = || tempfile::tempfile().expect("a temporary file can be made");
        let (stdout, stderr) = (file(), file());
        let shared = |file: &File| file.try_clone().expect("a file handle can be cloned");
        let setpriv =
            Program::installed("setpriv", "it is part of util-linux: apt-get install util-linux");
        let mut command = program.bound_to_parent(&setpriv);
        command.stdout(shared(&stdout)).stderr(shared(&stderr));
        let child = spawn_on_lasting_thread(command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.name()));
        let mut process = Self { name: program.name(), child, stdout, stderr };
        process.wait_bound(&setpriv.path);
        process
    }

    /// Waits until `setpriv` has made way for the program: before that the death signal
    /// may not be set yet, and a test killed right now would leave an orphan.
    #[track_caller]
    fn wait_bound(&mut self, setpriv: &Path) {
        // What the kernel names has no links in it (`/bin` is one to `/usr/bin`).
        let setpriv =
            fs::canonicalize(setpriv).expect("setpriv is there, it has just been started");
        let executable = PathBuf::from(format!("/proc/{}/exe", self.pid()));
        let limit = Duration::from_secs(30);
        wait_until(limit, &format!("{} takes over from setpriv", self.name), || {
            // One that has ended has no executable any more.
            fs::read_link(&executable).is_ok_and(|it| it != setpriv) || self.exited().is_some()
        });
    }

    /// Starts `program(port)` on a free loopback port and returns once it is the one
    /// listening there and `ready(port)` holds.
    ///
    /// # Panics
    ///
    /// When it exits or is not ready within `limit`; the message shows what it logged.
    #[track_caller]
    pub fn start_listening(
        limit: Duration,
        mut program: impl FnMut(u16) -> Program,
        mut ready: impl FnMut(u16) -> bool,
    ) -> (Self, u16) {
        for _ in 1..PORT_ATTEMPTS {
            let port = free_port();
            let mut process = Self::start(&program(port));
            if process.wait_listening(limit, port, &mut ready) {
                return (process, port);
            }
        }
        let port = free_port();
        let mut process = Self::start(&program(port));
        assert!(
            process.wait_listening(limit, port, &mut ready),
            "{} found its port taken {PORT_ATTEMPTS} times{}",
            process.name,
            process.log_tail()
        );
        (process, port)
    }

    /// Waits until this process listens on `port` and `ready` holds; false when it
    /// ended because the port was taken.
    #[track_caller]
    pub(crate) fn wait_listening(
        &mut self,
        limit: Duration,
        port: u16,
        ready: &mut dyn FnMut(u16) -> bool,
    ) -> bool {
        let started = Instant::now();
        loop {
            if listens(self.pid(), port) && ready(port) {
                return true;
            }
            if let Some(status) = self.exited() {
                let output = self.stderr() + &self.stdout();
                if output.to_lowercase().contains("address already in use") {
                    return false;
                }
                panic!("{} ended with {status} before it was ready{}", self.name, self.log_tail());
            }
            assert!(
                started.elapsed() < limit,
                "{} was not ready on port {port} within {limit:?}{}",
                self.name,
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Panics
    ///
    /// When the kernel does not know it any more.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it still runs after `limit`.
    #[track_caller]
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_for(limit, &what, || self.exited())
    }

    /// Sends `signal` (for example `Signal::TERM`, `HUP`, `STOP`, `CONT`).
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.exited().is_none(), "{} has ended already{}", self.name, self.log_tail());
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Kills it at once (SIGKILL) and returns when it is gone.
    pub fn kill(&mut self) {
        // Already gone is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// All it has written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        written(&self.stdout)
    }

    /// All it has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        written(&self.stderr)
    }

    /// Waits until its output (either stream) contains `text`.
    ///
    /// # Panics
    ///
    /// When it does not within `limit`, or the process ends first.
    #[track_caller]
    pub fn wait_output(&mut self, limit: Duration, text: &str) {
        let what = format!("{} writes `{text}`", self.name);
        wait_for(limit, &what, || {
            // Asked before reading: what it wrote last must not be missed.
            let exited = self.exited();
            if (self.stdout() + &self.stderr()).contains(text) {
                return Some(());
            }
            if let Some(status) = exited {
                panic!("{what}: it ended with {status} instead{}", self.log_tail());
            }
            None
        });
    }

    /// The end of its output, for a failure message; starts on a new line.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let output = self.stdout() + &self.stderr();
        let lines: Vec<&str> = output.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("\n--- last output of {} ---\n{}\n---", self.name, tail.join("\n"))
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "libtest shows it under the failed test, only there")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// Reads a file from its start. The child writes through the same open file, so the
/// position it writes at must stay where it is.
fn written(file: &File) -> String {
    let mut bytes = Vec::new();
    let mut block = [0; 64 * 1024];
    while let Ok(read @ 1..) = file.read_at(&mut block, bytes.len() as u64) {
        bytes.extend_from_slice(&block[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether process `pid` runs. A zombie does not: it holds nothing but its number.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")) else {
        return false;
    };
    // proc(5): the state follows the name, which is in brackets and may hold any text.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// The kernel ties the parent-death signal to the *thread* that spawned, and libtest
/// gives every test a thread of its own; a part shared by several tests would die
/// with the first. So one thread that lasts as long as the process spawns them all.
fn spawn_on_lasting_thread(command: Command) -> std::io::Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("testbed-parent".to_owned())
            .spawn(move || {
                for (mut command, answer) in receiver {
                    // The one who ordered may have panicked; the child then dies below.
                    if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                        let _ = child.kill();
                        let _ = child.wait();
                    }
                }
            })
            .expect("a thread can be started");
        sender
    });
    let (answer, spawned) = mpsc::channel();
    orders.send((command, answer)).expect("the spawning thread lasts as long as the process");
    spawned.recv().expect("the spawning thread answers every order")
}
