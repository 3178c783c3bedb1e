//! Ctrl-C: ends the run that goes on, and what has run is reported.
//!
//! **In:** SIGINT and SIGTERM. **Out:** whether to stop.
//! **Not here:** what is reported then (the verbs').

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit status of a second Ctrl-C: the shell's for SIGINT.
const KILLED: i32 = 130;

/// Whether somebody wants it to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. The first signal is remembered, a second one ends the process.
    pub(crate) fn listen() -> Interrupt {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set. Where the system refuses, a
            // signal ends the process as it always did.
            let _ends_at_once =
                flag::register_conditional_shutdown(signal, KILLED, Arc::clone(&wanted));
            let _is_remembered = flag::register(signal, Arc::clone(&wanted));
        }
        Interrupt(wanted)
    }

    /// Whether a signal came.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
