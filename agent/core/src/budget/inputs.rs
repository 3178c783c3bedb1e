//! Inputs of playbooks that read a budget instead of a metric.
//!
//! **In:** a playbook's observation, what is counted.
//! **Out:** the same observation with those readings.
//! **Not here:** how such an input is written ([`crate::documents`]), what the playbook makes
//! of it ([`crate::heal`]).

use jiff::{SignedDuration, Timestamp};

use crate::budget::figures::Reckoning;
use crate::budget::sight::BudgetSight;
use crate::documents::{BudgetInput, BudgetValue, Crossing, Documents};
use crate::heal::view::{InputReading, InputValue, PlaybookObservation};
use crate::quality::Absence;
use crate::state::State;

/// The window of [`BudgetValue::BurnRate`]. Why 1 h: the long one of the first pair.
const BURN_OVER: SignedDuration = SignedDuration::from_hours(1);

/// Fills in what the playbook asks of budgets.
pub(crate) fn fill(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    sight: &BudgetSight,
    observation: &PlaybookObservation,
) -> PlaybookObservation {
    let mut filled = observation.clone();
    let Some(playbook) = documents.playbook(&observation.playbook) else { return filled };
    for input in &playbook.inputs {
        let Some(asked) = &input.budget else { continue };
        let value = value_of(now, documents, state, sight, asked);
        let reading = match value.filter(|it| it.is_finite()) {
            Some(value) => Ok(InputValue::One { value, sampled_at: now }),
            None => Err(Absence::NotObserved),
        };
        filled.inputs.retain(|it| it.input != input.name);
        filled.inputs.push(InputReading { input: input.name.clone(), reading });
    }
    filled
}

fn value_of(
    now: Timestamp,
    documents: &Documents,
    state: &State,
    sight: &BudgetSight,
    asked: &BudgetInput,
) -> Option<f64> {
    let budget = documents.budget(&asked.budget)?;
    let reckoning = Reckoning { now, documents, sight, budget };
    match asked.value {
        BudgetValue::SpentRatio => reckoning.figures()?.spent_ratio,
        // A burn without end is the largest number there is, not an unknown one.
        BudgetValue::BurnRate => reckoning.burn_rate(BURN_OVER).map(|it| it.min(f64::MAX)),
        BudgetValue::SpendPerHour => reckoning.figures()?.per_hour,
        BudgetValue::TimeLeft => {
            let figures = reckoning.figures()?;
            let exhaustion = figures.exhaustion?;
            let at = exhaustion.p50.unwrap_or(exhaustion.until);
            Some(at.duration_since(now).as_secs_f64().max(0.0))
        }
        BudgetValue::Runaway => {
            let thresholds =
                budget.thresholds.iter().filter(|it| matches!(it.when, Crossing::Runaway { .. }));
            // As the journal says: with its hysteresis, and after a restart too.
            let crossed = thresholds
                .filter(|it| state.budgets().crossed(&budget.id, &it.name).is_some())
                .count();
            Some(if crossed == 0 { 0.0 } else { 1.0 })
        }
    }
}
