//! Why a verb was not carried out, and what to do about it.
//!
//! **In:** faults of the connection, answers of the agent, faults of local files.
//! **Out:** [`Failure`], with the exit status, the hint and the break-glass line.
//! **Not here:** printing (see [`crate::terminal`]).

use std::io;
use std::path::PathBuf;

use evenkeel_core::api::ErrorAnswer;
use evenkeel_core::spend::focus::FocusError;
use evenkeel_forecast::backtest::BacktestError;
use evenkeel_store::{KeyError, StoreError};

use crate::series_file::FileFault;

/// Exit status of the process; the numbers are a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, enforced, intact.
    Done,
    /// Refused, not found, invalid, not intact.
    Refused,
    /// Wrong usage.
    Usage,
    /// The agent did not answer.
    Unreachable,
    /// `simulate`: something happened that must never happen.
    Unsafe,
    /// `simulate`: capacity did not catch up with demand.
    NotLive,
    /// `simulate`: two equal runs had different traces.
    NotDeterministic,
    /// `simulate`, `replay`: a person stopped it; what ran is reported and was good.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) fn status(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Unsafe => 10,
            Exit::NotLive => 11,
            Exit::NotDeterministic => 12,
            // The shell's for SIGINT.
            Exit::Interrupted => 130,
        }
    }
}

