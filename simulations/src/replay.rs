//! What a set of policies would have done on recorded metrics.
//!
//! **In:** documents, a [`Recording`], and where to begin.
//! **Out:** a [`Replay`]: per target and for all together a [`Card`], with the times that would
//! have been missed, every change of capacity, and what kept the agent from acting.
//! **Not here:** asking a metrics backend, tables for people (the command line's), any decision
//! (the agent's).
//!
//! The shipped agent decides, with its forecasts, its look back, guardrails, freeze windows and
//! blast radius. What a recording cannot tell is left out and said ([`NotReplayed`]):
//!
//! - Load does not depend on capacity, so a signal with `value_per_unit` is replayed as it was
//!   recorded. Latency and queue depth are what they are *because of* the capacity that there
//!   was; with another one they would have been different, and nobody knows how. They are not
//!   shown to the agent.
//! - Policies act as if their autonomy were `auto`: that is what "would have done" means.
//! - People's overrides and changes from outside are not replayed. Providers do what they are
//!   told, after the lead time.
//!
//! *Missed* is time in which a ready unit had to carry more than `value_per_unit` of some
//! signal. Time without a recorded load is not judged; units cost money in it all the same.

mod driver;
mod recording;
mod scope;
mod series;
mod tally;
mod units;
mod why;

use std::collections::BTreeMap;
use std::fmt;

use evenkeel_core::documents::{Autonomy, Documents};
use evenkeel_core::ids::{PolicyId, SignalName, TargetId};
use jiff::SignedDuration;
use serde::Serialize;

use crate::scorecard::Scorecard;

pub use recording::{Cell, Column, Grid, Part, Question, Recording};

/// How much past is shown to forecasts before the replay begins. Why 14 days: what the daemon
/// reads when it starts; two weeks have every weekday twice.
pub const PAST: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The distance of its samples. Why 5 min: the daemon's, and the slots of its history.
pub const PAST_STEP: SignedDuration = SignedDuration::from_mins(5);

/// The longest step. Why 1 min: a longer silence ends the agent's look back, and it would never
/// remove anything.
pub const STEP_MAX: SignedDuration = evenkeel_core::look_back::GAP_MAX;

/// The shortest step. Why 15 s: the daemon's usual period; nothing is scraped more often.
pub const STEP_MIN: SignedDuration = SignedDuration::from_secs(15);

/// Most changes that are listed per target. Why 10,000: as for missed times.
const CHANGES_MAX: usize = 10_000;

/// How to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who decides, as the scorecard names it.
    pub controller: String,
    /// From asking for capacity to having it, for targets whose document says "measure it".
    pub lead_time: SignedDuration,
    /// The query that says how much capacity there really was, if one was asked. It says what a
    /// replay begins with, and is what [`recorded`] scores.
    pub capacity_query: Option<String>,
    /// The target whose plan is wanted.
    pub plan_of: Option<TargetId>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            controller: "evenkeel".to_owned(),
            lead_time: evenkeel_core::lead_time::ASSUMED,
            capacity_query: None,
            plan_of: None,
        }
    }
}

/// What came of one replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// All targets together.
    pub total: Card,
    /// One per target, by name.
    pub targets: Vec<Card>,
    /// A row at every change of any column for [`Options::plan_of`]; the last is the end.
    pub plan: Vec<PlanRow>,
    /// What is not as it was written or recorded.
    pub notes: Vec<NotReplayed>,
}

/// Scores of one target or of all. As JSON: the fields of the scorecard, then these.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// Scenario `replay`, seed 0. Time with a recorded load is what its shares are of.
    #[serde(flatten)]
    pub scorecard: Scorecard,
    /// Whose; `None` for all targets together.
    pub target: Option<TargetId>,
    /// Seconds with a recorded load; of all targets added up in the total.
    pub judged_seconds: i64,
    /// Seconds without, for which nobody knows whether capacity was enough.
    pub unjudged_seconds: i64,
    /// Seconds with less ready than needed.
    pub missed_seconds: i64,
    /// How many times that was, from its begin to its end.
    pub missed_times: usize,
    /// The first 10,000 of them, oldest first; none in the total.
    pub missed: Vec<Missed>,
    /// The first 10,000 changes of capacity, oldest first; none in the total.
    pub changes: Vec<Change>,
    /// What kept the agent from doing what it wanted, or from looking ahead, by name.
    pub held: BTreeMap<&'static str, Held>,
}

/// A time with less ready than needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// Unix seconds.
    pub from: i64,
    /// Unix seconds; not part of it.
    pub until: i64,
    /// How many units there were too few, at most.
    pub units_max: u32,
}

/// A change of capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Unix seconds.
    pub at: i64,
    /// Units before.
    pub from: u32,
    /// Units after.
    pub to: u32,
    /// The agent's own sentence; empty for what was recorded.
    pub why: String,
}

