//! `evenkeel simulate`: what would the agent have done, and the others?
//!
//! **In:** a scenario, and where it is given a recorded load; no agent.
//! **Out:** one scorecard per controller and seed; the plan of one run as CSV; a page.
//! **Not here:** the simulation itself (`evenkeel-sim`).

mod capacity;
mod region;

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use evenkeel_core::documents::{self, Diagnostic, Severity};
use evenkeel_sim::capacity::PlanRow;
use evenkeel_sim::report;
use evenkeel_sim::scenario::files::playbooks_near;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};
use evenkeel_sim::scorecard::{Scorecard, Violation};
use evenkeel_sim::timeline::Timeline;
use evenkeel_sim::workload::{FILE_BYTES_MAX, Workload, WorkloadError};
use jiff::Timestamp;

use crate::args::{Common, Output, SimulateArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::terminal::{Terminal, visible};

/// Most runs that one page shows. Why 12: all controllers of one seed, and not a hundred seeds.
const REPORT_RUNS_MAX: usize = 12;

/// One run, whatever the kind of scenario.
struct OneRun {
    scorecard: Scorecard,
    plan: Vec<PlanRow>,
    timeline: Option<Timeline>,
    second: Second,
    /// Whether it is the one on trial: the others are there to be beaten.
    is_judged: bool,
}

/// How a second run with the same input compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    /// There is none: nobody asked, or the first was not whole.
    None,
    /// It had the same trace.
    Same,
    /// It had another one.
    Different,
    /// It was interrupted.
    Partial,
}

impl Second {
    /// Compares `first` with what `again` gives, where that was asked for.
    fn of(
        first: &Scorecard,
        args: &SimulateArgs,
        again: impl FnOnce() -> Result<Scorecard, Refusal>,
    ) -> Result<Second, Refusal> {
        if !args.twice || first.partial {
            return Ok(Second::None);
        }
        let second = again()?;
        Ok(if second.partial {
            Second::Partial
        } else if second.trace_sha256 == first.trace_sha256 {
            Second::Same
        } else {
            Second::Different
        })
    }
}

/// Why there was no run.
struct Refusal {
    message: String,
    hint: &'static str,
}

