//! The loop: recorded metrics in, the agent in the middle, its effects done at once.
//!
//! **In:** what is replayed ([`super::scope`]) and what was recorded.
//! **Out:** a [`Replay`].
//! **Not here:** any decision, and the arithmetic of scores ([`super::tally`]).
//!
//! Order at one instant: units become ready, the load changes, the agent looks at every target
//! in one batch, what it asks for begins to start.

use std::convert::Infallible;
use std::fmt::Write as _;

use evenkeel_core::agent::{Agent, Committed, Input};
use evenkeel_core::documents::LeadTime;
use evenkeel_core::effect::{Effect, EffectOutcome};
use evenkeel_core::ids::{SignalName, TargetId};
use evenkeel_core::quality::{
    Absence, CapacityReading, Doubt, Reading, SignalReading, TargetObservation,
};
use evenkeel_core::state::State;
use evenkeel_core::units::Capacity;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::recording::{Cell, Column, Grid, Part, Recording};
use super::scope::{Lane, Scope, Subject};
use super::series::Series;
use super::tally::{Stretch, Tally};
use super::units::Units;
use super::why::{self, Causes};
use super::{CHANGES_MAX, Card, Change, Options, PlanRow, Replay};
use crate::scorecard::{Scorecard, Violation};

/// Most violations that are written down per target. Why 100: the first one is what gets fixed.
const VIOLATIONS_MAX: usize = 100;

/// Replays one scope.
pub(super) struct Driver<'a> {
    grid: Grid,
    agent: Agent,
    scope: Scope<'a>,
    places: Vec<Place<'a>>,
    options: &'a Options,
    trace: Hashed,
    plan: Vec<PlanRow>,
    scratch: Vec<f32>,
}

/// One target in the course of the replay.
struct Place<'a> {
    subject: Subject<'a>,
    series: Vec<Series>,
    units: Units,
    tally: Tally,
    causes: Causes,
    changes: Vec<Change>,
    violations: Vec<Violation>,
    trace: Hashed,
    price_usd_per_hour: f64,
}