/// Where break-glass works when nothing else does.
///
/// Why this path: the one that the packaged configuration of the daemon names.
const BREAK_GLASS: &str = "break-glass: on the agent's host, `touch /etc/evenkeel/freeze` freezes \
everything, also with the API down;\n  the file is named `break_glass_file` in the agent's \
configuration; remove it to go on";

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The agent said no; nothing has changed.
    #[error("{}", answer.error)]
    Refused { answer: ErrorAnswer },
    /// The agent could not; nothing has changed.
    #[error("{}", answer.error)]
    Failed { answer: ErrorAnswer, changes: bool },
    /// No connection: nothing was sent.
    #[error("the agent cannot be reached at `{at}`")]
    Unreachable {
        at: String,
        is_socket: bool,
        #[source]
        source: reqwest::Error,
    },
    /// A question got no answer; nothing was to change.
    #[error("the agent at `{at}` did not answer in full")]
    NoAnswer {
        at: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A change was sent, and nobody knows whether it happened.
    #[error("no answer from the agent at `{at}`: it is unknown whether this took effect")]
    Unknown {
        at: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that is not the agent's.
    #[error("the answer from `{at}` is not one of evenkeeld: {what}")]
    Foreign { at: String, what: String },
    /// The client for the connection cannot be made.
    #[error("cannot prepare a connection to `{at}`")]
    Client {
        at: String,
        #[source]
        source: reqwest::Error,
    },
    /// `--url` is not a URL that a token may be sent to.
    #[error("`{url}` is not a URL of an agent: {why}")]
    Url { url: String, why: &'static str },
    /// Options or environment variables that contradict each other.
    #[error("{0}")]
    Usage(&'static str),
    /// A file named on the command line cannot be read.
    #[error("cannot read {what} `{}`", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file named on the command line has other content than it should.
    #[error("`{}` is not {expected}", path.display())]
    Content { path: PathBuf, expected: &'static str, hint: &'static str },
    /// A token with characters that no token has. It is not shown.
    #[error("the token in {place} has characters that a token cannot have")]
    Token { place: String },
    /// The journal cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A public key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file of series is not one.
    #[error(transparent)]
    Series(#[from] FileFault),
    /// Too little past for a backtest.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
    /// A bill cannot be read.
    #[error("cannot read the bill `{}`", path.display())]
    Bill {
        path: PathBuf,
        #[source]
        source: FocusError,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for a new token")]
    Entropy(#[source] getrandom::Error),
    /// A record lacks a field that every record has, or something of our own
    /// cannot be written as JSON, which does not happen.
    #[error("an answer is not the JSON that it should be")]
    Json(#[source] serde_json::Error),
    /// Stdout cannot be written, for another reason than a closed pipe.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
}

impl Failure {
    /// The exit status for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Unreachable { .. } | Failure::NoAnswer { .. } | Failure::Unknown { .. } => {
                Exit::Unreachable
            }
            Failure::Usage(_) | Failure::Url { .. } => Exit::Usage,
            Failure::Refused { .. }
            | Failure::Failed { .. }
            | Failure::Foreign { .. }
            | Failure::Client { .. }
            | Failure::File { .. }
            | Failure::Content { .. }
            | Failure::Token { .. }
            | Failure::Store(_)
            | Failure::Key(_)
            | Failure::Series(_)
            | Failure::Backtest(_)
            | Failure::Bill { .. }
            | Failure::Write { .. }
            | Failure::Entropy(_)
            | Failure::Json(_)
            | Failure::Stdout(_) => Exit::Refused,
        }
    }

    /// The word before the message.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Failure::Refused { .. } => "refused",
            Failure::Failed { .. } => "failed",
            Failure::Unreachable { .. }
            | Failure::NoAnswer { .. }
            | Failure::Unknown { .. }
            | Failure::Foreign { .. }
            | Failure::Client { .. }
            | Failure::Url { .. }
            | Failure::Usage(_)
            | Failure::File { .. }
            | Failure::Content { .. }
            | Failure::Token { .. }
            | Failure::Store(_)
            | Failure::Key(_)
            | Failure::Series(_)
            | Failure::Backtest(_)
            | Failure::Bill { .. }
            | Failure::Write { .. }
            | Failure::Entropy(_)
            | Failure::Json(_)
            | Failure::Stdout(_) => "error",
        }
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Failure::Refused { answer } | Failure::Failed { answer, .. } => {
                return Some(answer.hint.clone()).filter(|it| !it.is_empty());
            }
            Failure::Store(StoreError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                "check the path; the journal's file is named in the agent's configuration"
            }
            Failure::Store(error) => return error.hint(),
            Failure::Key(error) => return error.hint(),
            Failure::Series(fault) => fault.hint(),
            Failure::Backtest(_) => return None,
            Failure::Bill { .. } => "export it in the FOCUS format, version 1.0 or later, as CSV",
            Failure::Write { .. } => "check the path, and that you may write there",
            Failure::Unreachable { is_socket: true, source, .. } if is_denied(source) => {
                "your account may not use the socket: join the group that owns it (`socket_group` in the \
                 agent's configuration), or use `sudo`"
            }
            Failure::Unreachable { is_socket: true, .. } => {
                "is it running on this host? `systemctl status evenkeeld`; for another socket or \
                 host give `--socket PATH` or `--url https://HOST`"
            }
            Failure::Unreachable { is_socket: false, .. } => {
                "check the address and, for a private certificate authority, `--ca-file FILE`; on \
                 the agent's host `evenkeel` works without any of it"
            }
            Failure::NoAnswer { .. } => {
                "ask again, with `--timeout 60s` if it is slow; `evenkeel status` shows whether it answers at all"
            }
            Failure::Unknown { .. } => {
                "check before you repeat it: `evenkeel status` lists every override in force, \
                 `evenkeel history --limit 10` what was recorded last"
            }
            Failure::Foreign { .. } => {
                "check that the address is that of evenkeeld, and that `evenkeel --version` matches its version"
            }
            Failure::Client { .. } => {
                "with `--ca-file FILE` only the certificates in that file are used"
            }
            Failure::Url { .. } => {
                "write `https://HOST:PORT`; on the agent's host leave `--url` out, and the socket is used"
            }
            Failure::Token { .. } => "a token is one line, as `evenkeel token` printed it",
            Failure::Content { hint, .. } => hint,
            Failure::File { .. } => "check the path, and that you may read the file",
            Failure::Usage(_) | Failure::Entropy(_) | Failure::Json(_) | Failure::Stdout(_) => {
                return None;
            }
        };
        Some(hint.to_owned())
    }

    /// What is below it, outermost first. Of a failed connection only the
    /// innermost: what stands between says no more than that there was one.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        match self {
            Failure::Unreachable { .. } | Failure::NoAnswer { .. } | Failure::Unknown { .. } => {
                causes.split_off(causes.len().saturating_sub(1))
            }
            Failure::Refused { .. }
            | Failure::Failed { .. }
            | Failure::Foreign { .. }
            | Failure::Client { .. }
            | Failure::Url { .. }
            | Failure::Usage(_)
            | Failure::File { .. }
            | Failure::Content { .. }
            | Failure::Token { .. }
            | Failure::Store(_)
            | Failure::Key(_)
            | Failure::Series(_)
            | Failure::Backtest(_)
            | Failure::Bill { .. }
            | Failure::Write { .. }
            | Failure::Entropy(_)
            | Failure::Json(_)
            | Failure::Stdout(_) => causes,
        }
    }

    /// How to freeze everything without the agent's API, where that is needed.
    pub(crate) fn break_glass(&self) -> Option<&'static str> {
        let is_needed = match self {
            Failure::Unreachable { .. } | Failure::NoAnswer { .. } | Failure::Unknown { .. } => {
                true
            }
            Failure::Failed { changes, .. } => *changes,
            Failure::Refused { .. }
            | Failure::Foreign { .. }
            | Failure::Client { .. }
            | Failure::Url { .. }
            | Failure::Usage(_)
            | Failure::File { .. }
            | Failure::Content { .. }
            | Failure::Token { .. }
            | Failure::Store(_)
            | Failure::Key(_)
            | Failure::Series(_)
            | Failure::Backtest(_)
            | Failure::Bill { .. }
            | Failure::Write { .. }
            | Failure::Entropy(_)
            | Failure::Json(_)
            | Failure::Stdout(_) => false,
        };
        is_needed.then_some(BREAK_GLASS)
    }
}

/// Whether the operating system said "permission denied" somewhere below.
fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(it) = cause {
        let io = it.downcast_ref::<io::Error>();
        if io.is_some_and(|it| it.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        cause = it.source();
    }
    false
}
