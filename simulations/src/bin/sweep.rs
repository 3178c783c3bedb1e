//! Sweeps over scenarios and seeds: `cargo run --release -p evenkeel-sim --bin sweep -- VERB`.
//!
//! **In:** the scenarios in `simulations/scenarios/`, or those that are named.
//! **Out:** a table for people, and exit 1 where something failed.
//! **Not here:** the sweep itself (`evenkeel_sim::museum`), the gate's arithmetic
//! (`evenkeel_sim::gate`). For one run with all its details there is `evenkeel simulate`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

use std::collections::BTreeSet;
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use evenkeel_sim::gate::Golden;
use evenkeel_sim::museum::{SeedRun, both, failure_of, sweep, verdict};
use evenkeel_sim::pilot::PilotKind;
use evenkeel_sim::run::{Controller, Settings, run};
use evenkeel_sim::scenario::files::playbooks_near;
use evenkeel_sim::scenario::region::RegionScenario;
use evenkeel_sim::scenario::{Scenario, ScenarioKind};

const HELP: &str = "\
sweep museum [--seeds N] [--threads N] [SCENARIO…]   safety, liveness, harm against the twin
sweep swarm  [--seeds N] [--threads N]               the same where seeds draw what breaks
sweep gate   [--threads N]                           worse than the golden scorecards?
sweep golden [--seeds N] [--threads N]               writes the golden scorecards anew
sweep speed  [--days N]                              how fast fleet.yaml runs on one core

N seeds are 1 to N. Without SCENARIO: those of simulations/scenarios/ that tell an incident; the
gate takes those where seeds draw what breaks as well.";

/// Where failing seeds are kept.
const REGRESSIONS: &str = "regressions.txt";
/// Where golden scorecards are kept.
const GOLDEN: &str = "golden/scorecards.json";

struct Args {
    verb: String,
    seeds: u64,
    threads: usize,
    days: i64,
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let done = match args.verb.as_str() {
        "museum" => museum(&args, Which::Incidents),
        "swarm" => museum(&args, Which::Swarms),
        "gate" => gate(&args),
        "golden" => golden(&args),
        "speed" => speed(&args),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn args() -> Result<Args, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut args =
        Args { verb: String::new(), seeds: 20, threads: cores, days: 10, paths: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().unwrap_or_default();
            value
                .parse::<u32>()
                .ok()
                .filter(|it| 0 < *it)
                .ok_or(format!("`{word} {value}`: a number from 1 is needed"))
        };
        match word.as_str() {
            "--seeds" => args.seeds = number()?.into(),
            "--threads" => {
                args.threads = usize::try_from(number()?).map_err(|it| it.to_string())?
            }
            "--days" => args.days = number()?.into(),
            _ if word.starts_with('-') => return Err(format!("`{word}` is not an option")),
            _ if args.verb.is_empty() => args.verb = word,
            _ => args.paths.push(PathBuf::from(word)),
        }
    }
    Ok(args)
}

/// The package's folder, wherever the program is started.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Which scenarios, where none are named.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    /// Those that tell an incident.
    Incidents,
    /// Those where seeds draw what breaks.
    Swarms,
    /// Both; never the demo and the fleet, which are long.
    Both,
}

impl Which {
    fn takes(self, scenario: &RegionScenario) -> bool {
        let (tells, draws) = (scenario.incident.is_some(), scenario.swarm.is_some());
        match self {
            Which::Incidents => tells,
            Which::Swarms => draws,
            Which::Both => tells || draws,
        }
    }
}

/// Scenarios of regions: those that are named, or all of a kind.
fn scenarios(paths: &[PathBuf], which: Which) -> Result<Vec<RegionScenario>, Box<dyn Error>> {
    let mut files = paths.to_vec();
    if files.is_empty() {
        let entries = std::fs::read_dir(folder().join("scenarios"))?;
        for entry in entries {
            files.push(entry?.path());
        }
        files.retain(|it| it.extension().is_some_and(|it| it == "yaml"));
        files.sort();
    }
    let mut scenarios = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|it| format!("{}: {it}", file.display()))?;
        let name = file.display().to_string();
        let scenario = Scenario::parse_with(&name, &text, &playbooks_near(&file))
            .map_err(|it| format!("{}:{}:{}: {}", it.file, it.line, it.column, it.message))?;
        match scenario.kind {
            ScenarioKind::Region(region) => {
                if !paths.is_empty() || which.takes(&region) {
                    scenarios.push(*region);
                }
            }
            ScenarioKind::Capacity(_) => (),
        }
    }
    Ok(scenarios)
}