/// What the load needs, in units.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Need {
    /// Not rounded.
    units: f64,
    demand: u32,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        mut scope: Scope<'a>,
        recording: &Recording,
        options: &'a Options,
    ) -> Driver<'a> {
        let grid = recording.grid(Part::Span);
        let subjects = std::mem::take(&mut scope.subjects);
        let places = subjects.into_iter().map(|it| Place::new(it, recording, options)).collect();
        Driver {
            grid,
            agent: Agent::new(State::default()),
            scope,
            places,
            options,
            trace: Hashed::default(),
            plan: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn run(mut self, keep_going: &dyn Fn() -> bool) -> Replay {
        let start = instant(self.grid.from);
        self.handle(start, Input::Started { version: "replay".to_owned() });
        self.handle(start, Input::DocumentsLoaded(self.scope.documents.clone()));
        let mut n_steps = 0;
        while n_steps < self.grid.len && keep_going() {
            self.step(n_steps);
            n_steps += 1;
        }
        self.finish(n_steps)
    }

    /// Scores what was recorded, without any agent.
    pub(super) fn run_recorded(mut self) -> Replay {
        for place in 0..self.grid.len {
            let (now, until) = (self.grid.at(place), self.grid.at(place + 1));
            for it in &mut self.places {
                let ready = match it.subject.capacity.map(|column| column.cell(place)) {
                    Some(Cell::Value(value)) => whole(value),
                    Some(Cell::Nothing | Cell::Several) | None => {
                        it.tally.pass_over(now, until);
                        continue;
                    }
                };
                let before = it.units.current();
                if ready != before {
                    it.change(now, before, ready, String::new());
                }
                it.units = Units::new(ready, 0);
                it.live(now, until, it.need(place));
            }
        }
        let n_steps = self.grid.len;
        self.finish(n_steps)
    }

    fn step(&mut self, place: usize) {
        let (now, until) = (self.grid.at(place), self.grid.at(place + 1));
        let at = instant(now);
        let mut observations = Vec::with_capacity(self.places.len());
        for it in &mut self.places {
            it.units.advance(now);
            observations.push(it.look(place, at, &self.agent, &mut self.scratch));
        }
        let committed = self.handle(at, Input::Observed(observations));
        for said in &committed.explanations {
            if let Some(it) = place_of(&mut self.places, &said.target) {
                it.causes.note(now, self.grid.step, said);
            }
        }
        for effect in committed.effects.into_iter().filter_map(Effect::into_set_capacity) {
            let (id, desired) = (effect.id(), effect.desired().0);
            // One per observation, in the order of the places.
            let said = committed
                .explanations
                .binary_search_by(|it| it.target.cmp(effect.target()))
                .ok()
                .and_then(|it| committed.explanations.get(it));
            let why = said.map_or_else(String::new, |it| it.sentence());
            if let Some(it) = place_of(&mut self.places, effect.target()) {
                it.obey(place, now, desired, why);
            }
            let (outcome, detail) = (EffectOutcome::Done, String::new());
            self.handle(at, Input::EffectFinished { id, outcome, detail });
        }
        let plan_of = self.options.plan_of.as_ref();
        for it in &mut self.places {
            let plan = (plan_of == Some(&it.subject.id)).then_some(&mut self.plan);
            let need = it.need(place);
            it.live_through(now, until, need, plan);
        }
    }

    /// Hands one input to the agent; its records are durable as soon as they are hashed.
    fn handle(&mut self, now: Timestamp, input: Input) -> Committed {
        let outcome = self.agent.handle(now, input);
        let Ok(committed) = outcome.commit(|records| {
            for record in records {
                match serde_json::to_string(record) {
                    Ok(json) => self.trace.line(&json),
                    Err(error) => self.trace.line(&format!("{record:?}: {error}")),
                }
            }
            Ok::<(), Infallible>(())
        });
        committed
    }

    fn finish(mut self, n_steps: usize) -> Replay {
        let seconds = self.grid.at(n_steps) - self.grid.from;
        let is_partial = n_steps < self.grid.len;
        if let Some(last) = self.plan.last().copied() {
            self.plan.push(PlanRow { at: self.grid.at(n_steps), ..last });
        }
        let controller = self.options.controller.as_str();
        let mut sums = Tally::default();
        let mut held = std::collections::BTreeMap::new();
        let mut violations = Vec::new();
        let mut targets = Vec::new();
        for mut it in self.places {
            it.tally.end();
            sums.merge(&it.tally);
            let causes = it.causes.held();
            why::merge(&mut held, &causes);
            violations.extend(it.violations.iter().cloned());
            let sha256 = it.trace.finish();
            self.trace.line(&sha256);
            let scorecard = it.tally.scorecard(controller, seconds, it.violations, sha256);
            let scorecard = Scorecard { partial: is_partial, ..scorecard };
            targets.push(Card {
                scorecard,
                target: Some(it.subject.id),
                judged_seconds: it.tally.judged(),
                unjudged_seconds: it.tally.unjudged(),
                missed_seconds: it.tally.under(),
                missed_times: it.tally.n_missed,
                missed: it.tally.missed,
                changes: it.changes,
                held: causes,
            });
        }
        violations.truncate(VIOLATIONS_MAX);
        let scorecard = sums.scorecard(controller, seconds, violations, self.trace.finish());
        let total = Card {
            scorecard: Scorecard { partial: is_partial, ..scorecard },
            target: None,
            judged_seconds: sums.judged(),
            unjudged_seconds: sums.unjudged(),
            missed_seconds: sums.under(),
            missed_times: sums.n_missed,
            missed: Vec::new(),
            changes: Vec::new(),
            held,
        };
        Replay { total, targets, plan: self.plan, notes: self.scope.notes }
    }
}

