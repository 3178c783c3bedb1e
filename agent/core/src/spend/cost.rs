//! What requests cost: on the average, and one more.
//!
//! **In:** spend and good requests over some time.
//! **Out:** cost of 1,000 good requests, or why it cannot be told.
//! **Not here:** where the numbers come from ([`super::meter`]).

use serde::{Deserialize, Serialize};

/// The fewest points of a marginal cost. Why 12: an hour of 5 minutes each; fewer follow noise.
pub const POINTS_MIN: usize = 12;

/// The least standard deviation of good requests, as a share of their mean. Why 2 %: below
/// it the slope is made by autoscaling's rounding, not by load.
pub const VARIATION_MIN_RATIO: f64 = 0.02;

/// Why there is no cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoCost {
    /// No good request was counted, or none is counted at all.
    NoGoodRequests,
    /// Too few points where both are known.
    TooFewPoints { n_points: usize },
    /// Good requests hardly changed: this is their deviation as a share of the mean.
    NoVariation { ratio: f64 },
}

/// Spend and good requests at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostPoint {
    /// Money per hour.
    pub per_hour: f64,
    /// Good requests per second.
    pub good_rps: f64,
}

/// Unit cost, in money per 1,000 good requests: `1000 * amount / good`, where `amount` was
/// spent in the time in which `good` requests were.
///
/// # Errors
///
/// [`NoCost::NoGoodRequests`]: what nothing was got for has no unit cost.
pub fn unit_cost(amount: f64, good: f64) -> Result<f64, NoCost> {
    if 0.0 < good { Ok(1000.0 * amount / good) } else { Err(NoCost::NoGoodRequests) }
}

/// Marginal cost, in money per 1,000 good requests more: 1000 times the slope of spend per
/// second over good requests per second, by least squares. Of 1.0 money per hour for each
/// request per second, it is 1000/3600 = 0.28. May be negative, where a cheaper price came
/// with more load.
///
/// # Errors
///
/// [`NoCost`] with fewer than [`POINTS_MIN`] points, or where good requests vary by less than
/// [`VARIATION_MIN_RATIO`].
#[expect(clippy::cast_precision_loss, reason = "there are at most a few hundred points")]
pub fn marginal_cost(points: &[CostPoint]) -> Result<f64, NoCost> {
    let n = points.len() as f64;
    if points.len() < POINTS_MIN {
        return Err(NoCost::TooFewPoints { n_points: points.len() });
    }
    let mean_good = points.iter().map(|it| it.good_rps).sum::<f64>() / n;
    let mean_rate = points.iter().map(|it| it.per_hour / 3600.0).sum::<f64>() / n;
    if mean_good <= 0.0 {
        return Err(NoCost::NoGoodRequests);
    }
    let (mut of_good, mut of_both) = (0.0, 0.0);
    for it in points {
        let good = it.good_rps - mean_good;
        of_good += good * good;
        of_both += good * (it.per_hour / 3600.0 - mean_rate);
    }
    let ratio = (of_good / n).sqrt() / mean_good;
    if ratio < VARIATION_MIN_RATIO {
        return Err(NoCost::NoVariation { ratio });
    }
    Ok(1000.0 * of_both / of_good)
}
