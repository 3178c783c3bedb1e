//! People: who act early, late, wrongly or never.
//!
//! **In:** a scenario's acts, or those that a seed draws. **Out:** [`Act`]s with their time.
//! **Not here:** carrying them out ([`crate::run`]): an override is asked of the agent; where
//! there is no agent, a pin is set by hand, and the rest has nobody to obey it.

/// Something that a person does.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// When.
    pub when: When,
    /// What.
    pub deed: Deed,
}

/// When a person acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Seconds since the scored part began.
    At(i64),
    /// So many seconds after the first page of the run; never when nobody is paged.
    AfterPage(i64),
}

/// What a person does. Services and zones are places in the world's spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// `evenkeel freeze` on some services (all when empty), for so many seconds.
    Freeze { services: Vec<usize>, seconds: i64 },
    /// `evenkeel hold`.
    Hold { services: Vec<usize>, seconds: i64 },
    /// `evenkeel no-scale-down`.
    NoScaleDown { services: Vec<usize>, seconds: i64 },
    /// `evenkeel pin`; without an agent, the units are set by hand.
    Pin { service: usize, units: u32, seconds: i64 },
    /// `evenkeel expire` of everything that is in force.
    ExpireAll,
    /// Sets units at the provider, past the agent.
    SetByHand { service: usize, units: u32 },
    /// Turns away a share of the first tries for so many seconds.
    Shed { service: usize, ratio: f64, seconds: i64 },
    /// Restarts so large a share of the units at a time, so many seconds apart, until all had
    /// their turn; with 0 seconds, one share only.
    Restart { service: usize, ratio: f64, apart: i64 },
    /// Replaces gray units, at most so many.
    ReplaceGray { service: usize, units_max: u32 },
    /// Promotes a replica.
    Promote { service: usize },
    /// Drains a zone for so many seconds.
    Drain { zone: usize, seconds: i64 },
    /// `evenkeel takeover` of some services (all when empty), for so many seconds.
    Takeover { services: Vec<usize>, seconds: i64 },
    /// `evenkeel handback` of some services (all when empty).
    HandBack { services: Vec<usize> },
    /// From then on a person stands by, and says their word about every run so many seconds after
    /// they were asked: about a gate when it asks, about an abort when the run begins.
    StandBy { who: Person, word: Word, after: i64 },
}

/// Who stands by. Two, so that a gate may ask for two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// `ana`.
    Ana,
    /// `ben`.
    Ben,
}

impl Person {
    /// As in documents and records.
    pub fn name(self) -> &'static str {
        match self {
            Person::Ana => "ana",
            Person::Ben => "ben",
        }
    }
}

/// What a person who stands by says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `evenkeel approve`, with the plan that they saw when they were asked.
    Approve,
    /// `evenkeel deny`.
    Deny,
    /// `evenkeel abort`.
    Abort,
}
