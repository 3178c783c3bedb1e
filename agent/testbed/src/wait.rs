//! Waiting for a condition instead of for a time.
//!
//! In: a condition and how long it may take.
//! Out: control as soon as it holds.
//! Not here: async waiting; a test on a current-thread runtime must not block it.

use std::time::{Duration, Instant};

/// How often a condition is looked at: short beside every limit in use, long beside
/// the cost of a look (a loopback request).
const PERIOD: Duration = Duration::from_millis(20);

/// Returns once `condition` holds; looks every 20 ms.
///
/// # Panics
///
/// When it does not hold within `limit`; `what` completes "… did not happen".
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(limit, what, || condition().then_some(()));
}

/// Returns the first value that `look` finds; looks every 20 ms.
///
/// # Panics
///
/// When it finds none within `limit`; `what` completes "… did not happen".
#[track_caller]
pub fn wait_for<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        let waited = started.elapsed();
        assert!(waited < limit, "{what}: did not happen within {limit:?} (waited {waited:.1?})");
        std::thread::sleep(PERIOD);
    }
}
