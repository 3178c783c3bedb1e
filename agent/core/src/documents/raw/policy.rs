//! `spec:` of a `ScalingPolicy`.
//!
//! **In:** the mapping as written.
//! **Out:** a [`ScalingPolicy`] with every default filled in.
//! **Not here:** overlaps with other policies ([`crate::documents::load`]),
//! what PromQL means (Prometheus says that at run time).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::documents::fault::Faults;
use crate::documents::positions::{At, Node, Value};
use crate::documents::promql;
use crate::documents::raw::forecast::{self, RawForecast};
use crate::documents::raw::scalar::{
    Duration, Headroom, Latency, Name, PrometheusLabel, Rate, StepRatio, Tolerance, Units, text,
};
use crate::documents::raw::selector::RawSelector;
use crate::documents::raw::{List, Place, Read, fields, listed, wrong_type};
use crate::documents::{Autonomy, Behaviour, OutsideChange, Rule, ScalingPolicy, Signal, Step};
use crate::ids::{PolicyId, SignalName};

/// Most signals of one policy. Why 16: each is one query per period.
const SIGNALS_MAX: usize = 16;
/// Longest query, in bytes. Why 8 KiB: what a URL may have behind most proxies.
const QUERY_BYTES_MAX: usize = 8 * 1024;

fields! {
    /// What should hold for the targets it selects.
    struct RawPolicy {
        /// The targets it is for. A target has at most one policy.
        required selector: RawSelector,
        /// How much the agent may do by itself: `observe` records what it would
        /// do, `suggest` tells, `approve` waits for a person, `auto` does it.
        defaulted(json!("observe")) autonomy: Autonomy,
        /// The label of the queries' results that names the target: it equals the
        /// target's own label of that name or, without one, the target's name.
        required target_label: PrometheusLabel,
        /// What is measured. The largest demand wins, and work that waits
        /// (`queue_depth`) comes on top of load (`value_per_unit`).
        required signals: List<RawSignal, 1, SIGNALS_MAX>,
        /// Fraction added to measured load before it is converted to capacity. With
        /// `forecast`, only while the forecast abstains: otherwise `shortfall` says
        /// how much room there is.
        defaulted(json!(0.1)) headroom_ratio: Headroom,
        /// Relative distance from the current capacity inside which nothing changes.
        defaulted(json!(0.1)) tolerance_ratio: Tolerance,
        /// How capacity may grow.
        defaulted(json!({})) scale_up: RawScaleUp,
        /// How capacity may shrink.
        defaulted(json!({})) scale_down: RawScaleDown,
        /// Capacity before the load comes: every signal with `value_per_unit` is
        /// forecast over the target's lead time, and capacity covers as much of the
        /// forecast as `shortfall` asks for. A forecast that is no better than a
        /// trivial one, or whose live errors grow, abstains: then, and when this is
        /// left out, the measured load with `headroom_ratio` decides.
        optional forecast: RawForecast,
        /// What to do when somebody else changed the capacity: `adopt` it, or
        /// `hold` it for some time, at most 72 hours.
        defaulted(json!({"hold": "4h"})) outside_change: RawOutsideChange,
    }
}

fields! {
    /// One named signal with exactly one rule: `value_per_unit`, `queue_depth`
    /// or `latency_objective`.
    struct RawSignal {
        /// Unique within the policy.
        required name: Name<SignalName>,
        /// PromQL that answers for all targets of the policy at once.
        required query: Query,
        /// Oldest sample that still counts.
        defaulted(json!("1m")) max_age: Duration<1, 3_600>,
        /// The value is load of the whole target; one unit carries this much of it.
        optional value_per_unit: Rate,
        /// The value is work waiting; the units for it come on top of those for load.
        optional queue_depth: RawQueueDepth,
        /// The value is a latency in seconds.
        optional latency_objective: RawLatencyObjective,
    }
    also(json!({"oneOf": RULES.map(|it| json!({"required": [it]}))}))
}

/// The fields of a signal that say how a value becomes a demand.
const RULES: [&str; 3] = ["value_per_unit", "queue_depth", "latency_objective"];

fields! {
    /// Work waiting, to be gone within some time.
    struct RawQueueDepth {
        /// How soon it shall be gone.
        required drained_within: Duration<1, 604_800>,
        /// Pieces of work that one unit does per second.
        required rate_per_unit: Rate,
    }
}