impl<'a> Place<'a> {
    fn new(subject: Subject<'a>, recording: &Recording, options: &Options) -> Place<'a> {
        let grid = recording.grid(Part::Span);
        let lead_time = match subject.target.lead_time {
            LeadTime::Given(given) => given,
            LeadTime::Measure => options.lead_time,
        };
        let series = subject.lanes.iter().map(|it| begin(it, &subject, recording)).collect();
        let mut place = Place {
            series,
            units: Units::new(0, lead_time.as_secs()),
            tally: Tally::default(),
            causes: Causes::default(),
            changes: Vec::new(),
            violations: Vec::new(),
            trace: Hashed::default(),
            price_usd_per_hour: subject.target.price_usd_per_hour.unwrap_or(0.0),
            subject,
        };
        let ready = place.first_units(grid);
        place.units = Units::new(ready, lead_time.as_secs());
        place
    }

    /// The capacity that was recorded first, or else what the first known load needs.
    fn first_units(&self, grid: Grid) -> u32 {
        let recorded = (0..grid.len).find_map(|it| match self.subject.capacity?.cell(it) {
            Cell::Value(value) => Some(whole(value)),
            Cell::Nothing | Cell::Several => None,
        });
        let needed = || (0..grid.len).find_map(|it| self.need(it)).map(|it| it.demand);
        let bounds = self.subject.target.bounds;
        match recorded {
            // As it was, also where that is not within the bounds.
            Some(recorded) => recorded,
            None => bounds.clamp(Capacity(needed().unwrap_or(0))).0,
        }
    }

    /// `None` where one of the load signals that were recorded at all has no value.
    fn need(&self, place: usize) -> Option<Need> {
        let mut need: Option<f64> = None;
        for lane in &self.subject.lanes {
            let Some(column) = lane.column else { continue };
            match column.cell(place) {
                Cell::Value(value) => {
                    let units = value / lane.value_per_unit;
                    need = Some(need.map_or(units, |it| it.max(units)));
                }
                Cell::Nothing | Cell::Several => return None,
            }
        }
        need.map(|units| Need { units, demand: Capacity::covering(units).0 })
    }

    fn look(
        &mut self,
        place: usize,
        at: Timestamp,
        agent: &Agent,
        scratch: &mut Vec<f32>,
    ) -> TargetObservation {
        let id = &self.subject.id;
        let lead_time = agent.lead_time_of(id).duration();
        let findings = agent.sight().target(id).map_or(&[][..], |it| it.findings());
        let mut signals = Vec::with_capacity(self.subject.lanes.len());
        for (lane, series) in self.subject.lanes.iter().zip(&mut self.series) {
            let reading = reading(lane.column, place, at);
            let is_doubted = findings.iter().any(|it| {
                it.signal == lane.signal && matches!(it.doubt, Some(Doubt::SuddenDrop { .. }))
            });
            let (usual_low, outlook) = series.take_in(at, &reading, is_doubted, lead_time, scratch);
            let signal: SignalName = lane.signal.clone();
            signals.push(SignalReading { signal, reading, usual_low, outlook });
        }
        TargetObservation {
            target: id.clone(),
            capacity: Ok(CapacityReading {
                current: Capacity(self.units.current()),
                ready: Some(Capacity(self.units.ready())),
                read_at: at,
            }),
            signals,
        }
    }

    /// Does what the agent says, and checks what must always hold.
    fn obey(&mut self, place: usize, now: i64, desired: u32, why: String) {
        let current = self.units.current();
        let has_value =
            |it: &Lane<'_>| matches!(it.column.map(|it| it.cell(place)), Some(Cell::Value(_)));
        if desired < current && !self.subject.lanes.iter().all(has_value) {
            let what = format!("{current} -> {desired} with a load signal missing");
            self.violate(now, "scale_down_on_missing_data", what);
        }
        let bounds = self.subject.target.bounds;
        if bounds.clamp(Capacity(desired)).0 != desired
            && bounds.clamp(Capacity(current)).0 == current
        {
            let what = format!("{desired} is not in {}..={}", bounds.min, bounds.max);
            self.violate(now, "bounds", what);
        }
        if desired != current {
            self.change(now, current, desired, why);
            self.units.set(now, desired);
        }
    }

    fn change(&mut self, now: i64, from: u32, to: u32, why: String) {
        self.tally.changes = self.tally.changes.saturating_add(1);
        self.trace.line(&format!("{now} {from} -> {to}"));
        if self.changes.len() < CHANGES_MAX {
            self.changes.push(Change { at: now, from, to, why });
        }
    }

    fn violate(&mut self, at: i64, invariant: &'static str, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            let what = format!("{}: {what}", self.subject.id);
            self.violations.push(Violation { at, invariant, what });
        }
    }

