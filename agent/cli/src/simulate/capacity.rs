//! The capacity scenario: one load, one kind of unit.
//!
//! **In:** a checked scenario. **Out:** runs, and their table.
//! **Not here:** files, exit status ([`super`]).

use std::time::Instant;

use evenkeel_sim::capacity::{ControllerKind, ControllerKindError, Setup, simulate_while};
use evenkeel_sim::scenario::CapacityScenario;
use evenkeel_sim::scorecard::Scorecard;

use crate::args::SimulateArgs;
use crate::table::{Table, count};

use super::{OneRun, Refusal, Second, Wanted};

/// The controllers that are asked for, by their words.
pub(super) fn controllers(args: &SimulateArgs) -> Result<Vec<String>, Refusal> {
    let Some(word) = args.controller() else {
        return Ok(ControllerKind::ALL.iter().map(ControllerKind::to_string).collect());
    };
    let kind: Result<ControllerKind, ControllerKindError> = word.parse();
    match kind {
        Ok(kind) => Ok(vec![kind.to_string()]),
        Err(error) => Err(Refusal {
            message: error.to_string(),
            hint: "`reflex` and `healer` need a scenario with a region",
        }),
    }
}

/// One run of one controller.
pub(super) fn run_one(
    scenario: &CapacityScenario,
    controller: &str,
    n_controllers: usize,
    seed: u64,
    wanted: &Wanted<'_>,
) -> Result<OneRun, Refusal> {
    let refusal = |message: String, hint: &'static str| Refusal { message, hint };
    let kind: ControllerKind = controller
        .parse()
        .map_err(|it: ControllerKindError| refusal(it.to_string(), "name another one"))?;
    let setup = Setup {
        seed,
        keeps_plan: wanted.args.plan_out.is_some(),
        keeps_timeline: wanted.args.report.is_some(),
        ..scenario.setup.clone()
    };
    let made_up;
    let workload = match wanted.recorded {
        Some(workload) => workload,
        None => {
            let load = scenario.load.workload(&setup.scenario, seed);
            made_up = load.map_err(|error| refusal(error.to_string(), error.hint()))?;
            &made_up
        }
    };
    let once = || {
        simulate_while(workload, &setup, kind, wanted.keep_going)
            .map_err(|error| refusal(error.to_string(), error.hint()))
    };
    let begun = Instant::now();
    let mut run = once()?;
    run.scorecard.wall_seconds = begun.elapsed().as_secs_f64();
    let second = Second::of(&run.scorecard, wanted.args, || once().map(|it| it.scorecard))?;
    Ok(OneRun {
        scorecard: run.scorecard,
        plan: run.plan,
        timeline: run.timeline,
        second,
        is_judged: is_judged(kind, n_controllers),
    })
}

/// Beside others, only the agent is on trial: the rest is there to be beaten. A capacity that
/// nobody changes is never expected to catch up.
fn is_judged(kind: ControllerKind, n_controllers: usize) -> bool {
    match kind {
        ControllerKind::Evenkeel => true,
        ControllerKind::Hpa { .. } | ControllerKind::Tracking { .. } => n_controllers == 1,
        ControllerKind::Peak | ControllerKind::Twin | ControllerKind::Oracle => false,
    }
}

/// The scores of the capacity benchmark, a row per run.
pub(super) fn table(cards: &[&Scorecard]) -> String {
    let mut table = Table::new([
        "controller",
        "seed",
        "tau_u %",
        "cost/oracle",
        "changes",
        "theta_u %",
        "theta_o %",
        "unserved %",
        "cost usd",
        "violations",
    ]);
    for card in cards {
        table.row([
            card.controller.clone(),
            card.seed.to_string(),
            format!("{:.3}", card.tau_u),
            format!("{:.3}", card.cost_ratio),
            card.capacity_changes.to_string(),
            format!("{:.2}", card.theta_u),
            format!("{:.1}", card.theta_o),
            format!("{:.3}", 100.0 * card.unserved_ratio),
            format!("{:.2}", card.cost_usd),
            card.violations.len().to_string(),
        ]);
    }
    table.text()
}

/// What the numbers are about, for who sees them for the first time.
pub(super) fn explained(cards: &[&Scorecard], setup: &Setup) -> String {
    let wall_seconds: f64 = cards.iter().map(|it| it.wall_seconds).sum();
    format!(
        "{} of virtual time in {wall_seconds:.1} s; the objective is at most {} % of the time \
         under demand (tau_u), then the lowest cost, then the fewest changes",
        cards.first().map_or_else(String::new, |it| count(
            usize::try_from(it.simulated_seconds / 86_400).unwrap_or_default(),
            "day"
        )),
        100.0 * setup.under_time_ratio_max,
    )
}