fields! {
    /// A latency to stay at or below.
    struct RawLatencyObjective {
        /// The latency, such as `250ms` or `2s`.
        required objective: Latency,
    }
}

/// Longest look-back. Why 1 hour: the Kubernetes autoscaler's limit.
type Stabilization = Duration<0, 3_600>;
/// Longest wait between two changes of a direction.
type Cooldown = Duration<0, 86_400>;

fields! {
    /// How capacity may grow. The defaults are those of the Kubernetes autoscaler.
    struct RawScaleUp {
        /// Look-back over past wishes of which the smallest is used.
        defaulted(json!("0s")) stabilization: Stabilization,
        /// Time after any change in which no growth starts.
        defaulted(json!("0s")) cooldown: Cooldown,
        /// The largest single growth.
        defaulted(json!({})) step: RawStepUp,
    }
}

fields! {
    /// The largest single growth: the larger of the two.
    struct RawStepUp {
        /// In units of capacity.
        defaulted(json!(4)) units: Units,
        /// As a fraction of the current capacity.
        defaulted(json!(1.0)) ratio: StepRatio,
    }
}

fields! {
    /// How capacity may shrink. Slower than it grows: too much capacity costs
    /// money, too little costs users.
    struct RawScaleDown {
        /// Look-back over past wishes of which the largest is used; while a forecast
        /// drives capacity, at most its last minute.
        defaulted(json!("5m")) stabilization: Stabilization,
        /// Time after any change in which no removal starts.
        defaulted(json!("5m")) cooldown: Cooldown,
        /// The largest single removal.
        defaulted(json!({})) step: RawStepDown,
    }
}

fields! {
    /// The largest single removal: the larger of the two.
    struct RawStepDown {
        /// In units of capacity.
        defaulted(json!(1)) units: Units,
        /// As a fraction of the current capacity.
        defaulted(json!(0.25)) ratio: StepRatio,
    }
}

/// PromQL that is at least complete.
pub(in crate::documents) struct Query(pub(in crate::documents) String);

impl Read for Query {
    fn schema() -> Json {
        json!({"type": "string", "pattern": "\\S", "maxLength": QUERY_BYTES_MAX})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<Query> {
        let query = text(node, place, "text", faults)?;
        if QUERY_BYTES_MAX < query.len() {
            let bytes = query.len();
            let message =
                format!("`{place}` has {bytes} bytes, at most {QUERY_BYTES_MAX} are allowed");
            faults.error(node.at, message, "move it into a recording rule of Prometheus");
            return None;
        }
        match promql::check(query) {
            Ok(()) => Some(Query(query.trim().to_owned())),
            Err(error) => {
                let hint = "try the query in Prometheus first";
                faults.error(node.at, format!("`{place}`: {error}"), hint);
                None
            }
        }
    }
}

/// `adopt`, or `hold: DURATION`.
pub(in crate::documents) struct RawOutsideChange(OutsideChange);

fields! {
    /// Leave what somebody else set alone for some time.
    struct RawHold {
        /// For this long, at most 72 hours, or until a person expires the hold.
        required hold: Duration<60, 259_200>,
    }
}

impl Read for RawOutsideChange {
    fn schema() -> Json {
        json!({"oneOf": [{"const": "adopt"}, RawHold::schema()]})
    }

