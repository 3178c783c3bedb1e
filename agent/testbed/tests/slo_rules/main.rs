//! Prometheus evaluates the exported rules to the agent's verdicts.
//!
//! In: counters with outages, gaps, resets and little traffic; SLOs of every kind.
//! Out: the half hours in which Prometheus' alerts and the agent's verdicts differ.
//! Not here: the agent's verdicts against a plain calculation (the core's `tests/slo`).

mod promtool;
mod series;
mod slos;

use slos::Case;

/// How many hours are compared, unless `EVENKEEL_SLO_DAYS` says how many days.
const HOURS: usize = 12;

#[test]
fn promtool_accepts_the_rules_of_slos_of_every_kind() {
    let cases = slos::all(2);
    let slos: Vec<_> = cases.iter().map(|it| it.slo.clone()).collect();
    let found = promtool::check(&evenkeel_core::slo::rules::rules(slos.iter()).to_yaml());
    assert!(found.contains("SUCCESS"), "{found}");
}

#[test]
fn prometheus_comes_to_the_agents_verdicts_at_every_evaluation() {
    let days = std::env::var("EVENKEEL_SLO_DAYS").ok().and_then(|it| it.parse::<usize>().ok());
    let n_slots = days.map_or(HOURS * 120, |it| it * 2_880);
    let cases = slos::all(n_slots);
    // Each SLO apart: what differs is then easy to find, and promtool uses all cores.
    let failed: Vec<String> = std::thread::scope(|scope| {
        let (first, second) = cases.split_at(cases.len() / 2);
        let run = |some: &[Case]| -> Vec<String> { some.iter().filter_map(compared).collect() };
        let first = scope.spawn(move || run(first));
        let second = scope.spawn(move || run(second));
        [first, second].into_iter().flat_map(|it| it.join().expect("it is compared")).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What differs for one SLO.
fn compared(case: &Case) -> Option<String> {
    let expected = case.verdicts();
    assert!(
        expected.iter().any(|it| it.state == "firing" && it.slots.contains(&true)),
        "{} never fires: the comparison would say little",
        case.slo.id
    );
    let rules = evenkeel_core::slo::rules::rules([&case.slo].into_iter()).to_yaml();
    promtool::compare(&rules, &case.series(), &expected, case.n_slots)
        .map(|difference| format!("{}: {difference}", case.slo.id))
}