/// Counts on a terminal, and says nothing elsewhere.
struct Counter {
    done: AtomicUsize,
    all: usize,
}

impl Counter {
    fn new(all: usize) -> Counter {
        Counter { done: AtomicUsize::new(0), all }
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if std::io::stderr().is_terminal() && done.is_multiple_of(16) {
            eprint!("\r{done} of {}", self.all);
        }
    }

    fn clear(&self) {
        if std::io::stderr().is_terminal() {
            eprint!("\r                    \r");
        }
    }
}

fn run_all(
    args: &Args,
    scenarios: &[RegionScenario],
    seeds: u64,
) -> Result<Vec<SeedRun>, Box<dyn Error>> {
    let n_seeds = usize::try_from(seeds)?;
    let counter = Counter::new(scenarios.len() * n_seeds);
    let runs = sweep(scenarios, 1..=seeds, args.threads, &|_| counter.one_more());
    counter.clear();
    runs.map_err(|(place, error)| {
        let name = scenarios.get(place).map_or("", |it| it.name.as_str());
        format!("{name}: {error}").into()
    })
}

fn museum(args: &Args, which: Which) -> Result<bool, Box<dyn Error>> {
    let scenarios = scenarios(&args.paths, which)?;
    let began = Instant::now();
    let mut is_good = regressions(&scenarios)?;
    let runs = run_all(args, &scenarios, args.seeds)?;
    let mut failing = BTreeSet::new();
    // Harm is judged where an incident is told; a swarm also breaks what no agent can see.
    let (mut n_runs, mut n_told, mut n_harmed) = (0u64, 0u64, 0usize);
    println!(
        "{:34} {:>6} {:>6} {:>6} {:>9} {:>9} {:>7} {:>8} {:>7} {:>7}",
        "scenario",
        "unsafe",
        "late",
        "harmed",
        "bad s",
        "twin's",
        "changes",
        "cost/twn",
        "mttd s",
        "mttr s"
    );
    for (place, scenario) in scenarios.iter().enumerate() {
        let it = verdict(runs.iter().filter(|it| it.scenario == place));
        n_runs += it.n_seeds;
        if scenario.incident.is_some() {
            n_told += it.n_seeds;
            n_harmed += it.harmed_seeds.len();
        }
        let number = |it: Option<f64>| it.map_or("-".to_owned(), |it| format!("{it:.0}"));
        println!(
            "{:34} {:>6} {:>6} {:>6} {:>9.0} {:>9.0} {:>7.1} {:>8.3} {:>7} {:>7}",
            scenario.name,
            it.unsafe_seeds.len(),
            it.late_seeds.len(),
            it.harmed_seeds.len(),
            it.mean.bad_seconds,
            it.mean.twin_bad_seconds,
            it.mean.changes,
            it.mean.cost_to_twin,
            number(it.mean.mttd_seconds),
            number(it.mean.mttr_seconds),
        );
        for (seed, what) in it.unsafe_seeds.iter().chain(&it.late_seeds).take(3) {
            println!("    {what}");
            println!(
                "    evenkeel simulate simulations/scenarios/{}.yaml --seed {seed}",
                scenario.name
            );
        }
        for (seed, harm) in it.harmed_seeds.iter().take(3) {
            println!("    seed {seed} harmed: {harm:?}");
        }
        let seeds = it.unsafe_seeds.iter().chain(&it.late_seeds).map(|(seed, _)| *seed);
        failing.extend(seeds.map(|seed| (scenario.name.clone(), seed)));
        for word in &scenario.fails {
            let naive: PilotKind = word.parse()?;
            for seed in 1..=args.seeds.min(3) {
                if let Some(what) = failure_of(scenario, naive, seed)? {
                    if seed == 1 {
                        println!("    {word} fails: {what}");
                    }
                } else {
                    println!("    {word} PASSES with seed {seed}, and must fail");
                    is_good = false;
                }
            }
        }
    }
    let harmed = percent(n_harmed, n_told);
    println!(
        "{n_runs} runs and their twins in {:.0} s; {} failed; {n_harmed} of {n_told} runs of incidents \
         harmed ({harmed:.2} %)",
        began.elapsed().as_secs_f64(),
        failing.len(),
    );
    keep(&failing)?;
    Ok(is_good && failing.is_empty() && harmed <= 0.1)
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs")]
fn percent(part: usize, all: u64) -> f64 {
    100.0 * part as f64 / (all.max(1)) as f64
}

/// Seeds that failed once must never fail again.
fn regressions(scenarios: &[RegionScenario]) -> Result<bool, Box<dyn Error>> {
    let mut is_good = true;
    for (name, seed) in kept()? {
        let Some(scenario) = scenarios.iter().find(|it| it.name == name) else { continue };
        let it = both(scenario, 0, seed)?;
        if let Some(first) = it.scorecard.violations.first() {
            is_good = false;
            println!("{name} seed {seed} fails again: {}: {}", first.invariant, first.what);
        }
    }
    Ok(is_good)
}

/// What is in the file: `scenario seed`, and a remark behind `#`.
fn kept() -> Result<BTreeSet<(String, u64)>, Box<dyn Error>> {
    let text = std::fs::read_to_string(folder().join(REGRESSIONS))?;
    let mut kept = BTreeSet::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if let (Some(name), Some(seed)) = (words.next(), words.next()) {
            kept.insert((name.to_owned(), seed.parse()?));
        }
    }
    Ok(kept)
}