/// What every run is done with.
struct Wanted<'a> {
    args: &'a SimulateArgs,
    recorded: Option<&'a Workload>,
    /// Asked once in a while with what is done and all there is.
    keep_going: &'a dyn Fn(i64, i64) -> bool,
}

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
    let (file, text) = read(&args.scenario, "the scenario")?;
    let near = playbooks_near(&args.scenario);
    let scenario = match Scenario::parse_with(&file, &text, &near) {
        Ok(scenario) => scenario,
        Err(diagnostic) => return Ok(refused(&diagnostic, terminal)),
    };
    let kinds = match &scenario.kind {
        ScenarioKind::Capacity(_) => capacity::controllers(args),
        ScenarioKind::Region(_) => region::controllers(args),
    };
    let kinds = match kinds {
        Ok(kinds) => kinds,
        Err(refusal) => return Ok(said(&refusal, terminal)),
    };
    let n_runs = kinds.len().saturating_mul(args.seeds().count());
    if args.plan_out.is_some() && 1 < n_runs {
        return Err(Failure::Usage("--plan-out is the plan of one controller and one seed"));
    }
    if args.report.is_some() && REPORT_RUNS_MAX < n_runs {
        return Err(Failure::Usage("--report shows at most 12 runs; name fewer seeds"));
    }
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
    let interrupt = Interrupt::listen();
    let progress = Progress::steps("simulating");
    let mut runs: Vec<OneRun> = Vec::new();
    let mut exit = Exit::Done;
    'runs: for seed in args.seeds() {
        for kind in &kinds {
            let n_done = runs.len();
            let keep_going = |done: i64, all: i64| {
                let part = usize::try_from(done.saturating_mul(1_000) / all.max(1)).unwrap_or(0);
                progress.of(n_done * 1_000 + part, n_runs * 1_000);
                !interrupt.is_wanted()
            };
            let wanted = Wanted { args, recorded: recorded.as_ref(), keep_going: &keep_going };
            let run = match &scenario.kind {
                ScenarioKind::Capacity(it) => {
                    capacity::run_one(it, kind, kinds.len(), seed, &wanted)
                }
                ScenarioKind::Region(it) => region::run_one(it, kind, kinds.len(), seed, &wanted),
            };
            let run = match run {
                Ok(run) => run,
                Err(refusal) => return Ok(said(&refusal, terminal)),
            };
            if let Some(path) = &args.plan_out {
                let write = |source| Failure::Write { path: path.clone(), source };
                write_plan(path, &run.plan).map_err(write)?;
            }
            if run.is_judged {
                let is_deterministic = run.second != Second::Different;
                let verdict = judged(&run.scorecard, is_deterministic);
                if verdict != Exit::Done {
                    progress.aside(|| say_why(&run.scorecard, is_deterministic, args, terminal));
                }
                exit = worse(exit, verdict);
            }
            let is_cut = run.scorecard.partial || run.second == Second::Partial;
            runs.push(run);
            if is_cut {
                break 'runs;
            }
        }
    }
    drop(progress);
    if let Some(path) = &args.report {
        write_report(path, &args.scenario, &scenario, &runs)?;
    }
    let cards: Vec<&Scorecard> = runs.iter().map(|it| &it.scorecard).collect();
    match (common.output, cards.as_slice()) {
        // A list when several were asked for, also when only one has begun.
        (Output::Json, [card]) if n_runs == 1 => terminal.json(card)?,
        (Output::Json, cards) => terminal.json(&cards)?,
        (Output::Text, cards) => match &scenario.kind {
            ScenarioKind::Capacity(it) => {
                terminal.data(&capacity::table(cards))?;
                terminal.talk(&capacity::explained(cards, &it.setup));
            }
            ScenarioKind::Region(it) => {
                terminal.data(&region::table(cards))?;
                terminal.talk(&region::explained(cards, it));
            }
        },
    }
    let what = match runs.last() {
        Some(last) if last.scorecard.partial => "is partial, and not judged for what it must reach",
        Some(last) if last.second == Second::Partial => "is not compared with a second one",
        Some(_) | None => "",
    };
    if !what.is_empty() {
        let n_left = n_runs - cards.len();
        terminal.talk(&format!("interrupted: the last run {what}; {n_left} more were not begun"));
        return Ok(if exit == Exit::Done { Exit::Interrupted } else { exit });
    }
    Ok(exit)
}

fn said(refusal: &Refusal, terminal: &Terminal) -> Exit {
    terminal.error(&refusal.message);
    terminal.hint(refusal.hint);
    Exit::Refused
}

fn write_report(
    path: &PathBuf,
    file: &Path,
    scenario: &Scenario,
    runs: &[OneRun],
) -> Result<(), Failure> {
    let about = match &scenario.kind {
        ScenarioKind::Capacity(_) => "One load, one kind of unit: how well is it followed?",
        ScenarioKind::Region(it) => &it.about,
    };
    let shown = runs.iter().filter_map(|it| {
        let timeline = it.timeline.as_ref()?;
        Some(report::Run { scorecard: &it.scorecard, timeline })
    });
    let shown: Vec<report::Run<'_>> = shown.collect();
    let page = report::page(&scenario.name, about, &file.display().to_string(), &shown);
    std::fs::write(path, page).map_err(|source| Failure::Write { path: path.clone(), source })
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

fn judged(card: &Scorecard, is_deterministic: bool) -> Exit {
    if card.violations.iter().any(|it| !it.is_liveness()) {
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
        Exit::Done | Exit::Refused | Exit::Usage | Exit::Unreachable | Exit::Interrupted => 0,
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
    let scale = args.scale().to_string();
    if scale != "1" {
        line.push_str(&format!(" --scale {scale}"));
    }
    line.push_str(&format!(" --controller {} --seed {}", card.controller, card.seed));
    if !is_deterministic {
        line.push_str(" --twice");
    }
    terminal.hint(&format!("reproduce with `{}`", visible(&line)));
}
