//! Why there is no replay, and what to do about it.
//!
//! **In:** what went wrong, in words without secrets.
//! **Out:** an error and a hint on stderr, and the exit status.
//! **Not here:** faults of documents, which are diagnostics ([`super`]).

use crate::failure::Exit;
use crate::terminal::Terminal;

/// Longest text of a server that is passed on, in characters, as for the daemon.
const TEXT_CHARS_MAX: usize = 300;

/// Why there is no replay.
#[derive(Debug)]
pub(crate) struct Trouble {
    message: String,
    hint: String,
    exit: Exit,
}

impl Trouble {
    /// It was asked for wrongly: exit status 2.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble { message: message.into(), hint: hint.into(), exit: Exit::Usage }
    }

    /// It could not be done: exit status 1.
    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble { message: message.into(), hint: hint.into(), exit: Exit::Refused }
    }

    /// Says it.
    pub(crate) fn say(&self, terminal: &Terminal) -> Exit {
        terminal.error(&self.message);
        terminal.hint(&self.hint);
        self.exit
    }
}

/// Text of a server, fit for a message: one line, bounded, without `secret`.
pub(crate) fn clean(text: &str, secret: Option<&str>) -> String {
    let hidden = match secret {
        Some(secret) => text.replace(secret, "[hidden]"),
        None => text.to_owned(),
    };
    let line: String = hidden.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
