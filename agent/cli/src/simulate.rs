//! `evenkeel simulate`: what would the agent have done, and the others?
//!
//! **In:** a scenario, and where it is given a recorded load; no agent.
//! **Out:** one scorecard per controller and seed; the plan of one run as CSV.
//! **Not here:** the simulation itself (`evenkeel-sim`).

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use evenkeel_core::documents::{self, Diagnostic, Severity};
use evenkeel_sim::capacity::{ControllerKind, PlanRow, Run, Setup, simulate};
use evenkeel_sim::scenario::{CapacityScenario, Scenario, ScenarioKind};
use evenkeel_sim::scorecard::{Scorecard, Violation};
use evenkeel_sim::workload::{FILE_BYTES_MAX, Workload, WorkloadError};
use jiff::Timestamp;

use crate::args::{Common, Output, SimulateArgs};
use crate::failure::{Exit, Failure};
use crate::table::{Table, count};
use crate::terminal::{Terminal, visible};

/// Runs every controller with every seed, and says how they did.
///
/// # Errors
///
/// A file that cannot be read or written, `--plan-out` of several runs, [`Failure::Stdout`].
/// Faults in files are diagnostics, and a bad run is an exit status.
pub(crate) fn run(
    args: &SimulateArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let kinds = args.controllers();
    let seeds = args.seeds();
    if args.plan_out.is_some() && (1 < kinds.len() || 1 < seeds.clone().count()) {
        return Err(Failure::Usage("--plan-out is the plan of one controller and one seed"));
    }
    let (file, text) = read(&args.scenario, "the scenario")?;
    let scenario = match Scenario::parse(&file, &text) {
        Ok(scenario) => scenario,
        Err(diagnostic) => return Ok(refused(&diagnostic, terminal)),
    };
    let ScenarioKind::Capacity(scenario) = scenario.kind;
    let recorded = match &args.workload {
        None => None,
        Some(path) => {
            let (file, text) = read(path, "the workload")?;
            match Workload::parse(&file, &text) {
                Ok(workload) => Some(workload),
                Err(error) => return Ok(refused(&diagnostic_of(&error, &text), terminal)),
            }
        }
    };
    let mut cards = Vec::new();
    let mut exit = Exit::Done;
    for seed in seeds {
        for kind in &kinds {
            let run = match run_one(&scenario, recorded.as_ref(), seed, *kind, args) {
                Ok(run) => run,
                Err(error) => {
                    terminal.error(&error.message);
                    terminal.hint(error.hint);
                    return Ok(Exit::Refused);
                }
            };
            let OneRun { run, is_deterministic } = run;
            if let Some(path) = &args.plan_out {
                let write = |source| Failure::Write { path: path.clone(), source };
                write_plan(path, &run.plan).map_err(write)?;
            }
            if is_judged(*kind, kinds.len()) {
                let verdict = judged(&run.scorecard, is_deterministic);
                if verdict != Exit::Done {
                    say_why(&run.scorecard, is_deterministic, args, terminal);
                }
                exit = worse(exit, verdict);
            }
            cards.push(run.scorecard);
        }
    }
    match (common.output, cards.as_slice()) {
        (Output::Json, [card]) => terminal.json(card)?,
        (Output::Json, cards) => terminal.json(&cards)?,
        (Output::Text, cards) => {
            terminal.data(&table(cards))?;
            terminal.talk(&explained(cards, &scenario.setup));
        }
    }
    Ok(exit)
}

/// One run, and whether a second one was the same; `true` where there was none.
struct OneRun {
    run: Run,
    is_deterministic: bool,
}

/// Why there was no run.
struct Refusal {
    message: String,
    hint: &'static str,
}

fn run_one(
    scenario: &CapacityScenario,
    recorded: Option<&Workload>,
    seed: u64,
    kind: ControllerKind,
    args: &SimulateArgs,
) -> Result<OneRun, Refusal> {
    let setup = Setup { seed, keeps_plan: args.plan_out.is_some(), ..scenario.setup.clone() };
    let made_up;
    let workload = match recorded {
        Some(workload) => workload,
        None => {
            let load = scenario.load.workload(&setup.scenario, seed);
            made_up =
                load.map_err(|error| Refusal { message: error.to_string(), hint: error.hint() })?;
            &made_up
        }
    };
    let once = || {
        simulate(workload, &setup, kind)
            .map_err(|error| Refusal { message: error.to_string(), hint: error.hint() })
    };
    let begun = Instant::now();
    let mut run = once()?;
    run.scorecard.wall_seconds = begun.elapsed().as_secs_f64();
    let is_deterministic =
        !args.twice || once()?.scorecard.trace_sha256 == run.scorecard.trace_sha256;
    Ok(OneRun { run, is_deterministic })
}

