//! The region's launch queue.
//!
//! **In:** what services miss. **Out:** which service may launch now: first come, first served,
//! at the provider's pace. **Not here:** zones and boots ([`super::units`]).

use std::collections::VecDeque;

/// Launches that wait. An entry per request, so a service that asks late waits behind those
/// that asked before.
#[derive(Clone, Debug)]
pub(super) struct Launches {
    waiting: VecDeque<(usize, u32)>,
    /// Launches that are allowed now.
    allowed: f64,
    /// The spec's pace.
    per_minute: f64,
    /// A fault's pace.
    per_minute_max: Option<f64>,
}

impl Launches {
    pub(super) fn new(per_minute: f64) -> Launches {
        Launches { waiting: VecDeque::new(), allowed: 1.0, per_minute, per_minute_max: None }
    }

    /// A fault sets the pace, or ends.
    pub(super) fn set_pace(&mut self, per_minute_max: Option<f64>) {
        self.per_minute_max = per_minute_max;
    }

    /// A second passes. At most a second's worth is saved up, or one launch.
    pub(super) fn pass_second(&mut self) {
        let per_second = self.per_minute_max.unwrap_or(self.per_minute).max(0.0) / 60.0;
        self.allowed = (self.allowed + per_second).min(per_second.max(1.0));
    }

    /// Whether anything waits and may be launched.
    pub(super) fn is_due(&self) -> bool {
        !self.waiting.is_empty() && 1.0 <= self.allowed
    }

    /// The service whose turn it is.
    pub(super) fn first(&self) -> Option<usize> {
        self.waiting.front().map(|(service, _)| *service)
    }

    /// The first was launched.
    pub(super) fn launched(&mut self) {
        self.allowed -= 1.0;
        if let Some((_, n)) = self.waiting.front_mut() {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.waiting.pop_front();
            }
        }
    }

    /// `n` more for a service.
    pub(super) fn push(&mut self, service: usize, n: u32) {
        match self.waiting.back_mut() {
            Some((last, waiting)) if *last == service => *waiting += n,
            Some(_) | None => self.waiting.push_back((service, n)),
        }
    }

    /// `n` fewer for a service, the newest first.
    pub(super) fn cancel(&mut self, service: usize, mut n: u32) {
        for (of, waiting) in self.waiting.iter_mut().rev() {
            if *of == service {
                let taken = n.min(*waiting);
                *waiting -= taken;
                n -= taken;
            }
        }
        self.waiting.retain(|(_, waiting)| 0 < *waiting);
    }
}
