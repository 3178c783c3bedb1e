//! Scenario files: what the simulator is to run.
//!
//! **In:** the text of one YAML file, strict: an unknown field is an error. The first YAML
//! document is the scenario; those behind it are the agent's own.
//! **Out:** [`Scenario`], every number inside its limits, or a [`Diagnostic`] with its place.
//! **Not here:** opening files (the caller's), running it ([`crate::capacity`],
//! [`crate::run`]).

mod documents;
pub mod files;
mod places;
mod raw;
mod raw_fault;
mod raw_must;
mod raw_people;
mod raw_region;
mod raw_service;
pub mod region;
mod timed;
mod value;

use std::sync::Arc;

use evenkeel_core::documents::{Diagnostic, Severity};
use serde_saphyr::{Error, Location};

use crate::capacity::Setup;
use crate::load::{Load, LoadCurve};
use crate::scenario::region::RegionScenario;
use crate::workload::{DAYS_MAX, Sample, Workload, WorkloadError};

/// The demo's scenario (`evenkeeld --demo`), with the agent's documents behind it.
pub const DEMO: &str = include_str!("../scenarios/demo.yaml");

/// Largest file. Why 1 MiB: a thousand times what a scenario needs.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Most YAML values of a scenario. Why 250,000: more than a file of that size can have and mean
/// something; a service has about 50.
const NODES_MAX: usize = 250_000;

const DAY_SECONDS: i64 = 86_400;

/// When a made-up load begins: Thursday, 2026-01-01 00:00:00 UTC.
const MADE_UP_START: i64 = 1_767_225_600;

/// Distance of a made-up load's samples in seconds, as in most recorded ones.
const MADE_UP_PERIOD: i64 = 60;

/// A scenario that passed every check.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What is simulated.
    pub kind: ScenarioKind,
}

/// What a scenario simulates. One kind per field of `spec`, of which there is exactly one.
#[derive(Clone, Debug)]
pub enum ScenarioKind {
    /// One load and one kind of unit: the capacity benchmark.
    Capacity(CapacityScenario),
    /// Services that call each other, what breaks, and who acts.
    Region(Box<RegionScenario>),
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
        Scenario::parse_with(file, text, &|_| Err("no files are read here".to_owned()))
    }

    /// As [`Scenario::parse`]; `read` opens a playbook by its path below the folder `playbooks`,
    /// such as `heal/gray-node.yaml`, or says why it cannot.
    ///
    /// # Errors
    ///
    /// As [`Scenario::parse`], and a playbook that cannot be read or has a fault.
    pub fn parse_with(
        file: &str,
        text: &str,
        read: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Scenario, Box<Diagnostic>> {
        let fault_at = |place: (usize, usize), message: String, hint: &str| {
            diagnostic(file, text, place, message, hint)
        };
        let fault = |location: Option<Location>, message: String, hint: &str| {
            fault_at(place_of(location), message, hint)
        };
        if FILE_BYTES_MAX < text.len() {
            let message =
                format!("a scenario of {} bytes, at most {FILE_BYTES_MAX} are read", text.len());
            return Err(fault(None, message, "a load belongs into a CSV file, for `--workload`"));
        }
        let (scenario_text, rest, lines_before) = documents::split(text);
        let scenario = scenario_text;
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: 16, max_nodes: NODES_MAX, max_aliases: 0 },
            with_snippet: false,
        };
        let raw: raw::RawScenario = serde_saphyr::from_str_with_options(scenario, options)
            .map_err(|error| fault(error.location(), message_of(&error), example(scenario)))?;
        let mut scenario =
            raw.checked().map_err(|it| fault(Some(it.location), it.message, &it.hint))?;
        match &mut scenario.kind {
            ScenarioKind::Capacity(_) if rest.trim().is_empty() => {}
            ScenarioKind::Capacity(_) => {
                let message = "a capacity scenario is one document".to_owned();
                return Err(fault_at((lines_before + 1, 1), message, "remove what is behind it"));
            }
            ScenarioKind::Region(region) => {
                let mut playbooks = Vec::new();
                for path in &region.playbooks {
                    let text = read(path).map_err(|why| {
                        let place = documents::place_of(scenario_text, path);
                        let message = format!("playbook `{path}` cannot be read: {why}");
                        fault_at(place, message, "paths are those below the folder `playbooks`")
                    })?;
                    playbooks.push((format!("playbooks/{path}"), text));
                }
                let own = documents::Own { file, rest, lines_before };
                let documents = documents::read(&own, &region.world, &playbooks)?;
                region.documents = documents.map(Arc::new);
                for name in region.budgets_meant() {
                    if !region.has_budget(name) {
                        let message = format!("no budget of money or SLO is called `{name}`");
                        let hint = "write the document behind the scenario";
                        let place = documents::place_of(scenario_text, name);
                        return Err(fault_at(place, message, hint));
                    }
                }
            }
        }
        Ok(scenario)
    }
}

/// The text of a scenario's file in two: the scenario, and the agent's documents behind it, with
/// their first marker; empty where there are none. For who runs a real agent on them.
pub fn parts(text: &str) -> (&str, &str) {
    let (scenario, documents, _) = documents::split(text);
    (scenario, documents)
}

/// The ready-made scenario of the same kind, as far as can be told of a file with a fault.
fn example(text: &str) -> &'static str {
    if text.lines().any(|it| it.trim_start().starts_with("region:")) {
        "see simulations/scenarios/fleet.yaml"
    } else {
        "see simulations/scenarios/capacity.yaml"
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
    let text = text.split(", set ").next().unwrap_or(text).trim();
    // Of what has no fields the library lists none.
    match text.strip_suffix(", expected one of") {
        Some(text) => format!("{text}, there are none here"),
        None => text.to_owned(),
    }
}

/// Line and column, from 1; the file's beginning where it is not known.
fn place_of(location: Option<Location>) -> (usize, usize) {
    let from_one = |it: u64| usize::try_from(it).unwrap_or(usize::MAX).max(1);
    location.map_or((1, 1), |it| (from_one(it.line()), from_one(it.column())))
}

fn diagnostic(
    file: &str,
    text: &str,
    (line, column): (usize, usize),
    message: String,
    hint: &str,
) -> Box<Diagnostic> {
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
