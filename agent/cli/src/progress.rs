//! How far something that takes long has come.
//!
//! **In:** how much there is, and how much of it is done.
//! **Out:** a bar on stderr that goes away at the end, only where stderr is a terminal.
//! **Not here:** anything worth keeping (see [`crate::terminal`]).

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How many steps pass between two looks at the clock. Why 4,096: a row takes less than a
/// microsecond, the look as long.
const STRIDE: u64 = 4_096;

/// A bar, or nothing at all.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    n_calls: u64,
}

impl Progress {
    /// A bar for `what`, over `all` bytes or, where nobody knows how many, a count of them.
    pub(crate) fn bytes(what: &'static str, all: Option<u64>) -> Progress {
        let known = "{msg} {bar:40} {bytes} of {total_bytes}, {eta} to go";
        let unknown = "{msg} {spinner} {bytes}";
        Progress::new(what, all, if all.is_some() { known } else { unknown })
    }

    /// A bar for `what`, over an unknown number of steps until the first [`Progress::of`].
    pub(crate) fn steps(what: &'static str) -> Progress {
        Progress::new(what, Some(0), "{msg} {bar:40} {pos} of {len}, {eta} to go")
    }

    fn new(what: &'static str, all: Option<u64>, template: &str) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress { bar: None, n_calls: 0 };
        }
        let bar = ProgressBar::with_draw_target(all, ProgressDrawTarget::stderr());
        // The templates above are good; without them the bar looks as it does by default.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(Cow::Borrowed(what));
        Progress { bar: Some(bar), n_calls: 0 }
    }

    /// So much is done; most calls are not looked at.
    pub(crate) fn often(&mut self, done: impl FnOnce() -> u64) {
        if let Some(bar) = &self.bar {
            self.n_calls += 1;
            if self.n_calls.is_multiple_of(STRIDE) {
                bar.set_position(done());
            }
        }
    }

    /// Does something that writes to stderr, with the bar out of its way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// So much of so much is done.
    pub(crate) fn of(&self, done: usize, all: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(all).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
