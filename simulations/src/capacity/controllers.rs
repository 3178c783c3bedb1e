//! Controllers by name, and the oracle, which needs no controller.
//!
//! **In:** `evenkeel`, `hpa`, `hpa:85`, `tracking`, `tracking:60`, `static`, `none`, `oracle`.
//! **Out:** a run of that controller.
//! **Not here:** their arithmetic.

use std::fmt;
use std::str::FromStr;

use super::{
    Evenkeel, Hpa, KeepGoing, Peak, PlanRow, Run, Setup, SetupError, Tally, Trace, Tracking, Twin,
    record, recorder, run_while, units_for,
};
use crate::timeline::Recorder;
use crate::workload::Workload;

/// HPA's target when none is named, in percent. Why 70: what most people set, and what the
/// published comparisons use.
const HPA_TARGET_PERCENT: f64 = 70.0;
/// Target tracking's target when none is named, in percent. Why 70: that of HPA, so that the two
/// differ in how they follow and in nothing else.
const TRACKING_TARGET_PERCENT: f64 = 70.0;

/// Which controller decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ControllerKind {
    /// The agent, as it is shipped.
    Evenkeel,
    /// Kubernetes' HPA at a target utilisation in percent, in `1.0 ..= 100.0`.
    Hpa { target_percent: f64 },
    /// AWS' target tracking at a target utilisation in percent, in `1.0 ..= 100.0`, with a
    /// schedule made from the history.
    Tracking { target_percent: f64 },
    /// The most that the history needed.
    Peak,
    /// No agent: what was needed when the scored part began.
    Twin,
    /// Exactly the demand, known ahead.
    Oracle,
}

/// Not the name of a controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControllerKindError {
    /// No such name.
    #[error(
        "`{name}` is not a controller; there are `evenkeel`, `hpa`, `hpa:85`, `tracking`, `static`, `none` and `oracle`"
    )]
    Unknown { name: String },
    /// A target that makes no sense.
    #[error(
        "`{target}` is not a target of HPA; write a percentage from 1 to 100, such as `hpa:85`"
    )]
    Target { target: String },
    /// As above.
    #[error(
        "`{target}` is not a target of tracking; write a percentage from 1 to 100, such as `tracking:60`"
    )]
    TrackingTarget { target: String },
}

impl ControllerKind {
    /// All of them, at their default targets.
    pub const ALL: [ControllerKind; 6] = [
        ControllerKind::Evenkeel,
        ControllerKind::Hpa { target_percent: HPA_TARGET_PERCENT },
        ControllerKind::Tracking { target_percent: TRACKING_TARGET_PERCENT },
        ControllerKind::Peak,
        ControllerKind::Twin,
        ControllerKind::Oracle,
    ];
}

impl fmt::Display for ControllerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControllerKind::Evenkeel => f.pad("evenkeel"),
            ControllerKind::Hpa { target_percent } => f.pad(&format!("hpa:{target_percent}")),
            ControllerKind::Tracking { target_percent } => {
                f.pad(&format!("tracking:{target_percent}"))
            }
            ControllerKind::Peak => f.pad("static"),
            ControllerKind::Twin => f.pad("none"),
            ControllerKind::Oracle => f.pad("oracle"),
        }
    }
}

impl FromStr for ControllerKind {
    type Err = ControllerKindError;

    fn from_str(text: &str) -> Result<ControllerKind, ControllerKindError> {
        match text {
            "evenkeel" => Ok(ControllerKind::Evenkeel),
            "hpa" => Ok(ControllerKind::Hpa { target_percent: HPA_TARGET_PERCENT }),
            "tracking" => Ok(ControllerKind::Tracking { target_percent: TRACKING_TARGET_PERCENT }),
            "static" => Ok(ControllerKind::Peak),
            "none" => Ok(ControllerKind::Twin),
            "oracle" => Ok(ControllerKind::Oracle),
            _ => {
                if let Some(target) = text.strip_prefix("hpa:") {
                    let fault = || ControllerKindError::Target { target: target.to_owned() };
                    let target_percent = percentage(target).ok_or_else(fault)?;
                    return Ok(ControllerKind::Hpa { target_percent });
                }
                if let Some(target) = text.strip_prefix("tracking:") {
                    let fault =
                        || ControllerKindError::TrackingTarget { target: target.to_owned() };
                    let target_percent = percentage(target).ok_or_else(fault)?;
                    return Ok(ControllerKind::Tracking { target_percent });
                }
                Err(ControllerKindError::Unknown { name: text.to_owned() })
            }
        }
    }
}

