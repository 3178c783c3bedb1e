//! From an outlook to the capacity that has to be asked for now, so that it is
//! there before the load, at the lowest cost for a stated shortfall.
//!
//! **In:** a [`Question`]: the newest value, an outlook (or none), the objective
//! and what has become of it so far ([`Ledger`]).
//! **Out:** [`Ahead`]: what to grow to, what to keep, and the numbers behind it.
//! **Not here:** making forecasts (`evenkeel-forecast`), bounds, steps, cooldowns
//! (see [`crate::guard`]), the look back of the reactive rule ([`crate::decide`]).
//!
//! The plan is a dynamic programme over the next eight lead times. Each step costs
//! the units there are, the price of being short times its probability, and a
//! constant for each change. Capacity asked for now is there a lead time from now,
//! and what is removed is gone at once, so shrinking is weighed against the whole
//! lead time for which it cannot be undone, and growth is put off for as long as
//! waiting costs nothing. Of the plan only its first step is carried out.

mod distribution;
mod ledger;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::documents::Shortfall;
use crate::outlook::{Outlook, Standing};
use crate::units::Capacity;
use distribution::Distribution;
pub use ledger::Ledger;

/// What is known at one evaluation of one `ValuePerUnit` signal.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The instant of the evaluation.
    pub now: Timestamp,
    /// What is expected; `None`, or one that abstains, plans from `value` alone.
    pub outlook: Option<&'a Outlook>,
    /// The newest measured load, in the signal's unit. Finite, `>= 0`.
    pub value: f64,
    /// Load that one unit carries, in the signal's unit. Finite, `> 0`.
    pub value_per_unit: f64,
    /// The objective.
    pub shortfall: Shortfall,
    /// What one unit costs, in US dollars per hour; `None` where nobody said.
    pub usd_per_unit_hour: Option<f64>,
    /// From asking for capacity to it being ready.
    pub lead_time: SignedDuration,
    /// Time to the next evaluation.
    pub period: SignedDuration,
    /// What exists, ready or not.
    pub current: Capacity,
}

/// What capacity follows from an outlook. All capacities in units, not rounded
/// up: use [`Capacity::covering`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ahead {
    /// Ask for at least this much now. Never below `floor`.
    pub grow_to: f64,
    /// Remove nothing below this. `floor <= grow_to <= keep`.
    pub keep: f64,
    /// The reactive floor: measured value / value per unit, without headroom.
    pub floor: f64,
    /// How likely the planned capacity covers the load at the end of the lead time,
    /// in `[0, 1]`; 0.5 without a forecast.
    pub level: f64,
    /// The load expected at the end of the lead time, in the signal's unit: the median.
    pub expected: f64,
    /// The quantile at `level` of the load at the end of the lead time, in the
    /// signal's unit: what is covered.
    pub peak: f64,
    /// What a unit of time short of capacity is worth, in units of capacity that
    /// are there for as long; 0 without a forecast.
    pub short_worth_units: f64,
    /// Share of the time short of capacity so far, as the ledger remembers it.
    pub short_ratio: f64,
    /// Whether the outlook was used; `false` means that `floor` is all there is.
    pub is_forecast: bool,
}

/// Steps that the lead time is cut into.
///
/// Why 5: a minute for a lead time of 5 min, which is how often load is sampled.
const LEAD_STEPS: usize = 5;

/// Lead times that are planned.
///
/// Why 8: at a lead time of 5 min, 60 min instead of 40 changed the cost by 0.7% at
/// most, for up to a quarter more changes (research on three traces, 2026-11-21).
const LEADS_PLANNED: usize = 8;

const STEPS: usize = LEAD_STEPS * LEADS_PLANNED;

/// What one change of a target with one unit is worth, in units that are there for
/// one lead time; of a larger one, times its size to the power of the second.
///
/// Why 0.95 and 0.95: about as many changes as HPA makes at the target that falls
/// short as often, on traces with means of 5 to 26 units (the capacity bench,
/// 2026-11-21). Free changes would cost 2 to 4% less and be three to six times as many.
const CHANGE_LEAD_TIMES: f64 = 0.95;
const CHANGE_SIZE_POWER: f64 = 0.95;

