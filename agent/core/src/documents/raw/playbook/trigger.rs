//! `trigger:` of a `Playbook`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`Trigger`] that can come true.
//! **Not here:** when it is met ([`crate::heal`]).

use serde_json::{Value as Json, json};

use super::Scope;
use super::expression::{Expression, condition};
use super::inputs::Identifier;
use super::steps::input;
use crate::condition::{Condition, Kind, Unit};
use crate::documents::fault::{Faults, quoted};
use crate::documents::positions::{At, Node, Value};
use crate::documents::raw::guardrail::cron_reason;
use crate::documents::raw::scalar::{BurnFactor, Duration, Objective, PrometheusLabel, ShortText};
use crate::documents::raw::time::Zone;
use crate::documents::raw::{List, Place, Read, fields, wrong_type};
use crate::documents::{AlertMatcher, BurnRateTrigger, Schedule, Trigger};
use crate::ids::InputName;

/// Most alerts that wake one playbook. Why 32: more is a label that they share.
const ALERTS_MAX: usize = 32;
/// Most labels of one alert. Why 32: as many as a target has.
const ALERT_LABELS_MAX: usize = 32;

fields! {
    /// When it is triggered. Whatever wakes the agent, it looks for itself.
    struct RawTrigger {
        /// What must be observed.
        optional condition: Expression,
        /// How long without a gap, at most an hour.
        defaulted(json!("0s")) lasts: Duration<0, 3_600>,
        /// A burn rate over two windows, instead of `condition`.
        optional burn_rate: RawBurnRate,
        /// Alerts of an Alertmanager that make the agent look at once.
        defaulted(json!([])) alerts: List<RawAlert, 0, ALERTS_MAX>,
        /// Times at which it is run if its conditions hold.
        optional schedule: RawSchedule,
        /// Whether people may start it.
        defaulted(json!(true)) by_hand: bool,
    }
}

fields! {
    /// Both windows burn the error budget faster than `factor` times the sustainable rate.
    struct RawBurnRate {
        /// Input with the error ratio over the long window.
        required long: Identifier,
        /// Input with the error ratio over the short window.
        required short: Identifier,
        /// The objective, such as 0.999.
        required objective: Objective,
        /// How many times the sustainable rate.
        required factor: BurnFactor,
    }
}

fields! {
    /// Recurring local times.
    struct RawSchedule {
        /// In five fields: minute, hour, day of month, month, day of week.
        required cron: ShortText,
        /// An IANA time zone, such as `Europe/Berlin` or `UTC`.
        required time_zone: Zone,
    }
}

/// Labels that an alert must have.
pub(in crate::documents) struct RawAlert(AlertMatcher);

impl Read for RawAlert {
    fn schema() -> Json {
        json!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": ALERT_LABELS_MAX,
            "propertyNames": PrometheusLabel::schema(),
            "additionalProperties": ShortText::schema(),
        })
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawAlert> {
        let Value::Map(entries) = &node.value else {
            wrong_type(
                node,
                place,
                "a mapping of labels, such as `alertname: HighLatency`",
                faults,
            );
            return None;
        };
        if entries.is_empty() || ALERT_LABELS_MAX < entries.len() {
            let n = entries.len();
            let message = format!("`{place}` has {n} labels, it must have 1 to {ALERT_LABELS_MAX}");
            let hint = "no label at all means no alert; write for example `alertname: HighLatency`";
            faults.error(node.at, message, hint);
            return None;
        }
        let labels = entries.iter().map(|entry| {
            let key = At { value: Value::Text(entry.key.value.clone()), at: entry.key.at };
            let key = PrometheusLabel::read(&key, place, faults);
            let value = ShortText::read(&entry.node, &place.field(&entry.key.value), faults);
            Some((key?.0, value?.0))
        });
        // All are read before the first that is wrong ends it, so that every fault is found.
        let labels: Vec<Option<(String, String)>> = labels.collect();
        let labels = labels.into_iter().collect::<Option<_>>()?;
        Some(RawAlert(AlertMatcher { labels }))
    }
}

