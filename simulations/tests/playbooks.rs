//! The ready-made playbooks: each has a scenario that it heals and a page for people.
//!
//! **In:** `playbooks/heal`, `scenarios/heal-*.yaml`, `runbooks/playbooks`.
//! **Out:** panics of failed tests.
//! **Not here:** many seeds (the `sweep` program), whether documents are right (`evenkeel check`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use evenkeel_sim::expectation::{Must, MustNot};
use evenkeel_sim::museum::{SeedRun, failure_of, sweep};
use evenkeel_sim::run::{Controller, Settings, run};
use evenkeel_sim::scenario::files::playbooks_near;
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};

/// Seeds of each scenario.
const SEEDS: u64 = 3;
/// The scenario in which nothing is wrong.
const QUIET: &str = "quiet";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What is between `prefix` and `suffix` in the names of a folder's files.
fn names(folder: &str, prefix: &str, suffix: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(repository().join(folder)).expect("the folder is there");
    entries
        .filter_map(|it| {
            let name = it.expect("it can be listed").file_name();
            let name = name.to_str().expect("names are text").strip_prefix(prefix)?;
            Some(name.strip_suffix(suffix)?.to_owned())
        })
        .collect()
}

fn playbooks() -> BTreeSet<String> {
    names("playbooks/heal", "", ".yaml")
}

fn scenario(name: &str) -> RegionScenario {
    let path = repository().join(format!("simulations/scenarios/heal-{name}.yaml"));
    let text = std::fs::read_to_string(&path).expect("it can be read");
    let scenario = Scenario::parse_with(name, &text, &playbooks_near(&path));
    let scenario = scenario.unwrap_or_else(|it| panic!("{}:{}: {}", it.file, it.line, it.message));
    let ScenarioKind::Region(scenario) = scenario.kind else { panic!("{name} is a region") };
    *scenario
}

/// Two at a time, as many as the smallest machine that builds this has.
fn all_runs(scenarios: &[RegionScenario]) -> Vec<SeedRun> {
    sweep(scenarios, 1..=SEEDS, 2, &|_| ()).expect("they can be run")
}

#[test]
fn every_playbook_has_a_scenario_and_a_page_and_none_is_an_orphan() {
    let playbooks = playbooks();
    let mut scenarios = names("simulations/scenarios", "heal-", ".yaml");
    assert!(scenarios.remove(QUIET), "there is a quiet one");
    assert_eq!(scenarios, playbooks, "scenarios and playbooks");
    // Those about money have their scenarios in the museum; the budget that they read is beside
    // them.
    let mut all = names("playbooks/cost", "", ".yaml");
    assert!(all.remove("budget"), "there is a budget");
    all.extend(playbooks);
    assert_eq!(names("runbooks/playbooks", "", ".md"), all, "pages and playbooks");
}

#[test]
fn each_scenario_is_about_its_playbook_whose_runbook_is_its_page() {
    for name in playbooks() {
        let scenario = scenario(&name);
        assert_eq!(scenario.name, format!("heal-{name}"));
        assert_eq!(scenario.playbooks, [format!("heal/{name}.yaml")]);
        let documents = scenario.documents.as_ref().expect("it has playbooks");
        let of: Vec<(&str, &str)> =
            documents.playbooks().map(|it| (it.id.as_str(), it.runbook.as_str())).collect();
        assert_eq!(of, [(name.as_str(), format!("runbooks/playbooks/{name}.md").as_str())]);
        let detects = |it: &Must| matches!(it, Must::DetectedWithin { seconds } if *seconds <= 120);
        let heals = |it: &Must| matches!(it, Must::HealedByPlaybook { name: it } if *it == name);
        assert!(scenario.must.iter().any(detects), "{name} is found within two minutes");
        assert!(scenario.must.iter().any(heals), "{name} heals");
        assert!(!scenario.must_not.is_empty(), "{name} says what must not happen");
        assert!(!scenario.fails.is_empty(), "{name}: somebody fails");
    }
}

#[test]
fn pages_say_how_to_answer_how_to_stop_it_and_how_to_do_it_by_hand() {
    let headings = [
        "## What it means",
        "## What the agent does",
        "## Stop it",
        "## By hand",
        "## Check",
        "## Escalate",
    ];
    for name in playbooks() {
        let path = repository().join(format!("runbooks/playbooks/{name}.md"));
        let page = std::fs::read_to_string(&path).expect("it can be read");
        assert!(page.starts_with(&format!("# Playbook {name}\n")), "{name}");
        for what in headings.iter().chain(&["evenkeel abort"]) {
            assert!(page.contains(what), "{name}: no `{what}`");
        }
        assert!(page.contains(&format!("../../playbooks/heal/{name}.yaml")), "{name}: no link");
        let asks = scenario(&name).documents.is_some_and(|it| {
            it.playbooks().any(|it| it.steps.iter().any(|step| step.gate.is_some()))
        });
        assert!(!asks || page.contains("## Answer"), "{name} asks, and nobody knows how to answer");
    }
}

// What the whole set promises: found within two minutes in every run, healed and verified in nine
// of ten at least, and never worse than without an agent.
#[test]
fn the_playbooks_find_and_heal_and_harm_nobody() {
    let scenarios: Vec<RegionScenario> = playbooks().iter().map(|it| scenario(it)).collect();
    let runs = all_runs(&scenarios);
    let (mut told, mut n_healed) = (Vec::new(), 0);
    for run in &runs {
        let name = &scenarios[run.scenario].name;
        let violations = &run.scorecard.violations;
        told.extend(
            violations
                .iter()
                .map(|it| format!("{name}, seed {}: {}: {}", run.seed, it.invariant, it.what)),
        );
        let harm = run.harm.map(|it| format!("{name}, seed {}: harmed: {it:?}", run.seed));
        told.extend(harm);
        let is_healed = !violations.iter().any(|it| it.invariant == "must: healed_by_playbook");
        n_healed += usize::from(is_healed);
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(9 * runs.len() <= 10 * n_healed, "{n_healed} of {} healed", runs.len());
}

#[test]
fn who_must_fail_does() {
    let passed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for name in playbooks() {
            let passed = &passed;
            scope.spawn(move || {
                let scenario = scenario(&name);
                for word in &scenario.fails {
                    let naive = word.parse().expect("it is a controller");
                    if failure_of(&scenario, naive, 1).expect("it can be run").is_none() {
                        passed.lock().expect("nobody panics").push(format!("{word} in {name}"));
                    }
                }
            });
        }
    });
    let passed = passed.into_inner().expect("nobody panics");
    assert!(passed.is_empty(), "they pass: {passed:?}");
}

// The thirty days are for the sweep.
#[test]
fn three_quiet_days_open_no_incident() {
    let mut scenario = scenario(QUIET);
    let all: Vec<String> = playbooks().iter().map(|it| format!("heal/{it}.yaml")).collect();
    assert_eq!(scenario.playbooks, all, "with all of them");
    assert_eq!(scenario.must_not, [MustNot::Incidents]);
    scenario.lasts = 3 * 86_400;
    let card = run(&scenario, &Settings::new(1, Controller::Evenkeel)).expect("valid").scorecard;
    assert_eq!(card.violations, []);
    assert!(10 < card.capacity_changes, "and it scaled: {} changes", card.capacity_changes);
}
