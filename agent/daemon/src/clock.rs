//! The daemon's time: wall-clock instants that never go backwards.
//!
//! **In:** the system's wall clock and its monotonic clock, and a scale.
//! **Out:** [`Clock::now`], the only clock that the rest of the daemon reads.
//! **Not here:** what time means for a decision (the core takes it as an argument).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How much one [`Clock::follow`] moves the clock at most.
///
/// Why 500 ms: a stepped or wrong wall clock must not end a person's override
/// or age every sample at once; real drift is far below this per evaluation.
const SLEW_MAX: SignedDuration = SignedDuration::from_millis(500);

/// A clock that is read by many and goes forwards only. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    anchor: Timestamp,
    started: Instant,
    scale: f64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What [`Clock::follow`] added so far, in microseconds.
    correction_us: AtomicI64,
    /// The latest instant handed out, in microseconds since the epoch.
    latest_us: AtomicI64,
}

impl Clock {
    /// Reads `anchor` now and runs at the speed of real time.
    pub fn starting_at(anchor: Timestamp) -> Clock {
        Clock::scaled(anchor, 1.0)
    }

    /// Reads `anchor` now and runs `scale` times as fast as real time, for the demo.
    pub fn scaled(anchor: Timestamp, scale: f64) -> Clock {
        let shared = Shared {
            correction_us: AtomicI64::new(0),
            latest_us: AtomicI64::new(anchor.as_microsecond()),
        };
        Clock { anchor, started: Instant::now(), scale, shared: Arc::new(shared) }
    }

    /// Current time. Never smaller than any earlier result, in any thread.
    pub fn now(&self) -> Timestamp {
        let us = self.uncorrected_us() + self.shared.correction_us.load(Ordering::Relaxed);
        let latest = self.shared.latest_us.fetch_max(us, Ordering::Relaxed).max(us);
        Timestamp::from_microsecond(latest).unwrap_or(Timestamp::MAX)
    }

    /// Moves towards `wall` by a bounded step, and says how far the two were apart.
    /// A clock that is ahead waits for the wall clock instead of going back.
    pub fn follow(&self, wall: Timestamp) -> SignedDuration {
        let us = self.uncorrected_us() + self.shared.correction_us.load(Ordering::Relaxed);
        let apart_us = wall.as_microsecond().saturating_sub(us);
        let limit_us = i64::try_from(SLEW_MAX.as_micros()).unwrap_or(i64::MAX);
        let step_us = apart_us.clamp(-limit_us, limit_us);
        self.shared.correction_us.fetch_add(step_us, Ordering::Relaxed);
        SignedDuration::from_micros(apart_us)
    }

    /// Real time that passes while this clock advances by `duration`; 0 when that
    /// is negative.
    pub fn real(&self, duration: SignedDuration) -> Duration {
        Duration::try_from_secs_f64((duration.as_secs_f64() / self.scale).max(0.0))
            .unwrap_or(Duration::MAX)
    }

    /// Completes at `deadline`, at once when it has passed, never when `None`.
    pub async fn sleep_until(&self, deadline: Option<Timestamp>) {
        match deadline {
            None => std::future::pending().await,
            Some(deadline) => {
                tokio::time::sleep(self.real(deadline.duration_since(self.now()))).await;
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "saturates after 292,000 years")]
    fn uncorrected_us(&self) -> i64 {
        let elapsed_us = self.started.elapsed().as_secs_f64() * self.scale * 1e6;
        self.anchor.as_microsecond().saturating_add(elapsed_us as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scaled_clock_passes_a_minute_in_a_second() {
        let clock = Clock::scaled(Timestamp::UNIX_EPOCH, 60.0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH + SignedDuration::from_mins(1));
        assert_eq!(clock.real(SignedDuration::from_mins(1)), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stepped_wall_clock_is_followed_slowly_and_never_backwards() {
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let clock = Clock::starting_at(start);
        assert_eq!(clock.follow(start + SignedDuration::from_hours(1)).as_secs(), 3_600);
        assert_eq!(clock.now(), start + SLEW_MAX);
        clock.follow(start - SignedDuration::from_hours(1));
        clock.follow(start - SignedDuration::from_hours(1));
        assert_eq!(clock.now(), start + SLEW_MAX);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), start + SignedDuration::from_millis(1_500));
    }
}
