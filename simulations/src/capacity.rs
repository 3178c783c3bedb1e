//! The capacity benchmark: one controller, one load, one kind of unit, under virtual time.
//!
//! **In:** a [`Workload`], a [`Setup`] and a [`Controller`].
//! **Out:** a [`Run`]: its scorecard and, when wanted, its plan.
//! **Not here:** queues and latencies ([`crate::region`]), the controllers' own arithmetic
//! (the modules below; `evenkeel`'s is the agent's), files and clocks (the caller's).
//!
//! Order at one instant: units become ready, the load changes, the controller looks. Every
//! score is an integral over time, exact to the second, not a mean over evaluations.

mod agent;
mod baseline;
mod controllers;
mod curve;
mod hpa;
mod score;
mod setup;
mod tracking;
mod world;

use std::collections::VecDeque;

use crate::scorecard::{Scorecard, Violation};
use crate::timeline::{Event, EventKind, Moment, Recorder, ServiceTimeline, Timeline};
use crate::workload::{Sample, Workload};

pub use agent::{Evenkeel, documents_for};
pub use baseline::{Peak, Twin};
pub(crate) use controllers::percentage;
pub use controllers::{ControllerKind, ControllerKindError, simulate, simulate_while};
pub use curve::{Curve, CurvePoint, hpa_curve};
pub use hpa::Hpa;
pub use score::Trace;
pub use setup::{Setup, SetupError};
pub use tracking::Tracking;

use score::Tally;
use world::World;

/// What a controller is shown at one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Virtual time, in Unix seconds.
    pub now: i64,
    /// What the scrape shows; `None` in a gap of the trace.
    pub sample: Option<Sample>,
    /// Units asked for and not given back, ready or not.
    pub current: u32,
    /// Units that serve.
    pub ready: u32,
    /// Load that one unit carries, `> 0`.
    pub unit: f64,
    /// Whether this is after the history.
    pub is_scored: bool,
}

/// Something that decides how many units there shall be.
pub trait Controller {
    /// As it is called on the command line, such as `hpa:70`.
    fn label(&self) -> String;

    /// The units there shall be from now on; [`Look::current`] for no change. The world does
    /// what it says at once and in full. What it writes to `trace` is part of the run's hash,
    /// beside every change of demand, desired and ready units.
    fn evaluate(&mut self, look: &Look, trace: &mut Trace) -> u32;

    /// What it expects of the load so many seconds from now: 10 %, 50 %, 90 %. For the page.
    fn expected(&self) -> Option<(i64, [f64; 3])> {
        None
    }
}

/// One line of `--plan-out`: what is true from `at` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRow {
    /// Unix seconds.
    pub at: i64,
    /// Units that the load needs.
    pub demand: u32,
    /// Units asked for, ready or not.
    pub desired: u32,
    /// Units that serve.
    pub ready: u32,
}

/// What came of one run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its scores.
    pub scorecard: Scorecard,
    /// A row at every change of any column, over the scored part only; the last row is the
    /// end and repeats the one before. Empty unless [`Setup::keeps_plan`].
    pub plan: Vec<PlanRow>,
    /// What it looked like over the scored part; `None` unless [`Setup::keeps_timeline`].
    pub timeline: Option<Timeline>,
}

/// Units that `value` needs when one carries `unit`: `max(1, ceil(value / unit))`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float-to-int `as` saturates, and a workload has no NaN and nothing below 0"
)]
pub fn units_for(value: f64, unit: f64) -> u32 {
    ((value / unit).ceil() as u32).max(1)
}

/// Runs `controller` over all of `workload`.
///
/// The first [`Setup::history`] is shown to the controller and simulated, but not scored.
/// Before the first sample of the trace there are as many ready units as it needs.
///
/// # Errors
///
/// A setup out of its limits, or a workload that is no longer than the history.
pub fn run(
    workload: &Workload,
    setup: &Setup,
    controller: &mut dyn Controller,
) -> Result<Run, SetupError> {
    run_while(workload, setup, controller, &|_, _| true)
}

/// The same for as long as `keep_going` says so.
///
/// # Errors
///
/// As [`run`].
pub fn run_while(
    workload: &Workload,
    setup: &Setup,
    controller: &mut dyn Controller,
    keep_going: KeepGoing<'_>,
) -> Result<Run, SetupError> {
    let unit = setup.check(workload)?;
    Ok(Engine::new(workload, setup, unit).run(controller, keep_going))
}

