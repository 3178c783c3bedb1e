//! The demo's scenario, run without a clock.
//!
//! **In:** `scenarios/demo.yaml`. **Out:** panics of failed tests.
//! **Not here:** the demo in a terminal (the daemon's tests).

use evenkeel_core::documents::{SourceText, load};
use evenkeel_sim::pilot::PilotKind;
use evenkeel_sim::run::{Controller, RegionRun, Settings, run};
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{DEMO, Scenario, ScenarioKind, parts};

fn demo() -> RegionScenario {
    let scenario = Scenario::parse("demo.yaml", DEMO).expect("the demo is valid");
    let ScenarioKind::Region(scenario) = scenario.kind else { panic!("the demo is a region") };
    *scenario
}

fn run_by(controller: Controller, seed: u64) -> RegionRun {
    run(&demo(), &Settings::new(seed, controller)).expect("the demo is valid")
}

#[test]
fn the_file_is_a_scenario_and_the_agents_documents() {
    let (scenario, documents) = parts(DEMO);
    assert_eq!(format!("{scenario}{documents}"), DEMO);
    assert!(documents.starts_with("---\n"), "it begins with its marker");
    let loaded = load(&[SourceText { file: "demo.yaml", text: documents }]);
    assert_eq!(loaded.diagnostics, []);
    let loaded = loaded.documents.expect("the documents are valid");
    let mut targets: Vec<&str> = loaded.targets().map(|it| it.id.as_str()).collect();
    let demo = demo();
    let mut services: Vec<&str> = demo.world.services.iter().map(|it| it.name.as_str()).collect();
    targets.sort_unstable();
    services.sort_unstable();
    assert_eq!(targets, services, "a target for every service");
    assert_eq!(parts("a: 1\n"), ("a: 1\n", ""));
}

#[test]
fn the_agent_passes_whatever_the_seed() {
    for seed in 1..=5 {
        let card = run_by(Controller::Evenkeel, seed).scorecard;
        assert!(card.violations.is_empty(), "seed {seed}: {:?}", card.violations);
    }
}

// What the demo is to show: with nobody the morning is lost, and a rule that believes the
// exporter takes capacity away because of it.
#[test]
fn it_tells_the_agent_from_nobody_and_from_a_naive_rule() {
    let n_bad = |controller| run_by(controller, 1).totals;
    let (agent, nobody) = (n_bad(Controller::Evenkeel), n_bad(Controller::Pilot(PilotKind::None)));
    assert!(20 * agent.bad_seconds < nobody.bad_seconds, "{agent:?} {nobody:?}");
    let naive = run_by(Controller::Pilot(PilotKind::Reflex), 1).scorecard;
    assert!(!naive.violations.is_empty(), "it removes capacity on zeros");
}