/// Adds failing seeds to the file, but not in CI, which changes nothing.
fn keep(failing: &BTreeSet<(String, u64)>) -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    let known = kept()?;
    if std::env::var_os("CI").is_some() {
        return Ok(());
    }
    let path = folder().join(REGRESSIONS);
    for (name, seed) in failing.difference(&known) {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path)?;
        writeln!(file, "{name} {seed}")?;
    }
    Ok(())
}

fn golden(args: &Args) -> Result<bool, Box<dyn Error>> {
    let scenarios = scenarios(&args.paths, Which::Both)?;
    let runs = run_all(args, &scenarios, 2 * args.seeds)?;
    let names: Vec<String> = scenarios.iter().map(|it| it.name.clone()).collect();
    let golden = Golden::from_runs(&names, &runs, args.seeds);
    let path = folder().join(GOLDEN);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, serde_json::to_string_pretty(&golden)? + "\n")?;
    println!("{} scenarios with {} seeds in {}", names.len(), args.seeds, GOLDEN);
    Ok(true)
}

fn gate(args: &Args) -> Result<bool, Box<dyn Error>> {
    let text = std::fs::read_to_string(folder().join(GOLDEN))
        .map_err(|it| format!("{GOLDEN}: {it}; write it with `make sim-golden`"))?;
    let golden: Golden = serde_json::from_str(&text)?;
    let scenarios = scenarios(&args.paths, Which::Both)?;
    let runs = run_all(args, &scenarios, golden.n_seeds)?;
    let names: Vec<String> = scenarios.iter().map(|it| it.name.clone()).collect();
    let differences = golden.compare(&names, &runs);
    for it in &differences {
        println!(
            "{:6} {:34} {:12} {:>10.3} -> {:>10.3} (noise {:.3})",
            if it.is_worse() { "WORSE" } else { "better" },
            it.scenario,
            it.number.name(),
            it.golden.mean,
            it.mean,
            it.golden.noise
        );
    }
    let n_worse = differences.iter().filter(|it| it.is_worse()).count();
    println!(
        "{} scenarios, {} seeds: {n_worse} numbers worse beyond noise, {} better",
        names.len(),
        golden.n_seeds,
        differences.len() - n_worse
    );
    let missing: Vec<&String> =
        names.iter().filter(|it| !golden.scenarios.contains_key(*it)).collect();
    for name in &missing {
        println!("{name} has no golden scorecard; write it with `make sim-golden`");
    }
    if 0 < n_worse {
        println!(
            "if the change is worth it, `make sim-golden` writes the new ones; say why in the commit"
        );
    }
    Ok(n_worse == 0 && missing.is_empty())
}

fn speed(args: &Args) -> Result<bool, Box<dyn Error>> {
    let paths = if args.paths.is_empty() {
        vec![folder().join("scenarios/fleet.yaml")]
    } else {
        args.paths.clone()
    };
    for mut scenario in scenarios(&paths, Which::Both)? {
        scenario.lasts = args.days * 86_400;
        for controller in [Controller::Evenkeel, Controller::Pilot(PilotKind::None)] {
            let began = Instant::now();
            let run = run(&scenario, &Settings::new(1, controller))?;
            let wall = began.elapsed().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "days in seconds")]
            let simulated = run.scorecard.simulated_seconds as f64;
            println!(
                "{} by {controller}: {} services, {:.0} s in {wall:.2} s = {:.0} x real time",
                scenario.name,
                scenario.world.services.len(),
                simulated,
                simulated / wall
            );
        }
    }
    Ok(true)
}