/// Asked once in a while with the seconds that have passed and all there are; `false` ends the
/// run, which is then partial.
pub type KeepGoing<'a> = &'a dyn Fn(i64, i64) -> bool;

/// Seconds from one [`KeepGoing`] to the next. Why 6 h: some ten thousand evaluations a second
/// are simulated, so that is a few milliseconds.
const ASKED_SECONDS: i64 = 6 * 3_600;

/// The first bin of a timeline in seconds. Why 15: the period of an ordinary evaluation.
const BIN_SECONDS: i64 = 15;

struct Engine<'a> {
    workload: &'a Workload,
    setup: &'a Setup,
    unit: f64,
    scored_from: i64,
    world: World,
    trace: Trace,
    tally: Tally,
    plan: Vec<PlanRow>,
    violations: Violations,
    recorder: Option<Recorder>,
    /// What was expected, and of when.
    expected: VecDeque<(i64, [f64; 3])>,
}

impl<'a> Engine<'a> {
    fn new(workload: &'a Workload, setup: &'a Setup, unit: f64) -> Engine<'a> {
        let first = workload.samples().first().map_or(0.0, |it| it.value);
        Engine {
            workload,
            setup,
            unit,
            scored_from: workload.starts_at().saturating_add(setup.history),
            world: World::new(setup.bounds_clamp(units_for(first, unit)), setup.boot),
            trace: Trace::default(),
            tally: Tally::default(),
            plan: Vec::new(),
            violations: Violations::default(),
            recorder: recorder(workload, setup, unit),
            expected: VecDeque::new(),
        }
    }

    fn run(mut self, controller: &mut dyn Controller, keep_going: KeepGoing<'_>) -> Run {
        let (starts_at, ends_at) = (self.workload.starts_at(), self.workload.ends_at());
        let samples = self.workload.samples();
        let mut n_begun = 0;
        let mut sample = Sample { at: starts_at, value: 0.0 };
        let mut evaluated_at = starts_at;
        let mut now = starts_at;
        let mut asked_at = starts_at;
        let mut is_partial = false;
        let mut row: Option<PlanRow> = None;
        while now < ends_at {
            if asked_at <= now {
                if !keep_going(now - starts_at, ends_at - starts_at) {
                    is_partial = true;
                    break;
                }
                asked_at = now.saturating_add(ASKED_SECONDS);
            }
            self.world.advance(now);
            while let Some(next) = samples.get(n_begun).filter(|it| it.at <= now) {
                sample = *next;
                n_begun += 1;
            }
            if evaluated_at <= now {
                self.evaluate(now, sample, controller);
                evaluated_at = now.saturating_add(self.setup.evaluation_period);
            }
            row = Some(self.note(now, sample, row));
            let next = [
                samples.get(n_begun).map(|it| it.at),
                self.world.next_ready_at(),
                (now < self.scored_from).then_some(self.scored_from),
                Some(evaluated_at),
            ];
            let next = next.into_iter().flatten().min().unwrap_or(ends_at).min(ends_at);
            if let Some(row) = row
                && self.scored_from <= now
            {
                self.tally.add(next - now, sample.value, self.unit, row);
                self.record(next - now, sample.value, row);
            }
            now = next;
        }
        let end = row.map(|it| PlanRow { at: now, ..it });
        self.finish(now - starts_at, end, is_partial, controller)
    }

    /// The stretch of time as a page shows it.
    fn record(&mut self, seconds: i64, value: f64, row: PlanRow) {
        let Some(recorder) = &mut self.recorder else { return };
        while self.expected.get(1).is_some_and(|(due, _)| *due <= row.at) {
            self.expected.pop_front();
        }
        let due = self.expected.front().filter(|(due, _)| *due <= row.at);
        let expected = due.map(|(_, it)| *it);
        record(recorder, seconds, value, self.unit, self.setup, row, expected);
    }

    fn evaluate(&mut self, now: i64, sample: Sample, controller: &mut dyn Controller) {
        let is_fresh = now - sample.at < self.setup.stale_after(self.workload);
        let look = Look {
            now,
            sample: is_fresh.then_some(sample),
            current: self.world.current(),
            ready: self.world.ready(),
            unit: self.unit,
            is_scored: self.scored_from <= now,
        };
        let desired = controller.evaluate(&look, &mut self.trace);
        if self.recorder.is_some()
            && let Some((ahead, expected)) = controller.expected()
        {
            self.expected.push_back((now.saturating_add(ahead), expected));
        }
        if look.sample.is_none() && desired < look.current {
            let what = format!("{} -> {desired} with nothing measured", look.current);
            self.violations.push(now, "scale_down_on_missing_data", what);
        }
        if desired < self.setup.units_min || self.setup.units_max < desired {
            let (min, max) = (self.setup.units_min, self.setup.units_max);
            self.violations.push(now, "bounds", format!("{desired} is not in {min}..={max}"));
        }
        if desired != look.current {
            self.world.set(now, desired);
            if look.is_scored {
                self.tally.changes += 1;
                let text = format!("{} -> {desired} units", look.current);
                self.event(now, EventKind::Decision, text);
            }
        }
    }

    fn event(&mut self, at: i64, kind: EventKind, text: String) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(Event { at, kind, service: SERVICE.to_owned(), text });
        }
    }

    /// Checks what must always hold, and writes down what changed.
    fn note(&mut self, now: i64, sample: Sample, last: Option<PlanRow>) -> PlanRow {
        let row = PlanRow {
            at: now,
            demand: units_for(sample.value, self.unit),
            desired: self.world.current(),
            ready: self.world.ready(),
        };
        if row.desired < row.ready {
            let what = format!("{} ready of {} asked for", row.ready, row.desired);
            self.violations.push(now, "ready_above_current", what);
        }
        let is_new = last.is_none_or(|it| PlanRow { at: now, ..it } != row);
        if is_new {
            self.trace.line(format_args!(
                "{now} demand {} desired {} ready {}",
                row.demand, row.desired, row.ready
            ));
        }
        let begins = now == self.scored_from;
        if self.setup.keeps_plan && self.scored_from <= now && (is_new || begins) {
            self.plan.push(row);
        }
        row
    }

    fn finish(
        mut self,
        simulated_seconds: i64,
        end: Option<PlanRow>,
        is_partial: bool,
        controller: &dyn Controller,
    ) -> Run {
        if self.setup.keeps_plan {
            self.plan.extend(end);
        }
        let tally = self.tally.clone();
        let longest = tally.under_longest;
        let mut violations = std::mem::take(&mut self.violations);
        if let Some(most) = self.setup.under_demand_max.filter(|it| *it < longest && !is_partial) {
            let what = format!("under demand for {longest} s on end, at most {most} s");
            violations.push(tally.under_longest_at, Violation::LIVENESS, what);
        }
        for it in &violations.list {
            self.event(it.at, EventKind::Violation, format!("{}: {}", it.invariant, it.what));
        }
        let mut scorecard = tally.scorecard(
            self.setup,
            &controller.label(),
            simulated_seconds,
            violations.list,
            self.trace.finish(),
        );
        scorecard.partial = is_partial;
        Run { scorecard, plan: self.plan, timeline: self.recorder.map(Recorder::finish) }
    }
}

