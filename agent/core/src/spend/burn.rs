//! How fast a budget of money burns.
//!
//! **In:** a mean rate, what was spent, the budget's window.
//! **Out:** a dimensionless rate.
//! **Not here:** burn rates of error budgets ([`crate::slo::burn`]), when it is spent
//! ([`crate::budget::exhaustion`]).

use jiff::Timestamp;

use super::money::Money;
use crate::slo::window::Window;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Cost burn rate: `per_hour * hours left / (amount - spent)` of a calendar window;
/// of a rolling one `per_hour * hours of the window / amount`, for there is no end to last to.
///
/// `per_hour` is the mean over some lookback ([`super::meter::SpendWindow::per_hour`]).
/// Dimensionless: 1.0 spends what is left exactly by the end of the period (rolling: keeps
/// spending exactly the amount per window); 2.0 does in half of the time that is left.
///
/// [`f64::INFINITY`] when nothing is left and something is spent; 0 when nothing is spent.
///
/// Source: `anchors/resilience.md`, cost burn.
pub fn cost_burn_rate(
    window: &Window,
    now: Timestamp,
    amount: Money,
    spent: Money,
    per_hour: f64,
) -> f64 {
    let hours = |from: Timestamp, until: Timestamp| {
        until.duration_since(from).as_secs_f64() / SECONDS_PER_HOUR
    };
    let period = window.period(now);
    let (hours, left) = if window.is_rolling() {
        (hours(period.from, period.until), amount)
    } else {
        (hours(now, period.until), amount.minus(spent))
    };
    let planned = per_hour * hours;
    if planned <= 0.0 {
        0.0
    } else if left <= Money(0) {
        f64::INFINITY
    } else {
        planned / left.amount()
    }
}
