//! A scenario of a region: services, what breaks, who acts, and what must come of it.
//!
//! **In:** a checked file. **Out:** [`RegionScenario`]. **Not here:** running it
//! ([`crate::run`]).

use std::sync::Arc;

use evenkeel_core::documents::Documents;
use jiff::Timestamp;

use crate::expectation::{Must, MustNot};
use crate::exporter::ExporterSpec;
use crate::fault::Fault;
use crate::fault::swarm::Swarm;
use crate::people::Act;
use crate::world::WorldSpec;

/// A scenario that passed every check.
#[derive(Clone, Debug)]
pub struct RegionScenario {
    /// Its name.
    pub name: String,
    /// Which incident of the museum it is, `1 ..= 25`.
    pub incident: Option<u8>,
    /// What it is about, in a sentence or two.
    pub about: String,
    /// The region.
    pub world: WorldSpec,
    /// How monitoring sees it.
    pub exporter: ExporterSpec,
    /// When the scored part begins.
    pub starts_at: Timestamp,
    /// Seconds before it: simulated, not scored.
    pub warm_up: i64,
    /// Seconds of the scored part.
    pub lasts: i64,
    /// Seconds from look to look of the agent.
    pub evaluation_period: i64,
    /// What breaks.
    pub faults: Vec<Fault>,
    /// What a seed may break besides.
    pub swarm: Option<Swarm>,
    /// What people do.
    pub people: Vec<Act>,
    /// Files with playbooks, below the folder `playbooks`; they are among the documents.
    pub playbooks: Vec<String>,
    /// The agent's documents, from the same file and those of its playbooks; made up where there
    /// are none.
    pub documents: Option<Arc<Documents>>,
    /// What must come of it.
    pub must: Vec<Must>,
    /// What must never happen.
    pub must_not: Vec<MustNot>,
    /// Controllers that must fail it, as on the command line: the automations that made this
    /// incident worse.
    pub fails: Vec<String>,
}
