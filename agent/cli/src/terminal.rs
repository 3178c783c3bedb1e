//! The one place that writes to stdout and stderr.
//!
//! **In:** answers, and failures.
//! **Out:** data on stdout, talk on stderr; colours only on a terminal and not
//! under `NO_COLOR`; nothing from outside can move a cursor or forge a line.
//! **Not here:** what is said.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;

use serde::Serialize;

use crate::failure::Failure;

/// Stdout and stderr of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    out_in_colour: bool,
    talk_in_colour: bool,
}

/// What a word means, as a colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// All is well.
    Good,
    /// Look at this.
    Doubtful,
    /// This is wrong.
    Bad,
}

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Data.
    Out,
    /// Talk.
    Talk,
}

impl Terminal {
    /// The process's own.
    pub(crate) fn of_process() -> Terminal {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
        let allowed = !no_color && !dumb;
        Terminal {
            out_in_colour: allowed && io::stdout().is_terminal(),
            talk_in_colour: allowed && io::stderr().is_terminal(),
        }
    }

    /// `word` in the colour of `mark`, where `stream` has colours.
    pub(crate) fn mark(&self, stream: Stream, mark: Mark, word: &str) -> String {
        let in_colour = match stream {
            Stream::Out => self.out_in_colour,
            Stream::Talk => self.talk_in_colour,
        };
        let code = match mark {
            Mark::Good => "1;32",
            Mark::Doubtful => "1;33",
            Mark::Bad => "1;31",
        };
        if in_colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    }

    /// Writes `text` and a line break to stdout. A reader that went away is no
    /// failure: `evenkeel history | head` is usual.
    ///
    /// # Errors
    ///
    /// [`Failure::Stdout`], for example on a full disk.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        self.bytes(&[text.as_bytes(), b"\n"]).map(|_| ())
    }

    /// Writes `bytes` to stdout as they are; breaks when nobody reads any more.
    ///
    /// # Errors
    ///
    /// As [`Terminal::data`].
    pub(crate) fn bytes(&self, bytes: &[&[u8]]) -> Result<ControlFlow<()>, Failure> {
        let mut out = io::stdout().lock();
        let written = bytes.iter().try_for_each(|it| out.write_all(it)).and_then(|()| out.flush());
        match written {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(Failure::Stdout(error)),
        }
    }

    /// Writes `value` to stdout as JSON over several lines.
    ///
    /// # Errors
    ///
    /// As [`Terminal::data`].
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.data(&serde_json::to_string_pretty(value).map_err(Failure::Json)?)
    }

    /// Writes `text` and a line break to stderr. Nothing can be done when that fails.
    pub(crate) fn talk(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.write_all(b"\n"));
    }

    /// Says on stderr what to do next.
    pub(crate) fn hint(&self, hint: &str) {
        self.talk(&format!("\n{}: {hint}", self.mark(Stream::Talk, Mark::Good, "hint")));
    }

    /// Warns on stderr about what did not stop the verb.
    pub(crate) fn warning(&self, warning: &str) {
        let word = self.mark(Stream::Talk, Mark::Doubtful, "warning");
        self.talk(&format!("{word}: {}", visible(warning)));
    }

    /// Says on stderr what went wrong with a part, while the rest goes on.
    pub(crate) fn error(&self, error: &str) {
        let word = self.mark(Stream::Talk, Mark::Bad, "error");
        self.talk(&format!("{word}: {}", visible(error)));
    }

    /// Says on stderr what may be worth knowing.
    pub(crate) fn note(&self, note: &str) {
        self.talk(&visible(note));
    }

    /// Says on stderr what went wrong, every cause below it, and what to do next.
    pub(crate) fn failure(&self, failure: &Failure) {
        let word = self.mark(Stream::Talk, Mark::Bad, failure.word());
        self.talk(&format!("{word}: {}", visible_lines(&failure.to_string())));
        for cause in failure.causes() {
            self.talk(&format!("  cause: {}", visible(&cause)));
        }
        if let Some(hint) = failure.hint() {
            self.hint(&visible_lines(&hint));
        }
        if let Some(line) = failure.break_glass() {
            self.talk(&format!("\n{line}"));
        }
    }
}

/// `text` without characters that move a cursor, change colours or forge a line.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|it| if is_invisible(it) { char::REPLACEMENT_CHARACTER } else { it }).collect()
}

/// As [`visible`], but line breaks stay; what follows one is indented.
pub(crate) fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n  ")
}

fn is_invisible(it: char) -> bool {
    // The bidirectional controls reorder what stands around them.
    it.is_control()
        || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_gets_colours() {
        let terminal = Terminal { out_in_colour: false, talk_in_colour: true };
        assert_eq!(terminal.mark(Stream::Out, Mark::Bad, "error"), "error");
        assert_eq!(terminal.mark(Stream::Talk, Mark::Bad, "error"), "\x1b[1;31merror\x1b[0m");
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor_or_forge_a_line() {
        assert_eq!(
            visible("a\x1b[2Jb\nc\r\u{202e}d\u{9b}é"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}d\u{fffd}é"
        );
        assert_eq!(visible_lines("a\nb\x07"), "a\n  b\u{fffd}");
    }
}