/// A target in percent, with or without its sign; `None` when it is not from 1 to 100.
pub(crate) fn percentage(text: &str) -> Option<f64> {
    let percent: f64 = text.trim_end_matches('%').parse().ok()?;
    (1.0..=100.0).contains(&percent).then_some(percent)
}

/// Runs the controller of that name over `workload`.
///
/// # Errors
///
/// As [`run`].
pub fn simulate(
    workload: &Workload,
    setup: &Setup,
    kind: ControllerKind,
) -> Result<Run, SetupError> {
    simulate_while(workload, setup, kind, &|_, _| true)
}

/// The same for as long as `keep_going` says so.
///
/// # Errors
///
/// As [`run`](super::run).
pub fn simulate_while(
    workload: &Workload,
    setup: &Setup,
    kind: ControllerKind,
    keep_going: KeepGoing<'_>,
) -> Result<Run, SetupError> {
    match kind {
        ControllerKind::Evenkeel => {
            let unit = setup.check(workload)?;
            run_while(workload, setup, &mut Evenkeel::new(setup, workload, unit)?, keep_going)
        }
        ControllerKind::Hpa { target_percent } => {
            run_while(workload, setup, &mut Hpa::new(target_percent), keep_going)
        }
        ControllerKind::Tracking { target_percent } => {
            run_while(workload, setup, &mut Tracking::new(target_percent), keep_going)
        }
        ControllerKind::Peak => run_while(workload, setup, &mut Peak, keep_going),
        ControllerKind::Twin => run_while(workload, setup, &mut Twin, keep_going),
        ControllerKind::Oracle => oracle(workload, setup),
    }
}

/// One who knows the demand ahead and pays for nothing else: the yardstick of cost, not a
/// plan that anybody could carry out (with a boot time, to keep what the next minutes need
/// may mean to pay for it meanwhile).
fn oracle(workload: &Workload, setup: &Setup) -> Result<Run, SetupError> {
    let unit = setup.check(workload)?;
    let scored_from = workload.starts_at().saturating_add(setup.history);
    let ends_at = workload.ends_at();
    let samples = workload.samples();
    let ends = samples.iter().skip(1).map(|it| it.at).chain([ends_at]);
    let mut tally = Tally::default();
    let mut trace = Trace::default();
    let mut plan: Vec<PlanRow> = Vec::new();
    let mut recorder = recorder(workload, setup, unit);
    let mut last = None;
    for (sample, end) in samples.iter().zip(ends).filter(|(_, end)| scored_from < *end) {
        let at = sample.at.max(scored_from);
        let units = units_for(sample.value, unit);
        let row = PlanRow { at, demand: units, desired: units, ready: units };
        tally.add(end - at, sample.value, unit, row);
        if let Some(recorder) = &mut recorder {
            record(recorder, end - at, sample.value, unit, setup, row, None);
        }
        if last != Some(units) {
            trace.line(format_args!("{at} demand {units} desired {units} ready {units}"));
            plan.push(row);
            tally.changes += u32::from(last.is_some());
        }
        last = Some(units);
    }
    plan.extend(plan.last().map(|it| PlanRow { at: ends_at, ..*it }));
    if !setup.keeps_plan {
        plan.clear();
    }
    let label = ControllerKind::Oracle.to_string();
    let seconds = ends_at - workload.starts_at();
    let scorecard = tally.scorecard(setup, &label, seconds, Vec::new(), trace.finish());
    Ok(Run { scorecard, plan, timeline: recorder.map(Recorder::finish) })
}