/// What a page calls the one load there is.
const SERVICE: &str = "load";

/// A stretch of equal values.
fn record(
    recorder: &mut Recorder,
    seconds: i64,
    value: f64,
    unit: f64,
    setup: &Setup,
    row: PlanRow,
    forecast: Option<[f64; 3]>,
) {
    let ready = f64::from(row.ready);
    recorder.second(
        0,
        seconds,
        &Moment {
            load: value,
            forecast,
            ready: row.ready,
            desired: row.desired,
            needed: row.demand,
            offered: value,
            good: value.min(ready * unit),
            latency_p95_seconds: None,
            cost_usd: ready * setup.price_usd_per_hour / 3_600.0,
        },
    );
}

fn recorder(workload: &Workload, setup: &Setup, unit: f64) -> Option<Recorder> {
    let begins_at = workload.starts_at().saturating_add(setup.history);
    let service = ServiceTimeline {
        name: SERVICE.to_owned(),
        unit_load: unit,
        objective_ratio: 1.0 - setup.under_time_ratio_max,
        unit_usd_per_hour: setup.price_usd_per_hour,
        bins: Vec::new(),
    };
    setup
        .keeps_timeline
        .then(|| Recorder::new(begins_at, BIN_SECONDS, "of the load", vec![service]))
}

/// Most violations that are written down. Why 100: the first one is what gets fixed.
const VIOLATIONS_MAX: usize = 100;

#[derive(Default)]
struct Violations {
    list: Vec<Violation>,
}

impl Violations {
    fn push(&mut self, at: i64, invariant: &'static str, what: String) {
        if self.list.len() < VIOLATIONS_MAX {
            self.list.push(Violation { at, invariant, what });
        }
    }
}
