//! Looks for a seed in which the agent fails: `hunt [--seeds N] [--for INVARIANT] SCENARIO…`.
//!
//! **In:** scenarios of regions, and the invariants that count; without `--for` every one does.
//! **Out:** the first seed of each scenario in which one was violated, and exit 1; or exit 0
//! when there was none in seeds 1 to N.
//! **Not here:** other controllers, the twin, scores: the `sweep` program's. This one is small,
//! so that a copy of the core with a planted bug in it is soon tried.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_sim::run::{Controller, Settings, run};
use evenkeel_sim::scenario::files::playbooks_near;
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};
use evenkeel_sim::scorecard::Violation;

const HELP: &str = "hunt [--seeds N] [--threads N] [--all] [--for INVARIANT] SCENARIO…

Without --for every invariant counts; it may be given more than once. With --all the hunt does
not stop at the first seed that fails.";

struct Args {
    seeds: u64,
    threads: usize,
    /// Invariants that count; all when empty.
    invariants: Vec<String>,
    finds_all: bool,
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let hunted = args()
        .map_err(|it| format!("{it}\n\n{HELP}"))
        .and_then(|args| hunt(&args).map_err(|it| format!("error: {it}")));
    match hunted {
        Ok(true) => ExitCode::FAILURE,
        Ok(false) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn args() -> Result<Args, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut args =
        Args { seeds: 50, threads, invariants: Vec::new(), finds_all: false, paths: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        let number = |text: String| text.parse::<u32>().map_err(|it| format!("`{text}`: {it}"));
        match word.as_str() {
            "--seeds" => args.seeds = number(value()?)?.into(),
            "--threads" => {
                args.threads = usize::try_from(number(value()?)?).map_err(|it| it.to_string())?;
            }
            "--for" => args.invariants.push(value()?),
            "--all" => args.finds_all = true,
            _ if word.starts_with('-') => return Err(format!("`{word}` is not an option")),
            _ => args.paths.push(PathBuf::from(word)),
        }
    }
    if args.paths.is_empty() { Err("which scenario?".to_owned()) } else { Ok(args) }
}

/// Whether a seed failed.
fn hunt(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut found = false;
    for path in &args.paths {
        let text =
            std::fs::read_to_string(path).map_err(|it| format!("{}: {it}", path.display()))?;
        let scenario =
            Scenario::parse_with(&path.display().to_string(), &text, &playbooks_near(path))
                .map_err(|it| format!("{}:{}:{}: {}", it.file, it.line, it.column, it.message))?;
        let ScenarioKind::Region(scenario) = scenario.kind else {
            return Err(format!("{}: not a region", path.display()).into());
        };
        for (seed, it) in failing(&scenario, args)? {
            found = true;
            println!("{} seed {seed}: {}: {} (at {})", scenario.name, it.invariant, it.what, it.at);
        }
    }
    Ok(found)
}

/// The first failing seed, or all; with what each did first. Seeds are begun in order and one
/// that was begun is ended, so the first is the same with any number of threads.
fn failing(scenario: &RegionScenario, args: &Args) -> Result<Vec<(u64, Violation)>, String> {
    let next = AtomicU64::new(1);
    let first = AtomicU64::new(u64::MAX);
    let found = Mutex::new(Vec::new());
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = !args.finds_all && first.load(Ordering::Relaxed) < seed;
                    if args.seeds < seed || is_late {
                        return;
                    }
                    match run(scenario, &Settings::new(seed, Controller::Evenkeel)) {
                        Ok(run) => {
                            let counts = |it: &Violation| {
                                args.invariants.is_empty()
                                    || args.invariants.iter().any(|name| name == it.invariant)
                            };
                            let Some(it) = run.scorecard.violations.into_iter().find(counts) else {
                                continue;
                            };
                            first.fetch_min(seed, Ordering::Relaxed);
                            found.lock().unwrap_or_else(PoisonError::into_inner).push((seed, it));
                        }
                        Err(error) => {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) =
                                Some(error.to_string());
                            return;
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(seed, _)| *seed);
    if !args.finds_all {
        found.truncate(1);
    }
    Ok(found)
}
