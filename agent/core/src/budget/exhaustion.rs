//! When a budget will be spent, and how sure that is.
//!
//! **In:** what was spent in the window so far, finer history of late, expected exposure.
//! **Out:** the instants before which it is spent with 10, 50 and 90 % chance.
//! **Not here:** counting ([`crate::slo`], [`crate::spend`]), what follows
//! ([`crate::budget`]).
//!
//! ```text
//!  recent ─► regime: did a new level begin? ─► hindcast: how well did the level of late
//!  ledger ─┘                                   tell the mean level over the next h?
//!      └───► roll-off, what is left ─► chance: P(spent by t) for all t ─► p10, p50, p90
//! ```
//!
//! What makes it honest is that the spread is not assumed but measured: for instants of the
//! past, the level before each is compared with the mean level over the time after it, at
//! horizons that double. Noise of counts, bursts, wandering and drifts are all in it. A
//! level never seen before is taken to go on (nobody acts), with a spread learned from
//! before it and the uncertainty of the few counts since.

mod chance;
mod hindcast;
mod history;
mod outlook;
mod regime;
mod trend;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::slo::ledger::DatedBucket;
use crate::slo::window::Window;
use chance::Question;
use history::Cell;

/// Everything that an exhaustion is estimated from.
#[derive(Clone, Debug)]
pub struct BurnOutlook<'a> {
    /// When.
    pub now: Timestamp,
    /// The budget's window.
    pub window: &'a Window,
    /// How much may be spent.
    pub allowance: Allowance,
    /// The ledger of the window, oldest first. For errors: bad and all events. For money:
    /// `bad` is the amount spent, `total` the hours observed.
    pub ledger: &'a [DatedBucket],
    /// The last days at a finer grain, oldest first, ending now: the same numbers.
    pub recent: &'a [DatedBucket],
    /// Expected events per second from now on, oldest first; empty where nothing is
    /// forecast: then it is taken from the history. Not used for money.
    pub traffic: &'a [ExpectedTraffic],
}

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowance {
    /// This share of all events may be bad.
    BadRatio(f64),
    /// This amount.
    Amount(f64),
}

/// Expected traffic at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedTraffic {
    /// When.
    pub at: Timestamp,
    /// Events per second, `>= 0`.
    pub per_second: f64,
}

/// When a budget is spent. `None` is: not before [`Exhaustion::until`], as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exhaustion {
    /// With one chance in ten it is spent before this.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub p10: Option<Timestamp>,
    /// As likely before as after.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub p50: Option<Timestamp>,
    /// With nine chances in ten it is spent before this.
    #[schemars(with = "Option<String>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub p90: Option<Timestamp>,
    /// How far was looked: to the period's end, or one window ahead of a rolling one.
    #[schemars(with = "String")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub until: Timestamp,
}

/// Estimates it. `None` when there is too little history to say anything: nothing was
/// observed, or the allowance is not a number.
///
/// It is spent at the first `t` with `spent in (t - W, t] >= allowance(t)`. For errors the
/// allowance is the ratio times all events of that window: those of the ledger that have
/// not rolled off, and those expected. With a ledger shorter than its window, it is computed
/// on what is there, so a young budget is small and is spent early. A calendar window's
/// budget is looked at until its period ends, a rolling one's for one window.
/// A budget that is spent already is spent `now`, three times.
///
/// Deterministic: there is no drawing of random numbers, and no clock.
pub fn exhaustion(outlook: &BurnOutlook<'_>) -> Option<Exhaustion> {
    let now = outlook.now;
    let period = outlook.window.period(now);
    let length = period.length().as_secs_f64().max(1.0);
    let rolling = outlook.window.is_rolling().then_some(length);
    let horizon = rolling.unwrap_or(period.until.duration_since(now).as_secs_f64()).max(0.0);
    let (Allowance::BadRatio(allowed) | Allowance::Amount(allowed)) = outlook.allowance;
    if !allowed.is_finite() {
        return None;
    }
    let seconds = |at: Timestamp| at.duration_since(now).as_secs_f64();
    let cells = |buckets: &[DatedBucket]| -> Vec<Cell> {
        let cell = |it: &DatedBucket| Cell {
            from: seconds(it.period.from),
            until: seconds(it.period.until).min(0.0),
            bad: amount(it.bucket.counts.bad),
            total: amount(it.bucket.counts.total),
            observed: amount(it.bucket.observed_seconds),
        };
        buckets.iter().map(cell).filter(|it| it.from < it.until).collect()
    };
    let question = Question {
        horizon,
        rolling,
        allowance: outlook.allowance,
        ledger: cells(outlook.ledger),
        recent: cells(outlook.recent),
        traffic: outlook.traffic.iter().map(|it| (seconds(it.at), amount(it.per_second))).collect(),
        now_of_week: (now.as_duration().as_secs_f64() - MONDAY).rem_euclid(7.0 * history::DAY),
    };
    let [p10, p50, p90] = question.answer()?.map(|it| it.and_then(|it| after(now, it)));
    Some(Exhaustion { p10, p50, p90, until: after(now, horizon).unwrap_or(Timestamp::MAX) })
}

/// A Monday, 00:00 UTC: 5 January 1970, in seconds since the epoch.
const MONDAY: f64 = 345_600.0;

/// Larger numbers are taken for it. Why 1e15: sums of a thousand are still whole numbers.
const AMOUNT_MAX: f64 = 1e15;

/// A number that can be calculated with: not negative, finite.
fn amount(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, AMOUNT_MAX) }
}

/// So many seconds after now, to the millisecond; `None` beyond the calendar.
#[expect(clippy::cast_possible_truncation, reason = "a float's cast to an integer saturates")]
fn after(now: Timestamp, seconds: f64) -> Option<Timestamp> {
    let millis = SignedDuration::from_millis((seconds * 1e3).round() as i64);
    now.checked_add(millis).ok()
}
