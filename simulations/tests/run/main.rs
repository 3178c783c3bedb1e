//! Runs of regions as their callers see them.
//!
//! **In:** the scenarios of the repository and small ones. **Out:** panics of failed tests.
//! **Not here:** what happens inside of a run (beside it, in `run/tests.rs`).

mod documents;
mod equal;
mod harm;

use evenkeel_sim::run::{Controller, RegionRun, Settings, run};
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};

/// A scenario of the repository that has everything: faults, people, deaths and a swarm.
fn busy() -> RegionScenario {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/people-and-crashes.yaml");
    let text = std::fs::read_to_string(file).expect("the scenario is there");
    let parsed = Scenario::parse(file, &text).unwrap_or_else(|it| panic!("{it:?}"));
    match parsed.kind {
        ScenarioKind::Region(region) => *region,
        ScenarioKind::Capacity(_) => panic!("a region"),
    }
}

fn evenkeel(scenario: &RegionScenario, seed: u64) -> RegionRun {
    run(scenario, &Settings::new(seed, Controller::Evenkeel)).expect("it can be run")
}
