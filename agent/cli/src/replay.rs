//! `evenkeel replay`: what would these policies have done?
//!
//! **In:** documents, and the metrics that a Prometheus has recorded; no agent.
//! **Out:** a scorecard per target and for all, of one or two versions of the documents and, with
//! `--capacity-query`, of what really was; the plan of one target as CSV.
//! **Not here:** the replay itself (`evenkeel_sim::replay`), reading metrics ([`fetch`]).

pub(crate) mod answer;
pub(crate) mod backend;
pub(crate) mod fetch;
mod show;
pub(crate) mod trouble;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use evenkeel_core::documents::{self, Documents, Severity, SourceText};
use evenkeel_core::ids::TargetId;
use evenkeel_core::units::show_duration;
use evenkeel_sim::replay::{
    Card, Grid, NotReplayed, Options, PAST, PAST_STEP, PlanRow, Recording, Replay, ReplayError,
    STEP_MAX, STEP_MIN, recorded, replay,
};
use evenkeel_sim::scorecard::Violation;
use jiff::{SignedDuration, Timestamp};

use crate::args::{Common, Output, ReplayArgs, When};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::sources;
use crate::terminal::{Terminal, visible};
use backend::Backend;
use trouble::Trouble;

/// The longest time that is replayed. Why 400 days: a year, and the month before it.
const SPAN_MAX: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Most evaluations per target. Why 1,000,000: 400 days at 35 s, or 173 days at 15 s; half a
/// minute of computing per target.
const STEPS_MAX: usize = 1_000_000;

/// Notes of one version that are shown. Why 20: the rest says the same of other targets.
const NOTES_SHOWN: usize = 20;

/// Violations that are shown.
const VIOLATIONS_SHOWN: usize = 5;

