//! Documents that a run makes up are those of a careful author.
//!
//! **In:** services of every kind. **Out:** panics of failed tests.
//! **Not here:** what the agent does with them.

use evenkeel_core::documents::{SourceText, load};
use evenkeel_sim::run::documents::text;
use evenkeel_sim::world::WorldSpec;

use super::busy;

/// The services of the fleet, which are of every kind, with everything scaled.
fn every_kind() -> WorldSpec {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/fleet.yaml");
    let yaml = std::fs::read_to_string(file).expect("the scenario is there");
    let parsed = evenkeel_sim::scenario::Scenario::parse(file, &yaml);
    let parsed = parsed.unwrap_or_else(|it| panic!("{it:?}"));
    let evenkeel_sim::scenario::ScenarioKind::Region(region) = parsed.kind else {
        panic!("a region")
    };
    let mut world = region.world;
    world.services.iter_mut().for_each(|it| it.is_scaled = true);
    world
}

#[test]
fn they_load_without_a_warning_for_every_kind_of_service() {
    for world in [every_kind(), busy().world] {
        let text = text(&world);
        let loaded = load(&[SourceText { file: "made-up.yaml", text: &text }]);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let documents = loaded.documents.expect("they load");
        assert_eq!(documents.targets().count(), world.services.len());
        for target in documents.targets() {
            let policy = documents.policy_of(&target.id).expect("each has a policy");
            assert!(!policy.signals.is_empty() && policy.forecast.is_some(), "{}", target.id);
        }
    }
}

#[test]
fn a_service_that_nobody_scales_has_none() {
    let mut world = every_kind();
    world.services.iter_mut().for_each(|it| it.is_scaled = false);
    assert_eq!(text(&world), "");
}
