//! Running one program, without a shell and within limits.
//!
//! **In:** a program, its arguments and all of its environment, a time limit.
//! **Out:** how it ended and the start of what it printed; or that it never started.
//! **Not here:** which programs may run ([`super::settings`]), what an end means
//! ([`super::command`], [`super::terraform`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::join;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long to go on reading after a program has ended, when something that it left
/// running still holds its output open. Why 1 s: what it wrote itself is there at once.
const REST: Duration = Duration::from_secs(1);

/// One program to run.
pub(super) struct Job<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<OsString>,
    /// All of it: nothing is inherited.
    pub(super) environment: BTreeMap<String, OsString>,
    pub(super) folder: &'a Path,
    pub(super) timeout: Duration,
    /// How much of each output is kept; the rest is read and thrown away, so that the
    /// program never waits for a reader.
    pub(super) output_bytes_max: usize,
    pub(super) stop: Stop,
}

/// How a program is stopped at its time limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Its whole group is killed.
    Kill,
    /// Its group is interrupted, and killed when it has not ended after this time.
    Interrupt { grace: Duration },
}

impl Stop {
    fn first(self) -> Signal {
        match self {
            Stop::Kill => Signal::KILL,
            Stop::Interrupt { .. } => Signal::INT,
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    Exited { code: i32 },
    /// By a signal of somebody else.
    Killed,
    /// By us, at its time limit.
    TimedOut,
}

/// What is known of a program that ran.
pub(super) struct Output {
    pub(super) ended: Ended,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
}

/// The start of what was printed.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) bytes: Vec<u8>,
    /// Whether more was printed than is kept.
    pub(super) is_cut: bool,
}

/// The process group of a program; when this is dropped before the program ended, because
/// the daemon ends, the group is stopped too.
struct Group {
    leader: Option<Pid>,
    stop: Stop,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // Nobody there any more is fine.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(self.stop.first());
    }
}

/// Runs a program to its end or to its time limit.
///
/// # Errors
///
/// When it never started: nothing has happened.
pub(super) async fn run(job: Job<'_>) -> io::Result<Output> {
    let Job { program, arguments, environment, folder, timeout: limit, output_bytes_max, stop } =
        job;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: its children are stopped with it, and a Ctrl-C in the
        // daemon's terminal is not theirs.
        .process_group(0)
        .spawn()?;
    let leader = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
    let mut group = Group { leader, stop };
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = {
        let mut reading =
            pin!(join(stdout.fill(out, output_bytes_max), stderr.fill(err, output_bytes_max)));
        let mut is_read = false;
        let waited = {
            let mut waiting = pin!(timeout(limit, child.wait()));
            loop {
                tokio::select! {
                    waited = &mut waiting => break waited,
                    _ = &mut reading, if !is_read => is_read = true,
                }
            }
        };
        let ended = match waited {
            Ok(status) => ended_with(status),
            Err(_) => {
                stop_group(&mut child, &group).await;
                Ended::TimedOut
            }
        };
        // It was waited for: its number may be somebody else's from now on.
        group.leader = None;
        if !is_read {
            let _ = timeout(REST, &mut reading).await;
        }
        ended
    };
    Ok(Output { ended, stdout, stderr })
}

async fn stop_group(child: &mut Child, group: &Group) {
    group.signal(group.stop.first());
    if let Stop::Interrupt { grace } = group.stop {
        let _ = timeout(grace, child.wait()).await;
        group.signal(Signal::KILL);
    }
    let _ = child.wait().await;
}

fn ended_with(status: io::Result<ExitStatus>) -> Ended {
    match status.map(|it| it.code()) {
        Ok(Some(code)) => Ended::Exited { code },
        // Nobody knows how far it got, just as after a signal.
        Ok(None) | Err(_) => Ended::Killed,
    }
}

impl Captured {
    async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>, bytes_max: usize) {
        let Some(mut from) = from else { return };
        let mut piece = vec![0; 16 * 1_024];
        loop {
            let read = match from.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => read,
            };
            let kept = read.min(bytes_max - self.bytes.len());
            self.bytes.extend_from_slice(piece.get(..kept).unwrap_or_default());
            self.is_cut |= kept < read;
        }
    }
}

/// The program that `path` names, if it may be run: checked at each run, because files
/// change. What happens to the file between this and its start goes unnoticed; whoever
/// can write in its folder could do that.
pub(super) fn checked_program(path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    let unreadable = |error: io::Error| format!("program `{shown}`: {error}");
    // Links are followed first, so that the file that runs is the one that was checked.
    let program = path.canonicalize().map_err(unreadable)?;
    let metadata = program.metadata().map_err(unreadable)?;
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    if !metadata.is_file() {
        return Err(format!("program `{shown}` is not a regular file"));
    }
    if mode & 0o111 == 0 {
        return Err(format!("program `{shown}` has mode {mode:03o}; `chmod 755` lets it be run"));
    }
    if mode & 0o022 != 0 {
        return Err(format!(
            "program `{shown}` has mode {mode:03o}, which lets others change it; `chmod 755 {shown}`"
        ));
    }
    let me = geteuid().as_raw();
    if owner != 0 && owner != me {
        return Err(format!(
            "program `{shown}` belongs to user {owner}, who could change it; `chown root {shown}`"
        ));
    }
    Ok(program)
}