/// Replays, and says how it went.
///
/// # Errors
///
/// A file that cannot be read or written, [`Failure::Stdout`]. Faults of documents, of Prometheus
/// and of the question itself are said, and are an exit status.
pub(crate) fn run(
    args: &ReplayArgs,
    common: &Common,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let span = match span(args, Timestamp::now()) {
        Ok(span) => span,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let backend = match Backend::new(&args.prometheus, args.bearer_token_file.as_deref(), common)? {
        Ok(backend) => backend,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let Some(first) = documents_of(&args.policies, terminal) else { return Ok(Exit::Refused) };
    let mut versions = vec![("evenkeel", first)];
    if !args.against.is_empty() {
        let Some(second) = documents_of(&args.against, terminal) else { return Ok(Exit::Refused) };
        versions.push(("evenkeel (against)", second));
    }
    let plan_of = match plan_of(args, &versions) {
        Ok(plan_of) => plan_of,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let documents: Vec<&Documents> = versions.iter().map(|(_, it)| it).collect();
    let past = past_before(span.from);
    let query = args.capacity_query.as_deref();
    let recording = match fetch::fetch(&backend, &documents, query, past, span, terminal) {
        Ok(recording) => recording,
        Err(trouble) => return Ok(trouble.say(terminal)),
    };
    let mut options =
        Options { capacity_query: args.capacity_query.clone(), plan_of, ..Options::default() };
    if let Some(lead_time) = args.lead_time {
        options.lead_time = lead_time;
    }
    // Only from here on: what is being fetched is of no use in part, and ends at once.
    let interrupt = Interrupt::listen();
    let mut replays: Vec<Replay> = Vec::new();
    for (label, documents) in &versions {
        options.controller = (*label).to_owned();
        let n_versions = versions.len();
        let done = replay_one(documents, &recording, &options, n_versions, &interrupt, terminal);
        let Some(done) = done else { return Ok(Exit::Refused) };
        if let (Some(path), true) = (&args.plan_out, replays.is_empty()) {
            let write = |source| Failure::Write { path: path.clone(), source };
            write_plan(path, &done.plan).map_err(write)?;
        }
        // The plan is of the first version.
        options.plan_of = None;
        let is_partial = done.total.scorecard.partial;
        replays.push(done);
        if is_partial {
            break;
        }
    }
    let is_whole = replays.iter().all(|it| !it.total.scorecard.partial);
    // What really was is of all the time, so it is no measure of a part.
    if let (Some(_), Some((_, documents)), true) = (query, versions.first(), is_whole) {
        options.controller = "recorded".to_owned();
        match recorded(documents, &recording, &options) {
            Ok(done) => {
                say_notes(&done.notes, "", terminal);
                replays.push(done);
            }
            Err(_) => terminal.warning(
                "`--capacity-query` returned nothing for any target, so there is no row `recorded`",
            ),
        }
    }
    say(&replays, args, common, span, terminal)
}

/// The steps to replay.
fn span(args: &ReplayArgs, now: Timestamp) -> Result<Grid, Trouble> {
    let at = |when: When| match when {
        When::At(at) => at,
        When::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
    };
    let (from, to) =
        (aligned(args.from, at(args.from), args.step), aligned(args.to, at(args.to), args.step));
    if to <= from {
        return Err(Trouble::usage(
            format!("`--from` ({from:.0}) is not before `--to` ({to:.0})"),
            "give an earlier `--from` or a later `--to`",
        ));
    }
    if SPAN_MAX < to.duration_since(from) {
        let days = to.duration_since(from).as_hours() / 24;
        return Err(Trouble::usage(
            format!(
                "from {from:.0} to {to:.0} are {days} days, at most {} are replayed",
                SPAN_MAX.as_hours() / 24
            ),
            "replay it in parts",
        ));
    }
    let step = args.step;
    if step < STEP_MIN || STEP_MAX < step || step.subsec_nanos() != 0 {
        return Err(Trouble::usage(
            format!(
                "a step of {} is not whole seconds from {} to {}",
                show_duration(step),
                show_duration(STEP_MIN),
                show_duration(STEP_MAX)
            ),
            "the daemon looks every 15s; after a longer silence than 1m it would not remove anything",
        ));
    }
    let span = Grid::between(from.as_second(), to.as_second(), step.as_secs());
    if span.len == 0 {
        return Err(Trouble::usage(
            format!(
                "from {from:.0} to {to:.0} there is not one whole step of {}",
                show_duration(step)
            ),
            "replay a longer time",
        ));
    }
    if STEPS_MAX < span.len {
        return Err(Trouble::usage(
            format!("that is {} steps per target, at most {STEPS_MAX} are replayed", span.len),
            "give a longer `--step`, or a shorter time",
        ));
    }
    Ok(span)
}

/// An instant that was given as "so long ago" on a whole step, so that asking again a moment
/// later asks for the same.
fn aligned(when: When, at: Timestamp, step: SignedDuration) -> Timestamp {
    match when {
        When::At(_) => at,
        When::Ago(_) => {
            let seconds = at.as_second();
            let whole = seconds - seconds.rem_euclid(step.as_secs().max(1));
            Timestamp::from_second(whole).unwrap_or(at)
        }
    }
}

/// Two weeks before `from`, as the daemon reads them when it starts.
fn past_before(from: i64) -> Grid {
    Grid::between(from.saturating_sub(PAST.as_secs()), from, PAST_STEP.as_secs())
}

/// Reads one version; `None` after saying what is wrong with it.
pub(crate) fn documents_of(paths: &[PathBuf], terminal: &Terminal) -> Option<Documents> {
    let read = sources::read(paths);
    let texts: Vec<SourceText<'_>> =
        read.found.iter().map(|it| SourceText { file: &it.file, text: &it.text }).collect();
    let loaded = documents::load(&texts);
    let mut n_errors = 0;
    for diagnostic in read.faults.iter().chain(&loaded.diagnostics) {
        let text = documents::show(diagnostic);
        terminal.talk(&text.lines().map(visible).collect::<Vec<_>>().join("\n"));
        n_errors += usize::from(diagnostic.severity == Severity::Error);
    }
    loaded.documents.filter(|_| n_errors == 0)
}

/// The target whose plan is written.
fn plan_of(args: &ReplayArgs, versions: &[(&str, Documents)]) -> Result<Option<TargetId>, Trouble> {
    let is_known = |id: &TargetId| versions.iter().any(|(_, it)| it.target(id).is_some());
    if let Some(target) = args.target.as_ref().filter(|it| !is_known(it)) {
        return Err(Trouble::refused(
            format!("there is no target `{target}` in the documents"),
            "check its name, and that its file is among those that are named",
        ));
    }
    if args.plan_out.is_none() {
        return Ok(None);
    }
    if let Some(target) = &args.target {
        let has = versions.first().is_some_and(|(_, it)| it.target(target).is_some());
        return if has {
            Ok(Some(target.clone()))
        } else {
            Err(Trouble::refused(
                format!("`--plan-out` is the plan of the first version, which has no `{target}`"),
                "swap the two versions, or name another target",
            ))
        };
    }
    let mut targets = versions.first().into_iter().flat_map(|(_, it)| it.targets());
    match (targets.next(), targets.next()) {
        (Some(only), None) => Ok(Some(only.id.clone())),
        (_, _) => Err(Trouble::usage(
            "`--plan-out` is the plan of one target, and the documents have several",
            "name it with `--target`",
        )),
    }
}

/// `None` after saying why there is none.
fn replay_one(
    documents: &Documents,
    recording: &Recording,
    options: &Options,
    n_versions: usize,
    interrupt: &Interrupt,
    terminal: &Terminal,
) -> Option<Replay> {
    let n_steps = recording.grid(evenkeel_sim::replay::Part::Span).len;
    let progress = Progress::steps("replaying");
    let n_done = Cell::new(0_usize);
    let keep_going = || {
        n_done.set(n_done.get() + 1);
        // A look at the clock per step would cost as much as the step.
        if n_done.get().is_multiple_of(256) {
            progress.of(n_done.get(), n_steps);
        }
        !interrupt.is_wanted()
    };
    let begun = Instant::now();
    let done = replay(documents, recording, options, &keep_going);
    drop(progress);
    let prefix = if 1 < n_versions { format!("{}: ", options.controller) } else { String::new() };
    match done {
        Ok(mut done) => {
            let wall_seconds = begun.elapsed().as_secs_f64();
            for card in done.targets.iter_mut().chain([&mut done.total]) {
                card.scorecard.wall_seconds = wall_seconds;
            }
            say_notes(&done.notes, &prefix, terminal);
            Some(done)
        }
        Err(error) => {
            terminal.error(&format!("{prefix}{error}"));
            if let ReplayError::Nothing { notes } = &error {
                say_notes(notes, &prefix, terminal);
                let hint = if notes.iter().any(|it| matches!(it, NotReplayed::NoSeries { .. })) {
                    "try the query in Prometheus at that time: does it keep that long, and is the \
                     label of the result the policy's `target_label`?"
                } else {
                    "name all files: targets, and the policies that select them"
                };
                terminal.hint(hint);
            }
            None
        }
    }
}

fn say_notes(notes: &[NotReplayed], prefix: &str, terminal: &Terminal) {
    for note in notes.iter().take(NOTES_SHOWN) {
        terminal.warning(&format!("{prefix}{note}"));
    }
    if NOTES_SHOWN < notes.len() {
        terminal.warning(&format!("{prefix}and {} more of this kind", notes.len() - NOTES_SHOWN));
    }
}

fn say(
    replays: &[Replay],
    args: &ReplayArgs,
    common: &Common,
    span: Grid,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let only = args.target.as_ref();
    let cards = show::cards(replays, only);
    if cards.is_empty() {
        terminal.error("that target was not replayed; the warnings above say why");
        return Ok(Exit::Refused);
    }
    match common.output {
        Output::Json => terminal.json(&cards)?,
        Output::Text => {
            terminal.data(&show::tables(replays, only))?;
            terminal.talk(&explained(replays, span));
        }
    }
    let stopped = replays.iter().find(|it| it.total.scorecard.partial);
    if let Some(stopped) = stopped {
        let after = SignedDuration::from_secs(stopped.total.scorecard.simulated_seconds);
        terminal.warning(&format!(
            "the replay was stopped after {} of {}; what is shown ends there",
            show_duration(after),
            show_duration(SignedDuration::from_secs(span.ends_at() - span.from))
        ));
    }
    let violations: Vec<&Violation> =
        replays.iter().flat_map(|it| &it.total.scorecard.violations).collect();
    for Violation { at, invariant, what } in violations.iter().take(VIOLATIONS_SHOWN) {
        let at = Timestamp::from_second(*at).map_or_else(|_| at.to_string(), |it| it.to_string());
        terminal.error(&format!("{invariant} at {at}: {what}"));
    }
    Ok(match (violations.is_empty(), stopped) {
        (false, _) => Exit::Unsafe,
        (true, Some(_)) => Exit::Interrupted,
        (true, None) => Exit::Done,
    })
}

/// What the numbers are about, for who sees them for the first time.
fn explained(replays: &[Replay], span: Grid) -> String {
    let seconds = |it: &Card| it.scorecard.wall_seconds;
    let wall_seconds: f64 = replays.iter().map(|it| seconds(&it.total)).sum();
    let length = show_duration(SignedDuration::from_secs(span.ends_at() - span.from));
    format!(
        "\n{length} in {wall_seconds:.1} s, a look every {}. Missed: a ready unit had to carry more \
         than `value_per_unit`.\nPeople, outside changes and failing providers are not replayed; \
         time without a recorded load (no data) is not judged.",
        show_duration(SignedDuration::from_secs(span.step))
    )
}

fn write_plan(path: &Path, plan: &[PlanRow]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"timestamp,demand,desired,ready\n")?;
    for PlanRow { at, demand, desired, ready } in plan {
        match demand {
            Some(demand) => writeln!(out, "{at},{demand},{desired},{ready}")?,
            None => writeln!(out, "{at},,{desired},{ready}")?,
        }
    }
    out.flush()
}
