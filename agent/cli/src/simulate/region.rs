//! A region of services: what breaks, who acts, and what came of it.
//!
//! **In:** a checked scenario. **Out:** runs, and their table.
//! **Not here:** files, exit status ([`super`]).

use std::time::Instant;

use evenkeel_sim::pilot::{PilotKind, PilotKindError};
use evenkeel_sim::run::{Controller, Settings, run};
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scorecard::Scorecard;

use crate::args::SimulateArgs;
use crate::table::Table;

use super::{OneRun, Refusal, Second, Wanted};

const EVENKEEL: &str = "evenkeel";

/// The controllers that are asked for, by their words.
pub(super) fn controllers(args: &SimulateArgs) -> Result<Vec<String>, Refusal> {
    match args.controller() {
        None => {
            let others = PilotKind::ALL.iter().map(PilotKind::to_string);
            Ok([EVENKEEL.to_owned()].into_iter().chain(others).collect())
        }
        Some(word) => controller(word).map(|it| vec![it.to_string()]),
    }
}

fn controller(word: &str) -> Result<Controller, Refusal> {
    if word == EVENKEEL {
        return Ok(Controller::Evenkeel);
    }
    word.parse().map(Controller::Pilot).map_err(|error: PilotKindError| Refusal {
        message: error.to_string(),
        hint: "`--controller all` runs all of them",
    })
}

/// One run of one controller.
pub(super) fn run_one(
    scenario: &RegionScenario,
    word: &str,
    n_controllers: usize,
    seed: u64,
    wanted: &Wanted<'_>,
) -> Result<OneRun, Refusal> {
    let controller = controller(word)?;
    let settings = Settings {
        seed,
        controller,
        workload: wanted.recorded.map(|it| (it, wanted.args.scale())),
        keeps_plan: wanted.args.plan_out.is_some(),
        keeps_timeline: wanted.args.report.is_some(),
        keep_going: wanted.keep_going,
    };
    let once = || {
        run(scenario, &settings).map_err(|error| Refusal {
            message: error.to_string(),
            hint: "change the scenario, or the workload",
        })
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
        // Alone, whoever is named is on trial; beside others, only the agent.
        is_judged: controller == Controller::Evenkeel || n_controllers == 1,
    })
}

/// The scores, a row per run.
pub(super) fn table(cards: &[&Scorecard]) -> String {
    let mut table = Table::new([
        "controller",
        "seed",
        "good %",
        "bad s",
        "lost %",
        "cost/oracle",
        "cost usd",
        "changes",
        "pages",
        "mttd s",
        "mttr s",
        "violations",
    ]);
    let seconds = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.0}"));
    for card in cards {
        table.row([
            card.controller.clone(),
            card.seed.to_string(),
            format!("{:.3}", 100.0 * card.slo_good_ratio),
            card.slo_bad_seconds.to_string(),
            format!("{:.3}", 100.0 * card.unserved_ratio),
            format!("{:.3}", card.cost_ratio),
            format!("{:.2}", card.cost_usd),
            card.capacity_changes.to_string(),
            card.pages.to_string(),
            seconds(card.mttd_seconds),
            seconds(card.mttr_seconds),
            card.violations.len().to_string(),
        ]);
    }
    table.text()
}

/// What the numbers are about, and whether the agent did harm.
pub(super) fn explained(cards: &[&Scorecard], scenario: &RegionScenario) -> String {
    let wall_seconds: f64 = cards.iter().map(|it| it.wall_seconds).sum();
    let simulated = cards.first().map_or(0, |it| it.simulated_seconds);
    let mut text = format!(
        "{:.1} h of virtual time per run, all in {wall_seconds:.1} s; {}",
        f64::from(i32::try_from(simulated).unwrap_or(i32::MAX)) / 3_600.0,
        scenario.about.trim(),
    );
    for mine in cards.iter().filter(|it| it.controller == EVENKEEL) {
        let is_twin = |it: &&&Scorecard| it.controller == "none" && it.seed == mine.seed;
        let Some(twin) = cards.iter().find(is_twin) else { continue };
        text.push_str(&format!(
            "\nseed {}: against no agent at all, {} s below the objective against {} s, \
             {:.0} requests lost against {:.0}, ${:.2} against ${:.2}",
            mine.seed,
            mine.slo_bad_seconds,
            twin.slo_bad_seconds,
            mine.lost_requests,
            twin.lost_requests,
            mine.cost_usd,
            twin.cost_usd,
        ));
    }
    text
}
