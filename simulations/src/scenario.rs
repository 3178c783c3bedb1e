//! Scenario files: what the simulator is to run.
//!
//! **In:** the text of one YAML file, strict: an unknown field is an error.
//! **Out:** [`Scenario`], every number inside its limits, or a [`Diagnostic`] with its place.
//! **Not here:** opening files (the caller's), running it ([`crate::capacity`]).

mod raw;

use evenkeel_core::documents::{Diagnostic, Severity};
use jiff::SignedDuration;
use serde_saphyr::{Error, Location};

use crate::capacity::Setup;
use crate::load::{Load, LoadCurve};
use crate::workload::{DAYS_MAX, Sample, Workload, WorkloadError};

/// Largest file. Why 1 MiB: a thousand times what a scenario needs.
const FILE_BYTES_MAX: usize = 1 << 20;

const DAY_SECONDS: i64 = 86_400;

/// When a made-up load begins: Thursday, 2026-01-01 00:00:00 UTC.
const MADE_UP_START: i64 = 1_767_225_600;

/// Distance of a made-up load's samples in seconds, as in most recorded ones.
const MADE_UP_PERIOD: i64 = 60;

/// A scenario that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What is simulated.
    pub kind: ScenarioKind,
}

/// What a scenario simulates. One kind per field of `spec`, of which there is exactly one.
#[derive(Clone, Debug, PartialEq)]
pub enum ScenarioKind {
    /// One load and one kind of unit: the capacity benchmark.
    Capacity(CapacityScenario),
}

/// A capacity scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacityScenario {
    /// Everything but the load. Its seed is 1 until somebody asks for another.
    pub setup: Setup,
    /// The load where nobody gives a workload.
    pub load: MadeUpLoad,
}

/// A load that is made up, from the run's seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MadeUpLoad {
    /// How many days, `1 ..= 400`.
    pub days: i64,
    /// Day, week and noise.
    pub curve: LoadCurve,
}

impl MadeUpLoad {
    /// The load of the run `seed`, one sample per minute from 2026-01-01.
    ///
    /// # Errors
    ///
    /// A curve that is 0 everywhere.
    pub fn workload(&self, name: &str, seed: u64) -> Result<Workload, WorkloadError> {
        let load = Load::new(seed, name, self.curve);
        let samples = (0..self.days * DAY_SECONDS / MADE_UP_PERIOD).map(|minute| {
            let at = MADE_UP_START + minute * MADE_UP_PERIOD;
            Sample { at, value: load.at(at) }
        });
        Workload::new(name, samples.collect())
    }
}

impl Scenario {
    /// Reads one scenario.
    ///
    /// # Errors
    ///
    /// The first fault, with line, column, the line itself and a hint.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, Box<Diagnostic>> {
        let fault = |location: Option<Location>, message: String, hint: &str| {
            diagnostic(file, text, location, message, hint)
        };
        if FILE_BYTES_MAX < text.len() {
            let message =
                format!("a scenario of {} bytes, at most {FILE_BYTES_MAX} are read", text.len());
            return Err(fault(None, message, "a load belongs into a CSV file, for `--workload`"));
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: 16, max_nodes: 1_000, max_aliases: 0 },
            with_snippet: false,
        };
        let raw: raw::RawScenario =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let location = error.location();
                fault(location, message_of(&error), "see simulations/scenarios/capacity.yaml")
            })?;
        raw.checked().map_err(|it| fault(Some(it.location), it.message, it.hint))
    }
}

fn message_of(error: &Error) -> String {
    let text = error.without_snippet().to_string();
    // The place is in the diagnostic already, before or after the message.
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = match text.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        Some(_) | None => text,
    };
    let text = text.split(" at line ").next().unwrap_or(text);
    // What the library would have us set is nothing that the author of a scenario can.
    text.split(", set ").next().unwrap_or(text).trim().to_owned()
}

fn diagnostic(
    file: &str,
    text: &str,
    location: Option<Location>,
    message: String,
    hint: &str,
) -> Box<Diagnostic> {
    let from_one = |it: u64| usize::try_from(it).unwrap_or(usize::MAX).max(1);
    let line = location.map_or(1, |it| from_one(it.line()));
    let column = location.map_or(1, |it| from_one(it.column()));
    Box::new(Diagnostic {
        severity: Severity::Error,
        file: file.to_owned(),
        line,
        column,
        message,
        hint: hint.to_owned(),
        snippet: text.lines().nth(line - 1).unwrap_or_default().chars().take(200).collect(),
    })
}

/// `1 ..= DAYS_MAX` days of a made-up load.
const MADE_UP_DAYS_MAX: i64 = DAYS_MAX;

/// A duration as whole seconds.
fn seconds(duration: SignedDuration) -> i64 {
    duration.as_secs()
}