/// How much of the uncertainty beyond the lead time is planned for. Why not all:
/// by then one will know more, and can still ask.
const LATER_SPREAD_RATIO: f64 = 0.2;

/// Most capacities that are weighed against each other.
const CANDIDATES_MAX: usize = 96;

/// The capacity to ask for and to keep. Total: any input gives a finite answer.
///
/// `ledger` turns a [`Shortfall::TimeRatio`] into what being short is worth; the
/// other objectives do not need it.
pub fn plan_ahead(question: &Question<'_>, ledger: &Ledger) -> Ahead {
    let floor = question.value / question.value_per_unit;
    let floor = if floor.is_finite() { floor.clamp(0.0, UNITS_MAX) } else { 0.0 };
    let measured = if question.value.is_finite() { question.value } else { 0.0 };
    let only_floor = Ahead {
        grow_to: floor,
        keep: floor,
        floor,
        level: 0.5,
        expected: measured,
        peak: measured,
        short_worth_units: 0.0,
        short_ratio: ledger.short_ratio(),
        is_forecast: false,
    };
    let Some(outlook) = question.outlook else { return only_floor };
    let may_drive = matches!(outlook.standing, Standing::Predicting);
    let is_sane = 0.0 < question.value_per_unit
        && question.value_per_unit.is_finite()
        && SignedDuration::ZERO < question.lead_time;
    if !(may_drive && is_sane) || outlook.leads.is_empty() {
        return only_floor;
    }
    let price = Price::of(question, ledger);
    let plan = Plan::new(question, outlook, floor, price);
    let chosen = plan.choose(question.current);
    let distribution = plan.at_lead();
    let (grow_to, keep) = if f64::from(question.current) < chosen {
        (chosen, chosen)
    } else {
        (floor, chosen.max(floor))
    };
    let level = 1.0 - distribution.above(chosen);
    let grow_to = grow_to.max(floor);
    Ahead {
        grow_to,
        keep: keep.max(grow_to),
        level,
        expected: (distribution.quantile(0.5) * question.value_per_unit).min(f64::MAX),
        peak: (distribution.quantile(level) * question.value_per_unit).min(f64::MAX),
        short_worth_units: price.worth(),
        is_forecast: true,
        ..only_floor
    }
}

/// No capacity is larger.
const UNITS_MAX: f64 = 4.0e9;

/// What being short costs, in units that are there for as long.
#[derive(Clone, Copy, Debug)]
enum Price {
    /// However many are missing.
    PerTime(f64),
    /// Each that is missing.
    PerUnit(f64),
}

impl Price {
    fn of(question: &Question<'_>, ledger: &Ledger) -> Price {
        match question.shortfall {
            Shortfall::TimeRatio(ratio) => Price::PerTime(ledger.worth(ratio)),
            Shortfall::UsdPerUnitHour(usd) => {
                // Nobody said what a unit costs: one that is missing is worth ten.
                let price = question.usd_per_unit_hour.filter(|it| 0.0 < *it && it.is_finite());
                let worth = price.map_or(10.0, |it| (usd + it) / it);
                Price::PerUnit(if worth.is_finite() { worth.clamp(1.0, 1e6) } else { 10.0 })
            }
        }
    }

    fn worth(self) -> f64 {
        match self {
            Price::PerTime(it) | Price::PerUnit(it) => it,
        }
    }

    fn of_being_short(self, distribution: &Distribution, units: f64) -> f64 {
        match self {
            Price::PerTime(it) => it * distribution.above(units),
            Price::PerUnit(it) => it * distribution.expected_above(units),
        }
    }
}

/// The programme.
struct Plan {
    distributions: Vec<Distribution>,
    candidates: Vec<f64>,
    floor: f64,
    price: Price,
}

