//! A run on a time axis, in bounded memory.
//!
//! **In:** one moment after the other. **Out:** at most [`BINS_MAX`] bins per service, each over
//! an equal time, and at most [`EVENTS_MAX`] events.
//! **Not here:** drawing ([`crate::report`]).

mod recorder;

pub use recorder::{Moment, Recorder};

/// Most bins. When they are full, neighbours are joined and bins are twice as long.
pub const BINS_MAX: usize = 1_024;
/// Most events. The first half and the newest ones are kept.
pub const EVENTS_MAX: usize = 1_000;

/// What a run looked like.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Unix seconds of the first bin's beginning.
    pub begins_at: i64,
    /// Seconds per bin.
    pub bin_seconds: i64,
    /// What one unit of load is, such as `requests/s`.
    pub load_unit: String,
    /// One per service.
    pub services: Vec<ServiceTimeline>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Events that were left out.
    pub events_left_out: u64,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceTimeline {
    /// Its name.
    pub name: String,
    /// Load that one unit carries; for drawing capacity on the axis of load.
    pub unit_load: f64,
    /// Share of requests (or of the time) that shall be good.
    pub objective_ratio: f64,
    /// Price of a unit for an hour.
    pub unit_usd_per_hour: f64,
    /// In order of time, without gaps.
    pub bins: Vec<Bin>,
}

/// Means over one bin, but for what says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Seconds of which something is known; the last bin may have fewer than the others. 0 is a
    /// gap, and everything else in the bin then means nothing.
    pub seconds: i64,
    /// True load.
    pub load: f64,
    /// The most in the bin.
    pub load_max: f64,
    /// What the agent expected for now, one lead time ago: 10 %, 50 %, 90 % quantile. `None`
    /// where nothing was forecast.
    pub forecast: Option<[f64; 3]>,
    /// Units that serve; the fewest in the bin.
    pub ready_min: u32,
    /// Units asked for; the last in the bin.
    pub desired: u32,
    /// Units that were needed; the most in the bin.
    pub needed_max: u32,
    /// Good of all that was offered; `None` without traffic.
    pub good_ratio: Option<f64>,
    /// 95th percentile of latency; the highest in the bin. `None` in the capacity world.
    pub latency_p95_seconds: Option<f64>,
    /// Spent in the bin.
    pub cost_usd: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unix seconds.
    pub at: i64,
    /// What kind of thing.
    pub kind: EventKind,
    /// The service it is about; empty for the region.
    pub service: String,
    /// In words, for people.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// Something broke.
    FaultBegan,
    /// It works again.
    FaultEnded,
    /// A controller changed something.
    Decision,
    /// A controller wanted to and was kept from it.
    Refusal,
    /// A person did something.
    Person,
    /// Somebody was paged.
    Page,
    /// What must never happen.
    Violation,
}
