//! From recorded inputs to what a playbook would have done: a pure function.
//!
//! **In:** a playbook, a target, and one value per input and step.
//! **Out:** [`Walked`]: each time that it would have been triggered, whether a run would have
//! begun, and how often nobody could have known.
//! **Not here:** where values come from ([`super::record`]), the plan ([`super::plan`]).
//!
//! The trigger is judged as the agent does: true without a gap for `lasts`; unknown begins
//! the time anew, and neither starts nor ends anything.

use std::collections::BTreeMap;

use evenkeel_core::condition::{Truth, Unit};
use evenkeel_core::documents::{NamedCondition, Playbook, PlaybookInput, RunLimits, Target};
use evenkeel_core::heal::view::{INSTANCES_SEEN_MAX, InputValue, Values, default_parameters};
use evenkeel_core::ids::{InputName, InstanceName, PlaybookId, TargetId};
use evenkeel_core::quality::Absence;
use evenkeel_core::units::{Capacity, show_duration};
use evenkeel_sim::replay::Grid;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::plan;

/// One value per step: NaN is nothing, an infinity is something that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column(Vec<f64>);

impl Column {
    /// With nothing in it.
    pub(super) fn new(len: usize) -> Column {
        Column(vec![f64::NAN; len])
    }

    /// Takes in a sample; a second one at the same place makes both unusable.
    pub(super) fn put(&mut self, place: usize, number: f64) {
        if let Some(cell) = self.0.get_mut(place) {
            *cell = if cell.is_nan() && number.is_finite() { number } else { f64::INFINITY };
        }
    }