/// The trigger, if it can ever start anything.
pub(super) fn checked(
    raw: At<RawTrigger>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<Trigger> {
    let RawTrigger { condition: given, lasts, burn_rate, alerts, schedule, by_hand } = raw.value;
    let mut is_good = true;
    if let (Some(_), Some(burn_rate)) = (&given, &burn_rate) {
        let message = "the trigger has both `condition` and `burn_rate`";
        faults.error(burn_rate.at, message, "join them in `condition` with `&&`");
        is_good = false;
    }
    let has_condition = given.is_some() || burn_rate.is_some();
    if !has_condition && schedule.is_none() && !by_hand.value {
        let message = "nothing can start it: no `condition`, no `burn_rate`, no `schedule`, and `by_hand` is false";
        faults.error(raw.at, message, "write when it shall start");
        is_good = false;
    }
    if !has_condition && let Some(first) = alerts.value.0.first() {
        let message = "alerts only make the agent look at once, and without `condition` there is nothing to look at";
        faults.warning(first.at, message, "write what must be observed as `condition`");
    }
    let mut burn = None;
    let condition = match (given, burn_rate) {
        (Some(given), _) => match condition(&given, &scope.environment, faults) {
            Some(condition) => Some(condition),
            None => {
                is_good = false;
                None
            }
        },
        (None, Some(given)) => match burn_rate_condition(given, scope, faults) {
            Some((condition, checked)) => {
                burn = Some(checked);
                Some(condition)
            }
            None => {
                is_good = false;
                None
            }
        },
        (None, None) => None,
    };
    let schedule = match schedule {
        Some(raw) => Some(checked_schedule(raw.value, faults)?),
        None => None,
    };
    is_good.then(|| Trigger {
        condition,
        lasts: lasts.value.0,
        burn_rate: burn,
        alerts: alerts.value.0.into_iter().map(|it| it.value.0).collect(),
        schedule,
        by_hand: by_hand.value,
    })
}

fn burn_rate_condition(
    raw: At<RawBurnRate>,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<(Condition, BurnRateTrigger)> {
    let At { value: RawBurnRate { long, short, objective, factor }, at } = raw;
    let long = ratio_input(&long, "long", scope, faults);
    let short = ratio_input(&short, "short", scope, faults);
    let (Objective(objective), BurnFactor(times)) = (objective.value, factor.value);
    let limit = times * (1.0 - objective);
    if 1.0 <= limit {
        let message = format!(
            "`burn_rate` is never reached: {times} times the budget of {objective} is {limit:.3}, and no error ratio is above 1"
        );
        faults.error(factor.at, message, "write a smaller `factor`");
        return None;
    }
    let (long, short) = (long?, short?);
    let text = [&long, &short].map(|it| format!("{it} > {times} * (1 - {objective})")).join(" && ");
    match Condition::parse(&text, &scope.environment) {
        Ok(condition) => {
            Some((condition, BurnRateTrigger { long, short, objective, factor: times }))
        }
        // Both inputs are ratios, so this cannot be.
        Err(fault) => {
            faults.error(at, format!("`burn_rate`: {}", fault.message), fault.hint);
            None
        }
    }
}

fn ratio_input(
    name: &At<Identifier>,
    field: &str,
    scope: &Scope<'_>,
    faults: &mut Faults,
) -> Option<InputName> {
    let input = input(name, &format!("burn_rate.{field}"), scope, faults)?;
    if input.kind() == Kind::Number(Unit::Ratio) {
        return Some(input.name.clone());
    }
    let per = match input.kind() {
        Kind::Number(_) => "",
        Kind::Instances(_) => " of each instance",
    };
    let message = format!(
        "`burn_rate.{field}`: input `{}` is a number{per} in `{}`, an error ratio per target is needed",
        input.name,
        input.unit.name()
    );
    faults.error(name.at, message, "name an input with `unit: ratio` and one number per target");
    None
}

fn checked_schedule(raw: RawSchedule, faults: &mut Faults) -> Option<Schedule> {
    let RawSchedule { cron, time_zone } = raw;
    let ShortText(text) = &cron.value;
    match Schedule::new(text, &time_zone.value.name) {
        Ok(schedule) if schedule.comes_ever() => Some(schedule),
        Ok(_) => {
            let message = format!("`cron`: {} never comes", quoted(text));
            faults.error(cron.at, message, "check the day of the month and the month");
            None
        }
        Err(error) => {
            let hint = "write for example `0 4 * * MON` for Mondays at 04:00";
            faults.error(cron.at, format!("`cron`: {}", cron_reason(&error)), hint);
            None
        }
    }
}