impl Plan {
    fn new(question: &Question<'_>, outlook: &Outlook, floor: f64, price: Price) -> Plan {
        let age = question.now.duration_since(outlook.made_at).max(SignedDuration::ZERO);
        // Within the minute the newest value still stands, and so does what was
        // forecast for whole minutes after it.
        let age = SignedDuration::from_mins(age.as_mins());
        let per_unit = question.value_per_unit;
        let step = question.lead_time.as_secs_f64() / to_f64(LEAD_STEPS);
        let mut distributions: Vec<Distribution> = Vec::with_capacity(STEPS);
        let aheads = (1..=STEPS).map(|i| age.as_secs_f64() + step * to_f64(i));
        for mut it in Distribution::along(outlook, aheads, per_unit) {
            if let Some(lead) = distributions.get(LEAD_STEPS - 1) {
                it.narrow_towards(lead, LATER_SPREAD_RATIO);
            }
            distributions.push(it);
        }
        let current = f64::from(question.current);
        let covering = f64::from(Capacity::covering(floor));
        let lowest = current.min(covering);
        let highest = distributions
            .iter()
            .map(|it| it.quantile(0.995))
            .fold(current.max(covering), f64::max)
            .ceil()
            .min(UNITS_MAX)
            + 1.0;
        let stride = ((highest - lowest) / to_f64(CANDIDATES_MAX - 2)).ceil().max(1.0);
        let mut candidates: Vec<f64> = (0..CANDIDATES_MAX - 2)
            .map(|i| lowest + stride * to_f64(i))
            .take_while(|it| *it <= highest + stride)
            .collect();
        if 1.0 < stride {
            candidates.extend([current, covering]);
            candidates.sort_by(f64::total_cmp);
            candidates.dedup_by(|a, b| a.total_cmp(b).is_eq());
        }
        Plan { distributions, candidates, floor: covering, price }
    }

    /// What to have from now on.
    fn choose(&self, current: Capacity) -> f64 {
        let current = f64::from(current);
        let n = self.candidates.len();
        let size = self.floor.max(current).max(1.0);
        let change = CHANGE_LEAD_TIMES * size.powf(CHANGE_SIZE_POWER) * to_f64(LEAD_STEPS);
        let here = self.candidates.iter().position(|it| current <= *it).unwrap_or(n - 1);
        // What the steps from `i` on cost at best, when `i` begins with a candidate.
        let mut later = vec![0.0_f64; n];
        let mut after_lead = Vec::new();
        // What it costs to keep what there is until the lead time is over.
        let mut until_lead = 0.0;
        for (i, distribution) in self.distributions.iter().enumerate().rev() {
            let step = i + 1;
            let mut best = f64::INFINITY;
            if LEAD_STEPS < step + 1 {
                best = later.iter().copied().fold(f64::INFINITY, f64::min);
            }
            let mut lower = f64::INFINITY;
            for (units, cost) in self.candidates.iter().zip(&mut later) {
                let now = units + self.price.of_being_short(distribution, *units);
                let may_become = if step < LEAD_STEPS { lower } else { best };
                lower = lower.min(*cost);
                *cost = now + cost.min(change + may_become);
            }
            if step == LEAD_STEPS {
                after_lead.clone_from(&later);
            } else if step < LEAD_STEPS {
                let units = self.candidates.get(here).copied().unwrap_or(current);
                until_lead += units + self.price.of_being_short(distribution, units);
            }
        }
        let mut chosen = current;
        let mut least = later.get(here).copied().unwrap_or(f64::INFINITY);
        for (i, units) in self.candidates.iter().enumerate() {
            let cost = if i < here && self.floor <= *units {
                change + later.get(i).copied().unwrap_or(f64::INFINITY)
            } else if here < i {
                until_lead + change + after_lead.get(i).copied().unwrap_or(f64::INFINITY)
            } else {
                continue;
            };
            if cost < least - 1e-9 {
                least = cost;
                chosen = *units;
            }
        }
        chosen.max(self.floor)
    }

    fn at_lead(&self) -> &Distribution {
        // The steps are never fewer than the lead time's.
        self.distributions.get(LEAD_STEPS - 1).unwrap_or(&Distribution::NOTHING)
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn to_f64(n: usize) -> f64 {
    n as f64
}
