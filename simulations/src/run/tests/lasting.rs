//! What a long run keeps: no more than a short one.
//!
//! **In:** one service whose load rises and falls every day, for 10 days and for 30.
//! **Out:** panics of failed tests.
//! **Not here:** timelines, which are bounded by themselves.

use super::{advance, scenario};
use crate::run::{Controller, Driver, Engine, Settings};

/// Counts of everything that is kept, after so many days.
fn kept_after(days: i64) -> Vec<(&'static str, usize)> {
    let mut scenario = scenario("");
    scenario.lasts = days * 86_400;
    let load = scenario.world.services[0].load.as_mut().expect("has load");
    load.trough_rps = 100.0;
    scenario.faults.clear();
    let settings = Settings::new(7, Controller::Evenkeel);
    let mut engine = Engine::new(&scenario, &settings).expect("it can be run");
    advance(&mut engine, -scenario.warm_up, scenario.lasts);
    let n_lines = engine.trace.lines.len();
    assert!(10 < n_lines, "something happened");
    let Driver::Agent(process, watch) = &engine.driver else { panic!("the agent's") };
    let state = serde_json::to_string(process.journal.state()).expect("json").len();
    let mut kept = vec![
        // Rounded up: a number in it may have a digit more.
        ("state in KiB", state.div_ceil(1_024)),
        ("events of the process", process.happened.capacity().div_ceil(16)),
        ("effects underway", process.n_underway()),
        ("violations", engine.violations.list.len()),
        ("expected", engine.expected.iter().map(std::collections::VecDeque::len).sum()),
        ("plan", engine.plan.len()),
    ];
    kept.extend(watch.sizes());
    kept
}

#[test]
fn memory_does_not_grow_with_simulated_time() {
    assert_eq!(kept_after(10), kept_after(30));
}
