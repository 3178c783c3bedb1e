//! What comes next.
//!
//! **In:** events with their instants. **Out:** the earliest, and of equal ones the first given.
//! **Not here:** time-outs and backoffs, which are in order by themselves ([`super::station`],
//! [`super::engine`]): only the first of each is here.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that happens at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A first try from outside; void when the load has changed since (`epoch`).
    Arrival { service: u32, epoch: u32 },
    /// A request has done its own work.
    Worked { request: u32 },
    /// The oldest try of a service may have timed out.
    TimeOut { service: u32 },
    /// The oldest failed try comes again.
    Backoff,
    /// The steps at this place in the order of time take effect.
    Step { place: u32 },
    /// Counting begins.
    Measure,
    /// A minute of the series is full.
    Minute,
    /// The end.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    at: u64,
    sequence: u64,
    what: What,
}

impl Ord for Event {
    // The other way round: the heap has its largest on top.
    fn cmp(&self, other: &Event) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Event) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Events to come.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Event>,
    sequence: u64,
}

impl Events {
    /// Something will happen at `at`, in nanoseconds.
    pub(super) fn push(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.heap.push(Event { at, sequence: self.sequence, what });
    }

    /// What happens next, and when.
    pub(super) fn pop(&mut self) -> Option<(u64, What)> {
        self.heap.pop().map(|it| (it.at, it.what))
    }
}