/// A path as messages name it, and the file's text.
fn read(path: &Path, what: &'static str) -> Result<(String, String), Failure> {
    let failed = |source| Failure::File { what, path: path.to_owned(), source };
    let limit = FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let file: String = if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
        "<stdin>".to_owned()
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        path.display().to_string()
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok((file, text)),
        Err(_) => Err(Failure::Content {
            path: path.to_owned(),
            expected: "text in UTF-8",
            hint: "write it as plain text, not as a spreadsheet or an archive",
        }),
    }
}

fn write_plan(path: &Path, plan: &[PlanRow]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"timestamp,demand,desired,ready\n")?;
    for PlanRow { at, demand, desired, ready } in plan {
        writeln!(out, "{at},{demand},{desired},{ready}")?;
    }
    out.flush()
}

/// The line of the fault, as for documents.
fn diagnostic_of(error: &WorkloadError, text: &str) -> Diagnostic {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    Diagnostic {
        severity: Severity::Error,
        file: error.file.clone(),
        line: error.line,
        column: error.column,
        message: error.fault.to_string(),
        hint: error.hint().to_owned(),
        snippet: line.chars().take(120).collect(),
    }
}

fn refused(diagnostic: &Diagnostic, terminal: &Terminal) -> Exit {
    let text = documents::show(diagnostic);
    terminal.talk(&text.lines().map(visible).collect::<Vec<_>>().join("\n"));
    Exit::Refused
}

/// Beside others, only the agent is on trial: the rest is there to be beaten. A capacity that
/// nobody changes is never expected to catch up.
fn is_judged(kind: ControllerKind, n_controllers: usize) -> bool {
    match kind {
        ControllerKind::Evenkeel => true,
        ControllerKind::Hpa { .. } => n_controllers == 1,
        ControllerKind::Peak | ControllerKind::Twin | ControllerKind::Oracle => false,
    }
}

fn judged(card: &Scorecard, is_deterministic: bool) -> Exit {
    if card.violations.iter().any(|it| it.invariant != Violation::LIVENESS) {
        Exit::Unsafe
    } else if !is_deterministic {
        Exit::NotDeterministic
    } else if card.violations.is_empty() {
        Exit::Done
    } else {
        Exit::NotLive
    }
}

/// Safety before determinism before liveness.
fn worse(a: Exit, b: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Unsafe => 3,
        Exit::NotDeterministic => 2,
        Exit::NotLive => 1,
        Exit::Done | Exit::Refused | Exit::Usage | Exit::Unreachable => 0,
    };
    if rank(a) < rank(b) { b } else { a }
}

fn say_why(card: &Scorecard, is_deterministic: bool, args: &SimulateArgs, terminal: &Terminal) {
    const SHOWN: usize = 5;
    for Violation { at, invariant, what } in card.violations.iter().take(SHOWN) {
        let at = Timestamp::from_second(*at).map_or_else(|_| at.to_string(), |it| it.to_string());
        terminal.error(&format!("{}: {invariant} at {at}: {what}", card.controller));
    }
    if SHOWN < card.violations.len() {
        terminal.error(&format!("and {} more", card.violations.len() - SHOWN));
    }
    if !is_deterministic {
        terminal.error(&format!("{}: two equal runs had different traces", card.controller));
    }
    let mut line = format!("evenkeel simulate {}", args.scenario.display());
    if let Some(workload) = &args.workload {
        line.push_str(&format!(" --workload {}", workload.display()));
    }
    line.push_str(&format!(" --controller {} --seed {}", card.controller, card.seed));
    if !is_deterministic {
        line.push_str(" --twice");
    }
    terminal.hint(&format!("reproduce with `{}`", visible(&line)));
}

fn table(cards: &[Scorecard]) -> String {
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
fn explained(cards: &[Scorecard], setup: &Setup) -> String {
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