    /// Lets time pass until `until`, in which units become ready.
    fn live_through(
        &mut self,
        now: i64,
        until: i64,
        need: Option<Need>,
        mut plan: Option<&mut Vec<PlanRow>>,
    ) {
        let mut from = now;
        while from < until {
            self.units.advance(from);
            if let Some(plan) = &mut plan {
                let row = PlanRow {
                    at: from,
                    demand: need.map(|it| it.demand),
                    desired: self.units.current(),
                    ready: self.units.ready(),
                };
                if plan.last().is_none_or(|it| PlanRow { at: from, ..*it } != row) {
                    plan.push(row);
                }
            }
            let next = self.units.next_ready_at().map_or(until, |it| it.min(until));
            self.live(from, next, need);
            from = next;
        }
    }

    /// Scores a time in which nothing changes.
    fn live(&mut self, from: i64, until: i64, need: Option<Need>) {
        let stretch = Stretch {
            from,
            until,
            need: need.map(|it| it.units),
            demand: need.map_or(0, |it| it.demand),
            ready: self.units.ready(),
        };
        self.tally.add(stretch, self.price_usd_per_hour);
    }
}

/// The place of one target; they stand in the order of their names.
fn place_of<'a, 'b>(places: &'b mut [Place<'a>], id: &TargetId) -> Option<&'b mut Place<'a>> {
    let found = places.binary_search_by(|it| it.subject.id.cmp(id)).ok()?;
    places.get_mut(found)
}

fn begin(lane: &Lane<'_>, subject: &Subject<'_>, recording: &Recording) -> Series {
    let past: Vec<(Timestamp, f64)> = recording
        .past_of(&lane.question, &lane.value)
        .map(|(at, value)| (instant(at), value))
        .collect();
    // Until it measures one, the agent plans with what it assumes.
    let lead_time = match subject.target.lead_time {
        LeadTime::Given(given) => given,
        LeadTime::Measure => evenkeel_core::lead_time::ASSUMED,
    };
    let until = instant(recording.grid(Part::Span).from);
    Series::new(subject.foresight.as_ref(), lead_time, &past, until)
}

fn reading(column: Option<&Column>, place: usize, at: Timestamp) -> Reading {
    match column.map_or(Cell::Nothing, |it| it.cell(place)) {
        Cell::Value(value) => Reading::Value { value, sampled_at: at, doubt: None },
        Cell::Several => Reading::Missing(Absence::SeveralSeries { n_series: 2 }),
        Cell::Nothing => Reading::Missing(Absence::NoSeries),
    }
}

/// A recorded capacity as whole units.
fn whole(value: f64) -> u32 {
    Capacity::covering(value.round()).0
}

/// Unix seconds as an instant; a recording has none that is out of range.
fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// The text of all events, of which only the hash is kept.
#[derive(Default)]
struct Hashed {
    sha256: Sha256,
}

impl Hashed {
    fn line(&mut self, text: &str) {
        self.sha256.update(text.as_bytes());
        self.sha256.update(b"\n");
    }

    fn finish(self) -> String {
        let digest = self.sha256.finalize();
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
    }
}