/// One thing that kept the agent from acting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// How often it began.
    pub times: u32,
    /// For how long altogether, in whole steps.
    pub seconds: i64,
    /// When it was first so, in Unix seconds.
    pub first_at: i64,
    /// What the agent said then.
    pub example: String,
}

/// One line of a plan: what is true from `at` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRow {
    /// Unix seconds.
    pub at: i64,
    /// Units that the load needs; `None` where no load was recorded.
    pub demand: Option<u32>,
    /// Units asked for, ready or not.
    pub desired: u32,
    /// Units that serve.
    pub ready: u32,
}

/// Something that is not replayed as it was written or recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReplayed {
    /// A signal that depends on capacity.
    Signal { policy: PolicyId, signal: SignalName },
    /// A policy without any load signal; its targets are left out.
    NoLoad { policy: PolicyId },
    /// A policy that would have asked people first.
    Autonomy { policy: PolicyId, autonomy: Autonomy },
    /// A target that no policy selects; left out.
    NoPolicy { target: TargetId },
    /// A target without any recorded load; left out.
    NoSeries { target: TargetId, policy: PolicyId, label: String, value: String },
    /// One of several load signals of a target was never recorded.
    SignalNotRecorded { target: TargetId, signal: SignalName },
    /// A target without a price costs nothing here.
    NoPrice { target: TargetId },
    /// A target of which the capacity was never recorded.
    NoCapacity { target: TargetId },
}

impl fmt::Display for NotReplayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReplayed::Signal { policy, signal } => write!(
                f,
                "policy `{policy}`: signal `{signal}` depends on the capacity that there was, \
                 so it is not replayed"
            ),
            NotReplayed::NoLoad { policy } => write!(
                f,
                "policy `{policy}`: it has no signal with `value_per_unit`, so its targets are \
                 left out"
            ),
            NotReplayed::Autonomy { policy, autonomy } => {
                write!(f, "policy `{policy}`: replayed as `auto`, it is `{autonomy}`")
            }
            NotReplayed::NoPolicy { target } => {
                write!(f, "target `{target}`: no policy selects it, so it is left out")
            }
            NotReplayed::NoSeries { target, policy, label, value } => write!(
                f,
                "target `{target}`: the load queries of policy `{policy}` returned no series with \
                 {label}=\"{value}\", so it is left out"
            ),
            NotReplayed::SignalNotRecorded { target, signal } => write!(
                f,
                "target `{target}`: signal `{signal}` has no recorded value; nothing can be \
                 removed without it"
            ),
            NotReplayed::NoPrice { target } => {
                write!(f, "target `{target}`: it has no `price_usd_per_hour`, so it costs 0 here")
            }
            NotReplayed::NoCapacity { target } => write!(
                f,
                "target `{target}`: its capacity was not recorded, so it is not in the row \
                 `recorded`"
            ),
        }
    }
}

/// Why there is no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No target is left.
    #[error("no target can be replayed")]
    Nothing { notes: Vec<NotReplayed> },
    /// The step of the recording is not one that the agent can work with.
    #[error("a step of {step} s; it must be from {min} s to {max} s")]
    Step { step: i64, min: i64, max: i64 },
}

/// Replays `documents` on `recording`.
///
/// `keep_going` is called once per step; once it says no, the replay ends there and its cards
/// say so. Equal input gives equal output.
///
/// # Errors
///
/// [`ReplayError`]: nothing is left to replay, or the step is out of its limits.
pub fn replay(
    documents: &Documents,
    recording: &Recording,
    options: &Options,
    keep_going: &dyn Fn() -> bool,
) -> Result<Replay, ReplayError> {
    let step = recording.grid(Part::Span).step;
    let (min, max) = (STEP_MIN.as_secs(), STEP_MAX.as_secs());
    if !(min..=max).contains(&step) {
        return Err(ReplayError::Step { step, min, max });
    }
    let scope = scope::scope(documents, recording, options)?;
    Ok(driver::Driver::new(scope, recording, options).run(keep_going))
}

/// Scores what was really there, by [`Options::capacity_query`], in the same way: of every
/// target of which the capacity was recorded.
///
/// # Errors
///
/// [`ReplayError::Nothing`] when of no target it was.
pub fn recorded(
    documents: &Documents,
    recording: &Recording,
    options: &Options,
) -> Result<Replay, ReplayError> {
    let mut scope = scope::scope(documents, recording, options)?;
    let is_known = |it: &scope::Subject<'_>| it.capacity.is_some_and(Column::has_values);
    let unknown = scope.subjects.iter().filter(|it| !is_known(it));
    let notes: Vec<NotReplayed> =
        unknown.map(|it| NotReplayed::NoCapacity { target: it.id.clone() }).collect();
    scope.subjects.retain(is_known);
    scope.notes.clone_from(&notes);
    if scope.subjects.is_empty() {
        return Err(ReplayError::Nothing { notes });
    }
    Ok(driver::Driver::new(scope, recording, options).run_recorded())
}