    fn at(&self, place: usize) -> f64 {
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// What was recorded of one input for one target.
#[derive(Clone, Debug)]
pub(super) enum Track<'a> {
    /// No series at all.
    Nothing,
    /// One number.
    One(&'a Column),
    /// One per instance.
    Instances(Vec<(InstanceName, &'a Column)>),
}

/// What was recorded for one target.
#[derive(Clone, Debug)]
pub(super) struct Tracks<'a> {
    /// By input; one that is not here counts as missing.
    pub(super) inputs: BTreeMap<InputName, Track<'a>>,
    /// The capacity that there was, where it is known.
    pub(super) capacity: Option<&'a Column>,
}

/// What one playbook would have done on one target. The fields are a contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Walked {
    /// Which playbook.
    pub(super) playbook: PlaybookId,
    /// On which target.
    pub(super) target: TargetId,
    /// Each time that it would have been triggered, oldest first.
    pub(super) firings: Vec<Firing>,
    /// Looks in all.
    pub(super) looks: usize,
    /// Share of them at which the trigger's condition was true.
    pub(super) true_ratio: f64,
    /// Share of them at which nobody could have known.
    pub(super) unknown_ratio: f64,
    /// The longest time without knowing.
    pub(super) unknown_longest_seconds: i64,
}

/// One time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Firing {
    /// The first bad sample.
    pub(super) began_at: Timestamp,
    /// When the trigger was met.
    pub(super) at: Timestamp,
    /// From the first bad sample until then.
    pub(super) detection_seconds: i64,
    /// When its condition was false again; `None` where the recording ends before.
    pub(super) ended_at: Option<Timestamp>,
    /// From the first bad sample until then, or until the recording ends.
    pub(super) lasted_seconds: i64,
    /// The condition with its values when the trigger was met.
    pub(super) what: String,
    /// Its other conditions at that moment.
    pub(super) conditions: Vec<Judged>,
    /// When a run would have begun; `None` for never.
    pub(super) run_at: Option<Timestamp>,
    /// What kept one from beginning, the first time that something did.
    pub(super) kept_by: Option<String>,
    /// What the run would have done, one line per step.
    pub(super) plan: Vec<String>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Judged {
    /// What people call it.
    pub(super) name: String,
    /// Whether it was true.
    pub(super) truth: Truth,
    /// With its values.
    pub(super) what: String,
}

/// When runs would have begun, for the limits.
#[derive(Default)]
struct Runs {
    begun: Vec<i64>,
    last_ended: Option<i64>,
}

/// Walks through `span`; `None` for a playbook whose trigger has no condition.
pub(super) fn walk(
    playbook: &Playbook,
    target: &Target,
    span: Grid,
    tracks: &Tracks<'_>,
) -> Option<Walked> {
    let trigger = playbook.trigger.condition.as_ref()?;
    let parameters = default_parameters(playbook);
    let mut runs = Runs::default();
    let mut firings: Vec<Firing> = Vec::new();
    let mut open: Option<Firing> = None;
    let mut true_since: Option<i64> = None;
    let mut unknown_since: Option<i64> = None;
    let (mut n_true, mut n_unknown, mut unknown_longest) = (0_usize, 0_usize, 0_i64);
    for place in 0..span.len {
        let at = span.at(place);
        let inputs = readings(playbook, tracks, place, instant(at));
        let capacity = capacity(tracks, place);
        let values = Values {
            target,
            capacity: (capacity, capacity),
            inputs: Some(&inputs),
            parameters: &parameters,
        };
        let truth = trigger.truth(&values);
        match truth {
            Truth::True => {
                n_true += 1;
                let since = *true_since.get_or_insert(at);
                if open.is_none() && playbook.trigger.lasts.as_secs() <= at - since {
                    let conditions = judged(&playbook.conditions, &values);
                    open = Some(Firing::new(since, at, trigger.show(&values), conditions));
                }
            }
            Truth::False => {
                true_since = None;
                if let Some(firing) = open.take() {
                    runs.last_ended = firing.run_at.map(|_| at).or(runs.last_ended);
                    firings.push(firing.ended(at));
                }
            }
            Truth::Unknown => true_since = None,
        }
        if truth == Truth::Unknown {
            n_unknown += 1;
            let since = *unknown_since.get_or_insert(at);
            unknown_longest = unknown_longest.max(at + span.step - since);
        } else {
            unknown_since = None;
        }
        let waiting = open.as_mut().filter(|it| it.run_at.is_none() && truth == Truth::True);
        if let Some(firing) = waiting {
            match kept_by(playbook, &values, &runs, at) {
                Some(why) => {
                    firing.kept_by.get_or_insert(why);
                }
                None => {
                    runs.begun.push(at);
                    firing.run_at = Some(instant(at));
                    firing.plan = plan::lines(playbook, target, &values);
                }
            }
        }
    }
    firings.extend(open.map(|it| it.cut_off(span.ends_at())));
    Some(Walked {
        playbook: playbook.id.clone(),
        target: target.id.clone(),
        firings,
        looks: span.len,
        true_ratio: ratio(n_true, span.len),
        unknown_ratio: ratio(n_unknown, span.len),
        unknown_longest_seconds: unknown_longest,
    })
}

impl Firing {
    fn new(since: i64, at: i64, what: String, conditions: Vec<Judged>) -> Firing {
        Firing {
            began_at: instant(since),
            at: instant(at),
            detection_seconds: at - since,
            ended_at: None,
            lasted_seconds: 0,
            what,
            conditions,
            run_at: None,
            kept_by: None,
            plan: Vec::new(),
        }
    }

    fn ended(self, at: i64) -> Firing {
        Firing { ended_at: Some(instant(at)), ..self.cut_off(at) }
    }

    fn cut_off(self, at: i64) -> Firing {
        Firing { lasted_seconds: at - self.began_at.as_second(), ..self }
    }
}

/// What keeps a run from beginning at `at`.
fn kept_by(playbook: &Playbook, values: &Values<'_>, runs: &Runs, at: i64) -> Option<String> {
    for NamedCondition { name, condition } in &playbook.conditions {
        let word = match condition.truth(values) {
            Truth::True => continue,
            Truth::False => "is false",
            Truth::Unknown => "is unknown",
        };
        return Some(format!("condition `{name}` {word}: {}", condition.show(values)));
    }
    let RunLimits { attempts_max, window, concurrency_max: _, cooldown } = playbook.limits;
    let ago = |it: i64| SignedDuration::from_secs(at - it);
    let n_begun = runs.begun.iter().filter(|it| ago(**it) < window).count();
    if usize::try_from(attempts_max).is_ok_and(|max| max <= n_begun) {
        let window = show_duration(window);
        return Some(format!(
            "{n_begun} runs within {window} are all that is allowed: a person is asked"
        ));
    }
    let cooling = runs.last_ended.map(|it| cooldown - ago(it));
    let left = cooling.filter(|it| SignedDuration::ZERO < *it)?;
    Some(format!("the cooldown after the run before lasts another {}", show_duration(left)))
}

fn judged(conditions: &[NamedCondition], values: &Values<'_>) -> Vec<Judged> {
    let judge = |it: &NamedCondition| Judged {
        name: it.name.clone(),
        truth: it.condition.truth(values),
        what: it.condition.show(values),
    };
    conditions.iter().map(judge).collect()
}

type Readings = BTreeMap<InputName, Result<InputValue, Absence>>;

fn readings(playbook: &Playbook, tracks: &Tracks<'_>, place: usize, at: Timestamp) -> Readings {
    let inputs = playbook.inputs.iter();
    inputs
        .map(|it| (it.name.clone(), reading(it, tracks.inputs.get(&it.name), place, at)))
        .collect()
}

/// A range query gives no times of samples: what Prometheus shows at an instant counts as
/// sampled then.
fn reading(
    input: &PlaybookInput,
    track: Option<&Track<'_>>,
    place: usize,
    sampled_at: Timestamp,
) -> Result<InputValue, Absence> {
    match track {
        None | Some(Track::Nothing) => Err(Absence::NoSeries),
        Some(Track::One(column)) => {
            let value = usable(input.unit, column.at(place))?.ok_or(Absence::NoSeries)?;
            Ok(InputValue::One { value, sampled_at })
        }
        Some(Track::Instances(columns)) => {
            let mut values = Vec::new();
            for (name, column) in columns {
                // One that is not there is not an instance at that time.
                if let Some(value) = usable(input.unit, column.at(place))? {
                    values.push((name.clone(), value));
                }
            }
            match values.len() {
                0 => Err(Absence::NoSeries),
                n_series if INSTANCES_SEEN_MAX < n_series => {
                    Err(Absence::SeveralSeries { n_series })
                }
                _ => Ok(InputValue::Instances { values, sampled_at }),
            }
        }
    }
}

/// What is a difference or a margin may be below zero; what is counted or measured, not.
fn usable(unit: Unit, value: f64) -> Result<Option<f64>, Absence> {
    let may_be_negative = match unit {
        Unit::Ratio | Unit::Usd | Unit::UsdPerHour => true,
        Unit::Rps | Unit::Seconds | Unit::Bytes | Unit::Units | Unit::Count => false,
    };
    if value.is_nan() {
        return Ok(None);
    }
    if value.is_infinite() {
        return Err(Absence::NotFinite);
    }
    if value < 0.0 && !may_be_negative {
        return Err(Absence::Negative { value });
    }
    Ok(Some(value))
}

fn capacity(tracks: &Tracks<'_>, place: usize) -> Option<Capacity> {
    let value = tracks.capacity?.at(place);
    (value.is_finite() && 0.0 <= value).then(|| Capacity::covering(value))
}

fn instant(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap_or(Timestamp::MIN)
}

#[expect(clippy::cast_precision_loss, reason = "counts of at most 1,000,000")]
fn ratio(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