    fn read(node: &Node, place: &Place<'_>, faults: &mut Faults) -> Option<RawOutsideChange> {
        match &node.value {
            Value::Text(text) if text == "adopt" => Some(RawOutsideChange(OutsideChange::Adopt)),
            Value::Map(_) => {
                let hold = RawHold::read(node, place, faults)?.hold;
                Some(RawOutsideChange(OutsideChange::Hold(hold.value.0)))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::List(_) => {
                wrong_type(node, place, "`adopt` or `{ hold: 4h }`", faults);
                None
            }
        }
    }
}

impl RawPolicy {
    /// What holds between the fields.
    pub(in crate::documents) fn checked(
        self,
        id: PolicyId,
        faults: &mut Faults,
    ) -> Option<ScalingPolicy> {
        let RawPolicy {
            selector,
            autonomy,
            target_label,
            signals,
            headroom_ratio,
            tolerance_ratio,
            scale_up,
            scale_down,
            forecast,
            outside_change,
        } = self;
        let target_label = target_label.value.0;
        let signals = checked_signals(signals.value.0, &target_label, faults);
        let RawScaleUp { stabilization, cooldown, step: step_up } = scale_up.value;
        let RawStepUp { units, ratio } = step_up.value;
        let step = checked_step("scale_up", &units, &ratio, faults);
        let scale_up = step.map(|step| Behaviour {
            stabilization: stabilization.value.0,
            cooldown: cooldown.value.0,
            step,
        });
        let RawScaleDown { stabilization, cooldown, step: step_down } = scale_down.value;
        let RawStepDown { units, ratio } = step_down.value;
        let step = checked_step("scale_down", &units, &ratio, faults);
        let scale_down = step.map(|step| Behaviour {
            stabilization: stabilization.value.0,
            cooldown: cooldown.value.0,
            step,
        });
        let forecast = match forecast {
            Some(raw) => Some(forecast::checked(raw, signals.as_deref(), faults)?),
            None => None,
        };
        Some(ScalingPolicy {
            id,
            selector: selector.value.checked(),
            autonomy: autonomy.value,
            target_label,
            signals: signals?,
            headroom_ratio: headroom_ratio.value.0,
            tolerance_ratio: tolerance_ratio.value.0,
            scale_up: scale_up?,
            scale_down: scale_down?,
            forecast,
            outside_change: outside_change.value.0,
        })
    }
}

fn checked_step(
    direction: &str,
    units: &At<Units>,
    ratio: &At<StepRatio>,
    faults: &mut Faults,
) -> Option<Step> {
    let (Units(units_max), StepRatio(ratio_max)) = (&units.value, &ratio.value);
    if *units_max == 0 && *ratio_max <= 0.0 {
        faults.error(
            units.at.max(ratio.at),
            format!("{direction}.step allows no change: `units` and `ratio` are both 0"),
            "write `units: 1` or more; to stop changes, use `autonomy` or an override",
        );
        return None;
    }
    Some(Step { units: *units_max, ratio: *ratio_max })
}

fn checked_signals(
    raw: Vec<At<RawSignal>>,
    target_label: &str,
    faults: &mut Faults,
) -> Option<Vec<Signal>> {
    let mut seen: BTreeMap<SignalName, usize> = BTreeMap::new();
    let mut signals = Some(Vec::new());
    for At { value, at } in raw {
        let RawSignal { name, query, max_age, value_per_unit, queue_depth, latency_objective } =
            value;
        let mut rules: Vec<At<Rule>> = Vec::new();
        if let Some(At { value: Rate(value_per_unit), at }) = value_per_unit {
            rules.push(At { value: Rule::ValuePerUnit { value_per_unit }, at });
        }
        if let Some(At { value: RawQueueDepth { drained_within, rate_per_unit }, at }) = queue_depth
        {
            let drained_within = drained_within.value.0;
            let rate_per_unit = rate_per_unit.value.0;
            rules.push(At { value: Rule::QueueDepth { drained_within, rate_per_unit }, at });
        }
        if let Some(At { value: RawLatencyObjective { objective }, at }) = latency_objective {
            let objective_seconds = objective.value.seconds;
            rules.push(At { value: Rule::LatencyObjective { objective_seconds }, at });
        }
        let Name(signal_name) = name.value;
        let mut is_good = true;
        if let Some(line) = seen.insert(signal_name.clone(), name.at.line) {
            let message = format!("signal `{signal_name}` is named twice, first in line {line}");
            faults.error(name.at, message, "give each its own name");
            is_good = false;
        }
        if !promql::keeps_label(&query.value.0, target_label) {
            faults.warning(
                query.at,
                format!("signal `{signal_name}`: the query does not mention `{target_label}`, which names the target"),
                format!("aggregate with `by ({target_label})`, so that each target has its own value"),
            );
        }
        rules.sort_by_key(|it| it.at);
        match (rules.as_slice(), is_good, &mut signals) {
            ([rule], true, Some(signals)) => signals.push(Signal {
                name: signal_name,
                query: query.value.0,
                max_age: max_age.value.0,
                rule: rule.value,
            }),
            ([_], _, _) => signals = None,
            ([], _, _) => {
                let message = format!("signal `{signal_name}` has no rule");
                faults.error(at, message, format!("add exactly one of {}", listed(&RULES)));
                signals = None;
            }
            ([_, second, ..], _, _) => {
                let n_rules = rules.len();
                let message = format!("signal `{signal_name}` has {n_rules} rules, it must have 1");
                let hint = "remove one, or write a second signal for it";
                faults.error(second.at, message, hint);
                signals = None;
            }
        }
    }
    signals
}
